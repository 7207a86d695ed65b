// GGUF files with random weights, made in memory: the same bytes on every compiler and machine, so
// that numbers which llama.cpp computed once from such a file (tests/golden) can be compared with
// what inlay computes from it today. Needs nothing of inlay: a mistake there cannot hide in here.
//
// Why the bytes are the same everywhere: integer random numbers; each weight is one product,
// rounded to IEEE half by integer code; the quantizers only use single operations or products that
// are exact (half times small integer), so a compiler that fuses multiply and add changes nothing.
#ifndef INLAY_TESTS_SUPPORT_RANDOM_MODEL_HPP_
#define INLAY_TESTS_SUPPORT_RANDOM_MODEL_HPP_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace random_model {

// ---- tensor types ------------------------------------------------------------------------------
enum class Type : uint32_t {  // the numbers of the file format
  f32 = 0,
  f16 = 1,
  q4_0 = 2,
  q4_1 = 3,
  q5_0 = 6,
  q5_1 = 7,
  q8_0 = 8,
  q2_k = 10,
  q3_k = 11,
  q4_k = 12,
  q5_k = 13,
  q6_k = 14,
  iq4_nl = 20,
  iq4_xs = 23,
  bf16 = 30,
  iq2_xxs = 16  // blocks of zeros: for tests of what cannot be computed with
};

struct TypeInfo {
  Type type;
  const char* name;
  uint32_t block, bytes;  // elements and bytes of one block
};

inline constexpr TypeInfo kTypes[] = {
    {Type::f32, "f32", 1, 4},           {Type::f16, "f16", 1, 2},
    {Type::bf16, "bf16", 1, 2},         {Type::q8_0, "q8_0", 32, 34},
    {Type::q4_0, "q4_0", 32, 18},       {Type::q4_1, "q4_1", 32, 20},
    {Type::q5_0, "q5_0", 32, 22},       {Type::q5_1, "q5_1", 32, 24},
    {Type::q2_k, "q2_k", 256, 84},      {Type::q3_k, "q3_k", 256, 110},
    {Type::q4_k, "q4_k", 256, 144},     {Type::q5_k, "q5_k", 256, 176},
    {Type::q6_k, "q6_k", 256, 210},     {Type::iq4_nl, "iq4_nl", 32, 18},
    {Type::iq4_xs, "iq4_xs", 256, 136},
};

inline constexpr TypeInfo kNoKernelType = {Type::iq2_xxs, "iq2_xxs", 256, 66};

inline const TypeInfo& type_info(Type type) {
  for (const TypeInfo& info : kTypes)
    if (info.type == type) return info;
  return kNoKernelType;
}

