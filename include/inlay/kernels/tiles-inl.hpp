// The product of a weight matrix with many columns. 32 rows x up to 512 k are decoded to
// [k / 4][16 rows][4 k] bytes, in L1, and multiplied with groups of four columns; every load of
// activations is a broadcast that serves all rows. Compiled once per SIMD target; no include guard.

HWY_BEFORE_NAMESPACE();
INLAY_BEGIN_NAMESPACE
namespace detail {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// ---- decoding to a tile -------------------------------------------------------------------------
// Dword j of vector r to to[j * kPanelRows + r], for kBatch rows.
static HWY_INLINE void store_transposed(const LaneVec* rows, uint32_t* to) {
  const hn::Repartition<uint32_t, LaneTag> d32;
  const hn::Repartition<uint64_t, LaneTag> d64;
  using V64 = hn::Vec<decltype(d64)>;
  V64 quad[kBatch];  // of rows 4q ... 4q + 3, one dword of each (and with 256 bits the dword 4
                     // further on above them)
  INLAY_UNROLL(2) for (size_t q = 0; q < kBatch / 4; ++q) {
    const auto r = [&](size_t i) HWY_ATTR { return hn::BitCast(d32, rows[q * 4 + i]); };
    const auto low01 = hn::BitCast(d64, hn::InterleaveLower(d32, r(0), r(1)));
    const auto low23 = hn::BitCast(d64, hn::InterleaveLower(d32, r(2), r(3)));
    const auto high01 = hn::BitCast(d64, hn::InterleaveUpper(d32, r(0), r(1)));
    const auto high23 = hn::BitCast(d64, hn::InterleaveUpper(d32, r(2), r(3)));
    quad[q * 4 + 0] = hn::InterleaveLower(d64, low01, low23);
    quad[q * 4 + 1] = hn::InterleaveUpper(d64, low01, low23);
    quad[q * 4 + 2] = hn::InterleaveLower(d64, high01, high23);
    quad[q * 4 + 3] = hn::InterleaveUpper(d64, high01, high23);
  }
  INLAY_UNROLL(4) for (size_t j = 0; j < 4; ++j) {
#if HWY_MAX_BYTES >= 32
    hn::StoreU(hn::BitCast(d32, hn::ConcatLowerLower(d64, quad[4 + j], quad[j])), d32,
               to + j * kPanelRows);
    hn::StoreU(hn::BitCast(d32, hn::ConcatUpperUpper(d64, quad[4 + j], quad[j])), d32,
               to + (4 + j) * kPanelRows);
#else
    hn::StoreU(hn::BitCast(d32, quad[j]), d32, to + j * kPanelRows);
#endif
  }
}

// Whether the tile of a type holds int16 (centred, no offset) instead of bytes.
template <class T>
static constexpr bool wide_tile() {
  return kDot == DotKind::wide || (kDot == DotKind::maddubs && T::kSigned);
}

// 32 rows are more streams than the hardware follows, so decoding a tile prefetches, from one end
// to the other, as many bytes as it reads, of the next 32 rows.
static HWY_INLINE void prefetch(uintptr_t& next, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 64) INLAY_PREFETCH(next + i, 2);
  next += bytes;
}

