#ifndef INLAY_CHAT_VALUE_INL_HPP_
#define INLAY_CHAT_VALUE_INL_HPP_

#include <cstring>

#include "inlay/chat/value.hpp"
#include "inlay/text/decimal.hpp"
#include "inlay/text/unicode.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// ---- characters ----

inline DecodedCharacter character_at(std::string_view text, size_t at) noexcept {
  return decode_utf8(text.data() + at, text.data() + text.size());
}

size_t count_characters(std::string_view text) noexcept {
  size_t count = 0;
  for (size_t at = 0; at < text.size(); at += character_at(text, at).bytes) ++count;
  return count;
}

size_t byte_of_character(std::string_view text, size_t index) noexcept {
  size_t at = 0;
  for (; at < text.size() && index > 0; --index) at += character_at(text, at).bytes;
  return at;
}

bool is_python_space(uint32_t code) noexcept {
  return is_whitespace(code) || (code >= 0x1C && code <= 0x1F);
}

// The character that ends at `end` > 0.
inline DecodedCharacter character_before(std::string_view text, size_t end) noexcept {
  for (size_t bytes = 1; bytes <= 4 && bytes <= end; ++bytes) {
    const DecodedCharacter c = decode_utf8(text.data() + end - bytes, text.data() + end);
    if (c.bytes == bytes && (bytes > 1 || c.code != kReplacement)) return c;
  }
  return {kReplacement, 1};
}

std::string_view strip(std::string_view text, const std::string_view* set, bool left,
                       bool right) noexcept {
  const auto strips = [set](std::string_view character, uint32_t code) {
    if (set == nullptr) return is_python_space(code);
    return set->find(character) != std::string_view::npos;
  };
  while (left && !text.empty()) {
    const DecodedCharacter c = character_at(text, 0);
    if (!strips(slice(text, 0, c.bytes), c.code)) break;
    text.remove_prefix(c.bytes);
  }
  while (right && !text.empty()) {
    const DecodedCharacter c = character_before(text, text.size());
    if (!strips(slice(text, text.size() - c.bytes), c.code)) break;
    text.remove_suffix(c.bytes);
  }
  return text;
}

std::string_view type_name(const Value& value) noexcept {
  switch (value.kind) {
    case Kind::undefined:
      return "Undefined";
    case Kind::none:
      return "NoneType";
    case Kind::boolean:
      return "bool";
    case Kind::integer:
      return "int";
    case Kind::real:
      return "float";
    case Kind::string:
      return value.safe ? "Markup" : "str";
    case Kind::list:
      switch (value.list->shape) {
        case List::Shape::list:
          return "list";
        case List::Shape::tuple:
          return "tuple";
        case List::Shape::group:
          return "_GroupTuple";
        case List::Shape::range:
          return "range";
        case List::Shape::generator:
          return "generator";
        case List::Shape::keys:
          return "dict_keys";
        case List::Shape::values:
          return "dict_values";
        case List::Shape::items:
          return "dict_items";
      }
      break;
    case Kind::dict:
      return "dict";
    case Kind::name_space:
      return "Namespace";
    case Kind::macro:
      return "Macro";
    case Kind::function:
      return "function";
    case Kind::method:
      return "builtin_function_or_method";
    case Kind::loop:
      return "LoopContext";
    case Kind::cycler:
      return "Cycler";
    case Kind::joiner:
      return "Joiner";
  }
  return "object";
}

// ---- errors ----

Error& Heap::failure(ErrorCode code) noexcept {
  error_ = Error(code, "template line ");
  return error_ << line << ": ";
}

bool Heap::fail(std::string_view a, std::string_view b, std::string_view c, std::string_view d,
                std::string_view e) noexcept {
  failure() << a << b << c << d << e;
  return false;
}

bool Heap::out_of_memory() noexcept {
  failure(ErrorCode::out_of_memory)
      << "out of memory, or the template needs more than " << limits_.memory << " bytes";
  return false;
}

bool Heap::too_many_operations() noexcept {
  failure(ErrorCode::unsupported) << "the template needs more than " << limits_.operations
                                  << " operations";
  return false;
}

