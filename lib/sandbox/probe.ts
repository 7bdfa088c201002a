/**
 * Tries a sandbox out before anything is trusted to it: a program inside attempts what it must not be able to do, and
 * what it reports is compared with what must come out. A machine on which one of these does not hold gets an error
 * that names it, never a weaker sandbox.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { LspError } from '../errors';
import { runContained, type Containment, type ContainedResult } from './contained';
import { unavailable } from './unavailable';

export interface SandboxCheck {
  /** What holds, for people: `the network is out of reach`. */
  name: string;
  ok: boolean;
}

/** The folder lies two above both lib/sandbox and dist/sandbox. */
export const SANDBOX_ASSETS = join(__dirname, '..', '..', 'assets', 'sandbox');

const OLDEST = [0, 7] as const;
const TIMEOUT_MS = 10_000;
const MEMORY_BYTES = 256 * 2 ** 20;
const MAX_PROCESSES = 16;

/** What the program inside reports, by name, and what holds where it is true. */
const MEANINGS: Readonly<Record<string, string>> = {
  files: 'the files of this machine are out of reach',
  readOnly: 'nothing can be written outside the work folder',
  network: 'the network is out of reach',
  environment: 'the environment is empty of secrets',
  processes: 'other processes are out of reach',
  limits: 'memory, processes, files and processor time are limited',
  fork: 'the limit of processes holds',
  calls: 'dangerous system calls are refused',
};

/** @throws LspError SANDBOX_UNAVAILABLE naming what does not hold; the signal's reason */
export async function probe(
  containment: Containment,
  python: string,
  signal?: AbortSignal,
): Promise<{ description: string; checks: SandboxCheck[] }> {
  const version = await bubblewrapVersion(containment.bubblewrap);
  // A server that a program with a network could reach.
  const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
  try {
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const { result, nonce } = await runProbe(containment, python, port, signal);
    const report = readReport(result, nonce);
    const checks = [
      ...Object.entries(MEANINGS).map(([name, meaning]) => ({ name: meaning, ok: report[name] === true })),
      { name: 'the use of memory can be watched', ok: result.watched },
    ];
    const failed = checks.filter(({ ok }) => !ok).map(({ name }) => name);
    if (failed.length > 0) {
      throw unavailable(
        `one of which this does not hold: ${failed.join('; ')} (${String(report['details'])})`,
      );
    }
    return { description: `bubblewrap ${version}, Python ${String(report['python'])}`, checks };
  } finally {
    server.close();
  }
}

async function bubblewrapVersion(path: string): Promise<string> {
  let output: string;
  try {
    output = (await promisify(execFile)(path, ['--version'], { timeout: TIMEOUT_MS })).stdout;
  } catch (error) {
    throw unavailable(`a bubblewrap that does not start: ${(error as Error).message.slice(0, 300)}`, error);
  }
  const [, version, major, minor] = /((\d+)\.(\d+)[\d.]*)/.exec(output) ?? [];
  if (version === undefined) throw unavailable(`a bubblewrap without a version: ${output.slice(0, 60)}`);
  const [oldestMajor, oldestMinor] = OLDEST;
  if (Number(major) === oldestMajor && Number(minor) < oldestMinor) {
    throw unavailable(`bubblewrap ${version}, which cannot limit the size of a work folder`);
  }
  return version;
}

async function runProbe(
  containment: Containment,
  python: string,
  port: number,
  signal: AbortSignal | undefined,
): Promise<{ result: ContainedResult; nonce: string }> {
  const nonce = randomBytes(16).toString('hex');
  // Some accounts live in folders that are there for everybody.
  const home = /^\/(?:usr(?:\/|$)|bin$|sbin$|$)/.test(homedir()) ? '/home' : homedir();
  const request = { nonce, port, home, pid: process.pid, maxProcesses: MAX_PROCESSES };
  const content = await readFile(join(SANDBOX_ASSETS, 'probe.py'), 'utf8');
  const program = {
    command: [python, '-s', '-S', '-B', '/program/probe.py'],
    files: [{ path: '/program/probe.py', content, mode: '0444' }],
    stdin: JSON.stringify(request),
    limits: {
      timeoutMs: TIMEOUT_MS,
      memoryBytes: MEMORY_BYTES,
      maxProcesses: MAX_PROCESSES,
      maxOutputBytes: 65_536,
      maxFileBytes: 2 ** 20,
    },
  };
  try {
    return { result: await runContained(containment, program, signal), nonce };
  } catch (error) {
    signal?.throwIfAborted();
    // Its remedy goes into the new error as such, and not into the middle of the sentence.
    const { message, remedy } = error as LspError;
    const said = message
      .replace(remedy ?? '', '')
      .trim()
      .replace(/\.+$/, '');
    throw unavailable(`one that does not start: ${said}`, error);
  }
}

function readReport(result: ContainedResult, nonce: string): Record<string, unknown> {
  const said = `${result.status}, exit code ${String(result.exitCode)}: ${result.stderr.trim().slice(-300)}`;
  try {
    const report = JSON.parse(result.stdout) as Record<string, unknown>;
    if (result.status === 'ok' && report['nonce'] === nonce) return report;
  } catch {
    // Falls through: no JSON.
  }
  throw unavailable(`one in which Python does not run (${said})`);
}
