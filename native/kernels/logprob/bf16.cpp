// logprob in bfloat16: each panel of the vocabulary is packed for a block of rows and multiplied by it; a
// chunk's logits are reduced while they are hot.
#include "kernels/linear/gemm_bf16.h"
#include "kernels/logprob/backward.h"
#include "kernels/logprob/reduce.h"

namespace lsp {
namespace LSP_ISA {

// Rows of a block: their logits of a chunk take 0.6 MB of the second-level cache.
constexpr int64_t kHeadRowBlock = 288;

struct MultiplyBf16 {
  template <class B, class Epilogue = NoEpilogue>
  static void gemm(Exec& exec, const Gemm<B>& g, const Epilogue& epilogue = {}) {
    gemm_bf16(exec, g, epilogue);
  }
};

template <class T>
static void forward_with(Exec& exec, const LogprobForward& f, const T* panels) {
  using Value = Bf16Product::Value;
  if (f.t == 0) return;
  const PanelFactor<T> weight{panels, f.c};
  const int64_t chunks = vocab_chunks(f.v);
  const int64_t rows_each = round_up(ceil_div(f.t, ceil_div(f.t, kHeadRowBlock)), kPanelColumns);
  const int64_t row_blocks = ceil_div(f.t, rows_each);
  const Bf16Scratch scratch(rows_each, f.c);
  ChunkStats* stats = reinterpret_cast<ChunkStats*>(exec.shared(0, 3 * chunks * f.t));
  float* targets = exec.shared(1, f.t);
  exec.reserve_local(scratch.a + scratch.b + rows_each * kVocabChunk);
  Claims claims(reinterpret_cast<int64_t*>(exec.shared(kClaimsSlot, 2 * row_blocks)), row_blocks, chunks);
  parallel_for(exec, min_of(exec.threads(), row_blocks * chunks), [&](int64_t, int worker) {
    const typename Bf16Product::Scope scope;
    float* memory = exec.local(worker);
    Value *a = reinterpret_cast<Value*>(memory), *b = reinterpret_cast<Value*>(memory + scratch.a);
    float* logits = memory + scratch.a + scratch.b;
    int64_t row = -1, rows = 0;  // of the block in `a`
    for (Claims::Unit unit = claims.take(-1), next; unit.row_block >= 0; unit = next) {
      next = claims.take(unit.row_block);
      if (row != unit.row_block * rows_each) {
        row = unit.row_block * rows_each;
        rows = min_of(rows_each, f.t - row);
        Bf16Product::pack_a(row_major(f.hidden, f.c), row, rows, 0, f.c, a);
      }
      const int64_t tiles = Bf16Product::tiles(rows);
      const int64_t first = unit.panel * kChunkPanels;
      const int64_t last = min_of(first + kChunkPanels, ceil_div(f.v, kPanelColumns));
      for (int64_t panel = first; panel < last; ++panel) {
        float* to = logits + (panel - first) * kPanelColumns;
        const int64_t then = panel + 1 < last ? panel + 1 : next.panel * kChunkPanels;
        Bf16Product::multiply(rows, a, weight, panel, 0, f.c, b, to, kVocabChunk, false,
                              {weight.ahead(then, 0, f.c, tiles), to + kPanelColumns});
      }
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

extern const LogprobKernels logprob_bf16_kernels;
const LogprobKernels logprob_bf16_kernels = {logprob_forward, HeadBackward<MultiplyBf16>::run};

}  // namespace LSP_ISA
}  // namespace lsp
