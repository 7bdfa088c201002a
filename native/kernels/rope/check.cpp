// rope against its oracle and against itself: see rope.h.
#include <cmath>
#include <limits>
#include <utility>

#include "check/check.h"
#include "core/bfloat16.h"
#include "core/error.h"
#include "kernels/rope/reference.h"

namespace lsp {
namespace check {
namespace {

constexpr int64_t kPositions = 300;
constexpr int64_t kLayers = 2;
const float kUntouched = std::numeric_limits<float>::infinity();

// Token i goes to slot (7 i) mod 32 of block i / 5; every third token is copied to a block of its own, every
// eleventh is written nowhere.
struct Place {
  int64_t token, block, slot;
};

struct Problem {
  int64_t t, heads, kv_heads, head_size;
  std::vector<float> q, k, v, cosine, sine;
  std::vector<int32_t> positions;
  std::vector<Place> places;
  int64_t block_count = 0;

  Problem(int64_t tokens, int64_t h, int64_t kv, int64_t d)
      : t(tokens), heads(h), kv_heads(kv), head_size(d) {
    q = random_values(t * heads * d, 1);
    k = random_values(t * kv_heads * d, 2);
    v = random_values(t * kv_heads * d, 3);
    positions = random_ids(t, 4, kPositions);
    std::vector<float> frequency(d / 2);
    rope_frequencies(frequency.data(), d, 10000.0, {});
    cosine.resize(kPositions * d / 2);
    sine.resize(kPositions * d / 2);
    rope_table(cosine.data(), sine.data(), frequency.data(), 0, kPositions, d / 2);
    block_count = (t + 4) / 5;
    for (int64_t i = 0; i < t; ++i) {
      if (i % 11 == 10) continue;
      places.push_back({i, i / 5, 7 * i % kKvBlock});
      if (i % 3 == 0) places.push_back({i, block_count++, i % kKvBlock});
    }
  }
};

// Reads the caches back to rows in the order of `places`; whatever was not to be written must be untouched.
void read_blocks(const Problem& p, std::vector<std::vector<float>>* blocks, Tensor* keys, Tensor* values) {
  const int64_t padded = kv_padded_head(p.head_size), row = p.kv_heads * p.head_size;
  const int64_t layer = kv_layer_floats(p.kv_heads, p.head_size);
  for (const Place& place : p.places) {
    float* storage = (*blocks)[place.block].data() + layer;
    for (int64_t head = 0; head < p.kv_heads; ++head) {
      float* head_keys = storage + head * kv_head_floats(p.head_size);
      float* head_values = head_keys + kKvBlock * p.head_size;
      for (int64_t i = 0; i < p.head_size; ++i) {
        keys->values.push_back(std::exchange(head_keys[i * kKvBlock + place.slot], kUntouched));
        values->values.push_back(std::exchange(head_values[place.slot * padded + i], kUntouched));
      }
    }
  }
  keys->shape = values->shape = {static_cast<int64_t>(p.places.size()), row};
  for (const std::vector<float>& block : *blocks)
    for (const float x : block)
      if (x != kUntouched && x != 0.0f) throw Error("INTERNAL", "wrote to a place that belongs to no token");
}

Tensors run(const Problem& p, const Kernels& kernels, Exec& exec) {
  const int64_t layer = kv_layer_floats(p.kv_heads, p.head_size);
  std::vector<std::vector<float>> blocks(p.block_count, std::vector<float>(kLayers * layer, kUntouched));
  std::vector<KvSlotWrite> writes;
  for (const Place& place : p.places)
    writes.push_back(
        {blocks[place.block].data(), static_cast<int32_t>(place.token), static_cast<int32_t>(place.slot)});
  Tensor q{"q", {p.t, p.heads * p.head_size}, p.q};
  kernels.rope->forward(exec, {q.values.data(), p.k.data(), p.v.data(), p.cosine.data(), p.sine.data(),
                               p.positions.data(), writes.data(), static_cast<int64_t>(writes.size()), layer,
                               p.t, p.heads, p.kv_heads, p.head_size});
  Tensor keys{"k", {}, {}}, values{"v", {}, {}};
  read_blocks(p, &blocks, &keys, &values);
  Tensor dq{"dq", {p.t, p.heads * p.head_size}, p.q}, dk{"dk", {p.t, p.kv_heads * p.head_size}, p.k};
  kernels.rope->backward(exec, {dq.values.data(), dk.values.data(), p.cosine.data(), p.sine.data(),
                                p.positions.data(), p.t, p.heads, p.kv_heads, p.head_size});
  return {q, keys, values, dq, dk};
}

// A cache in bfloat16 holds what one in f32 does, rounded.
void check_rounded(Checker& checker) {
  checker.test("a cache in bfloat16", [&](Case& c) {
    Problem p(50, 9, 3, 64);
    p.v[3] = std::numeric_limits<float>::quiet_NaN();
    p.v[5] = -0.0f;
    p.v[7] = 0x1.01p0f;  // ties, to even
    p.v[9] = 0x1.03p0f;
    p.v[11] = 0x1p-130f;  // denormal
    for (const Kernels* kernels : checker.variants()) {
      const int64_t layer = kv_layer_floats(p.kv_heads, p.head_size);
      std::vector<float> exact(layer);
      std::vector<uint16_t> rounded(layer);
      const auto write = [&](void* block, KvType type) {
        std::vector<KvSlotWrite> writes;
        for (int32_t slot = 0; slot < kKvBlock; ++slot)
          writes.push_back({static_cast<float*>(block), slot % 20, slot});
        std::vector<float> q = p.q;
        kernels->rope->forward(checker.exec(2), {q.data(), p.k.data(), p.v.data(), p.cosine.data(),
                                                 p.sine.data(), p.positions.data(), writes.data(), kKvBlock,
                                                 0, p.t, p.heads, p.kv_heads, p.head_size, type});
      };
      write(exact.data(), KvType::f32);
      write(rounded.data(), KvType::bf16);
      for (int64_t i = 0; i < layer; ++i)
        c.that(rounded[i] == float_to_bfloat16(exact[i]),
               format("%s: value %d", kernels->isa, static_cast<int>(i)));
    }
  });
}

// Rows of `all` in the order of the cache writes.
Expected at_places(const Problem& p, const Expected& all) {
  const int64_t row = p.kv_heads * p.head_size;
  Expected out(static_cast<int64_t>(p.places.size()) * row);
  for (size_t i = 0; i < p.places.size(); ++i)
    for (int64_t j = 0; j < row; ++j) {
      const int64_t from = p.places[i].token * row + j;
      out.set(static_cast<int64_t>(i) * row + j, all.value[from], all.magnitude[from]);
    }
  return out;
}

void compare(Case& c, const Problem& p, const Tensors& results) {
  const auto turned = [&](const std::vector<float>& rows_of, int64_t heads, double sign) {
    return reference::rope(rows_of.data(), p.cosine.data(), p.sine.data(), p.positions.data(), p.t, heads,
                           p.head_size, sign);
  };
  // Two products and a sum: three roundings at most.
  c.close(find(results, "q"), turned(p.q, p.heads, 1), 3);
  c.close(find(results, "k"), at_places(p, turned(p.k, p.kv_heads, 1)), 3);
  c.close(find(results, "dq"), turned(p.q, p.heads, -1), 3);
  c.close(find(results, "dk"), turned(p.k, p.kv_heads, -1), 3);
  Expected v(p.t * p.kv_heads * p.head_size);
  for (size_t i = 0; i < p.v.size(); ++i) v.set(static_cast<int64_t>(i), p.v[i]);
  c.close(find(results, "v"), at_places(p, v), 0);
}

void check_problem(Checker& checker, const Problem& p) {
  checker.test(shape_text({{"T", p.t}, {"H", p.heads}, {"K", p.kv_heads}, {"D", p.head_size}}), [&](Case& c) {
    compare(c, p,
            checker.sweep(c, 0, [&](const Kernels& kernels, Exec& exec) { return run(p, kernels, exec); }));
  });
}

void check_frequencies(Checker& checker, const char* name, int64_t head_size, double theta,
                       const RopeScaling& scaling) {
  checker.test(name, [&](Case& c) {
    Tensor frequency{"frequency", {head_size / 2}, std::vector<float>(head_size / 2)};
    rope_frequencies(frequency.values.data(), head_size, theta, scaling);
    Expected expected(head_size / 2);
    for (int64_t i = 0; i < head_size / 2; ++i)
      expected.set(i, reference::rope_frequency(i, head_size, theta, scaling));
    c.close(frequency, expected, 1.001);  // correctly rounded, but for values beside a tie
  });
}

void check_table(Checker& checker, const char* name, int64_t head_size, double theta, int64_t first) {
  checker.test(name, [&](Case& c) {
    constexpr int64_t kCount = 1000;
    const int64_t half = head_size / 2;
    std::vector<float> frequency(half);
    rope_frequencies(frequency.data(), head_size, theta, {});
    Tensor cosine{"cosine", {kCount, half}, std::vector<float>(kCount * half)}, sine = cosine;
    sine.name = "sine";
    rope_table(cosine.values.data(), sine.values.data(), frequency.data(), first, kCount, half);
    Expected want_cosine(kCount * half), want_sine(kCount * half);
    for (int64_t i = 0; i < kCount * half; ++i) {
      const double angle = static_cast<float>(first + i / half) * frequency[i % half];
      want_cosine.set(i, std::cos(angle));
      want_sine.set(i, std::sin(angle));
    }
    c.close(cosine, want_cosine, 1.001);
    c.close(sine, want_sine, 1.001);
  });
}

void check(Checker& checker) {
  check_problem(checker, Problem(1, 1, 1, 2));
  check_problem(checker, Problem(7, 3, 1, 6));
  check_problem(checker, Problem(23, 4, 2, 34));
  check_problem(checker, Problem(12, 2, 2, 80));
  check_problem(checker, Problem(50, 9, 3, 64));   // SmolLM2-135M
  check_problem(checker, Problem(9, 24, 8, 128));  // Llama-3.2-3B
  check_rounded(checker);
  RopeScaling llama3;
  llama3.factor = 32;
  check_frequencies(checker, "frequencies of SmolLM2", 64, 100000.0, {});
  check_frequencies(checker, "frequencies of Llama 3.2", 128, 500000.0, llama3);
  check_frequencies(checker, "frequencies of D=2", 2, 10000.0, {});
  check_table(checker, "table from 0", 64, 100000.0, 0);
  check_table(checker, "table from 131000", 128, 500000.0, 131000);
}

const Registration registration("rope", check);

}  // namespace
}  // namespace check
}  // namespace lsp
