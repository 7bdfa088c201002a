// logprob in bfloat16: the passes of cpu.cpp with factors that are rounded while they are packed.
#include "kernels/linear/product_bf16.h"
#include "kernels/logprob/backward.h"
#include "kernels/logprob/forward.h"

namespace lsp {
namespace LSP_ISA {

extern const LogprobKernels logprob_bf16_kernels;
const LogprobKernels logprob_bf16_kernels = {HeadForward<Bf16Product>::run, HeadBackward<Bf16Product>::run};

}  // namespace LSP_ISA
}  // namespace lsp
