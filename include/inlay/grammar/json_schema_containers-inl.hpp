// Arrays and objects of a JSON Schema.
#ifndef INLAY_GRAMMAR_JSON_SCHEMA_CONTAINERS_INL_HPP_
#define INLAY_GRAMMAR_JSON_SCHEMA_CONTAINERS_INL_HPP_

#include <algorithm>

#include "inlay/grammar/json_schema_compiler.hpp"
#include "inlay/grammar/pattern.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

inline Status JsonSchemaCompiler::find_scope(const Schemas& list, const JsonValue& schema,
                                             Schemas* scope) noexcept {
  INLAY_TRY(add(scope, &schema));
  for (size_t i = 0; i < scope->size(); ++i) {
    for (const JsonMember& member : (*scope)[i]->members()) {
      const JsonValue& v = member.value;
      if (is_reference(member.key)) {
        const JsonValue* target = nullptr;
        INLAY_TRY(resolve(*(*scope)[i], member, &target));
        INLAY_TRY(add(scope, target));
      } else if (member.key == kOriginal) {
        INLAY_TRY(add(scope, originals_[static_cast<size_t>(v.integer())]));
      } else if (member.key == "if" || member.key == "dependentSchemas" ||
                 member.key == "dependencies") {
        if (const JsonValue* made = find_made(v, false)) INLAY_TRY(add(scope, made));
      } else if (member.key == "allOf" || member.key == "anyOf" || member.key == "oneOf") {
        for (const JsonValue& part : v.items()) {
          if (contains(list, &part)) INLAY_TRY(add(scope, &part));
        }
      }
    }
  }
  return {};
}

inline Status JsonSchemaCompiler::is_evaluated(const Schemas& list, const JsonValue& schema,
                                               Span<const KeyPattern> patterns,
                                               const std::string_view* name, uint32_t matched,
                                               bool* out) noexcept {
  Schemas scope(allocator_);
  INLAY_TRY(find_scope(list, schema, &scope));
  *out = false;
  for (const JsonValue* s : scope) {
    const JsonValue* properties = s->find("properties");
    *out = *out || s->find("additionalProperties") != nullptr ||
           (s != &schema && s->find("unevaluatedProperties") != nullptr) ||
           (name != nullptr && properties != nullptr && properties->find(*name) != nullptr);
  }
  for (uint32_t i = 0; i < patterns.size(); ++i) {
    *out = *out || (is_matched(patterns, i, name, matched) && contains(scope, patterns[i].owner));
  }
  return {};
}

inline Status JsonSchemaCompiler::first_unevaluated(const Schemas& list, const JsonValue& schema,
                                                    Schemas* scope, size_t* first) noexcept {
  INLAY_TRY(find_scope(list, schema, scope));
  *first = 0;
  for (const JsonValue* s : *scope) {
    *first = std::max(*first, prefix_of(*s).size());
    if (rest_of(*s) != nullptr || (s != &schema && s->find("unevaluatedItems") != nullptr)) {
      *first = kUnlimited;
    }
  }
  if (references_->draft() != JsonReferences::Draft::of_2020) scope->clear();
  return {};
}

