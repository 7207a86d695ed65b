// The part of the C interface that belongs to completion/.
#ifndef INLAY_C_COMPLETION_INL_HPP_
#define INLAY_C_COMPLETION_INL_HPP_

#include <utility>

#include "inlay/c/session-inl.hpp"
#include "inlay/completion/choose.hpp"
#include "inlay/completion/completion.hpp"
#include "inlay/completion/drafts.hpp"
#include "inlay/inlay.h"

struct INLAY_HIDDEN inlay_drafts {
  inlay_drafts(inlay_model* m, INLAY_NAMESPACE::Drafts&& d) noexcept
      : model(m), drafts(std::move(d)) {}
  inlay_model* model;
  inlay_model* guesser = nullptr;                                     // that guesses
  INLAY_NAMESPACE::detail::Array<INLAY_NAMESPACE::LogitBias> biases;  // of its sampling
  INLAY_NAMESPACE::Drafts drafts;
};

struct INLAY_HIDDEN inlay_chooser {
  inlay_chooser(inlay_model* m, INLAY_NAMESPACE::Chooser&& c) noexcept
      : model(m), chooser(std::move(c)) {}
  inlay_model* model;
  INLAY_NAMESPACE::Chooser chooser;
};

struct INLAY_HIDDEN inlay_completion {
  inlay_completion(inlay_model* m, INLAY_NAMESPACE::Completion&& c) noexcept
      : model(m), completion(std::move(c)) {}
  inlay_model* model;
  inlay_model* guesser = nullptr;
  INLAY_NAMESPACE::detail::Array<INLAY_NAMESPACE::LogitBias> biases, guesser_biases;
  INLAY_NAMESPACE::Completion completion;
};

INLAY_BEGIN_NAMESPACE
namespace detail {

inline inlay_draft_options c_defaults(const DraftOptions& from) noexcept {
  inlay_draft_options to = {};
  to.least_match = from.least_match;
  to.most = from.most;
  return to;
}

// DraftOptions, and what they refer to.
struct CDraftOptions {
  explicit CDraftOptions(const Allocator& allocator) noexcept : session(allocator) {}
  DraftOptions options;
  CSessionOptions session;  // of the small model
  const inlay_model* guesser = nullptr;

  Status read(const inlay_draft_options* given) noexcept {
    inlay_draft_options from = c_defaults(options);
    INLAY_TRY(c_take(given, "inlay_draft_options", &from));
    INLAY_TRY(session.read(from.session));
    options.least_match = from.least_match;
    options.most = from.most;
    options.session = session.options;
    guesser = from.model;
    if (guesser != nullptr) options.model = &*guesser->model;
    return {};
  }
};

// What was made keeps what its options refer to.
template <class Handle>
void c_keep(CDraftOptions* options, Handle* handle, Array<LogitBias> Handle::*biases) noexcept {
  if (options->guesser == nullptr) return;
  handle->guesser = c_hold(options->guesser);
  handle->*biases = std::move(options->session.sampling.biases);
}

template <class Handle>
void c_close_with_guesser(Handle* handle) noexcept {
  inlay_model* guesser = handle == nullptr ? nullptr : handle->guesser;
  c_close(handle);
  c_release(guesser);
}

inline inlay_completion_options c_defaults(const CompletionOptions& from) noexcept {
  inlay_completion_options to = {};
  to.max_tokens = from.max_tokens;
  to.max_lines = from.trim.max_lines;
  to.order = static_cast<int32_t>(from.order);
  to.heal = from.heal;
  to.predict = from.predict;
  to.first_us = from.first_us;
  return to;
}

}  // namespace detail

