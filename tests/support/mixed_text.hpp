// A megabyte of everything, the same on every machine: code, prose in many scripts, emoji, odd
// whitespace, binary junk. For comparing tokenizers; tests/golden/tokenizer.py has llama.cpp's ids
// of it.
#ifndef INLAY_TESTS_SUPPORT_MIXED_TEXT_HPP_
#define INLAY_TESTS_SUPPORT_MIXED_TEXT_HPP_

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>

namespace inlay_test {

class MixedText {
 public:
  explicit MixedText(uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15u + 1) {}

  std::string make(size_t bytes) {
    std::string text;
    while (text.size() < bytes) {
      switch (below(12)) {
        case 0:
        case 1:
        case 2:
          code(&text);
          break;
        case 3:
        case 4:
          english(&text);
          break;
        case 5:
        case 6:
        case 7:
        case 8:
          prose(&text);
          break;
        case 9:
          numbers(&text);
          break;
        case 10:
          emoji(&text);
          break;
        default:
          below(3) == 0 ? junk(&text) : characters(&text);
          break;
      }
      text += below(4) == 0 ? whitespace() : below(2) == 0 ? "\n" : " ";
    }
    text.resize(bytes);
    return text;
  }

  // splitmix64: https://prng.di.unimi.it/splitmix64.c
  uint64_t next() {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  uint32_t below(uint32_t n) { return static_cast<uint32_t>(next() % n); }

  static void append_utf8(std::string* text, uint32_t code) {
    const auto put = [text](uint32_t byte) { text->push_back(static_cast<char>(byte)); };
    if (code < 0x80) return put(code);
    if (code < 0x800) return put(0xC0 | code >> 6), put(0x80 | (code & 63));
    if (code < 0x10000)
      return put(0xE0 | code >> 12), put(0x80 | (code >> 6 & 63)), put(0x80 | (code & 63));
    put(0xF0 | code >> 18), put(0x80 | (code >> 12 & 63)), put(0x80 | (code >> 6 & 63)),
        put(0x80 | (code & 63));
  }

  // Any bytes; half of them such as begin or continue a character.
  void junk(std::string* text) {
    for (uint32_t i = 0, n = 1 + below(40); i < n; ++i) {
      const uint32_t byte = below(2) == 0 ? 0x80 + below(0x80) : below(256);
      text->push_back(static_cast<char>(byte));
    }
  }

 private:
  template <size_t n>
  std::string_view pick(const std::string_view (&list)[n]) {
    return list[below(n)];
  }

  std::string whitespace() {
    static constexpr std::string_view kSpaces[] = {
        " ",        "  ",           "   ",          "\n",           "\n\n",
        "\n\n\n",   "\t",           "\t\t",         "\r\n",         "\r\n\r\n",
        " \n",      "\n ",          "\v",           "\f",           "    ",
        "        ", " \t ",         "\xC2\xA0",     "\xE3\x80\x80", "\xE2\x80\x83",
        "\xC2\x85", "\xE2\x80\xA8", "\xE2\x80\x8B", "\x1F",         "\xEF\xBB\xBF"};
    std::string s;
    for (uint32_t i = 0, n = 1 + below(3); i < n; ++i) s += pick(kSpaces);
    return s;
  }

  void code(std::string* text) {
    static constexpr std::string_view kWords[] = {
        "int",        "return",   "if",       "for",      "while",   "std::vector", "size_t",
        "const",      "auto",     "template", "def",      "self",    "import",      "function",
        "var",        "let",      "x",        "i",        "n",       "foo_bar",     "getValue",
        "HTTPServer", "kMaxSize", "__init__", "#include", "#define", "nullptr",     "struct",
        "public:",    "0x7fff",   "1e-5f",    "3.14159",  "true",    "SELECT",      "FROM",
        "printf",     "malloc",   "argv",     "TODO"};
    static constexpr std::string_view kMarks[] = {
        "(",  ")",   "{",  "}",  "[", "]",  ";",  ",",  ".",   "->", "::", "=",
        "==", "!=",  "<=", ">=", "+", "++", "+=", "-",  "*",   "/",  "//", "/*",
        "*/", "&&",  "||", "!",  "~", "^",  "%",  "<<", ">>",  "?",  ":",  "\"",
        "'",  "\\n", "@",  "$",  "#", "`",  "_",  "|",  "...", "'s", "'LL"};
    for (uint32_t line = 0, lines = 1 + below(8); line < lines; ++line) {
      const uint32_t indent = 4 * below(4);
      text->append(indent, below(6) == 0 ? '\t' : ' ');
      for (uint32_t i = 0, n = 2 + below(12); i < n; ++i) {
        *text += below(2) == 0 ? pick(kWords) : pick(kMarks);
        if (below(2) == 0) *text += ' ';
      }
      *text += below(10) == 0 ? "\r\n" : "\n";
    }
  }

  void english(std::string* text) {
    static constexpr std::string_view kWords[] = {"the",
                                                  "of",
                                                  "and",
                                                  "to",
                                                  "in",
                                                  "a",
                                                  "is",
                                                  "that",
                                                  "it",
                                                  "was",
                                                  "I'm",
                                                  "you're",
                                                  "don't",
                                                  "we'll",
                                                  "they've",
                                                  "she'd",
                                                  "it's",
                                                  "IT'S",
                                                  "WE'RE",
                                                  "There",
                                                  "which",
                                                  "government",
                                                  "understanding",
                                                  "tokenizer",
                                                  "language",
                                                  "model",
                                                  "quick",
                                                  "brown",
                                                  "fox",
                                                  "jumps",
                                                  "na\xC3\xAFve",
                                                  "caf\xC3\xA9",
                                                  "stra\xC3\x9F"
                                                  "e",
                                                  "co\xC3\xB6perate",
                                                  "O'Neill",
                                                  "rock'n'roll",
                                                  "antidisestablishmentarianism"};
    for (uint32_t i = 0, n = 3 + below(25); i < n; ++i) {
      if (i > 0) *text += ' ';
      *text += pick(kWords);
      if (below(9) == 0) *text += below(2) == 0 ? "," : below(2) == 0 ? ";" : "\xE2\x80\x94";
    }
    *text += below(3) == 0 ? "!" : below(3) == 0 ? "?\"" : ".";
  }

  // Words out of the letters (and marks, and digits) of one script.
  void prose(std::string* text) {
    struct Script {
      uint32_t first, last;
      bool spaces;
    };
    static constexpr Script kScripts[] = {
        {0x00C0, 0x024F, true},  {0x0370, 0x03FF, true},  {0x0400, 0x052F, true},
        {0x0531, 0x0589, true},  {0x0591, 0x05F4, true},  {0x0600, 0x06FF, true},
        {0x0904, 0x096F, true},  {0x0985, 0x09FA, true},  {0x0B85, 0x0BFA, true},
        {0x0E01, 0x0E5B, false}, {0x10A0, 0x10FF, true},  {0x1200, 0x137F, true},
        {0x1780, 0x17F9, false}, {0x1E00, 0x1FFF, true},  {0x3041, 0x30FF, false},
        {0x4E00, 0x9FFF, false}, {0x4E00, 0x52FF, false}, {0xAC00, 0xD7A3, true},
        {0xFF01, 0xFF9F, false}, {0x13A0, 0x13FD, true}};
    const Script& script = kScripts[below(static_cast<uint32_t>(std::size(kScripts)))];
    // A few letters of the script make most words, as in real text.
    const uint32_t span = script.last - script.first + 1;
    const uint32_t some = script.first + below(span);
    for (uint32_t word = 0, words = 2 + below(14); word < words; ++word) {
      for (uint32_t i = 0, n = 1 + below(9); i < n; ++i) {
        const uint32_t offset = below(3) == 0 ? below(span) : below(12);
        append_utf8(text, script.first + (some - script.first + offset) % span);
      }
      if (below(8) == 0) {
        static constexpr std::string_view kMarks[] = {",",
                                                      ".",
                                                      "!",
                                                      "?",
                                                      "\xE3\x80\x82",
                                                      "\xEF\xBC\x8C",
                                                      "\xE3\x80\x81",
                                                      "\xD8\x8C",
                                                      "\xE0\xA5\xA4",
                                                      ":",
                                                      "\xC2\xAB",
                                                      "\xE2\x80\x9D"};
        *text += pick(kMarks);
      }
      if (script.spaces || below(10) == 0) *text += ' ';
    }
  }

  void numbers(std::string* text) {
    for (uint32_t i = 0, n = 1 + below(6); i < n; ++i) {
      const uint32_t zero = below(6) == 0 ? 0x0966 : below(6) == 0 ? 0x0660 : '0';
      for (uint32_t d = 0, digits = 1 + below(12); d < digits; ++d)
        append_utf8(text, zero + below(10));
      static constexpr std::string_view kMarks[] = {" ",
                                                    ",",
                                                    ".",
                                                    "-",
                                                    "/",
                                                    "%",
                                                    "\xC2\xBD",
                                                    "\xE2\x85\xA7",
                                                    "\xC2\xB2",
                                                    ":",
                                                    " \xE2\x82\xAC",
                                                    "$"};
      *text += pick(kMarks);
    }
  }

  void emoji(std::string* text) {
    for (uint32_t i = 0, n = 1 + below(6); i < n; ++i) {
      append_utf8(text, below(3) == 0 ? 0x2600 + below(0x1C0) : 0x1F300 + below(0x5FF));
      if (below(4) == 0) append_utf8(text, 0x1F3FB + below(5));  // skin tone
      if (below(4) == 0) *text += "\xEF\xB8\x8F";                // variation selector
      if (below(4) == 0) *text += "\xE2\x80\x8D";                // joiner
    }
  }

  // Any characters of Unicode, unassigned ones and surrogates included.
  void characters(std::string* text) {
    for (uint32_t i = 0, n = 1 + below(12); i < n; ++i) {
      append_utf8(text, below(3) == 0   ? below(0x110000)
                        : below(2) == 0 ? below(0x10000)
                                        : below(0x3000));
      if (below(5) == 0) *text += ' ';
    }
  }

  uint64_t state_;
};

}  // namespace inlay_test

#endif  // INLAY_TESTS_SUPPORT_MIXED_TEXT_HPP_
