// The three products of linear on a blocked GEMM, with a Product of product.h; for per-ISA translation units.
// See linear.h for layouts.
#pragma once

#include "kernels/linear/gemm.h"
#include "kernels/linear/linear.h"
#include "kernels/linear/skinny.h"

namespace lsp {
namespace LSP_ISA {

template <class Product>
struct LinearProducts {
  static void forward(Exec& exec, const LinearForward& f) {
    if (f.parts[0].weight.bf16 != nullptr) {
      forward_parts<uint16_t>(exec, f, &Panels::bf16);
    } else {
      forward_parts<float>(exec, f, &Panels::f32);
    }
  }

  static void backward_input(Exec& exec, const LinearBackwardInput& b) {
    with_values(b.weight, [&](const auto* values) { backward_input_with(exec, b, values); });
  }

  static void backward_weight(Exec& exec, const LinearBackwardWeight& b) {
    if (Product::kSkinny && is_skinny(b)) return skinny_backward_weight(exec, b);
    GemmPart<RowsFactor> parts[3];
    for (int i = 0; i < b.part_count; ++i) {
      const LinearGradient& part = b.parts[i];
      parts[i] = {{part.dy, part.lddy, part.n}, part.n, part.dweight, kPanelColumns, b.k * kPanelColumns};
    }
    gemm<Product>(exec, Gemm<RowsFactor>{parts, b.part_count, column_major(b.x, b.ldx), b.k, b.t, true});
  }

 private:
  template <class T>
  static void forward_parts(Exec& exec, const LinearForward& f, const T* Panels::*values) {
    if (Product::kSkinny && is_skinny(f)) return skinny_forward(exec, f, values);
    using Factor = PanelFactor<T>;
    GemmPart<Factor> parts[3];
    for (int i = 0; i < f.part_count; ++i) {
      const LinearPart& part = f.parts[i];
      const LowRankTerm& term = part.term;
      parts[i] = {{part.weight.*values, f.k},
                  part.n,
                  part.y,
                  part.ldy,
                  kPanelColumns,
                  {{term.weight, term.rank}, term.h, term.rank}};
    }
    gemm<Product>(exec, Gemm<Factor>{parts, f.part_count, row_major(f.x, f.ldx), f.t, f.k, false});
  }

  template <class T>
  static void backward_input_with(Exec& exec, const LinearBackwardInput& b, const T* values) {
    if (Product::kSkinny && is_skinny(b)) return skinny_backward_input(exec, b, values);
    const GemmPart<TransposedFactor<T>> part{
        {values, b.k}, b.k, b.dx, b.lddx, kPanelColumns, {{b.term.weight, b.k}, b.term.h, b.term.rank}};
    gemm<Product>(exec, Gemm<TransposedFactor<T>>{&part, 1, row_major(b.dy, b.lddy), b.t, b.n, b.accumulate});
  }
};

}  // namespace LSP_ISA
}  // namespace lsp
