// What this machine can do, measured in a fraction of a second: the core's clock, how fast threads
// read memory, how fast one core multiplies with the instructions of each SIMD target.
#ifndef INLAY_BENCH_CALIBRATE_HPP_
#define INLAY_BENCH_CALIBRATE_HPP_

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <inlay.hpp>
#include <new>
#include <string_view>
#include <thread>
#include <vector>

#include "inlay/core/system.hpp"

#if defined(__x86_64__)
#  include <cpuid.h>
#  include <immintrin.h>
#endif
#ifndef _WIN32
#  include <unistd.h>
#endif

namespace bench {

inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Keeps a value, and what it was computed from.
template <class T>
void keep(T& value) {
  __asm__ volatile("" : : "r"(&value) : "memory");
}

// Best of the times of `body(i)`, i = 0, 1, 2 ... Each run should take a fraction of a millisecond:
// a busy machine leaves few longer stretches undisturbed.
template <class F>
double best_time(double seconds, F body) {
  body(size_t{0});
  double best = 1e9;
  size_t i = 1;
  for (const double end = now() + seconds; now() < end; ++i) {
    const double start = now();
    body(i);
    best = std::min(best, now() - start);
  }
  return best;
}

// Cycles per second, from a chain of additions. x + x, because some cores do additions of constants
// while renaming, several in a cycle.
inline double core_hertz() {
  constexpr int kRounds = 1 << 13;
  const double time = best_time(0.05, [](size_t i) {
    uint64_t x = i;
    for (int round = 0; round < kRounds; ++round) {
#if defined(__x86_64__)
#  define INLAY_ADD "add %0, %0\n\t"
#  define INLAY_ADD4 INLAY_ADD INLAY_ADD INLAY_ADD INLAY_ADD
      __asm__ volatile(INLAY_ADD4 INLAY_ADD4 INLAY_ADD4 INLAY_ADD4 : "+r"(x));
#elif defined(__aarch64__)
#  define INLAY_ADD "add %0, %0, %0\n\t"
#  define INLAY_ADD4 INLAY_ADD INLAY_ADD INLAY_ADD INLAY_ADD
      __asm__ volatile(INLAY_ADD4 INLAY_ADD4 INLAY_ADD4 INLAY_ADD4 : "+r"(x));
#else
      for (int j = 0; j < 16; ++j) {
        x += x;
        __asm__ volatile("" : "+r"(x));
      }
#endif
    }
    keep(x);
  });
  return 16.0 * kRounds / time;
}

// ---- multiply rates ----

// Products per second of one core, when it does nothing but multiply: eight-bit integers (the
// first step of a dot product, with whatever instruction the target has for it) and floats.
// 0: not known for this target.
struct MultiplyRate {
  double int8 = 0, f32 = 0;
};

#if defined(__x86_64__)

// `name(rounds)` runs 12 chains of a multiplication, more than latency times throughput of any core
// so far. What the compiler is told after each step is that the register has changed, so that it
// cannot know better than to multiply.
#  define INLAY_RATE(name, isa, reg, Vec, one, step)                                          \
    __attribute__((target(isa))) inline void name(size_t rounds) {                            \
      Vec w = one;                                                                            \
      Vec a = w, b = w, c = w, d = w, e = w, f = w, g = w, h = w, i = w, j = w, k = w, l = w; \
      for (; rounds != 0; --rounds) {                                                         \
        a = step(a, w), b = step(b, w), c = step(c, w), d = step(d, w), e = step(e, w);       \
        f = step(f, w), g = step(g, w), h = step(h, w), i = step(i, w), j = step(j, w);       \
        k = step(k, w), l = step(l, w);                                                       \
        __asm__ volatile("" : "+" reg(a), "+" reg(b), "+" reg(c), "+" reg(d), "+" reg(e));    \
        __asm__ volatile("" : "+" reg(f), "+" reg(g), "+" reg(h), "+" reg(i), "+" reg(j));    \
        __asm__ volatile("" : "+" reg(k), "+" reg(l), "+" reg(w));                            \
      }                                                                                       \
    }
#  define INLAY_FMA_256(a, w) _mm256_fmadd_ps(a, w, w)
#  define INLAY_FMA_512(a, w) _mm512_fmadd_ps(a, w, w)
#  define INLAY_DOT_256(a, w) _mm256_dpbusd_avx_epi32(a, w, w)
#  define INLAY_DOT_512(a, w) _mm512_dpbusd_epi32(a, w, w)
INLAY_RATE(float_128, "sse2", "x", __m128, _mm_set1_ps(1), _mm_mul_ps)
INLAY_RATE(pairs_128, "sse2", "x", __m128i, _mm_set1_epi16(1), _mm_madd_epi16)
INLAY_RATE(bytes_128, "ssse3", "x", __m128i, _mm_set1_epi8(1), _mm_maddubs_epi16)
INLAY_RATE(float_256, "avx2,fma", "x", __m256, _mm256_set1_ps(1), INLAY_FMA_256)
INLAY_RATE(bytes_256, "avx2", "x", __m256i, _mm256_set1_epi8(1), _mm256_maddubs_epi16)
INLAY_RATE(dot_256, "avx2,avxvnni", "x", __m256i, _mm256_set1_epi8(1), INLAY_DOT_256)
INLAY_RATE(float_512, "avx512f", "v", __m512, _mm512_set1_ps(1), INLAY_FMA_512)
INLAY_RATE(bytes_512, "avx512bw", "v", __m512i, _mm512_set1_epi8(1), _mm512_maddubs_epi16)
INLAY_RATE(dot_512, "avx512vnni", "v", __m512i, _mm512_set1_epi8(1), INLAY_DOT_512)
#  undef INLAY_RATE
#  undef INLAY_FMA_256
#  undef INLAY_FMA_512
#  undef INLAY_DOT_256
#  undef INLAY_DOT_512

// 12 products of 16 x 16 x 32 bfloat16 a round. Of numbers as weights have them: with zeros, a core
// that may take only so much power is half as fast again.
inline void tiles(size_t rounds) {
  struct alignas(64) {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  } shapes;
  alignas(64) static uint16_t values[4][512];
  uint32_t random = 1;
  for (auto& tile : values) {
    for (uint16_t& value : tile) {
      random = random * 1664525 + 1013904223;
      value = static_cast<uint16_t>(0x3c00 | (random >> 16 & 0x87ff));
    }
  }
  const size_t line = 64;
  __asm__ volatile("ldtilecfg %0" : : "m"(shapes));
#  define INLAY_LOAD(tile)                              \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #tile \
                     :                                  \
                     : "r"(values[tile - 4]), "r"(line) \
                     : "memory")
  INLAY_LOAD(4);
  INLAY_LOAD(5);
  INLAY_LOAD(6);
  INLAY_LOAD(7);
#  undef INLAY_LOAD
  for (; rounds != 0; --rounds) {
    for (int i = 0; i < 3; ++i) {
      __asm__ volatile(
          "tdpbf16ps %tmm6, %tmm4, %tmm0\n tdpbf16ps %tmm7, %tmm4, %tmm1\n"
          "tdpbf16ps %tmm6, %tmm5, %tmm2\n tdpbf16ps %tmm7, %tmm5, %tmm3");
    }
  }
  __asm__ volatile("tilerelease" ::);
}

