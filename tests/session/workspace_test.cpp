// Sessions that take turns with one workspace.
#include "inlay/session/workspace.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <inlay.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/counting_allocator.hpp"
#include "support/sessions.hpp"

namespace {

using inlay::ErrorCode;
using inlay::MemoryPlan;
using inlay::Model;
using inlay::Session;
using inlay::SessionOptions;
using inlay::Step;
using inlay::Token;
using inlay_test::continued;
using inlay_test::Opened;
using inlay_test::prompt;
using inlay_test::saved;
using inlay_test::some_tokens;
using inlay_test::taken;
using inlay_test::Tokens;
using inlay_test::tokens_of;
using random_model::Type;

SessionOptions with_seed(uint64_t seed, const Session* workspace_of = nullptr) {
  SessionOptions options;
  options.context = 200;
  options.batch = 32;
  options.max_tokens = 12;
  options.sampling.temperature = 1.5f;
  options.sampling.top_k = 0u;
  options.sampling.seed = seed;
  options.workspace_of = workspace_of;
  return options;
}

Tokens alone(const Model& model, const Tokens& text, uint64_t seed) {
  Session session = taken(Session::create(model, with_seed(seed)));
  prompt(session, text);
  return continued(session);
}

// Guesses that are right now and then.
struct Guesser {
  static bool draft(void*, inlay::Span<const Token> tokens, uint64_t, inlay::Span<Token> room,
                    uint32_t* count) {
    *count = static_cast<uint32_t>(room.size() < 3 ? room.size() : 3);
    for (uint32_t i = 0; i < *count; ++i) room[i] = tokens[tokens.size() - 1];
    return true;
  }
};

// Of every token of the output, the numbers that it was drawn from.
std::vector<float> drawn_from(const Session& session, size_t prompt_tokens) {
  std::vector<float> all;
  for (uint32_t i = static_cast<uint32_t>(prompt_tokens); i < session.tokens().size(); ++i) {
    all.push_back(session.logprobs(i).before.logprob);
  }
  return all;
}

}  // namespace

TEST_CASE("sessions that take turns write what each writes alone") {
  for (const char* name : {"qwen3-tied", "deepseek2-lite", "mamba-1", "lfm2-1"}) {
    CAPTURE(name);
    const Opened model(name);
    std::vector<Session> sessions;
    for (uint32_t i = 0; i < 4; ++i) {
      const Session* of = i == 0 ? nullptr : &sessions[0];
      sessions.reserve(4);
      sessions.push_back(taken(Session::create(*model, with_seed(i, of))));
      prompt(sessions[i], some_tokens(20 + 30 * i, i));
    }
    // Steps that do one ticket each, to a piece; then the next session's.
    for (bool more = true; more;) {
      more = false;
      for (Session& session : sessions) {
        Step step = Step::more;
        while (step == Step::more) step = session.step(0);
        CHECK(step != Step::failed);
        more = more || step == Step::piece;
      }
    }
    for (uint32_t i = 0; i < 4; ++i) {
      CAPTURE(i);
      CHECK(tokens_of(sessions[i]) == alone(*model, some_tokens(20 + 30 * i, i), i));
      // What was read and saved in turns is good: states, snapshots and all.
      Session other = taken(Session::create(*model, with_seed(i, &sessions[0])));
      REQUIRE(other.restore(saved(sessions[i])));
      prompt(other, some_tokens(20 + 30 * i, i));
      prompt(sessions[i], some_tokens(20 + 30 * i, i));
      sessions[i].set_sampling(with_seed(9).sampling);
      other.set_sampling(with_seed(9).sampling);
      CHECK(continued(other) == continued(sessions[i]));
    }
  }
}

