/**
 * Steps of training on random prompts, timed phase by phase: sampling, the reference's log-probabilities, one policy
 * update (ratio and k3 KL, β 0.04). What is learnt is of no interest, so rewards are numbers made up.
 */
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { DEFAULT_MAX_WEIGHT, importanceWeights } from '../learn/importance';
import { Learner, type LearnerOptions } from '../learn/learner';
import { LanguageModel, type LanguageModelLoadOptions } from '../model/language-model';
import type { Compute } from '../model/loading';
import type {
  Completion,
  GenerateOptions,
  LogprobOptions,
  LossGradient,
  TrainingGroup,
} from '../model/types';
import { loadAddon } from '../native/load';
import { expectInteger, expectOneOf } from '../options';
import type { Workload } from './operations';
import { withTimedKernels } from './profile';

/**
 * `exact`: f32, all weights are trained. `lora`: f32, an adapter of rank 16 on all projections is trained. `fast`: the
 * same with rollouts in int8, whose tokens the update weighs, and bf16 where the processor has instructions for it; where
 * it has none, the reference is in int8, too.
 */
export type BenchMode = (typeof BENCH_MODES)[number];
export const BENCH_MODES = ['exact', 'lora', 'fast'] as const;

/** What a mode is: options of the model, its learner and its sampling. */
export interface ModeOptions {
  load?: LanguageModelLoadOptions;
  learner?: LearnerOptions;
  generate?: GenerateOptions;
  /** What gets gradients, for the count of operations. */
  trained: 'weights' | 'adapter';
}

const MODES: Readonly<Record<BenchMode, ModeOptions>> = {
  exact: { trained: 'weights' },
  lora: { learner: { lora: {} }, trained: 'adapter' },
  fast: { learner: { lora: {} }, generate: { precision: 'int8' }, trained: 'adapter' },
};

export function modeOptions(mode: BenchMode): ModeOptions {
  return MODES[mode];
}

/** What products are computed in where nobody says. VDPBF16PS alone is faster than f32 on AMD's processors, not Intel's. */
export function computeOf(mode: BenchMode): Compute {
  const { active } = loadAddon().isa();
  const isFast = active === 'amx' || (active === 'avx512_bf16' && cpus()[0]!.model.startsWith('AMD'));
  return mode === 'fast' && isFast ? 'bf16' : 'f32';
}

export interface StepTimes {
  /** From 1. */
  step: number;
  rolloutSeconds: number;
  rolloutTokensPerSecond: number;
  referenceSeconds: number;
  /** Forward, backward and AdamW. */
  updateSeconds: number;
  /** AdamW's part of it. */
  optimizerSeconds: number;
  totalSeconds: number;
}

/** A policy, its frozen reference and its learner. */
export interface Training extends AsyncDisposable {
  mode: BenchMode;
  model: LanguageModel;
  reference: LanguageModel;
  learner: Learner;
}

export interface TrainingOptions {
  threads?: number;
  mode?: BenchMode;
  /** Of matrix products; the base of an adapter is held in it, too. Default: what fits the mode. */
  compute?: Compute;
  /** Times the kernels, for a profile (default false). */
  profile?: boolean;
  signal?: AbortSignal;
}

const KL_WEIGHT = 0.04;

