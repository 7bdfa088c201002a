// The LM head: logits for sampling a few rows, log-probabilities and their gradient for
// training rows.
#include "bench/bench.h"

namespace lsp {
namespace bench {
namespace {

// The head is the widest product of all, so that a micro-batch of few rows trains it too.
constexpr int64_t kHeadTrainingRows = 32;

void bench(Bencher& bencher) {
  const int64_t c = bencher.geometry.hidden, v = bencher.geometry.vocab;
  const int64_t floats = panel_floats(v, c), copies = cold_copies(floats);
  Buffer weights = filled(copies * floats), dweight(floats);
  int64_t copy = 0;
  for (const int64_t t : bencher.rows) {
    Buffer hidden = filled(t * c), logprob(t), lse(t), entropy(t), dlogprob = filled(t), dhidden(t * c);
    std::vector<int32_t> targets(t, 17);
    const double flops = 2.0 * static_cast<double>(t * c * v),
                 bytes = 4.0 * static_cast<double>(c * v + t * c);
    const auto weight = [&] { return weights.data() + copy++ % copies * floats; };
    const auto forward = [&](float* logits) {
      bencher.kernels.logprob->forward(
          bencher.exec, {logprob.data(), lse.data(), entropy.data(), logits, hidden.data(), weight(),
                         targets.data(), t, c, v, 1.0f});
    };
    bencher.run("forward " + sizes({{"T", t}, {"C", c}, {"V", v}}), flops, bytes, [&] { forward(nullptr); });
    if (t < kTrainingRows) {
      Buffer logits(t * v);
      bencher.run("forward with logits " + sizes({{"T", t}}), flops, bytes + 4.0 * static_cast<double>(t * v),
                  [&] { forward(logits.data()); });
    }
    if (t < kHeadTrainingRows) continue;
    // Logits again, dhidden and dweight.
    bencher.run("backward " + sizes({{"T", t}, {"C", c}, {"V", v}}), 3 * flops, 4 * bytes, [&] {
      bencher.kernels.logprob->backward(
          bencher.exec, {dhidden.data(), dweight.data(), dlogprob.data(), lse.data(), hidden.data(), weight(),
                         targets.data(), t, c, v, 1.0f, 0, v});
    });
  }
}

const Registration registration("logprob", bench);

}  // namespace
}  // namespace bench
}  // namespace lsp
