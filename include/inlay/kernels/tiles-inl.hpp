// The product of a weight matrix with many columns. 32 rows x up to 512 k are decoded to
// [k / 4][16 rows][4 k] bytes, in L1, and multiplied with groups of four columns; every load of
// activations is a broadcast that serves all rows. Compiled once per SIMD target; no include guard.

HWY_BEFORE_NAMESPACE();
INLAY_BEGIN_NAMESPACE
namespace detail {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// ---- decoding to a tile -------------------------------------------------------------------------
// Whether a type's scales in a tile are integers, times a half of their superblock.
template <class T>
static constexpr bool integer_scales() {
  return T::kBlock == kChunk && !std::is_base_of_v<ByRows, T>;
}

// Whether the tile of a type holds int16 (centred, no offset) instead of bytes.
template <class T>
static constexpr bool wide_tile() {
  return kDot == DotKind::wide ||
         (kDot == DotKind::maddubs && (T::kSigned || (T::kSub == 16 && !integer_scales<T>())));
}

// 32 rows are more streams than the hardware follows, so decoding a tile prefetches, from one end
// to the other, as many bytes as it reads, of the next 32 rows.
static HWY_INLINE void prefetch(uintptr_t& next, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 64) INLAY_PREFETCH(next + i, 2);
  next += bytes;
}

// 16 bytes of each of kBatch rows, transposed: dword j of every row to to[j].
static HWY_INLINE void load_transposed(const uint8_t* const* rows, size_t offset, LaneVec* to) {
  const LaneTag d8;
  const hn::Full128<uint8_t> d128;
  const hn::Repartition<uint32_t, LaneTag> d32;
  const hn::Repartition<uint64_t, LaneTag> d64;
  const auto load = [&](size_t i) HWY_ATTR {
    const auto low = hn::LoadU(d128, rows[i] + offset);
#if HWY_MAX_BYTES >= 32
    return hn::BitCast(d32, hn::Combine(d8, hn::LoadU(d128, rows[i + 4] + offset), low));
#else
    (void)d8;
    return hn::BitCast(d32, low);
#endif
  };
  const auto r0 = load(0), r1 = load(1), r2 = load(2), r3 = load(3);
  const auto low01 = hn::BitCast(d64, hn::InterleaveLower(d32, r0, r1));
  const auto low23 = hn::BitCast(d64, hn::InterleaveLower(d32, r2, r3));
  const auto high01 = hn::BitCast(d64, hn::InterleaveUpper(d32, r0, r1));
  const auto high23 = hn::BitCast(d64, hn::InterleaveUpper(d32, r2, r3));
  to[0] = hn::BitCast(d8, hn::InterleaveLower(d64, low01, low23));
  to[1] = hn::BitCast(d8, hn::InterleaveUpper(d64, low01, low23));
  to[2] = hn::BitCast(d8, hn::InterleaveLower(d64, high01, high23));
  to[3] = hn::BitCast(d8, hn::InterleaveUpper(d64, high01, high23));
}

// What a trait's tile() reads a chunk of kBatch rows from, and puts bytes into: 4 k of each row.
template <bool is_signed, bool wide>
struct TileWriter {
  const uint8_t* const* rows;
  int offset;    // subtracted, if the tile holds int16
  uint32_t* to;  // [step][kPanelRows]
  uintptr_t* next;

  HWY_INLINE void load(size_t at, LaneVec* q) const {
    prefetch(*next, 16 * kBatch);
    load_transposed(rows, at, q);
  }
  HWY_INLINE void put(size_t g, size_t step, LaneVec v) const {
    const LaneTag d8;
    const hn::Repartition<uint32_t, LaneTag> d32;
    if constexpr (!wide) {
      if constexpr (is_signed && kBiasSigned) v = hn::Xor(v, hn::Set(d8, uint8_t{128}));
      hn::Store(hn::BitCast(d32, v), d32, to + (g * 8 + step) * kPanelRows);
    } else {
      uint32_t* at = to + (g * 8 + step) * 2 * kPanelRows;
      hn::Store(hn::BitCast(d32, even(v)), d32, at);
      hn::Store(hn::BitCast(d32, odd(v)), d32, at + kPanelRows);
    }
  }

