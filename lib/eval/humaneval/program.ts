/** From an answer to the program that is judged: the question's imports and helpers, and the function. */
import { definition, extractCode } from '../../rewards/code/extract';
import type { HumanEvalItem } from './rows';

/** What ends a completion: the function's body is over. As published (Chen et al. 2021, section 3.2). */
export const COMPLETION_STOPS = ['\nclass', '\ndef', '\n#', '\nif', '\nprint'] as const;

export type AnswerStyle = 'chat' | 'completion';

/** The program of an answer; whether it is Python at all turns out when it runs. */
export function programOf(item: HumanEvalItem, answer: string, style: AnswerStyle): string {
  if (style === 'completion') return item.prompt + untilStop(answer);
  const extracted = extractCode(answer, item.entryPoint);
  if (extracted?.form === 'whole') return withImports(item, extracted.code);
  // Without a function it can only be the body; bare text ends where a completion would.
  return item.prompt + asBody(extracted?.code ?? untilStop(answer.replace(/\r\n?/g, '\n')));
}

/** What stands before the function in the question: its imports and helpers. */
export function helpersOf({ prompt, entryPoint }: HumanEvalItem): string {
  const at = definition(entryPoint).exec(prompt)?.index;
  return at === undefined ? prompt : prompt.slice(0, at);
}

/** `from __future__` has to come first in a program. */
function withImports(item: HumanEvalItem, code: string): string {
  const future = /^from[ \t]+__future__[ \t].*$/gm;
  return [...(code.match(future) ?? []), helpersOf(item), code.replace(future, '')].join('\n');
}

function untilStop(text: string): string {
  const ends = COMPLETION_STOPS.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
  return ends.length === 0 ? text : text.slice(0, Math.min(...ends));
}

/** Lines of a body, indented if they are not. */
function asBody(code: string): string {
  const lines = code.split('\n');
  const first = lines.find((line) => line.trim() !== '') ?? '';
  const indented = /^[ \t]/.test(first) ? lines : lines.map((line) => (line === '' ? line : `    ${line}`));
  return `${indented.join('\n')}\n`;
}
