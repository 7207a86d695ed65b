// What turns a JSON Schema into rules. Defined by idea: json_schema-inl.hpp (sets of schemas),
// json_schema_negation-inl.hpp, _values-inl.hpp, _scalars-inl.hpp and _containers-inl.hpp.
#ifndef INLAY_GRAMMAR_JSON_SCHEMA_COMPILER_HPP_
#define INLAY_GRAMMAR_JSON_SCHEMA_COMPILER_HPP_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <utility>

#include "inlay/grammar/expression.hpp"
#include "inlay/grammar/json_references.hpp"
#include "inlay/grammar/json_schema.hpp"
#include "inlay/grammar/language.hpp"
#include "inlay/text/json.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// A schema becomes a rule; so does every set of schemas that a value must be valid by at once: what
// allOf, $ref and the branches of anyOf come to. Sets are known by what is in them, so recursion
// ends where the same set comes again. Rules are made one after the other from a queue.
class JsonSchemaCompiler {
 public:
  JsonSchemaCompiler(const JsonValue& root, const JsonSchemaOptions& options, JsonSchemaUse use,
                     Expressions* out) noexcept
      : root_(root),
        options_(options),
        use_(use),
        own_references_(out->allocator()),
        out_(*out),
        allocator_(out->allocator()),
        parts_(allocator_),
        sets_(allocator_),
        slots_(allocator_),
        originals_(allocator_) {}

  ~JsonSchemaCompiler() {
    for (Made* made = made_; made != borrowed_;) {
      Made* const next = made->next;
      destroy(allocator_, made);
      made = next;
    }
  }
  JsonSchemaCompiler(const JsonSchemaCompiler&) = delete;
  JsonSchemaCompiler& operator=(const JsonSchemaCompiler&) = delete;

  Result<uint32_t> run() noexcept;

 private:
  // Types of values: bits. All numbers are kNumber; kInteger alone is those without a fraction.
  enum Types : uint8_t {
    kNull = 1,
    kTrue = 2,
    kFalse = 4,
    kInteger = 8,
    kNumber = 16,
    kString = 32,
    kArray = 64,
    kObject = 128,
    kBoolean = kTrue | kFalse,
    kAnyType = kNull | kBoolean | kInteger | kNumber | kString | kArray | kObject
  };
  // What a schema may ask for, so that time and memory are in proportion to these and to its size.
  static constexpr uint32_t kMaxParts = 256;  // schemas that a value must be valid by at once
  static constexpr uint32_t kMaxSubsets = 5;  // branches of anyOf, where all their subsets count
  static constexpr uint32_t kMaxKeyPatterns = 4;     // for one object: all their subsets count
  static constexpr uint32_t kMaxDistinct = 8;        // values of unique items: all sets count
  static constexpr uint32_t kMaxContains = 3;        // for one array: all their subsets count
  static constexpr uint32_t kMaxDepth = 3;           // of compilers that judge values for others
  static constexpr size_t kMaxValues = 16384;        // of an enum
  static constexpr size_t kMaxMembers = 4096;        // that an object names
  static constexpr uint32_t kMaxFreeMembers = 6;     // that may come in any order
  static constexpr uint32_t kMaxPlaces = 4096;       // rules of one object or array that counts
  static constexpr uint32_t kMaxCount = 1000000000;  // minLength and the like
  static constexpr size_t kMaxLanguageStates = size_t{1} << 19;  // of all that are computed

  using Schemas = Array<const JsonValue*>;
  struct Set {
    uint32_t first, count;  // in parts_
    uint32_t rule;
  };

  bool judges() const noexcept { return use_ == JsonSchemaUse::judge; }

  // ---- errors

  static constexpr uint32_t kNone = UINT32_MAX;
  static Error no_memory() noexcept { return Error(ErrorCode::out_of_memory); }
  // Writes the path of a value of the schema, as a JSON pointer.
  void write_path(const JsonValue& wanted, Error* out) const noexcept;
  Error wrong(const JsonValue& where, std::string_view what) const noexcept;
  Error unsupported(const JsonValue& where, std::string_view what) const noexcept;

  // ---- sets of schemas

  // The rule of a set, which is made later if it is new.
  Status rule_of(Span<const JsonValue* const> set, uint32_t* rule) noexcept;
  Status grow() noexcept;

