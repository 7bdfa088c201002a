/** What a training run tells people and machines as it goes on. */
import { varianceOf } from '../../lsp/advantages';
import type { JudgeReport } from '../../lsp/judge-preflight';
import type { PhaseProgress, QueryReport, RoleMetrics, StepMetrics, StepResult } from '../../lsp/types';
import { formatBytes, type MemoryEstimate } from '../../run/memory-estimate';
import type { TrainOptions } from '../../run/train-options';
import { formatDuration, oneLine, percent, type Output } from '../output';
import { Pace, PHASE_WORDS } from './pace';

export class TrainingReport {
  readonly #output: Output;
  readonly #steps: number;
  readonly #every: number;
  readonly #pace: Pace;
  #warned = new Set<string>();

  constructor(
    output: Output,
    { steps, reportEvery }: Pick<TrainOptions, 'steps' | 'reportEvery'>,
    done: number,
  ) {
    this.#output = output;
    this.#steps = steps;
    this.#every = reportEvery;
    this.#pace = new Pace(steps, done);
  }

  phase(progress: PhaseProgress): void {
    const left = this.#pace.secondsLeft();
    const eta = left === null ? '' : ` · ETA ${formatDuration(left)}`;
    this.#output.progress(this.#pace.fraction(progress), `${PHASE_WORDS[progress.phase]}${eta}`);
  }

  /** A step is an event for machines; people are told every `reportEvery` steps, and what is a warning at once. */
  step(result: StepResult): void {
    const { metrics } = result;
    this.#pace.finish(metrics.seconds);
    const shown = pickSample(result);
    this.#output.value({ event: 'step', metrics, sample: shown });
    if (metrics.step % this.#every === 0 || metrics.step === 1 || metrics.step === this.#steps)
      this.#describe(metrics, shown);
    for (const warning of metrics.warnings) this.#warnOnce(warning);
  }

  #describe(metrics: StepMetrics, shown: QueryReport | null): void {
    const left = this.#pace.secondsLeft() ?? 0;
    const eta = metrics.step < this.#steps ? `, ETA ${formatDuration(left)}` : '';
    const time = this.#output.dim(`${formatDuration(metrics.seconds.total)}${eta}`);
    this.#output.line(
      `${this.#output.bold(`step ${metrics.step}/${this.#steps}`)}  ${metricsLine(metrics)}  ${time}`,
    );
    for (const line of sampleLines(shown)) this.#output.line(`  ${line}`);
    if (metrics.noSignal !== null) this.#output.line(`  ${metrics.noSignal}`);
  }

  judge(report: JudgeReport): void {
    this.#output.value({ event: 'judge', ...report });
    const mass = report.mass === null ? '' : `, mass on the score tokens ${percent(report.mass, 0)}`;
    this.#output.line(
      `Judge: tells answers from corrupted ones with AUC ${report.auc.toFixed(2)} (0.5 is a coin)${mass}, ` +
        `correlation with length ${report.lengthCorrelation.toFixed(2)}.`,
    );
    for (const warning of report.warnings) this.#output.warn(warning);
  }

  checkpoint(step: number, path: string): void {
    this.#output.value({ event: 'checkpoint', step, path });
    this.#output.line(this.#output.dim(`  checkpoint ${path}`));
  }

  /** The same warning at every step is noise; its numbers differ, its words do not. */
  #warnOnce(warning: string): void {
    const kind = warning.replace(/[\d.]+/g, '#');
    if (this.#warned.has(kind)) return;
    this.#warned.add(kind);
    this.#output.warn(warning);
  }
}

/**
 * The most telling query of a step: the one whose answers were paid most differently, since that is where the Solver
 * learns; the first of equals from position `step` on, so that it is not always the same.
 */
function pickSample({ step, samples }: StepResult): QueryReport | null {
  const turned = samples.map((_, i) => samples[(step + i) % samples.length]!);
  const spread = ({ answers }: QueryReport) => varianceOf(answers.map(({ reward }) => reward)) ?? -1;
  return turned.reduce<QueryReport | null>(
    (best, sample) => (best === null || spread(sample) > spread(best) ? sample : best),
    null,
  );
}

function sampleLines(sample: QueryReport | null): string[] {
  if (sample === null) return [];
  if (sample.query === null)
    return [`wrote   ${oneLine(sample.written)}`, `        rejected: ${sample.rejected ?? ''}`];
  const rewards = sample.answers.map(({ reward }) => show(reward)).join(' ');
  const quality = sample.answers.some((one) => one.quality !== null)
    ? `  quality ${sample.answers.map((one) => show(one.quality)).join(' ')}`
    : '';
  return [`query   ${oneLine(sample.query)}`, ...answerLines(sample), `rewards ${rewards}${quality}`];
}

/** The best and the worst answer; one where all were paid the same. */
function answerLines({ answers }: QueryReport): string[] {
  const paid = answers.filter(({ reward }) => reward !== null).sort((a, b) => b.reward! - a.reward!);
  const [best, worst] = [paid[0], paid.at(-1)];
  if (!best || !worst || best.reward === worst.reward) return [`answer  ${oneLine(answers[0]?.text ?? '')}`];
  return [`best    ${oneLine(best.text)}`, `worst   ${oneLine(worst.text)}`];
}

function metricsLine({
  solver,
  challenger,
  value,
  quality,
  queries,
  validQueries,
  ...rest
}: StepMetrics): string {
  const parts = [`reward ${show(value)}`];
  if (quality !== null) parts.push(`quality ${show(quality)}`);
  parts.push(roleWords('solver', solver));
  if (challenger) {
    parts.push(roleWords('challenger', challenger));
    parts.push(`queries ${validQueries}/${queries} valid, ${percent(rest.duplicateShare ?? 0, 0)} alike`);
    const { difficulty } = rest;
    if (difficulty) parts.push(`difficulty ${difficulty.mean.toFixed(1)} (max ${difficulty.max})`);
  }
  return parts.join(' · ');
}

function roleWords(name: string, { length, entropy, kl, clippedShare }: RoleMetrics): string {
  const drift = kl === null ? '' : ` KL ${kl.toFixed(3)}`;
  return `${name} ${length.toFixed(0)} tokens (${percent(clippedShare, 0)} cut) entropy ${entropy.toFixed(2)}${drift}`;
}

/** The preflight estimate in one line. */
export function memoryLine(memory: MemoryEstimate): string {
  const parts: [string, number][] = [
    ['weights', memory.weights],
    ['reference', memory.reference],
    ['gradients', memory.gradients],
    ['moments', memory.moments],
    ['activations', memory.activations],
    ['key-value cache', memory.keyValueCache],
    ['int8 copy', memory.rounded ?? 0],
  ];
  const shown = parts
    .filter(([, bytes]) => bytes > 0)
    .map(([name, bytes]) => `${name} ${formatBytes(bytes)}`);
  return `Memory: at most ${formatBytes(memory.total)} (${shown.join(', ')})`;
}

function show(value: number | null): string {
  return value === null ? '–' : value.toFixed(2);
}
