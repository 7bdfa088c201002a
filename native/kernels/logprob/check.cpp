// logprob against its oracle and against itself: see logprob.h.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "check/check.h"
#include "core/error.h"
#include "kernels/logprob/reference.h"

namespace lsp {
namespace check {
namespace {

struct Problem {
  int64_t t, c, v;
  float inverse_temperature = 1;
  std::vector<float> hidden, weight, panels, dweight, dweight_panels, dlogprob;
  std::vector<int32_t> targets;
  bool has_nan = false;

  // `spread` is the standard deviation of a logit.
  Problem(int64_t tokens, int64_t hidden_size, int64_t vocabulary, double spread = 3)
      : t(tokens), c(hidden_size), v(vocabulary) {
    hidden = random_values(t * c, 1);
    weight = random_values(v * c, 2, 3 * spread / std::sqrt(static_cast<double>(c)));
    dweight = random_values(v * c, 3, 1e-2);
    dlogprob = random_values(t, 4);
    targets = random_ids(t, 5, v);
    targets.back() = static_cast<int32_t>(v - 1);
    pack();
  }
  void pack() {
    panels = to_panels(weight, v, c);
    dweight_panels = to_panels(dweight, v, c);
  }
  double work() const { return 4.0 * static_cast<double>(t * c * v); }
};

using Table = const LogprobKernels* Kernels::*;

// Rows [first, first + count) forward and backward; the gradients are made in one go, or if `cut` is not 0
// with a cut after that many rows and another after the first chunk of the vocabulary.
Tensors run(const Problem& p, const Kernels& kernels, Exec& exec, int64_t first, int64_t count, int64_t cut,
            Table table = &Kernels::logprob) {
  const LogprobKernels& head = *(kernels.*table);
  const float* hidden = p.hidden.data() + first * p.c;
  const int32_t* targets = p.targets.data() + first;
  const auto column = [&](const char* name) { return Tensor{name, {count}, std::vector<float>(count)}; };
  Tensor logprob = column("logprob"), lse = column("lse"), entropy = column("entropy");
  Tensor logits{"logits", {count, p.v}, std::vector<float>(count * p.v)};
  LogprobForward f{logprob.values.data(),
                   lse.values.data(),
                   entropy.values.data(),
                   logits.values.data(),
                   hidden,
                   p.panels.data(),
                   targets,
                   count,
                   p.c,
                   p.v,
                   p.inverse_temperature};
  head.forward(exec, f);

  std::vector<float> dweight = p.dweight_panels;
  Tensor dhidden{
      "dhidden", {count, p.c}, std::vector<float>(count * p.c, std::numeric_limits<float>::quiet_NaN())};
  const int64_t cuts[3] = {0, cut, count};
  for (int i = 0; i < 2; ++i) {
    const int64_t from = cuts[i], length = cuts[i + 1] - from;
    if (length == 0) continue;
    const int64_t ranges[3] = {0, cut == 0 ? p.v : std::min(kVocabChunk, p.v), p.v};
    for (int range = 0; range < 2; ++range) {
      if (ranges[range] == ranges[range + 1]) continue;
      head.backward(
          exec, {dhidden.values.data() + from * p.c, dweight.data(), p.dlogprob.data() + first + from,
                 lse.values.data() + from, hidden + from * p.c, p.panels.data(), targets + from, length, p.c,
                 p.v, p.inverse_temperature, ranges[range], ranges[range + 1]});
    }
  }
  if (!p.has_nan && !padding_is_zero(dweight, p.v, p.c))
    throw Error("INTERNAL", "dweight: a padded column is not zero");
  return {logprob, lse, entropy, logits, dhidden, {"dweight", {p.v, p.c}, from_panels(dweight, p.v, p.c)}};
}

// A logit is a chain of C terms; its absolute error, about sqrt(C) + 2 roundings of the largest logit, passes
// into everything else: into lse and logprob as it is, into probabilities as a relative error. Sums over the
// vocabulary run over 16 lanes of a chunk (forward) or are chains of V terms (dhidden); dweight is a chain
// over T. `gradients_of_logits` are the roundings of what the last two sum up.
void compare(Case& c, const Problem& p, const Tensors& results, double gradients_of_logits = 0) {
  const reference::Logprob expected = reference::logprob_forward(
      p.hidden.data(), p.weight.data(), p.targets.data(), p.t, p.c, p.v, p.inverse_temperature);
  const double logit = chain(static_cast<double>(p.c)),
               error = 2 * (std::sqrt(static_cast<double>(p.c)) + 2) * expected.largest_logit;
  const double lanes = chain(static_cast<double>(kVocabChunk) / 16);
  c.close(find(results, "logits"), expected.logits, logit);
  c.close(find(results, "lse"), expected.lse, lanes + error);
  c.close(find(results, "logprob"), expected.logprob, lanes + error);
  c.close(find(results, "entropy"), expected.entropy, 2 * lanes + error);
  const reference::LogprobGradients gradients =
      reference::logprob_backward(p.dlogprob.data(), p.hidden.data(), p.weight.data(), p.dweight.data(),
                                  p.targets.data(), p.t, p.c, p.v, p.inverse_temperature);
  c.close(find(results, "dhidden"), gradients.dhidden,
          chain(static_cast<double>(p.v)) + lanes + error + gradients_of_logits);
  c.close(find(results, "dweight"), gradients.dweight,
          chain(static_cast<double>(p.t)) + lanes + error + gradients_of_logits);
}

// Outputs that are not asked for change nothing in those that are.
void compare_subsets(Case& c, const Problem& p, const Tensors& whole, const Kernels& kernels, Exec& exec) {
  std::vector<float> logprob(p.t), lse(p.t), entropy(p.t), logits(p.t * p.v);
  const auto same = [&](const char* name, const std::vector<float>& got) {
    Tensor tensor = find(whole, name);
    tensor.values = got;
    c.same_bits(tensor, find(whole, name), std::string(kernels.isa) + ", without other outputs");
  };
  LogprobForward f{logprob.data(),   nullptr, nullptr, nullptr, p.hidden.data(),      p.panels.data(),
                   p.targets.data(), p.t,     p.c,     p.v,     p.inverse_temperature};
  kernels.logprob->forward(exec, f);
  same("logprob", logprob);
  f.logprob = nullptr;
  f.targets = nullptr;
  f.lse = lse.data();
  f.entropy = entropy.data();
  kernels.logprob->forward(exec, f);
  same("lse", lse);
  same("entropy", entropy);
  f.lse = f.entropy = nullptr;
  f.logits = logits.data();
  kernels.logprob->forward(exec, f);
  same("logits", logits);
  std::vector<float> dhidden(p.t * p.c);
  kernels.logprob->backward(
      exec, {dhidden.data(), nullptr, p.dlogprob.data(), find(whole, "lse").values.data(), p.hidden.data(),
             p.panels.data(), p.targets.data(), p.t, p.c, p.v, p.inverse_temperature, 0, p.v});
  same("dhidden", dhidden);
  // Logits that were kept.
  std::vector<float> dweight = p.dweight_panels;
  kernels.logprob->backward(
      exec,
      {dhidden.data(), dweight.data(), p.dlogprob.data(), find(whole, "lse").values.data(), p.hidden.data(),
       p.panels.data(), p.targets.data(), p.t, p.c, p.v, p.inverse_temperature, 0, p.v, logits.data()});
  same("dhidden", dhidden);
  same("dweight", from_panels(dweight, p.v, p.c));
}

void compare_batches(Case& c, const Problem& p, const Tensors& whole, const Kernels& kernels, Exec& exec,
                     Table table = &Kernels::logprob, int64_t cut_step = 1) {
  for (const int64_t first : {int64_t{0}, p.t / 2, p.t - 1}) {
    const int64_t count = std::min<int64_t>(p.t - first, first == 0 ? 1 : 5);
    for (const Tensor& tensor : run(p, kernels, exec, first, count, 0, table))
      if (tensor.name != "dweight")
        c.same_bits(tensor, rows(find(whole, tensor.name), first, count),
                    format("%s, %d rows from %d on alone", kernels.isa, static_cast<int>(count),
                           static_cast<int>(first)));
  }
  const int64_t at = p.t / 2 / cut_step * cut_step;
  const Tensors cut = run(p, kernels, exec, 0, p.t, at, table);
  c.same_bits(cut, whole, format("%s, cut after row %d and a chunk", kernels.isa, static_cast<int>(at)));
}

void check_problem(Checker& checker, const Problem& p, const std::string& note = "") {
  if (checker.leaves_out(p.work())) return;
  checker.test(shape_text({{"T", p.t}, {"C", p.c}, {"V", p.v}}) + note, [&](Case& c) {
    const Tensors results = checker.sweep(
        c, p.work(), [&](const Kernels& kernels, Exec& exec) { return run(p, kernels, exec, 0, p.t, 0); });
    compare(c, p, results);
    for (const Kernels* kernels : checker.variants()) {
      if (checker.skips(*kernels, 3 * p.work())) continue;
      compare_subsets(c, p, results, *kernels, checker.exec(2));
      compare_batches(c, p, results, *kernels, checker.exec(2));
    }
  });
}

// bfloat16 panels: the bits of f32 panels that hold the same values.
void check_narrow(Checker& checker, Problem p) {
  checker.test(shape_text({{"T", p.t}, {"C", p.c}, {"V", p.v}}) + ", bfloat16", [&](Case& c) {
    const std::vector<uint16_t> narrow = to_bfloat16_panels(p.weight, p.v, p.c);
    p.pack();
    const auto forward = [&](const Panels& weight, const Kernels& kernels, Exec& exec) {
      Tensor logprob{"logprob", {p.t}, std::vector<float>(p.t)};
      Tensor entropy{"entropy", {p.t}, std::vector<float>(p.t)}, lse{"lse", {p.t}, std::vector<float>(p.t)};
      kernels.logprob->forward(
          exec, {logprob.values.data(), lse.values.data(), entropy.values.data(), nullptr, p.hidden.data(),
                 weight, p.targets.data(), p.t, p.c, p.v, p.inverse_temperature});
      Tensor dhidden{"dhidden", {p.t, p.c}, std::vector<float>(p.t * p.c)};
      std::vector<float> dweight = p.dweight_panels;
      kernels.logprob->backward(
          exec, {dhidden.values.data(), dweight.data(), p.dlogprob.data(), lse.values.data(), p.hidden.data(),
                 weight, p.targets.data(), p.t, p.c, p.v, p.inverse_temperature, 0, p.v});
      return Tensors{logprob, entropy, dhidden, {"dweight", {p.v, p.c}, from_panels(dweight, p.v, p.c)}};
    };
    const Tensors results = checker.sweep(c, p.work(), [&](const Kernels& kernels, Exec& exec) {
      return forward(narrow.data(), kernels, exec);
    });
    c.same_bits(results, forward(p.panels.data(), *checker.variants().front(), checker.exec(1)),
                "f32 panels of the same values");
  });
}

// Products in bfloat16: the oracle has rounded hidden states and weights. The gradients of logits, too, are
// rounded before they are multiplied, by at most 2^-8 of their size (8 significant bits, half a unit of the
// last).
void check_bf16(Checker& checker, Problem p) {
  if (checker.leaves_out(p.work())) return;
  for (const Kernels* kernels : checker.variants_by(&Kernels::logprob_bf16)) {
    const std::string name = shape_text({{"T", p.t}, {"C", p.c}, {"V", p.v}}) + ", products in bfloat16, ";
    checker.test(name + kernels->isa, [&](Case& c) {
      const Table table = &Kernels::logprob_bf16;
      const auto all = [&](const Kernels& k, Exec& exec) { return run(p, k, exec, 0, p.t, 0, table); };
      const Tensors results = checker.sweep(c, p.work(), all, {kernels});
      Problem rounded = p;
      round_to_bfloat16(rounded.hidden);
      round_to_bfloat16(rounded.weight);
      compare(c, rounded, results, std::ldexp(1.0, 24 - 8));
      if (checker.skips(*kernels, 3 * p.work())) return;
      compare_batches(c, p, results, *kernels, checker.exec(2), table, 32);
      const Tensor& logits = find(results, "logits");
      std::vector<float> dhidden(p.t * p.c), dweight = p.dweight_panels;
      kernels->logprob_bf16->backward(checker.exec(2), {dhidden.data(), dweight.data(), p.dlogprob.data(),
                                                        find(results, "lse").values.data(), p.hidden.data(),
                                                        p.panels.data(), p.targets.data(), p.t, p.c, p.v,
                                                        p.inverse_temperature, 0, p.v, logits.values.data()});
      c.same_bits(Tensor{"dhidden", {p.t, p.c}, dhidden}, find(results, "dhidden"), "from kept logits");
      c.same_bits(Tensor{"dweight", {p.v, p.c}, from_panels(dweight, p.v, p.c)}, find(results, "dweight"),
                  "from kept logits");
    });
  }
}

void check_special(Checker& checker) {
  checker.test("a row without gradient adds nothing", [&](Case& c) {
    Problem p(3, 20, 700);
    p.dlogprob = {0, 0, 0};
    const Tensors results = checker.sweep(
        c, p.work(), [&](const Kernels& kernels, Exec& exec) { return run(p, kernels, exec, 0, 3, 0); });
    c.same_bits(find(results, "dweight"), {"dweight", {p.v, p.c}, p.dweight}, "the old gradient");
    for (const float x : find(results, "dhidden").values) c.that(x == 0, "dhidden is not zero");
  });
  // Including a payload that lies in the bits that exp works with.
  for (const uint32_t payload :
       {0x7fc00000u, 0xffc00000u, 0x7fc00001u, 0x7fc000ffu, 0x7f800000u, 0xff800000u}) {
    checker.test(format("a weight of %08x gives NaN in every row", payload), [&](Case& c) {
      Problem p(5, 20, 700);
      p.has_nan = true;
      std::memcpy(&p.weight[600 * p.c + 7], &payload, 4);
      p.pack();
      for (float& x : p.hidden)
        x = std::fabs(x);  // so that an infinite weight is an infinite logit, which must show
      const Tensors results = checker.sweep(
          c, p.work(), [&](const Kernels& kernels, Exec& exec) { return run(p, kernels, exec, 0, 5, 0); });
      if (payload == 0xff800000u) return;  // minus infinity is a probability of zero
      for (const char* name : {"logprob", "lse", "entropy"})
        for (const float x : find(results, name).values)
          c.that(std::isnan(x), std::string(name) + " is not NaN");
    });
    checker.test(format("hidden states with %08x give NaN, in their row alone", payload), [&](Case& c) {
      Problem p(5, 20, 700);
      const Tensors sound = run(p, *checker.variants().front(), checker.exec(1), 0, 5, 0);
      p.has_nan = true;
      std::memcpy(&p.hidden[2 * p.c + 7], &payload, 4);
      const Tensors results = checker.sweep(
          c, p.work(), [&](const Kernels& kernels, Exec& exec) { return run(p, kernels, exec, 0, 5, 0); });
      for (const char* name : {"logprob", "lse", "entropy"}) {
        c.that(std::isnan(find(results, name).values[2]), std::string(name) + " is not NaN");
        for (const int64_t row : {0, 1, 3, 4})
          c.same_bits(rows(find(results, name), row, 1), rows(find(sound, name), row, 1),
                      "without the bad row");
      }
    });
  }
}

void check(Checker& checker) {
  check_problem(checker, Problem(1, 1, 1));
  check_problem(checker, Problem(2, 3, 2));
  for (const int64_t v : {31, 33, 511, 513, 1025, 2100}) check_problem(checker, Problem(7, 20, v));
  check_problem(checker, Problem(150, 33, 100));
  check_problem(checker, Problem(40, 65, 1500));
  check_problem(checker, Problem(300, 33, 1100));  // several blocks of rows and of columns
  for (const float temperature : {0.5f, 0.7f, 1.3f}) {
    Problem p(6, 32, 1000);
    p.inverse_temperature = 1 / temperature;
    check_problem(checker, p, format(" temperature %g", static_cast<double>(temperature)));
  }
  check_problem(checker, Problem(6, 32, 1000, 100), " logits of hundreds");
  check_problem(checker, Problem(6, 32, 1000, 1e-6), " equal logits");
  check_problem(checker, Problem(3, 576, 49152), " (SmolLM2-135M)");
  check_narrow(checker, Problem(2, 3, 2));
  check_narrow(checker, Problem(40, 65, 1500));
  check_special(checker);
  check_bf16(checker, Problem(1, 1, 1));
  check_bf16(checker, Problem(7, 20, 513));
  check_bf16(checker, Problem(40, 65, 1500));
  check_bf16(checker, Problem(300, 33, 1100));
  check_bf16(checker, Problem(70, 576, 2100));
}

const Registration registration("logprob", check);

}  // namespace
}  // namespace check
}  // namespace lsp