inline double rate_of(void (*run)(size_t), size_t products) {
  constexpr size_t kRounds = 1 << 12;
  const double time = best_time(0.02, [&](size_t) { run(kRounds); });
  return static_cast<double>(12 * kRounds * products) / time;
}

#endif

// `target`: as Highway names it. Must run on this CPU.
inline MultiplyRate multiply_rate(std::string_view target) {
#if defined(__x86_64__)
  if (target == "SSE2") return {rate_of(pairs_128, 8), rate_of(float_128, 4)};
  if (target == "SSSE3" || target == "SSE4") return {rate_of(bytes_128, 16), rate_of(float_128, 4)};
  if (target == "AVX2") return {rate_of(bytes_256, 32), rate_of(float_256, 8)};
  if (target == "AVX2_VNNI") return {rate_of(dot_256, 32), rate_of(float_256, 8)};
  if (target == "AVX3") return {rate_of(bytes_512, 64), rate_of(float_512, 16)};
  if (target == "AVX3_AMX") {
    // Weights that are floats take three products, or two.
    const double rate = rate_of(tiles, 16 * 16 * 32);
    return {rate, rate / 3};
  }
  if (target == "AVX3_DL" || target == "AVX3_ZEN4" || target == "AVX3_SPR" || target == "AVX10_2") {
    return {rate_of(dot_512, 64), rate_of(float_512, 16)};
  }
#endif
  return {};
}

