/** Answers to maths questions: equal however they are written, found wherever they stand, and bounded in every respect. */
import { answersEqual, canonicalAnswer, evaluateExpression, extractAnswer } from '../../lib/rewards/maths';
import { errorOf, expectError } from '../support/errors';

describe('answersEqual', () => {
  it.each([
    ['1,234', '1234'],
    ['$18', '18'],
    ['18 dollars', '18'],
    ['12 apples', '12'],
    ['60 miles per hour', '60'],
    ['5 km^2', '5'],
    ['12cm', '12'],
    ['£5', '5 pounds'],
    ['50%', '50'],
    ['\\$1{,}234.50', '1234.5'],
    ['18.', '18'],
    ['18.00', '18'],
    ['.5', '0.5'],
    ['+5', '5'],
    ['−5', '-5'],
    ['-$5', '$-5'],
    ['0', '-0'],
    ['1/2', '0.5'],
    ['2/6', '1/3'],
    ['\\frac12', '1/2'],
    ['-\\dfrac{3}{4}', '-0.75'],
    ['1\\frac{1}{2}', '3/2'],
    ['1 1/2', '1.5'],
    ['2½', '2.5'],
    ['$\\frac{3}{4}$ cup', '0.75'],
    ['1e3', '1000'],
    ['3 \\times 10^{4}', '30,000'],
    ['3.5 million', '3500000'],
    ['30^\\circ', '30 degrees'],
    ['x = 5', '5'],
    ['about 12', '12'],
    ['twelve', '12'],
    ['**42**', '\\text{42}'],
    ['1 234 567', '1234567'],
    ['3,5', '3.5'],
    ['1.234,5', '1234.5'],
    ['\\left(1,\\frac12\\right)', '(1, 0.5)'],
    ['[0, 1)', '[0,1.0)'],
    ['\\{1,2\\}', '{2, 1}'],
    ['2, 3', '3 and 2'],
    ['1 : 2', '1:2'],
    ['(B)', '\\text{b}'],
    ['x^2', 'x^{2}'],
    ['5 m', '5'],
    ['3 h', '3'],
    ['20 L', '20'],
    ['5 g', '5'],
    ['5 m/s', '5'],
    ['9.8 m/s^2', '9.8'],
    ['12 sq ft', '12'],
    ['$5/hour', '5'],
    ['10°C', '10'],
    ['7 (seven)', '7'],
    ['5 (not 6)', '5'],
    ['7 a.m.', '7'],
    ['9am', '9'],
    ['negative 6', '-6'],
    ['minus six', '-6'],
    ['Rs. 500', '500'],
    ['₩500', '500'],
    ['3\\pi', '3 \\pi'],
    ['twenty-five', '25'],
    ['ninety nine cents', '99'],
    ['a hundred', '100'],
    ['two hundred', '200'],
    ['3 dozen', '36'],
    ['7 000', '7000'],
    ['a dog', 'dog'],
    ['a 5', '5'],
    ['18!!', '18!!'],
    ['Good!', 'good'],
    ['\\sqrt2', '\\sqrt{2}'],
    ['Yes.', 'yes'],
  ])('%j is %j', (first, second) => expect(canonicalAnswer(first)).toBe(canonicalAnswer(second)));

  it.each([
    ['1', '2'],
    ['1.5', '15'],
    ['3x', '3'],
    ['2 pi', '2'],
    ['1:2', '1/2'],
    ['(1,2)', '(2,1)'],
    ['[0,1]', '(0,1)'],
    ['12 apples and 3 pears', '12'],
    ['a + 3', '3'],
    ['A, B', 'B'],
    ['7 remainder 2', '7'],
    ['7 remainder two', '7'],
    ['5 root 2', '5'],
    ['12ab', '12'],
    ['3xy', '3'],
    ['3 xy', '3'],
    ['4 arcsin', '4'],
    ['5!', '5'],
    ['3 dozen', '3'],
    ['5 halves', '5'],
    ['5 squared', '5'],
    ['1,2', '1, 2'], // a decimal comma has no space behind it
    ['3 * 4 + 5', '17'],
    ['2^{10}', '1024'],
    ['48 / 6', '8'],
    ['3 * 4 + 5', '3 * 4 + 5'],
    ['3,500', '3.5'],
    ['1 2', '12'],
    ['sqrt(2)', '2'],
    ['1/0', '0'],
    ['0.333', '1/3'],
    ['1e999999', '1e999998'],
    ['', ''],
    ['...', '...'],
  ])('%j is not %j', (first, second) => expect(answersEqual(first, second)).toBe(false));

  it('is exact where floating point is not', () => {
    expect(answersEqual('0.3', '0.1 + 0.2')).toBe(true);
    expect(answersEqual('9007199254740993', '9007199254740992')).toBe(false);
    expect(answersEqual('0.30000000000000004', '0.3')).toBe(false);
  });

  it.each([
    ['1024', '2^{10}'],
    ['9', '6 + 3'],
    ['8', '48 / 6 pears'],
    ['-7', '3 - (4 + 6)'],
    ['1,200', '$1,000 + $200'],
  ])('%j is what the reference %j comes to', (answer, reference) =>
    expect(answersEqual(answer, reference)).toBe(true),
  );

  it('takes no unknown options', () => {
    expectError(
      errorOf(() => canonicalAnswer('1', { arithmetics: true } as never)),
      'UNKNOWN_OPTION',
      /arithmetic/,
    );
    expectError(
      errorOf(() => canonicalAnswer('1', { arithmetic: 1 as never })),
      'INVALID_ARGUMENT',
      /arithmetic/,
    );
  });
});

