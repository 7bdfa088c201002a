/** Questions about a list of letters: the answer is a number, an item, or yes or no. Level: items less one. */
import type { Kind } from '../types';
import { defineKind } from './define';
import { integer, letter, letters, lettersWith } from './draws';
import { parseLetters } from './lists';

interface LetterQuestion {
  target: string;
  items: readonly string[];
}

function parseQuestion(text: string, pattern: RegExp): LetterQuestion | null {
  const match = pattern.exec(text);
  const items = match && parseLetters(match[2]!);
  return items ? { target: match[1]!, items } : null;
}

const occurrences = ({ target, items }: LetterQuestion): number =>
  items.filter((item) => item === target).length;

const counting = defineKind<LetterQuestion>({
  name: 'counting',
  description: 'count a letter',
  credit: 'exact',
  parse: (text) => parseQuestion(text, /^[Cc]ount ([a-z]) in: (.+)$/),
  write: ({ target, items }) => `Count ${target} in: ${items.join(' ')}`,
  level: ({ items }) => items.length - 1,
  solve: (problem) => String(occurrences(problem)),
  slip: (problem) => String(Math.abs(occurrences(problem) - 1)),
  draw: (level, random) => {
    const target = letter(random);
    return { target, items: lettersWith(target, level + 1, 1, random) };
  },
});

const membership = defineKind<LetterQuestion>({
  name: 'membership',
  description: 'say whether a letter is in a list',
  credit: 'exact',
  parse: (text) => parseQuestion(text, /^[Ii]s ([a-z]) in: (.+)$/),
  write: ({ target, items }) => `Is ${target} in: ${items.join(' ')}`,
  level: ({ items }) => items.length - 1,
  solve: (problem) => (occurrences(problem) > 0 ? 'yes' : 'no'),
  slip: (problem) => (occurrences(problem) > 0 ? 'no' : 'yes'),
  draw: (level, random) => {
    const items = letters(level + 1, random);
    const target = random() < 0.5 ? items[integer(0, level, random)]! : letter(random);
    return { target, items };
  },
});

interface Place {
  /** From 1. */
  place: number;
  items: readonly string[];
}

const picking = defineKind<Place>({
  name: 'picking',
  description: 'name the item at a place',
  credit: 'exact',
  parse: (text) => {
    const match = /^[Ii]tem ([1-9]\d{0,2}) of: (.+)$/.exec(text);
    const items = match && parseLetters(match[2]!);
    const place = Number(match?.[1]);
    return items && place <= items.length ? { place, items } : null;
  },
  write: ({ place, items }) => `Item ${place} of: ${items.join(' ')}`,
  level: ({ items }) => items.length - 1,
  solve: ({ place, items }) => items[place - 1]!,
  // Counts from zero, or stops one too early.
  slip: ({ place, items }) => items[place] ?? items[place - 2]!,
  draw: (level, random) => ({ place: integer(1, level + 1, random), items: letters(level + 1, random) }),
});

export const QUESTION_KINDS: readonly Kind[] = [counting, membership, picking];
