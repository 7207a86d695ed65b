// Elementwise functions of a decoder block, and the exponential functions that attention shares.
// Compiled per target. Every function takes any n: what does not fill a vector is loaded and stored
// in part, never past the end.
HWY_BEFORE_NAMESPACE();
INLAY_BEGIN_NAMESPACE
namespace detail {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// x rounded to an integer n, for |x| < 2^22: returns float(n), and sets *power to 2^n; n = -127
// gives 0, and below that or above 127 is not allowed. Adding 1.5 * 2^23 leaves n in
// the low bits of the mantissa; the pins keep -ffast-math from cancelling that addition.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V round_and_power(D d, V x, V* power) {
  const hn::RebindToSigned<D> di;
  const V magic = hn::Set(d, 12582912.0f + 127.0f);
  V shifted = hn::Add(x, magic);
  INLAY_PIN(shifted);
  *power = hn::BitCast(d, hn::ShiftLeft<23>(hn::BitCast(di, shifted)));
  V n = hn::Sub(shifted, magic);
  INLAY_PIN(n);
  return n;
}

// e^x = power * (1 + m) for x <= 88, with |m| < 0.42: m to 1.1e-8 of itself before rounding
// (minimax polynomial of (e^r - 1) / r on [-ln 2 / 2, ln 2 / 2]). Below -87.7, power is 0.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V exp_parts(D d, V x, V* power) {
  x = hn::Max(x, hn::Set(d, -88.02f));
  const V n = round_and_power(d, hn::Mul(x, hn::Set(d, 1.44269504f)), power);
  // ln 2 in two parts; the first has few enough bits that n times it is exact.
  V r = hn::NegMulAdd(n, hn::Set(d, 0.693145752f), x);
  r = hn::NegMulAdd(n, hn::Set(d, 1.42860682e-6f), r);
  V p = hn::Set(d, 0.00138888726f);
  p = hn::MulAdd(p, r, hn::Set(d, 0.00836907571f));
  p = hn::MulAdd(p, r, hn::Set(d, 0.0416671364f));
  p = hn::MulAdd(p, r, hn::Set(d, 0.166665062f));
  p = hn::MulAdd(p, r, hn::Set(d, 0.499999981f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0f));
  return hn::Mul(p, r);
}

// x / (1 + e^-t), where t has the sign of x: 4 ulp and what t is off. Nothing overflows on the way,
// however large they are, for only e^-|t| is computed; it is 0 for |t| above 87.7.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V times_sigmoid(D d, V x, V t) {
  const V one = hn::Set(d, 1.0f);
  V power;
  const V m = exp_parts(d, hn::Neg(hn::Abs(t)), &power);
  const V e = hn::Mul(power, hn::Add(m, one));
  return hn::Div(hn::IfNegativeThenElse(x, hn::Mul(x, e), x), hn::Add(one, e));
}

// tanh(x) to 3 ulp: (e^2|x| - 1) / (e^2|x| + 1), with the numerator formed without cancellation.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V tanh_of(D d, V x) {
  const V one = hn::Set(d, 1.0f);
  const V magnitude = hn::Min(hn::Abs(x), hn::Set(d, 10.0f));  // tanh(10) rounds to 1
  V power;
  const V m = exp_parts(d, hn::Add(magnitude, magnitude), &power);
  const V minus_one = hn::MulAdd(power, m, hn::Sub(power, one));
  return hn::CopySign(hn::Div(minus_one, hn::Add(minus_one, hn::Set(d, 2.0f))), x);
}

// out[i] = function(d, vector i of a, vector i of b) for i < n; `a` and `b` may be `out`.
template <class F>
HWY_INLINE void map(const float* a, const float* b, size_t n, float* out, const F& function) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    hn::StoreU(function(d, hn::LoadU(d, a + i), hn::LoadU(d, b + i)), d, out + i);
  }
  if (i < n) {
    hn::StoreN(function(d, hn::LoadN(d, a + i, n - i), hn::LoadN(d, b + i, n - i)), d, out + i,
               n - i);
  }
}

struct Sum {
  template <class D, class V>
  HWY_INLINE V operator()(D, V a, V b) const {
    return hn::Add(a, b);
  }
};

struct Scaled {
  float factor;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a, V) const {
    return hn::Mul(a, hn::Set(d, factor));
  }
};

struct ScaledProduct {
  float factor;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a, V b) const {
    return hn::Mul(hn::Mul(a, hn::Set(d, factor)), b);
  }
};

