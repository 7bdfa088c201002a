// adamw: Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2), elementwise, in any
// layout.
//   g  = gradient_scale * (gradient + gradient2)
//   m' = beta1 m + (1 - beta1) g          v' = beta2 v + (1 - beta2) g^2
//   w' = w (1 - learning_rate * weight_decay)
//        - learning_rate / (1 - beta1^step) * m' / (sqrt(v') / sqrt(1 - beta2^step) + eps)
#pragma once

#include <stdint.h>

#include "core/exec.h"

namespace lsp {

struct AdamW {
  float* weight_out;  // may be `weight`; another buffer when the old weights are still in use (copy on write)
  const float* weight;
  float* m;
  float* v;
  const float* gradient;
  const float* gradient2;  // a second part of the gradient (tied embeddings), or null
  int64_t count;
  float gradient_scale;  // clipping
  float learning_rate, beta1, beta2, eps, weight_decay;
  float bias1, bias2;  // 1 - beta1^step, 1 - beta2^step
};

struct AdamWKernels {
  void (*step)(Exec&, const AdamW&);
};

}  // namespace lsp
