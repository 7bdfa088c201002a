/** Runs the command in a process of its own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(__dirname, '..', '..');

/**
 * How to start the command: as built, if the build is newer than every source (`npm test` builds first), else from
 * its TypeScript, which takes two seconds more.
 */
function commandOf(): string[] {
  const built = join(ROOT, 'dist', 'cli', 'main.js');
  const sources = join(ROOT, 'lib');
  const newest = readdirSync(sources, { recursive: true, encoding: 'utf8' })
    .map((name) => statSync(join(sources, name)).mtimeMs)
    .reduce((latest, time) => Math.max(latest, time), 0);
  if (existsSync(built) && statSync(built).mtimeMs >= newest) return [built];
  return ['-r', require.resolve('ts-node/register/transpile-only'), join(sources, 'cli', 'main.ts')];
}

let command: string[] | undefined;

export interface Finished {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface Running {
  child: ChildProcess;
  finished: Promise<Finished>;
  /** Resolves when the output so far holds the text; rejects if the process ends before. */
  seen(text: string): Promise<void>;
}

export interface LaunchOptions {
  stdin?: string;
  cwd?: string;
  env?: Record<string, string>;
}

export function launch(args: readonly string[], options: LaunchOptions = {}): Running {
  command ??= commandOf();
  const child = spawn(process.execPath, [...command, ...args], {
    cwd: options.cwd ?? ROOT,
    env: { ...process.env, TS_NODE_PROJECT: join(ROOT, 'tsconfig.json'), NO_COLOR: '1', ...options.env },
  });
  let stdout = '';
  let stderr = '';
  const listeners = new Set<() => void>();
  const collect = (stream: NodeJS.ReadableStream, add: (text: string) => void) =>
    stream.setEncoding('utf8').on('data', (text: string) => {
      add(text);
      for (const listener of listeners) listener();
    });
  collect(child.stdout, (text) => (stdout += text));
  collect(child.stderr, (text) => (stderr += text));
  child.stdin.on('error', () => undefined); // a command that does not read its input may be gone already
  child.stdin.end(options.stdin ?? '');
  const finished = new Promise<Finished>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  const seen = (text: string) =>
    new Promise<void>((resolve, reject) => {
      const check = () => {
        if (!stdout.includes(text) && !stderr.includes(text)) return;
        listeners.delete(check);
        resolve();
      };
      listeners.add(check);
      void finished.then(() => reject(new Error(`ended without ${text}:\n${stdout}\n${stderr}`)));
      check();
    });
  return { child, finished, seen };
}

export async function lsp(args: readonly string[], options: LaunchOptions = {}): Promise<Finished> {
  return launch(args, options).finished;
}

/** The JSON values that a command printed, one a line. */
export function values(stdout: string): Record<string, unknown>[] {
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}