// ---- floating point formats --------------------------------------------------------------------
inline uint32_t float_bits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, 4);
  return bits;
}
inline float bits_float(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

// To nearest, ties to even. Finite values only.
inline uint16_t to_half(float value) {
  const uint32_t bits = float_bits(value), sign = bits >> 16 & 0x8000u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  const int exponent = static_cast<int>(magnitude >> 23) - 127;
  if (exponent > 15) return static_cast<uint16_t>(sign | 0x7c00u);
  if (exponent < -25) return static_cast<uint16_t>(sign);
  uint32_t mantissa = (magnitude & 0x7fffffu) | 0x800000u;  // 24 bits
  // Bits that a half cannot hold: 13, and one more for each step below its smallest normal
  // exponent.
  const uint32_t drop = exponent >= -14 ? 13u : static_cast<uint32_t>(13 + (-14 - exponent));
  const uint32_t rest = mantissa & ((1u << drop) - 1), tie = 1u << (drop - 1);
  mantissa >>= drop;
  if (rest > tie || (rest == tie && (mantissa & 1u))) ++mantissa;
  // The hidden bit of a normal number carries into the exponent field by addition; so does a
  // rounding overflow.
  const uint32_t base = exponent >= -14 ? static_cast<uint32_t>(exponent + 14) << 10 : 0;
  return static_cast<uint16_t>(sign | (base + mantissa));
}

inline float from_half(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16, exponent = half >> 10 & 31u;
  const uint32_t mantissa = half & 0x3ffu;
  if (exponent == 0) {
    const float value = static_cast<float>(mantissa) * 0x1p-24f;
    return sign ? -value : value;
  }
  return bits_float(sign | (exponent + 112) << 23 | mantissa << 13);
}

// ---- quantizers --------------------------------------------------------------------------------
// Round to nearest with the obvious scale: valid blocks of sane quality, worse than what
// llama-quantize searches for. Block layouts: ggml-common.h of ggml.
using Bytes = std::vector<uint8_t>;

inline void put_half(uint8_t* at, uint16_t half) {
  at[0] = static_cast<uint8_t>(half & 255u);
  at[1] = static_cast<uint8_t>(half >> 8);
}
inline int round_clamped(float value, int low, int high) {
  return static_cast<int>(
      std::min(std::max(std::lround(value), static_cast<long>(low)), static_cast<long>(high)));
}
inline float ratio(float x, float scale) { return scale == 0 ? 0 : x / scale; }
// The element of largest magnitude, with its sign.
inline float extreme(const float* x, size_t n) {
  float best = 0;
  for (size_t i = 0; i < n; ++i)
    if (std::fabs(x[i]) > std::fabs(best)) best = x[i];
  return best;
}
inline uint8_t u8(int value) { return static_cast<uint8_t>(value); }

inline void quantize_q8_0(const float* x, uint8_t* out) {
  const uint16_t half = to_half(std::fabs(extreme(x, 32)) / 127);
  const float d = from_half(half);
  put_half(out, half);
  for (int i = 0; i < 32; ++i) out[2 + i] = u8(round_clamped(ratio(x[i], d), -127, 127));
}

// Q4_0 and Q5_0: symmetric around `zero`, the extreme element at the lower end of the range.
inline void quantize_symmetric(const float* x, int bits, uint8_t* out) {
  const int zero = 1 << (bits - 1);
  const uint16_t half = to_half(extreme(x, 32) / static_cast<float>(-zero));
  const float d = from_half(half);
  put_half(out, half);
  uint32_t high = 0;
  uint8_t* nibbles = out + (bits == 5 ? 6 : 2);
  for (int i = 0; i < 16; ++i) {
    const int a = round_clamped(ratio(x[i], d), -zero, zero - 1) + zero;
    const int b = round_clamped(ratio(x[i + 16], d), -zero, zero - 1) + zero;
    nibbles[i] = u8((a & 15) | (b & 15) << 4);
    high |= static_cast<uint32_t>(a >> 4) << i | static_cast<uint32_t>(b >> 4) << (i + 16);
  }
  if (bits == 5)
    for (int i = 0; i < 4; ++i) out[2 + i] = static_cast<uint8_t>(high >> 8 * i);
}

// Q4_1 and Q5_1: from the smallest to the largest element.
inline void quantize_affine(const float* x, int bits, uint8_t* out) {
  const int top = (1 << bits) - 1;
  const float low = *std::min_element(x, x + 32), span = *std::max_element(x, x + 32) - low;
  const uint16_t half_d = to_half(span / static_cast<float>(top)), half_m = to_half(low);
  const float d = from_half(half_d), m = from_half(half_m);
  put_half(out, half_d);
  put_half(out + 2, half_m);
  uint32_t high = 0;
  uint8_t* nibbles = out + (bits == 5 ? 8 : 4);
  for (int i = 0; i < 16; ++i) {
    const int a = round_clamped(ratio(x[i] - m, d), 0, top),
              b = round_clamped(ratio(x[i + 16] - m, d), 0, top);
    nibbles[i] = u8((a & 15) | (b & 15) << 4);
    high |= static_cast<uint32_t>(a >> 4) << i | static_cast<uint32_t>(b >> 4) << (i + 16);
  }
  if (bits == 5)
    for (int i = 0; i < 4; ++i) out[4 + i] = static_cast<uint8_t>(high >> 8 * i);
}

// The types with scale and minimum per sub-block (Q2_K, Q4_K, Q5_K): x ~ d * scale * q - dmin *
// min.
struct Affine {
  int scale[16], minimum[16];
  int q[256];
  uint16_t half_d, half_dmin;
};
inline Affine fit_affine(const float* x, int sub, int bits, int scale_bits) {
  Affine a;
  const int blocks = 256 / sub, top = (1 << bits) - 1, scale_top = (1 << scale_bits) - 1;
  float scales[16], minima[16], most_scale = 0, most_minimum = 0;
  for (int b = 0; b < blocks; ++b) {
    const float low = std::min(0.0f, *std::min_element(x + b * sub, x + (b + 1) * sub));
    const float high = std::max(0.0f, *std::max_element(x + b * sub, x + (b + 1) * sub));
    scales[b] = (high - low) / static_cast<float>(top);
    minima[b] = -low;
    most_scale = std::max(most_scale, scales[b]);
    most_minimum = std::max(most_minimum, minima[b]);
  }
  a.half_d = to_half(most_scale / static_cast<float>(scale_top));
  a.half_dmin = to_half(most_minimum / static_cast<float>(scale_top));
  const float d = from_half(a.half_d), dmin = from_half(a.half_dmin);
  for (int b = 0; b < blocks; ++b) {
    a.scale[b] = round_clamped(ratio(scales[b], d), 0, scale_top);
    a.minimum[b] = round_clamped(ratio(minima[b], dmin), 0, scale_top);
    const float scale = d * static_cast<float>(a.scale[b]);         // exact: 11 + 6 bits
    const float minimum = dmin * static_cast<float>(a.minimum[b]);  // exact
    for (int i = b * sub; i < (b + 1) * sub; ++i)
      a.q[i] = round_clamped(ratio(x[i] + minimum, scale), 0, top);
  }
  return a;
}

inline void quantize_q2_k(const float* x, uint8_t* out) {
  const Affine a = fit_affine(x, 16, 2, 4);
  for (int b = 0; b < 16; ++b) out[b] = u8(a.scale[b] | a.minimum[b] << 4);
  for (int h = 0; h < 2; ++h)
    for (int l = 0; l < 32; ++l) {
      int byte = 0;
      for (int j = 0; j < 4; ++j) byte |= a.q[128 * h + 32 * j + l] << 2 * j;
      out[16 + 32 * h + l] = u8(byte);
    }
  put_half(out + 80, a.half_d);
  put_half(out + 82, a.half_dmin);
}

inline void put_scales_k4(const Affine& a,
                          uint8_t* out) {  // 8 scales and 8 minima of 6 bits in 12 bytes
  for (int j = 0; j < 4; ++j) {
    out[j] = u8(a.scale[j] | (a.scale[j + 4] >> 4) << 6);
    out[j + 4] = u8(a.minimum[j] | (a.minimum[j + 4] >> 4) << 6);
    out[j + 8] = u8((a.scale[j + 4] & 15) | (a.minimum[j + 4] & 15) << 4);
  }
}

// Q4_K and Q5_K.
inline void quantize_k4(const float* x, int bits, uint8_t* out) {
  const Affine a = fit_affine(x, 32, bits, 6);
  put_half(out, a.half_d);
  put_half(out + 2, a.half_dmin);
  put_scales_k4(a, out + 4);
  uint8_t* nibbles = out + (bits == 5 ? 48 : 16);
  for (int l = 0; l < 32; ++l) {
    int high = 0;
    for (int c = 0; c < 4; ++c) {
      const int low_q = a.q[64 * c + l], high_q = a.q[64 * c + 32 + l];
      nibbles[32 * c + l] = u8((low_q & 15) | (high_q & 15) << 4);
      high |= (low_q >> 4) << 2 * c | (high_q >> 4) << (2 * c + 1);
    }
    if (bits == 5) out[16 + l] = u8(high);
  }
}

// The types with a signed scale per sub-block (Q3_K, Q6_K, IQ4_XS): x ~ d * scale * level(q).
// Scales so that the extreme element of a sub-block lies at `lowest`, in units of d, within
// [-reach, reach - 1].
inline uint16_t fit_scales(const float* x, int sub, float lowest, int reach, int* scale) {
  float scales[16];
  const int blocks = 256 / sub;
  for (int b = 0; b < blocks; ++b)
    scales[b] = extreme(x + b * sub, static_cast<size_t>(sub)) / lowest;
  const uint16_t half =
      to_half(extreme(scales, static_cast<size_t>(blocks)) / static_cast<float>(-reach));
  const float d = from_half(half);
  for (int b = 0; b < blocks; ++b) scale[b] = round_clamped(ratio(scales[b], d), -reach, reach - 1);
  return half;
}

inline void quantize_q3_k(const float* x, uint8_t* out) {
  int scale[16];
  const uint16_t half = fit_scales(x, 16, -4, 32, scale);
  const float d = from_half(half);
  std::memset(out, 0, 110);
  for (int e = 0; e < 256; ++e) {
    const float step = d * static_cast<float>(scale[e / 16]);  // exact
    const int q = round_clamped(ratio(x[e], step), -4, 3) + 4;
    const int h = e / 128, j = e % 128 / 32, l = e % 32;
    out[32 + 32 * h + l] = u8(out[32 + 32 * h + l] | (q & 3) << 2 * j);
    out[l] = u8(out[l] | (q >> 2) << (4 * h + j));
  }
  for (int b = 0; b < 16; ++b) {
    const int stored = scale[b] + 32;
    out[96 + b % 8] = u8(out[96 + b % 8] | (stored & 15) << (b < 8 ? 0 : 4));
    out[104 + b % 4] = u8(out[104 + b % 4] | (stored >> 4) << 2 * (b / 4));
  }
  put_half(out + 108, half);
}

inline void quantize_q6_k(const float* x, uint8_t* out) {
  int scale[16];
  const uint16_t half = fit_scales(x, 16, -32, 128, scale);
  const float d = from_half(half);
  std::memset(out, 0, 210);
  for (int e = 0; e < 256; ++e) {
    const float step = d * static_cast<float>(scale[e / 16]);  // exact
    const int q = round_clamped(ratio(x[e], step), -32, 31) + 32;
    const int h = e / 128, k = e % 128 / 32, l = e % 32;
    uint8_t& low = out[64 * h + 32 * (k % 2) + l];
    low = u8(low | (q & 15) << 4 * (k / 2));
    out[128 + 32 * h + l] = u8(out[128 + 32 * h + l] | (q >> 4) << 2 * k);
  }
  for (int b = 0; b < 16; ++b) out[192 + b] = u8(scale[b]);
  put_half(out + 208, half);
}

inline constexpr int kIq4Levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                       1,    13,   25,  38,  53,  69,  89,  113};
inline int nearest_level(float x) {
  int best = 0;
  for (int i = 1; i < 16; ++i)
    if (std::fabs(x - static_cast<float>(kIq4Levels[i])) <
        std::fabs(x - static_cast<float>(kIq4Levels[best])))
      best = i;
  return best;
}

