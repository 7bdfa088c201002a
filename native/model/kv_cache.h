// Sequences whose keys and values stay cached between forward passes. Blocks of 32 positions hold all layers;
// sequences with a common prefix share its full blocks, and a fork copies the partly filled last one.
#pragma once

#include <memory>
#include <vector>

#include "core/buffer.h"
#include "model/config.h"
#include "model/token_batch.h"

namespace lsp {

// Floats that a block takes (two bfloat16 to a float).
int64_t kv_block_floats(const ModelConfig& config, KvType type = KvType::f32);

// Where blocks come from, and go to when no sequence holds them any longer: taking each from the system would
// cost more than writing it.
class KvPool {
 public:
  using Block = std::shared_ptr<float>;

  explicit KvPool(const ModelConfig& config, KvType type = KvType::f32);
  // Zeros.
  Block take();
  // A copy of another.
  Block copy(const Block& block);

 private:
  struct State {
    int64_t block_floats;
    std::vector<Buffer> blocks;
    std::vector<float*> used;  // free, with whatever was left in them
  };
  float* vacant(bool zeroed);
  Block owned(float* block) const;
  std::shared_ptr<State> state_;  // lives as long as any block
};

class KvSequence {
 public:
  int64_t length() const { return length_; }
  // Another sequence with the same past.
  KvSequence fork(KvPool& pool) const;

 private:
  friend class CachedBatch;
  std::vector<KvPool::Block> blocks_;
  int64_t length_ = 0;
};

// A batch under construction: each appended run of tokens continues its own sequence, whose length grows at
// once. The sequences must outlive the batch.
class CachedBatch {
 public:
  explicit CachedBatch(KvPool& pool) : pool_(pool) {}

  // Returns the batch row of the last token.
  int64_t append(KvSequence& sequence, const int32_t* ids, int64_t count);
  TokenBatch finish();

 private:
  KvPool& pool_;
  TokenBatch batch_;
  std::vector<size_t> table_starts_;
};

}  // namespace lsp
