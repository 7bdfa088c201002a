/** Int8 rollouts as the trainers see them: who samples with what, what is recorded, and when the alarm rings. */
import { GrpoTrainer } from '../../lib/grpo';
import { LspTrainer, lspZero, openGate, SelfReward, type StepResult } from '../../lib/lsp';
import type { Trainer } from '../../lib/lsp/trainer';
import type { Completion, GenerateOptions, LogprobOptions, Prompt } from '../../lib/model/types';
import { rewardFrom } from '../../lib/rewards/reward';
import { errorOf, expectError } from '../support/errors';
import { FakeLearner, FakeModel } from './fakes';

/** Its int8 policy gives the first token `shift` nats more than the trained one. */
class RoundedModel extends FakeModel {
  /** Of the calls of generate, and of logprobs. */
  readonly precisions: (string | undefined)[] = [];
  readonly scored: LogprobOptions[] = [];

  constructor(readonly shift: number) {
    super();
  }

  override async generate(
    prompts: readonly Prompt[],
    options: GenerateOptions = {},
  ): Promise<Completion[][]> {
    this.precisions.push(options.precision);
    const groups = await super.generate(prompts, options);
    if (options.precision !== 'int8') return groups;
    return groups.map((group) =>
      group.map((completion) => {
        const logprobs = completion.logprobs.map((value, t) => (t === 0 ? value + this.shift : value));
        return { ...completion, logprobs, sampler: { precision: 'int8' as const, logprobs } };
      }),
    );
  }

  override async logprobs(
    sequences: readonly Int32Array[],
    options: LogprobOptions = {},
  ): Promise<Float32Array[]> {
    this.scored.push(options);
    const scores = await super.logprobs(sequences, options);
    if (options.precision !== 'int8') return scores;
    return scores.map((values) => values.map((value, t) => (t === 0 ? value + this.shift : value)));
  }
}

const reward = rewardFrom(({ answer }) => (answer === 'no' ? 1 : 0));
const NO_KL = { coefficient: 0 };

async function firstStep(trainer: Trainer): Promise<StepResult> {
  for await (const result of trainer.run({ steps: 1 })) return result;
  throw new Error('no step');
}

const selfPlay = (model: FakeModel, more: object = {}) =>
  new LspTrainer({
    learner: new FakeLearner(model),
    reward,
    objective: lspZero(),
    gate: openGate,
    kl: NO_KL,
    ...more,
  });

test('both roles and a judge that samples use int8, the trained policy is measured in f32', async () => {
  const model = new RoundedModel(0.01);
  const judge = new RoundedModel(0);
  const selfReward = new SelfReward(judge, { mode: 'sampled' });
  const { metrics } = await firstStep(selfPlay(model, { rollouts: 'int8', selfReward }));
  expect(model.precisions).toEqual(['int8', 'int8']);
  expect(judge.precisions).toEqual(['int8']);
  expect(metrics.mismatch!.largest).toBeCloseTo(0.01, 5);
  expect(metrics.mismatch!.truncatedShare).toBe(0);
  expect(metrics.warnings).toEqual([]);
});

test('GRPO samples in int8, too', async () => {
  const model = new RoundedModel(0.01);
  const queries = [{ prompt: 'one' }, { prompt: 'two' }];
  const trainer = new GrpoTrainer({
    learner: new FakeLearner(model),
    reward,
    queries,
    queriesPerStep: 2,
    kl: NO_KL,
    rollouts: { precision: 'int8', maxWeight: 1.5 },
  });
  const { metrics } = await firstStep(trainer);
  expect(model.precisions).toEqual(['int8']);
  expect(metrics.mismatch!.largest).toBeCloseTo(0.01, 5);
});

test('without the option nothing changes: no precision is asked for, no mismatch is recorded', async () => {
  const model = new RoundedModel(0.01);
  const { metrics } = await firstStep(selfPlay(model));
  expect(model.precisions).toEqual([undefined, undefined]);
  expect(metrics).not.toHaveProperty('mismatch');
});

