#ifndef INLAY_CHAT_INTERPRETER_INL_HPP_
#define INLAY_CHAT_INTERPRETER_INL_HPP_

#include <cmath>
#include <cstring>

#include "inlay/chat/interpreter.hpp"
#include "inlay/chat/value-inl.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// ---- statements ----

bool Interpreter::run(const Node* statements) noexcept {
  locals_.parent = &globals_;
  scope_ = &locals_;
  return execute(statements) != Flow::failed;
}

Interpreter::Flow Interpreter::execute(const Node* first) noexcept {
  Flow flow = enter() ? Flow::normal : Flow::failed;
  for (const Node* node = first; node != nullptr && flow == Flow::normal; node = node->next) {
    heap_.line = node->line;
    flow = heap_.spend(1) ? execute_one(node) : Flow::failed;
  }
  --depth_;
  return flow;
}

Interpreter::Flow Interpreter::execute_one(const Node* node) noexcept {
  const auto flow = [](bool ok) { return ok ? Flow::normal : Flow::failed; };
  switch (node->type) {
    case NodeType::output:
      return flow(heap_.put(&out_, node->text));
    case NodeType::print:
      return flow(execute_print(node));
    case NodeType::branch:
      return execute_branch(node);
    case NodeType::loop: {
      Value iterable;
      if (!evaluate(node->b, &iterable)) return Flow::failed;
      return execute_loop(node, iterable, 0);
    }
    case NodeType::assign: {
      Value value;
      return flow(evaluate(node->b, &value) && assign_to(node->a, value));
    }
    case NodeType::capture:
      return execute_capture(node);
    case NodeType::macro: {
      Macro* macro = heap_.arena().make<Macro>();
      if (macro == nullptr) return flow(heap_.out_of_memory());
      *macro = {node, scope_};
      Value value = Value::of(Kind::macro);
      value.macro = macro;
      return flow(assign(scope_, node->text, value));
    }
    case NodeType::call_block:
      return flow(execute_call_block(node));
    case NodeType::filter_block:
      return execute_filter_block(node);
    case NodeType::with:
      return execute_with(node);
    case NodeType::scope:
      return execute_in_new_scope(node->body, scope_);
    case NodeType::block:  // sees the template's variables, not those around it
      return execute_in_new_scope(node->body, &locals_);
    case NodeType::leave:
      return Flow::leave;
    case NodeType::proceed:
      return Flow::proceed;
    default:
      return flow(heap_.fail("a statement that cannot be run"));
  }
}

bool Interpreter::execute_print(const Node* node) noexcept {
  Value value;
  return evaluate(node->a, &value) && heap_.write(value, &out_);
}

Interpreter::Flow Interpreter::execute_branch(const Node* node) noexcept {
  for (const Node* one = node->items; one != nullptr; one = one->next) {
    Value condition = Value::boolean(true);
    if (one->a != nullptr && !evaluate(one->a, &condition)) return Flow::failed;
    if (heap_.truth(condition)) return execute(one->body);
  }
  return Flow::normal;
}

Interpreter::Flow Interpreter::execute_in_new_scope(const Node* body, Scope* parent) noexcept {
  Scope* outer = scope_;
  Scope* scope = heap_.arena().make<Scope>();
  if (scope == nullptr) {
    heap_.out_of_memory();
    return Flow::failed;
  }
  scope->parent = parent;
  scope_ = scope;
  const Flow flow = execute(body);
  scope_ = outer;
  return flow;
}

Interpreter::Flow Interpreter::execute_with(const Node* node) noexcept {
  Scope* outer = scope_;
  Scope* scope = heap_.arena().make<Scope>();
  if (scope == nullptr) {
    heap_.out_of_memory();
    return Flow::failed;
  }
  scope->parent = outer;
  for (const Node* one = node->items; one != nullptr; one = one->next) {
    Value value;  // seen from outside
    if (!evaluate(one->b, &value)) return Flow::failed;
    scope_ = scope;
    const bool ok = assign_to(one->a, value);
    scope_ = outer;
    if (!ok) return Flow::failed;
  }
  scope_ = scope;
  const Flow flow = execute(node->body);
  scope_ = outer;
  return flow;
}

bool Interpreter::take_output(size_t begin, Value* out) noexcept {
  const bool ok = heap_.copy(slice(view(out_), begin), out);
  out_.truncate(begin);
  return ok;
}

// Where the body breaks out of a loop, nothing is done with what it wrote.
Interpreter::Flow Interpreter::captured(const Node* body, Value* out) noexcept {
  const size_t begin = out_.size();
  const Flow flow = execute_in_new_scope(body, scope_);
  return flow != Flow::failed && take_output(begin, out) ? flow : Flow::failed;
}

Interpreter::Flow Interpreter::execute_capture(const Node* node) noexcept {
  Value value;
  const Flow flow = captured(node->body, &value);
  if (flow != Flow::normal) return flow;
  const bool ok = (node->b == nullptr || apply_filters(node->b, Value(value), &value)) &&
                  assign_to(node->a, value);
  return ok ? Flow::normal : Flow::failed;
}

Interpreter::Flow Interpreter::execute_filter_block(const Node* node) noexcept {
  Value value;
  const Flow flow = captured(node->body, &value);
  if (flow != Flow::normal) return flow;
  const bool ok = apply_filters(node->a, Value(value), &value) && heap_.write(value, &out_);
  return ok ? Flow::normal : Flow::failed;
}

