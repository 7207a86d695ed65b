// The product of weights that are indices into a grid, as the file has them, with one column.
// Compiled once per SIMD target; no include guard.

HWY_BEFORE_NAMESPACE();
INLAY_BEGIN_NAMESPACE
namespace detail {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <GridKind kind, size_t sub>
static HWY_NOINLINE void multiply_grid_rows(const Matmul& m, size_t column, size_t begin,
                                            size_t end, size_t chunk_bytes, int offset,
                                            const uint8_t* grid,
                                            void (*unpack)(const uint8_t*, GridChunk&)) {
  constexpr size_t kSubs = kChunk / sub;
  const ScaleTag df;
  const hn::Repartition<int8_t, LaneTag> d8;
  const QuantizedColumn xq(m, column);
  const float *x_scale = xq.scale(sub), *x_sum = xq.sum(sub);
  const size_t chunks = m.k / kChunk;
  const Streams streams(begin, end);
  const size_t ahead = m.reading.rows_ahead;
  GridChunk unpacked[2][kStreams];
  for (size_t i = 0; i < streams.length; ++i) {
    const uint8_t* rows[kStreams];
    streams.rows_at(i, m.w, chunks * chunk_bytes, rows);
    ScaleVec sum[kStreams], low[kStreams];
    INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) sum[s] = low[s] = hn::Zero(df);
    // A chunk is unpacked one turn before its products, which then need not wait for the stores: of
    // 16 bytes, they are not forwarded to loads of 32.
    for (size_t chunk = 0; chunk <= chunks; ++chunk) {
      if (chunk < chunks) {
        INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
          const uint8_t* at = rows[s] + chunk * chunk_bytes;
          unpack(at, unpacked[chunk % 2][s]);
          INLAY_PREFETCH(reinterpret_cast<uintptr_t>(at) + ahead, 3);
        }
      }
      if (chunk == 0) continue;
      const size_t done = chunk - 1;
      const int8_t* a = xq.q() + done * kChunk;
      GridChunk* from = unpacked[done % 2];
      INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
        INLAY_UNROLL(4) for (size_t j = 0; j < kSubs; j += kScaleLanes) {
          const auto w = hn::Load(df, from[s].scale + j);
          if constexpr (kind == GridKind::shifts) {
            low[s] = hn::MulAdd(w, hn::Load(df, x_sum + done * kSubs + j), low[s]);
          }
          const auto x = hn::Load(df, x_scale + done * kSubs + j);
          hn::Store(hn::Mul(w, x), df, from[s].scale + j);
        }
      }
      for (size_t g = 0; g < 8; ++g) {
        INLAY_UNROLL(2) for (size_t part = 0; part < kParts; ++part) {
          const auto av = hn::Load(d8, a + g * kGroup + part * kLaneBytes);
          const auto negative = hn::Neg(av);
          INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
            const auto entries = grid_entries<kind>(grid, from[s], g, part);
            hn::Vec<hn::Repartition<int32_t, LaneTag>> dot;
            if constexpr (kind == GridKind::shifts) {
              dot = dot_lanes<false>(hn::Add(entries, grid_shifts(from[s], g, part)), av);
            } else {
              const auto signs = hn::RebindMask(d8, grid_signs(from[s], g, part));
              dot = dot_lanes<false>(entries, hn::IfThenElse(signs, negative, av));
            }
            const auto scale = group_scale<sub>(from[s].scale + g * (kGroup / sub), part);
            sum[s] = hn::MulAdd(hn::ConvertTo(df, dot), scale, sum[s]);
          }
        }
      }
    }
    ScaleVec total[kStreams];
    INLAY_UNROLL(4) for (size_t s = 0; s < kStreams; ++s) {
      total[s] = sum[s];
      if constexpr (kind == GridKind::shifts) {
        total[s] = hn::NegMulAdd(low[s], hn::Set(df, static_cast<float>(offset)), sum[s]);
      }
    }
    store_streams(m, streams, i, column, total);
  }
}

template <class T>
static size_t multiply_grid(const Matmul& m, size_t column, size_t begin, size_t end, void*) {
  // Qualified: a sub-target's would be looked up among its target's too, where `unpack` is from.
  HWY_NAMESPACE::multiply_grid_rows<T::kKind, T::kSub>(m, column, begin, end, T::kChunkBytes,
                                                       T::kOffset, T::grid(), T::unpack);
  return 1;
}

}  // namespace HWY_NAMESPACE
}  // namespace detail
INLAY_END_NAMESPACE
HWY_AFTER_NAMESPACE();
