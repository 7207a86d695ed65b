// Jinja's filters, tests and global functions, and those that transformers adds.
#ifndef INLAY_CHAT_BUILTINS_INL_HPP_
#define INLAY_CHAT_BUILTINS_INL_HPP_

#include <cmath>
#include <limits>

#include "inlay/chat/interpreter.hpp"
#include "inlay/chat/methods-inl.hpp"
#include "inlay/chat/value-inl.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// ---- arguments ----

bool Interpreter::argument_text(const Value& value, std::string_view otherwise,
                                std::string_view* out) noexcept {
  *out = otherwise;
  if (!is_given(value)) return true;
  if (!heap_.defined(value)) return false;
  if (!value.is(Kind::string)) return heap_.fail("expected a string, found ", type_name(value));
  *out = value.view();
  return true;
}

bool Interpreter::argument_int(const Value& value, int64_t otherwise, int64_t* out) noexcept {
  *out = otherwise;
  if (!is_given(value) || value.is(Kind::none)) return true;
  if (!heap_.defined(value)) return false;
  if (!value.is_integral()) return heap_.fail("expected an integer, found ", type_name(value));
  *out = value.integer;
  return true;
}

bool Interpreter::copy_list(const List& list, List** out) noexcept {
  if (!heap_.spend(list.size / 2) || !heap_.make_list(list.size, List::Shape::list, out))
    return false;
  for (uint32_t i = 0; i < list.size; ++i) (*out)->items[(*out)->size++] = list.items[i];
  return true;
}

// What strings are compared by, unless case matters.
bool Interpreter::lower_key(const Value& value, const Value& case_sensitive, Value* out) noexcept {
  *out = value;
  return !value.is(Kind::string) || heap_.truth(case_sensitive) ||
         change_case(value.view(), Case::lower, out);
}

// For each item what it is sorted or compared by. `several`: `path` may be several, separated by
// commas; keys are lists then, as Python compares those (undefined values are equal).
bool Interpreter::keys_of(const List& list, const Value& path, const Value& case_sensitive,
                          bool several, List** out) noexcept {
  if (!heap_.make_list(list.size, List::Shape::list, out)) return false;
  const bool by_path = is_given(path) && !path.is(Kind::none);
  const auto add_key = [&](const Value& item, const Value& one_path, List* to) {
    Value key = item;
    return (!by_path || get_path(item, one_path, &key)) &&
           lower_key(Value(key), case_sensitive, &key) && heap_.append(to, key);
  };
  for (uint32_t i = 0; i < list.size; ++i) {
    const Value& item = list.items[i];
    if (!several) {
      if (!add_key(item, path, *out)) return false;
      continue;
    }
    List* parts = nullptr;
    if (!heap_.make_list(0, List::Shape::list, &parts)) return false;
    if (!path.is(Kind::string)) {
      if (!add_key(item, path, parts)) return false;
    } else {
      for (std::string_view rest = path.view();;) {
        const size_t comma = find_byte(rest, ',');
        if (!add_key(item, Value::string(slice(rest, 0, comma)), parts)) return false;
        if (comma == std::string_view::npos) break;
        rest = slice(rest, comma + 1);
      }
    }
    if (!heap_.append(*out, Value::of(parts))) return false;
  }
  return true;
}

inline Value as_generator(List* list) noexcept {
  list->shape = List::Shape::generator;
  return Value::of(list);
}

#define INLAY_FILTER(name) \
  bool Interpreter::filter_##name(const Value& self, const Value* a, Value* out) noexcept
#define INLAY_UNUSED(name) static_cast<void>(name)

// ---- filters of numbers ----

INLAY_FILTER(abs) {
  INLAY_UNUSED(a);
  if (!heap_.defined(self)) return false;
  if (!self.is_number()) return heap_.fail("bad operand type for abs(): '", type_name(self), "'");
  if (self.is(Kind::real)) {
    *out = Value::number(std::fabs(self.real));
    return true;
  }
  if (self.integer < 0) return integer_arithmetic("-", 0, self.integer, out);
  *out = Value::number(self.integer);
  return true;
}

// A text as Python's float() reads it.
inline bool read_real(std::string_view text, double* out) noexcept {
  text = strip(text, nullptr, true, true);
  const bool negative = !text.empty() && text[0] == '-';
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  const auto digits = [&text](size_t at) {
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
    return at;
  };
  constexpr std::string_view kWords[] = {"inf", "infinity", "nan"};
  for (std::string_view word : kWords) {
    bool same = text.size() == word.size();
    for (size_t i = 0; i < text.size() && same; ++i) same = (text[i] | 0x20) == word[i];
    if (!same) continue;
    *out = word == "nan" ? std::numeric_limits<double>::quiet_NaN()
                         : std::numeric_limits<double>::infinity();
    if (negative) *out = -*out;
    return true;
  }
  size_t at = digits(0);
  const size_t whole = at;
  if (at < text.size() && text[at] == '.') at = digits(at + 1);
  if (at == 0 || (whole == 0 && at == 1)) return false;
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    const size_t sign =
        at + 1 < text.size() && (text[at + 1] == '-' || text[at + 1] == '+') ? 1 : 0;
    const size_t begin = at + 1 + sign;
    at = digits(begin);
    if (at == begin) return false;
  }
  if (at != text.size()) return false;
  *out = negative ? -parse_double(text) : parse_double(text);
  return true;
}

// A finite number without its fraction.
bool Interpreter::whole_number(double value, Value* out) noexcept {
  if (std::fabs(value) >= 9.2e18) return heap_.fail("an integer beyond 64 bits");
  *out = Value::number(static_cast<int64_t>(value));
  return true;
}

INLAY_FILTER(float) {
  *out = is_given(a[0]) ? a[0] : Value::number(0.0);
  double value = 0;
  if (!heap_.defined(self)) return false;
  if (self.is_number()) {
    *out = Value::number(self.as_real());
  } else if (self.is(Kind::string) && read_real(self.view(), &value)) {
    *out = Value::number(value);
  }
  return true;
}

