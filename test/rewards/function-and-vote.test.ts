/** Verifiable instructions as a reward, majority votes, and functions with a time limit per sample. */
import { FunctionReward } from '../../lib/rewards/function-reward';
import { parseConstraint } from '../../lib/rewards/instructions';
import { countVotes, MajorityVote, normalizeAnswer } from '../../lib/rewards/majority-vote';
import { VerifiableInstructions } from '../../lib/rewards/verifiable-instructions';
import { sampleOf } from './samples';

const coded = (code: string) => expect.objectContaining({ code });

describe('VerifiableInstructions', () => {
  const constraints = ['words <= 5', 'no commas', 'include: ocean'].map((line) => parseConstraint(line)!);
  const score = (answer: string, options = {}) =>
    new VerifiableInstructions(options).score([sampleOf(answer, { info: { constraints } })])[0];

  it('is the share of constraints that hold', () => {
    expect(score('The blue ocean')).toBe(1);
    expect(score('The blue, deep ocean')).toBeCloseTo(2 / 3, 12);
    expect(score('One, two, three, four, five, six')).toBe(0);
  });

  it('is 0 for answers that say nothing, although constraints hold for them', () => {
    for (const answer of ['', '  \n', '...', '***']) expect(score(answer)).toBe(0);
    expect(score('...', { minimumWords: 0 })).toBeCloseTo(2 / 3, 12); // as the checks alone have it
  });

  it('is 0 below the floors', () => {
    expect(score('ocean', { minimumWords: 2 })).toBe(0);
    expect(score('ocean blue', { minimumWords: 2 })).toBe(1);
    expect(score('ocean Ocean OCEAN ocean', { minimumDistinctShare: 0.5 })).toBe(0);
    expect(score('ocean blue ocean blue', { minimumDistinctShare: 0.5 })).toBe(1);
  });

  it('abstains without constraints', () => {
    const reward = new VerifiableInstructions();
    expect(reward.score([sampleOf('a'), sampleOf('b', { info: { constraints: [] } })])).toEqual([null, null]);
  });

  it.each([
    [{ constraints: 'words <= 5' }],
    [{ constraints: ['words <= 5'] }],
    [{ constraints: [{ id: 'no:such' }] }],
    [{ constraints: [null] }],
  ])('refuses %j instead of scoring 0', (info) => {
    const reward = new VerifiableInstructions();
    expect(() => reward.score([sampleOf('a', { info })])).toThrow(coded('INVALID_ARGUMENT'));
  });

  it('checks its options', () => {
    expect(() => new VerifiableInstructions({ minimumWords: -1 })).toThrow(coded('INVALID_ARGUMENT'));
    expect(() => new VerifiableInstructions({ minimumDistinctShare: 2 })).toThrow(coded('INVALID_ARGUMENT'));
    expect(() => new VerifiableInstructions({ minWords: 1 } as never)).toThrow(coded('UNKNOWN_OPTION'));
  });
});

describe('MajorityVote', () => {
  const samples = (...groups: string[][]) =>
    groups.flatMap((answers, queryIndex) => answers.map((answer) => sampleOf(answer, { queryIndex })));

  it('pays the largest camp of each query', () => {
    const reward = new MajorityVote();
    expect(reward.score(samples(['4', '5', ' 4. '], ['5', '5', '4']))).toEqual([1, 0, 1, 1, 1, 0]);
  });

  it('groups by query, however the samples are ordered', () => {
    const [a, b, c, d] = samples(['1', '1'], ['2', '3']);
    expect(new MajorityVote().score([c!, a!, d!, b!])).toEqual([1, 1, 0, 1]);
  });

  it('pays shares if asked', () => {
    expect(new MajorityVote({ score: 'share' }).score(samples(['a', 'b', 'a', '']))).toEqual([
      0.5, 0.25, 0.5, 0,
    ]);
  });

  it('abstains where nobody votes; an answer without a vote scores 0', () => {
    expect(new MajorityVote().score(samples(['', '?!'], ['a', '']))).toEqual([null, null, 1, 0]);
  });

  it('takes an extraction of its own', () => {
    const extract = (answer: string): string | null => /#### (\d+)/.exec(answer)?.[1] ?? null;
    const reward = new MajorityVote({ extract });
    expect(reward.score(samples(['so #### 7', '7', 'no, #### 7', '#### 8']))).toEqual([1, 0, 1, 0]);
  });

  it('counts the winner among all answers; the earliest of equals wins', () => {
    expect(countVotes(['b', 'a', null, 'a', 'b'])).toMatchObject({ winner: 'b', share: 0.4 });
    expect(countVotes([null])).toMatchObject({ winner: null, share: 0 });
    expect(countVotes([])).toMatchObject({ winner: null, share: 0 });
  });

  it.each([
    ['1,200.50', '1200.5'],
    ['+7', '7'],
    ['007', '7'],
    ['-0.0', '0'],
    ['.5', '.5'],
    ['**Paris**.', 'paris'],
    ['  New \n York ', 'new york'],
    ['ＡＢＣ', 'abc'],
    ['1,2', '1,2'],
    ['', null],
    ['"..."', null],
  ])('normalizes %j to %j', (answer, normal) => expect(normalizeAnswer(answer)).toBe(normal));
});

