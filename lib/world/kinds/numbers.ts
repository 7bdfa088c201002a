/** Arithmetic and the like, in whole numbers of any size. */
import type { Random } from '../../lsp/types';
import type { Kind } from '../types';
import { defineKind } from './define';
import { integer, number, pick } from './draws';

/** A whole number as one writes it: no leading zeros. */
const NUMBER = '(?:0|[1-9]\\d{0,63})';

const digits = (value: bigint): number => String(value).length;

/** Sizes of two numbers whose digits are `total` in all, the first at least as long as the second. */
function sizes(total: number): [number, number] {
  return [Math.ceil(total / 2), Math.floor(total / 2)];
}

interface Pair {
  first: bigint;
  second: bigint;
}

function parsePair(text: string, sign: string): Pair | null {
  const match = new RegExp(`^[Ww]hat is (${NUMBER}) ${sign} (${NUMBER})$`).exec(text);
  return match && { first: BigInt(match[1]!), second: BigInt(match[2]!) };
}

/** Combines the digits of two numbers place by place, without carrying. */
function placewise({ first, second }: Pair, combine: (a: number, b: number) => number): string {
  const length = Math.max(digits(first), digits(second));
  const [a, b] = [first, second].map((value) => String(value).padStart(length, '0'));
  const result = Array.from({ length }, (_, i) => combine(Number(a![i]), Number(b![i])));
  return String(BigInt(result.join('')));
}

const pairLevel = ({ first, second }: Pair): number => digits(first) + digits(second) - 1;

function drawPair(level: number, random: Random): Pair {
  const [long, short] = sizes(level + 1);
  const pair = { first: number(long, random), second: number(short, random) };
  return random() < 0.5 ? pair : { first: pair.second, second: pair.first };
}

const addition = defineKind<Pair>({
  name: 'addition',
  description: 'add two numbers',
  credit: 'exact',
  parse: (text) => parsePair(text, '\\+'),
  write: ({ first, second }) => `What is ${first} + ${second}?`,
  level: pairLevel,
  solve: ({ first, second }) => String(first + second),
  // The carry is forgotten.
  slip: (pair) => placewise(pair, (a, b) => (a + b) % 10),
  draw: drawPair,
});

const subtraction = defineKind<Pair>({
  name: 'subtraction',
  description: 'subtract a number from one that is no smaller',
  credit: 'exact',
  parse: (text) => {
    const pair = parsePair(text, '-');
    return pair !== null && pair.first >= pair.second ? pair : null;
  },
  write: ({ first, second }) => `What is ${first} - ${second}?`,
  level: pairLevel,
  solve: ({ first, second }) => String(first - second),
  // The smaller digit is taken from the larger, whichever stands above.
  slip: (pair) => placewise(pair, (a, b) => Math.abs(a - b)),
  draw: (level, random) => {
    const { first, second } = drawPair(level, random);
    return first >= second ? { first, second } : { first: second, second: first };
  },
});

type Numbers = readonly bigint[];

function parseNumbers(text: string, pattern: RegExp): bigint[] | null {
  const listed = pattern.exec(text)?.[1];
  if (listed === undefined || !new RegExp(`^${NUMBER}(?: ${NUMBER})+$`).test(listed)) return null;
  return listed.split(' ').map(BigInt);
}

const extreme = (values: Numbers, better: (a: bigint, b: bigint) => boolean): string =>
  String(values.reduce((best, value) => (better(value, best) ? value : best)));

const comparison = defineKind<Numbers>({
  name: 'comparison',
  description: 'name the largest of several numbers',
  credit: 'exact',
  parse: (text) => parseNumbers(text, /^[Ww]hich is largest: (.+)$/),
  write: (values) => `Which is largest: ${values.join(' ')}`,
  level: (values) => values.reduce((sum, value) => sum + digits(value), 0) - 1,
  solve: (values) => extreme(values, (a, b) => a > b),
  slip: (values) => extreme(values, (a, b) => a < b),
  draw: (level, random) => {
    const values: bigint[] = [];
    // Two numbers at least, of one or two digits, or longer ones where the level asks for many digits.
    for (let left = level + 1; left > 0;) {
      const most = Math.min(left - (values.length === 0 ? 1 : 0), Math.max(2, Math.ceil((level + 1) / 3)));
      const size = integer(1, most, random);
      values.push(number(size, random));
      left -= size;
    }
    return values;
  },
});

/** The step itself up to 9, since counting on by seven is harder than by one; then one level a digit. */
function stepLevel(step: bigint): number {
  return step <= 9n ? Number(step) : 8 + digits(step);
}

/** At least three numbers, each as far from the one before. */
function isProgression(values: Numbers): boolean {
  const step = values[1]! - values[0]!;
  return step > 0n && values.length >= 3 && values.every((v, i) => i === 0 || v - values[i - 1]! === step);
}

const sequence = defineKind<Numbers>({
  name: 'sequence',
  description: 'continue numbers that grow by the same step',
  credit: 'exact',
  parse: (text) => {
    const values = parseNumbers(text, /^[Cc]ontinue: (.+)$/);
    return values !== null && isProgression(values) ? values : null;
  },
  write: (values) => `Continue: ${values.join(' ')}`,
  level: (values) => stepLevel(values[1]! - values[0]!),
  solve: (values) => String(values.at(-1)! + (values[1]! - values[0]!)),
  slip: (values) => String(values.at(-1)! + (values[1]! - values[0]! === 1n ? 2n : 1n)),
  draw: (level, random) => {
    const start = BigInt(integer(0, 80, random));
    const length = pick([3, 4], random);
    const step = level <= 9 ? BigInt(level) : number(level - 8, random);
    return Array.from({ length }, (_, i) => start + BigInt(i) * step);
  },
});

export const NUMBER_KINDS: readonly Kind[] = [addition, subtraction, comparison, sequence];
