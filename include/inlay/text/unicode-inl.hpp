#ifndef INLAY_TEXT_UNICODE_INL_HPP_
#define INLAY_TEXT_UNICODE_INL_HPP_

#include <algorithm>
#include <iterator>

#include "inlay/text/unicode.hpp"
#include "inlay/text/unicode_tables-inl.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

Category category_of(uint32_t code) noexcept {
  if (code >= kCodePoints) return Category::Cn;
  const uint32_t* after =
      std::upper_bound(std::begin(kCategoryRuns), std::end(kCategoryRuns), code << 5 | 31);
  return static_cast<Category>(after[-1] & 31);
}

bool normalize_utf8(std::string_view text, String* storage, std::string_view* out) noexcept {
  const char* const end = text.data() + text.size();
  const char* at = text.data();
  char encoded[4];
  const auto changes = [&](const DecodedCharacter& c) {
    return encode_utf8(c.code, encoded) != c.bytes || (c.code == kReplacement && c.bytes == 1);
  };
  while (at < end) {
    if (static_cast<uint8_t>(*at) < 0x80) {
      ++at;
      continue;
    }
    const DecodedCharacter c = decode_utf8(at, end);
    if (changes(c)) break;
    at += c.bytes;
  }
  *out = text;
  if (at == end) return true;

  storage->clear();
  if (!storage->append(text.data(), static_cast<size_t>(at - text.data()))) return false;
  while (at < end) {
    const DecodedCharacter c = decode_utf8(at, end);
    if (!storage->append(encoded, encode_utf8(c.code, encoded))) return false;
    at += c.bytes;
  }
  *out = view(*storage);
  return true;
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_TEXT_UNICODE_INL_HPP_
