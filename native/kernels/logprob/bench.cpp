// The LM head: logits for sampling a few rows, log-probabilities and their gradient for
// training rows.
#include "bench/bench.h"

namespace lsp {
namespace bench {
namespace {

void bench(Bencher& bencher) {
  const int64_t c = bencher.geometry.hidden, v = bencher.geometry.vocab;
  Buffer weight = filled(panel_floats(v, c)), dweight(panel_floats(v, c));
  for (const int64_t t : bencher.rows) {
    Buffer hidden = filled(t * c), logprob(t), lse(t), entropy(t), dlogprob = filled(t), dhidden(t * c);
    std::vector<int32_t> targets(t, 17);
    const double flops = 2.0 * static_cast<double>(t * c * v),
                 bytes = 4.0 * static_cast<double>(c * v + t * c);
    const LogprobForward forward{logprob.data(),
                                 lse.data(),
                                 entropy.data(),
                                 nullptr,
                                 hidden.data(),
                                 weight.data(),
                                 targets.data(),
                                 t,
                                 c,
                                 v,
                                 1.0f};
    bencher.run("forward " + sizes({{"T", t}, {"C", c}, {"V", v}}), flops, bytes,
                [&] { bencher.kernels.logprob->forward(bencher.exec, forward); });
    if (t < kTrainingRows) {
      Buffer logits(t * v);
      LogprobForward with_logits = forward;
      with_logits.logits = logits.data();
      bencher.run("forward with logits " + sizes({{"T", t}}), flops, bytes + 4.0 * static_cast<double>(t * v),
                  [&] { bencher.kernels.logprob->forward(bencher.exec, with_logits); });
      continue;
    }
    // Logits again, dhidden and dweight.
    bencher.run("backward " + sizes({{"T", t}, {"C", c}, {"V", v}}), 3 * flops, 4 * bytes, [&] {
      bencher.kernels.logprob->backward(
          bencher.exec, {dhidden.data(), dweight.data(), dlogprob.data(), lse.data(), hidden.data(),
                         weight.data(), targets.data(), t, c, v, 1.0f, 0, v});
    });
  }
}

const Registration registration("logprob", bench);

}  // namespace
}  // namespace bench
}  // namespace lsp
