// Training: log-probabilities, gradients in micro-batches, AdamW. A model with an adapter is frozen but for
// that: gradients and moments exist of what is trained alone.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/backward.h"
#include "model/loss_gradient.h"
#include "model/model.h"
#include "model/token_tree.h"

namespace lsp {

struct AdamWOptions {
  float learning_rate, beta1, beta2, eps, weight_decay;  // decay on matrices only
  double max_grad_norm;                                  // infinity is off
};

class Learner {
 public:
  // activation_bytes: what one micro-batch may hold; at least one sequence always runs. recompute: keep only
  // the layers' inputs, and compute the rest once more in the backward pass.
  Learner(Model& model, int64_t activation_bytes, bool recompute);

  // Adds the gradient of sum(dLoss/dlogprob * logprob) over completion tokens and returns their
  // log-probabilities. All or nothing: on any failure, one of the loss included, the gradient is as it was.
  SequenceValues accumulate(const std::vector<TrainSequence>& sequences, Loss loss, float temperature,
                            const Operation& operation);

  // Takes all the memory that training will take, and gives back what is not kept between its phases:
  // moments, weights of its own, a key-value cache of so many bytes, and a forward and backward pass over as
  // many of the sequences as fill a micro-batch. Weights and gradient, which must be zero, stay as they are.
  void rehearse(const std::vector<TrainSequence>& sequences, int64_t cache_bytes, const Operation& operation);

  // Row-major, Hugging Face layout; both parts of a tied embedding added. Of a trained parameter.
  std::vector<float> gradient(const std::string& name);
  void zero_gradient() { gradients_.clear(); }
  // Bytes of gradients and moments.
  int64_t bytes() const;
  // Clips, updates, zeroes the gradient; returns the norm before clipping. Throws Error("TRAINING_DIVERGED")
  // and leaves everything alone when the gradient is not finite.
  double step(const AdamWOptions& options);
  int64_t step_count() const { return steps_; }

  // Moments and step count.
  void save_state(const std::string& path, const Operation& operation) const;
  void load_state(const std::vector<TensorLocation>& tensors, int64_t steps, const Operation& operation);

  // Bytes per token of a micro-batch for this geometry.
  static int64_t activation_bytes_per_token(const ModelConfig& config, bool recompute);

 private:
  void check(const std::vector<TrainSequence>& sequences, float temperature) const;
  void ensure_moments();
  int64_t capacity() const;  // tokens of a micro-batch
  // Throws Error("INVALID_ARGUMENT") when the model's adapter is no longer the one that this learner trains.
  void check_adapter() const;
  // Indices of what is trained.
  std::vector<int> trained() const;

  Model& model_;
  const int64_t activation_bytes_;
  const Keep keep_;
  Gradients gradients_;
  std::vector<Buffer> m_, v_;  // by parameter; allocated at the first step
  int64_t steps_ = 0;
  const int64_t adapter_generation_;
};

}  // namespace lsp