bool Heap::too_deep() noexcept {
  failure(ErrorCode::unsupported) << "values or calls are nested more than " << limits_.depth
                                  << " deep";
  return false;
}

bool Heap::is_undefined(const Value& value) noexcept {
  Error& error = failure();
  if (value.missing == Missing::message) {
    error << value.view();
  } else if (value.missing == Missing::name) {
    error << "'" << value.view() << "' is undefined";
  } else {
    const Value owner = Value::of(value.owner);
    const bool none = value.owner == Kind::none;
    error << "'"
          << (none                        ? std::string_view("None")
              : value.owner == Kind::list ? std::string_view("list")
                                          : type_name(owner))
          << (none ? "" : " object") << "' has no attribute '" << value.view() << "'";
  }
  return false;
}

bool Heap::no_operator(std::string_view name, const Value& a, const Value& b) noexcept {
  if (!defined(a) || !defined(b)) return false;
  fail("unsupported operand types for ", name, ": ", type_name(a), " and ");
  error_ << type_name(b);
  return false;
}

// ---- strings ----

bool Heap::copy(std::string_view text, Value* out) noexcept {
  std::string_view copied;
  if (text.size() > UINT32_MAX || !spend_bytes(text.size())) return out_of_memory();
  if (!arena_.copy(text, &copied)) return out_of_memory();
  *out = Value::string(copied);
  return true;
}

bool Heap::concatenate(std::string_view a, std::string_view b, Value* out) noexcept {
  if (a.size() + b.size() > UINT32_MAX) return out_of_memory();
  if (!spend_bytes(b.size())) return false;
  // A text that is appended to again and again is not copied each time.
  if (!a.empty() && arena_.extend(a.data() + a.size(), b.size())) {
    std::memcpy(const_cast<char*>(a.data()) + a.size(), b.data(), b.size());
    *out = Value::string({a.data(), a.size() + b.size()});
    return true;
  }
  if (!spend_bytes(a.size())) return false;
  char* bytes = static_cast<char*>(arena_.take(a.size() + b.size(), 1));
  if (bytes == nullptr) return out_of_memory();
  if (!a.empty()) std::memcpy(bytes, a.data(), a.size());
  if (!b.empty()) std::memcpy(bytes + a.size(), b.data(), b.size());
  *out = Value::string({bytes, a.size() + b.size()});
  return true;
}

// Whether `part` stands at that place. `*compared`: bytes, which are counted now and then.
bool Heap::matches(std::string_view text, std::string_view part, size_t at, uint64_t* compared,
                   bool* out) noexcept {
  constexpr uint64_t kCountAt = 4096;
  constexpr size_t kStep = 64;
  size_t same = 0;  // bytes, in whole steps
  for (; same < part.size() && text[at + same] == part[same]; same += kStep) {
    const std::string_view next = slice(part, same, kStep);
    if (slice(text, at + same, next.size()) != next) break;
  }
  *out = same >= part.size();
  *compared += same + 1;
  if (!*out && *compared < kCountAt) return true;
  const uint64_t bytes = *compared;
  *compared = 0;
  return spend_bytes(bytes);
}

bool Heap::search(std::string_view text, std::string_view part, size_t from, size_t* out) noexcept {
  uint64_t compared = 0;
  *out = std::string_view::npos;
  for (; from <= text.size() && part.size() <= text.size() - from; ++from) {
    bool found = false;
    if (!matches(text, part, from, &compared, &found)) return false;
    if (!found) continue;
    *out = from;
    return true;
  }
  return spend_bytes(compared);
}

bool Heap::search_last(std::string_view text, std::string_view part, size_t* out) noexcept {
  uint64_t compared = 0;
  *out = std::string_view::npos;
  if (part.size() > text.size()) return true;
  for (size_t at = text.size() - part.size() + 1; at-- > 0;) {
    bool found = false;
    if (!matches(text, part, at, &compared, &found)) return false;
    if (!found) continue;
    *out = at;
    return true;
  }
  return spend_bytes(compared);
}

// ---- lists and dicts ----