INLAY_FILTER(int) {
  int64_t base = 10, value = 0;
  double real = 0;
  if (!heap_.defined(self) || !argument_int(a[1], 10, &base)) return false;
  *out = is_given(a[0]) ? a[0] : Value::number(int64_t{0});
  if (self.is_integral()) {
    *out = Value::number(self.integer);
    return true;
  }
  if (self.is(Kind::string)) {
    String digits(heap_.allocator());
    std::string_view text = strip(self.view(), nullptr, true, true);
    const bool negative = !text.empty() && text[0] == '-';
    if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
    if (text.size() > 1 && text[0] == '0' && base != 10) {
      const char letter = static_cast<char>(text[1] | 0x20);
      if ((letter == 'x' && base == 16) || (letter == 'o' && base == 8) ||
          (letter == 'b' && base == 2)) {
        text.remove_prefix(2);
      }
    }
    if (negative && !heap_.put(&digits, "-")) return false;
    for (size_t i = 0; i < text.size(); ++i) {
      const bool skip = text[i] == '_' && i > 0 && i + 1 < text.size() && text[i - 1] != '_';
      if (!skip && !heap_.put(&digits, slice(text, i, 1))) return false;
    }
    const bool sign_twice = !text.empty() && (text[0] == '-' || text[0] == '+');
    if (base >= 2 && base <= 36 && !sign_twice &&
        parse_int(view(digits), static_cast<uint32_t>(base), &value)) {
      *out = Value::number(value);
      return true;
    }
    if (!read_real(self.view(), &real)) return true;
  } else if (self.is(Kind::real)) {
    real = self.real;
  } else {
    return true;
  }
  return real - real != 0 || whole_number(real, out);  // infinite, or not a number
}

INLAY_FILTER(round) {
  int64_t places = 0;
  std::string_view method;
  if (!heap_.defined(self) || !argument_int(a[0], 0, &places) ||
      !argument_text(a[1], "common", &method)) {
    return false;
  }
  if (!self.is_number()) return heap_.fail("cannot round a ", type_name(self));
  const double value = self.as_real();
  if (method == "common") {
    if (self.is_integral() && places >= 0) {
      *out = Value::number(self.integer);
      return true;
    }
    if (value - value != 0 || value == 0 || places > 400) {
      *out = self.is_integral() ? Value::number(self.integer) : self;
      return true;
    }
    Digits digits;
    digits_to_place(std::fabs(value), static_cast<int32_t>(places < -400 ? -400 : places), &digits);
    String text(heap_.allocator());
    if (!heap_.put(&text, "0")) return false;
    for (size_t i = 0; i < digits.count; ++i) {
      const char digit = static_cast<char>('0' + digits.digit[i]);
      if (!heap_.put(&text, {&digit, 1})) return false;
    }
    char exponent[kMaxIntText];
    const int64_t power = digits.exponent - static_cast<int64_t>(digits.count);
    if (!heap_.put(&text, "e") || !heap_.put(&text, {exponent, format_int(power, exponent)}))
      return false;
    const double rounded = std::copysign(parse_double(view(text)), value);
    *out = Value::number(rounded);
    return !self.is_integral() || whole_number(rounded, out);
  }
  if (method != "ceil" && method != "floor")
    return heap_.fail("the method of round must be common, ceil or floor");
  const double power = std::pow(10.0, static_cast<double>(places));
  const double scaled = value * power;
  *out = Value::number((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / power);
  return true;
}

INLAY_FILTER(sum) {
  List* list = nullptr;
  if (!heap_.iterate(self, &list)) return false;
  const bool by_path = is_given(a[0]) && !a[0].is(Kind::none);
  Value total = is_given(a[1]) ? a[1] : Value::number(int64_t{0});
  for (uint32_t i = 0; i < list->size; ++i) {
    Value item = list->items[i], next;
    if ((by_path && !get_path(list->items[i], a[0], &item)) || !arithmetic("+", total, item, &next))
      return false;
    total = next;
  }
  *out = total;
  return true;
}

// ---- filters of strings ----

INLAY_FILTER(capitalize) {
  INLAY_UNUSED(a);
  std::string_view text;
  return heap_.text_of(self, &text) && change_case(text, Case::capitalize, out);
}

INLAY_FILTER(center) {
  std::string_view text;
  int64_t width = 80;
  return heap_.text_of(self, &text) && argument_int(a[0], 80, &width) &&
         pad(text, width, " ", 0, out);
}

bool Interpreter::escape(const Value& self, Value* out) noexcept {
  std::string_view text;
  String result(heap_.allocator());
  if (!heap_.text_of(self, &text)) return false;
  for (char c : text) {
    const std::string_view entity = c == '&'    ? "&amp;"
                                    : c == '<'  ? "&lt;"
                                    : c == '>'  ? "&gt;"
                                    : c == '"'  ? "&#34;"
                                    : c == '\'' ? "&#39;"
                                                : std::string_view(&c, 1);
    if (!heap_.put(&result, entity)) return false;
  }
  if (!heap_.take(result, out)) return false;
  out->safe = true;
  return true;
}

INLAY_FILTER(escape) {
  INLAY_UNUSED(a);
  *out = self;
  return (self.is(Kind::string) && self.safe) || escape(self, out);
}

INLAY_FILTER(forceescape) {
  INLAY_UNUSED(a);
  return escape(self, out);
}

INLAY_FILTER(safe) {
  INLAY_UNUSED(a);
  std::string_view text;
  if (!heap_.text_of(self, &text)) return false;
  *out = Value::string(text);
  out->safe = true;
  return true;
}

INLAY_FILTER(format) {
  INLAY_UNUSED(a);
  std::string_view text;
  if (!heap_.text_of(self, &text)) return false;
  if (!arguments_->named.empty()) {
    Dict* dict = nullptr;
    if (!arguments_->values.empty())
      return heap_.fail("format() takes positional or named arguments, not both");
    if (!heap_.make_dict(&dict)) return false;
    for (const Argument& argument : arguments_->named) {
      if (!heap_.set(dict, argument.name, argument.value)) return false;
    }
    return format_percent(text, Value::of(dict), out);
  }
  List* values = nullptr;
  if (!heap_.make_list(0, List::Shape::tuple, &values)) return false;
  for (const Value& value : arguments_->values) {
    if (!heap_.append(values, value)) return false;
  }
  return format_percent(text, Value::of(values), out);
}

INLAY_FILTER(indent) {
  std::string_view text, indention;
  int64_t width = 4;
  Value spaces;
  List* lines = nullptr;
  String result(heap_.allocator());
  if (!argument_text(self, "", &text)) return false;
  if (a[0].is(Kind::string)) {
    indention = a[0].view();
  } else {
    if (!argument_int(a[0], 4, &width) || !repeat(Value::string(" "), width, &spaces)) return false;
    indention = spaces.view();
  }
  const bool first = heap_.truth(a[1]), blank = heap_.truth(a[2]);
  Value with_newline;
  if (!heap_.concatenate(text, "\n", &with_newline) ||
      !split_lines(with_newline.view(), false, &lines)) {
    return false;
  }
  for (uint32_t i = 0; i < lines->size; ++i) {
    const std::string_view line = lines->items[i].view();
    const bool indented = i == 0 ? first : blank || !line.empty();
    if ((i > 0 && !heap_.put(&result, "\n")) || (indented && !heap_.put(&result, indention)) ||
        !heap_.put(&result, line)) {
      return false;
    }
  }
  return heap_.take(result, out);
}

INLAY_FILTER(lower) {
  INLAY_UNUSED(a);
  std::string_view text;
  return heap_.text_of(self, &text) && change_case(text, Case::lower, out);
}

INLAY_FILTER(upper) {
  INLAY_UNUSED(a);
  std::string_view text;
  return heap_.text_of(self, &text) && change_case(text, Case::upper, out);
}

// Words begin after spaces, hyphens and opening brackets; str.title() has other words.
INLAY_FILTER(title) {
  INLAY_UNUSED(a);
  std::string_view text;
  String result(heap_.allocator());
  if (!heap_.text_of(self, &text)) return false;
  const auto separates = [](uint32_t c) {
    return is_python_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
  };
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    const bool separator = separates(character_at(text, at).code);
    while (end < text.size() && separates(character_at(text, end).code) == separator)
      end += character_at(text, end).bytes;
    const uint32_t first = character_at(text, at).bytes;
    Value head, tail;
    if (!change_case(slice(text, at, first), Case::upper, &head) ||
        !change_case(slice(text, at + first, end - at - first), Case::lower, &tail) ||
        !heap_.put(&result, head.view()) || !heap_.put(&result, tail.view())) {
      return false;
    }
    at = end;
  }
  return heap_.take(result, out);
}

