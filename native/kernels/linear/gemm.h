// The blocked matrix product of linear and the LM head, for per-ISA translation units.
//
// Rows of A are packed so that the register tile's broadcasts are contiguous. Between blocks of K the
// accumulator rests in C as f32 and is loaded again: the chain of an element is the same whatever the
// blocking.
#pragma once

#include "kernels/linear/tile.h"

namespace lsp {
namespace LSP_ISA {

// Part of a product: C's panels with their own B, of float or bfloat16.
template <class B>
struct GemmPart {
  const B* b;  // panels, b_panel values apart
  int64_t b_panel;
  int64_t n;  // columns
  float* c;
  int64_t c_row;
  int64_t c_panel;  // floats between the first columns of two panels of C
};

template <class B>
struct Gemm {
  const GemmPart<B>* parts;
  int part_count;
  const float* a;
  int64_t a_row, a_step;
  int64_t m, k;
  bool accumulate;
};

// Cache blocks: kRowBlock x kDepth floats of A stay in the second-level cache while panels of B stream past.
constexpr int64_t kRowBlock = 144;
constexpr int64_t kDepth = 768;

LSP_INLINE int64_t gemm_local_floats() { return kRowBlock * kDepth + kRowBlock * kPanelColumns; }

// Panels [first, last) of one part for packed rows. Where fewer than 32 columns are left, `spare` takes the
// tile.
template <class B>
LSP_INLINE void gemm_panels(const GemmPart<B>& part, int64_t first, int64_t last, int64_t row, int64_t rows,
                            const float* packed, int64_t k_offset, int64_t depth, bool accumulate,
                            float* spare) {
  for (int64_t panel = first; panel < last; ++panel) {
    const B* b = part.b + panel * part.b_panel + k_offset * kPanelColumns;
    float* c = part.c + panel * part.c_panel + row * part.c_row;
    const int64_t columns = min_of(kPanelColumns, part.n - panel * kPanelColumns);
    // A C in panel layout is padded to 32 columns; a row-major one, whose panels lie side by side, ends at n.
    if (columns == kPanelColumns || part.c_panel != kPanelColumns) {
      packed_product(rows, packed, b, c, part.c_row, depth, accumulate);
      continue;
    }
    const int low = static_cast<int>(min_of(columns, kLanes)), high = static_cast<int>(columns - low);
    for (int64_t i = 0; accumulate && i < rows; ++i) {
      store(spare + i * kPanelColumns, load_first(c + i * part.c_row, low));
      store(spare + i * kPanelColumns + kLanes, load_first(c + i * part.c_row + low, high));
    }
    packed_product(rows, packed, b, spare, kPanelColumns, depth, accumulate);
    for (int64_t i = 0; i < rows; ++i) {
      store_first(c + i * part.c_row, load(spare + i * kPanelColumns), low);
      if (high > 0) store_first(c + i * part.c_row + low, load(spare + i * kPanelColumns + kLanes), high);
    }
  }
}

// Splits the work into row blocks and, where these are too few to keep all threads busy, panel ranges.
template <class B>
static void gemm(Exec& exec, const Gemm<B>& g) {
  if (g.m == 0) return;
  int64_t panels = 0;
  for (int i = 0; i < g.part_count; ++i) panels += ceil_div(g.parts[i].n, kPanelColumns);
  const int64_t row_blocks = ceil_div(g.m, kRowBlock);
  const int64_t rows_each = ceil_div(g.m, row_blocks);
  const int64_t wanted = exec.threads() == 1 ? 1 : 4 * exec.threads();
  const int64_t splits = min_of(panels, ceil_div(wanted, row_blocks));
  exec.reserve_local(gemm_local_floats());
  parallel_for(exec, row_blocks * splits, [&](int64_t item, int worker) {
    const int64_t row = item / splits * rows_each, rows = min_of(rows_each, g.m - row), split = item % splits;
    if (rows <= 0) return;
    const int64_t first = panels * split / splits, last = panels * (split + 1) / splits;
    float* packed = exec.local(worker);
    float* spare = packed + kRowBlock * kDepth;
    const int64_t depth_blocks = ceil_div(g.k, kDepth), depth_each = ceil_div(g.k, depth_blocks);
    for (int64_t k_offset = 0; k_offset < g.k; k_offset += depth_each) {
      const int64_t depth = min_of(depth_each, g.k - k_offset);
      pack_rows(g.a + row * g.a_row + k_offset * g.a_step, g.a_row, g.a_step, rows, depth, packed);
      int64_t before = 0;
      for (int i = 0; i < g.part_count; ++i) {
        const int64_t count = ceil_div(g.parts[i].n, kPanelColumns);
        const int64_t from = max_of(first - before, 0), to = min_of(last - before, count);
        if (from < to) {
          gemm_panels(g.parts[i], from, to, row, rows, packed, k_offset, depth, g.accumulate || k_offset > 0,
                      spare);
        }
        before += count;
      }
    }
  });
}

LSP_INLINE float widened(float value) { return value; }
LSP_INLINE float widened(uint16_t bfloat16) {
  const uint32_t bits = static_cast<uint32_t>(bfloat16) << 16;
  float value;
  __builtin_memcpy(&value, &bits, sizeof(value));
  return value;
}

// Transposes panels of W (N, K), float or bfloat16, into panels of W^T: out (ceil(K/32), N, 32) floats,
// columns past K zero.
template <class B>
static void transpose_panels(Exec& exec, const B* weight, int64_t n, int64_t k, float* out) {
  const int64_t k_panels = ceil_div(k, kPanelColumns);
  parallel_for(exec, k_panels, [&](int64_t k_panel, int) {
    float* to = out + k_panel * n * kPanelColumns;
    const int64_t k0 = k_panel * kPanelColumns, width = min_of(kPanelColumns, k - k0);
    for (int64_t n0 = 0; n0 < n; n0 += kPanelColumns) {
      const B* from = weight + n0 * k + k0 * kPanelColumns;  // (width, 32)
      const int64_t height = min_of(kPanelColumns, n - n0);
      for (int64_t j = 0; j < height; ++j) {
        float* row = to + (n0 + j) * kPanelColumns;
        for (int64_t i = 0; i < width; ++i) row[i] = widened(from[i * kPanelColumns + j]);
        for (int64_t i = width; i < kPanelColumns; ++i) row[i] = 0.0f;
      }
    }
  });
}

// Packs columns [0, n) of a row-major matrix (rows, ld) into panels (ceil(n/32), rows, 32), padded with
// zeros.
static void pack_columns(Exec& exec, const float* matrix, int64_t ld, int64_t rows, int64_t n, float* out) {
  parallel_for(exec, ceil_div(n, kPanelColumns), [&](int64_t panel, int) {
    const int64_t columns = min_of(kPanelColumns, n - panel * kPanelColumns);
    const int low = static_cast<int>(min_of(columns, kLanes)), high = static_cast<int>(columns - low);
    for (int64_t i = 0; i < rows; ++i) {
      const float* from = matrix + i * ld + panel * kPanelColumns;
      float* to = out + (panel * rows + i) * kPanelColumns;
      store(to, load_n(from, low));
      store(to + kLanes, high == kLanes ? load(from + kLanes)
                         : high > 0     ? load_first(from + kLanes, high)
                                        : zero());
    }
  });
}

}  // namespace LSP_ISA
}  // namespace lsp
