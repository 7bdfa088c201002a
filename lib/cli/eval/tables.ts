/** Metrics as people read them. */
import type { Difference, Estimate } from '../../eval';
import { percent } from '../output';

/** `prompts, strict    19.6 %   [16.4, 23.2]   541`; what the verdicts do not tell is left out. */
export function metricTable(metrics: readonly Estimate[]): string[] {
  const told = metrics.filter(({ value }) => value !== null);
  const width = Math.max(0, ...told.map(({ label }) => label.length));
  return told.map(({ label, value, low, high, count }) => {
    const interval = low === null || high === null ? '' : bounds(low, high);
    return `${label.padEnd(width)}${percent(value!).padStart(8)}   ${interval.padEnd(16)}${String(count).padStart(6)}`;
  });
}

/** The difference in points, with its interval, and whether it is more than chance. */
export function comparisonTable(differences: readonly Difference[]): string[] {
  const told = differences.filter(({ before, after }) => before !== null && after !== null);
  const width = Math.max(0, ...told.map(({ label }) => label.length));
  return told.map(({ label, before, after, difference, low, high }) => {
    const side = (share: number | null) => percent(share!).padStart(8);
    const sides = `${label.padEnd(width)}${side(before)} →${side(after)}`;
    if (difference === null || low === null || high === null) return sides;
    const sure = low > 0 ? 'better' : high < 0 ? 'worse' : 'can be chance';
    return `${sides}   ${points(difference)} points [${points(low)}, ${points(high)}]   ${sure}`;
  });
}

function bounds(low: number, high: number): string {
  return `[${(100 * low).toFixed(1)}, ${(100 * high).toFixed(1)}]`;
}

function points(share: number): string {
  return `${share < 0 ? '−' : '+'}${Math.abs(100 * share).toFixed(1)}`;
}
