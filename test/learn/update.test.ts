/** The update path on its own: what it asks of the model, and what it refuses. */
import { cispo, gspo, policyGradient, sequencePolicyGradient, withKl } from '../../lib/learn/losses';
import { applyUpdate, prepareUpdate, type RolloutBatch, type UpdateOptions } from '../../lib/learn/update';
import { streamId } from '../../lib/lsp/random';
import { FakeLearner, FakeModel } from '../lsp/fakes';

const OPTIONS: UpdateOptions = {
  loss: policyGradient(),
  reduction: 'sequence-mean',
  maskTruncated: false,
  updatesPerBatch: 1,
  temperature: 1,
  reference: null,
  measureKl: false,
};

async function rollouts(model: FakeModel, advantages: number[], temperature = 1): Promise<RolloutBatch> {
  const prompt = model.tokenizer.encodeChat([{ role: 'user', content: 'hello' }]);
  const [completions] = await model.generate([prompt], {
    samples: advantages.length,
    streamIds: [advantages.map((_, j) => streamId(0, 'solver', j))],
    temperature,
  });
  return {
    role: 'solver',
    weight: 1,
    maxNewTokens: 64,
    groups: [{ prompt, completions: completions!, advantages }],
  };
}

describe('prepareUpdate', () => {
  it('aligns reference log-probabilities with completion tokens', async () => {
    const model = new FakeModel();
    const reference = new FakeModel(model.texts, { challenger: [0, 0, 0, 0], solver: [1, 0, 0, 0] });
    const batch = await rollouts(model, [1, -1, 0.5]);
    const prepared = await prepareUpdate(model, [batch], {
      ...OPTIONS,
      loss: withKl(policyGradient()),
      reference,
    });
    prepared.batches[0]!.groups[0]!.samples.forEach(({ tokens, old, referenceLogprobs }) => {
      const choice = model.choiceOf('solver', tokens[0]!);
      expect(referenceLogprobs).toHaveLength(tokens.length);
      expect(referenceLogprobs![0]).toBeCloseTo(reference.logSoftmax('solver')[choice]!, 6);
      expect(old!.logprobs[0]).toBeCloseTo(Math.log(0.25), 6);
    });
  });

  it('takes log-probabilities at the training temperature, not those of the completion', async () => {
    const theta = { challenger: [0, 0, 0, 0], solver: [1, 0, 0, 0] };
    const learner = new FakeLearner(new FakeModel(undefined, theta));
    const { model } = learner;
    const before = model.logSoftmax('solver', 0.5);
    const scoring = jest.spyOn(model, 'logprobs');
    const batch = await rollouts(model, [1, -1, 0], 0.5);
    const options = { ...OPTIONS, temperature: 0.5 };
    const prepared = await prepareUpdate(model, [batch], options);
    // Only what will not be trained is scored, and nothing is known yet of what will.
    expect(scoring.mock.calls.map(([sequences]) => sequences.length)).toEqual([1]);
    const { samples } = prepared.batches[0]!.groups[0]!;
    expect(samples.map(({ old }) => old === null)).toEqual([true, true, false]);
    await applyUpdate(learner, prepared, options);
    expect(scoring).toHaveBeenCalledTimes(1);
    samples.forEach(({ tokens, old }) => {
      const choice = model.choiceOf('solver', tokens[0]!);
      expect(old!.logprobs[0]).toBeCloseTo(before[choice]!, 6);
    });
  });

  it('scores everything where nothing has a signal', async () => {
    const learner = new FakeLearner(new FakeModel());
    const scoring = jest.spyOn(learner.model, 'logprobs');
    const options = { ...OPTIONS, temperature: 0.5, measureKl: true, reference: new FakeModel() };
    const batch = await rollouts(learner.model, [0, 0, 0], 0.5);
    const prepared = await prepareUpdate(learner.model, [batch], options);
    expect(scoring.mock.calls.map(([sequences]) => sequences.length)).toEqual([3]);
    const result = await applyUpdate(learner, prepared, options);
    expect(result).toMatchObject({ updates: 0, gradNorm: null, statistics: { solver: { loss: 0, kl: 0 } } });
    expect(learner.calls).toHaveLength(0);
  });

  it('refuses rollouts of different policy versions, and a KL term without a reference', async () => {
    const model = new FakeModel();
    const first = await rollouts(model, [1]);
    model.version = 1;
    const second = await rollouts(model, [1]);
    await expect(prepareUpdate(model, [first, second], OPTIONS)).rejects.toThrow(/versions 0 and 1/);
    await expect(
      prepareUpdate(model, [first], { ...OPTIONS, loss: withKl(policyGradient()) }),
    ).rejects.toThrow(/`reference`/);
  });
});

