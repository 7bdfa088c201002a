/** AlpacaEval: see alpacaeval.ts. */
export { AlpacaEval, type AlpacaEvalOptions } from './alpacaeval';
export type { AlpacaEvalItem } from './data';
export { EndpointPairJudge, type EndpointPairJudgeOptions } from './endpoint-pair-judge';
export { fitLengthControl, type LengthControlFit, type LengthControlSample } from './length-control';
export type { AlpacaEvalVerdict } from './metrics';
export { ModelPairJudge, type ModelPairJudgeOptions } from './model-pair-judge';
export type { AnswerPair, PairJudge, PairJudgement } from './pair-judge';
export { RewardPairJudge, type ChatScorer, type RewardPairJudgeOptions } from './reward-pair-judge';
