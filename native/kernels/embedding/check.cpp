// embedding against its oracle, bit for bit, and against itself: see embedding.h.
#include "check/check.h"
#include "core/error.h"
#include "kernels/embedding/reference.h"

namespace lsp {
namespace check {
namespace {

struct Problem {
  int64_t t, c, v;
  int32_t padding_id = -1;
  std::vector<float> table, dtable, dy;
  std::vector<int32_t> ids;

  Problem(int64_t tokens, int64_t hidden, int64_t vocabulary) : t(tokens), c(hidden), v(vocabulary) {
    table = random_values(v * c, 1);
    dtable = random_values(v * c, 2);
    dy = random_values(t * c, 3);
    ids = random_ids(t, 4, v);
    ids.back() = static_cast<int32_t>(v - 1);
    if (t > 3) ids[1] = ids[t - 2] = ids[0];  // equal ids: their gradients add up
  }
};

Tensors run(const Problem& p, const Kernels& kernels, Exec& exec, int64_t cut) {
  const std::vector<float> table = to_panels(p.table, p.v, p.c);
  Tensor y{"y", {p.t, p.c}, std::vector<float>(p.t * p.c)};
  kernels.embedding->forward(exec, {y.values.data(), table.data(), p.ids.data(), p.t, p.c});
  std::vector<float> dtable = to_panels(p.dtable, p.v, p.c);
  kernels.embedding->backward(exec, {dtable.data(), p.dy.data(), p.ids.data(), cut, p.c, p.padding_id});
  kernels.embedding->backward(
      exec, {dtable.data(), p.dy.data() + cut * p.c, p.ids.data() + cut, p.t - cut, p.c, p.padding_id});
  if (!padding_is_zero(dtable, p.v, p.c)) throw Error("INTERNAL", "dtable: a padded column is not zero");
  return {y, {"dtable", {p.v, p.c}, from_panels(dtable, p.v, p.c)}};
}

void check_problem(Checker& checker, const Problem& p) {
  const char* note = p.padding_id < 0 ? "" : " with a padding token";
  checker.test(shape_text({{"T", p.t}, {"C", p.c}, {"V", p.v}}) + note, [&](Case& c) {
    const Tensors results =
        checker.sweep(c, 0, [&](const Kernels& kernels, Exec& exec) { return run(p, kernels, exec, 0); });
    Tensor y{"y", {p.t, p.c}, std::vector<float>(p.t * p.c)}, dtable{"dtable", {p.v, p.c}, p.dtable};
    reference::embedding_forward(y.values.data(), p.table.data(), p.ids.data(), p.t, p.c);
    reference::embedding_backward(dtable.values.data(), p.dy.data(), p.ids.data(), p.t, p.c, p.padding_id);
    c.same_bits(results, {y, dtable}, "the oracle");
    for (const Kernels* kernels : checker.variants())
      for (const int64_t cut : {int64_t{1}, p.t / 2})
        c.same_bits(run(p, *kernels, checker.exec(2), cut), results,
                    format("%s, cut after token %d", kernels->isa, static_cast<int>(cut)));
  });
}

// A table in bfloat16: its values, widened.
void check_narrow(Checker& checker, Problem p) {
  checker.test(shape_text({{"T", p.t}, {"C", p.c}, {"V", p.v}}) + ", bfloat16", [&](Case& c) {
    const std::vector<uint16_t> narrow = to_bfloat16_panels(p.table, p.v, p.c);
    const Tensors results = checker.sweep(c, 0, [&](const Kernels& kernels, Exec& exec) {
      Tensor y{"y", {p.t, p.c}, std::vector<float>(p.t * p.c)};
      kernels.embedding->forward(exec, {y.values.data(), narrow.data(), p.ids.data(), p.t, p.c});
      return Tensors{y};
    });
    Tensor y{"y", {p.t, p.c}, std::vector<float>(p.t * p.c)};
    reference::embedding_forward(y.values.data(), p.table.data(), p.ids.data(), p.t, p.c);
    c.same_bits(results, {y}, "the oracle");
  });
}

void check(Checker& checker) {
  check_problem(checker, Problem(1, 1, 1));
  check_problem(checker, Problem(5, 3, 31));
  check_problem(checker, Problem(40, 65, 33));
  check_problem(checker, Problem(9, 100, 1000));
  Problem padded(40, 20, 33);
  padded.padding_id = padded.ids[0];  // which occurs three times
  check_problem(checker, padded);
  check_narrow(checker, Problem(1, 1, 1));
  check_narrow(checker, Problem(40, 65, 33));
  check_problem(checker, Problem(33, 2048, 64));
  check_problem(checker, Problem(17, 576, 4915));  // SmolLM2's hidden size
}

const Registration registration("embedding", check);

}  // namespace
}  // namespace check
}  // namespace lsp
