#include "inlay/plan/plan.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cfenv>
#include <chrono>
#include <cstdint>
#include <inlay.hpp>
#include <memory>
#include <numeric>
#include <thread>
#include <vector>

namespace {

using inlay::Clock;
using inlay::Jobs;
using inlay::detail::Executor;
using inlay::detail::Phase;
using Outcome = Executor::Outcome;

// A plan whose phases check that they run alone and in order, and each of their tasks once.
struct Trace {
  explicit Trace(std::vector<uint32_t> of_phases)
      : counts(std::move(of_phases)), ran(counts.size()) {
    for (size_t p = 0; p < counts.size(); ++p) {
      ran[p] = std::make_unique<std::atomic<uint32_t>[]>(counts[p] + 1);
      numbers.push_back(static_cast<uint32_t>(p));
    }
    for (uint32_t& number : numbers) plan.push_back({count, run, &number});
  }

  static uint32_t count(const void* work, const void* state) {
    return static_cast<const Trace*>(state)->counts[*static_cast<const uint32_t*>(work)];
  }
  static void run(const void* work, void* state, uint32_t task, void* scratch) {
    Trace& t = *static_cast<Trace*>(state);
    const uint32_t phase = *static_cast<const uint32_t*>(work);
    // The scratch belongs to this worker until the task returns.
    auto& owner = *static_cast<std::atomic<uint32_t>*>(scratch);
    if (owner.exchange(1) != 0) ++t.wrong;
    if (task >= t.counts[phase]) ++t.wrong;
    if (phase > 0 && t.finished(phase - 1) != t.counts[phase - 1]) ++t.wrong;
    if (phase + 1 < t.counts.size() && t.finished(phase + 1) != 0) ++t.wrong;
    if (t.pause_us > 0) std::this_thread::sleep_for(std::chrono::microseconds(t.pause_us));
    ++t.ran[phase][task];
    if (++t.tasks == t.cancel_at) {
      t.cancelled = true;
      t.at_cancel = t.tasks.load();
    }
    owner = 0;
  }
  uint32_t finished(uint32_t phase) const {
    uint32_t sum = 0;
    for (uint32_t i = 0; i < counts[phase]; ++i) sum += ran[phase][i];
    return sum;
  }
  bool each_once() const {
    for (size_t p = 0; p < counts.size(); ++p) {
      for (uint32_t i = 0; i < counts[p]; ++i) {
        if (ran[p][i] != 1) return false;
      }
    }
    return wrong == 0;
  }

  std::vector<uint32_t> counts;
  std::vector<std::unique_ptr<std::atomic<uint32_t>[]>> ran;
  std::vector<uint32_t> numbers;
  std::vector<Phase> plan;
  std::atomic<uint32_t> wrong{0}, tasks{0}, at_cancel{0};
  uint32_t cancel_at = 0, pause_us = 0;
  std::atomic<bool> cancelled{false};
};

// An executor with memory of its own.
struct Runner {
  explicit Runner(uint32_t workers, const Jobs& jobs = {}, const Clock& clock = {})
      : scratch(workers) {
    REQUIRE(executor.start(workers, jobs, clock, reinterpret_cast<uint8_t*>(scratch.data()),
                           sizeof(Block)));
  }
  void open(Trace* trace) {
    executor.open({trace->plan.data(), trace->plan.size()}, trace, &trace->cancelled);
  }
  struct alignas(64) Block {
    std::atomic<uint32_t> owner{0};
  };
  std::vector<Block> scratch;
  Executor executor;  // last: its workers end before the memory does
};

const std::vector<uint32_t> kCounts = {1, 0, 7, 64, 0, 0, 3, 1, 1, 200, 2};

}  // namespace

