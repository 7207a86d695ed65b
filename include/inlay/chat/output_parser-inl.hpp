#ifndef INLAY_CHAT_OUTPUT_PARSER_INL_HPP_
#define INLAY_CHAT_OUTPUT_PARSER_INL_HPP_

#include "inlay/chat/output_parser.hpp"
#include "inlay/core/block_arena.hpp"
#include "inlay/text/json.hpp"
#include "inlay/text/unicode.hpp"

INLAY_BEGIN_NAMESPACE
namespace detail {

// DeepSeek's tokens have a vertical bar (U+FF5C) and a low block (U+2581) of their own.
#define INLAY_DS_BEGIN "<\xEF\xBD\x9Ctool\xE2\x96\x81"
#define INLAY_DS_END "\xEF\xBD\x9C>"
inline constexpr std::string_view kDeepSeekCalls = INLAY_DS_BEGIN
    "calls\xE2\x96\x81"
    "begin" INLAY_DS_END;
inline constexpr std::string_view kDeepSeekCallsEnd = INLAY_DS_BEGIN
    "calls\xE2\x96\x81"
    "end" INLAY_DS_END;
inline constexpr std::string_view kDeepSeekCall = INLAY_DS_BEGIN
    "call\xE2\x96\x81"
    "begin" INLAY_DS_END;
inline constexpr std::string_view kDeepSeekCallEnd = INLAY_DS_BEGIN
    "call\xE2\x96\x81"
    "end" INLAY_DS_END;
inline constexpr std::string_view kDeepSeekName = INLAY_DS_BEGIN "sep" INLAY_DS_END;
#undef INLAY_DS_BEGIN
#undef INLAY_DS_END
inline constexpr std::string_view kGemmaQuote = "<|\"|>";
inline constexpr std::string_view kKimiCalls = "<|tool_calls_section_begin|>";
inline constexpr std::string_view kKimiCallsEnd = "<|tool_calls_section_end|>";
inline constexpr std::string_view kKimiCall = "<|tool_call_begin|>";
inline constexpr std::string_view kKimiArguments = "<|tool_call_argument_begin|>";
inline constexpr std::string_view kKimiCallEnd = "<|tool_call_end|>";
inline constexpr std::string_view kFunctions = "functions.";

inline bool is_json_space(char c) noexcept {
  return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

inline bool has(std::string_view text, std::string_view part) noexcept {
  return find_text(text, part) != std::string_view::npos;
}

inline std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && is_json_space(text[0])) text.remove_prefix(1);
  while (!text.empty() && is_json_space(text[text.size() - 1])) text.remove_suffix(1);
  return text;
}

// What JSON begins with: a character, past spaces, or a string. False: not, or not yet.
inline bool skip_sign(std::string_view* text, char sign) noexcept {
  while (!text->empty() && is_json_space((*text)[0])) text->remove_prefix(1);
  if (text->empty() || (*text)[0] != sign) return false;
  text->remove_prefix(1);
  return true;
}
inline bool skip_plain_string(std::string_view* text, std::string_view* out) noexcept {
  if (!skip_sign(text, '"')) return false;
  const size_t end = text->find_first_of("\"\\");
  if (end == std::string_view::npos || (*text)[end] != '"') return false;
  *out = slice(*text, 0, end);
  text->remove_prefix(end + 1);
  return true;
}

inline std::string_view function_name(std::string_view name) noexcept {
  return slice(name, 0, kFunctions.size()) == kFunctions ? slice(name, kFunctions.size()) : name;
}

// functions.name:12 is the id of a call.
inline std::string_view kimi_name(std::string_view id) noexcept {
  size_t end = id.size();
  while (end > 0 && id[end - 1] >= '0' && id[end - 1] <= '9') --end;
  return function_name(end > 0 && id[end - 1] == ':' ? slice(id, 0, end - 1) : id);
}

// What describes a tool: in OpenAI's form it is a member.
inline const JsonValue& function_of_tool(const JsonValue& tool) noexcept {
  const JsonValue* function = tool.find("function");
  return function != nullptr ? *function : tool;
}

