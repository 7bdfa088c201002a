/** CISPO: the weight of a token is clipped, not its gradient. */
import { checkOptions, expectNumber } from '../../options';
import { negate } from './policy-gradient';
import type { Loss, TokenSample } from './types';

export interface CispoOptions {
  /** ε below: a weight is at least 1 − clipLow. Default 1, which is no limit (as in the paper). */
  clipLow?: number;
  /** ε above: a weight is at most 1 + clipHigh. Default 4 (the paper tunes it and does not tell it). */
  clipHigh?: number;
}

/**
 * Clipped importance-sampling weights (MiniMax-M1, arXiv 2506.13585, eq. 4 and 5), per token:
 *
 *     r_t = stop_grad(clip(π_θ / π_old, 1 − clipLow, 1 + clipHigh))
 *     loss_t = −r_t · A_t · logprob_t
 *     d loss_t / d logprob_t = −r_t · A_t
 *
 * No token loses its gradient: the rare ones whose probability has moved most, which a clipped surrogate drops, go on
 * teaching with a bounded weight. The loss is no measure of progress, since r_t is held fixed in it.
 */
export function cispo(options: CispoOptions = {}): Loss {
  const checked = checkOptions(options, ['clipLow', 'clipHigh'], 'cispo');
  const lowest = 1 - expectNumber('clipLow', checked.clipLow ?? 1, { min: 0, max: 1 });
  const highest = 1 + expectNumber('clipHigh', checked.clipHigh ?? 4, { min: 0 });
  return {
    needsReference: false,
    evaluate({ logprobs, oldLogprobs, advantages }: TokenSample) {
      const length = logprobs.length;
      const loss = new Float64Array(length);
      const gradient = new Float64Array(length);
      let clippedTokens = 0;
      for (let t = 0; t < length; t++) {
        const ratio = Math.exp(logprobs[t]! - oldLogprobs[t]!);
        const weight = Math.min(Math.max(ratio, lowest), highest);
        gradient[t] = negate(weight * advantages[t]!);
        loss[t] = gradient[t]! * logprobs[t]!;
        if (weight !== ratio) clippedTokens++;
      }
      return { loss, gradient, clippedTokens };
    },
  };
}
