/**
 * Quantized GGUF tensors against the reference: blocks of every type, at the edges of the format too, with their values
 * by `gguf.quants.dequantize` (test/fixtures/make_quantized.py). A model made of these blocks must be, bit for bit, the
 * model made of the values.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LanguageModel } from '../../lib';
import { openModelSource } from '../../lib/model/formats';
import { readGgufHeader } from '../../lib/model/formats/gguf';
import { withModelFile } from '../../lib/model/formats/model-file';
import { BLOCKS, GGUF_TYPES } from '../../lib/model/formats/tensor-types';
import type { StoredType } from '../../lib/native/addon';
import { errorOf, expectError } from '../support/errors';
import { encodeGguf, type GgufInput, tinyGguf } from '../support/tiny-gguf';

const directory = mkdtempSync(join(tmpdir(), 'lsp-quantized-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Fixture {
  type: StoredType;
  blocks: Buffer;
  values: Float32Array;
  /** The first blocks make a model that computes finite numbers. */
  ordinaryBlocks: number;
}

/** Quantized types in the fixture, by name. */
function readFixtures(): Map<string, Fixture> {
  return withModelFile(join(__dirname, '../fixtures/quantized.gguf'), (file) => {
    const { tensors, metadata } = readGgufHeader(file);
    const bytesOf = (name: string) => {
      const { offset, byteLength } = tensors.find((tensor) => tensor.name === name)!;
      return file.read(offset, byteLength);
    };
    const quantized = tensors.filter(({ type }) => type !== 'f32');
    return new Map(
      quantized.map(({ name, type }) => {
        const values = new Float32Array(new Uint8Array(bytesOf(`${name}.values`)).buffer);
        const ordinaryBlocks = metadata.get(`${name}.ordinary`) as number;
        return [name, { type, blocks: bytesOf(name), values, ordinaryBlocks }];
      }),
    );
  });
}

const fixtures = readFixtures();
const names = [...fixtures.keys()];
const typeNumber = (type: StoredType) => [...GGUF_TYPES].find(([, name]) => name === type)![0];

const plainInput = tinyGguf({ hidden: 256, ffn: 512 });

/** Hidden 256: one row is a block of a K-quant. Matrices hold the first `blockCount` blocks of a fixture over and over. */
function modelOf({ type, blocks, values }: Fixture, blockCount: number, stored: 'blocks' | 'values'): string {
  const { elements, bytes } = BLOCKS[type];
  const input = { ...plainInput, tensors: plainInput.tensors.map((tensor) => ({ ...tensor })) };
  for (const tensor of input.tensors) {
    const [width, rows] = tensor.dimensions.map(Number);
    if (rows === undefined) continue;
    const data: Buffer[] = [];
    // Each row begins with another block, so that a wrong order of rows is seen.
    for (let row = 0; row < rows; row += 1) {
      for (let at = 0; at < width! / elements; at += 1) {
        const block = (row + at) % blockCount;
        data.push(
          stored === 'blocks'
            ? blocks.subarray(block * bytes, (block + 1) * bytes)
            : Buffer.from(values.buffer, 4 * block * elements, 4 * elements),
        );
      }
    }
    Object.assign(tensor, { data: Buffer.concat(data), type: stored === 'blocks' ? typeNumber(type) : 0 });
  }
  return write(input, `${type}-${stored}-${blockCount}.gguf`);
}

function write(input: GgufInput, name: string): string {
  const path = join(directory, name);
  writeFileSync(path, encodeGguf(input));
  return path;
}

const bits = (values: Float32Array) => Buffer.from(values.buffer, values.byteOffset, values.byteLength);

test('every type that this version reads is in the fixture, or is no block format', () => {
  const plain = ['f32', 'f16', 'bf16'];
  expect([...names, ...plain].sort()).toEqual([...GGUF_TYPES.values()].sort());
});

describe.each(names)('%s', (name) => {
  const fixture = fixtures.get(name)!;
  const { type, values, ordinaryBlocks, blocks } = fixture;

  test('every weight has the bits of the reference, edges of the format included', async () => {
    const count = blocks.length / BLOCKS[type].bytes;
    await using quantized = await LanguageModel.load(modelOf(fixture, count, 'blocks'), { threads: 1 });
    await using plain = await LanguageModel.load(modelOf(fixture, count, 'values'), { threads: 1 });
    for (const parameter of quantized.parameterNames()) {
      const got = await quantized.parameter(parameter);
      const expected = await plain.parameter(parameter);
      expect({ parameter, same: bits(got).equals(bits(expected)) }).toEqual({ parameter, same: true });
    }
    // Not only the same as each other: rows 0.. of a matrix in its stored order begin with blocks 0, 1, …
    const stored = await quantized.parameter('model.layers.0.mlp.up_proj.weight');
    const { elements } = BLOCKS[type];
    for (let block = 0; block < count; block += 1) {
      const got = stored.slice(256 * block, 256 * block + elements);
      const expected = values.slice(elements * block, elements * (block + 1));
      expect({ block, bits: bits(got).toString('hex') }).toEqual({
        block,
        bits: bits(expected).toString('hex'),
      });
    }
  });

  test('a model of it scores as the model of its values does, bit for bit', async () => {
    await using quantized = await LanguageModel.load(modelOf(fixture, ordinaryBlocks, 'blocks'), {
      threads: 1,
    });
    await using plain = await LanguageModel.load(modelOf(fixture, ordinaryBlocks, 'values'), { threads: 1 });
    const tokens = [Int32Array.of(1, 40, 41, 200, 7, 2)];
    const [got] = await quantized.logprobs(tokens);
    const [expected] = await plain.logprobs(tokens);
    expect(got!.every((value) => Number.isFinite(value) && value < 0)).toBe(true);
    expect([...got!]).toEqual([...expected!]);
  });

  test('is what the description of the file says', () => {
    const { description, tensors } = openModelSource(modelOf(fixture, ordinaryBlocks, 'blocks'));
    expect(description).toBe(`GGUF v3, llama, ${['f32', type].sort().join(' + ')}`);
    expect(new Set(tensors.map((tensor) => tensor.type))).toEqual(new Set(['f32', type]));
  });

  test('rows that are not whole blocks are refused', () => {
    const input = tinyGguf({ hidden: 8 });
    input.tensors.find((tensor) => tensor.name === 'blk.0.attn_q.weight')!.type = typeNumber(type);
    const error = errorOf(() => openModelSource(write(input, 'odd.gguf')));
    const { elements } = BLOCKS[type];
    expectError(
      error,
      'INVALID_MODEL_FILE',
      `rows of tensor \`blk.0.attn_q.weight\` are not whole blocks of ${elements} ${type} values`,
    );
  });
});

test('an infinite scale is refused with the name of the tensor', async () => {
  const fixture = fixtures.get('q4_k')!;
  const blocks = Buffer.from(fixture.blocks);
  blocks.writeUInt16LE(0x7c00, 0);
  const loading = LanguageModel.load(modelOf({ ...fixture, blocks }, 1, 'blocks'));
  await expect(loading).rejects.toMatchObject({
    code: 'INVALID_MODEL_FILE',
    message: expect.stringContaining("'model.embed_tokens.weight'") as string,
  });
});