inline Status JsonSchemaCompiler::array(const Schemas& list, ExpressionId* out) noexcept {
  uint32_t least = 0, most = 0;
  INLAY_TRY(count_range(list, "minItems", "maxItems", &least, &most));
  size_t n_prefix = 0;
  for (const JsonValue* s : list) {
    if (!s->is_object()) continue;
    n_prefix = std::max(n_prefix, prefix_of(*s).size());
    const JsonValue* unique = s->find("uniqueItems");
    if (unique != nullptr && unique->boolean() && most > 1) {
      return distinct_items(list, *s, least, most, out);
    }
  }
  if (least > most) {
    *out = out_.nothing();
    return {};
  }
  Contains contained[kMaxContains];
  uint32_t n_contained = 0;
  INLAY_TRY(find_contains(list, contained, &n_contained));
  // From the last item to the first. `matched`: which of `contains` the item is valid by.
  const auto item = [&](size_t index, uint32_t matched, ExpressionId* id) -> Status {
    Schemas set(allocator_);
    for (const JsonValue* s : list) {
      if (!s->is_object()) continue;
      const auto prefix = prefix_of(*s);
      const JsonValue* schema = index < prefix.size() ? &prefix[index] : rest_of(*s);
      if (schema != nullptr) INLAY_TRY(add(&set, schema));
      const JsonValue* others = s->find("unevaluatedItems");
      if (others == nullptr) continue;
      Schemas scope(allocator_);
      size_t first = 0;
      INLAY_TRY(first_unevaluated(list, *s, &scope, &first));
      bool evaluated = index < first;
      for (uint32_t i = 0; i < n_contained; ++i) {
        if (matched >> i & 1) evaluated = evaluated || contains(scope, contained[i].owner);
      }
      if (!evaluated) INLAY_TRY(add(&set, others));
    }
    for (uint32_t i = 0; i < n_contained; ++i) {
      const JsonValue* schema = matched >> i & 1 ? contained[i].wanted : contained[i].other;
      if (schema != nullptr) INLAY_TRY(add(&set, schema));
    }
    return value_rule(set, id);
  };
  if (n_contained > 0) {
    const uint32_t n_places =
        std::max(static_cast<uint32_t>(std::min<size_t>(n_prefix, kMaxPlaces)),
                 std::max(most != kUnlimited ? most : least, uint32_t{1}));
    return containing(list, {contained, n_contained}, n_places, least, most, item, out);
  }
  const auto n = static_cast<uint32_t>(std::min<size_t>(n_prefix, most));
  ExpressionId tail = 0, next = 0;
  const uint32_t rest_least = least > n ? least - n : 0;
  const uint32_t rest_most = most == kUnlimited ? kUnlimited : most - n;
  if (rest_most == 0) {
    tail = out_.bytes({});
  } else if (n > 0) {
    INLAY_TRY(item(n_prefix, 0, &next));
    tail = out_.repeat(out_.sequence({comma(), next}), rest_least, rest_most);
  } else {
    INLAY_TRY(item(n_prefix, 0, &next));
    ExpressionId again = 0;
    INLAY_TRY(item(n_prefix, 0, &again));
    tail = out_.sequence(
        {next, out_.repeat(out_.sequence({comma(), again}), rest_least > 0 ? rest_least - 1 : 0,
                           rest_most == kUnlimited ? kUnlimited : rest_most - 1)});
    if (rest_least == 0) tail = out_.optional(tail);
  }
  for (uint32_t i = n; i-- > 0;) {
    INLAY_TRY(item(i, 0, &next));
    tail = i > 0 ? out_.sequence({comma(), next, tail}) : out_.sequence({next, tail});
    if (i >= least) tail = out_.optional(tail);
  }
  *out = out_.sequence({out_.bytes("["), space(), tail, space(), out_.bytes("]")});
  return {};
}

