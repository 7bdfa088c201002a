// embedding: columns of the panels, so a float brings a cache line of 64 bytes along; the traffic counts the
// floats.
#include "bench/bench.h"

namespace lsp {
namespace bench {
namespace {

void bench(Bencher& bencher) {
  const int64_t c = bencher.geometry.hidden, v = bencher.geometry.vocab;
  Buffer table = filled(panel_floats(v, c));
  for (const int64_t t : bencher.rows) {
    Buffer rows = filled(t * c);
    std::vector<int32_t> ids;
    for (int64_t i = 0; i < t; ++i) ids.push_back(static_cast<int32_t>(i * 7919 % v));
    const double floats = static_cast<double>(t * c);
    bencher.run("forward " + sizes({{"T", t}, {"C", c}}), 0, 4 * 2 * floats, [&] {
      bencher.kernels.embedding->forward(bencher.exec, {rows.data(), table.data(), ids.data(), t, c});
    });
    if (t < kTrainingRows) continue;
    bencher.run("backward " + sizes({{"T", t}, {"C", c}}), floats, 4 * 3 * floats, [&] {
      bencher.kernels.embedding->backward(bencher.exec, {table.data(), rows.data(), ids.data(), t, c, -1});
    });
  }
}

const Registration registration("embedding", bench);

}  // namespace
}  // namespace bench
}  // namespace lsp
