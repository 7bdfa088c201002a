// quantize against its oracle: every half, every kind of block, rounding on and beside every tie. All but
// decoding to panels is baseline code without variants.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "check/check.h"
#include "core/bfloat16.h"
#include "core/error.h"
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

// Bytes of a block where an f16 scale begins, at most two; the first is the float itself for f32, f16 and
// bf16.
std::vector<int64_t> scales_of(StoredType type) {
  switch (type) {
    case StoredType::q4_1:
    case StoredType::q5_1:
    case StoredType::q4_k:
    case StoredType::q5_k:
      return {0, 2};
    case StoredType::q2_k:
      return {80, 82};
    case StoredType::q3_k:
      return {108};
    case StoredType::q6_k:
      return {208};
    default:
      return {0};
  }
}

// Blocks of noise whose scales are, in turn: of ordinary size, 0, subnormal, negative, the largest. Every
// second and third block in between has all bits of its fields clear or set.
std::vector<uint8_t> noisy_blocks(const StoredFormat& of, int64_t blocks) {
  const std::vector<int32_t> noise = random_ids(blocks * of.block_bytes, 7, 256);
  std::vector<uint8_t> source(noise.begin(), noise.end());
  constexpr uint16_t kScales[] = {0x0000, 0x0001, 0x83ff, 0x8000, 0xa71c, 0x7bff, 0xfbff, 0x0400};
  for (int64_t block = 0; block < blocks; ++block) {
    uint8_t* at = source.data() + block * of.block_bytes;
    if (of.block_elements == 1) {
      at[of.block_bytes - 1] &= 0xbf;  // an exponent of all ones would be an infinity
      continue;
    }
    if (block % 3 != 0) std::memset(at, block % 3 == 1 ? 0x00 : 0xff, static_cast<size_t>(of.block_bytes));
    for (const int64_t place : scales_of(of.type)) {
      const uint16_t scale =
          block % 2 == 0 ? static_cast<uint16_t>(0x1c00 + noise[static_cast<size_t>(block)] + 8 * place)
                         : kScales[(block / 2 + place) % 8];
      std::memcpy(at + place, &scale, 2);
    }
  }
  return source;
}

void check_dequantize(Checker& checker, const StoredFormat& of) {
  checker.test(of.name, [&](Case& c) {
    const int64_t blocks = of.block_elements == 1 ? 2144 : 67, count = blocks * of.block_elements;
    const std::vector<uint8_t> source = noisy_blocks(of, blocks);
    Tensor out{"weights", {count}, std::vector<float>(static_cast<size_t>(count))};
    dequantize(of.type, source.data(), count, out.values.data());
    Expected expected(count);
    for (int64_t i = 0; i < count; ++i) expected.set(i, reference::stored_value(of.type, source.data(), i));
    // Products of scales and quants are exact; a minimum that is added or taken away rounds once.
    c.close(out, expected, scales_of(of.type).size() == 2 ? 1 : 0);
  });
}

// Decoded panels are the rows' values, in every variant; the last panel is not full.
void check_decode(Checker& checker, const StoredFormat& of) {
  const int64_t n = 70, k = of.block_elements == 1 ? 301 : 9 * of.block_elements;
  checker.test(format("%s to panels", of.name), [&](Case& c) {
    const std::vector<uint8_t> rows = noisy_blocks(of, n * k / of.block_elements);
    Tensor expected{"weights", {n, k}, std::vector<float>(static_cast<size_t>(n * k))};
    dequantize(of.type, rows.data(), n * k, expected.values.data());
    const Tensors results =
        checker.sweep(c, static_cast<double>(n * k), [&](const Kernels& kernels, Exec& exec) {
          std::vector<float> panels(static_cast<size_t>(panel_floats(n, k)), 1.0f);
          kernels.quantize->decode(exec, {panels.data(), rows.data(), of.type, n, k});
          if (!padding_is_zero(panels, n, k)) throw Error("INTERNAL", "a padded column is not zero");
          return Tensors{{"weights", {n, k}, from_panels(panels, n, k)}};
        });
    c.same_bits(results.front(), expected, "dequantize()");
  });
}

// Nothing is further from its value than half a step; what is on the grid stays.
void check_quantize(Checker& checker) {
  checker.test("quantize_q8_0", [&](Case& c) {
    constexpr int64_t blocks = 64, count = 32 * blocks;
    std::vector<float> values = random_values(count, 11, 0.3);
    std::fill_n(values.begin(), 32, 0.0f);
    std::vector<uint8_t> stored(34 * blocks);
    std::vector<float> once(count), twice(count);
    quantize_q8_0(values.data(), count, stored.data());
    dequantize(StoredType::q8_0, stored.data(), count, once.data());
    for (int64_t block = 0; block < blocks; ++block) {
      float largest = 0;
      for (int64_t i = 32 * block; i < 32 * (block + 1); ++i)
        largest = std::max(largest, std::fabs(values[i]));
      // Half a step of the scale, and what rounding the scale to f16 takes off the largest value.
      const float bound = largest / 127 * (0.5f + 127.0f / 2048);
      for (int64_t i = 32 * block; i < 32 * (block + 1); ++i)
        c.that(std::fabs(once[i] - values[i]) <= bound,
               format("%.9g became %.9g", static_cast<double>(values[i]), static_cast<double>(once[i])));
    }
    quantize_q8_0(once.data(), count, stored.data());
    dequantize(StoredType::q8_0, stored.data(), count, twice.data());
    double worst = 0;
    for (int64_t i = 0; i < count; ++i)
      worst = std::max(worst, std::fabs(static_cast<double>(twice[i]) - once[i]));
    c.that(worst < 1e-3, format("quantizing again moved a value by %.3g", worst));
  });
}

void check(Checker& checker) {
  check_half_to_float(checker);
  check_rounding(checker, "float_to_half", float_to_half, reference::nearest_half, reference::half_value,
                 0x7c00);
  check_rounding(checker, "float_to_bfloat16", float_to_bfloat16, reference::nearest_bfloat16,
                 reference::bfloat16_value, 0x7f80);
  for (const StoredFormat& of : kStoredFormats) check_dequantize(checker, of);
  for (const StoredFormat& of : kStoredFormats) check_decode(checker, of);
  check_quantize(checker);
}

const Registration registration("quantize", check);

}  // namespace
}  // namespace check
}  // namespace lsp
