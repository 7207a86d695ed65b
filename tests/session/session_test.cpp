#include "inlay/session/session.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <inlay.hpp>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "support/counting_allocator.hpp"
#include "support/hosts.hpp"
#include "support/models/shapes.hpp"

#ifdef __linux__
#  include <sys/wait.h>
#  include <unistd.h>
#endif

namespace {

using inlay::ErrorCode;
using inlay::Model;
using inlay::ModelOptions;
using inlay::Piece;
using inlay::Session;
using inlay::SessionOptions;
using inlay::Step;
using inlay::StopReason;
using inlay::Token;
using inlay_test::CountingAllocator;
using random_model::File;
using random_model::Memory;
using random_model::Random;
using random_model::Type;

using Tokens = std::vector<Token>;
using Texts = std::vector<std::string>;

inlay::Span<const Token> span(const Tokens& tokens) { return {tokens.data(), tokens.size()}; }
Tokens tokens_of(const Session& session) {
  return {session.tokens().begin(), session.tokens().end()};
}

// A file in memory and the model on it.
class Opened {
 public:
  explicit Opened(const File& file, const inlay::Host& host = {})
      : memory_(file), model_(open(memory_, host)) {
    CAPTURE(model_ ? std::string() : std::string(model_.error().message()));
    REQUIRE(bool(model_));
  }
  explicit Opened(const char* name, Type type = Type::f16, const inlay::Host& host = {})
      : Opened(random_model::make(*random_model::find_spec(name), type), host) {}
  const Model& operator*() const { return *model_; }
  const Model* operator->() const { return &*model_; }

 private:
  static inlay::Result<Model> open(const Memory& memory, const inlay::Host& host) {
    ModelOptions options;
    options.host = host;
    return Model::from_memory({memory.data(), memory.size()}, options);
  }
  Memory memory_;
  inlay::Result<Model> model_;
};

SessionOptions greedy(uint32_t context, uint32_t max_tokens = 0) {
  SessionOptions options;
  options.context = context;
  options.max_tokens = max_tokens;
  options.sampling.temperature = 0;
  return options;
}

Session create(const Model& model, const SessionOptions& options) {
  auto session = Session::create(model, options);
  CAPTURE(session ? std::string() : std::string(session.error().message()));
  REQUIRE(bool(session));
  return std::move(*session);
}

// All that comes until the output ends.
std::string run(Session& session) {
  std::string text;
  while (const Piece* piece = session.next()) text += piece->text;
  return text;
}

std::vector<float> last_logits(const Model& model, const Tokens& tokens) {
  SessionOptions options = greedy(static_cast<uint32_t>(tokens.size()));
  Session session = create(model, options);
  std::vector<float> out;
  REQUIRE(session.evaluate(
      span(tokens), true,
      [](void* user, size_t, inlay::Span<const float> row) {
        static_cast<std::vector<float>*>(user)->assign(row.begin(), row.end());
      },
      &out));
  return out;
}

void append_row(void* user, size_t, inlay::Span<const float> row) {
  auto& out = *static_cast<std::vector<float>*>(user);
  out.insert(out.end(), row.begin(), row.end());
}

double relative_error(const std::vector<float>& truth, const std::vector<float>& other) {
  REQUIRE(truth.size() == other.size());
  double error = 0, size = 0;
  for (size_t i = 0; i < truth.size(); ++i) {
    error += std::pow(double{truth[i]} - double{other[i]}, 2);
    size += std::pow(double{truth[i]}, 2);
  }
  return error / size;
}

const Tokens kPrompt = {1, 70, 45, 200, 17, 99, 258, 31, 8, 120, 66, 240};

// ---- a model that recites ----------------------------------------------------------------------

// What is written is known: after token kFirst + i comes kFirst + i + 1, whose text is texts[i +
// 1]; after the last one the end of text. The block adds nothing (its last matrices are zero), so
// each token's logits are products of its embedding, a random vector, with the rows of the output;
// its successor's row is that very vector.
constexpr Token kFirst = 259;

File recite(const Texts& texts) {
  const uint32_t vocabulary = static_cast<uint32_t>(kFirst) + static_cast<uint32_t>(texts.size());
  const random_model::Spec spec{"recite", "llama", 1, 128, 1, 1, 128, 32, vocabulary};
  File file = random_model::make(spec, Type::f32);
  for (const char* name : {"blk.0.attn_output.weight", "blk.0.ffn_down.weight"})
    file.tensor(name)->deviation = 0;
  Random random{42};
  std::vector<float> embedding(size_t{vocabulary} * 128), output(embedding.size());
  for (float& x : embedding) x = random.next() >> 63 ? 1.0f : -1.0f;
  for (size_t i = 0; i < texts.size(); ++i) {
    const size_t from = static_cast<size_t>(kFirst) + i, to = i + 1 < texts.size() ? from + 1 : 2;
    for (size_t d = 0; d < 128; ++d) output[to * 128 + d] = embedding[from * 128 + d];
  }
  file.tensor("token_embd.weight")->values = embedding;
  file.tensor("output.weight")->values = output;
  file.tensor("output_norm.weight")->deviation = 0;

  random_model::Bytes names = random_model::array_value(8, vocabulary);
  random_model::Bytes kinds = random_model::array_value(5, vocabulary);
  for (uint32_t i = 0; i < vocabulary; ++i) {
    const char* digits = "0123456789ABCDEF";
    std::string name = i == 0 ? "<unk>" : i == 1 ? "<s>" : "</s>";
    if (i >= 3 && i < 259) name = {'<', '0', 'x', digits[(i - 3) / 16], digits[(i - 3) % 16], '>'};
    if (i >= 259) name = texts[i - 259];
    random_model::put_text(&names, name);
    random_model::put_u32(&kinds, i == 0 ? 2 : i < 3 ? 3 : i < 259 ? 6 : 1);
  }
  file.set("tokenizer.ggml.tokens", names);
  file.set("tokenizer.ggml.token_type", kinds);
  return file;
}

std::string concatenate(const Texts& texts, size_t from) {
  std::string out;
  for (size_t i = from; i < texts.size(); ++i) out += texts[i];
  return out;
}

// A clock that advances by one microsecond each time it is asked, by whichever thread.
struct CallClock {
  std::atomic<uint64_t> calls{0};
  uint64_t cancel_at = UINT64_MAX;
  Session* session = nullptr;
  inlay::Clock clock() {
    return {[](void* user) {
              CallClock& c = *static_cast<CallClock*>(user);
              const uint64_t now = ++c.calls;
              if (now == c.cancel_at) c.session->cancel();
              return now;
            },
            this};
  }
};

}  // namespace

// ---- options -----------------------------------------------------------------------------------

