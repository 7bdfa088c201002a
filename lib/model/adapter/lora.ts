/**
 * Low-rank adapters (LoRA, Hu et al. 2022): what they are made of and which of a model's matrices they stand on.
 *
 *     y = x Wᵀ + s (x Aᵀ) Bᵀ     A (rank, in), B (out, rank); s = alpha / rank, with rsLoRA alpha / √rank
 */
import type { NativeAdapter } from '../../native/addon';
import {
  checkOptions,
  expectArray,
  expectBoolean,
  expectInteger,
  expectNumber,
  expectOneOf,
  expectString,
  expectUint64,
  invalid,
} from '../../options';
import { layerParameters } from '../formats/parameters';
import type { ModelConfig } from '../types';

/** The projections of a layer, by their short names. */
export const LORA_TARGETS = ['q', 'k', 'v', 'o', 'gate', 'up', 'down'] as const;
export type LoraTarget = (typeof LORA_TARGETS)[number];

export interface LoraOptions {
  /** Rank r of the update, 1..4096 (default 16). */
  rank?: number;
  /**
   * The update is scaled by alpha / rank (default alpha: 2 · rank, so that the scale is 2 whatever the rank: a learning
   * rate found for one rank holds for others).
   */
  alpha?: number;
  /** Projections that get an adapter, in every layer (default: all seven). */
  targets?: readonly LoraTarget[];
  /** rsLoRA (Kalajdzievski 2023): scale by alpha / √rank, which keeps gradients alive at large ranks (default false). */
  rsLora?: boolean;
  /** Of A's first values; B begins as zero, so that the model is at first what it was (default 0). */
  seed?: number | bigint;
  /** Goes on from this PEFT directory instead; then the file says all of the above. */
  adapter?: string;
}

/** The adapter on a model. */
export interface AdapterInfo {
  rank: number;
  alpha: number;
  rsLora: boolean;
  /** Projections that have one, in some layer. */
  targets: LoraTarget[];
  /** Values in its matrices: what is trained and saved. */
  parameterCount: number;
}

const OPTIONS = ['rank', 'alpha', 'targets', 'rsLora', 'seed', 'adapter'] satisfies (keyof LoraOptions)[];
export const MAX_RANK = 4096;
export const DEFAULT_RANK = 16;

/** Either a fresh adapter, or one from a directory. */
export type CheckedLora = { adapter: string } | { shape: NativeAdapter; seed: bigint };

/** @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION */
export function checkLoraOptions(options: LoraOptions, config: ModelConfig): CheckedLora {
  const given = checkOptions(options, OPTIONS, 'lora');
  if (given.adapter !== undefined) {
    const adapter = expectString('lora.adapter', given.adapter, { allowEmpty: false });
    const other = OPTIONS.find((name) => name !== 'adapter' && given[name] !== undefined);
    if (other === undefined) return { adapter };
    throw invalid(`lora.${other}`, 'nothing beside `lora.adapter`', given[other], 'Its files say it.');
  }
  const rank = expectInteger('lora.rank', given.rank ?? DEFAULT_RANK, { min: 1, max: MAX_RANK });
  const alpha = expectNumber('lora.alpha', given.alpha ?? 2 * rank, { above: 0, max: 1e6 });
  const rsLora = expectBoolean('lora.rsLora', given.rsLora ?? false);
  const targets = checkTargets(given.targets ?? LORA_TARGETS);
  const seed = expectUint64('lora.seed', given.seed ?? 0);
  return { shape: { rank, alpha, rsLora, matrices: matricesOf(config, targets) }, seed };
}

/** @throws LspError INVALID_ARGUMENT, with "did you mean" */
export function checkTargets(given: unknown, name = 'lora.targets'): LoraTarget[] {
  const targets = expectArray(name, given, { nonEmpty: true }).map((target, index) =>
    expectOneOf(`${name}[${index}]`, target, LORA_TARGETS),
  );
  const twice = targets.find((target, index) => targets.indexOf(target) !== index);
  if (twice !== undefined) throw invalid(name, 'each projection once', twice);
  return targets;
}

/** Names of the weights of those projections in all layers, in the order of a forward pass. */
export function matricesOf(config: ModelConfig, targets: readonly LoraTarget[]): string[] {
  const matrices = adaptableMatrices(config);
  return matrices.filter(({ target }) => targets.includes(target)).map(({ name }) => name);
}

export interface AdaptableMatrix {
  /** e.g. `model.layers.0.self_attn.q_proj.weight`. */
  name: string;
  target: LoraTarget;
  outputs: number;
  inputs: number;
}

/** Every projection of every layer. */
export function adaptableMatrices(config: ModelConfig): AdaptableMatrix[] {
  const ofLayer = projectionsOfLayer(config);
  return Array.from({ length: config.numLayers }, (_, layer) =>
    ofLayer.map((projection) => ({ ...projection, name: `model.layers.${layer}.${projection.name}` })),
  ).flat();
}

function projectionsOfLayer(config: ModelConfig): AdaptableMatrix[] {
  return layerParameters(config).flatMap(({ name, shape }) => {
    const target = LORA_TARGETS.find((short) => name.endsWith(`.${short}_proj.weight`));
    return target ? [{ name, target, outputs: shape[0]!, inputs: shape[1]! }] : [];
  });
}

/** What a model with this adapter says about it. */
export function adapterInfo(
  { rank, alpha, rsLora, matrices }: NativeAdapter,
  config: ModelConfig,
): AdapterInfo {
  const adapted = adaptedMatrices(config, matrices);
  const targets = LORA_TARGETS.filter((target) => adapted.some((matrix) => matrix.target === target));
  const parameterCount = adapterParameterCount(config, { rank, matrices });
  return { rank, alpha, rsLora, targets, parameterCount };
}

/** Those of the model's projections that are named. */
export function adaptedMatrices(config: ModelConfig, matrices: readonly string[]): AdaptableMatrix[] {
  const names = new Set(matrices);
  return adaptableMatrices(config).filter(({ name }) => names.has(name));
}

/** Values in the matrices of an adapter. */
export function adapterParameterCount(
  config: ModelConfig,
  { rank, matrices }: Pick<NativeAdapter, 'rank' | 'matrices'>,
): number {
  return adaptedMatrices(config, matrices).reduce(
    (sum, { inputs, outputs }) => sum + rank * (inputs + outputs),
    0,
  );
}
