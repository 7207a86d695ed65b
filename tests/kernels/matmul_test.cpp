// The matmul kernels of every SIMD target that this CPU runs, against a naive reference in double.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <iterator>
#include <limits>
#include <utility>
#include <vector>

#include "inlay/kernels/kernels.hpp"
#include "support/matmul_problem.hpp"

using namespace inlay_test;

TEST_SUITE("matmul") {
  TEST_CASE("every quantized type, random blocks and columns") {
    Random random(1);
    for (const Type& type : quantized_types()) {
      const size_t block = inlay::tensor_type_info(type.id).block_elements;
      size_t turn = 0;
      for (size_t n : kColumnCounts) {
        const size_t rows = std::vector<size_t>{1, 16, 19, 37, 53}[turn % 5];
        const size_t blocks = std::vector<size_t>{1, 3, 17, 20}[turn % 4];
        ++turn;
        Problem p =
            make_problem(type.id, rows, block < 256 ? blocks * block : (blocks % 5 + 1) * 256, n);
        random_weights(type, random, &p);
        random_columns(random, &p);
        const std::vector<Reference> expected = multiply_naively(p);
        for_targets(p, [&](const detail::Kernels& kernels) {
          check_near(multiply(kernels, p, 16), expected);
        });
      }
    }
  }

  TEST_CASE("more columns than one decoding of the weights serves") {
    Random random(2);
    for (const Type& type : quantized_types()) {
      Problem p = make_problem(type.id, 33, 512, 131);
      random_weights(type, random, &p);
      random_columns(random, &p);
      const std::vector<Reference> expected = multiply_naively(p);
      for_targets(p, [&](const detail::Kernels& kernels) {
        check_near(multiply(kernels, p, 64), expected);
      });
    }
  }

  TEST_CASE("integer sums are exact") {
    Random random(3);
    for (const Type& type : quantized_types()) {
      for (size_t n : kColumnCounts) {
        Problem p = make_problem(type.id, 35, type.id == TensorType::q6_k ? 256 : 512, n);
        exact_problem(type, random, &p);
        const std::vector<Reference> expected = multiply_naively(p);
        for_targets(p, [&](const detail::Kernels& kernels) {
          CHECK(count_inexact(multiply(kernels, p, 32), expected) == 0);
        });
      }
    }
  }

  TEST_CASE("nothing saturates: extreme weights and activations") {
    Random random(4);
    for (const Type& type : quantized_types()) {
      for (int fill : {0x00, 0x7f, 0x80, 0xff, 0x0f, 0xf0}) {
        for (size_t n : std::initializer_list<size_t>{1, 5, 12}) {
          Problem p = make_problem(type.id, 17, 512, n);
          extreme_problem(type, fill, random, &p);
          const std::vector<Reference> expected = multiply_naively(p);
          for_targets(p, [&](const detail::Kernels& kernels) {
            check_near(multiply(kernels, p, 16), expected);
          });
        }
      }
    }
  }

  TEST_CASE("each weight by itself is what dequantize_row gives") {
    Random random(5);
    for (const Type& type : quantized_types()) {
      for (size_t n : std::initializer_list<size_t>{1, 6, 256}) {
        Problem p = make_problem(type.id, 18, 256, n);
        random_weights(type, random, &p);
        for (size_t first = 0; first < 256; first += n) {  // column c selects weight first + c
          p.x.assign(n * p.x_stride(), 0.0f);
          for (size_t c = 0; c < n && first + c < 256; ++c)
            p.x[c * p.x_stride() + first + c] = 1.0f;
          const std::vector<Reference> expected = multiply_naively(p);
          for_targets(p, [&](const detail::Kernels& kernels) {
            check_near(multiply(kernels, p, 32), expected);
          });
          if (n == 1) first += 36;  // a sample: groups and lanes of all kinds
        }
      }
    }
  }

  TEST_CASE("no further from the product of floats than 8 bits for 32 activations") {
    // An activation is off by at most half a step, 1/254 of the largest of its 32. That of
    // llama.cpp is never less: it has the same 8 bits for 32 values, or for 256.
    Random random(14);
    for (const Type& type : quantized_types()) {
      for (size_t n : std::initializer_list<size_t>{1, 5}) {
        Problem p = make_problem(type.id, 35, 512, n);
        random_weights(type, random, &p);
        random_columns(random, &p);
        std::vector<Reference> expected = multiply_naively(p);  // its bound is that of float sums
        std::vector<float> w(p.k);
        for (size_t row = 0; row < p.rows; ++row) {
          REQUIRE(detail::dequantize_row(p.type, p.w.data() + row * p.row_bytes(), p.k, w.data()));
          for (size_t column = 0; column < n; ++column) {
            const float* x = p.x.data() + column * p.x_stride();
            Reference& r = expected[column * p.rows + row];
            r.value = 0;
            for (size_t k0 = 0; k0 < p.k; k0 += 32) {
              double largest = 0, weights = 0;
              for (size_t k = k0; k < k0 + 32; ++k) {
                r.value += double{w[k]} * double{x[k]};
                weights += std::fabs(double{w[k]});
                largest = std::max(largest, std::fabs(double{x[k]}));
              }
              r.bound += weights * largest / 254 * (1 + 0x1p-15);  // the step is rounded itself
            }
          }
        }
        for_targets(p, [&](const detail::Kernels& kernels) {
          check_near(multiply(kernels, p, 16), expected);
        });
      }
    }
  }

  TEST_CASE("rows so long that scratch memory grows with them; steps far apart") {
    Random random(15);
    for (TensorType id : {TensorType::tq1_0, TensorType::q2_k, TensorType::q3_k, TensorType::q4_k,
                          TensorType::q5_k, TensorType::q6_k, TensorType::iq4_xs}) {
      for (size_t n : std::initializer_list<size_t>{1, 2}) {
        Problem p = make_problem(id, 21, 256 * 480, n);
        REQUIRE(detail::matmul_scratch_bytes(p.k) > detail::matmul_scratch_bytes(256));
        random_weights(*quantized_type(id), random, &p);
        random_columns(random, &p);
        for (size_t i = 0; i < p.x.size(); ++i) p.x[i] *= i / 32 % 3 == 0 ? 0x1p-9f : 1.0f;
        const std::vector<Reference> expected = multiply_naively(p);
        for_targets(p, [&](const detail::Kernels& kernels) {
          check_near(multiply(kernels, p, 16), expected);
        });
      }
    }
  }

  TEST_CASE("plain floats, any k") {
    Random random(6);
    for (TensorType type : {TensorType::f32, TensorType::f16, TensorType::bf16}) {
      for (size_t k : std::initializer_list<size_t>{1, 5, 31, 64, 100, 129, 777}) {
        for (size_t n : std::initializer_list<size_t>{1, 2, 3, 4, 5, 9, 16, 33, 46, 263}) {
          if (n > 256 && k != 129) continue;
          Problem p = make_problem(type, (k + n) % 40 + 1, k, n);
          random_plain_weights(random, &p);
          random_columns(random, &p);
          const std::vector<Reference> expected = multiply_naively(p);
          for_targets(p, [&](const detail::Kernels& kernels) {
            check_near(multiply(kernels, p, 16), expected);
            check_near(multiply(kernels, p, 32, false, true), expected);  // by tiles
          });
        }
      }
    }
  }

  TEST_CASE("a row's result does not depend on the task it is in, nor on what is prefetched") {
    Random random(7);
    for (TensorType id : {TensorType::q4_0, TensorType::q4_k, TensorType::q6_k, TensorType::q8_0,
                          TensorType::tq1_0, TensorType::f16}) {
      for (size_t n : kColumnCounts) {
        Problem p = make_problem(id, 147, 512, n);
        if (const Type* type = quantized_type(id)) {
          random_weights(*type, random, &p);
        } else {
          p.w.resize(p.rows * p.row_bytes());
          for (size_t i = 0; i < p.w.size(); i += 2)
            put_half(&p.w[i], uniform(random, -1.0f, 1.0f));
        }
        random_columns(random, &p);
        for_targets(p, [&](const detail::Kernels& kernels) {
          const std::vector<float> whole = multiply(kernels, p, 160);
          for (size_t task : std::initializer_list<size_t>{16, 32, 48, 112}) {
            p.ahead = static_cast<uint16_t>(task - 16);
            p.rows_ahead = static_cast<uint16_t>(task * 512);
            const std::vector<float> parts = multiply(kernels, p, task);
            CHECK(std::memcmp(parts.data(), whole.data(), whole.size() * sizeof(float)) == 0);
          }
        });
      }
    }
  }

  TEST_CASE("nor on the columns that its task leaves out") {
    Random random(17);
    for (TensorType id : {TensorType::q4_0, TensorType::q4_k, TensorType::f16}) {
      Problem p = make_problem(id, 37, 256, 2 * detail::kLeastTaskColumns + 7);
      if (const Type* type = quantized_type(id)) {
        random_weights(*type, random, &p);
      } else {
        p.w.assign(p.rows * p.row_bytes(), 0x2c);
      }
      random_columns(random, &p);
      for_targets(p, [&](const detail::Kernels& kernels) {
        const std::vector<float> whole = multiply(kernels, p, 48);
        const std::vector<float> parts =
            multiply(kernels, p, 48, false, false, nullptr, detail::kLeastTaskColumns + 4);
        CHECK(std::memcmp(parts.data(), whole.data(), whole.size() * sizeof(float)) == 0);
      });
    }
  }

  TEST_CASE("with tiles, a column's result does not depend on the columns beside it") {
    Random random(13);
    std::vector<Type> types = quantized_types();
    types.push_back({TensorType::f16, {0}, 0, 0});
    for (const Type& type : types) {
      Problem all = make_problem(type.id, 37, 512, 9);
      random_weights(type, random, &all);
      random_columns(random, &all);
      for (const detail::Kernels* kernels : targets()) {
        const std::vector<float> together = multiply(*kernels, all, 16, false, true);
        for (const auto& part : {std::pair<size_t, size_t>{0, 1}, {1, 3}, {4, 5}, {8, 1}}) {
          const size_t first = part.first, n = part.second;
          Problem some = all;
          some.n = n;
          some.x.assign(all.x.begin() + static_cast<ptrdiff_t>(first * all.x_stride()),
                        all.x.begin() + static_cast<ptrdiff_t>((first + n) * all.x_stride()));
          const std::vector<float> alone = multiply(*kernels, some, 16, false, true);
          CAPTURE(name_of(type.id));
          CAPTURE(first);
          CHECK(std::memcmp(alone.data(), together.data() + first * all.rows,
                            alone.size() * sizeof(float)) == 0);
        }
      }
    }
  }

  TEST_CASE("scale, bias, and adding to what is there") {
    Random random(8);
    for (TensorType id : {TensorType::q4_0, TensorType::q4_k, TensorType::f32}) {
      for (size_t n : std::initializer_list<size_t>{1, 3, 6, 17}) {
        Problem p = make_problem(id, 21, 256, n);
        if (const Type* type = quantized_type(id)) {
          random_weights(*type, random, &p);
        } else {
          p.w.assign(p.rows * p.row_bytes(), 0x3c);
        }
        random_columns(random, &p);
        for (bool bias : {false, true}) {
          p.scale = bias ? -1.75f : 1.0f;
          p.bias.assign(bias ? p.rows : 0, 0.0f);
          for (float& b : p.bias) b = uniform(random, -9.0f, 9.0f);
          const std::vector<Reference> expected = multiply_naively(p);
          for_targets(p, [&](const detail::Kernels& kernels) {
            check_near(multiply(kernels, p, 32), expected);
            check_near(multiply(kernels, p, 32, true), expected, 3.0);
          });
        }
      }
    }
  }

  TEST_CASE("activations without a finite scale do no harm") {
    // What comes out is not specified; the next column must not be touched by it.
    Random random(9);
    const Type& type = quantized_types()[0];
    for (size_t n : std::initializer_list<size_t>{2, 6, 16}) {
      Problem p = make_problem(type.id, 16, 64, n);
      random_weights(type, random, &p);
      random_columns(random, &p);
      const float inf = std::numeric_limits<float>::infinity();
      for (size_t i = 0; i < 32; ++i) p.x[i] = i % 3 == 0 ? inf : std::nanf("");
      for (size_t i = 0; i < p.k; ++i) p.x[p.x_stride() + i] = 0.0f;
      for_targets(p, [&](const detail::Kernels& kernels) {
        const std::vector<float> got = multiply(kernels, p, 16);
        for (size_t row = 0; row < p.rows; ++row) CHECK(got[p.rows + row] == 0.0f);
      });
    }
  }

  TEST_CASE("targets: the best first, the baseline always") {
    const std::vector<const detail::Kernels*> all = targets();
    REQUIRE(!all.empty());
    const std::string kBestFirst[] = {
        "AVX3_AMX",  "AVX3_DL",  "AVX3", "AVX2_VNNI",        "AVX2", "SSE4", "SSE2",
        "NEON_I8MM", "NEON_DOT", "NEON", "NEON_WITHOUT_AES", "WASM"};
    size_t at = 0;
    for (const detail::Kernels* kernels : all) {
      CAPTURE(std::string(kernels->name));
      while (at < std::size(kBestFirst) && kBestFirst[at] != kernels->name) ++at;
      CHECK(at++ < std::size(kBestFirst));
    }
    // Whoever knows the processor says what it must come to: .ci/emulated does.
    if (const char* expected = std::getenv("INLAY_EXPECTED_TARGETS")) {
      std::string names;
      for (const detail::Kernels* kernels : all) names += std::string(" ") + kernels->name;
      CHECK(names == std::string(" ") + expected);
    }
    CHECK(detail::pick_kernels(-1) == all.front());
    CHECK(detail::pick_kernels(0) == all.back());
    for (const detail::Kernels* kernels : all)
      CHECK(detail::pick_kernels(kernels->target) == kernels);
  }

  TEST_CASE("memory for a batch is enough for smaller ones") {
    for (size_t k : std::initializer_list<size_t>{1, 32, 96, 256, 2048}) {
      size_t before = 0;
      for (size_t n = 1; n < 40; ++n) {
        CHECK(detail::quantized_bytes(n, k) >= before);
        CHECK(detail::quantized_bytes(n, k) % 64 == 0);
        before = detail::quantized_bytes(n, k);
      }
    }
  }
}
