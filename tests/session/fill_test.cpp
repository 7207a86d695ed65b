#include "inlay/session/fill.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <inlay.hpp>
#include <string>
#include <utility>

#include "support/demo_model.hpp"
#include "support/sessions.hpp"

namespace {

using inlay::ErrorCode;
using inlay::Fill;
using inlay::Session;
using inlay::SessionOptions;
using inlay::Step;
using inlay_test::taken;

constexpr const char* kPrompt = "A goblin, as JSON: ";

// Each reading is a microsecond later, and one of them cancels the session.
struct CancellingClock {
  uint64_t calls = 0, cancels_at = UINT64_MAX;
  Session* session = nullptr;
  inlay::ModelOptions options() {
    inlay::ModelOptions o;
    o.host.clock.user = this;
    o.host.clock.now_us = [](void* user) {
      CancellingClock& self = *static_cast<CancellingClock*>(user);
      if (++self.calls == self.cancels_at && self.session != nullptr) self.session->cancel();
      return self.calls;
    };
    return o;
  }
};

struct Form {
  explicit Form(const inlay::ModelOptions& options = {})
      : model(inlay_test::demo_model(options)),
        grammar(taken(inlay::Grammar::from_json_schema(
            R"({"type": "object", "required": ["kind", "level"], "additionalProperties": false,
                "properties": {"kind": {"enum": ["goblin", "guard"]},
                               "level": {"type": "integer", "minimum": 1, "maximum": 60}}})"))) {
    options_.context = 96;
    options_.batch_invariant = true;
    options_.sampling.seed = 3;
  }
  inlay::GrammarMatcher matcher() const {
    return taken(inlay::GrammarMatcher::create(
        grammar, taken(inlay::GrammarVocabulary::create(model.tokenizer()))));
  }
  Session session(const Session* workspace_of = nullptr) const {
    SessionOptions options = options_;
    options.workspace_of = workspace_of;
    Session made = taken(Session::create(model, options));
    REQUIRE(made.prompt(kPrompt));
    return made;
  }
  std::string filled() const {
    Session of = session();
    inlay::GrammarMatcher by = matcher();
    Fill fill = taken(Fill::create(of, by));
    REQUIRE(fill.finish());
    return std::string(fill.text());
  }

  inlay::Model model;
  inlay::Grammar grammar;

 private:
  SessionOptions options_;
};

TEST_CASE("a form is filled, and read as values") {
  const Form form;
  Session session = form.session();
  inlay::GrammarMatcher matcher = form.matcher();
  Fill first = taken(Fill::create(session, matcher));
  CHECK(first.value().error().code() == ErrorCode::bad_argument);  // not yet
  Fill fill = std::move(first);
  Step step;
  while ((step = fill.step(100)) == Step::more) {
  }
  REQUIRE(step == Step::done);
  CHECK(fill.step(100) == Step::done);
  CHECK(std::string(fill.text()) == form.filled());
  const inlay::JsonDocument value = taken(fill.value());
  const inlay::JsonValue* level = value.root().find("level");
  REQUIRE(level != nullptr);
  CHECK(level->integer() >= 1);
  CHECK(level->integer() <= 60);
}

TEST_CASE("a form that was cancelled goes on where it was") {
  CancellingClock clock;
  const Form form(clock.options());
  const std::string wanted = form.filled();
  for (uint64_t at = 1; at < 400; at += at < 40 ? 1 : 60) {
    CAPTURE(at);
    Session session = form.session();
    inlay::GrammarMatcher matcher = form.matcher();
    Fill fill = taken(Fill::create(session, matcher));
    clock.session = &session;
    clock.cancels_at = clock.calls + at;
    int cancelled = 0;
    Step step = Step::more;
    while (step != Step::done) {
      step = fill.step(20);
      if (step != Step::failed) continue;
      REQUIRE(fill.status().error().code() == ErrorCode::cancelled);
      CHECK(fill.value().error().code() == ErrorCode::cancelled);
      REQUIRE(++cancelled == 1);
    }
    clock.session = nullptr;
    CHECK(fill.status());
    CHECK(std::string(fill.text()) == wanted);
  }
}

TEST_CASE("a form waits for its turn of a workspace, and loses nothing") {
  const Form form;
  const std::string wanted = form.filled();
  Session other = form.session(), session = form.session(&other);
  inlay::GrammarMatcher matcher = form.matcher();
  Fill fill = taken(Fill::create(session, matcher));
  REQUIRE(other.step(0) == Step::more);
  CHECK(fill.step(1000) == Step::failed);
  CHECK(fill.status().error().code() == ErrorCode::busy);
  CHECK(fill.finish().error().code() == ErrorCode::busy);
  other.truncate(0);
  REQUIRE(fill.finish());
  CHECK(std::string(fill.text()) == wanted);
}

TEST_CASE("a form without room to be completed is an error") {
  const Form form;
  Session session = form.session();
  inlay::GrammarMatcher matcher = form.matcher();
  {
    session.set_max_tokens(2);
    Fill fill = taken(Fill::create(session, matcher));
    CHECK(fill.finish().error().code() == ErrorCode::context_full);
    CHECK(fill.step(1000) == Step::failed);
  }
  session.set_max_tokens(0);
  REQUIRE(session.prompt(kPrompt));
  inlay::FillOptions options;
  options.bytes = 3;
  Fill fill = taken(Fill::create(session, matcher, options));
  CHECK(fill.finish().error().code() == ErrorCode::context_full);
  CHECK(fill.value().error().code() == ErrorCode::context_full);
}

}  // namespace
