/** Estimates and differences against closed forms, and their coverage on simulated data. */
import { difference, estimate } from '../../lib/eval/statistics';
import type { Metric } from '../../lib/eval/evaluation';
import { seededUniform } from '../support/tiny-model';

const mean: Metric<number> = {
  name: 'mean',
  label: 'mean',
  value: (verdicts) => (verdicts.length === 0 ? null : verdicts.reduce((a, b) => a + b, 0) / verdicts.length),
};
/** A ratio of sums: verdicts are [passed, asked]. */
const ratio: Metric<readonly [number, number]> = {
  name: 'ratio',
  label: 'ratio',
  value: (verdicts) => {
    const asked = verdicts.reduce((sum, [, one]) => sum + one, 0);
    return asked === 0 ? null : verdicts.reduce((sum, [one]) => sum + one, 0) / asked;
  },
};

describe('estimate', () => {
  it("is Wilson's interval for yes and no", () => {
    // 30 of 100: the jackknife has p(1 − p)/(n − 1), so it is the interval of n − 1 verdicts.
    const verdicts = Array.from({ length: 100 }, (_, i) => (i < 30 ? 1 : 0));
    const { value, low, high, count } = estimate(mean, verdicts);
    expect([value, count]).toEqual([0.3, 100]);
    expect(low).toBeCloseTo(0.2186, 3);
    expect(high).toBeCloseTo(0.3964, 3);
  });

  it.each([0, 1])('has a width even where all are %d', (verdict) => {
    const { low, high } = estimate(mean, Array<number>(50).fill(verdict));
    // Wilson's interval of 0 of 50: up to z²/(n + z²).
    expect(high! - low!).toBeCloseTo(3.8415 / 53.8415, 4);
  });

  it('does not tell what the verdicts do not tell', () => {
    expect(estimate(mean, [])).toMatchObject({ value: null, low: null, high: null, count: 0 });
    expect(estimate(ratio, [[0, 0]])).toMatchObject({ value: null });
  });

  it('of a ratio of sums holds the truth in 95 of 100 cases', () => {
    const uniform = seededUniform(3);
    const runs = 400;
    let held = 0;
    for (let run = 0; run < runs; run++) {
      // Instructions of one prompt go together: clustered verdicts, whose truth is 0.4.
      const verdicts = Array.from({ length: 80 }, () => {
        const asked = 1 + Math.floor(uniform() * 3);
        const chance = uniform() < 0.5 ? 0.1 : 0.7;
        const passed = Array.from({ length: asked }, () => uniform() < chance).filter(Boolean).length;
        return [passed, asked] as const;
      });
      const { low, high } = estimate(ratio, verdicts);
      if (low! <= 0.4 && high! >= 0.4) held++;
    }
    // 95 % ± three standard errors of 400 runs.
    expect(held / runs).toBeGreaterThan(0.917);
    expect(held / runs).toBeLessThan(0.983);
  });
});

describe('difference', () => {
  it('of means is the paired t interval', () => {
    const before = [0, 0, 1, 1, 0, 1, 0, 0, 1, 0];
    const after = [1, 0, 1, 1, 1, 1, 0, 0, 0, 1];
    const result = difference(mean, before, after);
    // Differences 1 0 0 0 1 0 0 0 −1 1: mean 0.2, s = 0.632456, t(0.975, 9) = 2.262157.
    expect(result).toMatchObject({ before: 0.4, after: 0.6, count: 10 });
    expect(result.difference).toBeCloseTo(0.2, 10);
    // The quantile is good to four digits.
    expect(result.high! - result.difference!).toBeCloseTo((2.262157 * 0.632456) / Math.sqrt(10), 3);
  });

  it('is certain where nothing changed', () => {
    expect(difference(mean, [1, 0, 1], [1, 0, 1])).toMatchObject({ difference: 0, low: 0, high: 0 });
  });

  it('does not tell what one side does not tell', () => {
    expect(difference(ratio, [[0, 0]], [[1, 1]])).toMatchObject({ difference: null, low: null });
    expect(difference(mean, [1], [0])).toMatchObject({ difference: null });
  });
});
