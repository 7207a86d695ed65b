// Products for the tests of the matmul kernels: random blocks of every quantized type, a naive
// reference in double with its error bound, and a run of one target's kernel.
#ifndef INLAY_TESTS_MATMUL_PROBLEM_HPP_
#define INLAY_TESTS_MATMUL_PROBLEM_HPP_

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <vector>

#include "inlay/core/memory.hpp"
#include "inlay/kernels/kernels.hpp"
#include "inlay/kernels/targets.hpp"
#include "inlay/tensor/dequantize.hpp"

namespace inlay_test {

using inlay::TensorType;
namespace detail = inlay::detail;

enum class ScaleFormat { half, e8m0, e4m3, nibbles };  // nibbles: a half in the tops of 4 x 16 bits

// What the test has to know of a type to make blocks of it.
struct Type {
  TensorType id;
  std::vector<size_t> scales;  // offsets of scales and mins in a block
  int offset;                  // of the unsigned integers that kernels may use for it
  int largest_sub_scale;
  ScaleFormat format = ScaleFormat::half;
};

inline const std::vector<Type>& quantized_types() {
  static const std::vector<Type> types = {
      {TensorType::q4_0, {0}, 8, 1},
      {TensorType::q4_1, {0, 2}, 0, 1},
      {TensorType::q5_0, {0}, 16, 1},
      {TensorType::q5_1, {0, 2}, 0, 1},
      {TensorType::q8_0, {0}, 128, 1},
      {TensorType::q2_k, {80, 82}, 0, 15},
      {TensorType::q3_k, {108}, 4, 32},
      {TensorType::q4_k, {0, 2}, 0, 63},
      {TensorType::q5_k, {0, 2}, 0, 63},
      {TensorType::q6_k, {208}, 32, 128},
      {TensorType::iq4_nl, {0}, 128, 1},
      {TensorType::iq4_xs, {0}, 128, 32},
      {TensorType::iq2_xxs, {0}, 128, 4},
      {TensorType::iq2_xs, {0}, 128, 4},
      {TensorType::iq2_s, {0}, 128, 4},
      {TensorType::iq3_xxs, {0}, 128, 8},
      {TensorType::iq3_s, {0}, 128, 31},
      {TensorType::iq1_s, {0}, 16, 2},
      {TensorType::iq1_m, {48}, 32, 2, ScaleFormat::nibbles},
      {TensorType::tq1_0, {52}, 1, 1},
      {TensorType::tq2_0, {64}, 1, 1},
      {TensorType::mxfp4, {0}, 16, 1, ScaleFormat::e8m0},
      {TensorType::nvfp4, {0, 1, 2, 3}, 32, 1, ScaleFormat::e4m3},
      {TensorType::q1_0, {0}, 1, 1},
      {TensorType::q2_0, {0}, 1, 1},
  };
  return types;
}

inline std::vector<Type> packed_types() {
  std::vector<Type> types;
  for (const Type& type : quantized_types()) {
    if (detail::packed_bytes(type.id, detail::kPanelRows, 256) > 0) types.push_back(type);
  }
  return types;
}

inline std::vector<const detail::Kernels*> targets() {
  const detail::Kernels* tables[8];
  const size_t count = detail::runnable_kernels(tables);
  return std::vector<const detail::Kernels*>(tables, tables + count);
}

inline std::string name_of(TensorType type) {
  return std::string(inlay::tensor_type_info(type).name);
}

struct Free {
  void operator()(uint8_t* p) const { ::operator delete (p, std::align_val_t{64}); }
};
using Aligned = std::unique_ptr<uint8_t, Free>;
inline Aligned aligned(size_t bytes) {
  Aligned memory(static_cast<uint8_t*>(::operator new (bytes, std::align_val_t{64})));
  std::memset(memory.get(), 0xa5, bytes);  // kernels must not depend on what lies there
  return memory;
}

inline void put_half(uint8_t* to, float value) {
  const uint16_t bits = detail::float_to_half(value);
  std::memcpy(to, &bits, 2);
}

// Gives all scales of a block a value: with e8m0 and e4m3, the power of two below it.
inline void put_scales(const Type& type, float value, uint8_t* block) {
  const uint16_t bits = detail::float_to_half(value);
  const int exponent = std::ilogb(std::fabs(value) + 0x1p-20f);
  for (size_t at : type.scales) {
    uint8_t* to = block + at;
    if (type.format == ScaleFormat::half) std::memcpy(to, &bits, 2);
    if (type.format == ScaleFormat::e8m0) *to = static_cast<uint8_t>(128 + exponent);
    if (type.format == ScaleFormat::e4m3) *to = static_cast<uint8_t>((8 + exponent) * 8);
    for (size_t i = 0; type.format == ScaleFormat::nibbles && i < 4; ++i) {
      to[2 * i + 1] = static_cast<uint8_t>((to[2 * i + 1] & 15) | (bits >> 4 * i & 15) << 4);
    }
  }
}

// The largest absolute value of what a block's scales stand for.
inline double largest_scale(const Type& type, const uint8_t* block) {
  double largest = 0;
  for (size_t at : type.scales) {
    uint16_t bits = 0;
    std::memcpy(&bits, block + at, type.format == ScaleFormat::half ? 2 : 1);
    double value = 0;
    if (type.format == ScaleFormat::e8m0) {
      value = std::ldexp(1.0, bits - 128);
    } else if (type.format == ScaleFormat::e4m3) {
      value = std::ldexp(bits % 8 + 8, (bits >> 3 & 15) - 11);
    } else {
      if (type.format == ScaleFormat::nibbles) {
        bits = 0;
        for (size_t i = 0; i < 4; ++i)
          bits = static_cast<uint16_t>(bits | block[at + 2 * i + 1] >> 4 << (4 * i));
      }
      value = std::fabs(static_cast<double>(detail::half_to_float(bits)));
    }
    largest = std::max(largest, value);
  }
  return largest;
}

using Random = std::mt19937;
inline float uniform(Random& random, float low, float high) {
  return low + (high - low) * static_cast<float>(random() >> 8) * 0x1p-24f;
}

// ---- the naive reference ------------------------------------------------------------------------
// x as the format "A32" stores it: q in [-127, 127] and one scale per 32.
inline void quantize_naively(const float* x, size_t k, std::vector<int>* q,
                             std::vector<float>* scale) {
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
  float scale = 1;
  // Of detail::Reading; panel_columns: both.
  uint16_t streams = 4, ahead = 0, second_ahead = 0, rows_ahead = 448, panel_columns = 16;
  size_t x_stride() const { return k + 3; }
  size_t row_bytes() const {
    const auto info = inlay::tensor_type_info(type);
    return k / info.block_elements * info.block_bytes;
  }
};

inline bool plain(TensorType type) {
  return type == TensorType::f32 || type == TensorType::f16 || type == TensorType::bf16;
}

inline const Type* quantized_type(TensorType id) {
  for (const Type& type : quantized_types()) {
    if (type.id == id) return &type;
  }
  return nullptr;
}

// The product in double. `bound`: how far a float sum may be from it. A kernel adds up exact
// integer products of 32 values, or of plain floats 8 in parallel at least, so an output passes
// through at most k / 8 + 16 roundings of 2^-24, each of at most the sum of the absolute values of
// all terms; terms are scale * (u + offset) * x where the kernel works with unsigned u, and |w| + 2
// * offset * |scale| is more than that. Two row kernels round once more. TQ1_0's rounds activations
// to 64ths of the largest step of their 256, off by 3/4 of that at most. That of superblocks rounds
// the product of a sub-block's scale and its activations', and for mins the sum of these: both are
// off by 2^-12 of the largest that 256 values could have at most.
inline std::vector<Reference> multiply_naively(const Problem& p) {
  const Type* type = quantized_type(p.type);
  const auto info = inlay::tensor_type_info(p.type);
  std::vector<Reference> out(p.n * p.rows);
  // Of each row: its weights, what they are at most to a kernel, and what is multiplied with the
  // rounding of an activation.
  struct Row {
    std::vector<double> w, terms, rounded;
  };
  std::vector<Row> rows(p.rows);
  const bool sub_scales = type != nullptr && info.block_elements == detail::kQuantizePadding &&
                          detail::packed_bytes(p.type, detail::kPanelRows, p.k) > 0;
  const bool rounds = sub_scales || p.type == TensorType::tq1_0;
  std::vector<float> w(p.k);
  for (size_t row = 0; row < p.rows; ++row) {
    const uint8_t* bytes = p.w.data() + row * p.row_bytes();
    REQUIRE(detail::dequantize_row(p.type, bytes, p.k, w.data()));
    Row& r = rows[row];
    r.w.assign(w.begin(), w.end());
    for (float value : w) r.terms.push_back(std::fabs(static_cast<double>(value)));
    if (rounds) r.rounded = r.terms;
    for (size_t i = 0; type != nullptr && i < p.k; i += info.block_elements) {
      const double scale = largest_scale(*type, bytes + i / info.block_elements * info.block_bytes);
      // With mins: dmin * 63 may be more than the result.
      const double extra = scale * static_cast<double>(type->scales.size()) *
                           type->largest_sub_scale * (type->offset > 0 ? 2 * type->offset : 1);
      // A value has at most a bit for each that it takes up; with mins dmin * 63 besides.
      const size_t bits = info.block_bytes * 8 / info.block_elements;
      const double largest = scale * type->largest_sub_scale * std::max(type->offset, 1 << bits);
      for (size_t j = i; j < i + info.block_elements; ++j) {
        r.terms[j] += extra;
        if (sub_scales) r.rounded[j] = largest;
      }
    }
  }
  for (size_t column = 0; column < p.n; ++column) {
    const float* x = p.x.data() + column * p.x_stride();
    std::vector<double> used(p.k), rounding(p.k, 0.0);
    if (plain(p.type)) {
      for (size_t i = 0; i < p.k; ++i) used[i] = static_cast<double>(x[i]);
    } else {
      std::vector<int> q;
      std::vector<float> scale;
      quantize_naively(x, p.k, &q, &scale);
      for (size_t i = 0; i < p.k; ++i)
        used[i] = static_cast<double>(q[i]) * static_cast<double>(scale[i / 32]);
      for (size_t i = 0; p.type == TensorType::tq1_0 && i < p.k; ++i) {
        const auto first = scale.begin() + static_cast<ptrdiff_t>(i / 256 * 8);
        rounding[i] = static_cast<double>(*std::max_element(first, first + 8)) / 64 * 0.75;
      }
      for (size_t i = 0; sub_scales && i < p.k; ++i) {
        const auto first = scale.begin() + static_cast<ptrdiff_t>(i / 256 * 8);
        rounding[i] = static_cast<double>(*std::max_element(first, first + 8)) * 127 * 0x1p-12;
      }
    }
    std::vector<double> size(p.k);
    for (size_t i = 0; i < p.k; ++i) size[i] = std::fabs(used[i]);
    for (size_t row = 0; row < p.rows; ++row) {
      Reference& r = out[column * p.rows + row];
      r.value = r.bound = 0;
      const Row& of = rows[row];
      for (size_t i = 0; i < p.k; ++i) {
        r.value += of.w[i] * used[i];
        r.bound += of.terms[i] * size[i];
      }
      double rounded = 0;
      for (size_t i = 0; rounds && i < p.k; ++i) rounded += of.rounded[i] * rounding[i];
      r.value *= static_cast<double>(p.scale);
      r.bound *= std::fabs(static_cast<double>(p.scale));
      if (!p.bias.empty()) {
        r.value += static_cast<double>(p.bias[row]);
        r.bound += std::fabs(static_cast<double>(p.bias[row]));
      }
      r.bound *= (static_cast<double>(p.k) / 8 + 16) * 0x1p-24;
      r.bound += rounded * std::fabs(static_cast<double>(p.scale));
    }
  }
  return out;
}

// ---- running a kernel ---------------------------------------------------------------------------
// The product, rows in tasks of `task` (a multiple of 16) and columns in tasks of `columns`,
// out[n][rows + 5]; what lies between is checked.
inline std::vector<float> multiply(const detail::Kernels& kernels, const Problem& p, size_t task,
                                   bool add = false, bool tiles = false,
                                   const uint8_t* packed = nullptr, size_t columns = SIZE_MAX) {
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
  for (size_t c = 0; c < p.n; c += 16) {  // as several threads would
    const detail::Quantize q = {p.x.data(), p.x_stride(), p.n,     p.k,
                                tiles,      xq.get(),     nullptr, plain(p.type)};
    const size_t middle = q.halves ? 0 : p.k / 2 / detail::kQuantizeBlock * detail::kQuantizeBlock;
    kernels.quantize(q, c, std::min(p.n, c + 16), middle, p.k);
    kernels.quantize(q, c, std::min(p.n, c + 16), 0, middle);
  }
  detail::Matmul m = {};
  m.type = p.type;
  m.w = packed != nullptr ? packed : w.get();
  m.packed = packed != nullptr;
  m.rows = p.rows;
  m.k = p.k;
  m.n = p.n;
  m.x = p.x.data();
  m.x_stride = p.x_stride();
  m.xq = xq.get();
  m.out = out.data();
  m.out_stride = stride;
  m.bias = p.bias.empty() ? nullptr : p.bias.data();
  m.scale = p.scale;
  m.reading = {p.streams, p.ahead, p.second_ahead, p.rows_ahead, p.panel_columns, p.panel_columns};
  m.add = add;
  m.tiles = tiles;
  while (m.first < p.n) {
    m.n = p.n - m.first < columns ? p.n : m.first + columns;
    for (size_t row = 0; row < p.rows; row += task)
      kernels.matmul(m, row, std::min(p.rows, row + task), scratch.get());
    m.first = m.n;
  }
  std::vector<float> result;
  for (size_t c = 0; c < p.n; ++c) {
    const auto at = out.begin() + static_cast<ptrdiff_t>(c * stride);
    result.insert(result.end(), at, at + static_cast<ptrdiff_t>(p.rows));
    for (size_t i = 0; i < 5; ++i) REQUIRE(at[static_cast<ptrdiff_t>(p.rows + i)] == -77.0f);
  }
  return result;
}

inline void random_weights(const Type& type, Random& random, Problem* p) {
  const auto info = inlay::tensor_type_info(p->type);
  p->w.resize(p->rows * p->row_bytes());
  for (uint8_t& byte : p->w) byte = static_cast<uint8_t>(random());
  for (size_t block = 0; block < p->w.size(); block += info.block_bytes) {
    uint8_t* b = &p->w[block];
    for (size_t at : type.scales) {
      if (type.format == ScaleFormat::half) put_half(b + at, uniform(random, -0.01f, 0.03f));
      if (type.format == ScaleFormat::nibbles) put_scales(type, uniform(random, -0.01f, 0.03f), b);
      if (type.format == ScaleFormat::e8m0)  // some subnormal
        b[at] = static_cast<uint8_t>(random() % 16 == 0 ? random() % 3 : 120 + random() % 4);
    }
  }
}

inline void random_plain_weights(Random& random, Problem* p) {
  const size_t bytes = inlay::tensor_type_info(p->type).block_bytes;
  p->w.resize(p->rows * p->row_bytes());
  for (size_t i = 0; i < p->rows * p->k; ++i) {
    const float value = uniform(random, -1.0f, 1.0f);
    uint8_t* const to = &p->w[i * bytes];
    if (p->type == TensorType::f16) {
      put_half(to, i % 7 == 0 ? value * 0x1p-20f : value);  // some subnormal
    } else {
      // bfloat16: the upper half of a float.
      std::memcpy(to, reinterpret_cast<const uint8_t*>(&value) + 4 - bytes, bytes);
    }
  }
}

inline void random_columns(Random& random, Problem* p) {
  p->x.resize(p->n * p->x_stride());
  for (float& x : p->x) x = uniform(random, -1.0f, 1.0f) * uniform(random, 0.0f, 4.0f);
}

inline Problem make_problem(TensorType type, size_t rows, size_t k, size_t n) {
  Problem p;
  p.type = type;
  p.rows = rows;
  p.k = k;
  p.n = n;
  return p;
}

// Whose products are exact in float: scales are powers of two and each column holds a 127 per 32
// values, so q is x and its scale 1. All sums are multiples of the weights' scale below 2^24 of it:
// 8 groups of |x| <= 127 + 31 * 2, |u| <= 63 and sub-scales <= 128 for q6_k (k = 256), 16 groups
// for the others (k = 512), which are smaller.
inline void exact_problem(const Type& type, Random& random, Problem* p) {
  const auto info = inlay::tensor_type_info(type.id);
  random_weights(type, random, p);
  for (size_t block = 0; block < p->w.size(); block += info.block_bytes) {
    put_scales(type, 0x1p-6f, &p->w[block]);
  }
  p->x.resize(p->n * p->x_stride());
  for (float& x : p->x) x = static_cast<float>(static_cast<int>(random() % 5) - 2);
  for (size_t c = 0; c < p->n; ++c) {
    for (size_t i = 0; i < p->k; i += 32) {
      p->x[c * p->x_stride() + i + random() % 32] = random() % 2 == 0 ? 127.0f : -127.0f;
    }
  }
}

inline size_t count_inexact(const std::vector<float>& got, const std::vector<Reference>& expected) {
  size_t wrong = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    wrong += static_cast<double>(got[i]) != expected[i].value;
  }
  return wrong;
}