bool Interpreter::execute_call_block(const Node* node) noexcept {
  Value callee, result;
  Arguments arguments;
  Macro* macro = heap_.arena().make<Macro>();
  if (macro == nullptr) return heap_.out_of_memory();
  *macro = {node->b, scope_};
  if (!evaluate(node->a->a, &callee) || !evaluate_arguments(node->a->items, &arguments))
    return false;
  Argument* named = heap_.arena().make<Argument>(arguments.named.size() + 1);
  if (named == nullptr) return heap_.out_of_memory();
  for (size_t i = 0; i < arguments.named.size(); ++i) named[i] = arguments.named[i];
  Argument& caller = named[arguments.named.size()];
  caller.name = "caller";
  caller.value = Value::of(Kind::macro);
  caller.value.macro = macro;
  arguments.named = {named, arguments.named.size() + 1};
  return call(callee, arguments, &result) && heap_.write(result, &out_);
}

bool Interpreter::assign(Scope* scope, std::string_view name, const Value& value) noexcept {
  for (Variable* v = scope->variables; v != nullptr; v = v->next) {
    if (v->name == name) {
      v->value = value;
      return true;
    }
  }
  Variable* variable = heap_.arena().make<Variable>();
  if (variable == nullptr) return heap_.out_of_memory();
  *variable = {name, value, scope->variables};
  scope->variables = variable;
  return true;
}

bool Interpreter::assign_to(const Node* target, const Value& value) noexcept {
  if (target->type == NodeType::name) return assign(scope_, target->text, value);
  if (target->type == NodeType::member) {
    Value object;
    if (!evaluate_name(target, &object)) return false;
    if (!object.is(Kind::name_space))
      return heap_.fail("cannot assign attribute on non-namespace object '", target->text, "'");
    return heap_.set(object.dict, target->name, value);
  }
  List* list = nullptr;
  if (!enter()) return false;
  if (value.is(Kind::undefined) || !heap_.iterate(value, &list)) {
    return heap_.fail("cannot unpack ", type_name(value), " into several names");
  }
  if (list->size != target->count) {
    heap_.failure() << "expected " << target->count << " values to unpack, found " << list->size;
    return false;
  }
  uint32_t i = 0;
  for (const Node* one = target->items; one != nullptr; one = one->next) {
    if (!assign_to(one, list->items[i++])) return false;
  }
  --depth_;
  return true;
}

// ---- loops ----

bool Interpreter::passes(LoopState* loop, const Value& item, bool* out) noexcept {
  *out = true;
  if (loop->node->c == nullptr || loop->tested) return true;
  Scope* outer = scope_;
  Scope* scope = heap_.arena().make<Scope>();
  if (scope == nullptr) return heap_.out_of_memory();
  scope->parent = loop->outer;
  scope_ = scope;
  Value condition;
  const bool ok = assign_to(loop->node->a, item) && evaluate(loop->node->c, &condition);
  scope_ = outer;
  *out = ok && heap_.truth(condition);
  return ok;
}

bool Interpreter::advance(LoopState* loop, Value* out, bool* found) noexcept {
  *found = false;
  while (!*found && loop->next < loop->items->size) {
    *out = loop->items->items[loop->next++];
    if (!heap_.spend(1) || !passes(loop, *out, found)) return false;
  }
  return true;
}

// Looks at the next item; loop->peeked says whether there is one.
bool Interpreter::peek(LoopState* loop) noexcept {
  return loop->peeked || advance(loop, &loop->after, &loop->peeked);
}

bool Interpreter::loop_length(LoopState* loop, int64_t* out) noexcept {
  if (loop->node->c != nullptr && !loop->tested) {
    // What is left is tested now, and not again.
    List* rest = nullptr;
    if (!heap_.make_list(0, List::Shape::list, &rest)) return false;
    for (bool found = true; found;) {
      Value item;
      if (!advance(loop, &item, &found) || (found && !heap_.append(rest, item))) return false;
    }
    loop->tested = true;
    loop->items = rest;
    loop->next = 0;
  }
  *out = loop->index + 1 + (loop->peeked ? 1 : 0) + (loop->items->size - loop->next);
  return true;
}

Interpreter::Flow Interpreter::execute_loop(const Node* node, const Value& iterable,
                                            uint32_t depth) noexcept {
  LoopState* loop = heap_.arena().make<LoopState>();
  List* items = nullptr;
  if (loop == nullptr) {
    heap_.out_of_memory();
    return Flow::failed;
  }
  if (!heap_.iterate(iterable, &items)) return Flow::failed;
  loop->node = node;
  loop->outer = scope_;
  loop->items = items;
  loop->depth = depth;
  Value handle = Value::of(Kind::loop);
  handle.loop = loop;
  Scope* const outer = scope_;
  Flow flow = Flow::normal;
  bool completed = false;  // a round to its end: break and continue do not count, as in Jinja
  for (;;) {
    bool found = loop->peeked;
    Value item = loop->after;
    if (!found && !advance(loop, &item, &found)) flow = Flow::failed;
    if (!found || flow == Flow::failed) break;
    loop->peeked = false;
    loop->has_previous = ++loop->index > 0;
    loop->previous = loop->current;
    loop->current = item;
    Scope* scope = heap_.arena().make<Scope>();
    if (scope == nullptr) {
      heap_.out_of_memory();
      flow = Flow::failed;
      break;
    }
    scope->parent = outer;
    scope_ = scope;
    flow = assign(scope, "loop", handle) && assign_to(node->a, item) ? execute(node->body)
                                                                     : Flow::failed;
    scope_ = outer;
    if (flow == Flow::leave || flow == Flow::failed) break;
    completed = completed || flow == Flow::normal;
  }
  if (flow == Flow::failed) return flow;
  return !completed && node->other != nullptr ? execute_in_new_scope(node->other, outer)
                                              : Flow::normal;
}

// ---- expressions ----

