// The part of the C interface that belongs to chat/.
#ifndef INLAY_C_CHAT_INL_HPP_
#define INLAY_C_CHAT_INL_HPP_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

#include "inlay/c/handles-inl.hpp"
#include "inlay/chat/chat_template.hpp"
#include "inlay/chat/output_parser.hpp"
#include "inlay/chat/tool_grammar.hpp"
#include "inlay/core/memory.hpp"
#include "inlay/inlay.h"

struct INLAY_HIDDEN inlay_chat_template {
  inlay_chat_template(inlay_model* m, INLAY_NAMESPACE::ChatTemplate&& t) noexcept
      : model(m), chat_template(std::move(t)) {}
  inlay_model* model;
  INLAY_NAMESPACE::ChatTemplate chat_template;
};

struct INLAY_HIDDEN inlay_chat_parser {
  inlay_chat_parser(inlay_model* m, INLAY_NAMESPACE::detail::String&& source,
                    INLAY_NAMESPACE::detail::String&& given_tools, std::string_view prompt) noexcept
      : model(m),
        template_source(std::move(source)),
        tools(std::move(given_tools)),
        parser(options(prompt)) {}
  INLAY_NAMESPACE::ChatParserOptions options(std::string_view prompt) const noexcept {
    INLAY_NAMESPACE::ChatParserOptions made;
    made.allocator = model->allocator;
    made.format = INLAY_NAMESPACE::ChatFormat::of(INLAY_NAMESPACE::detail::view(template_source));
    made.prompt = prompt;
    made.tools = INLAY_NAMESPACE::detail::view(tools);
    return made;
  }
  inlay_model* model;
  INLAY_NAMESPACE::detail::String template_source;  // the format may refer to it
  INLAY_NAMESPACE::detail::String tools;            // the parser refers to them
  INLAY_NAMESPACE::ChatParser parser;
};

INLAY_BEGIN_NAMESPACE
namespace detail {

static_assert(INLAY_CLOCK == kNow, "the header says which number means the clock");

inline std::string_view c_line(const char* text) noexcept {
  return c_text(text, INLAY_NUL_TERMINATED);
}

inline inlay_chat_request c_defaults(const ChatRequest& from) noexcept {
  inlay_chat_request to = {};
  to.add_generation_prompt = from.add_generation_prompt;
  to.now = from.now;
  return to;
}

// ChatRequest, and what it refers to.
struct CChatRequest {
  explicit CChatRequest(const Allocator& allocator) noexcept
      : messages(allocator), calls(allocator) {}
  ChatRequest request;
  Array<ChatMessage> messages;
  Array<ToolCall> calls;

  Status read(const inlay_chat_request* given) noexcept {
    inlay_chat_request from = c_defaults(request);
    INLAY_TRY(c_take(given, "inlay_chat_request", &from));
    if (from.n_messages > 0 && from.messages == nullptr) return c_range("messages", "no null");
    size_t n_calls = 0;
    for (size_t i = 0; i < from.n_messages; ++i) {
      const inlay_chat_message& message = from.messages[i];
      if (message.n_tool_calls > 0 && message.tool_calls == nullptr) {
        return c_range("tool_calls", "no null");
      }
      n_calls += message.n_tool_calls;
    }
    // At once: messages refer to calls.
    if (!messages.reserve(from.n_messages) || !calls.reserve(n_calls)) {
      return Error(ErrorCode::out_of_memory);
    }
    for (size_t i = 0; i < from.n_messages; ++i) {
      const inlay_chat_message& message = from.messages[i];
      const size_t first = calls.size();
      for (size_t c = 0; c < message.n_tool_calls; ++c) {
        const inlay_tool_call& call = message.tool_calls[c];
        ToolCall made;
        made.id = c_line(call.id);
        made.name = c_line(call.name);
        made.arguments = c_line(call.arguments);
        if (!calls.push_back(made)) return Error(ErrorCode::out_of_memory);
      }
      ChatMessage made;
      made.role = c_line(message.role);
      made.content = c_line(message.content);
      made.reasoning = c_line(message.reasoning);
      made.tool_calls = {calls.data() + first, message.n_tool_calls};
      made.tool_call_id = c_line(message.tool_call_id);
      made.name = c_line(message.name);
      if (!messages.push_back(made)) return Error(ErrorCode::out_of_memory);
    }
    request.messages = messages.span();
    request.tools = c_line(from.tools);
    request.add_generation_prompt = from.add_generation_prompt != 0;
    request.variables = c_line(from.variables);
    request.now = from.now;
    return {};
  }
};

// The program's function as a ChatSink.
struct CChatSink {
  inlay_chat_take take;
  void* user;

