#include "inlay/session/kept_spans.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <inlay.hpp>
#include <string>
#include <vector>

#include "inlay/session/kept_spans-inl.hpp"
#include "support/models/shapes.hpp"
#include "support/sessions.hpp"

namespace {

using inlay::ErrorCode;
using inlay::KvCacheType;
using inlay::Model;
using inlay::Session;
using inlay::SessionOptions;
using inlay::Step;
using inlay::Token;
using inlay::detail::KeptSpans;
using inlay_test::continued;
using inlay_test::create;
using inlay_test::Opened;
using inlay_test::operator+;
using inlay_test::prompt;
using inlay_test::some_tokens;
using inlay_test::Tokens;
using random_model::Type;

struct Draw {
  uint64_t state = 1;
  uint32_t operator()(uint32_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<uint32_t>((state >> 33) % below);
  }
};

Tokens slice(const Tokens& tokens, size_t from, size_t to) {
  return {tokens.begin() + static_cast<std::ptrdiff_t>(from),
          tokens.begin() + static_cast<std::ptrdiff_t>(to)};
}

uint32_t common_beginning(const Tokens& a, const Tokens& b) {
  uint32_t n = 0;
  while (n < a.size() && n < b.size() && a[n] == b[n]) ++n;
  return n;
}

// A cache of tokens: what is moved in it can be looked at.
class Cache {
 public:
  Cache(uint32_t least, Tokens text) : cells(std::move(text)), table_(8192) {
    spans.set_least(least);
    REQUIRE(spans.table_slots(4096) <= table_.size());
    spans.set_memory(table_.data());
  }
  // Everything that is said to be kept is in its place afterwards. Returns how many tokens.
  uint32_t change_to(const Tokens& text) {
    const uint32_t same = common_beginning(cells, text);
    spans.find(cells, text, same);
    const uint32_t kept = spans.tokens();
    cells.resize(std::max(cells.size(), text.size()), -1);
    uint32_t at = same;
    for (const KeptSpans::Kept& span : spans.spans()) {
      CHECK(span.begin >= at);
      CHECK(span.end > span.begin);
      at = span.end;
    }
    CHECK(at < text.size() + (kept == 0));
    for (KeptSpans::Move move = spans.next_move(); move.n > 0; move = spans.next_move()) {
      CHECK(move.n <= KeptSpans::kPositionsAtOnce);
      std::memmove(&cells[move.to], &cells[move.from], move.n * sizeof(Token));
      spans.finish_move();
    }
    for (const KeptSpans::Kept& span : spans.spans()) {
      CHECK(span.moved);
      CHECK(slice(cells, span.begin, span.end) == slice(text, span.begin, span.end));
    }
    // Reading fills what is between.
    for (uint32_t position = same; position < text.size();) {
      position = spans.pass(position);
      const uint32_t n = spans.cut(position, 7);
      REQUIRE(n > 0);
      for (uint32_t i = 0; i < n && position < text.size(); ++i) {
        cells[position] = text[position];
        ++position;
      }
    }
    CHECK(spans.spans().empty());
    cells.resize(text.size());
    CHECK(cells == text);
    return kept;
  }
  KeptSpans spans;
  Tokens cells;

 private:
  std::vector<uint32_t> table_;
};

SessionOptions reusing(uint32_t least, KvCacheType cache = KvCacheType::f32) {
  SessionOptions options;
  options.context = 512;
  options.max_tokens = 4;
  options.kv_cache = cache;
  options.reuse = least;
  options.sampling.temperature = 0;
  return options;
}

// K and V of the first layer, which depend on a position and its token only, as a state has them.
std::vector<float> first_layer(const Session& session, size_t positions) {
  std::vector<uint8_t> state(session.state_bytes());
  REQUIRE(session.save(state));
  uint64_t head[84];
  std::memcpy(head, state.data(), sizeof head);
  const size_t tokens = (head[6] * 4 + 7) / 8 * 8, held = (head[13] + 7) / 8 * 8;
  REQUIRE(head[14] == 0);  // no row
  const size_t begin = sizeof head + tokens + held, cached = head[7];
  REQUIRE(cached >= positions);
  std::vector<float> out;
  const size_t floats = (state.size() - 8 - begin) / 4;  // of all layers
  out.resize(floats);
  std::memcpy(out.data(), state.data() + begin, floats * 4);
  return out;
}

}  // namespace

