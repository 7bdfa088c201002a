// The head's part of a pass over a token tree: log-probabilities of the scored rows of a micro-batch, and,
// given dLoss/dlogprob, the gradients of the head and of the rows' hidden states.
//
// Where the loss has to be asked for, rows go through the head in runs that hold whole groups: forward,
// question, backward. What fits keeps its logits from the head's forward to its backward pass; of a longer
// run the last rows do, and the logits of the others are computed once more. The same bits in f32 wherever
// the cuts are.
#pragma once

#include <cstdint>
#include <vector>

#include "model/backward.h"
#include "model/loss_gradient.h"

namespace lsp {

// The scored rows of a micro-batch, in order.
struct ScoredRows {
  std::vector<int32_t> rows, targets;
  std::vector<const std::vector<ScoredToken>*> uses;

  int64_t count() const { return static_cast<int64_t>(rows.size()); }
};

class HeadPass {
 public:
  HeadPass(Model& model, const std::vector<TrainSequence>& sequences, float temperature,
           const Operation& operation, Precision precision);

  // Before train(): how many rows a micro-batch has at most.
  void reserve(int64_t rows);
  // hidden: those of the scored rows (T, C). Takes both precisions, train() the exact one.
  void score(const ScoredRows& rows, const float* hidden);
  // As score(), and adds the head's gradient to `gradients`; dhidden (T, C) is overwritten.
  void train(const ScoredRows& rows, const float* hidden, LossGradient& loss, Gradients& gradients,
             float* dhidden);
  std::vector<SequenceScores> take_scores() { return std::move(scores_); }

 private:
  struct Range {
    int64_t first, count;
  };
  struct Block {
    Range range;
    float* logits;  // kept from forward to backward pass, or null
  };

  std::vector<Range> runs(const ScoredRows& rows, const LossGradient& loss) const;
  std::vector<Block> blocks(Range run);
  void forward(const ScoredRows& rows, const float* hidden, Block block, float* lse);
  void backward(const ScoredRows& rows, const float* hidden, Block block, const float* lse,
                const LossGradient& loss, Gradients& gradients, float* dhidden);

  Model& model_;
  const ModelConfig& c_;
  const float inverse_temperature_;
  const Operation& operation_;
  const Precision precision_;
  std::vector<SequenceScores> scores_;
  Buffer logits_;
};

}  // namespace lsp
