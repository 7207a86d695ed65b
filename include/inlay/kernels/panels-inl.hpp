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
static HWY_INLINE RowVec row_halves(const uint8_t* p) {
  const hn::Rebind<hwy::float16_t, RowTag> dh;
  const hn::Repartition<uint8_t, decltype(dh)> d8;
  return hn::PromoteTo(RowTag(), hn::BitCast(dh, hn::LoadU(d8, p)));
}

// The integer scales of a superblock, and its mins: a byte each, those of four sub-blocks of a row
// in its lane.
static constexpr size_t kQuadBytes = 4 * kPanelRows;  // of four sub-blocks of a panel
struct Quad {
  WideVec scale, min;
};

// Of sub-blocks 4 * q ... 4 * q + 3, of the vector of rows that begins at `row`. pack_scales() has
// the layout.
template <TensorType type>
static HWY_INLINE Quad unpack_quad(const uint8_t* chunk, size_t q, size_t row) {
  const WideTag d;
  const hn::Repartition<uint16_t, WideTag> d16;
  const auto low = hn::Set(d, uint8_t{0x0f}), high = hn::Set(d, uint8_t{0x30});
  const auto right = [&](WideVec v, size_t bits) HWY_ATTR {
    return hn::BitCast(d, hn::ShiftRightSame(hn::BitCast(d16, v), static_cast<int>(bits)));
  };
  const auto left4 = [&](WideVec v)
                         HWY_ATTR { return hn::BitCast(d, hn::ShiftLeft<4>(hn::BitCast(d16, v))); };
  const auto right4 = [&](WideVec v) HWY_ATTR {
    return hn::BitCast(d, hn::ShiftRight<4>(hn::BitCast(d16, v)));
  };
  const uint8_t* p = chunk + 2 * kPanelRows + 4 * row;  // after the half d
  Quad r = {};
  if constexpr (type == TensorType::q2_k) {
    const auto v = hn::LoadU(d, p + 2 * kPanelRows + q * kQuadBytes);
    r = {hn::And(v, low), hn::And(right4(v), low)};
  } else if constexpr (type == TensorType::q3_k) {
    const auto v = right(hn::LoadU(d, p + q % 2 * kQuadBytes), q / 2 * 4);
    const auto top = right(hn::LoadU(d, p + 2 * kQuadBytes), 2 * q);
    r.scale = hn::Or(hn::And(v, low), hn::And(left4(top), high));
  } else if constexpr (type == TensorType::q4_k) {
    p += 2 * kPanelRows;
    const auto v = hn::LoadU(d, p + q * kQuadBytes);
    const auto top = right(hn::LoadU(d, p + 2 * kQuadBytes), 2 * q);
    r = {hn::Or(hn::And(v, low), hn::And(left4(top), high)),
         hn::Or(hn::And(right4(v), low), hn::And(top, high))};
  } else if constexpr (type == TensorType::iq4_xs) {
    // The rows share bytes with those 8 further on.
    const LaneTag half;
    const auto top = [&](size_t at) HWY_ATTR {
      return bit_field<2, 4>(hn::LoadU(half, chunk + 2 * kPanelRows + kQuadBytes + 4 * (at % 8)),
                             static_cast<int>(at / 8 * 4 + 2 * q));
    };
    const auto v = hn::And(right(hn::LoadU(d, p), 4 * q), low);
#if HWY_MAX_BYTES >= 64
    r.scale = hn::Or(v, hn::Combine(d, top(row + 8), top(row)));
#else
    r.scale = hn::Or(v, top(row));
#endif
  } else {
    static_assert(type == TensorType::q6_k);
    r.scale = hn::LoadU(d, p + q * kQuadBytes);
  }
  if constexpr (type == TensorType::q3_k || type == TensorType::iq4_xs) {
    r.scale = hn::Sub(r.scale, hn::Set(d, uint8_t{32}));
  }
  return r;
}

