// dLoss/dlogprob of the completion tokens of all sequences: known beforehand, or asked for, group by group,
// as soon as the log-probabilities of a group's sequences are there.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <variant>
#include <vector>

#include "model/token_tree.h"

namespace lsp {

// The gradient for a group's sequences, in order, given their log-probabilities. May throw.
using GroupLoss = std::function<SequenceValues(int32_t group, const SequenceValues& logprobs)>;

// Values of each sequence, or where they come from.
using Loss = std::variant<SequenceValues, GroupLoss>;

class LossGradient {
 public:
  // Throws Error("INVALID_ARGUMENT") unless there is a value for every completion token.
  LossGradient(const std::vector<TrainSequence>& sequences, Loss loss);

  // Whether all that has to be asked for was asked for.
  bool known() const { return waiting_ == 0; }
  int32_t group_of(int32_t sequence) const { return groups_[static_cast<size_t>(sequence)]; }
  // Asks for the group's values unless they are known. Throws what the loss throws, and as above.
  void ask(int32_t group, const std::vector<SequenceScores>& scores);
  void ask_all(const std::vector<SequenceScores>& scores);
  float of(const ScoredToken& token) const {
    return values_[static_cast<size_t>(token.sequence)][static_cast<size_t>(token.index)];
  }

 private:
  struct Group {
    std::vector<int32_t> sequences;
    bool known;
  };

  void set(int32_t sequence, std::vector<float> values);

  std::vector<int32_t> groups_, counts_;  // of each sequence: its group, its completion tokens
  std::map<int32_t, Group> members_;
  GroupLoss loss_;
  size_t waiting_ = 0;  // groups that have to be asked for
  SequenceValues values_;
};

}  // namespace lsp
