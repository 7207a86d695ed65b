// Job systems of a host, for tests.
#ifndef INLAY_TESTS_SUPPORT_HOSTS_HPP_
#define INLAY_TESTS_SUPPORT_HOSTS_HPP_

#include <atomic>
#include <cstdint>
#include <inlay.hpp>
#include <thread>
#include <vector>

namespace hosts {

// A job system that runs the tasks one after another, the last first: nothing may rely on their
// order, or on their running together.
struct BackwardJobs {
  uint32_t runs = 0;
  inlay::Jobs jobs() {
    return {[](void* self, uint32_t count, void (*task)(void*, uint32_t), void* context) {
              ++static_cast<BackwardJobs*>(self)->runs;
              for (uint32_t i = count; i-- > 0;) task(context, i);
            },
            this};
  }
};

// A job system with a thread for each task.
struct ThreadedJobs {
  std::atomic<uint32_t> runs{0};
  inlay::Jobs jobs() {
    return {[](void* self, uint32_t count, void (*task)(void*, uint32_t), void* context) {
              ++static_cast<ThreadedJobs*>(self)->runs;
              std::vector<std::thread> threads;
              for (uint32_t i = 1; i < count; ++i) threads.emplace_back(task, context, i);
              if (count > 0) task(context, 0);
              for (std::thread& thread : threads) thread.join();
            },
            this};
  }
};

}  // namespace hosts

#endif  // INLAY_TESTS_SUPPORT_HOSTS_HPP_
