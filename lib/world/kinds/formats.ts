/** Constraints of form: the same letters, written in a given way. */
import type { Kind } from '../types';
import { defineKind } from './define';
import { integer, letters } from './draws';
import { parseLetters } from './lists';

type Items = readonly string[];

function parseAfter(text: string, pattern: RegExp): Items | null {
  const listed = pattern.exec(text)?.[1];
  return listed === undefined ? null : parseLetters(listed);
}

const capitals = defineKind<Items>({
  name: 'capitals',
  description: 'write letters as capitals',
  credit: 'items',
  parse: (text) => parseAfter(text, /^[Ww]rite in capitals: (.+)$/),
  write: (items) => `Write in capitals: ${items.join(' ')}`,
  level: (items) => items.length - 1,
  solve: (items) => items.join(' ').toUpperCase(),
  slip: (items) => [...items.slice(0, -1).map((item) => item.toUpperCase()), items.at(-1)!].join(' '),
  draw: (level, random) => letters(level + 1, random),
});

const commas = defineKind<Items>({
  name: 'commas',
  description: 'put commas between letters',
  credit: 'items',
  parse: (text) => parseAfter(text, /^[Pp]ut commas between: (.+)$/),
  write: (items) => `Put commas between: ${items.join(' ')}`,
  level: (items) => items.length - 1,
  solve: (items) => items.join(', '),
  slip: (items) => `${items.slice(0, -1).join(', ')} ${items.at(-1)!}`,
  draw: (level, random) => letters(level + 1, random),
});

interface Repetition {
  times: number;
  items: Items;
}

const repeating = defineKind<Repetition>({
  name: 'repeating',
  description: 'write letters several times over',
  credit: 'items',
  parse: (text) => {
    const match = /^[Rr]epeat ([2-9]|[1-9]\d) times: (.+)$/.exec(text);
    const items = match && parseLetters(match[2]!);
    return items ? { times: Number(match[1]), items } : null;
  },
  write: ({ times, items }) => `Repeat ${times} times: ${items.join(' ')}`,
  level: ({ times, items }) => times + items.length - 3,
  solve: ({ times, items }) => Array<string>(times).fill(items.join(' ')).join(' '),
  slip: ({ times, items }) =>
    Array<string>(times - 1)
      .fill(items.join(' '))
      .join(' '),
  draw: (level, random) => {
    const times = integer(2, level + 1, random);
    return { times, items: letters(level + 3 - times, random) };
  },
});

export const FORMAT_KINDS: readonly Kind[] = [capitals, commas, repeating];
