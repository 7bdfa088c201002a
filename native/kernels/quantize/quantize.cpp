#include "kernels/quantize/quantize.h"

#include <cstring>

namespace lsp {

namespace {

template <class T>
T read(const uint8_t* source) {
  T value;
  std::memcpy(&value, source, sizeof value);
  return value;
}

float from_bits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

uint32_t to_bits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

void unpack_nibbles(const uint8_t* nibbles, float scale, float offset, int bias, float* out) {
  for (int i = 0; i < 16; ++i) {
    out[i] = scale * static_cast<float>((nibbles[i] & 15) - bias) + offset;
    out[i + 16] = scale * static_cast<float>((nibbles[i] >> 4) - bias) + offset;
  }
}

}  // namespace

float half_to_float(uint16_t value) {
  const uint32_t sign = static_cast<uint32_t>(value & 0x8000u) << 16;
  const uint32_t exponent = (value >> 10) & 31u, mantissa = value & 1023u;
  if (exponent == 31) return from_bits(sign | 0x7f800000u | mantissa << 13);
  if (exponent != 0) return from_bits(sign | (exponent + 112) << 23 | mantissa << 13);
  // A subnormal half is mantissa * 2^-24, exact in float.
  const float magnitude = static_cast<float>(mantissa) * 5.9604644775390625e-8f;
  return sign != 0 ? -magnitude : magnitude;
}

uint16_t float_to_half(float value) {
  const uint32_t bits = to_bits(value), magnitude = bits & 0x7fffffffu;
  const uint16_t sign = static_cast<uint16_t>(bits >> 16 & 0x8000u);
  if (magnitude > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u);
  if (magnitude >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);
  if (magnitude < 0x38800000u) {
    // Below 2^-14: adding 0.5 leaves value * 2^24 in the low mantissa bits, rounded to nearest even.
    const float shifted = from_bits(magnitude) + 0.5f;
    return static_cast<uint16_t>(sign | (to_bits(shifted) - to_bits(0.5f)));
  }
  const uint32_t rounded = magnitude + 0xfffu + (magnitude >> 13 & 1u);
  return static_cast<uint16_t>(sign | ((rounded - 0x38000000u) >> 13));
}

uint16_t float_to_bfloat16(float value) {
  const uint32_t bits = to_bits(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>(bits >> 16 | 0x40u);
  return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

StoredFormat stored_format(StoredType type) {
  switch (type) {
    case StoredType::f32:
      return {1, 4};
    case StoredType::f16:
    case StoredType::bf16:
      return {1, 2};
    case StoredType::q8_0:
      return {32, 34};
    case StoredType::q4_0:
      return {32, 18};
    case StoredType::q4_1:
      return {32, 20};
  }
  return {1, 4};
}

void dequantize(StoredType type, const uint8_t* source, int64_t count, float* out) {
  const StoredFormat format = stored_format(type);
  for (int64_t i = 0; i < count;
       i += format.block_elements, source += format.block_bytes, out += format.block_elements) {
    switch (type) {
      case StoredType::f32:
        *out = read<float>(source);
        break;
      case StoredType::f16:
        *out = half_to_float(read<uint16_t>(source));
        break;
      case StoredType::bf16:
        *out = from_bits(static_cast<uint32_t>(read<uint16_t>(source)) << 16);
        break;
      case StoredType::q8_0: {
        const float scale = half_to_float(read<uint16_t>(source));
        for (int j = 0; j < 32; ++j) out[j] = scale * static_cast<float>(static_cast<int8_t>(source[2 + j]));
        break;
      }
      case StoredType::q4_0:
        unpack_nibbles(source + 2, half_to_float(read<uint16_t>(source)), 0.0f, 8, out);
        break;
      case StoredType::q4_1:
        unpack_nibbles(source + 4, half_to_float(read<uint16_t>(source)),
                       half_to_float(read<uint16_t>(source + 2)), 0, out);
        break;
    }
  }
}

}  // namespace lsp
