// The values that a chat template computes with: those of Python, as far as Jinja can tell.
#ifndef INLAY_CHAT_VALUE_HPP_
#define INLAY_CHAT_VALUE_HPP_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "inlay/core/block_arena.hpp"
#include "inlay/core/result.hpp"
#include "inlay/text/json.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

struct List;
struct Dict;
struct Macro;
struct Method;
struct LoopState;
struct Function;

enum class Kind : uint8_t {
  undefined,
  none,
  boolean,
  integer,
  real,
  string,
  list,  // and tuple, range and whatever else can be iterated: List::shape
  dict,
  name_space,  // namespace(), whose attributes a template may set
  macro,
  function,
  method,
  loop,
  cycler,
  joiner
};

// What an undefined value remembers, to say so when it is used.
enum class Missing : uint8_t {
  name,       // text: a variable's
  attribute,  // text: an attribute's or a key's; owner: of what
  message     // text: the whole message
};

// 16 bytes, copied freely. What it points to lies in the Heap's arena, or in what the host lent.
struct Value {
  Kind kind = Kind::undefined;
  Missing missing = Missing::message;
  Kind owner = Kind::undefined;
  bool safe = false;  // a string that escape() leaves alone
  uint32_t size = 0;  // of text
  union {
    const char* text = "";
    int64_t integer;
    double real;
    List* list;
    Dict* dict;
    Macro* macro;
    Method* method;
    LoopState* loop;
    const Function* function;
  };

  Value() noexcept = default;
  static Value none() noexcept { return of(Kind::none); }
  static Value boolean(bool value) noexcept {
    Value v = of(Kind::boolean);
    v.integer = value ? 1 : 0;
    return v;
  }
  static Value number(int64_t value) noexcept {
    Value v = of(Kind::integer);
    v.integer = value;
    return v;
  }
  static Value number(double value) noexcept {
    Value v = of(Kind::real);
    v.real = value;
    return v;
  }
  static Value string(std::string_view text) noexcept {
    Value v = of(Kind::string);
    v.text = text.data() == nullptr ? "" : text.data();
    v.size = static_cast<uint32_t>(text.size());
    return v;
  }
  static Value of(List* list) noexcept {
    Value v = of(Kind::list);
    v.list = list;
    return v;
  }
  static Value of(Dict* dict, Kind kind = Kind::dict) noexcept {
    Value v = of(kind);
    v.dict = dict;
    return v;
  }
  static Value of(Kind kind) noexcept {
    Value v;
    v.kind = kind;
    return v;
  }
  static Value undefined(Missing missing, std::string_view text,
                         Kind owner = Kind::undefined) noexcept {
    Value v = string(text);
    v.kind = Kind::undefined;
    v.missing = missing;
    v.owner = owner;
    return v;
  }

  bool is(Kind k) const noexcept { return kind == k; }
  bool is_integral() const noexcept { return is(Kind::integer) || is(Kind::boolean); }
  bool is_number() const noexcept { return is_integral() || is(Kind::real); }
  double as_real() const noexcept { return is(Kind::real) ? real : static_cast<double>(integer); }
  std::string_view view() const noexcept { return {text, size}; }  // of a string
};

struct List {
  enum class Shape : uint8_t {
    list,
    tuple,
    group,  // of groupby: a tuple of two whose parts have names
    range,
    generator,  // can be iterated once, has no length, is true
    keys,
    values,
    items
  };
  Value* items = nullptr;
  uint32_t size = 0, capacity = 0;
  Shape shape = Shape::list;
  int64_t start = 0, stop = 0, step = 1;  // of a range

  bool is_tuple() const noexcept { return shape == Shape::tuple || shape == Shape::group; }
  bool has_length() const noexcept { return shape != Shape::generator; }
  bool has_index() const noexcept { return shape <= Shape::range; }
};

struct Entry {
  Value key, value;
};

// Keeps the order of insertion. Searched from the front: what templates look at is small, and each
// comparison counts as an operation.
struct Dict {
  Entry* entries = nullptr;
  uint32_t size = 0, capacity = 0;
  uint32_t position = 0;  // of a cycler; whether a joiner was called
};

// Memory and time of one rendering, both bounded, and the operations on values that every part of
// the interpreter uses. All return false when they failed: error() says why.
class Heap {
 public:
  struct Limits {
    uint64_t operations;
    size_t memory;  // bytes
    uint32_t depth;
  };
  Heap(const Allocator& allocator, const Limits& limits) noexcept
      : limits_(limits), arena_(allocator, limits.memory) {}

  BlockArena& arena() noexcept { return arena_; }
  const Allocator& allocator() const noexcept { return arena_.allocator(); }
  const Limits& limits() const noexcept { return limits_; }
  const Error& error() const noexcept { return error_; }
  uint32_t line = 0;  // of the template: where errors are

  // Counts work. False: that was too much.
  [[nodiscard]] bool spend(uint64_t operations) noexcept {
    operations_ += operations;
    return operations_ <= limits_.operations || too_many_operations();
  }
  [[nodiscard]] bool spend_bytes(uint64_t bytes) noexcept { return spend(bytes / 32); }

