/** How much better one list of scores is than another of the same prompts, and how sure that is. */
export interface PairedDifference {
  /** Mean of after − before. */
  mean: number;
  /** 95 % confidence interval of it. */
  low: number;
  high: number;
  /** Prompts whose score changed. */
  changed: number;
}

/**
 * Student's t interval of the mean of the paired differences: mean ± t(0.975, n − 1) · s / √n. Pairs, because prompts
 * differ far more from each other than a prompt does from itself before and after.
 *
 * @returns null for fewer than two pairs
 */
export function pairedDifference(
  before: readonly number[],
  after: readonly number[],
): PairedDifference | null {
  const count = before.length;
  if (count < 2 || after.length !== count) return null;
  const differences = after.map((score, i) => score - before[i]!);
  const mean = differences.reduce((sum, value) => sum + value, 0) / count;
  const variance = differences.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (count - 1);
  const half = quantileT(count - 1) * Math.sqrt(variance / count);
  return {
    mean,
    low: mean - half,
    high: mean + half,
    changed: differences.filter((value) => value !== 0).length,
  };
}

const Z = 1.959963984540054;

/** 0.975 quantile of Student's t: the expansion of Abramowitz & Stegun 26.7.5, and its first values, where it is poor. */
function quantileT(degrees: number): number {
  const first = [12.706205, 4.302653, 3.182446, 2.776445, 2.570582][degrees - 1];
  if (first !== undefined) return first;
  return (
    Z +
    (Z ** 3 + Z) / (4 * degrees) +
    (5 * Z ** 5 + 16 * Z ** 3 + 3 * Z) / (96 * degrees ** 2) +
    (3 * Z ** 7 + 19 * Z ** 5 + 17 * Z ** 3 - 15 * Z) / (384 * degrees ** 3)
  );
}
