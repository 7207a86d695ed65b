#ifndef INLAY_ARCH_GPT_OSS_HPP_
#define INLAY_ARCH_GPT_OSS_HPP_

#include "inlay/arch/decoder.hpp"

INLAY_BEGIN_NAMESPACE
namespace arch {

struct GptOss : Decoder {
  static constexpr std::string_view kName = "gpt-oss";
  static constexpr std::string_view kModels = "gpt-oss 20B, 120B";
  using FeedForward = ExpertFeedForward;
  static constexpr std::string_view kFeedForwardNorm = "post_attention_norm";
  static constexpr Rope kRope = Rope::halves;
  static constexpr Windows kWindows = Windows::pattern;
  static constexpr uint32_t kWindowPeriod = 2;
  static constexpr bool kNeedsWindow = true;
  static constexpr WindowRope kWindowRope = WindowRope::own_scaled;
  static constexpr Activation kActivation = Activation::swiglu_oai;
  static constexpr Gating kGating = Gating::softmax_of_chosen;
  static constexpr bool kNormalizeExperts = false;
};

}  // namespace arch
INLAY_END_NAMESPACE

#endif  // INLAY_ARCH_GPT_OSS_HPP_
