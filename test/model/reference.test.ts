/** The real model against reference values of transformers on PyTorch: tokens, log-probabilities, gradients, AdamW. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Learner } from '../../lib/learn/learner';
import { LanguageModel } from '../../lib/model/language-model';
import { describeWithModel, fixture, realModel } from '../support/fixtures';

jest.setTimeout(600_000);

interface LogprobRow {
  ids: number[];
  logprobs: number[];
}
interface GreedyRow {
  promptIds: number[];
  greedyIds: number[];
  margins: number[];
}
interface GradientEntry {
  l2: number;
  index: number[];
  value: number[];
}
interface Training {
  groups: { prompt: number[]; completions: { ids: number[]; coefficients: number[] }[] }[];
  gradNorm: number;
  gradients: Record<string, GradientEntry>;
  adamw: {
    learningRate: number;
    betas: [number, number];
    eps: number;
    weightDecay: number;
    maxGradNorm: number;
    losses: number[];
    gradNorms: number[];
  };
}

const norm = (values: Float32Array) => Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
const largest = (values: Float32Array) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

describeWithModel('the reference values', () => {
  let model: LanguageModel;
  beforeAll(async () => {
    model = await LanguageModel.load(realModel!);
  });
  afterAll(() => model.dispose());

  test('log-probabilities', async () => {
    const rows = fixture('logprobs.json') as LogprobRow[];
    const scored = await model.logprobs(rows.map(({ ids }) => Int32Array.from(ids)));
    let worst = 0;
    for (const [row, { logprobs }] of rows.entries()) {
      logprobs.forEach((value, t) => (worst = Math.max(worst, Math.abs(value - scored[row]![t]!))));
    }
    expect(worst).toBeLessThan(1e-3); // two f32 implementations that sum in another order
  });

  test('greedy tokens, up to near ties', async () => {
    for (const { promptIds, greedyIds, margins } of fixture('greedy.json') as GreedyRow[]) {
      const [row] = await model.generate([Int32Array.from(promptIds)], {
        temperature: 0,
        maxNewTokens: greedyIds.length,
      });
      const tie = margins.findIndex((margin) => margin < 1e-3);
      const sure = tie < 0 ? greedyIds.length : tie;
      expect([...row![0]!.tokens.slice(0, sure)]).toEqual(greedyIds.slice(0, sure));
    }
  });

  test('gradients and three AdamW steps', async () => {
    const { groups, gradients, gradNorm, adamw } = fixture('training.json') as Training;
    await using trained = await model.clone();
    const { learningRate, eps, weightDecay, maxGradNorm, betas } = adamw;
    await using learner = await Learner.create(trained, {
      learningRate,
      betas,
      eps,
      weightDecay,
      maxGradNorm,
    });
    const training = groups.map(({ prompt, completions }) => ({
      prompt: Int32Array.from(prompt),
      completions: completions.map(({ ids }) => Int32Array.from(ids)),
    }));
    const loss = groups.map(({ completions }) =>
      completions.map(({ coefficients }) => Float32Array.from(coefficients)),
    );
    const lossOf = (logprobs: Float32Array[][]) =>
      logprobs
        .flatMap((group, g) =>
          group.map((values, c) => values.reduce((sum, value, t) => sum + value * loss[g]![c]![t]!, 0)),
        )
        .reduce((sum, value) => sum + value, 0);
    for (const [step, expected] of adamw.losses.entries()) {
      const { logprobs } = await learner.accumulate(training, loss);
      expect(Math.abs(lossOf(logprobs) / expected - 1)).toBeLessThan(1e-3);
      if (step === 0) await compareGradients(learner, gradients);
      if (step === adamw.gradNorms.length) break;
      const { gradNorm: found } = await learner.step();
      expect(Math.abs(found / adamw.gradNorms[step]! - 1)).toBeLessThan(1e-3);
      if (step === 0) expect(Math.abs(found / gradNorm - 1)).toBeLessThan(1e-3);
    }
  });

  async function compareGradients(learner: Learner, gradients: Record<string, GradientEntry>): Promise<void> {
    expect(Object.keys(gradients).sort()).toEqual(model.parameterNames().sort());
    for (const [name, { l2, index, value }] of Object.entries(gradients)) {
      const gradient = await learner.gradient(name);
      expect([name, Math.abs(norm(gradient) / l2 - 1)]).toEqual([name, expect.closeTo(0, 3)]);
      const scale = largest(gradient);
      index.forEach((at, entry) => {
        expect([name, at, (gradient[at]! - value[entry]!) / scale]).toEqual([
          name,
          at,
          expect.closeTo(0, 2.7),
        ]);
      });
    }
  }

  test('saved as a directory and loaded again, the log-probabilities are the same bits', async () => {
    const root = mkdtempSync(join(tmpdir(), 'lsp-reference-'));
    try {
      await model.save(join(root, 'model'));
      await using again = await LanguageModel.load(join(root, 'model'));
      const [row] = fixture('logprobs.json') as [LogprobRow];
      const ids = [Int32Array.from(row.ids)];
      expect(await again.logprobs(ids)).toEqual(await model.logprobs(ids));
      expect(again.config).toEqual(model.config);
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  });
});
