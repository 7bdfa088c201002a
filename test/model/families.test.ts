/** Every family against transformers: log-probabilities, greedy decoding, gradients; and through a save and a load. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LanguageModel, Learner } from '../../lib';
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
    for (const [parameter, { norm, at, values }] of Object.entries(gradients)) {
      const gradient = await learner.gradient(parameter);
      const ours = Math.sqrt(gradient.reduce((sum, value) => sum + value * value, 0));
      expect({ parameter, error: Math.abs(ours - norm) / norm }).toEqual({
        parameter,
        error: expect.closeTo(0, 4) as number,
      });
      expectClose(
        at.map((index) => gradient[index]!),
        values,
        GRADIENT_TOLERANCE * norm,
      );
    }
  });

  // The converter writes Llama 3's RoPE scaling as factors, which test/model/gguf.test.ts is about.
  const plainRope = (expected.config.rope_parameters as { rope_type: string }).rope_type === 'default';
  // Every reader of the format takes the same layers to be without RoPE.
  (plainRope && name !== 'smollm3-chosen' ? it : it.skip)('is the same from a GGUF file', async () => {
    const path = join(directory, 'model.gguf');
    writeFileSync(path, encodeGguf(familyGguf(expected)));
    await using other = await LanguageModel.load(path);
    const sequence = ids(expected.sequences[2]!.ids);
    expect(await other.logprobs([sequence])).toEqual(await model.logprobs([sequence]));
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

function expectClose(actual: ArrayLike<number>, expected: readonly number[], tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  const worst = expected.reduce((most, value, i) => Math.max(most, Math.abs(actual[i]! - value)), 0);
  expect(worst).toBeLessThan(tolerance);
}
