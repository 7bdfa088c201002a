/**
 * GGUF reader: metadata and tensor table of versions 2 and 3, little endian.
 *
 * Layout (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md): magic, version u32, tensor count u64,
 * key-value count u64, key-value pairs, tensor infos, padding to `general.alignment`, data. Strings carry a u64
 * length; offsets of tensors count from the start of the data. Nothing in the header is believed before it is
 * compared with the file: counts, lengths, offsets, types and overlaps are all checked here.
 */
import type { StoredType } from '../../native/addon';
import { corrupt, FileCursor, type ModelFile, unsupported } from './model-file';
import { BLOCKS, elementCount, GGUF_OTHER_TYPES, GGUF_TYPES } from './tensor-types';

export type GgufScalar = number | bigint | boolean | string;

/** Arrays that nobody here reads are skipped and only described. */
export interface GgufSkippedArray {
  skipped: true;
  elementType: number;
  length: number;
}

export type GgufValue = GgufScalar | GgufScalar[] | GgufSkippedArray;

export interface GgufTensor {
  name: string;
  /** Row-major: rows first, the reverse of the order in the file. */
  shape: number[];
  type: StoredType;
  /** Byte offset in the file. */
  offset: number;
  byteLength: number;
}

export interface GgufHeader {
  version: number;
  metadata: ReadonlyMap<string, GgufValue>;
  tensors: GgufTensor[];
}

/** Ceilings far above any real model: the largest known vocabularies give headers of some 20 MB. */
const MAX_HEADER_BYTES = 128 * 2 ** 20;
const MAX_KEYS = 4096;
const MAX_TENSORS = 65536;
const MAX_KEY_BYTES = 65535;
const MAX_NAME_BYTES = 256;
const MAX_STRING_BYTES = 8 * 2 ** 20;
const MAX_ARRAY_ITEMS = 2 ** 21;
const MAX_ALIGNMENT = 65536;

const STRING = 8;
const ARRAY = 9;
const BOOL = 7;
/** Bytes of each fixed-size value type, by number: u8 i8 u16 i16 u32 i32 f32 bool - - u64 i64 f64. */
const SCALAR_BYTES: readonly number[] = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8];

/** Arrays that are read; others are skipped. */
const WANTED_ARRAYS = /^tokenizer\.ggml\.(tokens|scores|token_type|merges)$/;

export function readGgufHeader(file: ModelFile): GgufHeader {
  const cursor = new FileCursor(file, MAX_HEADER_BYTES);
  const reader = new HeaderReader(file.path, cursor);
  const version = reader.magicAndVersion();
  const tensorCount = cursor.uint64('the tensor count');
  const keyCount = cursor.uint64('the metadata count');
  if (keyCount > MAX_KEYS)
    throw corrupt(file.path, `it claims ${keyCount} metadata keys; at most ${MAX_KEYS} are allowed.`);
  if (tensorCount > MAX_TENSORS) {
    throw corrupt(file.path, `it claims ${tensorCount} tensors; at most ${MAX_TENSORS} are allowed.`);
  }
  const metadata = reader.metadata(keyCount);
  const infos = reader.tensorInfos(tensorCount);
  const alignment = alignmentOf(file.path, metadata);
  const dataStart = Math.ceil(cursor.position / alignment) * alignment;
  return { version, metadata, tensors: placeTensors(file, infos, dataStart, alignment) };
}

interface TensorInfo {
  name: string;
  shape: number[];
  typeNumber: number;
  offset: number;
}

class HeaderReader {
  constructor(
    private readonly path: string,
    private readonly cursor: FileCursor,
  ) {}

  magicAndVersion(): number {
    const magic = this.cursor.bytes(4, 'the magic number').toString('latin1');
    if (magic !== 'GGUF')
      throw corrupt(this.path, `expected a GGUF file but it starts with ${JSON.stringify(magic)}.`);
    const version = this.cursor.uint32('the version');
    if (version === 2 || version === 3) return version;
    if (version !== 0 && version % 65536 === 0) {
      throw unsupported(this.path, 'it is a big-endian GGUF.', 'Convert it to little endian.');
    }
    throw unsupported(this.path, `GGUF version ${version} is not 2 or 3.`, 'Convert it with a current tool.');
  }

