// grad_norm against its oracle and against itself: see grad_norm.h.
#include <cmath>
#include <cstring>
#include <limits>

#include "check/check.h"
#include "kernels/grad_norm/reference.h"

namespace lsp {
namespace check {
namespace {

struct Problem {
  std::vector<float> gradient, gradient2;
  bool two_parts;
};

double run(const Problem& p, const Kernels& kernels, Exec& exec) {
  double sum = -1;
  kernels.grad_norm->sum_of_squares(exec,
                                    {&sum, p.gradient.data(), p.two_parts ? p.gradient2.data() : nullptr,
                                     static_cast<int64_t>(p.gradient.size())});
  return sum;
}

// The result is a double, so variants and threads are compared here and not by Checker::sweep.
double sweep(Checker& checker, Case& c, const Problem& p) {
  const double first = run(p, *checker.variants().front(), checker.exec(1));
  for (const Kernels* kernels : checker.variants())
    for (int threads = 1; threads <= 3; ++threads) {
      const double sum = run(p, *kernels, checker.exec(threads));
      c.that(std::memcmp(&sum, &first, sizeof sum) == 0 || (std::isnan(sum) && std::isnan(first)),
             format("%s with %d threads: got %.17g expected the bits of %.17g", kernels->isa, threads, sum,
                    first));
    }
  return first;
}

void check(Checker& checker) {
  for (const int64_t count : {1, 15, 16, 17, 4095, 4096, 4097, 40961, 1000003}) {
    for (const bool two_parts : {false, true}) {
      checker.test(
          format("count=%d%s", static_cast<int>(count), two_parts ? " two parts" : ""), [&](Case& c) {
            const Problem p{random_values(count, 1), random_values(count, 2), two_parts};
            const double sum = sweep(checker, c, p);
            const double expected =
                reference::sum_of_squares(p.gradient.data(), two_parts ? p.gradient2.data() : nullptr, count);
            // A block is 16 chains of 256 positive terms; where two parts cancel, the rounding of x + y is
            // relative to x, but then the square hardly counts.
            const double tolerance = chain(256) / (1 << 24) * expected;
            c.that(std::fabs(sum - expected) <= tolerance,
                   format("got %.17g expected %.17g tolerance %.3g", sum, expected, tolerance));
          });
    }
  }
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    checker.test(format("not finite with %g in it", static_cast<double>(bad)), [&](Case& c) {
      for (const int64_t at : {0, 5000, 9999}) {
        Problem p{random_values(10000, 1), random_values(10000, 2), true};
        (at == 5000 ? p.gradient2 : p.gradient)[at] = bad;
        c.that(!std::isfinite(sweep(checker, c, p)), format("element %d: finite", static_cast<int>(at)));
      }
    });
  }
}

const Registration registration("grad_norm", check);

}  // namespace
}  // namespace check
}  // namespace lsp
