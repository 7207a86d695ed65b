// Products on AMX, where this CPU has it: against the product of floats, with the bound of what is
// rounded to bfloat16, or to integers of 16 bits.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <utility>
#include <vector>

#include "inlay/kernels/kernels.hpp"
#include "inlay/kernels/targets.hpp"
#include "support/matmul_problem.hpp"

using namespace inlay_test;

namespace {

// [columns, rows, k] such that tiles of 16 are whole or not, of blocks one or several.
struct Shape {
  size_t n, rows, blocks;
};
const Shape kShapes[] = {{40, 16, 1},  {48, 33, 2},  {49, 1, 3},   {63, 48, 20},
                         {64, 130, 1}, {65, 37, 17}, {257, 32, 4}, {300, 150, 1}};
const Shape kHalfShapes[] = {
    {14, 33, 1}, {16, 160, 1}, {17, 1, 1}, {39, 48, 1}};  // of F16 and BF16

// Where it is not, the references need not be computed either.
bool has_amx() { return targets().front()->target == INLAY_AVX3_AMX; }

template <class F>
void with_amx(F f) {
  for (const detail::Kernels* kernels : targets()) {
    if (kernels->target != INLAY_AVX3_AMX) continue;
    for (const Shape& shape : kShapes) REQUIRE(shape.n >= kernels->batch_columns);
    for (const Shape& shape : kHalfShapes) REQUIRE(shape.n >= kernels->halves_columns);
    f(*kernels);
  }
}

// The product of floats.
//
// Of quantized types, weights and activations are rounded to the nearest of 8 bits, off by 2^-9 of
// a value each. Each of k / 2 additions of a pair rounds by 2^-24 of a sum at most, twice. The
// instruction takes subnormal sums as zeros.
//
// Of F16 and BF16, both are rounded to steps of 1 / 32639 of the largest of 512 values, off by half
// of one, and by 2^-23 of 32639 for the inverse of a step. The products of digits are exact; as
// floats, they are rounded three times in a block, which is added to those before it.
constexpr size_t kDigitBlock = 512;

std::vector<Reference> multiply_floats(const Problem& p) {
  std::vector<Reference> out(p.n * p.rows);
  const Type* type = quantized_type(p.type);
  const auto info = inlay::tensor_type_info(p.type);
  const auto steps_of = [&](const float* v) {
    std::vector<double> steps;
    for (size_t first = 0; first < p.k; first += kDigitBlock) {
      float largest = 0;
      for (size_t i = first; i < std::min(p.k, first + kDigitBlock); ++i)
        largest = std::max(largest, std::fabs(v[i]));
      steps.push_back(static_cast<double>(largest) / 32639);
    }
    return steps;
  };
  std::vector<std::vector<double>> x_steps(p.n);
  for (size_t column = 0; type == nullptr && column < p.n; ++column)
    x_steps[column] = steps_of(&p.x[column * p.x_stride()]);
  std::vector<float> w(p.k);
  for (size_t row = 0; row < p.rows; ++row) {
    const uint8_t* bytes = p.w.data() + row * p.row_bytes();
    REQUIRE(detail::dequantize_row(p.type, bytes, p.k, w.data()));
    std::vector<double> w_steps, scale;
    if (type == nullptr) w_steps = steps_of(w.data());
    for (size_t i = 0; type != nullptr && i < p.k; i += info.block_elements) {
      const uint8_t* block = bytes + i / info.block_elements * info.block_bytes;
      scale.insert(scale.end(), info.block_elements,
                   largest_scale(*type, block) * type->largest_sub_scale * 256);
    }
    for (size_t column = 0; column < p.n; ++column) {
      Reference& r = out[column * p.rows + row];
      const float* x = &p.x[column * p.x_stride()];
      double terms = 0, scales = 0;
      for (size_t i = 0; i < p.k; ++i) {
        const double a = std::fabs(static_cast<double>(w[i]));
        const double b = std::fabs(static_cast<double>(x[i]));
        r.value += static_cast<double>(w[i]) * static_cast<double>(x[i]);
        // scale * u and what is taken from it are rounded as floats.
        if (type != nullptr) {
          terms += a * b;
          scales += scale[i] * b;
          continue;
        }
        const double w_step = w_steps[i / kDigitBlock], x_step = x_steps[column][i / kDigitBlock];
        r.bound += 0.51 * (a * x_step + b * w_step + 0.51 * w_step * x_step);
        terms += (a + 128 * w_step) * (b + 128 * x_step);
      }
      if (type != nullptr) {
        r.bound += terms * (2 * 0x1p-9 + 0x1p-18 + static_cast<double>(p.k) * 0x1p-24) +
                   scales * 0x1p-23 + static_cast<double>(p.k) * 0x1p-126;
      } else {
        const double blocks = static_cast<double>((p.k + kDigitBlock - 1) / kDigitBlock);
        r.bound += terms * (8 + blocks) * 0x1p-24;
      }
      r.value *= static_cast<double>(p.scale);
      r.bound *= std::fabs(static_cast<double>(p.scale));
      if (!p.bias.empty()) {
        r.value += static_cast<double>(p.bias[row]);
        r.bound += (std::fabs(r.value) + std::fabs(static_cast<double>(p.bias[row]))) * 0x1p-23;
      }
    }
  }
  return out;
}

}  // namespace