// Whether a parameter's value may be a string, by its schema or because that does not say: where
// values have no quotes it is text then. `parameters`: has the definitions that it may refer to.
inline bool takes_text(const JsonValue& schema, const JsonValue& parameters,
                       uint32_t depth = 0) noexcept {
  constexpr uint32_t kDeepest = 8;
  if (!schema.is_object() || depth > kDeepest) return true;
  if (const JsonValue* type = schema.find("type"); type != nullptr) {
    for (const JsonValue& one : type->items()) {
      if (one.text() == "string") return true;
    }
    return type->text() == "string";
  }
  if (const JsonValue* ref = schema.find("$ref"); ref != nullptr) {
    for (const std::string_view prefix : {"#/$defs/", "#/definitions/"}) {
      if (slice(ref->text(), 0, prefix.size()) != prefix) continue;
      const JsonValue* all = parameters.find(slice(prefix, 2, prefix.size() - 3));
      const JsonValue* one =
          all == nullptr ? nullptr : all->find(slice(ref->text(), prefix.size()));
      return one == nullptr || takes_text(*one, parameters, depth + 1);
    }
    return true;
  }
  for (const std::string_view several : {"anyOf", "oneOf"}) {
    const JsonValue* all = schema.find(several);
    if (all == nullptr) continue;
    for (const JsonValue& one : all->items()) {
      if (takes_text(one, parameters, depth + 1)) return true;
    }
    return false;
  }
  const JsonValue* values = schema.find("enum");
  if (values == nullptr) return true;
  for (const JsonValue& value : values->items()) {
    if (value.is_string()) return true;
  }
  return false;
}

}  // namespace detail

ChatFormat ChatFormat::of(std::string_view source) noexcept {
  using detail::has;
  ChatFormat format;
  if (has(source, "<think>") || has(source, "</think>")) {
    format.reasoning_begin = "<think>";
    format.reasoning_end = "</think>";
  } else if (has(source, "[THINK]")) {
    format.reasoning_begin = "[THINK]";
    format.reasoning_end = "[/THINK]";
  }
  if (has(source, "<|channel|>")) {
    format.tools = ToolSyntax::harmony;
    format.reasoning_begin = format.reasoning_end = {};
  } else if (has(source, "<|tool_call>call:")) {
    format.tools = ToolSyntax::gemma4;
    format.reasoning_begin = "<|channel>";
    format.reasoning_end = "<channel|>";
  } else if (has(source, detail::kDeepSeekCalls) || has(source, detail::kDeepSeekCall)) {
    format.tools = ToolSyntax::deepseek;
  } else if (has(source, "[TOOL_CALLS]")) {
    format.tools = ToolSyntax::mistral;
  } else if (has(source, detail::kKimiCall)) {
    format.tools = ToolSyntax::kimi_k2;
  } else if (has(source, "<arg_key>") && has(source, "<arg_value>")) {
    format.tools = ToolSyntax::glm4;
  } else if (has(source, "<function=") && has(source, "<parameter=")) {
    format.tools = ToolSyntax::qwen3_coder;
  } else if (has(source, "<tool_call>")) {
    format.tools = ToolSyntax::hermes;
  } else if (has(source, "<|python_tag|>") || has(source, "Environment: ipython")) {
    format.tools = ToolSyntax::llama3;
  }
  return format;
}

ChatParser::ChatParser(const ChatParserOptions& options) noexcept
    : allocator_(options.allocator),
      format_(options.format),
      tools_(options.tools),
      input_(allocator_),
      held_(allocator_),
      name_(allocator_),
      id_(allocator_),
      key_(allocator_),
      value_(allocator_) {
  // The prompt opened the reasoning, and did not close it.
  if (format_.reasoning_begin.empty()) return;
  const size_t begin = options.prompt.rfind(format_.reasoning_begin);
  const size_t end = options.prompt.rfind(format_.reasoning_end);
  if (begin == std::string_view::npos || (end != std::string_view::npos && end > begin)) return;
  std::string_view rest = detail::slice(options.prompt, begin + format_.reasoning_begin.size());
  for (char c : rest) {
    if (!detail::is_json_space(c)) return;  // it is part of an earlier message
  }
  state_ = State::reasoning;
}

