/** A sitting as lines of text. */
import { type Comparison, isOurs, present, ratiosOf, type Spread, spreadOf } from './comparison';
import type { GrowthPoint } from './growth';
import { type Sitting, stepLimits } from './sitting';

const digits = (value: number): string =>
  value >= 100 ? value.toFixed(0) : Number(value.toPrecision(3)).toString();

/** `356 (350–361)`; without a spread where there is but one figure. */
export function spreadText({ median, low, high, rounds }: Spread, write = digits): string {
  return rounds === 1 || low === high ? write(median) : `${write(median)} (${write(low)}–${write(high)})`;
}

export const timesText = (times: Spread): string =>
  `${spreadText(times, (value) => value.toFixed(value < 10 ? 2 : 1))} ×`;

export function comparisonLines(comparison: Comparison): string[] {
  const { name, unit, better, figures } = comparison;
  const ratios = ratiosOf(comparison);
  const lines = Object.entries(figures).flatMap(([contender, all]) => {
    const there = present(all);
    if (there.length === 0) return [];
    const against = isOurs(contender)
      ? []
      : ratios
          .filter(({ peer }) => peer === contender)
          .map(({ ours, times }) => `${ours}: ${timesText(times)}`);
    return `  ${contender.padEnd(16)}${spreadText(spreadOf(there)).padEnd(24)}${against.join('  ')}`.trimEnd();
  });
  return [`${name} (${unit}, ${better} is better)`, ...lines];
}

export function growthLines(points: readonly GrowthPoint[]): string[] {
  if (points.length === 0) return [];
  const lines = points.map(({ contender, along, at, seconds, peakMemoryBytes }) => {
    const size = `${at} ${along}`.padEnd(16);
    const [time, memory] = [digits(seconds), (peakMemoryBytes / 1e9).toFixed(2)];
    return `  ${size}${contender.padEnd(16)}${time.padStart(8)} s${memory.padStart(9)} GB`;
  });
  return ['growth of a step', ...lines];
}

export function sittingText(sitting: Sitting): string {
  const limits = stepLimits(sitting).map(
    ({ mode, gflops, by, operations, seconds, share }) =>
      `${mode}: a step is ${(operations / 1e12).toFixed(2)} TFLOP, ${digits(seconds)} s at the best rate seen ` +
      `(${digits(gflops)} GFLOP/s, ${by}); ours reaches ${spreadText(share, (value) => (100 * value).toFixed(0))} % of it`,
  );
  const missing = sitting.missing.map(({ what, why }) => `not measured: ${what}: ${why}`);
  return [
    [`${sitting.processor}, ${sitting.threads} threads, ${sitting.date}`, MEANING],
    ...sitting.comparisons.map(comparisonLines),
    growthLines(sitting.growth),
    limits,
    missing,
  ]
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n');
}

export const MEANING =
  'Medians over rounds, least and greatest in brackets. After a peer: how many times as fast, or as small, ours is.';
