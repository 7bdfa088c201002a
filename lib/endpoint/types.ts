/** What is asked of a chat endpoint, and what comes back. */
import type { ChatMessage } from '../model/types';

/** One call. What is left out is the endpoint's own setting. */
export interface ChatRequest {
  messages: readonly ChatMessage[];
  temperature?: number;
  /** Most tokens of the answer. */
  maxTokens?: number;
  /** Ask for log-probabilities, with so many alternatives for each token, 0..20. Not every server gives them. */
  topLogprobs?: number;
  seed?: number;
}

export interface TokenLogprob {
  token: string;
  /** Natural logarithm of its probability. */
  logprob: number;
}

/** One token of an answer, with the likeliest tokens of its position. */
export interface AnswerToken extends TokenLogprob {
  top: TokenLogprob[];
}

export interface ChatAnswer {
  /** May be empty. */
  text: string;
  /** 'stop', 'length', …, as the server says; null if it does not. */
  finishReason: string | null;
  /** One entry a token; null where the server gave none, or none that can be read. */
  tokens: AnswerToken[] | null;
  usage: { promptTokens: number; completionTokens: number } | null;
}

/**
 * The end of one call. `failed` says in words why there is no answer, after all retries; `status` is the HTTP status
 * of the last reply, null where there was none.
 */
export type ChatOutcome = { answer: ChatAnswer; cached: boolean } | { failed: string; status: number | null };

/** Price of a million tokens, in any currency. */
export interface TokenPrices {
  prompt: number;
  completion: number;
}

/** What some calls would take. Tokens and cost are estimates; the numbers of calls are exact until something fails. */
export interface CallEstimate {
  /** Calls that would be made: different requests whose answers are not in the cache. */
  calls: number;
  /** Different requests whose answers are in the cache. */
  cachedCalls: number;
  /** Estimated tokens of the prompts of `calls`. */
  promptTokens: number;
  /** Most tokens that the answers of `calls` can have. */
  completionTokens: number;
  /** What tokens were counted with: the tokenizer given, or a token for each four characters. */
  countedBy: 'tokenizer' | 'characters';
  /** promptTokens and completionTokens at the prices given; absent without prices. */
  cost?: number;
}

export interface EstimateOptions {
  /** Tokens of a text by the endpoint's tokenizer. Default: its characters / 4. */
  countTokens?: (text: string) => number;
  prices?: TokenPrices;
}
