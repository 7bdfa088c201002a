/** LanguageModel on a tiny random model: options, prompts, stop strings, streams, saving, disposal. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LanguageModel } from '../../lib/model/language-model';
import type { Completion, Prompt } from '../../lib/model/types';
import { expectError, rejectionOf } from '../support/errors';
import { encodeGguf, tinyGguf } from '../support/tiny-gguf';
import { SLOW_MODEL } from '../support/native-model';
import { tinyTokenizer, writeTinyModel } from '../support/tiny-model';

const root = mkdtempSync(join(tmpdir(), 'lsp-model-'));
const source = join(root, 'tiny');
let model: LanguageModel;
/** The only completion of the only prompt. */
async function one(completions: Promise<Completion[][]>): Promise<Completion> {
  const [[completion]] = (await completions) as [[Completion]];
  return completion;
}

/** Two characters from the middle of a text that no broken character interrupts. */
function middleOf(text: string): string {
  return /(?<=.{3})[^\ufffd]{2}/s.exec(text)![0];
}

beforeAll(async () => {
  writeTinyModel(source);
  model = await LanguageModel.load(source, { threads: 1 });
});
afterAll(async () => {
  await model.dispose();
  rmSync(root, { recursive: true, force: true });
});

describe('loading', () => {
  test.each<[string, object, string, RegExp]>([
    ['unknown option', { thread: 1 }, 'UNKNOWN_OPTION', /Did you mean `threads`/],
    ['no threads', { threads: 0 }, 'INVALID_ARGUMENT', /`threads`/],
    ['half a thread', { threads: 1.5 }, 'INVALID_ARGUMENT', /`threads`/],
    ['a device that is not there', { device: 'cuda' }, 'INVALID_ARGUMENT', /processor only/],
    ['an unknown device', { device: 'gpu' }, 'INVALID_ARGUMENT', /`device`/],
    ['an unknown type', { dtype: 'int4' }, 'INVALID_ARGUMENT', /`dtype`/],
    ['no budget', { memoryBudget: 0 }, 'INVALID_ARGUMENT', /`memoryBudget`/],
    ['a signal that is none', { signal: {} }, 'INVALID_ARGUMENT', /`signal`/],
  ])('%s', async (_, options, code, message) => {
    expectError(await rejectionOf(LanguageModel.load(source, options)), code as 'INVALID_ARGUMENT', message);
  });

  test('a source that is not there', async () => {
    expectError(await rejectionOf(LanguageModel.load(join(root, 'nope'))), 'IO_ERROR', /ENOENT/);
    expectError(await rejectionOf(LanguageModel.load('')), 'INVALID_ARGUMENT', /`source`/);
    expectError(await rejectionOf(LanguageModel.load('org/name.gguf')), 'IO_ERROR', /ENOENT/);
  });

  test('progress ends at the whole, and a signal stops it with its reason', async () => {
    const seen: number[] = [];
    await using loaded = await LanguageModel.load(source, {
      onProgress: ({ loadedBytes, totalBytes }) => seen.push(loadedBytes / totalBytes),
    });
    expect(seen.at(-1)).toBe(1);
    expect(loaded.config.parameterCount).toBe(model.config.parameterCount);
    const reason = new Error('enough');
    await expect(LanguageModel.load(source, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });

  test.each<[string, string, object, string]>([
    [
      'tokenizer',
      'tokenizer.json',
      { ...tinyTokenizer(), model: { type: 'BPE', vocab: {}, merges: [['x', 'y']] } },
      'INVALID_MODEL_FILE',
    ],
    [
      'chat template',
      'tokenizer_config.json',
      { eos_token: '<|im_end|>', chat_template: '{% if %}' },
      'INVALID_CHAT_TEMPLATE',
    ],
  ])('a damaged %s is refused', async (_, file, content, code) => {
    const path = writeTinyModel(join(root, `damaged-${file}`));
    writeFileSync(join(path, file), JSON.stringify(content));
    expect((await rejectionOf(LanguageModel.load(path))).code).toBe(code);
  });

  test('a GGUF', async () => {
    const path = join(root, 'tiny.gguf');
    writeFileSync(path, encodeGguf(tinyGguf()));
    await using loaded = await LanguageModel.load(path, { threads: 1 });
    const [completions] = await loaded.generate(['the'], { maxNewTokens: 4, temperature: 0 });
    expect(completions![0]!.tokens.length).toBeGreaterThan(0);
  });
});

describe('generating', () => {
  test('shape, and the same tokens for the same seed and stream in any batch', async () => {
    const prompts: Prompt[] = ['the user', [{ role: 'user', content: 'hi' }], Int32Array.of(5, 6, 7)];
    const all = await model.generate(prompts, { maxNewTokens: 6, samples: 2, seed: 3 });
    expect(all.map((row) => row.length)).toEqual([2, 2, 2]);
    for (const { tokens, logprobs, entropies, policyVersion } of all.flat()) {
      expect(logprobs).toHaveLength(tokens.length);
      expect(entropies).toHaveLength(tokens.length);
      expect(policyVersion).toBe(model.policyVersion);
    }
    const alone = await one(
      model.generate([prompts[2]!], {
        maxNewTokens: 6,
        seed: 3n,
        streamIds: [[5]],
      }),
    );
    expect(alone.tokens).toEqual(all[2]![1]!.tokens);
    expect(alone.logprobs).toEqual(all[2]![1]!.logprobs);
  });

  test('log-probabilities are those of `logprobs`, bit for bit', async () => {
    const prompt = Int32Array.of(10, 20, 30);
    const completion = await one(model.generate([prompt], { maxNewTokens: 8 }));
    const [scored] = await model.logprobs([Int32Array.of(...prompt, ...completion.tokens)]);
    expect(scored!.slice(prompt.length - 1)).toEqual(completion.logprobs);
  });

  test('next-token log-probabilities are a slice of the same distribution', async () => {
    const prompt = Int32Array.of(10, 20, 30);
    const all = Int32Array.from({ length: model.config.vocabSize }, (_, id) => id);
    const [next] = await model.nextLogprobs([prompt], all);
    const total = next!.reduce((sum, value) => sum + Math.exp(value), 0);
    expect(total).toBeCloseTo(1, 4); // 288 values in f32
    const [scored] = await model.logprobs([Int32Array.of(10, 20, 30, 40)]);
    expect(next![40]).toBe(scored![2]);
  });

  test('no prompts, no completions', async () => {
    expect(await model.generate([])).toEqual([]);
    expect(await model.logprobs([])).toEqual([]);
  });

  test.each<[string, unknown, object, string, RegExp]>([
    ['unknown option', 'x', { maxTokens: 3 }, 'UNKNOWN_OPTION', /maxNewTokens/],
    ['empty text', '', {}, 'INVALID_ARGUMENT', /prompts\[0\]/],
    ['no messages', [], {}, 'INVALID_ARGUMENT', /prompts\[0\]/],
    ['no tokens', new Int32Array(0), {}, 'INVALID_ARGUMENT', /at least one token/],
    ['a token outside', Int32Array.of(1, 288), {}, 'INVALID_ARGUMENT', /prompts\[0\]\[1\]/],
    ['a negative token', Int32Array.of(-1), {}, 'INVALID_ARGUMENT', /prompts\[0\]\[0\]/],
    ['other typed arrays', new Float32Array(3), {}, 'INVALID_ARGUMENT', /prompts\[0\]/],
    ['a number', 3, {}, 'INVALID_ARGUMENT', /prompts\[0\]/],
    ['a prompt as long as the context', new Int32Array(512).fill(5), {}, 'PROMPT_TOO_LONG', /512/],
    [
      'prompt plus completion',
      new Int32Array(500).fill(5),
      { maxNewTokens: 13 },
      'PROMPT_TOO_LONG',
      /at most 12/,
    ],
    ['no new tokens', 'x', { maxNewTokens: 0 }, 'INVALID_ARGUMENT', /maxNewTokens/],
    [
      'minimum beyond the maximum',
      'x',
      { maxNewTokens: 2, minNewTokens: 3 },
      'INVALID_ARGUMENT',
      /minNewTokens/,
    ],
    ['negative temperature', 'x', { temperature: -1 }, 'INVALID_ARGUMENT', /temperature/],
    ['NaN temperature', 'x', { temperature: NaN }, 'INVALID_ARGUMENT', /temperature/],
    ['topP 0', 'x', { topP: 0 }, 'INVALID_ARGUMENT', /topP/],
    ['negative topK', 'x', { topK: -1 }, 'INVALID_ARGUMENT', /topK/],
    ['no samples', 'x', { samples: 0 }, 'INVALID_ARGUMENT', /samples/],
    ['negative seed', 'x', { seed: -1 }, 'INVALID_ARGUMENT', /seed/],
    ['stream ids of another shape', 'x', { streamIds: [[1, 2]] }, 'INVALID_ARGUMENT', /streamIds\[0\]/],
    ['stream ids for other prompts', 'x', { streamIds: [] }, 'INVALID_ARGUMENT', /streamIds/],
    ['empty stop string', 'x', { stop: '' }, 'INVALID_ARGUMENT', /stop/],
    ['progress that is no function', 'x', { onProgress: 3 }, 'INVALID_ARGUMENT', /onProgress/],
  ])('%s', async (_, prompt, options, code, message) => {
    const error = await rejectionOf(model.generate([prompt as Prompt], options));
    expectError(error, code as 'INVALID_ARGUMENT', message);
  });

  test('the default length shrinks to the room that is left', async () => {
    const completion = await one(model.generate([new Int32Array(510).fill(5)]));
    expect(completion.tokens.length).toBeLessThanOrEqual(2);
  });

  test('an aborted call rejects with the reason, before and during', async () => {
    const reason = new Error('stop it');
    await expect(model.generate(['x'], { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    await using slow = await LanguageModel.load(writeTinyModel(join(root, 'slow'), SLOW_MODEL));
    const controller = new AbortController();
    const running = slow.generate([Int32Array.of(5)], {
      maxNewTokens: 60_000,
      minNewTokens: 60_000,
      signal: controller.signal,
      onProgress: () => controller.abort(reason),
    });
    await expect(running).rejects.toBe(reason);
    expect((await slow.generate(['x'], { maxNewTokens: 1 }))[0]).toHaveLength(1);
  });

  test('progress counts tokens and finished sequences', async () => {
    const seen: { tokens: number; finished: number; total: number }[] = [];
    const [row] = await model.generate(['x'], {
      maxNewTokens: 5,
      samples: 3,
      onProgress: (entry) => seen.push(entry),
    });
    const tokens = row!.reduce((sum, completion) => sum + completion.tokens.length, 0);
    expect(seen.at(-1)).toEqual({ tokens, finished: 3, total: 3 });
  });
});

describe('stop strings', () => {
  const prompt = Int32Array.of(5, 6, 7);
  const options = { maxNewTokens: 40, minNewTokens: 40, seed: 9 };

  /** Text of the unstopped completion, from which stop strings are taken. */
  async function unstopped() {
    const completion = await one(model.generate([prompt], options));
    return completion;
  }

  test('the text ends before the string, the tokens with the one that completed it', async () => {
    const whole = await unstopped();
    const stop = middleOf(whole.text);
    const at = whole.text.indexOf(stop);
    expect(at).toBeGreaterThan(0);
    const stopped = await one(model.generate([prompt], { ...options, stop }));
    expect(stopped.text).toBe(whole.text.slice(0, at));
    expect(stopped.finishReason).toBe('stop');
    expect(stopped.tokens.length).toBeLessThan(40);
    expect(stopped.logprobs).toHaveLength(stopped.tokens.length);
    expect(stopped.tokens).toEqual(whole.tokens.slice(0, stopped.tokens.length));
    expect(model.tokenizer.decode(stopped.tokens)).toContain(stop);
    expect(model.tokenizer.decode(stopped.tokens.slice(0, -1))).not.toContain(stop);
  });

  test('a string that does not come changes nothing', async () => {
    const whole = await unstopped();
    const same = await one(model.generate([prompt], { ...options, stop: ['never there'] }));
    expect(same).toEqual(whole);
  });
});

describe('streaming', () => {
  const prompt = Int32Array.of(5, 6, 7);
  const options = { maxNewTokens: 40, minNewTokens: 40, seed: 9 };

  async function collect(stream: AsyncIterable<string>): Promise<string[]> {
    const pieces: string[] = [];
    for await (const piece of stream) pieces.push(piece);
    return pieces;
  }

  test('the pieces are the text, also with stop strings', async () => {
    const whole = await one(model.generate([prompt], options));
    const pieces = await collect(model.stream(prompt, options));
    expect(pieces.length).toBeGreaterThan(1);
    expect(pieces.join('').replaceAll('\ufffd', '')).toBe(whole.text.replaceAll('\ufffd', ''));
    const stop = middleOf(whole.text);
    const stopped = await one(model.generate([prompt], { ...options, stop }));
    expect((await collect(model.stream(prompt, { ...options, stop }))).join('')).toBe(stopped.text);
  });

  test('step by step it ends with the completion', async () => {
    const whole = await one(model.generate([prompt], options));
    const stream = model.stream(prompt, options);
    let step = await stream.next();
    while (!step.done) step = await stream.next();
    expect(step.value).toEqual(whole);
  });

  test('leaving the loop cancels, and the model goes on', async () => {
    await using slow = await LanguageModel.load(writeTinyModel(join(root, 'slow'), SLOW_MODEL));
    let pieces = 0;
    for await (const piece of slow.stream(prompt, { maxNewTokens: 60_000, minNewTokens: 60_000 })) {
      expect(piece).not.toBe('');
      pieces += 1;
      break;
    }
    expect(pieces).toBe(1);
    expect((await slow.generate(['x'], { maxNewTokens: 1 }))[0]).toHaveLength(1); // not after 60,000 tokens
  });

  test('an abort and a bad option', async () => {
    const reason = new Error('no more');
    await expect(collect(model.stream('x', { signal: AbortSignal.abort(reason) }))).rejects.toBe(reason);
    expect(() => model.stream('x', { samples: 2 })).toThrow(/`samples`/);
    expect(() => model.stream('')).toThrow(/`prompt`/);
  });
});

describe('scoring', () => {
  test.each<[string, unknown, object, RegExp]>([
    ['not an array', 'x', {}, /`sequences`/],
    ['an empty sequence', [new Int32Array(0)], {}, /sequences\[0\]/],
    ['temperature 0', [Int32Array.of(1, 2)], { temperature: 0 }, /temperature/],
    ['unknown option', [Int32Array.of(1, 2)], { temperatur: 1 }, /Did you mean/],
    ['too long', [new Int32Array(513)], {}, /512/],
  ])('%s', async (_, sequences, options, message) => {
    expect((await rejectionOf(model.logprobs(sequences as Int32Array[], options))).message).toMatch(message);
  });

  test('a single token has nothing to score', async () => {
    expect((await model.logprobs([Int32Array.of(4)]))[0]).toHaveLength(0);
  });
});

describe('saving', () => {
  test('what is saved loads again with the same bits', async () => {
    const dir = join(root, 'saved/deep');
    await model.save(dir);
    expect(readdirSync(join(root, 'saved'))).toEqual(['deep']);
    await using again = await LanguageModel.load(dir, { threads: 1 });
    expect(again.config).toEqual(model.config);
    expect(again.tokenizer.eosTokenIds).toEqual(model.tokenizer.eosTokenIds);
    const sequence = Int32Array.of(5, 6, 7, 8, 9);
    expect(await again.logprobs([sequence])).toEqual(await model.logprobs([sequence]));
    const messages = [{ role: 'user', content: 'hi <|im_end|>' }];
    expect(again.tokenizer.encodeChat(messages)).toEqual(model.tokenizer.encodeChat(messages));
    await model.save(dir); // its own work may be replaced
    expect(readdirSync(join(root, 'saved'))).toEqual(['deep']);
  });

  test('a GGUF becomes a directory that loads with the same bits', async () => {
    const path = join(root, 'save.gguf');
    writeFileSync(path, encodeGguf(tinyGguf()));
    const dir = join(root, 'from-gguf');
    await using loaded = await LanguageModel.load(path, { threads: 1 });
    await loaded.save(dir);
    await using again = await LanguageModel.load(dir, { threads: 1 });
    expect({ ...again.config }).toEqual({ ...loaded.config });
    const sequence = Int32Array.of(5, 6, 7, 8, 9);
    expect(await again.logprobs([sequence])).toEqual(await loaded.logprobs([sequence]));
    expect(again.tokenizer.encode('12 the')).toEqual(loaded.tokenizer.encode('12 the'));
  });

  test.each(['f16', 'bf16'] as const)('%s takes half the space', async (dtype) => {
    const dir = join(root, `saved-${dtype}`);
    await model.save(dir, { dtype });
    const bytes = readFileSync(join(dir, 'model.safetensors')).length;
    expect(bytes).toBeLessThan(model.config.parameterCount * 2 + 10_000);
    await using again = await LanguageModel.load(dir, { threads: 1 });
    const [exact] = await model.logprobs([Int32Array.of(5, 6, 7)]);
    const [rounded] = await again.logprobs([Int32Array.of(5, 6, 7)]);
    // Eight bits of mantissa in bf16: a few percent in logits of order one.
    expect(Math.abs(exact![0]! - rounded![0]!)).toBeLessThan(0.1);
  });

  test('what is not ours is not overwritten', async () => {
    const foreign = join(root, 'foreign');
    mkdirSync(foreign);
    writeFileSync(join(foreign, 'thesis.tex'), 'x');
    expectError(await rejectionOf(model.save(foreign)), 'INVALID_ARGUMENT', /thesis.tex/);
    expect(readdirSync(foreign)).toEqual(['thesis.tex']);
    expectError(await rejectionOf(model.save(source)), 'INVALID_ARGUMENT', /from elsewhere/);
    const file = join(root, 'file');
    writeFileSync(file, 'x');
    expectError(await rejectionOf(model.save(file)), 'IO_ERROR', /ENOTDIR/);
  });

  test('a failure leaves nothing', async () => {
    const dir = join(root, 'aborted');
    const reason = new Error('no');
    await expect(model.save(dir, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(existsSync(dir)).toBe(false);
    expectError(await rejectionOf(model.save('/proc/nothing/here')), 'IO_ERROR', /ENOENT/);
    expectError(
      await rejectionOf(model.save(dir, { dtype: 'f64' } as object)),
      'INVALID_ARGUMENT',
      /`dtype`/,
    );
    expect(readdirSync(root).filter((name) => name.startsWith('.'))).toEqual([]);
  });
});

describe('lifecycle', () => {
  test('a clone answers with the same bits and outlives the original', async () => {
    const original = await LanguageModel.load(source, { threads: 1 });
    const clone = await original.clone();
    const sequence = Int32Array.of(5, 6, 7);
    const expected = await original.logprobs([sequence]);
    await original.dispose();
    expect(await clone.logprobs([sequence])).toEqual(expected);
    await clone.dispose();
  });

  test('disposing twice is fine, using afterwards is not', async () => {
    const gone = await LanguageModel.load(source, { threads: 1 });
    await gone.dispose();
    await gone.dispose();
    expectError(await rejectionOf(gone.generate(['x'])), 'DISPOSED', /disposed/);
    expectError(await rejectionOf(gone.clone()), 'DISPOSED', /disposed/);
    expect(() => gone.policyVersion).toThrow(/disposed/);
  });

  test('parameters can be read by name', async () => {
    expect(model.parameterNames()).toContain('model.norm.weight');
    expect(await model.parameter('model.norm.weight')).toHaveLength(32);
    expectError(await rejectionOf(model.parameter('nope')), 'INVALID_ARGUMENT', /name of a parameter/);
  });
});
