// The methods of Python's str, list and dict that templates call.
#ifndef INLAY_CHAT_METHODS_INL_HPP_
#define INLAY_CHAT_METHODS_INL_HPP_

#include "inlay/chat/interpreter.hpp"
#include "inlay/chat/value-inl.hpp"
#include "inlay/text/unicode_tables-inl.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// clang-format off
#define INLAY_STRING_METHODS(X)                                                       \
  X(capitalize, 0, "") X(casefold, 0, "") X(center, 1, "width fillchar")              \
  X(count, 1, "sub start end") X(endswith, 1, "suffix start end")                     \
  X(expandtabs, 0, "tabsize") X(find, 1, "sub start end") X(format, 0, "*")           \
  X(index, 1, "sub start end") X(isalnum, 0, "") X(isalpha, 0, "") X(isascii, 0, "")  \
  X(isdecimal, 0, "") X(isdigit, 0, "") X(isidentifier, 0, "") X(islower, 0, "")      \
  X(isnumeric, 0, "") X(isprintable, 0, "") X(isspace, 0, "")                         \
  X(istitle, 0, "") X(isupper, 0, "") X(join, 1, "iterable")        \
  X(ljust, 1, "width fillchar") X(lower, 0, "") X(lstrip, 0, "chars")                 \
  X(partition, 1, "sep") X(removeprefix, 1, "prefix") X(removesuffix, 1, "suffix")    \
  X(replace, 2, "old new count") X(rfind, 1, "sub start end")                         \
  X(rindex, 1, "sub start end") X(rjust, 1, "width fillchar") X(rpartition, 1, "sep") \
  X(rsplit, 0, "sep maxsplit") X(rstrip, 0, "chars") X(split, 0, "sep maxsplit")      \
  X(splitlines, 0, "keepends") X(startswith, 1, "prefix start end")                   \
  X(strip, 0, "chars") X(swapcase, 0, "") X(title, 0, "") X(upper, 0, "")             \
  X(zfill, 1, "width")
// The first two are those of tuples.
#define INLAY_LIST_METHODS(X)                                                          \
  X(count, 1, "value") X(index, 1, "value") X(append, 1, "object") X(clear, 0, "")     \
  X(copy, 0, "") X(extend, 1, "iterable") X(insert, 2, "index object") X(pop, 0, "index") \
  X(remove, 1, "value") X(reverse, 0, "") X(sort, 0, "reverse")
#define INLAY_DICT_METHODS(X)                                                          \
  X(clear, 0, "") X(copy, 0, "") X(get, 1, "key default") X(items, 0, "")              \
  X(keys, 0, "") X(pop, 1, "key default") X(setdefault, 1, "key default")              \
  X(update, 0, "*") X(values, 0, "")
#define INLAY_LOOP_METHODS(X) X(cycle, 0, "*") X(changed, 0, "*")
#define INLAY_CYCLER_METHODS(X) X(next, 0, "") X(reset, 0, "")
// clang-format on

enum class MethodId : uint8_t {
#define INLAY_X(name, required, parameters) string_##name,
  INLAY_STRING_METHODS(INLAY_X)
#undef INLAY_X
#define INLAY_X(name, required, parameters) list_##name,
      INLAY_LIST_METHODS(INLAY_X)
#undef INLAY_X
#define INLAY_X(name, required, parameters) dict_##name,
          INLAY_DICT_METHODS(INLAY_X)
#undef INLAY_X
#define INLAY_X(name, required, parameters) loop_##name,
              INLAY_LOOP_METHODS(INLAY_X)
#undef INLAY_X
#define INLAY_X(name, required, parameters) cycler_##name,
                  INLAY_CYCLER_METHODS(INLAY_X)
#undef INLAY_X
};

