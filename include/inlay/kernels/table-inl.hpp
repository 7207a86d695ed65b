// What a SIMD target leaves behind for the rest of the library. Compiled once per target; no
// include guard. Nothing here is code, so no instruction set is pushed: Clang would warn that it
// applies to nothing.

INLAY_BEGIN_NAMESPACE
namespace detail {
namespace HWY_NAMESPACE {

#if !INLAY_HAS_KERNELS
static constexpr int64_t kTarget = 0;  // never asked for
static constexpr Kernels kKernels{};
static constexpr RecurrentKernels kRecurrentKernels{};
#else
#  ifdef INLAY_SUB_TARGET
static constexpr int64_t kTarget = INLAY_SUB_TARGET;
#  else
static constexpr int64_t kTarget = HWY_TARGET;
#  endif

static constexpr Kernels kKernels = {kTarget,
                                     &HWY_STR(HWY_NAMESPACE)[2],  // "N_AVX2" from its third letter
                                     quantize,
                                     matmul,
                                     0,
                                     0,
                                     1,
                                     0,
                                     attention,
                                     combine_attention,
                                     store_kv,
                                     rms_norm,
                                     layer_norm,
                                     rope,
                                     activate,
                                     add,
                                     mul,
                                     scale,
                                     scale_add,
                                     clamp,
                                     softcap,
                                     softmax_weights,
                                     !kTilesOnly};
#  if INLAY_HAS_AVX3_AMX && HWY_TARGET == HWY_AVX3_DL
namespace amx {
static constexpr Kernels with_tiles() {
  Kernels kernels = N_AVX3_DL::kKernels;
  kernels.target = INLAY_AVX3_AMX;
  kernels.name = "AVX3_AMX";
  kernels.quantize = quantize;
  kernels.matmul = matmul;
  kernels.batch_columns = kLeastColumns;
  kernels.halves_columns = kLeastHalfColumns;
  kernels.batch_speed = 4;
  kernels.batch_start = 24;
  return kernels;
}
static constexpr Kernels kKernels = with_tiles();
}  // namespace amx
#  endif
#endif

}  // namespace HWY_NAMESPACE
}  // namespace detail
INLAY_END_NAMESPACE
