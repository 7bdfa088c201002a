/**
 * Adapters as PEFT keeps them: a directory with adapter_config.json and adapter_model.safetensors.
 *
 * What PEFT can do and this engine does not is refused by name, never ignored: an adapter that computes something else
 * than it was trained to is worse than none. A setting that this version does not know must be off.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { NativeAdapter, TensorLocation } from '../../native/addon';
import { describe, isRecord } from '../../options';
import { writeModelDirectory } from '../directory';
import { readJsonObject } from '../formats/json-file';
import { corrupt, unsupported, withModelFile } from '../formats/model-file';
import { readSafetensorsHeader, type SafetensorsTensor } from '../formats/safetensors';
import { SAFETENSORS_TYPES } from '../formats/tensor-types';
import type { ModelConfig } from '../types';
import { adaptableMatrices, LORA_TARGETS, MAX_RANK } from './lora';

const CONFIG = 'adapter_config.json';
const WEIGHTS = 'adapter_model.safetensors';
const PICKLED = 'adapter_model.bin';
const PREFIX = 'base_model.model.';
const MAX_CONFIG_BYTES = 2 ** 20;

/** Settings that do not change what a trained adapter computes: where it came from, and how it was trained. */
const NEUTRAL = new Set([
  ...['task_type', 'auto_mapping', 'peft_version', 'base_model_name_or_path', 'revision', 'inference_mode'],
  ...['target_modules', 'exclude_modules', 'layers_to_transform', 'layers_pattern', 'lora_dropout'],
  ...['loftq_config', 'eva_config', 'corda_config', 'lora_ga_config', 'megatron_core', 'qalora_group_size'],
  ...['ensure_weight_tying', 'runtime_config'],
]);
/** Settings that are read. */
const READ = new Set(['peft_type', 'r', 'lora_alpha', 'use_rslora', 'bias', 'init_lora_weights']);

/** Initialisations that leave the base weights as they are; others (PiSSA, OLoRA, LoftQ, …) change them. */
const PLAIN_INITIALISATIONS: readonly unknown[] = [
  true,
  false,
  null,
  undefined,
  'gaussian',
  'eva',
  'orthogonal',
];

export interface PeftAdapter {
  adapter: NativeAdapter;
  tensors: TensorLocation[];
}

/**
 * Looks an adapter through, and checks that it is one for this model.
 * @throws LspError INVALID_MODEL_FILE (damaged, or of another model), UNSUPPORTED_MODEL (a feature of PEFT that this
 *   version does not have), IO_ERROR
 */
export function readPeftAdapter(directory: string, config: ModelConfig): PeftAdapter {
  const settings = readSettings(directory);
  const path = join(directory, WEIGHTS);
  if (!existsSync(path)) {
    throw unsupported(
      directory,
      existsSync(join(directory, PICKLED))
        ? `its weights are a pickle, ${PICKLED}, which can run code.`
        : `it holds no ${WEIGHTS}.`,
      'Save the adapter with PEFT as safetensors (save_pretrained does by default).',
    );
  }
  const { tensors } = withModelFile(path, readSafetensorsHeader);
  return locate(path, tensors, settings, config);
}

/**
 * adapter_config.json alone, before a model is loaded.
 * @throws LspError INVALID_MODEL_FILE, UNSUPPORTED_MODEL, IO_ERROR
 */
export function readSettings(directory: string): Omit<NativeAdapter, 'matrices'> {
  const path = join(directory, CONFIG);
  if (!existsSync(path)) {
    const remedy = `Give a directory with ${CONFIG} and ${WEIGHTS}, as PEFT and \`saveAdapter\` write it.`;
    throw corrupt(directory, `expected an adapter but it holds no ${CONFIG}.`, remedy);
  }
  const settings = readJsonObject(path, MAX_CONFIG_BYTES);
  refuseOtherKinds(path, settings);
  const { r: rank, lora_alpha: alpha, use_rslora: rsLora = false } = settings;
  if (typeof rank !== 'number' || !Number.isSafeInteger(rank) || rank < 1 || rank > MAX_RANK) {
    throw corrupt(path, `\`r\` is ${describe(rank)}, not an integer from 1 to ${MAX_RANK}.`);
  }
  if (typeof alpha !== 'number' || !Number.isFinite(alpha) || Math.abs(alpha) > 1e6) {
    throw corrupt(path, `\`lora_alpha\` is ${describe(alpha)}, not a number.`);
  }
  return { rank, alpha, rsLora: rsLora === true };
}

function refuseOtherKinds(path: string, settings: Readonly<Record<string, unknown>>): void {
  if (settings['peft_type'] !== 'LORA') {
    throw unsupported(
      path,
      `its \`peft_type\` is ${describe(settings['peft_type'])}.`,
      'This version runs LORA.',
    );
  }
  const refuse = (name: string, remedy: string) =>
    unsupported(path, `it sets \`${name}\` to ${describe(settings[name])}.`, remedy);
  const merge = 'Merge the adapter with PEFT (merge_and_unload) and load the model that comes out.';
  if (!['none', null, undefined].includes(settings['bias'] as string | undefined))
    throw refuse('bias', merge);
  if (!PLAIN_INITIALISATIONS.includes(settings['init_lora_weights'])) {
    throw refuse(
      'init_lora_weights',
      'Its base weights are not the model’s own: convert it with PEFT (path_initial_model_for_weight_conversion).',
    );
  }
  for (const [name, value] of Object.entries(settings)) {
    if (NEUTRAL.has(name) || READ.has(name) || isOff(value)) continue;
    throw refuse(name, `This version has one rank and scale for all projections, and nothing else. ${merge}`);
  }
}

