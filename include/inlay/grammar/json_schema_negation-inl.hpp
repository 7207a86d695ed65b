// Keywords of a JSON Schema that are said with others: not, if, dependencies.
#ifndef INLAY_GRAMMAR_JSON_SCHEMA_NEGATION_INL_HPP_
#define INLAY_GRAMMAR_JSON_SCHEMA_NEGATION_INL_HPP_

#include "inlay/grammar/json_schema_compiler.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

inline bool JsonSchemaCompiler::append_number(String* out, uint64_t n) noexcept {
  char digits[24];
  size_t at = sizeof digits;
  do digits[--at] = static_cast<char>('0' + n % 10);
  while ((n /= 10) != 0);
  return append(out, {digits + at, sizeof digits - at});
}

inline bool JsonSchemaCompiler::append_original(String* out, const JsonValue& schema,
                                                std::string_view as) noexcept {
  return append(out, "{") && append_json_string(out, as) && append(out, ":") &&
         append_number(out, originals_.size()) && append(out, "}") && originals_.push_back(&schema);
}

inline Status JsonSchemaCompiler::make_schema(const JsonValue& origin, bool is_negation,
                                              std::string_view text,
                                              const JsonValue** out) noexcept {
  *out = find_made(origin, is_negation);
  if (*out != nullptr) return {};
  JsonOptions json;
  json.allocator = allocator_;
  auto document = JsonDocument::parse(text, json);
  if (!document) return document.error();
  Made* made = create<Made>(allocator_, std::move(*document), &origin, is_negation, made_);
  if (made == nullptr) return no_memory();
  made_ = made;
  *out = &made->document.root();
  return {};
}

inline const JsonValue* JsonSchemaCompiler::find_made(const JsonValue& origin,
                                                      bool is_negation) const noexcept {
  for (const Made* made = made_; made != nullptr; made = made->next) {
    if (made->origin == &origin && made->is_negation == is_negation) {
      return &made->document.root();
    }
  }
  return nullptr;
}

inline Status JsonSchemaCompiler::negation_of(const JsonValue& schema,
                                              const JsonValue** out) noexcept {
  *out = find_made(schema, true);
  if (*out != nullptr) return {};
  String text(allocator_);
  bool some = false;
  INLAY_TRY(negate(schema, 0, &text, &some));
  return some ? make_schema(schema, true, view(text), out) : Status();
}

inline Status JsonSchemaCompiler::rewrite(const JsonValue& s, Schemas* list) noexcept {
  for (const JsonMember& member : s.members()) {
    const JsonValue& v = member.value;
    const bool depends = member.key == "dependentRequired" || member.key == "dependentSchemas" ||
                         member.key == "dependencies";
    const bool condition =
        member.key == "if" && (s.find("then") || s.find("else") ||
                               has_any(*list, {"unevaluatedProperties", "unevaluatedItems"}));
    const bool negation = member.key == "not" && !is_plain_negation(v);
    if (!depends && !condition && !negation) continue;
    if (const JsonValue* known = find_made(v, negation)) {
      INLAY_TRY(add(list, known));
      continue;
    }
    String text(allocator_);
    if (negation || condition) {
      const JsonValue* without = nullptr;
      INLAY_TRY(negation_of(v, &without));
      if (without == nullptr) {
        Error error = unsupported(v, "the keyword ");
        return error << member.key << " with a schema that cannot be negated is not supported";
      }
      if (negation) {
        INLAY_TRY(add(list, without));
        continue;
      }
      const JsonValue *then = s.find("then"), *otherwise = s.find("else");
      const bool ok =
          append(&text, "{\"anyOf\":[{\"allOf\":[") && append_original(&text, v) &&
          (then == nullptr || (append(&text, ",") && append_original(&text, *then))) &&
          append(&text, "]},{\"allOf\":[") && append_original(&text, v, kNegation) &&
          (otherwise == nullptr || (append(&text, ",") && append_original(&text, *otherwise))) &&
          append(&text, "]}]}");
      if (!ok) return no_memory();
    } else {
      bool ok = append(&text, "{\"allOf\":[true");
      for (const JsonMember& one : v.members()) {
        ok = ok && append(&text, ",{\"anyOf\":[{\"properties\":{") &&
             append_json_string(&text, one.key) && append(&text, ":false}},{\"required\":[") &&
             append_json_string(&text, one.key);
        for (const JsonValue& name : one.value.items()) {
          ok = ok && append(&text, ",") && append_json(&text, name);
        }
        ok = ok && append(&text, "],\"allOf\":[");
        ok = ok &&
             (one.value.is_array()    ? append(&text, "true")
              : one.value.is_string() ? append(&text, "{\"required\":[") &&
                                            append_json(&text, one.value) && append(&text, "]}")
                                      : append_original(&text, one.value));
        ok = ok && append(&text, "]}]}");
      }
      if (!ok || !append(&text, "]}")) return no_memory();
    }
    const JsonValue* made = nullptr;
    INLAY_TRY(make_schema(v, false, view(text), &made));
    INLAY_TRY(add(list, made));
  }
  return {};
}

