#include "inlay/completion/choose.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <inlay.hpp>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/demo_model.hpp"
#include "support/models/architectures.hpp"

namespace {

using inlay::ChooseOptions;
using inlay::Chooser;
using inlay::ErrorCode;
using inlay::Model;
using inlay::Session;
using inlay::SessionOptions;
using inlay::Span;
using inlay::Step;
using inlay::Token;
using Texts = std::vector<std::string_view>;
using Tokens = std::vector<Token>;

const Model& demo() {
  static const Model opened = inlay_test::demo_model();
  return opened;
}

SessionOptions exact() {
  SessionOptions options;
  options.context = 256;
  options.kv_cache = inlay::KvCacheType::f32;
  options.batch_invariant = true;
  return options;
}

Session create(const Model& model, const SessionOptions& options = exact()) {
  auto session = Session::create(model, options);
  REQUIRE(bool(session));
  return std::move(*session);
}

Tokens encode(const Model& model, std::string_view text) {
  Tokens ids(inlay::Tokenizer::max_tokens(text.size()));
  const auto n = model.tokenizer().encode(text, ids);
  REQUIRE(bool(n));
  ids.resize(*n);
  return ids;
}

// log P(tokens from `from` on | those before), from logits.
double log_probability(const Model& model, const Tokens& tokens, size_t from) {
  Session session = create(model);
  struct Sum {
    const Tokens* tokens;
    size_t from;
    double sum = 0;
  } sum{&tokens, from};
  REQUIRE(session.evaluate(
      Span<const Token>(tokens), false,
      [](void* user, size_t position, Span<const float> row) {
        Sum& s = *static_cast<Sum*>(user);
        if (position + 1 < s.from || position + 1 >= s.tokens->size()) return;
        double total = 0;
        for (const float x : row) total += std::exp(double{x});
        s.sum += double{row[size_t((*s.tokens)[position + 1])]} - std::log(total);
      },
      &sum));
  return sum.sum;
}

// What choices() should be.
void check_choices(const Model& model, const Chooser& chooser, const std::string& prompt,
                   const Texts& options, const ChooseOptions& how = {}) {
  std::vector<Tokens> all;
  size_t shared = SIZE_MAX;
  for (const std::string_view option : options) {
    all.push_back(encode(model, prompt + std::string(option) + std::string(how.after)));
    size_t same = 0;
    while (same + 1 < all.back().size() && same < all[0].size() && all[0][same] == all.back()[same])
      ++same;
    shared = std::min(shared, same);
  }
  REQUIRE(chooser.choices().size() == options.size());
  std::vector<double> scores;
  for (size_t i = 0; i < options.size(); ++i) {
    CAPTURE(i);
    const double expected = log_probability(model, all[i], shared);
    const inlay::Choice& choice = chooser.choices()[i];
    CHECK(std::fabs(double{choice.logprob} - expected) < 1e-3);
    CHECK(choice.tokens == all[i].size() - shared);
    scores.push_back(how.per_token ? expected / double(choice.tokens) : expected);
  }
  double total = 0;
  for (const double score : scores) total += std::exp(score - scores[chooser.best()]);
  for (size_t i = 0; i < options.size(); ++i) {
    CHECK(scores[i] <= scores[chooser.best()] + 1e-4);
    const double p = std::exp(scores[i] - scores[chooser.best()]) / total;
    CHECK(std::fabs(double{chooser.choices()[i].probability} - p) < 2e-3);
  }
}

const std::string kPrompt = "for (size_t i = 0; i < values.size(); ++i) {\n  if (values[i] ";
const Texts kOptions = {"== 0) return false;",
                        "< 0",
                        "== nullptr) continue;",
                        "!= other[i])",
                        "banana banana banana banana banana",
                        "="};

}  // namespace

