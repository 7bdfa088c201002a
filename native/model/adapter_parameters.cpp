// The parameters that a low-rank adapter adds to a model's, named as PEFT names them in its files.
#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "model/parameters.h"

namespace lsp {

namespace {

constexpr int64_t kMaxRank = 4096;
const std::string kPrefix = "base_model.model.";
const std::string kSuffix = ".weight";

}  // namespace

float LoraShape::scale() const {
  const double size = static_cast<double>(rank);
  return static_cast<float>(alpha / (rank_stabilized ? std::sqrt(size) : size));
}

bool ParameterList::is_projection(int64_t layer, int parameter) const {
  const LayerParameters& p = layers_[static_cast<size_t>(layer)];
  const int projections[] = {p.q, p.k, p.v, p.o, p.gate, p.up, p.down};
  return std::find(std::begin(projections), std::end(projections), parameter) != std::end(projections);
}

const AdapterPair* ParameterList::adapter_of(int parameter) const {
  if (!adapter_ || parameter >= own_count_) return nullptr;
  const AdapterPair& pair = pairs_[static_cast<size_t>(parameter)];
  return pair.a == kNone ? nullptr : &pair;
}

void ParameterList::adapt(const LoraShape& shape) {
  LSP_CHECK(shape.rank >= 1 && shape.rank <= kMaxRank, "INVALID_ARGUMENT",
            "Expected a rank from 1 to " + std::to_string(kMaxRank) + ".");
  LSP_CHECK(std::isfinite(shape.alpha) && std::isfinite(shape.scale()), "INVALID_ARGUMENT",
            "Expected a finite alpha.");
  LSP_CHECK(!shape.matrices.empty(), "INVALID_ARGUMENT", "Expected at least one matrix to adapt.");
  ParameterList next = *this;
  next.drop_adapter();
  next.pairs_.assign(static_cast<size_t>(own_count_), AdapterPair{kNone, kNone});
  next.first_adapted_layer_ = static_cast<int64_t>(layers_.size());
  for (const std::string& name : shape.matrices) {
    const int index = next.find(name);
    int64_t layer = 0;
    while (layer < static_cast<int64_t>(layers_.size()) && !is_projection(layer, index)) ++layer;
    AdapterPair& pair = next.pairs_[static_cast<size_t>(index)];
    LSP_CHECK(layer < static_cast<int64_t>(layers_.size()) && pair.a == kNone, "INVALID_ARGUMENT",
              "Expected projections of layers, each once, but received '" + name + "'.");
    next.first_adapted_layer_ = std::min(next.first_adapted_layer_, layer);
    const std::string module = kPrefix + name.substr(0, name.size() - kSuffix.size());
    const int64_t rows = next[index].rows, columns = next[index].columns;
    pair.a = next.add(module + ".lora_A" + kSuffix, shape.rank, columns);
    pair.b = next.add(module + ".lora_B" + kSuffix, rows, shape.rank);
  }
  next.adapter_ = shape;
  *this = std::move(next);
}

void ParameterList::drop_adapter() {
  specs_.resize(static_cast<size_t>(own_count_));
  pairs_.clear();
  adapter_.reset();
}

}  // namespace lsp
