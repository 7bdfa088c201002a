/** What a run's options mean for the dry step before it. */
import { longestGroups } from '../../lib/cli/training/workload';
import { SMOLLM2_135M } from '../../lib/bench';
import type { ModelConfig } from '../../lib/model/types';
import { resolveTrainOptions } from '../../lib/run/train-options';
import { activationBytesPerToken } from '../../lib/run/memory-estimate';
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
