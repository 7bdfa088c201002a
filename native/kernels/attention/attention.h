// attention: causal grouped-query attention over a token tree, blocked, with an online softmax.
//
// Dimensions: T tokens, H heads, K kv heads, D head size; H is a multiple of K and query head h reads kv head
// h K / H.
//
// The token tree. Every token has a parent (the token before it, -1 for a first one) and a position (its
// depth). It attends to itself and its ancestors. The tree comes cut into segments: maximal runs of tokens
// that are consecutive in the batch, each the parent of the next. A segment names the cache blocks of its
// whole path from position 0 on, so branches share the blocks of their prefix; model/token_batch.h derives
// segments and blocks from (parent, position).
//
// softmax(q k / sqrt(D)) v (Vaswani et al. 2017, equation 1), computed block by block of 32 keys counted from
// position 0 (Milakov and Gimelshein 2018, algorithm 3; Dao et al. 2022, algorithm 1). A query's result
// depends on its own path alone: later keys are skipped, not multiplied by zero.
#pragma once

#include <stdint.h>

#include "core/exec.h"
#include "kernels/attention/kv_layout.h"

namespace lsp {

struct AttentionSegment {
  int64_t first_token;         // row in the batch
  int64_t count;               // tokens
  int64_t first_position;      // of first_token
  const int32_t* block_table;  // indices into `blocks`: block i holds positions [32i, 32i+32) of this path
};

struct AttentionForward {
  float* y;              // (T, H D)
  float* lse;            // (T, H): log of the softmax denominator, for the backward pass; or null
  const float* q;        // (T, H D), after rope
  float* const* blocks;  // storage of each block; of bfloat16 where the type says so
  int64_t layer_offset;  // of this layer within a block, in values
  const AttentionSegment* segments;
  int64_t segment_count;
  int64_t heads, kv_heads, head_size;
  KvType type = KvType::f32;
};

// Gradients of queries, keys and values.
//
// Each query head has accumulators for each block: gradients of its 32 keys and of its 32 values (2, 32, Dp),
// chains over that head's queries, segments in order and tokens ascending. A token's dk and dv are the sum
// over the blocks that hold it (a fork copies a partly filled block), blocks ascending, of the sum over the
// heads of its group.
//
// Not all of a tree need be in one call, so that its memory can be bounded: a block may hold tokens of
// another call, whose branches these are. Its accumulators then lie with the caller, who hands them in again
// until the last call, that of the block's own tokens: the chains go on, and the bits are those of one call.
struct AttentionBackward {
  float* dq;         // (T, H D), overwritten
  float* dk;         // (T, K D), overwritten; gradient of the keys after rope
  float* dv;         // (T, K D), overwritten
  const float* dy;   // (T, H D)
  const float* y;    // (T, H D)
  const float* lse;  // (T, H)
  const float* q;    // (T, H D)
  float* const* blocks;
  int64_t block_count;
  int64_t layer_offset;
  const AttentionSegment* segments;
  // Trees are independent of one another: tree i owns segments [tree_segments[i], tree_segments[i+1]).
  const int64_t* tree_segments;
  int64_t tree_count;
  // slot_token[32 block + slot]: the batch row whose gradient a slot adds to; kNoToken if it is empty, or if
  // its block's accumulators go on in a later call; beyond(i) for a copy of a token that is not in the batch.
  const int32_t* slot_token;
  float* const*
      carried;  // of each block: accumulators (H, 2, 32, Dp) at `carried_offset`; null: from zero. Or null
  int64_t carried_offset;  // of this layer
  float* const*
      beyond;  // of each token beyond the batch: sums of dk and dv (2, K D) at `beyond_offset`, added to
  int64_t beyond_offset;
  const float*
      begun;  // (T, 2, K D), rows begun_row apart: what earlier calls gave to this one's tokens; or null
  int64_t begun_row;
  int64_t t, heads, kv_heads, head_size;
};

constexpr int32_t kNoToken = -1;
static inline int32_t beyond_token(int64_t index) { return static_cast<int32_t>(-2 - index); }

// Accumulators of one layer of a block.
static inline int64_t attention_accumulator_floats(int64_t heads, int64_t head_size) {
  return heads * 2 * kKvBlock * kv_padded_head(head_size);
}

struct AttentionKernels {
  void (*forward)(Exec&, const AttentionForward&);
  void (*backward)(Exec&, const AttentionBackward&);
};

}  // namespace lsp
