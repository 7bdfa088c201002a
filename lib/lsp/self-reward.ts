/**
 * The quality self-reward R_Q: the reference model judges answers by an additive rubric of seven points.
 *
 * The paper samples a verdict in words. By default we do not: one forward pass gives the probabilities of the eight
 * score tokens, and the score is their expectation. It departs from the paper, and has less variance (nothing is
 * sampled), costs one token instead of many, and always gives a score. `mode: 'sampled'` samples the number.
 */
import {
  checkOptions,
  expectArray,
  expectNumber,
  expectOneOf,
  expectSignal,
  expectString,
  expectUint64,
  invalid,
} from '../options';
import type { PolicyModel } from '../learn/policy';
import type { ChatMessage, SamplingPrecision } from '../model/types';
import type { Reward } from '../rewards/reward';
import { MAX_POINTS } from '../rewards/rubric';
import {
  measureJudge,
  PREFLIGHT_PAIRS,
  type Corruption,
  type JudgePair,
  type JudgeReport,
} from './judge-preflight';
import { JUDGE_PREFIX, judgeMessages } from './prompts';
import { streamId } from './random';

/** Tokens of a sampled verdict: a digit and what may stand around it. */
const VERDICT_TOKENS = 4;

/** What the judge is asked about one pair. */
interface JudgePrompt {
  /** Position of the pair in the call. */
  index: number;
  tokens: Int32Array;
}

export interface SelfRewardOptions {
  /** 'expected' (default): expectation over the score tokens. 'sampled': a sampled number. */
  mode?: 'expected' | 'sampled';
  /** The judge's prompt. Default: our rubric. */
  messages?: (query: string, answer: string) => readonly ChatMessage[];
  /** What the judge's turn begins with, so that the next token is the number. */
  prefix?: string;
  /** 'sampled': temperature of the verdict. Default 1. */
  temperature?: number;
}

export interface Judgement {
  /** R_Q / 7 in [0, 1]; null if the judge gave no score, or if rubric, query and answer do not fit its context. */
  quality: number | null;
  /** Probability of all score tokens together; null where it was sampled, and where nothing was asked. */
  mass: number | null;
}

export interface JudgeOptions {
  step?: number;
  seed?: number | bigint;
  /** Of its sampling, with the mode 'sampled'. Default `exact`. */
  precision?: SamplingPrecision;
  signal?: AbortSignal;
}

export interface JudgePreflightOptions<P extends JudgePair = JudgePair> {
  /** Good answers. Default: twelve of our own. */
  pairs?: readonly P[];
  /** Ways to make them worse, by name. Default: four that need no knowledge of the task. */
  corruptions?: Readonly<Record<string, Corruption<P>>>;
  signal?: AbortSignal;
}

export class SelfReward {
  readonly model: PolicyModel;
  readonly mode: 'expected' | 'sampled';
  private readonly messages: (query: string, answer: string) => readonly ChatMessage[];
  private readonly prefix: string;
  private readonly temperature: number;

  /**
   * @param reference the frozen reference model; never the policy, which would learn to please itself
   * @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION
   */
  constructor(reference: PolicyModel, options: SelfRewardOptions = {}) {
    const checked = checkOptions(options, ['mode', 'messages', 'prefix', 'temperature'], 'SelfReward');
    this.model = reference;
    this.mode = expectOneOf('mode', checked.mode ?? 'expected', ['expected', 'sampled']);
    this.messages = checked.messages ?? judgeMessages;
    this.prefix = expectString('prefix', checked.prefix ?? JUDGE_PREFIX);
    this.temperature = expectNumber('temperature', checked.temperature ?? 1, { above: 0 });
  }

