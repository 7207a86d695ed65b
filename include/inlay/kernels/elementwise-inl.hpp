// What all kernels share, and elementwise functions of a decoder block. Compiled per target. Every
// function takes any n: what does not fill a vector is loaded and stored in part, never past the
// end.
HWY_BEFORE_NAMESPACE();
INLAY_BEGIN_NAMESPACE
namespace detail {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

inline constexpr size_t kRegisters = HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM_A64 ? 32 : 16;

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

// x / (1 + e^-t): 4 ulp and what t is off. Nothing overflows on the way, however large they are,
// for only e^-|t| is computed; for t below -87.7 it is 0.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V times_sigmoid(D d, V x, V t) {
  const V one = hn::Set(d, 1.0f);
  V power;
  const V m = exp_parts(d, hn::Neg(hn::Abs(t)), &power);
  const V e = hn::Mul(power, hn::Add(m, one));
  return hn::Div(hn::IfNegativeThenElse(t, hn::Mul(x, e), x), hn::Add(one, e));
}

// log(1 + e^x) to 4 ulp, and 0 below -87.7: max(x, 0) + log(1 + e) with e = e^-|x|; the logarithm
// is 2 atanh(z) with z = e / (2 + e), at most 1 / 3. (Minimax polynomial of atanh(z) / z in z^2,
// 4e-9.)
template <class D, class V = hn::Vec<D>>
HWY_INLINE V softplus_of(D d, V x) {
  V power;
  const V m = exp_parts(d, hn::Neg(hn::Abs(x)), &power);
  const V e = hn::MulAdd(power, m, power);
  const V z = hn::Div(e, hn::Add(e, hn::Set(d, 2.0f)));
  const V w = hn::Mul(z, z);
  V p = hn::Set(d, 0.281783326f);
  p = hn::MulAdd(p, w, hn::Set(d, 0.279606076f));
  p = hn::MulAdd(p, w, hn::Set(d, 0.400249095f));
  p = hn::MulAdd(p, w, hn::Set(d, 0.666663147f));
  p = hn::MulAdd(p, w, hn::Set(d, 2.0f));
  return hn::MulAdd(p, z, hn::Max(x, hn::Zero(d)));
}

// x times the normal distribution's integral up to x. That up to -a is e^(-a^2 / 2) times a
// function that only falls from 1 / 2 like 1 / a: a polynomial (minimax, 5.7e-8) of 1 / (1 + 0.3
// a).
template <class D, class V = hn::Vec<D>>
HWY_INLINE V times_normal(D d, V x) {
  const V one = hn::Set(d, 1.0f), a = hn::Abs(x);
  V power;
  const V m = exp_parts(d, hn::Mul(hn::Mul(a, a), hn::Set(d, -0.5f)), &power);
  const V t = hn::Div(one, hn::MulAdd(a, hn::Set(d, 0.3f), one));
  V p = hn::Set(d, 0.038323294f);
  p = hn::MulAdd(p, t, hn::Set(d, -0.168898519f));
  p = hn::MulAdd(p, t, hn::Set(d, 0.228106675f));
  p = hn::MulAdd(p, t, hn::Set(d, -0.0758727472f));
  p = hn::MulAdd(p, t, hn::Set(d, 0.142097191f));
  p = hn::MulAdd(p, t, hn::Set(d, 0.0948705318f));
  p = hn::MulAdd(p, t, hn::Set(d, 0.121872408f));
  p = hn::MulAdd(p, t, hn::Set(d, 0.119494422f));
  p = hn::MulAdd(p, t, hn::Set(d, 6.7727496e-6f));
  const V tail = hn::Mul(hn::Mul(x, p), hn::MulAdd(power, m, power));
  return hn::IfNegativeThenElse(x, tail, hn::Sub(x, tail));
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

struct Product {
  template <class D, class V>
  HWY_INLINE V operator()(D, V a, V b) const {
    return hn::Mul(a, b);
  }
};

struct Clamped {
  float lo, hi;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a, V) const {
    return hn::Min(hn::Max(a, hn::Set(d, lo)), hn::Set(d, hi));
  }
};