function isOff(value: unknown): boolean {
  if (value === null || value === false) return true;
  return Array.isArray(value) ? value.length === 0 : isRecord(value) && Object.keys(value).length === 0;
}

const OTHER_MODEL = 'It is damaged, or an adapter of another model.';

function locate(
  path: string,
  tensors: readonly SafetensorsTensor[],
  settings: Omit<NativeAdapter, 'matrices'>,
  config: ModelConfig,
): PeftAdapter {
  const left = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const { rank } = settings;
  const matrices: string[] = [];
  const locations: TensorLocation[] = [];
  for (const { name, inputs, outputs } of adaptableMatrices(config)) {
    const parts = [
      { name: tensorName(name, 'A'), shape: [rank, inputs] },
      { name: tensorName(name, 'B'), shape: [outputs, rank] },
    ];
    const found = parts.filter((part) => left.has(part.name));
    if (found.length === 0) continue;
    matrices.push(name);
    for (const part of parts) {
      const tensor = left.get(part.name);
      if (!tensor) throw corrupt(path, `tensor \`${part.name}\` is missing.`, OTHER_MODEL);
      left.delete(part.name);
      locations.push(location(path, tensor, part.shape));
    }
  }
  const [other] = left.keys();
  if (other !== undefined) {
    throw corrupt(
      path,
      `tensor \`${other}\` belongs to no projection of this model.`,
      `${OTHER_MODEL} Adapters stand on ${LORA_TARGETS.map((target) => `${target}_proj`).join(', ')} here.`,
    );
  }
  if (matrices.length === 0) throw corrupt(path, 'it holds no tensors.');
  return { adapter: { ...settings, matrices }, tensors: locations };
}

/** `base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight`. */
function tensorName(matrix: string, part: 'A' | 'B'): string {
  return `${PREFIX}${matrix.replace(/weight$/, `lora_${part}.weight`)}`;
}

function location(path: string, tensor: SafetensorsTensor, shape: readonly number[]): TensorLocation {
  const { name, offset, byteLength } = tensor;
  if (tensor.shape.length !== shape.length || tensor.shape.some((length, axis) => length !== shape[axis])) {
    const shapes = `[${tensor.shape.join(', ')}], not [${shape.join(', ')}]`;
    throw corrupt(path, `tensor \`${name}\` has the shape ${shapes}.`, OTHER_MODEL);
  }
  const type = SAFETENSORS_TYPES.get(tensor.dtype);
  if (!type) {
    throw unsupported(
      path,
      `tensor \`${name}\` is stored as ${tensor.dtype}.`,
      'This version reads F32, F16 and BF16.',
    );
  }
  return { name, path, offset, byteLength, type, shape: [...shape] };
}

export interface AdapterContent {
  adapter: NativeAdapter;
  config: ModelConfig;
  baseModel: string | null;
  /** Writes the weights to that path, completely. */
  writeWeights: (path: string) => Promise<void>;
}

/**
 * Writes a directory that PEFT's `PeftModel.from_pretrained(base, dir)` loads.
 * @throws LspError IO_ERROR, INVALID_ARGUMENT (the directory holds something else); whatever `writeWeights` throws
 */
export async function savePeftAdapter(directory: string, content: AdapterContent): Promise<void> {
  const kind = { what: 'an adapter', files: [CONFIG, WEIGHTS], isOurs: isMarked };
  await writeModelDirectory(directory, kind, { [CONFIG]: settingsOf(content) }, (path) =>
    content.writeWeights(join(path, WEIGHTS)),
  );
}

/** PEFT warns of settings that it does not know, so the mark stands in the header of the weights. */
async function isMarked(directory: string): Promise<boolean> {
  try {
    const { metadata } = withModelFile(join(directory, WEIGHTS), readSafetensorsHeader);
    return metadata['lsp_format'] !== undefined;
  } catch {
    return false;
  }
}

function settingsOf({ adapter, config, baseModel }: AdapterContent): Record<string, unknown> {
  const { rank, alpha, rsLora, matrices } = adapter;
  const adapted = new Set(matrices);
  const all = adaptableMatrices(config);
  const targets = LORA_TARGETS.filter((short) =>
    all.some(({ name, target }) => target === short && adapted.has(name)),
  );
  const regular = all.every(({ name, target }) => adapted.has(name) === targets.includes(target));
  return {
    peft_type: 'LORA',
    task_type: 'CAUSAL_LM',
    base_model_name_or_path: baseModel,
    r: rank,
    lora_alpha: alpha,
    lora_dropout: 0,
    use_rslora: rsLora,
    // By name where all layers are alike, else every module in full.
    target_modules: regular
      ? targets.map((target) => `${target}_proj`)
      : matrices.map((name) => name.replace(/\.weight$/, '')),
    bias: 'none',
    fan_in_fan_out: false,
    init_lora_weights: true,
    inference_mode: true,
    modules_to_save: null,
  };
}
