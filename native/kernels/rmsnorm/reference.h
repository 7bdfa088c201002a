// The oracle of rmsnorm: double precision.
#pragma once

#include "check/expected.h"

namespace lsp {
namespace reference {

struct RmsNorm {
  Expected y;         // (T, C)
  Expected rstd;      // (T)
  Expected residual;  // (T, C): residual + delta
};
// delta may be null.
RmsNorm rmsnorm_forward(const float* residual, const float* delta, const float* weight, int64_t t, int64_t c,
                        double eps);

struct RmsNormGradients {
  Expected dresidual;  // (T, C): start + gradient
  Expected dweight;    // (C): start + gradient
};
RmsNormGradients rmsnorm_backward(const float* dy, const float* residual, const float* weight,
                                  const float* dresidual, const float* dweight, int64_t t, int64_t c,
                                  double eps);

}  // namespace reference
}  // namespace lsp
