// A weight (N, K) as kernels read it: panels of 32 output columns, panel p holding for each k the 32 values
// W[32p..32p+31][k] (ceil(N/32), K, 32), zeros past N.
//
// Values are f32, or bfloat16 (the upper half of a float's bits) where a frozen model is to take half the
// memory. A kernel widens bfloat16 in registers, which loses nothing: it computes the same bits as from f32
// panels of the same values.
#pragma once

#include <stdint.h>

namespace lsp {

constexpr int64_t kPanel = 32;

static inline int64_t panel_count(int64_t n) { return (n + kPanel - 1) / kPanel; }
static inline int64_t panel_floats(int64_t n, int64_t k) { return panel_count(n) * k * kPanel; }

struct Panels {
  const float* f32 = nullptr;  // one of the two is null
  const uint16_t* bf16 = nullptr;

  Panels() = default;
  Panels(const float* values) : f32(values) {}      // NOLINT: a plain pointer is f32 panels
  Panels(const uint16_t* values) : bf16(values) {}  // NOLINT
};

}  // namespace lsp
