// The backward pass of attention, for per-ISA translation units.
//
// With P = exp(S - lse) and delta = rowsum(dy y): dV = P^T dy, dP = dy V^T, dS = P (dP - delta), dQ = dS K,
// dK = dS^T Q (Dao et al. 2022, algorithm 4). One item walks all queries of one head of a tree in order, so
// the sums over queries are chains. Before, keys and values are laid out for the products; after, heads and
// copies are summed.
#pragma once

#include "kernels/attention/head.h"

namespace lsp {
namespace LSP_ISA {

constexpr int64_t kTileTokens = 48;

struct BackwardTile {
  float *q, *dy, *dq, *p, *dp, *delta, *lse;  // (48, padded) x3, (48, 32) x2, (48) x2
};

static int64_t backward_local_floats(const Head& head) {
  return kTileTokens * (3 * head.padded + 2 * kKvBlock + 2);
}

static BackwardTile carve_backward(const Head& head, float* memory) {
  BackwardTile t;
  t.q = memory;
  t.dy = t.q + kTileTokens * head.padded;
  t.dq = t.dy + kTileTokens * head.padded;
  t.p = t.dq + kTileTokens * head.padded;
  t.dp = t.p + kTileTokens * kKvBlock;
  t.delta = t.dp + kTileTokens * kKvBlock;
  t.lse = t.delta + kTileTokens;
  return t;
}

// Shared by all items of a call.
struct BackwardMemory {
  float* operands;             // per block and kv head: keys (32, padded), values transposed (padded, 32)
  float* const* accumulators;  // per block: (H, 2, 32, padded)
};

// Turns a block's keys to (32, padded) and its values to (padded, 32).
static void prepare_block(const Head& head, const float* stored, float* operands) {
  float* keys = operands;
  float* transposed = operands + kKvBlock * head.padded;
  const float* values = stored + kKvBlock * head.size;
  for (int64_t key = 0; key < kKvBlock; ++key) {
    for (int64_t i = 0; i < head.size; ++i) keys[key * head.padded + i] = stored[i * kKvBlock + key];
    for (int64_t i = head.size; i < head.padded; ++i) keys[key * head.padded + i] = 0.0f;
  }
  for (int64_t i = 0; i < head.padded; ++i)
    for (int64_t key = 0; key < kKvBlock; ++key)
      transposed[i * kKvBlock + key] = values[key * head.padded + i];
}

// P and dS of one block: masked entries are zero.
template <class F>
static void score_gradients(const BackwardTile& t, int64_t first_row, int64_t rows, const F& seen) {
  for (int64_t row = first_row; row < rows; ++row) {
    const int count = seen(row);
    const Vec lse = splat(t.lse[row]), delta = splat(t.delta[row]);
    for (int half = 0; half < 2; ++half) {
      float* p = t.p + row * kKvBlock + half * kLanes;
      float* dp = t.dp + row * kKvBlock + half * kLanes;
      const int left = count - half * kLanes, kept = left < 0 ? 0 : left < kLanes ? left : kLanes;
      const Vec probability = keep_first(exp(load(p) - lse), kept, zero());
      store(p, probability);
      store(dp, keep_first(probability * (load(dp) - delta), kept, zero()));
    }
  }
}

// q (scaled), dy, delta and lse of the rows of a tile; dq is cleared.
static void open_tile(const AttentionBackward& b, const Head& head, int64_t first_token, int64_t query_head,
                      int64_t rows, const BackwardTile& t) {
  const Vec scale = splat(attention_scale(head.size));
  for (int64_t i = 0; i < rows * head.padded; ++i) t.dq[i] = 0.0f;
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t from = ((first_token + row) * head.heads + query_head) * head.size;
    float* q = t.q + row * head.padded;
    float* dy = t.dy + row * head.padded;
    for (int64_t i = head.size; i < head.padded; ++i) q[i] = dy[i] = 0.0f;
    Vec dot = zero();
    for_lanes(head.size, [&](int64_t i, int n) {
      const Vec upstream = load_n(b.dy + from + i, n);
      store_n(q + i, load_n(b.q + from + i, n) * scale, n);
      store_n(dy + i, upstream, n);
      dot = fma(load_n(b.y + from + i, n), upstream, dot);
    });
    t.delta[row] = sum_lanes(dot);
    t.lse[row] = b.lse[(first_token + row) * head.heads + query_head];
  }
}

static void backward_tile(const AttentionBackward& b, const Head& head, const AttentionSegment& segment,
                          int64_t start, int64_t query_head, const BackwardMemory& memory,
                          const BackwardTile& t) {
  const int64_t rows = min_of(kTileTokens, segment.count - start), kv_head = query_head / head.group;
  const int64_t first_token = segment.first_token + start, first_position = segment.first_position + start;
  const int64_t block_floats = kKvBlock * head.padded;
  open_tile(b, head, first_token, query_head, rows, t);
  const int64_t blocks = (first_position + rows - 1) / kKvBlock + 1;
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t id = segment.block_table[block], block_start = block * kKvBlock;
    const float* stored = b.blocks[id] + b.layer_offset + kv_head * kv_head_floats(head.size);
    const float* keys = memory.operands + (id * head.kv_heads + kv_head) * 2 * block_floats;
    float* dkeys = memory.accumulators[id] + query_head * 2 * block_floats;
    const auto seen = [&](int64_t row) {
      return static_cast<int>(min_of(kKvBlock, first_position + row + 1 - block_start));
    };
    const int64_t first_row = max_of(0, block_start - first_position), used = rows - first_row;
    const float* q = t.q + first_row * head.padded;
    const float* dy = t.dy + first_row * head.padded;
    float* p = t.p + first_row * kKvBlock;
    float* ds = t.dp + first_row * kKvBlock;
    panel_product(used, q, head.padded, 1, stored, kKvBlock, p, kKvBlock, head.size, false);
    panel_product(used, dy, head.padded, 1, keys + block_floats, kKvBlock, ds, kKvBlock, head.size, false);
    score_gradients(t, first_row, rows, seen);
    product_over_head(head, kKvBlock, p, 1, kKvBlock, dy, dkeys + block_floats, used);
    product_over_head(head, kKvBlock, ds, 1, kKvBlock, q, dkeys, used);
    product_over_head(head, used, ds, kKvBlock, 1, keys, t.dq + first_row * head.padded, kKvBlock);
  }
  const Vec scale = splat(attention_scale(head.size));
  for (int64_t row = 0; row < rows; ++row) {
    float* dq = b.dq + ((first_token + row) * head.heads + query_head) * head.size;
    for_lanes(head.size,
              [&](int64_t i, int n) { store_n(dq + i, load(t.dq + row * head.padded + i) * scale, n); });
  }
}

