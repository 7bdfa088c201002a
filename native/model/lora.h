// Low-rank adapters in the passes: y = x W^T + scale (x A^T) B^T (Hu et al. 2022, equation 3), the same code
// in sampling, scoring and training.
//
// Exactness. With h = scale (x A^T), each value a chain over K rounded once more by the scale, the chain of
// y[n] goes on from that of x W^T over the rank: the same bits in any batch, with any threads and instruction
// set. The base stays as it is, so how it is held makes no difference here. Where the model computes in
// bfloat16, h B^T is part of a product in bfloat16; x A^T and the gradients of A and B are f32 all the same:
// products that narrow are bound by memory.
#pragma once

#include <cstdint>

#include "kernels/linear/linear.h"
#include "model/model.h"

namespace lsp {

class Gradients;

// What the products of x (T, K) with these matrices (at most 3) go on with: h and B where there is an
// adapter. Kept until the next call.
void adapter_terms(Model& model, const int* weights, LowRankTerm* terms, int count, const float* x, int64_t k,
                   int64_t t);

// The gradient of x W^T, for the W at this index.
struct Upstream {
  int weight;
  const float* dy;  // (T, N)
};

// dA += (scale dy B)^T x and dB += dy^T h, where a matrix (of at most 3) has an adapter. The terms are what
// dx = dy W goes on with: scale dy B and A, kept until the next call.
void adapter_gradients(Model& model, Gradients& gradients, const Upstream* of, LowRankTerm* terms, int count,
                       const float* x, int64_t k, int64_t t);

// First values: A uniform in +-1/sqrt(K) as PEFT has it (He's initialisation with a = sqrt 5), B zero, so
// that the model is at first the one without an adapter. `matrix` is the index of W; a number depends on it,
// the seed, and its place in A alone.
Buffer initial_adapter_values(const ParameterSpec& spec, bool is_a, uint64_t seed, int matrix);

// W + scale B A as f32 panels: the chain over the rank goes on from W.
Buffer merged_matrix(Model& model, int weight);

}  // namespace lsp
