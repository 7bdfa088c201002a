/** The policy-gradient loss with a clipped ratio. */
import { checkOptions, expectNumber } from '../../options';
import type { Loss, TokenSample } from './types';

export interface PolicyGradientOptions {
  /** ε below: a ratio under 1 − clipLow gives no gradient where the advantage is negative. Default 0.2. */
  clipLow?: number;
  /** ε above: a ratio over 1 + clipHigh gives no gradient where the advantage is positive. Default 0.2. */
  clipHigh?: number;
}

/**
 * Clipped surrogate (Schulman et al. 2017, arXiv 1707.06347, eq. 7), per token:
 *
 *     ρ_t = π_θ / π_old = exp(logprob_t − oldLogprob_t)
 *     loss_t = −min(ρ_t · A_t, clip(ρ_t, 1 − clipLow, 1 + clipHigh) · A_t)
 *     d loss_t / d logprob_t = −ρ_t · A_t where the unclipped term is the smaller one, else 0
 *
 * On-policy ρ_t is exp(0) = 1 exactly, the ratio π_θ / stop_grad(π_θ) of Language Self-Play (arXiv 2509.07414), and
 * the derivative is −A_t.
 */
export function policyGradient(options: PolicyGradientOptions = {}): Loss {
  const checked = checkOptions(options, ['clipLow', 'clipHigh'], 'policyGradient');
  const clipLow = expectNumber('clipLow', checked.clipLow ?? 0.2, { min: 0, max: 1 });
  const clipHigh = expectNumber('clipHigh', checked.clipHigh ?? 0.2, { min: 0 });
  return {
    needsReference: false,
    evaluate({ logprobs, oldLogprobs, advantages }: TokenSample) {
      const length = logprobs.length;
      const loss = new Float64Array(length);
      const gradient = new Float64Array(length);
      let clippedTokens = 0;
      for (let t = 0; t < length; t++) {
        const advantage = advantages[t]!;
        const ratio = Math.exp(logprobs[t]! - oldLogprobs[t]!);
        const clipped = Math.min(Math.max(ratio, 1 - clipLow), 1 + clipHigh);
        const useClipped = clipped * advantage < ratio * advantage;
        loss[t] = negate((useClipped ? clipped : ratio) * advantage);
        gradient[t] = useClipped ? 0 : negate(ratio * advantage);
        if (useClipped) clippedTokens++;
      }
      return { loss, gradient, clippedTokens };
    },
  };
}

/** −x without a negative zero, which would make "is there any gradient?" and reports read oddly. */
function negate(value: number): number {
  return value === 0 ? 0 : -value;
}
