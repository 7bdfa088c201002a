// linear in bfloat16: the products of cpu.cpp with factors that are rounded while they are packed.
#include "kernels/linear/product_bf16.h"
#include "kernels/linear/products.h"

namespace lsp {
namespace LSP_ISA {

using Products = LinearProducts<Bf16Product>;

extern const LinearKernels linear_bf16_kernels;
const LinearKernels linear_bf16_kernels = {Products::forward, Products::backward_input,
                                           Products::backward_weight};

}  // namespace LSP_ISA
}  // namespace lsp
