// sampling: one token from a row of logits.
//
// Greedy takes the first largest logit. Otherwise the uniform number u in [0, 1) is located in the cumulative
// distribution over token ids in ascending order, with probabilities proportional to exp((logit - max) /
// temperature) among the kept tokens: top-k keeps the k largest logits, top-p the smallest set of the
// likeliest whose mass reaches p (Holtzman et al. 2020); ties are kept in order of token id. Banned ids (an
// EOS before the minimum length) have probability 0. The token is -1 when a logit is NaN, or nothing can be
// sampled.
#pragma once

#include <stdint.h>

#include "core/exec.h"

namespace lsp {

struct SamplingRow {
  const float* logits;  // (V)
  double uniform;       // [0, 1)
  const int32_t* banned;
  int64_t banned_count;
};

struct Sampling {
  int32_t* tokens;          // (rows)
  const SamplingRow* rows;  // rows sampled independently
  int64_t row_count;
  int64_t v;
  float temperature;  // 0 is greedy
  int64_t top_k;      // 0 is off
  float top_p;        // 1 is off
};

struct SamplingKernels {
  void (*sample)(Exec&, const Sampling&);
};

}  // namespace lsp
