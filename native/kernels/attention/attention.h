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
  float* const* blocks;  // storage of each block
  int64_t layer_offset;  // of this layer within a block, in floats
  const AttentionSegment* segments;
  int64_t segment_count;
  int64_t heads, kv_heads, head_size;
};

// A batch's keys and values came from its own tokens: slot_token[32 block + slot] is the batch row that a
// slot holds, -1 if empty. At a fork, a partly filled block is copied, so a token may sit in several blocks;
// its gradient is the sum over them, blocks in ascending order.
struct AttentionBackward {
  float* dq;         // (T, H D), overwritten
  float* dk;         // (T, K D), overwritten; gradient of the keys after rope
  float* dv;         // (T, K D), overwritten
  const float* dy;   // (T, H D)
  const float* y;    // (T, H D)
  const float* lse;  // (T, H)
  const float* q;    // (T, H D)
  float* const* blocks;
  int64_t layer_offset;
  const AttentionSegment* segments;
  int64_t segment_count;
  // Trees are independent: tree i owns segments [tree_segments[i], tree_segments[i+1]), blocks
  // [tree_blocks[i], ..) and batch rows [tree_tokens[i], ..), each contiguous.
  const int64_t* tree_segments;
  const int64_t* tree_blocks;
  const int64_t* tree_tokens;
  int64_t tree_count;
  const int32_t* slot_token;
  int64_t t, heads, kv_heads, head_size;
};

struct AttentionKernels {
  void (*forward)(Exec&, const AttentionForward&);
  void (*backward)(Exec&, const AttentionBackward&);
};

}  // namespace lsp
