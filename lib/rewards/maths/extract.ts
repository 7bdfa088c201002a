/**
 * The answer in a text that works it out: behind `####`, in \boxed{…}, behind "the answer is", or the last number. Looked
 * for from the end, in windows of fixed size, so that a text of any length costs one pass.
 */
import { checkOptions, expectArray, expectOneOf, expectString } from '../../options';
import { canonicalAnswer } from './canonical';
import { plainSigns } from './expression';

/** Where an answer may stand. */
export type AnswerPlace = 'hash' | 'boxed' | 'phrase' | 'number';

export const ANSWER_PLACES: readonly AnswerPlace[] = ['hash', 'boxed', 'phrase', 'number'];

export interface ExtractOptions {
  /** Where to look, in this order; the first place that has an answer gives it. Default: all four. */
  places?: readonly AnswerPlace[];
}

/** Longest answer, in characters. */
const WINDOW = 1000;

const READERS: Record<AnswerPlace, (text: string) => string | null> = {
  hash: afterHashes,
  boxed: inBox,
  phrase: afterPhrase,
  number: lastNumber,
};

/**
 * The answer as it is written (at most 1,000 characters), or null.
 *
 * - `hash`: the rest of the line behind the last `####`;
 * - `boxed`: the inside of the last \boxed{…}, braces nested;
 * - `phrase`: what follows the last "answer is", "answer:" or "answer =" up to the end of the sentence;
 * - `number`: the last number, fraction or amount.
 *
 * Where one of the first three is a sentence with a number in it, the number is the answer.
 * @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION
 */
export function extractAnswer(text: string, options?: ExtractOptions): string | null {
  expectString('text', text);
  const { places = ANSWER_PLACES } = checkOptions(options, ['places'], 'extractAnswer');
  for (const place of expectArray('places', places, { nonEmpty: true })) {
    const found = READERS[expectOneOf('places', place, ANSWER_PLACES)](text);
    if (found !== null) return found;
  }
  return null;
}

function afterHashes(text: string): string | null {
  const at = text.lastIndexOf('####');
  return at < 0 ? null : tidy(firstLine(text.slice(at + 4, at + 4 + WINDOW)));
}

function inBox(text: string): string | null {
  const at = text.lastIndexOf('\\boxed');
  if (at < 0) return null;
  const rest = text.slice(at + 6, at + 6 + WINDOW).trimStart();
  if (!rest.startsWith('{')) return tidy(/^[^\s$]+/.exec(rest)?.[0] ?? '');
  let open = 0;
  for (let index = 0; index < rest.length; index++) {
    if (rest[index] === '\\') index++;
    else if (rest[index] === '{') open++;
    else if (rest[index] === '}' && --open === 0) return tidy(rest.slice(1, index));
  }
  return null; // cut off
}

const PHRASE = /\b(?:answer|result)(?: to the (?:question|problem))? ?(?:is|was|would be|:|=)/gi;

function afterPhrase(text: string): string | null {
  let end = -1;
  for (const match of text.matchAll(PHRASE)) end = match.index + match[0].length;
  if (end < 0) return null;
  const rest = text.slice(end, end + WINDOW).replace(/^[\s:*_=]+/, '');
  // A full stop ends the sentence, one between digits does not.
  const sentence = /^(?:[^.\n]|\.(?=\d))*/.exec(rest)![0];
  return tidy(sentence);
}

function firstLine(text: string): string {
  return text.trimStart().split('\n', 1)[0]!;
}

const PLAIN_VALUE = /^-?\d+(?:\/\d+)?$/;

/** The text itself if it is a value or has no number in it, else its last number; null for nothing. */
function tidy(text: string): string | null {
  const answer = text.trim();
  const form = canonicalAnswer(answer);
  if (form === null) return null;
  if (PLAIN_VALUE.test(form) || !/\s.*\s/.test(answer) || /^[([{\\$]/.test(answer)) return answer;
  return lastNumber(answer) ?? answer;
}

/**
 * A number with what belongs to it, in the order in which the alternatives are tried: LaTeX fraction, mixed number,
 * scientific notation, plain number or fraction. A sign counts where nothing is subtracted from.
 */
const SIGN = '(?:(?<![\\p{N})\\]}] ?|[\\p{L}_])-)?';
const GROUP = '(?:\\{[^{}]{1,40}\\}|\\d)';
const PLAIN = '(?:\\d{1,3}(?:,\\d{3})+(?!\\d)|\\d+)(?:\\.\\d+)?|\\.\\d+';
const NUMBER = new RegExp(
  `${SIGN}(?:\\d{1,9}\\s?)?\\\\[dtc]?frac\\s?${GROUP}\\s?${GROUP}` +
    `|${SIGN}\\d{1,9} \\d{1,9}/\\d{1,9}(?!\\d)` +
    `|${SIGN}\\$?(?:${PLAIN})(?:e[-+]?\\d{1,4}(?!\\d)| ?(?:\\\\times|\\*|x) ?10\\^\\{?-?\\d{1,4}\\}?)` +
    `|${SIGN}(?:\\$-?)?(?:${PLAIN})(?:\\s?/\\s?\\d{1,40})?`,
  'giu',
);

function lastNumber(text: string): string | null {
  let end = text.length;
  while (end > 0 && !/\d/.test(text[end - 1]!)) end--;
  if (end === 0) return null;
  // A fraction's closing brace stands behind its last digit.
  const window = plainSigns(text.slice(Math.max(0, end - WINDOW), end + 1));
  let last: string | null = null;
  for (const match of window.matchAll(NUMBER)) last = match[0];
  return last?.trim() ?? null;
}
