/**
 * A Hugging Face model directory as a ModelSource: config.json, generation_config.json, weights in one
 * model.safetensors or in shards named by model.safetensors.index.json, and the tokenizer's files.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { TensorLocation } from '../../native/addon';
import { isRecord } from '../../options';
import type { ModelConfig } from '../types';
import { readHuggingFaceConfig } from './hf-config';
import { huggingFaceTokenizer } from './hf-tokenizer';
import { readJsonObject } from './json-file';
import { corrupt, unsupported, withModelFile } from './model-file';
import { checkTensors, type ModelSource } from './model-source';
import { LM_HEAD } from './parameters';
import { readSafetensorsHeader, type SafetensorsTensor } from './safetensors';
import { SAFETENSORS_TYPES } from './tensor-types';

const MAX_CONFIG_BYTES = 2 ** 20;
const MAX_INDEX_BYTES = 16 * 2 ** 20;
const MAX_SHARDS = 4096;
export const SINGLE_FILE = 'model.safetensors';
export const INDEX_FILE = 'model.safetensors.index.json';

/**
 * The configuration of a model directory; weights and tokenizer need not be there.
 * @throws LspError INVALID_MODEL_FILE, UNSUPPORTED_MODEL, IO_ERROR
 */
export function readDirectoryConfig(directory: string): ModelConfig {
  const configPath = join(directory, 'config.json');
  if (!existsSync(configPath)) {
    throw corrupt(
      directory,
      'expected a model directory but it holds no config.json.',
      'Give a .gguf file or a Hugging Face model directory.',
    );
  }
  const config = readJsonObject(configPath, MAX_CONFIG_BYTES);
  const generationPath = join(directory, 'generation_config.json');
  const generation = existsSync(generationPath) ? readJsonObject(generationPath, MAX_CONFIG_BYTES) : null;
  return readHuggingFaceConfig(configPath, config, generation);
}

export function openHuggingFace(directory: string): ModelSource {
  const modelConfig = readDirectoryConfig(directory);
  const { files, tensors } = readWeights(directory);
  const locations = locate(tensors, modelConfig);
  checkTensors(directory, modelConfig, locations);
  const tokenizer = huggingFaceTokenizer(directory, modelConfig.vocabSize);
  const types = [...new Set(locations.map((tensor) => tensor.type))].sort();
  return {
    format: 'huggingface',
    path: directory,
    description: `Hugging Face directory, ${modelConfig.architecture}, ${types.join(' + ')}, ${files === 1 ? '1 file' : `${files} shards`}`,
    config: modelConfig,
    tensors: locations,
    tokenizer,
  };
}

type LocatedTensor = SafetensorsTensor & { path: string };

function readWeights(directory: string): { files: number; tensors: LocatedTensor[] } {
  const single = join(directory, SINGLE_FILE);
  if (existsSync(single)) return { files: 1, tensors: readFile(single) };
  const indexPath = join(directory, INDEX_FILE);
  if (!existsSync(indexPath)) {
    throw unsupported(
      directory,
      `it holds neither ${SINGLE_FILE} nor ${INDEX_FILE}.`,
      'Convert the weights to safetensors (in transformers: model.save_pretrained).',
    );
  }
  const shards = readIndex(indexPath);
  const tensors: LocatedTensor[] = [];
  for (const [shard, names] of shards) {
    const path = join(directory, shard);
    const found = readFile(path);
    for (const tensor of found) {
      if (!names.delete(tensor.name))
        throw corrupt(path, `tensor \`${tensor.name}\` is not there by ${INDEX_FILE}.`);
    }
    const [missing] = names;
    if (missing !== undefined) throw corrupt(path, `tensor \`${missing}\` should be there by ${INDEX_FILE}.`);
    tensors.push(...found);
  }
  return { files: shards.size, tensors };
}

function readFile(path: string): LocatedTensor[] {
  return withModelFile(path, readSafetensorsHeader).tensors.map((tensor) => ({ ...tensor, path }));
}

/** Shard file → names of its tensors. */
export function readIndex(path: string): Map<string, Set<string>> {
  const map = readJsonObject(path, MAX_INDEX_BYTES)['weight_map'];
  if (!isRecord(map)) throw corrupt(path, '`weight_map` is missing or not an object.');
  const shards = new Map<string, Set<string>>();
  for (const [name, shard] of Object.entries(map)) {
    // A plain file name: nothing that leads out of the directory.
    if (typeof shard !== 'string' || !/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,200}\.safetensors$/.test(shard)) {
      throw corrupt(path, `tensor \`${name}\` is said to lie in ${JSON.stringify(shard).slice(0, 100)}.`);
    }
    const names = shards.get(shard) ?? new Set();
    names.add(name);
    shards.set(shard, names);
  }
  if (shards.size > MAX_SHARDS)
    throw corrupt(path, `it names ${shards.size} shards; at most ${MAX_SHARDS} are allowed.`);
  return shards;
}

function locate(tensors: readonly LocatedTensor[], config: ModelConfig): TensorLocation[] {
  const withoutHead = config.tiedEmbeddings || config.scoreLabels !== undefined;
  const locations: TensorLocation[] = [];
  for (const { name, path, dtype, shape, offset, byteLength } of tensors) {
    // Old files store the frequencies, which follow from the configuration; a tied head repeats the embedding,
    // and a scoring head takes the place of one.
    if (name.endsWith('.rotary_emb.inv_freq') || (withoutHead && name === LM_HEAD)) continue;
    const type = SAFETENSORS_TYPES.get(dtype);
    if (!type) {
      throw unsupported(
        path,
        `tensor \`${name}\` is stored as ${dtype}.`,
        'This version reads F32, F16 and BF16.',
      );
    }
    locations.push({ name, path, offset, byteLength, type, shape });
  }
  return locations;
}
