// grad_norm on 28 million parameters: one read.
#include "bench/bench.h"

namespace lsp {
namespace bench {
namespace {

void bench(Bencher& bencher) {
  constexpr int64_t count = 49152 * 576;
  Buffer gradient = filled(count);
  double sum = 0;
  bencher.run("sum of squares " + sizes({{"count", count}}), 2.0 * count, 4.0 * count, [&] {
    bencher.kernels.grad_norm->sum_of_squares(bencher.exec, {&sum, gradient.data(), nullptr, count});
  });
}

const Registration registration("grad_norm", bench);

}  // namespace
}  // namespace bench
}  // namespace lsp
