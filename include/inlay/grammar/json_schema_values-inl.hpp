// type, enum and const: values that a JSON Schema names, and which of them are valid.
#ifndef INLAY_GRAMMAR_JSON_SCHEMA_VALUES_INL_HPP_
#define INLAY_GRAMMAR_JSON_SCHEMA_VALUES_INL_HPP_

#include <algorithm>

#include "inlay/grammar/automaton.hpp"
#include "inlay/grammar/json_number.hpp"
#include "inlay/grammar/json_schema_compiler.hpp"
#include "inlay/grammar/machine.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// Which values are valid by a list of schemas, enum and const aside: their own small grammar.
struct JsonSchemaCompiler::Judge {
  explicit Judge(const Allocator& allocator) noexcept
      : expressions(allocator), automaton(allocator), machine(allocator) {}
  Status create(const JsonSchemaCompiler& outer, const Schemas& list) noexcept;
  Status accepts(const JsonValue& v, bool* out) noexcept;

  Expressions expressions;
  Automaton automaton;
  GrammarMachine machine;
  bool impossible = false;
};

inline Status JsonSchemaCompiler::Judge::create(const JsonSchemaCompiler& outer,
                                                const Schemas& list) noexcept {
  JsonSchemaCompiler inner(outer.root_, outer.options_, JsonSchemaUse::judge, &expressions);
  inner.references_ = outer.references_;
  inner.made_ = outer.made_;
  if (!inner.originals_.append(outer.originals_.data(), outer.originals_.size())) {
    return no_memory();
  }
  inner.borrowed_ = outer.made_;
  inner.depth_ = outer.depth_ + 1;
  if (!inner.slots_.resize(256)) return no_memory();
  Schemas copy(outer.allocator_);
  if (!copy.append(list.data(), list.size())) return no_memory();
  const uint32_t rule = expressions.add_rule("value");
  ExpressionId body = 0;
  INLAY_TRY(inner.value(&copy, true, &body));
  INLAY_TRY(inner.finish());
  INLAY_TRY(expressions.status());
  expressions.define(rule, body);
  auto compiled = Automaton::compile(expressions, rule, outer.allocator_);
  impossible = !compiled && compiled.error().code() == ErrorCode::bad_argument;
  if (impossible) return {};
  if (!compiled) return compiled.error();
  automaton = std::move(*compiled);
  return machine.create(automaton, size_t{1} << 20);
}

inline Status JsonSchemaCompiler::Judge::accepts(const JsonValue& v, bool* out) noexcept {
  *out = false;
  if (impossible) return {};
  String text(automaton.nodes.allocator());
  if (!append_canonical_json(&text, v)) return no_memory();
  machine.set_work(uint64_t{1} << 24);
  auto state = machine.start();
  for (const char c : text) {
    if (state != GrammarMachine::kFull) state = machine.step(state, static_cast<uint8_t>(c));
  }
  *out = state != GrammarMachine::kFull && machine.accepts(state);
  return {};
}

inline Status JsonSchemaCompiler::types_of(const Schemas& list, uint8_t* out) noexcept {
  *out = kAnyType;
  for (const JsonValue* s : list) {
    const JsonValue* type = s->is_object() ? s->find("type") : nullptr;
    if (type == nullptr) continue;
    uint8_t types = 0;
    if (type->is_array()) {
      for (const JsonValue& one : type->items()) types |= type_bit(one.text());
    } else {
      types = type_bit(type->text());
    }
    if (types == 0) return wrong(*type, "expected the name of a type, or several");
    *out &= types;
  }
  for (const JsonValue* s : list) {
    const JsonValue* negated = plain_negation(*s);
    if (negated == nullptr) continue;
    if (negated->find("pattern") != nullptr) *out &= kString;
    if (negated->find("multipleOf") != nullptr) *out &= kNumber | kInteger;
    if (const JsonValue* type = negated->find("type")) {
      // Not an integer: number_language takes those out of the numbers.
      uint8_t types = type_bit(type->text());
      for (const JsonValue& one : type->items()) types |= type_bit(one.text());
      *out &= static_cast<uint8_t>(~types);
    }
    // Of strings and numbers, those that are listed are taken out later.
    for (const JsonValue& v : value_list(*negated)) {
      if (!v.is_string() && !v.is_number()) *out &= static_cast<uint8_t>(~type_of(v));
    }
  }
  return {};
}

