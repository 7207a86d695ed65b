// The quantized tensor types: one trait each. From it the row kernel and the tile decoding are
// generated.
//
// A trait describes a row as chunks of 256 values (a superblock, or 8 blocks of 32; the last chunk
// of a row may have fewer blocks) and decodes
//   lanes(chunk, g)   the 32 values of group g as 8-bit integers u: 0 .. kMax; with kSigned, as
//   two's complement scales(chunk, groups, scale, min)   float scale[8 or 16] and, with kMins,
//   min[8 or 16], one per kSub values; the
//                                       entries of groups that are not there are zeros
// and means w = scale * (u - kOffset), or w = scale * u - min. Block layouts: ggml-common.h of
// ggml. Compiled once per SIMD target; no include guard.

HWY_BEFORE_NAMESPACE();
INLAY_BEGIN_NAMESPACE
namespace detail {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using LaneTag = hn::CappedTag<uint8_t, 32>;
using LaneVec = hn::Vec<LaneTag>;
static constexpr size_t kLaneBytes = HWY_MAX_LANES_D(LaneTag);
static constexpr size_t kParts = 32 / kLaneBytes;  // vectors for 32 values
static constexpr size_t kBatch =
    kLaneBytes / 4;  // rows, and dwords of each, that store_transposed takes

struct Lanes {
  LaneVec v[kParts];
};

static HWY_INLINE Lanes load_lanes(const uint8_t* p) {
  const LaneTag d;
  Lanes r;
  INLAY_UNROLL(2) for (size_t i = 0; i < kParts; ++i) r.v[i] = hn::LoadU(d, p + i * kLaneBytes);
  return r;
}

// Bits [from, from + bits) of every byte, moved to [to, to + bits).
template <int bits, int to = 0>
static HWY_INLINE LaneVec bit_field(LaneVec v, int from) {
  const LaneTag d;
  const hn::Repartition<uint16_t, LaneTag> d16;
  const auto mask = hn::Set(d, static_cast<uint8_t>(((1 << bits) - 1) << to));
  const auto wide = hn::BitCast(d16, v);
  if (from == to) return hn::And(v, mask);
  if (from < to) return hn::And(hn::BitCast(d, hn::ShiftLeftSame(wide, to - from)), mask);
  return hn::And(hn::BitCast(d, hn::ShiftRightSame(wide, from - to)), mask);
}

// 32 values from 16 bytes: first the low nibbles, then the high ones.
static HWY_INLINE Lanes nibbles(const uint8_t* p) {
  const LaneTag d;
  Lanes r;
#if HWY_MAX_BYTES >= 32
  const hn::Repartition<uint32_t, LaneTag> d32;
  alignas(32) static constexpr uint32_t kShift[8] = {0, 0, 0, 0, 4, 4, 4, 4};
  const auto both = hn::BitCast(d32, hn::LoadDup128(d, p));
  r.v[0] = hn::And(hn::BitCast(d, hn::Shr(both, hn::Load(d32, kShift))), hn::Set(d, uint8_t{15}));
#else
  const LaneVec v = hn::LoadU(d, p);
  r.v[0] = bit_field<4>(v, 0);
  r.v[1] = bit_field<4>(v, 4);
#endif
  return r;
}

// 32 bits as `value` or 0 per lane. Reads 8 bytes.
static HWY_INLINE Lanes spread_bits(const uint8_t* p, uint8_t value) {
  const LaneTag d;
  Lanes r;
  INLAY_UNROLL(2) for (size_t i = 0; i < kParts; ++i) {
    r.v[i] = hn::IfThenElseZero(hn::LoadMaskBits(d, p + i * kLaneBytes / 8), hn::Set(d, value));
  }
  return r;
}

static HWY_INLINE float half_at(const uint8_t* p) {
  const hn::CappedTag<float, 1> df;
  const hn::Rebind<hwy::float16_t, decltype(df)> dh;
  const hn::Rebind<uint16_t, decltype(df)> du;
  return hn::GetLane(hn::PromoteTo(df, hn::BitCast(dh, hn::Set(du, load_u16(p)))));
}

using ScaleTag = hn::CappedTag<float, 8>;
using ScaleVec = hn::Vec<ScaleTag>;
static constexpr size_t kScaleLanes = HWY_MAX_LANES_D(ScaleTag);

#if HWY_TARGET <= HWY_AVX3_DL && HWY_ARCH_X86
// The four halves at p, p + stride ... p + 3 * stride < p + 128, and with `all` the four after
// them.
template <size_t stride, bool all>
static HWY_INLINE hn::Vec<hn::Full512<uint16_t>> pick_halves(const uint8_t* p) {
  static_assert(stride % 2 == 0 && (all ? 7 : 3) * stride + 2 <= 128);
  constexpr uint16_t kStep = stride / 2;
  alignas(64) static constexpr uint16_t kAt[32] = {0,
                                                   kStep,
                                                   2 * kStep,
                                                   3 * kStep,
                                                   4 * kStep % 64,
                                                   5 * kStep % 64,
                                                   6 * kStep % 64,
                                                   7 * kStep % 64};
  const hn::Full512<uint8_t> d8;
  const hn::Full512<uint16_t> d;
  const auto low = hn::BitCast(d, hn::LoadU(d8, p)), high = hn::BitCast(d, hn::LoadU(d8, p + 64));
  return hn::TwoTablesLookupLanes(d, low, high, hn::SetTableIndices(d, kAt));
}
#endif

// The halves at p, p + stride ... of `groups` <= 8 blocks, as float; p starts a chunk.
template <size_t stride>
static HWY_INLINE void halves_at(const uint8_t* p, size_t groups, float* out) {
  const ScaleTag df;
  const hn::Rebind<hwy::float16_t, ScaleTag> dh;
  const hn::Rebind<uint16_t, ScaleTag> du;
  HWY_ALIGN uint16_t h[8] = {};
  if (HWY_LIKELY(groups == 8)) {
    const hn::Full128<uint16_t> d;
#if HWY_TARGET <= HWY_AVX3_DL && HWY_ARCH_X86
    const hn::Full128<uint64_t> d64;
    if constexpr (stride == 18) {
      hn::StoreU(
          hn::PromoteTo(df, hn::BitCast(dh, hn::ResizeBitCast(du, pick_halves<18, true>(p)))), df,
          out);
      return;
    } else if constexpr (stride == 34) {
      const auto low = hn::ResizeBitCast(d64, pick_halves<34, false>(p));
      const auto high = hn::ResizeBitCast(d64, pick_halves<34, false>(p + 4 * 34));
      const auto both = hn::InterleaveLower(d64, low, high);
      hn::StoreU(hn::PromoteTo(df, hn::BitCast(dh, hn::ResizeBitCast(du, both))), df, out);
      return;
    }
#endif
    hn::Store(hn::Dup128VecFromValues(d, load_u16(p), load_u16(p + stride),
                                      load_u16(p + 2 * stride), load_u16(p + 3 * stride),
                                      load_u16(p + 4 * stride), load_u16(p + 5 * stride),
                                      load_u16(p + 6 * stride), load_u16(p + 7 * stride)),
              d, h);
  } else {
    for (size_t i = 0; i < groups; ++i) h[i] = load_u16(p + i * stride);
  }
  INLAY_UNROLL(2) for (size_t i = 0; i < 8; i += kScaleLanes) {
    hn::StoreU(hn::PromoteTo(df, hn::BitCast(dh, hn::Load(du, h + i))), df, out + i);
  }
}

// out[i] = d * (lane i of bytes), i < 8, the bytes unsigned or signed.
using Bytes16 = hn::Vec<hn::Full128<uint8_t>>;
static HWY_INLINE void scale_bytes(Bytes16 bytes, float d, float* out) {
  const ScaleTag df;
  const hn::Rebind<int32_t, ScaleTag> di;
  const hn::Rebind<uint8_t, ScaleTag> d8;
  INLAY_UNROLL(2) for (size_t i = 0; i < 8; i += kScaleLanes) {
    const auto part = hn::ResizeBitCast(
        d8, i == 0 ? bytes : hn::ShiftRightBytes<4>(hn::Full128<uint8_t>(), bytes));
    hn::StoreU(hn::Mul(hn::ConvertTo(df, hn::PromoteTo(di, part)), hn::Set(df, d)), df, out + i);
  }
}
static HWY_INLINE void scale_signed_bytes(Bytes16 bytes, float d, float* out) {
  const ScaleTag df;
  const hn::Rebind<int32_t, ScaleTag> di;
  const hn::Rebind<int8_t, ScaleTag> d8;
  INLAY_UNROLL(2) for (size_t i = 0; i < 8; i += kScaleLanes) {
    const auto part = hn::ResizeBitCast(
        d8, i == 0 ? bytes : hn::ShiftRightBytes<4>(hn::Full128<uint8_t>(), bytes));
    hn::StoreU(hn::Mul(hn::ConvertTo(df, hn::PromoteTo(di, part)), hn::Set(df, d)), df, out + i);
  }
}

// ---- blocks of 32 -------------------------------------------------------------------------------
struct Q4_0 {  // half d; 16 bytes of nibbles
  static constexpr size_t kBlock = 32, kChunkBytes = 8 * 18, kSub = 32;
  static constexpr int kMax = 15, kOffset = 8;
  static constexpr bool kSigned = false, kMins = false;
  static HWY_INLINE Lanes lanes(const uint8_t* chunk, size_t g) {
    return nibbles(chunk + g * 18 + 2);
  }
  static HWY_INLINE void scales(const uint8_t* chunk, size_t groups, float* scale, float*) {
    halves_at<18>(chunk, groups, scale);
  }
};

struct Q4_1 {  // half d, m; 16 bytes of nibbles: d * u + m
  static constexpr size_t kBlock = 32, kChunkBytes = 8 * 20, kSub = 32;
  static constexpr int kMax = 15, kOffset = 0;
  static constexpr bool kSigned = false, kMins = true;
  static HWY_INLINE Lanes lanes(const uint8_t* chunk, size_t g) {
    return nibbles(chunk + g * 20 + 4);
  }
  static HWY_INLINE void scales(const uint8_t* chunk, size_t groups, float* scale, float* min) {
    halves_at<20>(chunk, groups, scale);
    halves_at<20>(chunk + 2, groups, min);
    for (size_t i = 0; i < 8; ++i) min[i] = -min[i];
  }
};

struct Q5_0 {  // half d; 32 fifth bits; 16 bytes of nibbles
  static constexpr size_t kBlock = 32, kChunkBytes = 8 * 22, kSub = 32;
  static constexpr int kMax = 31, kOffset = 16;
  static constexpr bool kSigned = false, kMins = false;
  static HWY_INLINE Lanes lanes(const uint8_t* chunk, size_t g) {
    Lanes r = nibbles(chunk + g * 22 + 6);
    const Lanes high = spread_bits(chunk + g * 22 + 2, 16);
    INLAY_UNROLL(2) for (size_t i = 0; i < kParts; ++i) r.v[i] = hn::Or(r.v[i], high.v[i]);
    return r;
  }
  static HWY_INLINE void scales(const uint8_t* chunk, size_t groups, float* scale, float*) {
    halves_at<22>(chunk, groups, scale);
  }
};

struct Q5_1 {  // half d, m; 32 fifth bits; 16 bytes of nibbles: d * u + m
  static constexpr size_t kBlock = 32, kChunkBytes = 8 * 24, kSub = 32;
  static constexpr int kMax = 31, kOffset = 0;
  static constexpr bool kSigned = false, kMins = true;
  static HWY_INLINE Lanes lanes(const uint8_t* chunk, size_t g) {
    Lanes r = nibbles(chunk + g * 24 + 8);
    const Lanes high = spread_bits(chunk + g * 24 + 4, 16);
    INLAY_UNROLL(2) for (size_t i = 0; i < kParts; ++i) r.v[i] = hn::Or(r.v[i], high.v[i]);
    return r;
  }
  static HWY_INLINE void scales(const uint8_t* chunk, size_t groups, float* scale, float* min) {
    halves_at<24>(chunk, groups, scale);
    halves_at<24>(chunk + 2, groups, min);
    for (size_t i = 0; i < 8; ++i) min[i] = -min[i];
  }
};

struct Q8_0 {  // half d; 32 signed bytes
  static constexpr size_t kBlock = 32, kChunkBytes = 8 * 34, kSub = 32;
  static constexpr int kMax = 255, kOffset = 128;
  static constexpr bool kSigned = true, kMins = false;
  static HWY_INLINE Lanes lanes(const uint8_t* chunk, size_t g) {
    return load_lanes(chunk + g * 34 + 2);
  }
  static HWY_INLINE void scales(const uint8_t* chunk, size_t groups, float* scale, float*) {
    halves_at<34>(chunk, groups, scale);
  }
};

// The 16 values of iq4_nl and iq4_xs.
static HWY_INLINE Lanes iq4_values(Lanes index) {
  alignas(16) static constexpr int8_t kValues[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                                     1,    13,   25,  38,  53,  69,  89,  113};
  const hn::Repartition<int8_t, LaneTag> d;
  const auto table = hn::BitCast(LaneTag(), hn::LoadDup128(d, kValues));
  INLAY_UNROLL(2)
  for (size_t i = 0; i < kParts; ++i) index.v[i] = hn::TableLookupBytes(table, index.v[i]);
  return index;
}

struct Iq4Nl {  // half d; 16 bytes of nibbles: indices into the table
  static constexpr size_t kBlock = 32, kChunkBytes = 8 * 18, kSub = 32;
  static constexpr int kMax = 255, kOffset = 128;
  static constexpr bool kSigned = true, kMins = false;
  static HWY_INLINE Lanes lanes(const uint8_t* chunk, size_t g) {
    return iq4_values(nibbles(chunk + g * 18 + 2));
  }
  static HWY_INLINE void scales(const uint8_t* chunk, size_t groups, float* scale, float*) {
    halves_at<18>(chunk, groups, scale);
  }
};

// ---- superblocks of 256 -------------------------------------------------------------------------
struct Iq4Xs {  // half d; 16 bits: high parts of the scales; 4 bytes: their low nibbles; 8 x 16
                // bytes of indices
  static constexpr size_t kBlock = 256, kChunkBytes = 136, kSub = 32;
  static constexpr int kMax = 255, kOffset = 128;
  static constexpr bool kSigned = true, kMins = false;
  static HWY_INLINE Lanes lanes(const uint8_t* chunk, size_t g) {
    return iq4_values(nibbles(chunk + 8 + g * 16));
  }
  static HWY_INLINE void scales(const uint8_t* chunk, size_t, float* scale, float*) {
    const ScaleTag df;
    const hn::Rebind<int32_t, ScaleTag> di;
    const auto d = hn::Set(df, half_at(chunk));
    const auto high = hn::Set(di, static_cast<int32_t>(load_u16(chunk + 2)));
    const auto low = hn::Set(di, static_cast<int32_t>(load_u32(chunk + 4)));
    INLAY_UNROLL(2) for (size_t i = 0; i < 8; i += kScaleLanes) {
      const auto index = hn::Iota(di, static_cast<int32_t>(i));
      const auto twice = hn::Add(index, index);
      const auto l = hn::And(hn::Shr(low, hn::Add(twice, twice)), hn::Set(di, 15));
      const auto h = hn::And(hn::Shr(high, twice), hn::Set(di, 3));
      const auto s = hn::Sub(hn::Or(l, hn::ShiftLeft<4>(h)), hn::Set(di, 32));
      hn::StoreU(hn::Mul(d, hn::ConvertTo(df, s)), df, scale + i);
    }
  }
};

struct Q2K {  // 16 bytes: nibbles scale, min; 64 bytes of 2-bit values; half d, dmin
  static constexpr size_t kBlock = 256, kChunkBytes = 84, kSub = 16;
  static constexpr int kMax = 3, kOffset = 0;
  static constexpr bool kSigned = false, kMins = true;
  static HWY_INLINE Lanes lanes(const uint8_t* chunk, size_t g) {
    Lanes r = load_lanes(chunk + 16 + g / 4 * 32);
    INLAY_UNROLL(2)
    for (size_t i = 0; i < kParts; ++i) r.v[i] = bit_field<2>(r.v[i], static_cast<int>(g % 4 * 2));
    return r;
  }
  static HWY_INLINE void scales(const uint8_t* chunk, size_t, float* scale, float* min) {
    const hn::Full128<uint8_t> d;
    const auto v = hn::LoadU(d, chunk);
    const auto low = hn::And(v, hn::Set(d, uint8_t{15})), high = hn::ShiftRight<4>(v);
    const float delta = half_at(chunk + 80), delta_min = half_at(chunk + 82);
    scale_bytes(low, delta, scale);
    scale_bytes(hn::ShiftRightBytes<8>(d, low), delta, scale + 8);
    scale_bytes(high, delta_min, min);
    scale_bytes(hn::ShiftRightBytes<8>(d, high), delta_min, min + 8);
  }
};

struct Q3K {  // 32 bytes: third bits; 64 bytes of 2-bit values; 12 bytes: 16 6-bit scales + 32;
              // half d
  static constexpr size_t kBlock = 256, kChunkBytes = 110, kSub = 16;
  static constexpr int kMax = 7, kOffset = 4;
  static constexpr bool kSigned = false, kMins = false;
  static HWY_INLINE Lanes lanes(const uint8_t* chunk, size_t g) {
    Lanes r = load_lanes(chunk + 32 + g / 4 * 32);
    const Lanes high = load_lanes(chunk);
    INLAY_UNROLL(2) for (size_t i = 0; i < kParts; ++i) {
      r.v[i] = hn::Or(bit_field<2>(r.v[i], static_cast<int>(g % 4 * 2)),
                      bit_field<1, 2>(high.v[i], static_cast<int>(g)));
    }
    return r;
  }
  static HWY_INLINE void scales(const uint8_t* chunk, size_t, float* scale, float*) {
    const uint32_t a = load_u32(chunk + 96), b = load_u32(chunk + 100),
                   high = load_u32(chunk + 104);
    const uint32_t nibble = 0x0f0f0f0f, two = 0x03030303;
    const uint32_t six[4] = {
        (a & nibble) | (high & two) << 4, (b & nibble) | (high >> 2 & two) << 4,
        (a >> 4 & nibble) | (high >> 4 & two) << 4, (b >> 4 & nibble) | (high >> 6 & two) << 4};
    const hn::Full128<uint8_t> d;
    const hn::Full128<uint32_t> d32;
    const auto bytes =
        hn::Sub(hn::BitCast(d, hn::Dup128VecFromValues(d32, six[0], six[1], six[2], six[3])),
                hn::Set(d, uint8_t{32}));
    const float delta = half_at(chunk + 108);
    scale_signed_bytes(bytes, delta, scale);
    scale_signed_bytes(hn::ShiftRightBytes<8>(d, bytes), delta, scale + 8);
  }
};

// Scales and mins of q4_K and q5_K: half d, dmin; 12 bytes a, b, c of 4 with 8 scales and 8 mins of
// 6 bits.
static HWY_INLINE void scales_6bit(const uint8_t* chunk, float* scale, float* min) {
  const hn::Full128<uint8_t> d8;
  const hn::Full128<uint32_t> d32;
  // Low bits of a, c, b, c >> 4, and two more bits of the second and last from a and b.
  alignas(16) static constexpr uint8_t kLow[16] = {4, 5, 6,  7,  12, 13, 14, 15,
                                                   8, 9, 10, 11, 12, 13, 14, 15};
  alignas(16) static constexpr uint8_t kHigh[16] = {4, 5, 6,  7,  4, 5, 6,  7,
                                                    8, 9, 10, 11, 8, 9, 10, 11};
  alignas(16) static constexpr uint32_t kLowMask[4] = {0x3f3f3f3f, 0x0f0f0f0f, 0x3f3f3f3f, 0};
  alignas(16) static constexpr uint32_t kShiftedMask[4] = {0, 0, 0, 0x0f0f0f0f};
  alignas(16) static constexpr uint32_t kHighMask[4] = {0, 0x30303030, 0, 0x30303030};
  const auto v = hn::LoadU(d8, chunk);
  const auto low = hn::BitCast(d32, hn::TableLookupBytes(v, hn::Load(d8, kLow)));
  const auto high = hn::BitCast(d32, hn::TableLookupBytes(v, hn::Load(d8, kHigh)));
  auto bytes = hn::And(low, hn::Load(d32, kLowMask));
  bytes = hn::OrAnd(bytes, hn::ShiftRight<4>(low), hn::Load(d32, kShiftedMask));
  bytes = hn::OrAnd(bytes, hn::ShiftRight<2>(high), hn::Load(d32, kHighMask));
  scale_bytes(hn::BitCast(d8, bytes), half_at(chunk), scale);
  scale_bytes(hn::ShiftRightBytes<8>(d8, hn::BitCast(d8, bytes)), half_at(chunk + 2), min);
}

struct Q4K {  // scales as above; 4 x 32 bytes: low nibbles are one group of 32, high nibbles the
              // next
  static constexpr size_t kBlock = 256, kChunkBytes = 144, kSub = 32;
  static constexpr int kMax = 15, kOffset = 0;
  static constexpr bool kSigned = false, kMins = true;
  static HWY_INLINE Lanes lanes(const uint8_t* chunk, size_t g) {
    Lanes r = load_lanes(chunk + 16 + g / 2 * 32);
    INLAY_UNROLL(2)
    for (size_t i = 0; i < kParts; ++i) r.v[i] = bit_field<4>(r.v[i], static_cast<int>(g % 2 * 4));
    return r;
  }
  static HWY_INLINE void scales(const uint8_t* chunk, size_t, float* scale, float* min) {
    scales_6bit(chunk, scale, min);
  }
};

struct Q5K {  // scales as above; 32 bytes: bit g is the fifth bit of group g; nibbles as in q4_K
  static constexpr size_t kBlock = 256, kChunkBytes = 176, kSub = 32;
  static constexpr int kMax = 31, kOffset = 0;
  static constexpr bool kSigned = false, kMins = true;
  static HWY_INLINE Lanes lanes(const uint8_t* chunk, size_t g) {
    Lanes r = load_lanes(chunk + 48 + g / 2 * 32);
    const Lanes high = load_lanes(chunk + 16);
    INLAY_UNROLL(2) for (size_t i = 0; i < kParts; ++i) {
      r.v[i] = hn::Or(bit_field<4>(r.v[i], static_cast<int>(g % 2 * 4)),
                      bit_field<1, 4>(high.v[i], static_cast<int>(g)));
    }
    return r;
  }
  static HWY_INLINE void scales(const uint8_t* chunk, size_t, float* scale, float* min) {
    scales_6bit(chunk, scale, min);
  }
};

struct Q6K {  // 128 bytes of low nibbles; 64 bytes of high 2 bits; 16 signed scales; half d
  static constexpr size_t kBlock = 256, kChunkBytes = 210, kSub = 16;
  static constexpr int kMax = 63, kOffset = 32;
  static constexpr bool kSigned = false, kMins = false;
  static HWY_INLINE Lanes lanes(const uint8_t* chunk, size_t g) {
    const size_t half = g / 4, quarter = g % 4;
    Lanes r = load_lanes(chunk + half * 64 + quarter % 2 * 32);
    const Lanes high = load_lanes(chunk + 128 + half * 32);
    INLAY_UNROLL(2) for (size_t i = 0; i < kParts; ++i) {
      r.v[i] = hn::Or(bit_field<4>(r.v[i], static_cast<int>(quarter / 2 * 4)),
                      bit_field<2, 4>(high.v[i], static_cast<int>(quarter * 2)));
    }
    return r;
  }
  static HWY_INLINE void scales(const uint8_t* chunk, size_t, float* scale, float*) {
    const hn::Full128<uint8_t> d;
    const float delta = half_at(chunk + 208);
    const auto bytes = hn::LoadU(d, chunk + 192);
    scale_signed_bytes(bytes, delta, scale);
    scale_signed_bytes(hn::ShiftRightBytes<8>(d, bytes), delta, scale + 8);
  }
};

// ---- plain floats -------------------------------------------------------------------------------
// kScaleLanes values as float.
struct PlainF32 {
  static constexpr size_t kBytes = 4;
  static HWY_INLINE ScaleVec load(const uint8_t* p) {
    const ScaleTag df;
    const hn::Repartition<uint8_t, ScaleTag> d8;
    return hn::BitCast(df, hn::LoadU(d8, p));
  }
};
struct PlainF16 {
  static constexpr size_t kBytes = 2;
  static HWY_INLINE ScaleVec load(const uint8_t* p) {
    const ScaleTag df;
    const hn::Rebind<hwy::float16_t, ScaleTag> dh;
    const hn::Repartition<uint8_t, decltype(dh)> d8;
    return hn::PromoteTo(df, hn::BitCast(dh, hn::LoadU(d8, p)));
  }
};
struct PlainBf16 {
  static constexpr size_t kBytes = 2;
  static HWY_INLINE ScaleVec load(const uint8_t* p) {
    const ScaleTag df;
    const hn::Rebind<hwy::bfloat16_t, ScaleTag> dh;
    const hn::Repartition<uint8_t, decltype(dh)> d8;
    return hn::PromoteTo(df, hn::BitCast(dh, hn::LoadU(d8, p)));
  }
};

}  // namespace HWY_NAMESPACE
}  // namespace detail
INLAY_END_NAMESPACE
HWY_AFTER_NAMESPACE();
