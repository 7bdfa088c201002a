// bias: reads and writes a matrix once, and reads it once for the gradient.
#include "bench/bench.h"

namespace lsp {
namespace bench {
namespace {

void bench(Bencher& bencher) {
  const int64_t n = bencher.geometry.query_size();
  for (const int64_t t : bencher.rows) {
    Buffer y = filled(t * n), bias = filled(n), dbias(n);
    const double floats = static_cast<double>(t * n);
    bencher.run("forward " + sizes({{"T", t}, {"N", n}}), floats, 2 * 4 * floats, [&] {
      bencher.kernels.bias->forward(bencher.exec, {y.data(), bias.data(), t, n});
    });
    if (t < kTrainingRows) continue;
    bencher.run("backward " + sizes({{"T", t}, {"N", n}}), floats, 4 * floats, [&] {
      bencher.kernels.bias->backward(bencher.exec, {dbias.data(), y.data(), t, n});
    });
  }
}

const Registration registration("bias", bench);

}  // namespace
}  // namespace bench
}  // namespace lsp
