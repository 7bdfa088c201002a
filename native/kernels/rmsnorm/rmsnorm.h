// rmsnorm: root-mean-square normalisation with the residual addition fused in, and its gradients.
//
// Dimensions: T tokens, C hidden. Rows are contiguous.
//   residual' = residual + delta
//   rstd[t]   = 1 / sqrt(mean_c residual'[t][c]^2 + eps)
//   y[t][c]   = weight[c] * residual'[t][c] * rstd[t]
// (Zhang and Sennrich 2019, equation 4.) The mean is summed over a fixed tree of 16 lanes.
#pragma once

#include <stdint.h>

#include "core/exec.h"

namespace lsp {

struct RmsNormForward {
  float* y;               // (T, C)
  float* rstd;            // (T), or null
  float* residual_out;    // (T, C): residual + delta; may be `residual` itself; null when there is no delta
  const float* residual;  // (T, C)
  const float* delta;     // (T, C), or null
  const float* weight;    // (C)
  int64_t t, c;
  float eps;
};

// dresidual += d(y)/d(residual); dweight += its gradient, as a chain over tokens in order.
struct RmsNormBackward {
  float* dresidual;       // (T, C): the gradient from above comes in, the norm's is added
  float* dweight;         // (C), or null for a norm that is not trained
  const float* dy;        // (T, C)
  const float* residual;  // (T, C): the normalised input
  const float* rstd;      // (T)
  const float* weight;    // (C)
  int64_t t, c;
};

struct RmsNormKernels {
  void (*forward)(Exec&, const RmsNormForward&);
  void (*backward)(Exec&, const RmsNormBackward&);
};

}  // namespace lsp
