// linear: y = x W^T, and its gradients.
//
// Dimensions: T tokens (rows of x and y), K input features, N output features.
//
// A weight W (N, K) lives only as panels (panels.h). Gradients of weights have the same layout, in f32.
//
// Exactness. Every output element is one chain of fused multiply-adds over its reduction index in ascending
// order, starting from 0 (or from the value in place, where a contract says "adds"). SIMD lanes run over
// output columns, so tiling, batch size, threads and ISA cannot change a bit.
//
// In bfloat16 (Kernels::linear_bf16) the same products round x, dy and the weight, multiply exactly, and sum
// in f32. Each value is rounded to the nearest bfloat16 (IEEE 754: ties to even, NaN stays NaN, infinity
// infinity, and what is at least 2^128 - 2^119, half a step beyond the largest bfloat16, becomes infinity);
// denormals are 0. That is the same on every variant. y, dx and dW are f32, and sums that go
// on from a value in place go on from it unrounded. The order of a sum is that of the variant's instruction
// (product_bf16.h): it differs between variants, and with it the last bits. On one variant it depends on the
// reduction's length alone, not on the other rows and columns, on tiles or threads: a token's y and dx are
// the same bits in any batch. dW sums over tokens in blocks of kBfloat16Rows: cutting them into micro-batches
// changes no bit where every cut is a multiple of that, and elsewhere the last bits.
#pragma once

#include <stdint.h>

#include "core/exec.h"
#include "kernels/linear/panels.h"

namespace lsp {

constexpr int64_t kBfloat16Rows = 32;

// A second product of low rank, with which every element's chain goes on.
struct LowRankTerm {
  const float* h = nullptr;  // (T, rank); null: there is none
  const float* weight = nullptr;
  int64_t rank = 0;
};

// One weight among several that share their input (q, k and v; gate and up).
struct LinearPart {
  Panels weight;  // (ceil(n/32), K, 32)
  int64_t n;      // N of this weight
  float* y;       // (T, n), rows ldy floats apart
  int64_t ldy;
  LowRankTerm term = {};  // its weight B: panels (ceil(n/32), rank, 32)
};

// y_i = x W_i^T + h_i B_i^T for each part; the W_i are all f32 or all bfloat16.
struct LinearForward {
  const LinearPart* parts;
  int part_count;  // at most 3
  const float* x;  // (T, K), rows ldx floats apart
  int64_t ldx;
  int64_t t, k;
};

// dx = dy W + h A, or dx += both when `accumulate` (the chain goes on from the value in place).
struct LinearBackwardInput {
  float* dx;        // (T, K), rows lddx floats apart
  const float* dy;  // (T, N), rows lddy floats apart
  Panels weight;    // (ceil(N/32), K, 32)
  int64_t lddx, lddy;
  int64_t t, k, n;
  bool accumulate;
  LowRankTerm term = {};  // its weight A: panels (ceil(rank/32), K, 32)
};

// The gradient of one weight among those that share their input.
struct LinearGradient {
  float* dweight;   // panels (ceil(n/32), K, 32)
  const float* dy;  // (T, n), rows lddy floats apart
  int64_t lddy, n;
};

// dW_i += dy_i^T x: each element's chain over the tokens goes on from the value in the gradient buffer, so
// cutting the tokens into micro-batches in order cannot change a bit.
struct LinearBackwardWeight {
  const LinearGradient* parts;
  int part_count;  // at most 3
  const float* x;  // (T, K), rows ldx floats apart
  int64_t ldx;
  int64_t t, k;
};

struct LinearKernels {
  void (*forward)(Exec&, const LinearForward&);
  void (*backward_input)(Exec&, const LinearBackwardInput&);
  void (*backward_weight)(Exec&, const LinearBackwardWeight&);
};

}  // namespace lsp
