/** Arithmetic that every objective shares: values of groups, centred advantages, exact zeros where there is no signal. */

/**
 * Rewards closer than this (relative to their size, at least 1) are the same reward. Means of the same scores in
 * another order differ by rounding, about 1e-16 per addition; without this they would train on noise.
 */
const SAME = 1e-9;

/** Advantages of one group from what its answers were paid; null (abstained) gets 0 and has no part in the mean. */
export type GroupAdvantages = (paid: readonly (number | null)[]) => Float32Array;

/** Mean of the scores that are there; null if none is. V(q) = mean_j R(q, a_j). */
export function meanOf(scores: readonly (number | null)[]): number | null {
  const present = presentOf(scores);
  return present.length === 0 ? null : present.reduce((sum, score) => sum + score, 0) / present.length;
}

/** Population variance of the scores that are there, 0 if they are all the same; null if none is. */
export function varianceOf(scores: readonly (number | null)[]): number | null {
  const present = presentOf(scores);
  const mean = meanOf(present);
  if (mean === null) return null;
  if (allSame(present)) return 0;
  return present.reduce((sum, score) => sum + (score - mean) ** 2, 0) / present.length;
}

/** True if no two scores differ: there is nothing to learn from them. */
export function allSame(scores: readonly (number | null)[]): boolean {
  const present = presentOf(scores);
  if (present.length === 0) return true;
  const low = Math.min(...present);
  const high = Math.max(...present);
  return high - low <= SAME * Math.max(1, Math.abs(low), Math.abs(high));
}

/** A_j = r_j − mean r (Language Self-Play's advantage, arXiv 2509.07414; no division by the standard deviation). */
export const centred: GroupAdvantages = (paid) => {
  const mean = meanOf(paid);
  const flat = allSame(paid);
  return Float32Array.from(paid, (score) => (score === null || mean === null || flat ? 0 : score - mean));
};

/**
 * A_j = (r_j − mean r) / (std r + 1e-4), GRPO's original form (arXiv 2402.03300): it makes groups that are nearly
 * solved or nearly hopeless count as much as the others. Population standard deviation.
 */
export const standardised: GroupAdvantages = (paid) => {
  const scale = Math.sqrt(varianceOf(paid) ?? 0) + 1e-4;
  return centred(paid).map((advantage) => advantage / scale);
};

/**
 * A_j = r_j − mean_{k ≠ j} r_k = n / (n − 1) · (r_j − mean r): REINFORCE leave-one-out (arXiv 2402.14740, section 2.2).
 * The baseline of an answer has no part in its own reward, so that the gradient is unbiased for any group size.
 */
export const leaveOneOut: GroupAdvantages = (paid) => {
  const count = presentOf(paid).length;
  return centred(paid).map((advantage) => (advantage === 0 ? 0 : (advantage * count) / (count - 1)));
};

/** Which groups are trained on, by what their answers were paid. */
export type GroupFilter = (paid: readonly (number | null)[]) => boolean;

/** Groups that have something to learn from: DAPO's 0 < |right answers| < G (arXiv 2503.14476, section 3.2). */
export const rewardsDiffer: GroupFilter = (paid) => !allSame(paid);

function presentOf(scores: readonly (number | null)[]): number[] {
  return scores.filter((score): score is number => score !== null);
}
