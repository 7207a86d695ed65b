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

// Group g of a row's chunk: byte j of v[s] is the value at 4 * s + j, as the format stores it;
// signed bytes with 128 added, which is how vpdpbusd takes them.
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
      for (size_t s = 0; s < 8; ++s) v[s] ^= 0x80808080;
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
// block, s a sub-block (of 16 or 32), [..][16] are the rows; of sub-blocks four are together:
//   blocks of 32  half d[b][16]; with mins: half m[b][16]
//   q2_K          half d[16], dmin[16]; uint8 [s / 4][16][s % 4]: scale, min << 4
//   q3_K          half d[16]; uint8 [2][16][4]: low 4 bits of the scales of s / 4 = i and i + 2;
//                 uint8 [16][4]: high 2 bits of those of all s / 4
//   q4_K, q5_K    half d[16], dmin[16]; uint8 [s / 4][16][s % 4]: low 4 bits of scale, min; uint8
//                 [16][s % 4]: high 2 bits of scale and of min, each for s / 4 = 0, 1
//   q6_K          half d[16]; int8 [s / 4][16][s % 4]
//   iq4_xs        half d[16]; uint8 [16][s % 4]: low 4 bits of the scales of s / 4 = 0, 1; uint8
//                 [8][s % 4]: their high 2 bits, of the row and of the row + 8
template <TensorType kType>
static void pack_scales(const uint8_t* from, size_t groups, size_t r, uint8_t* to) {
  constexpr size_t kHalves = 2 * kPanelRows, kQuad = 4 * kPanelRows;  // bytes
  const auto copy_half = [&](size_t source, size_t index) {
    std::memcpy(to + (index * kPanelRows + r) * 2, from + source, 2);
  };
  // Bits of sub-block s at byte `from` of the panel's scales.
  const auto put = [&](size_t at, size_t row, size_t s, size_t bits) {
    uint8_t& byte = to[at + row * 4 + s % 4];
    byte = static_cast<uint8_t>(byte | bits);
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
      for (size_t s = 0; s < 16; ++s) put(kHalves * 2 + s / 4 * kQuad, r, s, from[s]);
      return;
    case TensorType::q3_k:
      copy_half(108, 0);
      for (size_t s = 0; s < 16; ++s) {
        const size_t low = from[96 + s % 8] >> s / 8 * 4 & 15;
        const size_t high = from[104 + s % 4] >> s / 4 * 2 & 3;
        put(kHalves + s / 4 % 2 * kQuad, r, s, low << s / 8 * 4);
        put(kHalves + 2 * kQuad, r, s, high << s / 4 * 2);
      }
      return;
    case TensorType::q4_k:
    case TensorType::q5_k: {
      copy_half(0, 0);
      copy_half(2, 1);
      for (size_t s = 0; s < 8; ++s) {
        const size_t a = from[4 + s % 4], b = from[8 + s % 4], c = from[12 + s % 4];
        const size_t scale = s < 4 ? a & 63 : (c & 15) | a >> 6 << 4;
        const size_t min = s < 4 ? b & 63 : c >> 4 | b >> 6 << 4;
        put(2 * kHalves + s / 4 * kQuad, r, s, (scale & 15) | (min & 15) << 4);
        put(2 * kHalves + 2 * kQuad, r, s, (scale >> 4 | min >> 4 << 4) << s / 4 * 2);
      }
      return;
    }
    case TensorType::q6_k:
      copy_half(208, 0);
      for (size_t s = 0; s < 16; ++s) put(kHalves + s / 4 * kQuad, r, s, from[192 + s]);
      return;
    default: {  // iq4_xs
      const size_t high = load_u16(from + 2);
      copy_half(0, 0);
      for (size_t s = 0; s < 8; ++s) {
        const size_t low = from[4 + s / 2] >> s % 2 * 4 & 15;
        put(kHalves, r, s, low << s / 4 * 4);
        put(kHalves + kQuad, r % 8, s, (high >> 2 * s & 3) << (r / 8 * 4 + s / 4 * 2));
      }
      return;
    }
  }
}

// The 32 values of a row's group, byte j of v[s] at k = 4 * s + j, to the row's words of the
// group's `bits` planes.
template <size_t bits>
static void pack_group(const uint32_t v[8], uint32_t planes[bits]) {
  constexpr uint32_t one = 0x01010101, two = 3 * one, three = 7 * one;
  if constexpr (bits == 8) {
    std::memcpy(planes, v, 32);
  } else if constexpr (bits == 2) {
    for (size_t i = 0; i < 2; ++i) {
      planes[i] = v[4 * i] | v[4 * i + 1] << 2 | v[4 * i + 2] << 4 | v[4 * i + 3] << 6;
    }
  } else if constexpr (bits == 3) {
    planes[0] = v[0] | v[3] << 3 | (v[6] & two) << 6;
    planes[1] = v[1] | v[4] << 3 | (v[7] & two) << 6;
    planes[2] = v[2] | v[5] << 3 | (v[6] >> 2 & one) << 6 | (v[7] >> 2 & one) << 7;
  } else if constexpr (bits == 4) {
    for (size_t i = 0; i < 4; ++i) planes[i] = v[i] | v[i + 4] << 4;
  } else if constexpr (bits == 5) {
    planes[0] = 0;
    for (size_t i = 0; i < 4; ++i) {
      planes[0] |= (v[i + 4] >> 3 & two) << 2 * i;
      planes[1 + i] = v[i] | (v[i + 4] & three) << 5;
    }
  } else {
    static_assert(bits == 6);
    for (size_t i = 0; i < 6; ++i) {
      planes[i] = v[i / 3 * 4 + i % 3] | (v[i / 3 * 4 + 3] >> i % 3 * 2 & two) << 6;
    }
  }
}

// One instance for each type, with all shifts and loops known: packing then takes the time of
// reading and writing memory.
template <TensorType kType>
static void pack_type(const uint8_t* w, size_t k, size_t begin, size_t end, uint8_t* out) {
  constexpr PanelLayout layout = panel_layout(kType);
  const size_t row_bytes = packed_bytes(kType, kPanelRows, k) / kPanelRows;
  out += begin * row_bytes;
  for (size_t panel = begin; panel < end; panel += kPanelRows) {
    const size_t rows = end - panel < kPanelRows ? end - panel : kPanelRows;
    if (rows < kPanelRows) std::memset(out, 0, kPanelRows * row_bytes);
    const uint8_t* from = w + panel * row_bytes;
    for (size_t group0 = 0; group0 < k / kGroup; group0 += 8) {
      const size_t groups = k / kGroup - group0 < 8 ? k / kGroup - group0 : 8;
      std::memset(out, 0, layout.scales(groups));
      for (size_t r = 0; r < rows; ++r) {
        const uint8_t* chunk = from + r * row_bytes;
        pack_scales<kType>(chunk, groups, r, out);
        uint8_t* to = out + layout.scales(groups) + r * 4;
        for (size_t g = 0; g < groups; ++g) {
          uint32_t v[8];
          unpack_group<kType>(chunk, g, v);
          uint32_t planes[layout.bits];
          pack_group<layout.bits>(v, planes);
          INLAY_UNROLL(8) for (size_t i = 0; i < layout.bits; ++i, to += 4 * kPanelRows) {
            std::memcpy(to, &planes[i], 4);
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
