// sampling from rows of the model's vocabulary, as decoding does for the sequences of a batch.
#include "bench/bench.h"

namespace lsp {
namespace bench {
namespace {

void bench(Bencher& bencher) {
  const int64_t v = bencher.geometry.vocab;
  struct Mode {
    const char* name;
    float temperature;
    int64_t top_k;
    float top_p;
  };
  for (const int64_t count : bencher.rows) {
    if (count >= kTrainingRows) continue;
    Buffer logits = filled(count * v);
    std::vector<SamplingRow> rows;
    for (int64_t i = 0; i < count; ++i) rows.push_back({logits.data() + i * v, 0.37, nullptr, 0});
    std::vector<int32_t> tokens(count);
    for (const Mode& mode : {Mode{"greedy", 0, 0, 1}, Mode{"temperature 1", 1, 0, 1},
                             Mode{"top-k 50", 1, 50, 1}, Mode{"top-p 0.9", 1, 0, 0.9f}}) {
      bencher.run(std::string(mode.name) + " " + sizes({{"T", count}, {"V", v}}), 0,
                  4.0 * static_cast<double>(count * v), [&] {
                    bencher.kernels.sampling->sample(
                        bencher.exec,
                        {tokens.data(), rows.data(), count, v, mode.temperature, mode.top_k, mode.top_p});
                  });
    }
  }
}

const Registration registration("sampling", bench);

}  // namespace
}  // namespace bench
}  // namespace lsp