TEST_CASE("an option outside its range is named") {
  const Opened model("llama-tiny");
  const std::string long_stop(256, 'x');
  const std::string_view stops[17] = {"a", "b", "c", "d", "e", "f", "g", "h", "i",
                                      "j", "k", "l", "m", "n", "o", "p", "q"};
  const std::string_view too_long[1] = {long_stop};
  std::vector<std::pair<const char*, SessionOptions>> cases(6);
  cases[0].first = "batch";
  cases[0].second.batch = 0;
  cases[1].first = "threads";
  cases[1].second.threads = 0;
  cases[2].first = "threads";
  cases[2].second.threads = 100000;
  cases[3].first = "stop";
  cases[3].second.stop = {stops, 17};
  cases[4].first = "stop";
  cases[4].second.stop = {too_long, 1};
  cases[5].first = "context";
  cases[5].second.context = UINT32_MAX;
  for (const auto& entry : cases) {
    const char* const name = entry.first;
    const SessionOptions& options = entry.second;
    CAPTURE(std::string(name));
    const auto session = Session::create(*model, options);
    REQUIRE_FALSE(session);
    CHECK(session.error().code() == ErrorCode::bad_argument);
    CHECK(std::string(session.error().message()).find(name) != std::string::npos);
    const auto plan = Session::plan(*model, options);
    REQUIRE_FALSE(plan);
    CHECK(plan.error().code() == ErrorCode::bad_argument);
  }
  SessionOptions most;
  most.context = 16;
  most.stop = {stops, 16};
  CHECK(Session::create(*model, most));
}

TEST_CASE("the plan is what create() takes, and nothing is taken afterwards") {
  CountingAllocator counter;
  inlay::Host host;
  host.allocator = counter.get();
  const Opened model("llama-gqa", Type::q4_k, host);
  const size_t model_bytes = counter.live_bytes();
  for (const inlay::KvCacheType kv :
       {inlay::KvCacheType::f32, inlay::KvCacheType::f16, inlay::KvCacheType::q8_0}) {
    for (const uint32_t threads : {1u, 3u}) {
      for (const uint32_t context : {17u, 100u}) {
        SessionOptions options = greedy(context);
        options.kv_cache = kv;
        options.threads = threads;
        options.batch = 6;
        const auto plan = Session::plan(*model, options);
        REQUIRE(plan);
        CHECK(counter.live_bytes() == model_bytes);
        Session session = create(*model, options);
        CHECK(counter.live_bytes() - model_bytes == plan->total());
        CHECK(plan->kv_cache > 0);
        const size_t calls = counter.calls();
        REQUIRE(session.prompt(span(kPrompt)));
        run(session);
        REQUIRE(session.prompt(span(kPrompt)));
        while (session.step(5) == Step::more) {
        }
        session.truncate(3);
        std::vector<float> logits;
        CHECK(session.evaluate(span(kPrompt), false, append_row, &logits));
        session.set_sampling({});
        REQUIRE(session.prompt(span(kPrompt)));
        run(session);
        CHECK(counter.calls() == calls);
        // Tokenizing may use the allocator, but keeps nothing.
        REQUIRE(session.prompt("some text"));
        run(session);
        CHECK(counter.live_bytes() - model_bytes == plan->total());
      }
    }
  }
  CHECK(counter.live_bytes() == model_bytes);
  CHECK(counter.wrong_releases() == 0);
}

TEST_CASE("a session's own tokens can be read once more") {
  const Opened model("llama-gqa");
  SessionOptions options = greedy(64);
  options.batch = 4;
  Session session = create(*model, options);
  REQUIRE(session.prompt(span(kPrompt)));
  while (session.cached() < 4) session.step(0);
  REQUIRE(session.evaluate(session.tokens(), true, nullptr, nullptr));
  Tokens expected(kPrompt.begin(), kPrompt.begin() + 4);
  expected.insert(expected.end(), kPrompt.begin(), kPrompt.end());
  CHECK(tokens_of(session) == expected);
}

TEST_CASE("a batch is never more tasks than a phase can have") {
  const Opened model("llama-gqa");
  const auto activations = [&](uint32_t batch) {
    SessionOptions options = greedy(1u << 22);
    options.batch = batch;
    const auto plan = Session::plan(*model, options);
    REQUIRE(plan);
    return plan->activations;
  };
  const uint32_t heads = std::max(model->shape().n_kv_heads, 4u);
  const uint32_t most = ((1u << 22) - 1) / heads;
  CHECK(activations(most - 1) < activations(most));
  CHECK(activations(1u << 22) == activations(most));
}

TEST_CASE("a KV cache of smaller numbers is smaller, and grows with the context") {
  const Opened model("llama-gqa");
  const auto bytes = [&](inlay::KvCacheType type, uint32_t context) {
    SessionOptions options = greedy(context);
    options.kv_cache = type;
    const auto plan = Session::plan(*model, options);
    REQUIRE(plan);
    return plan->kv_cache;
  };
  // 2 layers, K and V, 2 heads of 64, 4 bytes each; what is over is for alignment.
  const uint64_t least = uint64_t{2} * 2 * 2 * 64 * 4 * 320;
  CHECK(bytes(inlay::KvCacheType::f32, 320) >= least);
  CHECK(bytes(inlay::KvCacheType::f32, 320) <= least + 4096);
  CHECK(bytes(inlay::KvCacheType::f16, 320) <= least * 66 / 128 + 4096);
  CHECK(bytes(inlay::KvCacheType::q8_0, 320) <= least * 36 / 128 + 4096);
  CHECK(bytes(inlay::KvCacheType::f16, 640) >= 2 * bytes(inlay::KvCacheType::f16, 320) - 4096);
}

TEST_CASE("when any one allocation fails, creating a session fails cleanly") {
  for (size_t k = 0, failed = 1; failed != 0; ++k) {
    CountingAllocator counting;
    size_t before = 0;
    {
      inlay::Host host;
      host.allocator = counting.get();
      const Opened model("llama-tiny", Type::f16, host);
      before = counting.calls();
    }
    CountingAllocator failing(before + k);
    {
      inlay::Host host;
      host.allocator = failing.get();
      const Opened model("llama-tiny", Type::f16, host);
      SessionOptions options = greedy(32);
      options.threads = 2;
      auto session = Session::create(*model, options);
      failed = failing.failed();
      CHECK(bool(session) == (failed == 0));
      if (!session) CHECK(session.error().code() == ErrorCode::out_of_memory);
      if (!session) CHECK(Session::create(*model, options));  // the model is as good as before
      if (failed == 0) CHECK(k >= 2);
    }
    CHECK(failing.live_blocks() == 0);
    CHECK(failing.wrong_releases() == 0);
  }
}

// ---- prompts -----------------------------------------------------------------------------------

