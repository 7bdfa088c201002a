/** What a training run tells people and machines as it goes on. */
import type { JudgeReport } from '../../lsp/judge-preflight';
import type { PhaseProgress, QueryReport, RoleMetrics, StepMetrics, StepResult } from '../../lsp/types';
import { formatBytes, type MemoryEstimate } from '../../run/memory-estimate';
import { formatDuration, oneLine, type Output } from '../output';
import { Pace, PHASE_WORDS } from './pace';

export class TrainingReport {
  readonly #output: Output;
  readonly #steps: number;
  readonly #pace: Pace;
  #warned = new Set<string>();

  constructor(output: Output, steps: number, done: number) {
    this.#output = output;
    this.#steps = steps;
    this.#pace = new Pace(steps, done);
  }

  phase(progress: PhaseProgress): void {
    const left = this.#pace.secondsLeft();
    const eta = left === null ? '' : ` · ETA ${formatDuration(left)}`;
    this.#output.progress(this.#pace.fraction(progress), `${PHASE_WORDS[progress.phase]}${eta}`);
  }

  step(result: StepResult): void {
    const { metrics } = result;
    this.#pace.finish(metrics.seconds);
    const shown = pickSample(result);
    this.#output.value({ event: 'step', metrics, sample: shown });
    const left = this.#pace.secondsLeft() ?? 0;
    const eta = metrics.step < this.#steps ? `, ETA ${formatDuration(left)}` : '';
    const time = this.#output.dim(`${formatDuration(metrics.seconds.total)}${eta}`);
    this.#output.line(
      `${this.#output.bold(`step ${metrics.step}/${this.#steps}`)}  ${metricsLine(metrics)}  ${time}`,
    );
    for (const line of sampleLines(shown)) this.#output.line(`  ${line}`);
    if (metrics.noSignal !== null) this.#output.line(`  ${metrics.noSignal}`);
    for (const warning of metrics.warnings) this.#warnOnce(warning);
  }

  judge(report: JudgeReport): void {
    this.#output.value({ event: 'judge', ...report });
    const mass = report.mass === null ? '' : `, mass on the score tokens ${percent(report.mass)}`;
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

/** One query of the step, another at each: the first answered one from position `step` on. */
function pickSample({ step, samples }: StepResult): QueryReport | null {
  for (let offset = 0; offset < samples.length; offset++) {
    const sample = samples[(step + offset) % samples.length]!;
    if (sample.answers.length > 0) return sample;
  }
  return samples[step % samples.length] ?? null;
}

function sampleLines(sample: QueryReport | null): string[] {
  if (sample === null) return [];
  if (sample.query === null)
    return [`wrote   ${oneLine(sample.written)}`, `        rejected: ${sample.rejected ?? ''}`];
  const [answer] = sample.answers;
  const rewards = sample.answers.map(({ reward }) => show(reward)).join(' ');
  const quality = sample.answers.some((one) => one.quality !== null)
    ? `  quality ${sample.answers.map((one) => show(one.quality)).join(' ')}`
    : '';
  return [
    `query   ${oneLine(sample.query)}`,
    `answer  ${oneLine(answer?.text ?? '')}`,
    `rewards ${rewards}${quality}`,
  ];
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
    parts.push(`queries ${validQueries}/${queries} valid, ${percent(rest.duplicateShare ?? 0)} alike`);
  }
  return parts.join(' · ');
}

function roleWords(name: string, { length, entropy, kl, clippedShare }: RoleMetrics): string {
  const drift = kl === null ? '' : ` KL ${kl.toFixed(3)}`;
  return `${name} ${length.toFixed(0)} tokens (${percent(clippedShare)} cut) entropy ${entropy.toFixed(2)}${drift}`;
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
  ];
  const shown = parts
    .filter(([, bytes]) => bytes > 0)
    .map(([name, bytes]) => `${name} ${formatBytes(bytes)}`);
  return `Memory: at most ${formatBytes(memory.total)} (${shown.join(', ')})`;
}

function show(value: number | null): string {
  return value === null ? '–' : value.toFixed(2);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}
