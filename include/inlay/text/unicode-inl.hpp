#ifndef INLAY_TEXT_UNICODE_INL_HPP_
#define INLAY_TEXT_UNICODE_INL_HPP_

#include <algorithm>
#include <iterator>

#include "inlay/text/unicode.hpp"
#include "inlay/text/unicode_tables-inl.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

static uint32_t read_number(const uint8_t*& at) noexcept {
  uint32_t number = 0;
  for (uint32_t shift = 0;; shift += 7) {
    number |= static_cast<uint32_t>(*at & 127) << shift;
    if (*at++ < 128) return number;
  }
}

// The last mark at `code` or before.
template <size_t count>
static const CodeMark* find_mark(const CodeMark (&marks)[count], uint32_t code) noexcept {
  return std::upper_bound(std::begin(marks), std::end(marks), code,
                          [](uint32_t c, const CodeMark& m) { return c < m.code; }) -
         1;
}

void CategoryRun::next() noexcept {
  category = static_cast<Category>(*at & 31);
  const uint32_t length = *at++ >> 5;
  end += length != 0 ? length : read_number(at);
}

CategoryRun first_category_run() noexcept { return {kCategoryRuns, 0, Category::Cn}; }

Category category_of(uint32_t code) noexcept {
  const CodeMark& mark = *find_mark(kCategoryRunsMarks, code);
  CategoryRun run = {kCategoryRuns + mark.at, mark.code, Category::Cn};
  while (run.end <= code) run.next();
  return run.category;
}

uint32_t lower_case(uint32_t code) noexcept {
  if (code < 0x80) return code >= 'A' && code <= 'Z' ? code + ('a' - 'A') : code;
  const LowerRun* const run =
      std::lower_bound(std::begin(kLowerRuns), std::end(kLowerRuns), code,
                       [](const LowerRun& r, uint32_t c) { return r.last() < c; });
  if (run == std::end(kLowerRuns) || code < run->first || (code - run->first) % run->step != 0) {
    return code;
  }
  return code + static_cast<uint32_t>(run->difference);
}

uint32_t base_character(uint32_t code) noexcept {
  if (code < 0xC0) return code;
  // Each initial consonant of Hangul has 21 vowels and 28 finals (Unicode, section 3.12).
  if (code >= 0xAC00 && code <= 0xD7A3) return 0x1100 + (code - 0xAC00) / (21 * 28);
  const CodeMark* const mark = find_mark(kDecompositionsMarks, code);
  const bool is_last = mark + 1 == std::end(kDecompositionsMarks);
  const uint8_t* at = kDecompositions + mark->at;
  const uint8_t* const end = is_last ? std::end(kDecompositions) : kDecompositions + mark[1].at;
  uint32_t reached = mark->code - 1, base = 0;
  while (reached < code && at < end) {
    const uint32_t change = read_number(at);
    reached += (change & 1) != 0 ? read_number(at) : 1;
    base += (change & 2) != 0 ? ~(change >> 2) : change >> 2;
  }
  return reached == code ? base : code;
}

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
