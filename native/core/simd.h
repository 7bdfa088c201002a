// Sixteen float lanes, the unit every kernel is written in. Included only by per-ISA translation units
// (cpu.cpp), which CMake compiles once per variant with LSP_ISA=<namespace>. All variants perform the same
// IEEE operations on the same lanes in the same order, so they give the same bits: AVX-512 holds a Vec in one
// register, AVX2 in two, NEON in four. No standard library here: an inline function compiled for AVX-512 must
// never be merged into code for other machines.
#pragma once

#ifndef LSP_ISA
#error "core/simd.h belongs to per-ISA translation units"
#endif

#include <stddef.h>
#include <stdint.h>

#if defined(LSP_ISA_AVX512) || defined(LSP_ISA_AVX2)
#include <immintrin.h>
#elif defined(LSP_ISA_NEON)
#include <arm_neon.h>
#endif

#define LSP_INLINE static inline __attribute__((always_inline))

namespace lsp {
namespace LSP_ISA {

constexpr int kLanes = 16;

#if defined(LSP_ISA_AVX512)

struct Vec {
  __m512 v;
};
LSP_INLINE Vec zero() { return {_mm512_setzero_ps()}; }
LSP_INLINE Vec splat(float x) { return {_mm512_set1_ps(x)}; }
LSP_INLINE Vec load(const float* p) { return {_mm512_loadu_ps(p)}; }
LSP_INLINE void store(float* p, Vec a) { _mm512_storeu_ps(p, a.v); }
// Sixteen bfloat16: the upper halves of floats whose lower halves are 0.
LSP_INLINE Vec load(const uint16_t* p) {
  const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))};
}
LSP_INLINE Vec load_first(const float* p, int n) {
  return {_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1u), p)};
}
LSP_INLINE void store_first(float* p, Vec a, int n) {
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1u), a.v);
}
LSP_INLINE Vec operator+(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
LSP_INLINE Vec operator-(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
LSP_INLINE Vec operator*(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
LSP_INLINE Vec operator/(Vec a, Vec b) { return {_mm512_div_ps(a.v, b.v)}; }
LSP_INLINE Vec fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
LSP_INLINE Vec max(Vec a, Vec b) { return {_mm512_max_ps(a.v, b.v)}; }
LSP_INLINE Vec min(Vec a, Vec b) { return {_mm512_min_ps(a.v, b.v)}; }
LSP_INLINE Vec sqrt(Vec a) { return {_mm512_sqrt_ps(a.v)}; }
// x where a >= b, else y.
LSP_INLINE Vec where_ge(Vec a, Vec b, Vec x, Vec y) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_GE_OQ), y.v, x.v)};
}
// a with all lanes from n on replaced by `fill`.
LSP_INLINE Vec keep_first(Vec a, int n, Vec fill) {
  return {_mm512_mask_blend_ps(static_cast<__mmask16>((1u << n) - 1u), fill.v, a.v)};
}
// Adds the low bits of t (an integer held in a float's mantissa) to a's exponent: a * 2^t.
LSP_INLINE Vec scale_exponent(Vec a, Vec t) {
  return {_mm512_castsi512_ps(
      _mm512_add_epi32(_mm512_castps_si512(a.v), _mm512_slli_epi32(_mm512_castps_si512(t.v), 23)))};
}

struct Half {
  __m256 v;
};
LSP_INLINE Half low_half(Vec a) { return {_mm512_castps512_ps256(a.v)}; }
LSP_INLINE Half high_half(Vec a) { return {_mm512_extractf32x8_ps(a.v, 1)}; }

#elif defined(LSP_ISA_AVX2)

