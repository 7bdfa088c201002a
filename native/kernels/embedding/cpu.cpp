// embedding on the CPU: strided reads and writes of single columns of the panels.
#include "kernels/embedding/embedding.h"

#include "core/parallel.h"
#include "kernels/linear/linear.h"

namespace lsp {
namespace LSP_ISA {

static void embedding_forward(Exec& exec, const EmbeddingForward& f) {
  parallel_for(exec, f.t, [&](int64_t row, int) {
    const float* column = f.table + f.ids[row] / kPanel * f.c * kPanel + f.ids[row] % kPanel;
    float* y = f.y + row * f.c;
    for (int64_t i = 0; i < f.c; ++i) y[i] = column[i * kPanel];
  });
}

// Threads split the hidden columns, so each element's sum runs over the tokens in order.
static void embedding_backward(Exec& exec, const EmbeddingBackward& b) {
  constexpr int64_t kColumnsPerItem = 64;
  parallel_for(exec, ceil_div(b.c, kColumnsPerItem), [&](int64_t item, int) {
    const int64_t first = item * kColumnsPerItem, last = min_of(b.c, first + kColumnsPerItem);
    for (int64_t row = 0; row < b.t; ++row) {
      if (b.ids[row] == b.padding_id) continue;
      float* column = b.dtable + b.ids[row] / kPanel * b.c * kPanel + b.ids[row] % kPanel;
      const float* dy = b.dy + row * b.c;
      for (int64_t i = first; i < last; ++i) column[i * kPanel] += dy[i];
    }
  });
}

extern const EmbeddingKernels embedding_kernels;
const EmbeddingKernels embedding_kernels = {embedding_forward, embedding_backward};

}  // namespace LSP_ISA
}  // namespace lsp
