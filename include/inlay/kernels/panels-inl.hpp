// Products with packed panels (shared.hpp has their layout): a row in each lane, so that weights
// are expanded with shifts and masks, every load of activations is a broadcast, and nothing is
// summed across lanes. Compiled once per SIMD target; no include guard.

HWY_BEFORE_NAMESPACE();
INLAY_BEGIN_NAMESPACE
namespace detail {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using WideVec = hn::Vec<WideTag>;
using RowTag = hn::Repartition<float, WideTag>;  // a row in each lane
using RowVec = hn::Vec<RowTag>;
using RowIntTag = hn::Repartition<int32_t, WideTag>;
using RowIntVec = hn::Vec<RowIntTag>;

// ---- scales -------------------------------------------------------------------------------------
// Bytes of the scales or mins of each sub-block, for 16 rows.
using PanelBytes = uint8_t[kPanelRows];

static HWY_INLINE RowVec row_halves(const uint8_t* p) {
  const hn::Rebind<hwy::float16_t, RowTag> dh;
  const hn::Repartition<uint8_t, decltype(dh)> d8;
  return hn::PromoteTo(RowTag(), hn::BitCast(dh, hn::LoadU(d8, p)));
}

// Scales of 6 bits in two planes, see pack_scales().
template <size_t count>
static HWY_INLINE void unpack_6bit(const uint8_t* from, PanelBytes* to) {
  const hn::Full128<uint8_t> d;
  const auto low_mask = hn::Set(d, uint8_t{15}), high_mask = hn::Set(d, uint8_t{0x30});
  const uint8_t* high_from = from + count / 2 * kPanelRows;
  INLAY_UNROLL(4) for (size_t i = 0; i < count; i += 4) {
    const auto a = hn::LoadU(d, from + i / 2 * kPanelRows);
    const auto b = hn::LoadU(d, from + (i / 2 + 1) * kPanelRows);
    const auto high = hn::LoadU(d, high_from + i / 4 * kPanelRows);
    const auto put = [&](size_t at, auto low, auto bits)
                         HWY_ATTR { hn::Store(hn::OrAnd(low, bits, high_mask), d, to[i + at]); };
    put(0, hn::And(a, low_mask), hn::ShiftLeft<4>(high));
    put(1, hn::ShiftRight<4>(a), hn::ShiftLeft<2>(high));
    put(2, hn::And(b, low_mask), high);
    put(3, hn::ShiftRight<4>(b), hn::ShiftRight<2>(high));
  }
}

// out[s] = d * (bytes[s] - bias); given `delta`, that is d, and out[s] without it, as
// store_integers.
template <size_t subs, bool is_signed, int bias>
static HWY_INLINE void scale_panel_bytes(const PanelBytes* bytes, const uint8_t* half_d,
                                         float (*out)[kPanelRows], float* delta, bool twice) {
  const RowTag df;
  const RowIntTag di;
  const hn::Rebind<uint8_t, RowTag> d8;
  const hn::Rebind<int8_t, RowTag> ds8;
  for (size_t row = 0; row < kPanelRows; row += kRowLanes) {
    const auto d = row_halves(half_d + row * 2);
    if (delta != nullptr) hn::Store(d, df, delta + row);
    INLAY_UNROLL(8) for (size_t s = 0; s < subs; ++s) {
      const auto v = hn::LoadU(d8, bytes[s] + row);
      RowIntVec i;
      if constexpr (is_signed) {
        i = hn::PromoteTo(di, hn::BitCast(ds8, v));
      } else {
        i = hn::PromoteTo(di, v);
      }
      if constexpr (bias != 0) i = hn::Sub(i, hn::Set(di, bias));
      if (delta == nullptr) {
        hn::Store(hn::Mul(d, hn::ConvertTo(df, i)), df, &out[s][row]);
      } else {
        if (twice) i = hn::Or(hn::ShiftLeft<16>(i), hn::And(i, hn::Set(di, 0xffff)));
        hn::Store(hn::BitCast(df, i), df, &out[s][row]);
      }
    }
  }
}

// out[b] = factor * the halves at from[b].
static HWY_INLINE void scale_panel_halves(const uint8_t* from, size_t blocks, float factor,
                                          float (*out)[kPanelRows]) {
  const RowTag df;
  INLAY_UNROLL(4) for (size_t i = 0; i < blocks * kPanelRows; i += kRowLanes) {
    hn::Store(hn::Mul(row_halves(from + i * 2), hn::Set(df, factor)), df,
              out[i / kPanelRows] + i % kPanelRows);
  }
}

// Scales of a panel's chunk, and what is to be subtracted for each 1 of x: the format's mins. Given
// `delta`, the scales of superblocks are integers, as scale_panel_bytes.
static HWY_NOINLINE void panel_scales(TensorType type, const uint8_t* chunk, size_t groups,
                                      float (*scale)[kPanelRows], float (*min)[kPanelRows],
                                      float* delta = nullptr, bool twice = false) {
  const hn::Full128<uint8_t> d;
  const uint8_t* second = chunk + 2 * kPanelRows;  // after the half d
  HWY_ALIGN PanelBytes bytes[2][16];
  switch (type) {
    case TensorType::q2_k:
      INLAY_UNROLL(8) for (size_t s = 0; s < 16; ++s) {
        const auto both = hn::LoadU(d, second + 2 * kPanelRows + s * kPanelRows);
        hn::Store(hn::And(both, hn::Set(d, uint8_t{15})), d, bytes[0][s]);
        hn::Store(hn::ShiftRight<4>(both), d, bytes[1][s]);
      }
      scale_panel_bytes<16, false, 0>(bytes[0], chunk, scale, delta, twice);
      return scale_panel_bytes<16, false, 0>(bytes[1], second, min, nullptr, false);
    case TensorType::q3_k:
      unpack_6bit<16>(second, bytes[0]);
      return scale_panel_bytes<16, false, 32>(bytes[0], chunk, scale, delta, twice);
    case TensorType::q4_k:
    case TensorType::q5_k: {
      const uint8_t *low = second + 2 * kPanelRows, *high = low + 8 * kPanelRows;
      const auto low_mask = hn::Set(d, uint8_t{15}), high_mask = hn::Set(d, uint8_t{0x30});
      INLAY_UNROLL(4) for (size_t s = 0; s < 8; s += 2) {
        const auto a = hn::LoadU(d, low + s * kPanelRows);
        const auto b = hn::LoadU(d, low + (s + 1) * kPanelRows);
        const auto h = hn::LoadU(d, high + s / 2 * kPanelRows);
        hn::Store(hn::OrAnd(hn::And(a, low_mask), hn::ShiftLeft<4>(h), high_mask), d, bytes[0][s]);
        hn::Store(hn::OrAnd(hn::ShiftRight<4>(a), hn::ShiftLeft<2>(h), high_mask), d, bytes[1][s]);
        hn::Store(hn::OrAnd(hn::And(b, low_mask), h, high_mask), d, bytes[0][s + 1]);
        hn::Store(hn::OrAnd(hn::ShiftRight<4>(b), hn::ShiftRight<2>(h), high_mask), d,
                  bytes[1][s + 1]);
      }
      scale_panel_bytes<8, false, 0>(bytes[0], chunk, scale, delta, twice);
      return scale_panel_bytes<8, false, 0>(bytes[1], second, min, nullptr, false);
    }
    case TensorType::q6_k:
      return scale_panel_bytes<16, true, 0>(reinterpret_cast<const PanelBytes*>(second), chunk,
                                            scale, delta, twice);
    case TensorType::iq4_xs:
      unpack_6bit<8>(second, bytes[0]);
      return scale_panel_bytes<8, false, 32>(bytes[0], chunk, scale, delta, twice);
    default:
      scale_panel_halves(chunk, groups, 1.0f, scale);
      if (type == TensorType::q4_1 || type == TensorType::q5_1) {
        scale_panel_halves(chunk + groups * 2 * kPanelRows, groups, -1.0f, min);
      }
  }
}

// ---- weights ------------------------------------------------------------------------------------
// How the bits of a type are put together to the 8-bit integers that are multiplied.
struct Nibbles {
  static constexpr size_t kLow = 4, kHigh = 0, kSub = 32;
  static constexpr size_t kCentre = 0;  // not 0: what is always subtracted
  static constexpr bool kSigned = false, kTable = false;
};
struct FiveBits : Nibbles {
  static constexpr size_t kHigh = 1, kCentre = 16;
};
struct SixBits : Nibbles {
  static constexpr size_t kHigh = 2, kSub = 16, kCentre = 32;
};
struct TwoBits : Nibbles {
  static constexpr size_t kLow = 2, kSub = 16;
};
struct ThreeBits : TwoBits {
  static constexpr size_t kHigh = 1;
};
struct EightBits : Nibbles {
  static constexpr size_t kLow = 8;
  static constexpr bool kSigned = true;
};
struct TableNibbles : Nibbles {
  static constexpr bool kSigned = true, kTable = true;
};

template <class W>
static constexpr size_t kGroupBytes = (W::kLow + W::kHigh) * 4 * kPanelRows;

// Bits [from, from + bits) of every byte, moved to [to, to + bits).
template <size_t from, size_t bits, size_t to>
static HWY_INLINE WideVec wide_field(WideVec v) {
  const WideTag d;
  const hn::Repartition<uint16_t, WideTag> d16;
  const auto wide = hn::BitCast(d16, v);
  if constexpr (from < to) v = hn::BitCast(d, hn::ShiftLeft<to - from>(wide));
  if constexpr (from > to) v = hn::BitCast(d, hn::ShiftRight<from - to>(wide));
  return hn::And(v, hn::Set(d, static_cast<uint8_t>(((1u << bits) - 1) << to)));
}

// Step s (4 k) of a group from its vector of the low plane, for kRowLanes rows.
template <class W, size_t s>
static HWY_INLINE WideVec expand_step(WideVec v, const WideVec* high) {
  if constexpr (W::kLow < 8) v = wide_field<s / W::kLow * W::kLow, W::kLow, 0>(v);
  if constexpr (W::kHigh > 0) {
    constexpr size_t kFrom = s / W::kHigh * W::kHigh;
    v = hn::Or(v, wide_field<kFrom, W::kHigh, W::kLow>(high[s % W::kHigh]));
  }
  if constexpr (W::kTable) v = iq4_value(v);
  return v;
}
// The vectors of a group's high plane, of the rows at p.
template <class W>
static HWY_INLINE void load_high(const uint8_t* p, WideVec* high) {
  INLAY_UNROLL(2) for (size_t i = 0; i < W::kHigh; ++i) {
    high[i] = hn::LoadU(WideTag(), p + i * 4 * kPanelRows);
    INLAY_PIN(high[i]);
  }
}

// The eight steps (4 k) of a group, of kRowLanes rows at p.
template <class W>
static HWY_INLINE void expand_group(const uint8_t* p, WideVec* v) {
  const WideTag d;
  WideVec high[W::kHigh + 1];
  load_high<W>(p, high);
  p += W::kHigh * 4 * kPanelRows;
  v[0] = expand_step<W, 0>(hn::LoadU(d, p + 0 % W::kLow * 4 * kPanelRows), high);
  v[1] = expand_step<W, 1>(hn::LoadU(d, p + 1 % W::kLow * 4 * kPanelRows), high);
  v[2] = expand_step<W, 2>(hn::LoadU(d, p + 2 % W::kLow * 4 * kPanelRows), high);
  v[3] = expand_step<W, 3>(hn::LoadU(d, p + 3 % W::kLow * 4 * kPanelRows), high);
  v[4] = expand_step<W, 4>(hn::LoadU(d, p + 4 % W::kLow * 4 * kPanelRows), high);
  v[5] = expand_step<W, 5>(hn::LoadU(d, p + 5 % W::kLow * 4 * kPanelRows), high);
  v[6] = expand_step<W, 6>(hn::LoadU(d, p + 6 % W::kLow * 4 * kPanelRows), high);
  v[7] = expand_step<W, 7>(hn::LoadU(d, p + 7 % W::kLow * 4 * kPanelRows), high);
}

using WideVec16 = hn::Vec<hn::Repartition<int16_t, WideTag>>;
template <bool is_signed>
static HWY_INLINE WideVec16 even_bytes(WideVec v) {
  const hn::Repartition<int16_t, WideTag> d16;
  if constexpr (is_signed) return hn::ShiftRight<8>(hn::ShiftLeft<8>(hn::BitCast(d16, v)));
  return hn::And(hn::BitCast(d16, v), hn::Set(d16, 255));
}
template <bool is_signed>
static HWY_INLINE WideVec16 odd_bytes(WideVec v) {
  const hn::Repartition<int16_t, WideTag> d16;
  const hn::Repartition<uint16_t, WideTag> du16;
  if constexpr (is_signed) return hn::ShiftRight<8>(hn::BitCast(d16, v));
  return hn::BitCast(d16, hn::ShiftRight<8>(hn::BitCast(du16, v)));
}

// Sums of products, a row in each lane: begin_dot, add_step for every 4 k of a sub-block, end_dot.
// `start` is -centre times the sums of the activations that a lane meets: of int32 lanes, or with
// pmaddubsw of int16 lanes. Signed weights have it with VNNI only, which takes them as w + 128.
template <class W>
static HWY_INLINE auto begin_dot(uint32_t start) {
  const auto lanes = hn::Set(hn::Repartition<uint32_t, WideTag>(), start);
  if constexpr (kDot == DotKind::maddubs && !W::kSigned) {
    return hn::BitCast(hn::Repartition<int16_t, WideTag>(), lanes);
  } else if constexpr (kDot == DotKind::maddubs) {
    return hn::Zero(RowIntTag());
  } else {
    return hn::BitCast(RowIntTag(), lanes);
  }
}

template <class W, class Dot>
static HWY_INLINE Dot add_step(Dot dot, WideVec w, WideVec a) {
  const WideTag d8;
  const hn::Repartition<int8_t, WideTag> ds8;
  const hn::Repartition<int16_t, WideTag> d16;
  const RowIntTag d32;
  if constexpr (kDot == DotKind::vnni) {
    if constexpr (W::kSigned && kBiasSigned) w = hn::Xor(w, hn::Set(d8, uint8_t{128}));
    return dot4(w, hn::BitCast(ds8, a), dot);
  } else if constexpr (kDot == DotKind::maddubs && !W::kSigned) {
    // A pair must not saturate. Sums may wrap around on the way, but have to fit in the end: as
    // they are, or for weights that are always centred, around the centre.
    constexpr size_t kMax = (size_t{1} << (W::kLow + W::kHigh)) - 1;
    constexpr size_t kBiggest = W::kCentre != 0 ? W::kCentre : kMax;
    static_assert(2 * 127 * kMax <= 32767 && 2 * 127 * kBiggest * (W::kSub / 4) <= 32767);
    dot = hn::Add(dot, hn::SatWidenMulPairwiseAdd(d16, w, hn::BitCast(ds8, a)));
  } else if constexpr (kDot == DotKind::maddubs) {
    // |w| <= 128 and |a| <= 127: a pair is at most 2 * 128 * 127 = 32512.
    const auto value = hn::BitCast(ds8, w);
    const auto pairs =
        hn::SatWidenMulPairwiseAdd(d16, hn::BitCast(d8, hn::Abs(value)),
                                   hn::IfNegativeThenNegOrUndefIfZero(value, hn::BitCast(ds8, a)));
    dot = hn::Add(dot, hn::WidenMulPairwiseAdd(d32, pairs, hn::Set(d16, 1)));
  } else {
    // Even and odd bytes of a row's four apart: no lane has to move.
    dot =
        hn::Add(dot, hn::WidenMulPairwiseAdd(d32, even_bytes<W::kSigned>(w), even_bytes<true>(a)));
    dot = hn::Add(dot, hn::WidenMulPairwiseAdd(d32, odd_bytes<W::kSigned>(w), odd_bytes<true>(a)));
  }
  INLAY_PIN(dot);
  return dot;
}

template <class Dot>
static HWY_INLINE RowIntVec end_dot(Dot dot) {
  if constexpr (std::is_same_v<Dot, RowIntVec>) {
    return dot;
  } else {
    return hn::WidenMulPairwiseAdd(RowIntTag(), dot,
                                   hn::Set(hn::Repartition<int16_t, WideTag>(), 1));
  }
}

static HWY_INLINE WideVec broadcast_step(const int8_t* a) {
  return hn::BitCast(WideTag(), hn::Set(hn::Repartition<uint32_t, WideTag>(), load_u32(a)));
}

// ---- few columns --------------------------------------------------------------------------------
// What the product of a chunk needs besides the weights.
struct PanelColumns {
  const int8_t* a;     // of column 0
  const float* scale;  // [groups]
  const float* sum;    // [sub-blocks]: of x
  size_t bytes;        // from one column to the next, of all of them
  size_t count;
};
static constexpr size_t kMaxSubs = kChunk / 16;

// What a turn of kStreams panels works on: a chunk of each. They go in lockstep, group by group:
// chunk by chunk, four streams were no faster than one. Fetching ahead by hand did harm (Zen 4):
// streams are often whole pages apart, and then share the sets of the nearest cache.
struct PanelTurn {
  const uint8_t* planes[kStreams];
  size_t streams, groups;  // streams: of them with a panel
  alignas(64) float scale[kStreams][kMaxSubs][kPanelRows];
  alignas(64) float min[kStreams][kMaxSubs][kPanelRows];
  alignas(64) float sum[kStreams][kColumns - 1][kPanelRows];  // [..][column]
  alignas(64) uint32_t start[kColumns - 1][kMaxSubs];         // [column]
};

// sum += the products of the chunks with the columns, less their mins (if there are any) times the
// sums of the columns.
using PanelKernel = void (*)(PanelTurn& t, const PanelColumns& x, bool mins);

static constexpr size_t kRowVecs = kPanelRows / kRowLanes;

// Step v + i * kLow of all rows, whose vectors of the low plane are `planes`.
template <class W, size_t v, size_t i, class Dot>
static HWY_INLINE void add_plane_step(const WideVec* planes, const WideVec (*high)[W::kHigh + 1],
                                      WideVec a, Dot (*dot)[kGroup / W::kSub]) {
  constexpr size_t s = v + i * W::kLow;
  INLAY_UNROLL(4) for (size_t r = 0; r < kRowVecs; ++r) {
    auto& to = dot[r][s * 4 / W::kSub];
    to = add_step<W>(to, expand_step<W, s>(planes[r], high[r]), a);
  }
}

// All steps whose bits are in vector v of the low plane: each vector is loaded once, each broadcast
// serves all rows.
template <class W, size_t v, class Dot>
static HWY_INLINE void add_plane(const uint8_t* low, const WideVec (*high)[W::kHigh + 1],
                                 const int8_t* a, Dot (*dot)[kGroup / W::kSub]) {
  if constexpr (v < W::kLow) {
    WideVec planes[kRowVecs];
    INLAY_UNROLL(4) for (size_t r = 0; r < kRowVecs; ++r) {
      planes[r] = hn::LoadU(WideTag(), low + v * 4 * kPanelRows + r * kRowLanes * 4);
      INLAY_PIN(planes[r]);
    }
    add_plane_step<W, v, 0>(planes, high, broadcast_step(a + v * 4), dot);
    if constexpr (W::kLow <= 4) {
      add_plane_step<W, v, 1>(planes, high, broadcast_step(a + (v + W::kLow) * 4), dot);
    }
    if constexpr (W::kLow <= 2) {
      add_plane_step<W, v, 2>(planes, high, broadcast_step(a + (v + 2 * W::kLow) * 4), dot);
      add_plane_step<W, v, 3>(planes, high, broadcast_step(a + (v + 3 * W::kLow) * 4), dot);
    }
  }
}

// One column.
template <class W>
static HWY_NOINLINE void multiply_panel(PanelTurn& t, const PanelColumns& x, bool mins) {
  const RowTag df;
  constexpr size_t kSubs = kGroup / W::kSub;
  const size_t groups = t.groups, streams = t.streams;
  const int8_t* a = x.a;
  const float *x_scale = x.scale, *x_sum = x.sum;
  for (size_t g = 0; g < groups; ++g, a += kGroup) {
    for (size_t stream = 0; stream < streams; ++stream) {
      const uint8_t* group = t.planes[stream] + g * kGroupBytes<W>;
      WideVec high[kRowVecs][W::kHigh + 1];
      INLAY_UNROLL(4) for (size_t r = 0; r < kRowVecs; ++r) {
        load_high<W>(group + r * kRowLanes * 4, high[r]);
      }
      const uint8_t* low = group + W::kHigh * 4 * kPanelRows;
      using Dot = decltype(begin_dot<W>(0));
      Dot dot[kRowVecs][kSubs];
      INLAY_UNROLL(2) for (size_t s = 0; s < kSubs; ++s) {
        INLAY_UNROLL(4) for (size_t r = 0; r < kRowVecs; ++r) {
          dot[r][s] = begin_dot<W>(t.start[0][g * kSubs + s]);
        }
      }
      add_plane<W, 0>(low, high, a, dot);
      add_plane<W, 1>(low, high, a, dot);
      add_plane<W, 2>(low, high, a, dot);
      add_plane<W, 3>(low, high, a, dot);
      add_plane<W, 4>(low, high, a, dot);
      add_plane<W, 5>(low, high, a, dot);
      add_plane<W, 6>(low, high, a, dot);
      add_plane<W, 7>(low, high, a, dot);
      const auto factor = hn::Set(df, x_scale[g]);
      INLAY_UNROLL(4) for (size_t r = 0; r < kRowVecs; ++r) {
        float* to = t.sum[stream][0] + r * kRowLanes;
        auto total = hn::Load(df, to);
        RowVec part = hn::Zero(df);
        INLAY_UNROLL(2) for (size_t s = 0; s < kSubs; ++s) {
          const auto f = hn::ConvertTo(df, end_dot(dot[r][s]));
          const auto w = hn::Load(df, t.scale[stream][g * kSubs + s] + r * kRowLanes);
          part = s == 0 ? hn::Mul(f, w) : hn::MulAdd(f, w, part);
          if (mins) {
            total = hn::NegMulAdd(hn::Load(df, t.min[stream][g * kSubs + s] + r * kRowLanes),
                                  hn::Set(df, x_sum[g * kSubs + s]), total);
          }
        }
        hn::Store(hn::MulAdd(part, factor, total), df, to);
      }
    }
  }
}

// Several columns: weights are expanded once for all of them.
template <class W>
static HWY_NOINLINE void multiply_panel_columns(PanelTurn& t, const PanelColumns& x, bool mins) {
  const RowTag df;
  constexpr size_t kSubs = kGroup / W::kSub;
  const size_t groups = t.groups, streams = t.streams, columns = x.count, bytes = x.bytes;
  const int8_t* const a0 = x.a;
  const float *x_scale0 = x.scale, *x_sum0 = x.sum;
  for (size_t g = 0; g < groups; ++g) {
    for (size_t stream = 0; stream < streams; ++stream) {
      const uint8_t* group = t.planes[stream] + g * kGroupBytes<W>;
      INLAY_UNROLL(2) for (size_t row = 0; row < kPanelRows; row += kRowLanes) {
        WideVec w[8];
        expand_group<W>(group + row * 4, w);
        const int8_t* a = a0 + g * kGroup;
        const float *x_scale = x_scale0 + g, *x_sum = x_sum0 + g * kSubs;
        const uint32_t* start = t.start[0] + g * kSubs;
        float* to = t.sum[stream][0] + row;
        for (size_t column = 0; column < columns; ++column) {
          auto total = hn::Load(df, to);
          RowVec part = hn::Zero(df);
          INLAY_UNROLL(2) for (size_t s = 0; s < kSubs; ++s) {
            auto dot = begin_dot<W>(start[s]);
            INLAY_UNROLL(8) for (size_t i = 0; i < W::kSub / 4; ++i) {
              const size_t step = s * (W::kSub / 4) + i;
              dot = add_step<W>(dot, w[step], broadcast_step(a + step * 4));
            }
            const auto f = hn::ConvertTo(df, end_dot(dot));
            const auto factor = hn::Load(df, t.scale[stream][g * kSubs + s] + row);
            part = s == 0 ? hn::Mul(f, factor) : hn::MulAdd(f, factor, part);
            if (mins) {
              total = hn::NegMulAdd(hn::Load(df, t.min[stream][g * kSubs + s] + row),
                                    hn::Set(df, x_sum[s]), total);
            }
          }
          hn::Store(hn::MulAdd(part, hn::Set(df, *x_scale), total), df, to);
          a += bytes;
          x_scale += bytes / sizeof(float);
          x_sum += bytes / sizeof(float);
          start += kMaxSubs;
          to += kPanelRows;
        }
      }
    }
  }
}

// Start values of a chunk's sub-blocks from the sums of activations, see dot_steps().
static HWY_INLINE void panel_starts(const uint32_t* lanes, size_t sub, size_t subs, int centre,
                                    uint32_t* start) {
  const hn::Full128<uint32_t> d32;
  const hn::Full128<int32_t> di;
  const hn::Full128<int16_t> d16;
  // As vectors of four sub-blocks: the arrays are long enough for that.
  for (size_t i = 0; i < subs; i += 4) {
    auto v = hn::LoadU(d32, lanes + (sub == 16 ? i : 2 * i));
    if (sub == 32) {
      const auto more = hn::LoadU(d32, lanes + 2 * i + 4);
      v = hn::BitCast(d32, hn::Add(hn::BitCast(d16, hn::ConcatEven(d32, more, v)),
                                   hn::BitCast(d16, hn::ConcatOdd(d32, more, v))));
    }
    if constexpr (kDot == DotKind::maddubs) {
      v = hn::BitCast(d32,
                      hn::Mul(hn::BitCast(d16, v), hn::Set(d16, static_cast<int16_t>(-centre))));
    } else {
      v = hn::BitCast(d32, hn::WidenMulPairwiseAdd(di, hn::BitCast(d16, v),
                                                   hn::Set(d16, static_cast<int16_t>(-centre))));
    }
    hn::Store(v, d32, start + i);
  }
}

// min[s] -= centre * scale[s]: for mins of weights that are centred all the same.
static HWY_INLINE void centre_mins(const float (*scale)[kPanelRows], size_t subs, int centre,
                                   float (*min)[kPanelRows]) {
  const RowTag df;
  const auto by = hn::Set(df, static_cast<float>(centre));
  for (size_t s = 0; s < subs; ++s) {
    for (size_t row = 0; row < kPanelRows; row += kRowLanes) {
      float* to = &min[s][row];
      hn::Store(hn::NegMulAdd(by, hn::Load(df, &scale[s][row]), hn::Load(df, to)), df, to);
    }
  }
}

// ---- decoding to a tile -------------------------------------------------------------------------
// As decode_panel: w[step][row], less `offset` if the tile holds int16.
using PanelDecode = void (*)(const uint8_t* planes, size_t groups, int offset, uint32_t* w);

template <class W>
static HWY_NOINLINE void expand_panel(const uint8_t* planes, size_t groups, int offset,
                                      uint32_t* HWY_RESTRICT to) {
  const WideTag d8;
  const hn::Repartition<uint32_t, WideTag> du32;
  constexpr bool wide = kDot == DotKind::wide || (kDot == DotKind::maddubs && W::kSigned);
  for (size_t g = 0; g < groups; ++g) {
    for (size_t row = 0; row < kPanelRows; row += kRowLanes) {
      WideVec w[8];
      expand_group<W>(planes + g * kGroupBytes<W> + row * 4, w);
      INLAY_UNROLL(8) for (size_t s = 0; s < 8; ++s) {
        if constexpr (!wide) {
          if constexpr (W::kSigned && kBiasSigned) w[s] = hn::Xor(w[s], hn::Set(d8, uint8_t{128}));
          hn::Store(hn::BitCast(du32, w[s]), du32, to + (g * 8 + s) * kPanelRows + row);
        } else {
          const hn::Repartition<int16_t, WideTag> d16;
          const auto centre = hn::Set(d16, static_cast<int16_t>(offset));
          uint32_t* at = to + (g * 16 + s * 2) * kPanelRows + row;
          hn::Store(hn::BitCast(du32, hn::Sub(even_bytes<W::kSigned>(w[s]), centre)), du32, at);
          hn::Store(hn::BitCast(du32, hn::Sub(odd_bytes<W::kSigned>(w[s]), centre)), du32,
                    at + kPanelRows);
        }
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace detail
INLAY_END_NAMESPACE
HWY_AFTER_NAMESPACE();
