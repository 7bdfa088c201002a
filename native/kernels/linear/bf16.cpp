// linear in bfloat16: the products of cpu.cpp on the GEMM of gemm_bf16.h.
#include "kernels/linear/gemm_bf16.h"
#include "kernels/linear/products.h"

namespace lsp {
namespace LSP_ISA {

struct MultiplyBf16 {
  template <class B>
  static void gemm(Exec& exec, const Gemm<B>& g) {
    gemm_bf16(exec, g);
  }
};
using Products = LinearProducts<MultiplyBf16>;

extern const LinearKernels linear_bf16_kernels;
const LinearKernels linear_bf16_kernels = {Products::forward, Products::backward_input,
                                           Products::backward_weight};

}  // namespace LSP_ISA
}  // namespace lsp