struct ScaledSum {
  float factor;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V a, V b) const {
    return hn::MulAdd(b, hn::Set(d, factor), a);
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

void scale_add(float factor, const float* x, size_t n, float* inout) {
  map(inout, x, n, inout, ScaledSum{factor});
}

void mul(const float* x, size_t n, float* inout) { map(inout, x, n, inout, Product{}); }

void clamp(float lo, float hi, size_t n, float* inout) {
  map(inout, inout, n, inout, Clamped{lo, hi});
}

// One loop for all kinds: a branch for each vector, always the same way, costs nothing beside an
// exponential function; a loop for each kind, with its end, would be compiled for every target.
void activate(Activation kind, const float* gate, const float* up, size_t n, float* out) {
  const hn::ScalableTag<float> d;
  using V = hn::Vec<decltype(d)>;
  const size_t lanes = hn::Lanes(d);
  const auto load = [&](const float* p, size_t left) HWY_ATTR {
    return left >= lanes ? hn::LoadU(d, p) : hn::LoadN(d, p, left);
  };
  for (size_t i = 0; i < n; i += lanes) {
    const size_t left = n - i;
    V x = load(gate + i, left), t = x;  // what a sigmoid is multiplied with, and of what it is
    V y = x;
    bool times = true;
    switch (kind) {
      case Activation::silu:
        break;
      case Activation::gelu:  // (1 + tanh u) / 2 = 1 / (1 + e^-2u)
        t = hn::Mul(hn::MulAdd(hn::Mul(x, x), hn::Set(d, 0.0713548163f), hn::Set(d, 1.59576912f)),
                    x);
        break;
      case Activation::swiglu_oai:
        x = hn::Min(x, hn::Set(d, 7.0f));
        [[fallthrough]];
      case Activation::gelu_quick:
        t = hn::Mul(x, hn::Set(d, 1.702f));
        break;
      case Activation::sigmoid:
        x = hn::Set(d, 1.0f);
        break;
      case Activation::gelu_erf:
        times = false;
        y = times_normal(d, x);
        break;
      case Activation::tanh:
        times = false;
        y = tanh_of(d, x);
        break;
      case Activation::softplus:
        times = false;
        y = softplus_of(d, x);
        break;
      case Activation::relu:
      case Activation::relu_squared:
        times = false;
        y = hn::Max(x, hn::Zero(d));
        if (kind == Activation::relu_squared) y = hn::Mul(y, y);
        break;
    }
    if (times) y = times_sigmoid(d, x, t);
    if (up != nullptr) {
      V u = load(up + i, left);
      if (kind == Activation::swiglu_oai) {
        u = hn::Max(hn::Min(u, hn::Set(d, 7.0f)), hn::Set(d, -7.0f));
        u = hn::Add(u, hn::Set(d, 1.0f));
      }
      y = hn::Mul(y, u);
    }
    if (left >= lanes) {
      hn::StoreU(y, d, out + i);
    } else {
      hn::StoreN(y, d, out + i, left);
    }
  }
}

void softcap(float cap, size_t n, float* inout) {
  map(inout, inout, n, inout, Softcapped{cap, 1.0f / cap});
}

// Sum of value(d, vector i of x, how many of its lanes count). Four chains, so that the additions
// need not wait for one another.
template <class F>
HWY_INLINE float sum_of(const float* x, size_t n, const F& value) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  auto s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
  size_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    s0 = value(d, hn::LoadU(d, x + i), s0, lanes);
    s1 = value(d, hn::LoadU(d, x + i + lanes), s1, lanes);
    s2 = value(d, hn::LoadU(d, x + i + 2 * lanes), s2, lanes);
    s3 = value(d, hn::LoadU(d, x + i + 3 * lanes), s3, lanes);
  }
  for (; i < n; i += lanes) s0 = value(d, hn::LoadN(d, x + i, n - i), s0, n - i);
  return hn::ReduceSum(d, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3)));
}

struct AddValue {
  template <class D, class V>
  HWY_INLINE V operator()(D, V x, V sum, size_t) const {
    return hn::Add(x, sum);
  }
};

struct AddSquare {
  template <class D, class V>
  HWY_INLINE V operator()(D, V x, V sum, size_t) const {
    return hn::MulAdd(x, x, sum);
  }
};

struct AddSquareOfDifference {
  float mean;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x, V sum, size_t left) const {
    const V y = hn::IfThenElseZero(hn::FirstN(d, left), hn::Sub(x, hn::Set(d, mean)));
    return hn::MulAdd(y, y, sum);
  }
};

struct Normalized {
  float mean, factor;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x, V) const {
    return hn::Mul(hn::Sub(x, hn::Set(d, mean)), hn::Set(d, factor));
  }
};

