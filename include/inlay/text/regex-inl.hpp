#ifndef INLAY_TEXT_REGEX_INL_HPP_
#define INLAY_TEXT_REGEX_INL_HPP_

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "inlay/text/hash.hpp"
#include "inlay/text/regex.hpp"
#include "inlay/text/unicode.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// Patterns to programs (Thompson's construction), programs and the character sets in them to
// automata. Its calls nest as deep as the groups of a pattern, which is bounded by kMaxDepth.
class RegexCompiler {
 public:
  explicit RegexCompiler(const Allocator& allocator) noexcept
      : items_(allocator),
        sets_(allocator),
        program_(allocator),
        program_starts_(allocator),
        signatures_(allocator),
        threads_(allocator),
        states_(allocator),
        next_(allocator),
        stack_(allocator),
        seen_(allocator),
        cuts_(allocator),
        hashes_(allocator) {}

  // begin(), then compile_more() until it is complete(): pieces of some 0.1 ms.
  INLAY_COLD Status begin(Span<const char* const> patterns, RegexSplitter* out) noexcept {
    for (size_t i = 0; i < patterns.size(); ++i) {
      pattern_ = patterns[i];
      if (!program_starts_.push_back(static_cast<uint32_t>(program_.size())))
        return Error(ErrorCode::out_of_memory);
      if (!emit_alternatives(0, pattern_.size(), 0) || !emit(Op::match)) {
        if (too_long_) {
          return Error(ErrorCode::unsupported, "regular expression '")
                 << pattern_ << "': too long with its repetitions written out";
        }
        if (!bad_syntax_) return Error(ErrorCode::out_of_memory);
        return Error(ErrorCode::bad_argument, "regular expression '")
               << pattern_ << "': byte " << static_cast<uint64_t>(bad_at_) << " is not supported";
      }
    }
    return cut_classes(out);
  }
  Status compile_more(RegexSplitter* out) noexcept {
    return block_ < kBlocks ? build_classes(out) : build_automaton(out);
  }
  bool complete(const RegexSplitter& out) const noexcept {
    return block_ == kBlocks && out.automata_.size() == program_starts_.size();
  }

 private:
  static constexpr uint32_t kBlocks = kCodePoints / 256;
  static constexpr uint32_t kMaxDepth = 16;
  static constexpr uint32_t kMaxRepeat = 1000;
  static constexpr uint32_t kMaxProgram = 20000;   // of all patterns
  static constexpr uint32_t kMaxStates = 4000;     // of one; the longest of the table has 1046
  static constexpr uint32_t kMaxThreads = 200000;  // of its states together
  static constexpr uint32_t kUnlimited = UINT32_MAX;

  enum class Op : uint8_t {
    character,        // consumes one of set a
    assert_next,      // the next character is of set a
    assert_not_next,  // it is not, or the piece ends
    assert_end,       // the piece ends
    split,            // goes on at a and, with lower priority, at b
    jump,             // goes on at a
    match
  };
  struct Instruction {
    Op op;
    uint32_t a, b;
  };
  // What a class of the pattern lists: a range, or (if set) categories, or whitespace.
  struct Item {
    uint32_t first = 1, last = 0;
    uint32_t categories = 0;  // bit per Category
    bool whitespace = false;
    bool negated = false;
  };
  struct CharacterSet {
    const char* source;  // as written, to share equal sets
    uint32_t length;
    uint32_t first_item, items;
    bool negated;
    bool any_case;
  };
  struct State {
    uint32_t first, count;  // in threads_: program counters in order of priority
    uint32_t row;
  };

  static size_t row_size(const RegexSplitter& out) noexcept { return size_t{1} << out.row_shift_; }

  bool syntax_error(size_t at) noexcept {
    bad_syntax_ = true;
    bad_at_ = at;
    return false;
  }
  bool emit(Op op, uint32_t a = 0, uint32_t b = 0) noexcept {
    too_long_ = program_.size() >= kMaxProgram;
    return !too_long_ && program_.push_back({op, a, b});
  }
  uint32_t here() const noexcept { return static_cast<uint32_t>(program_.size()); }
  char at(size_t i) const noexcept { return i < pattern_.size() ? pattern_[i] : '\0'; }