// Groups [first, first + groups) of 16 rows, first a multiple of 8: w[step][row], scale and
// min[sub-block][row].
template <class T>
static HWY_NOINLINE void decode_panel(const uint8_t* const* rows, size_t first, size_t groups,
                                      uintptr_t next, uint32_t* HWY_RESTRICT w,
                                      float* HWY_RESTRICT scale, float* HWY_RESTRICT min) {
  const LaneTag d8;
  constexpr size_t kSubs = kChunk / T::kSub;
  constexpr size_t kSteps = wide_tile<T>() ? 16 : 8;  // of a group
  for (size_t g0 = 0; g0 < groups; g0 += 8) {
    const size_t here = HWY_MIN(size_t{8}, groups - g0);
    HWY_ALIGN float row_scale[kPanelRows][kSubs], row_min[kPanelRows][kSubs];
    const uint8_t* chunk[kPanelRows];
    for (size_t r = 0; r < kPanelRows; ++r) {
      chunk[r] = rows[r] + (first + g0) / 8 * T::kChunkBytes;
      T::scales(chunk[r], here, row_scale[r], row_min[r]);
    }
    for (size_t r = 0; r < kPanelRows; r += kBatch) {
      LaneVec v[kBatch];
      for (size_t s = 0; s < kSubs; s += kBatch) {
        const auto store = [&](float(*from)[kSubs], float* to) HWY_ATTR {
          INLAY_UNROLL(8) for (size_t i = 0; i < kBatch; ++i) {
            v[i] = hn::Load(d8, reinterpret_cast<const uint8_t*>(&from[r + i][s]));
          }
          store_transposed(
              v, reinterpret_cast<uint32_t*>(to) + (g0 * (kSubs / 8) + s) * kPanelRows + r);
        };
        store(row_scale, scale);
        if constexpr (T::kMins) store(row_min, min);
      }
      for (size_t g = 0; g < here; ++g) {
        prefetch(next, T::kChunkBytes * kBatch / 8);
        uint32_t* to = w + (g0 + g) * kSteps * kPanelRows + r;
        for (size_t part = 0; part < kParts; ++part) {
          if constexpr (!wide_tile<T>()) {
            INLAY_UNROLL(8) for (size_t i = 0; i < kBatch; ++i) {
              v[i] = T::lanes(chunk[r + i], g).v[part];
              if constexpr (T::kSigned && kBiasSigned)
                v[i] = hn::Xor(v[i], hn::Set(d8, uint8_t{128}));
            }
            store_transposed(v, to + part * kBatch * kPanelRows);
          } else {
            const hn::Repartition<int16_t, LaneTag> d16;
            const hn::Half<LaneTag> dh8;
            const hn::Rebind<int8_t, decltype(dh8)> dhs8;
            for (size_t half = 0; half < 2; ++half) {
              for (size_t i = 0; i < kBatch; ++i) {
                const LaneVec all = T::lanes(chunk[r + i], g).v[part];
                const auto u = half == 0 ? hn::LowerHalf(dh8, all) : hn::UpperHalf(dh8, all);
                if constexpr (T::kSigned) {
                  v[i] = hn::BitCast(d8, hn::PromoteTo(d16, hn::BitCast(dhs8, u)));
                } else {
                  v[i] = hn::BitCast(d8, hn::Sub(hn::PromoteTo(d16, u),
                                                 hn::Set(d16, static_cast<int16_t>(T::kOffset))));
                }
              }
              store_transposed(v, to + (part * 2 + half) * kBatch * kPanelRows);
            }
          }
        }
      }
    }
  }
}

// Elements [first, first + count) of 16 rows of plain floats: w[k][row].
template <class T>
static HWY_NOINLINE void decode_plain_panel(const uint8_t* const* rows, size_t first, size_t count,
                                            uintptr_t next, uint32_t* HWY_RESTRICT w, float*,
                                            float*) {
  const LaneTag d8;
  for (size_t j = 0; j < count; j += kScaleLanes) {
    const size_t here = HWY_MIN(kScaleLanes, count - j);
    for (size_t r = 0; r < kPanelRows; r += kBatch) {
      prefetch(next, kBatch * kScaleLanes * T::kBytes);
      LaneVec v[kBatch];
      for (size_t i = 0; i < kBatch; ++i) {
        const uint8_t* from = rows[r + i] + (first + j) * T::kBytes;
        HWY_ALIGN uint8_t tail[kScaleLanes * T::kBytes] = {};
        if (HWY_UNLIKELY(here < kScaleLanes)) {
          std::memcpy(tail, from, here * T::kBytes);
          from = tail;
        }
        v[i] = hn::BitCast(d8, T::load(from));
      }
      store_transposed(v, w + j * kPanelRows + r);
    }
  }
}

// ---- tile kernels -------------------------------------------------------------------------------
// One column group times both panels of a tile, for `groups` groups of 32 k: c[panel][column][row]
// += ....
using TileKernel = void (*)(const MatmulScratch& t, const uint32_t* a, const float* a_scale,
                            size_t groups, float (*c)[kColumns][kPanelRows]);

#if HWY_MAX_BYTES >= 64
using WideTag = hn::CappedTag<uint8_t, 64>;
#else
using WideTag = LaneTag;
#endif
static constexpr size_t kRowLanes = HWY_MAX_LANES_D(WideTag) / 4;  // rows of a vector

// Two vectors of rows at a time: with 512 bits one of each panel, else both of one panel.
static constexpr size_t kVectors = 2;