INLAY_FILTER(replace) {
  std::string_view text, old, fresh;
  int64_t count = -1;
  return heap_.text_of(self, &text) && heap_.text_of(a[0], &old) && heap_.text_of(a[1], &fresh) &&
         argument_int(a[2], -1, &count) && replace(text, old, fresh, count, out);
}

INLAY_FILTER(string) {
  INLAY_UNUSED(a);
  std::string_view text;
  *out = self;
  if (self.is(Kind::string)) return true;
  if (!heap_.text_of(self, &text)) return false;
  *out = Value::string(text);
  return true;
}

INLAY_FILTER(trim) {
  std::string_view text;
  if (!heap_.text_of(self, &text) || !heap_.spend_bytes(text.size())) return false;
  const std::string_view set = a[0].is(Kind::string) ? a[0].view() : std::string_view();
  if (!heap_.spend(set.size() / 8 * (text.size() / 8))) return false;
  *out = Value::string(strip(text, a[0].is(Kind::string) ? &set : nullptr, true, true));
  out->safe = self.is(Kind::string) && self.safe;
  return true;
}

INLAY_FILTER(truncate) {
  std::string_view text, end;
  int64_t length = 255, leeway = 5;
  if (!heap_.text_of(self, &text) || !argument_int(a[0], 255, &length) ||
      !argument_text(a[2], "...", &end) || !argument_int(a[3], 5, &leeway)) {
    return false;
  }
  const int64_t end_length = static_cast<int64_t>(count_characters(end));
  if (length < end_length || leeway < 0)
    return heap_.fail("truncate: the length is less than that of the end");
  const int64_t keep = length - end_length;
  *out = Value::string(text);
  if (static_cast<int64_t>(count_characters(text)) - leeway <= length) return true;
  std::string_view kept = slice(text, 0, byte_of_character(text, static_cast<size_t>(keep)));
  const size_t space = kept.rfind(' ');
  if (!heap_.truth(a[1]) && space != std::string_view::npos) kept = slice(kept, 0, space);
  Value copy;
  return heap_.copy(kept, &copy) && heap_.concatenate(copy.view(), end, out);
}

INLAY_FILTER(urlencode) {
  INLAY_UNUSED(a);
  constexpr std::string_view kPlain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~";
  String result(heap_.allocator());
  const auto quote = [&](const Value& value, bool in_query) {
    std::string_view text;
    if (!heap_.text_of(value, &text)) return false;
    for (char c : text) {
      const uint8_t byte = static_cast<uint8_t>(c);
      const char escaped[] = {'%', "0123456789ABCDEF"[byte >> 4], "0123456789ABCDEF"[byte & 15]};
      const bool plain = kPlain.find(c) != std::string_view::npos || (c == '/' && !in_query);
      const std::string_view written = plain                  ? std::string_view(&c, 1)
                                       : c == ' ' && in_query ? std::string_view("+")
                                                              : std::string_view(escaped, 3);
      if (!heap_.put(&result, written)) return false;
    }
    return true;
  };
  if (!self.is(Kind::dict) && !self.is(Kind::list))
    return quote(self, false) && heap_.take(result, out);
  Dict* dict = nullptr;
  if (!heap_.make_dict(&dict) || !merge(dict, self)) return false;
  for (uint32_t i = 0; i < dict->size; ++i) {
    if ((i > 0 && !heap_.put(&result, "&")) || !quote(dict->entries[i].key, true) ||
        !heap_.put(&result, "=") || !quote(dict->entries[i].value, true)) {
      return false;
    }
  }
  return heap_.take(result, out);
}

INLAY_FILTER(wordcount) {
  INLAY_UNUSED(a);
  std::string_view text;
  if (!heap_.text_of(self, &text) || !heap_.spend_bytes(text.size())) return false;
  int64_t count = 0;
  bool inside = false;
  for (size_t at = 0; at < text.size();) {
    const DecodedCharacter c = character_at(text, at);
    const Category category = category_of(c.code);
    const bool word = is_letter(category) || is_number(category) || c.code == '_';
    if (word && !inside) ++count;
    inside = word;
    at += c.bytes;
  }
  *out = Value::number(count);
  return true;
}

