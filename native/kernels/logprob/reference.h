// The oracle of logprob: whole rows of logits, double precision. Weights are row-major (V, C) here.
#pragma once

#include "check/expected.h"

namespace lsp {
namespace reference {

struct Logprob {
  Expected logprob, lse, entropy;  // (T)
  Expected logits;                 // (T, V), not divided by the temperature
  double largest_logit;            // largest sum of |hidden weight| / temperature
};
Logprob logprob_forward(const float* hidden, const float* weight, const int32_t* targets, int64_t t,
                        int64_t c, int64_t v, double inverse_temperature);

struct LogprobGradients {
  Expected dhidden;  // (T, C)
  Expected dweight;  // (V, C): start + gradient
};
LogprobGradients logprob_backward(const float* dlogprob, const float* hidden, const float* weight,
                                  const float* dweight, const int32_t* targets, int64_t t, int64_t c,
                                  int64_t v, double inverse_temperature);

}  // namespace reference
}  // namespace lsp