TEST_CASE("options get the probabilities that the logits give them") {
  Session session = create(demo());
  Chooser chooser(&session);
  for (const bool per_token : {false, true}) {
    ChooseOptions how;
    how.per_token = per_token;
    REQUIRE(chooser.start(kPrompt, kOptions, how));
    REQUIRE(chooser.run());
    check_choices(demo(), chooser, kPrompt, kOptions, how);
  }
  // "yes" is not likelier than "yes, ..." only because it is shorter.
  const Texts nested = {"return", "return value", "return value;"};
  ChooseOptions how;
  how.after = "\n";
  REQUIRE(chooser.start("int next(int value) {\n  ", nested, how));
  REQUIRE(chooser.run());
  check_choices(demo(), chooser, "int next(int value) {\n  ", nested, how);
  CHECK(chooser.best() == 2);
  REQUIRE(chooser.start("int", Texts{" main"}));
  REQUIRE(chooser.run());
  CHECK(chooser.choices()[0].probability == 1);
}

TEST_CASE("tokens that reach over the boundary are found") {
  // "ret" + "urn": one token together, another two apart.
  const Tokens joined = encode(demo(), "  return");
  REQUIRE(joined.size() < encode(demo(), "  ret").size() + encode(demo(), "urn").size());
  Session session = create(demo());
  Chooser chooser(&session);
  const Texts options = {"urn", "ain", "urned"};
  REQUIRE(chooser.start("int f() {\n  ret", options));
  REQUIRE(chooser.run());
  check_choices(demo(), chooser, "int f() {\n  ret", options);
  CHECK(chooser.best() == 0);
}

TEST_CASE("choosing in small steps is the same, and the prompt is read once") {
  Session session = create(demo());
  Chooser chooser(&session);
  REQUIRE(chooser.start(kPrompt, kOptions));
  REQUIRE(chooser.run());
  std::vector<float> at_once;
  for (const inlay::Choice& c : chooser.choices()) at_once.push_back(c.logprob);
  const uint32_t best = chooser.best();
  Session other = create(demo());
  Chooser steps(&other);
  REQUIRE(steps.start(kPrompt, kOptions));
  int count = 0;
  Step step = Step::more;
  while ((step = steps.step(1)) == Step::more) ++count;
  CHECK(step == Step::done);
  CHECK(count > 20);
  CHECK(steps.best() == best);
  for (size_t i = 0; i < at_once.size(); ++i) CHECK(steps.choices()[i].logprob == at_once[i]);
  // What comes next continues the best option.
  const Tokens expected = encode(demo(), kPrompt + std::string(kOptions[best]));
  CHECK(Tokens(session.tokens().begin(), session.tokens().end()) == expected);
  CHECK(session.reused() + 8 >= expected.size() - encode(demo(), kOptions[best]).size());
  CHECK(session.next() != nullptr);
}

TEST_CASE("options that do not fit into one batch are read in several") {
  // 64 positions are a page: prompts end before, at and behind the end of one, and leave room for
  // all options, for two of them, or for one at a time.
  const std::pair<size_t, uint32_t> cases[] = {{62, 512}, {64, 7}, {65, 1}, {150, 7}, {150, 512}};
  for (const auto& one : cases) {
    const size_t n_prompt = one.first;
    CAPTURE(n_prompt);
    SessionOptions options = exact();
    options.batch = one.second;
    Session session = create(demo(), options);
    Chooser chooser(&session);
    std::string prompt;
    while (encode(demo(), prompt + " {").size() < n_prompt) prompt += ";";
    prompt += " {";
    REQUIRE(chooser.start(prompt, kOptions));
    REQUIRE(chooser.run());
    check_choices(demo(), chooser, prompt, kOptions);
  }
}

