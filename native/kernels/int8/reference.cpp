#include "kernels/int8/reference.h"

#include <algorithm>

#include "kernels/int8/int8.h"

namespace lsp {
namespace reference {

QuantizedRows quantize_rows(const float* matrix, int64_t rows, int64_t k, int64_t group) {
  QuantizedRows out;
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t begin = 0; begin < k; begin += group) {
      const float* from = matrix + row * k + begin;
      const int64_t count = std::min(group, k - begin);
      float largest = 0.0f;
      bool finite = true;
      for (int64_t i = 0; i < count; ++i) {
        finite = finite && std::isfinite(from[i]);
        largest = std::max(largest, std::fabs(from[i]));
      }
      const bool zeros = largest < 0x1p-100f;
      const float inverse = zeros ? 0.0f : 127.0f / largest;
      for (int64_t i = 0; i < count; ++i)
        out.values.push_back(finite ? std::nearbyint(from[i] * inverse) + 0.0f : 0.0f);  // no negative zero
      out.scales.push_back(!finite ? NAN : zeros ? 0.0f : largest / 127.0f);
    }
  return out;
}

namespace {

int64_t groups_of(int64_t k) { return (k + kInt8Group - 1) / kInt8Group; }

int64_t group_sum(const QuantizedRows& x, const QuantizedRows& w, int64_t row, int64_t column, int64_t g,
                  int64_t k) {
  int64_t sum = 0;
  for (int64_t i = g * kInt8Group; i < std::min(k, (g + 1) * kInt8Group); ++i)
    sum += static_cast<int64_t>(x.values[row * k + i]) * static_cast<int64_t>(w.values[column * k + i]);
  return sum;
}

}  // namespace

Expected int8_forward(const QuantizedRows& x, const QuantizedRows& w, int64_t t, int64_t k, int64_t n) {
  Expected y(t * n);
  for (int64_t row = 0; row < t; ++row)
    for (int64_t column = 0; column < n; ++column)
      for (int64_t g = 0; g < groups_of(k); ++g)
        y.add(row * n + column, static_cast<double>(w.scales[column]) * x.scales[row * groups_of(k) + g] *
                                    static_cast<double>(group_sum(x, w, row, column, g, k)));
  return y;
}

std::vector<float> int8_forward_chain(const QuantizedRows& x, const QuantizedRows& w, int64_t t, int64_t k,
                                      int64_t n) {
  std::vector<float> y;
  for (int64_t row = 0; row < t; ++row)
    for (int64_t column = 0; column < n; ++column) {
      float sum = 0.0f;
      for (int64_t g = 0; g < groups_of(k); ++g)
        sum = std::fma(static_cast<float>(group_sum(x, w, row, column, g, k)),
                       x.scales[row * groups_of(k) + g], sum);
      y.push_back(sum * w.scales[column]);
    }
  return y;
}

RowTotals row_totals(const float* logits, int64_t t, int64_t v) {
  RowTotals out{Expected(t), Expected(t)};
  for (int64_t row = 0; row < t; ++row) {
    const float* z = logits + row * v;
    const double top = *std::max_element(z, z + v);
    double sum = 0, entropy = 0, size = 0;
    for (int64_t i = 0; i < v; ++i) sum += std::exp(z[i] - top);
    const double lse = top + std::log(sum);
    for (int64_t i = 0; i < v; ++i) {
      entropy -= std::exp(z[i] - lse) * (z[i] - lse);
      size += std::exp(z[i] - lse) * std::fabs(z[i] - lse);
    }
    out.lse.set(row, lse, std::fabs(lse) + 1);
    out.entropy.set(row, entropy, size + std::fabs(lse - top) + 1);
  }
  return out;
}

}  // namespace reference
}  // namespace lsp
