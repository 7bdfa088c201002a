/** Two models on the same items. */
import { LspError } from '../errors';
import type { Evaluation, EvaluationItem, Json } from './evaluation';
import { type EvaluationConfig, promptOfRecord, type ResultRecord, ResultsFolder } from './results-folder';
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
 * @throws LspError INVALID_ARGUMENT (no results, those of another evaluation or other settings, or of other questions
 *   under the same ids), INVALID_CHECKPOINT (damaged), IO_ERROR
 */
export async function readVerdicts<Item extends EvaluationItem, Verdict extends Json>(
  evaluation: Evaluation<Item, Verdict>,
  folder: string,
): Promise<{ verdicts: Map<string, Verdict>; config: EvaluationConfig }> {
  const { config, results } = await ResultsFolder.read(folder);
  const [expected, received] = [evaluation, { name: config.evaluation, settings: config.settings }].map(
    ({ name, settings }) => `${name} with ${JSON.stringify(settings)}`,
  );
  if (expected === received) {
    requireSameQuestions(evaluation, results, folder);
    return { verdicts: new Map(results.map(({ id, verdict }) => [id, verdict as Verdict])), config };
  }
  throw new LspError(
    'INVALID_ARGUMENT',
    `Expected results of ${expected} in \`${folder}\` but received those of ${received}.`,
    { remedy: 'Compare results that were judged alike.' },
  );
}

/** Ids may be no more than the numbers of rows: those of another file are other questions. */
function requireSameQuestions<Item extends EvaluationItem, Verdict extends Json>(
  evaluation: Evaluation<Item, Verdict>,
  results: readonly ResultRecord[],
  folder: string,
): void {
  const items = new Map(evaluation.items.map((item) => [item.id, item]));
  const other = results.find(({ id, prompt }) => {
    const item = items.get(id);
    return item && JSON.stringify(promptOfRecord(evaluation.prompt(item))) !== JSON.stringify(prompt);
  });
  if (!other) return;
  throw new LspError(
    'INVALID_ARGUMENT',
    `Expected answers to the same questions in \`${folder}\` but received another one as item ${other.id}.`,
    { remedy: 'Compare results on the same data.' },
  );
}
