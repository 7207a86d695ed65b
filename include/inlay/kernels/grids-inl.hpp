// The IQ1, IQ2 and IQ3 types: indices into the grids of tensor/grids.hpp, with signs. A chunk is
// unpacked to indices, bits and scales first, with vectors; its entries are then loaded one by one.
// Compiled once per SIMD target, for its sub-target too; no include guard.

HWY_BEFORE_NAMESPACE();
INLAY_BEGIN_NAMESPACE
namespace detail {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

struct GridChunk {
  alignas(64) uint16_t index[64];  // of the entries, 32 or 64
  // Of a group of 32: bit i, value i is negative; or byte i, what is added to entry i.
  alignas(64) uint32_t bits[8];
  alignas(64) float scale[16];  // 8 or 16
};

enum class GridKind {
  signs8,  // entries of 8 values, with signs
  signs4,  // of 4
  shifts   // of 8, to which something is added
};

using GridTag8 = LaneTag;
using GridTag16 = hn::Repartition<uint16_t, LaneTag>;
using GridTag32 = hn::Repartition<uint32_t, LaneTag>;
using Grid16 = hn::Vec<GridTag16>;
using Grid32 = hn::Vec<GridTag32>;
static constexpr size_t kGrid16 = kLaneBytes / 2, kGrid32 = kLaneBytes / 4;  // lanes

// ---- unpacking ----------------------------------------------------------------------------------
// Tables of 16 bytes are read twice for 32: patterns of indices into them have 32.
static HWY_INLINE Grid16 low_bytes(const uint8_t* p) {
  const hn::Rebind<uint8_t, GridTag16> d8;
  return hn::PromoteTo(GridTag16(), hn::LoadU(d8, p));
}

static HWY_INLINE LaneVec twice_8(const uint8_t* p) {
  const hn::Repartition<uint64_t, LaneTag> d64;
  uint64_t v;
  std::memcpy(&v, p, sizeof v);
  return hn::BitCast(LaneTag(), hn::Set(d64, v));
}

// Bytes `pattern` + first of v.
static HWY_INLINE Grid16 pick(LaneVec v, const uint8_t* pattern, size_t first) {
  const LaneTag d;
  const auto index = hn::Add(hn::Load(d, pattern), hn::Set(d, static_cast<uint8_t>(first)));
  return hn::BitCast(GridTag16(), look_up(v, index));
}

// Lanes first ... of v, four times each.
static HWY_INLINE Grid16 four_each(LaneVec v, size_t first) {
  alignas(32) static constexpr uint8_t kFour[32] = {0, 1, 0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3, 2, 3,
                                                    4, 5, 4, 5, 4, 5, 4, 5, 6, 7, 6, 7, 6, 7, 6, 7};
  return pick(v, kFour, first * 2);
}

// Bits 3 * l ... 3 * l + 2 of lane l % 4, as bits 8 ... 10.
static HWY_INLINE Grid16 three_bits(Grid16 v) {
  const GridTag16 d;
  alignas(16) static constexpr uint16_t kFactor[8] = {256, 32, 4, 0, 256, 32, 4, 0};
  alignas(16) static constexpr uint16_t kLast[8] = {0, 0, 0, 0x700, 0, 0, 0, 0x700};
  const auto first = hn::And(hn::Mul(v, hn::LoadDup128(d, kFactor)), hn::Set(d, uint16_t{0x700}));
  return hn::OrAnd(first, hn::ShiftRight<1>(v), hn::LoadDup128(d, kLast));
}

// Seven signs in each byte; the eighth makes the number of negative ones even.
static HWY_INLINE Grid32 even_signs(Grid32 seven) {
  auto parity = hn::Xor(seven, hn::ShiftRight<4>(seven));
  parity = hn::Xor(parity, hn::ShiftRight<2>(parity));
  parity = hn::Xor(parity, hn::ShiftRight<1>(parity));
  return hn::Or(seven, hn::ShiftLeft<7>(hn::And(parity, hn::Set(GridTag32(), 0x01010101u))));
}

// 4 x 7 signs and 4 bits of a scale for each group.
static HWY_INLINE void unpack_signs(Grid32 v, float d, uint32_t* bits, float* scale) {
  const GridTag32 d32;
  const hn::Repartition<float, GridTag32> df;
  const hn::Repartition<int32_t, GridTag32> di;
  auto seven = hn::And(v, hn::Set(d32, 0x7fu));
  seven = hn::OrAnd(seven, hn::ShiftLeft<1>(v), hn::Set(d32, 0x7f00u));
  seven = hn::OrAnd(seven, hn::ShiftLeft<2>(v), hn::Set(d32, 0x7f0000u));
  seven = hn::OrAnd(seven, hn::ShiftLeft<3>(v), hn::Set(d32, 0x7f000000u));
  hn::Store(even_signs(seven), d32, bits);
  const auto odd = hn::Or(hn::ShiftLeft<1>(hn::ShiftRight<28>(v)), hn::Set(d32, 1u));
  hn::Store(hn::Mul(hn::ConvertTo(df, hn::BitCast(di, odd)), hn::Set(df, d)), df, scale);
}

// scale[i] = d * (2 * byte i + 1), i < count
template <size_t count>
static HWY_INLINE void odd_scales(Bytes16 bytes, float d, float* scale) {
  const hn::Full128<uint8_t> d8;
  const auto odd = hn::Add(hn::Add(bytes, bytes), hn::Set(d8, uint8_t{1}));
  scale_bytes(odd, d, scale);
  if constexpr (count == 16) scale_bytes(hn::ShiftRightBytes<8>(d8, odd), d, scale + 8);
}

// The nibbles of 8 bytes.
static HWY_INLINE Bytes16 nibbles_in_order(uint64_t bytes) {
  const hn::Full128<uint8_t> d;
  const auto v = hn::BitCast(d, hn::Set(hn::Full128<uint64_t>(), bytes));
  const auto low = hn::And(v, hn::Set(d, uint8_t{15})), high = hn::ShiftRight<4>(v);
  return hn::InterleaveLower(d, low, high);
}
static HWY_INLINE uint64_t load_u64(const uint8_t* p) {
  uint64_t v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

// ---- the types, as traits of decode-inl.hpp -----------------------------------------------------
struct AnyGrid : ByRows {};
template <GridKind kind>
struct GridType : AnyGrid {
  static constexpr GridKind kKind = kind;
  static constexpr size_t kBlock = kChunk;
  static constexpr bool kSigned = kind != GridKind::shifts;
  static constexpr int kOffset = 128, kMax = 255;
};

struct Iq2Xxs : GridType<GridKind::signs8> {  // half d; 8 x (4 indices, 4 x 7 signs, 4 of a scale)
  static constexpr size_t kChunkBytes = 66, kSub = 32;
  static const uint8_t* grid() { return kIq2XxsGrid.at[0]; }
  static HWY_NOINLINE void unpack(const uint8_t* chunk, GridChunk& to) {
    const GridTag32 d32;
    const float d = half_at(chunk) * 0.125f;
    INLAY_UNROLL(2) for (size_t g = 0; g < 8; g += kGrid32) {
      const auto a = hn::BitCast(d32, hn::LoadU(LaneTag(), chunk + 2 + g * 8));
      const auto b = hn::BitCast(d32, hn::LoadU(LaneTag(), chunk + 2 + g * 8 + kLaneBytes));
      HWY_ALIGN uint8_t index[kLaneBytes];
      hn::Store(hn::BitCast(LaneTag(), hn::ConcatEven(d32, b, a)), LaneTag(), index);
      hn::Store(low_bytes(index), GridTag16(), to.index + g * 4);
      hn::Store(low_bytes(index + kGrid16), GridTag16(), to.index + g * 4 + kGrid16);
      unpack_signs(hn::ConcatOdd(d32, b, a), d, to.bits + g, to.scale + g);
    }
  }
};

struct Iq2Xs : GridType<GridKind::signs8> {  // half d; 32 x (9 bits of an index, 7 signs); 16
                                             // nibbles of scales
  static constexpr size_t kChunkBytes = 74, kSub = 16;
  static const uint8_t* grid() { return kIq2XsGrid.at[0]; }
  static HWY_NOINLINE void unpack(const uint8_t* chunk, GridChunk& to) {
    const GridTag16 d16;
    const GridTag32 d32;
    INLAY_UNROLL(2) for (size_t i = 0; i < 32; i += 2 * kGrid16) {
      Grid16 signs[2];
      INLAY_UNROLL(2) for (size_t j = 0; j < 2; ++j) {
        const size_t at = i + j * kGrid16;
        const auto v = hn::BitCast(d16, hn::LoadU(LaneTag(), chunk + 2 + at * 2));
        hn::Store(hn::And(v, hn::Set(d16, uint16_t{511})), d16, to.index + at);
        signs[j] = hn::ShiftRight<9>(v);
      }
      const auto seven = hn::BitCast(d32, hn::OrderedTruncate2To(LaneTag(), signs[0], signs[1]));
      hn::Store(even_signs(seven), d32, to.bits + i / 4);
    }
    odd_scales<16>(nibbles_in_order(load_u64(chunk + 66)), half_at(chunk) * 0.125f, to.scale);
  }
};

struct Iq2S : GridType<GridKind::signs8> {  // half d; 32 low bytes of indices; 32 bytes of signs;
                                            // 8 bytes of top bits, 2 each; 16 nibbles of scales
  static constexpr size_t kChunkBytes = 82, kSub = 16;
  static const uint8_t* grid() { return kIq2SGrid.at[0]; }
  static HWY_NOINLINE void unpack(const uint8_t* chunk, GridChunk& to) {
    alignas(32) static constexpr uint8_t kFour[32] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1,
                                                      1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2,
                                                      2, 2, 3, 3, 3, 3, 3, 3, 3, 3};
    // The low byte of a lane is shifted to where its two bits belong; the high one out of them.
    alignas(16) static constexpr uint16_t kFactor[8] = {256, 64, 16, 4, 256, 64, 16, 4};
    const GridTag16 d16;
    const auto top = twice_8(chunk + 66);
    INLAY_UNROLL(4) for (size_t i = 0; i < 32; i += kGrid16) {
      const auto byte = hn::And(pick(top, kFour, i / 4), hn::Set(d16, uint16_t{255}));
      const auto high = hn::Mul(byte, hn::LoadDup128(d16, kFactor));
      const auto index = hn::OrAnd(low_bytes(chunk + 2 + i), high, hn::Set(d16, uint16_t{0x300}));
      hn::Store(index, d16, to.index + i);
    }
    std::memcpy(to.bits, chunk + 34, sizeof to.bits);
    odd_scales<16>(nibbles_in_order(load_u64(chunk + 74)), half_at(chunk) * 0.125f, to.scale);
  }
};

struct Iq3Xxs : GridType<GridKind::signs4> {  // half d; 64 indices; 8 x (4 x 7 signs, 4 of a scale)
  static constexpr size_t kChunkBytes = 98, kSub = 32;
  static const uint8_t* grid() { return kIq3XxsGrid.at[0]; }
  static HWY_NOINLINE void unpack(const uint8_t* chunk, GridChunk& to) {
    const float d = half_at(chunk) * 0.25f;
    INLAY_UNROLL(8) for (size_t i = 0; i < 64; i += kGrid16) {
      hn::Store(low_bytes(chunk + 2 + i), GridTag16(), to.index + i);
    }
    INLAY_UNROLL(2) for (size_t g = 0; g < 8; g += kGrid32) {
      const auto v = hn::BitCast(GridTag32(), hn::LoadU(LaneTag(), chunk + 66 + g * 4));
      unpack_signs(v, d, to.bits + g, to.scale + g);
    }
  }
};

struct Iq3S : GridType<GridKind::signs4> {  // half d; 64 low bytes of indices; 64 top bits; 32
                                            // bytes of signs; 8 nibbles of scales
  static constexpr size_t kChunkBytes = 110, kSub = 32;
  static const uint8_t* grid() { return kIq3SGrid.at[0]; }
  static HWY_NOINLINE void unpack(const uint8_t* chunk, GridChunk& to) {
    alignas(32) static constexpr uint8_t kEight[32] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
                                                       0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1,
                                                       1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    alignas(16) static constexpr uint16_t kFactor[8] = {256, 128, 64, 32, 16, 8, 4, 2};
    const GridTag16 d16;
    const auto top = twice_8(chunk + 66);
    INLAY_UNROLL(8) for (size_t i = 0; i < 64; i += kGrid16) {
      const auto byte = hn::And(pick(top, kEight, i / 8), hn::Set(d16, uint16_t{255}));
      const auto high = hn::Mul(byte, hn::LoadDup128(d16, kFactor));
      const auto index = hn::OrAnd(low_bytes(chunk + 2 + i), high, hn::Set(d16, uint16_t{0x100}));
      hn::Store(index, d16, to.index + i);
    }
    std::memcpy(to.bits, chunk + 74, sizeof to.bits);
    odd_scales<8>(nibbles_in_order(load_u32(chunk + 106)), half_at(chunk), to.scale);
  }
};

// Entries are 16 + 8 * (-1, 0 or 1): plus or minus 1, and what makes that centred on kOffset.
struct Iq1S : GridType<GridKind::shifts> {  // half d; 32 low bytes of indices; 8 x (4 x 3 top bits,
                                            // 3 of a scale, 1 that shifts)
  static constexpr size_t kChunkBytes = 50, kSub = 32;
  static constexpr int kOffset = 16, kMax = kOffset + 9;
  static const uint8_t* grid() { return kIq1Grid.at[0]; }
  static HWY_NOINLINE void unpack(const uint8_t* chunk, GridChunk& to) {
    const hn::Full128<uint8_t> d8;
    const hn::Full128<uint16_t> d;
    const hn::Full128<int16_t> di;
    const GridTag16 d16;
    const auto twice = hn::LoadDup128(LaneTag(), chunk + 34);
    INLAY_UNROLL(4) for (size_t i = 0; i < 32; i += kGrid16) {
      const auto high = three_bits(four_each(twice, i / 4));
      hn::Store(hn::Or(low_bytes(chunk + 2 + i), high), d16, to.index + i);
    }
    const auto v = hn::BitCast(d, hn::LoadU(d8, chunk + 34));
    const auto shift = hn::BitCast(d8, hn::BroadcastSignBit(hn::BitCast(di, v)));
    const auto bytes = hn::BitCast(d, hn::Or(shift, hn::Set(d8, uint8_t{1})));  // -1 or 1
    uint8_t* bits = reinterpret_cast<uint8_t*>(to.bits);
    hn::Store(hn::BitCast(d8, hn::InterleaveLower(d, bytes, bytes)), d8, bits);
    hn::Store(hn::BitCast(d8, hn::InterleaveUpper(d, bytes, bytes)), d8, bits + 16);
    const auto three = hn::And(hn::ShiftRight<12>(v), hn::Set(d, uint16_t{7}));
    odd_scales<8>(hn::OrderedTruncate2To(d8, three, three), half_at(chunk) * 0.125f, to.scale);
  }
};

struct Iq1M : GridType<GridKind::shifts> {  // 32 low bytes of indices; 32 nibbles: 3 top bits, 1
                                            // that shifts; 4 x (4 x 3 bits of a scale, 4 of half d)
  static constexpr size_t kChunkBytes = 56, kSub = 16;
  static constexpr int kOffset = 32, kMax = kOffset + 9;
  static const uint8_t* grid() { return kIq1Grid.at[0]; }
  static HWY_NOINLINE void unpack(const uint8_t* chunk, GridChunk& to) {
    alignas(32) static constexpr uint8_t kTwo[32] = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                                     2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5,
                                                     5, 5, 6, 6, 6, 6, 7, 7, 7, 7};
    alignas(16) static constexpr uint16_t kFactor[8] = {256, 16, 256, 16, 256, 16, 256, 16};
    const GridTag16 d16;
    const hn::Repartition<int16_t, LaneTag> di;
    const auto nibbles = hn::LoadDup128(LaneTag(), chunk + 32);
    INLAY_UNROLL(2) for (size_t i = 0; i < 32; i += 2 * kGrid16) {
      Grid16 shift[2];
      INLAY_UNROLL(2) for (size_t j = 0; j < 2; ++j) {
        const size_t at = i + j * kGrid16;
        const auto byte = hn::And(pick(nibbles, kTwo, at / 2), hn::Set(d16, uint16_t{255}));
        const auto high = hn::Mul(byte, hn::LoadDup128(d16, kFactor));
        const auto index = hn::OrAnd(low_bytes(chunk + at), high, hn::Set(d16, uint16_t{0x700}));
        hn::Store(index, d16, to.index + at);
        const auto top = hn::BitCast(di, hn::ShiftLeft<4>(high));
        shift[j] = hn::BitCast(d16, hn::BroadcastSignBit(top));
      }
      const auto bytes = hn::OrderedTruncate2To(LaneTag(), shift[0], shift[1]);  // -1 or 0
      const auto twice = hn::Add(bytes, bytes);
      hn::Store(hn::Add(twice, hn::Set(LaneTag(), uint8_t{17})), LaneTag(),
                reinterpret_cast<uint8_t*>(to.bits) + i);
    }
    const uint64_t scales = load_u64(chunk + 48);
    const auto words = twice_8(chunk + 48);
    HWY_ALIGN uint16_t three[16];
    INLAY_UNROLL(2) for (size_t i = 0; i < 16; i += kGrid16) {
      hn::Store(hn::ShiftRight<8>(three_bits(four_each(words, i / 4))), d16, three + i);
    }
    const hn::Full128<uint8_t> d8;
    const hn::Full128<uint16_t> d;
    const uint64_t half = (scales >> 12 & 0xf) | (scales >> 24 & 0xf0) | (scales >> 36 & 0xf00) |
                          (scales >> 48 & 0xf000);
    uint8_t bytes[sizeof half];
    std::memcpy(bytes, &half, sizeof half);
    odd_scales<16>(hn::OrderedTruncate2To(d8, hn::Load(d, three), hn::Load(d, three + 8)),
                   half_at(bytes) * 0.125f, to.scale);
  }
};

