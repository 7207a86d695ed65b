#include "inlay/chat/tool_grammar.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "inlay/grammar/grammar.hpp"
#include "inlay/grammar/matcher.hpp"
#include "support/vocabularies.hpp"

using namespace inlay;

namespace {

constexpr std::string_view kTools = R"([
  {"type":"function","function":{"name":"weather","parameters":{"type":"object",
    "properties":{"city":{"type":"string"},"days":{"type":"integer","minimum":1,"maximum":9},
                  "unit":{"type":"string","enum":["c","f"]},"at":{"$ref":"#/$defs/point"},
                  "extra":{"type":"object"}},
    "required":["city"],"$defs":{"point":{"type":"array","items":{"type":"number"},"minItems":2,"maxItems":2}}}}},
  {"name":"q\"x"},
  {"name":"noop","parameters":{"type":"object","properties":{}}}])";

Result<ToolGrammar> grammar_of(ToolSyntax tools) {
  ChatFormat format;
  format.tools = tools;
  return ToolGrammar::create(format, kTools);
}

// Whether the calls may be written as they are, behind some other text.
bool matches(ToolSyntax tools, const std::string& text) {
  const auto made = grammar_of(tools);
  REQUIRE(made);
  GrammarOptions options;
  made->set(&options);
  const auto grammar = Grammar::from_gbnf(made->gbnf(), options);
  if (!grammar) FAIL(grammar.error().message() << "\n" << std::string(made->gbnf()));
  auto matcher = GrammarMatcher::create(*grammar);
  REQUIRE(matcher);
  REQUIRE(*matcher->accept("I will call a tool."));
  CHECK_FALSE(matcher->awake());
  const auto accepted = matcher->accept(text);
  REQUIRE(accepted);
  if (!*accepted) return false;
  CHECK(matcher->awake());
  return matcher->may_end() && !*matcher->accept("x");
}

}  // namespace

TEST_CASE("tool grammar: Hermes and Qwen") {
  const auto hermes = [](const std::string& json) {
    return matches(ToolSyntax::hermes, "<tool_call>\n" + json + "\n</tool_call>");
  };
  CHECK(hermes(R"({"name": "weather", "arguments": {"city": "a\n\"b\u00e9", "days": 3}})"));
  CHECK(hermes(R"({"name": "weather", "arguments": {"city": "x", "at": [1, -2.5e3]}})"));
  CHECK(hermes(R"({"name": "weather", "arguments": {"city": "x", "extra": {"k": [null]}}})"));
  CHECK(hermes(R"({"name": "q\"x", "arguments": {"any": 1}})"));
  CHECK(hermes(R"({"name": "noop", "arguments": {}})"));
  CHECK(hermes(R"({"name": "noop", "arguments": {}}
</tool_call>
<tool_call>
{"name": "weather", "arguments": {"city":""}})"));
  CHECK_FALSE(hermes(R"({"name": "other", "arguments": {}})"));
  CHECK_FALSE(hermes(R"({"name": "weather", "arguments": {}})"));
  CHECK_FALSE(hermes(R"({"name": "weather", "arguments": {"city": 1}})"));
  CHECK_FALSE(hermes(R"({"name": "weather", "arguments": {"city": "x", "days": 10}})"));
  CHECK_FALSE(hermes(R"({"name": "weather", "arguments": {"city": "x", "unit": "k"}})"));
  CHECK_FALSE(hermes(R"({"name": "weather", "arguments": {"city": "x", "at": [1]}})"));
  CHECK_FALSE(hermes(R"({"name": "weather", "arguments": {"city": "x", "other": 1}})"));
  CHECK_FALSE(hermes(R"({"name": "noop", "arguments": {"x": 1}})"));
  CHECK_FALSE(hermes(R"({"name": "noop", "arguments": []})"));
}

