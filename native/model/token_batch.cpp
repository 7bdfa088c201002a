#include "model/token_batch.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "core/error.h"

namespace lsp {

namespace {

int64_t blocks_of(const TokenRun& run) {
  return (run.first_position + run.count - 1) / kKvBlock - run.first_position / kKvBlock + 1;
}

class RunsLayout {
 public:
  RunsLayout(const std::vector<TokenRun>& runs, const Path* beyond, float* storage, int64_t block_floats)
      : runs_(runs), beyond_(beyond), block_floats_(block_floats), tables_(runs.size()) {
    int64_t rows = 0, blocks = 0;
    for (const TokenRun& run : runs) {
      first_row_.push_back(rows);
      first_block_.push_back(static_cast<int32_t>(blocks));
      rows += run.count;
      blocks += blocks_of(run);
    }
    own_blocks_ = blocks;
    for (int64_t i = 0; i < blocks; ++i) batch_.blocks.push_back(storage + i * block_floats);
    batch_.slot_token.assign(static_cast<size_t>(blocks * kKvBlock), kNoToken);
    if (beyond != nullptr) append_beyond();
    batch_.positions.resize(static_cast<size_t>(rows));
  }

  TokenBatch finish(std::vector<int32_t> ids) {
    LSP_CHECK(ids.size() == batch_.positions.size(), "INTERNAL",
              "Expected an id for each token of the runs.");
    // A parent's run begins at an earlier position than its children's.
    std::vector<size_t> order(runs_.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return runs_[a].first_position < runs_[b].first_position; });
    for (const size_t run : order) place(run);
    batch_.ids = std::move(ids);
    add_segments();
    add_trees(order);
    return std::move(batch_);
  }

 private:
  // The whole blocks of the path beyond; a partly filled one is only copied.
  void append_beyond() {
    batch_.carried.assign(batch_.blocks.size(), nullptr);
    for (int64_t i = 0; i < beyond_->length / kKvBlock; ++i) {
      const PathBlock& block = beyond_->blocks[static_cast<size_t>(i)];
      batch_.blocks.push_back(block.storage);
      batch_.carried.push_back(block.carried);
      batch_.slot_token.insert(batch_.slot_token.end(), kKvBlock, kNoToken);
    }
    batch_.beyond = beyond_->sums;
  }

  void place(size_t index) {
    const TokenRun& run = runs_[index];
    std::vector<int32_t>& table = tables_[index];
    start_table(run, table);
    const int64_t first = first_block_[index];
    if (run.first_position % kKvBlock != 0) copy_partial(run, static_cast<int32_t>(first));
    for (int64_t i = 0; i < blocks_of(run); ++i) table.push_back(static_cast<int32_t>(first + i));
    for (int64_t i = 0; i < run.count; ++i) {
      const int64_t position = run.first_position + i;
      const int32_t row = static_cast<int32_t>(first_row_[index] + i);
      batch_.positions[static_cast<size_t>(row)] = static_cast<int32_t>(position);
      write(table[static_cast<size_t>(position / kKvBlock)], static_cast<int32_t>(position % kKvBlock), row);
    }
  }

  // The whole blocks before the run.
  void start_table(const TokenRun& run, std::vector<int32_t>& table) const {
    const int64_t whole = run.first_position / kKvBlock;
    if (run.parent != kNoRun) {
      const std::vector<int32_t>& path = tables_[static_cast<size_t>(run.parent)];
      table.assign(path.begin(), path.begin() + whole);
      return;
    }
    LSP_CHECK(run.first_position == (beyond_ == nullptr ? 0 : beyond_->length), "INTERNAL",
              "Expected a run that begins where its path ends.");
    for (int64_t i = 0; i < whole; ++i) table.push_back(static_cast<int32_t>(own_blocks_ + i));
  }

