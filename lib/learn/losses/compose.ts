/** Losses made of losses: loss and gradient are linear, so weights multiply and terms add. */
import { expectNumber } from '../../options';
import type { Loss } from './types';

/** weight · loss. */
export function scaled(loss: Loss, weight: number): Loss {
  const factor = expectNumber('weight', weight);
  return {
    needsReference: loss.needsReference,
    evaluate(sample) {
      const result = loss.evaluate(sample);
      return {
        loss: result.loss.map((value) => factor * value),
        gradient: result.gradient.map((value) => factor * value),
        clippedTokens: result.clippedTokens,
      };
    },
  };
}

/** Σ losses. */
export function sumOf(...losses: Loss[]): Loss {
  return {
    needsReference: losses.some((loss) => loss.needsReference),
    evaluate(sample) {
      const total = {
        loss: new Float64Array(sample.logprobs.length),
        gradient: new Float64Array(sample.logprobs.length),
        clippedTokens: 0,
      };
      for (const loss of losses) {
        const part = loss.evaluate(sample);
        for (let t = 0; t < total.loss.length; t++) {
          total.loss[t]! += part.loss[t]!;
          total.gradient[t]! += part.gradient[t]!;
        }
        total.clippedTokens += part.clippedTokens;
      }
      return total;
    },
  };
}