  // ---- pattern to program ----

  // The end of the escape sequence, class, group or character that begins at `begin`.
  size_t atom_end(size_t begin) const noexcept {
    const char c = at(begin);
    if (c == '\\') {
      const char kind = at(begin + 1);
      if (at(begin + 2) == '{' && (kind == 'p' || kind == 'P' || kind == 'u')) {
        const size_t close = pattern_.find('}', begin);
        return close == std::string_view::npos ? pattern_.size() : close + 1;
      }
      return begin + (kind == 'u' ? 6 : 2);
    }
    if (c != '[' && c != '(') return begin + utf8_length(static_cast<uint8_t>(c));
    bool in_class = false;
    uint32_t depth = 0;
    for (size_t i = begin; i < pattern_.size(); ++i) {
      const char d = pattern_[i];
      if (d == '\\') {
        ++i;
      } else if (in_class) {
        in_class = d != ']';
        if (!in_class && depth == 0) return i + 1;
      } else if (d == '[') {
        in_class = true;
      } else if (d == '(') {
        ++depth;
      } else if (d == ')' && --depth == 0) {
        return i + 1;
      }
    }
    return pattern_.size() + 1;
  }

  bool emit_alternatives(size_t begin, size_t end, uint32_t depth) noexcept {
    if (depth > kMaxDepth) return syntax_error(begin);
    uint32_t last_jump = kUnlimited;  // the jumps out of the alternatives, linked through `a`
    for (;;) {
      size_t bar = begin;
      while (bar < end && pattern_[bar] != '|') bar = atom_end(bar);
      if (bar > end) return syntax_error(begin);
      const uint32_t split = here();
      if (bar < end && !emit(Op::split, split + 1)) return false;
      if (!emit_sequence(begin, bar, depth)) return false;
      if (bar == end) break;
      if (!emit(Op::jump, last_jump)) return false;
      last_jump = here() - 1;
      program_[split].b = here();
      begin = bar + 1;
    }
    while (last_jump != kUnlimited) {
      const uint32_t previous = program_[last_jump].a;
      program_[last_jump].a = here();
      last_jump = previous;
    }
    return true;
  }

  bool emit_sequence(size_t begin, size_t end, uint32_t depth) noexcept {
    while (begin < end) {
      const size_t stop = atom_end(begin);
      if (stop > end) return syntax_error(begin);
      uint32_t least = 1, most = 1;
      size_t next = stop;
      if (next < end) {
        const char c = pattern_[next];
        if (c == '?' || c == '*' || c == '+') {
          least = c == '+' ? 1 : 0;
          most = c == '?' ? 1 : kUnlimited;
          ++next;
        } else if (c == '{') {
          ++next;
          if (!parse_count(&next, &least)) return syntax_error(next);
          most = least;
          if (at(next) == ',') {
            ++next;
            if (at(next) == '}') {
              most = kUnlimited;
            } else if (!parse_count(&next, &most)) {
              return syntax_error(next);
            }
          }
          if (at(next) != '}' || most < least) return syntax_error(next);
          ++next;
        }
      }
      const bool possessive = next > stop && next < end && pattern_[next] == '+';
      if (possessive ? !emit_possessive(begin, stop, least, most)
                     : !emit_repeated(begin, stop, least, most, depth)) {
        return false;
      }
      begin = next + (possessive ? 1 : 0);
    }
    return true;
  }

  bool parse_count(size_t* i, uint32_t* out) const noexcept {
    const size_t begin = *i;
    uint32_t value = 0;
    for (; at(*i) >= '0' && at(*i) <= '9' && value <= kMaxRepeat; ++*i) {
      value = value * 10 + static_cast<uint32_t>(at(*i) - '0');
    }
    *out = value;
    return *i > begin && value <= kMaxRepeat;
  }

