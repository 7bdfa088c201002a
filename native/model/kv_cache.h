// Sequences whose keys and values stay cached between forward passes. Blocks of 32 positions hold all layers;
// sequences with a common prefix share its full blocks, and a fork copies the partly filled last one.
#pragma once

#include <memory>
#include <vector>

#include "core/buffer.h"
#include "model/config.h"
#include "model/token_batch.h"

namespace lsp {

int64_t kv_block_floats(const ModelConfig& config);

class KvSequence {
 public:
  int64_t length() const { return length_; }
  // Another sequence with the same past.
  KvSequence fork(const ModelConfig& config) const;

 private:
  friend class CachedBatch;
  std::vector<std::shared_ptr<Buffer>> blocks_;
  int64_t length_ = 0;
};

// A batch under construction: each appended run of tokens continues its own sequence, whose length grows at
// once. The sequences must outlive the batch.
class CachedBatch {
 public:
  explicit CachedBatch(const ModelConfig& config) : config_(config) {}

  // Returns the batch row of the last token.
  int64_t append(KvSequence& sequence, const int32_t* ids, int64_t count);
  TokenBatch finish();

 private:
  const ModelConfig& config_;
  TokenBatch batch_;
  std::vector<size_t> table_starts_;
};

}  // namespace lsp
