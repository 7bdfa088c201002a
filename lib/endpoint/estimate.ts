/** What calls would take, before they are made. */
import { checkOptions, expectFunction, expectNumber, isRecord } from '../options';
import type { CallEstimate, EstimateOptions } from './types';

/** English text in the vocabularies of present models; code has fewer characters a token, and other scripts far fewer. */
const CHARACTERS_PER_TOKEN = 4;

const PER_PRICE = 1e6;

/**
 * @param open bodies of the calls that would be made
 * @param total number of different requests
 */
export function estimateCalls(
  open: readonly string[],
  total: number,
  options: EstimateOptions,
): CallEstimate {
  const { countTokens, prices } = checkOptions(options, ['countTokens', 'prices'], 'estimate');
  const count = countTokens ? expectFunction('countTokens', countTokens) : countByCharacters;
  let promptTokens = 0;
  let completionTokens = 0;
  for (const body of open) {
    const { messages, ...rest } = JSON.parse(body) as { messages: { content: string }[] };
    for (const { content } of messages) promptTokens += count(content);
    completionTokens += mostTokens(rest);
  }
  return {
    calls: open.length,
    cachedCalls: total - open.length,
    promptTokens,
    completionTokens,
    countedBy: countTokens ? 'tokenizer' : 'characters',
    ...(prices !== undefined && { cost: costOf(promptTokens, completionTokens, prices) }),
  };
}

function countByCharacters(text: string): number {
  return Math.ceil(text.length / CHARACTERS_PER_TOKEN);
}

/** `max_tokens`, or the field that newer servers want in its place (given by `extraBody`). */
function mostTokens(body: Readonly<Record<string, unknown>>): number {
  const most = body.max_tokens ?? body.max_completion_tokens;
  return typeof most === 'number' ? most : 0;
}

function costOf(promptTokens: number, completionTokens: number, prices: unknown): number {
  const given = isRecord(prices) ? checkOptions(prices, ['prompt', 'completion'], 'prices') : {};
  const prompt = expectNumber('prices.prompt', given.prompt, { min: 0 });
  const completion = expectNumber('prices.completion', given.completion, { min: 0 });
  return (promptTokens * prompt + completionTokens * completion) / PER_PRICE;
}