// ---- entries ------------------------------------------------------------------------------------
// Vector `part` of group g, without signs.
template <GridKind kind>
static HWY_INLINE LaneVec grid_entries(const uint8_t* grid, const GridChunk& chunk, size_t g,
                                       size_t part) {
  const hn::Full128<uint8_t> d;
  if constexpr (kind == GridKind::signs4) {
    const uint16_t* index = chunk.index + g * 8 + part * 4;
    const auto four = [&](size_t i) HWY_ATTR {
      const auto entry = [&](size_t j)
                             HWY_ATTR { return load_u32(grid + index[i + j] * size_t{4}); };
      return hn::BitCast(d, hn::Dup128VecFromValues(hn::Full128<uint32_t>(), entry(0), entry(1),
                                                    entry(2), entry(3)));
    };
#if HWY_MAX_BYTES >= 32
    return hn::Combine(LaneTag(), four(4), four(0));
#else
    return four(0);
#endif
  } else {
    const uint16_t* index = chunk.index + g * 4 + part * 2;
    const auto two = [&](size_t i) HWY_ATTR {
      const auto entry = [&](size_t j)
                             HWY_ATTR { return load_u64(grid + index[i + j] * size_t{8}); };
      return hn::BitCast(d, hn::Dup128VecFromValues(hn::Full128<uint64_t>(), entry(0), entry(1)));
    };
#if HWY_MAX_BYTES >= 32
    return hn::Combine(LaneTag(), two(2), two(0));
#else
    return two(0);
#endif
  }
}

