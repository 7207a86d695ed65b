#include "inlay/grammar/json_schema.hpp"

#include <doctest/doctest.h>

#include <inlay.hpp>
#include <string>
#include <string_view>
#include <vector>

using namespace inlay;

namespace {

bool accepts(const Grammar& grammar, std::string_view text) {
  auto matcher = GrammarMatcher::create(grammar);
  REQUIRE(matcher);
  const auto accepted = matcher->accept(text);
  REQUIRE(accepted);
  return *accepted && matcher->may_end();
}

void check(std::string_view schema, const std::vector<std::string_view>& valid,
           const std::vector<std::string_view>& invalid, const GrammarOptions& options = {}) {
  const auto grammar = Grammar::from_json_schema(schema, options);
  CAPTURE(schema);
  REQUIRE_MESSAGE(grammar, grammar.error().message());
  for (const std::string_view text : valid) {
    CAPTURE(text);
    CHECK(accepts(*grammar, text));
  }
  for (const std::string_view text : invalid) {
    CAPTURE(text);
    CHECK(!accepts(*grammar, text));
  }
}

std::string error_of(std::string_view schema) {
  const auto grammar = Grammar::from_json_schema(schema);
  CAPTURE(schema);
  REQUIRE(!grammar);
  return grammar.error().message();
}

}  // namespace

TEST_CASE("schema: types and any JSON") {
  check("true", {"null", " [1, {\"a\" : -1.5e+3}]\n", "\"\\u00e9\\ud83d\\ude00\""},
        {"", "nul", "[1,]", "{\"a\":}", "01", "\"\\ud83d\"", "\"\n\""});
  check(R"({"type": ["integer", "null"]})", {"0", "-12", "null"}, {"1.5", "\"\"", "1e3", "01"});
  check(R"({"type": "number"})", {"0", "-12.50", "1E+9"}, {".5", "5.", "+1"});
  check(R"({"type": "boolean"})", {"true", "false"}, {"True", "null"});
}

TEST_CASE("schema: ranges of numbers") {
  check(R"({"type": "integer", "minimum": -7, "maximum": 120})", {"-7", "0", "-0", "99", "120"},
        {"-8", "121", "-70", "1000"});
  check(R"({"type": "integer", "exclusiveMinimum": 9.5, "exclusiveMaximum": 1e2})", {"10", "99"},
        {"9", "100", "-10"});
  check(R"({"type": "number", "minimum": -1.25, "exclusiveMaximum": 0.5})",
        {"-1.25", "-1.250", "-1.2", "-0.0", "0", "0.4999", "0.49"},
        {"-1.251", "-1.3", "0.5", "0.50", "0.51", "1"});
  check(R"({"type": "number", "exclusiveMinimum": 0})", {"0.001", "1", "12.5"},
        {"0", "0.00", "-1"});
  check(R"({"type": "number", "minimum": 0.01, "multipleOf": 0.01})",
        {"0.01", "3", "3.00", "12.50", "7.3"}, {"0.001", "0", "1.005"});
  check(R"({"type": "number", "minimum": 0.5, "multipleOf": 0.25})", {"0.5", "12.75"}, {"0.25"});
  check(R"({"type": "number", "multipleOf": 3})", {"3", "-6.0", "0.00", "12.000"},
        {"3.1", "4", "0.3"});
  check(R"({"type": "integer", "multipleOf": 7})", {"0", "7", "-14", "343"}, {"1", "13"});
  check(R"({"minimum": 5, "exclusiveMinimum": true, "type": "integer"})", {"6"}, {"5", "4"});
}

TEST_CASE("schema: strings") {
  check(R"({"type": "string", "minLength": 2, "maxLength": 3})",
        {"\"ab\"", "\"\\n\\u0041\\ud83d\\ude00\"", "\"\xC3\xA9\xE4\xB8\xAD\""},
        {"\"a\"", "\"abcd\"", "\"\\u0041\""});
  check(R"({"type": "string", "pattern": "^a[\"\\\\]b$"})", {R"("a\"b")", R"("a\\b")"},
        {R"("a"b")", R"("a\b")"});
  check(R"({"type": "string", "pattern": "b+", "maxLength": 3})", {"\"abc\"", "\"b\""},
        {"\"\"", "\"abbb\"", "\"aaa\""});
  check(R"({"type": "string", "format": "date"})", {"\"2024-02-29\"", "\"2023-12-31\""},
        {"\"2023-02-29\"", "\"2023-13-01\"", "\"1900-02-29\"", "\"2024-04-31\""});
  check(R"({"type": "string", "format": "date-time"})", {"\"2024-02-29T23:59:59.5Z\""},
        {"\"2024-02-29\"", "\"2024-02-29T24:00:00Z\""});
  check(R"({"type": "string", "format": "ipv4"})", {"\"192.168.0.1\"", "\"255.255.255.255\""},
        {"\"256.1.1.1\"", "\"1.1.1\"", "\"01.1.1.1\""});
  check(R"({"type": "string", "format": "uuid"})", {"\"2eb8aa08-aa98-11ea-b4aa-73b441d16380\""},
        {"\"2eb8aa08-aa98-11ea-b4aa-73b441d1638\""});
}