  bool emit_repeated(size_t begin, size_t end, uint32_t least, uint32_t most,
                     uint32_t depth) noexcept {
    uint32_t start = here();
    for (uint32_t i = 0; i < least; ++i) {
      start = here();
      if (!emit_atom(begin, end, depth)) return false;
    }
    if (most == kUnlimited) {
      if (least > 0) return emit(Op::split, start, here() + 1);
      const uint32_t split = here();
      if (!emit(Op::split, split + 1) || !emit_atom(begin, end, depth) || !emit(Op::jump, split))
        return false;
      program_[split].b = here();
      return true;
    }
    uint32_t last_split = kUnlimited;  // linked through `b`
    for (uint32_t i = least; i < most; ++i) {
      if (!emit(Op::split, here() + 1, last_split)) return false;
      last_split = here() - 1;
      if (!emit_atom(begin, end, depth)) return false;
    }
    while (last_split != kUnlimited) {
      const uint32_t previous = program_[last_split].b;
      program_[last_split].b = here();
      last_split = previous;
    }
    return true;
  }

  // A repetition of one character that gives nothing back: it ends where no other of them follows,
  // or where it has had the most of them.
  bool emit_possessive(size_t begin, size_t end, uint32_t least, uint32_t most) noexcept {
    if (at(begin) == '(' || at(begin) == '$') return syntax_error(end);
    if (!emit_repeated(begin, end, least, most == kUnlimited ? most : least, 0)) return false;
    uint32_t set = 0;
    if (!find_set(begin, end, &set)) return false;
    if (most == kUnlimited) return emit(Op::assert_not_next, set);
    uint32_t last_split = kUnlimited;  // to where the repetition ends early, linked through `b`
    for (uint32_t i = least; i < most; ++i) {
      if (!emit(Op::split, here() + 1, last_split) || !emit(Op::character, set)) return false;
      last_split = here() - 2;
    }
    if (last_split == kUnlimited) return true;
    if (!emit(Op::jump, here() + 2) || !emit(Op::assert_not_next, set)) return false;
    while (last_split != kUnlimited) {
      const uint32_t previous = program_[last_split].b;
      program_[last_split].b = here() - 1;
      last_split = previous;
    }
    return true;
  }

  bool emit_atom(size_t begin, size_t end, uint32_t depth) noexcept {
    const char c = at(begin);
    if (c == '$') return emit(Op::assert_end);
    if (c == '(') {
      if (at(begin + 1) != '?') return emit_alternatives(begin + 1, end - 1, depth + 1);
      const char kind = at(begin + 2);
      if (kind == ':') return emit_alternatives(begin + 3, end - 1, depth + 1);
      if (kind == 'i' && at(begin + 3) == ':') {
        const bool outside = any_case_;
        any_case_ = true;
        const bool ok = emit_alternatives(begin + 4, end - 1, depth + 1);
        any_case_ = outside;
        return ok;
      }
      const bool one_character = atom_end(begin + 3) == end - 1 && at(begin + 3) != '(';
      if ((kind != '=' && kind != '!') || !one_character) return syntax_error(begin);
      uint32_t set = 0;
      return find_set(begin + 3, end - 1, &set) &&
             emit(kind == '=' ? Op::assert_next : Op::assert_not_next, set);
    }
    if (std::string_view("^|)?*+{}]").find(c) != std::string_view::npos) return syntax_error(begin);
    uint32_t set = 0;
    return find_set(begin, end, &set) && emit(Op::character, set);
  }

