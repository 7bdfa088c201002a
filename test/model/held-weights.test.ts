/** Matrices held as their file has them, or in int8, and decoded when they are used. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LanguageModel, Learner } from '../../lib';
import { openModelSource } from '../../lib/model/formats';
import { heldBytes, weightBytes, type WeightType } from '../../lib/model/memory';
import { describeWithModel, realModel } from '../support/fixtures';
import { expectError, rejectionOf } from '../support/errors';

const directory = mkdtempSync(join(tmpdir(), 'lsp-held-'));
afterAll(() => rmSync(directory, { recursive: true }));

const PROMPT = Int32Array.of(5, 9, 3, 40, 41);
const GROUPS = [
  { prompt: PROMPT, completions: [Int32Array.of(7, 8, 9), Int32Array.of(7, 6)] },
  { prompt: Int32Array.of(1, 2), completions: [Int32Array.of(4, 4, 4)] },
];
const COEFFICIENTS = GROUPS.map(({ completions }) =>
  completions.map((tokens) => Float32Array.from(tokens, (token) => token / 10)),
);

const bytes = (values: Float32Array) => Buffer.from(values.buffer, values.byteOffset, values.byteLength);

/** Everything that is computed with a model's weights. */
async function results(model: LanguageModel) {
  const [completions] = await model.generate([PROMPT], { samples: 3, maxNewTokens: 8, seed: 2 });
  const logprobs = await model.logprobs([PROMPT, Int32Array.of(3, 4, 5, 6, 7, 8)]);
  await using learner = await Learner.create(model, { learningRate: 1e-3, lora: { rank: 2, seed: 1 } });
  const trained = model.native.trainedNames();
  await learner.accumulate(GROUPS, COEFFICIENTS);
  await learner.step();
  await learner.accumulate(GROUPS, COEFFICIENTS);
  const gradients = await Promise.all(trained.map((name) => learner.gradient(name)));
  return {
    completions: completions!.map(({ tokens, logprobs: own }) => ({ tokens, own })),
    logprobs,
    gradients,
  };
}

/** The bundled model in a file of halves. */
async function halves(): Promise<string> {
  const path = join(directory, 'halves');
  await using model = await LanguageModel.load('tiny');
  await model.save(path, { dtype: 'f16' });
  return path;
}

it('stored: the bits of f32', async () => {
  const path = await halves();
  await using wide = await LanguageModel.load(path, { dtype: 'f32' });
  await using held = await LanguageModel.load(path, { dtype: 'stored', threads: 1 });
  expect(held.dtype).toBe('stored');
  for (const name of held.parameterNames())
    expect(await held.parameter(name)).toEqual(await wide.parameter(name));
  expect(await results(held)).toEqual(await results(wide));
  expect(held.native.weightBytes()).toBeLessThan(0.75 * wide.native.weightBytes());
});

/** To the nearest of 255 steps of each 32 values of a row, the scale in half precision: what q8_0 is. */
function rounded(values: Float32Array): Float32Array {
  const out = new Float32Array(values.length);
  for (let first = 0; first < values.length; first += 32) {
    const block = values.subarray(first, first + 32);
    const scale = half(Math.fround(block.reduce((top, x) => Math.max(top, Math.abs(x)), 0) / 127));
    if (scale === 0) continue;
    block.forEach((value, i) => {
      const steps = Math.min(127, Math.round(Math.abs(Math.fround(value / scale))));
      if (steps > 0) out[first + i] = Math.sign(value) * steps * scale;
    });
  }
  return out;
}

/** The nearest number with eleven bits, ties to even; of ordinary size. */
function half(value: number): number {
  if (value === 0) return 0;
  const unit = 2 ** (Math.floor(Math.log2(value)) - 10);
  const steps = value / unit;
  const below = Math.floor(steps);
  const up = steps - below > 0.5 || (steps - below === 0.5 && below % 2 === 1);
  return (below + (up ? 1 : 0)) * unit;
}

it('int8: the bits of f32 from the rounded values', async () => {
  await using held = await LanguageModel.load('tiny', { dtype: 'int8' });
  await using original = await LanguageModel.load('tiny', { dtype: 'f32' });
  for (const name of original.parameterNames()) {
    const [, columns] = original.native.parameterShape(name);
    if (!name.startsWith('model.layers.') || columns === undefined) continue;
    expect(bytes(await held.parameter(name)).equals(bytes(rounded(await original.parameter(name))))).toBe(
      true,
    );
  }
  const path = join(directory, 'rounded');
  await held.save(path);
  await using wide = await LanguageModel.load(path, { dtype: 'f32' });
  expect(await results(held)).toEqual(await results(wide));
  expect(held.native.weightBytes()).toBe(weightBytes(held.config, 'int8') + (await adapterBytes(held)));
  expect(weightBytes(held.config, 'int8')).toBeLessThan(0.35 * weightBytes(held.config, 'f32'));
});

