#include "inlay/text/regex.hpp"

#include <doctest/doctest.h>

#include <iterator>
#include <regex>
#include <string>
#include <vector>

#include "inlay/text/unicode.hpp"
#include "support/counting_allocator.hpp"
#include "support/mixed_text.hpp"

using namespace inlay;
using detail::RegexSplitter;

namespace {

RegexSplitter compile(const std::vector<const char*>& patterns) {
  Result<RegexSplitter> splitter =
      RegexSplitter::create({patterns.data(), patterns.size()}, Allocator());
  REQUIRE_MESSAGE(splitter.has_value(), splitter.error().message());
  return std::move(*splitter);
}

std::vector<std::string> split(const RegexSplitter& splitter, const std::string& text) {
  std::vector<uint8_t> marks(text.size());
  uint64_t steps = 0;
  REQUIRE(splitter.split(text, Allocator(), marks, &steps));
  std::vector<std::string> pieces;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = begin + 1;
    while (end < text.size() && !RegexSplitter::is_boundary(marks[end])) ++end;
    pieces.push_back(text.substr(begin, end - begin));
    begin = end;
  }
  return pieces;
}
std::vector<std::string> split(const std::vector<const char*>& patterns, const std::string& text) {
  return split(compile(patterns), text);
}

using Pieces = std::vector<std::string>;

// The standard library's, for ASCII: backtracking, with the same priorities.
Pieces reference(const std::vector<const char*>& patterns, const std::string& text) {
  Pieces pieces{text};
  for (const char* pattern : patterns) {
    std::string ascii = pattern;
    const auto replace = [&ascii](const std::string& from, const std::string& to) {
      for (size_t at; (at = ascii.find(from)) != std::string::npos;)
        ascii.replace(at, from.size(), to);
    };
    for (const char* bracket :
         {"[", "[^", "[^\\s", "[^\\r\\n", "[^\\r\\n\\p{L}", "[^\\s\\p{L}", "[^\\s\\p{L}\\p{M}"}) {
      // Inside of a class the ranges alone, outside of one a class of them.
      replace(std::string(bracket) + "\\p{L}", std::string(bracket) + "A-Za-z");
      replace(std::string(bracket) + "A-Za-z\\p{N}", std::string(bracket) + "A-Za-z0-9");
    }
    replace("\\p{L}", "[A-Za-z]");
    replace("\\p{N}", "[0-9]");
    const std::regex regex(ascii);
    Pieces next;
    for (const std::string& piece : pieces) {
      size_t done = 0;
      for (std::sregex_iterator it(piece.begin(), piece.end(), regex), end; it != end; ++it) {
        const auto begin = static_cast<size_t>(it->position()),
                   size = static_cast<size_t>(it->length());
        if (begin > done) next.push_back(piece.substr(done, begin - done));
        next.push_back(piece.substr(begin, size));
        done = begin + size;
      }
      if (done < piece.size()) next.push_back(piece.substr(done));
    }
    pieces = std::move(next);
  }
  return pieces;
}

}  // namespace

TEST_CASE("regex: as the standard library's on random ASCII") {
  const std::vector<std::vector<const char*>> lists = {
      {R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S))"},
      {R"((?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
      {R"(\p{N})", R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S))"},
      {R"([\r\n])", R"(\s?\p{L}+)", R"(\s?[!-/:-~]+)", R"(\s+$)", R"(\p{N}+)"},
      {"[0-9][0-9][0-9]"},
      {"a|ab|abc", "b"},
      {"abc|ab|a"},
      {"(a|ab)(c|bcd)(d*)"},
      {"(?:ab?)+c?|b{2,3}|c{3,}"},
      {"x*y|x"},
      {"a{2}|a{0,1}b"},
      {"(?=[ab])[a-z]+[^c]|d(?=e)"},
      {R"(\d+\D|\S\s|[\s\d]+)"},
      {R"( ?[^(\s|.,!?)]+)"},
      {R"(\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1})"},
      {R"([\-\]\[a-c]+|\(|\))"},
      {"a+b|aa"},
      {"a+$|a"},
  };
  const std::string alphabets[] = {"abcde", "ab", "aA'sStrevl 1\n", " \n\t\r", "ab1 .,'!?()-[]~\n",
                                   " 123,", "xy "};
  inlay_test::MixedText random(3);
  for (const auto& patterns : lists) {
    CAPTURE(std::string(patterns[0]));
    const RegexSplitter splitter = compile(patterns);
    for (int round = 0; round < 400; ++round) {
      const std::string& alphabet =
          alphabets[random.below(static_cast<uint32_t>(std::size(alphabets)))];
      std::string text;
      for (uint32_t i = 0, n = random.below(40); i < n; ++i) {
        text += alphabet[random.below(static_cast<uint32_t>(alphabet.size()))];
      }
      CAPTURE(text);
      REQUIRE(split(splitter, text) == reference(patterns, text));
    }
  }
}

