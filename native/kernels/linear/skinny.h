// Products into a matrix of few columns, or of few rows, as low-rank adapters have them. Packing would take
// longer than multiplying, so every factor is read where it lies. The chains are those of linear.h. For
// per-ISA translation units.
#pragma once

#include "kernels/linear/linear.h"
#include "kernels/linear/pack.h"

namespace lsp {
namespace LSP_ISA {

// Few are at most so many.
constexpr int64_t kSkinny = kPanelColumns;

// Rows of a tile, which is one Vec wide. Rows of A that are columns of a row-major matrix then take one cache
// line of each of its rows.
#if defined(LSP_ISA_AVX512)
constexpr int kSkinnyRows = 16;
#else
constexpr int kSkinnyRows = kRows;
#endif

// c (rows, columns) = or += a (rows, k) b (k, columns), at most 16 columns; a(i, p) is at[i * row + p *
// step].
template <class B>
struct SkinnyProduct {
  const float* a;
  int64_t a_row, a_step;
  const B* b;
  int64_t b_step;
  float* c;
  int64_t c_row;
  int64_t columns;
  int64_t k;
  bool accumulate;
};

// Only the columns of B that are there may be read where it `masks`; else 16 of them.
template <bool masks, class B>
LSP_INLINE Vec skinny_row(const B* b, int columns) {
  if constexpr (masks) {
    return load_first(b, columns);
  } else {
    return load(b);
  }
}

// Rows of A or B that lie far apart come from pages that no hardware prefetcher follows.
template <int R, bool masks, class B>
static void skinny_tile(const SkinnyProduct<B>& p) {
  const int columns = static_cast<int>(p.columns);
  Vec sum[R];
  for (int i = 0; i < R; ++i) sum[i] = p.accumulate ? load_first(p.c + i * p.c_row, columns) : zero();
  const float* a = p.a;
  const B* b = p.b;
  for (int64_t left = p.k; left > 0; --left, a += p.a_step, b += p.b_step) {
    __builtin_prefetch(a + kNear * p.a_step, 0, 3);
    __builtin_prefetch(b + kNear * p.b_step, 0, 3);
    const Vec row = skinny_row<masks>(b, columns);
    for (int i = 0; i < R; ++i) sum[i] = fma(splat(a[i * p.a_row]), row, sum[i]);
  }
  for (int i = 0; i < R; ++i) store_first(p.c + i * p.c_row, sum[i], columns);
}

template <bool masks, class B>
LSP_INLINE void skinny_product(int64_t rows, const SkinnyProduct<B>& p) {
  with_height<kSkinnyRows>(static_cast<int>(rows),
                           [&](auto height) { skinny_tile<decltype(height)::rows, masks, B>(p); });
}

// Columns of a product: B as one panel of them.
template <class B>
struct SkinnyPart {
  const B* b;  // (k, 32)
  int64_t n;
  float* c;
  int64_t c_row;
};

// c_i (t, n_i) = or += a (t, k) b_i.
template <class B>
static void skinny_columns(Exec& exec, const float* a, int64_t lda, int64_t t, int64_t k,
                           const SkinnyPart<B>* parts, int part_count, bool accumulate) {
  parallel_for(exec, ceil_div(t, kSkinnyRows), [&](int64_t tile, int) {
    const int64_t row = tile * kSkinnyRows, rows = min_of(kSkinnyRows, t - row);
    for (const SkinnyPart<B>* part = parts; part < parts + part_count; ++part)
      for (int64_t column = 0; column < part->n; column += kLanes)
        skinny_product<false, B>(rows, {a + row * lda, lda, 1, part->b + column, kPanelColumns,
                                        part->c + row * part->c_row + column, part->c_row,
                                        min_of(kLanes, part->n - column), k, accumulate});
  });
}

static bool is_skinny(const LinearForward& f) {
  for (int i = 0; i < f.part_count; ++i)
    if (f.parts[i].n > kSkinny || f.parts[i].term.h != nullptr) return false;
  return true;
}

template <class T>
static void skinny_forward(Exec& exec, const LinearForward& f, const T* Panels::*values) {
  SkinnyPart<T> parts[3];
  for (int i = 0; i < f.part_count; ++i)
    parts[i] = {f.parts[i].weight.*values, f.parts[i].n, f.parts[i].y, f.parts[i].ldy};
  skinny_columns(exec, f.x, f.ldx, f.t, f.k, parts, f.part_count, false);
}

static bool is_skinny(const LinearBackwardInput& b) { return b.k <= kSkinny && b.term.h == nullptr; }

template <class T>
static void skinny_backward_input(Exec& exec, const LinearBackwardInput& b, const T* values) {
  float* transposed = exec.shared(kProductSlot, round_up(b.n, kLanes) * kPanelColumns);
  TransposedFactor<T>{values, b.k}.block(0, 0, b.n, transposed);
  const SkinnyPart<float> part{transposed, b.k, b.dx, b.lddx};
  skinny_columns(exec, b.dy, b.lddy, b.t, b.n, &part, 1, b.accumulate);
}

static bool is_skinny(const LinearBackwardWeight& b) {
  int64_t widest = 0;
  for (int i = 0; i < b.part_count; ++i) widest = max_of(widest, b.parts[i].n);
  return widest <= kSkinny || b.k <= kSkinny;
}

static void skinny_backward_weight(Exec& exec, const LinearBackwardWeight& b) {
  int64_t columns = 0;  // of 16, in all parts
  for (int i = 0; i < b.part_count; ++i) columns += ceil_div(b.parts[i].n, kLanes);
  parallel_for(exec, ceil_div(b.k, kSkinnyRows) * columns, [&](int64_t item, int) {
    const int64_t row = item / columns * kSkinnyRows;
    const LinearGradient* part = b.parts;
    int64_t column = item % columns;
    for (int64_t count; column >= (count = ceil_div(part->n, kLanes)); ++part) column -= count;
    column *= kLanes;
    float* panel = part->dweight + column / kPanelColumns * b.k * kPanelColumns + column % kPanelColumns;
    const SkinnyProduct<float> product{b.x + row,     1,
                                       b.ldx,         part->dy + column,
                                       part->lddy,    panel + row * kPanelColumns,
                                       kPanelColumns, min_of(kLanes, part->n - column),
                                       b.t,           true};
    const int64_t rows = min_of(kSkinnyRows, b.k - row);
    if (product.columns < kLanes) {
      skinny_product<true, float>(rows, product);
    } else {
      skinny_product<false, float>(rows, product);
    }
  });
}

}  // namespace LSP_ISA
}  // namespace lsp