  metadata(count: number): Map<string, GgufValue> {
    const metadata = new Map<string, GgufValue>();
    for (let index = 0; index < count; index += 1) {
      const key = this.cursor.string(MAX_KEY_BYTES, `metadata key ${index}`);
      if (key === '') throw corrupt(this.path, `metadata key ${index} is empty.`);
      if (metadata.has(key)) throw corrupt(this.path, `metadata key \`${key}\` appears twice.`);
      metadata.set(key, this.#value(key));
    }
    return metadata;
  }

  #value(key: string): GgufValue {
    const type = this.cursor.uint32(`the type of \`${key}\``);
    return type === ARRAY ? this.#array(key) : this.#scalar(type, key);
  }

  #scalar(type: number, key: string): GgufScalar {
    const what = `the value of \`${key}\``;
    if (type === STRING) return this.cursor.string(MAX_STRING_BYTES, what);
    const size = SCALAR_BYTES[type];
    if (!size) throw corrupt(this.path, `\`${key}\` has the unknown value type ${type}.`);
    return this.#fixed(type, this.cursor.bytes(size, what), 0, key);
  }

  #fixed(type: number, bytes: Buffer, at: number, key: string): GgufScalar {
    switch (type) {
      case 0:
        return bytes.readUInt8(at);
      case 1:
        return bytes.readInt8(at);
      case 2:
        return bytes.readUInt16LE(at);
      case 3:
        return bytes.readInt16LE(at);
      case 4:
        return bytes.readUInt32LE(at);
      case 5:
        return bytes.readInt32LE(at);
      case 6:
        return bytes.readFloatLE(at);
      case BOOL: {
        const value = bytes.readUInt8(at);
        if (value > 1) throw corrupt(this.path, `\`${key}\` is a boolean with the value ${value}.`);
        return value === 1;
      }
      case 10:
        return bytes.readBigUInt64LE(at);
      case 11:
        return bytes.readBigInt64LE(at);
      default:
        return bytes.readDoubleLE(at);
    }
  }

  #array(key: string): GgufValue {
    const type = this.cursor.uint32(`the element type of \`${key}\``);
    const length = this.cursor.uint64(`the length of \`${key}\``);
    const size = type === STRING ? 8 : SCALAR_BYTES[type]; // a string takes at least its length
    if (!size) throw corrupt(this.path, `\`${key}\` is an array of the unknown or nested type ${type}.`);
    this.cursor.require(length * size, `array \`${key}\` of ${length} elements`);
    const wanted = WANTED_ARRAYS.test(key);
    if (wanted && length > MAX_ARRAY_ITEMS) {
      throw corrupt(
        this.path,
        `array \`${key}\` has ${length} elements; at most ${MAX_ARRAY_ITEMS} are allowed.`,
      );
    }
    if (type === STRING) return this.#strings(key, length, wanted);
    if (wanted) {
      const bytes = this.cursor.bytes(length * size, `array \`${key}\``);
      return Array.from({ length }, (_, index) => this.#fixed(type, bytes, index * size, key));
    }
    this.cursor.skip(length * size, `array \`${key}\``);
    return { skipped: true, elementType: type, length };
  }

  #strings(key: string, length: number, wanted: boolean): GgufValue {
    const what = `an element of \`${key}\``;
    if (!wanted) {
      for (let index = 0; index < length; index += 1) this.cursor.skip(this.cursor.uint64(what), what);
      return { skipped: true, elementType: STRING, length };
    }
    const values: string[] = [];
    for (let index = 0; index < length; index += 1) values.push(this.cursor.string(MAX_KEY_BYTES, what));
    return values;
  }

  tensorInfos(count: number): TensorInfo[] {
    const infos: TensorInfo[] = [];
    const names = new Set<string>();
    for (let index = 0; index < count; index += 1) {
      const name = this.cursor.string(MAX_NAME_BYTES, `the name of tensor ${index}`);
      if (names.has(name)) throw corrupt(this.path, `tensor \`${name}\` appears twice.`);
      names.add(name);
      const dimensions = this.cursor.uint32(`the rank of \`${name}\``);
      if (dimensions < 1 || dimensions > 4)
        throw corrupt(this.path, `tensor \`${name}\` has rank ${dimensions}.`);
      const shape: number[] = [];
      for (let axis = 0; axis < dimensions; axis += 1)
        shape.unshift(this.cursor.uint64(`the shape of \`${name}\``));
      const typeNumber = this.cursor.uint32(`the type of \`${name}\``);
      infos.push({ name, shape, typeNumber, offset: this.cursor.uint64(`the offset of \`${name}\``) });
    }
    return infos;
  }
}

