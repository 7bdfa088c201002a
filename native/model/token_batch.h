// A packed batch of tokens, as the kernels take it: ragged, without padding, a forest of token trees.
//
// A tree comes as runs: maximal chains of tokens, each the parent of the next, in consecutive rows.
// layout_runs() turns them into attention segments and cache blocks (kernels/attention). Runs may come in any
// order, and their parents may be beyond the batch, computed before. A batch that continues sequences whose
// keys and values are already cached, each by itself, is put together by model/kv_cache instead.
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
  // Forests only (the backward pass needs them); as in AttentionBackward.
  std::vector<int32_t> slot_token;  // (blocks, 32)
  std::vector<int64_t> tree_segments;
  std::vector<float*> carried;  // of each block
  std::vector<float*> beyond;   // of each token beyond the batch that a block has a copy of
  const float* begun = nullptr;
  int64_t begun_row = 0;

  int64_t tokens() const { return static_cast<int64_t>(ids.size()); }
  int32_t last_position() const;
};

constexpr int32_t kNoRun = -1;

// Tokens at positions [first_position, first_position + count) of a path.
struct TokenRun {
  int64_t first_position, count;
  int32_t parent;  // the run that holds the token before the first; kNoRun: a first token, or it is beyond
};

// A path computed before: its blocks, the last of them perhaps partly filled, and where gradients of its
// tokens go.
struct PathBlock {
  float* storage;
  float* carried;  // accumulators (AttentionBackward), null if there is no backward pass
};
struct Path {
  int64_t length = 0;  // tokens
  std::vector<PathBlock> blocks;
  std::vector<float*> sums;  // of the tokens of the last, partly filled block (AttentionBackward's beyond)
};

// Cache blocks that the runs need for themselves: (length of the layout's storage) / block_floats.
int64_t run_blocks(const std::vector<TokenRun>& runs);

// ids: of the runs' tokens, one run after another. Runs without a parent continue `beyond` at its end, or,
// where it is null, begin a tree; runs of one tree are consecutive. `storage` holds run_blocks() blocks of
// `block_floats` each.
TokenBatch layout_runs(std::vector<int32_t> ids, const std::vector<TokenRun>& runs, const Path* beyond,
                       float* storage, int64_t block_floats);

// Path `parent` continued by the first run of a batch that was laid out below it.
Path extend_path(const Path& parent, const TokenBatch& batch);

}  // namespace lsp
