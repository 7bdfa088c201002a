// The forward pass of the LM head, with a Product of linear/product.h; for per-ISA translation units. Row
// blocks of hidden states stay packed in the second-level cache while chunks of the vocabulary stream past;
// each chunk's logits are reduced while they are hot.
#pragma once

#include "kernels/linear/gemm.h"
#include "kernels/logprob/reduce.h"

namespace lsp {
namespace LSP_ISA {

constexpr int64_t kChunkPanels = kVocabChunk / kPanelColumns;

template <class Product>
struct HeadForward {
  static void run(Exec& exec, const LogprobForward& f) {
    with_values(f.weight, [&](const auto* panels) { forward_with(exec, f, panels); });
  }

 private:
  using Value = typename Product::Value;

  // Packed rows times one chunk of the vocabulary, into (rows, 512); `next` is the chunk after it.
  template <class T>
  static void chunk_logits(int64_t rows, const Value* packed, const PanelFactor<T>& weight, int64_t v,
                           int64_t chunk, int64_t next, Value* copy, float* logits) {
    const int64_t first = chunk * kChunkPanels,
                  last = min_of(first + kChunkPanels, ceil_div(v, kPanelColumns)), depth = weight.depth;
    for (int64_t panel = first; panel < last; ++panel) {
      float* to = logits + (panel - first) * kPanelColumns;
      const int64_t then = panel + 1 < last ? panel + 1 : next * kChunkPanels;
      Product::multiply(rows, packed, weight, panel, 0, depth, copy, to, kVocabChunk, false,
                        {weight.ahead(then, 0, depth, Product::tiles(rows)), to + kPanelColumns});
    }
  }

  template <class T>
  static void forward_with(Exec& exec, const LogprobForward& f, const T* panels) {
    if (f.t == 0) return;
    const PanelFactor<T> weight{panels, f.c};
    const int64_t chunks = vocab_chunks(f.v);
    const int64_t rows_each = evenly(f.t, Product::kHeadRows, Product::kRowStep);
    const int64_t row_blocks = ceil_div(f.t, rows_each);
    const PackedFloats floats = Product::packed_floats(rows_each, f.c);
    ChunkStats* stats = reinterpret_cast<ChunkStats*>(exec.shared(0, kStatsFloats * chunks * f.t));
    float* targets = exec.shared(1, f.t);
    exec.reserve_local(floats.a + floats.b + rows_each * kVocabChunk);
    Claims claims(reinterpret_cast<int64_t*>(exec.shared(kProductSlot, 2 * row_blocks)), row_blocks, chunks);
    parallel_for(exec, min_of(exec.threads(), row_blocks * chunks), [&](int64_t, int worker) {
      const typename Product::Scope scope;
      float* memory = exec.local(worker);
      Value *packed = reinterpret_cast<Value*>(memory), *copy = reinterpret_cast<Value*>(memory + floats.a);
      float* logits = memory + floats.a + floats.b;
      int64_t row = -1, rows = 0;  // of the block in `packed`
      for (Claims::Unit unit = claims.take(-1), next; unit.row_block >= 0; unit = next) {
        next = claims.take(unit.row_block);
        if (row != unit.row_block * rows_each) {
          row = unit.row_block * rows_each;
          rows = min_of(rows_each, f.t - row);
          Product::pack_a(row_major(f.hidden, f.c), row, rows, 0, f.c, packed);
        }
        chunk_logits(rows, packed, weight, f.v, unit.panel, next.panel, copy, logits);
        reduce_chunk(f, row, rows, unit.panel, logits, stats, targets);
      }
    });
    parallel_for(exec, f.t, [&](int64_t row, int) {
      combine_row(f, stats, chunks, row, f.targets != nullptr ? targets[row] : 0.0f);
    });
  }
};

}  // namespace LSP_ISA
}  // namespace lsp
