// Rows of A times one panel of B in bfloat16, summed in f32, for translation units of every base and of the
// levels with AVX512-BF16 or AMX. Each `Product` packs its factors rounded and multiplies what it packed.
//
// The order of an element's sum, always the same for the same k, whatever the rows and columns around it:
//   AMX        for each 32 of k the products of even k and those of odd k in two chains, their sum added to C
//   AVX512-BF16  pair after pair of k, as VDPBF16PS adds them
//   others     one chain of fused multiply-adds over k
// A sum is complete in C after each section of k; sections begin at multiples of 32.
#pragma once

#include "core/amx_tiles.h"
#include "kernels/linear/pack_bf16.h"

namespace lsp {
namespace LSP_ISA {

LSP_INLINE int64_t round_up(int64_t n, int64_t step) { return ceil_div(n, step) * step; }

#if defined(__AVX512BF16__)

struct Bf16Product {
  using Value = uint16_t;

  static void pack_a(const Left& a, int64_t first, int64_t rows, int64_t k_offset, int64_t k, Value* out) {
    pack_tiles(a, first, rows, k_offset, k, out);
  }
  template <class B>
  static const Value* pack_b(const B& b, int64_t panel, int64_t k_offset, int64_t k, Value* out) {
    pack_panel(b, panel, k_offset, k, out);
    return out;
  }

#if defined(__AMX_BF16__)

  // Around the calls of multiply() in a thread.
  using Scope = TileScope;

  // c (rows, 32) = or += a b.
  static void multiply(int64_t rows, const Value* a, const Value* b, float* c, int64_t c_row, int64_t k,
                       bool accumulate) {
    before_tile_loads();
    const int64_t blocks = ceil_div(k, kBlock), tile = blocks * kTileSize;
    int64_t row = 0;
    for (; row + 2 * kTileRows <= rows; row += 2 * kTileRows, a += 2 * tile)
      two_tiles(a, a + tile, b, c + row * c_row, c_row, blocks, accumulate);
    for (; row < rows; row += kTileRows, a += tile) {
      const int64_t left = rows - row;
      float* to = c + row * c_row;
      if (left >= kTileRows) {
        one_tile(a, b, to, c_row, blocks, accumulate);
        continue;
      }
      alignas(64) float spare[kTileRows * kPanelColumns];
      if (accumulate) copy_rows(left, to, c_row, spare, kPanelColumns);
      before_tile_loads();
      one_tile(a, b, spare, kPanelColumns, blocks, accumulate);
      copy_rows(left, spare, kPanelColumns, to, c_row);
    }
  }

 private:
  static void copy_rows(int64_t rows, const float* from, int64_t from_row, float* to, int64_t to_row) {
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t v = 0; v < kPanelColumns; v += kLanes)
        store(to + i * to_row + v, load(from + i * from_row + v));
  }

  static void two_tiles(const Value* a0, const Value* a1, const Value* b, float* c, int64_t c_row,
                        int64_t blocks, bool accumulate) {
    const int64_t bytes = 4 * c_row;
    float* below = c + kTileRows * c_row;
    if (accumulate) {
      _tile_loadd(0, c, bytes);
      _tile_loadd(1, c + kLanes, bytes);
      _tile_loadd(2, below, bytes);
      _tile_loadd(3, below + kLanes, bytes);
    } else {
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
    }
    for (int64_t i = 0; i < blocks; ++i) {
      _tile_loadd(4, a0, 64);
      _tile_loadd(6, b, 64);
      _tile_loadd(7, b + kTileSize, 64);
      _tile_loadd(5, a1, 64);
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
      a0 += kTileSize;
      a1 += kTileSize;
      b += 2 * kTileSize;
    }
    _tile_stored(0, c, bytes);
    _tile_stored(1, c + kLanes, bytes);
    _tile_stored(2, below, bytes);
    _tile_stored(3, below + kLanes, bytes);
  }

  static void one_tile(const Value* a, const Value* b, float* c, int64_t c_row, int64_t blocks,
                       bool accumulate) {
    const int64_t bytes = 4 * c_row;
    if (accumulate) {
      _tile_loadd(0, c, bytes);
      _tile_loadd(1, c + kLanes, bytes);
    } else {
      _tile_zero(0);
      _tile_zero(1);
    }
    for (int64_t i = 0; i < blocks; ++i) {
      _tile_loadd(4, a + i * kTileSize, 64);
      _tile_loadd(6, b + 2 * i * kTileSize, 64);
      _tile_loadd(7, b + (2 * i + 1) * kTileSize, 64);
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
    }
    _tile_stored(0, c, bytes);
    _tile_stored(1, c + kLanes, bytes);
  }

#else

