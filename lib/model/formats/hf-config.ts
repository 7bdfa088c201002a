/**
 * config.json of a model of a known family → ModelConfig. Understands the keys of transformers 4 (`rope_theta`,
 * `rope_scaling`, `torch_dtype`) and 5 (`rope_parameters`, `dtype`). A setting that would change the computation
 * and is not implemented is refused by name: a model that loads and computes something else is worse than none.
 */
import type { NativeModelConfig } from '../../native/addon';
import { isRecord } from '../../options';
import type { ModelConfig } from '../types';
import { everyNthWithoutRope, FAMILIES, familyOf, KNOWN_FAMILIES, type ModelFamily } from './families';
import { corrupt, unsupported } from './model-file';
import { checkConfig, MAX_LAYERS } from './model-source';
import type { JsonObject, JsonValue } from './strict-json';

/** Settings that must be absent, null or the value that changes nothing. */
const NEUTRAL: readonly [string, JsonValue][] = [
  ['attention_bias', false],
  ['mlp_bias', false],
  ['hidden_act', 'silu'],
  ['use_sliding_window', false],
  ['partial_rotary_factor', 1],
  ['quantization_config', null],
  ['num_local_experts', 0],
  ['logit_scale', 1],
  ['embedding_multiplier', 1],
  ['residual_multiplier', 1],
  ['attention_multiplier', null],
  ['final_logit_softcapping', null],
  ['attn_logit_softcapping', null],
  ['is_encoder_decoder', false],
  ['add_cross_attention', false],
];

/** Reads a number of config.json; null counts as absent, as in transformers. */
class ConfigReader {
  constructor(
    readonly path: string,
    readonly values: JsonObject,
  ) {}

  number(key: string, fallback?: number): number {
    const value = this.values[key] ?? fallback;
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    throw corrupt(
      this.path,
      value === undefined ? `\`${key}\` is missing.` : `\`${key}\` is not a finite number.`,
    );
  }

  boolean(key: string, fallback: boolean): boolean {
    const value = this.values[key] ?? fallback;
    if (typeof value === 'boolean') return value;
    throw corrupt(this.path, `\`${key}\` is not true or false.`);
  }
}

/**
 * @param generation generation_config.json, or null; its end-of-sequence ids come before config.json's
 */
export function readHuggingFaceConfig(
  path: string,
  config: JsonObject,
  generation: JsonObject | null,
): ModelConfig {
  const { family, head } = readArchitecture(path, config);
  for (const [key, neutral] of NEUTRAL) {
    const value = config[key] ?? null;
    if (value !== null && value !== neutral) {
      throw unsupported(
        path,
        `\`${key}\` is ${shown(value)}, which this version does not compute.`,
        KNOWN_FAMILIES,
      );
    }
  }
  requireFullAttention(path, config);
  const reader = new ConfigReader(path, config);
  const hiddenSize = reader.number('hidden_size');
  const numHeads = reader.number('num_attention_heads');
  const { defaults } = family;
  const { ropeTheta, ropeScaling } = readRope(reader, defaults.ropeTheta);
  const numLayers = reader.number('num_hidden_layers');
  const firstId = (key: string) =>
    (tokenIds(path, generation, key) ?? tokenIds(path, config, key) ?? [])[0] ?? null;
  return checkConfig(path, {
    architecture: family.architecture,
    hiddenSize,
    intermediateSize: reader.number('intermediate_size'),
    numLayers,
    numHeads,
    numKeyValueHeads: reader.number(
      'num_key_value_heads',
      keyValueHeads(config, defaults.numKeyValueHeads, numHeads),
    ),
    headSize: reader.number('head_dim', defaults.headSize ?? hiddenSize / numHeads),
    vocabSize: reader.number('vocab_size'),
    maxPositions: reader.number('max_position_embeddings', defaults.maxPositions),
    rmsNormEps: reader.number('rms_norm_eps', 1e-6),
    ropeTheta,
    ...(ropeScaling && { ropeScaling }),
    ...(family.noRopeInterval > 0 && { layersWithoutRope: layersWithoutRope(reader, family, numLayers) }),
    ...(head === 'score'
      ? { tiedEmbeddings: false, scoreLabels: countLabels(reader) }
      : { tiedEmbeddings: reader.boolean('tie_word_embeddings', defaults.tiedEmbeddings) }),
    bosTokenId: firstId('bos_token_id'),
    eosTokenIds: tokenIds(path, generation, 'eos_token_id') ?? tokenIds(path, config, 'eos_token_id') ?? [],
    // Not generation_config.json's: this one is also the embedding's padding index, which training respects.
    padTokenId: padTokenId(path, config, defaults.padTokenId),
  });
}

/** Endings of class names in transformers, and the heads that they stand for. */
const HEADS = [
  ['ForCausalLM', 'language'],
  ['ForSequenceClassification', 'score'],
] as const;

function readArchitecture(
  path: string,
  config: JsonObject,
): { family: ModelFamily; head: (typeof HEADS)[number][1] } {
  const architectures = config['architectures'] ?? null;
  const type = config['model_type'] ?? null;
  if (architectures !== null && (!Array.isArray(architectures) || architectures.length === 0)) {
    throw corrupt(path, '`architectures` is not a list of names.');
  }
  const named = architectures?.[0] ?? null;
  if (named === null) {
    const family = familyOf(type);
    if (!family) throw unsupported(path, `its model type is ${shown(type)}.`, KNOWN_FAMILIES);
    return { family, head: 'language' };
  }
  for (const family of FAMILIES) {
    for (const [ending, head] of HEADS) {
      if (named !== family.className + ending) continue;
      if (type === null || type === family.architecture) return { family, head };
      throw unsupported(path, `its model type is ${shown(type)}.`, KNOWN_FAMILIES);
    }
  }
  throw unsupported(path, `its architecture is ${shown(named)}.`, KNOWN_FAMILIES);
}

