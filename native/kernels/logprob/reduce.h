// What becomes of logits, whatever their products were computed in: statistics of chunks, and
// log-probabilities from them. For per-ISA translation units.
#pragma once

#include "core/parallel.h"
#include "core/scalar_math.h"
#include "core/simd_math.h"
#include "kernels/linear/tile.h"
#include "kernels/logprob/logprob.h"

namespace lsp {
namespace LSP_ISA {

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
constexpr int64_t kStatsFloats = sizeof(ChunkStats) / sizeof(float);

// NaN in both where a logit is NaN or the sum infinite.
struct RowStats {
  float lse, entropy;
};

// Chunk i of the row is stats[i * stride].
static RowStats combine_chunks(const ChunkStats* stats, int64_t chunks, int64_t stride) {
  float top = stats[0].top;
  for (int64_t chunk = 1; chunk < chunks; ++chunk) {
    const float other = stats[chunk * stride].top;
    top = top > other ? top : other;
  }
  double sum = 0.0, moment = 0.0;
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    const ChunkStats& s = stats[chunk * stride];
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
  if (lse - lse != 0.0f) return {__builtin_nanf(""), __builtin_nanf("")};
  return {lse, static_cast<float>(log_sum - moment / sum)};
}

static void combine_row(const LogprobForward& f, const ChunkStats* stats, int64_t chunks, int64_t row,
                        float target) {
  const RowStats all = combine_chunks(stats + row, chunks, f.t);
  if (f.lse != nullptr) f.lse[row] = all.lse;
  if (f.logprob != nullptr) f.logprob[row] = target - all.lse;
  if (f.entropy != nullptr) f.entropy[row] = all.entropy;
}

// The logits of one row block and chunk are reduced, and kept where they are asked for.
static void reduce_chunk(const LogprobForward& f, int64_t first_row, int64_t rows, int64_t chunk,
                         const float* logits, ChunkStats* stats, float* targets) {
  const int64_t begin = chunk * kVocabChunk, count = min_of(kVocabChunk, f.v - begin);
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

}  // namespace LSP_ISA
}  // namespace lsp
