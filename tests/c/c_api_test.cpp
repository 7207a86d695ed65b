#include <doctest/doctest.h>
#include <inlay.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <inlay.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/counting_allocator.hpp"
#include "support/demo_model.hpp"
#include "support/models/encoders.hpp"
#include "support/models/shapes.hpp"

namespace {

using inlay_test::CountingAllocator;
using random_model::Memory;
using random_model::Type;

// A model of the C interface on a file in memory.
struct Opened {
  explicit Opened(const random_model::File& file, const inlay_host* host = nullptr) : memory(file) {
    inlay_model_options options;
    inlay_model_options_init(&options, sizeof options);
    options.host = host;
    inlay_error error;
    const inlay_status status =
        inlay_model_open_memory(memory.data(), memory.size(), &options, &model, &error);
    CAPTURE(error.message);
    REQUIRE(status == INLAY_OK);
  }
  explicit Opened(const char* shape, const inlay_host* host = nullptr)
      : Opened(random_model::make(*random_model::find_spec(shape), Type::f16), host) {}
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;
  ~Opened() { inlay_model_close(model); }

  Memory memory;
  inlay_model* model = nullptr;
};

// The model in this repository.
class Demo {
 public:
  Demo() {
    inlay_error error;
    const inlay_status status = inlay_model_open(inlay_test::kDemoPath, nullptr, &model_, &error);
    CAPTURE(error.message);
    REQUIRE(status == INLAY_OK);
  }
  Demo(const Demo&) = delete;
  Demo& operator=(const Demo&) = delete;
  ~Demo() { inlay_model_close(model_); }
  operator inlay_model*() const { return model_; }

