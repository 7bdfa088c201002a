/** Direct Preference Optimization: a loss of two completions of one prompt, of which one is preferred. */
import { checkOptions, expectNumber } from '../../options';

/** One completion of a pair; both arrays have one entry a token. */
export interface PairSide {
  /** log π_θ(token). */
  logprobs: ArrayLike<number>;
  /** log π_ref(token). */
  referenceLogprobs: ArrayLike<number>;
}

export interface PairGradient {
  loss: number;
  /** By how much more π_θ prefers the chosen completion than π_ref does, times β; 0 where they are the same. */
  margin: number;
  /** d loss / d logprob of every token of the chosen completion. */
  chosen: number;
  /** The same for the rejected one. */
  rejected: number;
}

export interface PairLoss {
  evaluate(chosen: PairSide, rejected: PairSide): PairGradient;
}

export interface DpoOptions {
  /** How strongly π_θ is held to π_ref: the larger, the nearer. Above 0, default 0.1. */
  beta?: number;
}

/**
 * DPO (Rafailov et al. 2023, arXiv 2305.18290, eq. 7), y_w the chosen completion, y_l the rejected one:
 *
 *     margin = β · (log π_θ(y_w)/π_ref(y_w) − log π_θ(y_l)/π_ref(y_l)),  log π(y) = Σ_t logprob_t
 *     loss = −log σ(margin)
 *     d loss / d logprob_t = −β · σ(−margin) for a token of y_w, +β · σ(−margin) for one of y_l
 */
export function dpo(options: DpoOptions = {}): PairLoss {
  const checked = checkOptions(options, ['beta'], 'dpo');
  const beta = expectNumber('beta', checked.beta ?? 0.1, { above: 0 });
  return {
    evaluate(chosen, rejected) {
      const margin = beta * (logRatio(chosen) - logRatio(rejected));
      // σ and log σ from exp(−|margin|), which cannot overflow.
      const small = Math.exp(-Math.abs(margin));
      const doubt = (margin >= 0 ? small : 1) / (1 + small);
      const loss = Math.log1p(small) + Math.max(0, -margin);
      return { loss, margin, chosen: -beta * doubt, rejected: beta * doubt };
    },
  };
}

/** log π_θ(y) / π_ref(y). */
function logRatio({ logprobs, referenceLogprobs }: PairSide): number {
  let total = 0;
  for (let t = 0; t < logprobs.length; t++) total += logprobs[t]! - referenceLogprobs[t]!;
  return total;
}
