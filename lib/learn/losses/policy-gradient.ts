/** The policy-gradient loss with a clipped ratio. */
import { checkOptions, expectNumber } from '../../options';
import type { Loss, TokenSample } from './types';

export interface PolicyGradientOptions {
  /** ε below: a ratio under 1 − clipLow gives no gradient where the advantage is negative. Default 0.2. */
  clipLow?: number;
  /** ε above: a ratio over 1 + clipHigh gives no gradient where the advantage is positive. Default 0.2. */
  clipHigh?: number;
}

/** The range that a ratio is clipped to. @param defaults where an option is not given */
export function clipRange(
  options: PolicyGradientOptions,
  owner: string,
  defaults: Required<PolicyGradientOptions>,
): { lowest: number; highest: number } {
  const checked = checkOptions(options, ['clipLow', 'clipHigh'], owner);
  const clipLow = expectNumber('clipLow', checked.clipLow ?? defaults.clipLow, { min: 0, max: 1 });
  const clipHigh = expectNumber('clipHigh', checked.clipHigh ?? defaults.clipHigh, { min: 0 });
  return { lowest: 1 - clipLow, highest: 1 + clipHigh };
}

/** Loss of a token, its derivative with respect to the log-probability, and whether the ratio was clipped. */
export interface TokenTerm {
  loss: number;
  gradient: number;
  clipped: boolean;
}

/** −min(ρ · A, clip(ρ) · A), and its derivative with respect to log ρ: −ρ · A, or 0 where the clipped term is smaller. */
export function clippedSurrogate(
  ratio: number,
  advantage: number,
  { lowest, highest }: { lowest: number; highest: number },
): TokenTerm {
  const limited = Math.min(Math.max(ratio, lowest), highest);
  const clipped = limited * advantage < ratio * advantage;
  const loss = negate((clipped ? limited : ratio) * advantage);
  return { loss, gradient: clipped ? 0 : loss, clipped };
}

/**
 * Clipped surrogate (Schulman et al. 2017, arXiv 1707.06347, eq. 7), per token:
 *
 *     ρ_t = π_θ / π_old = exp(logprob_t − oldLogprob_t)
 *     loss_t = −min(ρ_t · A_t, clip(ρ_t, 1 − clipLow, 1 + clipHigh) · A_t)
 *     d loss_t / d logprob_t = −ρ_t · A_t where the unclipped term is the smaller one, else 0
 *
 * GRPO (arXiv 2402.03300) clips at 0.2 on both sides; DAPO (arXiv 2503.14476, section 3.1) clips higher, at 0.28 above,
 * so that unlikely tokens may become likely: `policyGradient({ clipHigh: 0.28 })`.
 *
 * On-policy ρ_t is exp(0) = 1 exactly, the ratio π_θ / stop_grad(π_θ) of Language Self-Play (arXiv 2509.07414), and
 * the derivative is −A_t.
 */
export function policyGradient(options: PolicyGradientOptions = {}): Loss {
  const range = clipRange(options, 'policyGradient', { clipLow: 0.2, clipHigh: 0.2 });
  return perToken((ratio, advantage) => clippedSurrogate(ratio, advantage, range));
}

/** A loss that looks at each token by itself: at its ratio π_θ / π_old, its advantage and its log-probability. */
export function perToken(evaluate: (ratio: number, advantage: number, logprob: number) => TokenTerm): Loss {
  return {
    needsReference: false,
    evaluate({ logprobs, oldLogprobs, advantages }: TokenSample) {
      const length = logprobs.length;
      const loss = new Float64Array(length);
      const gradient = new Float64Array(length);
      let clippedTokens = 0;
      for (let t = 0; t < length; t++) {
        const logprob = logprobs[t]!;
        const token = evaluate(Math.exp(logprob - oldLogprobs[t]!), advantages[t]!, logprob);
        loss[t] = token.loss;
        gradient[t] = token.gradient;
        if (token.clipped) clippedTokens++;
      }
      return { loss, gradient, clippedTokens };
    },
  };
}

/** −x without a negative zero, which would make "is there any gradient?" and reports read oddly. */
export function negate(value: number): number {
  return value === 0 ? 0 : -value;
}
