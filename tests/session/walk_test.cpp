// Random walks over sessions: their public calls in any order, some of them without memory, against
// what a session that nothing happened to says follows each text.
//   INLAY_WALKS=10000 INLAY_WALK_SEED=7 inlay_tests_tree --test-suite=walk
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <inlay.hpp>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "support/counting_allocator.hpp"
#include "support/sessions.hpp"

namespace {

using inlay::ErrorCode;
using inlay::Model;
using inlay::Session;
using inlay::SessionOptions;
using inlay::Span;
using inlay::Status;
using inlay::Step;
using inlay::StopReason;
using inlay::Token;
using inlay_test::Bytes;
using inlay_test::Tokens;
using inlay_test::tokens_of;
using Random = std::mt19937_64;

constexpr uint32_t kContext = 200;  // three pages of the KV cache and some

uint64_t number(const char* name, uint64_t otherwise) {
  const char* given = std::getenv(name);
  return given == nullptr ? otherwise : std::strtoull(given, nullptr, 10);
}

SessionOptions exact(uint32_t batch) {
  SessionOptions options;
  options.context = kContext;
  options.batch = batch;
  options.batch_invariant = true;
  options.sampling.temperature = 0.0f;
  return options;
}

// The token that follows a text, or kNoToken where the model ends it.
class Oracle {
 public:
  explicit Oracle(const Model& model) : session_(inlay_test::create(model, exact(32))) {
    session_.set_max_tokens(1);
  }
  Token after(const Tokens& text) {
    const auto known = known_.find(text);
    if (known != known_.end()) return known->second;
    REQUIRE(session_.prompt(Span<const Token>(text)));
    while (session_.next() != nullptr) {
    }
    REQUIRE(session_.status());
    const bool ends = session_.tokens().size() == text.size();
    return known_[text] = ends ? inlay::kNoToken : session_.tokens()[text.size()];
  }

  size_t texts() const { return known_.size(); }

 private:
  Session session_;
  std::map<Tokens, Token> known_;
};

// Guesses that are right now and then.
bool guess(void*, Span<const Token> tokens, uint64_t, Span<Token> room, uint32_t* count) {
  *count = static_cast<uint32_t>(tokens.size() % (room.size() + 1));
  for (uint32_t i = 0; i < *count; ++i) room[i] = tokens[tokens.size() - 1 - i % tokens.size()];
  return true;
}

// A file behind a function that fails now and then.
struct Source {
  const random_model::Memory& file;
  Random& random;
  bool fails = false;
  static bool read(void* user, uint64_t offset, void* out, size_t bytes) {
    Source& self = *static_cast<Source*>(user);
    if (self.fails && self.random() % 4 == 0) return false;
    if (offset > self.file.size() || bytes > self.file.size() - offset) return false;
    std::memcpy(out, self.file.data() + offset, bytes);
    return true;
  }
};

class Walk {
 public:
  Walk(const Model& model, Oracle& oracle, inlay_test::CountingAllocator& memory, Random& random)
      : model_(model), oracle_(oracle), memory_(memory), random_(random) {}

  void run(uint32_t calls) {
    for (uint32_t i = 0; i < calls; ++i) {
      if (below(12) == 0) memory_.fail_after(below(4));
      if (walkers_.empty()) {
        open();
      } else {
        call(below(walkers_.size()));
      }
      memory_.fail_after(SIZE_MAX);
    }
  }

 private:
  struct Walker {
    explicit Walker(Session made) : session(std::move(made)) {}
    Session session;
    Tokens text;         // that it must have
    bool going = false;  // it has a prompt, whose end was not seen
    bool cancelled = false;
  };

  size_t below(size_t n) { return static_cast<size_t>(random_() % n); }
  Tokens some_text(size_t most) {
    Tokens text = inlay_test::some_tokens(1 + below(most), static_cast<uint32_t>(below(3)));
    if (below(2) == 0) text.push_back(static_cast<Token>(3 + below(200)));
    return text;
  }
  static void out_of_memory(const inlay::Error& error) {
    CAPTURE(std::string(error.message()));
    CHECK(error.code() == ErrorCode::out_of_memory);
  }

