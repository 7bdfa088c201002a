// logprob on the CPU: row blocks of hidden states stay packed in the second-level cache while chunks of the
// vocabulary stream past; each chunk's logits are reduced while they are hot.
#include "kernels/logprob/logprob.h"

#include "core/parallel.h"
#include "kernels/linear/gemm.h"
#include "kernels/logprob/statistics.h"

namespace lsp {
namespace LSP_ISA {

constexpr int64_t kChunkPanels = kVocabChunk / kPanelColumns;

// Packed rows times one chunk of the vocabulary, into (rows, 512); `next` is the chunk after it.
template <class T>
static void chunk_logits(int64_t rows, const float* packed, const PanelFactor<T>& weight, int64_t v,
                         int64_t chunk, int64_t next, float* logits) {
  const int64_t first = chunk * kChunkPanels, last = min_of(first + kChunkPanels, ceil_div(v, kPanelColumns));
  for (int64_t panel = first; panel < last; ++panel) {
    float* to = logits + (panel - first) * kPanelColumns;
    const int64_t then = panel + 1 < last ? panel + 1 : next * kChunkPanels;
    packed_product(rows, packed, weight.block(panel, 0, weight.depth, nullptr), to, kVocabChunk, weight.depth,
                   false, weight.ahead(then, 0, weight.depth, ceil_div(rows, kRows)), to + kPanelColumns);
  }
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

template <class T>
static void forward_with(Exec& exec, const LogprobForward& f, const T* panels) {
  if (f.t == 0) return;
  const PanelFactor<T> weight{panels, f.c};
  const int64_t chunks = vocab_chunks(f.v);
  const int64_t rows_each = ceil_div(ceil_div(f.t, ceil_div(f.t, kRowBlock)), kRows) * kRows;
  const int64_t row_blocks = ceil_div(f.t, rows_each);
  const int64_t packed_floats = rows_each * f.c + kPackSlack;
  ChunkStats* stats = reinterpret_cast<ChunkStats*>(exec.shared(0, kStatsFloats * chunks * f.t));
  float* targets = exec.shared(1, f.t);
  exec.reserve_local(packed_floats + rows_each * kVocabChunk);
  Claims claims(reinterpret_cast<int64_t*>(exec.shared(kClaimsSlot, 2 * row_blocks)), row_blocks, chunks);
  parallel_for(exec, min_of(exec.threads(), row_blocks * chunks), [&](int64_t, int worker) {
    float* packed = exec.local(worker);
    float* logits = packed + packed_floats;
    int64_t row = -1, rows = 0;  // of the block in `packed`
    for (Claims::Unit unit = claims.take(-1), next; unit.row_block >= 0; unit = next) {
      next = claims.take(unit.row_block);
      if (row != unit.row_block * rows_each) {
        row = unit.row_block * rows_each;
        rows = min_of(rows_each, f.t - row);
        pack_rows(row_major(f.hidden, f.c), row, rows, 0, f.c, packed);
      }
      chunk_logits(rows, packed, weight, f.v, unit.panel, next.panel, logits);
      reduce_chunk(f, row, rows, unit.panel, logits, stats, targets);
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

// dLoss/d(raw logit) of one row and panel from its raw logits, 0 in columns past the vocabulary. May be in
// place.
static void logit_gradients(const LogprobBackward& b, int64_t row, int64_t begin, const float* logits,
                            float* z) {
  const Vec factor = splat(b.inverse_temperature), lse = splat(b.lse[row]);
  const float scale = b.dlogprob[row] * b.inverse_temperature;
  const Vec negative = splat(-scale);
  for (int64_t i = 0; i < kPanelColumns; i += kLanes) {
    const int n = static_cast<int>(min_of(kLanes, max_of(b.v - begin - i, 0)));
    const Vec gradient = negative * exp(load_n(logits + i, n) * factor - lse);
    store(z + i, keep_first(gradient, n, zero()));
  }
  const int64_t target = b.targets[row] - begin;
  if (target >= 0 && target < kPanelColumns) z[target] += scale;
}

// Columns [begin, begin + count) of the logits' gradients as panels, from logits that were kept.
static void kept_gradients(Exec& exec, const LogprobBackward& b, int64_t begin, int64_t count, float* dz) {
  const int64_t panels = ceil_div(count, kPanelColumns);
  parallel_for(exec, b.t, [&](int64_t row, int) {
    for (int64_t panel = 0; panel < panels; ++panel) {
      const int64_t first = begin + panel * kPanelColumns;
      logit_gradients(b, row, first, b.logits + row * b.v + first, dz + (panel * b.t + row) * kPanelColumns);
    }
  });
}

template <class T>
static void computed_gradients(Exec& exec, const LogprobBackward& b, const T* weight, int64_t begin,
                               int64_t count, float* dz) {
  const int64_t panel_floats = b.t * kPanelColumns;
  const GemmPart<PanelFactor<T>> to_logits{{weight, b.c}, count, dz, kPanelColumns, panel_floats};
  gemm<PanelFactor<T>>(exec, {&to_logits, 1, row_major(b.hidden, b.c), b.t, b.c, false},
                       [&](int64_t row, int64_t rows, int64_t panel) {
                         float* z = dz + panel * panel_floats;
                         for (int64_t i = row; i < row + rows; ++i) {
                           float* at = z + i * kPanelColumns;
                           logit_gradients(b, i, begin + panel * kPanelColumns, at, at);
                         }
                       });
}

template <class T>
static void backward_with(Exec& exec, const LogprobBackward& b, const T* values) {
  float* dz = exec.shared(2, b.t * kBackwardColumns);  // panels (columns / 32, T, 32)
  const int64_t panel_floats = b.t * kPanelColumns;
  for (int64_t begin = b.first; begin < b.last; begin += kBackwardColumns) {
    const int64_t count = min_of(kBackwardColumns, b.last - begin);
    const T* weight = values + begin * b.c;
    if (b.logits != nullptr) {
      kept_gradients(exec, b, begin, count, dz);
    } else {
      computed_gradients(exec, b, weight, begin, count, dz);
    }
    const GemmPart<TransposedFactor<T>> to_hidden{{weight, b.c}, b.c, b.dhidden, b.c, kPanelColumns};
    gemm<TransposedFactor<T>>(exec,
                              {&to_hidden, 1, {dz, kPanelColumns, panel_floats}, b.t, count, begin > 0});
    if (b.dweight == nullptr) continue;
    const GemmPart<PanelFactor<float>> to_weight{
        {dz, b.t}, count, b.dweight + begin * b.c, kPanelColumns, b.c * kPanelColumns};
    gemm<PanelFactor<float>>(exec, {&to_weight, 1, column_major(b.hidden, b.c), b.c, b.t, true});
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
