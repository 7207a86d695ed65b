// Attention over the KV cache, and the writing of the cache. Compiled per target.
//
// All query heads that share a KV head, of all queries of the call, are rows of one small matrix
// product with K and of another with V; a row's softmax is kept up to date tile by tile (maximum,
// sum of weights, weighted sum of V), so no score outlives its tile. What is computed for a row is
// the same whichever rows come with it.
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
inline constexpr size_t kRegisters = HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM_A64 ? 32 : 16;
inline constexpr size_t kRowGroup =
    kRegisters / 2 / kUnitVectors < 8 ? kRegisters / 2 / kUnitVectors : 8;
// Up to this many rows, halves are converted in the inner loops, again for each group of rows;
// beyond, and always without an instruction for it, once for all rows. (Measured on Zen 4.)
inline constexpr size_t kConvertingRows = HWY_TARGET <= HWY_AVX2 || HWY_ARCH_ARM ? 24 : kRowGroup;
static_assert(kRowGroup <= kMaxRowGroup);

HWY_INLINE FloatVector load_floats(const float* p) { return hn::LoadU(FloatTag(), p); }
HWY_INLINE FloatVector load_floats(const hwy::float16_t* p) {
  return hn::PromoteTo(FloatTag(), hn::LoadU(hn::Rebind<hwy::float16_t, FloatTag>(), p));
}
HWY_INLINE FloatVector load_floats(const int8_t* p) {
  const hn::RebindToSigned<FloatTag> di;
  return hn::ConvertTo(FloatTag(), hn::PromoteTo(di, hn::LoadU(hn::Rebind<int8_t, FloatTag>(), p)));
}

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

// out[r][u * 16 + lane] = (kAdd: +=) sum over i < n of a[r][i] * b[i][u][lane], for kRows rows and
// kUnits units: scores (i = dimension) and weighted sums of V (i = position). One chain of fused
// additions for each output, in the order of i, whatever kRows and kUnits are. Strides: a: kStrideR
// for r, kStrideI for i; b: b_i for i, b_u for u; out: out_r for r, 16 for u.
template <bool kAdd, size_t kRows, size_t kUnits, size_t kStrideR, size_t kStrideI, class T>
HWY_NOINLINE void multiply(size_t n, const float* HWY_RESTRICT a, const T* HWY_RESTRICT b,
                           size_t b_i, size_t b_u, float* HWY_RESTRICT out, size_t out_r) {
  const FloatTag d;
  FloatVector sum[kRows][kUnits][kUnitVectors];
  HWY_UNROLL(16) for (size_t r = 0; r < kRows; ++r) {
    HWY_UNROLL(16) for (size_t u = 0; u < kUnits; ++u) {
      HWY_UNROLL(16) for (size_t v = 0; v < kUnitVectors; ++v) {
        sum[r][u][v] =
            kAdd ? hn::LoadU(d, out + r * out_r + u * 16 + v * kFloatLanes) : hn::Zero(d);
      }
    }
  }
  for (size_t i = 0; i < n; ++i) {
    FloatVector x[kUnits][kUnitVectors];
    HWY_UNROLL(16) for (size_t u = 0; u < kUnits; ++u) {
      HWY_UNROLL(16) for (size_t v = 0; v < kUnitVectors; ++v) {
        x[u][v] = load_floats(b + u * b_u + v * kFloatLanes);
      }
    }
    HWY_UNROLL(16) for (size_t r = 0; r < kRows; ++r) {
      const FloatVector factor = hn::Set(d, a[r * kStrideR]);
      HWY_UNROLL(16) for (size_t u = 0; u < kUnits; ++u) {
        HWY_UNROLL(16) for (size_t v = 0; v < kUnitVectors; ++v) {
          sum[r][u][v] = hn::MulAdd(factor, x[u][v], sum[r][u][v]);
        }
      }
    }
    a += kStrideI;
    b += b_i;
  }
  HWY_UNROLL(16) for (size_t r = 0; r < kRows; ++r) {
    HWY_UNROLL(16) for (size_t u = 0; u < kUnits; ++u) {
      HWY_UNROLL(16) for (size_t v = 0; v < kUnitVectors; ++v) {
        hn::StoreU(sum[r][u][v], d, out + r * out_r + u * 16 + v * kFloatLanes);
      }
    }
  }
}

