/**
 * What a model file or directory comes down to, whatever its format: configuration, places of the tensors,
 * tokenizer and chat template. Built without reading any weights.
 */
import type { NativeModelConfig, TensorLocation } from '../../native/addon';
import { describe } from '../../options';
import type { ModelConfig } from '../types';
import { familyOf, KNOWN_FAMILIES } from './families';
import { corrupt, unsupported } from './model-file';
import { countParameters, expectedParameters, layerParameters, type ParameterGeometry } from './parameters';

export interface SpecialToken {
  id: number;
  text: string;
}

export interface SpecialTokens {
  bos: SpecialToken | null;
  eos: SpecialToken | null;
  unk: SpecialToken | null;
  pad: SpecialToken | null;
}

export interface TokenizerSource {
  /** The object of a tokenizer.json file. */
  spec: Record<string, unknown>;
  specialTokens: SpecialTokens;
  /** Whether `addSpecial` puts BOS first; undefined leaves it to the specification's post-processor. */
  addBos: boolean | undefined;
  /** Whether `addSpecial` puts EOS last; undefined leaves it to the specification's post-processor. */
  addEos: boolean | undefined;
  /** Jinja source, if the model has one. */
  chatTemplate: string | null;
}

export interface ModelSource {
  format: 'gguf' | 'huggingface';
  path: string;
  /** One line for people, e.g. `GGUF v3, llama, q4_1`. */
  description: string;
  config: ModelConfig;
  tensors: TensorLocation[];
  tokenizer: TokenizerSource;
}

type SizeName =
  Exclude<keyof ParameterGeometry, 'tiedEmbeddings' | 'qkvBias' | 'qkNorm' | 'scoreLabels'> | 'maxPositions';

export const MAX_LAYERS = 1024;

/** Bounds that keep every later product exact and catch nonsense early; real models lie far inside. The engine has the same. */
const LIMITS: readonly [SizeName, number, number][] = [
  ['hiddenSize', 1, 2 ** 16],
  ['intermediateSize', 1, 2 ** 20],
  ['numLayers', 1, MAX_LAYERS],
  ['numHeads', 1, 1024],
  ['numKeyValueHeads', 1, 1024],
  ['headSize', 2, 1024],
  ['vocabSize', 1, 2 ** 22],
  ['maxPositions', 1, 2 ** 24],
];

/**
 * Checks a configuration before anything is computed from it, and completes it with what follows from its family;
 * `path` is the file to blame.
 */
export function checkConfig(path: string, given: Omit<ModelConfig, 'parameterCount'>): ModelConfig {
  const fail = (what: string) =>
    corrupt(path, what, 'Its configuration is damaged: download or convert it again.');
  const family = familyOf(given.architecture);
  if (!family)
    throw unsupported(path, `its architecture is ${describe(given.architecture)}.`, KNOWN_FAMILIES);
  const config = { ...given, ...family.traits };
  for (const [name, min, max] of LIMITS) {
    const value = config[name];
    if (!Number.isSafeInteger(value) || value < min || value > max) {
      throw fail(`expected ${name} to be an integer from ${min} to ${max} but it is ${String(value)}.`);
    }
  }
  const { numHeads, numKeyValueHeads, headSize, rmsNormEps, ropeTheta, ropeScaling } = config;
  if (numHeads % numKeyValueHeads !== 0) {
    throw fail(`${numHeads} heads cannot be shared out among ${numKeyValueHeads} key-value heads.`);
  }
  if (headSize % 2 !== 0) throw fail(`the head size ${headSize} is odd, which RoPE cannot rotate.`);
  if (!(rmsNormEps >= 0 && rmsNormEps < 1)) throw fail(`the RMSNorm epsilon ${rmsNormEps} is not in [0, 1).`);
  if (!(ropeTheta >= 1 && ropeTheta < 1e15)) throw fail(`the RoPE base ${ropeTheta} is not in [1, 10^15).`);
  if (ropeScaling) checkRopeScaling(fail, ropeScaling);
  for (const layer of config.layersWithoutRope ?? []) {
    if (!(Number.isSafeInteger(layer) && layer >= 0 && layer < config.numLayers)) {
      throw fail(
        `layer ${String(layer)}, said to be without RoPE, is none of its ${config.numLayers} layers.`,
      );
    }
  }
  for (const id of [config.bosTokenId, config.padTokenId, ...config.eosTokenIds]) {
    if (id !== null && !(Number.isSafeInteger(id) && id >= 0 && id < config.vocabSize)) {
      throw fail(`the special token id ${String(id)} is not in the vocabulary of ${config.vocabSize}.`);
    }
  }
  return { ...config, parameterCount: countParameters(config) };
}

function checkRopeScaling(
  fail: (what: string) => Error,
  scaling: NonNullable<NativeModelConfig['ropeScaling']>,
): void {
  const { factor, lowFreqFactor, highFreqFactor, originalMaxPositions } = scaling;
  const finite = [factor, lowFreqFactor, highFreqFactor].every(
    (value) => Number.isFinite(value) && value > 0,
  );
  if (!finite || factor < 1 || !(highFreqFactor > lowFreqFactor)) {
    throw fail(
      `the RoPE scaling (factor ${factor}, low ${lowFreqFactor}, high ${highFreqFactor}) makes no sense.`,
    );
  }
  if (!Number.isSafeInteger(originalMaxPositions) || originalMaxPositions < 1) {
    throw fail(`the RoPE scaling's original context ${originalMaxPositions} is not a positive integer.`);
  }
}

/**
 * Checks that exactly the parameters of the geometry are there, each in its shape.
 * @param label how a tensor is called in its file, for the message
 */
export function checkTensors(
  path: string,
  geometry: ParameterGeometry,
  tensors: readonly TensorLocation[],
  label: (name: string) => string = (name) => name,
): void {
  // Before listing the parameters of a claimed layer count: the file must have about as many tensors.
  const needed = geometry.numLayers * layerParameters(geometry).length;
  if (tensors.length < needed) {
    throw corrupt(
      path,
      `${geometry.numLayers} layers need ${needed} tensors but there are only ${tensors.length}.`,
    );
  }
  const found = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  for (const { name, shape } of expectedParameters(geometry)) {
    const tensor = found.get(name);
    if (!tensor) throw corrupt(path, `tensor \`${label(name)}\` is missing.`);
    if (tensor.shape.length !== shape.length || tensor.shape.some((length, axis) => length !== shape[axis])) {
      throw corrupt(
        path,
        `tensor \`${label(name)}\` has the shape [${tensor.shape.join(', ')}], not the [${shape.join(', ')}] ` +
          'of the configuration.',
      );
    }
    found.delete(name);
  }
  const [extra] = found.keys();
  if (extra === undefined) return;
  const layer = /^model\.layers\.(\d+)\./.exec(extra)?.[1];
  if (layer !== undefined && Number(layer) < geometry.numLayers) {
    throw unsupported(
      path,
      `tensor \`${label(extra)}\` is one that its family does not have.`,
      KNOWN_FAMILIES,
    );
  }
  throw corrupt(path, `tensor \`${label(extra)}\` belongs to no part of this model.`);
}
