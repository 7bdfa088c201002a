/**
 * One run of bubblewrap: starts it, feeds it, watches it, and stops it so that nothing survives.
 *
 * The first process of the sandbox's process namespace is what counts: the kernel lets it end only after all others of
 * its namespace, whatever they have done about signals, sessions and parents. So it is the one that is stopped, and a run
 * is over when it has gone; bubblewrap itself may end a moment earlier.
 *
 * A program waits at a gate (bubblewrap.ts) until it was seen that the first process is confined and will end with its
 * parent: bubblewrap arranges that late, and what is killed before would leave the program running for good. Where this
 * process is killed first, nobody opens the gate, and what waits there ends.
 */
import type { ChildProcess } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { LspError } from '../errors';
import { bubblewrapArguments, GATE_OPENS, type Descriptors, type PassedFile } from './bubblewrap';
import { identify, isAlive, isFiltered, sharedNamespaces, type ProcessIdentity } from './process';
import { failure, start } from './start';
import type { SandboxLimits, SandboxResult, SandboxStatus } from './types';
import { exactMemoryBytes, usageOf, type Usage } from './usage';

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

const DESCRIPTORS: Descriptors = { status: 3, seccomp: 4, gate: 5, files: 6 };

/** How long to wait from one look at its use to the next; a look may take but a part of this process's time. */
const WATCH_EVERY_MS = { least: 20, most: 200, perLook: 10 };
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
  readonly #ended: Promise<void>;
  readonly #gate: Writable | undefined;
  readonly #started = performance.now();
  readonly #stdout: LimitedOutput;
  readonly #stderr: LimitedOutput;
  #status = '';
  /** The limit that ended it. */
  #stopped: Stop | null = null;
  /** Why it must not be run. */
  #refused: string | null = null;
  #opened = false;
  #over = false;
  /** Known as soon as bubblewrap has told it. */
  #first: ProcessIdentity | null = null;
  #watched = false;
  #timers: NodeJS.Timeout[] = [];
  #nextLook: NodeJS.Timeout | undefined;

  constructor(containment: Containment, { command, files, stdin, limits }: ContainedProgram) {
    this.#limits = limits;
    const { readOnly, seccomp } = containment;
    const options = bubblewrapArguments(command, { limits, files, readOnly, descriptors: DESCRIPTORS });
    const started = start(containment.bubblewrap, options, DESCRIPTORS.files + files.length);
    this.#child = started.child;
    this.#ended = started.ended;
    const inputs = [stdin, null, null, null, seccomp, null, ...files.map(({ content }) => content)];
    started.streams.forEach((stream, i) => {
      // What does not read its input to the end breaks the pipe; that is its business.
      stream.on('error', () => undefined);
      const input = inputs[i];
      if (input != null) stream.end(input);
    });
    const streams = started.streams;
    const full = (): void => this.#stop('output');
    this.#stdout = new LimitedOutput(streams[1], limits.maxOutputBytes, full);
    this.#stderr = new LimitedOutput(streams[2], limits.maxOutputBytes, full);
    streams[DESCRIPTORS.status]?.on('data', (piece: Buffer) => this.#readStatus(piece));
    this.#gate = streams[DESCRIPTORS.gate];
    streams[DESCRIPTORS.gate]?.once('data', () => void this.#open());
  }

  async result(signal: AbortSignal | undefined): Promise<ContainedResult> {
    const onAbort = (): void => this.#stop('aborted');
    signal?.addEventListener('abort', onAbort, { once: true });
    this.#timers.push(setTimeout(() => setImmediate(() => this.#runOut()), this.#limits.timeoutMs));
    this.#watchAfter(WATCH_EVERY_MS.least);
    try {
      await this.#ended;
    } finally {
      this.#over = true;
      for (const timer of [...this.#timers, this.#nextLook]) clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    }
    await this.#empty();
    signal?.throwIfAborted();
    if (this.#refused !== null) throw failure(this.#refused);
    return this.#outcome();
  }

  #outcome(): ContainedResult {
    // bubblewrap reports an exit code only for a program that it has started.
    const code = /"exit-code":\s*(\d+)/.exec(this.#status)?.[1];
    if (this.#stopped === null && (code === undefined || !this.#opened)) {
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

  /** The program is waiting to be started: does so once nothing of it can outlive this process, or get out. */
  async #open(): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    // bubblewrap's first process has itself ended with its parent, and then takes on the filter, in this order.
    while (this.#first === null || !isFiltered(this.#first.pid)) {
      if (performance.now() > deadline) this.#refuse('a first process without a filter of system calls');
      if (this.#over || this.#stopped !== null) return;
      await delay(1);
    }
    const shared = sharedNamespaces(this.#first.pid);
    if (this.#over || this.#stopped !== null) return;
    if (shared.length > 0) {
      this.#refuse(`a program that shares namespaces or does not show them (${shared.join(', ')})`);
    } else {
      this.#opened = true;
      this.#gate?.end(GATE_OPENS);
    }
  }

  #refuse(reason: string): void {
    this.#refused = reason;
    this.#stop('aborted');
  }

  /** Its time is up; unless it has ended, and this process was only too busy to notice. */
  #runOut(): void {
    if (this.#over) return;
    if (/"exit-code"/.test(this.#status)) this.#kill();
    else this.#stop('timeout');
  }

  #watchAfter(milliseconds: number): void {
    if (!this.#over) this.#nextLook = setTimeout(() => void this.#watch(), milliseconds);
  }

  async #watch(): Promise<void> {
    const began = performance.now();
    let busyMs = 0;
    if (this.#first !== null && this.#stopped === null) {
      const usage = usageOf(this.#first.pid, this.#limits.maxFileBytes);
      busyMs = performance.now() - began;
      if (usage !== null) await this.#compare(usage);
    }
    const { least, most, perLook } = WATCH_EVERY_MS;
    const waited = performance.now() - began - busyMs;
    this.#watchAfter(Math.min(most, Math.max(least, perLook * busyMs, waited)));
  }

  async #compare(usage: Usage): Promise<void> {
    if (usage.processes.length > 1 && usage.files !== null) this.#watched = true;
    if ((usage.files ?? 0) > MAX_FILES) this.#stop('files');
    if (usage.memoryBytes <= this.#limits.memoryBytes) return;
    // Pages that processes share were counted for each of them.
    const exact = await exactMemoryBytes(usage);
    if (exact === null || exact > this.#limits.memoryBytes) this.#stop('memory');
  }

  #stop(cause: Stop): void {
    if (this.#stopped !== null || this.#over) return;
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

  constructor(stream: Readable | undefined, limitBytes: number, onFull: () => void) {
    stream?.on('data', (piece: Buffer) => {
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
