// Elementwise kernels of every target that this CPU runs, against double precision.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <vector>

#include "inlay/kernels/kernels.hpp"

namespace {

using namespace inlay::detail;

constexpr double kUlp = 0x1p-23;  // spacing of floats, relative
constexpr float kInfinity = std::numeric_limits<float>::infinity();
const size_t kSizes[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 100, 128, 257};

template <class F>
void for_each_target(const F& check) {
  const Kernels* kernels[8];
  const size_t n = runnable_kernels(kernels);
  REQUIRE(n >= 1);
  for (size_t i = 0; i < n; ++i) {
    CAPTURE(kernels[i]->name);
    check(*kernels[i]);
  }
}

// Uniform in [-size, size]. (Numerical Recipes' LCG, top bits.)
struct Random {
  uint32_t state;
  float operator()(float size) {
    state = state * 1664525u + 1013904223u;
    return (static_cast<float>(state >> 8) * 0x1p-23f - 1.0f) * size;
  }
};

std::vector<float> random_floats(size_t n, float size, uint32_t seed) {
  Random random{seed};
  std::vector<float> x(n);
  for (float& v : x) v = random(size);
  return x;
}

double silu(double x) { return x / (1.0 + std::exp(-x)); }
double gelu(double x) {
  return 0.5 * x * (1.0 + std::tanh(std::sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x)));
}

// Run `run(in, n, out)` on `n` values and hand input and result to `check`, element by element.
// Memory ends with the data, so that a sanitizer sees any access beyond, and the element before it
// must stay as it is.
template <class Run, class Check>
void for_each_value(const std::vector<float>& in, const Run& run, const Check& check) {
  for (size_t n : kSizes) {
    if (n > in.size()) n = in.size();
    CAPTURE(n);
    std::vector<float> x(in.end() - static_cast<std::ptrdiff_t>(n), in.end()), out(n + 1, 42.0f);
    run(x.data(), n, out.data() + 1);
    CHECK(out[0] == 42.0f);
    for (size_t i = 0; i < n; ++i) check(x[i], out[i + 1]);
  }
}

// A sweep over signs and magnitudes: subnormal, tiny, ordinary, and beyond every overflow.
std::vector<float> sweep() {
  std::vector<float> x;
  for (int i = -2000; i <= 2000; ++i) x.push_back(static_cast<float>(i) * 0.0517f);
  for (int e = -149; e < 128; ++e) {
    const float value = std::ldexp(1.37f, e);
    x.push_back(value);
    x.push_back(-value);
  }
  x.push_back(0.0f);
  x.push_back(-0.0f);
  return x;
}

}  // namespace

TEST_CASE("add and scale are exact") {
  for_each_target([](const Kernels& kernels) {
    const std::vector<float> x = random_floats(300, 3.0f, 1), y = random_floats(300, 3.0f, 2);
    for (size_t n : kSizes) {
      CAPTURE(n);
      std::vector<float> a(x.begin(), x.begin() + static_cast<std::ptrdiff_t>(n));
      std::vector<float> b(y.begin(), y.begin() + static_cast<std::ptrdiff_t>(n));
      kernels.add(a.data(), n, b.data());
      for (size_t i = 0; i < n; ++i) CHECK(b[i] == x[i] + y[i]);
      kernels.scale(0.3f, n, a.data());
      for (size_t i = 0; i < n; ++i) CHECK(a[i] == x[i] * 0.3f);
    }
  });
}

TEST_CASE("silu_mul") {
  for_each_target([](const Kernels& kernels) {
    const std::vector<float> x = sweep();
    std::vector<float> out(x.size()), up(x.size(), 1.25f);
    kernels.silu_mul(x.data(), up.data(), x.size(), out.data());
    for (size_t i = 0; i < x.size(); ++i) {
      CAPTURE(x[i]);
      const double expected = 1.25 * silu(x[i]);
      // exp: 2 ulp, four more roundings. Below -88 the result, 88 e^-88 at most, may be flushed to
      // zero.
      CHECK(std::fabs(out[i] - expected) <= 5 * kUlp * std::fabs(expected) + 1e-36);
    }
    for_each_value(
        random_floats(257, 9.0f, 3),
        [&](const float* in, size_t n, float* to) { kernels.silu_mul(in, in, n, to); },
        [](float in, float result) {
          CHECK(std::fabs(result - in * silu(in)) <= 5 * kUlp * std::fabs(in * silu(in)));
        });
  });
}

TEST_CASE("gelu_mul") {
  for_each_target([](const Kernels& kernels) {
    const std::vector<float> x = sweep();
    std::vector<float> out(x.size()), up(x.size(), -0.75f);
    kernels.gelu_mul(x.data(), up.data(), x.size(), out.data());
    for (size_t i = 0; i < x.size(); ++i) {
      CAPTURE(x[i]);
      const double expected = -0.75 * gelu(x[i]);
      // As silu; and the exponent, up to 88 where it matters, carries three roundings of its own.
      // The reference itself cancels 1 + tanh: half an ulp of a double, times x.
      const double exponent = std::fmin(
          88.0,
          std::fabs(1.5957691216 * x[i] * (1.0 + 0.044715 * static_cast<double>(x[i]) * x[i])));
      const double tolerance = (5 + 2 * exponent) * kUlp * std::fabs(expected) +
                               std::fmin(std::fabs(x[i]), 20.0) * 0x1p-53 + 1e-36;
      CHECK(std::fabs(out[i] - expected) <= tolerance);
    }
    for_each_value(
        random_floats(257, 4.0f, 4),
        [&](const float* in, size_t n, float* to) { kernels.gelu_mul(in, in, n, to); },
        [](float in, float result) {
          CHECK(std::fabs(result - in * gelu(in)) <= 60 * kUlp * std::fabs(in * gelu(in)) + 1e-15);
        });
  });
}

