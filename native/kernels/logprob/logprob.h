// logprob: LM head, log-softmax, gather and entropy in one pass over the vocabulary, and the gradients. The
// logits of a training batch need not exist together: they are made in chunks of 512 columns, forward and
// again backward, or kept in between for as many rows as the caller has memory for.
//
// Dimensions: T rows (tokens whose successor is scored), C hidden, V vocabulary.
//   z[t][v]    = inverse_temperature * sum_c hidden[t][c] weight[v][c]
//   lse[t]     = log sum_v exp(z[t][v])
//   logprob[t] = z[t][target[t]] - lse[t]
//   entropy[t] = lse[t] - sum_v exp(z[t][v] - lse[t]) z[t][v]          (nats)
// Each chunk keeps (max, sum of exp, sum of exp * (z - max)); chunks are combined in ascending order.
//
// In bfloat16 (Kernels::logprob_bf16) the products round their factors, hidden, weight and dz, as
// linear_bf16's do, and promise the same of bits; everything else is f32.
#pragma once

#include <stdint.h>

#include "core/exec.h"
#include "kernels/linear/panels.h"

namespace lsp {

constexpr int64_t kVocabChunk = 512;

static inline int64_t vocab_chunks(int64_t v) { return (v + kVocabChunk - 1) / kVocabChunk; }

struct LogprobForward {
  float* logprob;          // (T), or null (then targets may be null)
  float* lse;              // (T), or null
  float* entropy;          // (T), or null
  float* logits;           // (T, V) raw logits (not divided by the temperature), or null
  const float* hidden;     // (T, C)
  Panels weight;           // (ceil(V/32), C, 32)
  const int32_t* targets;  // (T)
  int64_t t, c, v;
  float inverse_temperature;
};

// Given dlogprob[t] = dLoss/dlogprob[t]: dz[t][v] = dlogprob[t] (1[v = target] - exp(z - lse)), and from it
// dhidden (overwritten) and dweight (adds: the chain over rows goes on from the gradient buffer). One call
// for all columns of the vocabulary, or one after another for ranges in ascending order, so that the caller
// may stop between them: the one that begins at 0 overwrites dhidden, the others go on with it. Same bits
// either way.
struct LogprobBackward {
  float* dhidden;          // (T, C)
  float* dweight;          // panels (ceil(V/32), C, 32), or null for a head that is not trained
  const float* dlogprob;   // (T)
  const float* lse;        // (T), from the forward pass
  const float* hidden;     // (T, C)
  Panels weight;           // (ceil(V/32), C, 32)
  const int32_t* targets;  // (T)
  int64_t t, c, v;
  float inverse_temperature;
  int64_t first, last;            // columns [first, last), cut at multiples of kVocabChunk
  const float* logits = nullptr;  // (T, V) as the forward pass left them, or null: computed once more
};

struct LogprobKernels {
  void (*forward)(Exec&, const LogprobForward&);
  void (*backward)(Exec&, const LogprobBackward&);
};

}  // namespace lsp
