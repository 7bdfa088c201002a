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

/** What stands at a place: settled, or a sentence that has no value in it, for want of anything better. */
interface Found {
  answer: string;
  settled: boolean;
}

const READERS: Record<AnswerPlace, (text: string) => Found | null> = {
  hash: afterHashes,
  boxed: inBox,
  phrase: afterPhrase,
  number: (text) => {
    const answer = lastNumber(text);
    return answer === null ? null : { answer, settled: true };
  },
};

/**
 * The answer as it is written (at most 1,000 characters), or null.
 *
 * - `hash`: the rest of the line behind the last `####`;
 * - `boxed`: the inside of the last \boxed{…}, braces nested;
 * - `phrase`: what follows the last "answer is", "answer:" or "answer =" with a number up to the end of the sentence;
 * - `number`: the last number, fraction or amount; none where that is an operand: "3 * 4" has not been worked out.
 *
 * Where one of the first three is an equation, the answer is what follows its last "=", if that is a value; where it is a
 * sentence with a number in it, the number; a sentence without one is the answer only if no other place has any.
 * @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION
 */
export function extractAnswer(text: string, options?: ExtractOptions): string | null {
  expectString('text', text);
  const { places = ANSWER_PLACES } = checkOptions(options, ['places'], 'extractAnswer');
  const order = expectArray('places', places, { nonEmpty: true }).map((place) =>
    expectOneOf('places', place, ANSWER_PLACES),
  );
  let spare: string | null = null;
  for (const place of order) {
    const found = READERS[place](text);
    if (found?.settled) return found.answer;
    spare ??= found?.answer ?? null;
  }
  return spare;
}

function afterHashes(text: string): Found | null {
  const at = text.lastIndexOf('####');
  return at < 0 ? null : tidy(firstLine(text.slice(at + 4, at + 4 + WINDOW)));
}

function inBox(text: string): Found | null {
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
/** Of a text full of phrases the last ones are looked at. */
const MAX_PHRASES = 10;
/** Up to a mark that ends a sentence: not the full stop of 3.5, a.m. or Rs. 500, nor the mark of a factorial, 5! = 120. */
const SENTENCE = /^(?:[^.!?\n]|\.(?=[\d\p{L}])|(?<=\bRs)\.|[!?](?!\s+\p{Lu}|\s*(?:\n|$)))*/u;

/** The last phrase with a number: "The answer is 7. I am sure the answer is correct." */
function afterPhrase(text: string): Found | null {
  const ends: number[] = [];
  for (const match of text.matchAll(PHRASE)) {
    ends.push(match.index + match[0].length);
    if (ends.length > MAX_PHRASES) ends.shift();
  }
  const found = ends
    .reverse()
    .map((end) => tidy(SENTENCE.exec(text.slice(end, end + WINDOW).replace(/^[\s:*_=]+/, ''))![0]))
    .filter((one) => one !== null);
  return (
    found.find(({ answer, settled }) => settled && /\d/.test(canonicalAnswer(answer)!)) ?? found[0] ?? null
  );
}

function firstLine(text: string): string {
  return text.trimStart().split('\n', 1)[0]!;
}

/** A number, or a list of numbers, in canonical form. */
const VALUE = /^(?:-?\d+(?:\/\d+)?|\{[-\d/, ]+\})$/;

function isValue(text: string): boolean {
  return VALUE.test(canonicalAnswer(text) ?? '');
}

/** What follows the last "=", where there is one equation only. */
function afterEquals(text: string): string {
  const at = text.lastIndexOf('=');
  return at < 0 || /[;<>≤≥]|,\s|\b(?:or|and)\b/.test(text.slice(0, at)) ? text : text.slice(at + 1).trim();
}

/** "5, not 6" */
const CONTRAST = /[,;]?\s+(?:not|instead of|rather than)\s.*$/isu;
/** A text without words, LaTeX commands and functions aside: x + 1. */
const WORD = /\p{L}{2}/u;
const FUNCTIONS = /\\[a-z]+|\b(?:sqrt|pi|sin|cos|tan|log|ln|exp)\b/gi;

/** "2 hours 30 minutes" is neither 2 nor 30. */
const COMPOUND = /^[\d.,]+ ?\p{L}+ [\d.,]+ ?\p{L}+$/u;

/** The value in what stands at a place; the text itself if it is a formula or a single word; null for nothing. */
function tidy(text: string): Found | null {
  const answer = text.trim();
  if (canonicalAnswer(answer) === null) return null;
  const value = [answer, afterEquals(answer), answer.replace(CONTRAST, '')].find(isValue);
  if (value !== undefined) return { answer: value, settled: true };
  const formula = /^(?:[([{]|\\(?!\$))/.test(answer) || !WORD.test(answer.replace(FUNCTIONS, ''));
  const whole = formula || COMPOUND.test(answer);
  const word = !/\s|\d/.test(answer);
  const number = whole || word ? null : lastNumber(answer);
  return { answer: number ?? answer, settled: whole || word || number !== null };
}

/**
 * A number with what belongs to it, in the order in which the alternatives are tried: LaTeX fraction, mixed number,
 * scientific notation, plain number or fraction. A sign counts where nothing is subtracted from.
 */
const SIGN = '(?:(?<![\\p{N})\\]}] ?|[\\p{L}_])-)?';
const GROUP = '(?:\\{[^{}]{1,40}\\}|\\d)';
const PLAIN =
  '(?:\\d{1,3}(?:,\\d{3})+(?!\\d)|(?<![\\d.,])[1-9]\\d{0,2}(?: \\d{3})+(?![\\d/])|\\d+)(?:\\.\\d+)?|\\.\\d+';
const NUMBER = new RegExp(
  `${SIGN}(?:\\d{1,9}\\s?)?\\\\[dtc]?frac\\s?${GROUP}\\s?${GROUP}` +
    `|${SIGN}\\d{1,9} \\d{1,9}/\\d{1,9}(?!\\d)` +
    `|${SIGN}\\$?(?:${PLAIN})(?:e[-+]?\\d{1,4}(?!\\d)| ?(?:\\\\times|\\*|x) ?10\\^\\{?-?\\d{1,4}\\}?)` +
    `|${SIGN}(?:\\$-?)?(?:${PLAIN})(?:\\s?/\\s?\\d{1,40})?`,
  'giu',
);

/** Behind a value, what makes an operand of the number that follows. */
const OPERATOR = /[\d)\]}%][ \t]{0,4}(?:[-+*/^]|\\(?:times|cdot|div)(?![a-zA-Z]))\s{0,4}[($\\{+-]{0,8}$/;

function lastNumber(text: string): string | null {
  let end = text.length;
  while (end > 0 && !/\d/.test(text[end - 1]!)) end--;
  if (end === 0) return null;
  // A fraction's closing brace stands behind its last digit.
  const window = plainSigns(text.slice(Math.max(0, end - WINDOW), end + 1));
  let last: RegExpExecArray | null = null;
  for (const match of window.matchAll(NUMBER)) last = match;
  if (last === null || OPERATOR.test(window.slice(Math.max(0, last.index - 30), last.index))) return null;
  return last[0].trim();
}
