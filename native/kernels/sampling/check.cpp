// sampling against its oracle and against itself: see sampling.h.
#include <algorithm>
#include <cmath>
#include <limits>

#include "check/check.h"
#include "kernels/sampling/reference.h"

namespace lsp {
namespace check {
namespace {

// Rows that share their logits and differ in the uniform number.
struct Problem {
  std::vector<float> logits;
  std::vector<double> uniforms;
  std::vector<int32_t> banned;
  float temperature = 1;
  int64_t top_k = 0;
  float top_p = 1;

  int64_t v() const { return static_cast<int64_t>(logits.size()); }
  SamplingRow row(double uniform) const {
    return {logits.data(), uniform, banned.data(), static_cast<int64_t>(banned.size())};
  }
};

// A grid of numbers and both ends of the interval.
std::vector<double> grid(int count) {
  std::vector<double> uniforms{0.0, 1.0 - std::ldexp(1.0, -53)};
  for (int i = 0; i < count; ++i) uniforms.push_back((i + 0.5) / count);
  return uniforms;
}

Problem make_problem(int64_t v, double spread, int count) {
  Problem p;
  p.logits = random_values(v, 1, spread);
  p.uniforms = grid(count);
  return p;
}

std::vector<int32_t> sample(const Problem& p, const std::vector<double>& uniforms, const Kernels& kernels,
                            Exec& exec) {
  std::vector<SamplingRow> rows_of;
  for (const double uniform : uniforms) rows_of.push_back(p.row(uniform));
  std::vector<int32_t> tokens(uniforms.size(), -7);
  kernels.sampling->sample(exec, {tokens.data(), rows_of.data(), static_cast<int64_t>(rows_of.size()), p.v(),
                                  p.temperature, p.top_k, p.top_p});
  return tokens;
}

// Every variant, thread count and batch must draw the same tokens.
std::vector<int32_t> sweep(Checker& checker, Case& c, const Problem& p) {
  const std::vector<int32_t> first = sample(p, p.uniforms, *checker.variants().front(), checker.exec(1));
  for (const Kernels* kernels : checker.variants()) {
    for (int threads = 1; threads <= 3; ++threads)
      c.that(sample(p, p.uniforms, *kernels, checker.exec(threads)) == first,
             format("%s with %d threads drew other tokens", kernels->isa, threads));
    for (const size_t i : {size_t{0}, first.size() / 2, first.size() - 1})
      c.that(sample(p, {p.uniforms[i]}, *kernels, checker.exec(1))[0] == first[i],
             std::string(kernels->isa) + ": a row alone drew another token");
  }
  return first;
}

// A token is right if the uniform number lies in its part of the cumulative distribution. Probabilities are
// floats and their sums over blocks are, so the borders may be off by some roundings: 32 * 2^-24, about 2e-6.
void compare(Case& c, const Problem& p, const std::vector<int32_t>& tokens) {
  constexpr double kTolerance = 2e-6;
  const reference::Distribution d =
      reference::sampling_distribution(p.row(0), p.v(), p.temperature, p.top_k, p.top_p);
  c.that(d.margin > kTolerance, format("the nucleus is undecided by %.3g: choose another p", d.margin));
  std::vector<double> below(d.probability.size() + 1);
  for (size_t i = 0; i < d.probability.size(); ++i) below[i + 1] = below[i] + d.probability[i];
  for (size_t i = 0; i < tokens.size(); ++i) {
    const int64_t token = tokens[i];
    const double u = p.uniforms[i];
    if (token < 0 || token >= p.v() || d.probability[token] == 0) {
      c.that(false, format("u = %.17g: got token %d, which is not kept", u, static_cast<int>(token)));
    } else if (u < below[token] - kTolerance || u > below[token + 1] + kTolerance) {
      c.that(false, format("u = %.17g: got token %d, which has [%.9g, %.9g)", u, static_cast<int>(token),
                           below[token], below[token + 1]));
    }
  }
}

void check_problem(Checker& checker, const std::string& name, const Problem& p) {
  checker.test(name, [&](Case& c) { compare(c, p, sweep(checker, c, p)); });
}

void check_greedy(Checker& checker) {
  checker.test("greedy", [&](Case& c) {
    for (const int64_t v : {1, 15, 17, 513, 49152}) {
      Problem p = make_problem(v, 3, 1);
      p.temperature = 0;
      const auto same = [&](const char* what) {
        for (const int32_t token : sweep(checker, c, p))
          c.that(token == reference::greedy(p.row(0), v),
                 format("V=%d %s: got token %d", static_cast<int>(v), what, token));
      };
      same("random");
      if (v == 1) continue;
      const int32_t best = reference::greedy(p.row(0), v);
      p.logits[v - 1] = p.logits[0] = p.logits[best];
      same("ties");
      p.banned = {0, static_cast<int32_t>(v / 2)};
      same("banned");
    }
  });
}

void check_truncation(Checker& checker) {
  for (const int64_t top_k : {1, 2, 50, 999, 1000, 5000}) {
    Problem p = make_problem(1000, 5, 200);
    p.top_k = top_k;
    check_problem(checker, format("top-k %d", static_cast<int>(top_k)), p);
    for (float& logit : p.logits) logit = std::round(logit);  // many ties
    check_problem(checker, format("top-k %d with ties", static_cast<int>(top_k)), p);
  }
  for (const float top_p : {1e-4f, 0.31f, 0.9f, 0.99f}) {
    Problem p = make_problem(1000, 5, 200);
    p.top_p = top_p;
    check_problem(checker, format("top-p %g", static_cast<double>(top_p)), p);
    p.top_k = 40;
    p.banned = {7, 300, 999};
    p.temperature = 0.7f;
    check_problem(checker, format("top-k 40, then top-p %g at temperature 0.7", static_cast<double>(top_p)),
                  p);
  }
  Problem same = make_problem(100, 0, 50);
  same.top_p = 0.505f;
  check_problem(checker, "top-p with all logits equal keeps the first ids", same);
}

void check_banned(Checker& checker) {
  Problem p = make_problem(200, 3, 100);
  p.banned = {0, 5, 199};
  check_problem(checker, "banned ids", p);
  // Far above the rest: the rest must still be drawn from, as if the banned token were not there.
  for (const double above : {50.0, 200.0}) {
    p.logits[5] = static_cast<float>(above);
    check_problem(checker, format("a banned id %g above the others", above), p);
  }
  p.logits[5] = 15;
  p.temperature = 0.1f;
  check_problem(checker, "a banned id 15 above the others at temperature 0.1", p);
}

// A row with a NaN has no distribution: no token is drawn from it.
void check_nan(Checker& checker) {
  checker.test("NaN in the logits gives no token", [&](Case& c) {
    for (const float nan :
         {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::quiet_NaN()})
      for (const float temperature : {0.0f, 1.0f})
        for (const int64_t top_k : {0, 5}) {
          Problem p = make_problem(100, 3, 5);
          p.logits[37] = nan;
          p.temperature = temperature;
          p.top_k = top_k;
          for (const int32_t token : sweep(checker, c, p))
            c.that(token < 0,
                   format("temperature %g top-k %d %s NaN: got token %d", static_cast<double>(temperature),
                          static_cast<int>(top_k), std::signbit(nan) ? "negative" : "positive", token));
        }
  });
}

void check(Checker& checker) {
  check_greedy(checker);
  for (const int64_t v : {1, 2, 15, 17, 511, 513, 2000})
    check_problem(checker, format("V=%d", static_cast<int>(v)), make_problem(v, 4, 300));
  check_problem(checker, "V=49152", make_problem(49152, 6, 40));
  for (const float temperature : {0.05f, 0.7f, 1.5f, 10.0f}) {
    Problem p = make_problem(700, 4, 100);
    p.temperature = temperature;
    check_problem(checker, format("temperature %g", static_cast<double>(temperature)), p);
  }
  Problem far = make_problem(300, 3, 100);
  for (float& logit : far.logits) logit += 1e4f;
  check_problem(checker, "large logits", far);
  Problem sparse = make_problem(600, 3, 100);
  for (int64_t i = 0; i < 600; ++i)
    if (i % 50 != 20) sparse.logits[i] = -std::numeric_limits<float>::infinity();
  check_problem(checker, "most logits minus infinity", sparse);
  check_truncation(checker);
  check_banned(checker);
  check_nan(checker);
}

const Registration registration("sampling", check);

}  // namespace
}  // namespace check
}  // namespace lsp
