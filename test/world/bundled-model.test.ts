/** The model that comes with the package: what it can do, that self-play moves it, and where it came from. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { chat, CHATS } from '../../examples/tiny-model/corpus';
import { makeTokenizer } from '../../examples/tiny-model/tokenizer';
import { Learner, LanguageModel, LspTrainer, type StepResult } from '../../lib';
import {
  evaluateWorld,
  heldOutTasks,
  isHeldOut,
  isRight,
  measureWorldJudge,
  parseTask,
  tinyWorld,
  worldJudge,
  WorldReward,
} from '../../lib/world';

const DIRECTORY = join(__dirname, '..', '..', 'models', 'tiny');

let model: LanguageModel;
beforeAll(async () => {
  model = await LanguageModel.load('tiny', { threads: 2 });
});
afterAll(() => model.dispose());

it('takes at most 6 MB, and has a card and a licence', () => {
  const bytes = readdirSync(DIRECTORY).reduce((sum, name) => sum + statSync(join(DIRECTORY, name)).size, 0);
  expect(bytes).toBeLessThan(6e6);
  expect(readFileSync(join(DIRECTORY, 'README.md'), 'utf8')).toContain('Apache-2.0');
});

it('has a million parameters or so, and a tokenizer that loses no text', () => {
  expect(model.config.parameterCount).toBeGreaterThan(1e6);
  expect(model.config.parameterCount).toBeLessThan(3e6);
  for (const text of ['Sort: k c a', 'Ünïcödé, 🦊 and\n\ttabs', ' <|end|>']) {
    expect(model.tokenizer.decode(model.tokenizer.encode(text))).toBe(text);
  }
});

it('has the chat template of the recipe, which begins with the last question', () => {
  expect(model.tokenizer.chatTemplate).toBe(makeTokenizer([], 300).chatTemplate);
  const question = { role: 'user', content: 'Sort: b a' };
  const answer = { role: 'assistant', content: 'a b' };
  const alone = model.tokenizer.encodeChat([question]);
  expect(model.tokenizer.encodeChat([question, answer, question])).toEqual(alone);
  expect(model.tokenizer.applyChatTemplate([question, answer], { addGenerationPrompt: false })).toBe(
    '<|user|>Sort: b a<|end|><|assistant|>a b<|end|>',
  );
  const system = { role: 'system', content: 'Be brief.' };
  expect(() => model.tokenizer.encodeChat([system, question])).toThrow('this model takes no system message');
});

describe('as Solver', () => {
  it('solves about half of the held-out tasks, and nearly all in one of sixteen attempts', async () => {
    const tasks = heldOutTasks();
    const greedy = await evaluateWorld(model, { tasks, temperature: 0 });
    const sampled = await evaluateWorld(model, { tasks, samples: 16 });
    expect(sampled.accuracy).toBeGreaterThan(0.4);
    expect(sampled.accuracy).toBeLessThan(0.6);
    expect(sampled.passAtK).toBeGreaterThan(sampled.accuracy + 0.3);
    // The evaluation's own arithmetic, from its answers.
    const right = tasks.map((task, i) => (isRight(task, greedy.answers[i]![0]!) ? 1 : 0));
    expect(greedy.scores).toEqual(right);
    expect(greedy.byKind.reduce((sum, { score, count }) => sum + score * count, 0)).toBeCloseTo(
      greedy.accuracy * tasks.length,
      6,
    );
  });

  it('has room for the longest right answer', async () => {
    const tasks = heldOutTasks({ kinds: ['doubling'], levels: [20], perCell: 1 });
    const parrot = Object.create(model, {
      generate: {
        value: (prompts: unknown[], { maxNewTokens }: { maxNewTokens: number }) => {
          const tokens = model.tokenizer.encode(tasks[0]!.answer).subarray(0, maxNewTokens - 1);
          return prompts.map(() => [{ text: model.tokenizer.decode(tokens), tokens }]);
        },
      },
    }) as LanguageModel;
    expect((await evaluateWorld(parrot, { tasks })).accuracy).toBe(1);
    expect((await evaluateWorld(parrot, { tasks, maxNewTokens: 24 })).accuracy).toBe(0);
  });
});

describe('as Challenger', () => {
  it('writes tasks of every kind it is asked for', async () => {
    const world = tinyWorld();
    const prompts = Array.from({ length: 76 }, (_, index) =>
      world.challengerPrompt({ step: 0, index, count: 76, maxNewTokens: 24, random: () => () => 0 }),
    );
    const written = await model.generate(
      prompts.map(({ messages }) => messages),
      { maxNewTokens: 32, seed: 1 },
    );
    const kinds = written.map(([completion]) => parseTask(completion!.text)?.kind);
    const asked = prompts.filter(({ draw }, i) => draw === kinds[i]).length;
    expect(asked).toBeGreaterThan(0.75 * prompts.length);
  });
});

describe('as judge', () => {
  it('tells right answers from careless ones', async () => {
    const { auc, mass, unscored } = await measureWorldJudge(worldJudge(model));
    expect(auc).toBeGreaterThan(0.75);
    expect(mass).toBeGreaterThan(0.95);
    expect(unscored).toBe(0);
  });
});

describe('self-play', () => {
  async function play(threads: number): Promise<{ steps: StepResult[]; weights: string }> {
    await using policy = await LanguageModel.load('tiny', { threads });
    await using learner = await Learner.create(policy, { learningRate: 3e-4 });
    await using trainer = new LspTrainer({
      learner,
      reward: new WorldReward(),
      challenger: { task: tinyWorld(), queries: 19 * 2, maxNewTokens: 32 },
      solver: { answers: 4, maxNewTokens: 24 },
      kl: { coefficient: 0 },
      measureKl: true,
      seed: 5,
    });
    const steps: StepResult[] = [];
    for await (const step of trainer.run({ steps: 3 })) steps.push(step);
    const hash = createHash('sha256');
    for (const name of policy.parameterNames()) hash.update(await policy.parameter(name));
    return { steps, weights: hash.digest('hex') };
  }

  it('writes its own tasks, measures their difficulty and its drift, and gives the same bits again', async () => {
    const once = await play(1);
    const again = await play(2);
    expect(again.weights).toBe(once.weights);
    const plain = (steps: StepResult[]) => steps.map(({ samples }) => samples);
    expect(plain(again.steps)).toEqual(plain(once.steps));
    const { metrics, samples } = once.steps.at(-1)!;
    expect(metrics.solver.kl).not.toBe(0);
    expect(metrics.updated).toBe(true);
    const levels = samples
      .filter(({ rejected }) => rejected === null)
      .map(({ info }) => info['level'] as number);
    expect(metrics.difficulty!.max).toBe(Math.max(...levels));
    expect(metrics.difficulty!.mean).toBeCloseTo(levels.reduce((a, b) => a + b, 0) / levels.length, 9);
    for (const { written, query, answers } of samples.filter(({ rejected }) => rejected === null)) {
      expect(parseTask(written)?.text).toBe(query);
      for (const { text, reward } of answers) expect(reward === 1).toBe(isRight(parseTask(query!)!, text));
    }
  });
});

describe('its corpus', () => {
  it('has no held-out task in any role', () => {
    const found: string[] = [];
    for (let index = 0; index < CHATS; index++) {
      const { messages, reply } = chat(index);
      const asked = messages[0]!.content;
      const judged = /^Points from 0 to 7 for: (.*) Answer: /.exec(asked)?.[1];
      const text = judged ?? (asked.startsWith('Write a task') ? reply : asked);
      const task = parseTask(text);
      if (task === null || isHeldOut(task)) found.push(text);
    }
    expect(found).toEqual([]);
  });
});
