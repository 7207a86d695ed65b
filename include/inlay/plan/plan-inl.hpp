#ifndef INLAY_PLAN_PLAN_INL_HPP_
#define INLAY_PLAN_PLAN_INL_HPP_

#include "inlay/plan/plan.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// How often a worker looks before it gives its core away (waiting for a phase: yield; waiting for a
// plan: sleep). A pause takes 10 to 40 ns, a phase of a small model a few microseconds, waking a
// thread about 50.
inline constexpr uint32_t kSpins = 2000;

Status Executor::start(uint32_t workers, const Jobs& jobs, const Clock& clock, uint8_t* scratch,
                       size_t scratch_bytes) noexcept {
  n_workers_ = workers < kMaxWorkers ? workers : kMaxWorkers;
  jobs_ = jobs;
  clock_ = clock;
  scratch_ = scratch;
  scratch_bytes_ = scratch_bytes;
  if (jobs_.parallel_for != nullptr) return {};
  for (uint32_t i = 0; i + 1 < n_workers_; ++i) {
    threads_[i].executor = this;
    threads_[i].index = i + 1;
    if (!threads_[i].thread.start<&Executor::worker_main>(&threads_[i])) {
      return Error(ErrorCode::out_of_memory, "worker thread ")
             << (i + 1) << " of " << (n_workers_ - 1) << " cannot be started";
    }
    ++n_threads_;
  }
  return {};
}

Executor::~Executor() {
  if (n_threads_ == 0) return;
  quit_.store(true);
  {
    Lock lock(mutex_);
    wake_.notify_all();
  }
  for (uint32_t i = 0; i < n_threads_; ++i) threads_[i].thread.join();
}

void Executor::open(Span<const Phase> plan, void* state,
                    const std::atomic<bool>* cancelled) noexcept {
  settle();
  plan_ = plan;
  state_ = state;
  cancelled_ = cancelled;
  enter_phase(0);
}

// Opens the first phase from `phase` on that has tasks. Only the worker that finished the last task
// of the phase before, or the owner before any worker runs, comes here.
void Executor::enter_phase(uint32_t phase) noexcept {
  uint64_t count = 0;
  while (phase < plan_.size() && count == 0) {
    count = plan_[phase].count(plan_[phase].work, state_);
    if (count == 0) ++phase;
  }
  INLAY_ASSERT(count <= kTaskMask, "a phase has too many tasks");
  done_.store(0, std::memory_order_relaxed);
  ticket_.store(uint64_t{phase} << (2 * kTaskBits) | count << kTaskBits, std::memory_order_release);
}

bool Executor::is_too_late(uint64_t now, uint64_t cost, uint64_t deadline_us) noexcept {
  const uint64_t half = cost / 2;
  return now >= deadline_us || now + cost > deadline_us + (half < kMostOver ? half : kMostOver);
}

// While the last tasks of `phase` run: a piece of what this worker reads next. It is not known
// which task that is: of two workers it is the second, for the first goes to whoever ends the
// phase.
void Executor::ask_ahead(uint32_t phase, uint32_t tasks_left, Ahead* ahead) const noexcept {
  constexpr uint32_t kMostPhases = 5;  // between matrices there are norms and attention
  if (ahead->phase <= phase) {
    *ahead = {phase + 1, n_workers_ > tasks_left ? n_workers_ - tasks_left : 1};
    while (ahead->phase < plan_.size() && plan_[ahead->phase].ask == nullptr) ++ahead->phase;
  }
  if (!ahead->more || ahead->phase >= plan_.size() || ahead->phase > phase + kMostPhases) return;
  const Phase& next = plan_[ahead->phase];
  ahead->more = next.ask(next.work, state_, ahead->task, ahead->piece++);
}

