/**
 * What an evaluation is: items, a prompt for each, a judge of the answers, and the metrics of the verdicts.
 *
 * An evaluation knows nothing of folders, resuming, progress or confidence intervals; `runEvaluation` does all of
 * that for any of them. Its verdicts are JSON, one an item, written to the disk as they are made, and the metrics are
 * functions of verdicts alone, so that results can be summed up and compared again without any model.
 */
import type { FinishReason, Prompt } from '../model/types';

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** One question of an evaluation. */
export interface EvaluationItem {
  /** Unique within the evaluation, and the same whenever the data are the same. */
  readonly id: string;
}

/** One sampled answer. */
export interface Answer {
  text: string;
  finishReason: FinishReason;
  /** Number of tokens. */
  tokens: number;
}

/** An item with the model's answers: as many as `generation.samples`. */
export interface AnsweredItem<Item extends EvaluationItem = EvaluationItem> {
  item: Item;
  answers: readonly Answer[];
}

/**
 * What a judge says of an item. `failed` is for what is no fault of the answer (an endpoint that is down): the item
 * stays open, is reported, and is judged again when the evaluation is run again.
 */
export type ItemJudgement<Verdict> = { verdict: Verdict } | { failed: string };

export interface JudgeContext {
  signal: AbortSignal;
}

/** How answers are sampled. */
export interface Generation {
  /** Most tokens of an answer. */
  maxNewTokens: number;
  /** 0 is greedy. */
  temperature: number;
  /** Answers an item. */
  samples: number;
  /** Strings that end an answer. */
  stop?: readonly string[];
}

/** A share in [0, 1] computed from verdicts. */
export interface Metric<Verdict> {
  /** In snake case, as it stands in results: `prompt_strict`. */
  readonly name: string;
  /** For people: `prompt-level, strict`. */
  readonly label: string;
  /** The share over some verdicts, or null where they do not tell (none of them is of this subset). Pure, and fast. */
  value(verdicts: readonly Verdict[]): number | null;
  /** How many of the verdicts it is about; all of them where this is missing. */
  count?(verdicts: readonly Verdict[]): number;
}

export interface Evaluation<Item extends EvaluationItem = EvaluationItem, Verdict extends Json = Json> {
  /** As in `lsp eval <name>`. */
  readonly name: string;
  readonly items: readonly Item[];
  /** What decides the verdicts besides the items and the answers (shots, the judge's model, …), for the record. */
  readonly settings: Readonly<Record<string, Json>>;
  /** The defaults of this evaluation; a caller may override each. */
  readonly generation: Generation;
  /** Numbers of answers an item that it can judge; any where this is missing. */
  readonly sampleRange?: { readonly min?: number; readonly max?: number };
  /** Metrics, the most important first. */
  readonly metrics: readonly Metric<Verdict>[];
  prompt(item: Item): Prompt;
  /**
   * One judgement an item, in the order given. Called with some tens of items at a time; may take long, and must end
   * soon after the signal aborts. Throws only for what makes going on useless (no sandbox, a wrong key).
   */
  judge(answered: readonly AnsweredItem<Item>[], context: JudgeContext): Promise<ItemJudgement<Verdict>[]>;
}