TEST_CASE("schema: enum and const") {
  check(R"({"enum": ["a\"b", 1, null, [1, {"x": 2}]]})",
        {R"("a\"b")", "1", "null", R"([ 1,{"x" :2}])"}, {"\"a\"", "2", "[1]"});
  check(R"({"enum": ["red", "green", 7, 7.5], "type": "number", "maximum": 7.2})", {"7"},
        {"7.5", "\"red\""});
  check(R"({"type": ["string", "number"], "enum": [1, "a"], "minimum": 3, "maximum": 2})",
        {"\"a\""}, {"1"});
  check(R"({"const": {"a": 1}})", {"{\"a\":1}"}, {"{}", "{\"a\":2}"});
}

TEST_CASE("schema: arrays") {
  check(R"({"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3})",
        {"[1]", "[ 1 , 2,3 ]"}, {"[]", "[1,2,3,4]", "[\"a\"]"});
  check(R"({"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}],
            "items": {"type": "null"}})",
        {"[]", "[1]", "[1,\"a\"]", "[1,\"a\",null,null]"}, {"[\"a\"]", "[1,\"a\",1]"});
  check(R"({"type": "array", "prefixItems": [{"const": 1}, {"const": 2}], "items": false,
            "minItems": 2})",
        {"[1,2]"}, {"[1]", "[1,2,3]"});
}

TEST_CASE("schema: objects") {
  check(R"({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}},
            "required": ["b"], "additionalProperties": false})",
        {R"({"a":1,"b":"x"})", R"({"b":"x"})"},
        {"{}", R"({"a":1})", R"({"b":"x","c":1})", R"({"b":1})", R"({"b":"x",})"});
  // Others, anywhere; but not what a name has another schema for, however it is written.
  check(R"({"type": "object", "properties": {"foo": {"type": "integer"}}})",
        {R"({"bar":null,"foo":1,"fo":[]})", R"({"fooo":"x"})", "{}"},
        {R"({"foo":"x"})", R"({"f\u006fo":"x"})"});
  check(R"({"type": "object", "patternProperties": {"^n": {"type": "integer"}},
            "additionalProperties": {"type": "string"}, "properties": {"nx": {"minimum": 5}}})",
        {R"({"nx":5,"ny":1,"z":"z"})"}, {R"({"nx":4})", R"({"ny":"y"})", R"({"z":1})"});
  check(R"({"type": "object", "propertyNames": {"pattern": "^[a-z]+$"}, "maxProperties": 2})",
        {R"({"a":1,"b":2})", "{}"}, {R"({"A":1})", R"({"a":1,"b":2,"c":3})"});
  check(R"({"type": "object", "properties": {"a": {}, "b": {}}, "minProperties": 2})",
        {R"({"a":1,"b":2})", R"({"a":1,"x":2})"}, {R"({"a":1})", R"({"x":1,"x":2})"});
  GrammarOptions closed;
  closed.json.open_objects = false;
  check(R"({"properties": {"a": true}, "type": "object"})", {"{}", R"({"a":1})"}, {R"({"b":1})"},
        closed);
  check(R"({"type": "object"})", {R"({"b":1})"}, {}, closed);
}