  /**
   * One judgement per pair, in order. A pair that does not fit the judge's context is not judged (quality and mass
   * are null): one long answer must not cost the batch.
   *
   * @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION; the signal's reason when aborted
   */
  async judge(pairs: readonly JudgePair[], options: JudgeOptions = {}): Promise<Judgement[]> {
    const checked = checkOptions(options, ['step', 'seed', 'precision', 'signal'], 'SelfReward.judge');
    expectArray('pairs', pairs);
    const signal = expectSignal('signal', checked.signal);
    if (pairs.length === 0) return [];
    const seed = expectUint64('seed', checked.seed ?? 0);
    const room = this.model.config.maxPositions - (this.mode === 'sampled' ? VERDICT_TOKENS : 0);
    const prompts = pairs
      .map(({ query, answer }, index) => ({ index, tokens: this.encode(query, answer) }))
      .filter(({ tokens }) => tokens.length <= room);
    const judgements = pairs.map((): Judgement => ({ quality: null, mass: null }));
    if (prompts.length === 0) return judgements;
    const found = await (this.mode === 'expected'
      ? this.judgeExpected(prompts, signal)
      : this.judgeSampled(prompts, { step: checked.step ?? 0, seed, signal, precision: checked.precision }));
    prompts.forEach(({ index }, i) => (judgements[index] = found[i]!));
    return judgements;
  }

  /**
   * How good the judge is, before a run: it scores answers against corrupted versions of themselves.
   * @returns AUC, mass on the score tokens, correlation with length, and warnings in words
   */
  async preflight<P extends JudgePair>(options: JudgePreflightOptions<P> = {}): Promise<JudgeReport> {
    const checked = checkOptions(options, ['pairs', 'corruptions', 'signal'], 'SelfReward.preflight');
    const { signal, corruptions } = checked;
    const pairs = checked.pairs ?? (PREFLIGHT_PAIRS as readonly P[]);
    return measureJudge(pairs, (asked) => this.judge(asked, { signal }), corruptions);
  }

  /** The judge as a reward of its own: R_Q / 7. */
  asReward(): Reward {
    return {
      name: 'self-reward',
      score: async (samples, { signal }) =>
        (await this.judge(samples, { signal })).map(({ quality }) => quality),
    };
  }

  private encode(query: string, answer: string): Int32Array {
    const chat = this.model.tokenizer.encodeChat(this.messages(query, answer));
    const prefix = this.model.tokenizer.encode(this.prefix);
    const tokens = new Int32Array(chat.length + prefix.length);
    tokens.set(chat);
    tokens.set(prefix, chat.length);
    return tokens;
  }

  /** quality = Σ_s s · p(s) / Σ_s p(s) / 7 over the score tokens s = 0..7; mass = Σ_s p(s). */
  private async judgeExpected(
    prompts: readonly JudgePrompt[],
    signal: AbortSignal | undefined,
  ): Promise<Judgement[]> {
    const tokens = prompts.map((prompt) => prompt.tokens);
    const scores = await this.model.nextLogprobs(tokens, this.scoreTokens(), { signal });
    return scores.map((logprobs) => {
      // Relative to the largest, so that a tiny mass does not underflow.
      const largest = logprobs.reduce((high, value) => Math.max(high, value), -Infinity);
      if (!Number.isFinite(largest)) return { quality: null, mass: 0 };
      let weight = 0;
      let points = 0;
      logprobs.forEach((logprob, score) => {
        const p = Math.exp(logprob - largest);
        weight += p;
        points += score * p;
      });
      return { quality: points / weight / MAX_POINTS, mass: weight * Math.exp(largest) };
    });
  }

  private async judgeSampled(
    prompts: readonly JudgePrompt[],
    { step, seed, signal, precision }: Required<Pick<JudgeOptions, 'step' | 'seed'>> & JudgeOptions,
  ): Promise<Judgement[]> {
    const tokens = prompts.map((prompt) => prompt.tokens);
    const verdicts = await this.model.generate(tokens, {
      maxNewTokens: VERDICT_TOKENS,
      temperature: this.temperature,
      seed,
      // By the pair's position, so that a verdict does not depend on which other pairs fit.
      streamIds: prompts.map(({ index }) => [streamId(step, 'judge', index)]),
      ...(precision && { precision }),
      signal,
    });
    return verdicts.map((samples) => {
      const score = /^\s*([0-7])(?![0-9])/.exec(samples[0]!.text);
      return { quality: score ? Number(score[1]) / MAX_POINTS : null, mass: null };
    });
  }

  /** Token of each score; a tokenizer that needs two tokens for a digit cannot be read in one forward pass. */
  private scoreTokens(): Int32Array {
    return Int32Array.from({ length: MAX_POINTS + 1 }, (_, score) => {
      const tokens = this.model.tokenizer.encode(String(score));
      if (tokens.length === 1) return tokens[0]!;
      throw invalid('mode', "'sampled', since this tokenizer has no single token for a digit,", this.mode);
    });
  }
}
