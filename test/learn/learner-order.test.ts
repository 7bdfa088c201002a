/** The Learner's operations in the order in which they are called, awaited or not. */
import { join } from 'node:path';
import type { LspError } from '../../lib/errors';
import type { LossGradient } from '../../lib/model/types';
import { expectError, rejectionOf } from '../support/errors';
import { NAME, groups, loss, root, withLearner } from './tiny-learner';

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
