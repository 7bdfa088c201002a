/** One evaluation of a model, and of another to compare with, from options to what is printed. */
import { createHash } from 'node:crypto';
import { join, resolve } from 'node:path';
import { LspError } from '../../errors';
import { compareVerdicts, evaluationConfig, readVerdicts, runEvaluation } from '../../eval';
import type { EvaluationProgress, EvaluationResult, RunEvaluationOptions } from '../../eval';
import { summaryOf } from '../../eval/run-evaluation';
import { namesIn } from '../../disk/files';
import { fingerprintModel } from '../../model/fingerprint';
import { pathOfSource } from '../../model/formats';
import { LanguageModel } from '../../model/language-model';
import { expectInteger } from '../../options';
import { localModel, shortName } from '../local-model';
import { formatDuration, type Output } from '../output';
import { stopOnSignals } from '../signals';
import { checkUsage, Exit, UsageError } from '../usage';
import { comparisonTable, metricTable } from './tables';
import type { AnyEvaluation, EvaluationCommand } from './spec';

export interface EvalFlags {
  model: string;
  against?: string;
  out?: string;
  limit?: number;
  maxNewTokens?: number;
  temperature?: number;
  samples?: number;
  seed?: number;
  threads?: number;
  /** Of evaluations whose judge costs something: only tell how much. */
  estimate?: boolean;
  json?: boolean;
}

/** @throws Interrupted after a signal, Exit(1) when items could not be judged, LspError */
export async function evaluate(command: EvaluationCommand, flags: EvalFlags, output: Output): Promise<void> {
  if (flags.threads !== undefined) {
    checkUsage(() => expectInteger('threads', flags.threads, { min: 1, max: 256 }));
  }
  const stopper = stopOnSignals(() =>
    output.note('Stopping. The same command goes on where this one stops.'),
  );
  try {
    const { signal } = stopper;
    const opened = await command.open({ ...flags }, { signal, output, threads: flags.threads });
    try {
      const estimate = await opened.estimate?.(flags.limit);
      if (estimate) output.note(estimate.text);
      if (flags.estimate === true) {
        output.value({ estimate: estimate?.value ?? null });
        return;
      }
      await new EvalSession(opened.evaluation, flags, output, signal).run();
    } finally {
      await opened.close?.();
    }
  } finally {
    stopper.release();
  }
}

class EvalSession {
  constructor(
    private readonly evaluation: AnyEvaluation,
    private readonly flags: EvalFlags,
    private readonly output: Output,
    private readonly signal: AbortSignal,
  ) {}

  async run(): Promise<void> {
    const { against, model, out } = this.flags;
    checkUsage(() => evaluationConfig(this.evaluation, this.#options(null)));
    const before = against === undefined ? null : await this.#before(against);
    const { result, folder } = await this.#evaluate(model, out);
    const differences = before && compareVerdicts(this.evaluation, before, result.verdicts);
    this.output.value({ ...summaryOf(result), out: folder, ...(differences && { against, differences }) });
    for (const line of metricTable(result.metrics)) this.output.line(line);
    if (differences) {
      this.output.line();
      this.output.line(
        this.output.bold(`${shortName(model)} against ${shortName(against!)}, on the same items`),
      );
      for (const line of comparisonTable(differences)) this.output.line(line);
    }
    this.output.line();
    this.output.line(`Items:     ${join(folder, 'results.jsonl')}`);
    this.#reportFailures(result);
  }

  /** Verdicts to compare with: an earlier evaluation's, or those of a model that is evaluated now. */
  async #before(against: string): Promise<ReadonlyMap<string, never>> {
    if ((await isResultsFolder(against)) && against !== 'tiny') {
      return (await readVerdicts(this.evaluation, against)) as Map<string, never>;
    }
    const { result } = await this.#evaluate(against, undefined);
    return result.verdicts as Map<string, never>;
  }

  async #evaluate(
    source: string,
    out: string | undefined,
  ): Promise<{ result: EvaluationResult; folder: string }> {
    const { output, signal, evaluation, flags } = this;
    const path = await localModel(source, output, signal);
    const { files } = await fingerprintModel(pathOfSource(path), signal);
    const name = shortName(source);
    const options = this.#options({ name, files: files.map(({ file, sha256 }) => ({ file, sha256 })) });
    const folder = resolve(out ?? defaultFolder(evaluation, options, name));
    await using model = await LanguageModel.load(path, {
      signal,
      ...(flags.threads !== undefined && { threads: flags.threads }),
    });
    output.note(`${evaluation.name}: ${evaluationConfig(evaluation, options).count} items, ${name}`);
    const result = await runEvaluation(evaluation, model, {
      ...options,
      out: folder,
      signal,
      onProgress: progressLine(output),
    });
    output.endProgress();
    return { result: result, folder };
  }

  #options(model: RunEvaluationOptions['model']): RunEvaluationOptions {
    const { limit, maxNewTokens, temperature, samples, seed } = this.flags;
    return {
      ...(model !== undefined && { model }),
      ...(limit !== undefined && { limit }),
      ...(maxNewTokens !== undefined && { maxNewTokens }),
      ...(temperature !== undefined && { temperature }),
      ...(samples !== undefined && { samples }),
      ...(seed !== undefined && { seed }),
    };
  }

  #reportFailures({ failed }: EvaluationResult): void {
    if (failed.length === 0) return;
    for (const { id, reason } of failed.slice(0, 5)) this.output.warn(`${id} was not judged: ${reason}.`);
    const more = failed.length > 5 ? ` (${failed.length - 5} more like these)` : '';
    this.output.warn(`${failed.length} items were not judged${more}. The same command tries them again.`);
    throw new Exit(1);
  }
}

async function isResultsFolder(path: string): Promise<boolean> {
  try {
    const names = await namesIn(path);
    return names?.includes('results.jsonl') ?? false;
  } catch {
    return false; // a file: a model
  }
}

/** Named by what decides the results, so that the same command finds what it began. */
function defaultFolder(evaluation: AnyEvaluation, options: RunEvaluationOptions, model: string): string {
  const config = evaluationConfig(evaluation, options);
  const hash = createHash('sha256').update(JSON.stringify(config)).digest('hex').slice(0, 8);
  return join('evals', `${evaluation.name}-${model}-${hash}`);
}

/** Where there is no progress bar, a line is written whenever so large a share of the items is answered. */
const NOTED_SHARE = 0.1;

/** The progress bar with its text, or a line now and then; the time left by what was done since the first report. */
function progressLine(output: Output): (progress: EvaluationProgress) => void {
  let first: { done: number; ms: number } | undefined;
  let noted = 0;
  return ({ answered, judged, underWay, total }) => {
    const done = answered + underWay;
    first ??= { done, ms: performance.now() };
    const rate = (done - first.done) / Math.max(1, performance.now() - first.ms);
    const left = rate > 0 ? `, ${formatDuration((total - done) / rate / 1000)} left` : '';
    const text = `${answered}/${total} answered, ${judged} judged${left}`;
    output.progress(Math.min(1, done / total), text);
    if (output.drawsProgress || answered < noted + total * NOTED_SHARE) return;
    noted = answered;
    output.note(text);
  };
}

/** Refuses a combination of options, in the words of flags. */
export function refuse(message: string, remedy: string): never {
  throw new UsageError(new LspError('INVALID_ARGUMENT', message, { remedy }));
}
