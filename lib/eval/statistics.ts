/**
 * How sure a metric is, whatever it is: a mean, a ratio of sums, a fitted model. A metric is a function of verdicts, so
 * its variance is had by the jackknife (Tukey 1958; Efron & Stein 1981): the function is taken of all verdicts but
 * one, for each of them.
 */
import type { Metric } from './evaluation';
import { quantileT, Z } from './student-t';

/** A share with its 95 % confidence interval. */
export interface Estimate {
  name: string;
  label: string;
  /** In [0, 1]; null where the verdicts do not tell. */
  value: number | null;
  /** Ends of the interval, in [0, 1]; null where there is no value. */
  low: number | null;
  high: number | null;
  /** Number of verdicts it is about. */
  count: number;
}

/**
 * A metric over verdicts. The interval is Wilson's score interval (Wilson 1927), which holds near 0 and 1 too, for as
 * many independent yes-or-no verdicts as would give the jackknife's variance.
 */
export function estimate<Verdict>(metric: Metric<Verdict>, verdicts: readonly Verdict[]): Estimate {
  const { name, label } = metric;
  const value = metric.value(verdicts);
  const count = metric.count?.(verdicts) ?? verdicts.length;
  if (value === null) return { name, label, value: null, low: null, high: null, count };
  const variance = jackknifeVariance(leaveOneOut(metric, verdicts));
  const spread = value * (1 - value);
  const effective = variance > 0 && spread > 0 ? spread / variance : count;
  return { name, label, value, ...wilson(value, effective), count };
}

/** after − before, with its 95 % confidence interval. */
export interface Difference {
  name: string;
  label: string;
  before: number | null;
  after: number | null;
  /** Null where one of the two does not tell. */
  difference: number | null;
  low: number | null;
  high: number | null;
  /** Number of items that both judged. */
  count: number;
}

/**
 * The paired difference of a metric between two lists of verdicts on the same items: each item is left out of both at
 * once, so that what makes an item hard for both does not count as uncertainty. Student's t interval.
 */
export function difference<Verdict>(
  metric: Metric<Verdict>,
  before: readonly Verdict[],
  after: readonly Verdict[],
): Difference {
  const { name, label } = metric;
  const values = [metric.value(before), metric.value(after)] as const;
  const common = { name, label, before: values[0], after: values[1], count: before.length };
  if (values[0] === null || values[1] === null || before.length < 2) {
    return { ...common, difference: null, low: null, high: null };
  }
  const without = [leaveOneOut(metric, before), leaveOneOut(metric, after)] as const;
  const variance = jackknifeVariance(
    without[1].map((value, i) => (value === null || without[0][i] === null ? null : value - without[0][i]!)),
  );
  const mean = values[1] - values[0];
  const half = quantileT(before.length - 1) * Math.sqrt(variance);
  return { ...common, difference: mean, low: mean - half, high: mean + half };
}

function leaveOneOut<Verdict>(metric: Metric<Verdict>, verdicts: readonly Verdict[]): (number | null)[] {
  return verdicts.map((_, index) => metric.value(verdicts.toSpliced(index, 1)));
}

/** (n − 1)/n · Σ (θ₍ᵢ₎ − θ̄)², where θ₍ᵢ₎ is the value without verdict i; values that do not tell are left out. */
function jackknifeVariance(values: readonly (number | null)[]): number {
  const known = values.filter((value) => value !== null);
  if (known.length < 2) return 0;
  const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
  const squares = known.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return ((known.length - 1) / known.length) * squares;
}

function wilson(share: number, count: number): { low: number; high: number } {
  const center = share + Z ** 2 / (2 * count);
  const half = Z * Math.sqrt((share * (1 - share)) / count + Z ** 2 / (4 * count ** 2));
  const scale = 1 + Z ** 2 / count;
  return { low: Math.max(0, (center - half) / scale), high: Math.min(1, (center + half) / scale) };
}
