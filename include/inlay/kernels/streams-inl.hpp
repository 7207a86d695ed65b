// Rows of a weight matrix, as the file has it, as streams, and their products with few columns that
// are not of bytes. Compiled once per SIMD target, for its sub-target too; no include guard.

HWY_BEFORE_NAMESPACE();
INLAY_BEGIN_NAMESPACE
namespace detail {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Rows [begin, end) as kStreams ranges that are walked in lockstep. The last may be shorter.
struct Streams {
  size_t begin, end, length;
  HWY_INLINE Streams(size_t b, size_t e)
      : begin(b), end(e), length((e - b + kStreams - 1) / kStreams) {}
  HWY_INLINE size_t row(size_t stream, size_t i) const { return begin + stream * length + i; }
  // Row i of each stream; where there is none, the last of all.
  HWY_INLINE void rows_at(size_t i, const uint8_t* w, size_t row_bytes,
                          const uint8_t** rows) const {
    INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
      rows[s] = w + HWY_MIN(row(s, i), end - 1) * row_bytes;
    }
  }
};

// A column of what quantize() wrote, for row kernels.
struct QuantizedColumn {
  const uint8_t* at;
  ColumnLayout layout;
  HWY_INLINE QuantizedColumn(const Matmul& m, size_t column)
      : at(static_cast<const uint8_t*>(m.xq) + column_at(m.n, m.k, column)), layout(m.k) {}
  HWY_INLINE const int8_t* q() const { return reinterpret_cast<const int8_t*>(at); }
  HWY_INLINE const float* scale(size_t sub) const {
    return reinterpret_cast<const float*>(at + layout.scale(sub));
  }
  HWY_INLINE const float* sum(size_t sub) const {
    return reinterpret_cast<const float*>(at + layout.sum(sub));
  }
};

static HWY_INLINE void store_result(const Matmul& m, size_t row, size_t column, float sum) {
  sum *= m.scale;
  if (m.bias != nullptr) sum += m.bias[row];
  float* out = m.out + column * m.out_stride + row;
  *out = m.add ? *out + sum : sum;
}

// Row i of each stream: the sum of the lanes of sum[stream].
HWY_MAYBE_UNUSED static HWY_NOINLINE void store_streams(const Matmul& m, const Streams& streams,
                                                        size_t i, size_t column,
                                                        const ScaleVec* sum) {
  float total[kStreams];
  INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
    total[s] = hn::ReduceSum(ScaleTag(), sum[s]);
  }
  INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
    if (streams.row(s, i) < streams.end) store_result(m, streams.row(s, i), column, total[s]);
  }
}

// ---- TQ1_0 --------------------------------------------------------------------------------------
// A byte v is a fraction with digits t[0], t[1] ... in base 3: q[n] = floor(v 3^n / 256) is the
// first n of them as a number, and t[n] = q[n + 1] - 3 q[n]. So the digits need not be taken apart:
// the sum of t[n] x[n] is that of q[n + 1] (x[n] - 3 x[n + 1]), a multiplication of 16 bits for q
// and one for the product. That needs activations with one scale for all 256 values; they have 14
// bits here, and lose nothing that their 8 bits with a scale for 32 have.
using TernaryTag = hn::CappedTag<uint16_t, 16>;
static constexpr size_t kTernaryLanes = HWY_MAX_LANES_D(TernaryTag);

