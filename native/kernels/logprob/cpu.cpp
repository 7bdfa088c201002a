// logprob on the CPU: see forward.h and backward.h.
#include "kernels/linear/product_f32.h"
#include "kernels/logprob/backward.h"
#include "kernels/logprob/forward.h"

namespace lsp {
namespace LSP_ISA {

extern const LogprobKernels logprob_kernels;
const LogprobKernels logprob_kernels = {HeadForward<F32Product>::run, HeadBackward<F32Product>::run};

}  // namespace LSP_ISA
}  // namespace lsp
