// The product of a weight matrix, as the file has it, with few columns: one row is one dot product.
// Four rows at a time, from four distant places, since one core reads about 40 % faster from four
// streams than from one. Compiled once per SIMD target; no include guard.

HWY_BEFORE_NAMESPACE();
INLAY_BEGIN_NAMESPACE
namespace detail {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Sums of the products of 4 (VNNI) or of as many as a vector's int32 lane covers. negatable: no
// lane of u is -128.
template <bool is_signed, bool negatable = false>
static HWY_INLINE hn::Vec<hn::Repartition<int32_t, LaneTag>> dot_lanes(
    LaneVec u, hn::Vec<hn::Repartition<int8_t, LaneTag>> a) {
  const LaneTag du8;
  const hn::Repartition<int8_t, LaneTag> d8;
  const hn::Repartition<int16_t, LaneTag> d16;
  const hn::Repartition<int32_t, LaneTag> d32;
  if constexpr (kDot == DotKind::vnni) {
    if constexpr (is_signed && kBiasSigned) u = hn::Xor(u, hn::Set(du8, uint8_t{128}));
    return dot4(u, a, hn::Zero(d32));
  } else if constexpr (kDot == DotKind::maddubs && !is_signed) {
    // u <= 127: a pair is at most 2 * 127 * 127.
    return hn::WidenMulPairwiseAdd(d32, hn::SatWidenMulPairwiseAdd(d16, u, a), hn::Set(d16, 1));
  } else if constexpr (kDot == DotKind::maddubs && negatable) {
    // |a| is computed once for all rows.
    const auto magnitude = hn::BitCast(du8, hn::Abs(a));
    const auto product = hn::SatWidenMulPairwiseAdd(
        d16, magnitude, hn::IfNegativeThenNegOrUndefIfZero(a, hn::BitCast(d8, u)));
    return hn::WidenMulPairwiseAdd(d32, product, hn::Set(d16, 1));
  } else if constexpr (kDot == DotKind::maddubs) {
    // |u| <= 128 and |a| <= 127: a pair is at most 2 * 128 * 127 = 32512.
    const auto s = hn::BitCast(d8, u);
    const auto magnitude = hn::BitCast(du8, hn::Abs(s));
    const auto product =
        hn::SatWidenMulPairwiseAdd(d16, magnitude, hn::IfNegativeThenNegOrUndefIfZero(s, a));
    return hn::WidenMulPairwiseAdd(d32, product, hn::Set(d16, 1));
  } else {
    const hn::Half<LaneTag> dh8;
    const hn::Rebind<int8_t, decltype(dh8)> dhs8;
    const auto widen = [&](auto v) HWY_ATTR { return hn::PromoteTo(d16, v); };
    const auto a0 = widen(hn::LowerHalf(dhs8, a)), a1 = widen(hn::UpperHalf(dhs8, a));
    if constexpr (is_signed) {
      const auto s = hn::BitCast(d8, u);
      return hn::Add(hn::WidenMulPairwiseAdd(d32, widen(hn::LowerHalf(dhs8, s)), a0),
                     hn::WidenMulPairwiseAdd(d32, widen(hn::UpperHalf(dhs8, s)), a1));
    } else {
      return hn::Add(hn::WidenMulPairwiseAdd(d32, widen(hn::LowerHalf(dh8, u)), a0),
                     hn::WidenMulPairwiseAdd(d32, widen(hn::UpperHalf(dh8, u)), a1));
    }
  }
}

// Of lanes that are at most 3, every other two of them times 16: 16 times their sums.
HWY_MAYBE_UNUSED static HWY_INLINE hn::Vec<hn::Repartition<int32_t, LaneTag>> dot_pairs(
    LaneVec u, hn::Vec<hn::Repartition<int8_t, LaneTag>> a) {
  const hn::Repartition<int16_t, LaneTag> d16;
  const hn::Repartition<int32_t, LaneTag> d32;
  const auto times = hn::BitCast(d16, hn::Set(d32, 1 << 16 | 16));
  return hn::WidenMulPairwiseAdd(d32, hn::SatWidenMulPairwiseAdd(d16, u, a), times);
}

// What dot_lanes' u stands for: scale * (u - offset).
template <class T>
static constexpr int dot_offset() {
  return T::kSigned && !kBiasSigned ? 0 : T::kOffset;
}

// The scales of vector `part` of a group that starts at `scale`: one, or one for each half of the
// lanes.
template <size_t sub>
static HWY_INLINE ScaleVec group_scale(const float* scale, size_t part) {
  const ScaleTag df;
  if constexpr (sub == 32) {
    return hn::Set(df, scale[0]);
  } else if constexpr (kParts == 2) {
    return hn::Set(df, scale[part]);
  } else {
    alignas(32) static constexpr uint8_t kSpread[32] = {0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2,
                                                        3, 0, 1, 2, 3, 4, 5, 6, 7, 4, 5,
                                                        6, 7, 4, 5, 6, 7, 4, 5, 6, 7};
    const hn::Repartition<uint64_t, ScaleTag> d64;
    uint64_t two;
    std::memcpy(&two, scale, sizeof two);
    const auto both = hn::BitCast(LaneTag(), hn::Set(d64, two));
    return hn::BitCast(df, hn::TableLookupBytes(both, hn::Load(LaneTag(), kSpread)));
  }
}

// The scales of a chunk of each row, times the activations', are computed one turn before its
// products: they take long to be ready. Those of superblocks (where superblock_rows-inl.hpp does
// not serve them: vectors have 16 bytes there) for all rows at once, four lanes for each.
static_assert(kStreams == 4);
using FourTag = hn::CappedTag<float, 4>;

// Of each four values the last two times 16, as only pairs of products are summed first.
template <class T>
static constexpr bool takes_paired_lanes() {
  return std::is_same_v<T, Q2_0> && kDot == DotKind::maddubs;
}

// Half `which` of a row, in all lanes.
template <size_t which>
static HWY_INLINE hn::Vec<FourTag> delta_of_row(FourWords halves, size_t row) {
  constexpr uint8_t k0 = which * 2, k1 = k0 + 1;
  alignas(32) static constexpr uint8_t kBytes[32] = {
      k0,      k1,      k0,      k1,      k0,      k1,      k0,      k1,      //
      k0 + 4,  k1 + 4,  k0 + 4,  k1 + 4,  k0 + 4,  k1 + 4,  k0 + 4,  k1 + 4,  //
      k0 + 8,  k1 + 8,  k0 + 8,  k1 + 8,  k0 + 8,  k1 + 8,  k0 + 8,  k1 + 8,  //
      k0 + 12, k1 + 12, k0 + 12, k1 + 12, k0 + 12, k1 + 12, k0 + 12, k1 + 12};
  const FourTag df;
  const hn::Rebind<hwy::float16_t, FourTag> dh;
  const hn::Repartition<uint8_t, decltype(dh)> d8;
  const auto bytes = hn::BitCast(hn::Full128<uint8_t>(), halves);
  const auto at = hn::Load(d8, kBytes + row * 8);
  return hn::PromoteTo(df, hn::BitCast(dh, hn::TableLookupBytes(bytes, at)));
}

template <class T>
struct ChunkScales {
  static constexpr size_t kSubs = kChunk / T::kSub;
  static constexpr bool kRowByRow = !std::is_base_of_v<EightScales, T>;
  static constexpr bool kLow = T::kMins || dot_offset<T>() != 0;

