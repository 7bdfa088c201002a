/** Evaluations: what they are, how they are run, and how two models are compared. */
export type {
  Answer,
  AnsweredItem,
  Evaluation,
  EvaluationItem,
  Generation,
  Judgement,
  JudgeContext,
  Json,
  Metric,
} from './evaluation';
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
  type EvaluationProgress,
  type EvaluationResult,
  type RunEvaluationOptions,
} from './run-evaluation';
export { difference, estimate, type Difference, type Estimate } from './statistics';
