/**
 * Programs that the doctor asks: bounded in time and output, whatever they do. A program that cannot even be killed (a
 * driver that hangs in the kernel) is left behind.
 */
import { spawn } from 'node:child_process';

const MAX_OUTPUT = 1 << 20;

export interface Asked {
  /** Whether it ended by itself with exit code 0. */
  ok: boolean;
  stdout: string;
  stderr: string;
  /** What ended it otherwise: a signal, a code, the time limit, or that it could not be started. */
  failure: string | null;
  signal: NodeJS.Signals | null;
}

export interface AskOptions {
  timeoutMs: number;
  stdin?: string;
  env?: NodeJS.ProcessEnv;
}

export function ask(program: string, args: readonly string[], options: AskOptions): Promise<Asked> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { env: options.env ?? process.env, stdio: 'pipe' });
    const output = { stdout: '', stderr: '' };
    const finish = (failure: string | null, signal: NodeJS.Signals | null = null) => {
      clearTimeout(timer);
      resolve({ ok: failure === null, ...output, failure, signal });
    };
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      child.unref();
      for (const stream of child.stdio) stream?.destroy();
      finish(`no answer within ${options.timeoutMs / 1000} s`);
    }, options.timeoutMs);
    child.once('error', (error) => finish(error.message));
    child.once('close', (code, signal) => {
      finish(code === 0 ? null : signal ? `ended by ${signal}` : `exit code ${code}`, signal);
    });
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        if (output[name].length < MAX_OUTPUT) output[name] += text;
      });
    }
    child.stdin.on('error', () => undefined); // it need not read what it is given
    child.stdin.end(options.stdin ?? '');
  });
}