TEST_CASE("a prompt's tokens are the tokenizer's") {
  const Opened model("llama-gqa");
  Session session = create(*model, greedy(64));
  for (const char* text :
       {"the rain", "", " ", "int main() { return 0; }", "\xc3\xa4\xf0\x9f\x98\x80"}) {
    for (const bool special : {true, false}) {
      CAPTURE(std::string(text));
      inlay::TokenizeOptions options;
      options.add_special = special;
      Tokens expected(inlay::Tokenizer::max_tokens(std::strlen(text)));
      const auto n = model->tokenizer().encode(text, {expected.data(), expected.size()}, options);
      REQUIRE(n);
      expected.resize(*n);
      const inlay::Status status = session.prompt(text, options);
      CHECK(bool(status) == !expected.empty());
      if (!status) CHECK(status.error().code() == ErrorCode::bad_argument);
      if (status) CHECK(tokens_of(session) == expected);
    }
  }
}

TEST_CASE("a prompt that cannot be taken says why, and the session goes on") {
  const Opened model("llama-gqa");
  Session session = create(*model, greedy(16, 2));
  const auto refused = [&](const inlay::Status& status, ErrorCode code, const char* word) {
    REQUIRE_FALSE(status);
    CHECK(status.error().code() == code);
    CAPTURE(std::string(status.error().message()));
    CHECK(std::string(status.error().message()).find(word) != std::string::npos);
    CHECK(session.next() == nullptr);
    CHECK(session.step(1000) == Step::failed);
    REQUIRE(session.prompt(span(kPrompt)));
    CHECK(session.status());
    run(session);
    CHECK(session.tokens().size() == kPrompt.size() + 2);
  };
  refused(session.prompt(span(Tokens(16, 5))), ErrorCode::context_full, "16");
  refused(session.prompt(span(Tokens(400, 5))), ErrorCode::context_full, "400");
  refused(session.prompt(std::string(400, 'x')), ErrorCode::context_full, "16");
  refused(session.prompt(span({1, 600})), ErrorCode::bad_argument, "600");
  refused(session.prompt(span({1, -1})), ErrorCode::bad_argument, "-1");
  refused(session.prompt(span({1, INT32_MIN})), ErrorCode::bad_argument, "2147483648");
  refused(session.prompt(span({})), ErrorCode::bad_argument, "no tokens");
}

TEST_CASE("the cached front of a prompt is reused, and nothing else changes") {
  const Opened model("qwen3-gqa2");
  const auto fresh = [&](const Tokens& prompt) {
    Session session = create(*model, greedy(64, 8));
    REQUIRE(session.prompt(span(prompt)));
    CHECK(session.reused() == 0);
    run(session);
    return tokens_of(session);
  };
  Session session = create(*model, greedy(64, 8));
  const auto check = [&](const Tokens& prompt, size_t reused) {
    REQUIRE(session.prompt(span(prompt)));
    CHECK(session.reused() == reused);
    CHECK(session.cached() == reused);
    CHECK(tokens_of(session) == prompt);
    run(session);
    CHECK(tokens_of(session) == fresh(prompt));
  };
  check(kPrompt, 0);
  check(kPrompt, kPrompt.size() - 1);  // the last one gives the logits
  Tokens edited = kPrompt;
  edited[7] = 33;
  check(edited, 7);
  Tokens longer = tokens_of(session);  // a conversation: all output but the last token is cached
  const size_t cached = session.cached();
  CHECK(cached == longer.size() - 1);
  longer.insert(longer.end(), {50, 60, 70});
  check(longer, cached);
  check({1, 70}, 1);
  check({99, 98, 97}, 0);
  check(kPrompt, 0);
  REQUIRE_FALSE(session.prompt(span({1, 9999})));  // a refused prompt leaves the cache alone
  check(kPrompt, kPrompt.size() - 1);
  REQUIRE(session.prompt(span(edited)));  // one that never ran, too
  check(edited, 7);
}

// ---- output ------------------------------------------------------------------------------------

TEST_CASE("the reciting model recites") {
  const Texts texts = {"This", " is", " what", " was", " asked", " for", "."};
  const Opened model(recite(texts));
  for (const float temperature : {0.0f, 0.8f}) {
    SessionOptions options = greedy(64);
    options.sampling.temperature = temperature;
    Session session = create(*model, options);
    REQUIRE(session.prompt(span({kFirst})));
    size_t i = 1;
    while (const Piece* piece = session.next()) {
      REQUIRE(i < texts.size());
      CHECK(piece->text == texts[i]);
      CHECK(piece->token == kFirst + Token(i));
      CHECK(session.stop_reason() == StopReason::none);
      ++i;
    }
    CHECK(i == texts.size());
    CHECK(session.stop_reason() == StopReason::end_of_text);
    CHECK(session.status());
    CHECK(session.tokens().size() == texts.size());  // the end's own token is not among them
    CHECK(session.next() == nullptr);
    CHECK(session.step(1000) == Step::done);
    CHECK(session.stop_reason() == StopReason::end_of_text);
  }
}

TEST_CASE("max_tokens and the context end the output") {
  Texts texts;
  for (int i = 0; i < 40; ++i) texts.push_back(std::to_string(100 + i));
  const auto words = [&](size_t from, size_t to) {
    return concatenate(Texts(texts.begin(), texts.begin() + long(to)), from);
  };
  const Opened model(recite(texts));
  Session session = create(*model, greedy(20, 5));
  REQUIRE(session.prompt(span({kFirst})));
  CHECK(run(session) == words(1, 6));
  CHECK(session.stop_reason() == StopReason::max_tokens);
  session.set_max_tokens(7);
  REQUIRE(session.prompt(span({kFirst, kFirst + 1})));
  CHECK(run(session) == words(2, 9));
  session.set_max_tokens(0);
  REQUIRE(session.prompt(span({kFirst, kFirst + 1})));
  CHECK(run(session) == words(2, 20));
  CHECK(session.stop_reason() == StopReason::context_full);
  CHECK(session.tokens().size() == 20);
  REQUIRE(session.prompt(span({kFirst + 36})));
  CHECK(run(session) == words(37, 40));
  CHECK(session.stop_reason() == StopReason::end_of_text);
}

