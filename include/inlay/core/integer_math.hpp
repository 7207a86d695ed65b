// Exponentials and logarithms made of integers, and of such operations on doubles that IEEE 754
// leaves no choice in (nothing that a compiler could fuse into a multiply-add): the same bits with
// every processor, compiler and C library. What is drawn depends on them.
#ifndef INLAY_CORE_INTEGER_MATH_HPP_
#define INLAY_CORE_INTEGER_MATH_HPP_

#include <cmath>
#include <cstdint>

#include "inlay/config.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

inline constexpr double kLn2 = 0.6931471805599453;
inline constexpr int kWeightBits = 42;  // so 2^22 weights of 1 have a sum that fits

// 2^(-x / 2^32) in units of 2^-42. The fraction's part by a polynomial that goes through 2^-f at
// eight Chebyshev nodes of [0, 1]: it is within 2e-9 of it.
inline uint64_t exp2_negative(uint64_t x) noexcept {
  const uint64_t whole = x >> 32, f = x & 0xffffffff;
  if (whole > kWeightBits) return 0;
  uint64_t v = 0x9a6a6 - (0xb58d * f >> 32);
  v = 0x5704af - (v * f >> 32);
  v = 0x2762a6d - (v * f >> 32);
  v = 0xe357996 - (v * f >> 32);
  v = 0x3d7f7aa6 - (v * f >> 32);
  v = 0xb17217e7 - (v * f >> 32);
  v = 0x100000000 - (v * f >> 32);
  return v << (kWeightBits - 32) >> whole;
}

// log2(e) * x in units of 2^-32, at most 64: that is what exp2_negative() makes e^-x of.
inline uint64_t to_bits(double x) noexcept {
  const double bits = x * 1.4426950408889634;
  constexpr int64_t kMost = int64_t{64} << 32;  // signed: SSE2 converts nothing else at once
  return static_cast<uint64_t>(bits < 64 ? static_cast<int64_t>(bits * 0x1p32) : kMost);
}

// Within 1e-8 of log2(x), for x > 0: squares the mantissa once for each bit.
INLAY_COLD inline double log2_exactly(double x) noexcept {
  int exponent = 0;
  uint64_t m = static_cast<uint64_t>(std::frexp(x, &exponent) * 0x1p32);  // in [2^31, 2^32)
  uint64_t fraction = 0;
  for (int i = 0; i < 30; ++i) {
    m = m * m >> 31;
    const uint64_t bit = m >> 32;
    m >>= bit;
    fraction = fraction << 1 | bit;
  }
  return static_cast<double>(exponent - 1) + static_cast<double>(fraction) * 0x1p-30;
}

// Within 2e-9 of 2^x, relatively; 0 or infinity where that is out of range.
INLAY_COLD inline double exp2_exactly(double x) noexcept {
  if (!(x < 2000)) return HUGE_VAL;
  if (x < -2000) return 0;
  const double up = std::ceil(x);
  const uint64_t down = static_cast<uint64_t>((up - x) * 0x1p32);
  return std::ldexp(static_cast<double>(exp2_negative(down)), static_cast<int>(up) - kWeightBits);
}

// The upper 64 bits of a * b.
inline uint64_t multiply_high(uint64_t a, uint64_t b) noexcept {
  const uint64_t a0 = a & 0xffffffff, a1 = a >> 32, b0 = b & 0xffffffff, b1 = b >> 32;
  const uint64_t middle = a1 * b0 + (a0 * b0 >> 32), other = a0 * b1 + (middle & 0xffffffff);
  return a1 * b1 + (middle >> 32) + (other >> 32);
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_CORE_INTEGER_MATH_HPP_
