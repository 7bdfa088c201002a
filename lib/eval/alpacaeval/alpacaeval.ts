/**
 * AlpacaEval (Li et al. 2023; Dubois et al. 2024, arXiv 2404.04475): 805 instructions of five kinds, each answered by a
 * baseline; a judge says which answer it prefers, and the candidate's share of wins is the result.
 *
 * Every pair is judged in both orders, since judges have a favourite place: one that always says "A" gets 50 %.
 */
import type { CallEstimate, EstimateOptions } from '../../endpoint/types';
import type { Prompt } from '../../model/types';
import { checkOptions, expectNumber, expectString, invalid, isRecord } from '../../options';
import type { AnsweredItem, Evaluation, Generation, JudgeContext, ItemJudgement, Json } from '../evaluation';
import { digestOfBaseline, readItems, type AlpacaEvalItem, type Baseline } from './data';
import { alpacaEvalMetrics, type AlpacaEvalVerdict } from './metrics';
import type { AnswerPair, PairJudge, PairJudgement } from './pair-judge';

export interface AlpacaEvalOptions {
  /**
   * Path of the rows: `instruction`, `dataset`, `output` (the baseline's answer), `generator`. Default: the hub's
   * tatsu-lab/alpaca_eval.
   */
  data?: string;
  judge: PairJudge;
  /**
   * Path of another baseline's answers: rows of the same form, or the `answers.jsonl` in the folder of an earlier
   * evaluation. Default: the `output` of the data.
   */
  baseline?: string;
  /** How hard each instruction is, by its text: used by the length-controlled win rate. Default: not known. */
  difficulties?: Readonly<Record<string, number>>;
}

export class AlpacaEval implements Evaluation<AlpacaEvalItem, AlpacaEvalVerdict> {
  readonly name = 'alpacaeval';
  readonly items: readonly AlpacaEvalItem[];
  readonly settings: Readonly<Record<string, Json>>;
  readonly generation: Generation = { maxNewTokens: 512, temperature: 0, samples: 1 };
  readonly metrics: ReturnType<typeof alpacaEvalMetrics>;
  readonly #judge: PairJudge;

  private constructor({ items, generator }: Baseline, judge: PairJudge) {
    this.items = items;
    this.metrics = alpacaEvalMetrics([...new Set(items.map(({ subset }) => subset))].sort());
    this.settings = {
      judge: judge.name,
      judgeSettings: judge.settings,
      orders: judge.orderFree === true ? 1 : 2,
      baseline: generator,
      baselineAnswers: digestOfBaseline(items),
    };
    this.#judge = judge;
  }

  /** @throws LspError INVALID_ARGUMENT (also for rows of another shape, or a baseline with gaps), UNKNOWN_OPTION, IO_ERROR */
  static async load(options: AlpacaEvalOptions): Promise<AlpacaEval> {
    const given = checkOptions(options, ['data', 'judge', 'baseline', 'difficulties'], 'AlpacaEval.load');
    const data =
      given.data === undefined ? undefined : expectString('data', given.data, { allowEmpty: false });
    const judge = expectJudge(given.judge);
    const baseline =
      given.baseline === undefined
        ? undefined
        : expectString('baseline', given.baseline, { allowEmpty: false });
    return new AlpacaEval(await readItems(data, baseline, readDifficulties(given.difficulties)), judge);
  }

  prompt(item: AlpacaEvalItem): Prompt {
    return [{ role: 'user', content: item.instruction }];
  }

  /**
   * Several answers to one item are judged one by one; the verdict is their mean.
   * @throws whatever the judge throws; the signal's reason when aborted
   */
  async judge(
    answered: readonly AnsweredItem<AlpacaEvalItem>[],
    { signal }: JudgeContext,
  ): Promise<ItemJudgement<AlpacaEvalVerdict>[]> {
    signal.throwIfAborted();
    const contests = answered.flatMap(({ item, answers }) => answers.map(({ text }) => ({ item, text })));
    const judgements = await this.#judge.compare(this.#pairs(contests), { signal });
    let next = 0;
    return answered.map(({ item, answers }) => {
      const verdicts = answers.map(({ text }): ItemJudgement<AlpacaEvalVerdict> => {
        const first = judgements[next++]!;
        const second = this.#judge.orderFree === true ? swapped(first) : judgements[next++]!;
        return verdictOf(item, text, first, second);
      });
      return meanOf(verdicts);
    });
  }

