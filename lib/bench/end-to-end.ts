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
import { kernelTimes, type ProfileEntry, profileOf } from './profile';
import { decodeSeconds, prefillSeconds } from './sampling';
import {
  BENCH_MODES,
  type BenchMode,
  checkWorkload,
  modeOptions,
  openTraining,
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
  /** Where the time of the last step's phases went. */
  profile: ProfileEntry[];
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
  const opening = { threads, mode, profile: true, ...(signal && { signal }) };
  await using training = await openTraining(source, opening);
  const geometry = geometryOf(training.model.config);
  begin('prefill');
  const phases: Phase[] = [await prefill(training, signal)];
  for (const batch of BATCHES) {
    begin(`decode ${batch}`);
    phases.push(await decode(training, batch, signal));
  }
  const { times, profile } = await takeSteps(training, workload, steps, begin, signal);
  phases.push(...stepPhases(geometry, workload, mode, times.at(-1)!));
  begin('the machine again');
  const after = await measureMachine();
  const peaks = betterPeaks(before.peaks, after.peaks);
  return {
    processor: before.processor,
    isa: before.isa,
    threads,
    mode,
    model: source,
    geometry,
    workload,
    peaks,
    phases: phases.map((phase) => resultOf(phase, peaks)),
    steps: times,
    profile,
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
): Promise<{ times: StepTimes[]; profile: ProfileEntry[] }> {
  const times: StepTimes[] = [];
  const sums: Record<string, ReturnType<typeof kernelTimes>> = {};
  const onPhaseEnd = (phase = 'start') => void (sums[phase] = kernelTimes());
  const steps = timeSteps(training, workload, { onPhaseEnd, ...(signal && { signal }) });
  while (times.length < count) {
    begin(`step ${times.length + 1} of ${count}`);
    times.push((await steps.next()).value);
  }
  const last = times.at(-1)!;
  const { start, rollout, reference, update } = sums;
  return {
    times,
    profile: [
      ...profileOf('rollout', last.rolloutSeconds, start!, rollout!),
      ...profileOf('reference', last.referenceSeconds, rollout!, reference!),
      ...profileOf('update', last.updateSeconds, reference!, update!),
    ],
  };
}

/** A long prompt and one token after it. */
async function prefill({ model, mode }: Training, signal?: AbortSignal): Promise<Phase> {
  const tokens = Math.min(PREFILL_TOKENS, model.config.maxPositions - 1);
  const seconds = await prefillSeconds(model, tokens, { mode, repeats: REPEATS, ...(signal && { signal }) });
  const work = { tokens, pairs: causalPairs(0, tokens), headRows: 1 };
  return {
    phase: 'prefill',
    seconds,
    tokens,
    operations: forwardOperations(geometryOf(model.config), work),
  };
}

/** Short prompts and some tokens after them. */
async function decode({ model, mode }: Training, batch: number, signal?: AbortSignal): Promise<Phase> {
  const geometry = geometryOf(model.config);
  const newTokens = Math.min(DECODE_TOKENS, model.config.maxPositions - DECODE_PROMPT);
  const sizes = { batch, promptTokens: DECODE_PROMPT, newTokens };
  const seconds = await decodeSeconds(model, sizes, { mode, repeats: REPEATS, ...(signal && { signal }) });
  let operations = 0;
  let bytes = 0;
  for (let keys = DECODE_PROMPT + 1; keys < DECODE_PROMPT + newTokens; keys++) {
    const one = decodeOperations(geometry, { batch, keys });
    operations += one.operations;
    bytes += one.bytes;
  }
  return { phase: `decode ${batch}`, seconds, tokens: batch * (newTokens - 1), operations, bytes };
}

function stepPhases(geometry: BenchGeometry, workload: Workload, mode: BenchMode, times: StepTimes): Phase[] {
  const operations = workloadOperations(geometry, workload, modeOptions(mode).trained);
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
