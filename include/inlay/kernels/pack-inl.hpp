// Weights of a file to panels (shared.hpp has the layout): bytes moved, nothing computed. Once for
// all targets.
#ifndef INLAY_KERNELS_PACK_INL_HPP_
#define INLAY_KERNELS_PACK_INL_HPP_

#include "inlay/kernels/kernels.hpp"
#include "inlay/kernels/shared.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

size_t packed_bytes(TensorType type, size_t rows, size_t k) noexcept {
  const PanelLayout layout = panel_layout(type);
  if (layout.block == 0 || k % layout.block != 0) return 0;
  const size_t chunks = k / kChunk, rest = k % kChunk / kGroup;
  return div_up(rows, kPanelRows) *
         (chunks * layout.chunk_bytes(8) + (rest > 0 ? layout.chunk_bytes(rest) : 0));
}

// Nibbles of 4 dwords at p: the low ones are the first 16 values, the high ones the next.
static void unpack_nibbles(const uint8_t* p, uint32_t v[8]) {
  for (size_t s = 0; s < 4; ++s) {
    const uint32_t word = load_u32(p + s * 4);
    v[s] = word & 0x0f0f0f0f;
    v[s + 4] = word >> 4 & 0x0f0f0f0f;
  }
}

// Bits [from, from + bits) of each of 32 bytes, added to v at `to`.
static void unpack_field(const uint8_t* p, size_t from, size_t bits, size_t to, uint32_t v[8]) {
  const uint32_t mask = 0x01010101u * ((1u << bits) - 1);
  for (size_t s = 0; s < 8; ++s) v[s] |= (load_u32(p + s * 4) >> from & mask) << to;
}

// 32 bits, one for each value, added to v as bit 4.
static void unpack_fifth_bits(const uint8_t* p, uint32_t v[8]) {
  const uint32_t bits = load_u32(p);
  for (size_t s = 0; s < 8; ++s) {
    v[s] |= ((bits >> (s * 4) & 15) * 0x00204081u & 0x01010101u) << 4;
  }
}

// Group g of a row's chunk: byte j of v[s] is the value at 4 * s + j, as the format stores it.
template <TensorType kType>
static void unpack_group(const uint8_t* chunk, size_t g, uint32_t v[8]) {
  std::memset(v, 0, 8 * sizeof v[0]);
  switch (kType) {
    case TensorType::q4_0:
    case TensorType::iq4_nl:
      return unpack_nibbles(chunk + g * 18 + 2, v);
    case TensorType::q4_1:
      return unpack_nibbles(chunk + g * 20 + 4, v);
    case TensorType::q5_0:
      unpack_nibbles(chunk + g * 22 + 6, v);
      return unpack_fifth_bits(chunk + g * 22 + 2, v);
    case TensorType::q5_1:
      unpack_nibbles(chunk + g * 24 + 8, v);
      return unpack_fifth_bits(chunk + g * 24 + 4, v);
    case TensorType::q8_0:
      std::memcpy(v, chunk + g * 34 + 2, 32);
      return;
    case TensorType::q2_k:
      return unpack_field(chunk + 16 + g / 4 * 32, g % 4 * 2, 2, 0, v);
    case TensorType::q3_k:
      unpack_field(chunk + 32 + g / 4 * 32, g % 4 * 2, 2, 0, v);
      return unpack_field(chunk, g, 1, 2, v);
    case TensorType::q4_k:
      return unpack_field(chunk + 16 + g / 2 * 32, g % 2 * 4, 4, 0, v);
    case TensorType::q5_k:
      unpack_field(chunk + 48 + g / 2 * 32, g % 2 * 4, 4, 0, v);
      return unpack_field(chunk + 16, g, 1, 4, v);
    case TensorType::q6_k:
      unpack_field(chunk + g / 4 * 64 + g % 2 * 32, g % 4 / 2 * 4, 4, 0, v);
      return unpack_field(chunk + 128 + g / 4 * 32, g % 4 * 2, 2, 4, v);
    default:  // iq4_xs
      return unpack_nibbles(chunk + 8 + g * 16, v);
  }
}

