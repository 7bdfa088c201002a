/**
 * Models of test/fixtures/families.json as Hugging Face directories. Their weights follow from a formula, the same as
 * in test/fixtures/make_families.py, which had transformers compute what the tests compare with.
 */
import type { GradientSample } from './gradients';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ggufName } from '../../lib/model/formats/gguf-names';
import { field, GGUF, type GgufInput, ggufTokenizerFields, TINY_GGUF_TOKENS } from './tiny-gguf';
import {
  encodeSafetensors,
  seededUniform,
  tinyTokenizer,
  TINY_CHAT_TEMPLATE,
  type TestTensor,
} from './tiny-model';

export interface StoredModel {
  /** config.json as transformers wrote it. */
  config: Record<string, unknown>;
  parameters: { name: string; shape: number[] }[];
}

export interface LanguageCase extends StoredModel {
  sequences: { ids: number[]; logprobs: number[] }[];
  greedy: { prompt: number[]; ids: number[] };
  training: {
    groups: { prompt: number[]; completions: number[][]; coefficients: number[][] }[];
    gradients: Record<string, GradientSample>;
  };
}

export interface ScoringCase extends StoredModel {
  sequences: { ids: number[]; score: number }[];
}

interface Families {
  language: Record<string, LanguageCase>;
  scoring: Record<string, ScoringCase>;
}

export const FAMILY_CASES = JSON.parse(
  readFileSync(join(__dirname, '../fixtures/families.json'), 'utf8'),
) as Families;

/** Writes a model into `directory` (made if missing) and returns the directory. */
export function writeFamilyModel(directory: string, { config, parameters }: StoredModel): string {
  mkdirSync(directory, { recursive: true });
  const write = (name: string, value: unknown) => writeFileSync(join(directory, name), JSON.stringify(value));
  write('config.json', config);
  write('tokenizer.json', tinyTokenizer());
  write('tokenizer_config.json', { chat_template: TINY_CHAT_TEMPLATE, eos_token: '<|im_end|>' });
  writeFileSync(join(directory, 'model.safetensors'), encodeSafetensors(familyTensors(parameters)));
  return directory;
}

/** Uniform numbers: matrices around 0, norms around 1, biases around 0, wide enough that a skipped one shows. */
export function familyTensors(parameters: StoredModel['parameters']): TestTensor[] {
  return parameters.map(({ name, shape }, index) => {
    const uniform = seededUniform(index);
    const [rows, columns] = shape;
    const center = columns !== undefined || name.endsWith('.bias') ? 0 : 1;
    const scale =
      columns === undefined ? 0.4 : name.endsWith('embed_tokens.weight') ? 1 : 1.7 / Math.sqrt(columns);
    const values = Float32Array.from(
      { length: rows! * (columns ?? 1) },
      () => center + scale * (2 * uniform() - 1),
    );
    return { name, shape, values };
  });
}

/** The same model as a GGUF file, as llama.cpp's converter would write it. */
export function familyGguf({ config, parameters }: StoredModel): GgufInput {
  const architecture = config.model_type as string;
  const number = (key: string) => config[key] as number;
  const key = (name: string) => `${architecture}.${name}`;
  const headSize =
    (config.head_dim as number | undefined) ?? number('hidden_size') / number('num_attention_heads');
  const rope = config.rope_parameters as { rope_theta: number };
  const interleaved = ['llama', 'smollm3'].includes(architecture);
  const spare = Array.from(
    { length: number('vocab_size') - TINY_GGUF_TOKENS.length },
    (_, i) => `<spare${i}>`,
  );
  return {
    fields: [
      field('general.architecture', GGUF.STRING, architecture),
      field(key('block_count'), GGUF.U32, number('num_hidden_layers')),
      field(key('embedding_length'), GGUF.U32, number('hidden_size')),
      field(key('feed_forward_length'), GGUF.U32, number('intermediate_size')),
      field(key('attention.head_count'), GGUF.U32, number('num_attention_heads')),
      field(key('attention.head_count_kv'), GGUF.U32, number('num_key_value_heads')),
      field(key('attention.key_length'), GGUF.U32, headSize),
      field(key('attention.value_length'), GGUF.U32, headSize),
      field(key('attention.layer_norm_rms_epsilon'), GGUF.F32, number('rms_norm_eps')),
      field(key('context_length'), GGUF.U32, number('max_position_embeddings')),
      field(key('rope.freq_base'), GGUF.F32, rope.rope_theta),
      ...ggufTokenizerFields([...TINY_GGUF_TOKENS, ...spare]),
    ],
    tensors: familyTensors(parameters).map(({ name, shape, values }) => {
      const rows =
        interleaved && /[qk]_proj\.weight$/.test(name) ? interleave(values, shape[1]!, headSize) : values;
      return {
        name: ggufName(name),
        dimensions: [...shape].reverse(),
        type: 0,
        data: Buffer.from(rows.buffer),
      };
    }),
  };
}

/** Row 2i of each head is its row i, row 2i + 1 its row i + headSize / 2. */
function interleave(values: Float32Array, columns: number, headSize: number): Float32Array {
  const result = new Float32Array(values.length);
  for (let row = 0; row < values.length / columns; row++) {
    const within = row % headSize;
    const source = row - within + Math.floor(within / 2) + (within % 2) * (headSize / 2);
    result.set(values.subarray(source * columns, (source + 1) * columns), row * columns);
  }
  return result;
}
