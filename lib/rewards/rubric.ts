/** The additive rubric of the judges, the one of self-play and the one behind an endpoint: a point for each line. */
export const RUBRIC = [
  'the answer is about what the task asks;',
  'it does all that the task asks, rules included;',
  'what it says is true and makes sense;',
  'it is easy to understand;',
  'it is written in good, natural language without repeating itself;',
  'it is complete and as long as it needs to be, no longer;',
  'an expert would be glad to have written it.',
] as const;

/** Points of the rubric: scores are 0..7. */
export const MAX_POINTS = RUBRIC.length;

/** The rubric as a judge is told it; the task and the answer follow. */
export function rubricText(): string {
  const points = RUBRIC.map((line, index) => `${index + 1}. ${line}`).join('\n');
  return (
    'Count the points of an answer to a task. It starts with 0 points and gets 1 point for each line that is true:\n' +
    points
  );
}
