/** Tasks of the tiny world as text: reading, drawing, checking answers, and which tasks are held out. */
import { createHash } from 'node:crypto';
import { expectInteger, expectOneOf } from '../options';
import type { Random } from '../lsp/types';
import { KIND_NAMES, KINDS } from './kinds';
import type { WorldTask } from './types';

const BY_NAME = new Map(KINDS.map((kind) => [kind.name, kind]));

/** Longer texts are no task: parsing them would be time for nothing. */
const MAX_TEXT = 2000;

/**
 * The task that a text asks for, or null if it asks for none that a program can check. Blanks, the case of the first
 * letter, and a full stop or question mark at the end do not matter.
 */
export function parseTask(text: string): WorldTask | null {
  if (text.length > MAX_TEXT) return null;
  const plain = text
    .replace(/\s+/g, ' ')
    .trim()
    .replace(/ ?[.?]$/, '');
  for (const kind of KINDS) {
    const task = kind.parse(plain);
    if (task !== null) return task;
  }
  return null;
}

/**
 * A random task.
 * @param kind one of `KIND_NAMES`
 * @param level difficulty, 1 to 64: what is drawn has exactly that level
 */
export function drawTask(kind: string, level: number, random: Random): WorldTask {
  const name = expectOneOf('kind', kind, KIND_NAMES);
  return BY_NAME.get(name)!.draw(expectInteger('level', level, { min: 1, max: 64 }), random);
}

/**
 * What an answer says, in the form that is compared: blanks at the ends and a full stop after the last word do not
 * matter, everything else does.
 */
export function normalizeAnswer(answer: string): string {
  return answer.replace(/\s+/g, ' ').trim().replace(/ ?\.$/, '');
}

/** Whether an answer is exactly right. */
export function isRight(task: Pick<WorldTask, 'answer'>, answer: string): boolean {
  return normalizeAnswer(answer) === task.answer;
}

/**
 * What an answer is worth, in [0, 1]: 1 if it is right; for lists otherwise half the share of places that are right
 * (of the longer of the two lists), so that a wrong answer is never worth more than 0.5; else 0.
 */
export function creditOf(task: Pick<WorldTask, 'answer' | 'credit'>, answer: string): number {
  if (isRight(task, answer)) return 1;
  if (task.credit !== 'items') return 0;
  const expected = task.answer.split(' ');
  const given = normalizeAnswer(answer).split(' ');
  const right = expected.filter((item, i) => item === given[i]).length;
  return right / Math.max(expected.length, given.length) / 2;
}

/**
 * Whether a task is set apart for evaluation: one in sixteen, by a hash of its text. Neither the bundled model's
 * pre-training nor self-play (whose gate rejects them) nor the training queries contain such a task.
 */
export function isHeldOut({ text }: Pick<WorldTask, 'text'>): boolean {
  return createHash('sha256').update(text).digest()[0]! % 16 === 0;
}

/** A random task that is not held out. */
export function drawTrainingTask(kind: string, level: number, random: Random): WorldTask {
  for (;;) {
    const task = drawTask(kind, level, random);
    if (!isHeldOut(task)) return task;
  }
}