describe('extractAnswer', () => {
  it.each([
    ['9 * 2 = 18\n#### 18', '18'],
    ['#### $1,234.50 dollars\nand 5 more', '$1,234.50 dollars'],
    ['#### 1\nNo.\n#### 2', '2'],
    ['So \\boxed{\\frac{1}{2}} and 7', '\\frac{1}{2}'],
    ['\\boxed{a{b{c}}}', 'a{b{c}}'],
    ['\\boxed{\\{1, 2\\}}', '\\{1, 2\\}'],
    ['The answer is 18.', '18'],
    ['The final answer is: **42**. I used 2 steps.', '42**'],
    ['The answer is that she makes 18 dollars a day. That took 3 steps.', '18'],
    ['the answer is yes', 'yes'],
    ['answer: 3.5 kg. Good.', '3.5 kg'],
    ['She has 3, then 10-3 = 7 apples', '7'],
    ['10-3', null],
    ['#### Answer: 7', '7'],
    ['The answer is 3*4=12.', '12'],
    ['The answer is $40-$15=$25.', '$25'],
    ['\\boxed{3+4=7}', '7'],
    ['\\boxed{x = 5 \\text{ or } x = 7}', 'x = 5 \\text{ or } x = 7'],
    ['The answer is 7. Let me know if this answer is helpful!', '7'],
    ['The answer is 7. The answer is correct.', '7'],
    ['The answer is 5 (not 6).', '5 (not 6)'],
    ['The answer is 5, not 6.', '5'],
    ['The answer is 18!', '18'],
    ['The answer is 7 a.m. tomorrow', '7 a.m'],
    ['The answer is Rs. 500.', 'Rs. 500'],
    ['#### and the number.\nThe answer is 5.', '5'],
    ['\\boxed{} so it is 5', '5'],
    ['#### Final answer\n7', '7'],
    ['#### It is as above', 'It is as above'],
    ['3 < 5\n#### Yes', 'Yes'],
    ['#### x + 1', 'x + 1'],
    ['#### 2 hours 30 minutes', '2 hours 30 minutes'],
    ['#### 2 and 3', '2 and 3'],
    ['#### 60 - 30', '60 - 30'],
    ['it comes to 7 000 in all', '7 000'],
    ['in 2020 100 people', '100'],
    ['3 \\times 5', null],
    ['so 3*(4', null],
    ['cost:\n- 3 pens\n- 4', '4'],
    ['it is -3', '-3'],
    ['−7 degrees', '-7'],
    ['we get \\frac{3}{4}', '\\frac{3}{4}'],
    ['take 2 3/4 cups', '2 3/4'],
    ['it cost $1,000,000.', '$1,000,000'],
    ['\\boxed{5', '5'],
    ['####', null],
    ['no number', null],
    ['', null],
  ])('%j gives %j', (text, answer) => expect(extractAnswer(text)).toBe(answer));

  it('looks where it is told', () => {
    const text = 'The answer is 3.\n#### 4\nor \\boxed{5} or 6';
    const found = (['hash', 'boxed', 'phrase', 'number'] as const).map((place) =>
      extractAnswer(text, { places: [place] }),
    );
    expect(found).toEqual(['4', '5', '3', '6']);
    expect(extractAnswer('6', { places: ['hash'] })).toBeNull();
    expect(extractAnswer('6', { places: ['hash', 'number'] })).toBe('6');
  });

  it('refuses what it does not know', () => {
    expectError(
      errorOf(() => extractAnswer('1', { places: ['box' as never] })),
      'INVALID_ARGUMENT',
      /boxed/,
    );
    expectError(
      errorOf(() => extractAnswer('1', { place: [] } as never)),
      'UNKNOWN_OPTION',
      /places/,
    );
    expectError(
      errorOf(() => extractAnswer('1', { places: [] })),
      'INVALID_ARGUMENT',
      /places/,
    );
    expectError(
      errorOf(() => extractAnswer(null as never)),
      'INVALID_ARGUMENT',
      /text/,
    );
  });
});