describe('FunctionReward', () => {
  const samples = ['a', 'bb', 'ccc'].map((answer, index) => sampleOf(answer, { index }));

  it('scores in order, synchronously or not, and may abstain', async () => {
    expect(await new FunctionReward(({ answer }) => answer.length).score(samples)).toEqual([1, 2, 3]);
    const slowestFirst = new FunctionReward(async ({ index }) => {
      await new Promise((resolve) => setTimeout(resolve, 20 * (2 - index)));
      return index === 1 ? null : index;
    });
    expect(await slowestFirst.score(samples)).toEqual([0, null, 2]);
  });

  it('runs no more than `concurrency` at a time', async () => {
    let running = 0;
    let most = 0;
    const reward = new FunctionReward(
      async () => {
        most = Math.max(most, ++running);
        await new Promise((resolve) => setImmediate(resolve));
        return --running;
      },
      { concurrency: 2 },
    );
    await reward.score([...samples, ...samples, ...samples]);
    expect(most).toBe(2);
  });

  it.each<[string, (index: number) => unknown, RegExp]>([
    [
      'throws',
      () => {
        throw new Error('no idea');
      },
      /sample 1 .*exception: no idea/,
    ],
    ['rejects', () => Promise.reject(new Error('later')), /sample 1 .*exception: later/],
    ['gives NaN', () => NaN, /sample 1 .*NaN/],
    ['gives a string', () => '1', /sample 1 .*type string/],
    ['gives nothing', () => undefined, /sample 1 .*type undefined/],
    ['hangs', () => new Promise(() => undefined), /sample 1 .*no score within 50 ms/],
  ])('names the sample that %s', async (_name, misbehave, message) => {
    const reward = new FunctionReward(({ index }) => (index === 1 ? (misbehave(index) as number) : 1), {
      timeoutMs: 50,
    });
    const error: unknown = await reward.score(samples).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'REWARD_FAILED', sampleIndex: 1 });
    expect((error as Error).message).toMatch(message);
  });

  it('tells the function when its time is up and when another sample failed', async () => {
    const aborted: number[] = [];
    const reward = new FunctionReward(
      ({ index }, { signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => aborted.push(index));
          if (index === 2) setTimeout(() => reject(new Error('third')), 5);
        }),
    );
    await expect(reward.score(samples)).rejects.toMatchObject({ sampleIndex: 2 });
    expect(aborted.sort()).toEqual(expect.arrayContaining([0, 1]));
  });

  it("rejects with the signal's reason, and starts no further sample", async () => {
    const controller = new AbortController();
    let started = 0;
    const reward = new FunctionReward(
      () => {
        started++;
        controller.abort(new Error('enough'));
        return new Promise(() => undefined);
      },
      { concurrency: 1 },
    );
    await expect(reward.score(samples, { signal: controller.signal })).rejects.toThrow('enough');
    expect(started).toBe(1);
  });

  it('checks its options', () => {
    expect(() => new FunctionReward('score' as never)).toThrow(coded('INVALID_ARGUMENT'));
    expect(() => new FunctionReward(() => 1, { timeoutMs: 0 })).toThrow(coded('INVALID_ARGUMENT'));
    expect(() => new FunctionReward(() => 1, { timeoutMS: 5 } as never)).toThrow(coded('UNKNOWN_OPTION'));
  });
});
