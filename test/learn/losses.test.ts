/**
 * Losses against numbers worked out independently: finite differences of the loss value, and exact expectations over
 * small tabular policies.
 */
import {
  crossEntropy,
  klEstimate,
  klInReward,
  klLoss,
  policyGradient,
  scaled,
  sumOf,
  tokenWeights,
  withKl,
  type Loss,
  type TokenSample,
} from '../../lib/learn/losses';

const SAMPLE: TokenSample = {
  logprobs: [-0.9, -1.2, -0.05, -3.1, -2.0, -0.7],
  oldLogprobs: [-1.0, -0.8, -0.07, -2.2, -2.05, -1.4],
  referenceLogprobs: [-1.3, -1.0, -0.2, -2.0, -2.0, -0.1],
  advantages: [0.5, -0.25, 1, -0.75, 0, 0.3],
};

/** Central differences of the summed loss value: error O(h²) ≈ 1e-10 plus rounding 1e-16 / h ≈ 1e-11. */
function numericalGradient(loss: Loss, sample: TokenSample, h = 1e-5): number[] {
  const total = (logprobs: number[]) =>
    loss.evaluate({ ...sample, logprobs }).loss.reduce((sum, value) => sum + value, 0);
  return Array.from(sample.logprobs, (_, t) => {
    const shifted = (by: number) => Array.from(sample.logprobs, (value, u) => (u === t ? value + by : value));
    return (total(shifted(h)) - total(shifted(-h))) / (2 * h);
  });
}

function expectGradientMatches(loss: Loss): void {
  const expected = numericalGradient(loss, SAMPLE);
  const { gradient } = loss.evaluate(SAMPLE);
  gradient.forEach((value, t) => expect(Math.abs(value - expected[t]!)).toBeLessThan(1e-8));
}

describe('policyGradient', () => {
  it('has the derivative of its value, clipped or not', () => {
    expectGradientMatches(policyGradient());
    expectGradientMatches(policyGradient({ clipLow: 0.1, clipHigh: 0.9 }));
    expectGradientMatches(policyGradient({ clipLow: 1, clipHigh: 100 }));
  });

  it('is −A with a ratio of exactly 1 on-policy', () => {
    const { loss, gradient, clippedTokens } = policyGradient().evaluate({
      ...SAMPLE,
      oldLogprobs: SAMPLE.logprobs,
    });
    expect([...gradient]).toEqual([-0.5, 0.25, -1, 0.75, 0, -0.3]);
    expect([...loss]).toEqual([...gradient]);
    expect(clippedTokens).toBe(0);
  });

  it('clips by hand-worked cases', () => {
    // ratios 1.5 and 0.5 with either sign of the advantage, ε = 0.2
    const logprobs = [1.5, 1.5, 0.5, 0.5].map(Math.log);
    const { loss, gradient, clippedTokens } = policyGradient().evaluate({
      logprobs,
      oldLogprobs: [0, 0, 0, 0],
      referenceLogprobs: null,
      advantages: [1, -1, 1, -1],
    });
    const expectedLoss = [-1.2, 1.5, -0.5, 0.8];
    const expectedGradient = [0, 1.5, -0.5, 0];
    loss.forEach((value, t) => expect(value).toBeCloseTo(expectedLoss[t]!, 12));
    gradient.forEach((value, t) => expect(value).toBeCloseTo(expectedGradient[t]!, 12));
    expect(clippedTokens).toBe(2);
  });

  it('refuses unknown and impossible options', () => {
    expect(() => policyGradient({ cliplow: 0.1 } as never)).toThrow(/Did you mean `clipLow`/);
    expect(() => policyGradient({ clipLow: 2 })).toThrow(/`clipLow`/);
  });
});

