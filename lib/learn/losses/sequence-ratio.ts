/** Policy-gradient losses with one ratio for the whole completion: it is rewarded as one, so it is one action. */
import { clippedSurrogate, clipRange, type PolicyGradientOptions } from './policy-gradient';
import type { Loss, TokenSample } from './types';

/**
 * Group Sequence Policy Optimization (arXiv 2507.18071, sections 4.1 and 4.3). With n tokens and
 * d_t = logprob_t − oldLogprob_t:
 *
 *     s = (π_θ(y) / π_old(y))^(1/n) = exp(1/n · Σ_t d_t)
 *     loss_t = −min(s · A_t, clip(s, 1 − clipLow, 1 + clipHigh) · A_t)
 *     d Σ loss / d logprob_t = −s · A_t where the unclipped term is the smaller one, else 0
 *
 * To be used with the reduction 'sequence-mean', which makes Σ_t w_t · loss_t the sequence's −min(s · A, clip(s) · A).
 * With one advantage for all tokens (every group advantage) this is GSPO; where they differ, GSPO-token: the ratio of
 * a token is stop_grad(s) · π_θ(token) / stop_grad(π_θ(token)), of which s is the value.
 *
 * The ratio is clipped near 1, since a mean of many d_t hardly moves: by default 3e-4 below and 4e-4 above, as in the
 * paper (section 5.1), where answers have thousands of tokens. Short answers want wider limits.
 */
export function gspo(options: PolicyGradientOptions = {}): Loss {
  const range = clipRange(options, 'gspo', { clipLow: 3e-4, clipHigh: 4e-4 });
  return sequenceLoss(range, (total, length) => ({ ratio: Math.exp(total / length), share: 1 }));
}

/**
 * REINFORCE over whole completions, with a clipped ratio for stale ones:
 *
 *     ρ = π_θ(y) / π_old(y) = exp(Σ_t d_t)
 *     Σ_t loss_t = −min(ρ · A, clip(ρ, 1 − clipLow, 1 + clipHigh) · A), 1/n of it for each token
 *     d Σ loss / d logprob_t = −ρ · A_t where the unclipped term is the smaller one, else 0
 *
 * On-policy the gradient is −A · ∇ log π_θ(y), which with `leaveOneOut` advantages is RLOO (arXiv 2402.14740,
 * section 2.2). To be used with the reduction 'constant': the other two would divide by lengths. Default limits 0.2.
 */
export function sequencePolicyGradient(options: PolicyGradientOptions = {}): Loss {
  const range = clipRange(options, 'sequencePolicyGradient', { clipLow: 0.2, clipHigh: 0.2 });
  return sequenceLoss(range, (total, length) => ({ ratio: Math.exp(total), share: 1 / length }));
}

/** @param ofSequence from Σ_t d_t and n to the ratio, and to the share of the loss that one token stands for */
function sequenceLoss(
  range: { lowest: number; highest: number },
  ofSequence: (total: number, length: number) => { ratio: number; share: number },
): Loss {
  return {
    needsReference: false,
    evaluate({ logprobs, oldLogprobs, advantages }: TokenSample) {
      const length = logprobs.length;
      let total = 0;
      for (let t = 0; t < length; t++) total += logprobs[t]! - oldLogprobs[t]!;
      const { ratio, share } = ofSequence(total, length);
      const tokens = Array.from({ length }, (_, t) => clippedSurrogate(ratio, advantages[t]!, range));
      return {
        loss: Float64Array.from(tokens, ({ loss }) => loss * share),
        gradient: Float64Array.from(tokens, ({ gradient }) => gradient),
        clippedTokens: tokens.filter(({ clipped }) => clipped).length,
      };
    },
  };
}