TEST_CASE("tool grammar: Qwen3-Coder's parameters are typed by the schema") {
  const auto coder = [](const std::string& name, const std::string& parameters) {
    return matches(ToolSyntax::qwen3_coder, "<tool_call>\n<function=" + name + ">\n" + parameters +
                                                "</function>\n</tool_call>");
  };
  const auto parameter = [](const std::string& key, const std::string& value) {
    return "<parameter=" + key + ">\n" + value + "\n</parameter>\n";
  };
  const std::string city = parameter("city", "Bern");
  CHECK(coder("weather", city));
  CHECK(coder("weather", city + parameter("days", "3") + parameter("unit", "f") +
                             parameter("at", "[1, 2]") + parameter("extra", R"({"a": {}})")));
  for (const char* text :
       {"", "a < b", "</div>\n<p>", "<</param</parameter<", "12", "\n\n", "</parameter", "\"é\""})
    CHECK_MESSAGE(coder("weather", parameter("city", text)), text);
  CHECK(coder("noop", ""));
  CHECK(coder("q\"x", parameter("any-thing", "1") + parameter("b", "")));
  CHECK_FALSE(coder("weather", ""));
  CHECK_FALSE(coder("weather", city + parameter("days", "soon")));
  CHECK_FALSE(coder("weather", city + parameter("unit", "k")));
  CHECK_FALSE(coder("weather", city + parameter("at", "[1]")));
  CHECK_FALSE(coder("weather", city + parameter("other", "1")));
  CHECK_FALSE(coder("weather", parameter("city", "a</parameter>b")));
  CHECK_FALSE(coder("noop", city));
  CHECK_FALSE(coder("f", ""));
  CHECK(matches(ToolSyntax::qwen3_coder, "<function=noop>\n</function>\n</tool_call>"));
}

TEST_CASE("tool grammar: Llama 3") {
  CHECK(matches(
      ToolSyntax::llama3,
      R"({"name": "weather", "parameters": {"city": "x"}}; {"name": "noop", "parameters": {}})"));
  CHECK_FALSE(matches(ToolSyntax::llama3, R"({"name": "weather", "parameters": {"days": 1}})"));
}

TEST_CASE("tool grammar: Mistral, a list and one tag for each call") {
  CHECK(matches(ToolSyntax::mistral,
                R"([TOOL_CALLS][{"name": "noop", "arguments": {}, "id": "abcdefghi"}, )"
                R"({"name": "weather", "arguments": {"city": "x"}}])"));
  CHECK(matches(ToolSyntax::mistral, "[TOOL_CALLS]weather[ARGS]{\"city\": \"x\"}"));
  CHECK(matches(ToolSyntax::mistral,
                "[TOOL_CALLS]noop[CALL_ID]abcdefghi[ARGS]{}[TOOL_CALLS]noop[ARGS]{}"));
  CHECK_FALSE(matches(ToolSyntax::mistral, "[TOOL_CALLS]weather[ARGS]{}"));
  CHECK_FALSE(matches(ToolSyntax::mistral, "[TOOL_CALLS]other[ARGS]{}"));
}

TEST_CASE("tool grammar: DeepSeek R1, V3 and V3.1") {
  const std::string begin = "<｜tool▁call▁begin｜>", end = "<｜tool▁call▁end｜>";
  const std::string sep = "<｜tool▁sep｜>";
  const std::string fenced = "function" + sep + "weather\n```json\n{\"city\": \"x\"}\n```";
  CHECK(matches(ToolSyntax::deepseek, "<｜tool▁calls▁begin｜>" + begin + fenced + end + "\n" +
                                          begin + fenced + end + "<｜tool▁calls▁end｜>"));
  CHECK(matches(ToolSyntax::deepseek, begin + "noop" + sep + "{}" + end));
  CHECK_FALSE(matches(ToolSyntax::deepseek, begin + "weather" + sep + "{}" + end));
}

