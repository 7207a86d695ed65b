#ifndef INLAY_ARCH_COHERE2_HPP_
#define INLAY_ARCH_COHERE2_HPP_

#include "inlay/arch/decoder.hpp"

INLAY_BEGIN_NAMESPACE
namespace arch {

struct Cohere2 : Decoder {
  static constexpr std::string_view kName = "cohere2";
  static constexpr std::string_view kModels = "Command-R7B, Aya Expanse";
  using Metadata = CohereMetadata;
  static constexpr Norm kNorm = Norm::layer;
  static constexpr Residual kResidual = Residual::parallel;
  static constexpr Windows kWindows = Windows::pattern;
  static constexpr uint32_t kWindowPeriod = 4;
  static constexpr bool kNeedsWindow = true;
  static constexpr WindowRope kWindowRope = WindowRope::only;
};

}  // namespace arch
INLAY_END_NAMESPACE

#endif  // INLAY_ARCH_COHERE2_HPP_
