/** Products in bf16: near f32, and the same bits from sampling, scoring and training, in any batch, with any threads. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LanguageModel, Learner, type LoadOptions, type LoraOptions, type TrainingGroup } from '../../lib';
import { expectError, rejectionOf } from '../support/errors';
import { FAMILY_CASES, writeFamilyModel } from '../support/family-model';

const directory = mkdtempSync(join(tmpdir(), 'lsp-compute-'));
afterAll(() => rmSync(directory, { recursive: true }));

describe.each(['llama', 'qwen2', 'qwen3'])('%s', (name) => {
  const family = FAMILY_CASES.language[name]!;
  const prompt = Int32Array.from(family.greedy.prompt);
  let path: string;
  beforeAll(() => void (path = writeFamilyModel(join(directory, name), family)));

  /** An answer's log-probabilities as it is sampled, scored, and trained on, and one step later again. */
  async function ways(options: LoadOptions, lora?: LoraOptions) {
    await using model = await LanguageModel.load(path, { compute: 'bf16', ...options });
    await using learner = await Learner.create(model, { learningRate: 1e-2, ...(lora && { lora }) });
    const found = [];
    for (let step = 0; step < 2; step++) {
      const [completions] = await model.generate([prompt], { samples: 5, maxNewTokens: 40, seed: 3 });
      const tokens = completions!.map((completion) => completion.tokens);
      const groups: TrainingGroup[] = [{ prompt, completions: tokens }];
      const scored = await Promise.all(
        tokens.map(async (answer) => {
          const [row] = await model.logprobs([Int32Array.of(...prompt, ...answer)]);
          return row!.slice(prompt.length - 1);
        }),
      );
      const coefficients = [tokens.map((answer, i) => new Float32Array(answer.length).fill(i - 2))];
      const { logprobs } = await learner.accumulate(groups, coefficients);
      found.push({
        sampled: completions!.map((completion) => completion.logprobs),
        scored,
        trained: logprobs[0]!,
      });
      await learner.step();
    }
    return found;
  }

  it.each([
    ['all weights', undefined],
    ['an adapter', { rank: 3 }],
  ])('samples, scores and trains %s with the same bits', async (_, lora) => {
    const alone = await ways({ threads: 1 }, lora);
    for (const { sampled, scored, trained } of alone) {
      expect(scored).toEqual(sampled);
      expect(trained).toEqual(sampled);
    }
    const threaded = await ways({ threads: 3 }, lora);
    expect(threaded).toEqual(alone);
  });

  it('is as near to f32 as weights stored in bf16 are', async () => {
    const sequences = family.sequences.map(({ ids }) => Int32Array.from(ids));
    await using exact = await LanguageModel.load(path);
    await using rounded = await LanguageModel.load(path, { compute: 'bf16' });
    const stored = join(directory, `${name}-rounded`);
    await exact.save(stored, { dtype: 'bf16' });
    await using ofRounded = await LanguageModel.load(stored);
    const expected = (await exact.logprobs(sequences)).flatMap((row) => [...row]);
    const distance = async (model: LanguageModel) => {
      const actual = (await model.logprobs(sequences)).flatMap((row) => [...row]);
      return actual.reduce((sum, value, i) => sum + Math.abs(value - expected[i]!), 0) / actual.length;
    };
    const [ofProducts, ofWeights] = [await distance(rounded), await distance(ofRounded)];
    expect(ofProducts).toBeGreaterThan(0);
    // Twice as many values are rounded, those of the inputs again and again.
    expect(ofProducts).toBeLessThan(4 * ofWeights);
  });

  it('computes the same from weights held in bf16, and clones keep it', async () => {
    const stored = join(directory, `${name}-bf16`);
    await using exact = await LanguageModel.load(path);
    await exact.save(stored, { dtype: 'bf16' });
    await using wide = await LanguageModel.load(stored, { compute: 'bf16', dtype: 'f32' });
    await using narrow = await LanguageModel.load(stored, { compute: 'bf16', dtype: 'bf16' });
    await using copy = await narrow.clone();
    expect([exact.compute, wide.compute, copy.compute]).toEqual(['f32', 'bf16', 'bf16']);
    const expected = await wide.logprobs([prompt]);
    expect(await narrow.logprobs([prompt])).toEqual(expected);
    expect(await copy.logprobs([prompt])).toEqual(expected);
  });
});

it('knows two arithmetics', async () => {
  const loading = LanguageModel.load('tiny', { compute: 'int8' as 'f32' });
  expectError(await rejectionOf(loading), 'INVALID_ARGUMENT', /'f32', 'bf16'.*compute/);
});