bool Heap::make_list(size_t capacity, List::Shape shape, List** out) noexcept {
  if (!spend(capacity / 8)) return false;
  List* list = arena_.make<List>();
  if (list == nullptr || capacity > UINT32_MAX) return out_of_memory();
  list->items = arena_.make<Value>(capacity);
  if (list->items == nullptr) return out_of_memory();
  list->capacity = static_cast<uint32_t>(capacity);
  list->shape = shape;
  *out = list;
  return true;
}

bool Heap::append(List* list, const Value& value) noexcept {
  if (!spend(1)) return false;
  if (list->size == list->capacity) {
    if (list->size > UINT32_MAX / 4) return out_of_memory();
    const uint32_t capacity = list->size < 4 ? 8 : list->size * 2;
    Value* items = arena_.make<Value>(capacity);
    if (items == nullptr) return out_of_memory();
    for (uint32_t i = 0; i < list->size; ++i) items[i] = list->items[i];
    list->items = items;
    list->capacity = capacity;
  }
  list->items[list->size++] = value;
  return true;
}

bool Heap::make_dict(Dict** out) noexcept {
  *out = arena_.make<Dict>();
  return *out != nullptr || out_of_memory();
}

Entry* Heap::find(const Dict& dict, std::string_view key) noexcept {
  operations_ += dict.size / 4;
  for (uint32_t i = 0; i < dict.size; ++i) {
    Entry& entry = dict.entries[i];
    if (!entry.key.is(Kind::string) || entry.key.size != key.size()) continue;
    operations_ += key.size() / 32;
    if (entry.key.view() == key) return &entry;
  }
  return nullptr;
}

bool Heap::find(const Dict& dict, const Value& key, Entry** out) noexcept {
  *out = nullptr;
  if (key.is(Kind::string)) {
    *out = find(dict, key.view());
    return spend(1);
  }
  if ((key.is(Kind::list) && !key.list->is_tuple()) || key.is(Kind::dict))
    return fail("unhashable type: '", type_name(key), "'");
  for (uint32_t i = 0; i < dict.size; ++i) {
    bool same = false;
    if (!equal(dict.entries[i].key, key, &same)) return false;
    if (!same) continue;
    *out = &dict.entries[i];
    return true;
  }
  return true;
}

bool Heap::set(Dict* dict, const Value& key, const Value& value) noexcept {
  Entry* entry = nullptr;
  if (!find(*dict, key, &entry)) return false;
  if (entry != nullptr) {
    entry->value = value;
    return true;
  }
  if (dict->size == dict->capacity) {
    if (dict->size > UINT32_MAX / 4) return out_of_memory();
    const uint32_t capacity = dict->size < 4 ? 4 : dict->size * 2;
    Entry* entries = arena_.make<Entry>(capacity);
    if (entries == nullptr) return out_of_memory();
    for (uint32_t i = 0; i < dict->size; ++i) entries[i] = dict->entries[i];
    dict->entries = entries;
    dict->capacity = capacity;
  }
  dict->entries[dict->size++] = {key, value};
  return true;
}

// Nothing recurses: what arrays and objects hold is filled in later.
bool Heap::from_json(const JsonValue& json, bool copies, Value* out) noexcept {
  struct Pending {
    const JsonValue* json;
    Value* value;
  };
  Array<Pending> pending(allocator());
  if (!pending.push_back({&json, out})) return out_of_memory();
  while (!pending.empty()) {
    const Pending next = pending.back();
    pending.pop_back();
    const JsonValue& from = *next.json;
    if (!spend(1)) return false;
    switch (from.type()) {
      case JsonType::null:
        *next.value = Value::none();
        break;
      case JsonType::boolean:
        *next.value = Value::boolean(from.boolean());
        break;
      case JsonType::integer:
        *next.value = Value::number(from.integer());
        break;
      case JsonType::number:
        *next.value = Value::number(from.number());
        break;
      case JsonType::string:
        *next.value = Value::string(from.text());
        if (copies && !copy(from.text(), next.value)) return false;
        break;
      case JsonType::array: {
        List* list = nullptr;
        if (!make_list(from.items().size(), List::Shape::list, &list)) return false;
        list->size = list->capacity;
        for (uint32_t i = 0; i < list->size; ++i) {
          if (!pending.push_back({&from.items()[i], &list->items[i]})) return out_of_memory();
        }
        *next.value = Value::of(list);
        break;
      }
      case JsonType::object: {
        Dict* dict = nullptr;
        if (!make_dict(&dict)) return false;
        const size_t count = from.members().size();
        dict->entries = arena_.make<Entry>(count);
        if (dict->entries == nullptr || count > UINT32_MAX) return out_of_memory();
        dict->size = dict->capacity = static_cast<uint32_t>(count);
        for (uint32_t i = 0; i < dict->size; ++i) {
          const JsonMember& member = from.members()[i];
          dict->entries[i].key = Value::string(member.key);
          if (copies && !copy(member.key, &dict->entries[i].key)) return false;
          if (!pending.push_back({&member.value, &dict->entries[i].value})) return out_of_memory();
        }
        *next.value = Value::of(dict);
        break;
      }
    }
  }
  return true;
}