// A chunk of a row: bytes [0, 16) and [16, 32) have digits 32 values apart; [32, 48) are 16 apart;
// of the last 4 all digits fit into 16 lanes.
static HWY_INLINE void prepare_ternary(const int8_t* q, const float* q_scale, TernaryChunk& to) {
  const ScaleTag df;
  const hn::RebindToSigned<TernaryTag> d16;
  const hn::Rebind<int8_t, decltype(d16)> d8;
  const hn::RepartitionToWide<decltype(d16)> d32;
  auto most = hn::Zero(df);
  for (size_t i = 0; i < 8; i += kScaleLanes) most = hn::Max(most, hn::LoadU(df, q_scale + i));
  // |x| <= 64 * 127: 4 times that fits into 16 bits. x = q * factor / 2^8; without rounding if the
  // scales are the same.
  to.scale = hn::ReduceMax(df, most) / 64.0f;
  HWY_ALIGN int32_t factor[8];
  const auto inverse = hn::Set(df, to.scale > 0.0f ? 256.0f / to.scale : 0.0f);
  for (size_t i = 0; i < 8; i += kScaleLanes) {
    const auto f = hn::NearestInt(hn::Mul(hn::LoadU(df, q_scale + i), inverse));
    hn::Store(f, hn::RebindToSigned<ScaleTag>(), factor + i);
  }
  HWY_ALIGN int16_t x[kChunk + 16] = {};
  auto start = hn::Zero(d32);
  for (size_t i = 0; i < kChunk; i += kTernaryLanes) {
    const auto f = hn::Set(d16, static_cast<int16_t>(factor[i / kGroup]));
    const auto wide = hn::ShiftLeft<7>(hn::PromoteTo(d16, hn::LoadU(d8, q + i)));
    const auto v = hn::MulFixedPoint15(wide, f);
    hn::Store(v, d16, x + i);
    start = hn::Sub(start, hn::WidenMulPairwiseAdd(d32, v, hn::Set(d16, 1)));
  }
  hn::StoreU(start, d32, to.start);
  const auto store = [&](int16_t* out, const int16_t* digit, const int16_t* next) HWY_ATTR {
    for (size_t i = 0; i < 16; i += kTernaryLanes) {
      const auto three = hn::Mul(hn::LoadU(d16, next + i), hn::Set(d16, 3));
      hn::StoreU(hn::Sub(hn::LoadU(d16, digit + i), three), d16, out + i);
    }
  };
  const int16_t* zeros = x + kChunk;
  int16_t* out = to.x;
  for (size_t piece = 0; piece < 3; ++piece) {
    const int16_t* digit = x + (piece < 2 ? piece * 16 : 160);
    const size_t apart = piece < 2 ? 32 : 16;
    for (size_t n = 0; n < 5; ++n, digit += apart, out += 16) {
      store(out, digit, n < 4 ? digit + apart : zeros);
    }
  }
  store(out, x + 240, x + 244);
}

HWY_MAYBE_UNUSED static HWY_NOINLINE size_t multiply_ternary_rows(const Matmul& m, size_t column,
                                                                  size_t begin, size_t end,
                                                                  void* scratch) {
  const ScaleTag df;
  const TernaryTag du16;
  const hn::RebindToSigned<TernaryTag> d16;
  const hn::Rebind<uint8_t, TernaryTag> d8;
  const hn::Repartition<uint32_t, decltype(d8)> d8x4;
  const hn::RepartitionToWide<decltype(d16)> d32;
  const QuantizedColumn xq(m, column);
  const size_t chunks = m.k / kChunk;
  TernaryChunk* const x = static_cast<TernaryChunk*>(scratch);
  for (size_t i = 0; i < chunks; ++i) {
    prepare_ternary(xq.q() + i * kChunk, xq.scale(kGroup) + i * 8, x[i]);
  }
  // 256 * 3^n: the upper halves of products are q.
  constexpr uint16_t kPower[5] = {3 << 8, 9 << 8, 27 << 8, 81 << 8, 243 << 8};
  alignas(32) static constexpr uint16_t kPowers[16] = {
      kPower[0], kPower[0], kPower[0], kPower[0], kPower[1], kPower[1], kPower[1], kPower[1],
      kPower[2], kPower[2], kPower[2], kPower[2], kPower[3], kPower[3], kPower[3], kPower[3]};
  const Streams streams(begin, end);
  const size_t ahead = m.reading.rows_ahead;
  for (size_t i = 0; i < streams.length; ++i) {
    const uint8_t* rows[kStreams];
    streams.rows_at(i, m.w, chunks * Tq1_0::kChunkBytes, rows);
    ScaleVec total[kStreams];
    INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) total[s] = hn::Zero(df);
    for (const TernaryChunk* chunk = x; chunk < x + chunks; ++chunk) {
      hn::Vec<decltype(d32)> sum[kStreams], odd[kStreams];
      INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
        INLAY_PREFETCH(reinterpret_cast<uintptr_t>(rows[s]) + ahead, 3);
        sum[s] = hn::LoadU(d32, chunk->start);
        odd[s] = hn::Zero(d32);
      }
      const int16_t* a = chunk->x;
      const auto add = [&](size_t s, hn::Vec<TernaryTag> v, hn::Vec<TernaryTag> power,
                           size_t at) HWY_ATTR {
        const auto q = hn::BitCast(d16, hn::MulHigh(v, power));
        sum[s] = hn::ReorderWidenMulAccumulate(d32, q, hn::LoadU(d16, a + at), sum[s], odd[s]);
        INLAY_PIN(sum[s]);
      };
      for (size_t piece = 0; piece < 48; piece += kTernaryLanes) {
        hn::Vec<TernaryTag> v[kStreams];
        INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
          v[s] = hn::PromoteTo(du16, hn::LoadU(d8, rows[s] + piece));
        }
        INLAY_UNROLL(5) for (size_t n = 0; n < 5; ++n) {
          INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
            add(s, v[s], hn::Set(du16, kPower[n]), piece / 16 * 80 + n * 16 + piece % 16);
          }
        }
      }
      INLAY_UNROLL(2) for (size_t at = 0; at < 16; at += kTernaryLanes) {
        INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
          const auto last = hn::BitCast(d8, hn::Set(d8x4, load_u32(rows[s] + 48)));
          add(s, hn::PromoteTo(du16, last), hn::Load(du16, kPowers + at), 240 + at);
        }
      }
      INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
        const auto scale = hn::Set(df, chunk->scale * half_at(rows[s] + Tq1_0::kDelta));
        const auto lanes = hn::RearrangeToOddPlusEven(sum[s], odd[s]);
        total[s] = hn::MulAdd(hn::ConvertTo(df, lanes), scale, total[s]);
        rows[s] += Tq1_0::kChunkBytes;
      }
    }
    store_streams(m, streams, i, column, total);
  }
  return 1;
}

