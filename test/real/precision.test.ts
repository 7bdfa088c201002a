/** Products in bf16 on the real model: how far log-probabilities and gradients are from f32's, and which bits agree. */
import { LanguageModel, Learner, type LoadOptions } from '../../lib';
import { describeWithModel, realModel } from '../support/fixtures';
import { bitsOf, coefficients, sequencesOf, SEVERAL_PARAMETERS } from './exact';

jest.setTimeout(300_000);

interface Run {
  sampled: Float32Array[];
  scored: Float32Array[];
  gradients: Map<string, Float32Array>;
}

describeWithModel('products in bf16', () => {
  /** Of answers that f32 has sampled, in any arithmetic; gradients of several parameters. */
  async function measure(options: LoadOptions): Promise<Run> {
    await using sampler = await LanguageModel.load(realModel!, { threads: 2 });
    const prompts = ['What is the capital of France?', 'Name three colours.'].map((content) =>
      sampler.tokenizer.encodeChat([{ role: 'user', content }]),
    );
    const sampling = { samples: 2, maxNewTokens: 24, minNewTokens: 24, seed: 5 };
    const completions = await sampler.generate(prompts, sampling);
    const groups = prompts.map((prompt, i) => ({
      prompt,
      completions: completions[i]!.map(({ tokens }) => tokens),
    }));
    await using model = await LanguageModel.load(realModel!, { threads: 2, ...options });
    await using learner = await Learner.create(model);
    const { logprobs } = await learner.accumulate(groups, coefficients(groups));
    const gradients = new Map<string, Float32Array>();
    for (const name of SEVERAL_PARAMETERS) gradients.set(name, await learner.gradient(name));
    const scored = (await model.logprobs(sequencesOf(groups))).map((row, i) =>
      row.slice(prompts[Math.floor(i / 2)]!.length - 1),
    );
    expect(bitsOf(logprobs.flat())).toEqual(bitsOf(scored));
    const own = await model.generate(prompts, sampling);
    return { sampled: own.flat().map((completion) => completion.logprobs), scored, gradients };
  }

  let rounded: Run;
  beforeAll(async () => void (rounded = await measure({ compute: 'bf16' })));

  it('give log-probabilities and gradients near those of f32', async () => {
    const exact = await measure({});
    const differences = exact.scored.flatMap((row, i) => [
      ...row.map((value, j) => value - rounded.scored[i]![j]!),
    ]);
    const mean = differences.reduce((sum, difference) => sum + Math.abs(difference), 0) / differences.length;
    expect(mean).toBeGreaterThan(0);
    expect(mean).toBeLessThan(0.05);
    for (const [name, expected] of exact.gradients) {
      const { cosine, norm } = compare(rounded.gradients.get(name)!, expected);
      expect(cosine).toBeGreaterThan(0.98);
      expect(Math.abs(norm - 1)).toBeLessThan(0.05);
    }
  });

  it('give the same bits with any threads, from a budget of one sequence, and from sampler and scorer', async () => {
    const again = await measure({ compute: 'bf16', threads: 1, memoryBudget: 1 });
    expect(bitsOf(again.scored)).toEqual(bitsOf(rounded.scored));
    expect(bitsOf(again.sampled)).toEqual(bitsOf(rounded.sampled));
  });
});

/** Cosine of the angle between two vectors, and the ratio of their norms. */
function compare(actual: Float32Array, expected: Float32Array): { cosine: number; norm: number } {
  let [product, ofActual, ofExpected] = [0, 0, 0];
  expected.forEach((value, i) => {
    product += value * actual[i]!;
    ofActual += actual[i]! ** 2;
    ofExpected += value ** 2;
  });
  return { cosine: product / Math.sqrt(ofActual * ofExpected), norm: Math.sqrt(ofActual / ofExpected) };
}
