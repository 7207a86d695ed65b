// The product of superblocks, as the file has them, with few columns, where x86 has pmaddubsw and
// registers for it (AVX2 and later). What a sub-block's product is scaled with, its own integer
// times its activations' scale, is an int16 here and a factor of the pmaddwd that adds up pairs of
// products: sums over all 256 values stay in int32, and are converted and scaled once. Compiled
// once per SIMD target, for its sub-target too; no include guard.

HWY_BEFORE_NAMESPACE();
INLAY_BEGIN_NAMESPACE
namespace detail {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

static constexpr bool kIntegerRows = HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2;

// The factors are scales << kShift times the activations' scales, of which the chunk's largest is
// 1 << kRatioBits, >> 15. They are exact if the activations' are the same; else off by 2^-13 of the
// largest at most, where activations are off by 2^-8 of the largest of their 32.
template <class T>
struct Factors {
  static constexpr bool kEight = std::is_base_of_v<EightScales, T>;
  static constexpr int shift_of(int scale) {
    return scale << 1 > 32768 ? 0 : shift_of(scale << 1) + 1;
  }
  static constexpr int kShift = kEight ? 8 : shift_of(T::kMaxScale);
  // An int32 lane has 32 values of 256.
  static constexpr int64_t kLargestSum =
      int64_t{32} * 127 * (T::kSigned ? 127 : T::kMax) * T::kMaxScale;
  static constexpr int kRatioBits = kLargestSum << (kShift - 1) < int64_t{1} << 31   ? 14
                                    : kLargestSum << (kShift - 2) < int64_t{1} << 31 ? 13
                                                                                     : 12;
  static_assert(kLargestSum << (kShift + kRatioBits - 15) < int64_t{1} << 31);
  // The sum of a sub-block's q times this fits 16 bits; where weights have an offset it is kept as
  // it is, for it meets a factor.
  static constexpr int kSumTimes = T::kMins ? 32767 / (127 * int{T::kSub}) : 1;
  static constexpr bool kLow = T::kMins || (!T::kSigned && T::kOffset != 0);
};

// Scales and sums of a chunk's activations as the kernel takes them, written into its scratch
// memory.
template <class T>
static HWY_INLINE void prepare_superblock(const float* x_scale, const float* x_sum,
                                          SuperblockChunk& to) {
  using F = Factors<T>;
  constexpr float kOne = 1 << F::kRatioBits;
  const ScaleTag df;
  const hn::Rebind<int16_t, ScaleTag> d16;
  auto most = hn::Zero(df);
  for (size_t i = 0; i < 16; i += kScaleLanes) most = hn::Max(most, hn::LoadU(df, x_scale + i));
  const float largest = hn::ReduceMax(df, most);
  const float inverse = largest > 0.0f ? 1.0f / largest : 0.0f;
  for (size_t i = 0; i < 16; i += kScaleLanes) {
    const auto scale = hn::LoadU(df, x_scale + i);
    const auto ratio = hn::Mul(scale, hn::Set(df, inverse * kOne));
    hn::Store(hn::DemoteTo(d16, hn::NearestInt(ratio)), d16, to.ratio + i);
  }
  for (size_t i = 0; i < kChunk / T::kSub; i += kScaleLanes) {
    auto sum = hn::LoadU(df, x_sum + i);
    if constexpr (T::kMins) {
      sum = hn::Mul(sum, hn::Set(df, inverse * F::kSumTimes));
    } else {
      static_assert(T::kMins || T::kSub == 16 || !F::kLow);
      sum = hn::Div(sum, hn::Max(hn::LoadU(df, x_scale + i), hn::Set(df, 0x1p-126f)));
    }
    hn::Store(hn::DemoteTo(d16, hn::NearestInt(sum)), d16, to.sum + i);
  }
  to.unit[0] = largest * (32768 / kOne) / (1 << F::kShift);
  to.unit[1] = largest / F::kSumTimes;
}

// Of four rows: what their products with a chunk are multiplied with, computed one turn before, and
// what is to be taken away from their sums.
template <class T>
class FactorsOfRows {
  using F = Factors<T>;
  using WordTag = hn::Repartition<int16_t, ScaleTag>;
  using SumTag = hn::Repartition<int32_t, ScaleTag>;