extern "C" {

INLAY_C_API void inlay_draft_options_init(inlay_draft_options* options, uint32_t struct_size) {
  detail::c_put(detail::c_defaults(DraftOptions{}), options, struct_size);
}

INLAY_C_API inlay_status inlay_drafts_create(const inlay_model* model,
                                             const inlay_draft_options* options,
                                             inlay_drafts** drafts, inlay_error* error) {
  if (drafts == nullptr) return detail::c_null("drafts", error);
  *drafts = nullptr;
  if (model == nullptr) return detail::c_null("model", error);
  detail::CDraftOptions o(model->allocator);
  const Status status = o.read(options);
  if (!status) return detail::c_report(status, error);
  const inlay_status made =
      detail::c_make(model, Drafts::create(*model->model, o.options), drafts, error);
  if (made == INLAY_OK) detail::c_keep(&o, *drafts, &inlay_drafts::biases);
  return made;
}

INLAY_C_API void inlay_drafts_close(inlay_drafts* drafts) { detail::c_close_with_guesser(drafts); }

INLAY_C_API void inlay_drafts_set_reference(inlay_drafts* drafts, const inlay_token* tokens,
                                            size_t count) {
  if (drafts != nullptr) drafts->drafts.set_reference({tokens, tokens == nullptr ? 0 : count});
}

INLAY_C_API void inlay_session_speculate(inlay_session* session, inlay_drafts* drafts) {
  if (session == nullptr) return;
  if (drafts == nullptr) return session->session.speculate(nullptr);
  const Drafter drafter = drafts->drafts.drafter();
  session->session.speculate(&drafter);
}

INLAY_C_API uint64_t inlay_session_drafted(const inlay_session* session) {
  return session == nullptr ? 0 : session->session.drafted();
}

INLAY_C_API uint64_t inlay_session_accepted(const inlay_session* session) {
  return session == nullptr ? 0 : session->session.accepted();
}

INLAY_C_API void inlay_choose_options_init(inlay_choose_options* options, uint32_t struct_size) {
  inlay_choose_options defaults = {};
  defaults.flags = INLAY_TOKENIZE_DEFAULT;
  detail::c_put(defaults, options, struct_size);
}

INLAY_C_API inlay_status inlay_chooser_create(inlay_session* session, inlay_chooser** chooser,
                                              inlay_error* error) {
  if (chooser == nullptr) return detail::c_null("chooser", error);
  *chooser = nullptr;
  if (session == nullptr) return detail::c_null("session", error);
  return detail::c_make(session->model, Result<Chooser>(Chooser(&session->session)), chooser,
                        error);
}

INLAY_C_API void inlay_chooser_close(inlay_chooser* chooser) { detail::c_close(chooser); }

INLAY_C_API inlay_status inlay_chooser_start(inlay_chooser* chooser, const char* prompt,
                                             size_t prompt_size, const char* const* texts,
                                             const size_t* sizes, size_t n_texts,
                                             const inlay_choose_options* options,
                                             inlay_error* error) {
  if (chooser == nullptr) return detail::c_null("chooser", error);
  inlay_choose_options from = {};
  from.flags = INLAY_TOKENIZE_DEFAULT;
  detail::Array<std::string_view> views(chooser->model->allocator);
  Status status = detail::c_take(options, "inlay_choose_options", &from);
  if (status) status = detail::c_texts(texts, sizes, n_texts, &views);
  if (status) {
    ChooseOptions how;
    how.after = detail::c_text(from.after, INLAY_NUL_TERMINATED);
    how.per_token = from.per_token != 0;
    how.tokenize = detail::c_tokenize_options(from.flags);
    status = chooser->chooser.start(detail::c_text(prompt, prompt_size), views.span(), how);
  }
  return detail::c_report(status, error);
}

INLAY_C_API int32_t inlay_chooser_step(inlay_chooser* chooser, uint32_t budget_us) {
  if (chooser == nullptr) return INLAY_STEP_FAILED;
  return detail::c_step(chooser->chooser.step(budget_us));
}

INLAY_C_API inlay_status inlay_chooser_run(inlay_chooser* chooser, inlay_error* error) {
  if (chooser == nullptr) return detail::c_null("chooser", error);
  return detail::c_report(chooser->chooser.run(), error);
}

INLAY_C_API inlay_status inlay_chooser_status(const inlay_chooser* chooser, inlay_error* error) {
  if (chooser == nullptr) return detail::c_null("chooser", error);
  return detail::c_report(chooser->chooser.status(), error);
}

INLAY_C_API uint32_t inlay_chooser_best(const inlay_chooser* chooser) {
  return chooser == nullptr ? 0 : chooser->chooser.best();
}

INLAY_C_API int32_t inlay_chooser_choice(const inlay_chooser* chooser, size_t index,
                                         inlay_choice* choice) {
  if (chooser == nullptr || choice == nullptr) return 0;
  const Span<const Choice> choices = chooser->chooser.choices();
  if (index >= choices.size()) return 0;
  choice->probability = choices[index].probability;
  choice->logprob = choices[index].logprob;
  choice->tokens = choices[index].tokens;
  return 1;
}

INLAY_C_API void inlay_completion_options_init(inlay_completion_options* options,
                                               uint32_t struct_size) {
  detail::c_put(detail::c_defaults(CompletionOptions{}), options, struct_size);
}

INLAY_C_API inlay_status inlay_completion_create(const inlay_model* model,
                                                 const inlay_completion_options* options,
                                                 inlay_completion** completion,
                                                 inlay_error* error) {
  if (completion == nullptr) return detail::c_null("completion", error);
  *completion = nullptr;
  if (model == nullptr) return detail::c_null("model", error);
  CompletionOptions to;
  inlay_completion_options from = detail::c_defaults(to);
  detail::CSessionOptions session(model->allocator);
  detail::CDraftOptions drafts(model->allocator);
  Status status = detail::c_take(options, "inlay_completion_options", &from);
  if (status) status = session.read(from.session);
  if (status) status = drafts.read(from.drafts);
  if (status && (from.order < INLAY_FIM_AUTOMATIC || from.order > INLAY_FIM_SPM)) {
    status = detail::c_range("order", "one of INLAY_FIM_");
  }
  if (!status) return detail::c_report(status, error);
  to.session = session.options;
  to.order = static_cast<FimOrder>(from.order);
  to.max_tokens = from.max_tokens;
  to.trim.max_lines = from.max_lines;
  to.budget.prefix = from.prefix_tokens;
  to.budget.suffix = from.suffix_tokens;
  to.budget.files = from.file_tokens;
  to.repository = detail::c_text(from.repository, INLAY_NUL_TERMINATED);
  to.heal = from.heal != 0;
  to.predict = from.predict != 0;
  to.first_us = from.first_us;
  to.drafts = drafts.options;
  const inlay_status made =
      detail::c_make(model, Completion::create(*model->model, to), completion, error);
  if (made == INLAY_OK) {
    (*completion)->biases = std::move(session.sampling.biases);
    detail::c_keep(&drafts, *completion, &inlay_completion::guesser_biases);
  }
  return made;
}

INLAY_C_API void inlay_completion_close(inlay_completion* completion) {
  detail::c_close_with_guesser(completion);
}

INLAY_C_API inlay_status inlay_completion_set_file(inlay_completion* completion, const char* path,
                                                   size_t path_size, const char* text, size_t size,
                                                   int32_t priority, inlay_error* error) {
  if (completion == nullptr) return detail::c_null("completion", error);
  return detail::c_report(completion->completion.set_file(detail::c_text(path, path_size),
                                                          detail::c_text(text, size), priority),
                          error);
}

INLAY_C_API void inlay_completion_remove_file(inlay_completion* completion, const char* path,
                                              size_t path_size) {
  if (completion != nullptr) completion->completion.remove_file(detail::c_text(path, path_size));
}

INLAY_C_API inlay_status inlay_completion_update(inlay_completion* completion, const char* path,
                                                 size_t path_size, const char* text, size_t size,
                                                 size_t cursor, int32_t wanted,
                                                 inlay_error* error) {
  if (completion == nullptr) return detail::c_null("completion", error);
  Document document;
  document.path = detail::c_text(path, path_size);
  document.text = detail::c_text(text, size);
  document.cursor = cursor;
  return detail::c_report(completion->completion.update(document, wanted != 0), error);
}

INLAY_C_API int32_t inlay_completion_step(inlay_completion* completion, uint32_t budget_us) {
  if (completion == nullptr) return INLAY_STEP_FAILED;
  return detail::c_step(completion->completion.step(budget_us));
}

INLAY_C_API int32_t inlay_completion_run(inlay_completion* completion, uint32_t deadline_us) {
  if (completion == nullptr) return INLAY_STEP_FAILED;
  return detail::c_step(completion->completion.run(deadline_us));
}

INLAY_C_API void inlay_completion_cancel(inlay_completion* completion) {
  if (completion != nullptr) completion->completion.cancel();
}

INLAY_C_API inlay_status inlay_completion_suggestion(const inlay_completion* completion,
                                                     inlay_suggestion* suggestion,
                                                     inlay_error* error) {
  if (completion == nullptr) return detail::c_null("completion", error);
  if (suggestion == nullptr) return detail::c_null("suggestion", error);
  const Suggestion& from = completion->completion.suggestion();
  inlay_suggestion to = {};
  to.complete = from.complete;
  to.preliminary = from.preliminary;
  to.text = detail::c_text(from.text, &to.size);
  to.probability = from.probability;
  to.n_tokens = static_cast<uint32_t>(from.token_probabilities.size());
  to.token_probabilities = from.token_probabilities.data();
  return detail::c_give(to, "inlay_suggestion", suggestion, error);
}

INLAY_C_API inlay_status inlay_completion_status(const inlay_completion* completion,
                                                 inlay_error* error) {
  if (completion == nullptr) return detail::c_null("completion", error);
  return detail::c_report(completion->completion.status(), error);
}

}  // extern "C"

INLAY_END_NAMESPACE

#endif  // INLAY_C_COMPLETION_INL_HPP_