inline bool JsonSchemaCompiler::is_negated_plainly(std::string_view keyword) noexcept {
  return keyword == "type" || keyword == "enum" || keyword == "const" || keyword == "pattern" ||
         keyword == "multipleOf";
}

inline bool JsonSchemaCompiler::is_plain_negation(const JsonValue& s) noexcept {
  return s.members().size() == 1 && is_negated_plainly(s.members()[0].key) &&
         !have_parts(value_list(s));
}

inline bool JsonSchemaCompiler::have_parts(Span<const JsonValue> values) noexcept {
  for (const JsonValue& v : values) {
    if (v.is_array() || v.is_object()) return true;
  }
  return false;
}

inline const JsonValue* JsonSchemaCompiler::plain_negation(const JsonValue& s) noexcept {
  const JsonValue* negated = s.is_object() ? s.find("not") : nullptr;
  return negated != nullptr && is_plain_negation(*negated) ? negated : nullptr;
}

inline Status JsonSchemaCompiler::negate(const JsonValue& s, uint32_t depth, String* out,
                                         bool* some) noexcept {
  *some = false;
  if (++negations_ > kMaxNegations) {
    return unsupported(s, "negations that come to over 4096 schemas");
  }
  if (s.type() == JsonType::boolean || (s.is_object() && s.members().empty())) {
    *some = true;  // nothing, or everything: exactly
    return append(out, s.type() == JsonType::boolean && !s.boolean() ? "true" : "false")
               ? Status()
               : no_memory();
  }
  if (depth > kMaxNegated) {
    *some = true;
    return append_original(out, s, kNegation) ? Status() : no_memory();
  }
  if (const JsonValue* original = s.find(kOriginal)) {
    return negate(*originals_[static_cast<size_t>(original->integer())], depth + 1, out, some);
  }
  if (!append(out, "{\"anyOf\":[false")) return no_memory();
  const bool only_ref =
      references_->draft() == JsonReferences::Draft::until_7 && s.find("$ref") != nullptr;
  for (const JsonMember& member : s.members()) {
    if (only_ref && member.key != "$ref") continue;
    String way(allocator_);
    bool ok = false;
    INLAY_TRY(negate_keyword(s, member, depth, &way, &ok));
    if (!ok) continue;
    *some = true;
    if (!append(out, ",") || !append(out, view(way))) return no_memory();
  }
  return append(out, "]}") ? Status() : no_memory();
}

