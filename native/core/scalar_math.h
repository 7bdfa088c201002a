// Double-precision log, exp, sin and cos in plain multiplications and additions (compiled without
// contraction): the same bits on every machine, unlike the C library's. For per-token and per-table values,
// not for inner loops.
#pragma once

namespace lsp {
namespace scalar {

// Natural logarithm of a positive, normal x: x = m * 2^e, m in [sqrt(1/2), sqrt(2)); log m = 2
// atanh((m-1)/(m+1)).
double log(double x);
// exp(x) for |x| < 700.
double exp(double x);
// sin and cos of x radians, |x| < 1e6, with reduction by pi/2 in three steps (exact up to 2^20 quarter
// turns).
void sin_cos(double x, double* sine, double* cosine);

}  // namespace scalar
}  // namespace lsp
