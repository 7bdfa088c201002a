// linear on the CPU: three products on one blocked GEMM. See linear.h for layouts and gemm.h for the
// blocking.
#include "kernels/linear/gemm.h"
#include "kernels/linear/linear.h"

namespace lsp {
namespace LSP_ISA {

template <class B>
static void forward_parts(Exec& exec, const LinearForward& f, const B* Panels::*values) {
  GemmPart<B> parts[3];
  for (int i = 0; i < f.part_count; ++i) {
    const LinearPart& part = f.parts[i];
    parts[i] = {part.weight.*values, f.k * kPanelColumns, part.n, part.y, part.ldy, kPanelColumns};
  }
  gemm<B>(exec, {parts, f.part_count, f.x, f.ldx, 1, f.t, f.k, f.accumulate});
}

static void linear_forward(Exec& exec, const LinearForward& f) {
  if (f.parts[0].weight.bf16 != nullptr) {
    forward_parts<uint16_t>(exec, f, &Panels::bf16);
  } else {
    forward_parts<float>(exec, f, &Panels::f32);
  }
}

static void linear_backward_input(Exec& exec, const LinearBackwardInput& b) {
  float* transposed = exec.shared(0, ceil_div(b.k, kPanelColumns) * b.n * kPanelColumns);
  if (b.weight.bf16 != nullptr) {
    transpose_panels(exec, b.weight.bf16, b.n, b.k, transposed);
  } else {
    transpose_panels(exec, b.weight.f32, b.n, b.k, transposed);
  }
  const GemmPart<float> part{transposed, b.n * kPanelColumns, b.k, b.dx, b.lddx, kPanelColumns};
  gemm<float>(exec, {&part, 1, b.dy, b.lddy, 1, b.t, b.n, b.accumulate});
}

static void linear_backward_weight(Exec& exec, const LinearBackwardWeight& b) {
  float* panels = exec.shared(0, ceil_div(b.n, kPanelColumns) * b.t * kPanelColumns);
  pack_columns(exec, b.dy, b.lddy, b.t, b.n, panels);
  const GemmPart<float> part{panels, b.t * kPanelColumns, b.n, b.dweight, kPanelColumns, b.k * kPanelColumns};
  gemm<float>(exec, {&part, 1, b.x, 1, b.ldx, b.k, b.t, true});
}

extern const LinearKernels linear_kernels;
const LinearKernels linear_kernels = {linear_forward, linear_backward_input, linear_backward_weight};

}  // namespace LSP_ISA
}  // namespace lsp
