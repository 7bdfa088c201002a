// exp on sixteen lanes: one sequence of fused multiply-adds for every ISA, so the bits agree.
//
// exp(x) = 2^n * exp(r), n = round(x / ln 2), |r| <= ln 2 / 2; exp(r) by its Taylor polynomial to degree 7
// (relative error below 2e-8, so the result is within about one unit in the last place). exp(0) is exactly 1.
// Arguments below -87.3 give exactly 0, those above 88.7 are clamped there, NaN stays NaN.
#pragma once

#include "core/simd.h"

namespace lsp {
namespace LSP_ISA {

constexpr float kExpUnderflow = -87.3f;

LSP_INLINE Vec exp(Vec x) {
  const Vec magic =
      splat(12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer in the low mantissa bits
  // Constants come first: where a lane is NaN, min and max give the second operand.
  const Vec clamped = min(splat(88.7f), max(splat(kExpUnderflow), x));
  const Vec t = fma(clamped, splat(1.44269504088896341f), magic);
  const Vec n = t - magic;
  Vec r = fma(n, splat(-0.693359375f), clamped);
  r = fma(n, splat(2.12194440e-4f), r);
  Vec p = splat(1.0f / 5040.0f);
  p = fma(p, r, splat(1.0f / 720.0f));
  p = fma(p, r, splat(1.0f / 120.0f));
  p = fma(p, r, splat(1.0f / 24.0f));
  p = fma(p, r, splat(1.0f / 6.0f));
  p = fma(p, r, splat(0.5f));
  p = fma(p, r, splat(1.0f));
  p = fma(p, r, splat(1.0f));
  // Where x is NaN, max gives x; the exponent of a NaN must not be touched.
  return where_ge(x, splat(kExpUnderflow), scale_exponent(p, t), max(zero(), x));
}

// 1 / (1 + exp(-x)).
LSP_INLINE Vec sigmoid(Vec x) { return splat(1.0f) / (splat(1.0f) + exp(zero() - x)); }

}  // namespace LSP_ISA
}  // namespace lsp
