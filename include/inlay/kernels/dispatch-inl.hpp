// Picks a table of kernels. After the last target, once.
#ifndef INLAY_KERNELS_DISPATCH_INL_HPP_
#define INLAY_KERNELS_DISPATCH_INL_HPP_

#include <hwy/targets.h>
#include <hwy/x86_cpuid.h>

#include "inlay/core/system.hpp"
#include "inlay/kernels/kernels.hpp"
#include "inlay/kernels/shared.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

#if HWY_ARCH_X86
// Which vector registers the operating system saves: XCR0, to be read only if CPUID says OSXSAVE.
static uint64_t read_xcr0() noexcept {
#  if HWY_COMPILER_MSVC
  return _xgetbv(0);
#  else
  uint32_t low, high;
  __asm__ volatile(".byte 0x0F, 0x01, 0xD0" : "=a"(low), "=d"(high) : "c"(0));  // xgetbv
  return uint64_t{high} << 32 | low;
#  endif
}
#endif

// The HWY_* bits of the targets this CPU can run. A target is a group of features, as Highway
// defines it, plus the operating system's support; CPUID bits: Intel SDM volume 2A, AMD APM
// volume 3.
static int64_t cpu_targets() noexcept {
#if HWY_ARCH_X86
  using hwy::x86::Cpuid;
  int64_t targets = 0;
  const uint32_t last = hwy::x86::MaxLevel();
  uint32_t leaf1[4], leaf7[4] = {}, extended[4] = {};  // eax, ebx, ecx, edx
  Cpuid(1, 0, leaf1);
  if (last >= 7) Cpuid(7, 0, leaf7);
  Cpuid(0x80000000u, 0, extended);
  if (extended[0] >= 0x80000001u) {
    Cpuid(0x80000001u, 0, extended);
  } else {
    extended[2] = 0;
  }
  const auto all = [](uint32_t reg, auto... bits) { return ((reg >> bits & 1u) & ...) != 0; };
  if (!all(leaf1[2], 0, 9, 19, 20)) return targets;  // SSE3, SSSE3, SSE4.1, SSE4.2
  targets |= HWY_SSE4;
  if (!all(leaf1[2], 26, 27)) return targets;  // XSAVE, OSXSAVE
  const uint64_t saved = read_xcr0();
  if ((saved & 0x06) != 0x06) return targets;      // XMM, YMM
  if (!all(leaf1[2], 12, 28, 29)) return targets;  // FMA, AVX, F16C
  if (!all(leaf7[1], 3, 5, 8)) return targets;     // BMI1, AVX2, BMI2
  if (!all(extended[2], 5)) return targets;        // LZCNT
  targets |= HWY_AVX2;
  if (leaf7[0] >= 1) {
    uint32_t leaf7_1[4];
    Cpuid(7, 1, leaf7_1);
    if (all(leaf7_1[0], 4)) targets |= INLAY_AVX2_VNNI;  // AVX-VNNI
  }
  if ((saved & 0xe0) != 0xe0) return targets;  // opmask, upper halves of ZMM0-15, ZMM16-31
  if (!all(leaf7[1], 16, 17, 28, 30, 31)) return targets;  // AVX-512 F, DQ, CD, BW, VL
  targets |= HWY_AVX3;
  if (!all(leaf7[2], 1, 6, 8, 9, 10, 11, 12, 14))
    return targets;  // VBMI, VBMI2, GFNI, VAES, VPCLMUL, VNNI, BITALG, VPOPCNT
  targets |= HWY_AVX3_DL;
  // AMX-BF16 and AMX-TILE; the state of tiles; and the process may use it.
  if (all(leaf7[3], 22, 24) && (saved & 0x60000) == 0x60000 && tiles_permitted()) {
    targets |= INLAY_AVX3_AMX;
  }
  return targets;
#elif HWY_ARCH_ARM_A64
  const ArmFeatures has = arm_features();
  if (!has.dotprod) return 0;
  return has.i8mm ? INLAY_NEON_DOT | INLAY_NEON_I8MM : INLAY_NEON_DOT;
#else
  return 0;
#endif
}

// Lower: better. Of Highway's targets the lower bit is; a sub-target is better than its target.
static constexpr int64_t rank(int64_t target) noexcept {
  return target == INLAY_AVX2_VNNI ? HWY_AVX2 - 1 : target;
}

