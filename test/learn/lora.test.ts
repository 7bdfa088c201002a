/** LoRA against PEFT, and what it promises: the base untouched, the same bits from sampling, scoring and training. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  FunctionReward,
  GrpoTrainer,
  LanguageModel,
  Learner,
  LORA_TARGETS,
  type GrpoTrainerOptions,
  type LoraTarget,
  type LspErrorCode,
} from '../../lib';
import { loadAddon } from '../../lib/native/load';
import { adapterBytes, adapterLearnerBytes, requireLearnerFits } from '../../lib/model/memory';
import { errorOf, expectError, rejectionOf } from '../support/errors';
import { expectClose, expectGradients } from '../support/gradients';
import { writeFamilyModel } from '../support/family-model';
import { LORA_CASES, trainingOf, writeAdapter } from '../support/lora-model';
import { trainedBits } from '../support/lora-run';
import { bits, handle } from '../support/native-model';

/**
 * The reference runs in double precision but for norms and RoPE's tables, ours in f32 with sums of at most 70 terms:
 * relative errors of some 1e-6, on log-probabilities of some 10.
 */
const LOGPROB_TOLERANCE = 5e-5;
const GRADIENT_TOLERANCE = 2e-5; // of the tensor's norm
/**
 * AdamW divides by the root of the squared gradient, so that an entry whose gradient is near its rounding error may
 * move by any part of the rate. Few are: log-probabilities, which the steps move by tenths, end 1e-5 apart.
 */
const TRAINED_TOLERANCE = 1e-4;

