// The prompts of a generate call as a radix tree: each node is a run of tokens computed once for all prompts
// below it.
#pragma once

#include <cstdint>
#include <vector>

#include "model/kv_cache.h"

namespace lsp {

struct PromptNode {
  int32_t parent = -1;
  std::vector<int32_t> tokens;  // after the parent's
  std::vector<int32_t> children;
  std::vector<int32_t> requests;  // prompts that end here
  // While the node is in use.
  int64_t waiting = 0;  // requests at or below this node that have not been admitted
  bool ready = false;
  KvSequence cache;           // up to and including `tokens`
  std::vector<float> hidden;  // of the last token, if requests end here
};

class PromptTree {
 public:
  // prompts[i] is request i; none is empty.
  explicit PromptTree(const std::vector<const std::vector<int32_t>*>& prompts);

  PromptNode& operator[](int32_t node) { return nodes_[static_cast<size_t>(node)]; }
  // Node at which request i's prompt ends.
  int32_t end_of(size_t request) const { return end_of_[request]; }
  // Requests in depth-first order: neighbours share the longest prefixes.
  std::vector<int32_t> order() const;
  // Notes that a request of this node has been admitted; gives back caches that nobody waits for.
  void admitted(int32_t node);

 private:
  int32_t insert(const std::vector<int32_t>& prompt);
  int32_t split(int32_t node, size_t length);
  std::vector<PromptNode> nodes_;
  std::vector<int32_t> roots_;
  std::vector<int32_t> end_of_;
};

}  // namespace lsp
