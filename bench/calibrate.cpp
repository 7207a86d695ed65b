// What this machine can do, as JSON, in half a second: the core's clock, what threads read from
// memory, what one core multiplies with the instructions of each SIMD target that it runs.
//   bench_calibrate [THREADS…]          default: 1 2
#include "calibrate.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>

int main(int argc, char** argv) {
  std::vector<size_t> threads;
  for (int i = 1; i < argc; ++i) threads.push_back(std::strtoul(argv[i], nullptr, 10));
  if (threads.empty()) threads = {1, 2};
  const size_t most = *std::max_element(threads.begin(), threads.end());
  if (most < 1 || most > 1024) {
    std::fprintf(stderr, "usage: bench_calibrate [THREADS…]\n");
    return 2;
  }

  const bench::Memory memory(most);
  std::memset(memory.data(), 1, memory.bytes());
  std::printf("{\"clock_hz\": %.4g,\n \"read_bytes_per_second\": [", bench::core_hertz());
  const char* separator = "";
  for (const size_t n : threads) {
    for (const size_t streams : {size_t{1}, size_t{4}}) {
      std::printf("%s{\"threads\": %zu, \"streams\": %zu, \"rate\": %.4g}", separator, n, streams,
                  bench::read_rate(memory.data(), memory.bytes(), n, streams, 0.06).median);
      separator = ", ";
    }
  }
  std::printf("],\n \"products_per_second\": {");
  separator = "";
  for (const std::string_view target : bench::multiply_targets()) {
    const bench::MultiplyRate rate = bench::multiply_rate(target);
    std::printf("%s\"%.*s\": {\"int8\": %.4g, \"f32\": %.4g}", separator,
                static_cast<int>(target.size()), target.data(), rate.int8, rate.f32);
    separator = ", ";
  }
  std::printf("}}\n");
  return 0;
}
