#include "model/forward.h"

#include "model/kv_cache.h"
#include "model/lora.h"

namespace lsp {

namespace {

// Sizes in floats per token, in the order of LayerActivations.
std::vector<int64_t> layer_sizes(const ModelConfig& c) {
  const int64_t normed = c.qk_norm ? 1 : 0;
  return {c.hidden,
          1,
          normed * c.query_size(),
          normed * c.kv_size(),
          normed * c.heads,
          normed * c.kv_heads,
          c.query_size(),
          c.query_size(),
          c.heads,
          c.hidden,
          1,
          c.ffn,
          c.ffn};
}

std::vector<int64_t> common_sizes(const ModelConfig& c) {
  return {c.hidden, 1, c.hidden, c.hidden, c.hidden, c.kv_size(), c.kv_size(), c.ffn};
}

int64_t sum_of(const std::vector<int64_t>& sizes) {
  int64_t sum = 0;
  for (const int64_t size : sizes) sum += size;
  return sum;
}

// Hands out 64-byte aligned pieces.
class Carver {
 public:
  explicit Carver(float* memory) : at_(memory) {}
  float* take(int64_t floats) {
    float* piece = at_;
    at_ += (floats + 15) / 16 * 16;
    return piece;
  }

 private:
  float* at_;
};

constexpr int64_t kPieceSlack = 16;

}  // namespace

int64_t Activations::floats_per_token(const ModelConfig& c, Keep keep) {
  const int64_t inputs = keep == Keep::inputs ? (c.layers - 1) * c.hidden : 0;
  return sum_of(layer_sizes(c)) * (keep == Keep::all ? c.layers : 1) + inputs + sum_of(common_sizes(c));
}

Activations::Activations(const ModelConfig& c, int64_t tokens, Keep keep)
    : layers(static_cast<size_t>(c.layers)),
      capacity_(tokens),
      keep_(keep),
      memory_(tokens * floats_per_token(c, keep) + kPieceSlack * (13 * c.layers + 8)) {
  Carver carver(memory_.data());
  for (size_t i = 0; i < layers.size(); ++i) {
    LayerActivations& layer = layers[i];
    if (keep != Keep::all && i > 0) {
      layer = layers[0];
      if (keep == Keep::inputs) layer.residual_in = carver.take(tokens * c.hidden);
      continue;
    }
    const std::vector<int64_t> sizes = layer_sizes(c);
    float** const pieces[] = {&layer.residual_in, &layer.rstd_in,      &layer.q_raw,    &layer.k_raw,
                              &layer.rstd_q,      &layer.rstd_k,       &layer.q,        &layer.attention,
                              &layer.lse,         &layer.residual_mid, &layer.rstd_mid, &layer.gate,
                              &layer.up};
    for (size_t j = 0; j < sizes.size(); ++j) *pieces[j] = carver.take(tokens * sizes[j]);
  }
  const std::vector<int64_t> sizes = common_sizes(c);
  float** const pieces[] = {&residual_final, &rstd_final, &hidden, &h, &delta, &k, &v, &act};
  for (size_t j = 0; j < sizes.size(); ++j) *pieces[j] = carver.take(tokens * sizes[j]);
}

namespace {

// One layer's pass; `delta` (of the layer before, or null) is added to the residual on the way in, and holds
// this layer's MLP output on the way out.
class LayerForward {
 public:
  LayerForward(Model& model, const TokenBatch& batch, const Activations& activations, Precision precision)
      : model_(model),
        precision_(precision),
        c_(model.config()),
        batch_(batch),
        a_(activations),
        rope_positions_(c_, batch),
        t_(batch.tokens()) {}

  void run(int64_t index, const float* residual, const float* delta) {
    const LayerParameters& p = model_.parameters().layer(index);
    const LayerActivations& layer = a_.layers[static_cast<size_t>(index)];
    norm(p.input_norm, residual, delta, layer.residual_in, layer.rstd_in, a_.h);
    after_norm(index, p, layer);
    model_.kernels().swiglu->forward(model_.exec(), {a_.act, layer.gate, layer.up, t_ * c_.ffn});
    project({{p.down, a_.delta}}, a_.act, c_.ffn);
  }

  // From the layer's input, without its output.
  void recompute(int64_t index) {
    const LayerParameters& p = model_.parameters().layer(index);
    const LayerActivations& layer = a_.layers[static_cast<size_t>(index)];
    norm(p.input_norm, layer.residual_in, nullptr, nullptr, layer.rstd_in, a_.h);
    after_norm(index, p, layer);
  }

  void norm(int weight, const float* residual, const float* delta, float* residual_out, float* rstd,
            float* y) {
    model_.kernels().rmsnorm->forward(model_.exec(), {y, rstd, residual_out, residual, delta,
                                                      model_.weight(weight), t_, c_.hidden, c_.norm_eps});
  }

 private:
  // From the normalised input to gate and up.
  void after_norm(int64_t index, const LayerParameters& p, const LayerActivations& layer) {
    queries_keys_values(p, layer);
    attend(index, layer);
    project({{p.o, a_.delta}}, layer.attention, c_.query_size());
    norm(p.post_norm, layer.residual_in, a_.delta, layer.residual_mid, layer.rstd_mid, a_.h);
    project({{p.gate, layer.gate}, {p.up, layer.up}}, a_.h, c_.hidden);
  }

