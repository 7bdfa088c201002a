// adamw on as many parameters as the embedding has: reads weight, gradient and moments, writes weight and
// moments.
#include "bench/bench.h"

namespace lsp {
namespace bench {
namespace {

void bench(Bencher& bencher) {
  const int64_t count = bencher.geometry.largest_matrix();
  const double floats = static_cast<double>(count);
  Buffer weight = filled(count), gradient = filled(count), m(count), v(count);
  bencher.run("step " + sizes({{"count", count}}), 14 * floats, 4 * 7 * floats, [&] {
    bencher.kernels.adamw->step(
        bencher.exec, {weight.data(), weight.data(), m.data(), v.data(), gradient.data(), nullptr, count,
                       1.0f, 1e-6f, 0.9f, 0.999f, 1e-8f, 0.0f, 0.1f, 0.001f});
  });
}

const Registration registration("adamw", bench);

}  // namespace
}  // namespace bench
}  // namespace lsp
