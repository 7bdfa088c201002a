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

// A second product, h (M, rank) B, that goes on where a part's own ends: its h lies in one piece.
template <class B>
struct GemmTerm {
  typename B::Term b = {};
  const float* h = nullptr;  // null: there is none
  int64_t rank = 0;
};

// Part of a product: C's panels with their own B, one of the factors of pack.h.
template <class B>
struct GemmPart {
  B b;
  int64_t n;  // columns
  float* c;
  int64_t c_row;
  int64_t c_panel;  // floats between the first columns of two panels of C
  GemmTerm<B> term = {};
};

template <class B>
struct Gemm {
  const GemmPart<B>* parts;
  int part_count;
  Left a;
  int64_t m, k;
  bool accumulate;
};

constexpr int kProductSlot = Exec::kSharedSlots - 1;  // scratch memory that products keep for themselves

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
    for (int i = 0; i < g.part_count; ++i) {
      panels_ += ceil_div(g.parts[i].n, kPanelColumns);
      rank_ = max_of(rank_, g.parts[i].term.rank);
    }
    if (rank_ > 0) term_floats_ = Product::packed_floats(block_.rows, round_up(rank_, kPanelColumns));
  }

  void run() {
    exec_.reserve_local(floats_.a + floats_.b + block_.rows * kPanelColumns + g_.part_count * term_floats_.a +
                        term_floats_.b);
    const int64_t row_blocks = ceil_div(g_.m, block_.rows);
    int64_t* taken = reinterpret_cast<int64_t*>(exec_.shared(kProductSlot, 2 * row_blocks));
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
      const bool is_last = k_offset + depth == g_.k;
      if (begins && is_last && rank_ > 0) pack_terms(row, rows, memory);
      const Unpacked from = unpacked(g_.a, row, k_offset);
      const Panel then = panel_of(next.row_block < 0 ? unit : next);
      product(panel_of(unit), rows, k_offset, depth, memory, on_the_way ? &from : nullptr,
              {then.part->b.ahead(then.index, k_offset, depth, Product::tiles(rows)), then.c});
      if (is_last) epilogue_(row, rows, unit.panel);
    }
  }

  // Of a part's h, after everything else that a thread needs.
  Value* packed_term(float* memory, const GemmPart<B>& part) const {
    return reinterpret_cast<Value*>(memory + floats_.a + floats_.b + block_.rows * kPanelColumns +
                                    term_floats_.b + (&part - g_.parts) * term_floats_.a);
  }

  void pack_terms(int64_t row, int64_t rows, float* memory) const {
    for (const GemmPart<B>* part = g_.parts; part < g_.parts + g_.part_count; ++part) {
      const GemmTerm<B>& term = part->term;
      if (term.h == nullptr) continue;
      Product::pack_a(row_major(term.h, term.rank), row, rows, 0, term.rank, packed_term(memory, *part));
    }
  }

  // Goes on with the part's term in c (rows, 32).
  void add_term(const Panel& panel, int64_t rows, float* memory, float* c, int64_t c_row) const {
    const GemmTerm<B>& term = panel.part->term;
    if (term.h == nullptr) return;
    Value* copy = reinterpret_cast<Value*>(memory + floats_.a + floats_.b + block_.rows * kPanelColumns);
    const Next next{term.b.ahead(panel.index, 0, term.rank, Product::tiles(rows)), c};
    Product::multiply(rows, packed_term(memory, *panel.part), term.b, panel.index, 0, term.rank, copy, c,
                      c_row, true, next);
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
    float* const to = spares ? spare : c;
    const int64_t to_row = spares ? kPanelColumns : part.c_row;
    Product::multiply(rows, packed, part.b, panel.index, k_offset, depth, copy, to, to_row, accumulate, next,
                      from);
    if (k_offset + depth == g_.k) add_term(panel, rows, memory, to, to_row);
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
  int64_t panels_ = 0, rank_ = 0;  // the highest of the terms' ranks
  PackedFloats term_floats_ = {0, 0};
};

template <class Product, class B, class Epilogue = NoEpilogue>
static void gemm(Exec& exec, const Gemm<B>& g, const Epilogue& epilogue = {}) {
  if (g.m > 0) GemmRun<Product, B, Epilogue>(exec, g, epilogue).run();
}

}  // namespace LSP_ISA
}  // namespace lsp
