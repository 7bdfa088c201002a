import { quantileT } from '../student-t';

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
