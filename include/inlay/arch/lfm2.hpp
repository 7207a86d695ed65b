#ifndef INLAY_ARCH_LFM2_HPP_
#define INLAY_ARCH_LFM2_HPP_

#include "inlay/arch/decoder.hpp"

INLAY_BEGIN_NAMESPACE
namespace arch {

struct Lfm2 : Decoder {
  static constexpr std::string_view kName = "lfm2";
  static constexpr std::string_view kModels = "LFM2 and LFM2.5, 350M to 2.6B";
  using Mixer = HybridMixer<ShortConvMixer, AttentionMixer>;
  static constexpr Rope kRope = Rope::halves;
  static constexpr Windows kWindows = Windows::all;
  static constexpr QkNorm kQkNorm = QkNorm::heads;
  static constexpr std::string_view kOutputNorm = "token_embd_norm";
};

}  // namespace arch
INLAY_END_NAMESPACE

#endif  // INLAY_ARCH_LFM2_HPP_