// multiply() for any number of units.
template <bool kAdd, size_t kRows, size_t kStrideR, size_t kStrideI, class T>
HWY_INLINE void multiply_units(size_t n, size_t units, const float* a, const T* b, size_t b_i,
                               size_t b_u, float* out, size_t out_r) {
  // Registers for the sums, for one load of each unit, and for the factor.
  constexpr size_t kFit = (kRegisters - 1) / ((kRows + 1) * kUnitVectors);
  constexpr size_t kUnits = kFit >= 4 ? 4 : kFit >= 2 ? 2 : 1;
  size_t u = 0;
  for (; u + kUnits <= units; u += kUnits) {
    multiply<kAdd, kRows, kUnits, kStrideR, kStrideI>(n, a, b + u * b_u, b_i, b_u, out + u * 16,
                                                      out_r);
  }
  if (kUnits > 1) {
    for (; u < units; ++u) {
      multiply<kAdd, kRows, 1, kStrideR, kStrideI>(n, a, b + u * b_u, b_i, b_u, out + u * 16,
                                                   out_r);
    }
  }
}

// multiply_units() for `rows` rows, 1 <= rows <= kRowGroup.
template <bool kAdd, size_t kStrideR, size_t kStrideI, class T, size_t kRows = kRowGroup>
HWY_INLINE void multiply_rows(size_t rows, size_t n, size_t units, const float* a, const T* b,
                              size_t b_i, size_t b_u, float* out, size_t out_r) {
  if constexpr (kRows > 1) {
    if (rows < kRows) {
      return multiply_rows<kAdd, kStrideR, kStrideI, T, kRows - 1>(rows, n, units, a, b, b_i, b_u,
                                                                   out, out_r);
    }
  }
  multiply_units<kAdd, kRows, kStrideR, kStrideI>(n, units, a, b, b_i, b_u, out, out_r);
}

// Positions [from, to) of a tile that one row sees.
struct Range {
  size_t from, to;
};

// One row's scores of a tile (base-2 logarithms of weights) become weights, 0 outside `seen` in the
// panels that it touches; maximum, sum of weights and sum of V are brought up to date. `cap`: 0, or
// what hyperbolic tangents of the scores are multiplied by.
HWY_INLINE void softmax(float* score, Range seen, float cap, float* maximum, float* weight,
                        float* sum, size_t padded) {
  const FloatTag d;
  const size_t first = seen.from / kKvPanel * kKvPanel, last = round_up(seen.to, kKvPanel);
  if (cap != 0.0f) {
    for (size_t i = first; i < last; i += kFloatLanes) {
      const FloatVector t = tanh_of(d, hn::LoadU(d, score + i));
      hn::StoreU(hn::Mul(t, hn::Set(d, cap)), d, score + i);
    }
  }
  constexpr float kNothing = -std::numeric_limits<float>::infinity();
  for (size_t i = first; i < seen.from; ++i) score[i] = kNothing;
  for (size_t i = seen.to; i < last; ++i) score[i] = kNothing;
  FloatVector most = hn::Set(d, kNothing);
  for (size_t i = first; i < last; i += kFloatLanes) most = hn::Max(most, hn::LoadU(d, score + i));
  FloatVector total = hn::LoadU(d, weight);
  const float tile_maximum = hn::ReduceMax(d, most);
  if (tile_maximum > *maximum) {
    const FloatVector factor = exp2_of(hn::Set(d, *maximum - tile_maximum));
    for (size_t i = 0; i < padded; i += kFloatLanes) {
      hn::StoreU(hn::Mul(hn::LoadU(d, sum + i), factor), d, sum + i);
    }
    total = hn::Mul(total, factor);
    *maximum = tile_maximum;
  }
  INLAY_PIN(total);  // a product of its own, never part of a fused addition
  const auto level = hn::Set(d, *maximum);
  for (size_t i = first; i < last; i += kFloatLanes) {
    const FloatVector p = exp2_of(hn::Sub(hn::LoadU(d, score + i), level));
    hn::StoreU(p, d, score + i);
    total = hn::Add(total, p);
  }
  hn::StoreU(total, d, weight);
}