  // What of q and k comes from the projections is kept apart from what their norms make of it.
  void queries_keys_values(const LayerParameters& p, const LayerActivations& layer) {
    float* const q = c_.qk_norm ? layer.q_raw : layer.q;
    float* const k = c_.qk_norm ? layer.k_raw : a_.k;
    project({{p.q, q}, {p.k, k}, {p.v, a_.v}}, a_.h, c_.hidden);
    if (c_.qkv_bias) {
      add_bias(p.q_bias, q);
      add_bias(p.k_bias, k);
      add_bias(p.v_bias, a_.v);
    }
    if (c_.qk_norm) {
      norm_heads(p.q_norm, q, c_.heads, layer.rstd_q, layer.q);
      norm_heads(p.k_norm, k, c_.kv_heads, layer.rstd_k, a_.k);
    }
  }

  void add_bias(int bias, float* y) {
    model_.kernels().bias->forward(model_.exec(),
                                   {y, model_.weight(bias), t_, model_.parameters()[bias].rows});
  }

  // Each head's D values are a row of their own.
  void norm_heads(int weight, const float* x, int64_t heads, float* rstd, float* y) {
    model_.kernels().rmsnorm->forward(model_.exec(), {y, rstd, nullptr, x, nullptr, model_.weight(weight),
                                                      t_ * heads, c_.head_size, c_.norm_eps});
  }

  // A projection of x: the index of its matrix, and where its result goes.
  struct Projection {
    int weight;
    float* y;  // (T, N)
  };

  void project(std::initializer_list<Projection> projections, const float* x, int64_t k) {
    if (precision_ == Precision::int8) {
      project_int8(projections, x, k);
    } else {
      project_exactly(projections, x, k);
    }
  }

  void project_exactly(std::initializer_list<Projection> projections, const float* x, int64_t k) {
    int weights[3] = {}, count = 0;
    for (const Projection& projection : projections) weights[count++] = projection.weight;
    LowRankTerm terms[3];
    adapter_terms(model_, weights, terms, count, x, k, t_);
    LinearPart parts[3];
    count = 0;
    for (const Projection& projection : projections) {
      const int64_t n = model_.parameters()[projection.weight].rows;
      parts[count] = {model_.panels(projection.weight), n, projection.y, n, terms[count]};
      ++count;
    }
    model_.linear().forward(model_.exec(), {parts, count, x, k, t_, k});
  }

  // The adapter is in the rounded weights.
  void project_int8(std::initializer_list<Projection> projections, const float* x, int64_t k) {
    Int8Part parts[3];
    int count = 0;
    for (const Projection& projection : projections) {
      const int64_t n = model_.parameters()[projection.weight].rows;
      parts[count++] = {model_.int8().panels(projection.weight), n, projection.y, n};
    }
    model_.kernels().int8->forward(model_.exec(), {parts, count, x, k, t_, k});
  }

  void attend(int64_t index, const LayerActivations& layer) {
    const int64_t offset = index * kv_layer_floats(c_.kv_heads, c_.head_size);
    model_.kernels().rope->forward(
        model_.exec(), {layer.q, a_.k, a_.v, model_.cosine(), model_.sine(), rope_positions_.of(index),
                        batch_.writes.data(), static_cast<int64_t>(batch_.writes.size()), offset, t_,
                        c_.heads, c_.kv_heads, c_.head_size, cache_type(precision_)});
    model_.kernels().attention->forward(
        model_.exec(),
        {layer.attention, a_.keep() == Keep::nothing ? nullptr : layer.lse, layer.q, batch_.blocks.data(),
         offset, batch_.segments.data(), static_cast<int64_t>(batch_.segments.size()), c_.heads, c_.kv_heads,
         c_.head_size, cache_type(precision_)});
  }

  Model& model_;
  const Precision precision_;
  const ModelConfig& c_;
  const TokenBatch& batch_;
  const Activations& a_;
  const RopePositions rope_positions_;
  const int64_t t_;
};

}  // namespace

void forward(Model& model, const TokenBatch& batch, Activations& a, const Operation& operation,
             Precision precision) {
  const ModelConfig& c = model.config();
  const int64_t t = batch.tokens();
  LSP_CHECK(t <= a.capacity(), "INTERNAL", "Expected a batch that fits its activations.");
  model.ensure_positions(batch.last_position() + 1);
  float* first = a.layers[0].residual_in;
  model.kernels().embedding->forward(
      model.exec(), {first, model.panels(model.parameters().embedding()), batch.ids.data(), t, c.hidden});
  LayerForward layer(model, batch, a, precision);
  for (int64_t i = 0; i < c.layers; ++i) {
    operation.poll();
    const float* residual = i == 0 ? first : a.layers[static_cast<size_t>(i - 1)].residual_mid;
    layer.run(i, residual, i == 0 ? nullptr : a.delta);
  }
  layer.norm(model.parameters().final_norm(), a.layers.back().residual_mid, a.delta, a.residual_final,
             a.rstd_final, a.hidden);
}

void recompute_layer(Model& model, const TokenBatch& batch, const Activations& a, int64_t layer) {
  LayerForward(model, batch, a, Precision::exact).recompute(layer);
}

void normalize(Model& model, int norm, const float* residual, int64_t tokens, float* h, float* rstd) {
  const ModelConfig& c = model.config();
  model.kernels().rmsnorm->forward(
      model.exec(), {h, rstd, nullptr, residual, nullptr, model.weight(norm), tokens, c.hidden, c.norm_eps});
}

}  // namespace lsp
