// Does step(budget) keep its budget? Plays the loop of a game: in each frame the engine gets a
// slice, and what it took beyond that is the overrun. Also: how long cancel() takes to be obeyed.
//   bench_frames MODEL.gguf [NAME=VALUE…]
//     work=NAME,NAME               any of these (all); of encoders: embed, open, map, pack
//       write prompt embed         tokens written, tokens read, texts embedded
//       open map pack              opening through a read function, opening a mapped file, and
//                                  packing its weights, into memory that this program had before:
//                                  what the system takes to clear new memory is not the engine's
//       cancel cancel_open cancel_map cancel_pack cancel_completion
//                                  from cancel() in another thread to the return of what it ends
//     budget=2000,500,8000         microseconds of each frame
//     threads=1,2,3                the caller's own included
//     seconds=15                   of each measurement
//     hz=60                        frames per second; 0: one after another
//     batch=64 depth=0 weights=mapped|packed target=NAME json=0|1
//     new_memory=0|1               open, map and pack into memory that is new to the process
// Beside each overrun stands the machine's own: that of a loop which only looks at the clock, on as
// many threads; and beside what cancel() takes, that of a loop which only looks for it ("flag").
// "own" is the overrun in the CPU time of the calling thread: what the engine did, without the time
// for which the system had put the thread aside. "alone" is the overrun of the slices, and how many
// they are, in which the system neither took the core from that thread nor read from the disk for
// it (Linux; a virtual machine's own host may still take the core).
// Tokens (and looks at the clock) are per second inside the engine; "of free" compares the tokens
// that a second of the process's CPU time, without what the pauses between frames took, gives with
// those of the same work in one go.
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <inlay.hpp>
#include <mutex>
#include <new>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "inlay/kernels/kernels.hpp"

namespace {

using Clock = std::chrono::steady_clock;
using Microseconds = std::chrono::duration<double, std::micro>;

double since(Clock::time_point start) { return Microseconds(Clock::now() - start).count(); }

struct Options {
  std::string model, weights = "mapped", target;
  std::string work =
      "write,prompt,embed,open,map,pack,cancel,cancel_open,cancel_map,cancel_pack,"
      "cancel_completion";
  std::vector<uint32_t> budgets = {2000, 500, 8000}, threads = {1, 2, 3};
  double seconds = 15, hz = 60;
  uint32_t batch = 64, depth = 0;
  bool json = false, new_memory = false;
  bool has(const char* name) const {
    return ("," + work + ",").find(std::string(",") + name + ",") != std::string::npos;
  }
};

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "bench_frames: %s\n", what);
  std::exit(1);
}

template <class T>
T must(inlay::Result<T> result) {
  if (!result) fail(result.error().message());
  return std::move(*result);
}
void must(const inlay::Status& status) {
  if (!status) fail(status.error().message());
}

// ---- what was measured ----

// Microseconds, sorted.
class Times {
 public:
  explicit Times(std::vector<double> values) : values_(std::move(values)) {
    std::sort(values_.begin(), values_.end());
  }
  // The least value that this share of all does not exceed.
  double at(double share) const {
    if (values_.empty()) return 0;
    const double rank = share * static_cast<double>(values_.size());
    const size_t i = static_cast<size_t>(std::max(0.0, rank - 1e-9));
    return values_[std::min(i, values_.size() - 1)];
  }
  size_t size() const { return values_.size(); }
  // How many are in (limits[i - 1], limits[i]]; the last of all that are greater.
  std::vector<size_t> histogram(const std::vector<double>& limits) const {
    std::vector<size_t> counts(limits.size() + 1);
    for (const double value : values_) {
      ++counts[static_cast<size_t>(std::lower_bound(limits.begin(), limits.end(), value) -
                                   limits.begin())];
    }
    return counts;
  }

 private:
  std::vector<double> values_;
};

const std::vector<double> kLimits = {0, 25, 50, 100, 150, 200, 250, 500, 1000};