 public:
  static constexpr size_t kLows = F::kEight ? 1 : kStreams;  // of eight: [row][2]

  HWY_INLINE void compute(const uint8_t* const* chunks, size_t chunk, const SuperblockChunk& x,
                          ScaleVec* low) {
    const ScaleTag df;
    const WordTag d16;
    const SumTag d32;
    int16_t* to = factor_[chunk % 2];
    float* delta = delta_[chunk % 2];
    if constexpr (F::kEight) {
      // Bytes of two rows to the upper halves of two words each.
      alignas(32) static constexpr int8_t kSpread[2][32] = {
          {-1, 0, -1, 0, -1, 1, -1, 1, -1, 2, -1, 2, -1, 3, -1, 3,
           -1, 4, -1, 4, -1, 5, -1, 5, -1, 6, -1, 6, -1, 7, -1, 7},
          {-1, 8,  -1, 8,  -1, 9,  -1, 9,  -1, 10, -1, 10, -1, 11, -1, 11,
           -1, 12, -1, 12, -1, 13, -1, 13, -1, 14, -1, 14, -1, 15, -1, 15}};
      const hn::Repartition<int8_t, ScaleTag> d8;
      const hn::Rebind<hwy::float16_t, ScaleTag> dh;
      FourRows r;
      T::four_rows(chunks, r);
      const FourRows* from = &r;
      INLAY_OPAQUE(from);  // from memory, to both halves of a vector
      INLAY_UNROLL(2) for (size_t j = 0; j < 2; ++j) {
        const auto ratio = hn::LoadDup128(d16, x.ratio + 8 * j);
        const auto bytes = hn::LoadDup128(d8, reinterpret_cast<const int8_t*>(from->scale[j]));
        INLAY_UNROLL(2) for (size_t two = 0; two < 2; ++two) {
          const auto scale = hn::TableLookupBytesOr0(bytes, hn::Load(d8, kSpread[two]));
          hn::Store(hn::MulFixedPoint15(hn::BitCast(d16, scale), ratio), d16,
                    to + (j * 2 + two) * 16);
        }
      }
      const hn::Repartition<uint64_t, ScaleTag> d64;
      uint64_t units;
      std::memcpy(&units, x.unit, sizeof units);
      const auto deltas = hn::Mul(hn::PromoteTo(df, hn::ResizeBitCast(dh, r.halves)),
                                  hn::BitCast(df, hn::Set(d64, units)));
      hn::Store(deltas, df, delta);
      if constexpr (T::kMins) {
        const hn::Rebind<uint8_t, WordTag> du8;
        const auto products = [&](size_t j) HWY_ATTR {
          uint64_t sums;
          std::memcpy(&sums, x.sum + 4 * j, sizeof sums);
          return hn::WidenMulPairwiseAdd(d32, hn::PromoteTo(d16, hn::Load(du8, from->min[j])),
                                         hn::BitCast(d16, hn::Set(d64, sums)));
        };
        low[0] = hn::MulAdd(hn::ConvertTo(df, hn::Add(products(0), products(1))),
                            hn::DupOdd(deltas), low[0]);
      }
    } else {
      const auto ratio = hn::Load(d16, x.ratio), sum = hn::Load(d16, x.sum);
      INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
        const hn::Full128<uint8_t> du8;
        const hn::Full128<int8_t> d8;
        const auto bytes = T::sub_scales(chunks[s]);
        const auto scale = T::kMins ? hn::And(bytes, hn::Set(du8, uint8_t{15})) : bytes;
        const auto wide = hn::PromoteTo(d16, hn::BitCast(d8, scale));
        const auto factor = hn::MulFixedPoint15(hn::ShiftLeft<F::kShift>(wide), ratio);
        hn::Store(factor, d16, to + s * 16);
        delta[2 * s] = half_at(chunks[s] + T::kDelta) * x.unit[0];
        if constexpr (T::kMins) {
          const auto min = hn::PromoteTo(d16, hn::ShiftRight<4>(bytes));
          const float times = half_at(chunks[s] + T::kDeltaMin) * x.unit[1];
          low[s] = hn::MulAdd(hn::ConvertTo(df, hn::WidenMulPairwiseAdd(d32, min, sum)),
                              hn::Set(df, times), low[s]);
        } else {
          low[s] = hn::MulAdd(hn::ConvertTo(df, hn::WidenMulPairwiseAdd(d32, factor, sum)),
                              hn::Set(df, delta[2 * s]), low[s]);
        }
      }
    }
  }

