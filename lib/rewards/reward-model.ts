/**
 * A reward model: a language model's body under a head that scores a whole conversation, trained on which of two
 * answers people prefer (Bradley and Terry 1952; Ouyang et al. 2022, equation 1). The Skywork-Reward family is of
 * this kind, and transformers calls it sequence classification.
 */
import { LspError } from '../errors';
import { loadModel, LOAD_OPTION_NAMES, type LoadedModel, type LoadOptions } from '../model/loading';
import { checkSequences } from '../model/generate-options';
import type { Tokenizer } from '../model/tokenizer';
import type { ChatMessage, ModelConfig } from '../model/types';
import type { NativeModel } from '../native/addon';
import { withSignal } from '../native/call';
import { checkOptions, expectArray, expectNumber, expectSignal, expectString } from '../options';
import type { Reward, RewardContext, Sample } from './reward';

export interface RewardModelOptions extends LoadOptions {
  /**
   * A reward is σ(score / scale), in (0, 1). Default 10, since the scores of Skywork's models spread over tens: where
   * σ saturates, the answers of a group are worth the same and nothing is learnt. Above 0.
   */
  scale?: number;
  /** Shown in messages; default `reward-model`. */
  name?: string;
}

/** What `load` needs beside the model. */
interface Settings {
  scale: number;
  name: string;
}

/**
 * Scores conversations. As a `Reward` it scores the Solver's prompt followed by the answer; the text of messages never
 * becomes special tokens, so that an answer cannot end its own turn.
 */
export class RewardModel implements Reward, AsyncDisposable {
  readonly name: string;
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  /** A reward is σ(score / scale). */
  readonly scale: number;
  readonly #native: NativeModel;
  #disposal: Promise<void> | undefined;

  private constructor({ native, config, tokenizer }: LoadedModel, { scale, name }: Settings) {
    this.#native = native;
    this.config = config;
    this.tokenizer = tokenizer;
    this.scale = scale;
    this.name = name;
  }

  /**
   * Loads a model for sequence classification with one output, e.g. `LlamaForSequenceClassification`.
   *
   * @param source a Hugging Face directory, or a hub id
   * @throws LspError IO_ERROR, HUB_UNAVAILABLE, HUB_REFUSED, INVALID_MODEL_FILE, UNSUPPORTED_MODEL (a language model, or more than one output),
   *   OUT_OF_MEMORY, INVALID_ARGUMENT, UNKNOWN_OPTION, NATIVE_LOAD_FAILED; the signal's reason when aborted
   */
  static async load(source: string, options: RewardModelOptions = {}): Promise<RewardModel> {
    const checked = checkOptions(options, [...LOAD_OPTION_NAMES, 'scale', 'name'], 'RewardModel.load');
    const { scale = 10, name = 'reward-model', ...loadOptions } = checked;
    const settings = {
      scale: expectNumber('scale', scale, { above: 0 }),
      name: expectString('name', name, { allowEmpty: false }),
    };
    const loaded = await loadModel(source, loadOptions, 'score');
    if (loaded.config.scoreLabels === 1) return new RewardModel(loaded, settings);
    await loaded.native.dispose();
    throw new LspError(
      'UNSUPPORTED_MODEL',
      `Expected a scoring head of one output but that of ${source} has ${loaded.config.scoreLabels}.`,
      { remedy: 'Give a reward model: a classifier of several labels tells no better from worse.' },
    );
  }

  /**
   * Scores of token sequences, unbounded, higher is better. As in transformers, padding tokens at the end do not
   * count: the score is that of the last other token.
   *
   * @param sequences token ids, at least one each
   * @returns one number each
   * @throws LspError INVALID_ARGUMENT, PROMPT_TOO_LONG, DISPOSED; the signal's reason when aborted
   */
  async scoreTokens(sequences: readonly Int32Array[], options?: { signal?: AbortSignal }): Promise<number[]> {
    const { signal: given } = checkOptions(options, ['signal'], 'scoreTokens');
    const signal = expectSignal('signal', given);
    const checked = checkSequences('sequences', sequences, this.config);
    const native = this.#usable();
    signal?.throwIfAborted();
    if (checked.length === 0) return [];
    const unpadded = checked.map((sequence) => withoutPadding(sequence, this.config.padTokenId));
    const scores = await withSignal(signal, (handle) => native.scoreLast(unpadded, handle));
    return scores.map(([score]) => score!);
  }

  /**
   * Scores of conversations that end with the assistant's answer, each through the model's chat template.
   * @throws LspError as `scoreTokens`, and INVALID_CHAT_TEMPLATE
   */
  async scoreChats(
    conversations: readonly (readonly ChatMessage[])[],
    options?: { signal?: AbortSignal },
  ): Promise<number[]> {
    expectArray('conversations', conversations);
    const encoded = conversations.map((messages) =>
      this.tokenizer.encodeChat(messages, { addGenerationPrompt: false }),
    );
    return this.scoreTokens(encoded, options);
  }

  /** σ(score / scale) of each answer after its prompt; null for one that does not fit into the model's context. */
  async score(samples: Sample[], context?: RewardContext): Promise<(number | null)[]> {
    const encoded = samples.map(({ messages, answer }) =>
      this.tokenizer.encodeChat([...messages, { role: 'assistant', content: answer }], {
        addGenerationPrompt: false,
      }),
    );
    const fits = (tokens: Int32Array) => tokens.length <= this.config.maxPositions;
    const scores = await this.scoreTokens(encoded.filter(fits), context && { signal: context.signal });
    let next = 0;
    return encoded.map((tokens) => (fits(tokens) ? 1 / (1 + Math.exp(-scores[next++]! / this.scale)) : null));
  }

  /** Frees everything, after the operations under way. Idempotent. */
  async dispose(): Promise<void> {
    this.#disposal ??= this.#native.dispose();
    return this.#disposal;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  #usable(): NativeModel {
    if (!this.#disposal) return this.#native;
    throw new LspError('DISPOSED', 'Expected a reward model in use but it has been disposed.', {
      remedy: 'Load the model again, or dispose it later.',
    });
  }
}

/** Up to the last token that is no padding; a sequence of padding alone is scored at its first token. */
function withoutPadding(sequence: Int32Array, padTokenId: number | null): Int32Array {
  if (padTokenId === null) return sequence;
  const last = sequence.findLastIndex((id) => id !== padTokenId);
  return sequence.subarray(0, Math.max(last, 0) + 1);
}
