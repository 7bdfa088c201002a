/** One evaluation of a model, and of another to compare with, from options to what is printed. */
import { isDeepStrictEqual } from 'node:util';
import { join } from 'node:path';
import {
  compareVerdicts,
  evaluationConfig,
  readVerdicts,
  runEvaluation,
  summaryOf,
  type EvaluationResult,
  type Json,
  type RunEvaluationOptions,
} from '../../eval';
import { namesIn } from '../../disk/files';
import { BUNDLED_MODEL } from '../../model/formats';
import { LanguageModel } from '../../model/language-model';
import { expectInteger } from '../../options';
import { shortName } from '../local-model';
import type { Output } from '../output';
import { stopOnSignals } from '../signals';
import { checkUsage, Exit } from '../usage';
import { progressLine } from './progress';
import type { AnyEvaluation, EvaluationCommand } from './spec';
import { findSubject, type Subject } from './subject';
import { comparisonTable, metricTable } from './tables';

export interface EvalFlags {
  model: string;
  /** On `model`, not on `against`: the model alone may be what it is compared with. */
  adapter?: string;
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

type Verdicts = ReadonlyMap<string, Json>;

class EvalSession {
  constructor(
    private readonly evaluation: AnyEvaluation,
    private readonly flags: EvalFlags,
    private readonly output: Output,
    private readonly signal: AbortSignal,
  ) {}

  async run(): Promise<void> {
    const { against, model, out, adapter } = this.flags;
    checkUsage(() => evaluationConfig(this.evaluation, this.#options()));
    // Whatever is wrong with one of the two is said before either is evaluated.
    const subject = await this.#find(model, out, adapter);
    const before = against === undefined ? null : await this.#before(against, subject);
    const result = await this.#evaluate(subject);
    const differences = before && compareVerdicts(this.evaluation, before, result.verdicts);
    const { folder } = subject;
    this.output.value({ ...summaryOf(result), out: folder, ...(differences && { against, differences }) });
    for (const line of metricTable(result.metrics)) this.output.line(line);
    if (differences) {
      this.output.line();
      this.output.line(this.output.bold(`${subject.name} against ${shortName(against!)}, on the same items`));
      for (const line of comparisonTable(differences)) this.output.line(line);
    }
    this.output.line();
    this.output.line(`Items:     ${join(folder, 'results.jsonl')}`);
    if (result.failed.length > 0) throw new Exit(1);
  }

  /** Verdicts to compare with: an earlier evaluation's, or those of a model that is evaluated now. */
  async #before(against: string, subject: Subject): Promise<Verdicts> {
    if (against !== BUNDLED_MODEL && (await isResultsFolder(against))) {
      const { verdicts, config } = await readVerdicts(this.evaluation, against);
      const { seed: _, ...sampled } = config.generation;
      const { seed: __, ...sampling } = subject.config.generation;
      if (!isDeepStrictEqual(sampled, JSON.parse(JSON.stringify(sampling)))) {
        this.output.warn(
          `the answers in ${against} were sampled with ${JSON.stringify(sampled)}, these with ` +
            `${JSON.stringify(sampling)}: the difference is not the models' alone.`,
        );
      }
      return verdicts;
    }
    const result = await this.#evaluate(await this.#find(against, undefined));
    return result.verdicts;
  }

  #find(source: string, out: string | undefined, adapter?: string): Promise<Subject> {
    return findSubject(
      source,
      this.evaluation,
      { options: this.#options(), out, adapter },
      { output: this.output, signal: this.signal },
    );
  }

  async #evaluate({ name, path, adapter, folder, options, config }: Subject): Promise<EvaluationResult> {
    const { evaluation, output, signal, flags } = this;
    await using model = await LanguageModel.load(path, {
      signal,
      ...(adapter !== undefined && { adapter }),
      ...(flags.threads !== undefined && { threads: flags.threads }),
    });
    output.note(`${evaluation.name}: ${config.count} items, ${name}`);
    const onProgress = progressLine(output);
    const result = (await runEvaluation(evaluation, model, {
      ...options,
      out: folder,
      signal,
      onProgress,
    })) as EvaluationResult;
    output.endProgress();
    this.#reportMissing(result, name);
    return result;
  }

  #options(): RunEvaluationOptions {
    const { limit, maxNewTokens, temperature, samples, seed } = this.flags;
    return {
      ...(limit !== undefined && { limit }),
      ...(maxNewTokens !== undefined && { maxNewTokens }),
      ...(temperature !== undefined && { temperature }),
      ...(samples !== undefined && { samples }),
      ...(seed !== undefined && { seed }),
    };
  }

  #reportMissing({ failed, unasked }: EvaluationResult, name: string): void {
    if (unasked.length > 0) {
      const prompts =
        unasked.length === 1
          ? '1 prompt leaves no room, and counts with an empty answer'
          : `${unasked.length} prompts leave no room, and count with empty answers`;
      const ids = `${unasked.slice(0, 5).join(', ')}${unasked.length > 5 ? ', …' : ''}`;
      this.output.warn(`In the context of ${name} ${prompts}: ${ids}.`);
    }
    if (failed.length === 0) return;
    for (const { id, reason } of failed.slice(0, 5)) this.output.warn(`${id} was not judged: ${reason}.`);
    const more = failed.length > 5 ? ` (${failed.length - 5} more like these)` : '';
    const items = failed.length === 1 ? '1 item was' : `${failed.length} items were`;
    this.output.warn(`${items} not judged${more}. The same command tries again.`);
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