TEST_SUITE("amx") {
  TEST_CASE("every quantized type, as the file has it and packed") {
    if (!has_amx()) return;
    Random random(1);
    for (const Type& type : quantized_types()) {
      const size_t block = inlay::tensor_type_info(type.id).block_elements;
      for (const Shape& shape : kShapes) {
        const size_t k = block < 256 ? shape.blocks * block : (shape.blocks % 5 + 1) * 256;
        Problem p = make_problem(type.id, shape.rows, k, shape.n);
        random_weights(type, random, &p);
        random_columns(random, &p);
        p.scale = shape.n % 2 == 0 ? 1.0f : -2.5f;
        if (shape.n % 3 == 0) {
          for (size_t i = 0; i < p.rows; ++i) p.bias.push_back(uniform(random, -9.0f, 9.0f));
        }
        const size_t bytes = detail::packed_bytes(type.id, p.rows, p.k);
        const Aligned packed = aligned(bytes + 1);
        if (bytes != 0) detail::pack_panels(type.id, p.w.data(), p.k, 0, p.rows, packed.get());
        const std::vector<Reference> expected = multiply_floats(p);
        with_amx([&](const detail::Kernels& kernels) {
          CAPTURE(name_of(type.id));
          CAPTURE(shape.n);
          CAPTURE(shape.rows);
          CAPTURE(k);
          const std::vector<float> mapped = multiply(kernels, p, 32);
          check_near(mapped, expected);
          CHECK(multiply(kernels, p, 160) == mapped);  // whatever the tasks' rows are
          CHECK(multiply(kernels, p, 16, false, false, nullptr, 64) == mapped);  // or columns
          if (bytes != 0) CHECK(multiply(kernels, p, 64, false, false, packed.get()) == mapped);
          check_near(multiply(kernels, p, 48, true), expected, 3.0);
        });
      }
    }
  }

  TEST_CASE("what 8 bits hold is exact") {
    if (!has_amx()) return;
    Random random(2);
    for (const Type& type : quantized_types()) {
      if (type.largest_sub_scale > 1) continue;
      for (size_t n : std::initializer_list<size_t>{40, 77}) {
        Problem p = make_problem(type.id, 35, 512, n);
        exact_problem(type, random, &p);
        const std::vector<Reference> expected = multiply_floats(p);
        with_amx([&](const detail::Kernels& kernels) {
          CAPTURE(name_of(type.id));
          CHECK(count_inexact(multiply(kernels, p, 32), expected) == 0);
        });
      }
    }
  }

  TEST_CASE("plain floats, any k") {
    if (!has_amx()) return;
    Random random(3);
    std::vector<Shape> shapes(std::begin(kShapes), std::end(kShapes));
    shapes.insert(shapes.end(), std::begin(kHalfShapes), std::end(kHalfShapes));
    for (TensorType type : {TensorType::f16, TensorType::bf16}) {
      for (size_t k : std::initializer_list<size_t>{1, 63, 64, 100, 128, 511, 513, 1600, 8200}) {
        for (const Shape& shape : shapes) {
          if (k > 1024 && shape.n * shape.rows > 4096) continue;
          Problem p = make_problem(type, shape.rows, k, shape.n);
          random_plain_weights(random, &p);
          random_columns(random, &p);
          const std::vector<Reference> expected = multiply_floats(p);
          with_amx([&](const detail::Kernels& kernels) {
            CAPTURE(name_of(type));
            CAPTURE(shape.n);
            CAPTURE(k);
            const std::vector<float> got = multiply(kernels, p, 32);
            check_near(got, expected);
            CHECK(multiply(kernels, p, 160) == got);
            if (shape.n >= 64) CHECK(multiply(kernels, p, 32, false, false, nullptr, 64) == got);
          });
        }
      }
    }
  }

  // Others round activations to F16 and multiply them with the weights as they are.
  TEST_CASE("no further from the product of floats than activations in F16 are") {
    if (!has_amx()) return;
    Random random(5);
    std::normal_distribution<float> normal;
    for (float outlier : {0.0f, 30.0f, 1000.0f}) {  // one in 512, so many times as large as usual
      Problem p = make_problem(TensorType::f16, 64, 2048, 64);
      p.w.resize(p.rows * p.row_bytes());
      for (size_t i = 0; i < p.rows * p.k; ++i) put_half(&p.w[i * 2], normal(random));
      p.x.resize(p.n * p.x_stride());
      for (float& x : p.x) x = normal(random);
      for (size_t i = 0; outlier > 0 && i + 512 < p.x.size(); i += 512)
        p.x[i + random() % 512] *= outlier;
      const std::vector<Reference> exact = multiply_floats(p);
      Problem in_halves = p;
      for (float& x : in_halves.x) x = detail::half_to_float(detail::float_to_half(x));
      const std::vector<Reference> others = multiply_floats(in_halves);
      with_amx([&](const detail::Kernels& kernels) {
        const std::vector<float> got = multiply(kernels, p, 32);
        double error = 0, of_others = 0;
        for (size_t i = 0; i < got.size(); ++i) {
          error += std::pow(static_cast<double>(got[i]) - exact[i].value, 2);
          of_others += std::pow(others[i].value - exact[i].value, 2);
        }
        CAPTURE(outlier);
        CHECK(error <= of_others * (outlier == 0 ? 0.0625 : 1));
      });
    }
  }

  TEST_CASE("zeros, the smallest floats, and what is not finite, in F16") {
    if (!has_amx()) return;
    Problem p = make_problem(TensorType::f16, 32, 1024, 48);
    p.w.resize(p.rows * p.row_bytes());
    for (size_t i = 0; i < p.rows * p.k; ++i) put_half(&p.w[i * 2], i / p.k == 1 ? 0.0f : 1.0f);
    with_amx([&](const detail::Kernels& kernels) {
      for (const float value : {0.0f, 1e-40f, INFINITY, NAN}) {
        CAPTURE(value);
        p.x.assign(p.n * p.x_stride(), 0.0f);
        p.x[3 * p.x_stride() + 700] = value;  // of column 3
        const std::vector<float> got = multiply(kernels, p, 32);
        for (size_t i = 0; i < got.size(); ++i) {
          if (i / p.rows != 3) {
            CHECK(got[i] == 0.0f);
          } else if (std::isfinite(value)) {
            CHECK(std::fabs(got[i]) <= value);
          } else {
            CHECK(!std::isfinite(got[i]));
          }
        }
      }
    });
  }

  TEST_CASE("results that must not depend on the batch are those without it") {
    if (!has_amx()) return;
    Random random(4);
    for (const Type& type : quantized_types()) {
      Problem p = make_problem(type.id, 40, 512, 50);
      random_weights(type, random, &p);
      random_columns(random, &p);
      with_amx([&](const detail::Kernels& kernels) {
        const detail::Kernels* without = detail::pick_kernels(~INLAY_AVX3_AMX);
        REQUIRE(without->target != INLAY_AVX3_AMX);
        CHECK(multiply(kernels, p, 32, false, true) == multiply(*without, p, 32, false, true));
      });
    }
  }
}
