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
#include "core/bfloat16.h"
#include "kernels/linear/pack_bf16.h"
#include "kernels/linear/product.h"

namespace lsp {
namespace LSP_ISA {

// What does not depend on the instructions.
template <class T>
struct Bf16Blocks {
  using Value = T;
  static constexpr bool kPacksOnTheWay = false, kSkinny = false;
  static constexpr int64_t kRowStep = kPanelColumns;
  static constexpr int64_t kHeadRows = 288;  // whose logits of a chunk take 0.6 MB of the second-level cache

  // A block of A takes 1 MB of bfloat16, of as many columns as there are, up to 1024 or more.
  static BlockSize block_size(int64_t m, int64_t k, bool) {
    constexpr int64_t kMostValues = 1 << 19, kLeastDepth = 1024;
    const int64_t depth = evenly(k, max_of(kLeastDepth, kMostValues / round_up(m, kRowStep)), kPanelColumns);
    return {evenly(m, kMostValues / depth, kRowStep), depth};
  }
  static PackedFloats packed_floats(int64_t rows, int64_t depth) {
    constexpr int64_t kPerFloat = sizeof(float) / sizeof(Value);
    const int64_t k = round_up(depth, kPanelColumns);
    return {round_up(rows, 16) * k / kPerFloat + kPackSlack, kPanelColumns * k / kPerFloat};
  }
};

#if defined(__AVX512BF16__)

struct Bf16Product : Bf16Blocks<uint16_t> {
  static int64_t tiles(int64_t rows) { return ceil_div(rows, 2 * kTileRows); }

  static void pack_a(const Left& a, int64_t first, int64_t rows, int64_t k_offset, int64_t k, Value* out) {
    pack_tiles(a, first, rows, k_offset, k, out);
  }
#if defined(__AMX_BF16__)

  using Scope = TileScope;

  template <class B>
  static void multiply(int64_t rows, const Value* a, const B& b, int64_t panel, int64_t k_offset, int64_t k,
                       Value* packed, float* c, int64_t c_row, bool accumulate, Next next,
                       const Unpacked* = nullptr) {
    const PanelBlocks<B> panel_blocks(b, panel, k_offset, k);
    const int64_t blocks = ceil_div(k, kBlock);
    const Sum sum{c_row, blocks, accumulate};
    if (rows <= kTwoTiles) {
      // Packed once, used once: block by block, so that the multiplications hide behind the memory.
      const auto at = [&](int64_t i) { return packed + i % 4 * (2 * kTileSize); };
      panel_blocks.pack(0, packed);
      next.b.times = 0;  // a panel is fetched while it is packed
      tiles(rows, a, c, next, sum, [&](int64_t i) {
        if (i + 1 < blocks) panel_blocks.pack(i + 1, at(i + 1));
        before_tile_loads();
        return at(i);
      });
      return;
    }
    for (int64_t i = 0; i < blocks; ++i) panel_blocks.pack(i, packed + 2 * i * kTileSize);
    for (int64_t row = 0; row < rows; row += kTwoTiles, next.b.at += next.b.tile) {
      float *to = c + row * c_row, *then = to + kTwoTiles * c_row;
      tiles(min_of(kTwoTiles, rows - row), a + row * blocks * kBlock, to,
            {next.b, row + kTwoTiles < rows ? then : next.c}, sum,
            [&](int64_t i) { return packed + 2 * i * kTileSize; });
    }
  }

 private:
  static constexpr int64_t kTwoTiles = 2 * kTileRows;

  struct Sum {
    int64_t c_row, blocks;
    bool accumulate;
  };

  // At most 32 rows; block(i) is where the two tiles of B's block i are.
  template <class Block>
  static void tiles(int64_t rows, const Value* a, float* c, const Next& next, const Sum& sum,
                    const Block& block) {
    if (rows == kTwoTiles) return tiles<2>(a, c, next, sum, block);
    if (rows == kTileRows) return tiles<1>(a, c, next, sum, block);
    alignas(64) float spare[kTwoTiles * kPanelColumns];
    if (sum.accumulate) copy_rows(rows, c, sum.c_row, spare, kPanelColumns);
    const Sum to_spare{kPanelColumns, sum.blocks, sum.accumulate};
    if (rows > kTileRows) {
      tiles<2>(a, spare, next, to_spare, block);
    } else {
      tiles<1>(a, spare, next, to_spare, block);
    }
    copy_rows(rows, spare, kPanelColumns, c, sum.c_row);
  }

  static void copy_rows(int64_t rows, const float* from, int64_t from_row, float* to, int64_t to_row) {
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t v = 0; v < kPanelColumns; v += kLanes)
        store(to + i * to_row + v, load(from + i * from_row + v));
  }