  // Of group g of a row, for each pair of products.
  HWY_INLINE hn::Vec<WordTag> of(size_t chunk, size_t row, size_t g) const {
    const WordTag d16;
    const int16_t* from = factor_[chunk % 2];
    if constexpr (F::kEight) {
      return hn::BitCast(d16, hn::Set(hn::Repartition<uint32_t, ScaleTag>(),
                                      load_u32(from + (g / 4 * 4 + row) * 8 + g % 4 * 2)));
    } else {
      alignas(32) static constexpr uint8_t kSpread[4][32] = {
          {0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1,
           2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3},
          {4, 5, 4, 5, 4, 5, 4, 5, 4, 5, 4, 5, 4, 5, 4, 5,
           6, 7, 6, 7, 6, 7, 6, 7, 6, 7, 6, 7, 6, 7, 6, 7},
          {8,  9,  8,  9,  8,  9,  8,  9,  8,  9,  8,  9,  8,  9,  8,  9,
           10, 11, 10, 11, 10, 11, 10, 11, 10, 11, 10, 11, 10, 11, 10, 11},
          {12, 13, 12, 13, 12, 13, 12, 13, 12, 13, 12, 13, 12, 13, 12, 13,
           14, 15, 14, 15, 14, 15, 14, 15, 14, 15, 14, 15, 14, 15, 14, 15}};
      const hn::Repartition<uint8_t, ScaleTag> d8;
      const auto four = hn::LoadDup128(d16, from + row * 16 + g / 4 * 8);
      return hn::BitCast(d16,
                         hn::TableLookupBytes(hn::BitCast(d8, four), hn::Load(d8, kSpread[g % 4])));
    }
  }
  HWY_INLINE ScaleVec delta(size_t chunk, size_t row) const {
    return hn::Set(ScaleTag(), delta_[chunk % 2][2 * row]);
  }

  HWY_INLINE void finish_rows(const ScaleVec* low, ScaleVec* sum) const {
    const ScaleTag df;
    if constexpr (F::kEight && F::kLow) {
      const hn::CappedTag<float, 2> d2;
      HWY_ALIGN float lanes[2 * kStreams];
      hn::Store(low[0], df, lanes);
      INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
        const auto two = hn::ZeroExtendResizeBitCast(df, d2, hn::Load(d2, lanes + 2 * s));
        sum[s] = hn::Sub(sum[s], two);
      }
    } else if constexpr (F::kLow) {
      const auto times = hn::Set(df, T::kMins ? 1.0f : float{T::kOffset});
      INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
        sum[s] = hn::NegMulAdd(low[s], times, sum[s]);
      }
    }
  }

 private:
  alignas(64) int16_t factor_[2][kStreams * 16];  // of even chunks, of odd ones
  alignas(32) float delta_[2][2 * kStreams];      // of each row; behind it, that of mins
};

