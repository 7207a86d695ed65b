// What a model and all that is made of it take of the host's memory: counted, and limited.
#ifndef INLAY_CORE_METER_HPP_
#define INLAY_CORE_METER_HPP_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "inlay/core/host.hpp"
#include "inlay/core/memory.hpp"
#include "inlay/core/result.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// An allocator that counts what goes through it to the host's, and can have a limit. It must stay
// where it is until all has been given back. Any thread may use it.
class Meter {
 public:
  // `limit`: bytes, 0 for none.
  Meter(const Allocator& host, uint64_t limit) noexcept : host_(host), limit_(limit) {}
  Meter(const Meter&) = delete;
  Meter& operator=(const Meter&) = delete;

  Allocator allocator() noexcept;
  const Allocator& host() const noexcept { return host_; }
  // Counts bytes as if they were allocated; false if they are too many for the limit.
  bool add(uint64_t bytes) noexcept;
  void remove(uint64_t bytes) noexcept { live_.fetch_sub(bytes, std::memory_order_relaxed); }
  uint64_t live() const noexcept { return live_.load(std::memory_order_relaxed); }
  uint64_t peak() const noexcept { return peak_.load(std::memory_order_relaxed); }
  // `error`, or, if the limit was the reason for it, one that says so.
  Error explain(const Error& error) noexcept;
  // The same where `allocator` is a meter's.
  static Error explain(const Allocator& allocator, const Error& error) noexcept;
  static Status explain(const Allocator& allocator, const Status& status) noexcept {
    return status ? status : explain(allocator, status.error());
  }

 private:
  static void* take(void* user, size_t bytes, size_t alignment) noexcept;

  Allocator host_;
  uint64_t limit_;
  std::atomic<uint64_t> live_{0}, peak_{0};
  std::atomic<uint64_t> missing_{0};  // of the limit, when it last was too low
};

INLAY_COLD inline void* Meter::take(void* user, size_t bytes, size_t alignment) noexcept {
  Meter& meter = *static_cast<Meter*>(user);
  if (!meter.add(bytes)) return nullptr;
  void* memory = detail::allocate(meter.host_, bytes, alignment);
  if (memory == nullptr) meter.remove(bytes);
  return memory;
}

INLAY_COLD inline Allocator Meter::allocator() noexcept {
  Allocator counted;
  counted.user = this;
  counted.allocate = take;
  counted.release = [](void* user, void* memory, size_t bytes, size_t alignment) {
    Meter& meter = *static_cast<Meter*>(user);
    meter.remove(bytes);
    detail::release(meter.host_, memory, bytes, alignment);
  };
  return counted;
}

INLAY_COLD inline bool Meter::add(uint64_t bytes) noexcept {
  const uint64_t live = live_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  if (limit_ != 0 && live > limit_) {
    remove(bytes);
    missing_.store(live - limit_, std::memory_order_relaxed);
    return false;
  }
  uint64_t peak = this->peak();
  while (live > peak && !peak_.compare_exchange_weak(peak, live, std::memory_order_relaxed)) {
  }
  return true;
}

INLAY_COLD inline Error Meter::explain(const Error& error) noexcept {
  const uint64_t missing = missing_.exchange(0, std::memory_order_relaxed);
  if (missing == 0 || error.code() != ErrorCode::out_of_memory) return error;
  Error better(ErrorCode::out_of_memory, "option max_bytes: ");
  return better << limit_ << " bytes are " << missing << " too few: " << error.message();
}

INLAY_COLD inline Error Meter::explain(const Allocator& allocator, const Error& error) noexcept {
  return allocator.allocate == take ? static_cast<Meter*>(allocator.user)->explain(error) : error;
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_CORE_METER_HPP_
