/** From the options of a run to its learner and trainer. */
import { LspError } from '../../errors';
import { GrpoTrainer } from '../../grpo';
import { readQueries } from '../../grpo/queries';
import { Learner } from '../../learn/learner';
import { constant, cosine, linear, warmUp, type Schedule } from '../../learn/schedules';
import {
  lossRecipe,
  LspTrainer,
  preset,
  rewardsDiffer,
  type Checkpointer,
  type PhaseProgress,
  type SelfReward,
  type TrainerState,
} from '../../lsp';
import { randomFor } from '../../lsp/random';
import type { LanguageModel } from '../../model/language-model';
import type { Reward } from '../../rewards/reward';
import type { RewardModel } from '../../rewards/reward-model';
import { softOverlong } from '../../rewards/soft-overlong';
import { WorkerReward } from '../../rewards/worker-reward';
import { loraOf } from '../../run/lora-options';
import type { TrainOptions } from '../../run/train-options';
import { gameOf, type Pieces } from './games';

/** The learning rate as a function of the updates made so far. */
export function scheduleOf(options: TrainOptions): Schedule {
  const { learningRate, schedule, scheduleSteps, warmupSteps, updatesPerBatch } = options;
  const updates = Math.max(1, scheduleSteps * updatesPerBatch - warmupSteps);
  const main =
    schedule === 'constant'
      ? constant(learningRate)
      : (schedule === 'linear' ? linear : cosine)({ learningRate, steps: updates });
  return warmupSteps > 0 ? warmUp(warmupSteps, main) : main;
}

/** @param adapter where a resumed run's adapter lies */
export async function makeLearner(
  model: LanguageModel,
  options: TrainOptions,
  adapter: string | undefined,
): Promise<Learner> {
  const lora = loraOf(options);
  return Learner.create(model, {
    learningRate: scheduleOf(options),
    weightDecay: options.weightDecay,
    maxGradNorm: options.maxGradNorm,
    gradientCheckpointing: options.activations === 'recompute',
    ...(lora && { lora: adapter === undefined ? lora : { adapter } }),
  });
}

/** R: the user's module in a worker, a reward model, or the game's own. */
export async function makeReward(
  options: TrainOptions,
  pieces: Pieces,
  loadRewardModel: (source: string) => Promise<RewardModel>,
): Promise<Reward & Partial<AsyncDisposable>> {
  const game = gameOf(options);
  const rows = options.queriesFile === undefined ? null : await readQueries(options.queriesFile);
  if (rows) game.refuseHeldOut(rows, options.probeSize);
  if (options.reward !== undefined) return new WorkerReward({ module: options.reward });
  if (options.rewardModel !== undefined) return loadRewardModel(options.rewardModel);
  if (rows) game.checkRows(rows);
  return pieces.reward!; // options without any are refused
}

/** @throws LspError INVALID_CHAT_TEMPLATE where the model's template cannot render what the Challenger is asked */
export function checkPrompts({ tokenizer }: LanguageModel, { task }: Pieces, options: TrainOptions): void {
  if (options.queriesFile !== undefined) return;
  const { maxNewTokens, seed } = options;
  const random = (key: number) => randomFor(BigInt(seed), 0, 'draw', key);
  const request = { step: 0, index: 0, count: 1, maxNewTokens, random };
  try {
    tokenizer.encodeChat(task.challengerPrompt(request).messages);
  } catch (error) {
    if (!(error instanceof LspError && error.code === 'INVALID_CHAT_TEMPLATE')) throw error;
    const remedy = 'Choose another `--task` (world for the bundled model), or another model.';
    throw new LspError(error.code, error.message, { remedy, cause: error });
  }
}

export interface TrainerParts {
  pieces: Pieces;
  learner: Learner;
  reference: LanguageModel | null;
  reward: Reward;
  judge: SelfReward | null;
  checkpoint: Checkpointer;
  onPhase: (progress: PhaseProgress) => void;
  resume: TrainerState | null;
}

export function makeTrainer(options: TrainOptions, parts: TrainerParts): LspTrainer | GrpoTrainer {
  const { queries, answers, maxNewTokens, queryTokens, temperature, seed } = options;
  const game = gameOf(options);
  const solver = { answers, maxNewTokens, temperature };
  const { loss, reduction, groupAdvantages } = lossRecipe(options.loss);
  const common = {
    learner: parts.learner,
    reward: parts.reward,
    loss,
    reduction,
    kl: { form: options.klForm, coefficient: options.klBeta },
    watch: game.watch,
    measureKl: game.measureKl,
    updatesPerBatch: options.updatesPerBatch,
    rollouts: options.rollouts,
    referencePrecision: options.referencePrecision,
    seed,
    checkpoint: parts.checkpoint,
    onPhase: parts.onPhase,
    ...(parts.reference && { reference: parts.reference }),
    ...(parts.resume && { resume: parts.resume }),
    solver,
  };
  if (options.queriesFile !== undefined) {
    const { queriesFile, samplingRounds, overlongTokens } = options;
    return new GrpoTrainer({
      ...common,
      ...(overlongTokens > 0 && { reward: softOverlong(parts.reward, { maxNewTokens, overlongTokens }) }),
      ...(samplingRounds > 1 && { groupFilter: rewardsDiffer, samplingRounds }),
      queries: queriesFile,
      queriesPerStep: queries,
      groupAdvantages,
    });
  }
  const name = options.preset ?? 'recommended';
  const { objective, gate } = preset(name, { qualityWeight: options.selfReward, groupAdvantages });
  return new LspTrainer({
    ...common,
    objective,
    challengerWeight: options.challengerWeight,
    gate: parts.pieces.gate(name, options.probeSize) ?? gate,
    ...(game.duplicates && { duplicates: game.duplicates }),
    challenger: { task: parts.pieces.task, queries, maxNewTokens: queryTokens, temperature },
    ...(parts.judge && { selfReward: parts.judge }),
  });
}
