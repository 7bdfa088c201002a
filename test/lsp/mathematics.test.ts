/** Mathematics as a task of self-play: what is asked, what is read, what is rejected, what is paid. */
import {
  mathematics,
  mathematicsGate,
  mathematicsReward,
  randomFor,
  type MathematicsOptions,
  type Query,
} from '../../lib/lsp';
import { PROBLEM_EXAMPLES } from '../../lib/lsp/tasks/mathematics-examples';
import { errorOf, expectError } from '../support/errors';
import { sampleOf } from '../rewards/samples';

const promptsOf = (options: MathematicsOptions, count = 8, step = 0) =>
  Array.from({ length: count }, (_, index) =>
    mathematics(options).challengerPrompt({
      step,
      index,
      count,
      maxNewTokens: 64,
      random: (key) => randomFor(3n, step, 'draw', key),
    }),
  );

const read = (text: string, options: MathematicsOptions = {}) =>
  mathematics(options).parse(text, { messages: [], draw: null });

const queryOf = (text: string, options: MathematicsOptions = {}): Query => {
  const found = read(text, options);
  if ('rejected' in found) throw new Error(found.rejected);
  return found;
};

describe('what the Challenger is asked', () => {
  it('the same examples for the queries of a draw, others for the next', () => {
    const prompts = promptsOf({ queriesPerDraw: 4 });
    expect(prompts.map(({ draw }) => draw)).toEqual([
      ...Array<string>(4).fill('examples 0'),
      ...Array<string>(4).fill('examples 1'),
    ]);
    expect(prompts[1]!.messages).toEqual(prompts[0]!.messages);
    expect(prompts[4]!.messages).not.toEqual(prompts[0]!.messages);
    expect(promptsOf({}, 8, 1)).toEqual(promptsOf({}, 8, 1));
  });

  it('in the form that is read back', () => {
    for (const form of ['stories', 'sums'] as const) {
      for (const answers of ['checked', 'majority'] as const) {
        for (const { messages } of promptsOf({ form, answers, examples: 12 }, 1)) {
          const shown = messages.filter(({ role }) => role === 'assistant');
          expect(shown).toHaveLength(12);
          for (const { content } of shown) {
            expect(read(content, { form, answers })).toMatchObject({
              text: expect.stringContaining('?') as string,
            });
          }
        }
      }
    }
  });

  it('our examples pass, and the gate knows them as copies', async () => {
    const queries = PROBLEM_EXAMPLES.map(({ sum, problem }) => queryOf(`Sum: ${sum}\nProblem: ${problem}`));
    const causes = await mathematicsGate()(queries, { step: 0, history: [] });
    expect(new Set(causes)).toEqual(new Set(['copied']));
  });
});

describe('stories with a sum', () => {
  it('have an answer that a program computed', () => {
    const query = queryOf(
      'Sum: 4 * 9 - 7 = 30\nProblem: A shelf has 4 rows of nine jars. 7 are empty. How many are full?',
    );
    expect(query.core).toBe('A shelf has 4 rows of nine jars. 7 are empty. How many are full?');
    expect(query.text.startsWith(`${query.core}\n\n`)).toBe(true);
    expect(query.info).toEqual({ answer: '29', sum: '4 * 9 - 7', operations: 2 });
    expect(mathematics().difficulty!(query)).toBe(2);
  });

  it('do not tell what stands behind the question', () => {
    expect(queryOf('Sum: 2 + 3\nProblem: Ann has 2 and 3 pens. How many? She has 5.').core).toBe(
      'Ann has 2 and 3 pens. How many?',
    );
  });

  it.each([
    ['half of 30', '30 / 2'],
    ['30 twice', '30 * 2'],
    ['a dozen boxes of 30', '12 * 30'],
    ['20% of 50', '50 * 20 / 100'],
    ['20% of 50', '50 * 0.2'],
    ['1,200 and three', '1200 + 3'],
    ['$2.50 for 4', '4 * 2.5'],
  ])('may tell numbers in words: %s', (told, sum) => {
    expect(queryOf(`Sum: ${sum}\nProblem: It is ${told}. How much is that?`).info).toMatchObject({ sum });
  });

  it.each([
    ['A problem without a sum. How many?', 'no-sum'],
    ['Sum: x + 2\nProblem: How many are x and 2?', 'no-sum'],
    ['Sum: 1 / 0\nProblem: How many are 1 and 0?', 'no-sum'],
    ['Sum: 5\nProblem: How many are 5?', 'trivial'],
    ['Sum: 2 - 5\nProblem: What is 2 less 5?', 'odd-answer'],
    ['Sum: 10 / 3\nProblem: What is 10 by 3?', 'odd-answer'],
    ['Sum: 2000 * 2000\nProblem: What is 2000 by 2000?', 'odd-answer'],
    ['Sum: 2 + 3', 'no-problem'],
    ['Sum: 2 + 3\nProblem:', 'no-problem'],
    ['Sum: 2 + 3\nProblem: There are 2 and 3 pens.', 'no-question'],
    ['Sum: 2 + 4\nProblem: There are 2 and 3 pens. How many?', 'numbers-missing'],
    ['', 'no-sum'],
    [`Sum: ${'9'.repeat(100_000)} + 1\nProblem: How many?`, 'no-sum'],
  ])('%j is rejected: %s', (text, rejected) => expect(read(text)).toEqual({ rejected }));
});

