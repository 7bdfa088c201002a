/** What LspTrainer computes in a step and learns over many; see trainer-state.test.ts. */
import {
  allOf,
  gateFrom,
  instructionFollowing,
  lsp,
  lspZero,
  openGate,
  preset,
  PRESET_NAMES,
  SelfReward,
  type LspTrainerOptions,
  type StepResult,
} from '../../lib/lsp';
import { rewardFrom, type Reward } from '../../lib/rewards/reward';
import { FakeModel, TEXTS } from './fakes';
import { collect, failure, lengthReward, rejectNonsense, setUp } from './trainer-support';

describe('one step', () => {
  it('answers valid queries only and reports them', async () => {
    const { trainer } = setUp({ challenger: { queries: 12 } });
    const [{ metrics, samples }] = (await collect(trainer, 1)) as [StepResult];
    const invalid = samples.filter(({ rejected }) => rejected !== null);
    expect(samples).toHaveLength(12);
    expect(invalid.length).toBeGreaterThan(0);
    expect(
      invalid.every(({ answers, query, value }) => answers.length === 0 && query === null && value === null),
    ).toBe(true);
    expect(metrics.rejections).toEqual({ nonsense: invalid.length });
    expect(metrics.validQueries).toBe(12 - invalid.length);
    expect(metrics.solver.samples).toBe(4 * metrics.validQueries);
    expect(metrics.challenger!.samples).toBe(12);
    expect(metrics.step).toBe(1);
    const values = samples.flatMap(({ value }) => (value === null ? [] : [value]));
    expect(metrics.value).toBeCloseTo(values.reduce((a, b) => a + b) / values.length, 12);
  });

  it('trains exactly the equation: −A / (S · maxNewTokens) per token, α on the Challenger', async () => {
    const { trainer, learner } = setUp({
      challenger: { queries: 8, maxNewTokens: 40 },
      solver: { answers: 3, maxNewTokens: 20 },
      challengerWeight: 0.5,
    });
    const [{ samples }] = (await collect(trainer, 1)) as [StepResult];
    const [call] = learner.calls;
    const expected = { solver: new Map<string, number>(), challenger: new Map<string, number>() };
    const valid = samples.filter(({ rejected }) => rejected === null);
    for (const { answers } of valid) {
      for (const { text, advantage } of answers) {
        const total = expected.solver.get(text) ?? 0;
        expected.solver.set(text, total - advantage / (3 * valid.length * 20));
      }
    }
    for (const { written, advantage } of samples) {
      const total = expected.challenger.get(written) ?? 0;
      expected.challenger.set(written, total - (0.5 * advantage!) / (8 * 40));
    }
    const actual = { solver: new Map<string, number>(), challenger: new Map<string, number>() };
    call!.groups.forEach(({ prompt, completions }, g) => {
      const role = learner.model.roleOf(prompt);
      completions.forEach((tokens, c) => {
        const text = TEXTS[role].find((candidate) => candidate.charCodeAt(0) === tokens[0])!;
        const gradient = call!.gradient[g]![c]!;
        expect(new Set(gradient).size).toBe(1); // one advantage for all tokens
        actual[role].set(text, (actual[role].get(text) ?? 0) + gradient[0]!);
      });
    });
    for (const role of ['solver', 'challenger'] as const) {
      for (const [text, value] of expected[role]) {
        // float32 rounding of a few values of order 1e-3
        expect(Math.abs((actual[role].get(text) ?? 0) - value)).toBeLessThan(1e-8);
      }
    }
  });

  it('shows the Solver the query and its constraints, and tells the reward about them', async () => {
    const seen: unknown[] = [];
    const reward: Reward = {
      score: (samples) =>
        samples.map((sample, index) => {
          expect(sample.index).toBe(index);
          expect(sample.query).toBe(sample.messages.at(-1)!.content);
          seen.push(sample.info['constraints']);
          return sample.answerIndex % 2;
        }),
    };
    const { trainer, model } = setUp({ reward });
    await collect(trainer, 1);
    expect(seen.length).toBeGreaterThan(0);
    expect(seen.every((constraints) => Array.isArray(constraints) && constraints.length > 0)).toBe(true);
    const [challengerPrompts, solverPrompts] = model.seen;
    expect(challengerPrompts![0]).toContain('Next task, please.');
    expect(solverPrompts!.every((prompt) => prompt.startsWith('user:'))).toBe(true);
  });

  it('reports phases in order', async () => {
    const phases: string[] = [];
    const { trainer } = setUp({
      onPhase: ({ phase, fraction }) => {
        if (fraction === 0) phases.push(phase);
      },
    });
    await collect(trainer, 1);
    expect(phases).toEqual(['challenger', 'solver', 'reward', 'reference', 'update']);
  });
});

