// Products with many columns on AMX, the matrix unit of Intel's servers since Sapphire Rapids.
// tdpbf16ps adds to 16 x 16 floats the products of 16 columns with 16 rows, 32 k of each, as
// bfloat16: 512 products a cycle, four times those of 512-bit vpdpbusd. There, too, a sub-block's
// scale costs a conversion and two operations for each of its sums, more than the products: so
// weights become bfloat16 with their scale, once for 256 columns, and nothing but products is left.
// That is also nearer to the product of floats than int8 with a scale for 32 activations: two
// roundings by 2^-9 of a value at most, not one by 1/254 of the largest of 32.
//
// F16 and BF16 need more bits. Their weights, and activations for them, become integers of 16 bits,
// each 512 k with a scale of their own, and those two digits of eight: tdpbssd takes 64 k at a
// time, so that the four products of digits take 1.7 times less than three of bfloat16, which two
// parts of each value would need. Off by 2^-16 of the largest of 512 at most, that is 5 times
// nearer to the product of floats than activations rounded to F16 are, of values with one normal
// distribution, and no further if one in 512 is a thousand times the others. Without the product of
// both low digits it would be: beside large values the others have only those.
//
// Included by the pass of AVX3_DL; no include guard.

#if INLAY_HAS_AVX3_AMX && HWY_TARGET == HWY_AVX3_DL
HWY_BEFORE_NAMESPACE();
INLAY_BEGIN_NAMESPACE
namespace detail {
namespace HWY_NAMESPACE {
namespace amx {

// Fewer are faster as int8: Q4_0, packed, from 40 on, mapped or with scales of superblocks from 24
// on. And fewer of F16 and BF16 as floats.
static constexpr size_t kLeastColumns = 40, kLeastHalfColumns = 13;

static constexpr size_t kTileSize = 16;               // rows, and columns, of a tile
static constexpr size_t kTileBytes = kTileSize * 64;  // 16 rows of 64 bytes: a register
static constexpr size_t kStepK = 32;                  // k of a tile of bfloat16
// What is kept of sums; and of weights, so that they and their part of 32 columns fit L1.
static constexpr size_t kBlockRows = 128, kBlockK = 256;
// Of digits: k of a tile; k that share a scale; and the largest integer, 127 for both digits.
static constexpr size_t kDigitStepK = 64, kDigitBlockK = 512;
static constexpr float kLargest = 127 * 256 + 127;

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
#  define INLAY_TILE_DOT(name, sum, a, b)                                                  \
    __asm__ volatile("{" name " %%tmm" #b ", %%tmm" #a ", %%tmm" #sum "|" name " tmm" #sum \
                     ", tmm" #a ", tmm" #b "}" ::)
#  define INLAY_TILE_MULTIPLY(sum, a, b)      \
    if (digits) {                             \
      INLAY_TILE_DOT("tdpbssd", sum, a, b);   \
    } else {                                  \
      INLAY_TILE_DOT("tdpbf16ps", sum, a, b); \
    }

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

// The digits of a column for F16 and BF16 weights: behind what is there for other weights.
struct DigitLayout {
  size_t begin, scales;  // [blocks] floats
  explicit constexpr DigitLayout(size_t k)
      : begin(round_up(k, kStepK) * 2), scales(begin + 2 * round_up(k, kDigitStepK)) {}
  // Of a block that begins at k: its high digits, followed by its low ones.
  constexpr size_t at(size_t k) const { return begin + 2 * k; }
};
// Of fewer, there is no room for them.
static constexpr size_t kLeastDigitK = 2 * kStepK;
static_assert(DigitLayout(kLeastDigitK).scales + 4 <= column_stride(kLeastDigitK) &&
              DigitLayout(3 * kStepK).scales + 4 <= column_stride(3 * kStepK) &&
              DigitLayout(5 * kStepK).scales + 4 <= column_stride(5 * kStepK) &&
              DigitLayout(kDigitBlockK + 1).scales + 8 <= column_stride(kDigitBlockK + 1));

using Quads = uint32_t[kTileSize];  // [row][2 k of bfloat16, or 4 digits]
struct Scratch {
  // 32 rows, decoded as for other targets; then as bfloat16, [row tile]; or their high digits and
  // low ones.
  MatmulScratch decoded;
  alignas(64) Quads w[2][kDigitBlockK / 2];
  alignas(64) float scale[2][kTileSize];  // of digits
  // A row's digits, where no two rows compete for a line of the nearest cache.
  alignas(64) uint32_t rows[2][kTileSize][kDigitBlockK / 4 + kTileSize];
  // Sums of digits: both high; one high, one low; both low. [column tile][row tile][column][row]
  alignas(64) int32_t sums[3][2][2][kTileSize][kTileSize];
  // [32 rows][column tile][row tile][column][row]
  alignas(64) float c[kBlockRows / kTileRows][kTileColumns / kTileSize][2][kTileSize][kTileSize];
};

// ---- activations --------------------------------------------------------------------------------
// To bfloat16, in the high halves; the low ones are anything.
static HWY_INLINE hn::Vec<hn::Full512<uint32_t>> rounded(hn::Vec<hn::Full512<float>> v) {
  const hn::Full512<uint32_t> d;
  return hn::Add(hn::BitCast(d, v), hn::Set(d, 0x8000u));
}
// Digits of 64 values, `steps` to one; of four consecutive bytes of both, each is from another v.
static HWY_INLINE void to_digits(hn::Vec<hn::Full512<float>> v0, hn::Vec<hn::Full512<float>> v1,
                                 hn::Vec<hn::Full512<float>> v2, hn::Vec<hn::Full512<float>> v3,
                                 hn::Vec<hn::Full512<float>> steps, uint32_t* HWY_RESTRICT high,
                                 uint32_t* HWY_RESTRICT low) {
  const hn::Full512<float> df;
  const hn::Full512<uint32_t> d;
  const hn::Full512<uint16_t> d16;
  // Added to a float, rounds to an integer, in its low bits: by 128 more, so that the upper byte is
  // the nearest digit.
  const auto magic = hn::Set(df, 0x1.8p23f + 128);
  const auto integer = [&](hn::Vec<decltype(df)> v)
                           HWY_ATTR { return hn::BitCast(d, hn::MulAdd(v, steps, magic)); };
  const auto both = [&](hn::Vec<decltype(d)> a, hn::Vec<decltype(d)> b) HWY_ATTR {
    return hn::BitCast(d16, hn::OrAnd(hn::ShiftLeft<16>(b), a, hn::Set(d, 0xffffu)));
  };
  const auto a = both(integer(v0), integer(v1)), b = both(integer(v2), integer(v3));
  const auto upper = hn::Set(d16, static_cast<uint16_t>(0xff00u));
  const auto lower = hn::Set(d16, static_cast<uint16_t>(0x00ffu));
  const auto middle = hn::Set(d16, static_cast<uint16_t>(0x8080u));
  hn::Store(hn::BitCast(d, hn::OrAnd(hn::ShiftRight<8>(a), b, upper)), d, high);
  hn::Store(hn::BitCast(d, hn::Xor(hn::OrAnd(hn::ShiftLeft<8>(b), a, lower), middle)), d, low);
}

// What one step of integers is, if the largest absolute value has these bits: not a number if that
// is none or infinite. Never so little that its inverse were infinite.
static float step_of(uint32_t bits) {
  constexpr uint32_t kLeast = (127u - 64) << 23;
  bits = HWY_MAX(bits, kLeast);
  float largest;
  std::memcpy(&largest, &bits, sizeof largest);
  return largest / kLargest;
}

// Of a column for F16 and BF16 weights.
static void quantize_digits(const float* x, size_t k, uint8_t* column) {
  const hn::Full512<float> df;
  const hn::Full512<uint32_t> d;
  const DigitLayout layout(k);
  float* scale = reinterpret_cast<float*>(column + layout.scales);
  for (size_t first = 0; first < k; first += kDigitBlockK, ++scale) {
    const size_t end = HWY_MIN(k, first + kDigitBlockK);
    const auto load = [&](size_t i) HWY_ATTR {
      return i + 16 <= end ? hn::LoadU(df, x + i) : hn::LoadN(df, x + i, i < end ? end - i : 0);
    };
    auto most = hn::Zero(d);
    for (size_t i = first; i < end; i += 16) most = hn::Max(most, hn::BitCast(d, hn::Abs(load(i))));
    *scale = step_of(hn::ReduceMax(d, most));
    const auto steps = hn::Set(df, 1 / *scale);
    uint32_t* high = reinterpret_cast<uint32_t*>(column + layout.at(first));
    uint32_t* low = high + round_up(end - first, kDigitStepK) / 4;
    for (size_t i = first; i < end; i += kDigitStepK, high += 16, low += 16)
      to_digits(load(i), load(i + 16), load(i + 32), load(i + 48), steps, high, low);
  }
}

// Kernels::quantize.
static void quantize(const Quantize& q, size_t begin, size_t end, size_t k_begin, size_t k_end) {
  const bool few = q.n < (q.halves ? kLeastHalfColumns : kLeastColumns) || q.tiles;
  if (few && !q.halves) return N_AVX3_DL::quantize(q, begin, end, k_begin, k_end);
  if (q.halves && (few || q.k < kLeastDigitK)) return;  // floats are read
  const hn::Full512<float> df;
  const hn::Full512<uint32_t> d;
  const hn::Rebind<uint16_t, decltype(d)> d16;
  const size_t stride = column_stride(q.k);
  const size_t last = k_end == q.k ? round_up(k_end, kStepK) : k_end;
  for (size_t c = begin; c < end; ++c) {
    const float* x = q.x + (q.rows == nullptr ? c : q.rows[c]) * q.x_stride;
    uint8_t* const column = static_cast<uint8_t*>(q.xq) + c * stride;
    if (q.halves) {
      quantize_digits(x, q.k, column);
      continue;
    }
    uint16_t* to = reinterpret_cast<uint16_t*>(column);
    for (size_t k = k_begin; k < last; k += 16) {
      const size_t here = k < k_end ? k_end - k : 0;
      const auto v = here >= 16 ? hn::LoadU(df, x + k) : hn::LoadN(df, x + k, here);
      hn::Store(hn::TruncateTo(d16, hn::ShiftRight<16>(rounded(v))), d16, to + k);
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
                                     Quads* HWY_RESTRICT to) {
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

// [quad][row] of 16 rows, from rows at a stride.
static HWY_INLINE void transpose(const uint32_t* HWY_RESTRICT from, size_t stride,
                                 Quads* HWY_RESTRICT to) {
  const hn::Full128<uint32_t> d128;
  const hn::Full512<uint32_t> d;
  const hn::Full512<uint64_t> d64;
  INLAY_UNROLL(4) for (size_t four = 0; four < kTileSize; four += 4) {
    const auto load = [&](size_t row) HWY_ATTR {  // of every fourth row
      const auto block = [&](size_t i) HWY_ATTR {
        return hn::Load(d128, from + (row + 4 * i) * stride + four);
      };
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

// `count` F16 or BF16 of 16 rows to digits, with zeros up to a multiple of kDigitStepK.
template <bool half>
static HWY_NOINLINE void split(const uint8_t* const* rows, size_t first, size_t count, Scratch& t,
                               size_t p) {
  const hn::Full512<float> df;
  const hn::Full512<uint16_t> d16;
  const hn::Rebind<uint16_t, decltype(df)> dn;
  const hn::Rebind<hwy::float16_t, decltype(df)> dh;
  const hn::Rebind<hwy::bfloat16_t, decltype(df)> db;
  const auto promoted = [&](hn::Vec<decltype(dn)> v) HWY_ATTR {
    if constexpr (half) {
      return hn::PromoteTo(df, hn::BitCast(dh, v));
    } else {
      return hn::PromoteTo(df, hn::BitCast(db, v));
    }
  };
  const auto load = [&](const uint16_t* from) HWY_ATTR { return promoted(hn::LoadU(dn, from)); };
  const size_t whole = count / kDigitStepK * kDigitStepK, padded = round_up(count, kDigitStepK);
  // Two rows ahead into the nearest cache, for Asking brings them to the second: 1.03 times as
  // fast.
  constexpr size_t kRowsAhead = 2;
  const auto ask = [&](size_t row) {
    if (row >= kTileSize) return;
    const uint16_t* from = reinterpret_cast<const uint16_t*>(rows[row]) + first;
    for (size_t k = 0; k < whole; k += 32) __asm__ volatile("prefetcht0 %0" : : "m"(from[k]));
  };
  for (size_t row = 0; row < kRowsAhead; ++row) ask(row);
  for (size_t row = 0; row < kTileSize; ++row) {
    ask(row + kRowsAhead);
    const uint16_t* from = reinterpret_cast<const uint16_t*>(rows[row]) + first;
    HWY_ALIGN uint16_t tail[kDigitStepK] = {};
    if (HWY_UNLIKELY(whole < padded)) std::memcpy(tail, from + whole, (count - whole) * 2);
    auto most = hn::Zero(d16);
    const auto see = [&](const uint16_t* at) HWY_ATTR {
      const auto magnitude = hn::Set(d16, static_cast<uint16_t>(0x7fffu));
      most = hn::Max(most, hn::And(hn::LoadU(d16, at), magnitude));
      most = hn::Max(most, hn::And(hn::LoadU(d16, at + 32), magnitude));
    };
    for (size_t k = 0; k < whole; k += kDigitStepK) see(from + k);
    if (HWY_UNLIKELY(whole < padded)) see(tail);
    const uint16_t largest = hn::ReduceMax(d16, most);
    const float step = t.scale[p][row] =
        step_of(hn::GetLane(hn::BitCast(hn::Full512<uint32_t>(), promoted(hn::Set(dn, largest)))));
    const auto steps = hn::Set(df, 1 / step);
    for (size_t k = 0; k < padded; k += kDigitStepK) {
      const uint16_t* at = k < whole ? from + k : tail;
      to_digits(load(at), load(at + 16), load(at + 32), load(at + 48), steps,
                t.rows[0][row] + k / 4, t.rows[1][row] + k / 4);
    }
  }
  for (size_t digit = 0; digit < 2; ++digit) {
    Quads* to = t.w[p] + digit * (kDigitBlockK / 4);
    for (size_t k = 0; k < padded; k += kDigitStepK, to += kDigitStepK / 4)
      transpose(t.rows[digit][0] + k / 4, sizeof t.rows[0][0] / 4, to);
  }
}

// ---- products -----------------------------------------------------------------------------------
// Where units [u, u + here) of a matrix's rows lie: of each row by itself, or of 16 together.
struct Bits {
  const Matmul& m;
  size_t unit_bytes8, row_bytes;
  size_t rows() const { return m.packed ? kPanelRows : 1; }
  const uint8_t* at(size_t row, size_t u) const {
    row = HWY_MIN(row, m.rows - 1) / rows() * rows();
    return m.w + row * row_bytes + rows() * (u * unit_bytes8 / 8);
  }
};

// Asks for units [u, u + here) of 32 rows, some lines beside each of `steps` products of tiles:
// more at once would take the buffers that their loads need (prompts with F16 1.06 times as fast).
class Asking {
 public:
  Asking(const Bits& bits, size_t row, size_t u, size_t here, size_t steps)
      : bits_(bits), row_(row), end_(row + kTileRows), u_(u) {
    bytes_ = bits.rows() * (here * bits.unit_bytes8 / 8) + 64;
    each_ = div_up(kTileRows / bits.rows() * div_up(bytes_, 64), steps);
    from_ = bits.at(row, u);
  }
  HWY_INLINE void step() {
    for (size_t i = 0; i < each_ && row_ < end_; ++i) {
      __asm__ volatile("prefetcht1 %0" : : "m"(from_[at_]));
      at_ += 64;
      if (at_ < bytes_) continue;
      at_ = 0;
      row_ += bits_.rows();
      from_ = bits_.at(row_, u_);
    }
  }

 private:
  const Bits& bits_;
  size_t row_, end_, u_, bytes_, each_, at_ = 0;
  const uint8_t* from_;
};

// A part of the columns times a part of the rows; in the order in which they are added.
struct Term {
  const uint8_t* columns;
  const Quads* rows;  // of the first row tile
};

// Adds to c the products of up to 32 columns, of the second 16 only if `both`, with 32 rows.
// `steps` tiles of k, of bfloat16 or of digits.
template <bool both, bool digits, class Sum>
static HWY_INLINE void multiply(const Term* terms, size_t n_terms, size_t stride, size_t steps,
                                bool first, Sum (*c)[2][kTileSize][kTileSize], Asking& asking) {
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
      asking.step();
    }
  }
  INLAY_TILE_STORE(0, c[0][0], line);
  INLAY_TILE_STORE(1, c[0][1], line);
  if (both) {
    INLAY_TILE_STORE(2, c[1][0], line);
    INLAY_TILE_STORE(3, c[1][1], line);
  }
}

// The same of a block of digits, whose scales `columns` columns have at `scale`.
template <bool both>
static HWY_NOINLINE void multiply_digits(const uint8_t* a, const float* scale, size_t stride,
                                         size_t columns, size_t steps, bool first, Scratch& t,
                                         float (*c)[2][kTileSize][kTileSize], Asking& asking) {
  const hn::Full512<float> df;
  const hn::Full512<int32_t> d;
  const uint8_t* const a_low = a + steps * kDigitStepK;
  const Quads *high = t.w[0], *low = high + kDigitBlockK / 4;
  const Term terms[4] = {{a, high}, {a, low}, {a_low, high}, {a_low, low}};
  multiply<both, true>(terms, 1, stride, steps, true, t.sums[0], asking);
  multiply<both, true>(terms + 1, 2, stride, steps, true, t.sums[1], asking);
  multiply<both, true>(terms + 3, 1, stride, steps, true, t.sums[2], asking);
  const auto base = hn::Set(df, 256.0f);
  for (size_t i = 0; i < columns; ++i) {
    const size_t tile = i / kTileSize, column = i % kTileSize;
    const float own =
        *reinterpret_cast<const float*>(reinterpret_cast<const uint8_t*>(scale) + i * stride);
    for (size_t p = 0; p < 2; ++p) {
      const auto sum = [&](size_t part) HWY_ATTR {
        return hn::ConvertTo(df, hn::Load(d, t.sums[part][tile][p][column]));
      };
      const auto all = hn::MulAdd(hn::MulAdd(sum(0), base, sum(1)), base, sum(2));
      const auto product = hn::Mul(hn::Load(df, t.scale[p]), hn::Set(df, own));
      float* to = c[tile][p][column];
      hn::Store(first ? hn::Mul(all, product) : hn::MulAdd(all, product, hn::Load(df, to)), df, to);
    }
  }
}

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
      (bits.m.type == TensorType::f16 ? split<true> : split<false>)(rows, u, here, t, p);
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
  const bool digits = r.tile == nullptr;
  const size_t block_units = (digits ? kDigitBlockK : kBlockK) / r.unit;
  const DigitLayout layout(m.k);
  const Bits bits = {m, r.unit_bytes8, units * r.unit_bytes8 / 8};
  const TileConfig whole(2 * kTileSize);
  // Results of other columns lie in other pages: storing waited for them (prompts 1.03 times as
  // fast).
  constexpr size_t kResultsAhead = 4;
  const auto ask_result = [&](size_t row, size_t column) {
    if (column >= m.n) return;
    const float* to = m.out + column * m.out_stride + row;
    __asm__ volatile("prefetchw %0" : : "m"(to[0]));
    __asm__ volatile("prefetchw %0" : : "m"(to[kPanelRows]));
  };
  for (size_t column0 = m.first; column0 < m.n; column0 += kTileColumns) {
    const size_t columns = HWY_MIN(kTileColumns, m.n - column0);
    const size_t n_pairs = div_up(columns, 2 * kTileSize), rest = columns % (2 * kTileSize);
    const TileConfig tail(rest);
    for (size_t block = begin; block < end; block += kBlockRows) {
      const size_t block_end = HWY_MIN(end, block + kBlockRows);
      for (size_t u = 0; u < units; u += block_units) {
        const size_t here = HWY_MIN(block_units, units - u);
        const size_t steps = div_up(here * r.unit, digits ? kDigitStepK : kStepK);
        for (size_t row0 = block; row0 < block_end; row0 += kTileRows) {
          decode(bits, r, row0, u, here, t);
          size_t next_row = row0 + kTileRows, next = u;  // also those of the next task
          if (next_row >= block_end) {
            next = u + here < units ? u + here : 0;
            if (next != 0) next_row = block;
          }
          Asking asking(bits, next_row, next, here, n_pairs * steps * (digits ? 4 : 1));
          whole.load();
          for (size_t pair = 0; pair < n_pairs; ++pair) {
            const uint8_t* x =
                static_cast<const uint8_t*>(m.xq) + (column0 + pair * 2 * kTileSize) * stride;
            auto* c = t.c[(row0 - block) / kTileRows] + 2 * pair;
            const bool in_tail = rest != 0 && pair + 1 == n_pairs;
            const bool both = !in_tail || rest > kTileSize;
            if (in_tail) tail.load();
            if (digits) {
              const float* scale =
                  reinterpret_cast<const float*>(x + layout.scales) + u / kDigitBlockK;
              (both ? multiply_digits<true>
                    : multiply_digits<false>)(x + layout.at(u), scale, stride,
                                              in_tail ? rest : 2 * kTileSize, steps, u == 0, t, c,
                                              asking);
              continue;
            }
            const Term term = {x + u * r.unit * 2, t.w[0]};
            if (both) {
              multiply<true, false>(&term, 1, stride, steps, u == 0, c, asking);
            } else {
              multiply<false, false>(&term, 1, stride, steps, u == 0, c, asking);
            }
          }
        }
      }
      for (size_t column = 0; column < columns; ++column) {
        for (size_t row0 = block; row0 < block_end; row0 += kTileRows) {
          ask_result(row0, column0 + column + kResultsAhead);
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
  const bool halves = m.type == TensorType::f16 || m.type == TensorType::bf16;
  if (m.n < (halves ? kLeastHalfColumns : kLeastColumns) || m.tiles || m.type == TensorType::f32 ||
      m.xq == nullptr || (halves && m.k < kLeastDigitK))
    return N_AVX3_DL::matmul(m, begin, end, scratch);
  if (begin >= end) return;
  multiply_tiles(m, recipe_of(m.type), begin, end, *static_cast<Scratch*>(scratch));
}

#  undef INLAY_TILE_LOAD
#  undef INLAY_TILE_STORE
#  undef INLAY_TILE_ZERO
#  undef INLAY_TILE_DOT
#  undef INLAY_TILE_MULTIPLY

}  // namespace amx
}  // namespace HWY_NAMESPACE
}  // namespace detail
INLAY_END_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // INLAY_HAS_AVX3_AMX
