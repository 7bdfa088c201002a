/** Sampling in int8: bits that depend on nothing but the weights, weights that follow the updates, memory. */
import { LanguageModel, Learner, type Completion, type GenerateOptions } from '../../lib';
import { roundedBytes } from '../../lib/model/memory';
import { expectError, rejectionOf } from '../support/errors';
import { describeWithModel, realModel } from '../support/fixtures';

const TASKS = ['Sort: k c a', 'What is 3 + 4?', 'Reverse: a b c d', 'Is a in k c a?'];
const GREEDY: GenerateOptions = { precision: 'int8', temperature: 0, minNewTokens: 8, maxNewTokens: 8 };

let model: LanguageModel;
let prompts: Int32Array[];
beforeAll(async () => {
  model = await LanguageModel.load('tiny', { threads: 2 });
  prompts = TASKS.map((content) => model.tokenizer.encodeChat([{ role: 'user', content }]));
});
afterAll(() => model.dispose());

const bitsOf = (groups: readonly Completion[][]) =>
  groups.flat().map(({ tokens, logprobs, entropies }) => [tokens, logprobs, entropies]);

/** Log-probabilities of the trained policy for what was sampled. */
async function trained(of: LanguageModel, groups: readonly Completion[][], temperature = 1) {
  const sequences = groups.flatMap((group, i) =>
    group.map(({ tokens }) => Int32Array.of(...prompts[i]!, ...tokens)),
  );
  const promptLengths = groups.flatMap((group, i) => group.map(() => prompts[i]!.length));
  return of.logprobs(sequences, { promptLengths, temperature });
}

describe('bits', () => {
  it('do not depend on the batch, nor on threads', async () => {
    const options: GenerateOptions = { precision: 'int8', samples: 5, maxNewTokens: 12, seed: 3 };
    const streamIds = prompts.map((_, i) => Array.from({ length: 5 }, (__, j) => 5 * i + j));
    const together = await model.generate(prompts, { ...options, streamIds });
    for (const [i, prompt] of prompts.entries()) {
      const alone = await model.generate([prompt], { ...options, streamIds: [streamIds[i]!] });
      expect(bitsOf(alone)).toEqual(bitsOf([together[i]!]));
    }
    await using single = await LanguageModel.load('tiny', { threads: 1 });
    expect(bitsOf(await single.generate(prompts, { ...options, streamIds }))).toEqual(bitsOf(together));
  });

  it('are those of another prompt that ends where the sampling has come', async () => {
    const whole = await model.generate(prompts, GREEDY);
    for (const [i, [{ tokens, logprobs }]] of (whole as [Completion][]).entries()) {
      const longer = Int32Array.of(...prompts[i]!, ...tokens.slice(0, 3));
      const [[rest]] = (await model.generate([longer], {
        ...GREEDY,
        minNewTokens: 5,
        maxNewTokens: 5,
      })) as [[Completion]];
      expect(rest.tokens).toEqual(tokens.slice(3));
      expect(rest.logprobs).toEqual(logprobs.slice(3));
    }
  });
});

describe('log-probabilities', () => {
  it('are near those of the trained policy, and not the same', async () => {
    const groups = await model.generate(prompts, { precision: 'int8', samples: 8, seed: 1 });
    const exact = await trained(model, groups);
    const differences = groups
      .flat()
      .flatMap(({ logprobs }, k) => [...logprobs].map((value, t) => value - exact[k]![t]!));
    const largest = Math.max(...differences.map(Math.abs));
    expect(largest).toBeGreaterThan(0);
    expect(largest).toBeLessThan(0.5); // 0.2 in several thousand tokens of training
    const mean = differences.reduce((sum, d) => sum + Math.abs(d), 0) / differences.length;
    expect(mean).toBeLessThan(0.02);
  });

  it('of the sampler are at the temperature of the sampling', async () => {
    const options: GenerateOptions = { precision: 'int8', samples: 64, maxNewTokens: 1, seed: 2 };
    const first = new Map<number, number>();
    for (const [sample] of (await model.generate([prompts[1]!], options)).flat().map((one) => [one])) {
      expect(sample!.sampler!.logprobs).toEqual(sample!.logprobs);
      first.set(sample!.tokens[0]!, sample!.logprobs[0]!);
    }
    // log p at temperature 2 is half of it at 1, but for a constant; it is normalised.
    const constants: number[] = [];
    let mass = 0;
    const seen = new Set<number>();
    for (const sample of (await model.generate([prompts[1]!], { ...options, temperature: 2 })).flat()) {
      const token = sample.tokens[0]!;
      const tempered = sample.sampler!.logprobs[0]!;
      if (!seen.has(token)) mass += Math.exp(tempered);
      seen.add(token);
      if (first.has(token)) constants.push(tempered - first.get(token)! / 2);
    }
    expect(new Set(first.keys()).size).toBeGreaterThan(1);
    expect(constants.length).toBeGreaterThan(1);
    for (const constant of constants) expect(constant).toBeCloseTo(constants[0]!, 4);
    expect(mass).toBeLessThanOrEqual(1 + 1e-4);
  });

  it('of exact sampling name no other sampler', async () => {
    const groups = await model.generate(prompts, { samples: 2, maxNewTokens: 6 });
    for (const completion of groups.flat()) expect(completion).not.toHaveProperty('sampler');
    expect((await trained(model, groups)).flatMap((values) => [...values])).toEqual(
      groups.flat().flatMap(({ logprobs }) => [...logprobs]),
    );
  });
});