INLAY_FILTER(tojson) {
  Heap::JsonStyle style;
  style.ascii = heap_.truth(a[0]);
  style.sorted = heap_.truth(a[3]);
  style.indented = is_given(a[1]) && !a[1].is(Kind::none);
  Value indent;
  if (style.indented) {
    int64_t width = 0;
    indent = a[1];
    if (!a[1].is(Kind::string) &&
        (!argument_int(a[1], 0, &width) || !repeat(Value::string(" "), width, &indent))) {
      return false;
    }
    style.indent = indent.view();
    style.between = ",";
  }
  if (is_given(a[2]) && !a[2].is(Kind::none)) {
    List* pair = nullptr;
    if (!heap_.iterate(a[2], &pair)) return false;
    if (pair->size != 2 || !pair->items[0].is(Kind::string) || !pair->items[1].is(Kind::string))
      return heap_.fail("separators must be a pair of strings");
    style.between = pair->items[0].view();
    style.colon = pair->items[1].view();
  }
  String text(heap_.allocator());
  return heap_.write_json(self, style, &text) && heap_.take(text, out);
}

INLAY_FILTER(from_json) {
  INLAY_UNUSED(a);
  std::string_view text;
  JsonOptions options;
  options.allocator = heap_.allocator();
  options.memory = heap_.limits().memory;
  options.depth = heap_.limits().depth;
  if (!argument_text(self, "", &text) || !heap_.spend(text.size() / 4)) return false;
  auto document = JsonDocument::parse(text, options);
  if (!document) return heap_.fail(document.error().message());
  return heap_.from_json(document->root(), true, out);
}

// ---- filters of sequences ----

INLAY_FILTER(attr) {
  std::string_view name;
  bool found = false;
  if (!argument_text(a[0], "", &name)) return false;
  if (self.is(Kind::dict)) {  // attributes only, not items
    if (!find_method(self, name, out, &found)) return false;
    if (!found) *out = Value::undefined(Missing::attribute, name, self.kind);
    return true;
  }
  return get_attribute(self, name, out);
}

INLAY_FILTER(batch) {
  List *list = nullptr, *result = nullptr, *row = nullptr;
  int64_t size = 0;
  if (!heap_.iterate(self, &list) || !argument_int(a[0], 0, &size) ||
      !heap_.make_list(0, List::Shape::list, &result)) {
    return false;
  }
  if (size < 1) return heap_.fail("batch: the size must be at least 1");
  for (uint32_t i = 0; i < list->size; ++i) {
    if (i % size == 0) {
      if (!heap_.make_list(0, List::Shape::list, &row) || !heap_.append(result, Value::of(row)))
        return false;
    }
    if (!heap_.append(row, list->items[i])) return false;
  }
  while (row != nullptr && is_given(a[1]) && !a[1].is(Kind::none) && row->size < size) {
    if (!heap_.append(row, a[1])) return false;
  }
  *out = as_generator(result);
  return true;
}

INLAY_FILTER(slice) {
  List *list = nullptr, *result = nullptr;
  int64_t slices = 0;
  if (!heap_.iterate(self, &list) || !argument_int(a[0], 0, &slices) ||
      !heap_.make_list(0, List::Shape::list, &result)) {
    return false;
  }
  if (slices < 1) return heap_.fail("slice: the number must be at least 1");
  const int64_t each = list->size / slices, extra = list->size % slices;
  int64_t at = 0;
  for (int64_t i = 0; i < slices; ++i) {
    List* row = nullptr;
    const int64_t count = each + (i < extra ? 1 : 0);
    if (!heap_.make_list(0, List::Shape::list, &row) || !heap_.append(result, Value::of(row)))
      return false;
    for (int64_t end = at + count; at < end; ++at) {
      if (!heap_.append(row, list->items[at])) return false;
    }
    if (is_given(a[1]) && !a[1].is(Kind::none) && i >= extra && !heap_.append(row, a[1]))
      return false;
  }
  *out = as_generator(result);
  return true;
}

INLAY_FILTER(default) {
  const bool falsy = heap_.truth(a[1]) && !heap_.truth(self);
  *out = self;
  if (self.is(Kind::undefined) || falsy) *out = is_given(a[0]) ? a[0] : Value::string("");
  return true;
}

INLAY_FILTER(dictsort) {
  std::string_view by;
  Value pairs;
  List* keys = nullptr;
  if (!heap_.defined(self) || !argument_text(a[1], "key", &by)) return false;
  if (!self.is(Kind::dict))
    return heap_.fail("dictsort expects a mapping, found ", type_name(self));
  if (by != "key" && by != "value") return heap_.fail("dictsort sorts by 'key' or 'value'");
  if (!dict_view(*self.dict, List::Shape::items, &pairs) ||
      !keys_of(*pairs.list, Value::number(int64_t{by == "key" ? 0 : 1}), a[0], false, &keys) ||
      !heap_.sort({keys->items, keys->size}, {pairs.list->items, pairs.list->size},
                  heap_.truth(a[2]))) {
    return false;
  }
  pairs.list->shape = List::Shape::list;
  *out = pairs;
  return true;
}

INLAY_FILTER(first) {
  INLAY_UNUSED(a);
  List* list = nullptr;
  if (!heap_.iterate(self, &list)) return false;
  *out = list->size > 0 ? list->items[0]
                        : Value::undefined(Missing::message, "No first item, sequence was empty.");
  return true;
}

INLAY_FILTER(last) {
  INLAY_UNUSED(a);
  List* list = nullptr;
  if (self.is(Kind::list) && !self.list->has_length())
    return heap_.fail("'generator' object is not reversible");
  if (!heap_.iterate(self, &list)) return false;
  *out = list->size > 0 ? list->items[list->size - 1]
                        : Value::undefined(Missing::message, "No last item, sequence was empty.");
  return true;
}

