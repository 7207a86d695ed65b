#ifndef INLAY_CHAT_INTERPRETER_HPP_
#define INLAY_CHAT_INTERPRETER_HPP_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "inlay/chat/syntax.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

struct Variable {
  std::string_view name;
  Value value;
  Variable* next;
};

struct Scope {
  Scope* parent = nullptr;
  Variable* variables = nullptr;
};

struct Macro {
  const Node* node;
  Scope* scope;  // where it was defined
};

// A method with the object that it was taken from.
struct Method {
  Value self;
  uint32_t name;  // in the table of methods
};

// What `loop` is, and the iteration itself.
struct LoopState {
  const Node* node;
  Scope* outer;
  List* items;
  Value previous, current, after;
  Value changed;        // what loop.changed() saw last
  uint32_t next = 0;    // in items
  int64_t index = -1;   // of the current item among those that passed the condition
  uint32_t depth = 0;   // of recursion
  bool tested = false;  // all of items passed the condition
  bool peeked = false;  // `after` is the next item
  bool has_previous = false;
};

// Arguments of a call, in arena memory.
struct Argument {
  std::string_view name;
  Value value;
};
struct Arguments {
  Span<const Value> values;
  Span<const Argument> named;
};

class Interpreter;

// Whether an argument was given: those that were not are undefined and have no name.
inline bool is_given(const Value& value) noexcept {
  return !value.is(Kind::undefined) || value.missing != Missing::message || value.size > 0;
}

// A filter, a test or a global function. `run` gets what precedes it (nothing for a function) and
// the arguments bound to `parameters`, names separated by spaces of which the first `required` must
// be given; those not given are undefined with an empty text.
struct Function {
  std::string_view name;
  bool (Interpreter::*run)(const Value& self, const Value* arguments, Value* out);
  uint32_t required;
  std::string_view parameters;
};
// By name; null if there is none.
struct BuiltinTables {
  static const Function* filter(std::string_view name) noexcept;
  static const Function* test(std::string_view name) noexcept;
  static const Function* global(std::string_view name) noexcept;
};
inline constexpr uint32_t kMaxParameters = 5;

// Of a range's start, stop and step: the arithmetic with them fits into 64 bits.
inline constexpr int64_t kMaxRangeNumber = int64_t{1} << 60;
inline constexpr std::string_view kRangeTooFar = "range(): a number is too large";

// Runs a template. All recursion is counted: see Heap::Limits.
class Interpreter {
 public:
  Interpreter(Heap* heap, int64_t now, String* out) noexcept
      : heap_(*heap), out_(*out), now_(now) {}

  // Variables of the template. `value` must stay valid. False: the heap's error.
  [[nodiscard]] bool set(std::string_view name, const Value& value) noexcept {
    return assign(&globals_, name, value);
  }
  // Appends the text to the output. False: the heap's error.
  [[nodiscard]] bool run(const Node* statements) noexcept;

 private:
  enum class Flow : uint8_t { normal, leave, proceed, failed };
  friend struct BuiltinTables;

  // ---- statements (interpreter-inl.hpp) ----
  Flow execute(const Node* first) noexcept;
  Flow execute_one(const Node* node) noexcept;
  bool execute_print(const Node* node) noexcept;
  Flow execute_branch(const Node* node) noexcept;
  Flow execute_loop(const Node* node, const Value& iterable, uint32_t depth) noexcept;
  Flow execute_with(const Node* node) noexcept;
  Flow execute_in_new_scope(const Node* body, Scope* parent) noexcept;
  Flow execute_capture(const Node* node) noexcept;
  Flow execute_filter_block(const Node* node) noexcept;
  bool execute_call_block(const Node* node) noexcept;
  Flow captured(const Node* body, Value* out) noexcept;
  bool take_output(size_t begin, Value* out) noexcept;
  bool assign(Scope* scope, std::string_view name, const Value& value) noexcept;
  bool assign_to(const Node* target, const Value& value) noexcept;
  bool passes(LoopState* loop, const Value& item, bool* out) noexcept;
  bool advance(LoopState* loop, Value* out, bool* found) noexcept;
  bool peek(LoopState* loop) noexcept;
  bool loop_length(LoopState* loop, int64_t* out) noexcept;

