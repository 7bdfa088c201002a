/** Tasks of the tiny world: drawing, reading, checking, and what is held out. */
import { randomFor } from '../../lib/lsp/random';
import {
  creditOf,
  drawTask,
  drawTrainingTask,
  heldOutTasks,
  isHeldOut,
  isRight,
  KIND_NAMES,
  parseTask,
  trainingQueries,
} from '../../lib/world';
import { oracle } from './oracle';

const LEVELS = [1, 2, 3, 4, 5, 6, 9, 16, 64];
const DRAWS = 40;

const drawn = (kind: string) =>
  LEVELS.flatMap((level) =>
    Array.from({ length: DRAWS }, (_, i) => drawTask(kind, level, randomFor(7n, level, 'draw', i))),
  );

describe.each(KIND_NAMES)('%s', (kind) => {
  const tasks = drawn(kind);

  it('draws tasks of the level asked for, of any level', () => {
    const expected = LEVELS.flatMap((level) => Array<number>(DRAWS).fill(level));
    expect(tasks.map(({ level }) => level)).toEqual(expected);
    expect(new Set(tasks.map((task) => task.kind))).toEqual(new Set([kind]));
  });

  it('reads what it writes as the same task', () => {
    expect(tasks.map(({ text }) => parseTask(text))).toEqual(tasks);
  });

  it('knows the right answer', () => {
    expect(tasks.map(({ text, answer }) => [text, answer])).toEqual(
      tasks.map(({ text }) => [text, oracle(text)]),
    );
  });

  it('gives the right answer everything; slips and other wrong ones at most one half', () => {
    const unpaid = tasks.filter((task) => !isRight(task, task.answer) || creditOf(task, task.answer) !== 1);
    expect(unpaid).toEqual([]);
    const overpaid = tasks.flatMap((task) => {
      const { answer, slip } = task;
      return [slip, '', `${answer} x`, `x${answer}`, answer.slice(0, -1), `${answer}1`, 'maybe']
        .filter((wrong) => isRight(task, wrong) || creditOf(task, wrong) > 0.5)
        .map((wrong) => [task.text, wrong]);
    });
    expect(overpaid).toEqual([]);
  });
});

describe('reading', () => {
  it.each([
    [' sort:  k c   a ', 'Sort: k c a'],
    ['What is 3 + 4', 'What is 3 + 4?'],
    ['Reverse: a b.', 'Reverse: a b'],
    ['sort, then reverse: a b\n', 'Sort, then reverse: a b'],
  ])('%j is the task %j', (text, canonical) => expect(parseTask(text)?.text).toBe(canonical));

  it.each([
    '',
    'Sort:',
    'Sort: a',
    'Sort: ab c',
    'Sort: A b',
    'Sort: 3 1',
    'Sort, then: a b',
    'Sort then reverse: a b',
    'What is 3 - 4?', // below zero
    'What is 03 + 4?',
    'What is 3 + 4 + 5?',
    'What is three + 4?',
    'Which is largest: 3',
    'Continue: 3 5', // two numbers continue in any way
    'Continue: 3 5 8',
    'Continue: 5 5 5',
    'Continue: 5 4 3',
    'Is it true: true',
    'Is it true: true and',
    'Is it true: true not and false',
    'Count ab in: a b',
    'Item 0 of: a b',
    'Item 4 of: a b c',
    'Remove a: a a', // nothing is left
    'Repeat 1 times: a b',
    'Write a poem about the sea.',
    'Sort: a b c; Sort: b c',
  ])('%j is no task', (text) => expect(parseTask(text)).toBeNull());

  it('a text of thousands of letters is no task', () =>
    expect(parseTask(`Sort: ${'a '.repeat(2000)}b`)).toBeNull());

  it('is quick on hostile text', () => {
    const started = performance.now();
    for (const text of [
      'Is it true: ' + 'not '.repeat(490),
      'Sort: ' + ' a'.repeat(950),
      ', then '.repeat(280),
    ]) {
      parseTask(text + '!');
    }
    // A pattern that backtracks would take seconds to years; three reads take about a millisecond.
    expect(performance.now() - started).toBeLessThan(1000);
  });
});

describe('credit', () => {
  const task = parseTask('Sort: d b a c')!;
  it.each([
    ['a b c d', 1],
    ['a b c d.', 1],
    [' a  b c\td ', 1],
    ['a b c x', 3 / 4 / 2],
    ['b a c d', 2 / 4 / 2],
    ['a b c', 3 / 4 / 2],
    ['a b c d e f g h', 4 / 8 / 2], // writing everything does not pay
    ['A B C D', 0],
    ['abcd', 0],
    ['', 0],
  ])('%j is worth %d', (answer, credit) => expect(creditOf(task, answer)).toBeCloseTo(credit, 12));

  it.each(['12', ' 12.', '12 '])('the sum %j is right', (answer) =>
    expect(creditOf(parseTask('What is 5 + 7?')!, answer)).toBe(1),
  );
  it.each(['1 2', '012', '12.0', '+12', 'twelve', '2'])('the sum %j is worth nothing', (answer) =>
    expect(creditOf(parseTask('What is 5 + 7?')!, answer)).toBe(0),
  );
});

describe('held-out suites', () => {
  it('are the same for the same seed, others for another', () => {
    const texts = (seed: number) => heldOutTasks({ seed, levels: [3] }).map(({ text }) => text);
    expect(texts(0)).toEqual(texts(0));
    expect(texts(1)).not.toEqual(texts(0));
  });

  it('have as many different tasks of every kind and level as asked for', () => {
    const tasks = heldOutTasks({ levels: [3, 4, 5, 6], perCell: 4 });
    expect(tasks).toHaveLength(KIND_NAMES.length * 4 * 4);
    expect(new Set(tasks.map(({ text }) => text)).size).toBe(tasks.length);
  });

  it('do not change with what else is asked for', () => {
    const all = heldOutTasks().filter(({ kind, level }) => kind === 'sorting' && level === 3);
    expect(heldOutTasks({ kinds: ['sorting'], levels: [3] })).toEqual(all);
  });

  it('are held out of training draws and of training queries', () => {
    expect(heldOutTasks({ perCell: 8 }).every(isHeldOut)).toBe(true);
    const random = randomFor(1n, 0, 'draw', 0);
    for (let i = 0; i < 2000; i++) {
      expect(isHeldOut(drawTrainingTask(KIND_NAMES[i % KIND_NAMES.length]!, 1 + (i % 4), random))).toBe(
        false,
      );
    }
    for (const { prompt } of trainingQueries({ count: 2000 }))
      expect(isHeldOut({ text: prompt })).toBe(false);
  });
});
