/**
 * From token losses to one number: the weight that each token of a sample gets.
 *
 * With S samples of n_i tokens:
 *
 *     constant        w_i = 1 / (S · maxNewTokens)   sum over tokens / constant, mean over samples (the default)
 *     sequence-mean   w_i = 1 / (S · n_i)            mean over tokens, mean over samples
 *     token-mean      w_i = 1 / Σ n                  mean over all tokens
 *
 * `constant` has no length bias: with the others a token of a long bad answer is punished less than one of a short
 * bad answer ("Understanding R1-Zero-like training", arXiv 2503.20783).
 */
import { expectInteger, expectOneOf, invalid } from '../../options';

export type Reduction = 'constant' | 'token-mean' | 'sequence-mean';

export const REDUCTIONS: readonly Reduction[] = ['constant', 'token-mean', 'sequence-mean'];

/**
 * Weight of every token of each sample.
 *
 * A sample left out (a truncated one, if those are masked) gets 0 and its tokens do not count for `token-mean`, but
 * it still counts in S: masking one answer must not enlarge the step of the others.
 *
 * @param lengths tokens of each sample
 * @param included false for samples left out
 */
export function tokenWeights(
  reduction: Reduction,
  lengths: readonly number[],
  included: readonly boolean[],
  maxNewTokens: number,
): Float64Array {
  expectOneOf('reduction', reduction, REDUCTIONS);
  expectInteger('maxNewTokens', maxNewTokens, { min: 1 });
  if (included.length !== lengths.length)
    throw invalid('included', `an array of length ${lengths.length}`, included);
  const samples = lengths.length;
  const tokens = lengths.reduce((sum, length, i) => sum + (included[i] ? length : 0), 0);
  return Float64Array.from(lengths, (length, i) => {
    if (!included[i] || length === 0) return 0;
    if (reduction === 'constant') return 1 / (samples * maxNewTokens);
    return reduction === 'sequence-mean' ? 1 / (samples * length) : 1 / tokens;
  });
}
