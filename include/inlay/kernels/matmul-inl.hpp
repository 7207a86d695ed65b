// Quantizing activations, and the product of a weight matrix with one or many columns of them.
//
// Few columns (fewer than a group): row kernels. Four rows at a time, from four distant places,
// since one core reads about 40 % faster from four streams than from one. Many columns: tile
// kernels. 32 rows x up to 512 k are decoded to [k / 4][16 rows][4 k] bytes, in L1, and multiplied
// with groups of four columns; every load of activations is a broadcast that serves all rows.
//
// How bytes are multiplied exactly, by target:
//   VNNI      u8 x s8 summed in int32. Lanes with an offset start at -offset * (sum of the
//   activations). maddubs   u8 x s8 summed in int16 as long as that provably fits, then in int32.
//   With an offset the int16 lanes
//             start at -offset * (sum of their activations): sums wrap around on the way, but the
//             final ones fit. 8-bit lanes do not fit (file data may contain -128): they go as int16
//             x int16.
//   others    int16 x int16.
// Compiled once per SIMD target; no include guard.

HWY_BEFORE_NAMESPACE();
INLAY_BEGIN_NAMESPACE
namespace detail {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

enum class DotKind { vnni, maddubs, wide };
#if HWY_TARGET <= HWY_AVX3_DL && HWY_ARCH_X86
static constexpr DotKind kDot = DotKind::vnni;
#elif HWY_TARGET <= HWY_SSSE3 && HWY_ARCH_X86
static constexpr DotKind kDot = DotKind::maddubs;
#else
static constexpr DotKind kDot = DotKind::wide;
#endif

// ---- quantize -----------------------------------------------------------------------------------
// 32 values of x (fewer: padded with zeros) to q; returns the scale.
static HWY_INLINE float quantize_group(const float* HWY_RESTRICT x, size_t count,
                                       int8_t* HWY_RESTRICT q) {
  const ScaleTag df;
  const hn::Rebind<int32_t, ScaleTag> di;
  const hn::Rebind<int8_t, ScaleTag> d8;
  HWY_ALIGN float padded[kGroup];
  if (HWY_UNLIKELY(count < kGroup)) {
    std::memset(padded, 0, sizeof padded);
    std::memcpy(padded, x, count * sizeof(float));
    x = padded;
  }
  auto biggest = hn::Zero(df);
  for (size_t i = 0; i < kGroup; i += kScaleLanes)
    biggest = hn::Max(biggest, hn::Abs(hn::LoadU(df, x + i)));
  const float amax = hn::ReduceMax(df, biggest);
  const float scale = amax / 127.0f;
  const auto inverse = hn::Set(df, scale > 0.0f ? 1.0f / scale : 0.0f);
  for (size_t i = 0; i < kGroup; i += kScaleLanes) {
    const auto v = hn::NearestInt(hn::Mul(hn::LoadU(df, x + i), inverse));
    // The kernels rely on -127: infinities and NaNs would give -128.
    hn::StoreU(hn::DemoteTo(d8, hn::Max(hn::Min(v, hn::Set(di, 127)), hn::Set(di, -127))), d8,
               q + i);
  }
  return scale;
}

// int16 sums of the pairs (0, 1) and (2, 3) of every 4 of the 16 values at q: {sum, sum} in one
// uint32.
static HWY_INLINE uint32_t lane_sums(const int8_t* q) {
  const hn::Full128<int8_t> d8;
  const hn::Full128<int16_t> d16;
  const hn::Full128<uint8_t> du8;
  const hn::Full128<uint32_t> d32;
  auto v =
      hn::BitCast(d32, hn::SatWidenMulPairwiseAdd(d16, hn::Set(du8, uint8_t{1}), hn::LoadU(d8, q)));
  v = hn::BitCast(d32, hn::Add(hn::BitCast(d16, v), hn::BitCast(d16, hn::Shuffle1032(v))));
  v = hn::BitCast(d32, hn::Add(hn::BitCast(d16, v), hn::BitCast(d16, hn::Shuffle2301(v))));
  return hn::GetLane(v);
}
static HWY_INLINE int32_t sum_of_lanes(uint32_t sums) {
  return static_cast<int16_t>(sums & 0xffff) + static_cast<int16_t>(sums >> 16);
}

static void quantize_column(const float* HWY_RESTRICT x, size_t k, uint8_t* HWY_RESTRICT out) {
  const ColumnLayout layout(k);
  int8_t* q = reinterpret_cast<int8_t*>(out);
  float* scale16 = reinterpret_cast<float*>(out + layout.scale(16));
  float* scale32 = reinterpret_cast<float*>(out + layout.scale(32));
  float* sum16 = reinterpret_cast<float*>(out + layout.sum(16));
  float* sum32 = reinterpret_cast<float*>(out + layout.sum(32));
  for (size_t b = 0; b < layout.kp / kGroup; ++b) {
    const size_t at = b * kGroup;
    float scale = 0.0f;
    if (at < k) {
      scale = quantize_group(x + at, HWY_MIN(kGroup, k - at), q + at);
    } else {
      std::memset(q + at, 0, kGroup);
    }
    const int32_t low = sum_of_lanes(lane_sums(q + at)),
                  high = sum_of_lanes(lane_sums(q + at + 16));
    scale32[b] = scale16[2 * b] = scale16[2 * b + 1] = scale;
    sum16[2 * b] = scale * static_cast<float>(low);
    sum16[2 * b + 1] = scale * static_cast<float>(high);
    sum32[b] = scale * static_cast<float>(low + high);
  }
}

// One group of 1 ... 4 columns.
static void quantize_columns(const float* HWY_RESTRICT x, size_t x_stride, size_t columns, size_t k,
                             uint8_t* HWY_RESTRICT out) {
  const hn::Full128<uint32_t> d32;
  const GroupLayout layout(k);
  uint32_t* q = reinterpret_cast<uint32_t*>(out);  // [kp / 4][column]
  float* scale = reinterpret_cast<float*>(out + layout.scale());
  uint32_t* sum = reinterpret_cast<uint32_t*>(out + layout.sum());
  HWY_ALIGN int8_t rows[kColumns][kGroup] = {};
  for (size_t b = 0; b < layout.kp / kGroup; ++b) {
    const size_t at = b * kGroup;
    for (size_t c = 0; c < kColumns; ++c) {
      if (c < columns) {
        scale[b * 4 + c] = quantize_group(x + c * x_stride + at, HWY_MIN(kGroup, k - at), rows[c]);
      } else {
        scale[b * 4 + c] = 0.0f;
      }
      sum[(2 * b) * 4 + c] = lane_sums(rows[c]);
      sum[(2 * b + 1) * 4 + c] = lane_sums(rows[c] + 16);
    }
    for (size_t half = 0; half < kGroup; half += 16) {
      const auto load = [&](size_t c) HWY_ATTR {
        return hn::Load(d32, reinterpret_cast<const uint32_t*>(rows[c] + half));
      };
      const hn::Full128<uint64_t> d64;
      const auto a = hn::BitCast(d64, hn::InterleaveLower(d32, load(0), load(1)));
      const auto b2 = hn::BitCast(d64, hn::InterleaveLower(d32, load(2), load(3)));
      const auto c = hn::BitCast(d64, hn::InterleaveUpper(d32, load(0), load(1)));
      const auto e = hn::BitCast(d64, hn::InterleaveUpper(d32, load(2), load(3)));
      uint32_t* to = q + at + half;
      hn::Store(hn::BitCast(d32, hn::InterleaveLower(d64, a, b2)), d32, to);
      hn::Store(hn::BitCast(d32, hn::InterleaveUpper(d64, a, b2)), d32, to + 4);
      hn::Store(hn::BitCast(d32, hn::InterleaveLower(d64, c, e)), d32, to + 8);
      hn::Store(hn::BitCast(d32, hn::InterleaveUpper(d64, c, e)), d32, to + 12);
    }
  }
}

static void quantize(const float* x, size_t x_stride, size_t n, size_t k, size_t begin, size_t end,
                     void* xq) {
  uint8_t* out = static_cast<uint8_t*>(xq);
  if (n < kColumns) {
    const size_t bytes = ColumnLayout(k).bytes();
    for (size_t c = begin; c < end; ++c) quantize_column(x + c * x_stride, k, out + c * bytes);
    return;
  }
  const size_t bytes = GroupLayout(k).bytes();
  for (size_t c = begin; c < end; c += kColumns) {
    quantize_columns(x + c * x_stride, x_stride, HWY_MIN(kColumns, end - c), k,
                     out + c / kColumns * bytes);
  }
}

// ---- row kernels --------------------------------------------------------------------------------
// Bytes between what a stream computes and what it prefetches: the hardware fetches a stream into
// the second cache at best. 448 gave 12 % on q4_K (Zen 4, 4 KB pages), 1024 half of that.
static constexpr size_t kRowsAhead = 448;

// Rows [begin, end) as kStreams ranges that are walked in lockstep. The last may be shorter.
struct Streams {
  size_t begin, end, length;
  HWY_INLINE Streams(size_t b, size_t e)
      : begin(b), end(e), length((e - b + kStreams - 1) / kStreams) {}
  HWY_INLINE size_t row(size_t stream, size_t i) const { return begin + stream * length + i; }
};

static HWY_INLINE void store_result(const Matmul& m, size_t row, size_t column, float sum) {
  if (m.bias != nullptr) sum += m.bias[row];
  float* out = m.out + column * m.out_stride + row;
  *out = m.add ? *out + sum : sum;
}

// Sums of the products of 4 (VNNI) or of as many as a vector's int32 lane covers.
template <bool is_signed>
static HWY_INLINE hn::Vec<hn::Repartition<int32_t, LaneTag>> dot_lanes(
    LaneVec u, hn::Vec<hn::Repartition<int8_t, LaneTag>> a) {
  const LaneTag du8;
  const hn::Repartition<int8_t, LaneTag> d8;
  const hn::Repartition<int16_t, LaneTag> d16;
  const hn::Repartition<int32_t, LaneTag> d32;
  if constexpr (kDot == DotKind::vnni) {
    if constexpr (is_signed) u = hn::Xor(u, hn::Set(du8, uint8_t{128}));
    return hn::SumOfMulQuadAccumulate(d32, u, a, hn::Zero(d32));
  } else if constexpr (kDot == DotKind::maddubs && !is_signed) {
    // u <= 127: a pair is at most 2 * 127 * 127.
    return hn::WidenMulPairwiseAdd(d32, hn::SatWidenMulPairwiseAdd(d16, u, a), hn::Set(d16, 1));
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

// What dot_lanes' u stands for: scale * (u - offset).
template <class T>
static constexpr int dot_offset() {
  return T::kSigned && kDot != DotKind::vnni ? 0 : T::kOffset;
}

// The scales of vector `part` of a group: one, or one for each half of the lanes.
template <size_t sub>
static HWY_INLINE ScaleVec group_scale(const float* scale, size_t g, size_t part) {
  const ScaleTag df;
  if constexpr (sub == 32) {
    return hn::Set(df, scale[g]);
  } else if constexpr (kParts == 2) {
    return hn::Set(df, scale[g * 2 + part]);
  } else {
    alignas(32) static constexpr uint8_t kSpread[32] = {0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2,
                                                        3, 0, 1, 2, 3, 4, 5, 6, 7, 4, 5,
                                                        6, 7, 4, 5, 6, 7, 4, 5, 6, 7};
    const hn::Repartition<uint64_t, ScaleTag> d64;
    uint64_t two;
    std::memcpy(&two, &scale[g * 2], sizeof two);
    const auto both = hn::BitCast(LaneTag(), hn::Set(d64, two));
    return hn::BitCast(df, hn::TableLookupBytes(both, hn::Load(LaneTag(), kSpread)));
  }
}

// Adds group g of a chunk of each row; scale[stream][sub-block] includes the activations' scales.
template <class T, size_t subs>
static HWY_INLINE void add_group(const uint8_t* const* rows, size_t g, const int8_t* a,
                                 const float (*scale)[subs], ScaleVec* sum) {
  const ScaleTag df;
  const hn::Repartition<int8_t, LaneTag> d8;
  static_assert(T::kSigned || T::kMax <= 127);
  INLAY_UNROLL(2) for (size_t part = 0; part < kParts; ++part) {
    const auto av = hn::Load(d8, a + g * kGroup + part * kLaneBytes);
    INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
      const auto dot = dot_lanes<T::kSigned>(T::lanes(rows[s], g).v[part], av);
      sum[s] = hn::MulAdd(hn::ConvertTo(df, dot), group_scale<T::kSub>(scale[s], g, part), sum[s]);
    }
  }
}

// One column.
template <class T>
static HWY_NOINLINE void multiply_rows(const Matmul& m, size_t column, size_t begin, size_t end) {
  const ScaleTag df;
  constexpr size_t kSubs = kChunk / T::kSub;
  const ColumnLayout layout(m.k);
  const uint8_t* xq = static_cast<const uint8_t*>(m.xq) + column * layout.bytes();
  const float* x_scale = reinterpret_cast<const float*>(xq + layout.scale(T::kSub));
  const float* x_sum = reinterpret_cast<const float*>(xq + layout.sum(T::kSub));
  const size_t groups = m.k / kGroup, chunks = layout.kp / kChunk;
  const size_t row_bytes = groups * T::kChunkBytes / 8;
  const Streams streams(begin, end);
  for (size_t i = 0; i < streams.length; ++i) {
    const uint8_t* rows[kStreams];
    INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
      rows[s] = m.w + HWY_MIN(streams.row(s, i), end - 1) * row_bytes;
    }
    ScaleVec sum[kStreams], low[kStreams];
    INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) sum[s] = low[s] = hn::Zero(df);
    // The scales of a chunk are computed one turn before its products: they take long to be ready.
    HWY_ALIGN float scale[2][kStreams][kSubs];
    for (size_t chunk = 0; chunk <= chunks; ++chunk) {
      if (chunk < chunks) {
        const size_t here = T::kBlock == kChunk ? 8 : HWY_MIN(size_t{8}, groups - chunk * 8);
        INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
          HWY_ALIGN float min[kSubs];
          float* to = scale[chunk % 2][s];
          T::scales(rows[s] + (chunk > 0 ? T::kChunkBytes : 0), here, to, min);
          INLAY_UNROLL(4) for (size_t j = 0; j < kSubs; j += kScaleLanes) {
            const auto w = hn::Load(df, to + j);
            const auto total = hn::Load(df, x_sum + chunk * kSubs + j);
            if constexpr (T::kMins) {
              low[s] = hn::MulAdd(hn::Load(df, min + j), total, low[s]);
            } else if constexpr (dot_offset<T>() != 0) {
              low[s] = hn::MulAdd(w, total, low[s]);
            }
            hn::Store(hn::Mul(w, hn::Load(df, x_scale + chunk * kSubs + j)), df, to + j);
          }
        }
      }
      if (chunk == 0) continue;
      INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
        for (size_t line = 0; line < T::kChunkBytes; line += 64) {
          INLAY_PREFETCH(reinterpret_cast<uintptr_t>(rows[s]) + kRowsAhead + line, 3);
        }
      }
      const size_t done = chunk - 1;
      const size_t here = HWY_MIN(size_t{8}, groups - done * 8);
      const int8_t* a = reinterpret_cast<const int8_t*>(xq) + done * kChunk;
      if constexpr (T::kBlock == kChunk) {
        INLAY_UNROLL(8) for (size_t g = 0; g < 8; ++g) {
          add_group<T, kSubs>(rows, g, a, scale[done % 2], sum);
        }
      } else {
        for (size_t g = 0; g < here; ++g) add_group<T, kSubs>(rows, g, a, scale[done % 2], sum);
      }
      INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) rows[s] += T::kChunkBytes;
    }
    INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
      if constexpr (T::kMins) sum[s] = hn::Sub(sum[s], low[s]);
      if constexpr (!T::kMins && dot_offset<T>() != 0) {
        sum[s] = hn::NegMulAdd(low[s], hn::Set(df, static_cast<float>(dot_offset<T>())), sum[s]);
      }
      if (streams.row(s, i) < end) {
        store_result(m, streams.row(s, i), column, hn::ReduceSum(df, sum[s]));
      }
    }
  }
}