  // The number of the set written at [begin, end).
  bool find_set(size_t begin, size_t end, uint32_t* out) noexcept {
    const std::string_view source = slice(pattern_, begin, end - begin);
    for (*out = 0; *out < sets_.size(); ++*out) {
      const CharacterSet& known = sets_[*out];
      if (std::string_view(known.source, known.length) == source && known.any_case == any_case_)
        return true;
    }
    if (sets_.size() == 64) return syntax_error(begin);  // bits of a signature
    CharacterSet set{source.data(),
                     static_cast<uint32_t>(source.size()),
                     static_cast<uint32_t>(items_.size()),
                     0,
                     false,
                     any_case_};
    size_t i = begin;
    if (source[0] == '[') {
      ++i;
      set.negated = at(i) == '^';
      if (set.negated) ++i;
      while (i < end - 1) {
        Item item;
        const size_t item_begin = i;
        if (!parse_item(&i, &item)) return false;
        const bool single = item.first == item.last;
        if (single && at(i) == '-' && i + 1 < end - 1) {
          Item last;
          ++i;
          if (!parse_item(&i, &last)) return false;
          if (last.first != last.last || last.last < item.first) return syntax_error(item_begin);
          item.last = last.last;
        }
        if (!items_.push_back(item) || !add_other_case(item)) return false;
      }
    } else {
      Item item;
      if (source == ".") {
        item.first = item.last = '\n';
        item.negated = true;
      } else if (!parse_item(&i, &item)) {
        return false;
      }
      if (!items_.push_back(item) || !add_other_case(item)) return false;
    }
    set.items = static_cast<uint32_t>(items_.size()) - set.first_item;
    return sets_.push_back(set);
  }

  // Under (?i:...), ASCII letters stand for both cases.
  bool add_other_case(const Item& item) noexcept {
    if (!any_case_ || item.whitespace || item.negated || item.categories != 0) return true;
    for (const uint32_t from : {uint32_t{'a'}, uint32_t{'A'}}) {
      const uint32_t first = std::max(item.first, from), last = std::min(item.last, from + 25);
      Item other;
      other.first = first ^ 0x20;
      other.last = last ^ 0x20;
      if (first <= last && !items_.push_back(other)) return false;
    }
    return true;
  }

  // One character or escape sequence at *position, which moves behind it.
  bool parse_item(size_t* position, Item* item) noexcept {
    const size_t begin = *position;
    const size_t end = begin + (at(begin) == '\\' ? atom_end(begin) - begin
                                                  : utf8_length(static_cast<uint8_t>(at(begin))));
    if (end > pattern_.size()) return syntax_error(begin);
    *position = end;
    const auto literal = [item](uint32_t code) {
      item->first = item->last = code;
      return true;
    };
    if (at(begin) != '\\') {
      return literal(decode_utf8(pattern_.data() + begin, pattern_.data() + pattern_.size()).code);
    }
    const char kind = at(begin + 1);
    switch (kind) {
      case 'r':
        return literal('\r');
      case 'n':
        return literal('\n');
      case 't':
        return literal('\t');
      case 'f':
        return literal('\f');
      case 'v':
        return literal('\v');
      case 's':
      case 'S':
        item->whitespace = true;
        item->negated = kind == 'S';
        return true;
      case 'd':
      case 'D':
        item->negated = kind == 'D';
        return parse_property(begin, "Nd", item);
      case 'w':
      case 'W':
        item->negated = kind == 'W';
        return parse_property(begin, "L", item) && parse_property(begin, "M", item) &&
               parse_property(begin, "N", item) && parse_property(begin, "Pc", item);
      case 'u': {
        uint32_t code = 0;
        const bool braces = at(begin + 2) == '{';
        if (braces && pattern_[end - 1] != '}') return syntax_error(begin);
        for (size_t i = begin + (braces ? 3 : 2); i < end - (braces ? 1 : 0); ++i) {
          const size_t digit = std::string_view("0123456789ABCDEF").find(at(i));
          if (digit == std::string_view::npos || code >= kCodePoints) return syntax_error(i);
          code = code << 4 | static_cast<uint32_t>(digit);
        }
        return code < kCodePoints ? literal(code) : syntax_error(begin);
      }
      case 'p':
      case 'P':
        item->negated = kind == 'P';
        if (at(begin + 2) != '{' || pattern_[end - 1] != '}') return syntax_error(begin);
        return parse_property(begin, slice(pattern_, begin + 3, end - begin - 4), item);
      default:
        break;
    }
    const bool alphanumeric = (kind >= '0' && kind <= '9') || (kind >= 'A' && kind <= 'Z') ||
                              (kind >= 'a' && kind <= 'z');
    return alphanumeric ? syntax_error(begin) : literal(static_cast<uint8_t>(kind));
  }

