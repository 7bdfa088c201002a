// quantize against its oracle: every half, every kind of block, rounding on and beside every tie. Baseline
// code without variants, so there is nothing to sweep.
#include <cmath>
#include <cstring>
#include <limits>

#include "check/check.h"
#include "kernels/quantize/quantize.h"
#include "kernels/quantize/reference.h"

namespace lsp {
namespace check {
namespace {

bool same_value(double a, double b) {
  return (std::isnan(a) && std::isnan(b)) || (a == b && std::signbit(a) == std::signbit(b));
}

void check_half_to_float(Checker& checker) {
  checker.test("half_to_float of all 65536 halves", [&](Case& c) {
    for (uint32_t bits = 0; bits < 65536; ++bits) {
      const double got = half_to_float(static_cast<uint16_t>(bits)),
                   want = reference::half_value(static_cast<uint16_t>(bits));
      if (!same_value(got, want)) c.that(false, format("%04x: got %.9g expected %.9g", bits, got, want));
    }
  });
}

using Round = uint16_t (*)(float);

// Every small float itself, the tie above it, and the floats beside both.
void check_rounding(Checker& checker, const char* name, Round round, Round nearest,
                    double (*value_of)(uint16_t), uint16_t infinity) {
  checker.test(name, [&](Case& c) {
    int mismatches = 0;
    const auto compare = [&](float value) {
      const uint16_t got = round(value), want = nearest(value);
      const bool fine = std::isnan(value) ? std::isnan(value_of(got)) : got == want;
      if (!fine && ++mismatches <= 3)
        c.that(false, format("%.9g: got %04x expected %04x", static_cast<double>(value), got, want));
    };
    for (uint32_t bits = 0; bits < infinity; ++bits) {
      const double value = value_of(static_cast<uint16_t>(bits));
      const double next = bits + 1 == infinity ? 2 * value - value_of(static_cast<uint16_t>(bits - 1))
                                               : value_of(static_cast<uint16_t>(bits + 1));
      for (const double at : {value, (value + next) / 2, 0.7 * value + 0.3 * next}) {
        const float x = static_cast<float>(at);
        for (const float y :
             {std::nextafter(x, 0.0f), x, std::nextafter(x, std::numeric_limits<float>::infinity())}) {
          compare(y);
          compare(-y);
        }
      }
    }
    for (const float x : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN(),
                          3.4e38f, 1e-45f, 0.0f}) {
      compare(x);
      compare(-x);
    }
    const uint32_t payload = 0x7f800001u;  // a NaN whose payload lies in the bits that are cut off
    float nan;
    std::memcpy(&nan, &payload, 4);
    compare(nan);
  });
}

void check_dequantize(Checker& checker, const char* name, StoredType type) {
  checker.test(name, [&](Case& c) {
    constexpr int64_t kCount = 32 * 67;
    const StoredFormat format_of = stored_format(type);
    const int64_t bytes = kCount / format_of.block_elements * format_of.block_bytes;
    const std::vector<int32_t> noise = random_ids(bytes, 7, 256);
    std::vector<uint8_t> source(noise.begin(), noise.end());
    // Scales and numbers of ordinary size: an exponent of all ones would be an infinity.
    const int64_t step = type == StoredType::f32 ? 4 : format_of.block_bytes;
    const int64_t top = type == StoredType::f32 ? 3 : 1;
    for (int64_t i = 0; i + top < bytes; i += step) source[i + top] &= 0xbf;
    if (type == StoredType::q4_1)
      for (int64_t i = 0; i < bytes; i += step) source[i + 3] &= 0xbf;
    Tensor out{"weights", {kCount}, std::vector<float>(kCount)};
    dequantize(type, source.data(), kCount, out.values.data());
    Expected expected(kCount);
    for (int64_t i = 0; i < kCount; ++i) expected.set(i, reference::stored_value(type, source.data(), i));
    // d q is exact (11 + 8 bits); q4_1 adds m, two roundings of d q + m at most.
    if (type != StoredType::q4_1) return c.close(out, expected, 0);
    for (int64_t i = 0; i < kCount; ++i)
      expected.magnitude[i] += 16 * std::fabs(reference::half_value(static_cast<uint16_t>(
                                        source[i / 32 * 20] | source[i / 32 * 20 + 1] << 8)));
    c.close(out, expected, 2);
  });
}

void check(Checker& checker) {
  check_half_to_float(checker);
  check_rounding(checker, "float_to_half", float_to_half, reference::nearest_half, reference::half_value,
                 0x7c00);
  check_rounding(checker, "float_to_bfloat16", float_to_bfloat16, reference::nearest_bfloat16,
                 reference::bfloat16_value, 0x7f80);
  check_dequantize(checker, "f32", StoredType::f32);
  check_dequantize(checker, "f16", StoredType::f16);
  check_dequantize(checker, "bf16", StoredType::bf16);
  check_dequantize(checker, "q8_0", StoredType::q8_0);
  check_dequantize(checker, "q4_0", StoredType::q4_0);
  check_dequantize(checker, "q4_1", StoredType::q4_1);
}

const Registration registration("quantize", check);

}  // namespace
}  // namespace check
}  // namespace lsp