// sum[row] += weights of the row times V. Rows see different positions at the edges of what they
// see; there each goes alone, so that no row ever multiplies, even by zero, what another one sees.
template <class T>
HWY_INLINE void add_values(size_t rows, const Range* seen, const float* score, const T* v,
                           size_t padded, float* sum) {
  const size_t units = padded / 16;
  Range common = seen[0];
  for (size_t r = 1; r < rows; ++r) {
    common.from = HWY_MAX(common.from, seen[r].from);
    common.to = HWY_MIN(common.to, seen[r].to);
  }
  const auto alone = [&](size_t r, size_t from, size_t to) HWY_ATTR {
    if (from < to) {
      multiply_units<true, 1, kKvTile, 1>(to - from, units, score + r * kKvTile + from,
                                          v + from * padded, padded, 16, sum + r * padded, padded);
    }
  };
  if (common.from >= common.to) {
    for (size_t r = 0; r < rows; ++r) alone(r, seen[r].from, seen[r].to);
    return;
  }
  for (size_t r = 0; r < rows; ++r) alone(r, seen[r].from, common.from);
  multiply_rows<true, kKvTile, 1>(rows, common.to - common.from, units, score + common.from,
                                  v + common.from * padded, padded, 16, sum, padded);
  for (size_t r = 0; r < rows; ++r) alone(r, common.to, seen[r].to);
}

// Scores, softmax and sum for one group of rows and one tile. k, v: the tile; k_unit: elements
// between panels.
template <class T>
HWY_INLINE void attend(size_t rows, const Range* seen, size_t head, const float* q, const T* k,
                       size_t k_unit, const T* v, size_t padded, float cap, float* score,
                       float* maximum, float* weight, float* sum) {
  Range any{kKvTile, 0};
  for (size_t r = 0; r < rows; ++r) {
    if (seen[r].from >= seen[r].to) continue;
    any.from = HWY_MIN(any.from, seen[r].from);
    any.to = HWY_MAX(any.to, seen[r].to);
  }
  if (any.from >= any.to) return;
  const size_t first = any.from / kKvPanel, panels = div_up(any.to, kKvPanel) - first;
  multiply_rows<false, 1, kRowGroup>(rows, head, panels, q, k + first * k_unit, 16, k_unit,
                                     score + first * kKvPanel, kKvTile);
  for (size_t r = 0; r < rows; ++r) {
    if (seen[r].from >= seen[r].to) continue;
    softmax(score + r * kKvTile, seen[r], cap, maximum + r, weight + r * 16, sum + r * padded,
            padded);
  }
  add_values(rows, seen, score, v, padded, sum);
}

// `n` halves of a tile of K or V as floats.
HWY_INLINE void expand(const hwy::float16_t* from, size_t n, float* out) {
  for (size_t i = 0; i < n; i += kFloatLanes)
    hn::StoreU(load_floats(from + i), FloatTag(), out + i);
}

// A panel of int8 K: from[padded][16], scale[blocks][16].
HWY_INLINE void expand_k(const int8_t* from, const uint16_t* scale, size_t head, float* out) {
  for (size_t block = 0; block < head; block += 32, scale += kKvPanel) {
    FloatVector s[kUnitVectors];
    HWY_UNROLL(16) for (size_t v = 0; v < kUnitVectors; ++v) {
      s[v] = load_floats(reinterpret_cast<const hwy::float16_t*>(scale) + v * kFloatLanes);
    }
    const size_t end = HWY_MIN(block + 32, head) * kKvPanel;
    for (size_t i = block * kKvPanel; i < end; i += kKvPanel) {
      HWY_UNROLL(16) for (size_t v = 0; v < kUnitVectors; ++v) {
        const size_t at = i + v * kFloatLanes;
        hn::StoreU(hn::Mul(load_floats(from + at), s[v]), FloatTag(), out + at);
      }
    }
  }
}

// A position of int8 V: from[padded], scale[blocks].
HWY_INLINE void expand_v(const int8_t* from, const uint16_t* scale, size_t padded, float* out) {
  const hn::Rebind<uint16_t, FloatTag> du;
  const hn::Rebind<hwy::float16_t, FloatTag> dh;
  for (size_t block = 0; block < padded; block += 32, ++scale) {
    const FloatVector s = hn::PromoteTo(FloatTag(), hn::BitCast(dh, hn::Set(du, *scale)));
    const size_t end = HWY_MIN(block + 32, padded);
    for (size_t i = block; i < end; i += kFloatLanes) {
      hn::StoreU(hn::Mul(load_floats(from + i), s), FloatTag(), out + i);
    }
  }
}

