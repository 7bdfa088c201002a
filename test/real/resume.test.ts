/** A training of the real model that is saved and continued elsewhere gives the bits of one that was not interrupted. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LanguageModel, Learner, type LearnerOptions, linear, type TrainingGroup, warmUp } from '../../lib';
import { describeWithModel, realModel } from '../support/fixtures';
import { bitsOf, coefficients, sequencesOf, weightFingerprints } from './exact';

jest.setTimeout(300_000);

describeWithModel('a training that is saved', () => {
  let root: string;
  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'lsp-resume-'));
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  const options: LearnerOptions = {
    learningRate: warmUp(2, linear({ learningRate: 1e-4, steps: 10 })),
    weightDecay: 0.01,
  };

  function groupsOf({ tokenizer }: LanguageModel, step: number): TrainingGroup[] {
    return [0, 1].map((group) => ({
      prompt: tokenizer.encodeChat([{ role: 'user', content: `Count to ${step + 2 * group + 3}.` }]),
      completions: ['One, two, three', 'Un deux', ''].map((text) => tokenizer.encode(text)),
    }));
  }

  async function train(learner: Learner, steps: number[]): Promise<number[]> {
    const norms: number[] = [];
    for (const step of steps) {
      const groups = groupsOf(learner.model, step);
      await learner.accumulate(groups, coefficients(groups));
      norms.push((await learner.step()).gradNorm);
    }
    return norms;
  }

  test('scores the same, and two steps and one are three', async () => {
    const state = join(root, 'optimizer.safetensors');
    const directory = join(root, 'model');
    const expected = await (async () => {
      await using model = await LanguageModel.load(realModel!, { threads: 2 });
      await using learner = await Learner.create(model, options);
      await train(learner, [0, 1]);
      await model.save(directory);
      await learner.saveState(state);
      const sequences = sequencesOf(groupsOf(model, 0));
      const logprobs = bitsOf(await model.logprobs(sequences));
      const weights = await weightFingerprints(model);
      const norms = await train(learner, [2]);
      return {
        config: model.config,
        sequences,
        logprobs,
        weights,
        norms,
        after: await weightFingerprints(model),
      };
    })();
    expect(readdirSync(root).sort()).toEqual(['model', 'optimizer.safetensors']);

    await using model = await LanguageModel.load(directory, { threads: 2 });
    expect(model.config).toEqual(expected.config);
    expect(sequencesOf(groupsOf(model, 0))).toEqual(expected.sequences);
    expect(bitsOf(await model.logprobs(expected.sequences))).toEqual(expected.logprobs);
    expect(await weightFingerprints(model)).toEqual(expected.weights);
    await using learner = await Learner.create(model, options);
    await learner.loadState(state);
    expect(learner.stepCount).toBe(2);
    expect(await train(learner, [2])).toEqual(expected.norms);
    expect(await weightFingerprints(model)).toEqual(expected.after);
    expect(expected.after).not.toEqual(expected.weights);
  });
});
