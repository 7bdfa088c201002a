// The oracle of sampling: the kept tokens and their cumulative distribution in double precision.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/sampling/sampling.h"

namespace lsp {
namespace reference {

// Of one row. Probabilities of tokens that are not kept are 0; those of the kept ones add up to 1.
struct Distribution {
  std::vector<double> probability;
  // How close the nucleus came to being another one: |mass - p| at its last token and the one before;
  // rounding decides below about 1e-6.
  double margin;
};
Distribution sampling_distribution(const SamplingRow& row, int64_t v, float temperature, int64_t top_k,
                                   float top_p);
// The first largest logit that is not banned.
int32_t greedy(const SamplingRow& row, int64_t v);

}  // namespace reference
}  // namespace lsp
