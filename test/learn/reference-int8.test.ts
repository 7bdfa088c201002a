/** The reference in int8 with real weights: the policy that samples in int8, and the KL to it. */
import { GrpoTrainer, LanguageModel, Learner, type StepMetrics } from '../../lib';
import { rewardFrom } from '../../lib/rewards/reward';
import { policyGradient, withKl } from '../../lib/learn/losses';
import { prepareUpdate, type UpdateOptions } from '../../lib/learn/update';
import type { SamplingPrecision } from '../../lib/model/types';

const QUERIES = ['Sort: k c a', 'What is 3 + 4?', 'Reverse: a b c d'].map((prompt) => ({ prompt }));
const reward = rewardFrom(({ answer }) => answer.length % 3);

let model: LanguageModel;
beforeAll(async () => {
  model = await LanguageModel.load('tiny', { threads: 2 });
});
afterAll(() => model.dispose());

test.each([1, 0.8])(
  'at the beginning it is the policy that sampled, bit for bit, at temperature %d',
  async (temperature) => {
    await using reference = await model.clone();
    const held = reference.native.weightBytes();
    const prompts = QUERIES.map(({ prompt }) =>
      model.tokenizer.encodeChat([{ role: 'user', content: prompt }]),
    );
    const sampling = { precision: 'int8', samples: 4, maxNewTokens: 12, temperature } as const;
    const completions = await model.generate(prompts, sampling);
    const groups = prompts.map((prompt, i) => ({
      prompt,
      completions: completions[i]!,
      advantages: [1, -1, 2, 0],
    }));
    const batch = { role: 'solver', weight: 1, maxNewTokens: 12, groups };
    const options: UpdateOptions = {
      loss: withKl(policyGradient()),
      reduction: 'constant',
      maskTruncated: false,
      updatesPerBatch: 1,
      temperature,
      reference,
      measureKl: false,
    };
    const referenceOf = async (more: Partial<UpdateOptions>) => {
      const prepared = await prepareUpdate(model, [batch], { ...options, ...more });
      return prepared.batches[0]!.groups.flatMap(({ samples }) => samples);
    };
    for (const sample of await referenceOf({ referencePrecision: 'int8' }))
      expect(sample.referenceLogprobs).toEqual(sample.sampled);
    expect(reference.native.weightBytes()).toBe(held);
    const exact = await referenceOf({});
    expect(exact.map((sample) => sample.referenceLogprobs)).not.toEqual(exact.map(({ sampled }) => sampled));
  },
);

describe('the KL of a training', () => {
  async function steps(referencePrecision: SamplingPrecision, lora: boolean): Promise<StepMetrics[]> {
    await using policy = await model.clone();
    const rate = lora ? { learningRate: 3e-3, lora: { rank: 4 } } : { learningRate: 3e-4 };
    await using learner = await Learner.create(policy, rate);
    // Measured, without a KL in the loss: both trainings are the same.
    const kl = { kl: { coefficient: 0 }, measureKl: true, referencePrecision };
    const given = { learner, reward, queries: QUERIES, queriesPerStep: 3, seed: 1, ...kl };
    await using trainer = new GrpoTrainer({ ...given, solver: { answers: 6, maxNewTokens: 12 } });
    const metrics: StepMetrics[] = [];
    for await (const result of trainer.run({ steps: 4 })) metrics.push(result.metrics);
    return metrics;
  }

  test.each([
    ['all weights', false],
    ['an adapter', true],
  ])('is near the exact one while the policy moves away: %s', async (_, lora) => {
    const exact = await steps('exact', lora);
    const rounded = await steps('int8', lora);
    const kl = ({ solver }: StepMetrics) => solver.kl!;
    expect(rounded.map(({ gradNorm }) => gradNorm)).toEqual(exact.map(({ gradNorm }) => gradNorm));
    expect(kl(exact[0]!)).toBe(0);
    expect(Math.max(...exact.map(kl))).toBeGreaterThan(0.05);
    for (const [i, metrics] of rounded.entries()) {
      expect(kl(metrics)).not.toBe(kl(exact[i]!));
      expect(Math.abs(kl(metrics) - kl(exact[i]!))).toBeLessThan(0.01 + 0.1 * Math.abs(kl(exact[i]!)));
    }
  });
});
