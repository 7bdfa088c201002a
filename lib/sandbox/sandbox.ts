/**
 * Runs programs that nobody has read, such as those a model wrote: without network, without files of this machine, and
 * within limits of time, memory, processes and output. See docs/sandbox.md for what is guaranteed and what is not.
 *
 * There is one way to run such a program, and none that is less safe: where the sandbox cannot be had, `Sandbox.open`
 * says why and how to get it, and everything that needs it refuses to start.
 */
import { constants, accessSync, realpathSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, isAbsolute, join, relative } from 'node:path';
import { checkOptions, expectArray, expectInteger, expectSignal, expectString, invalid } from '../options';
import { runContained, type Containment } from './contained';
import { probe, type SandboxCheck } from './probe';
import { DEFAULT_LIMITS, LIMIT_NAMES, settleLimits, settleProgram } from './program';
import { seccompFilter } from './seccomp';
import { Turns } from './turns';
import type { SandboxLimits, SandboxProgram, SandboxResult } from './types';
import { unavailable, unsupported } from './unavailable';

export interface SandboxOptions extends Partial<SandboxLimits> {
  /** Absolute path of the Python inside the sandbox. Default /usr/bin/python3, or /usr/local/bin/python3. */
  python?: string;
  /** Folders of this machine that programs can read besides /usr, e.g. the prefix of another Python. */
  readOnly?: readonly string[];
  /** Absolute path of `bwrap`. Default: found in PATH. */
  bubblewrap?: string;
  /** Programs at the same time, default 2; others wait. */
  concurrency?: number;
  signal?: AbortSignal;
}

const OPTION_NAMES = ['python', 'readOnly', 'bubblewrap', 'concurrency', 'signal', ...LIMIT_NAMES];

const PYTHONS = ['/usr/bin/python3', '/usr/local/bin/python3'];

/** Never shown to a program, and neither is a folder that holds one of them. */
const PRIVATE_FOLDERS = ['/dev', '/etc', '/home', '/proc', '/root', '/run', '/sys', '/tmp', '/var'];

export class Sandbox {
  /** For people: `bubblewrap 0.8.0, Python 3.11.2`. */
  readonly description: string;
  /** What was tried out when it was opened; all of it held. */
  readonly checks: readonly SandboxCheck[];
  readonly limits: Readonly<SandboxLimits>;
  /** Path of the Python inside. */
  readonly python: string;
  /** Programs at the same time. */
  readonly concurrency: number;
  readonly #containment: Containment;
  readonly #turns: Turns;

  private constructor(
    containment: Containment,
    settings: { python: string; limits: SandboxLimits; concurrency: number },
    found: { description: string; checks: readonly SandboxCheck[] },
  ) {
    this.#containment = containment;
    this.python = settings.python;
    this.concurrency = settings.concurrency;
    this.#turns = new Turns(settings.concurrency);
    this.limits = settings.limits;
    this.description = found.description;
    this.checks = found.checks;
  }

  /**
   * Finds bubblewrap and Python, and tries the sandbox out: that it runs, and that network, files, environment, memory,
   * processes and system calls are confined as they should be. Takes about a fifth of a second.
   *
   * @throws LspError SANDBOX_UNAVAILABLE with the reason and what to do; INVALID_ARGUMENT, UNKNOWN_OPTION; the
   *   signal's reason
   */
  static async open(options: SandboxOptions = {}): Promise<Sandbox> {
    const checked = checkOptions(options, OPTION_NAMES, 'Sandbox.open');
    const limits = settleLimits(checked, DEFAULT_LIMITS);
    const concurrency = expectInteger('concurrency', checked.concurrency ?? 2, { min: 1 });
    const signal = expectSignal('signal', checked.signal);
    const readOnly = expectArray('readOnly', checked.readOnly ?? []).map(checkReadOnly);
    if (checked.python !== undefined) expectAbsolute('python', checked.python);
    if (checked.bubblewrap !== undefined) expectAbsolute('bubblewrap', checked.bubblewrap);
    const seccomp = process.platform === 'linux' ? seccompFilter(process.arch) : null;
    if (seccomp === null) throw unsupported(`${process.platform} on ${process.arch}`);
    const containment = { bubblewrap: findBubblewrap(checked.bubblewrap), seccomp, readOnly };
    const python = findPython(checked.python);
    if (!isExecutable('/usr/bin/prlimit')) throw unavailable('no /usr/bin/prlimit (package util-linux)');
    const found = await probe(containment, python, signal);
    return new Sandbox(containment, { python, limits, concurrency }, found);
  }

  /**
   * Runs one program. Whatever it does is a result; only a sandbox that cannot run it is an error. When the promise
   * settles, no process of it is left, nor a file.
   *
   * @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION, SANDBOX_UNAVAILABLE; the signal's reason
   */
  async run(program: SandboxProgram, options: { signal?: AbortSignal } = {}): Promise<SandboxResult> {
    const { signal } = checkOptions(options, ['signal'], 'Sandbox.run');
    expectSignal('signal', signal);
    const settled = settleProgram(program, this.limits, this.python);
    return this.#turns.take(signal, async () => {
      const { watched: _, ...result } = await runContained(this.#containment, settled, signal);
      return result;
    });
  }
}

function findBubblewrap(given: string | undefined): string {
  if (given !== undefined) {
    if (!isExecutable(given)) throw invalid('bubblewrap', 'an executable file', given);
    return given;
  }
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => isAbsolute(folder));
  const found = folders.map((folder) => join(folder, 'bwrap')).find(isExecutable);
  if (found === undefined) throw unavailable('no bubblewrap (`bwrap`) in PATH');
  return found;
}

function findPython(given: string | undefined): string {
  const candidates = given === undefined ? PYTHONS : [given];
  const found = candidates.find(isExecutable);
  if (found !== undefined) return realpathSync(found);
  if (given !== undefined) throw invalid('python', 'an executable file', given);
  throw unavailable(`no Python at ${PYTHONS.join(' or ')}`);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function checkReadOnly(folder: unknown, index: number): string {
  const name = `readOnly[${index}]`;
  const path = expectAbsolute(name, folder);
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) {
    throw invalid(name, 'a folder that exists', folder);
  }
  const real = realpathSync(path);
  const within = (inner: string, outer: string): boolean => {
    const way = relative(outer, inner);
    return way === '' || (!way.startsWith('..') && !isAbsolute(way));
  };
  const shown = [...PRIVATE_FOLDERS, homedir()].find((hidden) => within(hidden, real));
  if (shown !== undefined) {
    throw invalid(
      name,
      `a folder that does not hold ${shown}`,
      folder,
      'Name the one folder that is needed.',
    );
  }
  return path;
}

function expectAbsolute(name: string, value: unknown): string {
  const path = expectString(name, value, { allowEmpty: false });
  if (!isAbsolute(path) || path.includes('\0')) throw invalid(name, 'an absolute path', value);
  return path;
}
