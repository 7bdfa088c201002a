/** Supervised cross-entropy. */
import type { Loss } from './types';

/** loss_t = −logprob_t, d loss_t / d logprob_t = −1: the completion is imitated, whatever its advantage. */
export function crossEntropy(): Loss {
  return {
    needsReference: false,
    evaluate({ logprobs }) {
      return {
        loss: Float64Array.from(logprobs, (logprob) => -logprob),
        gradient: new Float64Array(logprobs.length).fill(-1),
        clippedTokens: 0,
      };
    },
  };
}
