/** How fast a model is as a whole: prefill, decoding, and whole steps of training, beside what the machine can do. */
import { availableParallelism } from 'node:os';
import {
  checkOptions,
  expectFunction,
  expectInteger,
  expectOneOf,
  expectSignal,
  expectString,
} from '../options';
import { type BenchGeometry, geometryOf } from './geometry';
import { benchKernels, betterPeaks, type MachinePeaks } from './kernels';
import {
  causalPairs,
  decodeOperations,
  forwardOperations,
  W1,
  type Workload,
  workloadOperations,
} from './operations';
import {
  BENCH_MODES,
  type BenchMode,
  checkWorkload,
  openTraining,
  randomPrompts,
  type StepTimes,
  timeSteps,
  type Training,
} from './workload';

export interface PhaseResult {
  /** `prefill`, `decode 32`, `rollout`, `reference`, `update`, `step`. */
  phase: string;
  seconds: number;
  /** Tokens sampled or read in that time; of an update and a whole step those that were sampled. */
  tokens: number;
  tokensPerSecond: number;
  /** What no implementation can do without (operations.ts). */
  operations: number;
  gflops: number;
  bound: 'compute' | 'memory';
  /** Of the limit. */
  share: number;
}

export interface ModelBench {
  processor: string;
  isa: string;
  threads: number;
  mode: BenchMode;
  model: string;
  geometry: BenchGeometry;
  workload: Workload;
  /** The better of those measured before and after, each by itself. */
  peaks: MachinePeaks;
  phases: PhaseResult[];
  steps: StepTimes[];
}

export interface ModelBenchOptions {
  /** Default W1: 8 queries × 4 answers, 64 tokens of prompt, 128 sampled tokens each. */
  workload?: Partial<Workload>;
  /** Default `exact`. */
  mode?: BenchMode;
  /** Steps of training, of which the last counts (default 3). */
  steps?: number;
  /** Compute threads (default all cores). */
  threads?: number;
  signal?: AbortSignal;
  /** Called before each phase, with the share of them that is done. */
  onPhase?: (phase: string, done: number) => void;
}

const OPTIONS = [
  'workload',
  'mode',
  'steps',
  'threads',
  'signal',
  'onPhase',
] satisfies (keyof ModelBenchOptions)[];

/** Sequences decoded together. */
const BATCHES = [1, 8, 32];
const PREFILL_TOKENS = 512;
const DECODE_PROMPT = 16;
const DECODE_TOKENS = 64;
/** Of prefill and decoding, of which the best counts. */
const REPEATS = 3;

interface Phase {
  phase: string;
  seconds: number;
  tokens: number;
  operations: number;
  bytes?: number;
}

/**
 * Measures a model. Run it on an idle machine.
 *
 * @throws LspError as `LanguageModel.load` and `Learner.create`; the signal's reason when aborted
 */
export async function benchModel(source: string, options?: ModelBenchOptions): Promise<ModelBench> {
  const { workload, mode, steps, threads, signal, onPhase } = checkModelBenchOptions(source, options);
  const measureMachine = () => benchKernels({ ops: [], threads, ...(signal && { signal }) });
  const total = BATCHES.length + steps + 3;
  let done = 0;
  const begin = (phase: string) => onPhase?.(phase, done++ / total);
  begin('the machine');
  const before = await measureMachine();
  await using training = await openTraining(source, { threads, mode, ...(signal && { signal }) });
  const { model } = training;
  begin('prefill');
  const phases: Phase[] = [await prefill(training, signal)];
  for (const batch of BATCHES) {
    begin(`decode ${batch}`);
    phases.push(await decode(training, batch, signal));
  }
  const times = await takeSteps(training, workload, steps, begin, signal);
  phases.push(...stepPhases(geometryOf(model.config), workload, mode, times.at(-1)!));
  begin('the machine again');
  const after = await measureMachine();
  const peaks = betterPeaks(before.peaks, after.peaks);
  return {
    processor: before.processor,
    isa: before.isa,
    threads,
    mode,
    model: source,
    geometry: geometryOf(model.config),
    workload,
    peaks,
    phases: phases.map((phase) => resultOf(phase, peaks)),
    steps: times,
  };
}