  static bool contains(const Schemas& list, const JsonValue* wanted) noexcept {
    return std::find(list.begin(), list.end(), wanted) != list.end();
  }
  static Status add(Schemas* list, const JsonValue* schema) noexcept {
    if (contains(*list, schema) || list->push_back(schema)) return {};
    return no_memory();
  }

  // Makes the rules of all sets, also of those that are found on the way.
  Status finish() noexcept;

  // Adds what $ref and allOf stand for. `*possible` becomes false if nothing is valid.
  Status expand(Schemas* list, bool* possible) noexcept;

  // ---- keywords that are the same as others

  // A schema that was not written by the user but here.
  struct Made {
    Made(JsonDocument given, const JsonValue* of, bool negated, Made* rest) noexcept
        : document(std::move(given)), origin(of), is_negation(negated), next(rest) {}
    JsonDocument document;
    const JsonValue* origin;  // what it was made of
    bool is_negation;         // of it; else, the same said with other keywords
    Made* next;
  };
  static bool append_number(String* out, uint64_t n) noexcept;
  // In such a schema, a member with this name stands for a schema that the user wrote, by its
  // number in originals_. References in that one mean what they mean there.
  static constexpr std::string_view kOriginal = "\x01original";
  // The same for its negation, of which keywords say nothing of what has been evaluated.
  static constexpr std::string_view kNegation = "\x01negation";
  [[nodiscard]] bool append_original(String* out, const JsonValue& schema,
                                     std::string_view as = kOriginal) noexcept;
  // The user has no members of that name.
  Status check_names() const noexcept;
  // The schema of that text, made for `origin` if it was not made before.
  Status make_schema(const JsonValue& origin, bool is_negation, std::string_view text,
                     const JsonValue** out) noexcept;
  const JsonValue* find_made(const JsonValue& origin, bool is_negation) const noexcept;
  // A schema by which only values are valid that are not by `schema`; null if none is known.
  Status negation_of(const JsonValue& schema, const JsonValue** out) noexcept;
  static bool append(String* out, std::string_view text) noexcept {
    return out->append(text.data(), text.size());
  }

  // not, if, dependencies: as anyOf of what is known.
  Status rewrite(const JsonValue& s, Schemas* list) noexcept;

  // Keywords of which types_of, string_language and number_language know the negation themselves;
  // whether a schema is one of these alone, without arrays and objects as values.
  static bool is_negated_plainly(std::string_view keyword) noexcept;
  static bool is_plain_negation(const JsonValue& s) noexcept;
  static const JsonValue* plain_negation(const JsonValue& s) noexcept;
  static bool have_parts(Span<const JsonValue> values) noexcept;

  // Writes a schema by which only values are valid that are not by `s`: all of them or fewer.
  // `*some`: whether there are any. What is nested over kMaxNegated deep is negated later, when it
  // is needed.
  static constexpr uint32_t kMaxNegated = 6, kMaxNegations = 4096, kMaxNegatedBranches = 8,
                            kMaxNegatedParts = 256;
  Status negate(const JsonValue& s, uint32_t depth, String* out, bool* some) noexcept;
  Status negate_keyword(const JsonValue& s, const JsonMember& member, uint32_t depth, String* out,
                        bool* some) noexcept;
  Status negate_bound(const JsonValue& s, const JsonMember& member, String* out,
                      bool* some) noexcept;
  Status negate_values(Span<const JsonValue> values, String* out) noexcept;
  Status negate_properties(const JsonValue& properties, uint32_t depth, String* out,
                           bool* some) noexcept;
  Status negate_prefix(const JsonValue& prefix, uint32_t depth, String* out, bool* some) noexcept;
  Status negate_contains(const JsonValue& s, const JsonValue& wanted, String* out,
                         bool* some) noexcept;
  Status negate_one_of(const JsonValue& branches, uint32_t depth, String* out, bool* some) noexcept;
  Status negate_condition(const JsonValue& s, const JsonValue& condition, uint32_t depth,
                          String* out, bool* some) noexcept;
  Status negate_branches(bool any_of, const JsonValue& branches, uint32_t depth, String* out,
                         bool* some) noexcept;