TEST_CASE("a session's own settings have no part in a choice, and are there again after it") {
  SessionOptions options = exact();
  const std::string_view stop[] = {"0"};
  options.stop = stop;
  options.max_tokens = 3;
  options.sampling.temperature = 0.0f;
  Session plain = create(demo(), options), session = create(demo(), options);
  inlay::Constraint constraint;
  int accepted = 0, taken_back = 0;
  struct Counts {
    int *accepted, *taken_back;
  } counts{&accepted, &taken_back};
  constraint.user = &counts;
  constraint.mask = [](void*, Span<uint64_t> allowed) {
    for (uint64_t& word : allowed) word = ~uint64_t{0};
    return true;
  };
  constraint.accept = [](void* user, Token) { ++*static_cast<Counts*>(user)->accepted; };
  constraint.rollback = [](void* user, uint32_t n) {
    *static_cast<Counts*>(user)->taken_back += int(n);
  };
  session.constrain(&constraint);
  {
    Chooser chooser(&session);
    REQUIRE(chooser.start(kPrompt, kOptions));
    REQUIRE(chooser.run());
    check_choices(demo(), chooser, kPrompt, kOptions);
    CHECK(accepted == 0);
    REQUIRE(chooser.start(kPrompt, kOptions));
    chooser.step(1);  // given up in the middle
  }
  CHECK(session.next() == nullptr);
  const auto write = [](Session& s) {
    REQUIRE(s.prompt("int main() {"));
    std::string text;
    while (const inlay::Piece* piece = s.next()) text += piece->text;
    return text;
  };
  CHECK(write(session) == write(plain));
  CHECK(accepted > 0);
}

TEST_CASE("models of other kinds choose too, those with recurrent layers through their snapshots") {
  for (const char* name : {"qwen3-tied", "gemma3-linear", "gemma4-shared", "deepseek2-lite",
                           "bloom", "mamba-1", "qwen35-1"}) {
    CAPTURE(std::string(name));
    const random_model::Memory memory(
        random_model::written(*random_model::find_model(name), random_model::Type::f32).file());
    const auto model = Model::from_memory({memory.data(), memory.size()});
    REQUIRE(bool(model));
    Session session = create(*model);
    Chooser chooser(&session);
    const Texts options = {"abc", "abd", "xy", "a"};
    REQUIRE(chooser.start("what is it? ", options));
    REQUIRE(chooser.run());
    check_choices(*model, chooser, "what is it? ", options);
  }
}

TEST_CASE("a choice waits for its turn of a workspace, and loses nothing") {
  Session other = create(demo());
  SessionOptions options = exact();
  options.workspace_of = &other;
  Session session = create(demo(), options);
  Chooser chooser(&session);
  REQUIRE(chooser.start(kPrompt, kOptions));
  REQUIRE(other.prompt(kPrompt));
  REQUIRE(other.step(0) == Step::more);
  for (int i = 0; i < 2; ++i) {
    CHECK(chooser.step(1000) == Step::failed);
    CHECK(chooser.status().error().code() == ErrorCode::busy);
  }
  other.truncate(0);
  REQUIRE(chooser.run());
  check_choices(demo(), chooser, kPrompt, kOptions);
}

TEST_CASE("what cannot be chosen from is an error that says so") {
  Session session = create(demo());
  Chooser chooser(&session);
  const auto says = [&](const inlay::Status& status, ErrorCode code, const char* text) {
    REQUIRE(!status);
    CHECK(status.error().code() == code);
    CHECK(std::string(status.error().message()).find(text) != std::string::npos);
    CHECK(chooser.step(1000) == Step::failed);
  };
  says(chooser.start("x", {}), ErrorCode::bad_argument, "expected 1 to 1000");
  says(chooser.start("x", Texts{"a", ""}), ErrorCode::bad_argument, "empty");
  says(chooser.start(std::string(5000, 'x'), Texts{"a"}), ErrorCode::context_full, "context");
  REQUIRE(chooser.start(kPrompt, kOptions));
  session.cancel();
  CHECK(chooser.step(1000000) == Step::failed);
  CHECK(chooser.status().error().code() == ErrorCode::cancelled);
  REQUIRE(chooser.start(kPrompt, kOptions));
  REQUIRE(chooser.run());
  check_choices(demo(), chooser, kPrompt, kOptions);
}
