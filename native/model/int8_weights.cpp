#include "model/int8_weights.h"

#include <algorithm>

#include "model/lora.h"
#include "model/model.h"

namespace lsp {

namespace {

// Of the matrix and its adapter together: it grows with every new value of one of them.
int64_t revision_of(const Model& model, int parameter) {
  const AdapterPair* pair = model.parameters().adapter_of(parameter);
  const int64_t own = model.revision(parameter);
  return pair == nullptr ? own : std::max({own, model.revision(pair->a), model.revision(pair->b)});
}

}  // namespace

void Int8Weights::refresh(Model& model, const Operation& operation) {
  const ParameterList& parameters = model.parameters();
  matrices_.resize(static_cast<size_t>(parameters.own_count()));
  for (int i = 0; i < parameters.own_count(); ++i) {
    const ParameterSpec& spec = parameters[i];
    const bool multiplies = i != parameters.embedding() || i == parameters.head();
    Matrix& matrix = matrices_[static_cast<size_t>(i)];
    if (!spec.is_matrix() || !multiplies || matrix.revision == revision_of(model, i)) continue;
    operation.poll();
    matrix.revision = -1;
    matrix.values.reserve((int8_panel_bytes(spec.rows, spec.columns) + 3) / 4);
    matrix.scale.reserve(panel_count(spec.rows) * kPanel);
    const bool is_adapted = parameters.adapter_of(i) != nullptr;
    const Buffer merged = is_adapted ? merged_matrix(model, i) : Buffer();
    model.kernels().int8->quantize(
        model.exec(), {reinterpret_cast<uint8_t*>(matrix.values.data()), matrix.scale.data(),
                       is_adapted ? Panels(merged.data()) : model.panels(i), spec.columns, spec.rows});
    matrix.revision = revision_of(model, i);
  }
}

Int8Panels Int8Weights::panels(int parameter) const {
  const Matrix& matrix = matrices_[static_cast<size_t>(parameter)];
  return {reinterpret_cast<const uint8_t*>(matrix.values.data()), matrix.scale.data()};
}

int64_t Int8Weights::bytes() const {
  int64_t floats = 0;
  for (const Matrix& matrix : matrices_) floats += matrix.values.count() + matrix.scale.count();
  return 4 * floats;
}

}  // namespace lsp