  void keep(inlay::Result<Session> made, const Walker* from) {
    if (!made) return out_of_memory(made.error());
    auto fresh = std::make_unique<Walker>(std::move(*made));
    if (from != nullptr) {
      fresh->text = from->text;
      fresh->going = from->going;
    }
    walkers_.push_back(std::move(fresh));
    look(*walkers_.back());
  }
  SessionOptions options() {
    SessionOptions options = exact(1 + static_cast<uint32_t>(below(40)));
    options.threads = 1 + static_cast<uint32_t>(below(2));
    options.snapshots = static_cast<uint32_t>(below(4));
    options.logprobs = below(4) == 0;
    if (!walkers_.empty() && below(3) == 0) {
      options.workspace_of = &walkers_[below(walkers_.size())]->session;
    }
    return options;
  }
  void open() {
    const SessionOptions with = options();
    const auto plan = Session::plan(model_, with);
    const size_t before = memory_.live_bytes();
    auto made = Session::create(model_, with);
    if (made) CHECK(memory_.live_bytes() - before == plan->total());
    keep(std::move(made), nullptr);
  }

  // What was written since must be what follows.
  void look(Walker& w) {
    const Tokens now = tokens_of(w.session);
    REQUIRE(now.size() >= w.text.size());
    REQUIRE(std::equal(w.text.begin(), w.text.end(), now.begin()));
    CHECK(w.session.cached() <= now.size());
    while (w.text.size() < now.size()) {
      REQUIRE(w.going);
      REQUIRE(oracle_.after(w.text) == now[w.text.size()]);
      w.text.push_back(now[w.text.size()]);
    }
  }
  // A step has said that there is nothing more, for now.
  void stopped(Walker& w) {
    look(w);
    const Status& status = w.session.status();
    if (!status) {
      CAPTURE(std::string(status.error().message()));
      // What a prompt could not have is said again, until there is another.
      if (w.going || status.error().code() != ErrorCode::out_of_memory) {
        CHECK(status.error().code() == ErrorCode::busy);
      }
      return;
    }
    if (!w.going) return;
    switch (w.session.stop_reason()) {
      case StopReason::cancelled:
        CHECK(w.cancelled);
        w.cancelled = false;
        return;
      case StopReason::end_of_text:
        CHECK(oracle_.after(w.text) == inlay::kNoToken);
        break;
      case StopReason::context_full:
        CHECK(w.text.size() == kContext);
        break;
      default:
        CHECK(w.session.stop_reason() == StopReason::max_tokens);
    }
    w.going = false;
  }
  void set_text(Walker& w, const Tokens& text) {
    const Status taken = w.session.prompt(Span<const Token>(text));
    w.cancelled = false;
    if (!taken) {
      out_of_memory(taken.error());
      w.text = tokens_of(w.session);  // as many as there are still
      w.going = false;
      return;
    }
    w.text = text;
    w.going = true;
    CHECK(w.session.reused() <= text.size());
  }

