// What some architectures read of the metadata besides the keys that all have
// (model/hyper-inl.hpp). Each comes last and may change what was derived before.
#ifndef INLAY_ARCH_METADATA_INL_HPP_
#define INLAY_ARCH_METADATA_INL_HPP_

#include <cmath>

#include "inlay/arch/block.hpp"

INLAY_BEGIN_NAMESPACE
namespace arch {

struct CommonMetadata {
  INLAY_COLD static void read(detail::Keys&, const detail::Facts&, detail::Hyper*) noexcept {}
};

inline void check_heads(detail::Keys& keys, const detail::LayerHyper& layer) noexcept {
  for (const uint64_t head : {layer.head_k, layer.head_v}) {
    if (head == 0 || head * layer.n_heads > detail::kMaxWidth) {
      return keys.fail(Error(ErrorCode::corrupt, "key ")
                       << keys.architecture() << ".attention.head_count: " << layer.n_heads
                       << " heads of " << head << " elements are out of range");
    }
  }
}

// A scale that is 1 where the file has 0 or nothing.
inline void read_scale(detail::Keys& keys, std::string_view key, float* out) noexcept {
  float scale = 0;
  keys.read(key, 0.0, 1e6, false, &scale);
  if (scale != 0) *out = scale;
}

struct CohereMetadata {
  INLAY_COLD static void read(detail::Keys& keys, const detail::Facts&, detail::Hyper* h) noexcept {
    read_scale(keys, "logit_scale", &h->logit_scale);
  }
};

// GLM 4.7 Flash came without expert_gating_func, and is known by its sizes.
struct DeepSeek2Metadata {
  INLAY_COLD static void read(detail::Keys& keys, const detail::Facts&, detail::Hyper* h) noexcept {
    const bool flash = (h->n_layers == 47 || h->n_layers == 48) && h->n_vocab == 154880;
    if (flash && !keys.has("expert_gating_func")) h->experts.gating = Gating::sigmoid;
    keys.read("attention.temperature_scale", 0.0, 1e6, false, &h->temperature_scale);
    keys.read("attention.temperature_length", 1, detail::kMaxContext, h->temperature_scale > 0,
              &h->temperature_length);
  }
};

// All layers after the dense ones have experts: llama.cpp cannot load files where only some do.
struct Ernie45MoeMetadata {
  INLAY_COLD static void read(detail::Keys& keys, const detail::Facts&, detail::Hyper*) noexcept {
    uint32_t step = 1;
    keys.read("interleave_moe_layer_step", 1, 1, false, &step);
  }
};

// The one size that has windows is known by its layers.
struct Exaone4Metadata {
  INLAY_COLD static void read(detail::Keys&, const detail::Facts&, detail::Hyper* h) noexcept {
    if (h->n_layers == 64) return;
    for (detail::LayerHyper& layer : h->layers) layer.window = layer.rope = 0;
  }
};

// The 27B models scale q . k by 1 / sqrt(n_embd / n_heads); they are known by their layers.
inline void scale_by_embedding(uint32_t n_layers, detail::Hyper* h) noexcept {
  if (h->n_layers != n_layers) return;
  h->attention_scale = 1 / std::sqrt(static_cast<float>(h->n_embd / h->layers[0].n_heads));
}

struct Gemma2Metadata {
  INLAY_COLD static void read(detail::Keys& keys, const detail::Facts&, detail::Hyper* h) noexcept {
    h->attention_softcap = 50;
    h->final_softcap = 30;
    keys.read("attn_logit_softcapping", 0.0, 1e6, false, &h->attention_softcap);
    keys.read("final_logit_softcapping", 0.0, 1e6, false, &h->final_softcap);
    scale_by_embedding(46, h);
  }
};

struct Gemma3Metadata {
  INLAY_COLD static void read(detail::Keys& keys, const detail::Facts&, detail::Hyper* h) noexcept {
    keys.read("final_logit_softcapping", 0.0, 1e6, false, &h->final_softcap);
    scale_by_embedding(62, h);
  }
};

// Layers with a window have heads of another size; the last layers read K and V of the last one
// before them that has a window too, or none too.
struct Gemma4Metadata {
  INLAY_COLD static void read(detail::Keys& keys, const detail::Facts&, detail::Hyper* h) noexcept {
    using namespace detail;
    h->attention_scale = 1;
    h->final_softcap = 30;
    keys.read("final_logit_softcapping", 0.0, 1e6, false, &h->final_softcap);
    keys.read("embedding_length_per_layer_input", 0, kMaxWidth / h->n_layers, false,
              &h->per_layer_embd);
    uint32_t head_k = h->layers[0].head_k, head_v = h->layers[0].head_v, shared = 0;
    keys.read("attention.key_length_swa", 1, kMaxWidth, false, &head_k);
    keys.read("attention.value_length_swa", 1, kMaxWidth, false, &head_v);
    keys.read("attention.shared_kv_layers", 0, h->n_layers - 1, false, &shared);
    if (!keys.status()) return;
    const auto rotated = [&](std::string_view key, uint32_t head, RopeHyper& rope) {
      rope.n_rot = head;
      keys.read(key, 2, head, false, &rope.n_rot);
    };
    rotated("rope.dimension_count", h->layers[0].head_k, h->rope[0]);
    rotated("rope.dimension_count_swa", head_k, h->rope[1]);
    for (uint32_t i = 0; i < h->n_layers && keys.status(); ++i) {
      LayerHyper& layer = h->layers[i];
      if (layer.window != 0) {
        layer.head_k = head_k;
        layer.head_v = head_v;
        check_heads(keys, layer);
      }
      if (i < h->n_layers - shared) continue;
      uint32_t from = h->n_layers - shared;
      while (from > 0 && (h->layers[from - 1].window != 0) != (layer.window != 0)) --from;
      if (from == 0 || h->layers[from - 1].n_kv_heads != layer.n_kv_heads) {
        return keys.fail(Error(ErrorCode::corrupt, "key ")
                         << keys.architecture() << ".attention.shared_kv_layers: no layer before "
                         << i << " has K and V for it");
      }
      layer.kv_layer = from - 1;
    }
  }
};

struct GptNeoxMetadata {
  INLAY_COLD static void read(detail::Keys& keys, const detail::Facts&, detail::Hyper* h) noexcept {
    bool parallel = true;
    keys.read("use_parallel_residual", &parallel);
    h->residual = parallel ? Residual::parallel : Residual::pre;
  }
};

// A scaling that the model was not trained with means none at all, and no RoPE.
struct GraniteMetadata {
  INLAY_COLD static void read(detail::Keys& keys, const detail::Facts&, detail::Hyper* h) noexcept {
    bool rotates = true;
    keys.read("rope.scaling.finetuned", &rotates);
    for (detail::LayerHyper& layer : h->layers) layer.rope = rotates ? layer.rope : detail::kNoRope;
    read_scale(keys, "embedding_scale", &h->embedding_scale);
    read_scale(keys, "residual_scale", &h->residual_scale);
    read_scale(keys, "attention.scale", &h->attention_scale);
    float divisor = 1;
    read_scale(keys, "logit_scale", &divisor);
    h->logit_scale = 1 / divisor;
  }
};

// NTK-aware: the base grows with the context (rope.scaling.alpha).
struct HunyuanMetadata {
  INLAY_COLD static void read(detail::Keys& keys, const detail::Facts&, detail::Hyper* h) noexcept {
    float alpha = 0;
    keys.read("rope.scaling.alpha", 0.0, 1e9, false, &alpha);
    const float n_rot = static_cast<float>(h->rope[0].n_rot);
    if (alpha > 0 && n_rot > 2) h->rope[0].base *= std::pow(alpha, n_rot / (n_rot - 2));
  }
};

struct MiniCpmMetadata {
  INLAY_COLD static void read(detail::Keys& keys, const detail::Facts&, detail::Hyper* h) noexcept {
    h->embedding_scale = 12;
    h->residual_scale = 1.4f / std::sqrt(static_cast<float>(h->n_layers));
    float divisor = 256 / static_cast<float>(h->n_embd);
    read_scale(keys, "embedding_scale", &h->embedding_scale);
    read_scale(keys, "residual_scale", &h->residual_scale);
    read_scale(keys, "logit_scale", &divisor);
    h->logit_scale = 1 / divisor;
  }
};

struct Mistral3Metadata {
  INLAY_COLD static void read(detail::Keys& keys, const detail::Facts&, detail::Hyper* h) noexcept {
    keys.read("attention.temperature_scale", 0.0, 1e6, false, &h->temperature_scale);
    h->temperature_length = h->original_context;
    float multiplier = 0;
    keys.read("rope.scaling.yarn_log_multiplier", 0.0, 1e6, false, &multiplier);
    detail::RopeHyper& rope = h->rope[0];
    keys.read("rope.scaling.yarn_beta_fast", 0.0, 1e6, false, &rope.beta_fast);
    keys.read("rope.scaling.yarn_beta_slow", 0.0, 1e6, false, &rope.beta_slow);
    if (rope.scaling == detail::RopeScaling::yarn && rope.factor > 1) {
      rope.magnitude /= 1 + 0.1f * multiplier * std::log(rope.factor);
    }
  }
};

struct MptMetadata {
  INLAY_COLD static void read(detail::Keys& keys, const detail::Facts&, detail::Hyper* h) noexcept {
    keys.read("attention.max_alibi_bias", 0.0, 1e6, false, &h->alibi_bias);
    keys.read("attention.clamp_kqv", 0.0, 1e6, false, &h->qkv_clamp);
  }
};

struct Qwen35Metadata {
  INLAY_COLD static void read(detail::Keys& keys, const detail::Facts&, detail::Hyper* h) noexcept {
    keys.read_list("rope.dimension_sections", 0, detail::kMaxWidth, detail::RopeHyper::kSections,
                   h->rope[0].sections);
  }
};

struct BloomMetadata {
  INLAY_COLD static void read(detail::Keys&, const detail::Facts&, detail::Hyper* h) noexcept {
    h->alibi_bias = 8;
  }
};

}  // namespace arch
INLAY_END_NAMESPACE

#endif  // INLAY_ARCH_METADATA_INL_HPP_
