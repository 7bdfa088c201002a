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

/** Occurrences in any case, also inside longer words, without overlaps. */
export function countOccurrences(text: string, phrase: string): number {
  return countMatches(text, escape(phrase), 'giu');
}

/** Whether the phrase occurs in any case, also inside a longer word. */
export function contains(text: string, phrase: string): boolean {
  return new RegExp(escape(phrase), 'iu').test(text);
}

/** Whether the phrase occurs in any case with word boundaries at both sides. */
export function containsWord(text: string, phrase: string): boolean {
  return new RegExp(WORD_BOUNDARY + escape(phrase) + WORD_BOUNDARY, 'iu').test(text);
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

/** Lower-case forms that are followed by a full stop within a sentence. */
const ABBREVIATIONS = new Set(
  'mr mrs ms dr prof st jr sr vs etc e.g i.e cf fig no vol approx dept inc ltd co a.m p.m u.s u.k p.s p.p.s'.split(
    ' ',
  ),
);

/** End marks, closing quotes or brackets, then space (or the end): where a sentence may end within a line. */
const SENTENCE_END = /(?<=[.!?…。！？]["'”’)\]*_]*)\s+/u;

/**
 * Splits text into sentences by simple rules: a line break ends a sentence, and so does ., !, ? or … (with closing
 * quotes or brackets) followed by white space, unless the stop belongs to a known abbreviation, an initial
 * ("J. Smith") or a list's number ("1. "). The case of what follows does not matter, since answers may have to be
 * in lower case. Pieces without a letter or digit do not count. IFEval uses a trained splitter here, so counts of
 * unusual texts can differ from its own.
 */
export function sentences(text: string): string[] {
  const found: string[] = [];
  for (const line of text.split(/\n+/)) {
    let sentence = '';
    for (const piece of line.split(SENTENCE_END)) {
      if (sentence !== '' && endsInAbbreviation(sentence)) sentence += ` ${piece}`;
      else {
        if (sentence !== '') found.push(sentence);
        sentence = piece;
      }
    }
    if (sentence !== '') found.push(sentence);
  }
  return found.map(strip).filter((sentence) => words(sentence).length > 0);
}

function endsInAbbreviation(sentence: string): boolean {
  const last = /([^\s"“(['‘*_]+)\.$/u.exec(sentence)?.[1];
  if (last === undefined) return false;
  if (ABBREVIATIONS.has(last.toLowerCase()) || /^(?!I$)\p{Lu}$/u.test(last)) return true;
  return /^\d+$/.test(sentence.slice(0, -1));
}
