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

// Scales of 6 bits in two planes, see pack_scales().
static HWY_INLINE void unpack_6bit(const uint8_t* from, size_t count, PanelBytes* to) {
  const hn::Full128<uint8_t> d;
  const auto low_mask = hn::Set(d, uint8_t{15}), high_mask = hn::Set(d, uint8_t{0x30});
  const uint8_t* high_from = from + count / 2 * kPanelRows;
  for (size_t i = 0; i < count; i += 4) {
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

// out[s] = d * bytes[s], less `bias` before; given `delta`, that is d, and out[s] without it, as
// store_integers.
static HWY_INLINE void scale_panel_bytes(const PanelBytes* bytes, size_t subs, bool is_signed,
                                         int bias, const uint8_t* half_d, float (*out)[kPanelRows],
                                         float* delta, bool twice) {
  const RowTag df;
  const RowIntTag di;
  const hn::Rebind<uint8_t, RowTag> d8;
  const hn::Rebind<int8_t, RowTag> ds8;
  const hn::Rebind<hwy::float16_t, RowTag> dh;
  const hn::Repartition<uint8_t, decltype(dh)> dh8;
  for (size_t row = 0; row < kPanelRows; row += kRowLanes) {
    const auto d = hn::PromoteTo(df, hn::BitCast(dh, hn::LoadU(dh8, half_d + row * 2)));
    if (delta != nullptr) hn::Store(d, df, delta + row);
    for (size_t s = 0; s < subs; ++s) {
      const auto v = hn::LoadU(d8, bytes[s] + row);
      auto i = is_signed ? hn::PromoteTo(di, hn::BitCast(ds8, v)) : hn::PromoteTo(di, v);
      i = hn::Sub(i, hn::Set(di, bias));
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
  const hn::Rebind<hwy::float16_t, RowTag> dh;
  const hn::Repartition<uint8_t, decltype(dh)> dh8;
  for (size_t i = 0; i < blocks * kPanelRows; i += kRowLanes) {
    const auto d = hn::PromoteTo(df, hn::BitCast(dh, hn::LoadU(dh8, from + i * 2)));
    hn::Store(hn::Mul(d, hn::Set(df, factor)), df, out[0] + i);
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
      for (size_t s = 0; s < 16; ++s) {
        const auto both = hn::LoadU(d, second + 2 * kPanelRows + s * kPanelRows);
        hn::Store(hn::And(both, hn::Set(d, uint8_t{15})), d, bytes[0][s]);
        hn::Store(hn::ShiftRight<4>(both), d, bytes[1][s]);
      }
      scale_panel_bytes(bytes[0], 16, false, 0, chunk, scale, delta, twice);
      return scale_panel_bytes(bytes[1], 16, false, 0, second, min, nullptr, false);
    case TensorType::q3_k:
      unpack_6bit(second, 16, bytes[0]);
      return scale_panel_bytes(bytes[0], 16, false, 32, chunk, scale, delta, twice);
    case TensorType::q4_k:
    case TensorType::q5_k: {
      const uint8_t *low = second + 2 * kPanelRows, *high = low + 8 * kPanelRows;
      const auto low_mask = hn::Set(d, uint8_t{15}), high_mask = hn::Set(d, uint8_t{0x30});
      for (size_t s = 0; s < 8; s += 2) {
        const auto a = hn::LoadU(d, low + s * kPanelRows);
        const auto b = hn::LoadU(d, low + (s + 1) * kPanelRows);
        const auto h = hn::LoadU(d, high + s / 2 * kPanelRows);
        hn::Store(hn::OrAnd(hn::And(a, low_mask), hn::ShiftLeft<4>(h), high_mask), d, bytes[0][s]);
        hn::Store(hn::OrAnd(hn::ShiftRight<4>(a), hn::ShiftLeft<2>(h), high_mask), d, bytes[1][s]);
        hn::Store(hn::OrAnd(hn::And(b, low_mask), h, high_mask), d, bytes[0][s + 1]);
        hn::Store(hn::OrAnd(hn::ShiftRight<4>(b), hn::ShiftRight<2>(h), high_mask), d,
                  bytes[1][s + 1]);
      }
      scale_panel_bytes(bytes[0], 8, false, 0, chunk, scale, delta, twice);
      return scale_panel_bytes(bytes[1], 8, false, 0, second, min, nullptr, false);
    }
    case TensorType::q6_k:
      return scale_panel_bytes(reinterpret_cast<const PanelBytes*>(second), 16, true, 0, chunk,
                               scale, delta, twice);
    case TensorType::iq4_xs:
      unpack_6bit(second, 8, bytes[0]);
      return scale_panel_bytes(bytes[0], 8, false, 32, chunk, scale, delta, twice);
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
  static constexpr bool kSigned = false, kTable = false;
};
struct FiveBits : Nibbles {
  static constexpr size_t kHigh = 1;
};
struct SixBits : Nibbles {
  static constexpr size_t kHigh = 2, kSub = 16;
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

template <class W, size_t s>
static HWY_INLINE WideVec expand_step(const uint8_t* low, const uint8_t* high) {
  const WideTag d;
  auto v = hn::LoadU(d, low + s % W::kLow * 4 * kPanelRows);
  if constexpr (W::kLow < 8) v = wide_field<s / W::kLow * W::kLow, W::kLow, 0>(v);
  if constexpr (W::kHigh > 0) {
    const auto bits = hn::LoadU(d, high + s % W::kHigh * 4 * kPanelRows);
    v = hn::Or(v, wide_field<s / W::kHigh * W::kHigh, W::kHigh, W::kLow>(bits));
  }
  if constexpr (W::kTable) {
    alignas(16) static constexpr int8_t kValues[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                                       1,    13,   25,  38,  53,  69,  89,  113};
    const hn::Repartition<int8_t, WideTag> ds8;
    v = hn::TableLookupBytes(hn::BitCast(d, hn::LoadDup128(ds8, kValues)), v);
  }
  return v;
}

// The eight steps (4 k) of a group for kRowLanes rows; `low` and `high` at these rows.
template <class W>
static HWY_INLINE void expand_group(const uint8_t* low, const uint8_t* high, WideVec* v) {
  v[0] = expand_step<W, 0>(low, high);
  v[1] = expand_step<W, 1>(low, high);
  v[2] = expand_step<W, 2>(low, high);
  v[3] = expand_step<W, 3>(low, high);
  v[4] = expand_step<W, 4>(low, high);
  v[5] = expand_step<W, 5>(low, high);
  v[6] = expand_step<W, 6>(low, high);
  v[7] = expand_step<W, 7>(low, high);
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

// Sums of the products of `steps` steps with activations from a. With kBiasSigned, signed weights
// count as w + 128.
template <class W, size_t steps>
static HWY_INLINE RowIntVec dot_steps(const WideVec* w, const int8_t* a) {
  const WideTag d8;
  const hn::Repartition<int8_t, WideTag> ds8;
  const hn::Repartition<int16_t, WideTag> d16;
  const hn::Repartition<uint32_t, WideTag> du32;
  const RowIntTag d32;
  const auto broadcast = [&](size_t s) HWY_ATTR {
    return hn::BitCast(ds8, hn::Set(du32, load_u32(a + s * 4)));
  };
  RowIntVec sum = hn::Zero(d32);
  if constexpr (kDot == DotKind::vnni) {
    INLAY_UNROLL(8) for (size_t s = 0; s < steps; ++s) {
      auto u = w[s];
      if constexpr (W::kSigned && kBiasSigned) u = hn::Xor(u, hn::Set(d8, uint8_t{128}));
      sum = dot4(u, broadcast(s), sum);
    }
  } else if constexpr (kDot == DotKind::maddubs && !W::kSigned) {
    // Steps whose sum an int16 lane holds for certain.
    constexpr size_t kMax = (size_t{1} << (W::kLow + W::kHigh)) - 1;
    constexpr size_t kFit = 32767 / (2 * 127 * kMax);
    constexpr size_t kRun = HWY_MIN(steps, kFit >= 8 ? 8 : kFit >= 4 ? 4 : 2);
    static_assert(kFit >= 2 && 2 * 127 * kMax * kRun <= 32767);
    const auto ones = hn::Set(d16, 1);
    INLAY_UNROLL(4) for (size_t run = 0; run < steps; run += kRun) {
      auto lanes = hn::SatWidenMulPairwiseAdd(d16, w[run], broadcast(run));
      INLAY_UNROLL(8) for (size_t s = run + 1; s < run + kRun; ++s) {
        lanes = hn::Add(lanes, hn::SatWidenMulPairwiseAdd(d16, w[s], broadcast(s)));
        INLAY_PIN(lanes);
      }
      const auto wide = hn::WidenMulPairwiseAdd(d32, lanes, ones);
      sum = run == 0 ? wide : hn::Add(sum, wide);
    }
  } else if constexpr (kDot == DotKind::maddubs) {
    // |w| <= 128 and |a| <= 127: a pair is at most 2 * 128 * 127 = 32512.
    const auto ones = hn::Set(d16, 1);
    INLAY_UNROLL(8) for (size_t s = 0; s < steps; ++s) {
      const auto value = hn::BitCast(ds8, w[s]);
      const auto pairs =
          hn::SatWidenMulPairwiseAdd(d16, hn::BitCast(d8, hn::Abs(value)),
                                     hn::IfNegativeThenNegOrUndefIfZero(value, broadcast(s)));
      sum = hn::Add(sum, hn::WidenMulPairwiseAdd(d32, pairs, ones));
      INLAY_PIN(sum);
    }
  } else {
    // Even and odd bytes of a row's four apart: no lane has to move.
    INLAY_UNROLL(8) for (size_t s = 0; s < steps; ++s) {
      const auto b = hn::BitCast(d8, broadcast(s));
      sum = hn::Add(
          sum, hn::WidenMulPairwiseAdd(d32, even_bytes<W::kSigned>(w[s]), even_bytes<true>(b)));
      sum = hn::Add(sum,
                    hn::WidenMulPairwiseAdd(d32, odd_bytes<W::kSigned>(w[s]), odd_bytes<true>(b)));
    }
  }
  return sum;
}

// A panel's chunk as the kernels read it.
struct PanelChunk {
  const uint8_t *low, *high;
  size_t groups;
};

// ---- few columns --------------------------------------------------------------------------------
// sum[column] += the products of a panel's chunk with columns at a, a + column_bytes ...; what the
// scales' mins say is not in it.
using PanelKernel = void (*)(const PanelChunk& chunk, const float (*scale)[kPanelRows],
                             const int8_t* a, const float* a_scale, size_t columns,
                             size_t column_bytes, float (*sum)[kPanelRows]);

template <class W>
static HWY_NOINLINE void multiply_panel(const PanelChunk& chunk, const float (*scale)[kPanelRows],
                                        const int8_t* a, const float* a_scale, size_t columns,
                                        size_t column_bytes, float (*sum)[kPanelRows]) {
  const RowTag df;
  constexpr size_t kSubs = kGroup / W::kSub;
  for (size_t g = 0; g < chunk.groups; ++g) {
    for (size_t row = 0; row < kPanelRows; row += kRowLanes) {
      WideVec w[8];
      expand_group<W>(chunk.low + g * W::kLow * 4 * kPanelRows + row * 4,
                      chunk.high + g * W::kHigh * 4 * kPanelRows + row * 4, w);
      for (size_t column = 0; column < columns; ++column) {
        const int8_t* from = a + column * column_bytes + g * kGroup;
        RowVec part = hn::Zero(df);
        INLAY_UNROLL(2) for (size_t s = 0; s < kSubs; ++s) {
          const auto dot = dot_steps<W, 8 / kSubs>(w + s * 8 / kSubs, from + s * W::kSub);
          const auto f = hn::ConvertTo(df, dot);
          const auto factor = hn::Load(df, &scale[g * kSubs + s][row]);
          part = s == 0 ? hn::Mul(f, factor) : hn::MulAdd(f, factor, part);
        }
        float x_scale;
        std::memcpy(&x_scale, reinterpret_cast<const uint8_t*>(a_scale + g) + column * column_bytes,
                    4);
        float* to = &sum[column][row];
        hn::Store(hn::MulAdd(part, hn::Set(df, x_scale), hn::Load(df, to)), df, to);
      }
    }
  }
}

// sum[column] -= min times the sums of x.
static HWY_NOINLINE void subtract_mins(const float (*min)[kPanelRows], size_t subs, float factor,
                                       const float* x_sum, float* sum) {
  const RowTag df;
  for (size_t row = 0; row < kPanelRows; row += kRowLanes) {
    auto low = hn::Zero(df);
    for (size_t s = 0; s < subs; ++s) {
      low = hn::MulAdd(hn::Load(df, &min[s][row]), hn::Set(df, x_sum[s]), low);
    }
    hn::Store(hn::NegMulAdd(low, hn::Set(df, factor), hn::Load(df, sum + row)), df, sum + row);
  }
}

// ---- decoding to a tile -------------------------------------------------------------------------
// As decode_panel: w[step][row], less `offset` if the tile holds int16.
using PanelDecode = void (*)(const PanelChunk& chunk, int offset, uint32_t* w);

template <class W>
static HWY_NOINLINE void expand_panel(const PanelChunk& chunk, int offset,
                                      uint32_t* HWY_RESTRICT to) {
  const WideTag d8;
  const hn::Repartition<uint32_t, WideTag> du32;
  constexpr bool wide = kDot == DotKind::wide || (kDot == DotKind::maddubs && W::kSigned);
  for (size_t g = 0; g < chunk.groups; ++g) {
    for (size_t row = 0; row < kPanelRows; row += kRowLanes) {
      WideVec w[8];
      expand_group<W>(chunk.low + g * W::kLow * 4 * kPanelRows + row * 4,
                      chunk.high + g * W::kHigh * 4 * kPanelRows + row * 4, w);
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
