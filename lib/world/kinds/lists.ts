/**
 * Operations on lists of letters, each a kind of its own, and compositions of them: "Sort, then double each: k c a".
 *
 * The level of a list task is its number of items less one; every further operation of a composition adds two.
 */
import type { Random } from '../../lsp/types';
import type { Kind } from '../types';
import { defineKind } from './define';
import { integer, letter, letters, lettersWith, pick } from './draws';

type Items = readonly string[];

/** One operation as it is written in a task, with its letters filled in. */
interface Step {
  operation: Operation;
  /** Letters that the operation names: none, one, or two. */
  letters: Items;
}

interface Operation {
  name: string;
  description: string;
  /** The words, with `a` and `b` standing for the letters, e.g. "replace a by b". */
  words: string;
  /** Number of letters that the words name. */
  arity: 0 | 1 | 2;
  apply(items: Items, letters: Items): string[];
  /** The same, carelessly. */
  slip(items: Items, letters: Items): string[];
}

function exceptLast(items: Items, change: (items: Items) => string[]): string[] {
  return [...change(items.slice(0, -1)), ...items.slice(-1)];
}

const nextLetter = (item: string): string =>
  item === 'z' ? 'a' : String.fromCharCode(item.charCodeAt(0) + 1);

const sorted = (items: Items): string[] => [...items].sort();
const shifted = (items: Items): string[] => items.map(nextLetter);
const doubled = (items: Items): string[] => items.flatMap((item) => [item, item]);

/** A function of the items up to and with the first one that is `target`. */
function onlyFirst(items: Items, target: string, change: (item: string) => string[]): string[] {
  const first = items.indexOf(target);
  return items.flatMap((item, i) => (i === first ? change(item) : [item]));
}

const OPERATIONS: readonly Operation[] = [
  {
    name: 'sorting',
    description: 'sort letters',
    words: 'sort',
    arity: 0,
    apply: sorted,
    slip: (items) => exceptLast(items, sorted),
  },
  {
    name: 'reversing',
    description: 'reverse letters',
    words: 'reverse',
    arity: 0,
    apply: (items) => [...items].reverse(),
    slip: (items) => [...items].reverse().slice(0, -1),
  },
  {
    name: 'doubling',
    description: 'write every letter twice',
    words: 'double each',
    arity: 0,
    apply: doubled,
    slip: (items) => exceptLast(items, doubled),
  },
  {
    name: 'shifting',
    description: 'write the letter that follows each in the alphabet',
    words: 'shift each',
    arity: 0,
    apply: shifted,
    slip: (items) => exceptLast(items, shifted),
  },
  {
    name: 'distinct',
    description: 'leave out letters that were there before',
    words: 'drop repeats',
    arity: 0,
    apply: (items) => [...new Set(items)],
    slip: (items) => items.filter((item, i) => item !== items[i - 1]),
  },
  {
    name: 'removing',
    description: 'remove a letter everywhere',
    words: 'remove a',
    arity: 1,
    apply: (items, [target]) => items.filter((item) => item !== target),
    slip: (items, [target]) => onlyFirst(items, target!, () => []),
  },
  {
    name: 'replacing',
    description: 'replace a letter everywhere',
    words: 'replace a by b',
    arity: 2,
    apply: (items, [target, other]) => items.map((item) => (item === target ? other! : item)),
    slip: (items, [target, other]) => onlyFirst(items, target!, () => [other!]),
  },
];

interface ListProblem {
  steps: readonly Step[];
  items: Items;
}

/** `replace a by b` with the letters of a step in place of a and b. */
function wordsOf({ operation, letters: named }: Step): string {
  return operation.words.replace(/\b[ab]\b/g, (place) => named[place === 'a' ? 0 : 1]!);
}

const PATTERNS = OPERATIONS.map((operation) => ({
  operation,
  pattern: new RegExp(`^${operation.words.replace(/\b[ab]\b/g, '([a-z])')}$`),
}));

function parseStep(text: string): Step | null {
  for (const { operation, pattern } of PATTERNS) {
    const match = pattern.exec(text);
    if (match) return { operation, letters: match.slice(1) };
  }
  return null;
}

