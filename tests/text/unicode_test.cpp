#include "inlay/text/unicode.hpp"

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "support/mixed_text.hpp"

using namespace inlay;
using detail::decode_utf8;
using detail::kReplacement;

namespace {

std::vector<std::pair<uint32_t, uint32_t>> decode_all(const std::string& text) {
  std::vector<std::pair<uint32_t, uint32_t>> all;
  for (size_t at = 0; at < text.size();) {
    const detail::DecodedCharacter c = decode_utf8(text.data() + at, text.data() + text.size());
    all.push_back({c.code, c.bytes});
    at += c.bytes;
  }
  return all;
}

}  // namespace

TEST_CASE("utf-8: every code point comes back") {
  uint32_t wrong = 0;
  for (uint32_t code = 0; code < detail::kCodePoints; ++code) {
    char bytes[4];
    const uint32_t size = detail::encode_utf8(code, bytes);
    std::string expected;
    inlay_test::MixedText::append_utf8(&expected, code);
    const detail::DecodedCharacter c = decode_utf8(bytes, bytes + size);
    const bool same = std::string_view(bytes, size) == expected && c.code == code &&
                      c.bytes == size &&
                      detail::utf8_length(static_cast<uint8_t>(bytes[0])) == size;
    if (!same) ++wrong;
  }
  CHECK(wrong == 0);
}

TEST_CASE("utf-8: what is invalid, byte by byte") {
  using Codes = std::vector<std::pair<uint32_t, uint32_t>>;
  const Codes one{{kReplacement, 1}};
  const Codes two{{kReplacement, 1}, {kReplacement, 1}};
  const Codes three{{kReplacement, 1}, {kReplacement, 1}, {kReplacement, 1}};
  const Codes four{{kReplacement, 1}, {kReplacement, 1}, {kReplacement, 1}, {kReplacement, 1}};
  // Token ids of these in llama.cpp 0.7.0 with GPT-2's vocabulary are those of as many U+FFFD.
  CHECK(decode_all("\xFF") == one);
  CHECK(decode_all("\x80") == one);
  CHECK(decode_all("\xC3") == one);
  CHECK(decode_all("\xC0\x80") == two);           // overlong
  CHECK(decode_all("\xC1\xBF") == two);           // overlong
  CHECK(decode_all("\xE0\x9F\xBF") == three);     // overlong
  CHECK(decode_all("\xF0\x8F\xBF\xBF") == four);  // overlong
  CHECK(decode_all("\xF4\x90\x80\x80") == four);  // U+110000
  CHECK(decode_all("\xF8\x88\x80\x80") == four);
  CHECK(decode_all("\xE2\x80") == two);  // cut short
  CHECK(decode_all("\xE2\x80"
                   "A") == Codes{{kReplacement, 1}, {kReplacement, 1}, {'A', 1}});
  CHECK(decode_all("\xED\xA0\x80") == Codes{{0xD800, 3}});  // a surrogate is taken as it is
  CHECK(decode_all("\xEF\xBF\xBD") == Codes{{kReplacement, 3}});
}

TEST_CASE("normalize_utf8: valid text stays where it is, invalid bytes become U+FFFD") {
  detail::String storage;
  std::string_view out;
  const std::string valid = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x9A\x80\xED\xA0\x80\xEF\xBF\xBD";
  REQUIRE(detail::normalize_utf8(valid, &storage, &out));
  CHECK(out.data() == valid.data());
  CHECK(out == valid);
  REQUIRE(detail::normalize_utf8("", &storage, &out));
  CHECK(out.empty());

  inlay_test::MixedText random(7);
  for (int i = 0; i < 2000; ++i) {
    std::string text, expected;
    random.junk(&text);
    for (const auto& [code, bytes] : decode_all(text)) {
      inlay_test::MixedText::append_utf8(&expected, code);
    }
    REQUIRE(detail::normalize_utf8(text, &storage, &out));
    REQUIRE(out == expected);
  }
}