describe('the reference in int8', () => {
  const stepOf = async (reference: RoundedModel, more: object) =>
    firstStep(selfPlay(new RoundedModel(0.01), { reference, kl: { coefficient: 0.1 }, ...more }));

  test('is what the KL is measured to, in both roles; the policy is scored exactly', async () => {
    const reference = new RoundedModel(0.01);
    const model = new RoundedModel(0.01);
    const more = { reference, kl: { coefficient: 0.1 }, rollouts: 'int8', referencePrecision: 'int8' };
    const { metrics } = await firstStep(selfPlay(model, more));
    expect(reference.scored.map(({ precision }) => precision)).toEqual(['int8']);
    expect(model.scored.every((options) => !('precision' in options))).toBe(true);
    // It is the very policy that sampled: the KL in k1 is minus the mean log-ratio of sampler and trained policy.
    const { solver, challenger } = metrics;
    expect(solver.kl).toBeCloseTo(-0.01 / solver.length, 5);
    expect(challenger!.kl).toBeCloseTo(-0.01 / challenger!.length, 5);
  });

  test('is an option: without it no precision is asked for, and the KL to oneself is 0', async () => {
    for (const more of [{}, { referencePrecision: 'exact' }]) {
      const reference = new RoundedModel(0.01);
      const { metrics } = await stepOf(reference, more);
      expect(reference.scored).toHaveLength(1);
      expect(reference.scored[0]).not.toHaveProperty('precision');
      expect(metrics.solver.kl).toBeCloseTo(0, 6);
    }
  });

  test('of GRPO, too; and it changes nothing where there is no KL', async () => {
    const queries = [{ prompt: 'one' }, { prompt: 'two' }];
    for (const coefficient of [0.1, 0]) {
      const reference = new RoundedModel(0.01);
      const learner = new FakeLearner(new RoundedModel(0.01));
      const given = { learner, reward, reference, queries, queriesPerStep: 2, kl: { coefficient } };
      await firstStep(new GrpoTrainer({ ...given, referencePrecision: 'int8' }));
      expect(reference.scored.map(({ precision }) => precision)).toEqual(coefficient > 0 ? ['int8'] : []);
    }
  });
});

test('an alarm says how far off a broken sampler is, and what to do', async () => {
  const { metrics } = await firstStep(selfPlay(new RoundedModel(-3), { rollouts: 'int8' }));
  expect(metrics.mismatch!.truncatedShare).toBeGreaterThan(0);
  expect(metrics.warnings).toEqual([
    expect.stringMatching(
      /int8 rollouts are [\d.]+ nats per token .* above the limit of 0.05 .*`rollouts: "exact"`/,
    ),
  ]);
  const quiet = selfPlay(new RoundedModel(-3), { rollouts: 'int8', watch: { warnMismatch: Infinity } });
  expect((await firstStep(quiet)).metrics.warnings).toEqual([]);
});

test('refuses what is no precision or limit', () => {
  expectError(
    errorOf(() => selfPlay(new FakeModel(), { rollouts: 'int4' })),
    'INVALID_ARGUMENT',
    /'exact', 'int8'/,
  );
  expectError(
    errorOf(() => selfPlay(new FakeModel(), { rollouts: { precision: 'int8', maxWeight: 0.5 } })),
    'INVALID_ARGUMENT',
    /rollouts.maxWeight/,
  );
  expectError(
    errorOf(() => selfPlay(new FakeModel(), { rollouts: { clip: 2 } })),
    'UNKNOWN_OPTION',
    /clip/,
  );
  expectError(
    errorOf(() => selfPlay(new FakeModel(), { referencePrecision: 'bf16' })),
    'INVALID_ARGUMENT',
    /'exact', 'int8'.*referencePrecision/,
  );
});
