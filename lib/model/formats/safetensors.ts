/**
 * safetensors header reader (https://huggingface.co/docs/safetensors): u64 header length, JSON header, data.
 *
 * As strict as the reference implementation: data offsets must cover the data exactly, without holes or overlaps,
 * and the lengths must agree with type and shape. Duplicate keys are refused, so that no two readers of one file
 * can disagree about what it holds.
 */
import { isUtf8 } from 'node:buffer';
import { isRecord } from '../../options';
import { corrupt, type ModelFile } from './model-file';
import { JsonError, parseStrictJson, type JsonObject, type JsonValue } from './strict-json';
import { elementCount, SAFETENSORS_BITS } from './tensor-types';

export interface SafetensorsTensor {
  name: string;
  /** As in the file, e.g. `F32`; a known one, though perhaps not one that models here may use. */
  dtype: string;
  shape: number[];
  /** Byte offset in the file. */
  offset: number;
  byteLength: number;
}

export interface SafetensorsHeader {
  metadata: Record<string, string>;
  tensors: SafetensorsTensor[];
}

/** Headers take some 100 bytes a tensor; 16 MiB is far beyond the largest known model. */
const MAX_HEADER_BYTES = 16 * 2 ** 20;
const MAX_RANK = 8;
/** header → tensor → shape. */
const MAX_DEPTH = 3;

export function readSafetensorsHeader(file: ModelFile): SafetensorsHeader {
  const { path, size } = file;
  if (size < 8) throw corrupt(path, `expected a safetensors file but it has only ${size} bytes.`);
  const claimed = file.read(0, 8).readBigUInt64LE(0);
  if (claimed > BigInt(size - 8)) {
    throw corrupt(path, `its header claims ${claimed} bytes but only ${size - 8} follow the length.`);
  }
  const length = Number(claimed);
  if (length > MAX_HEADER_BYTES) {
    throw corrupt(path, `its header claims ${length} bytes; at most ${MAX_HEADER_BYTES} are allowed.`);
  }
  const header = parseHeader(path, file.read(8, length));
  const dataStart = 8 + length;
  const tensors: SafetensorsTensor[] = [];
  for (const name of Object.keys(header)) {
    if (name !== '__metadata__') tensors.push(readTensor(path, name, header[name]!, dataStart));
  }
  requireFullCover(path, tensors, dataStart, size);
  return { metadata: readMetadata(path, header['__metadata__']), tensors };
}

function parseHeader(path: string, bytes: Buffer): JsonObject {
  if (!isUtf8(bytes)) throw corrupt(path, 'its header is not UTF-8.');
  let value: JsonValue;
  try {
    value = parseStrictJson(bytes.toString('utf8'), MAX_DEPTH);
  } catch (error) {
    if (error instanceof JsonError) throw corrupt(path, `its header is not valid JSON: ${error.message}.`);
    throw error;
  }
  if (!isRecord(value)) throw corrupt(path, 'its header is not a JSON object.');
  return value;
}

function readMetadata(path: string, value: JsonValue | undefined): Record<string, string> {
  if (value === undefined) return {};
  if (!isRecord(value)) throw corrupt(path, '`__metadata__` is not an object.');
  for (const [key, entry] of Object.entries(value)) {
    if (typeof entry !== 'string') throw corrupt(path, `\`__metadata__.${key}\` is not a string.`);
  }
  return value as Record<string, string>;
}

const TENSOR_KEYS = ['dtype', 'shape', 'data_offsets'];

function readTensor(path: string, name: string, entry: JsonValue, dataStart: number): SafetensorsTensor {
  const fail = (what: string) => corrupt(path, `tensor \`${name}\` ${what}.`);
  if (!isRecord(entry)) throw fail('is not described by an object');
  const extra = Object.keys(entry).find((key) => !TENSOR_KEYS.includes(key));
  if (extra !== undefined) throw fail(`has the unknown field \`${extra}\``);
  const { dtype, shape, data_offsets: offsets } = entry;
  const bits = typeof dtype === 'string' ? SAFETENSORS_BITS.get(dtype) : undefined;
  if (bits === undefined) throw fail(`has the unknown type ${JSON.stringify(dtype)}`);
  if (!Array.isArray(shape) || shape.length > MAX_RANK) throw fail('has no proper shape');
  const count = elementCount(shape as number[], { allowZero: true });
  if (count === undefined || !Number.isSafeInteger(count * bits)) throw fail('has an impossible shape');
  if (!Array.isArray(offsets) || offsets.length !== 2) throw fail('has no proper data_offsets');
  const [begin, end] = offsets as [unknown, unknown];
  if (!isOffset(begin) || !isOffset(end) || end < begin) throw fail('has impossible data_offsets');
  if ((end - begin) * 8 !== count * bits) {
    throw fail(`has ${end - begin} bytes, not the ${(count * bits) / 8} of its type and shape`);
  }
  return {
    name,
    dtype: dtype as string,
    shape: shape as number[],
    offset: dataStart + begin,
    byteLength: end - begin,
  };
}

function isOffset(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function requireFullCover(path: string, tensors: SafetensorsTensor[], dataStart: number, size: number): void {
  const ordered = [...tensors].sort((a, b) => a.offset - b.offset || a.byteLength - b.byteLength);
  let position = dataStart;
  for (const { name, offset, byteLength } of ordered) {
    if (offset < position) throw corrupt(path, `tensor \`${name}\` overlaps another at byte ${offset}.`);
    if (offset > position)
      throw corrupt(path, `${offset - position} bytes before tensor \`${name}\` belong to none.`);
    position = offset + byteLength;
    if (!(position <= size)) {
      throw corrupt(path, `tensor \`${name}\` ends at byte ${position} but the file has ${size}.`);
    }
  }
  if (position !== size) throw corrupt(path, `${size - position} bytes at its end belong to no tensor.`);
}
