#include "open_ai.hpp"

#include <ctime>
#include <random>

namespace {

Refused refused(const char* why) { return {400, "invalid_request_error", why}; }

std::string random_id() {
  constexpr std::string_view kLetters =
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  std::random_device random;
  std::string id = "chatcmpl-";
  for (int i = 0; i < 32; ++i) id += kLetters[random() % kLetters.size()];
  return id;
}

// The fields that have other names, or other types, with llama-server.
Json own_settings(Json body) {
  if (body.contains("max_completion_tokens") && !body.contains("max_tokens")) {
    body["max_tokens"] = body["max_completion_tokens"];
  }
  const Json logprobs = body.value("logprobs", Json());
  if (logprobs.is_boolean()) {
    body.erase("logprobs");
    if (logprobs == true) body["n_probs"] = value(body, "top_logprobs", 20);
  }
  const Json format = body.value("response_format", Json::object());
  if (!format.is_object()) throw refused("\"response_format\" must be an object");
  const std::string type = value<std::string>(format, "type", "text");
  if (type == "json_schema") {
    body["json_schema"] = format.value("/json_schema/schema"_json_pointer, Json::object());
  } else if (type == "json_object") {
    body["json_schema"] = value<Json>(format, "schema", {{"type", "object"}});
  } else if (type != "text") {
    throw refused("response_format type must be one of \"text\" or \"json_object\"");
  }
  return body;
}

// Text, or parts of text.
std::string content_of(const Json& content) {
  if (content.is_null()) return "";
  if (content.is_string()) return content;
  if (!content.is_array()) throw refused("Expected 'content' to be a string or an array");
  std::string all;
  for (const Json& part : content) {
    if (value<std::string>(part, "type", "") != "text") throw refused("unsupported content[].type");
    all += part.at("text").get<std::string>();
  }
  return all;
}

std::string finish_reason(const Outcome& outcome) {
  return std::string_view(outcome.stop_type) == "limit" ? "length" : "stop";
}

Json usage(size_t n_prompt, const Outcome& outcome) {
  return {{"completion_tokens", outcome.predicted},
          {"prompt_tokens", n_prompt},
          {"total_tokens", n_prompt + outcome.predicted},
          {"prompt_tokens_details", {{"cached_tokens", outcome.cached}}}};
}

}  // namespace

OpenAi::OpenAi(const Json& body, std::string model)
    : settings_(own_settings(body)),
      chat_(false),
      model_(std::move(model)),
      id_(random_id()),
      created_(std::time(nullptr)) {}

OpenAi::OpenAi(const Json& body, std::string model, const inlay::Model& engine,
               std::vector<inlay::Token>* prompt)
    : OpenAi(body, std::move(model)) {
  chat_ = true;
  usage_ = settings_.value("/stream_options/include_usage"_json_pointer, false);
  if (!body.contains("messages")) throw refused("'messages' is required");
  if (!body["messages"].is_array()) throw refused("Expected 'messages' to be an array");
  if (!value(body, "tools", Json::array()).empty() &&
      value<Json>(body, "tool_choice", "auto") != "none") {
    throw Refused{501, "not_supported_error", "This server does not support tools"};
  }
  std::vector<std::pair<std::string, std::string>> texts;
  for (const Json& message : body["messages"]) {
    const std::string role = message.at("role");
    if (role != "assistant" && !message.contains("content")) {
      throw refused("All non-assistant messages must contain 'content'");
    }
    texts.emplace_back(role, content_of(value(message, "content", Json())));
  }
  std::vector<inlay::ChatMessage> messages(texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    messages[i].role = texts[i].first;
    messages[i].content = texts[i].second;
  }
  const std::string variables = value(body, "chat_template_kwargs", Json::object()).dump();
  inlay::ChatRequest request;
  request.messages = messages;
  request.add_generation_prompt = value(body, "add_generation_prompt", true);
  request.variables = variables;
  const auto chat = inlay::ChatTemplate::create(engine.file(), engine.tokenizer());
  if (!chat) throw Refused{500, "server_error", chat.error().message()};
  const auto text = chat->render(request);
  if (!text) throw refused(text.error().message());
  prompt_ = text->view();
  format_ = inlay::ChatFormat::of(chat->source());
  format_.tools = inlay::ToolSyntax::none;
  // A token that a message spells is cut in two.
  prompt->resize(inlay::Tokenizer::max_tokens(9 * prompt_.size()));
  const auto n = chat->encode(request, engine.tokenizer(), *prompt);
  if (!n) throw Refused{500, "server_error", n.error().message()};
  prompt->resize(*n);
}