std::string_view ChatParser::pending() const noexcept {
  return detail::slice(detail::view(input_), at_);
}

// The tags that mean something in each state, besides those of reasoning.
Span<const ChatParser::Rule> ChatParser::rules() const noexcept {
  using S = State;
  static constexpr Rule kHermes[] = {{S::content, "<tool_call>", S::call},
                                     {S::until_end, "</tool_call>", S::content}};
  static constexpr Rule kQwen[] = {{S::content, "<tool_call>", S::between},
                                   {S::content, "<function=", S::name},
                                   {S::between, "<function=", S::name},
                                   {S::between, "</tool_call>", S::content},
                                   {S::name, ">", S::function},
                                   {S::function, "<parameter=", S::key},
                                   {S::function, "</function>", S::between},
                                   {S::key, ">", S::value},
                                   {S::value, "</parameter>", S::function}};
  static constexpr Rule kLlama[] = {{S::content, "<|python_tag|>", S::code}};
  static constexpr Rule kMistral[] = {{S::content, "[TOOL_CALLS]", S::array},
                                      {S::name, "[ARGS]", S::arguments},
                                      {S::name, "[CALL_ID]", S::id},
                                      {S::name, "{", S::arguments},
                                      {S::id, "[ARGS]", S::arguments}};
  static constexpr Rule kDeepSeek[] = {
      {S::content, detail::kDeepSeekCalls, S::between},
      {S::content, detail::kDeepSeekCall, S::name},
      {S::between, detail::kDeepSeekCall, S::name},
      {S::between, detail::kDeepSeekCallsEnd, S::content},
      {S::name, detail::kDeepSeekName, S::id},  // "function" before it, or the name
      {S::id, "\n", S::arguments},
      {S::id, "{", S::arguments},
      {S::until_end, detail::kDeepSeekCallEnd, S::between}};
  static constexpr Rule kHarmony[] = {
      {S::content, "<|channel|>", S::header},   {S::content, "<|start|>", S::header},
      {S::content, "<|end|>", S::content},      {S::content, "<|return|>", S::content},
      {S::content, "<|call|>", S::content},     {S::reasoning, "<|end|>", S::content},
      {S::reasoning, "<|start|>", S::header},   {S::reasoning, "<|channel|>", S::header},
      {S::reasoning, "<|return|>", S::content}, {S::header, "<|message|>", S::ignored},
      {S::until_end, "<|call|>", S::content},   {S::until_end, "<|end|>", S::content},
      {S::until_end, "<|start|>", S::header}};
  static constexpr Rule kGemma[] = {{S::content, "<|tool_call>call:", S::name},
                                    {S::channel, "\n", S::reasoning},
                                    {S::name, "{", S::raw},
                                    {S::raw, "}<tool_call|>", S::content}};
  static constexpr Rule kGlm[] = {
      {S::content, "<tool_call>", S::name},   {S::name, "<arg_key>", S::key},
      {S::name, "</tool_call>", S::content},  {S::key, "</arg_key>", S::function},
      {S::function, "<arg_value>", S::value}, {S::value, "</arg_value>", S::function},
      {S::function, "<arg_key>", S::key},     {S::function, "</tool_call>", S::content}};
  static constexpr Rule kKimi[] = {{S::content, detail::kKimiCalls, S::between},
                                   {S::content, detail::kKimiCall, S::name},
                                   {S::between, detail::kKimiCall, S::name},
                                   {S::between, detail::kKimiCallsEnd, S::content},
                                   {S::name, detail::kKimiArguments, S::arguments},
                                   {S::until_end, detail::kKimiCallEnd, S::between}};
  switch (format_.tools) {
    case ToolSyntax::none:
      return {};
    case ToolSyntax::hermes:
      return kHermes;
    case ToolSyntax::qwen3_coder:
      return kQwen;
    case ToolSyntax::llama3:
      return kLlama;
    case ToolSyntax::mistral:
      return kMistral;
    case ToolSyntax::deepseek:
      return kDeepSeek;
    case ToolSyntax::harmony:
      return kHarmony;
    case ToolSyntax::gemma4:
      return kGemma;
    case ToolSyntax::glm4:
      return kGlm;
    case ToolSyntax::kimi_k2:
      return kKimi;
  }
  return {};
}

