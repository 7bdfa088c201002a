#include "model/lora.h"

#include <cmath>
#include <cstring>

#include "core/philox.h"
#include "model/backward.h"

namespace lsp {

namespace {

// Slots of scratch, each (T, rank): of each projection of the same input h, and its gradient.
constexpr int kMostParts = 3, kSlots = 2 * kMostParts;

float* slot(Model& model, int index, int64_t t) {
  const int64_t floats = t * model.parameters().adapter()->rank;
  return model.adapter_scratch(kSlots * floats) + index * floats;
}

void scale_values(float* values, int64_t count, float scale) {
  for (int64_t i = 0; i < count; ++i) values[i] *= scale;
}

}  // namespace

void adapter_terms(Model& model, const int* weights, LowRankTerm* terms, int count, const float* x, int64_t k,
                   int64_t t) {
  const ParameterList& parameters = model.parameters();
  if (parameters.adapter() == nullptr) return;
  const int64_t rank = parameters.adapter()->rank;
  LinearPart down[kMostParts];
  int down_count = 0;
  for (int i = 0; i < count; ++i) {
    const AdapterPair* pair = parameters.adapter_of(weights[i]);
    if (pair == nullptr) continue;
    float* h = slot(model, i, t);
    down[down_count++] = {model.panels(pair->a), rank, h, rank};
    terms[i] = {h, model.weight(pair->b), rank};
  }
  if (down_count == 0) return;
  model.kernels().linear->forward(model.exec(), {down, down_count, x, k, t, k});
  for (int i = 0; i < down_count; ++i) scale_values(down[i].y, t * rank, parameters.adapter()->scale());
}

void adapter_gradients(Model& model, Gradients& gradients, const Upstream* of, LowRankTerm* terms, int count,
                       const float* x, int64_t k, int64_t t) {
  const ParameterList& parameters = model.parameters();
  if (parameters.adapter() == nullptr) return;
  const LinearKernels& linear = *model.kernels().linear;
  int weights[kMostParts] = {};
  for (int i = 0; i < count; ++i) weights[i] = of[i].weight;
  adapter_terms(model, weights, terms, count, x, k, t);
  LinearGradient down[kMostParts];
  int down_count = 0;
  for (int i = 0; i < count; ++i) {
    const AdapterPair* pair = parameters.adapter_of(of[i].weight);
    if (pair == nullptr) continue;
    const int64_t rank = parameters.adapter()->rank, n = parameters[of[i].weight].rows;
    const LinearGradient up{gradients.of(pair->b), of[i].dy, n, n};
    linear.backward_weight(model.exec(), {&up, 1, terms[i].h, rank, t, rank});
    float* dh = slot(model, kMostParts + i, t);
    linear.backward_input(model.exec(), {dh, of[i].dy, model.panels(pair->b), rank, n, t, rank, n, false});
    scale_values(dh, t * rank, parameters.adapter()->scale());
    down[down_count++] = {gradients.of(pair->a), dh, rank, rank};
    terms[i] = {dh, model.weight(pair->a), rank};
  }
  if (down_count > 0) linear.backward_weight(model.exec(), {down, down_count, x, k, t, k});
}

Buffer initial_adapter_values(const ParameterSpec& spec, bool is_a, uint64_t seed, int matrix) {
  Buffer stored(spec.stored_floats());
  if (!is_a) return stored;
  const double bound = 1.0 / std::sqrt(static_cast<double>(spec.columns));
  std::vector<float> values(static_cast<size_t>(spec.rows * spec.columns));
  for (size_t i = 0; i < values.size(); ++i) {
    const double uniform = philox_uniform(seed, static_cast<uint64_t>(matrix), i);
    values[i] = static_cast<float>(bound * (2.0 * uniform - 1.0));
  }
  pack_parameter(spec, values.data(), stored.data());
  return stored;
}

Buffer merged_matrix(Model& model, int weight) {
  const ParameterList& parameters = model.parameters();
  const AdapterPair& pair = *parameters.adapter_of(weight);
  const int64_t rank = parameters.adapter()->rank, n = parameters[weight].rows,
                k = parameters[weight].columns;
  const float scale = parameters.adapter()->scale();
  Buffer merged = widened_panels(parameters[weight], model.panels(weight));
  const std::vector<float> a = model.read(pair.a), b = model.read(pair.b);
  std::vector<float> scaled(b.size());  // (rank, N)
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < rank; ++j)
      scaled[static_cast<size_t>(j * n + i)] = scale * b[static_cast<size_t>(i * rank + j)];
  }
  const LinearGradient sum{merged.data(), scaled.data(), n, n};
  model.kernels().linear->backward_weight(model.exec(), {&sum, 1, a.data(), k, rank, k});
  return merged;
}

}  // namespace lsp
