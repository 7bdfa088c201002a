// Rows of A times one panel of B in f32, the chain of the contract (linear.h): the tile of tile.h on what
// pack.h packs; for per-ISA translation units.
#pragma once

#include "kernels/linear/product.h"

namespace lsp {
namespace LSP_ISA {

struct F32Product {
  using Value = float;
  static constexpr bool kPacksOnTheWay = true, kSkinny = true;
  static constexpr int64_t kRowStep = kRows, kHeadRows = 144;

  // A block of A takes 0.45 MB, or 0.9 MB of more rows where B's panels are copied, which pays off over them.
  static BlockSize block_size(int64_t m, int64_t k, bool copies) {
    constexpr int64_t kMostRows = 144, kMostFloats = kMostRows * 768;
    const int64_t rows = evenly(m, copies ? 2 * kMostRows : kMostRows, kRowStep);
    const int64_t depth = copies ? 2 * kMostFloats / (rows + kPanelColumns) : kMostFloats / rows;
    return {rows, evenly(k, depth, kPanelColumns)};
  }
  static PackedFloats packed_floats(int64_t rows, int64_t depth) {
    return {round_up(rows * depth, kLanes) + kPackSlack, kPanelColumns * depth};
  }
  static int64_t tiles(int64_t rows) { return tiles_of(rows); }
  using Scope = NoScope;

  static void pack_a(const Left& a, int64_t first, int64_t rows, int64_t k_offset, int64_t k, Value* out) {
    pack_rows(a, first, rows, k_offset, k, out);
  }
  template <class B>
  LSP_INLINE void multiply(int64_t rows, const Value* a, const B& b, int64_t panel, int64_t k_offset,
                           int64_t k, Value* copy, float* c, int64_t c_row, bool accumulate, const Next& next,
                           const Unpacked* from = nullptr) {
    packed_product(rows, a, b.block(panel, k_offset, k, copy), c, c_row, k, accumulate, next.b, next.c, from);
  }
};

}  // namespace LSP_ISA
}  // namespace lsp
