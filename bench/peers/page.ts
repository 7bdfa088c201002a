/** A sitting as a page. */
import { PLAIN } from '../../lib/report/format';
import type { Block, LineChart, Report, Section, Table } from '../../lib/report/types';
import { type Comparison, isOurs, present, type Ratio, ratiosOf, spreadOf } from './comparison';
import type { GrowthAxis, GrowthPoint } from './growth';
import { isProbe, type Sitting, stepLimits } from './sitting';
import { PEAK_MEMORY, STEP } from './suites';
import { MEANING, spreadText, timesText } from './text';

const TIMES = { minimumFractionDigits: 1, maximumFractionDigits: 2 } as const;

export function sittingReport(sitting: Sitting): Report {
  const { comparisons, growth, missing, threads, processor, model } = sitting;
  const groups: [string, string, Comparison[]][] = [
    ['products', 'Matrix products', comparisons.filter(({ unit }) => unit === 'GFLOP/s')],
    ['sampling', 'Sampling', comparisons.filter(({ unit }) => unit === 'tokens/s')],
    ['steps', 'Whole steps', comparisons.filter(({ unit }) => !['GFLOP/s', 'tokens/s'].includes(unit))],
  ];
  return {
    title: 'Ours and its peers',
    overline: `${processor} · ${threads === 1 ? '1 thread' : `${threads} threads`} · ${sitting.date}`,
    headline: headlineOf(comparisons),
    lead: [`${model}. ${MEANING} Contenders took turns in each round.`],
    summary: [
      ...limitFacts(sitting),
      {
        kind: 'notices',
        notices: missing.map(({ what, why }) => ({
          severity: 'warning',
          text: `Not measured: ${what}`,
          detail: why,
        })),
      },
    ],
    sections: [
      ...groups.filter(([, , all]) => all.length > 0).map(([id, title, all]) => section(id, title, all)),
      ...(growth.length > 0 ? [growthSection(growth)] : []),
      versionSection(sitting),
    ],
    colophon: 'Made by bench/peers. The page loads nothing from anywhere.',
  };
}

function headlineOf(comparisons: readonly Comparison[]): string {
  const best = (name: string) => {
    const ratios = comparisons.filter((one) => one.name === name).flatMap(ratiosOf);
    return ratios.find(({ peer }) => peer === 'TRL') ?? ratios[0];
  };
  const [step, memory] = [best(STEP), best(PEAK_MEMORY)];
  if (!step) return `${comparisons.length} comparisons`;
  const times = (ratio: Ratio) => ratio.times.median.toFixed(1);
  const inMemory = memory ? `, in ${(100 / memory.times.median).toFixed(0)} % of its memory` : '';
  return `A step is ${times(step)} times as fast as with ${step.peer}${inMemory}`;
}

function limitFacts(sitting: Sitting): Block[] {
  const limits = stepLimits(sitting);
  if (limits.length === 0) return [];
  return [
    {
      kind: 'facts',
      facts: limits.map(({ mode, share, seconds, gflops, by }) => ({
        name: `Step of ${mode}`,
        value: `${(100 * share.median).toFixed(0)} % of the limit`,
        note: `${seconds.toPrecision(3)} s at ${Math.round(gflops)} GFLOP/s (${by})`,
      })),
    },
  ];
}

function section(id: string, title: string, comparisons: readonly Comparison[]): Section {
  const ratios = comparisons.flatMap(ratiosOf);
  const charts = [...new Set(ratios.map(({ ours }) => ours))].map((ours) =>
    ratioChart(
      `${id}-${ours.replaceAll(/\W+/g, '-')}`,
      ours,
      ratios.filter((one) => one.ours === ours),
    ),
  );
  return { id, title, blocks: [...charts, comparisonTable(title, comparisons)] };
}

function ratioChart(id: string, ours: string, ratios: readonly Ratio[]): Block {
  const names = [...new Set(ratios.map(({ comparison }) => comparison))];
  const peers = [...new Set(ratios.map(({ peer }) => peer))];
  return {
    kind: 'chart',
    shape: 'dots',
    id: `ratios-${id}`,
    title: ours,
    caption:
      'How many times as fast, or as small, as each peer: right of 1 is better. Whiskers are the rounds.',
    along: { label: 'What', positions: names },
    value: { label: 'Times', format: TIMES, min: 0, max: 1 },
    series: peers.map((peer) => {
      const of = (name: string) =>
        ratios.find((one) => one.comparison === name && one.peer === peer)?.times ?? null;
      return {
        name: isProbe(peer) ? `share of the ${peer}` : peer,
        values: names.map((name) => of(name)?.median ?? null),
        low: names.map((name) => of(name)?.low ?? null),
        high: names.map((name) => of(name)?.high ?? null),
      };
    }),
  };
}

