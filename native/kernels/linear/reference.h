// The oracle of linear: plain row-major matrices, double precision.
#pragma once

#include "check/expected.h"

namespace lsp {
namespace reference {

// y (T, N) = x (T, K) w (N, K)^T
Expected linear_forward(const float* x, const float* w, int64_t t, int64_t k, int64_t n);
// dx (T, K) = start + dy (T, N) w (N, K); start may be null (zero)
Expected linear_backward_input(const float* dy, const float* w, const float* start, int64_t t, int64_t k,
                               int64_t n);
// dw (N, K) = start + dy (T, N)^T x (T, K)
Expected linear_backward_weight(const float* dy, const float* x, const float* start, int64_t t, int64_t k,
                                int64_t n);

// The same by the chain that the contract prescribes, fused multiply-adds in float: these are the bits to
// expect.
void linear_forward_chain(float* y, const float* x, const float* w, int64_t t, int64_t k, int64_t n);
void linear_backward_input_chain(float* dx, const float* dy, const float* w, int64_t t, int64_t k, int64_t n);
void linear_backward_weight_chain(float* dw, const float* dy, const float* x, int64_t t, int64_t k,
                                  int64_t n);

}  // namespace reference
}  // namespace lsp