INLAY_FILTER(groupby) {
  List *list = nullptr, *items = nullptr, *keys = nullptr, *groupers = nullptr, *result = nullptr,
       *group = nullptr;
  if (!heap_.iterate(self, &list) || !copy_list(*list, &items) ||
      !heap_.make_list(0, List::Shape::list, &result)) {
    return false;
  }
  if (!heap_.make_list(items->size, List::Shape::list, &keys) ||
      !heap_.make_list(items->size, List::Shape::list, &groupers)) {
    return false;
  }
  for (uint32_t i = 0; i < items->size; ++i) {
    Value grouper, key;
    if (!get_path(items->items[i], a[0], &grouper)) return false;
    if (grouper.is(Kind::undefined) && is_given(a[1])) grouper = a[1];
    if (!lower_key(grouper, a[2], &key) || !heap_.append(keys, key)) return false;
    List* pair = nullptr;
    if (!heap_.make_list(2, List::Shape::tuple, &pair) || !heap_.append(pair, grouper) ||
        !heap_.append(pair, items->items[i]) || !heap_.append(groupers, Value::of(pair))) {
      return false;
    }
  }
  if (!heap_.sort({keys->items, keys->size}, {groupers->items, groupers->size}, false))
    return false;
  for (uint32_t i = 0; i < items->size; ++i) {
    bool same = i > 0;
    if (i > 0 && !heap_.equal(keys->items[i - 1], keys->items[i], &same)) return false;
    if (!same) {
      List* pair = nullptr;
      if (!heap_.make_list(2, List::Shape::group, &pair) ||
          !heap_.make_list(0, List::Shape::list, &group) ||
          !heap_.append(pair, groupers->items[i].list->items[0]) ||
          !heap_.append(pair, Value::of(group)) || !heap_.append(result, Value::of(pair))) {
        return false;
      }
    }
    if (!heap_.append(group, groupers->items[i].list->items[1])) return false;
  }
  *out = Value::of(result);
  return true;
}

INLAY_FILTER(items) {
  INLAY_UNUSED(a);
  if (self.is(Kind::undefined)) {
    List* empty = nullptr;
    if (!heap_.make_list(0, List::Shape::list, &empty)) return false;
    *out = as_generator(empty);
    return true;
  }
  if (!self.is(Kind::dict)) return heap_.fail("Can only get item pairs from a mapping.");
  if (!dict_view(*self.dict, List::Shape::items, out)) return false;
  out->list->shape = List::Shape::generator;
  return true;
}

INLAY_FILTER(join) {
  List *list = nullptr, *parts = nullptr;
  std::string_view separator;
  if (!heap_.iterate(self, &list) || (is_given(a[0]) && !heap_.text_of(a[0], &separator)))
    return false;
  if (!is_given(a[1]) || a[1].is(Kind::none)) return join(separator, *list, true, out);
  if (!heap_.make_list(list->size, List::Shape::list, &parts)) return false;
  for (uint32_t i = 0; i < list->size; ++i) {
    Value part;
    if (!get_path(list->items[i], a[1], &part) || !heap_.append(parts, part)) return false;
  }
  return join(separator, *parts, true, out);
}

INLAY_FILTER(length) {
  INLAY_UNUSED(a);
  int64_t size = 0;
  if (self.is(Kind::string)) {
    if (!heap_.spend_bytes(self.size)) return false;
    size = static_cast<int64_t>(count_characters(self.view()));
  } else if (self.is(Kind::dict)) {
    size = self.dict->size;
  } else if (self.is(Kind::list) && self.list->has_length()) {
    size = self.list->size;
  } else if (self.is(Kind::loop)) {
    if (!loop_length(self.loop, &size)) return false;
  } else if (!self.is(Kind::undefined)) {
    return heap_.fail("object of type '", type_name(self), "' has no len()");
  }
  *out = Value::number(size);
  return true;
}

INLAY_FILTER(list) {
  INLAY_UNUSED(a);
  List *list = nullptr, *copy = nullptr;
  if (!heap_.iterate(self, &list) || !copy_list(*list, &copy)) return false;
  *out = Value::of(copy);
  return true;
}

INLAY_FILTER(map) {
  INLAY_UNUSED(a);
  List *list = nullptr, *result = nullptr;
  const Arguments all = *arguments_;
  if (!heap_.truth(self)) {
    if (!heap_.make_list(0, List::Shape::list, &result)) return false;
    *out = as_generator(result);
    return true;
  }
  if (!heap_.iterate(self, &list) || !heap_.make_list(list->size, List::Shape::list, &result))
    return false;
  Value path, otherwise = Value::undefined(Missing::message, "");
  for (const Argument& argument : all.named) {
    if (argument.name == "attribute") path = argument.value;
    if (argument.name == "default") otherwise = argument.value;
  }
  const bool by_attribute = all.values.empty();
  if (by_attribute && !is_given(path)) return heap_.fail("map requires a filter's name");
  if (!by_attribute && !all.values[0].is(Kind::string))
    return heap_.fail("map expects a filter's name, found ", type_name(all.values[0]));
  for (uint32_t i = 0; i < list->size; ++i) {
    Value item;
    if (by_attribute) {
      if (!get_path(list->items[i], path, &item)) return false;
      if (item.is(Kind::undefined) && is_given(otherwise)) item = otherwise;
    } else if (!call_filter(all.values[0].view(), list->items[i],
                            {all.values.subspan(1), all.named}, &item)) {
      return false;
    }
    if (!heap_.append(result, item)) return false;
  }
  *out = as_generator(result);
  return true;
}

bool Interpreter::extreme(const Value& self, const Value* a, bool greatest, Value* out) noexcept {
  List *list = nullptr, *keys = nullptr;
  if (!heap_.iterate(self, &list) || !keys_of(*list, a[1], a[0], false, &keys)) return false;
  *out = Value::undefined(Missing::message, "No aggregated item, sequence was empty.");
  uint32_t best = 0;
  for (uint32_t i = 1; i < list->size; ++i) {
    bool better = false;
    const Value &x = keys->items[i], &y = keys->items[best];
    if (!heap_.less(greatest ? y : x, greatest ? x : y, &better, greatest ? ">" : "<"))
      return false;
    if (better) best = i;
  }
  if (list->size > 0) *out = list->items[best];
  return true;
}
INLAY_FILTER(max) { return extreme(self, a, true, out); }
INLAY_FILTER(min) { return extreme(self, a, false, out); }

