#include "inlay/text/pre_tokenizer.hpp"

#include <doctest/doctest.h>

#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "inlay/text/regex.hpp"

using namespace inlay;
using detail::find_pre_tokenizer;
using detail::PreTokenizer;
using detail::RegexSplitter;

namespace {

// The words of a text, with a | between them.
std::string words(const char* pre, const std::string& text) {
  const PreTokenizer* row = find_pre_tokenizer(pre);
  REQUIRE(row != nullptr);
  const Result<RegexSplitter> splitter =
      RegexSplitter::create({row->patterns, row->pattern_count()}, Allocator());
  REQUIRE(splitter);
  std::vector<uint8_t> marks(text.size());
  uint64_t steps = 0;
  detail::mark_digit_groups(row->digit_groups, text, marks);
  REQUIRE(splitter->split(text, Allocator(), marks, &steps));
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (i > 0 && RegexSplitter::is_boundary(marks[i])) out += '|';
    out += text[i];
  }
  return out;
}

}  // namespace

TEST_CASE("pre-tokenizers: every row compiles, and every name leads to its row") {
  std::set<std::string> seen;
  for (const PreTokenizer& row : detail::pre_tokenizers()) {
    CAPTURE(row.names);
    REQUIRE(row.pattern_count() > 0);
    const Result<RegexSplitter> splitter =
        RegexSplitter::create({row.patterns, row.pattern_count()}, Allocator());
    REQUIRE_MESSAGE(splitter.has_value(), splitter.error().message());
    // Their tables stay in a processor's first cache, except for one that counts to 512.
    const size_t most = std::string(row.names) == "jais-2" ? 1100 : 80;
    CHECK(splitter->class_count() < 64);
    for (size_t i = 0; i < row.pattern_count(); ++i) CHECK(splitter->state_count(i) < most);
    std::istringstream names{row.names};
    for (std::string name; names >> name;) {
      CHECK(find_pre_tokenizer(name) == &row);
      CHECK(seen.insert(name).second);
    }
  }
  for (const char* name : {"default", "gpt-2", "llama-bpe", "qwen2", "starcoder", "deepseek-coder",
                           "deepseek-llm", "falcon"}) {
    CHECK(seen.count(name) == 1);
  }
  for (const char* name : {"", " ", "gpt", "gpt-2 ", "gpt-2 phi-2", "llama", "nobody"}) {
    CHECK(find_pre_tokenizer(name) == nullptr);
  }
  CHECK(find_pre_tokenizer("default") == detail::pre_tokenizers().data());
  const auto flags = [](const char* name) { return find_pre_tokenizer(name)->flags; };
  CHECK(flags("llama3") == (detail::kIgnoreMerges | detail::kAddBos));
  CHECK(flags("dbrx") == 0);
  CHECK(flags("chatglm-bpe") == detail::kNoBos);
  CHECK(flags("roberta-bpe") == detail::kSeparated);
  CHECK((flags("gemma4") & detail::kRawUtf8) != 0);
}

TEST_CASE("pre-tokenizers: what tells the rows apart") {
  // By hand from the patterns of the models' tokenizer.json.
  const std::string text = "It's 12345  x+=1;\r\n\r\n\tDON'T $5.00";
  CHECK(words("gpt-2", text) == "It|'s| 12345| | x|+=|1|;|\r\n\r\n|\t|DON|'|T| $|5|.|00");
  CHECK(words("llama-bpe", text) == "It|'s| |123|45| | x|+=|1|;\r\n\r\n|\tDON|'T| $|5|.|00");
  CHECK(words("qwen2", text) == "It|'s| |1|2|3|4|5| | x|+=|1|;\r\n\r\n|\tDON|'T| $|5|.|0|0");
  CHECK(words("starcoder", text) == "It|'s| |1|2|3|4|5| | x|+=|1|;|\r\n\r\n|\t|DON|'|T| $|5|.|0|0");
  CHECK(words("falcon", text) == "It|'|s| |123|45| | x|+=|1|;|\r\n\r\n|\t|DON|'|T| |$|5|.|00");
  CHECK(words("default", text) == "It|'|s| |123|45| | x|+=|1|;|\r\n\r\n|\t|DON|'|T| |$|5|.|00");
  CHECK(words("deepseek-coder", text) ==
        "It|'|s| |1|2|3|4|5| | x|+=|1|;|\r|\n|\r|\n|\tDON|'|T| $|5|.|0|0");
  CHECK(words("deepseek-llm", text) ==
        "It|'|s| |12345| | x|+=|1|;|\r|\n|\r|\n|\tDON|'|T| $|5|.|00");
  // Marks are letters to qwen35 alone: e and a combining acute accent.
  CHECK(words("qwen2",
              "ne\xCC\x81"
              "e") ==
        "ne|\xCC\x81"
        "e");
  CHECK(words("qwen35",
              "ne\xCC\x81"
              "e") ==
        "ne\xCC\x81"
        "e");
  // A long s after an apostrophe, as llama.cpp 0.7.0 cuts it.
  CHECK(words("k2-horizon", "x'\xC5\xBFy") == "x|'\xC5\xBF|y");
  CHECK(words("llama3", "x'\xC5\xBFy") == "x|'\xC5\xBFy");
  // Han and kana; the range :-~ of the third pattern has the letters of ASCII in it.
  CHECK(words("deepseek-llm", "\xE4\xB8\xAD\xE6\x96\x87\xE3\x81\x82 \xD0\xB0\xD0\xB1 a\xD0\xB1") ==
        "\xE4\xB8\xAD\xE6\x96\x87\xE3\x81\x82| \xD0\xB0\xD0\xB1| a|\xD0\xB1");
}

TEST_CASE("pre-tokenizers: digits in groups from the right") {
  // By hand from the pattern of tiny_aya's tokenizer.json, \\d{1,3}(?=(?:\\d{3})*\\b), but that the
  // text before the first group stays with it until another pattern cuts it off, as in llama.cpp.
  const auto groups = [](detail::DigitGroups kind, const std::string& text) {
    std::vector<uint8_t> marks(text.size());
    detail::mark_digit_groups(kind, text, marks);
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
      if (i > 0 && marks[i] != 0) out += '|';
      out += text[i];
    }
    return out;
  };
  using detail::DigitGroups;
  CHECK(groups(DigitGroups::all, "a1234567b12c123") == "a1|234|567|b12|c123");
  CHECK(groups(DigitGroups::all,
               "\xD9\xA1"
               "123") == "\xD9\xA1|123");
  CHECK(groups(DigitGroups::ascii, "a1234567b12c123") == "a1|234|567b12c|123");
  CHECK(groups(DigitGroups::ascii,
               "\xD9\xA1"
               "123") == "\xD9\xA1|123");
  CHECK(groups(DigitGroups::none, "1234") == "1234");
  CHECK(words("tiny_aya", "x1234567 y") == "x|1|234|567| y");
  CHECK(words("superbpe", "x1234567 12") == "x|1|234|567| |12");
}
