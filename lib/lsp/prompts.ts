/**
 * Every sentence that self-play says to a model, in one place. Only the rubric, which other judges use too, is in
 * rewards/rubric.ts.
 *
 * Written for small models: short, one thing at a time, and with worked examples as turns of a conversation, which a
 * model of 135M parameters continues far more reliably than it follows a description of a format.
 */
import type { ChatMessage } from '../model/types';
import { rubricText } from '../rewards/rubric';

/** A worked example for the Challenger: a task and rules in the line form of `parseConstraint`. */
export interface TaskExample {
  task: string;
  rules: readonly string[];
}

export const TASK_EXAMPLES: readonly TaskExample[] = [
  { task: 'Explain to a child why leaves fall from trees in autumn.', rules: ['words <= 40'] },
  { task: 'Write a short message to a neighbour who plays loud music at night.', rules: ['no commas'] },
  { task: 'Describe the smell of a bakery early in the morning.', rules: ['all lowercase', 'words <= 30'] },
  {
    task: 'Give advice to someone who is going to speak in public for the first time.',
    rules: ['bullets = 3'],
  },
  { task: 'Invent a name and a slogan for a bicycle repair shop.', rules: ['title', 'words <= 25'] },
  { task: 'Tell how to make a cup of tea to a visitor from another planet.', rules: ['sentences >= 3'] },
  { task: 'Compare living in a big city with living on a farm.', rules: ['highlights >= 2'] },
  { task: 'Thank a teacher who helped you with mathematics.', rules: ['postscript: P.S.'] },
  { task: 'Describe a storm at sea as a sailor would remember it.', rules: ['words >= 30', 'no commas'] },
  { task: 'Suggest three cheap presents for a grandfather who likes gardening.', rules: ['bullets = 3'] },
  { task: 'Explain what a budget is to a teenager with a first job.', rules: ['sentences <= 3'] },
  { task: 'Write the first lines of a story about a lost key.', rules: ['all lowercase'] },
];

export const CHALLENGER_SYSTEM =
  'You invent tasks for a writing assistant. A task is one clear sentence that can be answered in a few sentences ' +
  'of plain text. Write only the task, never its answer. Every task is about something new.';

/** Where the Challenger chooses the rules: the menu stands here once, not in every turn. */
export function challengerSystemChoosing(menu: readonly string[]): string {
  return (
    'You invent tasks for a writing assistant. Write one line with a task that can be answered in a few sentences ' +
    'of plain text, then one or two lines with rules that a computer can check. Never write the answer. Every task ' +
    `is about something new.\nRules of these kinds can be used:\n${menu.join('\n')}`
  );
}

/** The user's turn where the harness drew the rules; without rules it is not told them. */
export function askForTask(rules: readonly string[] | null): string {
  return rules === null
    ? 'Next task, please.'
    : `Rules for the answer:\n${rules.join('\n')}\nNext task, please.`;
}

/** The user's turn where the Challenger chooses the rules. */
export const ASK_FOR_TASK_AND_RULES = 'Next task and rules, please.';

/** What the Challenger writes where it chooses rules; read back by the task's `parse`. */
export function renderTaskAndRules({ task, rules }: TaskExample): string {
  return [`Task: ${task}`, ...rules.map((rule) => `Rule: ${rule}`)].join('\n');
}

/** The judge's prompt; the rubric comes first, so that it is computed once for all judgements. */
export function judgeMessages(query: string, answer: string): ChatMessage[] {
  const content = `${rubricText()}\n\nTask:\n${query}\n\nAnswer:\n${answer}\n\nHow many points, from 0 to 7?`;
  return [{ role: 'user', content }];
}

/** What the judge's turn begins with, so that the next token is the number. */
export const JUDGE_PREFIX = 'Points: ';

/** A worked example of the coding task: what the Challenger writes, in the form that `parseCodingQuery` reads. */
export interface CodingExample {
  specification: string;
  /** `def name(arguments):` */
  signature: string;
  /** Asserts, a line each. */
  tests: readonly string[];
}

export const CODING_CHALLENGER_SYSTEM =
  'You invent tasks for a Python programmer. Write one sentence that says what a function does, then its def line, ' +
  'then three assert lines that call it with different results. Never write the body of the function. Every task is about ' +
  'something new.';

export const ASK_FOR_CODING_TASK = 'Next task, please.';

/** What the Challenger writes. */
export function renderCodingExample({ specification, signature, tests }: CodingExample): string {
  return [`Task: ${specification}`, signature, ...tests].join('\n');
}

/** What the Solver is asked; some of the tests say what is meant, the others stay unseen. */
export function codingMessage(
  specification: string,
  entryPoint: string,
  signature: string | null,
  shown: readonly string[],
): string {
  const lines = [...(signature === null ? [] : [signature]), ...shown];
  const example = lines.length === 0 ? '' : `\n\n\`\`\`python\n${lines.join('\n')}\n\`\`\``;
  return (
    `Write the Python function ${entryPoint}. ${specification}${example}\n\n` +
    'Answer with one Python code block that contains the whole function.'
  );
}