inline void quantize_iq4_nl(const float* x, uint8_t* out) {
  const uint16_t half = to_half(extreme(x, 32) / -127);
  const float d = from_half(half);
  put_half(out, half);
  for (int i = 0; i < 16; ++i)
    out[2 + i] = u8(nearest_level(ratio(x[i], d)) | nearest_level(ratio(x[i + 16], d)) << 4);
}

inline void quantize_iq4_xs(const float* x, uint8_t* out) {
  int scale[16];
  const uint16_t half = fit_scales(x, 32, -127, 32, scale);
  const float d = from_half(half);
  std::memset(out, 0, 136);
  put_half(out, half);
  for (int b = 0; b < 8; ++b) {
    const float step = d * static_cast<float>(scale[b]);  // exact
    for (int i = 0; i < 16; ++i)
      out[8 + 16 * b + i] = u8(nearest_level(ratio(x[32 * b + i], step)) |
                               nearest_level(ratio(x[32 * b + 16 + i], step)) << 4);
    const int stored = scale[b] + 32;
    out[4 + b / 2] = u8(out[4 + b / 2] | (stored & 15) << 4 * (b % 2));
    out[2 + b / 4] = u8(out[2 + b / 4] | (stored >> 4) << 2 * (b % 4));
  }
}

// `n` values, a multiple of the type's block, appended to `out`.
inline void quantize_row(Type type, const float* x, size_t n, Bytes* out) {
  const TypeInfo& info = type_info(type);
  const size_t start = out->size();
  out->resize(start + n / info.block * info.bytes);
  uint8_t* at = out->data() + start;
  for (size_t i = 0; i < n; i += info.block, at += info.bytes) {
    switch (type) {
      case Type::f32: {
        const uint32_t bits = float_bits(x[i]);
        for (int b = 0; b < 4; ++b) at[b] = static_cast<uint8_t>(bits >> 8 * b);
        break;
      }
      case Type::f16:
        put_half(at, to_half(x[i]));
        break;
      case Type::bf16: {
        const uint32_t bits = float_bits(x[i]);
        put_half(at, static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16));
        break;
      }
      case Type::q8_0:
        quantize_q8_0(x + i, at);
        break;
      case Type::q4_0:
        quantize_symmetric(x + i, 4, at);
        break;
      case Type::q5_0:
        quantize_symmetric(x + i, 5, at);
        break;
      case Type::q4_1:
        quantize_affine(x + i, 4, at);
        break;
      case Type::q5_1:
        quantize_affine(x + i, 5, at);
        break;
      case Type::q2_k:
        quantize_q2_k(x + i, at);
        break;
      case Type::q3_k:
        quantize_q3_k(x + i, at);
        break;
      case Type::q4_k:
        quantize_k4(x + i, 4, at);
        break;
      case Type::q5_k:
        quantize_k4(x + i, 5, at);
        break;
      case Type::q6_k:
        quantize_q6_k(x + i, at);
        break;
      case Type::iq4_nl:
        quantize_iq4_nl(x + i, at);
        break;
      case Type::iq4_xs:
        quantize_iq4_xs(x + i, at);
        break;
      case Type::iq2_xxs:
        break;
    }
  }
}

