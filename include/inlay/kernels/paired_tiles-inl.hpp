// Tiles for Arm's i8mm. smmla multiplies two rows with two columns, 8 k of each, and adds to four
// sums, {row 0 column 0, row 0 column 1, row 1 column 0, row 1 column 1}: twice the products of
// sdot. It takes 8 k together: of columns quantize() writes them so, of a tile's rows pair_rows()
// makes them, once for all columns. Compiled once per SIMD target; no include guard.

#undef INLAY_DOT_I8MM
#if INLAY_SUB_TARGET == INLAY_NEON_I8MM || (INLAY_DOT_NEON && defined(__ARM_FEATURE_MATMUL_INT8))
#  define INLAY_DOT_I8MM 1
#else
#  define INLAY_DOT_I8MM 0
#endif

#if INLAY_DOT_I8MM
HWY_BEFORE_NAMESPACE();
INLAY_BEGIN_NAMESPACE
namespace detail {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// 16 k of four columns, columns[column] + first, to [2][4 columns][8 k].
static HWY_INLINE void pair_columns(const int8_t (*columns)[kGroup], size_t first, uint8_t* to) {
  const hn::Full128<uint64_t> d64;
  const hn::Repartition<uint8_t, decltype(d64)> d8;
  const auto load = [&](size_t column) HWY_ATTR {
    const auto* from = reinterpret_cast<const uint8_t*>(columns[column] + first);
    return hn::BitCast(d64, hn::Load(d8, from));
  };
  INLAY_UNROLL(2) for (size_t j = 0; j < kColumns; j += 2) {
    const auto a = load(j), b = load(j + 1);
    hn::Store(hn::BitCast(d8, hn::InterleaveLower(d64, a, b)), d8, to + j * 8);
    hn::Store(hn::BitCast(d8, hn::InterleaveUpper(d64, a, b)), d8, to + (kColumns + j) * 8);
  }
}

// Of each two steps of a tile, 4 k of 16 rows: 8 k of the rows 0, 1, 4, 5, 8 ... to the first, of
// the rows 2, 3, 6, 7, 10 ... to the second.
static HWY_NOINLINE void pair_rows(uint32_t (*w)[kPanelRows], size_t steps) {
  const hn::Full128<uint32_t> d;
  for (size_t step = 0; step < steps; step += 2) {
    INLAY_UNROLL(4) for (size_t row = 0; row < kPanelRows; row += 4) {
      const auto a = hn::Load(d, w[step] + row), b = hn::Load(d, w[step + 1] + row);
      hn::Store(hn::InterleaveLower(d, a, b), d, w[step] + row);
      hn::Store(hn::InterleaveUpper(d, a, b), d, w[step + 1] + row);
    }
  }
}

// As multiply_tile: eight rows of a panel at a time, in vectors of two rows and two columns.
template <size_t sub, bool integer, bool starts>
static HWY_NOINLINE void multiply_paired_tile(const MatmulScratch& t, const TileColumns& columns,
                                              size_t groups,
                                              float (*HWY_RESTRICT c)[kColumns][kPanelRows]) {
  const hn::Full128<int8_t> d8;
  const hn::Full128<int32_t> d32;
  const hn::Full128<uint32_t> du32;
  const hn::Full128<float> df;
  using V8 = hn::Vec<decltype(d8)>;
  using V32 = hn::Vec<decltype(d32)>;
  using VF = hn::Vec<decltype(df)>;
  constexpr size_t kSubs = kGroup / sub;  // in a group
  constexpr size_t kSteps = sub / 4;      // in a sub-block
  constexpr size_t kRowPairs = 4, kColumnPairs = kColumns / 2;
  const size_t turn = integer ? kChunk / kGroup : groups;
  // Four columns' values, as the lanes of products have them.
  const auto by_columns = [](auto d, auto four, auto* to) HWY_ATTR {
    to[0] = hn::ConcatLowerLower(d, four, four);
    to[1] = hn::ConcatUpperUpper(d, four, four);
  };
  for (size_t row = 0; row < 2 * kPanelRows; row += 2 * kRowPairs) {
    const size_t panel = row / kPanelRows, lane = row % kPanelRows;
    for (size_t g0 = 0; g0 < groups; g0 += turn) {
      VF sum[kRowPairs][kColumnPairs];
      INLAY_UNROLL(4) for (size_t r = 0; r < kRowPairs; ++r) {
        INLAY_UNROLL(2) for (size_t j = 0; j < kColumnPairs; ++j) sum[r][j] = hn::Zero(df);
      }
      for (size_t g = g0; g < g0 + turn; ++g) {
        TileAhead::ask(columns.ahead, 2 * kRowPairs);
        V32 total[kRowPairs][kColumnPairs];
        INLAY_UNROLL(2) for (size_t s = 0; s < kSubs; ++s) {
          const size_t at = g * kSubs + s;
          V32 start[kColumnPairs] = {hn::Zero(d32), hn::Zero(d32)};
          if constexpr (starts) {
            const auto four = hn::Load(du32, columns.start + at * kColumns);
            by_columns(d32, hn::BitCast(d32, four), start);
          }
          V32 dot[kRowPairs][kColumnPairs];
          INLAY_UNROLL(4) for (size_t r = 0; r < kRowPairs; ++r) {
            INLAY_UNROLL(2) for (size_t j = 0; j < kColumnPairs; ++j) dot[r][j] = start[j];
          }
          INLAY_UNROLL(4) for (size_t step = 0; step < kSteps; step += 2) {
            const size_t step_at = at * kSteps + step;
            V8 w[kRowPairs];
            INLAY_UNROLL(4) for (size_t r = 0; r < kRowPairs; ++r) {
              const uint32_t* from = &t.w[panel][step_at + r % 2][lane + r / 2 * 4];
              w[r] = hn::BitCast(d8, hn::Load(du32, from));
            }
            INLAY_UNROLL(2) for (size_t j = 0; j < kColumnPairs; ++j) {
              const uint32_t* from = columns.q + step_at * kColumns + j * 4;
              const V8 a = hn::BitCast(d8, hn::Load(du32, from));
              INLAY_UNROLL(4) for (size_t r = 0; r < kRowPairs; ++r) {
                dot[r][j] = V32(vmmlaq_s32(dot[r][j].raw, w[r].raw, a.raw));
              }
            }
          }
          INLAY_UNROLL(4) for (size_t r = 0; r < kRowPairs; ++r) {
            const VF four = hn::Load(df, &t.scale[panel][at][lane + r / 2 * 4]);
            const VF w = r % 2 == 0 ? hn::InterleaveLower(df, four, four)
                                    : hn::InterleaveUpper(df, four, four);
            INLAY_UNROLL(2) for (size_t j = 0; j < kColumnPairs; ++j) {
              if constexpr (integer) {
                const auto scaled = hn::Mul(dot[r][j], hn::BitCast(d32, w));
                total[r][j] = s == 0 ? scaled : hn::Add(total[r][j], scaled);
              } else {
                const VF product = hn::ConvertTo(df, dot[r][j]);
                const VF before = hn::BitCast(df, total[r][j]);
                total[r][j] =
                    hn::BitCast(d32, s == 0 ? hn::Mul(product, w) : hn::MulAdd(product, w, before));
              }
            }
          }
        }
        VF scale[kColumnPairs];
        by_columns(df, hn::Load(df, columns.scale + g * kColumns), scale);
        INLAY_UNROLL(4) for (size_t r = 0; r < kRowPairs; ++r) {
          INLAY_UNROLL(2) for (size_t j = 0; j < kColumnPairs; ++j) {
            const VF f = integer ? hn::ConvertTo(df, total[r][j]) : hn::BitCast(df, total[r][j]);
            sum[r][j] = hn::MulAdd(f, scale[j], sum[r][j]);
          }
        }
      }
      INLAY_UNROLL(2) for (size_t r = 0; r < kRowPairs; r += 2) {
        const size_t four = lane + r * 2;
        const auto add = [&](size_t column, VF v) HWY_ATTR {
          float* to = &c[panel][column][four];
          const VF before = hn::Load(df, to);
          if constexpr (integer) {
            v = hn::MulAdd(v, hn::Load(df, &t.delta[panel][g0 / 8][four]), before);
          } else {
            v = hn::Add(v, before);
          }
          hn::Store(v, df, to);
        };
        INLAY_UNROLL(2) for (size_t j = 0; j < kColumnPairs; ++j) {
          add(2 * j, hn::ConcatEven(df, sum[r + 1][j], sum[r][j]));
          add(2 * j + 1, hn::ConcatOdd(df, sum[r + 1][j], sum[r][j]));
        }
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace detail
INLAY_END_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // INLAY_DOT_I8MM