  bool parse_property(size_t begin, std::string_view name, Item* item) noexcept {
    if (name == "Han") {
      if (item->negated) return syntax_error(begin);
      // The ideograph blocks that llama.cpp takes for Han; the last becomes the caller's item.
      static constexpr uint32_t kHan[][2] = {
          {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0x20000, 0x2A6DF},
          {0x2A700, 0x2B73F}, {0x2B740, 0x2B81F}, {0x2B820, 0x2CEAF},
          {0x2CEB0, 0x2EBEF}, {0x2F800, 0x2FA1F}, {0xF900, 0xFAFF}};
      for (const auto& range : kHan) {
        item->first = range[0];
        item->last = range[1];
        if (&range != std::end(kHan) - 1 && !items_.push_back(*item)) return false;
      }
      return true;
    }
    static constexpr std::string_view kNames =
        "CnLuLlLtLmLoMnMcMeNdNlNoPcPdPsPePiPfPoSmScSkSoZsZlZpCcCfCsCo";
    for (uint32_t i = 0; i < kCategories; ++i) {
      const std::string_view category = slice(kNames, size_t{2} * i, 2);
      if (category == name || slice(category, 0, 1) == name) item->categories |= 1u << i;
    }
    return item->categories != 0 || syntax_error(begin);
  }

  // ---- sets to classes ----

  // Bit s says whether set s contains the code point.
  uint64_t signature(uint32_t code, uint32_t category) const noexcept {
    if (code >= 0x80 && is_whitespace(code))
      return signature(0x0B, static_cast<uint32_t>(Category::Cc));
    uint64_t bits = 0;
    for (size_t s = 0; s < sets_.size(); ++s) {
      bool member = false;
      for (uint32_t i = sets_[s].first_item; !member && i < sets_[s].first_item + sets_[s].items;
           ++i) {
        const Item& item = items_[i];
        const bool listed = item.whitespace        ? is_whitespace(code)
                            : item.categories != 0 ? (item.categories >> category & 1) != 0
                                                   : item.first <= code && code <= item.last;
        member = listed != item.negated;
      }
      if (member != sets_[s].negated) bits |= uint64_t{1} << s;
    }
    return bits;
  }

  // The code points are cut into runs in which membership cannot change: where the categories do,
  // and at these.
  INLAY_COLD Status cut_classes(RegexSplitter* out) noexcept {
    static constexpr uint32_t kWhitespaceCuts[] = {
        0x09,   0x0E,   0x20,   0x21,   0x80,   0x85,   0x86,   0xA0,   0xA1,   0x1680, 0x1681,
        0x2000, 0x200B, 0x2028, 0x202A, 0x202F, 0x2030, 0x205F, 0x2060, 0x3000, 0x3001};
    bool ok = cuts_.append(kWhitespaceCuts, std::size(kWhitespaceCuts));
    for (const Item& item : items_)
      ok = ok && cuts_.push_back(item.first) && cuts_.push_back(item.last + 1);
    ok = ok && cuts_.push_back(kCodePoints) && out->class_blocks_.resize(kBlocks);
    if (!ok) return Error(ErrorCode::out_of_memory);
    // A heap's sort is half the code of std::sort.
    std::make_heap(cuts_.begin(), cuts_.end());
    std::sort_heap(cuts_.begin(), cuts_.end());
    return {};
  }