 private:
  using Tag16 = hn::Repartition<int16_t, LaneTag>;
  HWY_INLINE hn::Vec<Tag16> even(LaneVec v) const {
    const Tag16 d16;
    const hn::Repartition<uint16_t, LaneTag> du16;
    if constexpr (is_signed) {
      return hn::ShiftRight<8>(hn::ShiftLeft<8>(hn::BitCast(d16, v)));
    } else {
      const auto low = hn::And(hn::BitCast(du16, v), hn::Set(du16, uint16_t{255}));
      return hn::Sub(hn::BitCast(d16, low), hn::Set(d16, static_cast<int16_t>(offset)));
    }
  }
  HWY_INLINE hn::Vec<Tag16> odd(LaneVec v) const {
    const Tag16 d16;
    const hn::Repartition<uint16_t, LaneTag> du16;
    if constexpr (is_signed) {
      return hn::ShiftRight<8>(hn::BitCast(d16, v));
    } else {
      return hn::Sub(hn::BitCast(d16, hn::ShiftRight<8>(hn::BitCast(du16, v))),
                     hn::Set(d16, static_cast<int16_t>(offset)));
    }
  }
};

// 16 x 16 bytes.
static HWY_INLINE void transpose_bytes(const uint8_t (*from)[16], uint8_t (*to)[16]) {
  const hn::Full128<uint8_t> d;
  using V = hn::Vec<decltype(d)>;
  V a[16], b[16];
  // Four times, interleave the first half of the rows with the second.
  INLAY_UNROLL(16) for (size_t i = 0; i < 16; ++i) a[i] = hn::Load(d, from[i]);
  INLAY_UNROLL(4) for (size_t turn = 0; turn < 4; ++turn) {
    INLAY_UNROLL(8) for (size_t i = 0; i < 8; ++i) {
      b[2 * i] = hn::InterleaveLower(d, a[i], a[i + 8]);
      b[2 * i + 1] = hn::InterleaveUpper(d, a[i], a[i + 8]);
    }
    INLAY_UNROLL(16) for (size_t i = 0; i < 16; ++i) a[i] = b[i];
  }
  INLAY_UNROLL(16) for (size_t i = 0; i < 16; ++i) hn::Store(a[i], d, to[i]);
}

// 16 halves as float.
static HWY_INLINE void panel_halves(const uint16_t* from, float* to) {
  const ScaleTag df;
  const hn::Rebind<hwy::float16_t, ScaleTag> dh;
  const hn::Rebind<uint16_t, ScaleTag> du;
  INLAY_UNROLL(4) for (size_t i = 0; i < kPanelRows; i += kScaleLanes) {
    hn::Store(hn::PromoteTo(df, hn::BitCast(dh, hn::Load(du, from + i))), df, to + i);
  }
}

// Integer scales of 16 rows as the tile kernels take them: int32, or twice int16.
template <bool twice>
static HWY_INLINE void store_integers(const int8_t* from, float* to) {
  const hn::Repartition<int32_t, ScaleTag> di;
  const hn::Rebind<int8_t, ScaleTag> d8;
  const ScaleTag df;
  INLAY_UNROLL(4) for (size_t i = 0; i < kPanelRows; i += kScaleLanes) {
    auto v = hn::PromoteTo(di, hn::Load(d8, from + i));
    if constexpr (twice) {
      v = hn::Or(hn::ShiftLeft<16>(v), hn::And(v, hn::Set(di, 0xffff)));
    }
    hn::Store(hn::BitCast(df, v), df, to + i);
  }
}

// to[i] = d[i] * from[i]
static HWY_INLINE void store_scaled(const uint8_t* from, const float* d, float* to) {
  const ScaleTag df;
  const hn::Rebind<int32_t, ScaleTag> di;
  const hn::Rebind<uint8_t, ScaleTag> d8;
  INLAY_UNROLL(4) for (size_t i = 0; i < kPanelRows; i += kScaleLanes) {
    const auto v = hn::ConvertTo(df, hn::PromoteTo(di, hn::Load(d8, from + i)));
    hn::Store(hn::Mul(v, hn::Load(df, d + i)), df, to + i);
  }
}