  // The run's first block begins with the tokens before it that share the block.
  void copy_partial(const TokenRun& run, int32_t block) {
    const int32_t count = static_cast<int32_t>(run.first_position % kKvBlock);
    const int64_t index = run.first_position / kKvBlock;
    if (run.parent == kNoRun) {
      for (int32_t slot = 0; slot < count; ++slot) slot_token(block, slot) = beyond_token(slot);
      copy_beyond(block);
      return;
    }
    const int32_t from = tables_[static_cast<size_t>(run.parent)][static_cast<size_t>(index)];
    if (slot_token(from, 0) < kNoToken) copy_beyond(block);
    for (int32_t slot = 0; slot < count; ++slot) {
      const int32_t token = slot_token(from, slot);
      if (token >= 0) {
        write(block, slot, token);
      } else {
        slot_token(block, slot) = token;
      }
    }
  }

  void copy_beyond(int32_t block) {
    std::memcpy(batch_.blocks[static_cast<size_t>(block)], beyond_->blocks.back().storage,
                static_cast<size_t>(block_floats_) * sizeof(float));
  }

  void write(int32_t block, int32_t slot, int32_t row) {
    batch_.writes.push_back({batch_.blocks[static_cast<size_t>(block)], row, slot});
    slot_token(block, slot) = row;
  }

  int32_t& slot_token(int32_t block, int32_t slot) {
    return batch_.slot_token[static_cast<size_t>(block * kKvBlock + slot)];
  }

  void add_segments() {
    for (const std::vector<int32_t>& table : tables_)
      batch_.tables.insert(batch_.tables.end(), table.begin(), table.end());
    const int32_t* at = batch_.tables.data();
    for (size_t i = 0; i < runs_.size(); ++i) {
      batch_.segments.push_back({first_row_[i], runs_[i].count, runs_[i].first_position, at});
      at += tables_[i].size();
    }
  }

  // Below a path beyond, all runs share its blocks: one tree.
  void add_trees(const std::vector<size_t>& order) {
    std::vector<size_t> root(runs_.size(), 0);
    for (const size_t run : order) {
      const int32_t parent = runs_[run].parent;
      if (beyond_ == nullptr) root[run] = parent == kNoRun ? run : root[static_cast<size_t>(parent)];
    }
    for (size_t run = 0; run < runs_.size(); ++run) {
      if (run == 0 || root[run] != root[run - 1]) batch_.tree_segments.push_back(static_cast<int64_t>(run));
    }
    batch_.tree_segments.push_back(static_cast<int64_t>(runs_.size()));
  }

  const std::vector<TokenRun>& runs_;
  const Path* const beyond_;
  const int64_t block_floats_;
  int64_t own_blocks_ = 0;
  std::vector<int64_t> first_row_;
  std::vector<int32_t> first_block_;
  std::vector<std::vector<int32_t>> tables_;
  TokenBatch batch_;
};

}  // namespace

int32_t TokenBatch::last_position() const {
  return positions.empty() ? 0 : *std::max_element(positions.begin(), positions.end());
}

int64_t run_blocks(const std::vector<TokenRun>& runs) {
  int64_t blocks = 0;
  for (const TokenRun& run : runs) blocks += blocks_of(run);
  return blocks;
}

TokenBatch layout_runs(std::vector<int32_t> ids, const std::vector<TokenRun>& runs, const Path* beyond,
                       float* storage, int64_t block_floats) {
  return RunsLayout(runs, beyond, storage, block_floats).finish(std::move(ids));
}

Path extend_path(const Path& parent, const TokenBatch& batch) {
  const AttentionSegment& run = batch.segments.front();
  Path path;
  path.length = run.first_position + run.count;
  const size_t whole = static_cast<size_t>(run.first_position / kKvBlock);
  path.blocks.assign(parent.blocks.begin(), parent.blocks.begin() + static_cast<int64_t>(whole));
  for (size_t i = whole; i < static_cast<size_t>((path.length + kKvBlock - 1) / kKvBlock); ++i) {
    const size_t block = static_cast<size_t>(run.block_table[i]);
    path.blocks.push_back({batch.blocks[block], batch.carried.empty() ? nullptr : batch.carried[block]});
  }
  return path;
}

}  // namespace lsp
