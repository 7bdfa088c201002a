#include "model/token_tree.h"

#include <algorithm>

namespace lsp {

// One entry per token; children in the order in which they first occur.
class TokenTree::Trie {
 public:
  struct Entry {
    int32_t token;
    int32_t first_child = -1, last_child = -1, next_sibling = -1;
    std::vector<ScoredRow> rows;
  };

  explicit Trie(const std::vector<TrainSequence>& sequences) {
    entries_.push_back({-1, -1, -1, -1, {}});  // above all first tokens
    for (size_t i = 0; i < sequences.size(); ++i) insert(sequences[i], static_cast<int32_t>(i));
  }
  const Entry& operator[](int32_t entry) const { return entries_[static_cast<size_t>(entry)]; }
  Entry& operator[](int32_t entry) { return entries_[static_cast<size_t>(entry)]; }

 private:
  // Inputs are all tokens but the last, which is only a target.
  void insert(const TrainSequence& sequence, int32_t index) {
    int32_t at = 0;
    for (size_t t = 0; t + 1 < sequence.tokens.size(); ++t) {
      at = child(at, sequence.tokens[t]);
      const int64_t completion = static_cast<int64_t>(t) + 1 - sequence.prompt_length;
      if (completion >= 0) score(at, sequence.tokens[t + 1], {index, static_cast<int32_t>(completion)});
    }
  }

  int32_t child(int32_t parent, int32_t token) {
    for (int32_t at = (*this)[parent].first_child; at >= 0; at = (*this)[at].next_sibling) {
      if ((*this)[at].token == token) return at;
    }
    const int32_t fresh = static_cast<int32_t>(entries_.size());
    entries_.push_back({token, -1, -1, -1, {}});
    Entry& above = (*this)[parent];
    (above.first_child < 0 ? above.first_child : (*this)[above.last_child].next_sibling) = fresh;
    above.last_child = fresh;
    return fresh;
  }

  void score(int32_t entry, int32_t target, ScoredToken use) {
    std::vector<ScoredRow>& rows = (*this)[entry].rows;
    auto row = std::find_if(rows.begin(), rows.end(), [&](const ScoredRow& r) { return r.target == target; });
    if (row == rows.end()) row = rows.insert(rows.end(), {0, target, {}});
    row->uses.push_back(use);
  }

  std::vector<Entry> entries_;
};

TokenTree::TokenTree(const std::vector<TrainSequence>& sequences) {
  Trie trie(sequences);
  struct Start {
    int32_t entry, parent;
  };
  std::vector<Start> starts;  // of nodes to come, the next one last
  const auto push_children = [&](int32_t entry, int32_t parent) {
    const size_t before = starts.size();
    for (int32_t at = trie[entry].first_child; at >= 0; at = trie[at].next_sibling)
      starts.push_back({at, parent});
    std::reverse(starts.begin() + static_cast<int64_t>(before), starts.end());
  };
  push_children(0, -1);
  while (!starts.empty()) {
    const Start start = starts.back();
    starts.pop_back();
    const int32_t index = static_cast<int32_t>(nodes_.size());
    TokenNode node;
    node.parent = start.parent;
    if (start.parent >= 0) {
      TokenNode& above = nodes_[static_cast<size_t>(start.parent)];
      node.first_position = above.first_position + above.count();
      above.children.push_back(index);
    } else {
      roots_.push_back(index);
    }
    int32_t entry = start.entry;
    for (;; entry = trie[entry].first_child) {
      for (ScoredRow& row : trie[entry].rows) {
        row.offset = static_cast<int32_t>(node.count());
        node.rows.push_back(std::move(row));
      }
      node.tokens.push_back(trie[entry].token);
      if (trie[entry].first_child < 0 || trie[trie[entry].first_child].next_sibling >= 0) break;
    }
    nodes_.push_back(std::move(node));
    push_children(entry, index);
  }
  // Parents were made before their children.
  for (size_t i = nodes_.size(); i-- > 0;) {
    TokenNode& node = nodes_[i];
    node.subtree_tokens += node.count();
    if (node.parent >= 0) nodes_[static_cast<size_t>(node.parent)].subtree_tokens += node.subtree_tokens;
  }
}

std::vector<int32_t> TokenTree::post_order(const std::vector<int32_t>& nodes) const {
  // The reverse of a pre-order that takes later children first.
  std::vector<int32_t> order, stack(nodes);
  while (!stack.empty()) {
    const int32_t node = stack.back();
    stack.pop_back();
    order.push_back(node);
    const std::vector<int32_t>& children = (*this)[node].children;
    stack.insert(stack.end(), children.begin(), children.end());
  }
  std::reverse(order.begin(), order.end());
  return order;
}

}  // namespace lsp
