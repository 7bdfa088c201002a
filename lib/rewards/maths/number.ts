/**
 * The value of a number as people and models write it, with a unit, a currency or a remark behind it: an exact rational.
 *
 * An answer is a value: a whole or decimal number, a fraction, a mixed number, scientific notation. Arithmetic is none,
 * or copying the question would be an answer; it is evaluated only where the caller says so, in a reference.
 */
import { Fraction } from 'fraction.js';
import { evaluateExpression, type Rational } from './expression';

const CURRENCY = /(?:\b(?:US|A|C))?\p{Sc}|\b(?:USD|EUR|GBP|INR|Rs)\b\.?/giu;
const PERCENT = /(?<=[\d)])\s?(?:%|\bpercent\b)/gi;
/** "7 (seven)", "5 (not 6)". */
const REMARK = /\s?\((?=[^()]*\p{L}{2})[^()]*\)$/u;

/** `3/4` for a number in any form; null for what is none. `arithmetic`: sums, powers and divisions are evaluated too. */
export function readNumber(text: string, arithmetic: boolean): string | null {
  const bare = text.replace(CURRENCY, '').replace(PERCENT, '').trim();
  const written = withDigits(bare.replace(/^(?:negative|minus)\s+(?=[\p{L}\d.])/iu, '-'));
  const value =
    valueOf(written) ?? valueOf(written.replace(REMARK, '')) ?? (arithmetic ? sumOf(written) : null);
  return value?.toFraction() ?? null;
}

const SMALL_WORDS = (
  'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen ' +
  'eighteen nineteen'
).split(' ');
const TENS_WORDS = 'twenty thirty forty fifty sixty seventy eighty ninety'.split(' ');
/** Words behind a number that multiply it. */
const SCALE = new Map([
  ['dozen', 12n],
  ['hundred', 100n],
  ['thousand', 1000n],
  ['million', 10n ** 6n],
  ['billion', 10n ** 9n],
  ['trillion', 10n ** 12n],
]);

/** Words up to ninety-nine at the beginning as digits; "hundred" alone is one of them. */
function withDigits(text: string): string {
  const [found = '', sign = '', first = '', second = ''] =
    /^(-?)([a-z]+)(?:[- ](one|two|three|four|five|six|seven|eight|nine)\b)?/i.exec(text) ?? [];
  const word = first.toLowerCase();
  const tens = TENS_WORDS.indexOf(word);
  if (tens >= 0) {
    const ones = Math.max(0, SMALL_WORDS.indexOf(second.toLowerCase()));
    return `${sign}${20 + 10 * tens + ones}${text.slice(found.length)}`;
  }
  const small = SMALL_WORDS.indexOf(word);
  if (small >= 0) return `${sign}${small}${text.slice(sign.length + first.length)}`;
  return SCALE.has(word) ? `${sign}1 ${text.slice(sign.length)}` : text;
}

/**
 * A number without its sign, with its separators, in the order in which they are tried: 1,234.5; 1 234.5; 1.234,5 and
 * 1.234.567 (one group alone, 1.234, is a decimal number); a lone decimal comma (what three digits follow has been read
 * as thousands); a plain one.
 */
const NUMERAL =
  '(?:\\d{1,3}(?:,\\d{3})+(?![\\d,])(?:\\.\\d+)?|\\d{1,3}(?: \\d{3})+(?!\\d)(?:\\.\\d+)?' +
  '|\\d{1,3}(?:\\.\\d{3})+,\\d{1,9}(?![\\d,])|\\d{1,3}(?:\\.\\d{3}){2,}(?![\\d,])' +
  '|\\d+,(?:\\d{1,2}|\\d{4,9})(?![\\d,])|\\d+(?:\\.\\d*)?|\\.\\d+)';
const SIGNED = `\\(?([-+]? ?${NUMERAL})\\)?`;
const MIXED = /^([-+]?)(\d{1,9}) \(?(\d{1,9})\)? ?\/ ?\(?(\d{1,9})\)?/;
const FRACTION = new RegExp(`^([-+]?) ?${SIGNED} ?/ ?${SIGNED}`);
const SCIENTIFIC = new RegExp(
  `^([-+]? ?${NUMERAL})(?:e([-+]?\\d{1,4})(?!\\d)| ?\\* ?10\\^\\(?([-+]?\\d{1,4})\\)?)`,
  'i',
);
const PLAIN = new RegExp(`^([-+]? ?${NUMERAL})`);

const MAX_POWER = 400;
const MAX_DIGITS = 500;

/** Each reads the number at the beginning of a text: its value, or null; and what stands behind it. */
const FORMS: readonly [RegExp, (parts: (string | undefined)[]) => Rational | null][] = [
  [MIXED, ([sign, whole, top, bottom]) => signed(sign, divided(top, bottom)?.add(whole!) ?? null)],
  [FRACTION, ([sign, top, bottom]) => unfinished(signed(sign, divided(top, bottom)))],
  [SCIENTIFIC, ([base, letter, power]) => scaled(numeral(base), Number(letter ?? power))],
  [PLAIN, ([number]) => numeral(number)],
];

