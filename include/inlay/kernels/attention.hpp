// What attention kernels of all targets share: how the KV cache and their scratch memory are laid
// out.
#ifndef INLAY_KERNELS_ATTENTION_HPP_
#define INLAY_KERNELS_ATTENTION_HPP_

#include <cstddef>
#include <cstdint>
#include <limits>

#include "inlay/core/memory.hpp"
#include "inlay/kernels/kernels.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// One head of K or of V in the cache. Scores are computed for 16 positions at a time and the
// weighted sum of V for 16 dimensions at a time, so positions are innermost in K and dimensions in
// V; both are padded to 16 dimensions.
//   K: value[capacity / 16][padded][16 positions], scale[capacity / 16][blocks][16 positions]
//   V: value[capacity][padded],                    scale[capacity][blocks]
// Values are float, half, or int8; only int8 has scales: half, one for (up to) 32 dimensions of a
// position. A half times an int8 is exact in float, so what a value is does not depend on where it
// is expanded.
struct KvLayout {
  size_t head, padded, blocks, capacity;
  constexpr KvLayout(size_t head_size, size_t positions)
      : head(head_size),
        padded(round_up(head_size, 16)),
        blocks(div_up(head_size, 32)),
        capacity(positions) {}

  constexpr size_t scales() const { return capacity * padded; }  // bytes before them
  constexpr size_t bytes(KvFormat format) const {
    const size_t bytes = format == KvFormat::f32   ? capacity * padded * 4
                         : format == KvFormat::f16 ? capacity * padded * 2
                                                   : scales() + capacity * blocks * 2;
    return round_up(bytes, kAlignment);
  }
  // Where a position's first dimension, or first scale, lies. The next one of K is kKvPanel
  // further.
  constexpr size_t k_value(size_t position) const {
    return position / kKvPanel * padded * kKvPanel + position % kKvPanel;
  }
  constexpr size_t k_scale(size_t position) const {
    return position / kKvPanel * blocks * kKvPanel + position % kKvPanel;
  }
  constexpr size_t v_value(size_t position) const { return position * padded; }
  constexpr size_t v_scale(size_t position) const { return position * blocks; }
};

// Positions between two updates of a row's maximum. Tiles start at multiples of it, wherever the
// window starts: what is added up in which order then depends on nothing but the positions that a
// query sees.
inline constexpr size_t kKvTile = 64;
inline constexpr size_t kMaxRowGroup = 8;  // most rows that a target's inner loops handle at once

// Scratch memory of one attention call. A row is one query head of one query.
struct AttentionScratch {
  float* q;        // [row / group][head_k][group]: scaled
  float* sum;      // [row][padded_v]: of exp(score - maximum) * V
  float* weight;   // [row][16]: of exp(score - maximum), spread over lanes
  float* maximum;  // [row]
  float* score;    // [kMaxRowGroup][kKvTile]
  float* k;        // [kKvTile / 16][padded_k][16]: a tile of K as float
  float* v;        // [kKvTile][padded_v]: a tile of V as float
  size_t bytes = 0;

  AttentionScratch(void* memory, size_t rows, size_t head_k, size_t head_v) {
    const size_t padded_rows = round_up(rows, kMaxRowGroup);
    const auto take = [&](size_t floats) {
      float* at = memory == nullptr ? nullptr : static_cast<float*>(memory) + bytes / sizeof(float);
      bytes += round_up(floats * sizeof(float), kAlignment);
      return at;
    };
    q = take(padded_rows * head_k);
    sum = take(padded_rows * round_up(head_v, 16));
    weight = take(padded_rows * 16);
    maximum = take(padded_rows);
    score = take(kMaxRowGroup * kKvTile);
    k = take(kKvTile * round_up(head_k, 16));
    v = take(kKvTile * round_up(head_v, 16));
  }
};

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_KERNELS_ATTENTION_HPP_
