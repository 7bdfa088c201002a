/**
 * The samples of a run that its report shows.
 *
 * A long run has tens of thousands of queries; a page that is opened on a telephone has not. The first and the last
 * step are kept, between them steps at even distances, and long texts are cut. What was left out is said.
 */
import { count, formatNumber, PERCENT, PLAIN, WHOLE } from '../format';
import type { Column, DetailCell, Filter, NumberFormat, RecordCell, RecordTable } from '../types';
import { eachRecord, listAt, numberAt, textAt, type JsonRecord } from './records';

export interface SampleLimits {
  /** Most queries on a page. */
  queries: number;
  /** Most characters of them all, roughly. */
  characters: number;
  /** Most characters of one text. */
  text: number;
  /** Most answers of one query. */
  answers: number;
}

export const SAMPLE_LIMITS: SampleLimits = { queries: 2000, characters: 6e6, text: 1500, answers: 16 };

/** One query as shown. */
interface Sample {
  step: number;
  kind: string | null;
  level: number | null;
  outcome: string;
  value: number | null;
  query: DetailCell;
  answers: DetailCell;
}

export interface Samples {
  shown: Sample[];
  /** Queries in the file, and the steps that they are of. */
  queries: number;
  steps: number;
  damaged: number;
}

export const VALID = 'valid';

/** Reads the file twice, so that only what is shown is ever in memory. */
export async function readSamples(path: string, limits: SampleLimits = SAMPLE_LIMITS): Promise<Samples> {
  const perStep = new Map<number, number>();
  let queries = 0;
  let characters = 0;
  const damaged = await eachRecord(path, (record) => {
    perStep.set(record.step, (perStep.get(record.step) ?? 0) + 1);
    queries++;
    characters += JSON.stringify(sampleOf(record, limits)).length;
  });
  const affordable = Math.floor((limits.characters * queries) / Math.max(1, characters));
  const wanted = chooseQueries(perStep, Math.max(2, Math.min(limits.queries, affordable)));
  const shown: Sample[] = [];
  const taken = new Map<number, number>();
  await eachRecord(path, (record) => {
    const before = taken.get(record.step) ?? 0;
    if (before >= (wanted.get(record.step) ?? 0)) return;
    taken.set(record.step, before + 1);
    shown.push(sampleOf(record, limits));
  });
  return { shown, queries, steps: perStep.size, damaged };
}

/**
 * How many queries of which steps: all of evenly spaced steps, the first and the last among them; where two steps are
 * already too many, the first queries of those two.
 */
export function chooseQueries(perStep: ReadonlyMap<number, number>, limit: number): Map<number, number> {
  const steps = [...perStep.keys()].sort((a, b) => a - b);
  const largest = [...perStep.values()].reduce((most, queries) => Math.max(most, queries), 1);
  const affordable = Math.floor(limit / largest);
  if (affordable >= steps.length) return new Map(perStep);
  const chosen = Math.max(Math.min(2, steps.length), affordable);
  const each = affordable >= 2 ? Infinity : Math.max(1, Math.floor(limit / chosen));
  const wanted = new Map<number, number>();
  for (let i = 0; i < chosen; i++) {
    const step = steps[Math.round((i * (steps.length - 1)) / Math.max(1, chosen - 1))]!;
    wanted.set(step, Math.min(each, perStep.get(step)!));
  }
  return wanted;
}

function sampleOf(record: JsonRecord, limits: SampleLimits): Sample {
  const cut = (text: string) => cutText(text, limits.text);
  const written = textAt(record, 'written') ?? '';
  const asked = textAt(record, 'query');
  const entries = listAt(record, 'answers')
    .slice(0, limits.answers)
    .map((answer) => ({ label: answerLabel(answer), text: cut(textAt(answer, 'text') ?? '') }));
  return {
    step: record.step,
    kind: textAt(record, 'info', 'kind'),
    level: numberAt(record, 'info', 'level'),
    outcome: textAt(record, 'rejected') ?? VALID,
    value: numberAt(record, 'value'),
    query: {
      text: cut(written),
      ...(asked !== null &&
        asked.trim() !== written.trim() && {
          summary: 'as asked',
          entries: [{ label: 'As the Solver got it', text: cut(asked) }],
        }),
    },
    answers: entries.length === 0 ? {} : { summary: answersSummary(record), entries },
  };
}

function cutText(text: string, length: number): string {
  if (text.length <= length) return text;
  return `${text.slice(0, length)}… (cut: ${formatNumber(text.length, WHOLE)} characters)`;
}

