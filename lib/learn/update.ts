/**
 * The one update path: rollouts with advantages in, one (or several) AdamW updates out. Every trainer uses it.
 *
 * On-policy the rollout's log-probabilities are the trainer's, bit for bit, so dLoss/dlogprob is known before the
 * training forward. Rollouts of a policy that was rounded are on-policy once their tokens are weighted (importance.ts),
 * with log-probabilities that the trainer computes. From the second update on a batch of rollouts the weights have moved,
 * and the derivative is computed in a callback from the log-probabilities of that forward and the stored ones.
 *
 * All roles go into a single `accumulate`, which is all or nothing: an abort can never leave half a gradient behind.
 */
import { LspError } from '../errors';
import type { Completion, TrainingGroup } from '../model/types';
import { DEFAULT_MAX_WEIGHT, ImportanceWeights, type Mismatch } from './importance';
import { klEstimate, tokenWeights, type Loss, type Reduction, type TokenSample } from './losses';
import type { PolicyLearner, PolicyModel } from './policy';

/** Completions of one prompt with their advantages (one per completion; it holds for all its tokens). */
export interface RolloutGroup {
  prompt: Int32Array;
  completions: readonly Completion[];
  advantages: ArrayLike<number>;
}

/** What one role contributes: L = Σ_roles weight · L_role. */
export interface RolloutBatch {
  role: string;
  /** α of the role. */
  weight: number;
  /** The constant of the 'constant' reduction. */
  maxNewTokens: number;
  groups: readonly RolloutGroup[];
}

export interface UpdateOptions {
  loss: Loss;
  reduction: Reduction;
  /** Leave out completions that `maxNewTokens` cut off. */
  maskTruncated: boolean;
  /** Passes over the same rollouts, each with an AdamW update. */
  updatesPerBatch: number;
  /** Temperature of sampling, and so of training. */
  temperature: number;
  /** Needed if `loss.needsReference`. */
  reference: PolicyModel | null;
  /** Compute log-probabilities of the reference, for the statistics, even if the loss needs none. */
  measureKl: boolean;
  /** C: most that a token of a rounded policy's rollouts may weigh. Default 2. */
  maxWeight?: number;
  signal?: AbortSignal;
}

/** One completion, ready for training. */
interface PreparedSample {
  tokens: Int32Array;
  advantages: Float64Array;
  oldLogprobs: Float32Array;
  referenceLogprobs: Float32Array | null;
  /** Weight of each token: reduction times weight of the role; 0 for a masked completion. */
  tokenWeight: number;
}

interface PreparedGroup {
  role: string;
  prompt: Int32Array;
  samples: PreparedSample[];
}

export interface RoleStatistics {
  /** Reduced loss of the role before the first update, without the role's weight. */
  loss: number;
  /** Mean over tokens of k1, an estimate of KL(π_θ ‖ π_ref); null without a reference. */
  kl: number | null;
}

export interface PreparedUpdate {
  groups: PreparedGroup[];
  statistics: Record<string, RoleStatistics>;
  /** Of the policy that sampled; null where it was the trained one itself. */
  mismatch: Mismatch | null;
  /** False if every advantage is zero: there is nothing to learn, not even from the KL term. */
  hasSignal: boolean;
}

export interface UpdateResult {
  /** Updates made; 0 if there was no signal. */
  updates: number;
  /** Of the last update. */
  gradNorm: number | null;
  learningRate: number | null;
  /** Share of tokens whose ratio was clipped in the last update, per role. */
  ratioClippedShare: Record<string, number>;
}

/**
 * Collects what the loss needs: log-probabilities under the sampling weights (at the training temperature) and under
 * the reference. Changes nothing.
 */