template <class T>
static HWY_NOINLINE void multiply_plain_rows(const Matmul& m, size_t column, size_t begin,
                                             size_t end) {
  const ScaleTag df;
  const float* x = m.x + column * m.x_stride;
  const size_t row_bytes = m.k * T::kBytes, whole = m.k - m.k % kScaleLanes;
  HWY_ALIGN float x_tail[kScaleLanes] = {};
  std::memcpy(x_tail, x + whole, (m.k - whole) * sizeof(float));
  const Streams streams(begin, end);
  for (size_t i = 0; i < streams.length; ++i) {
    const uint8_t* rows[kStreams];
    INLAY_UNROLL(4)
    for (size_t s = 0; s < kStreams; ++s)
      rows[s] = m.w + HWY_MIN(streams.row(s, i), end - 1) * row_bytes;
    ScaleVec sum[kStreams][2];
    INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) sum[s][0] = sum[s][1] = hn::Zero(df);
    size_t j = 0;
    for (; j + 2 * kScaleLanes <= whole; j += 2 * kScaleLanes) {
      const auto x0 = hn::LoadU(df, x + j), x1 = hn::LoadU(df, x + j + kScaleLanes);
      INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
        sum[s][0] = hn::MulAdd(T::load(rows[s] + j * T::kBytes), x0, sum[s][0]);
        sum[s][1] = hn::MulAdd(T::load(rows[s] + (j + kScaleLanes) * T::kBytes), x1, sum[s][1]);
      }
    }
    INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
      if (j < whole)
        sum[s][0] = hn::MulAdd(T::load(rows[s] + j * T::kBytes), hn::LoadU(df, x + j), sum[s][0]);
      HWY_ALIGN uint8_t w_tail[kScaleLanes * T::kBytes] = {};
      std::memcpy(w_tail, rows[s] + whole * T::kBytes, (m.k - whole) * T::kBytes);
      sum[s][1] = hn::MulAdd(T::load(w_tail), hn::Load(df, x_tail), sum[s][1]);
      const size_t row = streams.row(s, i);
      if (row < end) {
        store_result(m, row, column, hn::ReduceSum(df, hn::Add(sum[s][0], sum[s][1])));
      }
    }
  }
}

