#include "kernels/logprob/reference.h"

#include <algorithm>

namespace lsp {
namespace reference {

Logprob logprob_forward(const float* hidden, const float* weight, const int32_t* targets, int64_t t,
                        int64_t c, int64_t v, double inverse_temperature) {
  Logprob out{Expected(t), Expected(t), Expected(t), Expected(t * v), 0};
  for (int64_t row = 0; row < t; ++row) {
    double top = -INFINITY, sum = 0;
    for (int64_t token = 0; token < v; ++token) {
      double logit = 0, size = 0;
      for (int64_t i = 0; i < c; ++i) {
        const double term = static_cast<double>(hidden[row * c + i]) * weight[token * c + i];
        logit += term;
        size += std::fabs(term);
      }
      out.logits.set(row * v + token, logit, size);
      out.largest_logit = std::max(out.largest_logit, size * inverse_temperature);
      top = std::max(top, logit * inverse_temperature);
    }
    const double* logits = out.logits.value.data() + row * v;
    for (int64_t token = 0; token < v; ++token) sum += std::exp(logits[token] * inverse_temperature - top);
    const double lse = top + std::log(sum), z = logits[targets[row]] * inverse_temperature;
    double entropy = 0, size = 0;
    for (int64_t token = 0; token < v; ++token) {
      const double logprob = logits[token] * inverse_temperature - lse;
      entropy -= std::exp(logprob) * logprob;
      size += std::exp(logprob) * std::fabs(logprob);
    }
    // The rounding errors of differences are those of what is subtracted.
    out.lse.set(row, lse, std::fabs(lse) + 1);
    out.logprob.set(row, z - lse, std::fabs(z) + std::fabs(lse) + 1);
    out.entropy.set(row, entropy, size + std::fabs(lse - top) + 1);
  }
  return out;
}

// dz = dlogprob (1[target] - p), dhidden = dz weight / temperature, dweight = dz^T hidden / temperature.
LogprobGradients logprob_backward(const float* dlogprob, const float* hidden, const float* weight,
                                  const float* dweight, const int32_t* targets, int64_t t, int64_t c,
                                  int64_t v, double inverse_temperature) {
  LogprobGradients out{Expected(t * c), Expected(v * c)};
  const Logprob forward = logprob_forward(hidden, weight, targets, t, c, v, inverse_temperature);
  for (int64_t i = 0; i < v * c; ++i) out.dweight.add(i, dweight[i]);
  for (int64_t row = 0; row < t; ++row)
    for (int64_t token = 0; token < v; ++token) {
      const double p =
          std::exp(forward.logits.value[row * v + token] * inverse_temperature - forward.lse.value[row]);
      const double one = token == targets[row] ? 1 : 0;
      const double dz = dlogprob[row] * inverse_temperature * (one - p);
      const double size = std::fabs(dlogprob[row]) * inverse_temperature * (one + p);
      for (int64_t i = 0; i < c; ++i) {
        const double w = weight[token * c + i], h = hidden[row * c + i];
        out.dhidden.add(row * c + i, dz * w, size * std::fabs(w));
        out.dweight.add(token * c + i, dz * h, size * std::fabs(h));
      }
    }
  return out;
}

}  // namespace reference
}  // namespace lsp
