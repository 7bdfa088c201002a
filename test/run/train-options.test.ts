import { LspError } from '../../lib/errors';
import { LOSS_NAMES } from '../../lib/lsp';
import { checkMemory, formatBytes, parseBytes } from '../../lib/run/memory-estimate';
import { loraOf, weightTypeOf } from '../../lib/run/lora-options';
import { defaultOf } from '../../lib/run/train-defaults';
import { resolveTrainOptions, resumeTrainOptions } from '../../lib/run/train-options';

const failure = (run: () => unknown): LspError => {
  try {
    run();
  } catch (error) {
    if (error instanceof LspError) return error;
  }
  throw new Error('expected an LspError');
};

describe('options of a run', () => {
  test('defaults depend on what was said', () => {
    expect(resolveTrainOptions({})).toMatchObject({
      preset: 'recommended',
      selfReward: 0.1,
      steps: 100,
      scheduleSteps: 100,
    });
    expect(resolveTrainOptions({ preset: 'paper' })).toMatchObject({ selfReward: 0.2 });
    expect(resolveTrainOptions({ preset: 'zero' })).toMatchObject({ selfReward: 0 });
    expect(resolveTrainOptions({ queriesFile: 'x.jsonl' })).toMatchObject({ selfReward: 0 });
    expect(resolveTrainOptions({ queriesFile: 'x.jsonl' })).not.toHaveProperty('preset');
  });

  test('are JSON-able, and resolved ones resume as they are', () => {
    const options = resolveTrainOptions({ steps: 7, learningRate: 1e-5 });
    const stored = JSON.parse(JSON.stringify(options)) as Record<string, unknown>;
    expect(resumeTrainOptions(stored, {})).toEqual(options);
  });

  test('the tiny world has defaults of its own', () => {
    const world = resolveTrainOptions({ task: 'world' });
    expect(world).toMatchObject({ preset: 'recommended', selfReward: 0, klBeta: 0, answers: 8 });
    expect(resolveTrainOptions({ task: 'world', preset: 'paper' })).toMatchObject({ selfReward: 0.2 });
    expect(resolveTrainOptions({ task: 'world', answers: 4, klBeta: 0.1 })).toMatchObject({
      answers: 4,
      klBeta: 0.1,
    });
    expect(resumeTrainOptions({ ...world }, {})).toEqual(world);
  });

  test('other games have defaults, too, and the help tells them', () => {
    expect(resolveTrainOptions({ task: 'coding' })).toMatchObject({ maxNewTokens: 128, queryTokens: 160 });
    expect(resolveTrainOptions({ task: 'coding', queryTokens: 99 })).toMatchObject({ queryTokens: 99 });
    expect(resolveTrainOptions({ task: 'sums' })).toMatchObject({ maxNewTokens: 64 });
    expect(defaultOf('maxNewTokens')).toBe('64; 24 in the tiny world, 96 in mathematics, 128 in coding');
    expect(defaultOf('temperature')).toBe('1');
  });

  test('answers without constraints need a reward, and one is enough', () => {
    expect(failure(() => resolveTrainOptions({ task: 'open' })).message).toMatch(/reward model/);
    expect(resolveTrainOptions({ task: 'open', rewardModel: 'org/name' })).toMatchObject({ task: 'open' });
    expect(resolveTrainOptions({ task: 'open', reward: './reward.js' })).toMatchObject({ task: 'open' });
    const both = failure(() => resolveTrainOptions({ reward: './reward.js', rewardModel: 'org/name' }));
    expect(both.message).toMatch(/nothing beside `reward` for `rewardModel`/);
  });

  test('a run of an earlier version resumes with what was not an option then', () => {
    const {
      task: _task,
      reportEvery: _every,
      challengerWeight: _weight,
      loss: _loss,
      samplingRounds: _rounds,
      overlongTokens: _tokens,
      rollouts: _rollouts,
      referencePrecision: _precision,
      ...earlier
    } = resolveTrainOptions({});
    expect(resumeTrainOptions(earlier, {})).toEqual(resolveTrainOptions({}));
  });

  test('the loss is one of a few names, and stays that of the run', () => {
    expect(resolveTrainOptions({})).toMatchObject({ loss: 'dr-grpo', samplingRounds: 1, overlongTokens: 0 });
    for (const loss of LOSS_NAMES)
      expect(resolveTrainOptions({ loss })).toMatchObject({ loss, klBeta: 0.05 });
    expect(failure(() => resolveTrainOptions({ loss: 'DrGRPO' }))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message:
        "Expected one of 'dr-grpo', 'grpo', 'rloo', 'dapo', 'cispo', 'gspo' for `loss` but received \"DrGRPO\". " +
        "Did you mean 'dr-grpo'?",
    });
    const stored = { ...resolveTrainOptions({ loss: 'gspo' }) };
    expect(resumeTrainOptions(stored, {})).toEqual(stored);
    expect(failure(() => resumeTrainOptions(stored, { loss: 'cispo' })).message).toContain(
      'Expected "gspo", as the run was started with, for `loss`',
    );
  });

  test('all of DAPO is for queries of a file', () => {
    const file = { queriesFile: 'x.jsonl' };
    expect(resolveTrainOptions({ loss: 'dapo' })).toMatchObject({ samplingRounds: 1, overlongTokens: 0 });
    expect(resolveTrainOptions({ loss: 'dapo', ...file })).toMatchObject({
      samplingRounds: 4,
      overlongTokens: 13,
    });
    const world = resolveTrainOptions({ loss: 'dapo', task: 'world', ...file });
    expect(world).toMatchObject({ samplingRounds: 4, overlongTokens: 5 });
    expect(resumeTrainOptions({ ...world }, {})).toEqual(world);
    const without = { samplingRounds: 1, overlongTokens: 0 };
    expect(resolveTrainOptions({ loss: 'dapo', ...file, ...without })).toMatchObject(without);
    expect(resolveTrainOptions({ ...file, samplingRounds: 3 })).toMatchObject({ samplingRounds: 3 });
    for (const given of [{ samplingRounds: 2 }, { overlongTokens: 4 }])
      expect(failure(() => resolveTrainOptions(given)).message).toMatch(
        /without `queriesFile` .*Challenger is paid/,
      );
    const long = { ...file, maxNewTokens: 8, overlongTokens: 9 };
    expect(failure(() => resolveTrainOptions(long)).message).toMatch(
      /at most `maxNewTokens` for `overlongTokens`/,
    );
  });

  test('an adapter has ten times the rate, and its options need its rank', () => {
    const adapter = resolveTrainOptions({ loraRank: 8, loraTargets: 'q, v', seed: 3 });
    expect(adapter.learningRate).toBe(2e-4);
    expect(loraOf(adapter)).toEqual({ rank: 8, targets: ['q', 'v'], rsLora: false, seed: 3 });
    expect(weightTypeOf(adapter)).toBe('f32');
    expect(resolveTrainOptions({ task: 'world', loraRank: 8 }).learningRate).toBe(4e-3);
    expect(resolveTrainOptions({ loraRank: 8, learningRate: 1e-4 }).learningRate).toBe(1e-4);
    expect(loraOf(resolveTrainOptions({}))).toBeNull();
    expect(defaultOf('learningRate')).toBe('0.00002; 0.0004 in the tiny world, 10 times that for LoRA');
    const stored = JSON.parse(JSON.stringify(adapter)) as Record<string, unknown>;
    expect(resumeTrainOptions(stored, {})).toEqual(adapter);
    expect(failure(() => resumeTrainOptions(stored, { loraRank: 16 })).message).toContain('8');
    for (const given of [
      { loraAlpha: 8 },
      { loraTargets: 'q' },
      { loraScaling: 'lora' },
      { loraBase: 'bf16' },
    ]) {
      expect(failure(() => resolveTrainOptions(given)).message).toContain('nothing without `loraRank`');
    }
    for (const loraTargets of ['', 'q,', 'q,q', 'q v', 'all'])
      expect(failure(() => resolveTrainOptions({ loraRank: 1, loraTargets })).code).toBe('INVALID_ARGUMENT');
  });

  test('unknown ones are errors with a suggestion', () => {
    expect(failure(() => resolveTrainOptions({ learningrate: 1 }))).toMatchObject({
      code: 'UNKNOWN_OPTION',
      remedy: 'Did you mean `learningRate`?',
    });
  });

  test.each([
    [{ steps: 0 }, 'Expected an integer of at least 1 for `steps` but received 0.'],
    [{ steps: 1.5 }, 'Expected an integer of at least 1 for `steps` but received 1.5.'],
    [{ steps: '3' }, 'Expected an integer of at least 1 for `steps` but received "3".'],
    [{ answers: 1 }, 'Expected an integer from 2 to 4096 for `answers` but received 1.'],
    [{ temperature: 0 }, 'Expected a number above 0 for `temperature` but received 0.'],
    [{ learningRate: NaN }, 'Expected a number above 0 for `learningRate` but received NaN.'],
    [{ klForm: 'k9' }, "Expected one of 'k1', 'k2', 'k3' for `klForm` but received \"k9\"."],
    [
      { preset: 'zero', selfReward: 0.1 },
      "Expected 0 with the preset 'zero' for `selfReward` but received 0.1.",
    ],
  ])('%j is refused', (given, message) => {
    expect(failure(() => resolveTrainOptions(given)).message).toContain(message);
  });

  test('a resumed run may be longer and use other threads, and nothing else', () => {
    const stored = { ...resolveTrainOptions({ steps: 20 }) };
    const longer = resumeTrainOptions(stored, { steps: 40, threads: 1 });
    expect(longer).toMatchObject({ steps: 40, threads: 1, scheduleSteps: 20 });
    expect(resumeTrainOptions(stored, { learningRate: stored.learningRate })).toEqual(stored);
    expect(failure(() => resumeTrainOptions(stored, { learningRate: 1 })).message).toContain(
      'as the run was started with',
    );
  });

  test('a run whose learning rate has fallen to 0 is not made longer', () => {
    const stored = { ...resolveTrainOptions({ steps: 20, schedule: 'cosine' }) };
    expect(resumeTrainOptions(stored, { steps: 10 })).toMatchObject({ steps: 10, scheduleSteps: 20 });
    expect(failure(() => resumeTrainOptions(stored, { steps: 21 })).message).toBe(
      'Expected at most 20, where the learning rate of the run has fallen to 0, for `steps` but received 21. ' +
        'Start a new run from its last model to train on.',
    );
  });
});

describe('sizes', () => {
  test.each([
    ['4GB', 4e9],
    ['512 MiB', 512 * 2 ** 20],
    ['1.5g', 1.5e9],
    ['1000', 1000],
    ['4iB', null],
    ['lots', null],
    ['-1GB', null],
  ])('%s', (text, bytes) => expect(parseBytes(text)).toBe(bytes));

  test.each([
    [999, '999 B'],
    [999_999, '1.00 MB'],
    [1.634e9, '1.63 GB'],
    [0, '0 B'],
  ])('%d is %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));

  test('a run that cannot fit is refused, one that may not is warned about', () => {
    const total = 3e9;
    const estimate = {
      weights: total,
      reference: 0,
      gradients: 0,
      moments: 0,
      activations: 0,
      keyValueCache: 0,
    };
    const need = { ...estimate, process: 0, total };
    expect(checkMemory(need, { totalBytes: 8e9, availableBytes: 4e9 })).toBeNull();
    expect(checkMemory(need, { totalBytes: 8e9, availableBytes: 2e9 })).toContain('about 3.00 GB');
    expect(failure(() => checkMemory(need, { totalBytes: 2e9, availableBytes: 2e9 })).code).toBe(
      'OUT_OF_MEMORY',
    );
  });
});
