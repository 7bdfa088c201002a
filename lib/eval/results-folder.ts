/**
 * The folder of an evaluation's results, from which it goes on after whatever ended it:
 *
 *   config.json     what was asked: evaluation, settings, data, model, how answers are sampled
 *   answers.jsonl   one record an item, as answers are sampled
 *   results.jsonl   one record an item, as answers are judged: its prompt, answers and verdict
 *   summary.json    metrics with intervals, when all is done
 *
 * Answers and verdicts are kept apart, so that a judge that fails costs no answer.
 */
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import {
  makeDirectory,
  namesIn,
  prettyJson,
  statusOf,
  systemCode,
  toIoError,
  writeFileDurably,
} from '../disk/files';
import { JsonLines } from '../disk/json-lines';
import { acquireLock, type Lock } from '../disk/lock';
import { LspError } from '../errors';
import { isRecord } from '../options';
import type { Prompt } from '../model/types';
import type { Answer, Generation, Json } from './evaluation';

const CONFIG = 'config.json';
const SUMMARY = 'summary.json';

/** What decides the results. Two folders with the same hold the same results. */
export interface EvaluationConfig {
  format: 1;
  evaluation: string;
  settings: Readonly<Record<string, Json>>;
  /** SHA-256 over the items that are asked. */
  items: string;
  /** Number of items. */
  count: number;
  /** Whatever identifies the model; null where the caller did not say. */
  model: Json;
  generation: Generation & { seed: string };
}

export interface AnswersRecord {
  id: string;
  answers: Answer[];
}

export interface ResultRecord {
  id: string;
  /** What the model was asked, for people to read. */
  prompt: Json;
  answers: Answer[];
  verdict: Json;
}

export class ResultsFolder {
  readonly path: string;
  readonly config: EvaluationConfig;
  /** For appending; to read, see `readAnswers` and `readResults`. */
  readonly answers: JsonLines<AnswersRecord>;
  readonly results: JsonLines<ResultRecord>;
  readonly #lock: Lock;

  private constructor(path: string, config: EvaluationConfig, lock: Lock) {
    this.path = path;
    this.config = config;
    this.#lock = lock;
    this.answers = new JsonLines(join(path, 'answers.jsonl'));
    this.results = new JsonLines(join(path, 'results.jsonl'));
  }

