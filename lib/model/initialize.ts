/** A model that has learnt nothing yet: random weights in a Hugging Face directory, to be loaded and pre-trained. */
import { open } from 'node:fs/promises';
import { checkOptions, expectUint64, isRecord, invalid } from '../options';
import { checkConfig, type TokenizerSource } from './formats/model-source';
import { expectedParameters, type ParameterShape } from './formats/parameters';
import { saveHuggingFace } from './save';
import type { ModelConfig } from './types';

export interface InitializeOptions {
  /** Geometry of a Llama-family model. */
  config: Omit<ModelConfig, 'parameterCount'>;
  tokenizer: TokenizerSource;
  /** The same seed gives the same weights. Default 0. */
  seed?: number | bigint;
}

/**
 * Writes a model with random weights into `directory`, as `LanguageModel.save` would.
 *
 * Matrices are normal with deviation 1 / √columns, those that write into the residual stream (attention output,
 * feed-forward down) smaller by √(2 · layers), as in GPT-2 (Radford et al. 2019, section 2.3); embeddings have a
 * deviation of 0.02, norms are 1, biases 0.
 *
 * @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION, INVALID_MODEL_FILE (an impossible geometry), IO_ERROR
 */
export async function initializeModel(directory: string, options: InitializeOptions): Promise<void> {
  const checked = checkOptions(options, ['config', 'tokenizer', 'seed'], 'initializeModel');
  if (!isRecord(checked.config)) throw invalid('config', 'the geometry of a model', checked.config);
  if (!isRecord(checked.tokenizer)) throw invalid('tokenizer', 'a tokenizer', checked.tokenizer);
  const config = checkConfig(directory, checked.config);
  const normal = seededNormal(expectUint64('seed', checked.seed ?? 0));
  await saveHuggingFace(directory, {
    config,
    tokenizer: checked.tokenizer,
    dtype: 'f32',
    writeWeights: (path) => writeWeights(path, config, normal),
  });
}

/** One f32 safetensors file: 8 bytes of header length, a JSON header padded with blanks, the data. */
async function writeWeights(path: string, config: ModelConfig, normal: () => number): Promise<void> {
  const parameters = expectedParameters(config);
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  let offset = 0;
  for (const { name, shape } of parameters) {
    const end = offset + 4 * sizeOf(shape);
    header[name] = { dtype: 'F32', shape, data_offsets: [offset, end] };
    offset = end;
  }
  const text = JSON.stringify(header);
  const json = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8), 'utf8');
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  const file = await open(path, 'wx');
  try {
    await file.writeFile(Buffer.concat([length, json]));
    for (const parameter of parameters) await file.writeFile(initialValues(parameter, config, normal));
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Little-endian f32, row-major. */
function initialValues(
  { name, shape }: ParameterShape,
  { numLayers }: ModelConfig,
  normal: () => number,
): Buffer {
  const values = new Float32Array(sizeOf(shape));
  if (shape.length === 1) values.fill(name.endsWith('.bias') ? 0 : 1);
  else {
    const deviation = name.includes('embed_tokens') ? 0.02 : 1 / Math.sqrt(shape[1]!);
    const scale = /(?:o_proj|down_proj)\.weight$/.test(name)
      ? deviation / Math.sqrt(2 * numLayers)
      : deviation;
    for (let i = 0; i < values.length; i++) values[i] = scale * normal();
  }
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, i) => bytes.writeFloatLE(value, 4 * i));
  return bytes;
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((product, length) => product * length, 1);

/** Standard normal numbers: Box–Muller on the 32 upper bits of a linear congruential generator (Knuth's MMIX). */
function seededNormal(seed: bigint): () => number {
  let state = BigInt.asUintN(64, seed * 2n + 1n);
  const uniform = (): number => {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    return Number(state >> 32n) / 2 ** 32;
  };
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}
