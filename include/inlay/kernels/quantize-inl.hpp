// Activations to int8, once for all matrices that they meet. The layouts are in shared.hpp.
// Compiled once per SIMD target; no include guard.

HWY_BEFORE_NAMESPACE();
INLAY_BEGIN_NAMESPACE
namespace detail {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// 32 values of x (fewer: padded with zeros) to q; returns the scale.
static HWY_INLINE float quantize_group(const float* HWY_RESTRICT x, size_t count,
                                       int8_t* HWY_RESTRICT q) {
  const ScaleTag df;
  const hn::Repartition<int16_t, ScaleTag> d16;
  const hn::Repartition<int8_t, ScaleTag> d8;
  HWY_ALIGN float padded[kGroup];
  if (HWY_UNLIKELY(count < kGroup)) {
    std::memset(padded, 0, sizeof padded);
    std::memcpy(padded, x, count * sizeof(float));
    x = padded;
  }
  constexpr size_t kLoads = kGroup / kScaleLanes;
  ScaleVec v[kLoads];
  INLAY_UNROLL(8) for (size_t i = 0; i < kLoads; ++i) v[i] = hn::LoadU(df, x + i * kScaleLanes);
  auto biggest = hn::Abs(v[0]);
  INLAY_UNROLL(8) for (size_t i = 1; i < kLoads; ++i) biggest = hn::Max(biggest, hn::Abs(v[i]));
  const float amax = hn::ReduceMax(df, biggest);
  const float scale = amax / 127.0f;
  const auto inverse = hn::Set(df, scale > 0.0f ? 1.0f / scale : 0.0f);
  INLAY_UNROLL(2) for (size_t i = 0; i < kLoads; i += 4) {
    hn::Vec<decltype(d16)> pairs[2];
    INLAY_UNROLL(2) for (size_t j = 0; j < 2; ++j) {
      pairs[j] = hn::OrderedDemote2To(d16, hn::NearestInt(hn::Mul(v[i + 2 * j], inverse)),
                                      hn::NearestInt(hn::Mul(v[i + 2 * j + 1], inverse)));
    }
    // The kernels rely on -127: infinities and NaNs would give -128.
    const auto bytes = hn::Max(hn::OrderedDemote2To(d8, pairs[0], pairs[1]), hn::Set(d8, -127));
    hn::StoreU(bytes, d8, q + i * kScaleLanes);
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

// What a sum of products with weights that have an offset starts from, given the lane_sums of
// `count` times 16 activations.
static HWY_INLINE uint32_t start_value(const uint32_t* lanes, size_t count, int offset) {
  int32_t half[2] = {0, 0};
  for (size_t i = 0; i < count; ++i) {
    half[0] += static_cast<int16_t>(lanes[i] & 0xffff);
    half[1] += static_cast<int16_t>(lanes[i] >> 16);
  }
  const auto times = [=](int32_t sum) { return static_cast<uint32_t>(-offset * sum); };
  if constexpr (kDot != DotKind::maddubs) return times(half[0] + half[1]);
  return (times(half[0]) & 0xffff) | times(half[1]) << 16;
}

static void quantize_column(const float* HWY_RESTRICT x, size_t k, size_t k_begin, size_t k_end,
                            uint8_t* HWY_RESTRICT out) {
  const ColumnLayout layout(k);
  int8_t* q = reinterpret_cast<int8_t*>(out);
  float* scale16 = reinterpret_cast<float*>(out + layout.scale(16));
  float* scale32 = reinterpret_cast<float*>(out + layout.scale(32));
  float* sum16 = reinterpret_cast<float*>(out + layout.sum(16));
  float* sum32 = reinterpret_cast<float*>(out + layout.sum(32));
  const size_t last = k_end == k ? layout.kp / kGroup : k_end / kGroup;
  for (size_t b = k_begin / kGroup; b < last; ++b) {
    const size_t at = b * kGroup;
    float scale = 0.0f;
    if (at < k) {
      scale = quantize_group(x + at, HWY_MIN(kGroup, k - at), q + at);
    } else {
      std::memset(q + at, 0, kGroup);
    }
    const uint32_t lanes[2] = {lane_sums(q + at), lane_sums(q + at + 16)};
    const int32_t low = sum_of_lanes(lanes[0]), high = sum_of_lanes(lanes[1]);
    scale32[b] = scale16[2 * b] = scale16[2 * b + 1] = scale;
    sum16[2 * b] = scale * static_cast<float>(low);
    sum16[2 * b + 1] = scale * static_cast<float>(high);
    sum32[b] = scale * static_cast<float>(low + high);
    for (const StartKind& kind : kStarts) {
      uint32_t* to = reinterpret_cast<uint32_t*>(out + layout.start(kind)) + at / kind.sub;
      if (kind.sub == kGroup) {
        to[0] = start_value(lanes, 2, kind.offset);
      } else {
        to[0] = start_value(lanes, 1, kind.offset);
        to[1] = start_value(lanes + 1, 1, kind.offset);
      }
    }
  }
}

// Start values for weights with an offset, from the sums of their columns' q: in int32, and in
// int16 as lane_sums.
static HWY_INLINE void store_start(hn::Vec<hn::Full128<int32_t>> total,
                                   hn::Vec<hn::Full128<int16_t>> lanes, int offset, uint8_t* to) {
  const hn::Full128<int16_t> d16;
  const hn::Full128<int32_t> d32;
  if constexpr (kDot != DotKind::maddubs) {
    hn::Store(hn::Mul(total, hn::Set(d32, -offset)), d32, reinterpret_cast<int32_t*>(to));
  } else {
    hn::Store(hn::Mul(lanes, hn::Set(d16, static_cast<int16_t>(-offset))), d16,
              reinterpret_cast<int16_t*>(to));
  }
}

// One group of 1 ... 4 columns.
static void quantize_columns(const float* const* x, size_t columns, size_t k, size_t k_begin,
                             size_t k_end, uint8_t* HWY_RESTRICT out) {
  const hn::Full128<uint32_t> d32;
  const hn::Full128<uint64_t> d64;
  const hn::Full128<int32_t> di;
  const hn::Full128<int16_t> d16;
  const hn::Full128<float> df;
  const GroupLayout layout(k);
  uint32_t* q = reinterpret_cast<uint32_t*>(out);  // [kp / 4][column]
  int16_t* wide = reinterpret_cast<int16_t*>(out + layout.wide());
  const auto floats = [&](size_t at) HWY_ATTR { return reinterpret_cast<float*>(out + at); };
  HWY_ALIGN int8_t rows[kColumns][kGroup] = {};
  HWY_ALIGN float scale[kColumns] = {};
  constexpr size_t kKinds = sizeof kStarts / sizeof kStarts[0];
  uint8_t* start[kKinds];
  for (size_t i = 0; i < kKinds; ++i) start[i] = out + layout.start(kStarts[i]);
  float* const scale_at = floats(layout.scale());
  float *const sum16 = floats(layout.sum(16)), *const sum32 = floats(layout.sum(32));
  for (size_t b = k_begin / kGroup; b < div_up(k_end, kGroup); ++b) {
    const size_t at = b * kGroup;
    for (size_t c = 0; c < columns; ++c) {
      scale[c] = quantize_group(x[c] + at, HWY_MIN(kGroup, k - at), rows[c]);
    }
    hn::Vec<decltype(d16)> lanes[2];
    INLAY_UNROLL(2) for (size_t half = 0; half < 2; ++half) {
#if INLAY_DOT_I8MM
      pair_columns(rows, half * 16, out + layout.wide() + (at + half * 16) * kColumns);
#endif
      const auto load = [&](size_t c) HWY_ATTR {
        return hn::Load(d32, reinterpret_cast<const uint32_t*>(rows[c] + half * 16));
      };
      const auto a = hn::BitCast(d64, hn::InterleaveLower(d32, load(0), load(1)));
      const auto b2 = hn::BitCast(d64, hn::InterleaveLower(d32, load(2), load(3)));
      const auto c = hn::BitCast(d64, hn::InterleaveUpper(d32, load(0), load(1)));
      const auto e = hn::BitCast(d64, hn::InterleaveUpper(d32, load(2), load(3)));
      const auto store = [&](size_t step, hn::Vec<hn::Full128<uint64_t>> v) HWY_ATTR {
        const size_t k4 = at / 4 + half * 4 + step;
        hn::Store(hn::BitCast(d32, v), d32, q + k4 * kColumns);
        if constexpr (kDot != DotKind::vnni) {
          const auto pairs = hn::BitCast(d16, v);
          int16_t* to = wide + k4 * 4 * kColumns;
          hn::Store(hn::ShiftRight<8>(hn::ShiftLeft<8>(pairs)), d16, to);
          hn::Store(hn::ShiftRight<8>(pairs), d16, to + 2 * kColumns);
        }
        const hn::Full128<int8_t> ds8;
        const hn::Full128<uint8_t> du8;
        return hn::SatWidenMulPairwiseAdd(d16, hn::Set(du8, uint8_t{1}), hn::BitCast(ds8, v));
      };
      lanes[half] = hn::Add(hn::Add(store(0, hn::InterleaveLower(d64, a, b2)),
                                    store(1, hn::InterleaveUpper(d64, a, b2))),
                            hn::Add(store(2, hn::InterleaveLower(d64, c, e)),
                                    store(3, hn::InterleaveUpper(d64, c, e))));
    }
    const auto scales = hn::Load(df, scale);
    hn::Store(scales, df, scale_at + b * kColumns);
    const auto total0 = hn::WidenMulPairwiseAdd(di, lanes[0], hn::Set(d16, 1));
    const auto total1 = hn::WidenMulPairwiseAdd(di, lanes[1], hn::Set(d16, 1));
    const auto total = hn::Add(total0, total1);
    hn::Store(hn::Mul(hn::ConvertTo(df, total), scales), df, sum32 + b * kColumns);
    hn::Store(hn::Mul(hn::ConvertTo(df, total0), scales), df, sum16 + 2 * b * kColumns);
    hn::Store(hn::Mul(hn::ConvertTo(df, total1), scales), df, sum16 + (2 * b + 1) * kColumns);
    INLAY_UNROLL(8) for (size_t i = 0; i < kKinds; ++i) {
      uint8_t* to = start[i] + b * (kGroup / kStarts[i].sub) * 16;
      if (kStarts[i].sub == kGroup) {
        store_start(total, hn::Add(lanes[0], lanes[1]), kStarts[i].offset, to);
      } else {
        store_start(total0, lanes[0], kStarts[i].offset, to);
        store_start(total1, lanes[1], kStarts[i].offset, to + 16);
      }
    }
  }
}

static void quantize(const Quantize& q, size_t begin, size_t end, size_t k_begin, size_t k_end) {
  uint8_t* out = static_cast<uint8_t*>(q.xq);
  const auto column = [&q](size_t c) {
    return q.x + (q.rows == nullptr ? c : q.rows[c]) * q.x_stride;
  };
  if (q.n < kColumns && !q.tiles && !kTilesOnly) {
    for (size_t c = begin; c < end; ++c) {
      quantize_column(column(c), q.k, k_begin, k_end, out + column_at(q.n, q.k, c));
    }
    if (q.n == 1) return;
  }
  const size_t bytes = GroupLayout(q.k).bytes();
  for (size_t c = begin; c < end; c += kColumns) {
    const size_t columns = HWY_MIN(kColumns, end - c);
    const float* x[kColumns];
    for (size_t i = 0; i < columns; ++i) x[i] = column(c + i);
    quantize_columns(x, columns, q.k, k_begin, k_end, out + c / kColumns * bytes);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace detail
INLAY_END_NAMESPACE
HWY_AFTER_NAMESPACE();
