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
// parts of each value would need; and those read activations of twice the bytes (0.7 times as
// fast). Off by 2^-16 of the largest of 512 at most, that is 5 times nearer to the product of
// floats than activations rounded to F16 are, of values with one normal distribution, and no
// further if one in 512 is a thousand times the others. Without the product of both low digits it
// would be: beside large values the others have only those.
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
static constexpr size_t kLeastColumns = 40, kLeastHalfColumns = 14;

static constexpr size_t kTileSize = 16;               // rows, and columns, of a tile
static constexpr size_t kTileBytes = kTileSize * 64;  // 16 rows of 64 bytes: a register
static_assert(kTileSize == kHalvesStep && kLeastHalfColumns > kHalvesStep / 2);
static constexpr size_t kStepK = 32;  // k of a tile of bfloat16
// What is kept of sums; and of weights, so that they and their part of 32 columns fit L1.
static constexpr size_t kBlockRows = 128, kBlockK = 256;
// Of digits: k of a tile; k that share a scale; and the largest integer, 127 for both digits.
static constexpr size_t kDigitStepK = 64, kDigitBlockK = 512;
static constexpr float kLargest = 127 * 256 + 127;

// Instructions by name: intrinsics are macros in GCC and checked against the command line in Clang,
// and neither compiler keeps values in tile registers unless told to.
// Registers 0-3 hold sums, [column tile][row tile]; 4 and 5 column tiles; 6 and 7 row tiles. The
// first operand has the rows of the sums: columns, or of digits the weights' rows, for whichever
// comes second must lie interleaved.
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

// The shapes of the tile registers; see ldtilecfg.
struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};

  // For up to 2 * kTileSize columns.
  explicit TileConfig(size_t columns) {
    const size_t first = HWY_MIN(columns, kTileSize), second = columns - first;
    const size_t all[8] = {first, first, second, second, first, second, kTileSize, kTileSize};
    for (size_t i = 0; i < 8; ++i) {
      rows[i] = static_cast<uint8_t>(all[i]);
      row_bytes[i] = all[i] == 0 ? 0 : 64;
    }
  }
  void load() const { __asm__ volatile("ldtilecfg %0" : : "m"(*this)); }
};

// Where a column is: at a stride that does not depend on how many there are.
static constexpr size_t column_stride(size_t k) { return GroupLayout(k).bytes() / kColumns; }

// The digits of 16 columns for F16 and BF16 weights, as tdpbssd takes them: of four k a line, four
// digits of each column; 16 lines are a tile. The areas of the columns take turns with lines,
// behind what is there for other weights: so a tile's are an odd number of lines apart.
struct DigitLayout {
  size_t begin, scales;  // tiles; lines of a block's scales
  explicit constexpr DigitLayout(size_t k)
      : begin(round_up(k, kStepK) * 2), scales(begin + 2 * round_up(k, kDigitStepK)) {}
  // Of a block that begins at k: its high digits, followed by its low ones.
  constexpr size_t tile(size_t k) const { return begin + 2 * k; }
  constexpr size_t scale(size_t block, size_t stride) const {
    return scales + block % kTileSize * stride + block / kTileSize * 64;
  }
  constexpr size_t end(size_t k) const { return scales + div_up(k, kTileSize * kDigitBlockK) * 64; }
  static constexpr bool fits(size_t k) { return DigitLayout(k).end(k) <= column_stride(k); }
};
// Of fewer, there is no room for them.
static constexpr size_t kLeastDigitK = 2 * kStepK;
static_assert(DigitLayout::fits(kLeastDigitK) && DigitLayout::fits(3 * kStepK) &&
              DigitLayout::fits(5 * kStepK) && DigitLayout::fits(16 * kDigitBlockK + 1));

using Pairs = uint32_t[kTileSize];  // [row][2 k of bfloat16]
struct Scratch {
  MatmulScratch decoded;  // 32 rows, as for other targets
  union {
    alignas(64) Pairs bfloat16[2][kBlockK / 2];  // of `decoded`: [row tile]
    // High digits and low ones, each row in other lines of the nearest cache.
    alignas(64) uint32_t digits[2][kTileRows][kDigitBlockK / 4 + kTileSize];
  } w;
  float scale[kTileRows];  // of digits
  // Sums of digits: both high; one high, one low; both low. [column tile][row tile][row][column]
  alignas(64) int32_t sums[3][2][2][kTileSize][kTileSize];
  // [32 rows][column tile][row tile][column][row]; of digits [row][column] until they are complete.
  alignas(64) float c[kBlockRows / kTileRows][kTileColumns / kTileSize][2][kTileSize][kTileSize];
};