describe('KL', () => {
  it('k2 and k3 have the derivatives of their values', () => {
    expectGradientMatches(klLoss('k2', 0.3));
    expectGradientMatches(klLoss('k3', 0.3));
  });

  it('k2 and k3 by hand: d = ln 2', () => {
    const sample = { ...SAMPLE, logprobs: [Math.log(0.5)], referenceLogprobs: [Math.log(0.25)] };
    const d = Math.log(2);
    expect(klLoss('k2', 1).evaluate(sample).loss[0]).toBeCloseTo((d * d) / 2, 14);
    expect(klLoss('k2', 1).evaluate(sample).gradient[0]).toBeCloseTo(d, 14);
    expect(klLoss('k3', 1).evaluate(sample).loss[0]).toBeCloseTo(0.5 + d - 1, 14);
    expect(klLoss('k3', 1).evaluate(sample).gradient[0]).toBeCloseTo(0.5, 14);
    expect(klEstimate(sample.logprobs, sample.referenceLogprobs)).toBeCloseTo(d, 14);
  });

  it('refuses k1 as a differentiated loss and says why', () => {
    expect(() => klLoss('k1', 0.1)).toThrow(/zero expected gradient/);
  });

  it('needs the reference', () => {
    expect(() => klLoss('k2', 1).evaluate({ ...SAMPLE, referenceLogprobs: null })).toThrow(/reference/);
  });

  it('withKl: a coefficient of 0 needs no reference, the forms go where they belong', () => {
    expect(withKl(policyGradient(), { coefficient: 0 }).needsReference).toBe(false);
    expect(withKl(policyGradient()).needsReference).toBe(true);
    const onPolicy = { ...SAMPLE, oldLogprobs: SAMPLE.logprobs };
    const k2 = withKl(policyGradient(), { form: 'k2', coefficient: 0.5 }).evaluate(onPolicy);
    k2.gradient.forEach((value, t) => {
      const d = SAMPLE.logprobs[t]! - SAMPLE.referenceLogprobs![t]!;
      expect(value).toBeCloseTo(-SAMPLE.advantages[t]! + 0.5 * d, 14);
    });
    expect(() => withKl(policyGradient(), { beta: 1 } as never)).toThrow(/known option/);
  });
});

/**
 * A tabular policy over completions of two tokens from {0, 1}: logits θ = [first, second after 0, second after 1].
 * Expectations over the four completions are exact, so gradients of KL can be compared with finite differences.
 */
class TabularPolicy {
  constructor(readonly theta: readonly number[]) {}

  /** log p of both tokens and d log p / dθ for each. */
  tokens(a: number, b: number): { logprobs: number[]; jacobian: number[][] } {
    const states = [0, 1 + a];
    const chosen = [a, b];
    const jacobian = states.map((state, t) => {
      const row = [0, 0, 0];
      row[state] = chosen[t]! - sigmoid(this.theta[state]!);
      return row;
    });
    return { logprobs: states.map((state, t) => logSigmoid(this.theta[state]!, chosen[t]!)), jacobian };
  }
}

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
const logSigmoid = (x: number, token: number) => Math.log(token === 1 ? sigmoid(x) : 1 - sigmoid(x));
const COMPLETIONS = [0, 1].flatMap((a) => [0, 1].map((b) => [a, b] as const));

/** Exact expectation over π_θ of Σ_t gradient_t · ∇ log π_t with zero advantages. */
function expectedGradient(loss: Loss, theta: readonly number[], reference: readonly number[]): number[] {
  const total = [0, 0, 0];
  for (const [a, b] of COMPLETIONS) {
    const { logprobs, jacobian } = new TabularPolicy(theta).tokens(a, b);
    const referenceLogprobs = new TabularPolicy(reference).tokens(a, b).logprobs;
    const probability = Math.exp(logprobs[0]! + logprobs[1]!);
    const sample = { logprobs, oldLogprobs: logprobs, referenceLogprobs, advantages: [0, 0] };
    const { gradient } = loss.evaluate(sample);
    gradient.forEach((g, t) => jacobian[t]!.forEach((j, p) => (total[p]! += probability * g * j)));
  }
  return total;
}

function finiteDifferences(value: (theta: number[]) => number, theta: readonly number[]): number[] {
  const h = 1e-5;
  return theta.map((_, p) => {
    const shifted = (by: number) => theta.map((x, q) => (q === p ? x + by : x));
    return (value(shifted(h)) - value(shifted(-h))) / (2 * h);
  });
}

/** Σ_states visit(state) · KL(π_θ(·|s) ‖ π_ref(·|s)), visits by `visiting`; reverse = false swaps the KL. */
function tokenKl(
  theta: readonly number[],
  reference: readonly number[],
  visiting: readonly number[],
  reverse = true,
) {
  const first = sigmoid(visiting[0]!);
  const visits = [1, 1 - first, first];
  return visits.reduce((sum, visit, state) => {
    const [p, q] = reverse ? [theta, reference] : [reference, theta];
    const kl = [0, 1].reduce((inner, token) => {
      const logp = logSigmoid(p[state]!, token);
      return inner + Math.exp(logp) * (logp - logSigmoid(q[state]!, token));
    }, 0);
    return sum + visit * kl;
  }, 0);
}

