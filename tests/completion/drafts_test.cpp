#include "inlay/completion/drafts.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <inlay.hpp>
#include <string>
#include <vector>

#include "support/demo_model.hpp"
#include "support/models/shapes.hpp"

namespace {

using inlay::Drafter;
using inlay::DraftOptions;
using inlay::Drafts;
using inlay::Model;
using inlay::Session;
using inlay::SessionOptions;
using inlay::Step;
using inlay::Token;
using inlay_test::demo_model;
using Tokens = std::vector<Token>;

// Text that says the same thing many times, with small differences.
const char* const kRepetitive =
    "static int add_first(int first, int value) {\n  if (value < 0) return -1;\n"
    "  return first + value;\n}\n"
    "static int add_second(int second, int value) {\n  if (value < 0) return -1;\n"
    "  return second + value;\n}\n"
    "static int add_third(int third, int value) {\n";

Tokens write(Session* session, const Model& model, const char* text, uint32_t budget_us = 0) {
  REQUIRE(bool(session->prompt(text)));
  const size_t n = session->tokens().size();
  if (budget_us == 0) {
    while (session->next() != nullptr) {
    }
  } else {
    for (;;) {
      const Step step = session->step(budget_us);
      if (step == Step::done || step == Step::failed) break;
    }
  }
  CHECK(bool(session->status()));
  (void)model;
  return {session->tokens().begin() + n, session->tokens().end()};
}

SessionOptions options_with(float temperature, uint64_t seed, uint32_t tokens) {
  SessionOptions options;
  options.sampling.temperature = temperature;
  options.sampling.seed = seed;
  options.max_tokens = tokens;
  // Otherwise a batch's logits differ by roundings from a single token's.
  options.batch_invariant = true;
  return options;
}

// Guesses at random, right about every second time.
struct Guesser {
  const Tokens* text = nullptr;  // the whole text, if nothing is guessed wrongly
  uint32_t random = 1;
  uint64_t drafted = 0, accepted = 0;
  static bool draft(void* user, inlay::Span<const Token> tokens, uint64_t, inlay::Span<Token> room,
                    uint32_t* count) {
    Guesser& g = *static_cast<Guesser*>(user);
    g.random = g.random * 1664525u + 1013904223u;
    *count = g.random >> 28 & 7;
    if (*count > room.size()) *count = static_cast<uint32_t>(room.size());
    for (uint32_t i = 0; i < *count; ++i) {
      const size_t at = tokens.size() + i;
      g.random = g.random * 1664525u + 1013904223u;
      const bool right = (g.random >> 30) != 0 && at < g.text->size();
      room[i] = right ? (*g.text)[at] : static_cast<Token>(g.random >> 22);
    }
    return true;
  }
  static void learn(void* user, uint32_t drafted, uint32_t accepted) {
    static_cast<Guesser*>(user)->drafted += drafted;
    static_cast<Guesser*>(user)->accepted += accepted;
    CHECK(accepted <= drafted);
  }
  Drafter drafter() {
    Drafter d;
    d.draft = &Guesser::draft;
    d.learn = &Guesser::learn;
    d.user = this;
    return d;
  }
};

}  // namespace

TEST_CASE("Whatever is guessed, the text stays the same, greedy and drawn") {
  const Model model = demo_model();
  for (const float temperature : {0.0f, 0.8f}) {
    for (uint64_t seed = 1; seed <= (temperature == 0 ? 1u : 6u); ++seed) {
      CAPTURE(temperature);
      CAPTURE(seed);
      auto plain = Session::create(model, options_with(temperature, seed, 60));
      auto guessed = Session::create(model, options_with(temperature, seed, 60));
      REQUIRE((plain && guessed));
      const Tokens expected = write(&*plain, model, kRepetitive);
      const Tokens text(plain->tokens().begin(), plain->tokens().end());
      Guesser guesser;
      guesser.text = &text;
      guesser.random = static_cast<uint32_t>(seed);
      const Drafter drafter = guesser.drafter();
      guessed->speculate(&drafter);
      CHECK(write(&*guessed, model, kRepetitive) == expected);
      CHECK(write(&*guessed, model, kRepetitive, 50) == expected);  // in slices
      CHECK(guessed->accepted() > 10);
      CHECK(guessed->drafted() > guessed->accepted());
      CHECK(guesser.accepted <= guessed->accepted());
      CHECK(plain->stop_reason() == guessed->stop_reason());
    }
  }
}