 private:
  inlay_model* model_ = nullptr;
};

inlay_chat_template* chat_template(const inlay_model* model, const char* source) {
  inlay_chat_template_options options;
  inlay_chat_template_options_init(&options, sizeof options);
  options.source = source;
  inlay_chat_template* made = nullptr;
  inlay_error error;
  const inlay_status status = inlay_chat_template_create(model, &options, &made, &error);
  CAPTURE(error.message);
  REQUIRE(status == INLAY_OK);
  return made;
}

// A template whose model calls tools as Qwen's does.
const char* const kToolCalls = "{{ messages[0].content }}<tool_call>{\"name\": 1}</tool_call>";

inlay_session* create(const inlay_model* model, uint32_t max_tokens) {
  inlay_sampling sampling;
  inlay_sampling_init(&sampling, sizeof sampling);
  sampling.temperature = 0;
  inlay_session_options options;
  inlay_session_options_init(&options, sizeof options);
  options.context = 64;
  options.max_tokens = max_tokens;
  options.sampling = &sampling;
  inlay_session* session = nullptr;
  inlay_error error;
  const inlay_status status = inlay_session_create(model, &options, &session, &error);
  CAPTURE(error.message);
  REQUIRE(status == INLAY_OK);
  return session;
}

std::string rest(inlay_session* session) {
  std::string text;
  size_t size = 0;
  while (const char* piece = inlay_session_next(session, &size)) text.append(piece, size);
  return text;
}

std::string text(const char* data, size_t size) { return {data, size}; }

inlay_host lend(CountingAllocator* allocator) {
  inlay_host host;
  inlay_host_init(&host, sizeof host);
  const inlay::Allocator lent = allocator->get();
  host.allocate = lent.allocate;
  host.release = lent.release;
  host.allocator_user = lent.user;
  return host;
}

const std::vector<inlay_token> kPrompt = {5, 6, 7, 8, 9, 10, 11};

TEST_CASE("a session of the C interface writes what a Session writes") {
  const Opened opened("llama-gqa");
  auto model = inlay::Model::from_memory({opened.memory.data(), opened.memory.size()});
  REQUIRE(bool(model));
  inlay::SessionOptions options;
  options.context = 64;
  options.max_tokens = 20;
  options.sampling.temperature = 0;
  auto expected = inlay::Session::create(*model, options);
  REQUIRE(bool(expected));
  REQUIRE(bool(expected->prompt({kPrompt.data(), kPrompt.size()})));
  std::string written;
  while (const inlay::Piece* piece = expected->next()) written += piece->text;

  inlay_session* session = create(opened.model, 20);
  REQUIRE(inlay_session_prompt_tokens(session, kPrompt.data(), kPrompt.size(), nullptr) ==
          INLAY_OK);
  CHECK(rest(session) == written);
  CHECK(inlay_session_stop_reason(session) == INLAY_STOP_MAX_TOKENS);
  size_t count = 0;
  const inlay_token* tokens = inlay_session_tokens(session, &count);
  REQUIRE(count == expected->tokens().size());
  for (size_t i = 0; i < count; ++i) CHECK(tokens[i] == expected->tokens()[i]);
  CHECK(inlay_session_cached(session) == expected->cached());

  SUBCASE("in steps") {
    REQUIRE(inlay_session_prompt_tokens(session, kPrompt.data(), kPrompt.size(), nullptr) ==
            INLAY_OK);
    CHECK(inlay_session_reused(session) == kPrompt.size() - 1);
    std::string pieces;
    int32_t step;
    while ((step = inlay_session_step(session, 1)) <= INLAY_STEP_PIECE) {
      size_t size = 0;
      if (step == INLAY_STEP_MORE) continue;
      const char* piece = inlay_session_piece(session, &size);
      pieces.append(piece, size);
      CHECK(inlay_session_piece_token(session) != INLAY_NO_TOKEN);
    }
    CHECK(step == INLAY_STEP_DONE);
    CHECK(pieces == written);
  }
  SUBCASE("cancelled, then gone on with") {
    REQUIRE(inlay_session_prompt_tokens(session, kPrompt.data(), kPrompt.size(), nullptr) ==
            INLAY_OK);
    std::thread([&] { inlay_session_cancel(session); }).join();
    CHECK(inlay_session_next(session, nullptr) == nullptr);
    CHECK(inlay_session_stop_reason(session) == INLAY_STOP_CANCELLED);
    CHECK(rest(session) == written);
  }
  SUBCASE("logits are handed over, row by row") {
    struct Rows {
      std::vector<float> maxima;
      size_t n_vocab = 0;
    } rows;
    inlay_session_truncate(session, 0);
    REQUIRE(inlay_session_evaluate(
                session, kPrompt.data(), kPrompt.size(), 0,
                [](void* user, size_t position, const float* logits, size_t n_vocab) {
                  Rows& r = *static_cast<Rows*>(user);
                  CHECK(position == r.maxima.size());
                  r.maxima.push_back(logits[0]);
                  r.n_vocab = n_vocab;
                },
                &rows, nullptr) == INLAY_OK);
    CHECK(rows.maxima.size() == kPrompt.size());
    CHECK(rows.n_vocab == model->shape().n_vocab);
    CHECK(inlay_session_cached(session) == kPrompt.size());
  }
  inlay_session_close(session);
}

TEST_CASE("forks") {
  const Opened opened("llama-gqa");
  std::vector<inlay_token> prompt;  // more than a page of the cache
  for (inlay_token i = 0; i < 150; ++i) prompt.push_back(5 + i % 90);
  inlay_sampling sampling;
  inlay_sampling_init(&sampling, sizeof sampling);
  sampling.temperature = 0;
  inlay_session_options options;
  inlay_session_options_init(&options, sizeof options);
  options.context = 256;
  options.max_tokens = 10;
  options.sampling = &sampling;
  inlay_session* session = nullptr;
  inlay_error error;
  REQUIRE(inlay_session_create(opened.model, &options, &session, &error) == INLAY_OK);
  REQUIRE(inlay_session_prompt_tokens(session, prompt.data(), prompt.size(), &error) == INLAY_OK);
  const std::string expected = rest(session);
  inlay_session_truncate(session, static_cast<uint32_t>(prompt.size()));

  inlay_memory_plan whole, plan;
  whole.struct_size = plan.struct_size = sizeof plan;
  REQUIRE(inlay_session_plan(opened.model, &options, &whole, &error) == INLAY_OK);
  REQUIRE(inlay_session_plan_fork(session, &options, &plan, &error) == INLAY_OK);
  CHECK(plan.total < whole.total);
  CHECK(plan.shared > 0);
  inlay_session* forks[3] = {};
  for (inlay_session*& fork : forks) {
    REQUIRE(inlay_session_fork(session, &options, &fork, &error) == INLAY_OK);
  }
  inlay_session_close(session);
  for (inlay_session* fork : forks) {
    REQUIRE(inlay_session_prompt_tokens(fork, prompt.data(), prompt.size(), &error) == INLAY_OK);
    CHECK(inlay_session_reused(fork) == prompt.size() - 1);
    CHECK(rest(fork) == expected);
  }
  options.kv_cache = INLAY_KV_CACHE_F32;
  CHECK(inlay_session_fork(forks[0], &options, &session, &error) == INLAY_BAD_ARGUMENT);
  CHECK(session == nullptr);
  for (inlay_session* fork : forks) inlay_session_close(fork);
}

TEST_CASE("log-probabilities") {
  const Opened opened("llama-gqa");
  inlay_sampling sampling;
  inlay_sampling_init(&sampling, sizeof sampling);
  sampling.temperature = 0;
  inlay_session_options options;
  inlay_session_options_init(&options, sizeof options);
  options.context = 64;
  options.max_tokens = 3;
  options.sampling = &sampling;
  options.logprobs = 1;
  options.top_logprobs = 4;
  inlay_session* session = nullptr;
  inlay_error error;
  REQUIRE(inlay_session_create(opened.model, &options, &session, &error) == INLAY_OK);
  REQUIRE(inlay_session_prompt_tokens(session, kPrompt.data(), kPrompt.size(), &error) == INLAY_OK);
  rest(session);
  size_t count = 0;
  const inlay_token* tokens = inlay_session_tokens(session, &count);
  inlay_logprobs found;
  found.struct_size = sizeof found;
  inlay_token_logprob top[3];
  const uint32_t place = static_cast<uint32_t>(kPrompt.size());
  REQUIRE(inlay_session_logprobs(session, place, &found, top, nullptr, 3, &error) == INLAY_OK);
  CHECK(found.before.token == tokens[place]);
  CHECK(found.before.logprob < 0);
  CHECK(found.n_top_before == 3);
  CHECK(found.n_top_after == 0);
  CHECK(top[0].token == tokens[place]);
  CHECK(top[0].logprob == found.before.logprob);
  CHECK(top[1].logprob >= top[2].logprob);
  REQUIRE(inlay_session_logprobs(session, 0, &found, top, top, 3, &error) == INLAY_OK);
  CHECK(found.before.token == INLAY_NO_TOKEN);
  CHECK(inlay_session_logprobs(session, 0, nullptr, top, top, 3, &error) == INLAY_BAD_ARGUMENT);
  inlay_session_close(session);
}

TEST_CASE("sessions that take turns with one workspace") {
  const Opened opened("llama-gqa");
  inlay_session* first = create(opened.model, 5);
  inlay_session_options options;
  inlay_session_options_init(&options, sizeof options);
  CHECK(options.workspace_of == nullptr);
  options.context = 64;
  options.max_tokens = 5;
  options.workspace_of = first;
  inlay_session* second = nullptr;
  inlay_error error;
  REQUIRE(inlay_session_create(opened.model, &options, &second, &error) == INLAY_OK);
  for (inlay_session* session : {first, second}) {
    REQUIRE(inlay_session_prompt_tokens(session, kPrompt.data(), kPrompt.size(), &error) ==
            INLAY_OK);
  }
  REQUIRE(inlay_session_step(first, 0) == INLAY_STEP_MORE);
  CHECK(inlay_session_step(second, 0) == INLAY_STEP_FAILED);
  CHECK(inlay_session_status(second, &error) == INLAY_BUSY);
  rest(first);
  inlay_session_close(first);
  rest(second);
  CHECK(inlay_session_status(second, &error) == INLAY_OK);
  inlay_session_close(second);
}

TEST_CASE("a session as bytes") {
  const Opened opened("llama-gqa");
  inlay_session* session = create(opened.model, 20);
  REQUIRE(inlay_session_prompt_tokens(session, kPrompt.data(), kPrompt.size(), nullptr) ==
          INLAY_OK);
  REQUIRE(inlay_session_next(session, nullptr) != nullptr);
  std::vector<uint8_t> state(inlay_session_state_bytes(session, 0));
  inlay_error error;
  REQUIRE(inlay_session_save(session, 0, state.data(), state.size(), &error) == INLAY_OK);
  CHECK(inlay_session_save(session, 0, state.data(), state.size() - 1, &error) ==
        INLAY_BAD_ARGUMENT);
  CHECK(inlay_session_state_bytes(session, 4) < state.size());

  // The same, piece by piece.
  inlay_state_writer* writer = nullptr;
  REQUIRE(inlay_state_writer_create(session, 0, &writer, &error) == INLAY_OK);
  CHECK(inlay_state_writer_bytes(writer) == state.size());
  std::vector<uint8_t> room(inlay_state_writer_least_room(writer)), pieces;
  size_t written = 0;
  do {
    REQUIRE(inlay_state_writer_write(writer, room.data(), room.size(), &written, &error) ==
            INLAY_OK);
    pieces.insert(pieces.end(), room.begin(), room.begin() + static_cast<ptrdiff_t>(written));
  } while (written > 0);
  inlay_state_writer_close(writer);
  CHECK(pieces == state);

  const std::string expected = rest(session);
  inlay_session_close(session);
  session = create(opened.model, 20);
  REQUIRE(inlay_session_restore(session, state.data(), state.size(), &error) == INLAY_OK);
  CHECK(rest(session) == expected);
  CHECK(inlay_session_restore(session, state.data(), state.size() / 2, &error) != INLAY_OK);
  state[state.size() / 2] ^= 1;
  CHECK(inlay_session_restore(session, state.data(), state.size(), &error) == INLAY_CORRUPT);
  CHECK(inlay_session_restore(session, nullptr, 0, &error) == INLAY_BAD_ARGUMENT);
  inlay_session_close(session);
}

TEST_CASE("a constraint of the program") {
  // Even tokens only, after one that must come first.
  constexpr inlay_token kFirst = 6;
  struct Even {
    uint32_t accepted = 0;
    int masks = 0, quick = 0;
  } even;
  inlay_constraint constraint = {};
  constraint.struct_size = sizeof constraint;
  constraint.user = &even;
  constraint.mask = [](void* user, uint64_t* allowed, size_t words) -> int32_t {
    ++static_cast<Even*>(user)->masks;
    for (size_t i = 0; i < words; ++i) allowed[i] = 0x5555555555555555u;
    return 1;
  };
  constraint.allows = [](void* user, inlay_token token) -> int32_t {
    ++static_cast<Even*>(user)->quick;
    return token % 2 == 0 ? 2 : 0;  // any number but 0
  };
  constraint.accept = [](void* user, inlay_token) { ++static_cast<Even*>(user)->accepted; };
  constraint.rollback = [](void* user, uint32_t n) { static_cast<Even*>(user)->accepted -= n; };
  constraint.forced = [](void* user, inlay_token* room, size_t capacity) -> uint32_t {
    if (static_cast<Even*>(user)->accepted > 0 || capacity == 0) return 0;
    room[0] = kFirst;
    return 1;
  };

  const Opened opened("llama-gqa");
  inlay_session* session = create(opened.model, 20);
  REQUIRE(inlay_session_constrain(session, &constraint, nullptr) == INLAY_OK);
  REQUIRE(inlay_session_prompt_tokens(session, kPrompt.data(), kPrompt.size(), nullptr) ==
          INLAY_OK);
  rest(session);
  size_t count = 0;
  const inlay_token* tokens = inlay_session_tokens(session, &count);
  REQUIRE(count > kPrompt.size() + 4);
  CHECK(tokens[kPrompt.size()] == kFirst);
  for (size_t i = kPrompt.size(); i < count; ++i) CHECK(tokens[i] % 2 == 0);
  CHECK(even.accepted == count - kPrompt.size());
  CHECK(even.quick > 0);
  CHECK(even.masks > 0);

  REQUIRE(inlay_session_constrain(session, nullptr, nullptr) == INLAY_OK);
  REQUIRE(inlay_session_prompt_tokens(session, kPrompt.data(), kPrompt.size(), nullptr) ==
          INLAY_OK);
  rest(session);
  tokens = inlay_session_tokens(session, &count);
  bool any_odd = false;
  for (size_t i = kPrompt.size(); i < count; ++i) any_odd = any_odd || tokens[i] % 2 != 0;
  CHECK(any_odd);

  constraint.mask = nullptr;
  CHECK(inlay_session_constrain(session, &constraint, nullptr) == INLAY_BAD_ARGUMENT);
  inlay_session_close(session);
}

TEST_CASE("a completion follows what is typed") {
  const Demo model;
  inlay_error error;
  inlay_completion_options options;
  inlay_completion_options_init(&options, sizeof options);
  CHECK(options.max_tokens == inlay::CompletionOptions{}.max_tokens);
  options.max_tokens = 16;
  options.repository = "town";
  inlay_session_options session;
  inlay_session_options_init(&session, sizeof session);
  session.context = 512;
  options.session = &session;
  inlay_completion* completion = nullptr;
  const inlay_status status = inlay_completion_create(model, &options, &completion, &error);
  CAPTURE(error.message);
  REQUIRE(status == INLAY_OK);
  const char kOther[] = "struct Names { bool has(const std::string& name) const; };\n";
  REQUIRE(inlay_completion_set_file(completion, "names.hpp", INLAY_NUL_TERMINATED, kOther,
                                    INLAY_NUL_TERMINATED, 1, &error) == INLAY_OK);

  std::string text =
      "bool Registry::has(const std::string& name) const {\n"
      "  auto it = names_.find(name);\n  if (it ==";
  const auto update = [&] {
    return inlay_completion_update(completion, "registry.cpp", INLAY_NUL_TERMINATED, text.data(),
                                   text.size(), text.size(), 1, &error);
  };
  inlay_suggestion shown;
  shown.struct_size = sizeof shown;
  REQUIRE(update() == INLAY_OK);
  int32_t step;
  while ((step = inlay_completion_run(completion, 60000000)) == INLAY_STEP_PIECE) {
  }
  CHECK(step == INLAY_STEP_DONE);
  REQUIRE(inlay_completion_suggestion(completion, &shown, &error) == INLAY_OK);
  REQUIRE(shown.size > 4);
  CHECK(shown.complete == 1);
  CHECK(shown.probability > 0);
  CHECK(shown.n_tokens > 0);
  CHECK(shown.token_probabilities[0] >= shown.probability);

  // What is typed as it was suggested needs no work.
  const std::string first(shown.text, shown.size);
  text += first.substr(0, 2);
  REQUIRE(update() == INLAY_OK);
  REQUIRE(inlay_completion_suggestion(completion, &shown, &error) == INLAY_OK);
  CHECK(first == first.substr(0, 2) + std::string(shown.text, shown.size));

  CHECK(inlay_completion_update(completion, nullptr, 0, "x", 1, 2, 1, &error) ==
        INLAY_BAD_ARGUMENT);
  inlay_completion_remove_file(completion, "names.hpp", INLAY_NUL_TERMINATED);
  inlay_completion_cancel(completion);
  CHECK(inlay_completion_step(completion, 1000) != INLAY_STEP_FAILED);
  CHECK(inlay_completion_status(completion, &error) == INLAY_OK);
  inlay_completion_close(completion);
  options.order = 3;
  CHECK(inlay_completion_create(model, &options, &completion, &error) == INLAY_BAD_ARGUMENT);
  CHECK(completion == nullptr);
}

TEST_CASE("grammars") {
  CountingAllocator allocator;
  const inlay_host host = lend(&allocator);
  inlay_model_options model_options;
  inlay_model_options_init(&model_options, sizeof model_options);
  model_options.host = &host;
  inlay_model* model = nullptr;
  inlay_error error;
  REQUIRE(inlay_model_open(inlay_test::kDemoPath, &model_options, &model, &error) == INLAY_OK);
  struct Form {
    int32_t kind;
    const char* text;
    const char* good;
    const char* bad;
  };
  for (const Form& form :
       {Form{INLAY_GRAMMAR_GBNF, "root ::= \"a\"+ \"b\"", "aaab", "b"},
        Form{INLAY_GRAMMAR_REGEX, "[0-9]{3}", "123", "1234"},
        Form{INLAY_GRAMMAR_JSON_SCHEMA, "{\"type\": \"array\", \"items\": {\"type\": \"boolean\"}}",
             "[true, false]", "[1]"}}) {
    CAPTURE(form.text);
    inlay_grammar* grammar = nullptr;
    const inlay_status status = inlay_grammar_create(
        model, form.kind, form.text, INLAY_NUL_TERMINATED, nullptr, &grammar, &error);
    CAPTURE(error.message);
    REQUIRE(status == INLAY_OK);
    int32_t matches = -1;
    CHECK(inlay_grammar_matches(grammar, form.good, INLAY_NUL_TERMINATED, &matches, &error) ==
          INLAY_OK);
    CHECK(matches == 1);
    CHECK(inlay_grammar_matches(grammar, form.bad, INLAY_NUL_TERMINATED, &matches, &error) ==
          INLAY_OK);
    CHECK(matches == 0);

    inlay_session* session = create(model, 40);
    REQUIRE(inlay_session_constrain_grammar(session, grammar, &error) == INLAY_OK);
    REQUIRE(inlay_session_prompt(session, "x", 1, INLAY_TOKENIZE_DEFAULT, &error) == INLAY_OK);
    const std::string written = rest(session);
    if (inlay_session_stop_reason(session) == INLAY_STOP_END_OF_TEXT) {
      CHECK(inlay_grammar_matches(grammar, written.data(), written.size(), &matches, &error) ==
            INLAY_OK);
      CAPTURE(written);
      CHECK(matches == 1);
    } else {
      CHECK(written.find_first_not_of("[]{}, \n\ttruefalsab0123456789") == std::string::npos);
    }
    // The session keeps what it needs of the grammar; then it does without.
    inlay_grammar_close(grammar);
    REQUIRE(inlay_session_prompt(session, "x", 1, INLAY_TOKENIZE_DEFAULT, &error) == INLAY_OK);
    CHECK(rest(session) == written);
    REQUIRE(inlay_session_constrain_grammar(session, nullptr, &error) == INLAY_OK);
    REQUIRE(inlay_session_prompt(session, "x", 1, INLAY_TOKENIZE_DEFAULT, &error) == INLAY_OK);
    CHECK(rest(session) != written);
    inlay_session_close(session);
  }
  inlay_grammar* grammar = nullptr;
  CHECK(inlay_grammar_create(model, INLAY_GRAMMAR_GBNF, "root := 1", INLAY_NUL_TERMINATED, nullptr,
                             &grammar, &error) == INLAY_BAD_ARGUMENT);
  CHECK(grammar == nullptr);
  CHECK(inlay_grammar_create(model, 3, "x", 1, nullptr, &grammar, &error) == INLAY_BAD_ARGUMENT);

  inlay_grammar_options options;
  inlay_grammar_options_init(&options, sizeof options);
  const char* words[] = {"<call>"};
  options.trigger_words = words;
  options.n_trigger_words = 1;
  options.root = "call";
  const auto call = [&] {
    return inlay_grammar_create(model, INLAY_GRAMMAR_GBNF, "call ::= \"<call>\" [a-z]+",
                                INLAY_NUL_TERMINATED, &options, &grammar, &error);
  };
  REQUIRE(call() == INLAY_OK);
  inlay_grammar_close(grammar);
  options.n_trigger_tokens = 1;  // that are not there
  CHECK(call() == INLAY_BAD_ARGUMENT);
  CHECK(grammar == nullptr);

  // Rules that are said in another way.
  inlay_grammar_options_init(&options, sizeof options);
  inlay_grammar_rule rules[] = {
      {"point", INLAY_GRAMMAR_JSON_SCHEMA,
       R"({"properties": {"x": {"type": "integer"}, "y": {"type": "integer"}},
           "required": ["x", "y"], "additionalProperties": false, "type": "object"})"},
      {"unit", INLAY_GRAMMAR_REGEX, "cm|m{1,2}"}};
  options.rules = rules;
  options.n_rules = 2;
  options.whitespace = 0;
  const char* source = "root ::= \"at \" point \" \" unit";
  const auto matches = [&](const char* text) {
    int32_t whole = -1;
    REQUIRE(inlay_grammar_create(model, INLAY_GRAMMAR_GBNF, source, INLAY_NUL_TERMINATED, &options,
                                 &grammar, &error) == INLAY_OK);
    CHECK(inlay_grammar_matches(grammar, text, INLAY_NUL_TERMINATED, &whole, &error) == INLAY_OK);
    inlay_grammar_close(grammar);
    return whole;
  };
  CHECK(matches("at {\"x\":1,\"y\":-20} mm") == 1);
  CHECK(matches("at {\"x\":1,\"y\":-20} mmm") == 0);
  CHECK(matches("at {\"y\":1,\"x\":-20} cm") == 0);
  options.any_order = 1;
  CHECK(matches("at {\"y\":1,\"x\":-20} cm") == 1);
  rules[1].text = "cm|(";
  CHECK(inlay_grammar_create(model, INLAY_GRAMMAR_GBNF, source, INLAY_NUL_TERMINATED, &options,
                             &grammar, &error) == INLAY_BAD_ARGUMENT);
  CHECK(std::string(error.message).find("unit") != std::string::npos);
  rules[1].kind = INLAY_GRAMMAR_GBNF;
  CHECK(inlay_grammar_create(model, INLAY_GRAMMAR_GBNF, source, INLAY_NUL_TERMINATED, &options,
                             &grammar, &error) == INLAY_BAD_ARGUMENT);
  options.rules = nullptr;
  CHECK(inlay_grammar_create(model, INLAY_GRAMMAR_GBNF, source, INLAY_NUL_TERMINATED, &options,
                             &grammar, &error) == INLAY_BAD_ARGUMENT);
  CHECK(grammar == nullptr);
  inlay_model_close(model);
  CHECK(allocator.live_blocks() == 0);
  CHECK(allocator.wrong_releases() == 0);
}

