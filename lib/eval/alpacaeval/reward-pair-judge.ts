/** A judge of pairs that is a reward model: each answer has a score of its own, and the higher one wins. */
import { LspError } from '../../errors';
import { checkOptions, expectOneOf, expectString, invalid, isRecord } from '../../options';
import type { ChatMessage } from '../../model/types';
import type { JudgeContext, Json } from '../evaluation';
import type { AnswerPair, PairJudge, PairJudgement } from './pair-judge';

/** What a reward model has to do: one score a conversation, whose last turn is the assistant's. Higher is better. */
export interface ChatScorer {
  scoreChats(conversations: ChatMessage[][], options: { signal: AbortSignal }): Promise<ArrayLike<number>>;
}

export interface RewardPairJudgeOptions {
  /** What identifies the model in results, e.g. its path. Default 'reward'. */
  name?: string;
  /**
   * 'sigmoid' (default): σ(r₁ − r₂), the probability of the Bradley–Terry model that reward models are fitted with, so
   * that a hair's breadth is no whole win. 'hard': 1, 0, or ½ for equal scores, which needs no scale of the scores.
   */
  preference?: 'sigmoid' | 'hard';
}

export class RewardPairJudge implements PairJudge {
  readonly name: string;
  readonly settings: Readonly<Record<string, Json>>;
  readonly orderFree = true;
  readonly #scorer: ChatScorer;
  readonly #hard: boolean;

  /** @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION */
  constructor(scorer: ChatScorer, options: RewardPairJudgeOptions = {}) {
    const given = checkOptions(options, ['name', 'preference'], 'RewardPairJudge');
    const preference = expectOneOf('preference', given.preference ?? 'sigmoid', ['sigmoid', 'hard']);
    if (!isRecord(scorer) || typeof scorer['scoreChats'] !== 'function') {
      throw invalid('scorer', 'an object with a method `scoreChats`', scorer);
    }
    this.name = `reward:${expectString('name', given.name ?? 'reward', { allowEmpty: false })}`;
    this.settings = { preference };
    this.#scorer = scorer;
    this.#hard = preference === 'hard';
  }

  /** Each answer of a pair is scored as the reply to its instruction; equal conversations are scored once. */
  async compare(pairs: readonly AnswerPair[], { signal }: JudgeContext): Promise<PairJudgement[]> {
    signal.throwIfAborted();
    if (pairs.length === 0) return [];
    const conversations = new Map<string, ChatMessage[]>();
    const place = (instruction: string, answer: string): string => {
      const key = JSON.stringify([instruction, answer]);
      conversations.set(key, [
        { role: 'user', content: instruction },
        { role: 'assistant', content: answer },
      ]);
      return key;
    };
    const places = pairs.map(
      ({ instruction, first, second }) => [place(instruction, first), place(instruction, second)] as const,
    );
    const scores = await this.#score([...conversations.values()], signal);
    const byKey = new Map([...conversations.keys()].map((key, index) => [key, scores[index]]));
    return places.map(([first, second]) => this.#judge(byKey.get(first), byKey.get(second)));
  }

  /** Conversations that are too long for the model have no score: one of them must not cost the batch. */
  async #score(
    conversations: ChatMessage[][],
    signal: AbortSignal,
  ): Promise<(number | string | undefined)[]> {
    try {
      return Array.from(await this.#scorer.scoreChats(conversations, { signal }));
    } catch (error) {
      if (!(error instanceof LspError) || error.code !== 'PROMPT_TOO_LONG') throw error;
      if (conversations.length === 1) return [error.message];
    }
    const half = Math.ceil(conversations.length / 2);
    return [
      ...(await this.#score(conversations.slice(0, half), signal)),
      ...(await this.#score(conversations.slice(half), signal)),
    ];
  }

  #judge(first: number | string | undefined, second: number | string | undefined): PairJudgement {
    for (const score of [first, second]) {
      if (typeof score === 'string') return { failed: `an answer does not fit the reward model: ${score}` };
      if (!Number.isFinite(score)) return { failed: `the reward model gave ${score} in place of a score` };
    }
    const margin = (first as number) - (second as number);
    return { preference: this.#hard ? (Math.sign(margin) + 1) / 2 : 1 / (1 + Math.exp(-margin)) };
  }
}
