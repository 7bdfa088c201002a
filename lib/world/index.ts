/** The tiny world: tasks with exact answers, to play and to measure with. */
export { ANSWER_TOKENS, evaluateWorld, type WorldEvaluation, type WorldEvaluationOptions } from './evaluate';
export { measureWorldJudge, worldJudge } from './judge';
export { KIND_NAMES, KINDS } from './kinds';
export { trainingQueries, type TrainingQueriesOptions } from './queries';
export { challengerMessages, judgeMessages, MOST_POINTS, solverMessages } from './roles';
export { heldOutTasks, PRETRAINING_LEVELS, type HeldOutOptions } from './suite';
export { tinyWorld, WorldReward, type TinyWorldOptions, type WorldInfo } from './task';
export {
  creditOf,
  drawTask,
  drawTrainingTask,
  isHeldOut,
  isRight,
  normalizeAnswer,
  parseTask,
} from './tasks';
export type { Credit, Kind, WorldTask } from './types';
