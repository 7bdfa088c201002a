// linear on the CPU: three products on one blocked GEMM. See gemm.h for the blocking.
#include "kernels/linear/products.h"

namespace lsp {
namespace LSP_ISA {

struct MultiplyF32 {
  template <class B>
  static void gemm(Exec& exec, const Gemm<B>& g) {
    LSP_ISA::gemm(exec, g);
  }
};
using Products = LinearProducts<MultiplyF32>;

extern const LinearKernels linear_kernels;
const LinearKernels linear_kernels = {Products::forward, Products::backward_input, Products::backward_weight};

}  // namespace LSP_ISA
}  // namespace lsp
