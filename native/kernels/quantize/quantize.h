// quantize: stored tensors to float and back. Block formats are GGUF's: 32 weights a block,
//   q8_0: f16 scale d, 32 int8 q               w = d q
//   q4_0: f16 scale d, 16 bytes of nibbles     w = d (q - 8)
//   q4_1: f16 scale d, f16 minimum m, nibbles  w = d q + m
// where the low nibbles are the first 16 weights of the block and the high nibbles the last 16.
#pragma once

#include <stdint.h>

namespace lsp {

enum class StoredType { f32, f16, bf16, q8_0, q4_0, q4_1 };

struct StoredFormat {
  int64_t block_elements;  // elements a block
  int64_t block_bytes;
};
StoredFormat stored_format(StoredType type);

// out[i] for i in [0, count); count is a multiple of block_elements, source holds count / block_elements
// blocks.
void dequantize(StoredType type, const uint8_t* source, int64_t count, float* out);

// f32 to f16 or bf16, rounding to nearest even (f16 overflow becomes infinity).
uint16_t float_to_half(float value);
uint16_t float_to_bfloat16(float value);
float half_to_float(uint16_t value);

}  // namespace lsp
