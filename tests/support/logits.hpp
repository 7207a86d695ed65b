// Logits of a model of the tests, and whether two runs gave the same.
#ifndef INLAY_TESTS_SUPPORT_LOGITS_HPP_
#define INLAY_TESTS_SUPPORT_LOGITS_HPP_

#include <doctest/doctest.h>

#include <cstring>
#include <inlay.hpp>
#include <vector>

namespace inlay_test {

// The logits of a few tokens after each other, in batches of `batch`.
inline std::vector<float> logits_of(const inlay::Model& model, uint32_t batch = 4) {
  inlay::SessionOptions options;
  options.context = 16;
  options.batch = batch;
  auto session = inlay::Session::create(model, options);
  REQUIRE(session);
  const inlay::Token tokens[] = {1, 70, 45, 200, 3, 3, 258, 99, 12};
  std::vector<float> out;
  REQUIRE(session->evaluate(
      {tokens, 9}, false,
      [](void* user, size_t, inlay::Span<const float> row) {
        auto& all = *static_cast<std::vector<float>*>(user);
        all.insert(all.end(), row.begin(), row.end());
      },
      &out));
  return out;
}

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

}  // namespace inlay_test

#endif  // INLAY_TESTS_SUPPORT_LOGITS_HPP_