void print_header() {
  std::printf("%-8s %7s %8s %7s |%8s %8s %8s %8s |%8s %9s |%7s %11s | %s |%9s %8s\n", "work",
              "threads", "budget", "times", "p50", "p99", "p99.9", "max", "own p99", "own p99.9",
              "alone", "alone p99.9", "in (0, 25, 50, 100, 150, 200, 250, 500, 1000, more]",
              "tokens/s", "of free");
}

// What frames took beyond their slices, by the clock and in CPU time of the calling thread; by the
// clock, of those that the system left alone.
struct Overruns {
  std::vector<double> all, own = {}, alone = {};
  void add(const Overruns& more) {
    all.insert(all.end(), more.all.begin(), more.all.end());
    own.insert(own.end(), more.own.begin(), more.own.end());
    alone.insert(alone.end(), more.alone.begin(), more.alone.end());
  }
};

void print(const Options& o, const char* work, uint32_t threads, uint32_t budget,
           const Overruns& overruns, double rate, double of_free) {
  const Times times(overruns.all), own(overruns.own), alone(overruns.alone);
  const std::vector<size_t> counts = times.histogram(kLimits);
  if (o.json) {
    static const char* separator = "[";
    std::printf(
        "%s{\"work\": \"%s\", \"threads\": %u, \"budget_us\": %u, \"times\": %zu, "
        "\"p50_us\": %.1f, \"p99_us\": %.1f, \"p99.9_us\": %.1f, \"max_us\": %.1f, "
        "\"own_p99_us\": %.1f, \"own_p99.9_us\": %.1f, \"alone\": %zu, \"alone_p99.9_us\": %.1f, "
        "\"histogram\": [",
        separator, work, threads, budget, times.size(), times.at(0.5), times.at(0.99),
        times.at(0.999), times.at(1), own.at(0.99), own.at(0.999), alone.size(), alone.at(0.999));
    for (size_t i = 0; i < counts.size(); ++i) std::printf("%s%zu", i > 0 ? ", " : "", counts[i]);
    std::printf("], \"tokens_per_second\": %.4g, \"of_free\": %.4g}", rate, of_free);
    separator = ",\n ";
  } else {
    std::printf("%-8s %7u %8u %7zu |%8.1f %8.1f %8.1f %8.1f |%8.1f %9.1f |%7zu %11.1f |", work,
                threads, budget, times.size(), times.at(0.5), times.at(0.99), times.at(0.999),
                times.at(1), own.at(0.99), own.at(0.999), alone.size(), alone.at(0.999));
    for (const size_t count : counts) std::printf(" %zu", count);
    if (rate > 0) std::printf(" |%9.2f %7.1f%%", rate, 100 * of_free);
    std::printf("\n");
  }
  std::fflush(stdout);
}

// ---- the work ----

