/** Self-play: roles, gates, objectives, presets, and the trainer. */
export {
  allSame,
  centred,
  leaveOneOut,
  meanOf,
  rewardsDiffer,
  standardised,
  varianceOf,
  type GroupAdvantages,
  type GroupFilter,
} from './advantages';
export { Challenger, type ChallengerOptions, type WriteOptions, type WrittenQuery } from './challenger';
export * from './gates';
export type { Corruption, CorruptionKind, JudgePair, JudgeReport } from './judge-preflight';
export { LOSS_NAMES, lossRecipe, type LossName, type LossRecipe } from './loss-recipes';
export { LspTrainer, type DuplicateOptions, type LspTrainerOptions } from './lsp-trainer';
export * from './objectives';
export {
  bestAndWorst,
  completionLogprobs,
  encodePreference,
  pairGradient,
  type Preference,
  type PreferencePair,
  type PreferenceTokenizer,
} from './preference-pairs';
export { preset, PRESET_NAMES, type Preset, type PresetName } from './presets';
export type { CodingExample, TaskExample } from './prompts';
export { randomFor, type StreamRole } from './random';
export {
  SelfReward,
  type Judgement,
  type JudgeOptions,
  type JudgePreflightOptions,
  type SelfRewardOptions,
} from './self-reward';
export { Solver, type AnsweredPrompt, type AnswerOptions, type SolverOptions } from './solver';
export { coding, codingMetrics, type Coding, type CodingMetrics, type CodingOptions } from './tasks/coding';
export { testsGate } from './tasks/coding-gate';
export type { CodingInfo } from './tasks/coding-query';
export { instructionFollowing, type InstructionFollowingOptions } from './tasks/instruction-following';
export {
  mathematics,
  mathematicsGate,
  mathematicsReward,
  type MathematicsInfo,
  type MathematicsOptions,
} from './tasks/mathematics';
export type { ProblemExample } from './tasks/mathematics-examples';
export { Trainer, type TrainingOptions } from './trainer';
export type * from './types';
export type { WatchOptions } from './watch';
