#include "model/backward.h"

#include <cstring>

#include "model/lora.h"

namespace lsp {

namespace {

Buffer copy_of(const Buffer& from) {
  if (from.count() == 0) return Buffer();  // null stays null
  Buffer copy(from.count());
  std::memcpy(copy.data(), from.data(), static_cast<size_t>(from.count()) * sizeof(float));
  return copy;
}

}  // namespace

Gradients::Gradients(const Model& model) : tied_(model.config().tied) {
  const ParameterList& parameters = model.parameters();
  for (int i = 0; i < parameters.count(); ++i)
    buffers_.push_back(parameters.trains(i) ? Buffer(parameters[i].stored_floats()) : Buffer());
  if (tied_ && parameters.trains(parameters.embedding()))
    tied_input_ = Buffer(parameters[parameters.embedding()].stored_floats());
}

float* Gradients::input_part(int parameter) { return tied_ && parameter == 0 ? tied_input_.data() : nullptr; }

float* Gradients::embedding_input() { return tied_ ? tied_input_.data() : buffers_[0].data(); }

void Gradients::clear() {
  if (zero_) return;
  for (Buffer& buffer : buffers_) buffer.fill_zero();
  tied_input_.fill_zero();
  zero_ = true;
}

std::vector<Buffer> Gradients::snapshot() const {
  std::vector<Buffer> saved;
  for (const Buffer& buffer : buffers_) saved.push_back(copy_of(buffer));
  saved.push_back(copy_of(tied_input_));
  return saved;
}

void Gradients::restore(std::vector<Buffer> saved) {
  tied_input_ = std::move(saved.back());
  saved.pop_back();
  buffers_ = std::move(saved);
}

BackwardScratch::BackwardScratch(const ModelConfig& c, int64_t tokens)
    : memory_(tokens * floats_per_token(c)) {
  float* at = memory_.data();
  const auto take = [&](int64_t width) {
    float* piece = at;
    at += tokens * width;
    return piece;
  };
  dx = take(c.hidden);
  dh = take(c.hidden);
  dact = take(c.ffn);
  dattention = take(c.query_size());
  dq = take(c.query_size());
  dk = take(c.kv_size());
  dv = take(c.kv_size());
}

int64_t BackwardScratch::floats_per_token(const ModelConfig& c) {
  return 2 * c.hidden + c.ffn + 2 * c.query_size() + 2 * c.kv_size();
}

namespace {

class LayerBackward {
 public:
  LayerBackward(Model& model, const TokenBatch& batch, Activations& activations, BackwardScratch& scratch,
                Gradients& gradients)
      : model_(model),
        c_(model.config()),
        batch_(batch),
        a_(activations),
        s_(scratch),
        g_(gradients),
        rope_positions_(c_, batch),
        t_(batch.tokens()) {}

  // scratch.dx: gradient of the layer's output residual in, of its input residual out.
  void run(int64_t index) {
    const LayerParameters& p = model_.parameters().layer(index);
    LayerActivations& layer = a_.layers[static_cast<size_t>(index)];
    mlp(p, layer);
    attention(index, p, layer);
  }

  void norm(int weight, const float* dy, const float* residual, const float* rstd) {
    model_.kernels().rmsnorm->backward(
        model_.exec(), {s_.dx, g_.of(weight), dy, residual, rstd, model_.weight(weight), t_, c_.hidden});
  }

 private:
  void mlp(const LayerParameters& p, LayerActivations& layer) {
    const SwigluKernels& swiglu = *model_.kernels().swiglu;
    swiglu.forward(model_.exec(), {a_.act, layer.gate, layer.up, t_ * c_.ffn});
    products({{p.down, s_.dx}}, a_.act, s_.dact, c_.ffn);
    swiglu.backward(model_.exec(), {layer.gate, layer.up, s_.dact, layer.gate, layer.up, t_ * c_.ffn});
    normalize(model_, p.post_norm, layer.residual_mid, t_, a_.h, nullptr);
    products({{p.gate, layer.gate}, {p.up, layer.up}}, a_.h, s_.dh, c_.hidden);
    norm(p.post_norm, s_.dh, layer.residual_mid, layer.rstd_mid);
  }

  void attention(int64_t index, const LayerParameters& p, LayerActivations& layer) {
    products({{p.o, s_.dx}}, layer.attention, s_.dattention, c_.query_size());
    attend(index, layer);
    model_.kernels().rope->backward(
        model_.exec(), {s_.dq, s_.dk, model_.cosine(), model_.sine(), rope_positions_.of(index), t_, c_.heads,
                        c_.kv_heads, c_.head_size});
    queries_keys_values(p, layer);
    norm(p.input_norm, s_.dh, layer.residual_in, layer.rstd_in);
  }