  // ---- expressions (interpreter-inl.hpp) ----
  bool evaluate(const Node* node, Value* out) noexcept;
  bool evaluate_one(const Node* node, Value* out) noexcept;
  bool evaluate_name(const Node* node, Value* out) noexcept;
  bool evaluate_list(const Node* node, Value* out) noexcept;
  bool evaluate_dict(const Node* node, Value* out) noexcept;
  bool evaluate_logic(const Node* node, Value* out) noexcept;
  bool evaluate_comparison(const Node* node, Value* out) noexcept;
  bool evaluate_arithmetic(const Node* node, Value* out) noexcept;
  bool evaluate_concatenation(const Node* node, Value* out) noexcept;
  bool evaluate_sign(const Node* node, Value* out) noexcept;
  bool evaluate_slice(const Node* node, Value* out) noexcept;
  bool evaluate_item(const Node* node, Value* out) noexcept;
  bool evaluate_call(const Node* node, Value* out) noexcept;
  bool apply_filter(const Node* node, const Value& input, Value* out) noexcept;
  bool apply_filters(const Node* node, const Value& input, Value* out) noexcept;
  bool evaluate_test(const Node* node, Value* out) noexcept;
  bool evaluate_condition(const Node* node, Value* out) noexcept;
  bool evaluate_arguments(const Node* first, Arguments* out) noexcept;
  bool compare(std::string_view sign, const Value& a, const Value& b, bool* out) noexcept;
  bool arithmetic(std::string_view sign, const Value& a, const Value& b, Value* out) noexcept;
  bool integer_arithmetic(std::string_view sign, int64_t a, int64_t b, Value* out) noexcept;
  bool real_arithmetic(std::string_view sign, double a, double b, Value* out) noexcept;
  bool repeat(const Value& value, int64_t times, Value* out) noexcept;
  bool join_lists(const List& a, const List& b, Value* out) noexcept;
  bool get_attribute(const Value& object, std::string_view name, Value* out) noexcept;
  bool get_macro_attribute(const Node& macro, std::string_view name, Value* out,
                           bool* found) noexcept;
  bool get_loop_attribute(LoopState* loop, std::string_view name, Value* out, bool* found) noexcept;
  bool get_item(const Value& object, const Value& key, Value* out) noexcept;
  bool get_path(const Value& object, const Value& path, Value* out) noexcept;
  bool slice_bounds(const Node* node, size_t size, int64_t* start, int64_t* stop, int64_t* count,
                    int64_t* step) noexcept;
  bool call(const Value& callee, const Arguments& arguments, Value* out) noexcept;
  bool call_macro(const Macro& macro, const Arguments& arguments, Value* out) noexcept;
  bool bind_macro(const Macro& macro, const Arguments& arguments, Scope* scope) noexcept;
  bool bind(std::string_view name, std::string_view parameters, uint32_t required,
            const Arguments& arguments, Value* bound) noexcept;
  bool call_function(const Function& function, const Value& self, const Arguments& arguments,
                     Value* out) noexcept;
  bool call_filter(std::string_view name, const Value& self, const Arguments& arguments,
                   Value* out) noexcept;
  bool call_test(std::string_view name, const Value& self, const Arguments& arguments,
                 bool* out) noexcept;

