/** The Solver: the policy, asked to answer queries. */
import {
  checkOptions,
  expectArray,
  expectInteger,
  expectNumber,
  expectSignal,
  expectUint64,
} from '../options';
import type { PolicyModel } from '../learn/policy';
import type { ChatMessage, Completion, SamplingPrecision } from '../model/types';
import { streamId } from './random';

export interface SolverOptions {
  /** G: answers per query, at least 2 for training. Default 4. */
  answers?: number;
  /** Most tokens of an answer. Default 64. */
  maxNewTokens?: number;
  /** Sampling temperature, above 0; also that of training. Default 1. */
  temperature?: number;
}

export interface AnswerOptions {
  /** Step of the run, for the random streams. */
  step?: number;
  seed?: number | bigint;
  /** Position of each query in its step, for the random streams. Default 0, 1, 2, … */
  indices?: readonly number[];
  /** Of the sampling. Default `exact`. */
  precision?: SamplingPrecision;
  signal?: AbortSignal;
  onProgress?: (fraction: number) => void;
}

/** G answers to one prompt. */
export interface AnsweredPrompt {
  messages: readonly ChatMessage[];
  promptTokens: Int32Array;
  completions: Completion[];
}

export class Solver {
  readonly model: PolicyModel;
  readonly answers: number;
  readonly maxNewTokens: number;
  readonly temperature: number;

  /** @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION */
  constructor(model: PolicyModel, options: SolverOptions = {}) {
    const checked = checkOptions(options, ['answers', 'maxNewTokens', 'temperature'], 'Solver');
    this.model = model;
    this.answers = expectInteger('answers', checked.answers ?? 4, { min: 1 });
    this.maxNewTokens = expectInteger('maxNewTokens', checked.maxNewTokens ?? 64, { min: 1 });
    this.temperature = expectNumber('temperature', checked.temperature ?? 1, { above: 0 });
  }

  /** Whether a prompt and an answer of full length fit into the model's context. */
  fits(messages: readonly ChatMessage[]): boolean {
    const length = this.model.tokenizer.encodeChat(messages).length;
    return length + this.maxNewTokens <= this.model.config.maxPositions;
  }

  /**
   * Samples `answers` answers to each prompt. No top-k or top-p: what is trained must be what was sampled. The random
   * stream of an answer depends on its query's position in the step, not on which other queries are answered.
   */
  async answer(
    prompts: readonly (readonly ChatMessage[])[],
    options: AnswerOptions = {},
  ): Promise<AnsweredPrompt[]> {
    const known = ['step', 'seed', 'indices', 'precision', 'signal', 'onProgress'];
    const checked = checkOptions(options, known, 'Solver.answer');
    expectArray('prompts', prompts);
    const step = expectInteger('step', checked.step ?? 0, { min: 0 });
    const seed = expectUint64('seed', checked.seed ?? 0);
    const signal = expectSignal('signal', checked.signal);
    if (prompts.length === 0) return [];
    const promptTokens = prompts.map((messages) => this.model.tokenizer.encodeChat(messages));
    const completions = await this.model.generate(promptTokens, {
      maxNewTokens: this.maxNewTokens,
      temperature: this.temperature,
      samples: this.answers,
      seed,
      streamIds: prompts.map((_, i) => {
        const first = (checked.indices?.[i] ?? i) * this.answers;
        return Array.from({ length: this.answers }, (__, j) => streamId(step, 'solver', first + j));
      }),
      ...(checked.precision && { precision: checked.precision }),
      signal,
      onProgress: ({ finished, total }) => checked.onProgress?.(finished / total),
    });
    return prompts.map((messages, i) => ({
      messages,
      promptTokens: promptTokens[i]!,
      completions: completions[i]!,
    }));
  }
}