// Groups [first, first + groups) of 16 rows, first a multiple of 8, to panel p of the tile.
template <class T>
static HWY_NOINLINE void decode_panel(const uint8_t* const* rows, size_t first, size_t groups,
                                      uintptr_t next, MatmulScratch& t, size_t p) {
  constexpr size_t kSubs = kChunk / T::kSub;
  constexpr bool kWide = wide_tile<T>();
  for (size_t g0 = 0; g0 < groups; g0 += 8) {
    const size_t here = T::kBlock == kChunk ? 8 : HWY_MIN(size_t{8}, groups - g0);
    const size_t sub0 = g0 * kGroup / T::kSub;
    const uint8_t* chunk[kPanelRows];
    for (size_t r = 0; r < kPanelRows; ++r) chunk[r] = rows[r] + (first + g0) / 8 * T::kChunkBytes;
    // TileWriter prefetches as many bytes as it reads, which are the whole bits of each weight.
    constexpr size_t kRead = (T::kChunkBytes * 8 - 1) / kChunk * (kChunk / 8);
    prefetch(next, (T::kChunkBytes - kRead) * kPanelRows / 8 * here);
    HWY_ALIGN uint16_t halves[2][8][kPanelRows];
    if constexpr (T::kBlock == kChunk) {
      HWY_ALIGN uint8_t of_row[kPanelRows][16], of_sub[16][kPanelRows];
      const hn::Full128<uint8_t> d128;
      for (size_t r = 0; r < kPanelRows; ++r) {
        halves[0][0][r] = load_u16(chunk[r] + T::kDelta);
        if constexpr (T::kMins) halves[1][0][r] = load_u16(chunk[r] + T::kDeltaMin);
        hn::Store(T::sub_scales(chunk[r]), d128, of_row[r]);
      }
      transpose_bytes(of_row, of_sub);
      panel_halves(halves[0][0], t.delta[p][g0 / 8]);
      HWY_ALIGN float delta_min[kPanelRows];
      if constexpr (T::kMins) panel_halves(halves[1][0], delta_min);
      for (size_t s = 0; s < kSubs; ++s) {
        uint8_t* min = of_sub[kSubs == 8 ? s + 8 : s];
        if constexpr (T::kMins) {
          HWY_ALIGN uint8_t low[kPanelRows];
          if constexpr (kSubs == 16) {  // a nibble each
            const auto both = hn::Load(d128, of_sub[s]);
            hn::Store(hn::ShiftRight<4>(both), d128, low);
            hn::Store(hn::And(both, hn::Set(d128, uint8_t{15})), d128, of_sub[s]);
            min = low;
          }
          store_scaled(min, delta_min, t.min[p][sub0 + s]);
        }
        store_integers<kDot == DotKind::maddubs && !kWide>(
            reinterpret_cast<const int8_t*>(of_sub[s]), t.scale[p][sub0 + s]);
      }
    } else if constexpr (!T::kHalves) {
      for (size_t r = 0; r < kPanelRows; ++r) {
        HWY_ALIGN float scale[8];
        T::scales(chunk[r], here, scale, nullptr);
        for (size_t g = 0; g < here; ++g) t.scale[p][g0 + g][r] = scale[g];
      }
    } else {
      for (size_t r = 0; r < kPanelRows; ++r) {
        for (size_t g = 0; g < here; ++g) {
          halves[0][g][r] = load_u16(chunk[r] + g * (T::kChunkBytes / 8));
          if constexpr (T::kMins)
            halves[1][g][r] = load_u16(chunk[r] + g * (T::kChunkBytes / 8) + 2);
        }
      }
    }
    for (size_t r = 0; r < kPanelRows; r += kBatch) {
      T::tile(TileWriter<T::kSigned, kWide>{chunk + r, T::kSigned ? 0 : T::kOffset,
                                            t.w[p][g0 * (kWide ? 16 : 8)] + r, &next},
              here);
    }
    if constexpr (T::kBlock != kChunk) {
      for (size_t g = 0; T::kHalves && g < here; ++g) {
        panel_halves(halves[0][g], t.scale[p][sub0 + g]);
        if constexpr (T::kMins) {
          panel_halves(halves[1][g], t.min[p][sub0 + g]);
          for (float& min : t.min[p][sub0 + g]) min = -min;
        }
      }
    }
  }
}

// ---- rows decoded one by one ----
// A chunk of a row.
struct ChunkLanes {
  alignas(64) uint8_t lanes[kChunk];
  alignas(64) float scale[kChunk / 16];
};

template <class T>
static HWY_NOINLINE void decode_chunk(const uint8_t* chunk, size_t groups, ChunkLanes& to) {
  const LaneTag d;
  T::scales(chunk, groups, to.scale, nullptr);
  for (size_t g = 0; g < groups; ++g) {
    const Lanes lanes = T::lanes(chunk, g);
    INLAY_UNROLL(2) for (size_t i = 0; i < kParts; ++i) {
      hn::Store(lanes.v[i], d, to.lanes + g * kGroup + i * kLaneBytes);
    }
  }
}

