/** GGUF files that are damaged, from the first bytes to the last metadata key: every kind is an LspError. */
import { truncateSync, writeFileSync } from 'node:fs';
import { LspError, type LspErrorCode } from '../../lib/errors';
import { openModelSource } from '../../lib/model/formats';
import { errorOf, expectError } from '../support/errors';
import { encodeGguf, GGUF, type GgufInput, ggufString, tinyGguf, u32, u64 } from '../support/tiny-gguf';
import { seededUniform } from '../support/tiny-model';
import { changed, dropField, HUGE, setField, useGgufFile } from './gguf-files';

const { path, openBytes } = useGgufFile();

/** What was done to the file, and the error it must give. */
const DAMAGE: [string, (input: GgufInput) => void, LspErrorCode, RegExp][] = [
  ['wrong magic', (input) => (input.magic = 'GGML'), 'INVALID_MODEL_FILE', /starts with "GGML"/],
  ['version 1', (input) => (input.version = 1), 'UNSUPPORTED_MODEL', /version 1/],
  ['version 99', (input) => (input.version = 99), 'UNSUPPORTED_MODEL', /version 99/],
  ['big endian', (input) => (input.version = 3 << 24), 'UNSUPPORTED_MODEL', /big-endian/],
  ['tensor count of 2^63', (input) => (input.tensorCount = HUGE), 'INVALID_MODEL_FILE', /tensor count/],
  ['a million tensors', (input) => (input.tensorCount = 10n ** 6n), 'INVALID_MODEL_FILE', /1000000 tensors/],
  ['one tensor too many', (input) => (input.tensorCount = 12n), 'INVALID_MODEL_FILE', /./],
  ['key count of 2^63', (input) => (input.fieldCount = HUGE), 'INVALID_MODEL_FILE', /metadata count/],
  ['a billion keys', (input) => (input.fieldCount = 10n ** 9n), 'INVALID_MODEL_FILE', /metadata keys/],
  [
    'one key too few',
    (input) => (input.fieldCount = BigInt(input.fields.length - 1)),
    'INVALID_MODEL_FILE',
    /./,
  ],
  [
    'duplicate key',
    (input) => input.fields.push(input.fields[0]!),
    'INVALID_MODEL_FILE',
    /`general.architecture` appears twice/,
  ],
  [
    'empty key',
    (input) => input.fields.push({ key: '', type: GGUF.U32, value: 1 }),
    'INVALID_MODEL_FILE',
    /empty/,
  ],
  [
    'unknown value type',
    (input) => input.fields.push({ key: 'k', type: 77, value: 1 }),
    'INVALID_MODEL_FILE',
    /unknown value type 77/,
  ],
  [
    'nested array',
    (input) => input.fields.push({ key: 'k', type: GGUF.ARRAY, elementType: GGUF.ARRAY, value: [] }),
    'INVALID_MODEL_FILE',
    /nested/,
  ],
  [
    'boolean of 2',
    (input) => input.fields.push({ key: 'k', type: GGUF.BOOL, value: 2 }),
    'INVALID_MODEL_FILE',
    /boolean with the value 2/,
  ],
  [
    'no architecture',
    (input) => dropField(input, 'general.architecture'),
    'INVALID_MODEL_FILE',
    /architecture/,
  ],
  [
    'another architecture',
    (input) => setField(input, 'general.architecture', 'gemma2'),
    'UNSUPPORTED_MODEL',
    /architecture is "gemma2"/,
  ],
  [
    'no layer count',
    (input) => dropField(input, 'llama.block_count'),
    'INVALID_MODEL_FILE',
    /`llama.block_count`/,
  ],
  ['layer count 0', (input) => setField(input, 'llama.block_count', 0), 'INVALID_MODEL_FILE', /numLayers/],
  ['4e9 layers', (input) => setField(input, 'llama.block_count', 4e9), 'INVALID_MODEL_FILE', /numLayers/],
  [
    '1000 layers',
    (input) => setField(input, 'llama.block_count', 1000),
    'INVALID_MODEL_FILE',
    /1000 layers need/,
  ],
  [
    'layer count as text',
    (input) => setField(input, 'llama.block_count', '1', GGUF.STRING),
    'INVALID_MODEL_FILE',
    /not a finite number/,
  ],
  [
    'layer count as fraction',
    (input) => setField(input, 'llama.block_count', 1.5, GGUF.F32),
    'INVALID_MODEL_FILE',
    /numLayers/,
  ],
  ['0 heads', (input) => setField(input, 'llama.attention.head_count', 0), 'INVALID_MODEL_FILE', /./],
  ['3 heads', (input) => setField(input, 'llama.attention.head_count', 3), 'INVALID_MODEL_FILE', /./],
  [
    '0 key-value heads',
    (input) => setField(input, 'llama.attention.head_count_kv', 0),
    'INVALID_MODEL_FILE',
    /./,
  ],
  ['hidden size off', (input) => setField(input, 'llama.embedding_length', 12), 'INVALID_MODEL_FILE', /./],
  [
    'ffn size off',
    (input) => setField(input, 'llama.feed_forward_length', 32),
    'INVALID_MODEL_FILE',
    /`blk.0.ffn_(gate|up|down).weight` has the shape/,
  ],
  [
    'NaN epsilon',
    (input) => setField(input, 'llama.attention.layer_norm_rms_epsilon', NaN),
    'INVALID_MODEL_FILE',
    /finite/,
  ],
  [
    'negative epsilon',
    (input) => setField(input, 'llama.attention.layer_norm_rms_epsilon', -1),
    'INVALID_MODEL_FILE',
    /epsilon/,
  ],
  ['RoPE base 0', (input) => setField(input, 'llama.rope.freq_base', 0), 'INVALID_MODEL_FILE', /RoPE base/],
  [
    'infinite RoPE base',
    (input) => setField(input, 'llama.rope.freq_base', Infinity),
    'INVALID_MODEL_FILE',
    /finite/,
  ],
  ['context 0', (input) => setField(input, 'llama.context_length', 0), 'INVALID_MODEL_FILE', /maxPositions/],
  ['experts', (input) => setField(input, 'llama.expert_count', 8), 'UNSUPPORTED_MODEL', /expert_count/],
  [
    'partial RoPE',
    (input) => setField(input, 'llama.rope.dimension_count', 2),
    'UNSUPPORTED_MODEL',
    /RoPE turns 2 of 4/,
  ],
  [
    'YaRN',
    (input) => setField(input, 'llama.rope.scaling.type', 'yarn', GGUF.STRING),
    'UNSUPPORTED_MODEL',
    /RoPE scaling is "yarn"/,
  ],
  ['vocabulary size off', (input) => setField(input, 'llama.vocab_size', 260), 'INVALID_MODEL_FILE', /260/],
  [
    'alignment 0',
    (input) => setField(input, 'general.alignment', 0),
    'INVALID_MODEL_FILE',
    /`general.alignment`/,
  ],
  [
    'alignment 24',
    (input) => setField(input, 'general.alignment', 24),
    'INVALID_MODEL_FILE',
    /`general.alignment`/,
  ],
  [
    'alignment of 2^31',
    (input) => setField(input, 'general.alignment', 2 ** 31),
    'INVALID_MODEL_FILE',
    /`general.alignment`/,
  ],
  [
    'EOS id outside',
    (input) => setField(input, 'tokenizer.ggml.eos_token_id', 261),
    'INVALID_MODEL_FILE',
    /261/,
  ],
  ['no tokenizer', (input) => dropField(input, 'tokenizer.ggml.model'), 'INVALID_MODEL_FILE', /no tokenizer/],
  [
    'unknown tokenizer model',
    (input) => setField(input, 'tokenizer.ggml.model', 'rwkv'),
    'UNSUPPORTED_MODEL',
    /"rwkv"/,
  ],
  [
    'unknown pre-tokenizer',
    (input) => setField(input, 'tokenizer.ggml.pre', 'klingon'),
    'UNSUPPORTED_MODEL',
    /"klingon"/,
  ],
  ['no tokens', (input) => dropField(input, 'tokenizer.ggml.tokens'), 'INVALID_MODEL_FILE', /tokens/],
  [
    'a token too few',
    (input) => (input.fields.find(({ key }) => key.endsWith('.tokens'))!.value as string[]).pop(),
    'INVALID_MODEL_FILE',
    /260 tokens/,
  ],
  [
    'a token twice',
    (input) => ((input.fields.find(({ key }) => key.endsWith('.tokens'))!.value as string[])[9] = 'he'),
    'INVALID_MODEL_FILE',
    /appears twice/,
  ],
  [
    'token types too few',
    (input) => (input.fields.find(({ key }) => key.endsWith('_type'))!.value as number[]).pop(),
    'INVALID_MODEL_FILE',
    /token_type/,
  ],
  [
    'tokens as numbers',
    (input) =>
      Object.assign(
        input.fields.find(({ key }) => key.endsWith('.tokens'))!,
        { value: [1], elementType: GGUF.U32 },
      ),
    'INVALID_MODEL_FILE',
    /array of strings/,
  ],
  [
    'merge of unknown tokens',
    (input) => (input.fields.find(({ key }) => key.endsWith('.merges'))!.value = ['q zz']),
    'INVALID_MODEL_FILE',
    /merge 0/,
  ],
  [
    'merge without a space',
    (input) => (input.fields.find(({ key }) => key.endsWith('.merges'))!.value = ['q']),
    'INVALID_MODEL_FILE',
    /merge 0/,
  ],
  [
    'template as number',
    (input) =>
      Object.assign(
        input.fields.find(({ key }) => key.endsWith('template'))!,
        { type: GGUF.U32, value: 1 },
      ),
    'INVALID_MODEL_FILE',
    /not a string/,
  ],
];