// ---- decoding to a tile -------------------------------------------------------------------------
// Dword j of vector r to to[j * kPanelRows + r], for kBatch rows.
static HWY_INLINE void store_transposed(const LaneVec* rows, uint32_t* to) {
  const hn::Repartition<uint32_t, LaneTag> d32;
  const hn::Repartition<uint64_t, LaneTag> d64;
  using V64 = hn::Vec<decltype(d64)>;
  V64 quad[kBatch];  // of rows 4q ... 4q + 3, one dword of each (and with 256 bits the dword 4
                     // further on above them)
  INLAY_UNROLL(2) for (size_t q = 0; q < kBatch / 4; ++q) {
    const auto r = [&](size_t i) HWY_ATTR { return hn::BitCast(d32, rows[q * 4 + i]); };
    const auto low01 = hn::BitCast(d64, hn::InterleaveLower(d32, r(0), r(1)));
    const auto low23 = hn::BitCast(d64, hn::InterleaveLower(d32, r(2), r(3)));
    const auto high01 = hn::BitCast(d64, hn::InterleaveUpper(d32, r(0), r(1)));
    const auto high23 = hn::BitCast(d64, hn::InterleaveUpper(d32, r(2), r(3)));
    quad[q * 4 + 0] = hn::InterleaveLower(d64, low01, low23);
    quad[q * 4 + 1] = hn::InterleaveUpper(d64, low01, low23);
    quad[q * 4 + 2] = hn::InterleaveLower(d64, high01, high23);
    quad[q * 4 + 3] = hn::InterleaveUpper(d64, high01, high23);
  }
  INLAY_UNROLL(4) for (size_t j = 0; j < 4; ++j) {
#if HWY_MAX_BYTES >= 32
    hn::StoreU(hn::BitCast(d32, hn::ConcatLowerLower(d64, quad[4 + j], quad[j])), d32,
               to + j * kPanelRows);
    hn::StoreU(hn::BitCast(d32, hn::ConcatUpperUpper(d64, quad[4 + j], quad[j])), d32,
               to + (4 + j) * kPanelRows);
#else
    hn::StoreU(hn::BitCast(d32, quad[j]), d32, to + j * kPanelRows);
#endif
  }
}