struct MethodInfo {
  Kind kind;
  std::string_view name;
  uint32_t required;
  std::string_view parameters;
};
inline constexpr MethodInfo kMethods[] = {
#define INLAY_X(name, required, parameters) {Kind::string, #name, required, parameters},
    INLAY_STRING_METHODS(INLAY_X)
#undef INLAY_X
#define INLAY_X(name, required, parameters) {Kind::list, #name, required, parameters},
        INLAY_LIST_METHODS(INLAY_X)
#undef INLAY_X
#define INLAY_X(name, required, parameters) {Kind::dict, #name, required, parameters},
            INLAY_DICT_METHODS(INLAY_X)
#undef INLAY_X
#define INLAY_X(name, required, parameters) {Kind::loop, #name, required, parameters},
                INLAY_LOOP_METHODS(INLAY_X)
#undef INLAY_X
#define INLAY_X(name, required, parameters) {Kind::cycler, #name, required, parameters},
                    INLAY_CYCLER_METHODS(INLAY_X)
#undef INLAY_X
};

bool Interpreter::find_method(const Value& object, std::string_view name, Value* out,
                              bool* found) noexcept {
  *found = false;
  for (uint32_t i = 0; i < sizeof kMethods / sizeof kMethods[0]; ++i) {
    if (kMethods[i].kind != object.kind || kMethods[i].name != name) continue;
    if (object.is(Kind::list) && object.list->shape != List::Shape::list &&
        (!object.list->has_index() || i > static_cast<uint32_t>(MethodId::list_index))) {
      return true;
    }
    Method* method = heap_.arena().make<Method>();
    if (method == nullptr) return heap_.out_of_memory();
    *method = {object, i};
    *out = Value::of(Kind::method);
    out->method = method;
    *found = true;
    return true;
  }
  return true;
}

bool Interpreter::call_method(const Method& method, const Arguments& arguments,
                              Value* out) noexcept {
  const MethodInfo& info = kMethods[method.name];
  Value bound[kMaxParameters];
  if (!heap_.spend_bytes(method.self.is(Kind::string) ? method.self.size : 0)) return false;
  if (info.parameters == "*") return call_other_method(method, arguments, out);
  if (!bind(info.name, info.parameters, info.required, arguments, bound)) return false;
  switch (info.kind) {
    case Kind::string:
      return call_string_method(method, bound, out);
    case Kind::list:
      return call_list_method(method, bound, out);
    case Kind::dict:
      return call_dict_method(method, bound, out);
    default:
      return call_other_method(method, arguments, out);
  }
}

// ---- strings ----

// The character in upper case, or itself; those that become several characters do so in
// append_upper().
inline uint32_t upper_case(uint32_t code) noexcept {
  if (code < 0x80) return code >= 'a' && code <= 'z' ? code - ('a' - 'A') : code;
  constexpr uint32_t kOnly[][2] = {{0xB5, 0x39C}, {0x131, 'I'}, {0x17F, 'S'}, {0x3C2, 0x3A3}};
  for (const auto& pair : kOnly) {
    if (pair[0] == code) return pair[1];
  }
  for (const LowerRun& run : kLowerRuns) {
    const uint32_t upper = code - static_cast<uint32_t>(run.difference);
    if (upper >= run.first && upper <= run.last() && lower_case(upper) == code) return upper;
  }
  return code;
}

inline bool is_cased(uint32_t code) noexcept {
  return lower_case(code) != code || upper_case(code) != code;
}

bool Interpreter::change_case(std::string_view text, Case how, Value* out) noexcept {
  String result(heap_.allocator());
  bool start = true;  // of a word, or of the text
  if (!heap_.spend(text.size() / 4)) return false;
  for (size_t at = 0; at < text.size();) {
    const DecodedCharacter c = character_at(text, at);
    const uint32_t low = lower_case(c.code);
    const bool up = how == Case::upper || (how == Case::swap && low == c.code) ||
                    (start && (how == Case::capitalize || how == Case::title));
    start = how == Case::title && !is_cased(c.code);
    constexpr uint32_t kSharpS = 0xDF, kCapitalSharpS = 0x1E9E, kDottedI = 0x130;
    char bytes[4];
    if ((c.code == kSharpS && (up || how == Case::fold)) ||
        (c.code == kCapitalSharpS && how == Case::fold)) {
      const bool first = how == Case::capitalize || how == Case::title;
      if (!heap_.put(&result, how == Case::fold ? "ss" : first ? "Ss" : "SS")) return false;
    } else if (c.code == kDottedI && !up) {
      if (!heap_.put(&result, "i\xCC\x87")) return false;  // i, and a point above
    } else if (c.code == kReplacement && c.bytes == 1) {
      if (!heap_.put(&result, slice(text, at, 1))) return false;
    } else if (!heap_.put(&result, {bytes, encode_utf8(up ? upper_case(c.code) : low, bytes)})) {
      return false;
    }
    at += c.bytes;
  }
  return heap_.take(result, out);
}

