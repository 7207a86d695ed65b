#include "inlay/chat/output_parser.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "inlay/text/json.hpp"
#include "support/counting_allocator.hpp"

using namespace inlay;

namespace {

// Everything that was handed out, with consecutive texts joined.
struct Parts {
  std::string content, reasoning, calls;

  static void take(void* user, const ChatDelta& delta) {
    Parts& parts = *static_cast<Parts*>(user);
    const std::string text(delta.text);
    switch (delta.part) {
      case ChatPart::content:
        parts.content += text;
        break;
      case ChatPart::reasoning:
        parts.reasoning += text;
        break;
      case ChatPart::tool_call:
        parts.calls += text + (delta.id.empty() ? "" : "#" + std::string(delta.id)) + "(";
        break;
      case ChatPart::arguments:
        parts.calls += text;
        break;
      case ChatPart::tool_end:
        parts.calls += ")";
        break;
    }
  }
  std::string all() const { return "C:" + content + "|R:" + reasoning + "|T:" + calls; }
};

std::string parse(const ChatFormat& format, const std::string& text, size_t cut,
                  const std::string& prompt = {}, size_t step = SIZE_MAX) {
  Parts parts;
  ChatParserOptions options;
  options.format = format;
  options.prompt = prompt;
  ChatParser parser(options);
  const ChatSink sink = {&Parts::take, &parts};
  if (step == SIZE_MAX) {
    CHECK(parser.push(std::string_view(text).substr(0, cut), sink));
    CHECK(parser.push(std::string_view(text).substr(cut), sink));
  } else {
    for (size_t at = 0; at < text.size(); at += step)
      CHECK(parser.push(std::string_view(text).substr(at, step), sink));
  }
  CHECK(parser.finish(sink));
  return parts.all();
}

// The same, however the text is cut.
std::string parse_cut(const ChatFormat& format, const std::string& text,
                      const std::string& prompt = {}) {
  const std::string whole = parse(format, text, text.size(), prompt);
  for (size_t cut = 0; cut < text.size(); ++cut)
    CHECK_MESSAGE(parse(format, text, cut, prompt) == whole, "cut at " << cut);
  for (size_t step = 1; step < 5; ++step)
    CHECK_MESSAGE(parse(format, text, 0, prompt, step) == whole, "steps of " << step);
  return whole;
}

ChatFormat format_of(ToolSyntax tools, bool thinks = false) {
  ChatFormat format;
  format.tools = tools;
  if (thinks) {
    format.reasoning_begin = "<think>";
    format.reasoning_end = "</think>";
  }
  return format;
}

#define BAR "\xEF\xBD\x9C"
#define LOW "\xE2\x96\x81"

}  // namespace

TEST_CASE("output parser: what a template writes names its format") {
  CHECK(ChatFormat::of("x").tools == ToolSyntax::none);
  CHECK(ChatFormat::of("a <tool_call> b <think>").tools == ToolSyntax::hermes);
  CHECK(ChatFormat::of("a <tool_call> b <think>").reasoning_end == "</think>");
  CHECK(ChatFormat::of("<tool_call><function= <parameter=").tools == ToolSyntax::qwen3_coder);
  CHECK(ChatFormat::of("Environment: ipython").tools == ToolSyntax::llama3);
  CHECK(ChatFormat::of("[TOOL_CALLS]").tools == ToolSyntax::mistral);
  CHECK(ChatFormat::of("<" BAR "tool" LOW "calls" LOW "begin" BAR ">").tools ==
        ToolSyntax::deepseek);
  CHECK(ChatFormat::of("<|channel|>analysis").tools == ToolSyntax::harmony);
  CHECK(ChatFormat::of("<|tool_call>call:").tools == ToolSyntax::gemma4);
  CHECK(ChatFormat::of("<tool_call>{name}<arg_key>k</arg_key><arg_value>").tools ==
        ToolSyntax::glm4);
  CHECK(ChatFormat::of("<|tool_calls_section_begin|><|tool_call_begin|>").tools ==
        ToolSyntax::kimi_k2);
}

