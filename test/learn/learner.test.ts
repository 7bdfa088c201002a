/** The Learner on a tiny random model: exactness, checks, all or nothing, state. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Learner, type LearnerOptions } from '../../lib/learn/learner';
import { LanguageModel } from '../../lib/model/language-model';
import { learnerBytes } from '../../lib/model/memory';
import type { LossGradient, TrainingGroup } from '../../lib/model/types';
import type { LspError } from '../../lib/errors';
import { expectError, rejectionOf } from '../support/errors';
import { writeTinyModel } from '../support/tiny-model';

const root = mkdtempSync(join(tmpdir(), 'lsp-learner-'));
const source = writeTinyModel(join(root, 'tiny'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const NAME = 'model.layers.0.self_attn.q_proj.weight';
const groups: TrainingGroup[] = [
  { prompt: Int32Array.of(5, 6, 7), completions: [Int32Array.of(8, 9), Int32Array.of(10)] },
  { prompt: Int32Array.of(11), completions: [Int32Array.of(12, 13, 2)] },
];
const loss = [[Float32Array.of(-0.5, 0.25), Float32Array.of(1)], [Float32Array.of(0.1, -0.2, 0.3)]];

async function withLearner(
  use: (learner: Learner, model: LanguageModel) => Promise<void>,
  options: LearnerOptions = {},
): Promise<void> {
  await using model = await LanguageModel.load(source, { threads: 1 });
  await using learner = await Learner.create(model, options);
  await use(learner, model);
}

test('log-probabilities are those of the model, bit for bit, in the shape of the groups', () =>
  withLearner(async (learner, model) => {
    const { logprobs } = await learner.accumulate(groups, loss);
    for (const [g, { prompt, completions }] of groups.entries()) {
      for (const [c, completion] of completions.entries()) {
        const [scored] = await model.logprobs([Int32Array.of(...prompt, ...completion)]);
        expect(logprobs[g]![c]).toEqual(scored!.slice(prompt.length - 1));
      }
    }
  }));

test('a callback gives the same gradient bits as its values', () =>
  withLearner(async (learner) => {
    const direct = await learner.accumulate(groups, loss);
    const expected = await learner.gradient(NAME);
    expect(expected.some((value) => value !== 0)).toBe(true);
    await learner.zeroGradient();
    expect((await learner.gradient(NAME)).every((value) => value === 0)).toBe(true);
    const seen: Float32Array[][] = [];
    await learner.accumulate(groups, (logprobs, index) => {
      seen.push(logprobs);
      return loss[index]!;
    });
    expect(seen).toEqual(direct.logprobs);
    expect(await learner.gradient(NAME)).toEqual(expected);
  }));

test('the gradient is that of the loss (central differences)', () =>
  withLearner(async (learner, model) => {
    await learner.accumulate(groups, loss);
    const name = 'model.norm.weight';
    const gradient = await learner.gradient(name);
    const values = await model.parameter(name);
    const lossAt = async (index: number, value: number) => {
      const moved = values.slice();
      moved[index] = value;
      await model.native.writeTensor(name, moved);
      let sum = 0;
      for (const [g, { prompt, completions }] of groups.entries()) {
        for (const [c, completion] of completions.entries()) {
          const [scored] = await model.logprobs([Int32Array.of(...prompt, ...completion)]);
          completion.forEach((_, t) => (sum += loss[g]![c]![t]! * scored![prompt.length - 1 + t]!));
        }
      }
      return sum;
    };
    const step = 0.02;
    for (const index of [0, 7, 31]) {
      const above = await lossAt(index, values[index]! + step);
      const below = await lossAt(index, values[index]! - step);
      // f32 sums of order 5 differ by 1e-6; over 2·0.02 that is 5e-5, and the step adds about its square.
      expect(Math.abs((above - below) / (2 * step) - gradient[index]!)).toBeLessThan(2e-3);
    }
  }));

test('empty completions and empty groups count for nothing', () =>
  withLearner(async (learner) => {
    const { logprobs } = await learner.accumulate(
      [
        { prompt: Int32Array.of(5), completions: [new Int32Array(0)] },
        { prompt: Int32Array.of(5), completions: [] },
      ],
      [[new Float32Array(0)], []],
    );
    expect(logprobs).toEqual([[new Float32Array(0)], []]);
    expect((await learner.accumulate([], [])).logprobs).toEqual([]);
    const mixed = { prompt: Int32Array.of(5), completions: [new Int32Array(0), Int32Array.of(6)] };
    const result = await learner.accumulate([mixed], [[new Float32Array(0), Float32Array.of(1)]]);
    expect(result.logprobs[0]!.map(({ length }) => length)).toEqual([0, 1]);
  }));

test('a callback is called for every group once, with empty rows for empty completions', () =>
  withLearner(async (learner) => {
    const none = new Int32Array(0);
    const asked: [number, number[]][] = [];
    const mixed = [
      { prompt: Int32Array.of(5), completions: [none, Int32Array.of(6, 7), none] },
      { prompt: Int32Array.of(5), completions: [] },
      { prompt: Int32Array.of(8), completions: [none] },
    ];
    const callback: LossGradient = (logprobs, group) => {
      asked.push([group, logprobs.map(({ length }) => length)]);
      return logprobs.map(({ length }) => new Float32Array(length).fill(1));
    };
    const { logprobs } = await learner.accumulate(mixed, callback);
    expect(logprobs.map((group) => group.map(({ length }) => length))).toEqual([[0, 2, 0], [], [0]]);
    expect(asked.sort(([a], [b]) => a - b)).toEqual([
      [0, [0, 2, 0]],
      [1, []],
      [2, [0]],
    ]);
    asked.length = 0;
    expect(await learner.accumulate(mixed.slice(1), callback)).toEqual({
      logprobs: [[], [new Float32Array(0)]],
    });
    expect(asked).toHaveLength(2);
  }));

describe('all or nothing', () => {
  test('a callback that throws leaves the gradient as it was', () =>
    withLearner(async (learner) => {
      await learner.accumulate(groups, loss);
      const before = await learner.gradient(NAME);
      const failure = new Error('mine');
      const throwing = learner.accumulate(groups, (_, index) => {
        if (index === 1) throw failure;
        return loss[index]!;
      });
      await expect(throwing).rejects.toBe(failure);
      expect(await learner.gradient(NAME)).toEqual(before);
    }));

  test.each(['text', undefined, Object.assign(new Error('mine'), { code: 'ABORTED' })])(
    'whatever a callback throws arrives as it is: %s',
    (thrown) =>
      withLearner(async (learner) => {
        const outcome = await learner
          .accumulate(groups, () => {
            throw thrown as Error;
          })
          .then(
            () => ['resolved'],
            (error: unknown) => ['rejected', error],
          );
        expect(outcome[0]).toBe('rejected');
        expect(outcome[1]).toBe(thrown);
      }),
  );

  test('an abort rejects with its reason', () =>
    withLearner(async (learner) => {
      const reason = new Error('enough');
      const controller = new AbortController();
      const running = learner.accumulate(
        groups,
        (_, index) => {
          controller.abort(reason);
          return loss[index]!;
        },
        { signal: controller.signal },
      );
      await expect(running).rejects.toBe(reason);
      expect((await learner.gradient(NAME)).every((value) => value === 0)).toBe(true);
      await expect(learner.accumulate(groups, loss, { signal: AbortSignal.abort(reason) })).rejects.toBe(
        reason,
      );
    }));
});

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

describe('stepping', () => {
  test('weights change, the version grows, the schedule is asked for each update', () =>
    withLearner(
      async (learner, model) => {
        const version = model.policyVersion;
        const before = await model.parameter(NAME);
        for (const expected of [0.001, 0.002]) {
          await learner.accumulate(groups, loss);
          const { gradNorm, learningRate } = await learner.step();
          expect(gradNorm).toBeGreaterThan(0);
          expect(learningRate).toBe(expected);
        }
        expect(learner.stepCount).toBe(2);
        expect(model.policyVersion).toBe(version + 2);
        expect(await model.parameter(NAME)).not.toEqual(before);
      },
      { learningRate: (step) => 0.001 * (step + 1), maxGradNorm: Infinity },
    ));

  test('a clone made before stays as it was', () =>
    withLearner(
      async (learner, model) => {
        await using reference = await model.clone();
        const before = await reference.parameter(NAME);
        await learner.accumulate(groups, loss);
        await learner.step();
        expect(await reference.parameter(NAME)).toEqual(before);
        expect(await model.parameter(NAME)).not.toEqual(before);
      },
      { learningRate: 0.01 },
    ));

  test('a schedule that returns nonsense is refused before anything changes', () =>
    withLearner(
      async (learner, model) => {
        const before = await model.parameter(NAME);
        await learner.accumulate(groups, loss);
        expectError(await rejectionOf(learner.step()), 'INVALID_ARGUMENT', /learningRate/);
        expect(await model.parameter(NAME)).toEqual(before);
      },
      { learningRate: () => NaN },
    ));
});

describe('a rehearsal', () => {
  test('changes nothing: the steps after it are those without it', async () => {
    const trained = async (rehearsed: boolean) => {
      let weights!: Float32Array;
      await withLearner(async (learner, model) => {
        const reference = await model.clone();
        if (rehearsed) {
          await learner.rehearse(groups, { cacheBytes: 1 << 20 });
          expect(learner.stepCount).toBe(0);
          expect((await learner.gradient(NAME)).every((value) => value === 0)).toBe(true);
          expect(await model.parameter(NAME)).toEqual(await reference.parameter(NAME));
        }
        const untouched = await reference.parameter(NAME);
        for (let step = 0; step < 2; step++) {
          await learner.accumulate(groups, loss);
          await learner.step();
          if (rehearsed) await learner.rehearse(groups);
        }
        expect(await reference.parameter(NAME)).toEqual(untouched);
        weights = await model.parameter(NAME);
        await reference.dispose();
      });
      return weights;
    };
    expect(await trained(true)).toEqual(await trained(false));
  });

  test('wants no gradient, and something to rehearse', () =>
    withLearner(async (learner) => {
      expectError(await rejectionOf(learner.rehearse([])), 'INVALID_ARGUMENT', /`groups`/);
      const odd = learner.rehearse(groups, { cacheByte: 1 } as object);
      expectError(await rejectionOf(odd), 'UNKNOWN_OPTION', /cacheBytes/);
      const reason = new Error('enough');
      await expect(learner.rehearse(groups, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
      await learner.accumulate(groups, loss);
      expectError(await rejectionOf(learner.rehearse(groups)), 'INVALID_ARGUMENT', /no gradient/);
    }));
});

describe('operations that are not awaited', () => {
  const RATE = { learningRate: 0.01 };

  test('a step called during an accumulation with a callback comes after it', async () => {
    const outcome = async (awaited: boolean): Promise<unknown> => {
      let result: unknown;
      await withLearner(async (learner, model) => {
        const seen: Float32Array[][] = [];
        const callback: LossGradient = (logprobs, index) => {
          seen.push(logprobs);
          return loss[index]!;
        };
        const started: Promise<unknown>[] = [];
        for (const call of [
          () => learner.accumulate(groups, callback),
          () => learner.step(),
          () => learner.accumulate(groups, loss),
          () => learner.accumulate(groups, callback),
          () => learner.step(),
        ]) {
          const running = call();
          if (awaited) await running;
          started.push(running);
        }
        result = { done: await Promise.all(started), seen, weights: await model.parameter(NAME) };
      }, RATE);
      return result;
    };
    expect(await outcome(false)).toEqual(await outcome(true));
  });

  test('a failure does not stop what waits behind it', () =>
    withLearner(async (learner) => {
      const failure = new Error('mine');
      const failing = learner.accumulate(groups, () => {
        throw failure;
      });
      const next = learner.accumulate(groups, loss);
      await expect(failing).rejects.toBe(failure);
      await next;
      const waited = await learner.gradient(NAME);
      await learner.zeroGradient();
      await learner.accumulate(groups, loss);
      expect(waited).toEqual(await learner.gradient(NAME));
    }, RATE));

  test('a callback that disposes of its learner: what is under way ends, what waits is refused', () =>
    withLearner(async (learner) => {
      let waiting: Promise<LspError> | undefined;
      let disposed: Promise<void> | undefined;
      const { logprobs } = await learner.accumulate(groups, (_, index) => {
        waiting ??= rejectionOf(learner.step());
        disposed ??= learner.dispose();
        return loss[index]!;
      });
      expect(logprobs).toHaveLength(2);
      expectError(await waiting!, 'DISPOSED', /./);
      await disposed;
    }, RATE));

  test('the schedule counts updates that are under way, not those that failed', async () => {
    const asked: number[] = [];
    const learningRate = (step: number) => {
      asked.push(step);
      return 0.01;
    };
    await withLearner(
      async (learner) => {
        const path = join(root, 'counted.safetensors');
        await Promise.all([learner.step(), learner.step(), learner.saveState(path), learner.step()]);
        expect(asked).toEqual([0, 1, 2]);
        await Promise.all([learner.loadState(path), learner.step()]);
        expect(learner.stepCount).toBe(3);
        await expect(learner.loadState(path, { signal: AbortSignal.abort() })).rejects.toThrow();
        const huge = Float32Array.of(3e38, 3e38, 3e38);
        await learner.accumulate([groups[1]!], [[huge]]);
        await learner.accumulate([groups[1]!], [[huge]]);
        expectError(await rejectionOf(learner.step()), 'TRAINING_DIVERGED', /finite/);
        await learner.zeroGradient();
        await learner.step();
        expect(learner.stepCount).toBe(4);
        expect(asked).toEqual([0, 1, 2, 2, 3, 3]);
      },
      { learningRate },
    );
  });
});

describe('state', () => {
  test('a learner that continues from its file takes the same next step', () =>
    withLearner(
      async (learner, model) => {
        await learner.accumulate(groups, loss);
        await learner.step();
        const path = join(root, 'state.safetensors');
        const dir = join(root, 'state-model');
        await learner.saveState(path);
        await model.save(dir);
        await learner.accumulate(groups, loss);
        await learner.step();
        const expected = await model.parameter(NAME);
        await using other = await LanguageModel.load(dir, { threads: 1 });
        await using continued = await Learner.create(other, { learningRate: 0.01 });
        await continued.loadState(path);
        expect(continued.stepCount).toBe(1);
        await continued.accumulate(groups, loss);
        await continued.step();
        expect(await other.parameter(NAME)).toEqual(expected);
      },
      { learningRate: 0.01 },
    ));

  test('a damaged state is refused', () =>
    withLearner(async (learner) => {
      await learner.accumulate(groups, loss);
      await learner.step();
      const path = join(root, 'broken.safetensors');
      await learner.saveState(path);
      const bytes = readFileSync(path);
      for (const [damaged, message] of [
        [bytes.subarray(0, 1000), /claims|ends/],
        [Buffer.from(bytes.toString('latin1').replace('step_count', 'step_cound'), 'latin1'), /step_count/],
        [
          Buffer.from(
            bytes.toString('latin1').replace('model.norm.weight.m', 'model.narm.weight.m'),
            'latin1',
          ),
          /model.n[ao]rm/,
        ],
      ] as const) {
        writeFileSync(path, damaged);
        expectError(await rejectionOf(learner.loadState(path)), 'INVALID_MODEL_FILE', message);
      }
      expect(learner.stepCount).toBe(1);
      expectError(await rejectionOf(learner.loadState(join(root, 'nope'))), 'IO_ERROR', /ENOENT/);
    }));

  test('after dispose', async () => {
    await using model = await LanguageModel.load(source, { threads: 1 });
    const learner = await Learner.create(model);
    await learner.dispose();
    await learner.dispose();
    expectError(await rejectionOf(learner.step()), 'DISPOSED', /disposed/);
    const child = await Learner.create(model);
    await model.dispose();
    expectError(await rejectionOf(child.accumulate(groups, loss)), 'DISPOSED', /disposed/);
  });
});
