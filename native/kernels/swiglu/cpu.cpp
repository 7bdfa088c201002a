// swiglu on the CPU: elementwise, memory-bound.
#include "kernels/swiglu/swiglu.h"

#include "core/parallel.h"
#include "core/simd_math.h"

namespace lsp {
namespace LSP_ISA {

constexpr int64_t kElementsPerItem = 8192;

template <class F>
static void for_elements(Exec& exec, int64_t count, const F& f) {
  parallel_for(exec, ceil_div(count, kElementsPerItem), [&](int64_t item, int) {
    const int64_t first = item * kElementsPerItem;
    for_lanes(min_of(kElementsPerItem, count - first), [&](int64_t i, int n) { f(first + i, n); });
  });
}

static void swiglu_forward(Exec& exec, const SwigluForward& f) {
  for_elements(exec, f.count, [&](int64_t i, int n) {
    const Vec gate = load_n(f.gate + i, n);
    store_n(f.y + i, gate * sigmoid(gate) * load_n(f.up + i, n), n);
  });
}

// silu'(x) = s + x s (1 - s) with s = sigmoid(x).
static void swiglu_backward(Exec& exec, const SwigluBackward& b) {
  for_elements(exec, b.count, [&](int64_t i, int n) {
    const Vec gate = load_n(b.gate + i, n), up = load_n(b.up + i, n), dy = load_n(b.dy + i, n);
    const Vec s = sigmoid(gate), silu = gate * s;
    store_n(b.dgate + i, dy * up * fma(silu, splat(1.0f) - s, s), n);
    store_n(b.dup + i, dy * silu, n);
  });
}

extern const SwigluKernels swiglu_kernels;
const SwigluKernels swiglu_kernels = {swiglu_forward, swiglu_backward};

}  // namespace LSP_ISA
}  // namespace lsp
