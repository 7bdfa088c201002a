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

// The tile from row `row` on.
LSP_INLINE ForwardTile rows_from(const ForwardTile& t, const Head& head, int64_t row) {
  return {t.q + row * head.padded,
          t.y + row * head.padded,
          t.scores + row * kKvBlock,
          t.top + row,
          t.sum + row,
          t.rescale + row,
          t.fresh + row};
}

// Queries of a segment's tokens, nothing seen yet.
static void begin_rows(const AttentionForward& f, const Head& head, int64_t first_token, int64_t kv_head,
                       int64_t rows, const ForwardTile& tile) {
  gather_rows(head, f.q, first_token, kv_head, rows, attention_scale(head.size), tile.q);
  for (int64_t i = 0; i < rows * head.padded; ++i) tile.y[i] = 0.0f;
  for (int64_t row = 0; row < rows; ++row) {
    tile.top[row] = kMinusInfinity;
    tile.sum[row] = 0.0f;
  }
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

// What was accumulated before, relative to the new maximum.
LSP_INLINE void rescale_rows(const ForwardTile& tile, const Head& head, int64_t first_row, int64_t rows) {
  for (int64_t row = first_row; row < rows; ++row) {
    const float factor = tile.rescale[row];
    if (factor == 1.0f) continue;
    float* y = tile.y + row * head.padded;
    for (int64_t i = 0; i < head.padded; i += kLanes) store(y + i, load(y + i) * splat(factor));
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

// Where the keys of a kv head begin in the block at `index` of a path.
template <class T>
LSP_INLINE const T* block_at(const AttentionForward& f, const Head& head, const AttentionSegment& segment,
                             int64_t index, int64_t kv_head) {
  return reinterpret_cast<const T*>(f.blocks[segment.block_table[index]]) + f.layer_offset +
         kv_head * kv_head_floats(head.size);
}

template <class T>
static void forward_tile(const AttentionForward& f, const Head& head, const AttentionSegment& segment,
                         int64_t start, int64_t kv_head, float* memory) {
  const int64_t tokens = min_of(head.tile_tokens, segment.count - start), rows = tokens * head.group;
  const int64_t first_token = segment.first_token + start, first_position = segment.first_position + start;
  const ForwardTile tile = carve_forward(head, memory);
  begin_rows(f, head, first_token, kv_head, rows, tile);
  const int64_t blocks = (first_position + tokens - 1) / kKvBlock + 1;
  for (int64_t block = 0; block < blocks; ++block) {
    const T* keys = block_at<T>(f, head, segment, block, kv_head);
    const T* values = keys + kKvBlock * head.size;
    const int64_t block_start = block * kKvBlock;
    const auto seen = [&](int64_t row) {
      return static_cast<int>(min_of(kKvBlock, first_position + row / head.group + 1 - block_start));
    };
    const int64_t first_row = max_of(0, block_start - first_position) * head.group;
    const int64_t used = rows - first_row;
    panel_product(used, tile.q + first_row * head.padded, head.padded, 1, keys, kKvBlock,
                  tile.scores + first_row * kKvBlock, kKvBlock, head.size, false);
    fold_scores(tile, first_row, rows, seen);
    rescale_rows(tile, head, first_row, rows);
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
// the time to come, so the next block is fetched while one is multiplied, and segments that follow each other
// with the same blocks at the beginning, answers to one prompt, meet those together.

// Most rows of one segment, and of several together, as registers go. Where vectors are arrays there are none
// to gain, and compilers take minutes to see it.
#if defined(LSP_ISA_PORTABLE)
constexpr int64_t kMostDecodeRows = 0, kMostRunRows = 0;
#else
constexpr int64_t kMostDecodeRows = 8, kMostRunRows = 6 * kVecs;
#endif
constexpr int kMostRows = static_cast<int>(kMostRunRows > kMostDecodeRows ? kMostRunRows : kMostDecodeRows);

// c (R, 16V) = a (R, k) b (k, 16V) or += where `accumulate`; a is (k, R), rows of b lie b_row apart. With
// each row of b one of what comes next is fetched, row by row.
template <int R, int V, class T>
LSP_INLINE void decode_product(const float* a, const T* b, int64_t b_row, float* c, int64_t c_row, int64_t k,
                               bool accumulate, const T* ahead) {
  Vec sum[R][V];
  for (int i = 0; i < R; ++i)
    for (int v = 0; v < V; ++v) sum[i][v] = accumulate ? load(c + i * c_row + v * kLanes) : zero();
  for (int64_t p = 0; p < k; ++p, a += R, b += b_row, ahead += b_row) {
    for (size_t line = 0; line < V * kLanes * sizeof(T); line += 64)
      __builtin_prefetch(reinterpret_cast<const char*>(ahead) + line, 0, 3);
    Vec row[V];
    for (int v = 0; v < V; ++v) row[v] = load(b + v * kLanes);
    for (int i = 0; i < R; ++i) {
      const Vec x = splat(a[i]);
      for (int v = 0; v < V; ++v) sum[i][v] = fma(x, row[v], sum[i][v]);
    }
  }
  for (int i = 0; i < R; ++i)
    for (int v = 0; v < V; ++v) store(c + i * c_row + v * kLanes, sum[i][v]);
}

// Vecs of a row of keys or values that R rows of accumulators leave registers for; they divide a panel's.
template <int R>
constexpr int kDecodeVecs = kVecs == 2 ? (R <= 5 ? 4 : 2) : 1;

// c (R, columns) = or += a (R, k) b (k, columns), `columns` a multiple of 16; rows of b and `ahead` lie
// b_row apart.
template <int R, class T>
LSP_INLINE void decode_columns(const float* a, const T* b, int64_t b_row, float* c, int64_t c_row,
                               int64_t columns, int64_t k, bool accumulate, const T* ahead) {
  constexpr int V = kDecodeVecs<R>;
  int64_t at = 0;
  for (; at + V * kLanes <= columns; at += V * kLanes)
    decode_product<R, V, T>(a, b + at, b_row, c + at, c_row, k, accumulate, ahead + at);
  if constexpr (V > 2) {
    for (; at < columns; at += 2 * kLanes)
      decode_product<R, 2, T>(a, b + at, b_row, c + at, c_row, k, accumulate, ahead + at);
  }
}

// From (R, n) to (n, R).
template <int R>
LSP_INLINE void turn_rows(const float* from, int64_t row, int64_t n, float* to) {
  for (int64_t i = 0; i < n; ++i)
    for (int r = 0; r < R; ++r) to[i * R + r] = from[r * row + i];
}

// Segments [first, first + count) of one token each, whose paths begin with the same `shared` full blocks.
struct DecodeRun {
  int64_t first, count, shared;
};

// Blocks that both paths begin with, among those that all their queries see whole.
static int64_t shared_blocks(const AttentionForward& f, const AttentionSegment& a, const AttentionSegment& b,
                             int64_t most) {
  most = min_of(most, min_of(a.first_position + 1, b.first_position + 1) / kKvBlock);
  int64_t count = 0;
  while (count < most && f.blocks[a.block_table[count]] == f.blocks[b.block_table[count]]) ++count;
  return count;
}

static DecodeRun decode_run(const AttentionForward& f, const Head& head, int64_t first) {
  DecodeRun run{first, 1, 0};
  const AttentionSegment& segment = f.segments[first];
  int64_t shared = (segment.first_position + 1) / kKvBlock;
  for (int64_t next = first + 1;
       next < f.segment_count && f.segments[next].count == 1 && (run.count + 1) * head.group <= kMostRunRows;
       ++next) {
    shared = shared_blocks(f, segment, f.segments[next], shared);
    if (shared == 0) break;
    run = {first, run.count + 1, shared};
  }
  return run;
}

// The rows of a run and what they read.
template <class T>
struct Decoding {
  const AttentionForward& f;
  const Head& head;
  int64_t kv_head;
  ForwardTile tile;
  float* turned;  // (size or 32, rows), twice

  const T* block(const AttentionSegment& segment, int64_t index) const {
    return block_at<T>(f, head, segment, index, kv_head);
  }
};

// Rows [row, row + R) over blocks [first, last) of the segment's path; `next` is what is read after them.
template <int R, class T>
static void decode_blocks(const Decoding<T>& d, const AttentionSegment& segment, int64_t row, int64_t first,
                          int64_t last, const T* next) {
  const Head& head = d.head;
  const ForwardTile tile = rows_from(d.tile, head, row);
  float *const queries = d.turned, *const scores = d.turned + R * head.size;
  turn_rows<R>(tile.q, head.padded, head.size, queries);
  for (int64_t block = first; block < last; ++block) {
    const T *at = d.block(segment, block), *ahead = block + 1 < last ? d.block(segment, block + 1) : next;
    const int64_t values = kKvBlock * head.size,
                  seen = min_of(kKvBlock, segment.first_position + 1 - block * kKvBlock);
    decode_columns<R, T>(queries, at, kKvBlock, tile.scores, kKvBlock, kKvBlock, head.size, false, ahead);
    fold_scores(tile, 0, R, [&](int64_t) { return static_cast<int>(seen); });
    rescale_rows(tile, head, 0, R);
    turn_rows<R>(tile.scores, kKvBlock, kKvBlock, scores);
    decode_columns<R, T>(scores, at + values, head.padded, tile.y, head.padded, head.padded, seen, true,
                         ahead + values);
  }
}

// `next` is where the keys and values of the task after this one begin.
template <class T>
static void decode_segments(const AttentionForward& f, const Head& head, const DecodeRun& run,
                            int64_t kv_head, const T* next, float* memory) {
  const Decoding<T> d{f, head, kv_head, carve_forward(head, memory), memory + forward_local_floats(head)};
  const AttentionSegment* segments = f.segments + run.first;
  for (int64_t i = 0; i < run.count; ++i)
    begin_rows(f, head, segments[i].first_token, kv_head, head.group,
               rows_from(d.tile, head, i * head.group));
  const auto over = [&](int64_t segment, int64_t row, int64_t rows, int64_t first, int64_t last,
                        const T* after) {
    with_height<kMostRows>(static_cast<int>(rows), [&](auto height) {
      decode_blocks<decltype(height)::rows, T>(d, segments[segment], row, first, last, after);
    });
  };
  const auto blocks_of = [&](int64_t i) { return ceil_div(segments[i].first_position + 1, kKvBlock); };
  const auto begin_of = [&](int64_t i) {
    return i < run.count && run.shared < blocks_of(i) ? d.block(segments[i], run.shared) : next;
  };
  if (run.shared > 0) over(0, 0, run.count * head.group, 0, run.shared, begin_of(0));
  for (int64_t i = 0; i < run.count; ++i) {
    over(i, i * head.group, head.group, run.shared, blocks_of(i), begin_of(i + 1));
    finish_tile(f, head, rows_from(d.tile, head, i * head.group), segments[i].first_token, kv_head,
                head.group);
  }
}

// --- The call: tiles and runs, each for every kv head

struct Task {
  DecodeRun run;
  int64_t start;  // of a tile within its segment; -1: the run is decoded
};

template <class F>
static void for_tasks(const AttentionForward& f, const Head& head, const F& each) {
  for (int64_t i = 0; i < f.segment_count; ++i) {
    if (f.segments[i].count == 1 && head.group <= kMostDecodeRows) {
      const DecodeRun run = decode_run(f, head, i);
      each(Task{run, -1});
      i += run.count - 1;
      continue;
    }
    for (int64_t start = 0; start < f.segments[i].count; start += head.tile_tokens)
      each(Task{{i, 1, 0}, start});
  }
}

template <class T>
static void forward_with(Exec& exec, const AttentionForward& f) {
  const Head head = head_of(f.heads, f.kv_heads, f.head_size);
  int64_t count = 0;
  for_tasks(f, head, [&](const Task&) { ++count; });
  Task* tasks = reinterpret_cast<Task*>(exec.shared(0, count * static_cast<int64_t>(sizeof(Task) / 4)));
  count = 0;
  for_tasks(f, head, [&](const Task& task) { tasks[count++] = task; });
  exec.reserve_local(forward_local_floats(head) + max_of(head.group, kMostRunRows) * (kKvBlock + head.size));
  const int64_t items = count * f.kv_heads;
  parallel_for(exec, items, [&](int64_t item, int worker) {
    const int64_t kv_head = item % f.kv_heads;
    const Task& task = tasks[item / f.kv_heads];
    if (task.start >= 0) {
      forward_tile<T>(f, head, f.segments[task.run.first], task.start, kv_head, exec.local(worker));
      return;
    }
    // What this thread is likely to take next.
    const int64_t after = min_of(item + exec.threads(), items - 1);
    const T* ahead =
        block_at<T>(f, head, f.segments[tasks[after / f.kv_heads].run.first], 0, after % f.kv_heads);
    decode_segments<T>(f, head, task.run, kv_head, ahead, exec.local(worker));
  });
}

static void attention_forward(Exec& exec, const AttentionForward& f) {
  if (f.type == KvType::bf16) {
    forward_with<uint16_t>(exec, f);
  } else {
    forward_with<float>(exec, f);
  }
}

extern const AttentionKernels attention_kernels;
const AttentionKernels attention_kernels = {attention_forward, attention_backward};

}  // namespace LSP_ISA
}  // namespace lsp
