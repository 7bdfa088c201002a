/** Every family against transformers: log-probabilities, greedy decoding, gradients; and through a save and a load. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LanguageModel, Learner } from '../../lib';
import { openModelSource } from '../../lib/model/formats';
import { expectClose, expectGradients } from '../support/gradients';
import { FAMILY_CASES, familyGguf, writeFamilyModel } from '../support/family-model';
import { encodeGguf } from '../support/tiny-gguf';

/**
 * The reference runs in double precision but for norms and RoPE's tables, ours in f32 with sums of at most 70 terms:
 * relative errors of some 1e-6, on log-probabilities of some 10.
 */
const LOGPROB_TOLERANCE = 5e-5;
const GRADIENT_TOLERANCE = 2e-5; // of the tensor's norm

const ids = (tokens: readonly number[]) => Int32Array.from(tokens);

describe.each(Object.entries(FAMILY_CASES.language))('%s', (name, expected) => {
  let directory: string;
  let model: LanguageModel;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'lsp-family-'));
    model = await LanguageModel.load(writeFamilyModel(join(directory, 'model'), expected), { threads: 2 });
  });
  afterAll(async () => {
    await model.dispose();
    rmSync(directory, { recursive: true });
  });

  it('has the architecture and the parameters', () => {
    expect(model.config.architecture).toBe(name.split('-')[0]);
    expect(new Set(model.parameterNames())).toEqual(new Set(expected.parameters.map((p) => p.name)));
    const count = expected.parameters.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
    expect(model.config.parameterCount).toBe(count);
  });

  it('gives the log-probabilities of transformers', async () => {
    const scored = await model.logprobs(expected.sequences.map((sequence) => ids(sequence.ids)));
    scored.forEach((logprobs, i) =>
      expectClose(logprobs, expected.sequences[i]!.logprobs, LOGPROB_TOLERANCE),
    );
  });

  it('continues greedily as transformers does', async () => {
    const { prompt, ids: continuation } = expected.greedy;
    const length = continuation.length;
    const options = { maxNewTokens: length, minNewTokens: length, temperature: 0 };
    const [completions] = await model.generate([ids(prompt)], options);
    expect(Array.from(completions![0]!.tokens)).toEqual(continuation);
  });

  it('samples with the bits that it scores and trains with', async () => {
    const prompt = ids(expected.greedy.prompt);
    const [samples] = await model.generate([prompt], { samples: 3, maxNewTokens: 9, minNewTokens: 9 });
    const completions = samples!.map(({ tokens }) => tokens);
    const scored = await model.logprobs(completions.map((tokens) => ids([...prompt, ...tokens])));
    await using learner = await Learner.create(model, { learningRate: 1e-3 });
    const trained: Float32Array[] = [];
    await learner.accumulate([{ prompt, completions }], (logprobs) => {
      trained.push(...logprobs);
      return logprobs.map((values) => new Float32Array(values.length));
    });
    samples!.forEach(({ logprobs }, i) => {
      expect(scored[i]!.subarray(prompt.length - 1)).toEqual(logprobs);
      expect(trained[i]).toEqual(logprobs);
    });
  });

  it('has the gradients of transformers', async () => {
    await using learner = await Learner.create(model, { learningRate: 1e-3 });
    const { groups, gradients } = expected.training;
    await learner.accumulate(
      groups.map(({ prompt, completions }) => ({ prompt: ids(prompt), completions: completions.map(ids) })),
      groups.map(({ coefficients }) => coefficients.map((values) => Float32Array.from(values))),
    );
    await expectGradients(learner, gradients, GRADIENT_TOLERANCE);
  });

  it('is the same after a save and a load', async () => {
    const saved = join(directory, 'saved');
    await model.save(saved);
    await using again = await LanguageModel.load(saved, { threads: 1 });
    expect({ ...again.config }).toEqual({ ...model.config });
    const sequence = ids(expected.sequences[2]!.ids);
    expect(await again.logprobs([sequence])).toEqual(await model.logprobs([sequence]));
  });
});

