/**
 * The Learner: turns dLoss/dlogprob per completion token into gradients and AdamW updates of a model's weights.
 * The loss itself is TypeScript (see losses/); forward and backward passes are native.
 */
import { types } from 'node:util';
import { LspError } from '../errors';
import { type AskedLoss, askedLoss, checkGradient, isNotEmpty, regroup, trainSequences } from './group-loss';
import { readLearnerState } from './learner-state';
import { checkLoraOptions, type LoraOptions, readPeftAdapter } from '../model/adapter';
import { LanguageModel, checkParameterName } from '../model/language-model';
import { checkTokens } from '../model/generate-options';
import { requireLearnerFits } from '../model/memory';
import type { LossGradient, TrainingGroup } from '../model/types';
import type { NativeAdapter, NativeLearner } from '../native/addon';
import { nativeSync, withSignal } from '../native/call';
import { loadAddon } from '../native/load';
import {
  checkOptions,
  expectArray,
  expectBoolean,
  expectInteger,
  expectNumber,
  expectSignal,
  expectString,
  invalid,
  isRecord,
} from '../options';

export interface LearnerOptions {
  /** AdamW's rate, or a function of the number of updates made so far (default 1e-5, for some 100M parameters). */
  learningRate?: number | ((step: number) => number);
  /** Decay rates of AdamW's first and second moment, from 0 to 1 − 6e-8 (default [0.9, 0.999]). */
  betas?: readonly [number, number];
  /** Added to the root of the second moment, from 1e-30 to 1e6 (default 1e-8). */
  eps?: number;
  /** Decoupled, on matrices only (default 0). */
  weightDecay?: number;
  /** The gradient is scaled down to this global L2 norm (default 1); Infinity is off. */
  maxGradNorm?: number;
  /** Bytes of activations a micro-batch may hold (default: the model's `memoryBudget`). Results do not depend on it. */
  activationBudget?: number;
  /**
   * Keep only the input of each layer and compute its activations once more in the backward pass (default false): a
   * token then takes about a quarter of the memory, and an update about a third more arithmetic. Results are the same
   * bits.
   */
  gradientCheckpointing?: boolean;
  /** Train a LoRA adapter on the model, whose own weights stay as they are; `{}` takes the defaults. */
  lora?: LoraOptions;
}

export interface AccumulateOptions {
  /** Of the distribution that was sampled: the logits are divided by it (default 1). */
  temperature?: number;
  signal?: AbortSignal;
}

const OPTIONS = [
  'learningRate',
  'betas',
  'eps',
  'weightDecay',
  'maxGradNorm',
  'activationBudget',
  'gradientCheckpointing',
  'lora',
] satisfies (keyof LearnerOptions)[];

/** The update is computed in f32: a decay rate that rounds to 1 would divide by zero, and so would a smaller eps. */
const MAX_BETA = 1 - 6e-8;
const MIN_EPS = 1e-30;
const MAX_RATE = 1e6;

interface CheckedOptions {
  learningRate: (step: number) => number;
  beta1: number;
  beta2: number;
  eps: number;
  weightDecay: number;
  maxGradNorm: number;
}

export class Learner implements AsyncDisposable {
  readonly #native: NativeLearner;
  readonly #options: CheckedOptions;
  readonly #release: () => void;
  /** Updates made once all steps that were asked for are done. */
  #updates = 0;
  #disposal: Promise<void> | undefined;

  private constructor(
    readonly model: LanguageModel,
    native: NativeLearner,
    options: CheckedOptions,
  ) {
    this.#native = native;
    this.#options = options;
    this.#release = model.adopt(this);
  }

