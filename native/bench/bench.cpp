#include "bench/bench.h"

#include <algorithm>
#include <chrono>

namespace lsp {
namespace bench {

void Bencher::run(const std::string& name, double flops, double bytes, const std::function<void()>& body) {
  using Clock = std::chrono::steady_clock;
  constexpr double kSecondsPerCase = 0.3;
  constexpr int kLeastCalls = 5;
  body();  // scratch memory and caches
  double best = 1e30, total = 0;
  for (int calls = 0; calls < kLeastCalls || total < kSecondsPerCase; ++calls) {
    const Clock::time_point start = Clock::now();
    body();
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    best = std::min(best, seconds);
    total += seconds;
  }
  record({op, name, best, flops, bytes});
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