/**
 * Without the models that GGUF files say in other ways: Llama 3's RoPE scaling stands there as factors, which
 * gguf.test.ts is about, and every reader takes the same layers of a SmolLM3 to be without RoPE.
 */
const AS_GGUF = Object.entries(FAMILY_CASES.language).filter(
  ([name, { config }]) =>
    (config.rope_parameters as { rope_type: string }).rope_type === 'default' && name !== 'smollm3-chosen',
);

it.each(AS_GGUF)('%s is the same from a GGUF file', async (_, expected) => {
  const directory = mkdtempSync(join(tmpdir(), 'lsp-family-gguf-'));
  try {
    const path = join(directory, 'model.gguf');
    writeFileSync(path, encodeGguf(familyGguf(expected)));
    await using model = await LanguageModel.load(writeFamilyModel(join(directory, 'model'), expected));
    await using other = await LanguageModel.load(path);
    const sequence = ids(expected.sequences[2]!.ids);
    expect(await other.logprobs([sequence])).toEqual(await model.logprobs([sequence]));
  } finally {
    rmSync(directory, { recursive: true });
  }
});

describe('what a configuration leaves out, or says to be none', () => {
  const directory = mkdtempSync(join(tmpdir(), 'lsp-family-defaults-'));
  afterAll(() => rmSync(directory, { recursive: true }));
  const opened = (name: string, config: Record<string, unknown>) => {
    const stored = FAMILY_CASES.language[name]!;
    const without = Object.fromEntries(
      Object.entries({ ...stored.config, ...config }).filter(([, value]) => value !== undefined),
    );
    const path = writeFamilyModel(join(directory, name), { ...stored, config: without });
    return openModelSource(path).config;
  };

  it('is what its class in transformers has', () => {
    expect(opened('smollm3', { tie_word_embeddings: undefined }).tiedEmbeddings).toBe(true);
    expect(opened('smollm3', { no_rope_layers: null }).layersWithoutRope).toEqual([3]);
    const interval = { no_rope_layers: null, no_rope_layer_interval: 2 };
    expect(opened('smollm3', interval).layersWithoutRope).toEqual([1, 3]);
    const theta = { rope_parameters: undefined };
    expect(opened('smollm3', theta).ropeTheta).toBe(2_000_000);
    expect(opened('qwen2', theta).ropeTheta).toBe(10_000);
    expect(opened('qwen2', { pad_token_id: undefined }).padTokenId).toBeNull();
    expect(opened('smollm3', { pad_token_id: null }).padTokenId).toBeNull();
  });

  it('is the older key where both are there, and as many key-value heads as heads where they are null', () => {
    const scaling = { rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4 };
    const both = { rope_scaling: { ...scaling, original_max_position_embeddings: 64 } };
    expect(opened('llama', both).ropeScaling?.factor).toBe(8);
    const parameters = FAMILY_CASES.language['qwen2']!.parameters.map((parameter) =>
      /[kv]_proj/.test(parameter.name)
        ? { ...parameter, shape: [32, ...parameter.shape.slice(1)] }
        : parameter,
    );
    const config = { ...FAMILY_CASES.language['qwen2']!.config, num_key_value_heads: null };
    const path = writeFamilyModel(join(directory, 'heads'), { config, parameters });
    expect(openModelSource(path).config.numKeyValueHeads).toBe(4);
  });

  it('is said in what is saved, where the family would have it otherwise', async () => {
    const path = writeFamilyModel(join(directory, 'unpadded'), {
      ...FAMILY_CASES.language['smollm3']!,
      config: { ...FAMILY_CASES.language['smollm3']!.config, pad_token_id: null },
    });
    await using model = await LanguageModel.load(path);
    await model.save(join(directory, 'unpadded-saved'));
    const saved = JSON.parse(
      readFileSync(join(directory, 'unpadded-saved', 'config.json'), 'utf8'),
    ) as object;
    expect(saved).toHaveProperty('pad_token_id', null);
  });
});