TEST_CASE("schema: references and combinations") {
  check(R"({"$ref": "#/$defs/list", "$defs": {"list": {"type": "object", "properties":
            {"next": {"$ref": "#/$defs/list"}}, "additionalProperties": false}}})",
        {R"({"next":{"next":{}}})"}, {R"({"next":1})"});
  check(R"({"anyOf": [{"type": "integer"}, {"type": "string", "maxLength": 1}], "minimum": 3})",
        {"3", "\"a\""}, {"2", "\"ab\"", "null"});
  check(R"({"allOf": [{"properties": {"a": {"minimum": 3}}}, {"required": ["a"]}], "type": "object",
            "properties": {"a": {"type": "integer"}}})",
        {R"({"a":3})"}, {R"({"a":2})", "{}"});
  check(R"({"oneOf": [{"type": "object", "properties": {"k": {"const": "x"}}, "required": ["k"]},
            {"type": "object", "properties": {"k": {"const": "y"}, "v": {"type": "integer"}},
             "required": ["k", "v"]}]})",
        {R"({"k":"x"})", R"({"k":"y","v":1})"}, {R"({"k":"y"})", R"({"k":"z"})"});
  check(R"({"oneOf": [{"maximum": 3, "type": "number"}, {"minimum": 4, "type": "integer"}]})",
        {"3", "4"}, {"3.5"});
}

TEST_CASE("schema: not, if, dependencies, contains; oneOf whose alternatives overlap") {
  check(R"({"not": {"type": "integer"}, "type": ["number", "string"]})", {"1.5", "\"\""},
        {"1", "1.0", "null"});
  check(R"({"type": "boolean", "not": {"const": false}})", {"true"}, {"false"});
  check(R"({"type": "integer", "not": {"minimum": 9, "exclusiveMaximum": 15}})", {"8", "15"},
        {"9"});
  check(R"({"type": "integer", "not": {"minimum": 9, "exclusiveMinimum": true}})", {"9"}, {"10"});
  check(R"({"oneOf": [{"enum": ["q", false]}, {"type": "boolean"}]})", {"\"q\"", "true"},
        {"false"});
  check(R"({"type": "string", "not": {"enum": ["a", "b"]}})", {"\"c\"", "\"aa\""},
        {"\"a\"", "\"\\u0061\""});
  check(R"({"not": {"type": "object", "properties": {"k": {"type": "string"}}}})",
        {R"({"k":1})", "3"}, {R"({"k":"x"})", "{}"});
  check(R"({"type": "object", "properties": {"a": {}}, "not": {"required": ["a"]}})",
        {R"({"b":1})", "{}"}, {R"({"a":1})"});
  check(R"({"type": "object", "properties": {"kind": {"enum": ["s", "i"]}, "v": {}},
            "required": ["kind", "v"], "additionalProperties": false,
            "if": {"properties": {"kind": {"const": "s"}}},
            "then": {"properties": {"v": {"type": "string"}}},
            "else": {"properties": {"v": {"type": "integer"}}}})",
        {R"({"kind":"s","v":"x"})", R"({"kind":"i","v":7})"},
        {R"({"kind":"s","v":7})", R"({"kind":"i","v":"x"})"});
  check(
      R"({"type": "object", "properties": {"a": {}, "b": {}}, "dependentRequired": {"a": ["b"]}})",
      {R"({"a":1,"b":2})", R"({"b":2})", "{}"}, {R"({"a":1})"});
  check(R"({"type": "array", "items": {"type": "integer"}, "contains": {"minimum": 5}})",
        {"[1,7,2]", "[5]"}, {"[]", "[1,2]", "[7,\"a\"]"});
  check(R"({"oneOf": [{"type": "integer"}, {"minimum": 2}]})", {"1", "2.5", "-3"}, {"3", "1.5"});
  GrammarOptions any;
  any.json.any_order = true;
  check(R"({"type": "object", "properties": {"a": {"type": "integer"}, "b": {}, "c": {}},
            "required": ["a", "b"], "additionalProperties": false})",
        {R"({"b":1,"a":2})", R"({"c":1,"b":2,"a":3})"},
        {R"({"b":1})", R"({"b":1,"a":2,"b":3})", R"({"b":1,"a":"x"})"}, any);
}

