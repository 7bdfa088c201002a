/**
 * The family of losses against automatic differentiation of the objectives as their papers write them
 * (test/fixtures/make_losses.py), and by hand.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  cispo,
  dpo,
  gspo,
  sequencePolicyGradient,
  tokenWeights,
  withKl,
  type Loss,
  type Reduction,
  type TokenSample,
} from '../../lib/learn/losses';
import { centred, leaveOneOut, standardised } from '../../lib/lsp/advantages';
import { LOSS_NAMES, lossRecipe, type LossName } from '../../lib/lsp/loss-recipes';

type Numbers = number[];
interface FixtureSample {
  logprobs: Numbers;
  oldLogprobs: Numbers;
  referenceLogprobs: Numbers;
  tokenAdvantages: Numbers;
}
interface FixtureCase {
  name: string;
  advantages: 'centred' | 'standardised' | 'leaveOneOut';
  samples: 'far' | 'near';
  loss: number;
  gradient: Numbers[][];
  tokensWithoutGradient: number;
}
interface Fixture {
  maxNewTokens: number;
  rewards: Numbers[];
  advantages: Record<FixtureCase['advantages'], Numbers[]>;
  samples: Record<FixtureCase['samples'], FixtureSample[][]>;
  cases: FixtureCase[];
  dpo: {
    beta: number;
    pairs: { logprobs: Numbers; referenceLogprobs: Numbers }[][];
    losses: Numbers;
    gradient: Numbers[][];
  }[];
}
const FIXTURE = JSON.parse(readFileSync(join(__dirname, '../fixtures/losses.json'), 'utf8')) as Fixture;

/** Some 50 roundings of double precision (1e-16 each) in sums of values of order 1, in another order. */
const DOUBLE = 1e-14;

const recipeOf = (name: LossName) => {
  const { loss, reduction, kl } = lossRecipe(name);
  // k1 of RLOO goes into the reward, where the equation of the loss begins.
  return { loss: name === 'rloo' ? loss : withKl(loss, kl), reduction };
};

/** What stands for a case: a recipe, or a value with other options. */
const VALUES: Record<string, { loss: Loss; reduction: Reduction; ofTokens?: boolean }> = {
  ...Object.fromEntries(LOSS_NAMES.map((name) => [name, recipeOf(name)])),
  'gspo-wide': { loss: gspo({ clipLow: 0.2, clipHigh: 0.3 }), reduction: 'sequence-mean' },
  'gspo-token': { loss: gspo(), reduction: 'sequence-mean', ofTokens: true },
};

describe('reduced gradients are those of automatic differentiation', () => {
  it('for every recipe', () => {
    expect(FIXTURE.cases.map(({ name }) => name)).toEqual(expect.arrayContaining([...LOSS_NAMES]));
  });

  test.each(FIXTURE.cases)('$name', ({ name, advantages, samples, loss: expected, gradient, ...rest }) => {
    const { loss, reduction, ofTokens } = VALUES[name]!;
    const answers = FIXTURE.samples[samples].flatMap((group, g) =>
      group.map((sample, j) => ({
        sample: {
          ...sample,
          advantages: ofTokens
            ? sample.tokenAdvantages
            : sample.logprobs.map(() => FIXTURE.advantages[advantages][g]![j]!),
        },
        gradient: gradient[g]![j]!,
      })),
    );
    const lengths = answers.map(({ sample }) => sample.logprobs.length);
    const included = lengths.map(() => true);
    const weights = tokenWeights(reduction, lengths, included, FIXTURE.maxNewTokens);
    let total = 0;
    let clippedTokens = 0;
    answers.forEach(({ sample, gradient: wanted }, i) => {
      const result = loss.evaluate(sample);
      result.gradient.forEach((value, t) =>
        expect(Math.abs(value * weights[i]! - wanted[t]!)).toBeLessThan(DOUBLE),
      );
      total += weights[i]! * result.loss.reduce((sum, value) => sum + value, 0);
      clippedTokens += result.clippedTokens;
    });
    expect(Math.abs(total - expected)).toBeLessThan(DOUBLE);
    // The samples have clipped tokens and others; only CISPO and a KL term give the clipped ones a gradient.
    const tokens = lengths.reduce((sum, length) => sum + length, 0);
    expect(clippedTokens).toBeGreaterThan(0);
    expect(clippedTokens).toBeLessThan(tokens);
    expect(rest.tokensWithoutGradient).toBe(name === 'cispo' || name === 'grpo' ? 0 : clippedTokens);
  });
});

test.each(Object.entries({ centred, standardised, leaveOneOut }))('%s advantages', (name, of) => {
  FIXTURE.rewards.forEach((rewards, g) => {
    const expected = FIXTURE.advantages[name as FixtureCase['advantages']][g]!;
    // Two roundings to float32 of values below 2: at most 1.2e-7 each.
    of(rewards).forEach((value, j) => expect(Math.abs(value - expected[j]!)).toBeLessThan(2.4e-7));
  });
});

describe('leaveOneOut', () => {
  it('an abstention counts for no baseline, a lone answer and equal ones have no advantage', () => {
    expect([...leaveOneOut([1, null, 0])]).toEqual([1, 0, -1]);
    expect([...leaveOneOut([1, null])]).toEqual([0, 0]);
    expect([...leaveOneOut([0.1, 0.1, 0.1])]).toEqual([0, 0, 0]);
    expect([...leaveOneOut([])]).toEqual([]);
  });
});

