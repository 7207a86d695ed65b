// Stands for a host of audio plug-ins: calls one from a real-time thread, every 2.7 ms, and watches
// what the callback does. Fails if it ever takes a lock, waits, or asks for or gives back memory.
//
//   audio_host PLUGIN.so MODEL [SECONDS [OUT.wav]]
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdarg.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#include "plugin.h"

// ---- what the callback may not call ----
// The plug-in's calls of the C library come here first: the program's symbols go before.

namespace watch {

thread_local bool in_callback = false;
std::atomic<unsigned> allocations{0}, locks{0};
std::atomic<unsigned> seen{0};  // allocations of everybody

void allocation() {
  ++seen;
  if (in_callback) ++allocations;
}
template <class F>
F next(const char* name) {
  if (in_callback) ++locks;
  return reinterpret_cast<F>(dlsym(RTLD_NEXT, name));
}

}  // namespace watch

extern "C" {

void* __libc_malloc(size_t bytes);
void* __libc_calloc(size_t count, size_t bytes);
void* __libc_realloc(void* memory, size_t bytes);
void* __libc_memalign(size_t alignment, size_t bytes);
void __libc_free(void* memory);

void* malloc(size_t bytes) { return watch::allocation(), __libc_malloc(bytes); }
void* calloc(size_t count, size_t bytes) {
  return watch::allocation(), __libc_calloc(count, bytes);
}
void* realloc(void* memory, size_t bytes) {
  return watch::allocation(), __libc_realloc(memory, bytes);
}
void* aligned_alloc(size_t alignment, size_t bytes) {
  return watch::allocation(), __libc_memalign(alignment, bytes);
}
int posix_memalign(void** memory, size_t alignment, size_t bytes) {
  watch::allocation();
  *memory = __libc_memalign(alignment, bytes);
  return *memory == nullptr ? 12 : 0;
}
void free(void* memory) {
  watch::allocation();
  __libc_free(memory);
}

int pthread_mutex_lock(pthread_mutex_t* mutex) {
  return watch::next<int (*)(pthread_mutex_t*)>("pthread_mutex_lock")(mutex);
}
int pthread_cond_signal(pthread_cond_t* condition) {
  return watch::next<int (*)(pthread_cond_t*)>("pthread_cond_signal")(condition);
}
int pthread_cond_broadcast(pthread_cond_t* condition) {
  return watch::next<int (*)(pthread_cond_t*)>("pthread_cond_broadcast")(condition);
}
int pthread_cond_wait(pthread_cond_t* condition, pthread_mutex_t* mutex) {
  return watch::next<int (*)(pthread_cond_t*, pthread_mutex_t*)>("pthread_cond_wait")(condition,
                                                                                      mutex);
}
int pthread_join(pthread_t thread, void** result) {
  return watch::next<int (*)(pthread_t, void**)>("pthread_join")(thread, result);
}
int nanosleep(const timespec* time, timespec* left) {
  return watch::next<int (*)(const timespec*, timespec*)>("nanosleep")(time, left);
}
int clock_nanosleep(clockid_t clock, int flags, const timespec* time, timespec* left) {
  return watch::next<int (*)(clockid_t, int, const timespec*, timespec*)>("clock_nanosleep")(
      clock, flags, time, left);
}
int sched_yield() { return watch::next<int (*)()>("sched_yield")(); }
long syscall(long number, ...) {  // futexes, of whoever uses them himself
  va_list list;
  va_start(list, number);
  long a[6];
  for (long& argument : a) argument = va_arg(list, long);
  va_end(list);
  return watch::next<long (*)(long, ...)>("syscall")(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

}  // extern "C"

namespace {

// That the watch sees what it is for.
bool watch_works() {
  std::mutex mutex;
  watch::in_callback = true;
  void* volatile memory = std::malloc(8);
  std::free(memory);
  mutex.lock();
  mutex.unlock();
  watch::in_callback = false;
  return watch::allocations.exchange(0) == 2 && watch::locks.exchange(0) == 1;
}

void write_wave(const char* path, const std::vector<float>& samples, uint32_t rate) {
  std::FILE* file = std::fopen(path, "wb");
  if (file == nullptr) return;
  const auto number = [file](uint32_t value, size_t bytes) {
    for (size_t i = 0; i < bytes; ++i) std::fputc(static_cast<int>(value >> (8 * i) & 0xff), file);
  };
  const uint32_t bytes = static_cast<uint32_t>(samples.size() * 2);
  std::fputs("RIFF", file), number(36 + bytes, 4), std::fputs("WAVEfmt ", file), number(16, 4);
  number(1, 2), number(1, 2), number(rate, 4), number(rate * 2, 4), number(2, 2), number(16, 2);
  std::fputs("data", file), number(bytes, 4);
  for (const float s : samples) number(static_cast<uint32_t>(static_cast<int>(s * 32767)), 2);
  std::fclose(file);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    return std::fputs("usage: audio_host PLUGIN.so MODEL [SECONDS [OUT.wav]]\n", stderr), 2;
  }
  if (!watch_works()) return std::fputs("the watch does not work\n", stderr), 1;
  void* library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return std::fprintf(stderr, "%s\n", dlerror()), 1;
  const auto create = reinterpret_cast<decltype(&plugin_create)>(dlsym(library, "plugin_create"));
  const auto process =
      reinterpret_cast<decltype(&plugin_process)>(dlsym(library, "plugin_process"));
  const auto statistics =
      reinterpret_cast<decltype(&plugin_statistics)>(dlsym(library, "plugin_statistics"));
  const auto destroy =
      reinterpret_cast<decltype(&plugin_destroy)>(dlsym(library, "plugin_destroy"));

  constexpr uint32_t kRate = 48000, kFrames = 128;
  const double seconds = argc > 3 ? std::atof(argv[3]) : 5;
  const size_t callbacks = static_cast<size_t>(seconds * kRate / kFrames);
  const unsigned before = watch::seen;
  Instrument* instrument = create(argv[2], kRate);
  if (instrument == nullptr) return 1;
  if (watch::seen == before) return std::fputs("the plug-in is not watched\n", stderr), 1;

  for (InstrumentStatistics s = {}; s.notes == 0 && !s.failed; s = statistics(instrument)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // a song begins with a note
  }

  using Clock = std::chrono::steady_clock;
  std::vector<float> samples(callbacks * kFrames);
  std::vector<double> took_us(callbacks);
  bool real_time = false;
  std::thread([&] {
    const sched_param priority = {10};
    real_time = pthread_setschedparam(pthread_self(), SCHED_FIFO, &priority) == 0;
    auto due = Clock::now();
    for (size_t i = 0; i < callbacks; ++i) {
      const auto start = Clock::now();
      watch::in_callback = true;
      process(instrument, &samples[i * kFrames], kFrames);
      watch::in_callback = false;
      took_us[i] = std::chrono::duration<double, std::micro>(Clock::now() - start).count();
      due += std::chrono::nanoseconds(uint64_t{1000000000} * kFrames / kRate);
      std::this_thread::sleep_until(due);
    }
  }).join();
  const InstrumentStatistics s = statistics(instrument);
  destroy(instrument);
  dlclose(library);
  if (argc > 4) write_wave(argv[4], samples, kRate);

  std::sort(took_us.begin(), took_us.end());
  const auto percentile = [&](double p) {
    return took_us[static_cast<size_t>(p * static_cast<double>(callbacks - 1))];
  };
  std::printf(
      "%zu callbacks of %.2f ms%s: p50 %.1f us, p99 %.1f us, p99.9 %.1f us, longest %.1f us\n",
      callbacks, 1e3 * kFrames / kRate, real_time ? " (SCHED_FIFO)" : "", percentile(0.5),
      percentile(0.99), percentile(0.999), percentile(1));
  std::printf("the model wrote %llu notes, %llu were played; its longest call took %.1f ms\n",
              static_cast<unsigned long long>(s.notes), static_cast<unsigned long long>(s.played),
              static_cast<double>(s.longest_us) / 1e3);
  std::printf("in callbacks: %u allocations, %u locks or waits\n", watch::allocations.load(),
              watch::locks.load());
  return watch::allocations == 0 && watch::locks == 0 && s.played > 0 ? 0 : 1;
}