inline Status JsonSchemaCompiler::distinct_items(const Schemas& list, const JsonValue& owner,
                                                 uint32_t least, uint32_t most,
                                                 ExpressionId* out) noexcept {
  const auto not_supported = [&] {
    return unsupported(owner,
                       "uniqueItems is supported for items that are one of up to 8 values only");
  };
  if (has_any(list, {"prefixItems", "contains", "unevaluatedItems"})) return not_supported();
  Schemas item(allocator_);
  for (const JsonValue* s : list) {
    if (!s->is_object()) continue;
    if (!prefix_of(*s).empty()) return not_supported();
    const JsonValue* rest = rest_of(*s);
    if (rest != nullptr) INLAY_TRY(add(&item, rest));
  }
  bool possible = true;
  INLAY_TRY(expand(&item, &possible));
  if (has_any(item, {"anyOf", "oneOf"})) return not_supported();
  const JsonValue* listed = nullptr;
  for (const JsonValue* s : item) {
    if (s->is_object() && listed == nullptr) listed = values_of(*s);
  }
  if (possible && listed == nullptr) return not_supported();
  Array<const JsonValue*> values(allocator_);
  if (possible) {
    Array<const JsonValue*> valid(allocator_);
    uint8_t types = 0;
    INLAY_TRY(types_of(item, &types));
    INLAY_TRY(listed_values(item, *listed, types, &valid));
    for (const JsonValue* v : valid) {
      bool again = false;
      for (const JsonValue* known : values) again = again || equal(*v, *known);
      if (again) continue;
      if (values.size() == kMaxDistinct) return not_supported();
      if (!values.push_back(v)) return no_memory();
    }
  }
  const auto n = static_cast<uint32_t>(values.size());
  if (least > n) {
    *out = out_.nothing();
    return {};
  }
  uint32_t rules[1u << kMaxDistinct];
  for (uint32_t written = 0; written < 1u << n; ++written) rules[written] = out_.add_rule("items");
  Array<ExpressionId> ways(allocator_);
  for (uint32_t written = 0; written < 1u << n; ++written) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < n; ++i) count += written >> i & 1;
    ways.clear();
    if (count >= least && !ways.push_back(out_.bytes({}))) return no_memory();
    for (uint32_t i = 0; i < n && count < most; ++i) {
      if (written >> i & 1) continue;
      const ExpressionId way =
          out_.sequence({written != 0 ? comma() : out_.bytes({}), literal(*values[i]),
                         out_.rule(rules[written | 1u << i])});
      if (!ways.push_back(way)) return no_memory();
    }
    out_.define(rules[written], ways.empty() ? out_.nothing() : out_.choice(ways.span()));
  }
  *out = out_.sequence({out_.bytes("["), space(), out_.rule(rules[0]), space(), out_.bytes("]")});
  return {};
}

inline Status JsonSchemaCompiler::find_contains(const Schemas& list, Contains* out,
                                                uint32_t* n) noexcept {
  const bool unevaluated = has_any(list, {"unevaluatedItems"});
  for (const JsonValue* s : list) {
    const JsonValue* wanted = s->is_object() ? s->find("contains") : nullptr;
    if (wanted == nullptr) continue;
    Contains one{s, wanted, nullptr, 0, 0};
    INLAY_TRY(count(*s, "minContains", 1, &one.least));
    INLAY_TRY(count(*s, "maxContains", kUnlimited, &one.most));
    if (one.least == 0 && one.most == kUnlimited && !unevaluated) continue;
    if (*n == kMaxContains) {
      return unsupported(*s, "over 3 times the keyword contains for one array");
    }
    if (one.most != kUnlimited) {
      INLAY_TRY(negation_of(*wanted, &one.other));
      if (one.other == nullptr) {
        return unsupported(*wanted, "maxContains with a schema that cannot be negated");
      }
    }
    out[(*n)++] = one;
  }
  return {};
}

template <class Item>
Status JsonSchemaCompiler::containing(const Schemas& list, Span<const Contains> contained,
                                      uint32_t n_places, uint32_t least, uint32_t most, Item&& item,
                                      ExpressionId* out) noexcept {
  uint64_t n_rules = n_places + uint64_t{1};
  for (const Contains& one : contained) {
    n_rules *= std::min(one.limit(), kMaxPlaces) + 1;
    if (n_rules > kMaxPlaces) {
      return unsupported(*list[0], "contains beside more items than can be counted");
    }
  }
  Array<uint32_t> rules(allocator_);
  if (!rules.resize(static_cast<size_t>(n_rules))) return no_memory();
  for (uint32_t& rule : rules) rule = out_.add_rule("items");
  INLAY_TRY(out_.status());
  for (uint32_t r = 0; r < n_rules; ++r) {
    const uint32_t index = r % (n_places + 1);
    Array<ExpressionId> ways(allocator_);
    bool complete = index >= least;
    uint32_t rest = r / (n_places + 1);
    for (const Contains& one : contained) {
      complete = complete && rest % (one.limit() + 1) >= one.least;
      rest /= one.limit() + 1;
    }
    if (complete && !ways.push_back(out_.bytes({}))) return no_memory();
    for (uint32_t matched = 0; index < most && matched < 1u << contained.size(); ++matched) {
      uint32_t next = std::min(index + 1, n_places), scale = n_places + 1;
      bool possible = true;
      rest = r / (n_places + 1);
      for (uint32_t i = 0; i < contained.size(); ++i) {
        const uint32_t limit = contained[i].limit();
        uint32_t times = rest % (limit + 1);
        rest /= limit + 1;
        if (matched >> i & 1) {
          possible = possible && (times < limit || contained[i].most == kUnlimited);
          times = std::min(times + 1, limit);
        }
        next += times * scale;
        scale *= limit + 1;
      }
      if (!possible) continue;
      ExpressionId id = 0;
      INLAY_TRY(item(index, matched, &id));
      if (!ways.push_back(
              out_.sequence({index > 0 ? comma() : out_.bytes({}), id, out_.rule(rules[next])}))) {
        return no_memory();
      }
    }
    out_.define(rules[r], out_.choice(ways.span()));
  }
  *out = out_.sequence({out_.bytes("["), space(), out_.rule(rules[0]), space(), out_.bytes("]")});
  return {};
}

