// The register tile behind every matrix product, for per-ISA translation units.
//
// C (M, N) = A (M, K) B (K, N): B comes as panels of 32 columns (per k, 32 contiguous values, float or
// bfloat16). A tile of `kRows` rows by one or two Vecs stays in registers; each element is one chain of fused
// multiply-adds over k in ascending order, from 0 or from the value in place.
#pragma once

#include "core/parallel.h"

namespace lsp {
namespace LSP_ISA {

constexpr int64_t kPanelColumns = 32;

// Register tile: accumulators kRows x kVecs, plus kVecs of B and a broadcast of A, in the ISA's registers.
#if defined(LSP_ISA_AVX512)
constexpr int kRows = 12, kVecs = 2;
#else
constexpr int kRows = 6, kVecs = 1;
#endif
// As many rows of the whole panel's width fit anywhere. Where kVecs is 1, a few rows of A are multiplied so:
// the panel, which comes from memory then, is read in one stream.
constexpr int kOnePassRows = 3;
constexpr int64_t kFewRows = 48;

// Tiles that a block of packed rows is cut into, of nearly equal height.
LSP_INLINE int64_t tiles_of(int64_t rows) {
  return ceil_div(rows, kVecs == 1 && rows <= kFewRows ? kOnePassRows : kRows);
}

// c (R, 16V) += or = a (R, k) b (k, 16V); a(i, p) = a[i * a_row + p * a_step].
template <int R, int V, class B>
LSP_INLINE void tile(const float* a, int64_t a_row, int64_t a_step, const B* b, int64_t b_step, float* c,
                     int64_t c_row, int64_t k, bool accumulate) {
  Vec sum[R][V];
  if (accumulate) {
    for (int i = 0; i < R; ++i)
      for (int v = 0; v < V; ++v) sum[i][v] = load(c + i * c_row + v * kLanes);
  } else {
    for (int i = 0; i < R; ++i)
      for (int v = 0; v < V; ++v) sum[i][v] = zero();
  }
  for (int64_t p = 0; p < k; ++p) {
    Vec column[V];
    for (int v = 0; v < V; ++v) column[v] = load(b + p * b_step + v * kLanes);
    for (int i = 0; i < R; ++i) {
      const Vec x = splat(a[i * a_row + p * a_step]);
      for (int v = 0; v < V; ++v) sum[i][v] = fma(x, column[v], sum[i][v]);
    }
  }
  for (int i = 0; i < R; ++i)
    for (int v = 0; v < V; ++v) store(c + i * c_row + v * kLanes, sum[i][v]);
}

template <int R, class B>
static void panel_rows(const float* a, int64_t a_row, int64_t a_step, const B* b, int64_t b_step, float* c,
                       int64_t c_row, int64_t k, bool accumulate) {
  for (int v = 0; v < 2; v += kVecs)
    tile<R, kVecs, B>(a, a_row, a_step, b + v * kLanes, b_step, c + v * kLanes, c_row, k, accumulate);
}

// A number of rows that the compiler knows.
template <int R>
struct Height {
  static constexpr int rows = R;
};

// f(Height<rows>) for `rows` from 1 to kRows.
template <int R = kRows, class F>
LSP_INLINE void with_height(int rows, const F& f) {
  if constexpr (R > 0) {
    if (rows == R) return f(Height<R>{});
    with_height<R - 1>(rows, f);
  }
}

// Any number of rows, cut into tiles of nearly equal height.
template <class B>
LSP_INLINE void panel_product(int64_t rows, const float* a, int64_t a_row, int64_t a_step, const B* b,
                              int64_t b_step, float* c, int64_t c_row, int64_t k, bool accumulate) {
  int64_t tiles = ceil_div(rows, kRows);
  for (int64_t row = 0; tiles > 0; --tiles) {
    const int64_t height = ceil_div(rows - row, tiles);
    with_height(static_cast<int>(height), [&](auto tile_height) {
      panel_rows<decltype(tile_height)::rows, B>(a + row * a_row, a_row, a_step, b, b_step, c + row * c_row,
                                                 c_row, k, accumulate);
    });
    row += height;
  }
}

// What the next product will read, fetched into the second-level cache during this one, evenly over the steps
// of its tiles: a burst would hold up the loads of a tile. A tile asks `times` times in 32 steps for two
// lines, `step` bytes further each time, its 32 steps lie `block` bytes apart and the tiles `tile` bytes.
// Whatever the address, a fetch cannot fault.
struct Ahead {
  const char* at;
  int64_t times, step, block, tile;
};

// Fetches of one of the tiles in 32 steps, a power of two so that all together are at least 32.
LSP_INLINE int64_t fetch_times(int64_t tiles) {
  int64_t times = 32;
  while (times > 1 && times / 2 * tiles >= 32) times /= 2;
  return times;
}
// k rows of `row` bytes each, at most 128, one after another.
LSP_INLINE Ahead contiguous_ahead(const void* at, int64_t row, int64_t k, int64_t tiles) {
  const int64_t times = fetch_times(tiles), step = ceil_div(32 * row, tiles * times), block = times * step;
  return {static_cast<const char*>(at), times, step, block, ceil_div(k, 32) * block};
}
// 128 bytes of each row, rows `row` bytes apart, every 32 of them `block` bytes.
LSP_INLINE Ahead strided_ahead(const void* at, int64_t row, int64_t block, int64_t tiles) {
  const int64_t times = fetch_times(tiles);
  return {static_cast<const char*>(at), times, row, block, times * row};
}

// A tile reads more per multiplication than the second-level cache gives without being asked early: what its
// step this many steps on will read is fetched into the first-level cache.
constexpr int64_t kNear = 16;

// Rows of A where they lie in memory: element (i, p) is at[i * row + p / 32 * block + p % 32].
struct Unpacked {
  const float* at;
  int64_t row, block;
};

// As an integer: a float in a register would be spread from there, on a port that multiplies.
LSP_INLINE void copy_word(const float* from, float* to) {
  uint32_t word;
  __builtin_memcpy(&word, from, 4);
  __builtin_memcpy(to, &word, 4);
}

// c (R, 16V) += or = a (R, k) b (k, 16V) for a packed a, (k, R). Meanwhile next_c, the tile that follows, is
// fetched, some rows every 32 steps. Where it `packs`, a is written on the way, from the rows as they are: a
// store a row costs nothing beside the multiplications.
template <int R, int V, bool packs, class B>
LSP_INLINE void packed_tile(const Unpacked& from, float* a, const B* b, float* c, int64_t c_row, int64_t k,
                            bool accumulate, const Ahead& ahead, const float* next_c) {
  Vec sum[R][V];
  if (accumulate) {
    for (int i = 0; i < R; ++i)
      for (int v = 0; v < V; ++v) sum[i][v] = load(c + i * c_row + v * kLanes);
  } else {
    for (int i = 0; i < R; ++i)
      for (int v = 0; v < V; ++v) sum[i][v] = zero();
  }
  const int64_t every = 32 / ahead.times - 1, rows_each = ceil_div(R * kPanelColumns, k);
  for (int64_t first = 0, row = 0; first < k; first += kPanelColumns) {
    for (const int64_t last = min_of(R, row + rows_each); row < last; ++row)
      for (int v = 0; v < V; ++v) __builtin_prefetch(next_c + row * c_row + v * kLanes, 0, 3);
    const char* fetch = ahead.at + first / kPanelColumns * ahead.block;
    const float* x = from.at + first / kPanelColumns * from.block;
    for (int i = 0; packs && i < R; ++i)
      for (int v = 0; v < 2; ++v) __builtin_prefetch(x + from.block + i * from.row + v * kLanes, 0, 3);
    for (int64_t left = min_of(kPanelColumns, k - first); left > 0; --left) {
      if ((left & every) == 0) {
        __builtin_prefetch(fetch, 0, 2);
        __builtin_prefetch(fetch + 64, 0, 2);
        fetch += ahead.step;
      }
      const char* soon = reinterpret_cast<const char*>(b + kNear * kPanelColumns);
      for (size_t line = 0; line < V * kLanes * sizeof(B); line += 64) __builtin_prefetch(soon + line, 0, 3);
      if (!packs) __builtin_prefetch(a + kNear * R, 0, 3);
      Vec column[V];
      for (int v = 0; v < V; ++v) column[v] = load(b + v * kLanes);
      for (int i = 0; i < R; ++i) {
        const float* element = packs ? x + i * from.row : a + i;
        const Vec value = splat(*element);
        if (packs) copy_word(element, a + i);
        for (int v = 0; v < V; ++v) sum[i][v] = fma(value, column[v], sum[i][v]);
      }
      ++x;
      a += R;
      b += kPanelColumns;
    }
  }
  for (int i = 0; i < R; ++i)
    for (int v = 0; v < V; ++v) store(c + i * c_row + v * kLanes, sum[i][v]);
}

template <int R, class B>
static void packed_panel_rows(const float* a, const B* b, float* c, int64_t c_row, int64_t k, bool accumulate,
                              const Ahead& ahead, const float* next_c) {
  constexpr int V = R <= kOnePassRows ? 2 : kVecs;
  for (int v = 0; v < 2; v += V)
    packed_tile<R, V, false, B>({}, const_cast<float*>(a), b + v * kLanes, c + v * kLanes, c_row, k,
                                accumulate, ahead, next_c + v * kLanes);
}

template <int R, class B>
static void packing_panel_rows(const Unpacked& from, float* a, const B* b, float* c, int64_t c_row, int64_t k,
                               bool accumulate, const Ahead& ahead, const float* next_c) {
  constexpr int V = R <= kOnePassRows ? 2 : kVecs;
  packed_tile<R, V, true, B>(from, a, b, c, c_row, k, accumulate, ahead, next_c);
  if (V == 1)
    packed_tile<R, V, false, B>({}, a, b + kLanes, c + kLanes, c_row, k, accumulate, ahead, next_c + kLanes);
}

// Packed rows times one panel; next_c is where the product after this one begins. Rows that are not packed
// yet are given by `from` and packed.
template <class B>
LSP_INLINE void packed_product(int64_t rows, const float* packed, const B* b, float* c, int64_t c_row,
                               int64_t k, bool accumulate, Ahead ahead, const float* next_c,
                               const Unpacked* from = nullptr) {
  int64_t tiles = tiles_of(rows);
  for (int64_t row = 0; tiles > 0; --tiles, ahead.at += ahead.tile) {
    const int64_t height = ceil_div(rows - row, tiles);
    float *at = c + row * c_row, *a = const_cast<float*>(packed) + row * k;
    const float* next = tiles > 1 ? at + height * c_row : next_c;
    with_height(static_cast<int>(height), [&](auto tile_height) {
      constexpr int kHeight = decltype(tile_height)::rows;
      if (from == nullptr) {
        packed_panel_rows<kHeight, B>(a, b, at, c_row, k, accumulate, ahead, next);
      } else {
        packing_panel_rows<kHeight, B>({from->at + row * from->row, from->row, from->block}, a, b, at, c_row,
                                       k, accumulate, ahead, next);
      }
    });
    row += height;
  }
}

}  // namespace LSP_ISA
}  // namespace lsp
