/**
 * One form for all ways to write an answer, so that equality is a comparison of two strings and a majority can be
 * counted. A value is an exact rational number where it can be one; pairs, intervals and lists go part by part; what is
 * left is text.
 *
 * What does not matter: thousands separators, currencies, units, "%" (50 % is 50, as graders of GSM8K and MATH read it),
 * LaTeX and Markdown, how a number is written (1/2, 0.5, \frac12, 5e-1), the order of a set or a bare list.
 */
import { Fraction } from 'fraction.js';
import { evaluateExpression, plainSigns, type Rational } from './expression';
import { plainMaths } from './latex';

/** Longer answers are compared as text, and this much of them. */
const MAX_LENGTH = 1000;
const MAX_PARTS = 50;

/** The form of an answer; null for an answer without a letter or digit. Linear in its length. */
export function canonicalAnswer(answer: string): string | null {
  const cut = answer.slice(0, 4 * MAX_LENGTH);
  const text = cut.length > MAX_LENGTH ? cut : trimmed(plainSigns(plainMaths(cut)));
  if (!/[\p{L}\p{N}]/u.test(text)) return null;
  return text.length > MAX_LENGTH ? asText(text) : canonical(text, 0);
}

/** Whether two answers say the same; an answer that says nothing equals none. */
export function answersEqual(first: string, second: string): boolean {
  const form = canonicalAnswer(first);
  return form !== null && form === canonicalAnswer(second);
}

function canonical(text: string, depth: number): string {
  const value = readNumber(text);
  if (value !== null) return value;
  return (depth < 3 ? readParts(text, depth) : null) ?? readRatio(text) ?? asText(text);
}

/** Words before a value that say nothing, one at a time. */
const LEAD =
  /^(?:is|are|equals?|about|approximately|around|roughly|only|exactly|just|a total of|an?|the answer is|=|≈|:)(?![\p{L}\p{N}])\s*/iu;
/** "x = 5" is 5; the name is a letter, with an index at most. */
const NAME = /^\p{L}(?:_\{?[\p{L}\p{N}]\}?)?\s*[=≈]\s*/u;

function trimmed(text: string): string {
  let rest = text.replace(/^[\s*_"'“”‘’#]+/u, '').replace(/[\s*_"'“”‘’.,;:!?]{1,50}$/u, '');
  for (let count = 0; count < 5; count++) {
    const shorter = rest.replace(NAME, '').replace(LEAD, '').trimStart();
    if (shorter === rest || shorter === '') break;
    rest = shorter;
  }
  return rest;
}

const CURRENCY = /(?:US|A|C)?[$€£¥₹]|\b(?:USD|EUR|GBP)\b/g;
/** Words behind a number that make it larger. */
const SCALE = new Map([
  ['hundred', 2],
  ['thousand', 3],
  ['million', 6],
  ['billion', 9],
  ['trillion', 12],
]);
const NUMBER_WORDS = (
  'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen ' +
  'eighteen nineteen twenty'
).split(' ');

/** Names of mathematics, which are no units. */
const SYMBOLIC =
  /^(?:pi|sqrt|sin|cos|tan|log|ln|exp|infinity|i|e|x|y|z|n|or|and|to|by|mod|of|is|times|plus|minus)$/i;

/** `3/4` for a number in any form, with a unit or without; null for what is none. */
function readNumber(text: string): string | null {
  const bare = text
    .replace(CURRENCY, '')
    .replace(/(?<=[\d)])\s?%|(?<=[\d)])\s?\bpercent\b/gi, '')
    .trim();
  const lower = bare.toLowerCase();
  const word = /^[a-z]+/.exec(lower)?.[0] ?? '';
  const index = NUMBER_WORDS.indexOf(word);
  const written = index < 0 ? bare : `${index}${bare.slice(word.length)}`;
  const head = /^[-+*/^().,\d\s]*(?:(?<=\d)[eE][-+]?\d+)?/.exec(written)![0];
  const exponent = readUnit(written.slice(head.length));
  if (exponent === null) return null;
  const value = evaluate(head.trim());
  return value === null ? null : value.mul(new Fraction(10n ** BigInt(exponent))).toFraction();
}

/** The power of ten that words behind a number stand for: 0 for a unit or for nothing; null if it is no unit. */
function readUnit(text: string): number | null {
  if (text === '') return 0;
  // "12 apples", "5 km^2", "60 miles per hour (mph)"; but no digits, and no single letter as in "3x".
  if (!/^\s?\(?[\p{L}][\p{L}\p{M}\s'’./()-]*(?:\^?\(?[23]\)?)?\)?$/u.test(text)) return null;
  const [first = ''] = text.toLowerCase().match(/\p{L}+/gu) ?? [];
  const scale = SCALE.get(first);
  if (scale !== undefined) return readUnit(text.trimStart().slice(first.length)) === null ? null : scale;
  const spaced = /^\s/.test(text);
  if (first.length === 1 && !(spaced && 'mgshl'.includes(first))) return null;
  return SYMBOLIC.test(first) ? null : 0;
}

const GROUPED = /(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])/g;
/** 1.234.567 and 1.234,56; one group alone ("1.234") is a decimal number. */
const EUROPEAN = /^-?\d{1,3}(?:\.\d{3})+,\d{1,9}$|^-?\d{1,3}(?:\.\d{3}){2,}$/;
const MAX_POWER = 400;

/** The value of a number or of plain arithmetic. */
function evaluate(text: string): Rational | null {
  let plain = text.replace(GROUPED, (digits) => digits.replaceAll(',', ''));
  if (EUROPEAN.test(plain)) plain = plain.replaceAll('.', '').replace(',', '.');
  if (/^-?\d{1,3}(?: \d{3})+(?:\.\d+)?$/.test(plain)) plain = plain.replaceAll(' ', '');
  // A lone decimal comma; what three digits follow has been read as thousands.
  plain = plain.replace(/^(-?\d+),(\d{1,2}|\d{4,9})$/, '$1.$2');
  const mixed = /^(-?)(\d+) \(?(\d+)\)?\/\(?(\d+)\)?$/.exec(plain);
  if (mixed) plain = `${mixed[1]}(${mixed[2]}+${mixed[3]}/${mixed[4]})`;
  const scientific = /^(.*\d)[eE]([-+]?\d{1,4})$/.exec(plain);
  if (scientific) {
    if (Math.abs(Number(scientific[2])) > MAX_POWER) return null;
    plain = `(${scientific[1]})*10^(${scientific[2]!.replace('+', '')})`;
  }
  return evaluateExpression(plain.replace(/\.$/, ''))?.value ?? null;
}

const BRACKETS = new Map([
  ['(', ')]'],
  ['[', ')]'],
  ['{', '}'],
  ['\u27e6', '\u27e7'],
]);

/** Pairs and intervals keep their order; sets and bare lists do not. */
function readParts(text: string, depth: number): string | null {
  const closing = BRACKETS.get(text[0]!);
  const enclosed = closing?.includes(text.at(-1)!) === true && isEnclosed(text);
  const inner = enclosed ? text.slice(1, -1) : text;
  const parts = split(inner, enclosed);
  if (parts === null) {
    // "(B)" is "B"; "{5}" is 5.
    return enclosed && inner.trim() !== '' ? canonical(inner.trim(), depth + 1) : null;
  }
  const forms = parts.map((part) => canonical(trimmed(part), depth + 1));
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
  const forms = sides.map((side) => readNumber(side.trim()));
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
    .trim();
}
