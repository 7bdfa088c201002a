#include "kernels/rope/reference.h"

namespace lsp {
namespace reference {

Expected rope(const float* rows, const float* cosine, const float* sine, const int32_t* positions, int64_t t,
              int64_t heads, int64_t head_size, double sign) {
  const int64_t half = head_size / 2;
  Expected out(t * heads * head_size);
  for (int64_t row = 0; row < t; ++row)
    for (int64_t head = 0; head < heads; ++head)
      for (int64_t i = 0; i < half; ++i) {
        const int64_t first = (row * heads + head) * head_size + i, second = first + half;
        const double x1 = rows[first], x2 = rows[second];
        const double c = cosine[positions[row] * half + i], s = sign * sine[positions[row] * half + i];
        out.add(first, x1 * c);
        out.add(first, -x2 * s);
        out.add(second, x2 * c);
        out.add(second, x1 * s);
      }
  return out;
}

double rope_frequency(int64_t i, int64_t head_size, double theta, const RopeScaling& scaling) {
  const double plain = std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(head_size));
  if (scaling.factor <= 0) return plain;
  // How many times the wave fits into the original context: kept when it fits often, divided when it fits
  // rarely.
  const double turns = scaling.original_positions * plain / (2 * std::acos(-1.0));
  if (turns > scaling.high_frequency_factor) return plain;
  if (turns < scaling.low_frequency_factor) return plain / scaling.factor;
  const double kept =
      (turns - scaling.low_frequency_factor) / (scaling.high_frequency_factor - scaling.low_frequency_factor);
  return kept * plain + (1 - kept) * plain / scaling.factor;
}

}  // namespace reference
}  // namespace lsp
