// What the check of attention asks: forests of tokens, and their cache blocks and segments derived naively,
// without model/token_batch.h, so that a mistake there is not repeated here.
#pragma once

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "check/check.h"
#include "core/bfloat16.h"

namespace lsp {
namespace check {
namespace attention {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// A forest of tokens. The tokens of a tree are consecutive.
struct Problem {
  int64_t heads, kv_heads, head_size;
  std::vector<int32_t> parent;
  std::vector<float> q, k, v, dy;

  int64_t t() const { return static_cast<int64_t>(parent.size()); }
  int64_t q_row() const { return heads * head_size; }
  int64_t k_row() const { return kv_heads * head_size; }
  double work() const { return 1.5 * static_cast<double>(t() * t() * q_row()); }
};

inline Problem make_problem(int64_t heads, int64_t kv_heads, int64_t head_size, std::vector<int32_t> parent,
                            double scale = 1) {
  Problem p{heads, kv_heads, head_size, std::move(parent), {}, {}, {}, {}};
  p.q = random_values(p.t() * p.q_row(), 1, scale);
  p.k = random_values(p.t() * p.k_row(), 2);
  p.v = random_values(p.t() * p.k_row(), 3);
  p.dy = random_values(p.t() * p.q_row(), 4);
  return p;
}

// The problem of some tokens, which must bring their parents along.
inline Problem select(const Problem& p, const std::vector<int64_t>& tokens) {
  Problem out{p.heads, p.kv_heads, p.head_size, {}, {}, {}, {}, {}};
  std::vector<int32_t> place(p.parent.size(), -1);
  const auto append = [](std::vector<float>* to, const std::vector<float>& from, int64_t row, int64_t width) {
    to->insert(to->end(), from.begin() + row * width, from.begin() + (row + 1) * width);
  };
  for (const int64_t token : tokens) {
    place[token] = static_cast<int32_t>(out.parent.size());
    out.parent.push_back(p.parent[token] < 0 ? -1 : place[p.parent[token]]);
    append(&out.q, p.q, token, p.q_row());
    append(&out.k, p.k, token, p.k_row());
    append(&out.v, p.v, token, p.k_row());
    append(&out.dy, p.dy, token, p.q_row());
  }
  return out;
}

inline std::vector<int64_t> path_of(const Problem& p, int64_t token) {
  std::vector<int64_t> path;
  for (int64_t at = token; at >= 0; at = p.parent[at]) path.push_back(at);
  std::reverse(path.begin(), path.end());
  return path;
}

// Cache blocks and segments of a forest, derived naively: a branch shares the full blocks of its parent's
// path and gets a copy of the partly filled one.
struct Layout {
  std::vector<std::vector<int32_t>> slots;   // (blocks, 32): token, or -1
  std::vector<std::vector<int32_t>> tables;  // of each segment
  std::vector<int64_t> first_token, count, segment_of, position;
  std::vector<int64_t> tree_segments, tree_tokens;

  explicit Layout(const Problem& p) : segment_of(p.t()), position(p.t()) {
    for (int64_t token = 0; token < p.t(); ++token) {
      const int64_t before = p.parent[token];
      position[token] = before < 0 ? 0 : position[before] + 1;
      if (before < 0) begin_tree(token);
      if (before < 0 || before != token - 1) begin_segment(token, before);
      segment_of[token] = static_cast<int64_t>(tables.size()) - 1;
      std::vector<int32_t>& table = tables.back();
      if (position[token] / kKvBlock == static_cast<int64_t>(table.size())) add_block(&table);
      slots[table.back()][position[token] % kKvBlock] = static_cast<int32_t>(token);
      ++count.back();
    }
    begin_tree(p.t());
  }