bool Interpreter::search(std::string_view text, std::string_view part, bool from_right,
                         size_t* out) noexcept {
  return from_right ? heap_.search_last(text, part, out) : heap_.search(text, part, 0, out);
}

bool Interpreter::replace(std::string_view text, std::string_view old, std::string_view fresh,
                          int64_t most, Value* out) noexcept {
  String result(heap_.allocator());
  size_t at = 0;
  while (most != 0 && at <= text.size()) {
    size_t found = at;
    if (old.empty()) {  // before each character, and at the end
      if (!heap_.put(&result, fresh)) return false;
      --most;
      if (at == text.size()) {
        ++at;
        break;
      }
      const uint32_t bytes = character_at(text, at).bytes;
      if (!heap_.put(&result, slice(text, at, bytes)) || !heap_.spend(1)) return false;
      at += bytes;
      continue;
    }
    if (!heap_.search(text, old, at, &found)) return false;
    if (found == std::string_view::npos) break;
    if (!heap_.spend(1) || !heap_.put(&result, slice(text, at, found - at)) ||
        !heap_.put(&result, fresh)) {
      return false;
    }
    at = found + old.size();
    --most;
  }
  return heap_.put(&result, slice(text, at)) && heap_.take(result, out);
}

inline void reverse(List* list) noexcept {
  for (uint32_t i = 0; i < list->size / 2; ++i) {
    const Value other = list->items[i];
    list->items[i] = list->items[list->size - 1 - i];
    list->items[list->size - 1 - i] = other;
  }
}

// At runs of whitespace, at most `most` times (any number if negative), from one end.
bool Interpreter::split_words(std::string_view text, int64_t most, bool from_right,
                              List* out) noexcept {
  const auto end_character = [&] {
    return from_right ? character_before(text, text.size()) : character_at(text, 0);
  };
  for (;; --most) {
    text = strip(text, nullptr, !from_right, from_right);
    if (text.empty()) return true;
    if (most == 0) return heap_.append(out, Value::string(text));
    const std::string_view all = text;
    while (!text.empty() && !is_python_space(end_character().code)) {
      const uint32_t bytes = end_character().bytes;
      from_right ? text.remove_suffix(bytes) : text.remove_prefix(bytes);
    }
    const size_t size = all.size() - text.size();
    const std::string_view word = from_right ? slice(all, text.size()) : slice(all, 0, size);
    if (!heap_.append(out, Value::string(word))) return false;
  }
}

// Python's split and rsplit; `separator` none or not given: at whitespace.
bool Interpreter::split(std::string_view text, const Value& separator, int64_t most,
                        bool from_right, Value* out) noexcept {
  List* list = nullptr;
  if (!heap_.make_list(0, List::Shape::list, &list)) return false;
  if (!separator.is(Kind::string)) {
    if (!separator.is(Kind::none) && is_given(separator))
      return heap_.fail("must be str or None, not ", type_name(separator));
    if (!split_words(text, most, from_right, list)) return false;
  } else {
    const std::string_view sep = separator.view();
    if (sep.empty()) return heap_.fail("empty separator");
    for (; most != 0; --most) {
      size_t at = 0;
      if (!search(text, sep, from_right, &at)) return false;
      if (at == std::string_view::npos) break;
      const std::string_view left = slice(text, 0, at), right = slice(text, at + sep.size());
      if (!heap_.append(list, Value::string(from_right ? right : left))) return false;
      text = from_right ? left : right;
    }
    if (!heap_.append(list, Value::string(text))) return false;
  }
  if (from_right) reverse(list);
  *out = Value::of(list);
  return true;
}

