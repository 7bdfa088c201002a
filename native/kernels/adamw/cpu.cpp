// adamw on the CPU: one pass over weight, gradient and both moments.
#include "kernels/adamw/adamw.h"

#include "core/parallel.h"

namespace lsp {
namespace LSP_ISA {

static void adamw_step(Exec& exec, const AdamW& a) {
  constexpr int64_t kElementsPerItem = 16384;
  const Vec beta1 = splat(a.beta1), beta2 = splat(a.beta2);
  const Vec rest1 = splat(1.0f - a.beta1), rest2 = splat(1.0f - a.beta2);
  const Vec decay = splat(1.0f - a.learning_rate * a.weight_decay);
  const Vec rate = splat(a.learning_rate / a.bias1);
  const Vec root_bias2 = splat(__builtin_sqrtf(a.bias2)), eps = splat(a.eps), scale = splat(a.gradient_scale);
  parallel_for(exec, ceil_div(a.count, kElementsPerItem), [&](int64_t item, int) {
    const int64_t first = item * kElementsPerItem;
    for_lanes(min_of(kElementsPerItem, a.count - first), [&](int64_t offset, int n) {
      const int64_t i = first + offset;
      Vec g = load_n(a.gradient + i, n);
      if (a.gradient2 != nullptr) g = g + load_n(a.gradient2 + i, n);
      g = g * scale;
      const Vec m = fma(beta1, load_n(a.m + i, n), rest1 * g);
      const Vec v = fma(beta2, load_n(a.v + i, n), rest2 * (g * g));
      const Vec denominator = sqrt(v) / root_bias2 + eps;
      store_n(a.m + i, m, n);
      store_n(a.v + i, v, n);
      store_n(a.weight_out + i, load_n(a.weight + i, n) * decay - rate * (m / denominator), n);
    });
  });
}

extern const AdamWKernels adamw_kernels;
const AdamWKernels adamw_kernels = {adamw_step};

}  // namespace LSP_ISA
}  // namespace lsp