TEST_CASE("softcap") {
  for_each_target([](const Kernels& kernels) {
    for (const float cap : {1.0f, 30.0f, 50.0f}) {
      CAPTURE(cap);
      const std::vector<float> x = sweep();
      std::vector<float> out = x;
      kernels.softcap(cap, x.size(), out.data());
      for (size_t i = 0; i < x.size(); ++i) {
        CAPTURE(x[i]);
        const double expected = cap * std::tanh(static_cast<double>(x[i]) / cap);
        // tanh: 3 ulp; the division by cap two roundings, the product one. Subnormals: two of their
        // spacings.
        CHECK(std::fabs(out[i] - expected) <= 5 * kUlp * std::fabs(expected) + cap * 0x1p-148);
      }
      std::vector<float> extreme = {kInfinity, -kInfinity};
      kernels.softcap(cap, 2, extreme.data());
      CHECK(extreme[0] == cap);
      CHECK(extreme[1] == -cap);
    }
    for_each_value(
        random_floats(257, 100.0f, 5),
        [&](const float* in, size_t n, float* to) {
          for (size_t i = 0; i < n; ++i) to[i] = in[i];
          kernels.softcap(30.0f, n, to);
        },
        [](float in, float result) {
          const double expected = 30.0 * std::tanh(in / 30.0);
          CHECK(std::fabs(result - expected) <= 5 * kUlp * std::fabs(expected));
        });
  });
}

TEST_CASE("rms_norm") {
  for_each_target([](const Kernels& kernels) {
    for (size_t n :
         {size_t{1}, size_t{3}, size_t{17}, size_t{64}, size_t{100}, size_t{2048}, size_t{2051}}) {
      for (const bool weighted : {false, true}) {
        CAPTURE(n);
        CAPTURE(weighted);
        const std::vector<float> x = random_floats(n, 5.0f, 6), weight = random_floats(n, 2.0f, 7);
        std::vector<float> out(n);
        kernels.rms_norm(x.data(), weighted ? weight.data() : nullptr, n, 1e-5f, out.data());
        double squares = 0;
        for (float v : x) squares += static_cast<double>(v) * v;
        const double factor = 1.0 / std::sqrt(squares / static_cast<double>(n) + 1e-5);
        for (size_t i = 0; i < n; ++i) {
          const double expected = x[i] * factor * (weighted ? weight[i] : 1.0);
          // A sum of n squares: at most n half-ulps, halved by the root; six roundings after it.
          const double tolerance = (static_cast<double>(n) / 4 + 3) * kUlp * std::fabs(expected);
          CHECK(std::fabs(out[i] - expected) <= tolerance);
        }
        std::vector<float> in_place = x;
        kernels.rms_norm(in_place.data(), weighted ? weight.data() : nullptr, n, 1e-5f,
                         in_place.data());
        CHECK(in_place == out);
      }
    }
  });
}

TEST_CASE("rope rotates the first rot elements of every head") {
  for_each_target([](const Kernels& kernels) {
    for (size_t head : std::initializer_list<size_t>{2, 6, 32, 40, 64, 80, 100, 128}) {
      for (size_t rot : std::initializer_list<size_t>{head, head / 2 / 2 * 2, size_t{2}}) {
        for (const RopePairs pairs : {RopePairs::adjacent, RopePairs::halves}) {
          CAPTURE(head);
          CAPTURE(rot);
          const size_t heads = 3, half = rot / 2;
          const std::vector<float> x = random_floats(heads * head, 4.0f, 8);
          std::vector<float> angles = random_floats(half, 3.2f, 9), cos_sin(rot), out = x;
          for (size_t i = 0; i < half; ++i) {
            cos_sin[2 * i] = std::cos(angles[i]);
            cos_sin[2 * i + 1] = std::sin(angles[i]);
          }
          kernels.rope(out.data(), heads, head, rot, pairs, cos_sin.data());
          for (size_t h = 0; h < heads; ++h) {
            for (size_t i = 0; i < half; ++i) {
              const size_t first = h * head + (pairs == RopePairs::halves ? i : 2 * i);
              const size_t second = first + (pairs == RopePairs::halves ? half : 1);
              const double a = x[first], b = x[second], c = cos_sin[2 * i], s = cos_sin[2 * i + 1];
              // Two products and a sum: half an ulp each.
              CHECK(std::fabs(out[first] - (a * c - b * s)) <=
                    kUlp * (std::fabs(a * c) + std::fabs(b * s)));
              CHECK(std::fabs(out[second] - (a * s + b * c)) <=
                    kUlp * (std::fabs(a * s) + std::fabs(b * c)));
            }
            for (size_t i = rot; i < head; ++i) CHECK(out[h * head + i] == x[h * head + i]);
          }
        }
      }
    }
  });
}
