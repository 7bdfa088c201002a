/** Losses: values that compose. */
export { policyGradient, type PolicyGradientOptions } from './policy-gradient';
export { klInReward, klLoss, klEstimate, withKl, type KlForm, type KlOptions } from './kl';
export { crossEntropy } from './cross-entropy';
export { scaled, sumOf } from './compose';
export { REDUCTIONS, tokenWeights, type Reduction } from './reduction';
export type { Loss, TokenLoss, TokenSample } from './types';
