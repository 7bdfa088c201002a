#include "model/prefill.h"

#include <algorithm>

namespace lsp {

namespace {

// Nodes whose parents are ready, packed into batches of kPrefillTokens.
void prefill_round(Model& model, PromptTree& tree, const std::vector<int32_t>& round, KvPool& pool,
                   Activations& activations, const Operation& operation, Precision precision) {
  const ModelConfig& c = model.config();
  for (const int32_t node : round) {
    const int32_t parent = tree[node].parent;
    if (parent >= 0) tree[node].cache = tree[parent].cache.fork(pool);
  }
  size_t at = 0;
  int64_t done = 0;  // tokens of node round[at] already computed
  while (at < round.size()) {
    operation.poll();
    CachedBatch batch(pool);
    std::vector<std::pair<int32_t, int64_t>> ended;  // node, row of its last token
    int64_t space = kPrefillTokens;
    while (at < round.size() && space > 0) {
      PromptNode& node = tree[round[at]];
      const int64_t length = static_cast<int64_t>(node.tokens.size());
      const int64_t count = std::min(space, length - done);
      const int64_t row = batch.append(node.cache, node.tokens.data() + done, count);
      space -= count;
      done += count;
      if (done < length) break;
      ended.emplace_back(round[at], row);
      ++at;
      done = 0;
    }
    forward(model, batch.finish(), activations, operation, precision);
    for (const auto& [index, row] : ended) {
      PromptNode& node = tree[index];
      node.ready = true;
      if (node.requests.empty()) continue;
      const float* hidden = activations.hidden + row * c.hidden;
      node.hidden.assign(hidden, hidden + c.hidden);
    }
  }
}

}  // namespace

void prefill(Model& model, PromptTree& tree, const std::vector<int32_t>& ends, KvPool& pool,
             Activations& activations, const Operation& operation, Precision precision) {
  std::vector<int32_t> missing;
  for (const int32_t end : ends) {
    for (int32_t node = end; node >= 0 && !tree[node].ready; node = tree[node].parent) {
      if (std::find(missing.begin(), missing.end(), node) == missing.end()) missing.push_back(node);
    }
  }
  // In rounds, parents before children.
  while (!missing.empty()) {
    std::vector<int32_t> round, later;
    for (const int32_t node : missing) {
      const int32_t parent = tree[node].parent;
      (parent < 0 || tree[parent].ready ? round : later).push_back(node);
    }
    prefill_round(model, tree, round, pool, activations, operation, precision);
    missing = std::move(later);
  }
}

}  // namespace lsp
