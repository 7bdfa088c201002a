#include "model/loss_gradient.h"

#include <utility>

#include "core/error.h"

namespace lsp {

LossGradient::LossGradient(const std::vector<TrainSequence>& sequences, Loss loss)
    : values_(sequences.size()) {
  const bool asks = std::holds_alternative<GroupLoss>(loss);
  for (const TrainSequence& sequence : sequences) {
    members_[sequence.group].sequences.push_back(static_cast<int32_t>(groups_.size()));
    groups_.push_back(sequence.group);
    counts_.push_back(
        static_cast<int32_t>(static_cast<int64_t>(sequence.tokens.size()) - sequence.prompt_length));
  }
  for (auto& [number, group] : members_) group.known = !asks;
  if (asks) {
    loss_ = std::move(std::get<GroupLoss>(loss));
    waiting_ = members_.size();
    return;
  }
  SequenceValues& values = std::get<SequenceValues>(loss);
  LSP_CHECK(values.size() == sequences.size(), "INVALID_ARGUMENT",
            "Expected one loss gradient per sequence.");
  for (size_t i = 0; i < values.size(); ++i) set(static_cast<int32_t>(i), std::move(values[i]));
}

void LossGradient::ask(int32_t number, const std::vector<SequenceScores>& scores) {
  Group& group = members_.at(number);
  if (group.known) return;
  SequenceValues logprobs;
  for (const int32_t sequence : group.sequences)
    logprobs.push_back(scores[static_cast<size_t>(sequence)].logprobs);
  SequenceValues values = loss_(number, logprobs);
  LSP_CHECK(values.size() == group.sequences.size(), "INVALID_ARGUMENT",
            "Expected one loss gradient per sequence of the group.");
  for (size_t i = 0; i < values.size(); ++i) set(group.sequences[i], std::move(values[i]));
  group.known = true;
  --waiting_;
}

void LossGradient::ask_all(const std::vector<SequenceScores>& scores) {
  for (const auto& [number, group] : members_) ask(number, scores);
}

void LossGradient::set(int32_t sequence, std::vector<float> values) {
  const size_t at = static_cast<size_t>(sequence);
  LSP_CHECK(values.size() == static_cast<size_t>(counts_[at]), "INVALID_ARGUMENT",
            "Expected one loss gradient value per completion token.");
  values_[at] = std::move(values);
}

}  // namespace lsp