TEST_CASE("schema: references by URI and anchor") {
  check(
      R"({"$id": "http://example.com/root/schema.json", "allOf": [{"$ref": "../other/./item.json#name"}],
            "$defs": {
              "decoy": {"enum": [{"$id": "http://example.com/other/item.json"}]},
              "item": {"$id": "/other/item.json", "$defs": {
                "part": {"type": "integer"},
                "named": {"$anchor": "name", "$ref": "#/$defs/part"}}},
              "part": {"type": "string"}}})",
      {"7"}, {"null", "\"a\""});
  check(R"({"$id": "urn:a:b", "allOf": [{"$ref": "urn:a:b#/$defs/a%25~1b"}],
            "$defs": {"a%/b": {"$dynamicRef": "#x"}, "c": {"$dynamicAnchor": "x", "const": 1}}})",
        {"1"}, {"2"});
  // Until draft 7, what stands beside $ref means nothing.
  check(R"({"$schema": "http://json-schema.org/draft-07/schema#", "$ref": "#/definitions/a",
            "maximum": 3, "definitions": {"a": {"type": "integer"}}})",
        {"7"}, {"\"\""});
  check(R"({"$ref": "#/$defs/a", "maximum": 3, "$defs": {"a": {"type": "integer"}}})", {"3"},
        {"7"});
}

TEST_CASE("schema: whether JSON is valid, however it is written") {
  const auto valid = [](std::string_view text, std::string_view schema) {
    const auto result = valid_json(text, schema);
    CAPTURE(schema);
    REQUIRE_MESSAGE(result, result.error().message());
    return *result;
  };
  std::string many = R"({"type": "object", "additionalProperties": false, "properties": {)";
  std::string text = "{";
  for (int i = 0; i < 40; ++i) {
    many += (i > 0 ? ",\"m" : "\"m") + std::to_string(i) + R"(": {"type": "integer"})";
    text += (i > 0 ? ",\"m" : "\"m") + std::to_string(39 - i) + "\": 1";
  }
  many += R"(}, "required": ["m0", "m39"]})";
  CHECK(valid(text + "}", many));
  CHECK(!valid(text + ", \"m40\": 1}", many));
  CHECK(valid(R"({"m39":1,"m0":1e2})", many));
  CHECK(!valid(R"({"m39":1,"m1":1})", many));
  CHECK(valid(R"( "\u0061\/\ud83d\uDE00" )", R"({"pattern": "^a/.$", "type": "string"})"));
  CHECK(valid("1.00e1", R"({"const": 10, "maximum": 10})"));
  CHECK(valid(R"({"b": [1.0], "a": {}})", R"({"enum": [3, {"a": {}, "b": [1]}]})"));
  CHECK(valid(R"({"x":1,"x":2})", R"({"maxProperties": 1})"));
  CHECK(valid(R"({"x":1,"y":2})", R"({"minProperties": 2})"));
  CHECK(!valid("{} {}", "true"));
  CHECK(!valid("null", "false"));
  CHECK(!valid("[1]", R"({"items": false, "minItems": 1})"));
  CHECK(!valid_json("1", R"({"uniqueItems": true})"));
}

TEST_CASE("schema: contains, so many times and beside other keywords") {
  check(R"({"type": "array", "prefixItems": [{"type": "null"}], "items": {"type": "integer"},
            "contains": {"minimum": 5, "type": "integer"}, "minContains": 2, "maxContains": 3,
            "maxItems": 6})",
        {"[null,7,1,9]", "[null,5,6,7,1,2]"},
        {"[null,7,1]", "[null,5,6,7,8]", "[7,8]", "[null,5,5,5,1,2,3]"});
  check(R"({"type": "array", "contains": {"type": "string"}, "minContains": 0, "maxContains": 1})",
        {"[]", "[1,\"a\"]"}, {"[\"a\",\"b\"]"});
}

TEST_CASE("schema: what no other keyword has evaluated") {
  check(R"({"type": "object", "properties": {"a": true}, "anyOf": [
              {"properties": {"b": {"const": 1}}, "required": ["b"]},
              {"properties": {"c": {"const": 2}}, "required": ["c"]}],
            "unevaluatedProperties": false})",
        {R"({"b":1})", R"({"a":0,"c":2})", R"({"b":1,"c":2})"},
        {R"({"b":0})", R"({"b":1,"d":2})", R"({"a":0})", R"({"b":1,"c":3})"});
  // Of a cousin nothing is known.
  check(R"({"type": "object", "allOf": [{"properties": {"a": true}},
                                        {"unevaluatedProperties": false}]})",
        {"{}"}, {R"({"a":1})"});
  check(R"({"type": "object", "properties": {"k": {"enum": ["x", "y"]}},
            "if": {"properties": {"k": {"const": "x"}}, "required": ["k"]},
            "then": {"properties": {"v": {"type": "integer"}}}, "unevaluatedProperties": false})",
        {R"({"k":"x","v":1})", R"({"k":"y"})"}, {R"({"k":"y","v":1})", R"({"k":"x","w":1})"});
  check(R"({"type": "array", "allOf": [{"prefixItems": [{"type": "integer"}]}],
            "unevaluatedItems": {"type": "string"}})",
        {"[]", "[1]", "[1,\"a\"]"}, {"[\"a\"]", "[1,2]"});
  check(R"({"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "array",
            "contains": {"type": "string"}, "unevaluatedItems": {"type": "integer"}})",
        {"[1,\"a\",2,\"b\"]"}, {"[1]", "[\"a\",null]"});
}

