// Forks: sessions that share what they have read, until one of them changes it.
#include "inlay/session/kv_cache.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <inlay.hpp>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "inlay/session/sampler.hpp"
#include "support/counting_allocator.hpp"
#include "support/sessions.hpp"

namespace {

using inlay::ErrorCode;
using inlay::KvCacheType;
using inlay::MemoryPlan;
using inlay::Model;
using inlay::Session;
using inlay::SessionOptions;
using inlay::Token;
using inlay_test::Bytes;
using inlay_test::continued;
using inlay_test::CountingAllocator;
using inlay_test::Opened;
using inlay_test::operator+;
using inlay_test::prompt;
using inlay_test::saved;
using inlay_test::some_tokens;
using inlay_test::taken;
using inlay_test::Tokens;
using random_model::Type;

constexpr uint32_t kPage = inlay::detail::kKvPage;

SessionOptions by_chance(uint32_t context = 300, uint64_t seed = 7) {
  SessionOptions options;
  options.context = context;
  options.max_tokens = 8;
  options.batch = 32;
  options.sampling.temperature = 1.5f;
  options.sampling.top_k = 0u;
  options.sampling.seed = seed;
  return options;
}

// The same but for the random numbers, which are each session's own.
Bytes without_random(Bytes state) {
  constexpr size_t kSampler = 15, kWords = inlay::detail::SamplerState::kWords;
  std::fill_n(state.begin() + kSampler * 8, kWords * 8, uint8_t{0});
  std::fill_n(state.end() - 8, 8, uint8_t{0});  // the checksum
  return state;
}

// A session that has read `text`.
Session reader(const Model& model, const Tokens& text, const SessionOptions& options) {
  Session session = taken(Session::create(model, options));
  REQUIRE(session.evaluate(text, true, nullptr, nullptr));
  return session;
}
// What it writes after `text`, if it has read the first `common` tokens of it before.
Tokens written(const Model& model, const Tokens& text, size_t common,
               const SessionOptions& options) {
  Session session =
      reader(model, {text.begin(), text.begin() + static_cast<std::ptrdiff_t>(common)}, options);
  prompt(session, text);
  return continued(session);
}

}  // namespace

TEST_CASE("a fork goes on as the session that it was forked from") {
  for (const char* name : {"qwen3-tied", "gemma4-shared", "deepseek2-lite", "bloom", "mamba-1",
                           "lfm2-1", "qwen35-1"}) {
    CAPTURE(name);
    const Opened model(name);
    for (const KvCacheType cache : {KvCacheType::f32, KvCacheType::f16, KvCacheType::q8_0}) {
      if (cache != KvCacheType::f16 && std::string(name) != "qwen3-tied") continue;
      SessionOptions options = by_chance();
      options.kv_cache = cache;
      for (const size_t n : {size_t{3}, size_t{kPage}, size_t{150}, size_t{2 * kPage + 1}}) {
        Session session = taken(Session::create(*model, options));
        prompt(session, some_tokens(n));
        Session before = taken(session.fork(options));
        CHECK(saved(before) == saved(session));
        for (int tickets = 0; tickets < 3; ++tickets) session.step(0);
        Session during = taken(session.fork(options));
        CHECK(saved(during) == saved(session));
        const Tokens all = continued(session);
        CHECK(continued(before) == all);
        CHECK(continued(during) == all);
        Session after = taken(session.fork(options));
        CHECK(without_random(saved(after)) == without_random(saved(session)));
        Session of_a_fork = taken(after.fork(options));
        CHECK(saved(of_a_fork) == saved(after));
      }
    }
  }
}

TEST_CASE("forks with different ends write what they would alone, whoever changes and goes first") {
  for (const char* name : {"qwen3-tied", "qwen35-1"}) {
    CAPTURE(name);
    const Opened model(name);
    const Tokens common = some_tokens(150);
    for (int order = 0; order < 3; ++order) {
      std::vector<Session> forks;
      std::vector<Tokens> texts;
      {
        Session base = reader(*model, common, by_chance());
        for (uint32_t i = 0; i < 4; ++i) {
          forks.push_back(taken(base.fork(by_chance(300, i))));
          texts.push_back(common + some_tokens(5 + 9 * i, 50 + i));
          prompt(forks[i], texts[i]);
          CHECK(forks[i].reused() == 150);
        }
        if (order == 1) {  // the base writes over what they share
          const Tokens other = some_tokens(200, 77);
          prompt(base, other);
          CHECK(continued(base) == written(*model, other, 0, by_chance()));
        }
      }
      if (order == 2) {  // so does a fork
        texts[1] = some_tokens(100, 78);
        prompt(forks[1], texts[1]);
        forks.erase(forks.begin());
        texts.erase(texts.begin());
      }
      for (size_t i = 0; i < forks.size(); ++i) {
        const uint64_t seed = order == 2 ? i + 1 : i;
        const size_t known = texts[i].size() > 105 ? 150 : 0;
        CHECK(continued(forks[i]) == written(*model, texts[i], known, by_chance(300, seed)));
      }
    }
  }
}

