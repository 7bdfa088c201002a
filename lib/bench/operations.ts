/**
 * How many operations a model needs: what no implementation can do without, so that (operations / peak rate) is a limit
 * on the time. A multiplication and its addition count as two.
 *
 * With C hidden, F feed-forward, H heads and K key-value heads of D, L layers, V vocabulary:
 *
 *   body        P = L (2 C H D + 2 C K D + 3 C F) weights in matrices; 2 P a token
 *   attention   4 H D L for each pair of a token and a token that it sees (q k, and its weight times v)
 *   head        2 C V for each token whose distribution is wanted
 *
 * A backward pass is two such products for each of the forward pass: gradients of the inputs and of the weights. With an
 * adapter it is one: the weights' own gradients are not wanted, and the adapter's products are few.
 * Prompts that several answers share count once. Left out, since they are limited by memory or small: norms, rotations,
 * activations, sampling, AdamW, and whatever is computed twice to save memory.
 */
import type { BenchGeometry } from './geometry';

export interface Workload {
  /** Prompts. */
  queries: number;
  /** Answers of each prompt. */
  answers: number;
  promptTokens: number;
  /** Sampled tokens of each answer. */
  newTokens: number;
}

/** The workload that this project is measured on: 8 queries × 4 answers, 64 tokens of prompt, 128 sampled tokens each. */
export const W1: Workload = { queries: 8, answers: 4, promptTokens: 64, newTokens: 128 };

export interface WorkloadOperations {
  rollout: number;
  reference: number;
  update: number;
  step: number;
}

/** Weights in the matrices of all layers. */
export function bodyWeights(g: BenchGeometry): number {
  const queries = g.numHeads * g.headSize;
  const keys = g.numKeyValueHeads * g.headSize;
  return g.numLayers * g.hiddenSize * (2 * queries + 2 * keys + 3 * g.intermediateSize);
}

/** Pairs of a token at a position in [from, to) and a token up to and with itself. */
export function causalPairs(from: number, to: number): number {
  return (to * (to + 1) - from * (from + 1)) / 2;
}

export interface ForwardWork {
  /** Tokens that pass through the layers. */
  tokens: number;
  /** Pairs of tokens in attention. */
  pairs: number;
  /** Tokens whose distribution over the vocabulary is computed. */
  headRows: number;
}

/** Operations of a forward pass. */
export function forwardOperations(g: BenchGeometry, { tokens, pairs, headRows }: ForwardWork): number {
  const body = 2 * bodyWeights(g) * tokens;
  const attention = 4 * g.numHeads * g.headSize * g.numLayers * pairs;
  return body + attention + 2 * g.hiddenSize * g.vocabSize * headRows;
}

/**
 * Forward work of a tree of answers: each prompt once, then each answer without its last token, which nothing follows.
 * The distribution of an answer's first token belongs to the prompt, and is computed once for the group.
 */
export function workloadWork({ queries, answers, promptTokens, newTokens }: Workload): ForwardWork {
  const branches = queries * answers;
  return {
    tokens: queries * promptTokens + branches * (newTokens - 1),
    pairs:
      queries * causalPairs(0, promptTokens) +
      branches * causalPairs(promptTokens, promptTokens + newTokens - 1),
    headRows: queries + branches * (newTokens - 1),
  };
}

/**
 * Operations of one step of training on a workload: sampling the answers, the reference's log-probabilities of them, and
 * an update, forward and backward.
 *
 * @param trained what is trained: all weights, or an adapter on the frozen ones
 */
export function workloadOperations(
  g: BenchGeometry,
  workload: Workload,
  trained: 'weights' | 'adapter' = 'weights',
): WorkloadOperations {
  const work = workloadWork(workload);
  const forward = forwardOperations(g, work);
  // Attention has no weights: both of its operands get gradients, whatever is trained.
  const attention = forward - forwardOperations(g, { ...work, pairs: 0 });
  const backward = trained === 'weights' ? 2 * forward : forward + attention;
  const update = forward + backward;
  return { rollout: forward, reference: forward, update, step: 2 * forward + update };
}

export interface DecodeWork {
  /** Sequences that are decoded together. */
  batch: number;
  /** Tokens that each sees, itself included. */
  keys: number;
  /** Bytes of a weight, default 4. */
  weightBytes?: number;
}

/** What one token for each sequence of a batch takes: operations, and bytes to read (weights, keys and values in f32). */
export function decodeOperations(
  g: BenchGeometry,
  { batch, keys, weightBytes = 4 }: DecodeWork,
): { operations: number; bytes: number } {
  const weights = bodyWeights(g) + g.hiddenSize * g.vocabSize;
  const cache = 2 * g.numKeyValueHeads * g.headSize * g.numLayers * keys * batch;
  return {
    operations: forwardOperations(g, { tokens: batch, pairs: batch * keys, headRows: batch }),
    bytes: weightBytes * weights + 4 * cache,
  };
}