inline uint8_t JsonSchemaCompiler::type_bit(std::string_view name) noexcept {
  if (name == "null") return kNull;
  if (name == "boolean") return kBoolean;
  if (name == "integer") return kInteger;
  if (name == "number") return kNumber | kInteger;
  if (name == "string") return kString;
  if (name == "array") return kArray;
  return name == "object" ? kObject : 0;
}

inline uint8_t JsonSchemaCompiler::type_of(const JsonValue& v) noexcept {
  switch (v.type()) {
    case JsonType::null:
      return kNull;
    case JsonType::boolean:
      return v.boolean() ? kTrue : kFalse;
    case JsonType::integer:
      return kInteger;
    case JsonType::number: {
      Decimal decimal;
      return Decimal::parse(v.text(), &decimal) && decimal.fraction().empty() ? kInteger : kNumber;
    }
    case JsonType::string:
      return kString;
    case JsonType::array:
      return kArray;
    default:
      return kObject;
  }
}

inline const JsonValue* JsonSchemaCompiler::values_of(const JsonValue& s) noexcept {
  const JsonValue* values = s.find("enum");
  return values != nullptr ? values : s.find("const");
}

inline Span<const JsonValue> JsonSchemaCompiler::value_list(const JsonValue& s) noexcept {
  if (const JsonValue* values = s.find("enum")) return values->items();
  const JsonValue* single = s.find("const");
  return {single, single != nullptr ? size_t{1} : 0};
}

inline Status JsonSchemaCompiler::listed_values(const Schemas& list, const JsonValue& values,
                                                uint8_t types,
                                                Array<const JsonValue*>* out) noexcept {
  Span<const JsonValue> candidates;
  bool plain = true;  // only types besides
  for (const JsonValue* s : list) {
    if (!s->is_object()) continue;
    if (values_of(*s) == &values && candidates.empty()) {
      candidates = value_list(*s);
      if (s->find("enum") != nullptr && !values.is_array()) {
        return wrong(values, "expected an array of values");
      }
    }
    for (const JsonMember& member : s->members()) plain = plain && !limits_values(member.key);
  }
  if (candidates.size() > kMaxValues) return unsupported(values, "an enum of over 16384 values");
  Judge rest(allocator_);
  if (!plain && depth_ == kMaxDepth) {
    return unsupported(values, "values listed beside other keywords, within others of that kind");
  }
  if (!plain) INLAY_TRY(rest.create(*this, list));
  for (const JsonValue& v : candidates) {
    if ((types & type_of(v)) == 0 && !(type_of(v) == kInteger && (types & kNumber))) continue;
    bool valid = true;
    for (const JsonValue* s : list) {
      if (!s->is_object() || values_of(*s) == nullptr) continue;
      // With const besides enum, both count.
      const JsonValue* listed = s->find("enum");
      if (listed != nullptr && listed != &values && !is_one_of(v, listed->items())) valid = false;
      if (s->find("const") != nullptr && !equal(v, *s->find("const"))) valid = false;
    }
    if (valid && !plain) INLAY_TRY(rest.accepts(v, &valid));
    if (valid && !out->push_back(&v)) return no_memory();
  }
  return {};
}

inline Status JsonSchemaCompiler::one_of_values(const Schemas& list, const JsonValue& values,
                                                uint8_t types, ExpressionId* out) noexcept {
  Array<const JsonValue*> valid(allocator_);
  INLAY_TRY(listed_values(list, values, types, &valid));
  Array<ExpressionId> ways(allocator_);
  for (const JsonValue* v : valid) {
    if (!ways.push_back(literal(*v))) return no_memory();
  }
  *out = ways.empty() ? out_.nothing() : out_.choice(ways.span());
  return {};
}

inline bool JsonSchemaCompiler::limits_values(std::string_view keyword) noexcept {
  static constexpr std::string_view kLimits[] = {"minimum",
                                                 "maximum",
                                                 "exclusiveMinimum",
                                                 "exclusiveMaximum",
                                                 "multipleOf",
                                                 "divisibleBy",
                                                 "minLength",
                                                 "maxLength",
                                                 "pattern",
                                                 "format",
                                                 "properties",
                                                 "patternProperties",
                                                 "propertyNames",
                                                 "required",
                                                 "additionalProperties",
                                                 "minProperties",
                                                 "maxProperties",
                                                 "items",
                                                 "prefixItems",
                                                 "additionalItems",
                                                 "minItems",
                                                 "maxItems",
                                                 "uniqueItems",
                                                 "unevaluatedItems",
                                                 "unevaluatedProperties",
                                                 "contains",
                                                 "not"};
  return std::find(std::begin(kLimits), std::end(kLimits), keyword) != std::end(kLimits);
}

