// grad_norm on as many parameters as the embedding has: one read.
#include "bench/bench.h"

namespace lsp {
namespace bench {
namespace {

void bench(Bencher& bencher) {
  const int64_t count = bencher.geometry.largest_matrix();
  const double floats = static_cast<double>(count);
  Buffer gradient = filled(count);
  double sum = 0;
  bencher.run("sum of squares " + sizes({{"count", count}}), 2 * floats, 4 * floats, [&] {
    bencher.kernels.grad_norm->sum_of_squares(bencher.exec, {&sum, gradient.data(), nullptr, count});
  });
}

const Registration registration("grad_norm", bench);

}  // namespace
}  // namespace bench
}  // namespace lsp
