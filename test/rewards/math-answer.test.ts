/** The reward of maths with a known answer. */
import { mathematicsProbe } from '../../lib/eval/probe';
import { MathAnswer, referenceOf, voteOf } from '../../lib/rewards/math-answer';
import { errorOf, expectError } from '../support/errors';

const sample = (answer: string, info: Record<string, unknown>) => ({ answer, info });

describe('MathAnswer', () => {
  it('pays for the right answer, in whatever form', () => {
    const scores = new MathAnswer().score([
      sample('9 * 2 = 18\n#### 18', { answer: '18' }),
      sample('She makes $18.00 a day.', { answer: 18 }),
      sample('She makes 19 a day.', { answer: '18' }),
      sample('no idea', { answer: '18' }),
      sample('It is \\boxed{0.5}', { answer: '9/18 = <<9/18=0.5>>0.5\n#### 1/2' }),
    ]);
    expect(scores).toEqual([1, 1, 0, 0, 1]);
  });

  it('pays nothing for the question, wherever it is copied to', () => {
    const queries = mathematicsProbe('sums', 64);
    expect(queries).toHaveLength(64);
    const copies = (sum: string, text: string) => [
      ...[text, sum, `${sum} =`, `#### ${sum}`, `#### ${sum} =`, `${text}\n#### ${sum}`, `#### (${sum})`],
      ...[`\\boxed{${sum}}`, `$${sum.replace('*', '\\times')}$`, `\\boxed{${sum.replace('*', '\\cdot')}}`],
      ...[`The answer is ${sum}.`, `The answer is x = ${sum}.`, `The answer is the sum of ${sum}.`],
      ...[`#### ${sum} dollars`, `#### $${sum}`, `The result is {${sum}}`],
    ];
    for (const { core, text, info } of queries) {
      const samples = copies(core, text).map((answer) => sample(answer, info));
      expect(new MathAnswer().score(samples)).toEqual(samples.map(() => 0));
      expect(samples.map(({ answer }) => voteOf(answer))).not.toContain(info['answer']);
      expect(new MathAnswer().score([sample(`${core} = ${String(info['answer'])}`, info)])).toEqual([1]);
    }
  });

  it('abstains without a reference', () => {
    expect(new MathAnswer().score([sample('18', {}), sample('18', { answer: null })])).toEqual([null, null]);
  });

  it('reads another field, and only where the answer should stand', () => {
    const reward = new MathAnswer({ field: 'solution', places: ['hash'] });
    expect(reward.score([sample('18', { solution: '18' }), sample('#### 18', { solution: '18' })])).toEqual([
      0, 1,
    ]);
  });

  it.each([[''], ['...'], [true], [['18']], ['#### ']])(
    'a reference %j is an error, not a wrong answer',
    (answer) => {
      expectError(
        errorOf(() => new MathAnswer().score([sample('18', { answer })])),
        'INVALID_ARGUMENT',
        /info\.answer/,
      );
    },
  );

  it('refuses options that it does not know', () => {
    expectError(
      errorOf(() => new MathAnswer({ fields: 'x' } as never)),
      'UNKNOWN_OPTION',
      /field/,
    );
    expectError(
      errorOf(() => new MathAnswer({ places: ['box'] as never })),
      'INVALID_ARGUMENT',
      /boxed/,
    );
    expectError(
      errorOf(() => new MathAnswer({ places: [] })),
      'INVALID_ARGUMENT',
      /places/,
    );
  });
});

it('votes are equal for equal answers', () => {
  expect(
    new Set(['#### 0.5', 'The answer is 1/2.', 'so \\boxed{\\frac12}'].map((text) => voteOf(text))),
  ).toEqual(new Set(['1/2']));
  expect(voteOf('no idea')).toBeNull();
  expect(referenceOf('a\n#### 7')).toBe('7');
});