function alignmentOf(path: string, metadata: ReadonlyMap<string, GgufValue>): number {
  const value = metadata.get('general.alignment') ?? 32;
  if (typeof value === 'number' && value >= 8 && value <= MAX_ALIGNMENT && (value & (value - 1)) === 0)
    return value;
  throw corrupt(path, '`general.alignment` is not a power of two between 8 and 65536.');
}

function placeTensors(
  file: ModelFile,
  infos: TensorInfo[],
  dataStart: number,
  alignment: number,
): GgufTensor[] {
  const tensors = infos.map((info): GgufTensor => {
    const { name, shape, typeNumber } = info;
    const type = GGUF_TYPES.get(typeNumber);
    if (!type) throw unknownType(file.path, name, typeNumber);
    const count = elementCount(shape);
    if (count === undefined)
      throw corrupt(file.path, `tensor \`${name}\` has the impossible shape [${shape.join(', ')}].`);
    const block = BLOCKS[type];
    if (shape[shape.length - 1]! % block.elements !== 0) {
      throw corrupt(
        file.path,
        `rows of tensor \`${name}\` are not whole blocks of ${block.elements} ${type} values.`,
      );
    }
    if (info.offset % alignment !== 0) {
      throw corrupt(
        file.path,
        `tensor \`${name}\` starts at ${info.offset}, not a multiple of ${alignment}.`,
      );
    }
    const byteLength = (count / block.elements) * block.bytes;
    const offset = dataStart + info.offset;
    if (!(offset + byteLength <= file.size)) {
      throw corrupt(
        file.path,
        `tensor \`${name}\` needs bytes ${offset} to ${offset + byteLength} but the file has ${file.size}.`,
      );
    }
    return { name, shape, type, offset, byteLength };
  });
  requireDisjoint(file.path, tensors);
  return tensors;
}

function unknownType(path: string, name: string, typeNumber: number) {
  const known = GGUF_OTHER_TYPES.get(typeNumber);
  if (!known) return corrupt(path, `tensor \`${name}\` has the unknown type ${typeNumber}.`);
  return unsupported(
    path,
    `tensor \`${name}\` is stored as ${known}.`,
    `This version reads ${[...GGUF_TYPES.values()].join(', ').toUpperCase()}: take the model in one of these.`,
  );
}

/** Two tensors on the same bytes mean a lying table; training one would be training a copy of the other. */
export function requireDisjoint(
  path: string,
  tensors: readonly { name: string; offset: number; byteLength: number }[],
): void {
  const ordered = [...tensors].sort((a, b) => a.offset - b.offset || a.byteLength - b.byteLength);
  for (let index = 1; index < ordered.length; index += 1) {
    const before = ordered[index - 1]!;
    const after = ordered[index]!;
    if (before.offset + before.byteLength > after.offset) {
      throw corrupt(
        path,
        `tensors \`${before.name}\` and \`${after.name}\` overlap at byte ${after.offset}.`,
      );
    }
  }
}
