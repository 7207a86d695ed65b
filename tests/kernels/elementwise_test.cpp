// Elementwise kernels of every target that this CPU runs, against double precision.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <vector>

#include "inlay/core/integer_math.hpp"
#include "inlay/kernels/kernels.hpp"
#include "support/kernels.hpp"

namespace {

using namespace inlay::detail;
using inlay_test::for_each_target, inlay_test::random_floats;

constexpr double kUlp = 0x1p-23;  // spacing of floats, relative
constexpr float kInfinity = std::numeric_limits<float>::infinity();
const size_t kSizes[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 100, 128, 257};

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }
double softplus(double x) { return std::fmax(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); }
// (1 + tanh u) / 2 is a sigmoid of 2 u.
double gelu_exponent(double x) { return 2 * std::sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x); }

// An activation: what it is, what its second operand becomes, and how far it may be off.
struct Function {
  Activation kind;
  const char* name;
  double (*value)(double x);
  double (*factor)(double up);
  double ulps;                   // of the function
  double (*exponent)(double x);  // of an exponential that is rounded before: 2 ulps of it more
};

double itself(double x) { return x; }
double nothing(double) { return 0; }
double oai_factor(double up) { return std::fmax(-7.0, std::fmin(up, 7.0)) + 1.0; }

const Function kFunctions[] = {
    // exp: 2 ulp, three more roundings
    {Activation::silu, "silu", [](double x) { return x * sigmoid(x); }, itself, 4, nothing},
    {Activation::gelu, "gelu", [](double x) { return x * sigmoid(gelu_exponent(x)); }, itself, 4,
     [](double x) { return std::fabs(gelu_exponent(x)); }},
    // exp and a polynomial, 2 ulp each; two products.
    {Activation::gelu_erf, "gelu_erf", [](double x) { return x / 2 * std::erfc(-x * M_SQRT1_2); },
     itself, 6, [](double x) { return x * x / 2; }},
    {Activation::gelu_quick, "gelu_quick", [](double x) { return x * sigmoid(1.702 * x); }, itself,
     4, [](double x) { return std::fabs(1.702 * x); }},
    {Activation::relu, "relu", [](double x) { return std::fmax(x, 0.0); }, itself, 0, nothing},
    {Activation::relu_squared, "relu_squared",
     [](double x) { return std::fmax(x, 0.0) * std::fmax(x, 0.0); }, itself, 1, nothing},
    {Activation::swiglu_oai, "swiglu_oai",
     [](double x) { return std::fmin(x, 7.0) * sigmoid(1.702 * std::fmin(x, 7.0)); }, oai_factor, 4,
     [](double x) { return std::fabs(1.702 * std::fmin(x, 7.0)); }},
    {Activation::sigmoid, "sigmoid", sigmoid, itself, 4, nothing},
    {Activation::tanh, "tanh", [](double x) { return std::tanh(x); }, itself, 3, nothing},
    {Activation::softplus, "softplus", softplus, itself, 4, nothing},
};

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

TEST_CASE("add, mul, scale and clamp are exact, scale_add to a rounding or two") {
  for_each_target([](const Kernels& kernels) {
    const std::vector<float> x = random_floats(300, 3.0f, 1), y = random_floats(300, 3.0f, 2);
    for (size_t n : kSizes) {
      CAPTURE(n);
      const std::vector<float> begin(y.begin(), y.begin() + static_cast<std::ptrdiff_t>(n));
      // Memory that ends with the data.
      const std::vector<float> other(x.begin(), x.begin() + static_cast<std::ptrdiff_t>(n));
      std::vector<float> out = begin;
      kernels.add(other.data(), n, out.data());
      for (size_t i = 0; i < n; ++i) CHECK(out[i] == y[i] + x[i]);
      out = begin;
      kernels.mul(other.data(), n, out.data());
      for (size_t i = 0; i < n; ++i) CHECK(out[i] == y[i] * x[i]);
      out = begin;
      kernels.scale(0.3f, n, out.data());
      for (size_t i = 0; i < n; ++i) CHECK(out[i] == y[i] * 0.3f);
      out = begin;
      kernels.clamp(-1.5f, 0.75f, n, out.data());
      for (size_t i = 0; i < n; ++i) CHECK(out[i] == std::fmin(std::fmax(y[i], -1.5f), 0.75f));
      out = begin;
      kernels.scale_add(0.3f, other.data(), n, out.data());
      for (size_t i = 0; i < n; ++i) {
        const double product = static_cast<double>(0.3f) * x[i], expected = y[i] + product;
        CHECK(std::fabs(out[i] - expected) <=
              0.5 * kUlp * (std::fabs(product) + std::fabs(expected)));
      }
    }
  });
}