 private:
  void begin_tree(int64_t token) {
    tree_segments.push_back(static_cast<int64_t>(tables.size()));
    tree_tokens.push_back(token);
  }
  void add_block(std::vector<int32_t>* table) {
    table->push_back(static_cast<int32_t>(slots.size()));
    slots.emplace_back(kKvBlock, -1);
  }
  void begin_segment(int64_t token, int64_t before) {
    std::vector<int32_t> table;
    if (before >= 0) {
      const std::vector<int32_t>& above = tables[segment_of[before]];
      const int64_t shared = position[token] / kKvBlock, part = position[token] % kKvBlock;
      table.assign(above.begin(), above.begin() + shared);
      if (part > 0) {
        add_block(&table);
        std::copy_n(slots[above[shared]].begin(), part, slots.back().begin());
      }
    }
    tables.push_back(std::move(table));
    first_token.push_back(token);
    count.push_back(0);
  }
};

// The blocks' storage: layer 0 holds NaN, layer 1 the keys and values. Tokens from `limit` on are not
// written.
struct Blocks {
  std::vector<std::vector<float>> storage;
  std::vector<float*> pointers;
  int64_t layer_offset;
  KvType type = KvType::f32;

  Blocks(const Problem& p, const Layout& layout, int64_t limit)
      : layer_offset(kv_layer_floats(p.kv_heads, p.head_size)) {
    const int64_t padded = kv_padded_head(p.head_size);
    for (const std::vector<int32_t>& slots : layout.slots) {
      std::vector<float> block(2 * layer_offset);
      std::fill_n(block.begin(), layer_offset, kNan);
      for (int64_t slot = 0; slot < kKvBlock; ++slot) {
        if (slots[slot] < 0 || slots[slot] >= limit) continue;
        for (int64_t head = 0; head < p.kv_heads; ++head) {
          float* keys = block.data() + layer_offset + head * kv_head_floats(p.head_size);
          float* values = keys + kKvBlock * p.head_size;
          const int64_t from = (slots[slot] * p.kv_heads + head) * p.head_size;
          for (int64_t i = 0; i < p.head_size; ++i) {
            keys[i * kKvBlock + slot] = p.k[from + i];
            values[slot * padded + i] = p.v[from + i];
          }
        }
      }
      storage.push_back(std::move(block));
    }
    for (std::vector<float>& block : storage) pointers.push_back(block.data());
  }

  // The same values, rounded.
  Blocks in_bfloat16() const {
    Blocks out = *this;
    out.type = KvType::bf16;
    for (size_t i = 0; i < storage.size(); ++i) {
      uint16_t* values = reinterpret_cast<uint16_t*>(out.storage[i].data());
      for (size_t j = 0; j < storage[i].size(); ++j) values[j] = float_to_bfloat16(storage[i][j]);
      out.pointers[i] = out.storage[i].data();
    }
    return out;
  }
};

inline std::vector<int32_t> sequence(int64_t count, int32_t parent = -1, int32_t first = 0) {
  std::vector<int32_t> out{parent};
  while (static_cast<int64_t>(out.size()) < count) out.push_back(first++);
  return out;
}

// Appends `count` tokens below `parent` (-1: a new tree).
inline void grow(std::vector<int32_t>* forest, int32_t parent, int64_t count) {
  const std::vector<int32_t> branch = sequence(count, parent, static_cast<int32_t>(forest->size()));
  forest->insert(forest->end(), branch.begin(), branch.end());
}

// A prompt of `prompt` tokens and answers of the given lengths: one tree.
inline std::vector<int32_t> group(int64_t prompt, const std::vector<int64_t>& answers) {
  std::vector<int32_t> forest = sequence(prompt);
  for (const int64_t length : answers) grow(&forest, static_cast<int32_t>(prompt - 1), length);
  return forest;
}

inline std::vector<int32_t> random_forest(int64_t count, uint64_t seed) {
  const std::vector<int32_t> dice = random_ids(2 * count, seed, 1000);
  std::vector<int32_t> forest;
  int32_t tree = 0;
  for (int32_t token = 0; token < count; ++token) {
    if (token == 0 || dice[2 * token] < 20) {
      forest.push_back(-1);
      tree = token;
    } else {
      forest.push_back(dice[2 * token] < 150 ? tree + dice[2 * token + 1] % (token - tree) : token - 1);
    }
  }
  return forest;
}

}  // namespace attention
}  // namespace check
}  // namespace lsp
