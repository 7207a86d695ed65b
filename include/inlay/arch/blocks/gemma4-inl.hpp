// What Gemma 4 has besides attention and a dense feed-forward: experts beside the dense one, each
// with norms of its own, and a part at the end of a layer that embeds the tokens once more.
#ifndef INLAY_ARCH_BLOCKS_GEMMA4_INL_HPP_
#define INLAY_ARCH_BLOCKS_GEMMA4_INL_HPP_

#include <cmath>

#include "inlay/arch/block.hpp"
#include "inlay/arch/blocks/experts-inl.hpp"
#include "inlay/arch/phases-inl.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

struct PerLayerEmbedWork {
  const Weight* table;  // [n_vocab][n_layers * width]
  NormWeights norm;     // of one layer's part
  uint32_t width;
};
struct PerLayerGateWork {
  uint32_t first, width;  // the layer's part
  arch::Activation activation;
  bool quantize;
};
struct ScaleWork {
  const float* factor;
  uint32_t width;
};

namespace phase {

// per_layer = (norm(per_layer / sqrt(n_embd)) + embedding * sqrt(width)) / sqrt(2)
inline void embed_per_layer(const void* work, void* state, uint32_t task, void*) noexcept {
  const PerLayerEmbedWork& w = work_of<PerLayerEmbedWork>(work);
  const State& s = state_of(state);
  const uint32_t all = w.table->cols;
  for_rows(s.n, task, [&](uint32_t i) {
    float *out = s.row(Buffer::per_layer, i), *embedding = s.row(Buffer::up, i);
    s.kernels->scale(1 / std::sqrt(static_cast<float>(s.hparams->n_embd)), all, out);
    for (uint32_t at = 0; at < all; at += w.width)
      normalize(s, w.norm, out + at, w.width, out + at);
    const size_t row = static_cast<uint32_t>(s.tokens[i]) * w.table->row_bytes();
    dequantize_row(w.table->type, w.table->data + row, all, embedding);
    s.kernels->scale_add(std::sqrt(static_cast<float>(w.width)), embedding, all, out);
    s.kernels->scale(std::sqrt(0.5f), all, out);
  });
}

// gate = activation(gate) * the layer's part of per_layer
inline void gate_per_layer(const void* work, void* state, uint32_t task, void*) noexcept {
  const PerLayerGateWork& w = work_of<PerLayerGateWork>(work);
  const State& s = state_of(state);
  for_rows(s.n, task, [&](uint32_t i) {
    float* gate = s.row(Buffer::gate, i);
    s.kernels->activate(w.activation, gate, s.row(Buffer::per_layer, i) + w.first, w.width, gate);
  });
  if (w.quantize) quantize_rows(s, Buffer::gate, w.width, s.n, task);
}

inline void scale_x(const void* work, void* state, uint32_t task, void*) noexcept {
  const ScaleWork& w = work_of<ScaleWork>(work);
  const State& s = state_of(state);
  for_rows(s.n, task,
           [&](uint32_t i) { s.kernels->scale(*w.factor, w.width, s.row(Buffer::x, i)); });
}

}  // namespace phase
}  // namespace detail

namespace arch {

struct Gemma4FeedForward {
  static constexpr uint32_t kLeastWidth = 1;

  INLAY_COLD static void read(detail::Keys& keys, const detail::Facts& facts,
                              detail::Hyper* h) noexcept {
    ExpertFeedForward::read(keys, facts, h);
  }

  INLAY_COLD static void write(detail::BlockWriter& w) noexcept {
    using namespace detail;
    DenseFeedForward::write(w);
    if (!w.tensors.has("ffn_gate_inp")) return;
    const uint32_t n = w.h.n_embd;
    w.plan.norm(w.norm("post_ffw_norm_1", n), w.out, w.out, n);
    // The router has a norm of its own, with its weights in a tensor called scale.
    NormWeights norm;
    norm.weight = w.tensors.vector("ffn_gate_inp", n, Presence::required, ".scale");
    norm.epsilon = w.h.norm_epsilon;
    w.plan.norm(norm, Buffer::x, Buffer::norm, n);
    const Weight& router = w.tensors.matrix("ffn_gate_inp", w.h.experts.count, n);
    w.plan.matmul(Buffer::norm, {{&router, nullptr, kRouter}});
    w.plan.norm(w.norm("pre_ffw_norm_2", n), Buffer::x, Buffer::norm, n);
    ExpertFeedForward::Place place = {Buffer::norm, Buffer::attn};
    place.router_scale = 1 / std::sqrt(static_cast<float>(n));
    ExpertFeedForward::write_experts(w, place);
    const NormWeights post = w.norm("post_ffw_norm_2", n);
    w.plan.add(Buffer::attn, &post, 1, n, w.out);
  }
};

struct Gemma4LayerEnd {
  static void write_before_layers(detail::BlockWriter& w) noexcept {
    using namespace detail;
    const uint32_t n = w.h.per_layer_embd, all = n * w.h.n_layers;
    if (n == 0) return;
    const Weight& table = w.tensors.table("per_layer_token_embd", w.h.n_vocab, all);
    const Weight& projection = w.tensors.matrix("per_layer_model_proj", all, w.h.n_embd);
    const NormWeights norm = w.norm("per_layer_proj_norm", n);
    w.plan.matmul(Buffer::x, {{&projection, nullptr, Buffer::per_layer}});
    w.plan.append(phase::count_rows, phase::embed_per_layer, PerLayerEmbedWork{&table, norm, n});
    w.plan.needs().widen(Buffer::up, all);
  }

  INLAY_COLD static void write(detail::BlockWriter& w) noexcept {
    using namespace detail;
    const uint32_t n = w.h.per_layer_embd;
    if (n > 0) {
      const Weight& gate = w.tensors.matrix("inp_gate", n, w.h.n_embd);
      const Weight& projection = w.tensors.matrix("proj", w.h.n_embd, n);
      const NormWeights post = w.norm("post_norm", w.h.n_embd);
      w.plan.matmul(Buffer::x, {{&gate, nullptr, Buffer::gate}});
      PerLayerGateWork* kept =
          w.plan.append(phase::count_rows, phase::gate_per_layer,
                        PerLayerGateWork{w.layer * n, n, w.facts.activation, false});
      if (kept != nullptr) w.plan.wrote(Buffer::gate, n, &kept->quantize);
      w.plan.matmul(Buffer::gate, {{&projection, nullptr, Buffer::branch}});
      w.plan.add(Buffer::branch, &post, 1, w.h.n_embd);
    }
    const float* factor = w.tensors.vector("layer_output_scale", 1, Presence::optional);
    if (factor == nullptr) return;
    w.plan.append(phase::count_rows, phase::scale_x, ScaleWork{factor, w.h.n_embd});
    w.plan.wrote(Buffer::x, w.h.n_embd);
  }
};

}  // namespace arch
INLAY_END_NAMESPACE

#endif  // INLAY_ARCH_BLOCKS_GEMMA4_INL_HPP_
