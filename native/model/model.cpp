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
      frequency_(static_cast<size_t>(config.head_size / 2)) {
  rope_frequencies(frequency_.data(), config.head_size, config.rope_theta, config.rope_scaling);
}

StoredType Model::held_type(int parameter, StoredType type) const {
  const ParameterSpec& spec = parameters_[parameter];
  const bool in_layer = parameter != parameters_.embedding() && parameter != parameters_.head();
  if (parameter >= parameters_.own_count() || !spec.is_matrix()) return StoredType::f32;
  switch (weight_type_) {
    case WeightType::f32:
      return StoredType::f32;
    case WeightType::bf16:
      return StoredType::bf16;
    case WeightType::stored:
      return in_layer || type == StoredType::bf16 ? type : StoredType::f32;
    case WeightType::int8:
      return in_layer && spec.columns % stored_format(StoredType::q8_0).block_elements == 0
                 ? StoredType::q8_0
                 : StoredType::bf16;
  }
  return StoredType::f32;
}

Model::Held Model::new_held(Buffer values, StoredType type) {
  return {std::make_shared<Buffer>(std::move(values)), type, ++last_revision_};
}

Model::Held Model::hold(int parameter, Buffer panels) {
  const StoredType type = held_type(parameter, StoredType::f32);
  if (type == StoredType::bf16) panels = narrow_panels(panels);
  if (type == StoredType::q8_0) panels = quantized_rows(parameters_[parameter], panels);
  return new_held(std::move(panels), type);
}

Model::Held Model::load_held(const TensorLocation& tensor, int parameter, const Operation& operation) {
  const ParameterSpec& spec = parameters_[parameter];
  const StoredType type = held_type(parameter, tensor.type);
  const bool is_panels = type == StoredType::f32 || type == StoredType::bf16;
  if (!is_panels && type == tensor.type) return new_held(read_rows(tensor, spec, operation), type);
  Buffer panels = read_tensor(tensor, spec, operation);
  return type == StoredType::bf16 ? new_held(narrow_panels(panels), type)
                                  : hold(parameter, std::move(panels));
}

void Model::load(const std::vector<TensorLocation>& tensors, const Operation& operation) {
  bump_version();  // first: a load that fails midway has changed weights, too
  for (const TensorLocation& tensor : tensors) {
    operation.poll();
    const int index = parameters_.find(tensor.name);
    weights_[static_cast<size_t>(index)] = load_held(tensor, index, operation);
  }
}

void Model::attach_adapter(const LoraShape& shape, uint64_t seed, const std::vector<TensorLocation>& tensors,
                           const Operation& operation) {
  check_loaded();
  ParameterList next = parameters_;
  next.adapt(shape);
  std::vector<Held> weights(weights_.begin(), weights_.begin() + next.own_count());
  weights.resize(static_cast<size_t>(next.count()));
  for (int i = 0; i < next.own_count() && tensors.empty(); ++i) {
    const AdapterPair* pair = next.adapter_of(i);
    if (pair == nullptr) continue;
    operation.poll();
    for (const int part : {pair->a, pair->b}) {
      weights[static_cast<size_t>(part)].values =
          std::make_shared<Buffer>(initial_adapter_values(next[part], part == pair->a, seed, i));
    }
  }
  for (const TensorLocation& tensor : tensors) {
    operation.poll();
    const int index = next.find(tensor.name);
    LSP_CHECK(index >= next.own_count(), "INVALID_MODEL_FILE",
              "Expected tensors of the adapter but received '" + tensor.name + "'.");
    weights[static_cast<size_t>(index)].values =
        std::make_shared<Buffer>(read_tensor(tensor, next[index], operation));
  }
  for (int i = next.own_count(); i < next.count(); ++i) {
    LSP_CHECK(weights[static_cast<size_t>(i)].values != nullptr, "INVALID_MODEL_FILE",
              "Expected a value for '" + next[i].name + "' in the adapter.");
  }
  parameters_ = std::move(next);
  weights_ = std::move(weights);
  ++adapter_generation_;
  bump_version();
}

void Model::merge_adapter(const Operation& operation) {
  LSP_CHECK(parameters_.adapter() != nullptr, "INVALID_ARGUMENT", "Expected a model with an adapter.");
  std::vector<Held> weights(weights_.begin(), weights_.begin() + parameters_.own_count());
  for (int i = 0; i < parameters_.own_count(); ++i) {
    if (parameters_.adapter_of(i) == nullptr) continue;
    operation.poll();
    weights[static_cast<size_t>(i)] = hold(i, merged_matrix(*this, i));
  }
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

bool Model::is_in_rows(int parameter) const {
  const StoredType type = held(parameter).type;
  return type != StoredType::f32 && type != StoredType::bf16;
}

Panels Model::decoded(int parameter) {
  const ParameterSpec& spec = parameters_[parameter];
  Buffer& panels = decoded_[next_decoded_++ % kDecoded];
  panels.reserve(spec.stored_floats());
  kernels_.quantize->decode(exec_, {panels.data(), reinterpret_cast<const uint8_t*>(weight(parameter)),
                                    held(parameter).type, spec.rows, spec.columns});
  return panels.data();
}

Panels Model::panels(int parameter) {
  if (is_in_rows(parameter)) return decoded(parameter);
  const float* values = weight(parameter);
  return held(parameter).type == StoredType::bf16 ? Panels(reinterpret_cast<const uint16_t*>(values))
                                                  : Panels(values);
}

std::shared_ptr<Buffer> Model::writable(int parameter) {
  const std::shared_ptr<Buffer>& current = held(parameter).values;
  if (current != nullptr && current.use_count() == 1) {
    // The last other owner may have read it on another thread just before it let go.
    std::atomic_thread_fence(std::memory_order_acquire);
    return current;
  }
  return std::make_shared<Buffer>(parameters_[parameter].stored_floats());
}

void Model::publish(int parameter, std::shared_ptr<Buffer> values) {
  weights_[static_cast<size_t>(parameter)] = {std::move(values), StoredType::f32, ++last_revision_};
}

std::vector<float> Model::read(int parameter) {
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
  weights_[static_cast<size_t>(parameter)] = hold(parameter, std::move(packed));
  bump_version();
}

void Model::save(const std::string& path, StoredType type, const Operation& operation) {
  check_loaded();
  std::vector<TensorToWrite> tensors;
  for (int i = 0; i < parameters_.own_count(); ++i) {
    tensors.push_back({parameters_[i].name, &parameters_[i], {}, {}});
    // Those that have to be made: one at a time, while it is being written.
    if (parameters_.adapter_of(i) != nullptr) {
      tensors.back().make = [this, i] { return merged_matrix(*this, i); };
    } else if (is_in_rows(i)) {
      tensors.back().make = [this, i] { return widened_panels(parameters_[i], panels(i)); };
    } else {
      tensors.back().stored = panels(i);
    }
  }
  write_safetensors(path, type, tensors, {{"format", "pt"}}, operation);
}

void Model::save_adapter(const std::string& path, StoredType type, const Operation& operation) {
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
  copy->last_revision_ = last_revision_;
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
  for (const Held& held : weights_) floats += held.values == nullptr ? 0 : held.values->count();
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
