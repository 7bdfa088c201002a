/** What the roles of a run sample with, and how far that may be from what is trained. */
import { DEFAULT_MAX_WEIGHT, type Mismatch } from '../learn/importance';
import { SAMPLING_PRECISIONS, type SamplingPrecision } from '../model/types';
import { checkOptions, expectNumber, expectOneOf } from '../options';

export interface RolloutOptions {
  /**
   * `exact` (default): the trained policy itself. `int8`: its weights rounded to 8 bits, several times as fast; the
   * update weighs tokens by how likely the trained policy is to sample them (learn/importance.ts).
   */
  precision?: SamplingPrecision;
  /** C: most that a token may weigh, at least 1. Default 2. */
  maxWeight?: number;
}

/** Options with defaults. @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION */
export function settleRollouts(given: SamplingPrecision | RolloutOptions = {}): Required<RolloutOptions> {
  const options = typeof given === 'string' ? { precision: given } : given;
  const checked = checkOptions(options, ['precision', 'maxWeight'], 'rollouts');
  return {
    precision: expectOneOf('rollouts', checked.precision ?? 'exact', SAMPLING_PRECISIONS),
    maxWeight: expectNumber('rollouts.maxWeight', checked.maxWeight ?? DEFAULT_MAX_WEIGHT, { min: 1 }),
  };
}

/** What to say of a mismatch above the limit; null for one below, and for none. */
export function mismatchWarning(mismatch: Mismatch | null, limit: number): string | null {
  if (mismatch === null || mismatch.kl <= limit) return null;
  const { kl, largest, truncatedShare } = mismatch;
  return (
    `The int8 rollouts are ${kl.toPrecision(2)} nats per token away from the trained policy, above the limit of ${limit} ` +
    `(largest difference of a token ${largest.toFixed(2)}, ${(100 * truncatedShare).toFixed(1)} % of the weights cut). ` +
    'Sample exactly (`rollouts: "exact"`), or raise `watch.warnMismatch` if the run learns all the same.'
  );
}
