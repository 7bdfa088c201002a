/** IFEval as an evaluation: rows, what is left out, verdicts and metrics. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { IfEval, type IfEvalVerdict } from '../../lib/eval/ifeval';
import { expectError, rejectionOf } from '../support/errors';
import { answerOf, DataFolder, never } from './data';

const PUBLISHED = join(__dirname, '../../../shared/data/ifeval/input_data.jsonl');
const published = existsSync(PUBLISHED);
if (!published) console.warn(`Skipped: the published rows of IFEval are looked for at ${PUBLISHED}.`);

const ROWS = [
  {
    key: 7,
    prompt: 'Say hello without a comma, in at least 2 sentences.',
    instruction_id_list: ['punctuation:no_comma', 'length_constraints:number_sentences'],
    kwargs: [{}, { relation: 'at least', num_sentences: 2 }],
  },
  { key: 9, prompt: 'No comma.', instruction_id_list: ['punctuation:no_comma'], kwargs: [{}] },
  {
    key: 11,
    prompt: 'Two sentences.',
    instruction_id_list: ['length_constraints:number_sentences'],
    kwargs: [{ relation: 'at least', num_sentences: 2 }],
  },
];

const folder = new DataFolder();
const data = folder.write('rows.jsonl', ROWS);
afterAll(() => folder.remove());

const valueOf = (evaluation: IfEval, name: string, verdicts: IfEvalVerdict[]) =>
  evaluation.metrics.find((metric) => metric.name === name)!.value(verdicts);

async function verdictsOf(evaluation: IfEval, texts: string[]): Promise<IfEvalVerdict[]> {
  const answered = evaluation.items.map((item, index) => ({ item, answers: [answerOf(texts[index]!)] }));
  return (await evaluation.judge(answered, never())).map((judgement) => {
    if ('failed' in judgement) throw new Error(judgement.failed);
    return judgement.verdict;
  });
}

describe('IfEval', () => {
  it('asks each prompt as one message, greedily', async () => {
    const evaluation = await IfEval.load({ data });
    expect(evaluation.items.map(({ id }) => id)).toEqual(['7', '9', '11']);
    expect(evaluation.prompt(evaluation.items[1]!)).toEqual([{ role: 'user', content: 'No comma.' }]);
    expect(evaluation.generation).toEqual({ maxNewTokens: 1280, temperature: 0, samples: 1 });
    expect(evaluation.settings).toEqual({ exclude: [] });
  });

  it('gives four metrics, and a strict one a kind', async () => {
    const evaluation = await IfEval.load({ data });
    const verdicts = await verdictsOf(evaluation, ['Hello. You!', 'Sure, here:\nnone', 'One']);
    expect(verdicts[1]).toEqual({ ids: ['punctuation:no_comma'], strict: [false], loose: [true] });
    expect(valueOf(evaluation, 'prompt_strict', verdicts)).toBeCloseTo(1 / 3, 12);
    expect(valueOf(evaluation, 'prompt_loose', verdicts)).toBeCloseTo(2 / 3, 12);
    expect(valueOf(evaluation, 'instruction_strict', verdicts)).toBe(2 / 4);
    expect(valueOf(evaluation, 'instruction_loose', verdicts)).toBe(3 / 4);
    expect(valueOf(evaluation, 'strict_no_comma', verdicts)).toBe(1 / 2);
    expect(valueOf(evaluation, 'strict_title', verdicts)).toBeNull();
    expect(evaluation.metrics.slice(0, 4).map(({ name }) => name)).toEqual([
      'prompt_strict',
      'instruction_strict',
      'prompt_loose',
      'instruction_loose',
    ]);
    expect(new Set(evaluation.metrics.map(({ name }) => name)).size).toBe(4 + 25);
    for (const metric of evaluation.metrics) expect(metric.value([])).toBeNull();
  });

  it('leaves instructions out; a row that has no other is followed', async () => {
    const evaluation = await IfEval.load({ data, exclude: ['length_constraints:number_sentences'] });
    expect(evaluation.items.map(({ id }) => id)).toEqual(['7', '9', '11']);
    expect(evaluation.items[0]!.instruction_id_list).toEqual(['punctuation:no_comma']);
    const verdicts = await verdictsOf(evaluation, ['Hello', 'a, b', 'One']);
    expect(verdicts[2]).toEqual({ ids: [], strict: [], loose: [] });
    expect(valueOf(evaluation, 'prompt_strict', verdicts)).toBe(2 / 3);
    expect(valueOf(evaluation, 'instruction_strict', verdicts)).toBe(1 / 2);
    expect(evaluation.settings).toEqual({ exclude: ['length_constraints:number_sentences'] });
  });

  it('judges one answer an item, and stops when it is told to', async () => {
    const evaluation = await IfEval.load({ data });
    const item = evaluation.items[0]!;
    const answers = [answerOf('a'), answerOf('b')];
    expectError(
      await rejectionOf(evaluation.judge([{ item, answers }], never())),
      'INVALID_ARGUMENT',
      /samples/,
    );
    const reason = new Error('enough');
    const signal = AbortSignal.abort(reason);
    await expect(evaluation.judge([{ item, answers: [answerOf('a')] }], { signal })).rejects.toBe(reason);
  });

  const [row] = ROWS;
  it.each([
    ['an id of no instruction', [{ ...row, instruction_id_list: ['a:b', 'c:d'] }], /a:b/],
    ['a missing parameter', [{ ...row, kwargs: [{}, {}] }], /kwargs\.relation/],
    ['too few parameters', [{ ...row, kwargs: [{}] }], /kwargs/],
    ['no prompt', [{ ...row, prompt: '' }], /data\[0\]\.prompt/],
    ['no key', [row, { ...row, key: undefined }], /data\[1\]\.key/],
    ['the same key twice', [row, row], /different keys/],
    ['no rows', [], /at least one record/],
  ])('refuses %s', async (_, rows, message) => {
    const path = folder.write('wrong.jsonl', rows);
    expectError(await rejectionOf(IfEval.load({ data: path })), 'INVALID_ARGUMENT', message);
  });

  it('refuses options and files that it cannot use', async () => {
    const refused = (options: object) => rejectionOf(IfEval.load(options));
    expectError(await refused({ data, excluded: [] }), 'UNKNOWN_OPTION', /exclude/);
    expectError(await refused({ data, exclude: ['no_comma'] }), 'INVALID_ARGUMENT', /punctuation:no_comma/);
    expectError(await refused({ data: join(folder.path, 'none.jsonl') }), 'IO_ERROR', /none\.jsonl/);
    const torn = folder.writeText('torn.jsonl', `${JSON.stringify(row)}\n{"key": 1,`);
    expectError(await refused({ data: torn }), 'INVALID_ARGUMENT', /line 2/);
    const all = ['punctuation:no_comma', 'length_constraints:number_sentences'];
    expectError(await refused({ data, exclude: all }), 'INVALID_ARGUMENT', /exclude/);
  });

  (published ? it : it.skip)('reads all published rows', async () => {
    const evaluation = await IfEval.load({ data: PUBLISHED });
    expect(evaluation.items).toHaveLength(541);
    expect(evaluation.items.flatMap((item) => item.instruction_id_list)).toHaveLength(834);
  });
});
