// What becomes of logits, whatever their products were computed in: log-probabilities from the statistics of
// chunks. For per-ISA translation units.
#pragma once

#include "core/parallel.h"
#include "kernels/linear/tile.h"
#include "kernels/logprob/statistics.h"

namespace lsp {
namespace LSP_ISA {

constexpr int64_t kChunkPanels = kVocabChunk / kPanelColumns;

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
