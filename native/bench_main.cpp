// lsp_bench [op...] [--threads N] [--isa NAME] [--json]: the kernels' speed on SmolLM2-135M's shapes, as a
// share of what this machine can do. Without a name, all ops; without --threads, every core; without --isa,
// LSP_ISA's or the best.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <thread>

#include "bench/bench.h"
#include "core/error.h"

namespace lsp {
namespace bench {

namespace {

std::map<std::string, void (*)(Bencher&)>& registry() {
  static std::map<std::string, void (*)(Bencher&)> benches;
  return benches;
}

struct Options {
  std::vector<std::string> ops;
  std::string isa = active_kernels().isa;
  int threads = static_cast<int>(std::thread::hardware_concurrency());
  bool json = false;
};

Options parse(int count, char** arguments) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string argument = arguments[i];
    const auto value = [&] {
      LSP_CHECK(i + 1 < count, "INVALID_ARGUMENT", "Expected a value after `" + argument + "`.");
      return std::string(arguments[++i]);
    };
    if (argument == "--json") {
      options.json = true;
    } else if (argument == "--isa") {
      options.isa = value();
    } else if (argument == "--threads") {
      options.threads = std::atoi(value().c_str());
    } else if (registry().count(argument) != 0) {
      options.ops.push_back(argument);
    } else {
      std::string known;
      for (const auto& entry : registry()) known += " " + entry.first;
      throw Error("INVALID_ARGUMENT", "Expected an op, --threads, --isa or --json but received '" + argument +
                                          "'. Ops:" + known + ".");
    }
  }
  if (options.ops.empty())
    for (const auto& entry : registry()) options.ops.push_back(entry.first);
  return options;
}

void print_row(const Measurement& m, const Peak& peak, bool json) {
  const double compute = m.flops / peak.flops, memory = m.bytes / peak.bytes;
  const bool by_compute = compute > memory;
  const double share = (by_compute ? compute : memory) / m.seconds;
  if (json) {
    std::printf(
        "    {\"op\": \"%s\", \"name\": \"%s\", \"seconds\": %.9g, \"gflops\": %.6g, \"gigabytesPerSecond\": "
        "%.6g, "
        "\"bound\": \"%s\", \"share\": %.4g}",
        m.op.c_str(), m.name.c_str(), m.seconds, m.flops / m.seconds * 1e-9, m.bytes / m.seconds * 1e-9,
        by_compute ? "compute" : "memory", share);
    return;
  }
  std::printf("%-10s %-44s %10.1f us %9.1f %-7s %5.0f %% of the %s peak\n", m.op.c_str(), m.name.c_str(),
              m.seconds * 1e6, (by_compute ? m.flops : m.bytes) / m.seconds * 1e-9,
              by_compute ? "GFLOP/s" : "GB/s", 100 * share, by_compute ? "compute" : "memory");
  std::fflush(stdout);
}

void bench_main(const Options& options) {
  const Kernels& kernels = kernels_for(options.isa);
  Exec exec(options.threads);
  const Peak peak = measure_peak(exec, options.isa);
  const char* head =
      options.json
          ? "{\n  \"isa\": \"%s\",\n  \"threads\": %d,\n  \"peak\": {\"gflops\": %.6g, "
            "\"gigabytesPerSecond\": %.6g},\n  \"results\": [\n"
          : "%s, threads %d; measured peaks: %.1f GFLOP/s of fused multiply-adds, %.1f GB/s of reading\n";
  std::printf(head, options.isa.c_str(), options.threads, peak.flops * 1e-9, peak.bytes * 1e-9);
  Bencher bencher(kernels, exec);
  bool first = true;
  bencher.record = [&](const Measurement& measurement) {
    if (options.json && !first) std::printf(",\n");
    first = false;
    print_row(measurement, peak, options.json);
  };
  for (const std::string& op : options.ops) {
    bencher.op = op;
    registry()[op](bencher);
    exec.release();
  }
  if (options.json) std::printf("\n  ]\n}\n");
}

}  // namespace

Registration::Registration(const char* op, void (*bench)(Bencher&)) { registry()[op] = bench; }

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
