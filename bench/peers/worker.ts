/** A program that measures when it is asked to: requests and answers, a line of JSON each, over its pipes. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface WorkerProgram {
  /** Of the contender, for messages. */
  name: string;
  command: string;
  args: readonly string[];
  env?: Readonly<Record<string, string>>;
}

const KEPT_LINES = 12;
const PATIENCE_MS = 10_000;

export class Worker implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;
  readonly #errors: string[] = [];
  readonly #closed: Promise<number | string>;

  private constructor(
    private readonly program: WorkerProgram,
    signal?: AbortSignal,
  ) {
    const { command, args, env } = program;
    this.#child = spawn(command, args, { env: { ...process.env, ...env }, ...(signal && { signal }) });
    this.#closed = new Promise((resolve) => {
      this.#child.on('error', (error) => resolve(error.message));
      this.#child.on('close', (code, name) => resolve(code ?? name ?? 'unknown'));
    });
    this.#child.stdin!.on('error', () => {}); // the program has gone: the next answer says so
    createInterface(this.#child.stderr!).on('line', (line) => {
      this.#errors.push(line);
      if (this.#errors.length > KEPT_LINES) this.#errors.shift();
    });
    this.#answers = createInterface(this.#child.stdout!)[Symbol.asyncIterator]();
  }

  /** Resolves when the program says that it is ready. @throws Error with its last lines when it ends before */
  static async start(program: WorkerProgram, signal?: AbortSignal): Promise<Worker> {
    const worker = new Worker(program, signal);
    await worker.#answer();
    return worker;
  }

  async ask<T>(request: unknown): Promise<T> {
    this.#child.stdin!.write(`${JSON.stringify(request)}\n`);
    return (await this.#answer()) as T;
  }

  async #answer(): Promise<unknown> {
    const { value, done } = await this.#answers.next();
    if (!done) return JSON.parse(value);
    const code = await this.#closed;
    const said = this.#errors.map((line) => `\n    ${line}`).join('');
    throw new Error(`${this.program.name} ended (${code})${said}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin!.end();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), PATIENCE_MS);
    await this.#closed;
    clearTimeout(timer);
  }
}
