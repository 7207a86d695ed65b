// Mixers that keep a state instead of a cache: short convolutions, Mamba's scan, the gated delta
// rule. Compiled per target. Lanes are channels, or what else does not depend on one another, so
// that nothing but Mamba-1 needs sums across lanes; a block of them goes over all tokens while its
// state stays in the cache.
HWY_BEFORE_NAMESPACE();
INLAY_BEGIN_NAMESPACE
namespace detail {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using ScanTag = hn::ScalableTag<float>;
using ScanVector = hn::Vec<ScanTag>;
inline constexpr size_t kScanLanes = HWY_MAX_LANES_D(ScanTag);
// Vectors that are worked on together: enough chains of additions, few enough registers, and within
// a block.
inline constexpr size_t kScanVectors = HWY_MIN(4, kStateBlock / kScanLanes);
inline constexpr size_t kScanWidth = kScanVectors * kScanLanes;
static_assert(kStateBlock % kScanWidth == 0 && kScanVectors % 2 == 0);

HWY_INLINE ScanVector exp_of(ScanVector x) {
  const ScanTag d;
  ScanVector power;
  const ScanVector m = exp_parts(d, x, &power);
  return hn::MulAdd(power, m, power);
}

// The first `n` values, at most a vector.
HWY_INLINE ScanVector load_part(const float* p, size_t n) {
  const ScanTag d;
  return n >= kScanLanes ? hn::LoadU(d, p) : hn::LoadN(d, p, n);
}
HWY_INLINE void store_part(ScanVector v, float* p, size_t n) {
  const ScanTag d;
  if (n >= kScanLanes) return hn::StoreU(v, d, p);
  hn::StoreN(v, d, p, n);
}

// A vector of channels, `left` of them, from channel `at`.
HWY_INLINE void convolve(const Conv1d& c, size_t at, size_t left) {
  const ScanTag d;
  constexpr size_t kTaps = kMaxConvKernel;
  static_assert(kTaps == 4);
  const size_t taps = c.kernel, first = kTaps - taps;
  ScanVector w[kTaps], past[kTaps];  // the oldest first, zeros before it
  INLAY_UNROLL(4) for (size_t i = 0; i < kTaps; ++i) w[i] = past[i] = hn::Zero(d);
  if (taps == 4 && left >= kScanLanes) {
    hn::LoadInterleaved4(d, c.weight + at * 4, w[0], w[1], w[2], w[3]);
  } else if (taps == 3 && left >= kScanLanes) {
    hn::LoadInterleaved3(d, c.weight + at * 3, w[1], w[2], w[3]);
  } else {
    INLAY_UNROLL(4) for (size_t i = 0; i < kTaps; ++i) {
      alignas(64) float column[kScanLanes] = {};
      if (i < first) continue;
      for (size_t l = 0; l < HWY_MIN(left, kScanLanes); ++l) {
        column[l] = c.weight[(at + l) * taps + i - first];
      }
      w[i] = hn::Load(d, column);
    }
  }
  INLAY_UNROLL(4) for (size_t i = 0; i + 1 < kTaps; ++i) {
    if (i >= first) past[i] = load_part(c.state + (i - first) * c.channels + at, left);
  }
  const ScanVector bias = c.bias != nullptr ? load_part(c.bias + at, left) : hn::Zero(d);
  for (size_t t = 0; t < c.n; ++t) {
    past[kTaps - 1] = load_part(c.x + t * c.x_stride + at, left);
    ScanVector sum = bias;
    INLAY_UNROLL(4) for (size_t i = 0; i < kTaps; ++i) sum = hn::MulAdd(past[i], w[i], sum);
    INLAY_UNROLL(4) for (size_t i = 0; i + 1 < kTaps; ++i) past[i] = past[i + 1];
    if (c.silu) sum = times_sigmoid(d, sum, sum);
    store_part(sum, c.out + t * c.out_stride + at, left);
  }
  INLAY_UNROLL(4) for (size_t i = 0; i + 1 < kTaps; ++i) {
    if (i >= first) store_part(past[i], c.state + (i - first) * c.channels + at, left);
  }
}

void conv1d(const Conv1d& c, size_t begin, size_t end) {
  for (size_t at = begin; at < end; at += kScanLanes) convolve(c, at, end - at);
}

// Mamba-1, a vector of channels: of each, the states are lanes.
HWY_INLINE void scan_channels(const SsmScan& s, size_t at, size_t left) {
  const ScanTag d;
  const size_t lanes = HWY_MIN(left, kScanLanes);
  size_t group[kScanLanes];
  for (size_t l = 0; l < lanes; ++l) group[l] = (at + l) / (s.n_heads / s.n_groups) * s.d_state;
  const ScanVector bias = s.dt_bias != nullptr ? load_part(s.dt_bias + at, left) : hn::Zero(d);
  const ScanVector skip = s.d != nullptr ? load_part(s.d + at, left) : hn::Zero(d);
  for (size_t t = 0; t < s.n; ++t) {
    alignas(64) float dt[kScanLanes], dt_x[kScanLanes], sums[kScanLanes];
    const ScanVector x = load_part(s.x + t * s.x_stride + at, left);
    const ScanVector step =
        softplus_of(d, hn::Add(load_part(s.dt + t * s.dt_stride + at, left), bias));
    hn::Store(step, d, dt);
    hn::Store(hn::Mul(step, x), d, dt_x);
    hn::Store(hn::Zero(d), d, sums);
    for (size_t l = 0; l < lanes; ++l) {
      const float* a = s.a + (at + l) * s.d_state;
      const float* b = s.b + t * s.bc_stride + group[l];
      const float* c = s.c + t * s.bc_stride + group[l];
      float* state = s.state + (at + l) * s.d_state;
      const auto by = hn::Set(d, dt[l]), input = hn::Set(d, dt_x[l]);
      ScanVector sum = hn::Zero(d);
      for (size_t i = 0; i < s.d_state; i += kScanLanes) {
        const size_t part = s.d_state - i;
        const ScanVector decay = exp_of(hn::Mul(by, load_part(a + i, part)));
        const ScanVector added = hn::Mul(input, load_part(b + i, part));
        const ScanVector y = hn::MulAdd(load_part(state + i, part), decay, added);
        store_part(y, state + i, part);
        sum = hn::MulAdd(y, load_part(c + i, part), sum);
      }
      sums[l] = hn::ReduceSum(d, sum);
    }
    store_part(hn::MulAdd(skip, x, hn::Load(d, sums)), s.out + t * s.out_stride + at, left);
  }
}

// Where a head's state has its first row of channels or values from `at` on.
HWY_INLINE float* state_at(float* state, size_t head, size_t rows, size_t lanes, size_t at) {
  return state + head * state_floats(rows, lanes) + at / kStateBlock * kStateBlock * rows +
         at % kStateBlock;
}
// Vector v of `left` values from p on, zeros beyond them.
HWY_INLINE ScanVector load_vector(const float* p, size_t left, size_t v) {
  return load_part(p + v * kScanLanes, left > v * kScanLanes ? left - v * kScanLanes : 0);
}
HWY_INLINE void store_vector(ScanVector x, float* p, size_t left, size_t v) {
  if (left > v * kScanLanes) store_part(x, p + v * kScanLanes, left - v * kScanLanes);
}

// Mamba-2: kScanWidth channels of a head, from channel `at` of it, of which there are `left`.
HWY_INLINE void scan_head(const SsmScan& s, size_t head, size_t at, size_t left) {
  const ScanTag d;
  const size_t group = head / (s.n_heads / s.n_groups) * s.d_state;
  const size_t channel = head * s.head_dim + at;
  const float bias = s.dt_bias != nullptr ? s.dt_bias[head] : 0.0f;
  const auto a = hn::Set(d, s.a[head]), skip = hn::Set(d, s.d != nullptr ? s.d[head] : 0.0f);
  for (size_t t = 0; t < s.n; ++t) {
    const float *b = s.b + t * s.bc_stride + group, *c = s.c + t * s.bc_stride + group;
    const float* x = s.x + t * s.x_stride + channel;
    float* out = s.out + t * s.out_stride + channel;
    float* state = state_at(s.state, head, s.d_state, s.head_dim, at);
    const auto dt = softplus_of(d, hn::Set(d, s.dt[t * s.dt_stride + head] + bias));
    const auto decay = exp_of(hn::Mul(dt, a));
    ScanVector in[kScanVectors], sum[kScanVectors];
    INLAY_UNROLL(4) for (size_t v = 0; v < kScanVectors; ++v) {
      in[v] = hn::Mul(load_vector(x, left, v), dt);
      sum[v] = hn::Zero(d);
    }
    for (size_t i = 0; i < s.d_state; ++i, state += kStateBlock) {
      const auto from = hn::Set(d, b[i]), to = hn::Set(d, c[i]);
      INLAY_UNROLL(4) for (size_t v = 0; v < kScanVectors; ++v) {
        float* p = state + v * kScanLanes;
        const auto y = hn::MulAdd(hn::LoadU(d, p), decay, hn::Mul(from, in[v]));
        hn::StoreU(y, d, p);
        sum[v] = hn::MulAdd(y, to, sum[v]);
      }
    }
    INLAY_UNROLL(4) for (size_t v = 0; v < kScanVectors; ++v) {
      store_vector(hn::MulAdd(skip, load_vector(x, left, v), sum[v]), out, left, v);
    }
  }
}

void ssm_scan(const SsmScan& s, size_t begin, size_t end) {
  if (s.a_per_state) {
    for (size_t at = begin; at < end; at += kScanLanes) scan_channels(s, at, end - at);
    return;
  }
  for (size_t head = begin; head < end; ++head) {
    for (size_t at = 0; at < s.head_dim; at += kScanWidth) scan_head(s, head, at, s.head_dim - at);
  }
}

// kScanWidth values of a head, from value `at` of it, of which there are `left`. Each token passes
// over the state once: it also adds up what the next one will see, S^T k.
HWY_INLINE void delta_head(const DeltaRule& r, size_t head, size_t at, size_t left) {
  const ScanTag d;
  const size_t k_head = r.grouped ? head / (r.n_heads / r.n_k_heads) : head % r.n_k_heads;
  float* const state = state_at(r.state, head, r.head_k, r.head_v, at);
  const auto scale = hn::Set(d, r.scale);
  const float* const keys = r.k + k_head * r.head_k;
  const float* const queries = r.q + k_head * r.head_k;
  ScanVector first[kScanVectors];
  INLAY_UNROLL(4) for (size_t v = 0; v < kScanVectors; ++v) first[v] = hn::Zero(d);
  for (size_t i = 0; i < r.head_k; ++i) {
    const auto key = hn::Set(d, keys[i]);
    INLAY_UNROLL(4) for (size_t v = 0; v < kScanVectors; ++v) {
      const float* p = state + i * kStateBlock + v * kScanLanes;
      first[v] = hn::MulAdd(hn::LoadU(d, p), key, first[v]);
    }
  }
  // Two vectors at a time: more sums do not fit 16 registers.
  INLAY_UNROLL(2) for (size_t v = 0; v < kScanVectors; v += 2) {
    float* const s0 = state + v * kScanLanes;
    float* const s1 = s0 + kScanLanes;
    ScanVector seen0 = first[v], seen1 = first[v + 1];
    for (size_t t = 0; t < r.n; ++t) {
      const float *k = keys + t * r.qk_stride, *q = queries + t * r.qk_stride;
      const float* next = t + 1 < r.n ? k + r.qk_stride : k;
      const auto decay = exp_of(hn::Set(d, r.gate[t * r.gate_stride + head]));
      const auto beta = hn::Set(d, r.beta[t * r.gate_stride + head]);
      const float* value = r.v + t * r.v_stride + head * r.head_v + at;
      float* out = r.out + t * r.out_stride + head * r.head_v + at;
      const auto change0 = hn::Mul(beta, hn::NegMulAdd(decay, seen0, load_vector(value, left, v)));
      const auto change1 =
          hn::Mul(beta, hn::NegMulAdd(decay, seen1, load_vector(value, left, v + 1)));
      auto sum0 = hn::Zero(d), sum1 = sum0;
      seen0 = seen1 = sum0;
      for (size_t i = 0; i < r.head_k; ++i) {
        const auto key = hn::Set(d, k[i]), query = hn::Set(d, q[i]), then = hn::Set(d, next[i]);
        const auto old0 = hn::LoadU(d, s0 + i * kStateBlock);
        const auto old1 = hn::LoadU(d, s1 + i * kStateBlock);
        const auto y0 = hn::MulAdd(old0, decay, hn::Mul(key, change0));
        const auto y1 = hn::MulAdd(old1, decay, hn::Mul(key, change1));
        hn::StoreU(y0, d, s0 + i * kStateBlock);
        hn::StoreU(y1, d, s1 + i * kStateBlock);
        sum0 = hn::MulAdd(y0, query, sum0);
        sum1 = hn::MulAdd(y1, query, sum1);
        seen0 = hn::MulAdd(y0, then, seen0);
        seen1 = hn::MulAdd(y1, then, seen1);
      }
      store_vector(hn::Mul(sum0, scale), out, left, v);
      store_vector(hn::Mul(sum1, scale), out, left, v + 1);
    }
  }
}

void delta_rule(const DeltaRule& r, size_t begin, size_t end) {
  for (size_t head = begin; head < end; ++head) {
    for (size_t at = 0; at < r.head_v; at += kScanWidth) delta_head(r, head, at, r.head_v - at);
  }
}

static constexpr RecurrentKernels kRecurrentKernels = {l2_norm, conv1d, ssm_scan, delta_rule};

}  // namespace HWY_NAMESPACE
}  // namespace detail
INLAY_END_NAMESPACE
HWY_AFTER_NAMESPACE();
