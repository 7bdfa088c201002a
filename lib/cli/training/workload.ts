/** What a run's options mean for memory. */
import { defaultMemoryBudget } from '../../model/memory';
import type { ModelConfig } from '../../model/types';
import { adapterSizeOf, weightTypeOf } from '../../run/lora-options';
import type { MemoryWorkload } from '../../run/memory-estimate';
import type { TrainOptions } from '../../run/train-options';
import { needsReference } from './games';

/** Tokens of a prompt: more than the task's prompts have, less than a long document. */
const PROMPT_TOKENS = 256;

export function workloadOf(config: ModelConfig, options: TrainOptions): MemoryWorkload {
  const { queries, answers, maxNewTokens, queryTokens, memoryBudget } = options;
  const promptTokens = Math.min(PROMPT_TOKENS, config.maxPositions);
  // Answers share their query's prompt, queries share theirs; the two are never cached at the same time.
  const solver = queries * (promptTokens + answers * maxNewTokens);
  const challenger = options.queriesFile === undefined ? promptTokens + queries * queryTokens : 0;
  return {
    cachedTokens: Math.max(solver, challenger),
    memoryBudget: memoryBudget ?? defaultMemoryBudget(),
    reference: needsReference(options),
    adapter: adapterSizeOf(config, options),
    weightType: weightTypeOf(options),
  };
}
