/** Advantages worked out by hand from the equations. */
import { allSame, centred, leaveOneOut, standardised, varianceOf } from '../../lib/lsp/advantages';
import {
  absoluteZero,
  inBand,
  lsp,
  lspZero,
  objectiveFrom,
  recommended,
  rZero,
  spice,
  sqlm,
} from '../../lib/lsp/objectives';
import type { ScoredQuery, ScoredStep } from '../../lib/lsp/types';

let nextCluster = 1000;

function query(rewards: (number | null)[], extra: Partial<ScoredQuery> = {}): ScoredQuery {
  return {
    valid: true,
    rewards,
    quality: null,
    draw: null,
    cluster: nextCluster++,
    seenBefore: 0,
    ...extra,
  };
}

const invalid = (extra: Partial<ScoredQuery> = {}) => query([], { valid: false, ...extra });
const step = (...queries: ScoredQuery[]): ScoredStep => ({ step: 0, queries });

/** Float32 rounding of values below 2: half an ulp is 6e-8. */
function expectValues(actual: Float32Array, expected: number[]): void {
  expect(actual).toHaveLength(expected.length);
  expected.forEach((value, i) => expect(Math.abs(actual[i]! - value)).toBeLessThan(2e-7));
}

describe('group advantages', () => {
  it('centred: r − mean; abstentions get 0 and have no part in the mean', () => {
    expectValues(centred([1, 0, null, 0.5]), [0.5, -0.5, 0, 0]);
    expectValues(centred([null, null]), [0, 0]);
  });

  it('equal rewards give exactly 0, whatever the rounding of their mean', () => {
    // (0.1 + 0.1 + 0.1) / 3 is not 0.1 in binary
    expect([...centred([0.1, 0.1, 0.1])]).toEqual([0, 0, 0]);
    expect(allSame([0.1 + 0.2, 0.3])).toBe(true);
    expect(allSame([0.3, 0.3001])).toBe(false);
    expect(varianceOf([0.1, 0.1, 0.1])).toBe(0);
  });

  it('standardised: divided by the population standard deviation', () => {
    expectValues(
      standardised([1, 0, 1, 0]),
      [1, -1, 1, -1].map((a) => (a * 0.5) / 0.5001),
    );
  });
});

describe('lspZero', () => {
  it('A_Sol = R − V, A_Ch = V̄ − V', () => {
    const result = lspZero()(step(query([1, 0]), query([1, 1]), query([0, 0.25])));
    // V = 0.5, 1, 0.125; V̄ = 1.625 / 3
    expectValues(result.solver[0]!, [0.5, -0.5]);
    expectValues(result.solver[1]!, [0, 0]);
    expectValues(result.solver[2]!, [-0.125, 0.125]);
    const mean = 1.625 / 3;
    expectValues(result.challenger, [mean - 0.5, mean - 1, mean - 0.125]);
  });

  it('an invalid query is paid below any valid one and stays in the mean over all N', () => {
    const result = lspZero()(step(query([1, 1]), invalid(), query([0.5, 0.5]), query([0, 0])));
    // pay: −1, −1 − 0.1, −0.5, 0; mean −0.65
    expectValues(result.challenger, [-0.35, -0.45, 0.15, 0.65]);
    expect(result.solver[1]).toHaveLength(0);
    expect(result.paid!.challenger[1]).toBeCloseTo(-1.1, 12);
  });

  it('an invalid query stays below when rewards leave [0, 1]', () => {
    const { challenger } = lspZero()(step(query([5, 5]), invalid(), query([0, 0])));
    expect(challenger[1]!).toBeLessThan(challenger[0]!);
  });

  it('gives the Challenger nothing when all queries are worth the same', () => {
    const { challenger } = lspZero()(step(query([0.1, 0.2, 0.3]), query([0.3, 0.2, 0.1])));
    expect([...challenger]).toEqual([0, 0]);
    expect([...lspZero()(step(invalid(), invalid())).challenger]).toEqual([0, 0]);
  });

  it('compares queries of one draw with each other only', () => {
    const result = lspZero()(
      step(
        query([1], { draw: 'easy' }),
        query([0.8], { draw: 'easy' }),
        query([0.2], { draw: 'hard' }),
        invalid({ draw: 'hard' }),
      ),
    );
    // easy: −1, −0.8 (mean −0.9); hard: −0.2, −1.1 (mean −0.65)
    expectValues(result.challenger, [-0.1, 0.1, 0.45, -0.45]);
  });

  it('a query whose answers were all left unscored has no advantage and no part in the mean', () => {
    const { challenger } = lspZero()(step(query([1]), query([null, null]), query([0])));
    expectValues(challenger, [-0.5, 0, 0.5]);
  });
});

describe('group advantages of the objectives', () => {
  it('are those that were passed in, whatever the Challenger is paid', () => {
    const groupAdvantages = leaveOneOut;
    const of = [
      lspZero({ groupAdvantages }),
      lsp({ qualityWeight: 0, groupAdvantages }),
      recommended({ qualityWeight: 0, groupAdvantages }),
    ];
    for (const objective of of) {
      const played = step(query([1, 0, 0.5]), query([0, 1, 1]));
      expectValues(objective(played).solver[0]!, [0.75, -0.75, 0]);
      expectValues(objective(played).solver[1]!, [-1, 0.5, 0.5]);
    }
    expect(() => lspZero({ advantages: centred } as never)).toThrow(/known option/);
    expect(() => lspZero({ groupAdvantages: 'centred' as never })).toThrow(/`groupAdvantages`/);
  });
});

