/**
 * A user's reward module in a worker thread that can be ended, so that an endless loop, a crash or `process.exit`
 * in it costs one error and not the run.
 */
import { existsSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ResourceLimits } from 'node:worker_threads';
import { LspError } from '../errors';
import { checkOptions, expectArray, expectNumber, expectString, invalid } from '../options';
import { RewardError, type Reward, type RewardContext, type Sample } from './reward';
import { RewardThread, ThreadFailure, type ThreadOptions } from './worker/thread';

export interface WorkerRewardOptions {
  /**
   * The module: a path (relative ones from the working directory), a file: URL, or a package name. .js, .cjs and
   * .mjs; .ts with a loader in `execArgv`.
   */
  module: string;
  /**
   * Name of the export, default 'default' (CommonJS: `module.exports`). A function of one sample,
   * `(sample, { signal }) => number | null`, or a `Reward` (or a class of one), which gets all samples at once.
   */
  export?: string;
  /** Milliseconds one sample may take, default 10 000; a module that scores arrays has that for each sample. */
  timeoutMs?: number;
  /** Milliseconds that loading the module may take, default 30 000. */
  startTimeoutMs?: number;
  /** Shown in messages; default: the module as given. */
  name?: string;
  /** Node options of the worker, e.g. `['--require', 'ts-node/register']`. */
  execArgv?: readonly string[];
  /** Memory limits of the worker; beyond them it is ended with an error instead of the process. */
  resourceLimits?: ResourceLimits;
}

const OPTION_NAMES = [
  'module',
  'export',
  'timeoutMs',
  'startTimeoutMs',
  'name',
  'execArgv',
  'resourceLimits',
];

/**
 * Scores samples in a worker thread, one call after the other. The thread starts with the first call, serves the
 * following ones (the module may keep state), and is ended and replaced after a throw, a time limit or an abort.
 *
 * Samples are copied by structured clone: functions in `info` cannot be sent. Not a sandbox: the thread shares the
 * process' rights, and code that brings down the whole process (`process.abort`, a faulty native addon) still does.
 */
export class WorkerReward implements Reward {
  readonly name: string;
  readonly #options: ThreadOptions;
  readonly #timeoutMs: number;
  readonly #startTimeoutMs: number;
  #thread: RewardThread | null = null;
  #queue: Promise<unknown> = Promise.resolve();
  #disposed = false;