bool Interpreter::evaluate(const Node* node, Value* out) noexcept {
  if (!heap_.spend(1)) return false;
  if (node->type == NodeType::constant) {
    *out = node->value;
    return true;
  }
  if (!enter()) return false;
  const uint32_t line = heap_.line;
  heap_.line = node->line;
  const bool ok = evaluate_one(node, out);
  if (ok) heap_.line = line;
  --depth_;
  return ok;
}

bool Interpreter::evaluate_one(const Node* node, Value* out) noexcept {
  switch (node->type) {
    case NodeType::name:
      return evaluate_name(node, out);
    case NodeType::make_list:
    case NodeType::make_tuple:
      return evaluate_list(node, out);
    case NodeType::make_dict:
      return evaluate_dict(node, out);
    case NodeType::any:
    case NodeType::all:
    case NodeType::negation:
      return evaluate_logic(node, out);
    case NodeType::comparison:
      return evaluate_comparison(node, out);
    case NodeType::arithmetic:
      return evaluate_arithmetic(node, out);
    case NodeType::concatenate:
      return evaluate_concatenation(node, out);
    case NodeType::minus:
    case NodeType::plus:
      return evaluate_sign(node, out);
    case NodeType::attribute:
      return evaluate(node->a, out) && get_attribute(Value(*out), node->text, out);
    case NodeType::item:
      return evaluate_item(node, out);
    case NodeType::slice:
      return evaluate_slice(node, out);
    case NodeType::call:
      return evaluate_call(node, out);
    case NodeType::filter:
      return evaluate(node->a, out) && apply_filter(node, Value(*out), out);
    case NodeType::test:
      return evaluate_test(node, out);
    case NodeType::condition:
      return evaluate_condition(node, out);
    default:
      return heap_.fail("an expression that cannot be evaluated");
  }
}

bool Interpreter::evaluate_name(const Node* node, Value* out) noexcept {
  for (const Scope* scope = scope_; scope != nullptr; scope = scope->parent) {
    uint64_t looked_at = 0;
    for (const Variable* v = scope->variables; v != nullptr; v = v->next) {
      ++looked_at;
      if (v->name == node->text) {
        *out = v->value;
        return true;
      }
    }
    if (!heap_.spend(looked_at / 8)) return false;
  }
  const Function* function = BuiltinTables::global(node->text);
  if (function == nullptr) {
    *out = Value::undefined(Missing::name, node->text);
  } else {
    *out = Value::of(Kind::function);
    out->function = function;
  }
  return true;
}

bool Interpreter::evaluate_list(const Node* node, Value* out) noexcept {
  List* list = nullptr;
  const bool tuple = node->type == NodeType::make_tuple;
  if (!heap_.make_list(node->count, tuple ? List::Shape::tuple : List::Shape::list, &list))
    return false;
  for (const Node* one = node->items; one != nullptr; one = one->next) {
    if (!evaluate(one, &list->items[list->size])) return false;
    ++list->size;
  }
  *out = Value::of(list);
  return true;
}

bool Interpreter::evaluate_dict(const Node* node, Value* out) noexcept {
  Dict* dict = nullptr;
  if (!heap_.make_dict(&dict)) return false;
  for (const Node* one = node->items; one != nullptr; one = one->next->next) {
    Value key, value;
    if (!evaluate(one, &key) || !evaluate(one->next, &value) || !heap_.set(dict, key, value))
      return false;
  }
  *out = Value::of(dict);
  return true;
}

bool Interpreter::evaluate_logic(const Node* node, Value* out) noexcept {
  if (node->type == NodeType::negation) {
    if (!evaluate(node->a, out)) return false;
    *out = Value::boolean(!heap_.truth(*out));
    return true;
  }
  // The first operand that decides, or the last.
  for (const Node* one = node->items; one != nullptr; one = one->next) {
    if (!evaluate(one, out)) return false;
    if (heap_.truth(*out) == (node->type == NodeType::any)) return true;
  }
  return true;
}

bool Interpreter::evaluate_comparison(const Node* node, Value* out) noexcept {
  Value left, right;
  if (!evaluate(node->a, &left)) return false;
  bool holds = true;
  for (const Node* one = node->items; one != nullptr && holds; one = one->next) {
    if (!evaluate(one->a, &right) || !compare(one->text, left, right, &holds)) return false;
    left = right;
  }
  *out = Value::boolean(holds);
  return true;
}

bool Interpreter::compare(std::string_view sign, const Value& a, const Value& b,
                          bool* out) noexcept {
  if (sign == "in") return heap_.contains(b, a, out);
  if (sign == "not in" || sign == "!=") {
    if (!(sign == "!=" ? heap_.equal(a, b, out) : heap_.contains(b, a, out))) return false;
    *out = !*out;
    return true;
  }
  if (sign == "==") return heap_.equal(a, b, out);
  if (sign == "<") return heap_.less(a, b, out, sign);
  if (sign == ">") return heap_.less(b, a, out, sign);
  // <= and >=: less or equal, which is not "not greater" for NaN.
  bool same = false;
  if (!heap_.less(sign == "<=" ? a : b, sign == "<=" ? b : a, out, sign) ||
      !heap_.equal(a, b, &same)) {
    return false;
  }
  *out = *out || same;
  return true;
}

bool Interpreter::evaluate_arithmetic(const Node* node, Value* out) noexcept {
  Value left, right;
  if (!evaluate(node->a, &left)) return false;
  for (const Node* one = node->items; one != nullptr; one = one->next) {
    Value result;
    if (!evaluate(one->a, &right) || !heap_.spend(1) ||
        !arithmetic(one->text, left, right, &result)) {
      return false;
    }
    left = result;
  }
  *out = left;
  return true;
}