// ---- activations --------------------------------------------------------------------------------
// To bfloat16, in the high halves; the low ones are anything.
static HWY_INLINE hn::Vec<hn::Full512<uint32_t>> rounded(hn::Vec<hn::Full512<float>> v) {
  const hn::Full512<uint32_t> d;
  return hn::Add(hn::BitCast(d, v), hn::Set(d, 0x8000u));
}

// 16 x 16 values: rows at a stride become columns, at another.
static HWY_INLINE void transpose(const uint32_t* HWY_RESTRICT from, size_t from_stride,
                                 uint32_t* HWY_RESTRICT to, size_t to_stride) {
  const hn::Full128<uint32_t> d128;
  const hn::Full512<uint32_t> d;
  const hn::Full512<uint64_t> d64;
  INLAY_UNROLL(4) for (size_t four = 0; four < kTileSize; four += 4, to += 4 * to_stride) {
    const auto load = [&](size_t row) HWY_ATTR {  // of every fourth row
      const auto block = [&](size_t i) HWY_ATTR {
        return hn::Load(d128, from + (row + 4 * i) * from_stride + four);
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
    hn::Store(hn::BitCast(d, hn::InterleaveLower(d64, low0, low2)), d, to);
    hn::Store(hn::BitCast(d, hn::InterleaveUpper(d64, low0, low2)), d, to + to_stride);
    hn::Store(hn::BitCast(d, hn::InterleaveLower(d64, high0, high2)), d, to + 2 * to_stride);
    hn::Store(hn::BitCast(d, hn::InterleaveUpper(d64, high0, high2)), d, to + 3 * to_stride);
  }
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

// Up to 16 columns, from `begin` on, for F16 and BF16 weights.
static void quantize_digits(const Quantize& q, size_t begin, size_t columns) {
  const hn::Full512<float> df;
  const hn::Full512<uint32_t> d;
  const size_t stride = column_stride(q.k);
  const DigitLayout layout(q.k);
  uint8_t* const area = static_cast<uint8_t*>(q.xq) + begin * stride;
  alignas(64) uint32_t rows[2][kTileSize][kTileSize] = {};
  for (size_t first = 0; first < q.k; first += kDigitBlockK) {
    const size_t end = HWY_MIN(q.k, first + kDigitBlockK);
    const auto load = [&](size_t column, size_t i) HWY_ATTR {
      const float* x = q.x + (q.rows == nullptr ? column : q.rows[column]) * q.x_stride;
      return i + 16 <= end ? hn::LoadU(df, x + i) : hn::LoadN(df, x + i, i < end ? end - i : 0);
    };
    float* scale = reinterpret_cast<float*>(area + layout.scale(first / kDigitBlockK, stride));
    for (size_t c = 0; c < columns; ++c) {
      auto most = hn::Zero(d);
      for (size_t i = first; i < end; i += 16)
        most = hn::Max(most, hn::BitCast(d, hn::Abs(load(begin + c, i))));
      scale[c] = step_of(hn::ReduceMax(d, most));
    }
    uint8_t* high = area + layout.tile(first);
    uint8_t* low = high + round_up(end - first, kDigitStepK);
    for (size_t i = first; i < end; i += kDigitStepK, high += 64, low += 64) {
      for (size_t c = 0; c < columns; ++c) {
        const auto part = [&](size_t v) HWY_ATTR { return load(begin + c, i + v * 16); };
        to_digits(part(0), part(1), part(2), part(3), hn::Set(df, 1 / scale[c]), rows[0][c],
                  rows[1][c]);
      }
      transpose(rows[0][0], kTileSize, reinterpret_cast<uint32_t*>(high), stride / 4);
      transpose(rows[1][0], kTileSize, reinterpret_cast<uint32_t*>(low), stride / 4);
    }
  }
}

// Kernels::quantize.
static void quantize(const Quantize& q, size_t begin, size_t end, size_t k_begin, size_t k_end) {
  if (q.halves) {
    if (q.n < kLeastHalfColumns || q.tiles || q.k < kLeastDigitK) return;  // floats are read
    for (size_t c = begin; c < end; c += kTileSize)
      quantize_digits(q, c, HWY_MIN(kTileSize, end - c));
    return;
  }
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
    }
  }
}

// ---- weights ------------------------------------------------------------------------------------
// Where units [u, u + here) of a matrix's rows lie: of each row by itself, or of 16 together.
struct Bits {
  const Matmul& m;
  size_t unit_bytes8, row_bytes;
  size_t rows() const { return m.packed ? kPanelRows : 1; }
  size_t bytes(size_t units) const { return rows() * (units * unit_bytes8 / 8); }  // of rows()
  const uint8_t* at(size_t row, size_t u) const {
    row = HWY_MIN(row, m.rows - 1) / rows() * rows();
    return m.w + row * row_bytes + bytes(u);
  }
};

// Asks for units [u, u + here) of 32 rows, a few lines beside each of `steps` steps of what is done
// with those before: more at once would take the buffers that their loads need (prompts with F16
// 1.06 times as fast). Of both halves of the rows in turn: one after the other, prompts took 1.03
// times as long with Q4_0, and with F16 1.1 times if they were of 16 tokens.
class Asking {
 public:
  Asking(const Bits& bits, size_t row, size_t u, size_t here, size_t steps)
      : from_(reinterpret_cast<uintptr_t>(bits.at(row, u))),
        row_bytes_(bits.row_bytes),
        bytes_(round_up(bits.bytes(here) + 63, 64)),
        end_(bytes_) {
    const size_t all = row < bits.m.rows ? kPanelRows / bits.rows() * bytes_ : 0;
    step_ = div_up(all << kFraction, steps);
  }
  HWY_INLINE void step() {
    for (due_ += step_; at_ < due_ >> kFraction; at_ += 64) {
      if (HWY_UNLIKELY(at_ >= end_)) {
        from_ += row_bytes_ - bytes_;
        end_ += bytes_;
      }
      INLAY_PREFETCH(from_ + at_, 2);
      INLAY_PREFETCH(from_ + at_ + kPanelRows * row_bytes_, 2);
      INLAY_OPAQUE(at_);  // GCC 12 drops loops that do nothing but prefetch
    }
  }

 private:
  static constexpr int kFraction = 10;
  uintptr_t from_;  // of the first half
  // at_: of what is asked for, without what lies between rows; due_ and step_: in 2^-kFraction
  size_t row_bytes_, bytes_, end_, step_, due_ = 0, at_ = 0;
};

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

// `count` F16 or BF16 of 32 rows to digits, with zeros up to a multiple of kDigitStepK.
template <bool half>
static HWY_NOINLINE void split(const uint8_t* const* rows, size_t first, size_t count, Scratch& t,
                               Asking& asking) {
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
    if (row >= kTileRows) return;
    const uint16_t* from = reinterpret_cast<const uint16_t*>(rows[row]) + first;
    for (size_t k = 0; k < whole; k += 32) __asm__ volatile("prefetcht0 %0" : : "m"(from[k]));
  };
  for (size_t row = 0; row < kRowsAhead; ++row) ask(row);
  for (size_t row = 0; row < kTileRows; ++row) {
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
    const float step = t.scale[row] =
        step_of(hn::GetLane(hn::BitCast(hn::Full512<uint32_t>(), promoted(hn::Set(dn, largest)))));
    const auto steps = hn::Set(df, 1 / step);
    for (size_t k = 0; k < padded; k += kDigitStepK) {
      const uint16_t* at = k < whole ? from + k : tail;
      to_digits(load(at), load(at + 16), load(at + 32), load(at + 48), steps,
                t.w.digits[0][row] + k / 4, t.w.digits[1][row] + k / 4);
      asking.step();
    }
  }
}

