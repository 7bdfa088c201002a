#include "model/model.h"

#include <algorithm>
#include <atomic>
#include <cstring>

namespace lsp {

Model::Model(const ModelConfig& config, int threads, WeightType weights, const Kernels& kernels)
    : config_(config),
      parameters_(config),
      kernels_(kernels),
      exec_(threads),
      weight_type_(weights),
      weights_(static_cast<size_t>(parameters_.count())),
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

void Model::save(const std::string& path, StoredType type, const Operation& operation) const {
  check_loaded();
  std::vector<TensorToWrite> tensors;
  for (int i = 0; i < parameters_.count(); ++i)
    tensors.push_back({parameters_[i].name, &parameters_[i], panels(i)});
  write_safetensors(path, type, tensors, {{"format", "pt"}}, operation);
}

std::unique_ptr<Model> Model::clone() const {
  auto copy = std::make_unique<Model>(config_, exec_.threads(), weight_type_, kernels_);
  copy->weights_ = weights_;
  copy->version_ = version_;
  return copy;
}

int64_t Model::weight_bytes() const {
  int64_t floats = 0;
  for (const std::shared_ptr<Buffer>& buffer : weights_) floats += buffer == nullptr ? 0 : buffer->count();
  return 4 * floats;
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
