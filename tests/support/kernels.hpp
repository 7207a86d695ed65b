// What the tests of kernels share: every SIMD target that this CPU runs, and numbers to try it on.
#ifndef INLAY_TESTS_SUPPORT_KERNELS_HPP_
#define INLAY_TESTS_SUPPORT_KERNELS_HPP_

#include <doctest/doctest.h>

#include <cstdint>
#include <vector>

#include "inlay/kernels/kernels.hpp"

namespace inlay_test {

// check(const Kernels&) for each of them, but not twice for a sub-target and its target: they
// differ in products with weights only, and the tests of those have a loop of their own.
template <class F>
void for_each_target(const F& check) {
  const inlay::detail::Kernels* kernels[8];
  const size_t n = inlay::detail::runnable_kernels(kernels);
  REQUIRE(n >= 1);
  for (size_t i = 0; i < n; ++i) {
    if (i + 1 < n && kernels[i]->attention == kernels[i + 1]->attention) continue;
    CAPTURE(kernels[i]->name);
    check(*kernels[i]);
  }
}

// Uniform in [-size, size]. (Numerical Recipes' LCG, top bits.)
inline std::vector<float> random_floats(size_t n, float size, uint32_t seed) {
  std::vector<float> x(n);
  for (float& v : x) {
    seed = seed * 1664525u + 1013904223u;
    v = (static_cast<float>(seed >> 8) * 0x1p-23f - 1.0f) * size;
  }
  return x;
}

}  // namespace inlay_test

#endif  // INLAY_TESTS_SUPPORT_KERNELS_HPP_