bool Heap::iterate(const Value& value, List** out) noexcept {
  if (value.is(Kind::list)) {
    if (value.list->shape != List::Shape::generator) {
      *out = value.list;
      return spend(1);
    }
    List* rest = nullptr;
    if (!make_list(0, List::Shape::list, &rest)) return false;
    rest->items = value.list->items;
    rest->size = rest->capacity = value.list->size;
    value.list->size = 0;
    *out = rest;
    return true;
  }
  if (value.is(Kind::dict)) {
    if (!make_list(value.dict->size, List::Shape::keys, out)) return false;
    for (uint32_t i = 0; i < value.dict->size; ++i) {
      if (!append(*out, value.dict->entries[i].key)) return false;
    }
    return true;
  }
  if (value.is(Kind::string)) {
    const std::string_view text = value.view();
    if (!make_list(0, List::Shape::list, out)) return false;
    for (size_t at = 0; at < text.size();) {
      const uint32_t bytes = character_at(text, at).bytes;
      if (!append(*out, Value::string(slice(text, at, bytes)))) return false;
      at += bytes;
    }
    return true;
  }
  if (value.is(Kind::undefined)) return make_list(0, List::Shape::list, out);
  return fail("'", type_name(value), "' object is not iterable");
}

// ---- comparing ----

bool Heap::truth(const Value& value) const noexcept {
  switch (value.kind) {
    case Kind::undefined:
    case Kind::none:
      return false;
    case Kind::boolean:
    case Kind::integer:
      return value.integer != 0;
    case Kind::real:
      return value.real != 0;
    case Kind::string:
      return value.size > 0;
    case Kind::list:
      return value.list->size > 0 || !value.list->has_length();
    case Kind::dict:
      return value.dict->size > 0;
    default:
      return true;
  }
}

bool Heap::equal(const Value& a, const Value& b, bool* out, uint32_t depth) noexcept {
  if (depth > limits_.depth) return too_deep();
  if (!spend(1)) return false;
  *out = false;
  if (a.is_number() && b.is_number()) {
    *out = a.is_integral() && b.is_integral() ? a.integer == b.integer : a.as_real() == b.as_real();
    return true;
  }
  if (a.kind != b.kind) return true;
  switch (a.kind) {
    case Kind::undefined:
    case Kind::none:
      *out = true;
      return true;
    case Kind::string:
      *out = a.view() == b.view();
      return spend_bytes(a.size);
    case Kind::list: {
      const List &x = *a.list, &y = *b.list;
      if (&x == &y) {
        *out = true;
        return true;
      }
      if (x.size != y.size || x.is_tuple() != y.is_tuple() ||
          (!x.is_tuple() && x.shape != y.shape) || !x.has_length()) {
        return true;
      }
      for (uint32_t i = 0; i < x.size; ++i) {
        if (!equal(x.items[i], y.items[i], out, depth + 1)) return false;
        if (!*out) return true;
      }
      *out = true;
      return true;
    }
    case Kind::dict: {
      if (a.dict->size != b.dict->size) return true;
      for (uint32_t i = 0; i < a.dict->size; ++i) {
        Entry* other = nullptr;
        if (!find(*b.dict, a.dict->entries[i].key, &other)) return false;
        *out = false;
        if (other == nullptr) return true;
        if (!equal(a.dict->entries[i].value, other->value, out, depth + 1)) return false;
        if (!*out) return true;
      }
      *out = true;
      return true;
    }
    case Kind::function:
      *out = a.function == b.function;
      return true;
    default:
      *out = a.list == b.list;  // the same object
      return true;
  }
}

