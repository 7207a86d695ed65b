// The product of a weight matrix with one or many columns: what each tensor type needs, and which
// kernels run. Compiled once per SIMD target; no include guard.

HWY_BEFORE_NAMESPACE();
INLAY_BEGIN_NAMESPACE
namespace detail {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// What matmul has to know of a type.
struct Recipe {
  // Returns how many columns it computed, from `column` on.
  size_t (*rows)(const Matmul& m, size_t column, size_t begin, size_t end, void* scratch);
  void (*decode)(const uint8_t* const* rows, size_t first, size_t groups, uintptr_t next,
                 MatmulScratch& t, size_t p);
  TileKernel tile;     // null: plain floats
  size_t unit;         // k of what `decode` counts
  size_t unit_bytes8;  // bytes of 8 units
  size_t sub;
  int offset;  // that start values take away
  bool mins, wide, integer;
  PanelKernel panel[kPanelColumns];  // of 1 ... 5 columns; null: no packed form
  PanelDecode expand;
  PanelScales expand_scales;
  bool as_packed;           // the bytes of a packed panel are a tile's
  int centre, tile_offset;  // of panels' products; of their tiles, if those hold int16
};

template <class T>
static void decode_by_rows(const uint8_t* const* rows, size_t first, size_t groups, uintptr_t next,
                           MatmulScratch& t, size_t p) {
  RowDecoder decoder = {nullptr, T::kChunkBytes, T::kSub, T::kOffset};
  if constexpr (std::is_base_of_v<AnyGrid, T>) {
    decoder.decode = decode_grid_chunk<T>;
  } else {
    decoder.decode = decode_chunk<T>;
  }
  decode_rows<T::kSigned, tile_form<T>()>(decoder, rows, first, groups, next, t, p);
}

static constexpr bool is_start(size_t sub, int offset) {
  for (const StartKind& s : kStarts) {
    if (s.sub == sub && s.offset == offset) return true;
  }
  return false;
}

// Without W, the type has no packed form.
template <class T, class W = void>
static constexpr Recipe recipe() {
  constexpr bool wide = tile_form<T>() == TileForm::wide, integer = integer_scales<T>();
  constexpr int offset = wide || T::kMins ? 0 : dot_offset<T>();
  Recipe r = {};
  if constexpr (kTilesOnly) {
  } else if constexpr (std::is_base_of_v<AnyGrid, T>) {
    r.rows = multiply_grid<T>;
  } else if constexpr (std::is_same_v<T, Tq1_0>) {
    r.rows = multiply_ternary_rows;
  } else if constexpr (std::is_base_of_v<OneScale, T>) {
    r.rows = multiply_one_scale_rows<T>;
  } else if constexpr (kIntegerRows && T::kBlock == kChunk) {
    r.rows = multiply_superblock_rows<T>;
  } else {
    r.rows = multiply_rows<T>;
  }
  if constexpr (std::is_base_of_v<ByRows, T>) {
    r.decode = decode_by_rows<T>;
  } else {
    r.decode = decode_panel<T>;
  }
  static_assert(offset == 0 || is_start(T::kSub, offset));
  r.unit = kGroup;
  r.unit_bytes8 = T::kChunkBytes;
  r.sub = T::kSub;
  r.offset = offset;
  r.mins = T::kMins;
  r.wide = wide;
  r.integer = integer;
#if INLAY_DOT_I8MM
  r.tile = multiply_paired_tile<T::kSub, integer, offset != 0>;
#else
  if constexpr (wide) {
    r.tile = multiply_wide_tile<T::kSub, integer>;
  } else {
    // With start values the centred sum has to fit, else the plain one. Where it makes no
    // difference, both are one instance.
    constexpr int biggest = HWY_MAX(T::kOffset, T::kMax - T::kOffset);
    constexpr bool narrow =
        biggest * 127 * 16 <= 32767 && T::kSub == (kDot == DotKind::vnni ? 16 : 32);
    static_assert(T::kSigned || T::kMax <= 127);
    static_assert(kDot == DotKind::vnni ||
                  (2 * 127 * T::kMax <= 32767 && biggest * 127 * (narrow ? 16 : 8) <= 32767));
    if constexpr (integer)  // an exact float
      static_assert(int64_t{biggest} * 127 * 32 * T::kMaxScale < 1 << 24);
    r.tile = multiply_tile<T::kSub, integer, offset != 0, narrow>;
  }
#endif
  if constexpr (!kTilesOnly && !std::is_void_v<W>) {
    static_assert(T::kSub == W::kSub && T::kSigned == W::kSigned);
    r.panel[0] = multiply_panel<W, integer, 1>;
    if constexpr (kDot != DotKind::wide) {
      r.panel[1] = multiply_panel<W, integer, 2>;
      // Each instance costs compile time and size: three columns go with one of zeros.
      r.panel[2] = r.panel[3] = multiply_panel<W, integer, 4>;
      r.panel[4] = multiply_panel<W, integer, 5>;
    }
    r.expand = expand_panel<W>;
    r.expand_scales = panel_scales_to_tile<W, integer>;
    r.as_packed = kBiasSigned && W::kBits == 8;
    r.centre = int{panel_centre<W, integer>()};
    r.tile_offset = T::kSigned ? 0 : T::kOffset;
  }
  return r;
}

template <class T>
static constexpr Recipe plain_recipe() {
  Recipe r = {};
  r.rows = multiply_plain_rows<T>;
  r.decode = decode_plain_panel<T>;
  r.unit = 1;
  r.unit_bytes8 = 8 * T::kBytes;
  return r;
}

// The recipe of a type that this build has.
template <TensorType type, class T, class... W>
static constexpr Recipe recipe_if() {
  if constexpr (!is_compiled_in(type)) {
    return plain_recipe<PlainF32>();
  } else if constexpr (type == TensorType::f16 || type == TensorType::bf16) {
    return plain_recipe<T>();
  } else {
    return recipe<T, W...>();
  }
}

static Recipe recipe_of(TensorType type) {
  switch (type) {
    case TensorType::f16:
      return recipe_if<TensorType::f16, PlainF16>();
    case TensorType::bf16:
      return recipe_if<TensorType::bf16, PlainBf16>();
    case TensorType::q4_0:
      return recipe_if<TensorType::q4_0, Q4_0, Nibbles>();
    case TensorType::q4_1:
      return recipe_if<TensorType::q4_1, Q4_1, Nibbles>();
    case TensorType::q5_0:
      return recipe_if<TensorType::q5_0, Q5_0, FiveBits>();
    case TensorType::q5_1:
      return recipe_if<TensorType::q5_1, Q5_1, FiveBits>();
    case TensorType::q8_0:
      return recipe_if<TensorType::q8_0, Q8_0, EightBits>();
    case TensorType::q2_k:
      return recipe_if<TensorType::q2_k, Q2K, TwoBits>();
    case TensorType::q3_k:
      return recipe_if<TensorType::q3_k, Q3K, ThreeBits>();
    case TensorType::q4_k:
      return recipe_if<TensorType::q4_k, Q4K, Nibbles>();
    case TensorType::q5_k:
      return recipe_if<TensorType::q5_k, Q5K, FiveBits>();
    case TensorType::q6_k:
      return recipe_if<TensorType::q6_k, Q6K, SixBits>();
    case TensorType::iq4_nl:
      return recipe_if<TensorType::iq4_nl, Iq4Nl, TableNibbles>();
    case TensorType::iq4_xs:
      return recipe_if<TensorType::iq4_xs, Iq4Xs, TableNibbles>();
    case TensorType::mxfp4:
      return recipe_if<TensorType::mxfp4, Mxfp4>();
    case TensorType::nvfp4:
      return recipe_if<TensorType::nvfp4, Nvfp4>();
    case TensorType::q1_0:
      return recipe_if<TensorType::q1_0, Q1_0>();
    case TensorType::q2_0:
      return recipe_if<TensorType::q2_0, Q2_0>();
    case TensorType::tq1_0:
      return recipe_if<TensorType::tq1_0, Tq1_0>();
    case TensorType::tq2_0:
      return recipe_if<TensorType::tq2_0, Tq2_0>();
    case TensorType::iq2_xxs:
      return recipe_if<TensorType::iq2_xxs, Iq2Xxs>();
    case TensorType::iq2_xs:
      return recipe_if<TensorType::iq2_xs, Iq2Xs>();
    case TensorType::iq2_s:
      return recipe_if<TensorType::iq2_s, Iq2S>();
    case TensorType::iq3_xxs:
      return recipe_if<TensorType::iq3_xxs, Iq3Xxs>();
    case TensorType::iq3_s:
      return recipe_if<TensorType::iq3_s, Iq3S>();
    case TensorType::iq1_s:
      return recipe_if<TensorType::iq1_s, Iq1S>();
    case TensorType::iq1_m:
      return recipe_if<TensorType::iq1_m, Iq1M>();
    default:
      return plain_recipe<PlainF32>();
  }
}

// One column of a panel. A column's rows lie in a cache line or two of their own, far from the next
// column's, so that stores miss the cache: lines are asked for while the last products are
// computed.
static HWY_INLINE void store_panel(const Matmul& m, size_t row, size_t end, size_t column,
                                   const float* from) {
  const hn::Repartition<float, WideTag> df;
  if (row + kPanelRows > end) {
    for (; row < end; ++row, ++from) store_result(m, row, column, *from);
    return;
  }
  float* out = m.out + column * m.out_stride + row;
  for (size_t i = 0; i < kPanelRows; i += kRowLanes) {
    auto sum = hn::Mul(hn::Load(df, from + i), hn::Set(df, m.scale));
    if (m.bias != nullptr) sum = hn::Add(sum, hn::LoadU(df, m.bias + row + i));
    if (m.add) sum = hn::Add(hn::LoadU(df, out + i), sum);
    hn::StoreU(sum, df, out + i);
  }
}

// Few columns, weights in panels: `streams` of them at a time, as far apart as rows. More columns
// than go together take turns with some panels, which stay in the second cache: by single ones,
// reading from memory would start anew with each.
HWY_MAYBE_UNUSED static HWY_NOINLINE void multiply_panels(const Matmul& m, const Recipe& r,
                                                          size_t begin, size_t end) {
  const size_t streams = m.reading.streams;
  constexpr size_t kTurnBytes = size_t{128} << 10;
  const ColumnLayout one(m.k);
  const GroupLayout several(m.k);
  const size_t panel_bytes = packed_bytes(m.type, kPanelRows, m.k);
  const size_t first = begin / kPanelRows, last = div_up(end, kPanelRows);
  const size_t length = div_up(last - first, streams);
  const size_t turn = m.n <= kPanelColumns ? length : kTurnBytes / (streams * panel_bytes) + 1;
  const StartKind start = {r.sub, r.centre};
  PanelTurn t;
  t.groups = m.k / kGroup;
  t.ahead = m.reading.ahead;
  t.second_ahead = m.reading.second_ahead;
  for (size_t i0 = 0; i0 < length; i0 += turn) {
    for (size_t c = 0, columns; c < m.n; c += columns) {
      columns = m.n - c <= kPanelColumns ? m.n - c : kColumns;
      const uint8_t* xq = static_cast<const uint8_t*>(m.xq) + c / kColumns * several.bytes();
      const auto floats = [&](size_t at) { return reinterpret_cast<const float*>(xq + at); };
      const auto words = [&](size_t at) { return reinterpret_cast<const uint32_t*>(xq + at); };
      PanelKernel kernel = r.panel[columns - 1];
      PanelColumns x = {reinterpret_cast<const int8_t*>(xq), floats(several.scale()),
                        floats(several.sum(r.sub)), words(several.start(start)), several.bytes()};
      if (m.n == 1) {
        x.scale = floats(one.scale(kGroup));
        x.sum = floats(one.sum(r.sub));
        x.start = words(one.start(start));
      }
      for (size_t i = i0; i < HWY_MIN(i0 + turn, length); ++i) {
        t.streams = 0;  // the last may be shorter
        for (size_t panel = first + i; t.streams < streams && panel < last; panel += length) {
          t.panels[t.streams] = m.w + panel * panel_bytes;
          std::memset(t.sum[t.streams++], 0, sizeof t.sum[0]);
        }
        kernel(t, x, r.mins);
        for (size_t s = 0; s < t.streams; ++s) {
          const size_t row = (first + s * length + i) * kPanelRows;
          for (size_t j = 0; j < columns; ++j) store_panel(m, row, end, c + j, t.sum[s][j]);
        }
      }
    }
  }
}

// Groups [first, first + groups) of a panel to panel p of a tile; in place: only their scales, for
// tile kernels read the weights where they are (Q8_0, 7 to 16 columns 1.07 to 1.1 times as fast).
static void decode_packed(TensorType type, const Recipe& r, const uint8_t* panel, size_t first,
                          size_t groups, bool in_place, MatmulScratch& t, size_t p) {
  const PanelLayout layout = panel_layout(type);
  const size_t steps = r.wide ? 16 : 8, subs = kGroup / r.sub;
  for (size_t g = 0; g < groups; g += 8) {
    const size_t here = HWY_MIN(size_t{8}, groups - g);
    const uint8_t* chunk = panel + (first + g) / 8 * layout.chunk_bytes(8);
    r.expand_scales(chunk, here, r.mins, kTwice && !r.wide, t.scale[p] + g * subs,
                    t.min[p] + g * subs, t.delta[p][g / 8]);
    if (!in_place) r.expand(chunk + layout.scales(here), here, r.tile_offset, t.w[p][g * steps]);
  }
  if (!in_place) return;
  const uint8_t* from = panel + first / 8 * layout.chunk_bytes(8) + layout.scales(8);
  t.from[p] = reinterpret_cast<const uint32_t*>(from);
}

// The tile whose first row is `row`, of units [u, u + here), asked for beside the products of
// `parts` column groups.
static TileAhead tile_ahead(const Matmul& m, const Recipe& r, size_t row, size_t u, size_t here,
                            size_t parts) {
  TileAhead next = {};
  if (kTilesOnly || !m.packed) return next;
  const size_t row_bytes = m.k / r.unit * r.unit_bytes8 / 8;
  next.bytes = kPanelRows * (here * r.unit_bytes8 / 8) + 63;
  // At least a line: what every group asks for, or none, is foreseen by the core.
  next.step = HWY_MAX(div_up(next.bytes, here * parts), size_t{64});
  for (size_t p = 0; p < 2; ++p) {
    const size_t panel = HWY_MIN(row + p * kPanelRows, m.rows - 1) / kPanelRows * kPanelRows;
    next.panel[p] = m.w + panel * row_bytes + kPanelRows * (u * r.unit_bytes8 / 8);
  }
  return next;
}

// Plain floats need no other layout for tiles, whose decoding takes as long as some 40 columns; 12
// where no instruction converts halves.
static constexpr size_t kPlainTileColumns = kTilesOnly || HWY_ARCH_WASM ? 12 : 40;

static void matmul(const Matmul& m, size_t begin, size_t end, void* scratch) {
  if (begin >= end) return;
  const Recipe r = recipe_of(m.type);
  const size_t units = m.k / r.unit, row_bytes = units * r.unit_bytes8 / 8;
  if constexpr (!kTilesOnly) {
    const PanelLayout layout = panel_layout(m.type);
    const size_t most = layout.bits < 6 ? m.reading.panel_columns : m.reading.wide_panel_columns;
    if (m.packed && m.n <= HWY_MIN(most, most_panel_columns(layout)) && !m.tiles) {
      return multiply_panels(m, r, begin, end);
    }
  }
  // As the file has them, three columns already gain from tiles: 1.3 (AVX2) and 1.2 (AVX-512) times
  // the speed of one column after another.
  if (r.tile != nullptr && m.n < kColumns - 1 && !m.packed && !m.tiles && !kTilesOnly) {
    for (size_t column = 0; column < m.n;) column += r.rows(m, column, begin, end, scratch);
    return;
  }
  if (r.tile == nullptr && m.n < kPlainTileColumns && !m.tiles) {
    constexpr size_t kRows = 64;  // stay in the second cache from column to column
    for (size_t row = begin; row < end; row += kRows) {
      for (size_t column = 0; column < m.n;)
        column += r.rows(m, column, row, HWY_MIN(end, row + kRows), scratch);
    }
    return;
  }
  MatmulScratch& t = *static_cast<MatmulScratch*>(scratch);
  const GroupLayout layout(m.k);
  const size_t group_bytes = layout.bytes(), start = layout.start({r.sub, r.offset});
  // A last chunk of fewer groups would begin at other distances.
  const bool in_place = m.packed && r.as_packed && m.k % kChunk == 0;
  for (size_t p = 0; p < 2; ++p) t.from[p] = t.w[p][0];
  t.skip = in_place ? panel_layout(m.type).scales(8) / sizeof t.w[0][0][0] : 0;
  const size_t tile_units = (r.tile == nullptr ? kTileK / 4
                             : r.wide          ? kTileK / 2
                                               : kTileK) /
                            r.unit;
  for (size_t column0 = m.first; column0 < m.n; column0 += kTileColumns) {
    const size_t columns = HWY_MIN(kTileColumns, m.n - column0);
    const size_t column_groups = div_up(columns, kColumns);
    for (size_t row0 = begin; row0 < end; row0 += kTileRows) {
      const uint8_t* rows[kTileRows];
      for (size_t i = 0; i < kTileRows; ++i) rows[i] = m.w + HWY_MIN(row0 + i, end - 1) * row_bytes;
      uintptr_t next = reinterpret_cast<uintptr_t>(m.w) + (row0 + kTileRows) * row_bytes;
      std::memset(t.c, 0, column_groups * sizeof t.c[0]);
      const auto ask_results = [&](size_t column, size_t n) {
        for (size_t i = column; i < HWY_MIN(column + n, m.n); ++i) {
          float* out = m.out + i * m.out_stride + row0;
          INLAY_PREFETCH_TO_WRITE(out);
          INLAY_PREFETCH_TO_WRITE(out + kPanelRows);
        }
      };
      for (size_t u = 0; u < units; u += tile_units) {
        const size_t here = HWY_MIN(tile_units, units - u);
        const size_t tile_bytes = kPanelRows * (here * r.unit_bytes8 / 8);
        const bool last = u + here == units;
        for (size_t p = 0; p < 2; ++p) {
          if (!kTilesOnly && m.packed) {
            const size_t panel = HWY_MIN(row0 + p * kPanelRows, end - 1) / kPanelRows;
            decode_packed(m.type, r, m.w + panel * kPanelRows * row_bytes, u, here, in_place, t, p);
          } else {
            r.decode(rows + p * kPanelRows, u, here, next, t, p);
          }
#if INLAY_DOT_I8MM
          if (r.tile != nullptr) pair_rows(t.w[p], here * kGroup / 4);
#endif
          next += tile_bytes;
        }
        if (r.tile == nullptr) {
          for (size_t j = 0; j < columns; j += kPlainGroup) {
            if (last) ask_results(column0 + j, kPlainGroup);
            const float* x = m.x + column0 * m.x_stride + u;
            const float* then = j + kPlainGroup < columns ? x + (j + kPlainGroup) * m.x_stride
                                : last                    ? x - u
                                                          : x + here;
            multiply_plain_tile(t, x + j * m.x_stride, m.x_stride, here, j,
                                HWY_MIN(kPlainGroup, columns - j), then);
          }
          continue;
        }
        TileAhead ahead = tile_ahead(m, r, last ? row0 + kTileRows : row0, last ? 0 : u + here,
                                     here, column_groups);
        // Where, in a column group, lies what meets this tile.
        const size_t subs = here * kGroup / r.sub, group_at = u * kGroup * kColumns;
        const size_t q_at =
            r.wide ? layout.wide() + 2 * group_at : (INLAY_DOT_I8MM ? layout.wide() : 0) + group_at;
        const size_t scale_at = layout.scale() + group_at / kGroup * sizeof(float);
        const size_t sub_at = group_at / r.sub * sizeof(float);
        const size_t start_at = start + sub_at, sum_at = layout.sum(r.sub) + sub_at;
        const uint8_t* xq = static_cast<const uint8_t*>(m.xq) + column0 / kColumns * group_bytes;
        for (size_t j = 0; j < column_groups; ++j, xq += group_bytes) {
          if (last) ask_results(column0 + j * kColumns, kColumns);
          const auto words = [&](size_t at) { return reinterpret_cast<const uint32_t*>(xq + at); };
          const auto floats = [&](size_t at) { return reinterpret_cast<const float*>(xq + at); };
          const TileColumns a = {words(q_at), floats(scale_at), words(start_at),
                                 ahead.asked < ahead.bytes ? &ahead : nullptr};
          r.tile(t, a, here, t.c[j]);
          if (r.mins) subtract_tile_mins(t, floats(sum_at), subs, t.c[j]);
        }
      }
      for (size_t column = 0; column < columns; ++column) {
        // Again, for they have left the nearest cache since: prompts of 512 1.01 times as fast.
        ask_results(column0 + column + 16, 1);
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
