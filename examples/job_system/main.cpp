// A program with its own job system: inlay runs on it and starts no thread.
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>
#include <vector>

#define INLAY_IMPLEMENTATION
#include <inlay.hpp>

namespace {

// Stands for the host's own: three threads that take indices of one parallel loop at a time.
class JobSystem {
 public:
  explicit JobSystem(unsigned threads) {
    for (unsigned i = 0; i < threads; ++i) workers_.emplace_back([this] { work(); });
  }
  ~JobSystem() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      quit_ = true;
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  void parallel_for(uint32_t count, void (*task)(void*, uint32_t), void* context) {
    std::unique_lock<std::mutex> lock(mutex_);
    task_ = task;
    context_ = context;
    count_ = count;
    next_ = 0;
    running_ = 0;
    lock.unlock();
    wake_.notify_all();
    lock.lock();
    take(lock);  // the caller helps
    done_.wait(lock, [this] { return running_ == 0; });
  }

 private:
  void take(std::unique_lock<std::mutex>& lock) {
    ++running_;
    while (next_ < count_) {
      const uint32_t index = next_++;
      lock.unlock();
      task_(context_, index);
      lock.lock();
    }
    if (--running_ == 0) done_.notify_all();
  }
  void work() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (!quit_) {
      if (next_ < count_) {
        take(lock);
      } else {
        wake_.wait(lock);
      }
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_, done_;
  void (*task_)(void*, uint32_t) = nullptr;
  void* context_ = nullptr;
  uint32_t count_ = 0, next_ = 0, running_ = 0;
  bool quit_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return std::fputs("usage: job_system MODEL [PROMPT]\n", stderr), 2;
  const auto fail = [](const inlay::Error& e) {
    return std::fprintf(stderr, "%s\n", e.message()), 1;
  };

  JobSystem jobs(3);
  inlay::ModelOptions model_options;
  model_options.host.jobs.user = &jobs;
  model_options.host.jobs.parallel_for =
      [](void* user, uint32_t count, void (*task)(void* context, uint32_t index), void* context) {
        static_cast<JobSystem*>(user)->parallel_for(count, task, context);
      };
  auto model = inlay::Model::open(argv[1], model_options);
  if (!model) return fail(model.error());

  inlay::SessionOptions options;
  options.threads = 4;  // how many tasks may run at once
  options.max_tokens = 100;
  auto session = inlay::Session::create(*model, options);
  if (!session) return fail(session.error());
  if (auto ready = session->prompt(argc > 2 ? argv[2] : "void update(float dt) {\n"); !ready) {
    return fail(ready.error());
  }
  while (const inlay::Piece* piece = session->next()) {
    std::fwrite(piece->text.data(), 1, piece->text.size(), stdout);
    std::fflush(stdout);
  }
  return session->status() ? 0 : fail(session->status().error());
}