// Microseconds of CPU time, by one of the system's clocks.
double cpu_us(clockid_t clock) {
  timespec time = {};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

// How often the system has taken the core from this thread, or read a page from the disk for it.
long disturbances() {
#ifdef RUSAGE_THREAD
  rusage use = {};
  getrusage(RUSAGE_THREAD, &use);
  return use.ru_nivcsw + use.ru_majflt;
#else
  return 0;
#endif
}

// Tokens, and the time inside the engine and on all CPUs that they took.
class Speed {
 public:
  void add_time(double us) { now_.us += us; }
  // Sleeps. What that costs this thread, a timer and two changes of context, is the game's.
  void pause_until(Clock::time_point end) {
    const double start = cpu_us(CLOCK_THREAD_CPUTIME_ID);
    std::this_thread::sleep_until(end);
    paused_us_ += cpu_us(CLOCK_THREAD_CPUTIME_ID) - start;
  }
  // Tokens that were finished by now.
  void add_tokens(double tokens) {
    now_.tokens += tokens;
    now_.cpu_us = cpu_us(CLOCK_PROCESS_CPUTIME_ID) - paused_us_;
    last_ = now_;
    if (first_.cpu_us == 0) first_ = last_;
  }
  void start() { first_ = last_ = {}; }
  bool known() const { return last_.tokens > first_.tokens; }
  double per_second() const { return over(last_.us - first_.us); }
  double per_cpu_second() const { return over(last_.cpu_us - first_.cpu_us); }

 private:
  double over(double us) const { return us > 0 ? (last_.tokens - first_.tokens) / us * 1e6 : 0; }
  struct Point {
    double us = 0, cpu_us = 0, tokens = 0;
  } now_, first_, last_;
  double paused_us_ = 0;
};

// Texts that are embedded, again and again.
class Embedding {
 public:
  Embedding(const inlay::Model& model, const Options& o, uint32_t threads)
      : embedder_(must(inlay::Embedder::create(model, settings(model, o, threads)))) {
    const uint32_t tokens = std::min(o.batch, model.shape().context - 2);
    for (uint32_t i = 0; i < tokens; ++i) {
      text_.push_back(static_cast<inlay::Token>(i * 7919 % model.shape().n_vocab));
    }
    begin();
  }
  bool step(uint32_t budget_us) {
    const Clock::time_point start = Clock::now();
    const inlay::Step step = embedder_.step(budget_us);
    speed_.add_time(since(start));
    if (step == inlay::Step::failed) fail("the embedder has failed");
    if (step == inlay::Step::done) {
      speed_.add_tokens(static_cast<double>(text_.size()));
      begin();
    }
    return step == inlay::Step::more;
  }
  Speed& speed() { return speed_; }

 private:
  static inlay::EmbedderOptions settings(const inlay::Model& model, const Options& o,
                                         uint32_t threads) {
    inlay::EmbedderOptions e;
    e.context = std::min(o.batch, model.shape().context);
    e.threads = threads;
    return e;
  }
  void begin() {
    const inlay::Span<const inlay::Token> text(text_);
    must(embedder_.start(inlay::Span<const inlay::Span<const inlay::Token>>(&text, 1)));
  }

  inlay::Embedder embedder_;
  std::vector<inlay::Token> text_;
  Speed speed_;
};

// Text without an end: a prompt that is read again and again, or tokens that are written after one.
class Work {
 public:
  Work(const inlay::Model& model, const Options& o, bool writes, uint32_t threads)
      : writes_(writes),
        session_(must(inlay::Session::create(model, settings(model, o, writes, threads)))) {
    const uint32_t vocabulary = model.shape().n_vocab;
    tokens_.resize(writes ? std::max(1u, o.depth) : o.depth + o.batch);
    for (size_t i = 0; i < tokens_.size(); ++i) {
      tokens_[i] = static_cast<inlay::Token>(i * 7919 % vocabulary);
    }
    vary_ = writes ? tokens_.size() : o.depth;
    begin();
    if (writes) session_.next();  // reads what is before
  }

  // Goes on for about `budget_us`; false if that came back earlier, with something to show.
  bool step(uint32_t budget_us) {
    const Clock::time_point start = Clock::now();
    const inlay::Step step = session_.step(budget_us);
    speed_.add_time(since(start));
    if (step == inlay::Step::failed) fail(session_.status().error().message());
    if (session_.cached() > cached_) {
      speed_.add_tokens(session_.cached() - cached_);
      cached_ = session_.cached();
    }
    const bool cancelled = session_.stop_reason() == inlay::StopReason::cancelled;
    if (!cancelled && (step == inlay::Step::done || (step == inlay::Step::piece && !writes_)))
      begin();
    return step == inlay::Step::more;
  }
  Speed& speed() { return speed_; }
  inlay::Session& session() { return session_; }

 private:
  static inlay::SessionOptions settings(const inlay::Model&, const Options& o, bool writes,
                                        uint32_t threads) {
    inlay::SessionOptions s;
    s.context = o.depth + (writes ? 512 : o.batch + 1);
    s.batch = o.batch;
    s.threads = threads;
    s.sampling.seed = 1;
    return s;
  }
  // A new text; what it has in common with the one before is kept.
  void begin() {
    if (vary_ < tokens_.size()) tokens_[vary_] = tokens_[vary_] == 1 ? 2 : 1;
    must(session_.prompt(tokens_));
    cached_ = session_.cached();
  }

  bool writes_;
  inlay::Session session_;
  std::vector<inlay::Token> tokens_;
  size_t vary_ = 0;
  uint32_t cached_ = 0;
  Speed speed_;
};

// `body(microseconds)` is called in each frame until it has used what is left of the budget;
// `pause(end)` waits for the next frame.
template <class F, class Done, class Pause>
Overruns play(const Options& o, uint32_t budget, F body, Done done, Pause pause) {
  Overruns overruns;
  const auto frame = std::chrono::duration_cast<Clock::duration>(
      std::chrono::duration<double>(o.hz > 0 ? 1 / o.hz : 0));
  const Clock::time_point begin = Clock::now();
  Clock::time_point next = begin;
  while (since(begin) < o.seconds * 1e6 && !done()) {
    const Clock::time_point start = Clock::now();
    const double cpu = cpu_us(CLOCK_THREAD_CPUTIME_ID);
    const long disturbed = disturbances();
    double spent = 0;
    while (spent < budget && !body(static_cast<uint32_t>(budget - spent))) spent = since(start);
    overruns.all.push_back(std::max(0.0, since(start) - budget));
    overruns.own.push_back(std::max(0.0, cpu_us(CLOCK_THREAD_CPUTIME_ID) - cpu - budget));
    if (disturbances() == disturbed) overruns.alone.push_back(overruns.all.back());
    next += frame;
    if (next > Clock::now()) {
      pause(next);
    } else {
      next = Clock::now();
    }
  }
  return overruns;
}

template <class F, class Done>
Overruns play(const Options& o, uint32_t budget, F body, Done done) {
  return play(o, budget, body, done, [](auto end) { std::this_thread::sleep_until(end); });
}

template <class W>
void measure(const Options& o, const char* name, W work, uint32_t threads) {
  Speed& speed = work.speed();
  const auto run_free = [&] {
    speed.start();
    const Clock::time_point start = Clock::now();
    do work.step(1000000);
    while (since(start) < 1e6 || !speed.known());
    return speed.per_cpu_second();
  };
  double free_rate = run_free();
  for (const uint32_t budget : o.budgets) {
    speed.start();
    const Overruns overruns = play(
        o, budget, [&](uint32_t us) { return work.step(us); }, [] { return false; },
        [&](auto end) { speed.pause_until(end); });
    const double rate = speed.per_second(), share = speed.per_cpu_second();
    const double free_before = free_rate;
    free_rate = run_free();  // before and after: the machine may get slower meanwhile
    print(o, name, threads, budget, overruns, rate, 2 * share / (free_before + free_rate));
  }
}

// Threads that look at the clock, each until the slice is over; the frame waits for the last. How
// often the first one looks says how fast the processor is in a slice, beside without a pause.
void measure_clock(const Options& o, uint32_t threads) {
  std::mutex mutex;
  std::condition_variable wake;
  Clock::time_point end;
  uint64_t frame = 0;
  bool quit = false;
  std::atomic<uint32_t> looking{0};
  const auto look = [](Clock::time_point until) {
    double looks = 0;
    for (; Clock::now() < until; ++looks) {
    }
    return looks;
  };
  std::vector<std::thread> others;
  for (uint32_t i = 1; i < threads; ++i) {
    others.emplace_back([&] {
      for (uint64_t seen = 0;;) {
        Clock::time_point until;
        {
          std::unique_lock<std::mutex> lock(mutex);
          wake.wait(lock, [&] { return frame != seen || quit; });
          if (quit) return;
          seen = frame;
          until = end;
          ++looking;
        }
        look(until);
        --looking;
      }
    });
  }
  for (const uint32_t budget : o.budgets) {
    double looks = 0, slices_us = 0;
    const auto body = [&](uint32_t us) {
      const Clock::time_point until = Clock::now() + std::chrono::microseconds(us);
      if (threads > 1) {
        const std::lock_guard<std::mutex> lock(mutex);
        end = until;
        ++frame;
        wake.notify_all();
      }
      looks += look(until);
      slices_us += us;
      while (looking > 0) {
      }
      return true;
    };
    const Overruns overruns = play(o, budget, body, [] { return false; });
    const double rate = looks / slices_us * 1e6;
    print(o, "clock", threads, budget, overruns, rate,
          rate / look(Clock::now() + std::chrono::seconds(1)));
  }
  {
    const std::lock_guard<std::mutex> lock(mutex);
    quit = true;
  }
  wake.notify_all();
  for (std::thread& other : others) other.join();
}

// A thread that calls `cancel` a random time after begin(), unless end() comes before.
class Canceller {
 public:
  Canceller(std::function<void()> cancel, uint32_t most_us, uint32_t seed = 1)
      : cancel_(std::move(cancel)), most_us_(most_us), random_(seed), thread_([this] { run(); }) {}
  ~Canceller() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      quit_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }
  void begin() {
    const std::lock_guard<std::mutex> lock(mutex_);
    begun_ = true;
    wake_.notify_all();
  }
  // What began has returned; 0 if it was not cancelled, else microseconds from then till now.
  double end() {
    const Clock::time_point now = Clock::now();
    std::unique_lock<std::mutex> lock(mutex_);
    begun_ = false;
    wake_.notify_all();
    wake_.wait(lock, [this] { return waiting_; });
    const Clock::time_point at = cancelled_at_;
    cancelled_at_ = {};
    return at == Clock::time_point() || at > now ? 0 : Microseconds(now - at).count();
  }

 private:
  void run() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      waiting_ = true;
      wake_.notify_all();
      wake_.wait(lock, [this] { return begun_ || quit_; });
      if (quit_) return;
      waiting_ = false;
      random_ = random_ * 1664525 + 1013904223;
      const std::chrono::microseconds after(200 + (random_ >> 8) % most_us_);
      if (wake_.wait_for(lock, after, [this] { return !begun_ || quit_; })) continue;
      begun_ = false;
      cancelled_at_ = Clock::now();
      cancel_();
    }
  }

  std::function<void()> cancel_;
  uint32_t most_us_, random_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool begun_ = false, quit_ = false, waiting_ = false;
  Clock::time_point cancelled_at_;
  std::thread thread_;
};

