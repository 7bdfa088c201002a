// The oracle of int8: plain row-major matrices; quantized values as the contract rounds them, sums in double
// precision, and the bits of the contract's chain.
#pragma once

#include "check/expected.h"

namespace lsp {
namespace reference {

// A matrix (rows, k) in integers -127..127 and its scales (rows, groups): of `group` values each, the last of
// a row what is left.
struct QuantizedRows {
  std::vector<float> values, scales;
};
QuantizedRows quantize_rows(const float* matrix, int64_t rows, int64_t k, int64_t group);

// y (T, N) from quantized x (groups of 64) and w (one group a row).
Expected int8_forward(const QuantizedRows& x, const QuantizedRows& w, int64_t t, int64_t k, int64_t n);
// The same by the chain that the contract prescribes: these are the bits to expect.
std::vector<float> int8_forward_chain(const QuantizedRows& x, const QuantizedRows& w, int64_t t, int64_t k,
                                      int64_t n);

// Of rows of logits (T, V): log of the sum of exponentials, and entropy in nats.
struct RowTotals {
  Expected lse, entropy;
};
RowTotals row_totals(const float* logits, int64_t t, int64_t v);

}  // namespace reference
}  // namespace lsp
