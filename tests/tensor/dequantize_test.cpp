// Dequantizing against what ggml gave for the same bytes (golden/dequantize.inc), halves against
// their definition.
#include "inlay/tensor/dequantize.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>
#include <vector>

#include "golden/dequantize_bytes.hpp"

namespace {

using inlay::TensorType;
using namespace inlay::detail;

const golden::DequantizeCase kCases[] = {
#include "golden/dequantize.inc"
};

uint32_t bits_of(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

float float_of(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// IEEE 754 binary16, finite.
double half_value(int bits) {
  const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
  const double magnitude =
      exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
  return bits & 0x8000 ? -magnitude : magnitude;
}

}  // namespace

TEST_CASE("dequantize_row gives the bits that ggml gives") {
  size_t n = 0;
  for (const golden::DequantizeType& t : golden::kDequantizeTypes) {
    const TensorType type = static_cast<TensorType>(t.type);
    CAPTURE(t.type);
    CHECK(inlay::tensor_type_info(type).block_elements == t.block_elements);
    CHECK(inlay::tensor_type_info(type).block_bytes == t.block_bytes);
    for (const golden::DequantizeCase& c : kCases) {
      if (c.type != t.type) continue;
      CAPTURE(static_cast<int>(c.halves));
      const std::vector<uint8_t> bytes =
          golden::make_bytes(t.type, c.halves, golden::kDequantizeElements / t.block_elements,
                             t.block_bytes, t.half_a, t.half_b);
      std::vector<float> out(golden::kDequantizeElements);
      CHECK(dequantize_row(type, bytes.data(), out.size(), out.data()));
      CHECK(bits_of(out[0]) == c.bits[0]);
      CHECK(bits_of(out[1]) == c.bits[1]);
      CHECK(bits_of(out[out.size() / 2]) == c.bits[2]);
      CHECK(bits_of(out[out.size() - 1]) == c.bits[3]);
      std::vector<uint8_t> raw(out.size() * sizeof(float));
      std::memcpy(raw.data(), out.data(), raw.size());
      CHECK(golden::fnv1a(raw.data(), raw.size()) == c.hash);
      ++n;
    }
  }
  CHECK(n == std::size(golden::kDequantizeTypes) * golden::kHalves);
}

TEST_CASE("every usable type, and no other, can be dequantized") {
  const std::vector<uint8_t> row(2048);
  for (uint32_t id = 0; id < 64; ++id) {
    CAPTURE(id);
    std::vector<float> out(256, 1.0f);
    const TensorType type = static_cast<TensorType>(id);
    CHECK(dequantize_row(type, row.data(), out.size(), out.data()) ==
          inlay::tensor_type_info(type).usable);
  }
}

TEST_CASE("f32 rows are copied") {
  const float in[3] = {1.5f, -0.0f, 3e-40f};
  uint8_t row[sizeof in];
  std::memcpy(row, in, sizeof in);
  float out[3] = {};
  CHECK(dequantize_row(TensorType::f32, row, 3, out));
  for (int i = 0; i < 3; ++i) CHECK(bits_of(out[i]) == bits_of(in[i]));
}

TEST_CASE("half_to_float is exact for every half") {
  for (int bits = 0; bits < 0x10000; ++bits) {
    CAPTURE(bits);
    const float value = half_to_float(static_cast<uint16_t>(bits));
    if ((bits & 0x7FFF) < 0x7C00) {
      CHECK(static_cast<double>(value) == half_value(bits));
      CHECK(std::signbit(value) == (bits >= 0x8000));
    } else if ((bits & 0x7FFF) == 0x7C00) {
      const float infinity = std::numeric_limits<float>::infinity();
      CHECK(value == (bits >= 0x8000 ? -infinity : infinity));
    } else {
      CHECK(std::isnan(value));
    }
  }
}

TEST_CASE("float_to_half rounds to nearest, ties to even") {
  for (int bits = 0; bits < 0x7C00; ++bits) {
    CAPTURE(bits);
    // The half itself, halfway to the next one, and the floats on either side of that. Past the
    // largest half the next would be 2^16; what rounds to it becomes infinity, 0x7C00.
    const float value = half_to_float(static_cast<uint16_t>(bits));
    const double next = bits == 0x7BFF ? 65536.0 : half_value(bits + 1);
    const float middle = static_cast<float>((value + next) / 2);
    CHECK(middle == (value + next) / 2);
    for (const int sign : {0, 0x8000}) {
      const float s = sign == 0 ? 1.0f : -1.0f;
      CHECK(float_to_half(s * value) == (bits | sign));
      CHECK(float_to_half(s * middle) == ((bits + bits % 2) | sign));
      CHECK(float_to_half(s * std::nextafter(middle, 0.0f)) == (bits | sign));
      CHECK(float_to_half(s * std::nextafter(middle, 1e9f)) == ((bits + 1) | sign));
    }
  }
  for (const float huge : {65536.0f, 1e6f, 3e38f, std::numeric_limits<float>::infinity()}) {
    CHECK(float_to_half(huge) == 0x7C00);
    CHECK(float_to_half(-huge) == 0xFC00);
  }
  for (const uint32_t nan : {0x7FC00000u, 0x7F800001u, 0xFFFFFFFFu}) {
    const uint16_t half = float_to_half(float_of(nan));
    CHECK((half & 0x7C00) == 0x7C00);
    CHECK((half & 0x3FF) != 0);
  }
  CHECK(float_to_half(1e-40f) == 0);
  CHECK(float_to_half(-1e-40f) == 0x8000);
}

TEST_CASE("bfloat_to_float takes the upper half of a float") {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    if ((bits & 0x7FFF) > 0x7F80) continue;
    CHECK(bits_of(bfloat_to_float(static_cast<uint16_t>(bits))) == bits << 16);
  }
}