// ---- random numbers ----------------------------------------------------------------------------
// SplitMix64 (Steele, Lea, Flood 2014).
struct Random {
  uint64_t state;
  uint64_t next() {
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
  }
  uint32_t below(uint32_t n) { return static_cast<uint32_t>((next() >> 32) * n >> 32); }
  // About normal: four 16-bit numbers less their mean, an integer with a standard deviation of
  // 37837.2.
  int32_t bell() {
    const uint64_t bits = next();
    int32_t sum = -131070;
    for (int i = 0; i < 4; ++i) sum += static_cast<int32_t>(bits >> 16 * i & 0xffffu);
    return sum;
  }
};

// ---- the contents of a file --------------------------------------------------------------------
// A metadata value, already as bytes: type number and value.
struct KeyValue {
  std::string key;
  Bytes value;
};

// A tensor whose weights are `mean` + `deviation` * normal, rounded to half; or `values`, if there
// are any.
struct Tensor {
  std::string name;
  Type type;
  std::vector<uint64_t> dims;  // dims[0] contiguous
  float mean = 0, deviation = 0;
  std::vector<float> values;
};

struct File {
  uint64_t seed = 1;
  std::vector<KeyValue> metadata;
  std::vector<Tensor> tensors;

  void erase(std::string_view key) {
    metadata.erase(std::remove_if(metadata.begin(), metadata.end(),
                                  [&](const KeyValue& e) { return e.key == key; }),
                   metadata.end());
  }
  void set(std::string key, Bytes value) {
    for (KeyValue& entry : metadata)
      if (entry.key == key) return void(entry.value = std::move(value));
    metadata.push_back({std::move(key), std::move(value)});
  }
  Tensor* tensor(std::string_view name) {
    for (Tensor& t : tensors)
      if (t.name == name) return &t;
    return nullptr;
  }
  void erase_tensor(std::string_view name) {
    tensors.erase(std::remove_if(tensors.begin(), tensors.end(),
                                 [&](const Tensor& t) { return t.name == name; }),
                  tensors.end());
  }
};

inline void put_u32(Bytes* out, uint32_t value) {
  for (int b = 0; b < 4; ++b) out->push_back(static_cast<uint8_t>(value >> 8 * b));
}
inline void put_u64(Bytes* out, uint64_t value) {
  for (int b = 0; b < 8; ++b) out->push_back(static_cast<uint8_t>(value >> 8 * b));
}
inline void put_text(Bytes* out, std::string_view text) {
  put_u64(out, text.size());
  out->insert(out->end(), text.begin(), text.end());
}
inline Bytes u32_value(uint32_t value) {
  Bytes out;
  put_u32(&out, 4);
  put_u32(&out, value);
  return out;
}
inline Bytes u64_value(uint64_t value) {
  Bytes out;
  put_u32(&out, 10);
  put_u64(&out, value);
  return out;
}
inline Bytes f32_value(float value) {
  Bytes out;
  put_u32(&out, 6);
  put_u32(&out, float_bits(value));
  return out;
}
inline Bytes bool_value(bool value) {
  Bytes out;
  put_u32(&out, 7);
  out.push_back(value);
  return out;
}
inline Bytes text_value(std::string_view value) {
  Bytes out;
  put_u32(&out, 8);
  put_text(&out, value);
  return out;
}
inline Bytes array_value(uint32_t type, uint64_t count) {
  Bytes out;
  put_u32(&out, 9);
  put_u32(&out, type);
  put_u64(&out, count);
  return out;
}

