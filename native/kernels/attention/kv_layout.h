// The key/value cache layout that rope writes and attention reads.
//
// Keys and values lie in blocks of 32 tokens, counted from position 0 of their sequence, so that sequences
// with a common prefix share blocks and every query meets the same keys in the same grouping whatever the
// batch. A block holds all layers; within a layer, for each kv head (D head size, Dp = D rounded up to a
// multiple of 32):
//   keys    (D, 32)   transposed: lanes run over the block's tokens
//   values  (32, Dp)  rows per token, padded with zeros
// Slots not written yet are zero. Both are f32 or, for sampling that rounds its weights too, bfloat16
// (nearest, ties to even); offsets and sizes count values of that type.
#pragma once

#include <stdint.h>

namespace lsp {

constexpr int64_t kKvBlock = 32;

enum class KvType { f32, bf16 };

static inline int64_t kv_padded_head(int64_t head_size) { return (head_size + 31) / 32 * 32; }
// Values of one kv head of one layer of a block: keys, then values.
static inline int64_t kv_head_floats(int64_t head_size) {
  return kKvBlock * (head_size + kv_padded_head(head_size));
}
static inline int64_t kv_layer_floats(int64_t kv_heads, int64_t head_size) {
  return kv_heads * kv_head_floats(head_size);
}

// Token `token` of the batch belongs in `slot` of the block whose storage begins at `block`.
struct KvSlotWrite {
  float* block;  // or bfloat16
  int32_t token;
  int32_t slot;
};

}  // namespace lsp
