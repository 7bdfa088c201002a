/** The rows of HumanEval's data. */
import { expectString, invalid } from '../../options';
import { HUB_DATA, readData, type Row } from '../data';
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

/** @throws LspError as `readData`; INVALID_ARGUMENT (a row that is none, with its number) */
export async function readItems(data: string | undefined): Promise<HumanEvalItem[]> {
  const rows = await readData(data, HUB_DATA.humaneval);
  const items = rows.map((row, i) => itemOf(row, `row ${i + 1} of the data`));
  const ids = new Set(items.map(({ id }) => id));
  if (ids.size < items.length) throw invalid('data', 'rows with a `task_id` of their own', 'equal ones');
  return items;
}

function itemOf(row: Row, where: string): HumanEvalItem {
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
