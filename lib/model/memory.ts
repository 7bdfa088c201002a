/** Whether a model fits into memory: asked before it is loaded. */
import { freemem, totalmem } from 'node:os';
import { LspError } from '../errors';
import type { NativeAdapter, TensorLocation } from '../native/addon';
import { adaptedMatrices } from './adapter/lora';
import { headParameters, layerParameters, type ParameterShape } from './formats/parameters';
import type { ModelConfig, SamplingPrecision } from './types';

/** How the matrices of a model are held in memory; those of all types but f32 are frozen. */
export type WeightType = (typeof WEIGHT_TYPES)[number];
export const WEIGHT_TYPES = ['f32', 'bf16', 'stored', 'int8'] as const;

const FLOAT_BYTES = 4;
const GIGABYTE = 1e9;
/** Activations of a training micro-batch, or cached keys and values, unless the caller says otherwise. */
const DEFAULT_WORKING_BYTES = 2 ** 29;

/** The engine stores matrices in panels of so many rows, and the values of a head in so many columns. */
const PANEL = 32;
const padded = (length: number) => Math.ceil(length / PANEL) * PANEL;

/** Bytes of a value of a matrix in panels; vectors are always f32. */
const PANEL_BYTES = { f32: FLOAT_BYTES, bf16: 2 };
type PanelType = keyof typeof PANEL_BYTES;

/** Values of a block of int8, and its bytes. */
const INT8_BLOCK = { values: 32, bytes: 34 };

/** Bytes of a parameter as the engine stores it: the rows of a matrix padded to whole panels. */
function storedBytes([rows, columns]: readonly number[], type: PanelType = 'f32'): number {
  return columns === undefined ? rows! * FLOAT_BYTES : padded(rows!) * columns * PANEL_BYTES[type];
}

/** Bytes of a parameter of a layer. */
function layerBytes(shape: readonly number[], type: Exclude<WeightType, 'stored'>): number {
  if (type !== 'int8') return storedBytes(shape, type);
  const [rows, columns] = shape;
  if (columns === undefined || columns % INT8_BLOCK.values !== 0) return storedBytes(shape, 'bf16');
  return rows! * (columns / INT8_BLOCK.values) * INT8_BLOCK.bytes;
}

const sumOf = (parameters: readonly ParameterShape[], bytes: (shape: readonly number[]) => number) =>
  parameters.reduce((sum, { shape }) => sum + bytes(shape), 0);

/** Bytes of the token embedding. */
function embeddingBytes({ vocabSize, hiddenSize }: ModelConfig, type: PanelType = 'f32'): number {
  return storedBytes([vocabSize, hiddenSize], type);
}

/** Bytes of all weights, as the engine stores them. */
export function weightBytes(config: ModelConfig, type: Exclude<WeightType, 'stored'> = 'f32'): number {
  const outside: PanelType = type === 'f32' ? 'f32' : 'bf16';
  const layers = sumOf(layerParameters(config), (shape) => layerBytes(shape, type)) * config.numLayers;
  return (
    embeddingBytes(config, outside) +
    layers +
    storedBytes([config.hiddenSize]) +
    sumOf(headParameters(config), (shape) => storedBytes(shape, outside))
  );
}

/** Bytes of the copy of the matrices in 8 bits that sampling in int8 reads (native/model/int8_weights.h). */
export function roundedBytes(config: ModelConfig): number {
  const panels = ([rows, columns]: readonly number[]) =>
    columns === undefined ? 0 : padded(rows!) * (Math.ceil(columns / 4) * 4 + FLOAT_BYTES);
  const layers = sumOf(layerParameters(config), panels) * config.numLayers;
  const head = config.tiedEmbeddings ? panels([config.vocabSize, config.hiddenSize]) : 0;
  return layers + head + sumOf(headParameters(config), panels);
}

/** What a file says of its tensors. */
export type StoredTensors = readonly Pick<TensorLocation, 'name' | 'type' | 'shape' | 'byteLength'>[];

/** The same of a model in a file: what is held as it is stored takes there what it takes here. */
export function heldBytes(
  { config, tensors }: { config: ModelConfig; tensors: StoredTensors },
  type: WeightType,
): number {
  if (type !== 'stored') return weightBytes(config, type);
  return tensors.reduce((sum, { name, type: stored, shape, byteLength }) => {
    if (stored === 'bf16') return sum + storedBytes(shape, 'bf16');
    const isRows = stored !== 'f32' && shape.length > 1 && name.startsWith('model.layers.');
    return sum + (isRows ? byteLength : storedBytes(shape));
  }, 0);
}

/** Matrices that are decoded at a time (native/model/model.h). */
const DECODED = 3;

