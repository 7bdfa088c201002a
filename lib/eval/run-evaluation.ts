/**
 * Runs any evaluation on any model: samples answers, has them judged, keeps both on the disk as they come, and sums up.
 * An evaluation that was interrupted goes on where it stopped, with the same results as one that was not: which random
 * numbers an answer is sampled with depends on its item alone.
 */
import { createHash } from 'node:crypto';
import {
  checkOptions,
  expectArray,
  expectFunction,
  expectInteger,
  expectNumber,
  expectSignal,
  expectString,
  expectUint64,
  invalid,
} from '../options';
import type { PolicyModel } from '../learn/policy';
import type { Prompt } from '../model/types';
import type { Answer, Evaluation, EvaluationItem, Generation, Json } from './evaluation';
import { type EvaluationConfig, promptOfRecord, type ResultRecord, ResultsFolder } from './results-folder';
import { type Estimate, estimate } from './statistics';

export interface EvaluationProgress {
  /** Items answered, and judged, of all. */
  answered: number;
  judged: number;
  /** Of the answers being sampled just now, the share that is done, as a number of items. */
  underWay: number;
  total: number;
}

export interface RunEvaluationOptions extends Partial<Generation> {
  /** Folder for the results; goes on with what is there. Without one, nothing is kept. */
  out?: string;
  /** Only the first so many items. */
  limit?: number;
  /** Default 0. */
  seed?: number | bigint;
  /** What identifies the model in the results; two runs in one folder must agree on it. */
  model?: Json;
  /**
   * Most items sampled and judged at a time, default 64. Fewer where they take long: what an interruption loses is to be
   * about half a minute's work. Results do not depend on it.
   */
  batchSize?: number;
  signal?: AbortSignal;
  onProgress?: (progress: EvaluationProgress) => void;
}

export interface EvaluationResult<Verdict extends Json = Json> {
  config: EvaluationConfig;
  /** One estimate a metric, in the evaluation's order. */
  metrics: Estimate[];
  /** Verdicts by item, in the order of the items; those of failed items are missing. */
  verdicts: Map<string, Verdict>;
  /** Items that could not be judged; they are tried again when the evaluation is run again in the same folder. */
  failed: { id: string; reason: string }[];
  /** Items whose prompt leaves no room in the model's context: they were judged on empty answers. */
  unasked: string[];
}

const OPTION_NAMES = [
  'out',
  'limit',
  'seed',
  'model',
  'batchSize',
  'signal',
  'onProgress',
  'maxNewTokens',
  'temperature',
  'samples',
  'stop',
];

/**
 * @throws LspError INVALID_ARGUMENT (also for a folder with other results), UNKNOWN_OPTION, IO_ERROR; whatever the
 *   model and the judge throw; the signal's reason when aborted. What was answered and judged by then is kept.
 */
export async function runEvaluation<Item extends EvaluationItem, Verdict extends Json>(
  evaluation: Evaluation<Item, Verdict>,
  model: PolicyModel,
  options: RunEvaluationOptions = {},
): Promise<EvaluationResult<Verdict>> {
  const settled = settle(evaluation, options);
  const folder = settled.out === undefined ? null : await ResultsFolder.open(settled.out, settled.config);
  try {
    const run = new EvaluationRun(evaluation, model, settled, folder);
    await run.restore();
    await run.work();
    const result = run.result();
    await folder?.writeSummary(summaryOf(result));
    return result;
  } finally {
    await folder?.close();
  }
}

/**
 * What decides the results of an evaluation with these options, as it would stand in its folder.
 * @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION
 */
export function evaluationConfig<Item extends EvaluationItem, Verdict extends Json>(
  evaluation: Evaluation<Item, Verdict>,
  options: RunEvaluationOptions = {},
): EvaluationConfig {
  return settle(evaluation, options).config;
}

/** The part of a result that is for the record. */
export function summaryOf({ config, metrics, failed, unasked, verdicts }: EvaluationResult): object {
  return { ...config, judged: verdicts.size, metrics, failed, unasked };
}

interface Settled<Item> {
  items: readonly Item[];
  config: EvaluationConfig;
  generation: Generation;
  seed: bigint;
  batchSize: number;
  out: string | undefined;
  signal: AbortSignal;
  onProgress: ((progress: EvaluationProgress) => void) | undefined;
}

