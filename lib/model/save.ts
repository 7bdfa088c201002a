/** Writing a Hugging Face directory that transformers loads. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeModelDirectory } from './directory';
import { familyOf } from './formats/families';
import type { SpecialToken, SpecialTokens, TokenizerSource } from './formats/model-source';
import { explicitBookends } from './tokenizer-bookends';
import type { ModelConfig } from './types';

/** Marks config.json of a directory that this library wrote and may therefore replace. */
const MARK = 'lsp_format';
const FORMAT_VERSION = 1;

const WEIGHTS = 'model.safetensors';
const FILES = [
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  WEIGHTS,
];

export type SavedType = 'f32' | 'f16' | 'bf16';

export interface SaveContent {
  config: ModelConfig;
  tokenizer: TokenizerSource;
  dtype: SavedType;
  /** Writes the weights to that path, completely. */
  writeWeights: (path: string) => Promise<void>;
}

/**
 * @throws LspError IO_ERROR (full disk, permissions), INVALID_ARGUMENT (the directory holds something else);
 *   whatever `writeWeights` throws
 */
export async function saveHuggingFace(directory: string, content: SaveContent): Promise<void> {
  const kind = {
    what: 'a model',
    files: FILES,
    isOurs: (path: string) => isMarked(join(path, 'config.json')),
  };
  await writeModelDirectory(directory, kind, jsonFiles(content), (path) =>
    content.writeWeights(join(path, WEIGHTS)),
  );
}

async function isMarked(path: string): Promise<boolean> {
  try {
    return (JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown> | null)?.[MARK] !== undefined;
  } catch {
    return false;
  }
}

const TORCH_TYPES: Readonly<Record<SavedType, string>> = { f32: 'float32', f16: 'float16', bf16: 'bfloat16' };

/** The JSON files of the directory, by name. */
function jsonFiles({ config, tokenizer, dtype }: SaveContent): Record<string, unknown> {
  const names = namedTokens(tokenizer.specialTokens);
  return {
    'config.json': configJson(config, dtype),
    'generation_config.json': {
      ...specialIds(config),
      do_sample: true,
      transformers_version: '4.45.0',
    },
    'tokenizer.json': tokenizerJson(tokenizer),
    'tokenizer_config.json': {
      ...names,
      ...(tokenizer.addBos !== undefined && { add_bos_token: tokenizer.addBos }),
      ...(tokenizer.addEos !== undefined && { add_eos_token: tokenizer.addEos }),
      ...(tokenizer.chatTemplate !== null && { chat_template: tokenizer.chatTemplate }),
      clean_up_tokenization_spaces: false,
      model_max_length: config.maxPositions,
      tokenizer_class: 'PreTrainedTokenizerFast',
    },
    'special_tokens_map.json': names,
  };
}

function specialIds({ bosTokenId, eosTokenIds, padTokenId }: ModelConfig): Record<string, unknown> {
  return {
    bos_token_id: bosTokenId,
    eos_token_id: eosTokenIds.length > 1 ? eosTokenIds : (eosTokenIds[0] ?? null),
    ...(padTokenId !== null && { pad_token_id: padTokenId }),
  };
}

function namedTokens({ bos, eos, unk, pad }: SpecialTokens): Record<string, string> {
  return {
    ...(bos && { bos_token: bos.text }),
    ...(eos && { eos_token: eos.text }),
    ...(unk && { unk_token: unk.text }),
    ...(pad && { pad_token: pad.text }),
  };
}

/** With RoPE in the layouts of transformers 4 and 5 both; each reads its own. */
function configJson(config: ModelConfig, dtype: SavedType): Record<string, unknown> {
  const { ropeTheta, ropeScaling, layersWithoutRope, padTokenId } = config;
  const family = familyOf(config.architecture)!; // a ModelConfig of an unknown one is never made
  const scaling = ropeScaling && {
    rope_type: 'llama3',
    factor: ropeScaling.factor,
    low_freq_factor: ropeScaling.lowFreqFactor,
    high_freq_factor: ropeScaling.highFreqFactor,
    original_max_position_embeddings: ropeScaling.originalMaxPositions,
  };
  return {
    architectures: [`${family.className}ForCausalLM`],
    model_type: family.architecture,
    hidden_size: config.hiddenSize,
    intermediate_size: config.intermediateSize,
    num_hidden_layers: config.numLayers,
    num_attention_heads: config.numHeads,
    num_key_value_heads: config.numKeyValueHeads,
    head_dim: config.headSize,
    vocab_size: config.vocabSize,
    max_position_embeddings: config.maxPositions,
    rms_norm_eps: config.rmsNormEps,
    rope_theta: ropeTheta,
    rope_scaling: scaling ?? null,
    rope_parameters: { rope_type: 'default', ...scaling, rope_theta: ropeTheta },
    hidden_act: 'silu',
    ...(!config.qkvBias && { attention_bias: false }), // a family with them has no setting for it
    ...(layersWithoutRope && {
      no_rope_layers: Array.from({ length: config.numLayers }, (_, layer) =>
        layersWithoutRope.includes(layer) ? 0 : 1,
      ),
    }),
    attention_dropout: 0,
    mlp_bias: false,
    initializer_range: 0.02,
    tie_word_embeddings: config.tiedEmbeddings,
    use_cache: true,
    torch_dtype: TORCH_TYPES[dtype],
    ...specialIds(config),
    // Said where the family would have one otherwise.
    ...(padTokenId === null && family.defaults.padTokenId !== undefined && { pad_token_id: null }),
    [MARK]: FORMAT_VERSION,
  };
}

/** A specification rebuilt from a GGUF has no post-processor: one that adds BOS and EOS is put in if they are. */
function tokenizerJson(tokenizer: TokenizerSource): Record<string, unknown> {
  const { spec, specialTokens } = tokenizer;
  if ((spec['post_processor'] ?? null) !== null) return spec;
  const { before, after } = explicitBookends(tokenizer);
  if (before.length + after.length === 0) return spec;
  const named = (Object.values(specialTokens) as (SpecialToken | null)[]).filter((token) => token !== null);
  const textOf = (id: number) => named.find((token) => token.id === id)?.text ?? '';
  const special = (typeId: number) => (id: number) => ({ SpecialToken: { id: textOf(id), type_id: typeId } });
  const sequence = (id: string, typeId: number) => [
    ...before.map(special(typeId)),
    { Sequence: { id, type_id: typeId } },
    ...after.map(special(typeId)),
  ];
  const entries = [...before, ...after].map((id) => [
    textOf(id),
    { id: textOf(id), ids: [id], tokens: [textOf(id)] },
  ]);
  return {
    ...spec,
    post_processor: {
      type: 'TemplateProcessing',
      single: sequence('A', 0),
      pair: [...sequence('A', 0), ...sequence('B', 1)],
      special_tokens: Object.fromEntries(entries) as Record<string, unknown>,
    },
  };
}