TEST_SUITE("plan") {
  TEST_CASE("a worker without a ticket asks for the second task of the next matrix") {
    // The first phase ends when the third has been asked for, piece after piece, until there are no
    // more; by whom does not matter.
    struct Asked {
      static uint32_t count(const void*, const void*) { return 1; }
      static void wait(const void*, void* state, uint32_t, void*) {
        const Asked& a = *static_cast<const Asked*>(state);
        for (int i = 0; i < 100000 && a.pieces < 3; ++i) {
          std::this_thread::sleep_for(std::chrono::microseconds(100));
        }
      }
      static void nothing(const void*, void*, uint32_t, void*) {}
      static bool ask(const void* work, const void* state, uint32_t task, uint32_t piece) {
        // The state is constant for those that ask; this one counts.
        Asked& a = *static_cast<Asked*>(const_cast<void*>(state));
        if (a.pieces == 3) return false;  // another worker may ask again
        if (work != &a || task != 1 || piece != a.pieces) a.wrong = true;
        ++a.pieces;
        return true;
      }
      std::atomic<uint32_t> pieces{0};
      std::atomic<bool> wrong{false};
    } asked;
    const Phase plan[] = {{&Asked::count, &Asked::wait, nullptr},
                          {&Asked::count, &Asked::nothing, nullptr},
                          {&Asked::count, &Asked::nothing, &asked, &Asked::ask}};
    Runner runner(2);
    runner.executor.open({plan, 3}, &asked);
    CHECK(runner.executor.run(0) == Outcome::finished);
    CHECK(asked.pieces == 3);
    CHECK_FALSE(asked.wrong);
  }

  TEST_CASE("every task runs once, phase after phase, on any number of workers") {
    for (const uint32_t workers : {1u, 2u, 3u, 8u}) {
      Runner runner(workers);
      for (int round = 0; round < 20; ++round) {
        Trace trace(kCounts);
        runner.open(&trace);
        CHECK(runner.executor.run(0) == Outcome::finished);
        CAPTURE(workers);
        CHECK(trace.each_once());
      }
    }
  }

  TEST_CASE("a plan without tasks is finished") {
    Runner runner(2);
    Trace empty(std::vector<uint32_t>{}), nothing({0, 0, 0});
    runner.open(&empty);
    CHECK(runner.executor.run(0) == Outcome::finished);
    runner.open(&nothing);
    CHECK(runner.executor.run(0) == Outcome::finished);
  }

  TEST_CASE("a deadline stops between tasks; each run gets on, and the last finishes") {
    struct Ticks {
      static uint64_t now(void* ticks) {
        return static_cast<std::atomic<uint64_t>*>(ticks)->fetch_add(1) + 1;
      }
    };
    for (const uint32_t workers : {1u, 3u}) {
      std::atomic<uint64_t> ticks{0};
      Clock clock;
      clock.now_us = Ticks::now;
      clock.user = &ticks;
      Runner runner(workers, {}, clock);
      Trace trace(kCounts);
      runner.open(&trace);
      const uint32_t all = std::accumulate(kCounts.begin(), kCounts.end(), 0u);
      uint32_t runs = 0, before = 0;
      for (;;) {
        const Outcome outcome = runner.executor.run(1);  // always past
        // What the run has not waited for is its too; then the next may have nothing left to do.
        runner.executor.settle();
        ++runs;
        CHECK((trace.tasks > before || (before == all && outcome == Outcome::finished)));
        CHECK(trace.tasks - before <= workers);
        before = trace.tasks;
        if (outcome == Outcome::finished) break;
        CHECK(outcome == Outcome::budget_spent);
        REQUIRE(runs < 1000);
      }
      CHECK(trace.each_once());
    }
  }

  TEST_CASE("what tickets of a kind take is known once they ran, and forgotten by and by") {
    inlay::detail::TicketCosts costs;
    CHECK(costs.of(1) == 0);
    costs.measured(1, 100);
    CHECK(costs.of(1) == 100);
    CHECK(costs.of(2) == 0);
    costs.measured(1, 150);
    CHECK(costs.of(1) == 150);
    costs.measured(1, 100000);  // it was interrupted
    CHECK(costs.of(1) == 308);
    for (int i = 0; i < 20; ++i) costs.measured(1, 100);
    CHECK(costs.of(1) == 100);
    costs.measured(3, 100000);
    CHECK(costs.of(3) == 65535);  // the most it can say
    CHECK(costs.of(1) == 100);
  }

  TEST_CASE("a run ends before a ticket that would take it too far beyond its deadline") {
    // Time passes only while tasks run.
    struct Costs {
      static uint64_t now(void* self) { return static_cast<Costs*>(self)->time; }
      static uint32_t count(const void*, const void* state) {
        return static_cast<const Costs*>(state)->tasks;
      }
      static void run(const void*, void* state, uint32_t, void*) {
        Costs& self = *static_cast<Costs*>(state);
        self.time += self.cost;
      }
      uint64_t time = 1, cost = 0;
      uint32_t tasks = 1000;
    };
    for (const uint64_t cost : {10u, 150u, 199u, 1000u}) {
      CAPTURE(cost);
      Costs costs;
      costs.cost = cost;
      Clock clock;
      clock.now_us = Costs::now;
      clock.user = &costs;
      Runner runner(1, {}, clock);
      const Phase phase = {Costs::count, Costs::run, nullptr};
      runner.executor.open({&phase, 1}, &costs);
      const uint64_t most_over = cost / 2 < 100 ? cost / 2 : 100;
      for (const uint64_t budget : {1u, 95u, 2000u, 2040u, 2060u, 500u}) {
        CAPTURE(budget);
        const uint64_t start = costs.time;
        CHECK(runner.executor.run(start + budget) == Outcome::budget_spent);
        const uint64_t took = costs.time - start;
        CHECK(took > 0);
        CHECK(took % cost == 0);
        if (took > cost) CHECK(took <= budget + most_over);
        // And another ticket would have been too much.
        CHECK((took >= budget || took + cost > budget + most_over));
      }
    }
  }

  TEST_CASE("cancelled after at most one ticket of each worker, and going on finishes") {
    for (const uint32_t workers : {1u, 4u}) {
      Runner runner(workers);
      for (const uint32_t at : {1u, 5u, 30u, 100u}) {
        Trace trace(kCounts);
        trace.cancel_at = at;
        runner.open(&trace);
        CHECK(runner.executor.run(0) == Outcome::cancelled);
        CHECK(trace.tasks >= at);
        CHECK(trace.tasks <= trace.at_cancel + workers);
        CHECK(runner.executor.run(0) == Outcome::cancelled);  // until it is cleared
        trace.cancelled = false;
        CHECK(runner.executor.run(0) == Outcome::finished);
        CHECK(trace.each_once());
      }
    }
  }

  TEST_CASE("a worker that was put aside in a task is not waited for beyond a deadline") {
    // Tasks of the caller wait for the other worker to be in one, and that one for `released`. Time
    // is counted in looks at the clock: no other program has a part in it.
    struct Aside {
      static uint32_t count(const void*, const void*) { return 64; }
      static void run(const void*, void* state, uint32_t task, void*) {
        Aside& self = *static_cast<Aside*>(state);
        if (std::this_thread::get_id() == self.caller) {
          while (!self.is_aside) std::this_thread::yield();
        } else if (!self.is_aside.exchange(true)) {
          while (!self.released) std::this_thread::yield();
        }
        ++self.ran[task];
      }
      static uint64_t look(void* user) { return static_cast<Aside*>(user)->time += 10; }
      uint64_t soon() { return time + 1000; }
      std::atomic<uint64_t> time{0};
      const std::thread::id caller = std::this_thread::get_id();
      std::atomic<bool> is_aside{false}, released{false};
      std::atomic<uint32_t> ran[64] = {};
    };
    for (int round = 0; round < 20; ++round) {
      Aside plan;
      Clock clock;
      clock.now_us = Aside::look;
      clock.user = &plan;
      Runner runner(2, {}, clock);
      const Phase phases[] = {{Aside::count, Aside::run, nullptr},
                              {Aside::count, Aside::run, nullptr}};
      runner.executor.open({phases, 2}, &plan);
      REQUIRE(runner.executor.run(plan.soon()) == Outcome::budget_spent);
      REQUIRE(plan.is_aside);
      for (int runs = 0; runs < 3; ++runs) {
        CHECK(runner.executor.run(plan.soon()) == Outcome::budget_spent);
        CHECK(!runner.executor.settle(plan.soon()));
      }
      if (round % 3 == 0) {  // another plan: the task ends first
        std::thread release([&] { plan.released = true; });
        Trace trace(kCounts);
        runner.open(&trace);
        CHECK(plan.released);
        CHECK(runner.executor.run(0) == Outcome::finished);
        CHECK(trace.each_once());
        release.join();
        continue;
      }
      plan.released = true;  // it comes back in the next run, or before
      while (runner.executor.run(round % 2 == 0 ? 0 : plan.soon()) != Outcome::finished) {
      }
      for (const auto& times : plan.ran) CHECK(times == 2);
    }
  }

  TEST_CASE("the host's jobs run the plan, however many of them it starts at once") {
    struct Host {
      // One after another, the last first: the first to run does all the work.
      static void backwards(void*, uint32_t n, void (*task)(void*, uint32_t), void* user) {
        while (n-- > 0) task(user, n);
      }
      static void threads(void*, uint32_t n, void (*task)(void*, uint32_t), void* user) {
        std::vector<std::thread> all;
        for (uint32_t i = 0; i < n; ++i) all.emplace_back(task, user, i);
        for (std::thread& thread : all) thread.join();
      }
      // A job system that has no room, or has ended.
      static void last_only(void*, uint32_t n, void (*task)(void*, uint32_t), void* user) {
        task(user, n - 1);
      }
      static void none(void*, uint32_t, void (*)(void*, uint32_t), void*) {}
    };
    Jobs backwards, threads, last_only, none;
    backwards.parallel_for = Host::backwards;
    threads.parallel_for = Host::threads;
    last_only.parallel_for = Host::last_only;
    none.parallel_for = Host::none;
    for (const Jobs& jobs : {backwards, threads, last_only, none}) {
      Runner runner(4, jobs);
      Trace trace(kCounts);
      runner.open(&trace);
      CHECK(runner.executor.run(0) == Outcome::finished);
      CHECK(trace.each_once());

      Trace slices(kCounts);  // a deadline that is past: each run gets on, and the last finishes
      runner.open(&slices);
      uint32_t runs = 0;
      while (runner.executor.run(1) == Outcome::budget_spent) REQUIRE(++runs < 1000);
      CHECK(slices.each_once());
    }
  }

#if defined(FE_TOWARDZERO) && defined(FE_UPWARD)
  TEST_CASE("tasks compute with the modes that C++ begins with, whatever the host's threads have") {
    struct Third {  // another number with either of these two modes
      static float negative() {
        volatile float third = -1;  // computed here and now
        third = third / 3;
        return third;
      }
      float nearest = negative();
      std::atomic<uint32_t> wrong{0};
    } third;
    struct Lent {
      static void run(void*, uint32_t n, void (*task)(void*, uint32_t), void* user) {
        std::fesetround(FE_TOWARDZERO);
        const float own = Third::negative();
        while (n-- > 0) task(user, n);
        CHECK(Third::negative() == own);
        std::fesetround(FE_UPWARD);
      }
    };
    struct Task {
      static uint32_t count(const void*, const void*) { return 8; }
      static void run(const void*, void* state, uint32_t, void*) {
        Third& expected = *static_cast<Third*>(state);
        if (Third::negative() != expected.nearest) ++expected.wrong;
      }
    };
    Jobs lent;
    lent.parallel_for = Lent::run;
    std::fesetround(FE_UPWARD);
    const float own = Third::negative();
    for (const uint32_t workers : {1u, 3u}) {
      for (const Jobs& jobs : {Jobs(), lent}) {
        Runner runner(workers, jobs);
        const Phase phase = {Task::count, Task::run, nullptr};
        runner.executor.open({&phase, 1}, &third, nullptr);
        CHECK(runner.executor.run(0) == Outcome::finished);
        CHECK(Third::negative() == own);
      }
    }
    std::fesetround(FE_TONEAREST);
    CHECK(third.wrong == 0);
  }
#endif

  TEST_CASE("a worker that is slow to come does no harm") {
    // Tasks that sleep: workers are descheduled in the middle of phases, while others wait.
    Runner runner(6);
    Trace trace({6, 1, 12, 1});
    trace.pause_us = 300;
    runner.open(&trace);
    CHECK(runner.executor.run(0) == Outcome::finished);
    CHECK(trace.each_once());
  }
}