bool Interpreter::select(const Value& self, bool by_attribute, bool keep, Value* out) noexcept {
  List *list = nullptr, *result = nullptr;
  const Arguments all = *arguments_;
  if (!heap_.make_list(0, List::Shape::list, &result)) return false;
  *out = as_generator(result);
  if (!heap_.truth(self)) return true;
  if (!heap_.iterate(self, &list)) return false;
  Span<const Value> values = all.values;
  Value path;
  if (by_attribute) {
    if (values.empty()) return heap_.fail("expected the name of an attribute");
    path = values[0];
    values = values.subspan(1);
  }
  if (!values.empty() && !values[0].is(Kind::string))
    return heap_.fail("expected a test's name, found ", type_name(values[0]));
  for (uint32_t i = 0; i < list->size; ++i) {
    Value item = list->items[i];
    if (by_attribute && !get_path(list->items[i], path, &item)) return false;
    bool holds = heap_.truth(item);
    if (!values.empty() &&
        !call_test(values[0].view(), item, {values.subspan(1), all.named}, &holds)) {
      return false;
    }
    if (holds == keep && !heap_.append(result, list->items[i])) return false;
  }
  return true;
}
INLAY_FILTER(select) { return INLAY_UNUSED(a), select(self, false, true, out); }
INLAY_FILTER(reject) { return INLAY_UNUSED(a), select(self, false, false, out); }
INLAY_FILTER(selectattr) { return INLAY_UNUSED(a), select(self, true, true, out); }
INLAY_FILTER(rejectattr) { return INLAY_UNUSED(a), select(self, true, false, out); }

INLAY_FILTER(random) {
  INLAY_UNUSED(self);
  INLAY_UNUSED(a);
  INLAY_UNUSED(out);
  return heap_.fail("random is not supported: a prompt must be the same each time");
}

INLAY_FILTER(reverse) {
  INLAY_UNUSED(a);
  List *list = nullptr, *copy = nullptr;
  if (self.is(Kind::list) && !self.list->has_length())
    return heap_.fail("argument must be iterable");
  if (!heap_.iterate(self, &list) || !copy_list(*list, &copy)) return false;
  reverse(copy);
  if (self.is(Kind::string)) return join("", *copy, false, out);
  *out = as_generator(copy);
  return true;
}

INLAY_FILTER(sort) {
  List *list = nullptr, *copy = nullptr, *keys = nullptr;
  if (!heap_.iterate(self, &list) || !copy_list(*list, &copy) ||
      !keys_of(*copy, a[2], a[1], true, &keys) ||
      !heap_.sort({keys->items, keys->size}, {copy->items, copy->size}, heap_.truth(a[0]))) {
    return false;
  }
  *out = Value::of(copy);
  return true;
}

INLAY_FILTER(unique) {
  List *list = nullptr, *keys = nullptr, *result = nullptr;
  Dict* seen = nullptr;
  if (!heap_.iterate(self, &list) || !keys_of(*list, a[1], a[0], false, &keys) ||
      !heap_.make_list(0, List::Shape::list, &result) || !heap_.make_dict(&seen)) {
    return false;
  }
  for (uint32_t i = 0; i < list->size; ++i) {
    Entry* entry = nullptr;
    if (!heap_.find(*seen, keys->items[i], &entry)) return false;
    if (entry != nullptr) continue;
    if (!heap_.set(seen, keys->items[i], Value::none()) || !heap_.append(result, list->items[i]))
      return false;
  }
  *out = as_generator(result);
  return true;
}

// ---- tests ----

#define INLAY_TEST(name) \
  bool Interpreter::test_##name(const Value& self, const Value* a, Value* out) noexcept
// One that looks at the value's type only.
#define INLAY_TYPE_TEST(name, condition) \
  INLAY_TEST(name) {                     \
    INLAY_UNUSED(a);                     \
    *out = Value::boolean(condition);    \
    return true;                         \
  }

INLAY_TYPE_TEST(boolean, self.is(Kind::boolean))
INLAY_TYPE_TEST(callable, self.is(Kind::macro) || self.is(Kind::function) ||
                              self.is(Kind::method) || self.is(Kind::loop) ||
                              self.is(Kind::joiner) || self.is(Kind::undefined))
INLAY_TYPE_TEST(defined, !self.is(Kind::undefined))
INLAY_TYPE_TEST(undefined, self.is(Kind::undefined))
INLAY_TYPE_TEST(escaped, self.is(Kind::string) && self.safe)
INLAY_TYPE_TEST(false, self.is(Kind::boolean) && self.integer == 0)
INLAY_TYPE_TEST(true, self.is(Kind::boolean) && self.integer != 0)
INLAY_TYPE_TEST(float, self.is(Kind::real))
INLAY_TYPE_TEST(integer, self.is(Kind::integer))
INLAY_TYPE_TEST(number, self.is_number())
INLAY_TYPE_TEST(string, self.is(Kind::string))
INLAY_TYPE_TEST(mapping, self.is(Kind::dict))
INLAY_TYPE_TEST(none, self.is(Kind::none))
INLAY_TYPE_TEST(iterable, self.is(Kind::list) || self.is(Kind::dict) || self.is(Kind::string) ||
                              self.is(Kind::undefined) || self.is(Kind::loop))
INLAY_TYPE_TEST(sequence, (self.is(Kind::list) && self.list->has_index()) || self.is(Kind::dict) ||
                              self.is(Kind::string) || self.is(Kind::undefined))
INLAY_TYPE_TEST(filter, self.is(Kind::string) && BuiltinTables::filter(self.view()) != nullptr)
INLAY_TYPE_TEST(test, self.is(Kind::string) && BuiltinTables::test(self.view()) != nullptr)
#undef INLAY_TYPE_TEST

INLAY_TEST(sameas) {
  // Small values are the same object in Python when they are equal; others when they are one.
  *out = Value::boolean(false);
  if (self.kind != a[0].kind) return true;
  bool same = false;
  if (self.is(Kind::list) || self.is(Kind::dict)) {
    same = self.list == a[0].list;
  } else if (!heap_.equal(self, a[0], &same)) {
    return false;
  }
  *out = Value::boolean(same);
  return true;
}

INLAY_TEST(divisibleby) {
  Value rest;
  if (!arithmetic("%", self, a[0], &rest)) return false;
  *out = Value::boolean(!heap_.truth(rest));
  return true;
}
INLAY_TEST(even) {
  INLAY_UNUSED(a);
  const Value two = Value::number(int64_t{2});
  return test_divisibleby(self, &two, out);
}
INLAY_TEST(odd) {
  if (!test_even(self, a, out)) return false;
  *out = Value::boolean(!heap_.truth(*out));
  return true;
}

