// bias against its oracle and against itself: see bias.h.
#include "check/check.h"
#include "kernels/bias/reference.h"

namespace lsp {
namespace check {
namespace {

struct Problem {
  int64_t t, n;
  std::vector<float> y, bias, dy, dbias;

  Problem(int64_t tokens, int64_t outputs) : t(tokens), n(outputs) {
    y = random_values(t * n, 1);
    bias = random_values(n, 2);
    dy = random_values(t * n, 3);
    dbias = random_values(n, 4);
  }
};

// The gradient is taken in two parts, cut after row `cut`.
Tensors run(const Problem& p, const Kernels& kernels, Exec& exec, int64_t cut) {
  Tensor y{"y", {p.t, p.n}, p.y}, dbias{"dbias", {p.n}, p.dbias};
  kernels.bias->forward(exec, {y.values.data(), p.bias.data(), p.t, p.n});
  kernels.bias->backward(exec, {dbias.values.data(), p.dy.data(), cut, p.n});
  kernels.bias->backward(exec, {dbias.values.data(), p.dy.data() + cut * p.n, p.t - cut, p.n});
  return {y, dbias};
}

void check_problem(Checker& checker, const Problem& p) {
  checker.test(shape_text({{"T", p.t}, {"N", p.n}}), [&](Case& c) {
    const Tensors results =
        checker.sweep(c, 0, [&](const Kernels& kernels, Exec& exec) { return run(p, kernels, exec, 0); });
    // One addition each; a chain over tokens for the gradient.
    c.close(find(results, "y"), reference::bias_forward(p.y.data(), p.bias.data(), p.t, p.n), 1);
    c.close(find(results, "dbias"), reference::bias_backward(p.dbias.data(), p.dy.data(), p.t, p.n),
            chain(static_cast<double>(p.t)));
    for (const Kernels* kernels : checker.variants())
      for (const int64_t cut : {int64_t{1}, p.t / 2, p.t})
        c.same_bits(run(p, *kernels, checker.exec(2), cut), results,
                    format("%s, cut after row %d", kernels->isa, static_cast<int>(cut)));
  });
}

void check(Checker& checker) {
  for (const int64_t n : {1, 2, 15, 16, 17, 33, 64, 65, 100})
    for (const int64_t t : {1, 3, 33}) check_problem(checker, Problem(t, n));
  check_problem(checker, Problem(70, 896));  // queries of Qwen2.5-0.5B
  check_problem(checker, Problem(70, 128));  // its keys
}

const Registration registration("bias", check);

}  // namespace
}  // namespace check
}  // namespace lsp
