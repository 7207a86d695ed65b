// The quantized tensor types: one trait each. From it the row kernel and the tile decoding are
// generated.
//
// A trait describes a row as chunks of 256 values (a superblock, or 8 blocks of 32; the last chunk
// of a row may have fewer blocks) and decodes
//   lanes(chunk, g)   the 32 values of group g as 8-bit integers u: 0 .. kMax; with kSigned, as
//                     two's complement
//   scales(chunk, groups, scale, min)
//                     float scale[8 or 16] and, with kMins, min[8 or 16], one per kSub values; the
//                     entries of groups that are not there are zeros
//   tile(w, groups)   the same lanes of several rows at once: w.load(offset, q) gets 16 bytes of
//                     each row, q[j] dword j of every row; w.put(g, step, v) stores values
//                     4 * step ... + 3 of group g of every row
//   sub_scales(chunk) of a superblock: the integers in 16 bytes that its scales are kDelta's half
//                     times, and of 8 sub-blocks the mins, those times kDeltaMin's half; of 16 with
//                     mins, nibbles of both
//   four_rows(chunks, r)
//                     of superblocks of 8 sub-blocks, instead of scales(): these integers of four
//                     rows at once
// and means w = scale * (u - kOffset), or w = scale * u - min. Block layouts: ggml-common.h of
// ggml. Compiled once per SIMD target, for its sub-target too; no include guard.

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