inline uint64_t tensor_bytes(const Tensor& t) {
  const TypeInfo& info = type_info(t.type);
  uint64_t n = 1;
  for (uint64_t d : t.dims) n *= d;
  return n / info.block * info.bytes;
}

// The weights of a tensor, row by row, as the file's other types are quantized from.
inline void for_each_row(const File& file, const Tensor& t,
                         const std::function<void(const float*, size_t)>& f) {
  uint64_t hash = 0xcbf29ce484222325u ^
                  file.seed * 0x9e3779b97f4a7c15u;  // FNV-1a: no tensor depends on the others
  for (char c : t.name) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3u;
  Random random{hash};
  const size_t n = static_cast<size_t>(t.dims[0]);
  uint64_t rows = 1;
  for (size_t i = 1; i < t.dims.size(); ++i) rows *= t.dims[i];
  std::vector<float> row(n);
  const float unit = t.deviation / 37837.2f;
  for (uint64_t r = 0; r < rows; ++r) {
    for (size_t i = 0; i < n; ++i) {
      const float noise = from_half(to_half(static_cast<float>(random.bell()) * unit));
      row[i] = !t.values.empty() ? t.values[r * n + i]
               : t.mean == 0     ? noise
                                 : from_half(to_half(t.mean + noise));
    }
    f(row.data(), n);
  }
}

// The whole file, given to `sink` in pieces.
inline void write(const File& file, const std::function<void(const uint8_t*, size_t)>& sink) {
  constexpr uint64_t kFileAlignment = 32;
  Bytes out;
  put_u32(&out, 0x46554747);  // "GGUF"
  put_u32(&out, 3);
  put_u64(&out, file.tensors.size());
  put_u64(&out, file.metadata.size());
  for (const KeyValue& entry : file.metadata) {
    put_text(&out, entry.key);
    out.insert(out.end(), entry.value.begin(), entry.value.end());
  }
  const auto padding = [](uint64_t n) {
    return (kFileAlignment - n % kFileAlignment) % kFileAlignment;
  };
  uint64_t offset = 0;
  for (const Tensor& t : file.tensors) {
    put_text(&out, t.name);
    put_u32(&out, static_cast<uint32_t>(t.dims.size()));
    for (uint64_t d : t.dims) put_u64(&out, d);
    put_u32(&out, static_cast<uint32_t>(t.type));
    put_u64(&out, offset);
    offset += tensor_bytes(t) + padding(tensor_bytes(t));
  }
  out.resize(out.size() + static_cast<size_t>(padding(out.size())));
  sink(out.data(), out.size());
  for (const Tensor& t : file.tensors) {
    for_each_row(file, t, [&](const float* row, size_t n) {
      out.clear();
      quantize_row(t.type, row, n, &out);
      sink(out.data(), out.size());
    });
    out.assign(static_cast<size_t>(padding(tensor_bytes(t))), 0);
    sink(out.data(), out.size());
  }
}

// The same in memory, aligned to 8 bytes as Model::from_memory asks, and to no more than that.
class Memory {
 public:
  explicit Memory(const File& file) {
    Bytes bytes;
    write(file, [&](const uint8_t* data, size_t n) { bytes.insert(bytes.end(), data, data + n); });
    assign(bytes);
  }
  explicit Memory(const Bytes& bytes) { assign(bytes); }
  const uint8_t* data() const { return reinterpret_cast<const uint8_t*>(words_.data()) + shift_; }
  uint8_t* data() { return reinterpret_cast<uint8_t*>(words_.data()) + shift_; }
  size_t size() const { return size_; }

 private:
  void assign(const Bytes& bytes) {
    size_ = bytes.size();
    words_.resize(size_ / 8 + 3);
    shift_ = reinterpret_cast<uintptr_t>(words_.data()) % 16 == 0 ? 8 : 0;
    if (size_ > 0) std::memcpy(data(), bytes.data(), size_);
  }
  std::vector<uint64_t> words_;
  size_t size_ = 0, shift_ = 0;
};

// ---- models ------------------------------------------------------------------------------------
enum class Rope : uint8_t { plain, linear, llama3, yarn };

struct Spec {
  const char* name;
  const char* arch;
  uint32_t layers, embd, heads, kv_heads, head_dim, ff, vocab;
  bool tied = false;    // no output.weight: token_embd.weight serves
  bool biases = false;  // optional ones of llama; qwen2 has its own always
  Rope rope = Rope::plain;
  uint32_t window = 4096;                       // gemma2: of every second layer, from the first
  float attn_softcap = 50, final_softcap = 30;  // gemma2
  float rope_base = 10000, epsilon = 1e-5f;
  uint32_t context = 512;
  float yarn_magnitude = 1;
  // Keys that mean nothing to these architectures, whatever they say. 0: not in the file.
  float attention_scale = 0, yarn_fast = 0, yarn_slow = 0;

