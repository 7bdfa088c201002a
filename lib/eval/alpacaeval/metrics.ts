/** Metrics of AlpacaEval: the win rate, overall and of each subset, and the length-controlled one. */
import type { Metric } from '../evaluation';
import { fitLengthControl } from './length-control';

/** What the judge says of one item. Lengths are in characters (code points). */
export type AlpacaEvalVerdict = {
  readonly subset: string;
  /** For the candidate, in [0, 1]: the mean of both orders. */
  readonly preference: number;
  /** For the candidate, when its answer came first. */
  readonly firstOrder: number;
  /** For the candidate, when its answer came second. */
  readonly swapped: number;
  readonly lengthCandidate: number;
  readonly lengthBaseline: number;
  /** Of the instruction, if it was given. */
  readonly difficulty?: number;
};

/** win_rate, lc_win_rate, then win_rate_<subset> for each subset in the data. */
export function alpacaEvalMetrics(subsets: readonly string[]): Metric<AlpacaEvalVerdict>[] {
  return [
    { name: 'win_rate', label: 'win rate', value: winRate },
    {
      name: 'lc_win_rate',
      label: 'win rate, length-controlled',
      value: (verdicts) => fitLengthControl(verdicts)?.winRate ?? null,
    },
    ...subsets.map((subset) => {
      const only = (verdicts: readonly AlpacaEvalVerdict[]) =>
        verdicts.filter((verdict) => verdict.subset === subset);
      return {
        name: `win_rate_${subset}`,
        label: `win rate, ${subset}`,
        value: (verdicts: readonly AlpacaEvalVerdict[]) => winRate(only(verdicts)),
        count: (verdicts: readonly AlpacaEvalVerdict[]) => only(verdicts).length,
      };
    }),
  ];
}

function winRate(verdicts: readonly AlpacaEvalVerdict[]): number | null {
  if (verdicts.length === 0) return null;
  return verdicts.reduce((sum, { preference }) => sum + preference, 0) / verdicts.length;
}