describe('evaluateExpression', () => {
  it.each([
    ['2 + 3 * 4', '14', 2],
    ['(2 + 3) × 4 ÷ 8', '5/2', 3],
    ['2 ^ 3 ^ 2', '512', 2],
    ['-2^2', '-4', 1],
    ['2^-2', '1/4', 1],
    ['0.1 + 0.2', '3/10', 1],
    ['7', '7', 0],
    ['10 - 3 - 4', '3', 2],
    ['1 / 3 * 3', '1', 2],
    ['0^0', '1', 1],
  ])('%s is %s', (text, value, operations) => {
    const expression = evaluateExpression(text)!;
    expect(expression.value.toFraction()).toBe(value);
    expect(expression.operations).toBe(operations);
  });

  it('keeps the numbers as they are written', () => {
    expect(evaluateExpression('(3 + 1.50) * 3')!.numbers).toEqual(['3', '1.50', '3']);
  });

  it.each([
    '',
    '2 +',
    '* 2',
    '(2',
    '2)',
    '2 2',
    '1/0',
    '0^-1',
    '2^0.5',
    '2^3000',
    '9^9^9^9',
    'x + 1',
    '1e5',
    '1..2',
  ])('%j is none', (text) => expect(evaluateExpression(text)).toBeNull());

  it.each([
    '('.repeat(300) + '1' + ')'.repeat(300),
    '-'.repeat(400) + '1',
    '1+'.repeat(300) + '1',
    '9'.repeat(10 ** 6),
  ])('refuses what is nested or large without bound', (text) => expect(evaluateExpression(text)).toBeNull());
});

describe('hostile answers', () => {
  // Each takes a tenth of a second at most; the limit is for loaded machines, what is quadratic would take minutes.
  it.each([
    '(',
    '[',
    '{',
    '\\frac',
    '\\frac{',
    '\\boxed{',
    '1',
    '1,',
    '-',
    '$',
    '1/',
    '^{',
    '1e',
    '####',
    'answer is ',
    '\\text{',
    '\\left',
    '. ',
    '9^',
    'a ',
    '((1)',
    '1 ',
    'sqrt{',
    '½',
    '\\{',
    'and ',
    '1 and ',
    '-1',
    '\n',
    '\u{1f600}',
    '\ud800',
  ])('of a million characters of %j end quickly', (piece) => {
    const text = piece.repeat(Math.ceil(1_000_000 / piece.length));
    const started = performance.now();
    for (const answer of [text, `${text}7`, `#### ${text}`, `\\boxed{${text}}`]) {
      const found = extractAnswer(answer);
      expect(found === null || found.length <= 1000).toBe(true);
      expect(canonicalAnswer(answer)?.length ?? 0).toBeLessThanOrEqual(5000);
      if (found !== null) canonicalAnswer(found);
    }
    expect(performance.now() - started).toBeLessThan(5000);
  });

  it('deep braces and huge exponents are text', () => {
    expect(canonicalAnswer(`\\frac{${'{'.repeat(100)}1`)).not.toBeNull();
    expect(canonicalAnswer('1e999999')).toBe('1e999999');
    expect(canonicalAnswer('10^999999999')).toBe('10^999999999');
  });
});