TEST_CASE("stop texts end the output before them, however the tokens cut them") {
  Random random{7};
  for (int round = 0; round < 150; ++round) {
    // Short texts over two letters: stop texts are common, begin often, and overlap.
    const auto word = [&](uint32_t most) {
      std::string out;
      for (uint32_t n = 1 + random.below(most); n > 0; --n) out += random.below(2) ? 'b' : 'a';
      return out;
    };
    Texts texts, stop_texts(1 + random.below(3));
    while (texts.size() < 16) {  // no vocabulary has a text twice
      const std::string text = word(4);
      if (std::count(texts.begin(), texts.end(), text) == 0) texts.push_back(text);
    }
    for (std::string& t : stop_texts) t = word(7) + (random.below(2) ? "ab" : "ba");
    const std::vector<std::string_view> stops(stop_texts.begin(), stop_texts.end());
    const Opened model(recite(texts));
    SessionOptions options = greedy(64);
    options.stop = {stops.data(), stops.size()};
    Session session = create(*model, options);
    REQUIRE(session.prompt(span({kFirst})));

    std::string expected;
    bool stopped = false;
    for (size_t i = 1; i < texts.size() && !stopped; ++i) {
      expected += texts[i];
      size_t first = std::string::npos;
      for (const std::string& stop : stop_texts) first = std::min(first, expected.find(stop));
      stopped = first != std::string::npos;
      if (stopped) expected.resize(first);
    }
    std::string shown;
    while (const Piece* piece = session.next()) {
      shown += piece->text;
      if (session.stop_reason() != StopReason::none) continue;
      // Held back is exactly what may still become a stop text.
      const std::string written =
          concatenate(Texts(texts.begin(), texts.begin() + long(session.tokens().size())), 1);
      size_t held = 0;
      for (const std::string& stop : stop_texts) {
        for (size_t n = 1; n < stop.size() && n <= written.size(); ++n)
          if (written.compare(written.size() - n, n, stop, 0, n) == 0) held = std::max(held, n);
      }
      CHECK(shown == written.substr(0, written.size() - held));
    }
    CHECK(shown == expected);
    CHECK(session.stop_reason() == (stopped ? StopReason::stop_text : StopReason::end_of_text));
  }
}

TEST_CASE("pieces never split a UTF-8 character, and bytes that are none pass") {
  Random random{8};
  // Characters of every length and their extremes, and what is no UTF-8.
  const Texts characters = {"a",
                            "\x7f",
                            "\xc2\x80",
                            "\xc3\xa4",
                            "\xdf\xbf",
                            "\xe0\xa0\x80",
                            "\xe2\x96\x82",
                            "\xef\xbf\xbf",
                            "\xf0\x90\x80\x80",
                            "\xf0\x9f\x98\x80",
                            "\xf4\x8f\xbf\xbf",
                            "\x80",
                            "\xff",
                            "\xc3",
                            "\xe2\x96",
                            "\xf0\x9f\x98",
                            "\xfe",
                            "\xc0\x80",
                            "\xed\xa0\x80"};
  const size_t valid_kinds = 11;
  for (int round = 0; round < 60; ++round) {
    std::string all;
    std::set<size_t> inside;  // offsets within a valid character
    for (int i = 0; i < 24; ++i) {
      const uint32_t kind = random.below(uint32_t(round % 2 ? characters.size() : valid_kinds));
      if (kind < valid_kinds)
        for (size_t b = 1; b < characters[kind].size(); ++b) inside.insert(all.size() + b);
      all += characters[kind];
    }
    Texts texts = {"-"};
    size_t at = 0;
    for (size_t n = 1 + random.below(3); at + n <= all.size(); ++n) {
      const std::string text = all.substr(at, n);  // no vocabulary has a text twice
      if (std::count(texts.begin(), texts.end(), text) != 0) continue;
      texts.push_back(text);
      at += n;
      n = random.below(3);
    }
    all.resize(at);
    while (inside.count(all.size()) != 0) inside.erase(all.size());  // the end may cut one off
    const Opened model(recite(texts));
    Session session = create(*model, greedy(128));
    REQUIRE(session.prompt(span({kFirst})));
    std::string shown;
    while (const Piece* piece = session.next()) {
      CHECK_FALSE(piece->text.empty());
      shown += piece->text;
      CHECK(inside.count(shown.size()) == 0);
    }
    CHECK(shown == all);
  }
}

TEST_CASE("a limit that the output has reached already ends it where it is") {
  Texts texts = {"-", "a", "b", "\xf0\x9f", "\x98", "\x80", "c"};
  const Opened model(recite(texts));
  for (const bool guesses : {false, true}) {
    for (uint32_t written = 1; written < 6; ++written) {
      CAPTURE(written);
      Session session = create(*model, greedy(32));
      inlay::Drafter drafter;
      drafter.draft = [](void*, inlay::Span<const Token> tokens, uint64_t, inlay::Span<Token> room,
                         uint32_t* count) {
        for (Token& token : room) token = tokens[tokens.size() - 1] + 1 + Token((*count)++);
        return true;
      };
      if (guesses) session.speculate(&drafter);
      REQUIRE(session.prompt(span({kFirst})));
      std::string text;
      while (session.tokens().size() < 1 + written) {
        const Step step = session.step(0);
        if (step == Step::piece) text += session.piece().text;
        REQUIRE(step <= Step::piece);
      }
      if (!guesses && written % 2 == 0) {  // the next batch has begun
        REQUIRE(session.step(0) == Step::more);
        REQUIRE(session.tokens().size() == 1 + written);
      }
      session.set_max_tokens(written > 1 ? written - 1 : 1);
      text += run(session);
      CHECK(session.stop_reason() == StopReason::max_tokens);
      CHECK(session.tokens().size() == 1 + written);
      CHECK(text == concatenate(Texts(texts.begin(), texts.begin() + 1 + written), 1));
      // The session is as after any other end.
      session.set_max_tokens(3);
      REQUIRE(session.prompt(span({kFirst, kFirst + 1})));
      CHECK(run(session) == concatenate(Texts(texts.begin(), texts.begin() + 5), 2));
    }
  }
}

TEST_CASE("a character that the output's end cuts off is given as it is") {
  const Texts texts = {"-", "a", "\xf0\x9f", "\x98", "\x80"};
  const Opened model(recite(texts));
  Session session = create(*model, greedy(16, 3));
  REQUIRE(session.prompt(span({kFirst})));
  CHECK(run(session) == "a\xf0\x9f\x98");
  CHECK(session.stop_reason() == StopReason::max_tokens);
  session.set_max_tokens(0);
  REQUIRE(session.prompt(span({kFirst})));  // nothing is left over from before
  CHECK(run(session) == "a\xf0\x9f\x98\x80");
}

// ---- steps, budgets, cancelling ----------------------------------------------------------------

