// A model: configuration, weights, and the execution context they run in. One operation at a time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/buffer.h"
#include "core/exec.h"
#include "core/operation.h"
#include "kernels/attention/kv_layout.h"
#include "kernels/dispatch.h"
#include "model/config.h"
#include "model/int8_weights.h"
#include "model/parameters.h"
#include "model/tensor_files.h"

namespace lsp {

// What a forward pass multiplies with: the weights as they are held and computed with, as training does; or
// int8 (int8_weights.h), for sampling and scoring.
enum class Precision { exact, int8 };

// How keys and values are cached then.
inline KvType cache_type(Precision precision) {
  return precision == Precision::int8 ? KvType::bf16 : KvType::f32;
}

class Model {
 public:
  // kernels: of one variant; a clone has its original's, whatever LSP_ISA says by then.
  // weights: how matrices are held; a model with any but f32 is frozen.
  // compute: of all passes; clones keep it.
  Model(const ModelConfig& config, int threads, WeightType weights = WeightType::f32,
        Compute compute = Compute::f32, const Kernels& kernels = active_kernels());

  const ModelConfig& config() const { return config_; }
  const ParameterList& parameters() const { return parameters_; }
  const Kernels& kernels() const { return kernels_; }
  // The products of all passes, in the model's precision.
  const LinearKernels& linear() const {
    return compute_ == Compute::bf16 ? *kernels_.linear_bf16 : *kernels_.linear;
  }
  const LogprobKernels& logprob() const {
    return compute_ == Compute::bf16 ? *kernels_.logprob_bf16 : *kernels_.logprob;
  }
  Exec& exec() { return exec_; }

  void load(const std::vector<TensorLocation>& tensors, const Operation& operation);
  // Puts an adapter on the model, in place of another: with these values, or fresh ones (lora.h) where there
  // are none. All or nothing.
  void attach_adapter(const LoraShape& shape, uint64_t seed, const std::vector<TensorLocation>& tensors,
                      const Operation& operation);
  // Adds the adapter to the weights (a model in bfloat16 or int8 rounds the sums) and takes it off. All or
  // nothing.
  void merge_adapter(const Operation& operation);
  // Tells one adapter, or its absence, from the next.
  int64_t adapter_generation() const { return adapter_generation_; }
  bool is_loaded(int parameter) const { return held(parameter).values != nullptr; }
  // Throws Error("INVALID_MODEL_FILE") naming the first parameter that has no value.
  void check_loaded() const;
  // Also throws Error("INVALID_ARGUMENT") for a model whose head scores instead of predicting tokens.
  void check_language_model() const;

  // A vector, or a matrix of a model whose weights are f32.
  const float* weight(int parameter) const { return held(parameter).values->data(); }
  // A matrix as kernels take it; also of a vector, for writing and reading all alike. Where it is held in
  // rows of blocks, the panels are decoded, and gone after kDecoded more calls.
  Panels panels(int parameter);
  WeightType weight_type() const { return weight_type_; }
  // Storage for new values of a parameter: its own if nobody shares it, else fresh. publish() makes it
  // current.
  std::shared_ptr<Buffer> writable(int parameter);
  void publish(int parameter, std::shared_ptr<Buffer> values);
  // Changes whenever the values of a parameter do.
  int64_t revision(int parameter) const { return held(parameter).revision; }
  // The matrices in 8 bits, as of the last refresh.
  Int8Weights& int8() { return int8_; }
  void bump_version() { ++version_; }
  int64_t version() const { return version_; }

  // Row-major values in Hugging Face layout.
  std::vector<float> read(int parameter);
  void write(int parameter, const std::vector<float>& values);
  // Weights with the adapter added in f32, if there is one.
  void save(const std::string& path, StoredType type, const Operation& operation);
  void save_adapter(const std::string& path, StoredType type, const Operation& operation);
  // Shares all weights; without the adapter it is what the adapter began from.
  std::unique_ptr<Model> clone(bool with_adapter = true) const;
  int64_t weight_bytes() const;

  // cos and sin tables for positions [0, count), grown on demand.
  void ensure_positions(int64_t count);
  const float* cosine() const { return cosine_.data(); }
  const float* sine() const { return sine_.data(); }

  // Memory of lora.cpp; its content is lost when it grows.
  float* adapter_scratch(int64_t floats) {
    adapter_scratch_.reserve(floats);
    return adapter_scratch_.data();
  }

 private:
  // A parameter's values: panels in f32 or bf16 (two to a float), or rows of blocks.
  struct Held {
    std::shared_ptr<Buffer> values;
    StoredType type = StoredType::f32;
    int64_t revision = 0;
  };
  const Held& held(int parameter) const { return weights_[static_cast<size_t>(parameter)]; }
  // How a matrix is to be held that a file has as `type`.
  StoredType held_type(int parameter, StoredType type) const;
  // f32 panels in the form in which this model holds them.
  Held hold(int parameter, Buffer panels);
  Held load_held(const TensorLocation& tensor, int parameter, const Operation& operation);
  Held new_held(Buffer values, StoredType type);
  bool is_in_rows(int parameter) const;
  Panels decoded(int parameter);

  static constexpr int kDecoded = 3;  // as many projections as share an input

  ModelConfig config_;
  ParameterList parameters_;
  const Kernels& kernels_;
  Exec exec_;
  WeightType weight_type_;
  Compute compute_;
  std::vector<Held> weights_;
  Buffer decoded_[kDecoded];
  int next_decoded_ = 0;
  int64_t last_revision_ = 0;
  Int8Weights int8_;
  int64_t version_ = 0, adapter_generation_ = 0;
  std::vector<float> frequency_;
  Buffer cosine_, sine_, adapter_scratch_;
  int64_t positions_ = 0;
};

}  // namespace lsp
