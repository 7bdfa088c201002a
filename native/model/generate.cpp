#include "model/generate.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/philox.h"
#include "model/forward.h"
#include "model/prefill.h"
#include "model/scoring.h"

namespace lsp {

namespace {

struct Sequence {
  int32_t request;
  KvSequence cache;
  int32_t row = 0;  // of its hidden state among the rows to sample from
};

class Generator {
 public:
  Generator(Model& model, const std::vector<GenerateRequest>& requests, const GenerateOptions& options,
            const TokenSink& sink, Operation& operation)
      : model_(model),
        c_(model.config()),
        requests_(requests),
        options_(options),
        sink_(sink),
        operation_(operation),
        pool_(c_, cache_type(options.precision)),
        tree_(prompts_of(requests)),
        waiting_(tree_.order()),
        completions_(requests.size()),
        stopped_(requests.size(), false),
        activations_(c_, std::max(kPrefillTokens, options.max_batch), Keep::nothing) {}

  std::vector<Completion> run() {
    while (next_ < waiting_.size() || !active_.empty()) {
      operation_.poll();
      const size_t decoded = active_.size();
      admit();
      gather_hidden(decoded);
      sample_step();
      decode_step();
    }
    return std::move(completions_);
  }

 private:
  static std::vector<const std::vector<int32_t>*> prompts_of(const std::vector<GenerateRequest>& requests) {
    std::vector<const std::vector<int32_t>*> prompts;
    for (const GenerateRequest& request : requests) prompts.push_back(&request.prompt);
    return prompts;
  }

  // Fills free places with waiting requests. Their first token is sampled from the hidden state of their
  // prompt.
  void admit() {
    const size_t places = static_cast<size_t>(options_.max_batch) - active_.size();
    const size_t count = std::min(places, waiting_.size() - next_);
    std::vector<int32_t> nodes;
    for (size_t i = 0; i < count; ++i)
      nodes.push_back(tree_.end_of(static_cast<size_t>(waiting_[next_ + i])));
    prefill(model_, tree_, nodes, pool_, activations_, operation_, options_.precision);
    for (size_t i = 0; i < count; ++i) {
      const PromptNode& node = tree_[nodes[i]];
      active_.push_back({waiting_[next_ + i], node.cache.fork(pool_)});
      first_hidden_.push_back(node.hidden.data());
    }
    for (const int32_t node : nodes) tree_.admitted(node);
    next_ += count;
  }

  // Rows to sample from: the decoded sequences' hidden states, then those of prompts just admitted, each
  // prompt once.
  void gather_hidden(size_t decoded) {
    hidden_.resize(decoded * static_cast<size_t>(c_.hidden));
    std::vector<const float*> prompts;
    for (size_t i = 0; i < active_.size(); ++i) {
      if (i < decoded) {
        active_[i].row = static_cast<int32_t>(i);
        continue;
      }
      const float* hidden = first_hidden_[i - decoded];
      if (prompts.empty() || prompts.back() != hidden) {
        prompts.push_back(hidden);
        hidden_.insert(hidden_.end(), hidden, hidden + c_.hidden);
      }
      active_[i].row = static_cast<int32_t>(decoded + prompts.size() - 1);
    }
    first_hidden_.clear();
  }

  void sample_step() {
    const int64_t rows = static_cast<int64_t>(hidden_.size()) / c_.hidden;
    logits_.reserve(rows * c_.vocab);
    std::vector<float> lse(static_cast<size_t>(rows)), entropy(lse.size()), tempered(lse.size());
    const int head = model_.parameters().head();
    const bool rounded = options_.precision == Precision::int8;
    const float inverse_temperature = options_.temperature > 0.0f ? 1.0f / options_.temperature : 1.0f;
    const bool tempers = inverse_temperature != 1.0f;
    if (rounded) {
      model_.kernels().int8->head(
          model_.exec(),
          {lse.data(), entropy.data(), tempers ? tempered.data() : nullptr, logits_.data(), hidden_.data(),
           model_.int8().panels(head), rows, c_.hidden, c_.vocab, inverse_temperature});
    } else {
      model_.logprob().forward(model_.exec(),
                               {nullptr, lse.data(), entropy.data(), logits_.data(), hidden_.data(),
                                model_.panels(head), nullptr, rows, c_.hidden, c_.vocab, 1.0f});
    }
    const std::vector<int32_t> tokens = draw();
    for (const int request : operation_.take_finished()) {
      if (request >= 0 && static_cast<size_t>(request) < stopped_.size())
        stopped_[static_cast<size_t>(request)] = true;
    }
    std::vector<int32_t> sequences;
    std::vector<Sequence> kept;
    next_tokens_.clear();
    for (size_t i = 0; i < active_.size(); ++i) {
      Sequence& sequence = active_[i];
      const size_t row = static_cast<size_t>(sequence.row);
      LSP_CHECK(tokens[i] >= 0 && std::isfinite(lse[row]), "TRAINING_DIVERGED",
                "Expected finite logits but found NaN or infinity: the weights are broken.");
      Completion& completion = completions_[static_cast<size_t>(sequence.request)];
      completion.tokens.push_back(tokens[i]);
      const float logit = logits_.data()[static_cast<int64_t>(row) * c_.vocab + tokens[i]];
      completion.logprobs.push_back(logit - lse[row]);
      if (rounded)
        completion.sampled_logprobs.push_back(logit * inverse_temperature -
                                              (tempers ? tempered[row] : lse[row]));
      completion.entropies.push_back(entropy[row]);
      sequences.push_back(sequence.request);
      if (ended(sequence.request, tokens[i], completion)) continue;
      next_tokens_.push_back(tokens[i]);
      kept.push_back(std::move(sequence));
    }
    active_ = std::move(kept);
    if (sink_) sink_(sequences, tokens);
  }