void attention(const Attention& a, uint32_t kv_head, uint32_t begin, uint32_t end, void* memory) {
  const FloatTag d;
  const KvView& kv = a.kv;
  const KvLayout lk(kv.head_k, kv.capacity), lv(kv.head_v, kv.capacity);
  const uint8_t* k = kv.k + kv_head * lk.bytes(kv.format);
  const uint8_t* v = kv.v + kv_head * lv.bytes(kv.format);
  const size_t group = a.n_heads / kv.n_kv_heads, rows = group * (end - begin);
  const AttentionScratch scratch(memory, rows, lk.head, lv.head);

  // The softmax is computed with powers of two: its factor log2(e) goes into q, or after the soft
  // cap.
  constexpr float kLog2e = 1.44269504f;
  const float cap = a.softcap * kLog2e;
  const float q_scale = a.softcap != 0.0f ? a.scale / a.softcap : a.scale * kLog2e;
  for (size_t r = 0; r < rows; ++r) {
    const float* from =
        a.q + (begin + r / group) * a.q_stride + (kv_head * group + r % group) * lk.head;
    float* to = scratch.q + r / kRowGroup * kRowGroup * lk.head + r % kRowGroup;
    for (size_t dim = 0; dim < lk.head; ++dim) to[dim * kRowGroup] = from[dim] * q_scale;
    scratch.maximum[r] = -std::numeric_limits<float>::infinity();
  }
  std::memset(scratch.sum, 0, rows * lv.padded * sizeof(float));
  std::memset(scratch.weight, 0, rows * 16 * sizeof(float));

  const size_t window = a.window == 0 ? SIZE_MAX : a.window;
  const auto seen_by = [&](size_t query) {  // positions [from, to)
    const size_t to = static_cast<size_t>(a.first) + query + 1;
    return Range{to > window ? to - window : 0, to};
  };
  const Range all{seen_by(begin).from, seen_by(end - 1).to};
  const bool expanded =
      kv.format == KvFormat::q8_0 || (kv.format == KvFormat::f16 && rows > kConvertingRows);
  for (size_t tile = all.from / kKvTile * kKvTile; tile < all.to; tile += kKvTile) {
    const size_t first = HWY_MAX(tile, all.from), last = HWY_MIN(tile + kKvTile, all.to);
    if (expanded) {
      for (size_t p = first / kKvPanel * kKvPanel; p < last; p += kKvPanel) {
        float* out = scratch.k + (p - tile) * lk.padded;
        if (kv.format == KvFormat::f16) {
          expand(reinterpret_cast<const hwy::float16_t*>(k) + lk.k_value(p), lk.head * kKvPanel,
                 out);
        } else {
          expand_k(reinterpret_cast<const int8_t*>(k) + lk.k_value(p),
                   reinterpret_cast<const uint16_t*>(k + lk.scales()) + lk.k_scale(p), lk.head,
                   out);
        }
      }
      for (size_t p = first; p < last; ++p) {
        float* out = scratch.v + (p - tile) * lv.padded;
        if (kv.format == KvFormat::f16) {
          expand(reinterpret_cast<const hwy::float16_t*>(v) + lv.v_value(p), lv.padded, out);
        } else {
          expand_v(reinterpret_cast<const int8_t*>(v) + lv.v_value(p),
                   reinterpret_cast<const uint16_t*>(v + lv.scales()) + lv.v_scale(p), lv.padded,
                   out);
        }
      }
    }
    for (size_t r = 0; r < rows; r += kRowGroup) {
      const size_t count = HWY_MIN(kRowGroup, rows - r);
      Range seen[kRowGroup];
      for (size_t i = 0; i < count; ++i) {
        seen[i] = seen_by(begin + (r + i) / group);
        seen[i].from = HWY_MAX(seen[i].from, tile) - tile;
        seen[i].to = HWY_MIN(HWY_MAX(seen[i].to, tile), tile + kKvTile) - tile;
      }
      const auto run = [&](const auto* tile_k, const auto* tile_v) HWY_ATTR {
        attend(count, seen, lk.head, scratch.q + r * lk.head, tile_k, lk.padded * kKvPanel, tile_v,
               lv.padded, cap, scratch.score, scratch.maximum + r, scratch.weight + r * 16,
               scratch.sum + r * lv.padded);
      };
      if (expanded) {
        run(scratch.k, scratch.v);
      } else if (kv.format == KvFormat::f16) {
        run(reinterpret_cast<const hwy::float16_t*>(k) + lk.k_value(tile),
            reinterpret_cast<const hwy::float16_t*>(v) + lv.v_value(tile));
      } else {
        run(reinterpret_cast<const float*>(k) + lk.k_value(tile),
            reinterpret_cast<const float*>(v) + lv.v_value(tile));
      }
    }
  }

  for (size_t r = 0; r < rows; ++r) {
    float* out =
        a.out + (begin + r / group) * a.out_stride + (kv_head * group + r % group) * lv.head;
    const auto inverse = hn::Set(d, 1.0f / hn::ReduceSum(d, hn::LoadU(d, scratch.weight + r * 16)));
    for (size_t i = 0; i < lv.head; i += kFloatLanes) {
      hn::StoreN(hn::Mul(hn::LoadU(d, scratch.sum + r * lv.padded + i), inverse), d, out + i,
                 lv.head - i);
    }
  }
}

