/** Metrics of IFEval: of prompts and of instructions, strict and loose, and the strict share of each kind. */
import type { Metric } from '../evaluation';
import { IFEVAL_IDS } from '../../rewards/instructions';

/** One verdict an instruction of the row, in its order. */
export type IfEvalVerdict = {
  readonly ids: readonly string[];
  readonly strict: readonly boolean[];
  readonly loose: readonly boolean[];
};

type Reading = 'strict' | 'loose';

/** prompt_strict, instruction_strict, prompt_loose, instruction_loose, then `strict_<kind>` for each of the 25 kinds. */
export function ifEvalMetrics(): Metric<IfEvalVerdict>[] {
  return [
    promptLevel('strict'),
    instructionLevel('strict'),
    promptLevel('loose'),
    instructionLevel('loose'),
    ...IFEVAL_IDS.map((id) => ({
      name: `strict_${id.split(':')[1]!}`,
      label: `${id}, strict`,
      value: (verdicts: readonly IfEvalVerdict[]) =>
        share(verdicts, ({ ids, strict }) => strict.filter((_, index) => ids[index] === id)),
      count: (verdicts: readonly IfEvalVerdict[]) => verdicts.filter(({ ids }) => ids.includes(id)).length,
    })),
  ];
}

/** The share of prompts all of whose instructions are followed. */
function promptLevel(reading: Reading): Metric<IfEvalVerdict> {
  return {
    name: `prompt_${reading}`,
    label: `prompts, ${reading}`,
    value: (verdicts) => share(verdicts, (verdict) => [verdict[reading].every(Boolean)]),
  };
}

/** The share of all instructions that are followed. */
function instructionLevel(reading: Reading): Metric<IfEvalVerdict> {
  return {
    name: `instruction_${reading}`,
    label: `instructions, ${reading}`,
    value: (verdicts) => share(verdicts, (verdict) => verdict[reading]),
  };
}

function share(
  verdicts: readonly IfEvalVerdict[],
  of: (verdict: IfEvalVerdict) => readonly boolean[],
): number | null {
  let followed = 0;
  let all = 0;
  for (const verdict of verdicts) {
    for (const value of of(verdict)) {
      all++;
      if (value) followed++;
    }
  }
  return all === 0 ? null : followed / all;
}