describe('applyUpdate', () => {
  it('leaves out completions that can give no gradient, and keeps them if a KL term does', async () => {
    const reference = new FakeModel();
    for (const [loss, trained] of [
      [policyGradient(), 2],
      [withKl(policyGradient()), 3],
    ] as const) {
      const learner = new FakeLearner(new FakeModel());
      const options = { ...OPTIONS, loss, reference };
      const prepared = await prepareUpdate(
        learner.model,
        [await rollouts(learner.model, [1, 0, -1])],
        options,
      );
      await applyUpdate(learner, prepared, options);
      expect(learner.calls[0]!.groups[0]!.completions).toHaveLength(trained);
    }
  });

  it('stops at a derivative that is not finite, before anything is accumulated', async () => {
    const learner = new FakeLearner(new FakeModel());
    const batch = await rollouts(learner.model, [1, -1]);
    batch.groups[0]!.completions[1]!.logprobs[0] = NaN;
    const prepared = await prepareUpdate(learner.model, [batch], OPTIONS);
    await expect(applyUpdate(learner, prepared, OPTIONS)).rejects.toMatchObject({
      code: 'TRAINING_DIVERGED',
    });
    expect(learner.calls).toHaveLength(0);
    expect(learner.steps).toBe(0);
  });

  test.each([
    // With one uncertain token of n, the ratio of the token is ρ and that of the answer ρ, its n-th root ρ^(1/n).
    ['policyGradient', policyGradient({ clipHigh: 1e6, clipLow: 1 }), (ratio: number) => ratio],
    ['cispo', cispo({ clipHigh: 0.1 }), (ratio: number) => Math.min(ratio, 1.1)],
    ['gspo', gspo({ clipHigh: 1e6, clipLow: 1 }), (ratio: number, length: number) => ratio ** (1 / length)],
    ['whole answers', sequencePolicyGradient({ clipHigh: 1e6, clipLow: 1 }), (ratio: number) => ratio],
  ] as const)('the second update weighs by the ratio of %s', async (_, loss, weight) => {
    const learner = new FakeLearner(new FakeModel(), 4);
    const options = { ...OPTIONS, loss, reduction: 'constant' as const, updatesPerBatch: 2 };
    const batch = await rollouts(learner.model, [1, -1, 0.5]);
    const old = learner.model.logSoftmax('solver');
    const prepared = await prepareUpdate(learner.model, [batch], options);
    const step = jest.spyOn(learner, 'step');
    const between: number[][] = [];
    step.mockImplementation(async () => {
      step.mockRestore();
      const result = await learner.step();
      between.push(learner.model.logSoftmax('solver'));
      return result;
    });
    await applyUpdate(learner, prepared, options);
    const [now] = between;
    const { completions, advantages } = batch.groups[0]!;
    const [first, second] = learner.calls.map(({ gradient }) => gradient[0]!);
    completions.forEach(({ tokens }, i) => {
      const choice = learner.model.choiceOf('solver', tokens[0]!);
      const ratio = Math.exp(now![choice]! - old[choice]!);
      expect(Math.abs(ratio - 1)).toBeGreaterThan(0.005); // the weights did move
      const scale = -advantages[i]! / (3 * 64);
      expect(first![i]![0]).toBe(Math.fround(scale));
      // log-probabilities pass through float32: relative errors of 1e-7
      expect(second![i]![0]! / (scale * weight(ratio, tokens.length))).toBeCloseTo(1, 6);
    });
  });

  it('forgets the gradient of a step that failed', async () => {
    const learner = new FakeLearner(new FakeModel());
    const prepared = await prepareUpdate(
      learner.model,
      [await rollouts(learner.model, [1, -1, 0.5])],
      OPTIONS,
    );
    const step = jest.spyOn(learner, 'step').mockRejectedValueOnce(new Error('not finite'));
    await expect(applyUpdate(learner, prepared, OPTIONS)).rejects.toThrow('not finite');
    step.mockRestore();
    expect((await learner.step()).gradNorm).toBe(0);
  });

  it.each([
    ['with values', 1],
    ['in a callback', 0.5],
  ])('who looks at the statistics may stop it before weights change: trained %s', async (_, temperature) => {
    const learner = new FakeLearner(new FakeModel());
    const theta = structuredClone(learner.model.theta);
    const options = { ...OPTIONS, temperature };
    const batch = await rollouts(learner.model, [1, -1, 0.5], temperature);
    const prepared = await prepareUpdate(learner.model, [batch], options);
    const stopped = new Error('enough');
    const onMeasured = jest.fn(() => {
      throw stopped;
    });
    await expect(applyUpdate(learner, prepared, options, { onMeasured })).rejects.toBe(stopped);
    expect(onMeasured).toHaveBeenCalledTimes(1);
    expect(learner.model.theta).toEqual(theta);
    expect((await learner.step()).gradNorm).toBe(0);
  });

  it('a role of weight 0 is not trained', async () => {
    const learner = new FakeLearner(new FakeModel());
    const batch = { ...(await rollouts(learner.model, [1, -1])), weight: 0 };
    const prepared = await prepareUpdate(learner.model, [batch], OPTIONS);
    expect(prepared.hasSignal).toBe(false);
    expect((await applyUpdate(learner, prepared, OPTIONS)).updates).toBe(0);
  });

  it('on-policy, the expected step is the gradient of the expected reward', async () => {
    // All four texts with weights π(text): Σ π · (R − V) ∇ log π = ∇ E[R] for V = E[R], by finite differences.
    const theta = [0.3, -0.5, 0.1, 0.9];
    const rewards = [0, 1, 0.5, 0.2];
    const expected = (logits: number[]) => {
      const weights = logits.map(Math.exp);
      const total = weights.reduce((a, b) => a + b);
      return weights.reduce((sum, w, k) => sum + (w / total) * rewards[k]!, 0);
    };
    const model = new FakeModel(undefined, { challenger: [0, 0, 0, 0], solver: [...theta] });
    const learner = new FakeLearner(model);
    const prompt = model.tokenizer.encodeChat([{ role: 'user', content: 'hello' }]);
    const value = expected(theta);
    const groups = model.texts.solver.map((text, k) => {
      const tokens = Int32Array.of(...model.tokenizer.encode(text), 1);
      const logprob = model.logSoftmax('solver')[k]!;
      const completion = {
        text,
        tokens,
        logprobs: Float32Array.from(tokens, (_, t) => (t === 0 ? logprob : 0)),
        entropies: new Float32Array(tokens.length),
        finishReason: 'eos' as const,
        policyVersion: 0,
      };
      // a group's weight π(text) stands in its advantage; 'constant' with S = 4, maxNewTokens = 1 divides by 4
      return {
        prompt,
        completions: [completion],
        advantages: [Math.exp(logprob) * (rewards[k]! - value) * 4],
      };
    });
    const batch = { role: 'solver', weight: 1, maxNewTokens: 1, groups };
    const options = { ...OPTIONS, reduction: 'constant' as const };
    await applyUpdate(learner, await prepareUpdate(model, [batch], options), options);
    const h = 1e-5;
    theta.forEach((x, k) => {
      const shifted = (by: number) => expected(theta.map((y, q) => (q === k ? y + by : y)));
      const slope = (shifted(h) - shifted(-h)) / (2 * h);
      // learning rate 1, so the step is the gradient; dLoss/dlogprob passes through float32
      expect(Math.abs(model.theta.solver[k]! - x - slope)).toBeLessThan(1e-7);
    });
  });
});
