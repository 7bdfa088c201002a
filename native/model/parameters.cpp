#include "model/parameters.h"

#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "kernels/linear/linear.h"

namespace lsp {

void ModelConfig::check() const {
  const auto expect = [](bool condition, const char* what) {
    LSP_CHECK(condition, "INVALID_ARGUMENT", std::string("Expected ") + what + ".");
  };
  expect(hidden >= 1 && hidden <= 65536, "a hidden size from 1 to 65536");
  expect(ffn >= 1 && ffn <= 1 << 20, "an intermediate size from 1 to 1048576");
  expect(layers >= 1 && layers <= 1024, "1 to 1024 layers");
  expect(heads >= 1 && heads <= 1024, "1 to 1024 heads");
  expect(kv_heads >= 1 && heads % kv_heads == 0, "a number of heads that key/value heads divide");
  expect(head_size >= 2 && head_size <= 1024 && head_size % 2 == 0, "an even head size from 2 to 1024");
  expect(vocab >= 1 && vocab <= 1 << 22, "a vocabulary size from 1 to 4194304");
  expect(max_positions >= 1 && max_positions <= 1 << 24, "1 to 16777216 positions");
  expect(norm_eps >= 0.0f && norm_eps < 1.0f, "a norm epsilon in [0, 1)");
  expect(padding_id >= -1 && padding_id < vocab, "a padding token in the vocabulary, or none");
  expect(rope_theta >= 1.0 && rope_theta < 1e15, "a RoPE theta of at least 1");
}

std::vector<int64_t> ParameterSpec::shape() const {
  return is_matrix() ? std::vector<int64_t>{rows, columns} : std::vector<int64_t>{rows};
}

int64_t ParameterSpec::stored_floats() const { return is_matrix() ? panel_floats(rows, columns) : rows; }

ParameterList::ParameterList(const ModelConfig& c) {
  c.check();
  add("model.embed_tokens.weight", c.vocab, c.hidden);
  for (int64_t i = 0; i < c.layers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    add(layer + "input_layernorm.weight", c.hidden, 0);
    add(layer + "self_attn.q_proj.weight", c.query_size(), c.hidden, c.head_size);
    add(layer + "self_attn.k_proj.weight", c.kv_size(), c.hidden, c.head_size);
    add(layer + "self_attn.v_proj.weight", c.kv_size(), c.hidden);
    add(layer + "self_attn.o_proj.weight", c.hidden, c.query_size());
    add(layer + "post_attention_layernorm.weight", c.hidden, 0);
    add(layer + "mlp.gate_proj.weight", c.ffn, c.hidden);
    add(layer + "mlp.up_proj.weight", c.ffn, c.hidden);
    add(layer + "mlp.down_proj.weight", c.hidden, c.ffn);
  }
  final_norm_ = add("model.norm.weight", c.hidden, 0);
  head_ = c.tied ? embedding() : add("lm_head.weight", c.vocab, c.hidden);
}

int ParameterList::add(std::string name, int64_t rows, int64_t columns, int64_t head_size) {
  specs_.push_back({std::move(name), rows, columns, head_size});
  return count() - 1;
}

LayerParameters ParameterList::layer(int64_t layer) const {
  const int first = 1 + 9 * static_cast<int>(layer);
  return {first, first + 1, first + 2, first + 3, first + 4, first + 5, first + 6, first + 7, first + 8};
}

int ParameterList::find(const std::string& name) const {
  for (int i = 0; i < count(); ++i) {
    if (specs_[static_cast<size_t>(i)].name == name) return i;
  }
  throw Error("INVALID_ARGUMENT", "Expected the name of a parameter but received '" + name + "'.");
}

void pack_panel(const ParameterSpec& spec, int64_t panel, const float* rows, float* stored) {
  const int64_t height = std::min<int64_t>(kPanel, spec.rows - panel * kPanel);
  float* to = stored + panel * kPanel * spec.columns;
  for (int64_t k = 0; k < spec.columns; ++k) {
    for (int64_t i = 0; i < height; ++i) to[k * kPanel + i] = rows[i * spec.columns + k];
    for (int64_t i = height; i < kPanel; ++i) to[k * kPanel + i] = 0.0f;
  }
}

void unpack_panel(const ParameterSpec& spec, int64_t panel, const float* stored, float* rows) {
  const int64_t height = std::min<int64_t>(kPanel, spec.rows - panel * kPanel);
  const float* from = stored + panel * kPanel * spec.columns;
  for (int64_t i = 0; i < height; ++i) {
    for (int64_t k = 0; k < spec.columns; ++k) rows[i * spec.columns + k] = from[k * kPanel + i];
  }
}

void pack_parameter(const ParameterSpec& spec, const float* values, float* stored) {
  if (!spec.is_matrix()) {
    std::memcpy(stored, values, static_cast<size_t>(spec.rows) * sizeof(float));
    return;
  }
  for (int64_t panel = 0; panel < panel_count(spec.rows); ++panel) {
    pack_panel(spec, panel, values + panel * kPanel * spec.columns, stored);
  }
}

void unpack_parameter(const ParameterSpec& spec, const float* stored, float* values) {
  if (!spec.is_matrix()) {
    std::memcpy(values, stored, static_cast<size_t>(spec.rows) * sizeof(float));
    return;
  }
  for (int64_t panel = 0; panel < panel_count(spec.rows); ++panel) {
    unpack_panel(spec, panel, stored, values + panel * kPanel * spec.columns);
  }
}

}  // namespace lsp