TEST_CASE("output parser: text without calls is content, tags that are none included") {
  for (const ToolSyntax tools :
       {ToolSyntax::none, ToolSyntax::hermes, ToolSyntax::qwen3_coder, ToolSyntax::llama3,
        ToolSyntax::mistral, ToolSyntax::deepseek, ToolSyntax::harmony, ToolSyntax::gemma4,
        ToolSyntax::glm4, ToolSyntax::kimi_k2}) {
    CHECK(
        parse_cut(format_of(tools), "a < b <tool> [TOOL] <| \xE2\x82\xAC\xF0\x9F\x98\x80 {x}\n") ==
        "C:a < b <tool> [TOOL] <| \xE2\x82\xAC\xF0\x9F\x98\x80 {x}\n|R:|T:");
  }
}

TEST_CASE("output parser: reasoning") {
  const ChatFormat format = format_of(ToolSyntax::hermes, true);
  CHECK(parse_cut(format, "<think>\nhm <b> m\n</think>\n\nanswer") == "C:answer|R:hm <b> m|T:");
  CHECK(parse_cut(format, "hmm\n</think>\nanswer", "...<think>\n") == "C:answer|R:hmm|T:");
  CHECK(parse_cut(format, "answer", "<think>\n\n</think>\n\n") == "C:answer|R:|T:");
  CHECK(parse_cut(format, "answer", "user: <think> what?") == "C:answer|R:|T:");
  CHECK(parse_cut(format, "<think>never ends") == "C:|R:never ends|T:");
}

TEST_CASE("output parser: Hermes and Qwen") {
  const ChatFormat format = format_of(ToolSyntax::hermes, true);
  CHECK(parse_cut(format,
                  "<think>x</think>Let me.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": "
                  "\"}</tool\", \"b\": [1, {}]}}\n</tool_call>\n<tool_call>\n{\"arguments\": {}, "
                  "\"name\": \"g\"}\n</tool_call>\nDone") ==
        "C:Let me.Done|R:x|T:f({\"a\": \"}</tool\", \"b\": [1, {}]})g({})");
  CHECK(parse_cut(format, "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 1}}") ==
        "C:|R:|T:f({\"a\": 1})");
  CHECK(parse_cut(format, "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": ") ==
        "C:|R:|T:f({\"a\": ");
}

TEST_CASE("output parser: Qwen3-Coder") {
  CHECK(parse_cut(format_of(ToolSyntax::qwen3_coder),
                  "Hi\n<tool_call>\n<function=f>\n<parameter=a>\nx \"y\"\nz\n</parameter>\n"
                  "<parameter=n>\n5\n</parameter>\n</function>\n</tool_call>\n<tool_call>\n"
                  "<function=g>\n</function>\n</tool_call>") ==
        "C:Hi|R:|T:f({\"a\": \"x \\\"y\\\"\\nz\", \"n\": 5})g({})");
}

TEST_CASE("output parser: Qwen3-Coder's values are typed by the tool's schema") {
  const std::string tools =
      R"([{"function":{"name":"f","parameters":{"properties":{"s":{"type":"string"},)"
      R"("n":{"type":"integer"},"u":{"anyOf":[{"type":"null"},{"$ref":"#/$defs/t"}]},)"
      R"("o":{"oneOf":[{"type":"null"},{"type":"object"}]},"e":{"enum":[1,2]}},)"
      R"("$defs":{"t":{"type":["string","null"]}}}}}])";
  const auto value = [&](const std::string& key, const std::string& text) {
    Parts parts;
    ChatParserOptions options;
    options.format = format_of(ToolSyntax::qwen3_coder);
    options.tools = tools;
    ChatParser parser(options);
    const ChatSink sink = {&Parts::take, &parts};
    for (const char c :
         "<function=f>\n<parameter=" + key + ">\n" + text + "\n</parameter>\n</function>")
      CHECK(parser.push({&c, 1}, sink));
    CHECK(parser.finish(sink));
    return parts.calls;
  };
  CHECK(value("s", "12") == R"(f({"s": "12"}))");
  CHECK(value("s", "{\"a\": 1}") == R"(f({"s": "{\"a\": 1}"}))");
  CHECK(value("n", "12") == R"(f({"n": 12}))");
  CHECK(value("n", "twelve") == R"(f({"n": "twelve"}))");
  CHECK(value("u", "true") == R"(f({"u": "true"}))");
  CHECK(value("o", "{\"a\": 1}") == R"(f({"o": {"a": 1}}))");
  CHECK(value("e", "2") == R"(f({"e": 2}))");
  CHECK(value("other", "2") == R"(f({"other": 2}))");
}

