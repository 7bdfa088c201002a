// swiglu: y = silu(gate) * up, silu(x) = x / (1 + exp(-x)), and its gradients (Shazeer 2020, equation 6).
//
// Dimensions: T tokens, F ffn; flattened to `count` = T F elements. Outputs may be the inputs' memory.
#pragma once

#include <stdint.h>

#include "core/exec.h"

namespace lsp {

struct SwigluForward {
  float* y;           // (T, F)
  const float* gate;  // (T, F)
  const float* up;    // (T, F)
  int64_t count;
};

// Overwrites: dgate = dy up silu'(gate), dup = dy silu(gate).
struct SwigluBackward {
  float* dgate;       // (T, F)
  float* dup;         // (T, F)
  const float* dy;    // (T, F)
  const float* gate;  // (T, F)
  const float* up;    // (T, F)
  int64_t count;
};

struct SwigluKernels {
  void (*forward)(Exec&, const SwigluForward&);
  void (*backward)(Exec&, const SwigluBackward&);
};

}  // namespace lsp