function answerLabel(answer: unknown): string {
  const reward = numberAt(answer, 'reward');
  const quality = numberAt(answer, 'quality');
  const tokens = numberAt(answer, 'tokens');
  return [
    reward === null ? 'no reward' : `reward ${formatNumber(reward)}`,
    ...(quality === null ? [] : [`judge ${formatNumber(quality)}`]),
    ...(tokens === null ? [] : [count(tokens, 'token')]),
    ...(textAt(answer, 'finishReason') === 'length' ? ['cut off'] : []),
  ].join(' · ');
}

function answersSummary(record: JsonRecord): string {
  const answers = listAt(record, 'answers');
  const rewards = answers.map((answer) => numberAt(answer, 'reward')).filter((reward) => reward !== null);
  const amount = count(answers.length, 'answer');
  if (rewards.length === 0) return amount;
  const extreme = (of: (a: number, b: number) => number) => formatNumber(rewards.reduce((a, b) => of(a, b)));
  const [low, high] = [extreme(Math.min), extreme(Math.max)];
  return low === high ? `${amount}, reward ${low}` : `${amount}, rewards ${low} to ${high}`;
}

/** The searchable table; null without samples. */
export function samplesTable(samples: Samples): RecordTable | null {
  const { shown } = samples;
  if (shown.length === 0) return null;
  const parts = PARTS.filter(
    ({ pick, optional }) => !optional || shown.some((sample) => pick(sample) !== null),
  );
  const columnOf = (name: string) => parts.findIndex(({ column }) => column.name === name);
  return {
    kind: 'records',
    id: 'queries',
    caption: 'Queries and their answers',
    noun: 'queries',
    note: noteOf(samples),
    columns: parts.map(({ column }) => column),
    filters: [
      outcomeFilter(shown, columnOf('Outcome')),
      ...(columnOf('Kind') < 0 ? [] : [kindFilter(shown, columnOf('Kind'))]),
      {
        kind: 'range',
        column: columnOf('Step'),
        label: 'Step',
        min: shown[0]!.step,
        max: shown.at(-1)!.step,
      },
    ],
    rows: shown.map((sample) => parts.map(({ pick }) => pick(sample))),
  };
}

const HUNDREDTHS: NumberFormat = { minimumFractionDigits: 2, maximumFractionDigits: 2 };

/** The texts first: on a telephone they are what is seen without scrolling. */
const PARTS: readonly { column: Column; optional?: boolean; pick: (sample: Sample) => RecordCell }[] = [
  { column: { name: 'Step', format: WHOLE }, pick: ({ step }) => step },
  { column: { name: 'Query', wide: true }, pick: ({ query }) => query },
  { column: { name: 'Answers', wide: true }, pick: ({ answers }) => answers },
  { column: { name: 'Outcome' }, pick: ({ outcome }) => outcome },
  { column: { name: 'Mean reward', format: HUNDREDTHS }, pick: ({ value }) => value },
  { column: { name: 'Kind' }, optional: true, pick: ({ kind }) => kind },
  { column: { name: 'Level', format: PLAIN }, optional: true, pick: ({ level }) => level },
];

function outcomeFilter(shown: readonly Sample[], column: number): Filter {
  const causes = [...new Set(shown.map(({ outcome }) => outcome))].filter((one) => one !== VALID).sort();
  return {
    kind: 'choice',
    column,
    label: 'Outcome',
    options: [
      { label: VALID, accept: [VALID] },
      ...(causes.length > 0 ? [{ label: 'rejected, any cause', accept: causes }] : []),
      ...causes.map((cause) => ({ label: `rejected: ${cause}`, accept: [cause] })),
    ],
  };
}

function kindFilter(shown: readonly Sample[], column: number): Filter {
  const kinds = [...new Set(shown.flatMap(({ kind }) => kind ?? []))].sort();
  return {
    kind: 'choice',
    column,
    label: 'Kind',
    options: kinds.map((kind) => ({ label: kind, accept: [kind] })),
  };
}

function noteOf({ shown, queries }: Samples): string | undefined {
  if (shown.length === queries) return undefined;
  const steps = new Set(shown.map(({ step }) => step)).size;
  return (
    `Shown are ${count(shown.length, 'query', 'queries')} of ${formatNumber(queries, WHOLE)} ` +
    `(${formatNumber(shown.length / queries, PERCENT)}), from ${count(steps, 'step')}: the first, the last, and steps ` +
    'at even distances between them. All of them are in samples.jsonl.'
  );
}
