/** GGUF files that are sound are read whole; see gguf-damage.test.ts and gguf-tensors.test.ts for the others. */
import { Tokenizer } from '../../lib/model/tokenizer';
import { ropeFactors } from '../../lib/model/formats/rope-factors';
import { encodeGguf, GGUF, tinyGguf } from '../support/tiny-gguf';
import { changed, setField, tensorOf, useGgufFile } from './gguf-files';

const { openBytes } = useGgufFile();

describe('a sound GGUF', () => {
  test.each([2, 3])('version %d', (version) => {
    const source = openBytes(changed((input) => (input.version = version)));
    expect(source.config).toMatchObject({
      architecture: 'llama',
      hiddenSize: 8,
      numLayers: 1,
      numHeads: 2,
      numKeyValueHeads: 1,
      headSize: 4,
      vocabSize: 261,
      maxPositions: 128,
      tiedEmbeddings: true,
      eosTokenIds: [2],
      bosTokenId: 1,
      parameterCount: 261 * 8 + 8 * 2 + 8 * 8 * 2 + 4 * 8 * 2 + 16 * 8 * 3 + 8,
    });
    const query = source.tensors.find(({ name }) => name.endsWith('q_proj.weight'));
    expect(query).toMatchObject({ shape: [8, 8], type: 'f32', byteLength: 256, ropePermuted: true });
    expect(source.tensors.find(({ name }) => name.endsWith('v_proj.weight'))).not.toHaveProperty(
      'ropePermuted',
    );
    expect(source.tensors.find(({ name }) => name.endsWith('down_proj.weight'))?.shape).toEqual([8, 16]);
    expect(source.tensors[0]!.offset % 32).toBe(0);
  });

  test('an output matrix makes the head untied', () => {
    const source = openBytes(
      changed((input) =>
        input.tensors.push({ ...tensorOf(input, 'token_embd.weight'), name: 'output.weight' }),
      ),
    );
    expect(source.config.tiedEmbeddings).toBe(false);
  });

  test('another alignment', () => {
    const input = tinyGguf();
    input.alignment = 64;
    setField(input, 'general.alignment', 64);
    expect(openBytes(encodeGguf(input)).tensors[0]!.offset % 64).toBe(0);
  });

  test('arrays nobody reads are skipped, whatever is in them', () => {
    const source = openBytes(
      changed((input) => {
        input.fields.unshift(
          { key: 'general.tags', type: GGUF.ARRAY, elementType: GGUF.STRING, value: ['a', 'b'] },
          { key: 'x.numbers', type: GGUF.ARRAY, elementType: GGUF.U32, value: new Array(300_000).fill(1) },
        );
      }),
    );
    expect(source.config.numLayers).toBe(1);
  });

  test('Llama 3 RoPE factors are recovered exactly', () => {
    const scaling = { factor: 32, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPositions: 8192 };
    const source = openBytes(
      changed((input) => {
        const factors = Float32Array.from(ropeFactors(4, 5e8, scaling));
        setField(input, 'llama.rope.freq_base', 5e8);
        input.tensors.push({
          name: 'rope_freqs.weight',
          dimensions: [2],
          type: 0,
          data: Buffer.from(factors.buffer),
        });
      }),
    );
    expect(source.config.ropeScaling).toEqual(scaling);
  });

  test('RoPE factors of all ones are no scaling', () => {
    const ones = Buffer.from(new Float32Array([1, 1]).buffer);
    const source = openBytes(
      changed((input) =>
        input.tensors.push({ name: 'rope_freqs.weight', dimensions: [2], type: 0, data: ones }),
      ),
    );
    expect(source.config.ropeScaling).toBeUndefined();
  });
});

describe('a SentencePiece tokenizer', () => {
  // What a model of this kind holds: bytes for whatever has no piece, and pieces with scores, best first.
  const bytes = Array.from(
    { length: 256 },
    (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
  );
  const pieces = ['▁a', 'bc', 'ab', '▁abc', '▁', 'a', 'b', 'c'];
  const tokens = ['<unk>', '<s>', '</s>', ...bytes, ...pieces];
  const idOf = (piece: string) => tokens.indexOf(piece);

  function make(prefix = true): Tokenizer {
    const { config, tokenizer } = openBytes(
      changed((input) => {
        setField(input, 'tokenizer.ggml.model', 'llama');
        const strings = input.fields.find(({ key }) => key.endsWith('.tokens'))!;
        strings.value = tokens;
        const types = [2, 3, 3, ...bytes.map(() => 6), ...pieces.map(() => 1)];
        input.fields.find(({ key }) => key.endsWith('_type'))!.value = types;
        const value = tokens.map((_, id) => (id < 259 ? 0 : 258 - id));
        input.fields.push({ key: 'tokenizer.ggml.scores', type: GGUF.ARRAY, elementType: GGUF.F32, value });
        setField(input, 'tokenizer.ggml.unknown_token_id', 0);
        setField(input, 'tokenizer.ggml.add_space_prefix', prefix, GGUF.BOOL);
        const embedding = tensorOf(input, 'token_embd.weight');
        embedding.dimensions = [8, tokens.length];
        embedding.data = Buffer.alloc(32 * tokens.length);
      }),
    );
    return new Tokenizer(tokenizer, { vocabSize: config.vocabSize, eosTokenIds: [2] });
  }

  test('joins by score, falls back to bytes, puts a space first and BOS before prompts', () => {
    const tokenizer = make();
    // ▁a (best) is joined before ab or bc could be; then bc; then both.
    expect([...tokenizer.encode('abc')]).toEqual([idOf('▁abc')]);
    expect([...tokenizer.encode('ab bc')]).toEqual([idOf('▁a'), idOf('b'), idOf('▁'), idOf('bc')]);
    expect([...tokenizer.encode('é')]).toEqual([idOf('▁'), idOf('<0xC3>'), idOf('<0xA9>')]);
    expect([...tokenizer.encodePrompt('a')]).toEqual([1, idOf('▁a')]);
    for (const text of ['abc', 'ab bc', 'é 🙂 x', '</s>', ''])
      expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
    expect([...tokenizer.encode('</s>')]).not.toContain(2);
    expect([...tokenizer.encode('</s>', { parseSpecial: true })]).toContain(2);
  });

  test('without the space in front', () => {
    expect([...make(false).encode('abc')]).toEqual([idOf('a'), idOf('bc')]);
  });
});
