#include "inlay/chat/chat_template.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "inlay/gguf/gguf.hpp"
#include "support/demo_model.hpp"
#include "support/vocabularies.hpp"

using namespace inlay;

namespace {

struct Demo {
  Result<Gguf> file = Gguf::open(inlay_test::kDemoPath);
  Result<Tokenizer> tokenizer = Tokenizer::create(*file);

  ChatTemplate chat(std::string_view source = {}) const {
    ChatTemplateOptions options;
    options.source = source;
    auto made = ChatTemplate::create(*file, *tokenizer, options);
    REQUIRE(made);
    return std::move(*made);
  }
};

std::string render(const ChatTemplate& chat, const ChatRequest& request) {
  const auto text = chat.render(request);
  return text ? std::string(text->view()) : std::string("error: ") + text.error().message();
}

}  // namespace

TEST_CASE("chat template: without one there is ChatML's") {
  const Demo demo;
  const ChatTemplate chat = demo.chat();
  CHECK(chat.is_fallback());
  const ChatMessage messages[] = {{"system", "S", {}, {}, {}, {}}, {"user", "U", {}, {}, {}, {}}};
  ChatRequest request;
  request.messages = messages;
  CHECK(render(chat, request) ==
        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n");
  request.add_generation_prompt = false;
  CHECK(render(chat, request) ==
        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n");
  ChatTemplateOptions options;
  options.name = "tool_use";
  const auto missing = ChatTemplate::create(*demo.file, *demo.tokenizer, options);
  REQUIRE_FALSE(missing);
  CHECK(
      std::string_view(missing.error().message()) ==
      "metadata key tokenizer.chat_template.tool_use: the file has no chat template of that name");
}

TEST_CASE("chat template: structs become what templates expect") {
  const Demo demo;
  const ChatTemplate chat = demo.chat("{{ messages|tojson }}|{{ tools|tojson }}|{{ x }}");
  CHECK_FALSE(chat.is_fallback());
  const ToolCall calls[] = {{"id1", "f", R"({"a":[1,2.50]})"}};
  const ChatMessage messages[] = {{"user", "U", {}, {}, {}, {}},
                                  {"assistant", "", "why", calls, {}, {}},
                                  {"tool", "R", {}, {}, "id1", "f"}};
  ChatRequest request;
  request.messages = messages;
  request.tools = R"([{"type":"function","function":{"name":"f"}}])";
  request.variables = R"({"x":5})";
  CHECK(
      render(chat, request) ==
      R"([{"role": "user", "content": "U"}, )"
      R"({"role": "assistant", "content": "", "reasoning_content": "why", "tool_calls": )"
      R"([{"id": "id1", "type": "function", "function": {"name": "f", "arguments": {"a": [1, 2.5]}}}]}, )"
      R"({"role": "tool", "content": "R", "tool_call_id": "id1", "name": "f"}])"
      R"(|[{"type": "function", "function": {"name": "f"}}]|5)");
  request.tools = "";
  CHECK(render(demo.chat("{{ tools is none }}{{ documents }}"), request) == "TrueNone");
  request.tools = "{";
  CHECK(render(chat, request).rfind("error: ", 0) == 0);
  request.tools = "";
  request.variables = "[]";
  CHECK(render(chat, request).find("variables: expected a JSON object") != std::string::npos);
}

TEST_CASE("chat template: a request as JSON is taken as it is") {
  const Demo demo;
  const auto request = JsonDocument::parse(R"({"messages":[{"role":"user","content":"U"}],"y":1})");
  REQUIRE(request);
  const auto text =
      demo.chat("{{ messages[0].content }}{{ y }}{{ tools is defined }}").render(request->root());
  REQUIRE(text);
  CHECK(text->view() == "U1False");
}

TEST_CASE("chat template: what a user spells is no special token, what the template writes is") {
  const Demo demo;
  Token special = kNoToken;
  std::string name(100, '\0');
  for (Token t = 0; special == kNoToken && t < static_cast<Token>(demo.tokenizer->size()); ++t) {
    if (!demo.tokenizer->is_control(t)) continue;
    name.resize(demo.tokenizer->piece(t, {name.data(), name.size()}, true));
    special = t;
  }
  REQUIRE(special != kNoToken);
  const ChatTemplate chat =
      demo.chat("{% for m in messages %}" + name + "{{ m.content | trim }}{% endfor %}");
  const std::string content = " a " + name + " b" + name;
  const ChatMessage messages[] = {{"user", content, {}, {}, {}, {}}};
  ChatRequest request;
  request.messages = messages;
  std::vector<Token> tokens(Tokenizer::max_tokens(1000));
  const auto count = chat.encode(request, *demo.tokenizer, {tokens.data(), tokens.size()});
  REQUIRE(count);
  tokens.resize(*count);
  size_t found = 0;
  std::string text;
  for (const Token token : tokens) {
    found += token == special ? 1 : 0;
    char piece[256];
    text.append(piece, demo.tokenizer->piece(token, piece, true));
  }
  CHECK(found == 1);
  CHECK(tokens[demo.tokenizer->adds_bos() && special != demo.tokenizer->special().bos ? 1 : 0] ==
        special);
  CHECK(text.find(name + "a " + name + " b" + name) != std::string::npos);
  CHECK(render(chat, request) == name + "a " + name + " b" + name);  // the text is not changed
}

TEST_CASE("chat template: BOS comes once, whether the template writes it or not") {
  const auto tokens_of = [](const std::string& source) {
    const std::vector<uint8_t> bytes = inlay_test::small_sentence_pieces(0).file;
    const auto file = Gguf::from_memory({bytes.data(), bytes.size()});
    REQUIRE(file);
    const auto tokenizer = Tokenizer::create(*file);
    REQUIRE(tokenizer);
    ChatTemplateOptions options;
    options.source = source;
    const auto chat = ChatTemplate::create(*file, *tokenizer, options);
    REQUIRE(chat);
    std::vector<Token> tokens(100);
    const auto count = chat->encode({}, *tokenizer, {tokens.data(), tokens.size()});
    REQUIRE(count);
    tokens.resize(*count);
    return tokens;
  };
  CHECK(tokens_of("{{ bos_token }}x") == tokens_of("x"));
  CHECK(tokens_of("x")[0] == 1);
}
