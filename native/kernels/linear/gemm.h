// The blocked matrix product of linear and the LM head, with a Product of product.h; for per-ISA translation
// units.
//
// A block of rows of A stays packed in the second-level cache while panels of B stream past; while one panel
// is multiplied, the next one is fetched. Between blocks of K the accumulator rests in C as f32 and is loaded
// again: the chain of an element is the same whatever the blocking.
#pragma once

#include "kernels/linear/product.h"

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

constexpr int kClaimsSlot = Exec::kSharedSlots - 1;  // scratch memory that products keep for themselves

// Hands out the panels of row blocks. A thread keeps to the row block that it has packed until its panels are
// gone, then begins one that nobody has, then helps with the others: the threads finish within a panel of
// each other, and a block is packed by few. `taken` has one count a row block.
class Claims {
 public:
  Claims(int64_t* taken, int64_t row_blocks, int64_t panels)
      : taken_(taken), row_blocks_(row_blocks), panels_(panels) {
    for (int64_t i = 0; i < row_blocks; ++i) taken[i] = 0;
  }
  struct Unit {
    int64_t row_block, panel;  // row_block < 0: nothing is left
  };
  Unit take(int64_t row_block) {
    if (row_block < 0) row_block = begin(0);
    for (int64_t tried = 0; tried <= row_blocks_; ++tried) {
      const int64_t panel = __atomic_fetch_add(&taken_[row_block], 1, __ATOMIC_RELAXED);
      if (panel < panels_) return {row_block, panel};
      row_block = begin((row_block + 1) % row_blocks_);
    }
    return {-1, 0};
  }

 private:
  int64_t begin(int64_t otherwise) {
    const int64_t fresh = __atomic_fetch_add(&begun_, 1, __ATOMIC_RELAXED);
    return fresh < row_blocks_ ? fresh : otherwise;
  }

  int64_t* taken_;
  const int64_t row_blocks_, panels_;
  int64_t begun_ = 0;
};

// What a panel's C holds once its chains are complete: rows [row, row + rows) of panel `panel`.
struct NoEpilogue {
  void operator()(int64_t, int64_t, int64_t) const {}
};

template <class Product, class B, class Epilogue>
class GemmRun {
 public:
  GemmRun(Exec& exec, const Gemm<B>& g, const Epilogue& epilogue)
      : exec_(exec),
        g_(g),
        epilogue_(epilogue),
        block_(Product::block_size(g.m, g.k, B::kCopies)),
        floats_(Product::packed_floats(block_.rows, block_.depth)) {
    for (int i = 0; i < g.part_count; ++i) panels_ += ceil_div(g.parts[i].n, kPanelColumns);
  }

  void run() {
    exec_.reserve_local(floats_.a + floats_.b + block_.rows * kPanelColumns);
    const int64_t row_blocks = ceil_div(g_.m, block_.rows);
    int64_t* taken = reinterpret_cast<int64_t*>(exec_.shared(kClaimsSlot, 2 * row_blocks));
    for (int64_t k_offset = 0; k_offset < g_.k; k_offset += block_.depth) {
      Claims claims(taken, row_blocks, panels_);
      parallel_for(exec_, min_of(exec_.threads(), row_blocks * panels_),
                   [&](int64_t, int worker) { work(claims, k_offset, exec_.local(worker)); });
    }
  }

 private:
  using Unit = Claims::Unit;
  using Value = typename Product::Value;
  struct Panel {
    const GemmPart<B>* part;
    int64_t index;  // within the part
    float* c;       // its first row
  };

  Panel panel_of(const Unit& unit) const {
    const GemmPart<B>* part = g_.parts;
    int64_t index = unit.panel;
    for (int64_t count; index >= (count = ceil_div(part->n, kPanelColumns)); ++part) index -= count;
    return {part, index, part->c + index * part->c_panel + unit.row_block * block_.rows * part->c_row};
  }

  void work(Claims& claims, int64_t k_offset, float* memory) {
    const typename Product::Scope scope;
    Value* packed = reinterpret_cast<Value*>(memory);
    const int64_t depth = min_of(block_.depth, g_.k - k_offset);
    int64_t row = -1, rows = 0;  // of the block in `packed`
    for (Unit unit = claims.take(-1), next; unit.row_block >= 0; unit = next) {
      next = claims.take(unit.row_block);
      const bool begins = row != unit.row_block * block_.rows;
      row = unit.row_block * block_.rows;
      rows = min_of(block_.rows, g_.m - row);
      // Rows of a long product come from far: packed at once, they are waited for once.
      const bool on_the_way = Product::kPacksOnTheWay && begins && !B::kCopies && g_.a.row != 0;
      if (begins && !on_the_way) Product::pack_a(g_.a, row, rows, k_offset, depth, packed);
      const Unpacked from = unpacked(g_.a, row, k_offset);
      const Panel then = panel_of(next.row_block < 0 ? unit : next);
      product(panel_of(unit), rows, k_offset, depth, memory, on_the_way ? &from : nullptr,
              {then.part->b.ahead(then.index, k_offset, depth, Product::tiles(rows)), then.c});
      if (k_offset + depth == g_.k) epilogue_(row, rows, unit.panel);
    }
  }

  // Where fewer than 32 columns are left, `spare` takes the tile.
  void product(const Panel& panel, int64_t rows, int64_t k_offset, int64_t depth, float* memory,
               const Unpacked* from, const Next& next) const {
    const GemmPart<B>& part = *panel.part;
    const bool accumulate = g_.accumulate || k_offset > 0;
    Value *packed = reinterpret_cast<Value*>(memory), *copy = reinterpret_cast<Value*>(memory + floats_.a);
    float *spare = memory + floats_.a + floats_.b, *c = panel.c;
    const int64_t columns = min_of(kPanelColumns, part.n - panel.index * kPanelColumns);
    const int low = static_cast<int>(min_of(columns, kLanes)), high = static_cast<int>(columns - low);
    // A C in panel layout is padded to 32 columns; a row-major one, whose panels lie side by side, ends at n.
    const bool spares = columns < kPanelColumns && part.c_panel == kPanelColumns;
    for (int64_t i = 0; spares && accumulate && i < rows; ++i) {
      store(spare + i * kPanelColumns, load_first(c + i * part.c_row, low));
      store(spare + i * kPanelColumns + kLanes, load_first(c + i * part.c_row + low, high));
    }
    Product::multiply(rows, packed, part.b, panel.index, k_offset, depth, copy, spares ? spare : c,
                      spares ? kPanelColumns : part.c_row, accumulate, next, from);
    for (int64_t i = 0; spares && i < rows; ++i) {
      store_first(c + i * part.c_row, load(spare + i * kPanelColumns), low);
      if (high > 0) store_first(c + i * part.c_row + low, load(spare + i * kPanelColumns + kLanes), high);
    }
  }

  Exec& exec_;
  const Gemm<B>& g_;
  const Epilogue& epilogue_;
  const BlockSize block_;
  const PackedFloats floats_;
  int64_t panels_ = 0;
};

template <class Product, class B, class Epilogue = NoEpilogue>
static void gemm(Exec& exec, const Gemm<B>& g, const Epilogue& epilogue = {}) {
  if (g.m > 0) GemmRun<Product, B, Epilogue>(exec, g, epilogue).run();
}

}  // namespace LSP_ISA
}  // namespace lsp
