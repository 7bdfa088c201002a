// The backward pass of the LM head on a blocked GEMM, with a Product of linear/product.h; for per-ISA
// translation units.
#pragma once

#include "core/simd_math.h"
#include "kernels/linear/gemm.h"
#include "kernels/logprob/logprob.h"

namespace lsp {
namespace LSP_ISA {

// Columns of logit gradients held at a time; more would only grow the scratch.
constexpr int64_t kBackwardColumns = 2 * kVocabChunk;

// dLoss/d(raw logit) of one row and panel from its raw logits, 0 in columns past the vocabulary. May be in
// place.
static void logit_gradients(const LogprobBackward& b, int64_t row, int64_t begin, const float* logits,
                            float* z) {
  const Vec factor = splat(b.inverse_temperature), lse = splat(b.lse[row]);
  const float scale = b.dlogprob[row] * b.inverse_temperature;
  const Vec negative = splat(-scale);
  for (int64_t i = 0; i < kPanelColumns; i += kLanes) {
    const int n = static_cast<int>(min_of(kLanes, max_of(b.v - begin - i, 0)));
    const Vec gradient = negative * exp(load_n(logits + i, n) * factor - lse);
    store(z + i, keep_first(gradient, n, zero()));
  }
  const int64_t target = b.targets[row] - begin;
  if (target >= 0 && target < kPanelColumns) z[target] += scale;
}

// Columns [begin, begin + count) of the logits' gradients as panels, from logits that were kept.
static void kept_gradients(Exec& exec, const LogprobBackward& b, int64_t begin, int64_t count, float* dz) {
  const int64_t panels = ceil_div(count, kPanelColumns);
  parallel_for(exec, b.t, [&](int64_t row, int) {
    for (int64_t panel = 0; panel < panels; ++panel) {
      const int64_t first = begin + panel * kPanelColumns;
      logit_gradients(b, row, first, b.logits + row * b.v + first, dz + (panel * b.t + row) * kPanelColumns);
    }
  });
}

template <class Product>
struct HeadBackward {
  static void run(Exec& exec, const LogprobBackward& b) {
    if (b.weight.bf16 != nullptr) {
      backward_with(exec, b, b.weight.bf16);
    } else {
      backward_with(exec, b, b.weight.f32);
    }
  }

 private:
  template <class T>
  static void computed_gradients(Exec& exec, const LogprobBackward& b, const T* weight, int64_t begin,
                                 int64_t count, float* dz) {
    const int64_t panel_floats = b.t * kPanelColumns;
    const GemmPart<PanelFactor<T>> to_logits{{weight, b.c}, count, dz, kPanelColumns, panel_floats};
    gemm<Product>(exec, Gemm<PanelFactor<T>>{&to_logits, 1, row_major(b.hidden, b.c), b.t, b.c, false},
                  [&](int64_t row, int64_t rows, int64_t panel) {
                    float* z = dz + panel * panel_floats;
                    for (int64_t i = row; i < row + rows; ++i) {
                      float* at = z + i * kPanelColumns;
                      logit_gradients(b, i, begin + panel * kPanelColumns, at, at);
                    }
                  });
  }

  template <class T>
  static void backward_with(Exec& exec, const LogprobBackward& b, const T* values) {
    float* dz = exec.shared(2, b.t * kBackwardColumns);  // panels (columns / 32, T, 32)
    const int64_t panel_floats = b.t * kPanelColumns;
    for (int64_t begin = b.first; begin < b.last; begin += kBackwardColumns) {
      const int64_t count = min_of(kBackwardColumns, b.last - begin);
      const T* weight = values + begin * b.c;
      if (b.logits != nullptr) {
        kept_gradients(exec, b, begin, count, dz);
      } else {
        computed_gradients(exec, b, weight, begin, count, dz);
      }
      const GemmPart<TransposedFactor<T>> to_hidden{{weight, b.c}, b.c, b.dhidden, b.c, kPanelColumns};
      gemm<Product>(exec, Gemm<TransposedFactor<T>>{
                              &to_hidden, 1, {dz, kPanelColumns, panel_floats}, b.t, count, begin > 0});
      if (b.dweight == nullptr) continue;
      const GemmPart<PanelFactor<float>> to_weight{
          {dz, b.t}, count, b.dweight + begin * b.c, kPanelColumns, b.c * kPanelColumns};
      gemm<Product>(exec,
                    Gemm<PanelFactor<float>>{&to_weight, 1, column_major(b.hidden, b.c), b.c, b.t, true});
    }
  }
};

}  // namespace LSP_ISA
}  // namespace lsp
