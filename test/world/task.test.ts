/** The tiny world as a task of self-play: how the Challenger is asked and read, rewards, and judging. */
import { randomFor } from '../../lib/lsp/random';
import type { ChallengerPrompt } from '../../lib/lsp/types';
import {
  heldOutTasks,
  KIND_NAMES,
  parseTask,
  tinyWorld,
  trainingQueries,
  WorldReward,
} from '../../lib/world';

const request = (step: number, index: number, count: number) => ({
  step,
  index,
  count,
  maxNewTokens: 24,
  random: (key: number) => randomFor(0n, step, 'draw', key),
});

const drawOf = (step: number, index: number, count: number, options = {}) =>
  tinyWorld(options).challengerPrompt(request(step, index, count)).draw;

const prompt = (draw: string | null): ChallengerPrompt => ({
  messages: [],
  draw,
  context: { maxNewTokens: 24 },
});

describe('the Challenger', () => {
  it('is told a kind; every kind has the same number of queries where there is room for all', () => {
    const draws = Array.from({ length: 76 }, (_, index) => drawOf(5, index, 76)!);
    for (const kind of KIND_NAMES) expect(draws.filter((draw) => draw === kind)).toHaveLength(4);
  });

  it('is told kinds in turn over the steps where there is not', () => {
    const seen = Array.from({ length: KIND_NAMES.length }, (_, step) =>
      [0, 4].map((i) => drawOf(step, i, 8)!),
    );
    for (const kind of KIND_NAMES) expect(seen.flat().filter((draw) => draw === kind)).toHaveLength(2);
  });

  it('asks for the kind in plain words, or for any', () => {
    const { messages } = tinyWorld().challengerPrompt(request(0, 0, 76));
    expect(messages).toEqual([{ role: 'user', content: `Write a task: ${KIND_NAMES[0]}` }]);
    const free = tinyWorld({ topics: 'free' }).challengerPrompt(request(0, 0, 76));
    expect(free).toMatchObject({ messages: [{ role: 'user', content: 'Write a task' }], draw: null });
  });
});

describe('reading', () => {
  const world = tinyWorld();
  const training = trainingQueries({ count: 400 });
  const sorting = training.find(({ kind }) => kind === 'sorting')!;

  it('gives a query with what the reward needs, and its difficulty', () => {
    const query = world.parse(` ${sorting.prompt.toLowerCase()}.`, prompt('sorting'));
    const { prompt: text, ...info } = sorting;
    expect(query).toEqual({ text, core: text, info });
    if ('rejected' in query) throw new Error('rejected');
    expect(world.difficulty!(query)).toBe(sorting.level);
    expect(world.solverMessages(query)).toEqual([{ role: 'user', content: text }]);
  });

  it.each([
    ['Sort these please', 'sorting', 'no-task'],
    [sorting.prompt, 'reversing', 'off-topic'],
    ['Repeat 99 times: a b', 'repeating', 'too-long'],
    [heldOutTasks({ kinds: ['sorting'] })[0]!.text, 'sorting', 'held-out'],
  ])('rejects %j for %s: %s', (text, draw, rejected) => {
    expect(world.parse(text, prompt(draw))).toEqual({ rejected });
  });

  it('takes any kind that is played where the topic is free', () => {
    const free = tinyWorld({ topics: 'free', kinds: ['sorting'] });
    expect(free.parse(sorting.prompt, prompt(null))).toHaveProperty('text', sorting.prompt);
    expect(free.parse('Reverse: a b c', prompt(null))).toEqual({ rejected: 'off-topic' });
  });

  it.each([
    [{ kinds: [] }, 'non-empty'],
    [{ kinds: ['sortin'] }, "Did you mean 'sorting'"],
    [{ topics: 'any' }, "'drawn', 'free'"],
    [{ topic: 'free' }, 'Did you mean `topics`'],
  ])('%j is refused', (options, message) => {
    expect(() => tinyWorld(options as never)).toThrow(message);
  });
});

describe('the reward', () => {
  it('pays by what is known of the task', () => {
    const info = { ...parseTask('Sort: c a b')! };
    const answers = ['a b c', 'a c b', 'nothing'];
    const scores = new WorldReward().score(answers.map((answer) => ({ answer, info })));
    expect(scores).toEqual([1, 1 / 3 / 2, 0]);
  });
});

describe('training queries', () => {
  it('are all kinds and levels of pre-training in turn, the same for the same seed', () => {
    const rows = trainingQueries({ count: 76 * 3, seed: 4 });
    for (const kind of KIND_NAMES)
      for (const level of [1, 2, 3, 4])
        expect(rows.filter((row) => row.kind === kind && row.level === level)).toHaveLength(3);
    expect(trainingQueries({ count: 76 * 3, seed: 4 })).toEqual(rows);
    expect(trainingQueries({ count: 76 * 3, seed: 5 })).not.toEqual(rows);
  });
});