inline Status JsonSchemaCompiler::negate_keyword(const JsonValue& s, const JsonMember& member,
                                                 uint32_t depth, String* out, bool* some) noexcept {
  const std::string_view keyword = member.key;
  const JsonValue& v = member.value;
  bool ok = true;
  *some = true;
  if (keyword == "not") {
    ok = append_original(out, v);
  } else if (keyword == "const" && have_parts({&v, 1})) {
    return negate_values({&v, 1}, out);
  } else if (keyword == "enum" && have_parts(v.items())) {
    return negate_values(v.items(), out);
  } else if (is_negated_plainly(keyword)) {
    ok = append(out, "{\"not\":{") && append_json_string(out, keyword) && append(out, ":") &&
         append_json(out, v) && append(out, "}}");
  } else if (keyword == "required" && v.is_array()) {
    ok = append(out, "{\"type\":\"object\",\"anyOf\":[false");
    for (const JsonValue& name : v.items()) {
      ok = ok && append(out, ",{\"properties\":{") && append_json(out, name) &&
           append(out, ":false}}");
    }
    ok = ok && append(out, "]}");
  } else if (keyword == "properties" && v.is_object()) {
    return negate_properties(v, depth, out, some);
  } else if (keyword == "items" && v.is_object() && s.find("prefixItems") == nullptr) {
    String inner(allocator_);
    INLAY_TRY(negate(v, depth + 1, &inner, some));
    ok = append(out, "{\"type\":\"array\",\"contains\":") && append(out, view(inner)) &&
         append(out, "}");
  } else if ((keyword == "items" || keyword == "prefixItems") && v.is_array()) {
    return negate_prefix(v, depth, out, some);
  } else if (keyword == "contains") {
    return negate_contains(s, v, out, some);
  } else if (keyword == "oneOf" && v.items().size() <= kMaxNegatedBranches) {
    return negate_one_of(v, depth, out, some);
  } else if (keyword == "if" && (s.find("then") || s.find("else"))) {
    return negate_condition(s, v, depth, out, some);
  } else if (keyword == "anyOf" || keyword == "allOf") {
    return negate_branches(keyword == "anyOf", v, depth, out, some);
  } else if (is_reference(keyword)) {
    const JsonValue* target = nullptr;
    INLAY_TRY(resolve(s, member, &target));
    return negate(*target, depth + 1, out, some);
  } else {
    return negate_bound(s, member, out, some);
  }
  return ok ? Status() : no_memory();
}

// What is at least a number is not below it, and so on.
inline Status JsonSchemaCompiler::negate_bound(const JsonValue& s, const JsonMember& member,
                                               String* out, bool* some) noexcept {
  struct Counterpart {
    std::string_view keyword, type, opposite;
    int step;  // of a count
  };
  static constexpr Counterpart kCounterparts[] = {{"minimum", "number", "exclusiveMaximum", 0},
                                                  {"exclusiveMinimum", "number", "maximum", 0},
                                                  {"maximum", "number", "exclusiveMinimum", 0},
                                                  {"exclusiveMaximum", "number", "minimum", 0},
                                                  {"minLength", "string", "maxLength", -1},
                                                  {"maxLength", "string", "minLength", 1},
                                                  {"minItems", "array", "maxItems", -1},
                                                  {"maxItems", "array", "minItems", 1},
                                                  {"minProperties", "object", "maxProperties", -1},
                                                  {"maxProperties", "object", "minProperties", 1}};
  const JsonValue& v = member.value;
  std::string_view keyword = member.key;
  if (keyword == "minimum" || keyword == "maximum") {  // draft 4 makes them exclusive by a boolean
    const std::string_view flag = keyword == "minimum" ? "exclusiveMinimum" : "exclusiveMaximum";
    const JsonValue* exclusive = s.find(flag);
    if (exclusive != nullptr && exclusive->type() == JsonType::boolean && exclusive->boolean()) {
      keyword = flag;
    }
  }
  *some = false;
  for (const Counterpart& o : kCounterparts) {
    if (o.keyword != keyword || !v.is_number()) continue;
    if (o.step != 0 &&
        (v.type() != JsonType::integer || v.integer() > kMaxCount || v.integer() + o.step < 0)) {
      return {};
    }
    *some = true;
    bool ok = append(out, "{\"type\":\"") && append(out, o.type) && append(out, "\",\"") &&
              append(out, o.opposite) && append(out, "\":");
    if (o.step == 0) {
      ok = ok && append(out, v.text());
    } else {
      ok = ok && append_number(out, static_cast<uint64_t>(v.integer() + o.step));
    }
    return ok && append(out, "}") ? Status() : no_memory();
  }
  return {};
}

