/** Queries of a data set: rows of an array or a JSONL file, in an order that only depends on the seed. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { LspError } from '../errors';
import { describe, invalid, isRecord } from '../options';
import { randomFor, shuffledIndices } from '../lsp/random';
import type { ChatMessage } from '../model/types';

/** A row: `prompt` (one user message) or `messages`; all other fields are for the reward (`Sample.info`). */
export type GrpoQuery = { prompt?: string; messages?: readonly ChatMessage[] } & Record<string, unknown>;

/** A row as the trainer uses it. */
export interface QueryRow {
  messages: readonly ChatMessage[];
  info: Readonly<Record<string, unknown>>;
}

/**
 * Reads rows from an array, or from a JSONL file (one JSON object a line; empty lines are skipped).
 * @throws LspError INVALID_ARGUMENT for a row that is none (with its line), IO_ERROR if the file cannot be read
 */
export async function readQueries(
  source: readonly GrpoQuery[] | string,
  signal?: AbortSignal,
): Promise<QueryRow[]> {
  const rows: QueryRow[] = [];
  if (typeof source !== 'string') {
    source.forEach((row, index) => rows.push(checkRow(row, `queries[${index}]`)));
  } else {
    let line = 0;
    for await (const text of linesOf(source)) {
      signal?.throwIfAborted();
      line++;
      if (text.trim() !== '') rows.push(checkRow(parseLine(text, source, line), `${source}:${line}`));
    }
  }
  if (rows.length === 0) throw invalid('queries', 'at least one query', 'none');
  return rows;
}

async function* linesOf(path: string): AsyncGenerator<string> {
  const stream = createReadStream(path, 'utf8');
  try {
    yield* createInterface({ input: stream, crlfDelay: Infinity });
  } catch (error) {
    throw new LspError(
      'IO_ERROR',
      `Expected a readable file for \`queries\` but received ${describe(path)}: ${String(error)}.`,
      { cause: error, remedy: 'Give the path of a JSONL file, or an array of queries.' },
    );
  } finally {
    stream.destroy();
  }
}

function parseLine(text: string, path: string, line: number): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new LspError(
      'INVALID_ARGUMENT',
      `Expected a JSON object for line ${line} of ${path} but received ${describe(text)}.`,
      { cause: error },
    );
  }
}

function checkRow(row: unknown, name: string): QueryRow {
  if (!isRecord(row)) throw invalid(name, 'an object with `prompt` or `messages`', row);
  const { prompt, messages, ...info } = row;
  if (messages !== undefined && prompt !== undefined) throw invalid(name, '`prompt` or `messages`', 'both');
  if (messages === undefined) {
    if (typeof prompt !== 'string' || prompt === '')
      throw invalid(`${name}.prompt`, 'a non-empty string', prompt);
    return { messages: [{ role: 'user', content: prompt }], info };
  }
  if (!Array.isArray(messages) || messages.length === 0 || !messages.every(isMessage)) {
    throw invalid(`${name}.messages`, 'a non-empty array of { role, content }', messages);
  }
  return { messages: messages.map(({ role, content }) => ({ role, content })), info };
}

function isMessage(value: unknown): value is ChatMessage {
  return isRecord(value) && typeof value['role'] === 'string' && typeof value['content'] === 'string';
}

/** Changes whenever the rows or their order do: a run must not be resumed on other data. */
export function fingerprintOf(rows: readonly QueryRow[]): string {
  const hash = createHash('sha256');
  for (const row of rows) hash.update(JSON.stringify(row)).update('\n');
  return hash.digest('hex').slice(0, 32);
}

/**
 * The rows at positions first..first+count−1 of an endless sequence of epochs, each epoch all rows in an order of its
 * own. A function of (seed, position): nothing else needs to be saved.
 */
export function rowsAt(rows: readonly QueryRow[], seed: bigint, first: number, count: number): QueryRow[] {
  const result: QueryRow[] = [];
  let order: number[] = [];
  let orderEpoch = -1;
  for (let position = first; position < first + count; position++) {
    const epoch = Math.floor(position / rows.length);
    if (epoch !== orderEpoch) {
      order = shuffledIndices(rows.length, randomFor(seed, 0, 'order', epoch));
      orderEpoch = epoch;
    }
    result.push(rows[order[position % rows.length]!]!);
  }
  return result;
}