TEST_CASE("steps of any budget give what next() gives") {
  for (const char* name : {"llama-gqa3-yarn", "gemma2-gqa2"}) {
    for (const uint32_t threads : {1u, 2u}) {
      CallClock clock;
      inlay::Host host;
      host.clock = clock.clock();
      const Opened model(name, Type::f16, host);
      SessionOptions options = greedy(64, 12);
      options.batch = 5;
      options.threads = threads;
      Session session = create(*model, options);
      REQUIRE(session.prompt(span(kPrompt)));
      Texts pieces;
      while (const Piece* piece = session.next()) pieces.emplace_back(piece->text);
      const Tokens expected = tokens_of(session);
      REQUIRE(expected.size() > kPrompt.size());
      for (const uint32_t budget : {0u, 1u, 7u, 100u, 1000000u}) {
        CAPTURE(budget);
        Session other = create(*model, options);
        REQUIRE(other.prompt(span(kPrompt)));
        Texts stepped;
        size_t more = 0;
        for (bool going = true; going;) {
          const uint64_t before = clock.calls;
          switch (other.step(budget)) {
            case Step::more:
              ++more;
              REQUIRE(more < 1000000);  // each step gets on
              break;
            case Step::piece:
              stepped.emplace_back(other.piece().text);
              break;
            case Step::done:
              going = false;
              break;
            case Step::failed:
              FAIL("failed");
          }
          // Alone, it looks at the clock after each ticket, to begin with, and when a plan begins:
          // at most two do after the budget is spent.
          if (threads == 1) CHECK(clock.calls - before <= budget + 5);
        }
        CHECK(tokens_of(other) == expected);
        CHECK(stepped == pieces);
        CHECK((more > 0) == (budget < 1000000));
      }
    }
  }
}

TEST_CASE("a step ends before a draw that would take it too far beyond its budget") {
  // Each look at the clock takes a microsecond, and each draw 1500.
  CallClock clock;
  inlay::Host host;
  host.clock = clock.clock();
  const Opened model("llama-gqa3-yarn", Type::f16, host);
  SessionOptions options = greedy(64, 20);
  REQUIRE(options.sampling.chain.add(
      {[](void* user, inlay::Candidates*) { static_cast<CallClock*>(user)->calls += 1500; },
       &clock}));
  Session session = create(*model, options);
  REQUIRE(session.prompt(span(kPrompt)));
  REQUIRE(session.next() != nullptr);
  uint32_t draws = 0;
  bool known = false;
  for (const uint64_t budget : {2000u, 500u, 5000u, 2000u}) {
    CAPTURE(budget);
    for (int frame = 0; frame < 4; ++frame) {
      const uint64_t start = clock.calls;
      uint64_t took = 0;
      while (took < budget) {
        const Step step = session.step(static_cast<uint32_t>(budget - took));
        took = clock.calls - start;
        if (step != Step::piece) break;
        ++draws;
      }
      if (known) CHECK(took <= std::max<uint64_t>(budget, 1500) + 110);
      known = known || draws > 0;
    }
  }
  CHECK(draws >= 10);
}

TEST_CASE("cancelling between any two tickets changes nothing of what comes later") {
  CallClock clock;
  inlay::Host host;
  host.clock = clock.clock();
  const Opened model("llama-tiny", Type::f16, host);
  SessionOptions options = greedy(64, 6);
  options.batch = 5;
  Session session = create(*model, options);
  clock.session = &session;
  const auto all_steps = [&](size_t* cancelled) {
    std::string text;
    for (;;) {
      const Step step = session.step(UINT32_MAX);
      if (step == Step::piece) text += session.piece().text;
      if (step != Step::done) continue;
      if (session.stop_reason() != StopReason::cancelled) return text;
      ++*cancelled;
      CHECK(session.status());
    }
  };
  REQUIRE(session.prompt(span(kPrompt)));
  const uint64_t first = clock.calls;
  size_t never = 0, cancelled = 0;
  const std::string expected = all_steps(&never);
  const uint64_t calls = clock.calls - first;
  CHECK(never == 0);
  CHECK(calls > 50);
  for (uint64_t at = 1; at <= calls; ++at) {
    session.truncate(0);
    REQUIRE(session.prompt(span(kPrompt)));
    clock.cancel_at = clock.calls + at;
    CAPTURE(at);
    CHECK(all_steps(&cancelled) == expected);
    CHECK(session.tokens().size() == kPrompt.size() + 6);
  }
  CHECK(cancelled > calls / 2);
}

TEST_CASE("a cancel ends the next step, not the next prompt") {
  const Opened model("llama-tiny");
  Session session = create(*model, greedy(64, 4)), undisturbed = create(*model, greedy(64, 4));
  REQUIRE(undisturbed.prompt(span(kPrompt)));
  const std::string expected = run(undisturbed);
  const auto cancelled = [&] {
    return session.step(1000000) == Step::done && session.stop_reason() == StopReason::cancelled;
  };

  session.cancel();
  REQUIRE(session.prompt(span(kPrompt)));
  CHECK(session.next() != nullptr);
  session.cancel();  // where a token can be drawn
  CHECK(cancelled());
  session.truncate(0);
  REQUIRE(session.prompt(span(kPrompt)));
  session.cancel();
  CHECK(cancelled());
  CHECK(session.cached() == 0);
  CHECK(run(session) == expected);

  session.cancel();
  const inlay::Status evaluated = session.evaluate(span(kPrompt), true, nullptr, nullptr);
  REQUIRE(!evaluated);
  CHECK(evaluated.error().code() == inlay::ErrorCode::cancelled);
  REQUIRE(session.prompt(span(kPrompt)));
  CHECK(run(session) == expected);
}

TEST_CASE("cancelling from another thread") {
  const Opened model("qwen2-gqa7", Type::q8_0);
  for (const uint32_t threads : {1u, 2u}) {
    SessionOptions options = greedy(128, 40);
    options.batch = 4;
    options.threads = threads;
    Session session = create(*model, options);
    REQUIRE(session.prompt(span(kPrompt)));
    const std::string expected = run(session);
    std::atomic<bool> quit{false};
    std::thread other([&] {
      while (!quit) {
        session.cancel();
        std::this_thread::yield();
        std::this_thread::sleep_for(std::chrono::microseconds(200));
      }
    });
    for (int round = 0; round < 3; ++round) {
      session.truncate(0);
      REQUIRE(session.prompt(span(kPrompt)));
      std::string text;
      do {
        text += run(session);
      } while (session.stop_reason() == StopReason::cancelled);
      CHECK(text == expected);
    }
    quit = true;
    other.join();
  }
}

TEST_CASE("the host's jobs give what a session's own threads give") {
  hosts::BackwardJobs backward;
  inlay::Host host;
  host.jobs = backward.jobs();
  const Opened own("gemma2-gqa8", Type::q4_k), lent("gemma2-gqa8", Type::q4_k, host);
  std::vector<Tokens> seen;
  for (const Opened* model : {&own, &lent}) {
    for (const uint32_t threads : {1u, 2u, 4u}) {
      SessionOptions options = greedy(64, 10);
      options.threads = threads;
      Session session = create(**model, options);
      REQUIRE(session.prompt(span(kPrompt)));
      run(session);
      seen.push_back(tokens_of(session));
    }
  }
  for (const Tokens& tokens : seen) CHECK(tokens == seen[0]);
  CHECK(backward.runs > 0);
}

