/**
 * From a source to weights in memory: the way of everything that computes, whatever its head. Options are checked and
 * files are looked through before any weight is read.
 */
import { availableParallelism } from 'node:os';
import { LspError } from '../errors';
import type { DownloadProgress } from '../hub/file';
import { resolveModelSource } from '../hub/source';
import type { NativeModel, NativeModelConfig } from '../native/addon';
import { fromNativeError, nativeSync, withSignal } from '../native/call';
import { loadAddon } from '../native/load';
import { checkOptions, expectFunction, expectInteger, expectOneOf, expectSignal } from '../options';
import { type ModelSource, openModelSource } from './formats';
import {
  availableMemory,
  defaultMemoryBudget,
  loadingBytes,
  requireWeightsFit,
  WEIGHT_TYPES,
  type WeightType,
} from './memory';
import { Tokenizer } from './tokenizer';
import type { ModelConfig } from './types';

export interface LoadProgress {
  /** Bytes of tensors read so far, and in all, as stored in the file. */
  loadedBytes: number;
  totalBytes: number;
}

export interface LoadOptions {
  /** Where to compute; `auto` (default) takes the best device that this build has. */
  device?: 'auto' | 'cpu';
  /**
   * How weights are held in memory; whatever they are computed in (`compute`). Only a model in `f32` can be trained,
   * others are for sampling, for a reference, or for the base of an adapter. `bf16` takes half the memory: from a file
   * whose matrices are bf16 it computes the same bits as in f32, those of other files are rounded. `stored` keeps the
   * matrices of the layers as the file has them and decodes them one at a time when they are needed: the bits of f32.
   * Decoding Q4_1 was 7 % of the time in which a training step's reference scored the samples (docs/performance.md);
   * sampling decodes all of them for every token, which makes it much slower. Merging an adapter leaves the merged
   * matrices in f32. `int8` decodes blocks of 32 int8 and a scale, to which matrices of the layers are rounded, others
   * to bf16. `auto` (default) is f32, or bf16 where only that fits into the memory that is free and nothing is lost.
   */
  dtype?: 'auto' | WeightType;
  /**
   * What products of matrices are computed in, in sampling, scoring and training alike: bf16 rounds their factors and
   * sums in f32, several times as fast where the processor has AMX. f32 (default) gives the same bits on
   * every machine; bf16 does on machines of one instruction set.
   */
  compute?: Compute;
  /** Compute threads, 1..256 (default: the processors of this machine). */
  threads?: number;
  /**
   * Bytes that a training micro-batch's activations, or the keys and values of the sequences being sampled, may
   * take (default: 512 MiB, or a quarter of the free memory if that is less). Results do not depend on it.
   */
  memoryBudget?: number;
  signal?: AbortSignal;
  onProgress?: (progress: LoadProgress) => void;
  /** Called often while files of a hub id are downloaded; never when all of them are in the cache. */
  onDownload?: (progress: DownloadProgress) => void;
}

export const LOAD_OPTION_NAMES = [
  'device',
  'dtype',
  'compute',
  'threads',
  'memoryBudget',
  'signal',
  'onProgress',
  'onDownload',
];

/** What products of matrices are computed in. */
export type Compute = (typeof COMPUTES)[number];
export const COMPUTES = ['f32', 'bf16'] as const;

/** What stands on top of the layers: a prediction of tokens, or scores of whole sequences. */
export type Head = 'language' | 'score';

export interface LoadedModel {
  native: NativeModel;
  config: ModelConfig;
  tokenizer: Tokenizer;
  memoryBudget: number;
  dtype: WeightType;
  compute: Compute;
}

/**
 * @param head what the caller computes with; a model with the other one is refused
 * @throws LspError as `LanguageModel.load`
 */
