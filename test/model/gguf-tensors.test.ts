/** GGUF files whose tensors are damaged, or not what the metadata say: every kind is an LspError. */
import type { LspErrorCode } from '../../lib/errors';
import { errorOf, expectError } from '../support/errors';
import type { GgufInput } from '../support/tiny-gguf';
import { changed, HUGE, tensorOf, useGgufFile } from './gguf-files';

const { openBytes } = useGgufFile();

/** What was done to the file, and the error it must give. */
const DAMAGE: [string, (input: GgufInput) => void, LspErrorCode, RegExp][] = [
  [
    'missing tensor',
    (input) => (input.tensors = input.tensors.filter(({ name }) => name !== 'blk.0.ffn_up.weight')),
    'INVALID_MODEL_FILE',
    /`blk.0.ffn_up.weight` is missing/,
  ],
  [
    'missing embedding',
    (input) => (input.tensors = input.tensors.slice(1)),
    'INVALID_MODEL_FILE',
    /`token_embd.weight` is missing/,
  ],
  [
    'missing final norm',
    (input) => (input.tensors = input.tensors.slice(0, -1)),
    'INVALID_MODEL_FILE',
    /`output_norm.weight` is missing/,
  ],
  [
    'bias tensor',
    (input) => input.tensors.push({ ...tensorOf(input, 'output_norm.weight'), name: 'blk.0.attn_q.bias' }),
    'UNSUPPORTED_MODEL',
    /`blk.0.attn_q.bias`/,
  ],
  [
    'tensor of a layer that is not there',
    (input) =>
      input.tensors.push({ ...tensorOf(input, 'output_norm.weight'), name: 'blk.1.attn_norm.weight' }),
    'INVALID_MODEL_FILE',
    /belongs to no part/,
  ],
  [
    'duplicate tensor',
    (input) => input.tensors.push(tensorOf(input, 'output_norm.weight')),
    'INVALID_MODEL_FILE',
    /appears twice/,
  ],
  [
    'rank 0',
    (input) => (tensorOf(input, 'output_norm.weight').dimensions = []),
    'INVALID_MODEL_FILE',
    /rank 0/,
  ],
  [
    'rank 5',
    (input) => (tensorOf(input, 'output_norm.weight').dimensions = [2, 2, 2, 1, 1]),
    'INVALID_MODEL_FILE',
    /rank 5/,
  ],
  [
    'length 0',
    (input) => (tensorOf(input, 'output_norm.weight').dimensions = [0]),
    'INVALID_MODEL_FILE',
    /impossible shape/,
  ],
  [
    'product overflows 2^64 to a small number',
    (input) => (tensorOf(input, 'output_norm.weight').dimensions = [2n ** 32n, 2n ** 32n, 8]),
    'INVALID_MODEL_FILE',
    /impossible shape/,
  ],
  [
    'length of 2^63',
    (input) => (tensorOf(input, 'output_norm.weight').dimensions = [HUGE]),
    'INVALID_MODEL_FILE',
    /shape/,
  ],
  [
    'transposed',
    (input) => tensorOf(input, 'blk.0.attn_k.weight').dimensions.reverse(),
    'INVALID_MODEL_FILE',
    /`blk.0.attn_k.weight` has the shape/,
  ],
  [
    'IQ quant',
    (input) => (tensorOf(input, 'output_norm.weight').type = 22),
    'UNSUPPORTED_MODEL',
    /stored as IQ2_S\. This version reads F32, F16, Q4_0, .*Q6_K, .*BF16/,
  ],
  [
    'unknown type',
    (input) => (tensorOf(input, 'output_norm.weight').type = 999),
    'INVALID_MODEL_FILE',
    /type 999/,
  ],
  [
    'rows that are not whole blocks',
    (input) => (tensorOf(input, 'blk.0.attn_q.weight').type = 8),
    'INVALID_MODEL_FILE',
    /whole blocks of 32/,
  ],
  [
    'type larger than its data',
    (input) => Object.assign(tensorOf(input, 'output_norm.weight'), { type: 0, data: Buffer.alloc(0) }),
    'INVALID_MODEL_FILE',
    /needs bytes/,
  ],
  [
    'offset not aligned',
    (input) => (tensorOf(input, 'output_norm.weight').offset = 8),
    'INVALID_MODEL_FILE',
    /not a multiple of 32/,
  ],
  [
    'offset beyond the file',
    (input) => (tensorOf(input, 'output_norm.weight').offset = 2 ** 40),
    'INVALID_MODEL_FILE',
    /but the file has/,
  ],
  [
    'offset of 2^64 - 32',
    (input) => (tensorOf(input, 'output_norm.weight').offset = 2n ** 64n - 32n),
    'INVALID_MODEL_FILE',
    /offset/,
  ],
  ['overlap', (input) => (tensorOf(input, 'output_norm.weight').offset = 0), 'INVALID_MODEL_FILE', /overlap/],
  [
    'odd RoPE factors',
    (input) =>
      input.tensors.push({
        name: 'rope_freqs.weight',
        dimensions: [2],
        type: 0,
        data: Buffer.from(new Float32Array([3, 2]).buffer),
      }),
    'UNSUPPORTED_MODEL',
    /rope_freqs/,
  ],
  [
    'NaN RoPE factors',
    (input) =>
      input.tensors.push({
        name: 'rope_freqs.weight',
        dimensions: [2],
        type: 0,
        data: Buffer.from(new Float32Array([NaN, 2]).buffer),
      }),
    'INVALID_MODEL_FILE',
    /rope_freqs/,
  ],
];

describe('a damaged GGUF', () => {
  test.each(DAMAGE)('%s', (_, damage, code, message) => {
    const error = errorOf(() => openBytes(changed(damage)));
    expectError(error, code, message);
    expect(error.remedy).not.toBe('');
  });
});