TEST_CASE("whoever has begun a batch has the workspace, until it is done or given up") {
  for (const char* name : {"qwen3-tied", "lfm2-1"}) {
    CAPTURE(name);
    const Opened model(name);
    const Tokens text = some_tokens(60, 1), other_text = some_tokens(40, 2);
    const Tokens wanted = alone(*model, text, 5), other_wanted = alone(*model, other_text, 6);
    for (int way = 0; way < 6; ++way) {
      CAPTURE(way);
      std::vector<Session> first;
      first.push_back(taken(Session::create(*model, with_seed(5))));
      Session second = taken(first[0].fork(with_seed(6, &first[0])));
      prompt(first[0], text);
      prompt(second, other_text);
      REQUIRE(first[0].step(0) == Step::more);
      for (int i = 0; i < 2; ++i) {
        CHECK(second.step(1000) == Step::failed);
        CHECK(second.status().error().code() == ErrorCode::busy);
        CHECK(second.evaluate(text, true, nullptr, nullptr).error().code() == ErrorCode::busy);
        CHECK(tokens_of(second) == other_text);
      }
      if (way == 0) {  // it is done
        CHECK(continued(first[0]) == wanted);
      } else if (way == 1) {
        first.clear();
      } else if (way == 2) {
        first[0].truncate(10);
      } else if (way == 3) {
        prompt(first[0], other_text);
      } else if (way == 4) {
        REQUIRE(first[0].restore(saved(second)));
      } else {  // one that was cancelled is still under way
        first[0].cancel();
        CHECK(first[0].step(1000) == Step::done);
        CHECK(second.step(1000) == Step::failed);
        prompt(first[0], text);
      }
      CHECK(continued(second) == other_wanted);
      if (way == 5) CHECK(continued(first[0]) == wanted);
    }
  }
}

TEST_CASE("a turn between a batch and the draw from its logits changes no bit of them") {
  for (const char* name : {"qwen3-tied", "lfm2-1"}) {
    CAPTURE(name);
    inlay_test::TicketClock clock;
    const Opened model(name, clock.options());
    const auto created = [&](uint64_t seed, const Session* of) {
      SessionOptions options = with_seed(seed, of);
      options.logprobs = true;
      return taken(Session::create(*model, options));
    };
    std::vector<Session> sessions;
    sessions.reserve(2);
    for (uint32_t i = 0; i < 2; ++i) {
      sessions.push_back(created(i, i == 0 ? nullptr : &sessions[0]));
      prompt(sessions[i], some_tokens(20 + i, i));
    }
    bool ended[2] = {};
    for (uint32_t call = 0; !ended[0] || !ended[1]; ++call) {  // some steps end before a draw
      ended[call % 2] = sessions[call % 2].step(call % 5) == Step::done;
      REQUIRE(call < 1000000);
    }
    for (uint32_t i = 0; i < 2; ++i) {
      CAPTURE(i);
      Session alone = created(i, nullptr);
      prompt(alone, some_tokens(20 + i, i));
      CHECK(continued(alone) == tokens_of(sessions[i]));
      CHECK(drawn_from(alone, 20 + i) == drawn_from(sessions[i], 20 + i));
    }
  }
}

TEST_CASE("guesses that another session's turn has cost are made good") {
  const Opened model("qwen3-tied");
  inlay::Drafter drafter;
  drafter.draft = &Guesser::draft;
  const auto options = [](uint64_t seed, const Session* of) {
    SessionOptions o = with_seed(seed, of);
    o.batch_invariant = true;  // a token that is read again is read in another batch
    o.sampling.temperature = 0.f;
    return o;
  };
  std::vector<Tokens> wanted;
  for (const bool turns : {false, true}) {
    std::vector<Session> sessions;
    sessions.reserve(2);
    for (uint32_t i = 0; i < 2; ++i) {
      const Session* of = turns && i > 0 ? &sessions[0] : nullptr;
      sessions.push_back(taken(Session::create(*model, options(i, of))));
      prompt(sessions[i], Tokens(30, static_cast<Token>(40 + i)));
      sessions[i].speculate(&drafter);
    }
    for (int piece = 0; piece < 12; ++piece) {
      for (Session& session : sessions) session.next();
    }
    for (uint32_t i = 0; i < 2; ++i) {
      if (!turns) wanted.push_back(continued(sessions[i]));
      CHECK(continued(sessions[i]) == wanted[i]);
    }
  }
}

