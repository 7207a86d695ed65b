// How a JSON Schema is compiled: here sets of schemas, what they refer to and their alternatives;
// the rest of the compiler is in the other four files.
#ifndef INLAY_GRAMMAR_JSON_SCHEMA_INL_HPP_
#define INLAY_GRAMMAR_JSON_SCHEMA_INL_HPP_

#include <algorithm>

#include "inlay/grammar/json_schema_compiler.hpp"
#include "inlay/grammar/json_schema_containers-inl.hpp"
#include "inlay/grammar/json_schema_negation-inl.hpp"
#include "inlay/grammar/json_schema_scalars-inl.hpp"
#include "inlay/grammar/json_schema_values-inl.hpp"
#include "inlay/text/hash.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

INLAY_COLD inline Result<uint32_t> JsonSchemaCompiler::run() noexcept {
  if (!slots_.resize(256)) return no_memory();
  INLAY_TRY(own_references_.create(root_));
  INLAY_TRY(check_names());
  uint32_t rule = 0;
  const JsonValue* whole = &root_;
  INLAY_TRY(rule_of({&whole, 1}, &rule));
  INLAY_TRY(finish());
  if (use_ != JsonSchemaUse::text) return rule;
  const uint32_t text = out_.add_rule("root");
  INLAY_TRY(out_.status());
  out_.define(text, out_.sequence({space(), out_.rule(rule), space()}));
  return text;
}

INLAY_COLD inline void JsonSchemaCompiler::write_path(const JsonValue& wanted,
                                                      Error* out) const noexcept {
  struct Step {
    const JsonValue* value;
    size_t at;
  };
  Array<Step> path(allocator_);
  if (!path.push_back({&root_, 0})) return;
  while (!path.empty() && path.back().value != &wanted) {
    Step& top = path.back();
    const JsonValue* next = nullptr;
    if (top.at < top.value->items().size()) next = &top.value->items()[top.at];
    if (top.at < top.value->members().size()) next = &top.value->members()[top.at].value;
    if (next == nullptr) {
      path.pop_back();
      continue;
    }
    ++top.at;
    if (!path.push_back({next, 0})) return;
  }
  *out << "#";
  for (size_t i = 0; i + 1 < path.size(); ++i) {
    *out << "/";
    if (path[i].value->is_array()) {
      *out << path[i].at - 1;
    } else {
      *out << path[i].value->members()[path[i].at - 1].key;
    }
  }
}

INLAY_COLD inline Error JsonSchemaCompiler::wrong(const JsonValue& where,
                                                  std::string_view what) const noexcept {
  Error error(ErrorCode::bad_argument, "schema ");
  write_path(where, &error);
  return error << ": " << what;
}

INLAY_COLD inline Error JsonSchemaCompiler::unsupported(const JsonValue& where,
                                                        std::string_view what) const noexcept {
  Error error(ErrorCode::unsupported, "schema ");
  write_path(where, &error);
  return error << ": " << what;
}

inline Status JsonSchemaCompiler::rule_of(Span<const JsonValue* const> set,
                                          uint32_t* rule) noexcept {
  if (set.size() > kMaxParts) {
    return unsupported(*set[0], "over 256 schemas that a value must be valid by at once");
  }
  uint32_t hash = kHashStart;
  for (size_t i = 0; i < set.size(); ++i) {
    hash = hash_bytes(hash, {reinterpret_cast<const char*>(&set[i]), sizeof set[i]});
  }
  if ((sets_.size() + 1) * 2 > slots_.size()) INLAY_TRY(grow());
  size_t slot = mix_hash(hash) & (slots_.size() - 1);
  for (; slots_[slot].set != 0; slot = (slot + 1) & (slots_.size() - 1)) {
    const Set& known = sets_[slots_[slot].set - 1];
    if (known.count == set.size() &&
        std::equal(set.begin(), set.end(), parts_.data() + known.first)) {
      *rule = known.rule;
      return {};
    }
  }
  *rule = out_.add_rule("schema");
  INLAY_TRY(out_.status());
  const auto first = static_cast<uint32_t>(parts_.size());
  if (!parts_.append(set.data(), set.size()) ||
      !sets_.push_back({first, static_cast<uint32_t>(set.size()), *rule})) {
    return no_memory();
  }
  slots_[slot] = {hash, static_cast<uint32_t>(sets_.size())};
  return {};
}

INLAY_COLD inline Status JsonSchemaCompiler::grow() noexcept {
  Array<Slot> fresh(allocator_);
  if (!fresh.resize(slots_.size() * 2)) return no_memory();
  for (const Slot& slot : slots_) {
    if (slot.set == 0) continue;
    size_t i = mix_hash(slot.hash) & (fresh.size() - 1);
    while (fresh[i].set != 0) i = (i + 1) & (fresh.size() - 1);
    fresh[i] = slot;
  }
  slots_ = std::move(fresh);
  return {};
}