// The targets that multiply_rate() knows and this CPU runs, best first.
inline std::vector<std::string_view> multiply_targets() {
  std::vector<std::string_view> result;
#if defined(__x86_64__)
  if (inlay::request_amx()) result.push_back("AVX3_AMX");
  if (__builtin_cpu_supports("avx512vnni")) result.push_back("AVX3_DL");
  if (__builtin_cpu_supports("avx512bw")) result.push_back("AVX3");
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    unsigned a = 0, b, c, d;
    if (__get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a >> 4 & 1) != 0) {
      result.push_back("AVX2_VNNI");
    }
    result.push_back("AVX2");
  }
  if (__builtin_cpu_supports("sse4.1")) result.push_back("SSE4");
  result.push_back("SSE2");
#endif
  return result;
}

// ---- memory ----

// Memory to measure with: of each thread more than a usual last cache, and together more than this
// machine's. On large pages, as packed weights lie.
class Memory {
 public:
  explicit Memory(size_t threads, bool large_pages = true)
      : bytes_(std::max(threads * (size_t{96} << 20), 2 * last_cache())),
        data_(static_cast<uint8_t*>(::operator new (bytes_, std::align_val_t{64}))) {
    if (large_pages) inlay::detail::prefer_huge_pages(data_, bytes_);
  }
  ~Memory() { ::operator delete (data_, std::align_val_t{64}); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  uint8_t* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  static size_t last_cache() {  // 0: not known
#ifdef _SC_LEVEL3_CACHE_SIZE
    const long bytes = sysconf(_SC_LEVEL3_CACHE_SIZE);
    if (bytes > 0) return static_cast<size_t>(bytes);
#endif
    return 0;
  }
  size_t bytes_;
  uint8_t* data_;
};

// What one sample reads from memory, and how far it is to the next one's.
constexpr size_t kSampleBytes = size_t{4} << 20;

// Reads kSampleBytes from `streams` places at once, one word of each line.
inline void read_sample(const uint8_t* from, size_t streams) {
  const size_t length = kSampleBytes / streams;
  uint64_t sum[4] = {};
  for (size_t at = 0; at < length; at += 64) {
    for (size_t s = 0; s < streams; ++s) {
      uint64_t word;
      std::memcpy(&word, from + s * length + at, sizeof word);
      sum[s] += word;
    }
  }
  keep(sum);
}

// Bytes per second. The median is what lasts; the best, what happens when nobody disturbs.
struct ReadRate {
  double median = 0, best = 0;
};

// What `threads` threads read together from `memory`, each from `streams` (1, 2 or 4) places of a
// part of its own, which should be larger than the last cache.
inline ReadRate read_rate(const uint8_t* memory, size_t bytes, size_t threads, size_t streams,
                          double seconds) {
  const size_t part = bytes / threads / kSampleBytes * kSampleBytes;
  std::vector<ReadRate> rates(threads);
  std::atomic<size_t> ready{0};
  const auto body = [&](size_t thread) {
    const uint8_t* from = memory + thread * part;
    std::vector<double> times;
    ready.fetch_add(1);
    while (ready.load() != threads) {
    }
    for (const double end = now() + seconds; now() < end;) {
      const double start = now();
      read_sample(from + times.size() * kSampleBytes % part, streams);
      times.push_back(now() - start);
    }
    std::sort(times.begin(), times.end());
    rates[thread].median = static_cast<double>(kSampleBytes) / times[times.size() / 2];
    rates[thread].best = static_cast<double>(kSampleBytes) / times[0];
  };
  std::vector<std::thread> others;
  for (size_t i = 1; i < threads; ++i) others.emplace_back(body, i);
  body(0);
  for (std::thread& other : others) other.join();
  ReadRate sum;
  for (const ReadRate& rate : rates) {
    sum.median += rate.median;
    sum.best += rate.best;
  }
  return sum;
}

}  // namespace bench

#endif  // INLAY_BENCH_CALIBRATE_HPP_