INLAY_TEST(lower) {
  std::string_view text;
  INLAY_UNUSED(a);
  Method method{Value(), static_cast<uint32_t>(MethodId::string_islower)};
  if (!heap_.text_of(self, &text)) return false;
  method.self = Value::string(text);
  return call_string_method(method, nullptr, out);
}
INLAY_TEST(upper) {
  std::string_view text;
  INLAY_UNUSED(a);
  Method method{Value(), static_cast<uint32_t>(MethodId::string_isupper)};
  if (!heap_.text_of(self, &text)) return false;
  method.self = Value::string(text);
  return call_string_method(method, nullptr, out);
}

#define INLAY_COMPARING_TEST(name, sign)                  \
  INLAY_TEST(name) {                                      \
    bool holds = false;                                   \
    if (!compare(sign, self, a[0], &holds)) return false; \
    *out = Value::boolean(holds);                         \
    return true;                                          \
  }
INLAY_COMPARING_TEST(eq, "==")
INLAY_COMPARING_TEST(ne, "!=")
INLAY_COMPARING_TEST(lt, "<")
INLAY_COMPARING_TEST(le, "<=")
INLAY_COMPARING_TEST(gt, ">")
INLAY_COMPARING_TEST(ge, ">=")
INLAY_COMPARING_TEST(in, "in")
#undef INLAY_COMPARING_TEST

// ---- global functions ----

#define INLAY_GLOBAL(name) \
  bool Interpreter::global_##name(const Value& self, const Value* a, Value* out) noexcept

INLAY_GLOBAL(cycler) {
  INLAY_UNUSED(self);
  INLAY_UNUSED(a);
  Dict* dict = nullptr;
  if (arguments_->values.empty()) return heap_.fail("at least one item has to be provided");
  if (!heap_.make_dict(&dict)) return false;
  for (size_t i = 0; i < arguments_->values.size(); ++i) {
    if (!heap_.set(dict, Value::number(static_cast<int64_t>(i)), arguments_->values[i]))
      return false;
  }
  *out = Value::of(dict, Kind::cycler);
  return true;
}

INLAY_GLOBAL(joiner) {
  INLAY_UNUSED(self);
  Dict* dict = nullptr;
  const Value separator = is_given(a[0]) ? a[0] : Value::string(", ");
  if (!heap_.make_dict(&dict) || !heap_.set(dict, "sep", separator)) return false;
  *out = Value::of(dict, Kind::joiner);
  return true;
}

INLAY_GLOBAL(dict) {
  INLAY_UNUSED(self);
  INLAY_UNUSED(a);
  Dict* dict = nullptr;
  if (arguments_->values.size() > 1) return heap_.fail("dict() takes at most one argument");
  if (!heap_.make_dict(&dict) ||
      (!arguments_->values.empty() && !merge(dict, arguments_->values[0]))) {
    return false;
  }
  for (const Argument& argument : arguments_->named) {
    if (!heap_.set(dict, argument.name, argument.value)) return false;
  }
  *out = Value::of(dict);
  return true;
}

INLAY_GLOBAL(namespace) {
  if (!global_dict(self, a, out)) return false;
  out->kind = Kind::name_space;
  return true;
}

INLAY_GLOBAL(lipsum) {
  INLAY_UNUSED(self);
  INLAY_UNUSED(a);
  INLAY_UNUSED(out);
  return heap_.fail("lipsum() is not supported: a prompt must be the same each time");
}

INLAY_GLOBAL(raise_exception) {
  INLAY_UNUSED(self);
  INLAY_UNUSED(out);
  std::string_view text;
  if (heap_.text_of(a[0], &text)) heap_.failure() << text;
  return false;
}

INLAY_GLOBAL(range) {
  INLAY_UNUSED(self);
  constexpr int64_t kMost = 100000;  // as in Jinja's sandbox
  int64_t numbers[3] = {0, 0, 1};
  for (int i = 0; i < 3; ++i) {
    if (is_given(a[i]) && !a[i].is_integral()) {
      return heap_.defined(a[i]) &&
             heap_.fail("'", type_name(a[i]), "' object cannot be interpreted as an integer");
    }
    if (is_given(a[i])) numbers[i] = a[i].integer;
  }
  if (!is_given(a[1])) {
    numbers[1] = numbers[0];
    numbers[0] = 0;
  }
  const int64_t start = numbers[0], stop = numbers[1], step = numbers[2];
  if (step == 0) return heap_.fail("range() arg 3 must not be zero");
  for (int64_t number : numbers) {
    if (number > kMaxRangeNumber || number < -kMaxRangeNumber) return heap_.fail(kRangeTooFar);
  }
  const int64_t distance = step > 0 ? stop - start : start - stop;
  const int64_t stride = step > 0 ? step : -step;
  const int64_t count = distance <= 0 ? 0 : (distance - 1) / stride + 1;
  if (count > kMost) return heap_.fail("range() is longer than 100000");
  List* list = nullptr;
  if (!heap_.spend(static_cast<uint64_t>(count)) ||
      !heap_.make_list(static_cast<size_t>(count), List::Shape::range, &list)) {
    return false;
  }
  for (int64_t i = 0; i < count; ++i) list->items[list->size++] = Value::number(start + i * step);
  list->start = start;
  list->stop = stop;
  list->step = step;
  *out = Value::of(list);
  return true;
}

INLAY_GLOBAL(strftime_now) {
  INLAY_UNUSED(self);
  std::string_view format;
  return argument_text(a[0], "", &format) && format_time(format, out);
}

// ---- the tables ----