/** A value with a unit or without. */
function valueOf(text: string): Rational | null {
  for (const [form, read] of FORMS) {
    const found = form.exec(text);
    if (!found) continue;
    const unit = readUnit(text.slice(found[0].length));
    const value = unit === null ? null : read(found.slice(1));
    if (value !== null) return value.mul(new Fraction(unit!));
  }
  return null;
}

function numeral(text: string | undefined): Rational | null {
  if (text === undefined || text.length > MAX_DIGITS) return null;
  let plain = text.replace(/[ +]/g, '');
  if (/,\d{3}(?:[,.]|$)/.test(plain) && !/\.\d+,/.test(plain)) plain = plain.replaceAll(',', '');
  else if (/\.\d{3}[.,]\d/.test(plain)) plain = plain.replaceAll('.', '');
  return evaluateExpression(plain.replace(',', '.').replace(/\.$/, ''))?.value ?? null;
}

function divided(top: string | undefined, bottom: string | undefined): Rational | null {
  const [upper, lower] = [numeral(top), numeral(bottom)];
  return upper === null || lower === null || lower.n === 0n ? null : upper.div(lower);
}

/** 48/6 is a division that nobody has done yet; 4/8 is a number. */
function unfinished(value: Rational | null): Rational | null {
  return value === null || value.d === 1n ? null : value;
}

function signed(sign: string | undefined, value: Rational | null): Rational | null {
  return value !== null && sign === '-' ? value.neg() : value;
}

function scaled(value: Rational | null, power: number): Rational | null {
  if (value === null || Math.abs(power) > MAX_POWER) return null;
  const factor = new Fraction(10n ** BigInt(Math.abs(power)));
  return power < 0 ? value.div(factor) : value.mul(factor);
}

const GROUPED = /(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])/g;

/** The value of arithmetic, with a unit or without. */
function sumOf(text: string): Rational | null {
  const head = /^[-+*/^().,\d\s]*/.exec(text)![0].replace(/[\s(]+$/, '');
  const unit = readUnit(text.slice(head.length));
  if (unit === null) return null;
  const plain = head.replace(GROUPED, (digits) => digits.replaceAll(',', '')).replace(/\.$/, '');
  return evaluateExpression(plain)?.value.mul(new Fraction(unit)) ?? null;
}

const words = (text: string) => new Set(text.split(' '));
/** Behind a number, these are no unit: names of mathematics, operations, and what makes a sentence of it. */
const NO_UNIT = words(
  'pi sqrt sin cos tan sec csc cot sinh cosh tanh arcsin arccos arctan log ln exp lim max min det gcd lcm infinity or and ' +
    'to by of is are not times plus minus divided multiplied choose over',
);
/** These change the value wherever they stand behind a number. */
const CHANGES = words(
  'remainder root squared cubed factorial half halves third thirds fourths fifths sixths sevenths eighths ninths tenths ' +
    `hundredths thousandths mod modulo ${SMALL_WORDS.join(' ')} ${TENS_WORDS.join(' ')}`,
);
/** Letters at a number without a space are its unit only if they are one of these: 3ab is a product. */
const GLUED = words(
  'mm cm dm km kg mg lb lbs oz ft yd mi mph kph kmh hr hrs min mins sec secs ms ml cl dl kb mb gb tb kw kwh mw hz khz mhz ghz ' +
    'px cc sq am pm st nd rd th pounds pts pcs cents dollars euros hours minutes seconds days degrees',
);
const LETTERS = words('m s h g l L C F K N J V W');

/** What the words behind a number multiply it by: 1 for a unit or for nothing; null if they are no unit. */
function readUnit(text: string): bigint | null {
  if (text.trim() === '' || /^\s?[ap]\.?\s?m\.?$/i.test(text)) return 1n;
  // "12 apples", "5 km^2", "60 miles per hour (mph)", "5/hour", "9 m/s^2"; no digits but powers of a unit.
  const plain = text.replace(/(?<=\p{L})\^?(?:\([23]\)|[23])(?!\d)/gu, '');
  if (!/^\s?\/?\s?\(?\p{L}[\p{L}\p{M}\s'’./()-]*$/u.test(plain)) return null;
  const all: string[] = plain.match(/\p{L}+/gu) ?? [];
  const written = all[0] ?? '';
  const first = written.toLowerCase();
  const scale = SCALE.get(first);
  if (scale !== undefined) {
    const more = readUnit(plain.slice(plain.indexOf(written) + written.length));
    return more === null ? null : scale * more;
  }
  if (NO_UNIT.has(first) || all.some((word) => CHANGES.has(word.toLowerCase()))) return null;
  if (first.length === 1) return /^[\s/]/.test(plain) && LETTERS.has(written) ? 1n : null;
  if (/^\p{L}/u.test(plain)) return GLUED.has(first) ? 1n : null;
  // Two letters without a vowel are two names: 3 xy.
  return /^[^\Waeiou]{2}$/.test(first) && !GLUED.has(first) ? null : 1n;
}
