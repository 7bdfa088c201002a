// Rounding to bfloat16, the upper half of a float's bits: 8 significant bits, to the nearest, ties to even
// (IEEE 754: from half a step above the largest number on, infinity). NaN stays NaN. Never merged between
// translation units (core/simd.h), and without a branch, for loops that the compiler turns into vectors.
#pragma once

#include <stdint.h>

namespace lsp {

__attribute__((always_inline)) static inline uint16_t float_to_bfloat16(float value) {
  uint32_t bits;
  __builtin_memcpy(&bits, &value, 4);
  const uint32_t nearest = bits + 0x7fffu + (bits >> 16 & 1u), quiet = bits | 0x400000u;
  return static_cast<uint16_t>(((bits & 0x7fffffffu) > 0x7f800000u ? quiet : nearest) >> 16);
}

}  // namespace lsp
