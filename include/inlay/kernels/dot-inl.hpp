// How bytes are multiplied exactly, by target:
//   VNNI      u8 x s8 summed in int32. Lanes with an offset start at
//             -offset * (sum of the activations).
//   maddubs   u8 x s8 summed in int16 as long as that provably fits, then in int32. With an offset
//             the int16 lanes start at -offset * (sum of their activations): sums wrap around on
//             the way, but the final ones fit. 8-bit lanes do not fit (file data may contain -128):
//             they go as int16 x int16.
//   others    int16 x int16.
// Compiled once per SIMD target; no include guard.

HWY_BEFORE_NAMESPACE();
INLAY_BEGIN_NAMESPACE
namespace detail {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

enum class DotKind { vnni, maddubs, wide };
#if HWY_TARGET <= HWY_AVX3_DL && HWY_ARCH_X86
static constexpr DotKind kDot = DotKind::vnni;
#elif HWY_TARGET <= HWY_SSSE3 && HWY_ARCH_X86
static constexpr DotKind kDot = DotKind::maddubs;
#else
static constexpr DotKind kDot = DotKind::wide;
#endif

}  // namespace HWY_NAMESPACE
}  // namespace detail
INLAY_END_NAMESPACE
HWY_AFTER_NAMESPACE();
