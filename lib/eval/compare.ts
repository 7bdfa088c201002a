/** Two models on the same items. */
import { LspError } from '../errors';
import type { Evaluation, EvaluationItem, Json } from './evaluation';
import { ResultsFolder } from './results-folder';
import { difference, type Difference } from './statistics';

/**
 * The paired difference of every metric, over the items that both sides judged.
 * @param before, after verdicts by item
 */
export function compareVerdicts<Item extends EvaluationItem, Verdict extends Json>(
  evaluation: Evaluation<Item, Verdict>,
  before: ReadonlyMap<string, Verdict>,
  after: ReadonlyMap<string, Verdict>,
): Difference[] {
  const both = evaluation.items.map(({ id }) => id).filter((id) => before.has(id) && after.has(id));
  const verdictsOf = (side: ReadonlyMap<string, Verdict>) => both.map((id) => side.get(id)!);
  return evaluation.metrics.map((metric) => difference(metric, verdictsOf(before), verdictsOf(after)));
}

/**
 * Verdicts of an earlier evaluation, to compare with.
 * @throws LspError INVALID_ARGUMENT (no results, or those of another evaluation or other settings), IO_ERROR
 */
export async function readVerdicts<Item extends EvaluationItem, Verdict extends Json>(
  evaluation: Evaluation<Item, Verdict>,
  folder: string,
): Promise<Map<string, Verdict>> {
  const { config, results } = await ResultsFolder.read(folder);
  const [expected, received] = [evaluation, { name: config.evaluation, settings: config.settings }].map(
    ({ name, settings }) => `${name} with ${JSON.stringify(settings)}`,
  );
  if (expected === received) return new Map(results.map(({ id, verdict }) => [id, verdict as Verdict]));
  throw new LspError(
    'INVALID_ARGUMENT',
    `Expected results of ${expected} in \`${folder}\` but received those of ${received}.`,
    { remedy: 'Compare results that were judged alike.' },
  );
}
