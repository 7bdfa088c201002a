import { join } from 'node:path';
import type { NativeAdamW, NativeLearner, NativeModel, NativeTrainSequence } from '../../lib/native/addon';
import { loadAddon } from '../../lib/native/load';
import { ModelFile } from '../../lib/model/formats/model-file';
import { readSafetensorsHeader } from '../../lib/model/formats/safetensors';
import {
  bits,
  codeOf,
  handle,
  joined,
  learnerOn,
  loadTiny,
  requests,
  sampling,
  SLOW_MODEL,
  tinySource,
  type TinySource,
} from '../support/native-model';

const ADAMW: NativeAdamW = {
  learningRate: 1e-3,
  beta1: 0.9,
  beta2: 0.999,
  eps: 1e-8,
  weightDecay: 0,
  maxGradNorm: 1,
};

let tiny: TinySource;
let model: NativeModel;
let learner: NativeLearner;
let sequences: NativeTrainSequence[];
let generated: Float32Array[];
let weights: Float32Array[];

beforeAll(() => {
  tiny = tinySource();
});

afterAll(() => tiny.remove());

beforeEach(async () => {
  model = await loadTiny(tiny);
  learner = learnerOn(model);
  const asked = requests(4);
  const completions = await model.generate(asked, sampling(), handle());
  generated = completions.map(({ logprobs }) => logprobs);
  sequences = asked.map(({ prompt }, index) => ({
    tokens: joined(prompt, completions[index]!.tokens),
    promptLength: prompt.length,
  }));
  // Coefficients of both signs and different sizes, as advantages have them.
  weights = generated.map((logprobs, index) => logprobs.map((_, at) => Math.sin(1 + index + at)));
});

afterEach(() => model.dispose());

const accumulate = (on = learner, of = sequences, by = weights) => on.accumulate(of, by, 1, handle());

async function allGradients(of: NativeLearner): Promise<Int32Array[]> {
  return Promise.all(model.parameterNames().map(async (name) => bits(await of.gradient(name))));
}

test('log-probabilities are those of generate, bit for bit', async () => {
  const trained = await accumulate();
  const { logprobs: scored } = await model.logprobs(sequences, 1, handle());
  for (const [index, logprobs] of generated.entries()) {
    expect(bits(trained[index]!)).toEqual(bits(logprobs));
    expect(bits(scored[index]!)).toEqual(bits(logprobs));
  }
});

test('gradients are the same bits for any memory budget and number of threads', async () => {
  await accumulate();
  const expected = await allGradients(learner);
  for (const options of [
    { activationBudgetBytes: 1 },
    { gradientCheckpointing: true },
    { activationBudgetBytes: 1, gradientCheckpointing: true },
  ]) {
    const other = learnerOn(model, options);
    await accumulate(other);
    expect(await allGradients(other)).toEqual(expected);
  }
  const two = await loadTiny(tiny, 2);
  const threaded = learnerOn(two);
  await accumulate(threaded);
  expect(await allGradients(threaded)).toEqual(expected);
  await two.dispose();
});

/** Sequences that fork within blocks and between them, at forks of forks, with beginnings that end mid-way. */
function forks(): { tokens: Int32Array; promptLength: number }[] {
  const run = (length: number, salt: number) =>
    Int32Array.from({ length }, (_, at) => 3 + ((at * 7 + salt) % 90));
  const system = run(37, 0);
  const queries = [run(20, 1), run(27, 2), run(3, 3)].map((query) => joined(system, query));
  const answers = queries.flatMap((query, at) =>
    [11, 40, 1, 70].map((length, index) => ({
      tokens: joined(query, run(length, 5 + at + 11 * index)),
      promptLength: query.length,
    })),
  );
  const again = joined(answers[1]!.tokens.slice(0, 70), run(9, 50));
  const half = { tokens: answers[3]!.tokens.slice(0, 90), promptLength: 57 };
  return [...answers, { tokens: again, promptLength: 57 }, half, answers[5]!];
}

test('a tree of shared beginnings has the same bits whatever of it fits into memory', async () => {
  const sequencesOfTree = forks();
  const coefficients = sequencesOfTree.map(({ tokens, promptLength }, index) =>
    Float32Array.from({ length: tokens.length - promptLength }, (_, at) => Math.sin(1 + 3 * index + at)),
  );
  const whole = learnerOn(model, { activationBudgetBytes: 1 << 26 });
  const logprobs = await whole.accumulate(sequencesOfTree, coefficients, 1, handle());
  const expected = await allGradients(whole);
  const perToken = loadAddon().activationBytesPerToken(tiny.source.config, false);
  for (const tokens of [1, 130, 150, 200, 300, 400, 500]) {
    for (const gradientCheckpointing of [false, true]) {
      const budget = loadAddon().activationBytesPerToken(tiny.source.config, gradientCheckpointing) * tokens;
      const part = learnerOn(model, { activationBudgetBytes: budget, gradientCheckpointing });
      const scored = await part.accumulate(sequencesOfTree, coefficients, 1, handle());
      expect(scored.map((row) => bits(row))).toEqual(logprobs.map((row) => bits(row)));
      expect(await allGradients(part)).toEqual(expected);
    }
  }
  expect(perToken).toBeGreaterThan(loadAddon().activationBytesPerToken(tiny.source.config, true));
});