void rms_norm(const float* x, const float* weight, size_t n, float epsilon, float* out) {
  const float sum = sum_of(x, n, AddSquare{});
  const float factor = 1.0f / std::sqrt(sum / static_cast<float>(n) + epsilon);
  if (weight != nullptr) {
    map(x, weight, n, out, ScaledProduct{factor});
  } else {
    map(x, x, n, out, Scaled{factor});
  }
}

void layer_norm(const float* x, const float* weight, const float* bias, size_t n, float epsilon,
                float* out) {
  const float count = static_cast<float>(n), mean = sum_of(x, n, AddValue{}) / count;
  const float variance = sum_of(x, n, AddSquareOfDifference{mean}) / count;
  map(x, x, n, out, Normalized{mean, 1.0f / std::sqrt(variance + epsilon)});
  if (weight != nullptr) mul(weight, n, out);
  if (bias != nullptr) add(bias, n, out);
}

void l2_norm(const float* x, size_t n, float epsilon, float* out) {
  map(x, x, n, out, Scaled{1.0f / std::sqrt(sum_of(x, n, AddSquare{}) + epsilon)});
}

// (a, b) -> (a cos - b sin, a sin + b cos)
void rope(float* x, size_t n_heads, size_t head_stride, size_t rot, RopePairs pairs,
          const float* cos_sin) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d), half = rot / 2;
  for (size_t head = 0; head < n_heads; ++head, x += head_stride) {
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

#if HWY_HAVE_FLOAT64
// The upper halves of products of the lower halves.
template <class V>
HWY_INLINE V times_fraction(V a, V b) {
  const hn::Repartition<uint32_t, hn::DFromV<V>> d;
  return hn::ShiftRight<32>(hn::MulEven(hn::BitCast(d, a), hn::BitCast(d, b)));
}

// As exp2_negative() and to_bits() have it. The integer part of a double below 2^52 is in the low
// bits of its sum with 2^52.
void softmax_weights(const float* logits, size_t n, float top, uint64_t* bits, uint64_t* weights) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> df;
  const hn::RebindToUnsigned<decltype(d)> du;
  for (size_t i = 0, lanes = hn::Lanes(d); i < n; i += lanes) {
    const auto logit = hn::PromoteTo(d, hn::LoadU(df, logits + i));
    const auto off = hn::Mul(hn::Sub(hn::Set(d, static_cast<double>(top)), logit),
                             hn::Set(d, 1.4426950408889634));
    const auto scaled = hn::IfThenElse(hn::Lt(off, hn::Set(d, 64)),
                                       hn::Mul(off, hn::Set(d, 0x1p32)), hn::Set(d, 0x1p38));
    const auto two52 = hn::Set(d, 0x1p52);
    const auto x = hn::Xor(hn::BitCast(du, hn::Add(hn::Floor(scaled), two52)),  //
                           hn::BitCast(du, two52));
    auto v = hn::Sub(hn::Set(du, 0x9a6a6), times_fraction(hn::Set(du, 0xb58d), x));
    v = hn::Sub(hn::Set(du, 0x5704af), times_fraction(v, x));
    v = hn::Sub(hn::Set(du, 0x2762a6d), times_fraction(v, x));
    v = hn::Sub(hn::Set(du, 0xe357996), times_fraction(v, x));
    v = hn::Sub(hn::Set(du, 0x3d7f7aa6), times_fraction(v, x));
    v = hn::Sub(hn::Set(du, 0xb17217e7), times_fraction(v, x));
    v = hn::Sub(hn::Set(du, 0x100000000), times_fraction(v, x));
    const auto whole = hn::ShiftRight<32>(x);
    const auto shift = hn::Sub(whole, hn::ShiftRight<6>(whole));  // 64 is too much for a shift
    v = hn::Shr(hn::ShiftLeft<kWeightBits - 32>(v), shift);
    hn::StoreU(x, du, bits + i);
    hn::StoreU(v, du, weights + i);
  }
}
#else
void softmax_weights(const float* logits, size_t n, float top, uint64_t* bits, uint64_t* weights) {
  for (size_t i = 0; i < n; ++i) {
    bits[i] = to_bits(static_cast<double>(top) - static_cast<double>(logits[i]));
    weights[i] = exp2_negative(bits[i]);
  }
}
#endif

}  // namespace HWY_NAMESPACE
}  // namespace detail
INLAY_END_NAMESPACE
HWY_AFTER_NAMESPACE();