bool Interpreter::arithmetic(std::string_view sign, const Value& a, const Value& b,
                             Value* out) noexcept {
  if (a.is_integral() && b.is_integral())
    return integer_arithmetic(sign, a.integer, b.integer, out);
  if (a.is_number() && b.is_number()) return real_arithmetic(sign, a.as_real(), b.as_real(), out);
  if (sign == "+") {
    if (a.is(Kind::string) && b.is(Kind::string)) {
      Value left = a, right = b;
      if (a.safe != b.safe && !escape(a.safe ? b : a, a.safe ? &right : &left)) return false;
      if (!heap_.concatenate(left.view(), right.view(), out)) return false;
      out->safe = a.safe || b.safe;
      return true;
    }
    if (a.is(Kind::list) && b.is(Kind::list) &&
        ((a.list->is_tuple() && b.list->is_tuple()) ||
         (a.list->shape == List::Shape::list && b.list->shape == List::Shape::list))) {
      return join_lists(*a.list, *b.list, out);
    }
  }
  if (sign == "*") {
    const auto repeats = [](const Value& v) {
      return v.is(Kind::string) ||
             (v.is(Kind::list) && (v.list->shape == List::Shape::list || v.list->is_tuple()));
    };
    if (repeats(a) && b.is_integral()) return repeat(a, b.integer, out);
    if (repeats(b) && a.is_integral()) return repeat(b, a.integer, out);
  }
  if (sign == "%" && a.is(Kind::string)) return format_percent(a.view(), b, out);
  return heap_.no_operator(sign, a, b);
}

// Quotients are rounded down, as Python's are.
bool Interpreter::integer_arithmetic(std::string_view sign, int64_t a, int64_t b,
                                     Value* out) noexcept {
  const auto too_large = [this] { return heap_.fail("an integer beyond 64 bits"); };
  const auto product = [](int64_t x, int64_t y, int64_t* result) {
    const uint64_t ux = x < 0 ? 0 - static_cast<uint64_t>(x) : static_cast<uint64_t>(x);
    const uint64_t uy = y < 0 ? 0 - static_cast<uint64_t>(y) : static_cast<uint64_t>(y);
    uint64_t magnitude = 0;
    const bool negative = (x < 0) != (y < 0);
    if (!checked_mul(ux, uy, &magnitude) ||
        magnitude > static_cast<uint64_t>(INT64_MAX) + (negative ? 1 : 0)) {
      return false;
    }
    *result = static_cast<int64_t>(negative ? 0 - magnitude : magnitude);
    return true;
  };
  int64_t result = 0;
  if (sign == "+") {
    if (b > 0 ? a > INT64_MAX - b : a < INT64_MIN - b) return too_large();
    result = a + b;
  } else if (sign == "-") {
    if (b < 0 ? a > INT64_MAX + b : a < INT64_MIN + b) return too_large();
    result = a - b;
  } else if (sign == "*") {
    if (!product(a, b, &result)) return too_large();
  } else if (sign == "**") {
    if (b < 0) return real_arithmetic(sign, static_cast<double>(a), static_cast<double>(b), out);
    result = 1;
    int64_t power = a;
    for (int64_t rest = b; rest > 0; rest /= 2) {
      if (rest % 2 != 0 && !product(result, power, &result)) return too_large();
      if (rest > 1 && !product(power, power, &power)) return too_large();
    }
  } else if (b == 0) {
    return heap_.fail("division by zero");
  } else if (sign == "/") {
    return real_arithmetic(sign, static_cast<double>(a), static_cast<double>(b), out);
  } else {
    if (b == -1) {  // the one case in which the processor's division overflows
      if (sign == "//" && a == INT64_MIN) return too_large();
      result = sign == "//" ? -a : 0;
    } else {
      const int64_t rest = a % b;
      const bool down = rest != 0 && (rest < 0) != (b < 0);
      result = sign == "//" ? a / b - (down ? 1 : 0) : rest + (down ? b : 0);
    }
  }
  *out = Value::number(result);
  return true;
}

bool Interpreter::real_arithmetic(std::string_view sign, double a, double b, Value* out) noexcept {
  double result = 0;
  if (sign == "+") {
    result = a + b;
  } else if (sign == "-") {
    result = a - b;
  } else if (sign == "*") {
    result = a * b;
  } else if (sign == "**") {
    if (a == 0 && b < 0) return heap_.fail("0.0 cannot be raised to a negative power");
    if (a < 0 && std::floor(b) != b) return heap_.fail("a complex number");
    result = std::pow(a, b);
  } else if (b == 0) {
    return heap_.fail("division by zero");
  } else if (sign == "/") {
    result = a / b;
  } else {
    double rest = std::fmod(a, b);
    double quotient = (a - rest) / b;
    if (rest != 0 && (rest < 0) != (b < 0)) {
      rest += b;
      quotient -= 1;
    }
    const double down = std::floor(quotient);
    result = sign == "%" ? (rest == 0 ? std::copysign(0.0, b) : rest)
                         : (quotient - down > 0.5 ? down + 1 : down);
  }
  *out = Value::number(result);
  return true;
}

