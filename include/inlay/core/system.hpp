// What the engine needs of the operating system, and nothing else of it: POSIX, Windows, and
// WebAssembly without threads or files.
#ifndef INLAY_CORE_SYSTEM_HPP_
#define INLAY_CORE_SYSTEM_HPP_

#include <cstddef>
#include <cstdint>

#include "inlay/config.hpp"
#include "inlay/core/host.hpp"
#include "inlay/core/result.hpp"

// Internal, 0 or 1: what this build has.
#if defined(INLAY_NO_THREADS) || (defined(__wasm__) && !defined(__EMSCRIPTEN_PTHREADS__))
#  define INLAY_HAS_THREADS 0
#else
#  define INLAY_HAS_THREADS 1
#endif
#if defined(INLAY_NO_FILES) || (defined(__wasm__) && !defined(__EMSCRIPTEN__))
#  define INLAY_HAS_FILES 0
#else
#  define INLAY_HAS_FILES 1
#endif

#if INLAY_HAS_THREADS && !defined(_WIN32)
#  include <pthread.h>
#endif
#ifdef _MSC_VER
#  include <intrin.h>
#endif
#if defined(__SSE2__) || defined(_M_X64)
#  include <xmmintrin.h>
#else
#  include <cfenv>
#endif

INLAY_BEGIN_NAMESPACE
namespace detail {

// One line to the host's log; nothing if it has none. `text` ends with NUL. An Error composes such
// a line without allocating: log(host.log, LogLevel::warning, (Error(ErrorCode::unsupported, "key
// ") << key).message()).
inline void log(const Log& log, LogLevel level, const char* text) noexcept {
  if (log.write != nullptr) log.write(log.user, level, text);
}

// Microseconds of the host's clock, or of the system's monotonic one.
uint64_t now_us(const Clock& clock) noexcept;
// When `budget_us` microseconds from now will have passed. Never 0, which stands for no deadline.
inline uint64_t deadline_after(const Clock& clock, uint32_t budget_us) noexcept {
  const uint64_t deadline = now_us(clock) + budget_us;
  return deadline == 0 ? 1 : deadline;
}

// In a loop that waits for another thread: tells the core that it spins.
inline void cpu_relax() noexcept {
#if defined(_MSC_VER) && (defined(_M_X64) || defined(_M_IX86))
  _mm_pause();
#elif defined(_MSC_VER) && defined(_M_ARM64)
  __yield();
#elif defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
  __asm__ __volatile__("yield");
#elif defined(__riscv)
  __asm__ __volatile__(".4byte 0x100000F");  // pause; older assemblers do not know the name
#endif
}

// While in scope, this thread computes with floats as a C++ program begins: to nearest, tiny values
// kept, nothing traps. Hosts set other modes (audio threads flush tiny values, debug builds trap),
// with which results would not be the same bits on all threads, and a NaN could end the process.
class DefaultFloats {
 public:
  DefaultFloats(const DefaultFloats&) = delete;
  DefaultFloats& operator=(const DefaultFloats&) = delete;
#if defined(__SSE2__) || defined(_M_X64)  // MinGW's fesetenv does not reach these
  DefaultFloats() noexcept : host_(_mm_getcsr()) { _mm_setcsr(0x1f80); }
  ~DefaultFloats() { _mm_setcsr(host_); }

 private:
  uint32_t host_;
#else
  DefaultFloats() noexcept {
    std::fegetenv(&host_);
    std::fesetenv(FE_DFL_ENV);
  }
  ~DefaultFloats() { std::fesetenv(&host_); }

 private:
  std::fenv_t host_;
#endif
};

// Lets another thread run on this core, if one wants to.
void yield() noexcept;

// Logical CPUs that this process may run on, at least 1.
uint32_t cpu_count() noexcept;

#if defined(__aarch64__) || defined(_M_ARM64)
// What this 64-bit Arm processor and its operating system offer beyond the baseline.
struct ArmFeatures {
  bool dotprod;  // sdot, and what every processor with it has: Armv8.1's instructions
  bool i8mm;     // smmla
};
ArmFeatures arm_features() noexcept;
#endif

// Whether this process may use the registers of AMX, and the request for it: see request_amx().
bool tiles_permitted() noexcept;
void request_tiles() noexcept;

// A mutex and a condition variable to sleep on. Neither allocates nor fails. In a build without
// threads they do nothing, and wait() must not be called.
class Mutex {
 public:
  Mutex() noexcept = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;
#if INLAY_HAS_THREADS && !defined(_WIN32)
  ~Mutex() { pthread_mutex_destroy(&mutex_); }
#endif
  void lock() noexcept;
  void unlock() noexcept;

 private:
  friend class CondVar;
#if INLAY_HAS_THREADS && defined(_WIN32)
  void* mutex_ = nullptr;  // an SRWLOCK
#elif INLAY_HAS_THREADS
  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
#endif
};

class CondVar {
 public:
  CondVar() noexcept = default;
  CondVar(const CondVar&) = delete;
  CondVar& operator=(const CondVar&) = delete;
#if INLAY_HAS_THREADS && !defined(_WIN32)
  ~CondVar() { pthread_cond_destroy(&condition_); }
#endif
  // The caller holds `mutex`; it is free while waiting. May wake without cause: wait in a loop.
  void wait(Mutex& mutex) noexcept;
  void notify_one() noexcept;
  void notify_all() noexcept;

