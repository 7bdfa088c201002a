// rmsnorm on the CPU. Rows are independent; the weight gradient is a chain over tokens per column, so its
// threads split columns.
#include "kernels/rmsnorm/rmsnorm.h"

#include "core/parallel.h"

namespace lsp {
namespace LSP_ISA {

constexpr int64_t kRowsPerItem = 8;
constexpr int64_t kColumnsPerItem = 64;

static void forward_row(const RmsNormForward& f, int64_t row) {
  const float* residual = f.residual + row * f.c;
  Vec squares = zero();
  if (f.delta != nullptr) {
    const float* delta = f.delta + row * f.c;
    float* out = f.residual_out + row * f.c;
    for_lanes(f.c, [&](int64_t i, int n) {
      const Vec x = load_n(residual + i, n) + load_n(delta + i, n);
      store_n(out + i, x, n);
      squares = fma(x, x, squares);
    });
    residual = out;
  } else {
    for_lanes(f.c, [&](int64_t i, int n) {
      const Vec x = load_n(residual + i, n);
      squares = fma(x, x, squares);
    });
  }
  const float mean = sum_lanes(squares) / static_cast<float>(f.c);
  const float rstd = 1.0f / __builtin_sqrtf(mean + f.eps);
  if (f.rstd != nullptr) f.rstd[row] = rstd;
  const Vec scale = splat(rstd);
  float* y = f.y + row * f.c;
  for_lanes(f.c, [&](int64_t i, int n) {
    store_n(y + i, load_n(f.weight + i, n) * (load_n(residual + i, n) * scale), n);
  });
}

static void rmsnorm_forward(Exec& exec, const RmsNormForward& f) {
  parallel_for(exec, ceil_div(f.t, kRowsPerItem), [&](int64_t item, int) {
    const int64_t last = min_of(f.t, (item + 1) * kRowsPerItem);
    for (int64_t row = item * kRowsPerItem; row < last; ++row) forward_row(f, row);
  });
}

// With g = dy * weight and xhat = x * rstd: dx = rstd * (g - xhat * mean(g xhat)).
static void backward_row(const RmsNormBackward& b, int64_t row) {
  const float* dy = b.dy + row * b.c;
  const float* x = b.residual + row * b.c;
  float* dx = b.dresidual + row * b.c;
  const Vec rstd = splat(b.rstd[row]);
  Vec dot = zero();
  for_lanes(b.c, [&](int64_t i, int n) {
    const Vec g = load_n(dy + i, n) * load_n(b.weight + i, n);
    dot = fma(g, load_n(x + i, n) * rstd, dot);
  });
  const Vec mean = splat(sum_lanes(dot) / static_cast<float>(b.c));
  for_lanes(b.c, [&](int64_t i, int n) {
    const Vec g = load_n(dy + i, n) * load_n(b.weight + i, n);
    const Vec xhat = load_n(x + i, n) * rstd;
    store_n(dx + i, load_n(dx + i, n) + rstd * (g - xhat * mean), n);
  });
}

static void backward_weight_columns(const RmsNormBackward& b, int64_t first, int64_t last) {
  for_lanes(last - first, [&](int64_t i, int n) {
    Vec sum = load_n(b.dweight + first + i, n);
    for (int64_t row = 0; row < b.t; ++row) {
      const int64_t at = row * b.c + first + i;
      sum = fma(load_n(b.dy + at, n), load_n(b.residual + at, n) * splat(b.rstd[row]), sum);
    }
    store_n(b.dweight + first + i, sum, n);
  });
}

static void rmsnorm_backward(Exec& exec, const RmsNormBackward& b) {
  const int64_t row_items = ceil_div(b.t, kRowsPerItem);
  const int64_t column_items = b.dweight == nullptr ? 0 : ceil_div(b.c, kColumnsPerItem);
  parallel_for(exec, row_items + column_items, [&](int64_t item, int) {
    if (item < row_items) {
      const int64_t last = min_of(b.t, (item + 1) * kRowsPerItem);
      for (int64_t row = item * kRowsPerItem; row < last; ++row) backward_row(b, row);
    } else {
      const int64_t first = (item - row_items) * kColumnsPerItem;
      backward_weight_columns(b, first, min_of(b.c, first + kColumnsPerItem));
    }
  });
}

extern const RmsNormKernels rmsnorm_kernels;
const RmsNormKernels rmsnorm_kernels = {rmsnorm_forward, rmsnorm_backward};

}  // namespace LSP_ISA
}  // namespace lsp