TEST_CASE("schema: negations of items, of branches, and within themselves") {
  check(R"({"type": "array", "not": {"items": {"type": "integer"}}})", {"[1,\"a\"]"},
        {"[]", "[1,2]"});
  check(R"({"type": "array", "not": {"prefixItems": [{"const": 1}, {"const": 2}]}})",
        {"[3]", "[1,3]"}, {"[1,2]", "[1]", "[]"});
  check(R"({"type": "integer", "not": {"oneOf": [{"minimum": 3}, {"maximum": 5}]}})", {"3", "5"},
        {"2", "6"});
  check(R"({"type": "array", "not": {"contains": {"const": 1}}})", {"[]", "[2]"}, {"[2,1]"});
  check(R"({"type": "object", "not": {"$ref": "#/$defs/list"}, "$defs": {"list": {
              "type": "object", "required": ["v"], "properties": {"next": {"$ref": "#/$defs/list"}}}}})",
        {"{}", R"({"v":1,"next":{"v":1,"next":{"v":1,"next":{}}}})"},
        {R"({"v":1})", R"({"v":1,"next":{"v":1}})"});
}

TEST_CASE("schema: negations of listed arrays and objects leave all others") {
  check(R"({"type": "array", "not": {"const": [1, "a"]}})",
        {"[]", "[1]", "[1,\"b\"]", "[2,\"a\"]", "[1,\"a\",null]", "[[],\"a\"]"},
        {"[1,\"a\"]", "[ 1.0, \"\\u0061\" ]", "1"});
  check(R"({"not": {"enum": [3, [], {"a": [1, {}], "b": null}]}})",
        {"4", "\"3\"", "[0]", "{}", R"({"a":[1,{}]})", R"({"b":null,"a":[1,{"c":2}]})",
         R"({"a":[1,[]],"b":null})", R"({"a":[1,{}],"b":0})", R"({"a":[1,{}],"b":null,"c":0})"},
        {"3", "[]", R"({"a":[1,{}],"b":null})", R"({ "b":null, "a":[1.0,{ }] })"});
  check(R"({"not": {"not": {"const": [{}]}}})", {"[{}]"}, {"[]", "{}", "[{},{}]"});
  check(R"({"oneOf": [{"const": [1]}, {"type": "array", "items": {"type": "integer"}}]})",
        {"[]", "[2]", "[1,1]"}, {"[1]", "1"});
  check(R"({"if": {"enum": [{"a": 1}]}, "then": true, "else": {"required": ["b"]},
            "type": "object"})",
        {R"({"a":1})", R"({"a":2,"b":1})", R"({"a":1,"b":1})"}, {"{}", R"({"a":2})"});
  constexpr std::string_view kNotPair = R"({"not": {"const": {"k": [0.5]}}})";
  for (const std::string_view text : {R"({"k":[5e-1]})", R"({"k":[0.25]})"}) {
    const auto is_valid = valid_json(text, kNotPair);
    REQUIRE(is_valid);
    CHECK(*is_valid == (text != R"({"k":[5e-1]})"));
  }
  std::string many = R"({"not": {"const": [0)";
  for (int i = 0; i < 256; ++i) many += ",0";
  CHECK(error_of(many + "]}}") ==
        "schema #/not/const: the negation of an array or object with over 256 parts");
}

TEST_CASE("schema: counts whose product does not fit 64 bits") {
  std::string object = R"({"type": "object", "minProperties": 536870911,
                           "maxProperties": 536870911, "properties": {"a": true)";
  for (char name = 'b'; name < 'p'; ++name) {
    object.append(", \"").append(1, name).append("\": true");  // 15 in all
  }
  CHECK(error_of(object + "}}") ==
        "schema #: minProperties or maxProperties too large for so many members");
  CHECK(error_of(R"({"type": "array", "maxItems": 268435455, "allOf": [
                        {"contains": {"const": 0}, "minContains": 4095},
                        {"contains": {"const": 1}, "minContains": 4095},
                        {"contains": {"const": 2}, "minContains": 4095}]})") ==
        "schema #: contains beside more items than can be counted");
  CHECK(error_of(R"({"not": {"maxLength": 9223372036854775807}})") ==
        "schema #/not: the keyword not with a schema that cannot be negated is not supported");
}