const FULL_ATTENTION_ONLY = 'This version computes full attention.';

/** Null says as many as heads; only a key that is missing leaves it to the family. */
function keyValueHeads(config: JsonObject, fallback: number | undefined, numHeads: number): number {
  return Object.hasOwn(config, 'num_key_value_heads') ? numHeads : (fallback ?? numHeads);
}

/** Null says none, as above. */
function padTokenId(path: string, config: JsonObject, fallback: number | undefined): number | null {
  if (Object.hasOwn(config, 'pad_token_id')) return tokenIds(path, config, 'pad_token_id')?.[0] ?? null;
  return fallback ?? null;
}

function requireFullAttention(path: string, config: JsonObject): void {
  // Qwen names a window in every configuration, and says beside it that it is not used.
  const window = config['sliding_window'] ?? null;
  if (window !== null && config['use_sliding_window'] !== false) {
    throw unsupported(path, `\`sliding_window\` is ${shown(window)}.`, FULL_ATTENTION_ONLY);
  }
  const types = config['layer_types'] ?? null;
  if (types === null) return;
  if (!Array.isArray(types)) throw corrupt(path, '`layer_types` is not a list.');
  const other = types.find((type) => type !== 'full_attention');
  if (other === undefined) return;
  throw unsupported(path, `it has layers of the type ${shown(other)}.`, FULL_ATTENTION_ONLY);
}

/** transformers' `no_rope_layers` has, against its name, 1 for a layer with RoPE and 0 for one without. */
function layersWithoutRope({ path, values }: ConfigReader, family: ModelFamily, numLayers: number): number[] {
  const turns = values['no_rope_layers'] ?? null;
  if (turns === null) {
    const interval = values['no_rope_layer_interval'] ?? family.noRopeInterval;
    if (!(typeof interval === 'number' && Number.isSafeInteger(interval) && interval >= 1)) {
      throw corrupt(path, '`no_rope_layer_interval` is not a positive integer.');
    }
    // A claimed number of layers is checked later: no list is made for an absurd one.
    return numLayers <= MAX_LAYERS ? everyNthWithoutRope(interval, numLayers) : [];
  }
  const known = Array.isArray(turns) && turns.every((turn) => turn === 0 || turn === 1);
  if (!known || turns.length < numLayers) {
    throw corrupt(path, '`no_rope_layers` is not a list of a 0 or 1 for each layer.');
  }
  return turns.flatMap((turn, layer) => (turn === 0 && layer < numLayers ? [layer] : []));
}

/** Outputs of a scoring head. transformers writes their names; without any it assumes two. */
function countLabels(reader: ConfigReader): number {
  const names = reader.values['id2label'] ?? null;
  return isRecord(names) ? Object.keys(names).length : reader.number('num_labels', 2);
}

function shown(value: JsonValue): string {
  return JSON.stringify(value).slice(0, 80);
}

/** One id or a list of ids; undefined when absent or null. */
function tokenIds(path: string, source: JsonObject | null, key: string): number[] | undefined {
  const value = source?.[key] ?? null;
  if (value === null) return undefined;
  const ids = Array.isArray(value) ? value : [value];
  // Some configurations say -1 for "none".
  const numbers = ids.filter((id) => id !== -1);
  if (!numbers.every((id) => typeof id === 'number' && Number.isSafeInteger(id))) {
    throw corrupt(path, `\`${key}\` is not a token id or a list of them.`);
  }
  return [...new Set(numbers as number[])];
}

function readRope(
  reader: ConfigReader,
  defaultTheta: number,
): Pick<NativeModelConfig, 'ropeTheta' | 'ropeScaling'> {
  const { path, values } = reader;
  // Where both are there, transformers takes the older one.
  const key = (values['rope_scaling'] ?? null) !== null ? 'rope_scaling' : 'rope_parameters';
  const rope = values[key] ?? null;
  const plainTheta = reader.number('rope_theta', defaultTheta);
  if (rope === null) return { ropeTheta: plainTheta };
  if (!isRecord(rope)) throw corrupt(path, `\`${key}\` is not an object.`);
  const inner = new ConfigReader(path, rope);
  const ropeTheta = inner.number('rope_theta', plainTheta);
  if (inner.number('partial_rotary_factor', 1) !== 1) {
    throw unsupported(path, `\`${key}.partial_rotary_factor\` is not 1.`, KNOWN_FAMILIES);
  }
  const nested = Object.keys(rope).find((name) => isRecord(rope[name]));
  if (nested !== undefined) {
    throw unsupported(path, `\`${key}\` differs between layers (\`${nested}\`).`, KNOWN_FAMILIES);
  }
  const type = rope['rope_type'] ?? rope['type'] ?? (inner.number('factor', 1) === 1 ? 'default' : null);
  if (type === 'default') return { ropeTheta };
  if (type !== 'llama3') {
    throw unsupported(
      path,
      `its RoPE type is ${shown(type)}.`,
      'This version computes the types `default` and `llama3`.',
    );
  }
  return {
    ropeTheta,
    ropeScaling: {
      factor: inner.number('factor'),
      lowFreqFactor: inner.number('low_freq_factor'),
      highFreqFactor: inner.number('high_freq_factor'),
      originalMaxPositions: inner.number('original_max_position_embeddings'),
    },
  };
}
