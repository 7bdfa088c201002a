/**
 * The update on a real engine beside the way with two passes, written down here: score all completions with the policy,
 * compute weights, statistics and gradients from that, and train with values. Every number has the same bits.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Learner } from '../../lib/learn/learner';
import {
  gspo,
  klEstimate,
  klInReward,
  policyGradient,
  tokenWeights,
  withKl,
  type Loss,
} from '../../lib/learn/losses';
import {
  applyUpdate,
  completionLogprobs,
  prepareUpdate,
  type RolloutBatch,
  type UpdateOptions,
  type UpdateResult,
} from '../../lib/learn/update';
import { LanguageModel } from '../../lib/model/language-model';
import { writeTinyModel } from '../support/tiny-model';

const root = mkdtempSync(join(tmpdir(), 'lsp-update-'));
const source = writeTinyModel(join(root, 'tiny'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const MOST = 1.01;
const PROMPTS = [Int32Array.of(5, 6, 7, 8), Int32Array.of(5, 6, 9), Int32Array.of(40, 41, 42)];

interface Sampling {
  temperature: number;
  precision: 'exact' | 'int8';
}

/** Rollouts of two roles; some are done, some cut off, some without an advantage. */
async function rollouts(
  model: LanguageModel,
  sampling: Sampling,
  advantageOf: (index: number) => number,
): Promise<RolloutBatch[]> {
  const completions = await model.generate(PROMPTS, {
    ...sampling,
    samples: 5,
    maxNewTokens: 12,
    minNewTokens: 2,
    seed: 3,
  });
  const groups = completions.map((group, g) => ({
    prompt: PROMPTS[g]!,
    completions: group.map((completion, i) => ({
      ...completion,
      tokens: completion.tokens.slice(0, 12 - i),
      logprobs: completion.logprobs.slice(0, 12 - i),
      finishReason: i % 3 === 1 ? ('length' as const) : ('eos' as const),
      ...(completion.sampler && {
        sampler: { ...completion.sampler, logprobs: completion.sampler.logprobs.slice(0, 12 - i) },
      }),
    })),
    advantages: group.map((_, i) => advantageOf(5 * g + i)),
  }));
  return [
    { role: 'solver', weight: 1, maxNewTokens: 12, groups: groups.slice(0, 2) },
    { role: 'challenger', weight: 0.3, maxNewTokens: 12, groups: groups.slice(2) },
  ];
}

/** Everything scored beforehand. */
async function twoPasses(
  learner: Learner,
  batches: readonly RolloutBatch[],
  options: UpdateOptions,
): Promise<UpdateResult> {
  const { temperature, loss, reference, reduction, maskTruncated, updatesPerBatch } = options;
  const model = learner.model;
  const flat = batches.flatMap((batch) => {
    const completions = batch.groups.flatMap((group) => group.completions);
    const weights = tokenWeights(
      reduction,
      completions.map(({ tokens }) => tokens.length),
      completions.map(({ finishReason }) => !(maskTruncated && finishReason === 'length')),
      batch.maxNewTokens,
    );
    let next = 0;
    return batch.groups.flatMap((group) =>
      group.completions.map(({ tokens, sampler }, i) => ({
        batch,
        group,
        prompt: group.prompt,
        tokens,
        sampled: sampler?.logprobs,
        advantage: group.advantages[i]!,
        tokenWeight: weights[next++]! * batch.weight,
      })),
    );
  });
  const old = await completionLogprobs(model, flat, { temperature });
  const reached = reference && (await completionLogprobs(reference, flat, { temperature }));
  let [tokens, weight, truncated, kl, largest] = [0, 0, 0, 0, 0];
  const samples = flat.map((sample, i) => {
    const oldLogprobs = old[i]!;
    const advantages = Float64Array.from(oldLogprobs, (logprob, t) => {
      if (sample.sampled === undefined) return sample.advantage;
      const difference = logprob - sample.sampled[t]!;
      const ratio = Math.exp(difference);
      tokens++;
      weight += Math.min(MOST, ratio);
      truncated += Number(ratio > MOST);
      kl += Math.expm1(difference) - difference;
      largest = Math.max(largest, Math.abs(difference));
      return Math.min(MOST, ratio) * sample.advantage || 0;
    });
    const referenceLogprobs = reached?.[i] ?? null;
    const evaluate = (logprobs: Float32Array) =>
      loss.evaluate({ logprobs, oldLogprobs, referenceLogprobs, advantages });
    return { ...sample, oldLogprobs, referenceLogprobs, evaluate };
  });
  const statistics = Object.fromEntries(
    batches.map((batch) => {
      let [total, count, apart] = [0, 0, 0];
      for (const sample of samples.filter((one) => one.batch === batch)) {
        const { loss: values } = sample.evaluate(sample.oldLogprobs);
        total += sample.tokenWeight * values.reduce((sum, value) => sum + value, 0);
        if (sample.referenceLogprobs === null) continue;
        apart += klEstimate(sample.oldLogprobs, sample.referenceLogprobs) * sample.tokens.length;
        count += sample.tokens.length;
      }
      return [batch.role, { loss: total / batch.weight, kl: count === 0 ? null : apart / count }];
    }),
  );
  const mismatch =
    tokens === 0
      ? null
      : { meanWeight: weight / tokens, truncatedShare: truncated / tokens, kl: kl / tokens, largest };
  const result: UpdateResult = {
    statistics,
    mismatch,
    updates: 0,
    gradNorm: null,
    learningRate: null,
    ratioClippedShare: {},
  };
  if (!samples.some(({ tokenWeight, advantage }) => tokenWeight !== 0 && advantage !== 0)) return result;
  const trained = samples.filter(
    ({ tokenWeight, advantage }) => tokenWeight !== 0 && (loss.needsReference || advantage !== 0),
  );
  const groups = [...new Set(trained.map(({ group }) => group))].map((group) =>
    trained.filter((sample) => sample.group === group),
  );
  for (let update = 1; update <= updatesPerBatch; update++) {
    const now = await completionLogprobs(model, groups.flat(), { temperature });
    const clipped: Record<string, [number, number]> = {};
    let next = 0;
    const gradient = groups.map((group) =>
      group.map(({ evaluate, tokenWeight, batch }) => {
        const evaluated = evaluate(now[next++]!);
        const [some, all] = clipped[batch.role] ?? [0, 0];
        clipped[batch.role] = [some + evaluated.clippedTokens, all + evaluated.gradient.length];
        return Float32Array.from(evaluated.gradient, (value) => value * tokenWeight);
      }),
    );
    await learner.accumulate(
      groups.map((group) => ({ prompt: group[0]!.prompt, completions: group.map((one) => one.tokens) })),
      gradient,
      { temperature },
    );
    const shares = Object.entries(clipped).map(([role, [some, all]]) => [role, some / all] as const);
    Object.assign(result, await learner.step(), {
      updates: update,
      ratioClippedShare: update === 1 ? {} : Object.fromEntries(shares),
    });
  }
  return result;
}

