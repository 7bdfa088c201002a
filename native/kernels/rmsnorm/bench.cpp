// rmsnorm with the residual addition: reads residual and delta, writes their sum and y.
#include "bench/bench.h"

namespace lsp {
namespace bench {
namespace {

void bench(Bencher& bencher) {
  const int64_t c = bencher.geometry.hidden;
  for (const int64_t t : bencher.rows) {
    Buffer residual = filled(t * c), delta = filled(t * c), weight = filled(c), y(t * c), sum(t * c), rstd(t),
           dweight(c);
    const double floats = static_cast<double>(t * c);
    bencher.run("forward " + sizes({{"T", t}, {"C", c}}), 5 * floats, 4 * 4 * floats, [&] {
      bencher.kernels.rmsnorm->forward(bencher.exec, {y.data(), rstd.data(), sum.data(), residual.data(),
                                                      delta.data(), weight.data(), t, c, 1e-5f});
    });
    if (t < kTrainingRows) continue;
    bencher.run("backward " + sizes({{"T", t}, {"C", c}}), 12 * floats, 4 * 4 * floats, [&] {
      bencher.kernels.rmsnorm->backward(bencher.exec, {y.data(), dweight.data(), delta.data(),
                                                       residual.data(), rstd.data(), weight.data(), t, c});
    });
  }
}

const Registration registration("rmsnorm", bench);

}  // namespace
}  // namespace bench
}  // namespace lsp
