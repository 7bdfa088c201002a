/** Records of a JSONL file: the data of an evaluation. */
import { readFile } from 'node:fs/promises';
import { LspError } from '../errors';
import { describe, expectString, invalid, isRecord } from '../options';

export type Row = Record<string, unknown>;

/**
 * All records of a file with one JSON object a line; empty lines are skipped.
 * @throws LspError IO_ERROR, INVALID_ARGUMENT for a line that is no object (with its number) and for a file without any
 */
export async function readRows(path: string): Promise<Row[]> {
  expectString('data', path, { allowEmpty: false });
  let content: string;
  try {
    content = await readFile(path, 'utf8');
  } catch (error) {
    throw new LspError(
      'IO_ERROR',
      `Expected a readable file for \`data\` but received ${describe(path)}: ${String(error)}.`,
      { cause: error, remedy: 'Give the path of a JSONL file.' },
    );
  }
  const rows: Row[] = [];
  content.split('\n').forEach((line, index) => {
    if (line.trim() !== '') rows.push(parseLine(line, `line ${index + 1} of ${path}`));
  });
  if (rows.length === 0) throw invalid('data', 'a file with at least one record', path);
  return rows;
}

function parseLine(line: string, where: string): Row {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    value = line;
  }
  if (isRecord(value)) return value;
  throw invalid(where, 'a JSON object', value);
}