inline Span<const JsonValue> JsonSchemaCompiler::prefix_of(const JsonValue& s) noexcept {
  if (const JsonValue* prefix = s.find("prefixItems")) return prefix->items();
  const JsonValue* items = s.find("items");
  return items != nullptr ? items->items() : Span<const JsonValue>();
}

inline const JsonValue* JsonSchemaCompiler::rest_of(const JsonValue& s) noexcept {
  const JsonValue* items = s.find("items");
  return items != nullptr && items->is_array() ? s.find("additionalItems") : items;
}

inline Status JsonSchemaCompiler::value_rule(const Schemas& set, ExpressionId* out) noexcept {
  uint32_t rule = 0;
  INLAY_TRY(rule_of({set.data(), set.size()}, &rule));
  *out = out_.rule(rule);
  return {};
}

inline Status JsonSchemaCompiler::object(const Schemas& list, ExpressionId* out) noexcept {
  uint32_t least = 0, most = 0;
  INLAY_TRY(count_range(list, "minProperties", "maxProperties", &least, &most));
  const Allocator& memory = allocator_;
  KeyPattern patterns[kMaxKeyPatterns] = {{nullptr, nullptr, Language(memory)},
                                          {nullptr, nullptr, Language(memory)},
                                          {nullptr, nullptr, Language(memory)},
                                          {nullptr, nullptr, Language(memory)}};
  uint32_t n_patterns = 0;
  INLAY_TRY(find_key_patterns(list, patterns, &n_patterns));
  const Span<const KeyPattern> key_patterns(patterns, n_patterns);
  Language names(allocator_);
  bool has_names = false;
  INLAY_TRY(find_names(list, &names, &has_names));

  Array<Member> members(allocator_);
  bool possible = true;
  for (const JsonValue* s : list) {
    const JsonValue* properties = s->is_object() ? s->find("properties") : nullptr;
    if (properties == nullptr) continue;
    if (!properties->is_object()) return wrong(*properties, "expected an object of schemas");
    for (const JsonMember& member : properties->members()) {
      INLAY_TRY(add_member(list, key_patterns, member.key, false, &members));
    }
  }
  for (const JsonValue* s : list) {
    const JsonValue* required = s->is_object() ? s->find("required") : nullptr;
    // In draft 3, a property said itself whether it is required.
    if (required == nullptr || required->type() == JsonType::boolean) continue;
    if (!required->is_array()) return wrong(*required, "expected an array of names");
    for (const JsonValue& name : required->items()) {
      if (!name.is_string()) return wrong(name, "expected a name");
      INLAY_TRY(add_member(list, key_patterns, name.text(), true, &members));
    }
  }
  for (Member& member : members) {
    if (has_names && !names.has(member.name)) member.possible = false;
    if (member.required && !member.possible) possible = false;
  }
  if (!possible || least > most) {
    *out = out_.nothing();
    return {};
  }
  Array<Extra> extras(allocator_);
  INLAY_TRY(find_extras(list, key_patterns, has_names ? &names : nullptr, members, &extras));
  size_t kept = 0;
  for (const Member& member : members) {
    if (member.possible) members[kept++] = member;
  }
  members.truncate(kept);
  if (judges()) {
    std::sort(members.begin(), members.end(),
              [](const Member& a, const Member& b) { return a.name < b.name; });
  }
  return write_object(list, members, extras, least, most, out);
}

