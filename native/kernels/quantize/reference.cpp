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
double half_at(const uint8_t* source) { return half_value(read16(source)); }

// `width` bits of a byte.
int bits_of(const uint8_t* bytes, int64_t byte, int64_t first, int width) {
  return bytes[byte] >> first & ((1 << width) - 1);
}

double float_at(const uint8_t* b) {
  const uint32_t bits = b[0] | b[1] << 8 | b[2] << 16 | static_cast<uint32_t>(b[3]) << 24;
  const double mantissa = static_cast<double>(bits & 0x7fffff) / (1 << 23);
  const int exponent = static_cast<int>(bits >> 23 & 255);
  const double value = exponent == 0 ? std::ldexp(mantissa, -126) : std::ldexp(1 + mantissa, exponent - 127);
  return (bits >> 31) != 0 ? -value : value;
}

int signed_byte(uint8_t byte) { return byte < 128 ? byte : byte - 256; }

// Weight i of a block of 32.
double small_block(StoredType type, const uint8_t* b, int64_t i) {
  const auto nibble = [&](int64_t start) { return bits_of(b + start, i % 16, 4 * (i / 16), 4); };
  const auto high = [&](int64_t start) { return bits_of(b + start, i / 8, i % 8, 1); };
  const double d = half_at(b);
  switch (type) {
    case StoredType::q8_0:
      return d * signed_byte(b[2 + i]);
    case StoredType::q4_0:
      return d * (nibble(2) - 8);
    case StoredType::q4_1:
      return d * nibble(4) + half_at(b + 2);
    case StoredType::q5_0:
      return d * (nibble(6) + 16 * high(2) - 16);
    case StoredType::q5_1:
      return d * (nibble(8) + 16 * high(4)) + half_at(b + 2);
    default:
      return d * kIq4Table[nibble(2)];
  }
}

// Scale (0) or minimum (1) of run j in the 12 bytes of q4_k and q5_k.
int packed_six_bits(const uint8_t* b, int64_t j, int which) {
  if (j < 4) return bits_of(b, j + 4 * which, 0, 6);
  return bits_of(b, j + 4, 4 * which, 4) + 16 * bits_of(b, j - 4 + 4 * which, 6, 2);
}

// Weight i of a block of 256.
double large_block(StoredType type, const uint8_t* b, int64_t i) {
  const auto two_bits = [&](int64_t start) {
    return bits_of(b + start, 32 * (i / 128) + i % 32, 2 * (i % 128 / 32), 2);
  };
  const auto four_bits = [&](int64_t start) {
    return bits_of(b + start, 32 * (i / 64) + i % 32, 4 * (i % 64 / 32), 4);
  };
  const auto one_bit = [&](int64_t start) { return bits_of(b + start, i % 32, i / 32, 1); };
  const int64_t j = i / 16, k = i / 32;
  switch (type) {
    case StoredType::q2_k:
      return half_at(b + 80) * bits_of(b, j, 0, 4) * two_bits(16) - half_at(b + 82) * bits_of(b, j, 4, 4);
    case StoredType::q3_k: {
      const int s = bits_of(b + 96, j % 8, 4 * (j / 8), 4) + 16 * bits_of(b + 104, j % 4, 2 * (j / 4), 2);
      return half_at(b + 108) * (s - 32) * (two_bits(32) + 4 * one_bit(0) - 4);
    }
    case StoredType::q4_k:
      return half_at(b) * packed_six_bits(b + 4, k, 0) * four_bits(16) -
             half_at(b + 2) * packed_six_bits(b + 4, k, 1);
    case StoredType::q5_k:
      return half_at(b) * packed_six_bits(b + 4, k, 0) * (four_bits(48) + 16 * one_bit(16)) -
             half_at(b + 2) * packed_six_bits(b + 4, k, 1);
    case StoredType::q6_k: {
      const int q = bits_of(b, 64 * (i / 128) + i % 64, 4 * (i % 128 / 64), 4) + 16 * two_bits(128);
      return half_at(b + 208) * signed_byte(b[192 + j]) * (q - 32);
    }
    default: {
      const int s = bits_of(b + 4, k / 2, 4 * (k % 2), 4) + 16 * (read16(b + 2) >> 2 * k & 3);
      return half_at(b) * (s - 32) * kIq4Table[bits_of(b + 8, 16 * k + i % 16, 4 * (i % 32 / 16), 4)];
    }
  }
}

}  // namespace

double half_value(uint16_t bits) { return small_float(bits, 10, 5); }
double bfloat16_value(uint16_t bits) { return small_float(bits, 7, 8); }
uint16_t nearest_half(float value) { return nearest(value, 0x7c00, 65536.0, half_value); }
uint16_t nearest_bfloat16(float value) {
  return nearest(value, 0x7f80, std::ldexp(1.0, 128), bfloat16_value);
}

double stored_value(StoredType type, const uint8_t* source, int64_t index) {
  const StoredFormat format = stored_format(type);
  const uint8_t* block = source + index / format.block_elements * format.block_bytes;
  switch (format.block_elements) {
    case 32:
      return small_block(type, block, index % 32);
    case 256:
      return large_block(type, block, index % 256);
    default:
      if (type == StoredType::f32) return float_at(block);
      return type == StoredType::f16 ? half_at(block) : bfloat16_value(read16(block));
  }
}

}  // namespace reference
}  // namespace lsp