const Function* BuiltinTables::filter(std::string_view name) noexcept {
#define INLAY_X(name, required, parameters) \
  { #name, &Interpreter::filter_##name, required, parameters }
  static constexpr Function kFilters[] = {
      INLAY_X(abs, 0, ""),
      INLAY_X(attr, 1, "name"),
      INLAY_X(batch, 1, "linecount fill_with"),
      INLAY_X(capitalize, 0, ""),
      INLAY_X(center, 0, "width"),
      {"count", &Interpreter::filter_length, 0, ""},
      {"d", &Interpreter::filter_default, 0, "default_value boolean"},
      INLAY_X(default, 0, "default_value boolean"),
      INLAY_X(dictsort, 0, "case_sensitive by reverse"),
      {"e", &Interpreter::filter_escape, 0, ""},
      INLAY_X(escape, 0, ""),
      INLAY_X(filesizeformat, 0, "binary"),
      INLAY_X(first, 0, ""),
      INLAY_X(float, 0, "default"),
      INLAY_X(forceescape, 0, ""),
      INLAY_X(format, 0, "*"),
      INLAY_X(from_json, 0, ""),
      {"fromjson", &Interpreter::filter_from_json, 0, ""},
      INLAY_X(groupby, 1, "attribute default case_sensitive"),
      INLAY_X(indent, 0, "width first blank"),
      INLAY_X(int, 0, "default base"),
      INLAY_X(items, 0, ""),
      INLAY_X(join, 0, "d attribute"),
      INLAY_X(last, 0, ""),
      INLAY_X(length, 0, ""),
      INLAY_X(list, 0, ""),
      INLAY_X(lower, 0, ""),
      INLAY_X(map, 0, "*"),
      INLAY_X(max, 0, "case_sensitive attribute"),
      INLAY_X(min, 0, "case_sensitive attribute"),
      INLAY_X(pprint, 0, ""),
      INLAY_X(random, 0, ""),
      INLAY_X(reject, 0, "*"),
      INLAY_X(rejectattr, 0, "*"),
      INLAY_X(replace, 2, "old new count"),
      INLAY_X(reverse, 0, ""),
      INLAY_X(round, 0, "precision method"),
      INLAY_X(safe, 0, ""),
      INLAY_X(select, 0, "*"),
      INLAY_X(selectattr, 0, "*"),
      INLAY_X(slice, 1, "slices fill_with"),
      INLAY_X(sort, 0, "reverse case_sensitive attribute"),
      INLAY_X(string, 0, ""),
      INLAY_X(striptags, 0, ""),
      INLAY_X(sum, 0, "attribute start"),
      INLAY_X(title, 0, ""),
      INLAY_X(tojson, 0, "ensure_ascii indent separators sort_keys"),
      INLAY_X(trim, 0, "chars"),
      INLAY_X(truncate, 0, "length killwords end leeway"),
      INLAY_X(unique, 0, "case_sensitive attribute"),
      INLAY_X(upper, 0, ""),
      INLAY_X(urlencode, 0, ""),
      INLAY_X(urlize, 0, "trim_url_limit nofollow target rel"),
      INLAY_X(wordcount, 0, ""),
      INLAY_X(wordwrap, 0, "width break_long_words wrapstring break_on_hyphens"),
      INLAY_X(xmlattr, 0, "autospace"),
  };
#undef INLAY_X
  for (const Function& function : kFilters) {
    if (function.name == name) return &function;
  }
  return nullptr;
}

const Function* BuiltinTables::test(std::string_view name) noexcept {
#define INLAY_X(written, name, required, parameters) \
  { written, &Interpreter::test_##name, required, parameters }
  static constexpr Function kTests[] = {
      INLAY_X("!=", ne, 1, "other"),
      INLAY_X("<", lt, 1, "other"),
      INLAY_X("<=", le, 1, "other"),
      INLAY_X("==", eq, 1, "other"),
      INLAY_X(">", gt, 1, "other"),
      INLAY_X(">=", ge, 1, "other"),
      INLAY_X("boolean", boolean, 0, ""),
      INLAY_X("callable", callable, 0, ""),
      INLAY_X("defined", defined, 0, ""),
      INLAY_X("divisibleby", divisibleby, 1, "num"),
      INLAY_X("eq", eq, 1, "other"),
      INLAY_X("equalto", eq, 1, "other"),
      INLAY_X("escaped", escaped, 0, ""),
      INLAY_X("even", even, 0, ""),
      INLAY_X("false", false, 0, ""),
      INLAY_X("filter", filter, 0, ""),
      INLAY_X("float", float, 0, ""),
      INLAY_X("ge", ge, 1, "other"),
      INLAY_X("greaterthan", gt, 1, "other"),
      INLAY_X("gt", gt, 1, "other"),
      INLAY_X("in", in, 1, "seq"),
      INLAY_X("integer", integer, 0, ""),
      INLAY_X("iterable", iterable, 0, ""),
      INLAY_X("le", le, 1, "other"),
      INLAY_X("lessthan", lt, 1, "other"),
      INLAY_X("lower", lower, 0, ""),
      INLAY_X("lt", lt, 1, "other"),
      INLAY_X("mapping", mapping, 0, ""),
      INLAY_X("ne", ne, 1, "other"),
      INLAY_X("none", none, 0, ""),
      INLAY_X("number", number, 0, ""),
      INLAY_X("odd", odd, 0, ""),
      INLAY_X("sameas", sameas, 1, "other"),
      INLAY_X("sequence", sequence, 0, ""),
      INLAY_X("string", string, 0, ""),
      INLAY_X("test", test, 0, ""),
      INLAY_X("true", true, 0, ""),
      INLAY_X("undefined", undefined, 0, ""),
      INLAY_X("upper", upper, 0, ""),
  };
#undef INLAY_X
  for (const Function& function : kTests) {
    if (function.name == name) return &function;
  }
  return nullptr;
}

const Function* BuiltinTables::global(std::string_view name) noexcept {
#define INLAY_X(name, required, parameters) \
  { #name, &Interpreter::global_##name, required, parameters }
  static constexpr Function kGlobals[] = {
      INLAY_X(cycler, 0, "*"),
      INLAY_X(dict, 0, "*"),
      INLAY_X(joiner, 0, "sep"),
      INLAY_X(lipsum, 0, "*"),
      INLAY_X(namespace, 0, "*"),
      INLAY_X(raise_exception, 1, "message"),
      INLAY_X(range, 1, "start stop step"),
      INLAY_X(strftime_now, 1, "format"),
  };
#undef INLAY_X
  for (const Function& function : kGlobals) {
    if (function.name == name) return &function;
  }
  return nullptr;
}

#undef INLAY_FILTER
#undef INLAY_TEST
#undef INLAY_GLOBAL
#undef INLAY_UNUSED

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_CHAT_BUILTINS_INL_HPP_
