/** HumanEval: see humaneval.ts. */
export { HumanEval, type HumanEvalOptions, type HumanEvalVerdict } from './humaneval';
export { passAtK } from './pass-at-k';
export type { AnswerStyle } from './program';
export type { HumanEvalItem } from './rows';
