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

/** Weighs tokens, and keeps account of how far apart the two policies are. */
export class ImportanceWeights {
  private tokens = 0;
  private weights = 0;
  private truncated = 0;
  private kl = 0;
  private largest = 0;

  /** @param most C */
  constructor(private readonly most: number) {}

  /** w_t of the tokens of one completion. */
  of(logprobs: ArrayLike<number>, sampled: ArrayLike<number>): Float64Array {
    return Float64Array.from({ length: sampled.length }, (_, t) => {
      const difference = logprobs[t]! - sampled[t]!;
      const ratio = Math.exp(difference);
      const weight = Math.min(this.most, ratio);
      this.tokens++;
      this.weights += weight;
      if (ratio > this.most) this.truncated++;
      this.kl += Math.expm1(difference) - difference;
      this.largest = Math.max(this.largest, Math.abs(difference));
      return weight;
    });
  }

  /** Null if nothing was weighed. */
  mismatch(): Mismatch | null {
    const { tokens, largest } = this;
    if (tokens === 0) return null;
    return {
      meanWeight: this.weights / tokens,
      truncatedShare: this.truncated / tokens,
      kl: this.kl / tokens,
      largest,
    };
  }
}
