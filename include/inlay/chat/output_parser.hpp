// What a chat model writes, taken apart as it comes: content, reasoning, tool calls. Defined under
// INLAY_WITH_CHAT.
#ifndef INLAY_CHAT_OUTPUT_PARSER_HPP_
#define INLAY_CHAT_OUTPUT_PARSER_HPP_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "inlay/core/host.hpp"
#include "inlay/core/memory.hpp"
#include "inlay/core/result.hpp"
#include "inlay/core/span.hpp"

INLAY_BEGIN_NAMESPACE

// How a family of models writes tool calls.
enum class ToolSyntax : uint8_t {
  none,
  hermes,       // <tool_call>{"name":...,"arguments":{...}}</tool_call>: Hermes, Qwen
  qwen3_coder,  // <tool_call><function=name><parameter=key>value</parameter></function></tool_call>
  llama3,       // {"name":...,"parameters":{...}} and nothing else, or behind <|python_tag|>
  mistral,      // [TOOL_CALLS][{"name":...,"arguments":{...}}] or [TOOL_CALLS]name[ARGS]{...}
  deepseek,     // between DeepSeek's tool call tokens: R1, V3, V3.1
  harmony,      // gpt-oss: channels, which are reasoning too
  gemma4,       // <|tool_call>call:name{key:value}<tool_call|>
  glm4,         // <tool_call>name<arg_key>key</arg_key><arg_value>value</arg_value></tool_call>
  kimi_k2       // between tool call tokens: functions.name:0<|tool_call_argument_begin|>{...}
};

struct ChatFormat {
  ToolSyntax tools = ToolSyntax::none;
  // What encloses reasoning, empty if nothing does.
  std::string_view reasoning_begin, reasoning_end;

  // By what a template's source writes, as llama.cpp recognizes formats.
  static ChatFormat of(std::string_view template_source) noexcept;
};

enum class ChatPart : uint8_t {
  content,
  reasoning,
  tool_call,  // a call begins: text is the tool's name, id its id if the model gave one
  arguments,  // of the call that began last: the next bytes of their JSON
  tool_end    // the call is complete
};

struct ChatDelta {
  ChatPart part;
  uint32_t call;  // counts tool calls from 0
  std::string_view text, id;
};

// Gets the parts of an output. Texts are valid during the call.
struct ChatSink {
  void (*take)(void* user, const ChatDelta& delta) = nullptr;
  void* user = nullptr;
};

struct ChatParserOptions {
  Allocator allocator;
  ChatFormat format;
  // The end of the prompt: if it opened the reasoning, the output begins inside of it.
  std::string_view prompt;
  // A JSON array in OpenAI's form, which must live as long as the parser; or nothing. Qwen3-Coder
  // and GLM write no quotes: whether 12 is a number or text, the tool's schema says.
  std::string_view tools;
};

// Feed it what the model writes, special tokens by their names (Tokenizer::piece with `special`),
// cut anywhere. What it has handed out is never taken back: text that may turn out to be a tag, and
// spaces that may come before one, are held until that is certain. Characters are handed out whole.
// Not thread-safe.
class ChatParser {
 public:
  explicit ChatParser(const ChatParserOptions& options) noexcept;

  // Errors: out_of_memory.
  Status push(std::string_view text, const ChatSink& sink) noexcept;
  // The output has ended: hands out what was held. A call that was cut short has no tool_end.
  Status finish(const ChatSink& sink) noexcept;

  uint32_t tool_calls() const noexcept { return calls_; }  // that began

 private:
  enum class State : uint8_t {
    content,
    reasoning,
    channel,    // gemma4: the name of a channel, up to the line's end
    call,       // JSON with a name and arguments
    array,      // calls, separated by commas
    name,       // of a tool, up to what ends it
    id,         // of a call
    arguments,  // JSON
    until_end,  // what stands between arguments and the tag behind them
    between,    // calls, each in tags
    header,     // harmony: of a message
    raw,        // arguments in another notation, up to the tag behind them
    code,       // python, up to the end
    function,   // qwen3_coder: inside of <function=...>; glm4: behind a key or a value
    key,        // of a parameter
    value,
    ignored
  };
  struct Rule {
    State state;
    std::string_view tag;
    State next;
  };
  // Where JSON is, character by character.
  struct Json {
    uint32_t depth = 0;
    bool string = false, escaped = false, started = false, scalar = false;
  };

  Span<const Rule> rules() const noexcept;
  bool run(bool last) noexcept;
  bool scan_text(bool last, bool* more) noexcept;
  bool enter(State next, std::string_view tag) noexcept;
  bool scan_call(bool last, bool* more) noexcept;
  bool scan_arguments(bool last, bool* more) noexcept;
  bool scan_array(bool* more) noexcept;
  void begin_streamed_call(bool* more) noexcept;
  bool end_of_json(char c) noexcept;
  bool read_call() noexcept;
  bool begin_header_message() noexcept;
  bool text(std::string_view piece) noexcept;
  bool put_text(ChatPart part, std::string_view piece) noexcept;
  bool parameter_is_text() const noexcept;
  bool put_parameter() noexcept;
  bool put_gemma_arguments() noexcept;
  void put(ChatPart part, std::string_view piece) noexcept;
  void begin_call(std::string_view name, std::string_view id) noexcept;
  void begin_parameters() noexcept;
  void end_parameters() noexcept;
  void end_call() noexcept;
  void consume(size_t bytes) noexcept { at_ += bytes; }
  std::string_view pending() const noexcept;

  Allocator allocator_;
  ChatFormat format_;
  std::string_view tools_;
  State state_ = State::content;
  detail::String input_;  // what has not been read yet, from at_
  size_t at_ = 0;
  detail::String held_;  // spaces that a tag may follow
  detail::String name_, id_, key_, value_;
  Json json_;
  size_t scanned_ = 0;  // of a call's JSON
  const ChatSink* sink_ = nullptr;
  uint32_t calls_ = 0, parameters_ = 0;
  bool open_ = false;       // a call began and has not ended
  bool skip_space_ = true;  // at the beginning of a part
  bool started_ = false;    // content was handed out
};

INLAY_END_NAMESPACE

#endif  // INLAY_CHAT_OUTPUT_PARSER_HPP_
