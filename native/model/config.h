// Geometry of a Llama-family model, and what its relatives do differently, as data: Qwen2 adds a bias to q, k
// and v, Qwen3 normalises each head's q and k, SmolLM3 has layers that do not turn by position, a reward
// model has a head that scores instead of a vocabulary.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/rope/rope.h"

namespace lsp {

struct ModelConfig {
  int64_t hidden = 0;     // C
  int64_t ffn = 0;        // F
  int64_t layers = 0;     // L
  int64_t heads = 0;      // H
  int64_t kv_heads = 0;   // K
  int64_t head_size = 0;  // D
  int64_t vocab = 0;      // V
  int64_t max_positions = 0;
  float norm_eps = 1e-5f;
  double rope_theta = 10000.0;
  RopeScaling rope_scaling;
  bool tied = false;        // the LM head is the token embedding
  int32_t padding_id = -1;  // its input embedding gets no gradient; -1: none
  bool qkv_bias = false;
  bool qk_norm = false;                      // RMSNorm over each head of q and k, before RoPE
  std::vector<int64_t> layers_without_rope;  // indices
  int64_t score_labels = 0;  // outputs of a scoring head in place of the LM head; 0: an LM head

  // Throws Error("INVALID_ARGUMENT") on sizes that no kernel could run.
  void check() const;

  bool turns(int64_t layer) const {
    return std::find(layers_without_rope.begin(), layers_without_rope.end(), layer) ==
           layers_without_rope.end();
  }
  int64_t query_size() const { return heads * head_size; }
  int64_t kv_size() const { return kv_heads * head_size; }
};

}  // namespace lsp
