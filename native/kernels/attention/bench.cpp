// attention on the model's heads: whole sequences as in training and prefill, and one token for each of a
// batch of sequences as in decoding. Flops count the pairs that causality leaves.
#include <algorithm>

#include "bench/bench.h"

namespace lsp {
namespace bench {
namespace {

// Of a sequence in training, and of the keys that a token being decoded sees.
constexpr int64_t kSequence = 256, kLongSequence = 2048, kKeys = 512;

// `sequences` sequences of `length` tokens, each with its own blocks.
struct Batch {
  const Geometry& g;
  int64_t sequences, length, blocks_each, t;
  Buffer q, y, dq, dk, dv, lse, storage;
  std::vector<float*> blocks;
  std::vector<int32_t> tables, slot_token;
  std::vector<int64_t> tree_segments;

  Batch(const Geometry& geometry, int64_t count, int64_t tokens)
      : g(geometry),
        sequences(count),
        length(tokens),
        blocks_each((tokens + kKvBlock - 1) / kKvBlock),
        t(count * tokens),
        q(filled(t * g.query_size())),
        y(t * g.query_size()),
        dq(t * g.query_size()),
        dk(t * g.kv_size()),
        dv(t * g.kv_size()),
        lse(t * g.heads),
        storage(filled(count * blocks_each * kv_layer_floats(g.kv_heads, g.head_size))) {
    for (int64_t i = 0; i < sequences * blocks_each; ++i) {
      blocks.push_back(storage.data() + i * kv_layer_floats(g.kv_heads, g.head_size));
      tables.push_back(static_cast<int32_t>(i));
      for (int64_t slot = 0; slot < kKvBlock; ++slot) {
        const int64_t position = i % blocks_each * kKvBlock + slot;
        slot_token.push_back(position < length ? static_cast<int32_t>(i / blocks_each * length + position)
                                               : -1);
      }
    }
    for (int64_t i = 0; i <= sequences; ++i) tree_segments.push_back(i);
  }
  AttentionBackward backward(const std::vector<AttentionSegment>& of) {
    AttentionBackward a{};
    a.dq = dq.data();
    a.dk = dk.data();
    a.dv = dv.data();
    a.dy = q.data();
    a.y = y.data();
    a.lse = lse.data();
    a.q = q.data();
    a.blocks = blocks.data();
    a.block_count = static_cast<int64_t>(blocks.size());
    a.segments = of.data();
    a.tree_segments = tree_segments.data();
    a.tree_count = sequences;
    a.slot_token = slot_token.data();
    a.t = t;
    a.heads = g.heads;
    a.kv_heads = g.kv_heads;
    a.head_size = g.head_size;
    return a;
  }
  // The last `count` tokens of each sequence.
  std::vector<AttentionSegment> segments(int64_t count) const {
    std::vector<AttentionSegment> out;
    for (int64_t i = 0; i < sequences; ++i)
      out.push_back({i * count, count, length - count, tables.data() + i * blocks_each});
    return out;
  }
};

void bench_sequences(Bencher& bencher, const char* kind, int64_t sequences, int64_t length) {
  const Geometry& g = bencher.geometry;
  Batch b(g, sequences, length);
  const std::vector<AttentionSegment> segments = b.segments(length);
  const double pairs = static_cast<double>(sequences * g.heads) * static_cast<double>(length) *
                       (static_cast<double>(length) + 1) / 2;
  const double bytes = 4.0 * static_cast<double>(b.t * 2 * (g.query_size() + g.kv_size()));
  const double head_size = static_cast<double>(g.head_size);
  const std::string name =
      std::string(kind) + " " + sizes({{"T", b.t}, {"sequences", sequences}, {"length", length}});
  bencher.run("forward " + name, 4 * head_size * pairs, bytes, [&] {
    bencher.kernels.attention->forward(
        bencher.exec, {b.y.data(), b.lse.data(), b.q.data(), b.blocks.data(), 0, segments.data(), sequences,
                       g.heads, g.kv_heads, g.head_size});
  });
  bencher.run("backward " + name, 10 * head_size * pairs, 2 * bytes,
              [&] { bencher.kernels.attention->backward(bencher.exec, b.backward(segments)); });
}

void bench_decoding(Bencher& bencher, int64_t sequences, int64_t length) {
  const Geometry& g = bencher.geometry;
  Batch b(g, sequences, length);
  const std::vector<AttentionSegment> segments = b.segments(1);
  const double keys = static_cast<double>(sequences * length),
               heads_size = static_cast<double>(g.query_size());
  bencher.run("decode " + sizes({{"T", sequences}, {"keys", length}}), 4 * heads_size * keys,
              4.0 * 2 * static_cast<double>(g.kv_size()) * keys, [&] {
                bencher.kernels.attention->forward(
                    bencher.exec, {b.y.data(), nullptr, b.q.data(), b.blocks.data(), 0, segments.data(),
                                   sequences, g.heads, g.kv_heads, g.head_size});
              });
}

void bench(Bencher& bencher) {
  for (const int64_t t : bencher.rows) {
    if (t < kTrainingRows) {
      bench_decoding(bencher, t, kKeys);
      continue;
    }
    if (t > kSequence) bench_sequences(bencher, "short", t / kSequence, kSequence);
    bench_sequences(bencher, "long", std::max<int64_t>(1, t / kLongSequence), std::min(t, kLongSequence));
  }
}

const Registration registration("attention", bench);

}  // namespace
}  // namespace bench
}  // namespace lsp
