#ifndef INLAY_GRAMMAR_PATTERN_INL_HPP_
#define INLAY_GRAMMAR_PATTERN_INL_HPP_

#include "inlay/grammar/pattern.hpp"
#include "inlay/text/unicode.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

class PatternParser {
 public:
  PatternParser(std::string_view text, PatternUse use, Expressions* out,
                const Allocator& allocator) noexcept
      : text_(text),
        use_(use),
        out_(*out),
        parts_(allocator),
        ranges_(allocator),
        scratch_(allocator) {}

  INLAY_COLD Result<ExpressionId> run() noexcept {
    ExpressionId id = 0;
    INLAY_TRY(alternatives(0, {true, true}, &id));
    if (more()) return wrong(") without a (");
    INLAY_TRY(out_.status());
    return id;
  }

 private:
  static constexpr uint32_t kMaxGroups = 200;  // in each other
  static constexpr uint32_t kMaxCount = 1000000000;

  // Whether what is parsed stands at the beginning, and at the end, of the pattern: there ^ and $
  // have a meaning, and there a search leaves room for other text.
  struct Edges {
    bool left, right;
  };

  bool more() const noexcept { return at_ < text_.size(); }
  char peek(size_t ahead = 0) const noexcept {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  bool take(char c) noexcept {
    if (!more() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool take(std::string_view text) noexcept {
    if (slice(text_, at_, text.size()) != text) return false;
    at_ += text.size();
    return true;
  }
  INLAY_COLD Error wrong(std::string_view what,
                         ErrorCode code = ErrorCode::bad_argument) const noexcept {
    return Error(code, "pattern, byte ") << at_ << ": " << what;
  }
  INLAY_COLD Error unsupported(std::string_view what) const noexcept {
    return wrong(what, ErrorCode::unsupported) << " is not supported";
  }

  ExpressionId any_text() noexcept { return out_.repeat(out_.characters({}, true), 0, kUnlimited); }

  // Recursion: as deep as groups are nested, at most kMaxGroups.
  Status alternatives(uint32_t depth, Edges edges, ExpressionId* out) noexcept {
    if (depth > kMaxGroups) return unsupported("groups nested over 200 deep");
    const size_t bottom = parts_.size();
    do {
      ExpressionId one = 0;
      INLAY_TRY(sequence(depth, edges, &one));
      if (!parts_.push_back(one)) return Error(ErrorCode::out_of_memory);
    } while (take('|'));
    *out = out_.choice(parts_.span().subspan(bottom));
    parts_.truncate(bottom);
    return {};
  }

  bool at_end() const noexcept { return !more() || peek() == '|' || peek() == ')'; }

  // The place behind the group that begins at at_; 0 if it does not end.
  size_t group_end() const noexcept {
    uint32_t depth = 0;
    bool in_class = false;
    for (size_t i = at_; i < text_.size(); ++i) {
      const char c = text_[i];
      if (c == '\\') {
        ++i;
      } else if (in_class) {
        in_class = c != ']';
      } else if (c == '[') {
        in_class = true;
      } else if (c == '(') {
        ++depth;
      } else if (c == ')' && --depth == 0) {
        return i + 1;
      }
    }
    return 0;
  }

  // Whether nothing is behind that group.
  bool group_is_last() const noexcept {
    const size_t end = group_end();
    return end == 0 || end == text_.size() || text_[end] == '|' || text_[end] == ')';
  }

  Status sequence(uint32_t depth, Edges edges, ExpressionId* out) noexcept {
    const size_t bottom = parts_.size();
    const bool searches = use_ == PatternUse::search;
    bool first = true;  // nothing but ^ so far
    bool open_left = searches && edges.left, open_right = searches && edges.right;
    while (!at_end()) {
      if (take('^')) {
        if (!first || !edges.left) return unsupported("^ that is not at the beginning");
        open_left = false;
        continue;
      }
      if (take('$')) {
        if (!at_end() && peek() != '$') return unsupported("$ that is not at the end");
        if (!edges.right) return unsupported("$ that is not at the end");
        open_right = false;
        continue;
      }
      ExpressionId item = 0;
      if (peek() == '(') {
        // A group at an edge takes care of the edge itself: its alternatives may differ there.
        const bool last = group_is_last();
        const Edges inner{edges.left && first && (open_left || !searches) && group_is_single(),
                          edges.right && last};
        INLAY_TRY(group(depth, inner, &item));
        if (inner.left && first) open_left = false;
        if (inner.right) open_right = false;
      } else {
        INLAY_TRY(atom(&item));
        INLAY_TRY(repetition(&item));
      }
      if (first && open_left && !parts_.push_back(any_text())) {
        return Error(ErrorCode::out_of_memory);
      }
      open_left = first = false;
      INLAY_TRY(out_.status());
      if (!parts_.push_back(item)) return Error(ErrorCode::out_of_memory);
    }
    if ((open_left || open_right) && !parts_.push_back(any_text())) {
      return Error(ErrorCode::out_of_memory);
    }
    const auto parts = parts_.span().subspan(bottom);
    *out = parts.empty() ? out_.bytes({}) : out_.sequence(parts);
    parts_.truncate(bottom);
    return {};
  }

  // Whether that group is not repeated.
  bool group_is_single() const noexcept {
    const size_t end = group_end();
    const char next = end > 0 && end < text_.size() ? text_[end] : '\0';
    return next != '*' && next != '+' && next != '?' && next != '{';
  }

  Status group(uint32_t depth, Edges edges, ExpressionId* out) noexcept {
    ++at_;
    if (take("?")) {
      if (take("<=") || take("<!")) return unsupported("a look-behind, (?<= or (?<!");
      if (take("=") || take("!")) return unsupported("a look-ahead, (?= or (?!");
      if (take("<")) {
        while (more() && peek() != '>') ++at_;
        if (!take('>')) return wrong("expected > after the name of a group");
      } else if (!take(":")) {
        return unsupported("this kind of group, (?");
      }
    }
    INLAY_TRY(alternatives(depth + 1, edges, out));
    if (!take(')')) return wrong("expected )");
    return repetition(out);
  }

  Status repetition(ExpressionId* item) noexcept {
    uint32_t least = 0, most = kUnlimited;
    if (take('*')) {
    } else if (take('+')) {
      least = 1;
    } else if (take('?')) {
      most = 1;
    } else if (peek() == '{' && is_digit(peek(1))) {
      ++at_;
      INLAY_TRY(count(&least));
      most = least;
      if (take(',')) {
        most = kUnlimited;
        if (is_digit(peek())) INLAY_TRY(count(&most));
      }
      if (!take('}')) return wrong("expected } after the number of repetitions");
      if (most < least) return wrong("more repetitions at least than at most");
    } else {
      return {};
    }
    take('?');  // lazy: the same texts
    *item = out_.repeat(*item, least, most);
    const char next = peek();
    if (next == '*' || next == '+' || next == '?') return wrong("nothing to repeat");
    return {};
  }
  static bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
  Status count(uint32_t* out) noexcept {
    uint64_t value = 0;
    while (is_digit(peek())) {
      value = value * 10 + static_cast<uint64_t>(text_[at_++] - '0');
      if (value > kMaxCount) return unsupported("more than 1000000000 repetitions");
    }
    *out = static_cast<uint32_t>(value);
    return {};
  }

  Status atom(ExpressionId* out) noexcept {
    ranges_.clear();
    bool negated = false;
    const char c = peek();
    if (c == '*' || c == '+' || c == '?') return wrong("nothing to repeat");
    if (take('.')) {
      negated = true;
      for (const CharacterRange r : {CharacterRange{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}) {
        if (!ranges_.push_back(r)) return Error(ErrorCode::out_of_memory);
      }
    } else if (take('[')) {
      negated = take('^');
      INLAY_TRY(character_class());
    } else {
      CharacterRange single{};
      bool is_set = false;
      INLAY_TRY(class_atom(&single, &is_set));
      if (!is_set && !ranges_.push_back(single)) return Error(ErrorCode::out_of_memory);
    }
    *out = out_.characters(ranges_.span(), negated);
    return {};
  }

  Status character_class() noexcept {
    while (!take(']')) {
      if (!more()) return wrong("a class of characters without an end");
      CharacterRange range{};
      bool is_set = false;
      INLAY_TRY(class_atom(&range, &is_set));
      if (peek() == '-' && peek(1) != ']' && peek(1) != '\0') {
        CharacterRange last{};
        bool last_is_set = false;
        ++at_;
        INLAY_TRY(class_atom(&last, &last_is_set));
        if (is_set || last_is_set) {
          // As without the flag u: the - is a character.
          if (!ranges_.push_back({'-', '-'}) || (!last_is_set && !ranges_.push_back(last))) {
            return Error(ErrorCode::out_of_memory);
          }
        } else if (last.first < range.first) {
          return wrong("a range of characters that ends before it begins");
        } else {
          range.last = last.first;
        }
      }
      if (!is_set && !ranges_.push_back(range)) return Error(ErrorCode::out_of_memory);
    }
    return {};
  }

  // One character to `out`; or a set, such as \d, which is added to ranges_.
  Status class_atom(CharacterRange* out, bool* is_set) noexcept {
    if (!take('\\')) {
      const DecodedCharacter c = decode_utf8(text_.data() + at_, text_.data() + text_.size());
      if (c.code == kReplacement && c.bytes == 1) return wrong("a byte that is not UTF-8");
      at_ += c.bytes;
      *out = {c.code, c.code};
      return {};
    }
    if (!more()) return wrong("a \\ at the end");
    const char c = text_[at_++];
    uint32_t code = static_cast<uint8_t>(c);
    switch (c) {
      case 'd':
      case 'D':
      case 'w':
      case 'W':
      case 's':
      case 'S':
        *is_set = true;
        return add_set(c);
      case 'p':
      case 'P':
        *is_set = true;
        return add_property(c == 'P');
      case 'b':
      case 'B':
        return unsupported("\\b");
      case 'k':
        return unsupported("a reference to a group");
      case 't':
        code = '\t';
        break;
      case 'n':
        code = '\n';
        break;
      case 'v':
        code = '\v';
        break;
      case 'f':
        code = '\f';
        break;
      case 'r':
        code = '\r';
        break;
      case 'c':
        if (((peek() | 32) < 'a') || ((peek() | 32) > 'z'))
          return wrong("expected a letter after \\c");
        code = static_cast<uint8_t>(text_[at_++]) & 31u;
        break;
      case 'x':
        INLAY_TRY(hex(2, &code));
        break;
      case 'u':
        INLAY_TRY(unicode_escape(&code));
        break;
      default:
        if (c == '0' && !is_digit(peek())) {
          code = 0;
        } else if (is_digit(c)) {
          return unsupported("a reference to a group");
        } else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || code >= 0x80) {
          return wrong("an escape that is not known");
        }
    }
    *out = {code, code};
    return {};
  }

  Status hex(uint32_t digits, uint32_t* out) noexcept {
    uint32_t value = 0;
    for (uint32_t i = 0; i < digits; ++i) {
      const char c = peek(), lower = static_cast<char>(c | 32);
      const bool letter = lower >= 'a' && lower <= 'f';
      if (!is_digit(c) && !letter) return wrong("expected ") << digits << " hexadecimal digits";
      value = value << 4 | static_cast<uint32_t>(letter ? lower - 'a' + 10 : c - '0');
      ++at_;
    }
    *out = value;
    return {};
  }
  Status unicode_escape(uint32_t* out) noexcept {
    if (take('{')) {
      uint32_t digits = 0;
      while (digits < 6 && peek(digits) != '}' && peek(digits) != '\0') ++digits;
      INLAY_TRY(hex(digits, out));
      if (!take('}') || digits == 0 || *out >= kCodePoints) {
        return wrong("expected the number of a character in \\u{...}");
      }
      return {};
    }
    INLAY_TRY(hex(4, out));
    if (*out < 0xD800 || *out > 0xDFFF) return {};
    uint32_t low = 0;
    if (*out <= 0xDBFF && take("\\u")) INLAY_TRY(hex(4, &low));
    if (low < 0xDC00 || low > 0xDFFF) return unsupported("half of a surrogate pair");
    *out = 0x10000 + ((*out - 0xD800) << 10) + (low - 0xDC00);
    return {};
  }

  Status add_set(char name) noexcept {
    constexpr CharacterRange kDigits[] = {{'0', '9'}};
    constexpr CharacterRange kWord[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
    constexpr CharacterRange kSpace[] = {
        {'\t', '\r'},     {' ', ' '},       {0xA0, 0xA0},     {0x1680, 0x1680}, {0x2000, 0x200A},
        {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
    const char lower = static_cast<char>(name | 32);
    const Span<const CharacterRange> ranges = lower == 'd'   ? Span<const CharacterRange>(kDigits)
                                              : lower == 'w' ? Span<const CharacterRange>(kWord)
                                                             : Span<const CharacterRange>(kSpace);
    if (!Expressions::normalize(ranges, name != lower, &ranges_)) {
      return Error(ErrorCode::out_of_memory);
    }
    return {};
  }

  // \p{Lu}, \p{L}, \p{Letter}, \p{gc=Lu}: general categories.
  Status add_property(bool negated) noexcept {
    if (!take('{')) return wrong("expected { after \\p");
    const size_t first = at_;
    while (more() && peek() != '}') ++at_;
    std::string_view name = slice(text_, first, at_ - first);
    if (!take('}')) return wrong("expected } after the name of a property");
    static constexpr std::string_view kPrefixes[] = {"General_Category=", "gc="};
    for (const std::string_view& prefix : kPrefixes) {
      if (slice(name, 0, prefix.size()) == prefix) name = slice(name, prefix.size());
    }
    struct LongName {
      std::string_view text, category;
    };
    static constexpr LongName kLongNames[] = {{"Letter", "L"},
                                              {"Uppercase_Letter", "Lu"},
                                              {"Lowercase_Letter", "Ll"},
                                              {"Number", "N"},
                                              {"Decimal_Number", "Nd"},
                                              {"digit", "Nd"},
                                              {"Punctuation", "P"},
                                              {"punct", "P"},
                                              {"Symbol", "S"},
                                              {"Separator", "Z"},
                                              {"Space_Separator", "Zs"},
                                              {"Mark", "M"},
                                              {"Other", "C"},
                                              {"Control", "Cc"},
                                              {"cntrl", "Cc"}};
    for (const LongName& known : kLongNames) {
      if (name == known.text) name = known.category;
    }
    constexpr std::string_view kNames =
        "CnLuLlLtLmLoMnMcMeNdNlNoPcPdPsPePiPfPoSmScSkSoZsZlZpCcCfCsCo";
    bool wanted[kCategories] = {}, any = false;
    for (uint32_t i = 0; i < kCategories && (name.size() == 1 || name.size() == 2); ++i) {
      wanted[i] = slice(kNames, size_t{2} * i, name.size()) == name;
      any = any || wanted[i];
    }
    if (!any) return unsupported("this property of characters");
    scratch_.clear();
    for (CategoryRun run = first_category_run(); run.end < kCodePoints;) {
      const uint32_t begin = run.end;
      run.next();
      if (wanted[static_cast<size_t>(run.category)] && !scratch_.push_back({begin, run.end - 1})) {
        return Error(ErrorCode::out_of_memory);
      }
    }
    if (!Expressions::normalize(scratch_.span(), negated, &ranges_)) {
      return Error(ErrorCode::out_of_memory);
    }
    return {};
  }

  std::string_view text_;
  PatternUse use_;
  Expressions& out_;
  size_t at_ = 0;
  Array<ExpressionId> parts_;
  Array<CharacterRange> ranges_, scratch_;
};

Result<ExpressionId> parse_pattern(std::string_view pattern, PatternUse use,
                                   Expressions* out) noexcept {
  return PatternParser(pattern, use, out, out->allocator()).run();
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_GRAMMAR_PATTERN_INL_HPP_