// As decode_panel, of chunks that `decode` gives.
struct RowDecoder {
  void (*decode)(const uint8_t* chunk, size_t groups, ChunkLanes& to);
  size_t chunk_bytes, sub;
  int offset;
};
template <bool is_signed, bool wide>
static HWY_NOINLINE void decode_rows(const RowDecoder& d, const uint8_t* const* rows, size_t first,
                                     size_t groups, uintptr_t next, MatmulScratch& t, size_t p) {
  ChunkLanes decoded[kBatch];
  const uint8_t* lanes[kBatch];
  for (size_t i = 0; i < kBatch; ++i) lanes[i] = decoded[i].lanes;
  for (size_t g0 = 0; g0 < groups; g0 += 8) {
    const size_t here = HWY_MIN(size_t{8}, groups - g0);
    const size_t subs = here * kGroup / d.sub, sub0 = g0 * kGroup / d.sub;
    for (size_t r = 0; r < kPanelRows; r += kBatch) {
      for (size_t i = 0; i < kBatch; ++i) {
        prefetch(next, d.chunk_bytes * here / 8);
        d.decode(rows[r + i] + (first + g0) / 8 * d.chunk_bytes, here, decoded[i]);
        for (size_t s = 0; s < subs; ++s) t.scale[p][sub0 + s][r + i] = decoded[i].scale[s];
      }
      uintptr_t unused = 0;
      const TileWriter<is_signed, wide> w{lanes, d.offset, t.w[p][g0 * (wide ? 16 : 8)] + r,
                                          &unused};
      for (size_t g = 0; g < here; ++g) {
        INLAY_UNROLL(2) for (size_t half = 0; half < 2; ++half) {
          LaneVec q[4];
          load_transposed(lanes, g * kGroup + half * 16, q);
          INLAY_UNROLL(4) for (size_t i = 0; i < 4; ++i) w.put(g, half * 4 + i, q[i]);
        }
      }
    }
  }
}

// Elements [first, first + count) of 16 rows of plain floats: w[k][row].
template <class T>
static HWY_NOINLINE void decode_plain_panel(const uint8_t* const* rows, size_t first, size_t count,
                                            uintptr_t next, MatmulScratch& t, size_t p) {
  const ScaleTag df;
  const hn::Repartition<uint32_t, LaneTag> d32;
  for (size_t j = 0; j < count; j += kScaleLanes) {
    const size_t here = HWY_MIN(kScaleLanes, count - j);
    for (size_t r = 0; r < kPanelRows; r += kBatch) {
      prefetch(next, kBatch * kScaleLanes * T::kBytes);
      HWY_ALIGN float values[kBatch][kScaleLanes];
      const uint8_t* from[kBatch];
      for (size_t i = 0; i < kBatch; ++i) {
        const uint8_t* at = rows[r + i] + (first + j) * T::kBytes;
        HWY_ALIGN uint8_t tail[kScaleLanes * T::kBytes] = {};
        if (HWY_UNLIKELY(here < kScaleLanes)) {
          std::memcpy(tail, at, here * T::kBytes);
          at = tail;
        }
        hn::Store(T::load(at), df, values[i]);
        from[i] = reinterpret_cast<const uint8_t*>(values[i]);
      }
      for (size_t at = 0; at < kScaleLanes; at += 4) {
        LaneVec q[4];
        load_transposed(from, at * sizeof(float), q);
        INLAY_UNROLL(4) for (size_t i = 0; i < 4; ++i) {
          hn::Store(hn::BitCast(d32, q[i]), d32, &t.w[p][j + at + i][r]);
        }
      }
    }
  }
}

// ---- tile kernels -------------------------------------------------------------------------------
// One column group times both panels of a tile, for `groups` groups of 32 k: c[panel][column][row]
// += .... Mins are not in it.
struct TileColumns {
  const uint32_t* q;      // [step][column]: 4 int8, or 2 int16
  const float* scale;     // [group][column]
  const uint32_t* start;  // [sub-block][column]; read if the weights have an offset
};
using TileKernel = void (*)(const MatmulScratch& t, const TileColumns& a, size_t groups,
                            float (*c)[kColumns][kPanelRows]);

