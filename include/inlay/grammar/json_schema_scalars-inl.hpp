// Numbers and strings of a JSON Schema, and what texts of all values are made of.
#ifndef INLAY_GRAMMAR_JSON_SCHEMA_SCALARS_INL_HPP_
#define INLAY_GRAMMAR_JSON_SCHEMA_SCALARS_INL_HPP_

#include <algorithm>

#include "inlay/grammar/json_formats.hpp"
#include "inlay/grammar/json_number.hpp"
#include "inlay/grammar/json_schema_compiler.hpp"
#include "inlay/grammar/pattern.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

inline ExpressionId JsonSchemaCompiler::shared(
    uint32_t* rule, const char* name,
    ExpressionId (JsonSchemaCompiler::*make)() noexcept) noexcept {
  if (*rule == kNone) {
    *rule = out_.add_rule(name);
    if (!out_.status()) return 0;
    const uint32_t made = *rule;
    out_.define(made, (this->*make)());
    out_.keep_apart(made);
  }
  return out_.rule(*rule);
}

inline ExpressionId JsonSchemaCompiler::make_space() noexcept {
  if (options_.whitespace == 0 || judges()) return out_.bytes({});
  const CharacterRange blanks[] = {{' ', ' '}, {'\t', '\t'}};
  return out_.choice(
      {out_.bytes({}), out_.bytes(" "),
       out_.sequence({out_.repeat(out_.choice({out_.bytes("\n"), out_.bytes("\r\n")}), 1, 2),
                      out_.repeat(out_.characters(blanks), 0, options_.whitespace)})});
}

inline ExpressionId JsonSchemaCompiler::key(std::string_view name) noexcept {
  String text(allocator_);
  return append_json_string(&text, name) ? out_.bytes(view(text)) : out_.fail_memory();
}

inline ExpressionId JsonSchemaCompiler::hex(uint32_t count) noexcept {
  const CharacterRange digits[] = {{'0', '9'}, {'a', 'f'}, {'A', 'F'}};
  return out_.repeat(out_.characters(digits), count, count);
}

inline ExpressionId JsonSchemaCompiler::json_character() noexcept {
  const CharacterRange special[] = {{0, 0x1F}, {'"', '"'}, {'\\', '\\'}};
  const CharacterRange letters[] = {{'"', '"'}, {'\\', '\\'}, {'/', '/'}, {'b', 'b'},
                                    {'f', 'f'}, {'n', 'n'},   {'r', 'r'}, {'t', 't'}};
  const CharacterRange not_d[] = {{'0', '9'}, {'a', 'c'}, {'e', 'f'}, {'A', 'C'}, {'E', 'F'}};
  const CharacterRange d[] = {{'d', 'd'}, {'D', 'D'}};
  const CharacterRange high[] = {{'8', '9'}, {'a', 'b'}, {'A', 'B'}};
  const CharacterRange low[] = {{'c', 'f'}, {'C', 'F'}};
  return out_.choice(
      {out_.characters(special, true),
       out_.sequence(
           {out_.bytes("\\"),
            out_.choice({out_.characters(letters),
                         out_.sequence({out_.bytes("u"), out_.characters(not_d), hex(3)}),
                         out_.sequence({out_.bytes("u"), out_.characters(d),
                                        out_.character('0', '7'), hex(2)}),
                         out_.sequence({out_.bytes("u"), out_.characters(d), out_.characters(high),
                                        hex(2), out_.bytes("\\u"), out_.characters(d),
                                        out_.characters(low), hex(2)})})})});
}

inline ExpressionId JsonSchemaCompiler::make_string() noexcept {
  return out_.sequence(
      {out_.bytes("\""), out_.repeat(json_character(), 0, kUnlimited), out_.bytes("\"")});
}

inline ExpressionId JsonSchemaCompiler::whole_number() noexcept {
  const auto digit = [this] { return out_.byte_range('0', '9'); };
  return out_.sequence(
      {out_.optional(out_.bytes("-")),
       out_.choice(
           {out_.bytes("0"), out_.sequence({out_.byte_range('1', '9'),
                                            out_.repeat(digit(), 0, kMaxIntegerDigits - 1)})})});
}

inline ExpressionId JsonSchemaCompiler::make_number() noexcept {
  const auto digits = [this](uint32_t most) {
    return out_.repeat(out_.byte_range('0', '9'), 1, most);
  };
  const CharacterRange e[] = {{'e', 'e'}, {'E', 'E'}}, signs[] = {{'+', '+'}, {'-', '-'}};
  return out_.sequence(
      {whole_number(), out_.optional(out_.sequence({out_.bytes("."), digits(kMaxFractionDigits)})),
       out_.optional(
           out_.sequence({out_.characters(e), out_.optional(out_.characters(signs)), digits(2)}))});
}

inline bool JsonSchemaCompiler::has_any(const Schemas& list,
                                        std::initializer_list<std::string_view> keywords) noexcept {
  for (const JsonValue* s : list) {
    for (const std::string_view keyword : keywords) {
      if (s->is_object() && s->find(keyword) != nullptr) return true;
    }
  }
  return false;
}