async function adapterBytes(model: LanguageModel): Promise<number> {
  const names = model.native.trainedNames();
  const padded = (rows: number) => Math.ceil(rows / 32) * 32;
  return names.reduce((sum, name) => {
    const [rows, columns] = model.native.parameterShape(name);
    return sum + 4 * padded(rows!) * columns!;
  }, 0);
}

it.each<WeightType>(['stored', 'int8'])('%s: saved, cloned and merged', async (dtype) => {
  const path = await halves();
  await using held = await LanguageModel.load(path, { dtype });
  const saved = join(directory, `${dtype}-saved`);
  await held.save(saved);
  await using wide = await LanguageModel.load(saved, { dtype: 'f32' });
  await using copy = await held.clone();
  expect(await copy.logprobs([PROMPT])).toEqual(await wide.logprobs([PROMPT]));
  await using learner = await Learner.create(copy, { learningRate: 1e-2, lora: { rank: 2 } });
  await learner.accumulate(GROUPS, COEFFICIENTS);
  await learner.step();
  const before = await copy.logprobs([PROMPT]);
  await learner.dispose();
  await copy.merge();
  const after = await copy.logprobs([PROMPT]);
  const difference = Math.max(...after[0]!.map((value, i) => Math.abs(value - before[0]![i]!)));
  expect(difference).toBeLessThan(dtype === 'stored' ? 1e-5 : 0.1);
  // Merged matrices of a stored model are f32; of an int8 one they are int8 again.
  expect(copy.native.weightBytes()).toBe((dtype === 'stored' ? wide : held).native.weightBytes());
  expect(await held.logprobs([PROMPT])).toEqual(await wide.logprobs([PROMPT]));
});

it.each<WeightType>(['stored', 'int8'])('%s: all weights cannot be trained', async (dtype) => {
  await using held = await LanguageModel.load('tiny', { dtype });
  expectError(await rejectionOf(Learner.create(held)), 'INVALID_ARGUMENT', /weights in f32/);
});

it('int8: weights beyond its scale are refused, and a merge that makes them changes nothing', async () => {
  const name = 'model.layers.0.mlp.down_proj.weight';
  await using model = await LanguageModel.load('tiny', { dtype: 'f32' });
  const values = await model.parameter(name);
  values[3] = 1e7;
  await model.native.writeTensor(name, values);
  const path = join(directory, 'large');
  await model.save(path);
  expectError(
    await rejectionOf(LanguageModel.load(path, { dtype: 'int8' })),
    'INVALID_MODEL_FILE',
    /int8.*down_proj/,
  );
  await using held = await LanguageModel.load('tiny', { dtype: 'int8' });
  await using learner = await Learner.create(held, { lora: { rank: 2 } });
  for (const part of ['A', 'B']) {
    const adapter = `base_model.model.${name.replace('.weight', `.lora_${part}.weight`)}`;
    await held.native.writeTensor(adapter, (await held.parameter(adapter)).fill(1e4));
  }
  const before = await held.parameter(name);
  await learner.dispose();
  expectError(await rejectionOf(held.merge()), 'INVALID_MODEL_FILE', /int8/);
  expect(held.adapter).not.toBeNull();
  expect(await held.parameter(name)).toEqual(before);
});

describeWithModel('the real model as it is stored', () => {
  const ids = Int32Array.from({ length: 100 }, (_, i) => 100 + ((i * 7919) % 40000));

  test('computes the bits of f32 in a fifth of the memory of its layers', async () => {
    await using held = await LanguageModel.load(realModel!, { dtype: 'stored' });
    expect(held.native.weightBytes()).toBe(heldBytes(openModelSource(realModel!), 'stored'));
    const logprobs = await held.logprobs([ids]);
    await using wide = await LanguageModel.load(realModel!, { dtype: 'f32' });
    expect(logprobs).toEqual(await wide.logprobs([ids]));
    expect(held.native.weightBytes()).toBeLessThan(0.4 * wide.native.weightBytes());
  }, 120_000);
});
