// sampling on the CPU: one row a work item. Truncation needs no sort: the threshold of top-k and of top-p is
// found by radix selection over the logits' bits, which is exact and independent of any library's sorting.
#include "kernels/sampling/sampling.h"

#include "core/parallel.h"
#include "core/simd_math.h"

namespace lsp {
namespace LSP_ISA {

constexpr int64_t kSumBlock = 512;

static bool is_banned(const SamplingRow& row, int64_t token) {
  for (int64_t i = 0; i < row.banned_count; ++i) {
    if (row.banned[i] == token) return true;
  }
  return false;
}

static int32_t greedy(const SamplingRow& row, int64_t v) {
  int64_t best = -1;
  for (int64_t i = 0; i < v; ++i) {
    if (row.logits[i] != row.logits[i]) return -1;
    if ((best < 0 || row.logits[i] > row.logits[best]) && !is_banned(row, i)) best = i;
  }
  return static_cast<int32_t>(best);
}

// Orders floats as unsigned integers; both zeros alike.
static uint32_t ordered_bits(float x) {
  x += 0.0f;
  uint32_t bits;
  __builtin_memcpy(&bits, &x, 4);
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

// Keeps the tokens of largest key until their measure (1 each, or their probability) reaches `wanted`; the
// others' probability becomes 0. Ties are kept in order of token id.
template <class F>
static void keep_largest(const float* keys, float* probability, int64_t v, double wanted, const F& measure) {
  uint32_t prefix = 0, mask = 0;
  double above = 0.0;  // measure of tokens beyond the current digit's bucket
  for (int shift = 24; shift >= 0; shift -= 8) {
    double bucket[256] = {};
    for (int64_t i = 0; i < v; ++i) {
      const uint32_t key = ordered_bits(keys[i]);
      if ((key & mask) == prefix && probability[i] > 0.0f) bucket[key >> shift & 255u] += measure(i);
    }
    int digit = 255;
    while (digit > 0 && above + bucket[digit] < wanted) above += bucket[digit--];
    prefix |= static_cast<uint32_t>(digit) << shift;
    mask |= 255u << shift;
  }
  for (int64_t i = 0; i < v; ++i) {
    const uint32_t key = ordered_bits(keys[i]);
    if (key > prefix || probability[i] == 0.0f) continue;
    if (key == prefix && above < wanted) {
      above += measure(i);
    } else {
      probability[i] = 0.0f;
    }
  }
}

static double sum_of(const float* values, int64_t v, double* block_sums) {
  double total = 0.0;
  for (int64_t begin = 0; begin < v; begin += kSumBlock) {
    Vec sum = zero();
    for_lanes(min_of(kSumBlock, v - begin),
              [&](int64_t i, int n) { sum = sum + load_n(values + begin + i, n); });
    total += block_sums[begin / kSumBlock] = static_cast<double>(sum_lanes(sum));
  }
  return total;
}

// The token at which the cumulative probability passes `level`.
static int32_t locate(const float* probability, int64_t v, const double* block_sums, double level) {
  int64_t last_possible = -1;
  for (int64_t begin = 0; begin < v; begin += kSumBlock) {
    const double block = block_sums[begin / kSumBlock];
    const int64_t end = min_of(v, begin + kSumBlock);
    const bool here = level < block;
    double left = level;
    for (int64_t i = begin; (here || end == v) && i < end; ++i) {
      if (probability[i] == 0.0f) continue;
      last_possible = i;
      left -= static_cast<double>(probability[i]);
      if (left < 0.0) return static_cast<int32_t>(i);
    }
    if (here) return static_cast<int32_t>(last_possible);  // rounding: the block's last token
    level -= block;
  }
  for (int64_t i = v - 1; last_possible < 0 && i >= 0; --i) {
    if (probability[i] > 0.0f) last_possible = i;
  }
  return static_cast<int32_t>(last_possible);
}

static int32_t sample_row(const Sampling& s, const SamplingRow& row, float* probability, double* block_sums) {
  if (s.temperature == 0.0f) return greedy(row, s.v);
  // Banned tokens must not set the base either: far below it, everything else would underflow.
  __builtin_memcpy(probability, row.logits, static_cast<size_t>(s.v) * sizeof(float));
  for (int64_t i = 0; i < row.banned_count; ++i) {
    const int64_t token = row.banned[i];
    if (token >= 0 && token < s.v && row.logits[token] == row.logits[token])
      probability[token] = -__builtin_inff();
  }
  Vec top = splat(-__builtin_inff());
  for_lanes(s.v, [&](int64_t i, int n) { top = max(top, keep_first(load_n(probability + i, n), n, top)); });
  const Vec base = splat(max_lanes(top)), inverse = splat(1.0f / s.temperature);
  for_lanes(s.v, [&](int64_t i, int n) {
    store_n(probability + i, exp((load_n(probability + i, n) - base) * inverse), n);
  });
  // A NaN shows here, before any truncation can drop it.
  double total = sum_of(probability, s.v, block_sums);
  if (!(total > 0.0 && total < 1e300)) return -1;
  if (s.top_k > 0 && s.top_k < s.v) {
    keep_largest(row.logits, probability, s.v, static_cast<double>(s.top_k), [](int64_t) { return 1.0; });
    total = sum_of(probability, s.v, block_sums);
  }
  if (s.top_p < 1.0f) {
    keep_largest(row.logits, probability, s.v, static_cast<double>(s.top_p) * total,
                 [&](int64_t i) { return static_cast<double>(probability[i]); });
    total = sum_of(probability, s.v, block_sums);
  }
  return locate(probability, s.v, block_sums, row.uniform * total);
}

static void sample(Exec& exec, const Sampling& s) {
  const int64_t floats = ceil_div(s.v, 16) * 16;
  exec.reserve_local(floats + 2 * ceil_div(s.v, kSumBlock));
  parallel_for(exec, s.row_count, [&](int64_t i, int worker) {
    float* probability = exec.local(worker);
    s.tokens[i] = sample_row(s, s.rows[i], probability, reinterpret_cast<double*>(probability + floats));
  });
}

extern const SamplingKernels sampling_kernels;
const SamplingKernels sampling_kernels = {sample};

}  // namespace LSP_ISA
}  // namespace lsp
