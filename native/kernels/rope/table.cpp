#include "core/scalar_math.h"
#include "kernels/rope/rope.h"

namespace lsp {

void rope_frequencies(float* frequency, int64_t head_size, double theta, const RopeScaling& scaling) {
  constexpr double kTwoPi = 6.283185307179586476925;
  const double log_theta = scalar::log(theta);
  for (int64_t i = 0; i < head_size / 2; ++i) {
    double value = scalar::exp(-2.0 * static_cast<double>(i) / static_cast<double>(head_size) * log_theta);
    if (scaling.factor > 0) {
      const double wavelength = kTwoPi / value;
      const double longest = scaling.original_positions / scaling.low_frequency_factor;
      const double shortest = scaling.original_positions / scaling.high_frequency_factor;
      if (wavelength > longest) {
        value /= scaling.factor;
      } else if (wavelength >= shortest) {
        const double smooth = (scaling.original_positions / wavelength - scaling.low_frequency_factor) /
                              (scaling.high_frequency_factor - scaling.low_frequency_factor);
        value = (1.0 - smooth) * value / scaling.factor + smooth * value;
      }
    }
    frequency[i] = static_cast<float>(value);
  }
}

void rope_table(float* cosine, float* sine, const float* frequency, int64_t first, int64_t count,
                int64_t half) {
  for (int64_t p = 0; p < count; ++p) {
    for (int64_t i = 0; i < half; ++i) {
      const float angle = static_cast<float>(first + p) * frequency[i];
      double s, c;
      scalar::sin_cos(static_cast<double>(angle), &s, &c);
      cosine[p * half + i] = static_cast<float>(c);
      sine[p * half + i] = static_cast<float>(s);
    }
  }
}

}  // namespace lsp
