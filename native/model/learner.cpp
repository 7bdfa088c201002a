#include "model/learner.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "model/kv_cache.h"
#include "model/scoring.h"

namespace lsp {

namespace {

// Rows of the head's forward pass and columns of its backward pass between two polls: about the work of a
// layer.
constexpr int64_t kHeadRows = 256;
constexpr int64_t kHeadColumns = 8 * kVocabChunk;

// A step's bias corrections: 1 - beta^step by repeated multiplication, the same bits on every machine.
double power(double base, int64_t exponent) {
  double result = 1.0;
  for (double factor = base; exponent > 0; exponent >>= 1, factor *= factor) {
    if (exponent & 1) result *= factor;
  }
  return result;
}

// Kernels' scratch is large in training; sampling should not carry it.
struct ScratchRelease {
  explicit ScratchRelease(Exec& e) : exec(e) {}
  ~ScratchRelease() { exec.release(); }
  Exec& exec;
};

int64_t input_tokens(const TrainSequence& sequence) {
  return static_cast<int64_t>(sequence.tokens.size()) - 1;
}

}  // namespace

Learner::Learner(Model& model, int64_t activation_bytes)
    : model_(model),
      activation_bytes_(activation_bytes),
      gradients_(model),
      adapter_generation_(model.adapter_generation()) {
  model.check_language_model();
  LSP_CHECK(model.weight_type() == WeightType::f32 || model.parameters().adapter() != nullptr,
            "INVALID_ARGUMENT",
            "Expected a model with weights in f32 but this one holds them in bf16, frozen.");
}

int64_t Learner::activation_bytes_per_token(const ModelConfig& c) {
  const int64_t cache = c.layers * kv_layer_floats(c.kv_heads, c.head_size) / kKvBlock;
  // Hidden states of scored rows and their gradients, and two columns blocks of logit gradients
  // (kernels/logprob).
  const int64_t head = 3 * c.hidden + 2 * 1024;
  return 4 * (Activations::floats_per_token(c, true) + BackwardScratch::floats_per_token(c) + cache + head);
}

void Learner::check_adapter() const {
  LSP_CHECK(model_.adapter_generation() == adapter_generation_, "INVALID_ARGUMENT",
            "Expected the adapter that this learner was made for but the model has another one, or none.");
}

std::vector<int> Learner::trained() const {
  std::vector<int> indices;
  for (int i = 0; i < model_.parameters().count(); ++i)
    if (model_.parameters().trains(i)) indices.push_back(i);
  return indices;
}

int64_t Learner::bytes() const {
  const ParameterList& parameters = model_.parameters();
  if (model_.adapter_generation() != adapter_generation_) return 0;
  int64_t floats = 0, inputs = 0;
  for (const int i : trained()) floats += parameters[i].stored_floats();
  if (parameters.head() == parameters.embedding() && parameters.trains(parameters.embedding()))
    inputs = parameters[parameters.embedding()].stored_floats();  // a tied gradient is kept in two parts
  return 4 * (floats + inputs + (m_.empty() ? 0 : 2 * floats));
}

void Learner::check(const std::vector<TrainSequence>& sequences, float temperature) const {
  check_adapter();
  LSP_CHECK(temperature > 0.0f, "INVALID_ARGUMENT", "Expected a temperature above 0 in training.");
  for (const TrainSequence& sequence : sequences) {
    check_tokens(model_.config(), sequence.tokens, "sequence");
    LSP_CHECK(
        sequence.prompt_length >= 1 && sequence.prompt_length < static_cast<int64_t>(sequence.tokens.size()),
        "INVALID_ARGUMENT", "Expected a prompt and a completion of at least one token each.");
  }
}

// Whole sequences in the given order, as many as the budget holds.
std::vector<Learner::MicroBatch> Learner::cut(const std::vector<TrainSequence>& sequences) const {
  const int64_t capacity = activation_bytes_ / activation_bytes_per_token(model_.config());
  std::vector<MicroBatch> batches;
  int64_t tokens = 0;
  for (size_t i = 0; i < sequences.size(); ++i) {
    const int64_t more = input_tokens(sequences[i]);
    if (batches.empty() || tokens + more > capacity) {
      batches.push_back({i, i});
      tokens = 0;
    }
    batches.back().last = i + 1;
    tokens += more;
  }
  return batches;
}

// A micro-batch: sequences one after another, each a tree of its own, and the rows whose successor is scored.
struct Learner::Packed {
  std::vector<int32_t> ids, parents, rows, targets;

