#include "model/parameters.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/bfloat16.h"
#include "core/error.h"
#include "kernels/quantize/quantize.h"

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
  expect(static_cast<int64_t>(layers_without_rope.size()) <= layers, "each layer without RoPE named once");
  for (const int64_t layer : layers_without_rope)
    expect(layer >= 0 && layer < layers, "layers without RoPE that the model has");
  expect(score_labels >= 0 && score_labels <= 1 << 16, "a scoring head of at most 65536 outputs");
  expect(score_labels == 0 || !tied, "a scoring head that is not tied to the embedding");
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
    layers_.push_back(add_layer(c, "model.layers." + std::to_string(i) + "."));
  }
  final_norm_ = add("model.norm.weight", c.hidden, 0);
  if (c.score_labels > 0) {
    head_ = add("score.weight", c.score_labels, c.hidden);
  } else {
    head_ = c.tied ? embedding() : add("lm_head.weight", c.vocab, c.hidden);
  }
  own_count_ = count();
}

LayerParameters ParameterList::add_layer(const ModelConfig& c, const std::string& prefix) {
  const std::string attention = prefix + "self_attn.", mlp = prefix + "mlp.";
  LayerParameters p;
  p.input_norm = add(prefix + "input_layernorm.weight", c.hidden, 0);
  p.q = add(attention + "q_proj.weight", c.query_size(), c.hidden, c.head_size);
  p.k = add(attention + "k_proj.weight", c.kv_size(), c.hidden, c.head_size);
  p.v = add(attention + "v_proj.weight", c.kv_size(), c.hidden);
  if (c.qkv_bias) {
    p.q_bias = add(attention + "q_proj.bias", c.query_size(), 0);
    p.k_bias = add(attention + "k_proj.bias", c.kv_size(), 0);
    p.v_bias = add(attention + "v_proj.bias", c.kv_size(), 0);
  }
  if (c.qk_norm) {
    p.q_norm = add(attention + "q_norm.weight", c.head_size, 0);
    p.k_norm = add(attention + "k_norm.weight", c.head_size, 0);
  }
  p.o = add(attention + "o_proj.weight", c.hidden, c.query_size());
  p.post_norm = add(prefix + "post_attention_layernorm.weight", c.hidden, 0);
  p.gate = add(mlp + "gate_proj.weight", c.ffn, c.hidden);
  p.up = add(mlp + "up_proj.weight", c.ffn, c.hidden);
  p.down = add(mlp + "down_proj.weight", c.hidden, c.ffn);
  return p;
}

int ParameterList::add(std::string name, int64_t rows, int64_t columns, int64_t head_size) {
  specs_.push_back({std::move(name), rows, columns, head_size});
  return count() - 1;
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

namespace {

float widened(float value) { return value; }
float widened(uint16_t bfloat16) {
  const uint32_t bits = static_cast<uint32_t>(bfloat16) << 16;
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

template <class Value>
void unpack_values(const ParameterSpec& spec, int64_t panel, const Value* stored, float* rows) {
  const int64_t height = std::min<int64_t>(kPanel, spec.rows - panel * kPanel);
  const Value* from = stored + panel * kPanel * spec.columns;
  for (int64_t i = 0; i < height; ++i) {
    for (int64_t k = 0; k < spec.columns; ++k) rows[i * spec.columns + k] = widened(from[k * kPanel + i]);
  }
}

}  // namespace

void unpack_panel(const ParameterSpec& spec, int64_t panel, const Panels& stored, float* rows) {
  if (stored.bf16 != nullptr) {
    unpack_values(spec, panel, stored.bf16, rows);
  } else {
    unpack_values(spec, panel, stored.f32, rows);
  }
}

Buffer narrow_panels(const Buffer& panels) {
  Buffer narrow((panels.count() + 1) / 2);
  uint16_t* to = reinterpret_cast<uint16_t*>(narrow.data());
  for (int64_t i = 0; i < panels.count(); ++i) to[i] = float_to_bfloat16(panels.data()[i]);
  return narrow;
}

// A larger one would make its block's scale, a float16, infinite.
static constexpr float kLargestQ8 = 127 * 65504.0f;

Buffer quantized_rows(const ParameterSpec& spec, const Buffer& panels) {
  const StoredFormat format = stored_format(StoredType::q8_0);
  const int64_t row_bytes = spec.columns / format.block_elements * format.block_bytes;
  Buffer rows((spec.rows * row_bytes + 3) / 4);
  uint8_t* to = reinterpret_cast<uint8_t*>(rows.data());
  std::vector<float> values(static_cast<size_t>(kPanel * spec.columns));
  for (int64_t panel = 0; panel < panel_count(spec.rows); ++panel) {
    const int64_t height = std::min<int64_t>(kPanel, spec.rows - panel * kPanel);
    unpack_panel(spec, panel, panels.data(), values.data());
    const bool fits = std::all_of(values.begin(), values.begin() + height * spec.columns,
                                  [](float value) { return std::fabs(value) <= kLargestQ8; });
    LSP_CHECK(fits, "INVALID_MODEL_FILE",
              "Expected weights of at most 8.3e6 to hold in int8 but '" + spec.name + "' has larger ones.");
    quantize_q8_0(values.data(), height * spec.columns, to + panel * kPanel * row_bytes);
  }
  return rows;
}

Buffer widened_panels(const ParameterSpec& spec, const Panels& stored) {
  Buffer wide(spec.stored_floats());
  for (int64_t i = 0; i < wide.count(); ++i)
    wide.data()[i] = stored.bf16 != nullptr ? widened(stored.bf16[i]) : stored.f32[i];
  return wide;
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

void unpack_parameter(const ParameterSpec& spec, const Panels& stored, float* values) {
  if (!spec.is_matrix()) {
    std::memcpy(values, stored.f32, static_cast<size_t>(spec.rows) * sizeof(float));
    return;
  }
  for (int64_t panel = 0; panel < panel_count(spec.rows); ++panel) {
    unpack_panel(spec, panel, stored, values + panel * kPanel * spec.columns);
  }
}

}  // namespace lsp