describe('learning', () => {
  it('the Solver learns what pays, the Challenger learns to be valid', async () => {
    // Pairs of one draw are each other's baseline: two invalid ones teach nothing, so validity takes its time.
    const { trainer, model } = setUp({ challenger: { queries: 12 }, reduction: 'sequence-mean' });
    const results = await collect(trainer, 90);
    expect(Math.exp(model.logSoftmax('solver')[1]!)).toBeGreaterThan(0.8); // 'no', from 0.25
    expect(Math.exp(model.logSoftmax('challenger')[3]!)).toBeLessThan(0.1); // '???', from 0.25
    expect(results.at(-1)!.metrics.value!).toBeGreaterThan(results[0]!.metrics.value!);
  });

  it('KL holds the policy near the reference', async () => {
    const drift = async (coefficient: number) => {
      const { trainer, model } = setUp({ reduction: 'sequence-mean', kl: { coefficient } });
      await collect(trainer, 30);
      return Math.exp(model.logSoftmax('solver')[1]!);
    };
    expect(await drift(5)).toBeLessThan((await drift(0)) - 0.2);
  });

  it('reports a KL of exactly 0 in the first step and more later', async () => {
    const { trainer } = setUp({
      reduction: 'sequence-mean',
      kl: { coefficient: 0.01 },
      watch: { maxKl: Infinity },
    });
    const results = await collect(trainer, 25);
    expect(results[0]!.metrics.solver.kl).toBe(0);
    expect(results.at(-1)!.metrics.solver.kl!).toBeGreaterThan(0);
  });

  it('several updates per batch use the stored log-probabilities', async () => {
    const { trainer, learner } = setUp({ reduction: 'sequence-mean', updatesPerBatch: 3 });
    learner.model.theta.solver[1] = 1;
    const [{ metrics, samples }] = (await collect(trainer, 1)) as [StepResult];
    expect(learner.steps).toBe(3);
    expect(trainer.state().updates).toBe(3);
    expect(metrics.updated).toBe(true);
    // in the third update the first token's ratio differs from 1, later tokens' (certain ones) do not
    const { gradient } = learner.calls[2]!;
    const ratios = gradient.flat().map((values) => values[0]! / values[1]!);
    expect(ratios.some((ratio) => Math.abs(ratio - 1) > 1e-4)).toBe(true);
    expect(samples.length).toBeGreaterThan(0);
  });

  it('trains at the temperature of sampling', async () => {
    const { trainer, learner } = setUp({ challenger: { temperature: 0.7 }, solver: { temperature: 0.7 } });
    await collect(trainer, 1);
    expect(learner.calls[0]!.temperature).toBe(0.7);
    expect(() => setUp({ challenger: { temperature: 0.7 } })).toThrow(/`challenger.temperature`/);
  });
});

describe('zero signal', () => {
  it('leaves weights and moments alone and says so', async () => {
    const { model, learner, trainer } = setUp({ reward: rewardFrom(() => 0.1), gate: openGate });
    learner.momentum.solver = [1, 2, 3, 4];
    const [{ metrics }] = (await collect(trainer, 1)) as [StepResult];
    expect(metrics.updated).toBe(false);
    expect(metrics.zeroSignalGroups).toBe(8);
    expect(metrics.noSignal).toMatch(/^no signal: all answers in every group scored the same/);
    expect(learner.steps).toBe(0);
    expect(learner.calls).toHaveLength(0);
    expect(learner.momentum.solver).toEqual([1, 2, 3, 4]);
    expect(model.theta.solver).toEqual([0, 0, 0, 0]);
    expect(metrics.gradNorm).toBeNull();
    expect(trainer.stepsDone).toBe(1);
  });

  it('holds with a KL term too', async () => {
    const { learner, trainer } = setUp({
      reward: rewardFrom(() => 1),
      gate: openGate,
      kl: { coefficient: 1 },
    });
    await collect(trainer, 2);
    expect(learner.steps).toBe(0);
  });

  it('a step in which every query is rejected changes nothing', async () => {
    const { learner, trainer } = setUp({ gate: gateFrom(() => 'never') });
    const [{ metrics }] = (await collect(trainer, 1)) as [StepResult];
    expect(metrics.noSignal).toMatch(/no query was answered/);
    expect(metrics.value).toBeNull();
    expect(learner.steps).toBe(0);
    expect(metrics.warnings.join()).toMatch(/8 of 8 queries were rejected/);
  });
});

