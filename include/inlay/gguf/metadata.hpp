// The metadata of a GGUF file: keys and typed values.
#ifndef INLAY_GGUF_METADATA_HPP_
#define INLAY_GGUF_METADATA_HPP_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "inlay/config.hpp"

INLAY_BEGIN_NAMESPACE

// The numbers are those in the file.
enum class MetadataType : uint32_t {
  u8 = 0,
  i8 = 1,
  u16 = 2,
  i16 = 3,
  u32 = 4,
  i32 = 5,
  f32 = 6,
  boolean = 7,
  string = 8,
  array = 9,
  u64 = 10,
  i64 = 11,
  f64 = 12
};

// One value of the metadata: a view into the file. An array's elements are reached by index in
// constant time for numbers; strings are walked in order with for_each_string (the file has no
// index for them).
class MetadataValue {
 public:
  MetadataType type() const noexcept { return type_; }
  // Of an array: type and number of its elements. Else: type() and 1.
  MetadataType element_type() const noexcept { return element_type_; }
  uint64_t size() const noexcept { return count_; }
  bool is_array() const noexcept { return type_ == MetadataType::array; }

  // The value (of element i) if its type can hold it without loss of meaning: any integer type
  // whose value is in range of the result; f32 and f64 for as_f64. False, and `*out` unchanged,
  // otherwise.
  bool as_u64(uint64_t* out, uint64_t i = 0) const noexcept;
  bool as_i64(int64_t* out, uint64_t i = 0) const noexcept;
  bool as_f64(double* out, uint64_t i = 0) const noexcept;  // from integers too
  bool as_bool(bool* out, uint64_t i = 0) const noexcept;
  bool as_string(std::string_view* out) const noexcept;  // not of an array

  // Calls f(index, string) for each element of an array of strings, or once for a string; nothing
  // for other types.
  template <class F>
  void for_each_string(F&& f) const {
    if (element_type_ != MetadataType::string) return;
    Strings strings = this->strings();
    for (uint64_t i = 0; i < count_; ++i) f(i, strings.next());
  }
  // The same, asked for one by one; as long as the file stays.
  class Strings {
   public:
    std::string_view next() noexcept {
      uint64_t length = 0;
      for (int b = 7; b >= 0; --b) length = length << 8 | at_[b];
      const char* const text = reinterpret_cast<const char*>(at_ + 8);
      at_ += 8 + length;
      return {text, static_cast<size_t>(length)};
    }

   private:
    friend class MetadataValue;
    const uint8_t* at_ = nullptr;
  };
  Strings strings() const noexcept {
    Strings all;
    all.at_ = data_;
    return all;
  }

 private:
  friend class Gguf;
  MetadataType type_ = MetadataType::u8, element_type_ = MetadataType::u8;
  uint64_t count_ = 0;
  const uint8_t* data_ = nullptr;
};

struct MetadataEntry {
  std::string_view key;
  MetadataValue value;
};

INLAY_END_NAMESPACE

#endif  // INLAY_GGUF_METADATA_HPP_