TEST_CASE("what is inserted, deleted or replaced leaves the rest in the cache") {
  const Tokens text = some_tokens(300, 1), other = some_tokens(50, 2);
  const auto kept = [&](const Tokens& now) { return Cache(16, text).change_to(now); };
  CHECK(kept(slice(text, 0, 100) + other + slice(text, 100, 300)) == 199);
  CHECK(kept(other + text) == 299);
  CHECK(kept(slice(text, 0, 100) + slice(text, 150, 300)) == 149);
  CHECK(kept(slice(text, 30, 300)) == 269);
  CHECK(kept(slice(text, 0, 100) + slice(other, 0, 1) + slice(text, 101, 300)) == 198);
  CHECK(kept(slice(text, 0, 90) + other + slice(text, 100, 200) + other + slice(text, 200, 290)) ==
        189);
  CHECK(kept(slice(text, 0, 100) + slice(text, 120, 200) + other + slice(text, 200, 250) + other) ==
        130);
  CHECK(kept(slice(text, 0, 100) + other) == 0);
  CHECK(kept(text + other) == 0);
  CHECK(kept(text) == 0);
  CHECK(kept(other) == 0);
  // A shorter one than 16 does not count; one of 31 is found wherever it lies.
  CHECK(kept(other + slice(text, 200, 215) + other) == 0);
  for (size_t at = 60; at < 90; ++at) CHECK(kept(other + slice(text, at, at + 16) + other) == 16);
}

TEST_CASE("spans change their order: those that keep it and are longest together stay") {
  const Tokens a = some_tokens(100, 1), b = some_tokens(60, 2), c = some_tokens(90, 3),
               d = some_tokens(20, 4);
  CHECK(Cache(16, a + b + c).change_to(b + a + c + d) == 190);
  CHECK(Cache(16, d + a + b + c).change_to(d + c + a + b) == 159);  // without the last token
  // What is pasted in front of what it was copied from does not take its place.
  CHECK(Cache(16, d + a + b + c).change_to(d + slice(c, 0, 60) + a + b + c) == 249);
}

TEST_CASE("any two texts, also of few different tokens") {
  Draw draw{5};
  for (int round = 0; round < 300; ++round) {
    const uint32_t kinds = 1 + draw(draw(2) == 0 ? 4 : 200);
    Tokens text = some_tokens(1 + draw(600), static_cast<uint32_t>(round + 1), kinds);
    Cache cache(8 + draw(30), text);
    for (int edit = 0; edit < 6; ++edit) {
      for (uint32_t changes = draw(4); changes-- > 0;) {
        const uint32_t from = draw(static_cast<uint32_t>(text.size())),
                       to = from + draw(static_cast<uint32_t>(text.size()) - from + 1);
        const Tokens part = slice(text, from, to);
        const uint32_t at = draw(static_cast<uint32_t>(text.size()));
        switch (draw(3)) {
          case 0:
            if (text.size() > part.size())
              text = slice(text, 0, from) + slice(text, to, text.size());
            break;
          case 1:
            text = slice(text, 0, at) +
                   some_tokens(1 + draw(40), static_cast<uint32_t>(round) + 9, kinds) +
                   slice(text, at, text.size());
            break;
          default:
            text = slice(text, 0, at) + part + slice(text, at, text.size());
        }
        if (text.size() > 2000) text.resize(2000);
      }
      cache.change_to(text);
    }
  }
}