  struct Scope {
    Scope() {}
  };

  static void multiply(int64_t rows, const Value* a, const Value* b, float* c, int64_t c_row, int64_t k,
                       bool accumulate) {
    const int64_t blocks = ceil_div(k, kBlock);
    for (int64_t row = 0; row < rows; row += kHeight) {
      const Value* from = a + row / kTileRows * blocks * kTileSize + row % kTileRows * kBlock;
      with_height<kHeight>(static_cast<int>(min_of(kHeight, rows - row)), [&](auto height) {
        few_rows<decltype(height)::rows>(from, b, c + row * c_row, c_row, blocks, accumulate);
      });
    }
  }

 private:
  // Accumulators R x 2, as many chains as hide the latency of two units.
  static constexpr int64_t kHeight = 8;

  template <int R>
  static void few_rows(const Value* a, const Value* b, float* c, int64_t c_row, int64_t blocks,
                       bool accumulate) {
    __m512 sum[R][2];
    for (int i = 0; i < R; ++i)
      for (int v = 0; v < 2; ++v) sum[i][v] = accumulate ? load(c + i * c_row + v * kLanes).v : zero().v;
    for (int64_t block = 0; block < blocks; ++block, a += kTileSize, b += 2 * kTileSize)
      for (int64_t j = 0; j < 16; ++j) {
        const __m512bh low = pairs_at(b + j * kBlock), high = pairs_at(b + kTileSize + j * kBlock);
        for (int i = 0; i < R; ++i) {
          int pair;
          __builtin_memcpy(&pair, a + i * kBlock + 2 * j, 4);
          const __m512bh x = reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair));
          sum[i][0] = _mm512_dpbf16_ps(sum[i][0], x, low);
          sum[i][1] = _mm512_dpbf16_ps(sum[i][1], x, high);
        }
      }
    for (int i = 0; i < R; ++i)
      for (int v = 0; v < 2; ++v) store(c + i * c_row + v * kLanes, {sum[i][v]});
  }
  static __m512bh pairs_at(const Value* at) { return reinterpret_cast<__m512bh>(_mm512_load_si512(at)); }

#endif
};

#else

// Rounded values, held as floats.
struct Bf16Product {
  using Value = float;
  struct Scope {
    Scope() {}
  };

  static void pack_a(const Left& a, int64_t first, int64_t rows, int64_t k_offset, int64_t k, Value* out) {
    pack_rows(a, first, rows, k_offset, k, out);
    round_values(out, out, rows * k);
  }
  template <class B>
  static const Value* pack_b(const B& b, int64_t panel, int64_t k_offset, int64_t k, Value* out) {
    round_values(b.block(panel, k_offset, k, out), out, k * kPanelColumns);
    return out;
  }
  static const Value* pack_b(const PanelFactor<uint16_t>& b, int64_t panel, int64_t k_offset, int64_t k,
                             Value* out) {
    const uint16_t* from = b.block(panel, k_offset, k, nullptr);
    for (int64_t i = 0; i < k * kPanelColumns; i += kLanes) store(out + i, load(from + i));
    return out;
  }

  static void multiply(int64_t rows, const Value* a, const Value* b, float* c, int64_t c_row, int64_t k,
                       bool accumulate) {
    packed_product(rows, a, b, c, c_row, k, accumulate ? Into::kSum : Into::kNew,
                   contiguous_ahead(b, sizeof(Value) * kPanelColumns, k, ceil_div(rows, kRows)), c);
  }

 private:
  static void round_values(const float* from, float* to, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      uint32_t bits;
      __builtin_memcpy(&bits, from + i, 4);
      const uint32_t nearest = bits + 0x7fffu + (bits >> 16 & 1u), quiet = bits | 0x400000u;
      bits = ((bits & 0x7fffffffu) > 0x7f800000u ? quiet : nearest) & 0xffff0000u;
      __builtin_memcpy(to + i, &bits, 4);
    }
  }
};

#endif

}  // namespace LSP_ISA
}  // namespace lsp
