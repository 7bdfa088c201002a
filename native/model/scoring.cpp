#include "model/scoring.h"

#include <algorithm>

#include "model/prefill.h"

namespace lsp {

namespace {

// Tokens computed together: enough rows to reuse each weight from cache, little enough memory.
constexpr int64_t kBatchTokens = 2048;

// Prompts whose next token is scored together: so many rows of logits exist at a time.
constexpr int64_t kScoredTogether = 32;

// Scoring in int8 leaves the copy of the weights as it found it: one that sampling made stays for sampling;
// one that it made itself, of a reference that waits for the next step, is given back.
class Int8Loan {
 public:
  explicit Int8Loan(Model& model) : model_(model), is_own_(model.int8().bytes() == 0) {}
  ~Int8Loan() {
    if (is_own_) model_.int8().clear();
  }

 private:
  Model& model_;
  const bool is_own_;
};

}  // namespace

void check_tokens(const ModelConfig& config, const std::vector<int32_t>& tokens, const char* name) {
  LSP_CHECK(!tokens.empty(), "INVALID_ARGUMENT",
            std::string("Expected at least one token in `") + name + "`.");
  LSP_CHECK(static_cast<int64_t>(tokens.size()) <= config.max_positions, "PROMPT_TOO_LONG",
            std::string("Expected at most ") + std::to_string(config.max_positions) + " tokens in `" + name +
                "` but received " + std::to_string(tokens.size()) + ".");
  for (const int32_t id : tokens) {
    LSP_CHECK(id >= 0 && id < config.vocab, "INVALID_ARGUMENT",
              std::string("Expected token ids below ") + std::to_string(config.vocab) + " in `" + name +
                  "` but received " + std::to_string(id) + ".");
  }
}

std::vector<SequenceScores> score_sequences(Model& model, const std::vector<TrainSequence>& sequences,
                                            float temperature, const Operation& operation,
                                            Precision precision) {
  model.check_language_model();
  for (const TrainSequence& sequence : sequences) {
    check_tokens(model.config(), sequence.tokens, "sequences");
    LSP_CHECK(
        sequence.prompt_length >= 1 && sequence.prompt_length <= static_cast<int64_t>(sequence.tokens.size()),
        "INVALID_ARGUMENT", "Expected prompts of at least one token, no longer than their sequences.");
  }
  const Int8Loan loan(model);
  if (precision == Precision::int8) model.int8().refresh(model, operation);
  return run_tree(model, sequences, nullptr, nullptr, {kBatchTokens, temperature, Keep::nothing, precision},
                  operation);
}

namespace {

// The hidden states of the last tokens, some prompts at a time: run(indices of the prompts, hidden (rows,
// C)).
template <class Run>
void for_last_hidden(Model& model, const std::vector<std::vector<int32_t>>& prompts,
                     const Operation& operation, const Run& run) {
  std::vector<const std::vector<int32_t>*> pointers;
  for (const std::vector<int32_t>& prompt : prompts) pointers.push_back(&prompt);
  KvPool pool(model.config());
  PromptTree tree(pointers);
  const std::vector<int32_t> order = tree.order();
  Activations activations(model.config(), kPrefillTokens, Keep::nothing);
  for (size_t begin = 0; begin < order.size(); begin += kScoredTogether) {
    const size_t end = std::min<size_t>(begin + kScoredTogether, order.size());
    const std::vector<int32_t> indices(order.begin() + static_cast<int64_t>(begin),
                                       order.begin() + static_cast<int64_t>(end));
    std::vector<int32_t> nodes;
    for (const int32_t index : indices) nodes.push_back(tree.end_of(static_cast<size_t>(index)));
    prefill(model, tree, nodes, pool, activations, operation);
    std::vector<float> hidden;
    for (const int32_t node : nodes)
      hidden.insert(hidden.end(), tree[node].hidden.begin(), tree[node].hidden.end());
    for (const int32_t node : nodes) tree.admitted(node);
    operation.poll();
    run(indices, hidden);
  }
}

}  // namespace

std::vector<std::vector<float>> score_next(Model& model, const std::vector<std::vector<int32_t>>& prompts,
                                           const std::vector<int32_t>& candidates,
                                           const Operation& operation) {
  const ModelConfig& c = model.config();
  model.check_language_model();
  for (const std::vector<int32_t>& prompt : prompts) check_tokens(c, prompt, "prompts");
  for (const int32_t candidate : candidates) {
    LSP_CHECK(candidate >= 0 && candidate < c.vocab, "INVALID_ARGUMENT",
              "Expected token ids in `candidates`.");
  }
  Buffer logits(kScoredTogether * c.vocab);
  std::vector<std::vector<float>> results(prompts.size());
  for_last_hidden(model, prompts, operation,
                  [&](const std::vector<int32_t>& indices, const std::vector<float>& hidden) {
                    std::vector<float> lse(indices.size());
                    model.logprob().forward(model.exec(),
                                            {nullptr, lse.data(), nullptr, logits.data(), hidden.data(),
                                             model.panels(model.parameters().head()), nullptr,
                                             static_cast<int64_t>(indices.size()), c.hidden, c.vocab, 1.0f});
                    for (size_t i = 0; i < indices.size(); ++i) {
                      for (const int32_t candidate : candidates) {
                        results[static_cast<size_t>(indices[i])].push_back(
                            logits.data()[static_cast<int64_t>(i) * c.vocab + candidate] - lse[i]);
                      }
                    }
                  });
  return results;
}

std::vector<std::vector<float>> score_last(Model& model, const std::vector<std::vector<int32_t>>& sequences,
                                           const Operation& operation) {
  const ModelConfig& c = model.config();
  model.check_loaded();
  LSP_CHECK(c.score_labels > 0, "INVALID_ARGUMENT",
            "Expected a model with a scoring head but this one has a language-model head.");
  for (const std::vector<int32_t>& sequence : sequences) check_tokens(c, sequence, "sequences");
  std::vector<std::vector<float>> results(sequences.size());
  for_last_hidden(
      model, sequences, operation,
      [&](const std::vector<int32_t>& indices, const std::vector<float>& hidden) {
        const int64_t rows = static_cast<int64_t>(indices.size()), labels = c.score_labels;
        std::vector<float> scores(static_cast<size_t>(rows * labels));
        const LinearPart part{model.panels(model.parameters().head()), labels, scores.data(), labels};
        model.linear().forward(model.exec(), {&part, 1, hidden.data(), c.hidden, rows, c.hidden});
        for (int64_t i = 0; i < rows; ++i) {
          results[static_cast<size_t>(indices[static_cast<size_t>(i)])].assign(
              scores.begin() + i * labels, scores.begin() + (i + 1) * labels);
        }
      });
  return results;
}

}  // namespace lsp