inline Status JsonSchemaCompiler::number(const Schemas& list, bool integers,
                                         ExpressionId* out) noexcept {
  if (!has_any(list, {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
                      "divisibleBy"}) &&
      !has_negated(list, JsonType::number)) {
    *out = integers ? any_integer() : any_number();
    return {};
  }
  Language language(allocator_);
  INLAY_TRY(number_language(list, integers, &language));
  *out = language.emit(false, &out_);
  return {};
}

inline Result<Language> JsonSchemaCompiler::counted(Result<Language> made) noexcept {
  if (!made) return made;
  language_states_ += made->size();
  if (language_states_ <= kMaxLanguageStates) return made;
  return Error(ErrorCode::unsupported,
               "so many patterns, formats and ranges that their automata have over 524288 states");
}

inline bool JsonSchemaCompiler::has_negated(const Schemas& list, JsonType type) noexcept {
  for (const JsonValue* s : list) {
    const JsonValue* negated = plain_negation(*s);
    if (negated == nullptr) continue;
    const bool is_string = type == JsonType::string;
    if (negated->find(is_string ? "pattern" : "multipleOf") != nullptr) return true;
    if (!is_string && negated->find("type") != nullptr) return true;
    for (const JsonValue& v : value_list(*negated)) {
      if (is_string ? v.is_string() : v.is_number()) return true;
    }
  }
  return false;
}

inline Status JsonSchemaCompiler::exclude(Language* language, const JsonValue& where,
                                          Result<Language> with) noexcept {
  if (with) with = counted(Language::without(*language, *with));
  if (!with) {
    if (with.error().code() == ErrorCode::out_of_memory) return with.error();
    Error error = unsupported(where, "");
    return error << with.error().message();
  }
  *language = std::move(*with);
  return {};
}

inline Status JsonSchemaCompiler::restrict(Language* language, const JsonValue& where,
                                           Result<Language> with) noexcept {
  if (with) with = counted(Language::both(*language, *with));
  if (!with) {
    if (with.error().code() == ErrorCode::out_of_memory) return with.error();
    Error error = unsupported(where, "");
    return error << with.error().message();
  }
  *language = std::move(*with);
  return {};
}

inline Status JsonSchemaCompiler::number_language(const Schemas& list, bool integers,
                                                  Language* out) noexcept {
  auto all = counted(integers || judges() ? decimal_numbers(integers, allocator_)
                                          : double_numbers(allocator_));
  if (!all) return all.error();
  *out = std::move(*all);
  for (const JsonValue* s : list) {
    if (!s->is_object()) continue;
    for (const JsonMember& member : s->members()) {
      const std::string_view keyword = member.key;
      const bool least = keyword == "minimum" || keyword == "exclusiveMinimum";
      const bool most = keyword == "maximum" || keyword == "exclusiveMaximum";
      const bool multiple = keyword == "multipleOf" || keyword == "divisibleBy";
      if (!least && !most && !multiple) continue;
      // In draft 4, exclusiveMinimum says how minimum is meant.
      if (member.value.type() == JsonType::boolean) continue;
      Decimal bound;
      if (!member.value.is_number()) return wrong(member.value, "expected a number");
      if (!Decimal::parse(member.value.text(), &bound)) {
        return unsupported(member.value, "a number of over 40 digits");
      }
      if (multiple) {
        if (bound.negative || bound.is_zero()) {
          return wrong(member.value, "expected a number above 0");
        }
        INLAY_TRY(restrict(out, member.value, multiples(bound, integers, allocator_)));
        continue;
      }
      const JsonValue* old = s->find(least ? "exclusiveMinimum" : "exclusiveMaximum");
      const bool exclusive = keyword[0] == 'e' ||
                             (old != nullptr && old->type() == JsonType::boolean && old->boolean());
      INLAY_TRY(restrict(out, member.value,
                         numbers_beyond(bound, least, !exclusive, integers, allocator_)));
    }
    const JsonValue* negated = plain_negation(*s);
    if (negated == nullptr) continue;
    for (const JsonValue& v : value_list(*negated)) {
      Decimal value;
      if (!v.is_number()) continue;
      if (!Decimal::parse(v.text(), &value)) return unsupported(v, "a number of over 40 digits");
      auto same = numbers_beyond(value, true, true, integers, allocator_);
      if (!same) return same.error();
      INLAY_TRY(restrict(&*same, v, numbers_beyond(value, false, true, integers, allocator_)));
      INLAY_TRY(exclude(out, v, std::move(same)));
    }
    const JsonValue* type = negated->find("type");
    bool not_integer = type != nullptr && type->text() == "integer";
    if (type != nullptr) {
      for (const JsonValue& one : type->items()) {
        not_integer = not_integer || one.text() == "integer";
      }
    }
    if (not_integer) {
      Decimal one;
      (void)Decimal::parse("1", &one);
      INLAY_TRY(exclude(out, *type, multiples(one, integers, allocator_)));
    }
    if (const JsonValue* of = negated->find("multipleOf")) {
      Decimal value;
      if (!of->is_number() || !Decimal::parse(of->text(), &value) || value.negative ||
          value.is_zero()) {
        return wrong(*of, "expected a number above 0");
      }
      INLAY_TRY(exclude(out, *of, multiples(value, integers, allocator_)));
    }
  }
  return {};
}

