#ifndef INLAY_SESSION_FILL_INL_HPP_
#define INLAY_SESSION_FILL_INL_HPP_

#include "inlay/session/fill.hpp"
#include "inlay/session/grammar_constraint.hpp"

INLAY_BEGIN_NAMESPACE

Result<Fill> Fill::create(Session& session, GrammarMatcher& matcher,
                          const FillOptions& options) noexcept {
  Fill fill(session, matcher, options.host.allocator);
  if (!fill.text_.reserve(options.bytes)) return Error(ErrorCode::out_of_memory);
  matcher.reset();
  const Constraint form = constraint(matcher);
  session.constrain(&form);
  return fill;
}

Fill::Fill(Fill&& other) noexcept
    : session_(other.session_),
      matcher_(other.matcher_),
      text_(std::move(other.text_)),
      done_(other.done_),
      status_(other.status_) {
  other.session_ = nullptr;
}

Fill::~Fill() { release(); }

void Fill::release() noexcept {
  if (session_ != nullptr) session_->constrain(nullptr);
  session_ = nullptr;
}

// False if the text is longer than allowed: that ends it.
bool Fill::take(std::string_view piece) noexcept {
  if (piece.size() > text_.capacity() - text_.size()) {
    status_ = Error(ErrorCode::context_full, "the JSON is longer than FillOptions::bytes, ")
              << text_.capacity();
    done_ = true;
    release();
    return false;
  }
  return text_.append(piece.data(), piece.size());
}

void Fill::end() noexcept {
  status_ = session_->status();
  if (status_ && session_->stop_reason() == StopReason::cancelled) {
    status_ = Error(ErrorCode::cancelled);
  }
  if (!status_ && (status_.error().code() == ErrorCode::cancelled ||
                   status_.error().code() == ErrorCode::busy)) {
    return;  // calling again goes on, as with a session
  }
  done_ = true;
  if (status_ && !matcher_->may_end()) {
    status_ = session_->stop_reason() == StopReason::end_of_text
                  ? Error(ErrorCode::unsupported, "the grammar's bounds ended the text too early")
                  : Error(ErrorCode::context_full,
                          "the text ended before its form was complete: max_tokens, the context or "
                          "a stop text");
  }
  release();
}

Step Fill::step(uint32_t budget_us) noexcept {
  if (done_) return status_ ? Step::done : Step::failed;
  status_ = Status();
  switch (session_->step(budget_us)) {
    case Step::more:
      return Step::more;
    case Step::piece:
      return take(session_->piece().text) ? Step::more : Step::failed;
    default:
      end();
      return status_ ? Step::done : Step::failed;
  }
}

Status Fill::finish() noexcept {
  if (!done_) status_ = Status();
  while (!done_) {
    const Piece* piece = session_->next();
    if (piece == nullptr) {
      end();
      break;
    }
    if (!take(piece->text)) break;
  }
  return status_;
}

Result<JsonDocument> Fill::value() const noexcept {
  if (!status_) return status_.error();
  if (!done_)
    return Error(ErrorCode::bad_argument, "the structure is not filled yet: step() first");
  JsonOptions options;
  options.allocator = text_.allocator();
  return JsonDocument::parse(text(), options);
}

INLAY_END_NAMESPACE

#endif  // INLAY_SESSION_FILL_INL_HPP_
