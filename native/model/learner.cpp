#include "model/learner.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "model/scoring.h"
#include "model/tree_pass.h"

namespace lsp {

namespace {

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

int64_t count_of(const TrainSequence& sequence) { return static_cast<int64_t>(sequence.tokens.size()); }

// Tokens that two sequences have in common at the beginning.
int64_t shared_tokens(const TrainSequence& a, const TrainSequence& b) {
  const auto end = std::mismatch(a.tokens.begin(), a.tokens.end(), b.tokens.begin(), b.tokens.end());
  return end.first - a.tokens.begin();
}

}  // namespace

Learner::Learner(Model& model, int64_t activation_bytes, bool recompute)
    : model_(model),
      activation_bytes_(activation_bytes),
      keep_(recompute ? Keep::inputs : Keep::all),
      gradients_(model),
      adapter_generation_(model.adapter_generation()) {
  model.check_language_model();
  LSP_CHECK(model.weight_type() == WeightType::f32 || model.parameters().adapter() != nullptr,
            "INVALID_ARGUMENT",
            "Expected a model with weights in f32 but this one holds them in another form, frozen.");
}

int64_t Learner::activation_bytes_per_token(const ModelConfig& c, bool recompute) {
  return 4 * tree_pass_floats_per_token(c, recompute ? Keep::inputs : Keep::all);
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

SequenceValues Learner::accumulate(const std::vector<TrainSequence>& sequences, Loss loss, float temperature,
                                   const Operation& operation) {
  check(sequences, temperature);
  LossGradient loss_gradient(sequences, std::move(loss));
  // An update will change what they were made from; until then their memory is for the activations.
  model_.int8().clear();
  const ScratchRelease release(model_.exec());
  // Where there is nothing to lose, undoing means clearing; else a copy is taken.
  const bool was_zero = gradients_.is_zero();
  std::vector<Buffer> saved = was_zero ? std::vector<Buffer>() : gradients_.snapshot();
  try {
    SequenceValues logprobs;
    for (SequenceScores& scores : run_tree(model_, sequences, &loss_gradient, &gradients_,
                                           {capacity(), temperature, keep_}, operation))
      logprobs.push_back(std::move(scores.logprobs));
    return logprobs;
  } catch (...) {
    if (was_zero) {
      gradients_.clear();
    } else {
      gradients_.restore(std::move(saved));
    }
    throw;
  }
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

void Learner::ensure_moments() {
  if (!m_.empty()) return;
  const ParameterList& parameters = model_.parameters();
  std::vector<Buffer> m(static_cast<size_t>(parameters.count())), v(static_cast<size_t>(parameters.count()));
  for (const int i : trained()) {
    m[static_cast<size_t>(i)] = Buffer(parameters[i].stored_floats());
    v[static_cast<size_t>(i)] = Buffer(parameters[i].stored_floats());
  }
  m_ = std::move(m);
  v_ = std::move(v);
}

void Learner::rehearse(const std::vector<TrainSequence>& sequences, int64_t cache_bytes,
                       const Operation& operation) {
  check(sequences, 1.0f);
  LSP_CHECK(gradients_.is_zero(), "INVALID_ARGUMENT", "Expected no gradient before a rehearsal.");
  // Memory is taken page by page as it is written.
  ensure_moments();
  for (const int i : trained()) {
    operation.poll();
    const size_t at = static_cast<size_t>(i);
    if (steps_ == 0) {
      m_[at].fill_zero();
      v_[at].fill_zero();
    }
    const std::shared_ptr<Buffer> own = model_.writable(i);
    if (own->data() != model_.weight(i))
      std::memcpy(own->data(), model_.weight(i), static_cast<size_t>(own->count()) * sizeof(float));
    model_.publish(i, own);
  }
  Buffer((cache_bytes + 3) / 4).fill_zero();
  std::vector<TrainSequence> some;
  SequenceValues none;
  int64_t tokens = 0;
  for (const TrainSequence& sequence : sequences) {
    if (tokens > capacity()) break;
    tokens += some.empty() ? count_of(sequence) : count_of(sequence) - shared_tokens(some.back(), sequence);
    none.emplace_back(sequence.tokens.size() - static_cast<size_t>(sequence.prompt_length), 0.0f);
    some.push_back(sequence);
  }
  accumulate(some, none, 1.0f, operation);
  gradients_.clear();
}

int64_t Learner::capacity() const {
  return activation_bytes_ / (4 * tree_pass_floats_per_token(model_.config(), keep_));
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
  ensure_moments();
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
