// attention on SmolLM2-135M's heads: whole sequences as in training and prefill, and one token for each of a
// batch of sequences as in decoding. Flops count the pairs that causality leaves.
#include "bench/bench.h"

namespace lsp {
namespace bench {
namespace {

constexpr int64_t kHeads = 9, kKvHeads = 3, kHeadSize = 64;

// `sequences` sequences of `length` tokens, each with its own blocks.
struct Batch {
  int64_t sequences, length, blocks_each, t;
  Buffer q, y, dq, dk, dv, lse, storage;
  std::vector<float*> blocks;
  std::vector<int32_t> tables, slot_token;
  std::vector<int64_t> tree_segments;

  Batch(int64_t count, int64_t tokens)
      : sequences(count),
        length(tokens),
        blocks_each((tokens + kKvBlock - 1) / kKvBlock),
        t(count * tokens),
        q(filled(t * kHeads * kHeadSize)),
        y(t * kHeads * kHeadSize),
        dq(t * kHeads * kHeadSize),
        dk(t * kKvHeads * kHeadSize),
        dv(t * kKvHeads * kHeadSize),
        lse(t * kHeads),
        storage(filled(count * blocks_each * kv_layer_floats(kKvHeads, kHeadSize))) {
    for (int64_t i = 0; i < sequences * blocks_each; ++i) {
      blocks.push_back(storage.data() + i * kv_layer_floats(kKvHeads, kHeadSize));
      tables.push_back(static_cast<int32_t>(i));
      for (int64_t slot = 0; slot < kKvBlock; ++slot) {
        const int64_t position = i % blocks_each * kKvBlock + slot;
        slot_token.push_back(position < length ? static_cast<int32_t>(i / blocks_each * length + position)
                                               : -1);
      }
    }
    for (int64_t i = 0; i <= sequences; ++i) tree_segments.push_back(i);
  }
  AttentionBackward backward(const std::vector<AttentionSegment>& segments) {
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
    a.segments = segments.data();
    a.tree_segments = tree_segments.data();
    a.tree_count = sequences;
    a.slot_token = slot_token.data();
    a.t = t;
    a.heads = kHeads;
    a.kv_heads = kKvHeads;
    a.head_size = kHeadSize;
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

void bench_sequences(Bencher& bencher, int64_t sequences, int64_t length) {
  Batch b(sequences, length);
  const std::vector<AttentionSegment> segments = b.segments(length);
  const double pairs = static_cast<double>(sequences * kHeads) * static_cast<double>(length) *
                       (static_cast<double>(length) + 1) / 2;
  const double bytes = 4.0 * static_cast<double>(b.t * kHeadSize) * (2 * kHeads + 2 * kKvHeads);
  const std::string name = std::to_string(sequences) + " sequences of " + std::to_string(length);
  bencher.run("forward " + name, 4 * kHeadSize * pairs, bytes, [&] {
    bencher.kernels.attention->forward(
        bencher.exec, {b.y.data(), b.lse.data(), b.q.data(), b.blocks.data(), 0, segments.data(), sequences,
                       kHeads, kKvHeads, kHeadSize});
  });
  bencher.run("backward " + name, 10 * kHeadSize * pairs, 2 * bytes,
              [&] { bencher.kernels.attention->backward(bencher.exec, b.backward(segments)); });
}

void bench_decoding(Bencher& bencher, int64_t sequences, int64_t length) {
  Batch b(sequences, length);
  const std::vector<AttentionSegment> segments = b.segments(1);
  const double keys = static_cast<double>(sequences * length);
  bencher.run("decoding " + std::to_string(sequences) + " rows, " + std::to_string(length) + " keys each",
              4.0 * kHeadSize * kHeads * keys, 4.0 * 2 * kHeadSize * kKvHeads * keys, [&] {
                bencher.kernels.attention->forward(
                    bencher.exec, {b.y.data(), nullptr, b.q.data(), b.blocks.data(), 0, segments.data(),
                                   sequences, kHeads, kKvHeads, kHeadSize});
              });
}

void bench(Bencher& bencher) {
  bench_decoding(bencher, 1, 512);
  bench_decoding(bencher, 8, 512);
  bench_decoding(bencher, 32, 512);
  bench_sequences(bencher, 8, 64);
  bench_sequences(bencher, 8, 256);
  bench_sequences(bencher, 2, 1024);
}

const Registration registration("attention", bench);

}  // namespace
}  // namespace bench
}  // namespace lsp