  void call(size_t at) {
    Walker& w = *walkers_[at];
    Session& s = w.session;
    switch (below(24)) {
      case 0:
        if (walkers_.size() < 5) open();
        break;
      case 1:
        if (walkers_.size() < 5) keep(s.fork(options()), &w);
        break;
      case 2:
        if (below(2) == 0) walkers_.erase(walkers_.begin() + static_cast<ptrdiff_t>(at));
        break;
      case 3:
      case 4:
        set_text(w, some_text(kContext - 20));
        break;
      case 5: {  // an edit of what is there
        Tokens text = w.text;
        text.resize(text.empty() ? 0 : below(std::min<size_t>(text.size(), kContext - 12)));
        const Tokens more = some_text(8);
        text.insert(text.end(), more.begin(), more.end());
        set_text(w, text);
        break;
      }
      case 6: {
        const uint32_t keep = static_cast<uint32_t>(below(w.text.size() + 2));
        s.truncate(keep);
        w.text.resize(std::min<size_t>(keep, w.text.size()));
        w.going = false;
        look(w);
        break;
      }
      case 7: {
        const Tokens more = some_text(30);
        size_t rows = 0;
        const bool last_only = below(2) == 0;
        const Status done = s.evaluate(
            Span<const Token>(more), last_only,
            [](void* user, size_t, Span<const float> logits) {
              ++*static_cast<size_t*>(user);
              CHECK(logits[0] == logits[0]);
            },
            &rows);
        const Tokens now = tokens_of(s);
        if (done) {
          CHECK(rows == (last_only ? 1 : more.size()));
          REQUIRE(now.size() >= more.size());
          CHECK(std::equal(more.begin(), more.end(),
                           now.end() - static_cast<ptrdiff_t>(more.size())));
          CHECK(s.cached() == now.size());
        } else if (done.error().code() == ErrorCode::busy) {
          CHECK(now == w.text);
          return;
        } else if (done.error().code() == ErrorCode::cancelled) {
          CHECK(w.cancelled);
          w.cancelled = false;
        } else if (done.error().code() != ErrorCode::context_full) {
          out_of_memory(done.error());
        }
        w.text = now;
        w.going = false;
        break;
      }
      case 8:
        s.cancel();
        w.cancelled = true;
        break;
      case 9: {  // into any of them; a changed byte is found
        Walker& to = *walkers_[below(walkers_.size())];
        Bytes state = inlay_test::saved(s);
        if (below(3) == 0) {
          state[below(state.size())] ^= static_cast<uint8_t>(1 << below(8));
          CHECK(!to.session.restore(state));
          CHECK(tokens_of(to.session) == to.text);
          break;
        }
        const Status restored = to.session.restore(state);
        if (!restored) {
          out_of_memory(restored.error());
          look(to);
          break;
        }
        to.text = w.text;
        to.going = w.going;
        to.cancelled = to.cancelled || (&to == &w && w.cancelled);
        look(to);
        break;
      }
      case 10:
        s.set_max_tokens(below(2) == 0 ? 0 : static_cast<uint32_t>(1 + below(20)));
        break;
      case 11: {
        inlay::Drafter drafter;
        drafter.draft = guess;
        s.speculate(below(3) == 0 ? nullptr : &drafter);
        break;
      }
      case 12:
        s.set_sampling(exact(1).sampling);
        s.constrain(nullptr);
        CHECK(s.probability() >= 0);
        s.logprobs(static_cast<uint32_t>(below(kContext)));
        CHECK(s.accepted() <= s.drafted());
        break;
      case 13:
      case 14:
      case 15:
        if (s.next() == nullptr) {
          stopped(w);
        } else {
          look(w);
        }
        break;
      default: {
        constexpr uint32_t kBudgets[] = {1, 50, 1000, 100000};
        const Step step = s.step(kBudgets[below(4)]);
        if (step == Step::done || step == Step::failed) {
          stopped(w);
        } else {
          look(w);
        }
      }
    }
  }

  const Model& model_;
  Oracle& oracle_;
  inlay_test::CountingAllocator& memory_;
  Random& random_;
  std::vector<std::unique_ptr<Walker>> walkers_;
};

}  // namespace

TEST_SUITE("walk") {
  TEST_CASE("whatever is done with sessions, in any order, each writes what it would alone") {
    const uint64_t walks = number("INLAY_WALKS", 24), first = number("INLAY_WALK_SEED", 1);
    MESSAGE("walks from seed ", first, " on: ", walks);
    for (const char* const name : {"qwen3-tied", "qwen35-1"}) {
      const inlay_test::Opened plain(name);
      Oracle oracle(*plain);
      for (uint64_t seed = first; seed < first + walks; ++seed) {
        CAPTURE(name);
        CAPTURE(seed);
        Random random(seed);
        inlay_test::CountingAllocator memory;
        {
          Source source = {plain.bytes(), random};
          inlay::GgufSource from;
          from.function = {&Source::read, plain.bytes().size(), &source};
          inlay::ModelOptions options;
          options.host.allocator = memory.get();
          options.max_bytes = 6 << 20;
          source.fails = true;
          auto model = Model::open(from, options);
          for (int tries = 0; !model; ++tries) {
            const ErrorCode code = model.error().code();
            CHECK((code == ErrorCode::io || code == ErrorCode::out_of_memory));
            memory.fail_after(tries % 2 == 0 && tries < 20 ? random() % 40 : SIZE_MAX);
            source.fails = tries < 10;
            model = Model::open(from, options);
          }
          memory.fail_after(SIZE_MAX);
          Walk(*model, oracle, memory, random).run(120);
        }
        CHECK(memory.live_blocks() == 0);
        CHECK(memory.wrong_releases() == 0);
      }
      CHECK(oracle.texts() > walks);  // something was written
      MESSAGE(std::string(name), ": ", oracle.texts(), " texts were gone on with");
    }
  }
}
