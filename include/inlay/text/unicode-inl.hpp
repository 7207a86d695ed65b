#ifndef INLAY_TEXT_UNICODE_INL_HPP_
#define INLAY_TEXT_UNICODE_INL_HPP_

#include "inlay/text/unicode.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

bool normalize_utf8(std::string_view text, String* storage, std::string_view* out) noexcept {
  const char* const end = text.data() + text.size();
  const char* at = text.data();
  while (at < end) {
    if (static_cast<uint8_t>(*at) < 0x80) {
      ++at;
      continue;
    }
    const DecodedCharacter c = decode_utf8(at, end);
    if (c.code == kReplacement && c.bytes == 1) break;
    at += c.bytes;
  }
  *out = text;
  if (at == end) return true;

  storage->clear();
  if (!storage->append(text.data(), static_cast<size_t>(at - text.data()))) return false;
  while (at < end) {
    const DecodedCharacter c = decode_utf8(at, end);
    char encoded[4];
    if (!storage->append(encoded, encode_utf8(c.code, encoded))) return false;
    at += c.bytes;
  }
  *out = view(*storage);
  return true;
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_TEXT_UNICODE_INL_HPP_