  Status build_classes(RegexSplitter* out) noexcept {
    constexpr size_t kAtOnce = 32768;  // items that runs are compared with
    for (size_t work = 0; block_ < kBlocks && work < kAtOnce; ++block_, ++work) {
      const uint32_t block = block_;
      const bool was_uniform = uniform_;
      uniform_ = next_cut_ >= (block + 1) * 256;
      if (uniform_ && was_uniform) {
        out->class_blocks_[block] = out->class_blocks_[block - 1];
        continue;
      }
      uint8_t classes[256];
      uint32_t hash = 0;
      for (uint32_t i = 0; i < 256; ++i) {
        const uint32_t code = block * 256 + i;
        if (code == next_cut_) {
          while (cuts_[cut_] <= code) ++cut_;
          next_cut_ = cuts_[cut_];
          while (run_.end <= code) run_.next();
          next_cut_ = std::min(next_cut_, run_.end);
          const uint64_t bits = signature(code, static_cast<uint32_t>(run_.category));
          work += items_.size() + 16;
          size_t found = 0;
          while (found < signatures_.size() && signatures_[found] != bits) ++found;
          if (found == signatures_.size() && !signatures_.push_back(bits))
            return Error(ErrorCode::out_of_memory);
          if (found + 2 > RegexSplitter::kClassMask) {
            return Error(ErrorCode::unsupported,
                         "regular expressions with more than 125 classes of characters");
          }
          current_ = static_cast<uint8_t>(found);
        }
        classes[i] = current_;
        hash = hash * 31 + current_;
      }
      size_t found = 0;
      while (found < hashes_.size() &&
             (hashes_[found] != hash ||
              std::memcmp(out->blocks_.data() + found * 256, classes, 256) != 0)) {
        ++found;
      }
      if (found == hashes_.size() &&
          (!hashes_.push_back(hash) || !out->blocks_.append(classes, 256))) {
        return Error(ErrorCode::out_of_memory);
      }
      out->class_blocks_[block] = static_cast<uint16_t>(found);
    }
    if (block_ < kBlocks) return {};
    out->n_classes_ = static_cast<uint32_t>(signatures_.size());
    while (row_size(*out) < out->n_classes_ + 2) ++out->row_shift_;
    return out->table_.resize(row_size(*out)) ? Status() : Error(ErrorCode::out_of_memory);
  }

  // ---- program to automaton ----

  // The next one, some of its states.
  Status build_automaton(RegexSplitter* out) noexcept {
    constexpr size_t kAtOnce = 4;
    if (states_.empty()) {
      next_.clear();
      if (!seen_.resize(program_.size()) ||
          !next_.push_back(program_starts_[out->automata_.size()]) || !find_state(out, &start_)) {
        return Error(ErrorCode::out_of_memory);
      }
    }
    for (size_t n = 0; n < kAtOnce && state_ < states_.size(); ++n, ++state_) {
      if (states_.size() > kMaxStates || threads_.size() > kMaxThreads) {
        return Error(ErrorCode::unsupported, "regular expression with too many states: '")
               << pattern_ << "'";
      }
      const State state = states_[state_];
      for (uint32_t c = 0; c <= out->n_classes_ + 1; ++c) {
        uint32_t next = state.row;  // continuation bytes change nothing
        bool matched = false;
        if (c != out->n_classes_ &&
            (!step(state, c, out->n_classes_, &matched) || !find_state(out, &next))) {
          return Error(ErrorCode::out_of_memory);
        }
        out->table_[state.row + c] = next << 1 | (matched ? 1 : 0);
      }
    }
    if (state_ < states_.size()) return {};
    if (!out->automata_.push_back({start_, static_cast<uint32_t>(states_.size())})) {
      return Error(ErrorCode::out_of_memory);
    }
    threads_.clear();
    states_.clear();
    state_ = 0;
    return Status();
  }

  // The threads of `state` after a character of class `c` to next_, in order of priority; c >
  // n_classes is the end of the piece. *matched: one of them ended before that character; those of
  // lower priority are dropped.
  bool step(const State& state, uint32_t c, uint32_t n_classes, bool* matched) noexcept {
    const bool end = c > n_classes;
    const uint64_t members = end ? 0 : signatures_[c];
    ++generation_;
    next_.clear();
    for (uint32_t t = state.first; t < state.first + state.count; ++t) {
      stack_.clear();
      if (!stack_.push_back(threads_[t])) return false;
      while (!stack_.empty()) {
        const uint32_t pc = stack_.back();
        stack_.pop_back();
        if (seen_[pc] == generation_) continue;
        seen_[pc] = generation_;
        const Instruction& i = program_[pc];
        const bool member = (members >> (i.a & 63) & 1) != 0;
        bool ok = true;
        switch (i.op) {
          case Op::character:
            ok = !member || next_.push_back(pc + 1);
            break;
          case Op::assert_next:
            ok = !member || stack_.push_back(pc + 1);
            break;
          case Op::assert_not_next:
            ok = member || stack_.push_back(pc + 1);
            break;
          case Op::assert_end:
            ok = !end || stack_.push_back(pc + 1);
            break;
          case Op::split:
            ok = stack_.push_back(i.b) && stack_.push_back(i.a);
            break;
          case Op::jump:
            ok = stack_.push_back(i.a);
            break;
          case Op::match:
            *matched = true;
            return true;
        }
        if (!ok) return false;
      }
    }
    return true;
  }

