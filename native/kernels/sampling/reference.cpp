#include "kernels/sampling/reference.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace lsp {
namespace reference {

namespace {

bool is_banned(const SamplingRow& row, int64_t token) {
  return std::find(row.banned, row.banned + row.banned_count, token) != row.banned + row.banned_count;
}

}  // namespace

Distribution sampling_distribution(const SamplingRow& row, int64_t v, float temperature, int64_t top_k,
                                   float top_p) {
  std::vector<int64_t> order;
  for (int64_t token = 0; token < v; ++token)
    if (!is_banned(row, token)) order.push_back(token);
  // Ties in order of token id: the sort is stable.
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return row.logits[a] > row.logits[b]; });
  if (top_k > 0 && top_k < static_cast<int64_t>(order.size())) order.resize(static_cast<size_t>(top_k));
  Distribution out{std::vector<double>(static_cast<size_t>(v)), 1};
  double sum = 0;
  for (const int64_t token : order) {
    const double distance = static_cast<double>(row.logits[token]) - row.logits[order.front()];
    sum += out.probability[token] = std::exp(distance / temperature);
  }
  double mass = 0, kept = 0;
  for (const int64_t token : order) {
    double& p = out.probability[token];
    if (top_p < 1 && mass >= top_p) {
      p = 0;
      continue;
    }
    out.margin = std::min(out.margin, std::fabs(mass - top_p));
    mass += p / sum;
    out.margin = std::min(out.margin, std::fabs(mass - top_p));
    kept += p;
  }
  if (top_p >= 1) out.margin = 1;
  for (double& p : out.probability) p /= kept;
  return out;
}

int32_t greedy(const SamplingRow& row, int64_t v) {
  int64_t best = -1;
  for (int64_t token = 0; token < v; ++token)
    if (!is_banned(row, token) && (best < 0 || row.logits[token] > row.logits[best])) best = token;
  return static_cast<int32_t>(best);
}

}  // namespace reference
}  // namespace lsp
