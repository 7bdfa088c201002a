// bias: adds a vector to every row, and its gradient.
//
// Dimensions: T tokens, N outputs. Rows are contiguous.
#pragma once

#include <stdint.h>

#include "core/exec.h"

namespace lsp {

// y[t][n] += bias[n]
struct BiasForward {
  float* y;           // (T, N)
  const float* bias;  // (N)
  int64_t t, n;
};

// dbias[n] += dy[t][n], as a chain over tokens in order, the same in any micro-batch.
struct BiasBackward {
  float* dbias;     // (N)
  const float* dy;  // (T, N)
  int64_t t, n;
};

struct BiasKernels {
  void (*forward)(Exec&, const BiasForward&);
  void (*backward)(Exec&, const BiasBackward&);
};

}  // namespace lsp