  /**
   * A learner for all weights of the model, or with `lora` for an adapter that it puts on the model: generation and
   * scoring are with it at once, and `model.clone({ adapter: false })` is the model before. It shares the model's queue:
   * its work and the model's never interleave. Its own operations run one after the other in the order of their calls,
   * awaited or not.
   * @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION, OUT_OF_MEMORY (gradients and moments take three times what is
   *   trained); with `lora.adapter` also as `model.loadAdapter`
   */
  static async create(model: LanguageModel, options?: LearnerOptions): Promise<Learner> {
    if (!(model instanceof LanguageModel)) throw invalid('model', 'a LanguageModel', model);
    const given = checkOptions(options, OPTIONS, 'Learner.create');
    const checked = checkLearnerOptions(given);
    const activationBudgetBytes = expectInteger(
      'activationBudget',
      given.activationBudget ?? model.memoryBudget,
      {
        min: 1,
      },
    );
    const gradientCheckpointing = expectBoolean(
      'gradientCheckpointing',
      given.gradientCheckpointing ?? false,
    );
    if (given.lora === undefined) {
      requireTrainable(model);
      requireLearnerFits(model.config);
    } else {
      await attachAdapter(model, given.lora);
    }
    const native = nativeSync(
      () => new (loadAddon().Learner)(model.native, { activationBudgetBytes, gradientCheckpointing }),
    );
    return new Learner(model, native, checked);
  }

  /** Updates made so far (AdamW's t). */
  get stepCount(): number {
    return this.#use().stepCount();
  }

  /**
   * Adds the gradient of Σ lossGradient · log p(completion token) to the gradient. All or nothing: an abort, a
   * failure or a callback that throws leaves the gradient as it was.
   *
   * @param groups prompts (at least one token) and their completions (token ids; empty ones count for nothing)
   * @param lossGradient [group][completion] → dLoss/dlogprob, one value a completion token; or a function that returns
   *   it for one group, given the log-probabilities of its completions. It is called once for each group, in no order
   *   that could be relied on, between forward and backward pass. There is no second forward pass unless a group does
   *   not fit into a micro-batch (`activationBudget`).
   * @returns log-probabilities of the completion tokens, [group][completion]; the same bits as `model.logprobs` gives
   * @throws LspError INVALID_ARGUMENT (shapes, ids, values that are not finite), PROMPT_TOO_LONG, OUT_OF_MEMORY,
   *   DISPOSED; what the callback throws; the signal's reason when aborted
   */
  async accumulate(
    groups: readonly TrainingGroup[],
    lossGradient: LossGradient,
    options?: AccumulateOptions,
  ): Promise<{ logprobs: Float32Array[][] }> {
    const given = checkOptions(options, ['temperature', 'signal'], 'accumulate');
    const temperature = expectNumber('temperature', given.temperature ?? 1, { above: 0 });
    const signal = expectSignal('signal', given.signal);
    const native = this.#use();
    const checked = this.#checkGroups(groups);
    const sequences = checked.flatMap(trainSequences);
    signal?.throwIfAborted();
    const loss: AskedLoss =
      typeof lossGradient === 'function'
        ? askedLoss(checked, lossGradient)
        : { gradient: checkGradient(checked, lossGradient).filter(isNotEmpty) };
    if (sequences.length === 0) return { logprobs: regroup(checked, []) };
    try {
      const logprobs = await withSignal(signal, (handle) =>
        native.accumulate(sequences, loss.gradient, temperature, handle),
      );
      return { logprobs: regroup(checked, logprobs) };
    } catch (error) {
      throw loss.failure ? loss.failure.thrown : error;
    }
  }