TEST_CASE("regex: characters beyond ASCII") {
  CHECK(split({R"(\p{L}+)"},
              "stra\xC3\x9F"
              "e1\xD0\xB0\xD0\xB1") == Pieces{"stra\xC3\x9F"
                                              "e",
                                              "1", "\xD0\xB0\xD0\xB1"});
  CHECK(split({R"(\p{Lu}\p{Ll}*)"}, "\xC3\x89t\xC3\xA9T") == Pieces{"\xC3\x89t\xC3\xA9", "T"});
  CHECK(split({R"(\P{N}+)"},
              "\xC3\xA9"
              "1\xC2\xBD") == Pieces{"\xC3\xA9", "1\xC2\xBD"});
  CHECK(split({R"([\u4E00-\u9FA5]+)"}, "a\xE4\xB8\xAD\xE6\x96\x87") ==
        Pieces{"a", "\xE4\xB8\xAD\xE6\x96\x87"});
  CHECK(split({R"(\u{1F600}|[\u{1F680}-\u{1F6FF}])"},
              "\xF0\x9F\x98\x80\xF0\x9F\x9A\x80\xF0\x9F\x98\x81\xF0\x9F\x98\x81") ==
        Pieces{"\xF0\x9F\x98\x80", "\xF0\x9F\x9A\x80", "\xF0\x9F\x98\x81\xF0\x9F\x98\x81"});
  CHECK(split({"\xC3\xA9+"}, "e\xC3\xA9\xC3\xA9") == Pieces{"e", "\xC3\xA9\xC3\xA9"});
  CHECK(split({R"(\p{Han}+)"}, "\xE3\x80\x80\xE4\xB8\xAD\xE3\x81\x82") ==
        Pieces{"\xE3\x80\x80", "\xE4\xB8\xAD", "\xE3\x81\x82"});
  // Whitespace outside ASCII is U+000B: in \s, and not in a range around it.
  CHECK(split({R"(\s+)"}, "a\xC2\xA0\xE3\x80\x80 b") == Pieces{"a", "\xC2\xA0\xE3\x80\x80 ", "b"});
  CHECK(split({R"([\u3000-\u3002]+)"}, "\xE3\x80\x80\xE3\x80\x82") ==
        Pieces{"\xE3\x80\x80", "\xE3\x80\x82"});
}

TEST_CASE("regex: every text is the sum of its pieces") {
  const RegexSplitter splitter =
      compile({R"(\s?\p{L}+)", R"([^\r\n\p{L}\p{N}]?\p{M}+|\p{N}{1,3})", R"(\s+$)"});
  for (uint32_t seed = 0; seed < 20; ++seed) {
    std::string text = inlay_test::MixedText(seed).make(5000);
    // Only well-formed text may be split.
    detail::String storage;
    std::string_view normal;
    REQUIRE(detail::normalize_utf8(text, &storage, &normal));
    text = std::string(normal);
    std::string sum;
    for (const std::string& piece : split(splitter, text)) {
      REQUIRE(!piece.empty());
      REQUIRE((static_cast<uint8_t>(piece[0]) & 0xC0) != 0x80);
      sum += piece;
    }
    REQUIRE(sum == text);
  }
}

TEST_CASE("regex: any letter case, dots and word characters") {
  CHECK(split({"(?i:'ll|[d-f]x)|."}, "a'Ll'LLEX\nfx") ==
        Pieces{"a", "'Ll", "'LL", "EX", "\n", "fx"});
  CHECK(split({"(?i:s)+"}, "aSstTzZ[") == Pieces{"a", "Ss", "tTzZ["});
  CHECK(split({"(?i:[^m-s])+"}, "aMnSt\xC3\xA9") == Pieces{"a", "MnS", "t\xC3\xA9"});
  CHECK(split({"(?i:a)b"}, "ABAbab") == Pieces{"AB", "Ab", "ab"});
  CHECK(split({R"(\w+)"}, "a_1-\xC3\xA9\xCC\x81 b") ==
        Pieces{"a_1", "-", "\xC3\xA9\xCC\x81", " ", "b"});
  CHECK(split({R"(\W+)"}, "a_1-+b") == Pieces{"a_1", "-+", "b"});
  // Digits of any script, but no other numbers.
  CHECK(split({R"(\d+)"}, "1\xD9\xA1\xC2\xBD") == Pieces{"1\xD9\xA1", "\xC2\xBD"});
}

