/**
 * GRPO with data by each recipe of the family of losses. Their ratios differ from 1 only from the second update of a
 * batch on, so there are four. No KL term in any of them: what is compared is how they learn from stale answers.
 *
 *     npm run compare -- --methods losses --budget 60000 --seeds 2 --out runs/losses
 */
import {
  gspo,
  LOSS_NAMES,
  lossRecipe,
  rewardsDiffer,
  softOverlong,
  type GrpoTrainerOptions,
  type LossName,
} from '../../lib';
import { WorldReward } from '../../lib/world';
import { grpo, onlyStage, SOLVER, type Method } from './methods';

const UPDATES_PER_BATCH = 4;

function method(
  name: string,
  title: string,
  recipe: LossName,
  more: Partial<GrpoTrainerOptions> = {},
): Method {
  const { loss, reduction, groupAdvantages } = lossRecipe(recipe);
  const options = { loss, reduction, groupAdvantages, updatesPerBatch: UPDATES_PER_BATCH, ...more };
  return {
    name,
    title,
    description: `training tasks as for GRPO with data; the loss ${recipe}, ${UPDATES_PER_BATCH} updates a batch`,
    stages: onlyStage((parts) => grpo(parts, options)),
  };
}

export const LOSS_METHODS: readonly Method[] = [
  ...LOSS_NAMES.map((name) => method(`loss-${name}`, `Loss ${name}`, name)),
  method('loss-gspo-wide', 'Loss gspo, limits 0.2', 'gspo', { loss: gspo({ clipLow: 0.2, clipHigh: 0.2 }) }),
  method('loss-dapo-full', 'DAPO with its sampling and shaping', 'dapo', {
    groupFilter: rewardsDiffer,
    samplingRounds: 4,
    reward: softOverlong(new WorldReward(), { maxNewTokens: SOLVER.maxNewTokens }),
  }),
];
