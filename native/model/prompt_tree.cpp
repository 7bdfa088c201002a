#include "model/prompt_tree.h"

namespace lsp {

PromptTree::PromptTree(const std::vector<const std::vector<int32_t>*>& prompts) {
  for (size_t i = 0; i < prompts.size(); ++i) {
    const int32_t node = insert(*prompts[i]);
    nodes_[static_cast<size_t>(node)].requests.push_back(static_cast<int32_t>(i));
  }
  end_of_.resize(prompts.size());
  for (size_t node = 0; node < nodes_.size(); ++node) {
    for (const int32_t request : nodes_[node].requests)
      end_of_[static_cast<size_t>(request)] = static_cast<int32_t>(node);
    const int64_t count = static_cast<int64_t>(nodes_[node].requests.size());
    for (int32_t at = static_cast<int32_t>(node); at >= 0; at = (*this)[at].parent)
      (*this)[at].waiting += count;
  }
}

int32_t PromptTree::insert(const std::vector<int32_t>& prompt) {
  int32_t parent = -1;
  size_t at = 0;
  for (;;) {
    const std::vector<int32_t>& children = parent < 0 ? roots_ : (*this)[parent].children;
    int32_t match = -1;
    for (const int32_t child : children) {
      if ((*this)[child].tokens.front() == prompt[at]) match = child;
    }
    if (match < 0) {
      const int32_t leaf = static_cast<int32_t>(nodes_.size());
      nodes_.emplace_back();
      nodes_.back().parent = parent;
      nodes_.back().tokens.assign(prompt.begin() + static_cast<int64_t>(at), prompt.end());
      (parent < 0 ? roots_ : (*this)[parent].children).push_back(leaf);
      return leaf;
    }
    const std::vector<int32_t>& run = (*this)[match].tokens;
    size_t common = 0;
    while (common < run.size() && at + common < prompt.size() && run[common] == prompt[at + common]) ++common;
    at += common;
    if (common < run.size()) match = split(match, common);
    if (at == prompt.size()) return match;
    parent = match;
  }
}

// Cuts a node after `length` tokens; returns the new upper part.
int32_t PromptTree::split(int32_t node, size_t length) {
  const int32_t upper = static_cast<int32_t>(nodes_.size());
  nodes_.emplace_back();
  PromptNode& top = nodes_.back();
  PromptNode& bottom = (*this)[node];
  top.parent = bottom.parent;
  top.tokens.assign(bottom.tokens.begin(), bottom.tokens.begin() + static_cast<int64_t>(length));
  top.children.push_back(node);
  bottom.tokens.erase(bottom.tokens.begin(), bottom.tokens.begin() + static_cast<int64_t>(length));
  bottom.parent = upper;
  for (int32_t& child : top.parent < 0 ? roots_ : (*this)[top.parent].children) {
    if (child == node) child = upper;
  }
  return upper;
}

std::vector<int32_t> PromptTree::order() const {
  std::vector<int32_t> requests, stack(roots_.rbegin(), roots_.rend());
  while (!stack.empty()) {
    const PromptNode& node = nodes_[static_cast<size_t>(stack.back())];
    stack.pop_back();
    requests.insert(requests.end(), node.requests.begin(), node.requests.end());
    stack.insert(stack.end(), node.children.rbegin(), node.children.rend());
  }
  return requests;
}

void PromptTree::admitted(int32_t node) {
  for (int32_t at = node; at >= 0; at = (*this)[at].parent) {
    if (--(*this)[at].waiting == 0) (*this)[at].cache = KvSequence();
  }
}

}  // namespace lsp
