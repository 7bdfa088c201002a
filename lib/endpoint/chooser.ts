/**
 * Asks an endpoint to choose one of a few short words (a letter, a digit), and how sure it is.
 *
 * Where the server gives log-probabilities, the choice is a distribution over the words; where it does not, the word
 * that was written has all of it. A reply that is none of the words is asked for once more, with another seed and a
 * sharper instruction; then it is reported, and neither reply stays in the cache.
 */
import type { ChatMessage } from '../model/types';
import type { ChatEndpoint } from './chat-endpoint';
import type { ChatAnswer, ChatRequest } from './types';

export interface ChooserOptions {
  /** The words to choose from: single tokens of any vocabulary. */
  choices: readonly string[];
  /** Ask for log-probabilities; a server that refuses is asked without. */
  logprobs: boolean;
  /** Most tokens of a reply; 1 is enough for a model that does not think aloud. */
  maxTokens: number;
  /** Seed of the first attempt; the second one has the next. */
  seed: number;
}

/** `unreadable`: the endpoint replied twice, but with none of the words. */
export type Choice =
  { probabilities: number[]; from: 'logprobs' | 'text' } | { failed: string; unreadable: boolean };

/** A second reply may have more to strip away. */
const SECOND_ATTEMPT_TOKENS = 16;

/** Alternatives asked for: five for two letters, for servers of the first hour, otherwise all that may be had. */
const FEW = 5;
const MANY = 20;

export class Chooser {
  readonly #endpoint: ChatEndpoint;
  readonly #options: ChooserOptions;
  readonly #pattern: RegExp;
  #logprobs: boolean;

  constructor(endpoint: ChatEndpoint, options: ChooserOptions) {
    this.#endpoint = endpoint;
    this.#options = options;
    this.#pattern = replyPattern(options.choices);
    this.#logprobs = options.logprobs;
  }

  /**
   * One choice a prompt, in order.
   * @throws as `ChatEndpoint.complete`
   */
  async choose(prompts: readonly (readonly ChatMessage[])[], signal: AbortSignal): Promise<Choice[]> {
    const first = await this.#attempt(prompts, signal, 0);
    const again = unreadable(first.choices);
    if (again.length === 0) return first.choices;
    const sharper = again.map((index) => this.#sharper(prompts[index]!));
    const second = await this.#attempt(sharper, signal, 1);
    // Of no use twice: both are asked anew when this is run again.
    const useless = unreadable(second.choices).flatMap((i) => [
      first.requests[again[i]!]!,
      second.requests[i]!,
    ]);
    await this.#endpoint.forget(useless);
    again.forEach((index, i) => (first.choices[index] = second.choices[i]!));
    return first.choices;
  }

  /** The requests of the first attempt, for an estimate. */
  requests(prompts: readonly (readonly ChatMessage[])[]): ChatRequest[] {
    return prompts.map((messages) => this.#request(messages, 0, this.#logprobs));
  }

  async #attempt(
    prompts: readonly (readonly ChatMessage[])[],
    signal: AbortSignal,
    attempt: number,
  ): Promise<{ choices: Choice[]; requests: ChatRequest[] }> {
    const withLogprobs = this.#logprobs;
    const requests = prompts.map((messages) => this.#request(messages, attempt, withLogprobs));
    const outcomes = await this.#endpoint.complete(requests, { signal });
    if (withLogprobs) {
      // 400 and 422 are how servers say that they have no log-probabilities, among other things.
      const refused = outcomes.flatMap((outcome, index) =>
        'failed' in outcome && (outcome.status === 400 || outcome.status === 422) ? [index] : [],
      );
      const plain = refused.map((index) => this.#request(prompts[index]!, attempt, false));
      const replies = plain.length > 0 ? await this.#endpoint.complete(plain, { signal }) : [];
      replies.forEach((reply, i) => {
        if ('failed' in reply) return;
        this.#logprobs = false;
        requests[refused[i]!] = plain[i]!;
        outcomes[refused[i]!] = reply;
      });
    }
    const choices = outcomes.map((outcome) =>
      'failed' in outcome ? { failed: outcome.failed, unreadable: false } : this.#read(outcome.answer),
    );
    return { choices, requests };
  }

  #request(messages: readonly ChatMessage[], attempt: number, logprobs: boolean): ChatRequest {
    const { choices, maxTokens, seed } = this.#options;
    return {
      messages,
      maxTokens: attempt === 0 ? maxTokens : Math.max(maxTokens, SECOND_ATTEMPT_TOKENS),
      seed: seed + attempt,
      ...(logprobs && { topLogprobs: choices.length < FEW ? FEW : MANY }),
    };
  }

  #sharper(messages: readonly ChatMessage[]): ChatMessage[] {
    const last = messages.at(-1)!;
    const words = this.#options.choices.join(', ');
    const demand = `Write exactly one of these and nothing else, no explanation and no formatting: ${words}`;
    return [...messages.slice(0, -1), { ...last, content: `${last.content}\n\n${demand}` }];
  }

  #read(answer: ChatAnswer): Choice {
    const { choices } = this.#options;
    const text = answer.text.replace(/^\s*<think>[\s\S]*?<\/think>/, '');
    const written = this.#pattern.exec(text)?.[1]?.toLowerCase();
    const chosen = choices.findIndex((choice) => choice.toLowerCase() === written);
    if (chosen < 0) {
      const shown = JSON.stringify(answer.text.length > 60 ? `${answer.text.slice(0, 60)}…` : answer.text);
      return { failed: `a reply that is none of ${choices.join(', ')}: ${shown}`, unreadable: true };
    }
    const weighted = this.#weigh(answer, choices[chosen]!);
    if (weighted !== null) return { probabilities: weighted, from: 'logprobs' };
    return { probabilities: choices.map((_, index) => (index === chosen ? 1 : 0)), from: 'text' };
  }

  /**
   * p(c) / Σ p(c') over the choices among the alternatives of the token that is the choice, the last such token (what
   * comes before it may be thoughts). Null without log-probabilities.
   */
  #weigh(answer: ChatAnswer, chosen: string): number[] | null {
    const { choices } = this.#options;
    const token = answer.tokens?.findLast(({ token: text }) => text.trim() === chosen);
    if (!token || token.top.length === 0) return null;
    const weights = choices.map((choice) =>
      token.top.reduce(
        (sum, { token: text, logprob }) => (text.trim() === choice ? sum + Math.exp(logprob) : sum),
        0,
      ),
    );
    const mass = weights.reduce((sum, weight) => sum + weight, 0);
    return mass > 0 ? weights.map((weight) => weight / mass) : null;
  }
}

function unreadable(choices: readonly Choice[]): number[] {
  return choices.flatMap((choice, index) => ('failed' in choice && choice.unreadable ? [index] : []));
}

/** The whole reply is one of the words, give or take a label before it, emphasis, quotes, and what ends a sentence. */
function replyPattern(choices: readonly string[]): RegExp {
  const label =
    '(?:(?:final|better|best)\\s+)?(?:answer|response|choice|verdict|points?|score)\\b[\\s:=*_]*(?:is\\b)?';
  const opening = '[\\s*_"\'`“‘(\\[{#]*';
  const closing = '[\\s*_"\'`”’)\\]}.:!]*';
  return new RegExp(`^${opening}(?:${label})?${opening}(${choices.join('|')})${closing}$`, 'i');
}
