// Metadata to numbers: every key has one type and one range, and a value outside of it is an error
// that names it.
#ifndef INLAY_MODEL_HYPER_INL_HPP_
#define INLAY_MODEL_HYPER_INL_HPP_

#include <cmath>
#include <string_view>

#include "inlay/arch/registry-inl.hpp"
#include "inlay/core/memory.hpp"
#include "inlay/gguf/gguf.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

inline void read_heads(Keys& keys, const Facts& a, Hyper* h) noexcept {
  const uint32_t n = h->n_layers;
  keys.read_layers("attention.head_count", a.least_heads, kMaxHeads, a.least_heads > 0, n,
                   [&](uint32_t i, uint32_t heads) { h->layers[i].n_heads = heads; });
  for (LayerHyper& layer : h->layers) layer.n_kv_heads = layer.n_heads;
  keys.read_layers("attention.head_count_kv", a.least_heads, kMaxHeads, false, n,
                   [&](uint32_t i, uint32_t heads) { h->layers[i].n_kv_heads = heads; });
  if (!keys.status()) return;
  uint32_t most = 0;
  for (const LayerHyper& layer : h->layers) most = layer.n_heads > most ? layer.n_heads : most;
  uint32_t head_k = most == 0 ? 0 : h->n_embd / most, head_v = head_k;
  keys.read("attention.key_length", 1, kMaxWidth, false, &head_k);
  keys.read("attention.value_length", 1, kMaxWidth, false, &head_v);
  for (LayerHyper& layer : h->layers) {
    layer.head_k = head_k;
    layer.head_v = head_v;
    if (layer.n_kv_heads == 0) continue;
    if (layer.n_heads == 0 || layer.n_heads % layer.n_kv_heads != 0) {
      return keys.fail(Error(ErrorCode::corrupt, "key ")
                       << keys.architecture() << ".attention.head_count_kv: " << layer.n_kv_heads
                       << " does not divide the " << layer.n_heads
                       << " heads of attention.head_count");
    }
    arch::check_heads(keys, layer);
  }
}

// Which layers have a window.
inline void read_windows(Keys& keys, const Facts& a, Hyper* h) noexcept {
  if (a.windows == arch::Windows::none) return;
  uint32_t window = a.default_window;
  const bool has_default = a.default_window > 0;
  keys.read("attention.sliding_window", a.needs_window || has_default, kMaxContext,
            a.needs_window && !has_default, &window);
  if (a.windows == arch::Windows::all) {
    for (LayerHyper& layer : h->layers) layer.window = window;
    return;
  }
  constexpr std::string_view kPattern = "attention.sliding_window_pattern";
  if (keys.is_array(kPattern)) {
    return keys.read_layers(kPattern, 0, 1, false, h->n_layers, [&](uint32_t i, uint32_t slides) {
      h->layers[i].window = slides != 0 ? window : 0;
    });
  }
  uint32_t period = a.window_period;
  keys.read(kPattern, 0, kMaxLayers, false, &period);
  const uint32_t sees_all = a.windows == arch::Windows::after_first || period == 0 ? 0 : period - 1;
  for (uint32_t i = 0; i < h->n_layers; ++i) {
    if (period == 0 || i % period != sees_all) h->layers[i].window = window;
  }
}

// How layers with a window rotate, if not as the others. `magnitude`: the others', without YaRN's.
inline void read_window_rope(Keys& keys, const Facts& a, float magnitude, Hyper* h) noexcept {
  using arch::WindowRope;
  RopeHyper& rope = h->rope[1];
  const float base = h->rope[0].base;
  if (a.window_rope == WindowRope::own_scaled) {
    rope = h->rope[0];
    // llama.cpp lets "none" speak for the others only.
    if (rope.scaling == RopeScaling::none) rope.scaling = RopeScaling::linear;
  } else {
    rope.n_rot = h->rope[0].n_rot;
    if (a.window_rope == WindowRope::own) rope.magnitude = magnitude;
  }
  rope.uses_divisors = false;
  rope.base = a.window_rope_base > 0 ? a.window_rope_base : base;
  if (a.window_rope == WindowRope::unscaled) return;
  keys.read("rope.freq_base_swa", 1e-3, 1e12, false, &rope.base);
}