  /**
   * What judging would cost, before or in the middle of it; null for a judge that costs nothing. Of items that are not
   * answered yet, the answers are assumed to be as long as the baseline's.
   */
  async estimate(
    answered: readonly AnsweredItem<AlpacaEvalItem>[] = [],
    options?: EstimateOptions & { limit?: number },
  ): Promise<CallEstimate | null> {
    if (!this.#judge.estimate) return null;
    const { limit = this.items.length, ...rest } = options ?? {};
    const known = new Map(answered.map(({ item, answers }) => [item.id, answers]));
    const contests = this.items.slice(0, limit).flatMap((item) => {
      const answers = known.get(item.id);
      return answers ? answers.map(({ text }) => ({ item, text })) : [{ item, text: standIn(item) }];
    });
    return this.#judge.estimate(this.#pairs(contests), rest);
  }

  /** Each contest in both orders, one after the other, or in one if the order does not matter. */
  #pairs(contests: readonly { item: AlpacaEvalItem; text: string }[]): AnswerPair[] {
    return contests.flatMap(({ item: { instruction, baseline }, text }) => {
      const first = { instruction, first: text, second: baseline };
      return this.#judge.orderFree === true
        ? [first]
        : [first, { instruction, first: baseline, second: text }];
    });
  }
}

/** As long as the baseline's answer, but none: both orders are calls, and neither is in the cache. */
function standIn({ baseline }: AlpacaEvalItem): string {
  return '?'.repeat(baseline.length);
}

function swapped(judgement: PairJudgement): PairJudgement {
  return 'failed' in judgement ? judgement : { preference: 1 - judgement.preference };
}

/** @param second the judgement of the pair in which the candidate's answer came second */
function verdictOf(
  item: AlpacaEvalItem,
  text: string,
  first: PairJudgement,
  second: PairJudgement,
): ItemJudgement<AlpacaEvalVerdict> {
  if ('failed' in first) return { failed: first.failed };
  if ('failed' in second) return { failed: second.failed };
  const swappedPreference = 1 - second.preference;
  return {
    verdict: {
      subset: item.subset,
      preference: (first.preference + swappedPreference) / 2,
      firstOrder: first.preference,
      swapped: swappedPreference,
      lengthCandidate: codePoints(text),
      lengthBaseline: codePoints(item.baseline),
      ...(item.difficulty !== undefined && { difficulty: item.difficulty }),
    },
  };
}

function meanOf(judgements: readonly ItemJudgement<AlpacaEvalVerdict>[]): ItemJudgement<AlpacaEvalVerdict> {
  const verdicts: AlpacaEvalVerdict[] = [];
  for (const judgement of judgements) {
    if ('failed' in judgement) return judgement;
    verdicts.push(judgement.verdict);
  }
  const [verdict] = verdicts;
  if (verdict === undefined) return { failed: 'there is no answer' };
  const mean = (field: 'preference' | 'firstOrder' | 'swapped' | 'lengthCandidate') =>
    verdicts.reduce((sum, each) => sum + each[field], 0) / verdicts.length;
  return {
    verdict: {
      ...verdict,
      preference: mean('preference'),
      firstOrder: mean('firstOrder'),
      swapped: mean('swapped'),
      lengthCandidate: mean('lengthCandidate'),
    },
  };
}

/** As Python counts characters, which the published number is computed with. */
function codePoints(text: string): number {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

function expectJudge(value: unknown): PairJudge {
  if (isRecord(value) && typeof value.compare === 'function') return value as unknown as PairJudge;
  throw invalid('judge', 'an object with a method `compare`', value);
}

function readDifficulties(value: unknown): ReadonlyMap<string, number> | undefined {
  if (value === undefined) return undefined;
  if (!isRecord(value)) throw invalid('difficulties', 'an object of numbers by instruction', value);
  return new Map(Object.entries(value).map(([key, number]) => [key, expectNumber('difficulties', number)]));
}