Status ChatParser::push(std::string_view piece, const ChatSink& sink) noexcept {
  sink_ = &sink;
  if (at_ > 0) {  // what was read makes room
    const std::string_view rest = pending();
    for (size_t i = 0; i < rest.size(); ++i) input_[i] = rest[i];
    input_.truncate(rest.size());
    at_ = 0;
  }
  if (!input_.append(piece.data(), piece.size()) || !run(false))
    return Error(ErrorCode::out_of_memory);
  return Status();
}

Status ChatParser::finish(const ChatSink& sink) noexcept {
  sink_ = &sink;
  if (!run(true)) return Error(ErrorCode::out_of_memory);
  if (state_ == State::content && started_ && held_.size() > 0)
    put(ChatPart::content, detail::view(held_));
  held_.clear();
  if (state_ == State::until_end) end_call();  // its tag is one that ends the output
  if (state_ == State::code) {
    put(ChatPart::arguments, "\"}");
    end_call();
  }
  return Status();
}

bool ChatParser::run(bool last) noexcept {
  for (bool more = true; more;) {
    more = false;
    bool ok = true;
    switch (state_) {
      case State::call:
        ok = scan_call(last, &more);
        break;
      case State::arguments:
        ok = scan_arguments(last, &more);
        break;
      case State::array:
        ok = scan_array(&more);
        break;
      default:
        ok = scan_text(last, &more);
    }
    if (!ok) return false;
  }
  return true;
}

// Reads up to the next tag. *more: there was one.
bool ChatParser::scan_text(bool last, bool* more) noexcept {
  std::string_view rest = pending();
  // A Llama calls tools by JSON that is all of its answer.
  if (format_.tools == ToolSyntax::llama3 && state_ == State::content && !started_) {
    size_t space = 0;
    while (space < rest.size() && detail::is_json_space(rest[space])) ++space;
    if (space < rest.size() && rest[space] == '{') {
      consume(space);
      *more = true;
      return enter(State::call, {});
    }
  }
  const Rule own[] = {{State::content, format_.reasoning_begin,
                       format_.tools == ToolSyntax::gemma4 ? State::channel : State::reasoning},
                      {State::reasoning, format_.reasoning_end, State::content}};
  size_t first = rest.size(), held = 0;
  const Rule* found = nullptr;
  const auto look = [&](const Rule& rule) {
    if (rule.state != state_ || rule.tag.empty()) return;
    const size_t at = detail::find_text(rest, rule.tag);
    if (at < first || (at == first && found == nullptr && at != std::string_view::npos)) {
      first = at;
      found = &rule;
    }
    // The end may be the beginning of a tag.
    for (size_t n = rule.tag.size() - 1; n > held && !last; --n) {
      if (n <= rest.size() && detail::slice(rest, rest.size() - n) == detail::slice(rule.tag, 0, n))
        held = n;
    }
  };
  for (const Rule& rule : rules()) look(rule);
  for (const Rule& rule : own) look(rule);
  if (found != nullptr) {
    const std::string_view tag = found->tag;
    const State next = found->next;
    if (!text(detail::slice(rest, 0, first))) return false;
    consume(first + tag.size());
    *more = true;
    return enter(next, tag);
  }
  rest = detail::slice(rest, 0, rest.size() - held);
  // Not a part of a character, unless no more comes.
  for (size_t n = 1; n <= 3 && n <= rest.size() && !last; ++n) {
    const uint8_t c = static_cast<uint8_t>(rest[rest.size() - n]);
    if ((c & 0xC0) == 0x80) continue;
    if (detail::utf8_length(c) > n) rest = detail::slice(rest, 0, rest.size() - n);
    break;
  }
  if (!text(rest)) return false;
  consume(rest.size());
  return true;
}

