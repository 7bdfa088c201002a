#include "kernels/grad_norm/reference.h"

namespace lsp {
namespace reference {

double sum_of_squares(const float* gradient, const float* gradient2, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    const double x =
        static_cast<double>(gradient[i]) + (gradient2 != nullptr ? static_cast<double>(gradient2[i]) : 0.0);
    sum += x * x;
  }
  return sum;
}

}  // namespace reference
}  // namespace lsp