// Zen 4's own prefetching keeps up with any reading in order (34 GB/s in one stream or in four),
// and less with streams in lockstep (a fifth slower); asking for lines costs 10 to 35 %. Zen 3
// read 1.4 times as fast from four streams as from one. An Intel Xeon with AMX reads packed weights
// 1.1 to 1.5 times as fast from four streams, with each line asked for twice, as from one without;
// asked for 1024 bytes ahead into the second cache, 0 to 4 % faster than 2048 (IQ4_XS on one thread
// 1.6 % slower).
// Of rows, 448 bytes ahead gave 12 % on Q4_K (Zen 4, 4 KB pages) and 1024 half of that; the Xeon
// gains 5 to 20 % from 1024 instead of 448.
// From 7 columns on the Xeon multiplies packed weights faster by tiles, beside which the next ones
// are asked for: 8 of Q8_0, Q4_0, Q4_K, Q6_K 1.1 to 1.25 times as fast with AVX-512, 12 1.25
// to 1.4.
// Zen 5 reads in order as fast as it can from one stream (37 GB/s; 19 from four), but by itself
// keeps up only with some types: asked for 8192 bytes ahead, in the first cache alone, a column of
// Q4_K takes 0.4 times as long, Q6_K 0.47, IQ4_XS 0.7, Q2_K 0.85, Q4_0 0.9, of Q8_0 the same, four
// of each 0.5 to 0.84; 4096 bytes and 2 streams gain less. Of rows, 2048 bytes ahead instead of 448
// gain 10 to 29 %, of four columns of F16 37 %. Tiles are faster from 6 columns of Q8_0 on (1.26
// times, 16 1.35) and 8 of Q6_K (1.1), panels for those of fewer bits.
INLAY_COLD Reading reading_of_cpu() noexcept {
  Reading r;
#if HWY_ARCH_X86
  uint32_t leaf0[4];  // eax, ebx, ecx, edx
  hwy::x86::Cpuid(0, 0, leaf0);
  if (leaf0[1] == 0x756e6547) {  // "Genu", of GenuineIntel
    r.ahead = 512;
    r.second_ahead = 1024;
    r.rows_ahead = 1024;
    r.panel_columns = r.wide_panel_columns = 6;
  } else if ((cpu_targets() & HWY_AVX3_DL) != 0) {
    r.streams = 1;
    uint32_t leaf1[4];
    hwy::x86::Cpuid(1, 0, leaf1);
    if ((leaf1[0] >> 20 & 255) >= 0x1a - 0xf) {  // Zen 5 is family 0x1a; the field is less by 0xf
      r.ahead = 8192;
      r.rows_ahead = 2048;
      r.wide_panel_columns = 5;
    }
  }
#endif
  return r;
}

size_t runnable_kernels(const Kernels* out[8]) noexcept {
  // The compiler already assumes the baseline, and nothing is better than it but what Highway
  // compiled besides.
  int64_t unseen = cpu_targets() | HWY_NAMESPACE::kTarget;  // Highway visits the baseline twice
  size_t count = 0;
#define INLAY_VISIT(target_bit, target_namespace)                                               \
  if ((unseen & (target_bit)) != 0 && count < 8) {                                              \
    unseen &= ~int64_t{target_bit};                                                             \
    size_t at = count++;                                                                        \
    for (; at > 0 && rank(out[at - 1]->target) > rank(target_bit); --at) out[at] = out[at - 1]; \
    out[at] = &target_namespace::kKernels;                                                      \
  }
#if INLAY_HAS_AVX2_VNNI && (HWY_TARGETS & HWY_AVX2)
  INLAY_VISIT(INLAY_AVX2_VNNI, N_AVX2_VNNI)
#endif
#if INLAY_HAS_NEON_DOT
  INLAY_VISIT(INLAY_NEON_DOT, N_NEON_DOT)
#endif
#if INLAY_HAS_NEON_I8MM
  INLAY_VISIT(INLAY_NEON_I8MM, N_NEON_I8MM)
#endif
#if INLAY_HAS_AVX3_AMX && (HWY_TARGETS & HWY_AVX3_DL)
  INLAY_VISIT(INLAY_AVX3_AMX, N_AVX3_DL::amx)
#endif
  HWY_VISIT_TARGETS(INLAY_VISIT)
#undef INLAY_VISIT
  return count;
}

const RecurrentKernels& recurrent_kernels(const Kernels& kernels) noexcept {
  // A sub-target has its target's, as it has its attention.
#define INLAY_VISIT(target_bit, target_namespace)                \
  if (kernels.attention == target_namespace::kKernels.attention) \
    return target_namespace::kRecurrentKernels;
  HWY_VISIT_TARGETS(INLAY_VISIT)
#undef INLAY_VISIT
  return HWY_NAMESPACE::kRecurrentKernels;
}

const Kernels* pick_kernels(int64_t mask) noexcept {
  const Kernels* tables[8];
  const size_t count = runnable_kernels(tables);
  for (size_t i = 0; i + 1 < count; ++i) {
    if ((tables[i]->target & mask) != 0) return tables[i];
  }
  return count == 0 ? nullptr : tables[count - 1];
}

size_t quantized_bytes(size_t n, size_t k) noexcept {
  // Monotonic in n: who has memory for a batch has it for any smaller one, in either layout.
  const size_t columns = round_up(n, n > kHalvesStep / 2 ? kHalvesStep : kColumns);
  return columns / kColumns * GroupLayout(k).bytes() +
         (n < kColumns ? n : kColumns - 1) * ColumnLayout(k).bytes();
}

size_t matmul_scratch_bytes(size_t k) noexcept {
  static_assert(2 * sizeof(SuperblockChunk) <= sizeof(TernaryChunk));
  const size_t ternary = div_up(k, kChunk) * sizeof(TernaryChunk);
#if INLAY_HAS_AVX3_AMX && (HWY_TARGETS & HWY_AVX3_DL)
  constexpr size_t kTiles = sizeof(N_AVX3_DL::amx::Scratch);
#else
  constexpr size_t kTiles = sizeof(MatmulScratch);
#endif
  return ternary < kTiles ? kTiles : ternary;
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_KERNELS_DISPATCH_INL_HPP_
