/**
 * The one update path: rollouts with advantages in, one (or several) AdamW updates out. Every trainer uses it.
 *
 * π_old, the policy of the rollouts' log-probabilities, is the trained one before its first update, bit for bit. Where it
 * sampled at temperature 1 itself, they came with the rollouts, and dLoss/dlogprob is known before the training forward.
 * Else (another temperature, or a policy that was rounded, whose tokens are weighted: importance.ts) the first update's
 * own forward pass brings them: dLoss/dlogprob is computed in a callback. So it is from the second update on a batch of
 * rollouts: the weights have moved, and ratios are those of that forward's log-probabilities to the stored ones.
 *
 * All roles go into a single `accumulate`, which is all or nothing: an abort can never leave half a gradient behind.
 */
import { LspError } from '../errors';
import type { Completion, LossGradient, SamplingPrecision, TrainingGroup } from '../model/types';
import { DEFAULT_MAX_WEIGHT, importanceWeights, mismatchOf, type Mismatch } from './importance';
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
  /** What the reference is scored in (default exact): in int8 it is the policy that its rounded weights sample. */
  referencePrecision?: SamplingPrecision;
  /** Compute log-probabilities of the reference, for the statistics, even if the loss needs none. */
  measureKl: boolean;
  /** C: most that a token of a rounded policy's rollouts may weigh. Default 2. */
  maxWeight?: number;
  signal?: AbortSignal;
}

/** One completion, ready for training. */
interface PreparedSample {
  tokens: Int32Array;
  /** Of all its tokens. */
  advantage: number;
  /** Log-probabilities under the policy that sampled; null where that is the trained one. */
  sampled: Float32Array | null;
  /** Null until the first update's forward pass brings it. */
  old: OldPolicy | null;
  referenceLogprobs: Float32Array | null;
  /** Weight of each token: reduction times weight of the role; 0 for a masked completion. */
  tokenWeight: number;
}

/** What π_old makes of a completion: log-probabilities, and the advantages A_t that they weigh. */
interface OldPolicy {
  logprobs: Float32Array;
  advantages: Float64Array;
}

interface PreparedGroup {
  role: string;
  prompt: Int32Array;
  samples: PreparedSample[];
}

interface PreparedBatch {
  role: string;
  weight: number;
  groups: PreparedGroup[];
}

export interface RoleStatistics {
  /** Reduced loss of the role before the first update, without the role's weight. */
  loss: number;
  /** Mean over tokens of k1, an estimate of KL(π_θ ‖ π_ref); null without a reference. */
  kl: number | null;
}

export interface PreparedUpdate {
  batches: PreparedBatch[];
  /** False if every advantage is zero: there is nothing to learn, not even from the KL term. */
  hasSignal: boolean;
}

/** What is known of the rollouts before the first update is made. */
export interface Measured {
  statistics: Record<string, RoleStatistics>;
  /** Of the policy that sampled; null where it was the trained one itself. */
  mismatch: Mismatch | null;
}

export interface UpdateResult extends Measured {
  /** Updates made; 0 if there was no signal. */
  updates: number;
  /** Of the last update. */
  gradNorm: number | null;
  learningRate: number | null;
  /** Share of tokens whose ratio was clipped in the last update, per role. */
  ratioClippedShare: Record<string, number>;
}

export interface UpdateListeners {
  /** Called before the first update is made, or in its place where there is no signal; if it throws, none is made. */
  onMeasured?: (measured: Measured) => void;
  /** Called after each update with the share of those made. */
  onProgress?: (fraction: number) => void;
}

/**
 * Collects what the loss needs beside the training forward: log-probabilities under the reference, and under the policy
 * those of completions that are not trained. Changes nothing.
 */
