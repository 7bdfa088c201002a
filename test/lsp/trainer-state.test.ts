/** The state of LspTrainer: resumed, saved, and kept through aborts and rewards that fail. */
import type { LspError } from '../../lib/errors';
import { openGate, type LspTrainerOptions, type StepResult, type TrainerState } from '../../lib/lsp';
import { rewardFrom, type Reward } from '../../lib/rewards/reward';
import { FakeModel, TEXTS } from './fakes';
import { collect, failure, setUp, timeless } from './trainer-support';

describe('state', () => {
  it('a resumed run equals an uninterrupted one', async () => {
    const options: Partial<LspTrainerOptions> = {
      seed: 7,
      kl: { coefficient: 0.1 },
      reduction: 'sequence-mean',
    };
    const whole = setUp(options);
    const expected = await collect(whole.trainer, 6);

    const first = setUp(options);
    const before = await collect(first.trainer, 2);
    const state = JSON.parse(JSON.stringify(first.trainer.state())) as TrainerState;
    const model = new FakeModel(TEXTS, structuredClone(first.model.theta));
    const second = setUp({ ...options, resume: state, reference: new FakeModel() }, model);
    second.learner.momentum = structuredClone(first.learner.momentum);
    model.version = first.model.version;
    const after = await collect(second.trainer, 6);

    expect(timeless([...before, ...after])).toEqual(timeless(expected));
    expect(second.model.theta).toEqual(whole.model.theta);
    expect(second.trainer.state()).toEqual(whole.trainer.state());
  });

  it('needs the original model as the reference to resume', async () => {
    const { trainer, make } = setUp();
    await collect(trainer, 1);
    const resumed = make({ resume: trainer.state(), kl: { coefficient: 0.1 } });
    expect((await failure(collect(resumed, 2))).message).toMatch(/`reference`/);
  });

  it('refuses states that are not its own', async () => {
    const { trainer, make } = setUp();
    const state = trainer.state();
    const attempts: [Partial<TrainerState>, RegExp][] = [
      [{ kind: 'grpo' }, /resume.kind/],
      [{ nextStep: -1 }, /resume.nextStep/],
      [{ format: 2 as 1 }, /resume.format/],
      [{ history: [1] as never }, /resume.history/],
      [{ seed: '99' }, /resume.seed/],
    ];
    for (const [change, message] of attempts) {
      expect(() => make({ resume: { ...state, ...change }, seed: 0 })).toThrow(message);
    }
    expect(() => make({ resume: { ...state, seed: '99' } })).not.toThrow();
  });

  it('saves at boundaries and after the last step, also when the consumer leaves', async () => {
    const saved: number[] = [];
    const save = async (state: TrainerState, _learner: unknown, _model: unknown, step: number) => {
      expect(state.nextStep).toBe(step);
      saved.push(step);
    };
    const { trainer, make } = setUp({ checkpoint: { every: 2, save } });
    await collect(trainer, 5);
    expect(saved).toEqual([2, 4, 5]);
    for await (const { step } of make().run({ steps: 10 })) if (step === 2) break;
    expect(saved).toEqual([2, 4, 5, 2]);
  });

  it('an abort leaves the step under way without a trace', async () => {
    for (const phase of ['challenger', 'solver', 'reward', 'update'] as const) {
      const controller = new AbortController();
      const reason = new Error('enough');
      let step = 0;
      const { trainer, model, learner } = setUp({
        onPhase: (progress) => {
          if (progress.phase === phase && progress.fraction === 0 && step === 1) controller.abort(reason);
        },
      });
      let state: TrainerState | undefined;
      let theta: unknown;
      const run = async () => {
        for await (const result of trainer.run({ steps: 5, signal: controller.signal })) {
          step = result.step;
          state = trainer.state();
          theta = structuredClone(model.theta);
        }
      };
      await expect(run()).rejects.toBe(reason);
      expect(trainer.state()).toEqual(state);
      expect(model.theta).toEqual(theta);
      expect(learner.steps).toBe(1);

      // and the run can go on as if nothing had happened
      const rest = await collect(trainer, 3);
      const expected = await collect(setUp().trainer, 3);
      expect(timeless(rest)).toEqual(timeless(expected.slice(1)));
    }
  });

  it('an abort during later updates of a batch lets them finish', async () => {
    const controller = new AbortController();
    const { trainer, learner } = setUp({
      updatesPerBatch: 3,
      onPhase: ({ phase, fraction }) => {
        if (phase === 'update' && fraction > 0) controller.abort(new Error('enough'));
      },
    });
    await expect(collect(trainer, 2, controller.signal)).rejects.toThrow('enough');
    expect(learner.steps).toBe(3);
    expect(trainer.stepsDone).toBe(1);
  });
});

describe('rewards that fail', () => {
  const cases: [string, Reward, RegExp, number | null][] = [
    ['NaN', { score: (s) => s.map((_, i) => (i === 3 ? NaN : 0)) }, /sample 3 .* NaN/, 3],
    ['too few scores', { score: () => [1] }, /scores, one per sample/, null],
    [
      'throws',
      {
        score: (s) =>
          s.map(({ queryIndex, answerIndex }) => {
            if (queryIndex === 1 && answerIndex === 2) throw new Error('broken scale');
            return 1;
          }),
      },
      /broken scale/,
      6,
    ],
    ['hangs', { score: () => new Promise(() => undefined) }, /no score within 20 ms/, 0],
  ];
  it.each(cases)('%s: REWARD_FAILED, nothing lost', async (_, reward, message, index) => {
    const { trainer, learner } = setUp({ reward, gate: openGate, rewardTimeoutMs: 20 });
    const state = trainer.state();
    const error = await failure(collect(trainer, 1));
    expect(error.code).toBe('REWARD_FAILED');
    expect(error.message).toMatch(message);
    expect((error as LspError & { sampleIndex: number | null }).sampleIndex).toBe(index);
    expect(trainer.state()).toEqual(state);
    expect(learner.steps).toBe(0);
  });

  it('abstentions are left out', async () => {
    const { trainer } = setUp({ reward: rewardFrom(({ answerIndex }) => (answerIndex === 0 ? null : 1)) });
    const [{ samples }] = (await collect(trainer, 1)) as [StepResult];
    const answered = samples.find(({ rejected }) => rejected === null)!;
    expect(answered.value).toBe(1);
    expect(answered.answers[0]).toMatchObject({ reward: null, advantage: 0 });
  });
});
