/**
 * From the LaTeX and Markdown of an answer to plain text: fractions as (a)/(b), powers as ^(a), markup dropped. Only
 * what answers are written in; an unknown command stays as it is.
 */

/** Commands that only change how things look, or take up space. */
const LOOKS =
  /\\(?:left|right|big|Big|bigg|Bigg|displaystyle|textstyle|limits|quad|qquad|phantom)(?![a-zA-Z])|\\[!,;:> ]|\\(?=[$%&#{}])|[$`~]|\*\*|__/g;

/** Commands whose argument is plain text. */
const TEXT =
  /\\(?:text|textbf|textit|textrm|textnormal|mathrm|mathbf|mathit|mathsf|mbox|operatorname|boxed|fbox|overline|underline)\s?\{([^{}]{0,200})\}/g;

const SYMBOLS: readonly [RegExp, string][] = [
  [/\\[dtc]frac(?![a-zA-Z])/g, '\\frac'],
  [/\\(?:cdot|times|ast)(?![a-zA-Z])/g, '*'],
  [/\\div(?![a-zA-Z])/g, '/'],
  [/°\s?[CF](?![\p{L}\p{N}])/gu, ''],
  [/\^\s?(?:\\circ(?![a-zA-Z])|\{\s?\\circ\s?\})|\\(?:degree|circ)(?![a-zA-Z])|°/g, ''],
  [/\\pi(?![a-zA-Z])|π/g, 'pi'],
  [/\\infty(?![a-zA-Z])|∞/g, 'infinity'],
  [/\\(?:leq?|leqslant)(?![a-zA-Z])|≤/g, '<='],
  [/\\(?:geq?|geqslant)(?![a-zA-Z])|≥/g, '>='],
  [/\\pm(?![a-zA-Z])/g, '±'],
  [/\\approx(?![a-zA-Z])/g, '≈'],
  [/\\[()[\]]/g, ''],
];

/** One argument of a command: a group without braces in it, or a single character. */
const ARGUMENT = '\\s?(?:\\{([^{}]{0,200})\\}|([0-9a-zA-Z]))';
const FRACTION = new RegExp(`(\\d)?\\s?\\\\frac${ARGUMENT}${ARGUMENT}`, 'g');
const ROOT = /\\sqrt\s?(?:\{([^{}]{0,200})\}|([0-9a-zA-Z]))/g;
const POWER = /\^\{([^{}]{0,200})\}/g;

const SUPERSCRIPTS = '⁰¹²³⁴⁵⁶⁷⁸⁹';

/** Groups are opened from the inside outwards, so many levels at most; what is nested deeper stays as it is. */
const MAX_LEVELS = 8;

/** Reads at most some thousand characters: callers cut what is longer. */
export function plainMaths(text: string): string {
  let plain = text
    .replace(/[⁰¹²³⁴⁵⁶⁷⁸⁹]+/g, (digits) => `^${readSuperscript(digits)}`)
    .replace(/(\d)(?=[¼½¾⅐-⅞])/g, '$1 ')
    .normalize('NFKC');
  // "1{,}000" and "1\,000" are one number.
  plain = plain.replace(/(\d)\{,\}(?=\d)/g, '$1,').replace(/(\d)\\[,!](?=\d{3})/g, '$1,');
  for (const [pattern, replacement] of SYMBOLS) plain = plain.replace(pattern, replacement);
  plain = plain
    .replace(/\\([{}])/g, (_, brace: string) => (brace === '{' ? '\u27e6' : '\u27e7'))
    .replace(LOOKS, '');
  for (let level = 0; level < MAX_LEVELS && /[\\^]/.test(plain); level++) {
    const before = plain;
    plain = plain
      .replace(TEXT, ' $1 ')
      .replace(ROOT, (_, group?: string, single?: string) => `sqrt(${group ?? single ?? ''})`)
      .replace(POWER, (_, power: string) => (/^\w+$/.test(power) ? `^${power}` : `^(${power})`))
      .replace(FRACTION, readFraction);
    if (plain === before) break;
  }
  return plain.replace(/\s+/g, ' ').trim();
}

function readSuperscript(digits: string): string {
  return Array.from(digits, (digit) => SUPERSCRIPTS.indexOf(digit)).join('');
}

/** A fraction behind a digit is a mixed number: 1\frac{1}{2} is 1 + 1/2. */
function readFraction(_match: string, before?: string, ...parts: (string | undefined)[]): string {
  const [group, single, lowerGroup, lowerSingle] = parts;
  const fraction = `(${group ?? single ?? ''})/(${lowerGroup ?? lowerSingle ?? ''})`;
  return before === undefined ? fraction : `${before} ${fraction}`;
}
