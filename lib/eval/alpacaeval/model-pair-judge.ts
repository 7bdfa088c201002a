/** A judge of pairs that is a model of this process: one forward pass tells how likely each letter comes next. */
import type { PolicyModel } from '../../learn/policy';
import { checkOptions, expectString, invalid } from '../../options';
import type { JudgeContext, Json } from '../evaluation';
import type { AnswerPair, PairJudge, PairJudgement } from './pair-judge';
import { LETTERS, PAIR_PROMPT_VERSION, pairMessages } from './pair-prompt';

export interface ModelPairJudgeOptions {
  /** What identifies the model in results, e.g. its path. Default 'model'. */
  name?: string;
}

/**
 * Preference p(A) / (p(A) + p(B)) for the first token of the judge's turn. The texts of the pair never become special
 * tokens. A pair that does not fit the context is not judged.
 */
export class ModelPairJudge implements PairJudge {
  readonly name: string;
  readonly settings: Readonly<Record<string, Json>>;
  readonly #model: PolicyModel;
  readonly #letters: Int32Array;

  /** @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION */
  constructor(model: PolicyModel, options: ModelPairJudgeOptions = {}) {
    const given = checkOptions(options, ['name'], 'ModelPairJudge');
    this.name = `model:${expectString('name', given.name ?? 'model', { allowEmpty: false })}`;
    this.settings = { prompt: PAIR_PROMPT_VERSION };
    this.#model = model;
    this.#letters = Int32Array.from(LETTERS, (letter) => {
      const tokens = model.tokenizer.encode(letter);
      if (tokens.length === 1) return tokens[0]!;
      throw invalid('model', `a model whose tokenizer has one token for \`${letter}\``, model);
    });
  }

  async compare(pairs: readonly AnswerPair[], { signal }: JudgeContext): Promise<PairJudgement[]> {
    signal.throwIfAborted();
    const prompts = pairs.map((pair) => this.#model.tokenizer.encodeChat(pairMessages(pair)));
    const room = this.#model.config.maxPositions;
    const fitting = prompts.filter((prompt) => prompt.length <= room);
    const scores =
      fitting.length > 0 ? await this.#model.nextLogprobs(fitting, this.#letters, { signal }) : [];
    let next = 0;
    return prompts.map((prompt): PairJudgement => {
      if (prompt.length > room) {
        return { failed: `the pair has ${prompt.length} tokens, the judge's context ${room}` };
      }
      const [first = NaN, second = NaN] = scores[next++]!;
      const preference = 1 / (1 + Math.exp(second - first));
      return Number.isNaN(preference) ? { failed: 'the judge gave no probability' } : { preference };
    });
  }
}
