// bias on the CPU. Rows are independent; the gradient is a chain over tokens per column, so its threads split
// columns.
#include "kernels/bias/bias.h"

#include "core/parallel.h"

namespace lsp {
namespace LSP_ISA {

constexpr int64_t kRowsPerItem = 32;
constexpr int64_t kColumnsPerItem = 64;

static void bias_forward(Exec& exec, const BiasForward& f) {
  parallel_for(exec, ceil_div(f.t, kRowsPerItem), [&](int64_t item, int) {
    const int64_t last = min_of(f.t, (item + 1) * kRowsPerItem);
    for (int64_t row = item * kRowsPerItem; row < last; ++row) {
      float* y = f.y + row * f.n;
      for_lanes(f.n, [&](int64_t i, int n) { store_n(y + i, load_n(y + i, n) + load_n(f.bias + i, n), n); });
    }
  });
}

static void bias_backward(Exec& exec, const BiasBackward& b) {
  parallel_for(exec, ceil_div(b.n, kColumnsPerItem), [&](int64_t item, int) {
    const int64_t first = item * kColumnsPerItem;
    for_lanes(min_of(b.n - first, kColumnsPerItem), [&](int64_t i, int n) {
      Vec sum = load_n(b.dbias + first + i, n);
      for (int64_t row = 0; row < b.t; ++row) sum = sum + load_n(b.dy + row * b.n + first + i, n);
      store_n(b.dbias + first + i, sum, n);
    });
  });
}

extern const BiasKernels bias_kernels;
const BiasKernels bias_kernels = {bias_forward, bias_backward};

}  // namespace LSP_ISA
}  // namespace lsp
