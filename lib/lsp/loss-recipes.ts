/**
 * Recipes: what published methods put into the slots of a trainer that concern the loss. Sets of values, to spread
 * into `new GrpoTrainer({ …, ...lossRecipe('gspo') })`; see docs/losses.md.
 *
 * Data, rewards and who is paid for what are not theirs: in self-play a recipe meets any objective, which takes its
 * `groupAdvantages`.
 */
import {
  cispo,
  gspo,
  policyGradient,
  sequencePolicyGradient,
  type KlOptions,
  type Loss,
  type Reduction,
} from '../learn/losses';
import { expectOneOf } from '../options';
import { centred, leaveOneOut, standardised, type GroupAdvantages } from './advantages';

export interface LossRecipe {
  loss: Loss;
  reduction: Reduction;
  groupAdvantages: GroupAdvantages;
  /** As published; `{ coefficient: 0 }` where the paper leaves it out. */
  kl: KlOptions;
}

/** Its order is that of the documentation: the one by default first, then by age. */
export const LOSS_NAMES = ['dr-grpo', 'grpo', 'rloo', 'dapo', 'cispo', 'gspo'] as const;

export type LossName = (typeof LOSS_NAMES)[number];

const NO_KL: KlOptions = { coefficient: 0 };

const RECIPES: Record<LossName, () => LossRecipe> = {
  /** "Understanding R1-Zero-like training" (arXiv 2503.20783, section 3.2): no division by lengths or deviations. */
  'dr-grpo': () => ({
    loss: policyGradient(),
    reduction: 'constant',
    groupAdvantages: centred,
    kl: NO_KL,
  }),
  /** DeepSeekMath (arXiv 2402.03300, eq. 3 and section 4.2). */
  grpo: () => ({
    loss: policyGradient(),
    reduction: 'sequence-mean',
    groupAdvantages: standardised,
    kl: { form: 'k3', coefficient: 0.04 },
  }),
  /** "Back to basics" (arXiv 2402.14740): KL in the reward, 0.03 as for its summaries. */
  rloo: () => ({
    loss: sequencePolicyGradient(),
    reduction: 'constant',
    groupAdvantages: leaveOneOut,
    kl: { form: 'k1', coefficient: 0.03 },
  }),
  /**
   * DAPO (arXiv 2503.14476, sections 3.1 and 3.3). Its other two parts are values of their own: `rewardsDiffer` with
   * `samplingRounds`, and `softOverlong`.
   */
  dapo: () => ({
    loss: policyGradient({ clipHigh: 0.28 }),
    reduction: 'token-mean',
    groupAdvantages: standardised,
    kl: NO_KL,
  }),
  /** MiniMax-M1 (arXiv 2506.13585, eq. 4). */
  cispo: () => ({ loss: cispo(), reduction: 'token-mean', groupAdvantages: standardised, kl: NO_KL }),
  /** Group Sequence Policy Optimization (arXiv 2507.18071, section 4.1). */
  gspo: () => ({ loss: gspo(), reduction: 'sequence-mean', groupAdvantages: standardised, kl: NO_KL }),
};

/**
 * The values of a recipe.
 * @throws LspError INVALID_ARGUMENT for an unknown name
 */
export function lossRecipe(name: LossName): LossRecipe {
  return RECIPES[expectOneOf('loss', name, LOSS_NAMES)]();
}
