// quantize: stored tensors to float and back. Block formats are GGUF's, as ggml and its `gguf` package define
// them; every w is the float nearest to its formula, which rounds once at most (d, s and q have so few bits
// that their product is exact).
//
// 32 weights a block, f16 scale d, q in nibbles n (the low nibbles are the first 16 weights of the block, the
// high nibbles the last 16), h the bits of a little-endian uint32, one a weight:
//   q8_0:   d, 32 int8 q             w = d q
//   q4_0:   d, n[16]                 w = d (q - 8)
//   q4_1:   d, f16 minimum m, n[16]  w = d q + m
//   q5_0:   d, h, n[16]              w = d (q + 16 h - 16)
//   q5_1:   d, m, h, n[16]           w = d (q + 16 h) + m
//   iq4_nl: d, n[16]                 w = d table[q]
//
// 256 weights a block (a "super-block"), f16 scales d and e, 8-bit fields; s and m belong to runs of weights:
//   q2_k:   s + 16 m: [16], q: [64], d, e                 w = d s q - e m                 (runs of 16)
//   q3_k:   h: [32], q: [64], packed s: [12], d           w = d (s - 32) (q + 4 h - 4)    (runs of 16)
//   q4_k:   d, e, packed s and m: [12], q: [128]          w = d s q - e m                 (runs of 32)
//   q5_k:   d, e, packed s and m: [12], h: [32], q: [128] w = d s (q + 16 h) - e m        (runs of 32)
//   q6_k:   q: [128], h: [64], int8 s: [16], d            w = d s (q + 16 h - 32)         (runs of 16)
//   iq4_xs: d, uint16 t, s: [4], q: [128]                 w = d (s + 16 t - 32) table[q]  (runs of 32)
// Where a field of few bits lies for weight i of the block (byte; first bit):
//   q of 2 bits, and h of q6_k   32 (i / 128) + i % 32; 2 (i % 128 / 32)
//   q of 4 bits: q4_k, q5_k      32 (i / 64) + i % 32; 4 (i % 64 / 32)
//                q6_k            64 (i / 128) + i % 64; 4 (i % 128 / 64)
//                iq4_xs          16 (i / 32) + i % 16; 4 (i % 32 / 16)
//   h of 1 bit                   i % 32; i / 32
//   s of run j, q3_k             low 4 bits: j % 8; 4 (j / 8), high 2 bits: 8 + j % 4; 2 (j / 4)
//   s of run j, iq4_xs           s: j / 2; 4 (j % 2), t: bit 2 j
//   s, m of run j < 4, q4/5_k    s: 6 bits of j; 0, m: 6 bits of j + 4; 0
//   s, m of run j >= 4           low 4 bits of s: j + 4; 0 and of m: j + 4; 4,
//                                high 2 bits of s: j - 4; 6 and of m: j; 6
#pragma once

#include <stdint.h>

#include "core/exec.h"

namespace lsp {

enum class StoredType {
  f32,
  f16,
  bf16,
  q8_0,
  q4_0,
  q4_1,
  q5_0,
  q5_1,
  q2_k,
  q3_k,
  q4_k,
  q5_k,
  q6_k,
  iq4_nl,
  iq4_xs
};

struct StoredFormat {
  StoredType type;
  const char* name;        // as in lib/native/addon.ts
  int64_t block_elements;  // elements a block
  int64_t block_bytes;
};
inline constexpr StoredFormat kStoredFormats[] = {
    {StoredType::f32, "f32", 1, 4},          {StoredType::f16, "f16", 1, 2},
    {StoredType::bf16, "bf16", 1, 2},        {StoredType::q8_0, "q8_0", 32, 34},
    {StoredType::q4_0, "q4_0", 32, 18},      {StoredType::q4_1, "q4_1", 32, 20},
    {StoredType::q5_0, "q5_0", 32, 22},      {StoredType::q5_1, "q5_1", 32, 24},
    {StoredType::q2_k, "q2_k", 256, 84},     {StoredType::q3_k, "q3_k", 256, 110},
    {StoredType::q4_k, "q4_k", 256, 144},    {StoredType::q5_k, "q5_k", 256, 176},
    {StoredType::q6_k, "q6_k", 256, 210},    {StoredType::iq4_nl, "iq4_nl", 32, 18},
    {StoredType::iq4_xs, "iq4_xs", 256, 136}};
StoredFormat stored_format(StoredType type);

// The 16 values of iq4_nl and iq4_xs.
inline constexpr int8_t kIq4Table[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                         1,    13,   25,  38,  53,  69,  89,  113};

// out[i] for i in [0, count); count is a multiple of block_elements, source holds count / block_elements
// blocks.
void dequantize(StoredType type, const uint8_t* source, int64_t count, float* out);

// The other way for q8_0: d is the float16 nearest to the largest magnitude over 127, q the integer nearest
// to w / d, halves away from zero. `count` is a multiple of 32.
void quantize_q8_0(const float* values, int64_t count, uint8_t* blocks);

// Panels (kernels/linear/panels.h) of a matrix (N, K) whose rows are stored as they are in a file, one after
// another: the values of dequantize().
struct PanelDecode {
  float* panels;        // (ceil(N/32), K, 32)
  const uint8_t* rows;  // N rows of K / block_elements blocks
  StoredType type;
  int64_t n, k;
};

struct QuantizeKernels {
  void (*decode)(Exec&, const PanelDecode&);
};

// f32 to the nearest f16, ties to even. IEEE 754: beyond half a step above the largest number, and there,
// infinity; NaN stays NaN. The same to bf16: core/bfloat16.h.
uint16_t float_to_half(float value);
float half_to_float(uint16_t value);

}  // namespace lsp
