/** What the tests of exactness compare: bits of arrays, and fingerprints where the arrays are large. */
import { createHash } from 'node:crypto';
import type { LanguageModel, Learner, TrainingGroup } from '../../lib';

/** The bits of floats, so that equal means equal in every bit (and -0 is not 0). */
export function bits(values: Float32Array): Int32Array {
  return new Int32Array(values.buffer, values.byteOffset, values.length);
}

export function bitsOf(rows: readonly Float32Array[]): Int32Array[] {
  return rows.map(bits);
}

/** 64 bits of SHA-256 over the bytes of the arrays, one after another. */
export function fingerprint(...arrays: readonly (Float32Array | Int32Array)[]): string {
  const hash = createHash('sha256');
  for (const { buffer, byteOffset, byteLength } of arrays)
    hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  return hash.digest('hex').slice(0, 16);
}

/** One of each kind of parameter, from the first layer to the last. */
export const SEVERAL_PARAMETERS = [
  'model.embed_tokens.weight',
  'model.layers.0.self_attn.q_proj.weight',
  'model.layers.0.self_attn.k_proj.weight',
  'model.layers.9.self_attn.v_proj.weight',
  'model.layers.9.self_attn.o_proj.weight',
  'model.layers.14.mlp.gate_proj.weight',
  'model.layers.14.mlp.down_proj.weight',
  'model.layers.29.mlp.up_proj.weight',
  'model.layers.29.input_layernorm.weight',
  'model.norm.weight',
];

/** Name → fingerprint of its gradient. */
export async function gradientFingerprints(
  learner: Learner,
  names: readonly string[] = SEVERAL_PARAMETERS,
): Promise<Record<string, string>> {
  const entries: [string, string][] = [];
  for (const name of names) entries.push([name, fingerprint(await learner.gradient(name))]);
  return Object.fromEntries(entries);
}

/** Name → fingerprint of its values, of all parameters. */
export async function weightFingerprints(model: LanguageModel): Promise<Record<string, string>> {
  const entries: [string, string][] = [];
  for (const name of model.parameterNames()) entries.push([name, fingerprint(await model.parameter(name))]);
  return Object.fromEntries(entries);
}

export function joined(prompt: Int32Array, completion: Int32Array): Int32Array {
  return Int32Array.of(...prompt, ...completion);
}

/** Each completion behind its prompt. */
export function sequencesOf(groups: readonly TrainingGroup[]): Int32Array[] {
  return groups.flatMap(({ prompt, completions }) =>
    completions.map((completion) => joined(prompt, completion)),
  );
}

/** One coefficient a completion token, of both signs and different sizes, as advantages have them. */
export function coefficients(groups: readonly TrainingGroup[]): Float32Array[][] {
  return groups.map(({ completions }, group) =>
    completions.map(({ length }, index) =>
      Float32Array.from({ length }, (_, t) => Math.fround(Math.sin(1 + 5 * group + 3 * index + t))),
    ),
  );
}
