// int8 products on the tile registers of AMX, for translation units of a level that has them: a group of 64
// inputs is one step of 16 rows by 16 channels, with the sums of int8.h's contract.
#pragma once

#include "core/amx_tiles.h"
#include "kernels/int8/lanes.h"

#if defined(__AMX_INT8__)

namespace lsp {
namespace LSP_ISA {

constexpr int64_t kTileRows = 16, kBlockRows = 2 * kTileRows, kFewTileRows = 4;

// Sums of a group of up to 32 rows by the 32 channels of a panel. Inputs may be read up to 16 rows beyond the
// last.
template <int Tiles>
LSP_INLINE void tile_group(const int8_t* x, const uint8_t* w, int32_t* sums) {
  _tile_zero(0);
  _tile_zero(1);
  _tile_loadd(4, x, kInt8Group);
  _tile_loadd(6, w, kPanelBytes);
  _tile_loadd(7, w + 4 * kLanes, kPanelBytes);
  _tile_dpbsud(0, 4, 6);
  _tile_dpbsud(1, 4, 7);
  if constexpr (Tiles == 2) {
    _tile_zero(2);
    _tile_zero(3);
    _tile_loadd(5, x + kTileRows * kInt8Group, kInt8Group);
    _tile_dpbsud(2, 5, 6);
    _tile_dpbsud(3, 5, 7);
  }
  _tile_stored(0, sums, kPanelBytes);
  _tile_stored(1, sums + kLanes, kPanelBytes);
  if constexpr (Tiles == 2) {
    _tile_stored(2, sums + kTileRows * kPanel, kPanelBytes);
    _tile_stored(3, sums + kTileRows * kPanel + kLanes, kPanelBytes);
  }
}

// total (rows, 32) += scale (sums + start); one of the lines from `ahead` on is fetched with each vector.
LSP_INLINE void fold_group(const int32_t* sums, const int32_t* start, const float* scale, int64_t rows,
                           float* total, const uint8_t* ahead) {
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t v = 0; v < kPanel; v += kLanes) {
      __builtin_prefetch(ahead, 0, 2);
      ahead += 64;
      const __m512i all =
          _mm512_add_epi32(_mm512_load_si512(sums + i * kPanel + v), _mm512_set1_epi32(start[i]));
      float* to = total + i * kPanel + v;
      store(to, fma({_mm512_cvtepi32_ps(all)}, splat(scale[i]), load(to)));
    }
}

// Rows [row, row + rows) of the inputs, at most 32, by a panel: one group's sums are folded while the tiles
// work at the next. K is a multiple of 64.
template <int Tiles>
static void tile_block(const Inputs& x, int64_t row, int64_t rows, int64_t k, const uint8_t* w,
                       const float* scale, const uint8_t* ahead, float* y, int64_t y_row, int64_t columns) {
  alignas(64) int32_t sums[2][kBlockRows * kPanel];
  alignas(64) float total[kBlockRows * kPanel];
  for (int64_t i = 0; i < rows * kPanel; i += kLanes) store(total + i, zero());
  const int64_t groups = k / kInt8Group, group_bytes = kInt8Group * kPanel;
  before_tile_loads();
  for (int64_t g = 0; g <= groups; ++g, w += group_bytes) {
    if (g < groups) tile_group<Tiles>(x.values + (g * x.t + row) * kInt8Group, w, sums[g & 1]);
    if (g == 0) continue;
    const int64_t at = (g - 1) * x.t + row;
    fold_group(sums[(g - 1) & 1], x.start + at, x.scale + at, rows, total, ahead);
    ahead += group_bytes;
  }
  const int low = static_cast<int>(min_of(columns, kLanes)), high = static_cast<int>(columns) - low;
  for (int64_t i = 0; i < rows; ++i) {
    store_n(y + i * y_row, load(total + i * kPanel) * load(scale), low);
    if (high > 0)
      store_n(y + i * y_row + kLanes, load(total + i * kPanel + kLanes) * load(scale + kLanes), high);
  }
}

}  // namespace LSP_ISA
}  // namespace lsp

#endif