export async function prepareUpdate(
  model: PolicyModel,
  batches: readonly RolloutBatch[],
  options: UpdateOptions,
): Promise<PreparedUpdate> {
  requireOneVersion(batches);
  const { temperature, signal, loss, reference, referencePrecision = 'exact' } = options;
  if (loss.needsReference && reference === null) {
    throw new LspError('INVALID_ARGUMENT', 'Expected a model for `reference` but received null.', {
      remedy: 'A KL term needs the frozen reference.',
    });
  }
  const prepared = batches.map((batch) => prepareBatch(batch, options));
  const all = sequencesOf(prepared.flatMap(({ groups }) => groups));
  const hasSignal = all.some(({ sample }) => hasAdvantage(sample));

  // Completions carry log-probabilities at temperature 1, of the policy that sampled.
  if (temperature === 1 && all.every(({ sample }) => sample.sampled === null)) {
    const rollouts = batches.flatMap(({ groups }) => groups.flatMap(({ completions }) => completions));
    all.forEach(({ sample }, i) => setOld(sample, rollouts[i]!.logprobs, options));
  } else {
    const left = all.filter(({ sample }) => !hasSignal || !isTrained(sample, loss));
    const scored = await completionLogprobs(model, left, { temperature, signal });
    left.forEach(({ sample }, i) => setOld(sample, scored[i]!, options));
  }
  if (reference !== null && (loss.needsReference || options.measureKl)) {
    const precision = referencePrecision === 'exact' ? {} : { precision: referencePrecision };
    const scored = await completionLogprobs(reference, all, { temperature, signal, ...precision });
    all.forEach(({ sample }, i) => (sample.referenceLogprobs = scored[i]!));
  }
  return { batches: prepared, hasSignal };
}

function prepareBatch(batch: RolloutBatch, options: UpdateOptions): PreparedBatch {
  const { role, weight } = batch;
  const weights = weightsOf(batch, options);
  let next = 0;
  const groups = batch.groups.map(({ prompt, completions, advantages }) => ({
    role,
    prompt,
    samples: completions.map(({ tokens, sampler }, i) => ({
      tokens,
      advantage: advantages[i]!,
      sampled: sampler?.logprobs ?? null,
      old: null,
      referenceLogprobs: null,
      tokenWeight: weights[next++]!,
    })),
  }));
  return { role, weight, groups };
}

function sequencesOf(groups: readonly PreparedGroup[]) {
  return groups.flatMap(({ prompt, samples }) =>
    samples.map((sample) => ({ prompt, tokens: sample.tokens, sample })),
  );
}

/** Whether there is something to learn from a completion. */
function hasAdvantage({ tokens, advantage, tokenWeight }: PreparedSample): boolean {
  return tokenWeight !== 0 && advantage !== 0 && tokens.length > 0;
}

/** Whether a completion can give a gradient: not a masked one, nor one without an advantage if there is no KL. */
function isTrained(sample: PreparedSample, loss: Loss): boolean {
  return hasAdvantage(sample) || (loss.needsReference && sample.tokenWeight !== 0);
}

/** Takes π_old's log-probabilities. A_t is the advantage, weighted where another policy than the trained one sampled. */
function setOld(sample: PreparedSample, logprobs: Float32Array, { maxWeight }: UpdateOptions): void {
  const { tokens, advantage, sampled } = sample;
  const advantages =
    sampled === null
      ? new Float64Array(tokens.length).fill(advantage)
      : // `|| 0`: a negative zero would make reports read oddly.
        importanceWeights(logprobs, sampled, maxWeight ?? DEFAULT_MAX_WEIGHT).map((w) => w * advantage || 0);
  sample.old = { logprobs, advantages };
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
  { onMeasured, onProgress }: UpdateListeners = {},
): Promise<UpdateResult> {
  const { temperature, signal, updatesPerBatch } = options;
  if (!prepared.hasSignal) {
    const measured = measure(prepared, options);
    onMeasured?.(measured);
    return { ...measured, updates: 0, gradNorm: null, learningRate: null, ratioClippedShare: {} };
  }
  const selected = selectTrained(prepared, options.loss);
  const groups: TrainingGroup[] = selected.map(({ prompt, samples }) => ({
    prompt,
    completions: samples.map(({ tokens }) => tokens),
  }));
  signal?.throwIfAborted();
  await learner.accumulate(groups, onPolicy(selected, options), { temperature, signal });
  let result = await orForget(learner, async () => {
    const measured = measure(prepared, options);
    onMeasured?.(measured);
    return { ...measured, ...(await learner.step()), updates: 1, ratioClippedShare: {} };
  });
  onProgress?.(1 / updatesPerBatch);
  for (let updates = 2; updates <= updatesPerBatch; updates++) {
    const clipped = new ClippedCount();
    await learner.accumulate(groups, offPolicy(selected, options.loss, clipped), { temperature });
    const step = await orForget(learner, () => learner.step());
    result = { ...result, ...step, updates, ratioClippedShare: clipped.shares() };
    onProgress?.(updates / updatesPerBatch);
  }
  return result;
}