// True if there was a ticket.
bool Executor::draw_tickets(uint32_t worker) noexcept {
  const DefaultFloats floats;
  void* scratch = scratch_ + worker * scratch_bytes_;
  bool drew = false;
  uint64_t now = deadline_us_.load(std::memory_order_relaxed) != 0 ? now_us(clock_) : 0;
  uint32_t idle = 0;
  Ahead ahead;
  // A worker that was put aside may come back in a later run: it ends no run but the one whose
  // deadline it saw.
  for (uint32_t run; (run = open_.load(std::memory_order_acquire)) != 0 && !is_cancelled();) {
    const uint64_t deadline_us = deadline_us_.load(std::memory_order_relaxed);
    const bool timed = deadline_us != 0;
    const auto end_run = [&] {
      open_.compare_exchange_strong(run, 0);
      return drew;
    };
    uint64_t ticket = ticket_.load(std::memory_order_acquire);
    uint32_t phase = static_cast<uint32_t>(ticket >> (2 * kTaskBits));
    uint32_t count = static_cast<uint32_t>(ticket >> kTaskBits & kTaskMask);
    if (phase >= plan_.size()) break;     // the plan is finished
    if ((ticket & kTaskMask) >= count) {  // all tasks are taken: wait
      if (++idle < kSpins) {
        ask_ahead(phase, count - done_.load(std::memory_order_relaxed), &ahead);
        cpu_relax();
      } else {
        yield();
      }
      if (timed) now = now_us(clock_);
      if (timed && now >= deadline_us) return end_run();
      continue;
    }
    idle = 0;
    if (timed) {
      const bool begun = begun_.load(std::memory_order_relaxed);
      if (begun && is_too_late(now, costs_.of(kind_of(phase, count)), deadline_us)) {
        return end_run();
      }
      begun_.store(true, std::memory_order_relaxed);
    }
    ticket = ticket_.fetch_add(1, std::memory_order_acq_rel);
    phase = static_cast<uint32_t>(ticket >> (2 * kTaskBits));
    count = static_cast<uint32_t>(ticket >> kTaskBits & kTaskMask);
    const uint32_t task = static_cast<uint32_t>(ticket & kTaskMask);
    if (phase >= plan_.size() || task >= count) continue;
    drew = true;
    plan_[phase].run(plan_[phase].work, state_, task, scratch);
    if (timed) {
      const uint64_t end = now_us(clock_);
      costs_.measured(kind_of(phase, count), end - now);
      now = end;
    }
    if (done_.fetch_add(1, std::memory_order_acq_rel) + 1 == count) enter_phase(phase + 1);
  }
  return drew;
}

bool Executor::settle(uint64_t deadline_us) const noexcept {
  // One that the system has put on this core gets on only if the core is given away.
  for (uint32_t i = 0; active_.load() != 0; ++i) {
    if (is_past(deadline_us)) return false;
    i < kSpins ? cpu_relax() : yield();
  }
  return true;
}

Executor::Outcome Executor::run(uint64_t deadline_us) noexcept {
  deadline_us_.store(deadline_us, std::memory_order_relaxed);
  begun_.store(false, std::memory_order_relaxed);
  const uint32_t number = generation_.load(std::memory_order_relaxed) + 2;
  open_.store(number);
  generation_.store(number);  // after open_: a worker that saw only this would leave again
  if (jobs_.parallel_for != nullptr && n_workers_ > 1) {
    jobs_.parallel_for(
        jobs_.user, n_workers_,
        [](void* executor, uint32_t index) {
          static_cast<Executor*>(executor)->draw_tickets(index);
        },
        this);
    draw_tickets(0);  // what is left if the host ran none of them, as at its end
    open_.store(0);
  } else {
    if (n_threads_ > 0) {
      Lock lock(mutex_);
      wake_.notify_all();
    }
    const bool drew = draw_tickets(0);
    open_.store(0);
    // Each is at most one ticket from leaving, unless the system has put it aside. So that every
    // run gets on, one of this run is waited for if the caller has done nothing itself.
    const bool may_leave = deadline_us != 0 && (drew || !begun_.load(std::memory_order_relaxed));
    if (!settle(may_leave && !is_cancelled() ? deadline_us + kMostOver : 0)) {
      return Outcome::budget_spent;
    }
  }
  if ((ticket_.load(std::memory_order_acquire) >> (2 * kTaskBits)) >= plan_.size()) {
    return Outcome::finished;
  }
  return is_cancelled() ? Outcome::cancelled : Outcome::budget_spent;
}

void Executor::worker_main(void* worker) noexcept {
  Executor& executor = *static_cast<Worker*>(worker)->executor;
  const uint32_t index = static_cast<Worker*>(worker)->index;
  uint32_t seen = 1;
  for (;;) {
    for (uint32_t i = 0; i < kSpins && executor.generation_.load() == seen; ++i) cpu_relax();
    if (executor.generation_.load() == seen) {
      Lock lock(executor.mutex_);
      while (executor.generation_.load() == seen && !executor.quit_.load()) {
        executor.wake_.wait(executor.mutex_);
      }
    }
    if (executor.quit_.load()) return;
    seen = executor.generation_.load();
    executor.active_.fetch_add(1);  // before looking at open_: run() clears it, then waits for 0
    if (executor.open_.load() != 0) executor.draw_tickets(index);
    executor.active_.fetch_sub(1);
  }
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_PLAN_PLAN_INL_HPP_
