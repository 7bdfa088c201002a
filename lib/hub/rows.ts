/**
 * Data sets as records: a file of JSON lines, a JSON array, or a Parquet file, whole and in memory.
 *
 * The data sets of evaluations have at most some ten thousand rows; what is far larger is refused before it is read,
 * since a mistaken path (a folder's worth of web text) would otherwise end the process.
 */
import { isUtf8 } from 'node:buffer';
import type { Stats } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { LspError } from '../errors';
import { ioError } from '../model/formats/model-file';
import { checkOptions, describe, expectSignal, expectString, isRecord } from '../options';
import { damaged } from './data-errors';
import { readParquet } from './parquet';

/** One record of a data set; its fields are what JSON can hold. */
export type Row = Record<string, unknown>;

export interface ReadRowsOptions {
  signal?: AbortSignal;
}

/** Files and tables beyond these are not evaluation data; a string of 512 MiB would not fit V8 anyway. */
const MAX_FILE_BYTES = 256 * 2 ** 20;
const MAX_ROWS = 1_000_000;

const READERS: readonly [RegExp, (path: string, signal?: AbortSignal) => Promise<Row[]>][] = [
  [/\.(jsonl|ndjson)$/i, readJsonLines],
  [/\.json$/i, readJsonArray],
  [/\.parquet$/i, readTable],
];

/**
 * Reads all records of a data file; what is in it is told by its name: `.jsonl` (or `.ndjson`; one object a line, empty
 * lines are skipped), `.json` (an array of objects) or `.parquet`.
 *
 * @returns at least one record. Parquet values become what JSON can hold: integers of 64 bits are numbers (strings
 *   beyond 2^53), times are ISO strings, bytes are arrays of numbers.
 * @throws LspError INVALID_ARGUMENT (another kind of file, too large, not UTF-8, or a record that is none, with its
 *   line or row), IO_ERROR (it cannot be read), UNKNOWN_OPTION; the signal's reason when aborted
 */
export async function readRows(path: string, options?: ReadRowsOptions): Promise<Row[]> {
  const given = checkOptions(options, ['signal'], 'readRows');
  const signal = expectSignal('signal', given.signal);
  expectString('path', path, { allowEmpty: false });
  signal?.throwIfAborted();
  const read = READERS.find(([name]) => name.test(path))?.[1];
  if (!read) {
    throw new LspError(
      'INVALID_ARGUMENT',
      `Expected a .jsonl, .json or .parquet file for \`path\` but received ${describe(path)}.`,
      { remedy: 'Rename the file if it is one of these, or convert it.' },
    );
  }
  await requireReadable(path);
  const rows = await read(path, signal);
  signal?.throwIfAborted();
  if (rows.length === 0) throw damaged(path, 'at least one record', 'an empty data set');
  return rows;
}

async function requireReadable(path: string): Promise<void> {
  let status: Stats;
  try {
    status = await stat(path);
  } catch (error) {
    throw ioError(path, 'read', error);
  }
  if (!status.isFile()) throw damaged(path, 'a file', status.isDirectory() ? 'a folder' : 'a device or pipe');
  if (status.size <= MAX_FILE_BYTES) return;
  throw damaged(path, `at most ${MAX_FILE_BYTES} bytes`, `${status.size} bytes`);
}

async function readText(path: string, signal?: AbortSignal): Promise<string> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path, { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw ioError(path, 'read', error);
  }
  if (!isUtf8(bytes)) throw damaged(path, 'UTF-8 text', 'other bytes');
  const text = bytes.toString('utf8');
  return text.startsWith('\ufeff') ? text.slice(1) : text;
}

async function readJsonLines(path: string, signal?: AbortSignal): Promise<Row[]> {
  const rows: Row[] = [];
  const lines = (await readText(path, signal)).split('\n');
  for (const [index, line] of lines.entries()) {
    if (line.trim() === '') continue;
    const where = `line ${index + 1} of ${path}`;
    const value = parse(line, where);
    if (!isRecord(value)) throw damaged(where, 'a JSON object', describe(value));
    requireFewRows(path, rows.push(value));
  }
  return rows;
}

async function readJsonArray(path: string, signal?: AbortSignal): Promise<Row[]> {
  const value = parse(await readText(path, signal), path);
  if (!Array.isArray(value)) {
    throw damaged(path, 'an array of objects', describe(value));
  }
  requireFewRows(path, value.length);
  for (const [index, row] of value.entries()) {
    if (!isRecord(row)) throw damaged(`record ${index} of ${path}`, 'a JSON object', describe(row));
  }
  return value as Row[];
}

async function readTable(path: string, signal?: AbortSignal): Promise<Row[]> {
  return readParquet(path, { maxRows: MAX_ROWS, signal });
}

function parse(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const message = (error as Error).message;
    if (!text.includes('\n')) throw damaged(where, 'JSON', describe(text), error);
    // The position counts from the start of the file; people look for a line.
    const at = /position (\d+)/.exec(message)?.[1];
    const line = text.slice(0, at === undefined ? text.length : Number(at)).split('\n').length;
    throw damaged(where, 'JSON', `a syntax error at line ${line}`, error);
  }
}

function requireFewRows(path: string, count: number): void {
  if (count > MAX_ROWS) throw damaged(path, `at most ${MAX_ROWS} records`, 'more');
}