  ChatSink sink() noexcept {
    ChatSink made;
    made.user = this;
    made.take = [](void* self, const ChatDelta& delta) {
      const CChatSink& to = *static_cast<CChatSink*>(self);
      to.take(to.user, static_cast<int32_t>(delta.part), delta.call, delta.text.data(),
              delta.text.size(), delta.id.data(), delta.id.size());
    };
    return made;
  }
};
static_assert(static_cast<int>(ChatPart::content) == INLAY_CHAT_CONTENT &&
                  static_cast<int>(ChatPart::reasoning) == INLAY_CHAT_REASONING &&
                  static_cast<int>(ChatPart::tool_call) == INLAY_CHAT_TOOL_CALL &&
                  static_cast<int>(ChatPart::arguments) == INLAY_CHAT_ARGUMENTS &&
                  static_cast<int>(ChatPart::tool_end) == INLAY_CHAT_TOOL_END,
              "the numbers of inlay.h");

#ifdef INLAY_WITH_GRAMMAR  // implementation.hpp has c/grammar-inl.hpp before this file
inline Result<Grammar> c_tool_grammar(const inlay_chat_template& chat_template,
                                      std::string_view tools, bool required) noexcept {
  const inlay_model& model = *chat_template.model;
  const ChatFormat format = ChatFormat::of(chat_template.chat_template.source());
  const auto calls = ToolGrammar::create(format, tools, &model.model->tokenizer(), model.allocator);
  if (!calls) return calls.error();
  GrammarOptions options;
  options.host = c_host(model);
  options.tokenizer = &model.model->tokenizer();
  calls->set(&options);
  if (required) {
    options.trigger_words = {};
    options.trigger_tokens = {};
  }
  return Grammar::from_gbnf(calls->gbnf(), options);
}
#endif

}  // namespace detail