TEST_CASE("K and V that were moved are those of their new positions, in every architecture") {
  for (const char* name : {"llama-freqs",     "llama-yarn",
                           "llama-longrope",  "qwen3-tied",
                           "smollm3",         "mistral3",
                           "gemma2-caps",     "gemma3-linear",
                           "gemma4-shared",   "phi3-plain",
                           "phi2-fused",      "gptneox-parallel",
                           "falcon-7b",       "bloom",
                           "mpt-clamp",       "stablelm",
                           "command-r",       "cohere2",
                           "olmo2",           "exaone4",
                           "deepseek2-lite",  "deepseek2-lite-old",
                           "deepseek2-flash", "gpt-oss-1",
                           "granite-no-rope"}) {
    CAPTURE(name);
    const Opened model(name);
    REQUIRE(model->shape().shifts);
    const Tokens text = some_tokens(120, 1), added = some_tokens(33, 2);
    const Tokens changed = slice(text, 0, 20) + added + slice(text, 20, 70) + slice(text, 85, 120) +
                           slice(added, 0, 3);
    Session fresh = create(*model, reusing(0));
    prompt(fresh, changed);
    continued(fresh);
    const std::vector<float> truth = first_layer(fresh, changed.size());
    Session session = create(*model, reusing(16));
    prompt(session, text);
    continued(session);
    prompt(session, changed);
    CHECK(session.reused() == 20 + 50 + 35);
    CHECK(session.cached() == 20);
    session.next();
    CHECK(session.cached() >= changed.size());
    continued(session);
    const std::vector<float> moved = first_layer(session, changed.size());
    REQUIRE(moved.size() > 0);
    const size_t positions = session.cached(),
                 layers = model->shape().n_layers;  // at most; some have none of their own
    const size_t floats = moved.size() / positions / layers * changed.size();
    double error = 0, size = 0;
    for (size_t i = 0; i < floats; ++i) {
      error += std::pow(double{moved[i]} - double{truth[i]}, 2);
      size += std::pow(double{truth[i]}, 2);
    }
    CHECK(error < size * 1e-10);
    CHECK(moved != truth);
  }
}

TEST_CASE("a model of one layer gives the same logits, from every kind of cache") {
  const random_model::Spec spec{"one", "llama", 1, 64, 4, 2, 96, 16, 300};
  const random_model::Memory memory(random_model::make(spec, Type::f32));
  const auto model = Model::from_memory({memory.data(), memory.size()});
  REQUIRE(model);
  const Tokens text = some_tokens(150, 1), added = some_tokens(9, 2);
  const Tokens changed = slice(text, 5, 60) + added + slice(text, 60, 150);
  const auto logits = [&](Session& session) {
    std::vector<float> row;
    const Token last[] = {7};
    REQUIRE(session.evaluate(
        last, true,
        [](void* user, size_t, inlay::Span<const float> values) {
          static_cast<std::vector<float>*>(user)->assign(values.begin(), values.end());
        },
        &row));
    return row;
  };
  for (const KvCacheType cache : {KvCacheType::f32, KvCacheType::f16, KvCacheType::q8_0}) {
    Session fresh = create(*model, reusing(0, cache)), session = create(*model, reusing(8, cache));
    prompt(fresh, changed);
    fresh.next();
    const std::vector<float> truth = logits(fresh);
    prompt(session, text);
    session.next();
    prompt(session, changed);
    CHECK(session.reused() == 144);
    session.next();
    const std::vector<float> moved = logits(session);
    double error = 0, size = 0;
    for (size_t i = 0; i < truth.size(); ++i) {
      error += std::pow(double{moved[i]} - double{truth[i]}, 2);
      size += std::pow(double{truth[i]}, 2);
    }
    CHECK(error / size < (cache == KvCacheType::f32   ? 1e-10
                          : cache == KvCacheType::f16 ? 1e-7
                                                      : 1e-3));
  }
}