  // ---- filters, tests and functions (builtins-inl.hpp) ----
  bool argument_text(const Value& value, std::string_view otherwise,
                     std::string_view* out) noexcept;
  bool argument_int(const Value& value, int64_t otherwise, int64_t* out) noexcept;
  bool whole_number(double value, Value* out) noexcept;
  bool lower_key(const Value& value, const Value& case_sensitive, Value* out) noexcept;
  bool keys_of(const List& list, const Value& path, const Value& case_sensitive, bool several,
               List** out) noexcept;
  bool copy_list(const List& list, List** out) noexcept;
  bool select(const Value& self, bool by_attribute, bool keep, Value* out) noexcept;
  bool extreme(const Value& self, const Value* a, bool greatest, Value* out) noexcept;
  bool escape(const Value& self, Value* out) noexcept;
#define INLAY_FILTER(name) \
  bool filter_##name(const Value& self, const Value* a, Value* out) noexcept
  INLAY_FILTER(abs);
  INLAY_FILTER(attr);
  INLAY_FILTER(batch);
  INLAY_FILTER(capitalize);
  INLAY_FILTER(center);
  INLAY_FILTER(length);
  INLAY_FILTER(default);
  INLAY_FILTER(dictsort);
  INLAY_FILTER(escape);
  INLAY_FILTER(forceescape);
  INLAY_FILTER(filesizeformat);
  INLAY_FILTER(first);
  INLAY_FILTER(float);
  INLAY_FILTER(format);
  INLAY_FILTER(from_json);
  INLAY_FILTER(groupby);
  INLAY_FILTER(indent);
  INLAY_FILTER(int);
  INLAY_FILTER(items);
  INLAY_FILTER(join);
  INLAY_FILTER(last);
  INLAY_FILTER(list);
  INLAY_FILTER(lower);
  INLAY_FILTER(map);
  INLAY_FILTER(max);
  INLAY_FILTER(min);
  INLAY_FILTER(pprint);
  INLAY_FILTER(random);
  INLAY_FILTER(reject);
  INLAY_FILTER(rejectattr);
  INLAY_FILTER(replace);
  INLAY_FILTER(reverse);
  INLAY_FILTER(round);
  INLAY_FILTER(safe);
  INLAY_FILTER(select);
  INLAY_FILTER(selectattr);
  INLAY_FILTER(slice);
  INLAY_FILTER(sort);
  INLAY_FILTER(string);
  INLAY_FILTER(striptags);
  INLAY_FILTER(sum);
  INLAY_FILTER(title);
  INLAY_FILTER(tojson);
  INLAY_FILTER(trim);
  INLAY_FILTER(truncate);
  INLAY_FILTER(unique);
  INLAY_FILTER(upper);
  INLAY_FILTER(urlencode);
  INLAY_FILTER(urlize);
  INLAY_FILTER(wordcount);
  INLAY_FILTER(wordwrap);
  INLAY_FILTER(xmlattr);
#undef INLAY_FILTER
#define INLAY_TEST(name) bool test_##name(const Value& self, const Value* a, Value* out) noexcept
  INLAY_TEST(boolean);
  INLAY_TEST(callable);
  INLAY_TEST(defined);
  INLAY_TEST(divisibleby);
  INLAY_TEST(eq);
  INLAY_TEST(escaped);
  INLAY_TEST(even);
  INLAY_TEST(false);
  INLAY_TEST(filter);
  INLAY_TEST(float);
  INLAY_TEST(ge);
  INLAY_TEST(gt);
  INLAY_TEST(in);
  INLAY_TEST(integer);
  INLAY_TEST(iterable);
  INLAY_TEST(le);
  INLAY_TEST(lower);
  INLAY_TEST(lt);
  INLAY_TEST(mapping);
  INLAY_TEST(ne);
  INLAY_TEST(none);
  INLAY_TEST(number);
  INLAY_TEST(odd);
  INLAY_TEST(sameas);
  INLAY_TEST(sequence);
  INLAY_TEST(string);
  INLAY_TEST(test);
  INLAY_TEST(true);
  INLAY_TEST(undefined);
  INLAY_TEST(upper);
#undef INLAY_TEST
#define INLAY_GLOBAL(name) \
  bool global_##name(const Value& self, const Value* a, Value* out) noexcept
  INLAY_GLOBAL(cycler);
  INLAY_GLOBAL(dict);
  INLAY_GLOBAL(joiner);
  INLAY_GLOBAL(lipsum);
  INLAY_GLOBAL(namespace);
  INLAY_GLOBAL(raise_exception);
  INLAY_GLOBAL(range);
  INLAY_GLOBAL(strftime_now);
#undef INLAY_GLOBAL

  // ---- filters that lay out text (page_filters-inl.hpp) ----
  struct WrapStyle {
    int64_t width = 79;  // characters
    bool breaks_words = true, at_hyphens = true;
  };
  bool wrap_line(std::string_view line, const WrapStyle& style, List* out) noexcept;
  bool sort_dicts(const Value& value, Value* out) noexcept;
  bool break_line(int64_t indent, String* out) noexcept;
  bool pretty_string(std::string_view text, int64_t indent, int64_t room, int64_t allowance,
                     bool outermost, String* out) noexcept;
  bool pretty(const Value& value, int64_t indent, int64_t allowance, String* out,
              bool outermost) noexcept;
  bool put_escaped(const Value& value, String* out) noexcept;
  bool put_link(std::string_view word, const int64_t* limit, std::string_view attributes,
                String* out) noexcept;