  /**
   * A dry step: takes all the memory that training on such groups will take, so that a run fails at once or not at
   * all. Moments and weights of its own are kept; a key-value cache of `cacheBytes`, and the activations of as many of
   * the groups as fill a micro-batch, are given back. Weights, gradient and update count stay as they are.
   *
   * @param groups as long as any that will come; the ids do not matter
   * @throws LspError OUT_OF_MEMORY, INVALID_ARGUMENT (a gradient has been accumulated), PROMPT_TOO_LONG, DISPOSED
   */
  async rehearse(
    groups: readonly TrainingGroup[],
    options?: { cacheBytes?: number; signal?: AbortSignal },
  ): Promise<void> {
    const given = checkOptions(options, ['cacheBytes', 'signal'], 'rehearse');
    const cacheBytes = expectInteger('cacheBytes', given.cacheBytes ?? 0, { min: 0 });
    const signal = expectSignal('signal', given.signal);
    const native = this.#use();
    const sequences = this.#checkGroups(groups).flatMap(trainSequences);
    if (sequences.length === 0) throw invalid('groups', 'at least one completion token', groups);
    await withSignal(signal, (handle) => native.rehearse(sequences, cacheBytes, handle));
  }

  /**
   * The accumulated gradient of a trained parameter, row-major in Hugging Face's layout, before clipping. A tied embedding
   * shows the sum of its use as input and as head.
   */
  async gradient(parameterName: string): Promise<Float32Array> {
    const native = this.#use();
    checkParameterName(this.model.native, parameterName);
    return withSignal(undefined, () => native.gradient(parameterName));
  }

  /** Forgets the accumulated gradient. */
  async zeroGradient(): Promise<void> {
    const native = this.#use();
    return withSignal(undefined, () => native.zeroGradient());
  }