  // Keywords that change what is valid and that are not kept.
  Status check_keywords(const JsonValue& s) noexcept;

  // ---- references

  Status resolve(const JsonValue& schema, const JsonMember& ref, const JsonValue** out) noexcept;

  // ---- values

  // What is valid by all schemas of the list. `without_values`: enum and const aside.
  Status value(Schemas* list, bool without_values, ExpressionId* out) noexcept;

  static bool is_reference(std::string_view keyword) noexcept;
  static bool is_only_reference(const JsonValue& s) noexcept;

  // The same where one of `branches` is valid too: of anyOf at least one, of oneOf only one.
  Status choose(const Schemas& list, const JsonValue& branches, bool one,
                ExpressionId* out) noexcept;

  // The types (bits) that all schemas of the list allow.
  Status types_of(const Schemas& list, uint8_t* out) noexcept;
  static uint8_t type_bit(std::string_view name) noexcept;
  static uint8_t type_of(const JsonValue& v) noexcept;

  // ---- enum and const

  // The member enum, or else const; or null.
  static const JsonValue* values_of(const JsonValue& s) noexcept;
  // The values of enum; or the one of const, which may itself be an array.
  static Span<const JsonValue> value_list(const JsonValue& s) noexcept;

  // Values of the first enum or const that are valid by all else.
  Status listed_values(const Schemas& list, const JsonValue& values, uint8_t types,
                       Array<const JsonValue*>* out) noexcept;
  Status one_of_values(const Schemas& list, const JsonValue& values, uint8_t types,
                       ExpressionId* out) noexcept;

  // Whether a keyword limits values of a type, besides enum, const and type itself.
  static bool limits_values(std::string_view keyword) noexcept;

  static bool is_one_of(const JsonValue& v, Span<const JsonValue> all) noexcept;
  // Recursion: as deep as the values are nested, which the reader bounds.
  static bool equal(const JsonValue& a, const JsonValue& b) noexcept;

  // A value as text, with room for whitespace between its parts.
  ExpressionId literal(const JsonValue& v) noexcept;

  struct Judge;  // says which values are valid

  // ---- parts of texts

  // A call of the rule of that number, which is made when it is first asked for (kNone before).
  ExpressionId shared(uint32_t* rule, const char* name,
                      ExpressionId (JsonSchemaCompiler::*make)() noexcept) noexcept;
  ExpressionId space() noexcept {
    return shared(&space_, "space", &JsonSchemaCompiler::make_space);
  }
  // One blank; or a line end, perhaps a second one, and what the next line is indented by.
  ExpressionId make_space() noexcept;
  ExpressionId comma() noexcept { return out_.sequence({space(), out_.bytes(","), space()}); }
  ExpressionId colon() noexcept { return out_.sequence({space(), out_.bytes(":"), space()}); }
  ExpressionId key(std::string_view name) noexcept;  // a member's name, quoted

  ExpressionId hex(uint32_t count) noexcept;
  // A character in a string, with the escapes that JSON has for it.
  ExpressionId json_character() noexcept;
  ExpressionId any_string() noexcept {
    return shared(&string_, "string", &JsonSchemaCompiler::make_string);
  }
  ExpressionId make_string() noexcept;
  ExpressionId whole_number() noexcept;
  ExpressionId any_integer() noexcept {
    return shared(&integer_, "integer", &JsonSchemaCompiler::whole_number);
  }
  ExpressionId any_number() noexcept {
    return shared(&number_, "number", &JsonSchemaCompiler::make_number);
  }
  ExpressionId make_number() noexcept;

  // ---- numbers

  // Whether a schema of the list has one of these keywords.
  static bool has_any(const Schemas& list,
                      std::initializer_list<std::string_view> keywords) noexcept;

  // The number texts that all schemas of the list allow.
  Status number(const Schemas& list, bool integers, ExpressionId* out) noexcept;

  // The same, or an error if there have been too many of them.
  Result<Language> counted(Result<Language> made) noexcept;

  // Whether a plain not concerns values of that type, string or number.
  static bool has_negated(const Schemas& list, JsonType type) noexcept;
  // Takes the texts of `with` out of a language.
  Status exclude(Language* language, const JsonValue& where, Result<Language> with) noexcept;

