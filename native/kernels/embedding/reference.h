// The oracle of embedding. Both directions are exact in float: a copy, and additions in the order of the
// tokens.
#pragma once

#include <cstdint>

namespace lsp {
namespace reference {

// y (T, C) = table (V, C)[ids]
void embedding_forward(float* y, const float* table, const int32_t* ids, int64_t t, int64_t c);
// dtable (V, C)[ids[t]] += dy[t], tokens in order, those equal to padding_id left out
void embedding_backward(float* dtable, const float* dy, const int32_t* ids, int64_t t, int64_t c,
                        int32_t padding_id);

}  // namespace reference
}  // namespace lsp
