/**
 * What a run needs of memory and disk, from the geometry alone: said before anything is loaded.
 *
 * The parts that matter (weights, reference, gradients, moments, activations, key-value cache) are those of a dry step
 * with the longest sequences (Learner.rehearse), which a run begins with; tokenizer, JavaScript and code add some
 * 200 MB that are listed as such.
 */
import { totalmem } from 'node:os';
import { LspError } from '../errors';
import { adapterParameterCount } from '../model/adapter/lora';
import {
  adapterBytes,
  type AdapterSize,
  cacheBytesPerToken,
  gradientBytes,
  roundedBytes,
  weightBytes,
} from '../model/memory';
import { nativeConfig } from '../model/loading';
import type { ModelConfig, SamplingPrecision } from '../model/types';
import { loadAddon } from '../native/load';

const FLOAT_BYTES = 4;
/** Node.js, the tokenizer's tables, the addon's scratch space. */
const PROCESS_BYTES = 200 * 2 ** 20;
/** Logits that training keeps at a time, at most (native/model/tree_pass.cpp). */
const KEPT_LOGITS_BYTES = 128 * 2 ** 20;

export interface MemoryWorkload {
  /** Tokens in the key-value cache when it is largest; a shared prefix counts once. */
  cachedTokens: number;
  /** Tokens of an update's sequences; a shared prefix counts once. */
  trainedTokens: number;
  /** Tokens of the longest of them. */
  longestTokens: number;
  /** Compute activations again in the backward pass. */
  gradientCheckpointing?: boolean;
  /** Bytes that the activations of a micro-batch, or the key-value cache, may take. */
  memoryBudget: number;
  /** Bytes of the weights as they are held, and of what they are decoded to (default f32). */
  weights?: number;
  /** What is sampled with (default exact): int8 takes a copy of the weights, and half of the key-value cache. */
  precision?: SamplingPrecision;
  /** What a reference is scored in (default exact): int8 takes a copy of its weights while it is scored. */
  referencePrecision?: SamplingPrecision;
  /** Bytes of the weights of a frozen reference (a KL term, or a judge); 0 without, or where it shares the policy's. */
  reference: number;
  /** What is trained, if it is an adapter. */
  adapter?: AdapterSize | null;
}

export interface MemoryEstimate {
  weights: number;
  reference: number;
  gradients: number;
  moments: number;
  activations: number;
  keyValueCache: number;
  /** The copies for sampling and scoring in int8, where there are any. */
  rounded?: number;
  process: number;
  total: number;
}

export function estimateTrainingMemory(config: ModelConfig, workload: MemoryWorkload): MemoryEstimate {
  const { adapter, reference, weights = weightBytes(config) } = workload;
  const { sampling, scoring } = copiesInInt8(config, workload);
  const rounded = sampling + scoring;
  const trained = adapter ? adapterBytes(config, adapter) : weights;
  const parts = {
    weights: adapter ? weights + trained : weights,
    reference,
    gradients: adapter ? trained : gradientBytes(config),
    moments: 2 * trained,
    activations: activationBytes(config, workload),
    keyValueCache: keyValueCacheBytes(config, workload),
    ...(rounded > 0 && { rounded }),
    process: PROCESS_BYTES,
  };
  const sum = Object.values(parts).reduce((total, bytes) => total + bytes, 0);
  const { activations, keyValueCache } = parts;
  const largest = Math.max(activations, bytesBeforeUpdate(config, workload));
  return { ...parts, total: sum - (activations + keyValueCache + rounded) + largest };
}

type Rollout = Pick<MemoryWorkload, 'memoryBudget' | 'cachedTokens' | 'precision' | 'referencePrecision'>;

/**
 * Bytes that a step takes, at most, and gives back before its update takes the activations: sequences are sampled, with
 * a cache and perhaps a copy in int8, then scored by the reference when the cache is gone.
 */
