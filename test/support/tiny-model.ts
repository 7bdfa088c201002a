/**
 * A tiny random Llama model written as a Hugging Face directory: config.json, generation_config.json,
 * tokenizer.json (byte-level BPE, ChatML-like specials), tokenizer_config.json with a chat template and
 * model.safetensors in f32. Seeded, so every test and example sees the same weights; small enough that a
 * training step takes milliseconds. The weights are random: what it says means nothing.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { byteAlphabet } from '../../examples/tiny-model/tokenizer';
import { expectedParameters } from '../../lib/model/formats/parameters';

export { byteAlphabet };

export interface TinyModelOptions {
  hiddenSize?: number;
  intermediateSize?: number;
  numLayers?: number;
  numHeads?: number;
  numKeyValueHeads?: number;
  headSize?: number;
  maxPositions?: number;
  tiedEmbeddings?: boolean;
  seed?: number;
  /** Extra or overriding keys of config.json. */
  config?: Record<string, unknown>;
}

export const TINY_SPECIAL_TOKENS = ['<|endoftext|>', '<|im_start|>', '<|im_end|>'];

export const TINY_CHAT_TEMPLATE =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}" +
  "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

const TINY_MERGES = ['Ġ t', 'h e', 'Ġt he', 'i n', 'e r', 'o n', 'Ġ a', 'a n', 'u s', 'us er', 's y', 'a s'];

/** 3 specials, 256 bytes, one token per merge, and unused ids up to a round number. */
export const TINY_VOCAB_SIZE = 288;

/** Writes the model into `directory` (made if missing) and returns the directory. */
export function writeTinyModel(directory: string, options: TinyModelOptions = {}): string {
  mkdirSync(directory, { recursive: true });
  const geometry = tinyGeometry(options);
  const writeJson = (name: string, value: unknown) =>
    writeFileSync(join(directory, name), `${JSON.stringify(value, null, 2)}\n`);
  writeJson('config.json', { ...tinyConfig(geometry), ...options.config });
  writeJson('generation_config.json', { bos_token_id: 1, eos_token_id: [2, 0], pad_token_id: 2 });
  writeJson('tokenizer.json', tinyTokenizer());
  writeJson('tokenizer_config.json', {
    tokenizer_class: 'PreTrainedTokenizerFast',
    bos_token: '<|im_start|>',
    eos_token: '<|im_end|>',
    pad_token: '<|im_end|>',
    unk_token: '<|endoftext|>',
    chat_template: TINY_CHAT_TEMPLATE,
  });
  writeFileSync(
    join(directory, 'model.safetensors'),
    encodeSafetensors(tinyTensors(geometry, options.seed ?? 1)),
  );
  return directory;
}

function tinyGeometry(options: TinyModelOptions) {
  const hiddenSize = options.hiddenSize ?? 32;
  const numHeads = options.numHeads ?? 4;
  return {
    hiddenSize,
    intermediateSize: options.intermediateSize ?? 64,
    numLayers: options.numLayers ?? 2,
    numHeads,
    numKeyValueHeads: options.numKeyValueHeads ?? 2,
    headSize: options.headSize ?? hiddenSize / numHeads,
    vocabSize: TINY_VOCAB_SIZE,
    maxPositions: options.maxPositions ?? 512,
    tiedEmbeddings: options.tiedEmbeddings ?? true,
  };
}

type TinyGeometry = ReturnType<typeof tinyGeometry>;

function tinyConfig(geometry: TinyGeometry): Record<string, unknown> {
  return {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    hidden_size: geometry.hiddenSize,
    intermediate_size: geometry.intermediateSize,
    num_hidden_layers: geometry.numLayers,
    num_attention_heads: geometry.numHeads,
    num_key_value_heads: geometry.numKeyValueHeads,
    head_dim: geometry.headSize,
    vocab_size: geometry.vocabSize,
    max_position_embeddings: geometry.maxPositions,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    hidden_act: 'silu',
    attention_bias: false,
    mlp_bias: false,
    tie_word_embeddings: geometry.tiedEmbeddings,
    bos_token_id: 1,
    eos_token_id: 2,
    torch_dtype: 'float32',
  };
}

/** A tokenizer.json object of TINY_VOCAB_SIZE or fewer tokens. */
export function tinyTokenizer(): Record<string, unknown> {
  const tokens = [
    ...TINY_SPECIAL_TOKENS,
    ...byteAlphabet(),
    ...TINY_MERGES.map((merge) => merge.replace(' ', '')),
  ];
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: TINY_SPECIAL_TOKENS.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: TINY_MERGES.map((merge) => merge.split(' ')),
    },
  };
}

export interface TestTensor {
  name: string;
  shape: number[];
  values: Float32Array;
}

function tinyTensors(geometry: TinyGeometry, seed: number): TestTensor[] {
  const random = seededNormal(seed);
  return expectedParameters(geometry).map(({ name, shape }) => {
    const values = new Float32Array(shape.reduce((product, length) => product * length, 1));
    const isNorm = shape.length === 1;
    // Wide enough that logits differ visibly; norms near but not at 1, so that a skipped norm shows.
    const scale = isNorm ? 0.1 : 1 / Math.sqrt(shape[1]!);
    for (let index = 0; index < values.length; index += 1) {
      values[index] = (isNorm ? 1 : 0) + scale * random();
    }
    return { name, shape, values };
  });
}

/** One f32 safetensors file: 8 bytes header length, JSON header padded with spaces, data. */
export function encodeSafetensors(tensors: readonly TestTensor[]): Buffer {
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  let offset = 0;
  for (const { name, shape, values } of tensors) {
    header[name] = { dtype: 'F32', shape, data_offsets: [offset, offset + values.byteLength] };
    offset += values.byteLength;
  }
  let json = JSON.stringify(header);
  json += ' '.repeat((8 - (json.length % 8)) % 8);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  const data = tensors.map(({ values }) => Buffer.from(values.buffer, values.byteOffset, values.byteLength));
  return Buffer.concat([length, Buffer.from(json, 'latin1'), ...data]);
}

/** Uniform numbers in [0, 1) from a 32-bit seed (mulberry32). */
export function seededUniform(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Standard normal numbers (Box-Muller). */
export function seededNormal(seed: number): () => number {
  const uniform = seededUniform(seed);
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}