describe('a damaged GGUF', () => {
  test.each(DAMAGE)('%s', (_, damage, code, message) => {
    const error = errorOf(() => openBytes(changed(damage)));
    expectError(error, code, message);
    expect(error.remedy).not.toBe('');
  });

  /** Headers written byte by byte, for lies that the writer above would not tell. */
  const head = (keys: number, ...parts: Buffer[]) =>
    Buffer.concat([Buffer.from('GGUF'), u32(3), u64(0), u64(keys), ...parts, Buffer.alloc(64)]);

  test.each([
    ['key length beyond the file', head(1, u64(60000), Buffer.from('x'))],
    ['key length of 2^63', head(1, u64(HUGE))],
    ['string value of a terabyte', head(1, ggufString('k'), u32(GGUF.STRING), u64(2 ** 40))],
    ['array of 2^60 bytes', head(1, ggufString('k'), u32(GGUF.ARRAY), u32(GGUF.U8), u64(2n ** 52n))],
    [
      'array of 2^61 numbers',
      head(1, ggufString('tokenizer.k'), u32(GGUF.ARRAY), u32(GGUF.U64), u64(2n ** 61n)),
    ],
    [
      'array of 2^50 strings',
      head(1, ggufString('tokenizer.k'), u32(GGUF.ARRAY), u32(GGUF.STRING), u64(2n ** 50n)),
    ],
    ['key that is not UTF-8', head(1, u64(2), Buffer.from([0xff, 0xfe]), u32(4), u32(1))],
    ['value that is not UTF-8', head(1, ggufString('k'), u32(8), u64(2), Buffer.from([0xc3, 0x28]))],
    ['empty file', Buffer.alloc(0)],
    ['three bytes', Buffer.from('GGU')],
    ['only zeros', Buffer.alloc(4096)],
    ['only ones', Buffer.alloc(4096, 0xff)],
  ])('%s', (_, bytes) => {
    expect(['INVALID_MODEL_FILE', 'UNSUPPORTED_MODEL']).toContain(errorOf(() => openBytes(bytes)).code);
  });

  test('a terabyte of nothing (sparse file) after a lying array is refused at once', () => {
    writeFileSync(path, head(1, ggufString('k'), u32(GGUF.ARRAY), u32(GGUF.STRING), u64(2n ** 36n)));
    truncateSync(path, 2 ** 40);
    const started = performance.now();
    expect(errorOf(() => openModelSource(path)).code).toBe('INVALID_MODEL_FILE');
    expect(performance.now() - started).toBeLessThan(5000);
  });

  test('truncated anywhere', () => {
    const whole = encodeGguf(tinyGguf());
    for (let length = 0; length < whole.length - 32; length += 97) {
      expect(errorOf(() => openBytes(whole.subarray(0, length))).code).toBe('INVALID_MODEL_FILE');
    }
  });

  test('random damage gives an LspError or a model, never anything else', () => {
    const whole = encodeGguf(tinyGguf());
    const headerEnd = whole.length - 12000;
    const random = seededUniform(20);
    let failures = 0;
    for (let round = 0; round < 1500; round += 1) {
      const bytes = Buffer.from(whole);
      const flips = 1 + Math.floor(random() * 4);
      for (let flip = 0; flip < flips; flip += 1) {
        const at = Math.floor(random() * headerEnd);
        bytes[at] = random() < 0.3 ? 0xff : bytes[at]! ^ (1 << Math.floor(random() * 8));
      }
      try {
        openBytes(bytes);
      } catch (error) {
        failures += 1;
        if (!(error instanceof LspError)) throw error;
        // The catch-all of openModelSource must not be what saves us.
        expect(error.message).not.toContain('could not be read');
      }
    }
    expect(failures).toBeGreaterThan(500);
  });
});