bool Interpreter::split_lines(std::string_view text, bool keep_ends, List** out) noexcept {
  if (!heap_.make_list(0, List::Shape::list, out)) return false;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const DecodedCharacter c = character_at(text, at);
    const size_t line_end = at;
    at += c.bytes;
    const bool ends = (c.code >= 0x0A && c.code <= 0x0D) || (c.code >= 0x1C && c.code <= 0x1E) ||
                      c.code == 0x85 || c.code == 0x2028 || c.code == 0x2029;
    if (!ends) continue;
    if (c.code == '\r' && at < text.size() && text[at] == '\n') ++at;
    const size_t end = keep_ends ? at : line_end;
    if (!heap_.append(*out, Value::string(slice(text, begin, end - begin)))) return false;
    begin = at;
  }
  return begin == text.size() || heap_.append(*out, Value::string(slice(text, begin)));
}

bool Interpreter::partition(std::string_view text, const Value& separator, bool from_right,
                            Value* out) noexcept {
  if (!separator.is(Kind::string) || separator.size == 0)
    return heap_.fail("a separator must be a string that is not empty");
  List* list = nullptr;
  if (!heap_.make_list(3, List::Shape::tuple, &list)) return false;
  const std::string_view sep = separator.view();
  size_t at = 0;
  if (!search(text, sep, from_right, &at)) return false;
  const bool found = at != std::string_view::npos;
  const Value whole = Value::string(text), empty = Value::string("");
  list->items[0] = found ? Value::string(slice(text, 0, at)) : from_right ? empty : whole;
  list->items[1] = found ? separator : empty;
  list->items[2] = found ? Value::string(slice(text, at + sep.size())) : from_right ? whole : empty;
  list->size = 3;
  *out = Value::of(list);
  return true;
}

bool Interpreter::pad(std::string_view text, int64_t width, std::string_view fill, int where,
                      Value* out) noexcept {
  const int64_t size = static_cast<int64_t>(count_characters(text));
  const int64_t missing = width > size ? width - size : 0;
  // Python's center gives the odd space to the left if the width is odd.
  const int64_t left = where < 0 ? 0 : where > 0 ? missing : missing / 2 + (missing & width & 1);
  String result(heap_.allocator());
  for (int64_t i = 0; i < missing; ++i) {
    if (i == left && !heap_.put(&result, text)) return false;
    if (!heap_.spend(1) || !heap_.put(&result, fill)) return false;
  }
  if (left == missing && !heap_.put(&result, text)) return false;
  return heap_.take(result, out);
}

bool Interpreter::join(std::string_view separator, const List& list, bool convert,
                       Value* out) noexcept {
  String result(heap_.allocator());
  for (uint32_t i = 0; i < list.size; ++i) {
    if (!convert && !list.items[i].is(Kind::string)) {
      if (!heap_.defined(list.items[i])) return false;
      return heap_.fail("join() expects strings, found ", type_name(list.items[i]));
    }
    if ((i > 0 && !heap_.put(&result, separator)) || !heap_.write(list.items[i], &result))
      return false;
  }
  return heap_.take(result, out);
}

bool Interpreter::is_affix(std::string_view text, const Value& affixes, bool at_end,
                           bool* out) noexcept {
  const auto matches = [&](std::string_view affix) {
    *out = affix.size() <= text.size() &&
           slice(text, at_end ? text.size() - affix.size() : 0, affix.size()) == affix;
    return heap_.spend_bytes(affix.size());
  };
  *out = false;
  if (affixes.is(Kind::string)) return matches(affixes.view());
  if (!heap_.defined(affixes)) return false;
  if (!affixes.is(Kind::list) || !affixes.list->is_tuple())
    return heap_.fail("expected a string or a tuple of strings, found ", type_name(affixes));
  for (uint32_t i = 0; i < affixes.list->size && !*out; ++i) {
    if (!affixes.list->items[i].is(Kind::string)) return heap_.fail("expected a tuple of strings");
    if (!matches(affixes.list->items[i].view())) return false;
  }
  return true;
}