inline Status JsonSchemaCompiler::find_key_patterns(const Schemas& list, KeyPattern* out,
                                                    uint32_t* n) noexcept {
  for (const JsonValue* s : list) {
    const JsonValue* all = s->is_object() ? s->find("patternProperties") : nullptr;
    if (all == nullptr) continue;
    for (const JsonMember& member : all->members()) {
      if (*n == kMaxKeyPatterns) {
        return unsupported(*all, "over 4 patternProperties for one object");
      }
      auto keys =
          texts([&](Expressions* e) { return parse_pattern(member.key, PatternUse::search, e); });
      if (!keys) return in_place(list, keys.error());
      out[*n].owner = s;
      out[*n].schema = &member.value;
      out[(*n)++].keys = std::move(*keys);
    }
  }
  return {};
}

inline Status JsonSchemaCompiler::find_names(const Schemas& list, Language* names,
                                             bool* some) noexcept {
  for (const JsonValue* s : list) {
    const JsonValue* schema = s->is_object() ? s->find("propertyNames") : nullptr;
    if (schema == nullptr || (schema->type() == JsonType::boolean && schema->boolean())) continue;
    Language keys(allocator_);
    INLAY_TRY(key_language(*schema, &keys));
    if (*some) {
      INLAY_TRY(restrict(names, *schema, std::move(keys)));
    } else {
      *names = std::move(keys);
    }
    *some = true;
  }
  return {};
}

inline Status JsonSchemaCompiler::add_member(const Schemas& list, Span<const KeyPattern> patterns,
                                             std::string_view name, bool required,
                                             Array<Member>* members) noexcept {
  for (Member& known : *members) {
    if (known.name != name) continue;
    known.required = known.required || required;
    return {};
  }
  if (members->size() == kMaxMembers) {
    return unsupported(*list[0], "an object with over 4096 named members");
  }
  Schemas set(allocator_);
  bool possible = true;
  INLAY_TRY(add_schemas_of(list, patterns, &name, 0, &set, &possible));
  uint32_t rule = 0;
  if (possible) INLAY_TRY(rule_of({set.data(), set.size()}, &rule));
  return members->push_back({name, rule, required, possible}) ? Status() : no_memory();
}

inline Status JsonSchemaCompiler::add_schemas_of(const Schemas& list,
                                                 Span<const KeyPattern> patterns,
                                                 const std::string_view* name, uint32_t matched,
                                                 Schemas* set, bool* possible) noexcept {
  for (const JsonValue* s : list) {
    if (!s->is_object()) continue;
    bool named = false;
    const JsonValue* properties = name != nullptr ? s->find("properties") : nullptr;
    if (const JsonValue* schema = properties != nullptr ? properties->find(*name) : nullptr) {
      INLAY_TRY(add_unless_false(set, *schema, possible));
      named = true;
    }
    for (uint32_t i = 0; i < patterns.size(); ++i) {
      if (patterns[i].owner != s || !is_matched(patterns, i, name, matched)) continue;
      INLAY_TRY(add_unless_false(set, *patterns[i].schema, possible));
      named = true;
    }
    const JsonValue* additional = s->find("additionalProperties");
    if (!named && additional != nullptr) INLAY_TRY(add_unless_false(set, *additional, possible));
    if (const JsonValue* others = s->find("unevaluatedProperties")) {
      bool evaluated = false;
      INLAY_TRY(is_evaluated(list, *s, patterns, name, matched, &evaluated));
      if (!evaluated) INLAY_TRY(add_unless_false(set, *others, possible));
    }
  }
  return {};
}

inline Status JsonSchemaCompiler::add_unless_false(Schemas* set, const JsonValue& schema,
                                                   bool* possible) noexcept {
  if (schema.type() == JsonType::boolean) {
    *possible = *possible && schema.boolean();
    return {};
  }
  return add(set, &schema);
}