describe('stories without a sum', () => {
  const options = { answers: 'majority' } as const;
  it('are one line, and as hard as they have numbers', () => {
    const query = queryOf('Problem: Ann has 2 pens and finds 3. How many?\nMore.', options);
    expect(query.core).toBe('Ann has 2 pens and finds 3. How many?');
    expect(query.info).toEqual({});
    expect(mathematics(options).difficulty!(query)).toBe(2);
  });
  it('need a question', () => expect(read('Ann has 2 pens.', options)).toEqual({ rejected: 'no-question' }));
});

describe('sums', () => {
  const options = { form: 'sums' } as const;
  it('are asked as they are', () => {
    const query = queryOf('Sum: 12 x (4 + 1) = 60', options);
    expect(query.text).toMatch(/^What is 12 x \(4 \+ 1\)\?\n\n/);
    expect(query.info).toEqual({ answer: '60', sum: '12 x (4 + 1)', operations: 2 });
    expect(queryOf('What is 7 - 5?', options).info).toMatchObject({ answer: '2' });
    expect(queryOf('(1 + 2) / 12', options).info).toMatchObject({ answer: '0.25' });
  });
  it('have no answer but the majority where that is asked for', () => {
    expect(queryOf('3 + 4', { form: 'sums', answers: 'majority' }).info).toEqual({
      sum: '3 + 4',
      operations: 1,
    });
  });
  it.each([
    ['seven', 'no-sum'],
    ['7', 'trivial'],
    ['10 / 4', 'trivial'],
    ['3 * 10^2', 'trivial'],
    ['1 / 3', 'odd-answer'],
  ])('%j is rejected: %s', (text, rejected) => expect(read(text, options)).toEqual({ rejected }));

  it('are duplicates only if they are the same', async () => {
    const queries = ['3 + 4', '4 + 3', '3 + 4'].map((sum) => queryOf(sum, options));
    const causes = await mathematicsGate(options)(queries, { step: 0, history: ['9 + 9'] });
    expect(causes).toEqual([null, null, 'duplicate']);
  });
});

describe('mathematicsReward', () => {
  it('pays for the checked answer', async () => {
    const { info } = queryOf('(1 + 2) / 12', { form: 'sums' });
    const samples = ['#### 1/4', 'It is 0.25.', '#### 4'].map((answer) => sampleOf(answer, { info }));
    expect(await mathematicsReward().score(samples, { signal: new AbortController().signal })).toEqual([
      1, 1, 0,
    ]);
  });

  it('pays for the majority, equal answers together', async () => {
    const samples = ['#### 0.5', 'so 1/2', '#### 4', 'none'].map((answer) => sampleOf(answer));
    const reward = mathematicsReward({ answers: 'majority' });
    expect(await reward.score(samples, { signal: new AbortController().signal })).toEqual([1, 1, 0, 0]);
  });
});

it('options are checked', () => {
  expectError(
    errorOf(() => mathematics({ answer: 'checked' } as never)),
    'UNKNOWN_OPTION',
    /answers/,
  );
  expectError(
    errorOf(() => mathematics({ form: 'story' as never })),
    'INVALID_ARGUMENT',
    /stories/,
  );
  expectError(
    errorOf(() => mathematics({ answers: 'right' as never })),
    'INVALID_ARGUMENT',
    /majority/,
  );
  expectError(
    errorOf(() => mathematics({ examples: 13 })),
    'INVALID_ARGUMENT',
    /examples/,
  );
  expectError(
    errorOf(() => mathematics({ examplePool: [{ sum: '1' } as never] })),
    'INVALID_ARGUMENT',
    /problem/,
  );
  expectError(
    errorOf(() => mathematicsGate({ form: 'x' as never })),
    'INVALID_ARGUMENT',
    /form/,
  );
  expectError(
    errorOf(() => mathematicsReward({ answers: 'x' as never })),
    'INVALID_ARGUMENT',
    /answers/,
  );
});