// ---- evaluate and truncate ---------------------------------------------------------------------

TEST_CASE("evaluate goes on after what is cached, and truncate goes back") {
  const Opened model("qwen2-gqa4", Type::f32);
  const size_t width = model->shape().n_vocab;
  SessionOptions options = greedy(24);
  options.kv_cache = inlay::KvCacheType::f32;
  Session session = create(*model, options);
  std::vector<float> all, parts;
  REQUIRE(session.evaluate(span(kPrompt), false, append_row, &all));
  CHECK(all.size() == kPrompt.size() * width);
  CHECK(session.cached() == kPrompt.size());
  CHECK(tokens_of(session) == kPrompt);

  // The same arithmetic in other batches: sums in another order, each to some 1e-7.
  constexpr double kMost = 1e-9;
  session.truncate(5);
  CHECK(session.cached() == 5);
  CHECK(session.tokens().size() == 5);
  parts.assign(all.begin(), all.begin() + long(5 * width));
  REQUIRE(session.evaluate({kPrompt.data() + 5, 3}, false, append_row, &parts));
  REQUIRE(session.evaluate({kPrompt.data() + 8, kPrompt.size() - 8}, false, append_row, &parts));
  CHECK(relative_error(all, parts) < kMost);

  session.truncate(0);
  struct Last {
    std::vector<float> logits;
    std::vector<size_t> positions;
  } last;
  REQUIRE(session.evaluate(
      span(kPrompt), true,
      [](void* user, size_t position, inlay::Span<const float> row) {
        static_cast<Last*>(user)->positions.push_back(position);
        static_cast<Last*>(user)->logits.assign(row.begin(), row.end());
      },
      &last));
  CHECK(last.positions == std::vector<size_t>{kPrompt.size() - 1});
  CHECK(relative_error({all.end() - long(width), all.end()}, last.logits) < kMost);

  const inlay::Status full = session.evaluate(span(Tokens(13, 4)), true, append_row, &parts);
  REQUIRE_FALSE(full);
  CHECK(full.error().code() == ErrorCode::context_full);
  CHECK(session.cached() == kPrompt.size());
  const inlay::Status bad = session.evaluate(span({4, 300}), true, append_row, &parts);
  REQUIRE_FALSE(bad);
  CHECK(bad.error().code() == ErrorCode::bad_argument);
  CHECK(session.cached() == kPrompt.size());
  CHECK(session.evaluate(span(Tokens(12, 4)), true, append_row, &parts));
  CHECK(session.cached() == 24);
  CHECK(session.evaluate(span({}), true, append_row, &parts));
  session.truncate(100);
  CHECK(session.cached() == 24);
  CHECK(session.next() == nullptr);
}

TEST_CASE("with batch_invariant, logits do not depend on how the tokens were batched") {
  for (const Type type : {Type::f16, Type::q4_0, Type::q8_0}) {
    for (const char* name : {"qwen2-gqa4", "gemma2-gqa2"}) {
      const Opened model(name, type);
      SessionOptions options = greedy(24);
      options.batch_invariant = true;
      Session session = create(*model, options);
      std::vector<float> all, single, odd;
      REQUIRE(session.evaluate(span(kPrompt), false, append_row, &all));
      session.truncate(0);
      for (const Token token : kPrompt) {
        REQUIRE(session.evaluate({&token, 1}, false, append_row, &single));
      }
      session.truncate(0);
      for (size_t at = 0, n = 1; at < kPrompt.size(); at += n, n += 2) {
        n = std::min(n, kPrompt.size() - at);
        REQUIRE(session.evaluate({kPrompt.data() + at, n}, false, append_row, &odd));
      }
      CAPTURE(name);
      CHECK(all == single);
      CHECK(all == odd);
    }
  }
}

TEST_CASE("with batch_invariant, nor do they beyond one chunk of positions, nor on the threads") {
  const Opened model("qwen2-gqa4", Type::q4_0);
  Tokens prefix, rest(10, kPrompt[1]);
  while (prefix.size() < 1020) prefix.push_back(kPrompt[prefix.size() % kPrompt.size()]);
  std::vector<float> first;
  for (const uint32_t threads : {1u, 3u}) {
    SessionOptions options = greedy(1030);
    options.batch_invariant = true;
    options.threads = threads;
    Session session = create(*model, options);
    REQUIRE(session.evaluate(span(prefix), true, nullptr, nullptr));
    // 10: divided by queries; 1 and 3: by chunks.
    for (const size_t batch : {size_t{10}, size_t{1}, size_t{3}}) {
      std::vector<float> logits;
      for (size_t at = 0; at < rest.size(); at += batch) {
        const size_t n = std::min(batch, rest.size() - at);
        REQUIRE(session.evaluate({rest.data() + at, n}, false, append_row, &logits));
      }
      session.truncate(static_cast<uint32_t>(prefix.size()));
      if (first.empty()) first = logits;
      CAPTURE(threads);
      CAPTURE(batch);
      CHECK(logits == first);
    }
  }
}

TEST_CASE("a session can be moved, and holds its model") {
  auto model = std::make_unique<Opened>(recite({"-", "a", "b", "c"}));
  Session a = create(**model, greedy(16)), b = create(**model, greedy(32));
  REQUIRE(a.prompt(span({kFirst})));
  REQUIRE(a.next() != nullptr);
  b = std::move(a);
  const Session* const before = &b;
  Session c = std::move(b);
  CHECK(before != &c);
  CHECK(run(c) == "bc");
}

// ---- sampling ----------------------------------------------------------------------------------

TEST_CASE("the seed decides, but not of greedy output") {
  const Opened model("llama-gqa");
  const auto text = [&](float temperature, uint64_t seed) {
    SessionOptions options = greedy(64, 20);
    options.sampling.temperature = temperature;
    options.sampling.seed = seed;
    Session session = create(*model, options);
    Tokens first;
    for (int round = 0; round < 2; ++round) {  // a prompt begins the numbers anew
      REQUIRE(session.prompt(span(kPrompt)));
      run(session);
      if (round == 1) CHECK(tokens_of(session) == first);
      first = tokens_of(session);
    }
    session.set_sampling(options.sampling);
    REQUIRE(session.prompt(span(kPrompt)));
    run(session);
    CHECK(tokens_of(session) == first);
    return first;
  };
  CHECK(text(1, 1) == text(1, 1));
  CHECK(text(1, 1) != text(1, 2));
  CHECK(text(0, 1) == text(0, 2));
  CHECK(text(-1, 3) == text(0, 2));
}