/** Loads a model for a mode. @throws LspError as `LanguageModel.load` */
export async function openTraining(source: string, options: TrainingOptions = {}): Promise<Training> {
  const mode = expectOneOf('mode', options.mode ?? 'exact', BENCH_MODES);
  const { threads, compute = computeOf(mode), signal, profile = false } = options;
  const ofMode = modeOptions(mode);
  const dtype = ofMode.trained === 'adapter' ? compute : 'f32';
  const loading = { compute, dtype, ...ofMode.load, ...(threads && { threads }), ...(signal && { signal }) };
  const load = (how: LanguageModelLoadOptions) =>
    profile ? withTimedKernels(() => LanguageModel.load(source, how)) : LanguageModel.load(source, how);
  const model = await load(loading);
  try {
    const learner = await Learner.create(model, { learningRate: 1e-6, maxGradNorm: 1, ...ofMode.learner });
    // Beneath an adapter lies the reference itself; beside all weights it stays as its file has it.
    const reference =
      ofMode.trained === 'adapter'
        ? await model.clone({ adapter: false })
        : await load({ ...loading, dtype: 'stored' });
    const dispose = async () => {
      await learner.dispose();
      await reference.dispose();
      await model.dispose();
    };
    return { mode, model, reference, learner, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await model.dispose();
    throw error;
  }
}

/** The sizes of a workload. @throws LspError INVALID_ARGUMENT */
export function checkWorkload(workload: Workload): Workload {
  const { queries, answers, promptTokens, newTokens } = workload;
  return {
    queries: expectInteger('queries', queries, { min: 1, max: 65536 }),
    answers: expectInteger('answers', answers, { min: 1, max: 65536 }),
    promptTokens: expectInteger('promptTokens', promptTokens, { min: 1 }),
    newTokens: expectInteger('newTokens', newTokens, { min: 1 }),
  };
}

/** Prompts of any ids; the same ones in every run. */
export function randomPrompts(count: number, tokens: number, vocabSize: number): Int32Array[] {
  let state = 1;
  const next = () => (state = (state * 48271) % 2147483647);
  return Array.from({ length: count }, () => Int32Array.from({ length: tokens }, () => next() % vocabSize));
}

export interface StepOptions {
  signal?: AbortSignal;
  /** Called when a phase has ended, and `undefined` when a step begins. */
  onPhaseEnd?: (phase: 'rollout' | 'reference' | 'update' | undefined) => void;
}

/** Takes steps one by one, for as long as somebody asks for them. */
export async function* timeSteps(
  training: Training,
  workload: Workload,
  { signal, onPhaseEnd }: StepOptions = {},
): AsyncGenerator<StepTimes, never> {
  const { queries, answers, promptTokens, newTokens } = checkWorkload(workload);
  const { model, reference, learner, mode } = training;
  const prompts = randomPrompts(queries, promptTokens, model.config.vocabSize);
  const options: GenerateOptions & { samples: number } = {
    ...modeOptions(mode).generate,
    samples: answers,
    maxNewTokens: newTokens,
    minNewTokens: newTokens,
    ...(signal && { signal }),
  };
  const sampledExactly = (options.precision ?? 'exact') === 'exact';
  const seconds = (from: number, to: number) => (to - from) / 1000;
  for (let step = 1; ; step++) {
    onPhaseEnd?.(undefined);
    const start = performance.now();
    const completions = await model.generate(prompts, { ...options, seed: step });
    const rolledOut = performance.now();
    onPhaseEnd?.('rollout');
    const references = await logprobsOf(reference, prompts, completions, {
      precision: mode === 'fast' && model.compute === 'f32' ? 'int8' : 'exact',
      ...(signal && { signal }),
    });
    const referenced = performance.now();
    onPhaseEnd?.('reference');
    const groups: TrainingGroup[] = completions.map((group, i) => ({
      prompt: prompts[i]!,
      completions: group.map(({ tokens }) => tokens),
    }));
    await learner.accumulate(groups, lossGradient(completions, references, sampledExactly), {
      ...(signal && { signal }),
    });
    const accumulated = performance.now();
    await learner.step();
    const stepped = performance.now();
    onPhaseEnd?.('update');
    yield {
      step,
      rolloutSeconds: seconds(start, rolledOut),
      rolloutTokensPerSecond: (queries * answers * newTokens) / seconds(start, rolledOut),
      referenceSeconds: seconds(rolledOut, referenced),
      updateSeconds: seconds(referenced, stepped),
      optimizerSeconds: seconds(accumulated, stepped),
      totalSeconds: seconds(start, stepped),
    };
  }
}

/** [query][answer] → log-probabilities of its tokens. */
async function logprobsOf(
  model: LanguageModel,
  prompts: readonly Int32Array[],
  completions: readonly Completion[][],
  options: LogprobOptions,
): Promise<Float32Array[][]> {
  const sequences = completions.flatMap((group, i) =>
    group.map(({ tokens }) => Int32Array.of(...prompts[i]!, ...tokens)),
  );
  const promptLengths = completions.flatMap((group, i) => group.map(() => prompts[i]!.length));
  const flat = await model.logprobs(sequences, { ...options, promptLengths });
  let next = 0;
  return completions.map((group) => group.map(() => flat[next++]!));
}

/**
 * dLoss/dlogprob of the mean over tokens of −w A ρ + β k3: on-policy the ratio ρ is 1, and k3 = exp(r − l) − (r − l) − 1
 * has the derivative 1 − exp(r − l) (Schulman 2020). w is 1, or the importance weight of a token that was sampled in
 * int8.
 *
 * @param sampledExactly whether the rollouts' log-probabilities are those of what is trained; else a callback takes these
 */
function lossGradient(
  completions: readonly Completion[][],
  references: readonly Float32Array[][],
  sampledExactly: boolean,
): LossGradient {
  const tokens = completions.flat().reduce((sum, completion) => sum + completion.tokens.length, 0);
  const gradientOf = (own: Float32Array[] | null, i: number) =>
    completions[i]!.map(({ logprobs: sampled }, j) => {
      const advantage = ((i * completions[i]!.length + j) % 7) - 3;
      const reference = references[i]![j]!;
      const logprobs = own?.[j] ?? sampled;
      const weights = own && importanceWeights(logprobs, sampled, DEFAULT_MAX_WEIGHT);
      return logprobs.map((logprob, t) => {
        const policy = -advantage * (weights?.[t] ?? 1);
        return (policy + KL_WEIGHT * (1 - Math.exp(reference[t]! - logprob))) / tokens;
      });
    });
  return sampledExactly ? completions.map((_, i) => gradientOf(null, i)) : gradientOf;
}

/** Most memory that this process has had, as the kernel counts it. */
export function peakMemoryBytes(): number {
  if (process.platform !== 'linux') return process.resourceUsage().maxRSS * 1024;
  // Not the resource usage: that of a child begins with what its parent had when it was forked.
  const kilobytes = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return Number(kilobytes) * 1024;
}