TEST_CASE("what is kept is the same for any number of threads and any budget") {
  struct Clock {
    uint64_t calls = 0;
  } clock;
  inlay::ModelOptions model_options;
  model_options.host.clock.user = &clock;
  model_options.host.clock.now_us = [](void* user) { return ++static_cast<Clock*>(user)->calls; };
  const Opened model("qwen3-tied", model_options);
  const Tokens text = some_tokens(200, 1), added = some_tokens(20, 2);
  const Tokens changed = added + slice(text, 0, 90) + added + slice(text, 100, 200);
  std::vector<Tokens> written;
  for (const bool stepped : {false, true}) {
    for (const uint32_t threads : {1u, 2u}) {
      SessionOptions options = reusing(16);
      options.threads = threads;
      options.batch = 32;
      Session session = create(*model, options);
      prompt(session, text);
      continued(session);
      prompt(session, changed);
      if (stepped) {
        while (session.step(1) != Step::done) {
        }
      } else {
        continued(session);
      }
      written.emplace_back(session.tokens().begin(), session.tokens().end());
    }
  }
  for (const Tokens& tokens : written) CHECK(tokens == written[0]);
}

TEST_CASE("a prompt may change again before anything was moved or read") {
  struct Clock {
    uint64_t calls = 0;
  } clock;
  inlay::ModelOptions model_options;
  model_options.host.clock.user = &clock;
  model_options.host.clock.now_us = [](void* user) { return ++static_cast<Clock*>(user)->calls; };
  const random_model::Spec spec{"one", "llama", 1, 64, 4, 2, 96, 16, 300};
  const random_model::Memory memory(random_model::make(spec, Type::f32));
  const auto model = Model::from_memory({memory.data(), memory.size()}, model_options);
  REQUIRE(model);
  SessionOptions options = reusing(8);
  options.batch = 16;
  Session session = create(*model, options);
  Tokens text = some_tokens(200, 1);
  prompt(session, text);
  continued(session);
  Draw draw{3};
  uint32_t reused = 0;
  for (int round = 0; round < 150; ++round) {
    const uint32_t at = draw(static_cast<uint32_t>(text.size()));
    text =
        draw(2) == 0 && text.size() > 100
            ? slice(text, 0, at) + slice(text, std::min<size_t>(text.size(), at + 9), text.size())
            : slice(text, 0, at) + some_tokens(1 + draw(9), static_cast<uint32_t>(round)) +
                  slice(text, at, text.size());
    if (text.size() > 400) text.resize(300);
    prompt(session, text);
    reused += session.reused();
    if (round % 7 == 3) {  // its own tokens
      const Tokens own(session.tokens().begin(), session.tokens().end());
      REQUIRE(session.prompt(session.tokens()));
      CHECK(Tokens(session.tokens().begin(), session.tokens().end()) == own);
    }
    for (uint32_t steps = draw(12); steps-- > 0;) session.step(draw(40));
  }
  CHECK(reused > 150 * 50);
  continued(session);
  Session fresh = create(*model, reusing(0));
  prompt(fresh, text);
  continued(fresh);
  const std::vector<float> truth = first_layer(fresh, text.size()),
                           moved = first_layer(session, text.size());
  double error = 0, size = 0;
  for (size_t i = 0; i < text.size() * 64; ++i) {
    error += std::pow(double{moved[i]} - double{truth[i]}, 2);
    size += std::pow(double{truth[i]}, 2);
  }
  CHECK(error < size * 1e-9);
}

TEST_CASE("models whose positions cannot be moved say so") {
  for (const char* name :
       {"mamba-1", "qwen35-1", "lfm2-1", "gpt2", "mpt-positions", "hunyuan-plain"}) {
    CAPTURE(name);
    const Opened model(name);
    CHECK(!model->shape().shifts);
    SessionOptions options = reusing(16);
    options.context = 0;
    const auto session = Session::create(*model, options);
    REQUIRE(!session);
    CHECK(session.error().code() == ErrorCode::unsupported);
  }
  const Opened model("qwen3-tied");
  CHECK(model->shape().shifts);
  CHECK(Session::create(*model, reusing(7)).error().code() == ErrorCode::bad_argument);
}