// Those with the arguments sub, start, end.
bool Interpreter::search_string(const Method& method, const Value* a, Value* out) noexcept {
  const MethodId id = static_cast<MethodId>(method.name);
  const std::string_view whole = method.self.view();
  const int64_t size = static_cast<int64_t>(count_characters(whole));
  int64_t start = 0, end = size;
  if (!argument_int(a[1], 0, &start) || !argument_int(a[2], size, &end)) return false;
  if (start < 0) start = start < -size ? 0 : start + size;
  if (end < 0) end = end < -size ? 0 : end + size;
  if (end > size) end = size;
  const bool valid = start <= end;
  const size_t begin = byte_of_character(whole, static_cast<size_t>(start));
  const size_t stop = byte_of_character(whole, static_cast<size_t>(end));
  const std::string_view text = valid ? slice(whole, begin, stop - begin) : std::string_view();
  if (id == MethodId::string_startswith || id == MethodId::string_endswith) {
    bool matches = false;
    if (!is_affix(text, a[0], id == MethodId::string_endswith, &matches)) return false;
    *out = Value::boolean(valid && matches);
    return true;
  }
  if (!heap_.defined(a[0])) return false;
  if (!a[0].is(Kind::string)) return heap_.fail("expected a string, found ", type_name(a[0]));
  const std::string_view sub = a[0].view();
  if (id == MethodId::string_count) {
    int64_t count = 0;
    if (sub.empty()) {
      count = valid ? end - start + 1 : 0;
    } else {
      for (size_t at = 0;; at += sub.size(), ++count) {
        if (!heap_.search(text, sub, at, &at)) return false;
        if (at == std::string_view::npos) break;
      }
    }
    *out = Value::number(count);
    return true;
  }
  const bool from_right = id == MethodId::string_rfind || id == MethodId::string_rindex;
  size_t at = 0;
  if (!search(text, sub, from_right, &at)) return false;
  if (!valid || at == std::string_view::npos) {
    if (id == MethodId::string_index || id == MethodId::string_rindex)
      return heap_.fail("substring not found");
    *out = Value::number(int64_t{-1});
    return true;
  }
  *out = Value::number(start + static_cast<int64_t>(count_characters(slice(text, 0, at))));
  return true;
}

// Whether all characters are of a class, and there is one.
template <class Is>
bool all_characters(std::string_view text, Is&& is) noexcept {
  for (size_t at = 0; at < text.size();) {
    const DecodedCharacter c = character_at(text, at);
    if (!is(c.code)) return false;
    at += c.bytes;
  }
  return !text.empty();
}

inline bool is_titled(std::string_view text) noexcept {
  bool after_cased = false, any = false;
  for (size_t at = 0; at < text.size();) {
    const DecodedCharacter c = character_at(text, at);
    const bool upper = lower_case(c.code) != c.code, cased = is_cased(c.code);
    if (cased && upper == after_cased) return false;
    any = any || cased;
    after_cased = cased;
    at += c.bytes;
  }
  return any;
}