  constexpr Spec with_tied_output() const {
    Spec s = *this;
    s.tied = true;
    return s;
  }
  constexpr Spec with_biases() const {
    Spec s = *this;
    s.biases = true;
    return s;
  }
  constexpr Spec with_rope(Rope scaling, float base = 10000) const {
    Spec s = *this;
    s.rope = scaling;
    s.rope_base = base;
    return s;
  }
  constexpr Spec with_yarn(float magnitude, float fast, float slow) const {
    Spec s = with_rope(Rope::yarn);
    s.yarn_magnitude = magnitude;
    s.yarn_fast = fast;
    s.yarn_slow = slow;
    return s;
  }
  constexpr Spec with_epsilon(float value) const {
    Spec s = *this;
    s.epsilon = value;
    return s;
  }
  constexpr Spec with_attention_scale(float value) const {
    Spec s = *this;
    s.attention_scale = value;
    return s;
  }
  constexpr Spec with_window(uint32_t positions, float attention_cap = 50,
                             float final_cap = 30) const {
    Spec s = with_tied_output();
    s.window = positions;
    s.attn_softcap = attention_cap;
    s.final_softcap = final_cap;
    return s;
  }
  constexpr Spec with_context(uint32_t positions) const {
    Spec s = *this;
    s.context = positions;
    return s;
  }
};

// The models whose numbers are recorded in tests/golden. Together: 1 to 8 query heads per KV head,
// odd head counts, head sizes other than embd / heads, rows that are no multiple of a K-quant's
// block (or of 32) and so have another type, odd vocabularies, every RoPE scaling, windows that 64
// positions outgrow.
inline constexpr Spec kGoldenModels[] = {
    Spec{"llama-mha", "llama", 2, 256, 4, 4, 64, 512, 265},
    Spec{"llama-gqa3-yarn", "llama", 2, 256, 3, 1, 64, 256, 267}.with_rope(Rope::yarn),
    Spec{"llama-gqa8-linear", "llama", 2, 512, 8, 1, 32, 256, 259}
        .with_tied_output()
        .with_biases()
        .with_rope(Rope::linear),
    Spec{"llama-gqa5-llama3", "llama", 2, 256, 5, 1, 40, 512, 271}.with_rope(Rope::llama3, 500000),
    Spec{"llama-gqa2-wide", "llama", 3, 256, 6, 3, 128, 256, 288},
    Spec{"qwen2-gqa7", "qwen2", 2, 448, 7, 1, 64, 256, 265}
        .with_tied_output()
        .with_rope(Rope::plain, 1e6f)
        .with_epsilon(1e-6f),
    Spec{"qwen2-mha-odd", "qwen2", 2, 768, 3, 3, 256, 256, 270},
    Spec{"qwen2-gqa4", "qwen2", 2, 256, 8, 2, 32, 512, 300}.with_rope(Rope::linear),
    Spec{"qwen2-gqa6-yarn", "qwen2", 2, 768, 6, 1, 128, 256, 261}
        .with_rope(Rope::yarn, 1e6f)
        .with_epsilon(1e-6f),
    Spec{"qwen3-gqa2", "qwen3", 2, 256, 4, 2, 128, 512, 265}
        .with_tied_output()
        .with_rope(Rope::plain, 1e6f)
        .with_epsilon(1e-6f),
    Spec{"qwen3-gqa5-odd", "qwen3", 2, 256, 5, 1, 256, 256, 263},
    Spec{"qwen3-gqa3-yarn", "qwen3", 2, 512, 9, 3, 64, 256, 272}
        .with_rope(Rope::yarn, 1e6f)
        .with_epsilon(1e-6f),
    Spec{"qwen3-single", "qwen3", 3, 256, 1, 1, 80, 256, 277}.with_tied_output().with_rope(
        Rope::linear),
    Spec{"gemma2-gqa2", "gemma2", 3, 256, 4, 2, 64, 512, 265}.with_window(8),
    Spec{"gemma2-mha", "gemma2", 2, 512, 2, 2, 128, 256, 269}.with_window(16, 4, 6),
    Spec{"gemma2-gqa8", "gemma2", 2, 256, 8, 1, 256, 256, 262}.with_window(12, 8, 12).with_epsilon(
        1e-6f),
    Spec{"gemma2-gqa3-odd", "gemma2", 4, 256, 3, 1, 40, 256, 281}.with_window(11, 3, 15).with_rope(
        Rope::linear),
    Spec{"llama-gqa2-scaled", "llama", 2, 256, 4, 2, 64, 256, 266}
        .with_yarn(1.3f, 16, 2)
        .with_attention_scale(0.2f),
};

// Small models for everything else: with enough vocabulary for words, and one that runs in no time.
inline constexpr Spec kSmallModels[] = {
    Spec{"llama-gqa", "llama", 2, 256, 4, 2, 64, 256, 600},
    Spec{"llama-tiny", "llama", 1, 32, 2, 1, 16, 32, 600},
};