TEST_CASE("Without batch_invariant a text that has no close calls is the same too") {
  const Model model = demo_model();
  SessionOptions options = options_with(0, 0, 40);
  options.batch_invariant = false;
  auto plain = Session::create(model, options), guessed = Session::create(model, options);
  auto drafts = Drafts::create(model);
  REQUIRE((plain && guessed && drafts));
  const Drafter drafter = drafts->drafter();
  guessed->speculate(&drafter);
  CHECK(write(&*guessed, model, kRepetitive) == write(&*plain, model, kRepetitive));
  // The point of it: most of what repeats itself is guessed.
  CHECK(guessed->accepted() >= 12);
}

TEST_CASE("What is drawn with guesses has the same distribution") {
  const Model model = demo_model();
  SessionOptions options = options_with(1.0f, 0, 3);
  auto plain = Session::create(model, options), guessed = Session::create(model, options);
  auto drafts = Drafts::create(model);
  REQUIRE((plain && guessed && drafts));
  const Drafter drafter = drafts->drafter();
  guessed->speculate(&drafter);
  // Different seeds on both sides, so that equal draws cannot hide a bias. The second token is
  // the first that a guess can change.
  constexpr int kDraws = 400;
  std::vector<int> counts[2];
  for (auto& c : counts) c.resize(model.tokenizer().size());
  for (int side = 0; side < 2; ++side) {
    Session& session = side == 0 ? *plain : *guessed;
    for (int i = 0; i < kDraws; ++i) {
      inlay::Sampling sampling;
      sampling.temperature = 1.0f;
      sampling.seed = static_cast<uint64_t>(i + side * 100000 + 1);
      session.set_sampling(sampling);
      const Tokens written = write(&session, model, kRepetitive);
      if (written.size() > 1) ++counts[side][static_cast<size_t>(written[1])];
    }
  }
  CHECK(guessed->accepted() > 100);
  // Two-sample chi-squared over tokens with enough draws.
  double chi = 0;
  int kinds = 0;
  for (size_t t = 0; t < counts[0].size(); ++t) {
    const double a = counts[0][t], b = counts[1][t];
    if (a + b < 10) continue;
    chi += (a - b) * (a - b) / (a + b);
    ++kinds;
  }
  REQUIRE(kinds > 2);
  CHECK(chi < kinds + 4 * std::sqrt(2.0 * kinds));  // four standard deviations
}

TEST_CASE("A small model guesses: here the same model, which is always right") {
  const Model model = demo_model();
  auto plain = Session::create(model, options_with(0, 0, 40));
  auto guessed = Session::create(model, options_with(0, 0, 40));
  DraftOptions options;
  options.least_match = 0;
  options.model = &model;
  options.session.batch_invariant = true;
  auto drafts = Drafts::create(model, options);
  REQUIRE((plain && guessed && drafts));
  const Drafter drafter = drafts->drafter();
  guessed->speculate(&drafter);
  const char* text = "int main(int argc, char** argv) {\n";
  const Tokens expected = write(&*plain, model, text);
  CHECK(write(&*guessed, model, text) == expected);
  CHECK(guessed->accepted() * 10 >= guessed->drafted() * 9);
  CHECK(guessed->accepted() >= 25);  // 3 of 4 tokens
  CHECK(write(&*guessed, model, text, 100) == expected);
}

TEST_CASE("A reference is looked at too") {
  const Model model = demo_model();
  auto first = Session::create(model, options_with(0, 0, 40));
  REQUIRE(bool(first));
  const char* text = "int main(int argc, char** argv) {\n";
  write(&*first, model, text);
  const Tokens all(first->tokens().begin(), first->tokens().end());
  auto second = Session::create(model, options_with(0, 0, 40));
  auto drafts = Drafts::create(model);
  REQUIRE((second && drafts));
  drafts->set_reference({all.data(), all.size()});
  const Drafter drafter = drafts->drafter();
  second->speculate(&drafter);
  write(&*second, model, text);
  CHECK(Tokens(second->tokens().begin(), second->tokens().end()) == all);
  CHECK(second->accepted() >= 30);
}