  /** @throws LspError INVALID_ARGUMENT (also for a module that is not there), UNKNOWN_OPTION */
  constructor(options: WorkerRewardOptions) {
    checkOptions(options, OPTION_NAMES, 'WorkerReward');
    const module = resolveModule(expectString('module', options.module, { allowEmpty: false }));
    const exportName = expectString('export', options.export ?? 'default', { allowEmpty: false });
    if (options.execArgv !== undefined) expectArray('execArgv', options.execArgv);
    this.name = options.name ?? options.module;
    this.#timeoutMs = expectNumber('timeoutMs', options.timeoutMs ?? 10_000, { above: 0, max: MAX_TIMER_MS });
    this.#startTimeoutMs = expectNumber('startTimeoutMs', options.startTimeoutMs ?? 30_000, {
      above: 0,
      max: MAX_TIMER_MS,
    });
    this.#options = { module, export: exportName };
    if (options.execArgv) this.#options.execArgv = options.execArgv;
    if (options.resourceLimits) this.#options.resourceLimits = options.resourceLimits;
  }

  /**
   * @returns one finite number or null per sample
   * @throws RewardError (code REWARD_FAILED) with the sample's index when the module throws, passes the time limit,
   *   returns anything else, or ends its thread; LspError DISPOSED; the signal's reason when it is aborted
   */
  async score(samples: Sample[], context?: RewardContext): Promise<(number | null)[]> {
    const signal = context?.signal ?? new AbortController().signal;
    const scored = this.#queue.then(() => this.#scoreAll(samples, signal));
    this.#queue = scored.catch(() => undefined);
    return scored;
  }

  /** Ends the worker; a call under way rejects with DISPOSED. Idempotent. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    await this.#endThread(disposedError(this.name));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  async #scoreAll(samples: Sample[], signal: AbortSignal): Promise<(number | null)[]> {
    if (samples.length === 0) return [];
    const thread = await this.#startedThread(signal);
    if (thread.batch) return this.#ask(thread, samples, samples.length === 1 ? 0 : null, signal);
    const scores: (number | null)[] = [];
    for (const [index, sample] of samples.entries()) {
      scores.push(...(await this.#ask(thread, [sample], index, signal)));
    }
    return scores;
  }

  async #startedThread(signal: AbortSignal): Promise<RewardThread> {
    if (this.#disposed) throw disposedError(this.name);
    signal.throwIfAborted();
    if (this.#thread?.alive) return this.#thread;
    try {
      const thread = new RewardThread(this.#options);
      this.#thread = thread;
      await thread.load(this.#startTimeoutMs, signal);
      return thread;
    } catch (error) {
      await this.#endThread(error);
      if (this.#isDisposed()) throw disposedError(this.name);
      if (!(error instanceof ThreadFailure)) throw error;
      const received = error.kind === 'timeout' ? `nothing within ${this.#startTimeoutMs} ms` : error.message;
      throw new RewardError(`Expected reward \`${this.name}\` to load but received ${received}.`, {
        cause: error.cause ?? error,
        sampleIndex: null,
        remedy: 'Check that the module loads on its own; raise `startTimeoutMs` if loading takes long.',
      });
    }
  }

  /** `index` is the position of the one sample asked for, null for all of them. */
  async #ask(
    thread: RewardThread,
    samples: Sample[],
    index: number | null,
    signal: AbortSignal,
  ): Promise<(number | null)[]> {
    const where = index === null ? `samples 0 to ${samples.length - 1}` : `sample ${index}`;
    const limitMs = Math.min(this.#timeoutMs * samples.length, MAX_TIMER_MS);
    let received: (number | null | string)[] | string;
    try {
      received = await thread.ask(samples, limitMs, signal);
    } catch (error) {
      await this.#endThread(error);
      if (this.#isDisposed()) throw disposedError(this.name);
      // Aborted: the signal's reason is passed on as it is.
      if (!(error instanceof ThreadFailure)) throw error;
      throw new RewardError(
        `Expected a score for ${where} from reward \`${this.name}\` but received ${error.message}.`,
        {
          cause: error.cause ?? error,
          sampleIndex: index,
          remedy: REMEDIES[error.kind],
        },
      );
    }
    return this.#checkScores(received, samples.length, index);
  }

  #checkScores(
    received: (number | null | string)[] | string,
    count: number,
    index: number | null,
  ): (number | null)[] {
    if (typeof received === 'string' || received.length !== count) {
      const what = typeof received === 'string' ? received : `${received.length} scores`;
      throw new RewardError(
        `Expected ${count} scores, one per sample, from reward \`${this.name}\` but received ${what}.`,
        { sampleIndex: index },
      );
    }
    received.forEach((score, position) => {
      if (score === null || (typeof score === 'number' && Number.isFinite(score))) return;
      const at = index ?? position;
      throw new RewardError(
        `Expected a finite number or null for sample ${at} from reward \`${this.name}\` but received ${score}.`,
        { sampleIndex: at, remedy: 'Return null to abstain.' },
      );
    });
    return received as (number | null)[];
  }

  /** A call, since a check before an `await` says nothing about the time after it. */
  #isDisposed(): boolean {
    return this.#disposed;
  }

  async #endThread(reason: unknown): Promise<void> {
    const thread = this.#thread;
    this.#thread = null;
    await thread?.end(reason);
  }
}

/** Longest delay of a timer in Node (2^31 - 1 ms); a longer one would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

function disposedError(name: string): LspError {
  return new LspError('DISPOSED', `Expected a live reward \`${name}\` but received one that was disposed.`);
}

const REMEDIES: Record<ThreadFailure['kind'], string> = {
  timeout: 'The worker was ended. Raise `timeoutMs` if scoring a sample takes that long.',
  threw: 'Fix the reward, or let it return null for answers that it cannot score.',
  died: 'A reward must return its score and leave the process alone.',
  'not sent': 'Keep `info` plain data: it is copied into the worker.',
};

/** The absolute path of a module given as path, file: URL or package name. */
function resolveModule(module: string): string {
  try {
    const path = module.startsWith('file:') ? fileURLToPath(module) : resolve(module);
    if (existsSync(path) && statSync(path).isFile()) return path;
    return createRequire(resolve('package.json')).resolve(module);
  } catch {
    throw invalid('module', 'a module that exists', module, 'Relative paths start at the working directory.');
  }
}