// Sums one kv head's accumulators into the tokens of their slots: blocks ascending, heads of the group
// ascending.
static void close_blocks(const AttentionBackward& b, const Head& head, int64_t kv_head,
                         const BackwardMemory& memory) {
  const int64_t width = head.kv_heads * head.size, block_floats = kKvBlock * head.padded;
  for (int64_t token = 0; token < b.t; ++token) {
    const int64_t at = token * width + kv_head * head.size;
    const float* begun = b.begun == nullptr ? nullptr : b.begun + token * b.begun_row + kv_head * head.size;
    for (int64_t i = 0; i < head.size; ++i) {
      b.dk[at + i] = begun == nullptr ? 0.0f : begun[i];
      b.dv[at + i] = begun == nullptr ? 0.0f : begun[width + i];
    }
  }
  const auto add = [&](float* to, const float* from) {
    for_lanes(head.size, [&](int64_t i, int n) {
      Vec sum = load_n(to + i, n);
      for (int64_t h = 0; h < head.group; ++h) sum = sum + load_n(from + h * 2 * block_floats + i, n);
      store_n(to + i, sum, n);
    });
  };
  for (int64_t block = 0; block < b.block_count; ++block) {
    for (int64_t slot = 0; slot < kKvBlock; ++slot) {
      const int64_t token = b.slot_token[block * kKvBlock + slot];
      if (token == kNoToken) continue;
      const float* from =
          memory.accumulators[block] + kv_head * head.group * 2 * block_floats + slot * head.padded;
      float* sums = token < 0 ? b.beyond[-2 - token] + b.beyond_offset + kv_head * head.size : nullptr;
      add(sums != nullptr ? sums : b.dk + token * width + kv_head * head.size, from);
      add(sums != nullptr ? sums + width : b.dv + token * width + kv_head * head.size, from + block_floats);
    }
  }
}

static void attention_backward(Exec& exec, const AttentionBackward& b) {
  const Head head = head_of(b.heads, b.kv_heads, b.head_size);
  const int64_t operand_floats = 2 * kKvBlock * head.padded;
  const int64_t accumulator_floats = attention_accumulator_floats(head.heads, head.size);
  float** accumulators = reinterpret_cast<float**>(exec.shared(0, 2 * b.block_count));
  float* own = exec.shared(1, b.block_count * accumulator_floats);
  const BackwardMemory memory{exec.shared(2, b.block_count * head.kv_heads * operand_floats), accumulators};
  for (int64_t block = 0; block < b.block_count; ++block) {
    float* carried = b.carried == nullptr ? nullptr : b.carried[block];
    accumulators[block] = carried != nullptr ? carried + b.carried_offset : own + block * accumulator_floats;
  }
  parallel_for(exec, b.block_count, [&](int64_t block, int) {
    for (int64_t kv_head = 0; kv_head < head.kv_heads; ++kv_head) {
      prepare_block(head, b.blocks[block] + b.layer_offset + kv_head * kv_head_floats(head.size),
                    memory.operands + (block * head.kv_heads + kv_head) * operand_floats);
    }
    if (b.carried != nullptr && b.carried[block] != nullptr) return;
    for (int64_t i = 0; i < accumulator_floats; ++i) accumulators[block][i] = 0.0f;
  });
  exec.reserve_local(backward_local_floats(head));
  parallel_for(exec, b.tree_count * head.heads, [&](int64_t item, int worker) {
    const int64_t tree = item / head.heads, query_head = item % head.heads;
    const BackwardTile tile = carve_backward(head, exec.local(worker));
    for (int64_t s = b.tree_segments[tree]; s < b.tree_segments[tree + 1]; ++s) {
      for (int64_t start = 0; start < b.segments[s].count; start += kTileTokens)
        backward_tile(b, head, b.segments[s], start, query_head, memory, tile);
    }
  });
  parallel_for(exec, head.kv_heads, [&](int64_t kv_head, int) { close_blocks(b, head, kv_head, memory); });
}

}  // namespace LSP_ISA
}  // namespace lsp