  // The row of the state whose threads are next_.
  bool find_state(RegexSplitter* out, uint32_t* row) noexcept {
    *row = 0;
    if (next_.empty()) return true;
    for (const State& state : states_) {
      if (state.count == next_.size() && std::memcmp(threads_.data() + state.first, next_.data(),
                                                     state.count * sizeof(uint32_t)) == 0) {
        *row = state.row;
        return true;
      }
    }
    *row = static_cast<uint32_t>(out->table_.size());
    const State state{static_cast<uint32_t>(threads_.size()), static_cast<uint32_t>(next_.size()),
                      *row};
    return threads_.append(next_.data(), next_.size()) && states_.push_back(state) &&
           out->table_.resize(out->table_.size() + row_size(*out));
  }

  std::string_view pattern_;
  bool any_case_ = false;  // within (?i:...)
  bool bad_syntax_ = false, too_long_ = false;
  size_t bad_at_ = 0;
  Array<Item> items_;
  Array<CharacterSet> sets_;
  Array<Instruction> program_;  // of all patterns, one after another
  Array<uint32_t> program_starts_;
  Array<uint64_t> signatures_;  // [classes] bit per set
  Array<uint32_t> threads_;
  Array<State> states_;
  Array<uint32_t> next_, stack_;
  Array<uint32_t> seen_;  // [program] the step that was last here
  uint32_t generation_ = 0;
  uint32_t start_ = 0;  // row of the automaton's first state
  size_t state_ = 0;    // of it, the next to go on from

  // Classes, up to block_ of code points: the class that goes on, and where it may end.
  Array<uint32_t> cuts_, hashes_;
  size_t cut_ = 0;
  CategoryRun run_ = first_category_run();
  uint32_t block_ = 0, next_cut_ = 0;
  uint8_t current_ = 0;
  bool uniform_ = false;  // the block before has one class
};

Result<RegexSplitter> RegexSplitter::create(Span<const char* const> patterns,
                                            const Allocator& allocator) noexcept {
  RegexSplitter splitter(allocator);
  RegexCompiler compiler(allocator);
  INLAY_TRY(compiler.begin(patterns, &splitter));
  while (!compiler.complete(splitter)) INLAY_TRY(compiler.compile_more(&splitter));
  return Result<RegexSplitter>(std::move(splitter));
}

size_t RegexSplitter::state_count(size_t pattern) const noexcept {
  return automata_[pattern].states;
}

void RegexSplitter::classify(std::string_view text, uint8_t* marks) const noexcept {
  const auto continuation = static_cast<uint8_t>(n_classes_);
  const char* const end = text.data() + text.size();
  for (const char* at = text.data(); at < end;) {
    const auto first = static_cast<uint8_t>(*at);
    if (first < 0x80) {
      *marks = static_cast<uint8_t>((*marks & kBoundary) | class_of(first));
      ++marks;
      ++at;
      continue;
    }
    const DecodedCharacter c = decode_utf8(at, end);
    *marks = static_cast<uint8_t>((*marks & kBoundary) | class_of(c.code));
    ++marks;
    for (uint32_t i = 1; i < c.bytes; ++i) *marks++ = continuation;
    at += c.bytes;
  }
}

bool RegexSplitter::DeadEnds::contains(size_t at, uint32_t row) const noexcept {
  const uint64_t key = key_of(at, row);
  const size_t mask = slots_.size() - 1;
  for (size_t i = slot_of(key); slots_[i] != 0; i = (i + 1) & mask) {
    if (slots_[i] == key) return true;
  }
  return false;
}

