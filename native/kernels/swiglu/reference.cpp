#include "kernels/swiglu/reference.h"

namespace lsp {
namespace reference {

Expected swiglu_forward(const float* gate, const float* up, int64_t count) {
  Expected y(count);
  for (int64_t i = 0; i < count; ++i) {
    const double x = gate[i];
    y.set(i, x / (1.0 + std::exp(-x)) * up[i]);
  }
  return y;
}

// silu'(x) = s + x s (1 - s); the magnitude takes 1 - s as 1, because its rounding error is relative to 1.
SwigluGradients swiglu_backward(const float* dy, const float* gate, const float* up, int64_t count) {
  SwigluGradients out{Expected(count), Expected(count)};
  for (int64_t i = 0; i < count; ++i) {
    const double x = gate[i], s = 1.0 / (1.0 + std::exp(-x)), factor = static_cast<double>(dy[i]) * up[i];
    out.dgate.set(i, factor * (s + x * s * (1.0 - s)), std::fabs(factor) * (s + std::fabs(x) * s));
    out.dup.set(i, dy[i] * x * s);
  }
  return out;
}

}  // namespace reference
}  // namespace lsp