// Whether the tile of a type holds int16 (centred, no offset) instead of bytes.
template <class T>
static constexpr bool wide_tile() {
  return kDot == DotKind::wide || (kDot == DotKind::maddubs && T::kSigned);
}

// 32 rows are more streams than the hardware follows, so decoding a tile prefetches, from one end
// to the other, as many bytes as it reads, of the next 32 rows.
static HWY_INLINE void prefetch(uintptr_t& next, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 64) INLAY_PREFETCH(next + i, 2);
  next += bytes;
}

// Groups [first, first + groups) of 16 rows, first a multiple of 8: w[step][row], scale and
// min[sub-block][row].
template <class T>
static HWY_NOINLINE void decode_panel(const uint8_t* const* rows, size_t first, size_t groups,
                                      uintptr_t next, uint32_t* HWY_RESTRICT w,
                                      float* HWY_RESTRICT scale, float* HWY_RESTRICT min) {
  const LaneTag d8;
  constexpr size_t kSubs = kChunk / T::kSub;
  constexpr size_t kSteps = wide_tile<T>() ? 16 : 8;  // of a group
  for (size_t g0 = 0; g0 < groups; g0 += 8) {
    const size_t here = HWY_MIN(size_t{8}, groups - g0);
    HWY_ALIGN float row_scale[kPanelRows][kSubs], row_min[kPanelRows][kSubs];
    const uint8_t* chunk[kPanelRows];
    for (size_t r = 0; r < kPanelRows; ++r) {
      chunk[r] = rows[r] + (first + g0) / 8 * T::kChunkBytes;
      T::scales(chunk[r], here, row_scale[r], row_min[r]);
    }
    for (size_t r = 0; r < kPanelRows; r += kBatch) {
      LaneVec v[kBatch];
      for (size_t s = 0; s < kSubs; s += kBatch) {
        const auto store = [&](float(*from)[kSubs], float* to) HWY_ATTR {
          INLAY_UNROLL(8) for (size_t i = 0; i < kBatch; ++i) {
            v[i] = hn::Load(d8, reinterpret_cast<const uint8_t*>(&from[r + i][s]));
          }
          store_transposed(
              v, reinterpret_cast<uint32_t*>(to) + (g0 * (kSubs / 8) + s) * kPanelRows + r);
        };
        store(row_scale, scale);
        if constexpr (T::kMins) store(row_min, min);
      }
      for (size_t g = 0; g < here; ++g) {
        prefetch(next, T::kChunkBytes * kBatch / 8);
        uint32_t* to = w + (g0 + g) * kSteps * kPanelRows + r;
        for (size_t part = 0; part < kParts; ++part) {
          if constexpr (!wide_tile<T>()) {
            INLAY_UNROLL(8) for (size_t i = 0; i < kBatch; ++i) {
              v[i] = T::lanes(chunk[r + i], g).v[part];
              if constexpr (T::kSigned) v[i] = hn::Xor(v[i], hn::Set(d8, uint8_t{128}));
            }
            store_transposed(v, to + part * kBatch * kPanelRows);
          } else {
            const hn::Repartition<int16_t, LaneTag> d16;
            const hn::Half<LaneTag> dh8;
            const hn::Rebind<int8_t, decltype(dh8)> dhs8;
            for (size_t half = 0; half < 2; ++half) {
              for (size_t i = 0; i < kBatch; ++i) {
                const LaneVec all = T::lanes(chunk[r + i], g).v[part];
                const auto u = half == 0 ? hn::LowerHalf(dh8, all) : hn::UpperHalf(dh8, all);
                if constexpr (T::kSigned) {
                  v[i] = hn::BitCast(d8, hn::PromoteTo(d16, hn::BitCast(dhs8, u)));
                } else {
                  v[i] = hn::BitCast(d8, hn::Sub(hn::PromoteTo(d16, u),
                                                 hn::Set(d16, static_cast<int16_t>(T::kOffset))));
                }
              }
              store_transposed(v, to + (part * 2 + half) * kBatch * kPanelRows);
            }
          }
        }
      }
    }
  }
}

