// Copies of matrices in bfloat16, in the order in which the dot products of pairs read them (VDPBF16PS,
// TDPBF16PS), for translation units with AVX512-BF16. A value is rounded to the nearest, ties to even; NaN
// stays NaN, and what is denormal becomes 0.
//
// A, in tiles of 16 rows: (rows / 16, k / 32, 16, 32). B, a panel of 32 columns: (k / 32, 2, 16, 16, 2), that
// is for each 32 of k two tiles of 16 columns, in which a row holds the pair (2j, 2j + 1) of k for each
// column. k and rows are filled up with zeros.
#pragma once

#include "kernels/linear/pack.h"

namespace lsp {
namespace LSP_ISA {

#if defined(__AVX512BF16__)

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

static void pack_tiles_by_rows(const Left& a, int64_t first, int64_t rows, int64_t k_offset, int64_t k,
                               uint16_t* out) {
  const int64_t tile = ceil_div(k, kBlock) * kTileSize;  // of 16 rows
  for (int64_t i = 0; i < round_up(rows, kTileRows); ++i) {
    const float* from = a.at + (first + i) * a.row + k_offset / kBlock * a.block;
    uint16_t* to = out + i / kTileRows * tile + i % kTileRows * kBlock;
    for (int64_t p = 0; p < k; p += kBlock, from += a.block, to += kTileSize)
      store_pairs(to, i < rows ? load_pairs(from, k - p) : Pairs{});
  }
}

// Floats of a row of memory that are fetched ahead, where many rows are read side by side.
constexpr int64_t kColumnsAhead = 4 * kLanes;

static void pack_tiles_by_columns(const Left& a, int64_t first, int64_t rows, int64_t k_offset, int64_t k,
                                  uint16_t* out) {
  const int64_t tile = ceil_div(k, kBlock) * kTileSize;
  for (int64_t p = 0; p < k; p += kBlock, out += kTileSize) {
    for (int64_t row = 0; row < rows; row += kTileRows) {
      const float* from = a.at + first + row + (k_offset + p) * a.block;
      const int height = static_cast<int>(min_of(kTileRows, rows - row));
      const auto column = [&](int64_t j) {
        if (j >= k - p) return zero();
        __builtin_prefetch(from + j * a.block + kColumnsAhead, 0, 3);
        return load_n(from + j * a.block, height);
      };
      Pairs pairs[16];
      for (int64_t j = 0; j < 16; ++j) pairs[j] = round_interleaved(column(2 * j), column(2 * j + 1));
      transpose_pairs(pairs);
      uint16_t* to = out + row / kTileRows * tile;
      for (int64_t i = 0; i < 16; ++i) store_pairs(to + i * kBlock, pairs[i]);
    }
  }
}

// Rows [first, first + rows) and columns [k_offset, k_offset + k) of A. Each way runs through memory in order
// and writes whole cache lines.
static void pack_tiles(const Left& a, int64_t first, int64_t rows, int64_t k_offset, int64_t k,
                       uint16_t* out) {
  if (a.row != 0) {
    pack_tiles_by_rows(a, first, rows, k_offset, k, out);
  } else {
    pack_tiles_by_columns(a, first, rows, k_offset, k, out);
  }
}

// --- B --------------------------------------------------------------------------------------------------

// Bytes ahead of what is being packed: the panel after this one lies behind it.
constexpr int64_t kPackAhead = 2048;

// Rows of a block of B, each of 32 columns, as pairs of rows; those from `rows` on and columns from `columns`
// on are zero.
LSP_INLINE void store_row_pair(const float* even, const float* odd, uint16_t* to) {
  store_pairs(to, round_interleaved(load(even), load(odd)));
  store_pairs(to + kTileSize, round_interleaved(load(even + kLanes), load(odd + kLanes)));
}
LSP_INLINE void store_row_pair(const uint16_t* even, const uint16_t* odd, uint16_t* to) {
  const auto half = [](const uint16_t* at) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
  };
  for (int64_t c = 0; c < 2; ++c) {
    const __m512i low = _mm512_castsi256_si512(half(even + c * kLanes));
    store_pairs(to + c * kTileSize, interleave(_mm512_inserti64x4(low, half(odd + c * kLanes), 1)));
  }
}
// `fetch(pair)` is called before each pair of rows.
template <class T, class Fetch>
LSP_INLINE void pack_row_block(const T* from, int64_t row, int64_t rows, int64_t columns, uint16_t* out,
                               const Fetch& fetch) {
  if (rows >= kBlock && columns >= kPanelColumns) {
    for (int64_t j = 0; j < 16; ++j, from += 2 * row, out += kBlock) {
      fetch(from);
      store_row_pair(from, from + row, out);
    }
    return;
  }
  for (int64_t j = 0; j < 16; ++j, from += 2 * row, out += kBlock) {
    alignas(64) T pair[2 * kPanelColumns] = {};
    for (int64_t i = 0; i < min_of(2, rows - 2 * j); ++i)
      for (int64_t c = 0; c < min_of(kPanelColumns, columns); ++c)
        pair[i * kPanelColumns + c] = from[i * row + c];
    store_row_pair(pair, pair + kPanelColumns, out);
  }
}

// Rows [k_offset, k_offset + k) of a panel of B, as blocks of 32; the last one may have fewer.
template <class B>
class PanelBlocks;

template <class T>
class PanelBlocks<PanelFactor<T>> {
 public:
  PanelBlocks(const PanelFactor<T>& b, int64_t panel, int64_t k_offset, int64_t k)
      : from_(b.block(panel, k_offset, k, nullptr)), k_(k) {}
  void pack(int64_t block, uint16_t* out) const {
    pack_row_block(from_ + block * kBlock * kPanelColumns, kPanelColumns, k_ - block * kBlock, kPanelColumns,
                   out, [](const T* from) {
                     const char* ahead = reinterpret_cast<const char*>(from) + kPackAhead;
                     for (size_t byte = 0; byte < 2 * kPanelColumns * sizeof(T); byte += 64)
                       __builtin_prefetch(ahead + byte, 0, 2);
                   });
  }