  alignas(64) float scale[2][kStreams * kSubs];  // of even chunks, of odd ones
  // What is to be taken away from the rows' sums: mins, or what the lanes are more than their
  // value.
  using LowTag = std::conditional_t<kRowByRow, ScaleTag, FourTag>;

  // Of group g of a row.
  HWY_INLINE const float* of(size_t chunk, size_t row, size_t g) const {
    const size_t sub = g * (kGroup / T::kSub);
    const size_t at = kRowByRow ? row * kSubs + sub : (sub / 4 * kStreams + row) * 4 + sub % 4;
    return scale[chunk % 2] + at;
  }

  // x_scale, x_sum: the activations', of the chunk; low[kStreams].
  HWY_INLINE void compute(const uint8_t* const* chunks, size_t chunk, size_t groups,
                          const float* x_scale, const float* x_sum, hn::Vec<LowTag>* low) {
    float* to = scale[chunk % 2];
    if constexpr (kRowByRow) {
      const ScaleTag df;
      INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s, to += kSubs) {
        HWY_ALIGN float min[kSubs];
        T::scales(chunks[s], groups, to, min);
        INLAY_UNROLL(4) for (size_t j = 0; j < kSubs; j += kScaleLanes) {
          const auto w = hn::Load(df, to + j);
          if constexpr (kLow) {
            const auto total = hn::Load(df, x_sum + j);
            low[s] = hn::MulAdd(T::kMins ? hn::Load(df, min + j) : w, total, low[s]);
          }
          auto both = hn::Mul(w, hn::Load(df, x_scale + j));
          if constexpr (takes_paired_lanes<T>()) both = hn::Mul(both, hn::Set(df, 1.0f / 16));
          hn::Store(both, df, to + j);
        }
      }
    } else {
      const FourTag df;
      const hn::Rebind<int32_t, FourTag> di;
      using Byte = std::conditional_t<T::kMins, uint8_t, int8_t>;
      const hn::Rebind<Byte, FourTag> d8;
      FourRows r;
      T::four_rows(chunks, r);
      // From memory: of a register, half a vector is an instruction more.
      const FourRows* from = &r;
      INLAY_OPAQUE(from);
      const auto integers = [&](const uint8_t* p) HWY_ATTR {
        return hn::ConvertTo(df, hn::PromoteTo(di, hn::Load(d8, reinterpret_cast<const Byte*>(p))));
      };
      INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
        const auto delta = delta_of_row<0>(r.halves, s);
        auto lowest = hn::Zero(df);  // a chain of its own for each chunk
        INLAY_UNROLL(4) for (size_t j = 0; j < kSubs / 4; ++j) {
          const auto w = hn::Mul(integers(from->scale[j] + 4 * s), delta);
          hn::Store(hn::Mul(w, hn::Load(df, x_scale + 4 * j)), df, to + (j * kStreams + s) * 4);
          if constexpr (kLow) {
            const auto total = hn::Load(df, x_sum + 4 * j);
            if constexpr (T::kMins) {
              lowest = hn::MulAdd(integers(from->min[j] + 4 * s), total, lowest);
            } else {
              lowest = hn::MulAdd(w, total, lowest);
            }
          }
        }
        if constexpr (T::kMins) {
          low[s] = hn::MulAdd(lowest, delta_of_row<1>(r.halves, s), low[s]);
        } else if constexpr (kLow) {
          low[s] = hn::Add(low[s], lowest);
        }
      }
    }
  }

  // The rows' sums, less what is to be taken away.
  HWY_INLINE void finish_row(const ScaleVec* sum, const hn::Vec<LowTag>* low,
                             ScaleVec* total) const {
    const ScaleTag df;
    const auto times = hn::Set(df, T::kMins ? 1.0f : static_cast<float>(dot_offset<T>()));
    INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
      if constexpr (!kLow) {
        total[s] = sum[s];
      } else {
        const auto lanes = hn::ZeroExtendResizeBitCast(df, LowTag(), low[s]);
        total[s] = hn::NegMulAdd(lanes, times, sum[s]);
      }
    }
  }
};