// Text of the current state.
bool ChatParser::text(std::string_view piece) noexcept {
  const auto keep = [piece](detail::String* to) { return to->append(piece.data(), piece.size()); };
  switch (state_) {
    case State::content:
      return put_text(ChatPart::content, piece);
    case State::reasoning:
      return put_text(ChatPart::reasoning, piece);
    case State::name:
    case State::header:
      return keep(&name_);
    case State::id:
      return keep(&id_);
    case State::key:
      return keep(&key_);
    case State::value:
    case State::raw:
      return keep(&value_);
    case State::code: {
      detail::String quoted(allocator_);
      if (!detail::append_json_string(&quoted, piece)) return false;
      put(ChatPart::arguments, detail::slice(detail::view(quoted), 1, quoted.size() - 2));
      return true;
    }
    default:
      return true;
  }
}

// Holds spaces at the end back: they belong to a tag, if one follows.
bool ChatParser::put_text(ChatPart part, std::string_view piece) noexcept {
  while (skip_space_ && !piece.empty() && detail::is_json_space(piece[0])) piece.remove_prefix(1);
  if (piece.empty()) return true;
  skip_space_ = false;
  size_t end = piece.size();
  while (end > 0 && detail::is_json_space(piece[end - 1])) --end;
  if (end > 0) {
    if (held_.size() > 0) put(part, detail::view(held_));
    held_.clear();
    put(part, detail::slice(piece, 0, end));
    started_ = started_ || part == ChatPart::content;
  }
  return held_.append(piece.data() + end, piece.size() - end);
}

void ChatParser::put(ChatPart part, std::string_view piece) noexcept {
  if (piece.empty() || sink_->take == nullptr) return;
  sink_->take(sink_->user, {part, calls_ == 0 ? 0 : calls_ - 1, piece, {}});
}

void ChatParser::begin_call(std::string_view name, std::string_view id) noexcept {
  ++calls_;
  open_ = true;
  if (sink_->take != nullptr) sink_->take(sink_->user, {ChatPart::tool_call, calls_ - 1, name, id});
}

void ChatParser::end_call() noexcept {
  if (!open_) return;
  open_ = false;
  if (sink_->take != nullptr) sink_->take(sink_->user, {ChatPart::tool_end, calls_ - 1, {}, {}});
}

// Of a call whose parameters come in tags.
void ChatParser::begin_parameters() noexcept {
  begin_call(detail::trimmed(detail::view(name_)), {});
  parameters_ = 0;
}

void ChatParser::end_parameters() noexcept {
  put(ChatPart::arguments, parameters_ == 0 ? "{}" : "}");
  end_call();
}

// A tag was read: what it means.
bool ChatParser::enter(State next, std::string_view tag) noexcept {
  const State before = state_;
  held_.clear();
  skip_space_ = true;
  json_ = Json();
  scanned_ = 0;
  if (before == State::until_end) end_call();
  switch (next) {
    case State::name:
    case State::header:
      name_.clear();
      id_.clear();
      break;
    case State::id:
      if (format_.tools == ToolSyntax::deepseek && detail::view(name_) != "function") {
        begin_call(detail::trimmed(detail::view(name_)), {});  // V3.1: the arguments follow at once
        next = State::arguments;
      }
      break;
    case State::arguments:
      if (format_.tools == ToolSyntax::deepseek) {
        begin_call(detail::trimmed(detail::view(id_)), {});
      } else if (format_.tools == ToolSyntax::kimi_k2) {
        const std::string_view id = detail::trimmed(detail::view(name_));
        begin_call(detail::kimi_name(id), id);
      } else {
        begin_call(detail::trimmed(detail::view(name_)), detail::trimmed(detail::view(id_)));
      }
      if (tag == "{") at_ -= 1;
      break;
    case State::function:
      if (before == State::name) begin_parameters();
      if (before == State::value && !put_parameter()) return false;
      break;
    case State::key:
      if (before == State::name) begin_parameters();
      key_.clear();
      break;
    case State::value:
      value_.clear();
      break;
    case State::between:
      if (before == State::function) end_parameters();
      break;
    case State::raw:
      begin_call(detail::trimmed(detail::view(name_)), {});
      value_.clear();
      break;
    case State::content:
      if (before == State::raw) {
        if (!put_gemma_arguments()) return false;
        end_call();
      }
      if (before == State::name) begin_parameters();
      if (before == State::name || before == State::function) end_parameters();
      break;
    case State::code:
      begin_call("python", {});
      put(ChatPart::arguments, "{\"code\": \"");
      break;
    case State::ignored:
      return begin_header_message();
    default:
      break;
  }
  state_ = next;
  return true;
}

