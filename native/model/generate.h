// Sampling completions: ragged batches over a shared key/value cache.
//
// Common prefixes of the prompts form a tree whose nodes are prefilled once. Sequences leave the batch when
// they end and waiting ones enter at the next step. What a sequence samples depends on its prompt, seed,
// stream and options alone.
#pragma once

#include <functional>
#include <vector>

#include "model/model.h"

namespace lsp {

struct GenerateRequest {
  std::vector<int32_t> prompt;
  uint64_t stream = 0;  // random stream: draws depend on (seed, stream, position)
};

struct GenerateOptions {
  float temperature = 1.0f;  // 0 is greedy
  int64_t top_k = 0;         // 0 is off
  float top_p = 1.0f;        // 1 is off
  int64_t min_new_tokens = 0;
  int64_t max_new_tokens = 256;
  uint64_t seed = 0;
  std::vector<int32_t> eos_ids;
  int64_t max_batch = 64;  // sequences decoded together
  Precision precision = Precision::exact;
};

enum class FinishReason { eos, stop, length };

struct Completion {
  std::vector<int32_t> tokens;          // with the EOS that ended it
  std::vector<float> logprobs;          // at temperature 1, of the distribution that was sampled from
  std::vector<float> entropies;         // nats, at temperature 1
  std::vector<float> sampled_logprobs;  // in int8: at the temperature of the sampling, 1 where that is greedy
  FinishReason reason = FinishReason::length;
};

// Called once per step, on the calling thread, with the tokens just sampled: parallel arrays.
using TokenSink =
    std::function<void(const std::vector<int32_t>& sequences, const std::vector<int32_t>& tokens)>;

// operation.finish(i) ends request i with FinishReason::stop at its next token.
std::vector<Completion> generate(Model& model, const std::vector<GenerateRequest>& requests,
                                 const GenerateOptions& options, const TokenSink& sink, Operation& operation);

}  // namespace lsp
