/** The arithmetic of the comparison: pairs by seed, intervals, and what a page says of the runs it was given. */
import type { Measurement } from '../../bench/compare/measure';
import { comparisonReport } from '../../bench/compare/page';
import { comparisonTable, intervalOf, pairedMethods, summarize } from '../../bench/compare/table';

function measurement(method: string, seed: number, accuracy: number): Measurement {
  const late = {
    value: 0.5,
    validShare: 0.9,
    difficulty: 3,
    entropy: 0.1,
    zeroSignalShare: 0.5,
    challengerKl: null,
    solverKl: 0.2,
  };
  return {
    method,
    seed,
    budget: method === 'base' ? 999_999 : 1000,
    learningRate: method === 'base' ? 1 : 2e-4,
    model: 'cafe',
    code: 'f00d',
    steps: 3,
    tokens: 1010,
    curve: [
      { tokens: 0, accuracy: 0.4 },
      { tokens: 1010, accuracy },
    ],
    accuracy,
    greedy: accuracy,
    beyond: 0.1,
    byKind: {},
    late,
    hardest: 7,
    seconds: 1,
    failed: null,
  };
}

// Out of order, and with one seed that has no partner.
const runs = [
  measurement('recommended', 3, 0.9),
  measurement('recommended', 1, 0.7),
  measurement('grpo', 2, 0.8),
  measurement('recommended', 2, 0.82),
  measurement('grpo', 1, 0.72),
  measurement('base', 0, 0.4),
];

test('an interval is that of Student', () => {
  const { mean, low, high } = intervalOf([1, 2, 3, 4]);
  expect(mean).toBe(2.5);
  // t(3, 97.5 %) = 3.182446; the deviation of the mean is sqrt(5/3) / 2.
  const half = (3.182446 * Math.sqrt(5 / 3)) / 2;
  expect(low).toBeCloseTo(2.5 - half, 5);
  expect(high).toBeCloseTo(2.5 + half, 5);
  expect(intervalOf([0.3])).toEqual({ mean: 0.3, low: null, high: null });
});

test('differences are of runs with the same seed', () => {
  const [base, grpo, recommended] = summarize(runs);
  expect([base!.name, grpo!.name, recommended!.name]).toEqual(['base', 'grpo', 'recommended']);
  expect([base!.difference, grpo!.difference]).toEqual([null, null]);
  expect(recommended!.runs.map(({ seed }) => seed)).toEqual([1, 2, 3]);
  expect(recommended!.accuracy.mean).toBeCloseTo((0.7 + 0.82 + 0.9) / 3, 12);
  expect(recommended!.difference!.mean).toBeCloseTo((-0.02 + 0.02) / 2, 12);
  expect(pairedMethods([recommended!])).toEqual([]);
});

test('table and page tell the settings of the runs, not of the base model', () => {
  expect(comparisonTable(runs)).toMatch(/Recommended .*\| 3 \|/);
  const page = JSON.stringify(comparisonReport(runs));
  expect(page).toContain('3 seeds · 1,000 generated tokens a run');
  expect(page).toContain('0.0002, constant');
  expect(() => comparisonReport([runs.at(-1)!])).toThrow('no run of any method');
});