// ---- products -----------------------------------------------------------------------------------
// Of columns; of the second 16 only if `both`.
template <bool both>
static HWY_INLINE void zero_sums() {
  INLAY_TILE_ZERO(0);
  INLAY_TILE_ZERO(1);
  if (both) {
    INLAY_TILE_ZERO(2);
    INLAY_TILE_ZERO(3);
  }
}
template <bool both, class T>
static HWY_INLINE void store_sums(T (*to)[2][kTileSize][kTileSize]) {
  const size_t line = 64;
  INLAY_TILE_STORE(0, to[0][0], line);
  INLAY_TILE_STORE(1, to[0][1], line);
  if (both) {
    INLAY_TILE_STORE(2, to[1][0], line);
    INLAY_TILE_STORE(3, to[1][1], line);
  }
}

// Adds to c the products of up to 32 columns, of the second 16 only if `both`, with 32 rows.
// `steps` tiles of k.
template <bool both>
static HWY_NOINLINE void multiply(const uint8_t* a0, size_t stride, size_t steps, bool first,
                                  const Scratch& t, float (*c)[2][kTileSize][kTileSize],
                                  Asking& asking) {
  const size_t line = 64;
  if (first) {
    zero_sums<both>();
  } else {
    INLAY_TILE_LOAD(0, c[0][0], line);
    INLAY_TILE_LOAD(1, c[0][1], line);
    if (both) {
      INLAY_TILE_LOAD(2, c[1][0], line);
      INLAY_TILE_LOAD(3, c[1][1], line);
    }
  }
  const uint8_t* a1 = a0 + kTileSize * stride;
  const uint8_t* b0 = reinterpret_cast<const uint8_t*>(t.w.bfloat16[0]);
  const uint8_t* b1 = reinterpret_cast<const uint8_t*>(t.w.bfloat16[1]);
  for (size_t s = 0; s < steps; ++s, a0 += 64, a1 += 64, b0 += kTileBytes, b1 += kTileBytes) {
    INLAY_TILE_LOAD(4, a0, stride);
    INLAY_TILE_LOAD(6, b0, line);
    INLAY_TILE_DOT("tdpbf16ps", 0, 4, 6);
    INLAY_TILE_LOAD(7, b1, line);
    INLAY_TILE_DOT("tdpbf16ps", 1, 4, 7);
    if (both) {
      INLAY_TILE_LOAD(5, a1, stride);
      INLAY_TILE_DOT("tdpbf16ps", 2, 5, 6);
      INLAY_TILE_DOT("tdpbf16ps", 3, 5, 7);
    }
    asking.step();
  }
  store_sums<both>(c);
}

