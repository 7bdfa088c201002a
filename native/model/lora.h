// Low-rank adapters in the passes: y = x W^T + scale (x A^T) B^T (Hu et al. 2022, equation 3), the same code
// in sampling, scoring and training.
//
// Exactness. With h = scale (x A^T), each value a chain over K rounded once more by the scale, the chain of
// y[n] goes on from that of x W^T over the rank: the same bits in any batch, with any threads and instruction
// set. The base stays as it is, so f32 or bfloat16 makes no difference here.
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

// dA += (scale dy B)^T x and dB += dy^T h, where that weight has an adapter.
void adapter_weight_gradient(Model& model, Gradients& gradients, int weight, const float* dy, const float* x,
                             int64_t k, int64_t t);
// What dx = dy W goes on with, after adapter_weight_gradient for the same weight and tokens: scale dy B, and
// A.
LowRankTerm adapter_input_term(Model& model, int weight, int64_t t);

// First values: A uniform in +-1/sqrt(K) as PEFT has it (He's initialisation with a = sqrt 5), B zero, so
// that the model is at first the one without an adapter. `matrix` is the index of W; a number depends on it,
// the seed, and its place in A alone.
Buffer initial_adapter_values(const ParameterSpec& spec, bool is_a, uint64_t seed, int matrix);

// W + scale B A as f32 panels: the chain over the rank goes on from W.
Buffer merged_matrix(Model& model, int weight);

}  // namespace lsp