// Byte q of each lane as int32.
template <bool is_signed, size_t q>
static HWY_INLINE RowIntVec quad_byte(WideVec four) {
  const RowIntTag d;
  const hn::Repartition<uint32_t, WideTag> du;
  if constexpr (is_signed) {
    const auto v = hn::BitCast(d, four);
    return hn::ShiftRight<24>(q == 3 ? v : hn::ShiftLeft<(3 - q) * 8>(v));
  } else {
    const auto v = hn::BitCast(du, four);
    if constexpr (q == 3) return hn::BitCast(d, hn::ShiftRight<24>(v));
    return hn::BitCast(d, hn::And(q == 0 ? v : hn::ShiftRight<q * 8>(v), hn::Set(du, 255)));
  }
}

// The same for any q, and where dot products are int16, twice as int16.
static constexpr bool kTwice = kDot == DotKind::maddubs;
struct QuadPicks {
  alignas(64) uint8_t at[4][16];
};
template <bool is_signed>
static constexpr QuadPicks quad_picks() {
  QuadPicks picks = {};
  for (size_t q = 0; q < 4; ++q) {
    for (size_t i = 0; i < 16; ++i) {
      const size_t width = kTwice ? 2 : 4;  // of the integer; a signed one is its highest byte
      const bool here = i % width == (is_signed ? width - 1 : 0);
      picks.at[q][i] = static_cast<uint8_t>(here ? i / 4 * 4 + q : 0x80);
    }
  }
  return picks;
}
template <bool is_signed>
static HWY_INLINE RowIntVec pick_scale(WideVec four, size_t q) {
  const RowIntTag d;
  if constexpr (kDot == DotKind::wide) {
    const hn::Repartition<uint32_t, WideTag> du;
    const int shift = static_cast<int>(q) * 8;
    if constexpr (is_signed) {
      return hn::ShiftRight<24>(hn::ShiftLeftSame(hn::BitCast(d, four), 24 - shift));
    } else {
      return hn::BitCast(
          d, hn::And(hn::ShiftRightSame(hn::BitCast(du, four), shift), hn::Set(du, 255)));
    }
  } else {
    static constexpr QuadPicks kPicks = quad_picks<is_signed>();
    const auto v = hn::TableLookupBytesOr0(four, hn::LoadDup128(WideTag(), kPicks.at[q]));
    if constexpr (is_signed && kTwice) {
      const hn::Repartition<int16_t, WideTag> d16;
      return hn::BitCast(d, hn::ShiftRight<8>(hn::BitCast(d16, v)));
    } else if constexpr (is_signed) {
      return hn::ShiftRight<24>(hn::BitCast(d, v));
    } else {
      return hn::BitCast(d, v);
    }
  }
}

// ---- weights ------------------------------------------------------------------------------------
// How the bits of a type lie in the planes of a group, and are put together to the 8-bit integers
// that are multiplied: in units of kUnitPlanes vectors, which give kUnitSteps steps (of 4 k). Most
// are masked only: what would be left free of a byte holds the parts of one more value.
// pack_group() is the other direction.
//   kSigned    bytes are signed; with kBiasSigned they come with 128 added
//   kSuper     the type of superblocks, or one with the same scales
//   kCentre    what is subtracted from weights with float scales; from those with integer scales if
//              kCentred
template <size_t from, size_t bits, size_t to>
static HWY_INLINE WideVec wide_field(WideVec v) {  // bits [from, from + bits) of each byte, at `to`
  const WideTag d;
  const hn::Repartition<uint16_t, WideTag> d16;
  const auto wide = hn::BitCast(d16, v);
  if constexpr (from < to) v = hn::BitCast(d, hn::ShiftLeft<to - from>(wide));
  if constexpr (from > to) v = hn::BitCast(d, hn::ShiftRight<from - to>(wide));
  return hn::And(v, hn::Set(d, static_cast<uint8_t>(((1u << bits) - 1) << to)));
}

