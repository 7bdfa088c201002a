/** Sums of rewards and calls of rewards that misbehave. */
import {
  RewardError,
  rewardFrom,
  scoreSamples,
  weightedSum,
  type Reward,
  type Sample,
} from '../../lib/rewards/reward';

const samples = ['a', 'bb', 'ccc'].map((answer, index) => ({ answer, index }) as unknown as Sample);
const context = { signal: new AbortController().signal };
const length = rewardFrom(({ answer }) => answer.length);

describe('weightedSum', () => {
  it('adds; an abstention adds nothing; all abstaining abstains', async () => {
    const shy = rewardFrom(({ index }) => (index === 0 ? null : 1));
    const sum = weightedSum([
      { reward: shy, weight: 10 },
      { reward: rewardFrom(({ index, answer }) => (index === 2 ? null : answer.length)), weight: 0.5 },
    ]);
    expect(await sum.score(samples, context)).toEqual([0.5, 11, 10]);
    expect(await weightedSum([{ reward: shy, weight: 1 }]).score(samples, context)).toEqual([null, 1, 1]);
  });

  it('refuses no parts and weights that are no numbers', () => {
    expect(() => weightedSum([])).toThrow(/at least one/);
    expect(() => weightedSum([{ reward: length, weight: NaN }])).toThrow(/`weight`/);
  });
});

describe('scoreSamples', () => {
  const score = (reward: Reward, timeoutMs = 1000, signal?: AbortSignal) =>
    scoreSamples(reward, samples, { timeoutMs, ...(signal && { signal }) });

  it('returns what the reward says', async () => expect(await score(length)).toEqual([1, 2, 3]));

  it('does not call a reward for nothing', async () => {
    const never: Reward = { score: () => Promise.reject(new Error('called')) };
    expect(await scoreSamples(never, [], { timeoutMs: 1 })).toEqual([]);
  });

  it.each([NaN, Infinity, '1', undefined])('refuses %p and names the sample', async (value) => {
    const error = await score({ score: () => [1, value as number, 1] }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(RewardError);
    expect(error).toMatchObject({ code: 'REWARD_FAILED', sampleIndex: 1 });
  });

  it('finds the sample that throws, synchronously or not', async () => {
    const asynchronous = rewardFrom(async ({ answer }) => {
      if (answer === 'ccc') throw new Error('three');
      return 1;
    });
    await expect(score(asynchronous)).rejects.toMatchObject({ sampleIndex: 2 });
    const synchronous: Reward = {
      score: (all) => {
        if (all.some(({ answer }) => answer === 'bb')) throw new Error('two');
        return all.map(() => 0);
      },
    };
    await expect(score(synchronous)).rejects.toMatchObject({ sampleIndex: 1 });
  });

  it('finds the sample that hangs and tells the reward to stop', async () => {
    let stopped = false;
    const hanging: Reward = {
      score: async (all, { signal }) => {
        if (!all.some(({ answer }) => answer === 'bb')) return all.map(() => 0);
        signal.addEventListener('abort', () => (stopped = true));
        return new Promise(() => undefined);
      },
    };
    await expect(score(hanging, 20)).rejects.toMatchObject({ sampleIndex: 1 });
    expect(stopped).toBe(true);
  });

  it('searches for one that hangs no longer than one more time limit', async () => {
    const timeoutMs = 200;
    const alone: string[] = [];
    const slow: Reward = {
      score: async (all) => {
        if (all.length === 1) alone.push(all[0]!.answer);
        await new Promise((resolve) => setTimeout(resolve, 0.4 * timeoutMs * all.length).unref());
        return all.map(() => 0);
      },
    };
    const started = performance.now();
    await expect(score(slow, timeoutMs)).rejects.toMatchObject({
      sampleIndex: null,
      message: expect.stringMatching(/no single one .* within 200 ms/),
    });
    // The call with all samples and the search have a limit each; timers may be late, but never by another limit.
    expect(performance.now() - started).toBeLessThan(2.9 * timeoutMs);
    expect(alone).toEqual(['a', 'bb', 'ccc']);
  });

  it('does not blame a hanging sample for an exception', async () => {
    const confused: Reward = {
      score: (all) => {
        if (all.length > 1) throw new Error('too many');
        return new Promise(() => undefined);
      },
    };
    await expect(score(confused, 20)).rejects.toMatchObject({
      sampleIndex: null,
      message: expect.stringMatching(/too many/),
    });
  });

  it('says so when no single sample is to blame', async () => {
    const whole: Reward = {
      score: (all) => {
        if (all.length > 1) throw new Error('too many');
        return [0];
      },
    };
    await expect(score(whole)).rejects.toMatchObject({
      sampleIndex: null,
      message: expect.stringMatching(/too many/),
    });
  });

  it('an abort rejects with its reason and reaches the reward', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const waiting: Reward = {
      score: (_, { signal }) => {
        setImmediate(() => controller.abort(reason));
        return new Promise((_resolve, reject) =>
          signal.addEventListener('abort', () => reject(new Error('late'))),
        );
      },
    };
    await expect(score(waiting, 1000, controller.signal)).rejects.toBe(reason);
  });
});
