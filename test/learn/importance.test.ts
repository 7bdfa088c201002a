/** Rollouts of a rounded policy: the weights of their tokens, worked out by hand, and what the update makes of them. */
import { importanceWeights, mismatchOf } from '../../lib/learn/importance';
import {
  cispo,
  gspo,
  klLoss,
  policyGradient,
  sequencePolicyGradient,
  sumOf,
  type Loss,
} from '../../lib/learn/losses';
import { applyUpdate, prepareUpdate, type RolloutBatch, type UpdateOptions } from '../../lib/learn/update';
import { streamId } from '../../lib/lsp/random';
import type { Completion } from '../../lib/model/types';
import { FakeLearner, FakeModel } from '../lsp/fakes';

const OPTIONS: UpdateOptions = {
  loss: policyGradient(),
  reduction: 'constant',
  maskTruncated: false,
  updatesPerBatch: 1,
  temperature: 1,
  reference: null,
  measureKl: false,
};

describe('importance weights', () => {
  it('weighs by the ratio of probabilities, cut at the limit', () => {
    // Probabilities: trained 1/2, 1/2, 3/4, 1/8; sampled from 1/3, 1/10, 3/4, 1/2: ratios 3/2, 5, 1, 1/4.
    const trained = [1 / 2, 1 / 2, 3 / 4, 1 / 8].map(Math.log);
    const sampled = [1 / 3, 1 / 10, 3 / 4, 1 / 2].map(Math.log);
    const weights = importanceWeights(trained, sampled, 2);
    [1.5, 2, 1, 0.25].forEach((expected, t) => expect(weights[t]).toBeCloseTo(expected, 12));
    const halves = [
      { logprobs: trained.slice(0, 3), sampled: sampled.slice(0, 3) },
      { logprobs: trained.slice(3), sampled: sampled.slice(3) },
    ];
    const mismatch = mismatchOf(halves, 2)!;
    expect(mismatch.meanWeight).toBeCloseTo(4.75 / 4, 12);
    expect(mismatch.truncatedShare).toBe(1 / 4);
    // ρ − 1 − log ρ of each, with log 1.5 = 0.4054651, log 5 = 1.6094379, log 0.25 = −1.3862944.
    const k3 = [0.5 - 0.4054651, 4 - 1.6094379, 0, -0.75 + 1.3862944];
    expect(mismatch.kl).toBeCloseTo((k3[0]! + k3[1]! + k3[2]! + k3[3]!) / 4, 6);
    expect(mismatch.largest).toBeCloseTo(1.6094379, 6);
  });

  it('has nothing to say of nothing', () => {
    expect(mismatchOf([], 2)).toBeNull();
    expect(mismatchOf([{ logprobs: [], sampled: [] }], 2)).toBeNull();
  });
});

/** Rollouts as they are, or as if a policy had sampled them that gives first tokens `shift(i)` nats more. */
async function rollouts(
  model: FakeModel,
  advantages: readonly number[],
  shift?: (index: number) => number,
): Promise<RolloutBatch> {
  const prompt = model.tokenizer.encodeChat([{ role: 'user', content: 'hello' }]);
  const [samples] = await model.generate([prompt], {
    samples: advantages.length,
    streamIds: [advantages.map((_, j) => streamId(0, 'solver', j))],
  });
  const completions = samples!.map((completion, i): Completion => {
    if (!shift) return completion;
    const logprobs = completion.logprobs.map((value, t) => (t === 0 ? value + shift(i) : value));
    return { ...completion, logprobs, sampler: { precision: 'int8', logprobs } };
  });
  return { role: 'solver', weight: 1, maxNewTokens: 64, groups: [{ prompt, completions, advantages }] };
}

async function gradients(
  loss: Loss,
  shift?: (index: number) => number,
  more: Partial<UpdateOptions> = {},
): Promise<Float32Array[]> {
  const theta = { challenger: [0, 0, 0, 0], solver: [0.5, 0, -0.5, 0.2] };
  const learner = new FakeLearner(new FakeModel(undefined, theta));
  const options = { ...OPTIONS, loss, reference: new FakeModel(), ...more };
  const batch = await rollouts(learner.model, [1, -1, 0.5], shift);
  const prepared = await prepareUpdate(learner.model, [batch], options);
  await applyUpdate(learner, prepared, options);
  return learner.calls[0]!.gradient[0]!;
}

// Sampled more often than trained: weights below 1; less often: above, and cut at 2.
const SHIFTS = [0.25, -0.3, -1.5];
const WEIGHTS = [Math.exp(-0.25), Math.exp(0.3), 2];
const shift = (index: number) => SHIFTS[index]!;

describe('the update', () => {
  test.each([
    ['policyGradient', policyGradient()],
    ['cispo', cispo()],
    ['gspo', gspo()],
    ['whole answers', sequencePolicyGradient()],
  ])('weighs the policy-gradient term of %s', async (_, loss) => {
    const exact = await gradients(loss);
    const weighed = await gradients(loss, shift);
    weighed.forEach((gradient, i) => {
      expect(exact[i]![0]).not.toBe(0);
      expect(gradient[0]! / exact[i]![0]!).toBeCloseTo(WEIGHTS[i]!, 5);
      // Tokens that both are certain of keep their bits.
      expect(gradient.slice(1)).toEqual(exact[i]!.slice(1));
    });
  });

  it('leaves the KL term alone', async () => {
    const kl = klLoss('k2', 0.1);
    const term = await gradients(sumOf(kl));
    expect(await gradients(sumOf(kl), shift)).toEqual(term);
    const both = await gradients(sumOf(policyGradient(), kl), shift);
    const policy = await gradients(policyGradient(), shift);
    both.forEach((gradient, i) => expect(gradient[0]! - policy[i]![0]!).toBeCloseTo(term[i]![0]!, 7));
  });

  it('heeds another limit', async () => {
    const [, , third] = await gradients(policyGradient(), shift, { maxWeight: 3 });
    const [, , exact] = await gradients(policyGradient());
    expect(third![0]! / exact![0]!).toBeCloseTo(3, 5);
  });

  it('measures, and learns from the log-probabilities of the trained policy', async () => {
    const theta = { challenger: [0, 0, 0, 0], solver: [0.5, 0, -0.5, 0.2] };
    const update = async (shift?: (index: number) => number) => {
      const learner = new FakeLearner(new FakeModel(undefined, structuredClone(theta)));
      const scoring = jest.spyOn(learner.model, 'logprobs');
      const batch = await rollouts(learner.model, [1, -1, 0.5], shift);
      const prepared = await prepareUpdate(learner.model, [batch], OPTIONS);
      const { mismatch } = await applyUpdate(learner, prepared, OPTIONS);
      expect(scoring).not.toHaveBeenCalled();
      return { mismatch, batch, samples: prepared.batches[0]!.groups[0]!.samples };
    };
    const exact = await update();
    expect(exact.mismatch).toBeNull();
    const { mismatch, batch, samples } = await update(shift);
    const tokens = batch.groups[0]!.completions.reduce(
      (sum, completion) => sum + completion.tokens.length,
      0,
    );
    expect(mismatch!.truncatedShare).toBeCloseTo(1 / tokens, 12);
    expect(mismatch!.largest).toBeCloseTo(1.5, 6);
    expect(mismatch!.meanWeight).toBeCloseTo(
      (tokens - 3 + WEIGHTS.reduce((sum, weight) => sum + weight)) / tokens,
      6,
    );
    samples.forEach(({ old }, i) => expect(old!.logprobs).toEqual(exact.samples[i]!.old!.logprobs));
  });
});
