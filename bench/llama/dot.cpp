// What bench_kernels measures of one column, with the kernels of one of llama.cpp's CPU backends
// (any of its variants, whatever its loader would choose):
//   dot libggml-cpu-haswell.so iq2_xxs,tq1_0,…
// Build it with ggml's headers and link nothing but libggml-base and libdl. One thread; for each
// type, billions of products a second: with weights from memory, as writing does, and with 64 rows
// that stay in the cache and 16 columns in turn, as reading a prompt does where no other kernel is
// there.
#include <dlfcn.h>
#include <ggml-cpu.h>
#include <ggml.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <sstream>
#include <string>
#include <vector>

namespace {

constexpr size_t kBytes = size_t{96} << 20;  // of weights: more than a usual last-level cache
constexpr int kWidth = 2048, kColumns = 16, kRows = 64, kRounds = 3;

double now() {
  using std::chrono::steady_clock;
  return std::chrono::duration<double>(steady_clock::now().time_since_epoch()).count();
}

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "dot: %s\n", what);
  std::exit(1);
}

template <class F>
F function(void* library, const char* name) {
  void* const address = dlsym(library, name);
  if (address == nullptr) fail(dlerror());
  return reinterpret_cast<F>(address);
}

ggml_type type_named(const std::string& name) {
  for (int i = 0; i < GGML_TYPE_COUNT; ++i) {
    const char* const known = ggml_type_name(static_cast<ggml_type>(i));
    if (known != nullptr && name == known) return static_cast<ggml_type>(i);
  }
  fail(("no type " + name).c_str());
}

// The best of some rounds of `seconds` each; run() computes so many dot products.
template <class F>
double products_per_second(double seconds, size_t dots, F&& run) {
  double best = 0;
  for (int round = 0; round < kRounds; ++round) {
    const double begin = now();
    size_t count = 0;
    do {
      run();
      count += dots;
    } while (now() - begin < seconds);
    best = std::max(best, static_cast<double>(count) * kWidth / (now() - begin));
  }
  return best;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) fail("usage: dot LIBRARY TYPE,…");
  void* const library = dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL);
  if (library == nullptr) fail(dlerror());
  function<void (*)()>(library, "ggml_cpu_init")();
  const auto traits =
      function<const ggml_type_traits_cpu* (*)(ggml_type)>(library, "ggml_get_type_traits_cpu");
  char* const weights = static_cast<char*>(::operator new (kBytes, std::align_val_t{64}));
  std::memset(weights, 0x3c, kBytes);  // as bench_kernels has them
  std::vector<float> x(size_t{kColumns} * kWidth);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i * 7 % 101) - 50.0f;
  std::istringstream names(argv[2]);
  for (std::string name; std::getline(names, name, ',');) {
    const ggml_type type = type_named(name);
    const auto dot = traits(type)->vec_dot;
    const ggml_type column_type = traits(type)->vec_dot_type;
    const size_t row = ggml_row_size(type, kWidth), column = ggml_row_size(column_type, kWidth);
    std::vector<char> columns(column * kColumns);
    for (size_t i = 0; i < kColumns; ++i)
      traits(column_type)->from_float(&x[i * kWidth], &columns[i * column], kWidth);
    float result = 0;
    volatile float sum = 0;
    const auto add = [&](size_t r, size_t c) {
      dot(kWidth, &result, 0, weights + r * row, 0, &columns[c * column], 0, 1);
      sum = sum + result;
    };
    const size_t rows = kBytes / row;
    const double cold = products_per_second(0.15, rows, [&] {
      for (size_t r = 0; r < rows; ++r) add(r, 0);
    });
    const double hot = products_per_second(0.05, size_t{kRows} * kColumns, [&] {
      for (size_t c = 0; c < kColumns; ++c)
        for (size_t r = 0; r < kRows; ++r) add(r, c);
    });
    std::printf("%-8s %7.1f GMAC/s from memory %7.1f from the cache\n", name.c_str(), cold * 1e-9,
                hot * 1e-9);
    std::fflush(stdout);
  }
  ::operator delete (weights, std::align_val_t{64});
  return 0;
}