TEST_CASE("filling a form, and choosing") {
  const Demo model;
  inlay_error error;
  inlay_session* session = create(model, 40);
  inlay_grammar* grammar = nullptr;
  REQUIRE(inlay_grammar_create(model, INLAY_GRAMMAR_REGEX, "(yes|no)[!?]", INLAY_NUL_TERMINATED,
                               nullptr, &grammar, &error) == INLAY_OK);
  REQUIRE(inlay_session_prompt(session, "return ", 7, INLAY_TOKENIZE_DEFAULT, &error) == INLAY_OK);
  inlay_fill* fill = nullptr;
  REQUIRE(inlay_fill_create(session, grammar, 100, &fill, &error) == INLAY_OK);
  int32_t step;
  while ((step = inlay_fill_step(fill, 100)) == INLAY_STEP_MORE) {
  }
  CHECK(step == INLAY_STEP_DONE);
  CHECK(inlay_fill_status(fill, &error) == INLAY_OK);
  size_t size = 0;
  const char* filled = inlay_fill_text(fill, &size);
  int32_t matches = 0;
  CHECK(inlay_grammar_matches(grammar, filled, size, &matches, &error) == INLAY_OK);
  CHECK(matches == 1);
  inlay_fill_close(fill);

  // No room: an error, and the session goes on.
  REQUIRE(inlay_session_prompt(session, "return ", 7, INLAY_TOKENIZE_DEFAULT, &error) == INLAY_OK);
  REQUIRE(inlay_fill_create(session, grammar, 1, &fill, &error) == INLAY_OK);
  while (inlay_fill_step(fill, 100) == INLAY_STEP_MORE) {
  }
  CHECK(inlay_fill_status(fill, &error) == INLAY_CONTEXT_FULL);
  inlay_fill_close(fill);
  inlay_grammar_close(grammar);

  inlay_chooser* chooser = nullptr;
  REQUIRE(inlay_chooser_create(session, &chooser, &error) == INLAY_OK);
  const char* texts[] = {"qqqq", "return 0;", "zzzzzz"};
  inlay_choose_options options;
  inlay_choose_options_init(&options, sizeof options);
  options.after = "\n}";
  REQUIRE(inlay_chooser_start(chooser, "int main() {\n  ", INLAY_NUL_TERMINATED, texts, nullptr, 3,
                              &options, &error) == INLAY_OK);
  while ((step = inlay_chooser_step(chooser, 100)) == INLAY_STEP_MORE) {
  }
  CHECK(step == INLAY_STEP_DONE);
  CHECK(inlay_chooser_status(chooser, &error) == INLAY_OK);
  CHECK(inlay_chooser_best(chooser) == 1);
  float sum = 0;
  inlay_choice choice;
  for (size_t i = 0; i < 3; ++i) {
    REQUIRE(inlay_chooser_choice(chooser, i, &choice) == 1);
    sum += choice.probability;
    CHECK(choice.tokens > 0);
  }
  CHECK(sum == doctest::Approx(1));
  CHECK(inlay_chooser_choice(chooser, 3, &choice) == 0);
  REQUIRE(inlay_chooser_start(chooser, "x", 1, texts, nullptr, 2, nullptr, &error) == INLAY_OK);
  CHECK(inlay_chooser_run(chooser, &error) == INLAY_OK);
  CHECK(inlay_chooser_start(chooser, "x", 1, texts, nullptr, 0, nullptr, &error) ==
        INLAY_BAD_ARGUMENT);
  inlay_chooser_close(chooser);
  inlay_session_close(session);
}

