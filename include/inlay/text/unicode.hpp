// Code points, UTF-8 and general categories, with the exact leniency of llama.cpp's tokenizer.
#ifndef INLAY_TEXT_UNICODE_HPP_
#define INLAY_TEXT_UNICODE_HPP_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "inlay/core/memory.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

inline constexpr uint32_t kCodePoints = 0x110000;
inline constexpr uint32_t kReplacement = 0xFFFD;

// General categories by their names in the Unicode Character Database; Cn is unassigned.
enum class Category : uint8_t {
  // clang-format off
  Cn, Lu, Ll, Lt, Lm, Lo, Mn, Mc, Me, Nd, Nl, No, Pc, Pd, Ps, Pe, Pi, Pf, Po, Sm, Sc, Sk, So, Zs, Zl, Zp, Cc, Cf, Cs, Co
  // clang-format on
};
inline constexpr uint32_t kCategories = 30;

// The category of a code point below kCodePoints.
Category category_of(uint32_t code) noexcept;

// Code points of one category, up to `end`; next() goes from one run to the next, up to
// kCodePoints.
struct CategoryRun {
  const uint8_t* at;
  uint32_t end;
  Category category;
  void next() noexcept;
};
CategoryRun first_category_run() noexcept;  // the one before the first

// Whether it is of one of the categories whose names begin with the letter: L, M, N, P, S, C.
constexpr bool is_letter(Category c) noexcept { return c >= Category::Lu && c <= Category::Lo; }
constexpr bool is_mark(Category c) noexcept { return c >= Category::Mn && c <= Category::Me; }
constexpr bool is_number(Category c) noexcept { return c >= Category::Nd && c <= Category::No; }
constexpr bool is_punctuation(Category c) noexcept {
  return c >= Category::Pc && c <= Category::Po;
}
constexpr bool is_symbol(Category c) noexcept { return c >= Category::Sm && c <= Category::So; }
constexpr bool is_control(Category c) noexcept { return c >= Category::Cc; }

// Its lower case, or itself.
uint32_t lower_case(uint32_t code) noexcept;

// The first character of its canonical decomposition, or itself: letters without their accents.
uint32_t base_character(uint32_t code) noexcept;

// What \s means: White_Space of Unicode, as Python's and Rust's regexes have it.
constexpr bool is_whitespace(uint32_t code) noexcept {
  return (code >= 0x09 && code <= 0x0D) || code == 0x20 || code == 0x85 || code == 0xA0 ||
         code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 || code == 0x2029 ||
         code == 0x202F || code == 0x205F || code == 0x3000;
}

// Bytes that a UTF-8 character has according to its first byte alone; 1 for a byte that cannot be
// first.
constexpr uint32_t utf8_length(uint8_t first) noexcept {
  return first < 0xC0 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
}

struct DecodedCharacter {
  uint32_t code;   // kReplacement for a byte that starts no character
  uint32_t bytes;  // consumed: 1 to 4
};

// Decodes the character at `at` < `end`. Surrogates are taken as they are: llama.cpp does so, and
// token ids depend on it. Every byte of an overlong form, of one beyond U+10FFFF or of one cut
// short is invalid.
inline DecodedCharacter decode_utf8(const char* at, const char* end) noexcept {
  const auto byte = [at](size_t i) { return static_cast<uint32_t>(static_cast<uint8_t>(at[i])); };
  const uint32_t first = byte(0);
  if (first < 0x80) return {first, 1};
  constexpr DecodedCharacter kInvalid{kReplacement, 1};
  if (first < 0xC0 || first >= 0xF8) return kInvalid;
  const uint32_t length = utf8_length(static_cast<uint8_t>(first));
  if (static_cast<size_t>(end - at) < length) return kInvalid;
  uint32_t code = first & (0x7Fu >> length);
  for (uint32_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return kInvalid;
    code = code << 6 | (byte(i) & 0x3F);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};  // that needs so many bytes
  if (code < kLeast[length] || code >= kCodePoints) return kInvalid;
  return {code, length};
}

// Writes `code` < kCodePoints to `out` and returns the number of bytes.
inline uint32_t encode_utf8(uint32_t code, char out[4]) noexcept {
  if (code < 0x80) {
    out[0] = static_cast<char>(code);
    return 1;
  }
  const uint32_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  for (uint32_t i = length - 1; i > 0; --i) {
    out[i] = static_cast<char>(0x80 | (code & 0x3F));
    code >>= 6;
  }
  out[0] = static_cast<char>((0xF00u >> length & 0xF0) | code);
  return length;
}

// `text` with U+FFFD for each invalid byte. That is `text` itself if it has none, else it is
// written to `*storage`. False: out of memory.
[[nodiscard]] bool normalize_utf8(std::string_view text, String* storage,
                                  std::string_view* out) noexcept;

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_TEXT_UNICODE_HPP_
