/** Evaluations: what they are, how they are run, and how two models are compared. */
export type {
  Answer,
  AnsweredItem,
  Evaluation,
  EvaluationItem,
  Generation,
  ItemJudgement,
  JudgeContext,
  Json,
  Metric,
} from './evaluation';
export * from './alpacaeval';
export { Gsm8k, type Gsm8kItem, type Gsm8kOptions, type Gsm8kVerdict } from './gsm8k';
export * from './humaneval';
export { IfEval, type IfEvalItem, type IfEvalOptions, type IfEvalVerdict } from './ifeval';
export { compareVerdicts, readVerdicts } from './compare';
export {
  ResultsFolder,
  type AnswersRecord,
  type EvaluationConfig,
  type ResultRecord,
} from './results-folder';
export {
  evaluationConfig,
  runEvaluation,
  summaryOf,
  type EvaluationProgress,
  type EvaluationResult,
  type RunEvaluationOptions,
} from './run-evaluation';
export { difference, estimate, type Difference, type Estimate } from './statistics';
