// What may vary between models. An architecture is a struct that derives from Decoder and states
// its differences from Llama; the registry is a list of such structs. Dimensions, tensor types and
// SIMD targets come from the file and the machine: they are never template parameters (gemma.cpp
// tried that; removing it shrank its libraries 4.3 times and made them compile 7 times faster). Nor
// are these facts: the registry copies them into a table, and the blocks are compiled once.
#ifndef INLAY_ARCH_DECODER_HPP_
#define INLAY_ARCH_DECODER_HPP_

#include <cstdint>
#include <string_view>

#include "inlay/arch/pooling.hpp"
#include "inlay/config.hpp"
#include "inlay/kernels/activation.hpp"

INLAY_BEGIN_NAMESPACE
namespace arch {

// Which elements of a head rotate together: (0,1) (2,3) ..., or (0,d/2) (1,d/2+1) ....
enum class Rope : uint8_t { adjacent, halves, none };
enum class Norm : uint8_t { rms, layer };
using Activation = detail::Activation;
enum class Presence : uint8_t { absent, optional, required };

// How a branch f (attention, feed-forward) and the residual stream x come together.
enum class Residual : uint8_t {
  pre,       // x += f(norm(x))
  sandwich,  // x += norm(f(norm(x)))
  post,      // x += norm(f(x))
  after,     // x = norm(x + f(x))
  parallel,  // x += attention(norm(x)) + feed_forward(norm(x)), with one norm or with two
  by_norms   // parallel in layers without a norm for the feed-forward, else pre
};

// Norms of q and k: attn_{q,k}_norm.
enum class QkNorm : uint8_t {
  none,
  heads,      // of each head, one weight for all: [head size]
  each_head,  // of each head, its own weight, where the file has them: [heads][head size]
  whole       // of all heads together: [heads * head size]
};

// Which layers see only attention.sliding_window positions.
enum class Windows : uint8_t {
  none,         // all see everything, whatever the file says
  all,          // all, if there is a window
  pattern,      // of each kWindowPeriod layers all but the last, if there is a window
  after_first,  // of each kWindowPeriod layers all but the first
};
// Which layers rotate, and how.
enum class WindowRope : uint8_t {
  same,          // all alike
  unscaled,      // those with a window without scaling
  own_unscaled,  // the same, and by rope.freq_base_swa
  own,           // the same, but with rope.scaling.attn_factor
  own_scaled,    // by rope.freq_base_swa, and scaled like all
  only           // only those with a window
};

// What experts' weights are made of: a function of the router's outputs. The softmax is over all
// experts or over the chosen ones.
enum class Gating : uint8_t { softmax, sigmoid, softmax_of_chosen, sqrt_softplus };
// Which keys of experts' weights are read, each value one more. llama.cpp ignores the others,
// whatever they say.
enum class ExpertKeys : uint8_t {
  none,
  gating,      // expert_gating_func
  normalized,  // and expert_weights_norm
  scaled       // and expert_weights_scale
};

// What is between two norms. Defined in arch/blocks/.
struct AttentionMixer;       // grouped-query attention over the KV cache
struct GatedAttentionMixer;  // the same, with a gate on its output
struct LatentMixer;          // multi-head latent attention
struct ShortConvMixer;       // gated convolution of the last few tokens
struct MambaMixer;           // selective state spaces
struct Mamba2Mixer;
struct DeltaMixer;  // gated delta rule
template <class Recurrent>
struct RecurrentMixer;  // in all layers
template <class Recurrent, class Attention>
struct HybridMixer;  // some layers are this, others that
struct DenseFeedForward;
struct ExpertFeedForward;  // experts in layers that have a router, dense in the others
struct NoFeedForward;
struct Gemma4FeedForward;
// What follows the feed-forward, after its residual; and what it computes before the first layer.
struct NoLayerEnd;
struct Gemma4LayerEnd;
// What an architecture reads of the metadata besides the keys that all have. Defined in
// arch/metadata-inl.hpp.
struct CommonMetadata;
struct BloomMetadata;
struct CohereMetadata;
struct DeepSeek2Metadata;
struct Ernie45MoeMetadata;
struct Exaone4Metadata;
struct Gemma2Metadata;
struct Gemma3Metadata;
struct Gemma4Metadata;
struct GptNeoxMetadata;
struct GraniteMetadata;
struct HunyuanMetadata;
struct MiniCpmMetadata;
struct Mistral3Metadata;
struct MptMetadata;
struct Qwen35Metadata;

// A block of the Llama family:
//   x += output( attention( rope(q), rope(k), v ) )   with q, k, v from rms_norm(x)
//   x += down( activation(gate) * up )                with gate, up from rms_norm(x)
// The defaults describe Llama itself. Biases, fused matrices (attn_qkv; ffn_up with the rows of
// gate before its own) and norms with biases need no fact: a file that has them is computed with
// them.
struct Decoder {
  static constexpr std::string_view kName = "";    // general.architecture
  static constexpr std::string_view kModels = "";  // for the documentation

