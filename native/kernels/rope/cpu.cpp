// rope on the CPU: q turns in place, k turns on its way into the cache, v is copied there.
#include "kernels/rope/rope.h"

#include "core/bfloat16.h"
#include "core/parallel.h"

namespace lsp {
namespace LSP_ISA {

// Element pairs (i, i + half) of one head: out = (x1 c - x2 s, x2 c + x1 s); `sign` -1 turns back.
LSP_INLINE void rotate(const float* head, const float* cosine, const float* sine, float sign, int64_t half,
                       float* out) {
  const Vec direction = splat(sign);
  for_lanes(half, [&](int64_t i, int n) {
    const Vec c = load_n(cosine + i, n), s = load_n(sine + i, n) * direction;
    const Vec x1 = load_n(head + i, n), x2 = load_n(head + half + i, n);
    store_n(out + i, fma(x1, c, zero() - x2 * s), n);
    store_n(out + half + i, fma(x2, c, x1 * s), n);
  });
}

static void rotate_rows(Exec& exec, float* rows, int64_t heads, int64_t head_size, int64_t t,
                        const float* cosine, const float* sine, const int32_t* positions, float sign) {
  const int64_t half = head_size / 2;
  parallel_for(exec, t, [&](int64_t row, int) {
    const int64_t table = positions[row] * half;
    for (int64_t head = 0; head < heads; ++head) {
      float* at = rows + (row * heads + head) * head_size;
      rotate(at, cosine + table, sine + table, sign, half, at);
    }
  });
}

LSP_INLINE void store_value(float* to, float value) { *to = value; }
LSP_INLINE void store_value(uint16_t* to, float value) { *to = float_to_bfloat16(value); }

// One head of one token into its slot of the cache.
template <class T>
static void write_head(const RopeForward& f, const KvSlotWrite& write, int64_t head, float* turned) {
  const int64_t half = f.head_size / 2, table = f.positions[write.token] * half;
  const int64_t at = (write.token * f.kv_heads + head) * f.head_size;
  T* keys = reinterpret_cast<T*>(write.block) + f.layer_offset + head * kv_head_floats(f.head_size);
  T* values = keys + kKvBlock * f.head_size + write.slot * kv_padded_head(f.head_size);
  rotate(f.k + at, f.cosine + table, f.sine + table, 1.0f, half, turned);
  for (int64_t i = 0; i < f.head_size; ++i) store_value(keys + i * kKvBlock + write.slot, turned[i]);
  for (int64_t i = 0; i < f.head_size; ++i) store_value(values + i, f.v[at + i]);
}

// Writes of an item: neighbours share the cache lines of a block's keys, so they belong to one thread.
constexpr int64_t kWritesTogether = 16;

template <class T>
static void write_all(Exec& exec, const RopeForward& f) {
  exec.reserve_local(f.head_size);
  const int64_t together = max_of(1, min_of(kWritesTogether, ceil_div(f.write_count, exec.threads())));
  parallel_for(exec, ceil_div(f.write_count, together), [&](int64_t item, int worker) {
    const int64_t first = item * together, last = min_of(f.write_count, first + together);
    for (int64_t head = 0; head < f.kv_heads; ++head) {
      for (int64_t i = first; i < last; ++i) write_head<T>(f, f.writes[i], head, exec.local(worker));
    }
  });
}

static void rope_forward(Exec& exec, const RopeForward& f) {
  rotate_rows(exec, f.q, f.heads, f.head_size, f.t, f.cosine, f.sine, f.positions, 1.0f);
  if (f.type == KvType::bf16) {
    write_all<uint16_t>(exec, f);
  } else {
    write_all<float>(exec, f);
  }
}

static void rope_backward(Exec& exec, const RopeBackward& b) {
  rotate_rows(exec, b.dq, b.heads, b.head_size, b.t, b.cosine, b.sine, b.positions, -1.0f);
  rotate_rows(exec, b.dk, b.kv_heads, b.head_size, b.t, b.cosine, b.sine, b.positions, -1.0f);
}

extern const RopeKernels rope_kernels;
const RopeKernels rope_kernels = {rope_forward, rope_backward};

}  // namespace LSP_ISA
}  // namespace lsp