  Packed(const std::vector<TrainSequence>& sequences, MicroBatch range) {
    for (size_t i = range.first; i < range.last; ++i) {
      const TrainSequence& sequence = sequences[i];
      for (int64_t t = 0; t < input_tokens(sequence); ++t) {
        parents.push_back(t == 0 ? -1 : static_cast<int32_t>(ids.size()) - 1);
        if (t + 1 >= sequence.prompt_length) {
          rows.push_back(static_cast<int32_t>(ids.size()));
          targets.push_back(sequence.tokens[static_cast<size_t>(t + 1)]);
        }
        ids.push_back(sequence.tokens[static_cast<size_t>(t)]);
      }
    }
  }
  int64_t tokens() const { return static_cast<int64_t>(ids.size()); }
  int64_t scored() const { return static_cast<int64_t>(rows.size()); }
};

// Memory for the largest micro-batch, used by one after another.
struct Learner::Workspace {
  Buffer cache, hidden, dhidden_rows, dhidden;
  Activations activations;
  BackwardScratch scratch;

  Workspace(const ModelConfig& c, const std::vector<TrainSequence>& sequences,
            const std::vector<MicroBatch>& batches, bool train)
      : Workspace(c, measure(sequences, batches), train) {}

 private:
  struct Sizes {
    int64_t tokens = 0, scored = 0, blocks = 0;
  };
  static Sizes measure(const std::vector<TrainSequence>& sequences, const std::vector<MicroBatch>& batches) {
    Sizes sizes;
    for (const MicroBatch& range : batches) {
      const Packed packed(sequences, range);
      sizes.tokens = std::max(sizes.tokens, packed.tokens());
      sizes.scored = std::max(sizes.scored, packed.scored());
      sizes.blocks = std::max(sizes.blocks, forest_blocks(packed.parents));
    }
    return sizes;
  }
  Workspace(const ModelConfig& c, Sizes sizes, bool train)
      : cache(sizes.blocks * kv_block_floats(c)),
        hidden(sizes.scored * c.hidden),
        dhidden_rows(train ? sizes.scored * c.hidden : 0),
        dhidden(train ? sizes.tokens * c.hidden : 0),
        activations(c, sizes.tokens, train),
        scratch(c, train ? sizes.tokens : 0) {}
};

std::vector<float> Learner::forward_scores(const Packed& packed, const TokenBatch& batch, float temperature,
                                           const Operation& operation, Workspace& w,
                                           std::vector<float>& lse) {
  const ModelConfig& c = model_.config();
  forward(model_, batch, w.activations, operation);
  for (int64_t i = 0; i < packed.scored(); ++i) {
    std::memcpy(w.hidden.data() + i * c.hidden,
                w.activations.hidden + packed.rows[static_cast<size_t>(i)] * c.hidden,
                static_cast<size_t>(c.hidden) * sizeof(float));
  }
  std::vector<float> scores(packed.rows.size());
  lse.resize(packed.rows.size());
  for (int64_t first = 0; first < packed.scored(); first += kHeadRows) {
    operation.poll();
    model_.kernels().logprob->forward(
        model_.exec(),
        {scores.data() + first, lse.data() + first, nullptr, nullptr, w.hidden.data() + first * c.hidden,
         model_.panels(model_.parameters().head()), packed.targets.data() + first,
         std::min(kHeadRows, packed.scored() - first), c.hidden, c.vocab, 1.0f / temperature});
  }
  return scores;
}

void Learner::backward_scores(const Packed& packed, const TokenBatch& batch,
                              const std::vector<float>& upstream, const std::vector<float>& lse,
                              float temperature, const Operation& operation, Workspace& w) {
  const ModelConfig& c = model_.config();
  const int head = model_.parameters().head();
  for (int64_t first = 0; first < c.vocab; first += kHeadColumns) {
    operation.poll();
    gradients_.mark_touched();
    model_.kernels().logprob->backward(
        model_.exec(),
        {w.dhidden_rows.data(), gradients_.of(head), upstream.data(), lse.data(), w.hidden.data(),
         model_.panels(head), packed.targets.data(), packed.scored(), c.hidden, c.vocab, 1.0f / temperature,
         first, std::min(first + kHeadColumns, c.vocab)});
  }
  w.dhidden.fill_zero();
  for (int64_t i = 0; i < packed.scored(); ++i) {
    std::memcpy(w.dhidden.data() + packed.rows[static_cast<size_t>(i)] * c.hidden,
                w.dhidden_rows.data() + i * c.hidden, static_cast<size_t>(c.hidden) * sizeof(float));
  }
  backward(model_, batch, w.activations, w.dhidden.data(), w.scratch, gradients_, operation);
}

// Forward, and backward where there is a loss gradient, over all micro-batches.
std::vector<std::vector<float>> Learner::run(const std::vector<TrainSequence>& sequences,
                                             const std::vector<std::vector<float>>* loss_gradient,
                                             float temperature, const Operation& operation) {
  const ModelConfig& c = model_.config();
  std::vector<std::vector<float>> logprobs(sequences.size());
  const std::vector<MicroBatch> batches = cut(sequences);
  if (batches.empty()) return logprobs;
  Workspace workspace(c, sequences, batches, loss_gradient != nullptr);
  const ScratchRelease release(model_.exec());
  for (const MicroBatch& range : batches) {
    operation.poll();
    const Packed packed(sequences, range);
    const TokenBatch batch =
        layout_forest(packed.ids, packed.parents, workspace.cache.data(), kv_block_floats(c));
    std::vector<float> lse, upstream;
    const std::vector<float> scores = forward_scores(packed, batch, temperature, operation, workspace, lse);
    auto next = scores.begin();
    for (size_t i = range.first; i < range.last; ++i) {
      const int64_t count = static_cast<int64_t>(sequences[i].tokens.size()) - sequences[i].prompt_length;
      logprobs[i].assign(next, next + count);
      next += count;
      if (loss_gradient == nullptr) continue;
      upstream.insert(upstream.end(), (*loss_gradient)[i].begin(), (*loss_gradient)[i].end());
    }
    if (loss_gradient != nullptr)
      backward_scores(packed, batch, upstream, lse, temperature, operation, workspace);
  }
  return logprobs;
}

std::vector<std::vector<float>> Learner::accumulate(const std::vector<TrainSequence>& sequences,
                                                    const std::vector<std::vector<float>>& loss_gradient,
                                                    float temperature, const Operation& operation) {
  check(sequences, temperature);
  LSP_CHECK(loss_gradient.size() == sequences.size(), "INVALID_ARGUMENT",
            "Expected one loss gradient per sequence.");
  for (size_t i = 0; i < sequences.size(); ++i) {
    const int64_t completion = static_cast<int64_t>(sequences[i].tokens.size()) - sequences[i].prompt_length;
    LSP_CHECK(static_cast<int64_t>(loss_gradient[i].size()) == completion, "INVALID_ARGUMENT",
              "Expected one loss gradient value per completion token.");
  }
  // Where there is nothing to lose, undoing means clearing; else a copy is taken.
  const bool was_zero = gradients_.is_zero();
  std::vector<Buffer> saved = was_zero ? std::vector<Buffer>() : gradients_.snapshot();
  try {
    return run(sequences, &loss_gradient, temperature, operation);
  } catch (...) {
    if (was_zero) {
      gradients_.clear();
    } else {
      gradients_.restore(std::move(saved));
    }
    throw;
  }
}

std::vector<std::vector<float>> Learner::logprobs(const std::vector<TrainSequence>& sequences,
                                                  float temperature, const Operation& operation) {
  check(sequences, temperature);
  return run(sequences, nullptr, temperature, operation);
}

std::vector<float> Learner::gradient(const std::string& name) {
  check_adapter();
  const int parameter = model_.parameters().find(name);
  LSP_CHECK(
      model_.parameters().trains(parameter), "INVALID_ARGUMENT",
      "Expected the name of a trained parameter but '" + name + "' is frozen: the adapter alone is trained.");
  const ParameterSpec& spec = model_.parameters()[parameter];
  std::vector<float> values(static_cast<size_t>(spec.rows * std::max<int64_t>(spec.columns, 1)));
  unpack_parameter(spec, gradients_.of(parameter), values.data());
  if (const float* input = gradients_.input_part(parameter)) {
    std::vector<float> more(values.size());
    unpack_parameter(spec, input, more.data());
    for (size_t i = 0; i < values.size(); ++i) values[i] += more[i];
  }
  return values;
}

double Learner::step(const AdamWOptions& o) {
  check_adapter();
  const ParameterList& parameters = model_.parameters();
  const std::vector<int> indices = trained();
  double squares = 0.0;
  for (const int i : indices) {
    double part = 0.0;
    model_.kernels().grad_norm->sum_of_squares(
        model_.exec(), {&part, gradients_.of(i), gradients_.input_part(i), parameters[i].stored_floats()});
    LSP_CHECK(std::isfinite(part), "TRAINING_DIVERGED",
              "Expected a finite gradient but that of '" + parameters[i].name + "' holds NaN or infinity.");
    squares += part;
  }
  const double norm = std::sqrt(squares);
  const double scale = norm > o.max_grad_norm ? o.max_grad_norm / (norm + 1e-6) : 1.0;
  if (m_.empty()) {
    std::vector<Buffer> m(static_cast<size_t>(parameters.count())),
        v(static_cast<size_t>(parameters.count()));
    for (const int i : indices) {
      m[static_cast<size_t>(i)] = Buffer(parameters[i].stored_floats());
      v[static_cast<size_t>(i)] = Buffer(parameters[i].stored_floats());
    }
    m_ = std::move(m);
    v_ = std::move(v);
  }
  // All new storage first: past this point nothing can fail halfway.
  std::vector<std::shared_ptr<Buffer>> updated;
  for (const int i : indices) updated.push_back(model_.writable(i));
  ++steps_;
  auto storage = updated.begin();
  for (const int i : indices) {
    const size_t at = static_cast<size_t>(i);
    model_.kernels().adamw->step(
        model_.exec(),
        {(*storage)->data(), model_.weight(i), m_[at].data(), v_[at].data(), gradients_.of(i),
         gradients_.input_part(i), parameters[i].stored_floats(), static_cast<float>(scale), o.learning_rate,
         o.beta1, o.beta2, o.eps, parameters[i].is_matrix() ? o.weight_decay : 0.0f,
         static_cast<float>(1.0 - power(static_cast<double>(o.beta1), steps_)),
         static_cast<float>(1.0 - power(static_cast<double>(o.beta2), steps_))});
    model_.publish(i, std::move(*storage++));
  }
  model_.bump_version();
  gradients_.clear();
  return norm;
}

void Learner::save_state(const std::string& path, const Operation& operation) const {
  check_adapter();
  const ParameterList& parameters = model_.parameters();
  std::vector<TensorToWrite> tensors;
  for (const int i : m_.empty() ? std::vector<int>() : trained()) {
    const size_t at = static_cast<size_t>(i);
    tensors.push_back({parameters[i].name + ".m", &parameters[i], m_[at].data(), {}});
    tensors.push_back({parameters[i].name + ".v", &parameters[i], v_[at].data(), {}});
  }
  write_safetensors(path, StoredType::f32, tensors,
                    {{"format", "pt"}, {"step_count", std::to_string(steps_)}}, operation);
}

void Learner::load_state(const std::vector<TensorLocation>& tensors, int64_t steps,
                         const Operation& operation) {
  check_adapter();
  const ParameterList& parameters = model_.parameters();
  std::vector<Buffer> m(static_cast<size_t>(parameters.count())), v(static_cast<size_t>(parameters.count()));
  for (const TensorLocation& tensor : tensors) {
    operation.poll();
    LSP_CHECK(tensor.name.size() > 2, "INVALID_CHECKPOINT",
              "Expected optimizer moments but received '" + tensor.name + "'.");
    const std::string suffix = tensor.name.substr(tensor.name.size() - 2);
    LSP_CHECK(suffix == ".m" || suffix == ".v", "INVALID_CHECKPOINT",
              "Expected optimizer moments but received '" + tensor.name + "'.");
    const int index = parameters.find(tensor.name.substr(0, tensor.name.size() - 2));
    LSP_CHECK(parameters.trains(index), "INVALID_CHECKPOINT",
              "Expected moments of what is trained but received '" + tensor.name + "'.");
    (suffix == ".m" ? m : v)[static_cast<size_t>(index)] = read_tensor(tensor, parameters[index], operation);
  }
  const bool none = tensors.empty() && steps == 0;
  for (const int i : none ? std::vector<int>() : trained()) {
    LSP_CHECK(m[static_cast<size_t>(i)].count() > 0 && v[static_cast<size_t>(i)].count() > 0,
              "INVALID_CHECKPOINT",
              "Expected both moments of '" + parameters[i].name + "' in the optimizer state.");
  }
  if (none) {
    m.clear();
    v.clear();
  }
  m_ = std::move(m);
  v_ = std::move(v);
  steps_ = steps;
}

}  // namespace lsp
