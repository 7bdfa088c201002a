// adamw against its oracle and against itself: see adamw.h.
#include <cmath>
#include <limits>

#include "check/check.h"
#include "kernels/adamw/reference.h"

namespace lsp {
namespace check {
namespace {

struct Problem {
  int64_t count;
  bool two_parts;
  double step;
  float learning_rate, weight_decay, gradient_scale;
  std::vector<float> weight, m, v, gradient, gradient2;

  Problem(int64_t elements, bool second_part, double steps, float decay, float scale)
      : count(elements),
        two_parts(second_part),
        step(steps),
        learning_rate(1e-3f),
        weight_decay(decay),
        gradient_scale(scale) {
    weight = random_values(count, 1);
    gradient = random_values(count, 4);
    gradient2 = random_values(count, 5);
    m = step > 1 ? random_values(count, 2) : std::vector<float>(count);
    v = step > 1 ? random_values(count, 3) : std::vector<float>(count);
    for (float& x : v) x = x * x;
    for (int64_t i = 0; i < count; i += 3) gradient[i] *= 1e-6f;  // gradients of many sizes, down to eps
    for (int64_t i = 0; i < count; i += 7) gradient[i] *= 1e-8f;
  }
  AdamW arguments(float* weight_out, float* moment1, float* moment2) const {
    return {weight_out,
            weight.data(),
            moment1,
            moment2,
            gradient.data(),
            two_parts ? gradient2.data() : nullptr,
            count,
            gradient_scale,
            learning_rate,
            0.9f,
            0.999f,
            1e-8f,
            weight_decay,
            static_cast<float>(1 - std::pow(0.9, step)),
            static_cast<float>(1 - std::pow(0.999, step))};
  }
};

Tensors run(const Problem& p, const Kernels& kernels, Exec& exec) {
  Tensor weight{"weight", {p.count}, std::vector<float>(p.count)}, m{"m", {p.count}, p.m},
      v{"v", {p.count}, p.v};
  kernels.adamw->step(exec, p.arguments(weight.values.data(), m.values.data(), v.values.data()));
  return {weight, m, v};
}

Tensors run_in_place(const Problem& p, const Kernels& kernels, Exec& exec) {
  Tensor weight{"weight", {p.count}, p.weight}, m{"m", {p.count}, p.m}, v{"v", {p.count}, p.v};
  AdamW arguments = p.arguments(weight.values.data(), m.values.data(), v.values.data());
  arguments.weight = weight.values.data();
  kernels.adamw->step(exec, arguments);
  return {weight, m, v};
}

// A dozen operations an element, none of them a long sum: 16 roundings of the terms' magnitude.
void compare(Case& c, const Problem& p, const Tensors& results) {
  std::vector<float> m = p.m, v = p.v;
  const reference::AdamWResult expected = reference::adamw_step(p.arguments(nullptr, m.data(), v.data()));
  c.close(find(results, "weight"), expected.weight, 16);
  c.close(find(results, "m"), expected.m, 16);
  c.close(find(results, "v"), expected.v, 16);
}

void check_problem(Checker& checker, const std::string& note, const Problem& p) {
  checker.test(format("count=%d", static_cast<int>(p.count)) + note, [&](Case& c) {
    const Tensors results =
        checker.sweep(c, 0, [&](const Kernels& kernels, Exec& exec) { return run(p, kernels, exec); });
    compare(c, p, results);
    for (const Kernels* kernels : checker.variants())
      c.same_bits(run_in_place(p, *kernels, checker.exec(2)), results,
                  std::string(kernels->isa) + ", weights in place");
  });
}

void check(Checker& checker) {
  for (const int64_t count : {1, 15, 16, 17, 33, 16383, 16385, 100003}) {
    check_problem(checker, " first step", Problem(count, false, 1, 0.0f, 1.0f));
    check_problem(checker, " two parts, decay, clipped", Problem(count, true, 7, 0.1f, 0.37f));
    check_problem(checker, " step 100000", Problem(count, true, 1e5, 0.01f, 1.0f));
  }
  checker.test("without gradient, moments and decay weights keep their bits", [&](Case& c) {
    Problem p(100, false, 1, 0.0f, 1.0f);
    p.gradient.assign(100, 0.0f);
    const Tensors results =
        checker.sweep(c, 0, [&](const Kernels& kernels, Exec& exec) { return run(p, kernels, exec); });
    c.same_bits(find(results, "weight"), {"weight", {100}, p.weight}, "the old weights");
  });
  checker.test("NaN stays in its element", [&](Case& c) {
    Problem p(40, true, 3, 0.1f, 1.0f);
    p.gradient[17] = std::numeric_limits<float>::quiet_NaN();
    compare(c, p,
            checker.sweep(c, 0, [&](const Kernels& kernels, Exec& exec) { return run(p, kernels, exec); }));
  });
}

const Registration registration("adamw", check);

}  // namespace
}  // namespace check
}  // namespace lsp
