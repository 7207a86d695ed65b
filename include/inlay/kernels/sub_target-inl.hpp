// Begins a pass over the kernels for a sub-target (targets.hpp), inside the pass of the target of
// Highway, or of the sub-target, that it adds to: INLAY_SUB_TARGET names it. From here to the end
// of the pass, the macros of Highway that the kernels are written with mean the sub-target: a
// namespace of its own, and attributes with the instruction that it adds. No include guard.
#ifdef INLAY_SUB_TARGET
#  if INLAY_SUB_TARGET == INLAY_AVX2_VNNI
#    define INLAY_SUB_NAMESPACE N_AVX2_VNNI
#  elif INLAY_SUB_TARGET == INLAY_NEON_DOT
#    define INLAY_SUB_NAMESPACE N_NEON_DOT
#  else
#    define INLAY_SUB_NAMESPACE N_NEON_I8MM
#  endif
// What its target has is the sub-target's too, Highway's functions and those already compiled here.
namespace hwy {
namespace INLAY_SUB_NAMESPACE = HWY_NAMESPACE;
}
INLAY_BEGIN_NAMESPACE
namespace detail {
namespace INLAY_SUB_NAMESPACE {
using namespace HWY_NAMESPACE;
}  // namespace INLAY_SUB_NAMESPACE
}  // namespace detail
INLAY_END_NAMESPACE
#  undef INLAY_SUB_NAMESPACE
#  pragma push_macro("HWY_NAMESPACE")
#  pragma push_macro("HWY_TARGET_STR")
#  pragma push_macro("HWY_ATTR")
#  pragma push_macro("HWY_BEFORE_NAMESPACE")
#  pragma push_macro("HWY_AFTER_NAMESPACE")
#  undef HWY_NAMESPACE
#  undef HWY_TARGET_STR
#  undef HWY_ATTR
#  undef HWY_BEFORE_NAMESPACE
#  undef HWY_AFTER_NAMESPACE
// Of Arm, arm_neon.h of GCC asks for Armv8.2 with dotprod, as every processor that has it does.
// Where the compiler may assume that, more only adds to what it may.
#  ifdef __ARM_FEATURE_CRYPTO
#    define INLAY_TARGET_STR_CRYPTO "+crypto"
#  else
#    define INLAY_TARGET_STR_CRYPTO ""
#  endif
#  ifdef __ARM_FEATURE_FP16_VECTOR_ARITHMETIC
#    define INLAY_TARGET_STR_FP16 "+fp16"
#  else
#    define INLAY_TARGET_STR_FP16 ""
#  endif
#  ifdef __ARM_FEATURE_DOTPROD
#    define INLAY_TARGET_STR_DOT ""
#  else
#    define INLAY_TARGET_STR_DOT \
      "arch=armv8.2-a+dotprod" INLAY_TARGET_STR_CRYPTO INLAY_TARGET_STR_FP16
#  endif
#  if INLAY_SUB_TARGET == INLAY_AVX2_VNNI
#    define HWY_NAMESPACE N_AVX2_VNNI
#    define HWY_TARGET_STR HWY_TARGET_STR_AVX2 ",avxvnni"
#  elif INLAY_SUB_TARGET == INLAY_NEON_DOT
#    define HWY_NAMESPACE N_NEON_DOT
#    define HWY_TARGET_STR INLAY_TARGET_STR_DOT
#  else
#    define HWY_NAMESPACE N_NEON_I8MM
#    define HWY_TARGET_STR INLAY_TARGET_STR_DOT "+i8mm"
#  endif
#  define HWY_ATTR __attribute__((target(HWY_TARGET_STR)))
#  define HWY_BEFORE_NAMESPACE()        \
    HWY_PUSH_ATTRIBUTES(HWY_TARGET_STR) \
    static_assert(true, "For requiring trailing semicolon")
#  define HWY_AFTER_NAMESPACE() \
    HWY_POP_ATTRIBUTES          \
    static_assert(true, "For requiring trailing semicolon")
#endif  // INLAY_SUB_TARGET