TEST_CASE("whoever has no room for the snapshot to go on from writes to pages of its own") {
  // A batch that is under way has spoiled the recurrent state: only a snapshot has that of the
  // common text, and a session without snapshots reads it again.
  CountingAllocator allocator;
  inlay::ModelOptions counted;
  counted.host.allocator = allocator.get();
  for (const char* name : {"qwen35-1", "granitehybrid-1"}) {
    CAPTURE(name);
    const Opened model(name, counted);
    const Tokens common = some_tokens(150);
    SessionOptions options = by_chance();
    options.kv_cache = KvCacheType::f32;
    Session base = reader(*model, common, options);
    prompt(base, common + some_tokens(60, 5));
    base.step(0);
    const Bytes before = saved(base), rest = saved(base, 2 * kPage);
    options.snapshots = 0;
    CHECK(taken(base.plan_fork(options)).shared == 0);
    Session fork = taken(base.fork(options));
    CHECK(fork.cached() == 0);
    continued(fork);
    CHECK(saved(base) == before);

    Session owner = reader(*model, common, options);
    const uint64_t pages = taken(owner.plan_fork(options)).shared;
    CHECK(pages > 0);
    Session sharer = taken(owner.fork(options));
    const size_t live = allocator.live_bytes();
    REQUIRE(sharer.restore(rest));
    CHECK(allocator.live_bytes() - live == pages);
    CHECK(sharer.cached() == 0);
    const Bytes kept = saved(owner);
    CHECK(inlay_test::tokens_of(fork) == continued(sharer));
    CHECK(saved(owner) == kept);
  }
}

TEST_CASE("a fork's memory is what its plan says, and a step takes none") {
  CountingAllocator allocator;
  inlay::ModelOptions options;
  options.host.allocator = allocator.get();
  {
    const Opened model("qwen3-tied", options);
    const size_t before = allocator.live_bytes();
    const MemoryPlan whole = taken(Session::plan(*model, by_chance()));
    CHECK(whole.shared == 0);
    Session base = reader(*model, some_tokens(150), by_chance());
    CHECK(allocator.live_bytes() - before == whole.total());
    const MemoryPlan plan = taken(base.plan_fork(by_chance()));
    CHECK(plan.shared == 2 * (whole.kv_cache / 5));  // of 5 pages
    CHECK(plan.total() + plan.shared == whole.total());
    std::vector<Session> forks;
    for (int i = 0; i < 3; ++i) forks.push_back(taken(base.fork(by_chance())));
    CHECK(allocator.live_bytes() - before == whole.total() + 3 * plan.total());

    const size_t calls = allocator.calls();
    prompt(forks[0], some_tokens(150) + some_tokens(20, 3));
    continued(forks[0]);
    CHECK(allocator.calls() == calls);
    prompt(forks[1], some_tokens(140, 9));  // nothing of it is common
    CHECK(allocator.live_bytes() - before == whole.total() + 3 * plan.total() + plan.shared);
    const size_t later = allocator.calls();
    continued(forks[1]);
    prompt(forks[1], some_tokens(140, 10));  // the pages are its own now
    continued(forks[1]);
    CHECK(allocator.calls() == later);

    // The last one that has a page writes to it without taking another.
    const size_t now = allocator.live_bytes();
    forks.erase(forks.begin() + 1, forks.end());
    CHECK(now - allocator.live_bytes() == 2 * plan.total() + plan.shared);
    base = std::move(forks[0]);
    forks.clear();
    CHECK(allocator.live_bytes() - before == whole.total());
    const size_t last = allocator.calls();
    prompt(base, some_tokens(100, 11));
    continued(base);
    CHECK(allocator.calls() == last);
  }
  CHECK(allocator.live_blocks() == 0);
  CHECK(allocator.wrong_releases() == 0);
}

