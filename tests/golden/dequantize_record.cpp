// Records what ggml's dequantize_row_* make of the bytes of dequantize_bytes.hpp:
//   g++ -std=c++17 -O2 dequantize_record.cpp -lggml-base -o record && ./record > dequantize.inc
// with ggml's public header and library (Debian: libggml-dev). The committed dequantize.inc is from
// ggml 0.27.0 as Debian sid builds it for x86-64, which is without FMA.
#include <ggml.h>

#include <cstdio>
#include <cstring>

#include "dequantize_bytes.hpp"

int main() {
  std::printf("// Written by dequantize_record.cpp: type, halves, hash, four values.\n");
  for (const golden::DequantizeType& t : golden::kDequantizeTypes) {
    for (int h = 0; h < golden::kHalves; ++h) {
      const auto bytes = golden::make_bytes(t.type, static_cast<golden::Halves>(h),
                                            golden::kDequantizeElements / t.block_elements,
                                            t.block_bytes, t.half_a, t.half_b);
      std::vector<float> out(golden::kDequantizeElements);
      ggml_get_type_traits(static_cast<ggml_type>(t.type))
          ->to_float(bytes.data(), out.data(), static_cast<int64_t>(out.size()));
      std::vector<uint8_t> raw(out.size() * 4);
      std::memcpy(raw.data(), out.data(), raw.size());
      uint32_t bits[4];
      const size_t at[4] = {0, 1, out.size() / 2, out.size() - 1};
      for (int i = 0; i < 4; ++i) std::memcpy(&bits[i], &out[at[i]], 4);
      std::printf("{%u, golden::Halves(%d), 0x%016llXu, {0x%08Xu, 0x%08Xu, 0x%08Xu, 0x%08Xu}},\n",
                  t.type, h, static_cast<unsigned long long>(golden::fnv1a(raw.data(), raw.size())),
                  bits[0], bits[1], bits[2], bits[3]);
    }
  }
}