TEST_CASE("The cache is right after guesses: prompt, truncate and evaluate go on from it") {
  const Model model = demo_model();
  auto plain = Session::create(model, options_with(0, 0, 30));
  auto guessed = Session::create(model, options_with(0, 0, 30));
  REQUIRE((plain && guessed));
  const Tokens expected = write(&*plain, model, kRepetitive);
  const Tokens all(plain->tokens().begin(), plain->tokens().end());
  Guesser guesser;
  guesser.text = &all;
  const Drafter drafter = guesser.drafter();
  guessed->speculate(&drafter);
  for (int pieces = 1; pieces < 20; ++pieces) {
    CAPTURE(pieces);
    REQUIRE(bool(guessed->prompt(kRepetitive)));
    for (int i = 0; i < pieces; ++i) guessed->next();
    CHECK(guessed->cached() <= guessed->tokens().size());
    const size_t keep = all.size() - expected.size();
    guessed->truncate(static_cast<uint32_t>(keep));
    REQUIRE(guessed->tokens().size() == keep);
    std::vector<float> logits, reference;
    const auto take = [](void* user, size_t, inlay::Span<const float> row) {
      static_cast<std::vector<float>*>(user)->assign(row.begin(), row.end());
    };
    const Token next[] = {all[keep], all[keep + 1]};
    REQUIRE(bool(guessed->evaluate(next, true, take, &logits)));
    plain->truncate(static_cast<uint32_t>(keep));
    REQUIRE(bool(plain->evaluate(next, true, take, &reference)));
    CHECK(logits == reference);
  }
}

TEST_CASE("A session that has guessed is saved without its guesses") {
  const Model model = demo_model();
  auto plain = Session::create(model, options_with(0, 0, 30));
  auto guessed = Session::create(model, options_with(0, 0, 30));
  auto restored = Session::create(model, options_with(0, 0, 30));
  REQUIRE((plain && guessed && restored));
  write(&*plain, model, kRepetitive);
  const Tokens all(plain->tokens().begin(), plain->tokens().end());
  Guesser guesser;
  guesser.text = &all;
  const Drafter drafter = guesser.drafter();
  guessed->speculate(&drafter);
  REQUIRE(bool(guessed->prompt(kRepetitive)));
  while (guessed->next() != nullptr) {
    std::vector<uint8_t> state(guessed->state_bytes());
    REQUIRE(bool(guessed->save(state)));
    REQUIRE(bool(restored->restore(state)));
    while (restored->next() != nullptr) {
    }
    CHECK(Tokens(restored->tokens().begin(), restored->tokens().end()) == all);
  }
}

TEST_CASE("Recurrent models take no guesses, small contexts and bad guesses do no harm") {
  const Model model = demo_model();
  SessionOptions options = options_with(0, 0, 0);
  options.context = 100;
  auto session = Session::create(model, options);
  auto plain = Session::create(model, options);
  REQUIRE((session && plain));
  // Ids outside the vocabulary, and more of them than there is room for.
  Drafter wild;
  wild.draft = [](void*, inlay::Span<const Token>, uint64_t, inlay::Span<Token> room,
                  uint32_t* count) {
    for (Token& token : room) token = 1 << 30;
    *count = 1000;
    return true;
  };
  session->speculate(&wild);
  CHECK(write(&*session, model, kRepetitive) == write(&*plain, model, kRepetitive));
  CHECK(session->drafted() == 0);
  auto drafts = Drafts::create(model);
  REQUIRE(bool(drafts));
  const Drafter drafter = drafts->drafter();
  session->speculate(&drafter);
  const Tokens with_guesses = write(&*session, model, kRepetitive);
  session->speculate(nullptr);
  CHECK(with_guesses == write(&*session, model, kRepetitive));
}

TEST_CASE("Options that make no sense are refused") {
  const Model model = demo_model();
  DraftOptions options;
  options.most = 0;
  CHECK_FALSE(bool(Drafts::create(model, options)));
  options.most = 8;
  auto refused = Drafts::create(model, options);
  REQUIRE_FALSE(bool(refused));
  CHECK(std::string(refused.error().message()).find("1 to 7") != std::string::npos);
  const random_model::Memory memory(
      random_model::make(*random_model::find_spec("llama-gqa"), random_model::Type::f16));
  auto other = Model::from_memory({memory.data(), memory.size()});
  REQUIRE(bool(other));
  options.most = 4;
  options.model = &*other;
  CHECK_FALSE(bool(Drafts::create(model, options)));
}