  // `High` tiles of 16 rows by two of 16 columns. Tile loads and stores wait for each cache line that is not
  // there, so the next ones are fetched meanwhile.
  template <int High, class Block>
  static void tiles(const Value* a, float* c, Next next, const Sum& sum, const Block& block) {
    const int64_t bytes = 4 * sum.c_row, tile = sum.blocks * kTileSize;
    const int64_t fetched_rows = ceil_div(kTwoTiles, sum.blocks);
    float* below = c + kTileRows * sum.c_row;
    before_tile_loads();
    if (sum.accumulate) {
      _tile_loadd(0, c, bytes);
      _tile_loadd(1, c + kLanes, bytes);
      if constexpr (High == 2) {
        _tile_loadd(2, below, bytes);
        _tile_loadd(3, below + kLanes, bytes);
      }
    } else {
      _tile_zero(0);
      _tile_zero(1);
      if constexpr (High == 2) {
        _tile_zero(2);
        _tile_zero(3);
      }
    }
    for (int64_t i = 0; i < sum.blocks; ++i, a += kTileSize) {
      for (int64_t row = 0; row < fetched_rows; ++row, next.c += sum.c_row) {
        __builtin_prefetch(next.c, 1, 3);
        __builtin_prefetch(next.c + kLanes, 1, 3);
      }
      for (int64_t j = 0; j < next.b.times; ++j) {
        const char* at = next.b.at + i * next.b.block + j * next.b.step;
        __builtin_prefetch(at, 0, 2);
        __builtin_prefetch(at + 64, 0, 2);
      }
      const Value* b = block(i);
      _tile_loadd(4, a, 64);
      _tile_loadd(6, b, 64);
      _tile_loadd(7, b + kTileSize, 64);
      if constexpr (High == 2) _tile_loadd(5, a + tile, 64);
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
      if constexpr (High == 2) {
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
      }
    }
    _tile_stored(0, c, bytes);
    _tile_stored(1, c + kLanes, bytes);
    if constexpr (High == 2) {
      _tile_stored(2, below, bytes);
      _tile_stored(3, below + kLanes, bytes);
    }
  }

#else

  using Scope = NoScope;

  template <class B>
  static void multiply(int64_t rows, const Value* a, const B& b, int64_t panel, int64_t k_offset, int64_t k,
                       Value* packed, float* c, int64_t c_row, bool accumulate, const Next&,
                       const Unpacked* = nullptr) {
    const PanelBlocks<B> panel_blocks(b, panel, k_offset, k);
    const int64_t blocks = ceil_div(k, kBlock);
    for (int64_t i = 0; i < blocks; ++i) panel_blocks.pack(i, packed + 2 * i * kTileSize);
    for (int64_t row = 0; row < rows; row += kHeight) {
      const Value* from = a + row / kTileRows * blocks * kTileSize + row % kTileRows * kBlock;
      with_height<kHeight>(static_cast<int>(min_of(kHeight, rows - row)), [&](auto height) {
        few_rows<decltype(height)::rows>(from, packed, c + row * c_row, c_row, blocks, accumulate);
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
struct Bf16Product : Bf16Blocks<float> {
  static int64_t tiles(int64_t rows) { return tiles_of(rows); }
  using Scope = NoScope;

  static void pack_a(const Left& a, int64_t first, int64_t rows, int64_t k_offset, int64_t k, Value* out) {
    pack_rows(a, first, rows, k_offset, k, out);
    round_values(out, out, rows * k);
  }
  template <class B>
  static void multiply(int64_t rows, const Value* a, const B& b, int64_t panel, int64_t k_offset, int64_t k,
                       Value* packed, float* c, int64_t c_row, bool accumulate, Next next,
                       const Unpacked* = nullptr) {
    pack_b(b, panel, k_offset, k, packed);
    packed_product(rows, a, packed, c, c_row, k, accumulate, next.b, next.c);
  }

 private:
  template <class B>
  static void pack_b(const B& b, int64_t panel, int64_t k_offset, int64_t k, Value* out) {
    round_values(b.block(panel, k_offset, k, out), out, k * kPanelColumns);
  }
  static void pack_b(const PanelFactor<uint16_t>& b, int64_t panel, int64_t k_offset, int64_t k, Value* out) {
    const uint16_t* from = b.block(panel, k_offset, k, nullptr);
    for (int64_t i = 0; i < k * kPanelColumns; i += kLanes) store(out + i, load(from + i));
  }

  static void round_values(const float* from, float* to, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      const uint32_t rounded = static_cast<uint32_t>(float_to_bfloat16(from[i])) << 16;
      const uint32_t bits = __builtin_fabsf(from[i]) < 0x1p-126f ? 0 : rounded;  // as VCVTNE2PS2BF16
      __builtin_memcpy(to + i, &bits, 4);
    }
  }
};

#endif

}  // namespace LSP_ISA
}  // namespace lsp
