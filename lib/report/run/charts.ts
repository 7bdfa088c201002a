/** The charts of a run: each a title, how to read it, and where its values stand in the records. */
import { isRecord } from '../../options';
import { PERCENT, PLAIN, WHOLE } from '../format';
import type { Block, DotChart, LineChart, ValueAxis } from '../types';
import { numberAt, valueAt, type JsonRecord } from './records';
import { beforeAndAfter, total, type RunData } from './run-data';

const NO_STEP = 'The run recorded no such values.';

interface StepChart {
  id: string;
  title: string;
  caption: string;
  value: ValueAxis;
  series: readonly { name: string; maxima?: boolean; pick: (record: JsonRecord) => number | null }[];
  /** Why there may be no values. */
  absent: string;
}

/** A chart, and what to say where the run has no values for it. */
interface Candidate {
  chart: LineChart;
  absent: string;
}

function stepChart(records: readonly JsonRecord[], { series, absent, ...rest }: StepChart): Candidate {
  const chart: LineChart = {
    kind: 'chart',
    shape: 'lines',
    ...rest,
    along: { label: 'Step', positions: records.map(({ step }) => step) },
    series: series.map(({ pick, ...one }) => ({ ...one, values: records.map(pick) })),
  };
  return { chart, absent };
}

/** The charts that have values, and one paragraph on the others. */
function blocksOf(candidates: readonly Candidate[]): Block[] {
  const drawn: Block[] = [];
  const absent: string[] = [];
  for (const { chart, absent: reason } of candidates) {
    const series = chart.series.filter(({ values }) => values.some((value) => value !== null));
    if (series.length > 0) drawn.push({ ...chart, series });
    else absent.push(`Not drawn: ${chart.title}. ${reason}`);
  }
  return absent.length > 0 ? [...drawn, { kind: 'paragraph', text: absent.join(' ') }] : drawn;
}

const both = (name: string) => [
  { name: 'Solver', pick: (record: JsonRecord) => numberAt(record, 'solver', name) },
  { name: 'Challenger', pick: (record: JsonRecord) => numberAt(record, 'challenger', name) },
];

export function heldOutBlocks(run: RunData): Block[] {
  if (run.probes.length === 0) {
    return [{ kind: 'paragraph', text: 'The run has not been measured on held-out tasks (yet).' }];
  }
  const [first] = run.probes;
  const edge = (end: 'low' | 'high') =>
    run.probes.map(({ change }) => (change ? first!.score + change[end] : first!.score));
  const paired = run.probes.some(({ change }) => change !== null);
  const chart: LineChart = {
    kind: 'chart',
    id: 'held-out-score',
    shape: 'lines',
    title: 'Score on held-out tasks',
    caption: paired
      ? 'Mean over the same tasks each time. The band is the 95% interval of the change since the first measurement.'
      : 'Mean over the same tasks each time.',
    along: { label: 'Step', positions: run.probes.map(({ step }) => step) },
    value: { label: 'Score', format: PERCENT },
    series: [
      {
        name: 'Score',
        values: run.probes.map(({ score }) => score),
        ...(paired && { low: edge('low'), high: edge('high') }),
      },
    ],
  };
  return [chart, ...groupChart(run)];
}

/** Before and after for each kind of task, the greatest gain first. */
function groupChart(run: RunData): DotChart[] {
  const { before, after } = beforeAndAfter(run);
  if (!before || before.groups.length === 0) return [];
  const rows = before.groups.map(({ name, score, count }) => ({
    name: count === null ? name : `${name} (${count})`,
    before: score,
    after: after?.groups.find((group) => group.name === name)?.score ?? null,
  }));
  rows.sort((a, b) => (b.after ?? b.before) - b.before - ((a.after ?? a.before) - a.before));
  return [
    {
      kind: 'chart',
      id: 'held-out-groups',
      shape: 'dots',
      title: 'Score by kind of task',
      caption: `${after ? 'Before and after, the greatest gain first' : 'At the start'}; in brackets the number of tasks.`,
      along: { label: 'Kind of task', positions: rows.map(({ name }) => name) },
      value: { label: 'Score', format: PERCENT, min: 0, max: 1 },
      connect: true,
      series: [
        { name: 'Before', values: rows.map((row) => row.before) },
        ...(after ? [{ name: 'After', values: rows.map((row) => row.after) }] : []),
      ],
    },
  ];
}