  // ---- methods (methods-inl.hpp) ----
  enum class Case : uint8_t { upper, lower, fold, capitalize, title, swap };
  bool find_method(const Value& object, std::string_view name, Value* out, bool* found) noexcept;
  bool call_method(const Method& method, const Arguments& arguments, Value* out) noexcept;
  bool call_string_method(const Method& method, const Value* a, Value* out) noexcept;
  bool search_string(const Method& method, const Value* a, Value* out) noexcept;
  bool call_list_method(const Method& method, const Value* a, Value* out) noexcept;
  bool call_dict_method(const Method& method, const Value* a, Value* out) noexcept;
  bool call_other_method(const Method& method, const Arguments& arguments, Value* out) noexcept;
  bool is_affix(std::string_view text, const Value& affixes, bool at_end, bool* out) noexcept;
  bool change_case(std::string_view text, Case how, Value* out) noexcept;
  bool search(std::string_view text, std::string_view part, bool from_right, size_t* out) noexcept;
  bool replace(std::string_view text, std::string_view old, std::string_view fresh, int64_t most,
               Value* out) noexcept;
  bool split_words(std::string_view text, int64_t most, bool from_right, List* out) noexcept;
  bool split(std::string_view text, const Value& separator, int64_t most, bool from_right,
             Value* out) noexcept;
  bool split_lines(std::string_view text, bool keep_ends, List** out) noexcept;
  bool partition(std::string_view text, const Value& separator, bool from_right,
                 Value* out) noexcept;
  // where: < 0 the text at the left, 0 in the middle, > 0 at the right
  bool pad(std::string_view text, int64_t width, std::string_view fill, int where,
           Value* out) noexcept;
  bool join(std::string_view separator, const List& list, bool convert, Value* out) noexcept;
  bool dict_view(const Dict& dict, List::Shape shape, Value* out) noexcept;
  bool merge(Dict* dict, const Value& more) noexcept;

  // ---- formatting (format-inl.hpp) ----
  struct Spec {
    std::string_view fill = " ";
    char align = '\0', sign = '\0', type = '\0';
    char group = '\0';  // what separates digits in threes or fours
    bool zero = false, alternate = false, empty = false;
    int64_t width = 0, precision = -1;
  };
  // How "{}" counts: by itself, or with numbers, but not both.
  struct FieldCounter {
    uint32_t next = 0;
    bool numbered = false;
  };
  bool format_percent(std::string_view format, const Value& values, Value* out) noexcept;
  bool format_braces(std::string_view format, const Arguments& arguments, Value* out) noexcept;
  bool format_field(const Value& value, const Spec& spec, String* out) noexcept;
  bool parse_spec(std::string_view text, Spec* out) noexcept;
  bool format_fields(std::string_view format, const Arguments& arguments, FieldCounter* counter,
                     bool nested, String* out) noexcept;
  bool format_value(std::string_view field, const Arguments& arguments, FieldCounter* counter,
                    Value* out) noexcept;
  bool format_conversion(char type, bool left, const Value& given, Spec spec, String* out) noexcept;
  bool format_number(const Value& value, const Spec& spec, int64_t zeros, String* prefix,
                     String* digits) noexcept;
  bool pad_field(std::string_view prefix, std::string_view body, const Spec& spec, char align,
                 String* out) noexcept;
  bool put_character(int64_t code, String* out) noexcept;
  bool write_ascii(const Value& value, String* out) noexcept;
  bool format_time(std::string_view format, Value* out) noexcept;

  bool enter() noexcept { return ++depth_ <= heap_.limits().depth || heap_.too_deep(); }

  Heap& heap_;
  String& out_;
  int64_t now_;
  uint32_t depth_ = 0;
  Scope globals_, locals_;
  Scope* scope_ = &globals_;
  const Arguments* arguments_ = nullptr;  // of the call of a filter, test or function, as written
};

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_CHAT_INTERPRETER_HPP_
