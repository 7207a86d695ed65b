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
                             size_t k_begin, size_t k_end, uint8_t* HWY_RESTRICT out) {
  const hn::Full128<uint32_t> d32;
  const GroupLayout layout(k);
  uint32_t* q = reinterpret_cast<uint32_t*>(out);  // [kp / 4][column]
  float* scale = reinterpret_cast<float*>(out + layout.scale());
  uint32_t* sum = reinterpret_cast<uint32_t*>(out + layout.sum());
  HWY_ALIGN int8_t rows[kColumns][kGroup] = {};
  for (size_t b = k_begin / kGroup; b < div_up(k_end, kGroup); ++b) {
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

static void quantize(const Quantize& q, size_t begin, size_t end, size_t k_begin, size_t k_end) {
  uint8_t* out = static_cast<uint8_t*>(q.xq);
  if (q.n < kColumns && !q.tiles) {
    const size_t bytes = ColumnLayout(q.k).bytes();
    for (size_t c = begin; c < end; ++c) {
      quantize_column(q.x + c * q.x_stride, q.k, k_begin, k_end, out + c * bytes);
    }
    return;
  }
  const size_t bytes = GroupLayout(q.k).bytes();
  for (size_t c = begin; c < end; c += kColumns) {
    quantize_columns(q.x + c * q.x_stride, q.x_stride, HWY_MIN(kColumns, end - c), q.k, k_begin,
                     k_end, out + c / kColumns * bytes);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace detail
INLAY_END_NAMESPACE
HWY_AFTER_NAMESPACE();
