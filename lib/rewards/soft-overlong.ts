/** DAPO's soft overlong punishment: a reward that falls towards the length at which answers are cut off. */
import { checkOptions, expectInteger, expectNumber } from '../options';
import { expectReward, type Reward } from './reward';

export interface SoftOverlongOptions {
  /** Tokens at which an answer is cut off: L_max, the Solver's `maxNewTokens`. */
  maxNewTokens: number;
  /** Tokens before it over which the charge rises, 1 to `maxNewTokens`: L_cache. Default a fifth, as in the paper. */
  overlongTokens?: number;
  /** Charge for an answer of full length. Default 0.5, half of the range of R, as in the paper (its R is −1 or 1). */
  charge?: number;
}

/**
 * The reward less a charge for the last tokens before the limit (DAPO, arXiv 2503.14476, section 3.4), n tokens:
 *
 *     R' = R − charge · clip((n − (L_max − L_cache)) / L_cache, 0, 1)
 *
 * An answer that is merely cut off would otherwise be paid like one that is wrong. Where R abstains, so does R'.
 */
export function softOverlong(reward: Reward, options: SoftOverlongOptions): Reward {
  const known = ['maxNewTokens', 'overlongTokens', 'charge'];
  const checked = checkOptions(options, known, 'softOverlong');
  const limit = expectInteger('maxNewTokens', checked.maxNewTokens, { min: 1 });
  const cache = expectInteger('overlongTokens', checked.overlongTokens ?? Math.ceil(limit / 5), {
    min: 1,
    max: limit,
  });
  const charge = expectNumber('charge', checked.charge ?? 0.5, { min: 0 });
  const given = expectReward(reward);
  return {
    name: `${given.name ?? 'custom'}, soft overlong`,
    async score(samples, context) {
      const scores = await given.score(samples, context);
      return scores.map((score, i) => {
        const over = (samples[i]!.completion.tokens.length - (limit - cache)) / cache;
        return score === null ? null : score - charge * Math.min(Math.max(over, 0), 1);
      });
    },
  };
}
