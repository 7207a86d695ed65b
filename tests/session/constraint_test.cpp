#include "inlay/session/constraint.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <inlay.hpp>
#include <set>
#include <string>
#include <vector>

#include "support/models/shapes.hpp"

namespace {

using inlay::Constraint;
using inlay::Model;
using inlay::Session;
using inlay::SessionOptions;
using inlay::Span;
using inlay::StopReason;
using inlay::Token;
using Tokens = std::vector<Token>;

constexpr Token kEnd = 2;
const Tokens kPrompt = {1, 44, 90, 300, 17};

// Allows a set of tokens for each place of the output (the last set for all that follow); an empty
// one allows nothing. Notes what it is asked.
struct Places {
  std::vector<std::set<Token>> sets;
  bool forces = false;
  Tokens accepted = {};
  uint32_t masks = 0, checks = 0, rolled_back = 0;

  const std::set<Token>& next() const { return sets[std::min(accepted.size(), sets.size() - 1)]; }
  Constraint constraint(bool with_allows = true) {
    Constraint c;
    c.user = this;
    c.mask = [](void* user, Span<uint64_t> allowed) {
      Places& self = *static_cast<Places*>(user);
      ++self.masks;
      for (const Token t : self.next()) allowed[size_t(t) / 64] |= uint64_t{1} << (t % 64);
      return !self.next().empty();
    };
    c.accept = [](void* user, Token token) {
      Places& self = *static_cast<Places*>(user);
      CHECK(self.next().count(token) == 1);
      self.accepted.push_back(token);
    };
    c.rollback = [](void* user, uint32_t tokens) {
      Places& self = *static_cast<Places*>(user);
      REQUIRE(tokens <= self.accepted.size());
      self.accepted.resize(self.accepted.size() - tokens);
      self.rolled_back += tokens;
    };
    if (with_allows) {
      c.allows = [](void* user, Token token) {
        ++static_cast<Places*>(user)->checks;
        return static_cast<Places*>(user)->next().count(token) == 1;
      };
    }
    if (forces) {
      c.forced = [](void* user, Span<Token> room) -> uint32_t {
        const Places& self = *static_cast<Places*>(user);
        uint32_t n = 0;
        for (size_t i = self.accepted.size(); i < self.sets.size() && n < room.size(); ++i) {
          if (self.sets[i].size() != 1) break;
          room[n++] = *self.sets[i].begin();
        }
        return n;
      };
    }
    return c;
  }
};

struct Opened {
  random_model::Memory memory{
      random_model::make(*random_model::find_spec("llama-tiny"), random_model::Type::f32)};
  Model model = *Model::from_memory({memory.data(), memory.size()});
};

Session create(const Model& model, float temperature, uint32_t context = 64) {
  SessionOptions options;
  options.context = context;
  options.sampling.temperature = temperature;
  options.sampling.top_k = 0;
  options.sampling.top_p = 1.0f;
  options.sampling.min_p = 0.0f;
  options.kv_cache = inlay::KvCacheType::f32;
  auto session = Session::create(model, options);
  REQUIRE(bool(session));
  return std::move(*session);
}

Tokens run(Session& session, const Tokens& prompt = kPrompt) {
  REQUIRE(session.prompt(Span<const Token>(prompt)));
  while (session.next() != nullptr) {
  }
  return {session.tokens().begin() + long(prompt.size()), session.tokens().end()};
}

std::vector<float> logits_after(const Model& model, const Tokens& tokens) {
  Session session = create(model, 0);
  std::vector<float> out;
  REQUIRE(session.evaluate(
      Span<const Token>(tokens), true,
      [](void* user, size_t, Span<const float> row) {
        static_cast<std::vector<float>*>(user)->assign(row.begin(), row.end());
      },
      &out));
  return out;
}

}  // namespace

TEST_CASE("greedy output is the most probable of what is allowed") {
  const Opened opened;
  for (const bool with_allows : {true, false}) {
    Places places{{{100, 101, 102}, {7, 250}, {kEnd}}};
    const Constraint constraint = places.constraint(with_allows);
    Session session = create(opened.model, 0);
    session.constrain(&constraint);
    const Tokens written = run(session);
    CHECK(session.stop_reason() == StopReason::end_of_text);
    REQUIRE(written.size() == 2);
    Tokens text = kPrompt;
    for (size_t i = 0; i < 2; ++i) {
      const std::vector<float> logits = logits_after(opened.model, text);
      for (const Token other : places.sets[i]) {
        CHECK(logits[size_t(other)] <= logits[size_t(written[i])]);
      }
      text.push_back(written[i]);
    }
    CHECK(places.accepted == written);
    CHECK(places.masks == 3);  // none of these is what the model would write
    CHECK(places.checks == (with_allows ? 3 : 0));
  }
}

TEST_CASE("the mask is not asked for when what is drawn is allowed") {
  const Opened opened;
  Session session = create(opened.model, 0, 16);
  const Tokens free = run(session);
  Places places{{}};
  for (const Token t : free) places.sets.push_back({t, 5});
  const Constraint constraint = places.constraint();
  session.constrain(&constraint);
  CHECK(run(session) == free);
  CHECK(places.masks == 0);
  CHECK(places.checks >= free.size());
}

