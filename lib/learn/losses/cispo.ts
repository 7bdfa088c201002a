/** CISPO: the weight of a token is clipped, not its gradient. */
import { clipRange, negate, perToken, type PolicyGradientOptions } from './policy-gradient';
import type { Loss } from './types';

/**
 * Clipped importance-sampling weights (MiniMax-M1, arXiv 2506.13585, eq. 4 and 5), per token:
 *
 *     r_t = stop_grad(clip(π_θ / π_old, 1 − clipLow, 1 + clipHigh))
 *     loss_t = −r_t · A_t · logprob_t
 *     d loss_t / d logprob_t = −r_t · A_t
 *
 * No token loses its gradient: the rare ones whose probability has moved most, which a clipped surrogate drops, go on
 * teaching with a bounded weight. The loss is no measure of progress, since r_t is held fixed in it.
 *
 * By default a weight has no lower limit (clipLow 1, as in the paper), and is at most 5 (clipHigh 4: the paper tunes it
 * and does not tell it).
 */
export function cispo(options: PolicyGradientOptions = {}): Loss {
  const { lowest, highest } = clipRange(options, 'cispo', { clipLow: 1, clipHigh: 4 });
  return perToken((ratio, advantage, logprob) => {
    const weight = Math.min(Math.max(ratio, lowest), highest);
    const gradient = negate(weight * advantage);
    return { loss: gradient * logprob, gradient, clipped: weight !== ratio };
  });
}