TEST_CASE("chats") {
  const Demo model;
  inlay_error error;
  inlay_chat_template* chat = nullptr;
  REQUIRE(inlay_chat_template_create(model, nullptr, &chat, &error) == INLAY_OK);
  CHECK(inlay_chat_template_is_fallback(chat) == 1);  // a model of code has no template
  inlay_chat_template_close(chat);

  chat = chat_template(model,
                       "{% for m in messages %}{{ m.role }}:{{ m.content }}"
                       "{% for c in m.tool_calls %}[{{ c.function.name }}]{% endfor %};{% endfor %}"
                       "{% if add_generation_prompt %}go {{ mood }}{% endif %}");
  CHECK(inlay_chat_template_is_fallback(chat) == 0);
  const inlay_tool_call call = {"1", "look", "{}"};
  inlay_chat_message messages[2] = {};
  messages[0].role = "user";
  messages[0].content = "hello";
  messages[1].role = "assistant";
  messages[1].content = "well";
  messages[1].tool_calls = &call;
  messages[1].n_tool_calls = 1;
  inlay_chat_request request;
  inlay_chat_request_init(&request, sizeof request);
  request.messages = messages;
  request.n_messages = 2;
  request.variables = "{\"mood\": \"on\"}";
  const std::string expected = "user:hello;assistant:well[look];go on";
  char text[100];
  size_t size = 0;
  const inlay_status status =
      inlay_chat_template_render(chat, &request, text, sizeof text, &size, &error);
  CAPTURE(error.message);
  REQUIRE(status == INLAY_OK);
  CHECK(std::string(text, size) == expected);
  CHECK(inlay_chat_template_render(chat, &request, nullptr, 0, &size, &error) == INLAY_OK);
  CHECK(size == expected.size());

  inlay_token tokens[200];
  size_t count = 0;
  REQUIRE(inlay_chat_template_encode(chat, &request, tokens, 200, &count, &error) == INLAY_OK);
  CHECK(count > 0);
  CHECK(inlay_chat_template_encode(chat, &request, tokens, 1, &count, &error) ==
        INLAY_BAD_ARGUMENT);
  request.variables = "no JSON";
  CHECK(inlay_chat_template_render(chat, &request, text, sizeof text, &size, &error) ==
        INLAY_BAD_ARGUMENT);
  inlay_chat_template_close(chat);
  inlay_chat_template_options options;
  inlay_chat_template_options_init(&options, sizeof options);
  options.source = "{% if %}";
  CHECK(inlay_chat_template_create(model, &options, &chat, &error) == INLAY_BAD_ARGUMENT);
  CHECK(chat == nullptr);
}

TEST_CASE("tool calls that are kept well-formed") {
  const Demo model;
  inlay_error error;
  inlay_chat_template* chat = chat_template(model, kToolCalls);
  const char* tools = R"([{"type": "function", "function": {"name": "look", "parameters":
      {"type": "object", "properties": {"at": {"enum": ["door", "sky"]}}, "required": ["at"]}}}])";
  inlay_grammar* lazy = nullptr;
  inlay_grammar* required = nullptr;
  REQUIRE(inlay_chat_template_tool_grammar(chat, tools, 0, &lazy, &error) == INLAY_OK);
  REQUIRE(inlay_chat_template_tool_grammar(chat, tools, 1, &required, &error) == INLAY_OK);
  const auto matches = [&](const inlay_grammar* grammar, const std::string& text) {
    int32_t whole = -1;
    CHECK(inlay_grammar_matches(grammar, text.data(), text.size(), &whole, &error) == INLAY_OK);
    return whole;
  };
  const std::string call =
      "<tool_call>\n{\"name\": \"look\", \"arguments\": {\"at\": \"sky\"}}\n</tool_call>";
  const std::string wrong =
      "<tool_call>\n{\"name\": \"look\", \"arguments\": {\"at\": \"sea\"}}\n</tool_call>";
  CHECK(matches(lazy, call) == 1);
  CHECK(matches(lazy, "I look. " + call) == 1);
  CHECK(matches(lazy, "I look.") == 1);
  CHECK(matches(lazy, "I look. " + wrong) == 0);
  CHECK(matches(required, call) == 1);
  CHECK(matches(required, "I look. " + call) == 0);
  CHECK(matches(required, wrong) == 0);
  inlay_grammar_close(required);
  CHECK(inlay_chat_template_tool_grammar(chat, "[]", 0, &required, &error) == INLAY_BAD_ARGUMENT);
  CHECK(inlay_chat_template_tool_grammar(chat, nullptr, 0, &required, &error) ==
        INLAY_BAD_ARGUMENT);
  CHECK(required == nullptr);
  inlay_chat_template_close(chat);

  chat = chat_template(model, "{{ messages[0].content }}");  // of no family
  CHECK(inlay_chat_template_tool_grammar(chat, tools, 0, &required, &error) == INLAY_UNSUPPORTED);
  inlay_chat_template_close(chat);

  inlay_session* session = create(model, 60);
  REQUIRE(inlay_session_constrain_grammar(session, lazy, &error) == INLAY_OK);
  REQUIRE(inlay_session_prompt(session, "x", 1, INLAY_TOKENIZE_DEFAULT, &error) == INLAY_OK);
  rest(session);
  inlay_session_close(session);
  inlay_grammar_close(lazy);
}

TEST_CASE("what a chat model writes, taken apart") {
  inlay_error error;
  inlay_chat_parser* parser = nullptr;
  {
    const Demo model;
    inlay_chat_template* const chat = chat_template(model, kToolCalls);
    REQUIRE(inlay_chat_parser_create(chat, "", 0, nullptr, &parser, &error) == INLAY_OK);
    inlay_chat_template_close(chat);
  }
  std::string parts[5];
  const inlay_chat_take take = [](void* user, int32_t part, uint32_t call, const char* bytes,
                                  size_t size, const char*, size_t) {
    REQUIRE(part >= INLAY_CHAT_CONTENT);
    REQUIRE(part <= INLAY_CHAT_TOOL_END);
    CHECK(call == 0);
    static_cast<std::string*>(user)[part].append(bytes, size);
  };
  const std::string written =
      "I look.<tool_call>\n{\"name\": \"look\", \"arguments\": {\"at\": \"x\"}}\n</tool_call>";
  for (const char& byte : written) {
    REQUIRE(inlay_chat_parser_push(parser, &byte, 1, take, parts, &error) == INLAY_OK);
  }
  REQUIRE(inlay_chat_parser_finish(parser, take, parts, &error) == INLAY_OK);
  CHECK(parts[INLAY_CHAT_CONTENT] == "I look.");
  CHECK(parts[INLAY_CHAT_TOOL_CALL] == "look");
  CHECK(parts[INLAY_CHAT_ARGUMENTS] == "{\"at\": \"x\"}");
  CHECK(inlay_chat_parser_push(parser, "x", 1, nullptr, nullptr, &error) == INLAY_BAD_ARGUMENT);
  inlay_chat_parser_close(parser);
}