describe('lsp', () => {
  it('solver: R + λ R_Q / 7; challenger: −V + λ V_Q / 7', () => {
    const result = lsp({ qualityWeight: 0.2 })(
      step(query([1, 0], { quality: [0.5, 1] }), query([0, 0], { quality: [0, 0.5] }), invalid()),
    );
    // pay: 1.1, 0.2 (mean 0.65) | 0, 0.1 (mean 0.05)
    expectValues(result.solver[0]!, [0.45, -0.45]);
    expectValues(result.solver[1]!, [-0.05, 0.05]);
    // −0.5 + 0.2 · 0.75 = −0.35; 0 + 0.2 · 0.25 = 0.05; −1.1; mean −1.4 / 3
    const mean = -1.4 / 3;
    expectValues(result.challenger, [-0.35 - mean, 0.05 - mean, -1.1 - mean]);
  });

  it('a missing judgement is filled with the mean of the group', () => {
    const { paid } = lsp({ qualityWeight: 1 })(step(query([0, 0, 0], { quality: [0.2, null, 0.6] })));
    expect(paid!.solver[0]).toEqual([0.2, 0.4, 0.6]);
  });

  it('needs a judge, unless quality weighs nothing', () => {
    expect(() => lsp()(step(query([1])))).toThrow(/selfReward/);
    expect(() => lsp({ qualityWeight: 0 })(step(query([1])))).not.toThrow();
    expect(() => lsp({ weight: 1 } as never)).toThrow(/known option/);
  });
});

describe('recommended', () => {
  it('pays for spread, charges for duplicates, trains within the band', () => {
    const objective = recommended({ qualityWeight: 0, duplicateCharge: 0.5 });
    const result = objective(
      step(
        query([1, 0, 1, 0], { cluster: 0 }), // 4 · ¼ = 1, one near-duplicate of the other four
        query([1, 1, 1, 1], { cluster: 0 }), // 0
        query([1, 0, 0, 0], { seenBefore: 2 }), // 4 · 3/16 = 0.75, seen before
        query([0.5, 1, 0.5, 1]), // 4 · 1/16 = 0.25
        invalid(),
      ),
    );
    expect(result.paid!.challenger.map((pay) => Number(pay!.toFixed(12)))).toEqual([
      0.875, -0.125, 0.25, 0.25, -0.6,
    ]);
    expectValues(result.solver[0]!, [0.5, -0.5, 0.5, -0.5]);
  });

  it('the judge alone gives no advantage; the paper lets it', () => {
    const scored = step(
      query([0.5, 0.5, 0.5], { quality: [0, 1, 0.5] }),
      query([0.5, null, null], { quality: [0, 1, 0.5] }),
      query([0.5, 1, 0.5], { quality: [1, 0, 0] }),
    );
    const result = recommended({ qualityWeight: 0.1 })(scored);
    expect([...result.solver[0]!]).toEqual([0, 0, 0]);
    expect([...result.solver[1]!]).toEqual([0, 0, 0]);
    expectValues(result.solver[2]!, [-0.1, 0.3, -0.2]); // 0.6, 1, 0.5 less their mean, 0.7
    expectValues(lsp({ qualityWeight: 0.1 })(scored).solver[0]!, [-0.05, 0.05, 0]);
  });

  it('inBand leaves the Challenger alone', () => {
    const scored = step(query([1, 0, 1, 1]), query([1, 0, 0, 0]));
    const banded = inBand(lspZero(), { low: 0.2, high: 0.6 })(scored);
    expect([...banded.solver[0]!]).toEqual([0, 0, 0, 0]);
    expectValues(banded.solver[1]!, [0.75, -0.25, -0.25, -0.25]);
    expect([...banded.challenger]).toEqual([...lspZero()(scored).challenger]);
  });
});

describe('relatives', () => {
  const pays = (objective: ReturnType<typeof sqlm>, ...queries: ScoredQuery[]) =>
    objective(step(...queries)).paid!.challenger;

  it('R-Zero: 1 − 2|s − ½| minus the cluster share, not below 0', () => {
    const result = pays(
      rZero(),
      query([1, 0, 1, 0], { cluster: 0 }),
      query([1, 1, 1, 0], { cluster: 0 }),
      query([1, 1, 1, 1]),
      query([1, 0, 0, 0]),
    );
    expect(result).toEqual([0.5, 0, 0, 0.25]);
  });

  it('Absolute Zero: 1 − s if solved at all', () => {
    expect(pays(absoluteZero(), query([0, 0]), query([1, 0]), query([1, 1]))).toEqual([0, 0.5, 0]);
  });

  it('SQLM: neither unanimous nor absent', () => {
    expect(pays(sqlm(), query([0, 0]), query([1, 0]), query([1, 1]))).toEqual([0, 1, 0]);
  });

  it('SPICE: a bell over s (1 − s)', () => {
    const [peak, never] = pays(spice(), query([0, 1]), query([0, 0]));
    expect(peak).toBe(1);
    expect(never).toBeCloseTo(Math.exp(-0.0625 / 0.02), 12);
  });

  it('a method of one’s own is a value', () => {
    const mine = objectiveFrom({
      challenger: (q) => q.rewards.length,
      lowest: 0,
      groupAdvantages: standardised,
    });
    expectValues(mine(step(query([0, 1]), query([0]))).challenger, [0.5, -0.5]);
  });
});
