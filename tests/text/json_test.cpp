#include "inlay/text/json.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <random>
#include <string>

#include "support/counting_allocator.hpp"

using namespace inlay;
using namespace std::string_literals;

namespace {

std::string written(const JsonValue& value) {
  detail::String out;
  REQUIRE(detail::append_json(&out, value));
  return std::string(detail::view(out));
}

std::string error_of(const std::string& text, const JsonOptions& options = {}) {
  const auto document = JsonDocument::parse(text, options);
  return document ? "accepted: " + written(document->root()) : document.error().message();
}

}  // namespace

TEST_CASE("json: every type of value") {
  const auto document = JsonDocument::parse(
      R"( {"null":null,"yes":true,"no":false,"int":-12,"big":12345678901234567890,"real":1.50,
           "exp":2e3,"text":"a\u00e9\ud83d\ude00\n\"\\\/","empty":"","list":[1,[],{}],"object":{"k":"v"}} )");
  REQUIRE(document);
  const JsonValue& root = document->root();
  REQUIRE(root.is_object());
  CHECK(root.members().size() == 11);
  CHECK(root.members()[0].key == "null");
  CHECK(root.find("null")->is_null());
  CHECK(root.find("yes")->boolean());
  CHECK_FALSE(root.find("no")->boolean());
  CHECK(root.find("int")->type() == JsonType::integer);
  CHECK(root.find("int")->integer() == -12);
  CHECK(root.find("int")->number() == -12.0);
  CHECK(root.find("big")->type() == JsonType::number);
  CHECK(root.find("big")->text() == "12345678901234567890");
  CHECK(root.find("big")->number() == 12345678901234567890.0);
  CHECK(root.find("real")->text() == "1.50");
  CHECK(root.find("exp")->number() == 2000.0);
  CHECK(root.find("text")->text() == "a\xc3\xa9\xf0\x9f\x98\x80\n\"\\/");
  CHECK(root.find("empty")->is_string());
  CHECK(root.find("list")->items().size() == 3);
  CHECK(root.find("list")->items()[2].is_object());
  CHECK(root.find("object")->find("k")->text() == "v");
  CHECK(root.find("missing") == nullptr);
  // Of another type: nothing, not what lies there.
  CHECK(root.integer() == 0);
  CHECK(root.text().empty());
  CHECK(root.items().empty());
  CHECK(root.find("list")->find("k") == nullptr);
  CHECK(root.find("text")->members().empty());
}

// In the manner of Nicolas Seriot's JSONTestSuite, whose cases were not copied.
TEST_CASE("json: what is valid") {
  for (const std::string& text : {"0"s,
                                  "-0"s,
                                  "-0.0"s,
                                  "1E+2"s,
                                  "1e-2"s,
                                  "123e65"s,
                                  "true"s,
                                  "null"s,
                                  "\"\""s,
                                  "[]"s,
                                  "{}"s,
                                  "[[]   ]"s,
                                  "\t[\r\n1 ]\n"s,
                                  "\"\x7f\""s,
                                  "\"\xe2\x80\xa8\""s,
                                  "\"\\u0000\""s,
                                  "\"\\uD801\\udc37\""s,
                                  "\"\\uFFFF\""s,
                                  "{\"\":0}"s,
                                  "{\"a\":{\"b\":[{}]}}"s,
                                  "[1,null,\"\",{},[]]"s,
                                  "\"\xf4\x8f\xbf\xbf\""s}) {
    CHECK_MESSAGE(JsonDocument::parse(text), text);
  }
  const std::string deep(512, '[');
  CHECK(JsonDocument::parse(deep + std::string(512, ']')));
  CHECK(std::isinf(JsonDocument::parse("-1e999")->root().number()));
}

TEST_CASE("json: what is not") {
  for (const std::string& text : {""s,
                                  " "s,
                                  "[1,]"s,
                                  "[,1]"s,
                                  "[1 2]"s,
                                  "[1"s,
                                  "["s,
                                  "]"s,
                                  "{"s,
                                  "{]"s,
                                  "{\"a\"}"s,
                                  "{\"a\" 1}"s,
                                  "{\"a\":}"s,
                                  "{\"a\":1,}"s,
                                  "{a:1}"s,
                                  "{'a':1}"s,
                                  "{1:1}"s,
                                  "{,}"s,
                                  "01"s,
                                  "-"s,
                                  "-01"s,
                                  "+1"s,
                                  ".5"s,
                                  "1."s,
                                  "1.e1"s,
                                  "1e"s,
                                  "1e+"s,
                                  "0x10"s,
                                  "1_0"s,
                                  "NaN"s,
                                  "Infinity"s,
                                  "-Infinity"s,
                                  "nul"s,
                                  "True"s,
                                  "truefalse"s,
                                  "1 2"s,
                                  "[]]"s,
                                  "{}}"s,
                                  "\""s,
                                  "\"\\\""s,
                                  "\"\\x41\""s,
                                  "\"\\u12g4\""s,
                                  "\"\\u-123\""s,
                                  "\"\\uD800\""s,
                                  "\"\\uDC00\""s,
                                  "\"\\uD800\\u0041\""s,
                                  "\"\\uD800\\n\""s,
                                  "\"\t\""s,
                                  "\"\n\""s,
                                  "\"\0\""s,
                                  "[\0]"s,
                                  "1\0"s,
                                  "'a'"s,
                                  "/**/1"s,
                                  "1//"s,
                                  "\xef\xbb\xbf[]"s,
                                  "\"\xff\""s,
                                  "\"\xc0\xaf\""s,
                                  "\"\xed\xa0\x80\""s,
                                  "\"\xf4\x90\x80\x80\""s,
                                  "\"\xe2\x82\""s,
                                  "\xc2\xa0[]"s,
                                  "\f[]"s,
                                  "[\"a\",\n4\n,1,"s,
                                  "{\"a\":\"b\",\"c\""s,
                                  "[\"\\u00A\"]"s,
                                  "[1,,2]"s,
                                  "[3[4]]"s}) {
    const auto document = JsonDocument::parse(text);
    CHECK_MESSAGE(!document, text);
    if (!document) CHECK(document.error().code() == ErrorCode::bad_argument);
  }
  CHECK(error_of("{\"a\": [1,\n  2 3]}") ==
        "JSON, line 2, column 5 (byte 14): expected ',' or ']', found '3'");
  CHECK(error_of("[\"a\n") == "JSON, line 1, column 4 (byte 3): expected '\"', found byte 10");
  CHECK(error_of("{\"a\":") ==
        "JSON, line 1, column 6 (byte 5): expected a value, found the end of the text");
}

