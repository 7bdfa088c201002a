// What an oracle returns: values in double precision, and with each the magnitude that its rounding errors
// scale with, the sum of the absolute values of its terms.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

namespace lsp {

struct Expected {
  std::vector<double> value, magnitude;

  explicit Expected(int64_t count = 0)
      : value(static_cast<size_t>(count)), magnitude(static_cast<size_t>(count)) {}

  void set(int64_t i, double x, double size) {
    value[static_cast<size_t>(i)] = x;
    magnitude[static_cast<size_t>(i)] = size;
  }
  void set(int64_t i, double x) { set(i, x, std::fabs(x)); }
  void add(int64_t i, double x, double size) {
    value[static_cast<size_t>(i)] += x;
    magnitude[static_cast<size_t>(i)] += size;
  }
  void add(int64_t i, double x) { add(i, x, std::fabs(x)); }
  void add(const Expected& other) {
    for (size_t i = 0; i < value.size(); ++i)
      add(static_cast<int64_t>(i), other.value[i], other.magnitude[i]);
  }
};

}  // namespace lsp
