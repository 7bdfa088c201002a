// attention on the CPU. A work item is a tile of queries of one kv head (forward) or one query head of one
// tree (backward); its matrix products run on the register tile of linear/gemm.h, with lanes over keys for
// scores and over the head for values. Rows of a tile are (token, query head of the group), tokens ascending.
#include "kernels/attention/backward.h"
#include "kernels/attention/head.h"

namespace lsp {
namespace LSP_ISA {

struct ForwardTile {
  float *q, *y;                        // (rows, padded)
  float* scores;                       // (rows, 32)
  float *top, *sum, *rescale, *fresh;  // (rows)
};

static int64_t forward_local_floats(const Head& head) {
  const int64_t rows = head.tile_tokens * head.group;
  return rows * (2 * head.padded + kKvBlock + 4);
}

static ForwardTile carve_forward(const Head& head, float* memory) {
  const int64_t rows = head.tile_tokens * head.group;
  ForwardTile t;
  t.q = memory;
  t.y = t.q + rows * head.padded;
  t.scores = t.y + rows * head.padded;
  t.top = t.scores + rows * kKvBlock;
  t.sum = t.top + rows;
  t.rescale = t.sum + rows;
  t.fresh = t.rescale + rows;
  return t;
}

// Folds one block of scores into the running maximum and sum of each row; scores become probabilities
// relative to the new maximum, rescale the factor for what was accumulated before. `seen` of row r: keys of
// the block it may attend to.
template <class F>
static void fold_scores(const ForwardTile& tile, int64_t first_row, int64_t rows, const F& seen) {
  const Vec blank = splat(kMinusInfinity);
  for (int64_t row = first_row; row < rows; ++row) {
    float* s = tile.scores + row * kKvBlock;
    const int count = seen(row);
    const Vec low = keep_first(load(s), count < kLanes ? count : kLanes, blank);
    const Vec high = count > kLanes ? keep_first(load(s + kLanes), count - kLanes, blank) : blank;
    const float old_top = tile.top[row], block_top = max_lanes(max(low, high));
    const float top = old_top > block_top ? old_top : block_top;
    const Vec p_low = exp(low - splat(top)), p_high = exp(high - splat(top));
    store(s, p_low);
    store(s + kLanes, p_high);
    tile.top[row] = top;
    tile.rescale[row] = old_top - top;
    tile.fresh[row] = sum_lanes(p_low + p_high);
  }
  for (int64_t row = first_row; row < rows; row += kLanes) {
    const int n = static_cast<int>(min_of(kLanes, rows - row));
    const Vec factor = exp(load_n(tile.rescale + row, n));
    store_n(tile.rescale + row, factor, n);
    store_n(tile.sum + row, fma(load_n(tile.sum + row, n), factor, load_n(tile.fresh + row, n)), n);
  }
}

// Rows of a tile divided by their sums.
static void finish_tile(const AttentionForward& f, const Head& head, const ForwardTile& tile,
                        int64_t first_token, int64_t kv_head, int64_t rows) {
  for (int64_t row = 0; row < rows; ++row) {
    const Vec sum = splat(tile.sum[row]);
    float* y = f.y + row_offset(head, first_token, kv_head, row);
    for_lanes(head.size,
              [&](int64_t i, int n) { store_n(y + i, load(tile.y + row * head.padded + i) / sum, n); });
    if (f.lse == nullptr) continue;
    f.lse[(first_token + row / head.group) * head.heads + kv_head * head.group + row % head.group] =
        static_cast<float>(static_cast<double>(tile.top[row]) +
                           scalar::log(static_cast<double>(tile.sum[row])));
  }
}

static void forward_tile(const AttentionForward& f, const Head& head, const AttentionSegment& segment,
                         int64_t start, int64_t kv_head, float* memory) {
  const int64_t tokens = min_of(head.tile_tokens, segment.count - start), rows = tokens * head.group;
  const int64_t first_token = segment.first_token + start, first_position = segment.first_position + start;
  const ForwardTile tile = carve_forward(head, memory);
  gather_rows(head, f.q, first_token, kv_head, rows, attention_scale(head.size), tile.q);
  for (int64_t i = 0; i < rows * head.padded; ++i) tile.y[i] = 0.0f;
  for (int64_t row = 0; row < rows; ++row) {
    tile.top[row] = kMinusInfinity;
    tile.sum[row] = 0.0f;
  }
  const int64_t blocks = (first_position + tokens - 1) / kKvBlock + 1;
  for (int64_t block = 0; block < blocks; ++block) {
    const float* keys =
        f.blocks[segment.block_table[block]] + f.layer_offset + kv_head * kv_head_floats(head.size);
    const float* values = keys + kKvBlock * head.size;
    const int64_t block_start = block * kKvBlock;
    const auto seen = [&](int64_t row) {
      return static_cast<int>(min_of(kKvBlock, first_position + row / head.group + 1 - block_start));
    };
    const int64_t first_row = max_of(0, block_start - first_position) * head.group;
    const int64_t used = rows - first_row;
    panel_product(used, tile.q + first_row * head.padded, head.padded, 1, keys, kKvBlock,
                  tile.scores + first_row * kKvBlock, kKvBlock, head.size, false);
    fold_scores(tile, first_row, rows, seen);
    for (int64_t row = first_row; row < rows; ++row) {
      const float factor = tile.rescale[row];
      if (factor == 1.0f) continue;
      float* y = tile.y + row * head.padded;
      for (int64_t i = 0; i < head.padded; i += kLanes) store(y + i, load(y + i) * splat(factor));
    }
    // Keys that every row sees, then for each later token the keys that only it and its successors see.
    const int64_t common = seen(first_row);
    product_over_head(head, used, tile.scores + first_row * kKvBlock, kKvBlock, 1, values,
                      tile.y + first_row * head.padded, common);
    for (int64_t row = first_row; row < rows; row += head.group) {
      const int64_t more = seen(row) - common;
      if (more <= 0) continue;
      product_over_head(head, head.group, tile.scores + row * kKvBlock + common, kKvBlock, 1,
                        values + common * head.padded, tile.y + row * head.padded, more);
    }
  }
  finish_tile(f, head, tile, first_token, kv_head, rows);
}

// --- Decoding: one token a segment
//
// The same chains as in a tile, with all rows of a kv head in registers. It is the keys and values that take
// the time to come, so the next block is fetched while one is multiplied.

// Where vectors are arrays there are no registers to gain, and compilers take minutes to see it.
#if defined(LSP_ISA_PORTABLE)
constexpr int64_t kMostDecodeRows = 0;
#else
constexpr int64_t kMostDecodeRows = 8;
#endif

// c (G, 16V) = a (G, k) b (k, 16V) or += where `accumulate`; a is (k, G), rows of b lie b_row apart. With
// each row of b one of what comes next is fetched, row by row.
template <int G, int V>
LSP_INLINE void decode_product(const float* a, const float* b, int64_t b_row, float* c, int64_t c_row,
                               int64_t k, bool accumulate, const float* ahead) {
  Vec sum[G][V];
  for (int i = 0; i < G; ++i)
    for (int v = 0; v < V; ++v) sum[i][v] = accumulate ? load(c + i * c_row + v * kLanes) : zero();
  for (int64_t p = 0; p < k; ++p, a += G, b += b_row, ahead += b_row) {
    for (int v = 0; v < V; ++v) __builtin_prefetch(ahead + v * kLanes, 0, 3);
    Vec row[V];
    for (int v = 0; v < V; ++v) row[v] = load(b + v * kLanes);
    for (int i = 0; i < G; ++i) {
      const Vec x = splat(a[i]);
      for (int v = 0; v < V; ++v) sum[i][v] = fma(x, row[v], sum[i][v]);
    }
  }
  for (int i = 0; i < G; ++i)
    for (int v = 0; v < V; ++v) store(c + i * c_row + v * kLanes, sum[i][v]);
}

// Vecs of a row of values that G rows of accumulators leave registers for; they divide what a panel has.
template <int G>
constexpr int kDecodeVecs = kVecs == 2 ? (G <= 5 ? 4 : 2) : 1;

// y (G, padded) += p (32, G) values.
template <int G>
LSP_INLINE void decode_values(const Head& head, const float* p, const float* values, float* y, int64_t keys,
                              const float* ahead) {
  int64_t column = 0;
  for (; column + kDecodeVecs<G> * kLanes <= head.padded; column += kDecodeVecs<G> * kLanes)
    decode_product<G, kDecodeVecs<G>>(p, values + column, head.padded, y + column, head.padded, keys, true,
                                      ahead + column);
  for (; column < head.padded; column += kLanes)
    decode_product<G, 1>(p, values + column, head.padded, y + column, head.padded, keys, true,
                         ahead + column);
}

// From (G, n) to (n, G).
template <int G>
LSP_INLINE void turn_rows(const float* from, int64_t row, int64_t n, float* to) {
  for (int64_t i = 0; i < n; ++i)
    for (int g = 0; g < G; ++g) to[i * G + g] = from[g * row + i];
}

// `next` is where the keys and values of the task after this one begin.
template <int G>
static void decode_tile(const AttentionForward& f, const Head& head, const AttentionSegment& segment,
                        int64_t kv_head, const float* next, float* memory) {
  const ForwardTile tile = carve_forward(head, memory);
  float* turned = memory + forward_local_floats(head);  // (size or 32, G)
  gather_rows(head, f.q, segment.first_token, kv_head, G, attention_scale(head.size), tile.q);
  for (int64_t i = 0; i < G * head.padded; ++i) tile.y[i] = 0.0f;
  for (int row = 0; row < G; ++row) {
    tile.top[row] = kMinusInfinity;
    tile.sum[row] = 0.0f;
  }
  float* const queries = turned + G * kKvBlock;
  turn_rows<G>(tile.q, head.padded, head.size, queries);
  const auto block_at = [&](int64_t block) -> const float* {
    return f.blocks[segment.block_table[block]] + f.layer_offset + kv_head * kv_head_floats(head.size);
  };
  const int64_t keys = segment.first_position + 1, blocks = ceil_div(keys, kKvBlock);
  for (int64_t block = 0; block < blocks; ++block) {
    const float *at = block_at(block), *ahead = block + 1 < blocks ? block_at(block + 1) : next;
    const int64_t values = kKvBlock * head.size, seen = min_of(kKvBlock, keys - block * kKvBlock);
    decode_product<G, 2>(queries, at, kKvBlock, tile.scores, kKvBlock, head.size, false, ahead);
    fold_scores(tile, 0, G, [&](int64_t) { return static_cast<int>(seen); });
    for (int row = 0; row < G; ++row) {
      const float factor = tile.rescale[row];
      if (factor == 1.0f) continue;
      float* y = tile.y + row * head.padded;
      for (int64_t i = 0; i < head.padded; i += kLanes) store(y + i, load(y + i) * splat(factor));
    }
    turn_rows<G>(tile.scores, kKvBlock, kKvBlock, turned);
    decode_values<G>(head, turned, at + values, tile.y, seen, ahead + values);
  }
  finish_tile(f, head, tile, segment.first_token, kv_head, G);
}

static void attention_forward(Exec& exec, const AttentionForward& f) {
  const Head head = head_of(f.heads, f.kv_heads, f.head_size);
  // Items are numbered segment by segment; item_start maps an item back to its segment.
  int64_t tiles = 0;
  for (int64_t i = 0; i < f.segment_count; ++i) tiles += ceil_div(f.segments[i].count, head.tile_tokens);
  int64_t* tile_of = reinterpret_cast<int64_t*>(exec.shared(0, 4 * tiles));  // (tiles, 2): segment, start
  int64_t next = 0;
  for (int64_t i = 0; i < f.segment_count; ++i) {
    for (int64_t start = 0; start < f.segments[i].count; start += head.tile_tokens) {
      tile_of[2 * next] = i;
      tile_of[2 * next + 1] = start;
      ++next;
    }
  }
  exec.reserve_local(forward_local_floats(head) + head.group * (kKvBlock + head.size));
  const int64_t items = tiles * f.kv_heads;
  parallel_for(exec, items, [&](int64_t item, int worker) {
    const int64_t tile = item / f.kv_heads, kv_head = item % f.kv_heads;
    const AttentionSegment& segment = f.segments[tile_of[2 * tile]];
    if (segment.count == 1 && head.group <= kMostDecodeRows) {
      // What this thread is likely to take next.
      const int64_t after = min_of(item + exec.threads(), items - 1);
      const float* ahead = f.blocks[f.segments[tile_of[2 * (after / f.kv_heads)]].block_table[0]] +
                           f.layer_offset + after % f.kv_heads * kv_head_floats(head.size);
      with_height<kMostDecodeRows>(static_cast<int>(head.group), [&](auto group) {
        decode_tile<decltype(group)::rows>(f, head, segment, kv_head, ahead, exec.local(worker));
      });
    } else {
      forward_tile(f, head, segment, tile_of[2 * tile + 1], kv_head, exec.local(worker));
    }
  });
}

extern const AttentionKernels attention_kernels;
const AttentionKernels attention_kernels = {attention_forward, attention_backward};

}  // namespace LSP_ISA
}  // namespace lsp
