// grad_norm: the sum of squares of a gradient, for clipping by global norm (Pascanu et al. 2013, algorithm
// 1). Blocks of 4096 elements are summed over 16 lanes in float, blocks in ascending order in double. Not
// finite when an element is not.
#pragma once

#include <stdint.h>

#include "core/exec.h"

namespace lsp {

struct GradNorm {
  double* sum_of_squares;  // one value, overwritten
  const float* gradient;
  const float* gradient2;  // a second part to be added first, or null
  int64_t count;
};

struct GradNormKernels {
  void (*sum_of_squares)(Exec&, const GradNorm&);
};

}  // namespace lsp
