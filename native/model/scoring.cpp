#include "model/scoring.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "model/forward.h"
#include "model/kv_cache.h"
#include "model/prefill.h"

namespace lsp {

namespace {

// Tokens computed together: enough rows to reuse each weight from cache, little enough memory.
constexpr int64_t kBatchTokens = 1024;

// Prompts whose next token is scored together: so many rows of logits exist at a time.
constexpr int64_t kScoredTogether = 32;

// A forest in which each sequence shares the prefix it has in common with the one before it.
class SharedForest {
 public:
  // Row of every input token of the sequence; `tokens` are inputs only.
  std::vector<int32_t> add(const int32_t* tokens, int64_t count) {
    int64_t common = 0;
    while (common < count && common < static_cast<int64_t>(path_.size()) &&
           ids[static_cast<size_t>(path_[static_cast<size_t>(common)])] == tokens[common]) {
      ++common;
    }
    path_.resize(static_cast<size_t>(common));
    for (int64_t i = common; i < count; ++i) {
      parents.push_back(path_.empty() ? -1 : path_.back());
      path_.push_back(static_cast<int32_t>(ids.size()));
      ids.push_back(tokens[i]);
    }
    return path_;
  }
  int64_t tokens() const { return static_cast<int64_t>(ids.size()); }

  std::vector<int32_t> ids, parents;

 private:
  std::vector<int32_t> path_;
};

// Runs the forest and copies the hidden states of `rows`.
std::vector<float> hidden_rows(Model& model, const SharedForest& forest, const std::vector<int32_t>& rows,
                               const Operation& operation) {
  const ModelConfig& c = model.config();
  const std::vector<TokenRun> runs = runs_of(forest.parents);
  Buffer storage(run_blocks(runs) * kv_block_floats(c));
  const TokenBatch batch = layout_runs(forest.ids, runs, nullptr, storage.data(), kv_block_floats(c));
  Activations activations(c, forest.tokens(), Keep::nothing);
  forward(model, batch, activations, operation);
  std::vector<float> hidden(rows.size() * static_cast<size_t>(c.hidden));
  for (size_t i = 0; i < rows.size(); ++i) {
    std::memcpy(hidden.data() + i * static_cast<size_t>(c.hidden), activations.hidden + rows[i] * c.hidden,
                static_cast<size_t>(c.hidden) * sizeof(float));
  }
  return hidden;
}

// Sequences [first, last) whose new tokens fill one batch.
template <class Sequences, class Run>
void for_batches(const Sequences& sequences, const Run& run) {
  for (size_t first = 0; first < sequences.size();) {
    SharedForest forest;
    std::vector<std::vector<int32_t>> paths;
    size_t last = first;
    int64_t inputs = 0;
    while (last < sequences.size() &&
           (last == first || (forest.tokens() < kBatchTokens && inputs < 4 * kBatchTokens))) {
      inputs += static_cast<int64_t>(sequences[last].size());
      paths.push_back(forest.add(sequences[last].data(), static_cast<int64_t>(sequences[last].size())));
      ++last;
    }
    run(first, forest, paths);
    first = last;
  }
}

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

std::vector<SequenceScores> score_sequences(Model& model, const std::vector<std::vector<int32_t>>& sequences,
                                            float temperature, const Operation& operation) {
  const ModelConfig& c = model.config();
  model.check_language_model();
  std::vector<std::vector<int32_t>> inputs;
  for (const std::vector<int32_t>& sequence : sequences) {
    check_tokens(c, sequence, "sequences");
    inputs.emplace_back(sequence.begin(), sequence.end() - 1);
  }
  std::vector<SequenceScores> results(sequences.size());
  for_batches(
      inputs, [&](size_t first, const SharedForest& forest, const std::vector<std::vector<int32_t>>& paths) {
        // Rows of the head: one per (input row, next token), shared by sequences that agree on both.
        std::vector<int32_t> rows, targets;
        std::vector<std::vector<int32_t>> row_of(paths.size());
        for (size_t i = 0; i < paths.size(); ++i) {
          for (size_t t = 0; t < paths[i].size(); ++t) {
            const int32_t target = sequences[first + i][t + 1];
            const bool same = i > 0 && t < paths[i - 1].size() && paths[i - 1][t] == paths[i][t] &&
                              sequences[first + i - 1][t + 1] == target;
            if (same) {
              row_of[i].push_back(row_of[i - 1][t]);
              continue;
            }
            row_of[i].push_back(static_cast<int32_t>(rows.size()));
            rows.push_back(paths[i][t]);
            targets.push_back(target);
          }
        }
        std::vector<float> logprobs(rows.size()), entropies(rows.size());
        if (!rows.empty()) {
          const std::vector<float> hidden = hidden_rows(model, forest, rows, operation);
          operation.poll();
          model.kernels().logprob->forward(
              model.exec(), {logprobs.data(), nullptr, entropies.data(), nullptr, hidden.data(),
                             model.panels(model.parameters().head()), targets.data(),
                             static_cast<int64_t>(rows.size()), c.hidden, c.vocab, 1.0f / temperature});
        }
        for (size_t i = 0; i < paths.size(); ++i) {
          for (const int32_t row : row_of[i]) {
            results[first + i].logprobs.push_back(logprobs[static_cast<size_t>(row)]);
            results[first + i].entropies.push_back(entropies[static_cast<size_t>(row)]);
          }
        }
      });
  return results;
}

namespace {

// The hidden states of the last tokens, some prompts at a time: run(indices of the prompts, hidden (rows,
// C)).
template <class Run>
void for_last_hidden(Model& model, const std::vector<std::vector<int32_t>>& prompts,
                     const Operation& operation, const Run& run) {
  std::vector<const std::vector<int32_t>*> pointers;
  for (const std::vector<int32_t>& prompt : prompts) pointers.push_back(&prompt);
  PromptTree tree(pointers);
  const std::vector<int32_t> order = tree.order();
  Activations activations(model.config(), kPrefillTokens, Keep::nothing);
  for (size_t begin = 0; begin < order.size(); begin += kScoredTogether) {
    const size_t end = std::min<size_t>(begin + kScoredTogether, order.size());
    const std::vector<int32_t> indices(order.begin() + static_cast<int64_t>(begin),
                                       order.begin() + static_cast<int64_t>(end));
    std::vector<int32_t> nodes;
    for (const int32_t index : indices) nodes.push_back(tree.end_of(static_cast<size_t>(index)));
    prefill(model, tree, nodes, activations, operation);
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
                    model.kernels().logprob->forward(
                        model.exec(), {nullptr, lse.data(), nullptr, logits.data(), hidden.data(),
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
        model.kernels().linear->forward(model.exec(), {&part, 1, hidden.data(), c.hidden, rows, c.hidden});
        for (int64_t i = 0; i < rows; ++i) {
          results[static_cast<size_t>(indices[static_cast<size_t>(i)])].assign(
              scores.begin() + i * labels, scores.begin() + (i + 1) * labels);
        }
      });
  return results;
}

}  // namespace lsp
