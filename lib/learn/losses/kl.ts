/**
 * Keeping near the reference: three estimators of KL(π_θ ‖ π_ref) and where each may be used.
 *
 * With d_t = log π_θ − log π_ref of the sampled token (Schulman, "Approximating KL divergence", 2020):
 *
 *     k1 = d        unbiased value; as a differentiated loss its gradient is E[∇ log π_θ] = 0: useless
 *     k2 = d² / 2   its gradient d · ∇ log π_θ is, on-policy, exactly that of the reverse KL
 *     k3 = exp(−d) + d − 1   unbiased value ≥ 0; its gradient (1 − π_ref/π_θ) · ∇ log π_θ is, on-policy, that of the
 *                   forward KL(π_ref ‖ π_θ), not of the reverse; here for parity with TRL
 *
 * k1 has the right gradient when it is part of the reward (a factor of ∇ log π_θ rather than differentiated itself).
 * On stale data (several updates per batch) neither k2 nor k3 is reweighted by the ratio, which is near 1 by design.
 */
import { LspError } from '../../errors';
import { checkOptions, expectNumber, expectOneOf } from '../../options';
import { sumOf } from './compose';
import type { Loss, TokenSample } from './types';

export type KlForm = 'k1' | 'k2' | 'k3';

export interface KlOptions {
  /** 'k1' in the per-token reward, 'k2' or 'k3' as a loss. Default 'k2'. */
  form?: KlForm;
  /** β, at least 0. Default 0.05. */
  coefficient?: number;
}

/**
 * β · k2 or β · k3 as a loss per token.
 *
 *     k2: loss_t = β d_t² / 2,               d loss_t / d logprob_t = β d_t
 *     k3: loss_t = β (exp(−d_t) + d_t − 1),  d loss_t / d logprob_t = β (1 − exp(−d_t))
 *
 * @throws LspError INVALID_ARGUMENT for k1, whose expected gradient on-policy is zero
 */
export function klLoss(form: KlForm, coefficient: number): Loss {
  const checkedForm = expectOneOf('form', form, ['k1', 'k2', 'k3']);
  const beta = expectNumber('coefficient', coefficient, { min: 0 });
  if (checkedForm === 'k1') {
    throw new LspError('INVALID_ARGUMENT', "Expected 'k2' or 'k3' for `form` but received 'k1'.", {
      remedy:
        'k1 as a differentiated loss has zero expected gradient on-policy (it is the mean of ∇ log π), so it would ' +
        "only add noise. Use 'k2' as a loss, or k1 in the reward: klInReward().",
    });
  }
  return {
    needsReference: true,
    evaluate(sample) {
      const reference = requireReference(sample);
      const length = sample.logprobs.length;
      const loss = new Float64Array(length);
      const gradient = new Float64Array(length);
      for (let t = 0; t < length; t++) {
        const d = sample.logprobs[t]! - reference[t]!;
        if (checkedForm === 'k2') {
          loss[t] = (beta * d * d) / 2;
          gradient[t] = beta * d;
        } else {
          loss[t] = beta * (Math.expm1(-d) + d);
          gradient[t] = d === 0 ? 0 : -beta * Math.expm1(-d);
        }
      }
      return { loss, gradient, clippedTokens: 0 };
    },
  };
}

/**
 * `loss` with −β · k1 added to the reward of each token. A token is paid for all that follows it (reward-to-go):
 *
 *     A'_t = A_t − β · Σ_{u ≥ t} (log π_old(token u) − log π_ref(token u))
 *
 * so that on-policy E[Σ_t A'_t ∇ log π_θ(token t)] contains −β times the gradient of the KL between whole
 * completions, ∇ Σ_t KL_t with the states' distribution differentiated as well. (With the token's own term alone it
 * would be the gradient of k2.)
 */
export function klInReward(loss: Loss, coefficient: number): Loss {
  const beta = expectNumber('coefficient', coefficient, { min: 0 });
  return {
    needsReference: true,
    evaluate(sample) {
      const reference = requireReference(sample);
      const advantages = new Float64Array(sample.logprobs.length);
      let toGo = 0;
      for (let t = advantages.length - 1; t >= 0; t--) {
        toGo += sample.oldLogprobs[t]! - reference[t]!;
        advantages[t] = sample.advantages[t]! - beta * toGo;
      }
      return loss.evaluate({ ...sample, advantages });
    },
  };
}

/** `loss` with a KL term of the given form; a coefficient of 0 leaves it as it is and needs no reference. */
export function withKl(loss: Loss, options: KlOptions = {}): Loss {
  const checked = checkOptions(options, ['form', 'coefficient'], 'kl');
  const form = expectOneOf('kl.form', checked.form ?? 'k2', ['k1', 'k2', 'k3']);
  const coefficient = expectNumber('kl.coefficient', checked.coefficient ?? 0.05, { min: 0 });
  if (coefficient === 0) return loss;
  return form === 'k1' ? klInReward(loss, coefficient) : sumOf(loss, klLoss(form, coefficient));
}

/**
 * Mean over tokens of k1: an unbiased estimate of KL(π ‖ π_ref) per token on samples of π. For reports, k1 rather
 * than k3: exp(−d) has a heavy tail once the two drift apart, so that one token could stop a run.
 */
export function klEstimate(logprobs: ArrayLike<number>, referenceLogprobs: ArrayLike<number>): number {
  let total = 0;
  for (let t = 0; t < logprobs.length; t++) total += logprobs[t]! - referenceLogprobs[t]!;
  return logprobs.length === 0 ? 0 : total / logprobs.length;
}

function requireReference(sample: TokenSample): ArrayLike<number> {
  if (sample.referenceLogprobs !== null) return sample.referenceLogprobs;
  throw new LspError(
    'INVALID_ARGUMENT',
    'Expected log-probabilities for `referenceLogprobs` but received null.',
    {
      remedy: 'A loss with a KL term needs the reference model.',
    },
  );
}
