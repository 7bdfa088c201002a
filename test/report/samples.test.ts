import { join } from 'node:path';
import { chooseQueries, readSamples, samplesTable, type SampleLimits } from '../../lib/report/run/samples';
import { goodRun, remove, temporaryDirectory, writeRun } from './support';

const perStep = (steps: number, queries: number) =>
  new Map(Array.from({ length: steps }, (_, i) => [i + 1, queries]));
const sum = (values: Iterable<number>) => [...values].reduce((total, value) => total + value, 0);

describe('which queries of a long run are shown', () => {
  test('all, if they are few', () => {
    expect(chooseQueries(perStep(10, 8), 80)).toEqual(perStep(10, 8));
  });

  test('whole steps at even distances, the first and the last among them', () => {
    const chosen = chooseQueries(perStep(101, 8), 88);
    expect([...chosen.keys()]).toEqual([1, 11, 21, 31, 41, 51, 61, 71, 81, 91, 101]);
    expect([...chosen.values()].every((count) => count === 8)).toBe(true);
  });

  test('parts of the first and the last step, if a step alone is too long', () => {
    expect(chooseQueries(perStep(5, 100), 60)).toEqual(
      new Map([
        [1, 30],
        [5, 30],
      ]),
    );
    expect(chooseQueries(perStep(1, 100), 60)).toEqual(new Map([[1, 60]]));
  });

  test.each([
    [1, 1, 2],
    [3, 1, 2],
    [1000, 7, 100],
    [7, 1000, 2000],
    [50_000, 1, 2000],
  ])('never more than the limit: %d steps of %d, limit %d', (steps, queries, limit) => {
    const chosen = chooseQueries(perStep(steps, queries), limit);
    expect(sum(chosen.values())).toBeLessThanOrEqual(limit);
    expect(chosen.has(1)).toBe(true);
    expect(chosen.has(steps)).toBe(true);
  });
});

describe('reading', () => {
  let root: string;
  beforeAll(async () => {
    root = await temporaryDirectory();
    await writeRun(root, goodRun({ steps: 100, queries: 4, answers: 3 }));
  });
  afterAll(() => remove(root));
  const read = (limits: SampleLimits) => readSamples(join(root, 'samples.jsonl'), limits);
  const limits: SampleLimits = { queries: 40, characters: 1e6, text: 1000, answers: 16 };

  test('keeps to the limit and says so', async () => {
    const samples = await read(limits);
    expect(samples.queries).toBe(400);
    expect(samples.shown).toHaveLength(40);
    expect(samples.shown.map(({ step }) => step)).toEqual(
      [1, 12, 23, 34, 45, 56, 67, 78, 89, 100].flatMap((step) => [step, step, step, step]),
    );
    expect(samplesTable(samples)!.note).toMatch(/^Shown are 40 queries of 400 \(10%\), from 10 steps/);
    expect(samplesTable(await read({ ...limits, queries: 400 }))!.note).toBeUndefined();
  });

  test('keeps to the size', async () => {
    const { shown } = await read({ ...limits, queries: 400, characters: 20_000 });
    expect(JSON.stringify(shown).length).toBeLessThan(1.1 * 20_000); // a step more or less than the mean
    expect(shown.length).toBeGreaterThan(8);
  });

  test('cuts long texts and says so', async () => {
    const { shown } = await read({ ...limits, text: 10, answers: 1 });
    expect(shown[0]!.query.text).toMatch(/^Write abou… \(cut: \d\d characters\)$/);
    const answered = shown.find(({ answers }) => answers.entries)!;
    expect(answered.answers.entries).toHaveLength(1);
    expect(answered.answers.summary).toMatch(/^3 answers, rewards? /);
  });

  test('kind and level are columns only where there are some', async () => {
    const names = (table: ReturnType<typeof samplesTable>) => table!.columns.map(({ name }) => name);
    const samples = await read(limits);
    expect(names(samplesTable(samples))).toEqual([
      'Step',
      'Query',
      'Answers',
      'Outcome',
      'Mean reward',
      'Kind',
      'Level',
    ]);
    const without = { ...samples, shown: samples.shown.map((one) => ({ ...one, kind: null, level: null })) };
    expect(names(samplesTable(without))).toEqual(['Step', 'Query', 'Answers', 'Outcome', 'Mean reward']);
    expect(samplesTable(without)!.filters.map(({ label }) => label)).toEqual(['Outcome', 'Step']);
  });
});
