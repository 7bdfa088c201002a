/** What a run's options mean for the dry step before it. */
import { longestGroups, tokensOf as rolloutOf, workloadOf } from '../../lib/cli/training/workload';
import { SMOLLM2_135M } from '../../lib/bench';
import type { ModelConfig } from '../../lib/model/types';
import { resolveTrainOptions } from '../../lib/run/train-options';
import { roundedBytes } from '../../lib/model/memory';
import {
  activationBytesPerToken,
  bytesBeforeUpdate,
  estimateTrainingMemory,
} from '../../lib/run/memory-estimate';
import { openModelSource, type ModelSource } from '../../lib/model/formats';
import { resolveModelSource } from '../../lib/hub/source';

let config: ModelConfig;
beforeAll(async () => {
  const source: ModelSource = openModelSource(await resolveModelSource('tiny', {}));
  config = { ...source.config, ...SMOLLM2_135M, maxPositions: 8192 };
});

const tokensOf = (options: Record<string, unknown>) =>
  longestGroups(config, resolveTrainOptions(options)).map(({ prompt, completions }) => ({
    prompt: prompt.length,
    completions: completions.map(({ length }) => length),
  }));

test('the groups of a small run are all there', () => {
  const groups = tokensOf({ queries: 2, answers: 3, maxNewTokens: 16, memoryBudget: 2 ** 30 });
  expect(groups).toEqual(Array(2).fill({ prompt: 256, completions: [16, 16, 16] }));
});

test('of a huge run there are as many as fill a micro-batch', () => {
  const memoryBudget = 2 ** 29;
  const groups = tokensOf({ queries: 4096, answers: 4096, maxNewTokens: 64, memoryBudget });
  const tokens = groups.reduce((sum, one) => sum + one.prompt + one.completions.length * 64, 0);
  const capacity = memoryBudget / activationBytesPerToken(config);
  expect(tokens).toBeGreaterThan(capacity);
  expect(tokens).toBeLessThan(capacity + 256 + 64);
});

test('of activations that are computed again there is room for more of them', () => {
  const huge = { queries: 4096, answers: 4096, maxNewTokens: 64, memoryBudget: 2 ** 29 };
  const count = (options: object) =>
    tokensOf({ ...huge, ...options }).reduce((sum, { completions }) => sum + completions.length, 0);
  expect(count({ activations: 'recompute' })).toBeGreaterThan(3 * count({ activations: 'keep' }));
});

test('answers as long as the context leave a prompt of a token, which the learner refuses', () => {
  expect(tokensOf({ queries: 1, answers: 2, maxNewTokens: 10_000 })[0]!.prompt).toBe(1);
});

describe('copies in int8', () => {
  const small = {
    queries: 1,
    answers: 2,
    maxNewTokens: 16,
    memoryBudget: 2 ** 27,
    klBeta: 0.1,
    task: 'instructions',
  };
  const settle = (options: object) => rolloutOf(config, resolveTrainOptions({ ...small, ...options }));
  const before = (options: object) => bytesBeforeUpdate(config, settle(options));

  test("are the sampler's beside the cache, then beside the reference's", () => {
    const copy = roundedBytes(config);
    const cache = before({});
    expect(cache).toBeLessThan(copy);
    expect(before({ rollouts: 'int8' })).toBe(copy + cache / 2); // keys and values in bf16
    expect(before({ referencePrecision: 'int8' })).toBe(copy);
    expect(before({ rollouts: 'int8', referencePrecision: 'int8' })).toBe(2 * copy);
    const judged = { klBeta: 0, selfReward: 0.1, referencePrecision: 'int8' };
    expect(before(judged)).toBe(cache); // a judge is exact
  });

  test('are part of what a run takes at most, where the activations are less', () => {
    const totalOf = (options: object) => {
      const estimate = estimateTrainingMemory(config, { ...settle(options), reference: 0 });
      const { activations, total } = estimate;
      return { activations, total, rounded: estimate.rounded ?? 0 };
    };
    const few = { activations: 'recompute' };
    const exact = totalOf(few);
    const both = totalOf({ ...few, rollouts: 'int8', referencePrecision: 'int8' });
    expect(exact.rounded).toBe(0);
    expect(both.rounded).toBe(2 * roundedBytes(config));
    expect(both.activations).toBe(exact.activations);
    expect(both.total - exact.total).toBe(both.rounded - exact.activations);
    const budget = { memoryBudget: 2 ** 30, queries: 64, answers: 8 };
    expect(totalOf({ ...budget, referencePrecision: 'int8' }).total).toBe(totalOf(budget).total);
  });
});

describe('weights', () => {
  const matrix = (name: string, type: 'q4_0' | 'f16' | 'f32') => {
    const [rows, columns] = name.includes('down') ? [64, 128] : [96, 64];
    const byteLength = rows * columns * { q4_0: 18 / 32, f16: 2, f32: 4 }[type];
    return { name, type, shape: [rows, columns], byteLength };
  };
  const sizes = (type: 'q4_0' | 'f16' | 'f32', options: object) => {
    const names = ['model.layers.0.mlp.down_proj.weight', 'model.layers.1.mlp.up_proj.weight'];
    const tensors = names.map((name) => matrix(name, type));
    const source = { config, tensors } as unknown as ModelSource;
    return workloadOf(source, resolveTrainOptions({ klBeta: 0.1, ...options }));
  };
  const held = 64 * 128 + 96 * 64;
  const decoded = 3 * 4 * 64 * 128;

  test('of a reference count as stored, with the three matrices that are decoded at a time', () => {
    expect(sizes('q4_0', {}).reference).toBe((held * 18) / 32 + decoded);
    expect(sizes('f16', {}).reference).toBe(2 * held + decoded);
    expect(sizes('f32', {}).reference).toBe(4 * held);
  });

  test('of a base that is stored count once; its clone decodes on its own', () => {
    const lora = { loraRank: 4, loraBase: 'stored' };
    expect(sizes('q4_0', lora)).toMatchObject({ weights: (held * 18) / 32 + decoded, reference: decoded });
    expect(sizes('f32', lora)).toMatchObject({ weights: 4 * held, reference: 0 });
  });
});
