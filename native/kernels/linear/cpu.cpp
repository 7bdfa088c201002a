// linear on the CPU: three products on one blocked GEMM. See gemm.h for the blocking.
#include "kernels/linear/product_f32.h"
#include "kernels/linear/products.h"

namespace lsp {
namespace LSP_ISA {

using Products = LinearProducts<F32Product>;

extern const LinearKernels linear_kernels;
const LinearKernels linear_kernels = {Products::forward, Products::backward_input, Products::backward_weight};

}  // namespace LSP_ISA
}  // namespace lsp
