// What tests of sessions share: a model in memory, tokens to read, what a session writes and holds.
#ifndef INLAY_TESTS_SUPPORT_SESSIONS_HPP_
#define INLAY_TESTS_SUPPORT_SESSIONS_HPP_

#include <doctest/doctest.h>

#include <cstdint>
#include <inlay.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/models/architectures.hpp"

namespace inlay_test {

using Bytes = std::vector<uint8_t>;
using Tokens = std::vector<inlay::Token>;

// The value, or the test fails and says why there is none.
template <class T>
T taken(inlay::Result<T> result) {
  CAPTURE(result ? std::string() : std::string(result.error().message()));
  REQUIRE(bool(result));
  return std::move(*result);
}

// A file in memory and the model on it.
class INLAY_HIDDEN Opened {
 public:
  explicit Opened(const random_model::File& file, const inlay::ModelOptions& options = {})
      : memory_(file),
        model_(taken(inlay::Model::from_memory({memory_.data(), memory_.size()}, options))) {}
  // One of the tables of architectures.
  Opened(std::string_view name, random_model::Type type, const inlay::ModelOptions& options = {})
      : Opened(random_model::written(*random_model::find_model(name), type).file(), options) {}
  explicit Opened(std::string_view name, const inlay::ModelOptions& options = {})
      : Opened(name, random_model::Type::f32, options) {}
  const inlay::Model& operator*() const { return model_; }
  const inlay::Model* operator->() const { return &model_; }
  const random_model::Memory& bytes() const { return memory_; }

 private:
  random_model::Memory memory_;
  inlay::Model model_;
};

// The host's clock: with each reading a microsecond has passed, so that step(n) runs about n
// tickets.
struct TicketClock {
  uint64_t calls = 0;
  inlay::ModelOptions options() {
    inlay::ModelOptions o;
    o.host.clock.user = this;
    o.host.clock.now_us = [](void* user) { return ++static_cast<TicketClock*>(user)->calls; };
    return o;
  }
};

// Tokens by chance, of `kinds` different ones; none of them is special.
inline Tokens some_tokens(size_t n, uint32_t seed = 1, uint32_t kinds = 200) {
  Tokens tokens;
  for (size_t i = 0; i < n; ++i) {
    seed = seed * 1664525u + 1013904223u;
    tokens.push_back(static_cast<inlay::Token>(3 + (seed >> 16) % kinds));
  }
  return tokens;
}
inline Tokens operator+(Tokens a, const Tokens& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

inline inlay::Session create(const inlay::Model& model, const inlay::SessionOptions& options) {
  return taken(inlay::Session::create(model, options));
}
inline void prompt(inlay::Session& session, const Tokens& tokens) {
  REQUIRE(session.prompt(inlay::Span<const inlay::Token>(tokens)));
}
inline Tokens tokens_of(const inlay::Session& session) {
  return {session.tokens().begin(), session.tokens().end()};
}
// Prompt and output, when the output has ended.
inline Tokens continued(inlay::Session& session) {
  while (session.next() != nullptr) {
  }
  REQUIRE(session.status());
  return tokens_of(session);
}
inline Bytes saved(const inlay::Session& session, uint32_t skip = 0) {
  Bytes state(session.state_bytes(skip));
  REQUIRE(session.save(state, skip));
  return state;
}

}  // namespace inlay_test

#endif  // INLAY_TESTS_SUPPORT_SESSIONS_HPP_
