#include "core/scalar_math.h"

#include <cstdint>
#include <cstring>

namespace lsp {
namespace scalar {

namespace {

double power_of_two(int exponent) {
  const uint64_t bits = static_cast<uint64_t>(exponent + 1023) << 52;
  double value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// ln 2 and pi/2 as a head with trailing zero bits, so that integer * head is exact, and a tail.
constexpr double kLn2Head = 6.93147180369123816490e-01, kLn2Tail = 1.90821492927058770002e-10;
constexpr double kHalfPi1 = 1.57079632673412561417e+00, kHalfPi2 = 6.07710050630396597660e-11,
                 kHalfPi3 = 2.02226624879595063154e-21;

}  // namespace

double log(double x) {
  uint64_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  int exponent = static_cast<int>(bits >> 52) - 1023;
  bits = (bits & 0x000fffffffffffffULL) | 0x3ff0000000000000ULL;
  double m;
  std::memcpy(&m, &bits, sizeof m);
  if (m > 1.41421356237309515) {
    m *= 0.5;
    ++exponent;
  }
  const double s = (m - 1.0) / (m + 1.0), z = s * s;
  double series = 0.0;  // atanh(s) = s + s^3/3 + s^5/5 + ..., |s| < 0.1716
  for (int k = 21; k >= 1; k -= 2) series = series * z + 1.0 / k;
  return exponent * kLn2Head + (2.0 * s * series + exponent * kLn2Tail);
}

double exp(double x) {
  const double scaled = x * 1.44269504088896338700e+00;
  const int n = static_cast<int>(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
  const double r = (x - n * kLn2Head) - n * kLn2Tail;
  double series = 1.0;  // Horner of the Taylor series, |r| < 0.35
  for (int k = 16; k >= 1; --k) series = 1.0 + series * r / k;
  return series * power_of_two(n);
}

void sin_cos(double x, double* sine, double* cosine) {
  const double scaled = x * 6.36619772367581382433e-01;
  const int64_t n = static_cast<int64_t>(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
  const double count = static_cast<double>(n);
  const double r = ((x - count * kHalfPi1) - count * kHalfPi2) - count * kHalfPi3, z = r * r;
  double s = 1.0, c = 1.0;  // Horner of the Taylor series, |r| <= pi/4
  for (int k = 16; k >= 2; k -= 2) {
    s = 1.0 - s * z / (k * (k + 1));
    c = 1.0 - c * z / (k * (k - 1));
  }
  s *= r;
  switch (n & 3) {
    case 0:
      *sine = s, *cosine = c;
      break;
    case 1:
      *sine = c, *cosine = -s;
      break;
    case 2:
      *sine = -s, *cosine = -c;
      break;
    default:
      *sine = -c, *cosine = s;
      break;
  }
}

}  // namespace scalar
}  // namespace lsp
