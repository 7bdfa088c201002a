/** The page of a measurement: tables of everything, and how near each kernel is to its limit. */
import { PERCENT, PLAIN } from '../report/format';
import type { Block, LineChart, NumberFormat as Format, Report, Table } from '../report/types';
import type { ModelBench, PhaseResult } from './end-to-end';
import type { ProfileEntry } from './profile';
import type { KernelBench, KernelResult, MachinePeaks } from './kernels';

const MICROSECONDS: Format = { maximumSignificantDigits: 4 };
const TENTHS: Format = { maximumFractionDigits: 1 };

const METHOD =
  'The limit is the larger of operations by the peak rate of multiply-adds and bytes by the rate of reading from ' +
  'memory, both measured here before and after everything else, the better of each. Operands count once, so that ' +
  'what stays in a cache may pass the limit of the memory.';

export function kernelReport(bench: KernelBench, model: string): Report {
  const { kernels, peaks } = bench;
  const ops = [...new Set(kernels.map(({ op }) => op))];
  return {
    title: 'Speed of the kernels',
    overline: machineLine(bench),
    headline: kernelHeadline(kernels, peaks),
    lead: [`Shapes of ${model}. ${METHOD}`],
    summary: [peakFacts(peaks)],
    sections: ops.map((op) => {
      const results = kernels.filter((one) => one.op === op);
      return {
        id: op.replaceAll('_', '-'),
        title: op,
        blocks: [...shareCharts(op, results), kernelTable(op, results)],
      };
    }),
    colophon: COLOPHON,
  };
}

export function modelReport(bench: ModelBench): Report {
  const { phases, peaks, workload, steps } = bench;
  const step = phases.find(({ phase }) => phase === 'step')!;
  const { queries, answers, promptTokens, newTokens } = workload;
  return {
    title: 'Speed of a model',
    overline: machineLine(bench),
    headline: `A step of training takes ${step.seconds.toPrecision(3)} s, ${percent(step.share)} of the limit`,
    lead: [
      `${bench.model}, mode ${bench.mode}; a step: ${queries} queries × ${answers} answers, ${promptTokens} tokens of ` +
        `prompt, ${newTokens} sampled tokens each. ${METHOD}`,
    ],
    summary: [peakFacts(peaks)],
    sections: [
      { id: 'phases', title: 'Phases', blocks: [phaseChart(phases), phaseTable(phases)] },
      {
        id: 'profile',
        title: 'Where the time goes',
        lead: 'Calls of each kernel in the last step. The rest is what the model does between them.',
        blocks: profileBlocks(bench.profile),
      },
      { id: 'steps', title: 'Steps', blocks: [stepTable(steps)] },
    ],
    colophon: COLOPHON,
  };
}

const COLOPHON = 'Made by lsp bench. The page loads nothing from anywhere.';

function machineLine({
  processor,
  isa,
  threads,
}: Pick<KernelBench, 'processor' | 'isa' | 'threads'>): string {
  return `${processor} · ${isa} · ${threads === 1 ? '1 thread' : `${threads} threads`}`;
}

function kernelHeadline(kernels: readonly KernelResult[], peaks: MachinePeaks): string {
  const products = kernels.filter(({ op, bound }) => op === 'linear' && bound === 'compute');
  if (products.length === 0) return `${kernels.length} cases measured`;
  const best = products.reduce((a, b) => (b.share > a.share ? b : a));
  const peak = Math.round(peaks.gflops[best.arithmetic]);
  return `Matrix products reach up to ${percent(best.share)} of ${peak} GFLOP/s`;
}

const percent = (share: number): string => `${Math.round(100 * share)} %`;

function peakFacts({ gflops, gigabytesPerSecond, copyGigabytesPerSecond }: MachinePeaks): Block {
  const rate = (value: number) => `${Math.round(value)} GFLOP/s`;
  return {
    kind: 'facts',
    facts: [
      { name: 'Multiply-adds in f32', value: rate(gflops.f32) },
      { name: 'in bf16', value: rate(gflops.bf16) },
      { name: 'in int8', value: rate(gflops.int8) },
      { name: 'Reading', value: `${gigabytesPerSecond.toFixed(1)} GB/s`, note: 'from memory' },
      {
        name: 'Copying',
        value: `${copyGigabytesPerSecond.toFixed(1)} GB/s`,
        note: 'read and written together',
      },
    ],
  };
}

/** `forward qkv T=32 K=576 N=960`: the pass, the series (none if there is but one), the position. */
const ALONG_TOKENS = /^(forward|backward(?: input| weight)?|decode)?\b ?(.*?) ?\bT=(\d+)\b/;

/** The shares of cases that differ in their number of tokens, a chart a pass; none where there is but one number. */
function shareCharts(op: string, results: readonly KernelResult[]): LineChart[] {
  const passes = new Map<string, Map<string, Map<number, number>>>();
  for (const { name, share } of results) {
    const [, pass = '', shape = '', tokens] = ALONG_TOKENS.exec(name) ?? [];
    if (tokens === undefined) continue;
    const series = passes.get(pass) ?? new Map<string, Map<number, number>>();
    const shares = series.get(shape) ?? new Map<number, number>();
    passes.set(pass, series.set(shape, shares.set(Number(tokens), share)));
  }
  return [...passes].flatMap(([pass, series]) => {
    const tokens = new Set([...series.values()].flatMap((shares) => [...shares.keys()]));
    const positions = [...tokens].sort((a, b) => a - b);
    return positions.length < 2 ? [] : [shareChart(`${op} ${pass}`.trim(), positions, series)];
  });
}

