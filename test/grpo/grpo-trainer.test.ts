/** GrpoTrainer: rows of a data set, epochs, resume. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GrpoTrainer, type GrpoTrainerOptions } from '../../lib/grpo';
import { readQueries, rowsAt } from '../../lib/grpo/queries';
import {
  LOSS_NAMES,
  lossRecipe,
  rewardsDiffer,
  standardised,
  type StepResult,
  type TrainerState,
} from '../../lib/lsp';
import { rewardFrom } from '../../lib/rewards/reward';
import { FakeLearner, FakeModel, TEXTS } from '../lsp/fakes';

const ROWS = ['one', 'two', 'three', 'four', 'five'].map((prompt, id) => ({ prompt, id, wanted: 'no' }));
const reward = rewardFrom(({ answer, info }) => (answer === info['wanted'] ? 1 : 0));

function setUp(options: Partial<GrpoTrainerOptions> = {}, model = new FakeModel()) {
  const learner = new FakeLearner(model);
  const trainer = new GrpoTrainer({
    learner,
    reward,
    queries: ROWS,
    queriesPerStep: 3,
    kl: { coefficient: 0 },
    reduction: 'sequence-mean',
    ...options,
  });
  return { model, learner, trainer };
}

async function collect(trainer: GrpoTrainer, steps: number): Promise<StepResult[]> {
  const results: StepResult[] = [];
  for await (const result of trainer.run({ steps })) results.push(result);
  return results;
}

const timeless = (results: StepResult[]) =>
  results.map(({ metrics: { seconds: _, ...metrics }, ...rest }) => ({ ...rest, metrics }));

describe('queries', () => {
  it('every epoch has every row once, each in its own order', async () => {
    const rows = await readQueries(ROWS);
    const ids = rowsAt(rows, 3n, 0, 15).map(({ info }) => info['id']);
    const epochs = [0, 5, 10].map((start) => ids.slice(start, start + 5));
    epochs.forEach((epoch) => expect([...epoch].sort()).toEqual([0, 1, 2, 3, 4]));
    expect(new Set(epochs.map(String)).size).toBeGreaterThan(1);
    expect(rowsAt(rows, 3n, 7, 4)).toEqual(rowsAt(rows, 3n, 0, 15).slice(7, 11));
  });

  describe('from a file', () => {
    let folder: string;
    beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'lsp-grpo-'))));
    afterEach(() => rmSync(folder, { recursive: true }));
    const read = (text: string) => {
      const path = join(folder, 'rows.jsonl');
      writeFileSync(path, text);
      return readQueries(path);
    };

    it('reads prompts and messages', async () => {
      const rows = await read('{"prompt":"a","x":1}\n\n{"messages":[{"role":"system","content":"s"}]}\r\n');
      expect(rows).toEqual([
        { messages: [{ role: 'user', content: 'a' }], info: { x: 1 } },
        { messages: [{ role: 'system', content: 's' }], info: {} },
      ]);
    });

    it('names the line of a bad row', async () => {
      await expect(read('{"prompt":"a"}\n{"prompt":')).rejects.toThrow(/line 2/);
      await expect(read('{"prompt":"a"}\n\n{"text":"b"}')).rejects.toThrow(/rows.jsonl:3.prompt/);
      await expect(read('{"prompt":"a","messages":[]}')).rejects.toThrow(/both/);
      await expect(read('{"messages":[{"role":"user"}]}')).rejects.toThrow(/messages/);
      await expect(read('\n')).rejects.toThrow(/at least one query/);
      await expect(readQueries(join(folder, 'missing.jsonl'))).rejects.toMatchObject({ code: 'IO_ERROR' });
    });
  });
});

describe('GrpoTrainer', () => {
  it('learns what the reward wants', async () => {
    const { trainer, model } = setUp();
    const results = await collect(trainer, 30);
    expect(Math.exp(model.logSoftmax('solver')[1]!)).toBeGreaterThan(0.8);
    expect(results[0]!.metrics).toMatchObject({
      challenger: null,
      quality: null,
      duplicateShare: null,
      queries: 3,
    });
    expect(results.at(-1)!.metrics.value!).toBeGreaterThan(results[0]!.metrics.value!);
  });

  it('has the advantages of its group, divided by the deviation if asked', async () => {
    const [plain] = await collect(setUp().trainer, 1);
    const [divided] = await collect(setUp({ groupAdvantages: standardised }).trainer, 1);
    plain!.samples.forEach(({ answers, value }, i) => {
      answers.forEach(({ reward: score, advantage }, j) => {
        expect(advantage).toBeCloseTo(score! - value!, 6);
        const deviation = Math.sqrt(value! * (1 - value!));
        expect(divided!.samples[i]!.answers[j]!.advantage).toBeCloseTo(
          (score! - value!) / (deviation + 1e-4),
          4,
        );
      });
    });
  });

  it('says when there is no signal and leaves the weights alone', async () => {
    const { trainer, learner } = setUp({ reward: rewardFrom(() => 0.3) });
    const [{ metrics }] = (await collect(trainer, 1)) as [StepResult];
    expect(metrics.noSignal).toBe(
      'no signal: all answers in every group scored the same; weights and moments were left alone',
    );
    expect(learner.steps).toBe(0);
    expect(trainer.state().position).toBe(3);
  });

  it('a resumed run equals an uninterrupted one', async () => {
    const whole = setUp({ seed: 4 });
    const expected = await collect(whole.trainer, 5);
    const first = setUp({ seed: 4 });
    const before = await collect(first.trainer, 2);
    const state = JSON.parse(JSON.stringify(first.trainer.state())) as TrainerState;
    const model = new FakeModel(TEXTS, structuredClone(first.model.theta));
    const second = setUp({ resume: state }, model);
    second.learner.momentum = structuredClone(first.learner.momentum);
    const after = await collect(second.trainer, 5);
    expect(timeless([...before, ...after])).toEqual(timeless(expected));
    expect(model.theta).toEqual(whole.model.theta);
  });

  test.each(LOSS_NAMES)('learns with the recipe %s, two updates a batch', async (name) => {
    const { trainer, model, learner } = setUp(
      { ...lossRecipe(name), updatesPerBatch: 2, solver: { answers: 8, maxNewTokens: 16 } },
      new FakeModel(),
    );
    await collect(trainer, 30);
    expect(Math.exp(model.logSoftmax('solver')[1]!)).toBeGreaterThan(0.5); // from a quarter
    expect(learner.steps).toBeGreaterThan(30);
  });

  describe('with a filter of groups', () => {
    const mixed = ({ answers }: StepResult['samples'][number]) =>
      new Set(answers.map(({ reward: score }) => score)).size > 1;

    it('leaves groups out of the update and of the mean, not out of the metrics', async () => {
      const reduction = 'token-mean';
      const [whole] = await collect(setUp({ reduction, queriesPerStep: 5 }).trainer, 1);
      const filtered = setUp({ reduction, queriesPerStep: 5, groupFilter: rewardsDiffer });
      const [result] = await collect(filtered.trainer, 1);
      const kept = result!.samples.filter(mixed);
      expect(kept.length).toBeGreaterThan(0);
      expect(kept.length).toBeLessThan(5);
      expect(result!.metrics).toMatchObject({
        queries: 5,
        value: whole!.metrics.value,
        zeroSignalGroups: 5 - kept.length,
      });
      const tokens = kept.flatMap(({ answers }) => answers).reduce((sum, answer) => sum + answer.tokens, 0);
      const answers = kept.flatMap((sample) => sample.answers);
      const gradients = filtered.learner.calls[0]!.gradient.flat();
      expect(gradients).toHaveLength(answers.length);
      gradients.forEach((gradient, i) =>
        expect(gradient[0]).toBe(Math.fround(-answers[i]!.advantage / tokens)),
      );
    });

    it('draws other queries until all are in, or the rounds are over', async () => {
      const { trainer, learner, model } = setUp({ groupFilter: rewardsDiffer, samplingRounds: 20 });
      const results = await collect(trainer, 2);
      for (const { samples, metrics } of results) {
        expect(samples.filter(mixed)).toHaveLength(3);
        expect(metrics.queries).toBe(samples.length);
      }
      const asked = results.reduce((sum, { samples }) => sum + samples.length, 0);
      expect(asked).toBeGreaterThan(6); // some had to be drawn again
      expect(trainer.state().position).toBe(asked);
      const drawn = rowsAt(await readQueries(ROWS), 0n, 0, asked).map(({ info }) => info['id']);
      expect(results.flatMap(({ samples }) => samples.map(({ info }) => info['id']))).toEqual(drawn);
      expect(learner.calls.map(({ groups }) => groups.length)).toEqual([3, 3]);
      expect(new Set(model.seen.map((prompts) => prompts.length)).size).toBeGreaterThan(1);

      const hopeless = setUp({ reward: rewardFrom(() => 1), groupFilter: rewardsDiffer, samplingRounds: 4 });
      const [none] = await collect(hopeless.trainer, 1);
      expect(none!.samples).toHaveLength(12);
      expect(none!.metrics.noSignal).toMatch(
        /^no signal: all answers in every group scored the same; weights/,
      );
      expect(hopeless.learner.steps).toBe(0);
    });

    it('a resumed run equals an uninterrupted one', async () => {
      const options = { groupFilter: rewardsDiffer, samplingRounds: 5, seed: 9 };
      const whole = setUp(options);
      const expected = await collect(whole.trainer, 4);
      const first = setUp(options);
      const before = await collect(first.trainer, 2);
      const model = new FakeModel(TEXTS, structuredClone(first.model.theta));
      const second = setUp({ ...options, seed: undefined, resume: first.trainer.state() }, model);
      second.learner.momentum = structuredClone(first.learner.momentum);
      expect(timeless([...before, ...(await collect(second.trainer, 4))])).toEqual(timeless(expected));
      expect(model.theta).toEqual(whole.model.theta);
    });

    it('says so when it leaves out every group that has a signal', async () => {
      const { trainer, learner } = setUp({ groupFilter: () => false });
      const [{ metrics, samples }] = (await collect(trainer, 1)) as [StepResult];
      expect(metrics.noSignal).toMatch(
        /^no signal: no answer that scored differently has an advantage; weights/,
      );
      expect(samples.flatMap(({ answers }) => answers).every(({ advantage }) => advantage === 0)).toBe(true);
      expect(learner.steps).toBe(0);
    });

    it('is checked', async () => {
      expect(() => setUp({ samplingRounds: 0 })).toThrow(/`samplingRounds`/);
      expect(() => setUp({ groupFilter: 'differ' as never })).toThrow(/`groupFilter`/);
      const { trainer } = setUp({ groupFilter: (() => 'yes') as never });
      await expect(collect(trainer, 1)).rejects.toThrow(/true or false for `groupFilter`/);
    });
  });

  it('refuses to resume on other rows', async () => {
    const { trainer } = setUp();
    await collect(trainer, 1);
    const other = setUp({ resume: trainer.state(), queries: ROWS.slice(1) });
    await expect(collect(other.trainer, 2)).rejects.toMatchObject({ code: 'INVALID_CHECKPOINT' });
  });

  it('masks truncated answers if asked', async () => {
    const solver = { maxNewTokens: 3 }; // only 'no' and its end fit
    const plain = setUp({ solver });
    const [{ metrics }] = (await collect(plain.trainer, 1)) as [StepResult];
    expect(metrics.solver.clippedShare).toBeGreaterThan(0);
    const masked = setUp({ solver, maskTruncated: true });
    await collect(masked.trainer, 1);
    const trained = (learner: FakeLearner) =>
      new Set(
        learner.calls.flatMap(({ groups }) => groups.flatMap((group) => group.completions.map((c) => c[0]))),
      );
    expect(trained(plain.learner).size).toBeGreaterThan(1);
    expect([...trained(masked.learner)]).toEqual(['n'.charCodeAt(0)]);
  });

  it('refuses prompts beyond the context and unknown options', async () => {
    const { trainer } = setUp({ queries: [{ prompt: 'x'.repeat(5000) }] });
    await expect(collect(trainer, 1)).rejects.toMatchObject({ code: 'PROMPT_TOO_LONG' });
    expect(() => setUp({ challenger: {} } as never)).toThrow(/known option/);
    expect(() => setUp({ queries: 3 as never })).toThrow(/`queries`/);
  });
});