namespace {

// The probabilities that `s` makes of logits, step by step as sampling is documented.
std::map<Token, double> distribution(std::vector<float> logits, const inlay::Sampling& s,
                                     const Tokens& recent) {
  const size_t n_recent = std::min<size_t>(recent.size(), s.repeat_last_n);
  const std::set<Token> seen(recent.end() - long(n_recent), recent.end());
  for (const Token t : seen) {
    float& l = logits[size_t(t)];
    l = l > 0 ? l / s.repeat_penalty : l * s.repeat_penalty;
  }
  std::vector<std::pair<double, Token>> sorted;  // (-logit, token)
  for (size_t i = 0; i < logits.size(); ++i) sorted.push_back({-double{logits[i]}, Token(i)});
  std::sort(sorted.begin(), sorted.end());
  if (s.top_k > 0 && s.top_k < sorted.size()) sorted.resize(s.top_k);
  const auto probabilities = [&](double temperature) {
    std::vector<double> p;
    double sum = 0;
    for (const auto& [negative, token] : sorted) p.push_back(std::exp(-negative / temperature));
    for (const double x : p) sum += x;
    for (double& x : p) x /= sum;
    return p;
  };
  if (s.top_p < 1) {
    const std::vector<double> p = probabilities(1);
    double sum = 0;
    size_t n = 0;
    while (n < p.size() && sum < double{s.top_p}) sum += p[n++];
    sorted.resize(std::max<size_t>(n, 1));
  }
  if (s.min_p > 0) {
    const std::vector<double> p = probabilities(1);
    size_t n = 0;
    while (n < p.size() && p[n] >= double{s.min_p} * p[0]) ++n;
    sorted.resize(std::max<size_t>(n, 1));
  }
  const std::vector<double> p = probabilities(double{s.temperature});
  std::map<Token, double> out;
  for (size_t i = 0; i < sorted.size(); ++i) out[sorted[i].second] = p[i];
  return out;
}

}  // namespace

#ifdef __linux__
TEST_CASE("a process may fork with a model open: both go on with it, on workers of their own") {
  const Opened model("llama-gqa");
  const auto complete = [&] {
    SessionOptions options = greedy(64, 20);
    options.threads = 2;
    Session session = create(*model, options);
    REQUIRE(session.prompt(span(kPrompt)));
    run(session);
    return tokens_of(session);
  };
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const Tokens tokens = complete();
    const size_t bytes = tokens.size() * sizeof(Token);
    _exit(write(ends[1], tokens.data(), bytes) == static_cast<ssize_t>(bytes) ? 0 : 1);
  }
  close(ends[1]);
  const Tokens mine = complete();
  Tokens childs(mine.size() + 1);
  const ssize_t got = read(ends[0], childs.data(), childs.size() * sizeof(Token));
  close(ends[0]);
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  REQUIRE(got == static_cast<ssize_t>(mine.size() * sizeof(Token)));
  childs.pop_back();
  CHECK(childs == mine);
}
#endif

TEST_CASE("tokens are drawn from the distribution that the options describe") {
  const Opened model("llama-tiny", Type::f32);
  const Tokens prompt = {1, 44, 44, 90, 300, 17, 300, 90};
  const std::vector<float> logits = last_logits(*model, prompt);
  inlay::Sampling off;
  off.temperature = 1;
  off.top_k = 0;
  off.top_p = 1;
  off.min_p = 0;
  std::vector<inlay::Sampling> cases(9, off);
  cases[1].top_k = 5;
  cases[2].top_p = 0.5f;
  cases[3].min_p = 0.3f;
  cases[4].temperature = 0.4f;
  cases[5].repeat_penalty = 1.8f;
  cases[6].repeat_penalty = 1.8f;
  cases[6].repeat_last_n = 2;
  cases[7] = inlay::Sampling();
  cases[8].top_k = 30;
  cases[8].top_p = 0.8f;
  cases[8].min_p = 0.1f;
  cases[8].temperature = 1.5f;
  cases[8].repeat_penalty = 0.7f;
  SessionOptions options = greedy(16, 1);
  options.kv_cache = inlay::KvCacheType::f32;
  Session session = create(*model, options);
  std::vector<std::map<Token, double>> all;
  for (size_t i = 0; i < cases.size(); ++i) {
    CAPTURE(i);
    const std::map<Token, double> expected = distribution(logits, cases[i], prompt);
    all.push_back(expected);
    constexpr int kDraws = 4000;
    std::map<Token, int> drawn;
    for (int draw = 0; draw < kDraws; ++draw) {
      inlay::Sampling sampling = cases[i];
      sampling.seed = uint64_t(draw);
      session.set_sampling(sampling);
      REQUIRE(session.prompt(span(prompt)));
      run(session);
      // The end of text is drawn like any other, but leaves no token.
      ++drawn[session.tokens().size() > prompt.size() ? session.tokens()[prompt.size()] : 2];
    }
    for (const auto& entry : drawn) {
      CAPTURE(entry.first);
      CHECK(expected.count(entry.first) == 1);
    }
    for (const auto& entry : expected) {
      // Binomial: five standard deviations, and one draw for where it is far from normal.
      const Token token = entry.first;
      const double p = entry.second;
      CAPTURE(token);
      const double mean = kDraws * p, deviation = std::sqrt(kDraws * p * (1 - p));
      CHECK(std::fabs(drawn[token] - mean) <= 5 * deviation + 1);
    }
  }
  for (size_t i = 1; i < all.size(); ++i) CHECK(all[i] != all[0]);  // each case differs
}