bool Interpreter::repeat(const Value& value, int64_t times, Value* out) noexcept {
  const uint64_t n = times > 0 ? static_cast<uint64_t>(times) : 0;
  const uint64_t size = value.is(Kind::string) ? value.size : value.list->size;
  uint64_t total = 0;
  if (!checked_mul(n, size, &total) || total > heap_.limits().memory) return heap_.out_of_memory();
  if (!heap_.spend(value.is(Kind::string) ? total / 32 : total)) return false;
  if (value.is(Kind::list)) {
    List* list = nullptr;
    if (!heap_.make_list(static_cast<size_t>(total), value.list->shape, &list)) return false;
    for (; list->size < list->capacity; ++list->size)
      list->items[list->size] = value.list->items[list->size % value.list->size];
    *out = Value::of(list);
    return true;
  }
  char* bytes = static_cast<char*>(heap_.arena().take(static_cast<size_t>(total), 1));
  if (bytes == nullptr) return heap_.out_of_memory();
  for (size_t i = 0; i < total; i += value.size) std::memcpy(bytes + i, value.text, value.size);
  *out = Value::string({bytes, static_cast<size_t>(total)});
  return true;
}

bool Interpreter::join_lists(const List& a, const List& b, Value* out) noexcept {
  List* list = nullptr;
  const List::Shape shape = a.is_tuple() ? List::Shape::tuple : List::Shape::list;
  if (!heap_.spend(a.size + b.size) || !heap_.make_list(size_t{a.size} + b.size, shape, &list)) {
    return false;
  }
  for (uint32_t i = 0; i < a.size; ++i) list->items[list->size++] = a.items[i];
  for (uint32_t i = 0; i < b.size; ++i) list->items[list->size++] = b.items[i];
  *out = Value::of(list);
  return true;
}

bool Interpreter::evaluate_concatenation(const Node* node, Value* out) noexcept {
  Value result = Value::string("");
  for (const Node* one = node->items; one != nullptr; one = one->next) {
    Value value;
    std::string_view text;
    if (!evaluate(one, &value) || !heap_.text_of(value, &text)) return false;
    if (one == node->items) {
      result = Value::string(text);
    } else if (!heap_.concatenate(result.view(), text, &result)) {
      return false;
    }
  }
  *out = result;
  return true;
}

bool Interpreter::evaluate_sign(const Node* node, Value* out) noexcept {
  if (!evaluate(node->a, out)) return false;
  const bool minus = node->type == NodeType::minus;
  if (out->is(Kind::real)) {
    if (minus) out->real = -out->real;
    return true;
  }
  if (out->is_integral()) {
    return integer_arithmetic(minus ? "-" : "+", 0, out->integer, out);
  }
  return heap_.defined(*out) &&
         heap_.fail("bad operand type for unary ", minus ? "-: '" : "+: '", type_name(*out), "'");
}

bool Interpreter::evaluate_condition(const Node* node, Value* out) noexcept {
  Value condition;
  if (!evaluate(node->b, &condition)) return false;
  if (heap_.truth(condition)) return evaluate(node->a, out);
  if (node->c != nullptr) return evaluate(node->c, out);
  *out = Value::undefined(Missing::message,
                          "the inline if-expression evaluated to false and has no else");
  return true;
}

// ---- attributes and items ----

bool Interpreter::get_attribute(const Value& object, std::string_view name, Value* out) noexcept {
  bool found = false;
  if (!heap_.defined(object) || !find_method(object, name, out, &found)) return false;
  if (found) return true;
  if (object.is(Kind::dict) || object.is(Kind::name_space)) {
    const Entry* entry = heap_.find(*object.dict, name);
    if (entry != nullptr) {
      *out = entry->value;
      return true;
    }
  } else if (object.is(Kind::loop)) {
    if (!get_loop_attribute(object.loop, name, out, &found)) return false;
    if (found) return true;
  } else if (object.is(Kind::macro)) {
    if (!get_macro_attribute(*object.macro->node, name, out, &found)) return false;
    if (found) return true;
  } else if (object.is(Kind::list) && object.list->shape == List::Shape::group &&
             (name == "grouper" || name == "list")) {
    *out = object.list->items[name == "list" ? 1 : 0];
    return true;
  } else if (object.is(Kind::cycler) && name == "current") {
    *out = object.dict->entries[object.dict->position].value;
    return true;
  }
  *out = Value::undefined(Missing::attribute, name, object.kind);
  return true;
}

bool Interpreter::get_macro_attribute(const Node& macro, std::string_view name, Value* out,
                                      bool* found) noexcept {
  *found = true;
  if (name == "name") {
    *out = Value::string(macro.text);
  } else if (name == "arguments") {
    List* names = nullptr;
    if (!heap_.make_list(macro.count, List::Shape::tuple, &names)) return false;
    for (const Node* one = macro.items; one != nullptr; one = one->next) {
      if (!heap_.append(names, Value::string(one->text))) return false;
    }
    *out = Value::of(names);
  } else if (name == "caller") {
    *out = Value::boolean(macro.uses_caller);
  } else if (name == "catch_varargs") {
    *out = Value::boolean(macro.uses_varargs);
  } else if (name == "catch_kwargs") {
    *out = Value::boolean(macro.uses_kwargs);
  } else {
    *found = false;
  }
  return true;
}

bool Interpreter::get_loop_attribute(LoopState* loop, std::string_view name, Value* out,
                                     bool* found) noexcept {
  *found = true;
  int64_t length = 0;
  if (name == "index0" || name == "index") {
    *out = Value::number(loop->index + (name == "index" ? 1 : 0));
  } else if (name == "first") {
    *out = Value::boolean(loop->index == 0);
  } else if (name == "last") {
    if (!peek(loop)) return false;
    *out = Value::boolean(!loop->peeked);
  } else if (name == "length" || name == "revindex" || name == "revindex0") {
    if (!loop_length(loop, &length)) return false;
    if (name != "length") length -= loop->index + (name == "revindex0" ? 1 : 0);
    *out = Value::number(length);
  } else if (name == "depth" || name == "depth0") {
    *out = Value::number(int64_t{loop->depth} + (name == "depth" ? 1 : 0));
  } else if (name == "previtem") {
    *out = loop->has_previous ? loop->previous
                              : Value::undefined(Missing::message, "there is no previous item");
  } else if (name == "nextitem") {
    if (!peek(loop)) return false;
    *out = loop->peeked ? loop->after : Value::undefined(Missing::message, "there is no next item");
  } else {
    *found = false;
  }
  return true;
}