  using Mixer = AttentionMixer;
  using FeedForward = DenseFeedForward;
  using LayerEnd = NoLayerEnd;
  using Metadata = CommonMetadata;

  static constexpr Norm kNorm = Norm::rms;
  static constexpr Residual kResidual = Residual::pre;
  static constexpr std::string_view kMixerNorm = "attn_norm";
  static constexpr std::string_view kFeedForwardNorm = "ffn_norm";
  static constexpr std::string_view kMixerPostNorm = "post_attention_norm";
  static constexpr std::string_view kFeedForwardPostNorm = "post_ffw_norm";

  // ---- attention ----
  static constexpr bool kCausal = true;  // without attention.causal
  static constexpr Rope kRope = Rope::adjacent;
  static constexpr bool kOutputBias = true;  // false: attn_output.bias is left out, if there is one
  static constexpr QkNorm kQkNorm = QkNorm::none;
  static constexpr bool kQkNormAfterRope = false;
  // Norms of v's heads, without weights; and v is k, before its norm, in layers without attn_v.
  static constexpr bool kValueNorm = false;
  static constexpr Windows kWindows = Windows::none;
  static constexpr uint32_t kWindowPeriod = 0;
  static constexpr uint32_t kDefaultWindow = 0;  // without attention.sliding_window; 0: no windows
  static constexpr bool kNeedsWindow = false;    // a file without one is an error
  static constexpr WindowRope kWindowRope = WindowRope::same;
  static constexpr float kWindowRopeBase = 0;  // without rope.freq_base_swa; 0: rope.freq_base
  static constexpr uint32_t kLayersWithoutRope = 0;  // every how many layers one does not rotate

  // ---- feed-forward ----
  static constexpr Activation kActivation = Activation::silu;
  static constexpr bool kGated = true;  // false: down( activation(up) )

  static constexpr Gating kGating = Gating::softmax;  // of experts, without expert_gating_func
  static constexpr bool kNormalizeExperts = true;     // without expert_weights_norm
  static constexpr ExpertKeys kExpertKeys = ExpertKeys::none;

  // ---- before the first layer ----
  static constexpr bool kScaleEmbedding = false;  // embedding * sqrt(n_embd)
  // token_embd_norm: of the embeddings, before the first layer, which may have no norm of its own.
  static constexpr bool kEmbeddingNorm = false;
  static constexpr bool kTokenTypes = false;  // the first of token_types is added to it
  // position_embd is added to the embedding.
  static constexpr Presence kPositionEmbedding = Presence::absent;

  // ---- after the last layer ----
  static constexpr std::string_view kOutputNorm = "output_norm";  // what its tensor is called
  // Of classifiers: what they score, and what is between their two matrices.
  static constexpr Pooling kScored = Pooling::last;
  static constexpr Activation kClassifierActivation = Activation::tanh;
};

}  // namespace arch
INLAY_END_NAMESPACE

#endif  // INLAY_ARCH_DECODER_HPP_
