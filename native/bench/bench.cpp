#include "bench/bench.h"

#include <algorithm>
#include <chrono>
#include <map>

#include "core/error.h"

namespace lsp {
namespace bench {

namespace {

using Bench = void (*)(Bencher&);

// A function's own static: registrations of other units may run before this unit's statics exist.
std::map<std::string, Bench>& registry() {
  static std::map<std::string, Bench> benches;
  return benches;
}

// Sizes whose products stay far below 2^63.
constexpr int64_t kMostSize = int64_t{1} << 24;
constexpr int64_t kMostRows = 65536;

void check_size(int64_t value, int64_t most, const std::string& name) {
  LSP_CHECK(value >= 1 && value <= most, "INVALID_ARGUMENT",
            "Expected 1 to " + std::to_string(most) + " for `" + name + "` but received " +
                std::to_string(value) + ".");
}

}  // namespace

Registration::Registration(const char* op, Bench bench) { registry()[op] = bench; }

std::vector<std::string> ops() {
  std::vector<std::string> names;
  for (const auto& entry : registry()) names.push_back(entry.first);
  return names;
}

void check(const Options& options) {
  std::string known;
  for (const std::string& op : ops()) known += (known.empty() ? "" : ", ") + op;
  for (const std::string& op : options.ops) {
    LSP_CHECK(registry().count(op) != 0, "INVALID_ARGUMENT",
              "Expected some of " + known + " for `ops` but received '" + op + "'.");
  }
  const Geometry& g = options.geometry;
  for (const auto& [value, name] : {std::pair(g.hidden, "hiddenSize"), std::pair(g.ffn, "intermediateSize"),
                                    std::pair(g.heads, "numHeads"), std::pair(g.kv_heads, "numKeyValueHeads"),
                                    std::pair(g.head_size, "headSize"), std::pair(g.vocab, "vocabSize")}) {
    check_size(value, kMostSize, name);
  }
  LSP_CHECK(g.heads % g.kv_heads == 0, "INVALID_ARGUMENT",
            "Expected a multiple of `numKeyValueHeads` for `numHeads` but received " +
                std::to_string(g.heads) + ".");
  LSP_CHECK(!options.rows.empty(), "INVALID_ARGUMENT", "Expected a non-empty array for `rows`.");
  for (const int64_t rows : options.rows) check_size(rows, kMostRows, "rows");
  for (const Product& product : options.products) {
    check_size(product.t, kMostRows, "products");
    check_size(product.k, kMostRows, "products");
    check_size(product.n, kMostSize, "products");
  }
  check_size(options.threads, 256, "threads");
  kernels_for(options.isa);
}

Peaks run(const Options& options, const Operation& operation, const std::function<void(const Peak&)>& begin,
          const std::function<void(const Measurement&)>& record) {
  check(options);
  Exec exec(options.threads);
  Peaks peaks;
  peaks.before = measure_peak(exec, options, operation);
  begin(peaks.before);
  Bencher bencher(options, exec, operation);
  bencher.record = record;
  for (const std::string& op : options.ops) {
    bencher.op = op;
    registry()[op](bencher);
    exec.release();
  }
  peaks.after = measure_peak(exec, options, operation);
  return peaks;
}

void Bencher::run(const std::string& name, double flops, double bytes, const std::function<void()>& body,
                  Arithmetic arithmetic) {
  using Clock = std::chrono::steady_clock;
  constexpr int kLeastTimes = 5;
  // A case whose calls are long gets fewer of them: at least two within this many times its share of time.
  constexpr double kPatience = 8;
  // Short calls are timed by the dozen, since reading the clock takes some 25 ns.
  constexpr double kLeastSeconds = 20e-6;
  int calls = 1;
  const auto time = [&] {
    operation_.poll();
    const Clock::time_point start = Clock::now();
    for (int i = 0; i < calls; ++i) body();
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  time();  // scratch memory and caches
  calls = static_cast<int>(std::clamp(kLeastSeconds / std::max(time(), 1e-9), 1.0, 1000.0));
  double best = 1e30, total = 0;
  for (int times = 0; times < kLeastTimes || total < seconds_per_case_; ++times) {
    if (times >= 2 && total > kPatience * seconds_per_case_) break;
    const double seconds = time();
    best = std::min(best, seconds / calls);
    total += seconds;
  }
  record({op, name, std::max(best, 1e-9), flops, bytes, arithmetic});
}

const char* name_of(Arithmetic arithmetic) {
  constexpr const char* kNames[kArithmetics] = {"f32", "bf16", "int8"};
  return kNames[static_cast<int>(arithmetic)];
}

Buffer filled(int64_t count) {
  Buffer buffer(count);
  uint32_t state = 1;
  for (int64_t i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    buffer.data()[i] = static_cast<float>(static_cast<int32_t>(state | 1u)) * (1.0f / 2147483648.0f);
  }
  return buffer;
}

std::string sizes(const std::vector<std::pair<const char*, int64_t>>& letters) {
  std::string text;
  for (const auto& [letter, size] : letters) {
    if (!text.empty()) text += ' ';
    text += letter;
    text += '=';
    text += std::to_string(size);
  }
  return text;
}

}  // namespace bench
}  // namespace lsp