  // Adds a condition to a language, or gives the condition's error a place.
  Status restrict(Language* language, const JsonValue& where, Result<Language> with) noexcept;

  // All numbers of the list's ranges, written without exponents.
  Status number_language(const Schemas& list, bool integers, Language* out) noexcept;

  // ---- strings

  // The value of a keyword that counts something, at most kMaxCount (an upper bound beyond it is
  // kUnlimited); `none` if it is not there.
  Status count(const JsonValue& s, std::string_view keyword, uint32_t none, uint32_t* out) noexcept;
  Status count_range(const Schemas& list, std::string_view least_keyword,
                     std::string_view most_keyword, uint32_t* least, uint32_t* most) noexcept;

  // The string texts, with their quotes, that all schemas of the list allow.
  Status string(const Schemas& list, ExpressionId* out) noexcept;

  // The texts, not as JSON writes them, that the list's patterns, formats and lengths allow.
  Status string_language(const Schemas& list, Language* out) noexcept;
  // The strings among the values of enum or const.
  Result<Language> string_values(const JsonValue& s) noexcept;
  Error in_place(const Schemas& list, const Error& error) const noexcept;  // with the first's path

  // The language of the expression that `make` writes.
  template <class Make>
  Result<Language> texts(Make&& make) noexcept {
    Expressions expressions(allocator_);
    const uint32_t rule = expressions.add_rule("text");
    const Result<ExpressionId> body = make(&expressions);
    if (!body) return body.error();
    INLAY_TRY(expressions.status());
    expressions.define(rule, *body);
    return counted(Language::of(expressions, rule, allocator_));
  }

  // ---- what has been evaluated

  struct KeyPattern {
    const JsonValue* owner;  // the schema with patternProperties
    const JsonValue* schema;
    Language keys;
  };
  // Members are asked for in two ways: one by its `name`; or, where that is null, all those whose
  // keys match just the patterns of `matched` (a bit for each) and are no name of a member.
  static bool is_matched(Span<const KeyPattern> patterns, uint32_t i, const std::string_view* name,
                         uint32_t matched) noexcept {
    return name != nullptr ? patterns[i].keys.has(*name) : (matched >> i & 1) != 0;
  }

  // A schema and those that it applies to the same value, as far as they are in the list: what they
  // say of members and items is what its unevaluatedProperties and unevaluatedItems leave alone.
  Status find_scope(const Schemas& list, const JsonValue& schema, Schemas* scope) noexcept;
  // Whether unevaluatedProperties of `schema` says nothing of such members.
  Status is_evaluated(const Schemas& list, const JsonValue& schema, Span<const KeyPattern> patterns,
                      const std::string_view* name, uint32_t matched, bool* out) noexcept;
  // From which item on unevaluatedItems of `schema` says something; kUnlimited: of none. `*scope`:
  // whose `contains` count.
  Status first_unevaluated(const Schemas& list, const JsonValue& schema, Schemas* scope,
                           size_t* first) noexcept;

  // ---- arrays

  Status array(const Schemas& list, ExpressionId* out) noexcept;
  // The keyword uniqueItems, where items are listed values: a rule for each set of those that were
  // written. `owner` has the keyword.
  Status distinct_items(const Schemas& list, const JsonValue& owner, uint32_t least, uint32_t most,
                        ExpressionId* out) noexcept;
  // The keyword contains: some items are valid by `wanted`.
  struct Contains {
    const JsonValue *owner, *wanted;
    const JsonValue* other;  // its negation, if there is an upper bound
    uint32_t least, most;
    uint32_t limit() const noexcept { return most != kUnlimited ? most : least; }
  };
  // Those of a list that say something; room for kMaxContains.
  Status find_contains(const Schemas& list, Contains* out, uint32_t* n) noexcept;
  // A rule for each place in such an array: how many items were written, up to `n_places`, and of
  // each `contains` how many are known to be valid by it, as far as it matters.
  template <class Item>
  Status containing(const Schemas& list, Span<const Contains> contained, uint32_t n_places,
                    uint32_t least, uint32_t most, Item&& item, ExpressionId* out) noexcept;
  // prefixItems, or items of drafts that had an array there.
  static Span<const JsonValue> prefix_of(const JsonValue& s) noexcept;
  static const JsonValue* rest_of(const JsonValue& s) noexcept;
  // What is valid by all of them; anything if there is none.
  Status value_rule(const Schemas& set, ExpressionId* out) noexcept;