/** Single small letters, at least two. */
export function parseLetters(text: string): string[] | null {
  return /^[a-z](?: [a-z])+$/.test(text) ? text.split(' ') : null;
}

function parseList(text: string): ListProblem | null {
  const match = /^([^:]+): (.+)$/.exec(text);
  if (!match) return null;
  const items = parseLetters(match[2]!);
  const words = match[1]!.charAt(0).toLowerCase() + match[1]!.slice(1);
  const steps = words.split(', then ').map(parseStep);
  if (items === null || steps.some((step) => step === null)) return null;
  const problem = { steps: steps as Step[], items };
  return isSound(problem) ? problem : null;
}

/** Longer lists are no answer that anybody writes down, and "double each" many times over would fill the memory. */
const MOST_ITEMS = 1000;

/** Whether every step leaves something, and nothing grows beyond all bounds. */
function isSound({ steps, items }: ListProblem): boolean {
  let current = [...items];
  return steps.every(({ operation, letters: named }) => {
    current = operation.apply(current, named);
    return current.length > 0 && current.length <= MOST_ITEMS;
  });
}

/** The items after each step. */
function results({ steps, items }: ListProblem): string[][] {
  const all: string[][] = [];
  let current = [...items];
  for (const { operation, letters: named } of steps) all.push((current = operation.apply(current, named)));
  return all;
}

function writeList({ steps, items }: ListProblem): string {
  const words = steps.map(wordsOf).join(', then ');
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}: ${items.join(' ')}`;
}

/** A step that does something to letters drawn for it. */
function drawStep(operation: Operation, random: Random): Step {
  const named: string[] = [];
  while (named.length < operation.arity) {
    const next = letter(random);
    if (!named.includes(next)) named.push(next);
  }
  return { operation, letters: named };
}

/** Items on which the operation shows: a letter to remove is there, a repeat to drop too. */
function drawItems({ operation, letters: named }: Step, count: number, random: Random): string[] {
  if (operation.name === 'distinct') return lettersWith(letter(random), count, 2, random);
  return named.length > 0 ? lettersWith(named[0]!, count, 1, random) : letters(count, random);
}

function drawList(choose: () => readonly Operation[], count: (steps: number) => number, random: Random) {
  for (;;) {
    const steps = choose().map((operation) => drawStep(operation, random));
    const problem = { steps, items: drawItems(steps[0]!, count(steps.length), random) };
    if (isSound(problem)) return problem;
  }
}

function operationKind(operation: Operation): Kind {
  return defineKind<ListProblem>({
    name: operation.name,
    description: operation.description,
    credit: 'items',
    parse: (text) => {
      const problem = parseList(text);
      return problem?.steps.length === 1 && problem.steps[0]!.operation === operation ? problem : null;
    },
    write: writeList,
    level: ({ items }) => items.length - 1,
    solve: (problem) => results(problem).at(-1)!.join(' '),
    slip: ({ steps, items }) => operation.slip(items, steps[0]!.letters).join(' '),
    draw: (level, random) =>
      drawList(
        () => [operation],
        () => level + 1,
        random,
      ),
  });
}

const composition = defineKind<ListProblem>({
  name: 'composition',
  description: 'several operations on letters, one after the other',
  credit: 'items',
  parse: (text) => {
    const problem = parseList(text);
    return problem !== null && problem.steps.length > 1 ? problem : null;
  },
  write: writeList,
  level: ({ steps, items }) => items.length - 1 + 2 * (steps.length - 2),
  solve: (problem) => results(problem).at(-1)!.join(' '),
  // The last operation is forgotten.
  slip: (problem) => results(problem).at(-2)!.join(' '),
  draw: (level, random) => {
    const steps = integer(2, 2 + Math.floor((level - 1) / 2), random);
    const choose = () => {
      const chosen: Operation[] = [];
      while (chosen.length < steps) {
        const next = pick(OPERATIONS, random);
        if (next !== chosen.at(-1)) chosen.push(next);
      }
      return chosen;
    };
    return drawList(choose, () => level + 1 - 2 * (steps - 2), random);
  },
});

export const LIST_KINDS: readonly Kind[] = [...OPERATIONS.map(operationKind), composition];