bool RegexSplitter::DeadEnds::insert(size_t at, uint32_t row) noexcept {
  if (slots_.size() < hash_slots(count_ + 1)) {
    Array<uint64_t> larger(slots_.allocator());
    if (!larger.resize(hash_slots(2 * count_ + 64))) return false;
    std::swap(slots_, larger);
    for (const uint64_t key : larger) {
      if (key != 0) add(key);
    }
  }
  if (!contains(at, row)) {
    add(key_of(at, row));
    ++count_;
  }
  return true;
}

void RegexSplitter::DeadEnds::add(uint64_t key) noexcept {
  size_t i = slot_of(key);
  while (slots_[i] != 0) i = (i + 1) & (slots_.size() - 1);
  slots_[i] = key;
}

// The end of the match that begins at `at`, or kNone. *scanned: where the scan stopped.
size_t RegexSplitter::match(const Automaton& automaton, const uint8_t* marks, size_t at, size_t end,
                            const DeadEnds& dead, size_t* scanned) const noexcept {
  const uint32_t* const table = table_.data();
  const bool dead_ends = !dead.empty();
  uint32_t row = automaton.start;
  size_t matched = kNone;
  size_t i = at;
  for (; i < end; ++i) {
    if (dead_ends && DeadEnds::is_kept(i) && dead.contains(i, row)) break;
    const uint32_t next = table[row + (marks[i] & kClassMask)];
    if ((next & 1) != 0) matched = i;
    row = next >> 1;
    if (row == 0) break;
  }
  if (i == end && (table[row + n_classes_ + 1] & 1) != 0) matched = end;
  *scanned = i;
  return matched;
}

// Repeats the scan of match() from `at` to `scanned`, and keeps its states from byte `dead_from`
// on.
bool RegexSplitter::record(const Automaton& automaton, const uint8_t* marks, size_t at,
                           size_t dead_from, size_t scanned, DeadEnds* dead) const noexcept {
  uint32_t row = automaton.start;
  for (size_t i = at; i < scanned; ++i) {
    if (i >= dead_from && DeadEnds::is_kept(i) && !dead->insert(i, row)) return false;
    row = table_[row + (marks[i] & kClassMask)] >> 1;
  }
  return true;
}

bool RegexSplitter::split_piece(const Automaton& automaton, uint8_t* marks, size_t begin,
                                size_t end, DeadEnds* dead, uint64_t* steps) const noexcept {
  // A scan that reads this much further than its match is worth remembering.
  constexpr size_t kOverscan = 64;
  for (size_t at = begin; at < end;) {
    size_t scanned = 0;
    const size_t matched = match(automaton, marks, at, end, *dead, &scanned);
    const size_t dead_from = matched == kNone ? at : matched + 1;
    *steps += scanned - at + 1;
    if (scanned > dead_from + kOverscan) {
      if (!record(automaton, marks, at, dead_from, scanned, dead)) return false;
      *steps += scanned - at;
    }
    if (matched == kNone || matched == at) {
      do ++at;
      while (at < end && (marks[at] & kClassMask) == n_classes_);
      continue;
    }
    marks[at] |= kBoundary;
    if (matched < end) marks[matched] |= kBoundary;
    at = matched;
  }
  return true;
}

bool RegexSplitter::split(std::string_view text, const Allocator& allocator, Span<uint8_t> marks,
                          uint64_t* steps) const noexcept {
  if (automata_.empty()) return true;
  classify(text, marks.data());
  uint64_t work = text.size();
  for (const Automaton& automaton : automata_) {
    DeadEnds dead(allocator);
    for (size_t begin = 0; begin < text.size();) {
      size_t end = begin + 1;
      while (end < text.size() && !is_boundary(marks[end])) ++end;
      if (!split_piece(automaton, marks.data(), begin, end, &dead, &work)) return false;
      begin = end;
    }
  }
  if (steps != nullptr) *steps += work;
  return true;
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_TEXT_REGEX_INL_HPP_
