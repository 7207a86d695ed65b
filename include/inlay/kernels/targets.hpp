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

// Passes for more than the baseline are possible: the header can include itself.
#ifdef HWY_COMPILE_ONLY_STATIC
#  define INLAY_CAN_INCLUDE_SELF 0
#else
#  define INLAY_CAN_INCLUDE_SELF 1
#endif

// Each target costs compile time, so only those that bring much: on x86 SSE4 (pmaddubsw), AVX2
// without and with AVX-VNNI, and AVX-512 with VNNI; on Arm NEON, with dotprod and with i8mm; on
// WebAssembly SIMD128. AVX-512 without all of AVX3_DL (Skylake-X, Cascade Lake) runs as AVX2,
// unless INLAY_TARGETS asks for AVX3: it reads prompts 1.13 to 1.16 times as fast (Zen 4; Q4_0,
// Q4_K, Q6_K, Q8_0) for 256 kB and a fifth more time to compile, which all others would pay too.
// Where the compiler may assume it, it takes AVX2's place. INLAY_TARGETS leaves out more, but
// never SSE2 and NEON: Highway would fall back to scalar code without them. Of SSE2 nothing remains
// but the name if there is any other (implementation.hpp).
#ifndef HWY_DISABLED_TARGETS
#  if defined(__x86_64__) || defined(__i386__) || defined(_M_X64) || defined(_M_IX86)
#    define INLAY_UNUSED_TARGETS (HWY_SSSE3 | HWY_AVX3_ZEN4 | HWY_AVX3_SPR | HWY_AVX10_2)
#    ifdef INLAY_TARGETS
#      define HWY_DISABLED_TARGETS \
        (INLAY_UNUSED_TARGETS | ((HWY_SSE4 | HWY_AVX2 | HWY_AVX3 | HWY_AVX3_DL) & ~(INLAY_TARGETS)))
#    elif defined(__AVX512BW__)
#      define HWY_DISABLED_TARGETS INLAY_UNUSED_TARGETS
#    else
#      define HWY_DISABLED_TARGETS (INLAY_UNUSED_TARGETS | HWY_AVX3)
#    endif
#  elif !defined(HWY_COMPILE_ONLY_STATIC)
#    define HWY_COMPILE_ONLY_STATIC
#    define HWY_DISABLED_TARGETS \
      (HWY_ALL_SVE)  // vectors without a constant size: no arrays of them
#  endif
#endif

// ---- the names of targets ----
// For INLAY_TARGETS and ModelOptions::targets: Highway's bits, and those of sub-targets.
#define INLAY_SSE4 HWY_SSE4
#define INLAY_AVX2 HWY_AVX2
#define INLAY_AVX3 HWY_AVX3  // AVX-512 F, BW, CD, DQ and VL; see above
#define INLAY_AVX3_DL HWY_AVX3_DL
#define INLAY_NEON HWY_NEON

// A sub-target is a target of Highway and one more instruction, which multiplies bytes. Their bits
// are not used by Highway on these processors; INLAY_TARGETS and ModelOptions::targets know them as
// well. The spine compiles one inside the pass of its target. Not where the compiler may assume the
// instruction anyway, and not by compilers whose headers hide it without a flag.
#define INLAY_AVX2_VNNI (1LL << 10)  // AVX2, AVX-VNNI: Intel since 2021, without AVX-512
#define INLAY_AVX3_AMX (1LL << 5)    // AVX3_DL, AMX-BF16: Intel's servers since 2023
#define INLAY_NEON_DOT (1LL << 27)   // NEON, dotprod: most since 2018
#define INLAY_NEON_I8MM (1LL << 25)  // besides these i8mm: most since 2021

#ifdef INLAY_TARGETS
#  define INLAY_WANTED(target) (((INLAY_TARGETS) & (target)) != 0)
#else
#  define INLAY_WANTED(target) 1
#endif
#if !INLAY_CAN_INCLUDE_SELF
#elif (defined(__x86_64__) || defined(__i386__)) && !defined(__AVXVNNI__)
#  if (defined(__clang__) && __clang_major__ >= 12) || \
      (!defined(__clang__) && defined(__GNUC__) && __GNUC__ >= 11)
#    define INLAY_HAS_AVX2_VNNI INLAY_WANTED(INLAY_AVX2_VNNI)
#  endif
// GCC lets a function inline only what asks for no more of the processor than it does itself: the
// sub-target names all that the command line may have added, so it must not be unknown.
#elif defined(__aarch64__) && !defined(__ARM_FEATURE_SVE)
#  if (defined(__clang__) && __clang_major__ >= 16) || \
      (!defined(__clang__) && defined(__GNUC__) && __GNUC__ >= 10)
#    ifndef __ARM_FEATURE_DOTPROD
#      define INLAY_HAS_NEON_DOT INLAY_WANTED(INLAY_NEON_DOT)
#      define INLAY_HAS_NEON_I8MM (INLAY_HAS_NEON_DOT && INLAY_WANTED(INLAY_NEON_I8MM))
#    elif !defined(__ARM_FEATURE_MATMUL_INT8)
#      define INLAY_HAS_NEON_I8MM INLAY_WANTED(INLAY_NEON_I8MM)
#    endif
#  endif
#endif
// Needs no second pass of the kernels, only assembly; and Linux, which is asked for it.
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__)
#  define INLAY_HAS_AVX3_AMX INLAY_WANTED(INLAY_AVX3_AMX)
#else
#  define INLAY_HAS_AVX3_AMX 0
#endif
#ifndef INLAY_HAS_AVX2_VNNI
#  define INLAY_HAS_AVX2_VNNI 0
#endif
#ifndef INLAY_HAS_NEON_DOT
#  define INLAY_HAS_NEON_DOT 0
#endif
#ifndef INLAY_HAS_NEON_I8MM
#  define INLAY_HAS_NEON_I8MM 0
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