TEST_CASE("values without quotes in tool calls are what the tools' schemas say") {
  const Demo model;
  inlay_error error;
  inlay_chat_template* const chat = chat_template(
      model, "<tool_call><arg_key>{{ k }}</arg_key><arg_value>{{ v }}</arg_value></tool_call>");
  const auto arguments = [&](const char* tools) {
    std::string kept = tools == nullptr ? "" : tools;
    inlay_chat_parser* parser = nullptr;
    REQUIRE(inlay_chat_parser_create(chat, "", 0, tools == nullptr ? nullptr : kept.c_str(),
                                     &parser, &error) == INLAY_OK);
    kept.assign(kept.size(), ' ');  // the parser has its own
    std::string text;
    const inlay_chat_take take = [](void* user, int32_t part, uint32_t, const char* bytes,
                                    size_t size, const char*, size_t) {
      if (part == INLAY_CHAT_ARGUMENTS) static_cast<std::string*>(user)->append(bytes, size);
    };
    REQUIRE(inlay_chat_parser_push(
                parser,
                "<tool_call>open<arg_key>door</arg_key><arg_value>12</arg_value></tool_call>",
                INLAY_NUL_TERMINATED, take, &text, &error) == INLAY_OK);
    REQUIRE(inlay_chat_parser_finish(parser, take, &text, &error) == INLAY_OK);
    inlay_chat_parser_close(parser);
    return text;
  };
  const auto tools = [](const std::string& type) {
    return R"([{"type": "function", "function": {"name": "open", "parameters": {"type": "object",
               "properties": {"door": {"type": ")" +
           type + R"("}}}}}])";
  };
  CHECK(arguments(nullptr) == R"({"door": 12})");
  CHECK(arguments(tools("integer").c_str()) == R"({"door": 12})");
  CHECK(arguments(tools("string").c_str()) == R"({"door": "12"})");
  inlay_chat_template_close(chat);
}

TEST_CASE("guessed tokens change nothing of a text") {
  const Demo model;
  const char kText[] = "int a = first(x, y);\nint b = first(x, y);\nint a = first(";
  std::string expected;
  for (const bool by_model : {false, true}) {
    inlay_session* session = create(model, 24);
    REQUIRE(inlay_session_prompt(session, kText, INLAY_NUL_TERMINATED, INLAY_TOKENIZE_DEFAULT,
                                 nullptr) == INLAY_OK);
    if (expected.empty()) expected = rest(session);
    inlay_draft_options options;
    inlay_draft_options_init(&options, sizeof options);
    CHECK(options.most == 7);
    inlay_session_options small;
    inlay_session_options_init(&small, sizeof small);
    small.context = 64;
    if (by_model) options.model = model;
    options.session = &small;
    inlay_drafts* drafts = nullptr;
    inlay_error error;
    REQUIRE(inlay_drafts_create(model, &options, &drafts, &error) == INLAY_OK);
    inlay_drafts_set_reference(drafts, nullptr, 0);
    inlay_session_speculate(session, drafts);
    REQUIRE(inlay_session_prompt(session, kText, INLAY_NUL_TERMINATED, INLAY_TOKENIZE_DEFAULT,
                                 nullptr) == INLAY_OK);
    CHECK(rest(session) == expected);
    CHECK(inlay_session_drafted(session) > 0);
    CHECK(inlay_session_accepted(session) <= inlay_session_drafted(session));
    inlay_session_speculate(session, nullptr);
    inlay_session_close(session);
    inlay_drafts_close(drafts);
    options.most = 100;
    CHECK(inlay_drafts_create(model, &options, &drafts, &error) == INLAY_BAD_ARGUMENT);
    CHECK(drafts == nullptr);
  }
}

TEST_CASE("what a model says of itself") {
  const Opened opened("llama-gqa");
  auto model = inlay::Model::from_memory({opened.memory.data(), opened.memory.size()});
  REQUIRE(bool(model));
  inlay_model_info info;
  info.struct_size = sizeof info;
  REQUIRE(inlay_model_get_info(opened.model, &info, nullptr) == INLAY_OK);
  CHECK(info.n_layers == model->shape().n_layers);
  CHECK(info.n_vocab == model->shape().n_vocab);
  CHECK(info.context == model->shape().context);
  CHECK(info.writes == 1);
  CHECK(info.shifts == 1);
  CHECK(info.packed_bytes == model->packed_bytes());
  CHECK(info.file_bytes == opened.memory.size());
  size_t size = 0;
  const char* architecture = inlay_model_architecture(opened.model, &size);
  CHECK(text(architecture, size) == "llama");
  CHECK(inlay_model_target(opened.model, &size) != nullptr);
  CHECK(size > 0);

  SUBCASE("metadata") {
    const inlay::Span<const inlay::MetadataEntry> all = model->file().metadata();
    REQUIRE(inlay_metadata_count(opened.model) == all.size());
    for (size_t i = 0; i < all.size(); ++i) {
      const char* key = inlay_metadata_key(opened.model, i, &size);
      CHECK(text(key, size) == all[i].key);
      CHECK(inlay_metadata_find(opened.model, key, size) == i);
      CHECK(inlay_metadata_type(opened.model, i) == static_cast<int32_t>(all[i].value.type()));
      CHECK(inlay_metadata_size(opened.model, i) == all[i].value.size());
    }
    const size_t layers =
        inlay_metadata_find(opened.model, "llama.block_count", INLAY_NUL_TERMINATED);
    REQUIRE(layers != INLAY_NOT_FOUND);
    uint64_t number = 0;
    CHECK(inlay_metadata_u64(opened.model, layers, 0, &number) == 1);
    CHECK(number == info.n_layers);
    CHECK(inlay_metadata_u64(opened.model, layers, 1, &number) == 0);  // no such element
    double real = 0;
    CHECK(inlay_metadata_f64(opened.model, layers, 0, &real) == 1);
    CHECK(real == info.n_layers);
    int32_t truth = 0;
    CHECK(inlay_metadata_bool(opened.model, layers, 0, &truth) == 0);
    CHECK(inlay_metadata_string(opened.model, layers, 0, &size) == nullptr);
    const size_t name =
        inlay_metadata_find(opened.model, "general.architecture", INLAY_NUL_TERMINATED);
    const char* value = inlay_metadata_string(opened.model, name, 0, &size);
    CHECK(text(value, size) == "llama");
    CHECK(inlay_metadata_find(opened.model, "no.such.key", INLAY_NUL_TERMINATED) ==
          INLAY_NOT_FOUND);
    CHECK(inlay_metadata_key(opened.model, all.size(), &size) == nullptr);
    CHECK(inlay_metadata_u64(opened.model, all.size(), 0, &number) == 0);
  }
}

TEST_CASE("tokens") {
  const Demo model;
  const char kText[] = "int main() {";
  std::vector<inlay_token> ids(inlay_max_tokens(sizeof kText));
  size_t count = 0;
  REQUIRE(inlay_tokenize(model, kText, INLAY_NUL_TERMINATED, INLAY_PARSE_SPECIAL, ids.data(),
                         ids.size(), &count, nullptr) == INLAY_OK);
  REQUIRE(count > 1);
  std::string back;
  for (size_t i = 0; i < count; ++i) {
    char bytes[64];
    const size_t size = inlay_token_bytes(model, ids[i], 0, bytes, sizeof bytes);
    REQUIRE(size <= sizeof bytes);
    back.append(bytes, size);
  }
  CHECK(back == kText);
  inlay_error error;
  CHECK(inlay_tokenize(model, kText, sizeof kText - 1, 0, ids.data(), 1, &count, &error) ==
        INLAY_BAD_ARGUMENT);
  CHECK(count == 0);

  inlay_special_tokens special;
  special.struct_size = sizeof special;
  REQUIRE(inlay_get_special_tokens(model, &special, nullptr) == INLAY_OK);
  CHECK(special.fim_prefix != INLAY_NO_TOKEN);
  CHECK(special.mask == INLAY_NO_TOKEN);
  CHECK(inlay_token_is_control(model, special.fim_prefix) == 1);
  CHECK(inlay_token_is_end(model, special.eos) == 1);
  CHECK(inlay_token_is_end(model, ids[0]) == 0);
}

TEST_CASE("sampling") {
  const Demo model;
  inlay_sampling sampling;
  inlay_sampling_init(&sampling, sizeof sampling);
  CHECK(sampling.temperature == INLAY_UNSET_FLOAT);
  CHECK(sampling.typical_p == inlay::Sampling{}.typical_p);
  inlay_session* session = create(model, 12);
  inlay_error error;
  const auto write = [&] {
    inlay_session_truncate(session, 0);  // read as one batch each time: no logit rounded otherwise
    CHECK(inlay_session_set_sampling(session, &sampling, &error) == INLAY_OK);
    CHECK(inlay_session_prompt(session, "int main(", 9, INLAY_TOKENIZE_DEFAULT, &error) ==
          INLAY_OK);
    return rest(session);
  };

  sampling.temperature = 0;
  const std::string greedy = write();
  size_t count = 0;
  const inlay_token first = inlay_session_tokens(session, &count)[count - 12];
  // A token that is never chosen; the array need not stay.
  std::vector<inlay_logit_bias> biases = {{first, -INFINITY}};
  sampling.logit_bias = biases.data();
  sampling.n_logit_bias = 1;
  CHECK(inlay_session_set_sampling(session, &sampling, &error) == INLAY_OK);
  biases.assign(1, {0, 0});
  CHECK(inlay_session_prompt(session, "int main(", 9, INLAY_TOKENIZE_DEFAULT, &error) == INLAY_OK);
  CHECK(rest(session) != greedy);
  const inlay_token* tokens = inlay_session_tokens(session, &count);
  for (size_t i = count - 12; i < count; ++i) CHECK(tokens[i] != first);

  // The same seed, the same text; top-k of one is greedy whatever the seed.
  inlay_sampling_init(&sampling, sizeof sampling);
  sampling.temperature = 1;
  sampling.seed = 7;
  const std::string drawn = write();
  CHECK(write() == drawn);
  sampling.samplers = "top_k;temperature";
  sampling.top_k = 1;
  CHECK(write() == greedy);
  sampling.samplers = "no such sampler";
  CHECK(inlay_session_set_sampling(session, &sampling, &error) == INLAY_BAD_ARGUMENT);
  sampling.samplers = nullptr;
  sampling.n_logit_bias = 1;
  CHECK(inlay_session_set_sampling(session, &sampling, &error) == INLAY_BAD_ARGUMENT);
  inlay_session_close(session);
}

