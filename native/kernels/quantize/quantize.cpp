#include "kernels/quantize/quantize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/quantize/blocks.h"

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

static_assert([] {
  int i = 0;
  for (const StoredFormat& format : kStoredFormats) {
    if (static_cast<int>(format.type) != i++) return false;
  }
  return i == static_cast<int>(StoredType::iq4_xs) + 1;
}());

StoredFormat stored_format(StoredType type) { return kStoredFormats[static_cast<int>(type)]; }

void quantize_q8_0(const float* values, int64_t count, uint8_t* blocks) {
  constexpr int64_t kElements = 32, kBytes = 34;
  for (int64_t i = 0; i < count; i += kElements, blocks += kBytes) {
    float largest = 0.0f;
    for (int64_t j = 0; j < kElements; ++j) largest = std::max(largest, std::fabs(values[i + j]));
    const uint16_t d = float_to_half(largest / 127.0f);
    std::memcpy(blocks, &d, sizeof d);
    const float scale = half_to_float(d);
    for (int64_t j = 0; j < kElements; ++j) {
      const float q = scale > 0.0f ? std::round(values[i + j] / scale) : 0.0f;
      blocks[2 + j] = static_cast<uint8_t>(static_cast<int8_t>(std::clamp(q, -127.0f, 127.0f)));
    }
  }
}

void dequantize(StoredType type, const uint8_t* source, int64_t count, float* out) {
  const StoredFormat format = stored_format(type);
  const auto each = [&](auto unpack) {
    for (int64_t i = 0; i < count; i += format.block_elements, source += format.block_bytes) {
      unpack(source, out + i);
    }
  };
  switch (type) {
    case StoredType::f32:
      return each([](const uint8_t* block, float* to) { *to = read<float>(block); });
    case StoredType::f16:
      return each([](const uint8_t* block, float* to) { *to = half_to_float(read<uint16_t>(block)); });
    case StoredType::bf16:
      return each([](const uint8_t* block, float* to) {
        *to = from_bits(static_cast<uint32_t>(read<uint16_t>(block)) << 16);
      });
    case StoredType::q8_0:
      return each(unpack_q8_0);
    case StoredType::q4_0:
      return each(unpack_q4_0);
    case StoredType::q4_1:
      return each(unpack_q4_1);
    case StoredType::q5_0:
      return each(unpack_q5_0);
    case StoredType::q5_1:
      return each(unpack_q5_1);
    case StoredType::q2_k:
      return each(unpack_q2_k);
    case StoredType::q3_k:
      return each(unpack_q3_k);
    case StoredType::q4_k:
      return each(unpack_q4_k);
    case StoredType::q5_k:
      return each(unpack_q5_k);
    case StoredType::q6_k:
      return each(unpack_q6_k);
    case StoredType::iq4_nl:
      return each(unpack_iq4_nl);
    case StoredType::iq4_xs:
      return each(unpack_iq4_xs);
  }
}

}  // namespace lsp
