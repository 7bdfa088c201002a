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
    expect(verdict === 0 ? low : high).toBe(verdict);
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
  it('of means is the t interval with an item won and one lost added', () => {
    const before = [0, 0, 1, 1, 0, 1, 0, 0, 1, 0];
    const after = [1, 0, 1, 1, 1, 1, 0, 0, 0, 1];
    const result = difference(mean, before, after);
    // Differences 1 0 0 0 1 0 0 0 −1 1 and 1, −1: their mean is 2/12, the squares around it 6 − 12/36.
    expect(result).toMatchObject({ before: 0.4, after: 0.6, count: 10 });
    expect(result.difference).toBeCloseTo(0.2, 10);
    const half = (2.262157 * Math.sqrt(6 - 1 / 3)) / 12; // t(0.975, 9), which is good to four digits
    expect(result.low).toBeCloseTo(1 / 6 - half, 3);
    expect(result.high).toBeCloseTo(1 / 6 + half, 3);
  });

  it('is never certain of what a few items say', () => {
    const three = difference(mean, [0, 0, 0], [1, 1, 1]);
    expect(three.difference).toBe(1);
    expect(three.low).toBeLessThan(0);
    expect(three.high).toBe(1);
    const many = difference(mean, Array<number>(200).fill(0), Array<number>(200).fill(1));
    expect(many.low).toBeGreaterThan(0.95);
    const none = difference(mean, [1, 0, 1], [1, 0, 1]);
    expect(none.difference).toBe(0);
    expect(none.low).toBeLessThan(0);
    expect(none.high).toBeGreaterThan(0);
    expect(difference(mean, [1], [0])).toMatchObject({ difference: -1, low: null, high: null });
  });

  it('of a subset is that of its members alone', () => {
    // A verdict of null is of another subset.
    const subset: Metric<number | null> = {
      name: 'subset',
      label: 'subset',
      value: (verdicts) => mean.value(verdicts.filter((verdict) => verdict !== null)),
      count: (verdicts) => verdicts.filter((verdict) => verdict !== null).length,
    };
    const [before, after] = [
      [0, 1, 0, 0, 1, 0],
      [1, 1, 0, 1, 0, 1],
    ];
    const padded = (values: number[]) => [...values, ...Array<null>(50).fill(null)];
    expect(difference(subset, padded(before), padded(after))).toEqual({
      ...difference(mean, before, after),
      name: 'subset',
      label: 'subset',
    });
    expect(estimate(subset, padded(before))).toEqual({
      ...estimate(mean, before),
      name: 'subset',
      label: 'subset',
    });
  });

  it('holds the truth in 95 of 100 cases', () => {
    const uniform = seededUniform(11);
    const runs = 400;
    let held = 0;
    for (let run = 0; run < runs; run++) {
      // Items differ in difficulty; the second model answers a tenth more of them, whatever they are.
      const items = Array.from({ length: 40 }, () => {
        const chance = 0.1 + 0.7 * uniform();
        const luck = uniform();
        return [Number(luck < chance), Number(luck < chance + 0.1)] as const;
      });
      const { low, high } = difference(
        mean,
        items.map(([before]) => before),
        items.map(([, after]) => after),
      );
      if (low! <= 0.1 && high! >= 0.1) held++;
    }
    // Not below 95 % by more than three standard errors of 400 runs; with few discordant pairs it is cautious.
    expect(held / runs).toBeGreaterThan(0.917);
  });

  it('does not tell what one side does not tell', () => {
    expect(difference(ratio, [[0, 0]], [[1, 1]])).toMatchObject({ difference: null, low: null });
  });
});
