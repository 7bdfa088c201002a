/**
 * What a training takes of memory, by the kernel's account of a fresh process, beside what was said before it began;
 * and that more rollouts do not take more.
 */
import { execFileSync } from 'node:child_process';
import { openModelSource } from '../../lib/model/formats';
import { heldBytes } from '../../lib/model/memory';
import type { SamplingPrecision } from '../../lib/model/types';
import { estimateTrainingMemory } from '../../lib/run/memory-estimate';
import { describeWithModel, realModel } from '../support/fixtures';

const PROMPT_TOKENS = 64;
const NEW_TOKENS = 16;
const ANSWERS = 4;

/** One step of training, and bytes of the process when it was largest. */
const STEP = `
  const { LanguageModel, Learner } = require('./lib');
  (async () => {
    const [path, queries, budget] = [process.argv[1], Number(process.argv[2]), Number(process.argv[3])];
    const precision = process.argv[4];
    const model = await LanguageModel.load(path, { threads: 2, memoryBudget: budget });
    const reference = await LanguageModel.load(path, { threads: 2, memoryBudget: budget, dtype: 'stored' });
    const learner = await Learner.create(model);
    const prompts = Array.from({ length: queries }, (_, q) =>
      Int32Array.from({ length: ${PROMPT_TOKENS} }, (_, t) => 10 + ((q * 7919 + t * 31) % 40000)));
    const ids = (first) => new Int32Array(${NEW_TOKENS}).fill(first);
    await learner.rehearse(prompts.map((prompt) => ({ prompt, completions: [1, 2, 3, 4].map(ids) })));
    const answers = await model.generate(prompts, {
      precision, samples: ${ANSWERS}, minNewTokens: ${NEW_TOKENS}, maxNewTokens: ${NEW_TOKENS} });
    const groups = prompts.map((prompt, q) => ({ prompt, completions: answers[q].map(({ tokens }) => tokens) }));
    await reference.logprobs(groups.flatMap(({ prompt, completions }) =>
      completions.map((tokens) => Int32Array.of(...prompt, ...tokens))), { precision });
    await learner.accumulate(groups, groups.map(({ completions }) =>
      completions.map((tokens) => new Float32Array(tokens.length).fill(1e-3))));
    await learner.step();
    console.log(process.resourceUsage().maxRSS * 1024);
    process.exit(0);
  })();`;

function peakBytes(queries: number, memoryBudget: number, precision: SamplingPrecision = 'exact'): number {
  const node = [
    '-r',
    'ts-node/register/transpile-only',
    '-e',
    STEP,
    realModel!,
    `${queries}`,
    `${memoryBudget}`,
    precision,
  ];
  return Number(execFileSync(process.execPath, node, { encoding: 'utf8' }).trim().split('\n').at(-1));
}

describeWithModel('memory of a training', () => {
  const budget = 2 ** 27;
  let few: number;
  beforeAll(() => {
    few = peakBytes(2, budget);
  }, 120_000);

  function expected(precision: SamplingPrecision): number {
    const tokens = 2 * (PROMPT_TOKENS + ANSWERS * NEW_TOKENS);
    const source = openModelSource(realModel!);
    return estimateTrainingMemory(source.config, {
      cachedTokens: tokens,
      trainedTokens: tokens,
      longestTokens: PROMPT_TOKENS + NEW_TOKENS,
      memoryBudget: budget,
      precision,
      referencePrecision: precision,
      reference: heldBytes(source, 'stored'),
    }).total;
  }

  test('is what was said before', () => {
    // A run is to take what was said, give or take a tenth.
    expect(few / expected('exact')).toBeGreaterThan(0.9);
    expect(few / expected('exact')).toBeLessThan(1.1);
  });

  test('is that with rollouts and the reference in int8, too', () => {
    expect(expected('int8')).toBeGreaterThan(expected('exact'));
    const peak = peakBytes(2, budget, 'int8');
    expect(peak / expected('int8')).toBeGreaterThan(0.9);
    expect(peak / expected('int8')).toBeLessThan(1.1);
  }, 120_000);

  test('does not grow with the number of rollouts', () => {
    // What JavaScript holds of the tokens, and its garbage, are not bounded as the engine's memory is.
    expect(peakBytes(8, budget)).toBeLessThan(1.05 * few);
  }, 120_000);
});
