// The sequences of an update as one forest of tokens: what they have in common at the beginning is there
// once, so that it is computed once, forward and backward. A prompt is shared by its answers, a system prompt
// by all queries, the first words of an answer by the answers that agree on them.
//
// A node is a run of tokens up to the next fork. The canonical order of everything that is summed over tokens
// is the post-order of the nodes, children in the order in which they first occur: a prefix comes after its
// branches.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lsp {

struct TrainSequence {
  std::vector<int32_t> tokens;  // prompt, then completion
  int64_t prompt_length;        // at least 1
  int32_t group = 0;            // sequences of one number have their loss computed together
};

// A value per completion token of each sequence.
using SequenceValues = std::vector<std::vector<float>>;

// Of a sequence's completion tokens.
struct SequenceScores {
  std::vector<float> logprobs;
  std::vector<float> entropies;  // nats, of the distributions that the tokens come from
};

struct ScoredToken {
  int32_t sequence, index;  // completion token `index` of a sequence
};

// A token whose successor is scored. Sequences that agree up to here and on the successor share it.
struct ScoredRow {
  int32_t offset;  // within the node
  int32_t target;
  std::vector<ScoredToken> uses;
};

struct TokenNode {
  int32_t parent = -1;
  int64_t first_position = 0;
  std::vector<int32_t> tokens;
  std::vector<int32_t> children;
  std::vector<ScoredRow> rows;  // offsets ascending, targets in the order in which they first occur
  int64_t subtree_tokens = 0;   // of this node and all below

  int64_t count() const { return static_cast<int64_t>(tokens.size()); }
};

class TokenTree {
 public:
  explicit TokenTree(const std::vector<TrainSequence>& sequences);

  const TokenNode& operator[](int32_t node) const { return nodes_[static_cast<size_t>(node)]; }
  const std::vector<int32_t>& roots() const { return roots_; }
  // The nodes of the subtrees of `nodes` in post-order.
  std::vector<int32_t> post_order(const std::vector<int32_t>& nodes) const;

 private:
  class Trie;
  std::vector<TokenNode> nodes_;
  std::vector<int32_t> roots_;
};

}  // namespace lsp