TEST_CASE("when any one allocation fails, a fork says so, and neither session is harmed") {
  const Opened enough("qwen3-tied");
  const Tokens other = some_tokens(140, 9), text = some_tokens(150) + some_tokens(4, 5);
  const Tokens other_end = written(*enough, other, 0, by_chance()),
               end = written(*enough, text, 150, by_chance());
  for (size_t fail = 0; fail < 40; ++fail) {
    CountingAllocator measured;
    inlay::ModelOptions options;
    options.host.allocator = measured.get();
    size_t calls = 0;
    {
      const Opened model("qwen3-tied", options);
      Session base = reader(*model, some_tokens(150), by_chance());
      calls = measured.calls();
    }
    CountingAllocator allocator(calls + fail);
    options.host.allocator = allocator.get();
    {
      const Opened model("qwen3-tied", options);
      Session base = reader(*model, some_tokens(150), by_chance());
      {
        auto fork = base.fork(by_chance());
        if (fork) {
          const inlay::Status status = fork->prompt(inlay::Span<const Token>(other));
          if (!status) CHECK(status.error().code() == ErrorCode::out_of_memory);
          prompt(*fork, other);  // only one call fails
          CHECK(continued(*fork) == other_end);
        } else {
          CHECK(fork.error().code() == ErrorCode::out_of_memory);
        }
      }
      prompt(base, text);
      CHECK(base.reused() == 150);
      CHECK(continued(base) == end);
    }
    CHECK(allocator.live_blocks() == 0);
    if (!allocator.failed()) break;
    CHECK(fail < 39);
  }
}

TEST_CASE(
    "the model's limit of memory holds for forks too, when they are made and when they write") {
  MemoryPlan whole, plan;
  {
    const Opened model("qwen3-tied");
    whole = taken(Session::plan(*model, by_chance()));
    plan = taken(reader(*model, some_tokens(150), by_chance()).plan_fork(by_chance()));
  }
  const Tokens one_page = some_tokens(kPage) + some_tokens(60, 4), none = some_tokens(90, 5);
  CountingAllocator allocator;
  inlay::ModelOptions options;
  options.host.allocator = allocator.get();
  uint64_t used = 0;
  for (const bool limited : {false, true}) {
    const Opened model("qwen3-tied", options);
    if (!limited) {
      used = allocator.peak_bytes();
      // A base, a fork, and one of the two pages that they share.
      options.max_bytes = used + whole.total() + plan.total() + plan.shared / 2;
      continue;
    }
    Session base = reader(*model, some_tokens(150), by_chance());
    Session fork = taken(base.fork(by_chance()));
    const auto another = base.fork(by_chance());
    REQUIRE(!another);
    CHECK(another.error().code() == ErrorCode::out_of_memory);
    prompt(fork, one_page);
    const inlay::Status status = fork.prompt(inlay::Span<const Token>(none));
    REQUIRE(!status);
    CHECK(status.error().code() == ErrorCode::out_of_memory);
    prompt(fork, one_page);
    CHECK(continued(fork) == written(*Opened("qwen3-tied"), one_page, kPage, by_chance()));
  }
}

TEST_CASE("what a fork cannot be") {
  const Opened model("qwen3-tied");
  Session base = reader(*model, some_tokens(150), by_chance());
  SessionOptions options = by_chance();
  options.kv_cache = KvCacheType::q8_0;
  CHECK(base.fork(options).error().code() == ErrorCode::bad_argument);
  CHECK(base.fork(by_chance(149)).error().code() == ErrorCode::context_full);
  CHECK(base.plan_fork(by_chance(149)).error().code() == ErrorCode::context_full);
  CHECK(taken(base.fork(by_chance(150))).tokens().size() == 150);
  options = by_chance();
  options.batch = 0;
  CHECK(base.fork(options).error().code() == ErrorCode::bad_argument);
}

TEST_CASE("forks on different threads at the same time") {
  const Opened model("qwen3-tied");
  const Tokens common = some_tokens(150);
  constexpr uint32_t kForks = 4;
  std::vector<Tokens> texts, expected, got(kForks);
  for (uint32_t i = 0; i < kForks; ++i) {
    texts.push_back(i == 1 ? some_tokens(90, 60) : common + some_tokens(5 + i, 60 + i));
    expected.push_back(written(*model, texts[i], i == 1 ? 0 : 150, by_chance(300, i)));
  }
  for (int round = 0; round < 3; ++round) {
    std::vector<std::thread> threads;
    {
      Session base = reader(*model, common, by_chance());
      for (uint32_t i = 0; i < kForks; ++i) {
        threads.emplace_back([&, i, fork = taken(base.fork(by_chance(300, i)))]() mutable {
          if (!fork.prompt(inlay::Span<const Token>(texts[i]))) return;
          while (fork.next() != nullptr) {
          }
          got[i].assign(fork.tokens().begin(), fork.tokens().end());
          Session gone = std::move(fork);
        });
      }
      prompt(base, some_tokens(100, 70));  // changes what they share, then goes
      base.next();
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(got == expected);
  }
}