TEST_CASE("a stop text ends the output and is not in it") {
  const Demo model;
  inlay_session_options options;
  inlay_session_options_init(&options, sizeof options);
  inlay_sampling sampling;
  inlay_sampling_init(&sampling, sizeof sampling);
  sampling.temperature = 0;
  const char* stop[] = {"no such text", "\n"};
  options.sampling = &sampling;
  options.stop = stop;
  options.n_stop = 2;
  options.max_tokens = 64;
  inlay_session* session = nullptr;
  REQUIRE(inlay_session_create(model, &options, &session, nullptr) == INLAY_OK);
  REQUIRE(inlay_session_prompt(session, "int main(int argc", INLAY_NUL_TERMINATED,
                               INLAY_TOKENIZE_DEFAULT, nullptr) == INLAY_OK);
  CHECK(rest(session).find('\n') == std::string::npos);
  CHECK(inlay_session_stop_reason(session) == INLAY_STOP_TEXT);
  inlay_session_close(session);
}

TEST_CASE(
    "a model stays until the last of those made of it is closed, and all memory is given back") {
  CountingAllocator allocator;
  const inlay_host host = lend(&allocator);
  {
    Opened opened("llama-gqa", &host);
    inlay_session* session = create(opened.model, 3);
    inlay_session* other = create(opened.model, 3);
    inlay_model_close(opened.model);
    opened.model = nullptr;
    CHECK(allocator.live_blocks() > 0);
    inlay_session_close(other);
    REQUIRE(inlay_session_prompt_tokens(session, kPrompt.data(), kPrompt.size(), nullptr) ==
            INLAY_OK);
    inlay_session_next(session, nullptr);
    CHECK(inlay_session_stop_reason(session) != INLAY_STOP_CANCELLED);
    inlay_session_close(session);
  }
  CHECK(allocator.live_blocks() == 0);
  CHECK(allocator.wrong_releases() == 0);
}

TEST_CASE("when any one allocation fails, so does the C call") {
  const Memory memory(random_model::make(*random_model::find_spec("llama-gqa"), Type::f16));
  size_t calls = 0;
  for (size_t fail_at = 0;; ++fail_at) {
    CountingAllocator allocator(fail_at);
    const inlay_host host = lend(&allocator);
    inlay_model_options options;
    inlay_model_options_init(&options, sizeof options);
    options.host = &host;
    inlay_model* model = nullptr;
    inlay_session* session = nullptr;
    inlay_error error;
    inlay_status status =
        inlay_model_open_memory(memory.data(), memory.size(), &options, &model, &error);
    if (status == INLAY_OK) status = inlay_session_create(model, nullptr, &session, &error);
    CHECK(error.code == status);
    inlay_session_close(session);
    inlay_model_close(model);
    CHECK(allocator.live_blocks() == 0);
    CHECK(allocator.wrong_releases() == 0);
    calls = allocator.calls();
    if (!allocator.failed()) {
      CHECK(status == INLAY_OK);
      break;
    }
    CHECK(status == INLAY_OUT_OF_MEMORY);
    CHECK(session == nullptr);
  }
  CHECK(calls > 3);
}

TEST_CASE(
    "when any one allocation fails, the C call says so, leaks nothing and can be made again") {
  CountingAllocator allocator;
  const inlay_host host = lend(&allocator);
  inlay_model_options options;
  inlay_model_options_init(&options, sizeof options);
  options.host = &host;
  inlay_model* model = nullptr;
  inlay_error error;
  REQUIRE(inlay_model_open(inlay_test::kDemoPath, &options, &model, &error) == INLAY_OK);
  inlay_session* session = create(model, 8);
  // Makes the call again and again, until no allocation is left that could fail. `call` closes what
  // it makes. What stays may keep memory that it has taken; tried twice, it takes no more.
  const auto try_all = [&](const char* what, const auto& call) {
    CAPTURE(std::string(what));
    const inlay_status first = call();
    CAPTURE(error.message);
    REQUIRE(first == INLAY_OK);
    const size_t live = allocator.live_blocks();
    size_t n = 0;
    for (;; ++n) {
      CAPTURE(n);
      allocator.fail_after(n);
      const inlay_status status = call();
      const bool failed = allocator.failed();
      allocator.fail_after(SIZE_MAX);
      CHECK(status == (failed ? INLAY_OUT_OF_MEMORY : INLAY_OK));
      CHECK(allocator.live_blocks() <= live);
      if (!failed) break;
    }
    CHECK(allocator.live_blocks() == live);
    return n;
  };
  const auto grammar = [&](int32_t kind, const char* source, inlay_grammar** out) {
    return inlay_grammar_create(model, kind, source, INLAY_NUL_TERMINATED, nullptr, out, &error);
  };
  for (const auto& [kind, source] :
       {std::pair{INLAY_GRAMMAR_GBNF, "root ::= [a-z]+ (\"b\" | root)?"},
        std::pair{INLAY_GRAMMAR_REGEX, "(ab|[0-9]){2,4}\\w"},
        std::pair{INLAY_GRAMMAR_JSON_SCHEMA,
                  "{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"integer\", "
                  "\"minimum\": 3}}, \"not\": {\"required\": [\"b\"]}}"}}) {
    const int32_t form = kind;
    const char* text = source;
    const size_t n = try_all(text, [&] {
      inlay_grammar* made = nullptr;
      const inlay_status status = grammar(form, text, &made);
      CHECK((made == nullptr) == (status != INLAY_OK));
      inlay_grammar_close(made);
      return status;
    });
    CHECK(n > 3);
  }

  inlay_grammar* word = nullptr;
  REQUIRE(grammar(INLAY_GRAMMAR_REGEX, "(yes|no)[!?]", &word) == INLAY_OK);
  try_all("text of a form", [&] {
    inlay_status status = inlay_session_prompt(session, "return ", 7, 0, &error);
    if (status == INLAY_OK) status = inlay_session_constrain_grammar(session, word, &error);
    if (status != INLAY_OK) return status;
    rest(session);
    status = inlay_session_status(session, &error);
    CHECK(inlay_session_constrain_grammar(session, nullptr, nullptr) == INLAY_OK);
    return status;
  });
  try_all("a form filled in", [&] {
    inlay_fill* fill = nullptr;
    inlay_status status = inlay_session_prompt(session, "return ", 7, 0, &error);
    if (status == INLAY_OK) status = inlay_fill_create(session, word, 20, &fill, &error);
    if (status != INLAY_OK) return status;
    while (inlay_fill_step(fill, 0) == INLAY_STEP_MORE) {
    }
    status = inlay_fill_status(fill, &error);
    inlay_fill_close(fill);
    return status;
  });
  inlay_grammar_close(word);

  try_all("a choice", [&] {
    inlay_chooser* chooser = nullptr;
    inlay_status status = inlay_chooser_create(session, &chooser, &error);
    if (status != INLAY_OK) return status;
    const char* texts[] = {"return 0;", "break;"};
    status = inlay_chooser_start(chooser, "int main() {\n  ", INLAY_NUL_TERMINATED, texts, nullptr,
                                 2, nullptr, &error);
    if (status == INLAY_OK) status = inlay_chooser_run(chooser, &error);
    inlay_chooser_close(chooser);
    return status;
  });
  try_all("a fork that writes", [&] {
    inlay_session* fork = nullptr;
    inlay_session_options small;
    inlay_session_options_init(&small, sizeof small);
    small.context = 64;
    small.max_tokens = 2;
    const inlay_status status = inlay_session_fork(session, &small, &fork, &error);
    if (status != INLAY_OK) return status;
    rest(fork);
    inlay_session_close(fork);
    return INLAY_OK;
  });
  try_all("a text read and written", [&] {
    const inlay_status status = inlay_session_prompt(session, "int x", 5, 0, &error);
    if (status != INLAY_OK) return status;
    rest(session);
    return inlay_session_status(session, &error);
  });

  inlay_chat_template_options chat_options;
  inlay_chat_template_options_init(&chat_options, sizeof chat_options);
  chat_options.source = "{% for m in messages %}{{ m.role ~ ':' ~ m.content | upper }}{% endfor %}";
  inlay_chat_message message = {};
  message.role = "user";
  message.content = "hello";
  inlay_chat_request request;
  inlay_chat_request_init(&request, sizeof request);
  request.messages = &message;
  request.n_messages = 1;
  try_all("a chat", [&] {
    inlay_chat_template* chat = nullptr;
    inlay_status status = inlay_chat_template_create(model, &chat_options, &chat, &error);
    if (status != INLAY_OK) return status;
    char out[100];
    size_t size = 0;
    inlay_token tokens[100];
    status = inlay_chat_template_render(chat, &request, out, sizeof out, &size, &error);
    if (status == INLAY_OK)
      status = inlay_chat_template_encode(chat, &request, tokens, 100, &size, &error);
    inlay_chat_parser* parser = nullptr;
    if (status == INLAY_OK)
      status = inlay_chat_parser_create(chat, "", 0, nullptr, &parser, &error);
    inlay_chat_template_close(chat);
    const auto take = [](void*, int32_t, uint32_t, const char*, size_t, const char*, size_t) {};
    if (status == INLAY_OK) {
      status = inlay_chat_parser_push(parser, "a <think>b</think>", 18, take, nullptr, &error);
      if (status == INLAY_OK) status = inlay_chat_parser_finish(parser, take, nullptr, &error);
      inlay_chat_parser_close(parser);
    }
    return status;
  });
  inlay_session_options session_options;
  inlay_session_options_init(&session_options, sizeof session_options);
  session_options.context = 256;
  try_all("a completion", [&] {
    inlay_completion_options small;
    inlay_completion_options_init(&small, sizeof small);
    small.session = &session_options;
    small.max_tokens = 4;
    inlay_completion* completion = nullptr;
    inlay_status status = inlay_completion_create(model, &small, &completion, &error);
    if (status != INLAY_OK) return status;
    status = inlay_completion_set_file(completion, "b.c", 3, "int b();\n", 9, 1, &error);
    if (status == INLAY_OK)
      status =
          inlay_completion_update(completion, "a.c", 3, "int a() {\n  \n}\n", 15, 12, 1, &error);
    if (status == INLAY_OK) {
      while (inlay_completion_step(completion, 0) == INLAY_STEP_MORE) {
      }
      status = inlay_completion_status(completion, &error);
    }
    inlay_completion_close(completion);
    return status;
  });
  inlay_session_close(session);
  inlay_model_close(model);
  CHECK(allocator.live_blocks() == 0);
  CHECK(allocator.wrong_releases() == 0);
}

