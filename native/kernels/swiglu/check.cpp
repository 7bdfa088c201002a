// swiglu against its oracle and against itself: see swiglu.h. Its gates sweep the whole range of the lanes'
// exp, so this is also the check of core/simd_math.h.
#include <cfloat>
#include <cmath>
#include <cstring>
#include <limits>

#include "check/check.h"
#include "kernels/swiglu/reference.h"

namespace lsp {
namespace check {
namespace {

struct Problem {
  std::vector<float> dy, gate, up;
  int64_t count() const { return static_cast<int64_t>(gate.size()); }
};

Problem random_problem(int64_t count, double scale) {
  return {random_values(count, 1), random_values(count, 2, scale), random_values(count, 3)};
}

Tensors run(const Problem& p, const Kernels& kernels, Exec& exec) {
  const int64_t n = p.count();
  Tensor y{"y", {n}, std::vector<float>(n)};
  kernels.swiglu->forward(exec, {y.values.data(), p.gate.data(), p.up.data(), n});
  Tensor dgate{"dgate", {n}, std::vector<float>(n)}, dup{"dup", {n}, std::vector<float>(n)};
  kernels.swiglu->backward(
      exec, {dgate.values.data(), dup.values.data(), p.dy.data(), p.gate.data(), p.up.data(), n});
  return {y, dgate, dup};
}

// The same with outputs in the inputs' memory.
Tensors run_in_place(const Problem& p, const Kernels& kernels, Exec& exec) {
  const int64_t n = p.count();
  Tensor y{"y", {n}, p.gate}, dgate{"dgate", {n}, p.gate}, dup{"dup", {n}, p.up};
  kernels.swiglu->forward(exec, {y.values.data(), y.values.data(), p.up.data(), n});
  kernels.swiglu->backward(
      exec, {dgate.values.data(), dup.values.data(), p.dy.data(), dgate.values.data(), dup.values.data(), n});
  return {y, dgate, dup};
}

// 16 roundings: exp of the lanes is good to 2 (its own error and the polynomial's), sigmoid adds two
// operations, the products four at most; argument reduction of exp costs nothing (its head is exact). Below
// gate = -87 sigmoid is no normal float and may be zero, which is an error of up to a hundred of the smallest
// normal float.
void compare(Case& c, const Problem& p, const Tensors& results) {
  Expected y = reference::swiglu_forward(p.gate.data(), p.up.data(), p.count());
  reference::SwigluGradients gradients =
      reference::swiglu_backward(p.dy.data(), p.gate.data(), p.up.data(), p.count());
  for (int64_t i = 0; i < p.count(); ++i) {
    if (p.gate[i] >= -87.0f) continue;
    for (Expected* expected : {&y, &gradients.dgate, &gradients.dup})
      expected->magnitude[i] += 100.0 * FLT_MIN * (1 << 24);
  }
  c.close(find(results, "y"), y, 16);
  c.close(find(results, "dgate"), gradients.dgate, 16);
  c.close(find(results, "dup"), gradients.dup, 16);
}

void check_problem(Checker& checker, const std::string& name, const Problem& p) {
  checker.test(name, [&](Case& c) {
    const Tensors results =
        checker.sweep(c, 0, [&](const Kernels& kernels, Exec& exec) { return run(p, kernels, exec); });
    compare(c, p, results);
    for (const Kernels* kernels : checker.variants())
      c.same_bits(run_in_place(p, *kernels, checker.exec(2)), results,
                  std::string(kernels->isa) + ", in place");
  });
}

// The same element gives the same bits in every lane, in full and partial steps.
void check_lanes(Checker& checker) {
  checker.test("lanes", [&](Case& c) {
    for (const Kernels* kernels : checker.variants()) {
      const Problem one{{0.75f}, {-1.37f}, {2.5f}};
      const Tensors alone = run(one, *kernels, checker.exec(1));
      Problem many;
      for (int i = 0; i < 47; ++i) {
        many.dy.push_back(one.dy[0]);
        many.gate.push_back(one.gate[0]);
        many.up.push_back(one.up[0]);
      }
      for (const Tensor& tensor : run(many, *kernels, checker.exec(1)))
        for (int i = 0; i < 47; ++i)
          c.same_bits(rows(tensor, i, 1), find(alone, tensor.name), format("%s, lane %d", kernels->isa, i));
    }
  });
}

void check_nan(Checker& checker) {
  checker.test("NaN of any payload stays NaN, and alone", [&](Case& c) {
    Problem p = random_problem(40, 3);
    const uint32_t payloads[] = {0x7fc00000u, 0xffc00000u, 0x7fc00001u,
                                 0x7fc001ffu, 0xffc000ffu, 0x7fffffffu};
    for (size_t i = 0; i < 6; ++i) std::memcpy(&p.gate[7 * i], &payloads[i], 4);
    compare(c, p,
            checker.sweep(c, 0, [&](const Kernels& kernels, Exec& exec) { return run(p, kernels, exec); }));
  });
}

void check(Checker& checker) {
  for (const int64_t count : {1, 2, 15, 16, 17, 31, 33, 8191, 8193, 5 * 1536})
    check_problem(checker, format("count=%d", static_cast<int>(count)), random_problem(count, 10));
  // Every region of exp: gates from -90 to 90, and far beyond.
  Problem range;
  for (int i = -900000; i <= 900000; i += 3) range.gate.push_back(static_cast<float>(i) * 1e-4f);
  for (const float gate : {-3e38f, -1e6f, -120.0f, -88.8f, -88.0f, -87.4f, -87.3f, -87.2f, 0.0f, -0.0f,
                           1e-30f, 1e-40f, 87.3f, 88.7f, 89.0f, 1e6f, 3e38f})
    range.gate.push_back(gate);
  range.up = random_values(range.count(), 4);
  range.dy = random_values(range.count(), 5);
  check_problem(checker, "gates from -90 to 90 and beyond", range);
  check_lanes(checker);
  check_nan(checker);
}

const Registration registration("swiglu", check);

}  // namespace
}  // namespace check
}  // namespace lsp