/** What fails before its step is made must not leave its gradient for the next one to add to. */
async function orForget<T>(learner: PolicyLearner, step: () => Promise<T>): Promise<T> {
  try {
    return await step();
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
  options: { temperature: number; precision?: SamplingPrecision; signal?: AbortSignal },
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

/** Once π_old is known of all completions. */
function measure({ batches }: PreparedUpdate, { loss, maxWeight }: UpdateOptions): Measured {
  const samples = batches.flatMap(({ groups }) => groups.flatMap((group) => group.samples));
  const weighed = samples.flatMap((sample) =>
    sample.sampled === null ? [] : [{ logprobs: oldOf(sample).logprobs, sampled: sample.sampled }],
  );
  return {
    statistics: Object.fromEntries(batches.map((batch) => [batch.role, statisticsOf(batch, loss)])),
    mismatch: mismatchOf(weighed, maxWeight ?? DEFAULT_MAX_WEIGHT),
  };
}

function statisticsOf({ groups, weight }: PreparedBatch, loss: Loss): RoleStatistics {
  let total = 0;
  let tokens = 0;
  let kl: number | null = null;
  for (const sample of groups.flatMap(({ samples }) => samples)) {
    const { logprobs } = oldOf(sample);
    const { loss: values } = loss.evaluate(tokenSample(sample, logprobs));
    total += sample.tokenWeight * values.reduce((sum, value) => sum + value, 0);
    if (sample.referenceLogprobs !== null) {
      kl = (kl ?? 0) + klEstimate(logprobs, sample.referenceLogprobs) * sample.tokens.length;
      tokens += sample.tokens.length;
    }
  }
  return { loss: weight === 0 ? 0 : total / weight, kl: kl === null || tokens === 0 ? null : kl / tokens };
}

/** Without the completions that can give no gradient. */
function selectTrained({ batches }: PreparedUpdate, loss: Loss): PreparedGroup[] {
  return batches
    .flatMap(({ groups }) => groups)
    .map((group) => ({ ...group, samples: group.samples.filter((sample) => isTrained(sample, loss)) }))
    .filter(({ samples }) => samples.length > 0);
}

/** dLoss/dlogprob where the weights are those of π_old: values if its log-probabilities are known, else a callback. */
function onPolicy(groups: readonly PreparedGroup[], options: UpdateOptions): LossGradient {
  const gradient = ({ samples, role }: PreparedGroup) =>
    samples.map((sample) => {
      const evaluated = options.loss.evaluate(tokenSample(sample, oldOf(sample).logprobs));
      return weighted(evaluated.gradient, sample, role);
    });
  if (groups.every(({ samples }) => samples.every(({ old }) => old !== null))) return groups.map(gradient);
  return (logprobs, index) => {
    const group = groups[index]!;
    group.samples.forEach((sample, i) => setOld(sample, logprobs[i]!, options));
    return gradient(group);
  };
}

function offPolicy(groups: readonly PreparedGroup[], loss: Loss, clipped: ClippedCount): LossGradient {
  return (logprobs, index) => {
    const { samples, role } = groups[index]!;
    return samples.map((sample, i) => {
      const { gradient, clippedTokens } = loss.evaluate(tokenSample(sample, logprobs[i]!));
      clipped.add(role, clippedTokens, gradient.length);
      return weighted(gradient, sample, role);
    });
  };
}

function oldOf({ old }: PreparedSample): OldPolicy {
  if (old !== null) return old;
  throw new LspError(
    'INTERNAL',
    'Expected log-probabilities of a completion that is trained but received none.',
    { remedy: 'A learner must call the callback of `accumulate` once for each group.' },
  );
}

function tokenSample(sample: PreparedSample, logprobs: Float32Array): TokenSample {
  const { logprobs: oldLogprobs, advantages } = oldOf(sample);
  return { logprobs, oldLogprobs, referenceLogprobs: sample.referenceLogprobs, advantages };
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
