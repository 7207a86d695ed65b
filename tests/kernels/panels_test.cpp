// Products with packed weights, on every SIMD target that this CPU runs, against a naive reference
// in double that reads the same weights as the file has them.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <vector>

#include "inlay/core/memory.hpp"
#include "inlay/kernels/kernels.hpp"
#include "support/matmul_problem.hpp"

using namespace inlay_test;

namespace {

size_t packed_bytes(const Problem& p) { return detail::packed_bytes(p.type, p.rows, p.k); }

// As threads would: rows in tasks of `task`.
Aligned pack(const Problem& p, size_t task) {
  Aligned out = aligned(packed_bytes(p));
  for (size_t row = 0; row < p.rows; row += task) {
    detail::pack_panels(p.type, p.w.data(), p.k, row, std::min(p.rows, row + task), out.get());
  }
  return out;
}

// Calls `f` for each target that this CPU runs and that takes packed weights.
template <class F>
void for_packed_targets(const Problem& p, F&& f) {
  for_targets(p, [&](const detail::Kernels& kernels) {
    if (kernels.takes_packed) f(kernels);
  });
}

std::vector<float> multiply_packed(const detail::Kernels& kernels, const Problem& p, size_t task,
                                   bool add = false) {
  return multiply(kernels, p, task, add, false, pack(p, 32).get());
}

}  // namespace

