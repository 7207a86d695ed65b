// Products with many columns on AMX, the matrix unit of Intel's servers since Sapphire Rapids.
// tdpbf16ps adds to 16 x 16 floats the products of 16 columns with 16 rows, 32 k of each, as
// bfloat16: 512 products a cycle, four times those of 512-bit vpdpbusd. There, too, a sub-block's
// scale costs a conversion and two operations for each of its sums, more than the products: so
// weights become bfloat16 with their scale, once for 256 columns, and nothing but products is left.
// That is also nearer to the product of floats than int8 with a scale for 32 activations: two
// roundings by 2^-9 of a value at most, not one by 1/254 of the largest of 32. F16 and BF16 are
// multiplied as sums of two bfloat16 each, of which only the product of both second ones is left
// out. Included by the pass of AVX3_DL; no include guard.

#if INLAY_HAS_AVX3_AMX && HWY_TARGET == HWY_AVX3_DL
HWY_BEFORE_NAMESPACE();
INLAY_BEGIN_NAMESPACE
namespace detail {
namespace HWY_NAMESPACE {
namespace amx {

// Fewer are faster as int8: Q4_0, packed, from 40 on, mapped or with scales of superblocks from 24
// on.
static constexpr size_t kLeastColumns = 40;

static constexpr size_t kTileSize = 16;               // rows, and columns, of a tile
static constexpr size_t kTileBytes = kTileSize * 64;  // 16 rows of 64 bytes: a register
static constexpr size_t kStepK = 32;                  // k of a tile
// What is kept of sums; and of weights, so that they and their part of 32 columns fit L1. Plain
// floats are read from memory 1.2 times as fast if more of each row is read at a time.
static constexpr size_t kBlockRows = 128, kBlockK = 256, kPlainBlockK = 512;

// Instructions by name: intrinsics are macros in GCC and checked against the command line in Clang,
// and neither compiler keeps values in tile registers unless told to.
// Registers 0-3 hold sums, [column tile][row tile]; 4 and 5 column tiles; 6 and 7 row tiles.
#  define INLAY_TILE_LOAD(tile, from, stride)                                                  \
    __asm__ volatile("{tileloadd (%0,%1,1), %%tmm" #tile "|tileloadd tmm" #tile ", [%0+%1*1]}" \
                     :                                                                         \
                     : "r"(from), "r"(stride)                                                  \
                     : "memory")
#  define INLAY_TILE_STORE(tile, to, stride)                                                     \
    __asm__ volatile("{tilestored %%tmm" #tile ", (%0,%1,1)|tilestored [%0+%1*1], tmm" #tile "}" \
                     :                                                                           \
                     : "r"(to), "r"(stride)                                                      \
                     : "memory")
#  define INLAY_TILE_ZERO(tile) \
    __asm__ volatile("{tilezero %%tmm" #tile "|tilezero tmm" #tile "}" ::)
#  define INLAY_TILE_MULTIPLY(sum, a, b)                                                     \
    __asm__ volatile("{tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #sum "|tdpbf16ps tmm" #sum \
                     ", tmm" #a ", tmm" #b "}" ::)

// The shapes of the tile registers; see ldtilecfg.
struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};

