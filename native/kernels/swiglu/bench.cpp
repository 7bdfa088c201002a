// swiglu: two streams in and one out forward, three in and two out backward.
#include "bench/bench.h"

namespace lsp {
namespace bench {
namespace {

void bench(Bencher& bencher) {
  const int64_t f = bencher.geometry.ffn;
  for (const int64_t t : bencher.rows) {
    Buffer gate = filled(t * f), up = filled(t * f), dy = filled(t * f), y(t * f), dup(t * f);
    const double floats = static_cast<double>(t * f);
    bencher.run("forward " + sizes({{"T", t}, {"F", f}}), 26 * floats, 4 * 3 * floats, [&] {
      bencher.kernels.swiglu->forward(bencher.exec, {y.data(), gate.data(), up.data(), t * f});
    });
    if (t < kTrainingRows) continue;
    bencher.run("backward " + sizes({{"T", t}, {"F", f}}), 32 * floats, 4 * 5 * floats, [&] {
      bencher.kernels.swiglu->backward(bencher.exec,
                                       {y.data(), dup.data(), dy.data(), gate.data(), up.data(), t * f});
    });
  }
}

const Registration registration("swiglu", bench);

}  // namespace
}  // namespace bench
}  // namespace lsp