export async function prepareUpdate(
  model: PolicyModel,
  batches: readonly RolloutBatch[],
  options: UpdateOptions,
): Promise<PreparedUpdate> {
  const { temperature, signal, loss, reference } = options;
  const sequences = batches.flatMap(({ groups }) =>
    groups.flatMap(({ prompt, completions }) => completions.map(({ tokens }) => ({ prompt, tokens }))),
  );
  requireOneVersion(batches);
  const call = { temperature, signal };
  // Completions carry log-probabilities at temperature 1; any other is computed, and those of the trained policy where
  // a rounded one sampled.
  const isOwn = temperature === 1 && !sampledElsewhere(batches);
  const old = isOwn ? null : await completionLogprobs(model, sequences, call);
  if (loss.needsReference && reference === null) {
    throw new LspError('INVALID_ARGUMENT', 'Expected a model for `reference` but received null.', {
      remedy: 'A KL term needs the frozen reference.',
    });
  }
  const measured = loss.needsReference || options.measureKl;
  const reached =
    measured && reference !== null ? await completionLogprobs(reference, sequences, call) : null;

  const groups: PreparedGroup[] = [];
  const statistics: Record<string, RoleStatistics> = {};
  const importance = new ImportanceWeights(options.maxWeight ?? DEFAULT_MAX_WEIGHT);
  let next = 0;
  for (const batch of batches) {
    const first = groups.length;
    const weights = weightsOf(batch, options);
    let sample = 0;
    for (const { prompt, completions, advantages } of batch.groups) {
      const samples = completions.map((completion, i) => {
        const oldLogprobs = old?.[next + i] ?? completion.logprobs;
        return {
          tokens: completion.tokens,
          advantages: tokenAdvantages(completion, advantages[i]!, oldLogprobs, importance),
          oldLogprobs,
          referenceLogprobs: reached?.[next + i] ?? null,
          tokenWeight: weights[sample + i]!,
        };
      });
      next += completions.length;
      sample += completions.length;
      groups.push({ role: batch.role, prompt, samples });
    }
    statistics[batch.role] = statisticsOf(groups.slice(first), loss, batch.weight);
  }
  const hasSignal = groups.some(({ samples }) =>
    samples.some(({ tokenWeight, advantages }) => tokenWeight !== 0 && advantages.some((a) => a !== 0)),
  );
  return { groups, statistics, mismatch: importance.mismatch(), hasSignal };
}

function sampledElsewhere(batches: readonly RolloutBatch[]): boolean {
  return batches.some(({ groups }) =>
    groups.some(({ completions }) => completions.some(({ sampler }) => sampler !== undefined)),
  );
}

/** A_t: the completion's advantage, weighted where another policy than the trained one sampled. */
function tokenAdvantages(
  { tokens, sampler }: Completion,
  advantage: number,
  logprobs: Float32Array,
  importance: ImportanceWeights,
): Float64Array {
  if (sampler === undefined) return new Float64Array(tokens.length).fill(advantage);
  // `|| 0`: a negative zero would make reports read oddly.
  return importance.of(logprobs, sampler.logprobs).map((weight) => weight * advantage || 0);
}

/**
 * Trains on prepared rollouts. Without any signal nothing is touched: neither weights nor moments, since AdamW would
 * move the weights by its momentum even for a zero gradient.
 *
 * An abort is heeded until the first update is made. After that the remaining updates of the batch are finished, so
 * that the weights are always those of whole steps. (A failure in a later update is different: it stops the run
 * between two updates, and the run goes on from its last checkpoint.)
 *
 * @throws LspError TRAINING_DIVERGED when a derivative is not finite
 */
export async function applyUpdate(
  learner: PolicyLearner,
  prepared: PreparedUpdate,
  options: UpdateOptions,
  onProgress?: (fraction: number) => void,
): Promise<UpdateResult> {
  const result: UpdateResult = { updates: 0, gradNorm: null, learningRate: null, ratioClippedShare: {} };
  if (!prepared.hasSignal) return result;
  const { loss, temperature, signal, updatesPerBatch } = options;
  const selected = selectTrained(prepared.groups, loss);
  const groups: TrainingGroup[] = selected.map(({ prompt, samples }) => ({
    prompt,
    completions: samples.map(({ tokens }) => tokens),
  }));
  for (let update = 0; update < updatesPerBatch; update++) {
    const clipped = new ClippedCount();
    if (update === 0) {
      signal?.throwIfAborted();
      const gradient = selected.map((group) => group.samples.map((one) => onPolicy(one, loss, group.role)));
      await learner.accumulate(groups, gradient, { temperature, signal });
    } else {
      const gradient = (logprobs: Float32Array[], index: number) => {
        const { samples, role } = selected[index]!;
        return samples.map((sample, i) => offPolicy(sample, logprobs[i]!, loss, role, clipped));
      };
      await learner.accumulate(groups, gradient, { temperature });
    }
    const { gradNorm, learningRate } = await stepOrForget(learner);
    Object.assign(result, {
      updates: update + 1,
      gradNorm,
      learningRate,
      ratioClippedShare: clipped.shares(),
    });
    onProgress?.((update + 1) / updatesPerBatch);
  }
  return result;
}

/** A step that fails must not leave its gradient for the next one to add to. */
async function stepOrForget(learner: PolicyLearner): Promise<{ gradNorm: number; learningRate: number }> {
  try {
    return await learner.step();
  } catch (error) {
    await learner.zeroGradient();
    throw error;
  }
}

/** All rollouts must come from the same weights, or "on-policy" would be a lie. */
function requireOneVersion(batches: readonly RolloutBatch[]): void {
  const versions = batches.flatMap(({ groups }) =>
    groups.flatMap(({ completions }) => completions.map(({ policyVersion }) => policyVersion)),
  );
  const stale = versions.find((version) => version !== versions[0]);
  if (stale === undefined) return;
  throw new LspError(
    'INVALID_ARGUMENT',
    `Expected rollouts of one policy version for \`batches\` but received versions ${versions[0]} and ${stale}.`,
    { remedy: 'Do not change the weights while a step is under way.' },
  );
}

