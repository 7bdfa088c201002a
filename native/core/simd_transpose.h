// Transposes of 16 x 16 floats in registers, for per-ISA translation units. A copy moves bits only, so every
// variant gives the same result.
#pragma once

#include "core/simd.h"

namespace lsp {
namespace LSP_ISA {

#if defined(LSP_ISA_AVX512)

// Pairs of rows, then of pairs, within 128-bit lanes; then the lanes as a 4 x 4 matrix of their own.
LSP_INLINE void transpose(Vec (&rows)[16]) {
  __m512 t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_ps(rows[i].v, rows[i + 1].v);
    t[i + 1] = _mm512_unpackhi_ps(rows[i].v, rows[i + 1].v);
  }
  __m512 u[16];
  for (int i = 0; i < 16; i += 4) {
    for (int j = 0; j < 2; ++j) {
      const __m512d low = _mm512_castps_pd(t[i + j]), high = _mm512_castps_pd(t[i + j + 2]);
      u[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, high));
      u[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, high));
    }
  }
  for (int j = 0; j < 4; ++j) {
    const __m512 a = _mm512_shuffle_f32x4(u[j], u[4 + j], 0x88);
    const __m512 b = _mm512_shuffle_f32x4(u[j], u[4 + j], 0xdd);
    const __m512 c = _mm512_shuffle_f32x4(u[8 + j], u[12 + j], 0x88);
    const __m512 d = _mm512_shuffle_f32x4(u[8 + j], u[12 + j], 0xdd);
    rows[j] = {_mm512_shuffle_f32x4(a, c, 0x88)};
    rows[8 + j] = {_mm512_shuffle_f32x4(a, c, 0xdd)};
    rows[4 + j] = {_mm512_shuffle_f32x4(b, d, 0x88)};
    rows[12 + j] = {_mm512_shuffle_f32x4(b, d, 0xdd)};
  }
}

#elif defined(LSP_ISA_AVX2)

LSP_INLINE void transpose_8x8(__m256 (&r)[8]) {
  __m256 t[8], u[8];
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {
    for (int j = 0; j < 2; ++j) {
      u[i + 2 * j] = _mm256_shuffle_ps(t[i + j], t[i + j + 2], 0x44);
      u[i + 2 * j + 1] = _mm256_shuffle_ps(t[i + j], t[i + j + 2], 0xee);
    }
  }
  for (int j = 0; j < 4; ++j) {
    r[j] = _mm256_permute2f128_ps(u[j], u[4 + j], 0x20);
    r[4 + j] = _mm256_permute2f128_ps(u[j], u[4 + j], 0x31);
  }
}
LSP_INLINE void transpose(Vec (&rows)[16]) {
  __m256 quarter[4][8];  // upper left, lower left, upper right, lower right
  for (int i = 0; i < 8; ++i) {
    quarter[0][i] = rows[i].lo;
    quarter[1][i] = rows[8 + i].lo;
    quarter[2][i] = rows[i].hi;
    quarter[3][i] = rows[8 + i].hi;
  }
  for (int q = 0; q < 4; ++q) transpose_8x8(quarter[q]);
  for (int i = 0; i < 8; ++i) {
    rows[i] = {quarter[0][i], quarter[1][i]};
    rows[8 + i] = {quarter[2][i], quarter[3][i]};
  }
}

#elif defined(LSP_ISA_NEON)

LSP_INLINE void transpose(Vec (&rows)[16]) {
  Vec out[16];
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < 4; ++j) {
      const float32x4_t a = rows[4 * i].q[j], b = rows[4 * i + 1].q[j];
      const float32x4_t c = rows[4 * i + 2].q[j], d = rows[4 * i + 3].q[j];
      const float32x4x2_t ab = vtrnq_f32(a, b), cd = vtrnq_f32(c, d);
      for (int half = 0; half < 2; ++half) {
        out[4 * j + half].q[i] = vcombine_f32(vget_low_f32(ab.val[half]), vget_low_f32(cd.val[half]));
        out[4 * j + 2 + half].q[i] = vcombine_f32(vget_high_f32(ab.val[half]), vget_high_f32(cd.val[half]));
      }
    }
  }
  for (int i = 0; i < 16; ++i) rows[i] = out[i];
}

#else

LSP_INLINE void transpose(Vec (&rows)[16]) {
  for (int i = 0; i < 16; ++i) {
    for (int j = 0; j < i; ++j) {
      const float x = rows[i].lane[j];
      rows[i].lane[j] = rows[j].lane[i];
      rows[j].lane[i] = x;
    }
  }
}

#endif

}  // namespace LSP_ISA
}  // namespace lsp