// Whether lanes are the values of a table, the least of which is -127.
template <class T>
static constexpr bool is_iq4() {
  return std::is_same_v<T, Iq4Nl> || std::is_same_v<T, Iq4Xs>;
}

// Adds group g of a chunk of each row.
template <class T>
static HWY_INLINE void add_group(const uint8_t* const* rows, size_t chunk, size_t g,
                                 const int8_t* a, const ChunkScales<T>& scales, ScaleVec* sum) {
  const ScaleTag df;
  const hn::Repartition<int8_t, LaneTag> d8;
  static_assert(T::kSigned || T::kMax <= 127);
  INLAY_UNROLL(2) for (size_t part = 0; part < kParts; ++part) {
    const auto av = hn::Load(d8, a + g * kGroup + part * kLaneBytes);
    INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
      hn::Vec<hn::Repartition<int32_t, LaneTag>> dot;
      if constexpr (takes_paired_lanes<T>()) {
        dot = dot_pairs(T::paired_lanes(rows[s], g).v[part], av);
      } else {
        dot = dot_lanes<T::kSigned, is_iq4<T>()>(T::lanes(rows[s], g).v[part], av);
      }
      const auto scale = group_scale<T::kSub>(scales.of(chunk, s, g), part);
      sum[s] = hn::MulAdd(hn::ConvertTo(df, dot), scale, sum[s]);
    }
  }
}

