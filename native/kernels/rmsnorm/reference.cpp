#include "kernels/rmsnorm/reference.h"

namespace lsp {
namespace reference {

RmsNorm rmsnorm_forward(const float* residual, const float* delta, const float* weight, int64_t t, int64_t c,
                        double eps) {
  RmsNorm out{Expected(t * c), Expected(t), Expected(t * c)};
  for (int64_t row = 0; row < t; ++row) {
    double squares = 0;
    for (int64_t i = 0; i < c; ++i) {
      const int64_t at = row * c + i;
      out.residual.add(at, residual[at]);
      if (delta != nullptr) out.residual.add(at, delta[at]);
      squares += out.residual.value[at] * out.residual.value[at];
    }
    const double rstd = 1.0 / std::sqrt(squares / static_cast<double>(c) + eps);
    out.rstd.set(row, rstd);
    for (int64_t i = 0; i < c; ++i) {
      const int64_t at = row * c + i;
      out.y.set(at, weight[i] * out.residual.value[at] * rstd,
                std::fabs(weight[i]) * out.residual.magnitude[at] * rstd);
    }
  }
  return out;
}

// y_i = w_i x_i r with r = (mean x^2 + eps)^(-1/2), so dr/dx_j = -r^3 x_j / C and
// dL/dx_j = r w_j dy_j - r^3 x_j / C * sum_i dy_i w_i x_i.
RmsNormGradients rmsnorm_backward(const float* dy, const float* residual, const float* weight,
                                  const float* dresidual, const float* dweight, int64_t t, int64_t c,
                                  double eps) {
  RmsNormGradients out{Expected(t * c), Expected(c)};
  const RmsNorm forward = rmsnorm_forward(residual, nullptr, weight, t, c, eps);
  for (int64_t i = 0; i < c; ++i) out.dweight.add(i, dweight[i]);
  for (int64_t row = 0; row < t; ++row) {
    const double r = forward.rstd.value[row];
    double dot = 0, dot_size = 0;
    for (int64_t i = 0; i < c; ++i) {
      const double term = static_cast<double>(dy[row * c + i]) * weight[i] * residual[row * c + i];
      dot += term;
      dot_size += std::fabs(term);
    }
    for (int64_t i = 0; i < c; ++i) {
      const int64_t at = row * c + i;
      const double x = residual[at];
      out.dresidual.add(at, dresidual[at]);
      out.dresidual.add(at, r * weight[i] * dy[at]);
      const double factor = r * r * r * x / static_cast<double>(c);
      out.dresidual.add(at, -factor * dot, std::fabs(factor) * dot_size);
      out.dweight.add(i, dy[at] * x * r);
    }
  }
  return out;
}

}  // namespace reference
}  // namespace lsp