// Parts of a product of digits that are added as integers.
struct Term {
  const uint8_t *columns, *rows;
};
// Products of up to 32 columns with 32 rows, whose digits are the rows of tiles: they need no
// transposing.
template <bool both>
static HWY_INLINE void multiply_terms(const Term* terms, size_t n_terms, size_t stride,
                                      size_t steps, int32_t (*sums)[2][kTileSize][kTileSize],
                                      Asking& asking) {
  const size_t row_stride = sizeof(Scratch::w.digits[0][0]);
  zero_sums<both>();
  for (const Term* term = terms; term < terms + n_terms; ++term) {
    const uint8_t *x0 = term->columns, *x1 = x0 + kTileSize * stride;
    const uint8_t *w0 = term->rows, *w1 = w0 + kTileSize * row_stride;
    for (size_t s = 0; s < steps; ++s, x0 += 64, x1 += 64, w0 += 64, w1 += 64) {
      INLAY_TILE_LOAD(4, x0, stride);
      INLAY_TILE_LOAD(6, w0, row_stride);
      INLAY_TILE_DOT("tdpbssd", 0, 6, 4);
      INLAY_TILE_LOAD(7, w1, row_stride);
      INLAY_TILE_DOT("tdpbssd", 1, 7, 4);
      if (both) {
        INLAY_TILE_LOAD(5, x1, stride);
        INLAY_TILE_DOT("tdpbssd", 2, 6, 5);
        INLAY_TILE_DOT("tdpbssd", 3, 7, 5);
      }
      asking.step();
    }
  }
  store_sums<both>(sums);
}

// Adds to c the products of up to 32 columns, of the second 16 only if `both`, with 32 rows: of a
// block of `steps` tiles of digits.
template <bool both>
static HWY_NOINLINE void multiply_digits(const uint8_t* x, const float* scale, size_t stride,
                                         size_t steps, bool first, Scratch& t,
                                         float (*c)[2][kTileSize][kTileSize], Asking& asking) {
  const hn::Full512<float> df;
  const hn::Full512<int32_t> d;
  const uint8_t* const x_low = x + steps * 64;
  const uint8_t* const high = reinterpret_cast<const uint8_t*>(t.w.digits[0][0]);
  const uint8_t* const low = reinterpret_cast<const uint8_t*>(t.w.digits[1][0]);
  const Term terms[4] = {{x, high}, {x, low}, {x_low, high}, {x_low, low}};
  multiply_terms<both>(terms, 1, stride, steps, t.sums[0], asking);
  multiply_terms<both>(terms + 1, 2, stride, steps, t.sums[1], asking);
  multiply_terms<both>(terms + 3, 1, stride, steps, t.sums[2], asking);
  const auto base = hn::Set(df, 256.0f);
  for (size_t tile = 0; tile < (both ? 2 : 1); ++tile) {
    const auto of_columns = hn::LoadU(df, scale + tile * kTileSize * (stride / 4));
    const int32_t* sum = t.sums[0][tile][0][0];
    float* to = c[tile][0][0];
    constexpr size_t kNext = sizeof t.sums[0] / 4;
    for (size_t row = 0; row < kTileRows; ++row, sum += kTileSize, to += kTileSize) {
      const auto part = [&](size_t i)
                            HWY_ATTR { return hn::ConvertTo(df, hn::Load(d, sum + i * kNext)); };
      const auto all = hn::MulAdd(hn::MulAdd(part(0), base, part(1)), base, part(2));
      const auto product = hn::Mul(of_columns, hn::Set(df, t.scale[row]));
      hn::Store(first ? hn::Mul(all, product) : hn::MulAdd(all, product, hn::Load(df, to)), df, to);
    }
  }
}

