#ifndef INLAY_CORE_HOST_HPP_
#define INLAY_CORE_HOST_HPP_

#include <cstddef>
#include <cstdint>

#include "inlay/config.hpp"

INLAY_BEGIN_NAMESPACE

// What the program that embeds inlay lends to it. All members have a default; set only what you
// own. Every callback gets its own `user` pointer back. The structs are copied; what `user` points
// to must outlive the model.

// Memory. `allocate` returns null when it has none left: the call that needed it fails with
// out_of_memory and every object stays usable. May be called from any thread that calls inlay.
// Default: the C library's aligned allocation.
struct Allocator {
  void* (*allocate)(void* user, size_t bytes, size_t alignment) = nullptr;
  void (*release)(void* user, void* memory, size_t bytes, size_t alignment) = nullptr;
  void* user = nullptr;
};

enum class LogLevel : uint8_t { info, warning };

// Remarks of interest to a developer: ignored metadata keys, a fallback that was taken. Default:
// none are made.
struct Log {
  // `text`: one line, no newline.
  void (*write)(void* user, LogLevel level, const char* text) = nullptr;
  void* user = nullptr;
};

// A job system. `parallel_for` calls task(context, 0) to task(context, count - 1), on any threads,
// in any order, and returns when all have returned. Tasks that start late, one after another, or
// never (a job system that is full or has ended) cost speed and nothing else: the caller does what
// is left. How a thread rounds, flushes tiny floats or traps has no part in results: a task sets
// that as C++ programs begin, and back.
struct Jobs {
  void (*parallel_for)(void* user, uint32_t count, void (*task)(void* context, uint32_t index),
                       void* context) = nullptr;
  void* user = nullptr;
};

// A monotonic clock in microseconds, for step(budget). Not one that may stand still, as a paused
// game's: a budget would never be used up. Default: the operating system's.
struct Clock {
  uint64_t (*now_us)(void* user) = nullptr;
  void* user = nullptr;
};

// A file that the host reads for inlay: an archive, an encrypted asset, a descriptor. `read` fills
// exactly `bytes` bytes from `offset` and returns true, or returns false.
struct ReadFunction {
  bool (*read)(void* user, uint64_t offset, void* destination, size_t bytes) = nullptr;
  uint64_t size = 0;  // bytes in the file
  void* user = nullptr;
};

struct Host {
  Allocator allocator;
  Log log;
  Jobs jobs;
  Clock clock;
};

INLAY_END_NAMESPACE

#endif  // INLAY_CORE_HOST_HPP_
