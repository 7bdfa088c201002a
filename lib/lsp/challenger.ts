/** The Challenger: the policy, asked to write queries. */
import { checkOptions, expectInteger, expectNumber, expectSignal, expectUint64 } from '../options';
import type { PolicyModel } from '../learn/policy';
import type { Completion, SamplingPrecision } from '../model/types';
import { randomFor, streamId } from './random';
import { instructionFollowing } from './tasks/instruction-following';
import type { ChallengerPrompt, Query, Task } from './types';

export interface ChallengerOptions {
  /** What is played. Default: instructionFollowing(). */
  task?: Task;
  /** N: queries per step. Default 8. */
  queries?: number;
  /** Most tokens of a query as written. Default 48. */
  maxNewTokens?: number;
  /** Sampling temperature, above 0; also that of training. Default 1. */
  temperature?: number;
}

export interface WriteOptions {
  /** Step of the run, for the random streams. */
  step?: number;
  seed?: number | bigint;
  /** Tokens an answer may have: what is asked must be feasible within them. Default 64. */
  maxAnswerTokens?: number;
  /** Of the sampling. Default `exact`. */
  precision?: SamplingPrecision;
  signal?: AbortSignal;
  onProgress?: (fraction: number) => void;
}

/** One sample of the Challenger. */
export interface WrittenQuery {
  prompt: ChallengerPrompt;
  promptTokens: Int32Array;
  completion: Completion;
  /** Null if the text was no query. */
  query: Query | null;
  /** Why it was none. */
  rejected: string | null;
}

export class Challenger {
  readonly model: PolicyModel;
  readonly task: Task;
  readonly queries: number;
  readonly maxNewTokens: number;
  readonly temperature: number;

  /** @throws LspError INVALID_ARGUMENT, UNKNOWN_OPTION */
  constructor(model: PolicyModel, options: ChallengerOptions = {}) {
    const checked = checkOptions(options, ['task', 'queries', 'maxNewTokens', 'temperature'], 'Challenger');
    this.model = model;
    this.task = checked.task ?? instructionFollowing();
    this.queries = expectInteger('queries', checked.queries ?? 8, { min: 1 });
    this.maxNewTokens = expectInteger('maxNewTokens', checked.maxNewTokens ?? 48, { min: 1 });
    this.temperature = expectNumber('temperature', checked.temperature ?? 1, { above: 0 });
  }

  /**
   * Samples `queries` texts and reads them. No top-k or top-p: what is trained must be what was sampled.
   * @returns one entry per sample, in order; those that are no query say why
   */
  async write(options: WriteOptions = {}): Promise<WrittenQuery[]> {
    const checked = checkOptions(
      options,
      ['step', 'seed', 'maxAnswerTokens', 'precision', 'signal', 'onProgress'],
      'Challenger.write',
    );
    const step = expectInteger('step', checked.step ?? 0, { min: 0 });
    const seed = expectUint64('seed', checked.seed ?? 0);
    const maxNewTokens = expectInteger('maxAnswerTokens', checked.maxAnswerTokens ?? 64, { min: 1 });
    const signal = expectSignal('signal', checked.signal);
    const prompts = Array.from({ length: this.queries }, (_, index) =>
      this.task.challengerPrompt({
        step,
        index,
        count: this.queries,
        maxNewTokens,
        random: (key) => randomFor(seed, step, 'draw', key),
      }),
    );
    const promptTokens = prompts.map(({ messages }) => this.model.tokenizer.encodeChat(messages));
    const completions = await this.model.generate(promptTokens, {
      maxNewTokens: this.maxNewTokens,
      temperature: this.temperature,
      seed,
      streamIds: prompts.map((_, index) => [streamId(step, 'challenger', index)]),
      ...(this.task.stop && { stop: this.task.stop }),
      ...(checked.precision && { precision: checked.precision }),
      signal,
      onProgress: ({ finished, total }) => checked.onProgress?.(finished / total),
    });
    return prompts.map((prompt, i) => this.read(prompt, promptTokens[i]!, completions[i]![0]!));
  }

  private read(prompt: ChallengerPrompt, promptTokens: Int32Array, completion: Completion): WrittenQuery {
    // A text that was cut off ends in the middle of a sentence: nobody can answer it.
    const parsed =
      completion.finishReason === 'length'
        ? { rejected: 'cut-off' }
        : this.task.parse(completion.text, prompt);
    const rejected = 'rejected' in parsed ? parsed.rejected : null;
    return { prompt, promptTokens, completion, query: 'rejected' in parsed ? null : parsed, rejected };
  }
}