// The signs of vector `part` of group g.
static HWY_INLINE hn::Mask<LaneTag> grid_signs(const GridChunk& chunk, size_t g, size_t part) {
  const uint8_t* bits = reinterpret_cast<const uint8_t*>(chunk.bits + g) + part * kLaneBytes / 8;
  return hn::LoadMaskBits(LaneTag(), bits);
}

// What is added to the entries of vector `part` of group g.
static HWY_INLINE LaneVec grid_shifts(const GridChunk& chunk, size_t g, size_t part) {
  alignas(32) static constexpr uint8_t kEight[32] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1,
                                                     1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2,
                                                     2, 2, 3, 3, 3, 3, 3, 3, 3, 3};
  const auto four = hn::BitCast(LaneTag(), hn::Set(GridTag32(), chunk.bits[g]));
  return look_up(four, hn::Load(LaneTag(), kEight + part * kLaneBytes));
}

// ---- a chunk of a row for a tile ----------------------------------------------------------------
template <GridKind kind>
static HWY_NOINLINE void store_grid_lanes(const uint8_t* grid, const GridChunk& chunk,
                                          uint8_t* lanes) {
  const LaneTag d;
  for (size_t g = 0; g < 8; ++g) {
    INLAY_UNROLL(2) for (size_t part = 0; part < kParts; ++part) {
      auto v = grid_entries<kind>(grid, chunk, g, part);
      if constexpr (kind == GridKind::shifts) {
        v = hn::Add(v, grid_shifts(chunk, g, part));
      } else {
        v = hn::IfThenElse(grid_signs(chunk, g, part), hn::Sub(hn::Zero(d), v), v);
      }
      hn::Store(v, d, lanes + g * kGroup + part * kLaneBytes);
    }
  }
}

template <class T>
static void decode_grid_chunk(const uint8_t* chunk, size_t, ChunkLanes& to) {
  GridChunk unpacked;
  T::unpack(chunk, unpacked);
  store_grid_lanes<T::kKind>(T::grid(), unpacked, to.lanes);
  std::memcpy(to.scale, unpacked.scale, kChunk / T::kSub * sizeof(float));
}

}  // namespace HWY_NAMESPACE
}  // namespace detail
INLAY_END_NAMESPACE
HWY_AFTER_NAMESPACE();