// A loop that only looks whether it is cancelled.
void measure_flag(const Options& o) {
  std::atomic<bool> cancelled{false};
  Canceller canceller([&cancelled] { cancelled = true; }, 5000);
  std::vector<double> times;
  const Clock::time_point begin = Clock::now();
  while (since(begin) < o.seconds * 1e6) {
    cancelled = false;
    canceller.begin();
    while (!cancelled) {
    }
    times.push_back(canceller.end());
  }
  print(o, "flag", 1, 0, {times}, 0, 0);
}

// At random moments of reading a prompt.
void measure_cancel(const Options& o, const inlay::Model& model, uint32_t threads) {
  Work work(model, o, /*writes=*/false, threads);
  Canceller canceller([&work] { work.session().cancel(); }, 5000);
  std::vector<double> times;
  const Clock::time_point begin = Clock::now();
  while (since(begin) < o.seconds * 1e6) {
    canceller.begin();
    work.step(1000000);
    const bool cancelled = work.session().stop_reason() == inlay::StopReason::cancelled;
    const double us = canceller.end();
    if (cancelled) times.push_back(us);
  }
  print(o, "cancel", threads, 0, {times}, 0, 0);
}

// At random moments of completing code.
void measure_cancel_completion(const Options& o, const inlay::Model& model, uint32_t threads) {
  inlay::CompletionOptions options;
  options.session.context = 1024;
  options.session.threads = threads;
  auto made = inlay::Completion::create(model, options);
  if (!made) return;  // the model has no tokens for it
  inlay::Completion completion = std::move(*made);
  std::string text;
  for (int i = 0; i < 100; ++i) text += "int value_" + std::to_string(i * 7919) + " = 0;\n";
  Canceller canceller([&completion] { completion.cancel(); }, 5000);
  std::vector<double> times;
  const Clock::time_point begin = Clock::now();
  for (size_t i = 0; since(begin) < o.seconds * 1e6; ++i) {
    inlay::Document document;
    document.text = text;
    document.cursor = i * 37 % text.size();
    must(completion.update(document));
    canceller.begin();
    completion.run(1000000);
    if (const double us = canceller.end(); us > 0) times.push_back(us);
  }
  print(o, "completes", threads, 0, {times}, 0, 0);
}