TEST_CASE("tool grammar: harmony, the channel before the recipient and behind it") {
  CHECK(matches(ToolSyntax::harmony,
                " to=functions.weather <|constrain|>json<|message|>{\"city\": \"x\"}<|call|>"));
  CHECK(matches(ToolSyntax::harmony,
                " to=functions.noop<|channel|>commentary json<|message|>{}<|call|>"));
  CHECK(matches(ToolSyntax::harmony, " to=functions.noop<|message|>{}<|call|>"));
  CHECK_FALSE(matches(ToolSyntax::harmony, " to=functions.weather<|message|>{}<|call|>"));
}

TEST_CASE("tool grammar: Gemma 4's own notation") {
  CHECK(
      matches(ToolSyntax::gemma4,
              "<|tool_call>call:weather{city:<|\"|>x y<|\"|>,days:3,unit:<|\"|>c<|\"|>,at:[1,2.5]}"
              "<tool_call|>"));
  CHECK(matches(ToolSyntax::gemma4, "<|tool_call>call:noop{}<tool_call|>"));
  CHECK_FALSE(matches(ToolSyntax::gemma4, "<|tool_call>call:weather{city:3}<tool_call|>"));
  CHECK_FALSE(
      matches(ToolSyntax::gemma4, "<|tool_call>call:weather{unit:<|\"|>k<|\"|>}<tool_call|>"));
}

TEST_CASE("tool grammar: GLM's parameters are typed by the schema, with line ends and without") {
  const auto parameter = [](const std::string& key, const std::string& value) {
    return "<arg_key>" + key + "</arg_key><arg_value>" + value + "</arg_value>";
  };
  const auto glm = [](const std::string& call) {
    return matches(ToolSyntax::glm4, "<tool_call>" + call + "</tool_call>");
  };
  const std::string city = parameter("city", "Bern");
  CHECK(glm("weather" + city));
  CHECK(glm("weather\n<arg_key>city</arg_key>\n<arg_value>Bern</arg_value>\n"));
  CHECK(glm("weather" + city + parameter("days", "3") + parameter("unit", "f") +
            parameter("at", "[1,2]")));
  CHECK(glm("noop</tool_call>\n<tool_call>noop"));
  CHECK(glm("q\"x" + parameter("any", "thing")));
  for (const char* text : {"", "a < b", "</arg>", "<</arg_value</arg_key><", "\n\n", "</arg_value"})
    CHECK_MESSAGE(glm("weather" + parameter("city", text)), text);
  CHECK_FALSE(glm("weather"));
  CHECK_FALSE(glm("weather" + city + parameter("days", "soon")));
  CHECK_FALSE(glm("weather" + city + parameter("unit", "k")));
  CHECK_FALSE(glm("weather" + city + parameter("other", "1")));
  CHECK_FALSE(glm("weather" + parameter("city", "a</arg_value>b")));
  CHECK_FALSE(glm("other"));
}

TEST_CASE("tool grammar: Kimi K2") {
  const auto kimi = [](const std::string& call) {
    return matches(ToolSyntax::kimi_k2,
                   "<|tool_calls_section_begin|>" + call + "<|tool_calls_section_end|>");
  };
  const auto call = [](const std::string& id, const std::string& json) {
    return "<|tool_call_begin|>" + id + "<|tool_call_argument_begin|>" + json + "<|tool_call_end|>";
  };
  CHECK(kimi(call("functions.weather:0", R"({"city": "x"})")));
  CHECK(kimi(call("functions.noop:0", "{}") + call("functions.weather:1", R"({"city": "x"})")));
  CHECK_FALSE(kimi(""));
  CHECK_FALSE(kimi(call("functions.weather:0", "{}")));
  CHECK_FALSE(kimi(call("functions.other:0", "{}")));
  CHECK_FALSE(kimi(call("noop:0", "{}")));
}