 private:
  const T* from_;
  const int64_t k_;
};

template <>
class PanelBlocks<RowsFactor> {
 public:
  PanelBlocks(const RowsFactor& b, int64_t panel, int64_t k_offset, int64_t k)
      : from_(b.rows + k_offset * b.row + panel * kPanelColumns),
        row_(b.row),
        columns_(b.n - panel * kPanelColumns),
        k_(k) {}
  void pack(int64_t block, uint16_t* out) const {
    pack_row_block(from_ + block * kBlock * row_, row_, k_ - block * kBlock, columns_, out,
                   [](const float*) {});
  }

 private:
  const float* from_;
  const int64_t row_, columns_, k_;
};

template <class T>
class PanelBlocks<TransposedFactor<T>> {
 public:
  PanelBlocks(const TransposedFactor<T>& b, int64_t panel, int64_t k_offset, int64_t k)
      : from_(b.from(panel, k_offset)),
        block_(b.depth * kPanelColumns),
        width_(b.depth - panel * kPanelColumns),
        k_(k) {}
  void pack(int64_t block, uint16_t* out) const {
    const T* from = from_ + block * block_;
    for (int64_t column = 0; column < kPanelColumns; column += kLanes, out += kTileSize) {
      Pairs pairs[16];
      for (int64_t i = 0; i < 16; ++i)
        pairs[i] = column + i < width_ ? load_pairs(from + (column + i) * kPanelColumns, k_ - block * kBlock)
                                       : Pairs{};
      transpose_pairs(pairs);
      for (int64_t i = 0; i < 16; ++i) store_pairs(out + i * kBlock, pairs[i]);
    }
  }

 private:
  const T* from_;
  const int64_t block_, width_, k_;
};

#endif

}  // namespace LSP_ISA
}  // namespace lsp