struct Nibbles {
  static constexpr size_t kBits = 4, kSub = 32, kCentre = 8;
  static constexpr TensorType kSuper = TensorType::q4_k;
  static constexpr size_t kUnits = 4, kUnitPlanes = 1, kUnitSteps = 2;
  static constexpr bool kCentred = false, kSigned = false, kSignedScales = false;
  static constexpr size_t plane(size_t unit, size_t) { return unit; }
  static constexpr size_t step(size_t unit, size_t i) { return unit + 4 * i; }
  template <size_t unit>
  static HWY_INLINE void expand(const WideVec* p, WideVec* w) {
    w[0] = wide_field<0, 4, 0>(p[0]);
    w[1] = wide_field<4, 4, 0>(p[0]);
  }
};
struct TableNibbles : Nibbles {
  static constexpr size_t kCentre = 128;
  static constexpr TensorType kSuper = TensorType::iq4_xs;
  static constexpr bool kCentred = true, kSigned = true, kSignedScales = true;
  template <size_t unit>
  static HWY_INLINE void expand(const WideVec* p, WideVec* w) {
    Nibbles::expand<unit>(p, w);
    w[0] = iq4_value<kBiasSigned>(w[0]);
    w[1] = iq4_value<kBiasSigned>(w[1]);
  }
};
struct FiveBits : Nibbles {
  static constexpr size_t kBits = 5, kCentre = 16, kUnitPlanes = 2;
  static constexpr size_t plane(size_t unit, size_t i) { return i == 0 ? 1 + unit : 0; }
  template <size_t unit>
  static HWY_INLINE void expand(const WideVec* p, WideVec* w) {
    w[0] = wide_field<0, 5, 0>(p[0]);
    w[1] = hn::Or(wide_field<5, 3, 0>(p[0]), wide_field<2 * unit, 2, 3>(p[1]));
  }
};
struct SixBits {
  static constexpr size_t kBits = 6, kSub = 16, kCentre = 32;
  static constexpr TensorType kSuper = TensorType::q6_k;
  static constexpr size_t kUnits = 2, kUnitPlanes = 3, kUnitSteps = 4;
  static constexpr bool kCentred = true, kSigned = false, kSignedScales = true;
  static constexpr size_t plane(size_t unit, size_t i) { return 3 * unit + i; }
  static constexpr size_t step(size_t unit, size_t i) { return 4 * unit + i; }
  template <size_t unit>
  static HWY_INLINE void expand(const WideVec* p, WideVec* w) {
    INLAY_UNROLL(3) for (size_t i = 0; i < 3; ++i) w[i] = wide_field<0, 6, 0>(p[i]);
    w[3] = hn::Or(hn::Or(wide_field<6, 2, 0>(p[0]), wide_field<6, 2, 2>(p[1])),
                  wide_field<6, 2, 4>(p[2]));
  }
};
struct TwoBits {
  static constexpr size_t kBits = 2, kSub = 16, kCentre = 0;
  static constexpr TensorType kSuper = TensorType::q2_k;
  static constexpr size_t kUnits = 2, kUnitPlanes = 1, kUnitSteps = 4;
  static constexpr bool kCentred = false, kSigned = false, kSignedScales = false;
  static constexpr size_t plane(size_t unit, size_t) { return unit; }
  static constexpr size_t step(size_t unit, size_t i) { return 4 * unit + i; }
  template <size_t unit>
  static HWY_INLINE void expand(const WideVec* p, WideVec* w) {
    w[0] = wide_field<0, 2, 0>(p[0]);
    w[1] = wide_field<2, 2, 0>(p[0]);
    w[2] = wide_field<4, 2, 0>(p[0]);
    w[3] = wide_field<6, 2, 0>(p[0]);
  }
};
struct ThreeBits : TwoBits {
  static constexpr size_t kBits = 3, kCentre = 4, kUnitPlanes = 3;
  static constexpr TensorType kSuper = TensorType::q3_k;
  static constexpr bool kCentred = true, kSignedScales = true;
  static constexpr size_t plane(size_t, size_t i) { return i; }
  template <size_t unit>
  static HWY_INLINE void expand(const WideVec* p, WideVec* w) {
    if constexpr (unit == 0) {
      INLAY_UNROLL(3) for (size_t i = 0; i < 3; ++i) w[i] = wide_field<0, 3, 0>(p[i]);
      w[3] = wide_field<3, 3, 0>(p[0]);
    } else {
      w[0] = wide_field<3, 3, 0>(p[1]);
      w[1] = wide_field<3, 3, 0>(p[2]);
      w[2] = hn::Or(wide_field<6, 2, 0>(p[0]), wide_field<6, 1, 2>(p[2]));
      w[3] = hn::Or(wide_field<6, 2, 0>(p[1]), wide_field<7, 1, 2>(p[2]));
    }
  }
};
struct EightBits {
  static constexpr size_t kBits = 8, kSub = 32, kCentre = 128;
  static constexpr size_t kUnits = 8, kUnitPlanes = 1, kUnitSteps = 1;
  static constexpr bool kCentred = true, kSigned = true, kSignedScales = true;
  static constexpr size_t plane(size_t unit, size_t) { return unit; }
  static constexpr size_t step(size_t unit, size_t) { return unit; }
  template <size_t unit>
  static HWY_INLINE void expand(const WideVec* p, WideVec* w) {
    w[0] = kBiasSigned ? p[0] : hn::Xor(p[0], hn::Set(WideTag(), uint8_t{128}));
  }
};

