// A packed batch of tokens, as the kernels take it: ragged, without padding, a forest of token trees.
//
// Every token has a parent, the token before it (-1 for a first one), and a position, its depth.
// layout_forest() cuts the trees into attention segments and cache blocks (kernels/attention). A batch that
// continues sequences whose keys and values are already cached is put together by model/kv_cache instead.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/attention/attention.h"

namespace lsp {

struct TokenBatch {
  std::vector<int32_t> ids;
  std::vector<int32_t> positions;
  std::vector<AttentionSegment> segments;
  std::vector<float*> blocks;       // storage of each cache block
  std::vector<KvSlotWrite> writes;  // where each token's key and value go
  std::vector<int32_t> tables;      // block tables of the segments, one after another
  // Forests only (the backward pass needs them).
  std::vector<int32_t> slot_token;  // (blocks, 32)
  std::vector<int64_t> tree_segments, tree_blocks, tree_tokens;

  int64_t tokens() const { return static_cast<int64_t>(ids.size()); }
  int32_t last_position() const;
};

// Trees must be contiguous: a token with parent -1 starts a tree, and parents come before their children.
// `storage` holds forest_blocks() blocks of `block_floats` each.
int64_t forest_blocks(const std::vector<int32_t>& parents);
TokenBatch layout_forest(const std::vector<int32_t>& ids, const std::vector<int32_t>& parents, float* storage,
                         int64_t block_floats);

}  // namespace lsp
