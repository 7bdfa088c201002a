// lsp_bench [op...] [--threads N] [--isa NAME] [--rows N,N] [--products TxKxN,...] [--seconds-per-case S]
// [--json]: the kernels' speed on SmolLM2-135M's shapes, as a share of what this machine can do. Without a
// name, all ops; without
// --threads, every core; without --isa, LSP_ISA's or the best. `lsp bench` is the same for people who have no
// compiler.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <thread>

#include "bench/bench.h"
#include "core/error.h"

namespace lsp {
namespace bench {
namespace {

struct Arguments {
  Options options;
  bool json = false;
};

std::vector<int64_t> numbers(const std::string& text) {
  std::vector<int64_t> list;
  std::stringstream stream(text);
  for (std::string number; std::getline(stream, number, ',');) list.push_back(std::atoll(number.c_str()));
  return list;
}

// "2048x2048x2048,32x576x1536": T x K x N each. What cannot be read is 0, which check() refuses.
std::vector<Product> products(const std::string& text) {
  std::vector<Product> list;
  std::stringstream stream(text);
  for (std::string one; std::getline(stream, one, ',');) {
    long long t = 0, k = 0, n = 0;
    std::sscanf(one.c_str(), "%lldx%lldx%lld", &t, &k, &n);
    list.push_back({t, k, n});
  }
  return list;
}

Arguments parse(int count, char** arguments) {
  Arguments result;
  Options& options = result.options;
  options.threads = static_cast<int>(std::thread::hardware_concurrency());
  for (int i = 1; i < count; ++i) {
    const std::string argument = arguments[i];
    const auto value = [&] {
      LSP_CHECK(i + 1 < count, "INVALID_ARGUMENT", "Expected a value after `" + argument + "`.");
      return std::string(arguments[++i]);
    };
    if (argument == "--json") {
      result.json = true;
    } else if (argument == "--isa") {
      options.isa = value();
    } else if (argument == "--threads") {
      options.threads = std::atoi(value().c_str());
    } else if (argument == "--rows") {
      options.rows = numbers(value());
    } else if (argument == "--products") {
      options.products = products(value());
    } else if (argument == "--seconds-per-case") {
      options.seconds_per_case = std::atof(value().c_str());
    } else {
      options.ops.push_back(argument);
    }
  }
  if (options.ops.empty()) options.ops = ops();
  check(options);
  return result;
}

// As a share of the peaks measured before.
void print_row(const Measurement& m, const Peak& peak) {
  const double compute = m.flops_share(peak), memory = m.bytes_share(peak);
  const bool by_compute = compute > memory;
  std::printf("%-10s %-44s %10.1f us %9.1f %-7s %5.0f %% of the %s peak\n", m.op.c_str(), m.name.c_str(),
              m.seconds * 1e6, (by_compute ? m.flops : m.bytes) / m.seconds * 1e-9,
              by_compute ? "GFLOP/s" : "GB/s", 100 * std::max(compute, memory),
              by_compute ? "compute" : "memory");
  std::fflush(stdout);
}

void print_peak(const char* when, const Peak& peak) {
  std::printf("%s %.1f GFLOP/s (bf16 %.1f, int8 %.1f), %.1f GB/s of reading, %.1f of copying\n", when,
              peak.flops[0] * 1e-9, peak.flops[1] * 1e-9, peak.flops[2] * 1e-9, peak.bytes * 1e-9,
              peak.copy_bytes * 1e-9);
}

void print_json(const Options& options, const Peak& peak, const std::vector<Measurement>& all) {
  std::printf(
      "{\n  \"isa\": \"%s\",\n  \"threads\": %d,\n  \"peak\": {\"gflops\": %.6g, \"gigabytesPerSecond\": "
      "%.6g, \"copyGigabytesPerSecond\": %.6g},\n  \"results\": [",
      options.isa.c_str(), options.threads, peak.flops[0] * 1e-9, peak.bytes * 1e-9, peak.copy_bytes * 1e-9);
  const char* separator = "\n";
  for (const Measurement& m : all) {
    const double compute = m.flops_share(peak), memory = m.bytes_share(peak);
    std::printf(
        "%s    {\"op\": \"%s\", \"name\": \"%s\", \"seconds\": %.9g, \"gflops\": %.6g, "
        "\"gigabytesPerSecond\": %.6g, \"bound\": \"%s\", \"share\": %.4g}",
        separator, m.op.c_str(), m.name.c_str(), m.seconds, m.flops / m.seconds * 1e-9,
        m.bytes / m.seconds * 1e-9, compute > memory ? "compute" : "memory", std::max(compute, memory));
    separator = ",\n";
  }
  std::printf("\n  ]\n}\n");
}

void bench_main(const Arguments& arguments) {
  const Options& options = arguments.options;
  const Operation operation;
  Peak before;
  std::vector<Measurement> all;
  const Peaks peaks = run(
      options, operation,
      [&](const Peak& peak) {
        before = peak;
        if (arguments.json) return;
        std::printf("%s, threads %d\n", options.isa.c_str(), options.threads);
        print_peak("before:", peak);
      },
      [&](const Measurement& measurement) {
        all.push_back(measurement);
        if (!arguments.json) print_row(measurement, before);
      });
  if (arguments.json) {
    print_json(options, best_of(peaks.before, peaks.after), all);
  } else {
    print_peak("after: ", peaks.after);
    if (peaks.after.flops[0] > 1.02 * peaks.before.flops[0] || peaks.after.bytes > 1.02 * peaks.before.bytes)
      std::printf("The machine is faster now than before: the shares above are too high by as much.\n");
  }
}

}  // namespace
}  // namespace bench
}  // namespace lsp

int main(int count, char** arguments) {
  try {
    lsp::bench::bench_main(lsp::bench::parse(count, arguments));
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
