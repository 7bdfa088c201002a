// What the benches of the kernels share: this machine's measured peaks, timing, and the share of what is
// possible.
//
// A kernel can be no faster than its multiplications at the peak rate of fused multiply-adds, nor than its
// memory traffic at the peak rate of reading (Williams, Waterman and Patterson 2009, the roofline). The share
// printed is the larger of the two bounds divided by the measured time. Traffic counts every operand once;
// data that stay in a cache can exceed 100 %.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/buffer.h"
#include "core/exec.h"
#include "kernels/dispatch.h"

namespace lsp {
namespace bench {

struct Peak {
  double flops;  // per second
  double bytes;  // per second, reading from memory
};
// With all threads of `exec` at once. `isa` says how wide the multiply-adds are; portable counts as the
// widest.
Peak measure_peak(Exec& exec, const std::string& isa);

struct Measurement {
  std::string op, name;
  double seconds, flops, bytes;
};

class Bencher {
 public:
  Bencher(const Kernels& table, Exec& runner) : kernels(table), exec(runner) {}

  const Kernels& kernels;
  Exec& exec;

  // Times `body` (the best of many calls) and records it. `flops` and `bytes` are those of one call.
  void run(const std::string& name, double flops, double bytes, const std::function<void()>& body);

  std::string op;  // under way
  std::function<void(const Measurement&)> record;
};

// Puts the bench of an op on the list of lsp_bench.
struct Registration {
  Registration(const char* op, void (*bench)(Bencher&));
};

// Values in [-1, 1), none of them zero, infinite or denormal.
Buffer filled(int64_t count);
// "T=32 C=576"
std::string sizes(const std::vector<std::pair<const char*, int64_t>>& letters);

}  // namespace bench
}  // namespace lsp