inline Status JsonSchemaCompiler::finish() noexcept {
  for (size_t i = 0; i < sets_.size(); ++i) {
    Schemas list(allocator_);
    const Set set = sets_[i];
    if (!list.append(parts_.data() + set.first, set.count)) return no_memory();
    ExpressionId body = 0;
    INLAY_TRY(value(&list, false, &body));
    INLAY_TRY(out_.status());
    out_.define(set.rule, body);
  }
  return {};
}

inline Status JsonSchemaCompiler::expand(Schemas* list, bool* possible) noexcept {
  *possible = true;
  for (size_t i = 0; i < list->size(); ++i) {
    const JsonValue& s = *(*list)[i];
    if (s.is_array()) continue;  // an anyOf or oneOf of which a branch was chosen
    if (s.type() == JsonType::boolean) {
      *possible = *possible && s.boolean();
      continue;
    }
    if (!s.is_object()) return wrong(s, "expected a schema: an object, true or false");
    if (const JsonValue* original = s.find(kOriginal)) {
      INLAY_TRY(add(list, originals_[static_cast<size_t>(original->integer())]));
    }
    if (const JsonValue* negated = s.find(kNegation)) {
      const JsonValue& of = *originals_[static_cast<size_t>(negated->integer())];
      const JsonValue* negation = nullptr;
      INLAY_TRY(negation_of(of, &negation));
      if (negation == nullptr) return unsupported(of, "a schema that cannot be negated");
      INLAY_TRY(add(list, negation));
    }
    INLAY_TRY(check_keywords(s));
    const JsonValue* instead = nullptr;
    for (const JsonMember& member : s.members()) {
      if (!is_reference(member.key)) continue;
      const JsonValue* target = nullptr;
      INLAY_TRY(resolve(s, member, &target));
      INLAY_TRY(add(list, target));
      if (references_->draft() == JsonReferences::Draft::until_7) {
        INLAY_TRY(make_schema(root_, false, "true", &instead));  // one for all
      }
    }
    if (instead != nullptr) {  // until draft 7, what stands beside $ref is ignored
      (*list)[i] = instead;
      continue;
    }
    if (const JsonValue* all = s.find("allOf")) {
      if (!all->is_array() || all->items().empty()) return wrong(*all, "expected schemas");
      for (const JsonValue& part : all->items()) INLAY_TRY(add(list, &part));
    }
    INLAY_TRY(rewrite(s, list));
    if (list->size() > kMaxParts) {
      return unsupported(s, "over 256 schemas that a value must be valid by at once");
    }
  }
  return {};
}

inline Status JsonSchemaCompiler::check_names() const noexcept {
  Array<const JsonValue*> work(allocator_);
  if (!work.push_back(&root_)) return no_memory();
  while (!work.empty()) {
    const JsonValue& value = *work.back();
    work.pop_back();
    bool ok = true;
    for (const JsonValue& item : value.items()) ok = ok && work.push_back(&item);
    for (const JsonMember& member : value.members()) {
      if (member.key == kOriginal || member.key == kNegation) {
        return unsupported(value, "a member called \\u0001original or \\u0001negation");
      }
      ok = ok && work.push_back(&member.value);
    }
    if (!ok) return no_memory();
  }
  return {};
}

inline Status JsonSchemaCompiler::check_keywords(const JsonValue& s) noexcept {
  for (const JsonMember& member : s.members()) {
    for (const std::string_view keyword :
         {std::string_view("extends"), std::string_view("disallow")}) {
      if (member.key != keyword) continue;
      Error error = unsupported(s, "the keyword ");
      return error << keyword << " is not supported";
    }
  }
  return {};
}

inline Status JsonSchemaCompiler::resolve(const JsonValue& schema, const JsonMember& ref,
                                          const JsonValue** out) noexcept {
  const auto found = references_->resolve(schema, ref);
  if (found) {
    *out = *found;
    return {};
  }
  if (found.error().code() == ErrorCode::out_of_memory) return found.error();
  Error error(found.error().code(), "schema ");
  write_path(ref.value, &error);
  return error << ": " << found.error().message();
}