inline Status JsonSchemaCompiler::key_language(const JsonValue& schema, Language* out) noexcept {
  Schemas list(allocator_);
  bool possible = true;
  INLAY_TRY(add(&list, &schema));
  INLAY_TRY(expand(&list, &possible));
  if (has_any(list, {"anyOf", "oneOf"})) {
    return unsupported(schema, "propertyNames with anyOf or oneOf is not supported");
  }
  uint8_t types = 0;
  INLAY_TRY(types_of(list, &types));
  if (!possible || (types & kString) == 0) {
    auto none = texts([](Expressions* e) -> Result<ExpressionId> { return e->nothing(); });
    if (!none) return none.error();
    *out = std::move(*none);
    return {};
  }
  INLAY_TRY(string_language(list, out));
  for (const JsonValue* s : list) {
    if (!s->is_object() || values_of(*s) == nullptr) continue;
    INLAY_TRY(restrict(out, *s, string_values(*s)));
  }
  return {};
}

inline Status JsonSchemaCompiler::find_extras(const Schemas& list, Span<const KeyPattern> patterns,
                                              const Language* names, const Array<Member>& members,
                                              Array<Extra>* extras) noexcept {
  // Without additionalProperties, JSON Schema allows anything; the options may not.
  bool says = patterns.size() > 0, closed_by_default = false;
  for (const JsonValue* s : list) {
    if (!s->is_object()) continue;
    says = says || s->find("additionalProperties") != nullptr ||
           s->find("unevaluatedProperties") != nullptr;
    closed_by_default = closed_by_default || s->find("properties") != nullptr;
  }
  closed_by_default = closed_by_default && !says && !options_.open_objects;
  for (uint32_t matched = 0; matched < 1u << patterns.size(); ++matched) {
    Schemas set(allocator_);
    bool possible = matched != 0 || !closed_by_default;
    INLAY_TRY(add_schemas_of(list, patterns, nullptr, matched, &set, &possible));
    if (!possible) continue;
    Extra extra;
    if (patterns.empty() && names == nullptr && members.empty()) {
      extra.any_key = true;
    } else {
      Language keys(allocator_);
      const Status status = extra_keys(patterns, matched, names, members, &keys);
      // Too many names to exclude: then there are no members but these.
      if (!status && status.error().code() == ErrorCode::unsupported) continue;
      INLAY_TRY(status);
      const Result<bool> none = keys.empty();
      if (!none) return none.error();
      if (*none) continue;
      extra.key = out_.add_rule("key");
      INLAY_TRY(out_.status());
      out_.define(extra.key,
                  out_.sequence({out_.bytes("\""), keys.emit(true, &out_), out_.bytes("\"")}));
    }
    INLAY_TRY(rule_of({set.data(), set.size()}, &extra.value));
    if (!extras->push_back(extra)) return no_memory();
  }
  return {};
}

inline Status JsonSchemaCompiler::extra_keys(Span<const KeyPattern> patterns, uint32_t matched,
                                             const Language* names, const Array<Member>& members,
                                             Language* out) noexcept {
  auto all = texts([&](Expressions* e) -> Result<ExpressionId> {
    return e->repeat(e->characters({}, true), 0, kUnlimited);
  });
  for (uint32_t i = 0; i < patterns.size() && all; ++i) {
    all = counted((matched >> i & 1) != 0 ? Language::both(*all, patterns[i].keys)
                                          : Language::without(*all, patterns[i].keys));
  }
  if (names != nullptr && all) all = counted(Language::both(*all, *names));
  if (!members.empty() && all) {
    auto named = texts([&](Expressions* e) -> Result<ExpressionId> {
      Array<ExpressionId> ways(allocator_);
      for (const Member& member : members) {
        if (!ways.push_back(e->bytes(member.name))) return no_memory();
      }
      return e->choice(ways.span());
    });
    if (!named) return named.error();
    all = counted(Language::without(*all, *named));
  }
  if (!all) return all.error();
  *out = std::move(*all);
  return {};
}

