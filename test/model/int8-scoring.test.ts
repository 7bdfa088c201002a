/** Scoring in int8: the bits that sampling in int8 reports, and memory that is given back. */
import { LanguageModel, Learner, type Completion, type GenerateOptions } from '../../lib';
import { roundedBytes } from '../../lib/model/memory';
import { loadAddon } from '../../lib/native/load';
import { expectError, rejectionOf } from '../support/errors';
import { describeWithModel, realModel } from '../support/fixtures';

const SYSTEM = 'Answer in one word, or with a list of letters, whatever is asked for; think before you do.';
const TASKS = ['Sort: k c a', 'Sort: k c b', 'What is 3 + 4?', 'Is a in k c a?'];

let model: LanguageModel;
let prompts: Int32Array[];
beforeAll(async () => {
  model = await LanguageModel.load('tiny', { threads: 2 });
  // What they share is longer than a block of the cache, and ends within one.
  prompts = TASKS.map((content) =>
    model.tokenizer.encodeChat([{ role: 'user', content: `${SYSTEM}\n${content}` }]),
  );
});
afterAll(() => model.dispose());

function scoredOf(groups: readonly Completion[][]) {
  const sequences = groups.flatMap((group, i) =>
    group.map(({ tokens }) => Int32Array.of(...prompts[i]!, ...tokens)),
  );
  return { sequences, promptLengths: groups.flatMap((group, i) => group.map(() => prompts[i]!.length)) };
}

/** Log-probabilities by the sampler, and of the same tokens by the scorer. */
async function both(of: LanguageModel, temperature = 1, scorer = of) {
  const options: GenerateOptions = {
    precision: 'int8',
    samples: 6,
    minNewTokens: 20,
    maxNewTokens: 40,
    seed: 5,
    temperature,
  };
  const groups = await of.generate(prompts, options);
  const { sequences, promptLengths } = scoredOf(groups);
  const scored = await scorer.logprobs(sequences, { promptLengths, temperature, precision: 'int8' });
  return { sampled: groups.flat().map(({ sampler }) => sampler!.logprobs), scored, sequences, promptLengths };
}

describe('log-probabilities in int8', () => {
  test.each([1, 0.7, 2])('are those of the sampler at temperature %d, bit for bit', async (temperature) => {
    const { sampled, scored } = await both(model, temperature);
    expect(sampled.reduce((sum, { length }) => sum + length, 0)).toBeGreaterThan(100);
    expect(scored).toEqual(sampled);
  });

  test('do not depend on threads, on the batch, nor on where prompts end', async () => {
    await using single = await LanguageModel.load('tiny', { threads: 1 });
    const { sampled, scored, sequences, promptLengths } = await both(model, 1, single);
    expect(scored).toEqual(sampled);
    for (const [i, tokens] of sequences.entries()) {
      const [alone] = await model.logprobs([tokens], { precision: 'int8' });
      expect(alone!.subarray(promptLengths[i]! - 1)).toEqual(scored[i]);
    }
  });

  test('are those of the sampler where a subtree is cut at the memory of a batch', async () => {
    // Of 1,024 tokens; these are some 2,700 below one prefix.
    const options: GenerateOptions = { precision: 'int8', samples: 16, minNewTokens: 40, maxNewTokens: 40 };
    const groups = await model.generate(prompts, options);
    const { sequences, promptLengths } = scoredOf(groups);
    expect(16 * 40 * prompts.length).toBeGreaterThan(2048);
    expect(await model.logprobs(sequences, { promptLengths, precision: 'int8' })).toEqual(
      groups.flat().map(({ logprobs }) => logprobs),
    );
  });

  test.each(['bf16', 'int8'] as const)('are those of the sampler of a model held in %s', async (dtype) => {
    await using held = await LanguageModel.load('tiny', { threads: 2, dtype });
    const { sampled, scored } = await both(held);
    expect(scored).toEqual(sampled);
  });

  test('are those of the sampler with an adapter on, before and after an update', async () => {
    await using policy = await model.clone();
    const beneath = (await both(policy)).scored;
    await using learner = await Learner.create(policy, { learningRate: 1e-2, lora: { rank: 4 } });
    const completions = [policy.tokenizer.encode('a c k'), policy.tokenizer.encode('7')];
    const gradient = [completions.map((tokens) => new Float32Array(tokens.length).fill(-1))];
    await learner.accumulate([{ prompt: prompts[0]!, completions }], gradient);
    await learner.step();
    const { sampled, scored, sequences, promptLengths } = await both(policy);
    expect(scored).toEqual(sampled);
    // Its reference, the base, has other bits, and those it had.
    await using reference = await policy.clone({ adapter: false });
    const options = { promptLengths, precision: 'int8' } as const;
    expect(await reference.logprobs(sequences, options)).not.toEqual(scored);
    expect((await both(reference)).scored).toEqual(beneath);
  });

  test('leave the exact ones as they are', async () => {
    const { scored, sequences, promptLengths } = await both(model);
    await using fresh = await LanguageModel.load('tiny', { threads: 2 });
    const exact = await fresh.logprobs(sequences, { promptLengths });
    expect(await model.logprobs(sequences, { promptLengths, precision: 'exact' })).toEqual(exact);
    expect(scored).not.toEqual(exact);
  });
});