// Columns of plain floats at a time: they share the conversion of the weights, which takes the
// multiplying ports too. With 512 bits, four are 1.5 times as fast as two at a time, and six 1.4
// times as fast as four and two.
template <class T, size_t columns = kRegisters == 32 ? 6 : 2>
static HWY_NOINLINE size_t multiply_plain_rows(const Matmul& m, size_t column, size_t begin,
                                               size_t end, void* scratch) {
  if constexpr (columns > 1) {
    if (m.n - column < columns)
      return multiply_plain_rows<T, columns - 1>(m, column, begin, end, scratch);
  }
  const hn::CappedTag<float, 16> df;
  constexpr size_t kSteps = columns == 1 ? 2 : 1, kVector = HWY_MAX_LANES_D(decltype(df));
  constexpr size_t kLanes = kSteps * kVector;
  const size_t row_bytes = m.k * T::kBytes, whole = m.k - m.k % kLanes;
  const float* x[columns];
  HWY_ALIGN float x_tail[columns][kLanes] = {};
  for (size_t c = 0; c < columns; ++c) {
    x[c] = m.x + (column + c) * m.x_stride;
    std::memcpy(x_tail[c], x[c] + whole, (m.k - whole) * sizeof(float));
  }
  const Streams streams(begin, end);
  const size_t ahead = m.reading.rows_ahead;
  const bool prefetched = columns > 1 || m.reading.ahead != 0;
  for (size_t i = 0; i < streams.length; ++i) {
    const uint8_t* rows[kStreams];
    streams.rows_at(i, m.w, row_bytes, rows);
    hn::Vec<decltype(df)> sum[kStreams][columns];
    INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
      INLAY_UNROLL(6) for (size_t c = 0; c < columns; ++c) sum[s][c] = hn::Zero(df);
    }
    for (size_t j = 0; j < whole; j += kLanes) {
      if (prefetched) {
        const size_t further = j * T::kBytes + ahead;
        INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
          INLAY_PREFETCH(reinterpret_cast<uintptr_t>(rows[s]) + further, 3);
        }
      }
      INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
        INLAY_UNROLL(2) for (size_t at = j; at < j + kLanes; at += kVector) {
          const auto w = T::load(df, rows[s] + at * T::kBytes);
          INLAY_UNROLL(6) for (size_t c = 0; c < columns; ++c) {
            sum[s][c] = hn::MulAdd(w, hn::LoadU(df, x[c] + at), sum[s][c]);
          }
        }
      }
    }
    HWY_ALIGN float sums[kStreams][columns][kVector];  // no registers: it would unroll what follows
    INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
      INLAY_UNROLL(6) for (size_t c = 0; c < columns; ++c) hn::Store(sum[s][c], df, sums[s][c]);
    }
    for (size_t s = 0; s < kStreams; ++s) {
      HWY_ALIGN uint8_t w_tail[kLanes * T::kBytes] = {};
      std::memcpy(w_tail, rows[s] + whole * T::kBytes, (m.k - whole) * T::kBytes);
      const size_t row = streams.row(s, i);
      for (size_t c = 0; c < columns; ++c) {
        auto total = hn::Load(df, sums[s][c]);
        for (size_t at = 0; at < kLanes; at += kVector) {
          total =
              hn::MulAdd(T::load(df, w_tail + at * T::kBytes), hn::Load(df, x_tail[c] + at), total);
        }
        if (row < end) store_result(m, row, column + c, hn::ReduceSum(df, total));
      }
    }
  }
  return columns;
}

}  // namespace HWY_NAMESPACE
}  // namespace detail
INLAY_END_NAMESPACE
HWY_AFTER_NAMESPACE();
