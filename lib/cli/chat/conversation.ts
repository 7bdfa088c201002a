/**
 * A conversation with a model: what was said, what of it still fits into the context, and the next answer. It knows
 * neither terminals nor files.
 */
import { LspError } from '../../errors';
import type { ChatMessage, Completion, FinishReason, GenerateOptions, Prompt } from '../../model/types';

/** What a conversation needs of a language model. */
export interface ChatModel {
  readonly config: { readonly maxPositions: number };
  readonly tokenizer: { encodeChat(messages: readonly ChatMessage[]): Int32Array };
  stream(prompt: Prompt, options?: GenerateOptions): AsyncGenerator<string, Completion, undefined>;
}

export interface ChatSampling {
  temperature: number;
  topK: number;
  topP: number;
  maxNewTokens: number;
  seed: number;
}

export interface Answer {
  role: 'assistant';
  content: string;
  /** Ids of the sampled tokens; null for an answer that was stopped. */
  tokens: number[] | null;
  finishReason: FinishReason | 'interrupted';
  /** Tokens of everything that was before the answer. */
  promptTokens: number;
  /** Messages that were left out for good to make this one fit. */
  forgotten: number;
}

export interface Listener {
  /** Text of the answer as it comes. */
  onPiece(piece: string): void;
  /** Old messages are left out, before the answer begins. */
  onForget(messages: number): void;
}

export class Conversation {
  readonly #model: ChatModel;
  readonly #sampling: ChatSampling;
  #system: ChatMessage[] = [];
  /** Questions and answers by turns, the forgotten ones too: they are still what was said. */
  #messages: ChatMessage[] = [];
  /** The first message that the model is still shown. */
  #remembered = 0;
  /** Answers begun: each has a random stream of its own, so that a question asked again may be answered anew. */
  #asked = 0;

  /** @throws LspError if the model has no chat template, or one that takes no system message */
  constructor(model: ChatModel, sampling: ChatSampling, system?: string) {
    this.#model = model;
    this.#sampling = sampling;
    this.setSystem(system);
  }

  /** All that was said, the system message first. */
  get messages(): readonly ChatMessage[] {
    return [...this.#system, ...this.#messages];
  }

  /** Tokens that the model can be shown, the answer included. */
  get contextTokens(): number {
    return this.#model.config.maxPositions;
  }

  /** Tries the chat template with it; after a failure the old system message holds. */
  setSystem(content: string | undefined): void {
    const system = content === undefined ? [] : [{ role: 'system', content }];
    this.#model.tokenizer.encodeChat([...system, { role: 'user', content: 'Hello' }]);
    this.#system = system;
  }

  /** Forgets what was said, but for the system message. */
  reset(): void {
    this.#messages = [];
    this.#remembered = 0;
  }

  /**
   * The answer to a message. An answer that the signal stops is kept as far as it came; if nothing came, or after a
   * failure, the message counts as not sent.
   *
   * @throws LspError PROMPT_TOO_LONG for a message that does not fit by itself, and what `stream` throws
   */
  async ask(content: string, listener: Listener, signal: AbortSignal): Promise<Answer> {
    const question = { role: 'user', content };
    const { ids, remembered, maxNewTokens } = this.#fit(question);
    const forgotten = remembered - this.#remembered;
    this.#remembered = remembered;
    if (forgotten > 0) listener.onForget(forgotten);
    const { temperature, topK, topP, seed } = this.#sampling;
    const stream = this.#model.stream(ids, {
      ...{ temperature, topK, topP, seed, maxNewTokens, signal },
      streamIds: [[this.#asked++]],
    });
    let text = '';
    let completion: Completion | undefined;
    try {
      let step = await stream.next();
      for (; !step.done; step = await stream.next()) {
        text += step.value;
        listener.onPiece(step.value);
      }
      completion = step.value;
    } catch (error) {
      if (!signal.aborted || error !== signal.reason) throw error;
    }
    if (completion || text !== '') this.#messages.push(question, { role: 'assistant', content: text });
    return {
      role: 'assistant',
      content: text,
      tokens: completion ? Array.from(completion.tokens) : null,
      finishReason: completion?.finishReason ?? 'interrupted',
      promptTokens: ids.length,
      forgotten,
    };
  }

  /** Leaves out the oldest turns until the answer has its room; a message alone may leave it less. */
  #fit(question: ChatMessage): { ids: Int32Array; remembered: number; maxNewTokens: number } {
    const { maxNewTokens } = this.#sampling;
    for (let remembered = this.#remembered; ; remembered += 2) {
      const shown = [...this.#system, ...this.#messages.slice(remembered), question];
      const ids = this.#model.tokenizer.encodeChat(shown);
      const room = this.contextTokens - ids.length;
      if (room >= maxNewTokens) return { ids, remembered, maxNewTokens };
      if (remembered < this.#messages.length) continue;
      if (room >= 1) return { ids, remembered, maxNewTokens: room };
      throw new LspError(
        'PROMPT_TOO_LONG',
        `Expected fewer than ${this.contextTokens} tokens, the context of the model, for the message` +
          `${this.#system.length > 0 ? ' and the system message' : ''} but received ${ids.length}.`,
        { remedy: 'Send a shorter one.' },
      );
    }
  }
}