  /**
   * One AdamW update (Loshchilov & Hutter 2019) from the accumulated gradient, clipped by its global norm; the
   * gradient then starts again from zero.
   *
   * @returns the norm before clipping and the learning rate that was used
   * @throws LspError TRAINING_DIVERGED if the gradient is not finite: the weights are as they were
   */
  async step(): Promise<{ gradNorm: number; learningRate: number }> {
    const native = this.#use();
    const { learningRate: schedule, ...rest } = this.#options;
    const learningRate = expectNumber('learningRate', schedule(this.#updates), { min: 0, max: MAX_RATE });
    this.#updates += 1;
    try {
      const { gradNorm } = await withSignal(undefined, () => native.step({ ...rest, learningRate }));
      return { gradNorm, learningRate };
    } catch (error) {
      this.#updates -= 1;
      throw error;
    }
  }

  /** Writes AdamW's moments and the update count to one safetensors file, completely or not at all. */
  async saveState(path: string, options?: { signal?: AbortSignal }): Promise<void> {
    const signal = stateSignal(options, 'saveState');
    const native = this.#use();
    expectString('path', path, { allowEmpty: false });
    await withSignal(signal, (handle) => native.saveState(path, handle));
  }

  /**
   * Continues from a file of `saveState`; the model must hold the weights saved with it.
   * @throws LspError INVALID_MODEL_FILE if it is damaged or of another model, IO_ERROR
   */
  async loadState(path: string, options?: { signal?: AbortSignal }): Promise<void> {
    const signal = stateSignal(options, 'loadState');
    const native = this.#use();
    expectString('path', path, { allowEmpty: false });
    const { tensors, stepCount } = readLearnerState(path, this.model.native);
    const before = this.#updates;
    this.#updates = stepCount;
    try {
      await withSignal(signal, (handle) => native.loadState(tensors, stepCount, handle));
    } catch (error) {
      this.#updates = before;
      throw error;
    }
  }

  /** Frees gradients and moments; the model stays. Idempotent. */
  async dispose(): Promise<void> {
    this.#disposal ??= this.#native.dispose().finally(this.#release);
    return this.#disposal;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  #use(): NativeLearner {
    if (!this.#disposal) return this.#native;
    throw new LspError('DISPOSED', 'Expected a learner in use but it has been disposed.', {
      remedy: 'Create another one, or dispose it later.',
    });
  }

  #checkGroups(groups: unknown): TrainingGroup[] {
    const { vocabSize, maxPositions } = this.model.config;
    return expectArray('groups', groups).map((group, index) => {
      const name = `groups[${index}]`;
      if (!isRecord(group)) throw invalid(name, '{ prompt, completions }', group);
      const { prompt, completions } = group;
      checkTokens(`${name}.prompt`, prompt, vocabSize);
      const checked = expectArray(`${name}.completions`, completions).map((completion, position) => {
        const where = `${name}.completions[${position}]`;
        if (!types.isInt32Array(completion)) throw invalid(where, 'an Int32Array of token ids', completion);
        if (completion.length > 0) checkTokens(where, completion, vocabSize);
        if (prompt.length + completion.length <= maxPositions) return completion;
        throw new LspError(
          'PROMPT_TOO_LONG',
          `Expected at most ${maxPositions} tokens, the context of the model, for the prompt with \`${where}\` but ` +
            `received ${prompt.length + completion.length}.`,
          { remedy: 'Shorten prompt or completion.' },
        );
      });
      return { prompt, completions: checked };
    });
  }
}

/** All weights of a model can be trained where they are f32 and no adapter stands on them. */
function requireTrainable(model: LanguageModel): void {
  if (model.adapter !== null) {
    throw invalid(
      'model',
      'a model without an adapter',
      'one with an adapter',
      'Merge it (`model.merge()`), or train the adapter: `lora: { adapter: dir }` on the model without it.',
    );
  }
  if (model.dtype === 'f32') return;
  throw invalid(
    'model',
    'a model with weights in f32',
    model.dtype,
    `Load it with \`dtype: 'f32'\`: updates would be lost in ${model.dtype}. Or train an adapter on it: \`lora: {}\`.`,
  );
}

/** Puts the adapter that is to be trained on the model. */
async function attachAdapter(model: LanguageModel, options: LoraOptions): Promise<void> {
  const checked = checkLoraOptions(options, model.config);
  if (model.adapter !== null) {
    throw invalid(
      'lora',
      'a model without an adapter',
      'one with an adapter',
      'Merge it (`model.merge()`), or take `model.clone({ adapter: false })`.',
    );
  }
  const { native } = model;
  const fromFile = 'adapter' in checked ? readPeftAdapter(checked.adapter, model.config) : null;
  const adapter = fromFile?.adapter ?? (checked as { shape: NativeAdapter }).shape;
  requireLearnerFits(model.config, { adapter });
  const seed = 'seed' in checked ? checked.seed : 0n;
  await withSignal(undefined, (handle) =>
    native.attachAdapter(adapter, seed, fromFile?.tensors ?? [], handle),
  );
}

function stateSignal(options: { signal?: AbortSignal } | undefined, owner: string): AbortSignal | undefined {
  return expectSignal('signal', checkOptions(options, ['signal'], owner).signal);
}

function checkLearnerOptions(given: LearnerOptions): CheckedOptions {
  const { learningRate = 1e-5, betas = [0.9, 0.999] } = given;
  const schedule = typeof learningRate === 'function' ? learningRate : undefined;
  const fixed = schedule ? 0 : expectNumber('learningRate', learningRate, { min: 0, max: MAX_RATE });
  const pair = expectArray('betas', betas);
  if (pair.length !== 2) throw invalid('betas', 'two numbers', betas);
  const maxGradNorm = given.maxGradNorm ?? 1;
  return {
    learningRate: schedule ?? (() => fixed),
    beta1: expectNumber('betas[0]', pair[0], { min: 0, max: MAX_BETA }),
    beta2: expectNumber('betas[1]', pair[1], { min: 0, max: MAX_BETA }),
    eps: expectNumber('eps', given.eps ?? 1e-8, { min: MIN_EPS, max: MAX_RATE }),
    weightDecay: expectNumber('weightDecay', given.weightDecay ?? 0, { min: 0, max: MAX_RATE }),
    maxGradNorm: maxGradNorm === Infinity ? Infinity : expectNumber('maxGradNorm', maxGradNorm, { above: 0 }),
  };
}
