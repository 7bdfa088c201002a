// The blocked matrix product in bfloat16: the same parts, factors and epilogues as gemm.h, whose A and B are
// rounded while they are packed.
//
// A block of rows of A stays packed in the second-level cache; each panel of B is packed for it once and then
// multiplied by all of its rows.
#pragma once

#include "kernels/linear/gemm.h"
#include "kernels/linear/product_bf16.h"

namespace lsp {
namespace LSP_ISA {

// Scratch of a thread: a block of A, a panel of B, each in floats and a multiple of 64 bytes.
struct Bf16Scratch {
  int64_t a, b;

  Bf16Scratch(int64_t rows, int64_t depth) {
    constexpr int64_t kPerFloat = sizeof(float) / sizeof(Bf16Product::Value);
    const int64_t k = round_up(depth, kPanelColumns);
    a = round_up(rows, 16) * k / kPerFloat + kPackSlack;
    b = kPanelColumns * k / kPerFloat;
  }
};

template <class B, class Epilogue>
class GemmBf16Run {
 public:
  GemmBf16Run(const Gemm<B>& g, const Epilogue& epilogue) : g_(g), epilogue_(epilogue) {
    for (int i = 0; i < g.part_count; ++i) panels_ += ceil_div(g.parts[i].n, kPanelColumns);
    depth_each_ = evenly(g.k, max_of(kLeastDepth, kBlockValues / round_up(g.m, kPanelColumns)));
    rows_each_ = evenly(g.m, kBlockValues / depth_each_);
  }

  void run(Exec& exec) {
    const Bf16Scratch scratch(rows_each_, depth_each_);
    exec.reserve_local(scratch.a + scratch.b + rows_each_ * kPanelColumns);
    const int64_t row_blocks = ceil_div(g_.m, rows_each_);
    int64_t* taken = reinterpret_cast<int64_t*>(exec.shared(kClaimsSlot, 2 * row_blocks));
    for (int64_t k_offset = 0; k_offset < g_.k; k_offset += depth_each_) {
      Claims claims(taken, row_blocks, panels_);
      parallel_for(exec, min_of(exec.threads(), row_blocks * panels_), [&](int64_t, int worker) {
        float* memory = exec.local(worker);
        work(claims, k_offset, reinterpret_cast<Value*>(memory), reinterpret_cast<Value*>(memory + scratch.a),
             memory + scratch.a + scratch.b);
      });
    }
  }

 private:
  using Value = Bf16Product::Value;

  // A's block holds at most as many values, of at least as many columns: 1 MB.
  static constexpr int64_t kBlockValues = 1 << 19, kLeastDepth = 1024;

  // The size of equal pieces of n, each at most `most` and a multiple of 32.
  static int64_t evenly(int64_t n, int64_t most) {
    return round_up(ceil_div(n, ceil_div(n, most)), kPanelColumns);
  }

  void work(Claims& claims, int64_t k_offset, Value* a, Value* b, float* spare) const {
    const typename Bf16Product::Scope scope;
    const int64_t depth = min_of(depth_each_, g_.k - k_offset);
    int64_t row = -1, rows = 0;  // of the block in `a`
    for (Claims::Unit unit = claims.take(-1), next; unit.row_block >= 0; unit = next) {
      next = claims.take(unit.row_block);
      if (row != unit.row_block * rows_each_) {
        row = unit.row_block * rows_each_;
        rows = min_of(rows_each_, g_.m - row);
        Bf16Product::pack_a(g_.a, row, rows, k_offset, depth, a);
      }
      const Panel panel = panel_of(unit);
      const Panel then = panel_of(next.row_block < 0 ? unit : next);
      const int64_t tiles = Bf16Product::tiles(rows);
      const Next fetched{then.part->b.ahead(then.index, k_offset, depth, tiles), then.c};
      const auto multiply = [&](float* c, int64_t c_row, bool accumulate) {
        Bf16Product::multiply(rows, a, panel.part->b, panel.index, k_offset, depth, b, c, c_row, accumulate,
                              fetched);
      };
      product(panel, rows, g_.accumulate || k_offset > 0, spare, multiply);
      if (k_offset + depth == g_.k) epilogue_(row, rows, unit.panel);
    }
  }

  struct Panel {
    const GemmPart<B>* part;
    int64_t index;  // within the part
    float* c;       // its first row
  };

  Panel panel_of(const Claims::Unit& unit) const {
    const GemmPart<B>* part = g_.parts;
    int64_t index = unit.panel;
    for (int64_t count; index >= (count = ceil_div(part->n, kPanelColumns)); ++part) index -= count;
    return {part, index, part->c + index * part->c_panel + unit.row_block * rows_each_ * part->c_row};
  }

  // Where fewer than 32 columns are left, `spare` takes them: see gemm.h.
  template <class Multiply>
  static void product(const Panel& panel, int64_t rows, bool accumulate, float* spare,
                      const Multiply& multiply) {
    const GemmPart<B>& part = *panel.part;
    const int64_t columns = min_of(kPanelColumns, part.n - panel.index * kPanelColumns);
    if (columns == kPanelColumns || part.c_panel != kPanelColumns)
      return multiply(panel.c, part.c_row, accumulate);
    const int low = static_cast<int>(min_of(columns, kLanes)), high = static_cast<int>(columns - low);
    for (int64_t i = 0; accumulate && i < rows; ++i) {
      const float* from = panel.c + i * part.c_row;
      store(spare + i * kPanelColumns, load_first(from, low));
      store(spare + i * kPanelColumns + kLanes, load_first(from + low, high));
    }
    multiply(spare, kPanelColumns, accumulate);
    for (int64_t i = 0; i < rows; ++i) {
      float* to = panel.c + i * part.c_row;
      store_first(to, load(spare + i * kPanelColumns), low);
      if (high > 0) store_first(to + low, load(spare + i * kPanelColumns + kLanes), high);
    }
  }

  const Gemm<B>& g_;
  const Epilogue& epilogue_;
  int64_t panels_ = 0, rows_each_, depth_each_;
};

template <class B, class Epilogue = NoEpilogue>
static void gemm_bf16(Exec& exec, const Gemm<B>& g, const Epilogue& epilogue = {}) {
  if (g.m > 0) GemmBf16Run<B, Epilogue>(g, epilogue).run(exec);
}

}  // namespace LSP_ISA
}  // namespace lsp
