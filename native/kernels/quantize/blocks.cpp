#include "kernels/quantize/blocks.h"

#include <cstring>

#include "kernels/quantize/quantize.h"

namespace lsp {

namespace {

// A little-endian field; every machine this runs on is one.
template <class T>
T field(const uint8_t* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

float half_at(const uint8_t* at) { return half_to_float(field<uint16_t>(at)); }

// 32 numbers in nibbles, the low ones first.
void unpack_nibbles(const uint8_t* nibbles, int* q) {
  for (int i = 0; i < 16; ++i) {
    q[i] = nibbles[i] & 15;
    q[i + 16] = nibbles[i] >> 4;
  }
}

void add_high_bits(uint32_t bits, int* q) {
  for (int i = 0; i < 32; ++i) q[i] |= static_cast<int>(bits >> i & 1u) << 4;
}

// Not `scale * (q - bias) + 0`: that would turn the -0 of a negative scale into 0.
void scale_to(const int* q, float scale, int bias, int count, float* out) {
  for (int i = 0; i < count; ++i) out[i] = scale * static_cast<float>(q[i] - bias);
}

void scale_and_add_to(const int* q, float scale, float offset, float* out) {
  for (int i = 0; i < 32; ++i) out[i] = scale * static_cast<float>(q[i]) + offset;
}

// The eight 6-bit scales and minima of q4_k and q5_k.
struct ScalesAndMinima {
  int scale[8], minimum[8];
  explicit ScalesAndMinima(const uint8_t* packed) {
    for (int j = 0; j < 4; ++j) {
      const int first = packed[j], second = packed[j + 4], both = packed[j + 8];
      scale[j] = first & 63;
      minimum[j] = second & 63;
      scale[j + 4] = (both & 15) | first >> 6 << 4;
      minimum[j + 4] = both >> 4 | second >> 6 << 4;
    }
  }
};

// q4_k and q5_k, whose low four bits are at `quants`: value(run, i, low) is q of weight i of a run.
template <class Value>
void unpack_scaled_runs(const uint8_t* block, const uint8_t* quants, const Value& value, float* out) {
  const float d = half_at(block), e = half_at(block + 2);
  const ScalesAndMinima runs(block + 4);
  for (int run = 0; run < 8; ++run) {
    const float scale = d * static_cast<float>(runs.scale[run]),
                minimum = e * static_cast<float>(runs.minimum[run]);
    const uint8_t* from = quants + 32 * (run / 2);
    const int shift = 4 * (run % 2);
    for (int i = 0; i < 32; ++i) {
      const int q = value(run, i, from[i] >> shift & 15);
      out[32 * run + i] = scale * static_cast<float>(q) - minimum;
    }
  }
}

}  // namespace

void unpack_q8_0(const uint8_t* block, float* out) {
  const float d = half_at(block);
  for (int i = 0; i < 32; ++i) out[i] = d * static_cast<float>(static_cast<int8_t>(block[2 + i]));
}

void unpack_q4_0(const uint8_t* block, float* out) {
  int q[32];
  unpack_nibbles(block + 2, q);
  scale_to(q, half_at(block), 8, 32, out);
}

void unpack_q4_1(const uint8_t* block, float* out) {
  int q[32];
  unpack_nibbles(block + 4, q);
  scale_and_add_to(q, half_at(block), half_at(block + 2), out);
}

void unpack_q5_0(const uint8_t* block, float* out) {
  int q[32];
  unpack_nibbles(block + 6, q);
  add_high_bits(field<uint32_t>(block + 2), q);
  scale_to(q, half_at(block), 16, 32, out);
}

void unpack_q5_1(const uint8_t* block, float* out) {
  int q[32];
  unpack_nibbles(block + 8, q);
  add_high_bits(field<uint32_t>(block + 4), q);
  scale_and_add_to(q, half_at(block), half_at(block + 2), out);
}

void unpack_q2_k(const uint8_t* block, float* out) {
  const uint8_t *scales = block, *quants = block + 16;
  const float d = half_at(block + 80), e = half_at(block + 82);
  for (int run = 0; run < 16; ++run) {
    const float scale = d * static_cast<float>(scales[run] & 15),
                minimum = e * static_cast<float>(scales[run] >> 4);
    const uint8_t* from = quants + 32 * (run / 8) + 16 * (run % 2);
    const int shift = 2 * (run % 8 / 2);
    for (int i = 0; i < 16; ++i) {
      out[16 * run + i] = scale * static_cast<float>(from[i] >> shift & 3) - minimum;
    }
  }
}

void unpack_q3_k(const uint8_t* block, float* out) {
  const uint8_t *high = block, *quants = block + 32, *scales = block + 96;
  const float d = half_at(block + 108);
  for (int run = 0; run < 16; ++run) {
    const int packed = (scales[run % 8] >> 4 * (run / 8) & 15) | (scales[8 + run % 4] >> 2 * (run / 4) & 3)
                                                                     << 4;
    const uint8_t *from = quants + 32 * (run / 8) + 16 * (run % 2), *bits = high + 16 * (run % 2);
    const int shift = 2 * (run % 8 / 2);
    int q[16];
    for (int i = 0; i < 16; ++i) q[i] = (from[i] >> shift & 3) | (bits[i] >> run / 2 & 1) << 2;
    scale_to(q, d * static_cast<float>(packed - 32), 4, 16, out + 16 * run);
  }
}

void unpack_q4_k(const uint8_t* block, float* out) {
  unpack_scaled_runs(
      block, block + 16, [](int, int, int low) { return low; }, out);
}

void unpack_q5_k(const uint8_t* block, float* out) {
  const uint8_t* high = block + 16;
  unpack_scaled_runs(
      block, block + 48, [=](int run, int i, int low) { return low | (high[i] >> run & 1) << 4; }, out);
}

void unpack_q6_k(const uint8_t* block, float* out) {
  const uint8_t *quants = block, *high = block + 128, *scales = block + 192;
  const float d = half_at(block + 208);
  for (int run = 0; run < 16; ++run) {
    const int place = run % 8;  // within one half of 128 weights
    const uint8_t *from = quants + 64 * (run / 8) + 16 * (place % 4),
                  *bits = high + 32 * (run / 8) + 16 * (place % 2);
    int q[16];
    for (int i = 0; i < 16; ++i) {
      q[i] = (from[i] >> 4 * (place / 4) & 15) | (bits[i] >> 2 * (place / 2) & 3) << 4;
    }
    scale_to(q, d * static_cast<float>(static_cast<int8_t>(scales[run])), 32, 16, out + 16 * run);
  }
}

void unpack_iq4_nl(const uint8_t* block, float* out) {
  const float d = half_at(block);
  int q[32];
  unpack_nibbles(block + 2, q);
  for (int i = 0; i < 32; ++i) out[i] = d * static_cast<float>(kIq4Table[q[i]]);
}

void unpack_iq4_xs(const uint8_t* block, float* out) {
  const float d = half_at(block);
  const int high = field<uint16_t>(block + 2);
  const uint8_t *low = block + 4, *quants = block + 8;
  for (int run = 0; run < 8; ++run) {
    const int scale = (low[run / 2] >> 4 * (run % 2) & 15) | (high >> 2 * run & 3) << 4;
    const float d_run = d * static_cast<float>(scale - 32);
    int q[32];
    unpack_nibbles(quants + 16 * run, q);
    for (int i = 0; i < 32; ++i) out[32 * run + i] = d_run * static_cast<float>(kIq4Table[q[i]]);
  }
}

}  // namespace lsp
