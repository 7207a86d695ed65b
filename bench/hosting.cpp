// What an engine costs the program that holds it, besides time: how long opening a model blocks,
// which threads it starts, how soon it stops when told to. The same procedure for inlay and, with
// -DHOSTING_LLAMA, for llama.cpp's library.
//
//   bench_hosting MODEL.gguf [THREADS [OPENINGS]]
//     THREADS    0 (default) for what the engine does by default
//     OPENINGS   how often opening is cancelled, 0 by default
//
// Prints one line of JSON:
//   open_ms         opening the model and making a session for 1024 tokens
//   threads         started by then
//   busy_threads    at most, beside the caller, while a prompt of 512 tokens is read
//   cancel_us       median and largest of 60 times from the request to stop, at a random moment of
//                   reading, to the return of the call that reads
//   cancel_open_us  the same of OPENINGS times, at a random moment of opening
//   private_mib     of memory that is no file's, after the first reading
#include <dirent.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <thread>
#include <vector>

#ifdef HOSTING_LLAMA
#  include "llama.h"
#else
#  include <inlay.hpp>
#endif

namespace {

using Clock = std::chrono::steady_clock;
constexpr int kPrompt = 512, kContext = 1024, kCancels = 60;

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "bench_hosting: %s\n", what);
  std::exit(1);
}

#ifdef HOSTING_LLAMA

void prepare() { ggml_backend_load_all(); }

// Opens until `stop` says not to.
void open_until(const char* path, const std::atomic<bool>& stop) {
  llama_model_params options = llama_model_default_params();
  options.progress_callback = [](float, void* user) {
    return !static_cast<const std::atomic<bool>*>(user)->load();
  };
  options.progress_callback_user_data = const_cast<std::atomic<bool>*>(&stop);
  llama_model_free(llama_model_load_from_file(path, options));
}

class Engine {
 public:
  Engine(const char* path, int threads) {
    llama_model* const model = llama_model_load_from_file(path, llama_model_default_params());
    if (model == nullptr) fail("cannot open the model");
    llama_context_params options = llama_context_default_params();
    options.n_ctx = kContext;
    if (threads > 0) options.n_threads = options.n_threads_batch = threads;
    options.abort_callback = [](void* user) {
      return static_cast<std::atomic<bool>*>(user)->load();
    };
    options.abort_callback_data = &cancelled_;
    context_ = llama_init_from_model(model, options);
    if (context_ == nullptr) fail("cannot make a context");
  }
  void read(std::vector<int32_t> prompt) {
    llama_memory_clear(llama_get_memory(context_), false);
    if (llama_decode(context_, llama_batch_get_one(prompt.data(), kPrompt)) < 0)
      fail("cannot read");
    cancelled_ = false;
  }
  void cancel() { cancelled_ = true; }

 private:
  llama_context* context_ = nullptr;
  std::atomic<bool> cancelled_{false};
};

#else

void prepare() { inlay::request_amx(); }

void open_until(const char* path, const std::atomic<bool>& stop) {
  inlay::ModelOptions options;
  options.progress = [](void* user, float) {
    return !static_cast<const std::atomic<bool>*>(user)->load();
  };
  options.progress_user = const_cast<std::atomic<bool>*>(&stop);
  static_cast<void>(inlay::Model::open(path, options));
}

class Engine {
 public:
  Engine(const char* path, int threads) : session_(open(path, threads)) {}
  void read(const std::vector<int32_t>& prompt) {
    if (!session_.prompt(inlay::Span<const inlay::Token>(prompt.data(), prompt.size())))
      fail("cannot read");
    session_.next();
  }
  void cancel() { session_.cancel(); }

 private:
  static inlay::Session open(const char* path, int threads) {
    const auto model = inlay::Model::open(path);
    if (!model) fail(model.error().message());
    inlay::SessionOptions options;
    options.context = kContext;
    if (threads > 0) options.threads = static_cast<uint32_t>(threads);
    auto session = inlay::Session::create(*model, options);
    if (!session) fail(session.error().message());
    return std::move(*session);
  }
  inlay::Session session_;
};