// Elements [first, first + count) of 16 rows of plain floats: w[k][row].
template <class T>
static HWY_NOINLINE void decode_plain_panel(const uint8_t* const* rows, size_t first, size_t count,
                                            uintptr_t next, uint32_t* HWY_RESTRICT w, float*,
                                            float*) {
  const LaneTag d8;
  for (size_t j = 0; j < count; j += kScaleLanes) {
    const size_t here = HWY_MIN(kScaleLanes, count - j);
    for (size_t r = 0; r < kPanelRows; r += kBatch) {
      prefetch(next, kBatch * kScaleLanes * T::kBytes);
      LaneVec v[kBatch];
      for (size_t i = 0; i < kBatch; ++i) {
        const uint8_t* from = rows[r + i] + (first + j) * T::kBytes;
        HWY_ALIGN uint8_t tail[kScaleLanes * T::kBytes] = {};
        if (HWY_UNLIKELY(here < kScaleLanes)) {
          std::memcpy(tail, from, here * T::kBytes);
          from = tail;
        }
        v[i] = hn::BitCast(d8, T::load(from));
      }
      store_transposed(v, w + j * kPanelRows + r);
    }
  }
}

// ---- tile kernels -------------------------------------------------------------------------------
// One column group times both panels of a tile, for `groups` groups of 32 k: c[panel][column][row]
// += ....
using TileKernel = void (*)(const MatmulScratch& t, const uint32_t* a, const float* a_scale,
                            size_t groups, float (*c)[kColumns][kPanelRows]);

#if HWY_MAX_BYTES >= 64
using WideTag = hn::CappedTag<uint8_t, 64>;
#else
using WideTag = LaneTag;
#endif
static constexpr size_t kRowLanes = HWY_MAX_LANES_D(WideTag) / 4;  // rows of a vector

// Two vectors of rows at a time: with 512 bits one of each panel, else both of one panel.
static constexpr size_t kVectors = 2;

template <size_t sub, bool mins, size_t headroom>
static HWY_NOINLINE void multiply_tile(const MatmulScratch& t, const uint32_t* HWY_RESTRICT a,
                                       const float* HWY_RESTRICT a_scale, size_t groups,
                                       float (*HWY_RESTRICT c)[kColumns][kPanelRows]) {
  const WideTag d8;
  const hn::Repartition<int8_t, WideTag> ds8;
  const hn::Repartition<int16_t, WideTag> d16;
  const hn::Repartition<int32_t, WideTag> d32;
  const hn::Repartition<uint32_t, WideTag> du32;
  const hn::Repartition<float, WideTag> df;
  using VF = hn::Vec<decltype(df)>;
  constexpr size_t kSubs = kGroup / sub;  // in a group
  constexpr size_t kSteps = sub / 4;      // in a sub-block
  constexpr size_t kAll = 2 * kPanelRows;
  for (size_t row = 0; row < kAll; row += kVectors * kRowLanes) {
    size_t panel[kVectors], lane[kVectors];
    for (size_t r = 0; r < kVectors; ++r) {
      panel[r] = (row + r * kRowLanes) / kPanelRows;
      lane[r] = (row + r * kRowLanes) % kPanelRows;
    }
    if constexpr (kDot == DotKind::vnni) {
      VF sum[kVectors][kColumns];
      INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
        INLAY_UNROLL(2)
        for (size_t r = 0; r < kVectors; ++r) sum[r][j] = hn::Load(df, &c[panel[r]][j][lane[r]]);
      }
      for (size_t g = 0; g < groups; ++g) {
        VF part[kVectors][kColumns];
        INLAY_UNROLL(2) for (size_t s = 0; s < kSubs; ++s) {
          const size_t at = g * kSubs + s;
          hn::Vec<decltype(d32)> dot[kVectors][kColumns];
          INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
            INLAY_UNROLL(2) for (size_t r = 0; r < kVectors; ++r) {
              dot[r][j] = hn::BitCast(d32, hn::Set(du32, t.start[at][j]));
            }
          }
          INLAY_UNROLL(8) for (size_t step = 0; step < kSteps; ++step) {
            hn::Vec<WideTag> w[kVectors];
            INLAY_UNROLL(2) for (size_t r = 0; r < kVectors; ++r) {
              w[r] = hn::BitCast(d8, hn::Load(du32, &t.w[panel[r]][at * kSteps + step][lane[r]]));
            }
            INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
              const auto b =
                  hn::BitCast(ds8, hn::Set(du32, a[(at * kSteps + step) * kColumns + j]));
              INLAY_UNROLL(2) for (size_t r = 0; r < kVectors; ++r) {
                dot[r][j] = hn::SumOfMulQuadAccumulate(d32, w[r], b, dot[r][j]);
              }
            }
          }
          INLAY_UNROLL(2) for (size_t r = 0; r < kVectors; ++r) {
            const VF w = hn::Load(df, &t.scale[panel[r]][at][lane[r]]);
            INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
              const VF f = hn::ConvertTo(df, dot[r][j]);
              part[r][j] = s == 0 ? hn::Mul(f, w) : hn::MulAdd(f, w, part[r][j]);
            }
            if constexpr (mins) {
              const VF low = hn::Load(df, &t.min[panel[r]][at][lane[r]]);
              INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
                sum[r][j] = hn::NegMulAdd(low, hn::Set(df, t.min_sum[at][j]), sum[r][j]);
              }
            }
          }
        }
        INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
          const VF scale = hn::Set(df, a_scale[g * kColumns + j]);
          INLAY_UNROLL(2)
          for (size_t r = 0; r < kVectors; ++r)
            sum[r][j] = hn::MulAdd(part[r][j], scale, sum[r][j]);
        }
      }
      INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
        INLAY_UNROLL(2)
        for (size_t r = 0; r < kVectors; ++r) hn::Store(sum[r][j], df, &c[panel[r]][j][lane[r]]);
      }
    } else {
      const auto ones = hn::Set(d16, 1);
      for (size_t g = 0; g < groups; ++g) {
        VF part[kVectors][kColumns];
        INLAY_UNROLL(2) for (size_t s = 0; s < kSubs; ++s) {
          const size_t at = g * kSubs + s;
          hn::Vec<decltype(d32)> dot[kVectors][kColumns];
          INLAY_UNROLL(2) for (size_t run = 0; run < kSteps / headroom; ++run) {
            hn::Vec<decltype(d16)> acc[kVectors][kColumns];
            INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
              INLAY_UNROLL(2) for (size_t r = 0; r < kVectors; ++r) {
                acc[r][j] = hn::BitCast(d16, hn::Set(du32, run == 0 ? t.start[at][j] : 0));
              }
            }
            INLAY_UNROLL(8) for (size_t step = 0; step < headroom; ++step) {
              const size_t k4 = at * kSteps + run * headroom + step;
              hn::Vec<WideTag> w[kVectors];
              INLAY_UNROLL(2) for (size_t r = 0; r < kVectors; ++r) {
                w[r] = hn::BitCast(d8, hn::Load(du32, &t.w[panel[r]][k4][lane[r]]));
                INLAY_PIN(w[r]);
              }
              INLAY_UNROLL(2) for (size_t j = 0; j < kColumns; j += 2) {
                auto b0 = hn::BitCast(ds8, hn::Set(du32, a[k4 * kColumns + j]));
                auto b1 = hn::BitCast(ds8, hn::Set(du32, a[k4 * kColumns + j + 1]));
                INLAY_PIN(b0);
                INLAY_PIN(b1);
                hn::Vec<decltype(d16)> product[2][kVectors];
                INLAY_UNROLL(2) for (size_t r = 0; r < kVectors; ++r) {
                  product[0][r] = hn::SatWidenMulPairwiseAdd(d16, w[r], b0);
                  product[1][r] = hn::SatWidenMulPairwiseAdd(d16, w[r], b1);
                }
                INLAY_UNROLL(2) for (size_t i = 0; i < 2; ++i) {
                  INLAY_UNROLL(2) for (size_t r = 0; r < kVectors; ++r) {
                    acc[r][j + i] = hn::Add(acc[r][j + i], product[i][r]);
                    INLAY_PIN(acc[r][j + i]);
                  }
                }
              }
            }
            INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
              INLAY_UNROLL(2) for (size_t r = 0; r < kVectors; ++r) {
                const auto wide = hn::WidenMulPairwiseAdd(d32, acc[r][j], ones);
                dot[r][j] = run == 0 ? wide : hn::Add(dot[r][j], wide);
              }
            }
          }
          INLAY_UNROLL(2) for (size_t r = 0; r < kVectors; ++r) {
            const VF w = hn::Load(df, &t.scale[panel[r]][at][lane[r]]);
            INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
              const VF f = hn::ConvertTo(df, dot[r][j]);
              part[r][j] = s == 0 ? hn::Mul(f, w) : hn::MulAdd(f, w, part[r][j]);
            }
          }
        }
        INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
          const VF scale = hn::Set(df, a_scale[g * kColumns + j]);
          INLAY_UNROLL(2) for (size_t r = 0; r < kVectors; ++r) {
            float* to = &c[panel[r]][j][lane[r]];
            VF sum = hn::MulAdd(part[r][j], scale, hn::Load(df, to));
            if constexpr (mins) {
              INLAY_UNROLL(2) for (size_t s = 0; s < kSubs; ++s) {
                const size_t at = g * kSubs + s;
                sum = hn::NegMulAdd(hn::Load(df, &t.min[panel[r]][at][lane[r]]),
                                    hn::Set(df, t.min_sum[at][j]), sum);
              }
            }
            hn::Store(sum, df, to);
          }
        }
      }
    }
  }
}

