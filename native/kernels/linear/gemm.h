// The blocked matrix product of linear and the LM head, for per-ISA translation units.
//
// A block of rows of A stays packed in the second-level cache while panels of B stream past; while one panel
// is multiplied, the next one is fetched. Between blocks of K the accumulator rests in C as f32 and is loaded
// again: the chain of an element is the same whatever the blocking.
#pragma once

#include "kernels/linear/pack.h"

namespace lsp {
namespace LSP_ISA {

// Part of a product: C's panels with their own B, one of the factors of pack.h.
template <class B>
struct GemmPart {
  B b;
  int64_t n;  // columns
  float* c;
  int64_t c_row;
  int64_t c_panel;  // floats between the first columns of two panels of C
};

template <class B>
struct Gemm {
  const GemmPart<B>* parts;
  int part_count;
  Left a;
  int64_t m, k;
  bool accumulate;
};

// Cache blocks: rows x kDepth floats of A are at most 0.9 MB, where copying B's panels pays off over more
// rows, and 0.45 MB otherwise.
constexpr int64_t kRowBlock = 144;
constexpr int64_t kDepth = 768;

// Work is handed out in units, and a thread takes its next one before it begins the last, so that it knows
// what to fetch.
struct Claims {
  int64_t next = 0;
  int64_t take() { return __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED); }
};

// What a panel's C holds once its chains are complete: rows [row, row + rows) of panel `panel`.
struct NoEpilogue {
  void operator()(int64_t, int64_t, int64_t) const {}
};

template <class B, class Epilogue>
class GemmRun {
 public:
  GemmRun(Exec& exec, const Gemm<B>& g, const Epilogue& epilogue) : exec_(exec), g_(g), epilogue_(epilogue) {
    for (int i = 0; i < g.part_count; ++i) panels_ += ceil_div(g.parts[i].n, kPanelColumns);
    const int64_t most_rows = B::kCopies ? 2 * kRowBlock : kRowBlock;
    rows_each_ = ceil_div(ceil_div(g.m, ceil_div(g.m, most_rows)), kRows) * kRows;
    row_blocks_ = ceil_div(g.m, rows_each_);
    depth_each_ = ceil_div(ceil_div(g.k, ceil_div(g.k, kDepth)), kPanelColumns) * kPanelColumns;
    // Enough units for the threads to finish together, each large enough to be worth packing A for.
    const int64_t least = g.k > depth_each_ ? 4 : 1, wanted = 12 * exec.threads();
    groups_ = ceil_div(panels_, max_of(least, panels_ * row_blocks_ / wanted));
    packed_floats_ = rows_each_ * depth_each_ + kPackSlack;
    exec.reserve_local(packed_floats_ + (rows_each_ + depth_each_) * kPanelColumns);
  }

  void run() {
    const int64_t units = row_blocks_ * groups_;
    parallel_for(exec_, min_of(exec_.threads(), units), [&](int64_t, int worker) {
      Worker w{exec_.local(worker), nullptr, nullptr, -1};
      w.copy = w.packed + packed_floats_;
      w.spare = w.copy + depth_each_ * kPanelColumns;
      for (int64_t unit = claims_.take(); unit < units;) {
        const int64_t next = claims_.take();
        run_unit(w, unit, next < units ? next : unit);
        unit = next;
      }
    });
  }

 private:
  struct Worker {
    float *packed, *copy, *spare;
    int64_t packed_row;  // of the block that `packed` holds, or -1
  };
  // One panel of one part.
  struct Panel {
    const GemmPart<B>* part;
    int64_t index;
  };

  Panel panel_at(int64_t panel) const {
    const GemmPart<B>* part = g_.parts;
    for (int64_t count; panel >= (count = ceil_div(part->n, kPanelColumns)); ++part) panel -= count;
    return {part, panel};
  }

  int64_t first_panel(int64_t unit) const { return panels_ * (unit % groups_) / groups_; }

  void run_unit(Worker& w, int64_t unit, int64_t next_unit) {
    const int64_t row = unit / groups_ * rows_each_, rows = min_of(rows_each_, g_.m - row);
    const int64_t first = first_panel(unit), last = panels_ * (unit % groups_ + 1) / groups_;
    for (int64_t k_offset = 0; k_offset < g_.k; k_offset += depth_each_) {
      const int64_t depth = min_of(depth_each_, g_.k - k_offset);
      if (w.packed_row != row || depth < g_.k) pack_rows(g_.a, row, rows, k_offset, depth, w.packed);
      w.packed_row = row;
      for (int64_t panel = first; panel < last; ++panel) {
        const bool is_last = panel + 1 == last;
        const bool goes_deeper = is_last && k_offset + depth < g_.k;
        const int64_t then = !is_last ? panel + 1 : goes_deeper ? first : first_panel(next_unit);
        const int64_t then_offset = !is_last ? k_offset : goes_deeper ? k_offset + depth : 0;
        const int64_t then_row = is_last && !goes_deeper ? next_unit / groups_ * rows_each_ : row;
        const Panel next = panel_at(then);
        product(w, panel_at(panel), row, rows, k_offset, depth,
                next.part->b.ahead(next.index, then_offset, depth, ceil_div(rows, kRows)),
                next.part->c + next.index * next.part->c_panel + then_row * next.part->c_row);
        if (k_offset + depth == g_.k) epilogue_(row, rows, panel);
      }
    }
  }

  // Where fewer than 32 columns are left, `spare` takes the tile.
  void product(const Worker& w, const Panel& panel, int64_t row, int64_t rows, int64_t k_offset,
               int64_t depth, const Ahead& ahead, const float* next_c) {
    const GemmPart<B>& part = *panel.part;
    const bool accumulate = g_.accumulate || k_offset > 0;
    const typename B::Value* b = part.b.block(panel.index, k_offset, depth, w.copy);
    float* c = part.c + panel.index * part.c_panel + row * part.c_row;
    const int64_t columns = min_of(kPanelColumns, part.n - panel.index * kPanelColumns);
    // A C in panel layout is padded to 32 columns; a row-major one, whose panels lie side by side, ends at n.
    if (columns == kPanelColumns || part.c_panel != kPanelColumns) {
      packed_product(rows, w.packed, b, c, part.c_row, depth, accumulate, ahead, next_c);
      return;
    }
    const int low = static_cast<int>(min_of(columns, kLanes)), high = static_cast<int>(columns - low);
    for (int64_t i = 0; accumulate && i < rows; ++i) {
      store(w.spare + i * kPanelColumns, load_first(c + i * part.c_row, low));
      store(w.spare + i * kPanelColumns + kLanes, load_first(c + i * part.c_row + low, high));
    }
    packed_product(rows, w.packed, b, w.spare, kPanelColumns, depth, accumulate, ahead, next_c);
    for (int64_t i = 0; i < rows; ++i) {
      store_first(c + i * part.c_row, load(w.spare + i * kPanelColumns), low);
      if (high > 0) store_first(c + i * part.c_row + low, load(w.spare + i * kPanelColumns + kLanes), high);
    }
  }

  Exec& exec_;
  const Gemm<B>& g_;
  const Epilogue& epilogue_;
  int64_t panels_ = 0, rows_each_, row_blocks_, depth_each_, groups_, packed_floats_;
  Claims claims_;
};

template <class B, class Epilogue = NoEpilogue>
static void gemm(Exec& exec, const Gemm<B>& g, const Epilogue& epilogue = {}) {
  if (g.m > 0) GemmRun<B, Epilogue>(exec, g, epilogue).run();
}

}  // namespace LSP_ISA
}  // namespace lsp
