// The model in this repository: byte-level BPE, with control tokens and those for filling in.
#ifndef INLAY_TESTS_SUPPORT_DEMO_MODEL_HPP_
#define INLAY_TESTS_SUPPORT_DEMO_MODEL_HPP_

#include <doctest/doctest.h>

#include <inlay.hpp>
#include <string>

namespace inlay_test {

inline constexpr const char* kDemoPath = INLAY_SOURCE_DIR "/examples/demo_model/inlay-demo.gguf";

inline inlay::Model demo_model(const inlay::ModelOptions& options = {}) {
  auto model = inlay::Model::open(kDemoPath, options);
  CAPTURE(model ? std::string() : std::string(model.error().message()));
  REQUIRE(bool(model));
  return *model;
}

}  // namespace inlay_test

#endif  // INLAY_TESTS_SUPPORT_DEMO_MODEL_HPP_