template <size_t sub, bool mins, size_t headroom>
static HWY_NOINLINE void multiply_tile(const MatmulScratch& t, const uint32_t* HWY_RESTRICT a,
                                       const float* HWY_RESTRICT a_scale, size_t groups,
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
  constexpr size_t kAll = 2 * kPanelRows;
  for (size_t row = 0; row < kAll; row += kVectors * kRowLanes) {
    size_t panel[kVectors], lane[kVectors];
    for (size_t r = 0; r < kVectors; ++r) {
      panel[r] = (row + r * kRowLanes) / kPanelRows;
      lane[r] = (row + r * kRowLanes) % kPanelRows;
    }
    if constexpr (kDot == DotKind::vnni) {
      VF sum[kVectors][kColumns];
      INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
        INLAY_UNROLL(2)
        for (size_t r = 0; r < kVectors; ++r) sum[r][j] = hn::Load(df, &c[panel[r]][j][lane[r]]);
      }
      for (size_t g = 0; g < groups; ++g) {
        VF part[kVectors][kColumns];
        INLAY_UNROLL(2) for (size_t s = 0; s < kSubs; ++s) {
          const size_t at = g * kSubs + s;
          hn::Vec<decltype(d32)> dot[kVectors][kColumns];
          INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
            INLAY_UNROLL(2) for (size_t r = 0; r < kVectors; ++r) {
              dot[r][j] = hn::BitCast(d32, hn::Set(du32, t.start[at][j]));
            }
          }
          INLAY_UNROLL(8) for (size_t step = 0; step < kSteps; ++step) {
            hn::Vec<WideTag> w[kVectors];
            INLAY_UNROLL(2) for (size_t r = 0; r < kVectors; ++r) {
              w[r] = hn::BitCast(d8, hn::Load(du32, &t.w[panel[r]][at * kSteps + step][lane[r]]));
            }
            INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
              const auto b =
                  hn::BitCast(ds8, hn::Set(du32, a[(at * kSteps + step) * kColumns + j]));
              INLAY_UNROLL(2) for (size_t r = 0; r < kVectors; ++r) {
                dot[r][j] = dot4(w[r], b, dot[r][j]);
              }
            }
          }
          INLAY_UNROLL(2) for (size_t r = 0; r < kVectors; ++r) {
            const VF w = hn::Load(df, &t.scale[panel[r]][at][lane[r]]);
            INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
              const VF f = hn::ConvertTo(df, dot[r][j]);
              part[r][j] = s == 0 ? hn::Mul(f, w) : hn::MulAdd(f, w, part[r][j]);
            }
            if constexpr (mins) {
              const VF low = hn::Load(df, &t.min[panel[r]][at][lane[r]]);
              INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
                sum[r][j] = hn::NegMulAdd(low, hn::Set(df, t.min_sum[at][j]), sum[r][j]);
              }
            }
          }
        }
        INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
          const VF scale = hn::Set(df, a_scale[g * kColumns + j]);
          INLAY_UNROLL(2)
          for (size_t r = 0; r < kVectors; ++r)
            sum[r][j] = hn::MulAdd(part[r][j], scale, sum[r][j]);
        }
      }
      INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
        INLAY_UNROLL(2)
        for (size_t r = 0; r < kVectors; ++r) hn::Store(sum[r][j], df, &c[panel[r]][j][lane[r]]);
      }
    } else {
      const auto ones = hn::Set(d16, 1);
      for (size_t g = 0; g < groups; ++g) {
        VF part[kVectors][kColumns];
        INLAY_UNROLL(2) for (size_t s = 0; s < kSubs; ++s) {
          const size_t at = g * kSubs + s;
          hn::Vec<decltype(d32)> dot[kVectors][kColumns];
          INLAY_UNROLL(2) for (size_t run = 0; run < kSteps / headroom; ++run) {
            hn::Vec<decltype(d16)> acc[kVectors][kColumns];
            INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
              INLAY_UNROLL(2) for (size_t r = 0; r < kVectors; ++r) {
                acc[r][j] = hn::BitCast(d16, hn::Set(du32, run == 0 ? t.start[at][j] : 0));
              }
            }
            INLAY_UNROLL(8) for (size_t step = 0; step < headroom; ++step) {
              const size_t k4 = at * kSteps + run * headroom + step;
              hn::Vec<WideTag> w[kVectors];
              INLAY_UNROLL(2) for (size_t r = 0; r < kVectors; ++r) {
                w[r] = hn::BitCast(d8, hn::Load(du32, &t.w[panel[r]][k4][lane[r]]));
                INLAY_PIN(w[r]);
              }
              INLAY_UNROLL(2) for (size_t j = 0; j < kColumns; j += 2) {
                auto b0 = hn::BitCast(ds8, hn::Set(du32, a[k4 * kColumns + j]));
                auto b1 = hn::BitCast(ds8, hn::Set(du32, a[k4 * kColumns + j + 1]));
                INLAY_PIN(b0);
                INLAY_PIN(b1);
                hn::Vec<decltype(d16)> product[2][kVectors];
                INLAY_UNROLL(2) for (size_t r = 0; r < kVectors; ++r) {
                  product[0][r] = hn::SatWidenMulPairwiseAdd(d16, w[r], b0);
                  product[1][r] = hn::SatWidenMulPairwiseAdd(d16, w[r], b1);
                }
                INLAY_UNROLL(2) for (size_t i = 0; i < 2; ++i) {
                  INLAY_UNROLL(2) for (size_t r = 0; r < kVectors; ++r) {
                    acc[r][j + i] = hn::Add(acc[r][j + i], product[i][r]);
                    INLAY_PIN(acc[r][j + i]);
                  }
                }
              }
            }
            INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
              INLAY_UNROLL(2) for (size_t r = 0; r < kVectors; ++r) {
                const auto wide = hn::WidenMulPairwiseAdd(d32, acc[r][j], ones);
                dot[r][j] = run == 0 ? wide : hn::Add(dot[r][j], wide);
              }
            }
          }
          INLAY_UNROLL(2) for (size_t r = 0; r < kVectors; ++r) {
            const VF w = hn::Load(df, &t.scale[panel[r]][at][lane[r]]);
            INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
              const VF f = hn::ConvertTo(df, dot[r][j]);
              part[r][j] = s == 0 ? hn::Mul(f, w) : hn::MulAdd(f, w, part[r][j]);
            }
          }
        }
        INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
          const VF scale = hn::Set(df, a_scale[g * kColumns + j]);
          INLAY_UNROLL(2) for (size_t r = 0; r < kVectors; ++r) {
            float* to = &c[panel[r]][j][lane[r]];
            VF sum = hn::MulAdd(part[r][j], scale, hn::Load(df, to));
            if constexpr (mins) {
              INLAY_UNROLL(2) for (size_t s = 0; s < kSubs; ++s) {
                const size_t at = g * kSubs + s;
                sum = hn::NegMulAdd(hn::Load(df, &t.min[panel[r]][at][lane[r]]),
                                    hn::Set(df, t.min_sum[at][j]), sum);
              }
            }
            hn::Store(sum, df, to);
          }
        }
      }
    }
  }
}

