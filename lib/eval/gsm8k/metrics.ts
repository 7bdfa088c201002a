/** Metrics of GSM8K: pass@1 by two readings of the answer, and the majority of several answers. */
import type { Metric } from '../evaluation';

export type Gsm8kVerdict = {
  /** The reference answer in canonical form, and what each answer says in it; null: nothing was found. */
  readonly reference: string;
  /** Behind the first `####`. */
  readonly strict: readonly (string | null)[];
  /** The last number. */
  readonly flexible: readonly (string | null)[];
};

export function gsm8kMetrics(): Metric<Gsm8kVerdict>[] {
  return [
    {
      name: 'pass_at_1',
      label: 'pass@1, answer behind ####',
      value: (verdicts) => mean(verdicts.map(({ strict, reference }) => shareOf(strict, reference))),
    },
    {
      name: 'pass_at_1_flexible',
      label: 'pass@1, last number',
      value: (verdicts) => mean(verdicts.map(({ flexible, reference }) => shareOf(flexible, reference))),
    },
    {
      name: 'maj_at_k',
      label: 'majority of k answers',
      value: (verdicts) => mean(verdicts.filter(hasSeveral).map(majority)),
      count: (verdicts) => verdicts.filter(hasSeveral).length,
    },
  ];
}

function hasSeveral({ strict }: Gsm8kVerdict): boolean {
  return strict.length > 1;
}

/** With k answers, pass@1 of an item is the share that is right. */
function shareOf(answers: readonly (string | null)[], reference: string): number {
  return answers.filter((answer) => answer === reference).length / answers.length;
}

/**
 * 1 if most answers say the reference, by `####` where there is one and by the last number elsewhere (Wang et al. 2022,
 * arXiv 2203.11171). Of several largest camps each wins its share, so that the order of answers does not matter.
 */
export function majority({ reference, strict, flexible }: Gsm8kVerdict): number {
  const counts = new Map<string, number>();
  strict.forEach((answer, index) => {
    const vote = answer ?? flexible[index] ?? null;
    if (vote !== null) counts.set(vote, (counts.get(vote) ?? 0) + 1);
  });
  const largest = Math.max(0, ...counts.values());
  if (largest === 0 || counts.get(reference) !== largest) return 0;
  return 1 / [...counts.values()].filter((count) => count === largest).length;
}

function mean(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0) / values.length;
}
