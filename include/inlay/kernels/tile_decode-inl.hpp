// Rows of a weight matrix, as the file has it, decoded to a tile. Compiled once per SIMD target,
// for its sub-target too; no include guard.

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

// What a tile holds, for what multiplies bytes: bytes as they are, signed ones with 128 added, or
// int16 (centred, no offset).
enum class TileForm { bytes, biased, wide };

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
template <bool is_signed, TileForm form>
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
    if constexpr (form != TileForm::wide) {
      if constexpr (form == TileForm::biased) v = hn::Xor(v, hn::Set(d8, uint8_t{128}));
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
static HWY_INLINE void store_integers(const int8_t* from, bool twice, float* to) {
  const hn::Repartition<int32_t, ScaleTag> di;
  const hn::Rebind<int8_t, ScaleTag> d8;
  const ScaleTag df;
  INLAY_UNROLL(4) for (size_t i = 0; i < kPanelRows; i += kScaleLanes) {
    auto v = hn::PromoteTo(di, hn::Load(d8, from + i));
    if (twice) {
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
// `twice`: integer scales are to multiply int16 lanes.
template <class T, TileForm form>
static HWY_NOINLINE void decode_panel_as(const uint8_t* const* rows, size_t first, size_t groups,
                                         uintptr_t next, MatmulScratch& t, size_t p, bool twice) {
  constexpr size_t kSubs = kChunk / T::kSub, kSteps = form == TileForm::wide ? 16 : 8;
  (void)twice;
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
        store_integers(reinterpret_cast<const int8_t*>(of_sub[s]), twice, t.scale[p][sub0 + s]);
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
      T::tile(TileWriter<T::kSigned, form>{chunk + r, T::kSigned ? 0 : T::kOffset,
                                           t.w[p][g0 * kSteps] + r, &next},
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

// As decode_panel_as, of chunks that `decode` gives.
struct RowDecoder {
  void (*decode)(const uint8_t* chunk, size_t groups, ChunkLanes& to);
  size_t chunk_bytes, sub;
  int offset;
};
template <bool is_signed, TileForm form>
static HWY_NOINLINE void decode_rows(const RowDecoder& d, const uint8_t* const* rows, size_t first,
                                     size_t groups, uintptr_t next, MatmulScratch& t, size_t p) {
  constexpr size_t kSteps = form == TileForm::wide ? 16 : 8;
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
      const TileWriter<is_signed, form> w{lanes, d.offset, t.w[p][g0 * kSteps] + r, &unused};
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

// Elements [first, first + count) of 16 rows of plain floats: w[k][row]. A line of a row at a time:
// where rows are a power of two apart, more of them compete for a place in the nearest cache than
// it has.
template <class T>
static HWY_NOINLINE void decode_plain_panel(const uint8_t* const* rows, size_t first, size_t count,
                                            uintptr_t next, MatmulScratch& t, size_t p) {
  const ScaleTag df;
  const hn::Repartition<uint32_t, LaneTag> d32;
  constexpr size_t kLine = 64 / T::kBytes;
  static_assert(kTileK / 4 % kLine == 0);
  for (size_t j = 0; j < count; j += kLine) {
    const size_t here = HWY_MIN(kLine, count - j);
    for (size_t r = 0; r < kPanelRows; r += kBatch) {
      prefetch(next, kBatch * 64);
      HWY_ALIGN float values[kBatch][kLine];
      const uint8_t* from[kBatch];
      for (size_t i = 0; i < kBatch; ++i) {
        const uint8_t* at = rows[r + i] + (first + j) * T::kBytes;
        HWY_ALIGN uint8_t tail[64] = {};
        if (HWY_UNLIKELY(here < kLine)) {
          std::memcpy(tail, at, here * T::kBytes);
          at = tail;
        }
        for (size_t k = 0; k < kLine; k += kScaleLanes) {
          hn::Store(T::load(df, at + k * T::kBytes), df, values[i] + k);
        }
        from[i] = reinterpret_cast<const uint8_t*>(values[i]);
      }
      for (size_t at = 0; at < kLine; at += 4) {
        LaneVec q[4];
        load_transposed(from, at * sizeof(float), q);
        INLAY_UNROLL(4) for (size_t i = 0; i < 4; ++i) {
          hn::Store(hn::BitCast(d32, q[i]), d32, &t.w[p][j + at + i][r]);
        }
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace detail
INLAY_END_NAMESPACE
HWY_AFTER_NAMESPACE();
