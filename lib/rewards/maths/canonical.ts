/**
 * One form for all ways to write an answer, so that equality is a comparison of two strings and a majority can be
 * counted. A value is an exact rational number where it can be one; pairs, intervals and lists go part by part; what is
 * left is text.
 *
 * What does not matter: thousands separators, currencies, units, "%" (50 % is 50, as graders of GSM8K and MATH read it),
 * LaTeX and Markdown, how a number is written (1/2, 0.5, \frac12, 5e-1), the order of a set or a bare list.
 */
import { checkOptions, expectBoolean } from '../../options';
import { plainSigns } from './expression';
import { plainMaths } from './latex';
import { readNumber } from './number';

/** Longer answers are compared as text, and this much of them. */
const MAX_LENGTH = 1000;
const MAX_PARTS = 50;

export interface CanonicalOptions {
  /**
   * Whether arithmetic is evaluated: "3 * 4" is 12. Default false: a model's answer is a value, or the question would be
   * its own answer. True is for references.
   */
  arithmetic?: boolean;
}

/**
 * The form of an answer; null for an answer without a letter or digit. Linear in its length.
 * @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION
 */
export function canonicalAnswer(answer: string, options?: CanonicalOptions): string | null {
  const checked = checkOptions(options, ['arithmetic'], 'canonicalAnswer');
  const arithmetic = expectBoolean('arithmetic', checked.arithmetic ?? false);
  const cut = answer.slice(0, 4 * MAX_LENGTH);
  const text = cut.length > MAX_LENGTH ? cut : trimmed(plainSigns(plainMaths(cut)));
  if (!/[\p{L}\p{N}]/u.test(text)) return null;
  return text.length > MAX_LENGTH ? asText(text) : canonical(text, 0, arithmetic);
}

/**
 * Whether an answer says what a reference says; an answer that says nothing equals none. Arithmetic is evaluated in the
 * reference, and never in the answer: "17" is right where the reference is "3 * 4 + 5", and "3 * 4 + 5" never is.
 */
export function answersEqual(answer: string, reference: string): boolean {
  const form = canonicalAnswer(answer);
  return form !== null && form === canonicalAnswer(reference, { arithmetic: true });
}

function canonical(text: string, depth: number, arithmetic: boolean): string {
  const value = readNumber(text, arithmetic);
  if (value !== null) return value;
  const parts = depth < 3 ? readParts(text, depth, arithmetic) : null;
  return parts ?? readRatio(text) ?? asText(text);
}

/** Words before a value that say nothing, one at a time. */
const LEAD =
  /^(?:is|are|equals?|about|approximately|around|roughly|only|exactly|just|a total of|the answer is|=|≈|:)(?![\p{L}\p{N}])\s*|^an?\s+(?=\d|\p{L}{2})(?!(?:and|or)\s)/iu;
/** "x = 5" is 5; the name is a letter, with an index at most. */
const NAME = /^\p{L}(?:_\{?[\p{L}\p{N}]\}?)?\s*[=≈]\s*/u;

/** What ends a sentence; "!" behind a number is a factorial. */
const ENDING = /(?:[\s*_"'“”‘’.,;:?]|(?<![\d)\]}!])!){1,50}$/u;

function trimmed(text: string): string {
  let rest = text.replace(/^[\s*_"'“”‘’#]+/u, '').replace(ENDING, '');
  for (let count = 0; count < 5; count++) {
    const shorter = rest.replace(NAME, '').replace(LEAD, '').trimStart();
    if (shorter === rest || shorter === '') break;
    rest = shorter;
  }
  return rest;
}

const BRACKETS = new Map([
  ['(', ')]'],
  ['[', ')]'],
  ['{', '}'],
  ['\u27e6', '\u27e7'],
]);

/** Pairs and intervals keep their order; sets and bare lists do not. */
function readParts(text: string, depth: number, arithmetic: boolean): string | null {
  const closing = BRACKETS.get(text[0]!);
  const enclosed = closing?.includes(text.at(-1)!) === true && isEnclosed(text);
  const inner = enclosed ? text.slice(1, -1) : text;
  const parts = split(inner, enclosed);
  if (parts === null) {
    // "(B)" is "B"; "{5}" is 5.
    return enclosed && inner.trim() !== '' ? canonical(inner.trim(), depth + 1, arithmetic) : null;
  }
  const forms = parts.map((part) => canonical(trimmed(part), depth + 1, arithmetic));
  const ordered = enclosed && '(['.includes(text[0]!);
  if (ordered) return `${text[0]!}${forms.join(', ')}${text.at(-1)!}`;
  return `{${forms.sort().join(', ')}}`;
}

/** Whether the first bracket is closed by the last character, and not before. */
function isEnclosed(text: string): boolean {
  let open = 0;
  for (let index = 0; index < text.length; index++) {
    if ('([{\u27e6'.includes(text[index]!)) open++;
    else if (')]}\u27e7'.includes(text[index]!) && --open === 0) return index === text.length - 1;
  }
  return false;
}

/** The parts between commas, semicolons and the word "and" outside of brackets; null where there is one part only. */
function split(text: string, enclosed: boolean): string[] | null {
  const parts: string[] = [];
  let open = 0;
  let start = 0;
  const marks = /[([{\u27e6]|[)\]}\u27e7]|[,;]|\s(?:and|or)\s/g;
  for (let mark = marks.exec(text); mark; mark = marks.exec(text)) {
    const found = mark[0];
    if ('([{\u27e6'.includes(found)) open++;
    else if (')]}\u27e7'.includes(found)) open--;
    else if (open === 0 && (enclosed || !isSeparatorOfThousands(text, mark.index))) {
      parts.push(text.slice(start, mark.index));
      start = marks.lastIndex;
    }
  }
  parts.push(text.slice(start));
  const filled = parts.map((part) => part.trim()).filter((part) => part !== '');
  return filled.length < 2 || filled.length > MAX_PARTS ? null : filled;
}

function isSeparatorOfThousands(text: string, comma: number): boolean {
  return /\d$/.test(text.slice(0, comma)) && /^,\d{3}(?!\d)/.test(text.slice(comma, comma + 5));
}

/** "1:2", each side a number; ratios are not reduced, since 3:30 may be a time. */
function readRatio(text: string): string | null {
  const sides = text.split(':');
  if (sides.length < 2 || sides.length > 3) return null;
  const forms = sides.map((side) => readNumber(side.trim(), false));
  return forms.includes(null) ? null : forms.join(':');
}

/** Text without case, braces, and spaces that do not separate words. */
function asText(text: string): string {
  return text
    .normalize('NFKC')
    .slice(0, 4 * MAX_LENGTH)
    .toLowerCase()
    .replace(/[{}\\]/g, '')
    .replace(/\s+/gu, ' ')
    .replace(/ ?([^\p{L}\p{N}\s]) ?/gu, '$1')
    .replace(/(?<=\d) (?=\p{L})/gu, '')
    .trim();
}
