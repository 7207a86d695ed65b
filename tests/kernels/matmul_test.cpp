// The matmul kernels of every SIMD target that this CPU runs, against a naive reference in double.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <vector>

#include "inlay/core/memory.hpp"
#include "inlay/kernels/kernels.hpp"
#include "inlay/tensor/dequantize.hpp"

namespace {

using inlay::TensorType;
namespace detail = inlay::detail;

// What the test has to know of a type to make blocks of it.
struct Type {
  TensorType id;
  std::vector<size_t> halves;  // offsets of scales and mins in a block
  int offset;                  // of the unsigned integers that kernels may use for it
  int largest_sub_scale;
};

const std::vector<Type>& quantized_types() {
  static const std::vector<Type> types = {
      {TensorType::q4_0, {0}, 8, 1},     {TensorType::q4_1, {0, 2}, 0, 1},
      {TensorType::q5_0, {0}, 16, 1},    {TensorType::q5_1, {0, 2}, 0, 1},
      {TensorType::q8_0, {0}, 128, 1},   {TensorType::q2_k, {80, 82}, 0, 15},
      {TensorType::q3_k, {108}, 4, 32},  {TensorType::q4_k, {0, 2}, 0, 63},
      {TensorType::q5_k, {0, 2}, 0, 63}, {TensorType::q6_k, {208}, 32, 128},
      {TensorType::iq4_nl, {0}, 128, 1}, {TensorType::iq4_xs, {0}, 128, 32},
  };
  return types;
}

std::vector<const detail::Kernels*> targets() {
  const detail::Kernels* tables[8];
  const size_t count = detail::runnable_kernels(tables);
  return std::vector<const detail::Kernels*>(tables, tables + count);
}

std::string name_of(TensorType type) { return std::string(inlay::tensor_type_info(type).name); }

struct Free {
  void operator()(uint8_t* p) const { ::operator delete (p, std::align_val_t{64}); }
};
using Aligned = std::unique_ptr<uint8_t, Free>;
Aligned aligned(size_t bytes) {
  Aligned memory(static_cast<uint8_t*>(::operator new (bytes, std::align_val_t{64})));
  std::memset(memory.get(), 0xa5, bytes);  // kernels must not depend on what lies there
  return memory;
}

void put_half(uint8_t* to, float value) {
  const uint16_t bits = detail::float_to_half(value);
  std::memcpy(to, &bits, 2);
}

using Random = std::mt19937;
float uniform(Random& random, float low, float high) {
  return low + (high - low) * static_cast<float>(random() >> 8) * 0x1p-24f;
}

// ---- the naive reference ------------------------------------------------------------------------
// x as the format "A32" stores it: q in [-127, 127] and one scale per 32.
void quantize_naively(const float* x, size_t k, std::vector<int>* q, std::vector<float>* scale) {
  q->assign(k, 0);
  scale->assign((k + 31) / 32, 0.0f);
  for (size_t b = 0; b * 32 < k; ++b) {
    const size_t end = std::min(k, b * 32 + 32);
    float amax = 0.0f;
    for (size_t i = b * 32; i < end; ++i) amax = std::max(amax, std::fabs(x[i]));
    (*scale)[b] = amax / 127.0f;
    const float inverse = (*scale)[b] > 0.0f ? 1.0f / (*scale)[b] : 0.0f;
    for (size_t i = b * 32; i < end; ++i) {
      (*q)[i] = std::clamp(static_cast<int>(std::nearbyint(x[i] * inverse)), -127, 127);
    }
  }
}

struct Reference {
  double value, bound;
};

struct Problem {
  TensorType type;
  size_t rows, k, n;
  std::vector<uint8_t> w;
  std::vector<float> x;     // [n][k + 3]
  std::vector<float> bias;  // [rows] or empty
  size_t x_stride() const { return k + 3; }
  size_t row_bytes() const {
    const auto info = inlay::tensor_type_info(type);
    return k / info.block_elements * info.block_bytes;
  }
};

bool plain(TensorType type) {
  return type == TensorType::f32 || type == TensorType::f16 || type == TensorType::bf16;
}

const Type* quantized_type(TensorType id) {
  for (const Type& type : quantized_types()) {
    if (type.id == id) return &type;
  }
  return nullptr;
}

// The product in double. `bound`: how far a float sum may be from it. A kernel adds up exact
// integer products of 32 values, or of plain floats 8 in parallel at least, so an output passes
// through at most k / 8 + 16 roundings of 2^-24, each of at most the sum of the absolute values of
// all terms; terms are scale * (u + offset) * x where the kernel works with unsigned u, and |w| + 2
// * offset * |scale| is more than that.
std::vector<Reference> multiply_naively(const Problem& p) {
  const Type* type = quantized_type(p.type);
  const auto info = inlay::tensor_type_info(p.type);
  std::vector<Reference> out(p.n * p.rows);
  std::vector<std::vector<float>> w(p.rows, std::vector<float>(p.k));
  std::vector<std::vector<double>> extra(p.rows, std::vector<double>(p.k, 0.0));
  for (size_t row = 0; row < p.rows; ++row) {
    const uint8_t* bytes = p.w.data() + row * p.row_bytes();
    REQUIRE(detail::dequantize_row(p.type, bytes, p.k, w[row].data()));
    for (size_t i = 0; type != nullptr && i < p.k; ++i) {
      const uint8_t* block = bytes + i / info.block_elements * info.block_bytes;
      for (size_t at : type->halves) {  // with mins: half dmin * 63 may be more than the result
        uint16_t half;
        std::memcpy(&half, block + at, 2);
        extra[row][i] += std::fabs(static_cast<double>(detail::half_to_float(half))) *
                         type->largest_sub_scale * (type->offset > 0 ? 2 * type->offset : 1);
      }
    }
  }
  for (size_t column = 0; column < p.n; ++column) {
    const float* x = p.x.data() + column * p.x_stride();
    std::vector<double> used(p.k);
    if (plain(p.type)) {
      for (size_t i = 0; i < p.k; ++i) used[i] = static_cast<double>(x[i]);
    } else {
      std::vector<int> q;
      std::vector<float> scale;
      quantize_naively(x, p.k, &q, &scale);
      for (size_t i = 0; i < p.k; ++i)
        used[i] = static_cast<double>(q[i]) * static_cast<double>(scale[i / 32]);
    }
    for (size_t row = 0; row < p.rows; ++row) {
      Reference& r = out[column * p.rows + row];
      r.value = r.bound = 0;
      for (size_t i = 0; i < p.k; ++i) {
        r.value += static_cast<double>(w[row][i]) * used[i];
        r.bound += (std::fabs(static_cast<double>(w[row][i])) + extra[row][i]) * std::fabs(used[i]);
      }
      if (!p.bias.empty()) {
        r.value += static_cast<double>(p.bias[row]);
        r.bound += std::fabs(static_cast<double>(p.bias[row]));
      }
      r.bound *= (static_cast<double>(p.k) / 8 + 16) * 0x1p-24;
    }
  }
  return out;
}

// ---- running a kernel ---------------------------------------------------------------------------
// The product, rows in tasks of `task` (a multiple of 16), out[n][rows + 5]; what lies between is
// checked.
std::vector<float> multiply(const detail::Kernels& kernels, const Problem& p, size_t task,
                            bool add = false, bool tiles = false) {
  const size_t stride = p.rows + 5;
  std::vector<float> out(p.n * stride, add ? 3.0f : -77.0f);
  for (size_t c = 0; c < p.n; ++c)
    std::fill_n(out.begin() + static_cast<ptrdiff_t>(c * stride + p.rows), 5, -77.0f);
  // The mapped file may end right behind the tensor: an exact copy lets AddressSanitizer see reads
  // past it.
  const std::unique_ptr<uint8_t[]> w(new uint8_t[p.w.size()]);
  std::memcpy(w.get(), p.w.data(), p.w.size());
  const size_t xq_bytes = detail::quantized_bytes(p.n, p.k);
  const Aligned xq = aligned(xq_bytes), scratch = aligned(detail::matmul_scratch_bytes(p.k));
  for (size_t c = 0; c < p.n; c += 8) {  // as several threads would
    const detail::Quantize q = {p.x.data(), p.x_stride(), p.n, p.k, tiles, xq.get()};
    const size_t middle = p.k / 2 / detail::kQuantizeBlock * detail::kQuantizeBlock;
    kernels.quantize(q, c, std::min(p.n, c + 8), middle, p.k);
    kernels.quantize(q, c, std::min(p.n, c + 8), 0, middle);
  }
  detail::Matmul m = {};
  m.type = p.type;
  m.w = w.get();
  m.rows = p.rows;
  m.k = p.k;
  m.n = p.n;
  m.x = p.x.data();
  m.x_stride = p.x_stride();
  m.xq = plain(p.type) ? nullptr : xq.get();
  m.out = out.data();
  m.out_stride = stride;
  m.bias = p.bias.empty() ? nullptr : p.bias.data();
  m.add = add;
  m.tiles = tiles;
  for (size_t row = 0; row < p.rows; row += task)
    kernels.matmul(m, row, std::min(p.rows, row + task), scratch.get());
  std::vector<float> result;
  for (size_t c = 0; c < p.n; ++c) {
    const auto at = out.begin() + static_cast<ptrdiff_t>(c * stride);
    result.insert(result.end(), at, at + static_cast<ptrdiff_t>(p.rows));
    for (size_t i = 0; i < 5; ++i) REQUIRE(at[static_cast<ptrdiff_t>(p.rows + i)] == -77.0f);
  }
  return result;
}

void random_weights(const Type& type, Random& random, Problem* p) {
  const auto info = inlay::tensor_type_info(p->type);
  p->w.resize(p->rows * p->row_bytes());
  for (uint8_t& byte : p->w) byte = static_cast<uint8_t>(random());
  for (size_t block = 0; block < p->w.size(); block += info.block_bytes) {
    for (size_t at : type.halves) put_half(&p->w[block + at], uniform(random, -0.01f, 0.03f));
  }
}

void random_columns(Random& random, Problem* p) {
  p->x.resize(p->n * p->x_stride());
  for (float& x : p->x) x = uniform(random, -1.0f, 1.0f) * uniform(random, 0.0f, 4.0f);
}

Problem make_problem(TensorType type, size_t rows, size_t k, size_t n) {
  Problem p;
  p.type = type;
  p.rows = rows;
  p.k = k;
  p.n = n;
  return p;
}

void check_near(const std::vector<float>& got, const std::vector<Reference>& expected,
                double added = 0) {
  REQUIRE(got.size() == expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    const double error = std::fabs(static_cast<double>(got[i]) - expected[i].value - added);
    if (error <= expected[i].bound + added * 0x1p-23) continue;
    FAIL_CHECK("output " << i << " is " << got[i] << ", expected " << expected[i].value + added
                         << " within " << expected[i].bound);
    return;
  }
}

// Every target, with what is to be seen of the problem when something fails.
template <class F>
void for_targets(const Problem& p, F f) {
  for (const detail::Kernels* kernels : targets()) {
    CAPTURE(name_of(p.type));
    CAPTURE(std::string(kernels->name));
    CAPTURE(p.n);
    CAPTURE(p.rows);
    CAPTURE(p.k);
    f(*kernels);
  }
}

const size_t kColumnCounts[] = {1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 33};

}  // namespace

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
            make_problem(type.id, rows, block == 32 ? blocks * 32 : (blocks % 5 + 1) * 256, n);
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
    // Scales are powers of two and each column holds a 127 per 32 values, so q is x and its
    // scale 1. All sums are multiples of the weights' scale below 2^24 of it, hence exact in float:
    // 8 groups of |x| <= 127 + 31 * 2, |u| <= 63 and sub-scales <= 128 for q6_k, 16 groups for the
    // others, which are smaller.
    Random random(3);
    for (const Type& type : quantized_types()) {
      const auto info = inlay::tensor_type_info(type.id);
      for (size_t n : kColumnCounts) {
        Problem p = make_problem(type.id, 35, type.id == TensorType::q6_k ? 256 : 512, n);
        random_weights(type, random, &p);
        for (size_t block = 0; block < p.w.size(); block += info.block_bytes) {
          for (size_t at : type.halves) put_half(&p.w[block + at], 0x1p-6f);
        }
        p.x.resize(n * p.x_stride());
        for (float& x : p.x) x = static_cast<float>(static_cast<int>(random() % 5) - 2);
        for (size_t c = 0; c < n; ++c) {
          for (size_t i = 0; i < p.k; i += 32) {
            p.x[c * p.x_stride() + i + random() % 32] = random() % 2 == 0 ? 127.0f : -127.0f;
          }
        }
        const std::vector<Reference> expected = multiply_naively(p);
        for_targets(p, [&](const detail::Kernels& kernels) {
          const std::vector<float> got = multiply(kernels, p, 32);
          size_t wrong = 0;
          for (size_t i = 0; i < got.size(); ++i)
            wrong += static_cast<double>(got[i]) != expected[i].value;
          CHECK(wrong == 0);
        });
      }
    }
  }

  TEST_CASE("nothing saturates: extreme weights and activations") {
    Random random(4);
    for (const Type& type : quantized_types()) {
      const auto info = inlay::tensor_type_info(type.id);
      for (int fill : {0x00, 0x7f, 0x80, 0xff, 0x0f, 0xf0}) {
        for (size_t n : std::initializer_list<size_t>{1, 5, 12}) {
          Problem p = make_problem(type.id, 17, 512, n);
          p.w.assign(p.rows * p.row_bytes(), static_cast<uint8_t>(fill));
          for (size_t block = 0; block < p.w.size(); block += info.block_bytes) {
            for (size_t at : type.halves) put_half(&p.w[block + at], 1.0f);
          }
          p.x.resize(n * p.x_stride());
          for (size_t c = 0; c < n; ++c) {
            for (size_t i = 0; i < p.k; ++i) {
              const float sign = c % 3 == 0          ? 1.0f
                                 : c % 3 == 1        ? -1.0f
                                 : random() % 2 == 0 ? 1.0f
                                                     : -1.0f;
              p.x[c * p.x_stride() + i] = sign * 127.0f;
            }
          }
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

  TEST_CASE("plain floats, any k") {
    Random random(6);
    for (TensorType type : {TensorType::f32, TensorType::f16, TensorType::bf16}) {
      for (size_t k : std::initializer_list<size_t>{1, 5, 31, 64, 100, 129, 777}) {
        for (size_t n : std::initializer_list<size_t>{1, 2, 3, 4, 5, 9, 16, 33}) {
          Problem p = make_problem(type, (k + n) % 40 + 1, k, n);
          p.w.resize(p.rows * p.row_bytes());
          for (size_t i = 0; i < p.rows * k; ++i) {
            const float value = uniform(random, -1.0f, 1.0f);
            uint32_t bits;
            std::memcpy(&bits, &value, 4);
            if (type == TensorType::f32) std::memcpy(&p.w[i * 4], &bits, 4);
            if (type == TensorType::f16)
              put_half(&p.w[i * 2], i % 7 == 0 ? value * 0x1p-20f : value);  // some subnormal
            if (type == TensorType::bf16) {
              const uint16_t high = static_cast<uint16_t>(bits >> 16);
              std::memcpy(&p.w[i * 2], &high, 2);
            }
          }
          random_columns(random, &p);
          const std::vector<Reference> expected = multiply_naively(p);
          for_targets(p, [&](const detail::Kernels& kernels) {
            check_near(multiply(kernels, p, 16), expected);
          });
        }
      }
    }
  }

  TEST_CASE("a row's result does not depend on the task it is in") {
    Random random(7);
    for (TensorType id : {TensorType::q4_0, TensorType::q4_k, TensorType::q6_k, TensorType::q8_0,
                          TensorType::f16}) {
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
            const std::vector<float> parts = multiply(kernels, p, task);
            CHECK(std::memcmp(parts.data(), whole.data(), whole.size() * sizeof(float)) == 0);
          }
        });
      }
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
        for (const auto& [first, n] : {std::pair<size_t, size_t>{0, 1}, {1, 3}, {4, 5}, {8, 1}}) {
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

  TEST_CASE("bias, and adding to what is there") {
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
    for (size_t i = 1; i < all.size(); ++i) CHECK(all[i - 1]->target < all[i]->target);
    CHECK(&detail::pick_kernels(-1) == all.front());
    CHECK(&detail::pick_kernels(0) == all.back());
    for (const detail::Kernels* kernels : all)
      CHECK(&detail::pick_kernels(kernels->target) == kernels);
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
