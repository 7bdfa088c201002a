/**
 * Text primitives with the semantics of IFEval's checker, which is written in Python: its regular expressions know
 * Unicode letters in \w and \b, treat only "\n" as a line end, and count other characters as white space than
 * JavaScript does. Every check goes through these, never through \w, \b, \s, ^, $ or trim().
 */

/** Characters for which Python's str.isspace() holds (JavaScript's \s differs in U+FEFF, U+0085, U+001C..1F). */
const SPACE_CHARACTERS =
  '\\t\\n\\v\\f\\r\\x1c-\\x1f \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';

/** Sources of regular expressions with flag `u` (no `m`, no `s`). */
export const SPACE = `[${SPACE_CHARACTERS}]`;
export const WORD = '[\\p{L}\\p{N}_]';
export const LINE_START = '(?<![^\\n])';
export const LINE_END = '(?![^\\n])';
const WORD_BOUNDARY = `(?:(?<=${WORD})(?!${WORD})|(?<!${WORD})(?=${WORD}))`;

const LEADING_SPACE = new RegExp(`^${SPACE}+`, 'u');
const WORDS = new RegExp(`${WORD}+`, 'gu');

/** Removes white space at both ends. */
export function strip(text: string): string {
  const start = text.replace(LEADING_SPACE, '');
  // Scanned by hand: a regular expression for trailing space is quadratic in long runs of spaces.
  let end = start.length;
  while (end > 0 && SPACE_SET.has(start[end - 1]!)) end--;
  return start.slice(0, end);
}

const SPACE_SET = new Set(
  Array.from({ length: 0x3001 }, (_, code) => String.fromCharCode(code)).filter((character) =>
    new RegExp(SPACE, 'u').test(character),
  ),
);

/** Removes the given characters at both ends. */
export function stripCharacters(text: string, characters: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && characters.includes(text[start]!)) start++;
  while (end > start && characters.includes(text[end - 1]!)) end--;
  return text.slice(start, end);
}

/** The parts between white space. */
export function splitSpace(text: string): string[] {
  return text.split(new RegExp(`${SPACE}+`, 'u')).filter((part) => part !== '');
}

export function isBlank(text: string): boolean {
  return strip(text) === '';
}

/** Maximal runs of letters, digits and underscores: "don't" is two words, as in IFEval. */
export function words(text: string): string[] {
  return text.match(WORDS) ?? [];
}

/** Non-overlapping matches of a regular expression's source (flag `u`, and `i` if asked). */
export function countMatches(text: string, source: string, flags: 'gu' | 'giu' = 'gu'): number {
  return text.match(new RegExp(source, flags))?.length ?? 0;
}

/** To Python's regular expressions, in any case, the Turkish letters are an i too; the flag `i` here knows no such rule. */
function foldTurkish(text: string): string {
  return text.replace(/[\u0130\u0131]/g, 'i');
}

/** Occurrences in any case, also inside longer words, without overlaps. */
export function countOccurrences(text: string, phrase: string): number {
  return countMatches(foldTurkish(text), escape(foldTurkish(phrase)), 'giu');
}

/** Whether the phrase occurs in any case, also inside a longer word. */
export function contains(text: string, phrase: string): boolean {
  return new RegExp(escape(foldTurkish(phrase)), 'iu').test(foldTurkish(text));
}

/** Whether the phrase occurs in any case with word boundaries at both sides. */
export function containsWord(text: string, phrase: string): boolean {
  const source = WORD_BOUNDARY + escape(foldTurkish(phrase)) + WORD_BOUNDARY;
  return new RegExp(source, 'iu').test(foldTurkish(text));
}

/** A regular expression's source that matches the text itself. */
export function escape(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
}

/** At least one cased character, none of them upper or title case. */
export function isLower(text: string): boolean {
  return /\p{Lowercase}/u.test(text) && !/\p{Uppercase}|\p{Lt}/u.test(text);
}

/** At least one cased character, none of them lower or title case. */
export function isUpper(text: string): boolean {
  return /\p{Uppercase}/u.test(text) && !/\p{Lowercase}|\p{Lt}/u.test(text);
}
