#include "model/kv_cache.h"

#include <cstring>

namespace lsp {

int64_t kv_block_floats(const ModelConfig& config) {
  return config.layers * kv_layer_floats(config.kv_heads, config.head_size);
}

KvSequence KvSequence::fork(const ModelConfig& config) const {
  KvSequence copy = *this;
  if (length_ % kKvBlock != 0) {
    auto block = std::make_shared<Buffer>(kv_block_floats(config));
    std::memcpy(block->data(), blocks_.back()->data(), static_cast<size_t>(block->count()) * sizeof(float));
    copy.blocks_.back() = std::move(block);
  }
  return copy;
}

int64_t CachedBatch::append(KvSequence& sequence, const int32_t* ids, int64_t count) {
  batch_.segments.push_back({batch_.tokens(), count, sequence.length_, nullptr});
  for (int64_t i = 0; i < count; ++i) {
    const int64_t position = sequence.length_++;
    if (position % kKvBlock == 0)
      sequence.blocks_.push_back(std::make_shared<Buffer>(kv_block_floats(config_)));
    batch_.writes.push_back({sequence.blocks_.back()->data(), static_cast<int32_t>(batch_.tokens()),
                             static_cast<int32_t>(position % kKvBlock)});
    batch_.ids.push_back(ids[i]);
    batch_.positions.push_back(static_cast<int32_t>(position));
  }
  table_starts_.push_back(batch_.tables.size());
  for (const std::shared_ptr<Buffer>& block : sequence.blocks_) {
    batch_.tables.push_back(static_cast<int32_t>(batch_.blocks.size()));
    batch_.blocks.push_back(block->data());
  }
  return batch_.tokens() - 1;
}

TokenBatch CachedBatch::finish() {
  for (size_t i = 0; i < table_starts_.size(); ++i) {
    batch_.segments[i].block_table = batch_.tables.data() + table_starts_[i];
  }
  return std::move(batch_);
}

}  // namespace lsp
