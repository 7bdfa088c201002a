/**
 * Models and adapters of test/fixtures/lora.json as directories. Their weights follow from a formula, the same as in
 * test/fixtures/make_lora.py, which had PEFT compute what the tests compare with.
 */
import type { GradientSample } from './gradients';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TrainingGroup } from '../../lib';
import { familyTensors, type StoredModel } from './family-model';
import { encodeSafetensors, type TestTensor } from './tiny-model';

export interface LoraCase extends StoredModel {
  adapter: {
    /** adapter_config.json as PEFT wrote it. */
    config: Record<string, unknown>;
    parameters: { name: string; shape: number[] }[];
  };
  sequences: { ids: number[]; logprobs: number[] }[];
  training: {
    groups: { prompt: number[]; completions: number[][]; coefficients: number[][] }[];
    gradients: Record<string, GradientSample>;
    /** Learning rate of AdamW's steps. */
    rate: number;
    /** Before clipping, of each step. */
    gradNorms: number[];
    /** Log-probabilities of the second sequence after the steps. */
    after: number[];
  };
}

export const LORA_CASES = (
  JSON.parse(readFileSync(join(__dirname, '../fixtures/lora.json'), 'utf8')) as {
    cases: Record<string, LoraCase>;
  }
).cases;

export const ADAPTER_CONFIG = 'adapter_config.json';
export const ADAPTER_WEIGHTS = 'adapter_model.safetensors';

/** Writes an adapter into `directory` (made if missing) and returns the directory. */
export function writeAdapter(
  directory: string,
  { adapter }: Pick<LoraCase, 'adapter'>,
  changes: { config?: Record<string, unknown>; tensors?: (tensors: TestTensor[]) => TestTensor[] } = {},
): string {
  mkdirSync(directory, { recursive: true });
  const config = { ...adapter.config, ...changes.config };
  writeFileSync(join(directory, ADAPTER_CONFIG), JSON.stringify(config));
  const tensors = adapterTensors(adapter.parameters);
  const changed = changes.tensors ? changes.tensors(tensors) : tensors;
  writeFileSync(join(directory, ADAPTER_WEIGHTS), encodeSafetensors(changed));
  return directory;
}

/** As if they came after 1000 tensors of a family's; B a quarter of that. */
function adapterTensors(parameters: LoraCase['adapter']['parameters']): TestTensor[] {
  const spare = Array.from({ length: 1000 }, () => ({ name: '.bias', shape: [0] }));
  return familyTensors([...spare, ...parameters])
    .slice(1000)
    .map((tensor) =>
      tensor.name.includes('lora_B')
        ? { ...tensor, values: tensor.values.map((value) => value / 4) }
        : tensor,
    );
}

const ids = (tokens: readonly number[]) => Int32Array.from(tokens);

/** The training groups of a case, and dLoss/dlogprob of their completions. */
export function trainingOf({ training }: LoraCase): {
  groups: TrainingGroup[];
  coefficients: Float32Array[][];
} {
  return {
    groups: training.groups.map(({ prompt, completions }) => ({
      prompt: ids(prompt),
      completions: completions.map(ids),
    })),
    coefficients: training.groups.map(({ coefficients }) =>
      coefficients.map((values) => Float32Array.from(values)),
    ),
  };
}
