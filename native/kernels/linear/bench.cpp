// The products of a layer, and any others: few rows as in decoding, many as in training. Weights rotate
// through more memory than the caches hold, as the layers of a model do.
#include "bench/bench.h"

namespace lsp {
namespace bench {
namespace {

struct Shape {
  const char* name;
  int64_t k;
  std::vector<int64_t> n;
};

std::vector<Shape> shapes_of(const Geometry& g) {
  return {{"qkv", g.hidden, {g.query_size(), g.kv_size(), g.kv_size()}},
          {"out", g.query_size(), {g.hidden}},
          {"gate+up", g.hidden, {g.ffn, g.ffn}},
          {"down", g.ffn, {g.hidden}}};
}

void bench_shape(Bencher& bencher, const Shape& shape) {
  int64_t columns = 0, floats = 0;
  for (const int64_t n : shape.n) {
    columns += n;
    floats += panel_floats(n, shape.k);
  }
  const int64_t copies = cold_copies(floats);
  Buffer weights = filled(copies * floats), gradients(copies * floats);
  int64_t copy = 0;
  const LinearKernels& linear = *bencher.kernels.linear;
  for (const int64_t t : bencher.rows) {
    Buffer x = filled(t * shape.k), y(t * columns);
    const double flops = 2.0 * static_cast<double>(t * shape.k * columns);
    const double bytes = 4.0 * static_cast<double>(floats + t * (shape.k + columns));
    const std::string name =
        std::string(shape.name) + " " + sizes({{"T", t}, {"K", shape.k}, {"N", columns}});
    bencher.run("forward " + name, flops, bytes, [&] {
      LinearPart parts[3];
      const float* weight = weights.data() + copy++ % copies * floats;
      float* out = y.data();
      for (size_t i = 0; i < shape.n.size(); ++i) {
        parts[i] = {weight, shape.n[i], out, shape.n[i]};
        weight += panel_floats(shape.n[i], shape.k);
        out += t * shape.n[i];
      }
      linear.forward(bencher.exec, {parts, static_cast<int>(shape.n.size()), x.data(), shape.k, t, shape.k});
    });
    if (t < kTrainingRows) continue;
    const int64_t n = shape.n[0];
    const double part_flops = 2.0 * static_cast<double>(t * shape.k * n);
    const double part_bytes = 4.0 * static_cast<double>(n * shape.k + t * (shape.k + n));
    const std::string part = std::string(shape.name) + " " + sizes({{"T", t}, {"K", shape.k}, {"N", n}});
    bencher.run("backward input " + part, part_flops, part_bytes, [&] {
      linear.backward_input(bencher.exec, {x.data(), y.data(), weights.data() + copy++ % copies * floats,
                                           shape.k, n, t, shape.k, n, false});
    });
    bencher.run("backward weight " + part, part_flops, part_bytes, [&] {
      linear.backward_weight(bencher.exec, {gradients.data() + copy++ % copies * floats, y.data(), x.data(),
                                            n, shape.k, t, shape.k, n});
    });
  }
}

void bench(Bencher& bencher) {
  for (const Shape& shape : shapes_of(bencher.geometry)) bench_shape(bencher, shape);
}

// Of few rows with cold weights, of many with the same ones again and again, as libraries are measured.
void bench_product(Bencher& bencher, const Product& product) {
  const auto& [t, k, n] = product;
  const int64_t floats = panel_floats(n, k), copies = t < kTrainingRows ? cold_copies(floats) : 1;
  Buffer weights = filled(copies * floats), gradient(floats), x = filled(t * k), y = filled(t * n);
  int64_t copy = 0;
  const auto weight = [&] { return weights.data() + copy++ % copies * floats; };
  const double flops = 2.0 * static_cast<double>(t * k) * static_cast<double>(n);
  const double bytes = 4.0 * static_cast<double>(floats + t * (k + n));
  const std::string name = sizes({{"T", t}, {"K", k}, {"N", n}});
  const LinearKernels& linear = *bencher.kernels.linear;
  bencher.run("forward " + name, flops, bytes, [&] {
    const LinearPart part{weight(), n, y.data(), n};
    linear.forward(bencher.exec, {&part, 1, x.data(), k, t, k});
  });
  if (t < kTrainingRows) return;
  bencher.run("backward input " + name, flops, bytes, [&] {
    linear.backward_input(bencher.exec, {x.data(), y.data(), weight(), k, n, t, k, n, false});
  });
  bencher.run("backward weight " + name, flops, bytes, [&] {
    linear.backward_weight(bencher.exec, {gradient.data(), y.data(), x.data(), n, k, t, k, n});
  });
}

void bench_products(Bencher& bencher) {
  for (const Product& product : bencher.products) bench_product(bencher, product);
}

const Registration registration("linear", bench), products_registration("product", bench_products);

}  // namespace
}  // namespace bench
}  // namespace lsp
