#include "kernels/quantize/reference.h"

#include <cmath>
#include <limits>

namespace lsp {
namespace reference {

namespace {

double small_float(uint16_t bits, int mantissa_bits, int exponent_bits) {
  const int exponent = (bits >> mantissa_bits) & ((1 << exponent_bits) - 1),
            bias = (1 << (exponent_bits - 1)) - 1;
  const double mantissa = static_cast<double>(bits & ((1 << mantissa_bits) - 1)) / (1 << mantissa_bits);
  double value;
  if (exponent == (1 << exponent_bits) - 1) {
    value =
        mantissa == 0 ? std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
  } else if (exponent == 0) {
    value = std::ldexp(mantissa, 1 - bias);
  } else {
    value = std::ldexp(1 + mantissa, exponent - bias);
  }
  return (bits & 0x8000) != 0 ? -value : value;
}

// Positive bits are in the order of their values, so the candidates are found by bisection. Infinity takes
// the place of the power of two that would come after the largest finite value.
uint16_t nearest(float value, uint16_t infinity, double beyond, double (*value_of)(uint16_t)) {
  const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  if (std::isnan(value)) return static_cast<uint16_t>(sign | (infinity + 1));
  const double x = std::fabs(static_cast<double>(value));
  uint16_t low = 0, high = infinity;
  while (high - low > 1) {
    const uint16_t middle = static_cast<uint16_t>((low + high) / 2);
    (value_of(middle) <= x ? low : high) = middle;
  }
  if (std::isinf(x)) return static_cast<uint16_t>(sign | infinity);
  const double below = x - value_of(low), above = (high == infinity ? beyond : value_of(high)) - x;
  const bool up = above < below || (above == below && (low & 1) != 0);
  return static_cast<uint16_t>(sign | (up ? high : low));
}

uint16_t read16(const uint8_t* source) { return static_cast<uint16_t>(source[0] | source[1] << 8); }

}  // namespace

double half_value(uint16_t bits) { return small_float(bits, 10, 5); }
double bfloat16_value(uint16_t bits) { return small_float(bits, 7, 8); }
uint16_t nearest_half(float value) { return nearest(value, 0x7c00, 65536.0, half_value); }
uint16_t nearest_bfloat16(float value) {
  return nearest(value, 0x7f80, std::ldexp(1.0, 128), bfloat16_value);
}

double stored_value(StoredType type, const uint8_t* source, int64_t index) {
  const int64_t block = index / 32, place = index % 32;
  switch (type) {
    case StoredType::f32: {
      const uint8_t* b = source + 4 * index;
      const uint32_t bits = b[0] | b[1] << 8 | b[2] << 16 | static_cast<uint32_t>(b[3]) << 24;
      const double mantissa = static_cast<double>(bits & 0x7fffff) / (1 << 23);
      const int exponent = static_cast<int>(bits >> 23 & 255);
      const double value =
          exponent == 0 ? std::ldexp(mantissa, -126) : std::ldexp(1 + mantissa, exponent - 127);
      return (bits >> 31) != 0 ? -value : value;
    }
    case StoredType::f16:
      return half_value(read16(source + 2 * index));
    case StoredType::bf16:
      return bfloat16_value(read16(source + 2 * index));
    case StoredType::q8_0: {
      const uint8_t* b = source + 34 * block;
      const int q = b[2 + place] < 128 ? b[2 + place] : b[2 + place] - 256;
      return half_value(read16(b)) * q;
    }
    case StoredType::q4_0: {
      const uint8_t* b = source + 18 * block;
      const int q = place < 16 ? b[2 + place] % 16 : b[2 + place - 16] / 16;
      return half_value(read16(b)) * (q - 8);
    }
    case StoredType::q4_1: {
      const uint8_t* b = source + 20 * block;
      const int q = place < 16 ? b[4 + place] % 16 : b[4 + place - 16] / 16;
      return half_value(read16(b)) * q + half_value(read16(b + 2));
    }
  }
  return 0;
}

}  // namespace reference
}  // namespace lsp
