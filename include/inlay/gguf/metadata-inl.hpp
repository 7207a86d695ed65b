#ifndef INLAY_GGUF_METADATA_INL_HPP_
#define INLAY_GGUF_METADATA_INL_HPP_

#include <cstring>
#include <type_traits>

#include "inlay/gguf/metadata.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// A little-endian number at any address. Compilers make one load of it.
template <class T>
T read_number(const uint8_t* at) noexcept {
  static_assert(std::is_unsigned_v<T>);
  uint64_t value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) value |= static_cast<uint64_t>(at[i]) << (8 * i);
  return static_cast<T>(value);
}

// Bytes of one value in the file; 0 for strings, arrays and types that do not exist.
constexpr uint32_t metadata_type_bytes(MetadataType type) noexcept {
  switch (type) {
    case MetadataType::u8:
    case MetadataType::i8:
    case MetadataType::boolean:
      return 1;
    case MetadataType::u16:
    case MetadataType::i16:
      return 2;
    case MetadataType::u32:
    case MetadataType::i32:
    case MetadataType::f32:
      return 4;
    case MetadataType::u64:
    case MetadataType::i64:
    case MetadataType::f64:
      return 8;
    case MetadataType::string:
    case MetadataType::array:
      break;
  }
  return 0;
}

constexpr std::string_view metadata_type_name(MetadataType type) noexcept {
  constexpr std::string_view names[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                        "bool", "string", "array", "u64", "i64", "f64"};
  const uint32_t i = static_cast<uint32_t>(type);
  return i < 13 ? names[i] : std::string_view("unknown");
}

}  // namespace detail

bool MetadataValue::as_u64(uint64_t* out, uint64_t i) const noexcept {
  if (i >= count_) return false;
  const uint8_t* at = data_ + i * detail::metadata_type_bytes(element_type_);
  int64_t integer = 0;
  uint64_t value = 0;
  switch (element_type_) {
    case MetadataType::u8:
      value = *at;
      break;
    case MetadataType::u16:
      value = detail::read_number<uint16_t>(at);
      break;
    case MetadataType::u32:
      value = detail::read_number<uint32_t>(at);
      break;
    case MetadataType::u64:
      value = detail::read_number<uint64_t>(at);
      break;
    default:
      if (!as_i64(&integer, i) || integer < 0) return false;
      value = static_cast<uint64_t>(integer);
  }
  *out = value;
  return true;
}

bool MetadataValue::as_i64(int64_t* out, uint64_t i) const noexcept {
  if (i >= count_) return false;
  const uint8_t* at = data_ + i * detail::metadata_type_bytes(element_type_);
  uint64_t value = 0;
  switch (element_type_) {
    case MetadataType::i8:
      *out = static_cast<int8_t>(*at);
      return true;
    case MetadataType::i16:
      *out = static_cast<int16_t>(detail::read_number<uint16_t>(at));
      return true;
    case MetadataType::i32:
      *out = static_cast<int32_t>(detail::read_number<uint32_t>(at));
      return true;
    case MetadataType::i64:
      *out = static_cast<int64_t>(detail::read_number<uint64_t>(at));
      return true;
    case MetadataType::u8:
    case MetadataType::u16:
    case MetadataType::u32:
    case MetadataType::u64:
      if (!as_u64(&value, i) || value > INT64_MAX) return false;
      *out = static_cast<int64_t>(value);
      return true;
    default:
      return false;
  }
}

bool MetadataValue::as_f64(double* out, uint64_t i) const noexcept {
  if (i >= count_) return false;
  const uint8_t* at = data_ + i * detail::metadata_type_bytes(element_type_);
  if (element_type_ == MetadataType::f32) {
    const uint32_t bits = detail::read_number<uint32_t>(at);
    float value;
    std::memcpy(&value, &bits, sizeof value);
    *out = static_cast<double>(value);
    return true;
  }
  if (element_type_ == MetadataType::f64) {
    const uint64_t bits = detail::read_number<uint64_t>(at);
    std::memcpy(out, &bits, sizeof bits);
    return true;
  }
  uint64_t natural = 0;
  if (as_u64(&natural, i)) {
    *out = static_cast<double>(natural);
    return true;
  }
  int64_t integer = 0;
  if (!as_i64(&integer, i)) return false;
  *out = static_cast<double>(integer);
  return true;
}

bool MetadataValue::as_bool(bool* out, uint64_t i) const noexcept {
  if (i >= count_ || element_type_ != MetadataType::boolean) return false;
  *out = data_[i] != 0;
  return true;
}

bool MetadataValue::as_string(std::string_view* out) const noexcept {
  if (type_ != MetadataType::string) return false;
  *out = {reinterpret_cast<const char*>(data_ + 8),
          static_cast<size_t>(detail::read_number<uint64_t>(data_))};
  return true;
}

INLAY_END_NAMESPACE

#endif  // INLAY_GGUF_METADATA_INL_HPP_