 private:
#if INLAY_HAS_THREADS && defined(_WIN32)
  void* condition_ = nullptr;  // a CONDITION_VARIABLE
#elif INLAY_HAS_THREADS
  pthread_cond_t condition_ = PTHREAD_COND_INITIALIZER;
#endif
};

// Holds a mutex while in scope.
class Lock {
 public:
  explicit Lock(Mutex& mutex) noexcept : mutex_(mutex) { mutex_.lock(); }
  ~Lock() { mutex_.unlock(); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  Mutex& mutex_;
};

// A thread: std::thread throws where it cannot start, this returns false. A plain handle that may
// be copied and kept in an Array; whoever started it joins it exactly once. Signals of the process
// are never delivered to it, so that a host's handlers run on the host's threads.
class Thread {
 public:
  // Runs entry(context): thread.start<&Worker::run>(worker).
  template <void (*entry)(void*)>
  [[nodiscard]] bool start(void* context) noexcept {
#if INLAY_HAS_THREADS
    return begin(&trampoline<entry>, context);
#else
    (void)context;
    return false;
#endif
  }
  // Waits until the thread has returned. Nothing if it was not started.
  void join() noexcept;

 private:
#if INLAY_HAS_THREADS
#  ifdef _WIN32
  using Entry = unsigned(__stdcall*)(void*);
  template <void (*entry)(void*)>
  static unsigned __stdcall trampoline(void* context) {
    entry(context);
    return 0;
  }
  uintptr_t thread_ = 0;  // a HANDLE
#  else
  using Entry = void* (*)(void*);
  template <void (*entry)(void*)>
  static void* trampoline(void* context) {
    entry(context);
    return nullptr;
  }
  pthread_t thread_ = {};
#  endif
  bool begin(Entry entry, void* context) noexcept;
  bool started_ = false;
#endif
};

// Advice about memory: the system may ignore it, and nothing but speed depends on it.
void prefer_huge_pages(void* memory, size_t bytes) noexcept;

#if INLAY_HAS_FILES
// A file or a part of it, mapped read-only. If another program shortens the file while it is
// mapped, reading what was cut off ends the process: the operating system has no other answer to
// give.
class FileMapping {
 public:
  FileMapping() noexcept = default;  // none: data() is null
  // `path` is UTF-8. `size` bytes from `offset` on; 0: all up to the file's end. Errors: io; the
  // message names the path and the reason (not found, no permission, a directory, empty and so on).
  static Result<FileMapping> open(const char* path, uint64_t offset = 0,
                                  uint64_t size = 0) noexcept;
  // Of a file that is open for reading, and may be closed afterwards. Not on Windows.
  static Result<FileMapping> open(int descriptor, uint64_t offset, uint64_t size) noexcept;
  FileMapping(FileMapping&& other) noexcept
      : data_(other.data_), size_(other.size_), modified_(other.modified_) {
    other.data_ = nullptr;
    other.size_ = 0;
  }
  FileMapping& operator=(FileMapping&& other) noexcept {
    if (this != &other) {
      unmap();
      data_ = other.data_;
      size_ = other.size_;
      modified_ = other.modified_;
      other.data_ = nullptr;
      other.size_ = 0;
    }
    return *this;
  }
  ~FileMapping() { unmap(); }

  const uint8_t* data() const noexcept { return data_; }  // a page's start, `offset` later
  size_t size() const noexcept { return size_; }          // bytes, at least 1
  // When the file was last changed, as its file system counts.
  uint64_t modified() const noexcept { return modified_; }

 private:
#  ifndef _WIN32
  static Result<FileMapping> map(int file, const char* path, uint64_t offset,
                                 uint64_t size) noexcept;
#  endif
  FileMapping(const uint8_t* data, size_t size, uint64_t modified) noexcept
      : data_(data), size_(size), modified_(modified) {}
  void unmap() noexcept;

  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
  uint64_t modified_ = 0;
};

// Takes the whole pages within these bytes of a FileMapping out of the process's memory. They come
// back when they are read again.
void drop_pages(const uint8_t* data, size_t bytes) noexcept;

// A file that appears whole or not at all: it is written under another name in the same folder, and
// takes its own when it is complete and on the disk. Whoever has the file of before open or mapped
// keeps that; of two writers at once, the last one's file stays. Only a regular file that may be
// written is replaced. Errors: io.
class FileReplacement {
 public:
  FileReplacement() noexcept = default;
  FileReplacement(const FileReplacement&) = delete;
  FileReplacement& operator=(const FileReplacement&) = delete;
  ~FileReplacement();  // nothing remains of a file that was not committed

  Status open(const char* path) noexcept;  // UTF-8
  Status write(const void* data, size_t bytes) noexcept;
  Status commit() noexcept;

 private:
  Status fail(const char* what) noexcept;

  static constexpr size_t kMaxPath = 4096;
#  ifdef _WIN32
  void* file_ = nullptr;  // a HANDLE
  wchar_t path_[kMaxPath], temporary_[kMaxPath];
#  else
  int file_ = -1;
  char path_[kMaxPath], temporary_[kMaxPath];
#  endif
};
#endif  // INLAY_HAS_FILES

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_CORE_SYSTEM_HPP_