bool Interpreter::get_item(const Value& object, const Value& key, Value* out) noexcept {
  if (!heap_.defined(object)) return false;
  if (object.is(Kind::dict)) {
    Entry* entry = nullptr;
    const bool hashable = !(key.is(Kind::list) && !key.list->is_tuple()) && !key.is(Kind::dict);
    if (hashable && !heap_.find(*object.dict, key, &entry)) return false;
    if (entry != nullptr) {
      *out = entry->value;
      return true;
    }
  } else if (key.is_integral() && object.is(Kind::list) && object.list->has_index()) {
    const int64_t index = key.integer < 0 ? key.integer + object.list->size : key.integer;
    if (index >= 0 && index < object.list->size) {
      *out = object.list->items[index];
      return true;
    }
  } else if (key.is_integral() && object.is(Kind::string)) {
    const std::string_view text = object.view();
    if (!heap_.spend_bytes(text.size())) return false;
    int64_t index = key.integer;
    if (index < 0) index += static_cast<int64_t>(count_characters(text));
    const size_t at = index < 0 ? text.size() : byte_of_character(text, static_cast<size_t>(index));
    if (at < text.size()) {
      *out = Value::string(slice(text, at, character_at(text, at).bytes));
      return true;
    }
  }
  if (key.is(Kind::string)) return get_attribute(object, key.view(), out);
  String name(heap_.allocator());
  Value text;
  if (!heap_.put(&name, type_name(object)) || !heap_.put(&name, " object has no element ") ||
      !heap_.write_repr(key, &name) || !heap_.take(name, &text)) {
    return false;
  }
  *out = Value::undefined(Missing::message, text.view());
  return true;
}

// "a.b.0" or a number, as the filters' attribute arguments have it.
bool Interpreter::get_path(const Value& object, const Value& path, Value* out) noexcept {
  *out = object;
  if (!path.is(Kind::string)) return get_item(object, path, out);
  std::string_view rest = path.view();
  for (;;) {
    const size_t point = rest.find('.');
    const std::string_view part = slice(rest, 0, point);
    int64_t index = 0;
    const bool digits = !part.empty() && part[0] >= '0' && part[0] <= '9';
    const Value key =
        digits && parse_int(part, 10, &index) ? Value::number(index) : Value::string(part);
    if (!get_item(Value(*out), key, out)) return false;
    if (point == std::string_view::npos) return true;
    rest = slice(rest, point + 1);
  }
}

bool Interpreter::evaluate_item(const Node* node, Value* out) noexcept {
  Value object, key;
  return evaluate(node->a, &object) && evaluate(node->b, &key) && get_item(object, key, out);
}

// Python's rules for slices of something of `size` parts: the first, how many, and the step.
bool Interpreter::slice_bounds(const Node* node, size_t size, int64_t* start, int64_t* stop,
                               int64_t* count, int64_t* step) noexcept {
  int64_t numbers[3] = {};
  bool given[3] = {};
  uint32_t i = 0;
  for (const Node* one = node->items; one != nullptr; one = one->next, ++i) {
    Value value = Value::none();
    if (one->type != NodeType::nothing && !evaluate(one, &value)) return false;
    if (value.is(Kind::none)) continue;
    if (!heap_.defined(value)) return false;
    if (!value.is_integral()) return heap_.fail("slice indices must be integers or None");
    numbers[i] = value.integer;
    given[i] = true;
  }
  *step = given[2] ? numbers[2] : 1;
  if (*step == 0) return heap_.fail("slice step cannot be zero");
  const int64_t n = static_cast<int64_t>(size);
  const bool back = *step < 0;
  const auto clamp = [n, back](int64_t index) {
    if (index < 0) index = index < -n ? -1 : index + n;
    if (back) return index < 0 ? int64_t{-1} : index >= n ? n - 1 : index;
    return index < 0 ? int64_t{0} : index > n ? n : index;
  };
  *start = given[0] ? clamp(numbers[0]) : back ? n - 1 : 0;
  *stop = given[1] ? clamp(numbers[1]) : back ? -1 : n;
  const int64_t distance = back ? *start - *stop : *stop - *start;
  // A step beyond the size takes one part; that also bounds it for the arithmetic.
  if (*step > n + 1) *step = n + 1;
  if (*step < -(n + 1)) *step = -(n + 1);
  const int64_t stride = back ? -*step : *step;
  *count = distance <= 0 ? 0 : (distance + stride - 1) / stride;
  return true;
}

