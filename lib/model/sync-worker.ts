/**
 * Asks a worker thread and waits for the answer, synchronously.
 *
 * The Rust tokenizers encode only asynchronously from Node, while `tokenizer.encode()` is synchronous (templates,
 * gates and rewards are plain functions). So the binding runs on one worker thread of the process, and the caller
 * sleeps on a shared counter until the answer lies in the port: some tens of microseconds. The worker's source is a
 * string so that it runs alike from dist, ts-node and jest.
 */
import { type MessagePort, MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads';

/** The first answer also waits for the thread to start, on a machine that may be busy. */
const STARTUP_MS = 30_000;

interface Reply {
  id: number;
  value?: unknown;
  error?: string;
}

/** The worker could not answer in time. */
export class WorkerTimeout extends Error {}

export class SyncWorker {
  #running: { worker: Worker; port: MessagePort; counter: Int32Array } | undefined;
  #answered = false;
  #nextId = 1;

  /**
   * @param body JavaScript of a function body that returns the handler `(request) => answer` (it may be async)
   * @param workerData what the body sees as `data`
   */
  constructor(
    private readonly body: string,
    private readonly workerData: unknown,
  ) {}

  /**
   * @throws Error with the handler's message if it threw; WorkerTimeout (the thread is then given up, and the next
   *   call starts a new one that knows nothing of the old one's state)
   */
  call(request: unknown, timeoutMs: number): unknown {
    const { port, counter } = (this.#running ??= this.#start());
    const id = this.#nextId++;
    const deadline = performance.now() + timeoutMs + (this.#answered ? 0 : STARTUP_MS);
    port.postMessage({ id, request });
    for (;;) {
      const seen = Atomics.load(counter, 0);
      const reply = receiveMessageOnPort(port)?.message as Reply | undefined;
      if (reply?.id === id) {
        this.#answered = true;
        if (reply.error !== undefined) throw new Error(reply.error);
        return reply.value;
      }
      if (reply) continue;
      const left = deadline - performance.now();
      if (left <= 0) {
        this.terminate();
        throw new WorkerTimeout(`no answer within ${Math.round(timeoutMs)} ms`);
      }
      Atomics.wait(counter, 0, seen, left);
    }
  }

  /** Sends a request to the running thread, if any, without waiting; its answer is dropped. */
  send(request: unknown): void {
    this.#running?.port.postMessage({ id: this.#nextId++, request });
  }

  /** Changes with every new thread, so that owners know when to load their state again. */
  get generation(): number {
    return this.#generation;
  }

  #generation = 0;

  #start() {
    const counter = new Int32Array(new SharedArrayBuffer(4));
    const { port1, port2 } = new MessageChannel();
    const worker = new Worker(workerSource(this.body), {
      eval: true,
      execArgv: [],
      workerData: { counter, port: port2, data: this.workerData },
      transferList: [port2],
    });
    // A thread that dies shows as a timeout of the next call; its error needs no second report.
    worker.on('error', () => this.terminate());
    worker.unref();
    port1.unref();
    this.#generation += 1;
    this.#answered = false;
    return { worker, port: port1, counter };
  }

  terminate(): void {
    const running = this.#running;
    this.#running = undefined;
    if (!running) return;
    running.port.close();
    giveUp(running.worker);
  }
}

/** Threads that were told to end and have not yet: native code cannot be interrupted. */
const ending = new Set<Worker>();

/**
 * Ends a thread without waiting for it. Node waits for all threads before it exits, even for one that computes for
 * hours: should one still be there when everything else has ended, the process is killed (SIGKILL; its exit status is
 * then 137). Output is written and exit handlers have run by then, those registered later than the first such thread
 * excepted.
 */
function giveUp(worker: Worker): void {
  if (ending.size === 0) process.on('exit', killIfEnding);
  ending.add(worker);
  worker.once('exit', () => {
    ending.delete(worker);
    if (ending.size === 0) process.off('exit', killIfEnding);
  });
  void worker.terminate();
  worker.unref(); // terminating refers to it again
}

function killIfEnding(): void {
  process.kill(process.pid, 'SIGKILL');
}

function workerSource(body: string): string {
  return `
    const { workerData } = require('node:worker_threads');
    const { counter, port, data } = workerData;
    const handler = (() => { ${body} })();
    port.on('message', async ({ id, request }) => {
      let reply;
      try {
        reply = { id, value: await handler(request) };
      } catch (error) {
        reply = { id, error: String((error && error.message) || error) };
      }
      port.postMessage(reply);
      Atomics.add(counter, 0, 1);
      Atomics.notify(counter, 0);
    });`;
}
