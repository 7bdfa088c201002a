/** What a run's options mean for memory. */
import type { ModelSource } from '../../model/formats';
import { decodedBytes, defaultMemoryBudget, heldBytes, type WeightType } from '../../model/memory';
import type { ModelConfig, TrainingGroup } from '../../model/types';
import { adapterSizeOf, weightTypeOf } from '../../run/lora-options';
import { activationBytesPerToken, type MemoryWorkload } from '../../run/memory-estimate';
import type { TrainOptions } from '../../run/train-options';
import { measuresKl, needsReference } from './games';

/** A reference beside all weights is frozen, and only reads: it can stay as its file has it, with the same bits. */
export const REFERENCE_TYPE: WeightType = 'stored';

/** Tokens of a prompt: more than the task's prompts have, less than a long document. */
const PROMPT_TOKENS = 256;

/**
 * Groups as long as any that an update may bring, as many as fill a micro-batch: of more, only some would be computed.
 */
export function longestGroups(config: ModelConfig, options: TrainOptions): TrainingGroup[] {
  const { queries, answers, maxNewTokens, memoryBudget = defaultMemoryBudget() } = options;
  const promptTokens = Math.max(1, Math.min(PROMPT_TOKENS, config.maxPositions - maxNewTokens));
  let left = memoryBudget / activationBytesPerToken(config, options.activations === 'recompute');
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

type TokenWorkload = Pick<
  MemoryWorkload,
  | 'cachedTokens'
  | 'trainedTokens'
  | 'longestTokens'
  | 'memoryBudget'
  | 'gradientCheckpointing'
  | 'precision'
  | 'referencePrecision'
>;

/** What a step has of tokens. */
export function tokensOf(config: ModelConfig, options: TrainOptions): TokenWorkload {
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
    gradientCheckpointing: options.activations === 'recompute',
    precision: options.rollouts,
    referencePrecision: measuresKl(options) ? options.referencePrecision : 'exact',
  };
}

/** What a step has of tokens and weights. */
export function workloadOf(source: ModelSource, options: TrainOptions): MemoryWorkload {
  const adapter = adapterSizeOf(source.config, options);
  const type = weightTypeOf(options);
  return {
    ...tokensOf(source.config, options),
    weights: heldBytes(source, type) + decodedBytes(source, type),
    reference: needsReference(options) ? referenceBytes(source, type, adapter !== null) : 0,
    adapter,
  };
}

/** Beneath an adapter lies the reference itself; it only decodes on its own. */
function referenceBytes(source: ModelSource, type: WeightType, isBase: boolean): number {
  if (isBase) return decodedBytes(source, type);
  return heldBytes(source, REFERENCE_TYPE) + decodedBytes(source, REFERENCE_TYPE);
}
