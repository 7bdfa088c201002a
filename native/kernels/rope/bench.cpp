// rope on the model's heads: turns q in place, k and v into the cache.
#include <algorithm>

#include "bench/bench.h"

namespace lsp {
namespace bench {
namespace {

void bench(Bencher& bencher) {
  const int64_t heads = bencher.geometry.heads, kv_heads = bencher.geometry.kv_heads,
                d = bencher.geometry.head_size,
                positions = *std::max_element(bencher.rows.begin(), bencher.rows.end());
  std::vector<float> frequency(d / 2), cosine(positions * d / 2), sine(positions * d / 2);
  rope_frequencies(frequency.data(), d, 100000.0, {});
  rope_table(cosine.data(), sine.data(), frequency.data(), 0, positions, d / 2);
  for (const int64_t t : bencher.rows) {
    Buffer q = filled(t * heads * d), k = filled(t * kv_heads * d), v = filled(t * kv_heads * d);
    const int64_t block = kv_layer_floats(kv_heads, d);
    Buffer blocks((t + kKvBlock - 1) / kKvBlock * block);
    std::vector<int32_t> at;
    std::vector<KvSlotWrite> writes;
    for (int32_t i = 0; i < t; ++i) {
      at.push_back(i);
      writes.push_back({blocks.data() + i / kKvBlock * block, i, i % static_cast<int32_t>(kKvBlock)});
    }
    const double q_floats = static_cast<double>(t * heads * d),
                 k_floats = static_cast<double>(t * kv_heads * d);
    bencher.run("forward " + sizes({{"T", t}, {"H", heads}, {"K", kv_heads}, {"D", d}}),
                3 * (q_floats + k_floats), 4 * (2 * q_floats + 4 * k_floats), [&] {
                  bencher.kernels.rope->forward(
                      bencher.exec, {q.data(), k.data(), v.data(), cosine.data(), sine.data(), at.data(),
                                     writes.data(), t, 0, t, heads, kv_heads, d});
                });
    if (t < kTrainingRows) continue;
    bencher.run("backward " + sizes({{"T", t}, {"H", heads}, {"K", kv_heads}, {"D", d}}),
                3 * (q_floats + k_floats), 4 * (2 * q_floats + 2 * k_floats), [&] {
                  bencher.kernels.rope->backward(
                      bencher.exec,
                      {q.data(), k.data(), cosine.data(), sine.data(), at.data(), t, heads, kv_heads, d});
                });
  }
}

const Registration registration("rope", bench);

}  // namespace
}  // namespace bench
}  // namespace lsp
