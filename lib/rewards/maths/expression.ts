/**
 * Arithmetic expressions, evaluated exactly: + − * / ^, parentheses, whole and decimal numbers. Everything is bounded,
 * since the text is a model's: its length, the depth of parentheses, and the size of every value on the way.
 */
import { Fraction } from 'fraction.js';

/** An exact rational number: sign `s`, numerator `n` and denominator `d`, in lowest terms. */
export type Rational = InstanceType<typeof Fraction>;

export interface Expression {
  value: Rational;
  /** The numbers as they are written, in order. */
  numbers: string[];
  /** Operations between two values. */
  operations: number;
}

const MAX_LENGTH = 500;
const MAX_DEPTH = 50;
/** No numerator or denominator beyond this: some 600 digits. */
const MAX_VALUE = 1n << 2000n;
const MAX_EXPONENT = 2000;

const TOKEN = /\s*(?:(\d+(?:\.\d*)?|\.\d+)|([-+*/^()]))/y;

/** Signs that are written in several ways. */
const SAME_SIGNS: readonly [RegExp, string][] = [
  [/[\u2212\u2013\ufe63\uff0d]/g, '-'],
  [/[×·∙⋅]/g, '*'],
  [/[÷\u2044\u2215]/g, '/'],
  [/(?<=[\d)]) ?x ?(?=[\d(])/gi, ' * '],
];

/** The text with one sign for each operation. */
export function plainSigns(text: string): string {
  return SAME_SIGNS.reduce((plain, [pattern, sign]) => plain.replace(pattern, sign), text);
}

/**
 * Reads and evaluates an expression of at most 500 characters.
 * @returns null for what is none, for a division by zero, and for values of more than some 600 digits
 */
export function evaluateExpression(text: string): Expression | null {
  if (text.length > MAX_LENGTH) return null;
  const tokens = tokensOf(plainSigns(text));
  if (tokens === null) return null;
  try {
    const parser = new Parser(tokens);
    const value = parser.sum(0);
    return parser.atEnd() ? { value, numbers: tokens.filter(isNumber), operations: parser.operations } : null;
  } catch (error) {
    if (error instanceof NotAnExpression) return null;
    throw error;
  }
}

class NotAnExpression extends Error {}

function isNumber(token: string): boolean {
  return /[\d]/.test(token);
}

function tokensOf(text: string): string[] | null {
  const tokens: string[] = [];
  const trimmed = text.trim();
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < trimmed.length) {
    const match = TOKEN.exec(trimmed);
    if (!match) return null;
    tokens.push((match[1] ?? match[2])!);
  }
  return tokens;
}

/** By recursive descent; every method reads what it is named after. */
class Parser {
  readonly #tokens: readonly string[];
  #next = 0;
  operations = 0;

  constructor(tokens: readonly string[]) {
    this.#tokens = tokens;
  }

  atEnd(): boolean {
    return this.#next === this.#tokens.length;
  }

  sum(depth: number): Rational {
    let value = this.#product(depth);
    for (let sign = this.#take('+', '-'); sign; sign = this.#take('+', '-')) {
      const right = this.#product(depth);
      value = this.#counted(sign === '+' ? value.add(right) : value.sub(right));
    }
    return value;
  }

  #product(depth: number): Rational {
    let value = this.#signed(depth);
    for (let sign = this.#take('*', '/'); sign; sign = this.#take('*', '/')) {
      const right = this.#signed(depth);
      if (sign === '/' && right.n === 0n) throw new NotAnExpression();
      value = this.#counted(sign === '*' ? value.mul(right) : value.div(right));
    }
    return value;
  }

  #signed(depth: number): Rational {
    if (depth > MAX_DEPTH) throw new NotAnExpression();
    if (this.#take('-')) return this.#signed(depth + 1).neg();
    if (this.#take('+')) return this.#signed(depth + 1);
    return this.#power(depth);
  }

  #power(depth: number): Rational {
    const base = this.#primary(depth);
    if (!this.#take('^')) return base;
    return this.#counted(raise(base, this.#signed(depth + 1)));
  }

  #primary(depth: number): Rational {
    if (this.#take('(')) {
      const value = this.sum(depth + 1);
      if (!this.#take(')')) throw new NotAnExpression();
      return value;
    }
    const token = this.#tokens[this.#next];
    if (token === undefined || !isNumber(token)) throw new NotAnExpression();
    this.#next++;
    return decimal(token);
  }

  #take(...wanted: string[]): string | null {
    const token = this.#tokens[this.#next];
    if (token === undefined || !wanted.includes(token)) return null;
    this.#next++;
    return token;
  }

  #counted(value: Rational): Rational {
    this.operations++;
    if (value.n > MAX_VALUE || value.d > MAX_VALUE) throw new NotAnExpression();
    return value;
  }
}

/** A whole or decimal number, exactly. */
function decimal(text: string): Rational {
  const [whole = '', decimals = ''] = text.split('.');
  return new Fraction(BigInt(whole + decimals || '0'), 10n ** BigInt(decimals.length));
}

/** A whole power, looked at before it is computed. */
function raise(base: Rational, exponent: Rational): Rational {
  const { n: size, d: denominator } = exponent;
  if (denominator !== 1n || size > BigInt(MAX_EXPONENT)) throw new NotAnExpression();
  if (base.n === 0n) {
    if (exponent.s < 0n) throw new NotAnExpression();
    return new Fraction(size === 0n ? 1 : 0);
  }
  const largest = base.n > base.d ? base.n : base.d;
  const bits = BigInt(largest.toString(2).length);
  if (bits * size > 4000n && largest > 1n) throw new NotAnExpression();
  const [top, bottom] = [(base.s * base.n) ** size, base.d ** size];
  return exponent.s < 0n ? new Fraction(bottom, top) : new Fraction(top, bottom);
}
