// Attention over the KV cache, and the writing of the cache. Compiled per target.
//
// All query heads that share a KV head, of all queries of the call, are rows of one small matrix
// product with K and of another with V; a row's softmax is kept up to date tile by tile (maximum,
// sum of weights, weighted sum of V), so no score outlives its tile. What is computed for a row is
// the same whichever rows come with it, and whether one call computes all chunks of positions or
// one call each.
//
// K and V of the integer formats are multiplied as they are, in pairs of 16 bits that are summed in
// 32: with queries and with weights that are rounded to 16 bits too, each row with a scale of its
// own. That is finer than rounding them to halves, and nothing has to be expanded. The sums of a
// tile cannot overflow:
//   scores  by Cauchy and Schwarz, for the norms of q and k are at most kNormLimit (to rounding:
//           half a unit for each dimension), and 127 and 32 dimensions are far less
//   V       for the weights of a tile add up to at most kWeightLimit (to rounding: 32), and
//           weights of at most 32767 times 64 positions times 127 are far less
HWY_BEFORE_NAMESPACE();
INLAY_BEGIN_NAMESPACE
namespace detail {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// 16 lanes are one unit: a panel of positions, or 16 dimensions. It takes kUnitVectors vectors.
using FloatTag = hn::CappedTag<float, kKvPanel>;
using FloatVector = hn::Vec<FloatTag>;
inline constexpr size_t kFloatLanes = HWY_MAX_LANES_D(FloatTag);
inline constexpr size_t kUnitVectors = kKvPanel / kFloatLanes;
// Rows that share one load of K or V: as many as leave registers for it.
inline constexpr size_t kRowGroup =
    kRegisters / 2 / kUnitVectors < 8 ? kRegisters / 2 / kUnitVectors : 8;
static_assert(kRowGroup <= kMaxRowGroup);
// Registers for the sums, for one load of each unit, and for the factor.
constexpr size_t units_at_once(size_t rows) {
  const size_t fit = (kRegisters - 1) / ((rows + 1) * kUnitVectors);
  return fit >= 4 ? 4 : fit >= 2 ? 2 : 1;
}

// 16 lanes of 32 bits are as many pairs of int16.
using PairTag = hn::Repartition<int16_t, FloatTag>;
using SumTag = hn::RebindToSigned<FloatTag>;

inline constexpr float kLog2E = 1.44269504f;

inline constexpr float kNormLimit = 46000.0f;
inline constexpr float kWeightLimit = 65000.0f;
static_assert((kNormLimit + 100) * (kNormLimit + 100) < 2147483648.0f);  // 200^2 dimensions
static_assert((kWeightLimit + kKvTile / 2) * 32767 < 2147483648.0f);

// 2^x for x <= 0, to 2 ulp; 0 below -126.5, also for -infinity. (Minimax polynomial of 2^r on
// [-1/2, 1/2], 7.5e-8.)
HWY_INLINE FloatVector exp2_of(FloatVector x) {
  const FloatTag d;
  FloatVector power;
  x = hn::Max(x, hn::Set(d, -127.0f));
  const FloatVector r = hn::Sub(x, round_and_power(d, x, &power));
  FloatVector p = hn::Set(d, 0.00132764612f);
  p = hn::MulAdd(p, r, hn::Set(d, 0.00967555276f));
  p = hn::MulAdd(p, r, hn::Set(d, 0.0555071339f));
  p = hn::MulAdd(p, r, hn::Set(d, 0.240221195f));
  p = hn::MulAdd(p, r, hn::Set(d, 0.693146967f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f));
  return hn::Mul(p, power);
}

HWY_INLINE hn::Vec<PairTag> load_pairs(const int16_t* p) { return hn::LoadU(PairTag(), p); }
HWY_INLINE hn::Vec<PairTag> load_pairs(const int8_t* p) {
  return hn::PromoteTo(PairTag(), hn::LoadU(hn::Rebind<int8_t, PairTag>(), p));
}

HWY_INLINE hn::Vec<SumTag> add_products(hn::Vec<PairTag> a, hn::Vec<PairTag> b,
                                        hn::Vec<SumTag> sum) {
#if INLAY_DOT_AVX_VNNI
  return hn::Vec<SumTag>{_mm256_dpwssd_avx_epi32(sum.raw, a.raw, b.raw)};
#elif HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX3_DL
  auto unused = hn::Zero(SumTag());
  return hn::ReorderWidenMulAccumulate(SumTag(), a, b, sum, unused);
#else
  return hn::Add(sum, hn::WidenMulPairwiseAdd(SumTag(), a, b));
#endif
}

// An address in another page, maybe before this one.
HWY_INLINE const void* further(const void* from, size_t bytes) {
  return reinterpret_cast<const void*>(reinterpret_cast<uintptr_t>(from) + bytes);
}

// With sum[r][u * 16 + lane] = sum over i < pairs of a[r][i] . b[i][u][lane], for kRows rows and
// kUnits units:
//   kScores    out[r][u * 16 + lane]  =  sum * scale[u * 16 + lane], or += if `add`
//   otherwise  out[r][u * 16 + lane] +=  sum * scale[r]
// Strides: a: kStrideR for r, kStrideI for i; b: b_i for i, b_u for u; out: out_r for r, 16 for u.
// `ahead`: bytes from b to what will be needed in its place next; asking for it makes decoding at a
// depth of 4096 1.2 (AVX2) to 1.6 (AVX-512) times as fast.
template <bool kScores, size_t kRows, size_t kUnits, size_t kStrideR, size_t kStrideI, class T>
HWY_NOINLINE void multiply(size_t pairs, const int16_t* HWY_RESTRICT a, const T* HWY_RESTRICT b,
                           size_t b_i, size_t b_u, size_t ahead, const float* HWY_RESTRICT scale,
                           bool add, float* HWY_RESTRICT out, size_t out_r) {
  const FloatTag d;
  const PairTag d16;
  const hn::Repartition<uint32_t, FloatTag> du32;
  hn::Vec<SumTag> sum[kRows][kUnits][kUnitVectors];
  INLAY_UNROLL(16) for (size_t r = 0; r < kRows; ++r) {
    INLAY_UNROLL(16) for (size_t u = 0; u < kUnits; ++u) {
      INLAY_UNROLL(16) for (size_t v = 0; v < kUnitVectors; ++v) sum[r][u][v] = hn::Zero(SumTag());
    }
  }
  for (size_t i = 0; i < pairs; ++i) {
    hn::Vec<PairTag> x[kUnits][kUnitVectors];
    INLAY_UNROLL(16) for (size_t u = 0; u < kUnits; ++u) {
      INLAY_UNROLL(16) for (size_t v = 0; v < kUnitVectors; ++v) {
        x[u][v] = load_pairs(b + u * b_u + v * 2 * kFloatLanes);
      }
      INLAY_PREFETCH(further(b + u * b_u, ahead), 2);
    }
    INLAY_UNROLL(16) for (size_t r = 0; r < kRows; ++r) {
      const auto factor = hn::BitCast(d16, hn::Set(du32, load_u32(a + r * kStrideR)));
      INLAY_UNROLL(16) for (size_t u = 0; u < kUnits; ++u) {
        INLAY_UNROLL(16) for (size_t v = 0; v < kUnitVectors; ++v) {
          sum[r][u][v] = add_products(factor, x[u][v], sum[r][u][v]);
          INLAY_PIN(sum[r][u][v]);
        }
      }
    }
    a += kStrideI;
    b += b_i;
  }
  INLAY_UNROLL(16) for (size_t r = 0; r < kRows; ++r) {
    INLAY_UNROLL(16) for (size_t u = 0; u < kUnits; ++u) {
      INLAY_UNROLL(16) for (size_t v = 0; v < kUnitVectors; ++v) {
        const size_t at = u * 16 + v * kFloatLanes;
        const auto value = hn::ConvertTo(d, sum[r][u][v]);
        const auto by = kScores ? hn::LoadU(d, scale + at) : hn::Set(d, scale[r]);
        const auto old = !kScores || add ? hn::LoadU(d, out + r * out_r + at) : hn::Zero(d);
        hn::StoreU(hn::MulAdd(value, by, old), d, out + r * out_r + at);
      }
    }
  }
}

// multiply() for any number of units, and 1 <= rows <= kRowGroup; what it needs of `a`, `scale` and
// `out` must exist for kRowGroup rows.
template <bool kScores, size_t kStrideR, size_t kStrideI, class T, size_t kRows = kRowGroup>
HWY_INLINE void multiply_rows(size_t rows, size_t pairs, size_t units, const int16_t* a, const T* b,
                              size_t b_i, size_t b_u, size_t ahead, const float* scale, bool add,
                              float* out, size_t out_r) {
  if constexpr (kRows > 1) {
    if (rows <= kRows / 2) {
      return multiply_rows<kScores, kStrideR, kStrideI, T, kRows / 2>(
          rows, pairs, units, a, b, b_i, b_u, ahead, scale, add, out, out_r);
    }
  }
  constexpr size_t kUnits = units_at_once(kRows);
  size_t u = 0;
  for (; u + kUnits <= units; u += kUnits) {
    multiply<kScores, kRows, kUnits, kStrideR, kStrideI>(pairs, a, b + u * b_u, b_i, b_u, ahead,
                                                         kScores ? scale + u * 16 : scale, add,
                                                         out + u * 16, out_r);
  }
  if (kUnits > 1) {
    for (; u < units; ++u) {
      multiply<kScores, kRows, 1, kStrideR, kStrideI>(pairs, a, b + u * b_u, b_i, b_u, ahead,
                                                      kScores ? scale + u * 16 : scale, add,
                                                      out + u * 16, out_r);
    }
  }
}

// The same of floats, one by one: out[r][u * 16 + lane] = (kAdd: +=) sum over i < n of
// a[r][i] * b[i][u][lane]. One chain of fused additions for each output, in the order of i.
template <bool kAdd, size_t kRows, size_t kStrideR, size_t kStrideI>
HWY_NOINLINE void multiply_floats(size_t n, size_t units, const float* a, const float* b,
                                  size_t b_i, size_t b_u, float* out, size_t out_r) {
  const FloatTag d;
  for (size_t u = 0; u < units; ++u) {
    FloatVector sum[kRows][kUnitVectors];
    INLAY_UNROLL(16) for (size_t r = 0; r < kRows; ++r) {
      INLAY_UNROLL(16) for (size_t v = 0; v < kUnitVectors; ++v) {
        const size_t at = r * out_r + u * 16 + v * kFloatLanes;
        sum[r][v] = kAdd ? hn::LoadU(d, out + at) : hn::Zero(d);
      }
    }
    for (size_t i = 0; i < n; ++i) {
      INLAY_UNROLL(16) for (size_t v = 0; v < kUnitVectors; ++v) {
        const FloatVector x = hn::LoadU(d, b + u * b_u + i * b_i + v * kFloatLanes);
        INLAY_UNROLL(16) for (size_t r = 0; r < kRows; ++r) {
          const FloatVector factor = hn::Set(d, a[r * kStrideR + i * kStrideI]);
          sum[r][v] = hn::MulAdd(factor, x, sum[r][v]);
        }
      }
    }
    INLAY_UNROLL(16) for (size_t r = 0; r < kRows; ++r) {
      INLAY_UNROLL(16) for (size_t v = 0; v < kUnitVectors; ++v) {
        hn::StoreU(sum[r][v], d, out + r * out_r + u * 16 + v * kFloatLanes);
      }
    }
  }
}

// Positions [from, to).
struct Range {
  size_t from, to;
  bool empty() const { return from >= to; }
};

// One tile, for one group of rows: which positions of it each row sees.
struct Tile {
  size_t rows;
  size_t start;           // its first position
  bool whole;             // all rows see all of it
  Range seen[kRowGroup];  // unless whole
  Range any;              // what any row sees, not empty
  size_t next_k, next_v;  // bytes to the next one
};

// For each row of a group: what its weights are relative to, and factors.
struct Levels {
  float level[16], of_tile[16];
};

// What happens to scores before the softmax, but for their scale.
struct Bend {
  float cap;    // 0, or what hyperbolic tangents of them are multiplied by
  bool sloped;  // they lose AttentionScratch::slope for each position of distance
  bool any() const { return cap != 0.0f || sloped; }
};

// Bends a row's scores of the tile that starts at position `start`.
HWY_NOINLINE void bend_scores(Bend bend, const AttentionScratch& s, size_t row, size_t start,
                              float* score) {
  const FloatTag d;
  const auto nothing = hn::Set(d, -std::numeric_limits<float>::infinity());
  const auto by = hn::Set(d, s.q_scale[row]), cap = hn::Set(d, bend.cap);
  if (bend.cap != 0.0f) {
    INLAY_UNROLL(4) for (size_t p = 0; p < kKvTile; p += kFloatLanes) {
      const FloatVector x = hn::LoadU(d, score + p);
      const FloatVector y = hn::Mul(tanh_of(d, hn::Mul(x, by)), cap);
      hn::StoreU(hn::IfThenElse(hn::Eq(x, nothing), x, y), d, score + p);
    }
  }
  if (!bend.sloped) return;
  const auto unit = bend.cap != 0.0f ? hn::Set(d, 1.0f) : by, slope = hn::Set(d, s.slope[row]);
  for (size_t p = 0; p < kKvTile; p += kFloatLanes) {
    const FloatVector away = hn::Iota(d, static_cast<float>(start + p) - s.position[row]);
    const FloatVector x = hn::Mul(hn::LoadU(d, score + p), unit);
    hn::StoreU(hn::NegMulAdd(hn::Abs(away), slope, x), d, score + p);
  }
}

// Scores of rows [r, r + tile.rows), times q_scale, are base-2 logarithms of weights. Makes them
// the weights, relative to the row's maximum in the tile (kOfTile) or so far; 0 where a row does
// not see. Brings maxima, sums of weights and sums of V up to date. of_tile is what these weights
// must be multiplied by to be relative to the maximum so far. Row by row and step by step, not all
// of a row at once: each step waits for a sum over lanes of the one before.
template <bool kOfTile>
HWY_NOINLINE void softmax(const Tile& tile, size_t r, Bend bend, const KvLayout& lv,
                          const AttentionScratch& s, Levels& out) {
  const FloatTag d;
  const size_t stride = partial_floats(lv.head);
  constexpr float kNothing = -std::numeric_limits<float>::infinity();
  const auto nothing = hn::Set(d, kNothing);
  float of_row[16], maximum[16], tile_maximum[16];
  for (size_t i = 0; i < tile.rows; ++i) {
    float* score = s.score + i * kKvTile;
    if (!tile.whole) {
      const size_t from = HWY_MIN(tile.seen[i].from, kKvTile);
      for (size_t p = 0; p < from; ++p) score[p] = kNothing;
      for (size_t p = tile.seen[i].to; p < kKvTile; ++p) score[p] = kNothing;
    }
    if (HWY_UNLIKELY(bend.any())) bend_scores(bend, s, r + i, tile.start, score);
    FloatVector most = nothing;
    INLAY_UNROLL(16) for (size_t p = 0; p < kKvTile; p += kFloatLanes) {
      most = hn::Max(most, hn::LoadU(d, score + p));
    }
    tile_maximum[i] = hn::ReduceMax(d, most) * (bend.any() ? 1.0f : s.q_scale[r + i]);
    maximum[i] = s.state[(r + i) * stride];
  }
  for (size_t i = tile.rows; i < 16; ++i) tile_maximum[i] = maximum[i] = kNothing;
  for (size_t i = 0; i < kRowGroup; i += kFloatLanes) {
    const FloatVector of = hn::LoadU(d, tile_maximum + i), old = hn::LoadU(d, maximum + i);
    const FloatVector most = hn::Max(of, old);
    const FloatVector level = hn::IfThenZeroElse(hn::Eq(most, nothing), most);
    hn::StoreU(most, d, maximum + i);
    hn::StoreU(exp2_of(hn::Sub(old, level)), d, of_row + i);
    hn::StoreU(kOfTile ? exp2_of(hn::Sub(of, level)) : hn::Set(d, 1.0f), d, out.of_tile + i);
    hn::StoreU(kOfTile ? hn::IfThenZeroElse(hn::Eq(of, nothing), of) : level, d, out.level + i);
  }
  for (size_t i = 0; i < tile.rows; ++i) {
    float* score = s.score + i * kKvTile;
    const auto by = hn::Set(d, bend.any() ? 1.0f : s.q_scale[r + i]);
    const auto level = hn::Set(d, out.level[i]);
    FloatVector sum = hn::Zero(d);
    INLAY_UNROLL(16) for (size_t p = 0; p < kKvTile; p += kFloatLanes) {
      const FloatVector w = exp2_of(hn::MulSub(hn::LoadU(d, score + p), by, level));
      hn::StoreU(w, d, score + p);
      sum = hn::Add(sum, w);
    }
    float* weight = s.weight + (r + i) * 16;
    const auto factor = hn::Set(d, of_row[i]);
    const FloatVector before = hn::Mul(hn::LoadU(d, weight), factor);
    hn::StoreU(hn::MulAdd(sum, hn::Set(d, out.of_tile[i]), before), d, weight);
    float* state = s.state + (r + i) * stride;
    state[0] = maximum[i];
    if (of_row[i] == 1.0f) continue;
    for (size_t p = kPartialHead; p < stride; p += kFloatLanes) {
      hn::StoreU(hn::Mul(hn::LoadU(d, state + p), factor), d, state + p);
    }
  }
}

// Weights times scales of V as integers, and for each row what they are multiples of.
template <class T>
HWY_INLINE void round_weights(size_t rows, const float* v_scale, const Levels& levels,
                              const float* score, int16_t* out, float* out_scale) {
  const FloatTag d;
  const hn::Rebind<int16_t, FloatTag> d16;
  float most[16] = {}, sum[16] = {}, inverse[16];
  for (size_t i = 0; i < rows; ++i) {
    FloatVector m = hn::Zero(d), t = hn::Zero(d);
    INLAY_UNROLL(16) for (size_t p = 0; p < kKvTile; p += kFloatLanes) {
      const FloatVector x =
          hn::Mul(hn::LoadU(d, score + i * kKvTile + p), hn::LoadU(d, v_scale + p));
      m = hn::Max(m, x);
      if (sizeof(T) == 2) t = hn::Add(t, x);
    }
    most[i] = hn::ReduceMax(d, m);
    if (sizeof(T) == 2) sum[i] = hn::ReduceSum(d, t);
  }
  for (size_t i = 0; i < kRowGroup; i += kFloatLanes) {
    // The unit: the largest is at most 32767 of it, their sum kWeightLimit. Not 0.
    FloatVector unit = hn::Mul(hn::LoadU(d, most + i), hn::Set(d, 1.0f / 32767.0f));
    unit = hn::Max(unit, hn::Mul(hn::LoadU(d, sum + i), hn::Set(d, 1.0f / kWeightLimit)));
    unit = hn::Max(unit, hn::Set(d, 1e-35f));
    hn::StoreU(hn::Div(hn::Set(d, 1.0f), unit), d, inverse + i);
    hn::StoreU(hn::Mul(unit, hn::LoadU(d, levels.of_tile + i)), d, out_scale + i);
  }
  for (size_t i = 0; i < rows; ++i) {
    const auto by = hn::Set(d, inverse[i]);
    INLAY_UNROLL(16) for (size_t p = 0; p < kKvTile; p += kFloatLanes) {
      const FloatVector x =
          hn::Mul(hn::LoadU(d, score + i * kKvTile + p), hn::LoadU(d, v_scale + p));
      hn::StoreU(hn::DemoteTo(d16, hn::NearestInt(hn::Mul(x, by))), d16, out + i * kKvTile + p);
    }
  }
}

// Scores, softmax and sum for rows [r, r + tile.rows). k, v: the tile.
template <class T>
HWY_NOINLINE void attend(const Tile& tile, const KvLayout& lk, const KvLayout& lv, size_t r,
                         const T* k, const T* v, Bend bend, const AttentionScratch& s) {
  const size_t first = tile.any.from / kKvPanel * kKvPanel;
  const size_t last = round_up(tile.any.to, kKvPanel);
  const int16_t* q = reinterpret_cast<const int16_t*>(s.q) + r * lk.padded;
  for (size_t b = 0; b < lk.blocks; ++b) {
    const size_t dim = b * lk.block;
    multiply_rows<true, 2, 2 * kRowGroup>(
        tile.rows, HWY_MIN(lk.block, lk.padded - dim) / 2, (last - first) / kKvPanel,
        q + dim * kRowGroup, k + first * lk.padded + dim * kKvPanel, 2 * kKvPanel,
        lk.padded * kKvPanel, tile.next_k, s.k_scale + b * kKvTile + first, b > 0, s.score + first,
        kKvTile);
  }
  Levels levels;
  softmax<true>(tile, r, bend, lv, s, levels);
  for (size_t b = 0; b < lv.blocks; ++b) {
    const size_t dim = b * lv.block;
    round_weights<T>(tile.rows, s.v_scale + b * kKvTile, levels, s.score, s.p, s.p_scale);
    multiply_rows<false, kKvTile, 2>(
        tile.rows, (last - first) / 2, HWY_MIN(lv.block, lv.padded - dim) / 16, s.p + first,
        v + first * lv.padded + dim * 2, 2 * lv.padded, 32, tile.next_v, s.p_scale, true,
        s.state + r * partial_floats(lv.head) + kPartialHead + dim, partial_floats(lv.head));
  }
}

// The same in floats. Rows see different positions at the edges of what they see; there each goes
// alone, so that no row ever multiplies, even by zero, what another one sees.
HWY_NOINLINE void attend(const Tile& tile, const KvLayout& lk, const KvLayout& lv, size_t r,
                         const float* k, const float* v, Bend bend, const AttentionScratch& s) {
  const size_t first = tile.any.from / kKvPanel * kKvPanel;
  multiply_floats<false, kRowGroup, 1, kRowGroup>(
      lk.head, div_up(tile.any.to - first, kKvPanel), s.q + r * lk.padded, k + first * lk.padded,
      kKvPanel, lk.padded * kKvPanel, s.score + first, kKvTile);
  Levels levels;
  softmax<false>(tile, r, bend, lv, s, levels);
  const size_t stride = partial_floats(lv.head), units = lv.padded / 16;
  float* sum = s.state + r * stride + kPartialHead;
  const auto add = [&](auto rows, size_t i, Range range) HWY_ATTR {
    if (range.empty()) return;
    multiply_floats<true, decltype(rows)::value, kKvTile, 1>(
        range.to - range.from, units, s.score + i * kKvTile + range.from,
        v + range.from * lv.padded, lv.padded, 16, sum + i * stride, stride);
  };
  constexpr std::integral_constant<size_t, 1> kAlone;
  Range common = tile.any;
  for (size_t i = 0; i < tile.rows && !tile.whole; ++i) {
    common = {HWY_MAX(common.from, tile.seen[i].from), HWY_MIN(common.to, tile.seen[i].to)};
  }
  if (common.empty() || tile.rows < kRowGroup) {
    for (size_t i = 0; i < tile.rows; ++i) add(kAlone, i, tile.whole ? tile.any : tile.seen[i]);
    return;
  }
  for (size_t i = 0; i < tile.rows && !tile.whole; ++i) {
    add(kAlone, i, {tile.seen[i].from, common.from});
  }
  add(std::integral_constant<size_t, kRowGroup>(), 0, common);
  for (size_t i = 0; i < tile.rows && !tile.whole; ++i) {
    add(kAlone, i, {common.to, tile.seen[i].to});
  }
}

// The scale with which x becomes int16 (kNorm: so that their norm is at most kNormLimit); 0 if all
// are (almost) zero. Finite, whatever x is.
template <bool kNorm>
HWY_INLINE float scale_of(const float* x, size_t n) {
  const FloatTag d;
  FloatVector most = hn::Zero(d), squares = hn::Zero(d);
  for (size_t i = 0; i < n; i += kFloatLanes) {
    most = hn::Max(most, hn::Abs(hn::LoadN(d, x + i, n - i)));
  }
  const float maximum = hn::ReduceMax(d, most);
  if (maximum < 1e-30f) return 0.0f;
  if (!(maximum < 1e38f)) return 1e34f;
  if (!kNorm) return maximum / 32767.0f;
  const auto inverse = hn::Set(d, 1.0f / maximum);
  for (size_t i = 0; i < n; i += kFloatLanes) {
    const FloatVector y = hn::Mul(hn::LoadN(d, x + i, n - i), inverse);
    squares = hn::MulAdd(y, y, squares);
  }
  return maximum * HWY_MAX(1.0f / 32767.0f, std::sqrt(hn::ReduceSum(d, squares)) / kNormLimit);
}

// The first 16 of n values as integers, with zeros beyond; never the lowest, which has no
// counterpart.
template <class T>
HWY_INLINE void round_unit(const float* x, size_t n, float scale, T* out) {
  const FloatTag d;
  const hn::Rebind<T, FloatTag> dt;
  constexpr float kMost = sizeof(T) == 2 ? 32767.0f : 127.0f;
  const auto inverse = hn::Set(d, scale > 0.0f ? 1.0f / scale : 0.0f), most = hn::Set(d, kMost);
  for (size_t i = 0; i < 16; i += kFloatLanes) {
    const FloatVector v =
        i + kFloatLanes <= n ? hn::LoadU(d, x + i) : hn::LoadN(d, x + i, n > i ? n - i : 0);
    const FloatVector y = hn::Max(hn::Min(hn::Mul(v, inverse), most), hn::Neg(most));
    hn::StoreU(hn::DemoteTo(dt, hn::NearestInt(y)), dt, out + i);
  }
}

// Scales of a tile's positions [first, last); zero for the others of the tile. `ahead` as in
// multiply().
HWY_NOINLINE void load_scales(const KvLayout& l, const uint8_t* head, size_t tile, size_t first,
                              size_t last, size_t ahead, float* out) {
  const FloatTag d;
  const uint8_t* scales = head + l.scales();
  for (size_t b = 0; b < l.blocks; ++b, out += kKvTile) {
    for (size_t p = first / kKvPanel * kKvPanel; p < last; p += kFloatLanes) {
      const uint8_t* at = scales + (l.scale(p) + b * kKvPanel) * l.scale_bytes();
      INLAY_PREFETCH(further(at, ahead), 2);
      const FloatVector x =
          l.format == KvFormat::i16
              ? hn::LoadU(d, reinterpret_cast<const float*>(at))
              : hn::PromoteTo(d, hn::LoadU(hn::Rebind<hwy::float16_t, FloatTag>(),
                                           reinterpret_cast<const hwy::float16_t*>(at)));
      hn::StoreU(x, d, out + p - tile);
    }
    for (size_t p = tile; p < first; ++p) out[p - tile] = 0.0f;
    for (size_t p = last; p < tile + kKvTile; ++p) out[p - tile] = 0.0f;
  }
}

// Adds attention over further positions to that over those before them.
HWY_NOINLINE void combine(const float* next, size_t padded, float* total) {
  const FloatTag d;
  if (next[1] == 0.0f) return;
  if (total[1] == 0.0f) {
    std::memcpy(total, next, (kPartialHead + padded) * sizeof(float));
    return;
  }
  const float maximum = HWY_MAX(total[0], next[0]);
  const FloatVector a = exp2_of(hn::Set(d, total[0] - maximum)),
                    b = exp2_of(hn::Set(d, next[0] - maximum));
  total[0] = maximum;
  total[1] = total[1] * hn::GetLane(a) + next[1] * hn::GetLane(b);
  for (size_t i = kPartialHead; i < kPartialHead + padded; i += kFloatLanes) {
    const FloatVector x = hn::Mul(hn::LoadU(d, total + i), a);
    hn::StoreU(hn::MulAdd(hn::LoadU(d, next + i), b, x), d, total + i);
  }
}

// To where a.out has it.
HWY_NOINLINE void write_result(const Attention& a, const float* total, size_t query, size_t head) {
  const FloatTag d;
  const size_t size = a.kv.head_v;
  float* out = a.out + query * a.out_stride + head * size;
  FloatVector factor = hn::Set(d, 1.0f / total[1]);
  if (a.sinks != nullptr) {
    const float sink = a.sinks[head] * kLog2E, level = HWY_MAX(sink, total[0]);
    const FloatVector seen = exp2_of(hn::Set(d, total[0] - level));
    const FloatVector sum =
        hn::MulAdd(seen, hn::Set(d, total[1]), exp2_of(hn::Set(d, sink - level)));
    factor = hn::Div(seen, sum);
  }
  for (size_t i = 0; i < size; i += kFloatLanes) {
    hn::StoreN(hn::Mul(hn::LoadU(d, total + kPartialHead + i), factor), d, out + i, size - i);
  }
}

HWY_INLINE float* partial_of(const Attention& a, size_t query, size_t head, size_t chunk) {
  return a.partial +
         ((query * a.n_heads + head) * a.chunks() + chunk) * partial_floats(a.kv.head_v);
}

// Queries [begin, end) for one KV head: rows of group heads each, ready to be multiplied.
HWY_NOINLINE void load_queries(const Attention& a, const KvLayout& lk, uint32_t kv_head,
                               uint32_t begin, size_t rows, const AttentionScratch& s) {
  // The softmax is computed with powers of two: its factor log2(e) goes into q, or after the soft
  // cap.
  const size_t group = a.n_heads / a.kv.n_kv_heads;
  const float scale = a.softcap != 0.0f ? a.scale / a.softcap : a.scale * kLog2E;
  std::memset(s.q, 0, round_up(rows, kRowGroup) * lk.padded * sizeof(float));
  for (size_t r = 0; r < rows && a.slopes != nullptr; ++r) {
    s.slope[r] = a.slopes[kv_head * group + r % group] * kLog2E;
    s.position[r] = static_cast<float>(a.first + begin + r / group);
  }
  for (size_t r = 0; r < rows; ++r) {
    const float* from =
        a.q + (begin + r / group) * a.q_stride + (kv_head * group + r % group) * lk.head;
    const size_t at = r / kRowGroup * kRowGroup * lk.padded;
    if (a.kv.format == KvFormat::f32) {
      s.q_scale[r] = scale;
      for (size_t i = 0; i < lk.head; ++i) s.q[at + i * kRowGroup + r % kRowGroup] = from[i];
      continue;
    }
    const float unit = scale_of<true>(from, lk.head);
    s.q_scale[r] = unit > 0.0f ? unit * scale : scale;  // never 0: it is multiplied by -infinity
    for (size_t dim = 0; dim < lk.padded; dim += 16) {
      alignas(64) int16_t x[16];
      round_unit(from + dim, lk.head - dim, unit, x);
      int16_t* to = reinterpret_cast<int16_t*>(s.q) + at + dim * kRowGroup + r % kRowGroup * 2;
      for (size_t i = 0; i < 16; i += 2) std::memcpy(to + i * kRowGroup, x + i, 2 * sizeof *x);
    }
  }
}

// Tile by tile, positions [from, to) as far as each row sees them. seen_by: by row.
template <class T, class SeenBy>
HWY_INLINE void attend_chunk(const Attention& a, const KvLayout& lk, const KvLayout& lv,
                             uint32_t kv_head, Range chunk, size_t rows, const SeenBy& seen_by,
                             const AttentionScratch& s) {
  const Bend bend{a.softcap * kLog2E, a.slopes != nullptr};
  const auto page_of = [&a](size_t position) { return a.kv.pages[position / a.kv.page]; };
  for (size_t tile = chunk.from / kKvTile * kKvTile; tile < chunk.to; tile += kKvTile) {
    const size_t at = tile % a.kv.page;  // in its page
    const uint8_t* k = page_of(tile) + a.kv.k + kv_head * lk.bytes();
    const uint8_t* v = page_of(tile) + a.kv.v + kv_head * lv.bytes();
    // To the next tile, from each place in this one to the same in that.
    const bool turns = at + kKvTile == a.kv.page && tile + kKvTile < chunk.to;
    const size_t next = turns ? 0 : at + kKvTile;
    const size_t way = turns ? reinterpret_cast<uintptr_t>(page_of(tile + kKvTile)) -
                                   reinterpret_cast<uintptr_t>(page_of(tile))
                             : 0;
    const auto ahead = [&](const KvLayout& l) {
      return way + (l.tile(next) - l.tile(at)) * sizeof(T);
    };
    const auto scales_ahead = [&](const KvLayout& l) {
      return way + (l.scale(next) - l.scale(at)) * l.scale_bytes();
    };
    if (sizeof(T) != sizeof(float)) {
      const size_t page = tile - at;
      const size_t first = HWY_MAX(tile, chunk.from), last = HWY_MIN(tile + kKvTile, chunk.to);
      load_scales(lk, k, at, first - page, last - page, scales_ahead(lk), s.k_scale);
      load_scales(lv, v, at, first - page, last - page, scales_ahead(lv), s.v_scale);
    }
    const Range least{seen_by(rows - 1).from, seen_by(0).to};
    for (size_t r = 0; r < rows; r += kRowGroup) {
      Tile t{HWY_MIN(kRowGroup, rows - r),
             tile,
             tile >= least.from && tile + kKvTile <= least.to,
             {},
             {},
             ahead(lk),
             ahead(lv)};
      t.any = {0, kKvTile};
      if (!t.whole) {
        t.any = {kKvTile, 0};
        for (size_t i = 0; i < t.rows; ++i) {
          const Range all = seen_by(r + i);
          t.seen[i] = {HWY_MAX(all.from, tile) - tile,
                       HWY_MIN(HWY_MAX(all.to, tile), tile + kKvTile) - tile};
          if (t.seen[i].empty()) continue;
          t.any = {HWY_MIN(t.any.from, t.seen[i].from), HWY_MAX(t.any.to, t.seen[i].to)};
        }
        if (t.any.empty()) continue;
      }
      attend(t, lk, lv, r, reinterpret_cast<const T*>(k) + lk.tile(at),
             reinterpret_cast<const T*>(v) + lv.tile(at), bend, s);
    }
  }
}

// attention() of so few queries that the scratch memory has room for their rows.
HWY_INLINE void attend_queries(const Attention& a, uint32_t kv_head, uint32_t begin, uint32_t end,
                               uint32_t chunk, void* memory) {
  const FloatTag d;
  const KvView& kv = a.kv;
  const KvLayout lk(kv.format, kv.head_k, kv.page), lv(kv.format, kv.head_v, kv.page);
  const size_t group = a.n_heads / kv.n_kv_heads, rows = group * (end - begin);
  const size_t stride = partial_floats(lv.head);
  const AttentionScratch s(memory, rows, lk.head, lv.head);
  load_queries(a, lk, kv_head, begin, rows, s);

  const size_t end_of_all = size_t{a.first} + a.n;
  const size_t back = a.window == 0 ? end_of_all : a.causal ? a.window - 1 : a.window / 2;
  const size_t ahead = a.causal ? 0 : back;
  const auto seen_by = [&](size_t row) {  // positions [from, to)
    const size_t own = size_t{a.first} + begin + row / group;
    return Range{own > back ? own - back : 0, HWY_MIN(own + ahead + 1, end_of_all)};
  };
  const Range all{seen_by(0).from, seen_by(rows - 1).to};
  const size_t base = a.first_seen() / kKvChunk;
  const size_t first = chunk == kAllChunks ? all.from / kKvChunk : base + chunk;
  const size_t last = chunk == kAllChunks ? div_up(all.to, size_t{kKvChunk}) : base + chunk + 1;
  for (size_t c = first; c < last; ++c) {
    for (size_t r = 0; r < rows; ++r) s.state[r * stride] = -std::numeric_limits<float>::infinity();
    for (size_t r = 0; r < rows; ++r) {
      std::memset(s.state + r * stride + 1, 0, (stride - 1) * sizeof(float));
    }
    std::memset(s.weight, 0, rows * 16 * sizeof(float));
    const Range range{HWY_MAX(all.from, c * kKvChunk), HWY_MIN(all.to, (c + 1) * kKvChunk)};
    switch (kv.format) {
      case KvFormat::f32:
        attend_chunk<float>(a, lk, lv, kv_head, range, rows, seen_by, s);
        break;
      case KvFormat::i16:
        attend_chunk<int16_t>(a, lk, lv, kv_head, range, rows, seen_by, s);
        break;
      case KvFormat::q8_0:
        attend_chunk<int8_t>(a, lk, lv, kv_head, range, rows, seen_by, s);
        break;
    }
    for (size_t r = 0; r < rows; ++r) {
      float* state = s.state + r * stride;
      state[1] = hn::ReduceSum(d, hn::LoadU(d, s.weight + r * 16));
      if (chunk != kAllChunks) {
        const size_t query = begin + r / group, head = kv_head * group + r % group;
        std::memcpy(partial_of(a, query, head, chunk), state, stride * sizeof(float));
      } else if (c == first) {
        std::memcpy(s.total + r * stride, state, stride * sizeof(float));
      } else {
        combine(state, lv.padded, s.total + r * stride);
      }
    }
  }
  if (chunk != kAllChunks) return;
  for (size_t r = 0; r < rows; ++r) {
    write_result(a, s.total + r * stride, begin + r / group, kv_head * group + r % group);
  }
}

void attention(const Attention& a, uint32_t kv_head, uint32_t begin, uint32_t end, uint32_t chunk,
               void* memory) {
  const uint32_t step = queries_at_once(a.n_heads / a.kv.n_kv_heads);
  for (; begin < end; begin += step) {
    attend_queries(a, kv_head, begin, HWY_MIN(end, begin + step), chunk, memory);
  }
}

void combine_attention(const Attention& a, uint32_t begin, uint32_t end) {
  const size_t head_v = a.kv.head_v, chunks = a.chunks();
  for (size_t query = begin; query < end; ++query) {
    for (size_t head = 0; head < a.n_heads; ++head) {
      float* total = partial_of(a, query, head, 0);
      for (size_t c = 1; c < chunks; ++c) {
        combine(partial_of(a, query, head, c), round_up(head_v, 16), total);
      }
      write_result(a, total, query, head);
    }
  }
}

// ---- writing the cache --------------------------------------------------------------------------

// Where the values of one head of one position lie: value i at at[i / 2 * pair + i % 2 * next].
template <class T>
struct Places {
  T* at;
  size_t pair, next;
  HWY_INLINE void put(size_t i, const T* x) const {  // 16 values
    for (size_t j = 0; j < 16; j += 2) {
      at[(i + j) / 2 * pair] = x[j];
      at[(i + j) / 2 * pair + next] = x[j + 1];
    }
  }
};

// A position of a head, K or V, that starts at `head`.
template <bool kIsK>
HWY_INLINE void store_head(const KvLayout& l, const float* x, size_t position, uint8_t* head) {
  const size_t panel = position / kKvPanel * kKvPanel * l.padded, lane = position % kKvPanel;
  const size_t pair = position / 2 * 2 * l.padded, half = position % 2;
  if (l.format == KvFormat::f32) {
    float* at = reinterpret_cast<float*>(head) + (kIsK ? panel + lane : position * l.padded);
    const Places<float> to =
        kIsK ? Places<float>{at, 2 * kKvPanel, kKvPanel} : Places<float>{at, 2, 1};
    for (size_t i = 0; i < l.padded; i += 16) {
      alignas(64) float padded[16] = {};
      std::memcpy(padded, x + i, HWY_MIN(l.head - i, 16) * sizeof(float));
      to.put(i, padded);
    }
    return;
  }
  const auto store = [&](auto* at, size_t begin, size_t end, float scale) HWY_ATTR {
    using T = std::remove_pointer_t<decltype(at)>;
    at += kIsK ? panel + lane * 2 : pair + half;
    const Places<T> to = kIsK ? Places<T>{at, 2 * kKvPanel, 1} : Places<T>{at, 4, 2};
    for (size_t i = begin; i < end; i += 16) {
      alignas(64) T q[16];
      round_unit(x + i, l.head > i ? l.head - i : 0, scale, q);
      to.put(i, q);
    }
  };
  uint8_t* scales = head + l.scales();
  const size_t scale_at = l.scale(position);
  if (l.format == KvFormat::i16) {
    const float scale = scale_of<kIsK>(x, l.head);
    reinterpret_cast<float*>(scales)[scale_at] = scale;
    store(reinterpret_cast<int16_t*>(head), 0, l.padded, scale);
    return;
  }
  const FloatTag d;
  for (size_t b = 0; b < l.blocks; ++b) {
    const size_t begin = b * 32, end = HWY_MIN(begin + 32, l.head);
    FloatVector most = hn::Zero(d);
    for (size_t i = begin; i < end; i += kFloatLanes) {
      most = hn::Max(most, hn::Abs(hn::LoadN(d, x + i, end - i)));
    }
    // Never infinite: a weight of 0 must give 0.
    const uint16_t bits = float_to_half(HWY_MIN(hn::ReduceMax(d, most) / 127.0f, 65504.0f));
    reinterpret_cast<uint16_t*>(scales)[scale_at + b * kKvPanel] = bits;
    store(reinterpret_cast<int8_t*>(head), begin, HWY_MIN(begin + 32, l.padded),
          half_to_float(bits));
  }
}

void store_kv(const KvView& kv, uint32_t position, const float* k, const float* v) {
  const KvLayout lk(kv.format, kv.head_k, kv.page), lv(kv.format, kv.head_v, kv.page);
  uint8_t* page = kv.pages[position / kv.page];
  for (size_t h = 0; h < kv.n_kv_heads; ++h) {
    store_head<true>(lk, k + h * lk.head, position % kv.page, page + kv.k + h * lk.bytes());
    store_head<false>(lv, v + h * lv.head, position % kv.page, page + kv.v + h * lv.bytes());
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace detail
INLAY_END_NAMESPACE
HWY_AFTER_NAMESPACE();
