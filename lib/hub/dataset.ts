/** Where an evaluation's data come from: a file of the user's, or the hub's file in the usual cache. */
import type { Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { LspError } from '../errors';
import { ioError } from '../model/formats/model-file';
import { checkOptions, describe, expectSignal, expectString } from '../options';
import { hubFile, type HubFile, type HubOptions } from './file';

/**
 * The local path of a data set.
 *
 * @param source path of a .jsonl, .json or .parquet file; undefined takes `fallback` from the hub
 * @param fallback the hub's file of the evaluation, e.g.
 *   `{ type: 'dataset', repo: 'google/IFEval', path: 'ifeval_input_data.jsonl' }`
 * @returns the path, for `readRows`
 * @throws LspError IO_ERROR (nothing at `source`), INVALID_ARGUMENT (it is no file), UNKNOWN_OPTION, and what `hubFile`
 *   throws; the signal's reason when aborted
 */
export async function openDataset(
  source: string | undefined,
  fallback: HubFile,
  options?: HubOptions,
): Promise<string> {
  const given = checkOptions(options, ['signal', 'onProgress'], 'openDataset');
  if (source === undefined) return hubFile(fallback, given);
  expectSignal('signal', given.signal)?.throwIfAborted();
  let status: Stats;
  try {
    status = await stat(expectString('source', source, { allowEmpty: false }));
  } catch (error) {
    throw error instanceof LspError ? error : ioError(source, 'open the data set', error);
  }
  if (status.isFile()) return source;
  throw new LspError(
    'INVALID_ARGUMENT',
    `Expected a data file for \`source\` but ${describe(source)} is none.`,
    {
      remedy: 'Give the path of a .jsonl, .json or .parquet file.',
    },
  );
}