// `n` <= 32 floats as int8 times a half, which is returned as bits; q is padded with zeros to 32.
HWY_INLINE uint16_t quantize_block(const float* x, size_t n, int8_t* q) {
  float most = 0.0f;
  for (size_t i = 0; i < n; ++i) most = HWY_MAX(most, std::fabs(x[i]));
  const uint16_t bits = float_to_half(most / 127.0f);
  const float scale = half_to_float(bits);
  const float inverse = scale > 0.0f ? 1.0f / scale : 0.0f;
  for (size_t i = 0; i < 32; ++i) {
    const float y = i < n ? x[i] * inverse : 0.0f;
    q[i] = static_cast<int8_t>(std::lrintf(HWY_MIN(HWY_MAX(y, -127.0f), 127.0f)));
  }
  return bits;
}

// One head of one position, K or V: value i goes to at + i * step, in elements of the format.
void store_head(KvFormat format, const float* x, size_t head, size_t padded, uint8_t* values,
                size_t at, size_t step, uint8_t* scales, size_t scale_at, size_t scale_step) {
  const FloatTag d;
  const hn::Rebind<hwy::float16_t, FloatTag> dh;
  if (format == KvFormat::q8_0) {
    for (size_t i = 0; i < head; i += 32) {
      int8_t q[32];
      const uint16_t scale = quantize_block(x + i, HWY_MIN(head - i, 32), q);
      reinterpret_cast<uint16_t*>(scales)[scale_at + i / 32 * scale_step] = scale;
      for (size_t j = 0; j < HWY_MIN(padded - i, 32); ++j) {
        reinterpret_cast<int8_t*>(values)[at + (i + j) * step] = q[j];
      }
    }
    return;
  }
  for (size_t i = 0; i < padded; i += kFloatLanes) {
    const FloatVector value = i + kFloatLanes <= head
                                  ? hn::LoadU(d, x + i)
                                  : hn::LoadN(d, x + i, head > i ? head - i : 0);
    if (format == KvFormat::f16) {
      alignas(64) uint16_t half[kFloatLanes];
      hn::StoreU(hn::DemoteTo(dh, value), dh, reinterpret_cast<hwy::float16_t*>(half));
      uint16_t* to = reinterpret_cast<uint16_t*>(values) + at + i * step;
      for (size_t j = 0; j < kFloatLanes; ++j) to[j * step] = half[j];
    } else {
      alignas(64) float copy[kFloatLanes];
      hn::Store(value, d, copy);
      float* to = reinterpret_cast<float*>(values) + at + i * step;
      for (size_t j = 0; j < kFloatLanes; ++j) to[j * step] = copy[j];
    }
  }
}

void store_kv(const KvView& kv, uint32_t position, const float* k, const float* v) {
  const KvLayout lk(kv.head_k, kv.capacity), lv(kv.head_v, kv.capacity);
  for (size_t h = 0; h < kv.n_kv_heads; ++h) {
    uint8_t* head_k = kv.k + h * lk.bytes(kv.format);
    uint8_t* head_v = kv.v + h * lv.bytes(kv.format);
    store_head(kv.format, k + h * lk.head, lk.head, lk.padded, head_k, lk.k_value(position),
               kKvPanel, head_k + lk.scales(), lk.k_scale(position), kKvPanel);
    store_head(kv.format, v + h * lv.head, lv.head, lv.padded, head_v, lv.v_value(position), 1,
               head_v + lv.scales(), lv.v_scale(position), 1);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace detail
INLAY_END_NAMESPACE
HWY_AFTER_NAMESPACE();
