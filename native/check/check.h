// What the checks of the kernels share: variants to sweep, comparisons with an oracle, comparisons bit for
// bit.
//
// A check describes a problem, runs it through one variant's kernels into named tensors, and leaves the rest
// to the Checker: sweep() repeats the run for every variant and thread count and demands the same bits,
// compare() holds the result against a double-precision oracle. Only the run function of a check touches the
// kernels' memory, so that the table of another device is swept by giving that function other buffers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "check/expected.h"
#include "core/exec.h"
#include "kernels/dispatch.h"

namespace lsp {
namespace check {

struct Tensor {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<float> values;
};
using Tensors = std::vector<Tensor>;

const Tensor& find(const Tensors& tensors, const std::string& name);
// Rows [first, first + count) of a tensor, cut along its first dimension.
Tensor rows(const Tensor& tensor, int64_t first, int64_t count);

// One case of an op; it passes when nothing fails in it.
class Case {
 public:
  explicit Case(std::string name) : name_(std::move(name)) {}

  // |got - expected| <= roundings * (2^-24 * magnitude + smallest normal float), NaN where NaN is expected.
  void close(const Tensor& got, const Expected& expected, double roundings);
  // Any NaN equals any other: their payload depends on the machine.
  void same_bits(const Tensor& got, const Tensor& want, const std::string& context);
  void same_bits(const Tensors& got, const Tensors& want, const std::string& context);
  void that(bool condition, const std::string& message);

 private:
  friend class Checker;
  struct Worst {
    double share = -1;  // of the tolerance
    std::string text;
  };
  const std::string name_;
  std::map<std::string, Worst> worst_;
  std::vector<std::string> failures_;
};

// All cases of one op.
class Checker {
 public:
  using Run = std::function<Tensors(const Kernels&, Exec&)>;

  explicit Checker(std::string op);

  // LSP_ISA's variant alone if it is set, else every base that this machine runs, the fastest first: each set
  // of f32 kernels once.
  const std::vector<const Kernels*>& variants() const { return variants_; }
  // The same of all levels for a table of low precision: the best variant that has it, for each such table.
  template <class Table>
  std::vector<const Kernels*> variants_by(const Table* Kernels::*table) const {
    std::vector<const Kernels*> found;
    for (const Kernels* kernels : levels_) {
      const auto same = [&](const Kernels* other) { return other->*table == kernels->*table; };
      if (std::none_of(found.begin(), found.end(), same)) found.push_back(kernels);
    }
    return found;
  }
  Exec& exec(int threads);
  // Too slow for this variant in this build? `work` counts multiplications.
  bool skips(const Kernels& kernels, double work) const;
  // Too slow for a sanitized build, whose oracles take minutes? Smaller cases show the same errors there.
  bool leaves_out(double work) const;

  void test(const std::string& name, const std::function<void(Case&)>& body);
  // Runs on every variant with 1, 2 and 3 threads (1 and 3 where it is sanitized), demands the same bits of
  // all, and returns the first result.
  Tensors sweep(Case& c, double work, const Run& run) { return sweep(c, work, run, variants_); }
  // The same on these variants, which promise each other's bits; others are swept one by one.
  Tensors sweep(Case& c, double work, const Run& run, const std::vector<const Kernels*>& variants);

  void print() const;
  // A hash of all that sweep() returned: equal on every machine that gives the same bits.
  uint64_t bits() const { return bits_; }
  int passed() const { return passed_; }
  int failed() const { return failed_; }

 private:
  const std::string op_;
  std::vector<const Kernels*> variants_, levels_;
  std::map<int, std::unique_ptr<Exec>> execs_;
  std::map<std::string, Case::Worst> worst_;
  uint64_t bits_ = 0;
  int passed_ = 0, failed_ = 0;
};

// Puts the check of an op on the list of lsp_check.
struct Registration {
  Registration(const char* op, void (*check)(Checker&));
};

// Uniform in [-scale, scale), the same on every machine.
std::vector<float> random_values(int64_t count, uint64_t seed, double scale = 1);
std::vector<int32_t> random_ids(int64_t count, uint64_t seed, int64_t limit);

// A row-major matrix (n, k) to panels (ceil(n/32), k, 32) padded with zeros, and back. Layout: linear.h.
std::vector<float> to_panels(const std::vector<float>& matrix, int64_t n, int64_t k);
std::vector<float> from_panels(const std::vector<float>& panels, int64_t n, int64_t k);
// The same in bfloat16. Rounds the matrix itself, too, so that both hold the same values.
std::vector<uint16_t> to_bfloat16_panels(std::vector<float>& matrix, int64_t n, int64_t k);
// To the nearest bfloat16, ties to even; NaN stays NaN.
void round_to_bfloat16(std::vector<float>& values);
// Is every padded column zero?
bool padding_is_zero(const std::vector<float>& panels, int64_t n, int64_t k);

// Roundings allowed for a sum of `terms`: 4 sqrt(terms) + 8. The error of a chain of n roundings grows like
// sqrt(n) (Higham and Mary 2019, theorem 2.4: a bound of lambda sqrt(n) u that fails with probability 2
// exp(-lambda^2 / 2)); the 8 pays for the few operations around the sum.
double chain(double terms);

// "T=3 C=576"
std::string shape_text(const std::vector<std::pair<const char*, int64_t>>& sizes);
std::string format(const char* pattern, ...) __attribute__((format(printf, 1, 2)));

}  // namespace check
}  // namespace lsp