function settle<Item extends EvaluationItem, Verdict extends Json>(
  evaluation: Evaluation<Item, Verdict>,
  options: RunEvaluationOptions,
): Settled<Item> {
  const given = checkOptions(options, OPTION_NAMES, 'runEvaluation');
  const defaults = evaluation.generation;
  const stop = given.stop ?? defaults.stop;
  if (stop !== undefined) expectArray('stop', stop);
  const range = { min: 1, ...evaluation.sampleRange };
  const generation: Generation = {
    maxNewTokens: expectInteger('maxNewTokens', given.maxNewTokens ?? defaults.maxNewTokens, { min: 1 }),
    temperature: expectNumber('temperature', given.temperature ?? defaults.temperature, {
      min: 0,
      max: MOST_TEMPERATURE,
    }),
    samples: expectInteger('samples', given.samples ?? defaults.samples, range),
    ...(stop !== undefined && { stop }),
  };
  const limit = expectInteger('limit', given.limit ?? evaluation.items.length, { min: 1 });
  const items = evaluation.items.slice(0, limit);
  if (new Set(items.map(({ id }) => id)).size < items.length) {
    throw invalid('evaluation', 'items with ids of their own', 'equal ones');
  }
  const seed = expectUint64('seed', given.seed ?? 0);
  return {
    items,
    config: {
      format: 1,
      evaluation: evaluation.name,
      settings: evaluation.settings,
      items: createHash('sha256').update(JSON.stringify(items)).digest('hex'),
      count: items.length,
      model: given.model ?? null,
      generation: { ...generation, seed: String(seed) },
    },
    generation,
    seed,
    batchSize: expectInteger('batchSize', given.batchSize ?? 64, { min: 1 }),
    out: given.out === undefined ? undefined : expectString('out', given.out, { allowEmpty: false }),
    signal: expectSignal('signal', given.signal) ?? new AbortController().signal,
    onProgress: given.onProgress && expectFunction('onProgress', given.onProgress),
  };
}

/** What the engine takes. */
const MOST_TEMPERATURE = 1e6;

/** What an interruption may lose, and the items that the first batch has, before it is known how long they take. */
const BATCH_SECONDS = 30;
const FIRST_BATCH = 16;

interface AskedItem<Item> {
  item: Item;
  index: number;
  prompt: Prompt;
  /** Most tokens of its answer: what is asked for, or what the context has room for; 0 for none. */
  room: number;
}

class EvaluationRun<Item extends EvaluationItem, Verdict extends Json> {
  readonly #answers = new Map<string, Answer[]>();
  readonly #verdicts = new Map<string, Verdict>();
  readonly #failures = new Map<string, string>();

  constructor(
    private readonly evaluation: Evaluation<Item, Verdict>,
    private readonly model: PolicyModel,
    private readonly settled: Settled<Item>,
    private readonly folder: ResultsFolder | null,
  ) {}

  /** Takes up what the folder holds. */
  async restore(): Promise<void> {
    if (!this.folder) return;
    const known = new Set(this.settled.items.map(({ id }) => id));
    for (const { id, answers } of await this.folder.readAnswers()) {
      if (known.has(id)) this.#answers.set(id, answers);
    }
    for (const { id, verdict } of await this.folder.readResults()) {
      if (known.has(id)) this.#verdicts.set(id, verdict as Verdict);
    }
  }

