// Where the time of a model goes: the kernels in force, each call timed and its work counted. A model made
// with them computes the same bits; a model made with the plain table pays nothing.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/dispatch.h"

namespace lsp {
namespace bench {

// Sums over all models with timed kernels since the process began.
struct KernelTime {
  const char* name;  // "linear forward"
  int64_t calls;
  double seconds;  // of the calling thread, so of the clock on the wall
  // Operations, a multiplication and its addition counted as two, and bytes of operands that are counted
  // once; 0 where they are not counted.
  double operations, bytes;
};

// active_kernels() with every kernel timed; those of the first call, whatever LSP_ISA says later.
const Kernels& timed_kernels();
std::vector<KernelTime> kernel_times();

}  // namespace bench
}  // namespace lsp