  std::vector<int32_t> draw() {
    std::vector<SamplingRow> rows;
    std::vector<int32_t> tokens(active_.size());
    for (const Sequence& sequence : active_) {
      const size_t request = static_cast<size_t>(sequence.request);
      const int64_t position = static_cast<int64_t>(completions_[request].tokens.size());
      const bool too_short = position < options_.min_new_tokens;
      rows.push_back(
          {logits_.data() + sequence.row * c_.vocab,
           philox_uniform(options_.seed, requests_[request].stream, static_cast<uint64_t>(position)),
           options_.eos_ids.data(), too_short ? static_cast<int64_t>(options_.eos_ids.size()) : 0});
    }
    model_.kernels().sampling->sample(
        model_.exec(), {tokens.data(), rows.data(), static_cast<int64_t>(rows.size()), c_.vocab,
                        options_.temperature, options_.top_k, options_.top_p});
    return tokens;
  }

  bool ended(int32_t request, int32_t token, Completion& completion) {
    if (std::find(options_.eos_ids.begin(), options_.eos_ids.end(), token) != options_.eos_ids.end()) {
      completion.reason = FinishReason::eos;
    } else if (stopped_[static_cast<size_t>(request)]) {
      completion.reason = FinishReason::stop;
    } else if (static_cast<int64_t>(completion.tokens.size()) >= options_.max_new_tokens) {
      completion.reason = FinishReason::length;
    } else {
      return false;
    }
    return true;
  }

  void decode_step() {
    if (active_.empty()) return;
    CachedBatch batch(pool_);
    for (size_t i = 0; i < active_.size(); ++i) batch.append(active_[i].cache, &next_tokens_[i], 1);
    forward(model_, batch.finish(), activations_, operation_, options_.precision);
    hidden_.assign(activations_.hidden,
                   activations_.hidden + static_cast<int64_t>(active_.size()) * c_.hidden);
  }

  Model& model_;
  const ModelConfig& c_;
  const std::vector<GenerateRequest>& requests_;
  const GenerateOptions& options_;
  const TokenSink& sink_;
  Operation& operation_;
  KvPool pool_;
  PromptTree tree_;
  std::vector<int32_t> waiting_;  // requests in order of admission, from next_ on
  size_t next_ = 0;
  std::vector<Completion> completions_;
  std::vector<bool> stopped_;
  Activations activations_;
  std::vector<Sequence> active_;
  std::vector<int32_t> next_tokens_;        // of active_
  std::vector<const float*> first_hidden_;  // of those just admitted
  std::vector<float> hidden_;               // rows to sample from
  Buffer logits_;
};

void check_request(const ModelConfig& c, const GenerateRequest& request, const GenerateOptions& options) {
  check_tokens(c, request.prompt, "prompt");
  const int64_t total = static_cast<int64_t>(request.prompt.size()) + options.max_new_tokens - 1;
  LSP_CHECK(total <= c.max_positions, "PROMPT_TOO_LONG",
            "Expected prompt and completion to fit " + std::to_string(c.max_positions) +
                " positions but received " + std::to_string(request.prompt.size()) + " + " +
                std::to_string(options.max_new_tokens) + " tokens.");
}

}  // namespace

std::vector<Completion> generate(Model& model, const std::vector<GenerateRequest>& requests,
                                 const GenerateOptions& options, const TokenSink& sink,
                                 Operation& operation) {
  model.check_language_model();
  LSP_CHECK(options.max_new_tokens >= 1, "INVALID_ARGUMENT", "Expected at least 1 for `maxNewTokens`.");
  LSP_CHECK(options.max_batch >= 1 && options.max_batch <= 4096, "INVALID_ARGUMENT",
            "Expected 1 to 4096 for `maxBatch`.");
  LSP_CHECK(
      options.temperature >= 0.0f && options.top_p > 0.0f && options.top_p <= 1.0f && options.top_k >= 0,
      "INVALID_ARGUMENT", "Expected a temperature of at least 0, top-p in (0, 1] and top-k of at least 0.");
  for (const GenerateRequest& request : requests) check_request(model.config(), request, options);
  if (requests.empty()) return {};
  if (options.precision == Precision::int8) model.int8().refresh(model, operation);
  return Generator(model, requests, options, sink, operation).run();
}

}  // namespace lsp