/** Token weights of all completions of a batch, in order, the role's weight included. */
function weightsOf(batch: RolloutBatch, options: UpdateOptions): Float64Array {
  const completions = batch.groups.flatMap((group) => group.completions);
  return tokenWeights(
    options.reduction,
    completions.map(({ tokens }) => tokens.length),
    completions.map(({ finishReason }) => !(options.maskTruncated && finishReason === 'length')),
    batch.maxNewTokens,
  ).map((weight) => weight * batch.weight);
}

/** Completion log-probabilities: entry t of a sequence is that of token t + 1, so they begin at prompt length − 1. */
export async function completionLogprobs(
  model: PolicyModel,
  sequences: readonly { prompt: Int32Array; tokens: Int32Array }[],
  options: { temperature: number; signal?: AbortSignal },
): Promise<Float32Array[]> {
  if (sequences.length === 0) return [];
  return model.logprobs(
    sequences.map(({ prompt, tokens }) => {
      const sequence = new Int32Array(prompt.length + tokens.length);
      sequence.set(prompt);
      sequence.set(tokens, prompt.length);
      return sequence;
    }),
    { ...options, promptLengths: sequences.map(({ prompt }) => prompt.length) },
  );
}

function statisticsOf(groups: readonly PreparedGroup[], loss: Loss, weight: number): RoleStatistics {
  let total = 0;
  let tokens = 0;
  let kl: number | null = null;
  for (const sample of groups.flatMap(({ samples }) => samples)) {
    const { loss: values } = loss.evaluate(tokenSample(sample, sample.oldLogprobs));
    total += sample.tokenWeight * values.reduce((sum, value) => sum + value, 0);
    if (sample.referenceLogprobs !== null) {
      kl = (kl ?? 0) + klEstimate(sample.oldLogprobs, sample.referenceLogprobs) * sample.tokens.length;
      tokens += sample.tokens.length;
    }
  }
  return { loss: weight === 0 ? 0 : total / weight, kl: kl === null || tokens === 0 ? null : kl / tokens };
}

/** Leaves out completions that can give no gradient: masked ones, and those without an advantage if there is no KL. */
function selectTrained(groups: readonly PreparedGroup[], loss: Loss): PreparedGroup[] {
  return groups
    .map((group) => ({
      ...group,
      samples: group.samples.filter(
        ({ tokenWeight, advantages }) =>
          tokenWeight !== 0 && (loss.needsReference || advantages.some((advantage) => advantage !== 0)),
      ),
    }))
    .filter(({ samples }) => samples.length > 0);
}

function onPolicy(sample: PreparedSample, loss: Loss, role: string): Float32Array {
  return weighted(loss.evaluate(tokenSample(sample, sample.oldLogprobs)).gradient, sample, role);
}

function offPolicy(
  sample: PreparedSample,
  logprobs: Float32Array,
  loss: Loss,
  role: string,
  clipped: ClippedCount,
): Float32Array {
  const { gradient, clippedTokens } = loss.evaluate(tokenSample(sample, logprobs));
  clipped.add(role, clippedTokens, gradient.length);
  return weighted(gradient, sample, role);
}

function tokenSample(sample: PreparedSample, logprobs: Float32Array): TokenSample {
  const { oldLogprobs, referenceLogprobs, advantages } = sample;
  return { logprobs, oldLogprobs, referenceLogprobs, advantages };
}

function weighted(gradient: Float64Array, { tokenWeight }: PreparedSample, role: string): Float32Array {
  return Float32Array.from(gradient, (value, t) => {
    const result = Math.fround(value * tokenWeight);
    if (Number.isFinite(result)) return result;
    throw new LspError(
      'TRAINING_DIVERGED',
      `Expected a finite dLoss/dlogprob for token ${t} of a ${role} sample but received ${result}.`,
      { remedy: 'No weight was changed by this update. Lower the learning rate, or look at the rewards.' },
    );
  });
}

/** Counts clipped tokens per role. */
class ClippedCount {
  private readonly counts = new Map<string, { clipped: number; tokens: number }>();

  add(role: string, clipped: number, tokens: number): void {
    const count = this.counts.get(role) ?? { clipped: 0, tokens: 0 };
    this.counts.set(role, { clipped: count.clipped + clipped, tokens: count.tokens + tokens });
  }

  shares(): Record<string, number> {
    return Object.fromEntries(
      [...this.counts].map(([role, { clipped, tokens }]) => [role, clipped / tokens]),
    );
  }
}
