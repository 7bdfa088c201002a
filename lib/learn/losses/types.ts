/**
 * What a loss is: a small value that turns the log-probabilities of one sample into a loss and its derivative per
 * token. Reduction over tokens and samples is separate (reduction.ts), so that every loss composes with every one.
 *
 * All arithmetic is in double precision; the native engine gets the rounded derivative.
 */

/** One completion of n tokens; all arrays have length n. */
export interface TokenSample {
  /** log π_θ(token), of the weights being trained, at the training temperature. */
  logprobs: ArrayLike<number>;
  /** log π_old(token), of the weights that sampled it. On-policy: the same bits as `logprobs`. */
  oldLogprobs: ArrayLike<number>;
  /** log π_ref(token), of the frozen reference; null where no loss needs it. */
  referenceLogprobs: ArrayLike<number> | null;
  /** A_t. */
  advantages: ArrayLike<number>;
}

export interface TokenLoss {
  /** Loss of each token. */
  loss: Float64Array;
  /** d (sum of the losses of all tokens) / d logprobs, per token. */
  gradient: Float64Array;
  /** Tokens whose ratio was clipped (most losses then give them no gradient). */
  clippedTokens: number;
}

export interface Loss {
  /** True if `referenceLogprobs` must be there. */
  readonly needsReference: boolean;
  evaluate(sample: TokenSample): TokenLoss;
}
