// Prompts into the cache: the nodes of a prompt tree, each computed once for all prompts below it.
#pragma once

#include "model/forward.h"
#include "model/prompt_tree.h"

namespace lsp {

// Prompt tokens computed together; the least capacity of the activations.
constexpr int64_t kPrefillTokens = 512;

// Computes the nodes on the paths to `ends` that are not there yet: their caches, and the hidden state of the
// last token where prompts end.
void prefill(Model& model, PromptTree& tree, const std::vector<int32_t>& ends, KvPool& pool,
             Activations& activations, const Operation& operation, Precision precision = Precision::exact);

}  // namespace lsp
