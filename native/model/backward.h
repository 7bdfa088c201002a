// The backward pass: gradients of all parameters from the gradient of the final hidden states.
#pragma once

#include <vector>

#include "model/forward.h"

namespace lsp {

// Gradients in the parameters' stored layout, of those that are trained: null for all others. A tied
// embedding keeps the head's part (at its own index) and the input's part apart until the optimizer step, so
// that each stays a chain over tokens.
class Gradients {
 public:
  explicit Gradients(const Model& model);

  float* of(int parameter) { return buffers_[static_cast<size_t>(parameter)].data(); }
  // The input's part: of a trained tied embedding only, else null.
  float* input_part(int parameter);
  float* embedding_input();
  bool is_zero() const { return zero_; }
  void mark_touched() { zero_ = false; }
  void clear();
  // A copy of everything, and back: for operations that must be all or nothing.
  std::vector<Buffer> snapshot() const;
  void restore(std::vector<Buffer> saved);

 private:
  std::vector<Buffer> buffers_;
  bool tied_;
  Buffer tied_input_;
  bool zero_ = true;
};

// Scratch of one backward pass.
class BackwardScratch {
 public:
  BackwardScratch(const ModelConfig& config, int64_t tokens);
  static int64_t floats_per_token(const ModelConfig& config);
  float *dx, *dh, *dact, *dattention, *dq, *dk, *dv;  // (T, C) x2, (T, F), (T, H D) x2, (T, K D) x2

 private:
  Buffer memory_;
};

// dhidden (T, C): gradient of activations.hidden. Uses up the activations (gate and up are overwritten).
void backward(Model& model, const TokenBatch& batch, Activations& activations, const float* dhidden,
              BackwardScratch& scratch, Gradients& gradients, const Operation& operation);

}  // namespace lsp
