// A model's numbers, from metadata or derived from it.
#ifndef INLAY_ARCH_HYPER_HPP_
#define INLAY_ARCH_HYPER_HPP_

#include <cstddef>
#include <cstdint>

#include "inlay/arch/decoder.hpp"
#include "inlay/core/memory.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// What may differ from layer to layer.
struct LayerHyper {
  uint32_t n_heads = 0, n_kv_heads = 0;  // n_kv_heads 0: no attention in this layer
  uint32_t head_k = 0, head_v = 0, n_ff = 0;
  uint32_t window = 0;        // positions that attention sees; 0: all
  uint32_t rope = 0;          // index in Hyper::rope, or kNoRope
  uint32_t kv_layer = 0;      // whose K and V it reads; its own index if it writes some
  uint32_t state_floats = 0;  // of recurrent state; 0: it has none

  uint32_t q_size() const noexcept { return n_heads * head_k; }
  uint32_t k_size() const noexcept { return n_kv_heads * head_k; }
  uint32_t v_size() const noexcept { return n_kv_heads * head_v; }
  uint32_t attn_size() const noexcept { return n_heads * head_v; }
};
inline constexpr uint32_t kNoRope = ~uint32_t{0};

// How RoPE's angles are stretched beyond the context that a model was trained for.
// longrope: as linear, and by divisors in the file's tensors.
enum class RopeScaling : uint8_t { none, linear, yarn, longrope };

// One way in which heads are rotated.
struct RopeHyper {
  uint32_t n_rot = 0;  // elements of a head, from its first
  float base = 10000;
  RopeScaling scaling = RopeScaling::none;
  float factor = 1;
  float beta_fast = 32, beta_slow = 1;  // YaRN's: turns within the original context
  float magnitude = 1;                  // factor on cos and sin
  bool uses_divisors = true;            // rope_freqs and rope_factors_{long,short}
  // Interleaved M-RoPE: pairs of time, height and width, which are one position in text. A pair
  // beyond its section does not rotate. All 0: every pair does.
  static constexpr uint32_t kSections = 4;
  static constexpr uint32_t kTurns = 3;  // the last section does not rotate
  uint32_t sections[kSections] = {};
  // [n_rot / 2] radians per position; and those of contexts beyond `original_context`, or the same
  const float *frequencies = nullptr, *long_frequencies = nullptr;
};

// Experts of the layers that have some.
struct ExpertHyper {
  uint32_t count = 0, used = 0;  // in a layer, and chosen by a token
  uint32_t ff = 0;               // width of one; 0: the layer's n_ff
  uint32_t groups = 1, groups_used = 1;
  arch::Gating gating = arch::Gating::softmax;
  bool normalized = false;  // the chosen weights are divided by their sum
  float scale = 1;          // of the weights
};

// Multi-head latent attention.
struct LatentHyper {
  uint32_t q_rank = 0, kv_rank = 0;  // of q, 0: it has none; of K and V
  uint32_t key = 0, value = 0;       // sizes of a head
  bool absorbed = false;             // the cache holds the latent; LayerHyper's heads are its sizes
};

struct Hyper {
  uint32_t n_layers = 0, n_embd = 0, n_vocab = 0;
  uint32_t draft_layers = 0;      // that follow in the file, for guessing tokens ahead: not used
  uint32_t n_context = 0;         // positions that the model was trained for
  uint32_t original_context = 0;  // and before RoPE was stretched
  uint32_t max_context = 0;       // more positions than this it cannot have; 0: any number
  arch::Residual residual = arch::Residual::pre;
  bool causal = true;  // positions see no later ones
  Pooling pooling = Pooling::none, scored = Pooling::last;
  arch::Activation classifier_activation = arch::Activation::tanh;
  uint32_t embedding = 0, scores = 0;  // widths of the outputs; 0: it has none
  float norm_epsilon = 0;
  float attention_scale = 0, attention_softcap = 0, final_softcap = 0;
  float alibi_bias = 0;           // ALiBi's largest exponent; 0: none
  const float* slopes = nullptr;  // [heads] that follow from it
  float qkv_clamp = 0;            // q, k and v are within +- this; 0: any
  // q at position p is multiplied by 1 + temperature_scale * log(1 + floor(p /
  // temperature_length)).
  float temperature_scale = 0;
  uint32_t temperature_length = 1;
  float embedding_scale = 1, residual_scale = 1, logit_scale = 1;
  // RoPE of layers that see everything, and of those with windows.
  static constexpr uint32_t kRopes = 2;
  RopeHyper rope[kRopes];
  uint32_t n_ropes = 0;         // in use
  uint32_t per_layer_embd = 0;  // width of what each layer embeds besides
  ExpertHyper experts;
  LatentHyper latent;
  Span<LayerHyper> layers;
  // Of recurrent layers.
  struct Recurrent {
    uint32_t conv_kernel = 0, conv_channels = 0;
    uint32_t inner = 0, d_state = 0;     // channels of the scan, and of each or each head the state
    uint32_t n_heads = 0, n_groups = 0;  // Mamba-1: the width that steps are made of, 1
    bool dt_b_c_norms = false;
  } recurrent;

  uint32_t rope_floats() const noexcept {  // cosines and sines of one position
    uint32_t floats = 0;
    for (uint32_t i = 0; i < n_ropes; ++i) floats += rope[i].n_rot;
    return floats;
  }
  // The greatest f(layer).
  template <class F>
  size_t most(F&& f) const noexcept {
    size_t result = 0;
    for (const LayerHyper& layer : layers) {
      const size_t value = f(layer);
      result = value > result ? value : result;
    }
    return result;
  }
};

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_ARCH_HYPER_HPP_