TEST_CASE("schema: unique items of listed values") {
  check(R"({"type": "array", "uniqueItems": true, "minItems": 1, "maxItems": 3,
      "items": {"$ref": "#/$defs/tag"},
      "$defs": {"tag": {"type": "string", "enum": ["a", "b", "c", "d", "a", 5]}}})",
        {R"(["a"])", R"(["d","b"])", R"([ "c", "a", "d" ])"},
        {"[]", R"(["a","a"])", R"(["a","b","a"])", R"(["a","b","c","d"])", "[5]", R"(["e"])"});
  check(R"({"uniqueItems": true, "items": {"enum": [1, 2.5, 2.50, 3], "maximum": 2.5}})",
        {"[]", "[2.5, 1]", "\"no array\""}, {"[2.5, 2.5]", "[3]", "[1, 2.5, 1]"});
  check(
      R"({"uniqueItems": true, "minItems": 3, "items": {"enum": [1, 2]}, "type": ["array", "null"]})",
      {"null"}, {"[1, 2]", "[1, 2, 1]", "[]"});
  constexpr std::string_view kNumbers = R"({"uniqueItems": true, "items": {"enum": [1, 2]}})";
  for (const std::string_view text : {"[]", "[1.0, 2]", "[2, 1]"}) {
    CAPTURE(text);
    const auto is_valid = valid_json(text, kNumbers);
    REQUIRE(is_valid);
    CHECK(*is_valid);
  }
  const auto again = valid_json("[1, 1.0]", kNumbers);
  REQUIRE(again);
  CHECK_FALSE(*again);
  for (const std::string_view schema :
       {R"({"uniqueItems": true, "items": {"enum": [1, 2, 3, 4, 5, 6, 7, 8, 9]}})",
        R"({"uniqueItems": true, "items": {"enum": [1]}, "contains": true})",
        R"({"uniqueItems": true, "items": {"enum": [1], "anyOf": [true, false]}})",
        R"({"uniqueItems": true, "prefixItems": [{"const": 1}], "items": {"enum": [1]}})"}) {
    CHECK(error_of(schema).find("uniqueItems") != std::string::npos);
  }
}

TEST_CASE("schema: what cannot be kept is named") {
  CHECK(error_of(R"({"properties": {"a": {"not": {"format": "date"}}}})") ==
        "schema #/properties/a/not: the keyword not with a schema that cannot be negated is not "
        "supported");
  CHECK(error_of(R"({"type": "array", "uniqueItems": true})") ==
        "schema #: uniqueItems is supported for items that are one of up to 8 values only");
  CHECK(error_of(R"({"oneOf": [{"items": true}, {"additionalProperties": true}]})") ==
        "schema #/oneOf: a value may be valid by alternatives 0 and 1 of oneOf, and nothing that "
        "grammars can say excludes it");
  CHECK(error_of(R"({"$ref": "other.json"})") ==
        "schema #/$ref: a $ref to another document is not supported");
  CHECK(error_of(R"({"$ref": "#/$defs/x"})") == "schema #/$ref: there is nothing at that place");
  CHECK(error_of(R"({"$id": "http://x/a", "allOf": [{"$id": "b", "$ref": "c"}]})") ==
        "schema #/allOf/0/$ref: a $ref to another document is not supported");
  CHECK(error_of(R"({"allOf": [{"$id": "b", "$ref": "#/definitions/a"}]})") ==
        "schema #/allOf/0/$ref: what an $id beside $ref means depends on the draft: $schema is "
        "needed");
  CHECK(error_of(R"-({"type": "string", "pattern": "a(?=b)"})-") ==
        "schema #/pattern: pattern, byte 4: a look-ahead, (?= or (?! is not supported");
  CHECK(error_of(R"({"type": "string", "format": "regex"})") ==
        "schema #/format: the format regex is not supported");
  CHECK(error_of(R"({"type": "text"})") ==
        "schema #/type: expected the name of a type, or several");
  CHECK(error_of(R"({"type": )").find("line 1") != std::string::npos);
  CHECK(error_of("false") ==
        "no text has this form: rule root has no alternative that comes to an end");
}
