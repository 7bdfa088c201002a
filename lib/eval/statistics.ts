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
  const count = countOf(metric, verdicts);
  if (value === null) return { name, label, value: null, low: null, high: null, count };
  const variance = jackknifeVariance(
    leaveOneOut(metric, verdicts).map((without) => (without ?? value) - value),
    count,
  );
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
  /** Ends of the interval, in [−1, 1]; null where there is no difference, or of fewer than two items. */
  low: number | null;
  high: number | null;
  /** Number of items that it is about, of those that both judged. */
  count: number;
}

/**
 * The paired difference of a metric between two lists of verdicts on the same items: each item is left out of both at
 * once, so that what makes an item hard for both does not count as uncertainty.
 *
 * The interval is Student's, with two made-up items added, one won and one lost (Agresti & Min 2005, section 4, for yes
 * and no): without them a few items that all went the same way would make a certainty.
 */
export function difference<Verdict>(
  metric: Metric<Verdict>,
  before: readonly Verdict[],
  after: readonly Verdict[],
): Difference {
  const { name, label } = metric;
  const values = [metric.value(before), metric.value(after)] as const;
  const count = countOf(metric, before);
  const common = { name, label, before: values[0], after: values[1], count };
  if (values[0] === null || values[1] === null) return { ...common, difference: null, low: null, high: null };
  const mean = values[1] - values[0];
  if (count < 2) return { ...common, difference: mean, low: null, high: null };
  const [withoutBefore, withoutAfter] = [leaveOneOut(metric, before), leaveOneOut(metric, after)];
  const variance = jackknifeVariance(
    withoutAfter.map((value, i) =>
      value === null || withoutBefore[i] === null ? 0 : value - withoutBefore[i]! - mean,
    ),
    count,
  );
  // Squares around the mean that the two items move: those of the items, which the variance tells, and their own.
  const center = (mean * count) / (count + 2);
  const squares =
    variance * count * (count - 1) + count * (mean - center) ** 2 + (1 - center) ** 2 + (1 + center) ** 2;
  const half = (quantileT(count - 1) * Math.sqrt(squares)) / (count + 2);
  return { ...common, difference: mean, low: Math.max(-1, center - half), high: Math.min(1, center + half) };
}

function countOf<Verdict>(metric: Metric<Verdict>, verdicts: readonly Verdict[]): number {
  return metric.count?.(verdicts) ?? verdicts.length;
}

function leaveOneOut<Verdict>(metric: Metric<Verdict>, verdicts: readonly Verdict[]): (number | null)[] {
  return verdicts.map((_, index) => metric.value(verdicts.toSpliced(index, 1)));
}

/**
 * (m − 1)/m · Σ (θ₍ᵢ₎ − θ)², where θ₍ᵢ₎ is the value without verdict i, and m the number of verdicts that it is about:
 * the others change nothing.
 * @param changes θ₍ᵢ₎ − θ
 */
function jackknifeVariance(changes: readonly number[], count: number): number {
  if (count < 2) return 0;
  return ((count - 1) / count) * changes.reduce((sum, change) => sum + change ** 2, 0);
}

function wilson(share: number, count: number): { low: number; high: number } {
  const center = share + Z ** 2 / (2 * count);
  const half = Z * Math.sqrt((share * (1 - share)) / count + Z ** 2 / (4 * count ** 2));
  const scale = 1 + Z ** 2 / count;
  // At 0 and 1 the ends are exact, but for rounding.
  return {
    low: share === 0 ? 0 : Math.max(0, (center - half) / scale),
    high: share === 1 ? 1 : Math.min(1, (center + half) / scale),
  };
}