  // For up to 2 * kTileSize columns.
  explicit TileConfig(size_t columns) {
    const size_t first = HWY_MIN(columns, kTileSize), second = columns - first;
    for (size_t i = 0; i < 8; ++i) {
      row_bytes[i] = 64;
      rows[i] = static_cast<uint8_t>(i >= 6                       ? kTileSize
                                     : i == 2 || i == 3 || i == 5 ? second
                                                                  : first);
      if (rows[i] == 0) row_bytes[i] = 0;
    }
  }
  void load() const { __asm__ volatile("ldtilecfg %0" : : "m"(*this)); }
};

// Where a column is: at a stride that does not depend on how many there are.
static constexpr size_t column_stride(size_t k) { return GroupLayout(k).bytes() / kColumns; }

using Pairs = uint32_t[kTileSize];  // [row][2 k], bfloat16
struct Scratch {
  // 32 rows, decoded as for other targets; then as bfloat16, [row tile]; of plain floats the first
  // half is what is nearest, the second what is left.
  MatmulScratch decoded;
  alignas(64) Pairs w[2][kPlainBlockK];
  // [32 rows][column tile][row tile][column][row]
  alignas(64) float c[kBlockRows / kTileRows][kTileColumns / kTileSize][2][kTileSize][kTileSize];
};

// ---- activations --------------------------------------------------------------------------------
// To bfloat16, in the high halves; the low ones are anything.
static HWY_INLINE hn::Vec<hn::Full512<uint32_t>> rounded(hn::Vec<hn::Full512<float>> v) {
  const hn::Full512<uint32_t> d;
  return hn::Add(hn::BitCast(d, v), hn::Set(d, 0x8000u));
}
// What v is more than that.
static HWY_INLINE hn::Vec<hn::Full512<float>> left(hn::Vec<hn::Full512<float>> v) {
  const hn::Full512<float> df;
  const hn::Full512<uint32_t> d;
  return hn::Sub(v, hn::BitCast(df, hn::And(rounded(v), hn::Set(d, 0xffff0000u))));
}

// Kernels::quantize. A column is followed by what is left of it, if that is needed.
static void quantize(const Quantize& q, size_t begin, size_t end, size_t k_begin, size_t k_end) {
  if (q.n < kLeastColumns || q.tiles) return N_AVX3_DL::quantize(q, begin, end, k_begin, k_end);
  const hn::Full512<float> df;
  const hn::Full512<uint32_t> d;
  const hn::Rebind<uint16_t, decltype(d)> d16;
  const size_t stride = column_stride(q.k);
  const size_t last = k_end == q.k ? round_up(k_end, kStepK) : k_end;
  for (size_t c = begin; c < end; ++c) {
    const float* x = q.x + (q.rows == nullptr ? c : q.rows[c]) * q.x_stride;
    uint16_t* to = reinterpret_cast<uint16_t*>(static_cast<uint8_t*>(q.xq) + c * stride);
    for (size_t k = k_begin; k < last; k += 16) {
      const size_t here = k < k_end ? k_end - k : 0;
      const auto v = here >= 16 ? hn::LoadU(df, x + k) : hn::LoadN(df, x + k, here);
      hn::Store(hn::TruncateTo(d16, hn::ShiftRight<16>(rounded(v))), d16, to + k);
      if (!q.halves) continue;
      hn::Store(hn::TruncateTo(d16, hn::ShiftRight<16>(rounded(left(v)))), d16,
                to + round_up(q.k, kStepK) + k);
    }
  }
}

// ---- weights ------------------------------------------------------------------------------------
// The high halves of both, side by side.
static HWY_INLINE hn::Vec<hn::Full512<uint32_t>> pairs(hn::Vec<hn::Full512<uint32_t>> first,
                                                       hn::Vec<hn::Full512<uint32_t>> second) {
  const hn::Full512<uint32_t> d;
  return hn::OrAnd(hn::ShiftRight<16>(first), second, hn::Set(d, 0xffff0000u));
}

// `subs` sub-blocks of `sub` k of panel p, decoded, to bfloat16.
static HWY_NOINLINE void to_bfloat16(const MatmulScratch& t, size_t p, const Recipe& r, size_t subs,
                                     Pairs* HWY_RESTRICT to) {
  const hn::Full512<float> df;
  const hn::Full512<int32_t> di;
  const hn::Full512<uint32_t> d;
  const auto byte = hn::Set(d, 0xffu);
  const auto offset = hn::Set(df, -static_cast<float>(r.offset));
  const size_t per_chunk = kChunk / r.sub;
  const uint32_t(*w)[kPanelRows] = t.w[p];
  for (size_t s = 0; s < subs; ++s) {
    auto scale = hn::Load(df, t.scale[p][s]);
    if (r.integer) {
      scale = hn::Mul(hn::ConvertTo(df, hn::BitCast(di, scale)),
                      hn::Load(df, t.delta[p][s / per_chunk]));
    }
    auto start = hn::Mul(scale, offset);
    if (r.mins) start = hn::Sub(start, hn::Load(df, t.min[p][s]));
    const auto value = [&](hn::Vec<decltype(d)> u) HWY_ATTR {
      return rounded(hn::MulAdd(hn::ConvertTo(df, hn::BitCast(di, u)), scale, start));
    };
    for (size_t step = 0; step < r.sub / 4; ++step, ++w, to += 2) {
      const auto u = hn::Load(d, *w);
      const auto v0 = value(hn::And(u, byte)), v1 = value(hn::And(hn::ShiftRight<8>(u), byte));
      const auto v2 = value(hn::And(hn::ShiftRight<16>(u), byte)),
                 v3 = value(hn::ShiftRight<24>(u));
      hn::Store(pairs(v0, v1), d, to[0]);
      hn::Store(pairs(v2, v3), d, to[1]);
    }
  }
}

// Pairs of k of 16 rows, from [row][pair].
static HWY_INLINE void transpose(const uint32_t (*HWY_RESTRICT from)[kTileSize],
                                 Pairs* HWY_RESTRICT to) {
  const hn::Full128<uint32_t> d128;
  const hn::Full512<uint32_t> d;
  const hn::Full512<uint64_t> d64;
  INLAY_UNROLL(4) for (size_t four = 0; four < kTileSize; four += 4) {
    const auto load = [&](size_t row) HWY_ATTR {  // of every fourth row
      const auto block = [&](size_t i)
                             HWY_ATTR { return hn::Load(d128, from[row + 4 * i] + four); };
      auto v = hn::ResizeBitCast(d, block(0));
      v = hn::InsertBlock<1>(v, block(1));
      v = hn::InsertBlock<2>(v, block(2));
      return hn::InsertBlock<3>(v, block(3));
    };
    const auto a = load(0), b = load(1), c = load(2), e = load(3);
    const auto low0 = hn::BitCast(d64, hn::InterleaveLower(d, a, b));
    const auto low2 = hn::BitCast(d64, hn::InterleaveLower(d, c, e));
    const auto high0 = hn::BitCast(d64, hn::InterleaveUpper(d, a, b));
    const auto high2 = hn::BitCast(d64, hn::InterleaveUpper(d, c, e));
    hn::Store(hn::BitCast(d, hn::InterleaveLower(d64, low0, low2)), d, to[four]);
    hn::Store(hn::BitCast(d, hn::InterleaveUpper(d64, low0, low2)), d, to[four + 1]);
    hn::Store(hn::BitCast(d, hn::InterleaveLower(d64, high0, high2)), d, to[four + 2]);
    hn::Store(hn::BitCast(d, hn::InterleaveUpper(d64, high0, high2)), d, to[four + 3]);
  }
}

// `count` F16 or BF16 of 16 rows, and zeros up to a multiple of kStepK.
template <bool half>
static HWY_NOINLINE void split_halves(const uint8_t* const* rows, size_t first, size_t count,
                                      Pairs* HWY_RESTRICT to) {
  const hn::Full512<float> df;
  const hn::Full512<uint16_t> d16;
  const hn::Rebind<hwy::float16_t, decltype(df)> dh;
  const hn::Repartition<uint16_t, decltype(dh)> dh16;
  // Of two vectors of floats, the high halves.
  const auto tops = [&](hn::Vec<decltype(df)> low, hn::Vec<decltype(df)> high) HWY_ATTR {
    const auto a = hn::BitCast(d16, rounded(low)), b = hn::BitCast(d16, rounded(high));
    return hn::BitCast(hn::Full512<uint32_t>(), hn::ConcatOdd(d16, b, a));
  };
  HWY_ALIGN uint32_t nearest[kTileSize][kTileSize], rest[kTileSize][kTileSize];
  for (size_t k = 0; k < count; k += kStepK, to += kStepK / 2) {
    for (size_t row = 0; row < kTileSize; ++row) {
      const uint16_t* from = reinterpret_cast<const uint16_t*>(rows[row]) + first + k;
      HWY_ALIGN uint16_t tail[kStepK];
      if (HWY_UNLIKELY(count - k < kStepK)) {
        std::memset(tail, 0, sizeof tail);
        std::memcpy(tail, from, (count - k) * 2);
        from = tail;
      }
      if constexpr (half) {
        const auto low = hn::PromoteTo(df, hn::BitCast(dh, hn::LoadU(dh16, from)));
        const auto high = hn::PromoteTo(df, hn::BitCast(dh, hn::LoadU(dh16, from + 16)));
        hn::Store(tops(low, high), hn::Full512<uint32_t>(), nearest[row]);
        hn::Store(tops(left(low), left(high)), hn::Full512<uint32_t>(), rest[row]);
      } else {
        hn::Store(hn::BitCast(hn::Full512<uint32_t>(), hn::LoadU(d16, from)),
                  hn::Full512<uint32_t>(), nearest[row]);
      }
    }
    transpose(nearest, to);
    if constexpr (half) transpose(rest, to + kPlainBlockK / 2);
  }
}

// ---- products -----------------------------------------------------------------------------------
// A part of the columns times a part of the rows; in the order in which they are added.
struct Term {
  const uint8_t* columns;
  const Pairs* rows;  // of the first row tile
};

// Adds to c the products of up to 32 columns, of the second 16 only if `both`, with 32 rows.
// `steps` of kStepK.
template <bool both>
static HWY_INLINE void multiply(const Term* terms, size_t n_terms, size_t stride, size_t steps,
                                bool first, float (*c)[2][kTileSize][kTileSize]) {
  const size_t line = 64;
  if (first) {
    INLAY_TILE_ZERO(0);
    INLAY_TILE_ZERO(1);
    if (both) {
      INLAY_TILE_ZERO(2);
      INLAY_TILE_ZERO(3);
    }
  } else {
    INLAY_TILE_LOAD(0, c[0][0], line);
    INLAY_TILE_LOAD(1, c[0][1], line);
    if (both) {
      INLAY_TILE_LOAD(2, c[1][0], line);
      INLAY_TILE_LOAD(3, c[1][1], line);
    }
  }
  for (const Term* term = terms; term < terms + n_terms; ++term) {
    const uint8_t *a0 = term->columns, *a1 = a0 + kTileSize * stride;
    const uint8_t* b0 = reinterpret_cast<const uint8_t*>(term->rows);
    const uint8_t* b1 = b0 + sizeof(Scratch::w[0]);
    for (size_t s = 0; s < steps; ++s, a0 += 64, a1 += 64, b0 += kTileBytes, b1 += kTileBytes) {
      INLAY_TILE_LOAD(4, a0, stride);
      INLAY_TILE_LOAD(6, b0, line);
      INLAY_TILE_MULTIPLY(0, 4, 6);
      INLAY_TILE_LOAD(7, b1, line);
      INLAY_TILE_MULTIPLY(1, 4, 7);
      if (both) {
        INLAY_TILE_LOAD(5, a1, stride);
        INLAY_TILE_MULTIPLY(2, 5, 6);
        INLAY_TILE_MULTIPLY(3, 5, 7);
      }
    }
  }
  INLAY_TILE_STORE(0, c[0][0], line);
  INLAY_TILE_STORE(1, c[0][1], line);
  if (both) {
    INLAY_TILE_STORE(2, c[1][0], line);
    INLAY_TILE_STORE(3, c[1][1], line);
  }
}

// Where units [u, u + here) of a matrix's rows lie: of each row by itself, or of 16 together.
struct Bits {
  const Matmul& m;
  size_t unit_bytes8, row_bytes;
  size_t rows() const { return m.packed ? kPanelRows : 1; }
  const uint8_t* at(size_t row, size_t u) const {
    row = HWY_MIN(row, m.rows - 1) / rows() * rows();
    return m.w + row * row_bytes + rows() * (u * unit_bytes8 / 8);
  }
  // Asks for a part of those of 32 rows. (GCC 12 drops these loops if they have INLAY_PREFETCH.)
  void ask(size_t row, size_t u, size_t here, size_t part, size_t parts) const {
    const size_t n = kTileRows / rows(), bytes = rows() * (here * unit_bytes8 / 8);
    for (size_t i = n * part / parts; i < n * (part + 1) / parts; ++i) {
      const uint8_t* from = at(row + i * rows(), u);
      for (size_t j = 0; j < bytes + 64; j += 64)
        __asm__ volatile("prefetcht1 %0" : : "m"(from[j]));
    }
  }
};

// Units [u, u + here) of 32 rows to t.w.
static void decode(const Bits& bits, const Recipe& r, size_t row0, size_t u, size_t here,
                   Scratch& t) {
  for (size_t p = 0; p < 2; ++p) {
    const size_t first = row0 + p * kPanelRows;
    // What these ask for is here already: the next rows are asked for beside the products.
    const uintptr_t own = reinterpret_cast<uintptr_t>(bits.at(first, u));
    const uint8_t* rows[kPanelRows];
    for (size_t i = 0; i < kPanelRows; ++i) rows[i] = bits.at(first + i, 0);
    if (r.tile == nullptr) {
      const auto split = bits.m.type == TensorType::f16 ? split_halves<true> : split_halves<false>;
      split(rows, u, here, t.w[p]);
      continue;
    }
    if (bits.m.packed) {
      decode_packed(bits.m.type, r, rows[0], u, here, t.decoded, p);
    } else {
      r.decode(rows, u, here, own, t.decoded, p);
    }
    to_bfloat16(t.decoded, p, r, here * kGroup / r.sub, t.w[p]);
  }
}

static void multiply_tiles(const Matmul& m, const Recipe& r, size_t begin, size_t end, Scratch& t) {
  const size_t units = m.k / r.unit, stride = column_stride(m.k);
  const size_t block_units = (r.tile == nullptr ? kPlainBlockK : kBlockK) / r.unit;
  const size_t n_terms = r.tile != nullptr ? 1 : m.type == TensorType::bf16 ? 2 : 3;
  const size_t left_bytes = round_up(m.k, kStepK) * 2;  // from a column to what is left of it
  const Bits bits = {m, r.unit_bytes8, units * r.unit_bytes8 / 8};
  const TileConfig whole(2 * kTileSize);
  for (size_t column0 = m.first; column0 < m.n; column0 += kTileColumns) {
    const size_t columns = HWY_MIN(kTileColumns, m.n - column0);
    const size_t n_pairs = div_up(columns, 2 * kTileSize), rest = columns % (2 * kTileSize);
    const TileConfig tail(rest);
    for (size_t block = begin; block < end; block += kBlockRows) {
      const size_t block_end = HWY_MIN(end, block + kBlockRows);
      for (size_t u = 0; u < units; u += block_units) {
        const size_t here = HWY_MIN(block_units, units - u);
        const size_t steps = div_up(here * r.unit, kStepK);
        for (size_t row0 = block; row0 < block_end; row0 += kTileRows) {
          decode(bits, r, row0, u, here, t);
          size_t next_row = row0 + kTileRows, next = u;  // also those of the next task
          if (next_row >= block_end) {
            next = u + here < units ? u + here : 0;
            if (next != 0) next_row = block;
          }
          whole.load();
          for (size_t pair = 0; pair < n_pairs; ++pair) {
            bits.ask(next_row, next, here, pair, n_pairs);
            const uint8_t* a = static_cast<const uint8_t*>(m.xq) +
                               (column0 + pair * 2 * kTileSize) * stride + u * r.unit * 2;
            const Term terms[3] = {
                {a, t.w[0]}, {a + left_bytes, t.w[0]}, {a, t.w[0] + kPlainBlockK / 2}};
            auto* c = t.c[(row0 - block) / kTileRows] + 2 * pair;
            const bool in_tail = rest != 0 && pair + 1 == n_pairs;
            if (in_tail) tail.load();
            if (in_tail && rest <= kTileSize) {
              multiply<false>(terms, n_terms, stride, steps, u == 0, c);
            } else {
              multiply<true>(terms, n_terms, stride, steps, u == 0, c);
            }
          }
        }
      }
      for (size_t row0 = block; row0 < block_end; row0 += kTileRows) {
        for (size_t column = 0; column < columns; ++column) {
          for (size_t p = 0; p < 2; ++p) {
            store_panel(m, row0 + p * kPanelRows, end, column0 + column,
                        t.c[(row0 - block) / kTileRows][column / kTileSize][p][column % kTileSize]);
          }
        }
      }
    }
  }
  __asm__ volatile("tilerelease" ::);  // or each switch of threads would save the registers
}

// Kernels::matmul. F32 is left to the floats of other targets.
static void matmul(const Matmul& m, size_t begin, size_t end, void* scratch) {
  if (m.n < kLeastColumns || m.tiles || m.type == TensorType::f32 || m.xq == nullptr)
    return N_AVX3_DL::matmul(m, begin, end, scratch);
  if (begin >= end) return;
  multiply_tiles(m, recipe_of(m.type), begin, end, *static_cast<Scratch*>(scratch));
}

#  undef INLAY_TILE_LOAD
#  undef INLAY_TILE_STORE
#  undef INLAY_TILE_ZERO
#  undef INLAY_TILE_MULTIPLY

}  // namespace amx
}  // namespace HWY_NAMESPACE
}  // namespace detail
INLAY_END_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // INLAY_HAS_AVX3_AMX