// [row][column] to [column][row].
static void turn(float (*c)[kTileSize][kTileSize]) {
  alignas(64) uint32_t turned[kTileSize][kTileSize];
  for (size_t p = 0; p < 2; ++p) {
    transpose(reinterpret_cast<const uint32_t*>(c[p][0]), kTileSize, turned[0], kTileSize);
    std::memcpy(c[p], turned, sizeof turned);
  }
}

// Units [u, u + here) of 32 rows to t.w.
static void decode(const Bits& bits, const Recipe& r, size_t row0, size_t u, size_t here,
                   Scratch& t, Asking& asking) {
  const uint8_t* rows[kTileRows];
  for (size_t i = 0; i < kTileRows; ++i) rows[i] = bits.at(row0 + i, 0);
  if (r.tile == nullptr) {
    (bits.m.type == TensorType::f16 ? split<true> : split<false>)(rows, u, here, t, asking);
    return;
  }
  for (size_t p = 0; p < 2; ++p) {
    const size_t first = p * kPanelRows;
    if (bits.m.packed) {
      decode_packed(bits.m.type, r, rows[first], u, here, false, t.decoded, p);
    } else {
      // What this asks for is here already: the next rows are asked for beside the products.
      const uintptr_t own = reinterpret_cast<uintptr_t>(bits.at(row0 + first, u));
      r.decode(rows + first, u, here, own, t.decoded, p);
    }
    to_bfloat16(t.decoded, p, r, here * kGroup / r.sub, t.w.bfloat16[p]);
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
    const size_t parts = div_up(columns, 2 * kTileSize), rest = columns % (2 * kTileSize);
    const TileConfig tail(rest);
    for (size_t block = begin; block < end; block += kBlockRows) {
      const size_t block_end = HWY_MIN(end, block + kBlockRows);
      for (size_t u = 0; u < units; u += block_units) {
        const size_t here = HWY_MIN(block_units, units - u);
        const size_t steps = div_up(here * r.unit, digits ? kDigitStepK : kStepK);
        for (size_t row0 = block; row0 < block_end; row0 += kTileRows) {
          size_t next_row = row0 + kTileRows, next = u;  // also those of the next task
          if (next_row >= block_end) {
            next = u + here < units ? u + here : 0;
            if (next != 0) next_row = block;
          }
          // Of digits splitting each row is a step too, and each of the four products.
          Asking asking(bits, next_row, next, here,
                        steps * (digits ? kTileRows + 4 * parts : parts));
          decode(bits, r, row0, u, here, t, asking);
          whole.load();
          for (size_t part = 0; part < parts; ++part) {
            const uint8_t* x =
                static_cast<const uint8_t*>(m.xq) + (column0 + part * 2 * kTileSize) * stride;
            auto* c = t.c[(row0 - block) / kTileRows] + part * 2;
            const bool in_tail = rest != 0 && part + 1 == parts;
            const bool both = !in_tail || rest > kTileSize;
            if (digits) {
              const float* scale =
                  reinterpret_cast<const float*>(x + layout.scale(u / kDigitBlockK, stride));
              (both ? multiply_digits<true> : multiply_digits<false>)(x + layout.tile(u), scale,
                                                                      stride, steps, u == 0, t, c,
                                                                      asking);
              if (u + here < units) continue;
              turn(c[0]);
              if (both) turn(c[1]);
              continue;
            }
            if (in_tail) tail.load();
            (both ? multiply<true> : multiply<false>)(x + u * r.unit * 2, stride, steps, u == 0, t,
                                                      c, asking);
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

}  // namespace amx
}  // namespace HWY_NAMESPACE
}  // namespace detail
INLAY_END_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // INLAY_HAS_AVX3_AMX