// The scales of row r of a chunk with `groups` groups, to the front of the panel's chunk. b is the
// block, s a sub-block (of 16 or 32), [..][16] are the rows:
//   blocks of 32  half d[b][16]; with mins: half m[b][16]
//   q2_K          half d[16], dmin[16]; uint8 [16 s][16]: scale, min << 4
//   q3_K          half d[16]; uint8 [8][16]: low 4 bits of the scales 2i, 2i + 1; uint8 [4][16]:
//                 high 2 bits of 4i ... 4i + 3
//   q4_K, q5_K    half d[16], dmin[16]; uint8 [8 s][16]: low 4 bits of scale, min; uint8 [4][16]:
//                 high 2 bits of scale 2i, min 2i, scale 2i + 1, min 2i + 1
//   q6_K          half d[16]; int8 [16 s][16]
//   iq4_xs        half d[16]; uint8 [4][16], [2][16]: as q3_K
template <TensorType kType>
static void pack_scales(const uint8_t* from, size_t groups, size_t r, uint8_t* to) {
  const auto copy_half = [&](size_t source, size_t index) {
    std::memcpy(to + (index * kPanelRows + r) * 2, from + source, 2);
  };
  // Scales of 6 bits after the half d: `count` of them, in two planes.
  const auto put_6bit = [&](const uint8_t* values, size_t count) {
    uint8_t* low = to + 2 * kPanelRows + r;
    for (size_t i = 0; i < count / 2; ++i, low += kPanelRows) {
      *low = static_cast<uint8_t>((values[2 * i] & 15) | (values[2 * i + 1] & 15) << 4);
    }
    for (size_t i = 0; i < count / 4; ++i, low += kPanelRows) {
      const uint8_t* v = values + 4 * i;
      *low = static_cast<uint8_t>(v[0] >> 4 | v[1] >> 4 << 2 | v[2] >> 4 << 4 | v[3] >> 4 << 6);
    }
  };
  switch (kType) {
    case TensorType::q4_0:
    case TensorType::q5_0:
    case TensorType::q8_0:
    case TensorType::iq4_nl: {
      constexpr size_t bytes = kType == TensorType::q5_0 ? 22 : kType == TensorType::q8_0 ? 34 : 18;
      for (size_t b = 0; b < groups; ++b) copy_half(b * bytes, b);
      return;
    }
    case TensorType::q4_1:
    case TensorType::q5_1: {
      constexpr size_t bytes = kType == TensorType::q5_1 ? 24 : 20;
      for (size_t b = 0; b < groups; ++b) {
        copy_half(b * bytes, b);
        copy_half(b * bytes + 2, groups + b);
      }
      return;
    }
    case TensorType::q2_k:
      copy_half(80, 0);
      copy_half(82, 1);
      for (size_t s = 0; s < 16; ++s) to[(4 + s) * kPanelRows + r] = from[s];
      return;
    case TensorType::q3_k: {
      uint8_t values[16];
      for (size_t s = 0; s < 16; ++s) {
        values[s] = static_cast<uint8_t>((from[96 + s % 8] >> s / 8 * 4 & 15) |
                                         (from[104 + s % 4] >> s / 4 * 2 & 3) << 4);
      }
      copy_half(108, 0);
      return put_6bit(values, 16);
    }
    case TensorType::q4_k:
    case TensorType::q5_k: {
      copy_half(0, 0);
      copy_half(2, 1);
      const uint8_t *a = from + 4, *b = from + 8, *c = from + 12;
      uint8_t scale[8], min[8];
      for (size_t i = 0; i < 4; ++i) {
        scale[i] = a[i] & 63;
        min[i] = b[i] & 63;
        scale[4 + i] = static_cast<uint8_t>((c[i] & 15) | a[i] >> 6 << 4);
        min[4 + i] = static_cast<uint8_t>(c[i] >> 4 | b[i] >> 6 << 4);
      }
      for (size_t s = 0; s < 8; ++s) {
        to[(4 + s) * kPanelRows + r] = static_cast<uint8_t>((scale[s] & 15) | (min[s] & 15) << 4);
      }
      for (size_t i = 0; i < 4; ++i) {
        to[(12 + i) * kPanelRows + r] =
            static_cast<uint8_t>(scale[2 * i] >> 4 | min[2 * i] >> 4 << 2 |
                                 scale[2 * i + 1] >> 4 << 4 | min[2 * i + 1] >> 4 << 6);
      }
      return;
    }
    case TensorType::q6_k:
      copy_half(208, 0);
      for (size_t s = 0; s < 16; ++s) to[(2 + s) * kPanelRows + r] = from[192 + s];
      return;
    default: {  // iq4_xs
      uint8_t values[8];
      const size_t high = load_u16(from + 2);
      for (size_t s = 0; s < 8; ++s) {
        values[s] =
            static_cast<uint8_t>((from[4 + s / 2] >> s % 2 * 4 & 15) | (high >> 2 * s & 3) << 4);
      }
      copy_half(0, 0);
      return put_6bit(values, 8);
    }
  }
}