TEST_CASE("the callbacks of the host") {
  struct Host {
    const Memory* memory;
    uint32_t reads = 0, runs = 0, logs = 0, progress = 0;
    uint64_t now = 1;
  };
  random_model::File content = random_model::make(*random_model::find_spec("llama-gqa"), Type::f16);
  content.set("llama.no_such_key", random_model::u32_value(1));
  const Memory memory(content);
  Host state = {&memory};
  inlay_host host;
  inlay_host_init(&host, sizeof host);
  host.log = [](void* user, int32_t level, const char* line) {
    ++static_cast<Host*>(user)->logs;
    CHECK((level == INLAY_LOG_INFO || level == INLAY_LOG_WARNING));
    CHECK(line[0] != '\0');
  };
  host.parallel_for = [](void* user, uint32_t count, void (*task)(void*, uint32_t), void* context) {
    ++static_cast<Host*>(user)->runs;
    for (uint32_t i = 0; i < count; ++i) task(context, i);
  };
  host.now_us = [](void* user) { return static_cast<Host*>(user)->now += 1000; };
  host.log_user = host.jobs_user = host.clock_user = &state;
  inlay_model_options options;
  inlay_model_options_init(&options, sizeof options);
  options.host = &host;
  options.weights = INLAY_WEIGHTS_PACKED;
  options.progress_user = &state;
  options.progress = [](void* user, float fraction) -> int32_t {
    ++static_cast<Host*>(user)->progress;
    return fraction >= 0 && fraction <= 1;
  };
  inlay_read_function file = {};
  file.struct_size = sizeof file;
  file.user = &state;
  file.size = memory.size();
  file.read = [](void* user, uint64_t offset, void* destination, size_t bytes) -> int32_t {
    Host& h = *static_cast<Host*>(user);
    ++h.reads;
    if (offset + bytes > h.memory->size()) return 0;
    std::memcpy(destination, h.memory->data() + offset, bytes);
    return 256;  // any number but 0
  };
  inlay_model* model = nullptr;
  inlay_error error;
  REQUIRE(inlay_model_open_function(&file, &options, &model, &error) == INLAY_OK);
  CHECK(state.reads > 0);
  CHECK(state.progress > 0);
  CHECK(state.logs > 0);  // of the key that nothing reads

  inlay_session_options session_options;
  inlay_session_options_init(&session_options, sizeof session_options);
  session_options.threads = 3;
  session_options.max_tokens = 2;
  inlay_session* session = nullptr;
  REQUIRE(inlay_session_create(model, &session_options, &session, &error) == INLAY_OK);
  REQUIRE(inlay_session_prompt_tokens(session, kPrompt.data(), kPrompt.size(), &error) == INLAY_OK);
  const uint64_t before = state.now;
  while (inlay_session_step(session, 1500) <= INLAY_STEP_PIECE) {
  }
  CHECK(state.now > before);
  CHECK(state.runs > 0);
  inlay_session_close(session);
  inlay_model_close(model);

  SUBCASE("progress can stop it") {
    options.progress = [](void*, float) -> int32_t { return 0; };
    CHECK(inlay_model_open_function(&file, &options, &model, &error) == INLAY_CANCELLED);
    CHECK(model == nullptr);
  }
  SUBCASE("a read that fails") {
    file.read = [](void*, uint64_t, void*, size_t) -> int32_t { return 0; };
    CHECK(inlay_model_open_function(&file, &options, &model, &error) == INLAY_IO);
    CHECK(model == nullptr);
  }
}

TEST_CASE("a model that is part of a larger file, opened in slices") {
  const Memory memory(random_model::make(*random_model::find_spec("llama-gqa"), Type::f16));
  std::vector<uint8_t> pack(64 + memory.size() + 100, 0x55);
  std::memcpy(pack.data() + 64, memory.data(), memory.size());
  inlay_read_function file = {};
  file.struct_size = sizeof file;
  file.user = &pack;
  file.size = pack.size();
  file.read = [](void* user, uint64_t offset, void* destination, size_t bytes) -> int32_t {
    const std::vector<uint8_t>& bytes_of = *static_cast<std::vector<uint8_t>*>(user);
    if (offset + bytes > bytes_of.size()) return 0;
    std::memcpy(destination, bytes_of.data() + offset, bytes);
    return 1;
  };
  inlay_source source;
  inlay_source_init(&source, sizeof source);
  CHECK(source.descriptor == -1);
  source.function = &file;
  source.offset = 64;
  source.size = memory.size();
  CountingAllocator allocator;
  const inlay_host host = lend(&allocator);
  inlay_model_options options;
  inlay_model_options_init(&options, sizeof options);
  options.host = &host;
  options.weights = INLAY_WEIGHTS_PACKED;
  inlay_error error;
  inlay_model* model = nullptr;
  inlay_source two = source;
  two.memory = pack.data();
  two.memory_size = pack.size();
  CHECK(inlay_model_open_source(&two, &options, &model, &error) == INLAY_BAD_ARGUMENT);
  CHECK(std::string(error.message) ==
        "the source has memory and a read function: expected one of these");
  CHECK(model == nullptr);
  REQUIRE(inlay_model_open_source(&source, &options, &model, &error) == INLAY_OK);
  inlay_model_info info;
  info.struct_size = sizeof info;
  REQUIRE(inlay_model_get_info(model, &info, &error) == INLAY_OK);
  CHECK(info.memory_total > info.memory_weights);
  CHECK(info.memory_peak >= info.memory_total);
  inlay_model_close(model);

  inlay_loader* loader = nullptr;
  REQUIRE(inlay_loader_create(&source, &options, &loader, &error) == INLAY_OK);
  int steps = 0;
  for (model = nullptr; model == nullptr; ++steps) {
    REQUIRE(inlay_loader_step(loader, 1, &model, &error) == INLAY_OK);
  }
  CHECK(steps > 1);
  CHECK(inlay_loader_fraction(loader) == 1);
  inlay_model* again = nullptr;
  CHECK(inlay_loader_step(loader, 1, &again, &error) == INLAY_BAD_ARGUMENT);
  inlay_loader_close(loader);
  inlay_session* session = create(model, 3);
  REQUIRE(inlay_session_prompt_tokens(session, kPrompt.data(), kPrompt.size(), &error) == INLAY_OK);
  rest(session);
  CHECK(inlay_session_stop_reason(session) == INLAY_STOP_MAX_TOKENS);
  inlay_session_close(session);
  inlay_model_close(model);

  // Cancelled, and closed in the middle.
  REQUIRE(inlay_loader_create(&source, &options, &loader, &error) == INLAY_OK);
  inlay_loader_cancel(loader);
  CHECK(inlay_loader_step(loader, 1000000, &model, &error) == INLAY_CANCELLED);
  CHECK(model == nullptr);
  inlay_loader_close(loader);
  REQUIRE(inlay_loader_create(&source, &options, &loader, &error) == INLAY_OK);
  REQUIRE(inlay_loader_step(loader, 1, &model, &error) == INLAY_OK);
  inlay_loader_close(loader);
  CHECK(allocator.live_blocks() == 0);

  // Only planned; and with a limit that is too low.
  options.plan_only = 1;
  REQUIRE(inlay_model_open_source(&source, &options, &model, &error) == INLAY_OK);
  inlay_memory_plan plan;
  plan.struct_size = sizeof plan;
  CHECK(inlay_session_plan(model, nullptr, &plan, &error) == INLAY_OK);
  inlay_session* none = nullptr;
  CHECK(inlay_session_create(model, nullptr, &none, &error) != INLAY_OK);
  inlay_model_close(model);
  options.plan_only = 0;
  options.max_bytes = info.memory_peak / 2;
  CHECK(inlay_model_open_source(&source, &options, &model, &error) == INLAY_OUT_OF_MEMORY);
  CHECK(inlay_model_open_source(nullptr, &options, &model, &error) == INLAY_BAD_ARGUMENT);
  CHECK(allocator.live_blocks() == 0);
  CHECK(allocator.wrong_releases() == 0);
}

