/**
 * Checks of options and arguments, so that every room words its errors alike:
 * "Expected X for `name` but received Y." An unknown option is an error too, since a misspelt option that is
 * silently dropped costs a whole training run.
 */
import { distance } from 'fastest-levenshtein';
import { LspError } from './errors';

const MAX_SHOWN = 60;

/** A short rendering of any value for an error message: never throws, never long. */
export function describe(value: unknown): string {
  if (value === null) return 'null';
  switch (typeof value) {
    case 'string':
      return value.length > MAX_SHOWN
        ? `${JSON.stringify(value.slice(0, MAX_SHOWN))}… (${value.length} characters)`
        : JSON.stringify(value);
    case 'number':
      return Object.is(value, -0) ? '-0' : String(value);
    case 'bigint':
      return `${String(value).slice(0, MAX_SHOWN)}n`;
    case 'boolean':
    case 'undefined':
      return String(value);
    case 'function':
      return 'a function';
    case 'symbol':
      return 'a symbol';
    default:
      return describeObject(value);
  }
}

function describeObject(value: object): string {
  if (Array.isArray(value)) return `an array of length ${value.length}`;
  if (ArrayBuffer.isView(value)) {
    return `a ${value.constructor.name} of ${(value as unknown as { length?: number }).length ?? value.byteLength}`;
  }
  const prototype = Object.getPrototypeOf(value) as { constructor?: { name?: unknown } } | null;
  const name = prototype?.constructor?.name;
  return typeof name === 'string' && name !== 'Object' ? `an instance of ${name}` : 'an object';
}

/** The `INVALID_ARGUMENT` error of the one grammar; throw what it returns. */
export function invalid(name: string, expected: string, value: unknown, remedy?: string): LspError {
  return new LspError(
    'INVALID_ARGUMENT',
    `Expected ${expected} for \`${name}\` but received ${describe(value)}.`,
    {
      remedy,
    },
  );
}

/** The known name nearest to a misspelt one, if it is near enough to be meant. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  const wanted = name.toLowerCase();
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const candidate of known) {
    const between = distance(wanted, candidate.toLowerCase());
    if (between < bestDistance) [best, bestDistance] = [candidate, between];
  }
  return best;
}

/** A plain record: not null, not an array, not a function. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
}

/**
 * Checks that `options` is an object whose keys are all known; `undefined` passes as `{}`.
 * @param owner what takes the options, for the message, e.g. `generate`
 * @throws LspError INVALID_ARGUMENT (not an object), UNKNOWN_OPTION (with "did you mean")
 */
export function checkOptions<T extends object>(
  options: T | undefined,
  known: readonly string[],
  owner: string,
): T {
  if (options === undefined) return {} as T;
  if (!isRecord(options)) throw invalid(`${owner} options`, 'an object', options);
  for (const key of Object.keys(options)) {
    if (!known.includes(key)) throw unknownOption(key, known, owner);
  }
  return options;
}

/** The `UNKNOWN_OPTION` error for one key; throw what it returns. */
export function unknownOption(key: string, known: readonly string[], owner: string): LspError {
  const meant = nearestName(key, known);
  return new LspError(
    'UNKNOWN_OPTION',
    `Expected a known option for \`${owner}\` but received ${describe(key)}.`,
    {
      remedy: meant ? `Did you mean \`${meant}\`?` : `Known options: ${known.join(', ')}.`,
    },
  );
}

export interface IntegerRange {
  min?: number;
  max?: number;
}

/** A safe integer within [min, max] (both inclusive). */
export function expectInteger(name: string, value: unknown, range: IntegerRange = {}): number {
  const { min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER } = range;
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) return value;
  throw invalid(name, `an integer${rangeWords(range)}`, value);
}

export interface NumberRange extends IntegerRange {
  /** Exclusive bounds. */
  above?: number;
  below?: number;
}

/** A finite number within the range. */
export function expectNumber(name: string, value: unknown, range: NumberRange = {}): number {
  if (typeof value === 'number' && Number.isFinite(value)) {
    const { min = -Infinity, max = Infinity, above = -Infinity, below = Infinity } = range;
    if (value >= min && value <= max && value > above && value < below) return value;
  }
  throw invalid(name, `a finite number${rangeWords(range)}`, value);
}

function rangeWords({ min, max, above, below }: NumberRange): string {
  const words: string[] = [];
  if (min !== undefined) words.push(`of at least ${min}`);
  if (above !== undefined) words.push(`above ${above}`);
  if (max !== undefined) words.push(`at most ${max}`);
  if (below !== undefined) words.push(`below ${below}`);
  return words.length > 0 ? ` ${words.join(' and ')}` : '';
}

export function expectBoolean(name: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  throw invalid(name, 'true or false', value);
}

export function expectString(name: string, value: unknown, { allowEmpty = true } = {}): string {
  if (typeof value === 'string' && (allowEmpty || value.length > 0)) return value;
  throw invalid(name, allowEmpty ? 'a string' : 'a non-empty string', value);
}

export function expectOneOf<const T extends string>(name: string, value: unknown, choices: readonly T[]): T {
  if (typeof value === 'string' && (choices as readonly string[]).includes(value)) return value as T;
  const meant = typeof value === 'string' ? nearestName(value, choices) : undefined;
  throw invalid(
    name,
    `one of ${choices.map((choice) => `'${choice}'`).join(', ')}`,
    value,
    meant && `Did you mean '${meant}'?`,
  );
}

export function expectFunction<T>(name: string, value: T): T {
  if (typeof value === 'function') return value;
  throw invalid(name, 'a function', value);
}

export function expectArray(name: string, value: unknown, { nonEmpty = false } = {}): readonly unknown[] {
  if (Array.isArray(value) && !(nonEmpty && value.length === 0)) return value;
  throw invalid(name, nonEmpty ? 'a non-empty array' : 'an array', value);
}

/** An AbortSignal or undefined. */
export function expectSignal(name: string, value: unknown): AbortSignal | undefined {
  if (value === undefined || value instanceof AbortSignal) return value;
  throw invalid(name, 'an AbortSignal', value);
}

/** A seed or stream id: an integer in [0, 2^64), given as a safe integer or a bigint. */
export function expectUint64(name: string, value: unknown): bigint {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return BigInt(value);
  if (typeof value === 'bigint' && value >= 0n && value < 1n << 64n) return value;
  throw invalid(name, 'an integer of at least 0 and below 2^64', value);
}
