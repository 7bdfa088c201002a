// Geometry of a Llama-family model.
#pragma once

#include <cstdint>

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

  // Throws Error("INVALID_ARGUMENT") on sizes that no kernel could run.
  void check() const;

  int64_t query_size() const { return heads * head_size; }
  int64_t kv_size() const { return kv_heads * head_size; }
};

}  // namespace lsp
