// The oracle of grad_norm: the sum of squares in double precision.
#pragma once

#include <cstdint>

namespace lsp {
namespace reference {

// gradient2 may be null.
double sum_of_squares(const float* gradient, const float* gradient2, int64_t count);

}  // namespace reference
}  // namespace lsp
