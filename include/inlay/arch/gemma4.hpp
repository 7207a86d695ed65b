#ifndef INLAY_ARCH_GEMMA4_HPP_
#define INLAY_ARCH_GEMMA4_HPP_

#include "inlay/arch/gemma3.hpp"

INLAY_BEGIN_NAMESPACE
namespace arch {

struct Gemma4 : Gemma3 {
  static constexpr std::string_view kName = "gemma4";
  static constexpr std::string_view kModels = "Gemma 4: E2B, E4B, 31B, 26B-A4B, text";
  using FeedForward = Gemma4FeedForward;
  using LayerEnd = Gemma4LayerEnd;
  using Metadata = Gemma4Metadata;
  static constexpr bool kValueNorm = true;
  static constexpr bool kNeedsWindow = true;
};

}  // namespace arch
INLAY_END_NAMESPACE

#endif  // INLAY_ARCH_GEMMA4_HPP_