TEST_CASE("regex: possessive repetitions give nothing back") {
  CHECK(split({"a*+ab|a"}, "aaab") == Pieces{"a", "a", "a", "b"});
  CHECK(split({"a*ab|a"}, "aaab") == Pieces{"aaab"});
  CHECK(split({"a++b|a"}, "aaabaa") == Pieces{"aaab", "a", "a"});
  CHECK(split({"a?+ab"}, "aabab") == Pieces{"aab", "ab"});
  CHECK(split({"a?+a"}, "a") == Pieces{"a"});
  CHECK(split({"a?+ac|b"}, "acb") == Pieces{"ac", "b"});
  CHECK(split({"a{1,3}+ab"}, "aaaab") == Pieces{"aaaab"});
  CHECK(split({"xa{1,3}+ab|x"}, "xaabxaaaab") == Pieces{"x", "aab", "xaaaab"});
  CHECK(split({"xa{2}+ab|x"}, "xaab") == Pieces{"x", "aab"});
  // As Bailing's tokenizer.json has it.
  CHECK(split({R"([^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s++$|\s+)"},
              "It's 12 +-*\n\n x  ") == Pieces{"It", "'s", " ", "1", "2", " +-*\n\n", " x", "  "});
}

TEST_CASE("regex: work grows with the text, whatever is in it") {
  // Steps for a text and for one ten times as long. Without a memory of scans that failed the
  // second would take a hundred times the first's.
  const auto steps = [](const RegexSplitter& splitter, const std::string& text) {
    std::vector<uint8_t> marks(text.size());
    uint64_t count = 0;
    REQUIRE(splitter.split(text, Allocator(), marks, &count));
    return count;
  };
  const std::vector<std::vector<const char*>> lists = {{R"(\s+$)"},
                                                       {"a*b|c"},
                                                       {"a+b|a"},
                                                       {"(?:aaa)*b|a"},
                                                       {"(?:aa)*c|(?:aaaaa)*b|a"},
                                                       {R"(\s*[\r\n]+|\s{16}(?!\S)|\s)"},
                                                       {"(?:a|b)*c|[ab]", "a+b|a"}};
  const std::string units[] = {"a", " ", "ab", "aab", " a", "aaaaaaa b"};
  for (const auto& patterns : lists) {
    CAPTURE(std::string(patterns[0]));
    const RegexSplitter splitter = compile(patterns);
    for (const std::string& unit : units) {
      CAPTURE(unit);
      std::string text;
      while (text.size() < 3000) text += unit;
      std::string longer;
      for (int i = 0; i < 10; ++i) longer += text;
      CHECK(steps(splitter, longer) < 12 * steps(splitter, text));
      CHECK(steps(splitter, longer + "x") < 12 * steps(splitter, text + "x"));
    }
  }
}

TEST_CASE("regex: what is not supported is named") {
  for (const char* pattern :
       {"(",       "a)",    "[a",          "a|*",    "+",      "a**",     "(ab)++",  "(?<=a)b",
        "(?=ab)",  "\\b",   "a*?",         "^a",     "(?m:a)", "\\p{Xx}", "\\pXL",   "\\p{Lu",
        "\\u{41F", "\\u12", "\\u{110000}", "a{3,1}", "a{",     "a{,2}",   "a{9999}", "[z-a]",
        "\\",      "a\\",   "[\\",         "(?",     "(?:"}) {
    CAPTURE(pattern);
    const Result<RegexSplitter> splitter = RegexSplitter::create({&pattern, 1}, Allocator());
    REQUIRE(!splitter);
    CHECK(splitter.error().code() == ErrorCode::bad_argument);
    CHECK(std::string(splitter.error().message()).find(pattern) != std::string::npos);
  }
  // Written out, some would be longer than any memory.
  for (const char* pattern : {"((a{900}){900}){900}", "(a|aa){1000}{1000}",
                              "(a*){1000}(b|c{1000}){900}", "(a|b)*a(a|b){30}"}) {
    CAPTURE(pattern);
    const Result<RegexSplitter> splitter = RegexSplitter::create({&pattern, 1}, Allocator());
    REQUIRE(!splitter);
    CHECK(splitter.error().code() != ErrorCode::out_of_memory);
  }
  const std::string deep = std::string(40, '(') + "a" + std::string(40, ')');
  const char* pattern = deep.c_str();
  CHECK(!RegexSplitter::create({&pattern, 1}, Allocator()));
}

TEST_CASE("when any one allocation fails, a regex says so") {
  const char* const patterns[] = {R"( ?\p{L}+|\s+(?!\S))", R"(\s+$)"};
  const std::string text = std::string(500, ' ') + "x";
  for (size_t fail_at = 0;; ++fail_at) {
    inlay_test::CountingAllocator memory(fail_at);
    bool ok = false;
    {
      const Result<RegexSplitter> splitter = RegexSplitter::create(patterns, memory.get());
      std::vector<uint8_t> marks(text.size());
      uint64_t steps = 0;
      ok = splitter && splitter->split(text, memory.get(), marks, &steps);
      if (!splitter) CHECK(splitter.error().code() == ErrorCode::out_of_memory);
    }
    CHECK(memory.live_blocks() == 0);
    CHECK(ok != memory.failed());
    if (!memory.failed()) break;
    REQUIRE(fail_at < 1000);
  }
}