bool Interpreter::evaluate_slice(const Node* node, Value* out) noexcept {
  Value object;
  int64_t start = 0, stop = 0, count = 0, step = 1;
  if (!evaluate(node->a, &object) || !heap_.defined(object)) return false;
  if (object.is(Kind::string)) {
    const std::string_view text = object.view();
    const size_t size = count_characters(text);
    if (!heap_.spend_bytes(text.size()) || !slice_bounds(node, size, &start, &stop, &count, &step))
      return false;
    if (step == 1 || count == 0) {
      const size_t begin = count == 0 ? 0 : byte_of_character(text, static_cast<size_t>(start));
      const std::string_view rest = slice(text, begin);
      *out = Value::string(slice(rest, 0, byte_of_character(rest, static_cast<size_t>(count))));
      return true;
    }
    List* characters = nullptr;
    if (!heap_.iterate(object, &characters)) return false;
    String result(heap_.allocator());
    for (int64_t i = 0; i < count; ++i) {
      if (!heap_.spend(1) || !heap_.put(&result, characters->items[start + i * step].view()))
        return false;
    }
    return heap_.take(result, out);
  }
  if (object.is(Kind::list) && object.list->has_index()) {
    const List& from = *object.list;
    if (!slice_bounds(node, from.size, &start, &stop, &count, &step)) return false;
    List* list = nullptr;
    const List::Shape shape = from.shape == List::Shape::group ? List::Shape::tuple : from.shape;
    if (!heap_.spend(static_cast<uint64_t>(count)) ||
        !heap_.make_list(static_cast<size_t>(count), shape, &list)) {
      return false;
    }
    for (int64_t i = 0; i < count; ++i) list->items[list->size++] = from.items[start + i * step];
    *out = Value::of(list);
    if (shape != List::Shape::range) return true;
    // A part of a part of a range: steps multiply.
    const int64_t stride = step < 0 ? -step : step;
    const int64_t most = kMaxRangeNumber / stride;
    if (from.step > most || from.step < -most) return heap_.fail(kRangeTooFar);
    list->step = from.step * step;
    list->start = from.start + start * from.step;
    list->stop = from.start + stop * from.step;
    return true;
  }
  return heap_.fail("'", type_name(object), "' object cannot be sliced");
}

// ---- calls ----

bool Interpreter::evaluate_arguments(const Node* first, Arguments* out) noexcept {
  size_t values = 0, named = 0;
  bool splats = false;
  for (const Node* one = first; one != nullptr; one = one->next) {
    splats = splats || one->type == NodeType::splat || one->type == NodeType::splat_named;
    one->type == NodeType::named ? ++named : ++values;
  }
  List* list = nullptr;
  Dict* dict = nullptr;
  if (!heap_.make_list(values, List::Shape::list, &list) || !heap_.make_dict(&dict)) return false;
  for (const Node* one = first; one != nullptr; one = one->next) {
    Value value;
    const bool is_splat = one->type == NodeType::splat || one->type == NodeType::splat_named;
    const bool is_named = one->type == NodeType::named;
    if (!evaluate(is_splat || is_named ? one->a : one, &value)) return false;
    if (is_named) {
      if (!heap_.set(dict, one->text, value)) return false;
    } else if (one->type == NodeType::splat) {
      List* more = nullptr;
      if (!heap_.iterate(value, &more)) return false;
      for (uint32_t i = 0; i < more->size; ++i) {
        if (!heap_.append(list, more->items[i])) return false;
      }
    } else if (is_splat) {
      if (!value.is(Kind::dict)) return heap_.fail("argument after ** must be a mapping");
      for (uint32_t i = 0; i < value.dict->size; ++i) {
        const Entry& entry = value.dict->entries[i];
        if (!entry.key.is(Kind::string)) return heap_.fail("keywords must be strings");
        if (!heap_.set(dict, entry.key, entry.value)) return false;
      }
    } else if (!heap_.append(list, value)) {
      return false;
    }
  }
  Argument* arguments = heap_.arena().make<Argument>(dict->size);
  if (arguments == nullptr) return heap_.out_of_memory();
  for (uint32_t i = 0; i < dict->size; ++i)
    arguments[i] = {dict->entries[i].key.view(), dict->entries[i].value};
  out->values = {list->items, list->size};
  out->named = {arguments, dict->size};
  return true;
}

bool Interpreter::evaluate_call(const Node* node, Value* out) noexcept {
  Value callee;
  Arguments arguments;
  return evaluate(node->a, &callee) && evaluate_arguments(node->items, &arguments) &&
         call(callee, arguments, out);
}

bool Interpreter::call(const Value& callee, const Arguments& arguments, Value* out) noexcept {
  switch (callee.kind) {
    case Kind::macro:
      return call_macro(*callee.macro, arguments, out);
    case Kind::function:
      return call_function(*callee.function, Value(), arguments, out);
    case Kind::method:
      return call_method(*callee.method, arguments, out);
    case Kind::joiner:  // nothing the first time
      if (!arguments.values.empty() || !arguments.named.empty())
        return heap_.fail("a joiner takes no arguments");
      *out = callee.dict->position++ == 0 ? Value::string("") : callee.dict->entries[0].value;
      if (callee.dict->position > 1) callee.dict->position = 1;
      return true;
    case Kind::loop: {
      LoopState& loop = *callee.loop;
      if (!loop.node->recursive || arguments.values.size() != 1)
        return heap_.fail("a loop is called with one argument, and must be marked 'recursive'");
      Scope* outer = scope_;
      const size_t begin = out_.size();
      scope_ = loop.outer;
      const Flow flow = execute_loop(loop.node, arguments.values[0], loop.depth + 1);
      scope_ = outer;
      return flow != Flow::failed && take_output(begin, out);
    }
    default:
      return heap_.defined(callee) &&
             heap_.fail("'", type_name(callee), "' object is not callable");
  }
}

