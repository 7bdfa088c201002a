// embedding: looks up rows of the token embedding, and adds their gradients.
//
// Dimensions: T tokens, C hidden, V vocabulary. The table has the layout of panels.h (a tied LM head is
// the same memory): (ceil(V/32), C, 32).
#pragma once

#include <stdint.h>

#include "core/exec.h"
#include "kernels/linear/panels.h"

namespace lsp {

struct EmbeddingForward {
  float* y;            // (T, C)
  Panels table;        // (ceil(V/32), C, 32)
  const int32_t* ids;  // (T), each in [0, V)
  int64_t t, c;
};

// dtable[ids[t]] += dy[t]; tokens in order, so that equal ids add up the same way in any micro-batch. Tokens
// equal to `padding_id` are left out, as the reference implementations do for a model's padding token.
struct EmbeddingBackward {
  float* dtable;       // panels (ceil(V/32), C, 32)
  const float* dy;     // (T, C)
  const int32_t* ids;  // (T)
  int64_t t, c;
  int32_t padding_id = -1;  // none
};

struct EmbeddingKernels {
  void (*forward)(Exec&, const EmbeddingForward&);
  void (*backward)(Exec&, const EmbeddingBackward&);
};

}  // namespace lsp