// The sizes of real models, for timing.
inline constexpr Spec kRealModels[] = {
    Spec{"tinyllama-1.1b", "llama", 22, 2048, 32, 4, 64, 5632, 32000}.with_context(2048),
    Spec{"qwen2.5-coder-0.5b", "qwen2", 24, 896, 14, 2, 64, 4864, 151936}
        .with_tied_output()
        .with_rope(Rope::plain, 1e6f)
        .with_epsilon(1e-6f)
        .with_context(32768),
    Spec{"qwen3-0.6b", "qwen3", 28, 1024, 16, 8, 128, 3072, 151936}
        .with_tied_output()
        .with_rope(Rope::plain, 1e6f)
        .with_epsilon(1e-6f)
        .with_context(32768),
    Spec{"gemma2-2b", "gemma2", 26, 2304, 8, 4, 256, 9216, 256000}
        .with_window(4096)
        .with_epsilon(1e-6f)
        .with_context(8192),
};

inline const Spec* find_spec(std::string_view name) {
  for (const Spec& spec : kGoldenModels)
    if (name == spec.name) return &spec;
  for (const Spec& spec : kSmallModels)
    if (name == spec.name) return &spec;
  for (const Spec& spec : kRealModels)
    if (name == spec.name) return &spec;
  return nullptr;
}

// A SentencePiece-style vocabulary: <unk>, <s>, </s>, the 256 bytes, then letters, pairs of
// letters, and made-up words as far as `n` goes. With `fim`, the last three are control tokens for
// fill-in-the-middle.
inline void put_vocabulary(File* file, uint32_t n, bool fim) {
  std::vector<std::string> words;
  const std::string_view first[] = {
      "\xe2\x96\x81", "e", "t", "a", "o", "i", "n", "s", "h", "r", "d", "l", "u"};
  for (std::string_view a : first) words.emplace_back(a);
  for (std::string_view a : first)
    for (char b : std::string_view("etaoinshrdlucmfw.,;(){}=+"))
      words.push_back(std::string(a) + b);
  Bytes tokens = array_value(8, n), scores = array_value(6, n), kinds = array_value(5, n);
  for (uint32_t i = 0; i < n; ++i) {
    std::string text;
    uint32_t kind = 1;  // normal
    if (i < 3) {
      text = i == 0 ? "<unk>" : i == 1 ? "<s>" : "</s>";
      kind = i == 0 ? 2 : 3;  // unknown, control
    } else if (i < 259) {
      const char* digits = "0123456789ABCDEF";
      text = {'<', '0', 'x', digits[(i - 3) / 16], digits[(i - 3) % 16], '>'};
      kind = 6;  // byte
    } else if (fim && i + 3 >= n) {
      text = i + 3 == n ? "<PRE>" : i + 2 == n ? "<SUF>" : "<MID>";
      kind = 3;
    } else {
      text = i - 259 < words.size() ? words[i - 259] : "word" + std::to_string(i);
    }
    put_text(&tokens, text);
    put_u32(&scores, float_bits(i < 259 ? 0 : -static_cast<float>(i - 259)));
    put_u32(&kinds, kind);
  }
  file->set("tokenizer.ggml.model", text_value("llama"));
  file->set("tokenizer.ggml.tokens", std::move(tokens));
  file->set("tokenizer.ggml.scores", std::move(scores));
  file->set("tokenizer.ggml.token_type", std::move(kinds));
  file->set("tokenizer.ggml.bos_token_id", u32_value(1));
  file->set("tokenizer.ggml.eos_token_id", u32_value(2));
  file->set("tokenizer.ggml.unknown_token_id", u32_value(0));
  if (fim) {
    file->set("tokenizer.ggml.fim_pre_token_id", u32_value(n - 3));
    file->set("tokenizer.ggml.fim_suf_token_id", u32_value(n - 2));
    file->set("tokenizer.ggml.fim_mid_token_id", u32_value(n - 1));
  }
}

inline uint64_t default_seed(const Spec& spec) {  // another one for each name
  uint64_t seed = 1;
  for (const char* c = spec.name; *c; ++c) seed = seed * 31 + static_cast<uint8_t>(*c);
  return seed % 100003;
}

