/** GSM8K as an evaluation: prompts, readings of the answer, and majorities. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ChatMessage } from '../../lib/model/types';
import { Gsm8k, type Gsm8kVerdict } from '../../lib/eval/gsm8k';
import { OWN_EXAMPLES } from '../../lib/eval/gsm8k/examples';
import { majority } from '../../lib/eval/gsm8k/metrics';
import { canonicalAnswer, evaluateExpression } from '../../lib/rewards/maths';
import { referenceOf, voteOf } from '../../lib/rewards/math-answer';
import { expectError, rejectionOf } from '../support/errors';
import { answerOf, DataFolder, never } from './data';

const PUBLISHED = join(__dirname, '../../../shared/data/gsm8k');
const published = existsSync(PUBLISHED);
if (!published) console.warn(`Skipped: the published rows of GSM8K are looked for in ${PUBLISHED}.`);

const folder = new DataFolder();
const data = folder.write('test.jsonl', [
  { question: 'Two and two?', answer: '2 + 2 = <<2+2=4>>4\n#### 4' },
  { question: 'A thousand and one?', answer: '#### 1,001' },
]);
const shotsData = folder.write('train.jsonl', [
  { question: 'One and one?', answer: 'It is 1+1=<<1+1=2>>2.\n#### 2' },
  { question: 'Ten less one?', answer: '#### 9' },
]);
afterAll(() => folder.remove());

const verdict = (strict: (string | null)[], flexible = strict): Gsm8kVerdict => ({
  reference: '4',
  strict,
  flexible,
});

describe('Gsm8k', () => {
  it('shows examples as turns of a conversation, without notes for a calculator', async () => {
    const evaluation = await Gsm8k.load({ data, shotsData, shots: 2 });
    const messages = evaluation.prompt(evaluation.items[0]!) as ChatMessage[];
    expect(messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'user', 'assistant', 'user']);
    expect(messages[0]!.content).toMatch(/^One and one\?\n\n.*####/);
    expect(messages[1]!.content).toBe('It is 1+1=2.\n#### 2');
    expect(messages[4]!.content).toBe('Two and two?');
    expect(evaluation.generation).toMatchObject({ maxNewTokens: 512, temperature: 0, samples: 1 });
    expect(evaluation.generation.stop).toContain('\nQuestion:');
  });

  it('shows them as text, where a model is no chat model', async () => {
    const evaluation = await Gsm8k.load({ data, shotsData, shots: 1, style: 'completion' });
    expect(evaluation.prompt(evaluation.items[0]!)).toBe(
      'Question: One and one?\nAnswer: It is 1+1=2.\n#### 2\n\nQuestion: Two and two?\nAnswer:',
    );
    expect(evaluation.generation.stop).toContain('\nQuestion:');
  });

  it('asks without examples too, and has eight of its own', async () => {
    const none = await Gsm8k.load({ data, shots: 0 });
    expect(none.prompt(none.items[0]!)).toEqual([
      { role: 'user', content: expect.stringMatching(/^Two and two\?\n\n.*####/) as string },
    ]);
    const own = await Gsm8k.load({ data, shots: 8 });
    expect(own.prompt(own.items[0]!)).toHaveLength(17);
    expect(own.settings).toMatchObject({ shots: 8, examples: 'own', style: 'chat' });
    expect(own.settings['examplesHash']).not.toBe(none.settings['examplesHash']);
  });

  it('tells apart what is behind #### and the last number', async () => {
    const evaluation = await Gsm8k.load({ data });
    const answered = [
      { item: evaluation.items[0]!, answers: ['#### 4 apples', 'It is 4.', '#### 5', 'no'].map(answerOf) },
      { item: evaluation.items[1]!, answers: [answerOf('#### 1001.0')] },
    ];
    const judgements = await evaluation.judge(answered, never());
    const verdicts = judgements.map((judgement) => (judgement as { verdict: Gsm8kVerdict }).verdict);
    expect(verdicts).toEqual([
      { reference: '4', strict: ['4', null, '5', null], flexible: ['4', '4', '5', null] },
      { reference: '1001', strict: ['1001'], flexible: ['1001'] },
    ]);
    const values = Object.fromEntries(evaluation.metrics.map(({ name, value }) => [name, value(verdicts)]));
    expect(values).toEqual({
      pass_at_1: (1 / 4 + 1) / 2,
      pass_at_1_flexible: (2 / 4 + 1) / 2,
      maj_at_k: 1, // of the item with several answers: two of three votes
    });
    for (const metric of evaluation.metrics) expect(metric.value([])).toBeNull();
  });

  it('judges a model that asks itself the next question by its first answer', async () => {
    const evaluation = await Gsm8k.load({ data });
    const answers = ['#### 4\n\nProblem: One and one?\n#### 2', '#### Answer:\n#### 4 pens\n#### 5', '####'];
    const answered = [{ item: evaluation.items[0]!, answers: answers.map(answerOf) }];
    const [judgement] = await evaluation.judge(answered, never());
    expect(judgement).toMatchObject({ verdict: { strict: ['4', '4', null] } });
  });

  it('a majority is about the items with several answers', async () => {
    const { metrics } = await Gsm8k.load({ data });
    const metric = metrics.find(({ name }) => name === 'maj_at_k')!;
    expect(metric.count!([verdict(['4']), verdict(['4', '5'])])).toBe(1);
    expect(metric.count!([verdict(['4'])])).toBe(0);
  });

  it('samples several answers at a temperature', async () => {
    const evaluation = await Gsm8k.load({ data, samples: 8 });
    expect(evaluation.generation).toMatchObject({ samples: 8, temperature: 0.7 });
  });

  it.each([
    [['4', '5', '4'], 1],
    [['4', '5', '5'], 0],
    [['4', '5'], 1 / 2],
    [['5', '4'], 1 / 2],
    [['4', '5', '6', null], 1 / 3],
    [[null, null], 0],
    [[null, '4'], 1],
    [['5', '6', '7'], 0],
  ])('the majority of %j is worth %f', (votes, worth) => expect(majority(verdict(votes))).toBe(worth));

  it('a vote is the last number where there is no ####', () => {
    expect(majority(verdict(['5', null, null], ['5', '4', '4']))).toBe(1);
  });

  it('refuses options and rows that it cannot use', async () => {
    const refused = (options: object) => rejectionOf(Gsm8k.load({ data, ...options }));
    expectError(await refused({ shot: 1 }), 'UNKNOWN_OPTION', /shots/);
    expectError(await refused({ shots: 9 }), 'INVALID_ARGUMENT', /shots/);
    expectError(await refused({ shotsData, shots: 3 }), 'INVALID_ARGUMENT', /at least 3 rows/);
    expectError(await refused({ style: 'text' }), 'INVALID_ARGUMENT', /completion/);
    expectError(await refused({ samples: 0 }), 'INVALID_ARGUMENT', /samples/);
    const rows = (row: object) => folder.write('wrong.jsonl', [{ question: 'a', answer: '#### 1' }, row]);
    expectError(
      await refused({ data: rows({ question: 'a', answer: '1' }) }),
      'INVALID_ARGUMENT',
      /data\[1\]/,
    );
    expectError(await refused({ data: rows({ answer: '#### 1' }) }), 'INVALID_ARGUMENT', /question/);
    const item = (await Gsm8k.load({ data })).items[0]!;
    const reason = new Error('enough');
    const judging = (await Gsm8k.load({ data })).judge([{ item, answers: [answerOf('4')] }], {
      signal: AbortSignal.abort(reason),
    });
    await expect(judging).rejects.toBe(reason);
  });

  (published ? it : it.skip)('reads all published rows, and finds their own solutions right', async () => {
    const evaluation = await Gsm8k.load({
      data: join(PUBLISHED, 'test.jsonl'),
      shotsData: join(PUBLISHED, 'train.jsonl'),
    });
    expect(evaluation.items).toHaveLength(1319);
    expect(evaluation.items.every(({ answer }) => /^-?\d+(?:\/\d+)?$/.test(answer))).toBe(true);
    const rows = ['test', 'train'].flatMap((name) =>
      readFileSync(join(PUBLISHED, `${name}.jsonl`), 'utf8')
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { answer: string }).answer),
    );
    expect(rows).toHaveLength(8792);
    const unread = rows.filter((answer) => {
      const reference = canonicalAnswer(referenceOf(answer), { arithmetic: true });
      return !/^-?\d+(?:\/\d+)?$/.test(reference ?? '') || voteOf(answer, ['hash']) !== reference;
    });
    expect(unread).toEqual([]);
    const flexible = rows.filter((answer) => voteOf(answer, ['number']) !== voteOf(answer, ['hash']));
    expect(flexible).toEqual([]);
    expect(JSON.stringify(evaluation.prompt(evaluation.items[0]!))).not.toContain('<<');
  });
});

it('our own examples are right, step by step', () => {
  for (const { answer } of OWN_EXAMPLES) {
    const steps = [...answer.matchAll(/([\d.][\d.+*/() -]*) = \$?(\d+(?:\.\d+)?)/g)];
    expect(steps.length).toBeGreaterThan(0);
    for (const [, expression, value] of steps) {
      expect(evaluateExpression(expression!)!.value.equals(value!)).toBe(true);
    }
    expect(steps.at(-1)![2]).toBe(referenceOf(answer));
  }
});
