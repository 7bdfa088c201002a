// int8 on the CPU: activations are quantized once, then panels of the weight stream past them. See int8.h for
// the formula and the layouts of weights.
#include "kernels/int8/int8.h"

#include "core/parallel.h"
#include "kernels/int8/lanes.h"
#include "kernels/int8/tiles.h"
#include "kernels/logprob/reduce.h"

namespace lsp {
namespace LSP_ISA {

constexpr float kSmallest = 0x1p-100f;  // a group or channel whose largest value is below is all zeros

// --- Quantizing

// 127 / largest, or 0 for what counts as zeros.
LSP_INLINE Vec inverse_scale(Vec largest) {
  return where_ge(largest, splat(kSmallest), splat(127.0f) / largest, zero());
}
LSP_INLINE Vec scale_of(Vec largest) {
  return where_ge(largest, splat(kSmallest), largest / splat(127.0f), zero());
}
LSP_INLINE Vec magnitude(Vec a) { return max(a, zero() - a); }

static void quantize_group(const float* x, int64_t count, Input* values, float* scale, int32_t* start) {
  Vec largest = zero(), broken = zero();
  for_lanes(count, [&](int64_t i, int n) {
    const Vec v = load_n(x + i, n);
    largest = max(largest, magnitude(v));
    broken = fma(v, zero(), broken);  // NaN of NaN and infinity
  });
  const Vec top = splat(max_lanes(largest)), inverse = inverse_scale(top), to_integer = splat(kToInteger);
  Vec sum = zero();
  for (int64_t i = 0; i < kInt8Group; i += kLanes) {
    const int64_t left = count - i;
    const Vec v = left <= 0 ? zero() : load_n(x + i, static_cast<int>(min_of(left, kLanes)));
    const Vec rounded = v * inverse + to_integer;
    sum = sum + (rounded - to_integer);
    store_inputs(values + i, rounded);
  }
  float scales[kLanes];
  store(scales, scale_of(top));
  const float bad = sum_lanes(broken);
  *scale = scales[0] + bad;
  *start = kBiased && bad == 0.0f ? -128 * static_cast<int32_t>(sum_lanes(sum)) : 0;
}

static void quantize_inputs(Exec& exec, const float* x, int64_t ldx, int64_t k, const Inputs& to) {
  const int64_t groups = ceil_div(k, kInt8Group);
  const auto row = [&](int64_t t, int) {
    for (int64_t g = 0; g < groups; ++g) {
      const int64_t at = g * to.t + t, first = g * kInt8Group;
      quantize_group(x + t * ldx + first, min_of(kInt8Group, k - first), to.values + at * kInt8Group,
                     to.scale + at, to.start + at);
    }
  };
  constexpr int64_t kWorthThreads = 1 << 13;
  if (to.t * k < kWorthThreads) {
    for (int64_t t = 0; t < to.t; ++t) row(t, 0);
  } else {
    parallel_for(exec, to.t, row);
  }
}

// The exec's shared memory is (slots 2 to 4) the quantized activations of a call.
static Inputs inputs_of(Exec& exec, const float* x, int64_t ldx, int64_t t, int64_t k) {
  const int64_t groups = ceil_div(k, kInt8Group), pairs = groups * t;
  // Tiles of rows may read past the last.
  const int64_t values = (pairs + kSpareRows) * kInt8Group;
  const int64_t value_floats = ceil_div(values * static_cast<int64_t>(sizeof(Input)), 4);
  const Inputs inputs{reinterpret_cast<Input*>(exec.shared(2, value_floats)), exec.shared(3, pairs),
                      reinterpret_cast<int32_t*>(exec.shared(4, pairs)), t};
  quantize_inputs(exec, x, ldx, k, inputs);
  return inputs;
}

template <class T>
static void quantize_panel(const T* from, int64_t k, uint8_t* to, float* scale) {
  Vec largest[2] = {zero(), zero()}, broken[2] = {zero(), zero()};
  for (int64_t i = 0; i < k; ++i)
    for (int v = 0; v < 2; ++v) {
      const Vec w = load(from + i * kPanel + v * kLanes);
      largest[v] = max(largest[v], magnitude(w));
      broken[v] = fma(w, zero(), broken[v]);
    }
  for (int v = 0; v < 2; ++v) store(scale + v * kLanes, scale_of(largest[v]) + broken[v]);
  const Vec inverse[2] = {inverse_scale(largest[0]), inverse_scale(largest[1])};
  for (int64_t i = 0; i < k; i += 4, to += kPanelBytes)
    for (int v = 0; v < 2; ++v) {
      Vec rounded[4];
      for (int64_t j = 0; j < 4; ++j) {
        const Vec w = i + j < k ? load(from + (i + j) * kPanel + v * kLanes) : zero();
        rounded[j] = w * inverse[v] + splat(kToInteger);
      }
      store_weights(to + v * 4 * kLanes, rounded);
    }
}

static void int8_quantize(Exec& exec, const Int8Quantize& q) {
  parallel_for(exec, panel_count(q.n), [&](int64_t panel, int) {
    uint8_t* to = q.values + panel * int8_panel_bytes(1, q.k);
    float* scale = q.scale + panel * kPanel;
    const int64_t at = panel * q.k * kPanel;
    if (q.weight.bf16 != nullptr) {
      quantize_panel(q.weight.bf16 + at, q.k, to, scale);
    } else {
      quantize_panel(q.weight.f32 + at, q.k, to, scale);
    }
  });
}

// --- Products

// R rows of inputs from `row` on, by V vectors of 16 channels of one panel, whose bytes begin at w; `scale`
// is of those channels. Each of the panel's lines that is read has one of the next panel fetched, at `ahead`.
template <int R, int V>
LSP_INLINE void int8_tile(const Inputs& x, int64_t row, const uint8_t* w, const float* scale, int64_t k,
                          const uint8_t* ahead, float* y, int64_t y_row, const int (&columns)[V]) {
  alignas(64) float total[R][V * kLanes];  // in memory: registers hold the sums
  for (int i = 0; i < R; ++i)
    for (int v = 0; v < V; ++v) store(total[i] + v * kLanes, zero());
  int64_t fours = ceil_div(k, 4);
  for (int64_t at = row; fours > 0; at += x.t, fours -= kInt8Group / 4) {
    const Input* inputs = x.values + at * kInt8Group;
    const int64_t count = min_of(fours, kInt8Group / 4);
    Sums sums[R][V];
    for (int i = 0; i < R; ++i)
      for (int v = 0; v < V; ++v) sums[i][v] = sums_from(x.start[at + i]);
    for (int64_t four = 0; four < count; ++four) {
      Weights weights[V];
      for (int v = 0; v < V; ++v) weights[v] = load_weights(w + v * 4 * kLanes);
      if (ahead != nullptr) {
        __builtin_prefetch(ahead, 0, 2);
        __builtin_prefetch(ahead + 64, 0, 2);
        ahead += kPanelBytes;
      }
      for (int i = 0; i < R; ++i)
        for (int v = 0; v < V; ++v)
          sums[i][v] = add_products(sums[i][v], weights[v], inputs + i * kInt8Group + 4 * four);
      w += kPanelBytes;
    }
    for (int i = 0; i < R; ++i)
      for (int v = 0; v < V; ++v) {
        float* to = total[i] + v * kLanes;
        store(to, fma(to_floats(sums[i][v]), splat(x.scale[at + i]), load(to)));
      }
  }
  for (int i = 0; i < R; ++i)
    for (int v = 0; v < V; ++v) {
      const Vec result = load(total[i] + v * kLanes) * load(scale + v * kLanes);
      if (columns[v] > 0) store_n(y + i * y_row + v * kLanes, result, columns[v]);
    }
}

// Some rows of inputs by one panel.
struct PanelProduct {
  const uint8_t* weight;
  const float* scale;
  const uint8_t* ahead;  // the panel after it, or null
  float* y;              // of the first row
  int64_t y_row;
  int64_t columns;  // 1 to 32
};

template <int R>
static void panel_tile(const Inputs& x, int64_t row, int64_t k, const PanelProduct& p, float* y,
                       const uint8_t* ahead) {
  const int low = static_cast<int>(min_of(p.columns, kLanes)), high = static_cast<int>(p.columns) - low;
  if constexpr (kInt8Vecs == 2) {
    int8_tile<R, 2>(x, row, p.weight, p.scale, k, ahead, y, p.y_row, {low, high});
  } else {
    int8_tile<R, 1>(x, row, p.weight, p.scale, k, ahead, y, p.y_row, {low});
    if (high > 0)
      int8_tile<R, 1>(x, row, p.weight + 4 * kLanes, p.scale + kLanes, k, nullptr, y + kLanes, p.y_row,
                      {high});
  }
}

#if defined(__AMX_INT8__)
// Rows in blocks of 32, the last one of 16 where that is enough. Which part of the next panel a block fetches
// goes by its rows.
static void tile_product(const Inputs& x, int64_t first, int64_t rows, int64_t k, const PanelProduct& p) {
  for (int64_t row = 0; row < rows; row += kBlockRows) {
    const int64_t height = min_of(kBlockRows, rows - row);
    const uint8_t* ahead = row == 0 ? p.ahead : p.weight;
    const auto block = height > kTileRows ? tile_block<2> : tile_block<1>;
    block(x, first + row, height, k, p.weight, p.scale, ahead, p.y + row * p.y_row, p.y_row, p.columns);
  }
}
#endif

// Rows in tiles of nearly equal height.
static void int8_product(const Inputs& x, int64_t first, int64_t rows, int64_t k, const PanelProduct& p) {
#if defined(__AMX_INT8__)
  if (rows >= kFewTileRows && k % kInt8Group == 0) return tile_product(x, first, rows, k, p);
#endif
  const uint8_t* ahead = p.ahead;
  int64_t tiles = ceil_div(rows, kInt8Rows);
  for (int64_t row = 0; tiles > 0; --tiles) {
    const int64_t height = ceil_div(rows - row, tiles);
    with_height<kInt8Rows>(static_cast<int>(height), [&](auto tile) {
      panel_tile<decltype(tile)::rows>(x, first + row, k, p, p.y + row * p.y_row, ahead);
    });
    row += height;
    ahead = nullptr;
  }
}

// Rows whose quantized inputs stay in the second-level cache while the weight streams past.
static int64_t rows_together(int64_t t, int64_t k) {
  constexpr int64_t kCacheBytes = 1 << 20;
  const int64_t most = max_of(
      kInt8Rows, kCacheBytes / (ceil_div(k, kInt8Group) * kInt8Group * static_cast<int64_t>(sizeof(Input))));
  return ceil_div(t, ceil_div(t, most));
}

// Hands out `count` units in order; each thread knows its next one while it works.
template <class F>
static void for_units(Exec& exec, int64_t count, const F& f) {
  int64_t taken = 0;
  parallel_for(exec, min_of(exec.threads(), count), [&](int64_t, int worker) {
#if defined(__AMX_INT8__)
    const TileScope tiles;
#endif
    const auto take = [&] { return __atomic_fetch_add(&taken, 1, __ATOMIC_RELAXED); };
    for (int64_t unit = take(), next; unit < count; unit = next) {
      next = take();
      f(unit, next < count ? next : unit, worker);
    }
  });
}

struct PanelPlace {
  const Int8Part* part;
  int64_t index;  // within the part
};
static PanelPlace panel_place(const Int8Part* part, int64_t panel) {
  for (int64_t count; panel >= (count = panel_count(part->n)); ++part) panel -= count;
  return {part, panel};
}
LSP_INLINE const uint8_t* panel_bytes(const Int8Panels& weight, int64_t index, int64_t k) {
  return weight.values + index * int8_panel_bytes(1, k);
}

static void int8_forward(Exec& exec, const Int8Forward& f) {
  if (f.t == 0) return;
  const Inputs inputs = inputs_of(exec, f.x, f.ldx, f.t, f.k);
  int64_t panels = 0;
  for (int i = 0; i < f.part_count; ++i) panels += panel_count(f.parts[i].n);
  const int64_t rows_each = rows_together(f.t, f.k);
  for_units(exec, ceil_div(f.t, rows_each) * panels, [&](int64_t unit, int64_t next, int) {
    const PanelPlace at = panel_place(f.parts, unit % panels), then = panel_place(f.parts, next % panels);
    const Int8Part& part = *at.part;
    const int64_t row = unit / panels * rows_each, column = at.index * kPanel;
    int8_product(inputs, row, min_of(rows_each, f.t - row), f.k,
                 {panel_bytes(part.weight, at.index, f.k), part.weight.scale + column,
                  panel_bytes(then.part->weight, then.index, f.k), part.y + row * part.ldy + column, part.ldy,
                  min_of(kPanel, part.n - column)});
  });
}

// Rows by one chunk of the vocabulary, whose logits begin at y; the chunk after it begins at column `next`.
static void chunk_logits(const Inputs& inputs, int64_t first, int64_t rows, const Int8Panels& weight,
                         int64_t k, int64_t begin, int64_t end, int64_t next, float* y, int64_t y_row) {
  for (int64_t column = begin; column < end; column += kPanel) {
    const int64_t then = column + kPanel < end ? column + kPanel : next;
    int8_product(
        inputs, first, rows, k,
        {panel_bytes(weight, column / kPanel, k), weight.scale + column,
         panel_bytes(weight, then / kPanel, k), y + column - begin, y_row, min_of(kPanel, end - column)});
  }
}

static void int8_head(Exec& exec, const Int8Head& f) {
  if (f.t == 0) return;
  const Inputs inputs = inputs_of(exec, f.hidden, f.c, f.t, f.c);
  const int64_t chunks = vocab_chunks(f.v), rows_each = rows_together(f.t, f.c);
  const bool tempers = f.tempered_lse != nullptr;
  ChunkStats* stats =
      reinterpret_cast<ChunkStats*>(exec.shared(0, (tempers ? 2 : 1) * kStatsFloats * chunks * f.t));
  ChunkStats* tempered = stats + chunks * f.t;
  for_units(exec, ceil_div(f.t, rows_each) * chunks, [&](int64_t unit, int64_t next, int) {
    const int64_t chunk = unit % chunks, begin = chunk * kVocabChunk, end = min_of(f.v, begin + kVocabChunk);
    const int64_t first = unit / chunks * rows_each, rows = min_of(rows_each, f.t - first);
    chunk_logits(inputs, first, rows, f.weight, f.c, begin, end, next % chunks * kVocabChunk,
                 f.logits + first * f.v + begin, f.v);
    for (int64_t row = first; row < first + rows; ++row) {
      const float* logits = f.logits + row * f.v + begin;
      stats[chunk * f.t + row] = chunk_stats(logits, end - begin, 1.0f);
      if (tempers) tempered[chunk * f.t + row] = chunk_stats(logits, end - begin, f.inverse_temperature);
    }
  });
  parallel_for(exec, f.t, [&](int64_t row, int) {
    const RowStats all = combine_chunks(stats + row, chunks, f.t);
    f.lse[row] = all.lse;
    f.entropy[row] = all.entropy;
    if (tempers) f.tempered_lse[row] = combine_chunks(tempered + row, chunks, f.t).lse;
  });
}

// A chunk of the weight stays in the second-level cache while blocks of rows pass; so do a block's logits.
static void int8_logprob(Exec& exec, const Int8Logprob& f) {
  if (f.t == 0) return;
  constexpr int64_t kLogprobRows = 128;
  const Inputs inputs = inputs_of(exec, f.hidden, f.c, f.t, f.c);
  const int64_t chunks = vocab_chunks(f.v), blocks = ceil_div(f.t, kLogprobRows),
                rows_each = ceil_div(f.t, blocks);
  ChunkStats* stats = reinterpret_cast<ChunkStats*>(exec.shared(0, kStatsFloats * chunks * f.t));
  float* targets = exec.shared(1, f.t);
  exec.reserve_local(rows_each * kVocabChunk);
  for_units(exec, chunks * blocks, [&](int64_t unit, int64_t next, int worker) {
    const int64_t chunk = unit / blocks, begin = chunk * kVocabChunk, end = min_of(f.v, begin + kVocabChunk);
    const int64_t first = unit % blocks * rows_each, rows = min_of(rows_each, f.t - first);
    float* logits = exec.local(worker);
    chunk_logits(inputs, first, rows, f.weight, f.c, begin, end, next / blocks * kVocabChunk, logits,
                 kVocabChunk);
    for (int64_t row = first; row < first + rows; ++row, logits += kVocabChunk) {
      stats[chunk * f.t + row] = chunk_stats(logits, end - begin, f.inverse_temperature);
      const int64_t target = f.targets[row];
      if (target >= begin && target < end) targets[row] = logits[target - begin] * f.inverse_temperature;
    }
  });
  parallel_for(exec, f.t, [&](int64_t row, int) {
    const RowStats all = combine_chunks(stats + row, chunks, f.t);
    f.logprob[row] = targets[row] - all.lse;
    f.entropy[row] = all.entropy;
  });
}

extern const Int8Kernels int8_kernels;
const Int8Kernels int8_kernels = {int8_quantize, int8_forward, int8_head, int8_logprob};

}  // namespace LSP_ISA
}  // namespace lsp
