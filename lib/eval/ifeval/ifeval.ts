/**
 * IFEval (Zhou et al. 2023, arXiv 2311.07911): 541 prompts with instructions that a program can verify, four metrics.
 *
 * The checks are those of the published evaluation, except where it asks a trained model (language, sentences);
 * docs/evaluations.md has the measured agreement.
 */
import { checkOptions, expectArray, expectOneOf, expectString, invalid } from '../../options';
import type { Prompt } from '../../model/types';
import { checkInstructions, IFEVAL_IDS, type IfevalItem } from '../../rewards/instructions';
import type { AnsweredItem, Evaluation, Generation, JudgeContext, ItemJudgement, Json } from '../evaluation';
import { HUB_DATA, readData } from '../data';
import { ifEvalMetrics, type IfEvalVerdict } from './metrics';

/** A row of the data. */
export interface IfEvalItem extends IfevalItem {
  /** The row's key. */
  readonly id: string;
  readonly prompt: string;
}

export interface IfEvalOptions {
  /** Path of the rows: `key`, `prompt`, `instruction_id_list`, `kwargs`. Default: the hub's google/IFEval. */
  data?: string;
  /** Ids of instructions that are not checked, e.g. `length_constraints:number_sentences`. Default: none. */
  exclude?: readonly string[];
}

export class IfEval implements Evaluation<IfEvalItem, IfEvalVerdict> {
  readonly name = 'ifeval';
  readonly items: readonly IfEvalItem[];
  readonly settings: Readonly<Record<string, Json>>;
  readonly generation: Generation = { maxNewTokens: 1280, temperature: 0, samples: 1 };
  readonly sampleRange = { max: 1 };
  readonly metrics = ifEvalMetrics();

  private constructor(items: readonly IfEvalItem[], exclude: readonly string[]) {
    this.items = items;
    this.settings = { exclude: [...exclude].sort() };
  }

  /**
   * A row whose instructions are all excluded is still asked, and counts as followed: nothing in it was not, as the
   * published evaluation would have it.
   * @throws LspError INVALID_ARGUMENT (a row of another shape, with its key; an unknown id), UNKNOWN_OPTION, IO_ERROR
   */
  static async load(options: IfEvalOptions = {}): Promise<IfEval> {
    const checked = checkOptions(options, ['data', 'exclude'], 'IfEval.load');
    const exclude = expectArray('exclude', checked.exclude ?? []).map((id) =>
      expectOneOf('exclude', id, IFEVAL_IDS),
    );
    const items = (await readData(checked.data, HUB_DATA.ifeval)).map((row, index) => readItem(row, index));
    const ids = new Set(items.map(({ id }) => id));
    if (ids.size < items.length) throw invalid('data', 'rows with different keys', 'equal ones');
    const left = items.map((item) => without(item, exclude));
    if (left.every((item) => item.instruction_id_list.length === 0)) {
      throw invalid('exclude', 'ids that leave an instruction to check', exclude);
    }
    return new IfEval(left, exclude);
  }

  prompt(item: IfEvalItem): Prompt {
    return [{ role: 'user', content: item.prompt }];
  }

  /** @throws LspError INVALID_ARGUMENT for more than one answer an item; the signal's reason */
  async judge(
    answered: readonly AnsweredItem<IfEvalItem>[],
    { signal }: JudgeContext,
  ): Promise<ItemJudgement<IfEvalVerdict>[]> {
    return answered.map(({ item, answers }) => {
      signal.throwIfAborted();
      const [answer] = answers;
      if (answer === undefined || answers.length > 1)
        throw invalid('samples', '1 for ifeval', answers.length);
      return { verdict: { ids: item.instruction_id_list, ...checkInstructions(item, answer.text) } };
    });
  }
}

function readItem(row: Readonly<Record<string, unknown>>, index: number): IfEvalItem {
  const { key } = row;
  if (typeof key !== 'string' && typeof key !== 'number') {
    throw invalid(`data[${index}].key`, 'a string or a number', key);
  }
  const item = {
    id: String(key),
    prompt: expectString(`data[${index}].prompt`, row.prompt, { allowEmpty: false }),
    instruction_id_list: row.instruction_id_list as string[],
    kwargs: row.kwargs as Record<string, unknown>[],
  };
  checkInstructions(item, ''); // a row that cannot be checked is found before anything is sampled
  return item;
}

function without(item: IfEvalItem, exclude: readonly string[]): IfEvalItem {
  const kept = item.instruction_id_list.flatMap((id, index) => (exclude.includes(id) ? [] : [index]));
  return {
    ...item,
    instruction_id_list: kept.map((index) => item.instruction_id_list[index]!),
    kwargs: kept.map((index) => item.kwargs[index]!),
  };
}
