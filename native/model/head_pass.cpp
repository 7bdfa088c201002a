#include "model/head_pass.h"

#include <algorithm>
#include <map>

namespace lsp {

namespace {

// Rows of the head's forward pass and columns of its backward pass between two polls: about the work of a
// layer.
constexpr int64_t kHeadRows = 576;
constexpr int64_t kHeadColumns = 8 * kVocabChunk;
// Logits that training keeps from the head's forward to its backward pass.
constexpr int64_t kKeptLogits = int64_t{128} << 20;  // bytes

int64_t kept_rows(const ModelConfig& c) {
  return std::clamp<int64_t>(kKeptLogits / (4 * c.vocab), 1, kHeadRows);
}

// Where rows may be cut without cutting a group: after a row, if no group has rows on both sides. Groups may
// share rows, and lie between the rows of others.
std::vector<int64_t> cuts_between_groups(const ScoredRows& rows, const LossGradient& loss) {
  std::map<int32_t, int64_t> last;  // row of a group
  for (int64_t i = 0; i < rows.count(); ++i)
    for (const ScoredToken& use : *rows.uses[static_cast<size_t>(i)]) last[loss.group_of(use.sequence)] = i;
  std::vector<int64_t> cuts;
  int64_t end = 0;  // of the groups so far
  for (int64_t i = 0; i < rows.count(); ++i) {
    for (const ScoredToken& use : *rows.uses[static_cast<size_t>(i)])
      end = std::max(end, last[loss.group_of(use.sequence)] + 1);
    if (end == i + 1) cuts.push_back(end);
  }
  return cuts;
}

}  // namespace

HeadPass::HeadPass(Model& model, const std::vector<TrainSequence>& sequences, float temperature,
                   const Operation& operation, Precision precision)
    : model_(model),
      c_(model.config()),
      inverse_temperature_(1.0f / temperature),
      operation_(operation),
      precision_(precision) {
  for (const TrainSequence& sequence : sequences) {
    const size_t count = sequence.tokens.size() - static_cast<size_t>(sequence.prompt_length);
    scores_.push_back({std::vector<float>(count), std::vector<float>(count)});
  }
}

void HeadPass::reserve(int64_t rows) { logits_ = Buffer(std::min(rows, kept_rows(c_)) * c_.vocab); }

void HeadPass::score(const ScoredRows& rows, const float* hidden) {
  for (int64_t first = 0; first < rows.count(); first += kHeadRows)
    forward(rows, hidden, {{first, std::min(kHeadRows, rows.count() - first)}, nullptr}, nullptr);
}

void HeadPass::train(const ScoredRows& rows, const float* hidden, LossGradient& loss, Gradients& gradients,
                     float* dhidden) {
  std::vector<float> lse(static_cast<size_t>(rows.count()));
  for (const Range& run : runs(rows, loss)) {
    for (const Block& block : blocks(run)) forward(rows, hidden, block, lse.data());
    for (int64_t i = run.first; i < run.first + run.count; ++i)
      for (const ScoredToken& use : *rows.uses[static_cast<size_t>(i)])
        loss.ask(loss.group_of(use.sequence), scores_);
    for (const Block& block : blocks(run))
      backward(rows, hidden, block, lse.data(), loss, gradients, dhidden);
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
  for (const int64_t cut : cuts_between_groups(rows, loss)) {
    if (!runs.empty() && cut - runs.back().first <= most)
      runs.back().count = cut - runs.back().first;
    else
      runs.push_back({begin, cut - begin});
    begin = cut;
  }
  return runs;
}

// Of nearly one size. All are scored before the values are there: the last keeps its logits.
std::vector<HeadPass::Block> HeadPass::blocks(Range run) {
  const int64_t count = (run.count + kept_rows(c_) - 1) / kept_rows(c_);
  std::vector<Block> blocks;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t begin = i * run.count / count, end = (i + 1) * run.count / count;
    blocks.push_back({{run.first + begin, end - begin}, i + 1 < count ? nullptr : logits_.data()});
  }
  return blocks;
}

// lse: of all rows, or null.
void HeadPass::forward(const ScoredRows& rows, const float* hidden, Block block, float* lse) {
  operation_.poll();
  const auto [first, count] = block.range;
  std::vector<float> logprobs(static_cast<size_t>(count)), entropies(logprobs.size());
  const int head = model_.parameters().head();
  const float* const states = hidden + first * c_.hidden;
  const int32_t* const targets = rows.targets.data() + first;
  if (precision_ == Precision::int8) {
    model_.kernels().int8->logprob(
        model_.exec(), {logprobs.data(), entropies.data(), states, model_.int8().panels(head), targets, count,
                        c_.hidden, c_.vocab, inverse_temperature_});
  } else {
    model_.logprob().forward(model_.exec(), {logprobs.data(), lse == nullptr ? nullptr : lse + first,
                                             entropies.data(), block.logits, states, model_.panels(head),
                                             targets, count, c_.hidden, c_.vocab, inverse_temperature_});
  }
  for (size_t i = 0; i < logprobs.size(); ++i) {
    for (const ScoredToken& use : *rows.uses[static_cast<size_t>(first) + i]) {
      SequenceScores& scores = scores_[static_cast<size_t>(use.sequence)];
      scores.logprobs[static_cast<size_t>(use.index)] = logprobs[i];
      scores.entropies[static_cast<size_t>(use.index)] = entropies[i];
    }
  }
}

void HeadPass::backward(const ScoredRows& rows, const float* hidden, Block block, const float* lse,
                        const LossGradient& loss, Gradients& gradients, float* dhidden) {
  const auto [first, count] = block.range;
  std::vector<float> upstream(static_cast<size_t>(count));
  for (size_t i = 0; i < upstream.size(); ++i)
    for (const ScoredToken& use : *rows.uses[static_cast<size_t>(first) + i]) upstream[i] += loss.of(use);
  const int head = model_.parameters().head();
  for (int64_t column = 0; column < c_.vocab; column += kHeadColumns) {
    operation_.poll();
    gradients.mark_touched();
    model_.logprob().backward(
        model_.exec(),
        {dhidden + first * c_.hidden, gradients.of(head), upstream.data(), lse + first,
         hidden + first * c_.hidden, model_.panels(head), rows.targets.data() + first, count, c_.hidden,
         c_.vocab, inverse_temperature_, column, std::min(column + kHeadColumns, c_.vocab), block.logits});
  }
}

}  // namespace lsp