test('entropies in int8 are at the temperature, as the exact ones are', async () => {
  const { native } = model;
  const tokens = Int32Array.of(...prompts[0]!, 5, 6);
  const sequences = [{ tokens, promptLength: prompts[0]!.length }];
  const { Handle } = loadAddon();
  for (const temperature of [1, 3]) {
    const exact = (await native.logprobs(sequences, temperature, new Handle())).entropies[0]!;
    const rounded = (await native.logprobs(sequences, temperature, new Handle(), 'int8')).entropies[0]!;
    expect(rounded).not.toEqual(exact);
    expect(rounded.length).toBe(2);
    rounded.forEach((entropy, t) => expect(Math.abs(entropy - exact[t]!)).toBeLessThan(0.1));
  }
});

describe('the copy in int8', () => {
  test('is given back by a scorer that made it, and left where sampling made it', async () => {
    await using reference = await model.clone();
    const held = reference.native.weightBytes();
    const sequences = [prompts[0]!];
    await reference.logprobs(sequences, { precision: 'int8' });
    expect(reference.native.weightBytes()).toBe(held);
    await reference.generate(sequences, { precision: 'int8', maxNewTokens: 1 });
    const rounded = held + roundedBytes(reference.config);
    expect(reference.native.weightBytes()).toBe(rounded);
    await reference.logprobs(sequences, { precision: 'int8' });
    await reference.logprobs(sequences);
    expect(reference.native.weightBytes()).toBe(rounded);
  });

  test('is given back by a scorer that was aborted', async () => {
    await using reference = await model.clone();
    const held = reference.native.weightBytes();
    const controller = new AbortController();
    const scoring = reference.logprobs(
      Array.from({ length: 3000 }, (_, i) =>
        Int32Array.from({ length: 40 }, (__, j) => (i * 31 + j * 7) % 60),
      ),
      { precision: 'int8', signal: controller.signal },
    );
    setTimeout(() => controller.abort(new Error('enough')), 20); // when the copy is there, and scores are not
    await expect(scoring).rejects.toThrow('enough');
    expect(reference.native.weightBytes()).toBe(held);
  });
});

test('refuses what is no precision', async () => {
  const asked = model.logprobs(prompts, { precision: 'int4' as never });
  expectError(await rejectionOf(asked), 'INVALID_ARGUMENT', /`precision`.*'int4'|'exact', 'int8'/);
});

describeWithModel('SmolLM2', () => {
  test.each([1, 1.3])(
    'scores as it sampled at temperature %d',
    async (temperature) => {
      await using real = await LanguageModel.load(realModel!, { threads: 2, dtype: 'stored' });
      const asked = ['Describe a river.', 'Describe a bird.'].map((content) =>
        real.tokenizer.encodeChat([{ role: 'user', content }]),
      );
      const groups = await real.generate(asked, {
        precision: 'int8',
        samples: 4,
        maxNewTokens: 24,
        temperature,
      });
      const sequences = groups.flatMap((group, i) =>
        group.map(({ tokens }) => Int32Array.of(...asked[i]!, ...tokens)),
      );
      const promptLengths = groups.flatMap((group, i) => group.map(() => asked[i]!.length));
      expect(await real.logprobs(sequences, { promptLengths, temperature, precision: 'int8' })).toEqual(
        groups.flat().map(({ sampler }) => sampler!.logprobs),
      );
    },
    120_000,
  );
});
