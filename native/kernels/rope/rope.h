// rope: rotary position embedding (Su et al. 2021, equation 34) in the half-split layout: element i of a head
// turns with element i + D/2 by the angle position * frequency[i].
//
// Dimensions: T tokens, H heads, K kv heads, D head size. The forward pass turns q in place, and writes
// turned k and plain v into their cache slots (layout in attention.h), which spares a pass over memory.
#pragma once

#include <stdint.h>

#include "core/exec.h"
#include "kernels/attention/kv_layout.h"

namespace lsp {

struct RopeForward {
  float* q;                  // (T, H D), turned in place
  const float* k;            // (T, K D)
  const float* v;            // (T, K D)
  const float* cosine;       // (positions, D/2)
  const float* sine;         // (positions, D/2)
  const int32_t* positions;  // (T)
  const KvSlotWrite*
      writes;  // where tokens go: a token may be written to several blocks (copies at a fork) or to none
  int64_t write_count;
  int64_t layer_offset;  // of this layer within a block, in values
  int64_t t, heads, kv_heads, head_size;
  KvType type = KvType::f32;
};

// Turns dq and dk back in place (the transposed rotation).
struct RopeBackward {
  float* dq;  // (T, H D)
  float* dk;  // (T, K D)
  const float* cosine;
  const float* sine;
  const int32_t* positions;
  int64_t t, heads, kv_heads, head_size;
};

struct RopeKernels {
  void (*forward)(Exec&, const RopeForward&);
  void (*backward)(Exec&, const RopeBackward&);
};

// cos and sin of position * frequency for positions [0, count), computed like the reference implementations:
// the frequency and its product with the position are rounded to float, then cos and sin are taken in double
// precision. frequency: (D/2). Outputs (count, D/2). Baseline code, the same bits everywhere.
void rope_table(float* cosine, float* sine, const float* frequency, int64_t first, int64_t count,
                int64_t half);

// frequency[i] = theta^(-2i/D), with Llama-3 scaling when factor > 0: wavelengths longer than original /
// low_factor are divided by `factor`, shorter than original / high_factor kept, those between interpolated.
struct RopeScaling {
  double factor = 0;
  double low_frequency_factor = 1, high_frequency_factor = 4;
  double original_positions = 8192;
};
void rope_frequencies(float* frequency, int64_t head_size, double theta, const RopeScaling& scaling);

}  // namespace lsp
