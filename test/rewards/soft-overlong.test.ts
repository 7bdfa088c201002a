import { rewardFrom, scoreSamples } from '../../lib/rewards/reward';
import { softOverlong } from '../../lib/rewards/soft-overlong';
import { sampleOf } from './samples';

const ofLength = (tokens: number, answer = 'x') => {
  const sample = sampleOf(answer);
  return { ...sample, completion: { ...sample.completion, tokens: new Int32Array(tokens) } };
};
const one = rewardFrom(({ answer }) => (answer === 'abstain' ? null : 1), 'one');
const score = (reward: typeof one, ...lengths: number[]) =>
  scoreSamples(
    reward,
    lengths.map((length) => ofLength(length)),
    { timeoutMs: 1000 },
  );

it('charges nothing up to L_max − L_cache, then linearly up to the charge at L_max', async () => {
  // The paper's numbers: 20,480 tokens, the last 4,096 of them charged for. Its −n is half of the range −1 to 1.
  const paper = softOverlong(one, { maxNewTokens: 20_480, overlongTokens: 4096 });
  const lengths = [0, 16_384, 16_385, 18_432, 20_479, 20_480];
  const charges = [0, 0, 1 / 4096, 1 / 2, 4095 / 4096, 1];
  expect(await score(paper, ...lengths)).toEqual(charges.map((charge) => 1 - charge / 2));
  expect(softOverlong(one, { maxNewTokens: 20_480 })).toBeDefined();
  expect(await score(softOverlong(one, { maxNewTokens: 20_480 }), ...lengths)).toEqual(
    await score(paper, ...lengths),
  );
});

it('takes any charge and any range', async () => {
  expect(await score(softOverlong(one, { maxNewTokens: 1 }), 0, 1)).toEqual([1, 0.5]);
  expect(await score(softOverlong(one, { maxNewTokens: 4, overlongTokens: 4, charge: 1 }), 1, 2, 4)).toEqual([
    0.75, 0.5, 0,
  ]);
});

it('abstains where the reward does, and is named after it', async () => {
  const reward = softOverlong(one, { maxNewTokens: 4 });
  expect(await scoreSamples(reward, [ofLength(4, 'abstain')], { timeoutMs: 1000 })).toEqual([null]);
  expect(reward.name).toBe('one, soft overlong');
});

it('what the reward returns is still checked', async () => {
  const broken = softOverlong({ score: () => [NaN] }, { maxNewTokens: 4 });
  await expect(score(broken, 1)).rejects.toMatchObject({ code: 'REWARD_FAILED', sampleIndex: 0 });
  const none = softOverlong({ score: () => undefined as never }, { maxNewTokens: 4 });
  await expect(score(none, 1)).rejects.toMatchObject({ code: 'REWARD_FAILED' });
});

test.each([
  [() => softOverlong(one, { maxNewTokens: 0 }), /`maxNewTokens`/],
  [() => softOverlong(one, { maxNewTokens: 4, overlongTokens: 5 }), /`overlongTokens`/],
  [() => softOverlong(one, { maxNewTokens: 4, charge: -1 }), /`charge`/],
  [() => softOverlong(one, { maxnewtokens: 4 } as never), /Did you mean `maxNewTokens`/],
  [() => softOverlong({} as never, { maxNewTokens: 4 }), /`reward`/],
])('%s', (make, message) => expect(make).toThrow(message));