inline Status JsonSchemaCompiler::value(Schemas* list, bool without_values,
                                        ExpressionId* out) noexcept {
  bool possible = true;
  const bool single = list->size() == 1;
  INLAY_TRY(expand(list, &possible));
  if (!possible) {
    *out = out_.nothing();
    return {};
  }
  if (single && list->size() == 2 && is_only_reference(*(*list)[0])) {
    uint32_t rule = 0;
    INLAY_TRY(rule_of({&(*list)[1], 1}, &rule));
    *out = out_.rule(rule);
    return {};
  }
  for (size_t i = 0; i < list->size(); ++i) {
    for (const std::string_view keyword : {std::string_view("anyOf"), std::string_view("oneOf")}) {
      const JsonValue& s = *(*list)[i];
      const JsonValue* branches = s.is_object() ? s.find(keyword) : nullptr;
      if (branches == nullptr || contains(*list, branches)) continue;
      return choose(*list, *branches, keyword == "oneOf", out);
    }
  }
  uint8_t types = 0;
  INLAY_TRY(types_of(*list, &types));
  if (!without_values) {
    for (const JsonValue* s : *list) {
      const JsonValue* values = s->is_object() ? values_of(*s) : nullptr;
      if (values != nullptr) return one_of_values(*list, *values, types, out);
    }
  }
  Array<ExpressionId> ways(allocator_);
  // One way for each bit, up to the highest.
  for (uint8_t type = kNull; type != 0; type = static_cast<uint8_t>(type << 1)) {
    ExpressionId id = 0;
    if ((types & type) == 0 || (type == kInteger && (types & kNumber))) continue;
    switch (type) {
      case kNull:
        id = out_.bytes("null");
        break;
      case kTrue:
        id = out_.bytes("true");
        break;
      case kFalse:
        id = out_.bytes("false");
        break;
      case kInteger:
      case kNumber:
        INLAY_TRY(number(*list, type == kInteger, &id));
        break;
      case kString:
        INLAY_TRY(string(*list, &id));
        break;
      case kArray:
        INLAY_TRY(array(*list, &id));
        break;
      default:
        INLAY_TRY(object(*list, &id));
    }
    if (!ways.push_back(id)) return no_memory();
  }
  *out = out_.choice(ways.span());
  return {};
}

inline bool JsonSchemaCompiler::is_reference(std::string_view keyword) noexcept {
  return keyword == "$ref" || keyword == "$dynamicRef" || keyword == "$recursiveRef";
}

inline bool JsonSchemaCompiler::is_only_reference(const JsonValue& s) noexcept {
  static constexpr std::string_view kNothing[] = {
      "$ref",     "$defs",   "definitions", "title",   "description",
      "$comment", "default", "examples",    "$schema", "$id"};
  for (const JsonMember& member : s.members()) {
    if (std::find(std::begin(kNothing), std::end(kNothing), member.key) == std::end(kNothing)) {
      return false;
    }
  }
  return true;
}

inline Status JsonSchemaCompiler::choose(const Schemas& list, const JsonValue& branches, bool one,
                                         ExpressionId* out) noexcept {
  if (!branches.is_array() || branches.items().empty()) {
    return wrong(branches, "expected schemas");
  }
  const auto items = branches.items();
  Array<ExpressionId> ways(allocator_);
  Schemas set(allocator_);
  const auto make = [&](const JsonValue& branch) -> Status {
    set.clear();
    if (!set.append(list.data(), list.size())) return no_memory();
    INLAY_TRY(add(&set, &branches));
    return add(&set, &branch);
  };
  // What has been evaluated depends on all branches of anyOf that a value is valid by.
  if (!one && items.size() > 1 && items.size() <= kMaxSubsets &&
      has_any(list, {"unevaluatedProperties", "unevaluatedItems"})) {
    for (uint32_t chosen = 1; chosen < 1u << items.size(); ++chosen) {
      uint32_t rule = 0;
      set.clear();
      if (!set.append(list.data(), list.size())) return no_memory();
      INLAY_TRY(add(&set, &branches));
      for (size_t i = 0; i < items.size(); ++i) {
        if (chosen >> i & 1) INLAY_TRY(add(&set, &items[i]));
      }
      INLAY_TRY(rule_of({set.data(), set.size()}, &rule));
      if (!ways.push_back(out_.rule(rule))) return no_memory();
    }
    *out = out_.choice(ways.span());
    return {};
  }
  for (size_t i = 0; i < items.size(); ++i) {
    uint32_t rule = 0;
    Schemas exclude(allocator_);  // what makes a value valid by one branch only
    for (size_t k = 0; one && k < items.size(); ++k) {
      if (k == i) continue;
      Schemas other(allocator_);
      INLAY_TRY(make(items[i]));
      if (!other.append(list.data(), list.size())) return no_memory();
      INLAY_TRY(add(&other, &items[k]));
      bool apart = false;
      INLAY_TRY(disjoint(&set, &other, &apart));
      if (apart) continue;
      const JsonValue* without = nullptr;
      INLAY_TRY(negation_of(items[k], &without));
      if (without == nullptr) {
        return unsupported(branches, "a value may be valid by alternatives ")
               << i << " and " << k << " of oneOf, and nothing that grammars can say excludes it";
      }
      INLAY_TRY(add(&exclude, without));
    }
    INLAY_TRY(make(items[i]));
    for (const JsonValue* schema : exclude) INLAY_TRY(add(&set, schema));
    INLAY_TRY(rule_of({set.data(), set.size()}, &rule));
    if (!ways.push_back(out_.rule(rule))) return no_memory();
  }
  *out = out_.choice(ways.span());
  return {};
}

