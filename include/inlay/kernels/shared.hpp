// What the kernels of all SIMD targets share: system headers (none may be included inside a
// target's region), the layout of quantized activations, and blocking constants. Included once,
// before the first target.
#ifndef INLAY_KERNELS_SHARED_HPP_
#define INLAY_KERNELS_SHARED_HPP_

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "inlay/config.hpp"
#include "inlay/core/integer_math.hpp"
#include "inlay/core/memory.hpp"
#include "inlay/gguf/tensor_type.hpp"
#include "inlay/kernels/kernels.hpp"
#include "inlay/tensor/dequantize.hpp"
#include "inlay/tensor/grids.hpp"
#include "inlay/tensor/types.hpp"

// Keeps the value of a vector in a register at this point of the program. GCC and Clang treat
// integer additions as freely reorderable; in an unrolled tile they compute all products first,
// spill them, and add them up as a tree, at less than half the speed. An empty asm that "changes"
// the sum pins the order that was written.
#if (defined(__GNUC__) || defined(__clang__)) && (defined(__x86_64__) || defined(__i386__))
#  define INLAY_PIN(v) __asm__ volatile("" : "+v"((v).raw))
#else
#  define INLAY_PIN(v) ((void)0)
#endif

// Hides where a pointer comes from, so that what follows is addressed relative to it. Displacements
// beyond a signed byte make instructions that the core's cache of decoded ones holds few of: with
// them, a tile of AVX2 takes 1.36 times as long (Zen 4).
#if defined(__GNUC__) || defined(__clang__)
#  define INLAY_OPAQUE(pointer) __asm__ volatile("" : "+r"(pointer))
#else
#  define INLAY_OPAQUE(pointer) ((void)0)
#endif

// Loops over arrays of vectors must be unrolled for these to be registers. Not under sanitizers,
// which check every access: compiling would take minutes.
#if defined(__has_feature)
#  if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#    define INLAY_UNROLL(n)
#  endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#  define INLAY_UNROLL(n)
#endif
#ifndef INLAY_UNROLL
#  define INLAY_UNROLL(n) HWY_UNROLL(n)
#endif

// Asks for the cache line at an address, which may be any: prefetching never faults. Into the cache
// of `level` (3: the nearest, 2: the next).
#if defined(__GNUC__) || defined(__clang__)
#  define INLAY_PREFETCH(address, level) \
    __builtin_prefetch(reinterpret_cast<const void*>(address), 0, level)
#  define INLAY_PREFETCH_TO_WRITE(pointer) __builtin_prefetch(pointer, 1, 2)
#else
#  define INLAY_PREFETCH(address, level) ((void)(address))
#  define INLAY_PREFETCH_TO_WRITE(pointer) ((void)(pointer))
#endif

