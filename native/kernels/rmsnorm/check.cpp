// rmsnorm against its oracle and against itself: see rmsnorm.h.
#include <algorithm>
#include <limits>

#include "check/check.h"
#include "kernels/rmsnorm/reference.h"

namespace lsp {
namespace check {
namespace {

struct Problem {
  int64_t t, c;
  float eps;
  std::vector<float> residual, delta, weight, dy, dresidual, dweight;

  Problem(int64_t tokens, int64_t hidden, float epsilon, double scale = 1)
      : t(tokens), c(hidden), eps(epsilon) {
    residual = random_values(t * c, 1, scale);
    delta = random_values(t * c, 2, scale);
    weight = random_values(c, 3, 2);
    dy = random_values(t * c, 4);
    dresidual = random_values(t * c, 5);
    dweight = random_values(c, 6);
  }
};

// Rows [first, first + count); the gradient of the weight is cut at `cut` rows.
Tensors run(const Problem& p, const Kernels& kernels, Exec& exec, int64_t first, int64_t count, int64_t cut) {
  const auto part = [&](const std::vector<float>& rows_of) {
    return std::vector<float>(rows_of.begin() + first * p.c, rows_of.begin() + (first + count) * p.c);
  };
  const std::vector<float> residual = part(p.residual), delta = part(p.delta), dy = part(p.dy);
  const int64_t floats = count * p.c;
  Tensor y{"y", {count, p.c}, std::vector<float>(floats)}, rstd{"rstd", {count}, std::vector<float>(count)};
  kernels.rmsnorm->forward(exec, {y.values.data(), rstd.values.data(), nullptr, residual.data(), nullptr,
                                  p.weight.data(), count, p.c, p.eps});

  Tensor fused{"y of residual + delta", {count, p.c}, std::vector<float>(floats)};
  Tensor sum{"residual + delta", {count, p.c}, std::vector<float>(floats)};
  kernels.rmsnorm->forward(exec, {fused.values.data(), nullptr, sum.values.data(), residual.data(),
                                  delta.data(), p.weight.data(), count, p.c, p.eps});
  // The residual may be overwritten in place.
  Tensor in_place{"residual in place", {count, p.c}, residual};
  std::vector<float> again(floats);
  kernels.rmsnorm->forward(exec, {again.data(), nullptr, in_place.values.data(), in_place.values.data(),
                                  delta.data(), p.weight.data(), count, p.c, p.eps});

  Tensor dresidual{"dresidual", {count, p.c}, part(p.dresidual)}, dweight{"dweight", {p.c}, p.dweight};
  const int64_t cuts[3] = {0, cut, count};
  for (int i = 0; i < 2; ++i) {
    const int64_t from = cuts[i], length = cuts[i + 1] - from;
    if (length == 0) continue;
    kernels.rmsnorm->backward(
        exec, {dresidual.values.data() + from * p.c, dweight.values.data(), dy.data() + from * p.c,
               residual.data() + from * p.c, rstd.values.data() + from, p.weight.data(), length, p.c});
  }
  Tensor frozen{"dresidual of a frozen weight", {count, p.c}, part(p.dresidual)};
  kernels.rmsnorm->backward(exec, {frozen.values.data(), nullptr, dy.data(), residual.data(),
                                   rstd.values.data(), p.weight.data(), count, p.c});
  return {y, rstd, fused, sum, in_place, {"y in place", {count, p.c}, again}, dresidual, dweight, frozen};
}

// Tolerances: a sum over 16 lanes of C / 16 terms each, whose relative error the root halves; sums over T for
// dweight.
void compare(Case& c, const Problem& p, const Tensors& results) {
  const reference::RmsNorm plain =
      reference::rmsnorm_forward(p.residual.data(), nullptr, p.weight.data(), p.t, p.c, p.eps);
  const double lanes = chain(static_cast<double>(p.c) / 16 + 4);
  c.close(find(results, "y"), plain.y, lanes);
  c.close(find(results, "rstd"), plain.rstd, lanes);
  const reference::RmsNorm fused =
      reference::rmsnorm_forward(p.residual.data(), p.delta.data(), p.weight.data(), p.t, p.c, p.eps);
  c.close(find(results, "y of residual + delta"), fused.y, lanes);
  c.close(find(results, "residual + delta"), fused.residual, 1);
  c.same_bits({"", {}, find(results, "residual in place").values},
              {"", {}, find(results, "residual + delta").values}, "in place");
  c.same_bits({"", {}, find(results, "y in place").values},
              {"", {}, find(results, "y of residual + delta").values}, "in place");
  const reference::RmsNormGradients gradients = reference::rmsnorm_backward(
      p.dy.data(), p.residual.data(), p.weight.data(), p.dresidual.data(), p.dweight.data(), p.t, p.c, p.eps);
  c.close(find(results, "dresidual"), gradients.dresidual, 3 * lanes);  // rstd enters cubed
  c.close(find(results, "dweight"), gradients.dweight, chain(static_cast<double>(p.t)) + lanes);
  c.same_bits({"", {}, find(results, "dresidual of a frozen weight").values},
              {"", {}, find(results, "dresidual").values}, "without dweight");
}

void compare_batches(Case& c, const Problem& p, const Tensors& whole, const Kernels& kernels, Exec& exec) {
  for (const int64_t first : {int64_t{0}, p.t / 2, p.t - 1}) {
    const int64_t count = std::min<int64_t>(p.t - first, first == 0 ? 1 : 9);
    for (const Tensor& tensor : run(p, kernels, exec, first, count, 0)) {
      if (tensor.name == "dweight") continue;
      c.same_bits(tensor, rows(find(whole, tensor.name), first, count),
                  format("%s, %d rows from %d on alone", kernels.isa, static_cast<int>(count),
                         static_cast<int>(first)));
    }
  }
  for (const int64_t cut : {int64_t{1}, p.t / 2}) {
    c.same_bits(find(run(p, kernels, exec, 0, p.t, cut), "dweight"), find(whole, "dweight"),
                format("%s, cut after row %d", kernels.isa, static_cast<int>(cut)));
  }
}

void check_problem(Checker& checker, const Problem& p, const std::string& note = "") {
  checker.test(shape_text({{"T", p.t}, {"C", p.c}}) + note, [&](Case& c) {
    const Tensors results = checker.sweep(
        c, 0, [&](const Kernels& kernels, Exec& exec) { return run(p, kernels, exec, 0, p.t, 0); });
    compare(c, p, results);
    for (const Kernels* kernels : checker.variants())
      compare_batches(c, p, results, *kernels, checker.exec(2));
  });
}

void check(Checker& checker) {
  for (const int64_t c : {1, 2, 15, 16, 17, 31, 33, 63, 65, 100})
    for (const int64_t t : {1, 3, 19}) check_problem(checker, Problem(t, c, 1e-5f));
  check_problem(checker, Problem(70, 576, 1e-5f));   // SmolLM2-135M
  check_problem(checker, Problem(17, 2048, 1e-5f));  // Llama-3.2-1B
  check_problem(checker, Problem(5, 576, 1e-6f, 1e3), ", large activations");
  check_problem(checker, Problem(5, 576, 1e-5f, 1e-6), ", activations below eps");
  Problem zeros(3, 40, 1e-5f);
  std::fill(zeros.residual.begin(), zeros.residual.begin() + 40, 0.0f);
  check_problem(checker, zeros, ", a row of zeros");
  checker.test("NaN stays in its row", [&](Case& c) {
    Problem p(9, 70, 1e-5f);
    p.residual[4 * p.c + 69] = std::numeric_limits<float>::quiet_NaN();
    compare(c, p, checker.sweep(c, 0, [&](const Kernels& kernels, Exec& exec) {
      return run(p, kernels, exec, 0, p.t, 0);
    }));
  });
}

const Registration registration("rmsnorm", check);

}  // namespace
}  // namespace check
}  // namespace lsp
