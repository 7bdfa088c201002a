/**
 * What LspTrainer and GrpoTrainer share: options of training, the reference, the loop over steps with abort and
 * checkpoints, the state to resume from, the update, and the watchers. What is played in a step is theirs.
 *
 * A step commits at its end: until its update is made, an abort or an error leaves weights, moments and state as they
 * were after the step before.
 */
import { LspError } from '../errors';
import {
  policyGradient,
  REDUCTIONS,
  withKl,
  type KlOptions,
  type Loss,
  type Reduction,
} from '../learn/losses';
import type { PolicyLearner, PolicyModel } from '../learn/policy';
import { SAMPLING_PRECISIONS, type SamplingPrecision } from '../model/types';
import {
  applyUpdate,
  prepareUpdate,
  type Measured,
  type RolloutBatch,
  type RoleStatistics,
  type UpdateOptions,
} from '../learn/update';
import {
  checkOptions,
  expectBoolean,
  expectFunction,
  expectInteger,
  expectNumber,
  expectOneOf,
  expectSignal,
  invalid,
  isRecord,
} from '../options';
import type {
  Checkpointer,
  Phase,
  PhaseProgress,
  QueryReport,
  Role,
  RunOptions,
  StepMetrics,
  StepResult,
  TrainerState,
} from './types';
import { settleRollouts, type RolloutOptions } from './rollouts';
import { checkState, freshState } from './state';
import { settleWatch, watchStep, type WatchOptions } from './watch';

/** Options that every trainer takes. */
export interface TrainingOptions {
  learner: PolicyLearner;
  /**
   * The frozen reference. Default: a clone of the learner's model, made when the run begins. Required to resume,
   * since then the learner's model is no longer what the run began with.
   */
  reference?: PolicyModel;
  /** Default policyGradient(). */
  loss?: Loss;
  /** KL(π_θ ‖ π_ref). Default k2 with β = 0.05; `{ coefficient: 0 }` is off. */
  kl?: KlOptions;
  /** Report the KL to the reference even where no term of the loss keeps near it. Default false. */
  measureKl?: boolean;
  /** Default 'constant'. */
  reduction?: Reduction;
  /** Leave out answers cut off by `maxNewTokens`. Default false. */
  maskTruncated?: boolean;
  /** Updates per batch of rollouts. Default 1, which is exactly on-policy. */
  updatesPerBatch?: number;
  /**
   * What the roles sample with: `exact` (default), what is trained, or `int8`, several times as fast. Their judge too, where it samples.
   * What is trained and measured stays exact.
   */
  rollouts?: SamplingPrecision | RolloutOptions;
  /**
   * What the reference is scored in: `exact` (default), or `int8`, about twice as fast where the processor multiplies
   * in f32. The KL is then to the policy that the reference's rounded weights sample. Without a KL it changes nothing.
   */
  referencePrecision?: SamplingPrecision;
  /** Seed of everything random. Default 0. */
  seed?: number | bigint;
  /** Most milliseconds for the rewards of a step. Default 120 000. */
  rewardTimeoutMs?: number;
  watch?: WatchOptions;
  checkpoint?: Checkpointer;
  /** Called as a step goes on, for progress bars. */
  onPhase?: (progress: PhaseProgress) => void;
  /** State to continue from; weights and moments must have been loaded into the learner. */
  resume?: TrainerState;
}

export const TRAINING_OPTION_NAMES = [
  'learner',
  'reference',
  'loss',
  'kl',
  'measureKl',
  'reduction',
  'maskTruncated',
  'updatesPerBatch',
  'rollouts',
  'referencePrecision',
  'seed',
  'rewardTimeoutMs',
  'watch',
  'checkpoint',
  'onPhase',
  'resume',
] as const;

type PhaseSeconds = Record<Phase | 'total', number>;

/** What a step's play hands to the update. */
export interface Played {
  batches: RolloutBatch[];
  /** Metrics once the statistics of the loss are known; the base class fills in what concerns the update. */
  metrics(statistics: Record<string, RoleStatistics>): PlayedMetrics;
  /** In words, if no group had a signal. */
  noSignal(updated: boolean): string | null;
  samples: QueryReport[];
  /** Called once the step has been done, to move the state on. */
  commit(state: TrainerState): void;
}

export type PlayedMetrics = Omit<
  StepMetrics,
  'step' | 'updated' | 'gradNorm' | 'learningRate' | 'seconds' | 'warnings' | 'noSignal' | 'mismatch'
>;