// Columns at a time: two share what is decoded, 1.2 times as fast as one after another. That takes
// some 6 kB on each target; of Q6_K it gained 4 %.
template <class T, size_t columns = std::is_same_v<T, Q4K> || std::is_same_v<T, Q5K> ? 2 : 1>
static HWY_NOINLINE size_t multiply_superblock_rows(const Matmul& m, size_t column, size_t begin,
                                                    size_t end, void* scratch) {
  if constexpr (columns > 1) {
    if (m.n - column < columns)
      return multiply_superblock_rows<T, columns - 1>(m, column, begin, end, scratch);
  }
  const ScaleTag df;
  const hn::Repartition<int8_t, LaneTag> d8;
  const hn::Repartition<uint8_t, LaneTag> du8;
  const hn::Repartition<int16_t, LaneTag> d16;
  const hn::Repartition<int32_t, LaneTag> d32;
  using Factor = FactorsOfRows<T>;
  const size_t chunks = m.k / kChunk;
  const int8_t* q[columns];
  SuperblockChunk* x[columns];
  for (size_t c = 0; c < columns; ++c) {
    const QuantizedColumn xq(m, column + c);
    q[c] = xq.q();
    x[c] = static_cast<SuperblockChunk*>(scratch) + c * chunks;
    const float *scale = xq.scale(16), *sum = xq.sum(T::kSub);
    for (size_t i = 0; i < chunks; ++i) {
      prepare_superblock<T>(scale + i * 16, sum + i * (kChunk / T::kSub), x[c][i]);
    }
  }
  const Streams streams(begin, end);
  const size_t ahead = m.reading.rows_ahead;
  Factor factors[columns];
  for (size_t i = 0; i < streams.length; ++i) {
    const uint8_t* rows[kStreams];
    streams.rows_at(i, m.w, chunks * T::kChunkBytes, rows);
    ScaleVec sum[columns][kStreams], low[columns][Factor::kLows];
    INLAY_UNROLL(2) for (size_t c = 0; c < columns; ++c) {
      INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) sum[c][s] = hn::Zero(df);
      INLAY_UNROLL(4) for (size_t v = 0; v < Factor::kLows; ++v) low[c][v] = hn::Zero(df);
      factors[c].compute(rows, 0, x[c][0], low[c]);
    }
    for (size_t chunk = 0; chunk < chunks; ++chunk) {
      if (chunk + 1 < chunks) {
        const uint8_t* next[kStreams];
        INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) next[s] = rows[s] + T::kChunkBytes;
        INLAY_UNROLL(2) for (size_t c = 0; c < columns; ++c) {
          factors[c].compute(next, chunk + 1, x[c][chunk + 1], low[c]);
        }
      }
      INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
        for (size_t line = 0; line < T::kChunkBytes; line += 64) {
          INLAY_PREFETCH(reinterpret_cast<uintptr_t>(rows[s]) + ahead + line, 3);
        }
      }
      // What is read lies within a signed byte of these.
      const int8_t* a[columns];
      const uint8_t* middle[kStreams];
      hn::Vec<decltype(d32)> total[columns][kStreams], odd[columns][kStreams];
      INLAY_UNROLL(2) for (size_t c = 0; c < columns; ++c) {
        a[c] = q[c] + chunk * kChunk + kChunk / 2;
        INLAY_OPAQUE(a[c]);
        INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
          total[c][s] = odd[c][s] = hn::Zero(d32);
        }
      }
      INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
        middle[s] = rows[s] + T::kChunkBytes / 2;
        INLAY_OPAQUE(middle[s]);
      }
      INLAY_UNROLL(8) for (size_t g = 0; g < 8; ++g) {
        INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
          const auto u = T::lanes(middle[s] - T::kChunkBytes / 2, g).v[0];
          INLAY_UNROLL(2) for (size_t c = 0; c < columns; ++c) {
            const auto av = hn::Load(d8, a[c] + g * kGroup - kChunk / 2);
            hn::Vec<decltype(d16)> pairs;
            if constexpr (T::kSigned) {
              pairs = hn::SatWidenMulPairwiseAdd(
                  d16, hn::BitCast(du8, hn::Abs(av)),
                  hn::IfNegativeThenNegOrUndefIfZero(av, hn::BitCast(d8, u)));
            } else {
              pairs = hn::SatWidenMulPairwiseAdd(d16, u, av);
            }
            total[c][s] = hn::ReorderWidenMulAccumulate(d32, pairs, factors[c].of(chunk, s, g),
                                                        total[c][s], odd[c][s]);
            INLAY_PIN(total[c][s]);
          }
        }
      }
      INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
        INLAY_UNROLL(2) for (size_t c = 0; c < columns; ++c) {
          const auto delta = factors[c].delta(chunk, s);
          sum[c][s] = hn::MulAdd(hn::ConvertTo(df, total[c][s]), delta, sum[c][s]);
        }
        rows[s] += T::kChunkBytes;
      }
    }
    INLAY_UNROLL(2) for (size_t c = 0; c < columns; ++c) {
      factors[c].finish_rows(low[c], sum[c]);
      store_streams(m, streams, i, column + c, sum[c]);
    }
  }
  return columns;
}

}  // namespace HWY_NAMESPACE
}  // namespace detail
INLAY_END_NAMESPACE
HWY_AFTER_NAMESPACE();