// All bytes of the weights but their scales are `fill`, all activations at the end of their range.
inline void extreme_problem(const Type& type, int fill, Random& random, Problem* p) {
  const auto info = inlay::tensor_type_info(type.id);
  p->w.assign(p->rows * p->row_bytes(), static_cast<uint8_t>(fill));
  for (size_t block = 0; block < p->w.size(); block += info.block_bytes) {
    put_scales(type, 1.0f, &p->w[block]);
  }
  p->x.resize(p->n * p->x_stride());
  for (size_t c = 0; c < p->n; ++c) {
    for (size_t i = 0; i < p->k; ++i) {
      const bool up = c % 3 == 0 || (c % 3 == 2 && random() % 2 == 0);
      p->x[c * p->x_stride() + i] = up ? 127.0f : -127.0f;
    }
  }
}

inline void check_near(const std::vector<float>& got, const std::vector<Reference>& expected,
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

// Every target, with what is to be seen of the problem when something fails. Not AMX if it rounds
// to bfloat16: amx_test.cpp has that.
template <class F>
inline void for_targets(const Problem& p, F f) {
  for (const detail::Kernels* kernels : targets()) {
    const uint32_t least = kernels->least_columns(p.type);
    if (kernels->target == INLAY_AVX3_AMX && least > 0 && p.n >= least) continue;
    CAPTURE(name_of(p.type));
    CAPTURE(std::string(kernels->name));
    CAPTURE(p.n);
    CAPTURE(p.rows);
    CAPTURE(p.k);
    f(*kernels);
  }
}

inline const size_t kColumnCounts[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 16, 33};

}  // namespace inlay_test

#endif  // INLAY_TESTS_MATMUL_PROBLEM_HPP_