#if HWY_MAX_BYTES >= 64
using WideTag = hn::CappedTag<uint8_t, 64>;
#else
using WideTag = LaneTag;
#endif
static constexpr size_t kRowLanes = HWY_MAX_LANES_D(WideTag) / 4;  // rows of a vector

// Two vectors of rows at a time: with 512 bits one of each panel, else both of one panel.
static constexpr size_t kVectors = 2;
// Where a product is two instructions or more, one of 512 bits keeps the core busy: both, or it, of
// one panel.
static constexpr size_t kPanelVectors = HWY_MIN(kVectors, kPanelRows / kRowLanes);

// The low halves of both, `first` before `second`.
template <class V>
static HWY_INLINE auto low_halves(V first, V second) {
  const hn::DFromV<V> d32;
  const hn::Repartition<int16_t, decltype(d32)> d16;
  return hn::BitCast(d16, hn::Or(hn::And(first, hn::Set(d32, 0xffff)), hn::ShiftLeft<16>(second)));
}

// With `integer`, a sub-block's scale is an integer of at most 8 bits, times t.delta of its chunk:
// the sums of 32 k are exact in int32, and below 2^24, hence in float. `narrow`: the sum of 16
// products fits an int16.
template <size_t sub, bool integer, bool starts, bool narrow>
static HWY_NOINLINE void multiply_tile(const MatmulScratch& t, const TileColumns& columns,
                                       size_t groups,
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
  constexpr size_t kAtOnce = kDot == DotKind::vnni ? kVectors : kPanelVectors;
  // Of two sub-blocks, pmaddwd makes both products with the scales and adds them, on the one port
  // that multiplies 512 bits. (Arm has nothing like it.)
  constexpr bool kPairs = HWY_ARCH_X86 && integer && kSubs == 2 && narrow;
  const uint32_t* HWY_RESTRICT a = columns.q;
  const float* HWY_RESTRICT a_scale = columns.scale;
  const uint32_t* HWY_RESTRICT start = columns.start;
  const size_t turn = integer ? kChunk / kGroup : groups;
  for (size_t row = 0; row < 2 * kPanelRows; row += kAtOnce * kRowLanes) {
    size_t panel[kAtOnce], lane[kAtOnce];
    for (size_t r = 0; r < kAtOnce; ++r) {
      panel[r] = (row + r * kRowLanes) / kPanelRows;
      lane[r] = (row + r * kRowLanes) % kPanelRows;
    }
    for (size_t g0 = 0; g0 < groups; g0 += turn) {
      if constexpr (kDot == DotKind::vnni) {
        VF sum[kAtOnce][kColumns];
        INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
          INLAY_UNROLL(2) for (size_t r = 0; r < kAtOnce; ++r) {
            sum[r][j] = integer ? hn::Zero(df) : hn::Load(df, &c[panel[r]][j][lane[r]]);
          }
        }
        for (size_t g = g0; g < g0 + turn; ++g) {
          hn::Vec<decltype(d32)> total[kAtOnce][kColumns];
          INLAY_UNROLL(2) for (size_t s = 0; s < kSubs; ++s) {
            const size_t at = g * kSubs + s;
            hn::Vec<decltype(d32)> dot[kAtOnce][kColumns];
            INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
              INLAY_UNROLL(2) for (size_t r = 0; r < kAtOnce; ++r) {
                dot[r][j] = hn::BitCast(d32, hn::Set(du32, starts ? start[at * kColumns + j] : 0));
              }
            }
            INLAY_UNROLL(8) for (size_t step = 0; step < kSteps; ++step) {
              hn::Vec<WideTag> w[kAtOnce];
              INLAY_UNROLL(2) for (size_t r = 0; r < kAtOnce; ++r) {
                w[r] = hn::BitCast(d8, hn::Load(du32, &t.w[panel[r]][at * kSteps + step][lane[r]]));
              }
              INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
                const auto b =
                    hn::BitCast(ds8, hn::Set(du32, a[(at * kSteps + step) * kColumns + j]));
                INLAY_UNROLL(2) for (size_t r = 0; r < kAtOnce; ++r) {
                  dot[r][j] = dot4(w[r], b, dot[r][j]);
                }
              }
            }
            INLAY_UNROLL(2) for (size_t r = 0; r < kAtOnce; ++r) {
              const VF w = hn::Load(df, &t.scale[panel[r]][at][lane[r]]);
              INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
                if constexpr (kPairs) {
                  if (s == 0) {
                    total[r][j] = dot[r][j];
                  } else {
                    const VF before = hn::Load(df, &t.scale[panel[r]][at - 1][lane[r]]);
                    total[r][j] = hn::WidenMulPairwiseAdd(
                        d32, low_halves(total[r][j], dot[r][j]),
                        low_halves(hn::BitCast(d32, before), hn::BitCast(d32, w)));
                  }
                } else if constexpr (integer) {
                  const auto scaled = hn::Mul(dot[r][j], hn::BitCast(d32, w));
                  total[r][j] = s == 0 ? scaled : hn::Add(total[r][j], scaled);
                } else {
                  const VF product = hn::ConvertTo(df, dot[r][j]);
                  const VF before = hn::BitCast(df, total[r][j]);
                  total[r][j] = hn::BitCast(
                      d32, s == 0 ? hn::Mul(product, w) : hn::MulAdd(product, w, before));
                }
              }
            }
          }
          INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
            const VF scale = hn::Set(df, a_scale[g * kColumns + j]);
            INLAY_UNROLL(2) for (size_t r = 0; r < kAtOnce; ++r) {
              const VF f = integer ? hn::ConvertTo(df, total[r][j]) : hn::BitCast(df, total[r][j]);
              sum[r][j] = hn::MulAdd(f, scale, sum[r][j]);
            }
          }
        }
        INLAY_UNROLL(2) for (size_t r = 0; r < kAtOnce; ++r) {
          INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
            float* to = &c[panel[r]][j][lane[r]];
            if constexpr (integer) {
              const VF delta = hn::Load(df, &t.delta[panel[r]][g0 / 8][lane[r]]);
              sum[r][j] = hn::MulAdd(sum[r][j], delta, hn::Load(df, to));
            }
            hn::Store(sum[r][j], df, to);
          }
        }
      } else {
        constexpr size_t kHeadroom = narrow ? kSteps : 4;  // steps that an int16 lane may sum
        // More sums than registers: the compiler keeps them on the stack, where the core forwards
        // stores to loads without waiting. Anywhere else they take 1.15 times as long (Zen 4).
        VF sum[kAtOnce][kColumns];
        INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
          INLAY_UNROLL(2) for (size_t r = 0; r < kAtOnce; ++r) {
            sum[r][j] = integer ? hn::Zero(df) : hn::Load(df, &c[panel[r]][j][lane[r]]);
          }
        }
        // Four steps of weights are 256 bytes: displacements of -128 ... 127.
        const uint32_t* w_at = &t.w[panel[0]][g0 * 8 + 2][lane[0]];
        const uint32_t* a_at = a + g0 * 8 * kColumns;
        const float* scale_at = &t.scale[panel[0]][g0 * kSubs][lane[0]];
        const uint32_t* start_at = start + g0 * kSubs * kColumns;
        const float* a_scale_at = a_scale + g0 * kColumns;
        for (size_t g = g0; g < g0 + turn; ++g) {
          hn::Vec<decltype(d32)> dot[kAtOnce][kColumns];
          INLAY_UNROLL(2) for (size_t s = 0; s < kSubs; ++s) {
            INLAY_UNROLL(2) for (size_t run = 0; run < kSteps / kHeadroom; ++run) {
              hn::Vec<decltype(d16)> acc[kAtOnce][kColumns];
              if constexpr (starts) {
                INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
                  INLAY_UNROLL(2) for (size_t r = 0; r < kAtOnce; ++r) {
                    acc[r][j] = hn::BitCast(d16, hn::Set(du32, run == 0 ? start_at[j] : 0));
                  }
                }
              }
              INLAY_UNROLL(8) for (size_t step = 0; step < kHeadroom; ++step) {
                hn::Vec<WideTag> w[kAtOnce];
                INLAY_UNROLL(2) for (size_t r = 0; r < kAtOnce; ++r) {
                  const uint32_t* from = w_at + r * kRowLanes + (step % 4) * kPanelRows;
                  w[r] = hn::BitCast(d8, hn::Load(du32, from - 2 * kPanelRows));
                  INLAY_PIN(w[r]);
                }
                INLAY_UNROLL(2) for (size_t j = 0; j < kColumns; j += 2) {
                  auto b0 = hn::BitCast(ds8, hn::Set(du32, a_at[step % 4 * kColumns + j]));
                  auto b1 = hn::BitCast(ds8, hn::Set(du32, a_at[step % 4 * kColumns + j + 1]));
                  INLAY_PIN(b0);
                  INLAY_PIN(b1);
                  hn::Vec<decltype(d16)> product[2][kAtOnce];
                  INLAY_UNROLL(2) for (size_t r = 0; r < kAtOnce; ++r) {
                    product[0][r] = hn::SatWidenMulPairwiseAdd(d16, w[r], b0);
                    product[1][r] = hn::SatWidenMulPairwiseAdd(d16, w[r], b1);
                  }
                  INLAY_UNROLL(2) for (size_t i = 0; i < 2; ++i) {
                    INLAY_UNROLL(2) for (size_t r = 0; r < kAtOnce; ++r) {
                      acc[r][j + i] = !starts && step == 0 ? product[i][r]
                                                           : hn::Add(acc[r][j + i], product[i][r]);
                      INLAY_PIN(acc[r][j + i]);
                    }
                  }
                }
                if (step % 4 == 3) {
                  w_at += 4 * kPanelRows;
                  a_at += 4 * kColumns;
                  INLAY_OPAQUE(w_at);
                  INLAY_OPAQUE(a_at);
                }
              }
              INLAY_UNROLL(2) for (size_t r = 0; r < kAtOnce; ++r) {
                // Multiplying by the scale costs nothing: without one, it would be by 1.
                const auto factor = integer
                                        ? hn::BitCast(d16, hn::Load(df, scale_at + r * kRowLanes))
                                        : hn::Set(d16, 1);
                INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
                  const auto wide = hn::WidenMulPairwiseAdd(d32, acc[r][j], factor);
                  dot[r][j] = run + s == 0 ? wide : hn::Add(dot[r][j], wide);
                }
              }
            }
            if constexpr (integer) scale_at += kPanelRows;
            if constexpr (starts) start_at += kColumns;
          }
          INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
            const VF scale = hn::Set(df, a_scale_at[j]);
            INLAY_UNROLL(2) for (size_t r = 0; r < kAtOnce; ++r) {
              VF f = hn::ConvertTo(df, dot[r][j]);
              if constexpr (!integer) f = hn::Mul(f, hn::Load(df, scale_at + r * kRowLanes));
              sum[r][j] = hn::MulAdd(f, scale, sum[r][j]);
            }
          }
          a_scale_at += kColumns;
          if constexpr (!integer) scale_at += kPanelRows;
          INLAY_OPAQUE(scale_at);
          INLAY_OPAQUE(a_scale_at);
          if constexpr (starts) INLAY_OPAQUE(start_at);
        }
        INLAY_UNROLL(2) for (size_t r = 0; r < kAtOnce; ++r) {
          INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
            float* to = &c[panel[r]][j][lane[r]];
            if constexpr (integer) {
              const VF delta = hn::Load(df, &t.delta[panel[r]][g0 / 8][lane[r]]);
              sum[r][j] = hn::MulAdd(sum[r][j], delta, hn::Load(df, to));
            }
            hn::Store(sum[r][j], df, to);
          }
        }
      }
    }
  }
}