#endif

int threads_now() {
  int count = 0;
  DIR* const tasks = opendir("/proc/self/task");
  while (const dirent* entry = readdir(tasks)) count += entry->d_name[0] != '.';
  closedir(tasks);
  return count;
}

double microseconds(Clock::duration d) {
  return std::chrono::duration<double, std::micro>(d).count();
}

// Memory that is no file's, in MiB.
double private_mib() {
  std::FILE* const file = std::fopen("/proc/self/status", "r");
  if (file == nullptr) fail("no /proc/self/status");
  char line[256];
  long kib = 0;
  while (std::fgets(line, sizeof line, file) != nullptr) std::sscanf(line, "RssAnon: %ld", &kib);
  std::fclose(file);
  return static_cast<double>(kib) / 1024;
}

// Microseconds from `stop`, after `wait_us` of them, until the end of `work`, which another thread
// does; negative if it ended before. `meanwhile` is called just before `stop`.
template <class Work, class Meanwhile, class Stop>
double time_to_stop(int64_t wait_us, Work work, Meanwhile meanwhile, Stop stop) {
  Clock::time_point returned;
  std::thread worker([&] {
    work();
    returned = Clock::now();
  });
  std::this_thread::sleep_for(std::chrono::microseconds(wait_us));
  meanwhile();
  const Clock::time_point asked = Clock::now();
  stop();
  worker.join();
  return microseconds(returned - asked);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) fail("usage: bench_hosting MODEL.gguf [THREADS [OPENINGS]]");
  prepare();
  const int before = threads_now();
  const Clock::time_point start = Clock::now();
  Engine engine(argv[1], argc > 2 ? std::atoi(argv[2]) : 0);
  const double open_us = microseconds(Clock::now() - start);
  const int threads = threads_now() - before;

  std::vector<int32_t> prompt(kPrompt);
  for (int i = 0; i < kPrompt; ++i) prompt[static_cast<size_t>(i)] = 300 + i * 7 % 400;
  std::thread([&] { engine.read(prompt); }).join();
  const double memory = private_mib();

  std::mt19937 random(1);
  std::vector<double> times, open_times;
  int busy = 0;
  for (int i = 0; i < kCancels; ++i) {
    prompt[0] = 301 + i;  // nothing of the one before can be kept
    const double us = time_to_stop(
        static_cast<int64_t>(20000 + random() % 200000), [&] { engine.read(prompt); },
        [&] { busy = std::max(busy, threads_now() - before - 1); }, [&] { engine.cancel(); });
    times.push_back(std::max(us, 0.0));
  }
  const int openings = argc > 3 ? std::atoi(argv[3]) : 0;
  for (int i = 0; i < openings;) {
    std::atomic<bool> stop{false};
    const double us = time_to_stop(
        static_cast<int64_t>(random() % static_cast<uint32_t>(open_us)),
        [&] { open_until(argv[1], stop); }, [] {}, [&] { stop = true; });
    if (us < 0) continue;  // open before the request
    open_times.push_back(us);
    ++i;
  }
  const auto print = [](const char* name, std::vector<double>* us) {
    if (us->empty()) return;
    std::sort(us->begin(), us->end());
    std::printf("\"%s\": [%.0f, %.0f], ", name, (*us)[us->size() / 2], us->back());
  };
  std::printf("{\"open_ms\": %.1f, \"threads\": %d, \"busy_threads\": %d, ", open_us / 1000,
              threads, busy);
  print("cancel_us", &times);
  print("cancel_open_us", &open_times);
  std::printf("\"private_mib\": %.0f}\n", memory);
  std::fflush(stdout);
  std::_Exit(0);  // what the engine does when it is torn down is not measured here
}
