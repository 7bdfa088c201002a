// What the forward and the backward pass of attention share, for per-ISA translation units.
#pragma once

#include "core/parallel.h"
#include "core/scalar_math.h"
#include "core/simd_math.h"
#include "kernels/attention/attention.h"
#include "kernels/linear/tile.h"

namespace lsp {
namespace LSP_ISA {

constexpr int64_t kTileRows = 48;
constexpr float kMinusInfinity = -__builtin_inff();

struct Head {
  int64_t heads, kv_heads, size, padded, group, tile_tokens;
};

static Head head_of(int64_t heads, int64_t kv_heads, int64_t size) {
  const int64_t group = heads / kv_heads;
  return {heads, kv_heads, size, kv_padded_head(size), group, max_of(1, kTileRows / group)};
}

// The batch row and head of tile row `row`, as an offset into a (T, H D) matrix.
LSP_INLINE int64_t row_offset(const Head& head, int64_t first_token, int64_t kv_head, int64_t row) {
  return ((first_token + row / head.group) * head.heads + kv_head * head.group + row % head.group) *
         head.size;
}

static void gather_rows(const Head& head, const float* from, int64_t first_token, int64_t kv_head,
                        int64_t rows, float scale, float* to) {
  const Vec factor = splat(scale);
  for (int64_t row = 0; row < rows; ++row) {
    const float* source = from + row_offset(head, first_token, kv_head, row);
    float* target = to + row * head.padded;
    for (int64_t i = head.size; i < head.padded; ++i) target[i] = 0.0f;
    for_lanes(head.size, [&](int64_t i, int n) { store_n(target + i, load_n(source + i, n) * factor, n); });
  }
}

// c (rows, padded) += a (rows, k) b (k, padded), panel by panel.
template <class T>
static void product_over_head(const Head& head, int64_t rows, const float* a, int64_t a_row, int64_t a_step,
                              const T* b, float* c, int64_t k) {
  for (int64_t panel = 0; panel < head.padded; panel += kPanelColumns) {
    panel_product(rows, a, a_row, a_step, b + panel, head.padded, c + panel, head.padded, k, true);
  }
}

static float attention_scale(int64_t head_size) {
  return 1.0f / __builtin_sqrtf(static_cast<float>(head_size));
}

}  // namespace LSP_ISA
}  // namespace lsp
