#include "model/kv_cache.h"

#include <cstring>

namespace lsp {

int64_t kv_block_floats(const ModelConfig& config, KvType type) {
  return config.layers * kv_layer_floats(config.kv_heads, config.head_size) / (type == KvType::bf16 ? 2 : 1);
}

KvPool::KvPool(const ModelConfig& config, KvType type) : state_(std::make_shared<State>()) {
  state_->block_floats = kv_block_floats(config, type);
}

float* KvPool::vacant(bool zeroed) {
  State& s = *state_;
  if (s.used.empty()) {
    s.blocks.emplace_back(s.block_floats);
    s.used.reserve(s.blocks.size());  // giving a block back must not fail
    return s.blocks.back().data();
  }
  float* block = s.used.back();
  s.used.pop_back();
  if (zeroed) std::memset(block, 0, static_cast<size_t>(s.block_floats) * sizeof(float));
  return block;
}

KvPool::Block KvPool::owned(float* block) const {
  return {block, [state = state_](float* done) { state->used.push_back(done); }};
}

KvPool::Block KvPool::take() { return owned(vacant(true)); }

KvPool::Block KvPool::copy(const Block& block) {
  float* to = vacant(false);
  std::memcpy(to, block.get(), static_cast<size_t>(state_->block_floats) * sizeof(float));
  return owned(to);
}

KvSequence KvSequence::fork(KvPool& pool) const {
  KvSequence fork = *this;
  if (length_ % kKvBlock != 0) fork.blocks_.back() = pool.copy(blocks_.back());
  return fork;
}

int64_t CachedBatch::append(KvSequence& sequence, const int32_t* ids, int64_t count) {
  batch_.segments.push_back({batch_.tokens(), count, sequence.length_, nullptr});
  for (int64_t i = 0; i < count; ++i) {
    const int64_t position = sequence.length_++;
    if (position % kKvBlock == 0) sequence.blocks_.push_back(pool_.take());
    batch_.writes.push_back({sequence.blocks_.back().get(), static_cast<int32_t>(batch_.tokens()),
                             static_cast<int32_t>(position % kKvBlock)});
    batch_.ids.push_back(ids[i]);
    batch_.positions.push_back(static_cast<int32_t>(position));
  }
  table_starts_.push_back(batch_.tables.size());
  for (const KvPool::Block& block : sequence.blocks_) {
    batch_.tables.push_back(static_cast<int32_t>(batch_.blocks.size()));
    batch_.blocks.push_back(block.get());
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
