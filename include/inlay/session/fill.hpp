// A structure filled by a model: JSON that is valid by a schema.
#ifndef INLAY_SESSION_FILL_HPP_
#define INLAY_SESSION_FILL_HPP_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "inlay/core/memory.hpp"
#include "inlay/core/result.hpp"
#include "inlay/grammar/matcher.hpp"
#include "inlay/session/session.hpp"
#include "inlay/text/json.hpp"

INLAY_BEGIN_NAMESPACE

struct FillOptions {
  Host host;
  size_t bytes = size_t{1} << 16;  // of JSON, at most
};

// The answer to a session's prompt, in the form of a matcher's grammar; the whole of it or an
// error. The session and the matcher stay where they are, and serve nothing else, until it is done
// or the Fill is gone. Nothing allocates after create().
//
//   session->prompt("A goblin, as JSON: ");
//   auto fill = Fill::create(*session, *matcher);
//   while (fill->step(2000) == Step::more) frame();
//   auto goblin = fill->value();             // a Result<JsonDocument>
//   goblin->root().find("name")->text();
class Fill {
 public:
  // The session has a prompt. The matcher begins anew. Errors: out_of_memory.
  static Result<Fill> create(Session& session, GrammarMatcher& matcher,
                             const FillOptions& options = {}) noexcept;
  Fill(Fill&& other) noexcept;
  Fill& operator=(Fill&&) = delete;
  ~Fill();

  // Work for about `budget_us` microseconds: more, done or failed. See Session::step. After
  // `cancelled` and `busy` (SessionOptions::workspace_of) it can be called again, and goes on.
  Step step(uint32_t budget_us) noexcept;
  // All the rest. Errors: those of the session, cancelled and busy (as above); context_full (the
  // session's max_tokens, its context, or FillOptions::bytes were used up before the form was
  // complete); unsupported (a bound of the matcher).
  Status finish() noexcept;

  std::string_view text() const noexcept { return detail::view(text_); }  // so far
  const Status& status() const noexcept { return status_; }
  // The parsed text, when it is done and JSON. Errors: those of finish() and of
  // JsonDocument::parse.
  Result<JsonDocument> value() const noexcept;

 private:
  Fill(Session& session, GrammarMatcher& matcher, const Allocator& allocator) noexcept
      : session_(&session), matcher_(&matcher), text_(allocator) {}
  bool take(std::string_view piece) noexcept;
  void end() noexcept;
  void release() noexcept;

  Session* session_;
  GrammarMatcher* matcher_;
  detail::String text_;
  bool done_ = false;
  Status status_;
};

INLAY_END_NAMESPACE

#endif  // INLAY_SESSION_FILL_HPP_
