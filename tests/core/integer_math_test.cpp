#include "inlay/core/integer_math.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>

using inlay::detail::exp2_exactly;
using inlay::detail::log2_exactly;

TEST_CASE("exponentials and logarithms of integers are those of the C library") {
  for (double x = 0; x < 40; x += 0.0137) {
    const double w = double(inlay::detail::exp2_negative(uint64_t(x * 0x1p32)));
    CHECK(std::fabs(w * 0x1p-42 - std::exp2(-x)) <= 3e-9 * std::exp2(-x) + 0x1p-42);
  }
  CHECK(inlay::detail::exp2_negative(0) == uint64_t{1} << 42);
  CHECK(inlay::detail::exp2_negative(uint64_t{1} << 32) == uint64_t{1} << 41);
  CHECK(inlay::detail::exp2_negative(uint64_t{64} << 32) == 0);
  CHECK(inlay::detail::to_bits(INFINITY) == uint64_t{64} << 32);
  CHECK(inlay::detail::to_bits(NAN) == uint64_t{64} << 32);
  for (double x = 1e-20; x < 1e20; x *= 1.37)
    CHECK(std::fabs(log2_exactly(x) - std::log2(x)) < 2e-8);
  for (double x = -50; x < 50; x += 0.173) {
    CHECK(std::fabs(exp2_exactly(x) / std::exp2(x) - 1) < 4e-9);
  }
  CHECK(exp2_exactly(INFINITY) == HUGE_VAL);
  CHECK(exp2_exactly(-1e9) == 0);
  CHECK(inlay::detail::multiply_high(UINT64_MAX, UINT64_MAX) == UINT64_MAX - 1);
  CHECK(inlay::detail::multiply_high(uint64_t{1} << 63, 10) == 5);
  CHECK(inlay::detail::multiply_high(0x123456789abcdef0, 0xfedcba9876543210) == 0x121fa00ad77d7422);
}