TEST_CASE("json: bounds") {
  JsonOptions options;
  options.depth = 2;
  CHECK(JsonDocument::parse("[{}]", options));
  CHECK(error_of("[[[]]]", options) ==
        "JSON, byte 2: more than 2 arrays and objects in one another");
  CHECK(JsonDocument::parse(std::string(1000000, '[')).error().code() == ErrorCode::unsupported);
  options = {};
  options.memory = 10000;
  CHECK(JsonDocument::parse("\"" + std::string(5000, 'x') + "\"", options));
  CHECK(JsonDocument::parse("\"" + std::string(20000, 'x') + "\"", options).error().code() ==
        ErrorCode::out_of_memory);
}

TEST_CASE("json: a key that comes twice keeps its place and gets the last value") {
  const auto document = JsonDocument::parse(R"({"a":1,"b":2,"a":3,"":4,"c":5,"a":6,"":7})");
  REQUIRE(document);
  CHECK(written(document->root()) == R"({"a":6,"b":2,"":7,"c":5})");
}

TEST_CASE("json: what is written reads back as the same") {
  for (const std::string& text :
       {R"({"a":[1,2.50,{"b":null}],"z":[],"q":{},"s":"x\"\\\n\u0001 é","t":[true,false]})"s,
        R"("")"s, "-1e5"s, "[[[[]]],{}]"s}) {
    const auto document = JsonDocument::parse(text);
    REQUIRE_MESSAGE(document, text);
    CHECK(written(document->root()) == text);
  }
  detail::String out;
  REQUIRE(detail::append_json_string(&out, "\xc3\xa9\xf0\x9f\x98\x80\x07/<", true));
  CHECK(detail::view(out) == R"("\u00e9\ud83d\ude00\u0007/<")");
}

TEST_CASE("when any one allocation fails, json leaks nothing and says so") {
  const std::string text = R"({"a":[1,{"b":"c\n"},[[]]],"d":")" + std::string(5000, 'x') + "\"}";
  size_t k = 0;
  for (;; ++k) {
    inlay_test::CountingAllocator memory(k);
    JsonOptions options;
    options.allocator = memory.get();
    {
      const auto document = JsonDocument::parse(text, options);
      CHECK(document.has_value() != memory.failed());
      if (!document) CHECK(document.error().code() == ErrorCode::out_of_memory);
    }
    CHECK(memory.live_blocks() == 0);
    CHECK(memory.wrong_releases() == 0);
    if (!memory.failed()) break;
  }
  CHECK(k > 4);
}

TEST_CASE("json: texts with bytes changed are read or refused, and what is read is stable") {
  const std::string original =
      R"({"a":[1,2.5e3,{"b":null}],"e":"\ud83d\ude00\u0000é","z":[true,false,{}],"k":-7})";
  std::mt19937 random(7);
  size_t accepted = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string text = original;
    for (uint64_t n = 1 + random() % 3; n > 0; --n) {
      const size_t at = random() % text.size();
      switch (random() % 3) {
        case 0:
          text[at] = R"({}[]",:\u0123456789-+.eEtrfalsn )"[random() % 32];
          break;
        case 1:
          text.erase(at, 1 + random() % 4);
          break;
        default:
          text.insert(at, text.substr(random() % text.size(), random() % 8));
      }
      if (text.empty()) text = "0";
    }
    const auto document = JsonDocument::parse(text);
    if (!document) {
      CHECK(document.error().code() == ErrorCode::bad_argument);
      continue;
    }
    ++accepted;
    const std::string once = written(document->root());
    const auto again = JsonDocument::parse(once);
    REQUIRE_MESSAGE(again, once);
    CHECK(written(again->root()) == once);
  }
  CHECK(accepted > 1000);
}
