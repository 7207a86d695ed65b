// Which SIMD targets are compiled, decided before Highway's first header: part of the spine, once.
#ifndef INLAY_KERNELS_TARGETS_HPP_
#define INLAY_KERNELS_TARGETS_HPP_

#include "inlay/config.hpp"

// Nothing here uses AES or carry-less multiplication: -march=x86-64-v3 has neither and is AVX2 all
// the same.
#define HWY_DISABLE_PCLMUL_AES

// Highway's own assertions, on in builds without optimization and under sanitizers, need a function
// of its library.
#ifndef HWY_IS_DEBUG_BUILD
#  define HWY_IS_DEBUG_BUILD 0
#endif

// Each target costs compile time, so only those that bring much: on x86 the baseline, SSE4
// (pmaddubsw), AVX2, and AVX-512 with VNNI. On Arm the baseline alone. INLAY_TARGETS leaves out
// more, but never SSE2 and NEON: Highway would fall back to scalar code without them.
#ifndef HWY_DISABLED_TARGETS
#  if defined(__x86_64__) || defined(__i386__) || defined(_M_X64) || defined(_M_IX86)
#    define INLAY_UNUSED_TARGETS (HWY_SSSE3 | HWY_AVX3 | HWY_AVX3_ZEN4 | HWY_AVX3_SPR | HWY_AVX10_2)
#    ifdef INLAY_TARGETS
#      define HWY_DISABLED_TARGETS \
        (INLAY_UNUSED_TARGETS | ((HWY_SSE4 | HWY_AVX2 | HWY_AVX3_DL) & ~(INLAY_TARGETS)))
#    else
#      define HWY_DISABLED_TARGETS INLAY_UNUSED_TARGETS
#    endif
#  elif !defined(HWY_COMPILE_ONLY_STATIC)
#    define HWY_COMPILE_ONLY_STATIC
#    define HWY_DISABLED_TARGETS \
      (HWY_ALL_SVE)  // vectors without a constant size: no arrays of them
#  endif
#endif

// GCC 12 turns the byte blend into "mask < 0 ? yes : no" on plain chars: with -funsigned-char, that
// is always `no`. Highway's masks are whole lanes, so that bitwise logic does the same.
#if defined(__GNUC__) && !defined(__clang__) && defined(__CHAR_UNSIGNED__) && \
    (defined(__x86_64__) || defined(__i386__))
#  include <immintrin.h>
#  define _mm_blendv_epi8(no, yes, mask) \
    _mm_or_si128(_mm_and_si128((mask), (yes)), _mm_andnot_si128((mask), (no)))
#  define _mm256_blendv_epi8(no, yes, mask) \
    _mm256_or_si256(_mm256_and_si256((mask), (yes)), _mm256_andnot_si256((mask), (no)))
#endif

#endif  // INLAY_KERNELS_TARGETS_HPP_