  void attend(int64_t index, const LayerActivations& layer) {
    AttentionBackward b{};
    b.dq = s_.dq;
    b.dk = s_.dk;
    b.dv = s_.dv;
    b.dy = s_.dattention;
    b.y = layer.attention;
    b.lse = layer.lse;
    b.q = layer.q;
    b.blocks = batch_.blocks.data();
    b.block_count = static_cast<int64_t>(batch_.blocks.size());
    b.layer_offset = index * kv_layer_floats(c_.kv_heads, c_.head_size);
    b.segments = batch_.segments.data();
    b.tree_segments = batch_.tree_segments.data();
    b.tree_count = static_cast<int64_t>(batch_.tree_segments.size()) - 1;
    b.slot_token = batch_.slot_token.data();
    b.carried = batch_.carried.empty() ? nullptr : batch_.carried.data();
    b.carried_offset = index * attention_accumulator_floats(c_.heads, c_.head_size);
    b.beyond = batch_.beyond.data();
    b.beyond_offset = index * 2 * c_.kv_size();
    b.begun = batch_.begun == nullptr ? nullptr : batch_.begun + index * 2 * c_.kv_size();
    b.begun_row = batch_.begun_row;
    b.t = t_;
    b.heads = c_.heads;
    b.kv_heads = c_.kv_heads;
    b.head_size = c_.head_size;
    model_.kernels().attention->backward(model_.exec(), b);
  }

  // From the gradients of q, k (before RoPE) and v to that of the projections' input, s_.dh. The norms' input
  // gradients take memory that is done with: those of q that of the attention's, those of k the forward's k.
  void queries_keys_values(const LayerParameters& p, LayerActivations& layer) {
    float *dq = s_.dq, *dk = s_.dk;
    if (c_.qk_norm) {
      norm_heads(p.q_norm, s_.dattention, s_.dq, layer.q_raw, layer.rstd_q, c_.heads);
      norm_heads(p.k_norm, a_.k, s_.dk, layer.k_raw, layer.rstd_k, c_.kv_heads);
      dq = s_.dattention;
      dk = a_.k;
    }
    if (c_.qkv_bias) {
      bias_gradient(p.q_bias, dq);
      bias_gradient(p.k_bias, dk);
      bias_gradient(p.v_bias, s_.dv);
    }
    normalize(model_, p.input_norm, layer.residual_in, t_, a_.h, nullptr);
    products({{p.q, dq}, {p.k, dk}, {p.v, s_.dv}}, a_.h, s_.dh, c_.hidden);
  }

  // dx (T heads, D) from dy; each head's D values are a row of their own.
  void norm_heads(int weight, float* dx, const float* dy, const float* x, const float* rstd, int64_t heads) {
    const int64_t rows = t_ * heads, size = c_.head_size;
    std::memset(dx, 0, static_cast<size_t>(rows * size) * sizeof(float));
    model_.kernels().rmsnorm->backward(model_.exec(),
                                       {dx, g_.of(weight), dy, x, rstd, model_.weight(weight), rows, size});
  }

  void bias_gradient(int bias, const float* dy) {
    if (g_.of(bias) == nullptr) return;
    model_.kernels().bias->backward(model_.exec(), {g_.of(bias), dy, t_, model_.parameters()[bias].rows});
  }

  // Gradients of the matrices that x (T, K) was multiplied by, or of their adapters, and dx, the sum of
  // theirs.
  void products(std::initializer_list<Upstream> of, const float* x, float* dx, int64_t k) {
    LowRankTerm terms[3];
    adapter_gradients(model_, g_, of.begin(), terms, static_cast<int>(of.size()), x, k, t_);
    LinearGradient gradients[3];
    int count = 0;
    for (const Upstream& upstream : of) {
      const int64_t n = model_.parameters()[upstream.weight].rows;
      float* dweight = g_.of(upstream.weight);
      if (dweight != nullptr) gradients[count++] = {dweight, upstream.dy, n, n};
    }
    if (count > 0) model_.linear().backward_weight(model_.exec(), {gradients, count, x, k, t_, k});
    const LowRankTerm* term = terms;
    for (const Upstream& upstream : of) {
      const int64_t n = model_.parameters()[upstream.weight].rows;
      const bool adds = term > terms;
      model_.linear().backward_input(
          model_.exec(), {dx, upstream.dy, model_.panels(upstream.weight), k, n, t_, k, n, adds, *term++});
    }
  }

  Model& model_;
  const ModelConfig& c_;
  const TokenBatch& batch_;
  Activations& a_;
  BackwardScratch& s_;
  Gradients& g_;
  const RopePositions rope_positions_;
  const int64_t t_;
};

}  // namespace

void backward(Model& model, const TokenBatch& batch, Activations& a, const float* dhidden, BackwardScratch& s,
              Gradients& gradients, const Operation& operation) {
  const ModelConfig& c = model.config();
  const int64_t t = batch.tokens();
  gradients.mark_touched();
  LayerBackward layer(model, batch, a, s, gradients);
  std::memset(s.dx, 0, static_cast<size_t>(t * c.hidden) * sizeof(float));
  layer.norm(model.parameters().final_norm(), dhidden, a.residual_final, a.rstd_final);
  for (int64_t i = c.layers - 1; i >= model.parameters().first_trained_layer(); --i) {
    operation.poll();
    if (a.keep() == Keep::inputs) recompute_layer(model, batch, a, i);
    layer.run(i);
  }
  if (gradients.embedding_input() == nullptr) return;
  model.kernels().embedding->backward(
      model.exec(), {gradients.embedding_input(), s.dx, batch.ids.data(), t, c.hidden, c.padding_id});
}

}  // namespace lsp
