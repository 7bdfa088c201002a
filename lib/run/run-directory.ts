/**
 * A run on the disk: everything to look at it, to go on with it, and to use what came out.
 *
 *     config.json       what was asked, as resolved; versions; where the model came from and its hashes
 *     metrics.jsonl     one record a step          } the same bytes whether or not the run was interrupted
 *     samples.jsonl     one record a query         }
 *     probe.jsonl       one record a probe         }
 *     timings.jsonl     seconds of each phase, one record a step: the one thing that differs between equal runs
 *     checkpoints/      see checkpoints.ts
 *     run.lock          while a process uses it
 */
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { LspError } from '../errors';
import type { ProbeResult } from '../eval/probe';
import { isRecord } from '../options';
import type { Checkpointer, QueryReport, StepMetrics, StepResult, TrainerState } from '../lsp/types';
import { Checkpoints, type Checkpoint, type CheckpointContent } from './checkpoints';
import {
  fsyncPath,
  makeDirectory,
  namesIn,
  prettyJson,
  statusOf,
  withIoErrors,
  writeFileDurably,
} from '../disk/files';
import type { StartingModel } from '../model/fingerprint';
import { JsonLines } from '../disk/json-lines';
import { acquireLock, LOCK_FILE, type Lock } from '../disk/lock';

const CONFIG = 'config.json';

export interface RunConfig {
  format: 1;
  kind: 'lsp' | 'grpo';
  /** ISO 8601. */
  createdAt: string;
  versions: Readonly<Record<string, string>>;
  /** The starting point, which is the frozen reference too. */
  model: StartingModel;
  /** Options as resolved, defaults included. */
  options: Readonly<Record<string, unknown>>;
}

export type MetricsRecord = Omit<StepMetrics, 'seconds'>;

export interface SampleRecord extends QueryReport {
  step: number;
  /** Position of the query in its step. */
  index: number;
}

/** `score` decides which checkpoint is the best; `scores` are for paired comparisons. */
export interface ProbeRecord extends ProbeResult {
  /** Steps done when it was measured. */
  step: number;
}

export interface TimingRecord {
  step: number;
  seconds: StepMetrics['seconds'];
  tokens: number;
}

/** Where a resumed run goes on; both null for a run that was interrupted before its first checkpoint. */
export interface ResumePoint {
  checkpoint: Checkpoint | null;
  state: TrainerState | null;
}

export interface CheckpointerOptions extends Omit<CheckpointContent, 'state'> {
  /** Steps between checkpoints. */
  every: number;
  /** Checkpoints kept besides the best one by the probe. */
  keep: number;
}

export class RunDirectory {
  readonly path: string;
  config: RunConfig;
  readonly checkpoints: Checkpoints;
  readonly metrics: JsonLines<MetricsRecord>;
  readonly samples: JsonLines<SampleRecord>;
  readonly probes: JsonLines<ProbeRecord>;
  readonly timings: JsonLines<TimingRecord>;
  readonly #lock: Lock;

  private constructor(path: string, config: RunConfig, lock: Lock) {
    this.path = path;
    this.config = config;
    this.#lock = lock;
    this.checkpoints = new Checkpoints(join(path, 'checkpoints'));
    this.metrics = new JsonLines(join(path, 'metrics.jsonl'));
    this.samples = new JsonLines(join(path, 'samples.jsonl'));
    this.probes = new JsonLines(join(path, 'probe.jsonl'));
    this.timings = new JsonLines(join(path, 'timings.jsonl'));
  }

  /**
   * Checks that a new run may be made at `path`: nothing there, or an empty directory.
   *
   * @throws LspError INVALID_ARGUMENT
   */
  static async checkVacant(path: string): Promise<void> {
    const status = await statusOf(path);
    if (status === null) return;
    const names = status.isDirectory() ? ((await namesIn(path)) ?? []) : null;
    if (names?.length === 0) return;
    const isRun = names?.includes(CONFIG) && names.includes('checkpoints');
    throw new LspError(
      'INVALID_ARGUMENT',
      `Expected a new or empty directory for \`out\` but received \`${path}\`, ` +
        (names === null ? 'which is a file.' : isRun ? 'which holds a run.' : 'which holds other files.'),
      {
        remedy: isRun ? `Go on with it (--resume ${path}), or choose another path.` : 'Choose another path.',
      },
    );
  }

