// Sixteen int32 sums of products of bytes, for per-ISA translation units: exact on all of them.
//
// A column takes four bytes at a time: a weight vector is (16, 4) of q + 128, an input four p that all
// columns share. Where the product takes unsigned weights, the sum begins at -128 sum(p) (kBiased); where it
// takes signed ones, at 0.
#pragma once

#include "core/simd.h"
#include "kernels/int8/int8.h"

namespace lsp {
namespace LSP_ISA {

// Sums are no __m512i or __m256i: GCC would keep a copy of each in memory.
#if defined(LSP_ISA_AVX512)
using Ints = int __attribute__((vector_size(64)));
#elif defined(LSP_ISA_AVX2)
using Ints = int __attribute__((vector_size(32)));
#endif

#if defined(LSP_ISA_AVX512) && defined(__AVX512VNNI__)

constexpr bool kBiased = true;
constexpr int kInt8Rows = 12, kInt8Vecs = 2;
using Input = int8_t;
struct Weights {
  __m512i v;
};
struct Sums {
  Ints v;
};
LSP_INLINE Sums sums_from(int32_t start) { return {(Ints)_mm512_set1_epi32(start)}; }
LSP_INLINE Weights load_weights(const uint8_t* p) { return {_mm512_loadu_si512(p)}; }
LSP_INLINE Sums add_products(Sums sums, Weights w, const Input* four) {
  int32_t bits;
  __builtin_memcpy(&bits, four, 4);
  return {(Ints)_mm512_dpbusd_epi32((__m512i)sums.v, w.v, _mm512_set1_epi32(bits))};
}
LSP_INLINE Vec to_floats(Sums sums) { return {_mm512_cvtepi32_ps((__m512i)sums.v)}; }

#elif defined(LSP_ISA_AVX512)

// Pairs of 16-bit products: the even and the odd bytes of each column apart.
constexpr bool kBiased = true;
constexpr int kInt8Rows = 8, kInt8Vecs = 2;
using Input = int16_t;
struct Weights {
  __m512i even, odd;
};
struct Sums {
  Ints v;
};
LSP_INLINE Sums sums_from(int32_t start) { return {(Ints)_mm512_set1_epi32(start)}; }
LSP_INLINE Weights load_weights(const uint8_t* p) {
  const __m512i bytes = _mm512_loadu_si512(p);
  return {_mm512_and_si512(bytes, _mm512_set1_epi16(0xff)), _mm512_srli_epi16(bytes, 8)};
}
LSP_INLINE Sums add_products(Sums sums, Weights w, const Input* four) {
  int32_t even, odd;
  __builtin_memcpy(&even, four, 4);
  __builtin_memcpy(&odd, four + 2, 4);
  const __m512i first = _mm512_add_epi32((__m512i)sums.v, _mm512_madd_epi16(w.even, _mm512_set1_epi32(even)));
  return {(Ints)_mm512_add_epi32(first, _mm512_madd_epi16(w.odd, _mm512_set1_epi32(odd)))};
}
LSP_INLINE Vec to_floats(Sums sums) { return {_mm512_cvtepi32_ps((__m512i)sums.v)}; }

#elif defined(LSP_ISA_AVX2)

constexpr bool kBiased = true;
struct Sums {
  Ints lo, hi;
};
LSP_INLINE Sums sums_from(int32_t start) {
  const Ints all = (Ints)_mm256_set1_epi32(start);
  return {all, all};
}
LSP_INLINE Vec to_floats(Sums sums) {
  return {_mm256_cvtepi32_ps((__m256i)sums.lo), _mm256_cvtepi32_ps((__m256i)sums.hi)};
}
LSP_INLINE __m256i load_bytes(const uint8_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}

#if defined(__AVXVNNI__)

constexpr int kInt8Rows = 6, kInt8Vecs = 1;
using Input = int8_t;
struct Weights {
  __m256i lo, hi;
};
LSP_INLINE Weights load_weights(const uint8_t* p) { return {load_bytes(p), load_bytes(p + 32)}; }
LSP_INLINE Sums add_products(Sums sums, Weights w, const Input* four) {
  int32_t bits;
  __builtin_memcpy(&bits, four, 4);
  const __m256i x = _mm256_set1_epi32(bits);
  return {(Ints)_mm256_dpbusd_avx_epi32((__m256i)sums.lo, w.lo, x),
          (Ints)_mm256_dpbusd_avx_epi32((__m256i)sums.hi, w.hi, x)};
}

#else

constexpr int kInt8Rows = 4, kInt8Vecs = 1;
using Input = int16_t;
struct Weights {
  __m256i even[2], odd[2];
};
LSP_INLINE Weights load_weights(const uint8_t* p) {
  const __m256i low = _mm256_set1_epi16(0xff), a = load_bytes(p), b = load_bytes(p + 32);
  return {{_mm256_and_si256(a, low), _mm256_and_si256(b, low)},
          {_mm256_srli_epi16(a, 8), _mm256_srli_epi16(b, 8)}};
}
LSP_INLINE Sums add_products(Sums sums, Weights w, const Input* four) {
  int32_t bits[2];
  __builtin_memcpy(bits, four, 8);
  const __m256i even = _mm256_set1_epi32(bits[0]), odd = _mm256_set1_epi32(bits[1]);
  const auto add = [&](Ints sum, int i) {
    const __m256i first = _mm256_add_epi32((__m256i)sum, _mm256_madd_epi16(w.even[i], even));
    return (Ints)_mm256_add_epi32(first, _mm256_madd_epi16(w.odd[i], odd));
  };
  return {add(sums.lo, 0), add(sums.hi, 1)};
}

#endif

#elif defined(LSP_ISA_NEON)

constexpr bool kBiased = false;
constexpr int kInt8Rows = 4, kInt8Vecs = 1;
using Input = int8_t;
struct Weights {
  int8x16_t q[4];
};
struct Sums {
  int32x4_t q[4];
};
LSP_INLINE Sums sums_from(int32_t start) {
  const int32x4_t v = vdupq_n_s32(start);
  return {{v, v, v, v}};
}
LSP_INLINE Weights load_weights(const uint8_t* p) {
  Weights w;
  for (int i = 0; i < 4; ++i) w.q[i] = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(p + 16 * i), vdupq_n_u8(0x80)));
  return w;
}
LSP_INLINE Sums add_products(Sums sums, Weights w, const Input* four) {
  int32_t bits;
  __builtin_memcpy(&bits, four, 4);
  const int8x16_t x = vreinterpretq_s8_s32(vdupq_n_s32(bits));
#if defined(__ARM_FEATURE_DOTPROD)
  for (int i = 0; i < 4; ++i) sums.q[i] = vdotq_s32(sums.q[i], w.q[i], x);
#else
  // Two products of at most 127 * 127 fit 16 bits.
  for (int i = 0; i < 4; ++i) {
    const int16x8_t low = vmull_s8(vget_low_s8(w.q[i]), vget_low_s8(x)), high = vmull_high_s8(w.q[i], x);
    sums.q[i] = vpadalq_s16(sums.q[i], vpaddq_s16(low, high));
  }
#endif
  return sums;
}
LSP_INLINE Vec to_floats(Sums sums) {
  return each([&](int i) { return vcvtq_f32_s32(sums.q[i]); });
}

