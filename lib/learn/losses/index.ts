/** Losses: values that compose. */
export { policyGradient, type PolicyGradientOptions } from './policy-gradient';
export { cispo } from './cispo';
export { dpo, type DpoOptions, type PairGradient, type PairLoss, type PairSide } from './dpo';
export { klInReward, klLoss, klEstimate, withKl, type KlForm, type KlOptions } from './kl';
export { crossEntropy } from './cross-entropy';
export { scaled, sumOf } from './compose';
export { gspo, sequencePolicyGradient } from './sequence-ratio';
export { REDUCTIONS, tokenWeights, type Reduction } from './reduction';
export type { Loss, TokenLoss, TokenSample } from './types';