bool Heap::less(const Value& a, const Value& b, bool* out, std::string_view name,
                uint32_t depth) noexcept {
  if (depth > limits_.depth) return too_deep();
  if (!spend(1)) return false;
  if (a.is_number() && b.is_number()) {
    *out = a.is_integral() && b.is_integral() ? a.integer < b.integer : a.as_real() < b.as_real();
    return true;
  }
  if (a.is(Kind::string) && b.is(Kind::string)) {
    *out = a.view() < b.view();  // the order of UTF-8 is that of the characters
    return spend_bytes(a.size);
  }
  if (a.is(Kind::list) && b.is(Kind::list) && a.list->is_tuple() == b.list->is_tuple() &&
      (a.list->is_tuple() ||
       (a.list->shape == List::Shape::list && b.list->shape == a.list->shape))) {
    const List &x = *a.list, &y = *b.list;
    for (uint32_t i = 0; i < x.size && i < y.size; ++i) {
      bool same = false;
      if (!equal(x.items[i], y.items[i], &same, depth + 1)) return false;
      if (!same) return less(x.items[i], y.items[i], out, name, depth + 1);
    }
    *out = x.size < y.size;
    return true;
  }
  if (!defined(a) || !defined(b)) return false;
  fail("'", name, "' not supported between instances of '", type_name(a), "' and '");
  error_ << type_name(b) << "'";
  return false;
}

bool Heap::contains(const Value& container, const Value& item, bool* out) noexcept {
  *out = false;
  if (container.is(Kind::string)) {
    if (!item.is(Kind::string)) {
      if (!defined(item)) return false;
      return fail("'in <string>' requires string as left operand, not ", type_name(item));
    }
    size_t at = 0;
    if (!search(container.view(), item.view(), 0, &at)) return false;
    *out = at != std::string_view::npos;
    return true;
  }
  if (container.is(Kind::dict)) {
    Entry* entry = nullptr;
    if (!find(*container.dict, item, &entry)) return false;
    *out = entry != nullptr;
    return true;
  }
  if (!container.is(Kind::list) && !container.is(Kind::undefined))
    return fail("argument of type '", type_name(container), "' is not iterable");
  List* list = nullptr;
  if (!iterate(container, &list)) return false;
  for (uint32_t i = 0; i < list->size && !*out; ++i) {
    if (!equal(list->items[i], item, out)) return false;
  }
  return true;
}

bool Heap::sort(Span<Value> keys, Span<Value> items, bool reverse) noexcept {
  const size_t n = keys.size();
  Value* other_keys = arena_.make<Value>(n);
  Value* other_items = arena_.make<Value>(n);
  if (other_keys == nullptr || other_items == nullptr) return out_of_memory();
  for (size_t width = 1; width < n; width *= 2) {
    for (size_t begin = 0; begin < n; begin += 2 * width) {
      const size_t middle = begin + width < n ? begin + width : n;
      const size_t end = middle + width < n ? middle + width : n;
      size_t a = begin, b = middle;
      for (size_t to = begin; to < end; ++to) {
        bool second = a == middle;
        if (a < middle && b < end) {
          // Equal ones keep their order, in reverse too.
          if (!less(reverse ? keys[a] : keys[b], reverse ? keys[b] : keys[a], &second))
            return false;
        }
        const size_t from = second ? b++ : a++;
        other_keys[to] = keys[from];
        other_items[to] = items[from];
      }
    }
    for (size_t i = 0; i < n; ++i) {
      keys[i] = other_keys[i];
      items[i] = other_items[i];
    }
  }
  return true;
}

// ---- writing ----

bool Heap::put(String* out, std::string_view text) noexcept {
  if (!spend_bytes(text.size())) return false;
  if (text.size() > limits_.memory || out->size() > limits_.memory - text.size() ||
      !out->append(text.data(), text.size())) {
    return out_of_memory();
  }
  return true;
}