// harmony: what a message's header says of it.
bool ChatParser::begin_header_message() noexcept {
  const std::string_view header = detail::view(name_);
  const size_t to = detail::find_text(header, "to=");
  if (to != std::string_view::npos) {
    std::string_view name = detail::slice(header, to + 3);
    size_t end = 0;
    while (end < name.size() && !detail::is_json_space(name[end]) && name[end] != '<') ++end;
    name = detail::slice(name, 0, end);
    begin_call(detail::function_name(name), {});
    state_ = State::arguments;
    return true;
  }
  state_ = detail::has(header, "analysis") ? State::reasoning : State::content;
  return true;
}

// ---- JSON ----

// The scanner takes one more character; true: with it, the value is complete. (A number or a word
// is complete when what follows it comes, which is not part of it: json_.scalar.)
bool ChatParser::end_of_json(char c) noexcept {
  if (json_.string) {
    if (json_.escaped) {
      json_.escaped = false;
    } else if (c == '\\') {
      json_.escaped = true;
    } else if (c == '"') {
      json_.string = false;
      return json_.depth == 0;
    }
    return false;
  }
  if (!json_.started && detail::is_json_space(c)) return false;
  json_.started = true;
  if (c == '"') {
    json_.string = true;
  } else if (c == '{' || c == '[') {
    ++json_.depth;
  } else if (c == '}' || c == ']') {
    return json_.depth == 0 || --json_.depth == 0;
  }
  return false;
}

// Hands out arguments as they come, from the first '{' to the end of that value.
bool ChatParser::scan_arguments(bool last, bool* more) noexcept {
  const std::string_view rest = pending();
  size_t begin = 0;
  if (!json_.started) {
    // DeepSeek's fence is passed over; what else comes before an object would be lost.
    begin = rest.find('{');
    if (begin == std::string_view::npos) {
      if (last) consume(rest.size());
      return true;
    }
  }
  for (size_t i = begin; i < rest.size(); ++i) {
    if (!end_of_json(rest[i])) continue;
    put(ChatPart::arguments, detail::slice(rest, begin, i + 1 - begin));
    consume(i + 1);
    *more = true;
    if (format_.tools == ToolSyntax::mistral || format_.tools == ToolSyntax::llama3) {
      end_call();
      skip_space_ = true;
      state_ = format_.tools == ToolSyntax::mistral ? State::content : State::array;
    } else {
      state_ = State::until_end;
    }
    return true;
  }
  size_t end = rest.size();
  for (size_t n = 1; n <= 3 && n <= end && !last; ++n) {
    const uint8_t c = static_cast<uint8_t>(rest[end - n]);
    if ((c & 0xC0) == 0x80) continue;
    if (detail::utf8_length(c) > n) end -= n;
    break;
  }
  // The scanner takes the bytes of a cut character twice, which changes nothing in it.
  put(ChatPart::arguments, detail::slice(rest, begin, end - begin));
  consume(end);
  return true;
}