// The same for tiles of int16.
template <size_t sub, bool integer>
static HWY_NOINLINE void multiply_wide_tile(const MatmulScratch& t, const TileColumns& columns,
                                            size_t groups,
                                            float (*HWY_RESTRICT c)[kColumns][kPanelRows]) {
  const hn::Repartition<int16_t, WideTag> d16;
  const hn::Repartition<int32_t, WideTag> d32;
  const hn::Repartition<uint32_t, WideTag> du32;
  const hn::Repartition<float, WideTag> df;
  using VF = hn::Vec<decltype(df)>;
  constexpr size_t kSubs = kGroup / sub, kSteps = sub / 2;
  for (size_t row = 0; row < 2 * kPanelRows; row += kPanelVectors * kRowLanes) {
    const size_t panel = row / kPanelRows, lane = row % kPanelRows;
    const uint32_t* w_at = &t.w[panel][2][lane];  // displacements as above
    const uint32_t* a_at = columns.q;
    VF sum[kPanelVectors][kColumns];
    INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
      INLAY_UNROLL(2) for (size_t r = 0; r < kPanelVectors; ++r) {
        sum[r][j] = hn::Load(df, &c[panel][j][lane + r * kRowLanes]);
      }
    }
    for (size_t at = 0; at < groups * kSubs; ++at) {
      hn::Vec<decltype(d32)> acc[kPanelVectors][kColumns];
      INLAY_UNROLL(16) for (size_t step = 0; step < kSteps; ++step) {
        hn::Vec<decltype(d16)> w[kPanelVectors];
        INLAY_UNROLL(2) for (size_t r = 0; r < kPanelVectors; ++r) {
          const uint32_t* from = w_at + r * kRowLanes + (step % 4) * kPanelRows;
          w[r] = hn::BitCast(d16, hn::Load(du32, from - 2 * kPanelRows));
          INLAY_PIN(w[r]);
        }
        INLAY_UNROLL(2) for (size_t j = 0; j < kColumns; j += 2) {
          auto b0 = hn::BitCast(d16, hn::Set(du32, a_at[step % 4 * kColumns + j]));
          auto b1 = hn::BitCast(d16, hn::Set(du32, a_at[step % 4 * kColumns + j + 1]));
          INLAY_PIN(b0);
          INLAY_PIN(b1);
          hn::Vec<decltype(d32)> product[2][kPanelVectors];
          INLAY_UNROLL(2) for (size_t r = 0; r < kPanelVectors; ++r) {
            product[0][r] = hn::WidenMulPairwiseAdd(d32, w[r], b0);
            product[1][r] = hn::WidenMulPairwiseAdd(d32, w[r], b1);
          }
          INLAY_UNROLL(2) for (size_t i = 0; i < 2; ++i) {
            INLAY_UNROLL(2) for (size_t r = 0; r < kPanelVectors; ++r) {
              acc[r][j + i] = step == 0 ? product[i][r] : hn::Add(acc[r][j + i], product[i][r]);
              INLAY_PIN(acc[r][j + i]);
            }
          }
        }
        if (step % 4 == 3) {
          w_at += 4 * kPanelRows;
          a_at += 4 * kColumns;
          INLAY_OPAQUE(w_at);
          INLAY_OPAQUE(a_at);
        }
      }
      INLAY_UNROLL(2) for (size_t r = 0; r < kPanelVectors; ++r) {
        VF w = hn::Load(df, &t.scale[panel][at][lane + r * kRowLanes]);
        if constexpr (integer) {
          w = hn::Mul(hn::ConvertTo(df, hn::BitCast(d32, w)),
                      hn::Load(df, &t.delta[panel][at / (8 * kSubs)][lane + r * kRowLanes]));
        }
        INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
          const VF scale = hn::Mul(w, hn::Set(df, columns.scale[at / kSubs * kColumns + j]));
          sum[r][j] = hn::MulAdd(hn::ConvertTo(df, acc[r][j]), scale, sum[r][j]);
        }
      }
    }
    INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
      INLAY_UNROLL(2) for (size_t r = 0; r < kPanelVectors; ++r) {
        hn::Store(sum[r][j], df, &c[panel][j][lane + r * kRowLanes]);
      }
    }
  }
}

