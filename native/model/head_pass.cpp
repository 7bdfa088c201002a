#include "model/head_pass.h"

#include <algorithm>
#include <map>

namespace lsp {

namespace {

// Rows of the head's forward pass and columns of its backward pass between two polls: about the work of a
// layer.
constexpr int64_t kHeadRows = 288;
constexpr int64_t kHeadColumns = 8 * kVocabChunk;
// Logits that training keeps from the head's forward to its backward pass.
constexpr int64_t kKeptLogits = int64_t{64} << 20;  // bytes

int64_t kept_rows(const ModelConfig& c) {
  return std::clamp<int64_t>(kKeptLogits / (4 * c.vocab), 1, kHeadRows);
}

// The end of the shortest run from each row on that holds every row of the groups in it, if one can begin
// there. Groups may share rows, and lie between the rows of others.
std::vector<int64_t> whole_groups(const ScoredRows& rows, const LossGradient& loss) {
  std::map<int32_t, int64_t> last;  // row of a group
  for (int64_t i = 0; i < rows.count(); ++i)
    for (const ScoredToken& use : *rows.uses[static_cast<size_t>(i)]) last[loss.group_of(use.sequence)] = i;
  std::vector<int64_t> ends;
  int64_t end = 0;
  for (int64_t i = 0; i < rows.count(); ++i) {
    for (const ScoredToken& use : *rows.uses[static_cast<size_t>(i)])
      end = std::max(end, last[loss.group_of(use.sequence)] + 1);
    if (end == i + 1) ends.push_back(end);
  }
  return ends;
}

}  // namespace

HeadPass::HeadPass(Model& model, const std::vector<TrainSequence>& sequences, float temperature,
                   const Operation& operation)
    : model_(model), c_(model.config()), inverse_temperature_(1.0f / temperature), operation_(operation) {
  for (const TrainSequence& sequence : sequences) {
    const size_t count = sequence.tokens.size() - static_cast<size_t>(sequence.prompt_length);
    scores_.push_back({std::vector<float>(count), std::vector<float>(count)});
  }
}

void HeadPass::reserve(int64_t rows) { logits_ = Buffer(std::min(rows, kept_rows(c_)) * c_.vocab); }

void HeadPass::score(const ScoredRows& rows, const float* hidden) {
  for (int64_t first = 0; first < rows.count(); first += kHeadRows)
    forward(rows, hidden, {first, std::min(kHeadRows, rows.count() - first)}, nullptr, nullptr);
}

void HeadPass::train(const ScoredRows& rows, const float* hidden, LossGradient& loss, Gradients& gradients,
                     float* dhidden) {
  std::vector<float> lse(static_cast<size_t>(rows.count()));
  for (const Range& run : runs(rows, loss)) {
    // Blocks of equal size; the logits of the last are still there when the values are.
    const int64_t blocks = (run.count + kept_rows(c_) - 1) / kept_rows(c_);
    const int64_t size = (run.count + blocks - 1) / blocks, end = run.first + run.count;
    const auto for_blocks = [&](const auto& pass) {
      for (int64_t first = run.first; first < end; first += size)
        pass(Range{first, std::min(size, end - first)}, lse.data() + first,
             first + size < end ? nullptr : logits_.data());
    };
    for_blocks(
        [&](Range block, float* lse_of, float* logits) { forward(rows, hidden, block, lse_of, logits); });
    for (int64_t i = run.first; i < end; ++i)
      for (const ScoredToken& use : *rows.uses[static_cast<size_t>(i)])
        loss.ask(loss.group_of(use.sequence), scores_);
    for_blocks([&](Range block, const float* lse_of, const float* logits) {
      backward(rows, hidden, block, lse_of, logits, loss, gradients, dhidden);
    });
  }
}

// Whole groups, as many as keep their logits; any rows, as many, where the values are known.
std::vector<HeadPass::Range> HeadPass::runs(const ScoredRows& rows, const LossGradient& loss) const {
  const int64_t most = kept_rows(c_);
  std::vector<Range> runs;
  if (loss.known()) {
    for (int64_t first = 0; first < rows.count(); first += most)
      runs.push_back({first, std::min(most, rows.count() - first)});
    return runs;
  }
  int64_t begin = 0;
  for (const int64_t end : whole_groups(rows, loss)) {
    if (!runs.empty() && end - runs.back().first <= most)
      runs.back().count = end - runs.back().first;
    else
      runs.push_back({begin, end - begin});
    begin = end;
  }
  return runs;
}

// Log-probabilities and entropies of a range go to the scores, lse and logits where there is memory for them.
void HeadPass::forward(const ScoredRows& rows, const float* hidden, Range range, float* lse, float* logits) {
  operation_.poll();
  std::vector<float> logprobs(static_cast<size_t>(range.count)), entropies(logprobs.size());
  model_.logprob().forward(model_.exec(),
                           {logprobs.data(), lse, entropies.data(), logits, hidden + range.first * c_.hidden,
                            model_.panels(model_.parameters().head()), rows.targets.data() + range.first,
                            range.count, c_.hidden, c_.vocab, inverse_temperature_});
  for (size_t i = 0; i < logprobs.size(); ++i) {
    for (const ScoredToken& use : *rows.uses[static_cast<size_t>(range.first) + i]) {
      SequenceScores& scores = scores_[static_cast<size_t>(use.sequence)];
      scores.logprobs[static_cast<size_t>(use.index)] = logprobs[i];
      scores.entropies[static_cast<size_t>(use.index)] = entropies[i];
    }
  }
}

void HeadPass::backward(const ScoredRows& rows, const float* hidden, Range range, const float* lse,
                        const float* logits, const LossGradient& loss, Gradients& gradients, float* dhidden) {
  std::vector<float> upstream(static_cast<size_t>(range.count));
  for (size_t i = 0; i < upstream.size(); ++i)
    for (const ScoredToken& use : *rows.uses[static_cast<size_t>(range.first) + i])
      upstream[i] += loss.of(use);
  const int head = model_.parameters().head();
  for (int64_t column = 0; column < c_.vocab; column += kHeadColumns) {
    operation_.poll();
    gradients.mark_touched();
    model_.logprob().backward(
        model_.exec(), {dhidden + range.first * c_.hidden, gradients.of(head), upstream.data(), lse,
                        hidden + range.first * c_.hidden, model_.panels(head),
                        rows.targets.data() + range.first, range.count, c_.hidden, c_.vocab,
                        inverse_temperature_, column, std::min(column + kHeadColumns, c_.vocab), logits});
  }
}

}  // namespace lsp
