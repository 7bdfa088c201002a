/** The Learner on a tiny random model: exactness, all or nothing, stepping, state. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Learner } from '../../lib/learn/learner';
import { LanguageModel } from '../../lib/model/language-model';
import type { LossGradient } from '../../lib/model/types';
import { expectError, rejectionOf } from '../support/errors';
import { NAME, groups, loss, root, source, withLearner } from './tiny-learner';

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
