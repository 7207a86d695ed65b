// Answers as OpenAI's completions and chat completions have them.
#ifndef INLAY_INFILL_SERVER_OPEN_AI_HPP_
#define INLAY_INFILL_SERVER_OPEN_AI_HPP_

#include <cstdint>
#include <inlay.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "generator.hpp"
#include "request.hpp"

// A request of one of the two kinds in llama-server's own fields, and what becomes of its outcome.
class OpenAi {
 public:
  // Of texts.
  OpenAi(const Json& body, std::string model);
  // Of a chat: also the prompt's tokens. Throws Refused.
  OpenAi(const Json& body, std::string model, const inlay::Model& engine,
         std::vector<inlay::Token>* prompt);

  const Json& settings() const { return settings_; }  // for parse_request

  // Of an answer: `logprobs` of all its tokens, or null.
  Json choice(size_t index, const Outcome& outcome, const Json& logprobs) const;
  Json answer(const Json& choices, size_t n_prompt, const Outcome& last, const Json& timings) const;

  // The events of a stream, one answer after the other.
  std::vector<Json> begin(size_t index);
  std::vector<Json> piece(size_t index, std::string_view text, const Json& logprobs);
  std::vector<Json> end(size_t index, size_t n_prompt, const Outcome& outcome, const Json& timings);

 private:
  struct Parts {
    std::string content, reasoning;
  };
  static void take(void* parts, const inlay::ChatDelta& delta);
  Json event(const Json& choices) const;
  Json text_choice(size_t index, std::string_view text, const Json& logprobs,
                   const Json& finish_reason) const;
  Json delta_choice(size_t index, const Parts& parts, const Json& logprobs) const;
  inlay::ChatParser parser() const;

  Json settings_;
  bool chat_, usage_ = false;
  std::string model_, id_;
  int64_t created_;
  inlay::ChatFormat format_;                 // reasoning only
  std::string prompt_;                       // of a chat, as text
  std::optional<inlay::ChatParser> parser_;  // of the stream's answer that is being written
};

#endif  // INLAY_INFILL_SERVER_OPEN_AI_HPP_
