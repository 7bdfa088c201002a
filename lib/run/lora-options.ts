/** What the options of a run say about LoRA. */
import { LORA_TARGETS, type LoraOptions, type LoraTarget } from '../model/adapter';
import { checkTargets, matricesOf } from '../model/adapter/lora';
import { expectOneOf } from '../options';
import type { AdapterSize, WeightType } from '../model/memory';
import type { ModelConfig } from '../model/types';
import type { TrainOptions } from './train-options';

type LoraRunOptions = Pick<
  TrainOptions,
  'loraRank' | 'loraAlpha' | 'loraTargets' | 'loraScaling' | 'loraBase' | 'compute' | 'seed'
>;

/** The adapter that a run trains; null for one that trains all weights. */
export function loraOf(options: LoraRunOptions): LoraOptions | null {
  const { loraRank: rank, loraAlpha: alpha, loraTargets, loraScaling, seed } = options;
  if (rank === undefined) return null;
  return {
    rank,
    ...(alpha !== undefined && { alpha }),
    targets: targetsOf(loraTargets),
    rsLora: loraScaling === 'rslora',
    seed,
  };
}

/** `q,v` as a list; all projections where nothing is said. @throws LspError INVALID_ARGUMENT */
export function targetsOf(text: string | undefined): LoraTarget[] {
  if (text === undefined) return [...LORA_TARGETS];
  const targets = text.split(',').map((target) => expectOneOf('loraTargets', target.trim(), LORA_TARGETS));
  return checkTargets(targets, 'loraTargets');
}

/**
 * How the weights of the model are held: only those beneath an adapter may be other than f32. They are bf16 where products
 * are computed in bf16, which would round them anyway.
 */
export function weightTypeOf({ loraRank, loraBase, compute }: LoraRunOptions): WeightType {
  return loraBase ?? (loraRank !== undefined && compute === 'bf16' ? 'bf16' : 'f32');
}

/** What decides the size of a run's adapter. */
export function adapterSizeOf(config: ModelConfig, options: LoraRunOptions): AdapterSize | null {
  const { loraRank: rank, loraTargets } = options;
  return rank === undefined ? null : { rank, matrices: matricesOf(config, targetsOf(loraTargets)) };
}