// Calls in brackets and separated by commas, or the name of one.
bool ChatParser::scan_array(bool* more) noexcept {
  const std::string_view rest = pending();
  const bool llama = format_.tools == ToolSyntax::llama3;
  const std::string_view between = llama ? ";}" : ",[";
  size_t at = 0;
  while (at < rest.size() &&
         (detail::is_json_space(rest[at]) || between.find(rest[at]) != std::string_view::npos)) {
    ++at;
  }
  consume(at);
  if (at == rest.size()) return true;
  *more = true;
  if (rest[at] == '{') return enter(State::call, {});
  if (llama) return enter(State::content, {});
  if (rest[at] == ']') {
    consume(1);
    return enter(State::content, {});
  }
  return enter(State::name, {});
}

// {"name": "f", "arguments": {: the name is known, and arguments can be handed out as they come.
void ChatParser::begin_streamed_call(bool* more) noexcept {
  // Mistral's calls have an id behind the arguments: they are read whole.
  if (format_.tools == ToolSyntax::mistral) return;
  std::string_view rest = pending(), key, name;
  if (!detail::skip_sign(&rest, '{') || !detail::skip_plain_string(&rest, &key) || key != "name" ||
      !detail::skip_sign(&rest, ':') || !detail::skip_plain_string(&rest, &name) ||
      !detail::skip_sign(&rest, ',') || !detail::skip_plain_string(&rest, &key) ||
      (key != "arguments" && key != "parameters") || !detail::skip_sign(&rest, ':') ||
      !detail::skip_sign(&rest, '{')) {
    return;
  }
  begin_call(name, {});
  consume(pending().size() - rest.size() - 1);
  json_ = Json();
  scanned_ = 0;
  state_ = State::arguments;
  *more = true;
}

// Waits for the name and the arguments' beginning; then the arguments come as they are written.
// What turns out to be no call is content.
bool ChatParser::scan_call(bool last, bool* more) noexcept {
  begin_streamed_call(more);
  if (*more) return true;
  const std::string_view rest = pending();
  bool complete = false;
  for (; scanned_ < rest.size() && !complete; ++scanned_) complete = end_of_json(rest[scanned_]);
  if (!complete && !last) return true;
  const size_t size = scanned_;
  const std::string_view json = detail::slice(rest, 0, size);
  JsonOptions options;
  options.allocator = allocator_;
  const auto document = JsonDocument::parse(json, options);
  const JsonValue* call = document ? &document->root() : nullptr;
  if (!document && document.error().code() == ErrorCode::out_of_memory) return false;
  if (call != nullptr && call->find("function") != nullptr && call->find("function")->is_object())
    call = call->find("function");
  const JsonValue* name = call == nullptr ? nullptr : call->find("name");
  const JsonValue* arguments = call == nullptr ? nullptr : call->find("arguments");
  if (call != nullptr && arguments == nullptr) arguments = call->find("parameters");
  *more = complete;
  if (name == nullptr || !name->is_string()) {
    state_ = State::content;
    skip_space_ = false;
    if (format_.tools == ToolSyntax::llama3 || format_.tools == ToolSyntax::hermes) {
      if (format_.tools == ToolSyntax::hermes) put(ChatPart::content, "<tool_call>");
      put(ChatPart::content, json);
      started_ = true;
    }
    consume(size);
    *more = !last;
    return true;
  }
  const JsonValue* id = document->root().find("id");
  begin_call(name->text(), id != nullptr && id->is_string() ? id->text() : std::string_view());
  detail::String text(allocator_);
  if (arguments != nullptr && arguments->is_string()) {
    put(ChatPart::arguments, arguments->text());  // JSON in a string
  } else if (arguments != nullptr) {
    if (!detail::append_json(&text, *arguments)) return false;
    put(ChatPart::arguments, detail::view(text));
  } else {
    put(ChatPart::arguments, "{}");
  }
  consume(size);
  json_ = Json();
  scanned_ = 0;
  switch (format_.tools) {
    case ToolSyntax::mistral:
      end_call();
      state_ = State::array;
      break;
    case ToolSyntax::llama3:
      end_call();
      state_ = State::array;  // more of them, separated by semicolons
      break;
    default:
      state_ = State::until_end;
  }
  return true;
}