// Which layers rotate, and how.
inline void read_ropes(Keys& keys, const Facts& a, Hyper* h) noexcept {
  for (uint32_t i = 0; i < h->n_layers; ++i) h->layers[i].rope = kNoRope;
  h->original_context = h->n_context;
  if (a.rope == arch::Rope::none) return;

  RopeHyper& rope = h->rope[0];
  rope.n_rot = h->layers[0].head_k;
  const uint32_t head_k = rope.n_rot;
  keys.read("rope.dimension_count", 2, head_k, false, &rope.n_rot);
  // llama.cpp rotates as many elements in all layers as in the first one.
  if (a.window_rope != arch::WindowRope::same && h->layers[0].window != 0) {
    keys.read("rope.dimension_count_swa", 2, head_k, false, &rope.n_rot);
  }
  if (rope.n_rot % 2 != 0) {
    return keys.fail(Error(ErrorCode::corrupt, "key ")
                     << a.name << ".rope.dimension_count: " << rope.n_rot << " of " << head_k
                     << " elements cannot be rotated");
  }
  keys.read("rope.freq_base", 1e-3, 1e12, false, &rope.base);
  const bool own =
      a.window_rope != arch::WindowRope::same && a.window_rope != arch::WindowRope::only;
  h->n_ropes = own ? 2 : 1;
  for (uint32_t i = 0; i < h->n_layers; ++i) {
    LayerHyper& layer = h->layers[i];
    const uint32_t every = a.layers_without_rope;
    if (every != 0 && i % every == every - 1) continue;
    if (a.window_rope == arch::WindowRope::only && layer.window == 0) continue;
    layer.rope = own && layer.window != 0 ? 1 : 0;
  }

  const std::string_view type = keys.read_string("rope.scaling.type");
  if (type == "yarn") {
    rope.scaling = RopeScaling::yarn;
  } else if (type.empty() || type == "linear") {
    rope.scaling = RopeScaling::linear;
  } else if (type == "longrope") {
    rope.scaling = RopeScaling::longrope;
  } else if (type != "none") {
    return keys.fail(Error(ErrorCode::unsupported, "key ")
                     << a.name << ".rope.scaling.type: " << type
                     << "; known are none, linear, yarn, longrope");
  }
  keys.read("rope.scale_linear", 0.0, 1e6, false, &rope.factor);  // the older name
  keys.read("rope.scaling.factor", 0.0, 1e6, false, &rope.factor);
  if (rope.factor == 0) rope.factor = 1;
  keys.read("rope.scaling.attn_factor", 0.0, 1e6, false, &rope.magnitude);
  keys.read("rope.scaling.original_context_length", 1, kMaxContext, false, &h->original_context);
  const float magnitude = rope.magnitude;
  if (rope.scaling == RopeScaling::yarn && rope.factor > 1) {
    rope.magnitude *= 0.1f * std::log(rope.factor) + 1;
  }
  if (own) read_window_rope(keys, a, magnitude, h);
}

// What embeddings and scores are made of.
inline void read_pooling(Keys& keys, const Facts& a, Hyper* h) noexcept {
  uint32_t pooling = 0;
  keys.read("pooling_type", 0, static_cast<uint32_t>(Pooling::rank), false, &pooling);
  h->pooling = static_cast<Pooling>(pooling);
  h->scored = a.scored;
  h->classifier_activation = a.classifier_activation;
  if (a.causal) return;
  constexpr std::string_view kScored = "classifier.pooling_type";
  if (keys.has(kScored)) {
    keys.read(kScored, 0, static_cast<uint32_t>(Pooling::rank), false, &pooling);
    h->scored = pooling == static_cast<uint32_t>(Pooling::mean) ? Pooling::mean : Pooling::cls;
  }
  const std::string_view activation = keys.read_string("classifier.activation");
  if (activation == "tanh") {
    h->classifier_activation = arch::Activation::tanh;
  } else if (activation == "gelu") {
    h->classifier_activation = arch::Activation::gelu_erf;
  } else if (activation == "silu") {
    h->classifier_activation = arch::Activation::silu;
  } else if (!activation.empty()) {
    keys.fail(Error(ErrorCode::unsupported, "key ")
              << a.name << ".classifier.activation: " << activation
              << "; known are tanh, gelu, silu");
  }
}

// `layers` is where Hyper::layers lives.
inline Status read_hyper(Keys& keys, const Facts& a, Hyper* h, Array<LayerHyper>* layers) noexcept {
  keys.read("block_count", 1, kMaxLayers, true, &h->n_layers);
  // The last layers may be for multi-token prediction: they are no part of the model itself.
  keys.read("nextn_predict_layers", 0, h->n_layers - 1, false, &h->draft_layers);
  h->n_layers -= h->draft_layers;
  keys.allow_draft_layers(h->draft_layers);
  keys.read("embedding_length", 1, kMaxWidth, true, &h->n_embd);
  keys.read("context_length", 1, kMaxContext, true, &h->n_context);
  INLAY_TRY(keys.status());
  if (!layers->resize(h->n_layers)) return Error(ErrorCode::out_of_memory);
  h->layers = layers->span();
  for (uint32_t i = 0; i < h->n_layers; ++i) h->layers[i].kv_layer = i;
  keys.read_layers("feed_forward_length", a.least_feed_forward, kMaxWidth, a.least_feed_forward > 0,
                   h->n_layers, [&](uint32_t i, uint32_t n) { h->layers[i].n_ff = n; });
  read_heads(keys, a, h);
  keys.read(a.norm == arch::Norm::rms ? "attention.layer_norm_rms_epsilon"
                                      : "attention.layer_norm_epsilon",
            0.0, 1.0, true, &h->norm_epsilon);
  INLAY_TRY(keys.status());
  read_windows(keys, a, h);
  read_ropes(keys, a, h);
  INLAY_TRY(keys.status());
  // attention.scale, rope.scaling.yarn_beta_fast and yarn_beta_slow mean something to some
  // architectures only: llama.cpp ignores them in files of the others.
  const uint32_t head_k = h->layers[0].head_k;
  h->attention_scale = head_k == 0 ? 1 : 1.0f / std::sqrt(static_cast<float>(head_k));
  h->residual = a.residual;
  bool causal = true;
  keys.read("attention.causal", &causal);
  h->causal = a.causal && causal;  // encoders never are
  read_pooling(keys, a, h);
  if (a.scale_embedding) h->embedding_scale = std::sqrt(static_cast<float>(h->n_embd));
  a.read_mixer(keys, a, h);
  a.read_feed_forward(keys, a, h);
  a.read_metadata(keys, a, h);
  return keys.status();
}