#else

constexpr bool kBiased = true;
constexpr int kInt8Rows = 4, kInt8Vecs = 1;
using Input = int8_t;
struct Weights {
  const uint8_t* at;
};
struct Sums {
  int32_t lane[16];
};
LSP_INLINE Sums sums_from(int32_t start) {
  Sums sums;
  for (int i = 0; i < 16; ++i) sums.lane[i] = start;
  return sums;
}
LSP_INLINE Weights load_weights(const uint8_t* p) { return {p}; }
LSP_INLINE Sums add_products(Sums sums, Weights w, const Input* four) {
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 4; ++j) sums.lane[i] += w.at[4 * i + j] * four[j];
  return sums;
}
LSP_INLINE Vec to_floats(Sums sums) {
  return each([&](int i) { return static_cast<float>(sums.lane[i]); });
}

#endif

// Quantized activations: (G, T, 64) p, and of each group and token a and where its sums begin, (G, T).
struct Inputs {
  Input* values;
  float* scale;
  int32_t* start;
  int64_t t;
};
constexpr int64_t kSpareRows = 32;  // that may be read past the last

constexpr int64_t kPanelBytes = 4 * kPanel;  // of four inputs

// kToInteger + x holds in its low bits the integer that x rounds to.
constexpr float kToInteger = 12582912.0f;  // 1.5 * 2^23

#if defined(LSP_ISA_AVX512) || defined(LSP_ISA_AVX2)
#if defined(LSP_ISA_AVX512)
LSP_INLINE __m128i low_bytes(Vec sums) { return _mm512_cvtepi32_epi8(_mm512_castps_si512(sums.v)); }
#else
LSP_INLINE __m128i low_bytes(Vec sums) {
  const __m256i low = _mm256_set1_epi32(0xff);
  const __m256i a = _mm256_and_si256(_mm256_castps_si256(sums.lo), low);
  const __m256i b = _mm256_and_si256(_mm256_castps_si256(sums.hi), low);
  const __m256i words = _mm256_permute4x64_epi64(_mm256_packus_epi32(a, b), 0xd8);
  return _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
}
#endif
LSP_INLINE void store_inputs(int8_t* to, Vec sums) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), low_bytes(sums));
}
// Even inputs of four before odd ones.
LSP_INLINE void store_inputs(int16_t* to, Vec sums) {
  const __m128i order = _mm_setr_epi8(0, 2, 1, 3, 4, 6, 5, 7, 8, 10, 9, 11, 12, 14, 13, 15);
  const __m128i bytes = _mm_shuffle_epi8(low_bytes(sums), order);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_cvtepi8_epi16(bytes));
}
#else
LSP_INLINE void store_inputs(int8_t* to, Vec sums) {
  float lanes[kLanes];
  store(lanes, sums);
  for (int i = 0; i < kLanes; ++i) {
    int32_t bits;
    __builtin_memcpy(&bits, &lanes[i], 4);
    to[i] = static_cast<int8_t>(bits & 0xff);
  }
}
#endif

// Low bytes of four such vectors side by side, those of a lane together, with 128 added: (16, 4).
LSP_INLINE void store_weights(uint8_t* to, const Vec (&sums)[4]) {
#if defined(LSP_ISA_AVX512)
  const __m512i low = _mm512_set1_epi32(0xff);
  __m512i bytes = _mm512_set1_epi32(static_cast<int>(0x80808080u));
  for (int j = 0; j < 4; ++j)
    bytes = _mm512_xor_si512(bytes,
                             _mm512_slli_epi32(_mm512_and_si512(_mm512_castps_si512(sums[j].v), low), 8 * j));
  _mm512_storeu_si512(to, bytes);
#else
  for (int j = 0; j < 4; ++j) {
    float lanes[kLanes];
    store(lanes, sums[j]);
    for (int i = 0; i < kLanes; ++i) {
      uint32_t bits;
      __builtin_memcpy(&bits, &lanes[i], 4);
      to[4 * i + j] = static_cast<uint8_t>(bits ^ 0x80u);
    }
  }
#endif
}

}  // namespace LSP_ISA
}  // namespace lsp