// Memory for the engine that this process has written to before, and that it keeps.
class KeptMemory {
 public:
  ~KeptMemory() {
    for (const Block& block : blocks_) ::operator delete(block.memory, kAlignment);
  }
  inlay::Allocator allocator() {
    inlay::Allocator a;
    a.user = this;
    a.allocate = [](void* user, size_t bytes, size_t) {
      return static_cast<KeptMemory*>(user)->allocate(bytes);
    };
    a.release = [](void* user, void* memory, size_t, size_t) {
      for (Block& block : static_cast<KeptMemory*>(user)->blocks_) {
        if (block.memory == memory) block.used = false;
      }
    };
    return a;
  }

 private:
  static constexpr std::align_val_t kAlignment{4096};
  struct Block {
    void* memory;
    size_t bytes;
    bool used;
  };
  void* allocate(size_t bytes) {
    for (Block& block : blocks_) {
      if (block.used || block.bytes != bytes) continue;
      block.used = true;
      return block.memory;
    }
    void* memory = ::operator new(bytes, kAlignment, std::nothrow);
    if (memory != nullptr) std::memset(memory, 1, bytes);
    if (memory != nullptr) blocks_.push_back({memory, bytes, true});
    return memory;
  }
  std::vector<Block> blocks_;
};

enum class Way { function, mapped, packed };

