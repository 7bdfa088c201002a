/** Int8 rollouts as the trainers see them: who samples with what, what is recorded, and when the alarm rings. */
import { GrpoTrainer } from '../../lib/grpo';
import { LspTrainer, lspZero, openGate, SelfReward, type StepResult } from '../../lib/lsp';
import type { Trainer } from '../../lib/lsp/trainer';
import type { Completion, GenerateOptions, Prompt } from '../../lib/model/types';
import { rewardFrom } from '../../lib/rewards/reward';
import { errorOf, expectError } from '../support/errors';
import { FakeLearner, FakeModel } from './fakes';

/** Its int8 policy gives what it samples `shift` nats more than the trained one. */
class RoundedModel extends FakeModel {
  readonly precisions: (string | undefined)[] = [];

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
});