const SAMPLE: TokenSample = {
  logprobs: [-0.5, -1, -2],
  oldLogprobs: [-0.5, -1, -2],
  referenceLogprobs: null,
  advantages: [0.75, 0.75, 0.75],
};

describe('on-policy', () => {
  test.each(LOSS_NAMES)('the gradient of %s is −A, exactly', (name) => {
    const { gradient, clippedTokens } = lossRecipe(name).loss.evaluate(SAMPLE);
    expect([...gradient]).toEqual([-0.75, -0.75, -0.75]);
    expect(clippedTokens).toBe(0);
  });

  test.each(LOSS_NAMES)('%s has no gradient, and no negative zero, without an advantage', (name) => {
    const { gradient } = lossRecipe(name).loss.evaluate({ ...SAMPLE, advantages: [0, 0, 0] });
    expect([...gradient]).toEqual([0, 0, 0]);
  });

  test.each(LOSS_NAMES)('%s takes an answer without tokens', (name) => {
    const empty = { logprobs: [], oldLogprobs: [], referenceLogprobs: [], advantages: [] };
    expect(lossRecipe(name).loss.evaluate(empty)).toMatchObject({ clippedTokens: 0 });
  });
});

describe('by hand', () => {
  it('cispo: a ratio of 8 weighs 5, one of 1/8 weighs itself or the limit below', () => {
    const sample = { ...SAMPLE, logprobs: [-1, -4], oldLogprobs: [-1 - Math.log(8), -4 + Math.log(8)] };
    const at = (loss: Loss) => loss.evaluate({ ...sample, advantages: [1, 1] });
    expect(at(cispo()).gradient[0]).toBe(-5);
    expect(at(cispo()).gradient[1]).toBeCloseTo(-1 / 8, 14);
    expect(at(cispo()).loss[0]).toBe(5);
    expect(at(cispo()).clippedTokens).toBe(1);
    expect(at(cispo({ clipLow: 0.5 })).gradient[1]).toBe(-0.5);
    expect(at(cispo({ clipLow: 0.5 })).clippedTokens).toBe(2);
  });

  it('gspo: the ratio is the geometric mean, that of the sequence loss the product', () => {
    const oldLogprobs = SAMPLE.logprobs as number[];
    const logprobs = [2, 4, 1].map((ratio, t) => oldLogprobs[t]! + Math.log(ratio));
    const wide = { clipHigh: 100 };
    expect(gspo(wide).evaluate({ ...SAMPLE, logprobs }).gradient[2]).toBeCloseTo(-2 * 0.75, 14);
    const whole = sequencePolicyGradient(wide).evaluate({ ...SAMPLE, logprobs });
    expect(whole.gradient[2]).toBeCloseTo(-8 * 0.75, 14);
    expect(whole.loss.reduce((a, b) => a + b)).toBeCloseTo(-8 * 0.75, 14);
    expect(gspo().evaluate({ ...SAMPLE, logprobs })).toMatchObject({
      gradient: Float64Array.of(0, 0, 0),
      clippedTokens: 3,
    });
  });
});

describe('dpo', () => {
  test.each(FIXTURE.dpo)('β = $beta: losses and gradients of pairs, extreme ones too', (expected) => {
    const { beta, pairs, losses, gradient } = expected;
    const loss = dpo({ beta });
    pairs.forEach(([chosen, rejected], i) => {
      const result = loss.evaluate(chosen!, rejected!);
      // Relative to losses of up to 300, and to sums of log-probabilities of that size.
      expect(Math.abs(result.loss - losses[i]!)).toBeLessThan(1e-12 * Math.max(1, losses[i]!));
      expect(result.loss).toBeGreaterThanOrEqual(0);
      for (const [side, value] of [result.chosen, result.rejected].entries()) {
        for (const wanted of gradient[i]![side]!)
          expect(Math.abs(value / pairs.length - wanted)).toBeLessThan(DOUBLE);
      }
    });
  });

  it('the policy that is the reference has margin 0, loss ln 2 and slope β / 2', () => {
    const side = { logprobs: [-1, -2, -0.5], referenceLogprobs: [-1, -2, -0.5] };
    expect(dpo({ beta: 0.2 }).evaluate(side, side)).toEqual({
      loss: Math.LN2,
      margin: 0,
      chosen: -0.1,
      rejected: 0.1,
    });
  });
});

describe('what is refused', () => {
  test.each<[() => unknown, RegExp]>([
    [() => lossRecipe('dapoo' as never), /one of 'dr-grpo', .* for `loss` .*Did you mean 'dapo'\?/],
    [() => gspo({ cliphigh: 1 } as never), /Did you mean `clipHigh`/],
    [() => sequencePolicyGradient({ clipLow: 2 }), /`clipLow`/],
    [() => cispo({ clipHigh: -1 }), /`clipHigh`/],
    [() => cispo({ clipLow: 1.5 }), /`clipLow`/],
    [() => dpo({ beta: 0 }), /above 0 for `beta`/],
    [() => dpo({ Beta: 1 } as never), /Did you mean `beta`/],
  ])('%s', (run, message) => expect(run).toThrow(message));
});
