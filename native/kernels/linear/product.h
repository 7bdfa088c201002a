// What the blocked GEMM and the LM head ask of a product, F32Product or Bf16Product, for per-ISA translation
// units. A Product packs a block of rows of A, and multiplies it by one panel of B after another:
//
//   Value                       what it packs
//   block_size(m, k, copies)    of A for a cache; `copies`: B's panels are copied before they are multiplied
//   packed_floats(rows, depth)  that a thread needs for such a block and a panel
//   kHeadRows, kRowStep         most rows of a block in the LM head, and what they are a multiple of
//   Scope                       lives around the calls of multiply() in a thread
//   tiles(rows)                 in which multiply() fetches ahead
//   pack_a                      rows [first, first + rows) and columns [k_offset, k_offset + k) of A
//   multiply                    c (rows, 32) = or += a B, for k rows of a panel of B from k_offset on
//   kPacksOnTheWay              multiply() takes rows that are not packed yet, and packs them
//   kSkinny                     products with few columns or rows go the way of skinny.h
#pragma once

#include "kernels/linear/pack.h"

namespace lsp {
namespace LSP_ISA {

struct BlockSize {
  int64_t rows, depth;
};

// Floats of a packed block of A and of a panel of B.
struct PackedFloats {
  int64_t a, b;
};

// What the product after this one reads and writes, to be fetched meanwhile.
struct Next {
  Ahead b;  // for tiles() tiles
  const float* c;
};

// For Products that need nothing around their calls.
struct NoScope {
  NoScope() {}
};

// The size of equal pieces of n, each at most `most` before it is rounded up to a multiple of `step`.
LSP_INLINE int64_t evenly(int64_t n, int64_t most, int64_t step) {
  return round_up(ceil_div(n, ceil_div(n, most)), step);
}

}  // namespace LSP_ISA
}  // namespace lsp
