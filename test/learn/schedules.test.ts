import { constant, cosine, linear, warmUp } from '../../lib/learn/schedules';

describe('schedules', () => {
  it('constant', () => expect([0, 7].map(constant(0.1))).toEqual([0.1, 0.1]));

  it('linear reaches its final rate and stays there', () => {
    const schedule = linear({ learningRate: 1, steps: 4, finalRate: 0.2 });
    [1, 0.8, 0.6, 0.4, 0.2, 0.2].forEach((rate, step) => expect(schedule(step)).toBeCloseTo(rate, 12));
  });

  it('cosine: full, half, final', () => {
    const schedule = cosine({ learningRate: 2, steps: 10, finalRate: 1 });
    expect(schedule(0)).toBe(2);
    expect(schedule(5)).toBeCloseTo(1.5, 12);
    expect(schedule(10)).toBeCloseTo(1, 12);
    expect(schedule(99)).toBeCloseTo(1, 12);
  });

  it('warm-up rises to the schedule and then runs it from its beginning', () => {
    const schedule = warmUp(3, linear({ learningRate: 1, steps: 2 }));
    [0.25, 0.5, 0.75, 1, 0.5, 0].forEach((rate, step) => expect(schedule(step)).toBeCloseTo(rate, 12));
  });

  it('refuses impossible values', () => {
    expect(() => constant(-1)).toThrow(/`learningRate`/);
    expect(() => cosine({ learningRate: 1, steps: 0 })).toThrow(/`steps`/);
    expect(() => warmUp(0.5, constant(1))).toThrow(/`steps`/);
  });
});
