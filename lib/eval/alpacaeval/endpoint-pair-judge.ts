/** A judge of pairs behind a chat endpoint. */
import type { ChatEndpoint } from '../../endpoint/chat-endpoint';
import { Chooser } from '../../endpoint/chooser';
import { escapeControlSequences } from '../../endpoint/quoting';
import type { CallEstimate, EstimateOptions } from '../../endpoint/types';
import { checkOptions, expectBoolean, expectInteger } from '../../options';
import type { JudgeContext, Json } from '../evaluation';
import type { AnswerPair, PairJudge, PairJudgement } from './pair-judge';
import { LETTERS, PAIR_PROMPT_VERSION, pairMessages } from './pair-prompt';

export interface EndpointPairJudgeOptions {
  /** Ask for log-probabilities, default true: preferences between 0 and 1. An endpoint that refuses is asked without. */
  logprobs?: boolean;
  /** Most tokens of a verdict, default 1; some hundreds for a model that thinks aloud. */
  maxTokens?: number;
  /** Seed of the calls, for endpoints that know it. Default 0. */
  seed?: number;
}

/**
 * Asks for the letter of the better answer. The preference is p(A) / (p(A) + p(B)) where the endpoint gives
 * log-probabilities, else 1 or 0.
 */
export class EndpointPairJudge implements PairJudge {
  readonly name: string;
  readonly settings: Readonly<Record<string, Json>>;
  readonly #endpoint: ChatEndpoint;
  readonly #chooser: Chooser;

  /** @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION */
  constructor(endpoint: ChatEndpoint, options: EndpointPairJudgeOptions = {}) {
    const given = checkOptions(options, ['logprobs', 'maxTokens', 'seed'], 'EndpointPairJudge');
    const logprobs = expectBoolean('logprobs', given.logprobs ?? true);
    const maxTokens = expectInteger('maxTokens', given.maxTokens ?? 1, { min: 1 });
    const seed = expectInteger('seed', given.seed ?? 0, { min: 0 });
    this.name = `endpoint:${endpoint.model}`;
    this.settings = { prompt: PAIR_PROMPT_VERSION, ...endpoint.settings, logprobs, maxTokens, seed };
    this.#endpoint = endpoint;
    this.#chooser = new Chooser(endpoint, { choices: LETTERS, logprobs, maxTokens, seed });
  }

  async compare(pairs: readonly AnswerPair[], { signal }: JudgeContext): Promise<PairJudgement[]> {
    const choices = await this.#chooser.choose(pairs.map(promptOf), signal);
    return choices.map((choice) =>
      'failed' in choice ? { failed: choice.failed } : { preference: choice.probabilities[0]! },
    );
  }

  /** Second attempts at unreadable verdicts are left out. */
  async estimate(pairs: readonly AnswerPair[], options?: EstimateOptions): Promise<CallEstimate> {
    return this.#endpoint.estimate(this.#chooser.requests(pairs.map(promptOf)), options);
  }
}

function promptOf({ instruction, first, second }: AnswerPair) {
  return pairMessages({
    instruction: escapeControlSequences(instruction),
    first: escapeControlSequences(first),
    second: escapeControlSequences(second),
  });
}