TEST_CASE("what the file says of sampling holds where the user says nothing") {
  const File plain = random_model::make(*random_model::find_spec("llama-tiny"), Type::f32);
  const auto write = [](const File& file, const inlay::Sampling& sampling) {
    const Opened model(file);
    SessionOptions options = greedy(64, 24);
    options.sampling = sampling;
    Session session = create(*model, options);
    REQUIRE(session.prompt(span(kPrompt)));
    run(session);
    return tokens_of(session);
  };
  const auto with_floats = [&plain](const std::map<std::string, float>& values) {
    File file = plain;
    for (const auto& [key, value] : values) {
      file.set("general.sampling." + key, random_model::f32_value(value));
    }
    return file;
  };
  inlay::Sampling user;
  user.seed = 5;
  CHECK(!user.temperature.is_set());
  const File tuned =
      with_floats({{"temp", 1.75f}, {"top_p", 0.5f}, {"min_p", 0.25f}, {"penalty_repeat", 1.5f}});
  inlay::Sampling same = user;
  same.temperature = 1.75f;
  same.top_p = 0.5f;
  same.min_p = 0.25f;
  same.repeat_penalty = 1.5f;
  CHECK(write(tuned, user) == write(plain, same));
  CHECK(write(tuned, user) != write(plain, user));
  // What the user sets is set, also if it is the default.
  inlay::Sampling defaults = user;
  defaults.temperature = 0.8f;
  defaults.top_p = 0.95f;
  defaults.min_p = 0.05f;
  defaults.repeat_penalty = 1.0f;
  CHECK(write(tuned, defaults) == write(plain, user));

  // Counts, and llama.cpp's word for all tokens of the context.
  File counts = plain;
  counts.set("general.sampling.top_k", random_model::u32_value(3));
  counts.set("general.sampling.penalty_repeat", random_model::f32_value(1.5f));
  random_model::Bytes all_of_them = random_model::u32_value(UINT32_MAX);
  all_of_them[0] = 5;  // i32: -1
  counts.set("general.sampling.penalty_last_n", all_of_them);
  same = user;
  same.top_k = 3;
  same.repeat_penalty = 1.5f;
  same.repeat_last_n = 1000;
  CHECK(write(counts, user) == write(plain, same));

  // XTC, Mirostat and the order of samplers.
  const auto text_written = write(plain, user);
  const auto check_same = [&](const File& file, const inlay::Sampling& as) {
    CHECK(write(file, user) == write(plain, as));
    CHECK(write(file, user) != text_written);
  };
  same = user;
  same.temperature = 1.75f;
  same.xtc_probability = 0.75f;
  same.xtc_threshold = 0.01f;
  check_same(with_floats({{"temp", 1.75f}, {"xtc_probability", 0.75f}, {"xtc_threshold", 0.01f}}),
             same);
  for (const uint32_t version : {1u, 2u}) {
    File file = with_floats({{"mirostat_tau", 2.5f}, {"mirostat_eta", 0.5f}});
    file.set("general.sampling.mirostat", random_model::u32_value(version));
    same = user;
    same.mirostat = version;
    same.mirostat_tau = 2.5f;
    same.mirostat_eta = 0.5f;
    check_same(file, same);
  }
  for (const char* const sequence : {"temperature;min_p;top_k", "tmk"}) {
    File file = with_floats({{"temp", 2.5f}});
    file.set("general.sampling.sequence", random_model::text_value(sequence));
    same = user;
    same.temperature = 2.5f;
    same.chain.clear();
    for (const auto kind :
         {inlay::SamplerKind::temperature, inlay::SamplerKind::min_p, inlay::SamplerKind::top_k}) {
      CHECK(same.chain.add(kind));
    }
    check_same(file, same);
  }
  // A sampler that is not known here leaves the order as it is, and is named.
  File unknown = plain;
  unknown.set("general.sampling.sequence", random_model::text_value("top_k;oracle"));
  std::string remarks;
  inlay::Host host;
  host.log.user = &remarks;
  host.log.write = [](void* log, inlay::LogLevel, const char* text) {
    *static_cast<std::string*>(log) += text;
  };
  CHECK_FALSE(Opened(unknown, host)->sampling().chain.is_set());
  CHECK(remarks ==
        "general.sampling.sequence is ignored: there is no sampler oracle (in "
        "top_k;oracle)");

  // Each key is the setting of its name.
  File all = with_floats({{"temp", 1.f},
                          {"top_p", 2.f},
                          {"min_p", 3.f},
                          {"xtc_probability", 4.f},
                          {"xtc_threshold", 5.f},
                          {"penalty_repeat", 6.f},
                          {"mirostat_tau", 7.f},
                          {"mirostat_eta", 8.f}});
  all.set("general.sampling.top_k", random_model::u32_value(9));
  all.set("general.sampling.penalty_last_n", random_model::u32_value(10));
  all.set("general.sampling.mirostat", random_model::u32_value(2));
  const Opened told(all);
  const inlay::Sampling& s = told->sampling();
  const float reals[] = {s.temperature,   s.top_p,          s.min_p,        s.xtc_probability,
                         s.xtc_threshold, s.repeat_penalty, s.mirostat_tau, s.mirostat_eta};
  for (size_t i = 0; i < 8; ++i) CHECK(reals[i] == float(i + 1));
  CHECK(s.top_k == 9u);
  CHECK(s.repeat_last_n == 10u);
  CHECK(s.mirostat == 2u);

  File no_text = plain;
  no_text.set("general.sampling.sequence", random_model::u32_value(1));
  const Memory not_text(no_text);
  const auto no_order = Model::from_memory({not_text.data(), not_text.size()});
  REQUIRE(!no_order);
  CHECK(std::string(no_order.error().message()) == "general.sampling.sequence: expected a text");
  const Memory wrong(with_floats({{"top_k", 1.5f}}));
  const auto refused = Model::from_memory({wrong.data(), wrong.size()});
  REQUIRE(!refused);
  CHECK(refused.error().code() == ErrorCode::corrupt);
  CHECK(std::string(refused.error().message()) == "general.sampling.top_k: expected a count");
}

TEST_CASE("tokens that the file suppresses are not written, however probable") {
  const File plain = random_model::make(*random_model::find_spec("llama-tiny"), Type::f32);
  const auto write = [](const File& file, float temperature) {
    const Opened model(file);
    SessionOptions options = greedy(64, 24);
    options.sampling.temperature = temperature;
    Session session = create(*model, options);
    REQUIRE(session.prompt(span(kPrompt)));
    run(session);
    return tokens_of(session);
  };
  for (const float temperature : {0.0f, 0.5f}) {
    const Tokens free = write(plain, temperature);
    REQUIRE(free.size() > kPrompt.size());
    const Token first = free[kPrompt.size()];
    File file = plain;
    random_model::Bytes list = random_model::array_value(5, 1);
    random_model::put_u32(&list, static_cast<uint32_t>(first));
    file.set("tokenizer.ggml.suppress_tokens", list);
    const Tokens without = write(file, temperature);
    CHECK(without.size() > kPrompt.size());
    CHECK(std::count(without.begin() + long(kPrompt.size()), without.end(), first) == 0);
  }
}

TEST_CASE("the repetition penalty sees prompt and output, in greedy mode too") {
  const Opened model("llama-gqa", Type::f32);
  for (const uint32_t last_n : {0u, 1u, 5u, 64u}) {
    SessionOptions options = greedy(48, 24);
    options.kv_cache = inlay::KvCacheType::f32;
    options.sampling.repeat_penalty = 1.5f;
    options.sampling.repeat_last_n = last_n;
    Session session = create(*model, options);
    REQUIRE(session.prompt(span(kPrompt)));
    run(session);
    Tokens expected = kPrompt;
    while (expected.size() < kPrompt.size() + 24) {
      std::vector<float> logits = last_logits(*model, expected);
      const size_t n = std::min<size_t>(expected.size(), last_n);
      for (const Token t : std::set<Token>(expected.end() - long(n), expected.end())) {
        float& l = logits[size_t(t)];
        l = l > 0 ? l / 1.5f : l * 1.5f;
      }
      const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
      if (best == 2) break;
      expected.push_back(Token(best));
    }
    CAPTURE(last_n);
    CHECK(tokens_of(session) == expected);
  }
}
