// The parameters of a model: names and shapes as Hugging Face has them, storage in the layout that kernels
// read.
//
// Matrices (N, K) are stored as panels of 32 rows (kernels/linear/panels.h), vectors as they are, in f32. The
// matrices of a frozen model may be bfloat16 panels, or rows of blocks as in a file (WeightType).
// Storage is shared between clones and replaced, never written, while it is shared: a clone stays frozen for
// free until the other side changes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/buffer.h"
#include "kernels/linear/panels.h"
#include "model/config.h"

namespace lsp {

struct ParameterSpec {
  std::string name;   // e.g. model.layers.0.self_attn.q_proj.weight
  int64_t rows;       // N of a matrix, or the length of a vector
  int64_t columns;    // K of a matrix, 0 for a vector
  int64_t head_size;  // of q and k projections (their rows may come permuted), else 0

  bool is_matrix() const { return columns > 0; }
  std::vector<int64_t> shape() const;
  int64_t stored_floats() const;  // values, with padding
};

// A low-rank adapter (LoRA, Hu et al. 2022): for each of `matrices`, y = x W^T + scale (x A^T) B^T.
struct LoraShape {
  int64_t rank = 0;
  double alpha = 0.0;
  bool rank_stabilized = false;  // rsLoRA (Kalajdzievski 2023): alpha / sqrt(rank) instead of alpha / rank
  std::vector<std::string> matrices;  // e.g. model.layers.0.self_attn.q_proj.weight

  float scale() const;
};

// The two matrices that adapt one of the model's, as indices of parameters: A (rank, K), B (N, rank).
struct AdapterPair {
  int a, b;
};

// How the matrices of a model are held in memory; all but f32 make a model frozen. `stored`: those of the
// layers as the file has them, decoded one at a time when they are needed, to the same bits. `int8`: the
// same, from blocks of 32 int8 with a scale (q8_0), to which other values are rounded, and the embedding in
// bf16.
enum class WeightType { f32, bf16, stored, int8 };
// What the products of matrices are computed in; everything between them is f32.
enum class Compute { f32, bf16 };

// Indices of a layer's parameters; those that the model does not have are kNone.
constexpr int kNone = -1;
struct LayerParameters {
  int input_norm, q, k, v, o, post_norm, gate, up, down;
  int q_bias = kNone, k_bias = kNone, v_bias = kNone, q_norm = kNone, k_norm = kNone;
};

class ParameterList {
 public:
  explicit ParameterList(const ModelConfig& config);

  // Those of the model itself come first, then those of its adapter.
  int count() const { return static_cast<int>(specs_.size()); }
  int own_count() const { return own_count_; }
  const ParameterSpec& operator[](int index) const { return specs_[static_cast<size_t>(index)]; }
  // Index of a name; throws Error("INVALID_ARGUMENT").
  int find(const std::string& name) const;

  int embedding() const { return 0; }
  const LayerParameters& layer(int64_t layer) const { return layers_[static_cast<size_t>(layer)]; }
  int final_norm() const { return final_norm_; }
  int head() const { return head_; }  // the embedding when tied; the scoring head of a reward model

  // Adds the parameters of an adapter in place of those of another. Throws Error("INVALID_ARGUMENT") and
  // leaves everything as it was for a name that is no matrix of a layer or stands twice, or an impossible
  // rank or scale.
  void adapt(const LoraShape& shape);
  void drop_adapter();
  const LoraShape* adapter() const { return adapter_ ? &*adapter_ : nullptr; }
  // Null where that parameter has none.
  const AdapterPair* adapter_of(int parameter) const;
  // Whether a learner trains it: everything, or the adapter alone where there is one.
  bool trains(int parameter) const { return !adapter_ || parameter >= own_count_; }
  // The first layer with something to train: no gradient is needed below it.
  int64_t first_trained_layer() const { return adapter_ ? first_adapted_layer_ : 0; }

 private:
  int add(std::string name, int64_t rows, int64_t columns, int64_t head_size = 0);
  LayerParameters add_layer(const ModelConfig& config, const std::string& prefix);
  bool is_projection(int64_t layer, int parameter) const;
  std::vector<ParameterSpec> specs_;
  std::vector<LayerParameters> layers_;
  int own_count_ = 0;
  std::optional<LoraShape> adapter_;
  std::vector<AdapterPair> pairs_;  // of each of the model's own parameters; a is kNone where it has none
  int64_t first_adapted_layer_ = 0;
  int final_norm_ = 0;
  int head_ = 0;
};

// Row-major (rows, columns) to stored layout and back; `values` has rows * max(columns, 1) floats.
void pack_parameter(const ParameterSpec& spec, const float* values, float* stored);
void unpack_parameter(const ParameterSpec& spec, const Panels& stored, float* values);
// Panels in bfloat16, rounded to nearest, in a buffer of half as many floats.
Buffer narrow_panels(const Buffer& panels);
// Rows of q8_0 blocks of a matrix whose rows are whole blocks.
Buffer quantized_rows(const ParameterSpec& spec, const Buffer& panels);
// A copy of a matrix in f32 panels.
Buffer widened_panels(const ParameterSpec& spec, const Panels& stored);
// Rows [32 panel, ..) of a matrix: packs / unpacks at most 32 row-major rows.
void pack_panel(const ParameterSpec& spec, int64_t panel, const float* rows, float* stored);
void unpack_panel(const ParameterSpec& spec, int64_t panel, const Panels& stored, float* rows);

}  // namespace lsp