TEST_CASE("allowed tokens are drawn in the proportions of the model") {
  const Opened opened;
  const std::vector<float> logits = logits_after(opened.model, kPrompt);
  for (const bool with_allows : {true, false}) {
    CAPTURE(with_allows);
    Places places{{{3, 44, 90, 200, 201, 202, 310}, {}}};
    const Constraint constraint = places.constraint(with_allows);
    Session session = create(opened.model, 1);
    session.constrain(&constraint);
    double total = 0;
    for (const Token t : places.sets[0]) total += std::exp(double{logits[size_t(t)]});
    constexpr int kDraws = 4000;
    std::vector<int> drawn(logits.size());
    inlay::Sampling sampling;
    sampling.temperature = 1;
    sampling.top_k = 0;
    sampling.top_p = 1.0f;
    sampling.min_p = 0.0f;
    for (int draw = 0; draw < kDraws; ++draw) {
      sampling.seed = uint64_t(draw);
      session.set_sampling(sampling);
      const Tokens written = run(session);
      REQUIRE(written.size() == 1);
      ++drawn[size_t(written[0])];
    }
    for (const Token t : places.sets[0]) {
      const double p = std::exp(double{logits[size_t(t)]}) / total;
      CAPTURE(t);
      CHECK(std::fabs(drawn[size_t(t)] - kDraws * p) <= 5 * std::sqrt(kDraws * p * (1 - p)) + 1);
    }
  }
}

TEST_CASE("tokens that must follow are taken without a choice and read together") {
  const Opened opened;
  const std::vector<std::set<Token>> sets = {{10}, {11}, {12}, {20, 21, 22}, {30}, {31}, {kEnd}};
  Places asked{sets}, forced{sets, true};
  const Constraint by_mask = asked.constraint(), by_force = forced.constraint();
  Session session = create(opened.model, 0);
  session.constrain(&by_mask);
  const Tokens expected = run(session);
  CHECK(expected.size() == 6);
  CHECK(asked.masks == 7);
  for (int round = 0; round < 2; ++round) {  // again from the first state
    session.constrain(round == 0 ? &by_force : nullptr);
    session.constrain(&by_force);
    forced.accepted.clear();
    forced.masks = 0;
    CHECK(run(session) == expected);
    CHECK(session.stop_reason() == StopReason::end_of_text);
    CHECK(forced.masks == 1);
    CHECK(forced.accepted == expected);
    // The last three were never read: nothing was to be chosen after them.
    CHECK(session.cached() == kPrompt.size() + 4 - 1);
  }
}

TEST_CASE("of what must follow, nothing is taken that is no token or has no room") {
  const Opened opened;
  struct Program {
    Token wrong;
    uint32_t more;  // than there is room for
    Tokens accepted;
  };
  const Token n_vocab = static_cast<Token>(opened.model.shape().n_vocab);
  for (const Token wrong : {Token{-7}, inlay::kNoToken, n_vocab, INT32_MAX, Token{100}}) {
    CAPTURE(wrong);
    Program program = {wrong, wrong == 100 ? 9u : 0u, {}};
    Constraint constraint;
    constraint.user = &program;
    constraint.mask = [](void*, Span<uint64_t> allowed) {
      allowed[kEnd / 64] |= uint64_t{1} << kEnd % 64;
      return true;
    };
    constraint.accept = [](void* user, Token token) {
      static_cast<Program*>(user)->accepted.push_back(token);
    };
    constraint.forced = [](void* user, Span<Token> room) -> uint32_t {
      const Program& self = *static_cast<Program*>(user);
      if (!self.accepted.empty()) return 0;
      for (Token& token : room) token = self.wrong;
      room[0] = 100;
      return static_cast<uint32_t>(room.size()) + self.more;
    };
    Session session = create(opened.model, 0);
    session.constrain(&constraint);
    const Tokens written = run(session);
    CHECK(written == Tokens(wrong == 100 ? 64 - kPrompt.size() : 1, 100));
    CHECK(written == program.accepted);
    CHECK(session.status());
  }
}

TEST_CASE("a new prompt and a truncation take the constraint back") {
  const Opened opened;
  Places places{{{10}, {11, 12}, {13}, {14}, {15}, {}}};
  const Constraint constraint = places.constraint();
  Session session = create(opened.model, 0);
  session.constrain(&constraint);
  const Tokens first = run(session);
  CHECK(first.size() == 5);
  CHECK(places.rolled_back == 0);
  CHECK(run(session) == first);
  CHECK(places.rolled_back == 5);
  session.truncate(uint32_t(kPrompt.size()) + 2);
  CHECK(places.rolled_back == 8);
  CHECK(places.accepted == Tokens(first.begin(), first.begin() + 2));
  session.truncate(1);
  CHECK(places.accepted.empty());
  session.constrain(nullptr);
  CHECK(run(session).size() > 5);
  CHECK(places.accepted.empty());
}

TEST_CASE("nothing allowed ends the output") {
  const Opened opened;
  for (const bool forces : {false, true}) {
    Places places{{{40}, {41}, {}}, forces};
    const Constraint constraint = places.constraint();
    Session session = create(opened.model, 0);
    session.constrain(&constraint);
    CHECK(run(session) == Tokens{40, 41});
    CHECK(session.stop_reason() == StopReason::end_of_text);
    CHECK(session.status());
  }
}
