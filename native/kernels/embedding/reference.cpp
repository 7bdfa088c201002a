#include "kernels/embedding/reference.h"

namespace lsp {
namespace reference {

void embedding_forward(float* y, const float* table, const int32_t* ids, int64_t t, int64_t c) {
  for (int64_t row = 0; row < t; ++row)
    for (int64_t i = 0; i < c; ++i) y[row * c + i] = table[ids[row] * c + i];
}

void embedding_backward(float* dtable, const float* dy, const int32_t* ids, int64_t t, int64_t c,
                        int32_t padding_id) {
  for (int64_t row = 0; row < t; ++row)
    for (int64_t i = 0; ids[row] != padding_id && i < c; ++i) dtable[ids[row] * c + i] += dy[row * c + i];
}

}  // namespace reference
}  // namespace lsp