template <class W>
static constexpr size_t kGroupBytes = W::kBits * 4 * kPanelRows;

// Displacements of an instruction that fit a signed byte, see INLAY_OPAQUE: of pointers kMiddle
// bytes into what they read.
static constexpr ptrdiff_t kMiddle = 128;
template <class W>
static constexpr ptrdiff_t plane_at(size_t plane) {
  return static_cast<ptrdiff_t>(plane * 4 * kPanelRows) - kMiddle;
}

// A unit of the rows at p - kMiddle.
template <class W, size_t unit>
static HWY_INLINE void expand_unit(const uint8_t* p, WideVec* w) {
  WideVec planes[W::kUnitPlanes];
  INLAY_UNROLL(3) for (size_t i = 0; i < W::kUnitPlanes; ++i) {
    planes[i] = hn::LoadU(WideTag(), p + plane_at<W>(W::plane(unit, i)));
    INLAY_PIN(planes[i]);
  }
  W::template expand<unit>(planes, w);
}

// What the dot products of panels take away from weights: 0 for none.
template <class W, bool integer>
static constexpr size_t panel_centre() {
  if (W::kSigned) return kBiasSigned ? W::kCentre : 0;
  return !integer || W::kCentred ? W::kCentre : 0;
}
// Sub-blocks are cut into as many dot products as fit an int16 lane: with a centre the centred sum
// has to, else the plain one.
template <class W, bool integer>
static constexpr size_t panel_runs() {
  constexpr size_t kSubs = kGroup / W::kSub, kMax = (size_t{1} << W::kBits) - 1;
  size_t runs = kSubs;
  if constexpr (kDot == DotKind::maddubs && !W::kSigned) {
    constexpr size_t kCentre = panel_centre<W, integer>(), kBiggest = kCentre != 0 ? kCentre : kMax;
    static_assert(2 * 127 * kMax <= 32767 && kBiggest * 2 > kMax);
    while (2 * 127 * kBiggest * (8 / runs) > 32767) runs *= 2;
  }
  return runs;
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

// Sums of products, a row in each lane: begin_dot, add_step for every 4 k of a run, end_dot or
// scale_dot. `start` is -centre times the sums of the activations that a lane meets: of int32
// lanes, or with pmaddubsw of int16 lanes. Signed weights have it with VNNI only, which takes them
// as w + 128.
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
    return dot4(w, hn::BitCast(ds8, a), dot);
  } else if constexpr (kDot == DotKind::maddubs && !W::kSigned) {
    // A pair does not saturate. Sums may wrap around on the way, but fit in the end: panel_runs().
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
// Times pick_scale().
template <class Dot>
static HWY_INLINE RowIntVec scale_dot(Dot dot, RowIntVec scale) {
  if constexpr (std::is_same_v<Dot, RowIntVec>) {
    if constexpr (kTwice) {
      const auto low = hn::And(scale, hn::Set(RowIntTag(), 0xffff));
      return hn::Mul(dot, hn::ShiftRight<16>(hn::ShiftLeft<16>(low)));
    } else {
      return hn::Mul(dot, scale);
    }
  } else {
    return hn::WidenMulPairwiseAdd(RowIntTag(), dot,
                                   hn::BitCast(hn::Repartition<int16_t, WideTag>(), scale));
  }
}

static HWY_INLINE WideVec broadcast_step(const int8_t* a) {
  return hn::BitCast(WideTag(), hn::Set(hn::Repartition<uint32_t, WideTag>(), load_u32(a)));
}

// ---- few columns --------------------------------------------------------------------------------
// Columns of one product: more are 4, once or more often, and what is left.
static constexpr size_t kPanelColumns = 5;

// What a product needs besides the weights. One column is as ColumnLayout has it, more are
// interleaved as in GroupLayout: of each step, group or sub-block one value for each of kColumns.
struct PanelColumns {
  const int8_t* a;
  const float* scale;     // of groups
  const float* sum;       // of sub-blocks
  const uint32_t* start;  // of sub-blocks
  size_t next;            // bytes from what the first column group has to the same of the second

  template <class T>
  HWY_INLINE const T* of(const T* first, size_t c) const {
    const uint8_t* group = reinterpret_cast<const uint8_t*>(first) + c / kColumns * next;
    return reinterpret_cast<const T*>(group + c % kColumns * 4);
  }
};

// More columns than that are faster in tiles, which expand weights once for all of them, but take
// four columns where there is one. Bytes and nibbles need little expanding. Without an instruction
// for bytes two are.
static constexpr size_t most_panel_columns(PanelLayout layout) {
  if (kDot == DotKind::wide) return 1;
  if (kDot == DotKind::vnni) return layout.block == kGroup ? 16 : 15;
  return layout.bits == 8 || layout.bits == 4 ? 15 : 7;
}

// Up to kStreams panels that are multiplied in lockstep.
struct PanelTurn {
  size_t streams, groups;
  size_t ahead, second_ahead;  // of Reading
  const uint8_t* panels[kStreams];
  alignas(64) float sum[kStreams][kPanelColumns][kPanelRows];
};

// sum[stream] += the products of the panels with the columns.
using PanelKernel = void (*)(PanelTurn& t, PanelColumns x, bool mins);

static constexpr size_t kRowVecs = kPanelRows / kRowLanes;

// `a`: an offset from x.a.
template <class W, size_t unit, size_t end, size_t together, size_t n, class Dot>
static HWY_INLINE void add_units(const uint8_t* p, const PanelColumns& x, size_t a,
                                 Dot (&dot)[together][n]) {
  if constexpr (unit < end) {
    WideVec w[together][W::kUnitSteps];
    INLAY_UNROLL(2) for (size_t r = 0; r < together; ++r) {
      expand_unit<W, unit>(p + r * kRowLanes * 4, w[r]);
    }
    INLAY_UNROLL(4) for (size_t i = 0; i < W::kUnitSteps; ++i) {
      const size_t at = a + W::step(unit, i) * (n == 1 ? 4 : 4 * kColumns);
      INLAY_UNROLL(5) for (size_t c = 0; c < n; ++c) {
        const auto av = broadcast_step(x.of(x.a, c) + at);
        INLAY_UNROLL(2) for (size_t r = 0; r < together; ++r) {
          dot[r][c] = add_step<W>(dot[r][c], w[r][i], av);
        }
      }
    }
    add_units<W, unit + 1, end>(p, x, a, dot);
  }
}

// Run `run` and those after it of a group: its sub-blocks with their integer scales, if they have
// any.
template <class W, bool integer, size_t run, size_t together, size_t n>
static HWY_INLINE void add_runs(const uint8_t* p, const PanelColumns& x, size_t g,
                                const Quad (&quads)[together], RowIntVec (&total)[together][n]) {
  constexpr size_t kRuns = panel_runs<W, integer>(), kStride = n == 1 ? 1 : kColumns;
  if constexpr (run < kRuns) {
    constexpr size_t kSubs = kGroup / W::kSub, kUnits = W::kUnits / kRuns;
    const size_t sub = g * kSubs + run * kSubs / kRuns;
    decltype(begin_dot<W>(0)) dot[together][n];
    INLAY_UNROLL(2) for (size_t r = 0; r < together; ++r) {
      INLAY_UNROLL(5) for (size_t c = 0; c < n; ++c) {
        constexpr bool centred = panel_centre<W, integer>() != 0;
        dot[r][c] = begin_dot<W>(centred ? x.of(x.start, c)[sub * kStride] : 0);
      }
    }
    add_units<W, run * kUnits, (run + 1) * kUnits>(p, x, g * kGroup * kStride, dot);
    INLAY_UNROLL(2) for (size_t r = 0; r < together; ++r) {
      RowIntVec scale = {};
      if constexpr (integer) scale = pick_scale<W::kSignedScales>(quads[r].scale, sub % 4);
      INLAY_UNROLL(5) for (size_t c = 0; c < n; ++c) {
        const auto v = integer ? scale_dot(dot[r][c], scale) : end_dot(dot[r][c]);
        total[r][c] = run == 0 ? v : hn::Add(total[r][c], v);
      }
    }
    add_runs<W, integer, run + 1>(p, x, g, quads, total);
  }
}

// Mins of four sub-blocks, the first of them `sub`, times the sums of x.
template <size_t n>
static HWY_INLINE void multiply_mins(WideVec mins, const PanelColumns& x, size_t sub,
                                     RowVec (&total)[n]) {
  const RowTag df;
  constexpr size_t kStride = n == 1 ? 1 : kColumns;
  const auto add = [&](RowIntVec min, size_t q) HWY_ATTR {
    const auto f = hn::ConvertTo(df, min);
    INLAY_UNROLL(5) for (size_t c = 0; c < n; ++c) {
      const auto sum = hn::Set(df, x.of(x.sum, c)[(sub + q) * kStride]);
      total[c] = q == 0 ? hn::Mul(f, sum) : hn::MulAdd(f, sum, total[c]);
    }
  };
  add(quad_byte<false, 0>(mins), 0);
  add(quad_byte<false, 1>(mins), 1);
  add(quad_byte<false, 2>(mins), 2);
  add(quad_byte<false, 3>(mins), 3);
}

// `integer`: the sub-blocks of a superblock have integer scales; else each block of 32 has a half.
template <class W, bool integer, size_t n>
static HWY_NOINLINE void multiply_panel(PanelTurn& t, PanelColumns x, bool mins) {
  const RowTag df;
  constexpr size_t kStride = n == 1 ? 1 : kColumns, kSubs = kGroup / W::kSub;
  // Broadcasts of a single column serve two vectors of rows; of more, registers run out.
  constexpr size_t kTogether = n == 1 && kRowVecs > 1 ? 2 : 1;
  // Groups of a stream before those of the next: four sub-blocks, whose scales are unpacked
  // together; else one, for the streams' reads overlap most so, or all if there is one stream.
  constexpr size_t kStep = 4 / kSubs;
  const size_t streams = t.streams, step = integer ? kStep : streams == 1 ? 8 : 1;
  const size_t ahead = t.ahead, second_ahead = t.second_ahead;
  size_t groups = 0;
  for (size_t left = t.groups; left > 0; left -= groups) {
    groups = HWY_MIN(left, size_t{8});
    size_t scale_bytes = kPanelRows * 2 * groups * (mins ? 2 : 1);
    if constexpr (integer) scale_bytes = kPanelRows * panel_layout(W::kSuper).scale_bytes;
    // Scales are used with their groups, but asked for in order, as all is.
    for (size_t s = 0; s < streams; ++s) {
      for (size_t line = 0; line < scale_bytes; line += 64) INLAY_PREFETCH(t.panels[s] + line, 3);
    }
    for (size_t g0 = 0; g0 < groups; g0 += step) {
      for (size_t s = 0; s < streams; ++s) {
        const uint8_t* chunk = t.panels[s];
        for (size_t row = 0; row < kPanelRows; row += kTogether * kRowLanes) {
          RowVec v[kTogether][n];
          Quad quads[kTogether] = {};
          INLAY_UNROLL(2) for (size_t r = 0; r < kTogether; ++r) {
            if constexpr (integer) {
              quads[r] = unpack_quad<W::kSuper>(chunk, g0 / kStep, row + r * kRowLanes);
            }
            INLAY_UNROLL(5) for (size_t c = 0; c < n; ++c) {
              v[r][c] = integer ? hn::Zero(df) : hn::Load(df, t.sum[s][c] + row + r * kRowLanes);
            }
          }
          const uint8_t* p = chunk + scale_bytes + g0 * kGroupBytes<W> + row * 4 + kMiddle;
          for (size_t g = g0; g < HWY_MIN(g0 + step, groups); ++g, p += kGroupBytes<W>) {
            RowIntVec total[kTogether][n];
            INLAY_OPAQUE(p);
            if (row == 0 && ahead != 0) {
              // Where the first cache keeps few requests open, they must not wait for the memory.
              for (size_t line = 0; line < kGroupBytes<W>; line += 64) {
                INLAY_PREFETCH(p + ahead + line, 3);
                if (second_ahead != 0) INLAY_PREFETCH(p + second_ahead + line, 2);
              }
            } else if (n > kColumns && row == 0) {
              // Zen 4 does not see the panels' order between this many reads of activations; with
              // fewer columns, asking takes longer than it saves.
              for (size_t line = 0; line < kGroupBytes<W>; line += 64) {
                INLAY_PREFETCH(p + 4 * kGroupBytes<W> + line, 3);
              }
            }
            add_runs<W, integer, 0>(p, x, g, quads, total);
            INLAY_UNROLL(2) for (size_t r = 0; r < kTogether; ++r) {
              RowVec d = hn::Zero(df), min = hn::Zero(df);
              if constexpr (!integer) {
                const uint8_t* halves = chunk + (g * kPanelRows + row + r * kRowLanes) * 2;
                d = row_halves(halves);
                if (mins) {
                  min = hn::MulAdd(d, hn::Set(df, float{W::kCentre}),
                                   row_halves(halves + groups * 2 * kPanelRows));
                }
              }
              INLAY_UNROLL(5) for (size_t c = 0; c < n; ++c) {
                auto f = hn::ConvertTo(df, total[r][c]);
                if constexpr (!integer) {
                  f = hn::Mul(f, d);
                  if (mins) {
                    const auto sum = hn::Set(df, x.of(x.sum, c)[g * kStride]);
                    v[r][c] = hn::MulAdd(min, sum, v[r][c]);
                  }
                }
                const auto scale = hn::Set(df, x.of(x.scale, c)[g * kStride]);
                v[r][c] = hn::MulAdd(f, scale, v[r][c]);
              }
            }
          }
          INLAY_UNROLL(2) for (size_t r = 0; r < kTogether; ++r) {
            const size_t at = row + r * kRowLanes;
            if constexpr (integer) {
              const auto d = row_halves(chunk + at * 2);
              INLAY_UNROLL(5) for (size_t c = 0; c < n; ++c) {
                v[r][c] = hn::MulAdd(v[r][c], d, hn::Load(df, t.sum[s][c] + at));
              }
              if (mins) {
                RowVec total[n];
                multiply_mins(quads[r].min, x, g0 * kSubs, total);
                const auto d_min = row_halves(chunk + (kPanelRows + at) * 2);
                INLAY_UNROLL(5) for (size_t c = 0; c < n; ++c) {
                  v[r][c] = hn::NegMulAdd(d_min, total[c], v[r][c]);
                }
              }
            }
            INLAY_UNROLL(5) for (size_t c = 0; c < n; ++c) {
              hn::Store(v[r][c], df, t.sum[s][c] + at);
            }
          }
        }
      }
    }
    for (size_t s = 0; s < streams; ++s) t.panels[s] += scale_bytes + groups * kGroupBytes<W>;
    x.a += groups * kGroup * kStride;
    x.scale += groups * kStride;
    x.sum += groups * kSubs * kStride;
    x.start += groups * kSubs * kStride;
  }
}

// ---- decoding to a tile -------------------------------------------------------------------------
// As decode_panel: w[step][row], less `offset` if the tile holds int16.
using PanelDecode = void (*)(const uint8_t* planes, size_t groups, int offset, uint32_t* w);

template <class W, size_t unit>
static HWY_INLINE void store_units(const uint8_t* p, int offset, uint32_t* HWY_RESTRICT to) {
  const hn::Repartition<uint32_t, WideTag> du32;
  constexpr bool wide = kDot == DotKind::wide || (kDot == DotKind::maddubs && W::kSigned);
  if constexpr (unit < W::kUnits) {
    WideVec w[W::kUnitSteps];
    expand_unit<W, unit>(p, w);
    INLAY_UNROLL(4) for (size_t i = 0; i < W::kUnitSteps; ++i) {
      const size_t step = W::step(unit, i);
      if constexpr (!wide) {
        hn::Store(hn::BitCast(du32, w[i]), du32, to + step * kPanelRows);
      } else {
        const hn::Repartition<int16_t, WideTag> d16;
        const auto centre = hn::Set(d16, static_cast<int16_t>(offset));
        uint32_t* at = to + step * 2 * kPanelRows;
        hn::Store(hn::BitCast(du32, hn::Sub(even_bytes<W::kSigned>(w[i]), centre)), du32, at);
        hn::Store(hn::BitCast(du32, hn::Sub(odd_bytes<W::kSigned>(w[i]), centre)), du32,
                  at + kPanelRows);
      }
    }
    store_units<W, unit + 1>(p, offset, to);
  }
}

template <class W>
static HWY_NOINLINE void expand_panel(const uint8_t* planes, size_t groups, int offset,
                                      uint32_t* HWY_RESTRICT to) {
  constexpr size_t kSteps =
      kDot == DotKind::wide || (kDot == DotKind::maddubs && W::kSigned) ? 16 : 8;
  for (size_t g = 0; g < groups; ++g) {
    for (size_t row = 0; row < kPanelRows; row += kRowLanes) {
      store_units<W, 0>(planes + g * kGroupBytes<W> + row * 4 + kMiddle, offset,
                        to + g * kSteps * kPanelRows + row);
    }
  }
}

// Scales and mins of a panel's chunk as tile kernels take them.
using PanelScales = void (*)(const uint8_t* chunk, size_t groups, bool mins, bool twice,
                             float (*scale)[kPanelRows], float (*min)[kPanelRows], float* delta);

template <bool is_signed>
static HWY_INLINE void quad_to_tile(WideVec four, bool twice, size_t row, float (*to)[kPanelRows]) {
  const RowIntTag d;
  const auto put = [&](RowIntVec v, size_t q) HWY_ATTR {
    if (twice) v = hn::Or(hn::ShiftLeft<16>(v), hn::And(v, hn::Set(d, 0xffff)));
    hn::Store(hn::BitCast(RowTag(), v), RowTag(), to[q] + row);
  };
  put(quad_byte<is_signed, 0>(four), 0);
  put(quad_byte<is_signed, 1>(four), 1);
  put(quad_byte<is_signed, 2>(four), 2);
  put(quad_byte<is_signed, 3>(four), 3);
}
template <class W, bool integer>
static HWY_NOINLINE void panel_scales_to_tile(const uint8_t* chunk, size_t groups, bool mins,
                                              bool twice, float (*scale)[kPanelRows],
                                              float (*min)[kPanelRows], float* delta) {
  const RowTag df;
  for (size_t row = 0; row < kPanelRows; row += kRowLanes) {
    if constexpr (integer) {
      const auto d_min = row_halves(chunk + (kPanelRows + row) * 2);
      hn::Store(row_halves(chunk + row * 2), df, delta + row);
      for (size_t s = 0; s < kChunk / W::kSub; s += 4) {
        const Quad quad = unpack_quad<W::kSuper>(chunk, s / 4, row);
        quad_to_tile<W::kSignedScales>(quad.scale, twice, row, scale + s);
        if (!mins) continue;
        quad_to_tile<false>(quad.min, false, row, min + s);
        for (size_t i = s; i < s + 4; ++i) {
          const auto v = hn::BitCast(RowIntTag(), hn::Load(df, min[i] + row));
          hn::Store(hn::Mul(hn::ConvertTo(df, v), d_min), df, min[i] + row);
        }
      }
    } else {
      for (size_t g = 0; g < groups; ++g) {
        const uint8_t* halves = chunk + (g * kPanelRows + row) * 2;
        hn::Store(row_halves(halves), df, scale[g] + row);
        if (!mins) continue;
        hn::Store(hn::Neg(row_halves(halves + groups * 2 * kPanelRows)), df, min[g] + row);
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace detail
INLAY_END_NAMESPACE
HWY_AFTER_NAMESPACE();
