// The products of a layer: few rows as in decoding, many as in training. Weights rotate through more memory
// than most caches hold, as the layers of a model do.
#include "bench/bench.h"

namespace lsp {
namespace bench {
namespace {

// One of the two tables, with weights as it is used: in decoding, bfloat16 has frozen weights in bfloat16.
struct Precision {
  const char* name;
  const LinearKernels& linear;
  Arithmetic arithmetic;
};

class ShapeBench {
 public:
  ShapeBench(Bencher& bencher, const LayerProduct& shape, const Precision& precision)
      : bencher_(bencher), shape_(shape), precision_(precision) {
    for (const int64_t n : shape.n) {
      columns_ += n;
      floats_ += panel_floats(n, shape.k);
    }
    copies_ = cold_copies(floats_);
    weights_ = filled(copies_ * floats_);
  }

  void forward(int64_t t) {
    Buffer x = filled(t * shape_.k), y(t * columns_);
    const bool narrow = precision_.arithmetic == Arithmetic::bf16 && t < kTrainingRows;
    const double bytes = (narrow ? 2.0 : 4.0) * static_cast<double>(floats_) +
                         4.0 * static_cast<double>(t * (shape_.k + columns_));
    run("forward", t, columns_, bytes, [&] {
      LinearPart parts[3];
      const float* weight = next(weights_);
      float* out = y.data();
      for (size_t i = 0; i < shape_.n.size(); ++i) {
        parts[i] = {weight, shape_.n[i], out, shape_.n[i]};
        if (narrow) parts[i].weight = reinterpret_cast<const uint16_t*>(weight);
        weight += panel_floats(shape_.n[i], shape_.k) / (narrow ? 2 : 1);
        out += t * shape_.n[i];
      }
      precision_.linear.forward(bencher_.exec,
                                {parts, static_cast<int>(shape_.n.size()), x.data(), shape_.k, t, shape_.k});
    });
  }

  void backward(int64_t t) {
    const int64_t n = shape_.n[0], k = shape_.k;
    Buffer x = filled(t * k), dy = filled(t * n), gradients = filled(copies_ * floats_);
    const double bytes = 4.0 * static_cast<double>(n * k + t * (k + n));
    run("backward input", t, n, bytes, [&] {
      precision_.linear.backward_input(bencher_.exec,
                                       {x.data(), dy.data(), next(weights_), k, n, t, k, n, false});
    });
    run("backward weight", t, n, bytes, [&] {
      const LinearGradient part{next(gradients), dy.data(), n, n};
      precision_.linear.backward_weight(bencher_.exec, {&part, 1, x.data(), k, t, k});
    });
  }

 private:
  float* next(Buffer& copies) { return copies.data() + copy_++ % copies_ * floats_; }

  void run(const char* product, int64_t t, int64_t n, double bytes, const std::function<void()>& body) {
    const std::string name = std::string(precision_.name) + product + " " + shape_.name + " " +
                             sizes({{"T", t}, {"K", shape_.k}, {"N", n}});
    bencher_.run(name, 2.0 * static_cast<double>(t * shape_.k * n), bytes, body, precision_.arithmetic);
  }

  Bencher& bencher_;
  const LayerProduct& shape_;
  const Precision precision_;
  int64_t columns_ = 0, floats_ = 0, copies_ = 0, copy_ = 0;
  Buffer weights_;
};

void bench(Bencher& bencher) {
  const Kernels& kernels = bencher.kernels;
  for (const Precision& precision : {Precision{"", *kernels.linear, Arithmetic::f32},
                                     Precision{"bf16 ", *kernels.linear_bf16, Arithmetic::bf16}}) {
    for (const LayerProduct& shape : layer_products(bencher.geometry)) {
      ShapeBench cases(bencher, shape, precision);
      for (const int64_t t : bencher.rows) {
        cases.forward(t);
        if (t >= kTrainingRows) cases.backward(t);
      }
    }
  }
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
    const LinearGradient part{gradient.data(), y.data(), n, n};
    linear.backward_weight(bencher.exec, {&part, 1, x.data(), k, t, k});
  });
}

void bench_products(Bencher& bencher) {
  for (const Product& product : bencher.products) bench_product(bencher, product);
}

const Registration registration("linear", bench), products_registration("product", bench_products);

}  // namespace
}  // namespace bench
}  // namespace lsp