  /**
   * Opens the folder of an evaluation for writing: a new one, or the one in which the same evaluation was interrupted.
   *
   * @throws LspError INVALID_ARGUMENT (it holds something else, or another process writes there), IO_ERROR
   */
  static async open(path: string, config: EvaluationConfig): Promise<ResultsFolder> {
    const absolute = resolve(path);
    await requireUsable(absolute);
    await makeDirectory(absolute);
    const lock = await acquireLock(absolute);
    try {
      const known = await readConfig(absolute);
      if (known === null) await writeFileDurably(join(absolute, CONFIG), prettyJson(config));
      else requireSame(absolute, known, config);
      const folder = new ResultsFolder(absolute, config, lock);
      await folder.answers.cut(() => true); // a torn last line
      await folder.results.cut(() => true);
      return folder;
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  /**
   * Checks that the folder is new, or holds this evaluation, without writing there.
   * @throws LspError INVALID_ARGUMENT, IO_ERROR
   */
  static async check(path: string, config: EvaluationConfig): Promise<void> {
    const absolute = resolve(path);
    await requireUsable(absolute);
    const known = await readConfig(absolute);
    if (known !== null) requireSame(absolute, known, config);
  }

  /**
   * What a folder holds, without writing there.
   * @throws LspError INVALID_ARGUMENT (it holds no results), IO_ERROR
   */
  static async read(path: string): Promise<{ config: EvaluationConfig; results: ResultRecord[] }> {
    const absolute = resolve(path);
    const config = await readConfig(absolute);
    if (config === null) throw noResults(path, `no ${CONFIG}`);
    const results = new JsonLines<ResultRecord>(join(absolute, 'results.jsonl'));
    return { config, results: checkRecords(results.path, await results.read(), isResult) };
  }

  /** @throws LspError INVALID_CHECKPOINT for a file that is damaged */
  async readAnswers(): Promise<AnswersRecord[]> {
    return checkRecords(this.answers.path, await this.answers.read(), isAnswers);
  }

  /** @throws LspError INVALID_CHECKPOINT for a file that is damaged */
  async readResults(): Promise<ResultRecord[]> {
    return checkRecords(this.results.path, await this.results.read(), isResult);
  }

  async writeSummary(summary: object): Promise<void> {
    await writeFileDurably(join(this.path, SUMMARY), prettyJson(summary));
  }

  async close(): Promise<void> {
    await this.answers.close();
    await this.results.close();
    await this.#lock.release();
  }
}

/** A prompt as it stands in a record. */
export function promptOfRecord(prompt: Prompt): Json {
  return prompt instanceof Int32Array ? Array.from(prompt) : (prompt as unknown as Json);
}

function isAnswers(record: Partial<AnswersRecord>): boolean {
  return (
    typeof record.id === 'string' &&
    Array.isArray(record.answers) &&
    record.answers.every((answer) => isRecord(answer) && typeof answer.text === 'string')
  );
}

function isResult(record: Partial<ResultRecord>): boolean {
  return isAnswers(record) && record.verdict !== undefined && record.prompt !== undefined;
}

function checkRecords<T>(path: string, records: T[], isSound: (record: T) => boolean): T[] {
  const line = records.findIndex((record) => !isSound(record)) + 1;
  if (line === 0) return records;
  throw new LspError(
    'INVALID_CHECKPOINT',
    `Expected a record of an evaluation in line ${line} of \`${path}\` but received something else.`,
    { remedy: 'The file is damaged: restore it, or remove that line by hand. Nothing was changed.' },
  );
}

/** A folder that holds anything but results is somebody else's. */
async function requireUsable(path: string): Promise<void> {
  const status = await statusOf(path);
  if (status === null) return;
  const names = status.isDirectory() ? ((await namesIn(path)) ?? []) : null;
  if (names?.length === 0 || names?.includes(CONFIG)) return;
  throw new LspError(
    'INVALID_ARGUMENT',
    `Expected a new folder or one with results for \`out\` but received \`${path}\`, ` +
      (names === null ? 'which is a file.' : 'which holds other files.'),
    { remedy: 'Choose another folder.' },
  );
}

/** Null where nothing lies there. */
async function readConfig(folder: string): Promise<EvaluationConfig | null> {
  const path = join(folder, CONFIG);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return null;
    throw toIoError(error, 'read', path);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw noResults(folder, `a ${CONFIG} that is no JSON`, error);
  }
  if (isRecord(value) && value.format === 1 && typeof value.evaluation === 'string') {
    return value as unknown as EvaluationConfig;
  }
  throw noResults(folder, `a ${CONFIG} of something else`);
}

function noResults(path: string, received: string, cause?: unknown): LspError {
  return new LspError(
    'INVALID_ARGUMENT',
    `Expected a folder with results of an evaluation at \`${path}\` but received ${received}.`,
    { cause, remedy: 'Check the path, or choose a new folder.' },
  );
}

function requireSame(path: string, known: EvaluationConfig, config: EvaluationConfig): void {
  // As it would come back from the disk.
  const asked = JSON.parse(JSON.stringify(config)) as EvaluationConfig;
  const other = (Object.keys(asked) as (keyof EvaluationConfig)[]).find(
    (key) => !isDeepStrictEqual(known[key], asked[key]),
  );
  if (other === undefined) return;
  const shown = (value: unknown) => JSON.stringify(value).slice(0, 300);
  throw new LspError(
    'INVALID_ARGUMENT',
    `Expected the evaluation that was begun in \`${path}\` but received another \`${other}\`: ` +
      `${shown(asked[other])}, not ${shown(known[other])}.`,
    { remedy: 'Choose another folder, or delete this one.' },
  );
}
