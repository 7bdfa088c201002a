// parallel_for for per-ISA translation units: hands a lambda to the pool through a plain function pointer.
#pragma once

#include "core/exec.h"
#include "core/simd.h"

namespace lsp {
namespace LSP_ISA {

// f(item, worker) for every item in [0, items).
template <class F>
static inline void parallel_for(Exec& exec, int64_t items, const F& f) {
  exec.run(
      items, [](void* context, int64_t item, int worker) { (*static_cast<const F*>(context))(item, worker); },
      const_cast<F*>(&f));
}

LSP_INLINE int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
LSP_INLINE int64_t min_of(int64_t a, int64_t b) { return a < b ? a : b; }
LSP_INLINE int64_t max_of(int64_t a, int64_t b) { return a > b ? a : b; }

}  // namespace LSP_ISA
}  // namespace lsp