  /**
   * Makes the directory of a new run and takes its lock.
   *
   * @throws LspError INVALID_ARGUMENT (not vacant), IO_ERROR
   */
  static async create(path: string, config: RunConfig): Promise<RunDirectory> {
    await RunDirectory.checkVacant(path);
    const absolute = resolve(path);
    await makeDirectory(absolute);
    const lock = await acquireLock(absolute);
    try {
      // Another process may have made its run here between the check and the lock.
      if (await statusOf(join(absolute, CONFIG))) await RunDirectory.checkVacant(path);
      const run = new RunDirectory(absolute, config, lock);
      await withIoErrors('make', run.checkpoints.directory, () => mkdir(run.checkpoints.directory));
      await writeFileDurably(join(absolute, CONFIG), prettyJson(config));
      return run;
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  /** The configuration of a run, without taking its lock. @throws LspError INVALID_CHECKPOINT */
  static async readConfig(path: string): Promise<RunConfig> {
    let config: unknown;
    try {
      config = JSON.parse(await readFile(join(path, CONFIG), 'utf8'));
    } catch (error) {
      throw notARun(path, `one whose ${CONFIG} cannot be read`, error);
    }
    if (!isRunConfig(config)) throw notARun(path, `one whose ${CONFIG} is of another kind`);
    return config;
  }

  /**
   * Opens a run to go on with it: takes its lock, removes what an interruption left behind, finds the newest
   * checkpoint, and cuts the records back to it.
   *
   * @throws LspError INVALID_CHECKPOINT, INVALID_ARGUMENT (used by another process), IO_ERROR
   */
  static async resume(path: string): Promise<{ run: RunDirectory } & ResumePoint> {
    const absolute = resolve(path);
    const config = await RunDirectory.readConfig(absolute);
    const lock = await acquireLock(absolute);
    try {
      const run = new RunDirectory(absolute, config, lock);
      await run.#clean();
      const checkpoint = (await run.checkpoints.list()).at(-1) ?? null;
      const state = checkpoint && (await run.checkpoints.readState(checkpoint));
      if (state && state.kind !== config.kind) throw notARun(path, `a checkpoint of kind ${state.kind}`);
      for (const log of run.#logs()) await log.cut(({ step }) => step <= (checkpoint?.step ?? 0));
      return { run, checkpoint, state };
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  /** Records a step: samples and timings first, so that a step with metrics has all the rest. */
  async record(result: StepResult): Promise<void> {
    const { step } = result;
    const { seconds, ...metrics } = result.metrics;
    await this.samples.append(...result.samples.map((sample, index) => ({ step, index, ...sample })));
    await this.timings.append({ step, seconds, tokens: metrics.tokens });
    await this.metrics.append(metrics);
  }

  /** Writes a checkpoint, then deletes those that are neither among the last `keep` nor the best by the probe. */
  async saveCheckpoint(content: CheckpointContent, keep: number): Promise<Checkpoint> {
    const checkpoint = await this.checkpoints.save(content);
    const best = await this.bestProbe();
    await this.checkpoints.prune(keep, best ? [best.step] : []);
    return checkpoint;
  }

  /** The checkpoint policy as trainers take it. */
  checkpointer({ every, keep, model, learner }: CheckpointerOptions): Checkpointer {
    return {
      every,
      save: async (state) => {
        await this.saveCheckpoint({ model, learner, state }, keep);
      },
    };
  }

  /** The best probe among those whose checkpoint exists, the earliest of equals; null if there is none. */
  async bestProbe(): Promise<ProbeRecord | null> {
    const steps = new Set((await this.checkpoints.list()).map(({ step }) => step));
    const candidates = (await this.probes.read()).filter(({ step }) => steps.has(step));
    return candidates.reduce<ProbeRecord | null>(
      (best, record) => (best !== null && best.score >= record.score ? best : record),
      null,
    );
  }

  /** Replaces the options, e.g. for a resumed run that is to be longer. */
  async replaceOptions(options: Readonly<Record<string, unknown>>): Promise<void> {
    this.config = { ...this.config, options };
    await writeFileDurably(join(this.path, CONFIG), prettyJson(this.config));
  }

  /** Closes the files and gives the lock back. Idempotent. */
  async close(): Promise<void> {
    for (const log of this.#logs()) await log.close();
    await this.#lock.release();
  }

  #logs(): readonly JsonLines<{ step: number }>[] {
    return [this.metrics, this.samples, this.probes, this.timings] as JsonLines<{ step: number }>[];
  }

  async #clean(): Promise<void> {
    await makeDirectory(this.checkpoints.directory);
    await this.checkpoints.clean();
    for (const name of (await namesIn(this.path)) ?? []) {
      if (name.endsWith('.tmp') && name.startsWith('.') && !name.includes(LOCK_FILE)) {
        await withIoErrors('delete', name, () => rm(join(this.path, name), { force: true }));
      }
    }
    await withIoErrors('flush', this.path, () => fsyncPath(this.path));
  }
}

function isRunConfig(value: unknown): value is RunConfig {
  if (!isRecord(value) || value.format !== 1 || !isRecord(value.options) || !isRecord(value.model))
    return false;
  const { path, files } = value.model;
  return (
    (value.kind === 'lsp' || value.kind === 'grpo') &&
    typeof path === 'string' &&
    Array.isArray(files) &&
    files.every((file) => isRecord(file) && typeof file.file === 'string' && typeof file.sha256 === 'string')
  );
}

function notARun(path: string, received: string, cause?: unknown): LspError {
  return new LspError(
    'INVALID_CHECKPOINT',
    `Expected a run directory but received \`${path}\`, ${received}.`,
    {
      cause,
      remedy: 'Give the directory that `--out` named when the run was started.',
    },
  );
}
