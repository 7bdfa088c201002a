// Copies of matrices in bfloat16, in the order in which the dot products of pairs read them (VDPBF16PS,
// TDPBF16PS), for translation units with AVX512-BF16. A value is rounded to the nearest, ties to even; NaN
// stays NaN, and what is denormal becomes 0.
//
// A, in tiles of 16 rows: (rows / 16, k / 32, 16, 32). B, a panel of 32 columns: (k / 32, 2, 16, 16, 2), that
// is for each 32 of k two tiles of 16 columns, in which a row holds the pair (2j, 2j + 1) of k for each
// column. k and rows are filled up with zeros.
#pragma once

#include "kernels/linear/pack.h"

#if defined(__AVX512BF16__)

namespace lsp {
namespace LSP_ISA {

constexpr int64_t kBlock = 32;      // of k
constexpr int64_t kTileRows = 16;   // of A
constexpr int64_t kTileSize = 512;  // values of a tile

// Sixteen pairs of bfloat16.
using Pairs = __m512i;

LSP_INLINE Pairs round_in_order(Vec low, Vec high) {
  return reinterpret_cast<Pairs>(_mm512_cvtne2ps_pbh(high.v, low.v));
}
// Lane i: (even[i], odd[i]).
LSP_INLINE Pairs interleave(Pairs halves) {
  const Pairs order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7,
                                       22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return _mm512_permutexvar_epi16(order, halves);
}
LSP_INLINE Pairs round_interleaved(Vec even, Vec odd) { return interleave(round_in_order(even, odd)); }
LSP_INLINE void store_pairs(uint16_t* to, Pairs pairs) { _mm512_store_si512(to, pairs); }

LSP_INLINE void transpose_pairs(Pairs (&rows)[16]) {
  Vec square[16];
  for (int i = 0; i < 16; ++i) square[i] = {_mm512_castsi512_ps(rows[i])};
  transpose(square);
  for (int i = 0; i < 16; ++i) rows[i] = _mm512_castps_si512(square[i].v);
}

// The first n of 32 consecutive values, 0 <= n.
LSP_INLINE Pairs load_pairs(const float* from, int64_t n) {
  if (n >= kBlock) return round_in_order(load(from), load(from + kLanes));
  const Vec low = load_first(from, static_cast<int>(min_of(n, kLanes)));
  const Vec high = n > kLanes ? load_first(from + kLanes, static_cast<int>(n - kLanes)) : zero();
  return round_in_order(low, high);
}
LSP_INLINE Pairs load_pairs(const uint16_t* from, int64_t n) {
  return n >= kBlock ? _mm512_loadu_si512(from) : _mm512_maskz_loadu_epi16((__mmask32{1} << n) - 1u, from);
}

// --- A --------------------------------------------------------------------------------------------------

// Rows [first, first + rows) and columns [k_offset, k_offset + k) of A.
static void pack_tiles(const Left& a, int64_t first, int64_t rows, int64_t k_offset, int64_t k,
                       uint16_t* out) {
  for (int64_t row = 0; row < rows; row += kTileRows) {
    const int64_t height = min_of(kTileRows, rows - row);
    for (int64_t p = 0; p < k; p += kBlock, out += kTileSize) {
      const int64_t width = min_of(kBlock, k - p);
      if (a.row != 0) {
        const float* from = a.at + (first + row) * a.row + (k_offset + p) / kBlock * a.block;
        for (int64_t i = 0; i < kTileRows; ++i)
          store_pairs(out + i * kBlock, i < height ? load_pairs(from + i * a.row, width) : Pairs{});
        continue;
      }
      const float* from = a.at + first + row + (k_offset + p) * a.block;
      const auto column = [&](int64_t j) {
        return j < width ? load_n(from + j * a.block, static_cast<int>(height)) : zero();
      };
      Pairs pairs[16];
      for (int64_t j = 0; j < 16; ++j) pairs[j] = round_interleaved(column(2 * j), column(2 * j + 1));
      transpose_pairs(pairs);
      for (int64_t i = 0; i < 16; ++i) store_pairs(out + i * kBlock, pairs[i]);
    }
  }
}

// --- B --------------------------------------------------------------------------------------------------

// Bytes ahead of what is being packed: the panel after this one lies behind it.
constexpr int64_t kPackAhead = 2048;

// Rows 2j and 2j + 1 of a block of B, of which `left` are there, the first `columns` of 32 columns.
LSP_INLINE void store_row_pair(const float* from, int64_t row, int64_t left, int64_t columns, uint16_t* to) {
  const bool odd = left > 1;
  for (int64_t c = 0; c < 2; ++c) {
    const int n = static_cast<int>(max_of(0, min_of(kLanes, columns - c * kLanes)));
    const auto part = [&](const float* at) { return n > 0 ? load_n(at + c * kLanes, n) : zero(); };
    store_pairs(to + c * kTileSize,
                left > 0 ? round_interleaved(part(from), odd ? part(from + row) : zero()) : Pairs{});
  }
}
LSP_INLINE void store_row_pair(const uint16_t* from, int64_t left, uint16_t* to) {
  const auto half = [](const uint16_t* at) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
  };
  for (int64_t c = 0; c < 2; ++c) {
    const __m256i even = left > 0 ? half(from + c * kLanes) : __m256i{};
    const __m256i odd = left > 1 ? half(from + kPanelColumns + c * kLanes) : __m256i{};
    store_pairs(to + c * kTileSize, interleave(_mm512_inserti64x4(_mm512_castsi256_si512(even), odd, 1)));
  }
}

// Rows [k_offset, k_offset + k) of a panel of B.
static void pack_panel(const PanelFactor<float>& b, int64_t panel, int64_t k_offset, int64_t k,
                       uint16_t* out) {
  const float* from = b.block(panel, k_offset, k, nullptr);
  for (int64_t p = 0; p < k; p += kBlock, out += 2 * kTileSize)
    for (int64_t j = 0; j < 16; ++j, from += 2 * kPanelColumns) {
      for (int64_t line = 0; line < 4; ++line)
        __builtin_prefetch(reinterpret_cast<const char*>(from) + kPackAhead + 64 * line, 0, 2);
      store_row_pair(from, kPanelColumns, k - p - 2 * j, kPanelColumns, out + j * kBlock);
    }
}
static void pack_panel(const PanelFactor<uint16_t>& b, int64_t panel, int64_t k_offset, int64_t k,
                       uint16_t* out) {
  const uint16_t* from = b.block(panel, k_offset, k, nullptr);
  for (int64_t p = 0; p < k; p += kBlock, out += 2 * kTileSize)
    for (int64_t j = 0; j < 16; ++j, from += 2 * kPanelColumns) {
      for (int64_t line = 0; line < 2; ++line)
        __builtin_prefetch(reinterpret_cast<const char*>(from) + kPackAhead + 64 * line, 0, 2);
      store_row_pair(from, k - p - 2 * j, out + j * kBlock);
    }
}
static void pack_panel(const RowsFactor& b, int64_t panel, int64_t k_offset, int64_t k, uint16_t* out) {
  const float* from = b.rows + k_offset * b.row + panel * kPanelColumns;
  const int64_t columns = b.n - panel * kPanelColumns;
  for (int64_t p = 0; p < k; p += kBlock, out += 2 * kTileSize)
    for (int64_t j = 0; j < 16; ++j, from += 2 * b.row)
      store_row_pair(from, b.row, k - p - 2 * j, columns, out + j * kBlock);
}
template <class T>
static void pack_panel(const TransposedFactor<T>& b, int64_t panel, int64_t k_offset, int64_t k,
                       uint16_t* out) {
  const int64_t width = min_of(kPanelColumns, b.depth - panel * kPanelColumns);
  const T* from = b.from(panel, k_offset);
  for (int64_t p = 0; p < k; p += kBlock, from += b.depth * kPanelColumns)
    for (int64_t column = 0; column < kPanelColumns; column += kLanes, out += kTileSize) {
      Pairs pairs[16];
      for (int64_t i = 0; i < 16; ++i)
        pairs[i] = column + i < width ? load_pairs(from + (column + i) * kPanelColumns, k - p) : Pairs{};
      transpose_pairs(pairs);
      for (int64_t i = 0; i < 16; ++i) store_pairs(out + i * kBlock, pairs[i]);
    }
}

}  // namespace LSP_ISA
}  // namespace lsp

#endif