// None of the values: an array or object has more parts, or one of its parts is not that of the
// value; or it is not there.
inline Status JsonSchemaCompiler::negate_values(Span<const JsonValue> values,
                                                String* out) noexcept {
  bool ok = append(out, "{\"allOf\":[{\"not\":{\"enum\":["), first = true;
  for (const JsonValue& v : values) {
    if (v.is_array() || v.is_object()) continue;
    ok = ok && (first || append(out, ",")) && append_json(out, v);
    first = false;
  }
  ok = ok && append(out, "]}}");
  for (const JsonValue& v : values) {
    if (!v.is_array() && !v.is_object()) continue;
    const size_t n = v.items().size() + v.members().size();
    if (n > kMaxNegatedParts) {
      return unsupported(v, "the negation of an array or object with over 256 parts");
    }
    const std::string_view type = v.is_array() ? "array" : "object";
    const auto begin = [&](std::string_view keyword) {
      return append(out, ",{\"type\":\"") && append(out, type) && append(out, "\",\"") &&
             append(out, keyword) && append(out, "\":");
    };
    const auto is_not = [&](const JsonValue& part) {
      return append(out, "{\"not\":{\"const\":") && append_json(out, part) && append(out, "}}");
    };
    ok = ok && append(out, ",{\"anyOf\":[{\"not\":{\"type\":\"") && append(out, type) &&
         append(out, "\"}}") && begin(v.is_array() ? "minItems" : "minProperties") &&
         append_number(out, n + 1) && append(out, ",\"properties\":{");
    for (const JsonMember& member : v.members()) {  // by name: those that are not may be the same
      ok = ok && (&member == v.members().data() || append(out, ",")) &&
           append_json_string(out, member.key) && append(out, ":true");
    }
    ok = ok && append(out, "}}");
    for (size_t i = 0; i < v.items().size(); ++i) {
      ok = ok && begin("prefixItems") && append(out, "[");
      for (size_t k = 0; k < i; ++k) ok = ok && append(out, "true,");
      ok = ok && is_not(v.items()[i]) && append(out, "]}");
    }
    for (const JsonMember& member : v.members()) {
      ok = ok && begin("properties") && append(out, "{") && append_json_string(out, member.key) &&
           append(out, ":") && is_not(member.value) && append(out, "}}");
    }
    ok = ok && append(out, "]}");
  }
  return ok && append(out, "]}") ? Status() : no_memory();
}

// One of the members is there, and is not valid.
inline Status JsonSchemaCompiler::negate_properties(const JsonValue& properties, uint32_t depth,
                                                    String* out, bool* some) noexcept {
  *some = false;
  bool ok = append(out, "{\"type\":\"object\",\"anyOf\":[false");
  for (const JsonMember& one : properties.members()) {
    String inner(allocator_);
    bool possible = false;
    INLAY_TRY(negate(one.value, depth + 1, &inner, &possible));
    if (!possible) continue;
    *some = true;
    ok = ok && append(out, ",{\"required\":[") && append_json_string(out, one.key) &&
         append(out, "],\"properties\":{") && append_json_string(out, one.key) &&
         append(out, ":") && append(out, view(inner)) && append(out, "}}");
  }
  return ok && append(out, "]}") ? Status() : no_memory();
}

// One of the first items is there, and is not valid.
inline Status JsonSchemaCompiler::negate_prefix(const JsonValue& prefix, uint32_t depth,
                                                String* out, bool* some) noexcept {
  *some = false;
  bool ok = append(out, "{\"type\":\"array\",\"anyOf\":[false");
  for (size_t i = 0; i < prefix.items().size(); ++i) {
    String inner(allocator_);
    bool possible = false;
    INLAY_TRY(negate(prefix.items()[i], depth + 1, &inner, &possible));
    if (!possible) continue;
    *some = true;
    ok = ok && append(out, ",{\"minItems\":") && append_number(out, i + 1) &&
         append(out, ",\"prefixItems\":[");
    for (size_t k = 0; k < i; ++k) ok = ok && append(out, "true,");
    ok = ok && append(out, view(inner)) && append(out, "]}");
  }
  return ok && append(out, "]}") ? Status() : no_memory();
}

