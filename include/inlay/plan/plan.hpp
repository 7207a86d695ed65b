// How work is run, knowing nothing of models. A plan is a flat array of phases; a phase is a
// function and a number of tasks that may run in any order and on any thread. A worker draws a
// ticket, runs that task, draws the next; when the last task of a phase is done, the next phase
// opens. No thread count is built in: workers join and leave between tickets, and the caller alone
// can always finish, so the same plan runs on one thread, on own workers and on the host's jobs,
// gives the same bits on each, and can stop between any two tickets: that is step(budget), and
// cancel.
//
// A worker that the system has put aside in the middle of a ticket is not waited for when the
// deadline is past: the run ends, and the ticket is done by and by.
//
// What tickets cost is measured as they run. A run with a deadline ends before a ticket that would
// take it further beyond than half of that ticket's time, or than 0.1 ms: so it is late by at most
// 0.1 ms, unless a ticket takes longer than those of its kind did before.
#ifndef INLAY_PLAN_PLAN_HPP_
#define INLAY_PLAN_PLAN_HPP_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "inlay/core/memory.hpp"
#include "inlay/core/system.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

struct Phase {
  // The number of tasks for the batch in `state`; 0 skips the phase. Below 2^22.
  uint32_t (*count)(const void* work, const void* state);
  // One task. `scratch` belongs to the worker until the task returns.
  void (*run)(const void* work, void* state, uint32_t task, void* scratch);
  const void* work;  // the phase's own description, constant
  // Asks the memory for a piece of what a task will read that no phase writes; false: there are no
  // more. A worker with nothing to do calls it before the phase opens. Null: nothing.
  bool (*ask)(const void* work, const void* state, uint32_t task, uint32_t piece) = nullptr;
};

// What tickets of a kind took lately, in microseconds: the greatest, but one that took very long,
// because its thread had to wait, counts twice what was known, and all is forgotten by and by. Of
// two kinds that share a place, the last is known. Any thread may call.
class TicketCosts {
 public:
  // 0: not known.
  uint64_t of(uint64_t kind) const noexcept {
    const uint64_t cost = place(kind).load(std::memory_order_relaxed);
    return ((cost ^ mixed(kind)) & ~kMask) == 0 ? cost & kMask : 0;
  }
  void measured(uint64_t kind, uint64_t us) noexcept {
    place(kind).store((mixed(kind) & ~kMask) | learned(of(kind), us), std::memory_order_relaxed);
  }
  // What is known after another one that took `us`.
  static constexpr uint64_t learned(uint64_t known, uint64_t us) noexcept {
    const uint64_t least = known - known / 8, most = 2 * known + 8;
    if (known != 0) us = us < least ? least : us > most ? most : us;
    return us > kMask ? kMask : us;
  }

 private:
  static constexpr uint64_t kMask = 0xffff;  // microseconds; above: which kind
  static constexpr uint64_t mixed(uint64_t kind) noexcept { return kind * 0xd6e8feb86659fd93; }
  const std::atomic<uint64_t>& place(uint64_t kind) const noexcept {
    return costs_[mixed(kind) >> 59];
  }
  std::atomic<uint64_t>& place(uint64_t kind) noexcept { return costs_[mixed(kind) >> 59]; }

  std::atomic<uint64_t> costs_[32] = {};
};

// Runs plans, one at a time. All members are for one thread at a time, the owner's.
class Executor {
 public:
  Executor() noexcept = default;
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // `scratch`: `workers` blocks of `scratch_bytes` each, kept until the end. With
  // jobs.parallel_for, `workers` tasks of the host run the plan; else workers - 1 threads are
  // started, and sleep between plans. Errors: out_of_memory when the operating system gives no
  // thread.
  Status start(uint32_t workers, const Jobs& jobs, const Clock& clock, uint8_t* scratch,
               size_t scratch_bytes) noexcept;