// x / (1 + e^-x) * up
struct SiluMul {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x, V up) const {
    return hn::Mul(times_sigmoid(d, x, x), up);
  }
};

// x / 2 (1 + tanh u) = x / (1 + e^-2u), with u = sqrt(2 / pi) (x + 0.044715 x^3); times up
struct GeluMul {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x, V up) const {
    const V slope = hn::MulAdd(hn::Mul(x, x), hn::Set(d, 0.0713548163f), hn::Set(d, 1.59576912f));
    return hn::Mul(times_sigmoid(d, x, hn::Mul(slope, x)), up);
  }
};

struct Softcapped {
  float cap, inverse;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x, V) const {
    return hn::Mul(tanh_of(d, hn::Mul(x, hn::Set(d, inverse))), hn::Set(d, cap));
  }
};

void add(const float* x, size_t n, float* inout) { map(inout, x, n, inout, Sum{}); }

void scale(float factor, size_t n, float* inout) { map(inout, inout, n, inout, Scaled{factor}); }

void silu_mul(const float* gate, const float* up, size_t n, float* out) {
  map(gate, up, n, out, SiluMul{});
}

void gelu_mul(const float* gate, const float* up, size_t n, float* out) {
  map(gate, up, n, out, GeluMul{});
}

void softcap(float cap, size_t n, float* inout) {
  map(inout, inout, n, inout, Softcapped{cap, 1.0f / cap});
}

void rms_norm(const float* x, const float* weight, size_t n, float epsilon, float* out) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  // Four chains, so that the additions need not wait for one another.
  auto s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
  size_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    const auto x0 = hn::LoadU(d, x + i), x1 = hn::LoadU(d, x + i + lanes);
    const auto x2 = hn::LoadU(d, x + i + 2 * lanes), x3 = hn::LoadU(d, x + i + 3 * lanes);
    s0 = hn::MulAdd(x0, x0, s0);
    s1 = hn::MulAdd(x1, x1, s1);
    s2 = hn::MulAdd(x2, x2, s2);
    s3 = hn::MulAdd(x3, x3, s3);
  }
  for (; i < n; i += lanes) {
    const auto x0 = hn::LoadN(d, x + i, n - i);
    s0 = hn::MulAdd(x0, x0, s0);
  }
  const float sum = hn::ReduceSum(d, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3)));
  const float factor = 1.0f / std::sqrt(sum / static_cast<float>(n) + epsilon);
  if (weight != nullptr) {
    map(x, weight, n, out, ScaledProduct{factor});
  } else {
    map(x, x, n, out, Scaled{factor});
  }
}

// (a, b) -> (a cos - b sin, a sin + b cos)
void rope(float* x, size_t n_heads, size_t head_size, size_t rot, RopePairs pairs,
          const float* cos_sin) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d), half = rot / 2;
  for (size_t head = 0; head < n_heads; ++head, x += head_size) {
    size_t i = 0;
    if (pairs == RopePairs::halves) {
      for (; i + lanes <= half; i += lanes) {
        hn::Vec<decltype(d)> c, s;
        hn::LoadInterleaved2(d, cos_sin + 2 * i, c, s);
        const auto a = hn::LoadU(d, x + i), b = hn::LoadU(d, x + half + i);
        hn::StoreU(hn::MulSub(a, c, hn::Mul(b, s)), d, x + i);
        hn::StoreU(hn::MulAdd(a, s, hn::Mul(b, c)), d, x + half + i);
      }
    } else if (lanes >= 2) {
      for (; 2 * i + lanes <= rot; i += lanes / 2) {
        const auto cs = hn::LoadU(d, cos_sin + 2 * i), ab = hn::LoadU(d, x + 2 * i);
        const auto sin_ba = hn::Mul(hn::Reverse2(d, ab), hn::DupOdd(cs));
        hn::StoreU(hn::MulAddSub(ab, hn::DupEven(cs), sin_ba), d, x + 2 * i);
      }
    }
    const size_t step = pairs == RopePairs::halves ? 1 : 2;  // from a to the next a
    const size_t gap = pairs == RopePairs::halves ? half : 1;
    for (; i < half; ++i) {
      float* p = x + i * step;
      const float a = p[0], b = p[gap], c = cos_sin[2 * i], s = cos_sin[2 * i + 1];
      p[0] = a * c - b * s;
      p[gap] = a * s + b * c;
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace detail
INLAY_END_NAMESPACE
HWY_AFTER_NAMESPACE();
