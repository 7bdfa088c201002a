/** Small pieces that the kinds share: reading numbers, comparisons and lists from a line, and drawing. */
import { strip, stripCharacters } from './text';
import type { ConstraintLine, Random, Relation } from './types';

const NUMBER_WORDS = 'zero one two three four five six seven eight nine ten eleven twelve'.split(' ');

/** Symbols and phrases for the five comparisons; longer phrases first. */
const COMPARISONS: [RegExp, string][] = [
  [/[≥⩾]|=>|>=|\b(?:at least|no fewer than|no less than|minimum(?: of)?|min)\b/g, '>='],
  [/[≤⩽]|=<|<=|\b(?:at most|no more than|not more than|up to|maximum(?: of)?|max)\b/g, '<='],
  [/\b(?:fewer than|less than|under|below)\b/g, '<'],
  [/\b(?:more than|over|above)\b/g, '>'],
  [/==+|\b(?:exactly|equals?|equal to)\b/g, '='],
];

/** Longest line a parser looks at, in characters: a constraint is short, a runaway line is not one. */
const MAX_LINE = 200;

/** Prepares a line for the kinds' parsers; null if it is empty, too long or several lines. */
export function readLine(line: string): ConstraintLine | null {
  const trimmed = strip(line);
  if (trimmed.length > MAX_LINE || trimmed.includes('\n')) return null;
  const text = strip(stripCharacters(trimmed.replace(/^(?:[-*•+]|\d{1,2}[.)])\s+/u, ''), '`'));
  if (text === '') return null;
  return { text, plain: simplify(text) };
}

/** Lower case, comparisons as symbols, small numbers as digits, single spaces, no punctuation at the end. */
export function simplify(text: string): string {
  let plain = text.toLowerCase().replace(/[_-]+/g, ' ');
  for (const [pattern, symbol] of COMPARISONS) plain = plain.replace(pattern, ` ${symbol} `);
  NUMBER_WORDS.forEach((word, number) => {
    plain = plain.replace(new RegExp(`\\b${word}\\b`, 'g'), String(number));
  });
  plain = plain.replace(/\bonce\b/g, '1').replace(/\btwice\b/g, '2');
  return strip(plain.replace(/\s+/g, ' ').replace(/[.;,!]+$/, ''));
}

export interface Comparison {
  operator: '>=' | '<=' | '<' | '>' | '=';
  number: number;
}

/** Reads "noun >= 3", "noun: 3", ">= 3 noun" and the like; `noun` is a regular expression's source. */
export function readComparison(plain: string, noun: string): Comparison | null {
  const operator = '(>=|<=|<|>|=|:)';
  const after = new RegExp(
    `^(?:number of |use |write )?(?:${noun}) ?${operator}? ?${operator}? ?(\\d{1,6})(?: (?:${noun}))?$`,
  );
  const before = new RegExp(`^(?:use |write |include )?${operator}? ?(\\d{1,6}) (?:${noun})$`);
  const tail = after.exec(plain);
  if (tail) return { operator: readOperator(tail[2] ?? tail[1]), number: Number(tail[3]) };
  const head = before.exec(plain);
  return head ? { operator: readOperator(head[1]), number: Number(head[2]) } : null;
}

function readOperator(symbol: string | undefined): Comparison['operator'] {
  return symbol === undefined || symbol === ':' ? '=' : (symbol as Comparison['operator']);
}

/**
 * IFEval's relation of a comparison. A bare number or "=" is read as `bare`, since neither relation is "exactly".
 */
export function relationOf(comparison: Comparison, bare: Relation): { relation: Relation; count: number } {
  const { operator, number } = comparison;
  switch (operator) {
    case '>=':
      return { relation: 'at least', count: number };
    case '>':
      return { relation: 'at least', count: number + 1 };
    case '<=':
      return { relation: 'less than', count: number + 1 };
    case '<':
      return { relation: 'less than', count: number };
    case '=':
      return { relation: bare, count: bare === 'at least' ? number : number + 1 };
  }
}

export function holds(value: number, relation: Relation, count: number): boolean {
  return relation === 'at least' ? value >= count : value < count;
}

/** ">= 3" for at least 3, "<= 2" for less than 3. */
export function formatRelation(relation: Relation, count: number): string {
  return relation === 'at least' ? `>= ${count}` : `<= ${count - 1}`;
}

/** The text after one of the heads ("include", "must include", ...) and a colon, equals sign or space. */
export function readAfter(text: string, heads: string): string | null {
  const rest = new RegExp(`^(?:${heads})(?: *[:=] *| +)(.+)$`, 'iu').exec(text)?.[1];
  return rest === undefined ? null : unquote(rest);
}

/** Removes one pair of quotation marks around a text. */
export function unquote(text: string): string {
  const stripped = strip(text);
  const inner = /^(?:"([^"]+)"|'([^']+)'|“([^”]+)”)$/u.exec(stripped);
  return strip(inner?.[1] ?? inner?.[2] ?? inner?.[3] ?? stripped);
}

const KEYWORD = /^[\p{L}\p{N}](?:[\p{L}\p{N}' -]{0,38}[\p{L}\p{N}])?$/u;

/** One keyword of letters and digits (inner spaces, hyphens and apostrophes allowed), at most 40 characters. */
export function readKeyword(text: string): string | null {
  const keyword = unquote(stripCharacters(unquote(text), '.;'));
  return KEYWORD.test(keyword) && keyword.split(' ').length <= 3 ? keyword : null;
}

/** One to `max` different keywords separated by commas or "and". */
export function readKeywords(text: string, max = 5): string[] | null {
  const parts = text.split(/,\s*(?:and\s+)?|\s+and\s+/u).filter((part) => strip(part) !== '');
  const keywords = parts.map(readKeyword);
  if (keywords.length === 0 || keywords.length > max || keywords.includes(null)) return null;
  const unique = new Map(keywords.map((keyword) => [keyword!.toLowerCase(), keyword!]));
  return [...unique.values()];
}

/** Text for a reader: "a", "b" and "c", each in quotation marks. */
export function listOf(items: readonly string[], joiner: 'and' | 'or' = 'and'): string {
  const quoted = items.map((item) => `"${item}"`);
  if (quoted.length < 2) return quoted.join('');
  return `${quoted.slice(0, -1).join(', ')} ${joiner} ${quoted.at(-1)}`;
}

/** "1 word", "2 words". */
export function plural(count: number, noun: string, nouns = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : nouns}`;
}

/** An integer in [low, high], both inclusive. */
export function drawInteger(random: Random, low: number, high: number): number {
  return low + Math.floor(random() * (high - low + 1));
}

export function drawOne<T>(random: Random, items: readonly T[]): T {
  return items[Math.floor(random() * items.length)]!;
}

/** `count` different items, in drawn order. */
export function drawSome<T>(random: Random, items: readonly T[], count: number): T[] {
  const rest = [...items];
  const drawn: T[] = [];
  while (drawn.length < count && rest.length > 0) {
    drawn.push(rest.splice(Math.floor(random() * rest.length), 1)[0]!);
  }
  return drawn;
}