  /** Samples batch after batch, while the batch before is being judged. */
  async work(): Promise<void> {
    const { items, batchSize } = this.settled;
    this.#report(0);
    const open = items
      .map((item, index) => ({ item, index }))
      .filter(({ item }) => !this.#verdicts.has(item.id));
    let judging: Promise<void> = Promise.resolve();
    let size = Math.min(FIRST_BATCH, batchSize);
    try {
      for (let start = 0; start < open.length;) {
        const batch = open.slice(start, start + size);
        start += size;
        const fresh = batch.filter(({ item }) => !this.#answers.has(item.id));
        const began = performance.now();
        await this.#sample(fresh);
        if (fresh.length > 0) size = sizeFor((1000 * fresh.length) / (performance.now() - began), batchSize);
        await judging;
        judging = this.#judge(batch.map(({ item }) => item));
        // Awaited above or below; until then a rejection is nobody's surprise.
        judging.catch(() => undefined);
      }
    } finally {
      // What was being judged when sampling failed or was aborted may still be had.
      await judging.catch((error: unknown) => {
        if (!this.settled.signal.aborted) throw error;
      });
    }
    this.settled.signal.throwIfAborted();
  }

  result(): EvaluationResult<Verdict> {
    const { items, config } = this.settled;
    const verdicts = new Map<string, Verdict>();
    const failed: { id: string; reason: string }[] = [];
    const unasked: string[] = [];
    for (const { id } of items) {
      const verdict = this.#verdicts.get(id);
      if (verdict !== undefined) verdicts.set(id, verdict);
      else failed.push({ id, reason: this.#failures.get(id) ?? 'unknown' });
      // No sampled answer is without a token: where its text is empty, the token that ended it is counted.
      if (this.#answers.get(id)?.every(({ tokens }) => tokens === 0)) unasked.push(id);
    }
    const all = [...verdicts.values()];
    return {
      config,
      verdicts,
      failed,
      unasked,
      metrics: this.evaluation.metrics.map((metric) => estimate(metric, all)),
    };
  }

  /**
   * Those with the same room together; a prompt that leaves none gets empty answers. Recorded in the order of the items:
   * how they are cut into batches depends on the pace, the file does not.
   */
  async #sample(batch: readonly { item: Item; index: number }[]): Promise<void> {
    const asked = batch.map((one) => this.#ask(one));
    const sampled = new Map<string, Answer[]>();
    for (const room of new Set(asked.map((one) => one.room))) {
      const alike = asked.filter((one) => one.room === room);
      const answers = room > 0 ? await this.#generate(alike, room) : alike.map(() => this.#noAnswers());
      alike.forEach(({ item }, i) => sampled.set(item.id, answers[i]!));
    }
    const records = batch.map(({ item: { id } }) => ({ id, answers: sampled.get(id)! }));
    await this.folder?.answers.append(...records);
    for (const { id, answers } of records) this.#answers.set(id, answers);
    this.#report(0);
  }

  async #generate(asked: readonly AskedItem<Item>[], room: number): Promise<Answer[][]> {
    const { generation, seed, signal } = this.settled;
    const { samples } = generation;
    const completions = await this.model.generate(
      asked.map(({ prompt }) => prompt),
      {
        ...generation,
        maxNewTokens: room,
        seed,
        streamIds: asked.map(({ index }) => Array.from({ length: samples }, (_, i) => index * samples + i)),
        signal,
        onProgress: ({ finished, total }) => this.#report((finished / total) * asked.length),
      },
    );
    return completions.map((group) =>
      group.map(({ text, finishReason, tokens }) => ({ text, finishReason, tokens: tokens.length })),
    );
  }

  #noAnswers(): Answer[] {
    const none: Answer = { text: '', finishReason: 'length', tokens: 0 };
    return Array.from({ length: this.settled.generation.samples }, () => none);
  }

  #ask({ item, index }: { item: Item; index: number }): AskedItem<Item> {
    const prompt = this.evaluation.prompt(item);
    const { tokenizer, config } = this.model;
    const tokens =
      prompt instanceof Int32Array
        ? prompt.length
        : typeof prompt === 'string'
          ? tokenizer.encode(prompt, { addSpecial: true }).length + 1 // a BOS that only prompts get
          : tokenizer.encodeChat(prompt).length;
    const room = Math.max(0, Math.min(this.settled.generation.maxNewTokens, config.maxPositions - tokens));
    return { item, index, prompt, room };
  }

  async #judge(items: readonly Item[]): Promise<void> {
    const answered = items
      .filter(({ id }) => this.#answers.has(id))
      .map((item) => ({ item, answers: this.#answers.get(item.id)! }));
    if (answered.length === 0) return;
    const judgements = await this.evaluation.judge(answered, { signal: this.settled.signal });
    if (judgements.length !== answered.length) {
      throw invalid('judge', `${answered.length} judgements`, judgements.length);
    }
    const records: ResultRecord[] = [];
    judgements.forEach((judgement, i) => {
      const { item, answers } = answered[i]!;
      if ('failed' in judgement) {
        this.#failures.set(item.id, judgement.failed);
        return;
      }
      records.push({
        id: item.id,
        prompt: promptOfRecord(this.evaluation.prompt(item)),
        answers: [...answers],
        verdict: judgement.verdict,
      });
      this.#verdicts.set(item.id, judgement.verdict);
    });
    await this.folder?.results.append(...records);
    this.#report(0);
  }

  #report(underWay: number): void {
    this.settled.onProgress?.({
      answered: this.#answers.size,
      judged: this.#verdicts.size,
      underWay,
      total: this.settled.items.length,
    });
  }
}

/** Items of a batch that takes about half a minute at this pace. */
function sizeFor(itemsPerSecond: number, most: number): number {
  return Math.max(1, Math.min(most, Math.round(itemsPerSecond * BATCH_SECONDS)));
}