bool Interpreter::bind_macro(const Macro& macro, const Arguments& arguments,
                             Scope* scope) noexcept {
  const Node& node = *macro.node;
  size_t position = 0;
  List* more = nullptr;
  Dict* rest = nullptr;
  if (!heap_.make_list(0, List::Shape::tuple, &more) || !heap_.make_dict(&rest)) return false;
  const auto find = [&arguments](std::string_view name) -> const Value* {
    for (const Argument& argument : arguments.named) {
      if (argument.name == name) return &argument.value;
    }
    return nullptr;
  };
  for (const Node* one = node.items; one != nullptr; one = one->next, ++position) {
    const Value* named = find(one->text);
    Value value = Value::undefined(Missing::message, "a parameter was not provided");
    if (position < arguments.values.size()) {
      if (named != nullptr)
        return heap_.fail("macro '", node.text, "' got two values for '", one->text, "'");
      value = arguments.values[position];
    } else if (named != nullptr) {
      value = *named;
    } else if (one->a != nullptr && !evaluate(one->a, &value)) {
      return false;
    }
    if (!assign(scope, one->text, value)) return false;
  }
  for (; position < arguments.values.size(); ++position) {
    if (!node.uses_varargs) {
      heap_.failure() << "macro '" << node.text << "' takes not more than " << node.count
                      << " arguments";
      return false;
    }
    if (!heap_.append(more, arguments.values[position])) return false;
  }
  bool has_caller = false;
  for (const Argument& argument : arguments.named) {
    bool known = false;
    for (const Node* one = node.items; one != nullptr; one = one->next)
      known = known || one->text == argument.name;
    if (known) continue;
    if (node.uses_caller && argument.name == "caller") {
      has_caller = true;
      if (!assign(scope, "caller", argument.value)) return false;
    } else if (!node.uses_kwargs) {
      return heap_.fail("macro '", node.text, "' takes no keyword argument '", argument.name, "'");
    } else if (!heap_.set(rest, argument.name, argument.value)) {
      return false;
    }
  }
  if (node.uses_caller && !has_caller &&
      !assign(scope, "caller", Value::undefined(Missing::message, "No caller defined"))) {
    return false;
  }
  return (!node.uses_varargs || assign(scope, "varargs", Value::of(more))) &&
         (!node.uses_kwargs || assign(scope, "kwargs", Value::of(rest)));
}

bool Interpreter::call_macro(const Macro& macro, const Arguments& arguments, Value* out) noexcept {
  Scope* const outer = scope_;
  Scope* scope = heap_.arena().make<Scope>();
  if (scope == nullptr) return heap_.out_of_memory();
  scope->parent = macro.scope;
  scope_ = scope;  // defaults see the parameters before them
  const size_t begin = out_.size();
  const uint32_t line = heap_.line;
  bool ok = bind_macro(macro, arguments, scope);
  ok = ok && execute(macro.node->body) != Flow::failed && take_output(begin, out);
  scope_ = outer;
  if (ok) heap_.line = line;
  return ok;
}

bool Interpreter::bind(std::string_view name, std::string_view parameters, uint32_t required,
                       const Arguments& arguments, Value* bound) noexcept {
  uint32_t count = 0;
  size_t named = 0;
  for (std::string_view rest = parameters; !rest.empty(); ++count) {
    const size_t space = rest.find(' ');
    const std::string_view parameter = slice(rest, 0, space);
    rest = space == std::string_view::npos ? std::string_view() : slice(rest, space + 1);
    bool given = count < arguments.values.size();
    bound[count] = given ? arguments.values[count] : Value();
    for (const Argument& argument : arguments.named) {
      if (argument.name != parameter) continue;
      if (given) return heap_.fail(name, "() got two values for '", parameter, "'");
      bound[count] = argument.value;
      given = true;
      ++named;
    }
    if (!given && count < required)
      return heap_.fail(name, "() is missing the argument '", parameter, "'");
  }
  if (arguments.values.size() > count) return heap_.fail(name, "() got too many arguments");
  if (named < arguments.named.size())
    return heap_.fail(name, "() got an argument whose name it does not know");
  return true;
}

bool Interpreter::call_function(const Function& function, const Value& self,
                                const Arguments& arguments, Value* out) noexcept {
  Value bound[kMaxParameters];
  if (function.parameters != "*" &&  // else it looks at arguments_ itself
      !bind(function.name, function.parameters, function.required, arguments, bound)) {
    return false;
  }
  if (!enter()) return false;
  const Arguments* before = arguments_;
  arguments_ = &arguments;
  const bool ok = (this->*function.run)(self, bound, out);
  arguments_ = before;
  --depth_;
  return ok;
}

bool Interpreter::apply_filter(const Node* node, const Value& input, Value* out) noexcept {
  Arguments arguments;
  return evaluate_arguments(node->items, &arguments) &&
         call_filter(node->text, input, arguments, out);
}

bool Interpreter::apply_filters(const Node* node, const Value& input, Value* out) noexcept {
  Value self = input;
  if (node->a != nullptr) {
    if (!enter() || !apply_filters(node->a, input, &self)) return false;
    --depth_;
  }
  return apply_filter(node, self, out);
}

bool Interpreter::call_filter(std::string_view name, const Value& self, const Arguments& arguments,
                              Value* out) noexcept {
  const Function* filter = BuiltinTables::filter(name);
  if (filter == nullptr) return heap_.fail("no filter named '", name, "'");
  return call_function(*filter, self, arguments, out);
}

bool Interpreter::call_test(std::string_view name, const Value& self, const Arguments& arguments,
                            bool* out) noexcept {
  const Function* test = BuiltinTables::test(name);
  if (test == nullptr) return heap_.fail("no test named '", name, "'");
  Value result;
  if (!call_function(*test, self, arguments, &result)) return false;
  *out = heap_.truth(result);
  return true;
}

bool Interpreter::evaluate_test(const Node* node, Value* out) noexcept {
  Value self;
  Arguments arguments;
  bool holds = false;
  if (!evaluate(node->a, &self) || !evaluate_arguments(node->items, &arguments) ||
      !call_test(node->text, self, arguments, &holds)) {
    return false;
  }
  *out = Value::boolean(holds);
  return true;
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_CHAT_INTERPRETER_INL_HPP_
