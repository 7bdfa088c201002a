// grad_norm on the CPU: partial sums per block of fixed size, added up in order by the caller's thread.
#include "kernels/grad_norm/grad_norm.h"

#include "core/parallel.h"

namespace lsp {
namespace LSP_ISA {

static void sum_of_squares(Exec& exec, const GradNorm& g) {
  constexpr int64_t kBlock = 4096;
  const int64_t blocks = ceil_div(g.count, kBlock);
  float* sums = exec.shared(0, blocks);
  parallel_for(exec, blocks, [&](int64_t block, int) {
    const int64_t first = block * kBlock;
    Vec squares = zero();
    for_lanes(min_of(kBlock, g.count - first), [&](int64_t offset, int n) {
      Vec x = load_n(g.gradient + first + offset, n);
      if (g.gradient2 != nullptr) x = x + load_n(g.gradient2 + first + offset, n);
      squares = fma(x, x, squares);
    });
    sums[block] = sum_lanes(squares);
  });
  double total = 0.0;
  for (int64_t block = 0; block < blocks; ++block) total += static_cast<double>(sums[block]);
  *g.sum_of_squares = total;
}

extern const GradNormKernels grad_norm_kernels;
const GradNormKernels grad_norm_kernels = {sum_of_squares};

}  // namespace LSP_ISA
}  // namespace lsp
