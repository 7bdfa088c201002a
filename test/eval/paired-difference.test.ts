import { pairedDifference } from '../../lib/eval/probe/paired-difference';

describe('pairedDifference', () => {
  // Worked by hand: differences 1, 2, 3; s = 1; t(0.975, 2) = 4.303.
  test('is the mean with the t interval of the differences', () => {
    const { mean, low, high, changed } = pairedDifference([5, 0, 1], [6, 2, 4])!;
    expect([mean, changed]).toEqual([2, 3]);
    expect(high - mean).toBeCloseTo(4.303 / Math.sqrt(3), 3);
    expect(mean - low).toBeCloseTo(high - mean, 12);
  });

  // Tables: t(0.975, 5) = 2.571, t(0.975, 6) = 2.4469, t(0.975, 31) = 2.0395. The expansion
  // is off by 0.001 for six degrees of freedom, which no reader of an interval can see.
  test.each([
    [6, 2.571],
    [7, 2.4469],
    [32, 2.0395],
  ])('of %d pairs uses the table', (count, t) => {
    const after = Array.from({ length: count }, (_, i) => i);
    const spread = Math.sqrt((count * (count + 1)) / 12);
    const { low, high } = pairedDifference(new Array<number>(count).fill(0), after)!;
    expect((((high - low) / 2) * Math.sqrt(count)) / spread).toBeCloseTo(t, 2);
  });

  test('needs two pairs', () => {
    expect(pairedDifference([1], [2])).toBeNull();
    expect(pairedDifference([1, 1], [1, 1])).toEqual({ mean: 0, low: 0, high: 0, changed: 0 });
  });
});