interface Case extends Sampling {
  loss: Loss;
  updates: number;
  mask?: boolean;
  /** No completion has an advantage. */
  flat?: boolean;
  /** Bytes of activations: everything at once, or one sequence at a time. */
  activationBudget?: number;
}

const COLD = { temperature: 0.7, precision: 'exact' } as const;
const ROUNDED = { temperature: 1, precision: 'int8' } as const;
const BOTH = { temperature: 0.7, precision: 'int8' } as const;
const CASES: [string, Case][] = [
  ['the policy itself', { temperature: 1, precision: 'exact', loss: policyGradient(), updates: 2 }],
  ['a temperature', { ...COLD, loss: policyGradient(), updates: 1 }],
  ['a temperature, masked', { ...COLD, loss: withKl(policyGradient()), updates: 2, mask: true }],
  ['int8', { ...ROUNDED, loss: policyGradient(), updates: 1 }],
  ['int8, several updates', { ...ROUNDED, loss: policyGradient(), updates: 3 }],
  ['int8, masked', { ...ROUNDED, loss: policyGradient(), updates: 1, mask: true }],
  ['int8, KL as a loss', { ...ROUNDED, loss: withKl(policyGradient(), { form: 'k3' }), updates: 2 }],
  ['both, whole answers', { ...BOTH, loss: gspo(), updates: 3, mask: true }],
  ['both, KL in the reward', { ...BOTH, loss: klInReward(policyGradient(), 0.1), updates: 3, mask: true }],
  ['both, KL in the reward of whole answers', { ...BOTH, loss: klInReward(gspo(), 0.1), updates: 2 }],
  ['both, a group at a time', { ...BOTH, loss: gspo(), updates: 2, activationBudget: 1 }],
  ['both, no signal', { ...BOTH, loss: policyGradient(), updates: 2, flat: true }],
  ['both, no signal but a KL term', { ...BOTH, loss: withKl(policyGradient()), updates: 2, flat: true }],
];

test.each(CASES)('the bits of two passes: %s', async (_, { loss, updates, mask, flat, ...given }) => {
  const { temperature, precision, activationBudget } = given;
  const outcome = async (apply: typeof twoPasses) => {
    await using model = await LanguageModel.load(source, { threads: 1 });
    await using start = await model.clone();
    await using learner = await Learner.create(model, {
      learningRate: (step) => 0.003 + 0.001 * step,
      ...(activationBudget && { activationBudget }),
    });
    // Away from the reference, so that there is a KL.
    await learner.accumulate(
      [{ prompt: PROMPTS[0]!, completions: [Int32Array.of(9, 10, 11)] }],
      [[Float32Array.of(-1, 1, -1)]],
    );
    await learner.step();
    const batches = await rollouts(model, { temperature, precision }, (i) => (flat ? 0 : ((i * 7) % 5) - 2));
    const result = await apply(learner, batches, {
      loss,
      reduction: 'token-mean',
      maskTruncated: mask ?? false,
      updatesPerBatch: updates,
      temperature,
      reference: start,
      measureKl: true,
      maxWeight: MOST,
    });
    const names = [...model.native.parameterNames()];
    const weights = await Promise.all(names.map((name) => model.parameter(name)));
    return { result, weights: weights.map((values) => createHash('sha256').update(values).digest('hex')) };
  };
  const measured = jest.fn();
  const fused = await outcome(async (learner, batches, options) => {
    const prepared = await prepareUpdate(learner.model, batches, options);
    return applyUpdate(learner, prepared, options, { onMeasured: measured });
  });
  const expected = await outcome(twoPasses);
  expect(fused).toEqual(expected);
  // The comparison means something.
  const { result } = fused;
  expect(result.updates).toBe(flat ? 0 : updates);
  expect(result.mismatch === null).toBe(precision === 'exact');
  if (result.mismatch) expect(result.mismatch.truncatedShare).toBeGreaterThan(0);
  expect(Math.abs(result.statistics['solver']!.kl!)).toBeGreaterThan(0);
  const { statistics, mismatch } = result;
  expect(measured.mock.calls).toEqual([[{ statistics, mismatch }]]);
});