TEST_CASE("activate") {
  for_each_target([](const Kernels& kernels) {
    for (const Function& f : kFunctions) {
      CAPTURE(f.name);
      const std::vector<float> x = sweep();
      const std::vector<float> up(x.size(), -2.25f);
      for (const bool times : {false, true}) {
        CAPTURE(times);
        std::vector<float> out(x.size());
        kernels.activate(f.kind, x.data(), times ? up.data() : nullptr, x.size(), out.data());
        const double factor = times ? f.factor(-2.25) : 1.0;
        for (size_t i = 0; i < x.size(); ++i) {
          CAPTURE(x[i]);
          const double expected = factor * f.value(x[i]);
          if (std::fabs(expected) > 3e38 || f.value(x[i]) > 3e38) {
            CHECK(std::fabs(out[i]) == kInfinity);
            continue;
          }
          // The values named for each function, one rounding for the product and one in doubt.
          // Where e^-88 is passed on the way, the result, 88 e^-88 at most, may be flushed to zero.
          const double tolerance =
              (2 + f.ulps + 2 * std::fmin(88.0, f.exponent(x[i]))) * kUlp * std::fabs(expected);
          CHECK(std::fabs(out[i] - expected) <= tolerance + std::fabs(factor) * 1e-36);
        }
      }
      // The factor varies, and any number of values.
      for_each_value(
          random_floats(257, 9.0f, 3),
          [&](const float* in, size_t n, float* to) { kernels.activate(f.kind, in, in, n, to); },
          [&](float in, float result) {
            const double expected = f.value(in) * f.factor(in);
            const double tolerance = (2 + f.ulps + 2 * f.exponent(in)) * kUlp * std::fabs(expected);
            // swiglu_oai's factor is a sum with 1, rounded.
            CHECK(std::fabs(result - expected) <= tolerance + kUlp * std::fabs(f.value(in)));
          });
    }
  });
}