describe('quality, duplicates, watchers', () => {
  it('the frozen reference judges', async () => {
    const { trainer, model } = setUp({ selfReward: {}, objective: lsp({ qualityWeight: 1 }) });
    model.judge = (prompt, candidates) =>
      [...candidates].map((_, score) =>
        Math.log(score === (prompt.includes('no\n\nHow') ? 7 : 0) ? 0.9 : 0.1 / 7),
      );
    const [{ metrics, samples }] = (await collect(trainer, 1)) as [StepResult];
    expect(trainer.reference).not.toBe(model);
    expect(metrics.quality).not.toBeNull();
    const answers = samples.flatMap((sample) => sample.answers);
    const no = answers.find(({ text }) => text === 'no')!;
    const other = answers.find(({ text }) => text !== 'no')!;
    // (7 · 0.9 + 0.1 / 7 · (0 + … + 6)) / 7 and (0.1 / 7 · (1 + … + 7)) / 7
    expect(no.quality).toBeCloseTo((6.3 + 0.3) / 7, 5);
    expect(other.quality).toBeCloseTo(0.4 / 7, 5);
    await trainer.dispose();
  });

  it('disposes the reference only if it made it', async () => {
    const own = new FakeModel();
    const given = setUp({ reference: own, kl: { coefficient: 0.1 } });
    await collect(given.trainer, 1);
    await given.trainer.dispose();
    expect(own.disposed).toBe(false);
    const made = setUp({ kl: { coefficient: 0.1 } });
    await collect(made.trainer, 1);
    const reference = made.trainer.reference as FakeModel;
    await made.trainer.dispose();
    await made.trainer.dispose();
    expect(reference.disposed).toBe(true);
  });

  it('counts duplicates against the batch and remembers a bounded history', async () => {
    const { trainer } = setUp({ challenger: { queries: 12 }, duplicates: { history: 5 } });
    const [first] = (await collect(trainer, 3)) as [StepResult];
    expect(first.metrics.duplicateShare).toBeGreaterThan(0.5); // 12 samples of 4 texts
    expect(trainer.state().history).toHaveLength(5);
  });

  it('stops when the KL explodes, before the update', async () => {
    const reference = new FakeModel(TEXTS, { challenger: [0, 0, 0, 0], solver: [-9, -9, -9, 9] });
    const { trainer, learner } = setUp({ reference, kl: { coefficient: 0.1 }, watch: { maxKl: 0.1 } });
    const error = await failure(collect(trainer, 1));
    expect(error.code).toBe('TRAINING_DIVERGED');
    expect(error.message).toMatch(/KL below 0.1/);
    expect(learner.steps).toBe(0);
  });

  it('stops when the entropy collapses, and warns before', async () => {
    const { trainer, model } = setUp({ watch: { warnEntropy: 0.9, minEntropy: 0.2 } });
    await collect(trainer, 1);
    model.theta.solver[0] = 2; // the longest text: entropy is a mean over tokens
    const [second] = (await collect(trainer, 2)) as [StepResult];
    expect(second.metrics.warnings.join()).toMatch(/solver's entropy has fallen/);
    model.theta.solver[0] = 40;
    expect((await failure(collect(trainer, 3))).message).toMatch(/entropy of at least 0.2/);
  });

  it('checks what an objective returns', async () => {
    const bad = (objective: LspTrainerOptions['objective']) =>
      failure(collect(setUp({ objective }).trainer, 1));
    const zero = lspZero();
    expect((await bad((step) => ({ ...zero(step), challenger: new Float32Array(1) }))).message).toMatch(
      /challenger/,
    );
    expect(
      (await bad((step) => ({ ...zero(step), challenger: zero(step).challenger.fill(NaN) }))).message,
    ).toMatch(/finite advantages/);
  });
});

describe('options', () => {
  it('refuses unknown names, models of others, and groups of one', () => {
    expect(() => setUp({ rewards: lengthReward } as never)).toThrow(/Did you mean `reward`/);
    expect(() => setUp({ solver: { answers: 1 } })).toThrow(/solver.answers/);
    expect(() => setUp({ solver: { maxTokens: 3 } as never })).toThrow(/maxNewTokens/);
    expect(() => setUp({ reward: undefined as never })).toThrow(/`reward`/);
    expect(() => setUp({ selfReward: new SelfReward(new FakeModel()), gate: 3 as never })).toThrow(/`gate`/);
  });

  it('presets are values to spread', async () => {
    for (const name of PRESET_NAMES) {
      const { trainer } = setUp({
        ...preset(name),
        challenger: { task: instructionFollowing(), queries: 4 },
      });
      const [{ metrics }] = (await collect(trainer, 1)) as [StepResult];
      expect(metrics.quality === null).toBe(name === 'zero');
      await trainer.dispose();
    }
    expect(() => preset('papers' as never)).toThrow(/Did you mean 'paper'/);
  });

  it('gates chain: the first cause counts and later gates see what is left', async () => {
    const seen: number[] = [];
    const gate = allOf(rejectNonsense, (queries) => {
      seen.push(queries.length);
      return queries.map(() => null);
    });
    const { trainer } = setUp({ gate, challenger: { queries: 12 } });
    const [{ metrics }] = (await collect(trainer, 1)) as [StepResult];
    expect(seen).toEqual([metrics.validQueries]);
  });
});
