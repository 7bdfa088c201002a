/**
 * The bitwise claims on the real model within one process: sampler, scorer and trainer agree, whatever else is in the
 * batch and however it is cut; a failed accumulate leaves no trace. Other processes: variants.test.ts.
 */
import { type Completion, LanguageModel, Learner, type LossGradient, type TrainingGroup } from '../../lib';
import { describeWithModel, fixture, realModel } from '../support/fixtures';
import { bits, bitsOf, coefficients, gradientFingerprints, joined, sequencesOf } from './exact';

jest.setTimeout(300_000);

const range = (count: number) => Array.from({ length: count }, (_, index) => index);

describeWithModel('the same bits', () => {
  let model: LanguageModel;
  let prompts: Int32Array[];
  let completions: Completion[][];
  /** The completions of the prompts as the Learner takes them. */
  let groups: TrainingGroup[];

  const options = { samples: 2, maxNewTokens: 12, minNewTokens: 2, seed: 5 };
  const streamIds = (prompt: number) =>
    range(options.samples).map((sample) => prompt * options.samples + sample);

  beforeAll(async () => {
    model = await LanguageModel.load(realModel!, { threads: 2 });
    const chat = (content: string) => model.tokenizer.encodeChat([{ role: 'user', content }]);
    // Chats share their beginning; one of them begins another; a text shares nothing.
    const first = chat('What is the capital of France?');
    prompts = [
      first,
      chat('Name three colours.'),
      first.slice(0, 30),
      model.tokenizer.encode('Once upon a time'),
    ];
    completions = await model.generate(prompts, options);
    groups = prompts.map((prompt, index) => ({
      prompt,
      completions: completions[index]!.map(({ tokens }) => tokens),
    }));
  });
  afterAll(() => model.dispose());

  const sampled = () => bitsOf(completions.flat().map(({ logprobs }) => logprobs));
  /** Of the completions alone, from scores of whole sequences. */
  const completionPart = (scored: readonly Float32Array[]) =>
    scored.map((row, index) => bits(row.slice(prompts[Math.floor(index / options.samples)]!.length - 1)));

  describe('of log-probabilities', () => {
    test('from generate and logprobs, together, alone and in another order', async () => {
      const sequences = sequencesOf(groups);
      const together = await model.logprobs(sequences);
      expect(completionPart(together)).toEqual(sampled());
      expect(bitsOf((await model.logprobs([...sequences].reverse())).reverse())).toEqual(bitsOf(together));
      for (const [index, sequence] of sequences.entries()) {
        expect(bitsOf(await model.logprobs([sequence]))).toEqual([bits(together[index]!)]);
      }
    });

    test('from accumulate, with temperatures other than 1, too', async () => {
      await using learner = await Learner.create(model);
      const { logprobs } = await learner.accumulate(groups, coefficients(groups));
      expect(bitsOf(logprobs.flat())).toEqual(sampled());
      const cold = { temperature: 0.7 };
      const trained = await learner.accumulate(groups, coefficients(groups), cold);
      const scored = await model.logprobs(sequencesOf(groups), cold);
      expect(bitsOf(trained.logprobs.flat())).toEqual(completionPart(scored));
      expect(bitsOf(trained.logprobs.flat())).not.toEqual(sampled());
    });

    test('from nextLogprobs', async () => {
      const firsts = completions.map(([completion]) => completion!.tokens[0]!);
      const next = await model.nextLogprobs(prompts, Int32Array.from(firsts));
      next.forEach((row, index) => expect(bits(row)[index]).toBe(bits(completions[index]![0]!.logprobs)[0]));
    });

    test('of long prompts with a common beginning, computed once, and of each alone', async () => {
      const { ids } = (fixture('logprobs.json') as { ids: number[] }[]).at(-1)!;
      // Cut beside and within the blocks that keys and prompts are computed in.
      const long = [512, 513, 640, 655].map((length) => Int32Array.from(ids.slice(0, length)));
      const greedy = { maxNewTokens: 3, temperature: 0 };
      const together = (await model.generate(long, greedy)).flat();
      const scored = await model.logprobs(
        long.map((prompt, index) => joined(prompt, together[index]!.tokens)),
      );
      together.forEach(({ logprobs }, index) =>
        expect(bits(scored[index]!.slice(long[index]!.length - 1))).toEqual(bits(logprobs)),
      );
      const [[alone]] = (await model.generate(long.slice(2, 3), greedy)) as [[Completion]];
      expect(alone).toEqual(together[2]);
      // What comes before a token decides, not what comes after.
      expect(bits(scored[3]!.slice(0, 511))).toEqual(bits(scored[0]!.slice(0, 511)));
    });
  });

  describe('of sampled tokens', () => {
    test('for the same seed and stream ids, in any batch', async () => {
      for (const [index, prompt] of prompts.entries()) {
        const [alone] = await model.generate([prompt], { ...options, streamIds: [streamIds(index)] });
        expect(alone).toEqual(completions[index]);
      }
      const mixed = await model.generate([...prompts, Int32Array.of(504)].reverse(), {
        ...options,
        streamIds: [[100, 101], ...range(prompts.length).map(streamIds).reverse()],
      });
      expect(mixed.reverse().slice(0, prompts.length)).toEqual(completions);
      const reseeded = await model.generate(prompts, { ...options, seed: 6 });
      expect(reseeded.flat().map(({ tokens }) => tokens)).not.toEqual(
        completions.flat().map(({ tokens }) => tokens),
      );
    });

    test('when sequences wait for a place in the batch', async () => {
      const samples = 70; // 64 are decoded at a time
      const short = { minNewTokens: 1, maxNewTokens: 3, seed: 8 };
      const [all] = await model.generate([prompts[3]!], { ...short, samples });
      for (const sample of [0, 63, 64, 69]) {
        const [[alone]] = (await model.generate([prompts[3]!], { ...short, streamIds: [[sample]] })) as [
          [Completion],
        ];
        expect(alone).toEqual(all![sample]);
      }
      expect(new Set(all!.map(({ tokens }) => tokens.join())).size).toBeGreaterThan(10);
    });
  });

  describe('of gradients', () => {
    let learner: Learner;
    let expected: Record<string, string>;

    beforeAll(async () => {
      learner = await Learner.create(model);
      await learner.accumulate(groups, coefficients(groups));
      expected = await gradientFingerprints(learner, model.parameterNames());
    });
    afterAll(() => learner.dispose());

    test.each([
      ['of one sequence', { activationBudget: 1 }],
      [
        'of one sequence, with activations computed again',
        { activationBudget: 1, gradientCheckpointing: true },
      ],
      ['of all, with activations computed again', { gradientCheckpointing: true }],
    ])('for a micro-batch %s', async (_, options) => {
      await using other = await Learner.create(model, options);
      await other.accumulate(groups, coefficients(groups));
      expect(await gradientFingerprints(other, model.parameterNames())).toEqual(expected);
    });

    test('for one call and for one for each tree, of groups that begin alike', async () => {
      await learner.zeroGradient();
      const starts = groups.map(({ prompt }) => prompt[0]);
      for (let first = 0, last = 0; first < groups.length; first = last) {
        while (last < groups.length && starts[last] === starts[first]) last++;
        const tree = groups.slice(first, last);
        await learner.accumulate(tree, coefficients(groups).slice(first, last));
      }
      expect(new Set(starts).size).toBeGreaterThan(1);
      expect(await gradientFingerprints(learner, model.parameterNames())).toEqual(expected);
    });

    test('for a callback and the values that it returns', async () => {
      await learner.zeroGradient();
      const seen: Float32Array[][] = [];
      const callback: LossGradient = (logprobs, group) => {
        seen[group] = logprobs;
        return coefficients(groups)[group]!;
      };
      const { logprobs } = await learner.accumulate(groups, callback);
      expect(bitsOf(seen.flat())).toEqual(sampled());
      expect(bitsOf(logprobs.flat())).toEqual(sampled());
      expect(await gradientFingerprints(learner, model.parameterNames())).toEqual(expected);
    });

    test('after a callback that throws', async () => {
      const failure = new Error('mine');
      const before = await gradientFingerprints(learner);
      const throwing = learner.accumulate(groups, (_, group) => {
        if (group === groups.length - 1) throw failure;
        return coefficients(groups)[group]!;
      });
      await expect(throwing).rejects.toBe(failure);
      expect(await gradientFingerprints(learner)).toEqual(before);
    });

    test.each([
      ['from zero', 0],
      ['on top of another gradient', 1],
    ])('after an accumulate aborted midway, %s', async (_, given) => {
      await using narrow = await Learner.create(model, { activationBudget: 1 });
      const [{ prompt, completions: ofFirst }] = groups as [TrainingGroup];
      const one = [{ prompt, completions: ofFirst.slice(0, 1) }];
      const started = performance.now();
      await narrow.accumulate(one, coefficients(one));
      const oneMs = performance.now() - started;
      await narrow.zeroGradient();
      await narrow.accumulate(groups.slice(0, given), coefficients(groups.slice(0, given)));
      const before = await gradientFingerprints(narrow);
      // One sequence a micro-batch: the abort falls when some have been added and most have not.
      // Nothing in common: nothing is computed once for all.
      const many = range(40).map((first) => ({
        prompt: Int32Array.of(1000 + first, ...prompt),
        completions: one[0]!.completions,
      }));
      const reason = new Error('enough');
      const controller = new AbortController();
      setTimeout(() => controller.abort(reason), 3 * oneMs);
      await expect(narrow.accumulate(many, coefficients(many), { signal: controller.signal })).rejects.toBe(
        reason,
      );
      expect(await gradientFingerprints(narrow)).toEqual(before);
    });
  });
});