export interface StepContext {
  step: number;
  seed: bigint;
  signal: AbortSignal | undefined;
  /** To be handed to whatever samples. */
  sampling: { precision?: SamplingPrecision };
  /** Times a phase and reports its progress. */
  readonly phase: <T>(phase: Phase, work: (report: (fraction: number) => void) => Promise<T>) => Promise<T>;
}

export abstract class Trainer {
  readonly learner: PolicyLearner;
  protected readonly loss: Loss;
  protected readonly seed: bigint;
  protected readonly rewardTimeoutMs: number;
  private readonly measureKl: boolean;
  private readonly reduction: Reduction;
  private readonly maskTruncated: boolean;
  private readonly updatesPerBatch: number;
  private readonly rollouts: Required<RolloutOptions>;
  private readonly referencePrecision: SamplingPrecision;
  private readonly limits: Required<WatchOptions>;
  private readonly checkpoint: Checkpointer | undefined;
  private readonly onPhase: ((progress: PhaseProgress) => void) | undefined;
  private readonly resumed: boolean;
  private current: TrainerState;
  private referenceModel: PolicyModel | null;
  private ownsReference = false;
  private running = false;

  protected constructor(kind: TrainerState['kind'], options: TrainingOptions) {
    if (!isRecord(options.learner)) throw invalid('learner', 'a Learner', options.learner);
    this.learner = options.learner;
    this.loss = withKl(options.loss ?? policyGradient(), options.kl);
    this.measureKl = expectBoolean('measureKl', options.measureKl ?? false);
    this.reduction = expectOneOf('reduction', options.reduction ?? 'constant', REDUCTIONS);
    this.maskTruncated = expectBoolean('maskTruncated', options.maskTruncated ?? false);
    this.updatesPerBatch = expectInteger('updatesPerBatch', options.updatesPerBatch ?? 1, { min: 1 });
    this.rollouts = settleRollouts(options.rollouts);
    const { referencePrecision = 'exact' } = options;
    this.referencePrecision = expectOneOf('referencePrecision', referencePrecision, SAMPLING_PRECISIONS);
    this.rewardTimeoutMs = expectTimeout(options.rewardTimeoutMs ?? 120_000);
    this.limits = settleWatch(options.watch);
    this.onPhase = options.onPhase && expectFunction('onPhase', options.onPhase);
    this.checkpoint = options.checkpoint;
    if (this.checkpoint) expectInteger('checkpoint.every', this.checkpoint.every, { min: 1 });
    this.referenceModel = options.reference ?? null;
    this.resumed = options.resume !== undefined;
    this.current = options.resume
      ? checkState(options.resume, kind, options.seed)
      : freshState(kind, options.seed);
    this.seed = BigInt(this.current.seed);
  }

  /** Sampling temperature of the trainer's rollouts. */
  protected abstract readonly temperature: number;
  /** Whether the play itself needs the reference (as a judge). */
  protected abstract readonly needsReference: boolean;
  /** Samples and scores one step. Must not change anything: `commit` does. */
  protected abstract play(context: StepContext, state: Readonly<TrainerState>): Promise<Played>;

  /** Steps done. */
  get stepsDone(): number {
    return this.current.nextStep;
  }

  /** A JSON-able copy of all that is needed to continue, besides weights and moments. */
  state(): TrainerState {
    return structuredClone(this.current);
  }

  /** The frozen reference; null before the run begins (unless it was given) and where nobody needs it. */
  get reference(): PolicyModel | null {
    return this.referenceModel;
  }

  /**
   * Plays and trains until `steps` steps are done in all. Each result is yielded once the step is whole; a due
   * checkpoint is written when the consumer asks for the next step (or leaves), so that what it stores for a step is
   * never older than the checkpoint.
   *
   * @throws the signal's reason when aborted: the step under way leaves no trace, and `run` may be called again
   */
  async *run(options: RunOptions): AsyncGenerator<StepResult, void, void> {
    const checked = checkOptions(options, ['steps', 'signal'], 'run');
    const steps = expectInteger('steps', checked.steps, { min: 0 });
    const signal = expectSignal('signal', checked.signal);
    if (this.running) throw invalid('run', 'one run at a time', 'a second one');
    this.running = true;
    try {
      signal?.throwIfAborted();
      await this.ensureReference();
      while (this.current.nextStep < steps) {
        signal?.throwIfAborted();
        const result = await this.runStep(signal);
        try {
          yield result;
        } finally {
          await this.saveIfDue(steps);
        }
      }
    } finally {
      this.running = false;
    }
  }

