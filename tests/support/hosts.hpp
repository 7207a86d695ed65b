// Hosts that watch what the library does with what they lend it.
#ifndef INLAY_TESTS_SUPPORT_HOSTS_HPP_
#define INLAY_TESTS_SUPPORT_HOSTS_HPP_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <inlay.hpp>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

namespace hosts {

// An allocator that keeps a book of its blocks, and can fail. Blocks are filled with a pattern of
// NaNs, so that memory that is read before it is written shows in every result. May be used from
// several threads.
class Ledger {
 public:
  ~Ledger() {
    for (const auto& entry : live_) std::free(entry.first);
  }
  inlay::Allocator allocator() {
    return {[](void* self, size_t bytes, size_t alignment) {
              return static_cast<Ledger*>(self)->take(bytes, alignment);
            },
            [](void* self, void* memory, size_t bytes, size_t alignment) {
              static_cast<Ledger*>(self)->give_back(memory, bytes, alignment);
            },
            this};
  }
  // The call after `successes` more fails, and all that follow it.
  void fail_after(size_t successes) { left_ = successes; }

  size_t calls() const { return calls_; }  // of allocate, the failed ones included
  size_t live_blocks() const { return live_.size(); }
  size_t live_bytes() const { return live_bytes_; }
  size_t mistakes() const { return mistakes_; }  // releases that match no allocation

 private:
  struct Block {
    size_t bytes, alignment;
  };
  void* take(size_t bytes, size_t alignment) {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++calls_;
    if (left_ == 0) return nullptr;
    if (left_ != SIZE_MAX) --left_;
    void* memory = nullptr;
    if (posix_memalign(&memory, alignment < sizeof(void*) ? sizeof(void*) : alignment, bytes) != 0)
      return nullptr;
    for (size_t i = 0; i < bytes; ++i) static_cast<uint8_t*>(memory)[i] = 0xff;
    live_[memory] = {bytes, alignment};
    live_bytes_ += bytes;
    return memory;
  }
  void give_back(void* memory, size_t bytes, size_t alignment) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = live_.find(memory);
    if (found == live_.end() || found->second.bytes != bytes ||
        found->second.alignment != alignment) {
      ++mistakes_;
      return;
    }
    live_bytes_ -= bytes;
    live_.erase(found);
    std::free(memory);
  }

  std::mutex mutex_;
  std::map<void*, Block> live_;
  size_t left_ = SIZE_MAX, calls_ = 0, live_bytes_ = 0, mistakes_ = 0;
};

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
