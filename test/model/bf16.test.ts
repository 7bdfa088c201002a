/** Weights held in bf16: the bits of f32 where the file is bf16, half the memory, no training. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LanguageModel, Learner } from '../../lib';
import { weightBytes } from '../../lib/model/memory';
import { expectError, rejectionOf } from '../support/errors';
import { FAMILY_CASES, writeFamilyModel } from '../support/family-model';

const directory = mkdtempSync(join(tmpdir(), 'lsp-bf16-'));
afterAll(() => rmSync(directory, { recursive: true }));

/** A model of each kind whose file holds bf16. */
async function stored(name: string): Promise<string> {
  const path = join(directory, name);
  await using model = await LanguageModel.load(
    writeFamilyModel(join(directory, `${name}-f32`), FAMILY_CASES.language[name]!),
  );
  await model.save(path, { dtype: 'bf16' });
  return path;
}

describe.each(['llama', 'qwen2', 'qwen3'])('%s', (name) => {
  const prompt = Int32Array.from(FAMILY_CASES.language[name]!.greedy.prompt);
  const sequence = Int32Array.from(FAMILY_CASES.language[name]!.sequences[2]!.ids);

  it('computes the bits of f32 from a file of bf16', async () => {
    const path = await stored(name);
    await using wide = await LanguageModel.load(path, { dtype: 'f32' });
    await using narrow = await LanguageModel.load(path, { dtype: 'bf16', threads: 2 });
    expect(await narrow.logprobs([sequence])).toEqual(await wide.logprobs([sequence]));
    const options = { samples: 3, maxNewTokens: 12, seed: 5 };
    const [[expected], [actual]] = [
      await wide.generate([prompt], options),
      await narrow.generate([prompt], options),
    ];
    expect(actual!.map(({ tokens, logprobs }) => [tokens, logprobs])).toEqual(
      expected!.map(({ tokens, logprobs }) => [tokens, logprobs]),
    );
    await using copy = await narrow.clone();
    expect(await copy.logprobs([sequence])).toEqual(await wide.logprobs([sequence]));
  });

  it('gives back and saves the values of the file', async () => {
    const path = await stored(name);
    await using wide = await LanguageModel.load(path, { dtype: 'f32' });
    await using narrow = await LanguageModel.load(path, { dtype: 'bf16' });
    for (const parameter of narrow.parameterNames()) {
      expect(await narrow.parameter(parameter)).toEqual(await wide.parameter(parameter));
    }
    const again = join(directory, `${name}-again`);
    await narrow.save(again);
    await using saved = await LanguageModel.load(again);
    expect(await saved.logprobs([sequence])).toEqual(await wide.logprobs([sequence]));
  });
});

it('takes half the memory for matrices', async () => {
  const path = await stored('llama');
  await using narrow = await LanguageModel.load(path, { dtype: 'bf16' });
  expect(narrow.dtype).toBe('bf16');
  expect(narrow.native.weightBytes()).toBe(weightBytes(narrow.config, 'bf16'));
  await using wide = await LanguageModel.load(path);
  expect(wide.dtype).toBe('f32');
  expect(wide.native.weightBytes()).toBe(weightBytes(wide.config, 'f32'));
  const vectors = 4 * wide.config.hiddenSize * (2 * wide.config.numLayers + 1);
  expect(2 * (narrow.native.weightBytes() - vectors)).toBe(wide.native.weightBytes() - vectors);
});

it('cannot be trained', async () => {
  await using narrow = await LanguageModel.load(await stored('llama'), { dtype: 'bf16' });
  expectError(
    await rejectionOf(Learner.create(narrow, { learningRate: 1e-3 })),
    'INVALID_ARGUMENT',
    /weights in f32 .* received "bf16".*dtype: 'f32'/,
  );
});

it('knows its types', async () => {
  const loading = LanguageModel.load('tiny', { dtype: 'f16' as 'f32' });
  expectError(await rejectionOf(loading), 'INVALID_ARGUMENT', /dtype/);
});
