// The oracle of bias: double precision.
#pragma once

#include "check/expected.h"

namespace lsp {
namespace reference {

// y (T, N) + bias (N)
Expected bias_forward(const float* y, const float* bias, int64_t t, int64_t n);
// dbias (N) + the sum of dy (T, N) over its rows
Expected bias_backward(const float* dbias, const float* dy, int64_t t, int64_t n);

}  // namespace reference
}  // namespace lsp