// A model that is opened in slices, again and again: through a read function, or mapped, or mapped
// and packed.
class Opening {
 public:
  Opening(const Options& o, Way way, uint32_t threads) : file_(std::fopen(o.model.c_str(), "rb")) {
    if (file_ == nullptr || std::fseek(file_, 0, SEEK_END) != 0) fail("cannot read the model");
    options_.threads = threads;
    if (!o.new_memory) options_.host.allocator = memory_.allocator();
    if (way == Way::packed) options_.weights = inlay::WeightMode::packed;
    if (way != Way::function) {
      source_.path = o.model.c_str();
    } else {
      source_.function.size = static_cast<uint64_t>(std::ftell(file_));
      source_.function.user = file_;
      source_.function.read = [](void* user, uint64_t offset, void* destination, size_t bytes) {
        std::FILE* from = static_cast<std::FILE*>(user);
        return std::fseek(from, static_cast<long>(offset), SEEK_SET) == 0 &&
               std::fread(destination, 1, bytes, from) == bytes;
      };
    }
    if (!o.new_memory) {  // all of it is taken once
      inlay::ModelLoader loader = begin();
      while (!must(loader.step(1000000))) {
      }
      loader.take();
    }
  }
  ~Opening() { std::fclose(file_); }
  inlay::ModelLoader begin() { return must(inlay::ModelLoader::create(source_, options_)); }

 private:
  std::FILE* file_;
  KeptMemory memory_;
  inlay::GgufSource source_;
  inlay::ModelOptions options_;
};

void measure_open(const Options& o, Way way, uint32_t threads) {
  constexpr const char* kNames[] = {"open", "map", "pack"};
  Opening opening(o, way, threads);
  for (const uint32_t budget : o.budgets) {
    Overruns all;
    const Clock::time_point begin = Clock::now();
    do {
      inlay::ModelLoader loader = opening.begin();
      bool open = false;
      all.add(play(
          o, budget,
          [&](uint32_t us) {
            if (!open) open = must(loader.step(us));
            return true;
          },
          [&] { return open; }));
    } while (since(begin) < o.seconds * 1e6);
    print(o, kNames[static_cast<int>(way)], threads, budget, all, 0, 0);
  }
}

