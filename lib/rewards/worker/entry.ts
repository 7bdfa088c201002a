/**
 * Runs in the worker thread of a WorkerReward: loads the user's module, then answers one request after the other.
 *
 * Replies hold nothing but numbers, null and strings, so that they can always be sent: a string in the place of a
 * score describes what was returned instead of one.
 */
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { parentPort, workerData } from 'node:worker_threads';
import type { Sample } from '../reward';

/** What the thread is started with. */
export interface EntryData {
  /** Absolute path. */
  module: string;
  export: string;
}

export interface ScoreRequest {
  id: number;
  samples: Sample[];
}

/** Reply to loading (id 0) or to a request. `batch`: the module scores arrays of samples. */
export type Reply =
  | { lsp: 'ready'; id: 0; batch: boolean }
  | { lsp: 'scores'; id: number; scores: (number | null | string)[] | string }
  | { lsp: 'failed'; id: number; error: { message: string; stack: string | undefined } };

type Scorer = (samples: Sample[], context: { signal: AbortSignal }) => unknown;

async function loadModule({ module }: EntryData): Promise<Record<string, unknown>> {
  // Loaders registered by the caller (ts-node) hook require, not import.
  if (/\.c?ts$/.test(module)) return createRequire(module)(module) as Record<string, unknown>;
  return (await import(pathToFileURL(module).href)) as Record<string, unknown>;
}

/** The export by name; looks into the default export too, where an imported CommonJS module has its exports. */
function pickExport(loaded: unknown, name: string): unknown {
  const isObject = (value: unknown): value is Record<string, unknown> =>
    (typeof value === 'object' && value !== null) || typeof value === 'function';
  if (!isObject(loaded)) return undefined;
  const inner = loaded.default;
  if (name !== 'default') return loaded[name] ?? (isObject(inner) ? inner[name] : undefined);
  if (isObject(inner) && 'default' in inner) return inner.default;
  return inner ?? loaded;
}

/** A function of one sample, a Reward object, or a class of Rewards. */
function toScorer(exported: unknown, data: EntryData): { score: Scorer; batch: boolean } {
  let reward = exported;
  if (typeof reward === 'function' && hasScore(reward.prototype)) {
    reward = new (reward as new () => unknown)();
  }
  if (hasScore(reward)) {
    const { score } = reward;
    return { score: (samples, context) => score.call(reward, samples, context), batch: true };
  }
  if (typeof reward === 'function') {
    const score = reward as (sample: Sample, context: { signal: AbortSignal }) => unknown;
    return { score: (samples, context) => score(samples[0]!, context), batch: false };
  }
  throw new TypeError(
    `Expected a function or a reward as export \`${data.export}\` of ${data.module} but received ${typeof reward}.`,
  );
}

function hasScore(value: unknown): value is { score: (...args: unknown[]) => unknown } {
  return typeof value === 'object' && value !== null && 'score' in value && typeof value.score === 'function';
}

function toScore(value: unknown): number | null | string {
  if (typeof value === 'number' || value === null) return value;
  if (typeof value === 'string') return `the string ${JSON.stringify(value.slice(0, 60))}`;
  return value === undefined ? 'undefined' : `a value of type ${typeof value}`;
}

function toFailure(id: number, error: unknown): Reply {
  const isError = error instanceof Error;
  return {
    lsp: 'failed',
    id,
    error: { message: isError ? error.message : String(error), stack: isError ? error.stack : undefined },
  };
}

async function main(): Promise<void> {
  const port = parentPort;
  if (!port) return;
  // What a reward prints must not get into output that a program reads. Done here: the worker's `stdout` option would
  // keep the process alive as long as an idle worker.
  process.stdout.write = process.stderr.write.bind(process.stderr);
  const send = (reply: Reply): void => port.postMessage(reply);
  const data = workerData as EntryData;
  let scorer: { score: Scorer; batch: boolean };
  try {
    scorer = toScorer(pickExport(await loadModule(data), data.export), data);
  } catch (error) {
    send(toFailure(0, error));
    return;
  }
  // The thread is ended when a run is aborted, so this signal never fires; it is here for rewards that expect one.
  const { signal } = new AbortController();
  port.on('message', ({ id, samples }: ScoreRequest) => {
    void (async () => {
      try {
        const value = await scorer.score(samples, { signal });
        if (!scorer.batch) send({ lsp: 'scores', id, scores: [toScore(value)] });
        else
          send({
            lsp: 'scores',
            id,
            scores: Array.isArray(value) ? value.map(toScore) : String(toScore(value)),
          });
      } catch (error) {
        send(toFailure(id, error));
      }
    })();
  });
  send({ lsp: 'ready', id: 0, batch: scorer.batch });
}

void main();