const root = mkdtempSync(join(tmpdir(), 'lsp-lora-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const ids = (tokens: readonly number[]) => Int32Array.from(tokens);

const paths = Object.fromEntries(
  Object.entries(LORA_CASES).map(([name, stored]) => [
    name,
    {
      model: writeFamilyModel(join(root, name, 'model'), stored),
      adapter: writeAdapter(join(root, name, 'adapter'), stored),
    },
  ]),
);
const { model: LLAMA, adapter: LLAMA_ADAPTER } = paths['llama']!;

describe.each(Object.entries(LORA_CASES))('%s', (name, expected) => {
  const { model: path, adapter } = paths[name]!;
  const { groups, coefficients } = trainingOf(expected);

  it('gives the log-probabilities of PEFT, with its own bits in sampling and training', async () => {
    await using model = await LanguageModel.load(path, { adapter, threads: 2 });
    const scored = await model.logprobs(expected.sequences.map((sequence) => ids(sequence.ids)));
    scored.forEach((logprobs, i) =>
      expectClose(logprobs, expected.sequences[i]!.logprobs, LOGPROB_TOLERANCE),
    );
    await using base = await model.clone({ adapter: false });
    await using learner = await Learner.create(base, { lora: { adapter } });
    for (const { prompt } of groups) {
      const [samples] = await model.generate([prompt], { samples: 3, maxNewTokens: 9, minNewTokens: 9 });
      const completions = samples!.map(({ tokens }) => tokens);
      const again = await model.logprobs(completions.map((tokens) => ids([...prompt, ...tokens])));
      const zeros = completions.map((tokens) => new Float32Array(tokens.length));
      const { logprobs } = await learner.accumulate([{ prompt, completions }], [zeros]);
      samples!.forEach((sample, i) => {
        expect(bits(again[i]!.slice(prompt.length - 1))).toEqual(bits(sample.logprobs));
        expect(bits(logprobs[0]![i]!)).toEqual(bits(sample.logprobs));
      });
    }
  });

  it('has the gradients of PEFT', async () => {
    await using model = await LanguageModel.load(path);
    await using learner = await Learner.create(model, { lora: { adapter } });
    await learner.accumulate(groups, coefficients);
    await expectGradients(learner, expected.training.gradients, GRADIENT_TOLERANCE);
  });

  it('is where PEFT is after steps of AdamW, on a base of the same bits', async () => {
    await using model = await LanguageModel.load(path);
    const sequence = ids(expected.sequences[1]!.ids);
    const before = await allParameters(model);
    const unadapted = await model.logprobs([sequence]);
    const { rate, gradNorms, after } = expected.training;
    await using learner = await Learner.create(model, { lora: { adapter }, learningRate: rate });
    for (const gradNorm of gradNorms) {
      await learner.accumulate(groups, coefficients);
      const step = await learner.step();
      expect(Math.abs(step.gradNorm / gradNorm - 1)).toBeLessThan(TRAINED_TOLERANCE);
    }
    const [trained] = await model.logprobs([sequence]);
    expectClose(trained!, after, TRAINED_TOLERANCE);
    for (const [parameter, values] of before)
      expect(bits(await model.parameter(parameter))).toEqual(bits(values));
    await using reference = await model.clone({ adapter: false });
    expect(reference.adapter).toBeNull();
    expect(await reference.logprobs([sequence])).toEqual(unadapted);
  });

  it('merges into the same model, up to rounding', async () => {
    await using model = await LanguageModel.load(path, { adapter });
    const sequence = ids(expected.sequences[2]!.ids);
    const [before] = await model.logprobs([sequence]);
    const saved = join(root, name, 'saved');
    await model.save(saved);
    await model.merge();
    expect(model.adapter).toBeNull();
    const [merged] = await model.logprobs([sequence]);
    expectClose(merged!, Array.from(before!), LOGPROB_TOLERANCE);
    await using again = await LanguageModel.load(saved);
    expect(await again.logprobs([sequence])).toEqual([merged]); // save merges with the same bits
  });
});

async function allParameters(model: LanguageModel): Promise<[string, Float32Array][]> {
  return Promise.all(
    model.parameterNames().map(async (name) => [name, await model.parameter(name)] as [string, Float32Array]),
  );
}

const { groups, coefficients } = trainingOf(LORA_CASES['llama']!);
const SEQUENCE = ids(LORA_CASES['llama']!.sequences[1]!.ids);
const A = 'base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight';
const B = A.replace('lora_A', 'lora_B');

describe('a fresh adapter', () => {
  it('has the defaults, changes nothing at first, and begins as PEFT begins', async () => {
    await using model = await LanguageModel.load(LLAMA);
    const before = await model.logprobs([SEQUENCE]);
    const own = model.parameterNames();
    await using learner = await Learner.create(model, { lora: {} });
    const { hiddenSize: c, intermediateSize: f, numLayers } = model.config;
    const widths = [c + c, c + c / 2, c + c / 2, c + c, c + f, c + f, c + f]; // two key-value heads for four heads
    expect(model.adapter).toEqual({
      rank: 16,
      alpha: 32,
      rsLora: false,
      targets: [...LORA_TARGETS],
      parameterCount: 16 * numLayers * widths.reduce((sum, width) => sum + width, 0),
    });
    expect(await model.logprobs([SEQUENCE])).toEqual(before);
    expect(model.parameterNames().slice(0, own.length)).toEqual(own);
    expect(model.parameterNames()).toHaveLength(own.length + 2 * 7 * numLayers);
    expect((await model.parameter(B)).every((value) => value === 0)).toBe(true);
    // Uniform in ±1/√K: over 16 · K values the largest comes close, and the mean square is a third of the square.
    const a = await model.parameter(A);
    const bound = 1 / Math.sqrt(c);
    const largest = a.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    expect(largest).toBeLessThanOrEqual(bound);
    expect(largest).toBeGreaterThan(0.95 * bound);
    const square = a.reduce((sum, value) => sum + value * value, 0) / a.length;
    expect(square / bound ** 2).toBeCloseTo(1 / 3, 1);
    expect(learner.stepCount).toBe(0);
  });

  it('follows from the seed, whatever the other projections', async () => {
    const valuesOf = async (seed: number, targets: LoraTarget[]) => {
      await using model = await LanguageModel.load(LLAMA);
      await using learner = await Learner.create(model, { lora: { seed, targets, rank: 5 } });
      expect(learner.model.adapter!.targets).toEqual(targets);
      return await model.parameter(A);
    };
    const values = await valuesOf(1, ['q']);
    expect(await valuesOf(1, ['q', 'v', 'down'])).toEqual(values);
    expect(await valuesOf(2, ['q'])).not.toEqual(values);
  });

  it('trains from the first step: B from zero, then A', async () => {
    await using model = await LanguageModel.load(LLAMA);
    await using learner = await Learner.create(model, { lora: { rank: 2 }, learningRate: 1e-2 });
    const version = model.policyVersion;
    await learner.accumulate(groups, coefficients);
    expect((await learner.gradient(A)).every((value) => value === 0)).toBe(true);
    expect((await learner.gradient(B)).some((value) => value !== 0)).toBe(true);
    const a = await model.parameter(A);
    await learner.step();
    expect(model.policyVersion).toBe(version + 1);
    const [[{ policyVersion }]] = (await model.generate([groups[0]!.prompt], { maxNewTokens: 2 })) as [
      [never],
    ];
    expect(policyVersion).toBe(version + 1);
    expect(await model.parameter(A)).toEqual(a);
    await learner.accumulate(groups, coefficients);
    expect((await learner.gradient(A)).some((value) => value !== 0)).toBe(true);
  });
});

describe('exactness', () => {
  const { bases, base } = loadAddon().isa();

  it('is the same bits for any budget and number of threads', async () => {
    const expected = await trainedBits({ path: LLAMA, threads: 1 });
    expect(await trainedBits({ path: LLAMA, threads: 2 })).toEqual(expected);
    expect(await trainedBits({ path: LLAMA, threads: 2, budget: 1 })).toEqual(expected);
  });

  it.each(bases.filter((isa) => isa !== base))('is the same bits on %s', async (isa) => {
    const register = require.resolve('ts-node/register/transpile-only');
    const script = join(__dirname, '../support/lora-run.ts');
    const run = { path: LLAMA, threads: 2 };
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['-r', register, script, JSON.stringify({ ...run, isa })],
      { cwd: join(__dirname, '../..'), env: { ...process.env, LSP_ISA: isa } },
    );
    expect(JSON.parse(stdout)).toEqual(await trainedBits(run));
  });

  it('is the same bits on a base in bf16 as on one in f32 of the same values', async () => {
    const path = join(root, 'bf16');
    await using model = await LanguageModel.load(LLAMA);
    await model.save(path, { dtype: 'bf16' });
    const narrow = await trainedBits({ path, threads: 2, dtype: 'bf16' });
    expect(narrow).toEqual(await trainedBits({ path, threads: 1 }));
  });

  it('goes on bit for bit from an adapter and a state on the disk', async () => {
    const [adapter, state] = [join(root, 'resume', 'adapter'), join(root, 'resume', 'optimizer.safetensors')];
    const step = async (learner: Learner) => {
      await learner.accumulate(groups, coefficients);
      await learner.step();
    };
    const end = async (learner: Learner) => (await learner.model.logprobs([SEQUENCE]))[0]!;
    await using model = await LanguageModel.load(LLAMA);
    await using learner = await Learner.create(model, { lora: {}, learningRate: 1e-2 });
    await step(learner);
    await model.saveAdapter(adapter);
    await learner.saveState(state);
    await step(learner);
    await using other = await LanguageModel.load(LLAMA);
    await using resumed = await Learner.create(other, { lora: { adapter }, learningRate: 1e-2 });
    await resumed.loadState(state);
    expect(resumed.stepCount).toBe(1);
    await step(resumed);
    expect(bits(await end(resumed))).toEqual(bits(await end(learner)));
    // A state of all weights is not one of an adapter, nor the other way round.
    await using full = await Learner.create(await other.clone({ adapter: false }));
    expectError(await rejectionOf(full.loadState(state)), 'INVALID_MODEL_FILE', /is missing/);
  });

  it('leaves the gradient as it was when an accumulation fails', async () => {
    await using model = await LanguageModel.load(LLAMA);
    await using learner = await Learner.create(model, { lora: {} });
    await learner.accumulate(groups, coefficients);
    const before = await learner.gradient(B);
    const failing = () => {
      throw new Error('no loss today');
    };
    await expect(learner.accumulate(groups, failing)).rejects.toThrow('no loss today');
    const aborted = learner.accumulate(groups, coefficients, {
      signal: AbortSignal.abort(new Error('stop')),
    });
    await expect(aborted).rejects.toThrow('stop');
    expect(await learner.gradient(B)).toEqual(before);
  });
});

describe('memory', () => {
  it('is that of the adapter alone, and the base is shared with the reference', async () => {
    await using model = await LanguageModel.load(LLAMA);
    await using learner = await Learner.create(model, { lora: { rank: 4, targets: ['q', 'down'] } });
    const base = model.native.weightBytes();
    await learner.accumulate(groups, coefficients);
    await learner.step();
    const adapter = model.native.adapter()!;
    const own = base - adapterBytes(model.config, adapter);
    await using reference = await model.clone({ adapter: false });
    expect(reference.native.weightBytes()).toBe(own);
    const state = join(root, 'moments.safetensors');
    await learner.saveState(state);
    const moments = 2 * 4 * model.adapter!.parameterCount; // m and v in f32
    expect(statSync(state).size).toBeGreaterThan(moments);
    expect(statSync(state).size).toBeLessThan(moments + 8000); // the header
  });

  it('is asked for before anything is made', async () => {
    await using model = await LanguageModel.load(LLAMA);
    const adapter = { rank: 16, matrices: ['model.layers.0.self_attn.q_proj.weight'] };
    // A (16, 32) is stored as one panel of 32 rows, B (32, 16) as it is; weights, gradient and two moments.
    const needed = 4 * 4 * (32 * 32 + 32 * 16);
    expect(adapterLearnerBytes(model.config, adapter)).toBe(needed);
    requireLearnerFits(model.config, { adapter, availableBytes: needed });
    const refusal = errorOf(() => requireLearnerFits(model.config, { adapter, availableBytes: needed - 1 }));
    expectError(refusal, 'OUT_OF_MEMORY', /an adapter of rank 16/);
  });
});

describe('a trainer', () => {
  /** One group of answers that differ in reward, with a KL to the reference. */
  const trainerOn = (learner: Learner, more: Partial<GrpoTrainerOptions> = {}) =>
    new GrpoTrainer({
      learner,
      reward: new FunctionReward(({ answer }) => (answer.length % 3) / 2),
      queries: [{ messages: [{ role: 'user', content: 'Hello' }] }],
      queriesPerStep: 1,
      solver: { answers: 4, maxNewTokens: 8 },
      kl: { form: 'k2', coefficient: 0.1 },
      ...more,
    });
  const firstStep = async (trainer: GrpoTrainer, steps = 1) => {
    for await (const { metrics } of trainer.run({ steps })) return metrics;
    throw new Error('expected a step');
  };

  it('keeps near the model without the adapter, also when it goes on', async () => {
    await using model = await LanguageModel.load(LLAMA);
    await using learner = await Learner.create(model, { lora: {}, learningRate: 1e-2 });
    await using trainer = trainerOn(learner);
    expect((await firstStep(trainer)).solver.kl).toBe(0); // B is zero
    await learner.accumulate(groups, coefficients);
    await learner.step();
    await using resumed = trainerOn(learner, { resume: trainer.state() });
    expect(Math.abs((await firstStep(resumed, 2)).solver.kl!)).toBeGreaterThan(1e-4);
    // An adapter from a file is not what it is compared with either.
    await using other = await LanguageModel.load(LLAMA);
    await using trained = await Learner.create(other, { lora: { adapter: LLAMA_ADAPTER } });
    await using from = trainerOn(trained);
    expect(Math.abs((await firstStep(from)).solver.kl!)).toBeGreaterThan(1e-2);
  });
});

describe('refuses', () => {
  it.each<[object, LspErrorCode, RegExp]>([
    [{ targets: ['q', 'doen'] }, 'INVALID_ARGUMENT', /lora\.targets\[1\].*"doen".*Did you mean 'down'/],
    [{ targets: [] }, 'INVALID_ARGUMENT', /lora\.targets/],
    [{ targets: ['q', 'q'] }, 'INVALID_ARGUMENT', /each projection once/],
    [{ rank: 0 }, 'INVALID_ARGUMENT', /lora\.rank/],
    [{ rank: 5000 }, 'INVALID_ARGUMENT', /lora\.rank/],
    [{ rank: 1.5 }, 'INVALID_ARGUMENT', /lora\.rank/],
    [{ alpha: 0 }, 'INVALID_ARGUMENT', /lora\.alpha/],
    [{ alpha: NaN }, 'INVALID_ARGUMENT', /lora\.alpha/],
    [{ rsLora: 1 }, 'INVALID_ARGUMENT', /lora\.rsLora/],
    [{ seed: -1 }, 'INVALID_ARGUMENT', /lora\.seed/],
    [{ ranks: 4 }, 'UNKNOWN_OPTION', /Did you mean `rank`/],
    [{ adapter: LLAMA_ADAPTER, rank: 4 }, 'INVALID_ARGUMENT', /nothing beside `lora\.adapter`/],
    [{ adapter: LLAMA }, 'INVALID_MODEL_FILE', /no adapter_config\.json/],
  ])('%j', async (lora, code, message) => {
    await using model = await LanguageModel.load(LLAMA);
    expectError(await rejectionOf(Learner.create(model, { lora })), code, message);
    expect(model.adapter).toBeNull();
  });

  it('a second adapter, all weights beneath one, and what would pull one from under its learner', async () => {
    await using model = await LanguageModel.load(LLAMA);
    const learner = await Learner.create(model, { lora: {} });
    expectError(await rejectionOf(Learner.create(model, { lora: {} })), 'INVALID_ARGUMENT', /merge\(\)/);
    expectError(await rejectionOf(Learner.create(model)), 'INVALID_ARGUMENT', /without an adapter/);
    expectError(await rejectionOf(model.merge()), 'INVALID_ARGUMENT', /Dispose the learner/);
    expectError(
      await rejectionOf(model.loadAdapter(LLAMA_ADAPTER)),
      'INVALID_ARGUMENT',
      /Dispose the learner/,
    );
    await learner.accumulate(groups, coefficients);
    // On the native surface nothing hinders it, and the learner notices.
    await model.native.mergeAdapter(handle());
    expectError(await rejectionOf(learner.step()), 'INVALID_ARGUMENT', /another one, or none/);
    expectError(
      await rejectionOf(learner.accumulate(groups, coefficients)),
      'INVALID_ARGUMENT',
      /another one/,
    );
    await learner.dispose();
    await using again = await Learner.create(model, { lora: { rank: 1 } });
    await again.accumulate(groups, coefficients);
  });

  it('gradients of what is frozen', async () => {
    await using model = await LanguageModel.load(LLAMA);
    await using learner = await Learner.create(model, { lora: {} });
    expectError(await rejectionOf(learner.gradient('model.norm.weight')), 'INVALID_ARGUMENT', /frozen/);
  });
});
