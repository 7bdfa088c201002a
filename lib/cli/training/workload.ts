/** What a run's options mean for memory. */
import { defaultMemoryBudget } from '../../model/memory';
import type { ModelConfig, TrainingGroup } from '../../model/types';
import { adapterSizeOf, weightTypeOf } from '../../run/lora-options';
import { activationBytesPerToken, type MemoryWorkload } from '../../run/memory-estimate';
import type { TrainOptions } from '../../run/train-options';
import { needsReference } from './games';

/** Tokens of a prompt: more than the task's prompts have, less than a long document. */
const PROMPT_TOKENS = 256;

/**
 * Groups as long as any that an update may bring, as many as fill a micro-batch: of more, only some would be computed.
 */
export function longestGroups(config: ModelConfig, options: TrainOptions): TrainingGroup[] {
  const { queries, answers, maxNewTokens, memoryBudget = defaultMemoryBudget() } = options;
  const promptTokens = Math.max(1, Math.min(PROMPT_TOKENS, config.maxPositions - maxNewTokens));
  let left = memoryBudget / activationBytesPerToken(config);
  // Ids of which no two sequences have the first in common but those of a group, whose answers differ at once.
  const ids = (length: number, first: number) => new Int32Array(length).fill(first % config.vocabSize);
  const groups: TrainingGroup[] = [];
  for (let query = 0; query < queries && left >= 0; query++) {
    const group: TrainingGroup = { prompt: ids(promptTokens, query), completions: [] };
    left -= promptTokens;
    do {
      group.completions.push(ids(maxNewTokens, group.completions.length));
      left -= maxNewTokens;
    } while (group.completions.length < answers && left >= 0);
    groups.push(group);
  }
  return groups;
}

export function workloadOf(config: ModelConfig, options: TrainOptions): MemoryWorkload {
  const { queries, answers, maxNewTokens, queryTokens, memoryBudget } = options;
  const promptTokens = Math.min(PROMPT_TOKENS, config.maxPositions);
  // Answers share their query's prompt, queries share theirs; the two are never cached at the same time.
  const solver = queries * (promptTokens + answers * maxNewTokens);
  const challenger = options.queriesFile === undefined ? promptTokens + queries * queryTokens : 0;
  return {
    cachedTokens: Math.max(solver, challenger),
    trainedTokens: solver + challenger,
    longestTokens: promptTokens + Math.max(maxNewTokens, queryTokens),
    memoryBudget: memoryBudget ?? defaultMemoryBudget(),
    reference: needsReference(options),
    adapter: adapterSizeOf(config, options),
    weightType: weightTypeOf(options),
  };
}