// ---- parameters in tags, and Gemma's notation ----

// Whether the tool's schema says that the parameter that was read is a string.
bool ChatParser::parameter_is_text() const noexcept {
  JsonOptions options;
  options.allocator = allocator_;
  const auto document = JsonDocument::parse(tools_, options);
  if (!document) return false;
  for (const JsonValue& tool : document->root().items()) {
    const JsonValue& function = detail::function_of_tool(tool);
    const JsonValue* name = function.find("name");
    const JsonValue* parameters = function.find("parameters");
    if (name == nullptr || name->text() != detail::trimmed(detail::view(name_)) ||
        parameters == nullptr) {
      continue;
    }
    const JsonValue* properties = parameters->find("properties");
    const JsonValue* property =
        properties == nullptr ? nullptr : properties->find(detail::trimmed(detail::view(key_)));
    return property != nullptr && detail::takes_text(*property, *parameters);
  }
  return false;
}

// <parameter=key>value</parameter>, or GLM's tags: a value that is JSON is taken as that, if the
// tool's schema does not say that it is text; any other is a string.
bool ChatParser::put_parameter() noexcept {
  std::string_view value = detail::view(value_);
  if (format_.tools == ToolSyntax::qwen3_coder) {  // a line of its own
    if (!value.empty() && value[0] == '\n') value.remove_prefix(1);
    if (!value.empty() && value[value.size() - 1] == '\n') value.remove_suffix(1);
  }
  detail::String text(allocator_);
  if (!text.append(parameters_ == 0 ? "{" : ", ", parameters_ == 0 ? 1 : 2) ||
      !detail::append_json_string(&text, detail::trimmed(detail::view(key_))) ||
      !text.append(": ", 2)) {
    return false;
  }
  ++parameters_;
  JsonOptions options;
  options.allocator = allocator_;
  const bool json = !parameter_is_text() && JsonDocument::parse(value, options);
  if (!(json ? text.append(value.data(), value.size())
             : detail::append_json_string(&text, value))) {
    return false;
  }
  put(ChatPart::arguments, detail::view(text));
  return true;
}

// key:<|"|>text<|"|>,other:[1,true] as JSON.
bool ChatParser::put_gemma_arguments() noexcept {
  const std::string_view source = detail::view(value_);
  detail::String json(allocator_);
  bool ok = json.push_back('{');
  for (size_t at = 0; at < source.size() && ok;) {
    if (detail::slice(source, at, detail::kGemmaQuote.size()) == detail::kGemmaQuote) {
      const size_t begin = at + detail::kGemmaQuote.size();
      const size_t end = detail::find_text(source, detail::kGemmaQuote, begin);
      ok = detail::append_json_string(&json, detail::slice(source, begin, end - begin));
      at = end == std::string_view::npos ? source.size() : end + detail::kGemmaQuote.size();
      continue;
    }
    const auto in_word = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$';
    };
    if (!in_word(source[at])) {
      ok = json.push_back(source[at++]);
      // The rest of a number is no key.
      while (at < source.size() && source[at - 1] >= '0' && source[at - 1] <= '9' &&
             in_word(source[at])) {
        ok = ok && json.push_back(source[at++]);
      }
      continue;
    }
    size_t end = at;
    while (end < source.size() && source[end] != ':' && source[end] != ',' && source[end] != '}' &&
           source[end] != ']') {
      ++end;
    }
    const std::string_view word = detail::slice(source, at, end - at);
    const bool key = end < source.size() && source[end] == ':';
    ok = key ? detail::append_json_string(&json, word) : json.append(word.data(), word.size());
    at = end;
  }
  if (!ok || !json.push_back('}')) return false;
  put(ChatPart::arguments, detail::view(json));
  return true;
}

INLAY_END_NAMESPACE

#endif  // INLAY_CHAT_OUTPUT_PARSER_INL_HPP_
