// int8: products of activations with weights in 8 bits, for sampling and scoring: four times less memory to
// read than f32, and four times the multiplications a cycle where the processor has instructions for it.
//
// Dimensions: T tokens (rows of x and y), K input features, N output features, G = ceil(K/64) groups.
//
// Both factors are quantized symmetrically to -127..127 and rounded to nearest, ties to even: a weight by
// output channel, an activation by token and group of 64 inputs (Dettmers et al. 2022, LLM.int8(), section
// 2.1, there with one scale a token):
//   s[n]    = max_k |W[n][k]| / 127              q[n][k] = round(W[n][k] (127 / max))
//   a[t][g] = max_{k in g} |x[t][k]| / 127       p[t][k] = round(x[t][k] (127 / max))
//   y[t][n] = s[n] sum_g a[t][g] sum_{k in g} p[t][k] q[n][k]
// Quotients and products are rounded to f32 before they are rounded to integers. Values whose maximum is
// below 2^-100 count as zeros.
//
// Exactness. The inner sums are integers below 2^24: exact in any order, in i32 as in f32. The outer one is a
// chain of fused multiply-adds over g in ascending order, from 0, with one rounding for s[n] at its end. So
// batch, tiles, threads and instruction set cannot change a bit. NaN or infinity in a group of activations
// gives NaN in that token's outputs, in a channel of a weight NaN in that channel.
#pragma once

#include <stdint.h>

#include "core/exec.h"
#include "kernels/linear/panels.h"

namespace lsp {

constexpr int64_t kInt8Group = 64;

// A weight (N, K): q + 128 in panels of 32 channels (ceil(N/32), ceil(K/4), 32, 4), 128 where there is no
// channel or input; s (32 ceil(N/32)).
struct Int8Panels {
  const uint8_t* values;
  const float* scale;
};
static inline int64_t int8_panel_bytes(int64_t n, int64_t k) { return panel_count(n) * ((k + 3) / 4) * 128; }

struct Int8Quantize {
  uint8_t* values;  // int8_panel_bytes(n, k)
  float* scale;     // (32 ceil(N/32))
  Panels weight;    // (ceil(N/32), K, 32)
  int64_t k, n;
};

// One weight among several that share their input.
struct Int8Part {
  Int8Panels weight;
  int64_t n;  // N of this weight
  float* y;   // (T, n), rows ldy floats apart; overwritten
  int64_t ldy;
};

struct Int8Forward {
  const Int8Part* parts;
  int part_count;  // at most 3
  const float* x;  // (T, K), rows ldx floats apart
  int64_t ldx;
  int64_t t, k;
};

// The LM head: raw logits of a few rows, and of each row what logprob.h says of them at temperature 1, over
// the same chunks. K is C here, N is V.
struct Int8Head {
  float* lse;           // (T)
  float* entropy;       // (T), nats
  float* tempered_lse;  // (T): of inverse_temperature * logits; or null
  float* logits;        // (T, V)
  const float* hidden;  // (T, C)
  Int8Panels weight;
  int64_t t, c, v;
  float inverse_temperature;
};

// The LM head's log-probabilities and entropies of many rows, as logprob.h defines them, without their logits
// in memory. The bits of Int8Head's logits and (tempered) lse: logprob = inverse_temperature logit - lse.
struct Int8Logprob {
  float* logprob;       // (T)
  float* entropy;       // (T), nats, at the temperature
  const float* hidden;  // (T, C)
  Int8Panels weight;
  const int32_t* targets;  // (T)
  int64_t t, c, v;
  float inverse_temperature;
};

struct Int8Kernels {
  void (*quantize)(Exec&, const Int8Quantize&);
  void (*forward)(Exec&, const Int8Forward&);
  void (*head)(Exec&, const Int8Head&);
  void (*logprob)(Exec&, const Int8Logprob&);
};

}  // namespace lsp
