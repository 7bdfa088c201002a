/** Programs that try to get out, to stay, or to take too much; and what is left of them on this machine. */
import { readdirSync, readFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import type { Sandbox, SandboxLimits, SandboxResult } from '../../lib/sandbox';

/** Before each program: `attempt(f)` is the value of f, or the name of the system's error (EPERM), or of the exception. */
const HELPERS = `
import ctypes, errno, json, mmap, os, resource, signal, socket, subprocess, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
def attempt(action):
    try:
        value = action()
        return value if isinstance(value, (bool, int, str, list, type(None))) else type(value).__name__
    except OSError as error:
        return errno.errorcode.get(error.errno, 'OSError')
    except BaseException as error:
        return type(error).__name__
def call(name, *arguments):
    ctypes.set_errno(0)
    value = getattr(libc, name)(*arguments)
    return 'done' if value != -1 else errno.errorcode[ctypes.get_errno()]
def syscall(number, *arguments):
    return call('syscall', ctypes.c_long(number), *(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments))
def report(**what):
    print(json.dumps(what), flush=True)
`;

export interface Attempt extends SandboxResult {
  /** What the program reported, as JSON in its last line; null if it did not. */
  reported: Record<string, unknown> | null;
  /** Processes that outlived it. */
  survivors: number;
}

async function attempt(
  sandbox: Sandbox,
  source: string,
  limits: Partial<SandboxLimits> = {},
): Promise<Attempt> {
  // In the command line of every process that the program forks: by this it is found from outside.
  const mark = `mark-${randomBytes(8).toString('hex')}`;
  const result = await sandbox.run({
    timeoutMs: 5000,
    ...limits,
    command: [sandbox.python, '-s', '-S', '-B', '/box/main.py', mark],
    files: { 'main.py': HELPERS + source },
  });
  return { ...result, reported: lastReport(result.stdout), survivors: countProcesses(mark) };
}

function lastReport(output: string): Record<string, unknown> | null {
  try {
    return JSON.parse(output.trim().split('\n').at(-1) ?? '') as Record<string, unknown>;
  } catch {
    return null;
  }
}

/** Processes of this machine with `mark` in their command line. */
export function countProcesses(mark: string): number {
  return readdirSync('/proc').filter((id) => {
    if (!/^\d+$/.test(id)) return false;
    try {
      return readFileSync(`/proc/${id}/cmdline`, 'latin1').includes(mark);
    } catch {
      return false;
    }
  }).length;
}

/** Runs attempts and expects that nothing outlives them. */
export function attempts(sandbox: () => Sandbox): Attempts {
  const run = async (source: string, limits: Partial<SandboxLimits> = {}): Promise<Attempt> => {
    const result = await attempt(sandbox(), source, limits);
    expect(result.survivors).toBe(0);
    return result;
  };
  return {
    run,
    async reportOf(source, limits = {}) {
      const { status, stderr, reported } = await run(source, limits);
      expect({ status, stderr }).toEqual({ status: 'ok', stderr: '' });
      return reported;
    },
  };
}

export interface Attempts {
  run(source: string, limits?: Partial<SandboxLimits>): Promise<Attempt>;
  /** What a program reports that ends by itself. */
  reportOf(source: string, limits?: Partial<SandboxLimits>): Promise<unknown>;
}