TEST_CASE("structs of an older and of a newer program") {
  const Opened opened("llama-gqa");
  inlay_error error;
  inlay_session* session = nullptr;

  // Older: it knows the struct up to `threads`, and nothing behind that is touched.
  constexpr uint32_t kOlder = offsetof(inlay_session_options, max_tokens);
  inlay_session_options options;
  std::memset(&options, 0x55, sizeof options);
  inlay_session_options_init(&options, kOlder);
  CHECK(options.struct_size == kOlder);
  CHECK(options.batch == 256);
  CHECK(options.max_tokens == 0x55555555);
  options.context = 64;
  REQUIRE(inlay_session_create(opened.model, &options, &session, &error) == INLAY_OK);
  inlay_session_close(session);

  // Newer: fields that this library does not know must be zero, their default.
  struct {
    inlay_session_options known;
    uint64_t added;
  } newer;
  std::memset(&newer, 0x55, sizeof newer);
  inlay_session_options_init(&newer.known, sizeof newer);
  CHECK(newer.added == 0);
  newer.known.context = 64;
  REQUIRE(inlay_session_create(opened.model, &newer.known, &session, &error) == INLAY_OK);
  inlay_session_close(session);
  newer.added = 1;
  CHECK(inlay_session_create(opened.model, &newer.known, &session, &error) == INLAY_BAD_ARGUMENT);
  CHECK(std::string(error.message).find("inlay_session_options") != std::string::npos);
  CHECK(session == nullptr);

  // Results: what does not fit is left out, what nobody knows is zero.
  inlay_memory_plan plan;
  std::memset(&plan, 0x55, sizeof plan);
  plan.struct_size = offsetof(inlay_memory_plan, other);
  REQUIRE(inlay_session_plan(opened.model, nullptr, &plan, &error) == INLAY_OK);
  CHECK(plan.kv_cache > 0);
  CHECK(plan.other == 0x5555555555555555u);
  plan.struct_size = sizeof plan;
  REQUIRE(inlay_session_plan(opened.model, nullptr, &plan, &error) == INLAY_OK);
  CHECK(plan.total == plan.kv_cache + plan.activations + plan.other);

  for (uint32_t size : {0u, 4u, 100000u}) {
    options.struct_size = size;  // nobody has called init
    CHECK(inlay_session_create(opened.model, &options, &session, &error) == INLAY_BAD_ARGUMENT);
    plan.struct_size = size;  // nobody has set it
    CHECK(inlay_session_plan(opened.model, nullptr, &plan, &error) == INLAY_BAD_ARGUMENT);
    CHECK(std::string(error.message).find("inlay_memory_plan") != std::string::npos);
  }

  // Too short for a field that is needed, which must not be taken from the handle's memory.
  CountingAllocator dirty;
  const inlay_host host = lend(&dirty);
  inlay_model_options model_options;
  inlay_model_options_init(&model_options, sizeof model_options);
  model_options.host = &host;
  inlay_read_function file = {};
  file.struct_size = offsetof(inlay_read_function, read);
  inlay_model* model = nullptr;
  if (file.struct_size > sizeof file.struct_size) {
    CHECK(inlay_model_open_function(&file, &model_options, &model, &error) == INLAY_BAD_ARGUMENT);
    CHECK(std::string(error.message).find("read") != std::string::npos);
  }
}

TEST_CASE("arguments that are wrong") {
  inlay_error error;
  inlay_model* model = nullptr;
  CHECK(inlay_model_open("/no/such/file", nullptr, &model, &error) == INLAY_IO);
  CHECK(error.code == INLAY_IO);
  CHECK(std::string(error.message).find("/no/such/file") != std::string::npos);
  CHECK(inlay_model_open("/no/such/file", nullptr, &model, nullptr) == INLAY_IO);
  CHECK(inlay_model_open(nullptr, nullptr, &model, &error) == INLAY_BAD_ARGUMENT);
  CHECK(inlay_model_open("x", nullptr, nullptr, &error) == INLAY_BAD_ARGUMENT);

  const Opened opened("llama-gqa");
  inlay_session_options options;
  inlay_session* session = nullptr;
  inlay_session_options_init(&options, sizeof options);
  SUBCASE("a cache type") { options.kv_cache = 3; }
  SUBCASE("too many stop texts") { options.n_stop = 17; }
  SUBCASE("stop texts that are not there") { options.n_stop = 1; }
  SUBCASE("threads") { options.threads = 0; }
  CHECK(inlay_session_create(opened.model, &options, &session, &error) == INLAY_BAD_ARGUMENT);
  CHECK(std::string(error.message).find("option") == 0);
  CHECK(session == nullptr);

  // No handle: an error, or nothing.
  CHECK(inlay_session_prompt(nullptr, "x", 1, 0, &error) == INLAY_BAD_ARGUMENT);
  CHECK(inlay_session_step(nullptr, 100) == INLAY_STEP_FAILED);
  CHECK(inlay_session_next(nullptr, nullptr) == nullptr);
  CHECK(inlay_session_tokens(nullptr, nullptr) == nullptr);
  inlay_session_close(nullptr);
  inlay_embedder_close(nullptr);
  inlay_model_close(nullptr);
}

TEST_CASE("every status has a text of its own") {
  for (inlay_status a = INLAY_OK; a <= INLAY_BUSY; ++a) {
    CHECK(std::string(inlay_status_text(a)) != "unknown error");
    for (inlay_status b = INLAY_OK; b < a; ++b) {
      CHECK(std::string(inlay_status_text(a)) != inlay_status_text(b));
    }
  }
  CHECK(std::string(inlay_status_text(INLAY_BUSY + 1)) == "unknown error");
  CHECK(inlay_c_version() == INLAY_C_VERSION);
  CHECK(std::string(inlay_version()) == INLAY_VERSION);
}

TEST_CASE("embeddings at once and in slices") {
  const Opened opened("llama-gqa");
  inlay_embedder* embedder = nullptr;
  inlay_error error;
  inlay_memory_plan plan;
  plan.struct_size = sizeof plan;
  REQUIRE(inlay_embedder_plan(opened.model, nullptr, &plan, &error) == INLAY_OK);
  CHECK(plan.total > 0);
  REQUIRE(inlay_embedder_create(opened.model, nullptr, &embedder, &error) == INLAY_OK);
  inlay_model_info info;
  info.struct_size = sizeof info;
  REQUIRE(inlay_model_get_info(opened.model, &info, &error) == INLAY_OK);
  const char* texts[] = {"one", "another", "one"};
  const size_t sizes[] = {3, 7, 3};
  inlay_embed_options options;
  inlay_embed_options_init(&options, sizeof options);
  options.pooling = INLAY_POOLING_MEAN;
  std::vector<float> all(3 * info.embedding);
  size_t rows = 0;
  REQUIRE(inlay_embed(embedder, texts, nullptr, 3, &options, all.data(), all.size(), &rows,
                      &error) == INLAY_OK);
  CHECK(rows == 3);
  CHECK(std::memcmp(all.data(), all.data() + 2 * info.embedding, info.embedding * sizeof(float)) ==
        0);
  CHECK(inlay_embed(embedder, texts, sizes, 3, &options, all.data(), 1, &rows, &error) ==
        INLAY_BAD_ARGUMENT);
  CHECK(rows == 0);

  size_t taken = 0;
  REQUIRE(inlay_embedder_start(embedder, texts, sizes, 1, &options, &taken, &error) == INLAY_OK);
  CHECK(taken == 1);
  int32_t step;
  while ((step = inlay_embedder_step(embedder, 1)) == INLAY_STEP_MORE) {
  }
  CHECK(step == INLAY_STEP_DONE);
  REQUIRE(inlay_embedder_rows(embedder) == 1);
  size_t size = 0;
  const float* row = inlay_embedder_row(embedder, 0, &size);
  REQUIRE(size == info.embedding);
  CHECK(std::memcmp(row, all.data(), size * sizeof(float)) == 0);
  CHECK(inlay_embedder_row(embedder, 1, &size) == nullptr);

  options.pooling = 9;
  CHECK(inlay_embed(embedder, texts, sizes, 3, &options, all.data(), all.size(), &rows, &error) ==
        INLAY_BAD_ARGUMENT);
  const char* documents[] = {"a", "b"};
  CHECK(inlay_rank(embedder, "q", 1, documents, nullptr, 2, all.data(), all.size(), &rows,
                   &error) == INLAY_BAD_ARGUMENT);  // this model has no classifier
  inlay_embedder_close(embedder);
}

}  // namespace