TEST_CASE("output parser: Llama 3") {
  const ChatFormat format = format_of(ToolSyntax::llama3);
  CHECK(parse_cut(format, "{\"name\": \"f\", \"parameters\": {\"a\": \"b\"}}") ==
        "C:|R:|T:f({\"a\": \"b\"})");
  CHECK(parse_cut(format,
                  "{\"type\": \"function\", \"name\": \"f\", \"parameters\": {}}; "
                  "{\"name\": \"g\", \"parameters\": {\"x\": 1}}") == "C:|R:|T:f({})g({\"x\": 1})");
  CHECK(parse_cut(format, "{\"answer\": 42} is it") == "C:{\"answer\": 42} is it|R:|T:");
  CHECK(parse_cut(format, "<|python_tag|>print(\"a\")\n") ==
        "C:|R:|T:python({\"code\": \"print(\\\"a\\\")\\n\"})");
}

TEST_CASE("output parser: Mistral, both notations") {
  const ChatFormat format = format_of(ToolSyntax::mistral);
  CHECK(parse_cut(format,
                  "[TOOL_CALLS][{\"name\": \"f\", \"arguments\": {\"a\": 1}, \"id\": "
                  "\"123456789\"}, {\"name\": \"g\", \"arguments\": {}}]") ==
        "C:|R:|T:f#123456789({\"a\":1})g({})");
  CHECK(parse_cut(format, "ok[TOOL_CALLS]f[ARGS]{\"a\": [1]}[TOOL_CALLS]g[CALL_ID]42[ARGS]{}") ==
        "C:ok|R:|T:f({\"a\": [1]})g#42({})");
  CHECK(parse_cut(format, "[TOOL_CALLS]f{\"a\": 1}") == "C:|R:|T:f({\"a\": 1})");
}

TEST_CASE("output parser: DeepSeek, both notations") {
  const ChatFormat format = format_of(ToolSyntax::deepseek, true);
  const std::string begin = "<" BAR "tool" LOW "calls" LOW "begin" BAR ">";
  const std::string end = "<" BAR "tool" LOW "calls" LOW "end" BAR ">";
  const std::string call = "<" BAR "tool" LOW "call" LOW "begin" BAR ">";
  const std::string call_end = "<" BAR "tool" LOW "call" LOW "end" BAR ">";
  const std::string sep = "<" BAR "tool" LOW "sep" BAR ">";
  CHECK(parse_cut(format,
                  "r</think>a" + begin + call + "function" + sep + "f\n```json\n{\"a\": 1}\n```" +
                      call_end + "\n" + call + "function" + sep + "g\n```json\n{}\n```" + call_end +
                      end,
                  "<think>\n") == "C:a|R:r|T:f({\"a\": 1})g({})");
  CHECK(parse_cut(format, begin + call + "f" + sep + "{\"a\": {\"b\": \"}\"}}" + call_end + end) ==
        "C:|R:|T:f({\"a\": {\"b\": \"}\"}})");
}

