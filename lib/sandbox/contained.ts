/**
 * One run of bubblewrap: starts it, feeds it, watches it, and stops it so that nothing survives.
 *
 * The first process of the sandbox's process namespace is what counts: the kernel lets it end only after all others of
 * its namespace, whatever they have done about signals, sessions and parents. So it is the one that is stopped, and a run
 * is over when it has gone; bubblewrap itself may end a moment earlier.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync, readlinkSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { LspError } from '../errors';
import { bubblewrapArguments, type Descriptors, type PassedFile } from './bubblewrap';
import type { SandboxLimits, SandboxResult, SandboxStatus } from './types';
import { usageOf } from './usage';

/**
 * Root runs programs as this user and group, which owns nothing: the limit of processes does not hold for root's, and
 * a way out of the sandbox should lead to as little as possible.
 */
export const UNPRIVILEGED = 65_534;

export interface Containment {
  /** Absolute path of `bwrap`. */
  bubblewrap: string;
  seccomp: Uint8Array;
  readOnly: readonly string[];
}

export interface ContainedProgram {
  command: readonly string[];
  files: readonly PassedFile[];
  stdin: string | Uint8Array;
  limits: SandboxLimits;
}

export interface ContainedResult extends SandboxResult {
  /** Whether its use of memory was seen at all: a run can be too short for it. */
  watched: boolean;
}

const DESCRIPTORS: Descriptors = { status: 3, seccomp: 4, files: 5 };

const WATCH_EVERY_MS = 20;
const MAX_FILES = 4096;
/** How long bubblewrap may take to report its child, or to end after its child was stopped. */
const PATIENCE_MS = 5000;
/** 128 + SIGXCPU: stopped at the limit of processor time. */
const EXIT_CPU_LIMIT = 152;

/** @throws the signal's reason; LspError SANDBOX_UNAVAILABLE if the program was not started */
export async function runContained(
  containment: Containment,
  program: ContainedProgram,
  signal?: AbortSignal,
): Promise<ContainedResult> {
  signal?.throwIfAborted();
  return new ContainedRun(containment, program).result(signal);
}

type Stop = Exclude<SandboxStatus, 'ok' | 'failed'> | 'aborted';

class ContainedRun {
  readonly #limits: SandboxLimits;
  readonly #child: ChildProcess;
  readonly #started = performance.now();
  readonly #stdout: LimitedOutput;
  readonly #stderr: LimitedOutput;
  #status = '';
  /** The limit that ended it. */
  #stopped: Stop | null = null;
  /** Known as soon as bubblewrap has told it. */
  #first: ProcessIdentity | null = null;
  #watched = false;
  #timers: NodeJS.Timeout[] = [];

