#include "check/check.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>

#include "core/bfloat16.h"
#include "core/error.h"

namespace lsp {
namespace check {

namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

constexpr double kUnit = 1.0 / (1 << 24);  // half the distance from 1 to the next float
constexpr size_t kShownMismatches = 3;     // of one tensor
constexpr size_t kShownFailures = 12;      // of one case

std::string index_text(const std::vector<int64_t>& shape, int64_t flat) {
  std::string text;
  for (size_t d = shape.size(); d-- > 0;) {
    text = std::to_string(flat % shape[d]) + (text.empty() ? "" : ", ") + text;
    flat /= shape[d];
  }
  return "[" + text + "]";
}

uint32_t bits_of(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}

// FNV-1a over the values' bits, every NaN alike.
uint64_t hash_of(const Tensors& tensors, uint64_t hash) {
  for (const Tensor& tensor : tensors)
    for (const float x : tensor.values)
      hash = (hash ^ (std::isnan(x) ? 0x7fc00000u : bits_of(x))) * 0x100000001b3u;
  return hash;
}

uint64_t next_random(uint64_t* state) {  // SplitMix64 (Steele, Lea and Flood 2014)
  uint64_t z = (*state += 0x9E3779B97F4A7C15u);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

}  // namespace

std::string format(const char* pattern, ...) {
  char text[512];
  va_list arguments;
  va_start(arguments, pattern);
  std::vsnprintf(text, sizeof text, pattern, arguments);
  va_end(arguments);
  return text;
}

std::string shape_text(const std::vector<std::pair<const char*, int64_t>>& sizes) {
  std::string text;
  for (const auto& [letter, size] : sizes) {
    if (!text.empty()) text += ' ';
    text += format("%s=%lld", letter, static_cast<long long>(size));
  }
  return text;
}

const Tensor& find(const Tensors& tensors, const std::string& name) {
  for (const Tensor& tensor : tensors)
    if (tensor.name == name) return tensor;
  throw Error("INVALID_ARGUMENT", "The run gave no tensor called " + name + ".");
}

Tensor rows(const Tensor& tensor, int64_t first, int64_t count) {
  Tensor part = tensor;
  const int64_t size =
      tensor.shape[0] == 0 ? 0 : static_cast<int64_t>(tensor.values.size()) / tensor.shape[0];
  part.shape[0] = count;
  part.values.assign(tensor.values.begin() + first * size, tensor.values.begin() + (first + count) * size);
  return part;
}

void Case::close(const Tensor& got, const Expected& expected, double roundings) {
  if (got.values.size() != expected.value.size()) {
    failures_.push_back(
        format("%s: %zu values, expected %zu", got.name.c_str(), got.values.size(), expected.value.size()));
    return;
  }
  Worst& worst = worst_[got.name];
  size_t mismatches = 0;
  for (size_t i = 0; i < got.values.size(); ++i) {
    const double x = got.values[i], want = expected.value[i];
    const double allowed = roundings * (kUnit * expected.magnitude[i] + FLT_MIN);
    const bool alike = (std::isnan(x) && std::isnan(want)) || x == want;
    const double share = alike ? 0 : std::fabs(x - want) / allowed;
    const bool fine = alike || (share <= 1 && std::isfinite(x));
    if (fine && share <= worst.share) continue;
    const std::string text =
        format("%s %s: got %.9g expected %.9g tolerance %.3g (error %.3g)", got.name.c_str(),
               index_text(got.shape, static_cast<int64_t>(i)).c_str(), x, want, allowed, std::fabs(x - want));
    if (fine) {
      worst = {share, text + " in " + name_};
    } else if (++mismatches <= kShownMismatches) {
      failures_.push_back(text);
    }
  }
  if (mismatches > kShownMismatches) {
    failures_.push_back(
        format("%s: %zu of %zu values are off", got.name.c_str(), mismatches, got.values.size()));
  }
}

void Case::same_bits(const Tensor& got, const Tensor& want, const std::string& context) {
  if (got.shape != want.shape || got.values.size() != want.values.size()) {
    failures_.push_back(got.name + ": another shape than expected, " + context);
    return;
  }
  size_t mismatches = 0;
  for (size_t i = 0; i < got.values.size(); ++i) {
    const float x = got.values[i], y = want.values[i];
    if (bits_of(x) == bits_of(y) || (std::isnan(x) && std::isnan(y)) || ++mismatches > kShownMismatches)
      continue;
    failures_.push_back(format("%s %s: got %.9g (%08x) expected the bits of %.9g (%08x), ", got.name.c_str(),
                               index_text(got.shape, static_cast<int64_t>(i)).c_str(), static_cast<double>(x),
                               bits_of(x), static_cast<double>(y), bits_of(y)) +
                        context);
  }
  if (mismatches > kShownMismatches) {
    failures_.push_back(
        format("%s: %zu of %zu values have other bits, ", got.name.c_str(), mismatches, got.values.size()) +
        context);
  }
}

void Case::same_bits(const Tensors& got, const Tensors& want, const std::string& context) {
  that(got.size() == want.size(), "another number of tensors, " + context);
  for (const Tensor& tensor : got) same_bits(tensor, find(want, tensor.name), context);
}

void Case::that(bool condition, const std::string& message) {
  if (!condition) failures_.push_back(message);
}

Checker::Checker(std::string op) : op_(std::move(op)) {
  const char* forced = std::getenv("LSP_ISA");
  if (forced != nullptr && *forced != '\0') {
    variants_ = levels_ = {&kernels_for(forced)};
    return;
  }
  for (const std::string& isa : base_isas()) variants_.push_back(&kernels_for(isa));
  for (const std::string& isa : available_isas()) levels_.push_back(&kernels_for(isa));
}

Exec& Checker::exec(int threads) {
  std::unique_ptr<Exec>& exec = execs_[threads];
  if (!exec) exec = std::make_unique<Exec>(threads);
  return *exec;
}

bool Checker::skips(const Kernels& kernels, double work) const {
  const bool portable = std::strcmp(kernels.isa, "portable") == 0;  // a call of fmaf for each multiplication
  const double limit = (portable ? 3e7 : 1e12) / (kSanitized ? 10 : 1);
  return work > limit;
}

bool Checker::leaves_out(double work) const { return kSanitized && work > 6e7; }

void Checker::test(const std::string& name, const std::function<void(Case&)>& body) {
  Case c(name);
  try {
    body(c);
  } catch (const Error& error) {
    c.failures_.push_back("threw " + error.code() + ": " + error.message());
  } catch (const std::exception& error) {
    c.failures_.push_back(std::string("threw ") + error.what());
  }
  for (const auto& [tensor, worst] : c.worst_) {
    if (worst.share > worst_[tensor].share) worst_[tensor] = worst;
  }
  if (c.failures_.empty()) {
    ++passed_;
    return;
  }
  ++failed_;
  std::printf("FAILED %s: %s\n", op_.c_str(), name.c_str());
  const size_t shown = std::min(c.failures_.size(), kShownFailures);
  for (size_t i = 0; i < shown; ++i) std::printf("  %s\n", c.failures_[i].c_str());
  if (shown < c.failures_.size()) std::printf("  and %zu more\n", c.failures_.size() - shown);
}

Tensors Checker::sweep(Case& c, double work, const Run& run, const std::vector<const Kernels*>& variants) {
  Tensors first;
  std::string origin;
  for (const Kernels* kernels : variants) {
    if (skips(*kernels, work)) continue;
    for (int threads = 1; threads <= 3; threads += kSanitized ? 2 : 1) {
      const std::string here = format("%s with %d thread%s", kernels->isa, threads, threads == 1 ? "" : "s");
      const Tensors result = run(*kernels, exec(threads));
      if (origin.empty()) {
        first = result;
        origin = here;
      } else {
        c.same_bits(result, first, here + " against " + origin);
      }
    }
  }
  if (origin.empty()) first = run(*variants.front(), exec(1));
  bits_ = hash_of(first, bits_);
  return first;
}

void Checker::print() const {
  std::printf("%s: %d passed, %d failed", op_.c_str(), passed_, failed_);
  if (bits_ != 0) std::printf(", bits %016llx", static_cast<unsigned long long>(bits_));
  std::printf("\n");
  for (const auto& [tensor, worst] : worst_) {
    if (worst.share > 0)
      std::printf("  %5.1f %% of the tolerance: %s\n", 100 * worst.share, worst.text.c_str());
  }
}

std::vector<float> random_values(int64_t count, uint64_t seed, double scale) {
  std::vector<float> values(static_cast<size_t>(count));
  uint64_t state = seed;
  for (float& value : values) {
    value = static_cast<float>(scale *
                               (static_cast<double>(next_random(&state) >> 40) * (2.0 / (1 << 24)) - 1.0));
  }
  return values;
}

std::vector<int32_t> random_ids(int64_t count, uint64_t seed, int64_t limit) {
  std::vector<int32_t> ids(static_cast<size_t>(count));
  uint64_t state = seed;
  for (int32_t& id : ids) id = static_cast<int32_t>(next_random(&state) % static_cast<uint64_t>(limit));
  return ids;
}

std::vector<float> to_panels(const std::vector<float>& matrix, int64_t n, int64_t k) {
  std::vector<float> panels(static_cast<size_t>(panel_floats(n, k)));
  for (int64_t row = 0; row < n; ++row)
    for (int64_t i = 0; i < k; ++i)
      panels[static_cast<size_t>(((row / kPanel) * k + i) * kPanel + row % kPanel)] =
          matrix[static_cast<size_t>(row * k + i)];
  return panels;
}

void round_to_bfloat16(std::vector<float>& values) {
  for (float& value : values) {
    const uint32_t bits = static_cast<uint32_t>(float_to_bfloat16(value)) << 16;
    std::memcpy(&value, &bits, sizeof(value));
  }
}

std::vector<uint16_t> to_bfloat16_panels(std::vector<float>& matrix, int64_t n, int64_t k) {
  round_to_bfloat16(matrix);
  std::vector<uint16_t> narrow;
  for (const float value : to_panels(matrix, n, k)) narrow.push_back(float_to_bfloat16(value));
  return narrow;
}

std::vector<float> from_panels(const std::vector<float>& panels, int64_t n, int64_t k) {
  std::vector<float> matrix(static_cast<size_t>(n * k));
  for (int64_t row = 0; row < n; ++row)
    for (int64_t i = 0; i < k; ++i)
      matrix[static_cast<size_t>(row * k + i)] =
          panels[static_cast<size_t>(((row / kPanel) * k + i) * kPanel + row % kPanel)];
  return matrix;
}

bool padding_is_zero(const std::vector<float>& panels, int64_t n, int64_t k) {
  for (int64_t row = n; row < panel_count(n) * kPanel; ++row)
    for (int64_t i = 0; i < k; ++i)
      if (bits_of(panels[static_cast<size_t>(((row / kPanel) * k + i) * kPanel + row % kPanel)]) != 0)
        return false;
  return true;
}

double chain(double terms) { return 4 * std::sqrt(terms) + 8; }

}  // namespace check
}  // namespace lsp
