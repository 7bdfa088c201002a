/** Whether a model fits into memory: asked before it is loaded. */
import { freemem, totalmem } from 'node:os';
import { LspError } from '../errors';
import type { ModelConfig } from './types';

const FLOAT_BYTES = 4;
const GIGABYTE = 1e9;
/** Activations of a training micro-batch, or cached keys and values, unless the caller says otherwise. */
const DEFAULT_WORKING_BYTES = 2 ** 30;

/** Bytes of all weights in f32, as they are computed with. */
export function weightBytes(config: ModelConfig): number {
  return config.parameterCount * FLOAT_BYTES;
}

/** Bytes of keys and values of one token in all layers. */
export function cacheBytesPerToken(config: ModelConfig): number {
  return 2 * config.numLayers * config.numKeyValueHeads * config.headSize * FLOAT_BYTES;
}

/**
 * Bytes that can be had at most: what is free, and no more than a container allows. What a container's files fill of
 * its limit can be given back, and macOS calls little of its memory free, so both count as available: a refusal must
 * be right, a doubt is left to the allocation itself.
 */
export function availableMemory(): number {
  const free = process.platform === 'linux' ? freemem() : totalmem();
  return Math.min(free, process.constrainedMemory() || Infinity);
}

/** Bytes that activations or the key-value cache may take when nobody says: 1 GiB, or a quarter of what is free. */
export function defaultMemoryBudget(): number {
  return Math.max(2 ** 24, Math.min(DEFAULT_WORKING_BYTES, Math.floor(availableMemory() / 4)));
}

/**
 * Refuses a model whose weights alone are more than the memory that is free (limits of a container included).
 * @throws LspError OUT_OF_MEMORY
 */
export function requireWeightsFit(config: ModelConfig, availableBytes = availableMemory()): void {
  const needed = weightBytes(config);
  if (needed <= availableBytes) return;
  const words = (bytes: number) => `${(bytes / GIGABYTE).toPrecision(3)} GB`;
  throw new LspError(
    'OUT_OF_MEMORY',
    `Expected ${words(needed)} of free memory for ${config.parameterCount} parameters in f32 but only ` +
      `${words(availableBytes)} are available.`,
    { remedy: 'Close other programs, or use a smaller model.' },
  );
}
