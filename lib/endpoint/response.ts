/** Reads the JSON of a reply, or of a cached answer, as a `ChatAnswer`. Nothing in it is taken on trust. */
import { isRecord } from '../options';
import { CallFailure, excerpt } from './failure';
import type { AnswerToken, ChatAnswer, TokenLogprob } from './types';

/**
 * The first choice of a `chat.completion`. Log-probabilities of another shape count as none: an answer is worth more.
 * @throws CallFailure for anything that holds no answer
 */
export function readReply(value: unknown): ChatAnswer {
  const failure = (what: string) => new CallFailure(what, { retryable: true, status: 200 });
  if (!isRecord(value)) throw failure(`JSON that is no object: ${excerpt(JSON.stringify(value))}`);
  if (value.error !== undefined && value.error !== null) {
    throw failure(`an error in a reply with status 200: ${excerpt(JSON.stringify(value.error))}`);
  }
  const { choices } = value;
  if (!Array.isArray(choices) || choices.length === 0) throw failure('a reply without choices');
  const choice: unknown = choices[0];
  const message = isRecord(choice) ? choice.message : undefined;
  if (!isRecord(choice) || !isRecord(message)) throw failure('a choice without a message');
  const content = message.content ?? '';
  if (typeof content !== 'string') throw failure('a message whose content is no text');
  return {
    text: content,
    finishReason: typeof choice.finish_reason === 'string' ? choice.finish_reason : null,
    tokens: readTokens(isRecord(choice.logprobs) ? choice.logprobs.content : undefined),
    usage: readUsage(value.usage),
  };
}

/** A `ChatAnswer` that was kept as JSON; null if it is none. */
export function readKeptAnswer(value: unknown): ChatAnswer | null {
  if (!isRecord(value) || typeof value.text !== 'string') return null;
  const { text, finishReason, tokens, usage } = value;
  if (finishReason !== null && typeof finishReason !== 'string') return null;
  const read = tokens === null ? null : readTokens(tokens, 'top');
  if (tokens !== null && read === null) return null;
  return {
    text,
    finishReason,
    tokens: read,
    usage:
      isRecord(usage) && isCount(usage.promptTokens) && isCount(usage.completionTokens)
        ? { promptTokens: usage.promptTokens, completionTokens: usage.completionTokens }
        : null,
  };
}

function readTokens(value: unknown, top = 'top_logprobs'): AnswerToken[] | null {
  if (!Array.isArray(value)) return null;
  const tokens: AnswerToken[] = [];
  for (const entry of value as unknown[]) {
    const token = readToken(entry);
    const alternatives = isRecord(entry) ? (entry[top] ?? []) : [];
    if (token === null || !Array.isArray(alternatives)) return null;
    const read = alternatives.map(readToken);
    if (read.includes(null)) return null;
    tokens.push({ ...token, top: read as TokenLogprob[] });
  }
  return tokens;
}

function readToken(value: unknown): TokenLogprob | null {
  if (!isRecord(value)) return null;
  const { token, logprob } = value;
  if (typeof token !== 'string' || typeof logprob !== 'number' || !Number.isFinite(logprob)) return null;
  return { token, logprob };
}

function readUsage(value: unknown): ChatAnswer['usage'] {
  if (!isRecord(value)) return null;
  const { prompt_tokens: promptTokens, completion_tokens: completionTokens } = value;
  return isCount(promptTokens) && isCount(completionTokens) ? { promptTokens, completionTokens } : null;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