  // Errors: begin one, append to it, return false.
  INLAY_COLD Error& failure(ErrorCode code = ErrorCode::bad_argument) noexcept;
  INLAY_COLD bool fail(std::string_view a, std::string_view b = {}, std::string_view c = {},
                       std::string_view d = {}, std::string_view e = {}) noexcept;
  INLAY_COLD bool out_of_memory() noexcept;
  INLAY_COLD bool too_deep() noexcept;
  INLAY_COLD bool is_undefined(const Value& value) noexcept;  // fails as using `value` does
  INLAY_COLD bool no_operator(std::string_view name, const Value& a, const Value& b) noexcept;
  // Fails if the value is undefined.
  bool defined(const Value& value) noexcept {
    return !value.is(Kind::undefined) || is_undefined(value);
  }

  // Strings.
  [[nodiscard]] bool copy(std::string_view text, Value* out) noexcept;
  [[nodiscard]] bool concatenate(std::string_view a, std::string_view b, Value* out) noexcept;
  // Where `part` first stands in `text`, from byte `from` on, or last; npos: nowhere. Counts what
  // it compares, which may be the product of both lengths.
  [[nodiscard]] bool search(std::string_view text, std::string_view part, size_t from,
                            size_t* out) noexcept;
  [[nodiscard]] bool search_last(std::string_view text, std::string_view part,
                                 size_t* out) noexcept;

  // Lists and dicts.
  [[nodiscard]] bool make_list(size_t capacity, List::Shape shape, List** out) noexcept;
  [[nodiscard]] bool append(List* list, const Value& value) noexcept;
  [[nodiscard]] bool make_dict(Dict** out) noexcept;
  [[nodiscard]] bool find(const Dict& dict, const Value& key, Entry** out) noexcept;
  [[nodiscard]] bool set(Dict* dict, const Value& key, const Value& value) noexcept;
  Entry* find(const Dict& dict, std::string_view key) noexcept;
  [[nodiscard]] bool set(Dict* dict, std::string_view key, const Value& value) noexcept {
    return set(dict, Value::string(key), value);
  }
  // `copies`: the document will not live as long as the value.
  [[nodiscard]] bool from_json(const JsonValue& json, bool copies, Value* out) noexcept;

  // What iterating over `value` gives: its own list if it is one. Fails if it cannot be iterated.
  [[nodiscard]] bool iterate(const Value& value, List** out) noexcept;

  bool truth(const Value& value) const noexcept;
  [[nodiscard]] bool equal(const Value& a, const Value& b, bool* out, uint32_t depth = 0) noexcept;
  [[nodiscard]] bool less(const Value& a, const Value& b, bool* out, std::string_view name = "<",
                          uint32_t depth = 0) noexcept;
  [[nodiscard]] bool contains(const Value& container, const Value& item, bool* out) noexcept;
  // Stable. `keys` and `items` have the same size; both are sorted by keys.
  [[nodiscard]] bool sort(Span<Value> keys, Span<Value> items, bool reverse) noexcept;

  // Appends str(value) or repr(value).
  [[nodiscard]] bool write(const Value& value, String* out) noexcept;
  [[nodiscard]] bool write_repr(const Value& value, String* out, uint32_t depth = 0) noexcept;
  [[nodiscard]] bool put(String* out, std::string_view text) noexcept;
  // str(value), itself if it is a string.
  [[nodiscard]] bool text_of(const Value& value, std::string_view* out) noexcept;
  // The builder's text as a value.
  [[nodiscard]] bool take(const String& text, Value* out) noexcept {
    return copy(detail::view(text), out);
  }

  struct JsonStyle {
    bool ascii = false, sorted = false, indented = false;
    std::string_view indent;
    std::string_view between = ", ", colon = ": ";
  };
  [[nodiscard]] bool write_json(const Value& value, const JsonStyle& style, String* out,
                                uint32_t depth = 0) noexcept;

 private:
  INLAY_COLD bool too_many_operations() noexcept;
  bool matches(std::string_view text, std::string_view part, size_t at, uint64_t* compared,
               bool* out) noexcept;
  bool write_items(const List& list, std::string_view open, std::string_view close, String* out,
                   uint32_t depth) noexcept;
  bool new_line(const JsonStyle& style, uint32_t depth, String* out) noexcept;

  Limits limits_;
  BlockArena arena_;
  uint64_t operations_ = 0;
  Error error_{ErrorCode::bad_argument, ""};
};

// The name of a value's type as Python's messages have it.
std::string_view type_name(const Value& value) noexcept;

// Characters, which are what Python counts in strings.
size_t count_characters(std::string_view text) noexcept;
// The byte at which character `index` begins, or the text's size.
size_t byte_of_character(std::string_view text, size_t index) noexcept;
bool is_python_space(uint32_t code) noexcept;
// `text` without the characters of `set` at its ends; without whitespace if `set` is null.
std::string_view strip(std::string_view text, const std::string_view* set, bool left,
                       bool right) noexcept;

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_CHAT_VALUE_HPP_
