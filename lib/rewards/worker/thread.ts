/**
 * One worker thread that runs a reward module: asked one thing at a time, ended for good by the first failure.
 *
 * A thread, because only a thread can be ended while it computes: a timer cannot interrupt a synchronous loop. It
 * is no sandbox: the module can read files and open sockets like any other code of the process.
 */
import { join } from 'node:path';
import { Worker, type ResourceLimits } from 'node:worker_threads';
import type { Sample } from '../reward';
import type { EntryData, Reply, ScoreRequest } from './entry';

export interface ThreadOptions extends EntryData {
  execArgv?: readonly string[];
  resourceLimits?: ResourceLimits;
}

/** Why a thread gave no reply. */
export class ThreadFailure extends Error {
  constructor(
    readonly kind: 'timeout' | 'threw' | 'died' | 'not sent',
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

interface Pending {
  id: number;
  resolve: (reply: Reply) => void;
  reject: (reason: unknown) => void;
}

export class RewardThread {
  /** Whether the module scores arrays; known once it is loaded. */
  batch = false;
  readonly #worker: Worker;
  #pending: Pending | null = null;
  #nextId = 1;
  #dead: ThreadFailure | null = null;

  constructor(options: ThreadOptions) {
    const data: EntryData = { module: options.module, export: options.export };
    const entry = entryPoint();
    const execArgv = [...(options.execArgv ?? []), ...entry.execArgv];
    try {
      this.#worker = new Worker(entry.path, {
        workerData: data,
        ...(execArgv.length > 0 ? { execArgv } : {}),
        ...(options.resourceLimits ? { resourceLimits: options.resourceLimits } : {}),
      });
    } catch (cause) {
      throw new ThreadFailure('died', `a worker that cannot start: ${describe(cause)}`, { cause });
    }
    this.#worker.on('message', (message: unknown) => this.#receive(message));
    this.#worker.on('error', (error) => {
      this.#die(new ThreadFailure('died', `a crash of its worker: ${describe(error)}`, { cause: error }));
    });
    this.#worker.on('exit', (code) => {
      this.#die(new ThreadFailure('died', `an exit of its worker with code ${code}`));
    });
    // An idle worker must not keep the process alive; a busy one does.
    this.#worker.unref();
  }

  get alive(): boolean {
    return this.#dead === null;
  }

  /** Waits until the module is loaded. @throws ThreadFailure, or the signal's reason */
  async load(limitMs: number, signal: AbortSignal): Promise<void> {
    const reply = await this.#wait(0, limitMs, signal);
    this.batch = reply.lsp === 'ready' && reply.batch;
  }

  /**
   * Scores samples. @returns whatever the module returned, as `Reply` describes it
   * @throws ThreadFailure, or the signal's reason
   */
  async ask(
    samples: Sample[],
    limitMs: number,
    signal: AbortSignal,
  ): Promise<(number | null | string)[] | string> {
    const id = this.#nextId++;
    const request: ScoreRequest = { id, samples };
    try {
      this.#worker.postMessage(request);
    } catch (cause) {
      throw new ThreadFailure('not sent', `a sample that cannot be copied: ${describe(cause)}`, { cause });
    }
    const reply = await this.#wait(id, limitMs, signal);
    return reply.lsp === 'scores' ? reply.scores : 'no score';
  }

  /** Ends the thread, even in the middle of a loop. A pending request rejects with `reason`. Idempotent. */
  async end(reason: unknown): Promise<void> {
    this.#pending?.reject(reason);
    this.#dead ??= new ThreadFailure('died', 'an end of its worker');
    await this.#worker.terminate();
  }

  async #wait(id: number, limitMs: number, signal: AbortSignal): Promise<Reply> {
    signal.throwIfAborted();
    if (this.#dead) throw this.#dead;
    let timer: NodeJS.Timeout | undefined;
    let onAbort: (() => void) | undefined;
    this.#worker.ref();
    try {
      return await new Promise<Reply>((resolve, reject) => {
        this.#pending = { id, resolve, reject };
        onAbort = () => reject(signal.reason);
        signal.addEventListener('abort', onAbort, { once: true });
        const expire = (): void => reject(new ThreadFailure('timeout', `no score within ${limitMs} ms`));
        // If this thread was blocked, the reply may lie unread behind the timer: read the messages first.
        if (Number.isFinite(limitMs)) timer = setTimeout(() => setImmediate(expire), limitMs);
      });
    } finally {
      this.#pending = null;
      clearTimeout(timer);
      if (onAbort) signal.removeEventListener('abort', onAbort);
      this.#worker.unref();
    }
  }

  #receive(message: unknown): void {
    const pending = this.#pending;
    // The module may post messages of its own; only replies to the pending request count.
    if (!pending || !isReply(message) || message.id !== pending.id) return;
    if (message.lsp !== 'failed') {
      pending.resolve(message);
      return;
    }
    const cause = new Error(message.error.message);
    if (message.error.stack !== undefined) cause.stack = message.error.stack;
    pending.reject(new ThreadFailure('threw', `an exception: ${message.error.message}`, { cause }));
  }

  #die(failure: ThreadFailure): void {
    this.#dead ??= failure;
    this.#pending?.reject(failure);
  }
}

function isReply(message: unknown): message is Reply {
  return typeof message === 'object' && message !== null && 'lsp' in message && 'id' in message;
}

/** The message of whatever was thrown; errors of other realms are no `instanceof Error`. */
function describe(error: unknown): string {
  const isError = typeof error === 'object' && error !== null && 'message' in error;
  return String(isError ? error.message : error);
}

/** The compiled entry beside this file; from sources (tests, examples) the TypeScript one, through ts-node. */
function entryPoint(): { path: string; execArgv: string[] } {
  if (!__filename.endsWith('.ts')) return { path: join(__dirname, 'entry.js'), execArgv: [] };
  return {
    path: join(__dirname, 'entry.ts'),
    execArgv: ['--require', require.resolve('ts-node/register/transpile-only')],
  };
}