test('the gradient of shared beginnings is that of the sequences one by one', async () => {
  const sequencesOfTree = forks();
  const coefficients = sequencesOfTree.map(({ tokens, promptLength }, index) =>
    Float32Array.from({ length: tokens.length - promptLength }, (_, at) => Math.sin(1 + 3 * index + at)),
  );
  const together = await learner.accumulate(sequencesOfTree, coefficients, 1, handle());
  const alone = learnerOn(model);
  for (const [index, sequence] of sequencesOfTree.entries()) {
    const [logprobs] = await alone.accumulate([sequence], [coefficients[index]!], 1, handle());
    expect(bits(logprobs!)).toEqual(bits(together[index]!));
  }
  for (const name of model.parameterNames()) {
    const [shared, summed] = [await learner.gradient(name), await alone.gradient(name)];
    const norm = Math.hypot(...summed);
    const difference = Math.hypot(...shared.map((value, at) => value - summed[at]!));
    // Sums of some thousand terms of both signs in another order: 2^-24 times the root of their number, times what
    // cancels.
    expect(difference).toBeLessThan(2e-5 * norm);
  }
});

test('the gradient is that of finite differences', async () => {
  const temperature = 0.8;
  const loss = async () => {
    const { logprobs } = await model.logprobs(sequences, temperature, handle());
    return logprobs.reduce(
      (sum, row, index) => row.reduce((part, logprob, at) => part + logprob * weights[index]![at]!, sum),
      0,
    );
  };
  await learner.accumulate(sequences, weights, temperature, handle());
  const names = ['model.embed_tokens.weight', 'model.norm.weight'].concat(
    model.parameterNames().filter((name) => name.startsWith('model.layers.1.')),
  );
  expect(names).toHaveLength(11);
  for (const name of names) {
    const gradient = await learner.gradient(name);
    const values = await model.readTensor(name);
    // The entry with the largest gradient: where differences are well above the rounding of the loss.
    const at = gradient.reduce(
      (best, value, index) => (Math.abs(value) > Math.abs(gradient[best]!) ? index : best),
      0,
    );
    const step = 2 ** -9;
    const moved = async (by: number) => {
      const copy = values.slice();
      copy[at]! += by;
      await model.writeTensor(name, copy);
      return loss();
    };
    const difference = ((await moved(step)) - (await moved(-step))) / (2 * step);
    await model.writeTensor(name, values);
    // Some 90 log-probabilities near 5, each rounded to 2^-22, over a step of 2^-8: an error near 0.01 where they add
    // up at random; the curvature adds a relative error of the order of step^2.
    expect(Math.abs(difference - gradient[at]!)).toBeLessThan(0.02 + 0.005 * Math.abs(gradient[at]!));
  }
});

test('accumulating twice adds; zeroGradient and step clear', async () => {
  await accumulate();
  const once = await learner.gradient('model.norm.weight');
  await accumulate();
  const twice = await learner.gradient('model.norm.weight');
  // One sum of twice as many terms: it rounds differently in the last bits of the largest entries.
  const scale = once.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
  twice.forEach((value, index) => expect(Math.abs(value - 2 * once[index]!)).toBeLessThan(1e-5 * scale));
  await learner.zeroGradient();
  expect((await learner.gradient('model.norm.weight')).every((value) => value === 0)).toBe(true);
  await accumulate();
  expect((await learner.step(ADAMW)).gradNorm).toBeGreaterThan(0);
  expect((await learner.gradient('model.norm.weight')).every((value) => value === 0)).toBe(true);
});

test('an abort or a failure leaves the gradient as it was', async () => {
  await accumulate();
  const expected = await allGradients(learner);
  const aborted = handle();
  aborted.abort();
  expect(await codeOf(learner.accumulate(sequences, weights, 1, aborted))).toBe('ABORTED');
  const bad = { tokens: Int32Array.of(1, 2, 100_000), promptLength: 1 };
  expect(await codeOf(accumulate(learner, [...sequences, bad], [...weights, new Float32Array(2)]))).toBe(
    'INVALID_ARGUMENT',
  );
  expect(await allGradients(learner)).toEqual(expected);
});

