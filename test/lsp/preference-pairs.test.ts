/** Pairs for DPO on a tiny random model: what becomes of text, and that the gradient is that of the loss. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dpo, type PairGradient } from '../../lib/learn/losses';
import { Learner } from '../../lib/learn/learner';
import {
  bestAndWorst,
  completionLogprobs,
  encodePreference,
  pairGradient,
  type PreferencePair,
} from '../../lib/lsp/preference-pairs';
import { LanguageModel } from '../../lib/model/language-model';
import { writeTinyModel } from '../support/tiny-model';

const root = mkdtempSync(join(tmpdir(), 'lsp-pairs-'));
const source = writeTinyModel(join(root, 'tiny'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

async function withModel(use: (model: LanguageModel) => Promise<void>): Promise<void> {
  await using model = await LanguageModel.load(source, { threads: 1 });
  await use(model);
}

const ROWS = [
  { prompt: 'Is it so?', chosen: 'Yes.', rejected: 'no, never' },
  { prompt: [{ role: 'user', content: 'Name a bird' }], chosen: 'wren', rejected: 'a' },
];
const NAME = 'model.norm.weight';

test('a row becomes its prompt and two replies that end as a turn ends', () =>
  withModel(async ({ tokenizer }) => {
    const { prompt, completions } = encodePreference(tokenizer, ROWS[0]!);
    expect(prompt).toEqual(tokenizer.encodeChat([{ role: 'user', content: 'Is it so?' }]));
    const texts = completions.map((tokens) => tokenizer.decode(tokens, { skipSpecial: false }));
    expect(texts).toEqual(['Yes.<|im_end|>', 'no, never<|im_end|>']);
    const untrusted = encodePreference(tokenizer, { ...ROWS[0]!, chosen: 'a<|im_end|>' });
    const [end] = completions[0].slice(-1);
    expect(untrusted.completions[0].filter((token) => token === end)).toHaveLength(1);
  }));

test('what is no row is refused', () =>
  withModel(async ({ tokenizer }) => {
    const encode = (row: object) => () => encodePreference(tokenizer, row as never);
    expect(encode({ ...ROWS[0], rejected: 'Yes.' })).toThrow(/another reply than `chosen`/);
    expect(encode({ ...ROWS[0], chosen: '' })).toThrow(/non-empty string for `chosen`/);
    expect(encode({ ...ROWS[0], choosen: 'x' })).toThrow(/Did you mean `chosen`/);
  }));

test('the best and the worst of a group, the first of equals', () => {
  const prompt = Int32Array.of(1);
  const answers = [10, 11, 12, 13, 14].map((token) => ({ tokens: Int32Array.of(token) }));
  const pairOf = (rewards: (number | null)[]) => bestAndWorst(prompt, answers, rewards);
  expect(pairOf([null, 0.5, 1, 0.2, 1])).toEqual({
    prompt,
    completions: [Int32Array.of(12), Int32Array.of(13)],
  });
  expect(pairOf([0.3, 0.1 + 0.2, 0.3, null, 0.3])).toBeNull();
  expect(pairOf([null, null, null, null, 1])).toBeNull();
  expect(() => pairOf([1])).toThrow(/5 rewards/);
});

/** DPO's loss of the model's weights as they are, from sums of log-probabilities and nothing else. */
async function lossOf(
  model: LanguageModel,
  pairs: readonly PreferencePair[],
  reference: readonly Float32Array[][],
  beta: number,
): Promise<number> {
  const sum = (values: Float32Array) => values.reduce((a, b) => a + b, 0);
  const now = await completionLogprobs(model, pairs);
  const losses = now.map(([chosen, rejected], i) => {
    const gap = sum(chosen!) - sum(rejected!) - sum(reference[i]![0]!) + sum(reference[i]![1]!);
    return Math.log(1 + Math.exp(-beta * gap));
  });
  return losses.reduce((a, b) => a + b) / losses.length;
}

test('begins at ln 2 exactly, and its gradient is that of the loss (central differences)', () =>
  withModel(async (model) => {
    const pairs = ROWS.map((row) => encodePreference(model.tokenizer, row));
    const reference = await completionLogprobs(model, pairs);
    await using learner = await Learner.create(model, { learningRate: 1e-2 });
    const seen: PairGradient[] = [];
    const gradient = pairGradient(dpo({ beta: 0.5 }), reference, (result) => seen.push(result));
    await learner.accumulate(pairs, gradient);
    expect(seen.map(({ loss, margin }) => [loss, margin])).toEqual([
      [Math.LN2, 0],
      [Math.LN2, 0],
    ]);
    await learner.step(); // away from the reference, where the derivative is not the same for all pairs

    seen.length = 0;
    await learner.accumulate(pairs, gradient);
    const expected = await lossOf(model, pairs, reference, 0.5);
    // Sums of some ten float32 values of size 5: an error of some 1e-6 each.
    expect(Math.abs((seen[0]!.loss + seen[1]!.loss) / 2 - expected)).toBeLessThan(1e-5);
    expect(expected).toBeLessThan(Math.LN2);
    const analytic = await learner.gradient(NAME);
    const before = await model.parameter(NAME);
    const largest = analytic.reduce(
      (best, value, i) => (Math.abs(value) > Math.abs(analytic[best]!) ? i : best),
      0,
    );
    const h = 0.02;
    const at = async (by: number) => {
      const values = before.slice();
      values[largest]! += by;
      await model.native.writeTensor(NAME, values);
      return lossOf(model, pairs, reference, 0.5);
    };
    const slope = ((await at(h)) - (await at(-h))) / (2 * h);
    // Central differences: rounding of the sums, 1e-6 / 2h = 2.5e-5, and as much again for the step.
    expect(Math.abs(slope - analytic[largest]!)).toBeLessThan(5e-5);
    expect(Math.abs(slope)).toBeGreaterThan(2e-3);
  }));

test('learns to prefer', () =>
  withModel(async (model) => {
    const pairs = ROWS.map((row) => encodePreference(model.tokenizer, row));
    const reference = await completionLogprobs(model, pairs);
    await using learner = await Learner.create(model, { learningRate: 3e-3 });
    let margins: number[] = [];
    for (let step = 0; step < 10; step++) {
      margins = [];
      await learner.accumulate(
        pairs,
        pairGradient(dpo(), reference, ({ margin }) => margins.push(margin)),
      );
      await learner.step();
    }
    expect(Math.min(...margins)).toBeGreaterThan(0.1);
  }));

test('a reference of other shape, or a group of three, is refused before anything is learnt', () =>
  withModel(async (model) => {
    const pairs = ROWS.map((row) => encodePreference(model.tokenizer, row));
    const reference = await completionLogprobs(model, pairs);
    await using learner = await Learner.create(model);
    const swapped = reference.map(([chosen, rejected]) => [rejected!, chosen!]);
    await expect(learner.accumulate(pairs, pairGradient(dpo(), swapped))).rejects.toThrow(
      /reference\[0\]\[0\]/,
    );
    const three = pairs.map(({ prompt, completions }) => ({
      prompt,
      completions: [...completions, completions[0]],
    }));
    const ofThree = await completionLogprobs(model, three);
    await expect(learner.accumulate(three, pairGradient(dpo(), ofThree))).rejects.toThrow(/two completions/);
    expect((await learner.gradient(NAME)).every((value) => value === 0)).toBe(true);
  }));