bool Interpreter::call_string_method(const Method& method, const Value* a, Value* out) noexcept {
  const std::string_view text = method.self.view();
  const MethodId id = static_cast<MethodId>(method.name);
  const auto is_all = [&](auto&& is) {
    *out = Value::boolean(all_characters(text, is));
    return true;
  };
  const auto has_case = [&](bool upper) {
    bool any = false;
    const bool all = all_characters(text, [&](uint32_t c) {
      any = any || is_cased(c);
      return !is_cased(c) || (lower_case(c) != c) == upper;
    });
    *out = Value::boolean(all && any);
    return true;
  };
  switch (id) {
    case MethodId::string_upper:
      return change_case(text, Case::upper, out);
    case MethodId::string_lower:
      return change_case(text, Case::lower, out);
    case MethodId::string_casefold:
      return change_case(text, Case::fold, out);
    case MethodId::string_capitalize:
      return change_case(text, Case::capitalize, out);
    case MethodId::string_title:
      return change_case(text, Case::title, out);
    case MethodId::string_swapcase:
      return change_case(text, Case::swap, out);
    case MethodId::string_strip:
    case MethodId::string_lstrip:
    case MethodId::string_rstrip: {
      const std::string_view set = a[0].is(Kind::string) ? a[0].view() : std::string_view();
      if (!heap_.spend(set.size() / 8 * (text.size() / 8))) return false;
      *out = Value::string(strip(text, a[0].is(Kind::string) ? &set : nullptr,
                                 id != MethodId::string_rstrip, id != MethodId::string_lstrip));
      return true;
    }
    case MethodId::string_split:
    case MethodId::string_rsplit: {
      int64_t most = -1;
      return argument_int(a[1], -1, &most) &&
             split(text, a[0], most, id == MethodId::string_rsplit, out);
    }
    case MethodId::string_splitlines: {
      List* list = nullptr;
      if (!split_lines(text, heap_.truth(a[0]), &list)) return false;
      *out = Value::of(list);
      return true;
    }
    case MethodId::string_partition:
    case MethodId::string_rpartition:
      return partition(text, a[0], id == MethodId::string_rpartition, out);
    case MethodId::string_replace: {
      int64_t most = -1;
      if (!heap_.defined(a[0]) || !heap_.defined(a[1]) || !argument_int(a[2], -1, &most))
        return false;
      if (!a[0].is(Kind::string) || !a[1].is(Kind::string))
        return heap_.fail("replace() expects strings");
      return replace(text, a[0].view(), a[1].view(), most, out);
    }
    case MethodId::string_join: {
      List* list = nullptr;
      return heap_.iterate(a[0], &list) && join(text, *list, false, out);
    }
    case MethodId::string_removeprefix:
    case MethodId::string_removesuffix: {
      const bool suffix = id == MethodId::string_removesuffix;
      bool there = false;
      if (!is_affix(text, a[0], suffix, &there)) return false;
      *out = method.self;
      if (there && a[0].is(Kind::string)) {
        *out = Value::string(suffix ? slice(text, 0, text.size() - a[0].size)
                                    : slice(text, a[0].size));
      }
      return true;
    }
    case MethodId::string_center:
    case MethodId::string_ljust:
    case MethodId::string_rjust: {
      int64_t width = 0;
      std::string_view fill;
      if (!argument_int(a[0], 0, &width) || !argument_text(a[1], " ", &fill)) return false;
      if (count_characters(fill) != 1) return heap_.fail("the fill must be one character");
      return pad(text, width, fill,
                 id == MethodId::string_center  ? 0
                 : id == MethodId::string_ljust ? -1
                                                : 1,
                 out);
    }
    case MethodId::string_zfill: {
      int64_t width = 0;
      if (!argument_int(a[0], 0, &width)) return false;
      const size_t sign = !text.empty() && (text[0] == '-' || text[0] == '+') ? 1 : 0;
      if (width > 0) width -= static_cast<int64_t>(sign);
      Value padded;
      return pad(slice(text, sign), width, "0", 1, &padded) &&
             heap_.concatenate(slice(text, 0, sign), padded.view(), out);
    }
    case MethodId::string_expandtabs: {
      int64_t size = 8, column = 0;
      if (!argument_int(a[0], 8, &size)) return false;
      String result(heap_.allocator());
      for (size_t at = 0; at < text.size();) {
        const uint32_t bytes = character_at(text, at).bytes;
        if (text[at] == '\t') {
          for (int64_t n = size > 0 ? size - column % size : 0; n > 0; --n, ++column) {
            if (!heap_.spend(1) || !heap_.put(&result, " ")) return false;
          }
        } else {
          if (!heap_.put(&result, slice(text, at, bytes))) return false;
          column = text[at] == '\n' || text[at] == '\r' ? 0 : column + 1;
        }
        at += bytes;
      }
      return heap_.take(result, out);
    }
    case MethodId::string_isalpha:
      return is_all([](uint32_t c) { return is_letter(category_of(c)); });
    case MethodId::string_isdecimal:
      return is_all([](uint32_t c) { return category_of(c) == Category::Nd; });
    case MethodId::string_isdigit:
      return is_all([](uint32_t c) {
        return category_of(c) == Category::Nd || c == 0xB2 || c == 0xB3 || c == 0xB9 ||
               c == 0x2070 || (c >= 0x2074 && c <= 0x2079) || (c >= 0x2080 && c <= 0x2089);
      });
    case MethodId::string_isnumeric:
      return is_all([](uint32_t c) { return is_number(category_of(c)); });
    case MethodId::string_isalnum:
      return is_all(
          [](uint32_t c) { return is_letter(category_of(c)) || is_number(category_of(c)); });
    case MethodId::string_isspace:
      return is_all([](uint32_t c) { return is_python_space(c); });
    case MethodId::string_isascii:
      *out =
          Value::boolean(text.empty() || all_characters(text, [](uint32_t c) { return c < 0x80; }));
      return true;
    case MethodId::string_isprintable:
      *out = Value::boolean(text.empty() ||
                            all_characters(text, [](uint32_t c) { return is_printable(c); }));
      return true;
    case MethodId::string_isidentifier:
      *out = Value::boolean(
          !text.empty() && (text[0] < '0' || text[0] > '9') && all_characters(text, [](uint32_t c) {
            return c == '_' || is_letter(category_of(c)) || category_of(c) == Category::Nd;
          }));
      return true;
    case MethodId::string_isupper:
      return has_case(true);
    case MethodId::string_islower:
      return has_case(false);
    case MethodId::string_istitle:
      *out = Value::boolean(is_titled(text));
      return true;
    default:
      return search_string(method, a, out);
  }
}