// The same for tiles of int16, with activations t.wide[step][column].
template <size_t sub, bool mins>
static HWY_NOINLINE void multiply_wide_tile(const MatmulScratch& t, const uint32_t* HWY_RESTRICT,
                                            const float* HWY_RESTRICT a_scale, size_t groups,
                                            float (*HWY_RESTRICT c)[kColumns][kPanelRows]) {
  const hn::Repartition<int16_t, WideTag> d16;
  const hn::Repartition<int32_t, WideTag> d32;
  const hn::Repartition<uint32_t, WideTag> du32;
  const hn::Repartition<float, WideTag> df;
  using VF = hn::Vec<decltype(df)>;
  constexpr size_t kSubs = kGroup / sub, kSteps = sub / 2;
  for (size_t row = 0; row < 2 * kPanelRows; row += kVectors * kRowLanes) {
    const size_t panel = row / kPanelRows, lane = row % kPanelRows;
    for (size_t at = 0; at < groups * kSubs; ++at) {
      hn::Vec<decltype(d32)> acc[kVectors][kColumns];
      INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
        INLAY_UNROLL(2) for (size_t r = 0; r < kVectors; ++r) acc[r][j] = hn::Zero(d32);
      }
      INLAY_UNROLL(16) for (size_t step = 0; step < kSteps; ++step) {
        const size_t k2 = at * kSteps + step;
        hn::Vec<decltype(d16)> w[kVectors];
        INLAY_UNROLL(2) for (size_t r = 0; r < kVectors; ++r) {
          w[r] = hn::BitCast(d16, hn::Load(du32, &t.w[panel][k2][lane + r * kRowLanes]));
          INLAY_PIN(w[r]);
        }
        INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
          auto b = hn::BitCast(d16, hn::Set(du32, t.wide[k2][j]));
          INLAY_PIN(b);
          INLAY_UNROLL(2) for (size_t r = 0; r < kVectors; ++r) {
            acc[r][j] = hn::Add(acc[r][j], hn::WidenMulPairwiseAdd(d32, w[r], b));
            INLAY_PIN(acc[r][j]);
          }
        }
      }
      INLAY_UNROLL(2) for (size_t r = 0; r < kVectors; ++r) {
        const VF w = hn::Load(df, &t.scale[panel][at][lane + r * kRowLanes]);
        INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
          const VF scale = hn::Mul(w, hn::Set(df, a_scale[at / kSubs * kColumns + j]));
          float* to = &c[panel][j][lane + r * kRowLanes];
          VF sum = hn::MulAdd(hn::ConvertTo(df, acc[r][j]), scale, hn::Load(df, to));
          if constexpr (mins) {
            const VF low = hn::Load(df, &t.min[panel][at][lane + r * kRowLanes]);
            sum = hn::NegMulAdd(low, hn::Set(df, t.min_sum[at][j]), sum);
          }
          hn::Store(sum, df, to);
        }
      }
    }
  }
}