TEST_CASE("a session with another's workspace takes only what it has to itself") {
  inlay_test::CountingAllocator allocator;
  {
    inlay::ModelOptions model_options;
    model_options.host.allocator = allocator.get();
    const Opened model("qwen3-tied", model_options);
    Session base = taken(Session::create(*model, with_seed(1)));
    REQUIRE(base.evaluate(some_tokens(100, 1), true, nullptr, nullptr));
    const MemoryPlan whole = taken(base.plan_fork(with_seed(2)));
    const MemoryPlan plan = taken(base.plan_fork(with_seed(2, &base)));
    CHECK(whole.activations > 0);
    CHECK(plan.activations == 0);
    CHECK(plan.kv_cache == whole.kv_cache);
    CHECK(plan.other < whole.other);
    const size_t before = allocator.live_bytes();
    std::vector<Session> forks;
    for (uint64_t i = 0; i < 3; ++i) forks.push_back(taken(base.fork(with_seed(i, &base))));
    CHECK(allocator.live_bytes() - before == 3 * plan.total());
    const MemoryPlan another = taken(Session::plan(*model, with_seed(4, &base)));
    forks.push_back(taken(Session::create(*model, with_seed(4, &forks[0]))));
    CHECK(allocator.live_bytes() - before == 3 * plan.total() + another.total());
    const size_t calls = allocator.calls();
    for (Session& fork : forks) prompt(fork, some_tokens(100, 1));
    // The one whose workspace it was may go first.
    base = std::move(forks[0]);
    forks.erase(forks.begin());
    for (Session& fork : forks) continued(fork);
    CHECK(allocator.calls() == calls);
  }
  CHECK(allocator.live_bytes() == 0);
  CHECK(allocator.wrong_releases() == 0);
}

TEST_CASE("when any one allocation fails, so does joining a workspace, cleanly") {
  for (size_t fail_at = 0;; ++fail_at) {
    CAPTURE(fail_at);
    inlay_test::CountingAllocator allocator(fail_at);
    {
      random_model::Memory memory(
          random_model::written(*random_model::find_model("qwen3-tied"), Type::f32).file());
      inlay::ModelOptions options;
      options.host.allocator = allocator.get();
      auto model = Model::from_memory({memory.data(), memory.size()}, options);
      if (model) {
        auto base = Session::create(*model, with_seed(1));
        if (base) {
          const auto fork = base->fork(with_seed(2, &*base));
          if (!fork) CHECK(fork.error().code() == ErrorCode::out_of_memory);
          CHECK(bool(fork) == !allocator.failed());
        }
      }
    }
    CHECK(allocator.live_bytes() == 0);
    CHECK(allocator.wrong_releases() == 0);
    if (!allocator.failed()) break;
  }
}

TEST_CASE("whose workspace it can be, and what of the options is then the workspace's") {
  const Opened model("qwen3-tied"), other("qwen3-tied");
  SessionOptions options = with_seed(1);
  const Session base = taken(Session::create(*model, options));
  options.workspace_of = &base;
  CHECK(Session::create(*other, options).error().code() == ErrorCode::bad_argument);
  options.context = 201;
  CHECK(Session::create(*model, options).error().code() == ErrorCode::bad_argument);
  CHECK(Session::plan(*model, options).error().code() == ErrorCode::bad_argument);
  options.context = 100;
  options.batch = 100;  // 32 is what there is room for
  options.threads = 3;
  Session session = taken(Session::create(*model, options));
  prompt(session, some_tokens(90, 1));
  CHECK(continued(session) == [&] {
    SessionOptions same = with_seed(1);
    same.context = 100;
    Session one = taken(Session::create(*model, same));
    prompt(one, some_tokens(90, 1));
    return continued(one);
  }());
}

TEST_CASE("a workspace in use by several threads: one computes, the others are told") {
  const Opened model("lfm2-1");
  constexpr uint32_t kSessions = 3;
  std::vector<Session> sessions;
  sessions.reserve(kSessions);
  for (uint32_t i = 0; i < kSessions; ++i) {
    sessions.push_back(
        taken(Session::create(*model, with_seed(i, i == 0 ? nullptr : &sessions[0]))));
    prompt(sessions[i], some_tokens(50 + i, i));
  }
  std::atomic<uint32_t> wrong{0};
  std::vector<std::thread> threads;
  for (Session& session : sessions) {
    threads.emplace_back([&session, &wrong] {
      for (Step step = Step::more; step != Step::done;) {
        step = session.step(0);
        if (step != Step::failed) continue;
        if (session.status().error().code() != ErrorCode::busy) ++wrong;
        std::this_thread::yield();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  for (uint32_t i = 0; i < kSessions; ++i) {
    CHECK(tokens_of(sessions[i]) == alone(*model, some_tokens(50 + i, i), i));
  }
}
