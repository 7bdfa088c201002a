// The oracle of rope: rows in plain layout, double precision.
#pragma once

#include "check/expected.h"
#include "kernels/rope/rope.h"

namespace lsp {
namespace reference {

// Turns rows (T, heads D) by their positions' angles, back when `sign` is -1.
Expected rope(const float* rows, const float* cosine, const float* sine, const int32_t* positions, int64_t t,
              int64_t heads, int64_t head_size, double sign);
// frequency[i] of Llama-3's rule, in double precision.
double rope_frequency(int64_t i, int64_t head_size, double theta, const RopeScaling& scaling);

}  // namespace reference
}  // namespace lsp
