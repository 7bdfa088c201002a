// int8 against its oracle, against the chain of the contract, and against itself: see int8.h.
#include <algorithm>
#include <cmath>
#include <limits>

#include "check/check.h"
#include "kernels/int8/reference.h"

namespace lsp {
namespace check {
namespace {

std::vector<const Kernels*> variants(const Checker& checker) { return checker.variants_by(&Kernels::int8); }

struct Quantized {
  std::vector<uint8_t> values;
  std::vector<float> scale;
  Int8Panels panels() const { return {values.data(), scale.data()}; }
};

// Weights that share their input.
struct Problem {
  int64_t t, k;
  std::vector<int64_t> n;
  std::vector<float> x, weight[3];

  Problem(int64_t tokens, int64_t inputs, std::vector<int64_t> outputs)
      : t(tokens), k(inputs), n(std::move(outputs)) {
    x = random_values(t * k, 1, 3);
    for (size_t i = 0; i < n.size(); ++i) weight[i] = random_values(n[i] * k, 10 + i, 0.1);
  }
  std::string name() const {
    std::string text = shape_text({{"T", t}, {"K", k}});
    for (const int64_t part : n) text += format(" N=%d", static_cast<int>(part));
    return text;
  }
  double work() const {
    double sum = 0;
    for (const int64_t part : n) sum += static_cast<double>(t * k * part);
    return sum;
  }
};

Quantized quantized(const Kernels& kernels, Exec& exec, const Panels& weight, int64_t n, int64_t k) {
  Quantized q{std::vector<uint8_t>(int8_panel_bytes(n, k)), std::vector<float>(panel_count(n) * kPanel)};
  kernels.int8->quantize(exec, {q.values.data(), q.scale.data(), weight, k, n});
  return q;
}

// As integers (N, K), after a look at what lies outside.
Tensor integers(const std::string& name, const Quantized& q, int64_t n, int64_t k) {
  Tensor out{name, {n, k}, std::vector<float>(n * k)};
  const int64_t padded = (k + 3) / 4 * 4;
  for (int64_t row = 0; row < panel_count(n) * kPanel; ++row)
    for (int64_t i = 0; i < padded; ++i) {
      const int64_t at = (row / kPanel * padded / 4 + i / 4) * 4 * kPanel + row % kPanel * 4 + i % 4;
      const int value = q.values[at] - 128;
      if (row < n && i < k) {
        out.values[row * k + i] = static_cast<float>(value);
      } else if (value != 0) {
        out.values.assign(out.values.size(), std::numeric_limits<float>::quiet_NaN());
      }
    }
  return out;
}

// Rows [first, first + count), with a gap between rows of x and y that must be neither read nor written.
Tensors run(const Problem& p, const Kernels& kernels, Exec& exec, int64_t first, int64_t count) {
  constexpr int64_t kGap = 3;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  Tensors results;
  std::vector<float> x(count * (p.k + kGap), nan);
  for (int64_t row = 0; row < count; ++row)
    std::copy_n(p.x.begin() + (first + row) * p.k, p.k, x.begin() + row * (p.k + kGap));
  std::vector<Quantized> weights;
  std::vector<std::vector<float>> y;
  std::vector<Int8Part> parts;
  for (size_t i = 0; i < p.n.size(); ++i) {
    const std::vector<float> panels = to_panels(p.weight[i], p.n[i], p.k);
    weights.push_back(quantized(kernels, exec, panels.data(), p.n[i], p.k));
    y.emplace_back(count * (p.n[i] + kGap), nan);
  }
  for (size_t i = 0; i < p.n.size(); ++i)
    parts.push_back({weights[i].panels(), p.n[i], y[i].data(), p.n[i] + kGap});
  kernels.int8->forward(exec,
                        {parts.data(), static_cast<int>(parts.size()), x.data(), p.k + kGap, count, p.k});
  for (size_t i = 0; i < p.n.size(); ++i) {
    Tensor out{format("y%zu", i), {count, p.n[i]}, {}};
    bool gap_is_nan = true;
    for (int64_t row = 0; row < count; ++row) {
      const auto from = y[i].begin() + row * (p.n[i] + kGap);
      out.values.insert(out.values.end(), from, from + p.n[i]);
      gap_is_nan = gap_is_nan && std::all_of(from + p.n[i], from + p.n[i] + kGap,
                                             [](float value) { return std::isnan(value); });
    }
    if (!gap_is_nan) out.name += " wrote between rows";
    results.push_back(std::move(out));
    results.push_back(integers(format("q%zu", i), weights[i], p.n[i], p.k));
    results.push_back(
        {format("s%zu", i), {p.n[i]}, {weights[i].scale.begin(), weights[i].scale.begin() + p.n[i]}});
  }
  return results;
}

void compare(Case& c, const Problem& p, const Tensors& results) {
  const reference::QuantizedRows x = reference::quantize_rows(p.x.data(), p.t, p.k, kInt8Group);
  for (size_t i = 0; i < p.n.size(); ++i) {
    const reference::QuantizedRows w = reference::quantize_rows(p.weight[i].data(), p.n[i], p.k, p.k);
    const Tensor &q = find(results, format("q%zu", i)), &y = find(results, format("y%zu", i));
    bool sound = true;  // what a channel with a NaN holds beside its scale means nothing
    for (const float scale : w.scales) sound = sound && scale == scale;
    if (sound) c.same_bits(q, {q.name, {p.n[i], p.k}, w.values}, "the rounding of the contract");
    c.same_bits(find(results, format("s%zu", i)), {"", {p.n[i]}, w.scales}, "the scale of the contract");
    c.close(y, reference::int8_forward(x, w, p.t, p.k, p.n[i]),
            chain(static_cast<double>(p.k) / kInt8Group + 1));
    c.same_bits(y, {y.name, {p.t, p.n[i]}, reference::int8_forward_chain(x, w, p.t, p.k, p.n[i])},
                "the chain of the contract");
  }
}

void compare_batches(Case& c, const Problem& p, const Tensors& whole, const Kernels& kernels, Exec& exec) {
  for (const int64_t first : {int64_t{0}, p.t / 2, p.t - 1})
    for (const int64_t count : {int64_t{1}, p.t / 3, p.t - first}) {
      if (count == 0 || first + count > p.t) continue;
      for (const Tensor& y : run(p, kernels, exec, first, count))
        if (y.name[0] == 'y')
          c.same_bits(y, rows(find(whole, y.name), first, count),
                      format("%s, %d rows from %d on alone", kernels.isa, static_cast<int>(count),
                             static_cast<int>(first)));
    }
}

void check_problem(Checker& checker, const Problem& p, const std::string& what = "") {
  if (checker.leaves_out(p.work())) return;
  checker.test(p.name() + what, [&](Case& c) {
    const Tensors results = checker.sweep(
        c, p.work(), [&](const Kernels& kernels, Exec& exec) { return run(p, kernels, exec, 0, p.t); },
        variants(checker));
    compare(c, p, results);
    for (const Kernels* kernels : variants(checker))
      if (!checker.skips(*kernels, 4 * p.work())) compare_batches(c, p, results, *kernels, checker.exec(2));
  });
}

// Every product at its largest: sums of 16 bits would overflow, sums of products that saturate would be off.
Problem extremes(float x, float w) {
  Problem p(14, 200, {40});
  std::fill(p.x.begin(), p.x.end(), x);
  std::fill(p.weight[0].begin(), p.weight[0].end(), w);
  return p;
}

// Halves between two integers, groups and channels of zeros, of values too small to count, and with one value
// that dwarfs the others.
Problem edges() {
  Problem p(6, 150, {35});
  const auto set = [&](std::vector<float>& matrix, int64_t row) {
    float* values = matrix.data() + row * p.k;
    for (int64_t i = 0; i < p.k; ++i) values[i] = static_cast<float>(i % 254 - 127) * 0.5f;
    values[3] = 127.0f;
    values[70] = -127.0f;
    values[130] = 127.0f;
  };
  set(p.x, 0);
  set(p.weight[0], 0);
  for (std::vector<float>* matrix : {&p.x, &p.weight[0]}) {
    std::fill_n(matrix->begin() + p.k, p.k, 0.0f);
    std::fill_n(matrix->begin() + 2 * p.k, p.k, 1e-36f);
    (*matrix)[3 * p.k + 5] = 1e15f;
    (*matrix)[4 * p.k + 149] = -0.0f;
  }
  return p;
}

// NaN and infinity reach exactly the outputs that depend on them.
void check_nan(Checker& checker) {
  checker.test("NaN and infinity stay in their rows and columns", [&](Case& c) {
    Problem p(9, 130, {50});
    p.x[4 * p.k + 129] = std::numeric_limits<float>::quiet_NaN();
    p.x[6 * p.k] = std::numeric_limits<float>::infinity();
    p.weight[0][33 * p.k] = std::numeric_limits<float>::quiet_NaN();
    p.weight[0][40 * p.k + 7] = -std::numeric_limits<float>::infinity();
    Tensors results;
    const auto outputs = [&](const Kernels& kernels, Exec& exec) {
      results = run(p, kernels, exec, 0, p.t);
      return Tensors{find(results, "y0"), find(results, "s0")};
    };
    checker.sweep(c, p.work(), outputs, variants(checker));
    compare(c, p, results);
    const Tensor& y = find(results, "y0");
    for (int64_t row = 0; row < p.t; ++row)
      for (int64_t n = 0; n < p.n[0]; ++n)
        c.that(std::isnan(y.values[row * p.n[0] + n]) == (row == 4 || row == 6 || n == 33 || n == 40),
               format("row %d, column %d", static_cast<int>(row), static_cast<int>(n)));
  });
}

// bfloat16 panels: the integers of f32 panels that hold the same values.
void check_narrow(Checker& checker, int64_t n, int64_t k) {
  checker.test("bfloat16 " + shape_text({{"N", n}, {"K", k}}), [&](Case& c) {
    std::vector<float> weight = random_values(n * k, 5);
    const std::vector<uint16_t> narrow = to_bfloat16_panels(weight, n, k);
    const std::vector<float> wide = to_panels(weight, n, k);
    for (const Kernels* kernels : variants(checker)) {
      const Quantized a = quantized(*kernels, checker.exec(2), narrow.data(), n, k);
      const Quantized b = quantized(*kernels, checker.exec(1), wide.data(), n, k);
      c.that(a.values == b.values && a.scale == b.scale, kernels->isa);
    }
  });
}

void check_head(Checker& checker, int64_t t, int64_t hidden, int64_t v) {
  checker.test("head " + shape_text({{"T", t}, {"C", hidden}, {"V", v}}), [&](Case& c) {
    Problem p(t, hidden, {v});
    std::vector<int32_t> targets;
    for (int64_t row = 0; row < t; ++row) targets.push_back(static_cast<int32_t>((7 * row + 1) % v));
    const Tensors results = checker.sweep(
        c, 2 * p.work(),
        [&](const Kernels& kernels, Exec& exec) {
          const std::vector<float> panels = to_panels(p.weight[0], v, hidden);
          const Quantized weight = quantized(kernels, exec, panels.data(), v, hidden);
          Tensors out{
              {"lse", {t}, std::vector<float>(t)},          {"entropy", {t}, std::vector<float>(t)},
              {"tempered lse", {t}, std::vector<float>(t)}, {"logits", {t, v}, std::vector<float>(t * v)},
              {"logprob", {t}, std::vector<float>(t)},      {"tempered entropy", {t}, std::vector<float>(t)}};
          kernels.int8->head(exec, {out[0].values.data(), out[1].values.data(), out[2].values.data(),
                                    out[3].values.data(), p.x.data(), weight.panels(), t, hidden, v, 0.5f});
          kernels.int8->logprob(exec, {out[4].values.data(), out[5].values.data(), p.x.data(),
                                       weight.panels(), targets.data(), t, hidden, v, 0.5f});
          return out;
        },
        variants(checker));
    const Tensor& logits = find(results, "logits");
    const Tensors products = run(p, *variants(checker).front(), checker.exec(1), 0, t);
    c.same_bits(logits, {"logits", {t, v}, find(products, "y0").values}, "the product");
    const reference::RowTotals totals = reference::row_totals(logits.values.data(), t, v);
    std::vector<float> halves = logits.values;
    for (float& logit : halves) logit *= 0.5f;
    const reference::RowTotals tempered = reference::row_totals(halves.data(), t, v);
    c.close(find(results, "tempered lse"), tempered.lse, 16);
    c.close(find(results, "tempered entropy"), tempered.entropy, 32);
    std::vector<float> logprobs;
    for (int64_t row = 0; row < t; ++row)
      logprobs.push_back(halves[row * v + targets[row]] - find(results, "tempered lse").values[row]);
    c.same_bits(find(results, "logprob"), {"logprob", {t}, logprobs}, "logit and lse of the head");
    c.close(find(results, "lse"), totals.lse, 16);
    c.close(find(results, "entropy"), totals.entropy, 32);
  });
}

void check(Checker& checker) {
  // Size 1, sizes around four inputs, the group, the panel, the tiles of rows, then the models' own.
  check_problem(checker, Problem(1, 1, {1}));
  check_problem(checker, Problem(2, 3, {33}));
  check_problem(checker, Problem(3, 5, {31}));
  check_problem(checker, Problem(7, 64, {32, 16, 17}));
  check_problem(checker, Problem(13, 63, {65, 1}));
  check_problem(checker, Problem(29, 66, {47}));
  check_problem(checker, Problem(150, 129, {70}));
  check_problem(checker, Problem(3, 20000, {40}));
  check_problem(checker, Problem(70, 20000, {33}));          // more rows than are taken together
  check_problem(checker, Problem(1, 576, {576, 192, 192}));  // SmolLM2-135M: q, k and v
  check_problem(checker, Problem(17, 576, {576, 192, 192}));
  check_problem(checker, Problem(32, 576, {1536, 1536}));  // gate and up
  check_problem(checker, Problem(8, 1536, {576}));         // down
  check_problem(checker, edges(), ", edges");
  for (const float sign : {1.0f, -1.0f}) {
    check_problem(checker, extremes(1.0f, sign), ", largest products");
    check_problem(checker, extremes(-1.0f, sign), ", largest products, negative inputs");
  }
  check_nan(checker);
  check_narrow(checker, 33, 70);
  check_narrow(checker, 64, 576);
  check_head(checker, 1, 40, 3);
  check_head(checker, 5, 96, 1100);
  check_head(checker, 33, 64, 513);
  check_head(checker, 131, 64, 600);  // more rows than are scored together
}

const Registration registration("int8", check);

}  // namespace
}  // namespace check
}  // namespace lsp
