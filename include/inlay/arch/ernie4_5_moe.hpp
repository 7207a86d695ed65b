#ifndef INLAY_ARCH_ERNIE4_5_MOE_HPP_
#define INLAY_ARCH_ERNIE4_5_MOE_HPP_

#include "inlay/arch/ernie4_5.hpp"

INLAY_BEGIN_NAMESPACE
namespace arch {

struct Ernie45Moe : Ernie45 {
  static constexpr std::string_view kName = "ernie4_5-moe";
  static constexpr std::string_view kModels = "ERNIE 4.5 21B-A3B";
  using FeedForward = ExpertFeedForward;
  using Metadata = Ernie45MoeMetadata;
};

}  // namespace arch
INLAY_END_NAMESPACE

#endif  // INLAY_ARCH_ERNIE4_5_MOE_HPP_
