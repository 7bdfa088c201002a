// Copies of matrices in the order in which the register tile reads them, for per-ISA translation units: rows
// of A tile by tile, columns of B in panels of 32. All of them stay in a cache of the core that made them.
#pragma once

#include "core/simd_transpose.h"
#include "kernels/linear/tile.h"

namespace lsp {
namespace LSP_ISA {

// A left factor (M, K). Element (i, p) is at[i * row + p / 32 * block + p % 32] or, where a row of memory is
// one p, at[i + p * block].
struct Left {
  const float* at;
  int64_t row;  // 0: a row of memory is one p
  int64_t block;
};
LSP_INLINE Left row_major(const float* at, int64_t row) { return {at, row, kPanelColumns}; }
LSP_INLINE Left column_major(const float* at, int64_t column) { return {at, 0, column}; }

// Rows from `first` on and columns from k_offset, a multiple of 32, of an A that is not given by columns.
LSP_INLINE Unpacked unpacked(const Left& a, int64_t first, int64_t k_offset) {
  return {a.at + first * a.row + k_offset / kPanelColumns * a.block, a.row, a.block};
}

LSP_INLINE int64_t round_up(int64_t n, int64_t step) { return ceil_div(n, step) * step; }

// Packed rows may be overwritten by up to this many floats past their end.
constexpr int64_t kPackSlack = kLanes;

// `height` <= 16 rows and 16 columns of which `width` are there: column p goes to out + p * height. Columns
// are written whole, in order, so that the next one repairs what the last one spilled.
LSP_INLINE void pack_square(const float* from, int64_t row, int64_t height, int64_t width, float* out) {
  Vec square[kLanes];
  for (int64_t i = 0; i < kLanes; ++i)
    square[i] = i < height ? load_n(from + i * row, static_cast<int>(width)) : zero();
  transpose(square);
  for (int64_t p = 0; p < kLanes; ++p)
    if (p < width) store(out + p * height, square[p]);
}

// Calls f(first row, height) for each of the tiles that `rows` rows are cut into.
template <class F>
LSP_INLINE void for_tiles(int64_t rows, const F& f) {
  const int64_t tiles = tiles_of(rows), least = rows / tiles, higher = rows % tiles;
  for (int64_t row = 0, tile = 0, height; tile < tiles; ++tile, row += height) {
    height = tile < higher ? least + 1 : least;
    f(row, height);
  }
}

// 32 columns of A at a time: written column by column, tiles that lie a multiple of 4 KB apart would push
// each other out of the first-level cache.
static void pack_columns(const Left& a, int64_t first, int64_t rows, int64_t k_offset, int64_t k,
                         float* out) {
  for (int64_t begin = 0; begin < k; begin += kPanelColumns) {
    const float* from = a.at + first + (k_offset + begin) * a.block;
    const int64_t count = min_of(kPanelColumns, k - begin);
    for_tiles(rows, [&](int64_t row, int64_t height) {
      float* to = out + row * k + begin * height;
      const int used = static_cast<int>(height);
      for (int64_t p = 0; p < count; ++p, to += height) {
        const float* column = from + p * a.block + row;
        __builtin_prefetch(column + kPanelColumns * a.block, 0, 3);
        store_first(to, load_first(column, used), used);
      }
    });
  }
}

// Rows [first, first + rows) and columns [k_offset, k_offset + k) of A: tile i of the rows holds (k, height)
// contiguously at out + its first row * k. k_offset is a multiple of 32.
static void pack_rows(const Left& a, int64_t first, int64_t rows, int64_t k_offset, int64_t k, float* out) {
  if (a.row == 0) {
    pack_columns(a, first, rows, k_offset, k, out);
    return;
  }
  const float* from = a.at + first * a.row + k_offset / kPanelColumns * a.block;
  for_tiles(rows, [&](int64_t row, int64_t height) {
    for (int64_t p = 0; p < k; p += kLanes) {
      const float* square = from + row * a.row + p / kPanelColumns * a.block + p % kPanelColumns;
      for (int64_t i = height; i < 2 * height; ++i) __builtin_prefetch(square + i * a.row, 0, 3);
      pack_square(square, a.row, height, min_of(kLanes, k - p), out + row * k + p * height);
    }
  });
}

// A right factor as panels in memory, depth rows each. `block` gives rows [k_offset, k_offset + k) of a
// panel, `ahead` how to fetch them during a product of `tiles` tiles before.
template <class T>
struct PanelFactor {
  using Value = T;
  static constexpr bool kCopies = false;
  const T* panels;
  int64_t depth;

  const T* block(int64_t panel, int64_t k_offset, int64_t, float*) const {
    return panels + (panel * depth + k_offset) * kPanelColumns;
  }
  Ahead ahead(int64_t panel, int64_t k_offset, int64_t k, int64_t tiles) const {
    return contiguous_ahead(block(panel, k_offset, k, nullptr), kPanelColumns * sizeof(T), k, tiles);
  }
};

// Columns [0, n) of a row-major matrix.
struct RowsFactor {
  using Value = float;
  static constexpr bool kCopies = true;
  const float* rows;
  int64_t row, n;

  const float* block(int64_t panel, int64_t k_offset, int64_t k, float* to) const {
    const float* from = rows + k_offset * row + panel * kPanelColumns;
    const int64_t columns = min_of(kPanelColumns, n - panel * kPanelColumns);
    const int low = static_cast<int>(min_of(columns, kLanes)), high = static_cast<int>(columns - low);
    for (int64_t p = 0; p < k; ++p, from += row, to += kPanelColumns) {
      store(to, load_n(from, low));
      store(to + kLanes, high > 0 ? load_n(from + kLanes, high) : zero());
    }
    return to - k * kPanelColumns;
  }
  Ahead ahead(int64_t panel, int64_t k_offset, int64_t, int64_t tiles) const {
    return strided_ahead(rows + k_offset * row + panel * kPanelColumns, 4 * row, 4 * kPanelColumns * row,
                         tiles);
  }
};

// The transpose of panels (depth rows each) of a weight, of which the first `n` rows are there: its panels
// run over what were rows of a panel.
template <class T>
struct TransposedFactor {
  using Value = float;
  static constexpr bool kCopies = true;
  static constexpr int64_t kSize = sizeof(T);
  const T* panels;
  int64_t depth;

  const T* from(int64_t panel, int64_t k_offset) const {
    return panels + (k_offset * depth) + panel * kPanelColumns * kPanelColumns;
  }
  const float* block(int64_t panel, int64_t k_offset, int64_t k, float* to) const {
    const int64_t width = min_of(kPanelColumns, depth - panel * kPanelColumns);
    for (int64_t p = 0; p < k; p += kLanes) {
      const T* square = from(panel, k_offset) + p / kPanelColumns * depth * kPanelColumns + p % kPanelColumns;
      for (int64_t column = 0; column < kPanelColumns; column += kLanes) {
        Vec v[kLanes];
        for (int64_t i = 0; i < kLanes; ++i)
          v[i] = column + i < width ? load(square + (column + i) * kPanelColumns) : zero();
        transpose(v);
        for (int64_t i = 0; i < kLanes; ++i) store(to + (p + i) * kPanelColumns + column, v[i]);
      }
    }
    return to;
  }
  Ahead ahead(int64_t panel, int64_t k_offset, int64_t, int64_t tiles) const {
    return strided_ahead(from(panel, k_offset), kSize * kPanelColumns, kSize * kPanelColumns * depth, tiles);
  }
};

}  // namespace LSP_ISA
}  // namespace lsp
