// embedding on the CPU: strided reads and writes of single columns of the panels.
#include "kernels/embedding/embedding.h"

#include "core/parallel.h"

namespace lsp {
namespace LSP_ISA {

LSP_INLINE float widened(float value) { return value; }
LSP_INLINE float widened(uint16_t bfloat16) {
  const uint32_t bits = static_cast<uint32_t>(bfloat16) << 16;
  float value;
  __builtin_memcpy(&value, &bits, 4);
  return value;
}

template <class B>
static void look_up(Exec& exec, const EmbeddingForward& f, const B* table) {
  parallel_for(exec, f.t, [&](int64_t row, int) {
    const B* column = table + f.ids[row] / kPanel * f.c * kPanel + f.ids[row] % kPanel;
    float* y = f.y + row * f.c;
    for (int64_t i = 0; i < f.c; ++i) y[i] = widened(column[i * kPanel]);
  });
}

static void embedding_forward(Exec& exec, const EmbeddingForward& f) {
  if (f.table.bf16 != nullptr) {
    look_up(exec, f, f.table.bf16);
  } else {
    look_up(exec, f, f.table.f32);
  }
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
