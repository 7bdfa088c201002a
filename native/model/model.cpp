#include "model/model.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "model/lora.h"

namespace lsp {

Model::Model(const ModelConfig& config, int threads, WeightType weights, Compute compute,
             const Kernels& kernels)
    : config_(config),
      parameters_(config),
      kernels_(kernels),
      exec_(threads),
      weight_type_(weights),
      compute_(compute),
      weights_(static_cast<size_t>(parameters_.count())),
      revisions_(static_cast<size_t>(parameters_.count())),
      frequency_(static_cast<size_t>(config.head_size / 2)) {
  rope_frequencies(frequency_.data(), config.head_size, config.rope_theta, config.rope_scaling);
}

void Model::load(const std::vector<TensorLocation>& tensors, const Operation& operation) {
  bump_version();  // first: a load that fails midway has changed weights, too
  for (const TensorLocation& tensor : tensors) {
    operation.poll();
    const int index = parameters_.find(tensor.name);
    Buffer values = read_tensor(tensor, parameters_[index], operation);
    publish(index, std::make_shared<Buffer>(is_narrow(index) ? narrow_panels(values) : std::move(values)));
  }
}

void Model::attach_adapter(const LoraShape& shape, uint64_t seed, const std::vector<TensorLocation>& tensors,
                           const Operation& operation) {
  check_loaded();
  ParameterList next = parameters_;
  next.adapt(shape);
  std::vector<std::shared_ptr<Buffer>> weights(weights_.begin(), weights_.begin() + next.own_count());
  weights.resize(static_cast<size_t>(next.count()));
  for (int i = 0; i < next.own_count() && tensors.empty(); ++i) {
    const AdapterPair* pair = next.adapter_of(i);
    if (pair == nullptr) continue;
    operation.poll();
    for (const int part : {pair->a, pair->b}) {
      weights[static_cast<size_t>(part)] =
          std::make_shared<Buffer>(initial_adapter_values(next[part], part == pair->a, seed, i));
    }
  }
  for (const TensorLocation& tensor : tensors) {
    operation.poll();
    const int index = next.find(tensor.name);
    LSP_CHECK(index >= next.own_count(), "INVALID_MODEL_FILE",
              "Expected tensors of the adapter but received '" + tensor.name + "'.");
    weights[static_cast<size_t>(index)] =
        std::make_shared<Buffer>(read_tensor(tensor, next[index], operation));
  }
  for (int i = next.own_count(); i < next.count(); ++i) {
    LSP_CHECK(weights[static_cast<size_t>(i)] != nullptr, "INVALID_MODEL_FILE",
              "Expected a value for '" + next[i].name + "' in the adapter.");
  }
  parameters_ = std::move(next);
  weights_ = std::move(weights);
  revisions_.resize(weights_.size());
  ++adapter_generation_;
  bump_version();
}

void Model::merge_adapter(const Operation& operation) {
  LSP_CHECK(parameters_.adapter() != nullptr, "INVALID_ARGUMENT", "Expected a model with an adapter.");
  std::vector<std::shared_ptr<Buffer>> weights(weights_.begin(), weights_.begin() + parameters_.own_count());
  for (int i = 0; i < parameters_.own_count(); ++i) {
    if (parameters_.adapter_of(i) == nullptr) continue;
    operation.poll();
    Buffer merged = merged_matrix(*this, i);
    weights[static_cast<size_t>(i)] =
        std::make_shared<Buffer>(is_narrow(i) ? narrow_panels(merged) : std::move(merged));
  }
  for (int i = 0; i < parameters_.own_count(); ++i)
    if (parameters_.adapter_of(i) != nullptr) revisions_[static_cast<size_t>(i)] = ++last_revision_;
  weights_ = std::move(weights);
  parameters_.drop_adapter();
  ++adapter_generation_;
  bump_version();
}

void Model::check_loaded() const {
  for (int i = 0; i < parameters_.count(); ++i) {
    LSP_CHECK(is_loaded(i), "INVALID_MODEL_FILE",
              "Expected a value for parameter '" + parameters_[i].name + "'.");
  }
}

void Model::check_language_model() const {
  check_loaded();
  LSP_CHECK(config_.score_labels == 0, "INVALID_ARGUMENT",
            "Expected a model with a language-model head but this one has a scoring head.");
}

Panels Model::panels(int parameter) const {
  const float* values = weight(parameter);
  return is_narrow(parameter) ? Panels(reinterpret_cast<const uint16_t*>(values)) : Panels(values);
}

std::shared_ptr<Buffer> Model::writable(int parameter) {
  std::shared_ptr<Buffer>& current = weights_[static_cast<size_t>(parameter)];
  if (current != nullptr && current.use_count() == 1) {
    // The last other owner may have read it on another thread just before it let go.
    std::atomic_thread_fence(std::memory_order_acquire);
    return current;
  }
  return std::make_shared<Buffer>(parameters_[parameter].stored_floats());
}

void Model::publish(int parameter, std::shared_ptr<Buffer> values) {
  weights_[static_cast<size_t>(parameter)] = std::move(values);
  revisions_[static_cast<size_t>(parameter)] = ++last_revision_;
}

std::vector<float> Model::read(int parameter) const {
  LSP_CHECK(is_loaded(parameter), "INVALID_ARGUMENT",
            "Expected a loaded parameter but '" + parameters_[parameter].name + "' has no value yet.");
  const ParameterSpec& spec = parameters_[parameter];
  std::vector<float> values(static_cast<size_t>(spec.rows * std::max<int64_t>(spec.columns, 1)));
  unpack_parameter(spec, panels(parameter), values.data());
  return values;
}

void Model::write(int parameter, const std::vector<float>& values) {
  const ParameterSpec& spec = parameters_[parameter];
  LSP_CHECK(static_cast<int64_t>(values.size()) == spec.rows * std::max<int64_t>(spec.columns, 1),
            "INVALID_ARGUMENT",
            "Expected as many values as '" + spec.name + "' has but received " +
                std::to_string(values.size()) + ".");
  Buffer packed(spec.stored_floats());
  pack_parameter(spec, values.data(), packed.data());
  publish(parameter,
          std::make_shared<Buffer>(is_narrow(parameter) ? narrow_panels(packed) : std::move(packed)));
  bump_version();
}

void Model::save(const std::string& path, StoredType type, const Operation& operation) {
  check_loaded();
  std::vector<TensorToWrite> tensors;
  for (int i = 0; i < parameters_.own_count(); ++i) {
    tensors.push_back({parameters_[i].name, &parameters_[i], panels(i), {}});
    // One at a time, while it is being written.
    if (parameters_.adapter_of(i) != nullptr)
      tensors.back().make = [this, i] { return merged_matrix(*this, i); };
  }
  write_safetensors(path, type, tensors, {{"format", "pt"}}, operation);
}

void Model::save_adapter(const std::string& path, StoredType type, const Operation& operation) const {
  LSP_CHECK(parameters_.adapter() != nullptr, "INVALID_ARGUMENT", "Expected a model with an adapter.");
  std::vector<TensorToWrite> tensors;
  for (int i = parameters_.own_count(); i < parameters_.count(); ++i)
    tensors.push_back({parameters_[i].name, &parameters_[i], panels(i), {}});
  // What tells a directory that this library wrote, and may replace, from one of PEFT.
  write_safetensors(path, type, tensors, {{"format", "pt"}, {"lsp_format", "1"}}, operation);
}

std::unique_ptr<Model> Model::clone(bool with_adapter) const {
  auto copy = std::make_unique<Model>(config_, exec_.threads(), weight_type_, compute_, kernels_);
  copy->weights_ = weights_;
  copy->revisions_.resize(weights_.size());
  if (with_adapter) {
    copy->parameters_ = parameters_;
  } else {
    copy->weights_.resize(static_cast<size_t>(parameters_.own_count()));
  }
  copy->version_ = version_;
  return copy;
}

int64_t Model::weight_bytes() const {
  int64_t floats = 0;
  for (const std::shared_ptr<Buffer>& buffer : weights_) floats += buffer == nullptr ? 0 : buffer->count();
  return 4 * floats + int8_.bytes();
}

void Model::ensure_positions(int64_t count) {
  if (count <= positions_) return;
  LSP_CHECK(count <= config_.max_positions, "PROMPT_TOO_LONG",
            "Expected at most " + std::to_string(config_.max_positions) + " positions but received " +
                std::to_string(count) + ".");
  const int64_t half = config_.head_size / 2;
  const int64_t grown =
      std::min(config_.max_positions, std::max<int64_t>(count, std::max<int64_t>(512, 2 * positions_)));
  Buffer cosine(grown * half), sine(grown * half);
  rope_table(cosine.data(), sine.data(), frequency_.data(), 0, grown, half);
  cosine_ = std::move(cosine);
  sine_ = std::move(sine);
  positions_ = grown;
}

}  // namespace lsp
