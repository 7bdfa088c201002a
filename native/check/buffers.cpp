// Buffers of all sizes, made and freed in any order: each is zero at first and nobody else's.
#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

#include "check/check.h"
#include "core/buffer.h"
#include "core/error.h"
#include "core/pages.h"
#include "core/philox.h"

namespace lsp {
namespace check {
namespace {

// From the heap, pieces of pages, and pages of their own.
constexpr int64_t kSizes[] = {
    1, 1000, 16352, 16368, 331776, 884736, kLargestPiece / 4 - 16, kLargestPiece / 4};

struct Marked {
  Buffer buffer;
  float mark;
};

void expect_all(const Buffer& buffer, float value, const char* what) {
  const float* values = buffer.data();
  if (std::any_of(values, values + buffer.count(), [&](float each) { return each != value; }))
    throw Error("INTERNAL", std::string("a buffer of ") + std::to_string(buffer.count()) + " floats " + what);
}

void check(Checker& checker) {
  checker.test("buffers are zero at first, and keep what is written", [](Case&) {
    std::vector<Marked> live;
    for (uint64_t step = 0; step < 400; ++step) {
      const auto draw = [&](uint64_t of) { return philox_uniform(1, step, of); };
      if (live.size() > 12 || (!live.empty() && draw(0) < 0.4)) {
        const size_t index = static_cast<size_t>(draw(1) * static_cast<double>(live.size()));
        std::swap(live[index], live.back());
        expect_all(live.back().buffer, live.back().mark, "changed");
        live.pop_back();
      } else {
        const size_t size = static_cast<size_t>(draw(2) * static_cast<double>(std::size(kSizes)));
        live.push_back({Buffer(kSizes[size]), static_cast<float>(step + 1)});
        Buffer& buffer = live.back().buffer;
        expect_all(buffer, 0.0f, "was not zero");
        std::fill_n(buffer.data(), buffer.count(), live.back().mark);
      }
    }
    for (const Marked& each : live) expect_all(each.buffer, each.mark, "changed");
  });
}

const Registration registration("buffers", check);

}  // namespace
}  // namespace check
}  // namespace lsp
