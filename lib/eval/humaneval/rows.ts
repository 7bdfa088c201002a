/** The rows of HumanEval's file: one JSON object a line. */
import { readFile } from 'node:fs/promises';
import { LspError } from '../../errors';
import { expectString, invalid, isRecord } from '../../options';
import { withIoErrors } from '../../run/files';
import type { EvaluationItem } from '../evaluation';

export interface HumanEvalItem extends EvaluationItem {
  /** Imports, helpers, signature and docstring; the function's body is to follow. */
  readonly prompt: string;
  readonly entryPoint: string;
  /** Defines `check(candidate)`. */
  readonly test: string;
  /** A body that passes. */
  readonly canonicalSolution: string;
}

/** MERGE: to be `readRows` of lib/hub, as soon as it exists; then this function goes. */
async function readRows(path: string): Promise<unknown[]> {
  const text = await withIoErrors('read', path, () => readFile(path, 'utf8'));
  return text.split('\n').flatMap((line, i) => {
    if (line.trim() === '') return [];
    try {
      return [JSON.parse(line) as unknown];
    } catch (error) {
      throw new LspError(
        'INVALID_ARGUMENT',
        `Expected a JSON object for line ${i + 1} of \`${path}\` but received none.`,
        { cause: error },
      );
    }
  });
}

/** @throws LspError IO_ERROR, INVALID_ARGUMENT (a row that is none, with its number) */
export async function readItems(path: string): Promise<HumanEvalItem[]> {
  const items = (await readRows(path)).map((row, i) => itemOf(row, `row ${i + 1} of ${path}`));
  if (items.length === 0) throw invalid('data', 'a file with at least one row', path);
  const ids = new Set(items.map(({ id }) => id));
  if (ids.size < items.length) throw invalid('data', 'rows with a `task_id` of their own', path);
  return items;
}

function itemOf(row: unknown, where: string): HumanEvalItem {
  if (!isRecord(row)) throw invalid(where, 'an object', row);
  const field = (name: string): string =>
    expectString(`${name} in ${where}`, row[name], { allowEmpty: false });
  const entryPoint = field('entry_point');
  if (!/^\w+$/.test(entryPoint))
    throw invalid(`entry_point in ${where}`, 'the name of a function', entryPoint);
  return {
    id: field('task_id'),
    prompt: field('prompt'),
    entryPoint,
    test: field('test'),
    canonicalSolution: field('canonical_solution'),
  };
}