// All that the file of a model holds, to be written or altered. Matrices get `type`; those whose
// rows are no multiple of its block get Q8_0 instead, or F16.
inline File make(const Spec& spec, Type type, uint64_t seed = 0, bool fim = false) {
  File file;
  file.seed = seed != 0 ? seed : default_seed(spec);
  const std::string arch = spec.arch, prefix = arch + ".";
  const bool gemma = arch == "gemma2", qwen3 = arch == "qwen3", qwen2 = arch == "qwen2";
  const auto put = [&](const char* key, Bytes value) { file.set(prefix + key, std::move(value)); };
  file.set("general.architecture", text_value(arch));
  file.set("general.name", text_value(spec.name));
  put("block_count", u32_value(spec.layers));
  put("context_length", u32_value(spec.context));
  put("embedding_length", u32_value(spec.embd));
  put("feed_forward_length", u32_value(spec.ff));
  put("attention.head_count", u32_value(spec.heads));
  put("attention.head_count_kv", u32_value(spec.kv_heads));
  if (spec.head_dim * spec.heads != spec.embd) {
    put("attention.key_length", u32_value(spec.head_dim));
    put("attention.value_length", u32_value(spec.head_dim));
  }
  put("attention.layer_norm_rms_epsilon", f32_value(spec.epsilon));
  put("rope.freq_base", f32_value(spec.rope_base));
  if (arch == "llama") {
    put("vocab_size", u32_value(spec.vocab));
    put("rope.dimension_count", u32_value(spec.head_dim));
  }
  if (spec.attention_scale > 0) put("attention.scale", f32_value(spec.attention_scale));
  if (spec.rope == Rope::linear || spec.rope == Rope::yarn) {
    put("rope.scaling.type", text_value(spec.rope == Rope::linear ? "linear" : "yarn"));
    put("rope.scaling.factor", f32_value(4));
  }
  // So small that within 64 positions both ends of YaRN's ramp matter.
  if (spec.rope == Rope::yarn)
    put("rope.scaling.original_context_length", u32_value(spec.context / 4));
  if (spec.yarn_magnitude != 1) {
    put("rope.scaling.attn_factor", f32_value(spec.yarn_magnitude));
  }
  if (spec.yarn_fast > 0) {
    put("rope.scaling.yarn_beta_fast", f32_value(spec.yarn_fast));
    put("rope.scaling.yarn_beta_slow", f32_value(spec.yarn_slow));
  }
  if (gemma) {
    put("attention.sliding_window", u32_value(spec.window));
    put("attn_logit_softcapping", f32_value(spec.attn_softcap));
    put("final_logit_softcapping", f32_value(spec.final_softcap));
  }
  put_vocabulary(&file, spec.vocab, fim);

  const auto matrix = [&](const std::string& name, uint64_t in, uint64_t out, float deviation) {
    const bool fits = in % type_info(type).block == 0;
    file.tensors.push_back({name,
                            fits           ? type
                            : in % 32 == 0 ? Type::q8_0
                                           : Type::f16,
                            {in, out},
                            0,
                            deviation,
                            {}});
  };
  const auto vector = [&](const std::string& name, uint64_t n, float mean, float deviation) {
    file.tensors.push_back({name, Type::f32, {n}, mean, deviation, {}});
  };
  const auto per_root = [](uint64_t n, float times) {
    return times / std::sqrt(static_cast<float>(n));
  };
  const uint64_t q = uint64_t{spec.heads} * spec.head_dim,
                 kv = uint64_t{spec.kv_heads} * spec.head_dim;
  // Logits get a standard deviation of about 3, attention scores one of about 2: neither flat nor
  // one-hot. Tied embeddings have the output's small weights. gemma2 scales them up again, so what
  // its blocks add must be larger still, by the norms after them, or each token would just predict
  // itself.
  matrix("token_embd.weight", spec.embd, spec.vocab, spec.tied ? per_root(spec.embd, 3) : 1);
  if (spec.rope == Rope::llama3) {
    Tensor freqs{"rope_freqs.weight", Type::f32, {spec.head_dim / 2}, 0, 0, {}};
    for (uint32_t i = 0; i < spec.head_dim / 2; ++i)  // 1 for high frequencies, then a ramp up to 8
      freqs.values.push_back(std::min(8.0f, std::max(1.0f, static_cast<float>(i) - 5)));
    file.tensors.push_back(std::move(freqs));
  }
  for (uint32_t i = 0; i < spec.layers; ++i) {
    const std::string b = "blk." + std::to_string(i) + ".";
    vector(b + "attn_norm.weight", spec.embd, 1, 0.1f);
    matrix(b + "attn_q.weight", spec.embd, q, per_root(spec.embd, 1.4f));
    matrix(b + "attn_k.weight", spec.embd, kv, per_root(spec.embd, 1.4f));
    matrix(b + "attn_v.weight", spec.embd, kv, per_root(spec.embd, 1));
    if (qwen2 || spec.biases) {
      vector(b + "attn_q.bias", q, 0, 0.2f);
      vector(b + "attn_k.bias", kv, 0, 0.2f);
      vector(b + "attn_v.bias", kv, 0, 0.2f);
    }
    if (qwen3) {
      vector(b + "attn_q_norm.weight", spec.head_dim, 1.4f, 0.1f);
      vector(b + "attn_k_norm.weight", spec.head_dim, 1.4f, 0.1f);
    }
    matrix(b + "attn_output.weight", q, spec.embd, per_root(q, 1));
    if (spec.biases && arch == "llama") vector(b + "attn_output.bias", spec.embd, 0, 0.2f);
    if (gemma) vector(b + "post_attention_norm.weight", spec.embd, 10, 1);
    vector(b + "ffn_norm.weight", spec.embd, 1, 0.1f);
    matrix(b + "ffn_gate.weight", spec.embd, spec.ff, per_root(spec.embd, 1));
    matrix(b + "ffn_up.weight", spec.embd, spec.ff, per_root(spec.embd, 1));
    matrix(b + "ffn_down.weight", spec.ff, spec.embd, per_root(spec.ff, 1));
    if (gemma) vector(b + "post_ffw_norm.weight", spec.embd, 10, 1);
  }
  vector("output_norm.weight", spec.embd, 1, 0.1f);
  if (!spec.tied) matrix("output.weight", spec.embd, spec.vocab, per_root(spec.embd, 3));
  return file;
}

}  // namespace random_model

#endif  // INLAY_TESTS_SUPPORT_RANDOM_MODEL_HPP_