INLAY_BEGIN_NAMESPACE
namespace detail {

// ---- quantized activations ("A32") --------------------------------------------------------------
inline constexpr size_t kGroup = 32;   // consecutive k with one activation scale
inline constexpr size_t kChunk = 256;  // k of a superblock, or of 8 blocks
inline constexpr size_t kColumns = 4;  // columns of a column group
static_assert(kQuantizeStep == kColumns && kQuantizeBlock == kGroup && kQuantizePadding == kChunk);

// What sums of products with weights of `sub` sub-blocks start from, if the weights are `offset`
// more than their value: -offset times the sum of the q; with int16 lanes the low half is of the q
// with k % 4 in {0, 1}, what a lane of pmaddubsw adds up.
struct StartKind {
  size_t sub;
  int offset;
};
inline constexpr StartKind kStarts[] = {{32, 1}, {32, 8},  {32, 16}, {32, 128},
                                        {16, 4}, {16, 32}, {16, 128}};
// Offset of a kind in all of them, one after another; of another, of their end.
constexpr size_t start_offset(StartKind kind, size_t kp) {
  size_t words = 0;  // for kGroup values, without divisions, for it is asked per column group
  for (const StartKind& s : kStarts) {
    if (s.sub == kind.sub && s.offset == kind.offset) break;
    words += s.sub == kGroup ? 1 : 2;
  }
  return kp / kGroup * words * 4;
}

// A column on its own, for row kernels, and for panels if it is the only one. k is padded to chunks
// with zeros.
//   int8_t q[kp]; float scale16[kp / 16]; float sum16[kp / 16]; float scale32[kp / 32];
//   float sum32[kp / 32]; uint32_t start[kp / sub], for each of kStarts
// sum16 and sum32: scale times the sum of 16 or 32 consecutive q. scale16: every scale twice.
struct ColumnLayout {
  size_t kp;  // k rounded up to kChunk
  explicit constexpr ColumnLayout(size_t k) : kp(round_up(k, kChunk)) {}
  // Offset of the scales or sums of sub-blocks of `sub` values.
  constexpr size_t scale(size_t sub) const { return sub == 16 ? kp : kp + kp / 2; }
  constexpr size_t sum(size_t sub) const { return scale(sub) + kp / sub * 4; }
  constexpr size_t start(StartKind kind) const { return kp + kp / 4 * 3 + start_offset(kind, kp); }
  constexpr size_t bytes() const { return round_up(start({0, 0}), 64); }
};

// Four columns interleaved, for tiles, and for panels if there are several; missing columns and the
// padding of k are zeros.
//   int8_t q[kp / 4][4 columns][4 k]
//   float scale[kp / 32][4]
//   float sum[kp / sub][4]             scale times the sum of `sub` consecutive q; for 16, for 32
//   uint32_t start[kp / sub][4]        for each of kStarts
//   int16_t wide[kp / 4][2][4][2 k]    q with k % 4 in {0, 2}, and in {1, 3}; not with VNNI
//   int8_t paired[kp / 8][4][8 k]      in their place, with i8mm
// With AMX, instead of all that, [4 columns][bytes() / 4]: bfloat16, digits, and room behind them.
struct GroupLayout {
  size_t kp;  // k rounded up to kGroup
  explicit constexpr GroupLayout(size_t k) : kp(round_up(k, kGroup)) {}
  constexpr size_t scale() const { return kp * 4; }
  constexpr size_t sum(size_t sub) const { return scale() + kp / 2 + (sub == 16 ? kp / 2 : 0); }
  constexpr size_t start(StartKind kind) const {
    return scale() + kp * 2 + start_offset(kind, kp) * kColumns;
  }
  constexpr size_t wide() const { return start({0, 0}); }
  // A quarter is an odd number of cache lines: columns do not compete for few sets of a cache.
  constexpr size_t bytes() const { return round_up(wide() + kp * 8 + 256, 512) - 256; }
};
// Two or three columns are written both ways: each on its own after their group.
constexpr size_t column_at(size_t n, size_t k, size_t column) {
  return (n == 1 ? 0 : GroupLayout(k).bytes()) + column * ColumnLayout(k).bytes();
}
static_assert(GroupLayout(32).start({32, 1}) == GroupLayout(32).sum(16) + 32);

// ---- rows ---------------------------------------------------------------------------------------
inline constexpr size_t kStreams = 4;  // rows at a time

// Activations as the row kernel of TQ1_0 takes them: it writes them into its scratch memory.
struct TernaryChunk {
  alignas(64) int16_t x[kChunk];
  int32_t start[8];  // lanes of sums: weights are digits minus 1
  float scale;
};

// And as the row kernels of superblocks do: scales and sums as integers.
struct SuperblockChunk {
  alignas(64) int16_t ratio[16];  // scales of 16 values each, as parts of the largest
  alignas(32) int16_t sum[16];    // sums of sub-blocks
  float unit[2];                  // of products with them: with scales, with mins
};

// ---- tiles --------------------------------------------------------------------------------------
inline constexpr size_t kTileRows = 32;      // two panels: shares what is prepared per column group
inline constexpr size_t kTileK = 512;        // of bytes; half as much of int16, a quarter of float
inline constexpr size_t kTileColumns = 256;  // columns between two decodings of the same weights

// Scratch memory of a call with at least kColumns columns. A panel is 16 rows; a step is 4 bytes of
// a row: 4 k, 2 k, or 1 k.
struct MatmulScratch {
  alignas(64) uint32_t w[2][kTileK / 4][kPanelRows];  // [panel][step][row]
  // [panel]: what VNNI's tile kernels read: w, or of a packed panel the same bytes, with `skip`
  // words of scales between chunks.
  const uint32_t* from[2];
  size_t skip;
  // [panel][sub-block][row]: float, or the integers that `delta` of their chunk is multiplied with,
  // as int32 or, to multiply int16 lanes, twice as int16.
  alignas(64) float scale[2][kTileK / 16][kPanelRows];
  alignas(64) float delta[2][kTileK / kChunk][kPanelRows];                // [panel][chunk][row]
  alignas(64) float min[2][kTileK / 16][kPanelRows];                      // [panel][sub-block][row]
  alignas(64) float c[kTileColumns / kColumns][2][kColumns][kPanelRows];  // [group][panel]...
};

// ---- packed panels ------------------------------------------------------------------------------
// A panel has 16 rows: chunks of 256 k (8 groups of 32; the last may have fewer), each as many
// bytes as in the file:
//   scales   see pack_scales()
//   groups   the bits of their weights
// All is read from one end to the other, line by line: in any other order, a processor's own
// prefetching fails (Zen 4: a third of the speed). A group of b bits is uint32 [b][16 rows]: so
// vectors of rows need few shifts and masks to become the bytes that a dot product takes, 4 k of a
// row together, and there are no vectors of fewer than 4 k. See pack_group().
struct PanelLayout {
  size_t block;        // 32 or 256
  size_t scale_bytes;  // of a block
  size_t bits;
  constexpr size_t scales(size_t groups) const {
    return kPanelRows * scale_bytes * (block == kGroup ? groups : 1);
  }
  constexpr size_t group_bytes() const { return bits * 4 * kPanelRows; }
  constexpr size_t chunk_bytes(size_t groups) const {
    return scales(groups) + groups * group_bytes();
  }
};

constexpr PanelLayout panel_layout(TensorType type) noexcept {
  switch (type) {
    case TensorType::q4_0:
    case TensorType::iq4_nl:
      return {32, 2, 4};
    case TensorType::q4_1:
      return {32, 4, 4};
    case TensorType::q5_0:
      return {32, 2, 5};
    case TensorType::q5_1:
      return {32, 4, 5};
    case TensorType::q8_0:
      return {32, 2, 8};
    case TensorType::q2_k:
      return {256, 20, 2};
    case TensorType::q3_k:
      return {256, 14, 3};
    case TensorType::q4_k:
      return {256, 16, 4};
    case TensorType::q5_k:
      return {256, 16, 5};
    case TensorType::q6_k:
      return {256, 18, 6};
    case TensorType::iq4_xs:
      return {256, 8, 4};
    default:
      return {0, 0, 0};  // not packed
  }
}

inline uint16_t load_u16(const uint8_t* p) noexcept {
  uint16_t v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
inline uint32_t load_u32(const void* p) noexcept {
  uint32_t v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_KERNELS_SHARED_HPP_
