// Log-probabilities of sequences: prefixes that they share are computed once, and memory does not grow with
// the number of sequences.
#pragma once

#include <vector>

#include "model/tree_pass.h"

namespace lsp {

// Of the tokens after each sequence's prompt; temperature divides the logits. Ids are checked. In int8 they
// are the bits that generate() reports of what it sampled so; a model that has no copy of its weights in int8
// has none afterwards.
std::vector<SequenceScores> score_sequences(Model& model, const std::vector<TrainSequence>& sequences,
                                            float temperature, const Operation& operation,
                                            Precision precision = Precision::exact);

// log p(candidate | prompt) at temperature 1, candidates.size() values per prompt.
std::vector<std::vector<float>> score_next(Model& model, const std::vector<std::vector<int32_t>>& prompts,
                                           const std::vector<int32_t>& candidates,
                                           const Operation& operation);

// The scoring head's outputs at the last token of each sequence: score_labels values each (sequence
// classification). Throws Error("INVALID_ARGUMENT") for a model without a scoring head.
std::vector<std::vector<float>> score_last(Model& model, const std::vector<std::vector<int32_t>>& sequences,
                                           const Operation& operation);

// Throws Error("INVALID_ARGUMENT" | "PROMPT_TOO_LONG") unless 1 <= length <= positions and ids lie in the
// vocabulary.
void check_tokens(const ModelConfig& config, const std::vector<int32_t>& tokens, const char* name);

}  // namespace lsp