/** The options with their defaults. @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION */
export function checkModelBenchOptions(source: string, options?: ModelBenchOptions) {
  const given = checkOptions(options, OPTIONS, 'benchModel');
  const workload = checkOptions(given.workload, Object.keys(W1), 'workload');
  return {
    source: expectString('model', source, { allowEmpty: false }),
    workload: checkWorkload({ ...W1, ...workload }),
    mode: expectOneOf('mode', given.mode ?? 'exact', BENCH_MODES),
    steps: expectInteger('steps', given.steps ?? 3, { min: 1 }),
    threads: expectInteger('threads', given.threads ?? availableParallelism(), { min: 1, max: 256 }),
    signal: expectSignal('signal', given.signal),
    onPhase: given.onPhase && expectFunction('onPhase', given.onPhase),
  };
}

async function takeSteps(
  training: Training,
  workload: Workload,
  count: number,
  begin: (phase: string) => void,
  signal?: AbortSignal,
): Promise<StepTimes[]> {
  const times: StepTimes[] = [];
  const steps = timeSteps(training, workload, signal);
  while (times.length < count) {
    begin(`step ${times.length + 1} of ${count}`);
    times.push((await steps.next()).value);
  }
  return times;
}

/** A model, and what it samples with. */
type Sampler = Pick<Training, 'model' | 'rollouts'>;

/** Seconds of sampling, the best of a few times. */
async function samplingSeconds(
  { model, rollouts }: Sampler,
  prompts: readonly Int32Array[],
  newTokens: number,
  signal?: AbortSignal,
): Promise<number> {
  let best = Infinity;
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    const start = performance.now();
    const lengths = { maxNewTokens: newTokens, minNewTokens: newTokens };
    await model.generate(prompts, {
      ...lengths,
      seed: repeat,
      precision: rollouts,
      ...(signal && { signal }),
    });
    best = Math.min(best, (performance.now() - start) / 1000);
  }
  return best;
}

/** A long prompt and one token after it. */
async function prefill(sampler: Sampler, signal?: AbortSignal): Promise<Phase> {
  const { model } = sampler;
  const geometry = geometryOf(model.config);
  const tokens = Math.min(PREFILL_TOKENS, model.config.maxPositions - 1);
  const seconds = await samplingSeconds(sampler, randomPrompts(1, tokens, geometry.vocabSize), 1, signal);
  const operations = forwardOperations(geometry, { tokens, pairs: causalPairs(0, tokens), headRows: 1 });
  return { phase: 'prefill', seconds, tokens, operations };
}

/** Short prompts and some tokens after them, without the time that the prompts and their first tokens take. */
async function decode(sampler: Sampler, batch: number, signal?: AbortSignal): Promise<Phase> {
  const { model } = sampler;
  const geometry = geometryOf(model.config);
  const newTokens = Math.min(DECODE_TOKENS, model.config.maxPositions - DECODE_PROMPT);
  const prompts = randomPrompts(batch, DECODE_PROMPT, geometry.vocabSize);
  const whole = await samplingSeconds(sampler, prompts, newTokens, signal);
  const first = await samplingSeconds(sampler, prompts, 1, signal);
  let operations = 0;
  let bytes = 0;
  for (let keys = DECODE_PROMPT + 1; keys < DECODE_PROMPT + newTokens; keys++) {
    const one = decodeOperations(geometry, { batch, keys });
    operations += one.operations;
    bytes += one.bytes;
  }
  // On a busy machine the difference of two short times may be nothing at all.
  const seconds = Math.max(whole - first, 1e-6);
  return { phase: `decode ${batch}`, seconds, tokens: batch * (newTokens - 1), operations, bytes };
}

function stepPhases(geometry: BenchGeometry, workload: Workload, mode: BenchMode, times: StepTimes): Phase[] {
  const operations = workloadOperations(geometry, workload, mode === 'exact' ? 'weights' : 'adapter');
  const tokens = workload.queries * workload.answers * workload.newTokens;
  return [
    { phase: 'rollout', seconds: times.rolloutSeconds, tokens, operations: operations.rollout },
    { phase: 'reference', seconds: times.referenceSeconds, tokens, operations: operations.reference },
    { phase: 'update', seconds: times.updateSeconds, tokens, operations: operations.update },
    { phase: 'step', seconds: times.totalSeconds, tokens, operations: operations.step },
  ];
}

function resultOf(
  { phase, seconds, tokens, operations, bytes = 0 }: Phase,
  peaks: MachinePeaks,
): PhaseResult {
  const compute = operations / (peaks.gflops.f32 * 1e9);
  const memory = bytes / (peaks.gigabytesPerSecond * 1e9);
  return {
    phase,
    seconds,
    tokens,
    tokensPerSecond: tokens / seconds,
    operations,
    gflops: operations / seconds / 1e9,
    bound: compute >= memory ? 'compute' : 'memory',
    share: Math.max(compute, memory) / seconds,
  };
}