inline Status JsonSchemaCompiler::intersect(const Language& a, const Language& b,
                                            bool* out) noexcept {
  const auto both = counted(Language::both(a, b));
  if (!both) return both.error();
  const Result<bool> none = both->empty();
  if (!none) return none.error();
  *out = !*none;
  return {};
}

inline Status JsonSchemaCompiler::disjoint(Schemas* a, Schemas* b, bool* out) noexcept {
  bool possible_a = true, possible_b = true;
  INLAY_TRY(expand(a, &possible_a));
  INLAY_TRY(expand(b, &possible_b));
  uint8_t types_a = 0, types_b = 0;
  INLAY_TRY(types_of(*a, &types_a));
  INLAY_TRY(types_of(*b, &types_b));
  uint8_t types = types_a & types_b;
  *out = !possible_a || !possible_b || types == 0 || values_apart(*a, *b, types_b) ||
         values_apart(*b, *a, types_a);
  if (*out) return {};
  if (types & (kNull | kBoolean | kArray)) return {};
  if ((types & kObject) && !members_apart(*a, *b) && !members_apart(*b, *a)) return {};
  if (types & (kNumber | kInteger)) {
    Language x(allocator_), y(allocator_);
    INLAY_TRY(number_language(*a, false, &x));
    INLAY_TRY(number_language(*b, false, &y));
    bool meet = false;
    INLAY_TRY(intersect(x, y, &meet));
    if (meet) return {};
  }
  if (types & kString) {
    Language x(allocator_), y(allocator_);
    INLAY_TRY(string_language(*a, &x));
    INLAY_TRY(string_language(*b, &y));
    bool meet = false;
    INLAY_TRY(intersect(x, y, &meet));
    if (meet) return {};
  }
  *out = true;
  return {};
}

inline bool JsonSchemaCompiler::members_apart(const Schemas& a, const Schemas& b) noexcept {
  for (const JsonValue* s : a) {
    const JsonValue* required = s->is_object() ? s->find("required") : nullptr;
    if (required == nullptr) continue;
    for (const JsonValue& name : required->items()) {
      for (const JsonValue* t : b) {
        if (!t->is_object()) continue;
        const JsonValue* properties = t->find("properties");
        const JsonValue* theirs = properties != nullptr ? properties->find(name.text()) : nullptr;
        const JsonValue* additional = t->find("additionalProperties");
        if (theirs == nullptr && additional != nullptr && additional->type() == JsonType::boolean &&
            !additional->boolean() && t->find("patternProperties") == nullptr) {
          return true;
        }
        if (theirs == nullptr) continue;
        if (theirs->type() == JsonType::boolean && !theirs->boolean()) return true;
        for (const JsonValue* u : a) {
          const JsonValue* ours_all = u->is_object() ? u->find("properties") : nullptr;
          const JsonValue* ours = ours_all != nullptr ? ours_all->find(name.text()) : nullptr;
          if (ours == nullptr || !ours->is_object() || !theirs->is_object()) continue;
          Schemas x(allocator_), y(allocator_);
          uint8_t types_x = 0, types_y = 0;
          if (!add(&x, ours) || !add(&y, theirs) || !types_of(x, &types_x) ||
              !types_of(y, &types_y)) {
            continue;
          }
          if ((types_x & types_y) == 0 || values_apart(x, y, types_y) ||
              values_apart(y, x, types_x)) {
            return true;
          }
        }
      }
    }
  }
  return false;
}

Result<uint32_t> parse_json_schema(std::string_view schema, const JsonSchemaOptions& options,
                                   JsonSchemaUse use, Expressions* out) noexcept {
  JsonOptions json;
  json.allocator = out->allocator();
  const auto document = JsonDocument::parse(schema, json);
  if (!document) return document.error();
  return JsonSchemaCompiler(document->root(), options, use, out).run();
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_GRAMMAR_JSON_SCHEMA_INL_HPP_
