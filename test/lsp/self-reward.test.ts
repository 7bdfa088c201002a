/** The judge: expectation over score tokens, sampled verdicts, and its preflight check. */
import { SelfReward } from '../../lib/lsp';
import { areaUnderCurve, correlation, PREFLIGHT_PAIRS } from '../../lib/lsp/judge-preflight';
import { FakeModel } from './fakes';

const PAIR = { query: 'Name a bird.', answer: 'A wren.' };

function judgeModel(points: (prompt: string) => number, mass = 0.8): FakeModel {
  const model = new FakeModel();
  model.judge = (prompt, candidates) =>
    [...candidates].map((_, score) => (score === points(prompt) ? Math.log(mass) : -Infinity));
  return model;
}

describe('expected verdict', () => {
  it('is the mean over the score tokens, over 7, whatever their mass', async () => {
    const model = new FakeModel();
    // p(2) = 0.1, p(6) = 0.3: expectation (0.2 + 1.8) / 0.4 = 5
    model.judge = (_, candidates) =>
      [...candidates].map((_token, s) => (s === 2 ? Math.log(0.1) : s === 6 ? Math.log(0.3) : -Infinity));
    const [judgement] = await new SelfReward(model).judge([PAIR]);
    // log-probabilities pass through float32: relative error 1e-7
    expect(judgement!.quality).toBeCloseTo(5 / 7, 6);
    expect(judgement!.mass).toBeCloseTo(0.4, 6);
  });

  it('survives a tiny mass and abstains for none', async () => {
    const model = new FakeModel();
    model.judge = (_, candidates) => [...candidates].map((_token, s) => (s === 7 ? -800 : -Infinity));
    expect(await new SelfReward(model).judge([PAIR])).toEqual([{ quality: 1, mass: 0 }]);
    model.judge = (_, candidates) => [...candidates].map(() => -Infinity);
    expect(await new SelfReward(model).judge([PAIR])).toEqual([{ quality: null, mass: 0 }]);
  });

  it('asks for the token after the prefix, digits 0 to 7', async () => {
    const model = new FakeModel();
    let seen: [string, string] | undefined;
    model.judge = (prompt, candidates) => {
      seen = [prompt, String.fromCharCode(...candidates)];
      return [...candidates].map(() => -2);
    };
    const [judgement] = await new SelfReward(model).judge([PAIR]);
    expect(seen![0].endsWith('Points: ')).toBe(true);
    expect(seen![1]).toBe('01234567');
    expect(judgement!.quality).toBeCloseTo(0.5, 6);
  });

  it('is a reward of its own', async () => {
    const reward = new SelfReward(judgeModel(() => 7)).asReward();
    const signal = new AbortController().signal;
    expect(await reward.score([{ ...PAIR, index: 0 } as never], { signal })).toEqual([1]);
  });
});

describe('a pair beyond the context', () => {
  const LONG = { query: 'Name a bird.', answer: 'x'.repeat(4096) };

  it('is not judged, and costs the others nothing', async () => {
    const model = judgeModel(() => 7);
    const nextLogprobs = jest.spyOn(model, 'nextLogprobs');
    expect(await new SelfReward(model).judge([LONG, PAIR, LONG])).toEqual([
      { quality: null, mass: null },
      { quality: 1, mass: expect.closeTo(0.8, 6) as number },
      { quality: null, mass: null },
    ]);
    expect(nextLogprobs.mock.calls[0]![0]).toHaveLength(1);
    expect(await new SelfReward(model).judge([LONG])).toEqual([{ quality: null, mass: null }]);
    expect(nextLogprobs).toHaveBeenCalledTimes(1);
  });

  it('counts from the first token that does not fit, and leaves room for a sampled verdict', async () => {
    const model = new FakeModel({ challenger: ['x'], solver: ['6'] });
    const probe = new SelfReward(model);
    const seen = jest.spyOn(model, 'nextLogprobs');
    await probe.judge([PAIR]);
    const length = (seen.mock.calls[0]![0][0] as Int32Array).length;
    const judged = async (mode: 'expected' | 'sampled', maxPositions: number) => {
      const small = Object.assign(new FakeModel({ challenger: ['x'], solver: ['6'] }), {
        config: { maxPositions },
      });
      const [judgement] = await new SelfReward(small, { mode }).judge([PAIR]);
      return judgement!.quality !== null;
    };
    expect(await judged('expected', length)).toBe(true);
    expect(await judged('expected', length - 1)).toBe(false);
    expect(await judged('sampled', length + 4)).toBe(true);
    expect(await judged('sampled', length + 3)).toBe(false);
  });

  it('does not move the random numbers of the others', async () => {
    const model = new FakeModel({ challenger: ['x'], solver: ['1', '2', '3', '4', '5', '6', '7'] });
    const judge = new SelfReward(model, { mode: 'sampled' });
    const pairs = Array.from({ length: 12 }, () => PAIR);
    const all = await judge.judge(pairs, { step: 3, seed: 5 });
    const some = await judge.judge(
      pairs.map((pair, i) => (i % 2 === 0 ? LONG : pair)),
      { step: 3, seed: 5 },
    );
    expect(some.filter((_, i) => i % 2 === 1)).toEqual(all.filter((_, i) => i % 2 === 1));
  });
});