export function playBlocks({ metrics, config }: RunData): Block[] {
  const reward = stepChart(metrics, {
    id: 'reward',
    title: 'Reward',
    caption:
      'What each role was paid. The value is the mean reward of the answered queries; ' +
      'as the queries change, it is no measure of progress.',
    value: { label: 'Reward', format: PLAIN },
    series: [
      ...both('reward'),
      { name: 'Value', pick: (record) => numberAt(record, 'value') },
      { name: 'Judge', pick: (record) => numberAt(record, 'quality') },
    ],
    absent: NO_STEP,
  });
  if (config.kind === 'grpo') {
    const text =
      'The queries of this run came from a file: there is no Challenger whose queries could be looked at.';
    return [...blocksOf([reward]), { kind: 'paragraph', text }];
  }
  return blocksOf([
    reward,
    stepChart(metrics, {
      id: 'difficulty',
      title: 'Difficulty of the queries',
      caption:
        'Of the queries that were accepted. A Challenger that learns goes to where the Solver can still learn.',
      value: { label: 'Difficulty', format: PLAIN, min: 0 },
      series: [
        { name: 'Hardest', maxima: true, pick: (record) => numberAt(record, 'difficulty', 'max') },
        { name: 'Mean', pick: (record) => numberAt(record, 'difficulty', 'mean') },
      ],
      absent: 'The tasks of this run have no levels.',
    }),
    stepChart(metrics, {
      id: 'accepted',
      title: 'Accepted and repeated queries',
      caption:
        'Accepted queries are answered. Near-duplicates are counted whether or not they were accepted.',
      value: { label: 'Share of the queries', format: PERCENT, min: 0, max: 1 },
      series: [
        { name: 'Accepted', pick: (record) => share(numberAt(record, 'validQueries'), record) },
        { name: 'Near-duplicates', pick: (record) => numberAt(record, 'duplicateShare') },
      ],
      absent: NO_STEP,
    }),
    { chart: rejections(metrics), absent: 'No query was rejected.' },
  ]);
}

function share(part: number | null, record: JsonRecord): number | null {
  const queries = numberAt(record, 'queries');
  return part === null || queries === null || queries === 0 ? null : part / queries;
}

const MOST_CAUSES = 5;

/** Summed up along the run: of eight queries a step the shares of a step alone jump between a few values. */
function rejections(metrics: readonly JsonRecord[]): LineChart {
  const causes = new Set(
    metrics.flatMap((record) => {
      const found = valueAt(record, 'rejections');
      return isRecord(found) ? Object.keys(found) : [];
    }),
  );
  const sums = [...causes].map((cause) => {
    let sum = 0;
    return { cause, sums: metrics.map((record) => (sum += numberAt(record, 'rejections', cause) ?? 0)) };
  });
  sums.sort((a, b) => b.sums.at(-1)! - a.sums.at(-1)! || (a.cause < b.cause ? -1 : 1));
  const named = sums.length > MOST_CAUSES + 1 ? sums.slice(0, MOST_CAUSES) : sums;
  const rest = sums.slice(named.length);
  const others = metrics.map((_, i) => rest.reduce((sum, one) => sum + one.sums[i]!, 0));
  return {
    kind: 'chart',
    id: 'rejections',
    shape: 'lines',
    title: 'Rejected queries by cause',
    caption: 'Queries thrown out before anybody answered them, summed up along the run: steep is often.',
    along: { label: 'Step', positions: metrics.map(({ step }) => step) },
    value: { label: 'Queries so far', format: WHOLE, min: 0 },
    series: [
      ...named.map((one) => ({ name: one.cause, values: one.sums })),
      ...(rest.length > 0 ? [{ name: 'other causes', values: others }] : []),
    ],
  };
}

export function trainingBlocks({ metrics, timings }: RunData): Block[] {
  const charts: StepChart[] = [
    {
      id: 'kl',
      title: 'Distance from the starting model (KL)',
      caption:
        'An estimate, by chance a little below 0 when the true value is small. Above 0.5 is a warning.',
      value: { label: 'Nats a token', format: PLAIN },
      series: both('kl'),
      absent: 'The run kept no reference to compare with.',
    },
    {
      id: 'entropy',
      title: 'Entropy',
      caption:
        'How varied the samples are. A fall to a fraction of the first step means that they are all alike.',
      value: { label: 'Nats a token', format: PLAIN, min: 0 },
      series: both('entropy'),
      absent: NO_STEP,
    },
    {
      id: 'length',
      title: 'Length of the texts',
      caption: 'Mean number of tokens. Texts that shrink to nothing may be a way around the reward.',
      value: { label: 'Tokens', format: PLAIN, min: 0 },
      series: both('length'),
      absent: NO_STEP,
    },
    {
      id: 'clipped',
      title: 'Texts cut off by the limit',
      caption: 'Share of the texts that reached the largest number of tokens.',
      value: { label: 'Share of the texts', format: PERCENT, min: 0 },
      series: both('clippedShare'),
      absent: NO_STEP,
    },
    {
      id: 'gradient',
      title: 'Norm of the gradient',
      caption: 'Of each update, before clipping.',
      value: { label: 'Norm', format: PLAIN, min: 0 },
      series: [{ name: 'Norm', pick: (record) => numberAt(record, 'gradNorm') }],
      absent: 'No step updated the weights.',
    },
  ];
  return blocksOf([...charts.map((chart) => stepChart(metrics, chart)), timeChart(timings)]);
}

const PHASES: readonly (readonly [key: string, name: string])[] = [
  ['challenger', 'Writing queries'],
  ['solver', 'Answering'],
  ['reward', 'Scoring'],
  ['judge', 'Judging'],
  ['reference', 'Comparing with the reference'],
  ['update', 'Updating'],
];

function timeChart(timings: readonly JsonRecord[]): Candidate {
  return stepChart(timings, {
    id: 'time',
    title: 'Time of each phase',
    caption: 'Phases that took no time in the whole run are left out.',
    value: { label: 'Seconds', format: PLAIN, min: 0 },
    series: PHASES.filter(([key]) => total(timings, 'seconds', key) > 0).map(([key, name]) => ({
      name,
      pick: (record: JsonRecord) => numberAt(record, 'seconds', key),
    })),
    absent: 'The run recorded no times.',
  });
}