bool Heap::text_of(const Value& value, std::string_view* out) noexcept {
  if (value.is(Kind::string)) {
    *out = value.view();
    return true;
  }
  String text(allocator());
  Value copied;
  if (!write(value, &text) || !take(text, &copied)) return false;
  *out = copied.view();
  return true;
}

bool Heap::write(const Value& value, String* out) noexcept {
  if (value.is(Kind::undefined)) return true;
  if (value.is(Kind::string)) return put(out, value.view());
  return write_repr(value, out);
}

// What repr() writes as an escape.
inline bool is_printable(uint32_t code) noexcept {
  if (code == ' ') return true;
  const Category c = category_of(code);
  return c != Category::Cn && !is_control(c) && c != Category::Zs && c != Category::Zl &&
         c != Category::Zp;
}

// \xe9, \u65e5 or \U0001f600.
inline bool write_escape(Heap* heap, uint32_t code, String* out) noexcept {
  const uint32_t digits = code < 0x100 ? 2 : code < 0x10000 ? 4 : 8;
  char escape[10] = {'\\', digits == 2 ? 'x' : digits == 4 ? 'u' : 'U'};
  for (uint32_t i = 0; i < digits; ++i)
    escape[2 + i] = "0123456789abcdef"[code >> (4 * (digits - 1 - i)) & 15];
  return heap->put(out, {escape, 2 + digits});
}

inline bool write_quoted(Heap* heap, std::string_view text, String* out) noexcept {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const char quote = has_single && text.find('"') == std::string_view::npos ? '"' : '\'';
  bool ok = heap->put(out, {&quote, 1});
  for (size_t at = 0; at < text.size() && ok;) {
    const DecodedCharacter c = character_at(text, at);
    const std::string_view bytes = slice(text, at, c.bytes);
    at += c.bytes;
    if (c.code == static_cast<uint8_t>(quote) || c.code == '\\') {
      ok = heap->put(out, "\\") && heap->put(out, bytes);
    } else if (c.code == '\n') {
      ok = heap->put(out, "\\n");
    } else if (c.code == '\r') {
      ok = heap->put(out, "\\r");
    } else if (c.code == '\t') {
      ok = heap->put(out, "\\t");
    } else if (is_printable(c.code)) {
      ok = heap->put(out, bytes);
    } else {
      ok = write_escape(heap, c.code, out);
    }
  }
  return ok && heap->put(out, {&quote, 1});
}

bool Heap::write_items(const List& list, std::string_view open, std::string_view close, String* out,
                       uint32_t depth) noexcept {
  if (!put(out, open)) return false;
  for (uint32_t i = 0; i < list.size; ++i) {
    if (i > 0 && !put(out, ", ")) return false;
    if (!write_repr(list.items[i], out, depth + 1)) return false;
  }
  return put(out, close);
}

bool Heap::write_repr(const Value& value, String* out, uint32_t depth) noexcept {
  if (depth > limits_.depth) return too_deep();
  if (!spend(1)) return false;
  switch (value.kind) {
    case Kind::undefined:
      return put(out, "Undefined");
    case Kind::none:
      return put(out, "None");
    case Kind::boolean:
      return put(out, value.integer != 0 ? "True" : "False");
    case Kind::integer: {
      char text[kMaxIntText];
      return put(out, {text, format_int(value.integer, text)});
    }
    case Kind::real: {
      char text[kMaxDoubleText];
      return put(out, {text, format_double(value.real, text)});
    }
    case Kind::string:
      if (!value.safe) return write_quoted(this, value.view(), out);
      return put(out, "Markup(") && write_quoted(this, value.view(), out) && put(out, ")");
    case Kind::list: {
      const List& list = *value.list;
      switch (list.shape) {
        case List::Shape::list:
          return write_items(list, "[", "]", out, depth);
        case List::Shape::tuple:
        case List::Shape::group:
          return write_items(list, "(", list.size == 1 ? ",)" : ")", out, depth);
        case List::Shape::range: {
          const int64_t numbers[] = {list.start, list.stop, list.step};
          if (!put(out, "range(")) return false;
          for (int i = 0; i < (list.step == 1 ? 2 : 3); ++i) {
            if (i > 0 && !put(out, ", ")) return false;
            if (!write_repr(Value::number(numbers[i]), out, depth + 1)) return false;
          }
          return put(out, ")");
        }
        case List::Shape::generator:
          return put(out, "<generator object>");
        default:
          return put(out, type_name(value)) && write_items(list, "([", "])", out, depth);
      }
    }
    case Kind::dict:
    case Kind::name_space: {
      const bool plain = value.is(Kind::dict);
      if (!put(out, plain ? "{" : "<Namespace {")) return false;
      for (uint32_t i = 0; i < value.dict->size; ++i) {
        const Entry& entry = value.dict->entries[i];
        if (i > 0 && !put(out, ", ")) return false;
        if (!write_repr(entry.key, out, depth + 1) || !put(out, ": ") ||
            !write_repr(entry.value, out, depth + 1)) {
          return false;
        }
      }
      return put(out, plain ? "}" : "}>");
    }
    default:
      return put(out, "<") && put(out, type_name(value)) && put(out, ">");
  }
}

