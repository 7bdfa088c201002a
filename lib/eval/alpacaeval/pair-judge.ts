/** What judges pairs of answers: the one interface behind which an endpoint, a local model or a reward model stands. */
import type { CallEstimate, EstimateOptions } from '../../endpoint/types';
import type { JudgeContext, Json } from '../evaluation';

/** Two answers to one instruction, in the order in which the judge sees them. */
export interface AnswerPair {
  readonly instruction: string;
  readonly first: string;
  readonly second: string;
}

/** In [0, 1]: 1 prefers the first answer, 0 the second; `failed` says why there is no preference. */
export type PairJudgement = { preference: number } | { failed: string };

export interface PairJudge {
  /** Kind and model, as it stands in results: `endpoint:gpt-4o-mini`. */
  readonly name: string;
  /** What decides the preferences besides the texts: the prompt's version, temperature, … */
  readonly settings: Readonly<Record<string, Json>>;
  /** True if swapping the answers gives exactly 1 − preference, so that one order is enough. */
  readonly orderFree?: boolean;
  /**
   * One judgement a pair, in order. Throws only for what makes going on useless.
   * @throws the signal's reason when aborted
   */
  compare(pairs: readonly AnswerPair[], context: JudgeContext): Promise<PairJudgement[]>;
  /** What `compare` would cost, for a judge that costs something. */
  estimate?(pairs: readonly AnswerPair[], options?: EstimateOptions): Promise<CallEstimate>;
}