// What the mins take away: `subs` sub-blocks with the sums of x, x_sum[sub-block][column].
static HWY_NOINLINE void subtract_tile_mins(const MatmulScratch& t, const float* HWY_RESTRICT x_sum,
                                            size_t subs,
                                            float (*HWY_RESTRICT c)[kColumns][kPanelRows]) {
  const hn::Repartition<float, WideTag> df;
  using VF = hn::Vec<decltype(df)>;
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
    for (size_t s = 0; s < subs; ++s) {
      VF min[kVectors];
      INLAY_UNROLL(2)
      for (size_t r = 0; r < kVectors; ++r) min[r] = hn::Load(df, &t.min[panel[r]][s][lane[r]]);
      INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
        const VF x = hn::Set(df, x_sum[s * kColumns + j]);
        INLAY_UNROLL(2)
        for (size_t r = 0; r < kVectors; ++r) sum[r][j] = hn::NegMulAdd(min[r], x, sum[r][j]);
      }
    }
    INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
      INLAY_UNROLL(2)
      for (size_t r = 0; r < kVectors; ++r) hn::Store(sum[r][j], df, &c[panel[r]][j][lane[r]]);
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

}  // namespace HWY_NAMESPACE
}  // namespace detail
INLAY_END_NAMESPACE
HWY_AFTER_NAMESPACE();
