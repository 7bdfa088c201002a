#include "kernels/bias/reference.h"

namespace lsp {
namespace reference {

Expected bias_forward(const float* y, const float* bias, int64_t t, int64_t n) {
  Expected out(t * n);
  for (int64_t i = 0; i < t * n; ++i) {
    out.add(i, y[i]);
    out.add(i, bias[i % n]);
  }
  return out;
}

Expected bias_backward(const float* dbias, const float* dy, int64_t t, int64_t n) {
  Expected out(n);
  for (int64_t i = 0; i < n; ++i) out.add(i, dbias[i]);
  for (int64_t i = 0; i < t * n; ++i) out.add(i % n, dy[i]);
  return out;
}

}  // namespace reference
}  // namespace lsp
