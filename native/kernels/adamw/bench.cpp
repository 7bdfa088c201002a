// adamw on 28 million parameters: reads weight, gradient and moments, writes weight and moments.
#include "bench/bench.h"

namespace lsp {
namespace bench {
namespace {

void bench(Bencher& bencher) {
  constexpr int64_t count = 49152 * 576;
  Buffer weight = filled(count), gradient = filled(count), m(count), v(count);
  bencher.run("step " + sizes({{"count", count}}), 14.0 * count, 4.0 * 7 * count, [&] {
    bencher.kernels.adamw->step(
        bencher.exec, {weight.data(), weight.data(), m.data(), v.data(), gradient.data(), nullptr, count,
                       1.0f, 1e-6f, 0.9f, 0.999f, 1e-8f, 0.0f, 0.1f, 0.001f});
  });
}

const Registration registration("adamw", bench);

}  // namespace
}  // namespace bench
}  // namespace lsp
