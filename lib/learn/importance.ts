/**
 * Learning from what a slightly different policy sampled: the trained one with its weights rounded to 8 bits, say.
 *
 * Truncated importance sampling (Ionides 2008, "Truncated importance sampling"), per token of a completion:
 *
 *     w_t = min(C, π_θ(token) / μ(token)) = min(C, exp(logprob_t − sampled_t))        μ: the policy that sampled
 *
 * as a weight of its policy-gradient term. Every policy-gradient loss is proportional to the advantage where that is
 * positive or negative, so weighting advantages weights the losses, and what keeps near the reference is left alone.
 * Without the limit the mean of w_t would be 1 and the gradient unbiased, but one unlikely token could outweigh a batch.
 */

/** How far the policy that sampled was from the trained one, over the tokens of a step. */
export interface Mismatch {
  /** Mean of the weights, after truncation: near 1. */
  meanWeight: number;
  /** Share of tokens whose weight was cut to C. */
  truncatedShare: number;
  /**
   * Estimate of KL(μ ‖ π_θ) in nats per token: the mean of k3 = exp(d) − 1 − d, d = logprob − sampled, which is never
   * negative (Schulman 2020).
   */
  kl: number;
  /** Largest |logprob − sampled|. */
  largest: number;
}

/** C where nobody says (Yao et al. 2025, "Your efficient RL framework secretly brings you off-policy RL training"). */
export const DEFAULT_MAX_WEIGHT = 2;

/**
 * w_t of the tokens of one completion.
 * @param logprobs under the trained policy
 * @param sampled under the policy that sampled
 * @param most C
 */
export function importanceWeights(
  logprobs: ArrayLike<number>,
  sampled: ArrayLike<number>,
  most: number,
): Float64Array {
  return Float64Array.from({ length: sampled.length }, (_, t) =>
    Math.min(most, Math.exp(logprobs[t]! - sampled[t]!)),
  );
}

/** Over all tokens of completions, in order; null if there are none. */
export function mismatchOf(
  completions: Iterable<{ logprobs: ArrayLike<number>; sampled: ArrayLike<number> }>,
  most: number,
): Mismatch | null {
  let [tokens, weights, truncated, kl, largest] = [0, 0, 0, 0, 0];
  for (const { logprobs, sampled } of completions) {
    importanceWeights(logprobs, sampled, most).forEach((weight, t) => {
      const difference = logprobs[t]! - sampled[t]!;
      tokens++;
      weights += weight;
      if (Math.exp(difference) > most) truncated++;
      kl += Math.expm1(difference) - difference;
      largest = Math.max(largest, Math.abs(difference));
    });
  }
  if (tokens === 0) return null;
  return { meanWeight: weights / tokens, truncatedShare: truncated / tokens, kl: kl / tokens, largest };
}
