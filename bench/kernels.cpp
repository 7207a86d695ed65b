// Speed of the matmul kernels, for every SIMD target that this CPU runs, beside what the machine
// can do:
//   bench_kernels [--target AVX2] [--type q4_0] [--n 1] [--rows R] [--k K] [--seconds S] [--hot 1]
// MAC/cycle counts cycles of the core, whose clock is measured with a chain of additions. One
// thread.
#define INLAY_IMPLEMENTATION
#include "inlay/kernels/kernels.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <inlay.hpp>
#include <new>
#include <string>
#include <vector>

#include "inlay/tensor/dequantize.hpp"

namespace {

using inlay::TensorType;
namespace detail = inlay::detail;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Keeps a value, and what it was computed from.
template <class T>
void keep(T& value) {
  __asm__ volatile("" : "+r"(value) : : "memory");
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
    const double time = now() - start;
    if (time < best) best = time;
  }
  return best;
}

double core_hertz() {
  constexpr int kRounds = 1 << 14;
  const double time = best_time(0.1, [](size_t) {
    uint64_t x = 1;
    for (int i = 0; i < kRounds; ++i) {
      for (int j = 0; j < 16; ++j) {
        x += 3;
        keep(x);
      }
    }
  });
  return 16.0 * kRounds / time;
}

// What one sample reads from memory, and how far it is to the next one's.
constexpr size_t kSampleBytes = size_t{4} << 20;

// Bytes per second of reading from `streams` places at once.
double read_rate(const uint8_t* memory, size_t bytes, size_t streams) {
  const size_t length = kSampleBytes / streams;
  const double time = best_time(0.3, [&](size_t i) {
    const uint8_t* from = memory + i * kSampleBytes % bytes;
    uint64_t sum[4] = {};
    for (size_t at = 0; at < length; at += 64) {
      for (size_t s = 0; s < streams; ++s) {
        uint64_t word;  // one of each line
        std::memcpy(&word, from + s * length + at, sizeof word);
        sum[s] += word;
      }
    }
    for (uint64_t& s : sum) keep(s);
  });
  return static_cast<double>(kSampleBytes) / time;
}

void* aligned(size_t bytes) { return ::operator new (bytes, std::align_val_t{64}); }

struct Options {
  const char* target = nullptr;
  const char* type = nullptr;
  size_t n = 0, rows = 0, k = 2048;
  double seconds = 0.15;
  bool hot = false;  // the same 64 rows again and again, whatever n
};

void measure(const detail::Kernels& kernels, TensorType type, size_t n, const Options& options,
             const uint8_t* weights, size_t bytes, double hertz) {
  const auto info = inlay::tensor_type_info(type);
  const size_t k = options.k, row_bytes = k / info.block_elements * info.block_bytes;
  // Few columns: new weights from memory each time, as in a model. Many: one task's rows.
  const bool cold = !options.hot && n < 16;
  size_t rows = options.rows != 0 ? options.rows : cold ? kSampleBytes / row_bytes / 64 * 64 : 64;
  std::vector<float> x(n * k), out(n * rows);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i * 7 % 101) - 50.0f;
  void* xq = aligned(detail::quantized_bytes(n, k));
  void* scratch = aligned(detail::matmul_scratch_bytes(k));
  kernels.quantize(x.data(), k, n, k, 0, n, xq);
  detail::Matmul m = {};
  m.type = type;
  m.w = weights;
  m.rows = rows;
  m.k = k;
  m.n = n;
  m.x = x.data();
  m.x_stride = k;
  m.xq = xq;
  m.out = out.data();
  m.out_stride = rows;
  const size_t places = cold ? bytes / (rows * row_bytes) : 1;
  const double time = best_time(options.seconds, [&](size_t i) {
    m.w = weights + i % places * rows * row_bytes;
    const size_t task = 512;
    for (size_t row = 0; row < rows; row += task) {
      kernels.matmul(m, row, row + task < rows ? row + task : rows, scratch);
    }
  });
  const double macs = static_cast<double>(rows) * static_cast<double>(k) * static_cast<double>(n);
  std::printf("%-8s %-7s n %-4zu %8.1f GMAC/s %6.1f MAC/cycle %6.1f GB/s of weights\n",
              kernels.name, std::string(info.name).c_str(), n, macs / time * 1e-9,
              macs / time / hertz, static_cast<double>(rows * row_bytes) / time * 1e-9);
  std::fflush(stdout);
  ::operator delete (xq, std::align_val_t{64});
  ::operator delete (scratch, std::align_val_t{64});
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    if (name == "--target") options.target = argv[i + 1];
    if (name == "--type") options.type = argv[i + 1];
    if (name == "--n") options.n = std::strtoul(argv[i + 1], nullptr, 10);
    if (name == "--rows") options.rows = std::strtoul(argv[i + 1], nullptr, 10);
    if (name == "--k") options.k = std::strtoul(argv[i + 1], nullptr, 10);
    if (name == "--hot") options.hot = argv[i + 1][0] == '1';
    if (name == "--seconds") options.seconds = std::strtod(argv[i + 1], nullptr);
  }
  const size_t bytes = size_t{96} << 20;  // more than a usual last-level cache
  uint8_t* weights = static_cast<uint8_t*>(aligned(bytes));
  // Any bytes are weights, and 0x3c as every byte of a half is about 1.
  std::memset(weights, 0x3c, bytes);
  const double hertz = core_hertz();
  std::printf("core %.2f GHz; read %.1f GB/s from 1 stream, %.1f from 4\n", hertz * 1e-9,
              read_rate(weights, bytes, 1) * 1e-9, read_rate(weights, bytes, 4) * 1e-9);
  const detail::Kernels* tables[8];
  const size_t count = detail::runnable_kernels(tables);
#define INLAY_X(id, number, name, elements, block_bytes, usable) {TensorType::id, usable},
  const struct {
    TensorType id;
    bool usable;
  } types[] = {INLAY_TENSOR_TYPES(INLAY_X)};
#undef INLAY_X
  for (size_t t = 0; t < count; ++t) {
    if (options.target != nullptr && std::string(options.target) != tables[t]->name) continue;
    for (const auto& type : types) {
      if (!type.usable) continue;
      if (options.type != nullptr && options.type != inlay::tensor_type_info(type.id).name)
        continue;
      const std::vector<size_t> columns =
          options.n != 0 ? std::vector<size_t>{options.n} : std::vector<size_t>{1, 4, 16, 64, 512};
      for (size_t n : columns) measure(*tables[t], type.id, n, options, weights, bytes, hertz);
    }
  }
  ::operator delete (weights, std::align_val_t{64});
  return 0;
}