// Fewer such items, or more.
inline Status JsonSchemaCompiler::negate_contains(const JsonValue& s, const JsonValue& wanted,
                                                  String* out, bool* some) noexcept {
  uint32_t least = 0, most = 0;
  INLAY_TRY(count(s, "minContains", 1, &least));
  INLAY_TRY(count(s, "maxContains", kUnlimited, &most));
  *some = least > 0 || most != kUnlimited;
  bool ok = append(out, "{\"type\":\"array\",\"anyOf\":[false");
  if (least > 0) {
    ok = ok && append(out, ",{\"minContains\":0,\"maxContains\":") &&
         append_number(out, least - 1) && append(out, ",\"contains\":") &&
         append_original(out, wanted) && append(out, "}");
  }
  if (most != kUnlimited) {
    ok = ok && append(out, ",{\"minContains\":") && append_number(out, most + size_t{1}) &&
         append(out, ",\"contains\":") && append_original(out, wanted) && append(out, "}");
  }
  return ok && append(out, "]}") ? Status() : no_memory();
}

// Valid by none of the branches, or by two.
inline Status JsonSchemaCompiler::negate_one_of(const JsonValue& branches, uint32_t depth,
                                                String* out, bool* some) noexcept {
  bool ok = append(out, "{\"anyOf\":[false"), every = true;
  String none(allocator_);
  for (const JsonValue& one : branches.items()) {
    String inner(allocator_);
    bool possible = false;
    INLAY_TRY(negate(one, depth + 1, &inner, &possible));
    every = every && possible;
    ok = ok && append(&none, ",") && append(&none, view(inner));
  }
  if (every) {
    ok = ok && append(out, ",{\"allOf\":[true") && append(out, view(none)) && append(out, "]}");
  }
  for (size_t i = 0; i < branches.items().size(); ++i) {
    for (size_t k = i + 1; k < branches.items().size(); ++k) {
      ok = ok && append(out, ",{\"allOf\":[") && append_original(out, branches.items()[i]) &&
           append(out, ",") && append_original(out, branches.items()[k]) && append(out, "]}");
    }
  }
  *some = every || branches.items().size() > 1;
  return ok && append(out, "]}") ? Status() : no_memory();
}

// Of then and else, the one that counts is not valid.
inline Status JsonSchemaCompiler::negate_condition(const JsonValue& s, const JsonValue& condition,
                                                   uint32_t depth, String* out,
                                                   bool* some) noexcept {
  *some = false;
  bool ok = append(out, "{\"anyOf\":[false");
  for (const std::string_view way : {std::string_view("then"), std::string_view("else")}) {
    const JsonValue* schema = s.find(way);
    if (schema == nullptr) continue;
    String holds(allocator_), inner(allocator_);
    bool possible = false, applies = true;
    INLAY_TRY(negate(*schema, depth + 1, &inner, &possible));
    if (way == "then") {
      ok = ok && append_original(&holds, condition);
    } else {
      INLAY_TRY(negate(condition, depth + 1, &holds, &applies));
    }
    if (!possible || !applies) continue;
    *some = true;
    ok = ok && append(out, ",{\"allOf\":[") && append(out, view(holds)) && append(out, ",") &&
         append(out, view(inner)) && append(out, "]}");
  }
  return ok && append(out, "]}") ? Status() : no_memory();
}

// Not any of the branches: all their negations. Not all of them: one of their negations.
inline Status JsonSchemaCompiler::negate_branches(bool any_of, const JsonValue& branches,
                                                  uint32_t depth, String* out,
                                                  bool* some) noexcept {
  bool ok = append(out, any_of ? "{\"allOf\":[true" : "{\"anyOf\":[false");
  bool one_possible = false, every_possible = true;
  for (const JsonValue& one : branches.items()) {
    String inner(allocator_);
    bool possible = false;
    INLAY_TRY(negate(one, depth + 1, &inner, &possible));
    one_possible = one_possible || possible;
    every_possible = every_possible && possible;
    if (possible) ok = ok && append(out, ",") && append(out, view(inner));
  }
  *some = any_of ? every_possible : one_possible;
  return ok && append(out, "]}") ? Status() : no_memory();
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_GRAMMAR_JSON_SCHEMA_NEGATION_INL_HPP_