  // Opens a plan at its first phase. `state` is handed to every task. As long as `cancelled`, which
  // any thread may write, is true, run() returns after at most one ticket; null: never.
  void open(Span<const Phase> plan, void* state,
            const std::atomic<bool>* cancelled = nullptr) noexcept;

  enum class Outcome : uint8_t { finished, budget_spent, cancelled };
  // Goes on with the open plan until it is finished, now_us() has passed `deadline_us` (0: none) or
  // is too near to it for one ticket more, or it is cancelled; but for one ticket at least. When
  // it returns, no task is running, but after budget_spent on threads of its own: see settle().
  Outcome run(uint64_t deadline_us) noexcept;
  // Waits for those that are still in a task, before anything is changed that the plan works on;
  // false if now_us() has passed `deadline_us` (0: never) before they came back.
  bool settle(uint64_t deadline_us = 0) const noexcept;

  // Whether what takes `cost` would take a run too far beyond its deadline.
  static bool is_too_late(uint64_t now, uint64_t cost, uint64_t deadline_us) noexcept;

  // Whether now_us() has passed `deadline_us` (0: never).
  bool is_past(uint64_t deadline_us) const noexcept {
    return deadline_us != 0 && now_us(clock_) >= deadline_us;
  }

 private:
  struct Worker {
    Executor* executor = nullptr;
    uint32_t index = 0;
    Thread thread;
  };
  static constexpr uint32_t kMaxWorkers = 64;
  static constexpr uint64_t kMostOver = 100;  // microseconds beyond a deadline

  // What a worker without a ticket asks the memory for meanwhile.
  struct Ahead {
    uint32_t phase = 0, task = 0, piece = 0;  // phase 0: nothing yet
    bool more = true;                         // pieces of that task
  };
  void ask_ahead(uint32_t phase, uint32_t tasks_left, Ahead* ahead) const noexcept;
  bool draw_tickets(uint32_t worker) noexcept;
  void enter_phase(uint32_t phase) noexcept;
  bool is_cancelled() const noexcept {
    return cancelled_ != nullptr && cancelled_->load(std::memory_order_relaxed);
  }
  // Tickets that take about as long: of one function, in phases with as many tasks.
  uint64_t kind_of(uint32_t phase, uint32_t count) const noexcept {
    return reinterpret_cast<uintptr_t>(plan_[phase].run) + count * 0x9e3779b97f4a7c15;
  }
  static void worker_main(void* worker) noexcept;

  // A ticket word: which phase, how many tasks it has, which is the next. One word, so that a
  // worker that slept through the end of a phase can never take a task of the next one by the old
  // one's count.
  static constexpr uint64_t kTaskBits = 22;
  static constexpr uint64_t kTaskMask = (uint64_t{1} << kTaskBits) - 1;

  alignas(64) std::atomic<uint64_t> ticket_{0};
  alignas(64) std::atomic<uint32_t> done_{0};  // tasks of the current phase that have returned
  // The run in which workers may draw tickets; 0: none.
  alignas(64) std::atomic<uint32_t> open_{0};
  std::atomic<bool> quit_{false};
  std::atomic<uint32_t> active_{0};      // own threads that are drawing tickets
  std::atomic<uint32_t> generation_{1};  // the last run, odd: what sleeping workers wait for
  std::atomic<bool> begun_{false};       // this run has drawn a ticket
  TicketCosts costs_;

  Span<const Phase> plan_;
  void* state_ = nullptr;
  const std::atomic<bool>* cancelled_ = nullptr;
  std::atomic<uint64_t> deadline_us_{0};
  uint32_t n_workers_ = 1;
  Jobs jobs_;
  Clock clock_;
  uint8_t* scratch_ = nullptr;
  size_t scratch_bytes_ = 0;
  uint32_t n_threads_ = 0;
  Worker threads_[kMaxWorkers];
  Mutex mutex_;
  CondVar wake_;
};

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_PLAN_PLAN_HPP_