function comparisonTable(caption: string, comparisons: readonly Comparison[]): Table {
  return {
    kind: 'table',
    caption,
    columns: [
      { name: 'What' },
      { name: 'Unit' },
      { name: 'Contender' },
      { name: 'Median', format: PLAIN },
      { name: 'Figures', wide: true },
      { name: 'Ours against it', wide: true },
    ],
    rows: comparisons.flatMap((comparison) =>
      Object.entries(comparison.figures).flatMap(([contender, all]) => {
        const there = present(all);
        if (there.length === 0) return [];
        const spread = spreadOf(there);
        const against = ratiosOf(comparison)
          .filter(({ peer }) => peer === contender)
          .map(({ ours, times }) => `${ours}: ${timesText(times)}`);
        return [
          [
            comparison.name,
            comparison.unit,
            contender,
            spread.median,
            spreadText(spread),
            isOurs(contender) ? null : against.join('; '),
          ],
        ];
      }),
    ),
  };
}

const AXES: Readonly<Record<GrowthAxis, string>> = {
  rollouts: 'Rollouts of a step',
  tokens: 'Tokens of a rollout, with its prompt',
};

function growthSection(points: readonly GrowthPoint[]): Section {
  const axes = (['rollouts', 'tokens'] as const).filter((axis) => points.some(({ along }) => along === axis));
  return {
    id: 'growth',
    title: 'Growth',
    lead: 'Each size in a process of its own.',
    blocks: [
      ...axes.flatMap((axis) => {
        const of = points.filter(({ along }) => along === axis);
        return [
          growthChart(axis, 'time', 'Seconds of each', of, ({ seconds, at }) => seconds / at),
          growthChart(axis, 'memory', 'Peak memory, GB', of, ({ peakMemoryBytes }) => peakMemoryBytes / 1e9),
        ];
      }),
      growthTable(points),
    ],
  };
}

function growthChart(
  axis: GrowthAxis,
  what: string,
  label: string,
  points: readonly GrowthPoint[],
  value: (point: GrowthPoint) => number,
): LineChart {
  const positions = [...new Set(points.map(({ at }) => at))].sort((a, b) => a - b);
  const contenders = [...new Set(points.map(({ contender }) => contender))];
  return {
    kind: 'chart',
    shape: 'lines',
    id: `growth-${axis}-${what}`,
    title: `${AXES[axis]}: ${what}`,
    caption:
      what === 'time'
        ? `Time of a step divided by what is along the axis: level where the time grows as fast as that.`
        : "The process's peak, as the system counts it.",
    along: { label: AXES[axis], positions, logarithmic: true },
    value: { label, format: PLAIN, min: 0 },
    series: contenders.map((contender) => ({
      name: contender,
      values: positions.map((at) => {
        const point = points.find((one) => one.contender === contender && one.at === at);
        return point ? value(point) : null;
      }),
    })),
  };
}

function growthTable(points: readonly GrowthPoint[]): Table {
  return {
    kind: 'table',
    caption: 'Steps of other sizes',
    columns: [
      { name: 'Along' },
      { name: 'Size', format: PLAIN },
      { name: 'Contender' },
      { name: 'Seconds', format: PLAIN },
      { name: 'Seconds of each', format: PLAIN },
      { name: 'Peak memory, GB', format: PLAIN },
    ],
    rows: points.map(({ along, at, contender, seconds, peakMemoryBytes }) => [
      AXES[along],
      at,
      contender,
      seconds,
      seconds / at,
      peakMemoryBytes / 1e9,
    ]),
  };
}

function versionSection({ versions, workload }: Sitting): Section {
  const { queries, answers, promptTokens, newTokens } = workload;
  return {
    id: 'versions',
    title: 'Method',
    lead:
      `A step: ${queries} queries × ${answers} answers, ${promptTokens} tokens of prompt, ${newTokens} sampled tokens ` +
      'each, reference log-probabilities, one update with ratio and k3 KL. The first two steps do not count.',
    blocks: [
      {
        kind: 'table',
        caption: 'Versions',
        columns: [{ name: 'Program' }, { name: 'Version', wide: true }],
        rows: Object.entries(versions),
      },
    ],
  };
}