describe('expected gradients on-policy (exact, tabular)', () => {
  const theta = [0.4, -0.9, 1.3];
  const reference = [-0.2, 0.1, 0.6];
  const expectClose = (actual: number[], expected: number[]) =>
    // finite differences of values of order 1 with h = 1e-5: errors below 1e-9
    actual.forEach((value, p) => expect(Math.abs(value - expected[p]!)).toBeLessThan(1e-8));

  it('k1 in the reward: the reverse KL of whole completions, states differentiated too', () => {
    const exact = finiteDifferences((x) => tokenKl(x, reference, x), theta);
    expectClose(expectedGradient(klInReward(policyGradient(), 1), theta, reference), exact);
  });

  it('k2 as a loss: the reverse KL per token at the visited states', () => {
    const exact = finiteDifferences((x) => tokenKl(x, reference, theta), theta);
    expectClose(expectedGradient(klLoss('k2', 1), theta, reference), exact);
  });

  it('k3 as a loss: the forward KL, which is another direction', () => {
    const forward = finiteDifferences((x) => tokenKl(x, reference, theta, false), theta);
    const reverse = finiteDifferences((x) => tokenKl(x, reference, theta), theta);
    const actual = expectedGradient(klLoss('k3', 1), theta, reference);
    expectClose(actual, forward);
    expect(Math.max(...actual.map((value, p) => Math.abs(value - reverse[p]!)))).toBeGreaterThan(0.01);
  });

  it('k1 differentiated (what is refused) would have zero expected gradient', () => {
    const k1: Loss = {
      needsReference: true,
      evaluate: ({ logprobs }) => ({
        loss: new Float64Array(logprobs.length),
        gradient: new Float64Array(logprobs.length).fill(1),
        clippedTokens: 0,
      }),
    };
    expectClose(expectedGradient(k1, theta, reference), [0, 0, 0]);
  });
});

describe('crossEntropy and composition', () => {
  it('has gradient −1 and the negative log-likelihood as its value', () => {
    const { loss, gradient } = crossEntropy().evaluate(SAMPLE);
    expect([...loss]).toEqual([0.9, 1.2, 0.05, 3.1, 2, 0.7]);
    expect([...gradient]).toEqual([-1, -1, -1, -1, -1, -1]);
    expectGradientMatches(crossEntropy());
  });

  it('weights multiply and terms add', () => {
    const sum = sumOf(scaled(crossEntropy(), 0.5), klLoss('k2', 0.1), policyGradient());
    expectGradientMatches(sum);
    expect(sum.needsReference).toBe(true);
    const parts = [klLoss('k2', 0.1), policyGradient()].map((loss) => loss.evaluate(SAMPLE).loss[0]!);
    expect(sum.evaluate(SAMPLE).loss[0]).toBeCloseTo(0.45 + parts[0]! + parts[1]!, 14);
  });
});

describe('tokenWeights', () => {
  const lengths = [2, 6, 4];
  const all = [true, true, true];

  it('constant, sequence-mean, token-mean by hand', () => {
    expect([...tokenWeights('constant', lengths, all, 8)]).toEqual([1 / 24, 1 / 24, 1 / 24]);
    expect([...tokenWeights('sequence-mean', lengths, all, 8)]).toEqual([1 / 6, 1 / 18, 1 / 12]);
    expect([...tokenWeights('token-mean', lengths, all, 8)]).toEqual([1 / 12, 1 / 12, 1 / 12]);
  });

  it('a masked sample gets nothing and does not enlarge the step of the others', () => {
    const included = [true, false, true];
    expect([...tokenWeights('constant', lengths, included, 8)]).toEqual([1 / 24, 0, 1 / 24]);
    expect([...tokenWeights('sequence-mean', lengths, included, 8)]).toEqual([1 / 6, 0, 1 / 12]);
    expect([...tokenWeights('token-mean', lengths, included, 8)]).toEqual([1 / 6, 0, 1 / 6]);
    expect([...tokenWeights('token-mean', lengths, [false, false, false], 8)]).toEqual([0, 0, 0]);
  });

  it('refuses an unknown reduction', () => {
    expect(() => tokenWeights('mean' as never, lengths, all, 8)).toThrow(/`reduction`/);
  });
});
