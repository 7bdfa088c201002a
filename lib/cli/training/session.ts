/**
 * One call of `lsp train`, from the options to the closing summary.
 *
 * Order: everything that can be refused is refused before anything is loaded, and the run directory is made once the
 * model is loaded, so that a typo leaves nothing behind. From then on a failure or a signal leaves a run that can be
 * resumed.
 */
import { basename, join } from 'node:path';
import type { GrpoTrainer } from '../../grpo';
import type { Learner } from '../../learn/learner';
import { LspError, type LspErrorCode } from '../../errors';
import type { LspTrainer, SelfReward, StepResult, TrainerState } from '../../lsp';
import { LanguageModel } from '../../model/language-model';
import { openModelSource } from '../../model/formats';
import { defaultMemoryBudget } from '../../model/memory';
import { invalid } from '../../options';
import { writeReport } from '../../report';
import { RewardModel } from '../../rewards/reward-model';
import type { Checkpoint } from '../../run/checkpoints';
import { statusOf } from '../../disk/files';
import { fingerprintModel, verifyStartingModel, type StartingModel } from '../../model/fingerprint';
import { bytesBeforeUpdate } from '../../run/memory-estimate';
import { RunDirectory } from '../../run/run-directory';
import { loraOf, weightTypeOf } from '../../run/lora-options';
import { resolveTrainOptions, resumeTrainOptions, type TrainOptions } from '../../run/train-options';
import { formatDuration, type Output } from '../output';
import { localModel, shortName } from '../local-model';
import { stopOnSignals } from '../signals';
import { checkUsage } from '../usage';
import { runVersions } from '../versions';
import { checkPrompts, makeLearner, makeReward, makeTrainer } from './build';
import { gameOf, needsReference } from './games';
import { preflight } from './preflight';
import { ProbeLog } from './probe-log';
import { TrainingReport } from './report';
import { summarize } from './summary';
import { longestGroups, REFERENCE_TYPE, tokensOf } from './workload';

export interface TrainRequest {
  /** Options that the user gave. */
  given: Readonly<Record<string, unknown>>;
  /** A new run; without `out` it goes into `runs/`, under a name that is free. */
  model?: string;
  /** Its short name, for the run's. */
  name?: string;
  out?: string;
  /** A run to go on with. */
  resume?: string;
}

/** @throws Interrupted after a signal, LspError */
export async function trainRun(request: TrainRequest, output: Output): Promise<void> {
  const stopper = stopOnSignals(() => {
    output.note(
      'Stopping: the step under way is left, then a checkpoint is written. Again to leave at once.',
    );
  });
  const session = new Session(output, stopper.signal);
  try {
    await session.run(request);
    await session.close();
  } catch (error) {
    await session.close().catch(() => undefined); // what went wrong first is what to tell
    // Whatever noticed the abort first, the reason is the signal.
    throw stopper.signal.aborted && !(error instanceof LspError) ? stopper.signal.reason : error;
  } finally {
    stopper.release();
  }
}

/** A run as planned: what it is made of, before anything is loaded. */
interface Plan {
  options: TrainOptions;
  path: string;
  startingModel: StartingModel;
  resumed: { run: RunDirectory; checkpoint: Checkpoint | null; state: TrainerState | null } | null;
}

/** Everything that is loaded. */
interface Parts {
  run: RunDirectory;
  policy: LanguageModel;
  /** The frozen starting model; null where nothing needs it. */
  reference: LanguageModel | null;
  learner: Learner;
  judge: SelfReward | null;
  probes: ProbeLog;
  trainer: LspTrainer | GrpoTrainer;
  report: TrainingReport;
}

class Session {
  readonly #output: Output;
  readonly #signal: AbortSignal;
  /** What to give back, in reverse order. */
  readonly #cleanup: (() => PromiseLike<void>)[] = [];
  /** Last step whose metrics are on the disk: a checkpoint must never be ahead of them. */
  #recorded = 0;
  #lastCheckpoint: number | null = null;