  constructor(containment: Containment, { command, files, stdin, limits }: ContainedProgram) {
    this.#limits = limits;
    const { readOnly, seccomp } = containment;
    const root = process.getuid?.() === 0;
    const options = bubblewrapArguments(command, { limits, files, readOnly, descriptors: DESCRIPTORS });
    this.#child = spawn(containment.bubblewrap, options, {
      cwd: '/',
      env: {},
      stdio: ['pipe', 'pipe', 'pipe', 'pipe', 'pipe', ...files.map(() => 'pipe' as const)],
      ...(root && { uid: UNPRIVILEGED, gid: UNPRIVILEGED }),
    });
    const streams = this.#child.stdio as unknown as (Readable & Writable)[];
    const inputs = [stdin, null, null, null, seccomp, ...files.map(({ content }) => content)];
    streams.forEach((stream, i) => {
      // What does not read its input to the end breaks the pipe; that is its business.
      stream.on('error', () => undefined);
      const input = inputs[i];
      if (input != null) stream.end(input);
    });
    const full = (): void => this.#stop('output');
    this.#stdout = new LimitedOutput(streams[1]!, limits.maxOutputBytes, full);
    this.#stderr = new LimitedOutput(streams[2]!, limits.maxOutputBytes, full);
    streams[DESCRIPTORS.status]!.on('data', (piece: Buffer) => this.#readStatus(piece));
  }

  async result(signal: AbortSignal | undefined): Promise<ContainedResult> {
    const onAbort = (): void => this.#stop('aborted');
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#timers.push(setTimeout(() => this.#stop('timeout'), this.#limits.timeoutMs));
    this.#timers.push(setInterval(() => this.#watch(), WATCH_EVERY_MS));
    try {
      await new Promise<void>((resolve, reject) => {
        this.#child.once('error', (error) => reject(failure(error.message)));
        this.#child.once('close', () => resolve());
      });
    } finally {
      for (const timer of this.#timers) clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    }
    await this.#empty();
    signal?.throwIfAborted();
    return this.#outcome();
  }

  #outcome(): ContainedResult {
    // bubblewrap reports an exit code only for a program that it has started.
    const code = /"exit-code":\s*(\d+)/.exec(this.#status)?.[1];
    if (this.#stopped === null && code === undefined) {
      throw failure(this.#stderr.text.trim() || 'no reason');
    }
    const exitCode = this.#stopped === null ? Number(code) : null;
    return {
      status: this.#limitReached() ?? (exitCode === 0 ? 'ok' : 'failed'),
      exitCode,
      stdout: this.#stdout.text,
      stderr: this.#stderr.text,
      seconds: (performance.now() - this.#started) / 1000,
      watched: this.#watched,
    };
  }

  #limitReached(): SandboxStatus | null {
    if (this.#stopped === 'aborted') throw new LspError('INTERNAL', 'Expected a signal that is aborted.');
    if (this.#stopped !== null) return this.#stopped;
    return new RegExp(`"exit-code":\\s*${EXIT_CPU_LIMIT}\\b`).test(this.#status) ? 'timeout' : null;
  }

  #readStatus(piece: Buffer): void {
    this.#status += piece.toString('latin1');
    // All of it comes in one write, and the namespaces after the process.
    const [, pid, namespace] = /"child-pid":\s*(\d+)[^}]*"pid-namespace":\s*(\d+)/.exec(this.#status) ?? [];
    if (this.#first !== null || pid === undefined) return;
    this.#first = identify(Number(pid), namespace!);
    if (this.#stopped !== null) this.#kill();
  }

  #watch(): void {
    if (this.#first === null || this.#stopped !== null) return;
    const usage = usageOf(this.#first.pid, this.#limits);
    if (usage === null) return;
    if (usage.processes > 1 && usage.files !== null) this.#watched = true;
    if (usage.memoryBytes > this.#limits.memoryBytes) this.#stop('memory');
    else if ((usage.files ?? 0) > MAX_FILES) this.#stop('files');
  }

  #stop(cause: Stop): void {
    if (this.#stopped !== null) return;
    this.#stopped = cause;
    // Before its child is known bubblewrap must not be killed: the child could miss that its parent has gone.
    this.#kill();
    this.#timers.push(setTimeout(() => this.#child.kill('SIGKILL'), PATIENCE_MS));
  }

  #kill(): void {
    if (this.#first === null || !isAlive(this.#first)) return;
    try {
      process.kill(this.#first.pid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // ended meanwhile
    }
  }

  /** Waits until no process of the namespace is left. */
  async #empty(): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    while (this.#first !== null && isAlive(this.#first)) {
      this.#kill();
      if (performance.now() > deadline) throw failure('a process that cannot be stopped');
      await delay(2);
    }
  }
}

/** Keeps the first bytes of a stream, and tells when there are more; goes on reading, so that nobody waits. */
class LimitedOutput {
  readonly #pieces: Buffer[] = [];
  #bytes = 0;

  constructor(stream: Readable, limitBytes: number, onFull: () => void) {
    stream.on('data', (piece: Buffer) => {
      const room = limitBytes - this.#bytes;
      if (room > 0) this.#pieces.push(piece.subarray(0, room));
      this.#bytes += piece.length;
      if (piece.length > room) onFull();
    });
  }

  get text(): string {
    return Buffer.concat(this.#pieces).toString('utf8');
  }
}

/** A process for good: ids are used again, but not with the same start. */
interface ProcessIdentity {
  pid: number;
  /** Null for one that had ended before it could be looked at. */
  startTime: string | null;
}

/** That process only if it is in its namespace: should we be late, somebody else may have its id by now. */
function identify(pid: number, namespace: string): ProcessIdentity {
  const startTime = statusOf(pid)?.startTime ?? null;
  try {
    if (readlinkSync(`/proc/${pid}/ns/pid`) === `pid:[${namespace}]`) return { pid, startTime };
  } catch {
    // Ended.
  }
  return { pid, startTime: null };
}

/** Not when it has ended and only waits for its parent to take notice: whoever that is, it may never do. */
function isAlive({ pid, startTime }: ProcessIdentity): boolean {
  const status = statusOf(pid);
  return status !== null && status.startTime === startTime && !/[ZX]/.test(status.state);
}

/** Fields 3 and 22 of proc(5); field 2, the name in parentheses, may itself hold spaces. */
function statusOf(pid: number): { state: string; startTime: string } | null {
  try {
    const status = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = status.slice(status.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0]!, startTime: fields[19]! };
  } catch {
    return null;
  }
}

function failure(reason: string): LspError {
  return new LspError(
    'SANDBOX_UNAVAILABLE',
    `Expected bubblewrap to run a program but received: ${reason.slice(0, 500)}.`,
    { remedy: 'See docs/sandbox.md.' },
  );
}
