/** Shared shapes of the model layer: messages, prompts, options and results. */
import type { NativeModelConfig } from '../native/addon';

export interface ChatMessage {
  role: string;
  content: string;
}

/** Text is encoded as is (no template); messages go through the chat template; ids are used as they are. */
export type Prompt = string | readonly ChatMessage[] | Int32Array;

export type FinishReason = 'eos' | 'stop' | 'length';

/** What a model samples or scores with: `exact`, as it is trained; `int8`, its weights rounded to 8 bits, which is faster. */
export type SamplingPrecision = (typeof SAMPLING_PRECISIONS)[number];
export const SAMPLING_PRECISIONS = ['exact', 'int8'] as const;

export interface GenerateOptions {
  /** Tokens sampled at most, 1.. (default 256). */
  maxNewTokens?: number;
  /** EOS is not sampled before this many tokens (default 0). */
  minNewTokens?: number;
  /** 0 is greedy; default 1. */
  temperature?: number;
  /** Keep the k likeliest tokens; 0 (default) keeps all. */
  topK?: number;
  /** Keep the smallest set of tokens whose mass reaches p, in (0, 1]; default 1. */
  topP?: number;
  /** Completions per prompt (default 1). */
  samples?: number;
  /** Key of the random streams (default 0). */
  seed?: number | bigint;
  /** Random stream of each [prompt][sample]; default: running index. Same seed and stream, same tokens in any batch. */
  streamIds?: readonly (readonly (number | bigint)[])[];
  /** Strings that end a completion; the match and what follows are cut from `text`. */
  stop?: string | readonly string[];
  /** Default `exact`. In `int8` log-probabilities and entropies are those of what was sampled from. */
  precision?: SamplingPrecision;
  signal?: AbortSignal;
  /** Called after each decoding step with the number of tokens sampled so far and of sequences finished. */
  onProgress?: (progress: { tokens: number; finished: number; total: number }) => void;
}

export interface LogprobOptions {
  /** The logits are divided by it (default 1). */
  temperature?: number;
  /**
   * Of each sequence, how many tokens come before those to be scored (default 1 each): the head is computed for the
   * tokens after them only.
   */
  promptLengths?: readonly number[];
  /** Default `exact`. `int8`: of the weights that `generate` in int8 samples from, the same bits, about twice as fast. */
  precision?: SamplingPrecision;
  signal?: AbortSignal;
}

export interface Completion {
  text: string;
  /** Sampled tokens, with the EOS that ended them. */
  tokens: Int32Array;
  /** log p of each token at temperature 1. */
  logprobs: Float32Array;
  /** Entropy in nats of the distribution (temperature 1) at each token. */
  entropies: Float32Array;
  finishReason: FinishReason;
  /** Version of the weights that sampled it; increases by one with every update. */
  policyVersion: number;
  /** Where they were rounded for sampling; absent where they were not, and all figures are the trainer's too. */
  sampler?: {
    precision: 'int8';
    /** log p of each token as it was sampled: at the temperature of the sampling. */
    logprobs: Float32Array;
  };
}

/** Public description of a model: its geometry, and which tokens are special. */
export interface ModelConfig extends Omit<NativeModelConfig, 'paddingTokenId'> {
  /** The family: `llama`, `qwen2` (Qwen2.5 too), `qwen3`, `smollm3`. */
  architecture: string;
  parameterCount: number;
  bosTokenId: number | null;
  eosTokenIds: number[];
  padTokenId: number | null;
}

/** A prompt and its completions, as the Learner takes them. */
export interface TrainingGroup {
  prompt: Int32Array;
  completions: Int32Array[];
}

/**
 * [group][completion] → one value per completion token, or a callback that computes those of a group from its
 * log-probabilities: once for each group, in any order.
 */
export type LossGradient =
  readonly (readonly Float32Array[])[] | ((logprobs: Float32Array[], groupIndex: number) => Float32Array[]);
