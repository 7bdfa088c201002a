/**
 * Public exports, and nothing else: what is not named here may change without notice.
 */

export { LspError, type LspErrorCode, type LspErrorOptions } from './errors';

// Models
export {
  LanguageModel,
  type CloneOptions,
  type LanguageModelLoadOptions,
  type SaveAdapterOptions,
  type SaveOptions,
} from './model/language-model';
export { LORA_TARGETS, type AdapterInfo, type LoraOptions, type LoraTarget } from './model/adapter';
export type { Compute, LoadOptions, LoadProgress } from './model/loading';
export {
  Tokenizer,
  type ChatOptions,
  type DecodeOptions,
  type EncodeOptions,
  type TokenizerOptions,
} from './model/tokenizer';
export { initializeModel, type InitializeOptions } from './model/initialize';
export type { SpecialToken, SpecialTokens, TokenizerSource } from './model/formats/model-source';
export type * from './model/types';

// Files of the Hugging Face hub, and data sets
export { hubFile, type DownloadProgress, type HubFile, type HubOptions } from './hub/file';
export { resolveModelSource } from './hub/source';
export { openDataset } from './hub/dataset';
export { readRows, type ReadRowsOptions, type Row } from './hub/rows';

// Learning
export { Learner, type AccumulateOptions, type LearnerOptions } from './learn/learner';
export * from './learn/losses';
export { constant, cosine, linear, warmUp, type DecayOptions, type Schedule } from './learn/schedules';

// Self-play and GRPO
export * from './lsp';
export * from './grpo';

// The tiny world: tasks with exact answers, to play and to measure with
export * as world from './world';

// Evaluations
export {
  HumanEval,
  passAtK,
  type AnswerStyle,
  type HumanEvalItem,
  type HumanEvalOptions,
  type HumanEvalVerdict,
} from './eval/humaneval';

// Measuring: the machine, the kernels on it, whole steps of a model
export * from './bench';

// The sandbox: running code that nobody has read
export {
  Sandbox,
  testSolution,
  type SandboxCheck,
  type SandboxLimits,
  type SandboxOptions,
  type SandboxProgram,
  type SandboxResult,
  type SandboxStatus,
  type SolutionTests,
  type SolutionVerdict,
  type TestVerdict,
} from './sandbox';

// Runs on the disk
export { fingerprintModel, type FileFingerprint, type StartingModel } from './model/fingerprint';
export type { Checkpoint } from './run/checkpoints';
export {
  RunDirectory,
  type CheckpointerOptions,
  type ResumePoint,
  type RunConfig,
} from './run/run-directory';
export { writeReport, type WriteReportOptions } from './report';

// Chat endpoints
export * from './endpoint';

// Evaluations
export * from './eval';

// Rewards
export { SandboxedCode, type CodeInfo, type SandboxedCodeOptions } from './rewards/code';
export { EndpointJudge, type EndpointJudgeOptions } from './rewards/endpoint-judge';
export { FunctionReward, type FunctionRewardOptions, type ScoreFunction } from './rewards/function-reward';
export { MajorityVote, type MajorityVoteOptions } from './rewards/majority-vote';
export { MathAnswer, type MathAnswerOptions } from './rewards/math-answer';
export {
  ANSWER_PLACES,
  answersEqual,
  canonicalAnswer,
  evaluateExpression,
  extractAnswer,
  type AnswerPlace,
  type CanonicalOptions,
  type Expression,
  type ExtractOptions,
  type Rational,
} from './rewards/maths';
export { RewardModel, type RewardModelOptions } from './rewards/reward-model';
export {
  RewardError,
  weightedSum,
  type Awaitable,
  type Reward,
  type RewardContext,
  type Sample,
  type WeightedReward,
} from './rewards/reward';
export { softOverlong, type SoftOverlongOptions } from './rewards/soft-overlong';
export {
  VerifiableInstructions,
  type VerifiableInstructionsOptions,
} from './rewards/verifiable-instructions';
export {
  checkInstructions,
  constraintFromIfeval,
  describe,
  drawConstraints,
  formatConstraint,
  IFEVAL_IDS,
  INSTRUCTION_IDS,
  parseConstraint,
  satisfies,
  type Constraint,
  type ConstraintOf,
  type ConstraintParameters,
  type DrawConstraintsOptions,
  type IfevalItem,
  type InstructionId,
  type InstructionVerdicts,
} from './rewards/instructions';
export { WorkerReward, type WorkerRewardOptions } from './rewards/worker-reward';

// Kernels
export { kernels } from './native/kernels';
export type { NativeKernels } from './native/addon';