TEST_CASE("tool grammar: tags that are control tokens are written as those") {
  // Bytes, and the tokens of two formats; one of them ends the text.
  inlay_test::TokenList list;
  for (int byte = 0; byte < 256; ++byte)
    list.add(inlay_test::byte_character(static_cast<uint8_t>(byte)), 1);
  for (const char* tag : {"<|call|>", "<|channel|>", "<|constrain|>", "<|message|>", "[TOOL_CALLS]",
                          "[ARGS]", "<|start|>"}) {
    list.add(tag, 3);
  }
  inlay_test::GgufBuilder builder = list.file("gpt2");
  builder.string("tokenizer.ggml.pre", "gpt-2").strings("tokenizer.ggml.merges", {});
  builder.u32("tokenizer.ggml.eos_token_id", 256);
  const std::vector<uint8_t> bytes = builder.bytes();
  const auto file = Gguf::from_memory({bytes.data(), bytes.size()});
  REQUIRE(file);
  const auto tokenizer = Tokenizer::create(*file);
  REQUIRE(tokenizer);
  const auto vocabulary = GrammarVocabulary::create(*tokenizer);
  REQUIRE(vocabulary);
  // Whether all tokens of the text may come, one after another, and the end behind them.
  const auto writes = [&](ToolSyntax tools, const std::string& text) {
    ChatFormat format;
    format.tools = tools;
    const auto made = ToolGrammar::create(format, kTools, &*tokenizer);
    REQUIRE(made);
    GrammarOptions options;
    options.tokenizer = &*tokenizer;
    made->set(&options);
    const auto grammar = Grammar::from_gbnf(made->gbnf(), options);
    REQUIRE(grammar);
    auto matcher = GrammarMatcher::create(*grammar, *vocabulary);
    REQUIRE(matcher);
    std::vector<Token> tokens(Tokenizer::max_tokens(text.size()));
    TokenizeOptions plain;
    plain.add_special = false;
    const auto count = tokenizer->encode(text, {tokens.data(), tokens.size()}, plain);
    REQUIRE(count);
    for (size_t i = 0; i < *count; ++i) {
      if (!matcher->allows(tokens[i])) return false;
      const auto accepted = matcher->accept(tokens[i]);
      REQUIRE(accepted);
      CHECK(*accepted);
    }
    return matcher->awake() && matcher->allows(256);
  };
  const std::string before =
      "<|channel|>analysis<|message|>hm<|start|>assistant<|channel|>commentary";
  CHECK(writes(ToolSyntax::harmony,
               before + " to=functions.weather <|constrain|>json<|message|>{\"city\": \"x\"}"));
  CHECK_FALSE(
      writes(ToolSyntax::harmony, before + " to=functions.weather<|message|>{\"city\": 1}"));
  CHECK_FALSE(writes(ToolSyntax::harmony, before + " to=functions.other"));
  CHECK(writes(ToolSyntax::mistral, "Hm.[TOOL_CALLS]weather[ARGS]{\"city\": \"x\"}"));
  CHECK(writes(ToolSyntax::mistral, "[TOOL_CALLS][{\"name\": \"noop\", \"arguments\": {}}]"));
  CHECK_FALSE(writes(ToolSyntax::mistral, "[TOOL_CALLS]other"));
  CHECK_FALSE(writes(ToolSyntax::mistral, "[TOOL_CALLS]weather{"));
}

TEST_CASE("tool grammar: what cannot be made") {
  CHECK(grammar_of(ToolSyntax::none).error().code() == ErrorCode::unsupported);
  ChatFormat format;
  format.tools = ToolSyntax::hermes;
  for (const char* tools : {"", "{}", "[]", "[{}]", "[1]", R"([{"function":{"name":1}}])"})
    CHECK(ToolGrammar::create(format, tools).error().code() == ErrorCode::bad_argument);
  const auto made = ToolGrammar::create(
      format, R"([{"name":"f","parameters":{"type":"object","properties":{"x":{"type":5}}}}])");
  REQUIRE(made);
  GrammarOptions options;
  made->set(&options);
  const auto grammar = Grammar::from_gbnf(made->gbnf(), options);
  REQUIRE_FALSE(grammar);
  CHECK(std::string(grammar.error().message()).find("arguments-0") != std::string::npos);
}
