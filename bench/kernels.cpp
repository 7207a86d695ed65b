// Speed of the matmul kernels, for every SIMD target that this CPU runs, beside what the machine
// can do:
//   bench_kernels [--target AVX2,…] [--type q4_0,…] [--n 1,…] [--rows R] [--k K] [--seconds S]
//                 [--hot 1] [--packed 1] [--json 1]
// One thread. "of multiplies": the share of the products that the core could do if it did nothing
// but multiply, with the target's own instruction for eight bits (floats for F32, F16 and BF16).
// "of reads": the share of what one thread reads from memory in four streams. Best times of both.
#include "inlay/kernels/kernels.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <inlay.hpp>
#include <new>
#include <string>
#include <vector>

#include "calibrate.hpp"
#include "inlay/tensor/dequantize.hpp"

namespace {

using inlay::TensorType;
namespace detail = inlay::detail;

void* aligned(size_t bytes) { return ::operator new (bytes, std::align_val_t{64}); }

// What stands between the commas.
std::vector<std::string> parts(std::string_view list) {
  std::vector<std::string> result;
  for (size_t begin = 0; begin <= list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    result.emplace_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return result;
}

bool wanted(const std::vector<std::string>& names, std::string_view name) {
  return names.empty() || std::find(names.begin(), names.end(), name) != names.end();
}

struct Options {
  std::vector<std::string> targets;  // empty: all
  std::vector<std::string> types;    // empty: all
  std::vector<size_t> columns = {1, 4, 16, 64, 512};
  size_t rows = 0, k = 2048;
  double seconds = 0.15;
  bool hot = false;     // the same 64 rows again and again, whatever n
  bool packed = false;  // weights in panels; types without that are left out
  bool json = false;
};

struct Machine {
  double hertz, read;            // of four streams
  bench::MultiplyRate multiply;  // of the target at hand
};

void measure(const detail::Kernels& kernels, TensorType type, size_t n, const Options& options,
             const uint8_t* weights, size_t bytes, const Machine& machine) {
  const auto info = inlay::tensor_type_info(type);
  const size_t k = options.k, row_bytes = k / info.block_elements * info.block_bytes;
  // Few columns: new weights from memory each time, as in a model. Many: one task's rows.
  const bool cold = !options.hot && n < 64;
  size_t rows = options.rows != 0 ? options.rows
                : cold            ? bench::kSampleBytes / row_bytes / 64 * 64
                                  : 64;
  const size_t x_stride = k + 16, out_stride = rows + 16;  // in a model no power of two either
  std::vector<float> x(n * x_stride), out(n * out_stride);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i * 7 % 101) - 50.0f;
  void* xq = aligned(detail::quantized_bytes(n, k));
  void* scratch = aligned(detail::matmul_scratch_bytes(k));
  const bool halves = type == TensorType::f16 || type == TensorType::bf16;
  kernels.quantize({x.data(), x_stride, n, k, false, xq, nullptr, halves}, 0, n, 0, k);
  detail::Matmul m = {};
  m.type = type;
  m.reading = detail::reading_of_cpu();
  m.packed = options.packed;  // any bytes are panels too, and as many
  m.w = weights;
  m.rows = rows;
  m.k = k;
  m.n = n;
  m.x = x.data();
  m.x_stride = x_stride;
  m.xq = xq;
  m.out = out.data();
  m.out_stride = out_stride;
  const size_t places = cold ? bytes / (rows * row_bytes) : 1;
  const double time = bench::best_time(options.seconds, [&](size_t i) {
    m.w = weights + i % places * rows * row_bytes;
    const size_t task = 512;
    for (size_t row = 0; row < rows; row += task) {
      kernels.matmul(m, row, row + task < rows ? row + task : rows, scratch);
    }
  });
  const bool floats =
      type == TensorType::f32 || type == TensorType::f16 || type == TensorType::bf16;
  const double macs =
      static_cast<double>(rows) * static_cast<double>(k) * static_cast<double>(n) / time;
  const double read = static_cast<double>(rows * row_bytes) / time;
  const double most = floats ? machine.multiply.f32 : machine.multiply.int8;
  const double share = most > 0 ? macs / most : 0;
  const std::string name(info.name);
  if (options.json) {
    std::printf(
        ",\n  {\"target\": \"%s\", \"type\": \"%s\", \"n\": %zu, \"cold\": %s, "
        "\"products_per_second\": "
        "%.5g, \"of_multiplies\": %.4f, \"of_reads\": %.4f}",
        kernels.name, name.c_str(), n, cold ? "true" : "false", macs, share,
        cold ? read / machine.read : 0.0);
  } else {
    std::printf("%-8s %-7s n %-4zu %8.1f GMAC/s %6.1f of %5.1f MAC/cycle: %3.0f %% of multiplies",
                kernels.name, name.c_str(), n, macs * 1e-9, macs / machine.hertz,
                most / machine.hertz, share * 100);
    if (cold)
      std::printf("; %5.1f GB/s: %3.0f %% of reads", read * 1e-9, read / machine.read * 100);
    std::putchar('\n');
  }
  std::fflush(stdout);
  ::operator delete (xq, std::align_val_t{64});
  ::operator delete (scratch, std::align_val_t{64});
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    if (name == "--target") options.targets = parts(argv[i + 1]);
    if (name == "--type") options.types = parts(argv[i + 1]);
    if (name == "--n") {
      options.columns.clear();
      for (const std::string& n : parts(argv[i + 1])) options.columns.push_back(std::stoul(n));
    }
    if (name == "--rows") options.rows = std::strtoul(argv[i + 1], nullptr, 10);
    if (name == "--k") options.k = std::strtoul(argv[i + 1], nullptr, 10);
    if (name == "--hot") options.hot = argv[i + 1][0] == '1';
    if (name == "--packed") options.packed = argv[i + 1][0] == '1';
    if (name == "--json") options.json = argv[i + 1][0] == '1';
    if (name == "--seconds") options.seconds = std::strtod(argv[i + 1], nullptr);
  }
  const bench::Memory memory(1, options.packed);  // the file's pages are small
  uint8_t* const weights = memory.data();
  const size_t bytes = memory.bytes();
  // Any bytes are weights, and 0x3c as every byte of a half is about 1.
  std::memset(weights, 0x3c, bytes);
  Machine machine = {};
  machine.hertz = bench::core_hertz();
  machine.read = bench::read_rate(weights, bytes, 1, 4, 0.1).best;
  std::printf(options.json ? "[\n  {\"clock_hz\": %.4g, \"read_bytes_per_second\": %.4g}"
                           : "core %.3g Hz; one thread reads %.3g bytes/s from 4 streams\n",
              machine.hertz, machine.read);
  inlay::request_amx();
  const detail::Kernels* tables[8];
  const size_t count = detail::runnable_kernels(tables);
#define INLAY_X(id, number, name, elements, block_bytes, usable) {TensorType::id, usable},
  const struct {
    TensorType id;
    bool usable;
  } types[] = {INLAY_TENSOR_TYPES(INLAY_X)};
#undef INLAY_X
  for (size_t t = 0; t < count; ++t) {
    if (!wanted(options.targets, tables[t]->name)) continue;
    machine.multiply = bench::multiply_rate(tables[t]->name);
    for (const auto& type : types) {
      if (!type.usable) continue;
      if (!wanted(options.types, inlay::tensor_type_info(type.id).name)) continue;
      if (options.packed &&
          (!tables[t]->takes_packed || detail::packed_bytes(type.id, 16, options.k) == 0)) {
        continue;
      }
      for (size_t n : options.columns) {
        measure(*tables[t], type.id, n, options, weights, bytes, machine);
      }
    }
  }
  if (options.json) std::puts("\n]");
  return 0;
}