// One column.
template <class T>
static HWY_NOINLINE size_t multiply_rows(const Matmul& m, size_t column, size_t begin, size_t end,
                                         void*) {
  const ScaleTag df;
  constexpr size_t kSubs = kChunk / T::kSub;
  const QuantizedColumn x(m, column);
  const float *x_scale = x.scale(T::kSub), *x_sum = x.sum(T::kSub);
  const size_t groups = m.k / kGroup, chunks = x.layout.kp / kChunk;
  const size_t row_bytes = groups * T::kChunkBytes / 8;
  const Streams streams(begin, end);
  const size_t ahead = m.reading.rows_ahead;
  ChunkScales<T> scales;
  for (size_t i = 0; i < streams.length; ++i) {
    const uint8_t* rows[kStreams];
    streams.rows_at(i, m.w, row_bytes, rows);
    ScaleVec sum[kStreams];
    INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) sum[s] = hn::Zero(df);
    hn::Vec<typename ChunkScales<T>::LowTag> low[kStreams];
    INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
      low[s] = hn::Zero(typename ChunkScales<T>::LowTag());
    }
    for (size_t chunk = 0; chunk <= chunks; ++chunk) {
      if (chunk < chunks) {
        const uint8_t* next[kStreams];
        INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
          next[s] = rows[s] + (chunk > 0 ? T::kChunkBytes : 0);
        }
        const size_t here = T::kBlock == kChunk ? 8 : HWY_MIN(size_t{8}, groups - chunk * 8);
        scales.compute(next, chunk, here, x_scale + chunk * kSubs, x_sum + chunk * kSubs, low);
      }
      if (chunk == 0) continue;
      const size_t done = chunk - 1;
      INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
        for (size_t line = 0; line < T::kChunkBytes; line += 64) {
          INLAY_PREFETCH(reinterpret_cast<uintptr_t>(rows[s]) + ahead + line, 3);
        }
      }
      const size_t here = HWY_MIN(size_t{8}, groups - done * 8);
      const int8_t* a = x.q() + done * kChunk;
      // Unrolled, all shifts are constants.
      if constexpr (T::kBlock == kChunk) {
        INLAY_UNROLL(8) for (size_t g = 0; g < 8; ++g) add_group<T>(rows, done, g, a, scales, sum);
      } else {
        for (size_t g = 0; g < here; ++g) add_group<T>(rows, done, g, a, scales, sum);
      }
      INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) rows[s] += T::kChunkBytes;
    }
    ScaleVec total[kStreams];
    scales.finish_row(sum, low, total);
    store_streams(m, streams, i, column, total);
  }
  return 1;
}

// One column, of superblocks with one scale: it is multiplied with what all 256 values give.
template <class T>
static HWY_NOINLINE size_t multiply_one_scale_rows(const Matmul& m, size_t column, size_t begin,
                                                   size_t end, void*) {
  const ScaleTag df;
  const hn::Repartition<int8_t, LaneTag> d8;
  const QuantizedColumn x(m, column);
  const float *x_scale = x.scale(kGroup), *x_sum = x.sum(kGroup);
  const size_t chunks = m.k / kChunk;
  const Streams streams(begin, end);
  const size_t ahead = m.reading.rows_ahead;
  for (size_t i = 0; i < streams.length; ++i) {
    const uint8_t* rows[kStreams];
    streams.rows_at(i, m.w, chunks * T::kChunkBytes, rows);
    ScaleVec sum[kStreams];
    INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) sum[s] = hn::Zero(df);
    for (size_t chunk = 0; chunk < chunks; ++chunk) {
      INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
        INLAY_PREFETCH(reinterpret_cast<uintptr_t>(rows[s]) + ahead, 3);
      }
      const int8_t* a = x.q() + chunk * kChunk;
      auto total = hn::Load(df, x_sum + chunk * 8);
      if constexpr (kScaleLanes == 4) total = hn::Add(total, hn::Load(df, x_sum + chunk * 8 + 4));
      ScaleVec part[kStreams];
      INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
        part[s] = hn::Mul(total, hn::Set(df, float{-T::kOffset}));
      }
      INLAY_UNROLL(8) for (size_t g = 0; g < 8; ++g) {
        const auto scale = hn::Set(df, x_scale[chunk * 8 + g] * T::kPlace[g]);
        INLAY_UNROLL(2) for (size_t p = 0; p < kParts; ++p) {
          const auto av = hn::Load(d8, a + g * kGroup + p * kLaneBytes);
          INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
            const auto dot = dot_lanes<false>(T::placed_lanes(rows[s], g).v[p], av);
            part[s] = hn::MulAdd(hn::ConvertTo(df, dot), scale, part[s]);
          }
        }
      }
      INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
        sum[s] = hn::MulAdd(part[s], hn::Set(df, half_at(rows[s] + T::kDelta)), sum[s]);
        rows[s] += T::kChunkBytes;
      }
    }
    ScaleVec total[kStreams];
    INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) total[s] = sum[s];
    store_streams(m, streams, i, column, total);
  }
  return 1;
}

}  // namespace HWY_NAMESPACE
}  // namespace detail
INLAY_END_NAMESPACE
HWY_AFTER_NAMESPACE();