function shareChart(
  title: string,
  positions: readonly number[],
  series: ReadonlyMap<string, ReadonlyMap<number, number>>,
): LineChart {
  return {
    kind: 'chart',
    shape: 'lines',
    id: `share-of-${title.replaceAll(/[ _]/g, '-')}`,
    title,
    caption: 'Share of the limit by the number of tokens that are computed at once.',
    along: { label: 'Tokens', positions, logarithmic: true },
    value: { label: 'Share of the limit', format: PERCENT, min: 0, max: 1 },
    series: [...series].map(([shape, shares]) => ({
      name: shape || title,
      values: positions.map((position) => shares.get(position) ?? null),
    })),
  };
}

function kernelTable(op: string, results: readonly KernelResult[]): Table {
  return {
    kind: 'table',
    caption: `Cases of ${op}`,
    columns: [
      { name: 'Case', wide: true },
      { name: 'Arithmetic' },
      { name: 'µs', format: MICROSECONDS },
      { name: 'GFLOP/s', format: TENTHS },
      { name: 'GB/s', format: TENTHS },
      { name: 'Limit' },
      { name: 'Share', format: PERCENT },
    ],
    rows: results.map((one) => [
      one.name,
      one.arithmetic,
      one.seconds * 1e6,
      one.gflops,
      one.gigabytesPerSecond,
      one.bound,
      one.share,
    ]),
  };
}

function phaseChart(phases: readonly PhaseResult[]): Block {
  return {
    kind: 'chart',
    shape: 'dots',
    id: 'share-of-phases',
    title: 'Share of the limit',
    caption: 'How near each phase is to what the machine can do.',
    along: { label: 'Phase', positions: phases.map(({ phase }) => phase) },
    value: { label: 'Share of the limit', format: PERCENT, min: 0, max: 1 },
    series: [{ name: 'Share', values: phases.map(({ share }) => share) }],
  };
}

function phaseTable(phases: readonly PhaseResult[]): Table {
  return {
    kind: 'table',
    caption: 'Phases',
    columns: [
      { name: 'Phase' },
      { name: 'Seconds', format: PLAIN },
      { name: 'Tokens/s', format: PLAIN },
      { name: 'Operations, 10⁹', format: PLAIN },
      { name: 'GFLOP/s', format: TENTHS },
      { name: 'Limit' },
      { name: 'Share', format: PERCENT },
    ],
    rows: phases.map((one) => [
      one.phase,
      one.seconds,
      one.tokensPerSecond,
      one.operations / 1e9,
      one.gflops,
      one.bound,
      one.share,
    ]),
  };
}

/** A chart of all phases and a table each. */
function profileBlocks(profile: readonly ProfileEntry[]): Block[] {
  const phases = [...new Set(profile.map(({ phase }) => phase))];
  const kernels = [...new Set(profile.map(({ kernel }) => kernel))];
  const share = (phase: string, kernel: string) =>
    profile.find((one) => one.phase === phase && one.kernel === kernel)?.share ?? null;
  return [
    {
      kind: 'chart',
      shape: 'dots',
      id: 'profile-of-phases',
      title: 'Share of each phase',
      caption: 'What part of the time of a phase each kernel takes.',
      along: { label: 'Kernel', positions: kernels },
      value: { label: 'Share of the phase', format: PERCENT, min: 0, max: 1 },
      series: phases.map((phase) => ({ name: phase, values: kernels.map((kernel) => share(phase, kernel)) })),
    },
    ...phases.map((phase) => profileTable(phase, profile)),
  ];
}

function profileTable(phase: string, profile: readonly ProfileEntry[]): Table {
  const rate = (value: number) => (value === 0 ? null : value);
  return {
    kind: 'table',
    caption: `Where the time of ${phase} goes`,
    columns: [
      { name: 'Kernel' },
      { name: 'Seconds', format: PLAIN },
      { name: 'Share', format: PERCENT },
      { name: 'Calls', format: PLAIN },
      { name: 'GFLOP/s', format: TENTHS },
      { name: 'GB/s', format: TENTHS },
    ],
    rows: profile
      .filter((one) => one.phase === phase)
      .map((one) => [
        one.kernel,
        one.seconds,
        one.share,
        rate(one.calls),
        rate(one.gflops),
        rate(one.gigabytesPerSecond),
      ]),
  };
}

function stepTable(steps: ModelBench['steps']): Table {
  const columns = ['Step', 'Rollout, s', 'Reference, s', 'Update, s', 'of it AdamW, s', 'Whole, s'];
  return {
    kind: 'table',
    caption: 'Steps, of which the last counts',
    columns: columns.map((name) => ({ name, format: PLAIN })),
    rows: steps.map((one) => [
      one.step,
      one.rolloutSeconds,
      one.referenceSeconds,
      one.updateSeconds,
      one.optimizerSeconds,
      one.totalSeconds,
    ]),
  };
}