TEST_SUITE("panels") {
  TEST_CASE("as many bytes as in the file, rows rounded up to whole panels") {
    for (const Type& type : packed_types()) {
      const size_t block = inlay::tensor_type_info(type.id).block_elements;
      for (size_t rows : std::initializer_list<size_t>{1, 16, 37}) {
        const Problem p = make_problem(type.id, rows, block * 11, 1);
        CHECK(packed_bytes(p) == (rows + 15) / 16 * 16 * p.row_bytes());
      }
    }
    for (TensorType type :
         {TensorType::f32, TensorType::f16, TensorType::bf16, TensorType::mxfp4}) {
      CHECK(detail::packed_bytes(type, 64, 256) == 0);
    }
    CHECK(detail::packed_bytes(TensorType::q4_k, 64, 128) == 0);
  }

  TEST_CASE("the same bytes in any tasks; what is no row is zeros") {
    Random random(1);
    for (const Type& type : packed_types()) {
      Problem p = make_problem(type.id, 53, type.id == TensorType::q4_0 ? 352 : 512, 1);
      random_weights(type, random, &p);
      const Aligned expected = pack(p, 64);
      for (size_t task : std::initializer_list<size_t>{16, 48, 64}) {
        const Aligned got = pack(p, task);
        CHECK(std::memcmp(got.get(), expected.get(), packed_bytes(p)) == 0);
      }
      // The rows that are not there, as ones of zeros; of Q8_0, to which panels add 128, as ones of
      // -128 times zero.
      Problem filled = p;
      filled.rows = 64;
      filled.w.resize(filled.rows * filled.row_bytes());
      for (size_t at = p.rows * p.row_bytes(); type.id == TensorType::q8_0 && at < filled.w.size();
           at += 34) {
        std::memset(&filled.w[at + 2], 0x80, 32);
      }
      const Aligned whole = pack(filled, 64);
      CHECK(std::memcmp(whole.get(), expected.get(), packed_bytes(p)) == 0);
    }
  }

  TEST_CASE("every quantized type, random blocks and columns") {
    Random random(2);
    for (const Type& type : packed_types()) {
      const size_t block = inlay::tensor_type_info(type.id).block_elements;
      size_t turn = 0;
      for (size_t n : kColumnCounts) {
        const size_t rows = std::vector<size_t>{1, 16, 19, 37, 149}[turn % 5];
        const size_t blocks = std::vector<size_t>{1, 3, 17, 24}[turn % 4];
        ++turn;
        Problem p =
            make_problem(type.id, rows, block == 32 ? blocks * 32 : (blocks % 5 + 1) * 256, n);
        random_weights(type, random, &p);
        random_columns(random, &p);
        const std::vector<Reference> expected = multiply_naively(p);
        for (uint16_t panel_columns : std::initializer_list<uint16_t>{1, 6, 16}) {  // else: tiles
          p.panel_columns = panel_columns;
          for_packed_targets(p, [&](const detail::Kernels& kernels) {
            check_near(multiply_packed(kernels, p, 64), expected);
          });
        }
      }
    }
  }

  TEST_CASE("integer sums are exact") {
    // As in the test of the same name for weights as they lie.
    Random random(3);
    for (const Type& type : packed_types()) {
      for (size_t n : kColumnCounts) {
        Problem p = make_problem(type.id, 35, type.id == TensorType::q6_k ? 256 : 512, n);
        exact_problem(type, random, &p);
        const std::vector<Reference> expected = multiply_naively(p);
        for (uint16_t panel_columns : std::initializer_list<uint16_t>{1, 6, 16}) {
          p.panel_columns = panel_columns;
          for_packed_targets(p, [&](const detail::Kernels& kernels) {
            CHECK(count_inexact(multiply_packed(kernels, p, 32), expected) == 0);
          });
        }
      }
    }
  }

  TEST_CASE("nothing saturates: extreme weights and activations") {
    Random random(4);
    for (const Type& type : packed_types()) {
      for (int fill : {0x00, 0x7f, 0x80, 0xff, 0x0f, 0xf0}) {
        for (size_t n : std::initializer_list<size_t>{1, 3, 5, 12}) {
          Problem p = make_problem(type.id, 17, 512, n);
          extreme_problem(type, fill, random, &p);
          const std::vector<Reference> expected = multiply_naively(p);
          for_packed_targets(p, [&](const detail::Kernels& kernels) {
            check_near(multiply_packed(kernels, p, 16), expected);
          });
        }
      }
    }
  }

  TEST_CASE("each weight by itself is what dequantize_row gives") {
    Random random(5);
    for (const Type& type : packed_types()) {
      Problem p = make_problem(type.id, 18, 256, 256);
      random_weights(type, random, &p);
      p.x.assign(p.n * p.x_stride(), 0.0f);
      for (size_t c = 0; c < p.n; ++c) p.x[c * p.x_stride() + c] = 1.0f;
      const std::vector<Reference> expected = multiply_naively(p);
      for_packed_targets(p, [&](const detail::Kernels& kernels) {
        check_near(multiply_packed(kernels, p, 32), expected);
      });
      Problem one = p;  // a sample: groups and lanes of all kinds
      one.n = 1;
      for (size_t c = 0; c < 256; c += 37) {
        one.x.assign(one.x_stride(), 0.0f);
        one.x[c] = 1.0f;
        const std::vector<Reference> column(
            expected.begin() + static_cast<ptrdiff_t>(c * p.rows),
            expected.begin() + static_cast<ptrdiff_t>((c + 1) * p.rows));
        for_packed_targets(one, [&](const detail::Kernels& kernels) {
          check_near(multiply_packed(kernels, one, 32), column);
        });
      }
    }
  }

  TEST_CASE("a row's result does not depend on the task it is in") {
    Random random(6);
    for (const Type& type : packed_types()) {
      for (size_t n : std::initializer_list<size_t>{1, 2, 3, 4, 9}) {
        Problem p = make_problem(type.id, 147, 512, n);
        random_weights(type, random, &p);
        random_columns(random, &p);
        for_packed_targets(p, [&](const detail::Kernels& kernels) {
          const std::vector<float> whole = multiply_packed(kernels, p, 160);
          for (size_t task : std::initializer_list<size_t>{16, 48, 112}) {
            const std::vector<float> parts = multiply_packed(kernels, p, task);
            CHECK(std::memcmp(parts.data(), whole.data(), whole.size() * sizeof(float)) == 0);
          }
        });
      }
    }
  }

  TEST_CASE("panels one after another, or several in lockstep, prefetched or not: the same bits") {
    Random random(8);
    for (const Type& type : packed_types()) {
      for (size_t n : std::initializer_list<size_t>{1, 2, 5, 16}) {
        Problem p = make_problem(type.id, 147, 512, n);
        random_weights(type, random, &p);
        random_columns(random, &p);
        for_packed_targets(p, [&](const detail::Kernels& kernels) {
          p.streams = 1;
          p.ahead = 0;
          const std::vector<float> one = multiply_packed(kernels, p, 160);
          for (uint16_t streams : std::initializer_list<uint16_t>{1, 2, 4}) {
            for (uint16_t ahead : std::initializer_list<uint16_t>{0, 512, 65535}) {
              p.streams = streams;
              p.ahead = ahead;
              p.second_ahead = streams == 4 ? 1024 : 0;
              const std::vector<float> other = multiply_packed(kernels, p, 160);
              CHECK(std::memcmp(one.data(), other.data(), one.size() * sizeof(float)) == 0);
            }
          }
        });
      }
    }
  }

  TEST_CASE("scale, bias, and adding to what is there") {
    Random random(7);
    const Type& type = *quantized_type(TensorType::q4_k);
    for (size_t n : std::initializer_list<size_t>{1, 3, 6}) {
      Problem p = make_problem(type.id, 21, 256, n);
      random_weights(type, random, &p);
      random_columns(random, &p);
      p.scale = -1.75f;
      p.bias.assign(p.rows, 0.0f);
      for (float& b : p.bias) b = uniform(random, -9.0f, 9.0f);
      const std::vector<Reference> expected = multiply_naively(p);
      for_packed_targets(p, [&](const detail::Kernels& kernels) {
        check_near(multiply_packed(kernels, p, 32), expected);
        check_near(multiply_packed(kernels, p, 32, true), expected, 3.0);
      });
    }
  }
}
