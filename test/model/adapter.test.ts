/** Adapter files: what PEFT writes and what this library writes, and everything that is refused. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LanguageModel, Learner, type LspErrorCode } from '../../lib';
import { ModelFile } from '../../lib/model/formats/model-file';
import { readSafetensorsHeader } from '../../lib/model/formats/safetensors';
import { expectError, rejectionOf } from '../support/errors';
import { familyGguf, writeFamilyModel } from '../support/family-model';
import { ADAPTER_CONFIG, ADAPTER_WEIGHTS, LORA_CASES, writeAdapter } from '../support/lora-model';
import { encodeGguf } from '../support/tiny-gguf';
import type { TestTensor } from '../support/tiny-model';

const root = mkdtempSync(join(tmpdir(), 'lsp-adapter-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let count = 0;
const fresh = (name: string) => join(root, `${++count}-${name}`);

const QWEN = LORA_CASES['qwen2-rslora']!;
const path = writeFamilyModel(fresh('qwen2'), QWEN);
const adapter = writeAdapter(fresh('adapter'), QWEN);
const sequence = Int32Array.from(QWEN.sequences[1]!.ids);
const readJson = (file: string) => JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;

describe('a saved adapter', () => {
  it.each(Object.keys(LORA_CASES))('has the names, shapes and settings of PEFT: %s', async (name) => {
    const stored = LORA_CASES[name]!;
    const from = writeAdapter(fresh('from'), stored);
    await using model = await LanguageModel.load(writeFamilyModel(fresh('model'), stored), { adapter: from });
    const saved = fresh('saved');
    await model.saveAdapter(saved, { baseModel: 'org/base' });
    expect(readdirSync(saved).sort()).toEqual([ADAPTER_CONFIG, ADAPTER_WEIGHTS]);
    const [ours, theirs] = [readJson(join(saved, ADAPTER_CONFIG)), stored.adapter.config];
    for (const key of [
      'peft_type',
      'task_type',
      'r',
      'lora_alpha',
      'use_rslora',
      'bias',
      'modules_to_save',
    ]) {
      expect([key, ours[key]]).toEqual([key, theirs[key]]);
    }
    expect(ours['base_model_name_or_path']).toBe('org/base');
    if (theirs['layers_to_transform'] === null) {
      expect(new Set(ours['target_modules'] as string[])).toEqual(
        new Set(theirs['target_modules'] as string[]),
      );
    } else {
      expect(ours['target_modules']).toContain('model.layers.1.self_attn.k_proj');
      expect(ours['target_modules']).toHaveLength(4);
    }
    // Every setting is one that PEFT knows.
    expect(Object.keys(theirs)).toEqual(expect.arrayContaining(Object.keys(ours)));
    const file = new ModelFile(join(saved, ADAPTER_WEIGHTS));
    const tensors = readSafetensorsHeader(file).tensors.map(({ name: tensor, shape }) => ({
      name: tensor,
      shape,
    }));
    file.close();
    const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1);
    expect(tensors.sort(byName)).toEqual([...stored.adapter.parameters].sort(byName));
  });

  it('comes back bit for bit, also in the place of another and onto a GGUF base', async () => {
    await using model = await LanguageModel.load(path, { adapter });
    const expected = await model.logprobs([sequence]);
    const saved = fresh('saved');
    await model.saveAdapter(saved);
    await model.saveAdapter(saved); // replaces its own
    const gguf = fresh('model.gguf');
    writeFileSync(gguf, encodeGguf(familyGguf(QWEN)));
    await using other = await LanguageModel.load(gguf);
    const base = await other.logprobs([sequence]);
    expect(base).not.toEqual(expected);
    const version = other.policyVersion;
    await other.loadAdapter(saved);
    expect(other.policyVersion).toBe(version + 1);
    expect(await other.logprobs([sequence])).toEqual(expected);
    expect(other.adapter).toEqual({
      ...model.adapter,
      rank: 3,
      alpha: 5,
      rsLora: true,
      targets: ['q', 'v', 'down'],
    });
    // Another one takes its place; clones keep theirs.
    await using kept = await other.clone();
    await other.loadAdapter(writeAdapter(fresh('scaled'), QWEN, { config: { lora_alpha: 0 } }));
    expect(await other.logprobs([sequence])).toEqual(base); // a scale of 0 adds nothing, to the bit
    expect(await kept.logprobs([sequence])).toEqual(expected);
    await using bare = await kept.clone({ adapter: false });
    expect(bare.adapter).toBeNull();
    expect(bare.parameterNames().some((name) => name.includes('lora_'))).toBe(false);
    expect(await bare.logprobs([sequence])).toEqual(base);
  });

  it('may be stored in half precision', async () => {
    await using model = await LanguageModel.load(path, { adapter });
    const saved = fresh('half');
    await model.saveAdapter(saved, { dtype: 'bf16' });
    await using again = await LanguageModel.load(path, { adapter: saved });
    const name = QWEN.adapter.parameters[0]!.name;
    const [exact, rounded] = [await model.parameter(name), await again.parameter(name)];
    // bfloat16 keeps 8 bits: half a unit of the last is 2^-9.
    rounded.forEach((value, i) =>
      expect(Math.abs(value - exact[i]!)).toBeLessThanOrEqual(2 ** -8 * Math.abs(exact[i]!)),
    );
    expect(rounded).not.toEqual(exact);
  });

  it('is not written over anything else, and nothing is where there is none', async () => {
    await using model = await LanguageModel.load(path, { adapter });
    // What PEFT wrote is somebody else's.
    const theirs = writeAdapter(fresh('theirs'), QWEN);
    expectError(
      await rejectionOf(model.saveAdapter(theirs)),
      'INVALID_ARGUMENT',
      /an adapter from elsewhere/,
    );
    expectError(await rejectionOf(model.saveAdapter(path)), 'INVALID_ARGUMENT', /holds /);
    await using bare = await LanguageModel.load(path);
    const nowhere = fresh('nowhere');
    expectError(
      await rejectionOf(bare.saveAdapter(nowhere)),
      'INVALID_ARGUMENT',
      /with an adapter for `saveAdapter`/,
    );
    expectError(await rejectionOf(bare.merge()), 'INVALID_ARGUMENT', /with an adapter for `merge`/);
    expect(bare.adapter).toBeNull();
    expect(readdirSync(root)).not.toContain(nowhere);
    const unknown = { dtpye: 'f16' } as object;
    expectError(
      await rejectionOf(model.saveAdapter(nowhere, unknown)),
      'UNKNOWN_OPTION',
      /Did you mean `dtype`/,
    );
    expectError(await rejectionOf(model.clone({ adaptor: false } as object)), 'UNKNOWN_OPTION', /adapter/);
    const aborted = { signal: AbortSignal.abort(new Error('stop')) };
    await expect(model.merge(aborted)).rejects.toThrow('stop');
    await expect(bare.loadAdapter(adapter, aborted)).rejects.toThrow('stop');
    expect([model.adapter === null, bare.adapter]).toEqual([false, null]);
  });
});

describe('a base in bf16', () => {
  it('runs and trains an adapter, saves the sum in f32, and rounds it when merged', async () => {
    const narrowPath = fresh('bf16');
    await using wide = await LanguageModel.load(path);
    await wide.save(narrowPath, { dtype: 'bf16' });
    await using narrow = await LanguageModel.load(narrowPath, { dtype: 'bf16', adapter });
    await using same = await LanguageModel.load(narrowPath, { dtype: 'f32', adapter });
    const [expected] = await same.logprobs([sequence]);
    expect(await narrow.logprobs([sequence])).toEqual([expected]);
    const [saved, sameSaved] = [fresh('sum'), fresh('same-sum')];
    await narrow.save(saved);
    await same.save(sameSaved);
    expect(readFileSync(join(saved, 'model.safetensors'))).toEqual(
      readFileSync(join(sameSaved, 'model.safetensors')),
    );
    await narrow.merge();
    await using rounded = await LanguageModel.load(saved, { dtype: 'bf16' });
    expect(await narrow.logprobs([sequence])).toEqual(await rounded.logprobs([sequence]));
  });

  it('is not trained itself', async () => {
    await using narrow = await LanguageModel.load(path, { dtype: 'bf16' });
    expectError(
      await rejectionOf(Learner.create(narrow)),
      'INVALID_ARGUMENT',
      /train an adapter on it: `lora: \{\}`/,
    );
  });
});

describe('refuses', () => {
  const dropFirst = (tensors: TestTensor[]) => tensors.slice(1);
  const renamed = (name: string) => (tensors: TestTensor[]) =>
    tensors.map((tensor, i) => (i === 0 ? { ...tensor, name } : tensor));
  const reshaped = (tensors: TestTensor[]) =>
    tensors.map((tensor, i) => (i === 0 ? { ...tensor, shape: [...tensor.shape].reverse() } : tensor));
  const notFinite = (tensors: TestTensor[]) =>
    tensors.map((tensor, i) => (i === 0 ? { ...tensor, values: tensor.values.map(() => NaN) } : tensor));

  it.each<[string, Parameters<typeof writeAdapter>[2], LspErrorCode, RegExp]>([
    ['another method', { config: { peft_type: 'IA3' } }, 'UNSUPPORTED_MODEL', /peft_type` is "IA3"/],
    ['DoRA', { config: { use_dora: true } }, 'UNSUPPORTED_MODEL', /use_dora.*merge_and_unload/],
    ['whole modules', { config: { modules_to_save: ['lm_head'] } }, 'UNSUPPORTED_MODEL', /modules_to_save/],
    [
      'rank patterns',
      { config: { rank_pattern: { q_proj: 2 } } },
      'UNSUPPORTED_MODEL',
      /rank_pattern.*one rank/,
    ],
    ['alpha patterns', { config: { alpha_pattern: { q_proj: 2 } } }, 'UNSUPPORTED_MODEL', /alpha_pattern/],
    ['biases', { config: { bias: 'all' } }, 'UNSUPPORTED_MODEL', /bias/],
    ['a bias of B', { config: { lora_bias: true } }, 'UNSUPPORTED_MODEL', /lora_bias/],
    ['transposed weights', { config: { fan_in_fan_out: true } }, 'UNSUPPORTED_MODEL', /fan_in_fan_out/],
    [
      'PiSSA',
      { config: { init_lora_weights: 'pissa' } },
      'UNSUPPORTED_MODEL',
      /init_lora_weights.*base weights/,
    ],
    ['what is not known yet', { config: { use_telepathy: true } }, 'UNSUPPORTED_MODEL', /use_telepathy/],
    ['a rank of 0', { config: { r: 0 } }, 'INVALID_MODEL_FILE', /`r` is 0/],
    ['a rank of 10^9', { config: { r: 1e9 } }, 'INVALID_MODEL_FILE', /`r` is 1000000000/],
    ['another rank', { config: { r: 4 } }, 'INVALID_MODEL_FILE', /has the shape \[3, 32\], not \[4, 32\]/],
    ['an alpha that is none', { config: { lora_alpha: 'x' } }, 'INVALID_MODEL_FILE', /lora_alpha/],
    ['an A without B', { tensors: dropFirst }, 'INVALID_MODEL_FILE', /lora_A\.weight` is missing/],
    ['no tensors', { tensors: () => [] }, 'INVALID_MODEL_FILE', /no tensors/],
    [
      'a turned matrix',
      { tensors: reshaped },
      'INVALID_MODEL_FILE',
      /has the shape \[32, 3\].*another model/,
    ],
    ['NaN', { tensors: notFinite }, 'INVALID_MODEL_FILE', /NaN/],
    [
      'layers that are not there',
      { tensors: renamed('base_model.model.model.layers.9.self_attn.q_proj.lora_A.weight') },
      'INVALID_MODEL_FILE',
      /another model/,
    ],
    [
      'adapters of the embedding',
      {
        tensors: (tensors) => [
          ...tensors,
          { name: 'base_model.model.lm_head.lora_A.weight', shape: [1], values: Float32Array.of(1) },
        ],
      },
      'INVALID_MODEL_FILE',
      /lm_head\.lora_A\.weight` belongs to no projection.*q_proj/,
    ],
  ])('%s', async (_, changes, code, message) => {
    const directory = writeAdapter(fresh('bad'), QWEN, changes);
    await using model = await LanguageModel.load(path);
    const before = await model.logprobs([sequence]);
    expectError(await rejectionOf(model.loadAdapter(directory)), code, message);
    expectError(await rejectionOf(LanguageModel.load(path, { adapter: directory })), code, message);
    expectError(await rejectionOf(Learner.create(model, { lora: { adapter: directory } })), code, message);
    expect(model.adapter).toBeNull();
    expect(await model.logprobs([sequence])).toEqual(before);
  });

  it('what is no adapter, and weights as a pickle', async () => {
    await using model = await LanguageModel.load(path);
    const load = (directory: string) => rejectionOf(model.loadAdapter(directory));
    expectError(await load(fresh('nothing')), 'INVALID_MODEL_FILE', /no adapter_config\.json/);
    const pickled = fresh('pickled');
    mkdirSync(pickled);
    writeFileSync(join(pickled, ADAPTER_CONFIG), JSON.stringify(QWEN.adapter.config));
    expectError(await load(pickled), 'UNSUPPORTED_MODEL', /no adapter_model\.safetensors/);
    writeFileSync(join(pickled, 'adapter_model.bin'), 'x');
    expectError(await load(pickled), 'UNSUPPORTED_MODEL', /pickle/);
    writeFileSync(join(pickled, ADAPTER_CONFIG), '{');
    expectError(await load(pickled), 'INVALID_MODEL_FILE', /not valid JSON/);
    expectError(await load(''), 'INVALID_ARGUMENT', /dir/);
  });

  it('an adapter of another model', async () => {
    await using llama = await LanguageModel.load(writeFamilyModel(fresh('llama'), LORA_CASES['llama']!));
    const wide = { ...QWEN, adapter: { ...QWEN.adapter, parameters: [...QWEN.adapter.parameters] } };
    const doubled = QWEN.adapter.parameters.map(({ name, shape }) => ({
      name,
      shape: name.includes('lora_A') ? [shape[0]!, 2 * shape[1]!] : shape,
    }));
    const other = writeAdapter(fresh('other'), { adapter: { ...wide.adapter, parameters: doubled } });
    expectError(await rejectionOf(llama.loadAdapter(other)), 'INVALID_MODEL_FILE', /another model/);
  });
});