// Plain floats: `steps` k of the columns x[j].
static HWY_NOINLINE void multiply_plain_tile(const MatmulScratch& t, const float* const* x,
                                             size_t steps,
                                             float (*HWY_RESTRICT c)[kColumns][kPanelRows]) {
  const hn::Repartition<float, WideTag> df;
  const hn::Repartition<uint32_t, WideTag> du32;
  using VF = hn::Vec<decltype(df)>;
  const float *x0 = x[0], *x1 = x[1], *x2 = x[2], *x3 = x[3];
  for (size_t row = 0; row < 2 * kPanelRows; row += kVectors * kRowLanes) {
    size_t panel[kVectors], lane[kVectors];
    for (size_t r = 0; r < kVectors; ++r) {
      panel[r] = (row + r * kRowLanes) / kPanelRows;
      lane[r] = (row + r * kRowLanes) % kPanelRows;
    }
    VF sum[kVectors][kColumns];
    INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
      INLAY_UNROLL(2)
      for (size_t r = 0; r < kVectors; ++r) sum[r][j] = hn::Load(df, &c[panel[r]][j][lane[r]]);
    }
    for (size_t k = 0; k < steps; ++k) {
      const VF b[kColumns] = {hn::Set(df, x0[k]), hn::Set(df, x1[k]), hn::Set(df, x2[k]),
                              hn::Set(df, x3[k])};
      INLAY_UNROLL(2) for (size_t r = 0; r < kVectors; ++r) {
        const VF w = hn::BitCast(df, hn::Load(du32, &t.w[panel[r]][k][lane[r]]));
        INLAY_UNROLL(4)
        for (size_t j = 0; j < kColumns; ++j) sum[r][j] = hn::MulAdd(w, b[j], sum[r][j]);
      }
    }
    INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
      INLAY_UNROLL(2)
      for (size_t r = 0; r < kVectors; ++r) hn::Store(sum[r][j], df, &c[panel[r]][j][lane[r]]);
    }
  }
}

// ---- matmul -------------------------------------------------------------------------------------
// What matmul has to know of a type.
struct Recipe {
  void (*rows)(const Matmul& m, size_t column, size_t begin, size_t end);
  void (*decode)(const uint8_t* const* rows, size_t first, size_t groups, uintptr_t next,
                 uint32_t* w, float* scale, float* min);
  TileKernel tile;     // null: plain floats
  size_t unit;         // k of what `decode` counts
  size_t unit_bytes8;  // bytes of 8 units
  size_t sub;
  int offset;  // to be put into the start values
  bool mins, wide;
};

template <class T>
static constexpr Recipe recipe() {
  constexpr bool wide = wide_tile<T>();
  TileKernel tile = nullptr;
  if constexpr (wide) {
    tile = multiply_wide_tile<T::kSub, T::kMins>;
  } else {
    // Steps of 4 k that an int16 lane may sum: with start values the centred sum has to fit, else
    // the plain one.
    constexpr int biggest = T::kOffset != 0 ? T::kOffset : T::kMax;
    constexpr size_t headroom =
        T::kSub == 32 && (kDot == DotKind::vnni || biggest * 127 * 16 <= 32767) ? 8 : 4;
    static_assert(kDot == DotKind::vnni ||
                  (2 * 127 * T::kMax <= 32767 && biggest * 127 * 2 * int{headroom} <= 32767));
    static_assert(T::kOffset == 0 || T::kOffset * 2 > T::kMax);
    tile = multiply_tile<T::kSub, T::kMins, headroom>;
  }
  return {multiply_rows<T>,
          decode_panel<T>,
          tile,
          kGroup,
          T::kChunkBytes,
          T::kSub,
          wide || T::kMins ? 0 : T::kOffset,
          T::kMins,
          wide};
}

template <class T>
static constexpr Recipe plain_recipe() {
  return {
      multiply_plain_rows<T>, decode_plain_panel<T>, nullptr, 1, 8 * T::kBytes, 0, 0, false, false};
}

static Recipe recipe_of(TensorType type) {
  switch (type) {
    case TensorType::f16:
      return plain_recipe<PlainF16>();
    case TensorType::bf16:
      return plain_recipe<PlainBf16>();
    case TensorType::q4_0:
      return recipe<Q4_0>();
    case TensorType::q4_1:
      return recipe<Q4_1>();
    case TensorType::q5_0:
      return recipe<Q5_0>();
    case TensorType::q5_1:
      return recipe<Q5_1>();
    case TensorType::q8_0:
      return recipe<Q8_0>();
    case TensorType::q2_k:
      return recipe<Q2K>();
    case TensorType::q3_k:
      return recipe<Q3K>();
    case TensorType::q4_k:
      return recipe<Q4K>();
    case TensorType::q5_k:
      return recipe<Q5K>();
    case TensorType::q6_k:
      return recipe<Q6K>();
    case TensorType::iq4_nl:
      return recipe<Iq4Nl>();
    case TensorType::iq4_xs:
      return recipe<Iq4Xs>();
    default:
      return plain_recipe<PlainF32>();
  }
}