  constructor(output: Output, signal: AbortSignal) {
    this.#output = output;
    this.#signal = signal;
  }

  async run(request: TrainRequest): Promise<void> {
    const started = performance.now();
    const plan =
      request.resume === undefined ? await this.#planNew(request) : await this.#planResume(request);
    await preflight(openModelSource(plan.startingModel.path), plan.options, plan.path, this.#output);
    const parts = await this.#load(plan);
    try {
      await this.#begin(plan, parts);
      await this.#play(plan.options, parts);
    } catch (error) {
      await this.#saveWhatIsDone(error, plan, parts);
      throw error;
    }
    const report = await this.#writeReport(parts.run);
    const text = await summarize({ run: parts.run, options: plan.options, output: this.#output, report });
    this.#output.line();
    for (const line of text) this.#output.line(line);
    this.#output.line(this.#output.dim(`Took ${formatDuration((performance.now() - started) / 1000)}.`));
  }

  /** Gives everything back, whatever of it fails. Idempotent. @throws the first failure */
  async close(): Promise<void> {
    this.#output.endProgress();
    await runAll(this.#cleanup.splice(0).reverse());
  }

  async #planNew({ model, name, out, given }: TrainRequest): Promise<Plan> {
    const options = checkUsage(() => resolveTrainOptions(given));
    const path = out ?? (await vacantPath(name ?? shortName(model!)));
    await RunDirectory.checkVacant(path);
    const source = openModelSource(model!); // a model that cannot be read is refused before it is hashed
    const startingModel = await fingerprintModel(source.path, this.#signal);
    return { options, path, startingModel, resumed: null };
  }

  async #planResume({ resume, given }: TrainRequest): Promise<Plan> {
    const config = await RunDirectory.readConfig(resume!);
    const options = checkUsage(() => resumeTrainOptions(config.options, given));
    await verifyStartingModel(config.model, this.#signal);
    const resumed = await RunDirectory.resume(resume!);
    this.#cleanup.push(() => resumed.run.close());
    const done = resumed.checkpoint?.step ?? 0;
    checkUsage(() => {
      if (options.steps < done)
        throw invalid('steps', `at least ${done}, as many as are done,`, options.steps);
    });
    await resumed.run.replaceOptions({ ...options });
    return { options, path: resume!, startingModel: config.model, resumed };
  }

  async #load(plan: Plan): Promise<Parts> {
    const { options, resumed } = plan;
    const { checkpoint } = resumed ?? {};
    // Beneath an adapter there is always the starting model.
    const trainsAll = loraOf(options) === null;
    const source = (trainsAll ? checkpoint?.modelPath : undefined) ?? plan.startingModel.path;
    const policy = await this.#loadModel(source, options);
    const pieces = await gameOf(options).open(this.#signal);
    checkPrompts(policy, pieces, options);
    const reference = await this.#referenceOf(policy, plan);
    // It was hashed, then read once or twice: all of that must have been the same model.
    await verifyStartingModel(plan.startingModel, this.#signal);
    const learner = await makeLearner(policy, options, checkpoint?.adapterPath);
    this.#cleanup.push(() => learner.dispose());
    if (checkpoint) await learner.loadState(checkpoint.optimizerPath);
    const reward = await makeReward(options, pieces, (source) => this.#loadRewardModel(source, options));
    this.#cleanup.push(async () => reward[Symbol.asyncDispose]?.());
    const run = resumed?.run ?? (await this.#create(plan));
    const done = resumed?.state?.nextStep ?? 0;
    this.#recorded = done;
    this.#lastCheckpoint = resumed?.checkpoint?.step ?? null;
    const report = new TrainingReport(this.#output, options, done);
    const judge = reference && options.selfReward > 0 ? gameOf(options).judge(reference) : null;
    const probes = new ProbeLog({
      run,
      model: policy,
      options,
      pieces,
      signal: this.#signal,
      output: this.#output,
    });
    const parts = { run, policy, reference, learner, judge, probes, report };
    const trainer = makeTrainer(options, {
      ...parts,
      pieces,
      reward,
      resume: resumed?.state ?? null,
      onPhase: (progress) => report.phase(progress),
      checkpoint: {
        every: options.checkpointEvery,
        save: (state) => this.#checkpoint(state, options, parts),
      },
    });
    this.#cleanup.push(() => trainer.dispose());
    return { ...parts, trainer };
  }

  async #loadModel(
    path: string,
    options: TrainOptions,
    dtype = weightTypeOf(options),
  ): Promise<LanguageModel> {
    this.#output.line(`Loading ${path}`);
    const model = await LanguageModel.load(path, {
      dtype,
      ...(options.compute !== undefined && { compute: options.compute }),
      threads: options.threads,
      memoryBudget: options.memoryBudget ?? defaultMemoryBudget(),
      signal: this.#signal,
      onProgress: ({ loadedBytes, totalBytes }) => {
        this.#output.progress(loadedBytes / totalBytes, `loading ${basename(path)}`);
      },
    });
    this.#output.endProgress();
    this.#cleanup.push(() => model.dispose());
    return model;
  }

  /** Frozen, so that it may be held in bf16 where f32 does not fit. */
  async #loadRewardModel(source: string, { threads }: TrainOptions): Promise<RewardModel> {
    this.#output.line(`Loading the reward model ${source}`);
    return RewardModel.load(await localModel(source, this.#output, this.#signal), {
      threads,
      signal: this.#signal,
    });
  }

  async #referenceOf(policy: LanguageModel, { options, startingModel }: Plan): Promise<LanguageModel | null> {
    if (!needsReference(options)) return null;
    if (loraOf(options) === null) return this.#loadModel(startingModel.path, options, REFERENCE_TYPE);
    const reference = await policy.clone();
    this.#cleanup.push(() => reference.dispose());
    return reference;
  }

  async #create({ options, path, startingModel }: Plan): Promise<RunDirectory> {
    const run = await RunDirectory.create(path, {
      format: 1,
      kind: options.queriesFile === undefined ? 'lsp' : 'grpo',
      createdAt: new Date().toISOString(),
      versions: runVersions(),
      model: startingModel,
      options,
    });
    this.#cleanup.push(() => run.close());
    return run;
  }

  /** Tells where the run stands, and measures what is measured before the first step. */
  async #begin(
    { resumed, options }: Plan,
    { run, policy, learner, judge, probes, report }: Parts,
  ): Promise<void> {
    this.#output.value({ event: 'start', run: run.path, config: run.config, stepsDone: this.#recorded });
    if (resumed)
      this.#output.line(`Going on after step ${this.#recorded} of ${options.steps} in ${run.path}`);
    await this.#rehearse(options, policy, learner);
    // A run that was killed between a checkpoint and its probe makes up for it.
    if (this.#recorded % options.checkpointEvery === 0) await probes.ensure(this.#recorded);
    if (judge && this.#recorded === 0) report.judge(await gameOf(options).measureJudge(judge, this.#signal));
  }

  /** Takes all memory that the run will need, so that it fails now or not at all. */
  async #rehearse(options: TrainOptions, { config }: LanguageModel, learner: Learner): Promise<void> {
    await learner.rehearse(longestGroups(config, options), {
      cacheBytes: bytesBeforeUpdate(config, tokensOf(config, options)),
      signal: this.#signal,
    });
  }

  async #play({ steps }: TrainOptions, { trainer, run, report, probes }: Parts): Promise<void> {
    for await (const result of trainer.run({ steps, signal: this.#signal })) {
      await this.#record(result, run);
      report.step(result);
    }
    this.#output.endProgress();
    await probes.ensure(this.#recorded);
  }

  /** The page; a run that is done is not spoilt by a page that cannot be written. */
  async #writeReport({ path }: RunDirectory): Promise<string | null> {
    try {
      return await writeReport(path);
    } catch (error) {
      this.#output.warn(
        `no report could be written: ${error instanceof Error ? error.message : String(error)}`,
      );
      return null;
    }
  }

  async #record(result: StepResult, run: RunDirectory): Promise<void> {
    await run.record(result);
    this.#recorded = result.step;
  }

  /** Called by the trainer at step boundaries. */
  async #checkpoint(
    state: TrainerState,
    options: TrainOptions,
    parts: Omit<Parts, 'trainer'>,
  ): Promise<void> {
    if (state.nextStep !== this.#recorded) return; // the record failed, and the run with it
    await this.#save(state, options, parts);
    await parts.probes.ensure(state.nextStep);
  }

  async #save(state: TrainerState, { keep }: TrainOptions, parts: Omit<Parts, 'trainer'>): Promise<void> {
    const { run, policy, learner, report } = parts;
    const baseModel = run.config.model.path;
    const model = {
      adapter: policy.adapter,
      save: (directory: string) => policy.save(directory),
      saveAdapter: (directory: string) => policy.saveAdapter(directory, { baseModel }),
    };
    const checkpoint = await run.saveCheckpoint({ model, learner, state }, keep);
    this.#lastCheckpoint = checkpoint.step;
    report.checkpoint(checkpoint.step, checkpoint.path);
  }

  /**
   * After a signal or a failure the steps that are done are good: they are kept. After a divergence the last
   * checkpoint is the better one, and after an I/O error or without memory there is no way to write.
   */
  async #saveWhatIsDone(error: unknown, { options }: Plan, parts: Parts): Promise<void> {
    const state = parts.trainer.state();
    const worthIt = this.#signal.aborted || keepsSteps(error);
    // A failure between the updates of one step leaves weights that belong to no step.
    const whole = parts.learner.stepCount === state.updates && state.nextStep === this.#recorded;
    this.#output.endProgress();
    if (worthIt && whole && this.#lastCheckpoint !== state.nextStep) {
      await this.#saveAfter(error, state, options, parts);
    }
    const command = `npx lsp train --resume ${parts.run.path}`;
    const [stepsDone, checkpoint] = [state.nextStep, this.#lastCheckpoint];
    this.#output.value({ event: 'stopped', stepsDone, steps: options.steps, checkpoint, resume: command });
    const from = checkpoint === stepsDone ? '' : ` (from step ${checkpoint ?? 0}, the last checkpoint)`;
    this.#output.line(`Stopped after step ${stepsDone} of ${options.steps}. To go on${from}: ${command}`);
    if (this.#signal.aborted) throw this.#signal.reason;
  }

  /** Saves; after a failure that is to be told, a second one is a note beside it. */
  async #saveAfter(error: unknown, state: TrainerState, options: TrainOptions, parts: Parts): Promise<void> {
    try {
      await this.#save(state, options, parts);
    } catch (failure) {
      if (this.#signal.aborted && error === this.#signal.reason) throw failure;
      this.#output.note(`No checkpoint could be written: ${String(failure)}`);
    }
  }
}

/** runs/tiny, then runs/tiny-2, and so on: the first that nothing lies at. */
async function vacantPath(name: string): Promise<string> {
  for (let number = 1; ; number++) {
    const path = join('runs', number === 1 ? name : `${name}-${number}`);
    if ((await statusOf(path)) === null) return path;
  }
}

/** Failures after which weights, moments and memory are not to be trusted with a checkpoint. */
const SPOILING: ReadonlySet<LspErrorCode> = new Set<LspErrorCode>([
  'TRAINING_DIVERGED',
  'IO_ERROR',
  'OUT_OF_MEMORY',
]);

/** Whether the steps before this failure are worth a checkpoint. */
export function keepsSteps(error: unknown): boolean {
  return !(error instanceof LspError && SPOILING.has(error.code));
}

/** Runs all of them in order, whatever fails. @throws the first failure */
export async function runAll(actions: readonly (() => PromiseLike<void>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const action of actions) {
    try {
      await action();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}
