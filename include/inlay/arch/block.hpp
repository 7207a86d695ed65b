// What a block of a model is written with.
#ifndef INLAY_ARCH_BLOCK_HPP_
#define INLAY_ARCH_BLOCK_HPP_

#include "inlay/arch/decoder.hpp"
#include "inlay/arch/hyper.hpp"
#include "inlay/arch/keys.hpp"
#include "inlay/arch/phases.hpp"
#include "inlay/arch/weights.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

struct BlockWriter;

// An architecture's facts (see Decoder) at run time.
struct Facts {
  std::string_view name;
  arch::Norm norm;
  arch::Residual residual;
  std::string_view mixer_norm, feed_forward_norm, mixer_post_norm, feed_forward_post_norm;
  bool causal;
  arch::Rope rope;
  bool output_bias;
  arch::QkNorm qk_norm;
  bool qk_norm_after_rope, value_norm;
  arch::Windows windows;
  uint32_t window_period, default_window;
  bool needs_window;
  arch::WindowRope window_rope;
  float window_rope_base;
  uint32_t layers_without_rope;
  arch::Activation activation;
  bool gated;
  arch::Gating gating;
  bool normalize_experts;
  arch::ExpertKeys expert_keys;
  bool scale_embedding, embedding_norm, token_types;
  arch::Presence position_embedding;
  std::string_view output_norm;
  Pooling scored;
  arch::Activation classifier_activation;
  // 0 if a layer may do without.
  uint32_t least_heads, least_feed_forward;
  // A block's parts: what they read of the metadata, after the keys that all models have, and what
  // they compute.
  void (*read_mixer)(Keys& keys, const Facts& facts, Hyper* h);
  void (*write_mixer)(BlockWriter& w);
  void (*read_feed_forward)(Keys& keys, const Facts& facts, Hyper* h);
  void (*write_feed_forward)(BlockWriter& w);
  void (*write_before_layers)(BlockWriter& w);
  void (*write_layer_end)(BlockWriter& w);
  // What else it reads, last: it may change all that was derived before.
  void (*read_metadata)(Keys& keys, const Facts& facts, Hyper* h);
};

template <class A>
constexpr Facts facts_of() noexcept {
  return {A::kName,
          A::kNorm,
          A::kResidual,
          A::kMixerNorm,
          A::kFeedForwardNorm,
          A::kMixerPostNorm,
          A::kFeedForwardPostNorm,
          A::kCausal,
          A::kRope,
          A::kOutputBias,
          A::kQkNorm,
          A::kQkNormAfterRope,
          A::kValueNorm,
          A::kWindows,
          A::kWindowPeriod,
          A::kDefaultWindow,
          A::kNeedsWindow,
          A::kWindowRope,
          A::kWindowRopeBase,
          A::kLayersWithoutRope,
          A::kActivation,
          A::kGated,
          A::kGating,
          A::kNormalizeExperts,
          A::kExpertKeys,
          A::kScaleEmbedding,
          A::kEmbeddingNorm,
          A::kTokenTypes,
          A::kPositionEmbedding,
          A::kOutputNorm,
          A::kScored,
          A::kClassifierActivation,
          A::Mixer::kLeastHeads,
          A::FeedForward::kLeastWidth,
          &A::Mixer::read,
          &A::Mixer::write,
          &A::FeedForward::read,
          A::FeedForward::write,
          &A::LayerEnd::write_before_layers,
          &A::LayerEnd::write,
          &A::Metadata::read};
}

// One layer, being written. A part binds its tensors and appends its phases: it reads the buffer
// `in` and gives its result to finish().
struct BlockWriter {
  Binder& tensors;
  PlanWriter& plan;
  const Facts& facts;
  const Hyper& h;
  uint32_t layer = 0;
  Buffer in = Buffer::norm;  // what a part reads
  Buffer out = Buffer::x;    // what it adds to (x), or writes (branch)

  const LayerHyper& shape() const noexcept { return h.layers[layer]; }
  // The last product of a part.
  INLAY_COLD void finish(Buffer from, const Weight& weight, const float* bias) noexcept {
    plan.matmul(from, {{&weight, bias, out}}, /*add=*/out == Buffer::x);
  }
  // A norm that the file may have, with or without a bias.
  INLAY_COLD NormWeights norm(std::string_view name, uint64_t n,
                              arch::Presence presence = arch::Presence::required) noexcept {
    NormWeights w;
    w.kind = facts.norm;
    w.weight = tensors.vector(name, n, presence);
    w.bias = tensors.bias(name, n);
    w.epsilon = h.norm_epsilon;
    return w;
  }
};

}  // namespace detail

namespace arch {
struct NoLayerEnd {
  static void write_before_layers(detail::BlockWriter&) noexcept {}
  static void write(detail::BlockWriter&) noexcept {}
};
}  // namespace arch
INLAY_END_NAMESPACE

#endif  // INLAY_ARCH_BLOCK_HPP_