export function bytesBeforeUpdate(config: ModelConfig, rollout: Rollout): number {
  const { sampling, scoring } = copiesInInt8(config, rollout);
  return sampling + Math.max(keyValueCacheBytes(config, rollout), scoring);
}

function copiesInInt8(config: ModelConfig, { precision, referencePrecision }: Rollout) {
  const bytes = (of?: SamplingPrecision) => (of === 'int8' ? roundedBytes(config) : 0);
  return { sampling: bytes(precision), scoring: bytes(referencePrecision) };
}

/** Bytes of cached keys and values when they are most. */
function keyValueCacheBytes(config: ModelConfig, { memoryBudget, cachedTokens, precision }: Rollout): number {
  return Math.min(memoryBudget, cacheBytesPerToken(config, precision) * cachedTokens);
}

/** Bytes that a micro-batch takes for each of its tokens. */
export function activationBytesPerToken(config: ModelConfig, gradientCheckpointing = false): number {
  return loadAddon().activationBytesPerToken(nativeConfig(config), gradientCheckpointing);
}

/** Of the largest micro-batch: all tokens of an update, or as many as the budget holds, but any one sequence. */
function activationBytes(config: ModelConfig, workload: MemoryWorkload): number {
  const { memoryBudget, trainedTokens, longestTokens, gradientCheckpointing = false } = workload;
  const perToken = activationBytesPerToken(config, gradientCheckpointing);
  const tokens = Math.min(trainedTokens, Math.max(longestTokens, Math.floor(memoryBudget / perToken)));
  return perToken * tokens + Math.min(KEPT_LOGITS_BYTES, FLOAT_BYTES * config.vocabSize * tokens);
}

/** Bytes of one checkpoint: what is trained and its two moments in f32. */
export function checkpointBytes(config: ModelConfig, adapter?: AdapterSize | null): number {
  const count = adapter ? adapterParameterCount(config, adapter) : config.parameterCount;
  return 3 * count * FLOAT_BYTES;
}

/**
 * Refuses a run that cannot fit.
 *
 * @returns a warning in words if it only fits when other programs give memory back, else null
 * @throws LspError OUT_OF_MEMORY
 */
export function checkMemory(
  estimate: MemoryEstimate,
  machine: { totalBytes: number; availableBytes: number },
): string | null {
  if (estimate.total > machine.totalBytes) {
    throw new LspError(
      'OUT_OF_MEMORY',
      `Expected at least ${formatBytes(estimate.total)} of memory for this run but received ` +
        `${formatBytes(machine.totalBytes)}.`,
      {
        remedy:
          'Use a smaller model, fewer or shorter answers (--queries, --answers, --max-new-tokens), ' +
          'a smaller --memory-budget, or --kl-beta 0 (no reference).',
      },
    );
  }
  if (estimate.total <= machine.availableBytes) return null;
  return (
    `The run needs about ${formatBytes(estimate.total)}, and ${formatBytes(machine.availableBytes)} are free: ` +
    'close other programs, or it may be stopped by the system.'
  );
}

/** Memory that this process may use at all, and that is free now; container limits included. */
export function machineMemory(): { totalBytes: number; availableBytes: number } {
  const limit = process.constrainedMemory() || Infinity;
  return { totalBytes: Math.min(totalmem(), limit), availableBytes: process.availableMemory() };
}

const UNITS = ['B', 'KB', 'MB', 'GB', 'TB'];

/** Decimal units, three digits: `1.63 GB`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toPrecision(3)} ${UNITS[unit]!}`;
}

/** Bytes of a text such as `4GB`, `512 MiB` or `1000000`; null if it is none. */
export function parseBytes(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?$/i.exec(text.trim());
  if (!match) return null;
  const exponent = ['', 'k', 'm', 'g', 't'].indexOf(match[2]!.toLowerCase());
  if (match[3] && exponent === 0) return null;
  return Math.round(Number(match[1]) * (match[3] ? 1024 : 1000) ** exponent);
}