describe('weights', () => {
  const train = async (policy: LanguageModel, learner: Learner) => {
    const completions = [policy.tokenizer.encode('a c k'), policy.tokenizer.encode('7')];
    const gradient = [completions.map((tokens) => new Float32Array(tokens.length).fill(-1))];
    await learner.accumulate([{ prompt: prompts[0]!, completions }], gradient);
    await learner.step();
  };

  it('follow the updates, all weights trained', async () => {
    await using policy = await model.clone();
    const before = bitsOf(await policy.generate(prompts, GREEDY));
    const held = policy.native.weightBytes();
    await using learner = await Learner.create(policy, { learningRate: 1e-3 });
    await train(policy, learner);
    expect(policy.native.weightBytes()).toBeLessThan(held); // given back before the update
    const after = bitsOf(await policy.generate(prompts, GREEDY));
    expect(after).not.toEqual(before);
    await using fresh = await policy.clone();
    expect(bitsOf(await fresh.generate(prompts, GREEDY))).toEqual(after);
  });

  it('hold the adapter, and follow its updates', async () => {
    await using policy = await model.clone();
    const before = bitsOf(await policy.generate(prompts, GREEDY));
    const held = policy.native.weightBytes();
    await using learner = await Learner.create(policy, { learningRate: 1e-2, lora: { rank: 4 } });
    expect(bitsOf(await policy.generate(prompts, GREEDY))).toEqual(before);
    await train(policy, learner);
    expect(policy.native.weightBytes()).toBeLessThan(held); // given back before the update
    const after = bitsOf(await policy.generate(prompts, GREEDY));
    expect(after).not.toEqual(before);
    await using beneath = await policy.clone({ adapter: false });
    expect(bitsOf(await beneath.generate(prompts, GREEDY))).toEqual(before);
    await learner.dispose();
    await policy.merge();
    expect(bitsOf(await policy.generate(prompts, GREEDY))).toEqual(after); // what was rounded was the sum
    await using fresh = await policy.clone();
    expect(bitsOf(await fresh.generate(prompts, GREEDY))).toEqual(after);
  });

  it('take the memory that was said, a quarter of that of the matrices', async () => {
    await using policy = await model.clone();
    const held = policy.native.weightBytes();
    await policy.generate([prompts[0]!], { ...GREEDY, maxNewTokens: 8 });
    const more = policy.native.weightBytes() - held;
    expect(more).toBe(roundedBytes(policy.config));
    expect(more).toBeGreaterThan(0.2 * held);
    expect(more).toBeLessThan(0.35 * held);
  });
});

it('refuses what is no precision', async () => {
  const asked = model.generate(prompts, { precision: 'int4' as never });
  expectError(await rejectionOf(asked), 'INVALID_ARGUMENT', /'exact', 'int8'/);
});

describeWithModel('SmolLM2', () => {
  it('is sampled from within some hundredths of a nat', async () => {
    await using real = await LanguageModel.load(realModel!, { threads: 2 });
    const chats = ['Describe a river.', 'Name three birds.', 'What is the capital of France?'];
    const asked = chats.map((content) => real.tokenizer.encodeChat([{ role: 'user', content }]));
    const groups = await real.generate(asked, {
      precision: 'int8',
      samples: 3,
      maxNewTokens: 32,
      seed: 4,
    });
    const sequences = groups.flatMap((group, i) =>
      group.map(({ tokens }) => Int32Array.of(...asked[i]!, ...tokens)),
    );
    const promptLengths = groups.flatMap((group, i) => group.map(() => asked[i]!.length));
    const exact = await real.logprobs(sequences, { promptLengths });
    const d = groups.flat().flatMap(({ logprobs }, k) => [...logprobs].map((p, t) => exact[k]![t]! - p));
    const kl = d.reduce((sum, value) => sum + Math.expm1(value) - value, 0) / d.length;
    expect(kl).toBeGreaterThan(1e-4);
    expect(kl).toBeLessThan(0.04); // 0.015 over 2,900 tokens
  }, 120_000);
});