void OpenAi::take(void* parts, const inlay::ChatDelta& delta) {
  Parts& to = *static_cast<Parts*>(parts);
  (delta.part == inlay::ChatPart::reasoning ? to.reasoning : to.content) += delta.text;
}

inlay::ChatParser OpenAi::parser() const {
  inlay::ChatParserOptions options;
  options.format = format_;
  options.prompt = prompt_;
  return inlay::ChatParser(options);
}

Json OpenAi::event(const Json& choices) const {
  Json out = {{"choices", choices}, {"created", created_}};
  if (chat_) out["id"] = id_;
  out["model"] = model_;
  out["system_fingerprint"] = "inlay " INLAY_VERSION;
  out["object"] = chat_ ? "chat.completion.chunk" : "text_completion";
  if (!chat_) out["id"] = id_;
  return out;
}

Json OpenAi::text_choice(size_t index, std::string_view text, const Json& logprobs,
                         const Json& finish_reason) const {
  const Json shown = logprobs.is_null() ? Json() : Json({{"content", logprobs}});
  return {{"text", std::string(text)},
          {"index", index},
          {"logprobs", shown},
          {"finish_reason", finish_reason}};
}

Json OpenAi::delta_choice(size_t index, const Parts& parts, const Json& logprobs) const {
  Json delta = Json::object();
  if (!parts.reasoning.empty()) delta["reasoning_content"] = parts.reasoning;
  if (!parts.content.empty()) delta["content"] = parts.content;
  Json out = {{"finish_reason", nullptr}, {"index", index}, {"delta", delta}};
  if (!logprobs.is_null()) out["logprobs"] = {{"content", logprobs}};
  return out;
}

Json OpenAi::choice(size_t index, const Outcome& outcome, const Json& logprobs) const {
  if (!chat_) return text_choice(index, outcome.text, logprobs, finish_reason(outcome));
  Parts parts;
  inlay::ChatParser parser = this->parser();
  const inlay::ChatSink sink = {take, &parts};
  if (!parser.push(outcome.text, sink) || !parser.finish(sink)) {
    throw Refused{500, "server_error", "out of memory"};
  }
  Json message = {{"role", "assistant"}, {"content", parts.content}};
  if (!parts.reasoning.empty()) message["reasoning_content"] = parts.reasoning;
  Json out = {{"finish_reason", finish_reason(outcome)}, {"index", index}, {"message", message}};
  if (!logprobs.is_null()) out["logprobs"] = {{"content", logprobs}};
  return out;
}

Json OpenAi::answer(const Json& choices, size_t n_prompt, const Outcome& last,
                    const Json& timings) const {
  Json out = event(choices);
  if (chat_) out["object"] = "chat.completion";
  out["usage"] = usage(n_prompt, last);
  out["timings"] = timings;
  return out;
}

std::vector<Json> OpenAi::begin(size_t index) {
  if (!chat_) return {};
  parser_.emplace(parser());
  Json first = delta_choice(index, {}, nullptr);
  first["delta"] = {{"role", "assistant"}, {"content", nullptr}};
  return {event(Json::array({first}))};
}

std::vector<Json> OpenAi::piece(size_t index, std::string_view text, const Json& logprobs) {
  if (!chat_) return {event(Json::array({text_choice(index, text, logprobs, nullptr)}))};
  Parts parts;
  if (!parser_->push(text, {take, &parts}) || (parts.content + parts.reasoning).empty()) return {};
  return {event(Json::array({delta_choice(index, parts, logprobs)}))};
}

std::vector<Json> OpenAi::end(size_t index, size_t n_prompt, const Outcome& outcome,
                              const Json& timings) {
  std::vector<Json> events;
  if (!chat_) {
    events.push_back(event(Json::array({text_choice(index, "", nullptr, finish_reason(outcome))})));
    events.back()["usage"] = usage(n_prompt, outcome);
  } else {
    Parts parts;
    const bool held = parser_->finish({take, &parts}) && !(parts.content + parts.reasoning).empty();
    if (held) events.push_back(event(Json::array({delta_choice(index, parts, nullptr)})));
    Json last = delta_choice(index, {}, nullptr);
    last["finish_reason"] = finish_reason(outcome);
    events.push_back(event(Json::array({last})));
    if (usage_) {
      events.push_back(event(Json::array()));
      events.back()["usage"] = usage(n_prompt, outcome);
    }
  }
  events.back()["timings"] = timings;
  return events;
}
