/** A GGUF file as a ModelSource: configuration from metadata, tensors under new names. */
import type { TensorLocation } from '../../native/addon';
import type { ModelConfig } from '../types';
import { everyNthWithoutRope, familyOf, KNOWN_FAMILIES, type ModelFamily } from './families';
import { type GgufHeader, type GgufTensor, type GgufValue, readGgufHeader } from './gguf';
import { ggufTokenizer } from './gguf-tokenizer';
import { ggufName, huggingFaceName, isRopePermuted } from './gguf-names';
import { corrupt, type ModelFile, unsupported, withModelFile } from './model-file';
import { checkConfig, checkTensors, MAX_LAYERS, type ModelSource } from './model-source';
import { recoverRopeScaling } from './rope-factors';

/** Typed access to metadata, with errors that name file and key. */
export class Metadata {
  constructor(
    readonly path: string,
    private readonly values: ReadonlyMap<string, GgufValue>,
  ) {}

  has(key: string): boolean {
    return this.values.has(key);
  }

  raw(key: string): GgufValue | undefined {
    return this.values.get(key);
  }

  number(key: string): number | undefined {
    const value = this.values.get(key);
    if (value === undefined) return undefined;
    const number = typeof value === 'bigint' ? Number(value) : value;
    if (typeof number === 'number' && Number.isFinite(number)) return number;
    throw corrupt(this.path, `metadata \`${key}\` is not a finite number.`);
  }

  requireNumber(key: string): number {
    const value = this.number(key);
    if (value === undefined) throw corrupt(this.path, `metadata \`${key}\` is missing.`);
    return value;
  }

  string(key: string): string | undefined {
    const value = this.values.get(key);
    if (value === undefined || typeof value === 'string') return value;
    throw corrupt(this.path, `metadata \`${key}\` is not a string.`);
  }

  boolean(key: string): boolean | undefined {
    const value = this.values.get(key);
    if (value === undefined || typeof value === 'boolean') return value;
    throw corrupt(this.path, `metadata \`${key}\` is not a boolean.`);
  }

  array(key: string, type: 'string'): string[] | undefined;
  array(key: string, type: 'number'): number[] | undefined;
  array(key: string, type: 'string' | 'number'): (string | number)[] | undefined {
    const value = this.values.get(key);
    if (value === undefined) return undefined;
    if (Array.isArray(value) && (value.length === 0 || typeof value[0] === type))
      return value as (string | number)[];
    throw corrupt(this.path, `metadata \`${key}\` is not an array of ${type}s.`);
  }
}

export function openGguf(path: string): ModelSource {
  return withModelFile(path, (file) => {
    const header = readGgufHeader(file);
    const metadata = new Metadata(path, header.metadata);
    const architecture = metadata.string('general.architecture');
    if (architecture === undefined) throw corrupt(path, 'metadata `general.architecture` is missing.');
    const family = familyOf(architecture);
    if (!family) {
      throw unsupported(
        path,
        `its architecture is ${JSON.stringify(architecture.slice(0, 60))}.`,
        KNOWN_FAMILIES,
      );
    }
    const own = new FamilyMetadata(metadata, family);
    rejectVariants(own);
    const config = readConfig(file, own, header.tensors);
    const tensors = locate(path, header.tensors, family);
    checkTensors(path, config, tensors, ggufName);
    return {
      format: 'gguf',
      path,
      description: describeSource(header, architecture),
      config,
      tensors,
      tokenizer: ggufTokenizer(metadata, config.vocabSize),
    };
  });
}

/** The keys of an architecture begin with its name. */
class FamilyMetadata {
  constructor(
    readonly all: Metadata,
    readonly family: ModelFamily,
  ) {}

  key(name: string): string {
    return `${this.family.architecture}.${name}`;
  }

  number(name: string): number | undefined {
    return this.all.number(this.key(name));
  }

  requireNumber(name: string): number {
    return this.all.requireNumber(this.key(name));
  }
}

function describeSource(header: GgufHeader, architecture: string): string {
  const types = [...new Set(header.tensors.map((tensor) => tensor.type))].sort();
  return `GGUF v${header.version}, ${architecture}, ${types.join(' + ')}`;
}

/** Keys that change what is computed, with the value that changes nothing. */
const NEUTRAL: readonly [string, number | boolean][] = [
  ['expert_count', 0],
  ['expert_used_count', 0],
  ['attention.sliding_window', 0],
  ['attention.clamp_kqv', 0],
  ['attention.max_alibi_bias', 0],
  ['attention.causal', true],
  ['attn_logit_softcapping', 0],
  ['final_logit_softcapping', 0],
  ['logit_scale', 1],
  ['residual_scale', 1],
  ['embedding_scale', 1],
  ['rope.scale_linear', 1],
  ['use_parallel_residual', false],
];

