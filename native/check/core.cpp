// The check of native/core: Philox against its published vectors, scalar functions against the C library, the
// pool under many tiny regions.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <thread>

#include "check/check.h"
#include "core/error.h"
#include "core/philox.h"
#include "core/scalar_math.h"
#include "core/thread_pool.h"

namespace lsp {
namespace check {
namespace {

void check_philox(Checker& checker) {
  // Known answers of philox4x32 with 10 rounds, as published with Random123 (file kat_vectors).
  struct Known {
    uint32_t counter[4], key[2], result[4];
  };
  const Known vectors[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
       {0xffffffff, 0xffffffff},
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  checker.test("philox: known answers", [&](Case& c) {
    for (const Known& known : vectors) {
      const auto pair = [](const uint32_t* words) { return uint64_t{words[1]} << 32 | words[0]; };
      const PhiloxBlock got = philox4x32(pair(known.key), pair(known.counter), pair(known.counter + 2));
      for (int i = 0; i < 4; ++i)
        c.that(got.word[i] == known.result[i],
               format("word %d: got %08x expected %08x", i, got.word[i], known.result[i]));
    }
  });
  checker.test("philox: uniform numbers", [&](Case& c) {
    double sum = 0, squares = 0;
    constexpr int kCount = 100000;
    for (int i = 0; i < kCount; ++i) {
      const double u = philox_uniform(42, static_cast<uint64_t>(i % 7), static_cast<uint64_t>(i / 7));
      c.that(u >= 0 && u < 1, format("%.17g is outside [0, 1)", u));
      sum += u;
      squares += u * u;
    }
    // Means of 1/2 and 1/3 with standard deviations of 0.289 and 0.298 a number; five of them for 100000
    // numbers.
    c.that(std::fabs(sum / kCount - 0.5) < 0.0046, format("mean %.6f", sum / kCount));
    c.that(std::fabs(squares / kCount - 1.0 / 3) < 0.0048, format("mean square %.6f", squares / kCount));
    c.that(philox_uniform(1, 2, 3) != philox_uniform(1, 3, 2) &&
               philox_uniform(1, 2, 3) != philox_uniform(2, 1, 3),
           "seed, stream and position are interchangeable");
  });
}

// Units of 2^-53 of the expected value.
double units_off(double got, double want) {
  return want == got ? 0 : std::fabs(got - want) / std::fabs(want) * 9007199254740992.0;
}

void check_scalar_math(Checker& checker) {
  // Polynomials and reductions of a few operations: 4 units of 2^-53. They are used on values that are
  // rounded to float.
  checker.test("scalar log", [&](Case& c) {
    for (double x = 1e-300; x < 1e300; x *= 1.0037) {
      const double error = units_off(scalar::log(x), std::log(x));
      c.that(error <= 4, format("log(%.17g): off by %.1f units", x, error));
    }
    for (double x = 0.5; x < 2; x += 1.0 / 4096) {
      const double want = std::log(x), error = std::fabs(scalar::log(x) - want) * 9007199254740992.0;
      c.that(error <= 4 * std::fabs(want) + 1e-3, format("log(%.17g): off by %.1f units", x, error));
    }
    c.that(scalar::log(1.0) == 0.0, "log(1) is not exactly 0");
  });
  checker.test("scalar exp", [&](Case& c) {
    for (double x = -699; x < 699; x += 0.00917) {
      const double error = units_off(scalar::exp(x), std::exp(x));
      c.that(error <= 4, format("exp(%.17g): off by %.1f units", x, error));
    }
    c.that(scalar::exp(0.0) == 1.0, "exp(0) is not exactly 1");
  });
  checker.test("scalar sin and cos", [&](Case& c) {
    for (const double limit : {10.0, 1e3, 1e6}) {
      for (int i = -4000; i <= 4000; ++i) {
        const double x = limit * i / 4000.3;
        double s, cosine;
        scalar::sin_cos(x, &s, &cosine);
        // Absolute: near a zero nothing else is promised. 1e-9 is far below the rounding to float, 3e-8.
        const double error = std::max(std::fabs(s - std::sin(x)), std::fabs(cosine - std::cos(x)));
        c.that(error <= 1e-9, format("sin_cos(%.17g): off by %.3g", x, error));
      }
    }
  });
}

struct Region {
  std::atomic<int64_t> sum{0}, calls{0};
  std::atomic<int> wrong_worker{0};
  int workers = 0;
};

void check_pool(Checker& checker) {
  for (const int threads : {1, 2, 3, 4}) {
    checker.test(format("thread pool of %d: many tiny regions", threads), [&](Case& c) {
      ThreadPool pool(threads);
      c.that(pool.size() == threads, "another size than asked for");
      Region region;
      region.workers = threads;
      int64_t expected_sum = 0, expected_calls = 0;
      for (int round = 0; round < (threads > 2 ? 500 : 3000); ++round) {
        const int64_t items = round % 7;
        pool.run(
            items,
            [](void* context, int64_t item, int worker) {
              Region& r = *static_cast<Region*>(context);
              r.sum += item;
              ++r.calls;
              if (worker < 0 || worker >= r.workers) ++r.wrong_worker;
            },
            &region);
        expected_sum += items * (items - 1) / 2;
        expected_calls += items;
        // Nothing may be left running when run() returns.
        c.that(region.calls == expected_calls && region.sum == expected_sum,
               format("round %d: items lost or repeated", round));
      }
      c.that(region.wrong_worker == 0, "a worker's number is out of range");
    });
  }
  checker.test("thread pool: sleeping workers wake up; pools come and go", [&](Case& c) {
    for (int round = 0; round < 30; ++round) {
      ThreadPool pool(3);
      for (int i = 0; i < 3; ++i) {
        if (round < 5) std::this_thread::sleep_for(std::chrono::milliseconds(3));  // longer than workers spin
        Region region;
        region.workers = 3;
        pool.run(
            100, [](void* context, int64_t, int) { ++static_cast<Region*>(context)->calls; }, &region);
        c.that(region.calls == 100, "items lost or repeated");
      }
    }
  });
  checker.test("exec: thread counts outside 1..256 are refused", [&](Case& c) {
    for (const int threads : {0, -1, 257}) {
      bool refused = false;
      try {
        Exec exec(threads);
      } catch (const Error& error) {
        refused = error.code() == "INVALID_ARGUMENT";
      }
      c.that(refused, format("%d threads were accepted", threads));
    }
  });
}

void check(Checker& checker) {
  check_philox(checker);
  check_scalar_math(checker);
  check_pool(checker);
}

const Registration registration("core", check);

}  // namespace
}  // namespace check
}  // namespace lsp
