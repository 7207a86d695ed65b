// The product of a weight matrix with one or many columns: what each tensor type needs, and which
// kernels run. Compiled once per SIMD target; no include guard.

HWY_BEFORE_NAMESPACE();
INLAY_BEGIN_NAMESPACE
namespace detail {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

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
  if (m.n < kColumns && !m.tiles) {
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