// ---- lists ----

bool Interpreter::call_list_method(const Method& method, const Value* a, Value* out) noexcept {
  List& list = *method.self.list;
  int64_t index = 0;
  bool same = false;
  *out = Value::none();
  const auto remove_at = [&list](uint32_t at) {
    for (uint32_t i = at; i + 1 < list.size; ++i) list.items[i] = list.items[i + 1];
    --list.size;
  };
  if (!heap_.spend(list.size / 8)) return false;
  switch (static_cast<MethodId>(method.name)) {
    case MethodId::list_append:
      return heap_.append(&list, a[0]);
    case MethodId::list_clear:
      list.size = 0;
      return true;
    case MethodId::list_copy: {
      List* copy = nullptr;
      if (!copy_list(list, &copy)) return false;
      *out = Value::of(copy);
      return true;
    }
    case MethodId::list_extend: {
      List* more = nullptr;
      if (!heap_.iterate(a[0], &more)) return false;
      for (uint32_t i = 0, n = more->size; i < n; ++i) {
        if (!heap_.append(&list, more->items[i])) return false;
      }
      return true;
    }
    case MethodId::list_insert:
      if (!argument_int(a[0], 0, &index) || !heap_.append(&list, a[1])) return false;
      if (index < 0) index = index + list.size - 1 < 0 ? 0 : index + list.size - 1;
      for (int64_t i = list.size - 1; i > index; --i) list.items[i] = list.items[i - 1];
      if (index < list.size) list.items[index] = a[1];
      return true;
    case MethodId::list_pop:
      if (!argument_int(a[0], -1, &index)) return false;
      if (index < 0) index += list.size;
      if (index < 0 || index >= list.size) return heap_.fail("pop index out of range");
      *out = list.items[index];
      remove_at(static_cast<uint32_t>(index));
      return true;
    case MethodId::list_reverse:
      reverse(&list);
      return true;
    case MethodId::list_sort: {
      List* keys = nullptr;
      return copy_list(list, &keys) &&
             heap_.sort({keys->items, keys->size}, {list.items, list.size}, heap_.truth(a[0]));
    }
    default: {  // count, index, remove
      int64_t count = 0;
      for (uint32_t i = 0; i < list.size; ++i) {
        if (!heap_.equal(list.items[i], a[0], &same)) return false;
        if (!same) continue;
        if (static_cast<MethodId>(method.name) == MethodId::list_count) {
          ++count;
          continue;
        }
        if (static_cast<MethodId>(method.name) == MethodId::list_index) {
          *out = Value::number(int64_t{i});
        } else {
          remove_at(i);
        }
        return true;
      }
      *out = Value::number(count);
      return static_cast<MethodId>(method.name) == MethodId::list_count ||
             heap_.fail("the value is not in the list");
    }
  }
}

// ---- dicts ----

bool Interpreter::dict_view(const Dict& dict, List::Shape shape, Value* out) noexcept {
  List* list = nullptr;
  if (!heap_.spend(dict.size) || !heap_.make_list(dict.size, shape, &list)) return false;
  for (uint32_t i = 0; i < dict.size; ++i) {
    const Entry& entry = dict.entries[i];
    Value item = shape == List::Shape::values ? entry.value : entry.key;
    if (shape == List::Shape::items) {
      List* pair = nullptr;
      if (!heap_.make_list(2, List::Shape::tuple, &pair)) return false;
      pair->items[0] = entry.key;
      pair->items[1] = entry.value;
      pair->size = 2;
      item = Value::of(pair);
    }
    list->items[list->size++] = item;
  }
  *out = Value::of(list);
  return true;
}

