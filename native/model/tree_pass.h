// Forward and backward over a token tree in micro-batches that fit a budget, with the same bits for every
// budget.
//
// A subtree that fits is one micro-batch, or part of one. The root of a subtree that does not is opened: it
// runs forward alone and keeps its activations and its keys and values, while its branches run micro-batch by
// micro-batch, forward and backward, and leave the gradients of its keys and values with it; then its own
// backward pass follows and it is closed. So memory holds one path of open nodes and one micro-batch, however
// many branches there are. Within a micro-batch rows are in post-order too, so that every sum over tokens is
// the same chain wherever the cuts are.
#pragma once

#include "model/backward.h"
#include "model/loss_gradient.h"
#include "model/token_tree.h"

namespace lsp {

// Micro-batches of a tree, in order.
struct TreeStep {
  enum class Kind { branches, open, close };
  Kind kind;
  std::vector<int32_t> nodes;  // branches: roots of whole subtrees; else the one node
};
// capacity: tokens of a micro-batch and of the open nodes above it; at least those of any one sequence are
// taken.
std::vector<TreeStep> plan_tree(const TokenTree& tree, int64_t capacity);

struct TreePassOptions {
  int64_t capacity;  // tokens
  float temperature;
  Keep keep;  // of the activations, for the backward pass
  // int8: without a loss only, and the model's int8() must be up to date.
  Precision precision = Precision::exact;
};

// Scores at `temperature`, in int8 with the bits that sampling in int8 has. With a `loss`, its gradient is
// added to `gradients`; both are null where there is only a forward pass. A loss that has to be asked is
// asked in between, group by group, and costs no second forward pass of the layers unless a group's scored
// rows lie in more than one micro-batch: then all groups are scored first.
std::vector<SequenceScores> run_tree(Model& model, const std::vector<TrainSequence>& sequences,
                                     LossGradient* loss, Gradients* gradients, const TreePassOptions& options,
                                     const Operation& operation);

// Floats per token of a micro-batch.
int64_t tree_pass_floats_per_token(const ModelConfig& config, Keep keep);

}  // namespace lsp