// The same for tiles of int16, with activations t.wide[step][column].
template <size_t sub, bool mins>
static HWY_NOINLINE void multiply_wide_tile(const MatmulScratch& t, const uint32_t* HWY_RESTRICT,
                                            const float* HWY_RESTRICT a_scale, size_t groups,
                                            float (*HWY_RESTRICT c)[kColumns][kPanelRows]) {
  const hn::Repartition<int16_t, WideTag> d16;
  const hn::Repartition<int32_t, WideTag> d32;
  const hn::Repartition<uint32_t, WideTag> du32;
  const hn::Repartition<float, WideTag> df;
  using VF = hn::Vec<decltype(df)>;
  constexpr size_t kSubs = kGroup / sub, kSteps = sub / 2;
  for (size_t row = 0; row < 2 * kPanelRows; row += kVectors * kRowLanes) {
    const size_t panel = row / kPanelRows, lane = row % kPanelRows;
    for (size_t at = 0; at < groups * kSubs; ++at) {
      hn::Vec<decltype(d32)> acc[kVectors][kColumns];
      INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
        INLAY_UNROLL(2) for (size_t r = 0; r < kVectors; ++r) acc[r][j] = hn::Zero(d32);
      }
      INLAY_UNROLL(16) for (size_t step = 0; step < kSteps; ++step) {
        const size_t k2 = at * kSteps + step;
        hn::Vec<decltype(d16)> w[kVectors];
        INLAY_UNROLL(2) for (size_t r = 0; r < kVectors; ++r) {
          w[r] = hn::BitCast(d16, hn::Load(du32, &t.w[panel][k2][lane + r * kRowLanes]));
          INLAY_PIN(w[r]);
        }
        INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
          auto b = hn::BitCast(d16, hn::Set(du32, t.wide[k2][j]));
          INLAY_PIN(b);
          INLAY_UNROLL(2) for (size_t r = 0; r < kVectors; ++r) {
            acc[r][j] = hn::Add(acc[r][j], hn::WidenMulPairwiseAdd(d32, w[r], b));
            INLAY_PIN(acc[r][j]);
          }
        }
      }
      INLAY_UNROLL(2) for (size_t r = 0; r < kVectors; ++r) {
        const VF w = hn::Load(df, &t.scale[panel][at][lane + r * kRowLanes]);
        INLAY_UNROLL(4) for (size_t j = 0; j < kColumns; ++j) {
          const VF scale = hn::Mul(w, hn::Set(df, a_scale[at / kSubs * kColumns + j]));
          float* to = &c[panel][j][lane + r * kRowLanes];
          VF sum = hn::MulAdd(hn::ConvertTo(df, acc[r][j]), scale, hn::Load(df, to));
          if constexpr (mins) {
            const VF low = hn::Load(df, &t.min[panel][at][lane + r * kRowLanes]);
            sum = hn::NegMulAdd(low, hn::Set(df, t.min_sum[at][j]), sum);
          }
          hn::Store(sum, df, to);
        }
      }
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