// One instance for each type, with all shifts and loops known: packing then takes the time of
// reading and writing memory.
template <TensorType kType>
static void pack_type(const uint8_t* w, size_t k, size_t begin, size_t end, uint8_t* out) {
  constexpr PanelLayout layout = panel_layout(kType);
  constexpr uint32_t mask = 0x01010101u * ((1u << layout.low) - 1);
  const size_t row_bytes = packed_bytes(kType, kPanelRows, k) / kPanelRows;
  out += begin * row_bytes;
  for (size_t panel = begin; panel < end; panel += kPanelRows) {
    const size_t rows = end - panel < kPanelRows ? end - panel : kPanelRows;
    if (rows < kPanelRows) std::memset(out, 0, kPanelRows * row_bytes);
    const uint8_t* from = w + panel * row_bytes;
    for (size_t group0 = 0; group0 < k / kGroup; group0 += 8) {
      const size_t groups = k / kGroup - group0 < 8 ? k / kGroup - group0 : 8;
      for (size_t r = 0; r < rows; ++r) {
        const uint8_t* chunk = from + r * row_bytes;
        pack_scales<kType>(chunk, groups, r, out);
        uint8_t* to = out + layout.scales(groups) + r * 4;
        for (size_t g = 0; g < groups; ++g) {
          uint32_t v[8];
          unpack_group<kType>(chunk, g, v);
          INLAY_UNROLL(2) for (size_t i = 0; i < layout.high; ++i, to += 4 * kPanelRows) {
            uint32_t plane = 0;
            INLAY_UNROLL(8) for (size_t s = i; s < 8; s += layout.high) {
              plane |= (v[s] & ~mask) >> layout.low << (s - i);
            }
            std::memcpy(to, &plane, 4);
          }
          INLAY_UNROLL(8) for (size_t i = 0; i < layout.low; ++i, to += 4 * kPanelRows) {
            uint32_t plane = 0;
            INLAY_UNROLL(8) for (size_t s = i; s < 8; s += layout.low) {
              plane |= (v[s] & mask) << (s - i);
            }
            std::memcpy(to, &plane, 4);
          }
        }
      }
      from += layout.chunk_bytes(groups) / kPanelRows;
      out += layout.chunk_bytes(groups);
    }
  }
}

void pack_panels(TensorType type, const uint8_t* w, size_t k, size_t begin, size_t end,
                 uint8_t* out) noexcept {
  switch (type) {
    case TensorType::q4_0:
    case TensorType::iq4_nl:
      return pack_type<TensorType::q4_0>(w, k, begin, end, out);
    case TensorType::q4_1:
      return pack_type<TensorType::q4_1>(w, k, begin, end, out);
    case TensorType::q5_0:
      return pack_type<TensorType::q5_0>(w, k, begin, end, out);
    case TensorType::q5_1:
      return pack_type<TensorType::q5_1>(w, k, begin, end, out);
    case TensorType::q8_0:
      return pack_type<TensorType::q8_0>(w, k, begin, end, out);
    case TensorType::q2_k:
      return pack_type<TensorType::q2_k>(w, k, begin, end, out);
    case TensorType::q3_k:
      return pack_type<TensorType::q3_k>(w, k, begin, end, out);
    case TensorType::q4_k:
      return pack_type<TensorType::q4_k>(w, k, begin, end, out);
    case TensorType::q5_k:
      return pack_type<TensorType::q5_k>(w, k, begin, end, out);
    case TensorType::q6_k:
      return pack_type<TensorType::q6_k>(w, k, begin, end, out);
    case TensorType::iq4_xs:
      return pack_type<TensorType::iq4_xs>(w, k, begin, end, out);
    default:
      return;  // not packed
  }
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_KERNELS_PACK_INL_HPP_