export async function loadModel(
  source: string,
  options: LoadOptions | undefined,
  head: Head,
): Promise<LoadedModel> {
  const given = checkOptions(options, LOAD_OPTION_NAMES, 'load');
  requireCpu(given);
  const asked = expectOneOf('dtype', given.dtype ?? 'auto', ['auto', ...WEIGHT_TYPES]);
  const compute = expectOneOf('compute', given.compute ?? 'f32', COMPUTES);
  const threads = expectInteger('threads', given.threads ?? defaultThreads(), { min: 1, max: 256 });
  const memoryBudget = expectInteger('memoryBudget', given.memoryBudget ?? defaultMemoryBudget(), { min: 1 });
  const signal = expectSignal('signal', given.signal);
  const onProgress = given.onProgress && expectFunction('onProgress', given.onProgress);
  const onDownload = given.onDownload && expectFunction('onDownload', given.onDownload);
  signal?.throwIfAborted();
  const opened = openModelSource(await resolveModelSource(source, { signal, onProgress: onDownload }));
  const { config, path } = opened;
  requireHead(head, opened);
  const dtype = asked === 'auto' ? fittingType(opened) : asked;
  requireWeightsFit(opened, dtype);
  const { vocabSize } = config;
  const eosTokenIds = endOfSequenceIds(opened);
  const tokenizer = new Tokenizer(opened.tokenizer, { vocabSize, eosTokenIds, path });
  tokenizer.verify();
  const native = nativeSync(
    () => new (loadAddon().Model)(nativeConfig(config), { threads, weights: dtype, compute }),
  );
  try {
    await loadTensors(native, opened, signal, onProgress);
  } catch (error) {
    await native.dispose();
    throw error;
  }
  return { native, config, tokenizer, memoryBudget, dtype, compute };
}

function requireHead(head: Head, { config, path }: ModelSource): void {
  const actual: Head = config.scoreLabels === undefined ? 'language' : 'score';
  if (actual === head) return;
  throw new LspError(
    'UNSUPPORTED_MODEL',
    head === 'language'
      ? `Expected a language model at ${path} but received one that scores sequences.`
      : `Expected a model that scores sequences at ${path} but received a language model.`,
    {
      remedy:
        head === 'language'
          ? 'Load it with `RewardModel.load`.'
          : 'Load it with `LanguageModel.load`, or give a model for sequence classification.',
    },
  );
}

/** f32, unless only bf16 fits and the file holds no more than that. */
function fittingType(source: ModelSource): WeightType {
  const available = availableMemory();
  if (loadingBytes(source, 'f32') <= available || loadingBytes(source, 'bf16') > available) return 'f32';
  const lossless = source.tensors.every(({ type, shape }) => type === 'bf16' || shape.length === 1);
  return lossless ? 'bf16' : 'f32';
}

/** The geometry as the engine takes it. */
export function nativeConfig(config: ModelConfig): NativeModelConfig {
  return { ...config, ...(config.padTokenId !== null && { paddingTokenId: config.padTokenId }) };
}

function requireCpu({ device = 'auto' }: LoadOptions): void {
  if ((device as string) === 'cuda') {
    throw new LspError('INVALID_ARGUMENT', "Expected 'auto' or 'cpu' for `device` but received 'cuda'.", {
      remedy: 'This version computes on the processor only.',
    });
  }
  expectOneOf('device', device, ['auto', 'cpu']);
}

function defaultThreads(): number {
  return Math.max(1, Math.min(256, availableParallelism()));
}

/** Everything that ends a completion: what the configuration names and the tokenizer's own end of sequence. */
function endOfSequenceIds({ config, tokenizer }: ModelSource): number[] {
  const { eos } = tokenizer.specialTokens;
  return [...new Set([...config.eosTokenIds, ...(eos ? [eos.id] : [])])];
}

/** Progress is reported after each portion of about this many bytes. */
const LOAD_PORTION_BYTES = 32 * 2 ** 20;

async function loadTensors(
  native: NativeModel,
  { tensors, path }: ModelSource,
  signal: AbortSignal | undefined,
  onProgress: LoadOptions['onProgress'],
): Promise<void> {
  const totalBytes = tensors.reduce((sum, { byteLength }) => sum + byteLength, 0);
  let loadedBytes = 0;
  for (let start = 0; start < tensors.length;) {
    let end = start;
    let bytes = 0;
    while (end < tensors.length && bytes < LOAD_PORTION_BYTES) bytes += tensors[end++]!.byteLength;
    const portion = tensors.slice(start, end);
    await withSignal(signal, (handle) => native.loadTensors(portion, handle));
    start = end;
    loadedBytes += bytes;
    onProgress?.({ loadedBytes, totalBytes });
  }
  const [missing] = native.missingTensors();
  if (missing !== undefined) {
    throw fromNativeError(new LspError('INVALID_MODEL_FILE', `${path}: tensor \`${missing}\` is missing.`));
  }
}