extern "C" {

INLAY_C_API void inlay_chat_template_options_init(inlay_chat_template_options* options,
                                                  uint32_t struct_size) {
  detail::c_put(inlay_chat_template_options{}, options, struct_size);
}

INLAY_C_API void inlay_chat_request_init(inlay_chat_request* request, uint32_t struct_size) {
  detail::c_put(detail::c_defaults(ChatRequest{}), request, struct_size);
}

INLAY_C_API inlay_status inlay_chat_template_create(const inlay_model* model,
                                                    const inlay_chat_template_options* options,
                                                    inlay_chat_template** chat_template,
                                                    inlay_error* error) {
  if (chat_template == nullptr) return detail::c_null("chat_template", error);
  *chat_template = nullptr;
  if (model == nullptr) return detail::c_null("model", error);
  inlay_chat_template_options from = {};
  const Status status = detail::c_take(options, "inlay_chat_template_options", &from);
  if (!status) return detail::c_report(status, error);
  ChatTemplateOptions to;
  to.name = detail::c_line(from.name);
  to.source = detail::c_line(from.source);
  to.jinja.allocator = model->allocator;
  return detail::c_make(model,
                        ChatTemplate::create(model->model->file(), model->model->tokenizer(), to),
                        chat_template, error);
}

INLAY_C_API void inlay_chat_template_close(inlay_chat_template* chat_template) {
  detail::c_close(chat_template);
}

INLAY_C_API int32_t inlay_chat_template_is_fallback(const inlay_chat_template* chat_template) {
  return chat_template != nullptr && chat_template->chat_template.is_fallback();
}

INLAY_C_API inlay_status inlay_chat_template_render(const inlay_chat_template* chat_template,
                                                    const inlay_chat_request* request, char* out,
                                                    size_t capacity, size_t* size,
                                                    inlay_error* error) {
  if (chat_template == nullptr) return detail::c_null("chat_template", error);
  if (size == nullptr) return detail::c_null("size", error);
  *size = 0;
  detail::CChatRequest given(chat_template->model->allocator);
  const Status status = given.read(request);
  if (!status) return detail::c_report(status, error);
  const auto rendered = chat_template->chat_template.render(given.request);
  if (!rendered) return detail::c_report(rendered.error(), error);
  const std::string_view text = rendered->view();
  *size = text.size();
  if (out != nullptr && !text.empty() && text.size() <= capacity) {
    std::memcpy(out, text.data(), text.size());
  }
  return detail::c_ok(error);
}

INLAY_C_API inlay_status inlay_chat_template_encode(const inlay_chat_template* chat_template,
                                                    const inlay_chat_request* request,
                                                    inlay_token* out, size_t capacity,
                                                    size_t* count, inlay_error* error) {
  if (chat_template == nullptr) return detail::c_null("chat_template", error);
  if (count == nullptr) return detail::c_null("count", error);
  *count = 0;
  detail::CChatRequest given(chat_template->model->allocator);
  const Status status = given.read(request);
  if (!status) return detail::c_report(status, error);
  const auto encoded =
      chat_template->chat_template.encode(given.request, chat_template->model->model->tokenizer(),
                                          {out, out == nullptr ? 0 : capacity});
  if (!encoded) return detail::c_report(encoded.error(), error);
  *count = *encoded;
  return detail::c_ok(error);
}

#ifdef INLAY_WITH_GRAMMAR
INLAY_C_API inlay_status inlay_chat_template_tool_grammar(const inlay_chat_template* chat_template,
                                                          const char* tools, int32_t required,
                                                          inlay_grammar** grammar,
                                                          inlay_error* error) {
  if (grammar == nullptr) return detail::c_null("grammar", error);
  *grammar = nullptr;
  if (chat_template == nullptr) return detail::c_null("chat_template", error);
  if (tools == nullptr) return detail::c_null("tools", error);
  return detail::c_make(
      chat_template->model,
      detail::c_tool_grammar(*chat_template, detail::c_line(tools), required != 0), grammar, error);
}
#endif

INLAY_C_API inlay_status inlay_chat_parser_create(const inlay_chat_template* chat_template,
                                                  const char* prompt, size_t prompt_size,
                                                  const char* tools, inlay_chat_parser** parser,
                                                  inlay_error* error) {
  if (parser == nullptr) return detail::c_null("parser", error);
  *parser = nullptr;
  if (chat_template == nullptr) return detail::c_null("chat_template", error);
  const inlay_model* model = chat_template->model;
  const std::string_view source = chat_template->chat_template.source();
  const std::string_view given_tools = detail::c_line(tools);
  detail::String copy(model->allocator), tools_copy(model->allocator);
  if (copy.append(source.data(), source.size()) &&
      tools_copy.append(given_tools.data(), given_tools.size())) {
    *parser = detail::create<inlay_chat_parser>(model->allocator, detail::c_hold(model),
                                                std::move(copy), std::move(tools_copy),
                                                detail::c_text(prompt, prompt_size));
    if (*parser != nullptr) return detail::c_ok(error);
    detail::c_release(chat_template->model);
  }
  return detail::c_report(Error(ErrorCode::out_of_memory), error);
}

INLAY_C_API void inlay_chat_parser_close(inlay_chat_parser* parser) { detail::c_close(parser); }

INLAY_C_API inlay_status inlay_chat_parser_push(inlay_chat_parser* parser, const char* text,
                                                size_t size, inlay_chat_take take, void* user,
                                                inlay_error* error) {
  if (parser == nullptr) return detail::c_null("parser", error);
  if (take == nullptr) return detail::c_null("take", error);
  detail::CChatSink sink = {take, user};
  return detail::c_report(parser->parser.push(detail::c_text(text, size), sink.sink()), error);
}

INLAY_C_API inlay_status inlay_chat_parser_finish(inlay_chat_parser* parser, inlay_chat_take take,
                                                  void* user, inlay_error* error) {
  if (parser == nullptr) return detail::c_null("parser", error);
  if (take == nullptr) return detail::c_null("take", error);
  detail::CChatSink sink = {take, user};
  return detail::c_report(parser->parser.finish(sink.sink()), error);
}

}  // extern "C"

INLAY_END_NAMESPACE

#endif  // INLAY_C_CHAT_INL_HPP_
