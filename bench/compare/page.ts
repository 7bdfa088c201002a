/** The page of a comparison. */
import type { LineChart, Report, Series } from '../../lib/report/types';
import { KIND_NAMES } from '../../lib/world';
import type { Measurement } from './measure';
import { SETTINGS } from './methods';
import { BASELINE, intervalOf, pairedMethods, summarize, type Interval, type MethodSummary } from './table';

const PERCENT = { style: 'percent', maximumFractionDigits: 1 } as const;
const POINTS = { style: 'percent', maximumFractionDigits: 1, signDisplay: 'exceptZero' } as const;
const POSITIONS = 8;

export function comparisonReport(measurements: readonly Measurement[]): Report {
  const summaries = summarize(measurements);
  const trained = summaries.filter(({ name }) => name !== 'base');
  const [first] = trained;
  if (!first) throw new Error('there is no run of any method yet');
  const best = trained.reduce((a, b) => (b.accuracy.mean > a.accuracy.mean ? b : a), first);
  const budget = Math.max(...trained.flatMap(({ runs }) => runs.map((run) => run.budget)));
  const seeds = Math.max(...trained.map(({ runs }) => runs.length));
  return {
    title: 'Comparison of methods in the tiny world',
    overline: `${seeds} seeds · ${budget.toLocaleString('en')} generated tokens a run`,
    headline: `${best.title} ends highest, at ${percent(best.accuracy.mean)} of the held-out tasks`,
    lead: [
      'Every method trains the same base model with the same seeds until it has generated the same number of tokens, ' +
        "the Challenger's included. Intervals are 95 % of Student's t over seeds.",
    ],
    summary: [resultTable(summaries)],
    sections: [
      {
        id: 'accuracy',
        title: 'Held-out accuracy',
        blocks: [accuracyChart(summaries), differenceChart(trained), pairTable(summaries)],
      },
      { id: 'curves', title: 'Along the training', blocks: [curveChart(trained, budget)] },
      { id: 'kinds', title: 'By kind of task', blocks: [kindTable(summaries)] },
      { id: 'methods', title: 'Methods', blocks: [methodTable(summaries), settingsTable(first)] },
    ],
    colophon: 'Made by `npm run compare`.',
  };
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

function resultTable(summaries: readonly MethodSummary[]): Report['summary'][number] {
  return {
    kind: 'table',
    caption: 'Means over seeds',
    columns: [
      { name: 'Method' },
      { name: 'Tokens', format: { maximumFractionDigits: 0 } },
      { name: 'Accuracy', format: PERCENT },
      { name: 'Against GRPO', format: POINTS },
      { name: 'Greedy', format: PERCENT },
      { name: 'Levels 5 and 6', format: PERCENT },
      { name: 'Ended early', format: { maximumFractionDigits: 0 } },
    ],
    rows: summaries.map(({ title, runs, accuracy, difference, greedy, beyond, failed }) => [
      title,
      intervalOf(runs.map(({ tokens }) => tokens)).mean,
      accuracy.mean,
      difference?.mean ?? null,
      greedy.mean,
      beyond.mean,
      failed,
    ]),
  };
}

function series(name: string, intervals: readonly (Interval | null)[]): Series {
  const pick = (key: keyof Interval) => intervals.map((interval) => interval?.[key] ?? null);
  return { name, values: pick('mean'), low: pick('low'), high: pick('high') };
}

function accuracyChart(summaries: readonly MethodSummary[]): Report['summary'][number] {
  return {
    kind: 'chart',
    shape: 'dots',
    id: 'accuracy-of-methods',
    title: 'Accuracy at the end',
    caption:
      'Share of answers to held-out tasks that are exactly right (pass@1, temperature 1); whiskers are 95 % intervals.',
    along: { label: 'Method', positions: summaries.map(({ title }) => title) },
    value: { label: 'Accuracy', format: PERCENT, min: 0, max: 1 },
    series: [
      series(
        'Levels 1 to 4',
        summaries.map(({ accuracy }) => accuracy),
      ),
      series(
        'Levels 5 and 6',
        summaries.map(({ beyond }) => beyond),
      ),
    ],
  };
}

function differenceChart(trained: readonly MethodSummary[]): Report['summary'][number] {
  const others = trained.filter(({ name }) => name !== BASELINE);
  return {
    kind: 'chart',
    shape: 'dots',
    id: 'difference-of-methods',
    title: 'Difference to GRPO with data',
    caption:
      'Mean of the differences of runs with the same seed; an interval right of 0 is better than GRPO.',
    along: { label: 'Method', positions: others.map(({ title }) => title) },
    value: { label: 'Difference', format: POINTS, min: -0.02, max: 0.02 },
    series: [
      series(
        'Difference',
        others.map(({ difference }) => difference),
      ),
    ],
  };
}

/** Accuracy of a run at a number of tokens: on the line between the two measurements around it. */
function accuracyAt({ curve }: Measurement, tokens: number): number | null {
  const after = curve.findIndex((point) => point.tokens >= tokens);
  if (after < 0) return curve.at(-1)?.accuracy ?? null;
  const [from, to] = [curve[Math.max(0, after - 1)]!, curve[after]!];
  if (to.tokens === from.tokens) return to.accuracy;
  return from.accuracy + ((to.accuracy - from.accuracy) * (tokens - from.tokens)) / (to.tokens - from.tokens);
}

function curveChart(trained: readonly MethodSummary[], budget: number): LineChart {
  const positions = Array.from({ length: POSITIONS + 1 }, (_, i) => Math.round((i * budget) / POSITIONS));
  return {
    kind: 'chart',
    shape: 'lines',
    id: 'accuracy-along',
    title: 'Held-out accuracy',
    caption:
      'Against the tokens generated so far, on half of the tasks that are answered at the end; bands are 95 % ' +
      'intervals over seeds.',
    along: { label: 'Generated tokens', positions },
    value: { label: 'Accuracy', format: PERCENT, min: 0, max: 1 },
    series: trained.map(({ title, runs }) =>
      series(
        title,
        positions.map((tokens) => {
          const values = runs.map((run) => accuracyAt(run, tokens)).filter((value) => value !== null);
          return values.length === 0 ? null : intervalOf(values);
        }),
      ),
    ),
  };
}

function kindTable(summaries: readonly MethodSummary[]): Report['summary'][number] {
  return {
    kind: 'table',
    caption: 'Accuracy at the end, mean over seeds',
    columns: [{ name: 'Kind' }, ...summaries.map(({ title }) => ({ name: title, format: PERCENT }))],
    rows: KIND_NAMES.map((kind) => [
      kind,
      ...summaries.map(({ runs }) => intervalOf(runs.map((run) => run.byKind[kind]!)).mean),
    ]),
  };
}

function pairTable(summaries: readonly MethodSummary[]): Report['summary'][number] {
  return {
    kind: 'table',
    caption: 'Other pairs, mean of the differences of runs with the same seed',
    columns: [
      { name: 'Pair', wide: true },
      ...['Difference', 'From', 'To'].map((name) => ({ name, format: POINTS })),
    ],
    rows: pairedMethods(summaries).map(({ title, difference: { mean, low, high } }) => [
      title,
      mean,
      low,
      high,
    ]),
  };
}

/** @param method any but the base model, which is measured once for all budgets and rates */
function settingsTable({ runs }: MethodSummary): Report['summary'][number] {
  const [{ learningRate, model }] = runs as [Measurement];
  return {
    kind: 'table',
    caption: 'What all methods have in common',
    columns: [{ name: 'Setting' }, { name: 'Value', wide: true }],
    rows: [...SETTINGS, ['learning rate', `${learningRate}, constant`], ['weights of the base model', model]],
  };
}

function methodTable(summaries: readonly MethodSummary[]): Report['summary'][number] {
  return {
    kind: 'table',
    caption: 'What is compared',
    columns: [{ name: 'Method' }, { name: 'Data, reward and pay', wide: true }],
    rows: summaries.map(({ title, description }) => [title, description]),
  };
}
