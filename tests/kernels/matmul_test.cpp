// The matmul kernels of every SIMD target that this CPU runs, against a naive reference in double.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
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
  std::vector<size_t> halves;      // offsets of scales and mins in a block
  std::vector<size_t> sub_scales;  // offset and count of the bytes that hold sub-block scales
  double largest;                  // of |u| or |u - offset|, for error bounds
};

const std::vector<Type>& quantized_types() {
  static const std::vector<Type> types = {
      {TensorType::q4_0, {0}, {}, 15},         {TensorType::q4_1, {0, 2}, {}, 15},
      {TensorType::q5_0, {0}, {}, 31},         {TensorType::q5_1, {0, 2}, {}, 31},
      {TensorType::q8_0, {0}, {}, 255},        {TensorType::q2_k, {80, 82}, {0, 16}, 3},
      {TensorType::q3_k, {108}, {96, 12}, 7},  {TensorType::q4_k, {0, 2}, {4, 12}, 15},
      {TensorType::q5_k, {0, 2}, {4, 12}, 31}, {TensorType::q6_k, {208}, {192, 16}, 63},
      {TensorType::iq4_nl, {0}, {}, 255},      {TensorType::iq4_xs, {0}, {2, 6}, 255},
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
  double value, magnitude;  // magnitude: the same with all terms positive
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

std::vector<Reference> multiply_naively(const Problem& p) {
  std::vector<Reference> out(p.n * p.rows);
  std::vector<std::vector<float>> w(p.rows, std::vector<float>(p.k));
  for (size_t row = 0; row < p.rows; ++row) {
    REQUIRE(detail::dequantize_row(p.type, p.w.data() + row * p.row_bytes(), p.k, w[row].data()));
  }
  for (size_t column = 0; column < p.n; ++column) {
    const float* x = p.x.data() + column * p.x_stride();
    std::vector<double> used(p.k);
    if (plain(p.type)) {
      for (size_t i = 0; i < p.k; ++i) used[i] = x[i];
    } else {
      std::vector<int> q;
      std::vector<float> scale;
      quantize_naively(x, p.k, &q, &scale);
      for (size_t i = 0; i < p.k; ++i)
        used[i] = static_cast<double>(q[i]) * static_cast<double>(scale[i / 32]);
    }
    for (size_t row = 0; row < p.rows; ++row) {
      Reference& r = out[column * p.rows + row];
      r.value = r.magnitude = 0;
      for (size_t i = 0; i < p.k; ++i) {
        r.value += static_cast<double>(w[row][i]) * used[i];
        r.magnitude += std::fabs(static_cast<double>(w[row][i]) * used[i]);
      }
      if (!p.bias.empty()) r.value += static_cast<double>(p.bias[row]);
    }
  }
  return out;
}

// ---- running a kernel ---------------------------------------------------------------------------
// The product, rows in tasks of `task` (a multiple of 16), out[n][rows + 5]; what lies between is
// checked.
std::vector<float> multiply(const detail::Kernels& kernels, const Problem& p, size_t task,
                            bool add = false) {
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
    kernels.quantize(p.x.data(), p.x_stride(), p.n, p.k, c, std::min(p.n, c + 8), xq.get());
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

}  // namespace

TEST_SUITE("matmul") {
  TEST_CASE("random blocks of every quantized type, within the rounding of float sums") {
    Random random(1);
    for (const Type& type : quantized_types()) {
      const size_t block = inlay::tensor_type_info(type.id).block_elements;
      for (size_t n : {1, 2, 3, 4, 5, 7, 8, 13, 16, 33}) {
        const size_t rows = std::vector<size_t>{1, 16, 19, 37, 53}[n % 5];
        const size_t blocks = std::vector<size_t>{1, 3, 17, 20}[n % 4];
        Problem p = {type.id, rows, block == 32 ? blocks * 32 : (blocks % 5 + 1) * 256, n, {},
                     {},      {}};
        random_weights(type, random, &p);
        random_columns(random, &p);
        const std::vector<Reference> expected = multiply_naively(p);
        for (const detail::Kernels* kernels : targets()) {
          CAPTURE(name_of(type.id));
          CAPTURE(kernels->name);
          CAPTURE(n);
          CAPTURE(rows);
          CAPTURE(p.k);
          const std::vector<float> got = multiply(*kernels, p, 16);
          size_t bad = 0;
          for (size_t i = 0; i < got.size(); ++i) {
            const double bound = 64 * 0x1p-24 * expected[i].magnitude * 8;
            if (!(std::fabs(static_cast<double>(got[i]) - expected[i].value) <= bound)) {
              if (bad++ == 0)
                MESSAGE("at " << i << ": " << got[i] << " " << expected[i].value << " bound "
                              << bound);
            }
          }
          CHECK(bad == 0);
        }
      }
    }
  }
}
