// logprob on the CPU: row blocks of hidden states stay packed in the second-level cache while chunks of the
// vocabulary stream past; each chunk's logits are reduced while they are hot.
#include "kernels/logprob/logprob.h"

#include "core/parallel.h"
#include "core/scalar_math.h"
#include "core/simd_math.h"
#include "kernels/linear/gemm.h"

namespace lsp {
namespace LSP_ISA {

constexpr int64_t kChunkPanels = kVocabChunk / kPanelColumns;

// Of one row and chunk: largest z, sum of exp(z - top), sum of exp(z - top) (z - top).
struct ChunkStats {
  float top, sum, moment;
};

static ChunkStats chunk_stats(const float* logits, int64_t count, float inverse_temperature) {
  const Vec factor = splat(inverse_temperature), blank = splat(-__builtin_inff());
  Vec top = blank;
  for_lanes(count,
            [&](int64_t i, int n) { top = max(top, keep_first(load_n(logits + i, n) * factor, n, blank)); });
  const float highest = max_lanes(top);
  const Vec base = splat(highest);
  Vec sum = zero(), moment = zero();
  for_lanes(count, [&](int64_t i, int n) {
    const Vec distance = load_n(logits + i, n) * factor - base;
    const Vec weight = keep_first(exp(distance), n, zero());
    sum = sum + weight;
    moment = fma(weight, distance, moment);
  });
  return {highest, sum_lanes(sum), sum_lanes(moment)};
}

// Packed rows times one chunk of the vocabulary, into (rows, 512).
template <class B>
static void chunk_logits(int64_t rows, const float* packed, const B* weight, int64_t c, int64_t v,
                         int64_t chunk, float* logits, int64_t logits_row) {
  const int64_t first = chunk * kChunkPanels, last = min_of(first + kChunkPanels, ceil_div(v, kPanelColumns));
  for (int64_t panel = first; panel < last; ++panel) {
    packed_product(rows, packed, weight + panel * c * kPanelColumns, logits + (panel - first) * kPanelColumns,
                   logits_row, c, false);
  }
}

static void combine_row(const LogprobForward& f, const ChunkStats* stats, int64_t chunks, int64_t row,
                        float target) {
  float top = stats[row].top;
  for (int64_t chunk = 1; chunk < chunks; ++chunk) {
    const float other = stats[chunk * f.t + row].top;
    top = top > other ? top : other;
  }
  double sum = 0.0, moment = 0.0;
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    const ChunkStats& s = stats[chunk * f.t + row];
    const double distance = static_cast<double>(s.top) - static_cast<double>(top);
    if (distance < -100.0 && s.sum == s.sum) continue;  // below e^-100 of the largest term
    if (distance != distance || s.sum != s.sum) {
      sum = static_cast<double>(__builtin_nanf(""));
      break;
    }
    const double weight = scalar::exp(distance);
    sum += weight * static_cast<double>(s.sum);
    moment += weight * (static_cast<double>(s.moment) + distance * static_cast<double>(s.sum));
  }
  // A sum that is not a positive number came from a NaN or an infinity in the logits: say so in every output.
  const double log_sum =
      sum > 0.0 && sum < 1e300 ? scalar::log(sum) : static_cast<double>(__builtin_nanf(""));
  const float lse = static_cast<float>(static_cast<double>(top) + log_sum);
  const bool finite = lse - lse == 0.0f;
  const float bad = __builtin_nanf("");
  if (f.lse != nullptr) f.lse[row] = finite ? lse : bad;
  if (f.logprob != nullptr) f.logprob[row] = finite ? target - lse : bad;
  if (f.entropy != nullptr) f.entropy[row] = finite ? static_cast<float>(log_sum - moment / sum) : bad;
}

template <class B>
static void forward_with(Exec& exec, const LogprobForward& f, const B* weight) {
  const int64_t chunks = vocab_chunks(f.v), row_blocks = ceil_div(f.t, kRowBlock);
  const int64_t rows_each = ceil_div(f.t, row_blocks);
  const int64_t splits = min_of(chunks, ceil_div(8 * exec.threads(), row_blocks));
  ChunkStats* stats = reinterpret_cast<ChunkStats*>(exec.shared(0, 3 * chunks * f.t));
  float* targets = exec.shared(1, f.t);
  exec.reserve_local(rows_each * (f.c + kVocabChunk));
  parallel_for(exec, row_blocks * splits, [&](int64_t item, int worker) {
    const int64_t first_row = item / splits * rows_each, rows = min_of(rows_each, f.t - first_row);
    if (rows <= 0) return;
    float* packed = exec.local(worker);
    float* logits = packed + rows_each * f.c;
    pack_rows(f.hidden + first_row * f.c, f.c, 1, rows, f.c, packed);
    const int64_t last = chunks * (item % splits + 1) / splits;
    for (int64_t chunk = chunks * (item % splits) / splits; chunk < last; ++chunk) {
      const int64_t begin = chunk * kVocabChunk, count = min_of(kVocabChunk, f.v - begin);
      chunk_logits(rows, packed, weight, f.c, f.v, chunk, logits, kVocabChunk);
      for (int64_t i = 0; i < rows; ++i) {
        const float* z = logits + i * kVocabChunk;
        const int64_t row = first_row + i;
        stats[chunk * f.t + row] = chunk_stats(z, count, f.inverse_temperature);
        if (f.logits != nullptr) {
          float* to = f.logits + row * f.v + begin;
          for_lanes(count, [&](int64_t j, int n) { store_n(to + j, load_n(z + j, n), n); });
        }
        if (f.targets == nullptr) continue;
        const int64_t offset = f.targets[row] - begin;
        if (offset >= 0 && offset < count) targets[row] = z[offset] * f.inverse_temperature;
      }
    }
  });
  parallel_for(exec, f.t, [&](int64_t row, int) {
    combine_row(f, stats, chunks, row, f.targets != nullptr ? targets[row] : 0.0f);
  });
}

static void logprob_forward(Exec& exec, const LogprobForward& f) {
  if (f.weight.bf16 != nullptr) {
    forward_with(exec, f, f.weight.bf16);
  } else {
    forward_with(exec, f, f.weight.f32);
  }
}

// --- Backward
// -------------------------------------------------------------------------------------------------------

// Columns of logit gradients held at a time; more would only grow the scratch.
constexpr int64_t kBackwardColumns = 2 * kVocabChunk;

// In place: raw logits become dLoss/d(raw logit).
static void logit_gradients(const LogprobBackward& b, int64_t row, int64_t begin, int64_t count, float* z) {
  const Vec factor = splat(b.inverse_temperature), lse = splat(b.lse[row]);
  const float scale = b.dlogprob[row] * b.inverse_temperature;
  const Vec negative = splat(-scale);
  for_lanes(count,
            [&](int64_t i, int n) { store_n(z + i, negative * exp(load_n(z + i, n) * factor - lse), n); });
  const int64_t target = b.targets[row] - begin;
  if (target >= 0 && target < count) z[target] += scale;
}

template <class B>
static void make_logit_gradients(Exec& exec, const LogprobBackward& b, const B* weight, int64_t begin,
                                 int64_t count, float* dz) {
  const int64_t row_blocks = ceil_div(b.t, kRowBlock), wanted = 4 * exec.threads();
  const int64_t rows_each = ceil_div(b.t, max_of(row_blocks, min_of(wanted, ceil_div(b.t, 2 * kRows))));
  exec.reserve_local(rows_each * b.c);
  const int64_t first_chunk = begin / kVocabChunk, last_chunk = ceil_div(begin + count, kVocabChunk);
  parallel_for(exec, ceil_div(b.t, rows_each), [&](int64_t item, int worker) {
    const int64_t first_row = item * rows_each, rows = min_of(rows_each, b.t - first_row);
    float* packed = exec.local(worker);
    pack_rows(b.hidden + first_row * b.c, b.c, 1, rows, b.c, packed);
    for (int64_t chunk = first_chunk; chunk < last_chunk; ++chunk) {
      chunk_logits(rows, packed, weight, b.c, b.v, chunk,
                   dz + first_row * kBackwardColumns + chunk * kVocabChunk - begin, kBackwardColumns);
    }
    for (int64_t i = 0; i < rows; ++i) {
      logit_gradients(b, first_row + i, begin, count, dz + (first_row + i) * kBackwardColumns);
    }
  });
}

template <class B>
static void backward_with(Exec& exec, const LogprobBackward& b, const B* values) {
  float* dz = exec.shared(2, b.t * kBackwardColumns);
  float* transposed = exec.shared(3, ceil_div(b.c, kPanelColumns) * kBackwardColumns * kPanelColumns);
  float* panels = b.dweight == nullptr ? nullptr : exec.shared(4, b.t * kBackwardColumns);
  for (int64_t begin = b.first; begin < b.last; begin += kBackwardColumns) {
    const int64_t count = min_of(kBackwardColumns, b.last - begin);
    make_logit_gradients(exec, b, values, begin, count, dz);
    transpose_panels(exec, values + begin * b.c, count, b.c, transposed);
    const GemmPart<float> to_hidden{transposed, count * kPanelColumns, b.c, b.dhidden, b.c, kPanelColumns};
    gemm<float>(exec, {&to_hidden, 1, dz, kBackwardColumns, 1, b.t, count, begin > 0});
    if (b.dweight == nullptr) continue;
    pack_columns(exec, dz, kBackwardColumns, b.t, count, panels);
    const GemmPart<float> to_weight{panels,        b.t * kPanelColumns, count, b.dweight + begin * b.c,
                                    kPanelColumns, b.c * kPanelColumns};
    gemm<float>(exec, {&to_weight, 1, b.hidden, 1, b.c, b.c, b.t, true});
  }
}

static void logprob_backward(Exec& exec, const LogprobBackward& b) {
  if (b.weight.bf16 != nullptr) {
    backward_with(exec, b, b.weight.bf16);
  } else {
    backward_with(exec, b, b.weight.f32);
  }
}

extern const LogprobKernels logprob_kernels;
const LogprobKernels logprob_kernels = {logprob_forward, logprob_backward};

}  // namespace LSP_ISA
}  // namespace lsp
