// linear against its oracle, against the chain of the contract, and against itself: see linear.h.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "check/check.h"
#include "core/error.h"
#include "kernels/linear/reference.h"
#include "kernels/quantize/reference.h"

namespace lsp {
namespace check {
namespace {

const float kGap =
    std::numeric_limits<float>::quiet_NaN();  // in the gaps between rows: must be neither read nor written

// A few weights that share their input, with rows further apart than they are long.
struct Problem {
  int64_t t, k;
  std::vector<int64_t> n;  // of each part
  int64_t gap;             // floats between rows of x, y, dx and dy
  bool has_nan = false;
  std::vector<float> x, dx, dy[3], weight[3], dweight[3];
  int64_t rank;                       // of the terms
  std::vector<float> h, down, up[3];  // (t, rank), (rank, k), (n, rank)

  Problem(int64_t tokens, int64_t inputs, std::vector<int64_t> outputs, int64_t row_gap)
      : t(tokens), k(inputs), n(std::move(outputs)), gap(row_gap) {
    x = random_values(t * k, 1);
    dx = random_values(t * k, 2);
    rank = 1 + (t + k) % 50;
    h = random_values(t * rank, 3);
    down = random_values(rank * k, 4);
    for (size_t i = 0; i < n.size(); ++i) {
      weight[i] = random_values(n[i] * k, 10 + i);
      dy[i] = random_values(t * n[i], 20 + i);
      dweight[i] = random_values(n[i] * k, 30 + i);
      up[i] = random_values(n[i] * rank, 40 + i);
    }
  }
  std::string name() const {
    std::string text = shape_text({{"T", t}, {"K", k}});
    for (const int64_t part : n) text += format(" N=%d", static_cast<int>(part));
    if (gap > 0) text += format(" and %d floats between rows", static_cast<int>(gap));
    return text;
  }
  double work() const {
    double sum = 0;
    for (const int64_t part : n)
      sum += 4.0 * static_cast<double>(t) * static_cast<double>(k) * static_cast<double>(part);
    return sum;
  }
};

std::vector<float> spread(const std::vector<float>& matrix, int64_t t, int64_t width, int64_t gap) {
  std::vector<float> out(t * (width + gap), kGap);
  for (int64_t row = 0; row < t; ++row)
    std::copy_n(matrix.begin() + row * width, width, out.begin() + row * (width + gap));
  return out;
}

Tensor gather(const std::string& name, const std::vector<float>& spread_out, int64_t t, int64_t width,
              int64_t gap) {
  Tensor out{name, {t, width}, std::vector<float>(t * width)};
  for (int64_t row = 0; row < t; ++row) {
    std::copy_n(spread_out.begin() + row * (width + gap), width, out.values.begin() + row * width);
    for (int64_t i = width; i < width + gap; ++i)
      if (!std::isnan(spread_out[row * (width + gap) + i]))
        throw Error("INTERNAL", name + ": wrote between rows");
  }
  return out;
}

// Floats before the first whole cache line: aligned results may take another way into memory.
constexpr int64_t kLineFloats = 16;
int64_t line_offset(const std::vector<float>& memory) {
  return static_cast<int64_t>(-reinterpret_cast<uintptr_t>(memory.data()) / sizeof(float)) &
         (kLineFloats - 1);
}

using Table = const LinearKernels* Kernels::*;

// Rows [first, first + count) of every product. dW is cut at `cut` rows.
Tensors run(const Problem& p, const Kernels& kernels, Exec& exec, int64_t first, int64_t count, int64_t cut,
            Table table = &Kernels::linear) {
  const LinearKernels& linear = *(kernels.*table);
  Tensors results;
  const auto part_of = [&](const std::vector<float>& matrix, int64_t width) {
    return std::vector<float>(matrix.begin() + first * width, matrix.begin() + (first + count) * width);
  };
  const std::vector<float> x = spread(part_of(p.x, p.k), count, p.k, p.gap);
  std::vector<LinearPart> parts(p.n.size());
  std::vector<std::vector<float>> y(p.n.size()), weights(p.n.size());
  for (size_t i = 0; i < p.n.size(); ++i) {
    weights[i] = to_panels(p.weight[i], p.n[i], p.k);
    y[i].assign(count * (p.n[i] + p.gap) + kLineFloats, kGap);
    parts[i] = {weights[i].data(), p.n[i], y[i].data() + line_offset(y[i]), p.n[i] + p.gap};
  }
  linear.forward(exec, {parts.data(), static_cast<int>(parts.size()), x.data(), p.k + p.gap, count, p.k});
  const auto take = [&](const std::string& suffix) {
    for (size_t i = 0; i < p.n.size(); ++i) {
      const std::vector<float> rows(y[i].begin() + line_offset(y[i]), y[i].end());
      results.push_back(gather(format("y%zu", i) + suffix, rows, count, p.n[i], p.gap));
    }
  };
  take("");

  // With a term each but for the second: the chain goes on.
  const std::vector<float> h = part_of(p.h, p.rank), down = to_panels(p.down, p.rank, p.k);
  std::vector<std::vector<float>> up(p.n.size());
  for (size_t i = 0; i < p.n.size(); ++i) {
    up[i] = to_panels(p.up[i], p.n[i], p.rank);
    if (i != 1) parts[i].term = {h.data(), up[i].data(), p.rank};
  }
  linear.forward(exec, {parts.data(), static_cast<int>(parts.size()), x.data(), p.k + p.gap, count, p.k});
  take(" with a term");

  const auto input = [&](const char* name, bool accumulate, const LowRankTerm& term) {
    std::vector<float> dx = spread(part_of(p.dx, p.k), count, p.k, p.gap);
    const std::vector<float> dy = spread(part_of(p.dy[0], p.n[0]), count, p.n[0], p.gap);
    linear.backward_input(exec, {dx.data(), dy.data(), weights[0].data(), p.k + p.gap, p.n[0] + p.gap, count,
                                 p.k, p.n[0], accumulate, term});
    results.push_back(gather(name, dx, count, p.k, p.gap));
  };
  input("dx", false, {});
  input("dx added", true, {});
  input("dx with a term", true, {h.data(), down.data(), p.rank});

  std::vector<std::vector<float>> dweight(p.n.size()), dy(p.n.size());
  for (size_t i = 0; i < p.n.size(); ++i) {
    dweight[i] = to_panels(p.dweight[i], p.n[i], p.k);
    dy[i] = spread(part_of(p.dy[i], p.n[i]), count, p.n[i], p.gap);
  }
  const int64_t cuts[3] = {0, cut, count};
  for (int c = 0; c < 2; ++c) {
    const int64_t from = cuts[c], length = cuts[c + 1] - from;
    if (length == 0) continue;
    std::vector<LinearGradient> gradients;
    for (size_t i = 0; i < p.n.size(); ++i)
      gradients.push_back(
          {dweight[i].data(), dy[i].data() + from * (p.n[i] + p.gap), p.n[i] + p.gap, p.n[i]});
    linear.backward_weight(exec, {gradients.data(), static_cast<int>(gradients.size()),
                                  x.data() + from * (p.k + p.gap), p.k + p.gap, length, p.k});
  }
  for (size_t i = 0; i < p.n.size(); ++i) {
    if (!p.has_nan && !padding_is_zero(dweight[i], p.n[i], p.k))
      throw Error("INTERNAL", "dW: a padded column is not zero");
    results.push_back({format("dW%zu", i), {p.n[i], p.k}, from_panels(dweight[i], p.n[i], p.k)});
  }
  return results;
}

// What a term adds to the product without it.
void compare_terms(Case& c, const Problem& p, const Tensors& results) {
  for (size_t i = 0; i < p.n.size(); ++i) {
    Expected want = reference::linear_forward(p.x.data(), p.weight[i].data(), p.t, p.k, p.n[i]);
    if (i != 1) want.add(reference::linear_forward(p.h.data(), p.up[i].data(), p.t, p.rank, p.n[i]));
    c.close(find(results, format("y%zu with a term", i)), want, chain(p.k + p.rank));
  }
  Expected want =
      reference::linear_backward_input(p.dy[0].data(), p.weight[0].data(), p.dx.data(), p.t, p.k, p.n[0]);
  want.add(reference::linear_backward_input(p.h.data(), p.down.data(), nullptr, p.t, p.k, p.rank));
  c.close(find(results, "dx with a term"), want, chain(p.n[0] + p.rank));
}

// Tolerances: chains of K, N and T terms.
void compare(Case& c, const Problem& p, const Tensors& results) {
  for (size_t i = 0; i < p.n.size(); ++i) {
    c.close(find(results, format("y%zu", i)),
            reference::linear_forward(p.x.data(), p.weight[i].data(), p.t, p.k, p.n[i]), chain(p.k));
    c.close(
        find(results, format("dW%zu", i)),
        reference::linear_backward_weight(p.dy[i].data(), p.x.data(), p.dweight[i].data(), p.t, p.k, p.n[i]),
        chain(p.t));
  }
  const float *dy = p.dy[0].data(), *weight = p.weight[0].data();
  c.close(find(results, "dx"), reference::linear_backward_input(dy, weight, nullptr, p.t, p.k, p.n[0]),
          chain(p.n[0]));
  c.close(find(results, "dx added"),
          reference::linear_backward_input(dy, weight, p.dx.data(), p.t, p.k, p.n[0]), chain(p.n[0]));
  compare_terms(c, p, results);
}

// The contract names the chain of every element, so the bits themselves can be foretold.
void compare_chain(Case& c, const Problem& p, const Tensors& results) {
  Tensor y{"y0", {p.t, p.n[0]}, std::vector<float>(p.t * p.n[0])};
  reference::linear_forward_chain(y.values.data(), p.x.data(), p.weight[0].data(), p.t, p.k, p.n[0]);
  Tensor dx{"dx", {p.t, p.k}, std::vector<float>(p.t * p.k)};
  reference::linear_backward_input_chain(dx.values.data(), p.dy[0].data(), p.weight[0].data(), p.t, p.k,
                                         p.n[0]);
  Tensor added{"dx added", {p.t, p.k}, p.dx};
  reference::linear_backward_input_chain(added.values.data(), p.dy[0].data(), p.weight[0].data(), p.t, p.k,
                                         p.n[0]);
  Tensor dweight{"dW0", {p.n[0], p.k}, p.dweight[0]};
  reference::linear_backward_weight_chain(dweight.values.data(), p.dy[0].data(), p.x.data(), p.t, p.k,
                                          p.n[0]);
  // y += h B^T is the chain of dx += dy W with B transposed.
  std::vector<float> transposed(p.rank * p.n[0]);
  for (int64_t n = 0; n < p.n[0]; ++n)
    for (int64_t r = 0; r < p.rank; ++r) transposed[r * p.n[0] + n] = p.up[0][n * p.rank + r];
  Tensor more{"y0 with a term", {p.t, p.n[0]}, y.values};
  reference::linear_backward_input_chain(more.values.data(), p.h.data(), transposed.data(), p.t, p.n[0],
                                         p.rank);
  Tensor with_term{"dx with a term", {p.t, p.k}, added.values};
  reference::linear_backward_input_chain(with_term.values.data(), p.h.data(), p.down.data(), p.t, p.k,
                                         p.rank);
  for (const Tensor* want : {&y, &more, &dx, &added, &with_term, &dweight})
    c.same_bits(find(results, want->name), *want, "the chain of the contract");
}

// Rows keep their bits in any batch, and the gradient of the weight keeps its bits wherever the tokens are
// cut.
void compare_batches(Case& c, const Problem& p, const Tensors& whole, const Kernels& kernels, Exec& exec,
                     Table table = &Kernels::linear, int64_t cut_step = 1) {
  for (const int64_t first : {int64_t{0}, p.t / 2, p.t - 1}) {
    for (const int64_t count : {int64_t{1}, p.t / 3, p.t - first}) {
      if (count == 0 || first + count > p.t) continue;
      Tensors part = run(p, kernels, exec, first, count, 0, table);
      const std::string context = format("%s, %d rows from %d on alone", kernels.isa, static_cast<int>(count),
                                         static_cast<int>(first));
      for (const Tensor& tensor : part)
        if (tensor.name[1] != 'W') c.same_bits(tensor, rows(find(whole, tensor.name), first, count), context);
    }
  }
  for (const int64_t at : {int64_t{1}, p.t / 2, p.t - 1}) {
    const int64_t cut = at / cut_step * cut_step;
    const Tensors part = run(p, kernels, exec, 0, p.t, cut, table);
    for (size_t i = 0; i < p.n.size(); ++i) {
      const std::string name = format("dW%zu", i);
      c.same_bits(find(part, name), find(whole, name),
                  format("%s, cut after row %d", kernels.isa, static_cast<int>(cut)));
    }
  }
}

// bfloat16 panels: the bits of f32 panels that hold the same values.
void check_narrow(Checker& checker, Problem p) {
  if (checker.leaves_out(p.work())) return;
  checker.test(p.name() + ", bfloat16", [&](Case& c) {
    const size_t parts = p.n.size();
    std::vector<std::vector<uint16_t>> narrow(parts);
    for (size_t i = 0; i < parts; ++i) narrow[i] = to_bfloat16_panels(p.weight[i], p.n[i], p.k);
    const Tensors results = checker.sweep(c, p.work(), [&](const Kernels& kernels, Exec& exec) {
      Tensors out;
      std::vector<LinearPart> linear;
      for (size_t i = 0; i < parts; ++i)
        out.push_back({format("y%zu", i), {p.t, p.n[i]}, std::vector<float>(p.t * p.n[i])});
      for (size_t i = 0; i < parts; ++i)
        linear.push_back({narrow[i].data(), p.n[i], out[i].values.data(), p.n[i]});
      kernels.linear->forward(exec, {linear.data(), static_cast<int>(parts), p.x.data(), p.k, p.t, p.k});
      out.push_back({"dx", {p.t, p.k}, std::vector<float>(p.t * p.k)});
      kernels.linear->backward_input(exec, {out.back().values.data(), p.dy[0].data(), narrow[0].data(), p.k,
                                            p.n[0], p.t, p.k, p.n[0], false});
      return out;
    });
    const Tensors wide = run(p, *checker.variants().front(), checker.exec(1), 0, p.t, 0);
    for (const Tensor& y : results) c.same_bits(y, find(wide, y.name), "f32 panels of the same values");
  });
}

void check_problem(Checker& checker, const Problem& p) {
  if (checker.leaves_out(p.work())) return;
  checker.test(p.name(), [&](Case& c) {
    const Tensors results = checker.sweep(
        c, p.work(), [&](const Kernels& kernels, Exec& exec) { return run(p, kernels, exec, 0, p.t, 0); });
    compare(c, p, results);
    compare_chain(c, p, results);
    for (const Kernels* kernels : checker.variants())
      if (!checker.skips(*kernels, 4 * p.work())) compare_batches(c, p, results, *kernels, checker.exec(2));
  });
}

// The same contracts in bfloat16. The oracle has rounded inputs and sums in double precision; dx and dW go on
// from values that are not rounded. Each table is held against itself alone, and its dW against cuts at
// multiples of 32 rows.
void check_bf16(Checker& checker, const Problem& p) {
  if (checker.leaves_out(p.work())) return;
  Problem rounded = p;
  for (std::vector<float>* values : {&rounded.x, &rounded.weight[0], &rounded.weight[1], &rounded.weight[2],
                                     &rounded.dy[0], &rounded.dy[1], &rounded.dy[2], &rounded.h,
                                     &rounded.down, &rounded.up[0], &rounded.up[1], &rounded.up[2]})
    round_to_bfloat16(*values);
  const Table table = &Kernels::linear_bf16;
  for (const Kernels* kernels : checker.variants_by(table)) {
    checker.test(p.name() + ", products in bfloat16, " + kernels->isa, [&](Case& c) {
      const auto all = [&](const Kernels& k, Exec& exec) { return run(p, k, exec, 0, p.t, 0, table); };
      const Tensors results = checker.sweep(c, p.work(), all, {kernels});
      compare(c, rounded, results);
      if (checker.skips(*kernels, 4 * p.work()) || p.has_nan) return;
      compare_batches(c, p, results, *kernels, checker.exec(2), table, kBfloat16Rows);
    });
  }
}

// The rounding of factors, at its edges, the same on every variant. Each product has a diagonal matrix of
// such values for one factor and ones for the other, so that every output is one rounded value.
void check_rounding(Checker& checker) {
  std::vector<float> edges;
  for (const uint32_t bits : {
           0x7f7fffffu, 0x7f7f8000u,                            // infinity: the largest float, a tie
           0x7f7f7fffu, 0x7f7e8001u, 0x7f7e8000u, 0x7f7d8000u,  // above, below and at ties near the largest
           0x7f800000u, 0x7f800001u, 0x7fc00000u, 0x7fffffffu,  // infinity and NaN
           0x3f808000u, 0x3f808001u, 0x3f818000u, 0x3f817fffu,  // about 1
           0x01000000u, 0x01008000u, 0x007fffffu, 0x00000001u   // small and denormal
       })
    for (const uint32_t sign : {0u, 0x80000000u, 0u}) {
      const uint32_t word = bits | sign;
      float value;
      std::memcpy(&value, &word, 4);
      edges.push_back(value);
    }
  const int64_t n = static_cast<int64_t>(edges.size());
  const std::vector<float> ones(n * n, 1.0f);
  std::vector<float> diagonal(n * n);
  for (int64_t i = 0; i < n; ++i) diagonal[i * n + i] = edges[i];
  for (const bool is_left : {true, false}) {
    checker.test(is_left ? "rounding of x and dy" : "rounding of weights, and of x in dW", [&](Case& c) {
      const std::vector<float>&left = is_left ? diagonal : ones, &right = is_left ? ones : diagonal;
      const std::vector<float> weight = to_panels(right, n, n);
      const auto run_all = [&](const Kernels& kernels, Exec& exec) {
        Tensor y{"y", {n, n}, std::vector<float>(n * n)}, dx{"dx", {n, n}, y.values};
        std::vector<float> dweight = to_panels(y.values, n, n);
        const LinearKernels& linear = *kernels.linear_bf16;
        const LinearPart part{weight.data(), n, y.values.data(), n};
        linear.forward(exec, {&part, 1, left.data(), n, n, n});
        linear.backward_input(exec, {dx.values.data(), left.data(), weight.data(), n, n, n, n, n, false});
        const LinearGradient gradient{dweight.data(), left.data(), n, n};
        linear.backward_weight(exec, {&gradient, 1, right.data(), n, n, n});
        return Tensors{y, dx, {"dW", {n, n}, from_panels(dweight, n, n)}};
      };
      const auto variants = checker.variants_by(&Kernels::linear_bf16);
      for (const Tensor& got : checker.sweep(c, 1, run_all, variants)) {
        Tensor want = got;
        for (int64_t i = 0; i < n * n; ++i) {
          const float edge = edges[is_left ? i / n : i % n];
          const double nearest = reference::bfloat16_value(reference::nearest_bfloat16(edge));
          want.values[i] = std::fpclassify(edge) == FP_SUBNORMAL ? 0 : static_cast<float>(nearest);
        }
        c.same_bits(got, want, "the nearest bfloat16");
      }
    });
  }
}

// Frozen weights in bfloat16: the bits of f32 weights with the same values.
void check_bf16_weights(Checker& checker, Problem p) {
  if (checker.leaves_out(p.work())) return;
  std::vector<std::vector<uint16_t>> narrow(p.n.size());
  for (size_t i = 0; i < p.n.size(); ++i) narrow[i] = to_bfloat16_panels(p.weight[i], p.n[i], p.k);
  for (const Kernels* kernels : checker.variants_by(&Kernels::linear_bf16)) {
    checker.test(p.name() + ", products and weights in bfloat16, " + kernels->isa, [&](Case& c) {
      if (checker.skips(*kernels, 2 * p.work())) return;
      const LinearKernels& linear = *kernels->linear_bf16;
      const Tensors wide = run(p, *kernels, checker.exec(1), 0, p.t, 0, &Kernels::linear_bf16);
      for (size_t i = 0; i < p.n.size(); ++i) {
        Tensor y{format("y%zu", i), {p.t, p.n[i]}, std::vector<float>(p.t * p.n[i])};
        const LinearPart part{narrow[i].data(), p.n[i], y.values.data(), p.n[i]};
        linear.forward(checker.exec(2), {&part, 1, p.x.data(), p.k, p.t, p.k});
        c.same_bits(y, find(wide, y.name), "f32 panels of the same values");
      }
      Tensor dx{"dx", {p.t, p.k}, std::vector<float>(p.t * p.k)};
      linear.backward_input(checker.exec(2), {dx.values.data(), p.dy[0].data(), narrow[0].data(), p.k, p.n[0],
                                              p.t, p.k, p.n[0], false});
      c.same_bits(dx, find(wide, dx.name), "f32 panels of the same values");
    });
  }
}

// A NaN in a row of x, or in a row of W, reaches exactly the outputs that depend on it.
void check_nan(Checker& checker) {
  checker.test("NaN stays in its row and column", [&](Case& c) {
    Problem p(9, 40, {50}, 0);
    const float nan = std::numeric_limits<float>::quiet_NaN();
    p.has_nan = true;
    p.x[4 * p.k + 39] = nan;
    p.weight[0][33 * p.k] = nan;
    compare(c, p, checker.sweep(c, p.work(), [&](const Kernels& kernels, Exec& exec) {
      return run(p, kernels, exec, 0, p.t, 0);
    }));
  });
  Problem p(41, 40, {50}, 0);
  const uint32_t payload = 0x7f800001u;  // rounded like a number, it would become infinity
  p.has_nan = true;
  std::memcpy(&p.x[4 * p.k + 39], &payload, 4);
  std::memcpy(&p.weight[0][33 * p.k], &payload, 4);
  std::memcpy(&p.dy[0][20 * 50 + 7], &payload, 4);
  check_bf16(checker, p);
}

void check(Checker& checker) {
  // Size 1, sizes around the panel of 32, the lanes of 16 and the row tiles, then the models' own.
  check_problem(checker, Problem(1, 1, {1}, 0));
  check_problem(checker, Problem(2, 1, {33}, 3));
  check_problem(checker, Problem(3, 5, {31}, 1));
  check_problem(checker, Problem(2, 20, {20}, 12));  // rows as far apart as a panel is wide
  check_problem(checker, Problem(7, 16, {32, 16, 17}, 0));
  check_problem(checker, Problem(13, 33, {65, 1}, 2));
  check_problem(checker, Problem(29, 100, {47}, 0));
  check_problem(checker, Problem(150, 31, {70}, 5));  // more than one block of rows
  check_problem(checker, Problem(5, 1601, {40}, 0));
  check_problem(checker, Problem(3, 40, {1601}, 0));
  check_problem(checker, Problem(144, 780, {40}, 1));           // more than one block of depth
  check_problem(checker, Problem(576, 40, {370}, 1));           // the same for the gradient of the input
  check_problem(checker, Problem(370, 576, {40}, 1));           // and of the weight
  check_problem(checker, Problem(801, 34, {40}, 1));            // more than one block of its rows
  check_problem(checker, Problem(1, 576, {576, 192, 192}, 0));  // SmolLM2-135M: q, k and v
  check_problem(checker, Problem(17, 576, {576, 192, 192}, 0));
  check_problem(checker, Problem(32, 576, {1536, 1536}, 0));      // gate and up
  check_problem(checker, Problem(8, 1536, {576}, 0));             // down
  check_problem(checker, Problem(3, 2048, {2048, 512, 512}, 0));  // Llama-3.2-1B: q, k and v
  check_problem(checker, Problem(40, 576, {16}, 0));              // an adapter's: few columns
  check_problem(checker, Problem(35, 192, {8, 32, 5}, 3));
  check_problem(checker, Problem(40, 16, {576}, 0));  // and few rows
  check_problem(checker, Problem(35, 27, {192, 33, 5}, 3));
  check_narrow(checker, Problem(1, 1, {1}, 0));
  check_narrow(checker, Problem(40, 576, {16, 8}, 0));
  check_narrow(checker, Problem(40, 16, {576}, 0));
  check_narrow(checker, Problem(13, 33, {65, 1}, 0));
  check_narrow(checker, Problem(5, 1601, {40}, 0));
  check_narrow(checker, Problem(150, 31, {70}, 0));
  check_narrow(checker, Problem(17, 576, {576, 192, 192}, 0));
  check_nan(checker);
  check_rounding(checker);
  // Around the tiles of 16 x 32 and 32 x 32, few rows, several blocks of rows and of depth, small ranks.
  for (const int64_t t : {1, 2, 7, 15, 16, 17, 31, 32, 33, 49, 150})
    check_bf16(checker, Problem(t, 70, {50, 33}, 3));
  check_bf16(checker, Problem(1, 1, {1}, 0));
  check_bf16(checker, Problem(40, 16, {576}, 0));
  check_bf16(checker, Problem(40, 576, {16, 16}, 0));
  check_bf16(checker, Problem(5, 20011, {40}, 0));
  check_bf16(checker, Problem(3, 40, {20011}, 0));
  check_bf16(checker, Problem(2100, 34, {40}, 1));
  check_bf16(checker, Problem(600, 1100, {64}, 0));
  check_bf16(checker, Problem(64, 576, {1536, 1536}, 0));
  check_bf16_weights(checker, Problem(1, 1, {1}, 0));
  check_bf16_weights(checker, Problem(13, 33, {65, 1}, 0));
  check_bf16_weights(checker, Problem(64, 576, {192, 192}, 0));
}

const Registration registration("linear", check);

}  // namespace
}  // namespace check
}  // namespace lsp