TEST_CASE("output parser: harmony") {
  const ChatFormat format = format_of(ToolSyntax::harmony);
  CHECK(parse_cut(format,
                  "<|channel|>analysis<|message|>Think.<|end|><|start|>assistant<|channel|>final"
                  "<|message|>Hello <|there|>!<|return|>") == "C:Hello <|there|>!|R:Think.|T:");
  CHECK(parse_cut(format,
                  "<|channel|>analysis<|message|>T<|end|><|start|>assistant<|channel|>commentary "
                  "to=functions.f <|constrain|>json<|message|>{\"a\": 1}<|call|>") ==
        "C:|R:T|T:f({\"a\": 1})");
  CHECK(parse_cut(
            format,
            "<|start|>assistant to=functions.f<|channel|>commentary json<|message|>{\"a\":1}") ==
        "C:|R:|T:f({\"a\":1})");
}

TEST_CASE("output parser: Gemma 4") {
  ChatFormat format = format_of(ToolSyntax::gemma4);
  format.reasoning_begin = "<|channel>";
  format.reasoning_end = "<channel|>";
  CHECK(parse_cut(format,
                  "<|channel>thought\nhm<channel|>Hi<|tool_call>call:f{city:<|\"|>Z \"x\"<|\"|>,"
                  "n:5,f:1e5,ok:true,l:[1,<|\"|>a<|\"|>],o:{k:null}}<tool_call|>") ==
        "C:Hi|R:hm|T:f({\"city\":\"Z \\\"x\\\"\",\"n\":5,\"f\":1e5,\"ok\":true,\"l\":[1,\"a\"],"
        "\"o\":{\"k\":null}})");
}

TEST_CASE("output parser: GLM, with line ends and without") {
  const ChatFormat format = format_of(ToolSyntax::glm4, true);
  CHECK(parse_cut(
            format,
            "<think>x</think>\nI look.\n<tool_call>f\n<arg_key>a b</arg_key>\n<arg_value>x \"y\"\n"
            "</arg_value>\n<arg_key>n</arg_key>\n<arg_value>[1, 2]</arg_value>\n</tool_call>\n"
            "<tool_call>g\n</tool_call>") ==
        "C:I look.|R:x|T:f({\"a b\": \"x \\\"y\\\"\\n\", \"n\": [1, 2]})g({})");
  CHECK(parse_cut(format,
                  "<tool_call>f<arg_key>a</arg_key><arg_value></arg_val</arg_value></tool_call>"
                  "<tool_call>g</tool_call>Done") == "C:Done|R:|T:f({\"a\": \"</arg_val\"})g({})");
  CHECK(parse_cut(format, "<tool_call>f<arg_key>a</arg_key><arg_value>1") == "C:|R:|T:f(");
}

TEST_CASE("output parser: Kimi K2") {
  const ChatFormat format = format_of(ToolSyntax::kimi_k2);
  CHECK(parse_cut(format,
                  "I look.<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0"
                  "<|tool_call_argument_begin|>{\"a\": \"<|tool_call_end|>\"}<|tool_call_end|>"
                  "<|tool_call_begin|>functions.g:1<|tool_call_argument_begin|>{}<|tool_call_end|>"
                  "<|tool_calls_section_end|>") ==
        "C:I look.|R:|T:f#functions.f:0({\"a\": \"<|tool_call_end|>\"})g#functions.g:1({})");
  CHECK(parse_cut(format, "<|tool_call_begin|>f:x<|tool_call_argument_begin|>{}") ==
        "C:|R:|T:f:x#f:x({})");
}

TEST_CASE("when any one allocation fails, an output parser leaks nothing") {
  for (size_t k = 0;; ++k) {
    inlay_test::CountingAllocator memory(k);
    Parts parts;
    {
      ChatParserOptions options;
      options.allocator = memory.get();
      options.format = format_of(ToolSyntax::hermes);
      ChatParser parser(options);
      const ChatSink sink = {&Parts::take, &parts};
      bool ok = static_cast<bool>(
          parser.push("a \n<tool_call>{\"arguments\": {\"x\": 1}, \"name\": \"f\"}", sink));
      ok = ok && parser.finish(sink);
      CHECK(ok != memory.failed());
    }
    CHECK(memory.live_blocks() == 0);
    if (!memory.failed()) break;
  }
}