  // ---- objects

  struct Member {
    std::string_view name;
    uint32_t rule;
    bool required, possible;
  };
  // What members beyond the named ones look like: for each kind of key, its language and value.
  struct Extra {
    bool any_key = false;         // every JSON string
    uint32_t key = 0, value = 0;  // rules
  };

  Status object(const Schemas& list, ExpressionId* out) noexcept;
  // patternProperties, their keys as languages; room for kMaxKeyPatterns.
  Status find_key_patterns(const Schemas& list, KeyPattern* out, uint32_t* n) noexcept;
  // The keys that propertyNames allows; `*some`: whether it says anything.
  Status find_names(const Schemas& list, Language* names, bool* some) noexcept;

  // Adds a member, or makes the one of that name required.
  Status add_member(const Schemas& list, Span<const KeyPattern> patterns, std::string_view name,
                    bool required, Array<Member>* members) noexcept;
  // The schemas that the value of such members must be valid by; `*possible` becomes false if none
  // can be.
  Status add_schemas_of(const Schemas& list, Span<const KeyPattern> patterns,
                        const std::string_view* name, uint32_t matched, Schemas* set,
                        bool* possible) noexcept;
  static Status add_unless_false(Schemas* set, const JsonValue& schema, bool* possible) noexcept;

  // The keys that a schema of propertyNames allows.
  Status key_language(const JsonValue& schema, Language* out) noexcept;

  // What members may be there beside the named ones: for each set of patterns that a key can match.
  // `names`: those that propertyNames allows, or null.
  Status find_extras(const Schemas& list, Span<const KeyPattern> patterns, const Language* names,
                     const Array<Member>& members, Array<Extra>* extras) noexcept;

  // Keys that match just these patterns, and are no name of a member.
  Status extra_keys(Span<const KeyPattern> patterns, uint32_t matched, const Language* names,
                    const Array<Member>& members, Language* out) noexcept;

  // Members in their order, or in any; others anywhere between them. A rule for each place: which
  // named members are behind it, how many were written (as far as maxProperties and minProperties
  // ask), and whether the next one needs a comma.
  struct Place {
    uint32_t next = 0, written = 0, distinct = 0;
    bool extra = false, comma = false;
  };
  Status write_object(const Schemas& list, const Array<Member>& members, const Array<Extra>& extras,
                      uint32_t least, uint32_t most, ExpressionId* out) noexcept;

  // ---- oneOf

  // Whether a text is in both languages.
  Status intersect(const Language& a, const Language& b, bool* out) noexcept;
  // Whether no value is valid by both lists of schemas, as far as that can be seen.
  Status disjoint(Schemas* a, Schemas* b, bool* out) noexcept;
  // Whether a's values are listed, and none of them is one of b's or of its types.
  bool values_apart(const Schemas& a, const Schemas& b, uint8_t types_b) const noexcept;
  // Whether objects differ in a member that both must have, or that b must not have.
  bool members_apart(const Schemas& a, const Schemas& b) noexcept;

  struct Slot {
    uint32_t hash = 0, set = 0;  // set: its number plus 1
  };

  const JsonValue& root_;
  const JsonSchemaOptions& options_;
  const JsonSchemaUse use_;
  JsonReferences own_references_;
  const JsonReferences* references_ = &own_references_;  // or those of another compiler
  Expressions& out_;
  Allocator allocator_;
  Schemas parts_;
  Array<Set> sets_;
  Array<Slot> slots_;  // open hash table of sets
  Schemas originals_;
  uint32_t negations_ = 0;      // at most kMaxNegations
  size_t language_states_ = 0;  // at most kMaxLanguageStates
  Made* made_ = nullptr;
  const Made* borrowed_ = nullptr;  // those of another compiler, which end the list
  uint32_t depth_ = 0;              // of compilers that judge values for others
  uint32_t space_ = kNone, string_ = kNone, integer_ = kNone, number_ = kNone;  // shared rules
};

}  // namespace detail
INLAY_END_NAMESPACE

#endif  // INLAY_GRAMMAR_JSON_SCHEMA_COMPILER_HPP_