test('an abort midway leaves the gradient as it was', async () => {
  const slow = tinySource(SLOW_MODEL);
  const slowModel = await loadTiny(slow);
  const slowLearner = learnerOn(slowModel, { activationBudgetBytes: 1 });
  const tokens = Int32Array.from({ length: 100 }, (_, at) => 3 + at);
  // Nothing in common: nothing is computed once for all.
  const many = Array.from({ length: 40 }, (_, at) => ({
    tokens: joined(Int32Array.of(at), tokens),
    promptLength: 2,
  }));
  const gradients = many.map(() => new Float32Array(99).fill(1));
  await slowLearner.accumulate(many.slice(0, 1), gradients.slice(0, 1), 1, handle());
  const name = 'model.layers.3.post_attention_layernorm.weight';
  const expected = bits(await slowLearner.gradient(name));
  const stopping = handle();
  const running = codeOf(slowLearner.accumulate(many, gradients, 1, stopping));
  setTimeout(() => stopping.abort(), 200);
  expect(await running).toBe('ABORTED');
  expect(bits(await slowLearner.gradient(name))).toEqual(expected);
  await slowModel.dispose();
  slow.remove();
});

test('a step moves the weights downhill, and a gradient that is not finite moves nothing', async () => {
  const loss = (rows: Float32Array[]) =>
    rows.reduce(
      (sum, row, index) => row.reduce((part, value, at) => part + value * weights[index]![at]!, sum),
      0,
    );
  const before = loss(await accumulate());
  const version = model.policyVersion();
  await learner.step({ ...ADAMW, weightDecay: 0.1 });
  expect(learner.stepCount()).toBe(1);
  expect(model.policyVersion()).toBe(version + 1);
  expect(loss((await model.logprobs(sequences, 1, handle())).logprobs)).toBeLessThan(before);

  const value = bits(await model.readTensor('model.norm.weight'));
  await accumulate(
    learner,
    sequences,
    weights.map((row) => row.map(() => NaN)),
  );
  expect(await codeOf(learner.step(ADAMW))).toBe('TRAINING_DIVERGED');
  expect(bits(await model.readTensor('model.norm.weight'))).toEqual(value);
  expect(learner.stepCount()).toBe(1);
  expect(model.policyVersion()).toBe(version + 1);
});

test('saved and loaded, the optimizer goes on bit for bit', async () => {
  await accumulate();
  await learner.step(ADAMW);
  const path = join(tiny.directory, 'optimizer.safetensors');
  await learner.saveState(path, handle());
  const other = await model.clone();
  const resumed = learnerOn(other);
  const file = new ModelFile(path);
  const header = readSafetensorsHeader(file);
  file.close();
  const tensors = header.tensors.map(({ name, shape, offset, byteLength }) => ({
    name,
    path,
    offset,
    byteLength,
    type: 'f32' as const,
    shape,
  }));
  expect(header.metadata['step_count']).toBe('1');
  expect(await codeOf(resumed.loadState(tensors.slice(1), 1, handle()))).toBe('INVALID_CHECKPOINT');
  expect(await codeOf(resumed.loadState(tensors, -1, handle()))).toBe('INVALID_ARGUMENT');
  await resumed.loadState(tensors, 1, handle());
  expect(resumed.stepCount()).toBe(1);
  for (const each of [learner, resumed]) {
    await accumulate(each);
    await each.step(ADAMW);
  }
  for (const name of model.parameterNames()) {
    expect(bits(await other.readTensor(name))).toEqual(bits(await model.readTensor(name)));
  }
  await other.dispose();
});

test('a learner may be made while its model is still loading', async () => {
  const loading = new (loadAddon().Model)(tiny.source.config, { threads: 1 });
  const early = learnerOn(loading);
  expect(await codeOf(accumulate(early))).toBe('INVALID_MODEL_FILE');
  const loaded = loading.loadTensors(tiny.source.tensors, handle());
  await accumulate(early);
  await loaded;
  await loading.dispose();
});

describe('dispose', () => {
  test('of the learner: its calls reject, the model goes on', async () => {
    const running = accumulate();
    const first = learner.dispose();
    await Promise.all([codeOf(running), first, learner.dispose()]);
    expect(await codeOf(accumulate())).toBe('DISPOSED');
    expect(await codeOf(learner.step({} as never))).toBe('DISPOSED');
    expect(() => learner.stepCount()).toThrow(expect.objectContaining({ code: 'DISPOSED' }));
    await model.logprobs([{ tokens: Int32Array.of(1, 2), promptLength: 1 }], 1, handle());
  });

  test('of the model: its learners, too, and their dispose still resolves', async () => {
    await accumulate();
    const queued = codeOf(learner.step(ADAMW));
    await model.dispose();
    expect(['DISPOSED', 'resolved']).toContain(await queued);
    expect(await codeOf(learner.gradient('model.norm.weight'))).toBe('DISPOSED');
    expect(() => learnerOn(model)).toThrow(expect.objectContaining({ code: 'DISPOSED' }));
    await learner.dispose();
    await learner.dispose();
  });
});