TEST_CASE("swiglu_oai limits both sides") {
  for_each_target([](const Kernels& kernels) {
    const float gate[] = {7, 8, 1e30f, 7, -100}, up[] = {1, 1, 9, -9, 3};
    float out[5];
    kernels.activate(Activation::swiglu_oai, gate, up, 5, out);
    CHECK(out[0] == out[1]);
    CHECK(out[2] == doctest::Approx(4 * out[0]));
    CHECK(out[3] == doctest::Approx(-3 * out[0]));
    CHECK(std::fabs(out[4]) < 1e-35f);
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

TEST_CASE("softmax_weights are those of integer_math, to the bit") {
  for_each_target([](const Kernels& kernels) {
    for (const float top : {0.0f, 7.25f, -3e-30f, 1e30f, kInfinity}) {
      std::vector<float> x = random_floats(512, 60.0f, 21);
      for (size_t i = 0; i < x.size(); ++i) x[i] = top - std::fabs(x[i]) * (i % 3 == 0 ? 0.01f : 1);
      x[0] = top;
      x[1] = -kInfinity;
      x[2] = std::numeric_limits<float>::lowest();
      x[3] = std::numeric_limits<float>::quiet_NaN();
      std::vector<uint64_t> bits(x.size()), weights(x.size());
      kernels.softmax_weights(x.data(), x.size(), top, bits.data(), weights.data());
      for (size_t i = 0; i < x.size(); ++i) {
        CAPTURE(top);
        CAPTURE(x[i]);
        CHECK(bits[i] == to_bits(double{top} - double{x[i]}));
        CHECK(weights[i] == exp2_negative(bits[i]));
      }
    }
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

TEST_CASE("l2_norm") {
  for_each_target([](const Kernels& kernels) {
    for (size_t n : kSizes) {
      for (const float epsilon : {1e-6f, 1000.0f}) {  // as in models, and one that counts
        CAPTURE(n);
        CAPTURE(epsilon);
        const std::vector<float> x = random_floats(n, 5.0f, 6);
        std::vector<float> out(n);
        recurrent_kernels(kernels).l2_norm(x.data(), n, epsilon, out.data());
        double squares = 0;
        for (float v : x) squares += static_cast<double>(v) * v;
        const double norm = std::sqrt(squares + double{epsilon});
        for (size_t i = 0; i < n; ++i) {
          // As rms_norm.
          const double tolerance = (static_cast<double>(n) / 4 + 3) * kUlp * std::fabs(x[i] / norm);
          CHECK(std::fabs(out[i] - x[i] / norm) <= tolerance);
        }
        std::vector<float> in_place = x;
        recurrent_kernels(kernels).l2_norm(in_place.data(), n, epsilon, in_place.data());
        CHECK(in_place == out);
      }
    }
    std::vector<float> zeros(7);
    recurrent_kernels(kernels).l2_norm(zeros.data(), 7, 1e-6f, zeros.data());
    CHECK(zeros == std::vector<float>(7));
  });
}

TEST_CASE("layer_norm") {
  for_each_target([](const Kernels& kernels) {
    for (size_t n : {size_t{1}, size_t{3}, size_t{17}, size_t{64}, size_t{100}, size_t{2051}}) {
      for (const float offset : {0.0f, 3.0f, -100.0f}) {  // a mean far above the deviation too
        for (int with = 0; with < 4; ++with) {
          CAPTURE(n);
          CAPTURE(offset);
          CAPTURE(with);
          std::vector<float> x = random_floats(n, 5.0f, 6);
          for (float& v : x) v += offset;
          const std::vector<float> weight = random_floats(n, 2.0f, 7);
          const std::vector<float> bias = random_floats(n, 1.0f, 8);
          const float* w = with % 2 != 0 ? weight.data() : nullptr;
          const float* b = with / 2 != 0 ? bias.data() : nullptr;
          std::vector<float> out(n);
          kernels.layer_norm(x.data(), w, b, n, 1e-5f, out.data());
          double sum = 0, size = 0, squares = 0;
          for (float v : x) sum += v, size += std::fabs(v);
          const double count = static_cast<double>(n), mean = sum / count;
          for (float v : x) squares += (v - mean) * (v - mean);
          const double deviation = std::sqrt(squares / count + 1e-5);
          // The mean: n half-ulps of what is added up, and a division. It shifts every value, and
          // their variance by its square, which is less. The rest as rms_norm, and two roundings.
          const double mean_error = (count / 2 + 1) * kUlp * size / count;
          for (size_t i = 0; i < n; ++i) {
            const double normal = (x[i] - mean) / deviation, scaled = normal * (w ? w[i] : 1.0f);
            const double expected = scaled + (b ? b[i] : 0.0f);
            const double tolerance =
                (mean_error / deviation) * (1 + std::fabs(normal)) * (w ? std::fabs(w[i]) : 1.0f) +
                (count / 4 + 4) * kUlp * std::fabs(scaled) + kUlp * std::fabs(expected);
            CHECK(std::fabs(out[i] - expected) <= tolerance);
          }
          std::vector<float> in_place = x;
          kernels.layer_norm(in_place.data(), w, b, n, 1e-5f, in_place.data());
          CHECK(in_place == out);
        }
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

TEST_CASE("rope of the last elements of every head") {
  for_each_target([](const Kernels& kernels) {
    const size_t heads = 3, head = 41, rot = 18;
    const std::vector<float> x = random_floats(heads * head, 4.0f, 8);
    const std::vector<float> cos_sin = random_floats(rot, 1.0f, 9);
    for (const RopePairs pairs : {RopePairs::adjacent, RopePairs::halves}) {
      std::vector<float> out = x;
      kernels.rope(out.data() + head - rot, heads, head, rot, pairs, cos_sin.data());
      for (size_t h = 0; h < heads; ++h) {
        std::vector<float> part(&x[(h + 1) * head - rot], &x[(h + 1) * head - rot] + rot);
        kernels.rope(part.data(), 1, rot, rot, pairs, cos_sin.data());
        for (size_t i = 0; i < head; ++i) {
          CHECK(out[h * head + i] == (i < head - rot ? x[h * head + i] : part[i - (head - rot)]));
        }
      }
    }
  });
}