struct Vec {
  __m256 lo, hi;
};
LSP_INLINE Vec zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
LSP_INLINE Vec splat(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
LSP_INLINE Vec load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
LSP_INLINE __m256 load_bf16(const uint16_t* p) {
  const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}
LSP_INLINE Vec load(const uint16_t* p) { return {load_bf16(p), load_bf16(p + 8)}; }
LSP_INLINE void store(float* p, Vec a) {
  _mm256_storeu_ps(p, a.lo);
  _mm256_storeu_ps(p + 8, a.hi);
}
LSP_INLINE __m256i first_mask(int n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
LSP_INLINE Vec load_first(const float* p, int n) {
  return {_mm256_maskload_ps(p, first_mask(n)), _mm256_maskload_ps(p + 8, first_mask(n - 8))};
}
LSP_INLINE void store_first(float* p, Vec a, int n) {
  _mm256_maskstore_ps(p, first_mask(n), a.lo);
  _mm256_maskstore_ps(p + 8, first_mask(n - 8), a.hi);
}
LSP_INLINE Vec operator+(Vec a, Vec b) { return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)}; }
LSP_INLINE Vec operator-(Vec a, Vec b) { return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)}; }
LSP_INLINE Vec operator*(Vec a, Vec b) { return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)}; }
LSP_INLINE Vec operator/(Vec a, Vec b) { return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)}; }
LSP_INLINE Vec fma(Vec a, Vec b, Vec c) {
  return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
LSP_INLINE Vec max(Vec a, Vec b) { return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)}; }
LSP_INLINE Vec min(Vec a, Vec b) { return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)}; }
LSP_INLINE Vec sqrt(Vec a) { return {_mm256_sqrt_ps(a.lo), _mm256_sqrt_ps(a.hi)}; }
LSP_INLINE Vec where_ge(Vec a, Vec b, Vec x, Vec y) {
  return {_mm256_blendv_ps(y.lo, x.lo, _mm256_cmp_ps(a.lo, b.lo, _CMP_GE_OQ)),
          _mm256_blendv_ps(y.hi, x.hi, _mm256_cmp_ps(a.hi, b.hi, _CMP_GE_OQ))};
}
LSP_INLINE Vec keep_first(Vec a, int n, Vec fill) {
  return {_mm256_blendv_ps(fill.lo, a.lo, _mm256_castsi256_ps(first_mask(n))),
          _mm256_blendv_ps(fill.hi, a.hi, _mm256_castsi256_ps(first_mask(n - 8)))};
}
LSP_INLINE __m256 scale_exponent(__m256 a, __m256 t) {
  return _mm256_castsi256_ps(
      _mm256_add_epi32(_mm256_castps_si256(a), _mm256_slli_epi32(_mm256_castps_si256(t), 23)));
}
LSP_INLINE Vec scale_exponent(Vec a, Vec t) {
  return {scale_exponent(a.lo, t.lo), scale_exponent(a.hi, t.hi)};
}

struct Half {
  __m256 v;
};
LSP_INLINE Half low_half(Vec a) { return {a.lo}; }
LSP_INLINE Half high_half(Vec a) { return {a.hi}; }

#elif defined(LSP_ISA_NEON)

struct Vec {
  float32x4_t q[4];
};
template <class F>
LSP_INLINE Vec each(F f) {
  return {{f(0), f(1), f(2), f(3)}};
}
LSP_INLINE Vec splat(float x) {
  return each([&](int) { return vdupq_n_f32(x); });
}
LSP_INLINE Vec zero() { return splat(0.0f); }
LSP_INLINE Vec load(const float* p) {
  return each([&](int i) { return vld1q_f32(p + 4 * i); });
}
LSP_INLINE Vec load(const uint16_t* p) {
  return each([&](int i) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p + 4 * i), 16)); });
}
LSP_INLINE void store(float* p, Vec a) {
  for (int i = 0; i < 4; ++i) vst1q_f32(p + 4 * i, a.q[i]);
}
LSP_INLINE Vec load_first(const float* p, int n) {
  float lanes[16] = {};
  for (int i = 0; i < n; ++i) lanes[i] = p[i];
  return load(lanes);
}
LSP_INLINE void store_first(float* p, Vec a, int n) {
  float lanes[16];
  store(lanes, a);
  for (int i = 0; i < n; ++i) p[i] = lanes[i];
}
LSP_INLINE Vec operator+(Vec a, Vec b) {
  return each([&](int i) { return vaddq_f32(a.q[i], b.q[i]); });
}
LSP_INLINE Vec operator-(Vec a, Vec b) {
  return each([&](int i) { return vsubq_f32(a.q[i], b.q[i]); });
}
LSP_INLINE Vec operator*(Vec a, Vec b) {
  return each([&](int i) { return vmulq_f32(a.q[i], b.q[i]); });
}
LSP_INLINE Vec operator/(Vec a, Vec b) {
  return each([&](int i) { return vdivq_f32(a.q[i], b.q[i]); });
}
LSP_INLINE Vec fma(Vec a, Vec b, Vec c) {
  return each([&](int i) { return vfmaq_f32(c.q[i], a.q[i], b.q[i]); });
}
// x where a >= b, else y.
LSP_INLINE Vec where_ge(Vec a, Vec b, Vec x, Vec y) {
  return each([&](int i) { return vbslq_f32(vcgeq_f32(a.q[i], b.q[i]), x.q[i], y.q[i]); });
}
// As x86: the second operand where either is NaN.
LSP_INLINE Vec max(Vec a, Vec b) {
  return each([&](int i) { return vbslq_f32(vcgtq_f32(a.q[i], b.q[i]), a.q[i], b.q[i]); });
}
LSP_INLINE Vec min(Vec a, Vec b) {
  return each([&](int i) { return vbslq_f32(vcltq_f32(a.q[i], b.q[i]), a.q[i], b.q[i]); });
}
LSP_INLINE Vec sqrt(Vec a) {
  return each([&](int i) { return vsqrtq_f32(a.q[i]); });
}
LSP_INLINE Vec keep_first(Vec a, int n, Vec fill) {
  float lanes[16], fills[16];
  store(lanes, a);
  store(fills, fill);
  for (int i = n < 0 ? 0 : n; i < 16; ++i) lanes[i] = fills[i];
  return load(lanes);
}
LSP_INLINE Vec scale_exponent(Vec a, Vec t) {
  return each([&](int i) {
    return vreinterpretq_f32_s32(
        vaddq_s32(vreinterpretq_s32_f32(a.q[i]), vshlq_n_s32(vreinterpretq_s32_f32(t.q[i]), 23)));
  });
}

