// The oracle of attention: every query against every ancestor, in double precision and without blocks.
#pragma once

#include <vector>

#include "check/expected.h"

namespace lsp {
namespace reference {

// A forest of tokens: parent[t] < t is the token before t, -1 for a first one. Rows q (T, H D), k and v (T, K
// D).
struct AttentionTree {
  int64_t t, heads, kv_heads, head_size;
  const int32_t* parent;
  const float *q, *k, *v;
};

struct Attention {
  Expected y;    // (T, H D)
  Expected lse;  // (T, H)
  // Largest sum of |q k| / sqrt(D) over queries and keys: the rounding error of a score is relative to it,
  // and the relative error of a probability is that of its score.
  double largest_score;
};
Attention attention_forward(const AttentionTree& tree);

struct AttentionGradients {
  Expected dq, dk, dv;
};
AttentionGradients attention_backward(const AttentionTree& tree, const float* dy);

}  // namespace reference
}  // namespace lsp