void measure_cancel_open(const Options& o, Way way, uint32_t threads) {
  constexpr const char* kNames[] = {"c.open", "c.map", "c.pack"};
  Opening opening(o, way, threads);
  std::vector<double> times;
  const Clock::time_point begin = Clock::now();
  for (uint32_t i = 1; since(begin) < o.seconds * 1e6; ++i) {
    inlay::ModelLoader loader = opening.begin();
    Canceller canceller([&loader] { loader.cancel(); }, way == Way::mapped ? 3000 : 100000,
                        i * 7919);
    canceller.begin();
    const inlay::Result<bool> open = loader.step(1000000);
    const double us = canceller.end();
    if (!open && open.error().code() == inlay::ErrorCode::cancelled) times.push_back(us);
  }
  print(o, kNames[static_cast<int>(way)], threads, 0, {times}, 0, 0);
}

// ---- the command line ----

std::vector<uint32_t> numbers(const std::string& text) {
  std::vector<uint32_t> out;
  for (size_t at = 0; at < text.size();) {
    size_t end = text.find(',', at);
    if (end == text.npos) end = text.size();
    out.push_back(static_cast<uint32_t>(std::atol(text.substr(at, end - at).c_str())));
    at = end + 1;
  }
  return out;
}

Options parse(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const size_t equals = argument.find('=');
    const std::string name = argument.substr(0, equals);
    const std::string value = equals == argument.npos ? "" : argument.substr(equals + 1);
    if (equals == argument.npos)
      o.model = argument;
    else if (name == "work")
      o.work = value;
    else if (name == "budget")
      o.budgets = numbers(value);
    else if (name == "threads")
      o.threads = numbers(value);
    else if (name == "seconds")
      o.seconds = std::atof(value.c_str());
    else if (name == "hz")
      o.hz = std::atof(value.c_str());
    else if (name == "batch")
      o.batch = numbers(value)[0];
    else if (name == "depth")
      o.depth = numbers(value)[0];
    else if (name == "weights")
      o.weights = value;
    else if (name == "target")
      o.target = value;
    else if (name == "json")
      o.json = value == "1";
    else if (name == "new_memory")
      o.new_memory = value == "1";
    else
      fail(("unknown option " + name).c_str());
  }
  if (o.model.empty()) fail("no model given");
  return o;
}

}  // namespace

int main(int argc, char** argv) {
  inlay::request_amx();
  const Options o = parse(argc, argv);
  inlay::ModelOptions options;
  if (o.weights == "packed") options.weights = inlay::WeightMode::packed;
  const inlay::detail::Kernels* targets[8];
  const size_t n_targets = inlay::detail::runnable_kernels(targets);
  for (size_t i = 0; i < n_targets; ++i) {
    if (o.target == targets[i]->name) options.targets = targets[i]->target;
  }
  const inlay::Model model = must(inlay::Model::open(o.model.c_str(), options));
  if (!o.json) {
    std::printf("%s, %s; microseconds\n", o.model.c_str(), std::string(model.target()).c_str());
    print_header();
  }
  const bool writes = model.shape().writes;
  if (o.has("cancel")) measure_flag(o);
  for (const uint32_t threads : o.threads) {
    measure_clock(o, threads);
    if (writes && o.has("write")) measure(o, "write", Work(model, o, true, threads), threads);
    if (writes && o.has("prompt")) measure(o, "prompt", Work(model, o, false, threads), threads);
    if (o.has("embed")) measure(o, "embed", Embedding(model, o, threads), threads);
    if (o.has("open")) measure_open(o, Way::function, threads);
    if (o.has("map")) measure_open(o, Way::mapped, threads);
    if (o.has("pack")) measure_open(o, Way::packed, threads);
    if (writes && o.has("cancel")) measure_cancel(o, model, threads);
    if (o.has("cancel_open")) measure_cancel_open(o, Way::function, threads);
    if (o.has("cancel_map")) measure_cancel_open(o, Way::mapped, threads);
    if (o.has("cancel_pack")) measure_cancel_open(o, Way::packed, threads);
    if (writes && o.has("cancel_completion")) measure_cancel_completion(o, model, threads);
  }
  if (o.json) std::printf("]\n");
  return 0;
}
