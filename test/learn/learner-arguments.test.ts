/** What the Learner refuses. */
import { Learner } from '../../lib/learn/learner';
import { LanguageModel } from '../../lib/model/language-model';
import { learnerBytes } from '../../lib/model/memory';
import type { LossGradient, TrainingGroup } from '../../lib/model/types';
import { expectError, rejectionOf } from '../support/errors';
import { NAME, groups, loss, source, withLearner } from './tiny-learner';

describe('bad arguments', () => {
  const good = groups[1]!;
  test.each<[string, unknown, unknown, object, string, RegExp]>([
    ['groups that are none', 'x', [], {}, 'INVALID_ARGUMENT', /`groups`/],
    ['a group without a prompt', [{ completions: [] }], [[]], {}, 'INVALID_ARGUMENT', /groups\[0\]\.prompt/],
    [
      'an empty prompt',
      [{ ...good, prompt: new Int32Array(0) }],
      [[]],
      {},
      'INVALID_ARGUMENT',
      /at least one token/,
    ],
    [
      'a token outside',
      [{ ...good, completions: [Int32Array.of(999)] }],
      [[new Float32Array(1)]],
      {},
      'INVALID_ARGUMENT',
      /completions\[0\]\[0\]/,
    ],
    [
      'beyond the context',
      [{ ...good, completions: [new Int32Array(512)] }],
      [[new Float32Array(512)]],
      {},
      'PROMPT_TOO_LONG',
      /512/,
    ],
    ['too few gradients', [good, good], [loss[1]], {}, 'INVALID_ARGUMENT', /each of 2 groups/],
    [
      'gradients of another length',
      [good],
      [[new Float32Array(2)]],
      {},
      'INVALID_ARGUMENT',
      /Float32Array of 3/,
    ],
    ['plain numbers', [good], [[[1, 2, 3]]], {}, 'INVALID_ARGUMENT', /Float32Array of 3/],
    ['NaN', [good], [[Float32Array.of(0, NaN, 0)]], {}, 'INVALID_ARGUMENT', /\[0\]\[0\]\[1\]/],
    ['infinity', [good], [[Float32Array.of(0, 0, Infinity)]], {}, 'INVALID_ARGUMENT', /finite/],
    ['a callback that returns nothing', [good], () => undefined, {}, 'INVALID_ARGUMENT', /lossGradient\[0\]/],
    [
      'a callback that returns a row too few',
      [good],
      () => [],
      {},
      'INVALID_ARGUMENT',
      /each of 1 completions .*\[0\]`/,
    ],
    [
      'a callback that returns values of another length',
      [groups[0], good],
      (_: unknown, group: number) => (group === 1 ? [new Float32Array(2)] : loss[0]),
      {},
      'INVALID_ARGUMENT',
      /Float32Array of 3.*\[1\]\[0\]`/,
    ],
    [
      'a callback that returns NaN',
      [good],
      () => [Float32Array.of(0, NaN, 0)],
      {},
      'INVALID_ARGUMENT',
      /\[0\]\[0\]\[1\]/,
    ],
    [
      'a callback that returns a value for an empty completion',
      [{ prompt: good.prompt, completions: [new Int32Array(0)] }, good],
      () => [Float32Array.of(1)],
      {},
      'INVALID_ARGUMENT',
      /Float32Array of 0.*\[0\]\[0\]`/,
    ],
    ['temperature 0', [good], [loss[1]], { temperature: 0 }, 'INVALID_ARGUMENT', /temperature/],
    ['unknown option', [good], [loss[1]], { temp: 1 }, 'UNKNOWN_OPTION', /temp/],
  ])('%s', (_, badGroups, badLoss, options, code, message) =>
    withLearner(async (learner) => {
      const error = await rejectionOf(
        learner.accumulate(badGroups as TrainingGroup[], badLoss as LossGradient, options),
      );
      expectError(error, code as 'INVALID_ARGUMENT', message);
      expect((await learner.gradient(NAME)).every((value) => value === 0)).toBe(true);
    }),
  );

  test.each<[object, string, RegExp]>([
    [{ learningrate: 1 }, 'UNKNOWN_OPTION', /Did you mean `learningRate`/],
    [{ learningRate: -1 }, 'INVALID_ARGUMENT', /learningRate/],
    [{ learningRate: NaN }, 'INVALID_ARGUMENT', /learningRate/],
    [{ betas: [0.9] }, 'INVALID_ARGUMENT', /betas/],
    [{ betas: [0.9, 1] }, 'INVALID_ARGUMENT', /betas\[1\]/],
    [{ betas: [0.9, 1 - 1e-9] }, 'INVALID_ARGUMENT', /betas\[1\]/],
    [{ eps: 0 }, 'INVALID_ARGUMENT', /eps/],
    [{ eps: 1e-31 }, 'INVALID_ARGUMENT', /eps/],
    [{ learningRate: 1e7 }, 'INVALID_ARGUMENT', /learningRate/],
    [{ weightDecay: -1 }, 'INVALID_ARGUMENT', /weightDecay/],
    [{ maxGradNorm: 0 }, 'INVALID_ARGUMENT', /maxGradNorm/],
    [{ activationBudget: 0 }, 'INVALID_ARGUMENT', /activationBudget/],
  ])('%j', async (options, code, message) => {
    await using model = await LanguageModel.load(source, { threads: 1 });
    expectError(await rejectionOf(Learner.create(model, options)), code as 'INVALID_ARGUMENT', message);
  });

  test('the largest decay rates and the smallest eps that are taken can be stepped with', () =>
    withLearner(
      async (learner) => {
        await learner.accumulate(groups, loss);
        expect((await learner.step()).gradNorm).toBeGreaterThan(0);
      },
      { betas: [1 - 6e-8, 1 - 6e-8], eps: 1e-30, learningRate: 0 },
    ));

  test('too little memory for gradient and moments', async () => {
    await using model = await LanguageModel.load(source, { threads: 1 });
    const limit = jest.spyOn(process, 'constrainedMemory').mockReturnValue(learnerBytes(model.config) - 1);
    const tooSmall = await rejectionOf(Learner.create(model));
    limit.mockReturnValue(learnerBytes(model.config));
    await (await Learner.create(model)).dispose();
    limit.mockRestore();
    expectError(tooSmall, 'OUT_OF_MEMORY', /gradient/);
  });

  test('no model', async () => {
    expectError(
      await rejectionOf(Learner.create(null as unknown as LanguageModel)),
      'INVALID_ARGUMENT',
      /`model`/,
    );
  });
});