describe('sampled verdict', () => {
  it('reads the number and abstains where there is none', async () => {
    const model = new FakeModel({ challenger: ['x'], solver: ['6 points'] });
    expect(await new SelfReward(model, { mode: 'sampled' }).judge([PAIR])).toEqual([
      { quality: 6 / 7, mass: null },
    ]);
    const rambling = new FakeModel({ challenger: ['x'], solver: ['88'] });
    expect(await new SelfReward(rambling, { mode: 'sampled' }).judge([PAIR])).toEqual([
      { quality: null, mass: null },
    ]);
  });
});

describe('preflight', () => {
  it('area under the curve and correlation by hand', () => {
    expect(areaUnderCurve([2, 3], [1, 2])).toBe(3.5 / 4);
    expect(areaUnderCurve([1], [1])).toBe(0.5);
    expect(correlation([1, 2, 3], [10, 20, 30])).toBeCloseTo(1, 12);
    expect(correlation([1, null, 2], [10, 0, 5])).toBeCloseTo(-1, 12);
    expect(correlation([1, 1], [1, 2])).toBe(0);
  });

  it('a judge that knows good from corrupted is trusted', async () => {
    const good = new Set(PREFLIGHT_PAIRS.map(({ query, answer }) => `${query}|${answer}`));
    const isGood = (prompt: string) =>
      [...good].some((pair) => {
        const [query, answer] = pair.split('|') as [string, string];
        return prompt.includes(`Task:\n${query}\n\nAnswer:\n${answer}\n\n`);
      });
    const report = await new SelfReward(judgeModel((prompt) => (isGood(prompt) ? 6 : 2))).preflight();
    expect(report.auc).toBe(1);
    expect(report.pairwise).toEqual({ shuffled: 1, foreign: 1, repeated: 1, cut: 1 });
    expect(report.mass).toBeCloseTo(0.8, 5);
    expect(report.warnings).toEqual([]);
  });

  it('a coin, a judge of length, and one that does not understand are reported', async () => {
    const blind = await new SelfReward(judgeModel(() => 3, 0.01)).preflight();
    expect(blind.auc).toBe(0.5);
    expect(blind.warnings.join('\n')).toMatch(/AUC 0.50/);
    expect(blind.warnings.join('\n')).toMatch(/only 1 % of its probability/);
    const words = (prompt: string) => prompt.split('Answer:\n')[1]!.split('\n\nHow')[0]!.split(' ').length;
    const long = await new SelfReward(
      judgeModel((prompt) => Math.min(7, Math.floor(words(prompt) / 4))),
    ).preflight();
    expect(long.lengthCorrelation).toBeGreaterThan(0.9);
    expect(long.warnings.join('\n')).toMatch(/prefers long answers/);
  });

  it('no corruption leaves an answer as it was', async () => {
    const seen: string[] = [];
    await new SelfReward(
      judgeModel((prompt) => {
        seen.push(prompt);
        return 3;
      }),
    ).preflight();
    expect(new Set(seen).size).toBe(5 * PREFLIGHT_PAIRS.length);
  });
});