// Bytes of each 16-byte block of `table`. SSE2 has no instruction for it; the loop that stands in
// is a function of its own there: inlined into unrolled loops it took GCC a third of the time that
// everything takes to compile.
#if HWY_TARGET == HWY_SSE2
template <class V>
static HWY_NOINLINE V look_up(V table, V index) {
#else
template <class V>
static HWY_INLINE V look_up(V table, V index) {
#endif
  return hn::TableLookupBytes(table, index);
}

// The bits 4 * step ... + 3 of each dword, as 16 or 0 per byte.
static HWY_INLINE LaneVec fifth_bits(LaneVec v, size_t step) {
  const LaneTag d;
  alignas(16) static constexpr uint8_t kByte[16] = {0, 0, 0, 0, 4,  4,  4,  4,
                                                    8, 8, 8, 8, 12, 12, 12, 12};
  alignas(16) static constexpr uint8_t kBit[2][16] = {
      {1, 2, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8},
      {16, 32, 64, 128, 16, 32, 64, 128, 16, 32, 64, 128, 16, 32, 64, 128}};
  const auto index = hn::Add(hn::LoadDup128(d, kByte), hn::Set(d, static_cast<uint8_t>(step / 2)));
  const auto bit = hn::LoadDup128(d, kBit[step % 2]);
  const auto set = hn::TestBit(look_up(v, index), bit);
  return hn::IfThenElseZero(set, hn::Set(d, uint8_t{16}));
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

#if HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86
// The four halves at p, p + stride ... p + 3 * stride, of two vectors no longer than it takes: next
// to instructions of 64 bytes, Intel's cores do none of any length on one of their three ports.
// Q4_0 in the first cache is 1.4 times as fast with 32.
template <size_t stride>
static HWY_INLINE auto pick_halves(const uint8_t* p) {
  constexpr size_t kLanes = 3 * stride + 2 <= 64 ? 16 : 32;
  static_assert(stride % 2 == 0 && 3 * stride + 2 <= 4 * kLanes);
  constexpr uint16_t kStep = stride / 2;
  alignas(64) static constexpr uint16_t kAt[32] = {0, kStep, 2 * kStep, 3 * kStep};
  const hn::FixedTag<uint16_t, kLanes> d;
  const hn::Repartition<uint8_t, decltype(d)> d8;
  const auto low = hn::LoadU(d8, p), high = hn::LoadU(d8, p + 2 * kLanes);
  return hn::ResizeBitCast(hn::Full128<uint64_t>(),
                           hn::TwoTablesLookupLanes(d, hn::BitCast(d, low), hn::BitCast(d, high),
                                                    hn::SetTableIndices(d, kAt)));
}
#endif

// The halves at p, p + stride ... of `groups` <= 8 groups of 32, as float, each `repeat` times; p
// starts a chunk.
template <size_t stride, size_t repeat = 1>
static HWY_INLINE void halves_at(const uint8_t* p, size_t groups, float* out) {
  const ScaleTag df;
  const hn::Rebind<hwy::float16_t, ScaleTag> dh;
  const hn::Rebind<uint16_t, ScaleTag> du;
  HWY_ALIGN uint16_t h[8] = {};
  if (HWY_LIKELY(groups == 8)) {
    const hn::Full128<uint16_t> d;
#if HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86
    if constexpr ((stride == 18 && repeat == 1) || stride == 34) {
      const auto both = hn::InterleaveLower(hn::Full128<uint64_t>(), pick_halves<stride>(p),
                                            pick_halves<stride>(p + 4 * stride));
      hn::StoreU(hn::PromoteTo(df, hn::BitCast(dh, hn::ResizeBitCast(du, both))), df, out);
      return;
    }
#endif
    const auto half = [&](size_t i) HWY_ATTR { return load_u16(p + i / repeat * stride); };
    hn::Store(hn::Dup128VecFromValues(d, half(0), half(1), half(2), half(3), half(4), half(5),
                                      half(6), half(7)),
              d, h);
  } else {
    for (size_t i = 0; i < groups; ++i) h[i] = load_u16(p + i / repeat * stride);
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
  static constexpr bool kSigned = false, kMins = false, kHalves = true;
  static HWY_INLINE Lanes lanes(const uint8_t* chunk, size_t g) {
    return nibbles(chunk + g * 18 + 2);
  }
  template <class W>
  static HWY_INLINE void tile(const W& w, size_t groups) {
    for (size_t g = 0; g < groups; ++g) {
      LaneVec q[4];
      w.load(g * 18 + 2, q);
      INLAY_UNROLL(4) for (size_t i = 0; i < 4; ++i) {
        w.put(g, i, bit_field<4>(q[i], 0));
        w.put(g, i + 4, bit_field<4>(q[i], 4));
      }
    }
  }
  static HWY_INLINE void scales(const uint8_t* chunk, size_t groups, float* scale, float*) {
    halves_at<18>(chunk, groups, scale);
  }
};

struct Q4_1 {  // half d, m; 16 bytes of nibbles: d * u + m
  static constexpr size_t kBlock = 32, kChunkBytes = 8 * 20, kSub = 32;
  static constexpr int kMax = 15, kOffset = 0;
  static constexpr bool kSigned = false, kMins = true, kHalves = true;
  static HWY_INLINE Lanes lanes(const uint8_t* chunk, size_t g) {
    return nibbles(chunk + g * 20 + 4);
  }
  template <class W>
  static HWY_INLINE void tile(const W& w, size_t groups) {
    for (size_t g = 0; g < groups; ++g) {
      LaneVec q[4];
      w.load(g * 20 + 4, q);
      INLAY_UNROLL(4) for (size_t i = 0; i < 4; ++i) {
        w.put(g, i, bit_field<4>(q[i], 0));
        w.put(g, i + 4, bit_field<4>(q[i], 4));
      }
    }
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
  static constexpr bool kSigned = false, kMins = false, kHalves = true;
  static HWY_INLINE Lanes lanes(const uint8_t* chunk, size_t g) {
    Lanes r = nibbles(chunk + g * 22 + 6);
    const Lanes high = spread_bits(chunk + g * 22 + 2, 16);
    INLAY_UNROLL(2) for (size_t i = 0; i < kParts; ++i) r.v[i] = hn::Or(r.v[i], high.v[i]);
    return r;
  }
  template <class W>
  static HWY_INLINE void tile(const W& w, size_t groups) {
    for (size_t g = 0; g < groups; ++g) {
      LaneVec high[4], q[4];
      w.load(g * 22 + 2, high);
      w.load(g * 22 + 6, q);
      INLAY_UNROLL(4) for (size_t i = 0; i < 4; ++i) {
        w.put(g, i, hn::Or(bit_field<4>(q[i], 0), fifth_bits(high[0], i)));
        w.put(g, i + 4, hn::Or(bit_field<4>(q[i], 4), fifth_bits(high[0], i + 4)));
      }
    }
  }
  static HWY_INLINE void scales(const uint8_t* chunk, size_t groups, float* scale, float*) {
    halves_at<22>(chunk, groups, scale);
  }
};

struct Q5_1 {  // half d, m; 32 fifth bits; 16 bytes of nibbles: d * u + m
  static constexpr size_t kBlock = 32, kChunkBytes = 8 * 24, kSub = 32;
  static constexpr int kMax = 31, kOffset = 0;
  static constexpr bool kSigned = false, kMins = true, kHalves = true;
  static HWY_INLINE Lanes lanes(const uint8_t* chunk, size_t g) {
    Lanes r = nibbles(chunk + g * 24 + 8);
    const Lanes high = spread_bits(chunk + g * 24 + 4, 16);
    INLAY_UNROLL(2) for (size_t i = 0; i < kParts; ++i) r.v[i] = hn::Or(r.v[i], high.v[i]);
    return r;
  }
  template <class W>
  static HWY_INLINE void tile(const W& w, size_t groups) {
    for (size_t g = 0; g < groups; ++g) {
      LaneVec high[4], q[4];
      w.load(g * 24 + 4, high);
      w.load(g * 24 + 8, q);
      INLAY_UNROLL(4) for (size_t i = 0; i < 4; ++i) {
        w.put(g, i, hn::Or(bit_field<4>(q[i], 0), fifth_bits(high[0], i)));
        w.put(g, i + 4, hn::Or(bit_field<4>(q[i], 4), fifth_bits(high[0], i + 4)));
      }
    }
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
  static constexpr bool kSigned = true, kMins = false, kHalves = true;
  static HWY_INLINE Lanes lanes(const uint8_t* chunk, size_t g) {
    return load_lanes(chunk + g * 34 + 2);
  }
  template <class W>
  static HWY_INLINE void tile(const W& w, size_t groups) {
    for (size_t g = 0; g < groups; ++g) {
      INLAY_UNROLL(2) for (size_t half = 0; half < 2; ++half) {
        LaneVec q[4];
        w.load(g * 34 + 2 + half * 16, q);
        INLAY_UNROLL(4) for (size_t i = 0; i < 4; ++i) w.put(g, half * 4 + i, q[i]);
      }
    }
  }
  static HWY_INLINE void scales(const uint8_t* chunk, size_t groups, float* scale, float*) {
    halves_at<34>(chunk, groups, scale);
  }
};

// The 16 values of iq4_nl and iq4_xs; biased: 128 more.
template <bool biased = false, class V>
static HWY_INLINE V iq4_value(V index) {
  alignas(16) static constexpr int8_t kValues[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                                     1,    13,   25,  38,  53,  69,  89,  113};
  const hn::DFromV<V> d;
  const hn::Repartition<int8_t, decltype(d)> ds;
  auto values = hn::BitCast(d, hn::LoadDup128(ds, kValues));
  if constexpr (biased) values = hn::Xor(values, hn::Set(d, uint8_t{128}));
  return look_up(values, index);
}
static HWY_INLINE Lanes iq4_values(Lanes index) {
  INLAY_UNROLL(2) for (size_t i = 0; i < kParts; ++i) index.v[i] = iq4_value(index.v[i]);
  return index;
}

struct Iq4Nl {  // half d; 16 bytes of nibbles: indices into the table
  static constexpr size_t kBlock = 32, kChunkBytes = 8 * 18, kSub = 32;
  static constexpr int kMax = 255, kOffset = 128;
  static constexpr bool kSigned = true, kMins = false, kHalves = true;
  static HWY_INLINE Lanes lanes(const uint8_t* chunk, size_t g) {
    return iq4_values(nibbles(chunk + g * 18 + 2));
  }
  template <class W>
  static HWY_INLINE void tile(const W& w, size_t groups) {
    for (size_t g = 0; g < groups; ++g) {
      LaneVec q[4];
      w.load(g * 18 + 2, q);
      INLAY_UNROLL(4) for (size_t i = 0; i < 4; ++i) {
        w.put(g, i, iq4_value(bit_field<4>(q[i], 0)));
        w.put(g, i + 4, iq4_value(bit_field<4>(q[i], 4)));
      }
    }
  }
  static HWY_INLINE void scales(const uint8_t* chunk, size_t groups, float* scale, float*) {
    halves_at<18>(chunk, groups, scale);
  }
};

// 2^(exponent - 128) of `groups` <= 8 blocks, the exponents (E8M0) at p, p + 17 ...
static HWY_INLINE void exponents_at(const uint8_t* p, size_t groups, float* out) {
  const ScaleTag df;
  const hn::Repartition<int32_t, ScaleTag> di;
  const hn::Rebind<uint8_t, ScaleTag> d8;
  uint64_t bytes = 0;
  if (HWY_LIKELY(groups == 8)) {
    INLAY_UNROLL(8) for (size_t i = 0; i < 8; ++i) bytes |= uint64_t{p[i * 17]} << i * 8;
  } else {
    for (size_t i = 0; i < groups; ++i) bytes |= uint64_t{p[i * 17]} << i * 8;
  }
  INLAY_UNROLL(2) for (size_t i = 0; i < 8; i += kScaleLanes) {
    const auto part = hn::ResizeBitCast(d8, hn::Set(hn::Full128<uint64_t>(), bytes >> i * 8));
    const auto v = hn::PromoteTo(di, part);
    // 2^-128 and 2^-127 are subnormal: the second term is larger for these two only.
    const auto normal = hn::ShiftLeft<23>(hn::Sub(v, hn::Set(di, 1)));
    const auto subnormal = hn::ShiftLeft<21>(hn::Add(v, hn::Set(di, 1)));
    hn::StoreU(hn::BitCast(df, hn::Max(normal, subnormal)), df, out + i);
  }
}

// The 16 values of mxfp4 and nvfp4, plus 16 and plus 32.
template <int plus, class V>
static HWY_INLINE V fp4_value(V index) {
  static_assert(plus == 16 || plus == 32);
  alignas(16) static constexpr uint8_t kValues[2][16] = {
      {16, 17, 18, 19, 20, 22, 24, 28, 16, 15, 14, 13, 12, 10, 8, 4},
      {32, 33, 34, 35, 36, 38, 40, 44, 32, 31, 30, 29, 28, 26, 24, 20}};
  return look_up(hn::LoadDup128(hn::DFromV<V>(), kValues[plus / 16 - 1]), index);
}

struct Mxfp4 {  // byte e: the scale is 2^(e - 128); 16 bytes of nibbles: indices into the table
  static constexpr size_t kBlock = 32, kChunkBytes = 8 * 17, kSub = 32;
  static constexpr int kMax = 28, kOffset = 16;
  static constexpr bool kSigned = false, kMins = false, kHalves = false;
  static HWY_INLINE Lanes lanes(const uint8_t* chunk, size_t g) {
    Lanes r = nibbles(chunk + g * 17 + 1);
    INLAY_UNROLL(2) for (size_t i = 0; i < kParts; ++i) r.v[i] = fp4_value<16>(r.v[i]);
    return r;
  }
  template <class W>
  static HWY_INLINE void tile(const W& w, size_t groups) {
    for (size_t g = 0; g < groups; ++g) {
      LaneVec q[4];
      w.load(g * 17 + 1, q);
      INLAY_UNROLL(4) for (size_t i = 0; i < 4; ++i) {
        w.put(g, i, fp4_value<16>(bit_field<4>(q[i], 0)));
        w.put(g, i + 4, fp4_value<16>(bit_field<4>(q[i], 4)));
      }
    }
  }
  static HWY_INLINE void scales(const uint8_t* chunk, size_t groups, float* scale, float*) {
    exponents_at(chunk, groups, scale);
  }
};

// ---- rows decoded one by one --------------------------------------------------------------------
// Traits without tile(): chunks are decoded by lanes() and transposed. Their scales are floats,
// with superblocks too.
struct ByRows {
  static constexpr bool kSigned = false, kMins = false;
};
// Superblocks whose only scale is the half at kDelta.
struct OneScale : ByRows {
  static constexpr size_t kBlock = 256, kSub = 32;
};
template <class T>
static HWY_INLINE void same_scales(const uint8_t* chunk, float* scale) {
  const ScaleTag df;
  const auto delta = hn::Set(df, half_at(chunk + T::kDelta));
  INLAY_UNROLL(2) for (size_t i = 0; i < 8; i += kScaleLanes) hn::StoreU(delta, df, scale + i);
}

struct Nvfp4 : ByRows {  // 64 values: 4 scales (UE4M3); 4 x 8 bytes of nibbles
  static constexpr size_t kBlock = 64, kChunkBytes = 4 * 36, kSub = 16;
  static constexpr int kMax = 44, kOffset = 32;
  static HWY_INLINE Lanes lanes(const uint8_t* chunk, size_t g) {
    const LaneTag d;
    const uint8_t* p = chunk + g / 2 * 36 + 4 + g % 2 * 16;
    Lanes r;
#if HWY_MAX_BYTES >= 32
    const hn::Repartition<uint64_t, LaneTag> d64;
    alignas(32) static constexpr uint8_t kTwice[32] = {0,  1,  2, 3, 4,  5,  6,  7,  0,  1,  2,
                                                       3,  4,  5, 6, 7,  8,  9,  10, 11, 12, 13,
                                                       14, 15, 8, 9, 10, 11, 12, 13, 14, 15};
    alignas(32) static constexpr uint64_t kShift[4] = {0, 4, 0, 4};
    const auto both = hn::BitCast(d64, look_up(hn::LoadDup128(d, p), hn::Load(d, kTwice)));
    r.v[0] = hn::And(hn::BitCast(d, hn::Shr(both, hn::Load(d64, kShift))), hn::Set(d, uint8_t{15}));
#else
    const hn::Repartition<uint64_t, LaneTag> d64;
    const LaneVec v = hn::LoadU(d, p);
    const auto low = hn::BitCast(d64, bit_field<4>(v, 0));
    const auto high = hn::BitCast(d64, bit_field<4>(v, 4));
    r.v[0] = hn::BitCast(d, hn::InterleaveLower(d64, low, high));
    r.v[1] = hn::BitCast(d, hn::InterleaveUpper(d64, low, high));
#endif
    INLAY_UNROLL(2) for (size_t i = 0; i < kParts; ++i) r.v[i] = fp4_value<32>(r.v[i]);
    return r;
  }
  static HWY_INLINE void scales(const uint8_t* chunk, size_t groups, float* scale, float*) {
    const ScaleTag df;
    const hn::Repartition<int32_t, ScaleTag> di;
    const hn::Rebind<uint8_t, ScaleTag> d8;
    const hn::Full128<uint32_t> d32;
    const auto four = [&](size_t b)
                          HWY_ATTR { return b < groups / 2 ? load_u32(chunk + b * 36) : 0; };
    HWY_ALIGN uint8_t bytes[16];
    hn::Store(hn::Dup128VecFromValues(d32, four(0), four(1), four(2), four(3)), d32,
              reinterpret_cast<uint32_t*>(bytes));
    INLAY_UNROLL(4) for (size_t i = 0; i < 16; i += kScaleLanes) {
      const auto byte = hn::PromoteTo(di, hn::Load(d8, bytes + i));
      const auto v = hn::And(byte, hn::Set(di, 127));
      const auto subnormal = hn::Mul(hn::ConvertTo(df, v), hn::Set(df, 0x1p-10f));
      const auto bits = hn::Add(hn::ShiftLeft<20>(v), hn::Set(di, 119 << 23));
      const auto value = hn::IfThenElse(hn::RebindMask(df, hn::Lt(v, hn::Set(di, 8))), subnormal,
                                        hn::BitCast(df, bits));
      const auto nan = hn::RebindMask(df, hn::Eq(byte, hn::Set(di, 127)));
      hn::StoreU(hn::IfThenZeroElse(nan, value), df, scale + i);
    }
  }
};

struct Q1_0 : ByRows {  // 128 values: half d; their bits: 1 or -1
  static constexpr size_t kBlock = 128, kChunkBytes = 2 * 18, kSub = 32;
  static constexpr int kMax = 2, kOffset = 1;
  static HWY_INLINE Lanes lanes(const uint8_t* chunk, size_t g) {
    const uint64_t bits = load_u32(chunk + g / 4 * 18 + 2 + g % 4 * 4);
    uint8_t bytes[8];
    std::memcpy(bytes, &bits, sizeof bits);
    return spread_bits(bytes, 2);
  }
  static HWY_INLINE void scales(const uint8_t* chunk, size_t groups, float* scale, float*) {
    halves_at<18, 4>(chunk, groups, scale);
  }
};

struct Q2_0 : ByRows {  // 64 values: half d; 2 bits each, minus 1, four in a byte
  static constexpr size_t kBlock = 64, kChunkBytes = 4 * 18, kSub = 32;
  static constexpr int kMax = 3, kOffset = 1;
  static HWY_INLINE Lanes lanes(const uint8_t* chunk, size_t g) {
    const hn::Repartition<uint32_t, LaneTag> d32;
    const hn::Rebind<uint8_t, decltype(d32)> d8;
    Lanes r;
    INLAY_UNROLL(2) for (size_t i = 0; i < kParts; ++i) {
      const uint8_t* p = chunk + g / 2 * 18 + 2 + g % 2 * 8 + i * kLaneBytes / 4;
      auto v = hn::PromoteTo(d32, hn::LoadU(d8, p));
      v = hn::Or(v, hn::ShiftLeft<12>(v));
      v = hn::And(hn::Or(v, hn::ShiftLeft<6>(v)), hn::Set(d32, 0x03030303u));
      r.v[i] = hn::BitCast(LaneTag(), v);
    }
    return r;
  }
  // The last two of each four values times 16: one shift is enough.
  static HWY_INLINE Lanes paired_lanes(const uint8_t* chunk, size_t g) {
    const hn::Repartition<uint64_t, LaneTag> d64;
    alignas(32) static constexpr uint64_t kShift[4] = {0, 2, 0, 2};
    alignas(32) static constexpr uint8_t kBytes[32] = {
        0, 8,  0, 8,  1, 9,  1, 9,  2, 10, 2, 10, 3, 11, 3, 11,  //
        4, 12, 4, 12, 5, 13, 5, 13, 6, 14, 6, 14, 7, 15, 7, 15};
    const uint8_t* p = chunk + g / 2 * 18 + 2 + g % 2 * 8;
    uint64_t bytes;
    std::memcpy(&bytes, p, sizeof bytes);
    Lanes r;
    INLAY_UNROLL(2) for (size_t i = 0; i < kParts; ++i) {
      const auto shifted = hn::Shr(hn::Set(d64, bytes), hn::Load(d64, kShift));
      const auto at = hn::Load(LaneTag(), kBytes + i * kLaneBytes);
      const auto v = hn::TableLookupBytes(hn::BitCast(LaneTag(), shifted), at);
      r.v[i] = hn::And(v, hn::BitCast(LaneTag(), hn::Set(d64, 0x3030030330300303u)));
    }
    return r;
  }
  static HWY_INLINE void scales(const uint8_t* chunk, size_t groups, float* scale, float*) {
    halves_at<18, 2>(chunk, groups, scale);
  }
};

// ---- superblocks of 256 -------------------------------------------------------------------------
// The integers that the scales of 8 sub-blocks are made of, of four rows at once: those of one row
// fill a vector only when they are floats.
struct EightScales {
  static constexpr size_t kBlock = 256, kSub = 32;
};
using FourWords = hn::Vec<hn::Full128<uint32_t>>;  // 4 bytes of each row
struct FourRows {
  // [sub-block / 4][row][sub-block % 4]; the scales are signed, unless there are mins
  alignas(16) uint8_t scale[2][16], min[2][16];
  FourWords halves;  // what scales are multiplied with, and mins
};
static HWY_INLINE FourWords set_words(uint32_t value) {
  return hn::Set(hn::Full128<uint32_t>(), value);
}
static HWY_INLINE void store_words(FourWords v, uint8_t* to) {
  hn::Store(v, hn::Full128<uint32_t>(), reinterpret_cast<uint32_t*>(to));
}
// The first 16 bytes of each row: v[i] has bytes 4 * i ... + 3.
static HWY_INLINE void load_words(const uint8_t* const* chunks, FourWords* v) {
  const hn::Full128<uint32_t> d;
  const hn::Full128<uint64_t> d64;
  const auto row = [&](size_t r) HWY_ATTR {
    return hn::BitCast(d, hn::LoadU(hn::Full128<uint8_t>(), chunks[r]));
  };
  const auto low01 = hn::BitCast(d64, hn::InterleaveLower(d, row(0), row(1)));
  const auto low23 = hn::BitCast(d64, hn::InterleaveLower(d, row(2), row(3)));
  const auto high01 = hn::BitCast(d64, hn::InterleaveUpper(d, row(0), row(1)));
  const auto high23 = hn::BitCast(d64, hn::InterleaveUpper(d, row(2), row(3)));
  v[0] = hn::BitCast(d, hn::InterleaveLower(d64, low01, low23));
  v[1] = hn::BitCast(d, hn::InterleaveUpper(d64, low01, low23));
  v[2] = hn::BitCast(d, hn::InterleaveLower(d64, high01, high23));
  v[3] = hn::BitCast(d, hn::InterleaveUpper(d64, high01, high23));
}

struct Iq4Xs : EightScales {  // half d; 16 bits: high parts of the scales; 4 bytes: their low
                              // nibbles; 8 x 16
                              // bytes of indices
  static constexpr size_t kChunkBytes = 136;
  static constexpr int kMax = 255, kOffset = 128, kMaxScale = 32;
  static constexpr bool kSigned = true, kMins = false;
  static HWY_INLINE Lanes lanes(const uint8_t* chunk, size_t g) {
    return iq4_values(nibbles(chunk + 8 + g * 16));
  }
  template <class W>
  static HWY_INLINE void tile(const W& w, size_t) {
    for (size_t g = 0; g < 8; ++g) {
      LaneVec q[4];
      w.load(g * 16 + 8, q);
      INLAY_UNROLL(4) for (size_t i = 0; i < 4; ++i) {
        w.put(g, i, iq4_value(bit_field<4>(q[i], 0)));
        w.put(g, i + 4, iq4_value(bit_field<4>(q[i], 4)));
      }
    }
  }
  static constexpr size_t kDelta = 0;
  static HWY_INLINE Bytes16 sub_scales(const uint8_t* chunk) {
    const hn::Full128<uint64_t> d64;
    const hn::Full128<uint8_t> d;
    uint64_t low = load_u32(chunk + 4), high = load_u16(chunk + 2);  // bits 4 * i, 2 * i to byte i
    low = (low | low << 16) & 0x0000ffff0000ffffu;
    low = (low | low << 8) & 0x00ff00ff00ff00ffu;
    low = (low | low << 4) & 0x0f0f0f0f0f0f0f0fu;
    high = (high | high << 24) & 0x000000ff000000ffu;
    high = (high | high << 12) & 0x000f000f000f000fu;
    high = (high | high << 6) & 0x0303030303030303u;
    const auto six = hn::BitCast(d, hn::Set(d64, low | high << 4));
    return hn::Sub(six, hn::Set(d, uint8_t{32}));
  }
  static HWY_INLINE void four_rows(const uint8_t* const* chunks, FourRows& r) {
    const hn::Full128<uint8_t> d8;
    FourWords v[4];
    load_words(chunks, v);
    r.halves = v[0];
    INLAY_UNROLL(2) for (size_t i = 0; i < 2; ++i) {  // as in sub_scales
      auto low = i == 0 ? hn::And(v[1], set_words(0xffff)) : hn::ShiftRight<16>(v[1]);
      auto high =
          i == 0 ? hn::And(hn::ShiftRight<16>(v[0]), set_words(0xff)) : hn::ShiftRight<24>(v[0]);
      low = hn::And(hn::Or(low, hn::ShiftLeft<8>(low)), set_words(0x00ff00ff));
      low = hn::And(hn::Or(low, hn::ShiftLeft<4>(low)), set_words(0x0f0f0f0f));
      high = hn::And(hn::Or(high, hn::ShiftLeft<12>(high)), set_words(0x000f000f));
      high = hn::And(hn::Or(high, hn::ShiftLeft<6>(high)), set_words(0x03030303));
      const auto six = hn::BitCast(d8, hn::Or(low, hn::ShiftLeft<4>(high)));
      hn::Store(hn::Sub(six, hn::Set(d8, uint8_t{32})), d8, r.scale[i]);
    }
  }
};

struct Q2K {  // 16 bytes: nibbles scale, min; 64 bytes of 2-bit values; half d, dmin
  static constexpr size_t kBlock = 256, kChunkBytes = 84, kSub = 16;
  static constexpr int kMax = 3, kOffset = 0, kMaxScale = 15;
  static constexpr bool kSigned = false, kMins = true;
  static HWY_INLINE Lanes lanes(const uint8_t* chunk, size_t g) {
    Lanes r = load_lanes(chunk + 16 + g / 4 * 32);
    INLAY_UNROLL(2)
    for (size_t i = 0; i < kParts; ++i) r.v[i] = bit_field<2>(r.v[i], static_cast<int>(g % 4 * 2));
    return r;
  }
  template <class W>
  static HWY_INLINE void tile(const W& w, size_t) {
    for (size_t at = 0; at < 4; ++at) {  // 16 bytes: a half of 4 groups
      LaneVec q[4];
      w.load(16 + at * 16, q);
      INLAY_UNROLL(4) for (size_t i = 0; i < 4; ++i) {
        INLAY_UNROLL(4) for (size_t g = 0; g < 4; ++g) {
          w.put(at / 2 * 4 + g, at % 2 * 4 + i, bit_field<2>(q[i], static_cast<int>(2 * g)));
        }
      }
    }
  }
  static constexpr size_t kDelta = 80, kDeltaMin = 82;
  static HWY_INLINE Bytes16 sub_scales(const uint8_t* chunk) {
    return hn::LoadU(hn::Full128<uint8_t>(), chunk);
  }
  static HWY_INLINE void scales(const uint8_t* chunk, size_t, float* scale, float* min) {
    const hn::Full128<uint8_t> d;
    const auto v = sub_scales(chunk);
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
  static constexpr int kMax = 7, kOffset = 4, kMaxScale = 32;
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
  template <class W>
  static HWY_INLINE void tile(const W& w, size_t) {
    for (size_t half = 0; half < 2; ++half) {
      LaneVec high[4], q[4];
      w.load(half * 16, high);
      INLAY_UNROLL(2) for (size_t four = 0; four < 2; ++four) {  // groups
        w.load(32 + four * 32 + half * 16, q);
        INLAY_UNROLL(4) for (size_t i = 0; i < 4; ++i) {
          INLAY_UNROLL(4) for (size_t g = 0; g < 4; ++g) {
            w.put(four * 4 + g, half * 4 + i,
                  hn::Or(bit_field<2>(q[i], static_cast<int>(2 * g)),
                         bit_field<1, 2>(high[i], static_cast<int>(four * 4 + g))));
          }
        }
      }
    }
  }
  static constexpr size_t kDelta = 108;
  static HWY_INLINE Bytes16 sub_scales(const uint8_t* chunk) {
    const uint32_t a = load_u32(chunk + 96), b = load_u32(chunk + 100),
                   high = load_u32(chunk + 104);
    const uint32_t nibble = 0x0f0f0f0f, two = 0x03030303;
    const uint32_t six[4] = {
        (a & nibble) | (high & two) << 4, (b & nibble) | (high >> 2 & two) << 4,
        (a >> 4 & nibble) | (high >> 4 & two) << 4, (b >> 4 & nibble) | (high >> 6 & two) << 4};
    const hn::Full128<uint8_t> d;
    const hn::Full128<uint32_t> d32;
    return hn::Sub(hn::BitCast(d, hn::Dup128VecFromValues(d32, six[0], six[1], six[2], six[3])),
                   hn::Set(d, uint8_t{32}));
  }
  static HWY_INLINE void scales(const uint8_t* chunk, size_t, float* scale, float*) {
    const hn::Full128<uint8_t> d;
    const auto bytes = sub_scales(chunk);
    const float delta = half_at(chunk + 108);
    scale_signed_bytes(bytes, delta, scale);
    scale_signed_bytes(hn::ShiftRightBytes<8>(d, bytes), delta, scale + 8);
  }
};

// Scales and mins of q4_K and q5_K, 8 of each: 6 bits, in 12 bytes a, b, c of 4.
static HWY_INLINE Bytes16 six_bits(const uint8_t* chunk) {
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
  const auto low = hn::BitCast(d32, look_up(v, hn::Load(d8, kLow)));
  const auto high = hn::BitCast(d32, look_up(v, hn::Load(d8, kHigh)));
  auto bytes = hn::And(low, hn::Load(d32, kLowMask));
  bytes = hn::OrAnd(bytes, hn::ShiftRight<4>(low), hn::Load(d32, kShiftedMask));
  bytes = hn::OrAnd(bytes, hn::ShiftRight<2>(high), hn::Load(d32, kHighMask));
  return hn::BitCast(d8, bytes);
}
static HWY_INLINE void six_bits_of_rows(const uint8_t* const* chunks, FourRows& r) {
  FourWords v[4];  // halves, a, b, c
  load_words(chunks, v);
  const auto low = set_words(0x0f0f0f0f), high = set_words(0x30303030), all = set_words(0x3f3f3f3f);
  r.halves = v[0];
  store_words(hn::And(v[1], all), r.scale[0]);
  store_words(hn::And(v[2], all), r.min[0]);
  store_words(hn::OrAnd(hn::And(hn::ShiftRight<2>(v[1]), high), v[3], low), r.scale[1]);
  store_words(hn::OrAnd(hn::And(hn::ShiftRight<2>(v[2]), high), hn::ShiftRight<4>(v[3]), low),
              r.min[1]);
}

struct Q4K : EightScales {  // half d, dmin; scales as above; 4 x 32 bytes: low nibbles are one
                            // group of 32, high
                            // nibbles the next
  static constexpr size_t kChunkBytes = 144;
  static constexpr int kMax = 15, kOffset = 0, kMaxScale = 63;
  static constexpr bool kSigned = false, kMins = true;
  static HWY_INLINE Lanes lanes(const uint8_t* chunk, size_t g) {
    Lanes r = load_lanes(chunk + 16 + g / 2 * 32);
    INLAY_UNROLL(2)
    for (size_t i = 0; i < kParts; ++i) r.v[i] = bit_field<4>(r.v[i], static_cast<int>(g % 2 * 4));
    return r;
  }
  template <class W>
  static HWY_INLINE void tile(const W& w, size_t) {
    for (size_t at = 0; at < 8; ++at) {  // 16 bytes: a half of 2 groups
      LaneVec q[4];
      w.load(16 + at * 16, q);
      INLAY_UNROLL(4) for (size_t i = 0; i < 4; ++i) {
        w.put(at / 2 * 2, at % 2 * 4 + i, bit_field<4>(q[i], 0));
        w.put(at / 2 * 2 + 1, at % 2 * 4 + i, bit_field<4>(q[i], 4));
      }
    }
  }
  static constexpr size_t kDelta = 0, kDeltaMin = 2;
  static HWY_INLINE Bytes16 sub_scales(const uint8_t* chunk) { return six_bits(chunk); }
  static HWY_INLINE void four_rows(const uint8_t* const* chunks, FourRows& r) {
    six_bits_of_rows(chunks, r);
  }
};

struct Q5K : EightScales {  // half d, dmin; scales as above; 32 bytes: bit g is the fifth bit of
                            // group g; nibbles
                            // as in q4_K
  static constexpr size_t kChunkBytes = 176;
  static constexpr int kMax = 31, kOffset = 0, kMaxScale = 63;
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
  template <class W>
  static HWY_INLINE void tile(const W& w, size_t) {
    for (size_t half = 0; half < 2; ++half) {
      LaneVec high[4], q[4];
      w.load(16 + half * 16, high);
      INLAY_UNROLL(4) for (size_t two = 0; two < 4; ++two) {  // groups
        w.load(48 + two * 32 + half * 16, q);
        INLAY_UNROLL(4) for (size_t i = 0; i < 4; ++i) {
          const int bit = static_cast<int>(two * 2);
          w.put(two * 2, half * 4 + i,
                hn::Or(bit_field<4>(q[i], 0), bit_field<1, 4>(high[i], bit)));
          w.put(two * 2 + 1, half * 4 + i,
                hn::Or(bit_field<4>(q[i], 4), bit_field<1, 4>(high[i], bit + 1)));
        }
      }
    }
  }
  static constexpr size_t kDelta = 0, kDeltaMin = 2;
  static HWY_INLINE Bytes16 sub_scales(const uint8_t* chunk) { return six_bits(chunk); }
  static HWY_INLINE void four_rows(const uint8_t* const* chunks, FourRows& r) {
    six_bits_of_rows(chunks, r);
  }
};

struct Q6K {  // 128 bytes of low nibbles; 64 bytes of high 2 bits; 16 signed scales; half d
  static constexpr size_t kBlock = 256, kChunkBytes = 210, kSub = 16;
  static constexpr int kMax = 63, kOffset = 32, kMaxScale = 128;
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
  template <class W>
  static HWY_INLINE void tile(const W& w, size_t) {
    for (size_t at = 0; at < 4; ++at) {  // 16 bytes of each plane: a half of 4 groups
      const size_t four = at / 2, half = at % 2;
      LaneVec high[4], q[2][4];
      w.load(128 + at * 16, high);
      w.load(four * 64 + half * 16, q[0]);
      w.load(four * 64 + 32 + half * 16, q[1]);
      INLAY_UNROLL(4) for (size_t i = 0; i < 4; ++i) {
        INLAY_UNROLL(4) for (size_t g = 0; g < 4; ++g) {
          w.put(four * 4 + g, half * 4 + i,
                hn::Or(bit_field<4>(q[g % 2][i], static_cast<int>(g / 2 * 4)),
                       bit_field<2, 4>(high[i], static_cast<int>(g * 2))));
        }
      }
    }
  }
  static constexpr size_t kDelta = 208;
  static HWY_INLINE Bytes16 sub_scales(const uint8_t* chunk) {
    return hn::LoadU(hn::Full128<uint8_t>(), chunk + 192);
  }
  static HWY_INLINE void scales(const uint8_t* chunk, size_t, float* scale, float*) {
    const hn::Full128<uint8_t> d;
    const float delta = half_at(chunk + 208);
    const auto bytes = sub_scales(chunk);
    scale_signed_bytes(bytes, delta, scale);
    scale_signed_bytes(hn::ShiftRightBytes<8>(d, bytes), delta, scale + 8);
  }
};

// Digits in base 3, minus 1: 32 bytes, a fraction of five digits each, the first of all before the
// second; 16 such bytes; 4 bytes of four digits; half d.
struct Tq1_0 : OneScale {
  static constexpr size_t kChunkBytes = 54, kDelta = 52;
  static constexpr int kMax = 2, kOffset = 1;
  static HWY_INLINE Lanes lanes(const uint8_t* chunk, size_t g) {
    const LaneTag d;
    Lanes r = g < 5 ? load_lanes(chunk) : tail(chunk, g);
    INLAY_UNROLL(2) for (size_t i = 0; i < kParts; ++i) {
      // (v - 1) * 3 / 4, rounded up twice, has v * 3 / 256 in its top bits (for all 256).
      LaneVec v = g < 5 ? times_power(r.v[i], g) : r.v[i];
      v = hn::SaturatedSub(v, hn::Set(d, uint8_t{1}));
      v = hn::AverageRound(v, hn::AverageRound(v, hn::Zero(d)));
      r.v[i] = bit_field<2>(v, 6);
    }
    return r;
  }
  static HWY_INLINE void scales(const uint8_t* chunk, size_t, float* scale, float*) {
    same_scales<Tq1_0>(chunk, scale);
  }

 private:
  // v * 3^n: digit n is before the point, and the top of it times 3.
  template <class V>
  static HWY_INLINE V times_power(V v, size_t n) {
    INLAY_UNROLL(4) for (size_t i = 0; i < 4; ++i) {
      if (i < n) v = hn::Add(hn::Add(v, v), v);
    }
    return v;
  }
  // Groups 5 ... 7, times powers of 3.
  static HWY_INLINE Lanes tail(const uint8_t* chunk, size_t g) {
    const hn::Full128<uint8_t> d;
    const auto v = hn::LoadU(d, chunk + 32);
    const auto low = times_power(v, (g - 5) * 2);
    const auto high = g < 7 ? times_power(v, (g - 5) * 2 + 1) : last(chunk);
    Lanes r;
#if HWY_MAX_BYTES >= 32
    r.v[0] = hn::Combine(LaneTag(), high, low);
#else
    r.v[0] = low;
    r.v[1] = high;
#endif
    return r;
  }
  // The last 4 bytes, times four powers of 3.
  static HWY_INLINE Bytes16 last(const uint8_t* chunk) {
    alignas(16) static constexpr uint16_t kPower[8] = {1, 1, 3, 3, 9, 9, 27, 27};
    const hn::Full128<uint16_t> d;
    const auto power = hn::Load(d, kPower);
    const auto v = hn::BitCast(d, hn::Set(hn::Full128<uint32_t>(), load_u32(chunk + 48)));
    const auto even = hn::ShiftRight<8>(hn::Mul(hn::ShiftLeft<8>(v), power));
    const auto odd = hn::Mul(hn::And(v, hn::Set(d, uint16_t{0xff00})), power);
    return hn::BitCast(hn::Full128<uint8_t>(), hn::Or(even, odd));
  }
};

struct Tq2_0 : OneScale {  // 2 x 32 bytes of four 2-bit values, minus 1; half d
  static constexpr size_t kChunkBytes = 66, kDelta = 64;
  static constexpr int kMax = 3, kOffset = 1;
  static HWY_INLINE Lanes lanes(const uint8_t* chunk, size_t g) {
    Lanes r = load_lanes(chunk + g / 4 * 32);
    INLAY_UNROLL(2) for (size_t i = 0; i < kParts; ++i) {
      r.v[i] = bit_field<2>(r.v[i], static_cast<int>(g % 4 * 2));
    }
    return r;
  }
  // kPlace[g] times these are the lanes: three of four need no shift, and 48 is small enough.
  static constexpr float kPlace[8] = {1, 1 / 4.0f, 1 / 16.0f, 1, 1, 1 / 4.0f, 1 / 16.0f, 1};
  static HWY_INLINE Lanes placed_lanes(const uint8_t* chunk, size_t g) {
    if (g % 4 == 3) return lanes(chunk, g);
    Lanes r = load_lanes(chunk + g / 4 * 32);
    const auto mask = hn::Set(LaneTag(), static_cast<uint8_t>(3 << g % 4 * 2));
    INLAY_UNROLL(2) for (size_t i = 0; i < kParts; ++i) r.v[i] = hn::And(r.v[i], mask);
    return r;
  }
  static HWY_INLINE void scales(const uint8_t* chunk, size_t, float* scale, float*) {
    same_scales<Tq2_0>(chunk, scale);
  }
};

// ---- plain floats -------------------------------------------------------------------------------
// A vector of values as float.
struct PlainF32 {
  static constexpr size_t kBytes = 4;
  template <class D>
  static HWY_INLINE hn::Vec<D> load(D df, const uint8_t* p) {
    const hn::Repartition<uint8_t, D> d8;
    return hn::BitCast(df, hn::LoadU(d8, p));
  }
};
template <class Half>
struct PlainHalf {
  static constexpr size_t kBytes = 2;
  template <class D>
  static HWY_INLINE hn::Vec<D> load(D df, const uint8_t* p) {
    const hn::Rebind<Half, D> dh;
    const hn::Repartition<uint8_t, decltype(dh)> d8;
    return hn::PromoteTo(df, hn::BitCast(dh, hn::LoadU(d8, p)));
  }
};
using PlainF16 = PlainHalf<hwy::float16_t>;
using PlainBf16 = PlainHalf<hwy::bfloat16_t>;

}  // namespace HWY_NAMESPACE
}  // namespace detail
INLAY_END_NAMESPACE
HWY_AFTER_NAMESPACE();
