/** The numbers of a comparison: means over seeds, 95 % intervals, paired differences; and a table of them. */
import { pairedDifference } from '../../lib/eval/probe';
import type { Measurement } from './measure';
import { LOSS_METHODS } from './losses';
import { METHODS } from './methods';

/** What others are compared with, seed by seed. */
export const BASELINE = 'grpo';

/** Mean and 95 % interval (Student's t over seeds); the ends are null for one seed. */
export interface Interval {
  mean: number;
  low: number | null;
  high: number | null;
}

export interface MethodSummary {
  name: string;
  title: string;
  description: string;
  runs: readonly Measurement[];
  accuracy: Interval;
  greedy: Interval;
  beyond: Interval;
  /** Accuracy minus that of the baseline with the same seed; null for the baseline and where no pair is there. */
  difference: Interval | null;
  failed: number;
}

const BASE = { name: 'base', title: 'Base model', description: 'as bundled, without any training' };

/** In the order of the methods, the base model first; methods without a run are left out. */
export function summarize(measurements: readonly Measurement[]): MethodSummary[] {
  const baseline = measurements.filter(({ method }) => method === BASELINE);
  return [BASE, ...METHODS, ...LOSS_METHODS].flatMap(({ name, title, description }) => {
    const runs = measurements.filter(({ method }) => method === name).sort((a, b) => a.seed - b.seed);
    if (runs.length === 0) return [];
    const pairs = runs.flatMap((run) => {
      const other = baseline.find(({ seed }) => seed === run.seed);
      return other && name !== BASELINE && name !== 'base' ? [[other.accuracy, run.accuracy] as const] : [];
    });
    return {
      name,
      title,
      description,
      runs,
      accuracy: intervalOf(runs.map(({ accuracy }) => accuracy)),
      greedy: intervalOf(runs.map(({ greedy }) => greedy)),
      beyond: intervalOf(runs.map(({ beyond }) => beyond)),
      difference: pairs.length === 0 ? null : intervalOf(pairs.map(([before, after]) => after - before)),
      failed: runs.filter(({ failed }) => failed !== null).length,
    };
  });
}

export function intervalOf(values: readonly number[]): Interval {
  const zeros = values.map(() => 0);
  const { mean, low, high } = pairedDifference(zeros, values) ?? { mean: values[0]!, low: null, high: null };
  return { mean, low, high };
}

/** What the paper's claims compare: a method with another of the same seed. */
const PAIRS: readonly (readonly [string, string])[] = [
  ['lsp', 'lsp-zero'],
  ['recommended', 'lsp'],
  ['grpo-then-lsp', 'lsp'],
];

export interface PairedMethods {
  title: string;
  difference: Interval;
}

export function pairedMethods(summaries: readonly MethodSummary[]): PairedMethods[] {
  return PAIRS.flatMap(([name, other]) => {
    const [one, two] = [name, other].map((wanted) => summaries.find((summary) => summary.name === wanted));
    if (!one || !two) return [];
    const differences = one.runs.flatMap((run) => {
      const pair = two.runs.find(({ seed }) => seed === run.seed);
      return pair ? [run.accuracy - pair.accuracy] : [];
    });
    if (differences.length === 0) return [];
    return [{ title: `${one.title} against ${two.title}`, difference: intervalOf(differences) }];
  });
}

/** Shares as points: `85.1 ± 0.9`. */
function points({ mean, high }: Interval, signed = false): string {
  const sign = signed && mean >= 0 ? '+' : '';
  const half = high === null ? '' : ` ± ${(100 * (high - mean)).toFixed(1)}`;
  return `${sign}${(100 * mean).toFixed(1)}${half}`;
}

function mean(values: readonly (number | null)[]): string {
  const present = values.filter((value) => value !== null);
  return present.length === 0 ? '–' : (present.reduce((a, b) => a + b, 0) / present.length).toFixed(2);
}

/** A Markdown table. */
export function comparisonTable(measurements: readonly Measurement[]): string {
  const summaries = summarize(measurements);
  const rows = summaries.map(({ title, runs, accuracy, greedy, beyond, difference, failed }) => [
    title,
    String(runs.length),
    (intervalOf(runs.map(({ tokens }) => tokens)).mean / 1000).toFixed(0),
    points(accuracy),
    difference ? points(difference, true) : '',
    points(greedy),
    points(beyond),
    mean(runs.map(({ late }) => late.difficulty)),
    mean(runs.map(({ hardest }) => hardest)),
    mean(runs.map(({ late }) => late.value)),
    failed === 0 ? '' : `${failed} stopped`,
  ]);
  const header = [
    'method',
    'seeds',
    'thousand tokens',
    'accuracy',
    'against GRPO',
    'greedy',
    'levels 5–6',
    'late difficulty',
    'hardest',
    'late V',
    '',
  ];
  const table = [header, header.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`);
  const pairs = pairedMethods(summaries).map(
    ({ title, difference }) => `${title}: ${points(difference, true)} points`,
  );
  return [...table, '', ...pairs].join('\n');
}
