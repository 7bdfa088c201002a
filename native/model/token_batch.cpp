#include "model/token_batch.h"

#include <algorithm>

#include "core/error.h"

namespace lsp {

namespace {

struct SlotEntry {
  int32_t block, token, slot;
};

// Segments and blocks of a forest, before storage is known.
class ForestLayout {
 public:
  explicit ForestLayout(const std::vector<int32_t>& parents) : parents_(parents) {
    const int64_t count = static_cast<int64_t>(parents.size());
    for (int64_t token = 0; token < count; ++token) {
      const int32_t parent = parents[static_cast<size_t>(token)];
      LSP_CHECK(parent >= -1 && parent < token, "INTERNAL", "Expected parents before their children.");
      if (parent < 0) {
        start_tree(token);
      } else if (parent != token - 1) {
        LSP_CHECK(parent >= tree_tokens.back(), "INTERNAL", "Expected a parent in the same tree.");
        start_branch(token, parent);
      }
      place(token);
    }
    tree_tokens.push_back(count);
    tree_segments.push_back(static_cast<int64_t>(segments.size()));
    tree_blocks.push_back(blocks);
  }

  std::vector<int32_t> positions;
  std::vector<AttentionSegment> segments;
  std::vector<std::vector<int32_t>> tables;  // per segment
  std::vector<SlotEntry> entries;
  std::vector<int64_t> tree_segments, tree_blocks, tree_tokens;
  int64_t blocks = 0;

 private:
  void start_tree(int64_t token) {
    tree_tokens.push_back(token);
    tree_segments.push_back(static_cast<int64_t>(segments.size()));
    tree_blocks.push_back(blocks);
    start_segment(token, 0, {});
  }

  // A branch shares the full blocks of its parent's path and copies the tokens of the block that is partly
  // its own.
  void start_branch(int64_t token, int32_t parent) {
    const int32_t position = positions[static_cast<size_t>(parent)] + 1;
    const std::vector<int32_t>& path = tables[static_cast<size_t>(segment_of_[static_cast<size_t>(parent)])];
    std::vector<int32_t> table(path.begin(), path.begin() + position / kKvBlock);
    start_segment(token, position, table);
    if (position % kKvBlock == 0) return;
    const int32_t copy = add_block();
    for (int32_t ancestor = parent; ancestor >= 0; ancestor = parents_[static_cast<size_t>(ancestor)]) {
      const int32_t slot = positions[static_cast<size_t>(ancestor)] % static_cast<int32_t>(kKvBlock);
      entries.push_back({copy, ancestor, slot});
      if (slot == 0) break;
    }
  }

  void start_segment(int64_t token, int32_t position, std::vector<int32_t> table) {
    segments.push_back({token, 0, position, nullptr});
    tables.push_back(std::move(table));
  }

  int32_t add_block() {
    tables.back().push_back(static_cast<int32_t>(blocks));
    return static_cast<int32_t>(blocks++);
  }

  void place(int64_t token) {
    AttentionSegment& segment = segments.back();
    const int32_t position = static_cast<int32_t>(segment.first_position + segment.count++);
    const int32_t slot = position % static_cast<int32_t>(kKvBlock);
    if (slot == 0) add_block();
    positions.push_back(position);
    segment_of_.push_back(static_cast<int32_t>(segments.size()) - 1);
    entries.push_back({tables.back().back(), static_cast<int32_t>(token), slot});
  }

  const std::vector<int32_t>& parents_;
  std::vector<int32_t> segment_of_;
};

}  // namespace

int32_t TokenBatch::last_position() const {
  return positions.empty() ? 0 : *std::max_element(positions.begin(), positions.end());
}

int64_t forest_blocks(const std::vector<int32_t>& parents) { return ForestLayout(parents).blocks; }

TokenBatch layout_forest(const std::vector<int32_t>& ids, const std::vector<int32_t>& parents, float* storage,
                         int64_t block_floats) {
  ForestLayout layout(parents);
  TokenBatch batch;
  batch.ids = ids;
  batch.positions = std::move(layout.positions);
  batch.segments = std::move(layout.segments);
  batch.tree_segments = std::move(layout.tree_segments);
  batch.tree_blocks = std::move(layout.tree_blocks);
  batch.tree_tokens = std::move(layout.tree_tokens);
  for (int64_t i = 0; i < layout.blocks; ++i) batch.blocks.push_back(storage + i * block_floats);
  batch.slot_token.assign(static_cast<size_t>(layout.blocks * kKvBlock), -1);
  for (const SlotEntry& entry : layout.entries) {
    batch.writes.push_back({batch.blocks[static_cast<size_t>(entry.block)], entry.token, entry.slot});
    batch.slot_token[static_cast<size_t>(entry.block * kKvBlock + entry.slot)] = entry.token;
  }
  for (const std::vector<int32_t>& table : layout.tables) {
    batch.tables.insert(batch.tables.end(), table.begin(), table.end());
  }
  const int32_t* at = batch.tables.data();
  for (size_t i = 0; i < batch.segments.size(); ++i) {
    batch.segments[i].block_table = at;
    at += layout.tables[i].size();
  }
  return batch;
}

}  // namespace lsp
