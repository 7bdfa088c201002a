// The forward pass of a Llama-family model over a packed batch, the same code for prefill, decode and
// training, so that a token's hidden state is the same bits in all three.
#pragma once

#include <vector>

#include "model/model.h"
#include "model/token_batch.h"

namespace lsp {

// What the backward pass reads of one layer. (T tokens, C hidden, H heads, D head size, F ffn)
struct LayerActivations {
  float* residual_in;   // (T, C) input of the attention norm
  float* rstd_in;       // (T)
  float* q_raw;         // (T, H D) before q's norm; with qk_norm only, as the next three
  float* k_raw;         // (T, K D) before k's norm
  float* rstd_q;        // (T, H)
  float* rstd_k;        // (T, K)
  float* q;             // (T, H D) after rope
  float* attention;     // (T, H D)
  float* lse;           // (T, H)
  float* residual_mid;  // (T, C) input of the MLP norm
  float* rstd_mid;      // (T)
  float* gate;          // (T, F)
  float* up;            // (T, F)
};

// What a forward pass keeps of each layer: nothing; its input, from which the backward pass computes the
// layer's activations once more (Chen et al. 2016, arXiv 1604.06174); or all activations.
enum class Keep { nothing, inputs, all };

// Memory of a forward pass. What is not kept lies in one set that all layers share.
class Activations {
 public:
  Activations(const ModelConfig& config, int64_t tokens, Keep keep);

  static int64_t floats_per_token(const ModelConfig& config, Keep keep);

  int64_t capacity() const { return capacity_; }
  Keep keep() const { return keep_; }
  std::vector<LayerActivations> layers;
  float* residual_final;  // (T, C) input of the final norm
  float* rstd_final;      // (T)
  float* hidden;          // (T, C) output of the final norm, input of the LM head
  // Scratch: h (T, C), delta (T, C), k and v (T, K D), act (T, F).
  float *h, *delta, *k, *v, *act;

 private:
  int64_t capacity_;
  Keep keep_;
  Buffer memory_;
};

// The positions that RoPE turns a layer's heads by. In a layer without RoPE they are all 0, which turns by no
// angle: cos 0 is exactly 1, sin 0 exactly 0.
class RopePositions {
 public:
  RopePositions(const ModelConfig& config, const TokenBatch& batch)
      : config_(config), batch_(batch), origin_(config.layers_without_rope.empty() ? 0 : batch.tokens()) {}
  const int32_t* of(int64_t layer) const {
    return config_.turns(layer) ? batch_.positions.data() : origin_.data();
  }

 private:
  const ModelConfig& config_;
  const TokenBatch& batch_;
  const std::vector<int32_t> origin_;
};

// Fills activations.hidden for every token of the batch, and the cache blocks of the batch. In int8 the
// model's int8() must be up to date, and an adapter's part is f32; so are norms, RoPE and attention.
void forward(Model& model, const TokenBatch& batch, Activations& activations, const Operation& operation,
             Precision precision = Precision::exact);

// Fills a layer's activations from its input once more, all but its output.
void recompute_layer(Model& model, const TokenBatch& batch, const Activations& activations, int64_t layer);

// The normalised input of a layer's projections, recomputed: h = rmsnorm(residual).
void normalize(Model& model, int norm, const float* residual, int64_t tokens, float* h, float* rstd);

}  // namespace lsp