inline Status JsonSchemaCompiler::count(const JsonValue& s, std::string_view keyword, uint32_t none,
                                        uint32_t* out) noexcept {
  const JsonValue* v = s.find(keyword);
  *out = none;
  if (v == nullptr) return {};
  const double n = v->is_number() ? v->number() : -1;
  if (n < 0 || n != static_cast<double>(static_cast<uint64_t>(n < 1e15 ? n : 0.5))) {
    return wrong(*v, "expected a whole number from 0");
  }
  if (n > kMaxCount && none == 0) return unsupported(*v, "over 1000000000");
  *out = n > kMaxCount ? kUnlimited : static_cast<uint32_t>(n);
  return {};
}

inline Status JsonSchemaCompiler::count_range(const Schemas& list, std::string_view least_keyword,
                                              std::string_view most_keyword, uint32_t* least,
                                              uint32_t* most) noexcept {
  *least = 0;
  *most = kUnlimited;
  for (const JsonValue* s : list) {
    if (!s->is_object()) continue;
    uint32_t one = 0;
    INLAY_TRY(count(*s, least_keyword, 0, &one));
    *least = std::max(*least, one);
    INLAY_TRY(count(*s, most_keyword, kUnlimited, &one));
    *most = std::min(*most, one);
  }
  return {};
}

inline Status JsonSchemaCompiler::string(const Schemas& list, ExpressionId* out) noexcept {
  uint32_t least = 0, most = 0;
  INLAY_TRY(count_range(list, "minLength", "maxLength", &least, &most));
  if (has_any(list, {"pattern", "format"}) || has_negated(list, JsonType::string)) {
    Language language(allocator_);
    INLAY_TRY(string_language(list, &language));
    *out = out_.sequence({out_.bytes("\""), language.emit(true, &out_), out_.bytes("\"")});
  } else if (least > most) {
    *out = out_.nothing();
  } else if (least == 0 && most == kUnlimited) {
    *out = any_string();
  } else {
    *out = out_.sequence(
        {out_.bytes("\""), out_.repeat(json_character(), least, most), out_.bytes("\"")});
  }
  return {};
}

inline Status JsonSchemaCompiler::string_language(const Schemas& list, Language* out) noexcept {
  uint32_t least = 0, most = 0;
  INLAY_TRY(count_range(list, "minLength", "maxLength", &least, &most));
  auto all = texts([&](Expressions* e) -> Result<ExpressionId> {
    return least > most ? e->nothing() : e->repeat(e->characters({}, true), least, most);
  });
  if (!all) return in_place(list, all.error());
  *out = std::move(*all);
  for (const JsonValue* s : list) {
    if (!s->is_object()) continue;
    if (const JsonValue* pattern = s->find("pattern")) {
      if (!pattern->is_string()) return wrong(*pattern, "expected a regular expression");
      INLAY_TRY(restrict(out, *pattern, texts([&](Expressions* e) {
                           return parse_pattern(pattern->text(), PatternUse::search, e);
                         })));
    }
    if (const JsonValue* format = s->find("format")) {
      std::string_view known;
      for (const JsonFormat& f : kJsonFormats) {
        if (f.name == format->text()) known = f.pattern;
      }
      if (known.empty()) {
        return unsupported(*format, "the format ") << format->text() << " is not supported";
      }
      INLAY_TRY(restrict(out, *format, texts([&](Expressions* e) {
                           return parse_pattern(known, PatternUse::whole, e);
                         })));
    }
    const JsonValue* negated = plain_negation(*s);
    if (negated == nullptr) continue;
    if (const JsonValue* pattern = negated->find("pattern")) {
      INLAY_TRY(exclude(out, *pattern, texts([&](Expressions* e) {
                          return parse_pattern(pattern->text(), PatternUse::search, e);
                        })));
    }
    INLAY_TRY(exclude(out, *negated, string_values(*negated)));
  }
  return {};
}

inline Result<Language> JsonSchemaCompiler::string_values(const JsonValue& s) noexcept {
  return texts([&](Expressions* e) -> Result<ExpressionId> {
    Array<ExpressionId> ways(allocator_);
    for (const JsonValue& v : value_list(s)) {
      if (v.is_string() && !ways.push_back(e->bytes(v.text()))) return no_memory();
    }
    return ways.empty() ? e->nothing() : e->choice(ways.span());
  });
}

inline Error JsonSchemaCompiler::in_place(const Schemas& list, const Error& error) const noexcept {
  if (error.code() == ErrorCode::out_of_memory) return error;
  Error placed = unsupported(list.empty() ? root_ : *list[0], "");
  return placed << error.message();
}

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_GRAMMAR_JSON_SCHEMA_SCALARS_INL_HPP_
