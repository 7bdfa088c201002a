// The products of a layer and the LM head in int8, as sampling asks for them. Weights rotate through more
// memory than most caches hold.
#include "bench/bench.h"

namespace lsp {
namespace bench {
namespace {

// Floats for so many bytes.
int64_t floats_of(int64_t bytes) { return (bytes + 3) / 4; }

void bench_shape(Bencher& bencher, const LayerProduct& shape) {
  int64_t columns = 0, bytes = 0, scales = 0;
  for (const int64_t n : shape.n) {
    columns += n;
    bytes += int8_panel_bytes(n, shape.k);
    scales += panel_count(n) * kPanel;
  }
  const int64_t copies = (int64_t{1} << 28) / bytes + 1;
  Buffer weights = filled(floats_of(copies * bytes)), scale = filled(scales);
  int64_t copy = 0;
  for (const int64_t t : bencher.rows) {
    Buffer x = filled(t * shape.k), y(t * columns);
    const double traffic = static_cast<double>(bytes + 4 * t * (shape.k + columns));
    bencher.run(
        std::string(shape.name) + " " + sizes({{"T", t}, {"K", shape.k}, {"N", columns}}),
        2.0 * static_cast<double>(t * shape.k * columns), traffic,
        [&] {
          Int8Part parts[3];
          const uint8_t* at = reinterpret_cast<const uint8_t*>(weights.data()) + copy++ % copies * bytes;
          const float* of = scale.data();
          float* out = y.data();
          for (size_t i = 0; i < shape.n.size(); ++i) {
            parts[i] = {{at, of}, shape.n[i], out, shape.n[i]};
            at += int8_panel_bytes(shape.n[i], shape.k);
            of += panel_count(shape.n[i]) * kPanel;
            out += t * shape.n[i];
          }
          bencher.kernels.int8->forward(
              bencher.exec, {parts, static_cast<int>(shape.n.size()), x.data(), shape.k, t, shape.k});
        },
        Arithmetic::int8);
  }
}

void bench_head(Bencher& bencher) {
  const int64_t c = bencher.geometry.hidden, v = bencher.geometry.vocab, bytes = int8_panel_bytes(v, c);
  Buffer wide = filled(panel_floats(v, c)), values(floats_of(bytes)), scale(panel_count(v) * kPanel);
  const auto quantize = [&] {
    bencher.kernels.int8->quantize(bencher.exec, {reinterpret_cast<uint8_t*>(values.data()), scale.data(),
                                                  static_cast<const float*>(wide.data()), c, v});
  };
  bencher.run("quantize " + sizes({{"K", c}, {"N", v}}), 0, static_cast<double>(9 * v * c), quantize);
  const Int8Panels weight{reinterpret_cast<const uint8_t*>(values.data()), scale.data()};
  for (const int64_t t : bencher.rows) {
    Buffer hidden = filled(t * c), lse(t), entropy(t), logprob(t);
    if (t >= kTrainingRows) {
      const std::vector<int32_t> targets(static_cast<size_t>(t), static_cast<int32_t>(v / 2));
      bencher.run(
          "logprob " + sizes({{"T", t}, {"C", c}, {"V", v}}), 2.0 * static_cast<double>(t * c * v),
          static_cast<double>(bytes + 4 * t * c),
          [&] {
            bencher.kernels.int8->logprob(bencher.exec, {logprob.data(), entropy.data(), hidden.data(),
                                                         weight, targets.data(), t, c, v, 1.0f});
          },
          Arithmetic::int8);
      continue;
    }
    Buffer logits(t * v);
    bencher.run(
        "head " + sizes({{"T", t}, {"C", c}, {"V", v}}), 2.0 * static_cast<double>(t * c * v),
        static_cast<double>(bytes + 4 * t * (c + v)),
        [&] {
          bencher.kernels.int8->head(bencher.exec, {lse.data(), entropy.data(), nullptr, logits.data(),
                                                    hidden.data(), weight, t, c, v, 1.0f});
        },
        Arithmetic::int8);
  }
}

void bench(Bencher& bencher) {
  for (const LayerProduct& shape : layer_products(bencher.geometry)) bench_shape(bencher, shape);
  bench_head(bencher);
}

const Registration registration("int8", bench);

}  // namespace
}  // namespace bench
}  // namespace lsp