#else  // portable: plain arrays, fused multiply-add by the C library where the machine has none

struct Vec {
  float lane[16];
};
template <class F>
LSP_INLINE Vec each(F f) {
  Vec r;
  for (int i = 0; i < 16; ++i) r.lane[i] = f(i);
  return r;
}
LSP_INLINE Vec splat(float x) {
  return each([&](int) { return x; });
}
LSP_INLINE Vec zero() { return splat(0.0f); }
LSP_INLINE Vec load(const float* p) {
  return each([&](int i) { return p[i]; });
}
LSP_INLINE Vec load(const uint16_t* p) {
  return each([&](int i) {
    const uint32_t bits = static_cast<uint32_t>(p[i]) << 16;
    float value;
    __builtin_memcpy(&value, &bits, 4);
    return value;
  });
}
LSP_INLINE void store(float* p, Vec a) {
  for (int i = 0; i < 16; ++i) p[i] = a.lane[i];
}
LSP_INLINE Vec load_first(const float* p, int n) {
  return each([&](int i) { return i < n ? p[i] : 0.0f; });
}
LSP_INLINE void store_first(float* p, Vec a, int n) {
  for (int i = 0; i < n; ++i) p[i] = a.lane[i];
}
LSP_INLINE Vec operator+(Vec a, Vec b) {
  return each([&](int i) { return a.lane[i] + b.lane[i]; });
}
LSP_INLINE Vec operator-(Vec a, Vec b) {
  return each([&](int i) { return a.lane[i] - b.lane[i]; });
}
LSP_INLINE Vec operator*(Vec a, Vec b) {
  return each([&](int i) { return a.lane[i] * b.lane[i]; });
}
LSP_INLINE Vec operator/(Vec a, Vec b) {
  return each([&](int i) { return a.lane[i] / b.lane[i]; });
}
LSP_INLINE Vec fma(Vec a, Vec b, Vec c) {
  return each([&](int i) { return __builtin_fmaf(a.lane[i], b.lane[i], c.lane[i]); });
}
LSP_INLINE Vec max(Vec a, Vec b) {
  return each([&](int i) { return a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]; });
}
LSP_INLINE Vec min(Vec a, Vec b) {
  return each([&](int i) { return a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i]; });
}
LSP_INLINE Vec sqrt(Vec a) {
  return each([&](int i) { return __builtin_sqrtf(a.lane[i]); });
}
LSP_INLINE Vec where_ge(Vec a, Vec b, Vec x, Vec y) {
  return each([&](int i) { return a.lane[i] >= b.lane[i] ? x.lane[i] : y.lane[i]; });
}
LSP_INLINE Vec keep_first(Vec a, int n, Vec fill) {
  return each([&](int i) { return i < n ? a.lane[i] : fill.lane[i]; });
}
LSP_INLINE Vec scale_exponent(Vec a, Vec t) {
  return each([&](int i) {
    uint32_t bits, shift;
    __builtin_memcpy(&bits, &a.lane[i], 4);
    __builtin_memcpy(&shift, &t.lane[i], 4);
    bits += shift << 23;
    float result;
    __builtin_memcpy(&result, &bits, 4);
    return result;
  });
}

#endif

// Reductions: a fixed tree, lane i with lane i+8, then +4, +2, +1.
#if defined(LSP_ISA_AVX512) || defined(LSP_ISA_AVX2)

LSP_INLINE float sum_lanes(Vec a) {
  const __m256 eight = _mm256_add_ps(low_half(a).v, high_half(a).v);
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}
LSP_INLINE float max_lanes(Vec a) {
  const __m256 eight = _mm256_max_ps(low_half(a).v, high_half(a).v);
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
}

#else

LSP_INLINE float sum_lanes(Vec a) {
  float lanes[16];
  store(lanes, a);
  for (int width = 8; width >= 1; width /= 2)
    for (int i = 0; i < width; ++i) lanes[i] = lanes[i] + lanes[i + width];
  return lanes[0];
}
LSP_INLINE float max_lanes(Vec a) {
  float lanes[16];
  store(lanes, a);
  for (int width = 8; width >= 1; width /= 2)
    for (int i = 0; i < width; ++i) lanes[i] = lanes[i] > lanes[i + width] ? lanes[i] : lanes[i + width];
  return lanes[0];
}

#endif

// A row of n floats in steps of 16; f(offset, count of lanes in use).
template <class F>
LSP_INLINE void for_lanes(int64_t n, F f) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) f(i, kLanes);
  if (i < n) f(i, static_cast<int>(n - i));
}
LSP_INLINE Vec load_n(const float* p, int n) { return n == kLanes ? load(p) : load_first(p, n); }
LSP_INLINE void store_n(float* p, Vec a, int n) {
  if (n == kLanes) {
    store(p, a);
  } else {
    store_first(p, a, n);
  }
}

}  // namespace LSP_ISA
}  // namespace lsp
