/**
 * What training needs of a model and of its learner, as structural types.
 *
 * `LanguageModel` and `Learner` satisfy them; so do small deterministic fakes, which is how everything above the
 * native engine is tested. Nothing here knows how a model is stored or run.
 */
import type {
  ChatMessage,
  Completion,
  GenerateOptions,
  LossGradient,
  Prompt,
  SamplingPrecision,
  TrainingGroup,
} from '../model/types';

/** Encodes and decodes text; message text never becomes special tokens. */
export interface PolicyTokenizer {
  encode(text: string, options?: { parseSpecial?: boolean; addSpecial?: boolean }): Int32Array;
  encodeChat(messages: readonly ChatMessage[], options?: { addGenerationPrompt?: boolean }): Int32Array;
  decode(ids: Int32Array, options?: { skipSpecial?: boolean }): string;
}

/** A model that samples and scores: the policy, or its frozen reference. */
export interface PolicyModel {
  readonly config: { readonly maxPositions: number };
  readonly tokenizer: PolicyTokenizer;
  /** A LoRA adapter that stands on frozen weights; absent or null for none. */
  readonly adapter?: object | null;
  generate(prompts: readonly Prompt[], options?: GenerateOptions): Promise<Completion[][]>;
  /**
   * Log-probabilities of the tokens after the prompt, given what is before them, logits divided by `temperature`.
   * `promptLengths`: tokens of each sequence's prompt (default 1). `precision`: of the policy that `generate` samples
   * from with the same option (default `exact`).
   */
  logprobs(
    sequences: readonly Int32Array[],
    options?: {
      temperature?: number;
      promptLengths?: readonly number[];
      precision?: SamplingPrecision;
      signal?: AbortSignal;
    },
  ): Promise<Float32Array[]>;
  /** Per prompt: log p(candidate | prompt) for each candidate token. */
  nextLogprobs(
    prompts: readonly Prompt[],
    candidates: Int32Array,
    options?: { signal?: AbortSignal },
  ): Promise<Float32Array[]>;
  /** `adapter: false`: without a LoRA adapter, if there is one. */
  clone(options?: { adapter?: boolean }): Promise<PolicyModel>;
  dispose(): Promise<void>;
}

/** Turns dLoss/dlogprob into a weight update of `model`. */
export interface PolicyLearner {
  readonly model: PolicyModel;
  /** Adds to the gradient; all or nothing. A callback is called once for each group. */
  accumulate(
    groups: readonly TrainingGroup[],
    lossGradient: LossGradient,
    options?: { temperature?: number; signal?: AbortSignal },
  ): Promise<unknown>;
  step(): Promise<{ gradNorm: number; learningRate: number }>;
  /** Forgets the accumulated gradient. */
  zeroGradient(): Promise<void>;
}