inline Status JsonSchemaCompiler::write_object(const Schemas& list, const Array<Member>& members,
                                               const Array<Extra>& extras, uint32_t least,
                                               uint32_t most, ExpressionId* out) noexcept {
  // Whether two of the others have the same key cannot be seen: they count as one for `least`.
  // (In canonical JSON they have not.)
  const auto n = static_cast<uint32_t>(members.size());
  const bool counts = most != kUnlimited, asks = least > 0;
  // `next`: how many members are behind it; or, in any order, a bit for each that was written.
  const bool ordered = judges() || !options_.any_order || n > kMaxFreeMembers;
  const uint64_t n_nexts = ordered ? n + uint64_t{1} : uint64_t{1} << n;
  const uint64_t max_places = std::max<uint64_t>(kMaxPlaces, n_nexts);
  uint64_t n_places = n_nexts;
  if (counts) n_places *= most + uint64_t{1};
  if (asks && n_places <= max_places) n_places *= least + uint64_t{1};
  if (n_places > max_places) {
    return unsupported(list.empty() ? root_ : *list[0],
                       "minProperties or maxProperties too large for so many members");
  }
  Array<uint32_t> rules(allocator_);
  Array<Place> work(allocator_);
  if (!rules.resize(static_cast<size_t>(n_places) * 4)) return no_memory();
  const auto index = [&](const Place& at) {
    size_t i = at.next;
    if (counts) i = i * (most + size_t{1}) + at.written;
    if (asks) i = i * (least + size_t{1}) + at.distinct;
    return i * 4 + (at.extra ? 2 : 0) + (at.comma ? 1 : 0);
  };
  const auto rule = [&](const Place& at) {
    const size_t i = index(at);
    if (rules[i] == 0) {
      rules[i] = out_.add_rule("members") + 1;
      if (!work.push_back(at)) (void)out_.fail_memory();
    }
    return out_.rule(rules[i] - 1);
  };
  // `member`: the one that was written, or n for another one.
  const auto after = [&](const Place& at, uint32_t member) {
    const bool extra = member == n;
    Place next = at;
    next.comma = true;
    if (counts) ++next.written;
    if (asks && (judges() || !(extra && at.extra)))
      next.distinct = std::min(at.distinct + 1, least);
    if (asks) next.extra = at.extra || extra;
    if (!extra) next.next = ordered ? member + 1 : at.next | 1u << member;
    return rule(next);
  };
  uint32_t all_required = 0;
  for (uint32_t i = 0; !ordered && i < n; ++i) all_required |= members[i].required ? 1u << i : 0;
  *out = out_.sequence({out_.bytes("{"), space(), rule({}), space(), out_.bytes("}")});
  for (size_t i = 0; i < work.size(); ++i) {
    const Place at = work[i];
    Array<ExpressionId> ways(allocator_);
    bool ok = true;
    const auto separator = [&] { return at.comma ? comma() : out_.bytes({}); };
    const bool complete = ordered ? at.next == n : (at.next & all_required) == all_required;
    if (complete && at.distinct >= least) ok = ways.push_back(out_.bytes({}));
    const auto write = [&](uint32_t member) {
      return ways.push_back(out_.sequence({separator(), key(members[member].name), colon(),
                                           out_.rule(members[member].rule), after(at, member)}));
    };
    if (!counts || at.written < most) {
      if (ordered && at.next < n) ok = ok && write(at.next);
      for (uint32_t member = 0; !ordered && member < n; ++member) {
        if ((at.next >> member & 1) == 0) ok = ok && write(member);
      }
      for (const Extra& extra : extras) {
        const ExpressionId name = extra.any_key ? any_string() : out_.rule(extra.key);
        ok = ok && ways.push_back(out_.sequence(
                       {separator(), name, colon(), out_.rule(extra.value), after(at, n)}));
      }
    }
    if (ordered && at.next < n && !members[at.next].required) {
      Place skipped = at;
      ++skipped.next;
      ok = ok && ways.push_back(rule(skipped));
    }
    if (!ok) return no_memory();
    INLAY_TRY(out_.status());
    out_.define(rules[index(at)] - 1, ways.empty() ? out_.nothing() : out_.choice(ways.span()));
  }
  return {};
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_GRAMMAR_JSON_SCHEMA_CONTAINERS_INL_HPP_