inline bool JsonSchemaCompiler::is_one_of(const JsonValue& v, Span<const JsonValue> all) noexcept {
  for (const JsonValue& one : all) {
    if (equal(v, one)) return true;
  }
  return false;
}

inline bool JsonSchemaCompiler::equal(const JsonValue& a, const JsonValue& b) noexcept {
  if (a.is_number() || b.is_number()) {
    if (!a.is_number() || !b.is_number()) return false;
    Decimal x, y;
    if (!Decimal::parse(a.text(), &x) || !Decimal::parse(b.text(), &y)) {
      return a.text() == b.text();
    }
    return x.negative == y.negative && x.whole() == y.whole() && x.fraction() == y.fraction();
  }
  if (a.type() != b.type() || a.boolean() != b.boolean() || a.text() != b.text() ||
      a.items().size() != b.items().size() || a.members().size() != b.members().size()) {
    return false;
  }
  for (size_t i = 0; i < a.items().size(); ++i) {
    if (!equal(a.items()[i], b.items()[i])) return false;
  }
  for (const JsonMember& member : a.members()) {
    const JsonValue* other = b.find(member.key);
    if (other == nullptr || !equal(member.value, *other)) return false;
  }
  return true;
}

inline ExpressionId JsonSchemaCompiler::literal(const JsonValue& v) noexcept {
  Array<ExpressionId> parts(allocator_);
  if (judges() || (!v.is_array() && !v.is_object())) {
    String text(allocator_);
    const bool ok = judges() ? append_canonical_json(&text, v) : append_json(&text, v);
    return ok ? out_.bytes(view(text)) : out_.fail_memory();
  }
  const bool is_array = v.is_array();
  bool ok = parts.push_back(out_.bytes(is_array ? "[" : "{")) && parts.push_back(space());
  const size_t count = is_array ? v.items().size() : v.members().size();
  for (size_t i = 0; i < count && ok; ++i) {
    if (i > 0) ok = parts.push_back(comma());
    if (is_array) {
      ok = ok && parts.push_back(literal(v.items()[i]));
    } else {
      const JsonMember& member = v.members()[i];
      ok = ok && parts.push_back(key(member.key)) && parts.push_back(colon()) &&
           parts.push_back(literal(member.value));
    }
  }
  if (count > 0) ok = ok && parts.push_back(space());
  ok = ok && parts.push_back(out_.bytes(is_array ? "]" : "}"));
  return ok ? out_.sequence(parts.span()) : out_.fail_memory();
}

inline bool JsonSchemaCompiler::values_apart(const Schemas& a, const Schemas& b,
                                             uint8_t types_b) const noexcept {
  for (const JsonValue* s : a) {
    if (!s->is_object() || values_of(*s) == nullptr) continue;
    bool apart = true;
    for (const JsonValue& v : value_list(*s)) {
      const uint8_t type = type_of(v);
      bool in_b = (type & types_b) != 0;
      for (const JsonValue* t : b) {
        if (in_b && t->is_object() && values_of(*t) != nullptr) in_b = is_one_of(v, value_list(*t));
      }
      apart = apart && !in_b;
    }
    if (apart) return true;
  }
  return false;
}

bool append_canonical_json(String* out, const JsonValue& value) noexcept {
  const auto put = [out](std::string_view text) { return out->append(text.data(), text.size()); };
  bool ok = true;
  Decimal number;
  if (value.is_array()) {
    ok = put("[");
    for (const JsonValue& item : value.items()) {
      ok = ok && (&item == value.items().data() || put(",")) && append_canonical_json(out, item);
    }
    return ok && put("]");
  }
  if (value.is_object()) {
    Array<const JsonMember*> members(out->allocator());
    for (const JsonMember& member : value.members()) ok = ok && members.push_back(&member);
    std::sort(members.begin(), members.end(),
              [](const JsonMember* a, const JsonMember* b) { return a->key < b->key; });
    ok = ok && put("{");
    for (const JsonMember* member : members) {
      ok = ok && (member == members[0] || put(",")) && append_json_string(out, member->key) &&
           put(":") && append_canonical_json(out, member->value);
    }
    return ok && put("}");
  }
  if (value.is_number() && Decimal::parse(value.text(), &number)) {
    return put(number.negative ? "-" : "") && put(number.whole().empty() ? "0" : number.whole()) &&
           (number.fraction().empty() || (put(".") && put(number.fraction())));
  }
  return append_json(out, value);
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_GRAMMAR_JSON_SCHEMA_VALUES_INL_HPP_
