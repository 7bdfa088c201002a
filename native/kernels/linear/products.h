// The three products of linear on a blocked GEMM, with a Product of product.h; for per-ISA translation units.
// See linear.h for layouts.
#pragma once

#include "kernels/linear/gemm.h"
#include "kernels/linear/linear.h"

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
    if (b.weight.bf16 != nullptr) {
      backward_input_with(exec, b, b.weight.bf16);
    } else {
      backward_input_with(exec, b, b.weight.f32);
    }
  }

  static void backward_weight(Exec& exec, const LinearBackwardWeight& b) {
    const GemmPart<RowsFactor> part{{b.dy, b.lddy, b.n}, b.n, b.dweight, kPanelColumns, b.k * kPanelColumns};
    gemm<Product>(exec, Gemm<RowsFactor>{&part, 1, column_major(b.x, b.ldx), b.k, b.t, true});
  }

 private:
  template <class T>
  static void forward_parts(Exec& exec, const LinearForward& f, const T* Panels::*values) {
    using Factor = PanelFactor<T>;
    GemmPart<Factor> parts[3];
    for (int i = 0; i < f.part_count; ++i) {
      const LinearPart& part = f.parts[i];
      parts[i] = {{part.weight.*values, f.k}, part.n, part.y, part.ldy, kPanelColumns};
    }
    gemm<Product>(exec, Gemm<Factor>{parts, f.part_count, row_major(f.x, f.ldx), f.t, f.k, f.accumulate});
  }

  template <class T>
  static void backward_input_with(Exec& exec, const LinearBackwardInput& b, const T* values) {
    const GemmPart<TransposedFactor<T>> part{{values, b.k}, b.k, b.dx, b.lddx, kPanelColumns};
    gemm<Product>(exec, Gemm<TransposedFactor<T>>{&part, 1, row_major(b.dy, b.lddy), b.t, b.n, b.accumulate});
  }
};

}  // namespace LSP_ISA
}  // namespace lsp