function rejectVariants(metadata: FamilyMetadata): void {
  const { path } = metadata.all;
  for (const [name, neutral] of NEUTRAL) {
    const key = metadata.key(name);
    const value = metadata.all.raw(key);
    if (value !== undefined && value !== neutral && !(neutral === 1 && value === 0)) {
      throw unsupported(path, `it is a variant with \`${key}\`.`, KNOWN_FAMILIES);
    }
  }
  const scaling = metadata.all.string(metadata.key('rope.scaling.type')) ?? 'none';
  const factor = metadata.number('rope.scaling.factor') ?? 1;
  if (scaling !== 'none' && !(scaling === 'linear' && factor === 1)) {
    throw unsupported(
      path,
      `its RoPE scaling is ${JSON.stringify(scaling.slice(0, 60))}.`,
      'This version computes plain RoPE and Llama 3 scaling.',
    );
  }
}

function readConfig(file: ModelFile, metadata: FamilyMetadata, tensors: GgufTensor[]): ModelConfig {
  const { family } = metadata;
  const { path } = metadata.all;
  const embedding = tensors.find((tensor) => tensor.name === 'token_embd.weight');
  if (!embedding) throw corrupt(path, 'tensor `token_embd.weight` is missing.');
  const hiddenSize = metadata.requireNumber('embedding_length');
  const numHeads = metadata.requireNumber('attention.head_count');
  const headSize = metadata.number('attention.key_length') ?? hiddenSize / numHeads;
  const rotated = metadata.number('rope.dimension_count') ?? headSize;
  if (rotated !== headSize)
    throw unsupported(path, `RoPE turns ${rotated} of ${headSize} dimensions.`, KNOWN_FAMILIES);
  const valueSize = metadata.number('attention.value_length') ?? headSize;
  if (valueSize !== headSize)
    throw unsupported(path, 'heads of keys and values differ in size.', KNOWN_FAMILIES);
  const vocabSize = embedding.shape[0]!;
  const claimedVocabulary = metadata.number('vocab_size') ?? vocabSize;
  if (claimedVocabulary !== vocabSize) {
    throw corrupt(path, `the vocabulary of ${claimedVocabulary} disagrees with ${vocabSize} embedding rows.`);
  }
  const id = (name: string) => metadata.all.number(`tokenizer.ggml.${name}_token_id`) ?? null;
  const ropeTheta = metadata.number('rope.freq_base') ?? 10000;
  const numLayers = metadata.requireNumber('block_count');
  const config = checkConfig(path, {
    architecture: family.architecture,
    hiddenSize,
    intermediateSize: metadata.requireNumber('feed_forward_length'),
    numLayers,
    numHeads,
    numKeyValueHeads: metadata.number('attention.head_count_kv') ?? numHeads,
    headSize,
    vocabSize,
    maxPositions: metadata.requireNumber('context_length'),
    rmsNormEps: metadata.requireNumber('attention.layer_norm_rms_epsilon'),
    ropeTheta,
    // No key says which: every reader of the format knows the interval.
    ...(family.noRopeInterval > 0 && {
      layersWithoutRope: everyNthWithoutRope(family.noRopeInterval, Math.min(numLayers, MAX_LAYERS)),
    }),
    tiedEmbeddings: !tensors.some((tensor) => tensor.name === 'output.weight'),
    bosTokenId: id('bos'),
    eosTokenIds: [...new Set(['eos', 'eot', 'eom'].map(id).filter((value) => value !== null))],
    padTokenId: id('padding'),
  });
  const factors = tensors.find((tensor) => tensor.name === ROPE_FACTORS);
  if (factors) {
    const ropeScaling = recoverRopeScaling(
      path,
      readFactors(file, factors, headSize),
      ropeTheta,
      metadata.number('rope.scaling.original_context_length'),
    );
    if (ropeScaling) config.ropeScaling = ropeScaling;
  }
  return config;
}

const ROPE_FACTORS = 'rope_freqs.weight';

function readFactors(file: ModelFile, tensor: GgufTensor, headSize: number): Float32Array {
  if (tensor.type !== 'f32' || tensor.shape.length !== 1 || tensor.shape[0] !== headSize / 2) {
    throw corrupt(file.path, `tensor \`${ROPE_FACTORS}\` is not ${headSize / 2} f32 values.`);
  }
  const bytes = file.read(tensor.offset, tensor.byteLength);
  return Float32Array.from({ length: headSize / 2 }, (_, index) => bytes.readFloatLE(4 * index));
}

function locate(path: string, tensors: GgufTensor[], family: ModelFamily): TensorLocation[] {
  const locations: TensorLocation[] = [];
  for (const { name: original, shape, type, offset, byteLength } of tensors) {
    // Neither holds anything learnt: frequencies follow from the configuration.
    if (original === ROPE_FACTORS || original.endsWith('.attn_rot_embd.weight')) continue;
    const name = huggingFaceName(original);
    if (name === undefined) {
      throw unsupported(
        path,
        `tensor \`${original}\` belongs to no model that this version runs.`,
        KNOWN_FAMILIES,
      );
    }
    const location: TensorLocation = { name, path, offset, byteLength, type, shape };
    if (family.ggufInterleaved && isRopePermuted(name)) location.ropePermuted = true;
    locations.push(location);
  }
  return locations;
}