// From a dict, or from pairs.
bool Interpreter::merge(Dict* dict, const Value& more) noexcept {
  if (more.is(Kind::dict)) {
    for (uint32_t i = 0; i < more.dict->size; ++i) {
      const Entry entry = more.dict->entries[i];
      if (!heap_.set(dict, entry.key, entry.value)) return false;
    }
    return true;
  }
  List* pairs = nullptr;
  if (!heap_.iterate(more, &pairs)) return false;
  for (uint32_t i = 0; i < pairs->size; ++i) {
    List* pair = nullptr;
    if (!heap_.iterate(pairs->items[i], &pair)) return false;
    if (pair->size != 2) return heap_.fail("a dict is made of pairs");
    if (!heap_.set(dict, pair->items[0], pair->items[1])) return false;
  }
  return true;
}

bool Interpreter::call_dict_method(const Method& method, const Value* a, Value* out) noexcept {
  Dict& dict = *method.self.dict;
  Entry* entry = nullptr;
  switch (static_cast<MethodId>(method.name)) {
    case MethodId::dict_items:
      return dict_view(dict, List::Shape::items, out);
    case MethodId::dict_keys:
      return dict_view(dict, List::Shape::keys, out);
    case MethodId::dict_values:
      return dict_view(dict, List::Shape::values, out);
    case MethodId::dict_clear:
      dict.size = 0;
      *out = Value::none();
      return true;
    case MethodId::dict_copy: {
      Dict* copy = nullptr;
      if (!heap_.make_dict(&copy) || !merge(copy, method.self)) return false;
      *out = Value::of(copy);
      return true;
    }
    case MethodId::dict_setdefault: {
      if (!heap_.find(dict, a[0], &entry)) return false;
      const Value otherwise = is_given(a[1]) ? a[1] : Value::none();
      *out = entry != nullptr ? entry->value : otherwise;
      return entry != nullptr || heap_.set(&dict, a[0], otherwise);
    }
    default:  // get, pop
      break;
  }
  const bool pops = static_cast<MethodId>(method.name) == MethodId::dict_pop;
  if (!heap_.find(dict, a[0], &entry)) return false;
  if (entry == nullptr) {
    if (pops && !is_given(a[1])) return heap_.fail("pop(): the key is not in the dict");
    *out = is_given(a[1]) ? a[1] : Value::none();
    return true;
  }
  *out = entry->value;
  if (!pops) return true;
  for (; entry + 1 < dict.entries + dict.size; ++entry) entry[0] = entry[1];
  --dict.size;
  return heap_.spend(dict.size / 8);
}

// ---- what takes any arguments, and cyclers ----

bool Interpreter::call_other_method(const Method& method, const Arguments& arguments,
                                    Value* out) noexcept {
  const Value& self = method.self;
  switch (static_cast<MethodId>(method.name)) {
    case MethodId::string_format:
      return format_braces(self.view(), arguments, out);
    case MethodId::dict_update:
      for (const Value& value : arguments.values) {
        if (!merge(self.dict, value)) return false;
      }
      for (const Argument& argument : arguments.named) {
        if (!heap_.set(self.dict, argument.name, argument.value)) return false;
      }
      *out = Value::none();
      return true;
    case MethodId::loop_cycle: {
      const Span<const Value> values = arguments.values;
      if (values.empty()) return heap_.fail("no items for cycling given");
      *out = values[static_cast<size_t>(self.loop->index) % values.size()];
      return true;
    }
    case MethodId::loop_changed: {
      List* seen = nullptr;
      bool same = false;
      if (!heap_.make_list(0, List::Shape::tuple, &seen)) return false;
      for (const Value& value : arguments.values) {
        if (!heap_.append(seen, value)) return false;
      }
      if (!heap_.equal(self.loop->changed, Value::of(seen), &same)) return false;
      self.loop->changed = Value::of(seen);
      *out = Value::boolean(!same);
      return true;
    }
    case MethodId::cycler_next:
      *out = self.dict->entries[self.dict->position].value;
      self.dict->position = (self.dict->position + 1) % self.dict->size;
      return true;
    default:  // reset
      self.dict->position = 0;
      *out = Value::none();
      return true;
  }
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_CHAT_METHODS_INL_HPP_
