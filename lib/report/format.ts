/** Numbers in words and digits. The browser's part of the page formats by the same `NumberFormat`s. */
import type { NumberFormat } from './types';

export const PLAIN: NumberFormat = { maximumSignificantDigits: 3 };
export const PERCENT: NumberFormat = { style: 'percent', maximumFractionDigits: 1 };
export const WHOLE: NumberFormat = { maximumFractionDigits: 0 };

const POINTS: NumberFormat = {
  minimumFractionDigits: 1,
  maximumFractionDigits: 1,
  signDisplay: 'exceptZero',
};

const NONE = '–';

/** Making one costs more than using it a hundred times. */
const formatters = new Map<NumberFormat, Intl.NumberFormat>();

function formatterOf(format: NumberFormat): Intl.NumberFormat {
  const known = formatters.get(format);
  if (known) return known;
  const made = new Intl.NumberFormat('en', format);
  formatters.set(format, made);
  return made;
}

export function formatNumber(value: number | null, format: NumberFormat = PLAIN): string {
  if (value === null) return NONE;
  // A minus sign is as wide as a plus sign; a hyphen is not.
  return formatterOf(format).format(value).replace('-', '−');
}

/** A share as a percentage. */
export function percent(value: number | null): string {
  return formatNumber(value, PERCENT);
}

/** A difference of shares in percentage points, always with its sign. */
export function points(value: number): string {
  return formatNumber(100 * value, POINTS);
}

/** `1 query`, `2 queries`. */
export function count(value: number, one: string, many = `${one}s`): string {
  return `${formatNumber(value, WHOLE)} ${value === 1 ? one : many}`;
}

export function duration(seconds: number): string {
  if (seconds < 60) return `${formatNumber(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