// Angles per position of each rotated pair, [n_rot / 2]; `divisors` may be null. YaRN blends
// stretched and unstretched angles by wavelength: Peng et al. 2023, arXiv:2309.00071, with
// llama.cpp's parameters.
inline void make_angles(const RopeHyper& rope, uint32_t original_context, const float* divisors,
                        float* out) noexcept {
  const bool yarn = rope.scaling == RopeScaling::yarn;
  const double stretch = rope.scaling == RopeScaling::none ? 1.0 : 1.0 / double{rope.factor};
  // The pair whose wavelength makes `turns` turns within the original context.
  const auto pair_of = [&](float turns) {
    constexpr double kTwoPi = 6.283185307179586;
    return rope.n_rot * std::log(original_context / (double{turns} * kTwoPi)) /
           (2 * std::log(double{rope.base}));
  };
  const double low = std::fmax(0.0, std::floor(pair_of(rope.beta_fast)));
  const double high = std::fmin(rope.n_rot - 1.0, std::ceil(pair_of(rope.beta_slow)));
  uint64_t sections = 0;
  for (const uint32_t pairs : rope.sections) sections += pairs;
  for (uint32_t i = 0; i < rope.n_rot / 2; ++i) {
    const double plain = std::pow(double{rope.base}, -2.0 * i / rope.n_rot) /
                         (divisors != nullptr ? double{divisors[i]} : 1.0);
    double kept = 0;  // share of the unstretched angle
    if (yarn) kept = 1 - std::fmin(1.0, std::fmax(0.0, (i - low) / std::fmax(0.001, high - low)));
    out[i] = static_cast<float>(plain * (stretch * (1 - kept) + kept));
    if (sections > 0 &&
        i % sections / RopeHyper::kTurns >= rope.sections[i % sections % RopeHyper::kTurns]) {
      out[i] = 0;
    }
  }
}

// The tables of all ropes, in `memory`. A file may have divisors of the angles (rope_freqs, Llama
// 3), or two sets of them: for contexts up to the original one and for longer ones.
inline Status make_ropes(Keys& keys, Binder& tensors, Hyper* h, Array<float>* memory) noexcept {
  using arch::Presence;
  if (h->n_ropes == 0) return {};
  const uint32_t n = h->rope[0].n_rot / 2;
  const float* short_divisors = tensors.vector("rope_factors_short", n, Presence::optional);
  const float* long_divisors = tensors.vector("rope_factors_long", n, Presence::optional);
  const float* both = tensors.vector("rope_freqs", n, Presence::optional);
  if (both != nullptr) short_divisors = long_divisors = both;
  if (h->rope[0].scaling == RopeScaling::longrope &&
      (short_divisors == nullptr || long_divisors == nullptr)) {
    return Error(ErrorCode::missing, "key ")
           << keys.architecture()
           << ".rope.scaling.type: longrope needs tensors rope_factors_short and rope_factors_long";
  }
  if (!memory->resize(h->rope_floats())) return Error(ErrorCode::out_of_memory);
  float* at = memory->data();
  for (uint32_t i = 0; i < h->n_ropes; ++i) {
    RopeHyper& rope = h->rope[i];
    for (const bool long_context : {false, true}) {
      const float* divisors = long_context ? long_divisors : short_divisors;
      const bool divided = rope.uses_divisors && tensors.has_data();
      make_angles(rope, h->original_context, divided ? divisors : nullptr, at);
      (long_context ? rope.long_frequencies : rope.frequencies) = at;
      at += rope.n_rot / 2;
    }
  }
  return tensors.status();
}

// ALiBi's slopes, one for each head: Press et al. 2021, arXiv:2108.12409, as ggml computes them.
inline Status make_slopes(Hyper* h, Array<float>* memory) noexcept {
  if (h->alibi_bias == 0) return {};
  const uint32_t n_heads = h->layers[0].n_heads;
  if (!memory->resize(n_heads)) return Error(ErrorCode::out_of_memory);
  uint32_t power = 1;
  while (power * 2 <= n_heads) power *= 2;
  for (uint32_t i = 0; i < n_heads; ++i) {
    const float exponent =
        i < power ? static_cast<float>(i + 1) : static_cast<float>(2 * (i - power) + 1) / 2;
    (*memory)[i] = std::exp2(-h->alibi_bias / static_cast<float>(power) * exponent);
  }
  h->slopes = memory->data();
  return {};
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_MODEL_HYPER_INL_HPP_
