#include "kernels/adamw/reference.h"

namespace lsp {
namespace reference {

AdamWResult adamw_step(const AdamW& a) {
  AdamWResult out{Expected(a.count), Expected(a.count), Expected(a.count)};
  const double beta1 = a.beta1, beta2 = a.beta2, rate = a.learning_rate;
  for (int64_t i = 0; i < a.count; ++i) {
    const double second = a.gradient2 != nullptr ? static_cast<double>(a.gradient2[i]) : 0.0;
    const double g = a.gradient_scale * (a.gradient[i] + second);
    const double g_size = std::fabs(a.gradient_scale) * (std::fabs(a.gradient[i]) + std::fabs(second));
    const double m = beta1 * a.m[i] + (1 - beta1) * g,
                 m_size = beta1 * std::fabs(a.m[i]) + (1 - beta1) * g_size;
    const double v = beta2 * a.v[i] + (1 - beta2) * g * g;
    const double denominator = std::sqrt(v) / std::sqrt(static_cast<double>(a.bias2)) + a.eps;
    const double step = rate / a.bias1 / denominator;
    out.m.set(i, m, m_size);
    out.v.set(i, v, beta2 * a.v[i] + (1 - beta2) * g_size * g_size);
    out.weight.add(i, a.weight[i] * (1 - rate * a.weight_decay), std::fabs(a.weight[i]));
    out.weight.add(i, -step * m, step * m_size);
  }
  return out;
}

}  // namespace reference
}  // namespace lsp