TEST_CASE(
    "categories: the table is in order, and right for characters whose category is well known") {
  detail::CategoryRun run = detail::first_category_run();
  uint32_t wrong = 0;
  for (uint32_t code = 0; code < detail::kCodePoints; ++code) {
    if (code == run.end) {
      const detail::Category before = run.category;
      run.next();
      REQUIRE(run.end > code);
      if (code != 0) REQUIRE(run.category != before);
    }
    if (detail::category_of(code) != run.category) ++wrong;
  }
  CHECK(wrong == 0);
  CHECK(run.end == detail::kCodePoints);
  using C = detail::Category;
  const std::pair<uint32_t, C> known[] = {
      // UnicodeData.txt, 15.1
      {'A', C::Lu},     {'a', C::Ll},     {'0', C::Nd},     {' ', C::Zs},     {'_', C::Pc},
      {'-', C::Pd},     {'(', C::Ps},     {')', C::Pe},     {'$', C::Sc},     {'+', C::Sm},
      {'^', C::Sk},     {'\n', C::Cc},    {0xAB, C::Pi},    {0xBB, C::Pf},    {0xAD, C::Cf},
      {0xB2, C::No},    {0x1C5, C::Lt},   {0x2B0, C::Lm},   {0x300, C::Mn},   {0x903, C::Mc},
      {0x20DD, C::Me},  {0x2160, C::Nl},  {0x2028, C::Zl},  {0x2029, C::Zp},  {0x4E00, C::Lo},
      {0xAC00, C::Lo},  {0xD800, C::Cs},  {0xE000, C::Co},  {0x1F600, C::So}, {0x378, C::Cn},
      {0x2EBF0, C::Lo}, {0x2EE5D, C::Lo}, {0x2EE5E, C::Cn}, {0x1C89, C::Cn},  {0x10FFFE, C::Cn},
      {0x10FFFD, C::Co}};
  for (const auto& [code, category] : known) {
    const uint32_t character = code;  // a structured binding cannot be captured
    CAPTURE(character);
    CHECK(detail::category_of(code) == category);
  }
}

TEST_CASE("unicode: categories, lower case and base characters") {
  using inlay::detail::base_character;
  using inlay::detail::Category;
  using inlay::detail::category_of;
  using inlay::detail::lower_case;
  // From UnicodeData.txt.
  CHECK(category_of(0) == Category::Cc);
  CHECK(category_of('A') == Category::Lu);
  CHECK(category_of('z') == Category::Ll);
  CHECK(category_of(0x301) == Category::Mn);
  CHECK(category_of(0xBD) == Category::No);
  CHECK(category_of(0x4E2D) == Category::Lo);
  CHECK(category_of(0x378) == Category::Cn);
  CHECK(category_of(0x1F600) == Category::So);
  CHECK(category_of(0x10FFFF) == Category::Cn);
  CHECK(lower_case('Q') == 'q');
  CHECK(lower_case('[') == '[');
  CHECK(lower_case(0xC9) == 0xE9);
  CHECK(lower_case(0xD7) == 0xD7);    // the sign between capital letters
  CHECK(lower_case(0x100) == 0x101);  // every second one
  CHECK(lower_case(0x101) == 0x101);
  CHECK(lower_case(0x130) == 'i');
  CHECK(lower_case(0x1C5) == 0x1C6);
  CHECK(lower_case(0x10400) == 0x10428);
  CHECK(lower_case(0x10FFFF) == 0x10FFFF);
  CHECK(base_character(0xC9) == 'E');
  CHECK(base_character(0xBF) == 0xBF);
  CHECK(base_character(0x1EA4) == 'A');     // by way of U+00C2
  CHECK(base_character(0xFB01) == 0xFB01);  // a compatibility decomposition is none
  CHECK(base_character(0xF900) == 0x8C48);
  CHECK(base_character(0xAC00) == 0x1100);
  CHECK(base_character(0xD7A3) == 0x1112);
  CHECK(base_character(0x2FA1D) == 0x2A600);
}

TEST_CASE("unicode: every character's properties are those of UnicodeData.txt") {
  uint64_t hash = 14695981039346656037u;
  const auto add = [&](uint32_t word) { hash = (hash ^ word) * 1099511628211u; };
  for (uint32_t code = 0; code < detail::kCodePoints; ++code) {
    add(static_cast<uint32_t>(detail::category_of(code)));
    add(detail::lower_case(code));
    add(detail::base_character(code));
  }
  CHECK(hash == 0x5cc7f184059798ce);  // printed by tests/golden/unicode_tables.py
}