  /** Frees the reference if the trainer made it. Idempotent. */
  async dispose(): Promise<void> {
    if (!this.ownsReference) return;
    this.ownsReference = false;
    const reference = this.referenceModel;
    this.referenceModel = null;
    await reference?.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  private async ensureReference(): Promise<void> {
    const needed = this.needsReference || this.loss.needsReference || this.measureKl;
    if (this.referenceModel !== null || !needed) return;
    // Beneath an adapter the weights are those that the run began with, whenever it is asked.
    const isFrozen = Boolean(this.learner.model.adapter);
    if (!isFrozen && (this.resumed || this.current.nextStep > 0)) {
      throw new LspError('INVALID_ARGUMENT', 'Expected a model for `reference` but received undefined.', {
        remedy:
          'A resumed run is compared with the weights it began with: load the original model, clone it as the ' +
          "reference, then load the checkpoint's weights.",
      });
    }
    this.referenceModel = await this.learner.model.clone({ adapter: false });
    this.ownsReference = true;
  }

  private async runStep(signal: AbortSignal | undefined): Promise<StepResult> {
    const seconds = newSeconds();
    const started = performance.now();
    const phase: StepContext['phase'] = (name, work) => this.timed(name, seconds, work);
    const step = this.current.nextStep;
    const { precision, maxWeight } = this.rollouts;
    const sampling = precision === 'exact' ? {} : { precision };
    const played = await this.play({ step, seed: this.seed, signal, sampling, phase }, this.current);
    const update: UpdateOptions = {
      loss: this.loss,
      reduction: this.reduction,
      maskTruncated: this.maskTruncated,
      updatesPerBatch: this.updatesPerBatch,
      temperature: this.temperature,
      reference: this.referenceModel,
      referencePrecision: this.referencePrecision,
      measureKl: this.measureKl,
      maxWeight,
      signal,
    };
    const prepared = await phase('reference', () =>
      prepareUpdate(this.learner.model, played.batches, update),
    );
    const metricsOf = ({ statistics, mismatch }: Measured) => ({
      ...played.metrics(statistics),
      ...(mismatch && { mismatch }),
    });
    const warnings: string[] = [];
    const onMeasured = (measured: Measured) => {
      warnings.push(...watchStep(metricsOf(measured), this.current.baseline, this.limits));
    };
    signal?.throwIfAborted();
    const result = await phase('update', (onProgress) =>
      applyUpdate(this.learner, prepared, update, { onMeasured, onProgress }),
    );
    const metrics = metricsOf(result);

    this.commit(played, metrics, result.updates);
    for (const role of ['solver', 'challenger'] as const) {
      const roleMetrics = metrics[role];
      if (roleMetrics) roleMetrics.ratioClippedShare = result.ratioClippedShare[role] ?? 0;
    }
    seconds.total = (performance.now() - started) / 1000;
    const updated = result.updates > 0;
    const { gradNorm, learningRate } = result;
    return {
      step: step + 1,
      metrics: {
        step: step + 1,
        ...metrics,
        noSignal: played.noSignal(updated),
        updated,
        gradNorm,
        learningRate,
        seconds,
        warnings,
      },
      samples: played.samples,
    };
  }

  private commit(played: Played, metrics: PlayedMetrics, updates: number): void {
    const state = this.state();
    state.nextStep++;
    state.updates += updates;
    for (const role of ['solver', 'challenger'] satisfies Role[]) {
      const now = metrics[role];
      if (now && now.samples > 0) state.baseline[role] ??= { entropy: now.entropy, length: now.length };
    }
    played.commit(state);
    this.current = state;
  }

  private async saveIfDue(steps: number): Promise<void> {
    const { nextStep } = this.current;
    if (!this.checkpoint || (nextStep % this.checkpoint.every !== 0 && nextStep !== steps)) return;
    await this.checkpoint.save(this.state(), this.learner, this.learner.model, nextStep);
  }

  private async timed<T>(
    phase: Phase,
    seconds: PhaseSeconds,
    work: (report: (fraction: number) => void) => Promise<T>,
  ): Promise<T> {
    const started = performance.now();
    this.onPhase?.({ phase, fraction: 0 });
    const result = await work((fraction) => this.onPhase?.({ phase, fraction }));
    this.onPhase?.({ phase, fraction: 1 });
    seconds[phase] += (performance.now() - started) / 1000;
    return result;
  }
}

function newSeconds(): PhaseSeconds {
  return { challenger: 0, solver: 0, reward: 0, judge: 0, reference: 0, update: 0, total: 0 };
}

function expectTimeout(value: number): number {
  return value === Infinity ? value : expectNumber('rewardTimeoutMs', value, { above: 0, max: 2 ** 31 - 1 });
}