// ---- JSON, as json.dumps writes it ----

bool Heap::new_line(const JsonStyle& style, uint32_t depth, String* out) noexcept {
  if (!style.indented) return true;
  if (!put(out, "\n")) return false;
  for (; depth > 0; --depth) {
    if (!put(out, style.indent)) return false;
  }
  return true;
}

bool Heap::write_json(const Value& value, const JsonStyle& style, String* out,
                      uint32_t depth) noexcept {
  if (depth > limits_.depth) return too_deep();
  if (!spend(1)) return false;
  switch (value.kind) {
    case Kind::none:
      return put(out, "null");
    case Kind::boolean:
      return put(out, value.integer != 0 ? "true" : "false");
    case Kind::real:
      if (value.real != value.real) return put(out, "NaN");
      if (value.real - value.real != 0) return put(out, value.real > 0 ? "Infinity" : "-Infinity");
      return write_repr(value, out);
    case Kind::integer:
      return write_repr(value, out);
    case Kind::string:
      if (!spend_bytes(value.size)) return false;
      if (!append_json_string(out, value.view(), style.ascii) || out->size() > limits_.memory)
        return out_of_memory();
      return true;
    case Kind::list: {
      const List& list = *value.list;
      if (list.shape != List::Shape::list && !list.is_tuple()) break;
      if (list.size == 0) return put(out, "[]");
      if (!put(out, "[")) return false;
      for (uint32_t i = 0; i < list.size; ++i) {
        if ((i > 0 && !put(out, style.between)) || !new_line(style, depth + 1, out) ||
            !write_json(list.items[i], style, out, depth + 1)) {
          return false;
        }
      }
      return new_line(style, depth, out) && put(out, "]");
    }
    case Kind::dict: {
      const Dict& dict = *value.dict;
      if (dict.size == 0) return put(out, "{}");
      Value* keys = arena_.make<Value>(dict.size);
      Value* values = arena_.make<Value>(dict.size);
      if (keys == nullptr || values == nullptr) return out_of_memory();
      for (uint32_t i = 0; i < dict.size; ++i) {
        keys[i] = dict.entries[i].key;
        values[i] = dict.entries[i].value;
      }
      if (style.sorted && !sort({keys, dict.size}, {values, dict.size}, false)) return false;
      if (!put(out, "{")) return false;
      for (uint32_t i = 0; i < dict.size; ++i) {
        Value key = keys[i];
        if (!key.is(Kind::string)) {  // numbers, true and null become strings
          String text(allocator());
          if (key.is(Kind::list) || key.is(Kind::dict) || key.is(Kind::undefined))
            return fail("keys must be str, int, float, bool or None, not ", type_name(key));
          if (!write_json(key, style, &text, depth + 1) || !take(text, &key)) return false;
        }
        if ((i > 0 && !put(out, style.between)) || !new_line(style, depth + 1, out) ||
            !write_json(key, style, out, depth + 1) || !put(out, style.colon) ||
            !write_json(values[i], style, out, depth + 1)) {
          return false;
        }
      }
      return new_line(style, depth, out) && put(out, "}");
    }
    default:
      break;
  }
  return fail("Object of type ", type_name(value), " is not JSON serializable");
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_CHAT_VALUE_INL_HPP_