// Start values, sums of x for the mins, and int16 activations of one column group, for one tile.
static void prepare_group(const Recipe& r, const uint32_t* HWY_RESTRICT a,
                          const float* HWY_RESTRICT scale, const uint32_t* HWY_RESTRICT sum,
                          size_t groups, MatmulScratch& t) {
  const hn::Full128<uint32_t> d32;
  const hn::Full128<int32_t> di;
  const hn::Full128<int16_t> d16;
  const hn::Full128<float> df;
  const size_t subs = kGroup / r.sub;
  if (!r.wide || r.mins) {
    for (size_t i = 0; i < groups * subs; ++i) {
      auto lanes = hn::BitCast(d16, hn::LoadU(d32, sum + (subs == 2 ? i : 2 * i) * kColumns));
      if (subs == 1)
        lanes = hn::Add(lanes, hn::BitCast(d16, hn::LoadU(d32, sum + (2 * i + 1) * kColumns)));
      const auto total = hn::WidenMulPairwiseAdd(di, lanes, hn::Set(d16, 1));
      if constexpr (kDot == DotKind::vnni) {
        hn::Store(hn::BitCast(d32, hn::Mul(total, hn::Set(di, -r.offset))), d32, t.start[i]);
      } else {
        hn::Store(hn::BitCast(d32, hn::Mul(lanes, hn::Set(d16, static_cast<int16_t>(-r.offset)))),
                  d32, t.start[i]);
      }
      if (r.mins) {
        const auto x =
            hn::Mul(hn::ConvertTo(df, total), hn::LoadU(df, scale + i / subs * kColumns));
        hn::Store(x, df, t.min_sum[i]);
      }
    }
  }
  if (r.wide) {
    // Bytes [k / 4][column][4] to int16 [k / 2][column][2].
    const hn::Rebind<int8_t, hn::Repartition<int16_t, LaneTag>> d8;
    const hn::Repartition<int16_t, LaneTag> dw16;
    const hn::Repartition<uint32_t, LaneTag> dw32;
    uint32_t* to = t.wide[0];
    for (size_t i = 0; i < groups * 8; ++i, to += 2 * kColumns) {
      const int8_t* from = reinterpret_cast<const int8_t*>(a + i * kColumns);
#if HWY_MAX_BYTES >= 32
      alignas(32) static constexpr uint32_t kEvenOdd[8] = {0, 2, 4, 6, 1, 3, 5, 7};
      const auto all = hn::BitCast(dw32, hn::PromoteTo(dw16, hn::LoadU(d8, from)));
      hn::Store(hn::TableLookupLanes(all, hn::SetTableIndices(dw32, kEvenOdd)), dw32, to);
#else
      const auto c01 = hn::BitCast(dw32, hn::PromoteTo(dw16, hn::LoadU(d8, from)));
      const auto c23 = hn::BitCast(dw32, hn::PromoteTo(dw16, hn::LoadU(d8, from + 8)));
      hn::Store(hn::ConcatEven(dw32, c23, c01), dw32, to);
      hn::Store(hn::ConcatOdd(dw32, c23, c01), dw32, to + kColumns);
#endif
    }
  }
}

// One column of a panel. A column's rows lie in a cache line or two of their own, far from the next
// column's, so that stores miss the cache: whole vectors keep many misses under way.
static HWY_INLINE void store_panel(const Matmul& m, size_t row, size_t end, size_t column,
                                   const float* from) {
  const hn::Repartition<float, WideTag> df;
  if (row + kPanelRows > end) {
    for (; row < end; ++row, ++from) store_result(m, row, column, *from);
    return;
  }
  float* out = m.out + column * m.out_stride + row;
  for (size_t i = 0; i < kPanelRows; i += kRowLanes) {
    auto sum = hn::Load(df, from + i);
    if (m.bias != nullptr) sum = hn::Add(sum, hn::LoadU(df, m.bias + row + i));
    if (m.add) sum = hn::Add(hn::LoadU(df, out + i), sum);
    hn::StoreU(sum, df, out + i);
  }
}

static void matmul(const Matmul& m, size_t begin, size_t end, void* scratch) {
  if (begin >= end) return;
  const Recipe r = recipe_of(m.type);
  const size_t units = m.k / r.unit, row_bytes = units * r.unit_bytes8 / 8;
  if (m.n < kColumns) {
    for (size_t column = 0; column < m.n; ++column) r.rows(m, column, begin, end);
    return;
  }
  MatmulScratch& t = *static_cast<MatmulScratch*>(scratch);
  const GroupLayout layout(m.k);
  const size_t tile_units = (r.tile == nullptr ? kTileK / 4
                             : r.wide          ? kTileK / 2
                                               : kTileK) /
                            r.unit;
  for (size_t column0 = 0; column0 < m.n; column0 += kTileColumns) {
    const size_t columns = HWY_MIN(kTileColumns, m.n - column0);
    const size_t column_groups = div_up(columns, kColumns);
    for (size_t row0 = begin; row0 < end; row0 += kTileRows) {
      const uint8_t* rows[kTileRows];
      for (size_t i = 0; i < kTileRows; ++i) rows[i] = m.w + HWY_MIN(row0 + i, end - 1) * row_bytes;
      uintptr_t next = reinterpret_cast<uintptr_t>(m.w) + (row0 + kTileRows) * row_bytes;
      std::memset(t.c, 0, column_groups * sizeof t.c[0]);
      for (size_t u = 0; u < units; u += tile_units) {
        const size_t here = HWY_MIN(tile_units, units - u);
        const size_t tile_bytes = kPanelRows * (here * r.unit_bytes8 / 8);
        for (size_t p = 0; p < 2; ++p) {
          r.decode(rows + p * kPanelRows, u, here, next, t.w[p][0], t.scale[p][0], t.min[p][0]);
          next += tile_bytes;
        }
        for (size_t j = 0; j < column_groups; ++j) {
          const size_t column = column0 + j * kColumns;
          if (r.tile == nullptr) {
            const float* x[kColumns];
            for (size_t i = 0; i < kColumns; ++i)
              x[i] = m.x + HWY_MIN(column + i, m.n - 1) * m.x_stride + u;
            multiply_plain_tile(t, x, here, t.c[j]);
          } else {
            const uint8_t* xq =
                static_cast<const uint8_t*>(m.xq) + column / kColumns * layout.bytes();
            const uint32_t* a = reinterpret_cast<const uint32_t*>(xq) + u * 8 * kColumns;
            const float* scale = reinterpret_cast<const float*>(xq + layout.scale()) + u * kColumns;
            prepare_group(r, a, scale,
                          reinterpret_cast<const uint32_t*>(xq + layout.sum()) + 2 * u * kColumns,
                          here, t);
            r.tile(t, a, scale, here, t.c[j]);
          }
        }
      }
      for (size_t column = 0; column < columns; ++column) {
        for (size_t p = 0; p < 2; ++p) {
          store_panel(m, row0 + p * kPanelRows, end, column0 + column,
                      t.c[column / kColumns][p][column % kColumns]);
        }
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace detail
INLAY_END_NAMESPACE
HWY_AFTER_NAMESPACE();