/** Bytes of the panels to which a model decodes matrices of its layers, 0 for one that holds all of them in panels. */
export function decodedBytes({ tensors }: { tensors: StoredTensors }, type: WeightType): number {
  const inPanels: readonly string[] = ['f32', 'bf16'];
  const isDecoded = (columns: number, stored: string) =>
    type === 'int8' ? columns % INT8_BLOCK.values === 0 : type === 'stored' && !inPanels.includes(stored);
  const sizes = tensors
    .filter(({ name, shape }) => name.startsWith('model.layers.') && shape.length > 1)
    .filter(({ shape, type: stored }) => isDecoded(shape[1]!, stored))
    .map(({ shape }) => storedBytes(shape));
  return DECODED * Math.max(0, ...sizes);
}

/** Bytes that loading takes at most: a tensor is read in f32 before it is narrowed, and the embedding is the largest. */
export function loadingBytes(
  source: { config: ModelConfig; tensors: StoredTensors },
  type: WeightType,
): number {
  return heldBytes(source, type) + (type === 'f32' ? 0 : embeddingBytes(source.config));
}

/** Bytes of the gradient. A tied embedding has two, as the input and as the head, until the update adds them. */
export function gradientBytes(config: ModelConfig): number {
  return weightBytes(config) + (config.tiedEmbeddings ? embeddingBytes(config) : 0);
}

/** Bytes of the gradient and of AdamW's two moments. */
export function learnerBytes(config: ModelConfig): number {
  return gradientBytes(config) + 2 * weightBytes(config);
}

/** What of an adapter decides its size. */
export type AdapterSize = Pick<NativeAdapter, 'rank' | 'matrices'>;

/** Bytes of an adapter's weights, as the engine stores them. */
export function adapterBytes(config: ModelConfig, { rank, matrices }: AdapterSize): number {
  return adaptedMatrices(config, matrices).reduce(
    (sum, { inputs, outputs }) => sum + storedBytes([rank, inputs]) + storedBytes([outputs, rank]),
    0,
  );
}

/** Bytes of an adapter with its gradient and AdamW's two moments: the frozen weights have neither. */
export function adapterLearnerBytes(config: ModelConfig, adapter: AdapterSize): number {
  return 4 * adapterBytes(config, adapter);
}

/** Bytes of a cached key's or value's number. */
const CACHE_BYTES = { exact: FLOAT_BYTES, int8: PANEL_BYTES.bf16 };

/** Bytes of keys and values of one token in all layers; memory is taken in blocks of 32 tokens. */
export function cacheBytesPerToken(config: ModelConfig, precision: SamplingPrecision = 'exact'): number {
  const perHead = config.headSize + padded(config.headSize); // keys, and values with padding
  return config.numLayers * config.numKeyValueHeads * perHead * CACHE_BYTES[precision];
}

/** Tokens that a sequence's cache has room for: whole blocks. */
export function cachedTokens(tokens: number): number {
  return padded(tokens);
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

/** Bytes that activations or the key-value cache may take when nobody says: 512 MiB, or a quarter of what is free. */
export function defaultMemoryBudget(): number {
  return Math.max(2 ** 24, Math.min(DEFAULT_WORKING_BYTES, Math.floor(availableMemory() / 4)));
}

/**
 * Refuses a model whose weights alone are more than the memory that is free (limits of a container included).
 * @throws LspError OUT_OF_MEMORY
 */
export function requireWeightsFit(
  source: { config: ModelConfig; tensors: StoredTensors },
  type: WeightType = 'f32',
  availableBytes = availableMemory(),
): void {
  const { parameterCount } = source.config;
  const form = type === 'stored' ? 'as they are stored' : `in ${type}`;
  requireFit(loadingBytes(source, type), `${parameterCount} parameters ${form}`, availableBytes);
}

/**
 * Refuses training where gradient and moments are more than the memory that is free. They are taken page by page as
 * they are written: without this check the system would end the process in the midst of the first update.
 * @throws LspError OUT_OF_MEMORY
 */
export function requireLearnerFits(
  config: ModelConfig,
  { adapter, availableBytes = availableMemory() }: { adapter?: AdapterSize; availableBytes?: number } = {},
): void {
  if (adapter) {
    const what = `an adapter of rank ${adapter.rank}, its gradient and AdamW's moments`;
    requireFit(adapterLearnerBytes(config, adapter), what, availableBytes);
    return;
  }
  const what = `the gradient and AdamW's moments of ${config.parameterCount} parameters`;
  requireFit(learnerBytes(config), what, availableBytes);
}

function requireFit(neededBytes: number, what: string, availableBytes: number): void {
  if (neededBytes <= availableBytes) return;
  const words = (bytes: number) => `${(bytes / GIGABYTE).toPrecision(3)} GB`;
  throw new LspError(
    'OUT_OF_MEMORY',
    `Expected ${words(neededBytes)} of free memory for ${what} but only ${words(availableBytes)} are available.`,
    { remedy: 'Close other programs, or use a smaller model.' },
  );
}
