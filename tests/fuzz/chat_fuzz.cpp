// Chat templates, JSON and the parser of what models write on any bytes, under libFuzzer:
//   clang++ -std=c++17 -O1 -g -fsanitize=fuzzer,address,undefined -I include
//       tests/fuzz/chat_fuzz.cpp -o chat_fuzz
//   ./chat_fuzz FOLDER_FOR_NEW_INPUTS tests/fuzz/chat_corpus
// Besides crashes it looks for memory beyond the limit, JSON that is not the same after it was
// written, and answers that depend on how the output was cut. -timeout=1 finds what takes long.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "inlay/chat/jinja-inl.hpp"
#include "inlay/chat/output_parser-inl.hpp"
#include "inlay/chat/value-inl.hpp"
#include "inlay/core/memory-inl.hpp"
#include "inlay/text/decimal-inl.hpp"
#include "inlay/text/json-inl.hpp"
#include "inlay/text/unicode-inl.hpp"
#include "memory.hpp"

namespace {

using inlay_fuzz::expect, inlay_fuzz::Memory;

constexpr size_t kMemory = 16 << 20;

constexpr std::string_view kVariables =
    R"({"messages":[{"role":"user","content":"a <b> \u00e9"},{"role":"assistant","content":"",
    "tool_calls":[{"function":{"name":"f","arguments":{"x":[1,2.5,null]}}}]}],"tools":[{"a":{"b":"c"}}],
    "bos_token":"<s>","n":-3,"s":"x y","l":[3,1,2],"d":{"k":"v"}})";

void render(std::string_view source) {
  static const auto variables = inlay::JsonDocument::parse(kVariables);
  Memory memory;
  {
    inlay::JinjaOptions options;
    options.allocator = memory.host().allocator;
    options.limits.memory = kMemory;
    options.limits.operations = 1000000;
    const auto parsed = inlay::JinjaTemplate::parse(source, options);
    if (parsed) (void)parsed->render(variables->root());
  }
  expect(memory.peak <= 8 * kMemory);  // texts under way grow by doubling
}

void read_json(std::string_view text) {
  const auto document = inlay::JsonDocument::parse(text);
  if (!document) return;
  inlay::detail::String once, twice;
  expect(inlay::detail::append_json(&once, document->root()));
  const auto again = inlay::JsonDocument::parse(inlay::detail::view(once));
  expect(again.has_value());
  expect(inlay::detail::append_json(&twice, again->root()));
  expect(inlay::detail::view(once) == inlay::detail::view(twice));
}

std::string parse(std::string_view text, inlay::ToolSyntax tools, size_t step) {
  std::string all;
  inlay::ChatParserOptions options;
  options.format.tools = tools;
  options.format.reasoning_begin = "<think>";
  options.format.reasoning_end = "</think>";
  inlay::ChatParser parser(options);
  inlay::ChatSink sink;
  struct Last {
    std::string* all;
    int part;
  } last = {&all, -1};
  sink.user = &last;
  sink.take = [](void* user, const inlay::ChatDelta& delta) {
    Last& l = *static_cast<Last*>(user);
    const int part = static_cast<int>(delta.part);
    if (part != l.part || delta.part == inlay::ChatPart::tool_call)
      *l.all += static_cast<char>('0' + part);
    l.part = part;
    l.all->append(delta.text.data(), delta.text.size());
  };
  for (size_t at = 0; at < text.size(); at += step)
    expect(static_cast<bool>(parser.push(text.substr(at, step), sink)));
  expect(static_cast<bool>(parser.finish(sink)));
  return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* input, size_t size) {
  const std::string text(reinterpret_cast<const char*>(input), size);
  render(text);
  read_json(text);
  if (size == 0) return 0;
  constexpr int kSyntaxes = static_cast<int>(inlay::ToolSyntax::kimi_k2) + 1;
  const auto tools = static_cast<inlay::ToolSyntax>(input[size - 1] % kSyntaxes);
  const std::string whole = parse(text, tools, size);
  expect(parse(text, tools, 1) == whole);
  expect(parse(text, tools, 3) == whole);
  return 0;
}
