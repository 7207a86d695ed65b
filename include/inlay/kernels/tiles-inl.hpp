// The product of a weight matrix with many columns. 32 rows x up to 512 k are decoded to
// [k / 4][16 rows][4 k] bytes, in L1, and multiplied with groups of four columns; every load of
// activations is a broadcast that serves all rows. Compiled once per SIMD target; no include guard.

HWY_BEFORE_NAMESPACE();
INLAY_BEGIN_NAMESPACE
namespace detail {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// ---- what a tile holds -------------------------------------------------------------------------
template <class T>
static constexpr TileForm tile_form() {
  if (kDot == DotKind::wide ||
      (kDot == DotKind::maddubs && (T::kSigned || (T::kSub == 16 && !integer_scales<T>())))) {
    return TileForm::wide;
  }
  return T::kSigned && kBiasSigned ? TileForm::biased : TileForm::bytes;
}

template <class T>
static void decode_panel(const uint8_t* const* rows, size_t first, size_t groups, uintptr_t next,
                         MatmulScratch& t, size_t p) {
  constexpr TileForm form = tile_form<T>();
  constexpr bool twice = kDot == DotKind::maddubs && form != TileForm::wide;
  decode_panel_as<T, form>(rows, first, groups, next, t, p, twice);
}

// ---- tile kernels -------------------------------------------------------------------------------
// What the next tile decodes, packed, asked for evenly beside the products with this one: all at
// once, even in parts of a column group, the core waits for its few open requests.
struct TileAhead {
  const uint8_t* panel[2];
  size_t bytes;           // of each
  size_t step;            // of those, beside the products of 32 k of all rows
  size_t due, asked = 0;  // due: times kTileRows

  // Beside the products of 32 k of `rows` rows. Null: nothing.
  static HWY_INLINE void ask(TileAhead* t, size_t rows) {
    if (t == nullptr) return;
    for (t->due += t->step * rows; t->asked * kTileRows < t->due; t->asked += 64) {
      INLAY_PREFETCH(t->panel[0] + t->asked, 2);
      INLAY_PREFETCH(t->panel[1] + t->asked, 2);
      INLAY_OPAQUE(t->asked);  // GCC 12 drops loops that do nothing but prefetch
    }
  }
};

// One column group times both panels of a tile, for `groups` groups of 32 k: c[panel][column][row]
// += .... Mins are not in it.
struct TileColumns {
  const uint32_t* q;      // [step][column]: 4 int8, or 2 int16
  const float* scale;     // [group][column]
  const uint32_t* start;  // [sub-block][column]; read if the weights have an offset
  TileAhead* ahead;       // null: nothing
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
  // Else floats, as exact, for Intel's cores multiply int32 in two turns (1.09 times as fast).
  constexpr bool kFloats = !integer || (HWY_ARCH_X86 && !kPairs);
  const uint32_t* HWY_RESTRICT a = columns.q;
  const float* HWY_RESTRICT a_scale = columns.scale;
  const uint32_t* HWY_RESTRICT start = columns.start;
  TileAhead* const ahead = columns.ahead;
  const size_t turn = integer || t.skip != 0 ? kChunk / kGroup : groups;
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
        constexpr size_t kPanels = kAtOnce / kPanelVectors;
        const uint32_t* weights[kPanels];
        for (size_t p = 0; p < kPanels; ++p) {
          weights[p] = t.from[panel[p]] + g0 / 8 * t.skip + lane[p];
        }
        for (size_t g = g0; g < g0 + turn; ++g) {
          TileAhead::ask(ahead, kAtOnce * kRowLanes);
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
                const uint32_t* from = weights[r / kPanelVectors] + r % kPanelVectors * kRowLanes;
                w[r] = hn::BitCast(d8, hn::LoadU(du32, from + (at * kSteps + step) * kPanelRows));
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
              VF w = hn::Load(df, &t.scale[panel[r]][at][lane[r]]);
              if constexpr (integer && kFloats) w = hn::ConvertTo(df, hn::BitCast(d32, w));
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
                } else if constexpr (!kFloats) {
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
              const VF f = kFloats ? hn::BitCast(df, total[r][j]) : hn::ConvertTo(df, total[r][j]);
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
          TileAhead::ask(ahead, kAtOnce * kRowLanes);
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
  TileAhead* const ahead = columns.ahead;
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
      if (at % kSubs == 0) TileAhead::ask(ahead, kPanelVectors * kRowLanes);
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

// Columns of plain floats at a time: they share the loads of weights (64 columns 1.05 times as fast
// as four at a time).
static constexpr size_t kPlainGroup = kRegisters == 32 ? 8 : 6;

// Plain floats: `steps` k of `columns` columns, at most kPlainGroup, from `column` of the tile on;
// x: the first of the first, stride: from one to the next. `next`: those asked for meanwhile, which
// nothing foresees, for they lie in other pages (256 columns 1.07 to 1.1 times as fast).
static HWY_NOINLINE void multiply_plain_tile(MatmulScratch& t, const float* HWY_RESTRICT x,
                                             size_t stride, size_t steps, size_t column,
                                             size_t columns, const float* next) {
  const hn::Repartition<float, WideTag> df;
  const hn::Repartition<uint32_t, WideTag> du32;
  using VF = hn::Vec<decltype(df)>;
  const float* from[kPlainGroup];
  for (size_t j = 0; j < kPlainGroup; ++j) from[j] = x + HWY_MIN(j, columns - 1) * stride;
  for (size_t row = 0; row < 2 * kPanelRows; row += kVectors * kRowLanes) {
    size_t panel[kVectors], lane[kVectors];
    for (size_t r = 0; r < kVectors; ++r) {
      panel[r] = (row + r * kRowLanes) / kPanelRows;
      lane[r] = (row + r * kRowLanes) % kPanelRows;
    }
    const auto sum_at = [&](size_t r, size_t j) {
      const size_t at = column + HWY_MIN(j, columns - 1);
      return &t.c[at / kColumns][panel[r]][at % kColumns][lane[r]];
    };
    VF sum[kVectors][kPlainGroup];
    INLAY_UNROLL(8) for (size_t j = 0; j < kPlainGroup; ++j) {
      INLAY_UNROLL(2) for (size_t r = 0; r < kVectors; ++r) sum[r][j] = hn::Load(df, sum_at(r, j));
    }
    for (size_t k = 0; k < steps; ++k) {
      if (k % 16 == 0) {
        INLAY_UNROLL(8) for (size_t j = 0; j < kPlainGroup; ++j) {
          INLAY_PREFETCH(reinterpret_cast<uintptr_t>(next) + (j * stride + k) * sizeof(float), 3);
        }
      }
      VF w[kVectors];
      INLAY_UNROLL(2) for (size_t r = 0; r < kVectors; ++r) {
        w[r] = hn::BitCast(df, hn::Load(du32, &t.w[panel[r]][k][lane[r]]));
      }
      INLAY_UNROLL(8) for (size_t j = 0; j < kPlainGroup; ++j) {
        const VF b = hn::Set(df, from[j][k]);
        INLAY_UNROLL(2)
        for (size_t r = 0; r < kVectors; ++r) sum[r][j] = hn::MulAdd(w[r], b, sum[r][j]);
      }
    }
    INLAY_UNROLL(8) for (size_t j = 0; j < kPlainGroup; ++j) {
      if (j >= columns) break;
      INLAY_UNROLL(2) for (size_t r = 0; r < kVectors; ++r) hn::Store(sum[r][j], df, sum_at(r, j));
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace detail
INLAY_END_NAMESPACE
HWY_AFTER_NAMESPACE();
